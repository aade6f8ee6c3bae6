"""Files of rows: JSON lines, JSON, CSV and Parquet, a block at a time, each row with its line or number.

Question files and logs are both read here. What is wrong with a file is told to a `Report`: that of logs counts it and
goes on, since a log is a stranger's file (`Problems.add`); that of questions raises (`refuse`), since a question that
is lost would go unnoticed.
"""

import csv
import json
import re
import shlex
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NoReturn, TextIO

import orjson

Report = Callable[[Path, str, str], Any]
"""Told the file, the kind of a problem, and a message that names the line."""
BLOCK = 8 << 20
ROWS = 40_000
LINE_LIMIT = FIELD_LIMIT = 64 << 20
DOCUMENT_LIMIT = 1 << 30
BOM = b"\xef\xbb\xbf"
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|"|[{}\[\],]', re.DOTALL)
_CLOSING = {b"{": b"}", b"[": b"]"}


def refuse(path: Path, kind: str, message: str) -> NoReturn:
    """The report of files that must be in order.

    Raises:
        ValueError: always; the message names the line.
    """
    raise ValueError(message)


def line_blocks(path: Path, report: Report, block: int = BLOCK) -> Iterator[tuple[int, list[bytes]]]:
    """The file's lines, some megabytes at a time, with the number of the first one.

    A line longer than `LINE_LIMIT` is reported and skipped; it still counts.
    """
    number, rest, too_long = 1, b"", False
    with path.open("rb") as file:
        while data := file.read(block):
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            if number == 1 and lines:
                lines[0] = lines[0].removeprefix(BOM)
            if lines and too_long:
                lines[0], too_long = b"", False
            if lines:
                yield number, lines
            number += len(lines)
            if len(rest) > LINE_LIMIT:
                if not too_long:
                    report(path, "long line", f"{path}:{number}: a line of more than {LINE_LIMIT >> 20} MiB")
                rest, too_long = b"", True
    if rest.strip() and not too_long:
        yield number, [rest.removeprefix(BOM) if number == 1 else rest]


def json_lines(
    path: Path, report: Report, block: int = BLOCK, *, exact: bool = False
) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """The objects of a JSONL file, some megabytes at a time, with the numbers of their lines.

    Args:
        path: the file.
        report: told of lines that are no objects, which are then skipped.
        block: bytes to read at once.
        exact: as in `parse_json`.
    """
    for first, lines in line_blocks(path, report, block):
        numbers = [number for number, line in enumerate(lines, first) if line and not line.isspace()]
        kept = lines if len(numbers) == len(lines) else [lines[number - first] for number in numbers]
        rows = None if exact else _all_at_once(kept)
        if rows is None:
            read = [(n, _object(path, n, line, report, exact)) for n, line in zip(numbers, kept, strict=True)]
            numbers, rows = [n for n, row in read if row is not None], [row for _, row in read if row is not None]
        if rows:
            yield numbers, rows


def _all_at_once(lines: list[bytes]) -> list[dict[str, Any]] | None:
    """The lines as one list of objects, `None` if any is bad: four times faster than one by one."""
    try:
        rows = orjson.loads(b"[" + b",".join(lines) + b"]")
    except orjson.JSONDecodeError:
        return None
    return rows if len(rows) == len(lines) and all(map(_looks_whole, lines)) else None


def _looks_whole(line: bytes) -> bool:
    """Not half an object, whose other half is on the next line."""
    return line[:1] == b"{" and line.rstrip()[-1:] == b"}"


def _object(path: Path, number: int, line: bytes, report: Report, exact: bool) -> dict[str, Any] | None:
    value, why = parse_json(line, exact=exact)
    if not why and not isinstance(value, dict):
        why = f"a row must be a JSON object, not {str(value)[:60]!r}"
    if why:
        report(path, "not JSON", f"{path}:{number}: {why}")
    return None if why else value


