"""Every Eval Ever: the instance-level JSON lines of the shared schema, which has converters from many harnesses.

    {"schema_version": "0.3.0", "model_id": "m", "evaluation_name": "simpleqa", "sample_id": "q1",
     "input": {"raw": "...", "reference": ["Lima"]}, "output": {"raw": ["Lima"]},
     "evaluation": {"score": 1.0, "is_correct": true}, "metadata": {"confidence": "0.8"}}

The schema has no field for abstentions or confidence; both may stand in `metadata`, whose values are texts.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from abstain.evals.files import json_lines
from abstain.evals.logs.batch import (
    TARGET_KEYS,
    Batch,
    Entry,
    Options,
    Problems,
    as_dict,
    batches,
    grade_of,
    last_text,
    printable,
    stated_target,
)
from abstain.evals.logs.grades import ABSTAINED, NONE, UNGRADED, UNREADABLE

NAME = "Every Eval Ever instances"
_KEYS = {"evaluation_id", "sample_id", "evaluation"}
_VERDICTS = ("verdict", "grade")


def is_row(row: Any) -> bool:
    """Whether an object is one of this format's rows."""
    return isinstance(row, dict) and set(row) >= _KEYS


def read(path: Path, options: Options, problems: Problems) -> Iterator[Batch]:
    """The rows of an instance-level file."""
    return batches(path, "line", _entries(path, options, problems))


def _entries(path: Path, options: Options, problems: Problems) -> Iterator[Entry]:
    chosen: dict[tuple[str, str, str], str] = {}  # a row for each metric of a sample, the first of which counts
    others: dict[str, dict[str, None]] = {}
    for numbers, rows in json_lines(path, problems.add):
        for number, row in zip(numbers, rows, strict=True):
            if not is_row(row):
                lacks = ", ".join(sorted(_KEYS - set(row)))
                problems.add(path, "not an instance", f"{path}:{number}: not an instance: lacks {lacks}")
                continue
            metric = str(row.get("evaluation_result_id") or "")
            sample = str(row.get("model_id")), str(row.get("evaluation_name")), str(row["sample_id"])
            wanted = chosen.setdefault(sample, options.metric or metric)
            if metric in (wanted, "") or metric.startswith(f"{wanted}:"):
                yield _entry(path, number, row, options, problems)
            else:
                others.setdefault(wanted, {})[metric] = None
    for wanted, rest in others.items():
        problems.note(path, f"graded by {printable(wanted)}, not by {printable(', '.join(rest))}")


def _entry(path: Path, number: int, row: dict[str, Any], options: Options, problems: Problems) -> Entry:
    about, asked = as_dict(row.get("metadata")), as_dict(row.get("input"))
    entry = Entry(
        number,
        str(row["sample_id"]),
        str(row.get("model_id") or ""),
        str(row.get("evaluation_name") or ""),
        _grade(path, number, row, about, options, problems),
    )
    entry.question = asked.get("raw") if isinstance(asked.get("raw"), str) else last_text(row.get("messages"), "user")
    prompt = asked.get("formatted")
    entry.prompt = prompt if isinstance(prompt, str) else entry.question
    entry.target = next((about[key] for key in TARGET_KEYS if key in about), stated_target(entry.prompt))
    entry.gold = _gold(asked)
    entry.confidence = about.get("confidence")
    said = as_dict(row.get("output")).get("raw")
    texts = [text for text in (said if isinstance(said, list) else [said]) if isinstance(text, str)]
    entry.completion = texts[0] if texts else last_text(row.get("messages"), "assistant")
    entry.votes = texts if len(texts) > 1 else None
    return entry


def _gold(asked: dict[str, Any]) -> list[str] | None:
    """The references; the number of a choice also as what it stands for."""
    given, choices = asked.get("reference"), asked.get("choices")
    golds = [str(one) for one in (given if isinstance(given, list) else [given]) if one is not None]
    if isinstance(choices, list):
        golds = [str(choices[int(g)]) if g.isdecimal() and int(g) < len(choices) else g for g in golds]
    return golds or None


def _grade(
    path: Path, number: int, row: dict[str, Any], about: dict[str, Any], options: Options, problems: Problems
) -> int:
    if row.get("error"):
        problems.add(path, "error", f"{path}:{number}: ended in an error; counted as ungraded", lost=False)
        return UNGRADED
    if str(about.get("abstained")).strip().lower() in ("true", "1", "yes"):
        return ABSTAINED
    verdict = next((about[key] for key in _VERDICTS if key in about), None)
    result = as_dict(row["evaluation"])
    by_score = options.pass_mark is not None or "is_correct" not in result
    value = verdict if verdict is not None else result.get("score" if by_score else "is_correct")
    grade = grade_of(value, path, f"{path}:{number}", options, problems)
    return NONE if grade == UNREADABLE else grade
