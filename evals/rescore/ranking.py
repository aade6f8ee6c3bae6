"""Which model is best at which confidence target, and where they change places.

Under S_t = c - i t / (1 - t) a fixed policy is a straight line in the penalty x = t / (1 - t): right answers c where
it starts, wrong answers i how steeply it falls. Two lines cross once at most, at x = (c - c') / (i - i'), that is at
t = x / (1 + x). Never answering scores 0 throughout: from t = c / (c + i) on, a model does worse than that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from abstain.evals.logs.grades import ABSTAINED
from abstain.evals.metrics.intervals import Interval, interval_ends, mean_interval
from abstain.evals.records import Record
from abstain.evals.rescore.metrics import mean_points
from abstain.evals.rescore.runs import Run
from abstain.rewards.prompts import TARGETS, check_target, penalty
from abstain.rewards.verdict import Verdict

_MANY = 12  # models, above which only neighbours in the ranking are compared
_PARTS, _ROUNDS = 8, 5  # into which the targets are parted, and how often what is left is


@dataclass(frozen=True)
class PenaltyCurve:
    """Shares of n questions, and the score they give at any target: what can be said of a log that has grades only.

        {"CORRECT": 22, "INCORRECT": 26, "ABSTAINED": 52}  ->  0.22 at t = 0, below 0 from t = 0.458 on

    The model was never told t, so its answers are the same at every t and the score is one curve. That is worth
    seeing, since models change places along it, but it is no audit of behavioral calibration: for that the target must
    be in the prompt (`abstain eval MODEL --audit`).

    Args:
        n: questions, ungraded ones included.
        right, wrong, abstained, ungraded: shares of n.
    """

    n: int
    right: float
    wrong: float
    abstained: float
    ungraded: float

    def score(self, target: float) -> float:
        """S_t = right - wrong * t / (1 - t), points per question (Kalai et al. 2025, section 4.2)."""
        return self.right - self.wrong * penalty(target)

    @property
    def worth_asking_below(self) -> float | None:
        """The target at which S_t falls to 0, the score of never answering: accuracy when attempted, or `None`."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    def scores(self, targets: Iterable[float] = TARGETS) -> list[dict[str, float]]:
        """`[{"target": t, "score": S_t}, ...]`, for a table or a plot."""
        return [{"target": check_target(t), "score": self.score(t)} for t in targets]


def penalty_curve(counts: Mapping[str, int] | Sequence[Record]) -> PenaltyCurve:
    """The penalty curve of one model.

    Args:
        counts: how many answers got each verdict, or the records themselves, one per question.

    Raises:
        ValueError: an unknown verdict, a negative count, or nothing graded at all.

    Example:
        >>> curve = penalty_curve({"CORRECT": 22, "INCORRECT": 26, "ABSTAINED": 52})
        >>> round(curve.score(0.5), 2), round(curve.worth_asking_below, 3)
        (-0.04, 0.458)
    """
    tally = dict.fromkeys(Verdict, 0)
    pairs = counts.items() if isinstance(counts, Mapping) else ((record.verdict, 1) for record in counts)
    for name, count in pairs:
        if name not in tally or count < 0:
            raise ValueError(f"{name!r}: {count} is no count of a verdict; allowed: {', '.join(Verdict)}")
        tally[Verdict(name)] += count
    n = sum(tally.values())
    if n == tally[Verdict.UNGRADED]:
        raise ValueError(f"no penalty curve: none of {n} answers is graded")
    return PenaltyCurve(n, *(tally[verdict] / n for verdict in Verdict))


def crossing(one: PenaltyCurve, other: PenaltyCurve) -> float | None:
    """The target in (0, 1) at which two models change places, or `None` if one leads at every target.

    right - wrong x = right' - wrong' x has one solution in the penalty x = t / (1 - t), and t = x / (1 + x).

    Example:
        >>> mini = penalty_curve({"CORRECT": 22, "INCORRECT": 26, "ABSTAINED": 52})
        >>> o4 = penalty_curve({"CORRECT": 24, "INCORRECT": 75, "ABSTAINED": 1})
        >>> round(crossing(mini, o4), 4), crossing(mini, mini)
        (0.0392, None)
    """
    if one.wrong == other.wrong:
        return None
    x = (one.right - other.right) / (one.wrong - other.wrong)
    return x / (1 + x) if x > 0 else None


