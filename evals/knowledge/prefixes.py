"""Beginnings that many prompts share, computed once and kept."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abstain.evals.trie.cache import Prefix

Tokens = tuple[int, ...]
KEPT = 2**30
"""Bytes of keys and values that are kept."""


class KeptPrefixes:
    """The keys and values of beginnings, the last used of which are kept.

    Args:
        compute: finds them for some beginnings.
        at_once: tokens to compute together.
        most: bytes to keep; what was asked for last stays, whatever its size.
    """

    def __init__(
        self, compute: Callable[[Sequence[Tokens]], Sequence["Prefix"]], at_once: int, most: int = KEPT
    ) -> None:
        self._compute = compute
        self._at_once = at_once
        self._most = most
        self._kept: OrderedDict[str, Prefix] = OrderedDict()

    def get(self, wanted: Mapping[str, Tokens]) -> dict[str, "Prefix"]:
        """Prefixes by name: all of their tokens, or those that are kept under a name if these are most of them."""
        found: dict[str, Prefix] = {}
        for name, tokens in wanted.items():
            kept = self._kept.get(name)
            common = 0 if kept is None else shared_length([kept.tokens, tokens])
            if kept is not None and 2 * common >= len(tokens):
                self._kept.move_to_end(name)
                found[name] = kept.cut(common)
        missing = [name for name in wanted if name not in found]
        for some in _portions([len(wanted[name]) for name in missing], self._at_once):
            names = missing[some]
            for name, prefix in zip(names, self._compute([wanted[name] for name in names]), strict=True):
                self._kept.pop(name, None)
                self._kept[name] = found[name] = prefix
        while len(self._kept) > len(wanted) and sum(prefix.bytes for prefix in self._kept.values()) > self._most:
            self._kept.popitem(last=False)
        return found


def _portions(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Cuts a sequence where the sizes of a portion would add up to more.

    Example:
        >>> [(part.start, part.stop) for part in _portions([3, 3, 9, 1], most=7)]
        [(0, 2), (2, 3), (3, 4)]
    """
    start, total = 0, 0
    for index, size in enumerate(sizes):
        if index > start and total + size > most:
            yield slice(start, index)
            start, total = index, 0
        total += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def shared_length(rows: Sequence[Tokens]) -> int:
    """How many tokens all rows begin with.

    Example:
        >>> shared_length([(1, 2, 3), (1, 2), (1, 2, 4)])
        2
    """
    first, last = min(rows), max(rows)
    same = (place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return next(same, min(len(first), len(last)))
