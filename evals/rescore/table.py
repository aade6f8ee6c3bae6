"""The table of `abstain rescore`: per task a row for each target and model, and one more for its confidence heeded.

Ranks are among the models as they answered. Below stand who is best where, and what the log permits to be said.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from abstain.evals.metrics.intervals import Interval
from abstain.evals.metrics.readings import describe_long_answers
from abstain.evals.metrics.schema import BY_TARGET, OVERALL, Metrics
from abstain.evals.rescore.ranking import Crossing, Lead, Ranking, Stretch
from abstain.evals.tables.agreement import LEGEND, agreement_blocks
from abstain.evals.tables.document import Block, Format, Heading, Notes, render_tables
from abstain.evals.tables.footnotes import describe_interval, describe_judge
from abstain.evals.tables.formats import decimal, interval
from abstain.evals.tables.grid import MISSING, Column, Grid
from abstain.evals.tables.table import ANSWERED, TARGET, UNGRADED, split_interval

Entry = Mapping[str, Any]
"""The numbers of one task, target, model and policy."""
Terms = list[tuple[str, str]]
HEEDED = BY_TARGET["thresholded"].label
_SHOWN = 8  # lines of one note; there may be hundreds of crossings among many models
_LABEL = Column("model", "model", lambda entry: entry["shown"], is_label=True)
_POLICY = Column("policy", "policy", lambda entry: entry["shown"], is_label=True)
_RANK = Column("rank", "rank", lambda entry: MISSING if entry["rank"] is None else str(entry["rank"]))
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
_SCORE = (
    "points per question: 1 if right, −t/(1−t) if wrong, 0 for “I don't know”. Never answering scores 0; "
    "these answers beat it as long as t is below their accuracy when attempted"
)


def render_rescored(
    metrics: Sequence[Metrics],
    rankings: Sequence[Ranking],
    remarks: Sequence[str] = (),
    format: Format = "text",
    *,
    width: int = 100,
    color: bool = False,
) -> str:
    """The table of all runs, ending in a newline.

    Args:
        metrics: what `abstain.evals.rescore.metrics.measure_run` found, one for each run.
        rankings: one for each task with several models.
        remarks: what was done to the logs, for the notes.
        format: "text", "markdown", "latex" (booktabs), "csv" (rows only) or "json" (rows, rankings, remarks).
        width, color: as in `abstain.evals.tables.document.render_tables`.

    Raises:
        ValueError: an unknown format.
    """
    entries = _entries(metrics, rankings)
    judged = [block for one in metrics if one.get("judge") for block in agreement_blocks(*_judged(one, metrics))]
    blocks = [*_tables(entries, full=format != "text"), *judged, Notes(_notes(metrics, rankings, remarks))]
    rows = [split_interval(entry) for entry in entries]
    data = {"rows": entries, "rankings": [ranking.as_dict() for ranking in rankings], "remarks": list(remarks)}
    return render_tables(blocks, format, rows=rows, data=data, width=width, color=color)


def _entries(metrics: Sequence[Metrics], rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """One dict for each task, target, model and policy ("as answered", or "confidence > t" where it is known)."""
    ranked = {(one.task, t): labels for one in rankings for t, labels in one.orders.items()}
    scores = {(one["task"], row["target"], one["label"]): row["score"] for one in metrics for row in one["by_target"]}
    entries = []
    for one in metrics:
        about = {key: one[key] for key in ("label", "model", "task", "level", "source", "format")}
        for row in one["by_target"]:
            key = one["task"], row["target"]
            rivals = [scores[*key, label] for label in ranked.get(key, [])]
            # as many as score alike share a rank
            rank = 1 + sum(score > row["score"] for score in rivals) if rivals else None
            plain = {key: value for key, value in row.items() if key != "thresholded"}
            entries.append({**about, "policy": "as answered", "rank": rank, **plain})
            if "thresholded" in row:
                same = {"target": row["target"], "n": row["n"]}
                entries.append({**about, "policy": "confidence > t", "rank": None, **same, **row["thresholded"]})
    tasks = list(dict.fromkeys(one["task"] for one in metrics))
    return sorted(entries, key=lambda entry: (tasks.index(entry["task"]), entry["target"]))


def _tables(entries: Sequence[Entry], full: bool) -> Iterator[Block]:
    """Each task and its grid, with full names where rows may be taken apart."""
    tasks = list(dict.fromkeys(entry["task"] for entry in entries))
    for task in tasks:
        mine = [entry for entry in entries if entry["task"] == task]
        models = len({entry["label"] for entry in mine})
        several = models > 1 or any(entry["policy"] != "as answered" for entry in mine)
        columns = [TARGET, *([_LABEL] if models > 1 else [_POLICY] if several else []), *ANSWERED]
        columns += [_RANK] * (models > 1) + [UNGRADED] * any(entry["ungraded"] for entry in mine)
        shown = [{**entry, "shown": _shown(entry, models, full)} for entry in mine]
        dim = [entry["policy"] != "as answered" for entry in mine]
        if task or len(tasks) > 1:
            yield Heading(task or "no task named")
        yield Grid.of(columns, shown, keys=1 + several, grouped=several, dim=dim)


def _shown(entry: Entry, models: int, full: bool) -> str:
    if entry["policy"] == "as answered":
        return str(entry["label"]) if models > 1 else "as answered"
    if models == 1:
        return HEEDED
    return f"{entry['label']}, {HEEDED}" if full else f"  {HEEDED}"


def _notes(metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str]) -> Terms:
    """Who is best where, and what may be concluded from such a log."""
    terms = [term for ranking in rankings for term in _ranked(ranking, several=len(rankings) > 1)]
    terms += [*_levels(metrics), ("n", _asked(metrics)), ("score", _SCORE), ("interval", _interval(metrics))]
    judged = [line for one in metrics if (line := _confidence(one, len(metrics) > 1))]
    terms += [("confidence", _some(judged))] if judged else []
    read = [line for one in metrics if (line := _reading(one, len(metrics) > 1))]
    terms += [("reading", _some(read))] if read else []
    if graded := [
        f"{_whose(one, len(metrics) > 1)}{describe_judge(one['judge'])}" for one in metrics if one.get("judge")
    ]:
        terms += [("judge", _some(graded)), *LEGEND]
    doubted = [line for one in metrics if (line := _in_doubt(one, len(metrics) > 1))]
    terms += [("string grader", _some(doubted))] if doubted else []
    return [*terms, ("notes", "\n".join(remarks))] if remarks else terms


def _interval(metrics: Sequence[Metrics]) -> str:
    if not any(row["score_ci"] for one in metrics for row in one["by_target"]):
        return "not known: the log has rates, and no number of questions (a column n)"
    return describe_interval(metrics[0])


def _some(lines: Sequence[str]) -> str:
    more = len(lines) - _SHOWN
    return "\n".join([*lines[:_SHOWN], f"and {more:,} more (--format json)"] if more > 0 else lines)


def _ranked(ranking: Ranking, several: bool) -> Terms:
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


def _bracket(ends: Interval | None) -> str:
    return f" {interval(ends, 3)}" if ends else ""


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


def _levels(metrics: Sequence[Metrics]) -> Terms:
    terms: Terms = []
    for level in sorted({one["level"] for one in metrics}):
        by = "label" if len({one["label"] for one in metrics}) > 1 else "task"
        mine = list(dict.fromkeys(one[by] for one in metrics if one["level"] == level))
        whose = f" ({', '.join(mine)})" if len({one["level"] for one in metrics}) > 1 else ""
        told = {row["target"] for one in metrics for row in one["by_target"] if one["level"] == level}
        what = _ONE_TARGET if level == 3 and len(told) == 1 else _LEVELS[level]
        terms.append((f"level {level} of 3", f"{what}{whose}"))
    return terms


def _asked(metrics: Sequence[Metrics]) -> str:
    known = {(one["label"], one["task"]): one["n"] for one in metrics if one["n"] is not None}
    if not known:
        return "not known"
    if len(set(known.values())) == 1 and len(known) == len(metrics):
        n = next(iter(known.values()))
        return f"{_count(n, 'question')}; every rate is a fraction of the answers"
    several = len({task for _, task in known}) > 1
    each = [f"{label} on {task} {n:,}" if several and task else f"{label} {n:,}" for (label, task), n in known.items()]
    shown = ", ".join(each[:_SHOWN]) + (f" and {len(each) - _SHOWN:,} more" if len(each) > _SHOWN else "")
    return f"questions: {shown}; every rate is a fraction of the answers"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"


def _whose(one: Metrics, several: bool) -> str:
    return ", ".join(filter(None, [one["label"], one["task"]])) + ": " if several else ""


def _reading(one: Metrics, several: bool) -> str:
    """How answers were read that were graded here."""
    if one["reading_gap"] is None:
        return ""
    read = f"{one['reading']}, answer format {one['answer_format']}"
    gap = f"{one['reading_gap']:.1%} of the answers are right when read leniently but not strictly"
    return f"{_whose(one, several)}{read}; {gap}"


def _judged(one: Metrics, metrics: Sequence[Metrics]) -> tuple[Mapping[str, Any], str]:
    """What is known of a run's judge, and whose answers it graded, where that is to be said."""
    return one["judge"]["agreement"], _whose(one, len(metrics) > 1).removesuffix(": ")


def _in_doubt(one: Metrics, several: bool) -> str:
    found = one["long_answers"]
    return _whose(one, several) + describe_long_answers(found, "see docs/judge.md") if found else ""


def _confidence(one: Metrics, several: bool) -> str:
    whose = _whose(one, several)
    share = one["confidence_share"]
    if not share:
        return ""
    if one["level"] == 1:
        return f"{whose}known for {share:.1%} of the answers only, too few to use"
    numbers = ", ".join(f"{OVERALL[key].label} {decimal(one[key])}" for key in ("auroc", "aurc", "ece", "brier"))
    asked = "" if one["confidence_target"] is None else f" under t = {one['confidence_target']:g}"
    return f"{whose}{one['confidence_kind']}, {_count(one['confidence_n'], 'answer')}{asked}: {numbers}"
