"""What the page of a sweep says: which settings are best, by how much, and how each axis moves the numbers."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any
from urllib.parse import quote

from abstain.evals.plots_style import Plot
from abstain.recipes.report_compare import Difference, differences_from
from abstain.recipes.report_examples import shown
from abstain.recipes.report_response import RATES, axis_lead, axis_plots, best_plots, short_label
from abstain.recipes.report_sweep_source import DONE, FAILED, Group, PointData, SweepData, spread
from abstain.recipes.report_words import in_words, percent, points, reference_row, settings_in_words
from abstain.recipes.sweep_axes import short_names

TEMPLATE = "report_sweep.html.jinja"
MOST_COMPARED = 24
"""Settings whose answers are read again for a paired difference from the best."""
MOST_ROWS = 60


def sweep_content(sweep: SweepData, out: Path) -> tuple[dict[str, Any], list[Plot]]:
    """What `report_sweep.html.jinja` names, and the pictures in it.

    Args:
        sweep: what was read.
        out: the folder of the page, from which it links to the points' own reports.
    """
    groups, names = sweep.groups(), short_names(list(sweep.axes))
    target = reference_target(groups)
    compared = differences_from(groups[0], groups[1:MOST_COMPARED]) if len(groups) > 1 else []
    axes = [(names[axis], axis_lead(sweep, groups, axis, names), axis_plots(sweep, groups, axis, target, names))
            for axis in sweep.axes]  # fmt: skip
    axes = [(axis, lead, plots) for axis, lead, plots in axes if plots]
    best = best_plots(groups)
    content = {
        "title": f"{shown(sweep.name or sweep.path.resolve().name, 80)}: abstain report",
        "name": shown(sweep.name or sweep.path.resolve().name, 80),
        "facts": _facts(sweep, groups),
        "headline": _headline(groups, names),
        "further": _further(groups, compared, names, target),
        "missing": _missing(sweep),
        "broken": [shown(one) for one in sweep.broken],
        "heads": ["", *map(short_label, names.values()), *_heads(target)],
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
        rows.append({
            "rank": rank + 1,
            "settings": [shown(in_words(group.settings[key]), 60) if key in group.settings else "–" for key in axes],
            "cells": [str(len(group.points)), spread(group.measured("mean_regret")),
                      *(rate if rate == "–" else f"{rate}\u00a0%" for rate in rates)],
            "difference": "best" if rank == 0 else points(difference.mean if difference else None),
            "interval": _interval(difference),
        })  # fmt: skip
    return rows


def _headline(groups: Sequence[Group], names: Mapping[str, str]) -> str:
    if not groups:
        return "No point of this sweep has finished yet."
    regrets = groups[0].measured("mean_regret")
    if not regrets:
        return "No point of this sweep has a regret to compare."
    seeds = len(regrets)
    over = (
        f"the mean regret is {spread(regrets)} over {seeds} seeds"
        if seeds > 1
        else f"its mean regret is {spread(regrets)}"
    )
    what = shown(settings_in_words(groups[0].settings, names), 160) or "the only one"
    return f"Of {len(groups)} settings, the best is {what}: {over}."


def _further(
    groups: Sequence[Group], compared: Sequence[Difference | None], names: Mapping[str, str], target: float | None
) -> list[str]:
    found = []
    if groups and target is not None and (wrong := groups[0].measured("incorrect", target)):
        right = groups[0].measured("correct", target)
        rates = f" and right on {percent(fmean(right), 1)}" if right else ""
        found.append(f"Scored at t = {target:g}, it is wrong on {percent(fmean(wrong), 1)} of the questions{rates}.")
    if compared and (second := compared[0]) is not None:
        chance = second.interval is not None and second.interval[0] <= 0 <= second.interval[1]
        what = shown(settings_in_words(groups[1].settings, names), 120)
        verdict = ", which may be chance" if chance else ""
        less = "less" if second.mean <= 0 else "more"
        between = f" (difference {_interval(second)})" if second.interval else ""
        found.append(
            f"Next is {what}; it scores {points(abs(second.mean))} points per question {less}{between}{verdict}."
        )
    return found


def _interval(difference: Difference | None) -> str:
    if difference is None or difference.interval is None:
        return ""
    low, high = difference.interval
    return f"{points(low)} to {points(high)}" + (", questions only" if difference.over == "questions" else "")


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
    link = "./" + quote(os.path.relpath(page, out)) if page.is_file() else ""
    regret = (point.metrics or {}).get("mean_regret")
    seed = "–" if point.seed is None else str(point.seed)
    return {
        "name": shown(point.name, 120),
        "link": link,
        "seed": seed,
        "status": shown(point.status, 20),
        "regret": points(regret),
    }


def _heads(target: float | None) -> list[str]:
    rates = [] if target is None else [f"{title.lower()}, t = {target:g}" for title in RATES.values()]
    return ["seeds", "mean regret", *rates, "score less the best's"]
