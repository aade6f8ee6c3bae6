"""What is in somebody's file of questions: columns, golds, language, near-duplicates, and whether there are enough."""

import logging
import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from abstain.evals.files import text_encoding
from abstain.evals.tasks.columns import Found, NoColumn, answers_of, cell
from abstain.evals.tasks.languages import language_of
from abstain.evals.tasks.presets import SIMPLEQA_REASON
from abstain.evals.tasks.qa import QaOptions, QaSource, load_qa, read_source
from abstain.evals.tasks.question import Task
from abstain.evals.tasks.rows import READERS, csv_delimiter
from abstain.evals.tasks.splits import normalise, similar_questions
from abstain.rewards.errors import nearest

Ask = Callable[[str, Sequence[str], str], str]
"""Asks a person which of several columns is meant: what for, which there are, and the default."""
FEWEST = 60
"""Questions below which nothing can be told: half of them are held out, and 30 say a share within 18 points."""
WISHED = 100
"""Held-out questions that say a share within 10 points."""
USUAL_SHARE = 0.2
MOST_SHARE = 0.5
FEW_SUBJECTS = 20
"""A column of fewer different values is a field of study, not what a question is about."""


@dataclass(frozen=True)
class Typed:
    """What was typed, to be typed again with a change.

    Args:
        data, model, out: as given.
        options: as given with --option.
    """

    data: str
    model: str
    out: str = ""
    options: tuple[str, ...] = ()

    def again(self, *options: str, out: str = "", data: str = "") -> str:
        """The command line with more options, or with another file.

        Example:
            >>> Typed("a b.csv", "m").again("question_column=Frage 1")
            "abstain init --data 'a b.csv' --model m --option 'question_column=Frage 1'"
        """
        named = [word for option in (*self.options, *options) for word in ("--option", option)]
        place = out or self.out
        words = ["abstain", "init", "--data", data or self.data, "--model", self.model]
        return shlex.join([*words, *named, *(["--out", place] if place else [])])

    def measure(self, *options: str) -> str:
        """The command that only measures.

        Example:
            >>> Typed("a.csv", "m").measure("held_out=1")
            'abstain eval m --data a.csv --option held_out=1'
        """
        named = [word for option in (*self.options, *options) for word in ("--option", option)]
        return shlex.join(["abstain", "eval", self.model, "--data", self.data, *named])


@dataclass(frozen=True)
class Data:
    """What was found in a file.

    Args:
        path: the file.
        format: what it is: "CSV, cells separated by ';'", "JSONL" ...
        found: which columns are read.
        separator: of several golds in a cell; "" for none.
        separated: cells in which it stands.
        commas: share of the cells with a comma in them, which is never taken for a separator.
        language: a key of `abstain.evals.tasks.languages.LANGUAGES`, or "".
        subject: why the subject column is, or is not, used.
        held_out: share to hold out; `None` where the file has splits of its own.
        task: as it will be loaded, with nothing said on prompts yet.
        similar: groups of questions that are nearly the same.
        options: what a recipe has to say, so that it reads the same.
        said: which columns (`question`, `answers`, `subject`) a person named.
    """

    path: Path
    format: str
    found: Found
    separator: str
    separated: int
    commas: float
    language: str
    subject: str
    held_out: float | None
    task: Task
    similar: int
    options: Mapping[str, Any]
    said: frozenset[str]

    @property
    def questions(self) -> int:
        """How many there are."""
        return len(self.task.train) + len(self.task.held_out)


def look_at_data(typed: Typed, given: Mapping[str, Any], ask: Ask | None = None) -> Data:
    """Read a file and see what is in it.

    Args:
        typed: names the file: CSV, TSV, JSONL, JSON or Parquet.
        given: options of the task `qa` that are known already.
        ask: asked about what is not sure; nobody is by default.

    Raises:
        FileNotFoundError, ValueError: in one sentence, with what to type instead: no file, a folder, not text, no such
            column, bad rows, too few questions, or questions that nobody may train on.
    """
    path = Path(typed.data).expanduser()
    if path.is_dir():
        inside = next((file for file in sorted(path.rglob("*")) if file.suffix.lower() in READERS), None)
        hint = f": {typed.again(data=str(inside))}" if inside else ""
        raise ValueError(f"{path} is a folder; give one file of questions{hint}")
    if not path.is_file():
        there = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        close = get_close_matches(path.name, there, n=1)
        hint = f". Did you mean: {typed.again(data=str(path.parent / close[0]))}" if close else ""
        raise FileNotFoundError(f"no file {typed.data!r} (CSV, TSV, JSONL, JSON or Parquet){hint}")
    try:
        return _look(path, typed, QaOptions(**{**given, "data": typed.data}), given, ask)
    except NoColumn as error:
        likely = next(iter(error.likely), "")
        hint = f" Type: {typed.again(f'{error.what}_column={likely}')}" if likely else ""
        raise ValueError(f"{error}{hint}") from None
    except ValueError as error:
        if "skip_bad_rows=true" not in str(error):
            raise
        raise ValueError(f"{error} Type: {typed.again('skip_bad_rows=true')}") from None


