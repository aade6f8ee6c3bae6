"""Many prefixes continued token by token, each computed once, side by side in few rows of a cache."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import Cache, PretrainedConfig

from abstain.evals.trie.cache import Prefix, cache_of, new_cache
from abstain.evals.trie.forest import COPYING, Forest, Ints, pack, tree_mask, work
from abstain.evals.trie.head import Read
from abstain.evals.trie.scoring import as_bias


@dataclass
class Frontier:
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


class Walk:
    """Prefixes that grow: `read` their next-token logits, then say by which tokens they `grow`, and so on.

    Args:
        model: its forward takes `trie` (see `abstain.evals.trie.head.add_trie_head`).
        config: its text configuration.
        prompts: token ids of each prompt, all different, at least one token each; without their common prefix, if
            `prefixes` has it.
        prefixes: what is known already of beginnings of prompts.
        prefix: for each prompt, which of them it begins with.

    Attributes:
        tokens: tokens that the model has computed, padding included.
    """

    def __init__(
        self,
        model: nn.Module,
        config: PretrainedConfig,
        prompts: Sequence[Sequence[int]],
        prefixes: Sequence[Prefix] = (),
        prefix: Ints | None = None,
    ) -> None:
        self._model, self._config = model, config
        self._device = next(model.parameters()).device
        self._before = max((len(known.tokens) for known in prefixes), default=0)
        self.tokens = 0
        forest, ends = pack_prompts(prompts, config, prefix, self._before)
        known = np.zeros(len(forest.tokens), dtype=np.int64)
        self._group = np.zeros(len(forest.tokens), dtype=np.int64)
        if prefix is None:
            self.cache = new_cache()
        else:
            self._group[forest.row[forest.sequence]] = prefix
            self.cache = cache_of(prefixes, self._group.tolist(), forest.tokens.shape[1])
            known = np.array([len(each.tokens) for each in prefixes])[self._group]
        self._frontier = _first_frontier(forest, ends, known, self._before)
        begins = np.arange(self._before) < known[:, None]
        self._set_inputs(forest.tokens, forest.positions + known[:, None], self._first_mask(forest, begins), ends)

    def _first_mask(self, forest: Forest, begins: NDArray[np.bool_]) -> Tensor:
        own = tree_mask(torch.from_numpy(forest.last).to(self._device))
        before = torch.from_numpy(begins).to(self._device)[:, None, None].expand(-1, -1, own.shape[2], -1)
        return torch.cat([before, own], dim=3)

    def _set_inputs(self, tokens: Ints, positions: Ints, mask: Tensor, ends: Ints) -> None:
        self._inputs = {
            "input_ids": torch.from_numpy(tokens).to(self._device),
            "position_ids": torch.from_numpy(positions).to(self._device),
            "attention_mask": as_bias(mask, self._config),
        }
        self._ends = torch.from_numpy(ends).to(self._device)

    def read(self, use: Callable[[Tensor, int], None]) -> None:
        """Computes the tokens that are new. `use` gets the logits of the prefixes, as `Read` hands them out."""
        self.tokens += self._inputs["input_ids"].numel()
        read = Read(self._ends, use)
        self._model(**self._inputs, past_key_values=self.cache, use_cache=True, trie=read)

    def grow(self, parent: Ints, token: Ints) -> None:
        """The prefixes from now on: those numbered `parent` (ascending) with another token each."""
        parent = self._packed(parent)
        row, length = self._frontier.row[parent], self._frontier.length[parent]
        slot = _rank_within(row)
        rows, width, past = self._frontier.rows, int(slot.max()) + 1, self._frontier.attends.shape[1]
        tokens, positions = np.zeros((2, rows, width), dtype=np.int64)
        mask = np.zeros((rows, 1, width, past + width), dtype=bool)
        mask[:, 0, np.arange(width), past + np.arange(width)] = True  # padding too: to attend to nothing gives NaN
        tokens[row, slot], positions[row, slot] = token, length
        mask[row, 0, slot, :past] = self._frontier.attends[parent]
        self._frontier = Frontier(rows, row, mask[row, 0, slot], length + 1)
        self._set_inputs(tokens, positions, torch.from_numpy(mask).to(self._device), row * width + slot)

    # Which prefixes share a row of the cache

    def _packed(self, parent: Ints) -> Ints:
        """Puts the prefixes that go on into rows of their own or into fewer rows, where that saves more than it costs.

        Rows waste work when they hold the tokens of many diverged prefixes, few of which attend to each other, or when
        their prefixes have ended.
        """
        using, child = np.unique(parent, return_inverse=True)
        layout = _Layout(self._frontier, self._group, self._before, using, np.bincount(child))
        width = int(np.bincount(self._frontier.row[parent]).max())
        best, least = None, self._cost(self._frontier.rows, width, self._frontier.attends.shape[1])
        for together in 2 ** np.arange(len(using).bit_length() if self._before else 1):
            row, width, columns = layout.rows(int(together))
            cost = self._cost(int(row[-1]) + 1, width, columns)
            moving = (int(row[-1]) + 1) * columns * COPYING if self._before else cost
            if cost + moving < least:
                best, least = row, cost + moving
        if best is None:
            return parent
        self._frontier, self._group = layout.move(self.cache, best)
        return child

    def _cost(self, rows: int, width: int, columns: int) -> float:
        """Of a step, in which attention's copies of long beginnings count."""
        copies = rows * (columns + width) * COPYING if self._before else 0
        return work(rows, width, columns + width, self._config.hidden_size) + copies


