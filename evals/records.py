"""What was asked, answered and graded: one row per question and target, kept as JSON lines.

{"id": "P36-17", "task": "entity_questions", "question": "What is the capital of Peru?", "gold": ["Lima"],
 "target": 0.75, "prompt": "What is ... 0 points.", "completion": "Lima", "answer": "Lima", "verdict": "CORRECT",
 "confidence": 0.83}
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from abstain.rewards.verdict import Verdict


@dataclass(frozen=True)
class Record:
    """One graded completion.

    Args:
        id, task, question, gold: which question it was.
        target: the confidence target that the prompt stated.
        prompt: what was asked, before any chat template.
        completion: all that the model wrote.
        answer: the answer read from it; "" if none is offered.
        verdict: how it was graded.
        confidence: the model's probability in [0, 1] that its answer is right; stated, or that of its best guess.
    """

    id: str
    task: str
    question: str
    gold: tuple[str, ...]
    target: Annotated[float, Field(strict=True, ge=0, lt=1)]
    prompt: str
    completion: str
    answer: str
    verdict: Verdict
    confidence: Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)] | None

    __pydantic_config__ = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


FIELDS = tuple(field.name for field in fields(Record))
_RECORD = TypeAdapter(Record)
_MEANT = {
    "gold": "gold is a list of answers, not {!r}",
    "target": "target {!r} is not a number in [0, 1)",
    "verdict": f"unknown verdict {{!r}}; allowed: {', '.join(Verdict)}",
    "confidence": "confidence {!r} is neither null nor a number in [0, 1]",
}


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Write records as JSON lines, all or nothing: an interrupted run leaves the file as it was."""
    write_rows(path, map(asdict, records))


def read_records(path: str | Path) -> list[Record]:
    """Read what `write_records` wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line is not a record; the message says which, and what is wrong with it.
    """
    with open(path, encoding="utf-8") as file:
        return [_parse_line(line, f"{path}:{number}") for number, line in enumerate(file, 1) if line.strip()]


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines, all or nothing."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_rows(path: str | Path) -> list[dict[str, Any]]:
    """Read what `write_rows` wrote. A line ends where a file's does: texts may hold other ends, such as U+2028."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_json(path: str | Path) -> Any:
    """A JSON file of our own.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not JSON, with the line.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: {error.msg} at line {error.lineno}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not text in UTF-8") from None


def write_text(path: str | Path, text: str) -> None:
    """Write a file all or nothing, making its folder if need be."""
    with whole_file(path) as file:
        file.write(text.encode("utf-8"))


@contextmanager
def whole_file(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write to, which appears under its name once it is whole; its folder is made if need be."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _parse_line(line: str, where: str) -> Record:
    try:
        return _RECORD.validate_json(_without_halves(line) if "\\ud" in line else line)
    except ValidationError as error:
        raise ValueError(f"{where}: {_wrong(error)}") from None


def _without_halves(line: str) -> str:
    """The line with ? for each half of a surrogate pair, which Python's JSON has as an escape and UTF-8 has not."""
    try:
        return json.dumps(json.loads(line), ensure_ascii=False).encode("utf-8", "replace").decode()
    except (ValueError, RecursionError):
        return line


def _wrong(error: ValidationError) -> str:
    """The first thing that is wrong with a line, in our words."""
    problems = error.errors(include_url=False)
    first = problems[0]
    if first["type"] == "json_invalid":
        return f"not JSON: {first['ctx']['error']}"
    if not first["loc"]:
        return f"a record is a JSON object, not {type(first['input']).__name__}"
    kinds = ("missing", "unexpected_keyword_argument")
    missing, unknown = (sorted(str(one["loc"][0]) for one in problems if one["type"] == kind) for kind in kinds)
    if missing or unknown:
        return f"not a record: lacks {missing or 'nothing'}, has unknown {unknown or 'nothing'}"
    field, value = str(first["loc"][0]), first["input"]
    if field == "target" and value is None:
        return "target is null, since its prompt states none; `abstain rescore` scores such answers"
    return _MEANT.get(field, f"{field} is a text, not {{!r}}").format(value)
