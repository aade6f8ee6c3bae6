"""The confidence above which a model answers, whatever it was told: its effective threshold.

**Definition.** Let p_i be P(correct) of question i, and a_i whether the model attempts it. By the bounded score a
policy loses to the best one, at target u, sum_i |p_i - u| over the questions it decides otherwise than "answer iff
p_i > u" does:

    L(u) = sum_i max(0, p_i - u) - sum_i a_i (p_i - u).

L is convex in u, and its slope is the number attempted minus the number of questions with p_i > u. So the target
that the model's decisions suit best, tau = argmin_u L(u), is simply the one whose threshold policy attempts as many
questions: with m attempted, tau lies between the (m+1)-th and the m-th largest p_i (`Threshold.low`, `high`).

**What is identified.** That bracket, and no more: where no question lies between, any target within fits equally
well, and a model that attempts everything (nothing) has a threshold below all p_i (above all p_i). The other natural
estimate, the p at which a logistic regression of a_i on p_i crosses one half, picks a point of the bracket by its
functional form, is not defined where the attempts do not rise with p, and runs to infinity where they are all alike.
tau needs none of that, but for the same reason says nothing about *which* questions are attempted. That is
the part of `selections`: only a model that goes by p has a threshold at all.

**Interval.** Questions are resampled, P(correct) is fitted anew each time, and the interval runs from the 2.5 %
quantile of the lower ends to the 97.5 % quantile of the upper ends (Efron 1979). A threshold is no mean of anything:
this is the one interval of the project that is not of the kind of `abstain.evals.metrics.intervals`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from abstain.evals.audit.sources import ConfidenceSource, fit_platt
from abstain.evals.metrics.intervals import LEVEL, Interval, mean_interval
from abstain.evals.metrics.oracle import log_odds

RESAMPLES = 1_000
_GROUPS = 256  # of neighbouring confidence, for the fits
_CHUNK = 4_000_000  # draws held in memory at once


@dataclass(frozen=True)
class Threshold:
    """An effective threshold.

    Args:
        low: P(correct) of the surest question left, if as many were attempted by a threshold; 0 if none is left.
        high: P(correct) of the least sure one attempted; 1 if none is.
        interval: 95 % bootstrap interval of the whole bracket.
    """

    low: float
    high: float
    interval: tuple[float, float]

    @property
    def value(self) -> float:
        """The middle of the bracket."""
        return (self.low + self.high) / 2


def effective_thresholds(
    source: ConfidenceSource, attempted: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES
) -> list[Threshold]:
    """The effective threshold of each policy.

    Args:
        source: forced answers to the questions, all of them graded.
        attempted: (questions, policies), true where the policy offers an answer.
        seed: of the bootstrap.
        resamples: bootstrap samples.

    Example:
        >>> import numpy as np
        >>> from abstain.evals.metrics.oracle import ForcedAnswers
        >>> p = np.array([0.3, 0.6, 0.7, 0.9])
        >>> known = ConfidenceSource("known", "toy", ForcedAnswers(tuple("abcd"), np.ones(4), p))
        >>> found = effective_thresholds(known, np.stack([p > 0.65, p > 0], axis=1))
        >>> [(threshold.low, threshold.high) for threshold in found]
        [(0.6, 0.7), (0.0, 0.3)]
    """
    order = np.argsort(-source.answers.confidence, kind="stable")
    attempted = attempted[order].astype(float)
    ladder = _Ladder(source, order)
    point = ladder.brackets(np.ones((1, len(order))), attempted)[0]
    chunks = resampled_counts(len(order), seed=seed, resamples=resamples)
    drawn = np.concatenate([ladder.brackets(counts, attempted) for counts in chunks])
    tail = (1 - LEVEL) / 2
    lows, highs = np.quantile(drawn[..., 0], tail, axis=0), np.quantile(drawn[..., 1], 1 - tail, axis=0)
    return [
        Threshold(float(low), float(high), (float(start), float(end)))
        for (low, high), start, end in zip(point, lows, highs, strict=True)
    ]


def resampled_counts(n: int, *, seed: int, resamples: int) -> Iterator[np.ndarray]:
    """How often each question is drawn in bootstrap samples of n questions.

    Args:
        n: questions.
        seed: same arguments and seed, same draws.
        resamples: bootstrap samples.

    Returns:
        (samples, questions), in pieces that fit into memory.

    Example:
        >>> [drawn.sum(axis=1).tolist() for drawn in resampled_counts(5, seed=0, resamples=3)]
        [[5.0, 5.0, 5.0]]
    """
    rng, size = np.random.default_rng(seed), max(1, _CHUNK // n)
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        drawn = rng.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(float)


class _Ladder:
    """The questions of a source in falling order of confidence, whatever the resample."""

    def __init__(self, source: ConfidenceSource, order: np.ndarray) -> None:
        self.confidence = source.answers.confidence[order]
        self.right = source.answers.correct[order]
        self.calibrated = source.calibrated
        self.z = log_odds(self.confidence)
        self.starts = np.unique(np.linspace(0, len(order), min(len(order), _GROUPS), endpoint=False).astype(int))
        self.group_z = np.add.reduceat(self.z, self.starts) / np.diff([*self.starts, len(order)])

    def brackets(self, counts: np.ndarray, attempted: np.ndarray) -> np.ndarray:
        """Both ends of every policy's bracket (resamples, policies, 2), with each question `counts` times."""
        offset, slope = self._fit(counts)
        so_far = counts.cumsum(1)
        wanted = counts @ attempted
        ends = np.empty((*wanted.shape, 2))
        for row, (steps, target) in enumerate(zip(so_far, wanted, strict=True)):
            following = np.searchsorted(steps, target, side="right")
            last = np.searchsorted(steps, target, side="left")
            ends[row, :, 0] = np.where(target < steps[-1], self._p(following, offset[row], slope[row]), 0.0)
            ends[row, :, 1] = np.where(target > 0, self._p(last, offset[row], slope[row]), 1.0)
        return ends

    def _fit(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.calibrated:
            return np.zeros(len(counts)), np.ones(len(counts))
        right = np.add.reduceat(counts * self.right, self.starts, axis=1)
        return fit_platt(self.group_z, right, np.add.reduceat(counts, self.starts, axis=1) - right)

    def _p(self, rungs: np.ndarray, offset: float, slope: float) -> np.ndarray:
        rungs = np.minimum(rungs, len(self.z) - 1)
        return self.confidence[rungs] if self.calibrated else expit(offset + slope * self.z[rungs])


@dataclass(frozen=True)
class Selection:
    """How well a policy selects what to attempt, by the accuracy A of forced answers.

    Args:
        gain: A(attempted) - A(all): above 0 if it goes by how sure it is.
        gain_ci: 95 % interval.
        selectivity: `gain` over what as many attempts would gain by a threshold on the confidence: 1 for a policy that
            goes by its P(correct), 0 for one that abstains at random, above 1 for one that knows more than the source.
            `None` where such a threshold gains nothing for sure.
        selectivity_ci: 95 % interval.
    """

    gain: float
    gain_ci: Interval
    selectivity: float | None
    selectivity_ci: Interval | None


def selections(source: ConfidenceSource, attempted: np.ndarray) -> list[Selection | None]:
    """How well each policy selects; `None` for one that attempts all or nothing.

    Args:
        source, attempted: as for `effective_thresholds`.

    Example:
        >>> import numpy as np
        >>> from abstain.evals.metrics.oracle import ForcedAnswers
        >>> q, right = np.arange(40) / 40, (np.arange(40) >= 20).astype(float)
        >>> source = ConfidenceSource("own", "toy", ForcedAnswers(tuple(map(str, range(40))), right, q))
        >>> policies = np.stack([q >= 0.25, np.arange(40) % 2 == 0, q >= 0], axis=1)
        >>> [one and (round(one.gain, 2), round(one.selectivity, 2)) for one in selections(source, policies)]
        [(0.17, 1.0), (0.0, 0.0), None]
    """
    right, confidence = source.answers.correct, source.answers.confidence
    return [
        _selection(policy.astype(float), _surest(confidence, policy.sum()), right) if 0 < policy.mean() < 1 else None
        for policy in attempted.T
    ]


def _selection(policy: np.ndarray, threshold: np.ndarray, right: np.ndarray) -> Selection:
    """From the weights that a policy, and a threshold on the confidence, give to each question.

    Gains and their ratio are no means over questions, but nearly: each question adds by how much the number would
    change if there were more of its kind.
    """
    gain, of_policy = _gain(policy, right)
    most, of_threshold = _gain(threshold, right)
    kinds = np.stack(np.meshgrid((0.0, 1.0), (0.0, 1.0), (0.0, 1.0)), axis=-1).reshape(-1, 3).T
    gain_ci = _interval_of(gain + of_policy(policy, right), gain + of_policy(kinds[0], kinds[2]))
    if _interval_of(most + of_threshold(threshold, right), most + of_threshold(kinds[1], kinds[2]))[0] <= 0:
        return Selection(gain, gain_ci, None, None)
    share = gain / most

    def of_share(policy: np.ndarray, threshold: np.ndarray, right: np.ndarray) -> np.ndarray:
        return share + (of_policy(policy, right) - share * of_threshold(threshold, right)) / most

    return Selection(gain, gain_ci, share, _interval_of(of_share(policy, threshold, right), of_share(*kinds)))


def _gain(weights: np.ndarray, right: np.ndarray) -> tuple[float, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """A(weighted) - A(all), and what questions of given weights, right or wrong, move it by."""
    share, accuracy, of_all = weights.mean(), (weights * right).sum() / weights.sum(), right.mean()
    return float(accuracy - of_all), lambda w, r: w / share * (r - accuracy) - (r - of_all)


def _interval_of(values: np.ndarray, possible: np.ndarray) -> Interval:
    interval = mean_interval(values, possible.min(), possible.max())
    assert interval  # there are values
    return interval


def _surest(confidence: np.ndarray, count: float) -> np.ndarray:
    """Which questions the `count` surest are: 1 or 0, and a share where some of a tie are wanted."""
    _, group, sizes = np.unique(-confidence, return_inverse=True, return_counts=True)
    before = np.cumsum(sizes) - sizes
    return np.clip((count - before) / sizes, 0, 1)[group]
