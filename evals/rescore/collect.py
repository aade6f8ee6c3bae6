"""From logs to runs: rows are graded as they come, and what must be known of all of them is settled at the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import orjson
import pyarrow as pa  # type: ignore[import-untyped]

from abstain.evals.logs.batch import KINDS, TEXTS, Batch, Options, Problems, place_name, printable
from abstain.evals.logs.detect import open_log
from abstain.evals.logs.numbers import Numbers, as_probabilities, as_targets
from abstain.evals.logs.summaries import Summary
from abstain.evals.rescore.grading import CODES, Grading, Tally, answer_key, confidences, verdicts
from abstain.evals.rescore.judging import Judging
from abstain.evals.rescore.runs import COLUMNS, Run, Spool, as_repeats, duplicates, repeat_numbers, self_consistency
from abstain.rewards.judge.grader import Case

_SHORT = 7  # bytes of an id that is its own number
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Numbering(dict[Any, int]):
    """Numbers for keys, given out in order of appearance."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


@dataclass
class Questions:
    """Numbers for the ids of questions, the same in all logs; a row without an id is a question of its own.

    An id of up to seven bytes is its own number, with its length as the eighth; a longer one has a hash of 62 bits.
    Among a million ids, two are taken for one in one log of ten million.
    """

    nameless: int = 0

    def number(self, ids: pa.Array) -> np.ndarray:
        """A number for each id, below 0 where there is none."""
        _, ends, data = ids.buffers()
        offsets = np.frombuffer(ends, dtype=np.int32)[ids.offset : ids.offset + len(ids) + 1]
        lengths = np.where(ids.is_null().to_numpy(zero_copy_only=False), 0, np.diff(offsets))
        padded = np.append(np.frombuffer(data or b"", dtype=np.uint8), np.zeros(8, dtype=np.uint8))
        words = np.lib.stride_tricks.sliding_window_view(padded, 8)
        short = np.minimum(lengths, _SHORT).astype(np.uint64)
        numbers = _word(words, offsets[:-1], short) | (short << np.uint64(8 * _SHORT))
        long = np.flatnonzero(lengths > _SHORT)
        numbers[long] = _hashes(words, offsets[long], lengths[long]) >> np.uint64(2) | np.uint64(1 << 62)
        numbers = numbers.view(np.int64)
        missing = np.flatnonzero(lengths == 0)
        numbers[missing] = -1 - np.arange(self.nameless, self.nameless + len(missing))
        self.nameless += len(missing)
        return numbers


