"""Small tables of text, such as the list of tasks, in every format that `--format` takes."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from abstain.evals.tables.table import Format

Rows = Sequence[Mapping[str, str]]
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "&%$#_{}"
}


def render_rows(rows: Rows, format: Format, width: int = 100) -> str:
    """Rows with the same keys as a table; the keys are its headings.

    Example:
        >>> print(render_rows([{"task": "geo", "what": "cities|towns"}], "markdown"), end="")
        | task | what |
        |---|---|
        | geo | cities\\|towns |
        >>> print(render_rows([{"task": "a_b", "what": "5 %"}], "latex").splitlines()[4])
        a\\_b & 5 \\% \\\\
    """
    return _text(rows, width) if format == "text" else RENDERERS[format](rows)


def _text(rows: Rows, width: int) -> str:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row.values()))
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _markdown(rows: Rows) -> str:
    lines = [list(rows[0]), *([cell.replace("|", "\\|") for cell in row.values()] for row in rows)]
    text = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([text[0], "|" + "---|" * len(rows[0]), *text[1:]]) + "\n"


def _latex(rows: Rows) -> str:
    lines = [" & ".join(map(_escaped, cells)) + r" \\" for cells in (rows[0], *(row.values() for row in rows))]
    start = [f"\\begin{{tabular}}{{{'l' * len(rows[0])}}}", r"\toprule", lines[0], r"\midrule"]
    return "\n".join([*start, *lines[1:], r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escaped(cell: str) -> str:
    return "".join(_LATEX.get(character, character) for character in cell)


def _csv(rows: Rows) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _json(rows: Rows) -> str:
    return json.dumps([dict(row) for row in rows], indent=2, ensure_ascii=False) + "\n"


RENDERERS: dict[str, Callable[[Rows], str]] = {"markdown": _markdown, "latex": _latex, "csv": _csv, "json": _json}
