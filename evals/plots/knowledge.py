"""A picture of what a model does with what was known, and with what was not: a bar for each category."""

from collections.abc import Mapping, Sequence

from abstain.evals.metrics.by_category import CATEGORIES, labelled_model, reference_target
from abstain.evals.metrics.schema import Metrics
from abstain.evals.plots.outcomes import Bar, Rates, bars_of, outcomes_known, shares_in_words
from abstain.evals.plots.style import Plot, listed

PLAIN = dict(zip(CATEGORIES, ("always knew", "sometimes knew", "hardly knew", "did not know"), strict=True))
"""What a category says, for people who have not read the docs."""


def knowledge_plot(metrics: Sequence[Metrics], labels: Sequence[str]) -> Plot | None:
    """What became of the questions of each category, at the target that is nearest to a half.

    Args:
        metrics: contents of `metrics.json`, the starting model's first if there are several.
        labels: what to call them.

    Returns:
        `None` if no question has a category.
    """
    groups = [{group["category"]: group for group in one.get("by_category") or ()} for one in metrics]
    targets = [row["target"] for one in groups for group in one.values() for row in group["by_target"]]
    target, bars, empty = reference_target(targets), list[Bar](), list[str]()
    for category, plain in PLAIN.items():
        found = [
            (label, row) for label, one in zip(labels, groups, strict=True) if (row := _at(one, category, target))
        ]
        title = f"{plain} ({category}, n = {found[-1][1]['n']:,.0f})" if found else ""
        bars += [(title, label, row) for label, row in found]
        empty += [] if found else [category]
    if not bars:
        return None
    who = labelled_model(metrics[-1])
    none = f" Of {listed(empty)} there are no questions." if empty else ""
    return Plot(
        "knowledge",
        "What it knew, and what it does",
        f"Questions by what {who} knew of them, asked at t = {target:g}. What it knew should stay right; what it did "
        f"not know should turn from wrong into “I don't know”.{none}",
        f"Shares of the questions at t = {target:g}. "
        + " ".join(f"{title}, {label}: {shares_in_words(row)}." for title, label, row in bars),
        bars_of(bars),
    )


def _at(groups: Mapping[str, Mapping], category: str, target: float | None) -> Rates | None:
    """The row of a category at a target, if it can be drawn."""
    rows = groups[category]["by_target"] if category in groups else ()
    return next((row for row in rows if row["target"] == target and outcomes_known(row)), None)
