"""What the page of a run says of what the starting model knew: a sentence, a picture, and a table of every target."""

from collections.abc import Mapping
from typing import Any

from abstain.evals.metrics.by_category import CATEGORIES, KNOWN
from abstain.evals.metrics.schema import Metrics
from abstain.evals.plots.knowledge import PLAIN, knowledge_plot
from abstain.evals.plots.style import listed
from abstain.evals.tables.formats import prose_percent
from abstain.recipes.report.examples import shown
from abstain.recipes.report.words import knowing

_COLUMNS = (
    (f"{PLAIN[CATEGORIES[0]]}: “I don't know”", CATEGORIES[0], "abstained", False),
    ("knew, always or sometimes: right", "known", "correct", False),
    (f"{PLAIN[CATEGORIES[-1]]}: answered", CATEGORIES[-1], "coverage", False),
    ("of these answers, wrong", CATEGORIES[-1], "accuracy_attempted", True),
)
"""Heading, group of questions, name in `metrics.json`, and whether it is what that leaves to 1."""


def knowledge_content(metrics: Mapping[str, Metrics], names: Mapping[str, str]) -> dict[str, Any]:
    """What `run.html.jinja` names; empty if nobody knows what was known.

    The picture is of the first and the last that was measured with categories, sentence and table are of the last.

    Args:
        metrics: by "before", the stages between, and "after", as far as they were measured.
        names: what each is called.
    """
    split = {label: one for label, one in metrics.items() if one["by_category"]}
    ends = list(dict.fromkeys([*list(split)[:1], *list(split)[-1:]]))
    several = len(ends) > 1
    plot = knowledge_plot([split[label] for label in ends], [names[one] if several else "the model" for one in ends])
    if plot is None:
        return {}
    last = split[ends[-1]]
    rows = [{"target": f"{t:g}", "classes": "", "cells": cells} for t, cells in _rows(last).items()]
    heads = ["t", *(head for head, *_ in _COLUMNS)]
    return {
        "lead": shown(knowing(last)),
        "plot": plot,
        "table": {"heads": heads, "rows": rows, "two": False},
        "note": _note(last, names[ends[-1]] if several else ""),
    }


def _rows(one: Metrics) -> dict[float, list[tuple[str, str]]]:
    """For each target, each share and its interval."""
    groups = {group["category"]: group for group in one["by_category"]} | {"known": one["known"] or {}}
    rows = {name: {row["target"]: row for row in group.get("by_target", ())} for name, group in groups.items()}
    return {
        t: [_share(rows.get(group, {}).get(t, {}), key, rest) for _, group, key, rest in _COLUMNS]
        for t in sorted(set[float]().union(*rows.values()))
    }


def _share(row: Mapping[str, Any], key: str, rest: bool) -> tuple[str, str]:
    share, ends = row.get(key), row.get(f"{key}_ci") or ()
    if rest and share is not None:
        share, ends = 1 - share, [1 - end for end in reversed(ends)]
    return prose_percent(share, 1), " to ".join(prose_percent(end).removesuffix("\u00a0%") for end in ends)


def _note(one: Metrics, name: str) -> str:
    when = " after training" if name == "after" else f" {name}" if name else ""
    said = [f"Shares{when}, with 95\u00a0% intervals. Knew, always or sometimes: {listed(KNOWN)}."]
    if one["unlabelled"]:
        said.append(f"{one['unlabelled']:,.0f} questions have no label, and are left out here.")
    return " ".join(said)
