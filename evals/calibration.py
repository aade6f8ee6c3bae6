"""How well confidence in [0, 1] matches how often it is right.

Binned errors see both edges: 0 and 1 belong to the first and the last bin, and none is dropped. Ties share their
accuracy, so that the order of the answers does not matter. Where there are no answers there is no error: `None`.
"""

import numpy as np
from scipy.fft import dct, idct
from scipy.optimize import brentq

from abstain.evals.ties import tie_probabilities

BINS = 15
_GRID = 4096


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> float | None:
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


def equal_mass_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> float | None:
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


def smooth_calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float | None:
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


def brier_parts(confidence: np.ndarray, correct: np.ndarray) -> tuple[float, float, float] | None:
    """The Brier score taken apart: it is miscalibration - discrimination + uncertainty, exactly.

    Murphy's reliability and resolution (1973), with the forecasts grouped by isotonic regression instead of by bins
    (CORP: Dimitriadis, Gneiting and Jordan 2021). All three are at least 0: what recalibration would save, what the
    forecasts know, and a (1 - a), the score of always saying the accuracy a.

    Example:
        >>> q, c = np.array([0.75, 0.75, 0.25, 0.25]), np.array([1, 1, 1, 0])
        >>> brier_parts(q, c), brier_score(q, c)
        ((0.0625, 0.0625, 0.1875), 0.1875)
    """
    from sklearn.isotonic import isotonic_regression  # takes seconds to import

    ties = tie_probabilities(confidence, correct)
    if not len(ties.n):
        return None
    n, share = ties.n.sum(), ties.right / ties.n
    accuracy = ties.right.sum() / n
    fitted = isotonic_regression(share, sample_weight=ties.n)  # sklearn's class rounds q: NaN for 1
    # sum of (q - c)^2 less that of (fitted - c)^2; the same for the accuracy: what is within the ties cancels
    miscalibration = ties.n @ ((ties.confidence - share) ** 2 - (fitted - share) ** 2) / n
    discrimination = ties.n @ ((accuracy - share) ** 2 - (fitted - share) ** 2) / n
    return float(max(0.0, miscalibration)), float(max(0.0, discrimination)), float(accuracy * (1 - accuracy))
