"""Plain logs: JSON lines, JSON, CSV, TSV or Parquet with a row for each answer, or a row of counts for each model.

{"id": "q1", "verdict": "NOT_ATTEMPTED", "confidence": 0.2}      an answer
model,abstained,correct,incorrect                                counts, or rates
o4-mini,1 %,24 %,75 %

A file is gone through twice: once to learn from all rows what its columns mean (`abstain.evals.logs.survey`), and once
more for the texts, but only where a verdict or a confidence depends on them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from abstain.evals.files import Report, csv_blocks, csv_line, json_lines, parquet_blocks, plain_csv_blocks
from abstain.evals.logs.batch import TEXTS, Batch, Options, Problems, place_name, stated_target
from abstain.evals.logs.grades import ABSTAINED, CORRECT, INCORRECT, LETTERS, MINUS, NONE, UNREADABLE, ZERO
from abstain.evals.logs.layout import Layout, find_layout, outcome_columns, roles_of
from abstain.evals.logs.numbers import Numbers, to_numbers
from abstain.evals.logs.summaries import Summary, is_summary, summaries
from abstain.evals.logs.survey import Column, Survey, Values
from abstain.evals.records import FIELDS
from abstain.evals.tasks.columns import answers_of, plain_name
from abstain.rewards.prompts import GUESS_INSTRUCTION

NAME = "plain rows"
_LETTER_MEANINGS = {
    "simpleqa": {"A": CORRECT, "B": INCORRECT, "C": ABSTAINED},
    "inspect": {"C": CORRECT, "I": ZERO, "P": ZERO, "N": ABSTAINED},
}
_OUTCOMES = {"correct": CORRECT, "incorrect": INCORRECT, "abstained": ABSTAINED}
_SETTLED = (CORRECT, INCORRECT, ABSTAINED, UNREADABLE)
Blocks = Iterator[tuple[np.ndarray, dict[str, Values]]]
"""Places of rows, and columns, some rows at a time."""


@dataclass(frozen=True)
class Source:
    """A file of rows that can be gone through several times.

    Args:
        path: the file.
        unit: what its places count.
        read: gives the blocks, with those columns that the function takes, empty ones for the others' names.
        line_of: as in `Batch`.
    """

    path: Path
    unit: str
    read: Callable[[Callable[[str], bool], Report], Blocks]
    line_of: Callable[[int], int] | None = None


def read_jsonl(path: Path, options: Options, problems: Problems) -> Iterator[Batch | Summary]:
    """The rows of a JSONL file."""
    return _rows(Source(path, "line", partial(_jsonl, path)), options, problems)


def read_list(path: Path, rows: list[Any], options: Options, problems: Problems) -> Iterator[Batch | Summary]:
    """The objects of a JSON list."""
    good = [(place, row) for place, row in enumerate(rows, 1) if isinstance(row, dict)]
    if len(good) < len(rows):
        place = next(place for place, row in enumerate(rows, 1) if not isinstance(row, dict))
        problems.add(path, "not a row", f"{path}: row {place}: not an object", count=len(rows) - len(good))
    places, objects = np.array([place for place, _ in good]), [row for _, row in good]

    def read(wanted: Callable[[str], bool], report: Report) -> Blocks:
        yield places, _columns(objects, wanted)

    return _rows(Source(path, "row", read), options, problems)


def read_csv(path: Path, options: Options, problems: Problems) -> Iterator[Batch | Summary]:
    """The rows of a CSV or TSV file."""
    plain = Source(path, "line", partial(_plain_csv, path), partial(csv_line, path))
    try:
        return _rows(plain, options, problems)
    except (pa.ArrowException, UnicodeDecodeError, _NotPlain):
        return _rows(Source(path, "line", partial(_csv, path)), options, problems)


def read_parquet(path: Path, options: Options, problems: Problems) -> Iterator[Batch | Summary]:
    """The rows of a Parquet file."""
    return _rows(Source(path, "row", partial(_parquet, path)), options, problems)


# Going through a file.


class _NotPlain(ValueError):
    """A CSV file that only Python's own reader can read."""


def _jsonl(path: Path, wanted: Callable[[str], bool], report: Report) -> Blocks:
    for numbers, rows in json_lines(path, report):
        yield np.array(numbers), _columns(rows, wanted)


def _columns(rows: list[dict[str, Any]], wanted: Callable[[str], bool]) -> dict[str, Values]:
    first = rows[0].keys()
    if all(row.keys() == first for row in rows):
        return {name: [row[name] for row in rows] if wanted(name) else [] for name in first}
    names = dict.fromkeys(chain.from_iterable(rows))
    return {name: [row.get(name) for row in rows] if wanted(name) else [] for name in names}


