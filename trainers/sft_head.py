"""The language-model head of TRL's SFT, at the trained positions only."""

import types
from typing import Any

from transformers import PreTrainedModel

IGNORED = -100


def score_trained_positions(model: PreTrainedModel) -> None:
    """Let `model(..., fused_lm_head=True)` score only the positions that have a label.

    With Triton TRL does this itself; elsewhere it scores every position and drops those without a label afterwards: of
    a prompt of 60 tokens and an answer of 4 that is sixteen times the work, in the largest matrix product of a small
    model. The sums over the output's fields, which are all that `SFTTrainer` reads, stay the same; the fields have the
    shape (1, number of labels) instead of (B, T - 1).

    Call it after TRL has added that keyword.
    """
    scoring = model.forward

    def forward(
        self: PreTrainedModel, *args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any
    ) -> Any:
        if labels is not None:
            kwargs["labels"] = labels
        trained = labels[:, 1:] != IGNORED if fused_lm_head and labels is not None else None
        if trained is None or labels.device.type != "cpu" or not trained.any():
            return scoring(*args, **{"fused_lm_head": True} if fused_lm_head else {}, **kwargs)

        def keep_trained(_: Any, __: Any, output: Any) -> Any:
            output.last_hidden_state = output.last_hidden_state[:, -labels.shape[1] : -1][trained][None]
            return output

        kwargs |= {"labels": None, "shift_labels": labels[:, 1:][trained][None]}
        hook = self.base_model.register_forward_hook(keep_trained)
        try:
            return scoring(*args, fused_lm_head=True, **kwargs)
        finally:
            hook.remove()

    model.forward = types.MethodType(forward, model)
