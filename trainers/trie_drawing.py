"""Drawing next tokens: many samples from few distributions."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from abstain.trainers.trie import Ints
from abstain.trainers.trie_head import slices, statistics


@dataclass(frozen=True)
class SamplingRule:
    """How a next token is drawn and when a completion ends.

    Args:
        end: tokens that end a completion, and belong to it.
        max_new_tokens: length at which a completion is cut.
        temperature: that logits are divided by.
        warp: what then becomes of the logits (F, V) before a token is drawn: top-k, top-p and the like.
    """

    end: Collection[int]
    max_new_tokens: int
    temperature: float = 1.0
    warp: Callable[[Tensor], Tensor] | None = None


class Draw:
    """Draws a token for each sample from its prefix's distribution, each sample with a draw of its own.

    Args:
        node: (S,) prefix of each sample.
        rule: the temperature and what else becomes of the logits.
    """

    def __init__(self, node: Ints, rule: SamplingRule) -> None:
        self._order = np.argsort(node, kind="stable")
        self._node = node[self._order]
        self._rule = rule
        self.token = np.empty(len(node), dtype=np.int64)
        self.logp, self.entropy = np.empty((2, len(node)), dtype=np.float32)

    def __call__(self, logits: Tensor, first: int) -> None:
        """Takes the logits (m, V) of the prefixes `first`, `first + 1`, ..."""
        for part in slices(logits):
            start, end = np.searchsorted(self._node, [first + part.start, first + part.stop])
            local = torch.from_numpy(self._node[start:end] - first - part.start).to(logits.device)
            self._draw(logits[part], local, self._order[start:end])

    def _draw(self, logits: Tensor, node: Tensor, place: Ints) -> None:
        scaled = logits if self._rule.temperature == 1.0 else logits / self._rule.temperature
        log_z, entropy, weights = statistics(scaled)
        if self._rule.warp is not None:
            weights = torch.softmax(self._rule.warp(scaled), dim=-1)
        token = draw_tokens(weights, node)
        self.token[place] = token.cpu().numpy()
        self.logp[place] = (scaled[node, token] - log_z[node]).cpu().numpy()
        self.entropy[place] = entropy[node].cpu().numpy()


def draw_tokens(weights: Tensor, row: Tensor) -> Tensor:
    """Draws one column from each of the given rows, with probability proportional to its weight.

    First a block of columns, then one of its columns: the weights of a row are added up once, for all its draws.

    >>> draw_tokens(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.tensor([0, 1, 1])).tolist()
    [1, 0, 0]
    """
    size = math.isqrt(weights.shape[1])
    whole = weights.shape[1] // size * size
    mass = weights[:, :whole].unflatten(1, (-1, size)).sum(-1)
    if whole < weights.shape[1]:
        mass = torch.cat([mass, weights[:, whole:].sum(-1, keepdim=True)], dim=1)
    block = _draw_columns(mass[row])
    column = block[:, None] * size + torch.arange(size, device=row.device)
    inside = column < weights.shape[1]
    held = weights[row[:, None], column.clamp(max=weights.shape[1] - 1)] * inside
    return block * size + _draw_columns(held)


def _draw_columns(weights: Tensor) -> Tensor:
    exact = weights.dtype if weights.device.type == "mps" else torch.float64  # which Apple's GPUs lack
    below = weights.to(exact).cumsum(-1)
    point = torch.rand(len(below), 1, dtype=exact, device=below.device) * below[:, -1:]
    return torch.searchsorted(below, point, right=True)[:, 0].clamp(max=weights.shape[1] - 1)