def _plain_csv(path: Path, wanted: Callable[[str], bool], report: Report) -> Blocks:
    batches = plain_csv_blocks(path, wanted)
    try:
        names, start = next(batches), 1
    except ValueError as error:
        raise _NotPlain from error
    for batch in batches:
        yield np.arange(start, start + len(batch)), {n: batch[n] if wanted(n) else [] for n in names}
        start += len(batch)


def _csv(path: Path, wanted: Callable[[str], bool], report: Report) -> Blocks:
    for header, lines, rows in csv_blocks(path, report):
        names, width = [name.strip() for name in header], len(header)
        good = [(line, row) for line, row in zip(lines, rows, strict=True) if len(row) == width]
        if len(good) < len(rows):
            for line, row in zip(lines, rows, strict=True):
                if row and len(row) != width:
                    report(path, "cells", f"{path}:{line}: {len(row)} cells where the header has {width}")
        cells = list(zip(*(row for _, row in good), strict=True)) or [()] * width
        columns = dict(zip(names, cells, strict=True))
        kept = {name: [value or None for value in column] for name, column in columns.items() if wanted(name)}
        yield np.array([line for line, _ in good], dtype=np.int64), {name: [] for name in names} | kept


def _parquet(path: Path, wanted: Callable[[str], bool], report: Report) -> Blocks:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    names = list(dict.fromkeys(pq.read_schema(path).names))
    for numbers, block in parquet_blocks(path, [name for name in names if wanted(name)]):
        yield np.array(numbers), {name: _simple(block[name]) if wanted(name) else [] for name in names}


