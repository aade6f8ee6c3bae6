"""The table: a row per target, and per model where there are several, so that before stands above after.

Every row carries what keeps it honest: the always-answer score, the regret to the oracle, an interval and the share
that could not be graded.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from abstain.evals.footnotes import MISSING, Metrics, footer
from abstain.rewards.errors import nearest

Format = Literal["text", "markdown", "latex", "csv", "json"]
Row = Mapping[str, Any]
_LABEL_MINIMUM = 8


@dataclass(frozen=True)
class Column:
    """A column: its heading, the same broken into two lines for terminals, and how a row fills it."""

    heading: str
    broken: str
    cell: Callable[[Row], str]


def _rate(key: str) -> Callable[[Row], str]:
    return lambda row: MISSING if row[key] is None else f"{row[key]:.1%}"


def _points(key: str) -> Callable[[Row], str]:
    return lambda row: MISSING if row[key] is None else f"{row[key]:z.3f}"


def _interval(row: Row) -> str:
    return MISSING if row["score_ci"] is None else "[{:z.2f}, {:z.2f}]".format(*row["score_ci"])


_TARGET = Column("t", "t", lambda row: f"{row['target']:g}")
_LABEL = Column("model", "model", lambda row: row["label"])
_NUMBERS = (
    Column("abstained", "abstained", _rate("abstained")),
    Column("accuracy", "accuracy", _rate("correct")),
    Column("error", "error", _rate("incorrect")),
    Column("accuracy when attempted", "accuracy,\nattempted", _rate("accuracy_attempted")),
    Column("score", "score", _points("score")),
    Column("95% interval", "95%\ninterval", _interval),
    Column("regret", "regret", _points("regret")),
    Column("always answer", "always\nanswer", _points("always_answer_score")),
    Column("ungraded", "un-\ngraded", _rate("ungraded")),
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


def _cells(metrics: Sequence[Metrics], labels: Sequence[str]) -> tuple[list[Column], list[list[str]]]:
    columns = [_TARGET, *([_LABEL] if len(metrics) > 1 else []), *_NUMBERS]
    return columns, [[column.cell(row) for column in columns] for row in rows(metrics, labels)]


def _text(metrics: Sequence[Metrics], labels: Sequence[str], width: int, color: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=color, no_color=not color, highlight=False)
    for line in _text_lines(metrics, labels, width):
        console.print(line, soft_wrap=True)
    console.print("", _notes_grid(metrics, labels), sep="\n")
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _text_lines(metrics: Sequence[Metrics], labels: Sequence[str], width: int) -> Iterator[Text]:
    columns, cells = _cells(metrics, labels)
    heads = [["", *column.broken.split("\n")][-2:] for column in columns]
    sizes = [max(map(len, (*head, *column))) for head, column in zip(heads, zip(*cells, strict=True), strict=True)]
    gap = _make_room(sizes, width, 1 if _LABEL in columns else None)
    for head in zip(*heads, strict=True):
        yield Text(" " + gap.join(_aligned(head, columns, sizes)), "bold")
    yield Text(" " + "─" * (sum(sizes) + len(gap) * (len(sizes) - 1)), "dim")
    previous = None
    for row in cells:
        if len(metrics) > 1 and previous not in (None, row[0]):
            yield Text()
        shown = ["" if row[0] == previous else row[0], *row[1:]]
        style = "dim" if len(metrics) > 1 and row[1] == labels[0] else ""
        yield Text(" " + gap.join(_aligned(shown, columns, sizes)), style)
        previous = row[0]


def _make_room(sizes: list[int], width: int, labels: int | None) -> str:
    """Shorten the column of labels if the table is too wide, and return the gap between columns that then fits."""
    for gap in ("  ", " "):
        excess = 1 + sum(sizes) + len(gap) * (len(sizes) - 1) - width
        spare = max(0, sizes[labels] - _LABEL_MINIMUM) if labels is not None else 0
        if excess <= spare:
            break
    if labels is not None:
        sizes[labels] -= min(spare, max(0, excess))
    return gap


def _aligned(cells: Sequence[str], columns: Sequence[Column], sizes: Sequence[int]) -> list[str]:
    fitted = [cell if len(cell) <= size else cell[: size - 1] + "…" for cell, size in zip(cells, sizes, strict=True)]
    lines_up = zip(fitted, columns, sizes, strict=True)
    return [cell.ljust(size) if column is _LABEL else cell.rjust(size) for cell, column, size in lines_up]


def _notes_grid(metrics: Sequence[Metrics], labels: Sequence[str]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=24, style="bold dim")
    grid.add_column(style="dim")
    for term, meaning in footer(metrics, labels):
        grid.add_row(Text(f" {term}"), Text(meaning))
    return grid


def _markdown(metrics: Sequence[Metrics], labels: Sequence[str]) -> str:
    columns, cells = _cells(metrics, labels)
    grid = [[column.heading for column in columns], *cells]
    grid = [[cell.replace("|", "\\|") for cell in row] for row in grid]
    sizes = [max(3, *map(len, column)) for column in zip(*grid, strict=True)]
    lines = [f"| {' | '.join(_aligned(row, columns, sizes))} |" for row in grid]
    rule = "|".join("-" * (n + 1) + ("-" if c is _LABEL else ":") for c, n in zip(columns, sizes, strict=True))
    notes = [f"- **{term}**: {meaning}" for term, meaning in footer(metrics, labels)]
    return "\n".join([lines[0], f"|{rule}|", *lines[1:], "", *notes]) + "\n"


def _latex(metrics: Sequence[Metrics], labels: Sequence[str]) -> str:
    columns, cells = _cells(metrics, labels)
    align = "".join("l" if column is _LABEL else "r" for column in columns)
    heading = " & ".join(_latex_cell(column.heading, _LABEL) for column in columns)
    lines = [f"% {term}: {meaning}" for term, meaning in footer(metrics, labels)]
    lines += [f"\\begin{{tabular}}{{{align}}}", "\\toprule", heading + r" \\", "\\midrule"]
    for place, row in enumerate(cells):
        if place and len(metrics) > 1 and cells[place - 1][0] != row[0]:
            lines.append("\\addlinespace")
        lines.append(" & ".join(map(_latex_cell, row, columns)) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def _latex_cell(cell: str, column: Column) -> str:
    if column is not _LABEL and cell.startswith(("-", "[")):
        return f"${cell}$"  # a minus, not a hyphen
    special = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", MISSING: "--"}
    special |= {character: f"\\{character}" for character in "&%$#_{}"}
    return "".join(special.get(character, character) for character in cell)


def _csv(metrics: Sequence[Metrics], labels: Sequence[str]) -> str:
    flat = [_split_interval(row) for row in rows(metrics, labels)]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(flat[0]) if flat else ["label"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return stream.getvalue()


def _split_interval(row: Row) -> dict[str, Any]:
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