def parse_json(data: bytes, *, exact: bool = False) -> tuple[Any, str]:
    """A JSON value, with NaN, and why there is none, or "".

    Args:
        data: UTF-8.
        exact: keep all digits of whole numbers above 2^64 too, at a quarter of the speed.

    Example:
        >>> parse_json(b'{"confidence": NaN}'), parse_json(b'{"a": 1')[1]
        (({'confidence': nan}, ''), "not JSON: Expecting ',' delimiter at column 8")
    """
    if not exact:
        try:
            return orjson.loads(data), ""
        except orjson.JSONDecodeError:
            pass
    try:
        return json.loads(data.decode("utf-8")), ""  # knows NaN, which Python writes
    except UnicodeDecodeError as error:
        return None, f"not UTF-8 (byte {error.start})"
    except json.JSONDecodeError as error:
        line = f" of line {error.lineno}" if error.lineno > 1 else ""
        return None, f"not JSON: {error.msg} at column {error.colno}{line}"
    except (RecursionError, ValueError) as error:
        return None, f"not JSON that can be read: {str(error)[:80]}"


DELIMITERS = ",;\t|"
NOT_TEXT = {
    ".xls": "an Excel file",
    ".xlsx": "an Excel file",
    ".xlsm": "an Excel file",
    ".ods": "a spreadsheet",
    ".numbers": "a spreadsheet",
    ".docx": "a Word file",
    ".pdf": "a PDF",
    ".zip": "a ZIP archive",
    ".gz": "a packed file",
}
"""What a file is by the ending of its name, where that is nothing to be read as rows."""
_BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (BOM, "utf-8-sig"))
_SAMPLE = 64 << 10


def text_encoding(path: Path) -> str:
    """The encoding of a text file: UTF-8, or UTF-16 where its first bytes say so.

    Raises:
        ValueError: in one sentence, with what to do: binary, a spreadsheet, or text in another encoding.
    """
    what = NOT_TEXT.get(path.suffix.lower())
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
    if what or head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ValueError(f"{path} is {what or 'a spreadsheet or an archive'}, not text: save its sheet as CSV (UTF-8)")
    found = next((name for bom, name in _BOMS if head.startswith(bom)), "")
    if not found and b"\0" in head:
        raise ValueError(f"{path} is binary, not text: give a CSV, TSV, JSONL, JSON or Parquet file")
    found = found or "utf-8-sig"
    try:
        if found == "utf-16":
            path.read_text(encoding=found)
        else:
            _check_text(path)
    except UnicodeDecodeError as error:
        raise ValueError(not_utf8(path, error.start)) from None
    return found


def not_utf8(path: Path, byte: int) -> str:
    """What is wrong with a file that is no UTF-8, and the command that mends it."""
    mended = path.with_name(f"{path.stem}-utf8{path.suffix}")
    command = f"iconv -f WINDOWS-1252 -t UTF-8 {shlex.quote(str(path))} > {shlex.quote(str(mended))}"
    return f"{path}: not UTF-8 text (byte {byte}); if it was saved as Latin-1 or by Excel: {command}"


def find_delimiter(text: str, usual: str = ",") -> str:
    """What separates the cells of a CSV text: what divides its header, and most rows into as many cells.

    Args:
        text: the beginning of the file, whole lines.
        usual: taken where the evidence is for none, as in a file of one column.

    Example:
        >>> find_delimiter("prompt;gold\\nWho, if not he?;Poe\\nWhere?;Rome\\n"), find_delimiter("question\\nWho?\\n")
        (';', ',')
        >>> find_delimiter('question,answer\\n"Which; then?",a\\n"Why; how?",b\\n'), find_delimiter("a|b\\n1|2\\n")
        (',', '|')
    """

    def evidence(delimiter: str) -> tuple[float, int, int, bool]:
        rows: list[list[str]] = []
        with suppress(csv.Error):  # what came before it is in `rows`
            rows.extend(row for row in islice(csv.reader(text.splitlines(True), delimiter=delimiter), 200) if row)
        width = len(rows[0]) if rows else 0
        if width < 2:
            return 0.0, 0, 0, False
        fitting = sum(len(row) == width for row in rows[1:]) / max(1, len(rows) - 1)
        torn = sum('"' in cell for row in rows for cell in row)  # a quoted cell that it goes through
        return (fitting if len(rows) > 1 else 1.0), -torn, width, delimiter == usual

    found = max(DELIMITERS, key=evidence)
    return found if evidence(found)[2] else usual


