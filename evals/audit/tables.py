"""An audit for people: verdicts first, then the numbers they rest on, then what the columns mean."""

from collections.abc import Callable, Sequence
from typing import Any

from abstain.evals.audit.verdict import Part, holds
from abstain.evals.tables.document import Block, Bullets, Format, Heading, Notes, render_tables
from abstain.evals.tables.formats import decimal, percent, percent_with_interval, with_interval
from abstain.evals.tables.grid import MISSING, Column, Grid

_MARKS = {True: "yes", False: "no", None: "?"}
_OTHERWISE, _KNOWN, _UNKNOWN = "otherwise", "knew well", "did not know"
_LEGEND = [
    ("abstained", "share of questions it leaves unanswered; called for: share whose P(correct) is t or less"),
    ("right", "of what it answers; should be t or more (yes, no, or ? where the interval leaves it open)"),
    ("unanswered", "share that forced answers get right of what it left unanswered; should be t or less"),
    ("answers above", "the effective threshold: the P(correct) above which it answers; should be t"),
    ("selectivity", "how it chooses what to answer: 1 as a threshold on P(correct) would, 0 at random"),
    ("decided rightly", "share of questions answered if, and only if, their P(correct) is above t"),
    ("given up", "answered at the lower target, not at the higher: should be right between the two"),
    (_OTHERWISE, "share of questions answered in one wording and not in the other, at the same target"),
    (_KNOWN, "HighlyKnown of the model that was labelled (abstain label); refused: share it leaves unanswered"),
    (_UNKNOWN, "Unknown of it; answered, and of these answers wrong"),
    ("interval", "95 %, by question (docs/intervals.md); a bootstrap for thresholds"),
]


def render_audit(found: Part, format: Format = "text", *, width: int = 100, color: bool = False) -> str:
    """An audit in one of the formats of tables, ending in a newline.

    Args:
        found: contents of an `audit.json`.
        format: "text" or "markdown" for all of it; "json" is `found` itself; "csv" and "latex" hold a row per target.
        width, color: as in `abstain.evals.tables.document.render_tables`.

    Raises:
        ValueError: an unknown format.
    """
    known = {row["target"]: row for row in (found.get("knowledge") or {"by_target": []})["by_target"]}
    rows = [_flat({**row, **known.get(row["target"], {})}) for row in found["by_target"]]
    return render_tables(_blocks(found, format), format, rows=rows, data=found, width=width, color=color)


def _blocks(found: Part, format: Format) -> list[Block]:
    source = found["source"]
    whose = f"{percent(source['accuracy'])} right, {decimal(source['auroc'])} AUROC"
    asked = f"{found['model']} on {found['n']:,} questions of {found['task']}"
    heading = Heading(
        f"Behavioral-calibration audit of {asked}", f"P(correct) by {source['what']} ({whose})", is_title=True
    )
    grids = _grids(found)
    if format == "latex":
        return [heading, grids[0]]
    known = found.get("knowledge")  # if there are labels
    parts = (*found["by_target"], found["rise"], found["wordings"], *([known] if known else []))
    verdicts = [part["verdict"] for part in parts]
    there = {_OTHERWISE: bool(found["wordings"]["rows"]), _KNOWN: bool(known), _UNKNOWN: bool(known)}
    legend = [pair for pair in _LEGEND if there.get(pair[0], True)]
    notes: Sequence[str] = found["notes"]
    if format == "text":
        return [heading, Bullets(verdicts), *grids, Notes([*legend, *(("note", note) for note in notes)])]
    picture = "![plots of all that follows](audit.png)"
    return [heading, Bullets(verdicts), picture, *grids, Notes(legend), *([Bullets(notes)] if notes else [])]


