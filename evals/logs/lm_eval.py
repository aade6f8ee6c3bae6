"""lm-evaluation-harness: `samples_TASK_DATE.jsonl`, written by `--log_samples`; one line per document and filter.

    {"doc_id": 0, "doc": {...}, "target": "['Lima']", "arguments": {"gen_args_0": {"arg_0": "Question: ..."}},
     "resps": [[" Lima"]], "filtered_resps": ["Lima"], "filter": "none", "metrics": ["em"], "em": 1.0}

In multiple choice `resps` holds the log-likelihood of every choice, and their softmax is the model's confidence. With
`repeats` it holds several answers, and the share that agrees is. The model's name stands in `results_DATE.json`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from abstain.evals.files import json_lines, parse_json
from abstain.evals.logs.batch import (
    Batch,
    Entry,
    Options,
    Problems,
    as_dict,
    batches,
    choice_shares,
    grade_of,
    printable,
    stated_target,
)
from abstain.evals.logs.grades import INCORRECT, NONE, ZERO
from abstain.evals.tasks.columns import answers_of

NAME = "lm-evaluation-harness samples"
METRICS = ("verdict", "acc", "exact_match", "em", "mcc_match", "acc_norm", "is_correct", "correct", "pass@1", "f1")
_QUESTION = ("question", "Question", "problem", "query", "input")
_FILE = re.compile(r"samples_(?P<task>.+?)_(?P<date>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl")
_RESULTS_LIMIT = 64 << 20


def is_row(row: Any) -> bool:
    """Whether an object is one of this format's rows."""
    return isinstance(row, dict) and {"doc_id", "doc", "resps"} <= set(row)


def read(path: Path, options: Options, problems: Problems) -> Iterator[Batch]:
    """The rows of a samples file."""
    return batches(path, "line", _entries(path, options, problems))


def _entries(path: Path, options: Options, problems: Problems) -> Iterator[Entry]:
    model, task = _names(path)
    told: set[str] = set()
    for numbers, rows in json_lines(path, problems.add):
        for number, row in zip(numbers, rows, strict=True):
            if not is_row(row):
                lacks = ", ".join(sorted({"doc_id", "doc", "resps"} - set(row)))
                problems.add(path, "not a sample", f"{path}:{number}: not an lm-eval sample: lacks {lacks}")
                continue
            metric = _metric(path, number, row, options, problems)
            if metric and metric not in told and len(row.get("metrics") or []) > 1:
                told.add(metric)
                others = printable(", ".join(map(str, row["metrics"])))
                problems.note(path, f"graded by {metric} of {others}")
            grade = grade_of(row[metric], path, f"{path}:{number}: {metric}", options, problems) if metric else NONE
            yield _entry(number, row, model, task, grade)


def _names(path: Path) -> tuple[str, str]:
    """The model's name, from the results file of the same run, or from the folder; and the task's."""
    found, folder = _FILE.fullmatch(path.name), path.resolve().parent.name
    model = folder.replace("__", "/") if "__" in folder else ""
    if not found:
        return model, path.stem.removeprefix("samples_")
    results = path.with_name(f"results_{found['date']}.json")
    if results.is_file() and results.stat().st_size < _RESULTS_LIMIT:
        name = as_dict(parse_json(results.read_bytes())[0]).get("model_name")
        model = name if isinstance(name, str) and name else model
    return model, found["task"]


def _entry(number: int, row: dict[str, Any], model: str, task: str, grade: int) -> Entry:
    filter_name = row.get("filter", "none")
    named = task if filter_name in ("none", None) else f"{task} ({filter_name})"
    entry = Entry(number, str(row["doc_id"]), model, named, grade)
    prompt = _argument(row.get("arguments"), 0, 0)
    entry.prompt = prompt if isinstance(prompt, str) else None
    entry.target = stated_target(entry.prompt)
    doc = as_dict(row["doc"])
    entry.question = next((doc[key] for key in _QUESTION if isinstance(doc.get(key), str)), entry.prompt)
    if entry.target is not None and isinstance(doc.get("question_id"), str | int):
        entry.id = str(doc["question_id"])  # one question asked at several targets
    scores = _log_likelihoods(row)
    if scores:
        _choose(entry, row, scores)
    else:
        _answer(entry, row)
    return entry


def _metric(path: Path, number: int, row: dict[str, Any], options: Options, problems: Problems) -> str:
    """The metric that is the grade, "" if there is none."""
    named = [name for name in row.get("metrics") or [] if isinstance(name, str)]
    if options.metric and options.metric not in row:
        known = ", ".join(named) or "none"
        why = f"{path}:{number}: no metric {options.metric!r}; it has: {known}"
        problems.add(path, "no such metric", why, lost=False)
        return ""
    known_first = (*METRICS, *named)
    return options.metric or next((name for name in known_first if name in row and name != "bypass"), "")


def _argument(arguments: Any, request: int, place: int) -> Any:
    """An argument of a request: `{"gen_args_0": {"arg_0": ...}}`, or lists in older logs."""
    if isinstance(arguments, dict):
        return as_dict(arguments.get(f"gen_args_{request}")).get(f"arg_{place}")
    try:
        return arguments[request][place]
    except (TypeError, IndexError, KeyError):
        return None


def _log_likelihoods(row: dict[str, Any]) -> list[float]:
    """One for each choice; none if this is no multiple choice."""
    resps = row["resps"]
    if not isinstance(resps, list) or len(resps) < 2:
        return []
    try:
        pairs = [resp[0] for resp in resps]
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            return []
        scores = [float(pair[0]) for pair in pairs]
    except (TypeError, ValueError, IndexError, KeyError):
        return []
    if "acc_mutual_info" in row and len(scores) % 2 == 0:
        return scores[: len(scores) // 2]  # the other half is without the question
    return scores


def _choose(entry: Entry, row: dict[str, Any], scores: list[float]) -> None:
    """The likeliest choice, and its share of the probability of all."""
    shares = choice_shares(scores)
    choices = [str(_argument(row.get("arguments"), place, 1) or "").strip() for place in range(len(scores))]
    if shares:
        best = max(range(len(shares)), key=shares.__getitem__)
        entry.confidence, entry.completion, entry.kind = shares[best], choices[best], "choices"
    target = str(row.get("target"))
    entry.gold = [choices[int(target)]] if target.isdigit() and int(target) < len(choices) else [target]
    if entry.grade == ZERO:
        entry.grade = INCORRECT  # among choices nobody abstains


def _answer(entry: Entry, row: dict[str, Any]) -> None:
    said = [text for resp in row["resps"] or [] for text in (resp if isinstance(resp, list) else [resp])]
    texts = [text for text in said if isinstance(text, str)]
    filtered = row.get("filtered_resps")
    chosen = filtered[0] if isinstance(filtered, list) and filtered else None
    chosen = chosen[0] if isinstance(chosen, list) and chosen else chosen
    many = len(texts) > 1
    entry.completion = chosen if many and isinstance(chosen, str) else (texts[0] if texts else None)
    entry.votes = texts if many else None
    try:
        entry.gold = list(answers_of(row.get("target")))
    except ValueError:
        entry.gold = None
