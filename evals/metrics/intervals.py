"""Intervals: how far a number would move if other questions had been drawn, and whether one run beat another.

Nearly all are bootstrap intervals (Efron 1979). Resampling N questions with replacement is drawing multinomial counts
of the distinct ones, and there are few: a question is right, wrong, abstained or ungraded. So the cost does not grow
with N, and memory hardly. All that is resampled anywhere is drawn by `resampled_counts`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
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
RESAMPLES = 2_000
LEVEL = 0.95
_CHUNK = 4_000_000  # draws held in memory at once


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Interval | None:
    """Percentile bootstrap interval of the mean over questions; `None` if there are no values.

    Args:
        values: one per question, such as its points.
        seed: same values and seed, same interval.
        resamples: bootstrap samples.
        level: coverage.

    Example:
        >>> bootstrap_interval([1, 1, 1])
        (1.0, 1.0)
        >>> low, high = bootstrap_interval([0, 1] * 50)
        >>> 0.38 < low < 0.42 < 0.58 < high < 0.62
        True
    """
    return points_interval(values, np.ones(len(values), dtype=int), seed=seed, resamples=resamples, level=level)


def points_interval(
    points: Sequence[float] | np.ndarray,
    counts: Sequence[int] | np.ndarray,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval | None:
    """`bootstrap_interval` of questions of which only is known how many earned what: a million cost what a dozen do.

    Args:
        points: what an outcome is worth.
        counts: how many questions had it.
        seed, resamples, level: as there, and with the same draws.

    Example:
        >>> points_interval([1, -1, 0], [30, 20, 50]) == bootstrap_interval([1] * 30 + [-1] * 20 + [0] * 50)
        True
    """
    counts = np.asarray(counts)
    worth, outcome = np.unique(np.asarray(points, dtype=float)[counts > 0], return_inverse=True)
    if not len(worth):
        return None
    merged = np.bincount(outcome, counts[counts > 0]).astype(int)
    sums = resampled_sums(worth[:, None], merged, seed=seed, resamples=resamples)
    return quantile_interval(sums[:, 0] / merged.sum(), level)


def statistic_interval(
    statistic: Callable[[np.ndarray], np.ndarray],
    counts: Sequence[int] | np.ndarray,
    *,
    seed: int = 0,
) -> Interval | None:
    """Interval of any number that depends on the counts of outcomes alone, such as a ratio.

    Args:
        statistic: takes resampled counts, an outcome a row and a resample a column; gives one number for each column.
        counts: how many questions had each outcome.
        seed: as in `bootstrap_interval`.

    Returns:
        `None` if there are no questions, or the number cannot be had in any resample. Resamples where it cannot (NaN:
        a ratio of nothing to nothing) are left out.

    Example:
        >>> low, high = statistic_interval(lambda count: count[0] / (count[0] + count[1]), [40, 10, 50])
        >>> 0.66 < low < 0.72 < 0.88 < high < 0.92
        True
    """
    counts = np.asarray(counts)
    if not counts.sum():
        return None
    samples = resampled_sums(np.eye(len(counts)), counts, seed=seed).T
    with np.errstate(divide="ignore", invalid="ignore"):
        return quantile_interval(np.asarray(statistic(samples)))


def resampled_counts(
    n: int, shares: np.ndarray | None = None, *, seed: int = 0, resamples: int = RESAMPLES
) -> Iterator[np.ndarray]:
    """How often each question, or each outcome, is drawn in bootstrap samples of n questions.

    Args:
        n: questions.
        shares: of the questions, those that had each outcome; without them each question is told from the others.
        seed: same arguments and seed, same draws.
        resamples: bootstrap samples.

    Returns:
        (samples, questions or outcomes), in pieces that fit into memory.

    Example:
        >>> [drawn.sum(axis=1).tolist() for drawn in resampled_counts(5, resamples=3)]
        [[5.0, 5.0, 5.0]]
    """
    rng = np.random.default_rng(seed)
    size = max(1, _CHUNK // max(1, n if shares is None else len(shares)))
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        if shares is not None:
            yield rng.multinomial(n, shares, size=rows)
        else:  # the same as with equal shares, but much faster
            drawn = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
            yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(float)


def resampled_sums(
    rows: np.ndarray, counts: np.ndarray | None = None, *, seed: int = 0, resamples: int = RESAMPLES
) -> np.ndarray:
    """Sums of each column in each bootstrap sample of the rows, (resamples, columns).

    Args:
        rows: (questions or outcomes, columns).
        counts: how many questions each row stands for; one, by default.
        seed, resamples: as in `resampled_counts`.

    Example:
        >>> resampled_sums(np.ones((4, 1)), resamples=2).tolist()
        [[4.0], [4.0]]
    """
    n, shares = (len(rows), None) if counts is None else (int(counts.sum()), counts / counts.sum())
    return np.concatenate([drawn @ rows for drawn in resampled_counts(n, shares, seed=seed, resamples=resamples)])


def resampled_means(values: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Means of each column in each bootstrap sample of the rows.

    A row is a question with all that was measured on it, so that what its columns share stays together: the targets of
    a run, or the repeats of a question.

    Args:
        values: (questions, columns); NaN where a question has no value.
        seed, resamples: as in `bootstrap_interval`.

    Returns:
        (resamples, columns); NaN where a sample has no value. There are no samples of no questions.

    Example:
        >>> resampled_means(np.array([[1.0, np.nan], [1.0, 0.5]]), resamples=3)[:, 0]
        array([1., 1., 1.])
    """
    known = ~np.isnan(values)
    rows, counts = _distinct_rows(np.hstack([np.nan_to_num(values), known]))
    if not len(rows):
        return np.empty((0, values.shape[1]))
    totals, sizes = np.hsplit(resampled_sums(rows, counts, seed=seed, resamples=resamples), 2)
    with np.errstate(invalid="ignore"):
        return totals / sizes