def _grids(found: Part) -> list[Grid]:
    """By target, by step, by wording, by what was known, and the scores; those that have rows."""
    known = found.get("knowledge") or {"by_target": []}
    grids = [
        Grid.of(_BY_TARGET, found["by_target"]),
        Grid.of(_BY_STEP, found["rise"]["steps"]),
        Grid.of(_BY_WORDING, found["wordings"]["rows"], keys=2),
        Grid.of(_BY_KNOWLEDGE, known["by_target"]),
        Grid.of(_SCORES, found["by_target"]),
    ]
    return [grid for grid in grids if grid.cells]


def _column(broken: str, cell: Callable[[Part], str]) -> Column:
    """A column whose heading is broken for terminals."""
    return Column(broken.replace("-\n", "").replace("\n", " "), broken, cell)


def _above_zero(broken: str, cell: Callable[[Part], str]) -> Column:
    """A column that is empty where no threshold is stated, and there is nothing to compare with."""
    return _column(broken, lambda row: cell(row) if row["target"] else "")


def _target(row: Part) -> str:
    return MISSING if row["target"] is None else f"{row['target']:g}"


def _share(key: str) -> Callable[[Part], str]:
    return lambda row: percent(row[key])


def _share_with_interval(key: str) -> Callable[[Part], str]:
    return lambda row: percent_with_interval(row[key], row[f"{key}_ci"], 0)


def _mark(key: str, *, above: bool = True) -> Callable[[Part], str]:
    return lambda row: _MARKS[holds(row[f"{key}_ci"], row["target"], above=above)]


def _threshold(row: Part) -> str:
    return with_interval(row["effective_threshold"], row["effective_threshold_ci"])


_BY_TARGET = (
    _column("t", _target),
    _column("abstained", _share("abstained")),
    _above_zero("called\nfor", _share("called_for")),
    _column("right", _share_with_interval("accuracy_attempted")),
    _above_zero("≥ t", _mark("accuracy_attempted")),
    _above_zero("un-\nanswered", _share_with_interval("abstained_would_be_right")),
    _above_zero("≤ t", _mark("abstained_would_be_right", above=False)),
    _above_zero("answers\nabove", _threshold),
    _above_zero("selec-\ntivity", lambda row: decimal(row["selectivity"], 2)),
    _above_zero("decided\nrightly", _share("decided_rightly")),
)
_BY_STEP = (
    _column("from", lambda step: f"{step['from']:g}"),
    _column("to t", lambda step: f"{step['to']:g}"),
    _column("abstention\nrises by", lambda step: percent_with_interval(step["difference"], step["difference_ci"])),
    _column("called\nfor", _share("called_for")),
    _column("given up,\nwould be right", _share_with_interval("given_up_would_be_right")),
    _column("taken up\nagain", _share("reversed")),
)
_BY_WORDING = (
    Column("wording", "wording", lambda row: row["wording"], is_label=True),
    _column("t", _target),
    _column("abstained", _share("abstained")),
    _column("right", _share("accuracy_attempted")),
    _column("answers\nabove", _threshold),
    _column("decides\notherwise", _share_with_interval("changed")),
    _column("newly\nabstained", _share("newly_abstained")),
    _column("newly\nanswered", _share("newly_answered")),
)
_BY_KNOWLEDGE = (
    _column("t", _target),
    _column("knew well,\nrefused", _share_with_interval("known_refused")),
    _column("did not know,\nrefused", _share_with_interval("unknown_refused")),
    _column("did not know,\nanswered", _share_with_interval("unknown_answered")),
    _column("of these\nwrong", _share_with_interval("unknown_wrong")),
)
_SCORES = (
    _column("t", _target),
    _column("score", lambda row: decimal(row["score"])),
    _column("always answer", lambda row: decimal(row["always_answer_score"])),
    _column("never answer", lambda row: decimal(row["never_answer_score"])),
    _column("oracle", lambda row: decimal(row["oracle_score"])),
)


def _flat(row: Part) -> dict[str, Any]:
    """A row with both ends of an interval in columns of their own, for CSV."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name.endswith(("_ci", "_bracket")):
            flat[f"{name}_low"], flat[f"{name}_high"] = value or (None, None)
        elif name != "bands":
            flat[name] = value
    return flat
