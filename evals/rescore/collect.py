"""From logs to runs: rows are graded as they come, and what must be known of all of them is settled at the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import orjson

from abstain.evals.logs.batch import CONFIDENCE, Batch, Options, Problems, place_name, printable
from abstain.evals.logs.detect import open_log
from abstain.evals.logs.plain import Summary
from abstain.evals.rescore.grading import Grading, Tally, answer_key, confidences, verdicts
from abstain.evals.rescore.runs import COLUMNS, Run, Spool, as_repeats, duplicates, repeat_numbers, self_consistency

BAD = -np.inf
"""A confidence or target that is no number; told from NaN, which is one that the log does not have."""
_KINDS = tuple(CONFIDENCE)
_TEXTS = ("question", "gold", "prompt", "completion")


class Numbering(dict[Any, int]):
    """Numbers for keys, given out in order of appearance."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


@dataclass
class Collector:
    """Reads logs.

    Args:
        options: how to read.
        grading: how to grade what has no grade.
        keep_texts: keep questions and answers, for records.
        progress: called with the file and the number of rows read so far.
    """

    options: Options = field(default_factory=Options)
    grading: Grading = field(default_factory=Grading)
    keep_texts: bool = False
    progress: Callable[[Path, int], None] | None = None
    problems: Problems = field(default_factory=Problems)
    ids: Numbering = field(default_factory=Numbering)

    def read(self, path: Path) -> list[Run]:
        """The runs in one log.

        Raises:
            ValueError: it is no log, or holds no rows.
        """
        name, batches = open_log(path, self.options, self.problems)
        file = _File(path, name, Spool(TemporaryFile()) if self.keep_texts else None)  # noqa: SIM115
        runs = []
        for batch in batches:
            if isinstance(batch, Summary):
                runs.append(_summary_run(batch, path, name))
            else:
                self._add(file, batch)
                if self.progress:
                    self.progress(path, file.size)
        runs += self._settle(file)
        if not runs:
            here = [problem for problem in self.problems.found.values() if problem.file == str(path)]
            why = "; ".join(["", *[str(problem) for problem in here if problem.lost][:3]])
            raise ValueError(f"{path}: {name}, but without any row that can be read{why}")
        return runs

    def _add(self, file: "_File", batch: Batch) -> None:
        columns = batch.columns
        names = zip(columns["model"], columns["task"], strict=True)
        file.unit = batch.unit
        values, kinds = confidences(batch, self.grading)
        codes, flags = verdicts(batch, self.grading, file.tally, self.problems)
        part = {
            "verdict": codes,
            "doubts": flags,
            "run": np.array(list(map(file.names.__getitem__, names)), dtype=np.int32),
            "question": np.array(list(map(self.ids.__getitem__, columns["id"])), dtype=np.int32),
            "place": np.array(columns["place"], dtype=np.int64),
            "confidence": to_numbers(values) if values else np.full(len(batch), np.nan),
            "kind": np.array([_KINDS.index(kind) for kind in kinds] if values else [0] * len(batch), dtype=np.int8),
            "target": to_numbers(targets) if (targets := batch.get("target")) else np.full(len(batch), np.nan),
            "repeat": np.array(batch.get("repeat") or [0] * len(batch), dtype=np.int16),
            "answer": _answers(batch, self.grading),
        }
        file.size += len(batch)
        file.answered = file.answered or bool(batch.get("repeat") and batch.get("completion"))
        for name, column in part.items():
            file.parts.setdefault(name, []).append(column)
        if file.spool:
            file.spool.add(_spooled(batch))

    def _settle(self, file: "_File") -> list[Run]:
        """Settle what all rows decide together, and part them by model and task."""
        if not file.size:
            return []
        columns = {name: np.concatenate(parts) for name, parts in file.parts.items()}
        file.parts.clear()
        columns["confidence"], bad, percent = as_probabilities(columns["confidence"])
        self._tell(file, columns, bad, "confidence", "confidence is not a probability; it is left out")
        if percent:
            self.problems.note(file.path, "confidence is read as percentages")
        columns["target"], bad = as_targets(columns["target"])
        self._tell(file, columns, bad, "target", "a stated target must be in [0, 1)")
        self._remark(file)
        names = [(printable(model), printable(task)) for model, task in file.names]
        parts = ((name, np.flatnonzero(columns["run"] == number)) for number, name in enumerate(names))
        return [self._run(file, name, rows, columns) for name, rows in parts]

    def _tell(self, file: "_File", columns: Mapping[str, np.ndarray], bad: np.ndarray, kind: str, why: str) -> None:
        if bad.any():
            where = place_name(file.path, file.unit, int(columns["place"][bad.argmax()]))
            self.problems.add(file.path, kind, f"{where}: {why}", lost=False, count=int(bad.sum()))

    def _remark(self, file: "_File") -> None:
        tally = file.tally
        again = "graded again" if self.grading.regrade else "without a grade, graded here"
        remarks = {
            f"{again} by `{self.grading.grader}`": tally.regraded,
            "graded not right, but offering no answer, so abstained": tally.abstained,
            "graded not right, with no text that would tell wrong from abstained, so wrong": tally.blind,
            "graded with partial credit, so not right": tally.partial,
        }
        for remark, count in remarks.items():
            if count:
                self.problems.note(file.path, f"answers {remark}: {count:,}")

    def _run(self, file: "_File", name: tuple[str, str], rows: np.ndarray, columns: Mapping[str, np.ndarray]) -> Run:
        kinds = np.bincount(columns["kind"][rows][~np.isnan(columns["confidence"][rows])], minlength=len(_KINDS))
        picked = {key: columns[key][rows] for key in COLUMNS if key != "rows"}
        about = {"kind": _KINDS[int(kinds.argmax())], "spool": file.spool, "grading": self.grading}
        run = Run(name[0], name[1], file.path, file.name, rows=rows, **picked, **about)  # type: ignore[arg-type]
        answers, places = columns["answer"][rows], columns["place"][rows]
        doubled = duplicates(run)
        if doubled.any() and (numbers := as_repeats(run)) is not None:
            run.repeat, doubled = numbers, np.zeros(len(rows), dtype=bool)
            times = int(numbers.max()) + 1
            self.problems.note(file.path, f"every id stands there {times} times: read as repeated answers")
        if doubled.any():
            first = place_name(file.path, file.unit, int(places[doubled.argmax()]))
            why = f"{first}: the same question (and target) as an earlier row; the earlier one counts"
            self.problems.add(file.path, "duplicate", why, count=int(doubled.sum()))
            run, answers = run.pick(~doubled), answers[~doubled]
        run.repeat = repeat_numbers(run)
        if run.repeated and file.answered and np.isnan(run.confidence).all():
            run.confidence, run.kind = self_consistency(run, answers), "agreement"
        if run.level == 3 and (unstated := np.isnan(run.target)).any():
            first = place_name(file.path, file.unit, int(places[unstated.argmax()]))
            why = f"{first}: states no target, unlike other rows; left out"
            self.problems.add(file.path, "no target", why, count=int(unstated.sum()))
            run = run.pick(~unstated)
        return run


