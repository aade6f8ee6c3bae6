"""Whole long answers beside their claims: strictly, where one false claim makes an answer wrong, and softly."""

from collections.abc import Sequence

from abstain.evals.metrics.schema import Metrics
from abstain.evals.tables.document import Block, Heading
from abstain.evals.tables.formats import decimal, percent, percent_with_interval
from abstain.evals.tables.grid import Column, Grid

_LABEL = Column("model", "model", lambda row: row["label"], is_label=True)
_COLUMNS = (
    Column("claims per answer", "claims per\nanswer", lambda row: decimal(row["claims"], 2)),
    Column("claims true", "claims\ntrue", lambda row: percent(row["soft"])),
    Column("facts told", "facts\ntold", lambda row: percent(row["covered"])),
    Column("all true", "all true", lambda row: percent_with_interval(row["correct"], row["correct_ci"])),
    Column("with a mistake", "with a\nmistake", lambda row: percent(row["incorrect"])),
    Column("silent", "silent", lambda row: percent(row["abstained"])),
    Column("ungraded", "un-\ngraded", lambda row: percent(row["ungraded"])),
)


def whole_answer_blocks(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[Block]:
    """A table by target; nothing where no long answers were measured.

    Args:
        metrics: contents of `metrics.json` files.
        labels: what to call the models.
    """
    rows = [
        {"label": label, **row}
        for label, one in zip(labels, metrics, strict=True)
        for row in one.get("whole_answers") or ()
    ]
    if not rows:
        return []
    rows.sort(key=lambda row: row["target"])  # stable: models keep their order
    several = len(metrics) > 1
    target = Column("t", "t", lambda row: f"{row['target']:g}")
    columns = [target, *([_LABEL] if several else []), *_COLUMNS]
    heading = Heading("Whole answers", "above, a row counts claims; here one false claim makes an answer wrong")
    return [heading, Grid.of(columns, rows, keys=1 + several, grouped=several)]
