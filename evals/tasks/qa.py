"""Questions from a file, a folder or the hub, as a task whose two sides share no subject.

    load_qa(data="books.csv")                                   one file, divided by subject
    load_qa(train_data="train.jsonl", test_data="test.jsonl")   two files; training rows that overlap are dropped
    load_qa(preset="simpleqa", data="simple_qa_test_set.csv")   a known set from a local copy
    load_qa(preset="nq_open")                                   a known set from the hub

Everything is checked before anything is returned: a bad row is an error that names its file and line.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from abstain.evals.tasks.columns import (
    Columns,
    Found,
    cell,
    documents_of,
    find_columns,
    require_column,
    to_question,
    unread_documents,
)
from abstain.evals.tasks.detection import find_separator
from abstain.evals.tasks.presets import GENERIC, PRESETS, SIMPLEQA_REASON, Preset
from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.rows import SPLITS, Table, read_data
from abstain.evals.tasks.splits import check_share, drop_overlap, repeated, sample_or_say, split_by_subject
from abstain.rewards.errors import nearest
from abstain.rewards.grading import UNANSWERABLE, find_grader
from abstain.rewards.parsing.abstention import is_abstention

Source = str | Path | Sequence[str | Path]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class QaOptions:
    """What `load_qa` takes."""

    data: Source | None = None
    """File, folder, hub id, or a list of them. Its splits are used if it has any; else it is divided by subject."""
    train_data: Source | None = None
    """Questions to train on, beside `test_data`."""
    test_data: Source | None = None
    """Questions to hold out; alone, there is nothing to train on."""
    preset: str = ""
    """A known question set: a key of `PRESETS`."""
    config: str | None = None
    """Configuration of the hub data set."""
    revision: str | None = None
    """Commit or tag of the hub data set."""
    split: str = ""
    """The one split of `data` to use; it is then divided by subject."""
    train_split: str = ""
    """The split of `data` to train on."""
    test_split: str = ""
    """The split of `data` to hold out."""
    question_column: str = ""
    """The column of questions; found by its name, or by what stands in it, if not said."""
    answers_column: str = ""
    """The column of gold answers, found likewise."""
    subject_column: str | None = None
    """What a question is about; "" for none. Train and held-out questions share no subject."""
    id_column: str = ""
    """The column of ids, found by its name if not said; without one they are made of the questions."""
    answerable_column: str = ""
    """A true/false column; where it is false, no answer is right."""
    documents_column: str = ""
    """The column of documents that were retrieved for the question, best first: texts, or objects with a text and
    perhaps a title. They stand before it in prompts. Never read unless it is named."""
    separator: str | None = None
    """What separates several answers in one text, such as ";". Found by evidence if not said; "" for nothing."""
    held_out: float | None = None
    """Share to hold out, in [0, 1]. If given, all of `data` is put together and divided by subject."""
    limit: int | None = None
    """At most this many questions on each side, drawn by `seed`."""
    train_limit: int | None = None
    """At most this many questions to train on, instead of `limit`."""
    grader: str = ""
    """match, exact, numeric … as `abstain graders` lists them, or one of your own, as in my_graders.py:close."""
    seed: int = 0
    """Another seed, another division into sides, and another draw."""
    skip_bad_rows: bool = False
    """Leave out rows without a question or a gold answer and report their number, instead of refusing the file."""


def load_qa(**options: Any) -> Task:
    """The task in a file, a folder, or a hub data set.

    Args:
        options: the fields of `QaOptions`.

    Raises:
        FileNotFoundError: there is no such file or hub data set.
        ValueError: a wrong option or column, an unreadable file, bad rows, repeated ids, or SimpleQA as training data.

    Example:
        >>> import json, pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "capitals.jsonl")
        >>> rows = [{"q": f"What is the capital of {x}?", "a": y} for x, y in [("Peru", "Lima"), ("Norway", "Oslo")]]
        >>> _ = path.write_text("\\n".join(map(json.dumps, rows)))
        >>> task = load_qa(data=path, question_column="q", answers_column="a", held_out=0.5)
        >>> len(task.train), len(task.held_out), task.train[0].gold
        (1, 1, ('Oslo',))
    """
    asked = QaOptions(**options)
    source = read_source(asked)
    preset, columns = source.preset, source.columns
    source.say()
    bad: list[str] = []
    sides = (source.train, source.test, source.pooled)
    train_side, test_side, pool = (_questions(tables, columns, bad) for tables in sides)
    _refuse_bad_rows(bad, asked.skip_bad_rows)
    if not (pool or test_side):
        raise ValueError("no question is left to hold out: every row is bad")
    if preset.idk_is_no_answer:
        train_side, test_side, pool = (list(map(_without_idk, side)) for side in (train_side, test_side, pool))
    if pool:
        share = preset.held_out if asked.held_out is None else asked.held_out
        return _task(asked, preset, *split_by_subject(pool, share, asked.seed))
    apart, held_out = _apart(train_side, test_side)
    return _task(asked, preset, drop_overlap(apart, held_out, asked.preset or "qa")[0], held_out)


@dataclass(frozen=True)
class QaSource:
    """The rows that options name, and how they are read.

    Args:
        preset: known or generic.
        columns: which columns are looked for, and what separates several golds in a cell.
        train, test, pooled: tables to train on, to hold out, and to divide by subject.
        separated: in how many cells the separator was found; 0 where it was said, or there is none.
    """

    preset: Preset
    columns: Columns
    train: tuple[Table, ...]
    test: tuple[Table, ...]
    pooled: tuple[Table, ...]
    separated: int = 0

    @property
    def tables(self) -> tuple[Table, ...]:
        """Those that hold rows."""
        return tuple(table for table in (*self.train, *self.test, *self.pooled) if table.rows)

    def say(self) -> None:
        """Tell in a line each what was found by what stands in the cells, not by names."""
        for found in {str(found.guessed): found.guessed for found in self.found() if found.guessed}.values():
            read = ", ".join(f"{what}_column={name!r}" for what, name in found.items())
            logger.warning("%s: %s, by what stands there; name another if need be", self.tables[0].name, read)
        for table, columns in zip(self.tables, self.found(), strict=True):
            if column := unread_documents(table, columns):
                logger.warning(
                    "%s: column %r looks like documents; to have them in prompts: documents_column=%s",
                    *(table.name, column, column),
                )
                break
        if self.separated:
            logger.warning(
                "%s: %d cells hold several answers, separated by %r; to keep them whole: separator=''",
                *(self.tables[0].name, self.separated, self.columns.separator),
            )

    def found(self) -> list[Found]:
        """The columns of each table.

        Raises:
            ValueError: as `find_columns`.
        """
        return [find_columns(table, self.columns) for table in self.tables]


def read_source(asked: QaOptions) -> QaSource:
    """Read what options name, and see which column is which.

    Raises:
        FileNotFoundError, ValueError: as `load_qa`.
    """
    preset = checked_preset(asked)
    train, test, pooled = map(tuple, _choose_sides(asked, preset))
    columns = _columns(preset.columns, asked, [*train, *test, *pooled])
    source = QaSource(preset, columns, train, test, pooled)
    if asked.separator is not None or asked.preset:
        return source
    cells = [
        cell(row, found.answers)
        for table, found in zip(source.tables, source.found(), strict=True)
        for row in table.rows
    ]
    separator, separated = find_separator(cells)
    return replace(source, columns=replace(columns, separator=separator), separated=separated)


def checked_preset(asked: QaOptions) -> Preset:
    """The preset asked for, once every option that can be wrong by itself has been looked at.

    Raises:
        ValueError: an unknown preset or grader, `held_out` outside [0, 1], or SimpleQA
            as training data.

    Example:
        >>> checked_preset(QaOptions(preset="popqa")).hub
        'akariasai/PopQA'
        >>> checked_preset(QaOptions(preset="popq"))
        Traceback (most recent call last):
        ...
        ValueError: unknown preset 'popq'. Did you mean 'popqa'? Allowed: nq_open, popqa, selfaware, simpleqa,
        simpleqa_verified, triviaqa, truthfulqa.
    """
    if asked.preset and asked.preset not in PRESETS:
        raise ValueError(f"unknown preset {asked.preset!r}. {nearest(asked.preset, PRESETS)}")
    if asked.grader:
        find_grader(asked.grader)
    if asked.held_out is not None:
        check_share(asked.held_out)
    preset = PRESETS.get(asked.preset, GENERIC)
    if any(map(_is_simpleqa, _names(asked.data) + _names(asked.train_data))):
        preset = replace(preset, evaluation_only=SIMPLEQA_REASON)
    if preset.evaluation_only and (asked.train_data or asked.train_split or asked.held_out not in (None, 1)):
        raise ValueError(preset.evaluation_only)
    return preset


def _names(source: Source | None) -> list[str]:
    if source is None:
        return []
    return [str(source)] if isinstance(source, str | Path) else [str(name) for name in source]


def _is_simpleqa(name: str) -> bool:
    return "simpleqa" in re.sub(r"[^a-z]", "", Path(name).name.lower())


def _task(asked: QaOptions, preset: Preset, train: Sequence[Question], held_out: Sequence[Question]) -> Task:
    name = asked.preset or "qa"
    _report_repeated(name, [*train, *held_out])
    option, limit = ("limit", asked.limit) if asked.train_limit is None else ("train_limit", asked.train_limit)
    why = f"of {len(train) + len(held_out)} questions, {len(held_out)} are held out"
    return Task(
        name,
        sample_or_say(train, limit, asked.seed, f"{name}: {option}", f"there are no more to train on ({why})"),
        sample_or_say(held_out, asked.limit, asked.seed, f"{name}: limit", f"there are no more held out ({why})"),
        asked.grader or preset.grader,
        max_new_tokens=preset.max_new_tokens,
    )


def _choose_sides(asked: QaOptions, preset: Preset) -> tuple[list[Table], list[Table], list[Table]]:
    """Tables to train on, to hold out, and to divide by subject."""
    if asked.data and (asked.train_data or asked.test_data):
        raise ValueError("give data=, or train_data= and test_data=, but not both")
    if asked.train_data and not asked.test_data:
        raise ValueError("train_data needs test_data beside it; to divide one source by subject, give it as data=")
    hub = (asked.config or preset.config, asked.revision)
    if asked.test_data:
        train = read_data(asked.train_data, *hub) if asked.train_data else []
        return train, read_data(asked.test_data, *hub), []
    source = asked.data or preset.hub
    if not source:
        raise ValueError("no data: give data=FILE, a folder, or the id of a hub data set, or name a preset")
    tables = read_data(source, *hub)
    if asked.split:
        tables = _pick(tables, asked.split)
    if preset.evaluation_only:
        return [], tables, []
    return _by_split(asked, preset, tables)


def _by_split(asked: QaOptions, preset: Preset, tables: list[Table]) -> tuple[list[Table], list[Table], list[Table]]:
    """The data's own splits, unless it has none, or the user wants one split or a share."""
    there = {SPLITS.get(table.split.lower(), table.split) for table in tables}
    known = {preset.train_split, preset.test_split} - {""}
    train, test = asked.train_split, asked.test_split
    if not (train or test):
        if known and known <= there:  # TriviaQA has a third split, whose answers are a secret
            tables = [table for table in tables if SPLITS.get(table.split.lower()) in known]
        if asked.held_out is not None or asked.split or len(there) < 2:
            return [], [], tables
        train, test = (preset.train_split, preset.test_split) if known and known <= there else ("", "")
    test = test or next((split for split in ("test", "validation") if split in there - {train}), "test")
    train = train or next((split for split in ("train", "validation") if split in there - {test}), "train")
    return _pick(tables, train), _pick(tables, test), []