def _look(path: Path, typed: Typed, asked: QaOptions, given: Mapping[str, Any], ask: Ask | None) -> Data:
    source = read_source(asked)
    if source.preset.evaluation_only:
        raise ValueError(f"{SIMPLEQA_REASON} To measure on it: {typed.measure()}")
    table, found = source.tables[0], source.found()[0]
    if ask:
        found, asked, source = _asked(ask, found, asked, source, table.columns())
    subject_column, why = _subject(source, found, asked)
    options: dict[str, Any] = {
        "question_column": found.question,
        "answers_column": found.answers,
        "subject_column": subject_column,
        "separator": source.columns.separator,
    }
    options |= {"answerable_column": found.answerable} if found.answerable else {}
    options |= {key: value for key, value in given.items() if key not in options and key != "held_out"}
    counted = sum(len(one.rows) for one in source.tables)
    share = _share_to_hold_out(counted) if source.pooled and asked.held_out is None else asked.held_out
    with _told_by_us():
        task = load_qa(data=typed.data, **(options | ({} if share is None else {"held_out": share})))
    everything = [*task.train, *task.held_out]
    if len(everything) >= FEWEST > 2 * len(task.train):
        other = " Type: " + typed.again("subject_column=''") if subject_column else ""
        raise ValueError(
            f"{path}: only {len(task.train)} of {len(everything)} questions are left to train on, for the others are "
            f"held out or about the same things as those; {FEWEST // 2} are the least.{other}"
        )
    if len(everything) < FEWEST:
        raise ValueError(f"{too_few(path, len(everything))} {typed.measure('held_out=1')}")
    golds = [cell(row, found.answers) for row in table.rows]
    separator = source.columns.separator
    return Data(
        path=path,
        format=_format(path),
        found=found,
        separator=separator,
        separated=sum(len(answers_of(value, separator)) > 1 for value in golds if _is_text(value)),
        commas=sum("," in value for value in golds if _is_text(value)) / len(golds),
        language=language_of(question.question for question in everything),
        subject=why,
        held_out=share,
        task=task,
        similar=0 if subject_column else len(similar_questions(everything)),
        options=options,
        said=frozenset(what for what in ("question", "answers") if getattr(asked, f"{what}_column")),
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip()[:1] not in ("[", "{")


def _format(path: Path) -> str:
    ending = path.suffix.lower().lstrip(".")
    if ending not in ("csv", "tsv"):
        return ending.upper()
    encoding = text_encoding(path)
    named = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}[csv_delimiter(path, encoding)]
    return f"{ending.upper()}, cells separated by {named}" + (", UTF-16" if encoding == "utf-16" else "")


@contextmanager
def _told_by_us() -> Iterator[None]:
    """What loading would warn of is in our own account of the file."""
    logger = logging.getLogger("abstain.evals.tasks")
    usual = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(usual)


def _asked(
    ask: Ask, found: Found, asked: QaOptions, source: QaSource, columns: Sequence[str]
) -> tuple[Found, QaOptions, QaSource]:
    """What a person says of the columns that were not found by their names."""
    said: dict[str, Any] = {}
    for what in ("question", "answers"):
        if what in found.guessed and not getattr(asked, f"{what}_column"):
            said[f"{what}_column"] = _one_of(ask(what, columns, getattr(found, what)), columns)
    if asked.subject_column is None and (found.subject is None or "subject" in found.guessed):
        name = ask("subject", columns, found.subject or "")
        said["subject_column"] = _one_of(name, columns) if name else ""
    options = QaOptions(**{**vars(asked), **said})
    source = read_source(options)
    return source.found()[0], options, source


def _one_of(name: str, columns: Sequence[str]) -> str:
    if name not in columns:
        raise ValueError(f"there is no column {name!r}. {nearest(name, columns)}")
    return name


def _subject(source: QaSource, found: Found, asked: QaOptions) -> tuple[str, str]:
    """The subject column, "" for none, and why."""
    none = "no column says what a question is about, so only texts are compared"
    if not found.subject:
        return "", none
    values = [cell(row, found.subject) for table in source.tables for row in table.rows]
    different = len({normalise(str(value)) for value in values if value not in (None, "")})
    if asked.subject_column is None and different < FEW_SUBJECTS:
        return "", f"{found.subject!r} has {different} values, a field rather than a subject: only texts are compared"
    how = " by what stands in it" if "subject" in found.guessed else ""
    return found.subject, f"found{how}: no subject is both trained on and held out"


def _share_to_hold_out(count: int) -> float:
    """At least `USUAL_SHARE`, more where that would be fewer than `WISHED`, at most `MOST_SHARE`.

    Example:
        >>> [_share_to_hold_out(count) for count in (60, 300, 1000)]
        [0.5, 0.34, 0.2]
    """
    return min(MOST_SHARE, max(USUAL_SHARE, math.ceil(100 * WISHED / count) / 100))


def width(questions: int) -> float:
    """Half the width of a 95 % interval of a share, in points, at its widest: 98 / √n.

    Example:
        >>> round(width(100), 1), round(width(30))
        (9.8, 18)
    """
    return 98 / math.sqrt(max(1, questions))


def too_few(path: Path, count: int) -> str:
    """Why a file of so few questions is refused, and how many are needed.

    Example:
        >>> print(too_few(Path("q.csv"), 24))
        q.csv holds 24 usable questions, of which half would be held out: they tell a share within ±28 points, so
        nothing could be seen to be learned. 60 are the least (±18), 200 are better (±10), 2,000 good (±5). To only
        measure on them:
    """
    return (
        f"{path} holds {count} usable questions, of which half would be held out: they tell a share within "
        f"±{width(count // 2):.0f} points, so nothing could be seen to be learned. {FEWEST} are the least "
        f"(±{width(FEWEST // 2):.0f}), 200 are better (±10), 2,000 good (±5). To only measure on them:"
    )
