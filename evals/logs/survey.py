"""What all rows of a plain file say about its columns.

What a grade of 0, a letter or a number in a column `target` means depends on the rows before and behind it, so nothing
is decided before all have been seen. What is small is kept meanwhile: codes, numbers and ids, never texts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from abstain.evals.logs.grades import NONE, UNREADABLE, read_grade
from abstain.evals.logs.numbers import BAD, Numbers, as_arrow, id_texts, to_numbers

MOST_REPEATS = 30_000
_LONG = 40  # no grade has so many characters
_MANY = 1_000  # distinct numbers that are kept
_SAMPLE = 200  # answers of a block that are tried as numbers
_TEXTS = {"completion", "gold", "aliases"}
_HOT = (1, "1", "1.0", "True", "true")
Values: TypeAlias = Sequence[Any] | pa.Array


class Column:
    """One column: what its values are, read as each role that it may have.

    Args:
        roles: "grade", "confidence", "target", "id", "model", "task", "repeat", "outcome" or those of texts; none if
            no more than its name is of interest.
        pass_mark: as in `abstain.evals.logs.batch.Options`.
    """

    def __init__(self, roles: Iterable[str], pass_mark: float | None = None) -> None:
        self.roles = [role for role in roles if role in _READ]
        self.pass_mark = pass_mark
        self.size = 0
        self.known = 0
        """Values that are neither null nor blank, where that is of interest."""
        self.long = False
        """One of them is too long for a grade."""
        self.counts = 0
        """How many are counts or rates."""
        self.inside = 0
        """How many are in [0, 1)."""
        self.positive = False
        """One of them is above 0."""
        self.distinct: set[float] = set()
        """The numbers that there are, some of them if there are very many."""
        self.unreadable = ""
        """The first value that is no grade."""
        self._numeric = self._tried = 0
        self._counts_known = bool({"target", "outcome", *_TEXTS} & set(self.roles))
        self._parts: dict[str, list[Any]] = {role: [] for role in self.roles}
        self._codes: dict[Any, int] = {}
        self._names: dict[str, int] = {}

    @classmethod
    def of(cls, values: Sequence[Any]) -> "Column":
        """A column with these values, for all roles at once."""
        column = cls(_READ)
        column.add(values)
        return column

    @property
    def numeric(self) -> bool:
        """Most of the answers that were tried are numbers."""
        return 2 * self._numeric > self._tried

    @property
    def names(self) -> list[str]:
        """The names that a part read as "model" or "task" refers to."""
        return list(self._names)

    def add(self, values: Values) -> None:
        """Some more rows."""
        self.size += len(values)
        if not isinstance(values, pa.Array) and set(self.roles) - _TEXTS:
            array = as_arrow(values)
            values = values if array is None else array
        if isinstance(values, pa.Array) and not _is_plain(values.type):
            values = values.to_pylist()
        if self._counts_known:
            self.known += _known(values)
        for role in self.roles:
            self._parts[role].append(_READ[role](self, values))

    def skip(self, rows: int) -> None:
        """Rows without this column."""
        if rows:
            self.add(pa.nulls(rows))

    def whole(self, role: str) -> Any:
        """The whole column as a role reads it."""
        parts = self._parts[role]
        if isinstance(parts[0], Numbers):
            return Numbers.joined(parts)
        if isinstance(parts[0], pa.Array):
            return pa.concat_arrays(parts)
        return np.concatenate(parts)

    def holds(self, role: str) -> bool:
        """Whether there is any value, read as a role."""
        if self._counts_known or role not in self._parts:
            return self.known > 0
        whole = self.whole(role)
        if role == "grade":
            return bool((whole != NONE).any())
        if role == "id":
            return bool(whole.null_count < len(whole))
        return bool((~np.isnan(whole.values)).any() if isinstance(whole, Numbers) else whole.any())

    def _grades(self, values: Values) -> np.ndarray:
        """Codes, each distinct value read once."""
        if not isinstance(values, pa.Array):
            read = [UNREADABLE if isinstance(value, list | dict) else self._code(value) for value in values]
            codes, distinct = np.array(read, dtype=np.int8), values
        else:
            coded = values.dictionary_encode()
            distinct = coded.dictionary.to_pylist()
            table = np.array([*map(self._code, distinct), NONE], dtype=np.int8)
            codes = table[coded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)]
        self.long = self.long or any(isinstance(value, str) and len(value) > _LONG for value in distinct)
        if not self.unreadable and (codes == UNREADABLE).any():
            value = values[int((codes == UNREADABLE).argmax())]
            self.unreadable = repr(value.as_py() if isinstance(value, pa.Scalar) else value)[:_LONG]
        return codes

    def _code(self, value: Any) -> int:
        if value not in self._codes:
            if len(self._codes) > 100_000:
                self._codes.clear()
            self._codes[value] = read_grade(value, self.pass_mark)
        return self._codes[value]

    def _confidence(self, values: Values) -> Numbers:
        return to_numbers(values)

    def _targets(self, values: Values) -> Numbers:
        numbers = to_numbers(values)
        inside = numbers.values[(numbers.values >= 0) & (numbers.values < 1) & ~numbers.sure]
        self.inside += len(inside)
        self.positive = self.positive or bool((inside > 0).any())
        if len(self.distinct) < _MANY:
            self.distinct.update(np.unique(inside)[:_MANY].tolist())
        return numbers

    def _ids(self, values: Values) -> pa.Array:
        return id_texts(values)

    def _labels(self, values: Values) -> np.ndarray:
        coded = id_texts(values).fill_null("").dictionary_encode()
        numbers = [self._names.setdefault(name, len(self._names)) for name in coded.dictionary.to_pylist()]
        return np.array(numbers, dtype=np.int32)[coded.indices.to_numpy(zero_copy_only=False)]

    def _repeats(self, values: Values) -> np.ndarray:
        numbers = to_numbers(values).values
        numbers = np.where(np.isfinite(numbers), numbers, 0)
        return np.clip(numbers, 0, MOST_REPEATS).astype(np.int16)

    def _outcomes(self, values: Values) -> np.ndarray:
        plain = values.to_pylist() if isinstance(values, pa.Array) else values
        self.counts += sum(read_count(value) is not None for value in plain)
        return np.array([not isinstance(value, list | dict) and value in _HOT for value in plain], dtype=bool)

    def _text(self, values: Values) -> np.ndarray:
        """Nothing is kept of a text, but some are tried as numbers."""
        some = values[:: max(1, len(values) // _SAMPLE)]
        numbers = to_numbers(some).values if len(some) else np.empty(0)
        self._tried += int((~np.isnan(numbers)).sum())
        self._numeric += int((~np.isnan(numbers) & (numbers != BAD)).sum())
        return np.empty(0)


_READ: dict[str, Callable[[Column, Any], Any]] = {
    "grade": Column._grades,
    "confidence": Column._confidence,
    "target": Column._targets,
    "id": Column._ids,
    "model": Column._labels,
    "task": Column._labels,
    "repeat": Column._repeats,
    "outcome": Column._outcomes,
    **dict.fromkeys(_TEXTS, Column._text),
}


def _known(values: Values) -> int:
    """How many values are neither null nor blank."""
    if isinstance(values, pa.Array):
        blank = int(pc.sum(pc.equal(values, "")).as_py() or 0) if pa.types.is_string(values.type) else 0
        return len(values) - values.null_count - blank
    return len(values) - sum(value is None or value == "" for value in values)


def _is_plain(kind: pa.DataType) -> bool:
    """Whether a column holds one simple value in each row."""
    tests = (pa.types.is_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
    return any(test(kind) for test in tests)


def read_count(value: Any) -> float | None:
    """A count or a rate; "52 %" is .52.

    Example:
        >>> read_count("52 %"), read_count("1,024"), read_count(True), read_count("many")
        (0.52, 1024.0, 1.0, None)
    """
    text = str(value).strip().replace(",", "") if isinstance(value, str) else value
    try:
        if isinstance(text, str) and text.endswith("%"):
            return float(text[:-1]) / 100
        number = float(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number < 1e15 else None


class Survey:
    """All columns of a file.

    Args:
        named: role to column, as the user has it.
        roles_of: the roles that a column of a name may have.
        pass_mark: as in `abstain.evals.logs.batch.Options`.
    """

    def __init__(
        self, named: Mapping[str, str], roles_of: Callable[[str], list[str]], pass_mark: float | None = None
    ) -> None:
        self.columns: dict[str, Column] = {}
        self.places: list[np.ndarray] = []
        self.rows = 0
        self._named, self._roles_of, self._pass_mark = named, roles_of, pass_mark

    def reads(self, name: str) -> bool:
        """Whether the values of a column are of interest, and not only its name."""
        return bool(self._column(name).roles)

    def add(self, places: np.ndarray, columns: Mapping[str, Values]) -> None:
        """Some more rows; a column that others have and these lack is null in these."""
        for name, values in columns.items():
            column = self._column(name)
            column.skip(self.rows - column.size)
            column.add(values)
        self.rows += len(places)
        self.places.append(places)
        for column in self.columns.values():
            column.skip(self.rows - column.size)

    def _column(self, name: str) -> Column:
        if name not in self.columns:
            named = [role for role, column in self._named.items() if column == name]
            self.columns[name] = Column(dict.fromkeys([*self._roles_of(name), *named]), self._pass_mark)
        return self.columns[name]
