"""Curves of training, a small picture for each thing that was logged."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from abstain.evals.plots.style import (
    LEGEND_ROW,
    Distinct,
    Plot,
    color,
    listed,
    percent_axis,
    styled,
    target_styles,
    title_above,
)

History = Sequence[Mapping[str, Any]]
Series = tuple[list[float], list[float]]
TITLES = {
    "reward": "Reward",
    "heldout/score": "Held-out score",
    "heldout/regret": "Held-out regret",
    "heldout/abstained": "Held-out: abstained",
    "heldout/correct": "Held-out: right",
    "heldout/incorrect": "Held-out: wrong",
    "heldout/effective_threshold": "Held-out effective threshold",
    "abstention": "Abstained",
    "accuracy": "Right",
    "error": "Wrong",
    "ungraded": "Ungraded",
    "reading/gap": "Right leniently, not strictly",
    "heldout/reading_gap": "Held-out: right leniently only",
    "score": "Score",
    "regret": "Regret",
    "effective_threshold": "Effective threshold",
    "guards/effective_threshold": "Effective threshold in training",
    "guards/over_refusal": "Known, but not answered",
    "rewards/accuracies": "Pairs in the right order",
    "rewards/margins": "Margin between chosen and rejected",
    "loss": "Loss",
    "eval_loss": "Loss on held-out questions",
    "mean_token_accuracy": "Tokens right",
    "entropy": "Entropy",
    "kl": "KL divergence",
    "frac_reward_zero_std": "Groups that teach nothing",
    "completions/mean_length": "Completion length, tokens",
    "value_loss": "Value loss",
    "explained_variance": "Explained variance of the value head",
}
"""What is drawn, in this order, if it was logged and is not 0 all along; what else was logged per target follows."""
RATES = {"abstention", "accuracy", "error", "ungraded", "mean_token_accuracy", "frac_reward_zero_std"}
RATES |= {"heldout/abstained", "heldout/correct", "heldout/incorrect", "guards/over_refusal"}
RATES |= {"reading/gap", "heldout/reading_gap"}
_PER_TARGET = re.compile(r"([\w ./:-]{1,60})/t=([0-9.]{1,8})")
_MOST, _COLUMNS = 18, 4


def targets_in(history: History) -> set[float]:
    """The targets of which something was logged.

    Example:
        >>> sorted(targets_in([{"step": 1, "abstention/t=0.5": 0.1, "heldout/geo/score/t=0.9": 0.2, "loss": 1.0}]))
        [0.5, 0.9]
    """
    return {_target(found[2]) for _, key, _ in _numbers(history) if (found := _PER_TARGET.fullmatch(key))}


def training_plots(history: History, stage: str, targets: Iterable[float] = ()) -> list[Plot]:
    """A picture for each of `TITLES` that the log of a stage has, and for whatever else it has per target.

    Args:
        history: `log_history` of a `trainer_state.json`.
        stage: such as "sft"; part of the pictures' names.
        targets: of the pictures beside these, so that a target has one colour in all of them.
    """
    styles = target_styles({*targets, *targets_in(history)})
    scalars, families = _series(history)
    order = list(TITLES)
    names = [name for name in {**scalars, **families} if _known(name) in TITLES]
    names.sort(key=lambda name: (order.index(_known(name)), name))
    names += sorted(name for name in families if _known(name) not in TITLES)
    drawn = [(name, families.get(name) or {"": scalars[name]}) for name in names]
    drawn = [(name, lines) for name, lines in drawn if any(any(values) for _, values in lines.values())]
    rows = math.ceil(max((len(lines) for _, lines in drawn), default=1) / _COLUMNS)
    return [
        _panel(name, _title(name, names), f"{stage}-{place:02d}", lines, styles if name in families else {}, rows)
        for place, (name, lines) in enumerate(drawn[:_MOST], 1)
    ]


def _series(history: History) -> tuple[dict[str, Series], dict[str, dict[str, Series]]]:
    """What was logged: plain series by key, and series by name and target."""
    scalars: dict[str, Series] = {}
    families: dict[str, dict[str, Series]] = {}
    for step, key, value in _numbers(history):
        found = _PER_TARGET.fullmatch(key)
        home = families.setdefault(found[1], {}) if found else scalars
        steps, values = home.setdefault(found[2] if found else key, ([], []))
        if not steps or steps[-1] < step:  # a run that was resumed may log a step again
            steps.append(step)
            values.append(value)
    order = {name: dict(sorted(lines.items(), key=lambda item: _target(item[0]))) for name, lines in families.items()}
    return {key: one for key, one in scalars.items() if len(one[0]) > 1}, order


def _numbers(history: History) -> Iterator[tuple[float, str, float]]:
    for entry in history:
        step = entry.get("step") if isinstance(entry, Mapping) else None
        if not isinstance(step, int | float):
            continue
        for key, value in entry.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                yield float(step), str(key), float(value)


def _known(name: str) -> str:
    """The key of `TITLES`: `train/abstention` is `abstention`, `heldout/factworld/score` is `heldout/score`."""
    return re.sub(r"^heldout/.+/", "heldout/", name.removeprefix("train/"))


def _title(name: str, names: Sequence[str]) -> str:
    """With the data set in it where there are several of the same kind."""
    alike = [other for other in names if _known(other) == _known(name)]
    title = TITLES.get(_known(name), name)
    if len(alike) < 2 or not name.startswith("heldout/"):
        return title
    return f"{title}, {name.removeprefix('heldout/').rpartition('/')[0]}"


def _target(text: str) -> float:
    return float(text) if text.count(".") <= 1 and text.strip(".") else 0.0


def _panel(
    name: str,
    title: str,
    place: str,
    lines: Mapping[str, Series],
    styles: Mapping[float, tuple[str, str]],
    rows: int,
) -> Plot:
    """One picture; `styles` has the colours of targets, and is empty where there are none."""
    height = 2.1 + LEGEND_ROW / 72 * (rows - 1)
    with styled():
        figure = Figure(figsize=(3.2, height))
        axes = figure.add_axes((0.185, 0.42 / height, 0.77, 1.302 / height))  # the same in all, so that they line up
        for target, (steps, values) in lines.items():
            role, marker = styles[_target(target)] if styles else ("after", "")
            marks: dict[str, Any] = {"marker": marker, "label": f"t = {target}"} if styles else {}
            every = max(1, len(steps) // 8)
            axes.plot(steps, values, color=color(role), linewidth=1.4, markersize=3.2, markevery=every, **marks)
        title_above(axes, title, rows=rows, columns=_COLUMNS)
        axes.set_xlabel("step")
        axes.locator_params("x", nbins=5, integer=True)
        axes.locator_params("y", nbins=5)
        axes.yaxis.set_major_formatter(Distinct())
        if _known(name) in RATES:
            axes.set_ylim(0, None if max(max(values) for _, values in lines.values()) > 0 else 1)
            percent_axis(axes.yaxis)
    ends = [
        f"{f't = {target}: ' if styles else ''}from {values[0]:.3g} to {values[-1]:.3g}"
        for target, (_, values) in lines.items()
    ]
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-")
    return Plot(f"training-{place}-{slug}", title, "", f"{title} while training: {listed(ends)}.", figure)
