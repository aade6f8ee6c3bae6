"""What a sweep ends with: a row per point, one per setting over its seeds, and which setting is the best, if any."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.metrics.schema import BY_TARGET, OVERALL, Metrics, numbers, read_metrics
from abstain.evals.tables.document import Block, Format, Heading, render_tables
from abstain.evals.tables.formats import schema_column
from abstain.evals.tables.grid import MISSING, Column, Grid
from abstain.recipes.sweep.axes import is_seed, short_names
from abstain.recipes.sweep.directory import PointState, SweepDir
from abstain.recipes.sweep.ranking import PointData, in_sentences, ranked, settings_in_words, spread, verdict

_SHORT = {"": MISSING, "too few questions": "too few", "worse than silence": "below silence"}
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
    points = [_point(directory, *pair) for pair in zip(states, metrics, strict=True)]
    judged = list(map(verdict, metrics))
    entries = [
        {**mine, "state": state, "verdict": one} for state, mine, one in zip(states, found, judged, strict=True)
    ]
    t = _middle([one for one in metrics if one])
    rows = [_full(*three, flat=format == "csv") for three in zip(states, found, judged, strict=True)]
    blocks: list[Block] = [Grid.of(_columns(t), entries)]
    if format in ("text", "markdown", "latex"):
        ranking, names = (
            ranked(points),
            short_names(list(dict.fromkeys(key for one in points for key in one.settings))),
        )
        if any(len(group.points) > 1 for group in ranking.groups):
            blocks += [
                Heading("Over seeds: mean ± standard deviation"),
                Grid.of(_of_settings(t, names), ranking.groups),
            ]
        blocks.append(" ".join(in_sentences(ranking, names)))
    return render_tables(blocks, format, rows=rows, width=width)


def _point(directory: SweepDir, state: PointState, metrics: Metrics | None) -> PointData:
    about = state.as_json()
    settings = {key: value for key, value in about["settings"].items() if not is_seed(key)}
    place = directory.point(state.point.name)
    return PointData(state.point.name, place, settings, about["seed"], state.status, state.error or "", metrics)


def _of_settings(t: float, names: Mapping[str, str]) -> list[Column]:
    """Columns of settings, whose numbers are spread over seeds."""

    def rate(key: str, at: float) -> Column:
        label = BY_TARGET[key].label
        return Column(f"{label}, t={at:g}", f"{label},\nt={at:g}", lambda group: _percent(group.measured(key, at)))

    return [
        Column(
            "setting", "setting", lambda group: settings_in_words(group.settings, names) or "all", True, folds=True
        ),
        Column("seeds", "seeds", lambda group: str(len(group.points))),
        Column("mean regret", "mean\nregret", lambda group: spread(group.measured("mean_regret"))),
        rate("correct", 0),
        rate("incorrect", t),
        Column(f"score, t={t:g}", f"score,\nt={t:g}", lambda group: spread(group.measured("score", t))),
    ]


def _percent(rates: Sequence[float]) -> str:
    found = spread(rates, 1, 100)
    return found if found == MISSING else f"{found}%"


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
        Column("verdict", "verdict", lambda entry: _SHORT.get(entry["verdict"], entry["verdict"]), is_label=True),
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


def _full(state: PointState, found: Mapping[str, Any], judged: str, flat: bool) -> dict[str, Any]:
    """A point's entry in `sweep.json`, its settings among the rest, and its numbers.

    Args:
        state: of the point.
        found: its numbers.
        judged: the verdict on it, in a word or two.
        flat: whether settings that are lists and the like are written as JSON.
    """
    about = state.as_json()
    settings = json.loads(json.dumps(about.pop("settings"), default=str))  # YAML has dates
    if flat:
        settings = {key: _plain(value) for key, value in settings.items()}
    about = {"point": about.pop("name"), **settings, **about, "verdict": judged or None}
    return {**about, **found, **about}  # a setting may be called as a number is


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
