"""lighteval: `details_TASK_DATE.parquet`, written by `--save-details`; the columns of a row are structs.

    doc = {query, choices, gold_index, ...}, metric = {"em": 1.0}, model_response = {text, logprobs, ...}

Its SimpleQA judge maps NOT_ATTEMPTED to 0 like a wrong answer, so abstentions are found by reading the answers. In
multiple choice `logprobs` has one number for each choice.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from abstain.evals.files import parquet_blocks
from abstain.evals.logs.batch import (
    Batch,
    Entry,
    Options,
    Problems,
    as_dict,
    batches,
    choice_shares,
    grade_of,
    stated_target,
    text_of,
)
from abstain.evals.logs.grades import INCORRECT, NONE, UNREADABLE, ZERO

NAME = "lighteval details"
COLUMNS = {"doc", "metric", "model_response"}
_FILE = re.compile(r"details_(?P<task>.+?)_\d{4}-\d\d-\d\dT[\d.:-]+")
_METRICS = ("acc", "accuracy", "loglikelihood_acc", "em", "exact_match", "extractive_match", "simpleqa_judge")
_ROWS = 500


def read(path: Path, options: Options, problems: Problems) -> Iterator[Batch]:
    """The rows of a details file."""
    return batches(path, "row", _entries(path, options, problems))


def _entries(path: Path, options: Options, problems: Problems) -> Iterator[Entry]:
    named = _FILE.fullmatch(path.stem)
    task = (named["task"] if named else path.stem).partition("|")[0]
    model, chosen = _model(path), ""
    for numbers, block in parquet_blocks(path, sorted(COLUMNS), _ROWS):
        for number, row in zip(numbers, block.to_pylist(), strict=True):
            metric = as_dict(row["metric"])
            chosen = chosen or _metric(path, metric, options, problems)
            grade = grade_of(metric.get(chosen), path, f"{path}: row {number}", options, problems)
            yield _entry(number, row, model, task, grade)


def _model(path: Path) -> str:
    """`details/ORG/MODEL/DATE/details_...parquet`."""
    folders = path.resolve().parts
    if "details" not in folders[:-1]:
        return ""
    start = len(folders) - 1 - folders[::-1].index("details")
    return "/".join(folders[start + 1 : -2])


def _metric(path: Path, metric: dict[str, Any], options: Options, problems: Problems) -> str:
    if options.metric and options.metric not in metric:
        raise ValueError(f"{path}: no metric {options.metric!r}; it has: {', '.join(metric)}")
    chosen = options.metric or next((name for name in _METRICS if name in metric), next(iter(metric), ""))
    if len(metric) > 1:
        problems.note(path, f"graded by {chosen} of {', '.join(metric)}")
    return chosen


def _entry(place: int, row: dict[str, Any], model: str, task: str, grade: int) -> Entry:
    doc, said = as_dict(row["doc"]), as_dict(row["model_response"])
    entry = Entry(place, str(doc.get("id") or place - 1), model, task, grade)
    entry.question = doc.get("query")
    entry.prompt = _prompt(said.get("input")) or entry.question
    entry.target = stated_target(entry.prompt)
    choices = [str(choice).strip() for choice in doc.get("choices") or []]
    index = doc.get("gold_index")
    golds = [
        choices[i] for i in (index if isinstance(index, list) else [index]) if isinstance(i, int) and i < len(choices)
    ]
    entry.gold = golds or None
    texts = [text for text in said.get("text_post_processed") or said.get("text") or [] if isinstance(text, str)]
    shares = choice_shares(said.get("logprobs") or [])
    if texts:
        entry.completion, entry.votes = texts[0], texts if len(texts) > 1 else None
    elif len(shares) == len(choices) > 1:
        best = max(range(len(shares)), key=shares.__getitem__)
        entry.confidence, entry.completion, entry.kind = shares[best], choices[best], "choices"
        entry.grade = INCORRECT if grade == ZERO else (NONE if grade == UNREADABLE else grade)
    return entry


def _prompt(given: Any) -> str | None:
    if isinstance(given, list):
        turns = [text for turn in given if (text := text_of(turn.get("content") if isinstance(turn, dict) else turn))]
        return turns[-1] if turns else None
    return given if isinstance(given, str) else None
