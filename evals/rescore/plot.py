"""The picture of `abstain rescore`: the score as the penalty for a mistake grows, and where models change places."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from abstain.evals.logs.batch import printable
from abstain.evals.plots.style import MARKERS, Plot, color, legend_above, new_axes, ramp, styled
from abstain.evals.rescore.metrics import heeded_scores, scores
from abstain.evals.rescore.ranking import Ranking
from abstain.evals.rescore.runs import Run

_STEPS = np.linspace(0, 0.95, 96).tolist()
_LOWEST = -1.0
_MOST = 8


def penalty_plot(name: str, runs: Sequence[Run], ranking: Ranking | None) -> Plot:
    """Score against target: a line for a fixed policy, dashed if it heeds its confidence, points where t was stated.

    Args:
        name: of the plot's files.
        runs: of one task, at most eight of which are shown.
        ranking: where they change places.
    """
    shown = runs[:_MOST]
    with styled():
        figure, axes = new_axes(width=5.4, height=3.4)
        axes.axhline(0, color=color("muted"), linewidth=0.8)
        axes.annotate("never answer", (0, 0), (4, -4), textcoords="offset points", va="top", color=color("muted"),
                      fontsize=7.5)  # fmt: skip
        heights = []
        for place, (run, role) in enumerate(zip(shown, ramp(len(shown)), strict=True)):
            heights += _draw(axes, run, color(role), MARKERS[place % len(MARKERS)])
        low = max(_LOWEST, min(0.0, *heights) - 0.05) if heights else _LOWEST
        high = max(0.1, *heights) + 0.05 if heights else 1.0
        for crossing in ranking.crossings if ranking else []:
            if crossing.target < _STEPS[-1] and len(shown) <= _MOST:
                _mark(axes, crossing.target)
        axes.set(xlabel="confidence target t", ylabel="score, points per question", xlim=(0, 0.95), ylim=(low, high))
        legend_above(axes, columns=2)
    return Plot(
        name,
        "Score as the penalty grows",
        "Points per question: 1 if right, −t/(1−t) if wrong, 0 for “I don't know”. Solid: the answers as they are in "
        "the log. Dashed: those whose confidence exceeds t. Points: answers to prompts that state t. Vertical: where "
        "two models change places.",
        "; ".join(_at_zero(run) for run in shown if run.level < 3),
        figure,
    )


def _at_zero(run: Run) -> str:
    found = scores(run, [0.0])
    return f"{run.label}: {'nothing graded' if found is None else f'{found[0]:.3f} at t = 0'}"


def _mark(axes: Any, target: float) -> None:
    axes.axvline(target, color=color("muted"), linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    top = ("data", "axes fraction")
    axes.annotate(f"{target:.3f}", (target, 1), (3, -3), xycoords=top, textcoords="offset points", va="top",
                  color=color("muted"), fontsize=7.5)  # fmt: skip


def _draw(axes: Any, run: Run, shade: str, marker: str) -> list[float]:
    name = printable(run.label, 28)
    if run.level == 3:
        stated = [(t, found[0]) for t in run.targets if (found := scores(run.at(t), [t])) is not None]
        axes.plot([t for t, _ in stated], [score for _, score in stated], color=shade, marker=marker, label=name)
        return [score for _, score in stated]
    lines: list[tuple[str, Any, np.ndarray | None]] = [(name, "-", scores(run, _STEPS))]
    if run.level == 2:
        lines.append((f"{name}, if q > t", (0, (4, 2)), heeded_scores(run, _STEPS)))
    drawn = [(label, style, line.tolist()) for label, style, line in lines if line is not None]
    for label, style, line in drawn:
        axes.plot(_STEPS, line, color=shade, linestyle=style, label=label)
    return [height for _, _, line in drawn for height in line]
