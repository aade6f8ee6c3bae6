"""Keys and values of prefixes, with room to grow."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

GROWTH = 1.5


class RoomyLayer(DynamicLayer):
    """A layer of a cache: what is there stays where it is when a step's keys and values are added."""

    keys: Tensor
    values: Tensor
    is_initialized: bool
    _room: tuple[Tensor, Tensor]

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.hold(key_states, value_states)
            return key_states, value_states
        filled = self.keys.shape[-2]
        end = filled + key_states.shape[-2]
        if end > self._room[0].shape[-2]:
            self._room = _roomier(self.keys, end), _roomier(self.values, end)
        for room, added in zip(self._room, (key_states, value_states), strict=True):
            room[..., filled:end, :] = added
        self.keys, self.values = (room[..., :end, :] for room in self._room)
        return self.keys, self.values

    def hold(self, keys: Tensor, values: Tensor, filled: int | None = None) -> None:
        """These are the keys and values from now on, or the first `filled` columns of them."""
        self.dtype, self.device = keys.dtype, keys.device
        self._room = keys, values
        self.keys, self.values = (room[..., : room.shape[-2] if filled is None else filled, :] for room in self._room)
        self.is_initialized = True


def _roomier(held: Tensor, length: int) -> Tensor:
    """The same with columns to spare, for `length` of them and half as many again."""
    room = held.new_empty(*held.shape[:-2], int(GROWTH * length), held.shape[-1])
    room[..., : held.shape[-2], :] = held
    return room


class Prefix(NamedTuple):
    """The keys and values of a prefix that many prompts share.

    Args:
        tokens: of the prefix.
        layers: keys and values (1, heads, tokens, size) of each layer.
    """

    tokens: tuple[int, ...]
    layers: tuple[tuple[Tensor, Tensor], ...]

    def cut(self, length: int) -> "Prefix":
        """Its first `length` tokens."""
        return Prefix(
            self.tokens[:length],
            tuple((keys[..., :length, :], values[..., :length, :]) for keys, values in self.layers),
        )

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return sum(part.element_size() * part.numel() for layer in self.layers for part in layer)


def new_cache() -> Cache:
    """An empty one."""
    return Cache(layer_class_to_replicate=RoomyLayer)


def cache_of(prefixes: Sequence[Prefix], rows: Sequence[int], room: int) -> Cache:
    """A cache whose rows begin with a prefix each, shorter ones filled up with columns that nobody may look at.

    Args:
        prefixes: at least one, of at least a token.
        rows: for each row, which prefix it begins with.
        room: columns that will be added next.
    """
    cache = new_cache()
    longest = max(len(prefix.tokens) for prefix in prefixes)
    for parts in zip(*(prefix.layers for prefix in prefixes), strict=True):
        keys, values = (_filled([part[which] for part in parts], rows, longest + room) for which in (0, 1))
        cache.layers.append(layer := RoomyLayer())
        layer.hold(keys, values, longest)
    return cache


def _filled(parts: Sequence[Tensor], rows: Sequence[int], columns: int) -> Tensor:
    _, heads, _, size = parts[0].shape
    filled = parts[0].new_zeros(len(rows), heads, int(GROWTH * columns), size)
    for row, prefix in enumerate(rows):
        filled[row, :, : parts[prefix].shape[2]] = parts[prefix][0]
    return filled


def prefix_of(cache: Cache, row: int, tokens: Sequence[int]) -> Prefix:
    """What a row of a cache begins with."""
    kept = ((layer.keys, layer.values) for layer in cache.layers)
    own = tuple(tuple(part[row : row + 1, :, : len(tokens)].clone() for part in parts) for parts in kept)
    return Prefix(tuple(tokens), own)
