r"""Models that cannot represent the answer: what the best of a family errs, whatever it has read.

Kalai et al. 2025, section 3.3.2. A family G of models gives classifiers of Is-It-Valid, valid iff g(r | c) > t; opt(G)
is the least err_iiv among all of them. Where each prompt has one valid response among at least C choices,

    err >= 2 (1 - 1/C) opt(G)                          (theorem 3)

for every model of the family; no calibration is asked for. Models that read only the last words of a prompt cannot
tell apart prompts that end alike: "She lost it and was completely out of ..." goes on with *her mind*, "He lost it and
was completely out of ..." with *his mind*, and a trigram model errs on one half of the two (corollary 2).
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

from abstain.evals.theory.reduction import DUST

WORD = re.compile(r"\w+|[^\w\s]")
END = "\0"
"""What follows the last word of a text."""


def words_of(text: str) -> list[str]:
    """Words and signs, as an n-gram model counts them.

    Example:
        >>> words_of("Where was Mo born?")
        ['Where', 'was', 'Mo', 'born', '?']
    """
    return WORD.findall(text)


class NGram:
    """A model of the next word by the n - 1 words before it: shares of what was read, and by fewer where none was.

    Args:
        order: n; 3 is a trigram model.

    Raises:
        ValueError: n below 1, or nothing to read.

    Example:
        >>> model = NGram(3).read(["she is out of her mind", "he is out of his mind"])
        >>> model.next_word("she is out of".split(), "her")
        0.5
        >>> [round(share, 2) for share in model.answers("he is out of", ["his mind", "her mind"])]
        [0.5, 0.5]
    """

    def __init__(self, order: int) -> None:
        if order < 1:
            raise ValueError(f"order {order}: an n-gram model has an n of at least 1")
        self.order = order
        self.counts: defaultdict[tuple[str, ...], Counter[str]] = defaultdict(Counter)

    def read(self, texts: Iterable[str]) -> "NGram":
        """Count the words of texts, ends included, and return the model."""
        for text in texts:
            words = [*words_of(text), END]
            for place, word in enumerate(words):
                for length in range(min(self.order - 1, place) + 1):
                    self.counts[tuple(words[place - length : place])][word] += 1
        if not self.counts:
            raise ValueError("an n-gram model of no text knows no word")
        return self

    def next_word(self, before: Sequence[str], word: str) -> float:
        """P(word | the last n - 1 words), by the longest context that was read."""
        for length in range(min(self.order - 1, len(before)), -1, -1):
            seen = self.counts.get(tuple(before[len(before) - length :]))
            if seen:
                return seen[word] / seen.total()
        return 0.0

    def log_probability(self, before: str, answer: str) -> float:
        """ln P(answer and its end | what stands before); minus infinity where it cannot be.

        Raises:
            ValueError: the answer has no words.
        """
        return self._log_probability(words_of(before), answer)

    def _log_probability(self, before: Sequence[str], answer: str) -> float:
        said, words = [*words_of(answer), END], [*before][-self.order :]
        if len(said) == 1:
            raise ValueError(f"the answer {answer!r} has no words")
        total = 0.0
        for word in said:
            share = self.next_word(words, word)
            if share == 0:
                return -math.inf
            total += math.log(share)
            words.append(word)
        return total

    def answers(self, prompt: str, candidates: Sequence[str]) -> list[float]:
        """Probability of each candidate after a prompt, given that it says one of them.

        Raises:
            ValueError: it says none of them.
        """
        words = words_of(prompt)
        shares = [math.exp(self._log_probability(words, one)) for one in candidates]
        if not (total := sum(shares)):
            raise ValueError(f"after {prompt!r} the model says none of {len(candidates)} candidates")
        return [share / total for share in shares]

    def sees(self, prompt: str) -> tuple[str, ...]:
        """All that it can tell of a prompt: prompts that look alike are answered alike."""
        words = words_of(prompt)
        return tuple(words[max(0, len(words) - self.order + 1) :]) if self.order > 1 else ()


def optimal_error(
    seen: Sequence[Hashable],
    right: Sequence[int],
    choices: Sequence[int] | int,
    weights: Sequence[float] | None = None,
) -> float:
    r"""opt(G) of the models that see of a prompt only what `seen` says: the least err_iiv of any function of that.

        opt(G) = 1/2 sum_k sum_r min(sum_{c in k} mu(c) 1[r = a_c], sum_{c in k} mu(c) 1[r != a_c] / |E_c|)

    over classes k of prompts that look alike: in each, every response is called valid or not as fewer are misjudged.
    Every such function is a threshold of some model of the family, so that nothing is lost.

    Args:
        seen: of each prompt, what the model can tell of it.
        right: of each prompt, its right answer, from 0 to the number of choices - 1.
        choices: |R_c| of each prompt, or the one that all have; answer r means the same in prompts that look alike.
        weights: mu, or anything proportional to it; equal by default.

    Raises:
        ValueError: a prompt of fewer than two choices, or an answer that is none of them.

    Example:
        >>> optimal_error(["out of", "out of"], [0, 1], 2), optimal_error(["she", "he"], [0, 1], 2)
        (0.5, 0.0)
    """
    sizes = [choices] * len(seen) if isinstance(choices, int) else list(choices)
    share = [1.0] * len(seen) if weights is None else list(weights)
    valid, wrong = Counter[tuple[Hashable, int]](), Counter[tuple[Hashable, int]]()
    for look, answer, size, weight in zip(seen, right, sizes, share, strict=True):
        if size < 2 or not 0 <= answer < size:
            raise ValueError(f"answer {answer} of {size} choices: theorem 3 needs two choices, and one of them right")
        valid[look, answer] += weight  # type: ignore[assignment]
        for other in range(size):
            if other != answer:
                wrong[look, other] += weight / (size - 1)  # type: ignore[assignment]
    return sum(min(mass, wrong[key]) for key, mass in valid.items()) / sum(share) / 2


def least_error(seen: Sequence[Hashable], right: Sequence[int]) -> float:
    """What the best of these models errs in truth: in each class it says the answer that is right most often.

    Example:
        >>> least_error(["out of", "out of"], [0, 1])
        0.5
    """
    best = Counter[Hashable]()
    for (look, _), count in Counter(zip(seen, right, strict=True)).items():
        best[look] = max(best[look], count)
    return 1 - best.total() / len(seen)


def theorem_3(opt: float, choices: int) -> float:
    """2 (1 - 1/C) opt(G).

    Args:
        opt: opt(G), the least err_iiv of the family, at most 1/2.
        choices: C, how many each prompt has at least.

    Raises:
        ValueError: fewer than two choices, or an opt(G) that cannot be.

    Example:
        >>> theorem_3(0.5, 2), theorem_3(0.5, 4)
        (0.5, 0.75)
    """
    if choices < 2:
        raise ValueError(f"{choices} choices: theorem 3 needs two at least")
    if not 0 <= opt <= 0.5 + DUST:
        raise ValueError(f"opt(G) = {opt:g} is outside [0, 1/2]: calling nothing valid already errs on half")
    return 2 * (1 - 1 / choices) * opt
