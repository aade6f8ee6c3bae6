"""Response curves of a sweep: what a number does as one axis moves, the other settings held, with seeds as bands."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from abstain.evals.plots.style import (
    LEGEND_ROW,
    MARKERS,
    Distinct,
    Plot,
    color,
    listed,
    new_axes,
    percent_axis,
    ramp,
    styled,
    title_above,
)

MOST_LINES = 6
_LEGEND = 58  # characters of a legend's row, with room for the lines
_APART = 0.12  # lines stand beside each other where values are names
_LOG_SPREAD = 30  # a range wider than this is drawn on a logarithmic axis


@dataclass(frozen=True)
class AxisResponse:
    """One line: what was measured at each value of an axis, once for each seed.

    Args:
        label: the other settings, in words; "" if there is one line only.
        values: of the axis, in order.
        measured: for each value, a number per seed (at least one).
    """

    label: str
    values: Sequence[object]
    measured: Sequence[Sequence[float]]


def response_plot(
    name: str, title: str, axis: str, lines: Sequence[AxisResponse], order: Sequence[tuple[object, str]], *, rate: bool
) -> Plot:
    """The mean over seeds, with a band from the lowest to the highest seed; names stand side by side, without lines.

    Args:
        name: of the files.
        title: what was measured.
        axis: what varies, in words.
        lines: at most `MOST_LINES`.
        order: all values of the axis as they go from left to right, and what to call them.
        rate: whether it is a share, to be shown in percent.
    """
    columns = max(1, _LEGEND // (max((len(line.label) for line in lines), default=0) + 6))
    rows = 0 if len(lines) == 1 else math.ceil(len(lines) / columns)
    places, log = positions([value for value, _ in order])
    named = not all(_is_number(value) for value, _ in order)
    at = {repr(value): place for (value, _), place in zip(order, places, strict=True)}
    words = []
    with styled():
        figure, axes = new_axes(3.4, 2.5 + LEGEND_ROW / 72 * max(0, rows - 1))
        for index, (line, role) in enumerate(
            zip(lines, ["after"] if len(lines) == 1 else ramp(len(lines)), strict=True)
        ):
            aside = _APART * (index - (len(lines) - 1) / 2) if named else 0.0
            x = [at[repr(value)] + aside for value in line.values]
            means = [float(np.mean(seeds)) for seeds in line.measured]
            low, high = [min(seeds) for seeds in line.measured], [max(seeds) for seeds in line.measured]
            marker = MARKERS[index % len(MARKERS)]
            if not named:
                axes.fill_between(x, low, high, color=color(role), alpha=0.16, linewidth=0)
            axes.vlines(x, low, high, color=color(role), linewidth=0.9, alpha=0.6)
            axes.plot(
                x,
                means,
                marker=marker,
                linestyle="none" if named else "-",
                color=color(role),
                label=line.label.replace("_", " ", line.label.startswith("_")) or None,
            )
            pairs = [f"{mean:.3g} at {shown(value)}" for value, mean in zip(line.values, means, strict=True)]
            words.append(f"{line.label + ': ' if line.label else ''}{listed(pairs)}.")
        if log:
            axes.set_xscale("log")
            axes.minorticks_off()
        axes.set_xticks(places, [name for _, name in order])
        if len(order) > 4 or max(len(name) for _, name in order) > 10:
            axes.tick_params("x", labelrotation=25, labelsize=7)
        axes.set_xlabel(axis)
        title_above(axes, title, rows=rows, columns=columns)
        axes.margins(x=0.08)
        axes.yaxis.set_major_formatter(Distinct())
        if rate:
            percent_axis(axes.yaxis)
    return Plot(name, title, "", f"{title} against {axis}. {' '.join(words)}", figure)


def positions(values: Sequence[object]) -> tuple[list[float], bool]:
    """Where values stand on an axis: numbers where they are, names side by side; and whether the axis is logarithmic.

    Example:
        >>> positions([0.1, 0.4]), positions([1e-5, 1e-4, 1e-3]), positions(["none", "group"])
        (([0.1, 0.4], False), ([1e-05, 0.0001, 0.001], True), ([0.0, 1.0], False))
    """
    numbers = [float(value) for value in values if _is_number(value)]
    if len(numbers) < len(values):
        return [float(place) for place in range(len(values))], False
    low, high = min(numbers), max(numbers)
    return numbers, low > 0 and high / low >= _LOG_SPREAD


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: object) -> str:
    """A value in the words for those who do not see the plot."""
    return f"{value:g}" if isinstance(value, float) else str(value)
