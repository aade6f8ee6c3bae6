"""lm-evaluation-harness: `samples_TASK_DATE.jsonl`, written by `--log_samples`; one line per document and filter.

    {"doc_id": 0, "doc": {...}, "target": "['Lima']", "arguments": {"gen_args_0": {"arg_0": "Question: ..."}},
     "resps": [[" Lima"]], "filtered_resps": ["Lima"], "filter": "none", "metrics": ["em"], "em": 1.0}

In multiple choice `resps` holds the log-likelihood l_i of every choice i. Which choice is the model's answer, and with
what confidence q, depends on the metric that is the grade (`process_results` of lm-eval's `api/task.py`):

    metric             answer                                            q
    acc, f1, mcc       the largest s_i = l_i                             softmax(s)_i
    acc_norm           the largest s_i = l_i / characters of choice i    softmax(s)_i
    acc_bytes          the largest s_i = l_i / bytes of choice i         softmax(s)_i
    acc_mutual_info    the largest s_i = l_i - l_i without question      softmax(s)_i
    exact_match        the choice that greedy decoding gives, if any     exp(l_i)

So q is that of the choice that was graded, and ranks by what it was taken for. It is a probability that the model gave
only for `acc` and `exact_match`; where lengths divide, it is nearer to that of a blind guess. With `repeats` `resps`
holds several answers, and the share that agrees is the confidence. The model's name stands in `results_DATE.json`.

Up to 0.4.2 a file is one list of samples, and `filter` may be missing; a document then stands there once per filter.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abstain.evals.files import Report, json_lines, parse_json
from abstain.evals.logs.batch import (
    Batch,
    Entry,
    Options,
    Problems,
    as_dict,
    batches,
    choice_shares,
    grade_of,
    place_name,
    printable,
    stated_target,
)
from abstain.evals.logs.grades import CORRECT, INCORRECT, ZERO
from abstain.evals.tasks.columns import answers_of
from abstain.rewards.graders import GRADERS

NAME = "lm-evaluation-harness samples"
METRICS = ("verdict", "acc", "exact_match", "em", "mcc_match", "acc_norm", "is_correct", "correct", "pass@1", "f1")
_QUESTION = ("question", "Question", "problem", "query", "input")
_FILE = re.compile(r"samples_(?P<task>.+?)_(?P<date>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl")
_RESULTS_LIMIT = 64 << 20
_KEYS = {"doc_id", "doc", "resps"}
_RULES = {
    "acc_norm": "log-likelihood per character",
    "acc_bytes": "log-likelihood per byte",
    "acc_mutual_info": "log-likelihood beyond that without the question",
    "exact_match": "greedy decoding",
}
"""Metrics that do not take the likeliest choice, and what they take it by."""
Blocks = Iterable[tuple[list[int], list[dict[str, Any]]]]
"""Lines or numbers of samples, and samples, some at a time."""


def is_row(row: Any) -> bool:
    """Whether an object is one of this format's rows."""
    return isinstance(row, dict) and set(row) >= _KEYS


def is_document(value: Any) -> bool:
    """Whether a JSON document is a list of samples, as versions up to 0.4.2 wrote it."""
    return isinstance(value, list) and any(map(is_row, value[:1]))


def read(path: Path, options: Options, problems: Problems) -> Iterator[Batch]:
    """The rows of a samples file."""
    samples = _Samples(path, "line", options, problems)
    return batches(path, "line", samples.entries(lambda report: json_lines(path, report)))


def read_list(path: Path, rows: list[Any], options: Options, problems: Problems) -> Iterator[Batch]:
    """The samples of a JSON list."""
    block = list(range(1, len(rows) + 1)), rows
    return batches(path, "sample", _Samples(path, "sample", options, problems).entries(lambda _: [block]))


