"""Headings, grids and notes as text, Markdown or LaTeX, and the rows behind them as CSV or JSON.

Every table of the project is drawn here. Whoever has one says which blocks it consists of, and which rows hold every
number in full.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from abstain.evals.tables.grid import Grid, latex_lines, latex_text, markdown_lines, text_lines
from abstain.rewards.errors import nearest

Format = Literal["text", "markdown", "latex", "csv", "json"]


@dataclass(frozen=True)
class Heading:
    """What stands above a table.

    Args:
        text: in one line.
        below: a line right below it.
        is_title: whether it is that of the whole document.
    """

    text: str
    below: str = ""
    is_title: bool = False


@dataclass(frozen=True)
class Bullets:
    """Sentences, one to a bullet."""

    sentences: Sequence[str]


@dataclass(frozen=True)
class Notes:
    """Terms and what they mean; several lines are parted by a line's end."""

    terms: Sequence[tuple[str, str]]


Block = Heading | Bullets | Notes | Grid | str
"""A string is a paragraph."""


def render_tables(
    blocks: Sequence[Block],
    format: Format = "text",
    *,
    rows: Sequence[Mapping[str, Any]],
    data: Any = None,
    caption: str = "",
    width: int = 100,
    color: bool = False,
) -> str:
    """A document in one of five formats, ending in a newline.

    Args:
        blocks: from top to bottom. LaTeX has headings and notes as comments, and nothing else but grids.
        format: "text", "markdown", "latex" (booktabs), or "csv" and "json", which hold `rows`.
        rows: every number in full, a dict for each row; CSV has all keys that any of them has.
        data: what JSON holds instead.
        caption: for LaTeX: makes of all grids a `table` with this caption.
        width: of the text, in characters.
        color: whether the text may hold terminal colours.

    Raises:
        ValueError: an unknown format.

    Example:
        >>> from abstain.evals.tables.grid import Column
        >>> grid = Grid.of([Column("task", "task", lambda row: row["task"], is_label=True)], [{"task": "geo_1"}])
        >>> print(render_tables([Heading("Tasks"), grid], "latex", rows=[]), end="")
        % needs \\usepackage{booktabs}
        % Tasks
        \\begin{tabular}{@{}l@{}}
        \\toprule
        task \\\\
        \\midrule
        geo\\_1 \\\\
        \\bottomrule
        \\end{tabular}
    """
    if format not in get_args(Format):
        raise ValueError(f"unknown table format {format!r}. {nearest(format, get_args(Format))}")
    if format == "csv":
        return _csv(rows)
    if format == "json":
        return json.dumps(rows if data is None else data, indent=2, ensure_ascii=False) + "\n"
    if format == "text":
        return _text(blocks, width, color)
    return _markdown(blocks) if format == "markdown" else _latex(blocks, caption)


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    keys = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(stream, fieldnames=keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _text(blocks: Sequence[Block], width: int, color: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=color, no_color=not color, highlight=False)
    for place, block in enumerate(blocks):
        if place:
            console.print()
        match block:
            case Heading(text, below):
                console.print(Padding(Text(text, "bold"), (0, 0, 0, 1)))
                if below:
                    console.print(Padding(Text(below, "dim"), (0, 0, 0, 1)))
            case Bullets(sentences):
                console.print(_side_by_side([("•", sentence) for sentence in sentences], 1, ("bold", "")))
            case Notes(terms):
                console.print(_side_by_side(terms, 2, ("bold dim", "dim")))
            case Grid():
                for line in text_lines(block, width):
                    console.print(line, soft_wrap=True)
            case str():
                console.print(Padding(Text(block), (0, 0, 0, 1)))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _side_by_side(pairs: Sequence[tuple[str, str]], gap: int, styles: tuple[str, str]) -> Table:
    """Terms, and what is said of them wrapped beside them."""
    table = Table.grid(padding=(0, gap, 0, 0))
    table.add_column(max_width=24, style=styles[0], no_wrap=True)
    table.add_column(style=styles[1])
    for term, meaning in pairs:
        table.add_row(Text(f" {term}"), Text(meaning))
    return table


def _markdown(blocks: Sequence[Block]) -> str:
    parts = []
    for block in blocks:
        match block:
            case Heading(text, below, is_title):
                parts += [f"# {text}" if is_title else f"**{text}**", *([below] if below else [])]
            case Bullets(sentences):
                parts.append("\n".join(f"- {sentence}" for sentence in sentences))
            case Notes(terms):
                parts.append("\n".join(f"- **{term}**: {_one_line(meaning)}" for term, meaning in terms))
            case Grid():
                parts.append("\n".join(markdown_lines(block)))
            case str():
                parts.append(block)
    return "\n\n".join(parts).replace("<", "&lt;") + "\n"  # a stranger's names may look like tags


def _latex(blocks: Sequence[Block], caption: str) -> str:
    terms = [pair for block in blocks if isinstance(block, Notes) for pair in block.terms]
    told = ". What the columns mean:" if caption else "; for the caption:" if terms else ""
    lines = [f"% needs \\usepackage{{booktabs}}{told}"]
    lines += [f"% {latex_text(term)}: {latex_text(_one_line(meaning))}" for term, meaning in terms]
    tables, above = [], []
    for block in blocks:
        if isinstance(block, Heading):
            above.append(f"% {latex_text(block.text)}")
        elif isinstance(block, Grid):
            tables.append("\n".join([*above, *latex_lines(block)]))
            above = []
    body = "\n\n\\medskip\n".join(tables)
    if caption:
        head = ["\\begin{table}", "\\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}"]
        body = "\n".join([*head, f"\\caption{{{latex_text(caption)}}}\\medskip", body, "\\end{table}"])
    return "\n".join([*lines, body]) + "\n"


def _one_line(meaning: str) -> str:
    return meaning.replace("\n", "; ")
