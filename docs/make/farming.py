"""The table of docs/farming.md, and its picture.

    PYTHONPATH=. python docs/make/farming.py runs/farming docs/images/farming.png

Plays what the first folder does not hold yet: each game with three seeds read strictly, graders with a
hole, and for comparison each game once read leniently.
"""

import json
import sys
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

from abstain.evals.plots.style import DPI, color, legend_above, new_axes, styled
from abstain.rewards.grading import grade
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict
from tests.trainers.farming import (
    CALM,
    GAMES,
    SEPARATORS,
    STEPS,
    Game,
    Outcome,
    Reward,
    play,
    substring,
    with_hole,
)

Run = dict[str, Any]
ANYWHERE, ONE_WORD = "the gold anywhere", "one word"
SEEDS = {"strict": 3, "lenient": 1, ANYWHERE: 3, ONE_WORD: 5}
CONTROLS = {ANYWHERE: GAMES["maybe"], ONE_WORD: GAMES["anything"]}


def reward_of(game: Game, reading: str) -> Reward:
    if reading == ANYWHERE:
        return substring
    if reading == ONE_WORD:
        return with_hole(game.reward("strict"), SEPARATORS["banana"])
    return game.reward(reading)  # type: ignore[arg-type]


def paid_twice(outcome: Outcome, reading: Reading) -> list[str]:
    """What the policy wrote, at any time, that is right whichever of two candidates is the gold."""
    game = outcome.game
    asked = game.prompt("Ada").strip()
    several = [text for text in sorted(outcome.written) if game.several(text)]
    return [
        text
        for text in several
        if sum(grade(text, [g], game.grader, asked, reading=reading) is Verdict.CORRECT for g in game.golds) > 1
    ]


def run(folder: Path, game: Game, reading: str, seed: int) -> Run:
    """A game as it was played, or played now."""
    file = folder / f"{game.name}-{reading.replace(' ', '-')}-{seed}.json"
    if not file.exists():
        with TemporaryDirectory() as scratch:
            outcome = play(game, seed, reward_of(game, reading), Path(scratch))
        found: Run = {
            "rewards": outcome.rewards,
            "end": outcome.end,
            "lists": outcome.lists,
            "seconds": outcome.seconds,
            "written": len(outcome.written),
            "most_paid": outcome.most_paid(),
        }
        if reading in ("strict", "lenient"):
            found["paid_twice"] = paid_twice(outcome, reading)  # type: ignore[arg-type]
        file.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−").replace("0.", ".", 1)


def of_seeds(runs: list[Run]) -> str:
    """Mean, and the least and most of the seeds."""
    ends = [run["end"] for run in runs]
    spread = f" ({number(min(ends))} to {number(max(ends))})" if len(ends) > 1 else ""
    return number(fmean(ends)) + spread


def lists(runs: list[Run]) -> str:
    return f"{fmean(run['lists'] for run in runs):.1%}".replace("%", " %")


def table(played: dict[str, dict[str, list[Run]]]) -> None:
    print("| game | honest best | strict: reward | two candidates | lenient: reward | two candidates |")
    print("|---|---|---|---|---|---|")
    for name, game in GAMES.items():
        cells = [
            cell for how in ("strict", "lenient") for cell in (of_seeds(played[how][name]), lists(played[how][name]))
        ]
        print(f"| {name} | {number(game.honest)} | {' | '.join(cells)} |")
    for how, game in CONTROLS.items():
        runs = played[how][game.name]
        print(f"{how} ({game.name}): {of_seeds(runs)}, two candidates {lists(runs)}; {[run['end'] for run in runs]}")
    every = [run for games in played.values() for runs in games.values() for run in runs]
    print(f"{len(every)} runs, {sum(run['seconds'] for run in every) / 60:.0f} minutes")
    for how in ("strict", "lenient"):
        runs = [run for runs in played[how].values() for run in runs]
        twice = [text for run in runs for text in run["paid_twice"]]
        print(
            f"{how}: {len(twice)} of {sum(run['written'] for run in runs)} texts would be paid for two: {twice[:20]}"
        )


def draw(played: dict[str, dict[str, list[Run]]], picture: Path) -> None:
    """Reward above the honest best, step by step: mean of all runs, and the range of the games' means."""
    looks = {
        ANYWHERE: ("grader with a hole: the gold anywhere", "wrong", "-"),
        ONE_WORD: (f"grader with a hole: after one word of {len(GAMES['anything'].vocabulary)}", "wrong", ":"),
        "lenient": (f"lenient reading, {len(GAMES)} games", "right", "--"),
        "strict": (f"strict reading, {len(GAMES)} games", "after", "-"),
    }
    with styled():
        figure, axes = new_axes(6.2, 3.4)
        steps = [step + 1 for step in range(STEPS)]
        for how, (label, role, line) in looks.items():
            means = [
                [fmean(run["rewards"][step] for run in runs) - GAMES[name].honest for step in range(STEPS)]
                for name, runs in played[how].items()
            ]
            smooth = [[fmean(mean[max(0, step - 4) : step + 1]) for step in range(STEPS)] for mean in means]
            across = list(zip(*smooth, strict=True))
            axes.plot(steps, [fmean(values) for values in across], line, color=color(role), label=label)
            axes.fill_between(
                steps, [min(v) for v in across], [max(v) for v in across], color=color(role), alpha=0.15, linewidth=0
            )
        axes.axhline(0, color=color("ink"), linewidth=0.6)
        axes.axvline(CALM, color=color("muted"), linewidth=0.6, linestyle=":")
        axes.set(xlabel="step of GRPO", ylabel="reward above the honest best", xlim=(1, STEPS))
        legend_above(axes, columns=2)
        figure.savefig(picture, dpi=DPI, facecolor="white", metadata={"Software": None})


def main(folder: Path, picture: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    games = {"strict": GAMES, "lenient": GAMES} | {how: {game.name: game} for how, game in CONTROLS.items()}
    played = {
        how: {name: [run(folder, game, how, seed) for seed in range(SEEDS[how])] for name, game in games[how].items()}
        for how in ("strict", *CONTROLS, "lenient")
    }
    table(played)
    draw(played, picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