@dataclass
class _File:
    """A log that is being read."""

    path: Path
    name: str
    spool: Spool | None
    unit: str = "line"
    size: int = 0
    answered: bool = False
    tally: Tally = field(default_factory=Tally)
    names: Numbering = field(default_factory=Numbering)
    parts: dict[str, list[np.ndarray]] = field(default_factory=dict)


def _answers(batch: Batch, grading: Grading) -> np.ndarray:
    """A number for each row's answer, where questions were asked several times."""
    texts = batch.get("completion")
    if not batch.get("repeat") or not texts:
        return np.zeros(len(batch), dtype=np.int64)
    return np.array([hash(answer_key(grading.read(t))) if isinstance(t, str) else 0 for t in texts], dtype=np.int64)


def _spooled(batch: Batch) -> list[bytes]:
    texts = {name: batch.get(name) or [None] * len(batch) for name in ("id", *_TEXTS)}
    rows = (dict(zip(texts, values, strict=True)) for values in zip(*texts.values(), strict=True))
    return [orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS) for row in rows]


def _summary_run(summary: Summary, path: Path, name: str) -> Run:
    whole, real = np.empty(0, dtype=np.int32), np.empty(0)
    names = printable(summary.model), printable(summary.task)
    return Run(*names, path, name, whole, real, real, whole, whole, whole, whole, summary=summary)


# Numbers from a stranger's log: confidence that may be a percentage, NaN, 150 % or a word; stated targets.


def to_numbers(values: Sequence[Any]) -> np.ndarray:
    """A column as floats: NaN where there is no value, `BAD` where there is one that is no number.

    "85 %" is .85; "85" stays 85 until all of the column is known.

    Example:
        >>> to_numbers([0.5, None, float("nan"), "85%", "high", "0.5"])
        array([0.5 ,  nan, -inf, 0.85, -inf, 0.5 ])
    """
    try:
        numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
    except (TypeError, ValueError, OverflowError):
        return np.array([_number(value) for value in values], dtype=float)
    if numbers.ndim > 1:  # lists of one number
        return np.array([_number(value) for value in values], dtype=float)
    missing = np.isnan(numbers)
    if missing.any():
        stated = missing & np.array([value is not None for value in values], dtype=bool)
        numbers[stated] = [_number(values[row]) for row in np.flatnonzero(stated).tolist()]
    return numbers


def _number(value: Any) -> float:
    if value is None or value == "":
        return np.nan
    text = value.strip() if isinstance(value, str) else value
    try:
        number = float(text[:-1]) / 100 if isinstance(text, str) and text.endswith("%") else float(text)
    except (TypeError, ValueError, OverflowError):
        return BAD
    return BAD if np.isnan(number) else number


def as_probabilities(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Confidence in [0, 1], from a whole column of it.

    If all numbers are whole and one of them exceeds 1, they are percentages. Otherwise each is read by itself, as in
    completions: 0 to 1 as it stands, 10 to 100 as a percentage; between 1 and 10 nobody can say.

    Args:
        raw: what `to_numbers` made of the column.

    Returns:
        Probabilities with NaN where there is none, where a number could not be read, and whether all were percentages.

    Example:
        >>> as_probabilities(np.array([0.5, 1.5, np.nan, -0.1]))
        (array([0.5, nan, nan, nan]), array([False,  True, False,  True]), False)
        >>> as_probabilities(np.array([1.0, 85.0, 150.0]))
        (array([0.01, 0.85,  nan]), array([False, False,  True]), True)
    """
    bad = ~np.isnan(raw) & ~((raw >= 0) & (raw <= 100))
    q = np.where(bad, np.nan, raw)
    known = q[~np.isnan(q)]
    percent = bool(len(known)) and known.max() > 1 and bool((known == np.floor(known)).all())
    if percent:
        return q / 100, bad, True
    unclear = (q > 1) & (q <= 10)
    q = np.where(q > 10, q / 100, q)
    q[unclear] = np.nan
    return q, bad | unclear, False


def as_targets(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Confidence targets in [0, 1), and where a number is none.

    Example:
        >>> as_targets(np.array([0.5, 1.0, np.nan]))
        (array([0.5, nan, nan]), array([False,  True, False]))
    """
    bad = ~np.isnan(raw) & ~((raw >= 0) & (raw < 1))
    return np.where(bad, np.nan, raw), bad
