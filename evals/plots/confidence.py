"""Pictures of confidence: does it tell right answers from wrong ones, and does it mean what it says?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from abstain.evals.metrics.confidence import reliability, risk_coverage
from abstain.evals.metrics.oracle import ForcedAnswers
from abstain.evals.metrics.schema import Metrics
from abstain.evals.plots.style import Plot, color, legend_above, listed, new_axes, percent_axis, stage_styles, styled
from abstain.evals.records import Record
from abstain.evals.tables.footnotes import ECE_GROWS, ece_grew
from abstain.rewards.verdict import Verdict

_MOST_STEPS = 200
_NEAR_AXIS = 0.25  # a label to the left of a dot that covers less would stand on the axis
_RISK = (
    "Lines: if only the most confident best guesses were given. Dots: what the model did when told each t. Lower "
    "is better; a dot below a line stands for a better choice of questions than by that confidence."
)
_RELIABILITY = (
    "Best guesses, put into bins of equally many by their probability. On the dashed line, what is 70\u00a0% sure "
    "is right in 70\u00a0% of cases; below it, the model is overconfident. Bars are 95\u00a0% intervals."
)
Guesses = Mapping[str, ForcedAnswers]
"""By label, "before" first: best guesses and the confidence in them."""


def best_guesses(records: Sequence[Record]) -> ForcedAnswers:
    """The graded answers to the lowest target, with a confidence: what a model says when little is lost by a mistake.

    Example:
        >>> row = {"task": "toy", "question": "", "gold": (), "prompt": "", "completion": "", "answer": ""}
        >>> asked = [Record("a", target=0.0, verdict=Verdict.CORRECT, confidence=0.8, **row),
        ...          Record("b", target=0.0, verdict=Verdict.ABSTAINED, confidence=0.1, **row)]
        >>> best_guesses(asked).ids
        ('a',)
    """
    lowest = min((record.target for record in records), default=None)
    asked = [record for record in records if record.target == lowest and record.confidence is not None]
    known = [record for record in asked if record.verdict in (Verdict.CORRECT, Verdict.INCORRECT)]
    return ForcedAnswers.of([r.id for r in known], [r.verdict for r in known], [r.confidence for r in known])


def risk_coverage_plot(guesses: Guesses, metrics: Metrics | None = None) -> Plot | None:
    """The share of wrong ones among the answers given, against how many are given, the most confident first.

    Args:
        guesses: of each model.
        metrics: of the last model; what it really did at each target is marked.
    """
    guesses = _graded(guesses)
    marks = _done(metrics) if metrics else []
    if not guesses:
        return None
    with styled():
        figure, axes = new_axes()
        for (label, answers), (role, _) in zip(guesses.items(), stage_styles(len(guesses)), strict=True):
            curve = risk_coverage(answers.confidence, answers.correct)
            n = len(curve.coverage)
            keep = np.unique(np.linspace(0, n - 1, min(n, _MOST_STEPS)).astype(int))  # both ends among them
            axes.plot(curve.coverage[keep], curve.risk[keep], color=color(role), label=f"{label}, best guesses")
        for place, mark in enumerate(marks):
            _mark(axes, mark, len(marks) - 1 - place)
        axes.set(xlabel="coverage: share of questions answered", ylabel="risk: share of answers that are wrong",
                 xlim=(0, 1.02), ylim=(0, None))  # fmt: skip
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)
        legend_above(axes, columns=2)
    areas = [f"{label} {1 - answers.correct.mean():.1%} wrong at full coverage" for label, answers in guesses.items()]
    did = [f"{coverage:.0%} answered, {risk:.1%} of them wrong at t = {t:g}" for t, coverage, risk in marks]
    return Plot(
        "risk-coverage",
        "Risk against coverage",
        _RISK,
        f"Risk against coverage. {listed(areas)}. " + (f"Done: {listed(did)}." if did else ""),
        figure,
    )


def reliability_plot(guesses: Guesses, metrics: Sequence[Metrics | None] = ()) -> Plot | None:
    """How often answers of a given confidence are right, in bins of equally many answers.

    Args:
        guesses: of each model.
        metrics: of each, for the calibration error.
    """
    guesses = _graded(guesses)
    if not guesses:
        return None
    errors = [one.get("ece") if one else None for one in metrics] or [None] * len(guesses)
    why = f" {ECE_GROWS}" if ece_grew(errors) else ""
    words = []
    with styled():
        figure, axes = new_axes()
        axes.plot([0, 1], [0, 1], color=color("oracle"), linewidth=0.8, linestyle=(0, (5, 2)), label="as it says")
        for (label, answers), (role, marker), error in zip(
            guesses.items(), stage_styles(len(guesses)), errors, strict=False
        ):
            bins = reliability(answers.confidence, answers.correct)
            said = [one.confidence for one in bins]
            name = label if error is None else f"{label} (ECE {error:.3f})"
            ends = [one.low for one in bins], [one.high for one in bins]
            axes.vlines(said, *ends, color=color(role), linewidth=0.9, alpha=0.7)
            axes.plot(said, [one.right for one in bins], marker=marker, color=color(role), label=name)
            pairs = [f"{one.confidence:.0%} said {one.right:.0%} right" for one in bins]
            words.append(f"{name}: {listed(pairs)}.")
        axes.set(xlabel="confidence", ylabel="share that is right", xlim=(0, 1.02), ylim=(0, 1.02))
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)
        legend_above(axes, columns=3)
    caption = _RELIABILITY + why
    return Plot("reliability", "Is the confidence right?", caption, "Reliability. " + " ".join(words), figure)


def _graded(guesses: Guesses) -> Guesses:
    """The graded answers with a confidence, of each model that has any."""
    known = {label: answers.graded() for label, answers in guesses.items()}
    return {label: answers for label, answers in known.items() if answers.ids}


def _done(metrics: Metrics) -> list[tuple[float, float, float]]:
    """Target, coverage and risk of what was really answered."""
    rows: list[Mapping[str, Any]] = [row for row in metrics["by_target"] if row["accuracy_attempted"] is not None]
    return [(row["target"], row["correct"] + row["incorrect"], 1 - row["accuracy_attempted"]) for row in rows]


def _mark(axes: Any, mark: tuple[float, float, float], place: int) -> None:
    """A dot and its target, the labels above each other so that those of neighbours are apart, and off the axis."""
    target, coverage, risk = mark
    axes.plot(coverage, risk, "o", color=color("after"), markersize=6, zorder=4)
    side = 1 if coverage < _NEAR_AXIS else -1
    offset = (-7, 3) if coverage > 0.9 else (24 * side, 7 + 11 * place)
    leader = {"arrowstyle": "-", "color": color("after"), "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
    axes.annotate(f"t = {target:g}", (coverage, risk), offset, textcoords="offset points",
                  ha="left" if side > 0 else "right", fontsize=7.5,
                  color=color("after"), arrowprops=None if coverage > 0.9 else leader)  # fmt: skip
