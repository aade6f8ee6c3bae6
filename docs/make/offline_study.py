"""The table of docs/offline.md: python docs/make/offline_study.py runs/offline-study [world ...]

The worlds, prompts and warm-up of `recipes/sweeps/study.yaml`, one process, one thread. Each way to go on starts
from the same warmed-up model, and its cost is CPU seconds of this process, sampling included: seconds by the clock say
little on a machine that others use too. A line of results.jsonl for each, and those that are there are not run again.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch

from abstain.evals.evaluation import evaluate
from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.models import LoadedModel, load_model
from abstain.evals.records import write_text
from abstain.evals.sampler import Sampler
from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.question import Task
from abstain.recipes.run.directory import write_directory
from abstain.recipes.run.training import load_start
from abstain.rewards.prompts import TARGETS
from abstain.trainers.offline import run_offline
from abstain.trainers.rl import run_rl
from abstain.trainers.sft import run_sft
from abstain.trainers.stages import OfflineStage, RlStage, SftStage

COMMON = {"adam_beta2": 0.99, "gradient_checkpointing": False, "save_strategy": "no", "disable_tqdm": True}
TAUGHT = [0, 0.5, 0.75, 0.9, 0.9]
WARM_UP = SftStage(
    limit=6000,
    args={"learning_rate": 5e-3, "per_device_train_batch_size": 64, "gradient_checkpointing": False},
)
GRPO = RlStage(
    targets=TAUGHT,
    args=COMMON
    | {"learning_rate": 7e-4, "max_steps": 200, "warmup_steps": 30, "num_generations": 16}
    | {"per_device_train_batch_size": 512},
)


def offline(algorithm: str, limit: int, learning_rate: float) -> OfflineStage:
    """A stage that costs what GRPO's does, if `limit` is 900; its learning rate was chosen in world 7."""
    args = COMMON | {"learning_rate": learning_rate, "warmup_steps": 5, "per_device_train_batch_size": 64}
    return OfflineStage(algorithm=algorithm, targets=TAUGHT, sample_at=[0], limit=limit, args=args)


WAYS: dict[str, RlStage | OfflineStage | None] = {
    "SFT alone": None,
    "GRPO": GRPO,
    "DPO": offline("dpo", 900, 1e-4),
    "KTO": offline("kto", 900, 1e-4),
}


def world(seed: int, folder: Path, done: set[tuple[int, str]], write: Callable[[dict[str, Any]], None]) -> None:
    """Warm a model up in one world, go on in each way that is not done, and measure."""
    options = {"people": 8000, "held_out": 2000, "confidence_words": True, "seed": seed, "answer_format": "plain"}
    task = load_task("factworld", **options)
    warm, known = folder / "warm", folder / "start.json"
    if not (warm / "config.json").exists():
        start = load_start("factworld", task="factworld", task_options=options, dtype="float32")
        sampler = Sampler(start.model, start.tokenizer)
        evaluate(sampler, task, [0.0], train_limit=1000, seed=seed).start.save(known)
        run_sft(start.model, start.tokenizer, task, WARM_UP, output_dir=folder / "sft", seed=seed)
        write_directory(warm, lambda path: [part.save_pretrained(path) for part in (start.tokenizer, start.model)])
    for name, stage in WAYS.items():
        if (seed, name) not in done:
            model = load_model(str(warm), dtype="float32")
            seconds = go_on(model, task, stage, folder / name, seed)
            write({"world": seed, "way": name, "seconds": seconds} | measured(model, task, known, seed))


def go_on(loaded: LoadedModel, task: Task, stage: RlStage | OfflineStage | None, folder: Path, seed: int) -> float:
    """Train a stage; CPU seconds that it took."""
    began = time.process_time()
    if isinstance(stage, RlStage):
        run_rl(loaded.model, loaded.tokenizer, task, stage, output_dir=folder, seed=seed)
    elif isinstance(stage, OfflineStage):
        run_offline(loaded.model, loaded.tokenizer, task, stage, output_dir=folder, seed=seed)
    return round(time.process_time() - began, 1)


def measured(loaded: LoadedModel, task: Task, start: Path, seed: int) -> dict[str, Any]:
    """Mean regret, and each target's regret and rates, on the held-out questions."""
    sampler = Sampler(loaded.model, loaded.tokenizer)
    guesses = BaseGuesses.load(start)
    found = evaluate(sampler, task, TARGETS, start=guesses, train_limit=1000, seed=seed).metrics
    keys = ("target", "regret", "score", "correct", "incorrect", "abstained")
    return {
        "mean_regret": found["mean_regret"],
        "by_target": [{key: row[key] for key in keys} for row in found["by_target"]],
    }


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Mean ± standard deviation over worlds."""
    both = [fmean(values), *([stdev(values)] if len(values) > 1 else [])]
    return " ± ".join(f"{value:.{digits}f}" for value in both).replace("0.", ".").replace("-", "−")


def table(rows: Sequence[dict[str, Any]]) -> None:
    heads = ["", "CPU seconds", "mean regret", *(f"t = {t:g}" for t in TARGETS), "right at 0", "right at .5", "worlds"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for way in dict.fromkeys(row["way"] for row in rows):
        found = [row for row in rows if row["way"] == way]
        targets = [[row["by_target"][place] for row in found] for place in range(len(TARGETS))]
        cells = [
            way,
            f"{fmean(row['seconds'] for row in found):.0f}",
            spread([row["mean_regret"] for row in found]),
            *(spread([one["regret"] for one in column]) for column in targets),
            *(spread([one["correct"] for one in column]) for column in targets[:2]),
            str(len(found)),
        ]
        print(f"| {' | '.join(cells)} |")


def main(folder: Path, seeds: Sequence[int]) -> None:
    torch.set_num_threads(1)
    file = folder / "results.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def write(row: dict[str, Any]) -> None:
        rows.append(row)
        write_text(file, "".join(json.dumps(one) + "\n" for one in rows))
        print(row, flush=True)

    for seed in seeds:
        done = {(row["world"], row["way"]) for row in rows}
        if any((seed, name) not in done for name in WAYS):
            world(seed, folder / str(seed), done, write)
    table([row for row in rows if row["world"] in seeds])


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(word) for word in sys.argv[2:]] or [0, 1, 2])
