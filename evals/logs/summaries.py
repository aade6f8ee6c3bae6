"""Tables of results: how often each model was right, wrong and abstained, as counts or as rates.

model,abstained,correct,incorrect
o4-mini,1 %,24 %,75 %
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abstain.evals.logs.batch import Problems, place_name
from abstain.evals.logs.layout import OUTCOMES, ROLES, outcome_columns, roles_of
from abstain.evals.logs.survey import Column, read_count

_NAMES = (*ROLES["model"], *ROLES["task"])
_ONE_OR_NONE = (0, 1, "0", "1", True, False, "True", "False", "true", "false", "", None)
_ROUNDING = 0.021  # published rates are rounded, and need not sum to 100 %


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
    """Whether rows are counts of a model's answers rather than answers.

    Example:
        >>> is_summary({"model": ["a", "b"], "correct": [22, 24], "incorrect": [26, 75]})
        True
        >>> is_summary({"model": ["a", "a"], "correct": [1, 0], "incorrect": [0, 1]})
        False
    """
    plain = {name.strip().lower() for name in columns}
    per_answer = {name for role in ("id", "completion", "question", "prompt") for name in ROLES[role]}
    if plain & (per_answer - {"index", "idx"}) or not (layout := _outcomes(columns)):
        return False
    names = list(zip(*(columns[name] for name in columns if name.strip().lower() in _NAMES), strict=True))
    alone = len(set(map(str, names))) == len(names) if names else len(columns[layout["correct"]]) == 1
    return alone or not all(value in _ONE_OR_NONE for name in layout.values() for value in columns[name])


def _outcomes(columns: Mapping[str, list[Any]]) -> dict[str, str]:
    found = {}
    for name, values in columns.items():
        if "outcome" in roles_of(name):
            found[name] = Column(["outcome"])
            found[name].add(values)
    return outcome_columns(found)


def summaries(
    path: Path, unit: str, places: list[int], columns: Mapping[str, list[Any]], problems: Problems
) -> Iterator[Summary]:
    """The summaries in a table; rows that are none are named and skipped."""
    layout = _outcomes(columns)
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
