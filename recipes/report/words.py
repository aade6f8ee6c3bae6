"""The findings of a run in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.metrics.by_category import CATEGORIES, REFERENCE, labelled_model
from abstain.evals.metrics.schema import Metrics, number
from abstain.evals.tables.footnotes import ORACLES
from abstain.evals.tables.formats import prose_decimal, prose_percent

Rates = Mapping[str, Any]
"""A row of `by_target`."""
START = "the starting model"
GROWN = 0.05
"""By which the gap between the two readings has grown if a sentence is to warn of it."""
_NOTHING = 0.005  # what answers less often than this answers next to nothing


def headline(metrics: Mapping[str, Metrics]) -> str:
    """What training changed, in one sentence.

    Args:
        metrics: by "before" and "after"; either may be missing.

    Example:
        >>> before = {"target": 0.5, "correct": 0.554, "incorrect": 0.446, "abstained": 0.0}
        >>> after = {"target": 0.5, "correct": 0.515, "incorrect": 0.028, "abstained": 0.457}
        >>> headline({"before": {"by_target": [before]}, "after": {"by_target": [after]}}).replace("\\u00a0", " ")
        'Told to answer only if more than 0.5 sure, it is now wrong on 2.8 % of the questions instead of 44.6 %, and
        keeps 93 % of its right answers.'
    """
    rows = {label: reference_row(one) for label, one in metrics.items()}
    before, after = rows.get("before"), rows.get("after")
    if after is not None and before is not None and before["target"] == after["target"]:
        return f"{_told(after, metrics['after'])}, it {_changed(before, after)}."
    if after is not None:
        return f"{_told(after, metrics['after'])}, it {_does(after)}."
    if before is not None:
        return f"Not trained yet. {_told(before, metrics['before'])}, the starting model {_does(before)}."
    return "Nothing has been measured yet."


def further(metrics: Mapping[str, Metrics], *, regret: bool = True) -> list[str]:
    """What else is worth a sentence: best guesses, `regret` unless a verdict tells it, and what casts doubt."""
    last = metrics.get("after") or metrics.get("before")
    if last is None:
        return []
    found = [*_guessing(metrics), *(_regret(last) if regret else [])]
    if ungraded := max((row["ungraded"] or 0 for row in last["by_target"]), default=0):
        found.append(f"Up to {prose_percent(ungraded, 1)} of its answers to a target could not be graded.")
    if last["truncated"]:
        found.append(f"{prose_percent(last['truncated'], 1)} of the completions ran out of tokens.")
    return found


def readings(metrics: Mapping[str, Metrics], history: Sequence[Mapping[str, Any]]) -> list[str]:
    """How far the two readings of an answer are apart: when measured, and while it trained.

    Args:
        metrics: by "before" and "after"; either may be missing.
        history: `log_history` of the RL stage.

    Example:
        >>> gaps = [{"step": step, "reading/gap": gap} for step, gap in ((10, 0.0), (20, 0.12))]
        >>> print(*readings({}, gaps), sep="\\n")
        While it trained, completions that are right leniently and not strictly went from 0.0 % to 12.0 %: the reward
        is being farmed, or the strict grammar is too narrow for how it has learned to answer.
    """
    measured = {label: gap for label, one in metrics.items() if (gap := number(one.get("reading_gap"))) is not None}
    found = []
    if (gap := measured.get("after", measured.get("before"))) is not None:
        was = f" (before: {prose_percent(measured['before'], 1)})" if len(measured) > 1 else ""
        found.append(f"{prose_percent(gap, 1)} of all answers are right leniently and not strictly{was}.")
    trained = [gap for entry in history if (gap := number(entry.get("reading/gap"))) is not None]
    if len(trained) > 1:
        first, last = trained[0], trained[-1]
        grown = last - min(trained) > GROWN
        meaning = ": the reward is being farmed, or the strict grammar is too narrow for how it has learned to answer"
        went = f"went from {prose_percent(first, 1)} to {prose_percent(last, 1)}{meaning * grown}"
        found.append(f"While it trained, completions that are right leniently and not strictly {went}.")
    return found


def knowing(one: Metrics) -> str:
    """What it does with what was known, and with what was not, in one sentence; "" if nobody knows what was.

    Example:
        >>> rows = [{"target": 0.5, "correct": 0.9, "incorrect": 0.05, "abstained": share} for share in (0.05, 0.8)]
        >>> groups = [("HighlyKnown", rows[0]), ("Unknown", rows[1])]
        >>> found = [{"category": name, "by_target": [row]} for name, row in groups]
        >>> knowing({"by_category": found, "labels_of": "base"}).replace("\u00a0", " ")
        "Told to answer only if more than 0.5 sure, it says “I don't know” to 5 % of what base always knew, and to 80 %
        of what it did not know."
    """
    groups = {group["category"]: reference_row(group) for group in one.get("by_category") or ()}
    known, unknown = (groups.get(name) for name in (CATEGORIES[0], CATEGORIES[-1]))
    who = labelled_model(one)
    parts = [f"to {prose_percent(known['abstained'])} of what {who} always knew"] if known else []
    if unknown:
        whose = "it" if known else who
        parts.append(f"to {prose_percent(unknown['abstained'])} of what {whose} did not know")
    if (row := known or unknown) is None:
        return ""
    return f"{_told(row, one)}, it says “I don't know” {', and '.join(parts)}."


def reference_row(one: Metrics) -> Rates | None:
    """The row of the target nearest to `REFERENCE`, preferably above 0, with shares that are known."""
    rows = [row for row in one["by_target"] if row["correct"] is not None and row["incorrect"] is not None]
    return min(rows, key=lambda row: (row["target"] == 0, abs(row["target"] - REFERENCE)), default=None)


def _told(row: Rates, one: Metrics) -> str:
    instruct, t = one.get("instruct"), row["target"]
    if instruct == "nothing":
        return f"Told nothing, and scored at t = {t:g}"
    if t == 0:
        return "Asked for its best guess"
    if instruct == "detector":
        return f"Where only answers count that a detector is more than {t:g} sure of"
    if instruct == "confidence":
        return f"Where only answers count that it says it is more than {t:g} sure of"
    if instruct == "claims":
        return f"Told to state only what it is more than {t:g} sure of"
    return f"Told to answer only if more than {t:g} sure"


def _changed(before: Rates, after: Rates) -> str:
    if 1 - (after["abstained"] or 0) < _NOTHING:
        right = prose_percent(before["correct"])
        return f"now says “I don't know” to nearly everything, where it was right on {right}"
    wrong, was = prose_percent(after["incorrect"], 1), prose_percent(before["incorrect"], 1)
    if after["incorrect"] >= before["incorrect"]:
        right = f"right on {prose_percent(after['correct'], 1)} (before: {prose_percent(before['correct'], 1)})"
        return f"is no less often wrong: on {wrong} of the questions (before: {was}), and {right}"
    return f"is now wrong on {wrong} of the questions instead of {was}, and {_kept(before, after)}"


def _kept(before: Rates, after: Rates) -> str:
    if after["correct"] > before["correct"] or not before["correct"]:
        return f"right on {prose_percent(after['correct'], 1)} instead of {prose_percent(before['correct'], 1)}"
    return f"keeps {prose_percent(after['correct'] / before['correct'])} of its right answers"


def _does(row: Rates) -> str:
    parts = [
        f"is right on {prose_percent(row['correct'], 1)} of the questions",
        f"wrong on {prose_percent(row['incorrect'], 1)}",
    ]
    if row["abstained"]:
        parts.append(f"says “I don't know” to {prose_percent(row['abstained'], 1)}")
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _guessing(metrics: Mapping[str, Metrics]) -> list[str]:
    at_zero = ((label, row) for label, one in metrics.items() for row in one["by_target"] if row["target"] == 0)
    rows = {label: row for label, row in at_zero if row["correct"] is not None}
    if set(rows) != {"before", "after"}:
        return []
    now, was = (prose_percent(rows[label]["correct"], 1) for label in ("after", "before"))
    return [f"Asked for its best guess, it is right on {now} of the questions ({was} before)."]


def _regret(one: Metrics) -> list[str]:
    if one["mean_regret"] is None or len(one["by_target"]) < 2:
        return []
    by = (
        f"{prose_decimal(abs(one['mean_regret']))} points per question {'less' if one['mean_regret'] >= 0 else 'more'}"
    )
    does = ORACLES.get(one["oracle"] or "")
    oracle = f"the oracle, which {does.format(start=START)}" if does else "an oracle"
    return [f"Over all targets it scores {by} than {oracle}."]
