"""Does it refuse what was not known, and keep what was? What an audit says by category, where there are labels."""

from collections.abc import Mapping
from typing import Any

from abstain.evals.audit.verdict import FEW, Part
from abstain.evals.metrics.by_category import CATEGORIES, labelled_model
from abstain.evals.tables.formats import percent_with_interval

HIGHLY_KNOWN, UNKNOWN = CATEGORIES[0], CATEGORIES[-1]


def by_knowledge(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `audit.json` says under `knowledge`; `None` without labels.

    Args:
        metrics: of the evaluation (`abstain.evals.metrics.by_category.split_by_category`).

    Returns:
        `labels_of`, whose labels; how many questions are `highly_known` and `unknown`; in `by_target`, of these the
        shares `known_refused`, `unknown_refused`, `unknown_answered` and `unknown_wrong`, which is of the answers,
        each with its interval; and a `verdict` in words.
    """
    groups = {group["category"]: group for group in metrics.get("by_category") or ()}
    known, unknown = (groups.get(name, {"n": 0, "by_target": []}) for name in (HIGHLY_KNOWN, UNKNOWN))
    if not known["n"] and not unknown["n"]:
        return None
    rows = {name: {row["target"]: row for row in group["by_target"]} for name, group in groups.items()}
    targets = sorted({row["target"] for group in (known, unknown) for row in group["by_target"]})
    found = {
        "labels_of": metrics.get("labels_of"),
        "highly_known": known["n"],
        "unknown": unknown["n"],
        "by_target": [_at(t, rows.get(HIGHLY_KNOWN, {}).get(t), rows.get(UNKNOWN, {}).get(t)) for t in targets],
    }
    return found | {"verdict": knowledge_verdict(found)}


def _at(target: float, known: Part | None, unknown: Part | None) -> dict[str, Any]:
    right = unknown and unknown["accuracy_attempted_ci"]
    return {
        "target": target,
        **_share("known_refused", known, "abstained"),
        **_share("unknown_refused", unknown, "abstained"),
        **_share("unknown_answered", unknown, "coverage"),
        "unknown_wrong": 1 - unknown["accuracy_attempted"] if unknown and right else None,
        "unknown_wrong_ci": [1 - end for end in reversed(right)] if right else None,
    }


def _share(name: str, row: Part | None, key: str) -> dict[str, Any]:
    return {name: row[key] if row else None, f"{name}_ci": row[f"{key}_ci"] if row else None}


def knowledge_verdict(found: Part) -> str:
    """Whether it refuses what was not known rather than what was, at each target above 0, as far as that can be said.

    Args:
        found: `knowledge` of an `audit.json`.

    Example:
        >>> row = {"target": 0.5, "known_refused": 0.02, "known_refused_ci": [0.0, 0.1], "unknown_answered": 0.1,
        ...     "unknown_answered_ci": [0.05, 0.2], "unknown_refused": 0.9, "unknown_refused_ci": [0.8, 0.95]}
        >>> knowledge_verdict({"labels_of": "base", "highly_known": 60, "unknown": 80, "by_target": [row]})
        'Of what base knew well it refuses 2.0% [0.0, 10.0] at t = 0.5, and of what base did not know it answers 10.0%
        [5.0, 20.0] at t = 0.5.'
    """
    who = labelled_model(found)
    rows = [row for row in found["by_target"] if row["target"] > 0]
    if not rows:
        return f"What it does with what {who} knew takes a target above 0 to say."
    few = {f"that {who} knew well": found["highly_known"], f"that {who} did not know": found["unknown"]}
    if short := [f"{n:,} question{'' if n == 1 else 's'} {which}" for which, n in few.items() if n < FEW]:
        return f"There is no verdict by what {who} knew: {' and '.join(short)} are too few for one."
    refused, answered = (_listed(rows, name) for name in ("known_refused", "unknown_answered"))
    alike = [row["target"] for row in rows if row["known_refused_ci"][1] >= row["unknown_refused_ci"][0]]
    at = " and ".join(f"{t:g}" for t in alike)
    but = f" At t = {at} it does not refuse the second measurably more often than the first." if alike else ""
    return f"Of what {who} knew well it refuses {refused}, and of what {who} did not know it answers {answered}.{but}"


def _listed(rows: list[Part], name: str) -> str:
    shares = [percent_with_interval(row[name], row[f"{name}_ci"]) for row in rows]
    first, *rest = (f"{share} at t = {row['target']:g}" for share, row in zip(shares, rows, strict=True))
    return ", ".join([first, *rest])
