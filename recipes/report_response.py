"""The plots of a sweep: how each axis moves the numbers, and what the best settings do at every target."""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.plots_style import Plot
from abstain.evals.plots_sweep import MOST_LINES, Response, response_plot
from abstain.recipes.report_examples import shown
from abstain.recipes.report_sweep_source import Group, SweepData
from abstain.recipes.report_words import in_words
from abstain.recipes.sweep_axes import canonical

RATES = {"incorrect": "Wrong", "correct": "Right"}
_LONGEST_LABEL = 26


def axis_plots(
    sweep: SweepData, groups: Sequence[Group], axis: str, target: float | None, names: Mapping[str, str]
) -> list[Plot]:
    """Mean regret, and what became of the questions at one target, against one axis."""
    order = [(value, shown(in_words(value), 18)) for value in sweep.axes[axis]]
    wanted: list[tuple[str, float | None, str]] = [("mean_regret", None, "Mean regret")]
    if target is not None:
        wanted += [(rate, target, f"{title} at t = {target:g}") for rate, title in RATES.items()]
    plots = []
    place = list(sweep.axes).index(axis)
    for name, at, title in wanted:
        lines = responses(groups, axis, sweep.axes, name, at)
        if any(len(line.values) > 1 for line in lines):
            file = f"axis-{place + 1}-{name.replace('_', '-')}"
            plots.append(response_plot(file, title, shown(names[axis], 40), lines, order, rate=at is not None))
    return plots


def responses(
    groups: Sequence[Group], axis: str, axes: Mapping[str, Sequence[Any]], name: str, target: float | None
) -> list[Response]:
    """A line for each combination of the other settings; one over all of them if there are too many to tell apart."""
    lines: dict[str, list[Group]] = {}
    for group in groups:
        if axis in group.settings:
            lines.setdefault(canonical(_others(group, axis, axes)), []).append(group)
    if len(lines) > MOST_LINES:
        lines = {"": [group for members in lines.values() for group in members]}
    found = []
    for members in sorted(lines.values(), key=lambda members: _place(members[0], axes)):
        label = short_label(", ".join(map(in_words, _others(members[0], axis, axes).values())))
        measured = [(value, _at(members, axis, value, name, target)) for value in axes[axis]]
        known = [(value, numbers) for value, numbers in measured if numbers]
        if known:
            values, numbers_at = [value for value, _ in known], [numbers for _, numbers in known]
            found.append(Response(label if len(lines) > 1 else "", values, numbers_at))
    return found


def best_plots(groups: Sequence[Group]) -> list[Plot]:
    """The best settings at every target, by their number in the table."""
    best = groups[:MOST_LINES]
    rows = [row for group in best for point in group.points if point.metrics for row in point.metrics["by_target"]]
    targets = sorted({row["target"] for row in rows})
    if len(targets) < 2:
        return []
    order = [(target, f"{target:g}") for target in targets]
    plots = []
    for name, title in {"score": "Score", **RATES}.items():
        lines = []
        for rank, group in enumerate(best, 1):
            known = [(t, numbers) for t in targets if (numbers := group.measured(name, t))]
            if known:
                lines.append(Response(str(rank), [t for t, _ in known], [numbers for _, numbers in known]))
        if lines:
            axis = "confidence target t"
            plots.append(response_plot(f"best-{name}", title, axis, lines, order, rate=name != "score"))
    return plots


def axis_lead(sweep: SweepData, groups: Sequence[Group], axis: str, names: Mapping[str, str]) -> str:
    """What the lines and bands of an axis are."""
    others = [shown(names[key], 40) for key in sweep.axes if key != axis]
    if others and len(responses(groups, axis, sweep.axes, "mean_regret", None)) <= 1:
        return f"Mean over all values of {', '.join(others)}; bands run from the lowest to the highest of them."
    each = f"One line for each {', '.join(others)}. " if others else ""
    return f"{each}Bands run from the lowest to the highest seed."


def short_label(text: str) -> str:
    """A text cut to what fits into a legend or a heading."""
    cut = shown(text, 400)
    return cut if len(cut) <= _LONGEST_LABEL else f"{cut[: _LONGEST_LABEL - 1]}…"


def _others(group: Group, axis: str, axes: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    return {key: value for key, value in group.settings.items() if key != axis and key in axes}


def _place(group: Group, axes: Mapping[str, Sequence[Any]]) -> list[int]:
    """Where settings stand among the values of each axis, so that lines come in that order."""
    return [_index(values, group.settings.get(key)) for key, values in axes.items()]


def _index(values: Sequence[Any], value: Any) -> int:
    texts = [canonical(one) for one in values]
    return texts.index(canonical(value)) if canonical(value) in texts else -1


def _at(groups: Sequence[Group], axis: str, value: Any, name: str, target: float | None) -> list[float]:
    mine = [group for group in groups if canonical(group.settings[axis]) == canonical(value)]
    return [number for group in mine for number in group.measured(name, target)]