def csv_blocks(
    path: Path, report: Report, *, delimiter: str = "", strict: bool = False, encoding: str = "utf-8-sig"
) -> Iterator[tuple[list[str], list[int], list[list[str]]]]:
    """The header of a CSV file, and its rows by the thousand with the numbers of the lines they end in.

    Args:
        path: the file.
        report: told of rows that cannot be read, which are then skipped.
        delimiter: by default the commonest of comma, tab and semicolon in the first line.
        strict: refuse quotes that are not closed, and text that is not UTF-8 (`UnicodeDecodeError`).
        encoding: of the file.
    """
    usual, header = csv.field_size_limit(FIELD_LIMIT), None
    try:
        with path.open(encoding=encoding, errors="strict" if strict else "replace", newline="") as file:
            reader = _csv_reader(file, delimiter, strict=strict)
            while True:
                before, rows, failed = reader.line_num, list[list[str]](), ""
                try:
                    rows.extend(islice(reader, ROWS))
                except csv.Error as error:  # what came before it is in `rows`
                    failed = str(error)
                if not rows and not failed:
                    return
                lines = list(range(before + 1, before + 1 + len(rows)))
                if reader.line_num - before != len(rows):  # cells of several lines
                    lines = [before + height for height in accumulate(1 + sum(map(_breaks, row)) for row in rows)]
                if failed:
                    start = (lines[-1] if lines else before) + 1
                    report(path, "not CSV", f"{path}:{start}: {failed}, in the row that begins here")
                if header is None and rows:
                    header, rows, lines = rows[0], rows[1:], lines[1:]
                yield header or [], lines, rows
    finally:
        csv.field_size_limit(usual)  # it is the whole process's


