"""Log-probabilities and entropies of completions, every distinct token path computed once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PretrainedConfig

from abstain.evals.trie.forest import Forest, Ints, pack, tree_mask
from abstain.evals.trie.head import Scored


@dataclass(frozen=True)
class Plan:
    """What to compute for a batch of completions, and where each result goes.

    Args:
        forest: the distinct prefixes that have a next token.
        parent: (M,) flat indices of the nodes with scored children, ascending.
        edge_node: (E,) index into `parent` of each distinct (prefix, next token).
        edge_token: (E,) its next token.
        edge_of: (B * keep,) edge of each completion token, E where there is none.
        node_of: (B * keep,) its node, M where there is none.
    """

    forest: Forest
    parent: Ints
    edge_node: Ints
    edge_token: Ints
    edge_of: Ints
    node_of: Ints


def plan_scoring(input_ids: Ints, attention_mask: Ints, keep: int, hidden_size: int) -> Plan | None:
    """Plans the scoring of the last `keep` tokens of each row; None where the trie cannot serve the batch.

    Args:
        input_ids: (B, T) prompts, padded on the left, then completions, padded on the right.
        attention_mask: (B, T) 1 for real tokens, which must be contiguous in each row.
        keep: number of columns that belong to completions.
        hidden_size: of the model, for the packing.
    """
    tokens, lengths = _left_aligned(input_ids, attention_mask)
    prompt_lengths = attention_mask[:, :-keep].sum(axis=1)
    row, position = np.nonzero(attention_mask[:, -keep:])
    if tokens is None or not len(row) or not prompt_lengths.all():
        return None
    scored = np.unique(row)
    forest = pack(tokens[scored, :-1], lengths[scored] - 1, hidden_size)
    depth = prompt_lengths[row] + position - 1
    node = forest.flat(np.searchsorted(scored, row), depth)
    edges, edge = np.unique((node << 32) | tokens[row, depth + 1], return_inverse=True)
    parent, edge_node = np.unique(edges >> 32, return_inverse=True)
    place = row * keep + position
    edge_of, node_of = _places(input_ids.shape[0] * keep, place, edge, edge_node)
    return Plan(forest, parent, edge_node, edges & 0xFFFFFFFF, edge_of, node_of)


def _left_aligned(input_ids: Ints, attention_mask: Ints) -> tuple[Ints | None, Ints]:
    lengths = attention_mask.sum(axis=1)
    column = np.arange(input_ids.shape[1])
    index = np.minimum(attention_mask.argmax(axis=1)[:, None] + column, input_ids.shape[1] - 1)
    contiguous = np.take_along_axis(attention_mask, index, axis=1)[column < lengths[:, None]].all()
    return (np.take_along_axis(input_ids, index, axis=1) if contiguous else None), lengths


def _places(size: int, place: Ints, edge: Ints, edge_node: Ints) -> tuple[Ints, Ints]:
    edge_of, node_of = np.full(size, len(edge_node)), np.full(size, edge_node[-1] + 1)
    edge_of[place], node_of[place] = edge, edge_node[edge]
    return edge_of, node_of


class Scores(NamedTuple):
    """What there is to know of completions, (B, keep) each and 0 where there is no token.

    Args:
        logps: log-probability of each token.
        entropies: of each next-token distribution, in nats.
        values: of the state before each token, if the model has a value head.
    """

    logps: Tensor
    entropies: Tensor
    values: Tensor | None = None


def score(model: nn.Module, plan: Plan, config: PretrainedConfig, keep: int, max_tokens: int | None) -> Scores:
    """Scores the completions of a plan.

    Args:
        model: its forward takes `trie` (see `add_trie_head`).
        plan: from `plan_scoring`.
        config: the text configuration of the model.
        keep: as in the plan.
        max_tokens: tokens computed at a time (rows are not split); None for all at once.
    """
    device = next(model.parameters()).device
    results = [
        model(**inputs, use_cache=False, trie=scored) for inputs, scored in _passes(plan, config, device, max_tokens)
    ]
    edges, *nodes = (torch.cat([*parts, parts[0].new_zeros(1)]) for parts in zip(*results, strict=True))
    edge_of, node_of = (torch.from_numpy(index).to(device) for index in (plan.edge_of, plan.node_of))
    return Scores(edges[edge_of].view(-1, keep), *(found[node_of].view(-1, keep) for found in nodes))


def _passes(
    plan: Plan, config: PretrainedConfig, device: torch.device, max_tokens: int | None
) -> Iterator[tuple[dict[str, Any], Scored]]:
    rows, length = plan.forest.tokens.shape
    step = rows if max_tokens is None else max(1, max_tokens // length)
    for start in range(0, rows, step):
        nodes = slice(*np.searchsorted(plan.parent, [start * length, (start + step) * length]))
        edges = slice(*np.searchsorted(plan.edge_node, [nodes.start, nodes.stop]))
        scored = Scored.on(
            device,
            plan.parent[nodes] - start * length,
            plan.edge_node[edges] - nodes.start,
            plan.edge_token[edges],
            config.vocab_size,
        )
        yield trie_inputs(plan.forest, slice(start, start + step), config, device), scored


def trie_inputs(forest: Forest, rows: slice, config: PretrainedConfig, device: torch.device) -> dict[str, Tensor]:
    """The model's inputs for some rows of a forest."""
    tokens, positions, last = (
        torch.from_numpy(array[rows]).to(device) for array in (forest.tokens, forest.positions, forest.last)
    )
    return {"input_ids": tokens, "position_ids": positions, "attention_mask": as_bias(tree_mask(last), config)}


def as_bias(mask: Tensor, config: PretrainedConfig) -> Tensor:
    """A boolean mask as the attention implementation wants it: SDPA takes booleans, eager attention adds."""
    if config._attn_implementation == "sdpa":
        return mask
    dtype = config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)
