"""Where answers come from if questions have documents: a small table by kind of documents, and what it comes to."""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.metrics.by_category import reference_target
from abstain.evals.metrics.schema import Metrics
from abstain.evals.tables.document import Block, Bullets, Heading
from abstain.evals.tables.formats import percent
from abstain.evals.tables.grid import Column, Grid

Entry = Mapping[str, Any]
"""The numbers of one kind of documents, target and model."""
LEGEND = [
    (
        "documents",
        "supported: a document about the subject states the answer, right or wrong; distorted: these state a right "
        "answer, and it is another; unsupported: they state neither; against memory: without documents it is more "
        "than half sure of another answer",
    )
]
"""What the sources of answers mean."""
SOURCES = ("supported", "distorted", "unsupported", "against_memory")
_LABEL = Column("model", "model", lambda row: row["label"], is_label=True)
_KIND = Column("documents", "documents", lambda row: row["documents"], is_label=True)
_N = Column("n", "n", lambda row: f"{row['n'] or 0:,.0f}")
_SHARES = (
    Column("right", "right", lambda row: percent(row["correct"])),
    Column("wrong", "wrong", lambda row: percent(row["incorrect"])),
    Column("“I don't know”", "“I don't\nknow”", lambda row: percent(row["abstained"])),
    Column("supported", "sup-\nported", lambda row: percent(row["supported"])),
    Column("distorted", "dis-\ntorted", lambda row: percent(row["distorted"])),
    Column("unsupported", "unsup-\nported", lambda row: percent(row["unsupported"])),
    Column("against memory", "against\nmemory", lambda row: percent(row["against_memory"])),
)


def document_entries(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[dict[str, Any]]:
    """One dict for each kind of documents, target and model, in this order, of the models whose questions have any.

    Args:
        metrics: contents of `metrics.json` files.
        labels: what to call the models.
    """
    kinds = dict.fromkeys(group["documents"] for one in metrics for group in one.get("by_documents") or ())
    places = {kind: place for place, kind in enumerate(kinds)}
    entries = [
        {"label": label, "model": one["model"], "task": one["task"], "documents": group["documents"], **row}
        for label, one in zip(labels, metrics, strict=True)
        for group in one.get("by_documents") or ()
        for row in group["by_target"]
    ]
    return sorted(entries, key=lambda entry: (places[entry["documents"]], entry["target"]))


def document_blocks(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[Block]:
    """The table at the target nearest to a half, and what it comes to; nothing where no question has documents."""
    entries = document_entries(metrics, labels)
    if not entries:
        return []
    several, target = len(metrics) > 1, reference_target(entry["target"] for entry in entries)
    shown = [entry for entry in entries if entry["target"] == target]
    columns = [_KIND, *([_LABEL] if several else []), _N, *_SHARES]
    grid = Grid.of(columns, shown, keys=1 + several, grouped=several)
    last = [one for one in metrics if one.get("by_documents")][-1]
    return [Heading(f"By documents, at t = {target:g}", ""), grid, Bullets(document_sentences(last))]


def document_sentences(one: Metrics, target: float | None = None) -> list[str]:
    """Where the answers come from that it gives to questions with documents.

    Args:
        one: contents of a `metrics.json`.
        target: t; by default the one that is nearest to a half.

    Example:
        >>> row = {"target": 0.5, "n": 100, "supported": 0.6, "distorted": 0.15, "unsupported": 0.05}
        >>> group = {"documents": "given", "n": 100, "by_target": [row | {"against_memory": 0.2}]}
        >>> document_sentences({"by_documents": [group]})
        ['At t = 0.5, of the answers given to questions with documents 75.0% are supported by them, 18.8% distorted and
        6.2% unsupported; 25.0% go against its memory.']
    """
    groups = one.get("by_documents") or ()
    if target is None:
        target = reference_target(row["target"] for group in groups for row in group["by_target"])
    rows = [row for group in groups for row in group["by_target"] if row["target"] == target]
    counts = {name: sum((row[name] or 0) * row["n"] for row in rows) for name in SOURCES}
    given = sum(counts[name] for name in SOURCES[:3])
    if not given:
        return [f"At t = {target:g} it answers none of the questions with documents."] if rows else []
    supported, distorted, unsupported, against = (percent(counts[name] / given) for name in SOURCES)
    known = all(row["against_memory"] is not None for row in rows)
    memory = f"; {against} go against its memory" if known else ""
    return [
        f"At t = {target:g}, of the answers given to questions with documents {supported} are supported by them, "
        f"{distorted} distorted and {unsupported} unsupported{memory}."
    ]
