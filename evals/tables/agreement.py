"""How far a judge and the string grader agree, by the answers' length and by the letter of the right option."""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.metrics.intervals import share_interval
from abstain.evals.tables.document import Block, Heading
from abstain.evals.tables.formats import decimal, percent, percent_with_interval
from abstain.evals.tables.grid import Column, Grid

Row = Mapping[str, Any]
"""A group of answers, as in `abstain.rewards.judge.grader.agreement_with`."""
LEGEND = [
    ("agreed", "share of the answers to which judge and string grader give the same verdict, 95% interval"),
    (
        "judge alone",
        "share that only the judge calls right. Where it grows with the length, either the judge passes long wrong "
        "answers or the string grader fails long right ones: read some",
    ),
    ("strings alone", "share that only the string grader calls right"),
]
"""What the columns mean."""


def agreement_blocks(found: Row, label: str = "") -> list[Block]:
    """A table by length and, for multiple choice, one by the letter of the right option.

    Args:
        found: from `abstain.rewards.judge.grader.agreement_with`; without groups, as in earlier versions, it has none.
        label: whose answers, where there are several models.
    """
    blocks: list[Block] = []
    for of, (heading, column) in _GROUPS.items():
        if groups := found.get(f"by_{of}"):
            whose = f"{label}: " if label else ""
            blocks += [Heading(f"{whose}{heading}"), Grid.of([column, *_NUMBERS], groups)]
    return blocks


def _only(row: Row, side: int) -> float | None:
    """Share of the answers that one side alone calls right: 0 the judge, 1 the string grader."""
    if not row["n"]:
        return None
    pairs = [(pair.split("/"), count) for pair, count in row["pairs"].items()]
    alone = [count for pair, count in pairs if pair[side] == "CORRECT" and pair[1 - side] != "CORRECT"]
    return sum(alone) / row["n"]


def _agreed(row: Row) -> str:
    if not row["n"]:
        return percent(None)
    low, high = share_interval(round(row["agreed"] * row["n"]), row["n"])
    return percent_with_interval(row["agreed"], [float(low), float(high)])


_GROUPS = {
    "length": (
        "Judge and string grader, by the answer's length",
        Column("words", "words", lambda row: row["words"], is_label=True),
    ),
    "letter": (
        "Judge and string grader, by the letter of the right option",
        Column("right option", "right\noption", lambda row: row["letter"], is_label=True),
    ),
}
_NUMBERS: Sequence[Column] = (
    Column("answers", "answers", lambda row: f"{row['n']:,}"),
    Column("agreed", "agreed", _agreed),
    Column("kappa", "kappa", lambda row: decimal(row["kappa"], 2)),
    Column("judge alone", "judge\nalone", lambda row: percent(_only(row, 0))),
    Column("strings alone", "strings\nalone", lambda row: percent(_only(row, 1))),
    Column("not judged", "not\njudged", lambda row: f"{row['left_out']:,}"),
)
