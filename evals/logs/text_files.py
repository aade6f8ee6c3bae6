"""Big text files, bad lines and all: blocks of whole lines, and JSON documents that may have been cut off.

A log is a stranger's file. It is read in blocks, so that its size does not matter; a line that is not JSON is named
and skipped; a document that breaks off is closed where its last whole row ends.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from abstain.evals.logs.batch import Problems

BLOCK = 8 << 20
LINE_LIMIT = 64 << 20
DOCUMENT_LIMIT = 1 << 30
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|"|[{}\[\],]', re.DOTALL)
_CLOSING = {b"{": b"}", b"[": b"]"}


def line_blocks(path: Path, problems: Problems, block: int = BLOCK) -> Iterator[tuple[int, list[bytes]]]:
    """The file's lines, some megabytes at a time, with the number of the first one.

    A line longer than `LINE_LIMIT` is named and skipped; it still counts.
    """
    number, rest, too_long = 1, b"", False
    with path.open("rb") as file:
        while data := file.read(block):
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            if number == 1 and lines:
                lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            if lines and too_long:
                lines[0], too_long = b"", False
            if lines:
                yield number, lines
            number += len(lines)
            if len(rest) > LINE_LIMIT:
                if not too_long:
                    problems.add(path, "long line", f"{path}:{number}: a line of more than {LINE_LIMIT >> 20} MiB")
                rest, too_long = b"", True
    if rest.strip() and not too_long:
        yield number, [rest.removeprefix(b"\xef\xbb\xbf") if number == 1 else rest]


def json_lines(path: Path, problems: Problems, block: int = BLOCK) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    """The objects of a JSONL file, some megabytes at a time, with the numbers of their lines."""
    for first, lines in line_blocks(path, problems, block):
        numbers = [number for number, line in enumerate(lines, first) if line and not line.isspace()]
        kept = lines if len(numbers) == len(lines) else [lines[number - first] for number in numbers]
        rows = _all_at_once(kept)
        if rows is None:
            pairs = [(n, row) for n, line in zip(numbers, kept, strict=True) if (row := _one(path, n, line, problems))]
            numbers, rows = [n for n, _ in pairs], [row for _, row in pairs]
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


def _one(path: Path, number: int, line: bytes, problems: Problems) -> dict[str, Any] | None:
    value, why = parse_json(line)
    if not why and not isinstance(value, dict):
        why = f"a row is a JSON object, not {type(value).__name__}"
    if why:
        problems.add(path, "not JSON", f"{path}:{number}: {why}")
    return None if why else value


def parse_json(data: bytes) -> tuple[Any, str]:
    """A JSON value, with NaN, and why there is none, or "".

    Example:
        >>> parse_json(b'{"confidence": NaN}'), parse_json(b'{"a": 1')[1]
        (({'confidence': nan}, ''), "not JSON: Expecting ',' delimiter at column 8")
    """
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


def read_document(path: Path, problems: Problems) -> Any:
    """One JSON value that fills a file; if the file was cut off, all that is whole in it.

    Raises:
        ValueError: not JSON, or too big to be held in memory.
    """
    data = read_whole(path, "JSON document", ". Save it as JSON lines (Inspect: `inspect log convert --to eval`)")
    data = data.removeprefix(b"\xef\xbb\xbf")
    value, why = parse_json(data)
    if not why:
        return value
    closed, whole = close_document(data)
    value, still = parse_json(closed) if whole else (None, why)
    if still:
        raise ValueError(f"{path}: {why}")
    line = data.count(b"\n", 0, whole) + 1
    problems.add(path, "cut off", f"{path}:{line}: the file breaks off; all before this line is kept")
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
    place = next((place for place, (mark, _) in enumerate(stack) if mark == b"["), 0)
    end = stack[place][1] if stack else 0
    if data[:end].strip() in (b"", b"{", b"["):
        return data, 0
    return data[:end] + b"".join(_CLOSING[mark] for mark, _ in reversed(stack[: place + 1])), end
