"""What the page of a sweep says: which settings are best, by how much, and how each axis moves the numbers."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import quote

from abstain.evals.plots.style import Plot
from abstain.evals.plots.sweep import MOST_LINES, AxisResponse, response_plot
from abstain.evals.tables.formats import prose_decimal, prose_percent
from abstain.evals.tables.grid import MISSING
from abstain.recipes.report.examples import shown
from abstain.recipes.report.source import DONE, FAILED, SweepData
from abstain.recipes.report.words import reference_row
from abstain.recipes.sweep.axes import canonical, short_names
from abstain.recipes.sweep.ranking import (
    Difference,
    Group,
    PointData,
    Ranking,
    in_sentences,
    in_words,
    settings_in_words,
    spread,
    verdict,
)

TEMPLATE = "sweep.html.jinja"
MOST_ROWS = 60
RATES = {"incorrect": "Wrong", "correct": "Right"}
_LONGEST_LABEL, _LONGEST_NAME = 26, 52


# The plots: how each axis moves the numbers, and what the best settings do at every target.


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
        lines = responses(groups, axis, sweep.axes, name, at, names)
        if any(len(line.values) > 1 for line in lines):
            file = f"axis-{place + 1}-{name.replace('_', '-')}"
            plots.append(response_plot(file, title, shown(names[axis], 40), lines, order, rate=at is not None))
    return plots


def responses(
    groups: Sequence[Group],
    axis: str,
    axes: Mapping[str, Sequence[Any]],
    name: str,
    target: float | None,
    names: Mapping[str, str],
) -> list[AxisResponse]:
    """A line for each combination of the other settings; one over all of them if there are too many to tell apart."""
    lines: dict[str, list[Group]] = {}
    for group in groups:
        if axis in group.settings:
            lines.setdefault(canonical(_others(group, axis, axes)), []).append(group)
    if len(lines) > MOST_LINES:
        lines = {"": [group for members in lines.values() for group in members]}
    found = []
    for members in sorted(lines.values(), key=lambda members: _place(members[0], axes)):
        label = short_label(settings_in_words(_others(members[0], axis, axes), names), _LONGEST_NAME)
        measured = [(value, _at(members, axis, value, name, target)) for value in axes[axis]]
        known = [(value, numbers) for value, numbers in measured if numbers]
        if known:
            values, numbers_at = [value for value, _ in known], [numbers for _, numbers in known]
            found.append(AxisResponse(label if len(lines) > 1 else "", values, numbers_at))
    return found


def best_plots(ranking: Ranking, names: Mapping[str, str]) -> list[Plot]:
    """The first settings at every target, with their number in the table."""
    best = ranking.groups[:MOST_LINES]
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
                label = short_label(f"{rank}: {ranking.words(group, names)}".removesuffix(": "), _LONGEST_NAME)
                lines.append(AxisResponse(label, [t for t, _ in known], [numbers for _, numbers in known]))
        if lines:
            axis = "confidence target t"
            plots.append(response_plot(f"best-{name}", title, axis, lines, order, rate=name != "score"))
    return plots


def axis_lead(sweep: SweepData, groups: Sequence[Group], axis: str, names: Mapping[str, str]) -> str:
    """What the lines and bands of an axis are."""
    others = [shown(names[key], 40) for key in sweep.axes if key != axis]
    if others and len(responses(groups, axis, sweep.axes, "mean_regret", None, names)) <= 1:
        return f"Mean over all values of {', '.join(others)}; bands run from the lowest to the highest of them."
    each = f"One line for each {', '.join(others)}. " if others else ""
    return f"{each}Bands run from the lowest to the highest seed."


def short_label(text: str, longest: int = _LONGEST_LABEL) -> str:
    """A text cut to what fits into a heading, or into a legend's row."""
    cut = shown(text, 400)
    return cut if len(cut) <= longest else f"{cut[: longest - 1]}…"


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


# The page.


def sweep_content(sweep: SweepData, out: Path) -> tuple[dict[str, Any], list[Plot]]:
    """What `sweep.html.jinja` names, and the pictures in it.

    Args:
        sweep: what was read.
        out: the folder of the page, from which it links to the points' own reports.
    """
    ranking, names = sweep.ranking(), short_names(list(sweep.axes))
    groups, compared = ranking.groups, ranking.compared
    target = reference_target(groups)
    said = [shown(one, 600) for one in in_sentences(ranking, names)]
    drawn = {axis: axis_plots(sweep, groups, axis, target, names) for axis in sweep.axes}
    axes = [(names[axis], axis_lead(sweep, groups, axis, names), plots) for axis, plots in drawn.items() if plots]
    best = best_plots(ranking, names)
    rates = [] if target is None else [f"{title.lower()}, t = {target:g}" for title in RATES.values()]
    content = {
        "title": f"{shown(sweep.name or sweep.path.resolve().name, 80)}: abstain report",
        "name": shown(sweep.name or sweep.path.resolve().name, 80),
        "facts": _facts(sweep, groups),
        "headline": said[0],
        "further": [*said[1:], *_further(ranking, names, target)],
        "missing": _missing(sweep),
        "broken": [shown(one) for one in sweep.broken],
        "heads": [
            "",
            *map(short_label, names.values()),
            "seeds",
            "mean regret",
            *rates,
            "verdict",
            "score less the first's",
        ],
        "rows": group_rows(groups[:MOST_ROWS], compared, sweep.axes, target),
        "left_out": max(0, len(groups) - MOST_ROWS),
        "best": best,
        "axes": axes,
        "failed": [(shown(one.name, 120), shown(one.error or "no message", 1200)) for one in _failed(sweep)],
        "points": [_point_row(point, out) for point in sweep.points],
    }
    known = {"results": "rows", "axes": "axes", "points": "points"}
    sections = [(id, "Response" if id == "axes" else id.capitalize()) for id, key in known.items() if content[key]]
    return content | {"sections": sections}, [*best, *(plot for _, _, plots in axes for plot in plots)]


