"""Which format a log has, told from what is in it and never from its name alone."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from abstain.evals.files import LINE_LIMIT, parse_json, read_document
from abstain.evals.logs import every_eval_ever, helm, inspect_log, lighteval, lm_eval, plain, simple_evals
from abstain.evals.logs.batch import Batch, Options, Problems
from abstain.evals.logs.plain import Summary

Rows = Iterator[Batch | Summary]
LineReader = Callable[[Path, Options, Problems], Iterable[Batch | Summary]]
_HEAD = 1 << 16
_LOOK = 50
_LINES: list[tuple[str, Callable[[Any], bool], LineReader]] = [
    (lm_eval.NAME, lm_eval.is_row, lm_eval.read),
    (every_eval_ever.NAME, every_eval_ever.is_row, every_eval_ever.read),
    (plain.NAME, lambda row: isinstance(row, dict), plain.read_jsonl),
]
_DOCUMENTS = (inspect_log, simple_evals, helm)
_WRONG_FILES = (
    ({"results", "configs"}, "lm-eval's means only: give the samples_*.jsonl beside it (run with --log_samples)"),
    ({"config_general", "results"}, "lighteval's means only: give details/*.parquet (run with --save-details)"),
    ({"evaluation_results"}, "Every Eval Ever's means only: give the instance-level .jsonl"),
    ({"score", "score:std"}, "simple-evals' means only: give *_allresults.json, or the .html beside it"),
    ({"adapter_spec", "scenario_spec"}, f"a HELM run's settings: give {helm.STATS} beside it"),
)
_PATTERNS = (
    *("*.eval", "samples_*.jsonl", "*_allresults.json", "details_*.parquet", f"**/{helm.STATS}"),
    *("*.jsonl", "*.csv", "*.tsv", "*.parquet", "*.json"),
)


def find_logs(paths: Iterable[str | Path]) -> list[Path]:
    """The files to read: those named, and in a folder those of the first kind of log that it holds.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: a folder without logs.
    """
    found: list[Path] = []
    for given in map(Path, paths):
        path = given.expanduser()
        if path.is_dir():
            kinds = (sorted(path.rglob(pattern)) for pattern in _PATTERNS)
            inside = next((files for files in kinds if files), [])
            if not inside:
                raise ValueError(f"{path}: no log in this folder: none of {', '.join(_PATTERNS)}")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"no file {str(path)!r}")
    return list(dict.fromkeys(found))


def open_log(path: Path, options: Options, problems: Problems) -> tuple[str, Rows]:
    """The name of a log's format, and its rows.

    Raises:
        ValueError: not a log that can be read; the message says what it is instead, and what to give.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head.strip():
        raise ValueError(f"{path}: empty")
    if head.startswith(b"PK\x03\x04"):
        return inspect_log.NAME, inspect_log.read_archive(path, options, problems)
    if head.startswith(b"PAR1"):
        return _parquet(path, options, problems)
    if head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")):
        raise ValueError(f"{path}: packed; unpack it first")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        raise ValueError(f"{path}: not UTF-8 text, nor any binary log that is known")
    return _text(path, head.removeprefix(b"\xef\xbb\xbf").lstrip(), options, problems)


def _parquet(path: Path, options: Options, problems: Problems) -> tuple[str, Rows]:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        columns = set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: damaged Parquet: {str(error)[:100]}") from None
    if columns >= lighteval.COLUMNS:
        return lighteval.NAME, lighteval.read(path, options, problems)
    return plain.NAME, plain.read_parquet(path, options, problems)


def _text(path: Path, head: bytes, options: Options, problems: Problems) -> tuple[str, Rows]:
    if head.startswith(b"{"):
        row, alone = _first_row(path, head)
        if row is not None and not _fills_a_file(row, alone):
            name, read = next((name, read) for name, is_row, read in _LINES if is_row(row))
            return name, iter(read(path, options, problems))
    if head[:1] in (b"{", b"["):
        return _document(path, read_document(path, problems.add), options, problems)
    if head.startswith(b"<"):
        if not simple_evals.is_page(head):
            raise ValueError(f"{path}: a web page, and not one that simple-evals writes")
        return simple_evals.NAME, simple_evals.read_page(path, options, problems)
    return plain.NAME, plain.read_csv(path, options, problems)


def _first_row(path: Path, head: bytes) -> tuple[dict[str, Any] | None, bool]:
    """The first line that is an object by itself, if any, and whether there is no other line."""
    lines = head.split(b"\n")
    if len(lines) == 1:  # a line longer than the head, or the only one
        with path.open("rb") as file:
            lines = [file.readline(LINE_LIMIT), file.readline(_HEAD)]
    values = (parse_json(line)[0] for line in lines[:_LOOK])
    row = next((value for value in values if isinstance(value, dict)), None)
    return row, not any(line.strip() for line in lines[1:])


def _fills_a_file(value: dict[str, Any], alone: bool) -> bool:
    """Whether an object is a whole log, in one line, rather than a row."""
    if any(one.is_document(value) for one in _DOCUMENTS):
        return True
    return alone and (any(keys <= set(value) for keys, _ in _WRONG_FILES) or bool(_lists_of_rows(value)))


def _lists_of_rows(value: dict[str, Any]) -> dict[str, list[Any]]:
    """The lists of objects in an object, chat messages excepted."""
    lists = {key: rows for key, rows in value.items() if isinstance(rows, list) and any(map(_is_object, rows))}
    return {key: rows for key, rows in lists.items() if not any(_is_object(row) and "role" in row for row in rows)}


def _document(path: Path, value: Any, options: Options, problems: Problems) -> tuple[str, Rows]:
    for one in _DOCUMENTS:
        if one.is_document(value):
            return one.NAME, one.read(path, value, options, problems)
    if isinstance(value, dict):
        for keys, what in _WRONG_FILES:
            if keys <= set(value):
                raise ValueError(f"{path}: {what}")
        lists = _lists_of_rows(value)
        value = max(lists.values(), key=len) if lists else [value]
    if not value or not any(map(_is_object, value)):
        raise ValueError(f"{path}: JSON, but no list of objects in it")
    return plain.NAME, plain.read_list(path, value, options, problems)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
