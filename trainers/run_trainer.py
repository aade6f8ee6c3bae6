"""Runs one of TRL's trainers, and knows its insides: what to print, where memory goes, the model it has wrapped."""

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import is_peft_model
from transformers import PreTrainedModel, ProgressCallback, Trainer, TrainerCallback, TrainerControl, TrainerState

from abstain.trainers.not_finite import FiniteWeights
from abstain.trainers.resuming import Checkpoints

AnyTrainer: Any = object
"""For a type checker the trainer that a mixin is mixed into, whatever that has."""
Batch = dict[str, Any]
"""What TRL's trainers call inputs: tensors with a row for each completion, or without dimension."""
SHOWN = {"loss": ".4g", "reward": ".3f", "accuracy/all": ".1%", "error/all": ".1%", "abstention/all": ".1%"}
_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


def train(trainer: Any, resume: bool) -> None:
    """Train, resuming from the last checkpoint if asked to, and leave `trainer_state.json`.

    A resumed run ends with the weights of an unbroken one, or a warning says why not; see `abstain.trainers.resuming`.

    Args:
        trainer: a trainer of TRL with all its callbacks; its output directory is named as its section of the recipe.
        resume: go on from the last whole checkpoint in its output directory; from the start if there is none.

    Raises:
        OutOfMemory: with what would take less.
        NotFinite: a weight became NaN or infinite, with the last good checkpoint.
    """
    args = trainer.args
    if trainer.pop_callback(ProgressCallback) is not None:  # None where the user turned progress bars off
        trainer.add_callback(BriefProgress)
    if not args.push_to_hub:
        trainer.create_model_card = _no_card
    weights = FiniteWeights(trainer)
    checkpoints = Checkpoints(trainer, weights)
    for callback in (weights, Sparing(), checkpoints):
        trainer.add_callback(callback)
    last = checkpoints.last() if resume else None
    with explain_memory(args, Path(args.output_dir).name), weights.explain():
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    trainer.save_state()


def _no_card(*_: Any, **__: Any) -> None:
    """In the place of TRL's card of each checkpoint, which the run's own replaces."""


class Sparing(TrainerCallback):
    """Leaves out checkpoints that are due by a ratio (`save_steps` below 1) if saving would take a tenth of the time.

    So a small model is saved ten times in a stage, and one that takes a minute to write every ten minutes at most.
    What `save_steps` asks for as a number of steps is always saved, and so is the last step.

    Args:
        clock: gives seconds.
    """

    SHARE = 0.1

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = self._ended = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._began = self._ended = self._clock()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        # Several processes have to agree, and a clock of each does not; the best model is saved when it is found
        ours = args.save_steps < 1 and args.world_size == 1 and not args.load_best_model_at_end
        now, took = self._clock(), self._ended - self._began
        if control.should_save and ours and state.global_step < state.max_steps:
            control.should_save = now - self._ended >= took / self.SHARE
        if control.should_save:
            self._began = now

    def on_save(self, *_: Any, **__: Any) -> None:
        self._ended = self._clock()


