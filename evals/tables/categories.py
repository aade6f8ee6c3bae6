"""What becomes of what a model knew, and of what it did not: a small table by category, and what it comes to."""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.metrics.by_category import CATEGORIES, KNOWN, labelled_model, reference_target
from abstain.evals.metrics.schema import Metrics
from abstain.evals.tables.document import Block, Bullets, Heading
from abstain.evals.tables.formats import percent, percent_with_interval
from abstain.evals.tables.grid import Column, Grid

Entry = Mapping[str, Any]
"""The numbers of one category, target and model."""
HIGHLY_KNOWN, UNKNOWN = CATEGORIES[0], CATEGORIES[-1]
LEGEND = [
    (
        "category",
        "HighlyKnown: every few-shot prompt brings the right answer; MaybeKnown: some do; WeaklyKnown: only a sample; "
        "Unknown: none (abstain label)",
    )
]
"""What the categories mean."""
_LABEL = Column("model", "model", lambda row: row["label"], is_label=True)
_UNGRADED = Column("ungraded", "un-\ngraded", lambda row: percent(row["ungraded"]))
_CATEGORY = Column("category", "category", lambda row: row["category"], is_label=True)
_N = Column("n", "n", lambda row: f"{row['n'] or 0:,.0f}")
_TARGET = Column("t", "t", lambda row: f"{row['target']:g}")
_SHARES = (
    Column("answered", "answered", lambda row: percent(row["coverage"])),
    Column("right", "right", lambda row: percent(row["correct"])),
    Column("wrong", "wrong", lambda row: percent(row["incorrect"])),
    Column("“I don't know”", "“I don't\nknow”", lambda row: percent(row["abstained"])),
)


def category_entries(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[dict[str, Any]]:
    """One dict for each category, target and model, in this order, of the models whose questions have categories.

    Args:
        metrics: contents of `metrics.json` files.
        labels: what to call the models.
    """
    entries = [
        {"label": label, "model": one["model"], "task": one["task"], "category": group["category"], **row}
        for label, one in zip(labels, metrics, strict=True)
        for group in one.get("by_category") or ()
        for row in group["by_target"]
    ]
    return sorted(entries, key=lambda entry: (_place(entry["category"]), entry["target"]))


def _place(category: str) -> int:
    return CATEGORIES.index(category) if category in CATEGORIES else len(CATEGORIES)


def category_blocks(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[Block]:
    """The table, and what it comes to; nothing where nobody looked for categories.

    Of one model it has every target; of several, which would fill pages, the one that the sentences speak of. These
    are about the last model.
    """
    entries = category_entries(metrics, labels)
    if not entries:
        missing = [one for one in metrics if one.get("by_category") == [] and one.get("unlabelled")]
        return [f"By what {labelled_model(one)} knew: none of the questions has a label." for one in missing[-1:]]
    several, target = len(metrics) > 1, reference_target(entry["target"] for entry in entries)
    shown = [entry for entry in entries if not several or entry["target"] == target]
    columns = [_CATEGORY, *([_LABEL] if several else []), _N, *([] if several else [_TARGET]), *_SHARES]
    if any(entry["ungraded"] for entry in shown):
        columns.append(_UNGRADED)
    grid = Grid.of(columns, shown, keys=1 + several, grouped=True)
    last = [one for one in metrics if one.get("by_category")][-1]
    heading = f"By what {labelled_model(last)} knew" + (f", at t = {target:g}" if several else "")
    return [Heading(heading, _missing(last)), grid, Bullets(knowledge_sentences(last))]


def _missing(one: Metrics) -> str:
    if not one.get("unlabelled"):
        return ""
    return f"{one['unlabelled']:,.0f} of {one['n']:,.0f} questions have no label, and are left out here"


def knowledge_sentences(one: Metrics, target: float | None = None) -> list[str]:
    """How much it refuses of what was known, and answers of what was not, as far as there were such questions.

    Args:
        one: contents of a `metrics.json`.
        target: t; by default the one that is nearest to a half.

    Example:
        >>> well = {"target": 0.5, "abstained": 0.1, "abstained_ci": [0.05, 0.2]}
        >>> known = {"category": "HighlyKnown", "n": 60, "by_target": [well]}
        >>> knowledge_sentences({"by_category": [known], "labels_of": "base"})
        ['At t = 0.5 it refuses 10.0% [5.0, 20.0] of what base knew well (HighlyKnown).']
    """
    groups = {group["category"]: group["by_target"] for group in one.get("by_category") or ()}
    if target is None:
        target = reference_target(row["target"] for rows in groups.values() for row in rows)
    if known := one.get("known"):
        groups["known"] = known["by_target"]
    at = {name: row for name, rows in groups.items() for row in rows if row["target"] == target}
    who, found = labelled_model(one), []
    if row := at.get(HIGHLY_KNOWN):
        share = percent_with_interval(row["abstained"], row["abstained_ci"])
        found.append(f"it refuses {share} of what {who} knew well ({HIGHLY_KNOWN}).")
    if row := at.get("known"):
        share = percent_with_interval(row["correct"], row["correct_ci"])
        found.append(f"it gets {share} right of what {who} knew, always or sometimes ({' and '.join(KNOWN)}).")
    if row := at.get(UNKNOWN):
        share = percent_with_interval(row["coverage"], row["coverage_ci"])
        wrong = f", {wrong_of_answered(row)} of that wrong" if row["coverage"] else ""
        found.append(f"it answers {share} of what {who} did not know ({UNKNOWN}){wrong}.")
    return [f"At t = {target:g} {sentence}" for sentence in found]


def wrong_of_answered(row: Mapping[str, Any]) -> str:
    """Share of the answers that is wrong, and its interval."""
    right, ends = row["accuracy_attempted"], row["accuracy_attempted_ci"]
    if right is None or ends is None:
        return percent_with_interval(None, None)
    return percent_with_interval(1 - right, [1 - ends[1], 1 - ends[0]])