def reference_target(groups: Sequence[Group]) -> float | None:
    """The target that rates are shown at: of those that most points have, the nearest to one half."""
    found = [reference_row(point.metrics) for group in groups for point in group.points if point.metrics]
    return Counter(row["target"] for row in found if row).most_common(1)[0][0] if any(found) else None


def group_rows(
    groups: Sequence[Group], compared: Sequence[Difference | None], axes: Mapping[str, Any], target: float | None
) -> list[dict[str, Any]]:
    """The table, the best settings first."""
    rows = []
    for rank, group in enumerate(groups):
        difference = compared[rank - 1] if 0 < rank <= len(compared) else None
        rates = [spread(group.measured(name, target), 1, 100) for name in RATES] if target is not None else []
        values = [in_words(group.settings[key]) if key in group.settings else MISSING for key in axes]
        rows.append(
            {
                "rank": rank + 1,
                "settings": [shown(value, 60) for value in values],
                "cells": [
                    str(len(group.points)),
                    spread(group.measured("mean_regret")),
                    *(rate if rate == MISSING else f"{rate}\u00a0%" for rate in rates),
                ],
                "verdict": _verdicts(group),
                "difference": MISSING if rank == 0 else prose_decimal(difference.mean if difference else None),
                "interval": _interval(difference),
            }
        )
    return rows


def _verdicts(group: Group) -> str:
    """The verdicts on the seeds, each with how many there are of it unless all are alike."""
    counts = Counter(one or "no verdict" for one in group.verdicts)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{count}\u00a0× {kind}" for kind, count in counts.most_common())


def _further(ranking: Ranking, names: Mapping[str, str], target: float | None) -> list[str]:
    found, groups, compared = [], ranking.groups, ranking.compared
    if ranking.tied and target is not None and (wrong := groups[0].measured("incorrect", target)):
        right = groups[0].measured("correct", target)
        rates = f"{prose_percent(fmean(wrong), 1)} of the questions"
        rates += f" and right on {prose_percent(fmean(right), 1)}" if right else ""
        found.append(f"Scored at t = {target:g}, the first in the table is wrong on {rates}.")
    if compared and (second := compared[0]) is not None:
        chance = second.interval is not None and second.interval[0] <= 0 <= second.interval[1]
        what = shown(ranking.words(groups[1], names), 120)
        doubt = ", which may be chance" if chance else ""
        less = f"{prose_decimal(abs(second.mean))} points per question {'less' if second.mean <= 0 else 'more'}"
        between = f" (difference {_interval(second)})" if second.interval else ""
        found.append(f"Next is {what}; it scores {less}{between}{doubt}.")
    return found


def _interval(difference: Difference | None) -> str:
    if difference is None or difference.interval is None:
        return ""
    between = " to ".join(map(prose_decimal, difference.interval))
    return between + (", questions only" if difference.over == "questions" else "")


def _facts(sweep: SweepData, groups: Sequence[Group]) -> list[str]:
    done = sum(point.status == DONE for point in sweep.points)
    facts = [f"sweep of {shown(sweep.base, 60)}"] if sweep.base else ["sweep"]
    task = next((p.metrics["task"] for group in groups for p in group.points if p.metrics and p.metrics["task"]), None)
    return [*facts, *([f"task {shown(task, 60)}"] if task else []), f"{done} of {len(sweep.points)} points finished"]


def _missing(sweep: SweepData) -> list[str]:
    waiting = [point.name for point in sweep.points if point.status not in (DONE, FAILED)]
    found = [f"{_count(waiting)} not finished: {_some(waiting)}."] if waiting else []
    failed = [point.name for point in _failed(sweep)]
    return found + ([f"{_count(failed)} failed: {_some(failed)}."] if failed else [])


def _failed(sweep: SweepData) -> list[PointData]:
    return [point for point in sweep.points if point.status == FAILED]


def _count(names: Sequence[str]) -> str:
    return "1 point" if len(names) == 1 else f"{len(names)} points"


def _some(names: Sequence[str]) -> str:
    return ", ".join(shown(name, 80) for name in names[:6]) + (" …" if len(names) > 6 else "")


def _point_row(point: PointData, out: Path) -> dict[str, Any]:
    page = point.path / "report.html"
    return {
        "name": shown(point.name, 120),
        "link": "./" + quote(os.path.relpath(page, out)) if page.is_file() else "",
        "seed": MISSING if point.seed is None else str(point.seed),
        "status": shown(point.status, 20),
        "regret": prose_decimal((point.metrics or {}).get("mean_regret")),
        "verdict": verdict(point.metrics) or MISSING,
        "words": _words(point),
    }


def _words(point: PointData) -> str:
    """The verdict on a point in full."""
    words = ((point.metrics or {}).get("conclusion") or {}).get("words")
    return shown(words, 400) if isinstance(words, str) else ""
