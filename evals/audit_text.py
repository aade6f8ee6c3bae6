"""An audit for people: verdicts first, then the numbers they rest on. `render_audit(found, "text")`."""

import io
import json
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from abstain.evals.audit_tables import WORDING, Cells, Row, legend, points, rate, tables, target_table
from abstain.evals.grid import Column, Grid, latex_lines, latex_text, markdown_lines, text_lines
from abstain.evals.table import Format, csv_text
from abstain.rewards.errors import nearest


def render_audit(found: Row, format: Format = "text", *, width: int = 100, color: bool = False) -> str:
    """An audit in one of the formats of tables, ending in a newline.

    Args:
        found: contents of an `audit.json`.
        format: "text" or "markdown" for all of it; "json" is `found` itself; "csv" and "latex" hold a row per target.
        width: of the text, in characters.
        color: whether the text may hold terminal colours.

    Raises:
        ValueError: an unknown format.
    """
    if format not in _RENDERERS:
        raise ValueError(f"unknown format {format!r}. {nearest(format, _RENDERERS)}")
    return _text(found, width, color) if format == "text" else _RENDERERS[format](found)


def verdicts(found: Row) -> list[str]:
    """Every verdict: of each target, on abstention's rise, and on wording."""
    return [*(row["verdict"] for row in found["by_target"]), found["rise"]["verdict"], found["wordings"]["verdict"]]


def _heading(found: Row) -> str:
    model, task = found["model"], found["task"]
    return f"Behavioral-calibration audit of {model} on {found['n']:,} questions of {task}"


def _probe_line(found: Row) -> str:
    probe = found["probe"]
    numbers = [(rate(probe["accuracy"]), "right"), (points(probe["auroc"]), "AUROC")]
    return f"P(correct) by {probe['what']} ({', '.join(f'{value} {name}' for value, name in numbers)})"


def _text(found: Row, width: int, color: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=color, no_color=not color, highlight=False)
    console.print(Padding(Text(_heading(found), "bold"), (0, 0, 0, 1)))
    console.print(Padding(Text(_probe_line(found), "dim"), (0, 0, 1, 1)))
    for sentence in verdicts(found):
        console.print(_hanging(" •", "bold", sentence, ""))
    for cells in tables(found):
        console.print("", *text_lines(_grid(cells), width), sep="\n")
    console.print()
    for term, meaning in [*legend(found), *(("note", note) for note in found["notes"])]:
        console.print(_hanging(f" {term}".ljust(17), "bold dim", meaning, "dim"))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _hanging(term: str, term_style: str, meaning: str, style: str) -> Table:
    """A term, and its meaning wrapped beside it."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(style=term_style, no_wrap=True)
    grid.add_column(style=style)
    grid.add_row(Text(term), Text(meaning))
    return grid


def _grid(cells: Cells) -> Grid:
    columns = [Column(_one_line(head), head, str, is_label=head == WORDING) for head in cells[0]]
    keys = 2 if cells[0][0] == WORDING else 1
    return Grid(columns, cells[1:], keys, grouped=False, dim=[False] * len(cells[1:]))


def _markdown(found: Row) -> str:
    parts = [f"# {_heading(found)}", f"{_probe_line(found)}"]
    parts += ["\n".join(f"- {sentence}" for sentence in verdicts(found)), "![plots of all that follows](audit.png)"]
    parts += ["\n".join(markdown_lines(_grid(cells))) for cells in tables(found)]
    parts.append("\n".join(f"- **{term}**: {meaning}" for term, meaning in legend(found)))
    parts += ["\n".join(f"- {note}" for note in found["notes"])] if found["notes"] else []
    return "\n\n".join(parts) + "\n"


def _one_line(head: str) -> str:
    """A heading that was broken for the terminal."""
    return head.replace("-\n", "").replace("\n", " ")


def _csv(found: Row) -> str:
    return csv_text([_flat(row) for row in found["by_target"]])


def _flat(row: Row) -> dict[str, Any]:
    """A row with both ends of an interval in columns of their own."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith(("_ci", "_bracket")):
            found[f"{name}_low"], found[f"{name}_high"] = value or (None, None)
        elif name != "bands":
            found[name] = value
    return found


def _latex(found: Row) -> str:
    return "\n".join([f"% {latex_text(_heading(found))}", *latex_lines(_grid(target_table(found)))]) + "\n"


def _json(found: Row) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


_RENDERERS: dict[str, Callable[..., str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
}
