"""The tables of docs/study.md, and its picture: python docs/make/study_tables.py runs/study docs/images/study.png"""

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean

from abstain.evals.metrics.intervals import student_interval
from abstain.evals.metrics.schema import read_metrics
from abstain.evals.plots.style import DPI, MARKERS, color, legend_above, new_axes, ramp, styled
from abstain.recipes.report.source import Group, read_sweep
from abstain.recipes.report.source import spread as spread_out
from abstain.rewards.prompts import TARGETS

Groups = dict[tuple[str, str], dict[str, Group]]
TRAINERS = {"grpo": "GRPO", "grpo-group": "GRPO, group", "grpo-batch": "GRPO, batch", "rloo": "RLOO", "ppo": "PPO"}


def read(sweep: Path) -> Groups:
    """What finished, by prompt and reward, then by trainer; a group holds one run for each world."""
    data = read_sweep(sweep)
    by_settings = {(g.settings["prompt"], g.settings["reward"], g.settings["trainer"]): g for g in data.groups()}
    found: Groups = {}
    for point in data.points:  # groups come best first, points in the order of the sweep
        chosen = point.settings["prompt"], point.settings["reward"], point.settings["trainer"]
        if chosen in by_settings:
            found.setdefault(chosen[:2], {})[chosen[2]] = by_settings[chosen]
    return found


def spread(values: Sequence[float]) -> str:
    return spread_out(values).replace("0.", ".")


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval by Student's t over worlds."""
    low, high = student_interval(values) if len(values) > 1 else (values[0], values[0])
    return f"{fmean(values):+.3f} [{low:.3f}, {high:.3f}]".replace("-", "−").replace("0.", ".")


def table(title: str, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    heads = ["prompt", "reward", *heads]
    print(f"\n{title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")


def by_trainer(title: str, groups: Groups, cell: Callable[[Group], str]) -> None:
    rows = [
        [*key, *(cell(trainers[name]) if name in trainers else "" for name in TRAINERS)]
        for key, trainers in groups.items()
    ]
    table(title, TRAINERS.values(), rows)


def fate(group: Group) -> str:
    """What became of it, in how many worlds: above t = 0 it abstains always, or never; or it answers nothing right."""
    worlds = zip(*(group.measured("abstained", t) for t in TARGETS[1:]), strict=True)
    answered = zip(group.measured("correct", 0), group.measured("abstained", 0), strict=True)
    fates = [_fate(abstained, sum(shares)) for abstained, shares in zip(worlds, answered, strict=True)]
    return ", ".join(f"{name} {fates.count(name)}/{len(fates)}" for name in dict.fromkeys(fates) if name)


def _fate(abstained: Sequence[float], right_or_abstained: float) -> str:
    if min(abstained) > 0.98:
        return "abstains"
    if max(abstained) < 0.02:
        return "guesses"
    return "" if right_or_abstained > 0.1 else "knows nothing"


def main(groups: Groups) -> None:
    by_trainer("Mean regret", groups, lambda group: spread(group.measured("mean_regret")))
    by_trainer("Collapses", groups, fate)
    by_trainer(
        "Score less that of the start's guesses, given where their isotonic probability exceeds t, mean over targets",
        groups,
        lambda group: interval([-read_metrics(point.path)["mean_regret_isotonic"] for point in group.points]),
    )
    for trainer, name in TRAINERS.items():
        rows = [
            [
                *key,
                *(spread(group.measured("score", t)) for t in TARGETS),
                _percent(group, "incorrect"),
                _percent(group, "correct"),
            ]
            for key, trainers in groups.items()
            if (group := trainers.get(trainer))
        ]
        table(f"Score by target, {name}", [*(f"t = {t:g}" for t in TARGETS), "wrong at .5", "right at .5"], rows)


def _percent(group: Group, verdict: str) -> str:
    return f"{spread_out(group.measured(verdict, 0.5), 1, factor=100)} %"


def picture(groups: Groups, file: Path) -> None:
    """Mean regret of every world, by reward and trainer."""
    with styled():
        figure, axes = new_axes(6.6, 3.0)
        for shift, (trainer, role) in enumerate(zip(TRAINERS, ramp(len(TRAINERS)), strict=True)):
            for x, trainers in enumerate(groups.values()):
                at, values = x + 0.14 * (shift - 2), trainers[trainer].measured("mean_regret")
                axes.vlines(at, min(values), max(values), color=color(role), linewidth=0.9, alpha=0.6)
                axes.plot(
                    at,
                    fmean(values),
                    MARKERS[shift],
                    color=color(role),
                    markersize=4,
                    label=None if x else TRAINERS[trainer],
                )
        axes.set_yscale("log")
        axes.set_yticks([0.05, 0.1, 0.2, 0.5, 1, 2], ["0.05", "0.1", "0.2", "0.5", "1", "2"])
        axes.set_xticks(range(len(groups)), [f"{reward}\n{prompt}" for prompt, reward in groups])
        axes.tick_params("x", labelsize=7)
        axes.grid(False, axis="x")
        axes.set_ylabel("mean regret, points per question")
        legend_above(axes, columns=len(TRAINERS))
        figure.savefig(file, dpi=DPI)


if __name__ == "__main__":
    finished = read(Path(sys.argv[1]))
    main(finished)
    picture(finished, Path(sys.argv[2]))
