"""A run of RL that dies on the way, in a process of its own: what the tests of resuming need.

The processes are forked from one that has imported what takes seconds, so that a hundred of them take minutes.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import TrainerState, trainer
from transformers.utils.logging import disable_progress_bar
from trl import GRPOTrainer

from abstain.evals.models import load_model
from abstain.evals.tasks.question import Question, Task
from abstain.trainers.checkpoints import step_of, whole_checkpoints
from abstain.trainers.heldout import HeldOutSet
from abstain.trainers.rl import run_rl
from abstain.trainers.stages import RlStage

from ..conftest import CITIES, PEOPLE

QUESTIONS = tuple(Question(name, f"Where was {name} born?", (*CITIES, *PEOPLE), name) for name in PEOPLE)
TASK = Task("people", QUESTIONS, QUESTIONS[:2], max_new_tokens=3)  # many answers are right, so rewards differ
ARGS = {
    "num_generations": 4,
    "per_device_train_batch_size": 8,
    "steps_per_generation": 2,
    "learning_rate": 0.01,
    "logging_steps": 2,
    "save_strategy": "steps",
    "save_steps": 1,
    "disable_tqdm": True,
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "dataloader_pin_memory": False,
}
ORDER, END = "order.jsonl", "end.pt"
TIMES = ("step_time", "heldout/seconds", "train_")
WRITERS = {
    "weights": (transformers.PreTrainedModel, "save_pretrained"),
    "optimizer": (trainer.Trainer, "_save_optimizer_and_scheduler"),
    "random state": (trainer.Trainer, "_save_rng_state"),
    "trainer state": (TrainerState, "save_to_json"),
    "older": (shutil, "rmtree"),
}
"""What writes a checkpoint and removes the older one, one after the other."""
Forked = multiprocessing.get_context("forkserver")
Forked.set_forkserver_preload(
    [
        __name__,
        "abstain.trainers.guards.callback",
        "abstain.trainers.tracking.dashboards",
        "abstain.trainers.trie.trainer",
        "sklearn.isotonic",
    ]
)


def start(model: Path, output: Path, args: dict[str, Any], death: tuple[str, bool] | None = None) -> Any:
    """A process that runs `train_or_die` of these arguments."""
    process = Forked.Process(target=train_or_die, args=(model, output, args, death))
    process.start()
    return process


def train_or_die(model: Path, output: Path, args: dict[str, Any], death: tuple[str, bool] | None = None) -> None:
    """Train the model in a folder, from the last checkpoint in `output` if there is one.

    Args:
        model: the folder.
        output: gets checkpoints, the prompts of every step, and at the end the weights and the random state.
        args: fields of `ARGS` that differ.
        death: one of `WRITERS` and whether the process, at the second checkpoint that it makes, dies before that has
            written (False) or with half of its last file written (True).
    """
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    disable_progress_bar()
    if death:
        _die_while_writing(*death)
    _note_prompts(output / ORDER)
    loaded = load_model(str(model), dtype="float32")
    stage = RlStage(args=ARGS | args, guards={"every": 3}, targets=[0.0, 0.5])
    stage.rewards[0].args = {"grader": "f1"}
    held_out = {"sets": {"people": HeldOutSet(TASK)}, "every": 4, "targets": [0.5], "keep_best": True}
    known = run_rl(
        loaded.model, loaded.tokenizer, TASK, stage, output_dir=output, seed=0, resume=True, held_out=held_out
    )
    randomness = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    weights = {name: weight.detach() for name, weight in known.model.state_dict().items()}
    torch.save({"weights": weights, "random": zlib.crc32(repr(randomness).encode())}, output / "partial.pt")
    os.replace(output / "partial.pt", output / END)


def what_it_left(output: Path) -> dict[str, Any]:
    """What has to be the same, whether a run was killed or not."""
    lines = [json.loads(line) for line in (output / ORDER).read_text().splitlines() if line.endswith("}")]
    log = json.loads((output / "trainer_state.json").read_text())["log_history"]
    guards = output / "guards.jsonl"
    end = torch.load(output / END)
    return {
        "prompts": {line["step"]: line["asked"] for line in lines},
        "log": [{key: value for key, value in row.items() if not key.startswith(TIMES)} for row in log],
        "alarms": guards.read_text() if guards.exists() else "",
        "random": end["random"],
        "weights": {name: weight.tolist() for name, weight in end["weights"].items()},
    }


def last_step(output: Path) -> int:
    """Of the last whole checkpoint; 0 if there is none."""
    return max(map(step_of, whole_checkpoints(output)), default=0)


def _note_prompts(file: Path) -> None:
    ask = GRPOTrainer._generate_and_score_completions

    def noting(self: Any, inputs: list[dict[str, Any]]) -> Any:
        if self.model.training:
            file.parent.mkdir(parents=True, exist_ok=True)
            asked = [f"{row['question_id']} {row['target']}" for row in inputs]
            with file.open("a") as opened:
                opened.write(json.dumps({"step": self.state.global_step, "asked": asked}) + "\n")
        return ask(self, inputs)

    GRPOTrainer._generate_and_score_completions = noting


def _die_while_writing(writer: str, torn: bool) -> None:
    owner, name = WRITERS[writer]
    work: Callable[..., Any] = getattr(owner, name)
    done = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal done
        target = next((Path(one) for one in args if isinstance(one, str) and "checkpoint-" in one), None)
        done += target is not None
        if target is None or done < 2:
            return work(*args, **kwargs)
        folder = target if target.is_dir() or not target.suffix else target.parent
        if torn and writer == "older":
            next(filter(Path.is_file, folder.iterdir())).unlink()
        elif torn:
            work(*args, **kwargs)
            newest = max(filter(Path.is_file, folder.iterdir()), key=lambda file: file.stat().st_mtime_ns)
            os.truncate(newest, newest.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, dying)
