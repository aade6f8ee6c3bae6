"""Settings of a sweep against each other: over their seeds, pair by pair, and which is the best, if any is.

A setting is the best if it is better than each other one, question by question, and no seed of it collapsed or learned
nothing. Where that is not so, nobody is named: the smallest of forty mean regrets is small by chance, too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from abstain.evals.conclusion import FAILED, collapse
from abstain.evals.metrics.intervals import paired_difference, student_interval
from abstain.evals.metrics.schema import Metrics
from abstain.evals.records import Record, read_records
from abstain.evals.tables.formats import prose_decimal
from abstain.evals.tables.grid import MISSING
from abstain.recipes.sweep.axes import axes_of, canonical

MOST_COMPARED = 24
"""Settings whose answers are read again for a paired difference from the best."""
ENOUGH_SEEDS = 3
_NAMED = 3


@dataclass(frozen=True)
class PointData:
    """One run of a sweep.

    Args:
        name: of the point.
        path: its run directory.
        settings: what was varied, seeds left out.
        seed: of the run.
        status, error: how it went.
        metrics: of the trained model; `None` if there are none.
    """

    name: str
    path: Path
    settings: Mapping[str, Any]
    seed: int | None
    status: str
    error: str
    metrics: Metrics | None


@dataclass(frozen=True)
class Group:
    """The same settings under several seeds.

    Args:
        settings: what they share.
        points: finished ones, one per seed.
    """

    settings: Mapping[str, Any]
    points: Sequence[PointData]

    def measured(self, name: str, target: float | None = None) -> list[float]:
        """A number of each seed that has it, of the whole or of one target."""
        rows = [_row(point.metrics or {}, target) for point in self.points]
        return [row[name] for row in rows if row.get(name) is not None]

    @property
    def verdicts(self) -> list[str]:
        """The verdict on each seed."""
        return [verdict(point.metrics) for point in self.points]

    @property
    def failed(self) -> bool:
        """Whether a seed collapsed, or learned nothing."""
        return any(one in FAILED for one in self.verdicts)


@dataclass(frozen=True)
class Difference:
    """Points per question, averaged over the targets that both have: the second less the first.

    Args:
        mean: over questions and seeds.
        interval: 95 %; `None` where there is none.
        seeds: how many both have.
        over: what the interval covers: "seeds" or "questions".
    """

    mean: float
    interval: tuple[float, float] | None
    seeds: int
    over: str


@dataclass(frozen=True)
class Ranking:
    """Settings in order.

    Args:
        groups: those with the smallest mean regret first, those of which a seed failed after all others.
        compared: the difference of each but the first from the first, as far as it was looked for.
    """

    groups: Sequence[Group]
    compared: Sequence[Difference | None]

    def words(self, group: Group, names: Mapping[str, str]) -> str:
        """A group's settings, without those that all have."""
        varied = [key for key, values in axes_of(one.settings for one in self.groups).items() if len(values) > 1]
        return settings_in_words({key: group.settings[key] for key in varied if key in group.settings}, names)

    @property
    def tied(self) -> list[Group]:
        """The first, and those that may be as good; none if nobody can be the best."""
        if not self.groups or self.groups[0].failed or not self.groups[0].measured("mean_regret"):
            return []
        pairs = zip(self.groups[1:], self.compared, strict=False)
        rivals = [(group, found) for group, found in pairs if not group.failed and group.measured("mean_regret")]
        return [self.groups[0], *(group for group, found in rivals if not _is_worse(found))]

    @property
    def best(self) -> Group | None:
        """The one that is better than each other."""
        return self.tied[0] if len(self.tied) == 1 else None


def verdict(metrics: Metrics | None) -> str:
    """The verdict on a run, or that it collapsed if an earlier version wrote none; "" if nothing can be said."""
    if metrics is None:
        return ""
    found = (metrics.get("conclusion") or {}).get("kind")
    if isinstance(found, str):
        return found
    seen = collapse(metrics)
    return seen[0] if seen else ""


def ranked(points: Iterable[PointData]) -> Ranking:
    """Finished points by their settings, in order, and compared with the first of them."""
    found: dict[str, list[PointData]] = {}
    for point in points:
        if point.metrics is not None:
            found.setdefault(canonical(point.settings), []).append(point)
    groups = sorted((Group(some[0].settings, some) for some in found.values()), key=_badness)
    return Ranking(groups, differences_from(groups[0], groups[1:MOST_COMPARED]) if len(groups) > 1 else [])


def in_sentences(ranking: Ranking, names: Mapping[str, str]) -> list[str]:
    """Which setting is the best, or that none is; and why.

    Args:
        ranking: of the settings.
        names: short ones of the axes.
    """
    groups, tied = ranking.groups, ranking.tied
    if not groups:
        return ["No point of this sweep has finished yet."]
    if not any(group.measured("mean_regret") for group in groups):
        return ["No point of this sweep has a regret to compare."]
    if not tied:
        return [f"No best setting: {_failures(groups)}."]
    if ranking.best is None:
        listed = "; ".join(_regret(ranking.words(group, names), group) for group in tied[:_NAMED])
        more = f"; and {len(tied) - _NAMED} more" if len(tied) > _NAMED else ""
        return [f"No best setting: {len(tied)} of {len(groups)} cannot be told apart.", f"They are {listed}{more}."]
    if len(groups) == 1:
        return [f"One setting, with nothing to compare it with: {_regret('', groups[0])}."]
    what = ranking.words(tied[0], names)
    lost = sum(group.failed for group in groups)
    but = f" ({lost} of the others collapsed or learned nothing)" if lost else ""
    regrets = tied[0].measured("mean_regret")
    several = len(regrets) > 1
    over = f"{'the' if several else 'its'} mean regret is {spread(regrets)}"
    over += f" over {len(regrets)} seeds" if several else ""
    return [f"Of {len(groups)} settings, the best is {what}{but}: {over}."]


