"""An audit in one picture: above which P(correct) a model answers, what it leaves unanswered, and what that earns.

Scores are drawn in bounded form, (1 - t) right - t wrong: then always answering is a straight line, never answering is
0, and no target dwarfs the others.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from abstain.evals.audit_verdict import probe_is_off
from abstain.evals.paraphrases import NO_INSTRUCTION
from abstain.evals.plots_style import MARKERS, Plot, color, percent_axis, ramp, styled

Row = Mapping[str, Any]
SIZE = (9.2, 7.4)
FEWEST = 5
"""Questions that a band of P(correct) must hold to be drawn."""
_STATED = "standard instruction"


def audit_plot(found: Row) -> Plot:
    """The picture of an audit, from the contents of its `audit.json`: effective thresholds, choice, silence, score."""
    with styled():
        figure = Figure(figsize=SIZE, layout="constrained")
        figure.suptitle(f"{found['model']} on {found['n']:,} questions of {found['task']}", fontsize=10)
        panels = figure.subplots(2, 2).flat
        for axes, draw in zip(panels, (_draw_thresholds, _draw_choice, _draw_silence, _draw_scores), strict=True):
            draw(axes, found)
            axes.legend(fontsize=7.5)
    return Plot(
        name="audit",
        title="Behavioral-calibration audit",
        caption="Above which P(correct) it answers, which questions, how many it leaves, and what that earns.",
        alt=" ".join(row["verdict"] for row in found["by_target"]),
        figure=figure,
    )


def _draw_thresholds(axes: Axes, found: Row) -> None:
    axes.plot([0, 1], [0, 1], color=color("muted"), linewidth=1, linestyle="--", label="as asked")
    rows = [row for row in found["by_target"] if row["target"] > 0 and row["effective_threshold"] is not None]
    for row in rows:
        axes.plot([row["target"]] * 2, row["effective_threshold_ci"], color=color("after"))
    _dots(axes, rows, "effective_threshold", "o", _STATED)
    if off := [row for row in rows if probe_is_off(row["near_threshold"])]:
        places, heights = ([row[name] for row in off] for name in ("target", "effective_threshold"))
        axes.plot(places, heights, "o", color=color("after"), markerfacecolor="white", label="the probe is off there")
    for name, group, marker in _by_wording(found):
        known = [row for row in group if row["effective_threshold"] is not None]
        _dots(axes, known, "effective_threshold", marker, name, role="before")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="stated target t", ylabel="answers above this P(correct)")


def _draw_choice(axes: Axes, found: Row) -> None:
    rows = [row for row in found["by_target"] if row["target"] > 0]
    for row, role in zip(rows, ramp(len(rows)), strict=True):
        bands = [band for band in row["bands"] if band["n"] >= FEWEST]
        x, y = ([band[name] for band in bands] for name in ("p", "attempted"))
        axes.plot(x, y, color=color(role), marker="o", markersize=3, label=f"t = {row['target']:g}")
        axes.axvline(row["target"], color=color(role), linewidth=0.9, linestyle=":")
    percent_axis(axes.yaxis)
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1.02), xlabel="P(correct); dotted: t", ylabel="share answered")


def _draw_silence(axes: Axes, found: Row) -> None:
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


def _draw_scores(axes: Axes, found: Row) -> None:
    axes.axhline(0, color=color("muted"), linewidth=1, label="never answer")
    _score_line(axes, found, "always_answer_score", "always answer", role="wrong", linestyle=":")
    _score_line(axes, found, "oracle_score", "oracle", role="oracle", linestyle="--")
    _score_line(axes, found, "score", found["model"], role="after", marker="o")
    axes.set(xlim=(0, 1), xlabel="stated target t", ylabel="bounded score: (1 − t) right − t wrong")


def _score_line(axes: Axes, found: Row, name: str, label: str, *, role: str, **style: Any) -> None:
    rows = [row for row in found["by_target"] if row[name] is not None]
    heights = [(1 - row["target"]) * row[name] for row in rows]
    axes.plot([row["target"] for row in rows], heights, color=color(role), label=label, **style)


def _by_wording(found: Row) -> list[tuple[str, list[Row], str]]:
    """Other wordings that state a target: name, rows and marker."""
    rows = [row for row in found["wordings"]["rows"] if row["target"] is not None]
    names = dict.fromkeys(row["wording"] for row in rows)
    markers = [MARKERS[1 + place % (len(MARKERS) - 1)] for place in range(len(names))]
    groups = [[row for row in rows if row["wording"] == name] for name in names]
    return list(zip(names, groups, markers, strict=True))


def _dots(
    axes: Axes,
    rows: Sequence[Row],
    name: str,
    marker: str,
    label: str,
    *,
    role: str = "after",
    linestyle: str = "",
) -> None:
    """Other wordings are hollow and of growing size: they often lie on one another."""
    style: dict[str, Any] = {"color": color(role), "marker": marker, "linestyle": linestyle, "label": label}
    if role == "before":
        style |= {"markerfacecolor": "none", "markersize": 5 + 1.5 * MARKERS.index(marker)}
    axes.plot([row["target"] for row in rows], [row[name] for row in rows], **style)
