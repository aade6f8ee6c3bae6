"""An audit in one picture: above which P(correct) a model answers, what it leaves unanswered, and what that earns.

Scores are drawn in bounded form, (1 - t) right - t wrong: then always answering is a straight line, never answering is
0, and no target dwarfs the others.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abstain.evals.audit.asking import NO_INSTRUCTION
from abstain.evals.audit.sources import ConfidenceSource
from abstain.evals.audit.threshold import Threshold, effective_thresholds
from abstain.evals.audit.verdict import Part, confidence_is_off
from abstain.evals.plots.style import (
    MARKERS,
    Plot,
    color,
    legend_above,
    listed,
    new_axes,
    percent_axis,
    styled,
    target_styles,
)
from abstain.evals.records import Record
from abstain.rewards.verdict import Verdict

SIZE = (9.2, 7.4)
RESAMPLES = 300
FEWEST = 5
"""Questions that a band of P(correct) must hold to be drawn."""
_STATED = "standard instruction"
_THRESHOLD = (
    "The probability of being right above which as many questions would be answered as the model answers. It "
    "should lie on the dashed line. The probability is that of the starting model's best guesses, calibrated; "
    "where no question has one in between, any threshold there means the same (thick bars). Thin bars are "
    "95\u00a0% intervals."
)


def audit_plot(found: Part) -> Plot:
    """The picture of an audit, from its `audit.json`: effective thresholds, selection, abstention, score."""
    with styled():
        figure = Figure(figsize=SIZE, layout="constrained")
        figure.suptitle(f"{found['model']} on {found['n']:,} questions of {found['task']}", fontsize=10)
        panels = figure.subplots(2, 2).flat
        for axes, draw in zip(
            panels, (_draw_thresholds, _draw_selection, _draw_abstention, _draw_scores), strict=True
        ):
            draw(axes, found)
            axes.legend(fontsize=7.5)
    return Plot(
        name="audit",
        title="Behavioral-calibration audit",
        caption="Above which P(correct) it answers, which questions, how many it leaves, and what that earns.",
        alt=" ".join(row["verdict"] for row in found["by_target"]),
        figure=figure,
    )


def _draw_thresholds(axes: Axes, found: Part) -> None:
    axes.plot([0, 1], [0, 1], color=color("muted"), linewidth=1, linestyle="--", label="as asked")
    rows = [row for row in found["by_target"] if row["target"] > 0 and row["effective_threshold"] is not None]
    for row in rows:
        axes.plot([row["target"]] * 2, row["effective_threshold_ci"], color=color("after"))
    _dots(axes, rows, "effective_threshold", "o", _STATED)
    if off := [row for row in rows if confidence_is_off(row["near_threshold"])]:
        targets, heights = ([row[name] for row in off] for name in ("target", "effective_threshold"))
        axes.plot(
            targets, heights, "o", color=color("after"), markerfacecolor="white", label="confidence is off there"
        )
    for name, group, marker in _by_wording(found):
        known = [row for row in group if row["effective_threshold"] is not None]
        _dots(axes, known, "effective_threshold", marker, name, role="before")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="stated target t", ylabel="answers above this P(correct)")


def _draw_selection(axes: Axes, found: Part) -> None:
    rows = [row for row in found["by_target"] if row["target"] > 0]
    styles = target_styles(row["target"] for row in found["by_target"])
    for row in rows:
        role, _ = styles[row["target"]]
        bands = [band for band in row["bands"] if band["n"] >= FEWEST]
        x, y = ([band[name] for band in bands] for name in ("p", "attempted"))
        axes.plot(x, y, color=color(role), marker="o", markersize=3, label=f"t = {row['target']:g}")
        axes.axvline(row["target"], color=color(role), linewidth=0.9, linestyle=":")
    percent_axis(axes.yaxis)
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1.02), xlabel="P(correct); dotted: t", ylabel="share answered")


def _draw_abstention(axes: Axes, found: Part) -> None:
    rows = found["by_target"]
    for row in rows:
        axes.plot([row["target"]] * 2, row["abstained_ci"], color=color("after"))
    _dots(axes, rows, "abstained", "o", _STATED, linestyle="-")
    called = [row for row in rows if row["called_for"] is not None]
    _dots(axes, called, "called_for", "", "called for by P(correct)", role="oracle", linestyle="--")
    for name, group, marker in _by_wording(found):
        _dots(axes, group, "abstained", marker, name, role="before")
    for row in found["wordings"]["rows"]:
        if row["wording"] == NO_INSTRUCTION:
            axes.axhline(row["abstained"], color=color("wrong"), linewidth=1, linestyle=":", label="no instruction")
    percent_axis(axes.yaxis)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="stated target t", ylabel="share left unanswered")


def _draw_scores(axes: Axes, found: Part) -> None:
    axes.axhline(0, color=color("muted"), linewidth=1, label="never answer")
    _score_line(axes, found, "always_answer_score", "always answer", role="wrong", linestyle=":")
    _score_line(axes, found, "oracle_score", "oracle", role="oracle", linestyle="--")
    _score_line(axes, found, "score", found["model"], role="after", marker="o")
    axes.set(xlim=(0, 1), xlabel="stated target t", ylabel="bounded score: (1 − t) right − t wrong")


def _score_line(axes: Axes, found: Part, name: str, label: str, *, role: str, **style: Any) -> None:
    rows = [row for row in found["by_target"] if row[name] is not None]
    heights = [(1 - row["target"]) * row[name] for row in rows]
    axes.plot([row["target"] for row in rows], heights, color=color(role), label=label, **style)


def _by_wording(found: Part) -> list[tuple[str, list[Part], str]]:
    """Other wordings that state a target: name, rows and marker."""
    rows = [row for row in found["wordings"]["rows"] if row["target"] is not None]
    names = dict.fromkeys(row["wording"] for row in rows)
    markers = [MARKERS[1 + index % (len(MARKERS) - 1)] for index in range(len(names))]
    groups = [[row for row in rows if row["wording"] == name] for name in names]
    return list(zip(names, groups, markers, strict=True))


def _dots(
    axes: Axes, rows: Sequence[Part], name: str, marker: str, label: str, *, role: str = "after", linestyle: str = ""
) -> None:
    """Other wordings are hollow and of growing size: they often lie on one another."""
    style: dict[str, Any] = {"color": color(role), "marker": marker, "linestyle": linestyle, "label": label}
    if role == "before":
        style |= {"markerfacecolor": "none", "markersize": 5 + 1.5 * MARKERS.index(marker)}
    axes.plot([row["target"] for row in rows], [row[name] for row in rows], **style)


def threshold_plot(source: ConfidenceSource, records: Sequence[Record], seed: int = 0) -> Plot | None:
    """The effective threshold of the trained model against the target it was told.

    Args:
        source: how sure the starting model could be of each question.
        records: of the trained model.
        seed: of the bootstrap.

    Returns:
        `None` if there is no target above 0, or no question with a graded guess and a graded answer at each target.
    """
    targets, thresholds = _thresholds(source, records, seed)
    if not thresholds:
        return None
    with styled():
        figure, axes = new_axes()
        axes.plot([0, 1], [0, 1], color=color("oracle"), linewidth=0.8, linestyle=(0, (5, 2)), label="as it was told")
        for target, threshold in zip(targets, thresholds, strict=True):
            axes.plot([target] * 2, threshold.interval, color=color("after"), linewidth=1)
            axes.plot([target] * 2, [threshold.low, threshold.high], color=color("after"), linewidth=3.5, alpha=0.5)
        values = [threshold.value for threshold in thresholds]
        axes.plot(targets, values, "o-", color=color("after"), label="as it does")
        axes.set(xlabel="confidence target t", ylabel="effective threshold", xlim=(0, 1), ylim=(0, 1.02))
        legend_above(axes, columns=2)
    pairs = [f"{value:.2f} at t = {t:g}" for t, value in zip(targets, values, strict=True)]
    return Plot(
        "threshold", "The threshold it really uses", _THRESHOLD, f"Effective threshold: {listed(pairs)}.", figure
    )


def _thresholds(source: ConfidenceSource, records: Sequence[Record], seed: int) -> tuple[list[float], list[Threshold]]:
    """Targets above 0, and the effective threshold at each, over the questions graded at all of them."""
    usable = {id for id, known in zip(source.answers.ids, source.answered, strict=True) if known}
    attempts: dict[str, dict[float, bool]] = {}
    targets = sorted({record.target for record in records if record.target > 0})
    for record in records:
        if record.id in usable and record.verdict != Verdict.UNGRADED:
            attempts.setdefault(record.id, {})[record.target] = record.verdict != Verdict.ABSTAINED
    ids = [id for id, row in attempts.items() if all(t in row for t in targets)]
    if not ids or not targets:
        return [], []
    attempted = np.array([[attempts[id][t] for t in targets] for id in ids])
    return targets, effective_thresholds(source.pick(ids), attempted, seed=seed, resamples=RESAMPLES)
