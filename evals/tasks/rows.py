"""Rows of question files: JSONL, JSON, CSV, TSV, Parquet, a folder of these, or a data set of the Hugging Face hub.

A row keeps where it came from, so that whoever reports a bad one can name its file and line. A source may hold
several tables: SelfAware's JSON hides its rows under the key "example", a PopQA subset holds a "dev" and a "test"
list, a folder a file per split. Nothing read here is executed: no pickles, no data set scripts.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from abstain.evals.files import (
    NOT_TEXT,
    csv_blocks,
    find_delimiter,
    json_lines,
    not_utf8,
    parquet_blocks,
    read_whole,
    refuse,
    text_encoding,
)

SPLITS = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
}


_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class SourceRow:
    """One row, and where it stands: `questions.csv:12`, `questions.json: row 3`."""

    where: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """The rows of one file, or of one split of it.

    Args:
        name: the file's name without its ending, for ids of rows that have none.
        split: name of the split as the source has it, or "" if it has none.
        rows: in the file's order.
    """

    name: str
    split: str
    rows: tuple[SourceRow, ...]

    def columns(self) -> list[str]:
        """Every column that some row has, in order of appearance."""
        return list(dict.fromkeys(name for row in self.rows for name in row.fields))


def read_data(source: str | Path | Sequence[str | Path], config: str | None, revision: str | None) -> list[Table]:
    """The tables of a file, a folder, several of these, or a hub data set.

    Args:
        source: path or hub id, or a list of them.
        config: configuration of the hub data set ("rc.nocontext").
        revision: commit or tag of the hub data set.

    Raises:
        FileNotFoundError: there is no such file, and it is no hub data set either.
        ValueError: a file cannot be read; the message has its name and line.
    """
    if not isinstance(source, str | Path):
        return [table for part in source for table in read_data(part, config, revision)]
    path = Path(source).expanduser()
    if path.is_dir():
        return read_folder(path)
    if path.is_file():
        return read_file(path)
    if path.suffix.lower() in READERS or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(source)):
        raise FileNotFoundError(f"no file {str(source)!r}.{_nearby(path)}")
    return read_hub(str(source), config, revision)


def _nearby(path: Path) -> str:
    here = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, here, n=1)
    return f" Did you mean {str(path.parent / close[0])!r}?" if close else ""


def read_file(path: Path) -> list[Table]:
    """The tables of one file, by the ending of its name."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        if path.suffix.lower() in NOT_TEXT:
            text_encoding(path)  # which says what it is
        raise ValueError(f"{path}: unknown ending {path.suffix!r}. Allowed: {', '.join(sorted(READERS))}.")
    try:
        tables = reader(path)
    except UnicodeDecodeError as error:
        raise ValueError(not_utf8(path, error.start)) from None
    if not any(table.rows for table in tables):
        raise ValueError(f"{path}: holds no rows")
    return tables


def read_folder(path: Path) -> list[Table]:
    """Every readable file in a folder. Splits are told from file and folder names, if all have one."""
    files = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in READERS and file.is_file()]
    if not files:
        raise ValueError(f"{path}: no file in this folder ends in {', '.join(sorted(READERS))}")
    tables = [table for file in files for table in _named_by(file, path)]
    if all(table.split for table in tables):
        return tables
    return [Table(table.name, "", table.rows) for table in tables]


def _named_by(file: Path, folder: Path) -> list[Table]:
    words = re.split(r"[^a-z]+", str(file.relative_to(folder).with_suffix("")).lower())
    split = next((word for word in reversed(words) if word in SPLITS), "")
    return [Table(table.name, table.split or split, table.rows) for table in read_file(file)]


def read_jsonl(path: Path) -> list[Table]:
    """An object on each line."""
    blocks = json_lines(path, refuse, exact=True)
    numbered = (pair for numbers, rows in blocks for pair in zip(numbers, rows, strict=True))
    return [Table(path.stem, "", tuple(SourceRow(f"{path}:{number}", row) for number, row in numbered))]