def _word(words: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The first bytes of texts as numbers, eight at most."""
    used = np.minimum(lengths, 8).astype(np.uint64)
    masks = np.array([(1 << 8 * length) - 1 for length in range(9)], dtype=np.uint64)
    return words[starts].view(np.uint64).ravel() & masks[used]


def _hashes(words: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """A hash of each text, eight bytes at a time: multiplied by an odd number, and the high bits folded down."""
    found = lengths.astype(np.uint64)
    rows, done = np.arange(len(starts)), 0
    while len(rows):
        mixed = (found[rows] ^ _word(words, starts[rows] + done, lengths[rows] - done)) * _ODD
        found[rows] = mixed ^ (mixed >> np.uint64(32))
        done += 8
        rows = rows[lengths[rows] > done]
    last = found * _ODD
    return last ^ (last >> np.uint64(29))


@dataclass
class Collector:
    """Reads logs.

    Args:
        options: how to read; what reports progress is called again as rows are graded.
        grading: how to grade what has no grade.
        keep_texts: keep questions and answers, for records.
        judging: grades by a language model instead.
    """

    options: Options = field(default_factory=Options)
    grading: Grading = field(default_factory=Grading)
    keep_texts: bool = False
    judging: Judging | None = None
    problems: Problems = field(default_factory=Problems)
    questions: Questions = field(default_factory=Questions)

    def read(self, path: Path) -> list[Run]:
        """The runs in one log.

        Raises:
            ValueError: it is no log, or holds no rows.
        """
        options = replace(self.options, texts=self.keep_texts or self.grading.regrade)
        name, batches = open_log(path, options, self.problems)
        file = _File(path, name, Spool(TemporaryFile()) if self.keep_texts else None)  # noqa: SIM115
        runs = []
        for batch in batches:
            if isinstance(batch, Summary):
                runs.append(_summary_run(batch, path, name))
            else:
                self._add(file, batch)
                if options.progress:
                    options.progress(path, file.size)
        runs += self._settle(file)
        if not runs:
            here = [problem for problem in self.problems.found.values() if problem.file == str(path)]
            why = "; ".join(["", *[str(problem) for problem in here if problem.lost][:3]])
            raise ValueError(f"{path}: {name}, but without any row that can be read{why}")
        return runs

    def _add(self, file: "_File", batch: Batch) -> None:
        file.unit, file.line_of = batch.unit, batch.line_of
        confidence, kind = confidences(batch, self.grading)
        cases: dict[int, tuple[Case, str]] | None = {} if self.judging else None
        codes, flags = verdicts(batch, self.grading, file.tally, self.problems, cases)
        file.cases |= {file.size + row: case for row, case in (cases or {}).items()}
        part = {
            "verdict": codes,
            "doubts": flags,
            "run": np.array([file.names[name] for name in batch.names], dtype=np.int32)[batch.name],
            "place": batch.place,
            "kind": kind,
            "repeat": np.zeros(len(batch), dtype=np.int16) if batch.repeat is None else batch.repeat,
            "answer": _answers(batch, self.grading),
        }
        file.size += len(batch)
        file.answered = file.answered or (batch.repeat is not None and "completion" in batch.texts)
        for name, column in part.items():
            file.parts.setdefault(name, []).append(column)
        file.ids.append(batch.id)
        file.confidence.append(confidence)
        file.target.append(batch.target)
        if file.spool:
            file.spool.add(_spooled(batch))

    def _settle(self, file: "_File") -> list[Run]:
        """Settle what all rows decide together, and part them by model and task."""
        if not file.size:
            return []
        columns = {name: np.concatenate(p) if len(p) > 1 else p[0] for name, p in file.parts.items()}
        file.parts.clear()
        columns["question"] = self._number(file)
        columns["confidence"] = self._probabilities(file, columns)
        columns["target"], bad = as_targets(Numbers.joined(file.target))
        self._tell(file, columns, bad, "target", "a stated target must be in [0, 1)")
        self._remark(file)
        names = [(printable(model), printable(task)) for model, task in file.names]
        runs = []
        for number, name in enumerate(names):
            rows = np.flatnonzero(columns["run"] == number)
            own = {key: column[rows] for key, column in columns.items()} if len(names) > 1 else columns
            runs.append(self._run(file, name, own | {"rows": rows}))
        return runs

    def _number(self, file: "_File") -> np.ndarray:
        before = self.questions.nameless
        numbers = self.questions.number(pa.concat_arrays(file.ids))
        file.ids.clear()
        if nameless := self.questions.nameless - before:
            self.problems.note(file.path, f"rows without an id, each taken for a question of its own: {nameless:,}")
        return numbers

    def _probabilities(self, file: "_File", columns: Mapping[str, np.ndarray]) -> np.ndarray:
        """Confidence in [0, 1], of each model by its own scale."""
        raw = Numbers.joined(file.confidence)
        file.confidence.clear()
        models = Numbering()
        of_run = np.array([models[model] for model, _ in file.names])
        whose = of_run[columns["run"]] if len(models) > 1 else np.zeros(len(raw), dtype=np.int64)
        found, bad = np.empty(len(raw)), np.zeros(len(raw), dtype=bool)
        percent = []
        for model, number in models.items():
            rows = np.flatnonzero(whose == number) if len(models) > 1 else slice(None)
            found[rows], bad[rows], whole = as_probabilities(raw.pick(rows))
            percent += [printable(model)] * whole
        self._tell(file, columns, bad, "confidence", "confidence is not a probability; it is left out")
        if percent:
            whom = f" of {', '.join(percent)}" if len(percent) < len(models) else ""
            self.problems.note(file.path, f"confidence{whom} is read as percentages")
        return found

    def _tell(self, file: "_File", columns: Mapping[str, np.ndarray], bad: np.ndarray, kind: str, why: str) -> None:
        if bad.any():
            where = file.where(columns["place"][bad.argmax()])
            self.problems.add(file.path, kind, f"{where}: {why}", lost=False, count=int(bad.sum()))

    def _remark(self, file: "_File") -> None:
        tally = file.tally
        graders = [f"`{grader}`" for grader in tally.regraded]
        by = f"the judge {self.judging.judge.model}" if self.judging else " and ".join(graders)
        again = "graded again" if self.grading.regrade else "without a grade, graded here"
        remarks = {
            f"{again} by {by}": tally.regraded.total(),
            "graded not right, but offering no answer, so abstained": tally.abstained,
            "graded not right, with no text that would tell wrong from abstained, so wrong": tally.blind,
            "graded with partial credit, so not right": tally.partial,
        }
        for remark, count in remarks.items():
            if count:
                self.problems.note(file.path, f"answers {remark}: {count:,}")

    def _run(self, file: "_File", name: tuple[str, str], columns: Mapping[str, np.ndarray]) -> Run:
        kinds = np.bincount(columns["kind"][~np.isnan(columns["confidence"])], minlength=len(KINDS))
        picked = {key: columns[key] for key in COLUMNS}
        about = {"kind": KINDS[int(kinds.argmax())], "spool": file.spool, "grading": self.grading}
        run = Run(name[0], name[1], file.path, file.name, **picked, **about)  # type: ignore[arg-type]
        answers, places = columns["answer"], columns["place"]
        doubled = duplicates(run)
        if doubled.any() and (numbers := as_repeats(run)) is not None:
            run, doubled = replace(run, repeat=numbers), np.zeros(len(doubled), dtype=bool)
            times = int(numbers.max()) + 1
            self.problems.note(file.path, f"every id stands there {times} times: read as repeated answers")
        if doubled.any():
            first = file.where(places[doubled.argmax()])
            why = f"{first}: the same question (and target) as an earlier row; the earlier one counts"
            self.problems.add(file.path, "duplicate", why, count=int(doubled.sum()))
            run, answers, places = run.pick(~doubled), answers[~doubled], places[~doubled]
        run = replace(run, repeat=repeat_numbers(run))
        if run.repeated and file.answered and np.isnan(run.confidence).all():
            run = replace(run, confidence=self_consistency(run, answers), kind="agreement")
        if run.level == 3 and (unstated := np.isnan(run.target)).any():
            first = file.where(places[unstated.argmax()])
            why = f"{first}: states no target, unlike other rows; left out"
            self.problems.add(file.path, "no target", why, count=int(unstated.sum()))
            run = run.pick(~unstated)
        return self._judged(file, run) if self.judging and file.cases else run

    def _judged(self, file: "_File", run: Run) -> Run:
        rows = [row for row in run.rows.tolist() if row in file.cases]
        if not self.judging or not rows:
            return run
        judged, verdict = self.judging([file.cases[row] for row in rows]), run.verdict.copy()
        verdict[np.isin(run.rows, rows)] = [CODES[one] for one in judged.verdicts]
        return replace(run, verdict=verdict, judged=judged)


@dataclass
class _File:
    """A log that is being read."""

    path: Path
    name: str
    spool: Spool | None
    unit: str = "line"
    line_of: Callable[[int], int] | None = None
    size: int = 0
    answered: bool = False
    tally: Tally = field(default_factory=Tally)
    names: Numbering = field(default_factory=Numbering)
    parts: dict[str, list[np.ndarray]] = field(default_factory=dict)
    ids: list[pa.Array] = field(default_factory=list)
    confidence: list[Numbers] = field(default_factory=list)
    target: list[Numbers] = field(default_factory=list)
    cases: dict[int, tuple[Case, str]] = field(default_factory=dict)

    def where(self, place: int) -> str:
        """Where a row stands, for people."""
        return place_name(self.path, self.unit, int(place), self.line_of)


def _answers(batch: Batch, grading: Grading) -> np.ndarray:
    """A number for each row's answer, where questions were asked several times."""
    if batch.repeat is None or "completion" not in batch.texts:
        return np.zeros(len(batch), dtype=np.int64)
    texts = batch.at("completion", np.arange(len(batch)))
    return np.array([hash(answer_key(grading.read(t))) if isinstance(t, str) else 0 for t in texts], dtype=np.int64)


def _spooled(batch: Batch) -> list[bytes]:
    rows = np.arange(len(batch))
    texts = {"id": batch.id.to_pylist()} | {name: batch.at(name, rows) for name in TEXTS}
    each = (dict(zip(texts, values, strict=True)) for values in zip(*texts.values(), strict=True))
    return [_as_json(row) for row in each]


def _as_json(row: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(row, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # a whole number of more than 64 bits, or half a character
        texts = ((name, value if value is None else str(value)) for name, value in row.items())
        return orjson.dumps({name: text and text.encode("utf-8", "replace").decode() for name, text in texts})


def _summary_run(summary: Summary, path: Path, name: str) -> Run:
    whole, real = np.empty(0, dtype=np.int32), np.empty(0)
    names = printable(summary.model), printable(summary.task)
    return Run(*names, path, name, whole, real, real, whole, whole, whole, whole, summary=summary)
