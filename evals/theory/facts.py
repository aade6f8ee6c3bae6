r"""Facts that nothing but reading tells: birthdays. Who read one once cannot be sure, who read none guesses.

Kalai et al. 2025, section 3.3.1. Each prompt c has one right answer a_c, drawn uniformly from R_c, and is asked with
probability mu(c); what is read is (c, a_c) with probability alpha_c, and (c, "I don't know") else. Of N documents

    sr = |{c: read exactly once with an answer}| / N                                             the singleton rate
    MM = sum_{c never read with an answer} mu(c) alpha_c                                         the missing mass

and Good and Turing (1953) estimate the second by the first: |MM - sr| <= 4.42 sqrt(ln(5/gamma) / N) with probability
1 - gamma (lemma 1). So any model errs, with probability 99 % over what is read,

    err >= sr - 2 / min |E_c| - (35 + 6 ln N) / sqrt(N) - delta                                   (theorem 2)

and one that is calibrated, delta = 0, errs at most sr - sr / (max |E_c| + 1) + 13 / sqrt(N). The term in N is .90 of
10,000 documents, .12 of a million, .015 of a hundred million: of small worlds theorem 2 says nothing. Lemma 1 and the
algorithm of the upper bound can be measured there all the same.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from abstain.evals.theory.reduction import PromptMass

Document = tuple[Hashable, Hashable]
"""A prompt, and what answers it; `None` is "I don't know"."""


def singleton_rate(documents: Iterable[Document]) -> float:
    """sr: of N documents, the share of those whose prompt is answered in no other. "I don't know" is no answer.

    A fact that is told twice is no singleton, whether it is told the same or not.

    Raises:
        ValueError: nothing was read.

    Example:
        >>> singleton_rate([("Ada", "03-07"), ("Bo", "15-06"), ("Bo", "15-06"), ("Cy", None)])
        0.25
    """
    read = list(documents)
    if not read:
        raise ValueError("the singleton rate of no documents is not defined")
    counts = Counter(prompt for prompt, answer in read if answer is not None)
    return sum(count == 1 for count in counts.values()) / len(read)


def good_turing(counts: Iterable[int]) -> float:
    """Good and Turing's estimate of how much of what will be seen has not been seen: once seen over all seen.

    Args:
        counts: how often each thing was seen, 0 or more.

    Raises:
        ValueError: nothing was seen.

    Example:
        >>> good_turing([1, 2, 1, 0])
        0.5
    """
    seen = list(counts)
    if (total := sum(seen)) <= 0 or min(seen) < 0:
        raise ValueError(f"counts that sum to {total} are no sample: each must be at least 0, and one above it")
    return sum(count == 1 for count in seen) / total


def lemma_1(n: int, gamma: float = 0.01) -> float:
    """4.42 sqrt(ln(5/gamma) / N): how far missing mass and singleton rate are apart, at most, 1 - gamma sure.

    Raises:
        ValueError: no documents, or gamma outside (0, 1].

    Example:
        >>> round(lemma_1(10_000), 3)
        0.11
    """
    _check(n, gamma)
    return 4.42 * math.sqrt(math.log(5 / gamma) / n)


def correction(n: int, gamma: float | None = None) -> float:
    """What theorem 2 takes off for chance: (35 + 6 ln N) / sqrt(N), or 6 ln(3N/gamma) / sqrt(N).

    Args:
        n: N, the documents read.
        gamma: how often the bound may fail; by default once in a hundred, as the theorem is printed.

    Raises:
        ValueError: no documents, or gamma outside (0, 1].

    Example:
        >>> [round(correction(n), 3) for n in (10_000, 1_000_000, 100_000_000)]
        [0.903, 0.118, 0.015]
    """
    _check(n, 1 if gamma is None else gamma)
    top = 35 + 6 * math.log(n) if gamma is None else 6 * math.log(3 * n / gamma)
    return top / math.sqrt(n)


def theorem_2(singletons: float, n: int, least_errors: int, delta: float = 0.0, gamma: float | None = None) -> float:
    """sr - 2 / min |E_c| - correction - delta: what any model errs at least. Below 0 it says nothing.

    Args:
        singletons: sr.
        n: N, the documents read.
        least_errors: min |E_c|.
        delta: of the model, at the threshold 1 / min |E_c|.
        gamma: how often it may fail; see `correction`.

    Raises:
        ValueError: no documents, or no errors.

    Example:
        >>> round(theorem_2(0.6, 10_000, 364), 3), round(theorem_2(0.2, 100_000_000, 364), 3)
        (-0.308, 0.18)
    """
    if least_errors < 1:
        raise ValueError(f"min |E_c| = {least_errors}: without errors there is nothing to err with")
    return singletons - 2 / least_errors - correction(n, gamma) - delta


def attained(singletons: float, n: int, most_errors: int) -> float:
    """sr - sr / (max |E_c| + 1) + 13 / sqrt(N): what the calibrated algorithm errs at most, 99 % sure.

    Args:
        singletons: sr.
        n: N, the documents read.
        most_errors: max |E_c|.

    Example:
        >>> round(attained(0.6, 10_000, 364), 3)
        0.728
    """
    _check(n, 1)
    return singletons - singletons / (most_errors + 1) + 13 / math.sqrt(n)


def _check(n: int, gamma: float) -> None:
    if n < 1:
        raise ValueError(f"{n} documents: theorem 2 needs one at least")
    if not 0 < gamma <= 1:
        raise ValueError(f"gamma={gamma:g} is outside (0, 1]")


@dataclass(frozen=True)
class ArbitraryFacts:
    """A world of facts, and how often each is asked and answered.

    Args:
        mu: how likely each prompt is, (C,), which sum to 1.
        answers: |R_c| of each, (C,), 2 or more; the errors are one fewer.
        alpha: how often each is answered and not met with "I don't know", (C,); always by default.

    Raises:
        ValueError: sizes that do not fit, or probabilities that are none.

    Example:
        >>> world = ArbitraryFacts(np.full(4, 0.25), np.full(4, 365))
        >>> counts = world.read(4, np.random.default_rng(0))
        >>> int(counts.sum()), round(world.missing_mass(counts), 2), round(world.memoriser_err(counts), 3)
        (4, 0.5, 0.499)
    """

    mu: np.ndarray
    answers: np.ndarray
    alpha: np.ndarray | None = None

    def __post_init__(self) -> None:
        sure = np.ones(len(self.mu)) if self.alpha is None else self.alpha
        for name, values in (("mu", self.mu), ("answers", self.answers), ("alpha", sure)):
            object.__setattr__(self, name, np.asarray(values, dtype=float))
        if not self.mu.shape == self.answers.shape == self.sure.shape:
            raise ValueError(
                f"mu, answers and alpha are of {self.mu.size}, {self.answers.size}, {self.sure.size} prompts"
            )
        if not (self.mu >= 0).all() or abs(self.mu.sum() - 1) > 1e-9:
            raise ValueError(f"mu sums to {self.mu.sum():.6g}; it must be a distribution")
        if not (self.answers >= 2).all():
            raise ValueError("a prompt of fewer than 2 answers has no error: nothing about it is arbitrary")
        if not ((self.sure >= 0) & (self.sure <= 1)).all():
            raise ValueError("alpha holds probabilities")

    @property
    def sure(self) -> np.ndarray:
        """alpha_c of each prompt."""
        assert self.alpha is not None, "__post_init__ fills it"
        return self.alpha

    def read(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """How often each prompt is read with its answer in N documents, (C,)."""
        return rng.binomial(rng.multinomial(n, self.mu), self.sure)

    def missing_mass(self, counts: np.ndarray) -> float:
        """MM: how often an answer is asked for that was never read."""
        return float((self.mu * self.sure)[counts == 0].sum())

    def memoriser_err(self, counts: np.ndarray) -> float:
        """err of the calibrated algorithm: it says what it read, and else guesses as often as answers are known."""
        return float((self.mu * self.sure * (1 - 1 / self.answers))[counts == 0].sum())

    def memoriser(self, counts: np.ndarray) -> list[PromptMass]:
        """The algorithm of the upper bound of theorem 2, as a model whose every response is listed.

        Of a prompt that was read with its answer it says that with probability alpha_c, else "I don't know". Of any
        other it says each r in R_c with probability alpha_c / |R_c|, else "I don't know". Both are valid: the answer
        first, then "I don't know".
        """
        prompts = []
        for c, read in enumerate(counts):
            alpha, size = self.sure[c], int(self.answers[c])
            guess = alpha / size
            valid = [alpha, 1 - alpha] if read else [guess, 1 - alpha]
            errors = np.full(size - 1, 0.0 if read else guess)
            prompts.append(PromptMass(np.array(valid), errors, np.array([alpha, 1 - alpha]), float(self.mu[c])))
        return prompts
