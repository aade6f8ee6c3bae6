"""Bootstrap intervals: how far a mean would move if other questions had been drawn."""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2_000
LEVEL = 0.95
_CHUNK = 4_000_000  # draws held in memory at once


def bootstrap_interval(
    values: Sequence[float], *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean over questions (Efron 1979); `None` if there are no values.

    Resampling n values with replacement is drawing multinomial counts of the distinct ones; a score has but three.

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
    if not len(values):
        return None
    distinct, counts = np.unique(np.asarray(values, dtype=float), return_counts=True)
    rng = np.random.default_rng(seed)
    shares = counts / counts.sum()
    rows = max(1, min(resamples, _CHUNK // len(distinct)))
    sizes = [rows] * (resamples // rows) + [resamples % rows] * (resamples % rows > 0)
    totals = np.concatenate([rng.multinomial(len(values), shares, size=size) @ distinct for size in sizes])
    low, high = np.quantile(totals / len(values), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
