"""Which rows of a generation go into which micro-batch: those that share a prefix together, if the loss allows it."""

from typing import Any

import torch

Batch = dict[str, Any]


def window(steps_per_generation: int, accumulation: int) -> int:
    """How many consecutive micro-batches of one generation go into one optimizer step.

    >>> window(8, 8), window(8, 2), window(2, 8), window(4, 3)
    (8, 2, 2, 1)
    """
    if steps_per_generation % accumulation == 0:
        return accumulation
    return steps_per_generation if accumulation % steps_per_generation == 0 else 1


def order_is_free(trainer: Any, inputs: Batch) -> bool:
    """Whether the gradient is a sum over rows, whichever micro-batches of an optimizer step they are in.

    It is not where a loss divides by the tokens of a micro-batch, or looks at its entropies as a whole.
    """
    if getattr(trainer, "loss_type", None) == "bnpo" or getattr(trainer, "_entropy_bonus_enabled", False):
        return False
    whole = getattr(trainer, "top_entropy_quantile", 1.0) < 1.0
    return not whole and all(isinstance(value, torch.Tensor) for value in inputs.values())


def regrouped(batches: list[Batch], size: int) -> list[Batch]:
    """Sorts the rows of each `size` consecutive micro-batches by their tokens, over those micro-batches.

    TRL shuffles a generation over its micro-batches, so that each holds a few completions of every prompt. The sum of
    their gradients is the same in any order; sorted, most prompts are computed in one micro-batch only.

    Args:
        batches: of equally many rows, with the values that TRL buffers: tensors with a row for each completion, or
            without dimension.
        size: number of micro-batches of an optimizer step.
    """
    return [batch for start in range(0, len(batches), size) for batch in _sorted(batches[start : start + size])]


def _sorted(batches: list[Batch]) -> list[Batch]:
    rows = len(batches[0]["prompt_ids"])
    tokens = torch.cat([torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1) for batch in batches])
    order = torch.unique(tokens, dim=0, return_inverse=True)[1].argsort(stable=True)
    merged = {key: _merged([batch[key] for batch in batches], order) for key in batches[0]}
    return [{key: _rows(value, start, rows) for key, value in merged.items()} for start in range(0, len(order), rows)]


def _merged(values: list[torch.Tensor], order: torch.Tensor) -> torch.Tensor:
    return torch.cat(values)[order] if values[0].ndim else values[0]


def _rows(value: torch.Tensor, start: int, rows: int) -> torch.Tensor:
    return value[start : start + rows] if value.ndim else value
