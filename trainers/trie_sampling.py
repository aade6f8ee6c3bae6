"""Independent samples that share what they have in common: prompts, prefixes, and the work of a step."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import DynamicCache, PretrainedConfig

from abstain.trainers.trie import Forest, Ints, pack
from abstain.trainers.trie_scoring import as_bias, trie_inputs


@dataclass(frozen=True)
class SamplingRule:
    """How a next token is drawn and when a completion ends.

    Args:
        warp: next-token logits (F, V) to the logits drawn from: temperature, top-k and the like.
        end: tokens that end a completion, and belong to it.
        max_new_tokens: length at which a completion is cut.
    """

    warp: Callable[[Tensor], Tensor]
    end: Collection[int]
    max_new_tokens: int


@dataclass
class _Frontier:
    """The distinct prefixes that are to be continued, where they lie, and which samples share each.

    Args:
        row: (F,) row of each prefix in the packed batch.
        attends: (F, L) columns of the row that are its ancestors or itself.
        position: (F,) position of the next token.
        node: (S,) prefix of each unfinished sample.
    """

    row: Ints
    attends: np.ndarray
    position: Ints
    node: Ints


@torch.no_grad()
def sample(
    model: nn.Module, prompts: Sequence[Sequence[int]], rule: SamplingRule, config: PretrainedConfig
) -> list[list[int]]:
    """One completion per prompt, drawn independently; repeated prompts and shared prefixes are computed once.

    Every sample draws its own token from the distribution of the prefix it has reached, so samples of one prompt are
    independent and identically distributed, in no particular order. Randomness is torch's (`torch.manual_seed`).

    Args:
        model: its forward takes `trie` (see `add_trie_head`).
        prompts: token ids of each prompt, at least one token each.
        rule: how to draw, and when to stop.
        config: the text configuration of the model.
    """
    number: dict[tuple[int, ...], int] = {}
    prompt_of = np.array([number.setdefault(tuple(prompt), len(number)) for prompt in prompts])
    forest, ends = _pack_prompts(list(number), config)
    device = next(model.parameters()).device
    cache = DynamicCache()
    logits = model(
        **trie_inputs(forest, slice(None), config, device),
        past_key_values=cache,
        use_cache=True,
        trie=torch.from_numpy(ends).to(device),
    )
    frontier = _first_frontier(forest, ends, prompt_of)
    drawn = np.full((len(prompts), rule.max_new_tokens), -1)
    unfinished = np.arange(len(prompts))
    end = np.array(sorted(rule.end))
    for step in range(rule.max_new_tokens):
        token = _draw(torch.softmax(rule.warp(logits), dim=-1), frontier.node)
        drawn[unfinished, step] = token
        going = ~np.isin(token, end)
        unfinished = unfinished[going]
        if not len(unfinished) or step + 1 == rule.max_new_tokens:
            break
        inputs, at, frontier = _grow(frontier, frontier.node[going], token[going], len(forest.tokens))
        mask = as_bias(torch.from_numpy(inputs.pop("mask"))[:, None].to(device), config)
        logits = model(
            **{name: torch.from_numpy(array).to(device) for name, array in inputs.items()},
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            trie=torch.from_numpy(at).to(device),
        )
    lengths = (drawn >= 0).sum(axis=1).tolist()
    return [tokens[:length] for tokens, length in zip(drawn.tolist(), lengths, strict=True)]


def _pack_prompts(prompts: Sequence[Sequence[int]], config: PretrainedConfig) -> tuple[Forest, Ints]:
    lengths = np.array([len(prompt) for prompt in prompts])
    padded = np.zeros((len(prompts), int(lengths.max())), dtype=np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate([np.asarray(p) for p in prompts])
    forest = pack(padded, lengths, config.hidden_size)
    return forest, forest.flat(np.arange(len(prompts)), lengths - 1)


def _first_frontier(forest: Forest, ends: Ints, prompt_of: Ints) -> _Frontier:
    row, column = np.divmod(ends, forest.tokens.shape[1])
    columns = np.arange(forest.tokens.shape[1])
    attends = (columns <= column[:, None]) & (column[:, None] <= forest.last[row])
    return _Frontier(row, attends, forest.positions[row, column] + 1, prompt_of)


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


def _draw(chance: Tensor, node: Ints) -> Ints:
    """A token for each sample from its node's distribution, each sample with a draw of its own."""
    rank = _rank_within(node)
    draws = torch.multinomial(chance, int(rank.max()) + 1, replacement=True).cpu().numpy()
    return draws[node, rank]


def _grow(frontier: _Frontier, parent: Ints, token: Ints, rows: int) -> tuple[dict[str, np.ndarray], Ints, _Frontier]:
    """Model inputs for the distinct (prefix, token) pairs, laid side by side at the end of their rows."""
    pairs, node = np.unique((parent << 32) | token, return_inverse=True)
    parent, token = pairs >> 32, pairs & 0xFFFFFFFF
    row = frontier.row[parent]
    slot = _rank_within(row)
    width, past = int(slot.max()) + 1, frontier.attends.shape[1]
    tokens, positions = np.zeros((rows, width), dtype=np.int64), np.zeros((rows, width), dtype=np.int64)
    mask = np.zeros((rows, width, past + width), dtype=bool)
    mask[:, np.arange(width), past + np.arange(width)] = True  # padding too: attending to nothing would give NaN
    tokens[row, slot], positions[row, slot] = token, frontier.position[parent]
    mask[row, slot, :past] = frontier.attends[parent]
    grown = _Frontier(row, mask[row, slot], frontier.position[parent] + 1, node)
    return {"input_ids": tokens, "position_ids": positions, "mask": mask}, row * width + slot, grown
