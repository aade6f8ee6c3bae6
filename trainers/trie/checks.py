"""Where sharing prefixes would not be exact, and what a trial on the model itself compares."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PretrainedConfig
from transformers.generation import GenerationMode, logits_process

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


def why_not_generation(config: GenerationConfig, processors: Sequence[Any], trainer: Any) -> str | None:
    """Why completions can't be drawn together: they would not be plain samples at the trainer's temperature.

    Args:
        config: the generation configuration in full, with what the model's own adds to it.
        processors: what transformers makes of it.
        trainer: has `temperature`, `max_completion_length` and `eos_token_ids`.
    """
    mode = config.get_generation_mode()
    if mode != GenerationMode.SAMPLE or config.num_return_sequences not in (None, 1):
        return f"generation mode {mode.value!r} with num_return_sequences={config.num_return_sequences}"
    for name in ("stop_strings", "max_time", "cache_implementation"):
        if getattr(config, name, None) is not None:
            return f"{name}={getattr(config, name)!r} in the generation configuration"
    said = config.temperature, config.max_new_tokens, _ids(config.eos_token_id)
    if said != (trainer.temperature, trainer.max_completion_length, _ids(trainer.eos_token_ids)):
        return "generation_kwargs override the temperature, the length or the end tokens of the trainer"
    other = sorted({type(processor).__name__ for processor in processors if not isinstance(processor, PREFIX_FREE)})
    return f"{', '.join(other)} depends on the whole prefix" if other else None


def _ids(ids: int | Sequence[int]) -> set[int]:
    return {ids} if isinstance(ids, int) else set(ids)


def trial_prompts(prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    """The first prompt twice, and another one if there is another."""
    first = list(prompts[0])
    return [first, first, next((list(prompt) for prompt in prompts if list(prompt) != first), first)]


def difference(expected: Sequence[Tensor | None], found: Sequence[Sequence[Tensor] | None], *, rounded: bool) -> float:
    """How far log-probabilities and entropies are off: at most, or where they are `rounded`, root mean square.

    In half precision one of a dozen numbers is now and then .2 off, in the stock path as well; a wrong mask moves them
    all. NaN if there is one.

    Example:
        >>> stock, ours = torch.zeros(4), torch.tensor([0.2, 0.0, 0.0, 0.0])
        >>> [round(difference([stock], [[ours], None], rounded=rounded), 3) for rounded in (False, True)]
        [0.2, 0.1]
    """
    pairs = [(a, b) for scores in found if scores is not None for a, b in zip(expected, scores, strict=False)]
    off = torch.cat([(a - b).float().flatten() for a, b in pairs if a is not None])
    return (off.square().mean().sqrt() if rounded else off.abs().max()).item()
