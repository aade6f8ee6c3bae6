"""Plain logs: JSON lines, JSON, CSV, TSV or Parquet with a row for each answer, or a row of counts for each model.

{"id": "q1", "verdict": "NOT_ATTEMPTED", "confidence": 0.2}      an answer
model,abstained,correct,incorrect                                counts, or rates
o4-mini,1 %,24 %,75 %
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abstain.evals.files import csv_blocks, json_lines, parquet_blocks
from abstain.evals.logs.batch import Batch, Options, Problems, place_name, stated_target
from abstain.evals.logs.grades import ABSTAINED, CORRECT, INCORRECT, LETTERS, MINUS, NONE, UNREADABLE, ZERO, read_grade
from abstain.evals.records import FIELDS
from abstain.evals.tasks.columns import ID, QUESTION, plain_name
from abstain.rewards.errors import nearest

NAME = "plain rows"
ROLES = {
    "grade": (
        *("verdict", "grade", "grade_letter", "is_correct", "correct", "correctness", "score", "acc", "accuracy"),
        *("exact_match", "em", "judgement", "judgment", "judge", "evaluation", "passed"),
    ),
    "confidence": (
        *("confidence", "conf", "stated_confidence", "verbalized_confidence", "verbalised_confidence", "p_correct"),
        *("probability", "prob", "p_true", "max_prob"),
    ),
    "target": ("confidence_target", "target_confidence", "stated_target", "t", "target"),
    "completion": (
        *("completion", "response", "model_response", "model_output", "prediction", "predicted_answer", "predicted"),
        *("model_answer", "llm_answer", "generated_text", "generation", "output", "pred", "answer"),
    ),
    "gold": (
        *("gold", "gold_answer", "gold_answers", "golden_answers", "answers", "correct_answer", "correct_answers"),
        *("best_answer", "reference", "references", "reference_answer", "expected", "expected_answer", "ground_truth"),
        *("ideal", "target", "targets", "answer"),
    ),
    "question": QUESTION,
    "id": (*ID, "sample_id", "doc_id", "idx", "index"),
    "model": ("model", "model_name", "model_id", "system"),
    "task": ("task", "benchmark", "dataset", "task_name"),
    "repeat": ("repeat", "epoch", "trial", "sample_index"),
    "prompt": ("prompt", "full_prompt"),
}
"""What a column can be, and the names that such columns usually have."""
OUTCOMES = {
    "correct": ("correct", "right", "is_correct", "accuracy"),
    "incorrect": ("incorrect", "wrong", "is_incorrect", "error", "error_rate", "errors", "hallucination_rate"),
    "abstained": ("abstained", "not_attempted", "is_not_attempted", "abstention", "abstention_rate", "idk", "abstain"),
    "ungraded": ("ungraded",),
    "n": ("n", "questions", "total", "n_questions"),
}
Layout = dict[str, str]
"""Role to the name of its column."""
_LETTER_MEANINGS = {
    "simpleqa": {"A": CORRECT, "B": INCORRECT, "C": ABSTAINED},
    "inspect": {"C": CORRECT, "I": ZERO, "P": ZERO, "N": ABSTAINED},
}
_HOT = (1, "1", "1.0", "True", "true")
_ROUNDING = 0.021  # published rates are rounded, and need not sum to 100 %
Blocks = Iterable[tuple[list[int], dict[str, list[Any]]]]
"""Lines or row numbers, and columns, some rows at a time."""


def find_layout(columns: Mapping[str, Sequence[Any]], named: Mapping[str, str], where: str) -> Layout:
    """The column of each role that is there.

    Args:
        columns: names to the values of the first rows.
        named: role to column, as the user has it; these win.
        where: the file, for messages.

    Raises:
        ValueError: a role that does not exist, or a column that the file does not have.

    Example:
        >>> rows = {"query": ["Capital of Peru?"], "gold_answer": ["Lima"], "answer": ["Quito"], "grade_letter": ["B"]}
        >>> layout = find_layout(rows, {}, "log.jsonl")
        >>> layout["completion"], layout["gold"], layout["grade"], layout["question"]
        ('answer', 'gold_answer', 'grade_letter', 'query')
    """
    for role, column in named.items():
        if role not in ROLES:
            raise ValueError(f"no column has the role {role!r}. {nearest(role, ROLES)}")
        if column not in columns:
            raise ValueError(f"{where}: no column {column!r} for the {role}. {nearest(column, columns)}")
    plain = {plain_name(name): name for name in reversed(list(columns))}
    layout = dict(named)
    for role in ("target", "gold", *ROLES):  # what `target` and `answer` mean depends on what else there is
        taken = set(layout.values()) if role != "prompt" else set()
        for guess in ROLES[role]:
            name = plain.get(guess)
            if role not in layout and name and name not in taken and _fits(role, guess, columns, layout, plain):
                layout[role] = name
    return layout


def _fits(
    role: str, guess: str, columns: Mapping[str, Sequence[Any]], layout: Layout, plain: Mapping[str, str]
) -> bool:
    values = [value for value in columns[plain[guess]] if value is not None and value != ""]
    if role == "target":
        return _are_targets(values, guess, certain=guess != "target" or "verdict" in plain)
    if role == "gold" and guess == "answer":  # the gold only if the model's answer has another column
        return any(name in plain for name in ROLES["completion"] if name != "answer")
    if role == "grade" and guess in ("correct", "accuracy"):
        return not any(isinstance(value, str) and len(value) > 40 for value in values)
    return True


def _are_targets(values: Sequence[Any], guess: str, certain: bool) -> bool:
    """Whether a column states confidence targets rather than gold answers that happen to be numbers."""
    try:
        numbers = [float(value) for value in values if not isinstance(value, bool)]
    except (TypeError, ValueError):
        return False
    inside = sum(0 <= number < 1 for number in numbers)
    if len(guess) > len("target"):  # no other column is called so, and a few bad values are told about
        return 2 * inside > len(values)
    if inside < len(values) or not numbers:
        return False
    return certain or any(number > 0 for number in numbers)


def outcome_columns(columns: Mapping[str, Sequence[Any]]) -> Layout:
    """The columns that count right and wrong answers apart, if there are both.

    Example:
        >>> outcome_columns({"model": ["m"], "Abstained": [52], "Correct": [22], "Error": [26]})
        {'correct': 'Correct', 'incorrect': 'Error', 'abstained': 'Abstained'}
        >>> outcome_columns({"model": ["m"], "correct": [1]})
        {}
    """
    plain = {plain_name(name): name for name in reversed(list(columns))}
    found = {}
    for outcome, guesses in OUTCOMES.items():
        name = next((plain[guess] for guess in guesses if guess in plain and _are_counts(columns[plain[guess]])), None)
        if name:
            found[outcome] = name
    return found if "correct" in found and "incorrect" in found else {}


def _are_counts(values: Sequence[Any]) -> bool:
    known = [value for value in values if value not in (None, "")]
    return 2 * sum(read_count(value) is not None for value in known) > len(known)


def read_count(value: Any) -> float | None:
    """A count or a rate; "52 %" is .52.

    Example:
        >>> read_count("52 %"), read_count("1,024"), read_count(True), read_count("many")
        (0.52, 1024.0, 1.0, None)
    """
    text = str(value).strip().replace(",", "") if isinstance(value, str) else value
    try:
        if isinstance(text, str) and text.endswith("%"):
            return float(text[:-1]) / 100
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < 1e15 else None


# Tables of results: how often each model was right, wrong and abstained, as counts or as rates.


@dataclass(frozen=True)
class Summary:
    """How often a model was right, wrong, abstained and ungraded.

    Args:
        model, task: "" where the table does not say.
        shares: of all questions, in the order of `Verdict`.
        n: questions, or `None` if only rates are known: then there is no interval.
    """

    model: str
    task: str
    shares: tuple[float, float, float, float]
    n: int | None


def is_summary(columns: Mapping[str, list[Any]]) -> bool:
    """Whether rows are counts of a model's answers rather than answers."""
    plain = {name.strip().lower() for name in columns}
    per_answer = {name for role in ("id", "completion", "question", "prompt") for name in ROLES[role]}
    return bool(outcome_columns(columns)) and not plain & (per_answer - {"index", "idx"})