@dataclass(frozen=True)
class Stretch:
    """Targets from `start` to `end` at which one model scores best; `None`: all score below never answering."""

    start: float
    end: float
    best: str | None


@dataclass(frozen=True)
class Crossing:
    """The target at which two models change places.

    Args:
        target: t.
        below: who scores more at lower targets.
        above: who scores more at higher ones.
        interval: all t at which the two may score alike; `None` if the number of questions is not known.
        paired: the interval pairs questions that both were asked.
    """

    target: float
    below: str
    above: str
    interval: Interval | None
    paired: bool


@dataclass(frozen=True)
class Lead:
    """How far the best model is ahead of the second one at a target."""

    target: float
    best: str
    second: str
    difference: float
    interval: Interval | None
    paired: bool


@dataclass(frozen=True)
class Ranking:
    """The models of one task.

    Args:
        task: its name.
        orders: target to labels, best first.
        stretches: who is best where; none if targets were stated, since then only these are known.
        crossings: where two change places, by target.
        leads: one for each target.
    """

    task: str
    orders: dict[float, list[str]]
    stretches: list[Stretch]
    crossings: list[Crossing]
    leads: list[Lead]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"orders": [{"target": t, "labels": order} for t, order in self.orders.items()]}


def rank(task: str, runs: Sequence[Run], metrics: Sequence[dict[str, Any]]) -> Ranking:
    """Rank the runs of one task at every target that all of them have."""
    scores = [{row["target"]: row["score"] for row in run["by_target"] if row["score"] is not None} for run in metrics]
    shared = sorted(set.intersection(*map(set, scores))) if scores else []
    orders, leads = {}, []
    by_label = {run.label: run for run in runs}
    for t in shared:
        best_first = sorted(zip([run.label for run in runs], scores, strict=True), key=lambda pair: -pair[1][t])
        orders[t] = [label for label, _ in best_first]
        if len(orders[t]) > 1:
            ahead = best_first[0][1][t] - best_first[1][1][t]
            leads.append(_lead(by_label[orders[t][0]], by_label[orders[t][1]], t, ahead))
    fixed = [run for run in runs if run.level < 3]
    curves = {run.label: _curve(run) for run in fixed}
    crossings = _crossings(fixed, curves, orders) if len(fixed) == len(runs) else []
    return Ranking(task, orders, _stretches(curves) if len(fixed) == len(runs) else [], crossings, leads)


def _curve(run: Run) -> PenaltyCurve:
    if run.summary:
        return PenaltyCurve(run.summary.n or 0, *run.summary.shares)
    return PenaltyCurve(len(run.verdict), *(run.counts() / len(run.verdict)).tolist())


def _stretches(curves: dict[str, PenaltyCurve]) -> list[Stretch]:
    """The best line on every stretch between two crossings, never answering among them."""
    lines: dict[str | None, PenaltyCurve] = dict(curves.items())
    lines[None] = PenaltyCurve(0, 0.0, 0.0, 1.0, 0.0)
    cuts = {t for one, other in combinations(lines.values(), 2) if (t := crossing(one, other)) is not None}
    edges = sorted({0.0, *cuts, 1.0})
    found: list[Stretch] = []
    for start, end in pairwise(edges):
        middle = (start + end) / 2
        best = max(lines, key=lambda label: (lines[label].score(middle), label is not None))
        if found and found[-1].best == best:
            found[-1] = Stretch(found[-1].start, end, best)
        else:
            found.append(Stretch(start, end, best))
    return found


def _crossings(runs: Sequence[Run], curves: dict[str, PenaltyCurve], orders: dict[float, list[str]]) -> list[Crossing]:
    """Of all pairs, or with many models of those that stand next to each other at some target."""
    neighbours = {frozenset(pair) for order in orders.values() for pair in pairwise(order)}
    found = []
    for one, other in combinations(runs, 2):
        if len(runs) > _MANY and {one.label, other.label} not in neighbours:
            continue
        t = crossing(curves[one.label], curves[other.label])
        if t is None:
            continue
        below, above = (one, other) if curves[one.label].right > curves[other.label].right else (other, one)
        interval, paired = _crossing_interval(below, above, t)
        found.append(Crossing(t, below.label, above.label, interval, paired))
    return sorted(found, key=lambda crossing: crossing.target)


