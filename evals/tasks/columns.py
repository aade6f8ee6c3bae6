"""From the columns of somebody's file to our questions: which column is which, and what an answer cell says.

    {"problem": "Who wrote Emma?", "answer": "['Jane Austen', 'Austen']"}
    Question(id="books-1", question="Who wrote Emma?", gold=("Jane Austen", "Austen"))

Only the columns named here are taken, so a column that TRL uses for itself (`prompts`, `trainer_state` ...) is
harmless. Where no name fits, what stands in the columns decides (`abstain.evals.tasks.detection`), and that is said.
"""

import ast
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from abstain.evals.tasks.detection import Look, guess_answers, guess_question, guess_subject, is_question, sampled
from abstain.evals.tasks.question import Question
from abstain.evals.tasks.rows import SourceRow, Table
from abstain.rewards.errors import nearest
from abstain.rewards.grading import UNANSWERABLE

QUESTION = ("question", "problem", "query", "prompt", "input", "question_text", "text")
ANSWERS = (
    *("answers", "golden_answers", "gold_answers", "gold", "possible_answers", "correct_answers", "answer"),
    *("best_answer", "reference_answers", "references", "reference", "expected_answer", "expected", "ideal"),
    *("targets", "target", "outputs", "output", "solution"),
)
SUBJECT = ("subject", "subj", "entity", "metadata.subj")
ID = ("id", "question_id", "qid", "example_id", "uid", "original_index")
ANSWERABLE = ("answerable",)
DOCUMENTS = ("documents", "context", "contexts", "ctxs", "passages", "docs", "retrieved_documents", "retrieved")
"""What columns of documents are called. They are read only where somebody asks for them."""
LITERAL_LIMIT = 100_000
_TEXT_KEYS = ("text", "contents", "content", "passage", "body", "snippet", "paragraph_text", "page_content")
_ANSWER_KEYS = ("value", "text", "answer", "answers", "aliases")


class NoColumn(ValueError):
    """A table has no column for what is wanted, or several.

    Args:
        message: for people.
        what: "question" or "answers".
        likely: columns that it may be, the likeliest first.
    """

    def __init__(self, message: str, what: str, likely: Sequence[str]) -> None:
        super().__init__(message)
        self.what = what
        self.likely = tuple(likely)


@dataclass(frozen=True)
class Columns:
    """Which columns to read: for each, the first of these names that the file has.

    Args:
        question: names of the question's column.
        answers: names of the gold answers' column.
        subject: names of the subject's column; none if a file has none.
        id: names of the id's column; rows are numbered if a file has none.
        answerable: names of a true/false column; false makes the gold `(UNANSWERABLE,)`.
        documents: names of the column of documents; none by default, so that nobody's prompts change unasked.
        metadata: key in the question's metadata to names of the column it comes from. A name may lead into an object:
            "metadata.s_pop".
        separator: what separates several answers in one text, or "" if a text is one answer.
    """

    question: tuple[str, ...] = QUESTION
    answers: tuple[str, ...] = ANSWERS
    subject: tuple[str, ...] = SUBJECT
    id: tuple[str, ...] = ID
    answerable: tuple[str, ...] = ANSWERABLE
    documents: tuple[str, ...] = ()
    metadata: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: {"popularity": ("popularity",)})
    separator: str = ""


@dataclass(frozen=True)
class Found:
    """The columns of one table that will be read; `None` where it has none.

    `guessed` has those of question, answers and subject that were found by what stands in them, not by name."""

    question: str
    answers: str
    subject: str | None
    id: str | None
    answerable: str | None
    metadata: Mapping[str, str]
    guessed: Mapping[str, str] = field(default_factory=dict)
    documents: str | None = None


