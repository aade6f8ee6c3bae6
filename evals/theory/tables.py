"""What `measure_theory` found, for people: numbers with their intervals, and what each says and does not say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from abstain.evals.records import read_json
from abstain.evals.tables.document import Block, Format, Heading, Notes, render_tables
from abstain.evals.tables.formats import decimal, interval
from abstain.evals.tables.grid import MISSING, Column, Grid

FILE = "theory.json"


class _Number(BaseModel):
    key: str
    label: str
    value: float | None
    says: str
    says_not: str
    low: float | None
    high: float | None


class _Theory(BaseModel):
    model: str
    task: str
    target: float
    n: int
    answers: list[int] = Field(min_length=2, max_length=2)
    numbers: list[_Number]


def read_theory(path: str | Path) -> dict[str, Any]:
    """The contents of a `theory.json`, as far as tables and reports show them.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is something else.
    """
    try:
        return _Theory.model_validate(read_json(path)).model_dump()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ValueError(f"{path} is not the theory.json of `abstain theory`: {where}: {first['msg']}") from None


def render_theory(found: Mapping[str, Any], format: Format = "text", *, width: int = 100, color: bool = False) -> str:
    """The numbers in one of the formats of tables, ending in a newline.

    Args:
        found: contents of a `theory.json`.
        format: "text", "markdown" or "latex" for all of it; "json" is `found` itself, "csv" a row for each number.
        width, color: as in `abstain.evals.tables.document.render_tables`.

    Raises:
        ValueError: an unknown format.
    """
    caption = f"The theory, measured: {found['model']} on {found['n']:,} questions of {found['task']}."
    rows = [dict(row) for row in found["numbers"]]
    return render_tables(_blocks(found), format, rows=rows, data=found, caption=caption, width=width, color=color)


def _blocks(found: Mapping[str, Any]) -> list[Block]:
    fewest, most = found["answers"]
    listed = f"{most}" if fewest == most else f"{fewest} to {most}"
    heading = Heading(
        f"The theory, measured: {found['model']} on {found['n']:,} questions of {found['task']}",
        f"each answered from a list of {listed}; prompts state t = {found['target']:g}; 95 % intervals over questions",
        is_title=True,
    )
    numbers = found["numbers"]
    meanings = [(row["label"], f"{row['says']}\nNot: {row['says_not']}") for row in numbers]
    return [heading, Grid.of(_COLUMNS, numbers), Notes(meanings)]


def _ends(row: Mapping[str, Any]) -> str:
    return MISSING if row["low"] is None else interval([row["low"], row["high"]], 3)


_COLUMNS = (
    Column("number", "number", lambda row: row["label"], is_label=True),
    Column("measured", "measured", lambda row: decimal(row["value"])),
    Column("interval", "interval", _ends),
)
