"""Train the embedding of answers and instructions, and leave the names in the questions alone.

A model that is taught "I don't know" about Mo Kutika can learn that of her, in the row of her name, instead of
learning to tell what it knows. On the fact world, where a person is one row, that is what the supervised stage did:
trained people were treated alike at every target, and held-out people worse.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from abstain.evals.tasks.question import Question
from abstain.rewards.prompts import IDK, Instruct, prompt_text
from abstain.trainers.stages import TrainEmbeddings, check_rows_held


def instructions(targets: Iterable[float], instruct: Instruct) -> list[str]:
    """What prompts add to a question.

    Example:
        >>> instructions([0], "target")[0].strip()[:20]
        'Make your best guess'
    """
    asked = [None] if instruct == "confidence" else list(targets)
    return [prompt_text("", target, instruct=instruct) for target in asked]


def answers(questions: Iterable[Question]) -> list[str]:
    """What can be answered rightly, or not at all.

    Example:
        >>> answers([Question("1", "Who?", ("Bo", "Bob"))])
        ["I don't know", 'Bo', 'Bob']
    """
    return [IDK, *(gold for question in questions for gold in question.gold)]


@contextmanager
def only_rows_of(
    texts: Iterable[str], trainer: Any, tokenizer: PreTrainedTokenizerBase, which: TrainEmbeddings
) -> Iterator[None]:
    """Within it, other rows of the embedding, and of the output layer, do not change.

    Args:
        texts: their tokens' rows are trained, with those of the tokenizer's special tokens.
        trainer: one of TRL's, with its model.
        tokenizer: of that model.
        which: with "all" nothing is held; nor are weights that are not trained anyway, as with LoRA.

    Raises:
        ValueError: where rows cannot be told apart (sharded weights), or weight decay would change them.
    """
    if which == "all":
        yield
        return
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise ValueError(
            "train_embeddings: answers needs whole weights, not FSDP's or DeepSpeed's shards; set it to all"
        )
    check_rows_held(which, trainer.args.weight_decay)
    model = trainer.accelerator.unwrap_model(trainer.model)
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    weights = {id(layer.weight): layer.weight for layer in layers if layer is not None and layer.weight.requires_grad}
    rows = _rows(texts, tokenizer)
    handles = [weight.register_hook(_only(rows, weight)) for weight in weights.values()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _rows(texts: Iterable[str], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of the tokens of these texts, at the start of a text or after a space."""
    pieces = list(dict.fromkeys(texts))
    encoded = tokenizer([*pieces, *(f" {piece}" for piece in pieces)], add_special_tokens=False)["input_ids"]
    return sorted({id for ids in encoded for id in ids} | set(tokenizer.all_special_ids))


def _only(rows: list[int], weight: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Lets the gradients of some rows through."""
    mask = torch.zeros(len(weight), 1, dtype=weight.dtype, device=weight.device)
    mask[rows] = 1
    return lambda gradient: gradient * mask
