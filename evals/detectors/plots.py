"""A picture of detectors: how often answers are wrong, if only the surest are given, and what that scores at t."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from abstain.evals.detectors.comparison import TRAINED
from abstain.evals.metrics.confidence import risk_coverage
from abstain.evals.plots.style import MARKERS, Distinct, Plot, color, legend_above, listed, percent_axis, styled

MOST = 5
"""Lines in a picture: the reference, the trained policy, and the detectors that rank best."""
_CAPTION = (
    "Left: if only the surest responses were given, by each detector; lower is better. Right: points per question of "
    "answering where P(correct) by the detector exceeds t, less those of the reference at the same t."
)


def plot_detectors(found: Mapping[str, Any], curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Plot:
    """Risk against coverage, and score against t, of the reference and the detectors that rank best.

    Args:
        found: a `detect.json`.
        curves: risk and error of each detector (`abstain.evals.detectors.comparison.DetectorComparison`).
    """
    ranked = sorted(found["detectors"], key=lambda row: -(row["auroc"] or 0.0))
    names = [row["detector"] for row in ranked if row["detector"] != found["reference"]][: MOST - 1]
    shown = [found["reference"], *names]
    roles = ["before", "after", "right", "wrong", "ungraded"]
    by_policy = {(row["policy"], row["target"]): row for row in found["rows"]}
    targets = sorted({row["target"] for row in found["rows"]})
    said = []
    with styled():
        figure = Figure(figsize=(7.4, 3.3), layout="constrained")
        left, right = figure.subplots(1, 2)
        for name, role in zip(shown, roles, strict=False):
            risk, error = curves[name]
            if len(risk):
                curve = risk_coverage(-risk, 1 - error)
                left.plot(curve.coverage, curve.risk, color=color(role), label=name)
        extra = [TRAINED] if (TRAINED, targets[0]) in by_policy else []
        for place, (name, role) in enumerate(zip([*shown, *extra], [*roles, "ink"], strict=False)):
            apart = [by_policy[name, t]["difference"] or 0.0 for t in targets if (name, t) in by_policy]
            right.plot(targets[: len(apart)], apart, color=color(role), marker=MARKERS[place % 6], label=name)
            row = next((one for one in found["overall"] if one["policy"] == name), None)
            if row and row["mean_difference"] is not None:
                said.append(f"{name} {row['mean_difference']:+.3f}")
        left.set_xlabel("answered")
        left.set_ylabel("wrong among them")
        percent_axis(left.xaxis)
        percent_axis(left.yaxis)
        right.set_xlabel("confidence target t")
        right.set_ylabel(f"points more than {found['reference']}")
        right.yaxis.set_major_formatter(Distinct())
        legend_above(right, columns=3, fontsize=6.8)
    alt = f"Mean points per question more than {found['reference']}: {listed(said) or 'nothing to compare'}."
    return Plot("detect", f"Detectors: {found['model']} on {found['task']}", _CAPTION, alt, figure)
