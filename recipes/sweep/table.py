"""The table that a sweep ends with: one row per point."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.metrics.schema import BY_TARGET, OVERALL, Metrics, numbers, read_metrics
from abstain.evals.tables.document import Format, render_tables
from abstain.evals.tables.formats import schema_column
from abstain.evals.tables.grid import Column, Grid
from abstain.recipes.sweep.directory import PointState, SweepDir

Entry = Mapping[str, Any]
"""A point: `state`, and every number of its `metrics.json`, none if it is not complete."""


def sweep_table(directory: SweepDir, states: Sequence[PointState], format: Format, width: int = 100) -> str:
    """The table of all points, those that failed among them.

    Args:
        directory: of the sweep.
        states: the points.
        format: "csv" and "json" hold every number in full.
        width: of the text, in characters.
    """
    metrics = [
        read_metrics(directory.point(state.point.name) / "metrics.json") if state.status == "complete" else None
        for state in states
    ]
    found = [numbers(one) if one else {} for one in metrics]
    entries = [{**mine, "state": state} for state, mine in zip(states, found, strict=True)]
    grid = Grid.of(_columns(_middle([one for one in metrics if one])), entries)
    rows = [_full(state, mine, flat=format == "csv") for state, mine in zip(states, found, strict=True)]
    return render_tables([grid], format, rows=rows, width=width)


def _columns(t: float) -> list[Column]:
    regret = schema_column("mean_regret", OVERALL)
    return [
        Column("point", "point", lambda entry: entry["state"].point.name, is_label=True, folds=True),
        Column(
            "mean regret",
            "mean\nregret",
            lambda entry: regret.cell(entry) if "mean_regret" in entry else entry["state"].status,
        ),
        _at("correct", 0),
        *(_at(key, t) for key in ("incorrect", "coverage", "score")),
        schema_column("auroc", OVERALL),
        Column("minutes", "minutes", lambda entry: f"{entry['state'].seconds / 60:.1f}"),
    ]


def _at(key: str, t: float) -> Column:
    """A number of one target."""
    label, cell = BY_TARGET[key].label, schema_column(key).cell
    return Column(f"{label}, t={t:g}", f"{label},\nt={t:g}", lambda entry: cell({key: _number(entry, key, t)}))


def _number(entry: Entry, key: str, t: float) -> float | None:
    if key != "coverage":
        return entry.get(f"{key}@{t:g}")
    right, wrong = (entry.get(f"{name}@{t:g}") for name in ("correct", "incorrect"))
    return None if right is None or wrong is None else right + wrong  # files of earlier versions lack the key


def _middle(metrics: Sequence[Metrics]) -> float:
    """The target that all points were measured at and that is nearest to 0.5."""
    common = set.intersection(*({row["target"] for row in one["by_target"]} for one in metrics)) if metrics else set()
    return min(common - {0}, key=lambda t: abs(t - 0.5), default=0.5)


def _full(state: PointState, found: Mapping[str, Any], flat: bool) -> dict[str, Any]:
    """A point's entry in `sweep.json`, its settings among the rest, and its numbers.

    Args:
        state: of the point.
        found: its numbers.
        flat: whether settings that are lists and the like are written as JSON.
    """
    about = state.as_json()
    settings = json.loads(json.dumps(about.pop("settings"), default=str))  # YAML has dates
    if flat:
        settings = {key: _plain(value) for key, value in settings.items()}
    about = {"point": about.pop("name"), **settings, **about}
    return {**about, **found, **about}  # a setting may be called as a number is


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