def _pick(tables: list[Table], split: str) -> list[Table]:
    there = {table.split for table in tables}
    found = [table for table in tables if table.split == split]
    found = found or [table for table in tables if SPLITS.get(table.split.lower()) == SPLITS.get(split.lower(), split)]
    if not found:
        hint = nearest(split, there) if there != {""} else "It has no splits."
        raise ValueError(
            f"the data has no split {split!r}. {hint} Choose with split=, or train_split= and test_split=."
        )
    return found


def _columns(columns: Columns, asked: QaOptions, tables: Sequence[Table]) -> Columns:
    """The preset's columns, with those that the user named instead."""
    named: dict[str, Any] = {} if asked.subject_column is None else {"subject": ()}
    for what in ("question", "answers", "subject", "id", "answerable", "documents"):
        column = getattr(asked, f"{what}_column")
        if column:
            require_column(tables, f"{what}_column", column)
            named[what] = (column,)
    if asked.separator is not None:
        named["separator"] = asked.separator
    return replace(columns, **named)


def _questions(tables: Sequence[Table], columns: Columns, bad: list[str]) -> list[Question]:
    """The questions of one side. Bad rows are appended to `bad`; a repeated id is an error, a repeated row is not."""
    questions: dict[str, Question] = {}
    where: dict[str, str] = {}
    repeats, without, same = 0, 0, 0
    for table in _with_own_names(tables):
        found = find_columns(table, columns)
        for number, row in enumerate(table.rows, 1):
            try:
                question = to_question(row, found, number, table, columns.separator)
            except ValueError as error:
                bad.append(str(error))
                continue
            old = questions.setdefault(question.id, question)
            if (old.question, old.gold, old.documents) != (question.question, question.gold, question.documents):
                raise ValueError(f"two questions have the id {question.id!r}: {where[question.id]} and {row.where}")
            if found.documents:
                without += not question.documents
                same += documents_of(cell(row, found.documents))[1]
            repeats += question.id in where
            where.setdefault(question.id, row.where)
    if repeats:
        logger.warning("%d rows repeat another row, id and all; each is taken once", repeats)
    if without:
        logger.warning("%d of %d questions have no document: they are asked without", without, len(questions))
    if same:
        logger.warning("%d documents are blank, or stand there twice for one question, and are left out", same)
    return list(questions.values())


