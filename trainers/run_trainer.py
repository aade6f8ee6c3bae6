"""Runs one of TRL's trainers, from the start or from its last checkpoint."""

from pathlib import Path
from typing import Any

from transformers import ProgressCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from abstain.trainers.guard_memory import explain_memory

SHOWN = {"loss": ".4g", "reward": ".3f", "accuracy/all": ".1%", "error/all": ".1%", "abstention/all": ".1%"}


class BriefProgress(ProgressCallback):
    """The progress bar of transformers, with one short line where it would print some forty numbers.

    All of them are in `trainer_state.json`, and go to wherever `report_to` says.
    """

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        line = brief(logs or {})
        if self.training_bar is not None and line:
            self.training_bar.write(f"step {state.global_step:>5}  {line}")


def brief(logs: dict[str, Any]) -> str:
    """What a person wants to know of a log entry: the reward and the verdicts, or the loss where there is no reward.

    Example:
        >>> brief({"loss": 0.1, "reward": 0.25, "abstention/all": 0.5, "entropy": 1.0})
        'reward 0.250  abstention 50.0%'
        >>> brief({"loss": 0.1, "entropy": 1.0})
        'loss 0.1'
    """
    names = [name for name in SHOWN if isinstance(logs.get(name), int | float)]
    if "reward" in names:
        names = [name for name in names if name != "loss"]
    return "  ".join(f"{name.removesuffix('/all')} {logs[name]:{SHOWN[name]}}" for name in names)


def train(trainer: Any, resume: bool) -> None:
    """Train, resuming from the last checkpoint if asked to, and leave `trainer_state.json`.

    Args:
        trainer: a trainer of TRL; its output directory is named as its section of the recipe.
        resume: go on from the last checkpoint in its output directory; from the start if there is none.

    Raises:
        OutOfMemory: with what would take less.
    """
    args = trainer.args
    if trainer.pop_callback(ProgressCallback) is not None:  # None where the user turned progress bars off
        trainer.add_callback(BriefProgress)
    last = get_last_checkpoint(args.output_dir) if resume else None
    with explain_memory(args, Path(args.output_dir).name):
        trainer.train(resume_from_checkpoint=last)
    trainer.save_state()
