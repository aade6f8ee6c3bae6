"""The table of `abstain rescore`: per task a row for each target and model, and one more for its confidence heeded.

Ranks are among the models as they answered. Below stand who is best where, and what the log permits to be said.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from abstain.evals.metrics.intervals import Interval
from abstain.evals.rescore.ranking import Crossing, Lead, Ranking, Stretch
from abstain.evals.tables.grid import MISSING, Column, Grid, latex_lines, latex_text, markdown_lines, text_lines
from abstain.evals.tables.table import ANSWERED, TARGET, UNGRADED, Format, csv_text, split_interval
from abstain.rewards.errors import nearest

# What stands below the table of `abstain rescore`: who is best where, and what may be concluded from such a log.


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


Row = Mapping[str, Any]
HEEDED = "if q > t"


_LABEL = Column("model", "model", lambda row: row["shown"], is_label=True)
_POLICY = Column("policy", "policy", lambda row: row["shown"], is_label=True)
_RANK = Column("rank", "rank", lambda row: MISSING if row["rank"] is None else str(row["rank"]))


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
        width: of the text, in characters.
        color: whether the text may hold terminal colours.

    Raises:
        ValueError: an unknown format.
    """
    if format not in _RENDERERS:
        raise ValueError(f"unknown table format {format!r}. {nearest(format, _RENDERERS)}")
    return _RENDERERS[format](metrics, rankings, remarks, width, color)


def rows(metrics: Sequence[Metrics], rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """One dict for each task, target, model and policy ("as answered", or "confidence > t" where it is known)."""
    ranked = {(one.task, t): labels for one in rankings for t, labels in one.orders.items()}
    scores = {(one["task"], row["target"], one["label"]): row["score"] for one in metrics for row in one["by_target"]}
    found = []
    for one in metrics:
        about = {key: one[key] for key in ("label", "model", "task", "level", "source", "format")}
        for row in one["by_target"]:
            key = one["task"], row["target"]
            rivals = [scores[*key, label] for label in ranked.get(key, [])]
            rank = (
                1 + sum(score > row["score"] for score in rivals) if rivals else None
            )  # as many as score alike share
            plain = {key: value for key, value in row.items() if key != "thresholded"}
            found.append({**about, "policy": "as answered", "rank": rank, **plain})
            if "thresholded" in row:
                same = {"target": row["target"], "n": row["n"]}
                found.append({**about, "policy": "confidence > t", "rank": None, **same, **row["thresholded"]})
    tasks = list(dict.fromkeys(one["task"] for one in metrics))
    return sorted(found, key=lambda row: (tasks.index(row["task"]), row["target"]))


def _grids(metrics: Sequence[Metrics], rankings: Sequence[Ranking], full: bool) -> Iterator[tuple[str, Grid]]:
    """Each task and its grid, with full names where rows may be taken apart."""
    everything = rows(metrics, rankings)
    tasks = list(dict.fromkeys(row["task"] for row in everything))
    for task in tasks:
        mine = [row for row in everything if row["task"] == task]
        models = len({row["label"] for row in mine})
        heeded = any(row["policy"] != "as answered" for row in mine)
        several = models > 1 or heeded
        columns = [TARGET, *([_LABEL] if models > 1 else [_POLICY] if heeded else []), *ANSWERED]
        columns += [_RANK] * (models > 1) + [UNGRADED] * any(row["ungraded"] for row in mine)
        shown = [row | {"shown": _shown(row, models, full)} for row in mine]
        dim = [row["policy"] != "as answered" for row in mine]
        yield task, Grid.of(columns, shown, keys=1 + several, grouped=several, dim=dim)


def _shown(row: Row, models: int, full: bool) -> str:
    if row["policy"] == "as answered":
        return str(row["label"]) if models > 1 else "as answered"
    if models == 1:
        return HEEDED
    return f"{row['label']}, {HEEDED}" if full else f"  {HEEDED}"


def _text(
    metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str], width: int, color: bool
) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=color, no_color=not color, highlight=False)
    grids = list(_grids(metrics, rankings, full=False))
    for task, grid in grids:
        if len(grids) > 1 or task:
            console.print(Text(f" {task or 'no task named'}", "bold"), Text(), sep="\n")
        for line in [*text_lines(grid, width), Text()]:
            console.print(line, soft_wrap=True)
    terms = Table.grid(padding=(0, 2, 0, 0))
    terms.add_column(max_width=24, style="bold dim", no_wrap=True)
    terms.add_column(style="dim")
    for term, meaning in notes(metrics, rankings, remarks):
        terms.add_row(Text(f" {term}"), Text("\n".join(meaning)))
    console.print(terms)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _markdown(
    metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str], width: int, color: bool
) -> str:
    lines = []
    for task, grid in _grids(metrics, rankings, full=True):
        lines += [f"**{_escaped(task)}**", ""] if task else []
        lines += [*(_escaped(line) for line in markdown_lines(grid)), ""]
    terms = [f"- **{term}**: {_escaped('; '.join(meaning))}" for term, meaning in notes(metrics, rankings, remarks)]
    return "\n".join([*lines, *terms]) + "\n"


def _escaped(text: str) -> str:
    """A stranger's names may look like tags."""
    return text.replace("<", "&lt;")


def _latex(
    metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str], width: int, color: bool
) -> str:
    lines = ["% needs \\usepackage{booktabs}; for the caption:"]
    lines += [
        f"% {latex_text(term)}: {latex_text('; '.join(meaning))}"
        for term, meaning in notes(metrics, rankings, remarks)
    ]
    tables = []
    for task, grid in _grids(metrics, rankings, full=True):
        tables.append("\n".join([f"% {latex_text(task)}", *latex_lines(grid)]))
    return "\n".join([*lines, "\n\n\\medskip\n".join(tables)]) + "\n"


def _csv(
    metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str], width: int, color: bool
) -> str:
    return csv_text([split_interval(row) for row in rows(metrics, rankings)])


def _json(
    metrics: Sequence[Metrics], rankings: Sequence[Ranking], remarks: Sequence[str], width: int, color: bool
) -> str:
    found = {
        "rows": rows(metrics, rankings),
        "rankings": [ranking.as_dict() for ranking in rankings],
        "remarks": list(remarks),
    }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


_RENDERERS: dict[str, Callable[..., str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "json": _json,
}
