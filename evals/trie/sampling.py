"""Independent samples that share what they have in common: prompts, prefixes, and the work of a step."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from abstain.evals.trie.forest import Ints
from abstain.evals.trie.head import slices, statistics
from abstain.evals.trie.walk import Walk


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


@dataclass(frozen=True)
class Samples:
    """Completions, and what the model thought of them at the temperature but without the warp.

    Args:
        tokens: of each completion.
        logps: (S, max_new_tokens) log-probability of each token, 0 after the end.
        entropies: (S, max_new_tokens) entropy of each next-token distribution, in nats, 0 after the end.
    """

    tokens: list[list[int]]
    logps: Tensor
    entropies: Tensor


@torch.no_grad()
def sample(
    model: nn.Module, prompts: Sequence[Sequence[int]], rule: SamplingRule, config: PretrainedConfig
) -> Samples:
    """One completion per prompt, drawn independently; repeated prompts and shared prefixes are computed once.

    Every sample draws a token of its own from the distribution of the prefix it has reached, so the samples of one
    prompt are independent and identically distributed, in no particular order. Randomness is torch's
    (`torch.manual_seed`).

    Args:
        model: its forward takes `trie` (see `add_trie_head`).
        prompts: token ids of each prompt, at least one token each.
        rule: how to draw, and when to stop.
        config: the text configuration of the model.
    """
    number: dict[tuple[int, ...], int] = {}
    node = np.array([number.setdefault(tuple(prompt), len(number)) for prompt in prompts])
    walk = Walk(model, config, list(number))
    device = next(model.parameters()).device
    drawn = np.full((len(prompts), rule.max_new_tokens), -1)
    scores = torch.zeros(2, *drawn.shape, device=device)
    unfinished, end = np.arange(len(prompts)), np.array(sorted(rule.end))
    for step in range(rule.max_new_tokens):
        draw = Draw(node, rule)
        walk.read(draw)
        token, *found = draw.drawn()
        drawn[unfinished, step] = token
        scores[:, torch.from_numpy(unfinished).to(device), step] = torch.stack(found)
        going = ~np.isin(token, end)
        unfinished = unfinished[going]
        if not len(unfinished) or step + 1 == rule.max_new_tokens:
            break
        parent, token, node = distinct(node[going], token[going])
        walk.grow(parent, token)
    lengths = (drawn >= 0).sum(axis=1).tolist()
    tokens = [row[:length] for row, length in zip(drawn.tolist(), lengths, strict=True)]
    return Samples(tokens, *scores)


def distinct(parent: Ints, token: Ints) -> tuple[Ints, Ints, Ints]:
    """The distinct (prefix, token) pairs, and which of them each sample has drawn.

    >>> [array.tolist() for array in distinct(np.array([1, 0, 1]), np.array([7, 9, 7]))]
    [[0, 1], [9, 7], [1, 0, 1]]
    """
    pairs, node = np.unique((parent << 32) | token, return_inverse=True)
    return pairs >> 32, pairs & 0xFFFFFFFF, node


# Drawing next tokens: many samples from few distributions


class Draw:
    """Draws a token for each sample from its prefix's distribution, each sample with a draw of its own.

    Args:
        node: (S,) prefix of each sample.
        rule: the temperature and what else becomes of the logits.

    Attributes:
        logp, entropy: (S,) of the tokens drawn and of the distributions, on the model's device until all is drawn.
    """

    def __init__(self, node: Ints, rule: SamplingRule) -> None:
        self._order = np.argsort(node, kind="stable")
        self._node = node[self._order]
        self._rule = rule
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, logits: Tensor, first: int) -> None:
        """Takes the logits (m, V) of the prefixes `first`, `first + 1`, ..."""
        for part in slices(logits):
            start, end = np.searchsorted(self._node, [first + part.start, first + part.stop])
            local = torch.from_numpy(self._node[start:end] - first - part.start).to(logits.device)
            self._parts.append(self._draw(logits[part], local))

    def _draw(self, logits: Tensor, node: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        scaled = logits if self._rule.temperature == 1.0 else logits / self._rule.temperature
        log_z, entropy, weights = statistics(scaled)
        if self._rule.warp is not None:
            weights = torch.softmax(self._rule.warp(scaled), dim=-1)
        token = draw_tokens(weights, node)
        return token, scaled[node, token] - log_z[node], entropy[node]

    def drawn(self) -> tuple[Ints, Tensor, Tensor]:
        """(S,) tokens, for which alone the host waits, and their log-probabilities and entropies on the device.

        Raises:
            FloatingPointError: a log-probability is not finite.
        """
        token, logp, entropy = (torch.cat(column) for column in zip(*self._parts, strict=True))
        place = np.empty_like(self._order)
        place[self._order] = np.arange(len(place))
        index = torch.from_numpy(place).to(token.device)
        on_host = torch.where(logp.isfinite(), token, -1).cpu().numpy()
        if on_host.min() < 0:
            raise FloatingPointError("the policy's probabilities are not finite, so no token can be drawn")
        return on_host[place], logp[index], entropy[index]


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
    return (block * size + _draw_columns(held)).clamp(max=weights.shape[1] - 1)  # NaN must not lead outside


def _draw_columns(weights: Tensor) -> Tensor:
    exact = weights.dtype if weights.device.type == "mps" else torch.float64  # which Apple's GPUs lack
    below = weights.to(exact).cumsum(-1)
    point = torch.rand(len(below), 1, dtype=exact, device=below.device) * below[:, -1:]
    return torch.searchsorted(below, point, right=True)[:, 0].clamp(max=weights.shape[1] - 1)