def _failures(groups: Sequence[Group]) -> str:
    kinds = [one for group in groups for one in group.verdicts if one in FAILED]
    counts = [f"{kinds.count(kind)} {kind}" for kind in FAILED if kind in kinds]
    runs = sum(len(group.points) for group in groups)
    return f"each has a run that came to nothing (of {runs} in all: {', '.join(counts)})"


def _regret(what: str, group: Group) -> str:
    return f"{what}{': ' * bool(what)}mean regret {spread(group.measured('mean_regret'))}"


def _is_worse(found: Difference | None) -> bool:
    """Whether the interval shows that it scores less than the first."""
    return found is not None and found.interval is not None and found.interval[1] < 0


def _badness(group: Group) -> tuple[bool, bool, float]:
    regrets = group.measured("mean_regret")
    return not regrets, group.failed, fmean(regrets) if regrets else 0.0


def _row(metrics: Metrics, target: float | None) -> Mapping[str, Any]:
    if target is None:
        return metrics
    return next((row for row in metrics.get("by_target", []) if row["target"] == target), {})


def spread(values: Sequence[float], digits: int = 3, factor: float = 1.0) -> str:
    """Mean ± standard deviation over seeds; of one seed only its number.

    Example:
        >>> spread([0.03, 0.05]), spread([0.5], 1, factor=100), spread([])
        ('0.040 ± 0.014', '50.0', '–')
    """
    scaled = [factor * value for value in values]
    if not scaled:
        return MISSING
    mean = prose_decimal(fmean(scaled), digits)
    return mean if len(scaled) < 2 else f"{mean} ± {stdev(scaled):.{digits}f}"


def differences_from(first: Group, others: Sequence[Group]) -> list[Difference | None]:
    """Each group's difference from the first, paired by seed and, within a seed, by question.

    With at least `ENOUGH_SEEDS` seeds in common the interval is Student's for the mean of their differences: other
    seeds might have come out differently, and the questions' chance is part of that. With fewer there is only the
    chance of the questions, averaged over the seeds there are.

    Returns:
        `None` where nothing can be paired: no seed in common, other questions, or answers that cannot be read.
    """
    found: list[list[tuple[float, tuple[float, float] | None]]] = [[] for _ in others]
    seeds = [{point.seed: point for point in group.points} for group in others]
    for point in first.points:
        paired = [(place, mine[point.seed]) for place, mine in enumerate(seeds) if point.seed in mine]
        few = {place for place, mine in enumerate(seeds) if len(_common(first, mine)) < ENOUGH_SEEDS}
        for place, mean, interval in _of_one_seed(point, paired):
            found[place].append((mean, interval if place in few else None))
    return [_together(one) for one in found]


def _common(first: Group, mine: Iterable[int | None]) -> set[int | None]:
    return {point.seed for point in first.points} & set(mine)


def _of_one_seed(
    first: PointData, paired: Sequence[tuple[int, PointData]]
) -> Iterator[tuple[int, float, tuple[float, float]]]:
    """The differences of each point from the first, whose answers are read once."""
    base = _records(first) if paired else []
    for place, point in paired if base else ():
        answers = _records(point)
        result = paired_difference(base, answers)
        if result["mean_score"] is not None:
            low, high = result["mean_score_ci"]
            yield place, result["mean_score"], (low, high)


def _records(point: PointData) -> list[Record]:
    try:
        return read_records(point.path / "records.jsonl")
    except (OSError, ValueError, RecursionError):
        return []  # a point without answers is compared with nothing; its numbers are in the table all the same


def _together(found: Sequence[tuple[float, tuple[float, float] | None]]) -> Difference | None:
    """The mean over seeds, and its interval.

    Example:
        >>> _together([(0.0, None), (0.25, None), (0.5, None)])
        Difference(mean=0.25, interval=(-0.371..., 0.871...), seeds=3, over='seeds')
    """
    if not found:
        return None
    means = [mean for mean, _ in found]
    mean = fmean(means)
    if len(found) >= ENOUGH_SEEDS:
        return Difference(mean, student_interval(means), len(means), "seeds")
    known = [(mean, interval) for mean, interval in found if interval]
    if len(known) < len(found):
        return Difference(mean, None, len(means), "questions")
    # seeds are independent of each other, so the distances to the ends add as the legs of a triangle do
    below, above = (hypot(*(middle - ends[side] for middle, ends in known)) / len(known) for side in (0, 1))
    return Difference(mean, (mean - below, mean + above), len(means), "questions")


def settings_in_words(settings: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """A sweep's settings as `rate=0.1, form=bounded`.

    Example:
        >>> settings_in_words({"rl.args.beta": 0.1, "rl.targets": [0, 0.5]}, {"rl.args.beta": "beta"})
        'beta=0.1, rl.targets=[0, 0.5]'
    """
    return ", ".join(f"{names.get(key, key)}={in_words(value)}" for key, value in settings.items())


def in_words(value: Any) -> str:
    """A setting's value as short as it can be said.

    Example:
        >>> in_words(1e-05), in_words([0, 0.5]), in_words(None), in_words({"name": "ConfidenceTarget", "args": {}})
        ('1e-05', '[0, 0.5]', 'null', 'ConfidenceTarget')
    """
    if isinstance(value, bool) or value is None:
        return "null" if value is None else str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        named = value.get("name")
        return str(named) if named else "{" + ", ".join(f"{key}: {in_words(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(in_words, value)) + "]"
    return str(value)
