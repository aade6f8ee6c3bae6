"""Every Eval Ever: the instance-level JSON lines of the shared schema, which has converters from many harnesses.

    {"evaluation_id": "e", "model_id": "m", "evaluation_name": "simpleqa", "evaluation_result_id": "exact_match",
     "sample_id": "q1", "input": {"raw": "...", "reference": ["Lima"]}, "output": {"raw": ["Lima"]},
     "evaluation": {"score": 1.0, "is_correct": true}, "metadata": {"confidence": "0.8"}}

A sample has a row for each metric, of which one counts. The schema has no field for abstentions or confidence; both
may stand in `metadata`, whose values are texts. `is_correct` is as good as the converter (0.3.0): that from Inspect
says true of any score above 0, and copies the mean of several epochs to each of them; that from HELM says false of any
metric it does not know, that from lm-eval says false where no metric is a number. So a score that contradicts it is
told of, and the answers of such epochs, and of lm-eval without a metric, are graded here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from abstain.evals.files import Report, json_lines, parse_json
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
from abstain.evals.logs.grades import ABSTAINED, NONE, PARTIAL, UNGRADED
from abstain.evals.logs.helm import METRICS as HELM_METRICS
from abstain.evals.logs.lm_eval import METRICS as LM_EVAL_METRICS
from abstain.evals.tasks.columns import answers_of
from abstain.rewards.errors import nearest

NAME = "Every Eval Ever instances"
_KEYS = {"evaluation_id", "sample_id", "evaluation"}
_VERDICTS = ("verdict", "grade")
_LM_EVAL = "lm_eval_metrics"
_RANKS = {name: rank for rank, name in enumerate(dict.fromkeys((*HELM_METRICS, *LM_EVAL_METRICS)))}
Sample = tuple[str, str, str, str]
"""Model, task, id and epoch."""


def is_row(row: Any) -> bool:
    """Whether an object is one of this format's rows."""
    return isinstance(row, dict) and set(row) >= _KEYS


def read(path: Path, options: Options, problems: Problems) -> Iterator[Batch]:
    """The rows of an instance-level file.

    Raises:
        ValueError: no row has the metric that the user chose.
    """
    return batches(path, "line", _Instances(path, options, problems).entries())


