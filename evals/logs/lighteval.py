"""lighteval: `details_TASK_DATE.parquet`, written by `--save-details`; the columns of a row are structs.

    doc = {id, query, choices, gold_index, ...}, metric = {"em": 1.0}, model_response = {text, logprobs, ...}

A metric with settings has them in its name: `em:strip_strings=True`. Its SimpleQA judge maps NOT_ATTEMPTED to 0 like a
wrong answer, so abstentions are found by reading the answers. Of several answers that were sampled, `avg@n`, `pass@k`
and `em` say how many or whether any is right, and `maj@n` whether the commonest is.

In multiple choice `logprobs` has a log-likelihood l_i of every choice i (and then, for `pmi`, one of each without the
question). Which choice is the answer depends on the metric (`normalize_log_probs` of lighteval's
`metrics/normalizations.py`); the confidence is that choice's softmax(s)_i:

    acc                                   the largest s_i = l_i
    acc_norm, ...=LogProbCharNorm         the largest s_i = l_i / characters of choice i
    acc_norm_token, ...=LogProbTokenNorm  the largest s_i = l_i / tokens of choice i
    acc_norm_pmi, ...=LogProbPMINorm      the largest s_i = l_i - l_i without the question
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from abstain.evals.files import parquet_blocks
from abstain.evals.logs.batch import (
    Batch,
    Entry,
    Options,
    Problems,
    as_dict,
    as_list,
    batches,
    choice_shares,
    grade_of,
    printable,
    stated_target,
    text_of,
)
from abstain.evals.logs.grades import CORRECT, INCORRECT, NONE, ZERO
from abstain.rewards.errors import nearest

NAME = "lighteval details"
COLUMNS = {"doc", "metric", "model_response"}
_FILE = re.compile(r"details_(?P<task>.+?)_\d{4}-\d\d-\d\dT[\d.:-]+")
_METRICS = ("acc", "accuracy", "loglikelihood_acc", "em", "exact_match", "extractive_match", "simpleqa_judge")
_RULES = {
    re.compile(r"LogProbTokenNorm|_norm_token\b"): "log-likelihood per token",
    re.compile(r"LogProbPMINorm|_norm_pmi\b"): "log-likelihood beyond that without the question",
    re.compile(r"LogProbCharNorm\(.*ignore_first_space=True"): "log-likelihood per character, no first space",
    re.compile(r"LogProbCharNorm|_norm\b"): "log-likelihood per character",
}
"""Metrics that do not take the likeliest choice, and what they take it by; the first that fits counts."""
_ROWS = 500


def read(path: Path, options: Options, problems: Problems) -> Iterator[Batch]:
    """The rows of a details file.

    Raises:
        ValueError: no row has the metric that the user chose.
    """
    return batches(path, "row", _Details(path, options, problems).entries())


@dataclass
class _Details:
    """A details file that is being read."""

    path: Path
    options: Options
    problems: Problems
    asked: dict[str, list[int]] = field(default_factory=dict)

    def entries(self) -> Iterator[Entry]:
        """Each row as an entry."""
        named = _FILE.fullmatch(self.path.stem)
        task = (named["task"] if named else self.path.stem).partition("|")[0]
        model, chosen = _model(self.path), ""
        for numbers, block in parquet_blocks(self.path, sorted(COLUMNS), _ROWS):
            for number, row in zip(numbers, block.to_pylist(), strict=True):
                metric = as_dict(row["metric"])
                chosen = chosen or (self._metric(metric) if metric else "")
                where = f"{self.path}: row {number}"
                if metric.get(chosen) is None:
                    self._tell(number, "no metric", f"no value of {chosen or 'any metric'}")
                grade = grade_of(metric.get(chosen), self.path, where, self.options, self.problems)
                yield self._entry(number, row, Entry(number, None, model, task, grade), chosen)

    def _tell(self, number: int, kind: str, message: str) -> None:
        self.problems.add(self.path, kind, f"{self.path}: row {number}: {message}", lost=False)

    def _metric(self, metric: dict[str, Any]) -> str:
        wanted = self.options.metric
        if wanted and wanted not in metric:
            raise ValueError(f"{self.path}: no metric {wanted!r}. {nearest(wanted, metric)}")
        by_name: dict[str, str] = {}
        for name in metric:
            by_name.setdefault(name.partition(":")[0], name)
        known = next((by_name[name] for name in _METRICS if name in by_name), next(iter(metric), ""))
        chosen = wanted or known
        if len(metric) > 1:
            self.problems.note(self.path, f"graded by {printable(chosen)} of {printable(', '.join(metric), 200)}")
        return chosen

    def _entry(self, number: int, row: dict[str, Any], entry: Entry, metric: str) -> Entry:
        doc, said = as_dict(row["doc"]), as_dict(row["model_response"])
        query = doc.get("query")
        entry.question = query if isinstance(query, str) else None
        entry.id = self._id(number, doc.get("id"), entry.question)
        entry.prompt = _prompt(said.get("input")) or entry.question
        entry.target = stated_target(entry.prompt)
        choices = [str(choice) for choice in as_list(doc.get("choices"))]
        index = doc.get("gold_index")
        places = [i for i in (index if isinstance(index, list) else [index]) if isinstance(i, int)]
        golds = [place for place in places if 0 <= place < len(choices)]
        entry.gold = [choices[place].strip() for place in golds] or None
        texts = [
            text for text in as_list(said.get("text_post_processed") or said.get("text")) if isinstance(text, str)
        ]
        if len(texts) > 1:
            self._sampled(entry, metric, texts)
        elif texts:
            entry.completion = texts[0]
        elif len(choices) > 1:
            self._choose(entry, metric, said, choices, golds)
        return entry

    def _id(self, number: int, value: Any, question: str | None) -> str | None:
        """A document's id. lighteval numbers each split of a task from 0, so several questions may share one."""
        if value is None or value == "":
            self._tell(number, "no id", "no id in its doc; a question of its own")
            return None
        texts = self.asked.setdefault(str(value), [])
        text = hash(question)
        if text not in texts:
            texts.append(text)
            if len(texts) > 1:
                self._tell(number, "one id", f"id {printable(str(value), 20)} is another question's too; told apart")
        place = texts.index(text)
        return f"{value} ({place + 1})" if place else str(value)

    def _sampled(self, entry: Entry, metric: str, texts: list[str]) -> None:
        """One of several answers and its grade, if the metric tells it; else it is to be graded here."""
        entry.completion, entry.votes = texts[0], texts
        if metric.startswith("maj@"):
            entry.completion = Counter(texts).most_common(1)[0][0]
        elif not (entry.grade == ZERO or (entry.grade == CORRECT and metric.startswith("avg@"))):
            entry.grade = NONE
            told = f"{printable(metric)} is of several answers together; where only some of them may be right"
            self.problems.note(self.path, f"{told}, the first is graded here")

    def _choose(self, entry: Entry, metric: str, said: dict[str, Any], choices: list[str], golds: list[int]) -> None:
        """The choice that the metric takes, and its confidence; neither if that is not the one the log graded."""
        rule = next((told for pattern, told in _RULES.items() if pattern.search(metric)), "")
        if rule:
            self.problems.note(self.path, f"choices and confidence are by {rule}, as {printable(metric)} takes them")
        if entry.grade == ZERO:
            entry.grade = INCORRECT  # among choices nobody abstains
        shares = choice_shares(_scores(rule, said, choices))
        if not shares:
            self._tell(entry.place, "no likelihoods", "no log-likelihood of each choice; no confidence")
            return
        best = shares.index(max(shares))
        if golds and entry.grade in (CORRECT, INCORRECT) and (entry.grade == CORRECT) != (best in golds):
            why = f"{printable(metric)} grades another choice than the likelihoods give; graded as logged"
            self._tell(entry.place, "another choice", f"{why}, without confidence")
        else:
            entry.confidence, entry.completion, entry.kind = shares[best], choices[best].strip(), "choices"


