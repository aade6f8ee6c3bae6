"""What stands below the table of `abstain rescore`: who is best where, and what may be concluded from such a log."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from abstain.evals.intervals import Interval
from abstain.evals.rescore_ranking import Crossing, Lead, Ranking, Stretch

Metrics = Mapping[str, Any]
Notes = list[tuple[str, list[str]]]
_SHOWN = 8  # lines of one note; there may be hundreds of crossings among many models
_LEVELS = {
    1: "grades only. The rows are one fixed policy as the penalty for a mistake grows: a penalty curve, which says "
    "nothing about calibration and is no audit of it",
    2: "grades and confidence. “if q > t” gives the same answers, but only where the confidence q exceeds t: what the "
    "model could score by heeding its own confidence. It was never told t: no audit of behavioral calibration",
    3: "stated targets. Every prompt stated its t, and each row scores the answers given under it: the log of a "
    "behavioral-calibration audit",
}
_ONE_TARGET = (
    "stated targets, but one only: how the model does under it, and not whether it does otherwise under another, "
    "which is what an audit of behavioral calibration asks"
)
_CONFIDENCE = {"auroc": "AUROC", "aurc": "AURC", "ece": "ECE", "brier": "Brier"}


def notes(metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str]) -> Notes:
    """Terms and what to say of them, in one or several lines.

    Args:
        metrics: one for each run.
        rankings: one for each task with several models.
        remarks: what was done to the logs.
    """
    interval = metrics[0]["interval"]
    found = [note for ranking in rankings for note in _ranked(ranking, several=len(rankings) > 1)]
    found += _levels(metrics)
    found.append(("n", [_asked(metrics)]))
    found.append(
        (
            "score",
            [
                "points per question: 1 if right, −t/(1−t) if wrong, 0 for “I don't know”. Never answering scores 0; "
                "these answers beat it as long as t is below their accuracy when attempted"
            ],
        )
    )
    if any(row["score_ci"] for one in metrics for row in one["by_target"]):
        what = f"{interval['level']:.0%} bootstrap interval of the score, {interval['resamples']:,} resamples"
    else:
        what = "not known: the log has rates, and no number of questions (a column n)"
    found.append(("interval", [what]))
    judged = [line for one in metrics if (line := _confidence(one, len(metrics) > 1))]
    found += [("confidence", _some(judged))] if judged else []
    return [*found, ("notes", list(remarks))] if remarks else found


def _some(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return [*lines[:_SHOWN], f"and {more:,} more (--format json)"] if more > 0 else lines


def _ranked(ranking: Ranking, several: bool) -> Notes:
    suffix = f", {ranking.task}" if several and ranking.task else ""
    changes = [_crossing(one) for one in ranking.crossings] if ranking.stretches else _order_changes(ranking)
    lines = {
        "best": [_stretch(one) for one in ranking.stretches],
        "rank flips": changes,
        "lead": [_lead(one) for one in ranking.leads],
    }
    return [(term + suffix, _some(said)) for term, said in lines.items() if said]


def _stretch(one: Stretch) -> str:
    best = one.best or "nobody: never answering scores more"
    if one.start == 0 and one.end == 1:
        return f"at every t: {best}"
    if one.start == 0:
        return f"t < {one.end:.3f}: {best}"
    return f"t > {one.start:.3f}: {best}" if one.end == 1 else f"{one.start:.3f} < t < {one.end:.3f}: {best}"


def _crossing(one: Crossing) -> str:
    return f"t = {one.target:.3f}{_bracket(one.interval)}: {one.below} scores more below, {one.above} above"


def _bracket(interval: Interval | None) -> str:
    return " [{:z.3f}, {:z.3f}]".format(*interval) if interval else ""


def _lead(one: Lead) -> str:
    if round(one.difference, 3) == 0:
        return f"t = {one.target:g}: {one.best} and {one.second} score alike{_bracket(one.interval)}"
    return f"t = {one.target:g}: {one.best} by {one.difference:.3f}{_bracket(one.interval)} over {one.second}"


def _order_changes(ranking: Ranking) -> list[str]:
    return [
        f"between t = {low:g} and {high:g}: {' > '.join(before)} becomes {' > '.join(after)}"
        for (low, before), (high, after) in pairwise(ranking.orders.items())
        if before != after
    ]


def _levels(metrics: Sequence[Metrics]) -> Notes:
    found: Notes = []
    for level in sorted({one["level"] for one in metrics}):
        by = "label" if len({one["label"] for one in metrics}) > 1 else "task"
        mine = list(dict.fromkeys(one[by] for one in metrics if one["level"] == level))
        whose = f" ({', '.join(mine)})" if len({one["level"] for one in metrics}) > 1 else ""
        told = {row["target"] for one in metrics for row in one["by_target"] if one["level"] == level}
        found.append(
            (f"level {level} of 3", [f"{_ONE_TARGET if level == 3 and len(told) == 1 else _LEVELS[level]}{whose}"])
        )
    return found


def _asked(metrics: Sequence[Metrics]) -> str:
    known = {(one["label"], one["task"]): one["n"] for one in metrics if one["n"] is not None}
    if not known:
        return "not known"
    if len(set(known.values())) == 1 and len(known) == len(metrics):
        n = next(iter(known.values()))
        return f"{n:,} {'question' if n == 1 else 'questions'}; every rate is a fraction of the answers"
    several = len({task for _, task in known}) > 1
    each = [f"{label} on {task} {n:,}" if several and task else f"{label} {n:,}" for (label, task), n in known.items()]
    shown = ", ".join(each[:_SHOWN]) + (f" and {len(each) - _SHOWN:,} more" if len(each) > _SHOWN else "")
    return f"questions: {shown}; every rate is a fraction of the answers"


def _confidence(one: Metrics, several: bool) -> str:
    whose = ", ".join(filter(None, [one["label"], one["task"]])) + ": " if several else ""
    share = one["confidence_share"]
    if not share:
        return ""
    if one["level"] == 1:
        return f"{whose}known for {share:.1%} of the answers only, too few to use"
    numbers = ", ".join(
        f"{name} {'–' if one[key] is None else format(one[key], 'z.3f')}" for key, name in _CONFIDENCE.items()
    )
    asked = "" if one["confidence_target"] is None else f" under t = {one['confidence_target']:g}"
    return f"{whose}{one['confidence_kind']}, {one['confidence_n']:,} answers{asked}: {numbers}"
