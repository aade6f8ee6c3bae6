"""Whether sharing prefixes is faster for a batch, by what there is to compute with it and without.

    seconds = fixed + per_weight · W + linear · A + attention · B + head · C

W is the number of weights in 1e9; A, B and C are the operations, in 1e12, of the layers' matrix products, of attention
over all pairs in a row, and of the projection on the vocabulary. Prices are fitted to measured steps by `make
gpu-check` (`tests/gpu/fit.py`), for stock and for shared prefixes each, because their kernels differ: a tree mask goes
without FlashAttention, and our head without TRL's Triton kernels. They decide by sizes alone, so the same run decides
the same every time.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from abstain.evals.trie.scoring import Plan


class Price(NamedTuple):
    """Seconds for each term above, of a pass forwards and backwards."""

    fixed: float
    per_weight: float
    linear: float
    attention: float
    head: float


@dataclass(frozen=True)
class Work:
    """What a pass computes.

    Args:
        slots: tokens, padding counted.
        pairs: of tokens of one row, padding counted.
        scored: tokens projected on the vocabulary.
    """

    slots: int
    pairs: int
    scored: int

    @classmethod
    def of_rows(cls, rows: int, length: int, scored: int) -> "Work":
        """Of rows of this length."""
        return cls(rows * length, rows * length**2, scored)

    @classmethod
    def of_stock(cls, rows: int, length: int, keep: int, device: str) -> "Work":
        """What stock TRL computes of whole completions: off a GPU it projects prompts on the vocabulary, too."""
        return cls.of_rows(rows, length, rows * (keep if device == "cuda" else length - 1))

    @classmethod
    def of_plan(cls, plan: Plan) -> "Work":
        """What a plan computes."""
        rows, length = plan.forest.tokens.shape
        return cls.of_rows(rows, length, len(plan.parent))


@dataclass(frozen=True)
class Sizes:
    """Of a model.

    Args:
        weights: that every token is multiplied with, the head's not counted.
        head: weights of the projection on the vocabulary.
        width: layers times hidden size.
    """

    weights: int
    head: int
    width: int

    @classmethod
    def of(cls, model: PreTrainedModel) -> "Sizes":
        config = model.config.get_text_config()
        head = config.vocab_size * config.hidden_size
        layers = model.num_parameters(exclude_embeddings=True) - (0 if config.tie_word_embeddings else head)
        return cls(layers, head, config.num_hidden_layers * config.hidden_size)


def quantities(sizes: Sizes, work: Work) -> tuple[float, float, float, float, float]:
    """What prices are multiplied with, for a pass forwards and backwards; one that goes forwards only has a third of
    the operations, which are the last three."""
    return (
        1.0,
        (sizes.weights + sizes.head) / 1e9,
        6 * sizes.weights * work.slots / 1e12,
        12 * sizes.width * work.pairs / 1e12,
        6 * sizes.head * work.scored / 1e12,
    )


def seconds(price: Price, sizes: Sizes, work: Work) -> float:
    """What a pass forwards and backwards is expected to take.

    Example:
        >>> price = Price(fixed=0.5, per_weight=0.0, linear=2.0, attention=0.0, head=1.0)
        >>> seconds(price, Sizes(weights=10**9, head=10**9, width=10**5), Work(slots=100, pairs=10**4, scored=50))
        2.0
    """
    return sum(each * quantity for each, quantity in zip(price, quantities(sizes, work), strict=True))


PRICES: dict[tuple[str, bool], tuple[Price, Price]] = {
    ("cpu", False): (
        Price(fixed=0.006104, per_weight=0.0, linear=6.741, attention=37.01, head=62.3),
        Price(fixed=0.01319, per_weight=1.84, linear=14.71, attention=21.87, head=14.35),
    ),
    ("cpu", True): (
        Price(fixed=0.02305, per_weight=2.8, linear=1.015, attention=82.15, head=68.21),
        Price(fixed=0.02115, per_weight=6.247, linear=2.102, attention=69.97, head=35.44),
    ),
}
"""Of stock and of shared prefixes, by device and whether it computes in half precision.

One thread of a Xeon (`bash tests/gpu/run.sh --grid bf16`): a cell is predicted to 14 to 20 % of its seconds, and 32 of
32 choices are right. Nobody has measured a GPU yet.
"""


def gain(model_sizes: Sizes, stock: Work, shared: Work, device: torch.device, half: bool) -> float | None:
    """How many times as fast shared prefixes are expected to be; `None` on a device that nobody has measured."""
    prices = PRICES.get((device.type, half))
    if prices is None:
        return None
    return seconds(prices[0], model_sizes, stock) / seconds(prices[1], model_sizes, shared)