class BriefProgress(ProgressCallback):
    """The progress bar of transformers, with one short line where it would print some forty numbers.

    All of them are in `trainer_state.json`, and go to wherever `report_to` says.
    """

    def on_log(self, args: Any, state: TrainerState, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
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


class OutOfMemory(ValueError):
    """Memory ran out; the message says where, and what to change.

    Attributes:
        repeats: not where there is more of it, or with what the message names.
    """

    repeats = False


@contextmanager
def explain_memory(args: Any, section: str = "rl") -> Iterator[None]:
    """Around training: an error for want of memory becomes `OutOfMemory`, all others stay.

    Args:
        args: TRL's configuration.
        section: of the recipe, where its fields are set.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch raises a RuntimeError on a CPU, and a kind of it on a GPU
        told = any(sign in str(error).lower() for sign in _SIGNS)
        if not told and not isinstance(error, MemoryError | torch.OutOfMemoryError):
            raise
        doing, knobs = _advice([frame.name for frame in traceback.extract_tb(error.__traceback__)], args, section)
        first = (str(error).splitlines() or [""])[0]
        what = f" ({first})" if first else ""
        listed = "\n".join(f"  {name}: {value}" for name, value in knobs.items())
        raise OutOfMemory(f"memory ran out while {doing}{what}. Any of these takes less:\n{listed}") from error


def _advice(frames: list[str], args: Any, section: str) -> tuple[str, dict[str, str]]:
    """What was going on, by the functions on the stack, and what to change."""
    batch, steps = args.per_device_train_batch_size, args.gradient_accumulation_steps
    smaller = {
        f"{section}.args.per_device_train_batch_size": f"{max(1, batch // 2)} (now {batch}), with "
        f"gradient_accumulation_steps: {steps * 2} (now {steps}), the same batch"
    }
    if {"held_out_series", "_ask"} & set(frames):
        return "held-out questions were asked", {
            "eval.batch_tokens": "half of what it is (4096 on a CPU, 16384 on a GPU by default)"
        }
    if {"_generate_single_turn", "_generate"} & set(frames):
        length = getattr(args, "max_completion_length", None)
        return "completions were sampled", smaller | {
            f"{section}.args.max_completion_length": f"less than {length}",
            f"{section}.args.use_vllm": "true, where there is a GPU for it",
        }
    if "_compute_loss" not in frames and {"step", "_optimizer_step"} & set(frames) and "training_step" not in frames:
        return "the optimizer made its state, two numbers for each weight", {
            "model.lora": "{}, so that few weights are trained",
            f"{section}.args.optim": "adafactor, or adamw_bnb_8bit on a GPU",
        }
    return "the model was trained", smaller | {
        f"{section}.args.gradient_checkpointing": "true: slower, activations are computed twice",
        "model.lora": "{}, so that few weights are trained",
    }


def log_series(trainer: Any, series: Mapping[str, float]) -> None:
    """Log these numbers for the current step, as an entry of their own; every tracker of `report_to` gets them once.

    From within a callback, beside what TRL logs: TRL's `log` would take along what it has gathered since its last
    entry, and any `log` marks the entry that is due at this step as done; both are left for TRL.

    Args:
        trainer: a trainer of TRL.
        series: no NaN, no `None`.
    """
    due = trainer.control.should_log
    Trainer.log(trainer, dict(series))
    trainer.control.should_log = due


def inner_model(accelerator: Any, model: Any) -> PreTrainedModel:
    """The model whose `forward` can be taught further keywords.

    Args:
        accelerator: the trainer's.
        model: the trainer's, or its reference model.
    """
    inner = accelerator.unwrap_model(model)
    return inner.get_base_model() if is_peft_model(inner) else inner


def release(model: Any) -> None:
    """Undo what the accelerator of an earlier trainer made of a model, so that the next one finds it as it was.

    accelerate leaves alone what was prepared before: without this a second trainer computes in the precision of the
    first, and so does whoever asks the model after training.

    Args:
        model: trained before, or not; anything but a module is left alone.

    Example:
        >>> model = torch.nn.Linear(1, 1)
        >>> model._original_forward, model.forward, model._is_accelerate_prepared = model.forward, print, True
        >>> release(model)
        >>> model(torch.ones(1)).shape, hasattr(model, "_is_accelerate_prepared")
        (torch.Size([1]), False)
    """
    if not isinstance(model, torch.nn.Module):
        return
    known = vars(model)
    if "_original_forward" in known:
        known["forward"] = known.pop("_original_forward")
    known.pop("_is_accelerate_prepared", None)


def start_as_reference(trainer: Any) -> None:
    """Make the model that RL starts from the reference of the KL term.

    TRL loads the reference from wherever the policy was loaded from: that is the model before its warm-up, which has
    never said "I don't know". Call it before training, also before a training that is resumed.

    Args:
        trainer: of TRL. Nothing happens without a reference model, as with LoRA or a KL coefficient of 0, or where
            weights are sharded.
    """
    if trainer.ref_model is None or trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        return
    policy, reference = map(trainer.accelerator.unwrap_model, (trainer.model, trainer.ref_model))
    weights = policy.state_dict()  # a policy with a value head has more than the reference
    reference.load_state_dict({name: weights[name] for name in reference.state_dict()})
