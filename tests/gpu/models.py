"""Random models, prompts without meaning, and how sharp logits must be for a group's answers to repeat."""

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers import models as tokenizer_models
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from .cells import Cell, Shape

PAD, END = 0, 1
KEPT = 64
"""Of each distribution, the likeliest tokens: where answers repeat, the others do not count."""


@cache
def build_tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """One word for each token."""
    words = {f"w{number}": number for number in range(2, vocabulary)} | {"<pad>": PAD, "<end>": END}
    word_level = Tokenizer(tokenizer_models.WordLevel(words, unk_token="<pad>"))
    word_level.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=word_level, pad_token="<pad>", eos_token="<end>", padding_side="left"
    )


def build_model(shape: Shape, device: str, seed: int = 0, attention: str = "sdpa") -> LlamaForCausalLM:
    """A Llama of these sizes in fp32, tied as small ones are."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        eos_token_id=END,
        bos_token_id=None,
        attn_implementation=attention,
    )
    with torch.device(device):
        return LlamaForCausalLM(config)


def prompts_of(cell: Cell) -> list[list[int]]:
    """Token ids of the cell's prompts; all begin with the same few, as instructions do."""
    rng = np.random.default_rng(0)
    lengths = [cell.prompt - (0 if cell.even else which % max(1, cell.prompt // 10)) for which in range(cell.prompts)]
    common = rng.integers(2, cell.shape.vocabulary, max(1, cell.prompt // 10)).tolist()
    return [[*common, *rng.integers(2, cell.shape.vocabulary, length - len(common)).tolist()] for length in lengths]


@torch.no_grad()
def sharpen(model: LlamaForCausalLM, cell: Cell, contexts: Tensor) -> float:
    """Scales the logits until about `cell.distinct` of a group's completions are distinct; returns the factor.

    Args:
        model: changed in place.
        cell: what is wanted.
        contexts: (B, T) tokens whose last `cell.answer` stand for those that answers will be drawn after.
    """
    logits = model(input_ids=contexts[:, :-1], logits_to_keep=cell.answer).logits.flatten(0, 1).float()
    logits = logits.topk(min(KEPT, logits.shape[1])).values.cpu().numpy()
    logits -= logits.max(axis=1, keepdims=True)
    low, high = 0.01, 1000.0  # many distinct answers, and one
    wanted = 0.999 if cell.distinct == 1.0 else cell.distinct
    for _ in range(16):
        middle = (low * high) ** 0.5
        if expected_distinct(logits * middle, cell.answer, cell.generations) > wanted:
            low = middle
        else:
            high = middle
    scale_logits(model, low)
    return low


@torch.no_grad()
def scale_logits(model: LlamaForCausalLM, factor: float) -> None:
    """Multiplies the weights of the last norm, and so the logits."""
    model.model.norm.weight.mul_(factor)


def expected_distinct(logits: NDArray[np.float32], length: int, group: int, groups: int = 8) -> float:
    """Share of distinct sequences among `group` of `length` tokens, drawn from rows of logits met at random.

    >>> peaked, flat = np.array([[0.0, -99.0]]), np.zeros((1, 64))
    >>> expected_distinct(peaked, 10, 8), expected_distinct(flat, 10, 8) > 0.99
    (0.125, True)
    """
    rng = np.random.default_rng(0)
    weights = np.exp(logits, dtype=np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    distinct, together = 0, np.full(groups, group)
    for _ in range(length):
        drawn = rng.multinomial(together, weights[rng.integers(0, len(weights), len(together))])
        together = drawn[drawn > 0]
        distinct += int((together == 1).sum())  # alone, and so distinct for good
        together = together[together > 1]
    return (distinct + len(together)) / (groups * group)