def _model(path: Path) -> str:
    """`details/ORG/MODEL/DATE/details_...parquet`."""
    folders = path.resolve().parts
    if "details" not in folders[:-1]:
        return ""
    start = len(folders) - 1 - folders[::-1].index("details")
    return "/".join(folders[start + 1 : -2])


def _scores(rule: str, said: dict[str, Any], choices: list[str]) -> list[float]:
    """What a metric takes choices by, one number for each; none if that is not known."""
    logged, count = _numbers(said.get("logprobs")), len(choices)
    asked, unasked = logged[:count], _numbers(said.get("unconditioned_logprobs")) or logged[count:]
    if len(logged) not in (count, 2 * count):
        return []
    if "without the question" in rule:
        pairs = zip(asked, unasked, strict=True) if len(unasked) == count else ()
        return [with_it - without for with_it, without in pairs]
    if "token" in rule:
        sizes = [len(as_list(tokens)) for tokens in as_list(said.get("output_tokens"))[:count]]
    elif "character" in rule:
        sizes = [len(choice) - ("first space" in rule and choice.startswith(" ")) for choice in choices]
    else:
        return asked
    whole = len(sizes) == count and all(sizes)
    return [score / size for score, size in zip(asked, sizes, strict=True)] if whole else []


def _numbers(values: Any) -> list[float]:
    """A list of numbers; none if any of them is something else."""
    listed = as_list(values)
    return [float(value) for value in listed] if all(isinstance(value, int | float) for value in listed) else []


def _prompt(given: Any) -> str | None:
    if isinstance(given, list):
        turns = [text for turn in given if (text := text_of(turn.get("content") if isinstance(turn, dict) else turn))]
        return turns[-1] if turns else None
    return given if isinstance(given, str) else None