def find_columns(table: Table, wanted: Columns) -> Found:
    """The columns of a table that are read: by their names, or else, unless a name was asked for, by their cells.

    Raises:
        NoColumn: there is no question or no answers column, or several may be it; the message lists the columns.

    Example:
        >>> row = SourceRow("books.csv:2", {"Problem": "Who wrote Emma?", "Best Answer": "Austen"})
        >>> found = find_columns(Table("books", "", (row,)), Columns())
        >>> found.question, found.answers, found.subject
        ('Problem', 'Best Answer', None)
    """
    question, answers = _find(table, wanted.question), _find(table, wanted.answers)
    answerable, row_id = _find(table, wanted.answerable), _find(table, wanted.id)
    subject = _find(table, wanted.subject)
    documents = _find(table, wanted.documents)
    taken = frozenset(name for name in (question, answers, answerable, row_id, subject, documents) if name)
    looks = _looks(table) if None in (question, answers) or subject is None else []
    known = (question, answers, subject)
    if question is None and wanted.question == QUESTION:
        first = next(filter(is_question, table.columns()), "")
        if first:
            raise ValueError(
                f"{table.rows[0].where}: where the names of the columns should be, the file begins with a question, "
                f"{first[:60]!r}: put a line such as question,answers above it"
            )
        question = guess_question(looks, taken)
    if question is None:
        longest = sorted(looks, key=lambda look: -look.length)
        message = _missing("question", wanted.question, QUESTION, table)
        raise NoColumn(message, "question", [look.name for look in longest if look.name not in taken])
    if answers is None and wanted.answers == ANSWERS:
        likely = guess_answers(looks, question, taken)
        if len(likely) > 1:
            which = f"which column holds the answers, {' or '.join(map(repr, likely[:4]))}?"
            raise NoColumn(f"{table.rows[0].where}: {which} {_name_it('answers')}", "answers", likely)
        answers = next(iter(likely), None)
    if answers is None:
        others = [name for name in table.columns() if name not in taken | {question}]
        raise NoColumn(_missing("answers", wanted.answers, ANSWERS, table), "answers", others)
    if subject is None and wanted.subject == SUBJECT and wanted.question == QUESTION:
        subject = guess_subject(looks, question, taken | {question, answers})
    read = {"question": question, "answers": answers, "subject": subject}
    guessed = {what: name for (what, name), old in zip(read.items(), known, strict=True) if name and old is None}
    metadata = {key: column for key, names in wanted.metadata.items() if (column := _find(table, names))}
    return Found(question, answers, subject, row_id, answerable, metadata, guessed, documents)


def unread_documents(table: Table, found: Found) -> str | None:
    """The column that looks like documents and is not read, if there is one.

    Example:
        >>> row = SourceRow("f:1", {"question": "Who wrote Emma?", "answer": "Austen", "Context": ["By Austen."]})
        >>> table = Table("f", "", (row,))
        >>> unread_documents(table, find_columns(table, Columns()))
        'Context'
    """
    column = _find(table, DOCUMENTS)
    read = (found.question, found.answers, found.subject, found.id, found.answerable)
    return None if found.documents or column in read else column


def _looks(table: Table) -> list[Look]:
    return sampled([row.fields for row in table.rows], table.columns())


def _missing(what: str, names: Sequence[str], usual: Sequence[str], table: Table) -> str:
    where = table.rows[0].where
    if names != usual:
        return f"{where}: no {what} column {' or '.join(map(repr, names))}. " + (
            ("" if len(names) == 1 else _name_it(what) + " ") + nearest(names[0], table.columns())
        )
    return f"{where}: no {what} column, neither by name nor by what stands in it. {_name_it(what)} " + nearest(
        names[0], table.columns()
    )


def _name_it(what: str) -> str:
    return f"Name it with {what}_column=NAME."


def require_column(tables: Sequence[Table], option: str, name: str) -> None:
    """`ValueError` unless every table has the column that the user named."""
    for table in tables:
        if table.rows and _find(table, (name,)) is None:
            raise ValueError(f"{table.rows[0].where}: no column {name!r} ({option}). {nearest(name, table.columns())}")


def plain_name(name: str) -> str:
    """How column names are compared.

    Example:
        >>> plain_name(" Best Answer")
        'best_answer'
    """
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _find(table: Table, names: Sequence[str]) -> str | None:
    columns = table.columns()
    by_plain_name = {plain_name(column): column for column in reversed(columns)}
    for name in names:
        if name in columns:
            return name
        if plain_name(name) in by_plain_name:
            return by_plain_name[plain_name(name)]
        if any(cell(row, name) is not None for row in table.rows[:20]):
            return name
    return None


def cell(row: SourceRow, column: str) -> Any:
    """The value of a column; "metadata.subj" looks inside the object (or the text of one) in column "metadata".

    Example:
        >>> cell(SourceRow("f:1", {"metadata": "{'topic': 'Art', 'urls': []}"}), "metadata.topic")
        'Art'
    """
    if column in row.fields or "." not in column:
        return row.fields.get(column)
    outer, inner = column.split(".", 1)
    value = row.fields.get(outer)
    value = parse_literal(value) if isinstance(value, str) else value
    return value.get(inner) if isinstance(value, dict) else None


def parse_literal(text: str) -> Any:
    """The list or object that a text spells in JSON or as a Python literal; the text itself if it spells none.

    Nothing is evaluated: `ast.literal_eval` reads constants only, and long texts are not tried at all.

    Example:
        >>> parse_literal('["a", "b"]'), parse_literal("['a', None]"), parse_literal("[sic] __import__('os')")
        (['a', 'b'], ['a', None], "[sic] __import__('os')")
    """
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] not in ("[]", "{}", "()") or len(stripped) > LITERAL_LIMIT:
        return text
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(stripped)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        if isinstance(value, list | tuple | dict):
            return list(value) if isinstance(value, tuple) else value
    return text