class _Layout:
    """Ways to put some prefixes of a frontier into new rows of a cache.

    Args:
        frontier: of the cache as it is.
        group: (rows,) those of one group begin with the same columns.
        before: how many of them there are.
        using: (U,) the prefixes to keep.
        weights: (U,) how much width each will need.
    """

    def __init__(self, frontier: Frontier, group: Ints, before: int, using: Ints, weights: Ints) -> None:
        row = frontier.row[using]
        self._order = np.lexsort((using, row, group[row]))
        self._using, self._old, self._weights = using[self._order], row[self._order], weights[self._order]
        self._before = before
        self._group = group[self._old]
        self._attends = frontier.attends[self._using]
        self._length = frontier.length[self._using]

    def rows(self, together: int) -> tuple[Ints, int, int]:
        """The new row of each prefix where about so many share one, the width of rows, and their columns."""
        total, count = np.bincount(self._group, self._weights), np.bincount(self._group)
        through = np.cumsum(self._weights) - self._weights
        begins = np.r_[0, np.cumsum(total)[:-1]].astype(np.int64)
        parts = -(-count // together)
        part = (through - begins[self._group]) * parts[self._group] // total[self._group].astype(np.int64)
        row = np.unique(self._group * (len(self._group) + 1) + part, return_inverse=True)[1]
        segment, union = self._unions(row)
        held = np.bincount(row[segment], union.sum(axis=1))
        return row, int(np.bincount(row, self._weights).max()), self._before + int(held.max())

    def _unions(self, row: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """Where prefixes begin that go from one old row into one new one, and the columns that they need of it."""
        changes = (row[1:] != row[:-1]) | (self._old[1:] != self._old[:-1])
        segment = np.flatnonzero(np.r_[True, changes])
        return segment, np.logical_or.reduceat(self._attends[:, self._before :], segment, axis=0)

    def move(self, cache: Cache, row: Ints) -> tuple[Frontier, Ints]:
        """Gives the cache these rows; returns where the prefixes lie in it, as they were numbered, and its groups."""
        segment, union = self._unions(row)
        which, column = np.nonzero(union)
        into = row[segment][which]
        place = self._before + _rank_within(into)
        rows, columns = int(row[-1]) + 1, int(place.max()) + 1 if len(place) else self._before
        first = np.searchsorted(row, np.arange(rows))
        source_row, source_column = (
            np.tile(self._old[first][:, None], (1, columns)),
            np.tile(np.arange(columns), (rows, 1)),
        )
        source_column[:, self._before :] = 0
        source_row[into, place], source_column[into, place] = self._old[segment][which], self._before + column
        _take(cache, source_row, source_column)
        return self._moved(row, segment, (which, column, place), columns), self._group[first]

    def _moved(self, row: Ints, segment: Ints, placed: tuple[Ints, Ints, Ints], columns: int) -> Frontier:
        which, column, place = placed
        target = np.zeros((len(segment), self._attends.shape[1]), dtype=np.int64)
        target[which, self._before + column] = place
        target[:, : self._before] = np.arange(self._before)
        prefix, old = np.nonzero(self._attends)
        attends = np.zeros((len(row), columns), dtype=bool)
        segment_of = np.searchsorted(segment, np.arange(len(row)), side="right") - 1
        attends[prefix, target[segment_of[prefix], old]] = True
        back = np.argsort(self._order)
        return Frontier(int(row[-1]) + 1, row[back], attends[back], self._length[back])


def _take(cache: Cache, row: Ints, column: Ints) -> None:
    """Makes (rows, columns) of what the cache has in these places."""
    device = cache.layers[0].keys.device
    rows, columns = (torch.from_numpy(index).to(device) for index in (row, column))
    for layer in cache.layers:
        layer.hold(*(kept[rows, :, columns].transpose(1, 2) for kept in (layer.keys, layer.values)))


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


def pack_prompts(
    prompts: Sequence[Sequence[int]], config: PretrainedConfig, group: Ints | None = None, before: int = 0
) -> tuple[Forest, Ints]:
    """The prompts packed (see `pack`), and the flat index of each one's last token."""
    lengths = np.array([len(prompt) for prompt in prompts])
    padded = np.zeros((len(prompts), int(lengths.max())), dtype=np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate([np.asarray(prompt) for prompt in prompts])
    forest = pack(padded, lengths, config.hidden_size, group, before)
    return forest, forest.flat(np.arange(len(prompts)), lengths - 1)


def _first_frontier(forest: Forest, ends: Ints, known: Ints, before: int) -> Frontier:
    rows, length = forest.tokens.shape
    row, column = np.divmod(ends, length)
    columns = np.arange(length)
    own = (columns <= column[:, None]) & (column[:, None] <= forest.last[row])
    attends = np.column_stack([np.arange(before) < known[row][:, None], own])
    return Frontier(rows, row, attends, known[row] + forest.positions[row, column] + 1)