@dataclass(frozen=True)
class _Samples:
    """A file of samples that is being read."""

    path: Path
    unit: str
    options: Options
    problems: Problems

    def entries(self, blocks: Callable[[Report], Blocks]) -> Iterator[Entry]:
        """Each sample as an entry."""
        model, task = _names(self.path)
        filters: dict[int, int] | None = None
        for numbers, rows in blocks(self.problems.add):
            for number, row in zip(numbers, rows, strict=True):
                if not is_row(row):
                    lacks = ", ".join(sorted(_KEYS - set(as_dict(row))))
                    self._tell(number, "not a sample", f"not an lm-eval sample: lacks {lacks}", lost=True)
                    continue
                if filters is None and "filter" not in row:
                    filters = _unnamed_filters(blocks(lambda *_: None))
                filtered = row.get("filter")
                if filters and number in filters:
                    filtered = f"filter {filters[number]}"
                    self._tell(number, "no filter", "no name of a filter, but several read each answer; numbered")
                named = task if filtered in ("none", None) else f"{task} ({filtered})"
                yield self._entry(number, row, model, named)

    def _tell(self, number: int, kind: str, message: str, *, lost: bool = False) -> None:
        self.problems.add(self.path, kind, f"{place_name(self.path, self.unit, number)}: {message}", lost=lost)

    def _entry(self, number: int, row: dict[str, Any], model: str, task: str) -> Entry:
        metric = self._metric(number, row)
        value, scores = row[metric] if metric else None, _log_likelihoods(row)
        if scores and metric.startswith(("f1", "mcc")) and isinstance(value, list) and len(value) == 2:
            gold, taken = value  # numbers of choices
            value = taken in gold if isinstance(gold, list) else taken == gold
        where = f"{place_name(self.path, self.unit, number)}: {metric}"
        grade = grade_of(value, self.path, where, self.options, self.problems)
        entry = Entry(number, self._id(number, row), model, task, grade)
        prompt = _argument(row.get("arguments"), 0, 0)
        entry.prompt = prompt if isinstance(prompt, str) else None
        entry.target = stated_target(entry.prompt)
        doc = as_dict(row["doc"])
        entry.question = next((doc[key] for key in _QUESTION if isinstance(doc.get(key), str)), entry.prompt)
        if entry.target is not None and isinstance(doc.get("question_id"), str | int):
            entry.id = str(doc["question_id"])  # one question asked at several targets
            entry.grader = next((name for name in GRADERS if name == doc.get("grader")), None)
        if scores:
            self._choose(entry, row, metric, scores)
        else:
            _answer(entry, row)
        return entry

    def _metric(self, number: int, row: dict[str, Any]) -> str:
        """The metric that is the grade, "" if there is none."""
        listed = row.get("metrics")
        named = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
        if self.options.metric and self.options.metric not in row:
            known = ", ".join(named) or "none"
            self._tell(number, "no such metric", f"no metric {self.options.metric!r}; it has: {known}")
            return ""
        metric = self.options.metric or next((m for m in (*METRICS, *named) if m in row and m != "bypass"), "")
        if metric and len(named) > 1:
            self.problems.note(self.path, f"graded by {metric} of {printable(', '.join(named))}")
        return metric

    def _id(self, number: int, row: dict[str, Any]) -> str | None:
        """The document's number; without one, its hash."""
        if isinstance(row["doc_id"], int | str) and row["doc_id"] != "":
            return str(row["doc_id"])
        self._tell(number, "no doc_id", "no doc_id; known by its doc_hash, else a question of its own")
        return row["doc_hash"] if isinstance(row.get("doc_hash"), str) else None

    def _choose(self, entry: Entry, row: dict[str, Any], metric: str, logged: list[float]) -> None:
        """The choice that the metric takes, and its confidence; neither if that is not the one the log graded."""
        rule = next((name for name in _RULES if metric.startswith(name)), "")
        count = len(logged) // 2 if "acc_mutual_info" in row and len(logged) % 2 == 0 else len(logged)
        texts, exact = _texts(row, count)
        golds = _gold_places(row.get("target"), texts) if exact else []
        entry.gold = [texts[place].strip() for place in golds] or ([str(row.get("target"))] if exact else None)
        if entry.grade == ZERO:
            entry.grade = INCORRECT  # among choices nobody abstains
        if rule:
            self.problems.note(self.path, f"choices and confidence are by {_RULES[rule]}, as {metric} takes them")
        if rule == "exact_match":
            shares = [math.exp(min(score, 0.0)) for score in logged[:count]]
            taken = [place for place in range(count) if str(row["resps"][place][0][1]) == "True"]
        else:
            shares = choice_shares(_scores(rule, logged[:count], logged[count:], texts if exact else []))
            taken = [shares.index(max(shares))] if shares else []
            if not shares:
                return
        if golds and entry.grade in (CORRECT, INCORRECT) and (entry.grade == CORRECT) != bool({*golds} & {*taken}):
            said = f"{metric} is {printable(str(row[metric]), 20)}, but not for the choice that the likelihoods give"
            self._tell(entry.place, "another choice", f"{said}; graded as logged, without confidence")
        elif taken:
            best = max(taken, key=shares.__getitem__)
            entry.confidence, entry.completion, entry.kind = shares[best], texts[best].strip(), "choices"


