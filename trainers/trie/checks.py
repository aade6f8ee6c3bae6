"""Where sharing prefixes would not be exact in training: output layers, dropout, options of the trainer, ways to draw.

What concerns the model alone is in `abstain.evals.trie.checks`.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel
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


def check_head(model: PreTrainedModel) -> None:
    """Raise `ValueError` where neither TRL's head nor ours can read the output layer."""
    head = model.get_output_embeddings()
    if head is not None and not hasattr(head, "bias"):
        raise ValueError(
            f"the output layer is wrapped ({type(head).__name__}), and TRL cannot score completions through it: leave "
            "out trainable_token_indices; train_embeddings: answers trains some rows only, or modules_to_save whole "
            "layers"
        )


def why_not_dropout(model: nn.Module, config: PretrainedConfig) -> str | None:
    """Why a model in training is not the same on rows of another kind; None if nothing is drawn for them."""
    if any(isinstance(module, nn.Dropout) and module.p > 0 for module in model.modules()):
        return "dropout draws a mask for each row (disable_dropout=True and lora_dropout=0 turn it off)"
    if getattr(config, "attention_dropout", 0.0):
        return "attention_dropout draws a mask for each row"
    return None


def why_not_training(trainer: Any) -> str | None:
    """Which option of the trainer speaks against it."""
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        return "sharded parameters (FSDP, DeepSpeed) need the same number of passes in every process"
    if getattr(trainer.args, "cast_lm_head_to_fp32", False):
        return "cast_lm_head_to_fp32"
    return "torch_compile, as every batch has a shape of its own" if trainer.args.torch_compile else None


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