def summaries(
    path: Path, unit: str, places: list[int], columns: Mapping[str, list[Any]], problems: Problems
) -> Iterator[Summary]:
    """The summaries in a table; rows that are none are named and skipped."""
    layout = outcome_columns(columns)
    by_role = [[name for name in columns if name.strip().lower() in ROLES[role]] for role in ("model", "task")]
    for row, place in enumerate(places):
        model, task = (str(columns[names[0]][row] or "") if names else "" for names in by_role)
        counts = {outcome: read_count(columns[name][row]) for outcome, name in layout.items()}
        try:
            shares, n = _shares(counts)
        except ValueError as error:
            problems.add(path, "not a summary", f"{place_name(path, unit, place)}: {error}")
            continue
        yield Summary(model, task, shares, n)
    if any(outcome != name.lower() for outcome, name in layout.items()):
        used = ", ".join(f"{outcome} = {name}" for outcome, name in layout.items())
        problems.note(path, f"a table of results, read as {used}")


def _shares(counts: dict[str, float | None]) -> tuple[tuple[float, float, float, float], int | None]:
    """Shares and number of questions.

    Example:
        >>> _shares({"correct": 22, "incorrect": 26, "abstained": 52})
        ((0.22, 0.26, 0.52, 0.0), None)
        >>> _shares({"correct": 150, "incorrect": 50, "abstained": 200})
        ((0.375, 0.125, 0.5, 0.0), 400)
    """
    if counts.get("correct") is None or counts.get("incorrect") is None:
        raise ValueError("no number of correct or of incorrect answers")
    values = [counts.get(outcome) or 0.0 for outcome in OUTCOMES if outcome != "n"]
    total, n = sum(values), counts.get("n")
    full = next((full for full in (1.0, 100.0) if abs(total / full - 1) <= _ROUNDING), None)
    if full is None and counts.get("abstained") is None and (full := _whole(values, n)):
        values[2], total = full - total, full
    if full is None:
        full = total
        if n is None and all(value == int(value) for value in values):
            n = total
    if full <= 0 or (n is not None and (n < 1 or n != int(n))):
        raise ValueError(f"correct {values[0]:g}, incorrect {values[1]:g} and abstained {values[2]:g} are no counts")
    shares = tuple(value / total for value in values)
    return (shares[0], shares[1], shares[2], shares[3]), int(n) if n is not None else None


