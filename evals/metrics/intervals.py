"""Intervals: how far a number would move if other questions had been drawn, and whether one run beat another.

One kind for shares, scores and paired differences. All are means over questions that are each worth one of a few known
values, right, wrong or abstained, and a value is possible even if no question of a sample had it. A value s is in the
interval of a mean m over n questions unless m is further from it than chance explains if s were true:

    |m - s| <= z sqrt(V / n), shifted by (z^2 - 1) / 6 M / (V n)

with V and M the second and third central moments of the likeliest distribution of the possible values whose mean is s.
For two values that is Wilson's interval (1927), for differences of right answers Tango's (1998), both with the
correction for skewness of Gart and Nam (1988). There is no seed, no width is 0, and a million questions cost what a
dozen do. How often they hold is in docs/intervals.md.
"""

from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from abstain.evals.records import Record
from abstain.rewards.prompts import penalty
from abstain.rewards.verdict import Verdict

Interval = tuple[float, float]
Key = tuple[tuple[str, str], float]
"""Of an answer: task and question id, and target."""
LEVEL = 0.95
KIND = "score interval, corrected for skewness"
_PARTS, _ROUNDS = 32, 6  # into which the ways to other means are parted, and how often what is left is
_CHUNK = 1_000_000  # numbers held at once
_DISTINCT = 4_096  # values that are told apart


def points_interval(
    points: Sequence[float] | np.ndarray, counts: Sequence[int] | np.ndarray, *, level: float = LEVEL
) -> Interval | None:
    """Interval of the mean of questions of which is known how many earned what; `None` if there are none.

    Args:
        points: what each outcome is worth that is possible, those with a count of 0 too.
        counts: how many questions had it.
        level: coverage.

    Example:
        >>> [round(end, 3) for end in points_interval([1, -3, 0], [97, 1, 2])]
        [0.79, 0.988]
        >>> [round(end, 3) for end in points_interval([1, 0], [10, 0])]
        [0.76, 1.0]
    """
    if not np.sum(counts):
        return None
    low, high = interval_ends(points, counts, level=level)
    return float(low[0]), float(high[0])


def mean_interval(
    values: Sequence[float] | np.ndarray, worst: float, best: float, *, level: float = LEVEL
) -> Interval | None:
    """`points_interval` of questions one by one; `None` if there are no values.

    Args:
        values: one per question, such as its mean points over repeats.
        worst, best: what a question could have been worth. A value beyond shows that this was possible too.
        level: coverage.

    Example:
        >>> mean_interval([1, 1, -1, 0], -1, 1) == points_interval([1, 0, -1], [2, 1, 1])
        True
    """
    points, counts = np.unique(np.asarray(values, dtype=float), return_counts=True)
    if len(points) > _DISTINCT:  # those next to each other as their mean, which hardly changes how far they spread
        place = ((points - points[0]) / (points[-1] - points[0]) * (_DISTINCT - 1)).astype(int)
        sums, counts = np.bincount(place, points * counts), np.bincount(place, counts)
        points, counts = sums[counts > 0] / counts[counts > 0], counts[counts > 0]
    return points_interval([*points, worst, best], [*counts, 0, 0], level=level)


