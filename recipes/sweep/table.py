"""The table that a sweep ends with: one row per point."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from abstain.evals.audit.tables import points, rate
from abstain.evals.metrics.schema import numbers, read_metrics
from abstain.evals.tables.listing import render_rows
from abstain.evals.tables.table import Format
from abstain.recipes.sweep.directory import PointState, SweepDir


def sweep_table(directory: SweepDir, states: Sequence[PointState], format: Format, width: int = 100) -> str:
    """The table of all points, those that failed among them.

    Args:
        directory: of the sweep.
        states: the points.
        format: "csv" and "json" hold every number in full.
        width: of the text, in characters.
    """
    metrics = [
        read_metrics(directory.point(one.point.name) / "metrics.json") if one.status == "complete" else None
        for one in states
    ]
    if format == "json":
        rows = [_full(state, found) for state, found in zip(states, metrics, strict=True)]
        return json.dumps(rows, indent=2, ensure_ascii=False, default=str) + "\n"
    if format == "csv":
        return render_rows(_same_keys([_full(*pair) for pair in zip(states, metrics, strict=True)]), "csv")
    t = _middle([found for found in metrics if found])
    rows = [_brief(*pair, t) for pair in zip(states, metrics, strict=True)]
    return _text(rows, width) if format == "text" else render_rows(rows, format)


def _text(rows: Sequence[Mapping[str, str]], width: int) -> str:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in rows[0]:
        number = heading != "point"
        table.add_column(
            heading.replace(", ", ",\n").replace("mean ", "mean\n"),
            justify="right" if number else "left",
            no_wrap=number,
            overflow="fold",
            vertical="bottom",
        )
    for row in rows:
        table.add_row(*map(Text, row.values()))
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _full(state: PointState, metrics: Mapping[str, Any] | None) -> dict[str, Any]:
    about = state.as_json()
    settings = about.pop("settings")
    return {"point": about.pop("name"), **settings, **about, **(numbers(metrics) if metrics else {})}


def _same_keys(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    keys = dict.fromkeys(key for row in rows for key in row)
    return [{key: _plain(row.get(key)) for key in keys} for row in rows]


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _middle(metrics: Sequence[Mapping[str, Any]]) -> float:
    """The target that all points were measured at and that is nearest to 0.5."""
    common = set.intersection(*({row["target"] for row in one["by_target"]} for one in metrics)) if metrics else set()
    return min(common - {0}, key=lambda t: abs(t - 0.5), default=0.5)


def _brief(state: PointState, metrics: Mapping[str, Any] | None, t: float) -> dict[str, str]:
    found = numbers(metrics) if metrics else {}
    abstained = found.get(f"abstained@{t:g}")
    return {
        "point": state.point.name,
        "mean regret": points(found.get("mean_regret")) if found else state.status,
        "accuracy, t=0": rate(found.get("correct@0")),
        f"error, t={t:g}": rate(found.get(f"incorrect@{t:g}")),
        f"coverage, t={t:g}": rate(None if abstained is None else 1 - abstained),
        f"score, t={t:g}": points(found.get(f"score@{t:g}")),
        "AUROC": points(found.get("auroc")),
        "minutes": f"{state.seconds / 60:.1f}",
    }
