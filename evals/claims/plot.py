"""The picture of labelled claims: what one false claim costs an answer, the longer it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.plots.style import MARKERS, Plot, color, legend_above, listed, new_axes, percent_axis, ramp, styled

_MOST = 6


def length_plot(found: Sequence[Mapping[str, Any]]) -> Plot | None:
    """The share of answers that is strictly right, and of their claims, against how many claims an answer makes.

    Args:
        found: of each file, as `measure_labelled` returns it; six are drawn at most.
    """
    shown = [one for one in found if one["by_length"]][:_MOST]
    if not shown:
        return None
    names = list(dict.fromkeys(row["claims"] for one in shown for row in one["by_length"]))
    names.sort(key=lambda name: int("".join(char for char in name.split("–")[0] if char.isdigit())) + (">" in name))
    words = []
    with styled():
        figure, axes = new_axes(width=5.4, height=3.4)
        for place, (one, role) in enumerate(zip(shown, ramp(len(shown)), strict=True)):
            rows, marker = one["by_length"], MARKERS[place % len(MARKERS)]
            at = [names.index(row["claims"]) for row in rows]
            label = str(one["model"])[:28]
            axes.plot(at, [row["strict"] for row in rows], color=color(role), marker=marker, label=f"{label}, strict")
            axes.plot(at, [row["soft"] for row in rows], color=color(role), marker=marker, linestyle=(0, (4, 2)),
                      label=f"{label}, claims")  # fmt: skip
            words.append(
                f"{label}: " + listed([f"{row['strict']:.0%} of answers with {row['claims']}" for row in rows])
            )
        axes.set(xlabel="claims in an answer", ylabel="share that is right", ylim=(0, 1.02))
        axes.set_xticks(range(len(names)), names)
        percent_axis(axes.yaxis)
        legend_above(axes, columns=2)
    return Plot(
        "claims-by-length",
        "One false claim makes an answer wrong",
        "Solid: answers of which every claim is supported. Dashed: claims that are supported.",
        "Strictly right: " + "; ".join(words) + ".",
        figure,
    )
