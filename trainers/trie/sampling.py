"""Independent samples that share what they have in common: prompts, prefixes, and the work of a step."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import DynamicCache, PretrainedConfig

from abstain.trainers.trie.forest import Forest, Ints, pack
from abstain.trainers.trie.head import Read, slices, statistics
from abstain.trainers.trie.scoring import Scores, as_bias, trie_inputs


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
    forest, ends = _pack_prompts(list(number), config)
    device = next(model.parameters()).device
    cache = DynamicCache()
    inputs = trie_inputs(forest, slice(None), config, device)
    frontier = _first_frontier(forest, ends)
    drawn = np.full((len(prompts), rule.max_new_tokens), -1)
    scores = torch.zeros(2, *drawn.shape, device=device)
    unfinished, end = np.arange(len(prompts)), np.array(sorted(rule.end))
    for step in range(rule.max_new_tokens):
        draw = Draw(node, rule)
        model(**inputs, past_key_values=cache, use_cache=True, trie=Read(torch.from_numpy(ends).to(device), draw))
        token, *found = draw.drawn()
        drawn[unfinished, step] = token
        scores[:, torch.from_numpy(unfinished).to(device), step] = torch.stack(found)
        going = ~np.isin(token, end)
        unfinished = unfinished[going]
        if not len(unfinished):
            break
        parent, token, node = _distinct(node[going], token[going])
        frontier, parent = _regrouped_if_sparse(cache, frontier, parent, config.hidden_size)
        arrays, ends, frontier = _grown(frontier, parent, token)
        inputs = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        inputs["attention_mask"] = as_bias(inputs["attention_mask"], config)
    lengths = (drawn >= 0).sum(axis=1).tolist()
    tokens = [row[:length] for row, length in zip(drawn.tolist(), lengths, strict=True)]
    return Samples(tokens, *scores)


def _pack_prompts(prompts: Sequence[Sequence[int]], config: PretrainedConfig) -> tuple[Forest, Ints]:
    """The prompts packed, and the flat index of each one's last token."""
    lengths = np.array([len(prompt) for prompt in prompts])
    padded = np.zeros((len(prompts), int(lengths.max())), dtype=np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate([np.asarray(prompt) for prompt in prompts])
    forest = pack(padded, lengths, config.hidden_size)
    return forest, forest.flat(np.arange(len(prompts)), lengths - 1)


@dataclass
class _Frontier:
    """The distinct prefixes that are being continued, and where each lies in the cache.

    Args:
        rows: number of rows in the cache.
        row: (F,) the row of each prefix.
        attends: (F, L) columns of that row that hold the prefix.
        length: (F,) tokens of the prefix.
    """

    rows: int
    row: Ints
    attends: NDArray[np.bool_]
    length: Ints


def _first_frontier(forest: Forest, ends: Ints) -> _Frontier:
    rows, length = forest.tokens.shape
    row, column = np.divmod(ends, length)
    columns = np.arange(length)
    attends = (columns <= column[:, None]) & (column[:, None] <= forest.last[row])
    return _Frontier(rows, row, attends, forest.positions[row, column] + 1)


def _distinct(parent: Ints, token: Ints) -> tuple[Ints, Ints, Ints]:
    """The distinct (prefix, token) pairs, and which of them each sample has drawn.

    >>> [array.tolist() for array in _distinct(np.array([1, 0, 1]), np.array([7, 9, 7]))]
    [[0, 1], [9, 7], [1, 0, 1]]
    """
    pairs, node = np.unique((parent << 32) | token, return_inverse=True)
    return pairs >> 32, pairs & 0xFFFFFFFF, node


def _regrouped_if_sparse(
    cache: DynamicCache, frontier: _Frontier, parent: Ints, hidden_size: int
) -> tuple[_Frontier, Ints]:
    """Gives each prefix that goes on a row of its own, once shared rows waste more work than copying costs.

    Rows waste work when they hold the tokens of many diverged prefixes, few of which attend to each other, or when
    their prefixes have ended.
    """
    using, child = np.unique(parent, return_inverse=True)
    width, apart = (np.bincount(rows).max() for rows in (frontier.row[parent], child))
    shared_cost = frontier.rows * width * (2 * hidden_size + frontier.attends.shape[1])
    apart_cost = len(using) * apart * (2 * hidden_size + frontier.length[using].max())
    if shared_cost < 2 * apart_cost:
        return frontier, parent
    return _regrouped(cache, frontier, using), child


def _regrouped(cache: DynamicCache, frontier: _Frontier, using: Ints) -> _Frontier:
    length = frontier.length[using]
    columns = np.argsort(~frontier.attends[using], axis=1, kind="stable")[:, : length.max()]
    device = cache.layers[0].keys.device
    row, column = (torch.from_numpy(index).to(device) for index in (frontier.row[using][:, None], columns))
    for layer in cache.layers:
        layer.keys, layer.values = (kept[row, :, column].transpose(1, 2) for kept in (layer.keys, layer.values))
    held = np.arange(columns.shape[1]) < length[:, None]
    return _Frontier(len(using), np.arange(len(using)), held, length)


def _grown(frontier: _Frontier, parent: Ints, token: Ints) -> tuple[dict[str, NDArray], Ints, _Frontier]:
    """Model inputs for new (prefix, token) pairs, side by side at the end of their rows, and where each one lies."""
    row, length = frontier.row[parent], frontier.length[parent]
    slot = _rank_within(row)
    width, past = int(slot.max()) + 1, frontier.attends.shape[1]
    tokens, positions = np.zeros((2, frontier.rows, width), dtype=np.int64)
    mask = np.zeros((frontier.rows, 1, width, past + width), dtype=bool)
    mask[:, 0, np.arange(width), past + np.arange(width)] = True  # padding too: to attend to nothing gives NaN
    tokens[row, slot], positions[row, slot] = token, length
    mask[row, 0, slot, :past] = frontier.attends[parent]
    inputs = {"input_ids": tokens, "position_ids": positions, "attention_mask": mask}
    return inputs, row * width + slot, _Frontier(frontier.rows, row, mask[row, 0, slot], length + 1)


def _rank_within(group: Ints) -> Ints:
    """How many earlier elements have the same value.

    >>> _rank_within(np.array([3, 1, 3, 3, 1])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    starts = np.maximum.accumulate(np.where(np.r_[True, ordered[1:] != ordered[:-1]], np.arange(len(group)), 0))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(group)) - starts
    return rank


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


class SampledScores:
    """What sampling found out about its completions, to be looked up until the next optimizer step."""

    def __init__(self, prompts: Sequence[Sequence[int]], samples: Samples, step: int) -> None:
        self.step = step
        self._samples = samples
        pairs = zip(prompts, samples.tokens, strict=True)
        self._index = {(len(prompt), *prompt, *completion): index for index, (prompt, completion) in enumerate(pairs)}

    def look_up(self, input_ids: Tensor, attention_mask: Tensor, keep: int) -> Scores | None:
        """What is known of these rows (B, keep); None if one of them was not sampled, or not in one turn."""
        rows = zip(input_ids.tolist(), attention_mask.tolist(), strict=True)
        index = [self._index.get((sum(mask[:-keep]), *compress(ids, mask)), -1) for ids, mask in rows]
        if -1 in index:
            return None
        found = (scores[index, :keep] for scores in (self._samples.logps, self._samples.entropies))
        return Scores(*(pad(scores, (0, keep - scores.shape[1])) for scores in found))
