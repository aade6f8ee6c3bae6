"""Labelled claims for people: what a file holds, answers strictly and softly, and claims at every target."""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.metrics.schema import OVERALL
from abstain.evals.tables.document import Block, Format, Heading, Notes, render_tables
from abstain.evals.tables.formats import decimal, percent, percent_with_interval, schema_column
from abstain.evals.tables.grid import Column, Grid
from abstain.evals.tables.table import TARGET, UNGRADED, split_interval
from abstain.rewards.claims.claim import Support

_LEGEND = (
    ("strict", "one claim that nothing supports makes the answer so: Contradiction before Neutral before Entailment"),
    ("major", "the label that most claims of an answer have; of two that tie the worse"),
    ("soft", "the mean over answers of the share of their claims"),
    ("neutral", "nothing supports it, and nothing contradicts it: a mistake, as a contradiction is"),
    ("silent", "answers without a claim: they have abstained, and are no perfect score"),
    ("score", "points per claim: 1 if supported, −t/(1−t) if not, 0 if left out; points: those of an answer's claims"),
)


def render_labelled(found: Sequence[Mapping[str, Any]], format: Format = "text", *, width: int = 100,
                    color: bool = False) -> str:  # fmt: skip
    """Files of labelled claims in one of the formats of tables, ending in a newline.

    Args:
        found: of each file, as `abstain.evals.claims.labelled.measure_labelled` returns it.
        format: csv has a row for each file, target and policy; json is `found` itself.
        width, color: as in `abstain.evals.tables.document.render_tables`.
    """
    rows = [{"model": one["model"], **split_interval(row)} for one in found for row in one["by_target"]]
    blocks: list[Block] = [
        Heading("Long answers, claim by claim", is_title=True),
        Grid.of(_FILES, found),
        Heading("Whole answers", "shares of the answers that were taken apart"),
        Grid.of(_WHOLE, [{"model": one["model"], "how": how, **one[how]} for one in found for how in _HOW],
                keys=2, grouped=True),
        Heading("Claims at each target"),
        Grid.of(_CLAIMS, [{"model": one["model"], **row} for one in found for row in one["by_target"]],
                keys=3, grouped=True),
    ]  # fmt: skip
    lengths = [{"model": one["model"], **row} for one in found for row in one["by_length"]]
    if lengths:
        blocks += [Heading("By how many claims an answer makes"), Grid.of(_LENGTHS, lengths, keys=2, grouped=True)]
    sure = [one for one in found if one["confidence_n"]]
    if sure:
        blocks += [Heading("Confidence in claims"), Grid.of(_SURE, sure)]
    problems = [(one["model"], f"{count:,} × {kind}") for one in found for kind, count in one["problems"].items()]
    data = list(found)
    caption = "Long answers, claim by claim."
    notes = Notes([*_LEGEND, *problems])
    return render_tables([*blocks, notes], format, rows=rows, data=data, caption=caption, width=width, color=color)


_HOW = ("strict", "major", "soft")
_MODEL = Column("model", "model", lambda row: row["model"], is_label=True)


def _count(key: str, heading: str | None = None) -> Column:
    return Column(heading or key, heading or key, lambda row: f"{row[key]:,}")


def _share(key: str, heading: str) -> Column:
    return Column(heading, heading, lambda row: percent(row.get(key)))


_FILES = (
    _MODEL,
    _count("n", "answers"),
    *map(_count, ("silent", "ungraded", "claims", "supported", "neutral", "contradicted", "unchecked")),
    *map(_count, ("repeated", "irrelevant")),
)
_WHOLE = (
    _MODEL,
    Column("aggregation", "aggregation", lambda row: row["how"], is_label=True),
    *(_share(label.value, label.value) for label in Support),
    _share("Abstain", "silent"),
)
_CLAIMS = (
    _MODEL,
    TARGET,
    Column("policy", "policy", lambda row: row["policy"], is_label=True),
    *map(schema_column, ("abstained", "correct", "incorrect", "accuracy_attempted", "score", "score_ci")),
    Column("points per answer", "points,\nper answer", lambda row: decimal(row["points_per_answer"], 2)),
    UNGRADED,
)
_LENGTHS = (
    _MODEL,
    Column("claims", "claims", lambda row: row["claims"], is_label=True),
    _count("n", "answers"),
    Column("strictly right", "strictly\nright", lambda row: percent_with_interval(row["strict"], row["strict_ci"])),
    _share("soft", "claims right"),
)
_SURE = (
    _MODEL,
    _count("confidence_n", "claims"),
    *(schema_column(key, OVERALL) for key in ("auroc", "aurc", "ece", "brier")),
)
