"""The table: a row per target, and per model where there are several, so that before stands above after.

Every row carries what keeps it honest: the always-answer score, the regret to the oracle, an interval and the share
that could not be graded. Below stand the numbers that are of no one target: mean regrets, and how good the confidence
is.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from abstain.evals.metrics.schema import Metrics
from abstain.evals.tables.footnotes import footer
from abstain.evals.tables.grid import MISSING, Column, Grid, latex_lines, latex_text, markdown_lines, text_lines
from abstain.rewards.errors import nearest

Format = Literal["text", "markdown", "latex", "csv", "json"]
Row = Mapping[str, Any]


def _rate(key: str) -> Callable[[Row], str]:
    return lambda row: MISSING if row[key] is None else f"{row[key]:.1%}"


def _points(key: str) -> Callable[[Row], str]:
    return lambda row: MISSING if row.get(key) is None else f"{row[key]:z.3f}"


def _interval(row: Row) -> str:
    return MISSING if row["score_ci"] is None else "[{:z.2f}, {:z.2f}]".format(*row["score_ci"])


TARGET = Column("t", "t", lambda row: f"{row['target']:g}")
_LABEL = Column("model", "model", lambda row: row["label"], is_label=True)
UNGRADED = Column("ungraded", "un-\ngraded", _rate("ungraded"))
ANSWERED = (
    Column("abstained", "abstained", _rate("abstained")),
    Column("accuracy", "accuracy", _rate("correct")),
    Column("error", "error", _rate("incorrect")),
    Column("accuracy when attempted", "accuracy,\nattempted", _rate("accuracy_attempted")),
    Column("score", "score", _points("score")),
    Column("95% interval", "95%\ninterval", _interval),
)
_NUMBERS = (
    *ANSWERED,
    Column("regret", "regret", _points("regret")),
    Column("always answer", "always\nanswer", _points("always_answer_score")),
    UNGRADED,
)
_REGRET, _CONFIDENCE = "mean regret to", "confidence"
_OVERALL = (
    Column("mean regret to oracle", "oracle", _points("mean_regret"), group=_REGRET),
    Column("to threshold t", "threshold t", _points("mean_regret_fixed_threshold"), group=_REGRET),
    Column("to isotonic", "isotonic", _points("mean_regret_isotonic"), group=_REGRET),
    Column("to temperature", "temperature", _points("mean_regret_temperature"), group=_REGRET),
    Column("AUROC", "AUROC", _points("auroc"), group=_CONFIDENCE),
    Column("AURC", "AURC", _points("aurc"), group=_CONFIDENCE),
    Column("AUGRC", "AUGRC", _points("augrc"), group=_CONFIDENCE),
    Column("ECE", "ECE", _points("ece"), group=_CONFIDENCE),
    Column("smooth ECE", "smECE", _points("smooth_ece"), group=_CONFIDENCE),
    Column("Brier", "Brier", _points("brier"), group=_CONFIDENCE),
)


def render(
    metrics: Sequence[Metrics],
    format: Format = "text",
    *,
    labels: Sequence[str] | None = None,
    width: int = 100,
    color: bool = False,
) -> str:
    """The table of one model, or of several side by side, ending in a newline.

    Args:
        metrics: contents of `metrics.json` files, the starting model's first.
        format: "text", "markdown", "latex" (booktabs), or "csv" and "json" with every number in full.
        labels: what to call the models, such as "before" and "after"; their names by default.
        width: of the text table, in characters.
        color: whether the text may hold terminal colours.

    Raises:
        ValueError: an unknown format, nothing to show, or as many labels as there are models.
    """
    if format not in _RENDERERS:
        raise ValueError(f"unknown table format {format!r}. {nearest(format, _RENDERERS)}")
    names = list(labels or [one["model"] for one in metrics])
    if not metrics or len(names) != len(metrics):
        raise ValueError(f"a table needs one label for each model: {len(metrics)} models, {len(names)} labels")
    if format == "text":
        return _text(metrics, names, width, color)
    return _RENDERERS[format](metrics, names)


def rows(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[dict[str, Any]]:
    """One dict for each target and model, targets first."""
    found = [
        {"label": label, "model": one["model"], "task": one["task"], **row}
        for label, one in zip(labels, metrics, strict=True)
        for row in one["by_target"]
    ]
    return sorted(found, key=lambda row: row["target"])  # stable: models keep their order


def _grids(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[Grid]:
    """The table by target, and that of what is of no one target unless nothing of it is known."""
    several = len(metrics) > 1
    names = [_LABEL] if several else []
    by_target, first = rows(metrics, labels), labels[0]
    targets = Grid.of(
        [TARGET, *names, *_NUMBERS],
        by_target,
        keys=1 + several,
        grouped=several,
        dim=[several and row["label"] == first for row in by_target],
    )
    totals = [{"label": label, **one} for label, one in zip(labels, metrics, strict=True)]
    dim = [several and row["label"] == first for row in totals]
    overall = Grid.of([*names, *_OVERALL], totals, keys=int(several), grouped=False, dim=dim)
    return [targets, overall] if any(cell != MISSING for row in overall.cells for cell in row[several:]) else [targets]


def _text(metrics: Sequence[Metrics], labels: Sequence[str], width: int, color: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=color, no_color=not color, highlight=False)
    for grid in _grids(metrics, labels):
        for line in [*text_lines(grid, width), Text()]:
            console.print(line, soft_wrap=True)
    console.print(_notes_grid(metrics, labels))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _notes_grid(metrics: Sequence[Metrics], labels: Sequence[str]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=24, style="bold dim")
    grid.add_column(style="dim")
    for term, meaning in footer(metrics, labels):
        grid.add_row(Text(f" {term}"), Text(meaning))
    return grid


def _markdown(metrics: Sequence[Metrics], labels: Sequence[str]) -> str:
    lines = [line for grid in _grids(metrics, labels) for line in [*markdown_lines(grid), ""]]
    notes = [f"- **{term}**: {meaning}" for term, meaning in footer(metrics, labels)]
    return "\n".join([*lines, *notes]) + "\n"


def _latex(metrics: Sequence[Metrics], labels: Sequence[str]) -> str:
    about = dict.fromkeys(f"{one['n']:,} questions of {one['task']}" for one in metrics)
    level = f"{metrics[-1]['interval']['level']:.0%}"
    caption = f"Points per question at each confidence target t, with {level} bootstrap intervals: {', '.join(about)}."
    tables = ["\n".join(latex_lines(grid)) for grid in _grids(metrics, labels)]
    lines = [
        "% needs \\usepackage{booktabs}. What the columns mean:",
        *(f"% {latex_text(term)}: {latex_text(meaning)}" for term, meaning in footer(metrics, labels)),
        "\\begin{table}",
        "\\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}",
        f"\\caption{{{latex_text(caption)}}}\\medskip",
        "\n\n\\medskip\n".join(tables),
        "\\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _csv(metrics: Sequence[Metrics], labels: Sequence[str]) -> str:
    return csv_text([split_interval(row) for row in rows(metrics, labels)])


def csv_text(flat: Sequence[Row]) -> str:
    """Rows of plain values as CSV, with all columns that any of them has."""
    stream = io.StringIO()
    fields = dict.fromkeys(key for row in flat for key in row)
    writer = csv.DictWriter(stream, fieldnames=list(fields) or ["label"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return stream.getvalue()


def split_interval(row: Row) -> dict[str, Any]:
    """A row with the ends of its `score_ci` as `score_low` and `score_high`."""
    low, high = row["score_ci"] or (None, None)
    return {key: value for key, value in row.items() if key != "score_ci"} | {"score_low": low, "score_high": high}


def _json(metrics: Sequence[Metrics], labels: Sequence[str]) -> str:
    return json.dumps(rows(metrics, labels), indent=2, ensure_ascii=False) + "\n"


_RENDERERS: dict[str, Callable[..., str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
}
