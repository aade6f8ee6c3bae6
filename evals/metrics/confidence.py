"""Numbers from confidence: does it match how often answers are right, and does it tell right from wrong ones?

Calibration errors take confidence for a probability; areas under the risk-coverage curve go by its order alone.
Answers of equal confidence are put together first (`Ties`): stated confidence has few values, and the order of ties
means nothing. Where there are no answers there is no number: `None`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.fft import dct, idct
from scipy.optimize import brentq, isotonic_regression

from abstain.evals.metrics.intervals import share_interval

BINS, CURVE_BINS = 15, 10
_GRID = 4096


def confidence_metrics(confidence: np.ndarray, correct: np.ndarray) -> dict[str, Any]:
    """How well confidence in [0, 1] goes with being right: as a ranking, and as a probability.

    `confidence_n` counts the answers judged. Graded answers whose confidence is NaN or no probability are left out and
    counted in `confidence_left_out`. AUROC and average precision (of finding the right answers) need a right and a
    wrong one.

    Args:
        confidence: one per answer.
        correct: 1 if it was right, 0 if it was wrong, NaN if there is no graded answer.

    Example:
        >>> found = confidence_metrics(np.array([0.9, 0.6, np.nan, 1.5]), np.array([1, 0, 1, 1]))
        >>> found["confidence_n"], found["confidence_left_out"], found["auroc"], round(found["brier"], 3)
        (2, 2, 1.0, 0.185)
    """
    graded = ~np.isnan(correct)
    usable = graded & (confidence >= 0) & (confidence <= 1)
    q, c = confidence[usable], correct[usable]
    ties = tie_probabilities(q, c)
    parts, area = brier_parts(ties) or (None, None, None), aurc(ties)
    return {
        "aurc": area,
        "auroc": auroc(ties),
        "ece": expected_calibration_error(ties),
        "ece_equal_mass": equal_mass_calibration_error(ties),
        "brier": brier_score(q, c),
        "confidence_n": len(q),
        "confidence_left_out": int(graded.sum()) - len(q),
        "e_aurc": None if area is None else area - _least_aurc(c),
        "augrc": augrc(ties),
        "average_precision": average_precision(ties),
        "smooth_ece": smooth_calibration_error(ties),
        **dict(zip(("brier_miscalibration", "brier_discrimination", "brier_uncertainty"), parts, strict=True)),
    }


@dataclass(frozen=True)
class Ties:
    """One entry for each distinct confidence, lowest first.

    Args:
        confidence: the distinct values.
        n: how many answers have it.
        right: how many of these are right.
    """

    confidence: np.ndarray
    n: np.ndarray
    right: np.ndarray

    def shares(self) -> np.ndarray:
        """For each answer, lowest confidence first, how often its tie is right: the mean over the tie's orders."""
        return np.repeat(self.right / self.n, self.n)


Confidence = np.ndarray | Ties
"""What the measures take: one confidence for each answer, with the outcomes beside, or both put together by `tie`."""


def tie(confidence: Confidence, correct: np.ndarray | None = None) -> Ties:
    """Put answers of equal confidence together; what is together already stays so, and needs no outcomes.

    Args:
        confidence: any numbers that grow with the belief in an answer.
        correct: 1 if it was right, 0 if it was wrong.

    Raises:
        ValueError: a NaN, which has no rank, or not as many confidences as outcomes.

    Example:
        >>> ties = tie(np.array([0.9, 0.5, 0.9]), np.array([1, 0, 0]))
        >>> ties.confidence, ties.n, ties.shares()
        (array([0.5, 0.9]), array([1, 2]), array([0. , 0.5, 0.5]))
    """
    if isinstance(confidence, Ties):
        return confidence
    q, c = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if q.shape != c.shape:
        raise ValueError(f"each answer has one confidence: {c.size} answers, {q.size} confidences")
    if (lost := np.flatnonzero(np.isnan(q) | np.isnan(c))).size:
        first = int(lost[0])
        raise ValueError(f"answer {first} has confidence {q[first]} and outcome {c[first]}: leave it out, and say so")
    if (q[1:] < q[:-1]).any():
        order = np.argsort(q)
        q, c = q[order], c[order]
    starts = np.flatnonzero(np.append(True, q[1:] != q[:-1])[: len(q)])
    right = np.add.reduceat(c, starts) if len(starts) else np.empty(0)
    return Ties(q[starts], np.diff(starts, append=len(q)), right)


