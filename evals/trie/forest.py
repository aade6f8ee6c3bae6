"""Token sequences packed as tries: a prefix that several sequences share is stored, and later computed, once.

Sequences are sorted, so that the distinct prefixes of one row, laid out in that order, are a depth-first walk of a
trie. Then "k is an ancestor of q" is an interval test, `k <= q <= last[k]`, and a row of many sequences is one row of
tokens, one row of positions and one row of `last`: a causal transformer given the resulting attention mask computes
each sequence exactly as if it stood alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Ints = NDArray[np.int64]
COPYING = 30
"""What it takes to hand a column of a row to attention, which makes copies of it, in the units of `work`."""


@dataclass(frozen=True)
class Forest:
    """Tries packed in R rows of L columns.

    Args:
        tokens: (R, L) token of each node, 0 in the padding at the end of a row.
        positions: (R, L) depth of each node, which is its position for rotary embeddings.
        last: (R, L) last column of each node's subtree; a padding column is its own subtree.
        row: (U,) row of each distinct sequence.
        column: (U, D) columns of each distinct sequence's prefixes, by depth.
        sequence: (B,) index of the distinct sequence that each given sequence equals.
    """

    tokens: Ints
    positions: Ints
    last: Ints
    row: Ints
    column: Ints
    sequence: Ints

    def flat(self, index: Ints, depth: Ints) -> Ints:
        """Index into the flattened (R * L) nodes of the prefix that ends at `depth` of given sequences `index`."""
        which = self.sequence[index]
        return self.row[which] * self.tokens.shape[1] + self.column[which, depth]


def tree_mask(last: torch.Tensor) -> torch.Tensor:
    """(R, 1, L, L) mask in which every node attends to itself and its ancestors.

    >>> tree_mask(torch.tensor([[2, 1, 2]]))[0, 0].int().tolist()  # a root with two children
    [[1, 0, 0], [1, 1, 0], [1, 0, 1]]
    """
    column = torch.arange(last.shape[1], device=last.device)
    not_before = column[None, :, None] >= column[None, None, :]
    return (not_before & (column[None, :, None] <= last[:, None, :]))[:, None]


def pack(sequences: Ints, lengths: Ints, hidden_size: int, group: Ints | None = None, before: int = 0) -> Forest:
    """Packs sequences into rows of tries of about equal length.

    Args:
        sequences: (B, T) tokens, left-aligned; what lies beyond a sequence's length is ignored.
        lengths: (B,) at least 1 each.
        hidden_size: of the model; with it the cost of long rows (attention) is weighed against that of many.
        group: (B,) sequences of different groups share no row; one group by default.
        before: columns that every row has already, of tokens that all its sequences follow.

    >>> forest = pack(np.array([[5, 6, 7], [5, 6, 8], [5, 6, 7]]), np.array([3, 3, 3]), hidden_size=64)
    >>> forest.tokens.tolist(), forest.positions.tolist(), forest.last.tolist()
    ([[5, 6, 7, 8]], [[0, 1, 2, 2]], [[3, 3, 2, 3]])
    """
    group = np.zeros_like(lengths) if group is None else group
    distinct, lengths, shared, sequence = _sort_distinct(sequences, lengths, group)
    starts_row = _best_rows(lengths, shared, hidden_size, before)
    shared = np.maximum(shared, 0)
    shared = np.where(starts_row, 0, shared)
    row = np.cumsum(starts_row) - 1
    first_column = _first_columns(lengths - shared, starts_row)
    column = _columns(shared, first_column, distinct.shape[1])
    return _lay_out(distinct, lengths, row, column, sequence)


def _sort_distinct(sequences: Ints, lengths: Ints, group: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Distinct sequences in order, their lengths, the prefix each shares with the one before it, and the inverse.

    It shares -1 with one of another group.
    """
    depth = np.arange(sequences.shape[1])
    padded = np.column_stack([group + 1, np.where(depth < lengths[:, None], sequences + 1, 0)])
    # Big-endian bytes sort as the tokens do, and much faster than columns of integers
    keys = np.ascontiguousarray(padded.astype(">u4")).view(f"S{4 * padded.shape[1]}")[:, 0]
    order = np.argsort(keys, kind="stable")
    padded, lengths = padded[order], lengths[order]
    same = np.logical_and.accumulate(padded[1:] == padded[:-1], axis=1)
    shared = np.concatenate([[-1], np.minimum(same.sum(axis=1) - 1, lengths[:-1])])
    is_new = np.concatenate([[True], ~same.all(axis=1)])
    sequence = np.empty(len(order), dtype=np.int64)
    sequence[order] = np.cumsum(is_new) - 1
    return padded[is_new, 1:] - 1, lengths[is_new], shared[is_new], sequence


