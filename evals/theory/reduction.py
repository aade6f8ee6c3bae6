r"""Who never errs could tell valid responses from errors: generation reduced to classification.

Kalai et al. 2025 (arXiv 2509.04664), section 3. For each prompt c, drawn from mu, there are valid responses V_c and
errors E_c; the language to be learnt is a distribution p with p(V_c | c) = 1. A model phat errs with probability

    err = sum_c mu(c) phat(E_c | c).

*Is-It-Valid* (IIV) shows a prompt with a response from p half of the time, and with one drawn uniformly from E_c the
other half, and asks which. The model answers it by its own probability: valid iff phat(r | c) > 1 / min_c |E_c|. With
err_iiv the share that it then gets wrong, and A the responses that it calls valid,

    err >= 2 err_iiv - max_c |V_c| / min_c |E_c| - delta,      delta = |phat(A) - p(A)|        (theorem 1)

and for one prompt it is corollary 1. Nothing is assumed of phat but that its responses lie in V_c and E_c.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np

from abstain.evals.metrics.intervals import Interval, mean_interval

DUST = 1e-9
"""How far probabilities may sum from 1."""


@dataclass(frozen=True)
class PromptMass:
    """One prompt c: the probability of each response that there is.

    Args:
        valid: phat(r | c) of each valid response, (|V_c|,).
        errors: phat(r | c) of each error, (|E_c|,).
        truth: p(r | c) of each valid response, (|V_c|,), which sum to 1. Equally likely by default.
        weight: mu(c), or anything that it is proportional to.
        name: what error messages call it.

    Raises:
        ValueError: no valid response or no error; probabilities that are negative, or do not sum to 1.

    Example:
        >>> PromptMass([0.6], [0.3, 0.1]).err
        0.4
        >>> PromptMass([0.6], [0.3])
        Traceback (most recent call last):
        ...
        ValueError: the model's probabilities of V and E sum to 0.9, not 1; PromptMass.given conditions on them
    """

    valid: np.ndarray
    errors: np.ndarray
    truth: np.ndarray | None = None
    weight: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        where = f"{self.name}: " if self.name else ""
        for field in ("valid", "errors"):
            object.__setattr__(self, field, np.asarray(getattr(self, field), dtype=float))
            if not getattr(self, field).size:
                kind = "valid response" if field == "valid" else "error"
                raise ValueError(
                    f"{where}there is no {kind}: the bound divides by the number of errors, and p needs V"
                )
        given = np.full(self.valid.size, 1 / self.valid.size) if self.truth is None else self.truth
        object.__setattr__(self, "truth", np.asarray(given, dtype=float))
        if self.p.size != self.valid.size:
            raise ValueError(f"{where}{self.p.size} true probabilities for {self.valid.size} valid responses")
        if not (math.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"{where}weight {self.weight!r} is not a number of at least 0")
        both = np.concatenate([self.valid, self.errors])
        for sizes, whose in ((both, "the model's probabilities of V and E"), (self.p, "the true probabilities of V")):
            if not (sizes >= 0).all():
                raise ValueError(f"{where}{whose} must be at least 0")
            if abs(sizes.sum() - 1) > DUST:
                hint = "; PromptMass.given conditions on them" if sizes is both else ""
                raise ValueError(f"{where}{whose} sum to {sizes.sum():.6g}, not 1{hint}")

    @property
    def p(self) -> np.ndarray:
        """p(r | c) of each valid response."""
        assert self.truth is not None, "__post_init__ fills it"
        return self.truth

    @property
    def err(self) -> float:
        """phat(E_c | c)."""
        return float(self.errors.sum())

    def above(self, threshold: float) -> tuple[float, float]:
        """phat(A | c) and p(A | c), with A the responses of more probability than a threshold.

        Example:
            >>> PromptMass([0.5], [0.3, 0.2, 0, 0]).above(0.25)
            (0.8, 1.0)
        """
        valid, errors = self.valid > threshold, self.errors > threshold
        return float(self.valid[valid].sum() + self.errors[errors].sum()), float(self.p[valid].sum())

    @classmethod
    def given(
        cls,
        logprobs: Sequence[float] | np.ndarray,
        is_valid: Sequence[bool] | np.ndarray,
        *,
        truth: Sequence[float] | np.ndarray | None = None,
        weight: float = 1.0,
        name: str = "",
    ) -> "PromptMass":
        """The model given that it says one of the candidates: their probabilities over the sum of them all.

        Theorem 1 is of models that say nothing but candidates; what a real one says besides is left out of all sides.

        Args:
            logprobs: natural log of each candidate's probability; minus infinity is 0.
            is_valid: which candidates are valid.
            truth, weight, name: as above.

        Raises:
            ValueError: as above; all candidates together have probability 0.

        Example:
            >>> PromptMass.given(np.log([0.3, 0.1]), [True, False]).valid.round(2)
            array([0.75])
            >>> PromptMass.given([-np.inf, -np.inf], [True, False], name="Who?")
            Traceback (most recent call last):
            ...
            ValueError: Who?: the model gives every candidate probability 0, so that nothing can be said given one of
            them
        """
        logs, valid = np.asarray(logprobs, dtype=float), np.asarray(is_valid, dtype=bool)
        if logs.shape != valid.shape:
            raise ValueError(f"{name or 'a prompt'}: {logs.size} probabilities for {valid.size} candidates")
        top = logs.max(initial=-np.inf)
        if np.isnan(logs).any() or top == np.inf:
            raise ValueError(f"{name or 'a prompt'}: a log-probability is not a number: the model is broken")
        if logs.size and top == -np.inf:
            where = f"{name}: " if name else ""
            raise ValueError(
                f"{where}the model gives every candidate probability 0, so that nothing can be said given one of them"
            )
        shares = np.exp(logs - top)
        shares /= shares.sum()
        return cls(shares[valid], shares[~valid], None if truth is None else np.asarray(truth), weight, name)


@dataclass(frozen=True)
class Reduction:
    """Both sides of theorem 1.

    Args:
        errs, iivs, gaps: of each prompt phat(E_c | c), its share of err_iiv, and phat(A_c | c) - p(A_c | c).
        weights: mu(c), which sum to 1.
        threshold: 1 / min |E_c|; a response of more probability is called valid.
        ratio: max |V_c| / min |E_c|.
    """

    errs: np.ndarray
    iivs: np.ndarray
    gaps: np.ndarray
    weights: np.ndarray
    threshold: float
    ratio: float

    @cached_property
    def err(self) -> float:
        """How often the model errs."""
        return float(self.weights @ self.errs)

    @cached_property
    def err_iiv(self) -> float:
        """How often it errs as a classifier of Is-It-Valid."""
        return float(self.weights @ self.iivs)

    @cached_property
    def delta(self) -> float:
        """|phat(A) - p(A)|: how badly it is calibrated at this one threshold."""
        return abs(float(self.weights @ self.gaps))

    @property
    def bound(self) -> float:
        """2 err_iiv - max |V_c| / min |E_c| - delta, which err is never below; it says nothing where it is below 0."""
        return 2 * self.err_iiv - self.ratio - self.delta

    def intervals(self) -> dict[str, Interval | None]:
        """95 % intervals of err, err_iiv and delta, were other prompts drawn; of equal weight, or there is none."""
        if np.ptp(self.weights) > DUST:
            return dict.fromkeys(("err", "err_iiv", "delta"))
        err, iiv = mean_interval(self.errs, 1, 0), mean_interval(self.iivs, 1, 0)
        return {"err": err, "err_iiv": iiv, "delta": _size_interval(self.gaps)}


def is_it_valid(prompts: Sequence[PromptMass]) -> Reduction:
    """Theorem 1 on these prompts, exactly: every response is listed.

    Args:
        prompts: all that there are, or a sample of equal weights.

    Raises:
        ValueError: there are none, or none of any weight.

    Example:
        >>> found = is_it_valid([PromptMass([0.5], [0.3, 0.2, 0, 0])])
        >>> found.threshold, found.err, found.err_iiv, round(found.delta, 3), round(found.bound, 3)
        (0.25, 0.5, 0.125, 0.2, -0.2)
    """
    if not prompts:
        raise ValueError("theorem 1 needs a prompt at least")
    weights = np.array([prompt.weight for prompt in prompts])
    if not weights.sum() > 0:
        raise ValueError("no prompt has any weight")
    least = min(prompt.errors.size for prompt in prompts)
    threshold = 1 / least
    iivs, gaps = [], []
    for prompt in prompts:
        model, truth = prompt.above(threshold)
        missed = float(prompt.p[prompt.valid <= threshold].sum())
        iivs.append((missed + (prompt.errors > threshold).mean()) / 2)
        gaps.append(model - truth)
    return Reduction(
        np.array([prompt.err for prompt in prompts]),
        np.array(iivs),
        np.array(gaps),
        weights / weights.sum(),
        threshold,
        max(prompt.valid.size for prompt in prompts) / least,
    )


def sampled(prompts: Sequence[PromptMass], draws: int, seed: int = 0) -> dict[str, tuple[float, Interval | None]]:
    """err, err_iiv and delta of a sample, as they are found where responses can be drawn but not listed.

    A prompt c ~ mu; a response of the model, for err and phat(A); a response from p and one uniform from E_c, for
    err_iiv and p(A).

    Args:
        prompts: to draw from.
        draws: how often each is done.
        seed: of the draws.

    Returns:
        Each number with its 95 % interval.

    Example:
        >>> found = sampled([PromptMass([0.5], [0.3, 0.2, 0, 0])], 2000)
        >>> {name: (round(low, 1), round(high, 1)) for name, (_, (low, high)) in found.items()}
        {'err': (0.5, 0.5), 'err_iiv': (0.1, 0.1), 'delta': (0.2, 0.2)}
    """
    rng, weights = np.random.default_rng(seed), np.array([prompt.weight for prompt in prompts])
    chosen = np.sort(rng.choice(len(prompts), draws, p=weights / weights.sum()))
    threshold = 1 / min(prompt.errors.size for prompt in prompts)
    errs, iivs, gaps = [], [], []
    for place, group in groupby(chosen):
        prompt, count = prompts[place], len(list(group))
        both = np.concatenate([prompt.valid, prompt.errors])
        said = rng.choice(both.size, count, p=both / both.sum())
        right = rng.choice(prompt.p.size, count, p=prompt.p / prompt.p.sum())
        wrong = rng.integers(prompt.errors.size, size=count)
        called = both[said] > threshold, prompt.valid[right] > threshold, prompt.errors[wrong] > threshold
        errs.append(said >= prompt.valid.size)
        iivs.append((~called[1] + called[2].astype(float)) / 2)
        gaps.append(called[0].astype(float) - called[1])
    err, iiv, gap = (np.concatenate(parts).astype(float) for parts in (errs, iivs, gaps))
    return {
        "err": (float(err.mean()), mean_interval(err, 1, 0)),
        "err_iiv": (float(iiv.mean()), mean_interval(iiv, 1, 0)),
        "delta": (abs(float(gap.mean())), _size_interval(gap)),
    }


def _size_interval(gaps: np.ndarray) -> Interval:
    """Of |mean|: the interval of the mean, folded at 0."""
    low, high = mean_interval(gaps, -1, 1) or (0.0, 0.0)
    return max(0.0, low, -high), max(abs(low), abs(high))
