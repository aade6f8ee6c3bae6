"""Runs: what one model did on one task, as columns of a million rows; pooled over tasks, and written as records."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, islice
from os import SEEK_END
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from abstain.evals.logs.grades import ABSTAINED, INCORRECT, VERDICTS
from abstain.evals.logs.summaries import Summary
from abstain.evals.logs.survey import MOST_REPEATS
from abstain.evals.records import whole_file
from abstain.evals.rescore.grading import Grading
from abstain.evals.rescore.judging import Judged

FEW = 0.5  # with confidence in fewer of the attempted answers than this, a run is said to have none


@dataclass
class Spool:
    """The texts of rows, kept on disk until the verdicts are final; `ends` tells where each begins and ends."""

    file: IO[bytes]
    ends: "array[int]" = field(default_factory=lambda: array("q", [0]))

    def add(self, lines: Sequence[bytes]) -> None:
        """Append rows."""
        self.file.seek(0, SEEK_END)
        self.file.writelines(lines)
        self.ends.extend(islice(accumulate(map(len, lines), initial=self.ends[-1]), 1, None))

    def read(self, rows: np.ndarray) -> Iterator[bytes]:
        """Some of the rows, by number."""
        for row in rows.tolist():
            self.file.seek(self.ends[row])
            yield self.file.read(self.ends[row + 1] - self.ends[row])


COLUMNS = ("verdict", "confidence", "target", "question", "repeat", "rows", "doubts")
"""What a run holds for each answer."""


@dataclass
class Run:
    """What a model did on a task, one row for each answer; what changes it makes another one (`dataclasses.replace`).

    Args:
        model, task: names; "" if the log does not say.
        source: the log.
        format: the log's format.
        verdict: places in `abstain.evals.logs.grades.VERDICTS`.
        confidence: in [0, 1], NaN if unknown.
        target: confidence target that the prompt stated, NaN if none.
        question: number of the question's id, the same in all runs.
        repeat: which of several answers to a question.
        rows: numbers of the rows in the spool.
        doubts: flags of `abstain.evals.metrics.readings.doubts`; 0 where the log has the grade.
        grading: how answers without a grade were graded.
        kind: where the confidence comes from, a key of `abstain.evals.logs.batch.CONFIDENCE`.
        summary: the shares, where the log is a table of them and there are no rows.
        label: what tables call the model.
        spool: the texts of the rows, if they were kept.
        judged: what a judge graded of it.
        parts: the runs that were pooled into this one.
    """

    model: str
    task: str
    source: Path
    format: str
    verdict: np.ndarray
    confidence: np.ndarray
    target: np.ndarray
    question: np.ndarray
    repeat: np.ndarray
    rows: np.ndarray
    doubts: np.ndarray
    grading: Grading = field(default_factory=Grading)
    kind: str = "log"
    summary: Summary | None = None
    label: str = ""
    spool: Spool | None = None
    judged: Judged | None = None
    parts: list["Run"] = field(default_factory=list)

    @cached_property
    def questions(self) -> int:
        """How many there are."""
        return 1 + int(np.count_nonzero(np.diff(np.sort(self.question)))) if len(self.question) else 0

    @cached_property
    def level(self) -> int:
        """What the log permits: 1 grades, 2 grades and confidence, 3 targets that the prompts stated."""
        if self.summary:
            return 1
        if len(self.target) and not np.isnan(self.target).all():
            return 3
        return 2 if self.confidence_share >= FEW else 1

    @cached_property
    def confidence_share(self) -> float:
        """The share of the attempted answers whose confidence is known."""
        tried = self.verdict <= INCORRECT
        known = np.count_nonzero(tried & ~np.isnan(self.confidence))
        return float(known / np.count_nonzero(tried)) if known else 0.0

    @property
    def targets(self) -> list[float]:
        """The targets that the prompts stated."""
        return np.unique(self.target[~np.isnan(self.target)]).tolist()

    @property
    def repeated(self) -> bool:
        """Whether questions were asked several times."""
        return bool(len(self.repeat)) and int(self.repeat.max()) > 0

    def counts(self) -> np.ndarray:
        """How many rows have each verdict."""
        return np.array([np.count_nonzero(self.verdict == code) for code in range(len(VERDICTS))])

    def pick(self, rows: np.ndarray) -> "Run":
        """The same run with some of its rows."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    def at(self, target: float) -> "Run":
        """The rows that count at a target: those that state it, or all if no prompt states any."""
        return self.pick(np.flatnonzero(self.target == target)) if self.level == 3 else self

    def thresholded(self, target: float) -> "Run":
        """The same answers, given only where the confidence exceeds t; an unknown confidence changes nothing."""
        unsure = (self.verdict <= INCORRECT) & (self.confidence <= target)
        return replace(self, verdict=np.where(unsure, ABSTAINED, self.verdict).astype(np.int8))


def duplicates(run: Run) -> np.ndarray:
    """Which rows repeat an earlier one's question, target and number of repeat."""
    if run.questions == len(run.question):  # told much faster than by the next lines
        return np.zeros(len(run.question), dtype=bool)
    _, first = np.unique(_asked(run).astype(np.int64) * 2**15 + run.repeat, return_index=True)
    doubled = np.ones(len(run.repeat), dtype=bool)
    doubled[first] = False
    return doubled


