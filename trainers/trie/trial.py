"""A trial that shows whether the trie does what stock TRL does with this model, on prompts made for the purpose.

A wrong mask shows where siblings stand beside each other, so the completions of the trial branch at every token
whatever the policy would have sampled, below a prompt as long as training will see. Two things keep it from being
passed by luck:

- What would a model that ignores the tree see? The same tokens behind some of their siblings. If that moves stock's
  own numbers no more than the tolerance, the trial cannot tell right from wrong, and is not passed.
- Where weights are in half precision, the tolerance is what stock is off from itself when it takes the rows one by one
  in another order, with padding and without.
"""

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from abstain.evals.sampler import left_pad

KEEP = 3
"""Tokens of a completion."""
PATTERNS = ((0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1))
"""Completions of the first prompt, as places in `Trial.branches`: they branch at each depth."""
SHORT = ((1, 0, 1), (0, 1, 1))
"""Completions of the second prompt."""
LONGEST = 2048
"""Tokens of a trial prompt at most."""
EXACT = 1e-3
"""Of a log-probability or an entropy, in fp32."""
Batch = tuple[Tensor, Tensor, int]
"""input_ids (B, T), attention_mask (B, T), and how many of the last columns are completions."""
Scored = Sequence[Tensor]
"""Log-probabilities and entropies, (B, keep) each."""
Score = Callable[[Tensor, Tensor, int], Scored]


@dataclass(frozen=True)
class Trial:
    """Prompts and completions that a wrong tree mask would get wrong.

    Args:
        prompts: a long one several times, and a shorter one.
        branches: two tokens, of which completions are made.
    """

    prompts: list[list[int]]
    branches: tuple[int, int]

    @classmethod
    def of(cls, seen: Sequence[int], longest: int, vocabulary: int, special: Collection[int]) -> "Trial":
        """A trial of tokens that training has shown, for sequences of up to `longest` tokens.

        Args:
            seen: tokens of some prompts.
            longest: tokens of the longest prompt and completion.
            vocabulary: size of the vocabulary, for want of tokens.
            special: tokens that are not to be used.

        Example:
            >>> trial = Trial.of([5, 6, 7, 8], longest=9, vocabulary=50, special=[5])
            >>> [len(prompt) for prompt in trial.prompts], len(set(trial.branches) - {5})
            ([6, 6, 6, 6, 6, 6, 4, 4], 2)
        """
        usable = [token for token in dict.fromkeys(seen) if token not in special]
        others = (token for token in range(vocabulary) if token not in special and token not in usable)
        while len(usable) < 8 and (token := next(others, None)) is not None:
            usable.append(token)
        rng = random.Random(0)
        long = rng.choices(usable, k=max(2, min(longest, LONGEST) - KEEP))
        short = rng.choices(usable, k=2 * len(long) // 3)  # so that one is padded
        first, second = rng.sample(usable, 2)
        return cls([long] * len(PATTERNS) + [short] * len(SHORT), (first, second))

    @property
    def completions(self) -> list[list[int]]:
        """One for each prompt, so that they branch."""
        return [[self.branches[place] for place in pattern] for pattern in (*PATTERNS, *SHORT)]

    def batch(self, completions: Sequence[Sequence[int]], device: torch.device, *, misled: bool = False) -> Batch:
        """The prompts with these completions.

        Args:
            completions: of `KEEP` tokens each.
            device: where the tensors go.
            misled: siblings stand right before each completion, where a model that ignores the tree would see them.
        """
        other = [self.branches[place] for place in (1, 0, 1)] if misled else []
        prompts = [[*prompt[: len(prompt) - len(other)], *other[: len(prompt)]] for prompt in self.prompts]
        rows = [[*prompt, *done] for prompt, done in zip(prompts, completions, strict=True)]
        return *left_pad(rows, 0, device), KEEP


def why_off(found: Scored, stock: Score, batch: Batch, misled: Batch, exact: bool) -> str | None:
    """Why what was found is not what stock TRL finds; `None` if it is.

    Args:
        found: log-probabilities and entropies of the batch, however they were come by.
        stock: TRL's own.
        batch, misled: of a `Trial`.
        exact: every number is in fp32. Else rounding decides how close is close.

    Example:
        >>> def stock(ids, mask, keep):
        ...     return ids[:, -keep:] / 10, ids[:, -keep:] / 5
        >>> ids, other = torch.arange(12).reshape(2, 6), torch.arange(12).flip(0).reshape(2, 6)
        >>> batch, misled = (ids, ids * 0 + 1, 3), (other, ids * 0 + 1, 3)
        >>> why_off(stock(*batch), stock, batch, misled, exact=True)
        >>> why_off(stock(*misled), stock, batch, misled, exact=True)
        'on trial prompts its log-probabilities are 2.2 off, where 0.001 is allowed'
        >>> why_off(stock(*batch), stock, batch, batch, exact=True)
        'trial prompts cannot tell whether it looks where it should: looking elsewhere changes only 0'
    """
    expected = stock(*batch)
    allowed = EXACT if exact else _noise(stock, batch, expected)
    elsewhere = _apart(stock(*misled), expected)
    if not elsewhere > 4 * allowed:
        return (
            "trial prompts cannot tell whether it looks where it should: looking elsewhere changes only "
            f"{elsewhere:.2g}"
        )
    off = _apart(found, expected, largest=exact)
    if off <= allowed:
        return None
    if _apart(found, _one_by_one(stock, batch, padded=False), largest=exact) <= allowed:
        return (
            f"it is stock TRL that is {off:.2g} off on trial prompts, because this model counts padding as positions; "
            "prompts of one length are free of that"
        )
    return f"on trial prompts its log-probabilities are {off:.2g} off, where {allowed:.2g} is allowed"


def _noise(stock: Score, batch: Batch, expected: Scored) -> float:
    """What may be rounding: four times what stock is off from itself, and a unit in the last of bfloat16's places."""
    size = _apart(expected, [torch.zeros_like(scores) for scores in expected])
    others = (_one_by_one(stock, batch, padded=padded) for padded in (True, False))
    return 4 * max(_apart(other, expected) for other in others) + 2**-8 * size


def _one_by_one(stock: Score, batch: Batch, *, padded: bool) -> Scored:
    """The rows from the last to the first, each alone."""
    found = []
    for ids, mask in reversed(list(zip(batch[0], batch[1], strict=True))):
        at = slice(None) if padded else mask.bool()
        found.append(stock(ids[at][None], mask[at][None], batch[2]))
    return [torch.cat(parts[::-1]) for parts in zip(*found, strict=True)]


def _apart(found: Scored, expected: Scored, *, largest: bool = False) -> float:
    """Root mean square difference, or the largest; infinite if one is not a number."""
    off = torch.cat([(a.float() - b.float()).flatten() for a, b in zip(found, expected, strict=True)])
    value = (off.abs().max() if largest else off.square().mean().sqrt()).item()
    return value if value == value else float("inf")
