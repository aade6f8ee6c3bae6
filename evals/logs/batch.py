"""What a log's rows say, whoever wrote them: the columns that all readers fill, and the problems met on the way."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
from scipy.special import softmax

from abstain.evals.logs.grades import PARTIAL, UNGRADED, read_grade
from abstain.evals.logs.numbers import Numbers, id_texts, to_numbers
from abstain.rewards.prompts import GUESS_INSTRUCTION

BATCH_ROWS = 2_000
ELLIPSIS = "…"
TARGET_KEYS = ("confidence_target", "target_confidence", "stated_target")
"""What a log that knows about targets calls the one that a prompt states."""
CONFIDENCE = {
    "log": "as the log has it",
    "choices": "softmax of the choices' log-likelihoods",
    "stated": "stated in the answer",
    "agreement": "share of the repeated answers that agree",
}
"""Where confidence may come from."""
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_STATED = re.compile(
    r"if you are (?:>|more than|at least|over)\s{0,2}(\d{1,3}(?:\.\d{1,9})?|\.\d{1,9})\s{0,2}(%?) confident"
)


@dataclass(frozen=True)
class Options:
    """How to read logs.

    Args:
        metric: which of a log's scores is the grade; by default the first one that every reader knows.
        pass_mark: a score as high as this is right; 1 by default.
        columns: role ("grade", "confidence", ...) to the name of the column, for plain files.
        texts: hand over what was asked and answered in every row, and not only where a verdict depends on it.
        progress: called with the file and the number of rows looked at so far.
    """

    metric: str | None = None
    pass_mark: float | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    texts: bool = False
    progress: Callable[[Path, int], None] | None = None


@dataclass(slots=True)
class Entry:
    """One graded answer.

    Args:
        place: number of its line, sample or row in the file.
        id: of the question; `None` where the log has none, and then it is a question of its own.
        model, task: "" where the log does not say.
        grade: a code of `abstain.evals.logs.grades`.
        confidence: as the log has it, or `None`.
        target: confidence target that the prompt stated, or `None`.
        repeat: which of several answers to the same question, from 0.
        question, prompt, completion: texts, or `None`.
        gold: one right answer or several, or `None`.
        votes: all answers that were sampled to choose this one from, or `None`.
        truncated: the completion was cut off.
        kind: where the confidence comes from, a key of `CONFIDENCE`.
        grader: which one grades such answers, unless the user names another; `None` if any may.
    """

    place: int
    id: str | None
    model: str
    task: str
    grade: int
    confidence: Any = None
    target: Any = None
    repeat: int = 0
    question: str | None = None
    gold: Any = None
    prompt: str | None = None
    completion: str | None = None
    votes: list[str] | None = None
    truncated: bool = False
    kind: str = "log"
    grader: str | None = None


TEXTS = ("question", "gold", "prompt", "completion")
_OF_ENTRIES = (*TEXTS, "votes", "truncated", "grader")
KINDS = tuple(CONFIDENCE)


@dataclass
class Batch:
    """Some rows of a file, column by column.

    Args:
        file: where they stand.
        unit: what their places count: "line", "sample" or "row".
        place: of each row.
        id: of each row's question, as text; null where the log has none.
        names: pairs of a model and a task.
        name: the place in `names` of each row's pair.
        grade: codes of `abstain.evals.logs.grades`.
        confidence: as the log has it.
        kind: where confidence comes from, places in `KINDS`.
        target: the stated ones.
        repeat: which of several answers to the same question; `None` if each was asked once.
        texts: `TEXTS`, "votes", "truncated" and "grader" to their values, where the log has them.
        line_of: turns a place into the number of a line, where only places of rows are known.
    """

    file: Path
    unit: str
    place: np.ndarray
    id: pa.Array
    names: list[tuple[str, str]]
    name: np.ndarray
    grade: np.ndarray
    confidence: Numbers
    kind: np.ndarray
    target: Numbers
    repeat: np.ndarray | None
    texts: dict[str, "list[Any] | pa.Array"] = field(default_factory=dict)
    line_of: Callable[[int], int] | None = None

    def __len__(self) -> int:
        return len(self.place)

    def at(self, name: str, rows: np.ndarray) -> list[Any]:
        """The values of a text column in some rows, given by number; `None` where the log has none."""
        column = self.texts.get(name)
        if column is None:
            return [None] * len(rows)
        if isinstance(column, list):
            return [column[row] for row in rows.tolist()]
        return column.take(pa.array(rows)).to_pylist()

    def where(self, row: int) -> str:
        """Where a row stands, for people."""
        return place_name(self.file, self.unit, int(self.place[row]), self.line_of)


def place_name(file: Path, unit: str, place: int, line_of: Callable[[int], int] | None = None) -> str:
    """`log.jsonl:12`, or `log.json: sample 12`.

    Example:
        >>> place_name(Path("a.jsonl"), "line", 12), place_name(Path("a.eval"), "sample", 3)
        ('a.jsonl:12', 'a.eval: sample 3')
    """
    if line_of:
        place = line_of(place)
    return f"{file}:{place}" if unit == "line" else f"{file}: {unit} {place}"


def batches(file: Path, unit: str, entries: Iterable[Entry], *, repeated: bool = False) -> Iterator[Batch]:
    """Entries as batches of columns; `repeated` if questions were asked several times."""
    remaining = iter(entries)
    while part := list(islice(remaining, BATCH_ROWS)):
        names = list(dict.fromkeys((entry.model, entry.task) for entry in part))
        kind = np.array([KINDS.index(entry.kind) for entry in part], dtype=np.int8)
        confidence = to_numbers([entry.confidence for entry in part])
        repeat = np.array([entry.repeat for entry in part], dtype=np.int16)
        yield Batch(
            file,
            unit,
            place=np.array([entry.place for entry in part], dtype=np.int64),
            id=id_texts([entry.id for entry in part]),
            names=names,
            name=np.array([names.index((entry.model, entry.task)) for entry in part], dtype=np.int32),
            grade=np.array([entry.grade for entry in part], dtype=np.int8),
            confidence=Numbers(confidence.values, confidence.sure | (kind != KINDS.index("log"))),
            kind=kind,
            target=to_numbers([entry.target for entry in part]),
            repeat=repeat if repeated or repeat.any() else None,
            texts={name: [getattr(entry, name) for entry in part] for name in _OF_ENTRIES},
        )


WHOLE_FILE = "unreadable"
"""The kind of a problem that cost a whole file."""


@dataclass
class Problem:
    """Something wrong in a file, met `count` times: what it was the first time, and what became of the rows."""

    file: str
    kind: str
    first: str
    count: int = 1
    lost: bool = True

    def __str__(self) -> str:
        more = f" (and {self.count - 1:,} more like it)" if self.count > 1 else ""
        return f"{self.first}{more}"


@dataclass
class Problems:
    """All that was wrong, by file and kind, so that a million bad lines are one message with a count."""

    found: dict[tuple[str, str], Problem] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, file: Path, kind: str, message: str, *, lost: bool = True, count: int = 1) -> None:
        """Count a problem.

        Args:
            file: where.
            kind: what problems are grouped by.
            message: names the line; shown for the first of its kind.
            lost: the row was skipped; otherwise only one of its values was.
            count: how many at once.
        """
        known = self.found.get((str(file), kind))
        if known:
            known.count += count
        else:
            self.found[str(file), kind] = Problem(str(file), kind, printable(message, 400), count, lost)

    def note(self, file: Path, text: str) -> None:
        """Say once how a log was read."""
        text = f"{printable(file.name, 48)}: {text}"
        if text not in self.notes:
            self.notes.append(text)

    @property
    def skipped(self) -> int:
        """Rows that were lost."""
        return sum(problem.count for problem in self.found.values() if problem.lost)


def printable(text: str, limit: int = 80) -> str:
    """The text on one line, without control characters, escape sequences and marks that change its direction.

    Args:
        text: anything.
        limit: longest result, in characters; the middle of a longer one is left out.

    Example:
        >>> printable("gpt-4\\x1b[31m\\u202egnp.exe\\n"), printable("a" * 99, 9)
        ('gpt-4[31mgnp.exe', 'aaaa…aaaa')
    """
    if len(text) > 8 * limit:
        text = text[: 4 * limit] + text[-4 * limit :]
    if not (text.isascii() and text.isprintable()):
        spaced = " ".join(text.split())
        text = "".join(char for char in spaced if unicodedata.category(char) not in _UNSAFE)
    text = text.strip()
    if len(text) <= limit:
        return text
    half = (limit - 1) // 2
    return text[: limit - 1 - half] + ELLIPSIS + text[len(text) - half :]


# What several readers do alike.


def stated_target(prompt: str | None) -> float | None:
    """The confidence target that a prompt states in the words of Kalai et al. 2025, or `None`.

    Example:
        >>> stated_target("Who? Answer only if you are > 0.75 confident, since mistakes are penalized 3 points")
        0.75
        >>> stated_target("Who? Make your best guess even if you are unsure, as if you were taking an exam.")
        0.0
    """
    if not prompt or "confident" not in prompt:
        return 0.0 if prompt and GUESS_INSTRUCTION in prompt else None
    stated = _STATED.findall(prompt)
    if not stated:
        return None
    number, percent = stated[-1]
    target = float(number) / (100 if percent or float(number) > 1 else 1)
    return target if 0 <= target < 1 else None


def choice_shares(scores: Sequence[float]) -> list[float]:
    """Probabilities from log-likelihoods of all the choices; none if one of them is not a number.

    Example:
        >>> [round(p, 2) for p in choice_shares([-1.0, -2.0])], choice_shares([float("nan"), 0.0])
        ([0.73, 0.27], [])
    """
    if not scores or any(map(math.isnan, scores)) or math.isinf(max(scores)):
        return []
    return softmax(scores).tolist()


def grade_of(value: Any, file: Path, where: str, options: Options, problems: Problems) -> int:
    """`read_grade` for a log whose grades are words and numbers; what is none is UNGRADED, and told about."""
    grade = read_grade(value, options.pass_mark)
    if grade <= PARTIAL:
        return grade
    why = f"{where}: {str(value)[:40]!r} is no grade; counted as ungraded"
    problems.add(file, "unreadable grade", why, lost=False)
    return UNGRADED


def text_of(content: Any) -> str | None:
    """The text in a chat message's content: a text, or a list of parts of which the texts count.

    Example:
        >>> text_of([{"type": "reasoning", "reasoning": "Hm"}, {"type": "text", "text": "Lima"}])
        'Lima'
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    texts = [part for part in parts if isinstance(part, str)]
    return "".join(texts) if texts else None


def last_text(messages: Any, role: str) -> str | None:
    """The text of the last message of a role."""
    turns = [turn for turn in messages if isinstance(turn, dict)] if isinstance(messages, list) else []
    return next((text_of(turn.get("content")) for turn in reversed(turns) if turn.get("role") == role), None)


def as_dict(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []
