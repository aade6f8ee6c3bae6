"""Does memory grow while RL trains? Resident memory (and CUDA's) every few steps, and its slope after a warm-up.

    PYTHONPATH=. python docs/make/memory_growth.py              # 2,000 steps of the tiny model, some minutes
    PYTHONPATH=. python docs/make/memory_growth.py --algorithm ppo --report-to trackio --steps 4000

GRPO on the trie by default, with guards, held-out questions and checkpoints, as a recipe has them. The slope is that
of Theil and Sen, a median over pairs, with its 95 % interval; a cache that fills once moves it less than a line
fitted by least squares. Beside it: which kinds of Python objects there are more of than at the end of the warm-up.
"""

import argparse
import gc
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from scipy.stats import theilslopes
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils.logging import disable_progress_bar

from abstain.evals.models import load_model
from abstain.evals.tasks.question import Question, Task
from abstain.trainers import run_trainer
from abstain.trainers.heldout import HeldOutSet
from abstain.trainers.rl import run_rl
from abstain.trainers.stages import RlStage
from tests.conftest import CITIES, PEOPLE, save_tiny_model

MEBI = 2**20


@dataclass(eq=False)
class Meter(TrainerCallback):
    """Samples memory as steps end.

    Args:
        every: steps between two samples.
        warm_up: steps before the first one that counts.
    """

    every: int
    warm_up: int
    samples: list[tuple[int, float, float]] = field(default_factory=list)
    """Step, resident memory, CUDA's, in MiB."""
    before: Counter[str] = field(default_factory=Counter)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Sample; at the end of the warm-up count objects, too."""
        if state.global_step == self.warm_up:
            self.before = objects()
        if state.global_step >= self.warm_up and state.global_step % self.every == 0:
            gc.collect()
            cuda = torch.cuda.memory_allocated() / MEBI if torch.cuda.is_available() else 0.0
            self.samples.append((state.global_step, psutil.Process().memory_info().rss / MEBI, cuda))


def objects() -> Counter[str]:
    """How many there are of each type that the garbage collector knows."""
    gc.collect()
    return Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())


def slope(steps: list[int], memory: list[float]) -> tuple[float, float, float]:
    """MiB per 1,000 steps, and the ends of its interval.

    Example:
        >>> slope([0, 500, 1000, 1500], [10.0, 11.0, 12.0, 13.0])[0]
        2.0
    """
    found = theilslopes(memory, steps)
    return tuple(1000 * float(value) for value in (found.slope, found.low_slope, found.high_slope))


def main() -> None:
    """Train, then print the samples, the slopes and what there is more of."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--warm-up", type=int, default=500)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--algorithm", choices=("grpo", "rloo", "ppo"), default="grpo")
    parser.add_argument("--report-to", default="none")
    parser.add_argument("--stock", action="store_true", help="without sharing prefixes")
    given = parser.parse_args()
    disable_progress_bar()
    meter = Meter(given.every, given.warm_up)
    with tempfile.TemporaryDirectory() as folder:
        train_measured(given, meter, Path(folder))
        after = objects()
    steps, resident, cuda = (list(column) for column in zip(*meter.samples, strict=True))
    print("\nstep    resident MiB" + ("    CUDA MiB" if any(cuda) else ""))
    for step, one, other in meter.samples:
        print(f"{step:>5}  {one:>12.1f}" + (f"  {other:>12.1f}" if any(cuda) else ""))
    for name, memory in {"resident": resident, "CUDA": cuda}.items():
        middle, low, high = slope(steps, memory)
        print(f"{name}: {middle:+.2f} MiB per 1,000 steps after {given.warm_up} (95 %: {low:+.2f} to {high:+.2f})")
    for name, count in (after - meter.before).most_common(8):
        print(f"  {count:>7} more of {name}")


def train_measured(given: argparse.Namespace, meter: Meter, folder: Path) -> None:
    """The run that is measured, in this folder."""
    cities = (*CITIES, *PEOPLE)  # many answers are right, so rewards differ
    questions = tuple(Question(name, f"Where was {name} born?", cities, name) for name in PEOPLE)
    task = Task("people", questions, questions, max_new_tokens=4)
    loaded = load_model(str(save_tiny_model(folder / "model")), dtype="float32")
    args = {
        "max_steps": given.steps,
        "num_generations": 8,
        "per_device_train_batch_size": 32,
        "learning_rate": 1e-4,
        "save_steps": 100,
        "logging_steps": 10,
        "report_to": given.report_to,
        "disable_tqdm": False,
        "bf16": False,
        "gradient_checkpointing": False,
    }
    stage = RlStage(algorithm=given.algorithm, share_prefixes=not given.stock, args=args, guards={"every": 10})
    stage.rewards[0].args = {"grader": "f1"}
    held_out = {"sets": {"people": HeldOutSet(task)}, "every": 50, "keep_best": True}
    train = run_trainer.train

    def metered(trainer: Any, resume: bool) -> None:
        trainer.add_callback(meter)
        train(trainer, resume)

    from abstain.trainers import rl

    rl.train = metered
    run_rl(loaded.model, loaded.tokenizer, task, stage, output_dir=folder / "rl", seed=0, held_out=held_out, about={})


if __name__ == "__main__":
    main()
