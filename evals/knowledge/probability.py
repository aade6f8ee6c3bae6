"""An interval for P(correct), where answers to one prompt are more alike than answers to different prompts."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import betaln, gammaln

LEVEL = 0.95
_STEPS, _LIKENESSES = 400, 24


def p_interval(right: Sequence[int], draws: int) -> tuple[float, float]:
    """A 95 % interval for the probability that an answer is right, over prompts and draws.

    Ten prompts of sixteen samples are not 160 independent draws: with one prompt a model may always be right, with
    another never. So the right answers kᵢ of prompt i are taken to be beta-binomial,

        kᵢ ~ Binomial(m, πᵢ),  πᵢ ~ Beta(p(1 − ρ)/ρ, (1 − p)(1 − ρ)/ρ),  p ~ Beta(½, ½),  ρ ~ Uniform(0, 1),

    where p is what is looked for, and ρ how alike the answers to one prompt are: 0 for independent ones, 1 where they
    are all the same. The ends are the 2.5 % and 97.5 % quantiles of p given the kᵢ, from a grid of both; 0 and 1
    where no and where every answer is right. With m = 1 it is the interval of Jeffreys.

    Args:
        right: for each prompt, how many of its answers are right.
        draws: m, the answers to each prompt.

    Raises:
        ValueError: there is no answer, or more are right than were given.

    Example:
        >>> ["{:.2f} to {:.2f}".format(*p_interval(right, 16)) for right in ([8] * 10, [16] * 5 + [0] * 5, [0] * 10)]
        ['0.41 to 0.59', '0.22 to 0.78', '0.00 to 0.12']
        >>> "{:.2f} to {:.2f}".format(*p_interval([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], 1))
        '0.09 to 0.61'
    """
    if not len(right) or draws < 1:
        raise ValueError(f"{len(right)} prompts of {draws} answers each say nothing of P(correct)")
    if min(right) < 0 or max(right) > draws:
        raise ValueError(f"{max(right)} of {draws} answers cannot be right")
    table, grid = _log_likelihoods(draws)
    total = np.bincount(right, minlength=draws + 1) @ table
    weights = np.exp(total - total.max()).reshape(_LIKENESSES, _STEPS).sum(0)
    below = np.cumsum(weights) / weights.sum()
    tail, mean = (1 - LEVEL) / 2, sum(right) / (len(right) * draws)
    low = 0.0 if mean == 0 else float(np.interp(tail, below, grid))
    high = 1.0 if mean == 1 else float(np.interp(1 - tail, below, grid))
    return min(low, mean), max(high, mean)


@lru_cache(maxsize=8)
def _log_likelihoods(draws: int) -> tuple[np.ndarray, np.ndarray]:
    """For each count of right answers (rows) the log-likelihood of each ρ and p, and the upper ends of the steps of p.

    p = sin²θ with θ at equal distances: so each step has the same weight under Beta(½, ½).
    """
    theta = (np.arange(_STEPS) + 0.5) / _STEPS * np.pi / 2
    p, rho = np.sin(theta)[None, :] ** 2, ((np.arange(_LIKENESSES) + 0.5) / _LIKENESSES)[:, None]
    a, b = p * (1 - rho) / rho, (1 - p) * (1 - rho) / rho
    k = np.arange(draws + 1)[:, None, None]
    choose = gammaln(draws + 1) - gammaln(k + 1) - gammaln(draws - k + 1)
    table = choose + betaln(k + a, draws - k + b) - betaln(a, b)
    ends = np.sin((np.arange(_STEPS) + 1) / _STEPS * np.pi / 2) ** 2
    return table.reshape(draws + 1, -1), ends