def read_json(path: Path) -> list[Table]:
    """A list of objects, an object that holds one or several such lists, or JSONL in disguise."""
    text = read_whole(path, "JSON document", ". Save it as JSON lines").decode("utf-8-sig")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return read_jsonl(path)
        raise ValueError(f"{path}:{error.lineno}: not JSON: {error.msg} at column {error.colno}") from None
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path}: not JSON that can be read: {error}") from None
    if isinstance(value, list):
        return [_table(path, "", value)]
    lists = {key: rows for key, rows in value.items() if _is_rows(rows)} if isinstance(value, dict) else {}
    if not lists:
        raise ValueError(f"{path}: holds no list of objects; expected a list of rows, or an object that holds one")
    if all(key.lower() in SPLITS for key in lists):
        return [_table(path, key, rows) for key, rows in lists.items()]
    longest = max(lists, key=lambda key: len(lists[key]))
    return [_table(path, "", lists[longest], longest)]


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def _table(path: Path, split: str, rows: list[Any], key: str = "") -> Table:
    inside = f"[{split or key}]" if split or key else ""
    return Table(f"{path.stem}-{split}" if split else path.stem, split, numbered(f"{path}{inside}", rows))


def numbered(where: str, rows: Iterable[Any]) -> tuple[SourceRow, ...]:
    """Rows that have no line: `questions.json: row 3`.

    Raises:
        ValueError: one of them is no object.
    """
    found = [SourceRow(f"{where}: row {number}", row) for number, row in enumerate(rows, 1)]
    for row in found:
        if not isinstance(row.fields, dict):
            raise ValueError(f"{row.where}: a row must be a JSON object, not {str(row.fields)[:60]!r}")
    return tuple(found)


def read_csv(path: Path) -> list[Table]:
    """CSV or TSV, whatever separates its cells; cells that a row lacks at its end are `None`."""
    encoding = text_encoding(path)
    delimiter = csv_delimiter(path, encoding)
    rows = []
    for header, lines, cells in csv_blocks(path, refuse, delimiter=delimiter, strict=True, encoding=encoding):
        _check_header(path, header)
        for line, row in zip(lines, cells, strict=True):
            if len(row) > len(header):
                raise ValueError(
                    f"{path}:{line}: more fields than the header has; is a quote missing around a cell that holds "
                    f"{delimiter!r}?"
                )
            if row:  # not a blank line
                rows.append(SourceRow(f"{path}:{line}", dict(zip_longest(header, row))))
    return [Table(path.stem, "", tuple(rows))]


def csv_delimiter(path: Path, encoding: str = "utf-8-sig") -> str:
    """What separates the cells of a CSV or TSV file; see `abstain.evals.files.find_delimiter`."""
    with path.open(encoding=encoding, newline="") as file:
        lines = list(islice(iter(lambda: file.readline(_LONGEST_LINE), ""), 400))
    return find_delimiter("".join(lines), "\t" if path.suffix.lower() == ".tsv" else ",")


def _check_header(path: Path, header: list[str]) -> None:
    named = [plain for name in header if (plain := name.strip())]
    twice = next((name for name, count in Counter(named).items() if count > 1), "")
    if twice:
        raise ValueError(f"{path}:1: two columns are called {twice!r}; rename one of them in the first line")


def read_parquet(path: Path) -> list[Table]:
    """Parquet; the columns may be nested."""
    return [_table(path, "", [row for _, block in parquet_blocks(path) for row in block.to_pylist()])]


READERS: dict[str, Callable[[Path], list[Table]]] = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
}


def read_hub(name: str, config: str | None, revision: str | None) -> list[Table]:
    """All splits of a hub data set, read through `datasets`, which runs no code of the data set's own."""
    import datasets

    try:
        found = datasets.load_dataset(name, config, revision=revision)
    except Exception as error:  # the hub client raises many kinds, and each means: not to be had
        raise FileNotFoundError(
            f"no file or folder {name!r}, and no such hub data set could be loaded ({type(error).__name__}: {error}). "
            "Without a connection, give data=FILE with a local copy."
        ) from error
    stem = name.split("/")[-1]
    return [Table(f"{stem}-{split}", split, numbered(f"{name}[{split}]", rows)) for split, rows in found.items()]
