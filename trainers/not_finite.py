"""Weights that are NaN or infinite: found where somebody looks anyway, and told in a sentence.

They would otherwise end a run a step later, in whatever cannot bear a NaN: "index 62 is out of bounds", "probability
tensor contains either `inf`, `nan` or element < 0".
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from abstain.trainers.checkpoints import whole_checkpoints


class NotFinite(ValueError):
    """The weights are no numbers any more; the message says since when, and what is left.

    Attributes:
        repeats: to go on from the last checkpoint would end in it again.
    """

    repeats = True


def not_finite(model: torch.nn.Module) -> list[str]:
    """Names of the weights that hold a NaN or an infinity (of shards, those of this process).

    One wait for the device, and no copy of a weight.

    Example:
        >>> layer = torch.nn.Linear(2, 1)
        >>> not_finite(layer)
        []
        >>> _ = torch.nn.init.constant_(layer.bias, float("nan"))
        >>> not_finite(layer)
        ['bias']
    """
    largest: dict[str, torch.Tensor] = {}
    for name, weight in model.named_parameters():
        local = weight.to_local() if hasattr(weight, "to_local") else weight
        if local.numel() and local.is_floating_point() and local.element_size() > 1:  # 8 and 4 bits cannot be either
            largest[name] = torch.linalg.vector_norm(local.detach(), ord=math.inf).float()
    if not largest:
        return []
    device = next(iter(largest.values())).device
    sizes = torch.stack([size.to(device) for size in largest.values()]).tolist()
    return [name for name, size in zip(largest, sizes, strict=True) if not math.isfinite(size)]


class FiniteWeights(TrainerCallback):
    """Looks at the weights where the loss or the gradient's norm is logged as no number, and at the end of training.

    Args:
        trainer: one of TRL's.
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer
        self._known = 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """Of a model that is loaded like that, training is not the cause."""
        self._known = state.global_step
        self.check()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """The norm that transformers has measured and copied: NaN as soon as one gradient is."""
        found = [(logs or {}).get(name, 0.0) for name in ("loss", "grad_norm")]
        if not all(math.isfinite(value) for value in found if isinstance(value, float)):
            self.check()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.check()

    def check(self) -> None:
        """Raise `NotFinite` if a weight is not finite."""
        trainer = self._trainer
        step = trainer.state.global_step
        names = not_finite(trainer.accelerator.unwrap_model(trainer.model))
        if names:
            raise NotFinite(_told(names, step, self._known, trainer.args))
        self._known = step

    @contextmanager
    def explain(self) -> Iterator[None]:
        """Around training: an error that comes of weights that are not finite becomes `NotFinite`, all others stay."""
        try:
            yield
        except NotFinite:
            raise
        except Exception as error:
            try:
                self.check()
            except NotFinite as reason:
                raise reason from error
            except RuntimeError:  # a GPU that has failed cannot be asked
                raise error from None
            if isinstance(error, FloatingPointError):  # what is computed of them is no number, and they still are
                args, step = self._trainer.args, self._trainer.state.global_step
                told = f"the model's weights have grown until its logits are not finite, at step {step}"
                raise NotFinite(f"{told}. {_left(args)}; it may be as far gone. {_advice(args)}") from error
            raise


def _told(names: list[str], step: int, known: int, args: TrainingArguments) -> str:
    which = names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
    if step == known:
        return f"the model's weights are not finite as training begins ({which}): choose another model"
    since = f"since step {step}" + (f" at the latest; at step {known} they were" if known < step - 1 else "")
    return f"the model's weights are not finite {since} ({which}). {_left(args)}. {_advice(args)}"


def _left(args: TrainingArguments) -> str:
    good = whole_checkpoints(Path(args.output_dir))
    return f"The last good checkpoint is {good[-1]}" if good else "There is no checkpoint from before"


def _advice(args: TrainingArguments) -> str:
    section = Path(args.output_dir).name
    other = "" if args.max_grad_norm else f" or with {section}.args.max_grad_norm: 1.0 (now 0)"
    return (
        "To go on as it is would end here again: train anew, in another place, with a lower "
        f"{section}.args.learning_rate (now {args.learning_rate:g}){other}"
    )
