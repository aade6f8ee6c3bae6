"""Pictures of `metrics.json`: the score against the target beside its baselines, and what became of the questions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from abstain.evals.metrics.oracle import BaseGuesses, always_answer_score, baselines
from abstain.evals.metrics.schema import Metrics
from abstain.evals.plots.style import Plot, color, legend_above, listed, new_axes, stage_styles, styled
from abstain.evals.tables.formats import prose_decimal, prose_percent

Rates = Mapping[str, Any]
"""A row of `by_target`."""
Bar = tuple[str, str, Rates]
"""The title of its group, its own label, and the shares of the outcomes."""
Curve = tuple[Sequence[float], Sequence[float]]
OUTCOMES = (
    ("correct", "right", "right"),
    ("abstained", "“I don't know”", "abstained"),
    ("ungraded", "ungraded", "ungraded"),
    ("incorrect", "wrong", "wrong"),
)
"""Name in `metrics.json`, name on the page, and role of the colour, from left to right."""
_LABELLED = 0.075  # a narrower part of a bar has no room for its number
_STEPS = 60


def score_plot(metrics: Sequence[Metrics], labels: Sequence[str], start: BaseGuesses | None = None) -> Plot | None:
    """Points per question against the target t, with the oracle, always and never answering.

    Args:
        metrics: contents of `metrics.json`, the starting model's first if there are several.
        labels: what to call them.
        start: the starting model's best guesses; with them, oracle and always answering are whole curves.

    Returns:
        `None` if no score is known.
    """
    shown = [(label, _known(one, "score")) for label, one in zip(labels, metrics, strict=True)]
    if not any(len(curve[0]) for _, curve in shown):
        return None
    last = metrics[-1]
    oracle, always = _baselines(last, start)
    with styled():
        figure, axes = new_axes()
        axes.axhline(0, color=color("muted"), linewidth=0.8)
        axes.annotate("never answer", (1, 0), (-2, -3), xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="right", va="top", color=color("muted"), fontsize=7.5)  # fmt: skip
        _line(axes, always, "wrong", "always answer", linestyle=(0, (1, 1.6)))
        _line(
            axes, oracle, "oracle", f"{last.get('oracle') or 'post-hoc'} oracle", linestyle=(0, (5, 2)), linewidth=1.2
        )
        for (label, curve), (role, marker) in zip(shown, stage_styles(len(shown)), strict=True):
            _line(axes, curve, role, label, marker=marker)
        _interval(axes, last)
        low, high = _window(shown[-1][1][1], oracle[1], last)
        axes.set(xlabel="confidence target t", ylabel="score, points per question", ylim=(low, high))
        axes.set_xticks(sorted({t for _, (targets, _) in shown for t in targets}))
        axes.set_xticklabels([f"{t:g}" for t in axes.get_xticks()])
        legend_above(axes, columns=min(4, 2 + len(shown)))
        _note_what_is_below(axes, always, low)
    return Plot(
        "score",
        "Score at each target",
        "What one question is worth on average: 1 if right, −t/(1−t) if wrong, 0 for “I don't know”. A model that "
        "always answers falls without end; the oracle gives the starting model's guesses, but only where its "
        "probability makes it worth while. The closer to the oracle, the better. Bars are 95\u00a0% intervals.",
        "Score against target. "
        + " ".join(_in_words(label, curve) for label, curve in [*shown, ("oracle", _known(last, "oracle_score"))])
        + _in_words("always answer", _known(last, "always_answer_score")),
        figure,
    )


def outcomes_plot(metrics: Sequence[Metrics], labels: Sequence[str]) -> Plot | None:
    """Shares of right, abstained, ungraded and wrong at each target, the models below each other."""
    by_target: dict[float, list[tuple[str, Rates]]] = {}
    for label, one in zip(labels, metrics, strict=True):
        for row in one["by_target"]:
            if outcomes_known(row):
                by_target.setdefault(row["target"], []).append((label, row))
    if not by_target:
        return None
    bars = [(f"t = {t:g}", label, row) for t in sorted(by_target) for label, row in by_target[t]]
    return Plot(
        "outcomes",
        "What became of the questions",
        "Every question at every target. Told to answer only if surer, a model should turn its wrong answers (right "
        "edge) into abstentions, and keep the right ones (left edge).",
        "Shares of the questions. " + " ".join(f"{at}, {label}: {shares_in_words(row)}." for at, label, row in bars),
        bars_of(bars),
    )


def bars_of(bars: Sequence[Bar]) -> Figure:
    """Bars from the left edge to the right, those of a group below its title, each cut into its outcomes."""
    titles = dict.fromkeys(title for title, *_ in bars)
    with styled():
        figure, axes = new_axes(height=0.62 + 0.44 * len(titles) + 0.19 * len(bars))
        places, lefts = _places(bars), np.zeros(len(bars))
        for key, name, role in OUTCOMES:
            sizes = np.array([row[key] for _, _, row in bars], dtype=float)
            if sizes.any():
                _stack(axes, places, lefts, sizes, key, name, role)
            lefts += sizes
        axes.set(xlim=(0, 1), ylim=(max(places) + 0.62, -0.95))
        axes.set_yticks(places, [label for _, label, _ in bars])
        for title in titles:
            top = min(place for place, (of, *_) in zip(places, bars, strict=True) if of == title)
            axes.text(0, top - 0.5, title, va="bottom", fontweight="bold", fontsize=8)
        axes.grid(False)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_xticks([])
        legend_above(axes, handlelength=0.9, handleheight=0.9)
    return figure


def outcomes_known(row: Rates) -> bool:
    """Whether a row can be drawn as a bar."""
    return bool(row["n"]) and all(row[key] is not None for key, _, _ in OUTCOMES)


def _known(one: Metrics, key: str) -> tuple[list[float], list[float]]:
    """The targets at which a number is known, and the numbers."""
    known = [(row["target"], row[key]) for row in one["by_target"] if row[key] is not None]
    return [t for t, _ in known], [value for _, value in known]


def _baselines(one: Metrics, start: BaseGuesses | None) -> tuple[Curve, Curve]:
    """Oracle and always answering: as curves if the guesses are there that they are made of."""
    targets = [row["target"] for row in one["by_target"]]
    oracle, always = _known(one, "oracle_score"), _known(one, "always_answer_score")
    if start is None or not start.held_out.ids:
        return oracle, always
    grid = np.unique([*np.linspace(0, max(targets), _STEPS), *targets]).tolist()
    always = (grid, [always_answer_score(start.held_out, t) or 0.0 for t in grid])
    if one.get("oracle") in ("post-hoc", "cross-fitted"):
        seed = one["interval"]["seed"]
        oracle = (grid, [found.oracle_score or 0.0 for found in baselines(start, grid, seed=seed).values()])
    return oracle, always


def _line(axes: Any, curve: Curve, role: str, label: str, **options: Any) -> None:
    if len(curve[0]):
        axes.plot(*curve, color=color(role), label=label, **options)


def _interval(axes: Any, one: Metrics) -> None:
    for row in one["by_target"]:
        if row["score_ci"]:
            axes.plot([row["target"]] * 2, row["score_ci"], color=color("after"), linewidth=1)


def _window(scores: Sequence[float], oracle: Sequence[float], one: Metrics) -> tuple[float, float]:
    """From a little below zero, or below the model if that is lower, to a little above the best."""
    ends = [end for row in one["by_target"] for end in row["score_ci"] or ()]
    high = max([0.1, *scores, *oracle, *ends])
    low = min([0.0, *scores, *ends])
    return low - 0.3 * (high - low), high + 0.08 * (high - low)


def _note_what_is_below(axes: Any, always: Curve, low: float) -> None:
    if len(always[0]) and always[1][-1] < low:
        text = f"{prose_decimal(always[1][-1], 2)} at t = {always[0][-1]:g} ↓"
        axes.annotate(text, (1, 0), (-2, 4), xycoords="axes fraction", textcoords="offset points", ha="right",
                      color=color("wrong"), fontsize=7.5)  # fmt: skip


def _places(bars: Sequence[Bar]) -> list[float]:
    """Where each bar goes, from the top: those of a group together, a gap before the next."""
    places, place = [], 0.0
    for index, (title, _, _) in enumerate(bars):
        if index:
            place += 0.92 if bars[index - 1][0] == title else 1.9
        places.append(place)
    return places


def _stack(
    axes: Any, places: list[float], lefts: np.ndarray, sizes: np.ndarray, key: str, name: str, role: str
) -> None:
    """One outcome in every bar."""
    hatch = "////" if key == "ungraded" else None
    axes.barh(places, sizes, left=lefts, height=0.82, color=color(role), label=name, hatch=hatch, linewidth=0)
    for place, left, size in zip(places, lefts, sizes, strict=True):
        if size >= _LABELLED:
            text = _percent(size)
            axes.text(left + size / 2, place, text, ha="center", va="center", color=color(f"on-{role}"), fontsize=7.5)
        elif size and key == "incorrect":
            axes.text(1.012, place, _percent(size), va="center", color=color(role), fontsize=7.5)


def shares_in_words(row: Rates) -> str:
    """The outcomes that there are, in words."""
    return listed([f"{_percent(row[key])} {name}" for key, name, _ in OUTCOMES if row[key]])


def _in_words(label: str, curve: Curve) -> str:
    if not len(curve[0]):
        return ""
    return f"{label}: " + listed([f"{prose_decimal(y, 2)} at t = {t:g}" for t, y in zip(*curve, strict=True)]) + ". "


def _percent(share: float) -> str:
    return prose_percent(share, 0 if share >= 0.1 else 1)
