"""Out of memory, told by which knob would have helped: it depends on what was going on."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_SIGNS = ("out of memory", "can't allocate memory", "not enough memory")


class OutOfMemory(ValueError):
    """Memory ran out; the message says where, and what to change."""


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
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not _tells_of_memory(str(error)):
            raise
        doing, knobs = _advice([frame.name for frame in traceback.extract_tb(error.__traceback__)], args, section)
        first = (str(error).splitlines() or [""])[0]
        what = f" ({first})" if first else ""
        raise OutOfMemory(f"memory ran out while {doing}{what}. Any of these takes less:\n{_listed(knobs)}") from error


def _tells_of_memory(text: str) -> bool:
    return any(sign in text.lower() for sign in _SIGNS)


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


def _listed(knobs: dict[str, str]) -> str:
    return "\n".join(f"  {name}: {value}" for name, value in knobs.items())