def plain_csv_blocks(path: Path, wanted: Callable[[str], bool]) -> Iterator[Any]:
    """Some columns of a CSV file as Arrow batches of texts, ten times faster than `csv_blocks`; "" is null.

    Raises:
        ValueError: there is something about the file that only `csv_blocks` can read, or name: a row that is too
            short, a byte that is no UTF-8, a column of no name or a name of two columns.
    """
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.csv as reading  # type: ignore[import-untyped]

    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = _csv_reader(file)
        names = [name.strip() for name in next(reader)]
    kept = [name for name in names if wanted(name)]
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(f"{path}: its header is not plain")
    batches = reading.open_csv(
        path,
        reading.ReadOptions(column_names=names, skip_rows_after_names=1, block_size=BLOCK // 4),
        reading.ParseOptions(delimiter=reader.dialect.delimiter, newlines_in_values=True),
        reading.ConvertOptions(
            column_types=dict.fromkeys(kept, pa.string()),
            include_columns=kept or names[:1],
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    yield names
    with batches, ThreadPoolExecutor(2) as ahead:  # which reads a block while the last one is looked at
        checked = ahead.submit(_check_text, path)  # all columns: who reads other ones the next time must not fail then
        following = ahead.submit(next, batches, None)
        while (batch := following.result()) is not None:
            following = ahead.submit(next, batches, None)
            yield batch
        checked.result()


def _check_text(path: Path) -> None:
    """Raise `UnicodeDecodeError` if the file is not UTF-8."""
    decoder, plain = getincrementaldecoder("utf-8")(), True
    with path.open("rb") as file:
        while data := file.read(BLOCK // 8):
            if not (plain and data.isascii()):  # far faster
                decoder.decode(data)
                plain = not decoder.getstate()[0]
    decoder.decode(b"", final=True)


def csv_line(path: Path, row: int) -> int:
    """The line in which a row of a CSV file ends, of the rows below the header from 1; empty lines are no rows."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = _csv_reader(file)
        rows = (reader.line_num for cells in reader if cells)
        return next(islice(rows, row, None), 0)


def _csv_reader(file: TextIO, delimiter: str = "", *, strict: bool = False) -> Any:
    """Python's own; the delimiter is by default the commonest of comma, tab and semicolon in the first line."""
    head = file.readline()
    file.seek(0)
    return csv.reader(file, delimiter=delimiter or max(",\t;", key=head.count), strict=strict)


def _breaks(cell: str) -> int:
    return cell.count("\n") + cell.count("\r") - cell.count("\r\n")


def parquet_blocks(path: Path, columns: list[str] | None = None, rows: int = ROWS) -> Iterator[tuple[list[int], Any]]:
    """The rows of a Parquet file as Arrow batches, with their numbers from 1.

    Args:
        path: the file.
        columns: to read; all by default.
        rows: of a batch.

    Raises:
        ValueError: not Parquet, or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    start = 1
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows, columns=columns):
                yield list(range(start, start + len(batch))), batch
                start += len(batch)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise ValueError(f"{path}: not a Parquet file that can be read: {str(error)[:200]}") from None


def read_whole(path: Path, what: str, instead: str = "") -> bytes:
    """A file that must be held in memory.

    Raises:
        ValueError: too big for that.
    """
    size = path.stat().st_size
    if size > DOCUMENT_LIMIT:
        raise ValueError(
            f"{path}: {size / 2**30:.1f} GiB in one {what}; the limit is {DOCUMENT_LIMIT >> 30} GiB{instead}"
        )
    return path.read_bytes()


def read_document(path: Path, report: Report) -> Any:
    """One JSON value that fills a file; if the file was cut off, all that is whole in it.

    Raises:
        ValueError: not JSON, or too big to be held in memory.
    """
    data = read_whole(path, "JSON document", ". Save it as JSON lines (Inspect: `inspect log convert --to eval`)")
    data = data.removeprefix(BOM)
    value, why = parse_json(data)
    if not why:
        return value
    closed, whole = close_document(data)
    value, still = parse_json(closed) if whole else (None, why)
    if still:
        raise ValueError(f"{path}: {why}")
    line = data.count(b"\n", 0, whole) + 1
    report(path, "cut off", f"{path}:{line}: the file breaks off; all before this line is kept")
    return value


def close_document(data: bytes) -> tuple[bytes, int]:
    """A JSON document that breaks off, closed after the last whole item of its outermost open list.

    Returns:
        The closed document and how many bytes of the old one it holds; 0 if nothing in it is whole.

    Example:
        >>> close_document(b'{"model": "m", "samples": [{"id": 1}, {"id": 2}, {"id"')
        (b'{"model": "m", "samples": [{"id": 1}, {"id": 2}]}', 47)
    """
    stack: list[tuple[bytes, int]] = []  # what is open, and where the last whole item in it ends
    for token in _TOKEN.finditer(data):
        mark = token[0]
        if mark in _CLOSING:
            stack.append((mark, token.end()))
        elif mark in (b"}", b"]"):
            if not stack or _CLOSING[stack.pop()[0]] != mark:
                return data, 0
            if stack:
                stack[-1] = (stack[-1][0], token.end())
        elif mark == b"," and stack:
            stack[-1] = (stack[-1][0], token.start())
        elif mark == b'"':
            break  # a text that never ends
    outermost = next((depth for depth, (mark, _) in enumerate(stack) if mark == b"["), 0)
    end = stack[outermost][1] if stack else 0
    if data[:end].strip() in (b"", b"{", b"["):
        return data, 0
    return data[:end] + b"".join(_CLOSING[mark] for mark, _ in reversed(stack[: outermost + 1])), end