@dataclass(frozen=True)
class _Instances:
    """A file that is being read."""

    path: Path
    options: Options
    problems: Problems
    metrics: dict[Sample, str] = field(default_factory=dict)

    def entries(self) -> Iterator[Entry]:
        """Each sample as an entry."""
        names: dict[str, None] = {}
        others: dict[str, dict[str, None]] = {}
        for _, row in self._rows(lambda *_: None):
            if is_row(row) and (sample := _sample(row)):
                metric = _metric(row)
                self.metrics[sample] = min(self.metrics.get(sample, metric), metric, key=self._rank)
                names[metric] = None
        wanted = self.options.metric
        if wanted and any(names) and not any(self._is_wanted(name) for name in names):
            raise ValueError(f"{self.path}: no metric {wanted!r}. {nearest(wanted, filter(None, names))}")
        for number, row in self._rows(self.problems.add):
            if not is_row(row):
                lacks = ", ".join(sorted(_KEYS - set(row)))
                self.problems.add(self.path, "not an instance", f"{self._at(number)}: not an instance: lacks {lacks}")
                continue
            metric, sample = _metric(row), _sample(row)
            if sample is None:
                self._tell(number, "no id", "no sample_id and no sample_hash; a question of its own")
            chosen = self.metrics[sample] if sample else metric
            if metric == chosen:
                yield self._entry(number, row, sample)
            else:
                others.setdefault(chosen, {})[metric] = None
        for chosen, rest in others.items():
            self.problems.note(self.path, f"graded by {printable(chosen)}, not by {printable(', '.join(rest))}")

    def _rows(self, report: Report) -> Iterator[tuple[int, dict[str, Any]]]:
        for numbers, rows in json_lines(self.path, report):
            yield from zip(numbers, rows, strict=True)

    def _rank(self, metric: str) -> tuple[bool, int]:
        """The user's metric first, then those that say right or wrong, then whichever comes first."""
        return not self._is_wanted(metric), _RANKS.get(metric.partition(":")[0], len(_RANKS))

    def _is_wanted(self, metric: str) -> bool:
        wanted = self.options.metric
        return wanted is not None and (metric == wanted or metric.startswith(f"{wanted}:"))

    def _at(self, number: int) -> str:
        return f"{self.path}:{number}"

    def _tell(self, number: int, kind: str, message: str) -> None:
        self.problems.add(self.path, kind, f"{self._at(number)}: {message}", lost=False)

    def _entry(self, number: int, row: dict[str, Any], sample: Sample | None) -> Entry:
        about, asked = as_dict(row.get("metadata")), as_dict(row.get("input"))
        entry = Entry(
            number,
            sample[2] if sample else None,
            str(row.get("model_id") or ""),
            str(row.get("evaluation_name") or ""),
            self._grade(number, row, about),
        )
        entry.repeat = int(sample[3]) - 1 if sample and sample[3] else 0
        raw = asked.get("raw")
        entry.question = raw if isinstance(raw, str) else last_text(row.get("messages"), "user")
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

    def _grade(self, number: int, row: dict[str, Any], about: dict[str, Any]) -> int:
        if row.get("error"):
            self._tell(number, "error", "ended in an error; counted as ungraded")
            return UNGRADED
        if str(about.get("abstained")).strip().lower() in ("true", "1", "yes"):
            return ABSTAINED
        lm_eval = None if self.options.metric else _lm_eval_verdict(about)
        verdict = next((about[key] for key in _VERDICTS if key in about), lm_eval)
        result, read = as_dict(row["evaluation"]), self._read
        if verdict is not None:
            return read(number, verdict)
        if about.get(_LM_EVAL) and row.get("evaluation_result_id") is None:
            return NONE
        if self.options.metric and _metric(row) and not self._is_wanted(_metric(row)):
            self._tell(number, "no such metric", f"no metric {self.options.metric!r} for this sample")
            return NONE
        if self.options.pass_mark is not None or result.get("is_correct") is None:
            return read(number, result.get("score"))
        right, score = result["is_correct"], result.get("score")
        told, partial = printable(str(score), 12), isinstance(score, int | float) and 0 < score < 1
        if partial and "epoch" in about:
            self._tell(
                number, "mean of epochs", f"Inspect's score of {told}: of several epochs, or partial; graded here"
            )
            return NONE
        if right is True and isinstance(score, int | float) and score < 1:
            self._tell(number, "partly right", f"is_correct, with a score of {told}; taken as right")
        elif right is False and score == 1:
            self._tell(number, "score 1", "a score of 1, but is_correct is false; taken as not right")
        return PARTIAL if partial and right is False else read(number, right)

    def _read(self, number: int, value: Any) -> int:
        if value is None:
            self._tell(number, "no grade", "neither is_correct nor score")
            return NONE
        return grade_of(value, self.path, self._at(number), self.options, self.problems)


def _metric(row: dict[str, Any]) -> str:
    return str(row.get("evaluation_result_id") or "")


def _sample(row: dict[str, Any]) -> Sample | None:
    """What tells a sample from others; `None` if it has neither id nor hash."""
    name = next((str(row[key]) for key in ("sample_id", "sample_hash") if row.get(key) not in (None, "")), None)
    epoch = str(as_dict(row.get("metadata")).get("epoch"))
    epoch = epoch if len(epoch) < 5 and epoch.isdecimal() and epoch != "0" else ""
    return None if name is None else (str(row.get("model_id")), str(row.get("evaluation_name")), name, epoch)


def _lm_eval_verdict(about: dict[str, Any]) -> Any:
    """The verdict of one of abstain's tasks for lm-eval, which no score can say."""
    metrics = about.get(_LM_EVAL)
    if not isinstance(metrics, str) or '"verdict"' not in metrics:
        return None
    return as_dict(parse_json(metrics.encode("utf-8", "replace"))[0]).get("verdict")


def _gold(asked: dict[str, Any]) -> list[str] | None:
    """The references; the number of a choice also as what it stands for, and lm-eval's text of a list as a list."""
    given, choices = asked.get("reference"), asked.get("choices")
    golds = [str(one) for one in (given if isinstance(given, list) else [given]) if one is not None]
    if len(golds) == 1:
        golds = _unpacked(golds[0])
    if isinstance(choices, list):
        golds = [str(choices[int(g)]) if len(g) < 5 and g.isdecimal() and int(g) < len(choices) else g for g in golds]
    return golds or None


def _unpacked(gold: str) -> list[str]:
    try:
        return list(answers_of(gold))
    except ValueError:
        return [gold]
