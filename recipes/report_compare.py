"""How much better one setting of a sweep is than another, seed by seed and question by question."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from abstain.evals.intervals import RESAMPLES, student_interval
from abstain.evals.paired import paired_difference
from abstain.evals.records import Record, read_records
from abstain.recipes.report_sweep_source import Group, PointData

ENOUGH_SEEDS = 3


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


def differences_from(first: Group, others: Sequence[Group]) -> list[Difference | None]:
    """Each group's difference from the first, paired by seed and, within a seed, by question.

    With at least `ENOUGH_SEEDS` seeds in common the interval is Student's for the mean of their differences: other
    seeds might have come out differently, and the questions' chance is part of that. With fewer there is only the
    chance of the questions: a bootstrap of them, averaged over the seeds there are.

    Returns:
        `None` where nothing can be paired: no seed in common, other questions, or answers that cannot be read.
    """
    found: list[list[tuple[float, tuple[float, float] | None]]] = [[] for _ in others]
    seeds = [{point.seed: point for point in group.points} for group in others]
    for point in first.points:
        paired = [(place, mine[point.seed]) for place, mine in enumerate(seeds) if point.seed in mine]
        few = {place for place, mine in enumerate(seeds) if len(_common(first, mine)) < ENOUGH_SEEDS}
        for place, difference in _of_one_seed(point, paired, few):
            found[place].append(difference)
    return [_together(one) for one in found]


def _common(first: Group, mine: Iterable[int | None]) -> set[int | None]:
    return {point.seed for point in first.points} & set(mine)


def _of_one_seed(
    first: PointData, paired: Sequence[tuple[int, PointData]], few: set[int]
) -> Iterator[tuple[int, tuple[float, tuple[float, float] | None]]]:
    """The differences of each point from the first, whose answers are read once."""
    base = _records(first) if paired else []
    for place, point in paired if base else ():
        answers = _records(point)
        result = paired_difference(base, answers, resamples=RESAMPLES if place in few else 1)
        if result["mean_score"] is not None:
            low, high = result["mean_score_ci"]
            yield place, (result["mean_score"], (low, high) if place in few else None)


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
    halves = [((high - low) / 2) ** 2 for _, interval in found if interval for low, high in [interval]]
    if len(halves) < len(found):
        return Difference(mean, None, len(means), "questions")
    half = sum(halves) ** 0.5 / len(found)  # seeds are independent of each other
    return Difference(mean, (mean - half, mean + half), len(means), "questions")
