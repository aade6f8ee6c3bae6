"""What was asked, answered and graded: one row per question and target, kept as JSON lines.

{"id": "P36-17", "task": "entity_questions", "question": "What is the capital of Peru?", "gold": ["Lima"],
 "target": 0.75, "prompt": "What is ... 0 points.", "completion": "Lima", "answer": "Lima", "verdict": "CORRECT",
 "confidence": 0.83}
"""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

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
    target: float
    prompt: str
    completion: str
    answer: str
    verdict: Verdict
    confidence: float | None


FIELDS = tuple(field.name for field in fields(Record))


def write_records(path: str | Path, records: Iterable[Record]) -> None:
    """Write records as JSON lines, all or nothing: an interrupted run leaves the file as it was."""
    write_text(path, "".join(json.dumps(asdict(record), ensure_ascii=False) + "\n" for record in records))


def read_records(path: str | Path) -> list[Record]:
    """Read what `write_records` wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line is not a record; the message says which, and what is wrong with it.
    """
    with open(path, encoding="utf-8") as file:
        return [_parse_line(line, f"{path}:{number}") for number, line in enumerate(file, 1) if line.strip()]


def write_text(path: str | Path, text: str) -> None:
    """Write a file all or nothing, making its folder if need be."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _parse_line(line: str, place: str) -> Record:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{place}: not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(row, dict):
        raise ValueError(f"{place}: a record is a JSON object, not {type(row).__name__}")
    if set(row) != set(FIELDS):
        missing, unknown = sorted(set(FIELDS) - set(row)), sorted(set(row) - set(FIELDS))
        raise ValueError(f"{place}: not a record: lacks {missing or 'nothing'}, has unknown {unknown or 'nothing'}")
    return _checked(row, place)


def _checked(row: dict[str, Any], place: str) -> Record:
    if row["verdict"] not in list(Verdict):
        raise ValueError(f"{place}: unknown verdict {row['verdict']!r}; allowed: {', '.join(Verdict)}")
    if not isinstance(row["gold"], list):
        raise ValueError(f"{place}: gold is a list of answers, not {row['gold']!r}")
    if row["target"] is None:
        why = "since its prompt states none; `abstain rescore` scores such answers"
        raise ValueError(f"{place}: target is null, {why}")
    if not _is_number(row["target"]) or not 0 <= row["target"] < 1:
        raise ValueError(f"{place}: target {row['target']!r} is not a number in [0, 1)")
    confidence = row["confidence"]
    if confidence is not None and not (_is_number(confidence) and 0 <= confidence <= 1):
        raise ValueError(f"{place}: confidence {confidence!r} is neither null nor a number in [0, 1]")
    return Record(**{**row, "gold": tuple(row["gold"]), "verdict": Verdict(row["verdict"])})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