def answers_of(value: Any, separator: str = "") -> tuple[str, ...]:
    """The gold answers in a cell, without blanks and repeats: a list, the text of one, an object of aliases, a text.

    Raises:
        ValueError: the cell holds something that is no answer.

    Example:
        >>> answers_of("['Rome', 'Roma', 'Rome']"), answers_of("Rome; Roma", ";"), answers_of("Rome; Roma")
        (('Rome', 'Roma'), ('Rome', 'Roma'), ('Rome; Roma',))
        >>> answers_of({"value": "Rome", "aliases": ["Roma"], "type": "place"}), answers_of(1972.0), answers_of(None)
        (('Rome', 'Roma'), ('1972',), ())
    """
    return tuple(dict.fromkeys(text for text in map(str.strip, _texts(value, separator, 0)) if text))


def _texts(value: Any, separator: str, depth: int) -> list[str]:
    if depth > 4:
        raise ValueError("answers are nested too deep")
    if isinstance(value, str):
        read = parse_literal(value) if depth == 0 else value
        if not isinstance(read, str):
            return _texts(read, separator, 1)
        return value.split(separator) if separator else [value]
    if isinstance(value, dict):
        return [text for key in _ANSWER_KEYS if key in value for text in _texts(value[key], separator, depth + 1)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item, separator, depth + 1)]
    return _number(value)


def documents_of(value: Any) -> tuple[tuple[str, ...], int]:
    """The documents in a cell, and how many more were blank or there already.

    A cell holds a list of texts or of objects with a text and perhaps a title, the text of such a list, or one text.

    Raises:
        ValueError: the cell holds something that is no document.

    Example:
        >>> documents_of(["Emma is by Austen.", " Emma is by  Austen. ", {"title": "Kim", "text": "By Kipling."}])
        (('Emma is by Austen.', 'Kim\\nBy Kipling.'), 1)
        >>> documents_of("Emma is by Austen."), documents_of('["a", "b"]'), documents_of(None)
        ((('Emma is by Austen.',), 0), (('a', 'b'), 0), ((), 0))
    """
    read = parse_literal(value) if isinstance(value, str) else value
    if read is None or (isinstance(read, float) and math.isnan(read)):
        return (), 0
    items = read if isinstance(read, list | tuple) else [read]
    kept: dict[str, str] = {}
    for text in (_document(item).strip() for item in items):
        kept.setdefault(" ".join(text.split()), text)
    kept.pop("", None)
    return tuple(kept.values()), len(items) - len(kept)


def _document(item: Any) -> str:
    """One document, below its title if it has one."""
    if isinstance(item, str):
        return item
    if isinstance(item, dict):
        text = next((item[key] for key in _TEXT_KEYS if isinstance(item.get(key), str)), None)
        if text is not None:
            title = item.get("title")
            return f"{title.strip()}\n{text}" if isinstance(title, str) and title.strip() else text
        keys = ", ".join(map(str, item)) or "no keys"
        raise ValueError(f"a document is an object with {keys}, and with none of {', '.join(_TEXT_KEYS)}")
    raise ValueError(f"a document is {type(item).__name__}, not a text or an object with a text")


def _number(value: Any) -> list[str]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return []
    if isinstance(value, bytes):
        raise ValueError("an answer is bytes, not text")
    whole = isinstance(value, float) and value.is_integer()
    return [str(int(value)) if whole else str(value)]


def to_question(row: SourceRow, found: Found, number: int, table: Table, separator: str = "") -> Question:
    """The question in a row.

    Args:
        row: the row.
        found: the columns to read.
        number: the row's number, for its id if it has none.
        table: the table it stands in.
        separator: what separates several answers in one text.

    Raises:
        ValueError: the row has no question text, no gold answer, or something else than documents; the message has its
            file and line.
    """
    text = cell(row, found.question)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{row.where}: column {found.question!r} holds no question text but {str(text)[:60]!r}")
    try:
        gold = _gold(row, found, separator)
    except ValueError as error:
        raise ValueError(f"{row.where}: column {found.answers!r}: {error}") from None
    try:
        documents = documents_of(cell(row, found.documents))[0] if found.documents else ()
    except ValueError as error:
        raise ValueError(f"{row.where}: column {found.documents!r}: {error}") from None
    subject = cell(row, found.subject) if found.subject else None
    row_id = cell(row, found.id) if found.id else None
    metadata = {key: value for key, column in found.metadata.items() if (value := cell(row, column)) is not None}
    return Question(
        id=f"{table.name}-{number}" if row_id in (None, "") else str(row_id),
        question=text.strip(),
        gold=gold,
        subject="" if subject is None else str(subject),
        metadata=metadata,
        documents=documents,
    )


def _gold(row: SourceRow, found: Found, separator: str) -> tuple[str, ...]:
    if found.answerable and str(cell(row, found.answerable)).strip().lower() in ("false", "0", "no"):
        return (UNANSWERABLE,)
    gold = answers_of(cell(row, found.answers), separator)
    if not gold:
        raise ValueError("no gold answer")
    return gold
