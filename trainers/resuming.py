"""A run that was killed goes on as if it had not been: what transformers leaves out of a checkpoint is put in.

transformers saves weights, optimizer, schedule and random state. With these alone a resumed run differs from an
unbroken one

    - in the middle of a generation that serves several steps: TRL would sample anew, and count from there
    - from the second epoch on: TRL draws all epochs' orders from one generator, which would begin anew
    - in what a trainer or a callback remembers: PPO's scale of advantages, the guards' alarms
    - where it is killed after its last step: one more would be taken

`Checkpoints` carries that over.
"""

import json
import logging
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import rotate_checkpoints

from abstain.trainers.checkpoints import CARRIED, remove_unusable, whole_checkpoints
from abstain.trainers.not_finite import FiniteWeights

OF_TRAINER = ("_step", "_total_train_tokens", "entropy_coef", "_last_world_entropy", "_entropy_window_stats")
"""Attributes of TRL's trainers that a resumed run needs as they were."""
UNTIL_LOGGED = ("_tr_loss", "_globalstep_last_logged")
"""… and of transformers', if they are not logged at this step."""
BUFFER = "_buffered_inputs"
"""… and TRL's completions, if they serve further steps."""
logger = logging.getLogger(__name__)


class Checkpoints(TrainerCallback):
    """Makes checkpoints that a run can go on from exactly, and of which there is always a whole one.

    It has to be the last callback of its trainer. A trainer or a callback with something to remember has two methods:
    `carried()`, which returns plain lists, dictionaries, numbers, texts and tensors, and `carry_on(found)`. They are
    called in all processes.

    The older checkpoint goes when the new one is whole in all processes. A model whose weights are not finite is not
    saved.

    Args:
        trainer: one of TRL's.
        weights: looks at the model before it is saved.
    """

    def __init__(self, trainer: Any, weights: FiniteWeights) -> None:
        self._trainer = trainer
        self._weights = weights
        self._saved = 0
        self._limit = trainer.args.save_total_limit
        trainer.args.save_total_limit = None  # transformers removes the older one before others have written theirs

    def last(self) -> Path | None:
        """The last whole checkpoint; any others that are later, or not whole, are removed."""
        folder = Path(self._trainer.args.output_dir)
        used: list[Path | None] = [None, *whole_checkpoints(folder)][-1:]
        broadcast_object_list(used)
        if self._trainer.args.should_save:
            remove_unusable(folder, used[0])
        self._trainer.accelerator.wait_for_everyone()
        return used[0]

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put everything back, before the first batch is fetched."""
        if not state.global_step:
            return
        checkpoint = _folder(args, state)
        if differs := why_it_differs(self._trainer, checkpoint):
            logger.warning("This run goes on from %s, and may differ from an unbroken one: %s.", checkpoint, differs)
        forward_order(kwargs.get("train_dataloader"), int(state.epoch or 0))
        file = checkpoint / _file(args)
        if file.exists():
            device = "cpu" if args.device.type == "cpu" else args.device  # cpu:0 of several processes can't be read
            self._restore(torch.load(file, map_location=device, weights_only=True))
        if _is_over(checkpoint, state):
            control.should_training_stop = True
            self._trainer._load_rng_state(str(checkpoint))
            self._trainer.model.train()  # as a step would, so that TRL logs what is left of training
            self._trainer._run_epoch = lambda **_: None  # transformers looks whether to stop after a step, not before

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Before transformers begins to save, so that what it writes last is the last of all."""
        if control.should_save:
            self._write(args, state, control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """As at the end of a step; what was saved then is not written over."""
        control.should_save = control.should_save and self._saved != state.global_step
        if control.should_save:
            self._write(args, state, control)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """The new one is whole: the older ones may go."""
        if not (_folder(args, state) / _file(args)).exists():
            self._write(args, state, control)  # where transformers decides later, with save_strategy: best
        self._saved = state.global_step
        self._trainer.accelerator.wait_for_everyone()
        if args.should_save:
            best = state.best_model_checkpoint
            rotate_checkpoints(args.output_dir, self._limit, best_model_checkpoint=best, use_mtime=True)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Leave the trainer as it was."""
        args.save_total_limit = self._limit
        vars(self._trainer).pop("_run_epoch", None)

    def _write(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        self._weights.check()
        folder = _folder(args, state)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self._carried(control.should_log), folder / _file(args))

    def _carried(self, logged: bool) -> dict[str, Any]:
        trainer = self._trainer
        names = OF_TRAINER if logged else OF_TRAINER + UNTIL_LOGGED
        own = {name: getattr(trainer, name) for name in names if hasattr(trainer, name)}
        if getattr(trainer, BUFFER, None) is not None and trainer._step % _steps_of_generation(trainer):
            own[BUFFER] = getattr(trainer, BUFFER)
        metrics = {} if logged else getattr(trainer, "_metrics", {}).get("train", {})
        return {
            "trainer": _detached(own),
            "metrics": {name: [float(value) for value in values] for name, values in metrics.items()},
            "others": {type(one).__name__: _detached(one.carried()) for one in self._others()},
        }

    def _restore(self, found: dict[str, Any]) -> None:
        for name, value in found["trainer"].items():
            setattr(self._trainer, name, value)
        for name, values in found["metrics"].items():
            self._trainer._metrics["train"][name] = values
        for one in self._others():
            if type(one).__name__ in found["others"]:
                one.carry_on(found["others"][type(one).__name__])

    def _others(self) -> list[Any]:
        everyone = [self._trainer, *self._trainer.callback_handler.callbacks]
        return [one for one in everyone if hasattr(one, "carried")]


def why_it_differs(trainer: Any, checkpoint: Path) -> str:
    """What of a run cannot be carried over by this checkpoint; "" if all of it can.

    On a GPU sums may add up in another order, in an unbroken run too; that is not told of.

    Args:
        trainer: one of TRL's, which goes on from the checkpoint.
        checkpoint: whole.
    """
    args = trainer.args
    there = len(list(checkpoint.glob(CARRIED.format(rank="*"))))
    reasons = {
        "it was made by an older version, without what this one carries over": not there,
        f"it was made by {there} processes, and now there are {args.world_size}": there not in (0, args.world_size),
        "vLLM has a random state of its own": getattr(args, "use_vllm", False),
        "sync_ref_model moves the reference model, which begins at the start again": getattr(
            args, "sync_ref_model", False
        ),
        "ignore_data_skip begins with the first prompts again": args.ignore_data_skip,
        "save_only_model left out the optimizer and the random state": args.save_only_model,
    }
    return "; ".join(reason for reason, holds in reasons.items() if holds)


def forward_order(loader: Any, epochs: int) -> None:
    """Draw the orders of the epochs that are over, so that the next one is that of an unbroken run.

    Args:
        loader: a data loader, whose sampler draws every epoch's order from one generator, as TRL's `RepeatSampler`;
            nothing happens with any other sampler.
        epochs: that are over.
    """
    sampler = _sampler(loader)
    if type(sampler).__name__ == "RepeatSampler" and sampler.shuffle:
        for _ in range(epochs):
            torch.randperm(sampler.num_samples, generator=sampler.generator)


def _folder(args: TrainingArguments, state: TrainerState) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"


def _file(args: TrainingArguments) -> str:
    return CARRIED.format(rank=args.process_index)


def _sampler(loader: Any) -> Any:
    """Of the data loader that accelerate has wrapped, once for each process."""
    batches: Any = getattr(loader, "batch_sampler", None)
    while hasattr(batches, "batch_sampler"):
        batches = batches.batch_sampler
    return getattr(batches, "sampler", None)


def _steps_of_generation(trainer: Any) -> int:
    return int(trainer.args.steps_per_generation * trainer.num_iterations)


def _is_over(checkpoint: Path, state: TrainerState) -> bool:
    """Whether all steps are taken, or training was stopped before."""
    saved = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    control = saved.get("stateful_callbacks", {}).get("TrainerControl", {}).get("args", {})
    stopped = control.get("should_training_stop", False) and saved["max_steps"] > saved["global_step"]
    return stopped or state.global_step >= state.max_steps


def _detached(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, dict):
        return {key: _detached(one) for key, one in value.items()}
    return [_detached(one) for one in value] if isinstance(value, list | tuple) else value
