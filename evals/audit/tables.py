"""The tables of an audit as cells of text, and what their columns mean. Headings are broken for terminals."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from abstain.evals.audit.verdict import holds
from abstain.evals.tables.grid import MISSING, Column, Grid, latex_lines, latex_text, markdown_lines, text_lines
from abstain.evals.tables.table import Format, csv_text
from abstain.rewards.errors import nearest

Row = Mapping[str, Any]
Cells = list[list[str]]
_MARKS = {True: "yes", False: "no", None: "?"}
WORDING = "wording"
_OTHERWISE = "otherwise"
_LEGEND = [
    ("silent", "share of questions it leaves unanswered; called for: share whose P(correct) is t or less"),
    ("right", "of what it answers; should be t or more (yes, no, or ? where the interval leaves it open)"),
    ("unanswered", "share that forced answers get right of what it left unanswered; should be t or less"),
    ("answers above", "the effective threshold: the P(correct) above which it answers; should be t"),
    ("selectivity", "how it chooses what to answer: 1 as a threshold on P(correct) would, 0 at random"),
    ("decided rightly", "share of questions answered if, and only if, their P(correct) is above t"),
    ("given up", "answered at the lower target, not at the higher: should be right between the two"),
    (_OTHERWISE, "share of questions answered in one wording and not in the other, at the same target"),
    ("interval", "95 %, by question: Wilson's for shares, bootstrap for differences and thresholds"),
]


def tables(found: Row) -> list[Cells]:
    """Those that have rows: by target, by step, by wording, and the scores."""
    found_tables = (target_table(found), _step_table(found), _wording_table(found), _score_table(found))
    return [cells for cells in found_tables if len(cells) > 1]


def legend(found: Row) -> list[tuple[str, str]]:
    """What the columns mean that are there, as terms and meanings."""
    return [pair for pair in _LEGEND if pair[0] != _OTHERWISE or found["wordings"]["rows"]]


def target_table(found: Row) -> Cells:
    """One row per target, headings first."""
    heads = ["t", "silent", "called\nfor", "right", "≥ t", "un-\nanswered", "≤ t", "answers\nabove"]
    heads += ["selec-\ntivity", "decided\nrightly"]
    return [heads, *(_target_cells(row) for row in found["by_target"])]


def _target_cells(row: Row) -> list[str]:
    cells = [
        f"{row['target']:g}",
        rate(row["abstained"]),
        rate(row["called_for"]),
        _interval(row["accuracy_attempted"], row["accuracy_attempted_ci"]),
        _MARKS[holds(row["accuracy_attempted_ci"], row["target"])],
        _interval(row["silent_would_be_right"], row["silent_would_be_right_ci"]),
        _MARKS[holds(row["silent_would_be_right_ci"], row["target"], above=False)],
        _threshold(row),
        MISSING if row["selectivity"] is None else f"{row['selectivity']:.2f}",
        rate(row["decided_rightly"]),
    ]
    at_zero = (0, 1, 3)  # where no threshold is stated, there is nothing more to compare with
    return [cell if row["target"] or place in at_zero else "" for place, cell in enumerate(cells)]


def _wording_table(found: Row) -> Cells:
    heads = [WORDING, "t", "silent", "right", "answers\nabove", "decides\notherwise", "falls\nsilent", "speaks\nup"]
    return [heads, *(_wording_cells(row) for row in found["wordings"]["rows"])]


def _wording_cells(row: Row) -> list[str]:
    return [
        row["wording"],
        MISSING if row["target"] is None else f"{row['target']:g}",
        rate(row["abstained"]),
        rate(row["accuracy_attempted"]),
        _threshold(row),
        _interval(row["changed"], row["changed_ci"]),
        rate(row["fell_silent"]),
        rate(row["spoke_up"]),
    ]


def _score_table(found: Row) -> Cells:
    heads = ["t", "score", "always answer", "never answer", "oracle"]
    names = ("score", "always_answer_score", "never_answer_score", "oracle_score")
    return [heads, *([f"{row['target']:g}", *(points(row[name]) for name in names)] for row in found["by_target"])]


def _step_table(found: Row) -> Cells:
    heads = ["from", "to t", "silence\nrises by", "called\nfor", "given up,\nwould be right", "taken up\nagain"]
    return [heads, *(_step_cells(step) for step in found["rise"]["steps"])]


def _step_cells(step: Row) -> list[str]:
    low, high = step["difference_ci"]
    called = step["called_for"]
    return [
        f"{step['from']:g}",
        f"{step['to']:g}",
        f"{step['difference']:z.1%} [{100 * low:z.1f}, {100 * high:z.1f}]",
        rate(called),
        _interval(step["given_up_would_be_right"], step["given_up_would_be_right_ci"]),
        rate(step["reversed"]),
    ]


def rate(value: float | None) -> str:
    """A share in percent.

    Example:
        >>> rate(0.5), rate(None)
        ('50.0%', '–')
    """
    return MISSING if value is None else f"{value:.1%}"


def points(value: float | None) -> str:
    """Points per question.

    Example:
        >>> points(-0.0001)
        '0.000'
    """
    return MISSING if value is None else f"{value:z.3f}"


def _interval(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None or interval is None:
        return MISSING
    return f"{value:.0%} [{100 * interval[0]:.0f}, {100 * interval[1]:.0f}]"


def _threshold(row: Row) -> str:
    if row["effective_threshold"] is None:
        return MISSING
    low, high = row["effective_threshold_ci"]
    return f"{row['effective_threshold']:.2f} [{low:.2f}, {high:.2f}]"


# An audit for people: verdicts first, then the numbers they rest on. `render_audit(found, "text")`.


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