def _distinct_rows(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows and how often each occurs; sorting one column at a time is much faster than whole rows."""
    code = np.zeros(len(table), dtype=np.int64)
    for column in table.T:
        distinct, number = np.unique(column, return_inverse=True)
        code = np.unique(code * len(distinct) + number, return_inverse=True)[1]
    _, where, counts = np.unique(code, return_index=True, return_counts=True)
    return table[where], counts


def quantile_interval(samples: np.ndarray, level: float = LEVEL) -> Interval | None:
    """The middle `level` of bootstrap samples, those that are NaN left out; `None` if no others are there.

    Example:
        >>> quantile_interval(np.array([0.0, 1.0, 2.0, np.nan]), level=0.5)
        (0.5, 1.5)
    """
    known = samples[np.isfinite(samples)]
    if not len(known):
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def student_interval(means: Sequence[float]) -> Interval:
    """Student's interval of the mean over seeds, each of which gives one number; at least two of them.

    Example:
        >>> student_interval([0.0, 0.25, 0.5])
        (-0.371..., 0.871...)
    """
    half = float(stdtrit(len(means) - 1, (1 + LEVEL) / 2)) * stdev(means) / len(means) ** 0.5
    return fmean(means) - half, fmean(means) + half


def wilson_interval(part: Any, whole: Any, level: float = LEVEL) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's interval of a share (1927), which keeps its width where the share is 0 or 1.

    The roots p of |k / n - p| = z sqrt(p (1 - p) / n), as `scipy.stats.binomtest(k, n).proportion_ci` finds them one
    by one.

    Args:
        part: k, numbers or arrays.
        whole: n, all above 0.
        level: coverage.

    Returns:
        The lower and the upper ends.

    Example:
        >>> low, high = wilson_interval([2, 5], [2, 10])
        >>> low.round(2), high.round(2)
        (array([0.34, 0.24]), array([1.  , 0.76]))
    """
    k, n, z = np.asarray(part, dtype=float), np.asarray(whole, dtype=float), ndtri((1 + level) / 2)
    p, width = k / n, 2 * (n + z**2)
    middle, half = (2 * n * p + z**2) / width, z / width * np.sqrt(4 * n * p * (1 - p) + z**2)
    return np.where(k == 0, 0.0, middle - half), np.where(k == n, 1.0, middle + half)


# Whether one run did better than another: differences question by question, and how sure they are.


def paired_difference(
    first: Sequence[Record], second: Sequence[Record], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """How much better the second run did than the first: differences of S_t and of bounded R_t, second - first.

    Only questions that both were asked at a target, and that were graded in both, are compared there; repeats of a
    question count as their mean. Questions are resampled, each with both runs and all its targets: what these share,
    such as being hard, cancels, which it does not when two intervals are held side by side.

    Args:
        first, second: records, matched by task, question id and target.
        seed, resamples: as in `bootstrap_interval`.

    Returns:
        `n` questions compared, `unpaired` questions that were not, and in `by_target`, for each target that both
        state, `n`, `score`, `score_ci`, `bounded_score` and `bounded_score_ci`; `mean_score` and so on are the means
        over these targets, `None` if one of them has no pair.

    Example:
        >>> ask = lambda id, verdict: Record(id, "toy", "Where?", (), 0.5, "", "", "", verdict, None)
        >>> before = [ask("a", Verdict.INCORRECT), ask("b", Verdict.CORRECT)]
        >>> after = [ask("a", Verdict.ABSTAINED), ask("b", Verdict.CORRECT)]
        >>> found = paired_difference(before, after)
        >>> found["n"], found["mean_score"], found["by_target"][0]["score_ci"]
        (2, 0.5, [0.0, 1.0])
    """
    old, new = _points(first), _points(second)
    pairs = {key: new[key] - old[key] for key in old.keys() & new.keys() if not np.isnan(new[key] - old[key])}
    targets = sorted({target for _, target in old} & {target for _, target in new})
    rows = {question: row for row, question in enumerate(sorted({question for question, _ in pairs}))}
    values = np.full((len(rows), len(targets)), np.nan)
    for (question, target), difference in pairs.items():
        values[rows[question], targets.index(target)] = difference
    asked = {question for question, _ in old.keys() | new.keys()}
    compared = differences(values, targets, seed=seed, resamples=resamples)
    return {"n": len(rows), "unpaired": len(asked) - len(rows), **compared}


def differences(
    values: np.ndarray, targets: Sequence[float], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """What `paired_difference` finds, from differences that are at hand already, such as a million of them.

    Args:
        values: (questions, targets) differences of S_t; NaN where there is no pair.
        targets: confidence targets, one for each column.
        seed, resamples: as in `bootstrap_interval`.

    Example:
        >>> differences(np.array([[2.0], [2.0]]), [0.5])["mean_bounded_score_ci"]
        [1.0, 1.0]
    """
    samples = resampled_means(values, seed=seed, resamples=resamples)
    sizes = (~np.isnan(values)).sum(axis=0)
    totals = np.nansum(values, axis=0)
    means = np.divide(totals, sizes, out=np.full(len(targets), np.nan), where=sizes > 0)
    rows: list[dict[str, Any]] = [{"target": t, "n": int(n)} for t, n in zip(targets, sizes, strict=True)]
    overall: dict[str, Any] = {}
    for name, scale in (("score", np.ones(len(targets))), ("bounded_score", 1 - np.asarray(targets, dtype=float))):
        for column, row in enumerate(rows):
            row |= _named(name, means[column] * scale[column], samples[:, column] * scale[column])
        mean = float(np.mean(means * scale)) if len(targets) else np.nan
        overall |= _named(f"mean_{name}", mean, (samples * scale).mean(axis=1) if len(targets) else means)
    return {"by_target": rows, **overall}


def _named(name: str, value: float, samples: np.ndarray) -> dict[str, Any]:
    interval = quantile_interval(samples)
    return {name: None if np.isnan(value) else float(value), f"{name}_ci": list(interval) if interval else None}


def _points(records: Sequence[Record]) -> dict[Key, float]:
    """Mean points by question and target; NaN where nothing was graded."""
    earned: dict[Key, list[float]] = defaultdict(list)
    for record in records:
        worth = {Verdict.CORRECT: 1.0, Verdict.INCORRECT: -penalty(record.target), Verdict.ABSTAINED: 0.0}
        graded = earned[(record.task, record.id), record.target]
        if record.verdict in worth:
            graded.append(worth[record.verdict])
    return {key: float(np.mean(points)) if points else np.nan for key, points in earned.items()}