def _best_rows(lengths: Ints, shared: Ints, hidden_size: int, before: int) -> NDArray[np.bool_]:
    """Where a new row starts, for the row capacity with the least work."""
    fresh = shared < 0
    shared = np.maximum(shared, 0)
    longest, total = int(lengths.max()), int((lengths - shared).sum())
    size, own = lengths.tolist(), (lengths - shared).tolist()
    best, best_cost = None, float("inf")
    capacity = float(longest)
    while best is None or capacity < 1.5 * total:
        starts, used = _fill(size, own, fresh.tolist(), int(capacity))
        cost = work(len(used), max(used), before + max(used), hidden_size)
        if before:
            cost += len(used) * (before + max(used)) * COPYING
        if cost < best_cost:
            best, best_cost = starts, cost
        capacity *= 1.4
    return np.array(best)


def work(rows: int, width: int, columns: int, hidden_size: int) -> float:
    """What it takes to compute rows of `width` tokens, each of which looks at `columns`, to be compared only.

    Per token 12 d² multiplications in the linear layers, 2 L d in attention, at about a third of their speed.
    """
    return rows * width * (2 * hidden_size + columns)


def _fill(
    size: Sequence[int], own: Sequence[int], fresh: Sequence[bool], capacity: int
) -> tuple[list[bool], list[int]]:
    """Fills rows one after another. A sequence costs `own` after its neighbour and `size` at the start of a row."""
    starts, used = [], [0]
    for whole, extra, first in zip(size, own, fresh, strict=True):
        starts.append(first or used[-1] + extra > capacity)
        if starts[-1]:
            used.append(whole)
        else:
            used[-1] += extra
    return starts, used[1:]


def _first_columns(own: Ints, starts_row: NDArray[np.bool_]) -> Ints:
    """Column of the first node that each sequence adds to its row."""
    before = np.cumsum(own) - own
    return before - np.maximum.accumulate(np.where(starts_row, before, 0))


def _columns(shared: Ints, first_column: Ints, depths: int) -> Ints:
    """A node belongs to the latest sequence in order that shared less than its depth with the one before it."""
    order = np.arange(len(shared))
    depth = np.arange(depths)
    creator = np.maximum.accumulate(np.where(shared[:, None] <= depth, order[:, None], 0), axis=0)
    return first_column[creator] + depth - shared[creator]


def _lay_out(distinct: Ints, lengths: Ints, row: Ints, column: Ints, sequence: Ints) -> Forest:
    which, depth = np.nonzero(np.arange(distinct.shape[1]) < lengths[:, None])
    at = row[which], column[which, depth]
    shape = int(row[-1]) + 1, int(at[1].max()) + 1
    tokens, positions = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    last = np.tile(np.arange(shape[1]), (shape[0], 1))
    tokens[at], positions[at] = distinct[which, depth], depth
    # In sorted order the last sequence through a node ends its subtree, and the last assignment stands
    last[at] = column[which, lengths[which] - 1]
    return Forest(tokens, positions, last, row, column, sequence)
