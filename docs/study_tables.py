"""The tables of docs/study.md, and its picture: python docs/study_tables.py runs/study docs/images/study.png"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy.stats import t as student

from abstain.evals.plots_style import DPI, MARKERS, color, legend_above, new_axes, ramp, styled

Metrics = dict[str, Any]
Points = dict[tuple[str, str], dict[str, list[Metrics]]]
TRAINERS = {"grpo": "GRPO", "grpo-group": "GRPO, group", "grpo-batch": "GRPO, batch", "rloo": "RLOO", "ppo": "PPO"}
TARGETS = (0.0, 0.5, 0.75, 0.9)


def read(sweep: Path) -> Points:
    """Metrics of the finished points by prompt and reward, then by trainer; one for each world."""
    found: Points = {}
    for entry in json.loads((sweep / "sweep.json").read_text(encoding="utf-8"))["points"]:
        path, chosen = sweep / entry["directory"] / "metrics.json", entry["settings"]
        if entry["status"] == "complete":
            trainers = found.setdefault((chosen["prompt"], chosen["reward"]), {})
            trainers.setdefault(chosen["trainer"], []).append(json.loads(path.read_text(encoding="utf-8")))
    return found


def row(metrics: Metrics, target: float) -> dict[str, Any]:
    return next(row for row in metrics["by_target"] if row["target"] == target)


def spread(values: Sequence[float], digits: int = 3) -> str:
    text = f"{fmean(values):z.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")
    return text.replace("-", "−").replace("0.", ".") if digits == 3 else text.replace("-", "−")


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval by Student's t over worlds."""
    half = float(student.ppf(0.975, len(values) - 1)) * stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    mean = fmean(values)
    return f"{mean:+.3f} [{mean - half:.3f}, {mean + half:.3f}]".replace("-", "−").replace("0.", ".")


def table(title: str, heads: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    heads = ["prompt", "reward", *heads]
    print(f"\n{title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")


def by_trainer(title: str, points: Points, cell: Callable[[list[Metrics]], str]) -> None:
    rows = [
        [*key, *(cell(trainers[name]) if name in trainers else "" for name in TRAINERS)]
        for key, trainers in points.items()
    ]
    table(title, TRAINERS.values(), rows)


def fate(many: list[Metrics]) -> str:
    """What became of it, in how many worlds: above t = 0 it abstains always, or never; or it answers nothing right."""

    def one(metrics: Metrics) -> str:
        silent = [row(metrics, t)["abstained"] for t in TARGETS[1:]]
        if min(silent) > 0.98:
            return "silent"
        if max(silent) < 0.02:
            return "guesses"
        return "" if row(metrics, 0)["correct"] + row(metrics, 0)["abstained"] > 0.1 else "knows nothing"

    fates = [one(metrics) for metrics in many]
    return ", ".join(f"{name} {fates.count(name)}/{len(fates)}" for name in dict.fromkeys(fates) if name)


def main(sweep: Path) -> None:
    points = read(sweep)
    by_trainer("Mean regret", points, lambda many: spread([one["mean_regret"] for one in many]))
    by_trainer("Collapses", points, fate)
    by_trainer(
        "Score less that of the start's guesses, given where their isotonic probability exceeds t, mean over targets",
        points,
        lambda many: interval([-one["mean_regret_isotonic"] for one in many]),
    )
    for trainer, name in TRAINERS.items():
        rows = [
            [*key, *(spread([row(one, t)["score"] for one in many]) for t in TARGETS), wrong(many), right(many)]
            for key, trainers in points.items()
            if (many := trainers.get(trainer))
        ]
        table(f"Score by target, {name}", [*(f"t = {t:g}" for t in TARGETS), "wrong at .5", "right at .5"], rows)


def wrong(many: list[Metrics]) -> str:
    return f"{spread([100 * row(one, 0.5)['incorrect'] for one in many], 1)} %"


def right(many: list[Metrics]) -> str:
    return f"{spread([100 * row(one, 0.5)['correct'] for one in many], 1)} %"


def picture(points: Points, file: Path) -> None:
    """Mean regret of every world, by reward and trainer."""
    with styled():
        figure, axes = new_axes(6.6, 3.0)
        for place, (trainer, role) in enumerate(zip(TRAINERS, ramp(len(TRAINERS)), strict=True)):
            for x, trainers in enumerate(points.values()):
                at, values = x + 0.14 * (place - 2), [one["mean_regret"] for one in trainers[trainer]]
                axes.vlines(at, min(values), max(values), color=color(role), linewidth=0.9, alpha=0.6)
                axes.plot(
                    at,
                    fmean(values),
                    MARKERS[place],
                    color=color(role),
                    markersize=4,
                    label=None if x else TRAINERS[trainer],
                )
        axes.set_yscale("log")
        axes.set_yticks([0.05, 0.1, 0.2, 0.5, 1, 2], ["0.05", "0.1", "0.2", "0.5", "1", "2"])
        axes.set_xticks(range(len(points)), [f"{reward}\n{prompt}" for prompt, reward in points])
        axes.tick_params("x", labelsize=7)
        axes.grid(False, axis="x")
        axes.set_ylabel("mean regret, points per question")
        legend_above(axes, columns=len(TRAINERS))
        figure.savefig(file, dpi=DPI)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    picture(read(Path(sys.argv[1])), Path(sys.argv[2]))