def as_repeats(run: Run) -> np.ndarray | None:
    """Numbers of repeats, if every question stands there equally often (and more than once) at each target."""
    asked = _asked(run)
    counts = np.bincount(asked)
    if len(counts) < 2 or not 2 <= counts[0] <= MOST_REPEATS or (counts != counts[0]).any():
        return None
    return _numbered(asked, np.arange(len(asked)))


def repeat_numbers(run: Run) -> np.ndarray:
    """The numbers of repeats counted from 0 for each question and target, in their order."""
    repeated = len(run.repeat) and run.repeat.max() > 0
    return _numbered(_asked(run), run.repeat) if repeated else run.repeat


def self_consistency(run: Run, answers: np.ndarray) -> np.ndarray:
    """For each row, the share of its question's repeats that give the same answer; NaN for a question asked once.

    Args:
        run: the rows.
        answers: a number for each row, the same for the same answer.
    """
    asked = _asked(run)
    _, said = np.unique(answers, return_inverse=True)
    _, same = np.unique(asked.astype(np.int64) * (int(said.max(initial=0)) + 1) + said, return_inverse=True)
    of, agree = np.bincount(asked)[asked], np.bincount(same)[same]
    return np.where(of > 1, agree / of, np.nan)


def _asked(run: Run) -> np.ndarray:
    """A number for each question and target."""
    targets, target = np.unique(np.nan_to_num(run.target, nan=-1.0), return_inverse=True)
    question = np.unique(run.question, return_inverse=True)[1]
    return np.unique(question * len(targets) + target, return_inverse=True)[1]


def _numbered(group: np.ndarray, order_by: np.ndarray) -> np.ndarray:
    """Each row's number within its group."""
    order = np.lexsort((order_by, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    numbers = np.empty(len(group), dtype=np.int16)
    numbers[order] = np.arange(len(group)) - np.repeat(starts, np.diff(starts, append=len(group)))
    return numbers


def pool_runs(runs: Sequence[Run]) -> list[Run]:
    """One run for each model and level, with the questions of all its tasks, such as MMLU's 57 subjects.

    Tables of results stay as they are.

    Args:
        runs: of any models and tasks.
    """
    tasks = {task: number for number, task in enumerate(dict.fromkeys(run.task for run in runs))}
    groups: dict[tuple[str, int], list[Run]] = {}
    for run in runs:
        if run.summary is None:
            groups.setdefault((run.model or run.source.stem, run.level), []).append(run)
    numbers = np.unique(np.concatenate([run.question for run in runs]))
    pooled = [_joined(group, tasks, numbers) if len(group) > 1 else group[0] for group in groups.values()]
    names = {len(run.parts) for run in pooled}
    together = [replace(run, task=f"{len(tasks)} tasks") for run in pooled] if max(names, default=0) > 1 else pooled
    return [*together, *(run for run in runs if run.summary)]


def _joined(runs: Sequence[Run], tasks: dict[str, int], numbers: np.ndarray) -> Run:
    """Questions of different tasks may have the same id, so the task becomes part of it.

    Args:
        runs: of one model.
        tasks: their numbers.
        numbers: of the questions of all models, in order.
    """
    names = ("verdict", "confidence", "target", "repeat", "doubts")
    columns = {name: np.concatenate([getattr(run, name) for run in runs]) for name in names}
    places = [np.searchsorted(numbers, run.question) + (tasks[run.task] << 32) for run in runs]
    columns["question"] = np.concatenate(places)
    columns["rows"] = np.arange(len(columns["verdict"]))
    judged = [run.judged for run in runs if run.judged]
    together = Judged.joined(judged) if judged else None
    return replace(runs[0], **columns, spool=None, judged=together, parts=list(runs))  # type: ignore[arg-type]


def write_run(path: Path, run: Run) -> None:
    """Write a run's rows as `records.jsonl`, all or nothing; a pooled run's are those of its parts.

    They are written as they come, since there may be more of them than memory holds. The target of a row is null where
    its prompt stated none.

    Raises:
        ValueError: the texts were not kept.
    """
    with whole_file(path) as file:
        for part in run.parts or [run]:
            for record in records(part):
                file.write(orjson.dumps(record, default=str) + b"\n")


def records(run: Run) -> Iterator[dict[str, Any]]:
    """A run's rows, with the fields of `abstain.evals.records.Record`; a repeated answer has its number in its id."""
    if run.spool is None:
        raise ValueError(f"{run.source}: its texts were not kept")
    columns = zip(run.verdict.tolist(), run.confidence.tolist(), run.target.tolist(), run.repeat.tolist(), strict=True)
    for line, (verdict, confidence, target, repeat) in zip(run.spool.read(run.rows), columns, strict=True):
        row = orjson.loads(line)
        completion = row["completion"] if isinstance(row["completion"], str) else ""
        yield {
            "id": f"{row['id']}#{repeat + 1}" if repeat else row["id"],
            "task": run.task,
            "question": _text(row["question"]),
            "gold": _listed(row["gold"]),
            "target": _known(target),
            "prompt": _text(row["prompt"]),
            "completion": completion,
            "answer": run.grading.read(completion).answer if completion else "",
            "verdict": VERDICTS[verdict],
            "confidence": _known(confidence),
        }


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _listed(gold: Any) -> list[str]:
    return [str(answer) for answer in (gold if isinstance(gold, list) else [gold]) if answer is not None]


def _known(number: float) -> float | None:
    return None if number != number else number