def tie_probabilities(confidence: Confidence, correct: np.ndarray | None = None) -> Ties:
    """`tie`, for confidence that must be a probability.

    Raises:
        ValueError: as `tie`, and for confidence outside [0, 1].

    Example:
        >>> tie_probabilities(np.array([0.5, 150]), np.array([1, 1]))
        Traceback (most recent call last):
        ...
        ValueError: confidence 150 is outside [0, 1]; is it in percent?
    """
    ties = tie(confidence, correct)
    for value in ties.confidence[:1], ties.confidence[-1:]:
        if value.size and not 0 <= value[0] <= 1:
            hint = "; is it in percent?" if value[0] > 1 else ""
            raise ValueError(f"confidence {value[0]:g} is outside [0, 1]{hint}")
    return ties


# Calibration. Binned errors see both edges: 0 and 1 belong to the first and the last bin, and none is dropped. Ties
# share their accuracy.


def expected_calibration_error(
    confidence: Confidence, correct: np.ndarray | None = None, bins: int = BINS
) -> float | None:
    """ECE = sum_b n_b / N |accuracy_b - confidence_b| over equal-width bins (Guo et al. 2017), 0 and 1 included.

    Example:
        >>> expected_calibration_error(np.array([1.0, 1.0, 0.0]), np.array([1, 1, 1]))
        0.3333333333333333
    """
    ties = tie_probabilities(confidence, correct)
    if not len(ties.n):
        return None
    bin_of = np.minimum((ties.confidence * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(bin_of, ties.right - ties.n * ties.confidence)).sum() / ties.n.sum())


def equal_mass_calibration_error(
    confidence: Confidence, correct: np.ndarray | None = None, bins: int = BINS
) -> float | None:
    """ECE over bins that hold equally many answers (Nguyen and O'Connor 2015), lowest confidence first.

    Example:
        >>> equal_mass_calibration_error(np.array([0.5, 0.5]), np.array([1, 0]))
        0.0
    """
    ties = tie_probabilities(confidence, correct)
    if not len(ties.n):
        return None
    gaps = ties.shares() - np.repeat(ties.confidence, ties.n)
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, bins)) / len(gaps))


