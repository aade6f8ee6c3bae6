"""The table of `abstain rescore`: per task a row for each target and model, and one more for its confidence heeded.

Ranks are among the models as they answered. Below stand who is best where, and what the log permits to be said.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from abstain.evals.footnotes import MISSING
from abstain.evals.grid import Column, Grid, latex_lines, latex_text, markdown_lines, text_lines
from abstain.evals.rescore_notes import notes
from abstain.evals.rescore_ranking import Ranking
from abstain.evals.table import ANSWERED, TARGET, UNGRADED, Format, csv_text, split_interval
from abstain.rewards.errors import nearest

Metrics = Mapping[str, Any]
Row = Mapping[str, Any]
HEEDED = "if q > t"


_LABEL = Column("model", "model", lambda row: row["shown"], is_label=True)
_POLICY = Column("policy", "policy", lambda row: row["shown"], is_label=True)
_RANK = Column("rank", "rank", lambda row: MISSING if row["rank"] is None else str(row["rank"]))


def render_rescored(
    metrics: Sequence[Metrics],
    rankings: Sequence[Ranking],
    remarks: Sequence[str] = (),
    format: Format = "text",
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """The table of all runs, ending in a newline.

    Args:
        metrics: what `abstain.evals.rescore_metrics.measure_run` found, one for each run.
        rankings: one for each task with several models.
        remarks: what was done to the logs, for the notes.
        format: "text", "markdown", "latex" (booktabs), "csv" (rows only) or "json" (rows, rankings, remarks).
        width: of the text, in characters.
        color: whether the text may hold terminal colours.

    Raises:
        ValueError: an unknown format.
    """
    if format not in _RENDERERS:
        raise ValueError(f"unknown table format {format!r}. {nearest(format, _RENDERERS)}")
    return _RENDERERS[format](metrics, rankings, remarks, width, color)


def rows(metrics: Sequence[Metrics], rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """One dict for each task, target, model and policy ("as answered", or "confidence > t" where it is known)."""
    ranked = {(one.task, t): labels for one in rankings for t, labels in one.orders.items()}
    scores = {(one["task"], row["target"], one["label"]): row["score"] for one in metrics for row in one["by_target"]}
    found = []
    for one in metrics:
        about = {key: one[key] for key in ("label", "model", "task", "level", "source", "format")}
        for row in one["by_target"]:
            key = one["task"], row["target"]
            rivals = [scores[*key, label] for label in ranked.get(key, [])]
            rank = (
                1 + sum(score > row["score"] for score in rivals) if rivals else None
            )  # as many as score alike share
            plain = {key: value for key, value in row.items() if key != "thresholded"}
            found.append({**about, "policy": "as answered", "rank": rank, **plain})
            if "thresholded" in row:
                same = {"target": row["target"], "n": row["n"]}
                found.append({**about, "policy": "confidence > t", "rank": None, **same, **row["thresholded"]})
    tasks = list(dict.fromkeys(one["task"] for one in metrics))
    return sorted(found, key=lambda row: (tasks.index(row["task"]), row["target"]))


def _grids(metrics: Sequence[Metrics], rankings: Sequence[Ranking], full: bool) -> Iterator[tuple[str, Grid]]:
    """Each task and its grid, with full names where rows may be taken apart."""
    everything = rows(metrics, rankings)
    tasks = list(dict.fromkeys(row["task"] for row in everything))
    for task in tasks:
        mine = [row for row in everything if row["task"] == task]
        models = len({row["label"] for row in mine})
        heeded = any(row["policy"] != "as answered" for row in mine)
        several = models > 1 or heeded
        columns = [TARGET, *([_LABEL] if models > 1 else [_POLICY] if heeded else []), *ANSWERED]
        columns += [_RANK] * (models > 1) + [UNGRADED] * any(row["ungraded"] for row in mine)
        shown = [row | {"shown": _shown(row, models, full)} for row in mine]
        dim = [row["policy"] != "as answered" for row in mine]
        yield task, Grid.of(columns, shown, keys=1 + several, grouped=several, dim=dim)


def _shown(row: Row, models: int, full: bool) -> str:
    if row["policy"] == "as answered":
        return str(row["label"]) if models > 1 else "as answered"
    if models == 1:
        return HEEDED
    return f"{row['label']}, {HEEDED}" if full else f"  {HEEDED}"


def _text(
    metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str], width: int, color: bool
) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=color, no_color=not color, highlight=False)
    grids = list(_grids(metrics, rankings, full=False))
    for task, grid in grids:
        if len(grids) > 1 or task:
            console.print(Text(f" {task or 'no task named'}", "bold"), Text(), sep="\n")
        for line in [*text_lines(grid, width), Text()]:
            console.print(line, soft_wrap=True)
    terms = Table.grid(padding=(0, 2, 0, 0))
    terms.add_column(max_width=24, style="bold dim", no_wrap=True)
    terms.add_column(style="dim")
    for term, meaning in notes(metrics, rankings, remarks):
        terms.add_row(Text(f" {term}"), Text("\n".join(meaning)))
    console.print(terms)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _markdown(
    metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str], width: int, color: bool
) -> str:
    lines = []
    for task, grid in _grids(metrics, rankings, full=True):
        lines += [f"**{_escaped(task)}**", ""] if task else []
        lines += [*(_escaped(line) for line in markdown_lines(grid)), ""]
    terms = [f"- **{term}**: {_escaped('; '.join(meaning))}" for term, meaning in notes(metrics, rankings, remarks)]
    return "\n".join([*lines, *terms]) + "\n"


def _escaped(text: str) -> str:
    """A stranger's names may look like tags."""
    return text.replace("<", "&lt;")


def _latex(
    metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str], width: int, color: bool
) -> str:
    lines = ["% needs \\usepackage{booktabs}; for the caption:"]
    lines += [
        f"% {latex_text(term)}: {latex_text('; '.join(meaning))}"
        for term, meaning in notes(metrics, rankings, remarks)
    ]
    tables = []
    for task, grid in _grids(metrics, rankings, full=True):
        tables.append("\n".join([f"% {latex_text(task)}", *latex_lines(grid)]))
    return "\n".join([*lines, "\n\n\\medskip\n".join(tables)]) + "\n"


def _csv(
    metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str], width: int, color: bool
) -> str:
    return csv_text([split_interval(row) for row in rows(metrics, rankings)])


def _json(
    metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str], width: int, color: bool
) -> str:
    found = {
        "rows": rows(metrics, rankings),
        "rankings": [ranking.as_dict() for ranking in rankings],
        "remarks": list(remarks),
    }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


_RENDERERS: dict[str, Callable[..., str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
}
