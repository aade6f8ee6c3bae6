"""What the page of a run says of documents: a sentence, and where answers come from for each kind of documents."""

from collections.abc import Mapping
from typing import Any

from abstain.evals.metrics.schema import Metrics
from abstain.evals.tables.attribution import LEGEND, SOURCES, document_sentences
from abstain.evals.tables.formats import prose_percent
from abstain.recipes.report.examples import shown

_COLUMNS = ("correct", "incorrect", "abstained", *SOURCES)
_HEADS = ("right", "wrong", "“I don't know”", *(name.replace("_", " ") for name in SOURCES))


def documents_content(metrics: Mapping[str, Metrics]) -> dict[str, Any]:
    """What `run.html.jinja` names, of the last that was measured; empty if no question has documents.

    Args:
        metrics: by "before", the stages between, and "after", as far as they were measured.
    """
    split = [one for one in metrics.values() if one.get("by_documents")]
    if not split:
        return {}
    rows = [
        {"target": f"{row['target']:g}", "classes": "", "cells": [(shown(group["documents"]), ""), *_cells(row)]}
        for group in split[-1]["by_documents"]
        for row in group["by_target"]
    ]
    return {
        "lead": shown(" ".join(document_sentences(split[-1]))),
        "table": {"heads": ["t", "documents", *_HEADS], "rows": rows, "two": False},
        "note": f"Shares of the questions of each kind, with 95\u00a0% intervals. {LEGEND[0][1]}.",
    }


def _cells(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(prose_percent(row.get(name), 1), _ends(row.get(f"{name}_ci"))) for name in _COLUMNS]


def _ends(interval: list[float] | None) -> str:
    return " to ".join(prose_percent(end).removesuffix("\u00a0%") for end in interval or ())
