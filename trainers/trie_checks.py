"""Where sharing prefixes would not be exact, and a trial on the model itself."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.generation import logits_process

# Processors that look at the scores alone; any other depends on what was generated before
PREFIX_FREE = (
    logits_process.TemperatureLogitsWarper,
    logits_process.TopKLogitsWarper,
    logits_process.TopPLogitsWarper,
    logits_process.MinPLogitsWarper,
    logits_process.TypicalLogitsWarper,
    logits_process.EpsilonLogitsWarper,
    logits_process.EtaLogitsWarper,
    logits_process.SuppressTokensLogitsProcessor,
    logits_process.LogitNormalization,
)


def why_not_model(model: nn.Module, config: PretrainedConfig) -> str | None:
    """Why a model can't take a tree attention mask exactly; None if nothing speaks against it."""
    if config._attn_implementation not in ("sdpa", "eager"):
        return f"attention {config._attn_implementation!r} takes no mask of its own (sdpa and eager do)"
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules()):
        return "dropout draws a mask for each row (disable_dropout=True and lora_dropout=0 turn it off)"
    if getattr(config, "attention_dropout", 0.0):
        return "attention_dropout draws a mask for each row"
    if len(set(getattr(model, "hf_device_map", {}).values())) > 1:
        return "the model is split across devices"
    peft = getattr(model, "active_peft_config", None)
    return "prompt-learning adapters put tokens before the prompt" if peft and peft.is_prompt_learning else None


def why_not_length(config: PretrainedConfig, longest: int) -> str | None:
    """Why sequences of up to `longest` tokens can't: layers that see a window treat longer ones in another way."""
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    window = min((window for window in windows if window), default=None)
    if window is not None and longest > window:
        return f"sequences of {longest} tokens exceed the attention window of {window}"
    return None


def why_not_processors(processors: Sequence[Any]) -> str | None:
    """Why next-token distributions can't be shared: a processor that looks at more than the scores."""
    other = sorted({type(processor).__name__ for processor in processors if not isinstance(processor, PREFIX_FREE)})
    return f"{', '.join(other)} depends on the whole prefix" if other else None


def trial_rows(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask of three short completions of two prompts, made of the prompts' own tokens."""
    first = list(prompts[0])
    other = next((list(prompt) for prompt in prompts if list(prompt) != first), first)
    rows = [[*first, first[0], first[-1]], [*first, first[0], other[-1]], [*other, first[-1], other[-1]]]
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids, mask


def largest_difference(stock: Sequence[Tensor | None], trie: Sequence[Tensor]) -> float:
    """Largest absolute difference between two sets of log-probabilities and entropies."""
    pairs = ((a, b) for a, b in zip(stock, trie, strict=False) if a is not None)
    return max(float((a - b).abs().max()) for a, b in pairs)