def _whole(values: list[float], n: float | None) -> float | None:
    """What right and wrong answers are a part of, where nobody says how many there were of the third kind."""
    if n and sum(values) <= n and all(value == int(value) for value in values):
        return n
    return next((full for full in (1.0, 100.0) if sum(values) < full), None)


# Rows of answers.


def read_jsonl(path: Path, options: Options, problems: Problems) -> Iterator[Batch | Summary]:
    """The rows of a JSONL file."""
    blocks = ((lines, _columns(rows)) for lines, rows in json_lines(path, problems.add))
    return _batches(path, "line", blocks, options, problems)


def read_list(path: Path, rows: list[Any], options: Options, problems: Problems) -> Iterator[Batch | Summary]:
    """The objects of a JSON list."""
    good = [(place, row) for place, row in enumerate(rows, 1) if isinstance(row, dict)]
    if len(good) < len(rows):
        place = next(place for place, row in enumerate(rows, 1) if not isinstance(row, dict))
        problems.add(path, "not a row", f"{path}: row {place}: not an object", count=len(rows) - len(good))
    block = [place for place, _ in good], _columns([row for _, row in good])
    return _batches(path, "row", [block], options, problems)


def read_csv(path: Path, options: Options, problems: Problems) -> Iterator[Batch | Summary]:
    """The rows of a CSV or TSV file."""
    return _batches(path, "line", _csv_columns(path, problems), options, problems)


def read_parquet(path: Path, options: Options, problems: Problems) -> Iterator[Batch | Summary]:
    """The rows of a Parquet file."""
    blocks = ((numbers, block.to_pydict()) for numbers, block in parquet_blocks(path))
    return _batches(path, "row", blocks, options, problems)


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _csv_columns(path: Path, problems: Problems) -> Blocks:
    for header, lines, rows in csv_blocks(path, problems.add):
        names, width = [name.strip() for name in header], len(header)
        if any(len(row) != width for row in rows):
            for line, row in zip(lines, rows, strict=True):
                if row and len(row) != width:
                    problems.add(path, "cells", f"{path}:{line}: {len(row)} cells where the header has {width}")
            lines = [line for line, row in zip(lines, rows, strict=True) if len(row) == width]
            rows = [row for row in rows if len(row) == width]
        yield lines, {name: _cells(column) for name, column in zip(names, zip(*rows, strict=True), strict=False)}


def _cells(column: tuple[str, ...]) -> list[str | None]:
    return [value or None for value in column] if "" in column else list(column)


@dataclass
class _Reader:
    """What the first rows have shown about a file."""

    path: Path
    layout: Layout
    one_hot: Layout
    grades: "_Grades"


def _batches(path: Path, unit: str, blocks: Blocks, options: Options, problems: Problems) -> Iterator[Batch | Summary]:
    reader: _Reader | None = None
    for places, columns in blocks:
        if not places:
            continue
        if reader is None:
            if is_summary(columns) and not options.columns:
                yield from summaries(path, unit, places, columns, problems)
                continue
            reader = _first_look(path, columns, options, problems)
        yield Batch(path, unit, _filled(path, unit, places, columns, reader, problems))