def _scores(rule: str, asked: list[float], unasked: list[float], texts: list[str]) -> list[float]:
    """What a metric takes choices by, one number for each; none if that is not known."""
    if rule == "acc_mutual_info":
        return [with_it - without for with_it, without in zip(asked, unasked, strict=False)]
    if rule in ("acc_norm", "acc_bytes"):
        sizes = [len(text.encode("utf-8", "replace")) if rule == "acc_bytes" else len(text) for text in texts]
        return [score / size for score, size in zip(asked, sizes, strict=False)] if all(sizes) else []
    return asked


def _unnamed_filters(blocks: Blocks) -> dict[int, int]:
    """The number of the filter for each row without a name of one, if several filters read the same answers.

    Such rows agree in document and `resps`, and some of them differ in `filtered_resps`. If none do, the file merely
    holds rows twice.
    """
    seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for numbers, rows in blocks:
        for number, row in zip(numbers, rows, strict=True):
            if is_row(row) and "filter" not in row:
                same = hash(repr((row["doc_id"], row["resps"], row.get("arguments"))))
                seen[same].append((number, hash(repr(row.get("filtered_resps")))))
    if all(len({read for _, read in rows}) == 1 for rows in seen.values()):
        return {}
    return {number: place for rows in seen.values() if len(rows) > 1 for place, (number, _) in enumerate(rows, 1)}


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


def _argument(arguments: Any, request: int, place: int) -> Any:
    """An argument of a request: `{"gen_args_0": {"arg_0": ...}}`, or lists in older logs."""
    if isinstance(arguments, dict):
        return as_dict(arguments.get(f"gen_args_{request}")).get(f"arg_{place}")
    try:
        return arguments[request][place]
    except (TypeError, IndexError, KeyError):
        return None


def _log_likelihoods(row: dict[str, Any]) -> list[float]:
    """One for each request of a multiple choice; none if this is none."""
    resps = row["resps"]
    if not isinstance(resps, list) or len(resps) < 2:
        return []
    try:
        pairs = [resp[0] for resp in resps]
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            return []
        return [float(pair[0]) for pair in pairs]
    except (TypeError, ValueError, IndexError, KeyError):
        return []


def _texts(row: dict[str, Any], count: int) -> tuple[list[str], bool]:
    """The choices, and whether their lengths are those that lm-eval divides by."""
    asked, said = [
        [str(_argument(row.get("arguments"), request, place) or "") for request in range(count)] for place in (0, 1)
    ]
    if len(set(said)) == 1 < len(set(asked)):  # the context differs, and the target is what follows (Winogrande)
        start = _shared_start(asked)
        return [text[start.rfind(" ") + 1 :] for text in asked], False
    listed = as_dict(row["doc"]).get("choices")
    listed = as_dict(listed).get("text", listed)
    pairs = list(zip(listed, said, strict=False)) if isinstance(listed, list) and len(listed) == count else []
    if pairs and all(isinstance(choice, str) and text.endswith(choice) for choice, text in pairs):
        return [choice for choice, _ in pairs], True
    shared = _shared_start(said)  # what stands between the question and the choice: `target_delimiter`
    delimiter = len(shared) - len(shared.lstrip())
    return [text[delimiter:] for text in said], True


def _shared_start(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    return first[: next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _gold_places(target: Any, texts: list[str]) -> list[int]:
    """Which choices are right: the target's numbers, or the choices that it spells out; none if it is neither."""
    try:
        golds = answers_of(target)
    except ValueError:
        return []
    numbers = [int(gold) for gold in golds if len(gold) < 7 and gold.isdecimal() and int(gold) < len(texts)]
    stripped = [text.strip() for text in texts]
    return numbers or [stripped.index(gold) for gold in golds if gold in stripped]


def _answer(entry: Entry, row: dict[str, Any]) -> None:
    resps = row["resps"] if isinstance(row["resps"], list) else [row["resps"]]
    said = [text for resp in resps for text in (resp if isinstance(resp, list) else [resp])]
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
