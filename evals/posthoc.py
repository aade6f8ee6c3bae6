"""Recalibration after the fact: what a few lines of fitting make of a model's confidence, the model left as it is.

A trained abstainer should beat these. They are fitted on some answers and applied to others; "answer iff the
recalibrated probability exceeds t" is then one policy for every target t.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

Calibrator = Callable[[np.ndarray], np.ndarray]
_EDGE = 1e-6  # 0 and 1 have no finite logit; and at t = 0, where nothing is lost by answering, 0 would not exceed t
_WIDEST = 7.0  # |log T|: answers that are all right, or all wrong, have no best temperature


def isotonic(confidence: np.ndarray, correct: np.ndarray) -> Calibrator:
    """The non-decreasing function of confidence that fits the outcomes best (Zadrozny and Elkan 2002).

    Args:
        confidence: in [0, 1]; NaN where there is none.
        correct: 1, 0, or NaN where there is no graded answer; pairs with a NaN are left out.

    Returns:
        Maps confidence to the probability of being right, NaN to NaN; leaves it as it is if there is nothing to fit.

    Example:
        >>> isotonic(np.array([0.9, 0.9, 0.2, 0.1]), np.array([1, 0, 0, 1]))(np.array([0.95, 0.9, 0.15, np.nan]))
        array([0.5, 0.5, 0.5, nan])
    """
    from sklearn.isotonic import IsotonicRegression  # takes seconds to import

    q, c = _known(confidence, correct)
    if not len(q):
        return np.array
    fitted = IsotonicRegression(y_min=_EDGE, y_max=1.0, out_of_bounds="clip").fit(q, c)

    def calibrate(confidence: np.ndarray) -> np.ndarray:
        known = ~np.isnan(confidence)
        out = np.full(len(confidence), np.nan)
        if known.any():
            out[known] = fitted.predict(confidence[known])
        return out

    return calibrate


def temperature(confidence: np.ndarray, correct: np.ndarray) -> Calibrator:
    """sigmoid(logit(q) / T) with the T > 0 of highest likelihood (Guo et al. 2017, for two outcomes).

    It can make confidence bolder or more timid, but not move what is at one half.

    Args:
        confidence, correct: as in `isotonic`.

    Example:
        >>> calibrate = temperature(np.array([0.9] * 4 + [0.1] * 4), np.array([1, 1, 1, 0, 0, 0, 0, 1]))
        >>> calibrate(np.array([0.9, 0.5, 0.1])).round(3)
        array([0.75, 0.5 , 0.25])
    """
    q, c = _known(confidence, correct)
    if not len(q):
        return np.array
    z, group = np.unique(_logit(q), return_inverse=True)
    right, wrong = np.bincount(group, c), np.bincount(group, 1 - c)

    def loss(log_t: float) -> float:
        scaled = z / np.exp(log_t)
        return float(right @ np.logaddexp(0, -scaled) + wrong @ np.logaddexp(0, scaled))

    t = np.exp(minimize_scalar(loss, bounds=(-_WIDEST, _WIDEST), method="bounded").x)
    return lambda confidence: np.clip(expit(_logit(confidence) / t), _EDGE, 1.0)


def _known(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = ~(np.isnan(confidence) | np.isnan(correct))
    return confidence[known], correct[known]


def _logit(confidence: np.ndarray) -> np.ndarray:
    return logit(np.clip(confidence, _EDGE, 1 - _EDGE))
