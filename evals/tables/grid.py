"""A grid of cells as text, Markdown or LaTeX: what all tables have in common."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import groupby, pairwise
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

MISSING = "–"
_LABEL_MINIMUM = 8
_LATEX = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
_LATEX |= {character: f"\\{character}" for character in "&%$#_{}"}
_LATEX |= {
    MISSING: "--",
    "−": "$-$",
    "“": "``",
    "”": "''",
    "<": "$<$",
    ">": "$>$",
    "≥": "$\\geq$",
    "≤": "$\\leq$",
    "|": "$|$",
}
_LATEX |= {"[": "{[}"}  # after the end of a row, \\[ would ask for more space


@dataclass(frozen=True)
class Column:
    """A column: its heading, the same broken into two lines where room is short, and how a row fills it.

    Args:
        heading: in one line.
        broken: in at most two lines.
        cell: text of a row's cell.
        is_label: whether it holds names, which stand on the left and may be shortened, instead of numbers.
        group: a title over this column and its neighbours of the same group; then `broken` is one line.
        folds: whether its texts go on in further lines where room is short, instead of being shortened.
    """

    heading: str
    broken: str
    cell: Callable[[Any], str]
    is_label: bool = False
    group: str = ""
    folds: bool = False


@dataclass(frozen=True)
class Grid:
    """Columns, and rows of cells.

    Args:
        columns: from left to right.
        cells: one list per row.
        keys: how many columns at the left say what a row is about; they are repeated where a table is cut in two.
        grouped: whether rows with the same first cell belong together.
        dim: for each row, whether it is only there to compare with; none is, if empty.
    """

    columns: Sequence[Column]
    cells: Sequence[Sequence[str]]
    keys: int = 1
    grouped: bool = False
    dim: Sequence[bool] = ()

    @classmethod
    def of(
        cls,
        columns: Sequence[Column],
        rows: Sequence[Any],
        *,
        keys: int = 1,
        grouped: bool = False,
        dim: Sequence[bool] = (),
    ) -> "Grid":
        """Fill the columns from rows of whatever they take."""
        return cls(columns, [[column.cell(row) for column in columns] for row in rows], keys, grouped, dim)

    @property
    def starts_group(self) -> list[bool]:
        """For each row, whether another group ends above it."""
        return [False, *(self.grouped and above[0] != below[0] for above, below in pairwise(self.cells))]

    @property
    def sparse(self) -> list[list[str]]:
        """The cells, with the first one of a group's rows shown only once."""
        repeats = [False, *(self.grouped and above[0] == below[0] for above, below in pairwise(self.cells))]
        return [["" if again else row[0], *row[1:]] for again, row in zip(repeats, self.cells, strict=True)]

    def only(self, places: Sequence[int]) -> "Grid":
        """The same rows with these columns."""
        cells = [[row[place] for place in places] for row in self.cells]
        return Grid([self.columns[place] for place in places], cells, self.keys, self.grouped, self.dim)


def text_lines(grid: Grid, width: int) -> list[Text]:
    """Lines no wider than `width`: labels give way first, then gaps, then the columns are set in blocks."""
    if any(column.folds for column in grid.columns):
        return _folded_lines(grid, width)
    blocks = _blocks(grid, width)
    lines = [line for block in blocks for line in [*_block_lines(block, width), Text()]]
    return lines[:-1]


def _folded_lines(grid: Grid, width: int) -> list[Text]:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    vertical = "top" if all(column.folds for column in grid.columns) else "bottom"
    for column in grid.columns:
        side = "left" if column.is_label else "right"
        table.add_column(column.broken, justify=side, no_wrap=not column.folds, overflow="fold", vertical=vertical)  # type: ignore[arg-type]
    for row in grid.cells:
        table.add_row(*map(Text, row))
    console = Console(file=StringIO(), width=width, no_color=True)
    with console.capture() as captured:
        console.print(table)
    return [Text(line.rstrip()) for line in captured.get().splitlines()]


