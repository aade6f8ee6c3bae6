"""Numbers from a stranger's log: confidence that may be a percentage, NaN, 150 % or a word; stated targets; ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

BAD = -np.inf
"""A value that is no number; told from NaN, which is one that the log does not have."""


@dataclass
class Numbers:
    """A column of numbers.

    Args:
        values: NaN where there is no value, `BAD` where there is one that is no number.
        sure: a probability whatever the others look like, since it was written with "%" or computed here.
    """

    values: np.ndarray
    sure: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def none(cls, size: int) -> "Numbers":
        """No value at all."""
        return cls(np.full(size, np.nan), np.zeros(size, dtype=bool))

    @classmethod
    def joined(cls, parts: Sequence["Numbers"]) -> "Numbers":
        """One column after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(np.concatenate([part.values for part in parts]), np.concatenate([part.sure for part in parts]))

    def pick(self, rows: Any) -> "Numbers":
        """Some rows."""
        return Numbers(self.values[rows], self.sure[rows])


def to_numbers(column: "Sequence[Any] | pa.Array") -> Numbers:
    """A column of whatever kind as numbers.

    "85 %" is .85, and sure to be; "85" stays 85 until all of the column is known.

    Example:
        >>> to_numbers([0.5, None, float("nan"), "85%", "high", "0.5"]).values
        array([0.5 ,  nan, -inf, 0.85, -inf, 0.5 ])
        >>> to_numbers(["100%", 85, ""])
        Numbers(values=array([ 1., 85., nan]), sure=array([ True, False, False]))
    """
    array = column if isinstance(column, pa.Array) else as_arrow(column)
    if array is None:
        return _one_by_one(column)
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return _from_texts(array)
    if not (pa.types.is_floating(array.type) or pa.types.is_integer(array.type) or pa.types.is_null(array.type)):
        return _one_by_one(array.to_pylist())
    values = np.array(pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    if pa.types.is_floating(array.type) and np.isnan(values).any():  # a NaN that the log has is not a missing value
        missing = pc.is_null(array).to_numpy(zero_copy_only=False)
        values[np.isnan(values) & ~missing] = BAD
    return Numbers(values, np.zeros(len(values), dtype=bool))


def _from_texts(array: pa.Array) -> Numbers:
    try:
        plain = pc.cast(pc.if_else(pc.equal(array, ""), None, array), pa.float64())
        return to_numbers(plain)
    except pa.ArrowInvalid:  # words, or "%"
        coded = array.dictionary_encode()
        distinct = _one_by_one(coded.dictionary.to_pylist())
        places = coded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)
        return Numbers(np.append(distinct.values, np.nan)[places], np.append(distinct.sure, False)[places])


def _one_by_one(values: Sequence[Any]) -> Numbers:
    read = [_number(value) for value in values]
    return Numbers(np.array([number for number, _ in read], dtype=float), np.array([s for _, s in read], dtype=bool))


def _number(value: Any) -> tuple[float, bool]:
    text = value.strip() if isinstance(value, str) else value
    if text is None or text == "":
        return np.nan, False
    percent = isinstance(text, str) and text.endswith("%")
    try:
        number = float(text[:-1]) / 100 if percent else float(text)
    except (TypeError, ValueError, OverflowError):
        return BAD, False
    return (BAD if np.isnan(number) else number), percent


def as_arrow(values: Sequence[Any]) -> "pa.Array | None":
    """A list as an Arrow array, or `None` if its values are of several kinds."""
    try:
        return pa.array(values)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None


def id_texts(column: "Sequence[Any] | pa.Array") -> pa.Array:
    """Ids as texts, null where there is none.

    Example:
        >>> id_texts([2, "q", None]).to_pylist()
        ['2', 'q', None]
    """
    array = column if isinstance(column, pa.Array) else as_arrow(column)
    if array is not None and (pa.types.is_integer(array.type) or pa.types.is_large_string(array.type)):
        return array.cast(pa.string())
    if array is not None and pa.types.is_string(array.type):
        return array
    values = array.to_pylist() if array is not None else column
    texts = (None if value is None else str(value) for value in values)  # lone surrogates are no text in Arrow
    return pa.array([t and t.encode("utf-8", "backslashreplace").decode() for t in texts], pa.string())


def as_probabilities(raw: Numbers) -> tuple[np.ndarray, np.ndarray, bool]:
    """One model's confidence in [0, 1], from a whole column of it.

    If all numbers are whole and one of them exceeds 1, they are percentages. Otherwise each is read by itself, as in
    completions: 0 to 1 as it stands, 10 to 100 as a percentage; between 1 and 10 nobody can say. What is sure to be a
    probability stays one, and says nothing about the others.

    Returns:
        Probabilities with NaN where there is none, where a number could not be read, and whether the numbers that
        were not sure were percentages.

    Example:
        >>> as_probabilities(to_numbers([0.5, 1.5, None, -0.1]))
        (array([0.5, nan, nan, nan]), array([False,  True, False,  True]), False)
        >>> as_probabilities(to_numbers(["100%", 1, 85, 150]))
        (array([1.  , 0.01, 0.85,  nan]), array([False, False, False,  True]), True)
    """
    q, sure = raw.values.copy(), raw.sure
    outside = (q < 0) | (q > 1)
    if not outside.any():
        return q, outside, False
    bad = ~np.isnan(q) & ~((q >= 0) & (q <= np.where(sure, 1, 100)))
    q[bad] = np.nan
    known = q[~np.isnan(q) & ~sure]
    percent = bool(len(known)) and known.max() > 1 and bool((known == np.floor(known)).all())
    if percent:
        return np.where(sure, q, q / 100), bad, True
    unclear = (q > 1) & (q <= 10)
    q = np.where(q > 10, q / 100, q)
    q[unclear] = np.nan
    return q, bad | unclear, False


def as_targets(raw: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Confidence targets in [0, 1), and where a number is none.

    Example:
        >>> as_targets(to_numbers([0.5, 1.0, None]))
        (array([0.5, nan, nan]), array([False,  True, False]))
    """
    bad = ~np.isnan(raw.values) & ~((raw.values >= 0) & (raw.values < 1))
    return np.where(bad, np.nan, raw.values), bad