def _crossing_interval(below: Run, above: Run, t: float) -> tuple[Interval | None, bool]:
    """Where the interval of the difference of bounded scores holds 0, looked for from t outward."""
    pairs = _paired_verdicts(below, above)
    if pairs is not None:
        first, second = (np.minimum(verdict, ABSTAINED).astype(int) for verdict in pairs)
        counts = np.bincount(3 * first + second, minlength=9)

        def differences(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            worth = _bounded_points(targets)
            return interval_ends((worth[:, :, None] - worth[:, None, :]).reshape(len(targets), 9), counts)

        return _where_alike(differences, t), True
    one, other = _tally(below), _tally(above)
    if not (one.any() and other.any()):
        return None, False
    return _where_alike(lambda targets: _unpaired_ends(one, other, _bounded_points(targets)), t), False


def _where_alike(differences: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], t: float) -> Interval:
    """From the least to the greatest target at which the ends of a difference have 0 between them.

    Args:
        differences: lower and upper ends at targets.
        t: one at which the difference is 0.
    """
    inner, outer = np.array([t, t]), np.array([0.0, 1.0])
    for _ in range(_ROUNDS):
        grid = np.linspace(inner, outer, _PARTS + 1)
        low, high = differences(grid.ravel())
        alike = ((low <= 0) & (high >= 0)).reshape(grid.shape)
        alike[0] = True
        last = _PARTS - np.argmax(alike[::-1], axis=0)
        inner = grid[last, (0, 1)]
        outer = grid[np.minimum(last + 1, _PARTS), (0, 1)]
    return float(inner[0]), float(inner[1])


def _bounded_points(targets: np.ndarray) -> np.ndarray:
    """What right, wrong and no answers are worth in R_t = (1 - t) S_t, which is finite up to t = 1; (targets, 3)."""
    return np.stack([1 - targets, -targets, 0 * targets], axis=1)


def _unpaired_ends(one: np.ndarray, other: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the difference of the means of two independent samples, from the ends of each (Newcombe 1998).

    The distances of a difference's ends are those of the two means that pull the same way, as the legs of a triangle.
    """
    (mean, low, high), (mean_, low_, high_) = (
        (points @ (counts / counts.sum()), *interval_ends(points, counts)) for counts in (one, other)
    )
    difference = mean - mean_
    return difference - np.hypot(mean - low, high_ - mean_), difference + np.hypot(high - mean, mean_ - low_)


def _tally(run: Run) -> np.ndarray:
    """How many questions had a right, a wrong and no answer; all 0 if that is not known."""
    right, wrong, *others = np.array(run.summary.shares) * (run.summary.n or 0) if run.summary else run.counts()
    return np.array([right, wrong, sum(others)])


def _paired_verdicts(one: Run, other: Run) -> tuple[np.ndarray, np.ndarray] | None:
    """The verdicts of both on the same questions, if both were asked exactly these, once each."""
    if one.summary or other.summary or one.repeated or other.repeated or len(one.question) != len(other.question):
        return None
    first, second = np.argsort(one.question, kind="stable"), np.argsort(other.question, kind="stable")
    if not np.array_equal(one.question[first], other.question[second]):
        return None
    return one.verdict[first], other.verdict[second]


def _lead(best: Run, second: Run, target: float, difference: float) -> Lead:
    if not (best.summary or second.summary):
        (asked, points), (also_asked, other_points) = (mean_points(run.at(target), target) for run in (best, second))
        _, here, there = np.intersect1d(asked, also_asked, assume_unique=True, return_indices=True)
        if len(here) == max(len(asked), len(also_asked)):
            most = 1 + penalty(target)
            interval = mean_interval(points[here] - other_points[there], -most, most)
            return Lead(target, best.label, second.label, difference, interval, True)
    return Lead(target, best.label, second.label, difference, None, False)