def share_interval(part: Any, whole: Any, *, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of shares: Wilson's (1927), corrected for skewness.

    Args:
        part: k, numbers or arrays.
        whole: n, all above 0.
        level: coverage.

    Returns:
        The lower and the upper ends.

    Example:
        >>> low, high = share_interval([2, 5], [2, 10])
        >>> low.round(2), high.round(2)
        (array([0.27, 0.22]), array([1.  , 0.78]))
    """
    part, whole = np.broadcast_arrays(part, whole)
    low, high = interval_ends([1, 0], np.stack([part, whole - part], axis=-1).reshape(-1, 2), level=level)
    return low.reshape(part.shape), high.reshape(part.shape)


def interval_ends(
    points: Sequence[float] | np.ndarray, counts: Sequence[int] | np.ndarray, *, level: float = LEVEL
) -> tuple[np.ndarray, np.ndarray]:
    """`points_interval` of many samples at once.

    Args:
        points: (outcomes,) or (samples, outcomes).
        counts: (outcomes,) or (samples, outcomes), a question at least in each sample.
        level: coverage.

    Returns:
        The lower and the upper ends, (samples,).
    """
    worth, asked = np.broadcast_arrays(
        *np.atleast_2d(np.asarray(points, dtype=float), np.asarray(counts, dtype=float))
    )
    z = ndtri((1 + level) / 2)
    return _lower_ends(worth, asked, z), -_lower_ends(-worth, asked, z)


def _lower_ends(points: np.ndarray, counts: np.ndarray, z: float) -> np.ndarray:
    """The least means that are not rejected.

    They are looked for from the far end: where skewness is too great to be corrected, a mean next to the sample's may
    be rejected and one beyond it not.
    """
    below, row = _Below(points, counts), np.arange(len(points))
    near, far = np.zeros(len(points)), below.length
    size = max(1, _CHUNK // points.size)
    for _ in range(_ROUNDS):
        steps = np.linspace(near, far, _PARTS + 1, axis=1)
        pieces = [below.plausible(steps[:, start : start + size], z) for start in range(0, _PARTS + 1, size)]
        plausible = np.concatenate(pieces, axis=1)
        plausible[:, 0] = True
        last = _PARTS - np.argmax(plausible[:, ::-1], axis=1)
        near, far = steps[row, last], steps[row, np.minimum(last + 1, _PARTS)]
    mean = np.where(near == below.length, 0.0, below.moments(near[:, None])[0][:, 0])
    return points.min(axis=1) + np.ptp(points, axis=1) * mean


class _Below:
    """The likeliest distributions whose mean lies below the sample's, with points scaled to run from 0 to 1.

    Of all distributions of points d with a given mean, the likeliest has shares in proportion to
    count / (1 - u (1 - d)) for some u in [0, 1), and the greater u the lower the mean. Where no question had the least
    points this does not get to 0: from u = 1 on, the likeliest gives a growing share to them. So a path leads from the
    sample down to the least points, of length 1 or 2, and means fall along it.
    """

    def __init__(self, points: np.ndarray, counts: np.ndarray) -> None:
        span = np.ptp(points, axis=1, keepdims=True)
        d = (points - points.min(axis=1, keepdims=True)) / np.where(span > 0, span, 1)
        self.d = np.where(d > 1e-12, d, 0.0)
        self.n = counts.sum(axis=1, keepdims=True)
        self.shares = counts / self.n
        self.mean = (self.shares * self.d).sum(axis=1, keepdims=True)
        self.length = np.where((self.shares * (self.d == 0)).any(axis=1), 1, 2) * (1 - 1e-9)

    def moments(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mean, variance and third central moment at steps along the path; all are (samples, steps)."""
        shares, d = self.shares[:, None, :], self.d[:, None, :]
        heights = 1 - np.minimum(steps, 1)[..., None] * (1 - d)
        tilted = np.divide(shares, heights, out=np.zeros_like(heights), where=shares > 0)
        further = np.maximum(steps - 1, 0)
        unseen = further / (further + self.n * (1 - further))  # some 1 / n half-way, where it matters
        tilted *= ((1 - unseen) / tilted.sum(axis=-1))[..., None]
        mean = (tilted * d).sum(axis=-1)
        away = d - mean[..., None]
        squares = tilted * away * away
        variance = squares.sum(axis=-1) + unseen * mean**2
        return mean, variance, (squares * away).sum(axis=-1) - unseen * mean**3

    def plausible(self, steps: np.ndarray, z: float) -> np.ndarray:
        """Whether the sample's mean is no further above that at each step than chance explains."""
        mean, variance, third = self.moments(steps)
        skew = np.divide(third, variance, out=np.zeros_like(third), where=variance > 0)
        return self.mean - mean <= z * np.sqrt(variance / self.n) + (z**2 - 1) / 6 * skew / self.n


def student_interval(means: Sequence[float]) -> Interval:
    """Student's interval of the mean over seeds, each of which gives one number; at least two of them.

    Example:
        >>> student_interval([0.0, 0.25, 0.5])
        (-0.371..., 0.871...)
    """
    half = float(stdtrit(len(means) - 1, (1 + LEVEL) / 2)) * stdev(means) / len(means) ** 0.5
    return fmean(means) - half, fmean(means) + half


# Whether one run did better than another: differences question by question, and how sure they are.


def paired_difference(first: Sequence[Record], second: Sequence[Record]) -> dict[str, Any]:
    """How much better the second run did than the first: differences of S_t and of bounded R_t, second - first.

    Only questions that both were asked at a target, and that were graded in both, are compared there; repeats of a
    question count as their mean. What both runs and all targets of a question share, such as being hard, cancels,
    which it does not when two intervals are held side by side.

    Args:
        first, second: records, matched by task, question id and target.

    Returns:
        `n` questions compared, `unpaired` questions that were not, and in `by_target`, for each target that both
        state, `n`, `score`, `score_ci`, `bounded_score` and `bounded_score_ci`; `mean_score` and so on are the means
        over these targets, `None` if one of them has no pair.

    Example:
        >>> ask = lambda id, verdict: Record(id, "toy", "Where?", (), 0.5, "", "", "", verdict, None)
        >>> before = [ask("a", Verdict.INCORRECT), ask("b", Verdict.CORRECT)]
        >>> after = [ask("a", Verdict.ABSTAINED), ask("b", Verdict.CORRECT)]
        >>> found = paired_difference(before, after)
        >>> found["n"], found["mean_score"], [round(end, 2) for end in found["by_target"][0]["score_ci"]]
        (2, 0.5, [-1.34, 1.63])
    """
    old, new = _points(first), _points(second)
    pairs = {key: new[key] - old[key] for key in old.keys() & new.keys() if not np.isnan(new[key] - old[key])}
    targets = sorted({target for _, target in old} & {target for _, target in new})
    rows = {question: row for row, question in enumerate(sorted({question for question, _ in pairs}))}
    values = np.full((len(rows), len(targets)), np.nan)
    for (question, target), difference in pairs.items():
        values[rows[question], targets.index(target)] = difference
    asked = {question for question, _ in old.keys() | new.keys()}
    return {"n": len(rows), "unpaired": len(asked) - len(rows), **differences(values, targets)}


def differences(values: np.ndarray, targets: Sequence[float]) -> dict[str, Any]:
    """What `paired_difference` finds, from differences that are at hand already, such as a million of them.

    Args:
        values: (questions, targets) differences of S_t; NaN where there is no pair.
        targets: confidence targets, one for each column.

    Example:
        >>> found = differences(np.array([[2.0], [2.0]]), [0.5])
        >>> found["mean_bounded_score"], [round(end, 2) for end in found["mean_bounded_score_ci"]]
        (1.0, [-0.45, 1.0])
    """
    values = values[~np.isnan(values).all(axis=1)]
    ranges = np.array([1 + penalty(t) for t in targets])  # of a right answer in place of a wrong one
    rows: list[dict[str, Any]] = []
    for target, column, most in zip(targets, values.T, ranges, strict=True):
        known = column[~np.isnan(column)]
        mean, ends = (float(known.mean()), mean_interval(known, -most, most)) if len(known) else (None, None)
        rows.append(
            {
                "target": target,
                "n": len(known),
                **_named("score", mean, ends),
                **_named("bounded_score", mean, ends, 1 - target),
            }
        )
    bounded = 1 - np.asarray(targets, dtype=float)
    return {
        "by_target": rows,
        **_named("mean_score", *_over_targets(values, ranges)),
        **_named("mean_bounded_score", *_over_targets(values * bounded, ranges * bounded)),
    }


def _over_targets(values: np.ndarray, ranges: np.ndarray) -> tuple[float | None, Interval | None]:
    """The mean over targets of the means over questions, `None` if one has none.

    A question that is missing at a target counts there as the mean of the others, and these count for more.
    """
    known = ~np.isnan(values)
    sizes = known.sum(axis=0)
    if not len(ranges) or not sizes.all():
        return None, None
    means = np.nansum(values, axis=0) / sizes
    away = np.where(known, values - means, 0.0) * (len(values) / sizes)
    most = float(ranges.mean())
    low, high = mean_interval((means + away).mean(axis=1), -most, most) or (-most, most)
    return float(means.mean()), (max(low, -most), min(high, most))


def _named(name: str, value: float | None, ends: Interval | None, scale: float = 1.0) -> dict[str, Any]:
    return {
        name: None if value is None else value * scale,
        f"{name}_ci": None if ends is None else [end * scale for end in ends],
    }


def _points(records: Sequence[Record]) -> dict[Key, float]:
    """Mean points by question and target; NaN where nothing was graded."""
    earned: dict[Key, list[float]] = defaultdict(list)
    for record in records:
        worth = {Verdict.CORRECT: 1.0, Verdict.INCORRECT: -penalty(record.target), Verdict.ABSTAINED: 0.0}
        graded = earned[(record.task, record.id), record.target]
        if record.verdict in worth:
            graded.append(worth[record.verdict])
    return {key: float(np.mean(points)) if points else np.nan for key, points in earned.items()}