def _blocks(grid: Grid, width: int) -> list[Grid]:
    """The grid cut into as few as fit, with about as many columns each; one column is never cut."""
    least = [min(n, _LABEL_MINIMUM) if c.is_label else n for c, n in zip(grid.columns, _sizes(grid), strict=True)]
    keys, numbers = range(grid.keys), len(grid.columns) - grid.keys
    for count in range(1, numbers + 1):
        cuts = [grid.keys + numbers * i // count for i in range(count + 1)]
        blocks = [[*keys, *range(start, end)] for start, end in pairwise(cuts)]
        if all(sum(least[place] + 1 for place in block) <= width for block in blocks):
            break
    return [grid.only(block) for block in blocks]


def _sizes(grid: Grid) -> list[int]:
    """How wide each column must be for its heading, its cells, and its group's title."""
    heads = [column.broken.split("\n") for column in grid.columns]
    columns = zip(heads, zip(*grid.cells, strict=True), strict=True)
    sizes, end = [max(map(len, (*head, *column))) for head, column in columns], 0
    for group, members in groupby(grid.columns, key=lambda column: column.group):
        start, end = end, end + len(list(members))
        if group:
            sizes[end - 1] += max(0, len(group) + 2 - sum(sizes[start:end]) - (end - start - 1))
    return sizes


def _block_lines(grid: Grid, width: int) -> list[Text]:
    sizes = _sizes(grid)
    gap = _make_room(sizes, width, grid.columns)
    above, below = zip(*(["", *column.broken.split("\n")][-2:] for column in grid.columns), strict=True)
    titles = _titles(grid.columns, sizes, len(gap)) if any(column.group for column in grid.columns) else ""
    head = titles or gap.join(aligned(above, grid.columns, sizes))
    lines = [Text(f" {head}", "bold")] if head.strip() else []
    lines.append(Text(" " + gap.join(aligned(below, grid.columns, sizes)), "bold"))
    lines.append(Text(" " + "─" * (sum(sizes) + len(gap) * (len(sizes) - 1)), "dim"))
    for row, starts, dim in zip(grid.sparse, grid.starts_group, grid.dim or [False] * len(grid.cells), strict=True):
        lines += [Text()] * starts
        lines.append(Text(" " + gap.join(aligned(row, grid.columns, sizes)), "dim" if dim else ""))
    return [Text(line.plain.rstrip(), line.style) for line in lines]


def _titles(columns: Sequence[Column], sizes: Sequence[int], gap: int) -> str:
    """The line of group titles, each drawn out over its columns."""
    spans = []
    for group, members in groupby(zip(columns, sizes, strict=True), key=lambda member: member[0].group):
        widths = [size for _, size in members]
        span = sum(widths) + gap * (len(widths) - 1)
        spans.append(f" {group} ".center(span, "─") if group else " " * span)
    return (" " * gap).join(spans)


def _make_room(sizes: list[int], width: int, columns: Sequence[Column]) -> str:
    """Shorten the column of labels if the table is too wide, and return the gap between columns that then fits."""
    label = next((place for place, column in enumerate(columns) if column.is_label), None)
    spare = max(0, sizes[label] - _LABEL_MINIMUM) if label is not None else 0
    for gap in ("   ", "  ", " "):
        excess = 1 + sum(sizes) + len(gap) * (len(sizes) - 1) - width
        if excess <= (spare if len(gap) < 3 else 0):
            break
    if label is not None:
        sizes[label] -= min(spare, max(0, excess))
    return gap


def aligned(cells: Sequence[str], columns: Sequence[Column], sizes: Sequence[int]) -> list[str]:
    """Cells filled up, or cut, to the sizes: labels on the left, numbers on the right."""
    fitted = [cell if len(cell) <= size else cell[: size - 1] + "…" for cell, size in zip(cells, sizes, strict=True)]
    lines_up = zip(fitted, columns, sizes, strict=True)
    return [cell.ljust(size) if column.is_label else cell.rjust(size) for cell, column, size in lines_up]


def markdown_lines(grid: Grid) -> list[str]:
    """A table of GitHub's Markdown, its source lined up unless texts are so long that they would be folded."""
    cells = [[column.heading for column in grid.columns], *grid.cells]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in cells]
    if any(column.folds for column in grid.columns):
        rule = "|".join("---" if column.is_label else "---:" for column in grid.columns)
    else:
        sizes = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
        cells = [aligned(row, grid.columns, sizes) for row in cells]
        rule = "|".join("-" * (n + 1) + ("-" if c.is_label else ":") for c, n in zip(grid.columns, sizes, strict=True))
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return [lines[0], f"|{rule}|", *lines[1:]]


def latex_lines(grid: Grid) -> list[str]:
    """A `tabular` with the rules of booktabs."""
    align = "".join("l" if column.is_label else "r" for column in grid.columns)
    heads = " & ".join(_latex_head(column) for column in grid.columns)
    lines = [f"\\begin{{tabular}}{{@{{}}{align}@{{}}}}", "\\toprule", *_latex_titles(grid.columns)]
    lines += [heads + r" \\", "\\midrule"]
    for row, starts in zip(grid.sparse, grid.starts_group, strict=True):
        lines += ["\\addlinespace"] * starts
        lines.append(" & ".join(map(_latex_cell, row, grid.columns)) + r" \\")
    return [*lines, "\\bottomrule", "\\end{tabular}"]


def _latex_titles(columns: Sequence[Column]) -> list[str]:
    cells, rules, start = [], [], 1
    for group, members in groupby(columns, key=lambda column: column.group):
        n = len(list(members))
        cells += [f"\\multicolumn{{{n}}}{{c}}{{{latex_text(group)}}}"] if group else [""] * n
        rules += [f"\\cmidrule(lr){{{start}-{start + n - 1}}}"] if group else []
        start += n
    return [" & ".join(cells) + r" \\", "".join(rules)] if rules else []


def _latex_head(column: Column) -> str:
    parts = [latex_text(part) for part in column.broken.split("\n")]
    side = "l" if column.is_label else "r"
    return parts[0] if len(parts) == 1 else f"\\shortstack[{side}]{{{parts[0]}\\\\{parts[1]}}}"


def _latex_cell(cell: str, column: Column) -> str:
    if not column.is_label and cell.startswith(("-", "[")):
        return f"${cell}$"  # a minus, not a hyphen
    return latex_text(cell)


def latex_text(text: str) -> str:
    """Plain text for LaTeX.

    Example:
        >>> print(latex_text("50% of a_b"))
        50\\% of a\\_b
    """
    return "".join(_LATEX.get(character, character) for character in text)
