"""What a comparison of policies comes to, in sentences. Each says no more than its interval allows."""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.policies.thresholds import OF_ANSWERS
from abstain.evals.tables.formats import decimal, interval, percent

Found = Mapping[str, Any]
"""A `policies.json`, or a row of it."""


def findings(found: Found) -> list[str]:
    """What the rubric brings, how often samples agree and what that is worth, and what can be guaranteed at each t."""
    return [_rubric(found), _agreement(found), *_conformal(found)]


def _rubric(found: Found) -> str:
    closed = next(row for row in found["overall"] if row["policy"] == "closed rubric")
    if closed["mean_difference_ci"] is None:
        return "What stating t brings is not known: no question was graded both with and without it."
    low, high = (-end for end in reversed(closed["mean_difference_ci"]))
    by = f"{decimal(-closed['mean_difference'])} {interval([low, high])} points per question, on the mean over t"
    if low > 0:
        return f"Stating t in the prompt brings {by}."
    if high < 0:
        return f"Stating t in the prompt costs: {by}."
    return f"Stating t in the prompt makes no measurable difference: {by}."


def _agreement(found: Found) -> str:
    rows = [row for row in found["rows"] if row["policy"] == "samples agree"]
    first = rows[0]
    who = f"{'both' if first['samples'] == 2 else 'all'} of {first['samples']} samples agree"
    if not first["coverage"]:
        return f"On no question do {who}."
    right = percent(first["accuracy_attempted"])
    said = f"On {percent(first['coverage'])} of the questions {who}; {right} of these answers are right."
    return f"{said} {_against_silence(rows)}".rstrip()


def _against_silence(rows: Sequence[Found]) -> str:
    """At which targets it scores more, or less, than never answering."""
    better = [f"{row['target']:g}" for row in rows if row["score_ci"] and row["score_ci"][0] > 0]
    worse = [f"{row['target']:g}" for row in rows if row["score_ci"] and row["score_ci"][1] < 0]
    parts = [f"{what} at t = {', '.join(ts)}" for what, ts in (("better", better), ("worse", worse)) if ts]
    return f"Than never answering that is {' and '.join(parts)}." if parts else ""


def _conformal(found: Found) -> list[str]:
    rows = [row for row in found["rows"] if row["policy"] == OF_ANSWERS and row["target"] > 0]
    if found["confidence"] is None:
        return [
            "How sure the model is of a guess is not known, so that there are no thresholds. With --draws 8 they go "
            "by the share of samples that agree."
        ]
    return [_certificate(row) for row in rows]


def _certificate(row: Found) -> str:
    about = f"Conformal at t = {row['target']:g}"
    if not row["certified"]:
        return f"{about}: {row['note']}."
    share = percent(row["accuracy_attempted"] and 1 - row["accuracy_attempted"])
    here = f"Here it answers {percent(row['coverage'])}, {share} of them wrong." if row["coverage"] else ""
    promise = f"at most {_whole(row['level'])} of its answers are wrong, {_whole(1 - row['delta'])} sure"
    return f"{about}: {promise} ({row['note']}). {here or 'Here it answers nothing.'}"


def _whole(share: float) -> str:
    """A share in percent, without decimals that are 0.

    Example:
        >>> _whole(0.25), _whole(0.025)
        ('25%', '2.5%')
    """
    return f"{100 * share:.4g}%"
