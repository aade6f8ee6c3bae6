"""The causal language model inside what accelerate and PEFT have wrapped around it."""

from typing import Any

from accelerate.utils import is_peft_model
from transformers import PreTrainedModel


def inner_model(accelerator: Any, model: Any) -> PreTrainedModel:
    """The model whose `forward` can be taught further keywords.

    Args:
        accelerator: the trainer's.
        model: the trainer's, or its reference model.
    """
    inner = accelerator.unwrap_model(model)
    return inner.get_base_model() if is_peft_model(inner) else inner
