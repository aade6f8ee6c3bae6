"""What `measure_theory` found, for people: numbers with their intervals, and what each says and does not say."""

from collections.abc import Mapping
from typing import Any

from abstain.evals.tables.document import Block, Format, Heading, Notes, render_tables
from abstain.evals.tables.formats import decimal, interval
from abstain.evals.tables.grid import MISSING, Column, Grid


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
