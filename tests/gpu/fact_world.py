"""The fact world's quickstart on this device, its base model trained in the same run: seconds of each part, regret."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from abstain.evals.metrics.schema import read_metrics
from abstain.evals.tasks.factworld_model import base_model
from abstain.recipes.run.directory import RunDir
from abstain.recipes.run.recipe import AFTER, BEFORE, load_recipe, world_options
from abstain.recipes.run.steps import Run

SMALL = [
    "task.people=400",
    "task.held_out=80",
    "sft.limit=200",
    "sft.args.num_train_epochs=1",
    "rl.args.max_steps=4",
    "rl.args.warmup_steps=1",
    "rl.args.per_device_train_batch_size=128",
    "rl.args.save_steps=4",
    "eval.every=null",
    "eval.train_limit=100",
]
"""Overrides that leave nothing to be learned, only to be run."""

SHOWN = ("target", "correct", "incorrect", "abstained", "score", "regret")


def run_fact_world(device: str, folder: Path, *, small: bool) -> dict[str, Any]:
    """Trains and measures `recipes/quickstart.yaml`.

    Args:
        device: "cuda" or "cpu".
        folder: empty; for the base model and the run.
        small: in miniature.
    """
    overrides = ["rl.args.report_to=none", f"output_dir={folder / 'run'}", *(SMALL if small else [])]
    recipe, _ = load_recipe("quickstart", overrides)
    seconds: dict[str, float] = {}
    os.environ["ABSTAIN_CACHE"] = str(folder / "cache")  # trained here, whatever lies elsewhere
    with _timed(seconds, "base"), torch.device(device):
        base_model(progress=False, **world_options(recipe.task.name, recipe.task.options))
    directory = RunDir(recipe.run_path)
    directory.open(recipe, resume=False)
    run = Run(recipe, directory, say=print)
    for step in recipe.steps:
        with _timed(seconds, step):
            run.run(until=step)
    before, after = (read_metrics(place / "metrics.json") for place in (recipe.run_path / BEFORE, recipe.run_path))
    assert recipe.rl is not None
    steps = recipe.rl.args["max_steps"]
    return {
        "people": recipe.task.options["people"],
        "seconds": seconds,
        "rl_steps": steps,
        "seconds_a_step": seconds["rl"] / steps,
        "mean_regret": {BEFORE: before.get("mean_regret"), AFTER: after.get("mean_regret")},
        "by_target": [{name: row[name] for name in SHOWN} for row in after["by_target"]],
    }


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start