@dataclass(frozen=True)
class Bin:
    """Answers of about equal confidence.

    Args:
        confidence: their mean.
        right: the share that is right.
        low, high: its 95 % interval.
        n: how many.
    """

    confidence: float
    right: float
    low: float
    high: float
    n: int


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = CURVE_BINS) -> list[Bin]:
    """How often answers of a given confidence are right, in bins of equally many; answers of one value stay together.

    Args:
        confidence: in [0, 1], one per answer.
        correct: 1 if it is right, 0 if not.
        bins: at most so many.

    Raises:
        ValueError: not as many confidences as outcomes.

    Example:
        >>> [(b.confidence, b.right, b.n) for b in reliability(np.array([0.2, 0.2, 0.8, 0.8]), np.array([0, 1, 1, 1]))]
        [(0.2, 0.5, 2), (0.8, 1.0, 2)]
    """
    q, c = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if q.shape != c.shape:
        raise ValueError(f"{q.size} confidences for {c.size} outcomes")
    if not q.size:
        return []
    order = np.argsort(q, kind="stable")
    q, c = q[order], c[order]
    starts = np.unique(np.searchsorted(q, q[np.arange(bins) * len(q) // bins]))
    means = [float(part.mean()) for part in np.split(q, starts[1:])]
    right, n = np.add.reduceat(c, starts), np.diff(starts, append=len(q))
    columns = (one.tolist() for one in (right / n, *share_interval(right, n), n))
    return [Bin(*one) for one in zip(means, *columns, strict=True)]


def smooth_calibration_error(confidence: Confidence, correct: np.ndarray | None = None) -> float | None:
    """SmoothECE: no bins, whose edges decide too much, but a kernel as wide as the error that it finds.

    With r the mean of (c - q) K_w(., q) over the answers, K_w a Gaussian of width w reflected at 0 and 1, it is the w
    for which the integral of |r| is w (Blasiok and Nakkiran 2024). The cosine transform smooths, reflection included.

    Example:
        >>> q = np.full(100, 0.8)
        >>> round(smooth_calibration_error(q, np.ones(100)), 3), smooth_calibration_error(q, np.arange(100) < 80)
        (0.2, 0.0)
    """
    ties = tie_probabilities(confidence, correct)
    if not len(ties.n):
        return None
    cell = np.minimum((ties.confidence * _GRID).astype(int), _GRID - 1)
    gaps = np.bincount(cell, ties.right - ties.n * ties.confidence, minlength=_GRID) / ties.n.sum()
    waves, frequency = dct(gaps, norm="ortho"), np.pi * np.arange(_GRID)

    def excess(width: float) -> float:
        return float(np.abs(idct(waves * np.exp(-((width * frequency) ** 2) / 2), norm="ortho")).sum() - width)

    return float(brentq(excess, 0.0, 1.5, xtol=1e-6)) if np.abs(gaps).sum() > 1e-9 else 0.0


def brier_score(confidence: np.ndarray, correct: np.ndarray) -> float | None:
    """Mean of (q - c)^2 (Brier 1950).

    Example:
        >>> round(brier_score(np.array([0.9, 0.6]), np.array([1, 0])), 3)
        0.185
    """
    q, c = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    return float(np.mean((q - c) ** 2)) if len(q) else None


def brier_parts(confidence: Confidence, correct: np.ndarray | None = None) -> tuple[float, float, float] | None:
    """The Brier score taken apart: it is miscalibration - discrimination + uncertainty, exactly.

    Murphy's reliability and resolution (1973), with the forecasts grouped by isotonic regression instead of by bins
    (CORP: Dimitriadis, Gneiting and Jordan 2021). All three are at least 0: what recalibration would save, what the
    forecasts know, and a (1 - a), the score of always saying the accuracy a.

    Example:
        >>> q, c = np.array([0.75, 0.75, 0.25, 0.25]), np.array([1, 1, 1, 0])
        >>> brier_parts(q, c), brier_score(q, c)
        ((0.0625, 0.0625, 0.1875), 0.1875)
    """
    ties = tie_probabilities(confidence, correct)
    if not len(ties.n):
        return None
    n, share = ties.n.sum(), ties.right / ties.n
    accuracy = ties.right.sum() / n
    fitted = isotonic_regression(share, weights=ties.n).x
    # sum of (q - c)^2 less that of (fitted - c)^2; the same for the accuracy: what is within the ties cancels
    miscalibration = ties.n @ ((ties.confidence - share) ** 2 - (fitted - share) ** 2) / n
    discrimination = ties.n @ ((accuracy - share) ** 2 - (fitted - share) ** 2) / n
    return float(max(0.0, miscalibration)), float(max(0.0, discrimination)), float(accuracy * (1 - accuracy))


# Ranking: how far confidence tells right answers from wrong ones. Without one of each there is nothing to tell.


def auroc(confidence: Confidence, correct: np.ndarray | None = None) -> float | None:
    """Area under the ROC curve: how often a right answer has more confidence than a wrong one, ties counting half.

    Mann and Whitney's U over the number of pairs (Hanley and McNeil 1982), as `sklearn.metrics.roc_auc_score` finds it
    from a curve.

    Example:
        >>> auroc(np.array([0.9, 0.5, 0.5]), np.array([1, 1, 0])), auroc(np.array([0.9]), np.array([1]))
        (0.75, None)
    """
    ties = tie(confidence, correct)
    right, wrong = ties.right, ties.n - ties.right
    pairs = right.sum() * wrong.sum()
    return float(right @ (np.cumsum(wrong) - wrong / 2) / pairs) if pairs else None


def average_precision(confidence: Confidence, correct: np.ndarray | None = None) -> float | None:
    """Precision of finding the right answers, averaged over the right ones: sum (R_k - R_k-1) P_k over thresholds.

    P_k is the accuracy of the answers at or above the k-th threshold, R_k the share of the right ones among them, as
    in `sklearn.metrics.average_precision_score`: nothing is interpolated.

    Example:
        >>> average_precision(np.array([0.9, 0.5, 0.1]), np.array([1, 0, 1]))
        0.8333333333333333
    """
    ties = tie(confidence, correct)
    right = ties.right[::-1]
    if not 0 < right.sum() < ties.n.sum():
        return None
    return float(right @ (np.cumsum(right) / np.cumsum(ties.n[::-1])) / right.sum())


# Selective risk: the risk of answering, against how many are answered. Ties are averaged over all their orders.


@dataclass(frozen=True)
class RiskCoverage:
    """What giving the answers whose confidence is at least `threshold` would mean, the highest threshold first.

    Args:
        threshold: each distinct confidence; no other threshold makes a difference.
        coverage: share of the answers that are given.
        risk: share of the given ones that are wrong.
    """

    threshold: np.ndarray
    coverage: np.ndarray
    risk: np.ndarray


def risk_coverage(confidence: np.ndarray, correct: np.ndarray) -> RiskCoverage:
    """The risk-coverage curve (El-Yaniv and Wiener 2010), at the thresholds that can be set.

    Example:
        >>> curve = risk_coverage(np.array([0.9, 0.9, 0.5, 0.1]), np.array([1, 0, 1, 0]))
        >>> curve.threshold, curve.coverage, curve.risk.round(2)
        (array([0.9, 0.5, 0.1]), array([0.5 , 0.75, 1.  ]), array([0.5 , 0.33, 0.5 ]))
    """
    ties = tie(confidence, correct)
    given, wrong = _given_and_wrong(ties)
    return RiskCoverage(ties.confidence[::-1], given / max(1, ties.n.sum()), wrong / given)


def _given_and_wrong(ties: Ties) -> tuple[np.ndarray, np.ndarray]:
    """How many answers are given at each threshold, and how many of them are wrong, the highest threshold first."""
    return np.cumsum(ties.n[::-1]), np.cumsum((ties.n - ties.right)[::-1])


def aurc(confidence: Confidence, correct: np.ndarray | None = None) -> float | None:
    """Area under the risk-coverage curve: the mean over k of the error rate among the k most confident answers.

    (1 / N) sum_k e_k / k, with e_k the errors among the top k (Geifman et al. 2019). Averaging over the orders of ties
    is exact if each answer counts as the error rate of its tie.

    Example:
        >>> aurc(np.array([0.5, 0.5]), np.array([1, 0]))
        0.5
    """
    errors = 1 - tie(confidence, correct).shares()[::-1]
    return float(np.mean(np.cumsum(errors) / np.arange(1, len(errors) + 1))) if len(errors) else None


def excess_aurc(confidence: np.ndarray, correct: np.ndarray) -> float | None:
    """E-AURC: the AURC less that of the same answers with every right one above every wrong one (Geifman et al. 2019).

    The best area is counted out, (1 / N) sum_{k > R} (k - R) / k with R right answers; the r + (1 - r) ln(1 - r) that
    is often used instead, with the error rate r, is what it approaches as N grows.

    Example:
        >>> excess_aurc(np.array([0.9, 0.1]), np.array([1, 0])), excess_aurc(np.array([0.1, 0.9]), np.array([1, 0]))
        (0.0, 0.5)
    """
    area = aurc(confidence, correct)
    return None if area is None else area - _least_aurc(correct)


def _least_aurc(correct: np.ndarray) -> float:
    """The AURC of the same answers in the best order."""
    k = np.arange(1, len(correct) + 1)
    return float(np.mean(np.maximum(0, k - np.sum(correct)) / k))


def augrc(confidence: Confidence, correct: np.ndarray | None = None) -> float | None:
    """Area under the generalised risk-coverage curve: mean share of wrong answers that are given (Traub et al. 2024).

    The integral over coverage of e / N, the wrong answers given among all N, by trapezoids from (0, 0): it is
    (1 - AUROC) a r + r^2 / 2 with accuracy a and error rate r. In [0, 1/2]; of two models the one with fewer errors or
    the better ranking is ahead, where AURC mostly looks at the few most confident answers.

    Example:
        >>> augrc(np.array([0.9, 0.1]), np.array([1, 0])), augrc(np.array([0.5, 0.5]), np.array([0, 0]))
        (0.125, 0.5)
    """
    given, wrong = _given_and_wrong(tie(confidence, correct))
    if not len(given):
        return None
    n = given[-1]
    return float(np.trapezoid(np.append(0.0, wrong), np.append(0.0, given)) / n**2)