def _first_look(path: Path, columns: Mapping[str, list[Any]], options: Options, problems: Problems) -> _Reader:
    layout = find_layout(columns, options.columns, str(path))
    if options.metric:
        layout |= find_layout(columns, {**options.columns, "grade": options.metric}, str(path))
    one_hot = {} if "grade" in options.columns or options.metric else outcome_columns(columns)
    if "grade" not in layout and not one_hot and not {"gold", "completion"} <= set(layout):
        raise ValueError(
            f"{path}: no column with grades, and not both a gold and a model's answer to grade. Columns: "
            f"{', '.join(map(str, list(columns)[:20]))}. Name one with --column grade=NAME"
        )
    grades = _Grades(options.pass_mark)
    values = columns.get(layout.get("grade", ""), [])
    grades.settle(values, layout.get("grade", ""), trusted=set(FIELDS) <= set(columns))
    if grades.trouble:
        problems.add(path, "letters", f"{path}: {grades.trouble}; not read", lost=False)
    used = ", ".join(f"{role} = {name}" for role, name in layout.items() if role != name)
    if used:
        problems.note(path, f"read as {used}")
    return _Reader(path, layout, one_hot, grades)


class _Grades(dict[Any, int]):
    """Codes of values, looked up once for each distinct value."""

    def __init__(self, pass_mark: float | None) -> None:
        super().__init__()
        self.pass_mark = pass_mark
        self.meaning: dict[int, int] = {}
        self.trouble = ""

    def settle(self, values: list[Any], column: str, *, trusted: bool) -> None:
        """Decide from the first rows what letters, "incorrect", 0 and -1 mean in this file."""
        codes = set(self.codes(values))
        seen = {letter for letter, code in LETTERS.items() if code in codes}
        kind = next((kind for kind, meaning in _LETTER_MEANINGS.items() if seen and seen <= set(meaning)), "")
        if seen == {"C"}:
            kind = "simpleqa" if "letter" in column.lower() else ""
        for letter, code in LETTERS.items():
            self.meaning[code] = _LETTER_MEANINGS.get(kind, {}).get(letter, UNREADABLE)
        if seen and not kind:
            self.trouble = f"column {column!r} holds {', '.join(sorted(seen))}, which are no grades that are known"
            if seen == {"C"}:
                self.trouble = f"column {column!r} holds only C: SimpleQA's NOT_ATTEMPTED, or Inspect's CORRECT"
        if MINUS in codes:
            self.meaning |= {MINUS: INCORRECT, ZERO: ABSTAINED}  # 1, 0, -1: right, abstained, wrong
        elif not trusted and ABSTAINED not in codes and not seen:
            self.meaning[INCORRECT] = ZERO  # nothing says that these grades know abstentions
        self.clear()

    def __missing__(self, value: Any) -> int:
        code = read_grade(value, self.pass_mark)
        self[value] = code = self.meaning.get(code, code)
        return code

    def codes(self, values: list[Any]) -> list[int]:
        """The codes of a column."""
        if len(self) > 100_000:
            self.clear()
        try:
            return list(map(self.__getitem__, values))
        except TypeError:  # lists and objects are no keys, and no grades
            return [UNREADABLE if isinstance(value, list | dict) else self[value] for value in values]


def _filled(
    path: Path, unit: str, places: list[int], columns: Mapping[str, list[Any]], reader: _Reader, problems: Problems
) -> dict[str, list[Any]]:
    """The columns of a batch, by role."""
    size = len(places)
    found: dict[str, list[Any]] = {"place": places}
    for role in ("confidence", "target", "question", "gold", "prompt", "completion"):
        if reader.layout.get(role) in columns:
            found[role] = columns[reader.layout[role]]
    for role in ("model", "task"):
        values = columns.get(reader.layout.get(role, ""))
        found[role] = ["" if value is None else str(value) for value in values] if values else [""] * size
    ids = columns.get(reader.layout.get("id", "")) or places
    found["id"] = [str(place if value is None else value) for place, value in zip(places, ids, strict=True)]
    if repeats := columns.get(reader.layout.get("repeat", "")):
        found["repeat"] = [_small(value) for value in repeats]
    if "target" not in found and "prompt" in found:
        stated = [stated_target(prompt) if isinstance(prompt, str) else None for prompt in found["prompt"]]
        found |= {"target": stated} if any(target is not None for target in stated) else {}
    found["grade"] = _graded(columns, reader, size)
    return found


def _graded(columns: Mapping[str, list[Any]], reader: _Reader, size: int) -> list[int]:
    if reader.one_hot:
        outcomes = {"correct": CORRECT, "incorrect": INCORRECT, "abstained": ABSTAINED}
        hot = {code: columns.get(reader.one_hot.get(name, "")) for name, code in outcomes.items()}
        return [
            next((code for code, values in hot.items() if values and values[row] in _HOT), UNREADABLE)
            for row in range(size)
        ]
    values = columns.get(reader.layout.get("grade", ""))
    return reader.grades.codes(values) if values else [NONE] * size


def _small(value: Any) -> int:
    try:
        return max(0, min(int(value), 30_000))
    except (TypeError, ValueError, OverflowError):
        return 0