def _simple(array: pa.Array) -> pa.Array:
    """The same values without a dictionary, and texts as texts."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array.cast(pa.string()) if pa.types.is_large_string(array.type) else array


# What the columns mean.


@dataclass
class _Plan:
    """How a file is read.

    Args:
        layout: role to column.
        grade: the code of each row.
        numbers: "confidence" and "target", where there are such columns.
    """

    layout: Layout
    grade: np.ndarray
    numbers: dict[str, Numbers] = field(default_factory=dict)


def _rows(source: Source, options: Options, problems: Problems) -> Iterator[Batch | Summary]:
    named = {**options.columns, **({"grade": options.metric} if options.metric else {})}
    survey = Survey(named, roles_of, options.pass_mark)
    for places, columns in source.read(survey.reads, problems.add):
        if not len(places):
            continue
        if (
            not survey.rows
            and not options.columns
            and _may_be_summary(columns)
            and (found := _table(source, problems))
        ):
            return iter(found)
        survey.add(places, columns)
        if options.progress:
            options.progress(source.path, survey.rows)
    return _batches(source, survey, _plan(source, survey, named, problems), options) if survey.rows else iter(())


def _may_be_summary(columns: Mapping[str, Values]) -> bool:
    return any("outcome" in roles_of(name) for name in columns)


def _table(source: Source, problems: Problems) -> list[Summary]:
    """The rows of a table of results; none if the first block of the file shows that it is something else."""
    found: list[Summary] = []
    for places, block in source.read(lambda name: True, lambda *_: None):
        columns = {name: v.to_pylist() if isinstance(v, pa.Array) else list(v) for name, v in block.items()}
        if not found and not is_summary(columns):
            return []
        found += summaries(source.path, source.unit, places.tolist(), columns, problems)
    return found


def _plan(source: Source, survey: Survey, named: Mapping[str, str], problems: Problems) -> _Plan:
    path, columns = source.path, survey.columns
    layout = find_layout(columns, named, str(path))
    one_hot = {} if "grade" in named else outcome_columns(columns)
    if "grade" not in layout and not one_hot and not {"gold", "completion"} <= set(layout):
        raise ValueError(
            f"{path}: no column with grades, and not both a gold and a model's answer to grade. Columns: "
            f"{', '.join(map(str, list(columns)[:20]))}. Name one with --column grade=NAME"
        )
    if one_hot:
        grade = _one_hot(columns, one_hot, survey.rows)
        _tell_unreadable(source, survey, grade, f"none of {', '.join(one_hot.values())} is 1", problems)
    elif "grade" in layout:
        grade = _grades(source, survey, layout["grade"], problems)
    else:
        grade = np.full(survey.rows, NONE, dtype=np.int8)
    used = ", ".join(f"{role} = {name}" for role, name in layout.items() if role != name)
    if used:
        problems.note(path, f"read as {used}")
    gold = layout.get("gold", "")
    if plain_name(gold) == "target" and columns[gold].positive:
        problems.note(path, f"column {gold!r} is read as gold answers, not as targets (--column target={gold})")
    roles = [role for role in ("confidence", "target") if role in layout]
    return _Plan(layout, grade, {role: columns[layout[role]].whole(role) for role in roles})


def _one_hot(columns: Mapping[str, Column], layout: Layout, rows: int) -> np.ndarray:
    grade = np.full(rows, UNREADABLE, dtype=np.int8)
    for outcome, code in reversed(_OUTCOMES.items()):
        if outcome in layout:
            grade[columns[layout[outcome]].whole("outcome")] = code
    return grade


def _grades(source: Source, survey: Survey, name: str, problems: Problems) -> np.ndarray:
    """The codes of the column with the grades, once all of them are known."""
    column = survey.columns[name]
    codes = column.whole("grade")
    meaning, trouble = grade_meanings(set(np.unique(codes).tolist()), name, own=set(FIELDS) <= set(survey.columns))
    if trouble:
        problems.add(source.path, "letters", f"{source.path}: {trouble}; not read", lost=False)
    table = np.arange(max(LETTERS.values()) + 1, dtype=np.int8)
    for code, meant in meaning.items():
        table[code] = meant
    _tell_unreadable(source, survey, codes, f"{column.unreadable} is no grade", problems)
    return table[codes]


def _tell_unreadable(source: Source, survey: Survey, codes: np.ndarray, why: str, problems: Problems) -> None:
    unreadable = codes == UNREADABLE
    if unreadable.any():
        place = int(np.concatenate(survey.places)[unreadable.argmax()])
        where = place_name(source.path, source.unit, place, source.line_of)
        told = f"{where}: {why}; counted as ungraded"
        problems.add(source.path, "unreadable grade", told, lost=False, count=int(unreadable.sum()))


def grade_meanings(codes: set[int], column: str, *, own: bool) -> tuple[dict[int, int], str]:
    """What letters, "incorrect", 0 and -1 mean in a column, by all the codes in it, and what cannot be told.

    Args:
        codes: all that occur.
        column: its name.
        own: the log is of our own records, whose INCORRECT is never "I don't know".

    Example:
        >>> grade_meanings({CORRECT, ZERO, MINUS}, "grade", own=False)[0] == {MINUS: INCORRECT, ZERO: ABSTAINED}
        True
        >>> grade_meanings({CORRECT, INCORRECT}, "grade", own=False)[0] == {INCORRECT: ZERO}
        True
    """
    seen = {letter for letter, code in LETTERS.items() if code in codes}
    kind = next((kind for kind, meaning in _LETTER_MEANINGS.items() if seen and seen <= set(meaning)), "")
    if seen == {"C"}:
        kind = "simpleqa" if "letter" in column.lower() else ""
    known = _LETTER_MEANINGS.get(kind, {})
    meaning = {LETTERS[letter]: known.get(letter, UNREADABLE) for letter in seen}
    trouble = ""
    if seen and not kind:
        trouble = f"column {column!r} holds {', '.join(sorted(seen))}, which are no grades that are known"
        if seen == {"C"}:
            trouble = f"column {column!r} holds only C: SimpleQA's NOT_ATTEMPTED, or Inspect's CORRECT"
    if MINUS in codes:
        meaning |= {MINUS: INCORRECT, ZERO: ABSTAINED}  # 1, 0, -1: right, abstained, wrong
    elif not own and ABSTAINED not in codes and not seen:
        meaning[INCORRECT] = ZERO  # nothing says that these grades know abstentions
    return meaning, trouble


# The rows, and their texts where these are needed.


def _batches(source: Source, survey: Survey, plan: _Plan, options: Options) -> Iterator[Batch]:
    whole = _without_texts(source, survey, plan)
    wanted = _wanted(plan, options)
    if not wanted:
        yield whole
        return
    start = 0
    for places, columns in source.read(set(wanted.values()).__contains__, lambda *_: None):
        if not len(places):
            continue
        rows = slice(start, start + len(places))
        start = rows.stop
        if not np.array_equal(places, whole.place[rows]):
            raise ValueError(f"{source.path}: it was changed while it was read")
        yield _with_texts(_picked(whole, rows), columns, wanted)


def _without_texts(source: Source, survey: Survey, plan: _Plan) -> Batch:
    place, columns, layout = np.concatenate(survey.places), survey.columns, plan.layout
    none = Numbers.none(survey.rows)
    names, name = _names(columns, layout, survey.rows)
    ids = columns[layout["id"]].whole("id") if "id" in layout else pa.array(place).cast(pa.string())
    repeat = columns[layout["repeat"]].whole("repeat") if "repeat" in layout else None
    if set(FIELDS) <= set(columns) and repeat is None:
        ids, repeat = _numbered_ids(ids)
    return Batch(
        source.path,
        source.unit,
        place=place,
        id=ids,
        names=names,
        name=name,
        grade=plan.grade,
        confidence=plan.numbers.get("confidence", none),
        kind=np.zeros(survey.rows, dtype=np.int8),
        target=plan.numbers.get("target", none),
        repeat=repeat,
        line_of=source.line_of,
    )


def _names(columns: Mapping[str, Column], layout: Layout, rows: int) -> tuple[list[tuple[str, str]], np.ndarray]:
    """The pairs of model and task that occur, and each row's place among them."""
    known = [columns[layout[role]] if role in layout else None for role in ("model", "task")]
    models, tasks = (
        (column.names, column.whole(role)) if column else ([""], np.zeros(rows, dtype=np.int32))
        for role, column in zip(("model", "task"), known, strict=True)
    )
    if len(models[0]) * len(tasks[0]) == 1:
        return [(models[0][0], tasks[0][0])], np.zeros(rows, dtype=np.int32)
    both = models[1].astype(np.int64) * len(tasks[0]) + tasks[1]
    found, first, name = np.unique(both, return_index=True, return_inverse=True)
    order = np.argsort(first)  # of appearance
    pairs = [(models[0][pair // len(tasks[0])], tasks[0][pair % len(tasks[0])]) for pair in found[order].tolist()]
    return pairs, np.argsort(order)[name].astype(np.int32)


def _numbered_ids(ids: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    """Ids of our own records, where the second answer to a question has "#2" behind its id, and so on."""
    parts = pc.extract_regex(ids, r"^(?P<id>.*)#(?P<number>[1-9]\d{0,4})$")
    base, number = pc.struct_field(parts, "id"), pc.struct_field(parts, "number")
    repeated = pc.and_kleene(pc.is_valid(base), pc.is_in(base, ids))
    if not pc.any(repeated).as_py():
        return ids, None
    numbers = pc.cast(pc.if_else(repeated, number, "1"), pa.int64()).to_numpy(zero_copy_only=False) - 1
    return pc.if_else(repeated, base, ids), numbers.astype(np.int16)


def _wanted(plan: _Plan, options: Options) -> dict[str, str]:
    """Roles and columns of the texts that have to be read."""
    there = {role: plan.layout[role] for role in (*TEXTS, "aliases") if role in plan.layout}
    if options.texts:
        return there
    wanted = set()
    confidence = plan.numbers.get("confidence")
    if not np.isin(plan.grade, _SETTLED).all():
        wanted |= {"completion", "gold", "aliases", "question"}
    if confidence is None or np.isnan(confidence.values).any():
        wanted |= {"completion"}
    if "target" not in plan.layout:
        wanted |= {"prompt"}
    return {role: name for role, name in there.items() if role in wanted}


def _picked(whole: Batch, rows: slice) -> Batch:
    return replace(
        whole,
        place=whole.place[rows],
        id=whole.id[rows],
        name=whole.name[rows],
        grade=whole.grade[rows],
        confidence=whole.confidence.pick(rows),
        kind=whole.kind[rows],
        target=whole.target.pick(rows),
        repeat=None if whole.repeat is None else whole.repeat[rows],
    )


def _with_texts(batch: Batch, columns: Mapping[str, Values], wanted: Mapping[str, str]) -> Batch:
    texts = {role: columns[name] for role, name in wanted.items() if name in columns and len(columns[name])}
    if aliases := texts.pop("aliases", None):
        golds = texts.get("gold", [None] * len(batch))
        texts["gold"] = [_with_aliases(*pair) for pair in zip(_listed(golds), _listed(aliases), strict=True)]
    if "prompt" in texts and np.isnan(batch.target.values).all():
        batch.target = _stated(texts["prompt"])
    return replace(batch, texts=texts)


def _with_aliases(gold: Any, aliases: Any) -> Any:
    try:
        return [*answers_of(gold), *answers_of(aliases)]
    except ValueError:
        return gold


def _listed(values: Values) -> list[Any]:
    return values.to_pylist() if isinstance(values, pa.Array) else list(values)


def _stated(prompts: Values) -> Numbers:
    """The targets that prompts state."""
    if not isinstance(prompts, pa.Array) or not pa.types.is_string(prompts.type):
        return to_numbers([stated_target(text) if isinstance(text, str) else None for text in _listed(prompts)])
    found = Numbers.none(len(prompts))
    told = pc.or_(pc.match_substring(prompts, "confident"), pc.match_substring(prompts, GUESS_INSTRUCTION))
    rows = np.flatnonzero(told.fill_null(False).to_numpy(zero_copy_only=False))
    found.values[rows] = to_numbers([stated_target(text) for text in prompts.take(pa.array(rows)).to_pylist()]).values
    return found
