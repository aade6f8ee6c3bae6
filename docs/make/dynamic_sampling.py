"""What dynamic sampling buys: steps, completions and seconds to a regret of .02: docs/dynamic-sampling.md's table.

    OMP_NUM_THREADS=1 python docs/make/dynamic_sampling.py runs/dynamic --out build/dynamic-sampling.md

The quickstart's worlds and base models, a warm-up on half of its questions with an eighth of its steps, which leaves
most to RL, and RL from there in each way, with a look at held-out questions every few steps. A run is written when it
is done, so a killed script goes on where it was. Seconds are those of training steps by the clock, looks not counted:
let nothing else run.

    ... --seeds 0 --people 400 --steps 20        a rehearsal
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import disable_progress_bars
from transformers.utils.logging import disable_progress_bar

from abstain.evals.evaluation import evaluate
from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.models import LoadedModel, load_model
from abstain.evals.records import read_json, write_text
from abstain.evals.sampler import Sampler
from abstain.evals.tasks.factworld import load_factworld
from abstain.evals.tasks.factworld_model import base_model
from abstain.trainers.heldout import HeldOutSet
from abstain.trainers.rl import run_rl
from abstain.trainers.sft import run_sft
from abstain.trainers.stages import RlStage, SftStage

TARGETS = [0, 0.5, 0.75, 0.9]
GOALS = (0.05, 0.02)
EVERY, ASKED = 20, 1000
"""Steps between two looks, and the questions of each."""
BATCH, GROUP = 1024, 16
QUIET = {
    "report_to": "none",
    "disable_tqdm": True,
    "save_strategy": "no",
    "gradient_checkpointing": False,
    "logging_steps": 1,
}
WARM_UP = SftStage(
    limit=8000,
    idk="unsure",
    targets=TARGETS,
    train_embeddings="answers",
    args=QUIET | {"learning_rate": 3e-3, "per_device_train_batch_size": 64, "num_train_epochs": 1},
)
WAYS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "max_rounds: 3": {"dynamic_sampling": {"max_rounds": 3}},
    "max_rounds: 3, same_target": {"dynamic_sampling": {"max_rounds": 3, "same_target": True}},
    "4 times the batch": {"args": {"per_device_train_batch_size": 4 * BATCH}},
}


def world_of(people: int, seed: int) -> dict[str, Any]:
    return {"people": people, "held_out": people // 6, "seed": seed}


def warmed(folder: Path, people: int, seed: int) -> tuple[LoadedModel, Any, BaseGuesses]:
    """The model that RL starts from, what it is asked, and what it knew before; made now if it is not there."""
    options = world_of(people, seed)
    task = load_factworld(**options)
    if not (folder / "start.json").exists():
        loaded = load_model(base_model(progress=False, **options), dtype="float32")
        found = evaluate(Sampler(loaded.model, loaded.tokenizer), task, [0.0], seed=seed)
        with TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
            run_sft(loaded.model, loaded.tokenizer, task, WARM_UP, output_dir=Path(scratch), seed=seed)
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        found.start.save(folder / "start.json")
    return load_model(folder, dtype="float32"), task, BaseGuesses.load(folder / "start.json")


def train(folder: Path, warm: Path, way: str, people: int, seed: int, steps: int) -> list[dict[str, float]]:
    """What was found at each look."""
    loaded, task, start = warmed(warm, people, seed)
    how = WAYS[way]
    args = QUIET | {
        "learning_rate": 3e-4,
        "adam_beta2": 0.99,
        "warmup_steps": 10,
        "max_steps": steps,
        "num_generations": GROUP,
        "per_device_train_batch_size": BATCH,
    }
    stage = RlStage(targets=TARGETS, train_embeddings="answers", **how | {"args": args | how.get("args", {})})
    held_out = {"sets": {"world": HeldOutSet(task, start)}, "every": EVERY, "targets": TARGETS, "limit": ASKED}
    with TemporaryDirectory() as scratch, redirect_stdout(sys.stderr):
        trainer = run_rl(
            loaded.model, loaded.tokenizer, task, stage, output_dir=Path(scratch), seed=seed, held_out=held_out
        )
    looks = list(looks_of(trainer.state.log_history, stage.args["per_device_train_batch_size"]))
    write_text(folder / "run.json", json.dumps(looks))
    return looks


def looks_of(history: Sequence[dict[str, Any]], batch: int) -> Iterator[dict[str, float]]:
    """Regret at each look, with what was spent until then."""
    steps = [entry for entry in history if "step_time" in entry]
    for look in history:
        if "heldout/world/mean_regret" not in look:
            continue
        done = [entry for entry in steps if entry["step"] <= look["step"]]
        yield {
            "step": look["step"],
            "regret": look["heldout/world/mean_regret"],
            "score": look["heldout/world/score"],
            "completions": sum(batch + entry.get("dynamic_sampling/extra_completions", 0) for entry in done),
            "seconds": sum(entry["step_time"] for entry in done),
            "agreed": fmean(agreed) if (agreed := [agreeing(entry) for entry in done]) else 0.0,
        }


def agreeing(entry: dict[str, Any]) -> float:
    """Share of the groups that agree when they are first drawn."""
    return float(entry.get("dynamic_sampling/agreed", entry["frac_reward_zero_std"]))


def reached(looks: Sequence[dict[str, float]], goal: float) -> dict[str, float] | None:
    """The first look at which the goal is reached."""
    return next((look for look in looks if look["regret"] <= goal), None)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Mean ± standard deviation over seeds."""
    both = [fmean(values), *([stdev(values)] if len(values) > 1 else [])]
    return " ± ".join(f"{value:,.{digits}f}" for value in both).replace("0.", ".")


def table(runs: dict[str, list[list[dict[str, float]]]], goal: float) -> Iterator[str]:
    """A row for each way. What was spent is of the seeds that reached the goal."""
    heads = [
        f"to {goal:g}",
        "reached",
        "steps",
        "completions",
        "seconds",
        "agree at first",
        "regret at the start",
        "end",
    ]
    yield f"| {' | '.join(heads)} |".replace("0.", ".")
    yield f"|{'---|' * len(heads)}"
    for way, seeds in runs.items():
        there = [look for looks in seeds if (look := reached(looks, goal)) is not None]
        spent = [spread([look[key] for look in there]) if there else "" for key in ("step", "completions", "seconds")]
        regrets = [spread([looks[place]["regret"] for looks in seeds], 3) for place in (0, -1)]
        agreed = f"{fmean(looks[-1]['agreed'] for looks in seeds):.0%}"
        yield f"| {' | '.join([way, f'{len(there)} of {len(seeds)}', *spent, agreed, *regrets])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file for the table")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--people", type=int, default=24000, help="of a world")
    parser.add_argument("--steps", type=int, default=300, help="of RL")
    given = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bar()
    disable_progress_bars()
    runs: dict[str, list[list[dict[str, float]]]] = {way: [] for way in given.ways}
    for seed in given.seeds:
        for way in given.ways:
            run = given.folder / f"{given.people}-{seed}" / way.replace(": ", "_").replace(", ", "-").replace(" ", "_")
            if not (run / "run.json").exists():
                train(run, run.parent / "warm", way, given.people, seed, given.steps)
            looks = read_json(run / "run.json")
            runs[way].append(looks)
            curve = " ".join(f"{look['regret']:.3f}" for look in looks)
            print(f"seed {seed}, {way}: {curve}", flush=True)
    text = "\n\n".join("\n".join(table(runs, goal)) for goal in GOALS)
    write_text(given.out, text + "\n")
    print(text)


if __name__ == "__main__":
    main()
