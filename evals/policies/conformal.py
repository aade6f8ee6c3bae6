"""Thresholds that come with a guarantee: how often is it wrong, in questions that nobody has seen yet?

Answer where the confidence q exceeds a threshold, chosen on calibration questions. Two risks can be kept at a level:

| risk                | is                     | guarantee                                                          |
|---------------------|------------------------|--------------------------------------------------------------------|
| wrong among answers | P(wrong given q > τ)   | at most the level, with probability 1 - δ over the calibration draw |
| wrong among all     | P(wrong and q > τ)     | at most the level, on the mean over the calibration draw           |

Wrong among answers is what a reader of the answers meets, and what the target speaks of: with a share of at most
1 - t the answers score 0 points or more on the whole. But it may rise and fall with τ, so that conformal risk control,
which wants a risk that only falls, does not hold for it. So each of a few thresholds is tested: Learn then Test
(Angelopoulos et al. 2021, arXiv 2110.01052), for the risk of Geifman and El-Yaniv (2017, arXiv 1705.08500). Wrong
among all only falls as τ rises: conformal risk control (Angelopoulos et al. 2022, arXiv 2208.02814), as Abbasi Yadkori
et al. (2024, arXiv 2405.01563) abstain by.

Proofs, and what is not guaranteed, are in docs/policies.md.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import bdtr

from abstain.evals.metrics.oracle import ForcedAnswers

DELTA = 0.1
"""How often, over draws of the calibration questions, a certificate may be wrong."""
_STEP = 1.15  # from one number of answers to the next: finer steps are more of them, and each has to be surer
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Certificate:
    """A threshold, and what it rests on.

    Args:
        threshold: answer where the confidence exceeds it; `None` if none can be certified: then answer nothing.
        level: what the risk is kept at.
        n: calibration questions with a graded answer.
        answered: how many of them are above the threshold.
        wrong: how many of these are wrong.
        needed: answers, none of them wrong, that a certificate takes at least.
    """

    threshold: float | None
    level: float
    n: int
    answered: int
    wrong: int
    needed: int


def certify_answered(answers: ForcedAnswers, level: float, delta: float = DELTA) -> Certificate:
    """The lowest threshold of which it is sure that at most a share `level` of the answers above it are wrong.

    Thresholds that leave k answers are tried, for numbers k that n, level and δ fix beforehand: from the least that
    can be certified to n, each some 15% more than the one before. With e of k wrong, one passes if

        P(Binomial(k, level) <= e) <= δ / (number of thresholds)

    (a Clopper-Pearson bound, shared out by Bonferroni). With probability 1 - δ over calibration questions that are
    drawn independently from where later ones come from, P(wrong given q > τ) <= level; where nothing passes, nothing
    is answered and nothing claimed.

    Args:
        answers: to calibration questions. Those that are not graded, or of unknown confidence, are left out.
        level: share of wrong answers, in (0, 1]; at 1 everything is answered.
        delta: δ in (0, 1).

    Raises:
        ValueError: a level or a delta that is no such share.

    Example:
        >>> from abstain.rewards.verdict import Verdict
        >>> sure = [Verdict.CORRECT] * 60 + [Verdict.INCORRECT] * 40
        >>> found = certify_answered(ForcedAnswers.of(range(100), sure, np.linspace(1, 0.01, 100)), level=0.1)
        >>> found.answered, found.wrong, round(found.threshold, 2), found.needed
        (54, 0, 0.46, 42)
    """
    _check(level, delta)
    q, wrong = _surest_first(answers)
    n = len(q)
    if level == 1:
        return _certificate(q, wrong, 0.0, level, n, 0)
    counts = _counts(n, level, delta)
    needed = int(counts[0])
    if needed > n:
        return Certificate(None, level, n, 0, 0, needed)
    thresholds = np.append(q, 0.0)[counts]
    answered = np.searchsorted(-q, -thresholds, side="left")  # fewer than asked for where confidence is tied
    passed = bdtr(_errors(wrong)[answered], answered, level) <= delta / len(counts)  # the binomial's distribution
    if not passed.any():
        return Certificate(None, level, n, 0, 0, needed)
    return _certificate(q, wrong, float(thresholds[passed][-1]), level, n, needed)


def control_all(answers: ForcedAnswers, level: float) -> Certificate:
    """The lowest threshold at which, on the mean, at most a share `level` of all questions get a wrong answer.

    Conformal risk control: the lowest τ with (wrong answers above τ + 1) / (n + 1) <= level. For questions that are
    exchangeable with the calibration questions P(wrong and q > τ) <= level, on the mean over the calibration draw: for
    one draw it may be more.

    Args:
        answers: to calibration questions. Those that are not graded are left out, and those of unknown confidence are
            never answered.
        level: share of wrong answers, in (0, 1].

    Raises:
        ValueError: a level that is no such share.

    Example:
        >>> from abstain.rewards.verdict import Verdict
        >>> half = [Verdict.CORRECT, Verdict.INCORRECT] * 50
        >>> found = control_all(ForcedAnswers.of(range(100), half, np.linspace(1, 0.01, 100)), level=0.1)
        >>> found.answered, found.wrong, round(found.threshold, 2)  # (9 + 1) / 101 < .1
        (19, 9, 0.81)
    """
    _check(level, DELTA)
    q, wrong = _surest_first(answers)
    n = int((~np.isnan(answers.correct)).sum())
    allowed = math.floor(level * (n + 1) - 1 + _ROUNDING)
    needed = math.ceil(1 / level - 1 - _ROUNDING)
    if allowed < 0:
        return Certificate(None, level, n, 0, 0, needed)
    thresholds = np.append(q, 0.0)
    answered = np.searchsorted(-q, -thresholds, side="left")
    fits = _errors(wrong)[answered] <= allowed
    return _certificate(q, wrong, float(thresholds[fits][-1]), level, n, needed)


@cache
def _counts(n: int, level: float, delta: float) -> np.ndarray:
    """How many answers the thresholds leave; only the least that could ever do where n is less than that.

    Example:
        >>> _counts(100, 0.1, 0.1), _counts(20, 0.1, 0.1)
        (array([ 42,  48,  54,  61,  69,  78,  88, 100]), array([22]))
    """

    def least(tests: int) -> int:  # with none of k wrong, P(Binomial(k, level) <= 0) = (1 - level)^k
        return max(1, math.ceil(math.log(delta / tests) / math.log1p(-level) - _ROUNDING))

    tests = 1
    while least(tests + 1) <= n and least(tests) * _STEP ** (tests - 1) < n:
        tests += 1
    first = least(tests)
    return np.unique(np.geomspace(first, max(first, n), tests).round().astype(int))


def _check(level: float, delta: float) -> None:
    if not 0 < level <= 1:
        raise ValueError(f"a level of {level} is no share of wrong answers; it must be in (0, 1], such as 0.1")
    if not 0 < delta < 1:
        raise ValueError(f"delta {delta} is outside (0, 1); 0.1 makes certificates that hold nine times in ten")


def _surest_first(answers: ForcedAnswers) -> tuple[np.ndarray, np.ndarray]:
    """Confidence, and whether the answer is wrong, of what is graded and of known confidence."""
    known = answers.graded()
    order = np.argsort(-known.confidence, kind="stable")
    return known.confidence[order], 1 - known.correct[order]


def _errors(wrong: np.ndarray) -> np.ndarray:
    """Wrong answers among the k surest, for k from 0."""
    return np.append(0, np.cumsum(wrong)).astype(int)


def _certificate(q: np.ndarray, wrong: np.ndarray, threshold: float, level: float, n: int, needed: int) -> Certificate:
    above = q > threshold
    return Certificate(threshold, level, n, int(above.sum()), int(wrong[above].sum()), needed)
