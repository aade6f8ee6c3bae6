"""What the page of a run says of the theory of hallucinations: each number with what it says and does not say."""

from collections.abc import Mapping
from typing import Any

from abstain.evals.tables.formats import prose_decimal
from abstain.recipes.report.examples import shown


def theory_content(found: Mapping[str, Any]) -> dict[str, Any]:
    """What `run.html.jinja` names; empty if nothing was measured.

    Args:
        found: contents of a `theory.json`, which anybody may have written.
    """
    if not found:
        return {}
    rows = [
        {"target": shown(one["label"], 80), "classes": "", "cells": [(prose_decimal(one["value"]), _ends(one))]}
        for one in found["numbers"]
    ]
    terms = [
        (shown(one["label"], 80), shown(one["says"], 600), shown(one["says_not"], 600)) for one in found["numbers"]
    ]
    fewest, most = found["answers"]
    listed = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    return {
        "lead": f"{found['n']:,} held-out questions of {shown(found['task'], 80)}, asked at t = {found['target']:g}. "
        f"Every number is of the probabilities of the answers in a list of {listed}.",
        "table": {"heads": ["", "measured"], "rows": rows, "two": False},
        "terms": terms,
    }


def _ends(one: Mapping[str, Any]) -> str:
    if one["low"] is None or one["high"] is None:
        return ""
    return f"{prose_decimal(one['low'], 2)} to {prose_decimal(one['high'], 2)}"