def _with_own_names(tables: Sequence[Table]) -> list[Table]:
    """Tables with rows; `a/data.csv` and `b/data.csv` get different names, for they name rows without an id."""
    seen: Counter[str] = Counter()
    named = []
    for table in tables:
        seen[table.name] += 1
        own = table.name if seen[table.name] == 1 else f"{table.name}-{seen[table.name]}"
        named += [replace(table, name=own)] if table.rows else []
    return named


def _refuse_bad_rows(bad: list[str], skip: bool) -> None:
    if not bad:
        return
    first = "; ".join(bad[:5])
    if not skip:
        raise ValueError(f"{len(bad)} bad rows: {first}. Mend them, or leave them out with skip_bad_rows=true.")
    logger.warning("%d bad rows left out: %s", len(bad), first)


def _without_idk(question: Question) -> Question:
    gold = tuple(answer for answer in question.gold if not is_abstention(answer))
    return replace(question, gold=gold or (UNANSWERABLE,))


def _apart(train: Sequence[Question], test: Sequence[Question]) -> tuple[Sequence[Question], Sequence[Question]]:
    """Both sides with different ids: where each counts from 1, those of the training side get a prefix."""
    taken = {question.id for question in test}
    if taken.isdisjoint(question.id for question in train):
        return train, test
    return [replace(question, id=f"train-{question.id}") for question in train], test


def _report_repeated(name: str, questions: Sequence[Question]) -> None:
    groups = repeated(questions)
    if groups:
        differ = sum(len({question.gold for question in group}) > 1 for group in groups.values())
        example = next(iter(groups.values()))[0].question
        logger.warning(
            "%s: %d questions are asked more than once (%d of them with other answers), such as %r",
            *(name, len(groups), differ, example),
        )
