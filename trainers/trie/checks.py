"""Where sharing prefixes would not be exact: models, options of the trainer, lengths, ways to draw."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import GenerationConfig, PretrainedConfig, PreTrainedModel
from transformers.generation import GenerationMode, logits_process

from abstain.rewards.graders.numerals import word_set

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


# Compared with stock TRL on tiny models, weights' changes included: `tests/trainers/test_trie_families.py`
KNOWN = word_set("""
    afmoe apertus arcee aria_text axk1 beam biogpt bitnet codegen cohere cohere2 cohere2_moe ctrl cwm dbrx
    deepseek_v2 deepseek_v3 diffllama dots1 ernie4_5 ernie4_5_moe exaone4 exaone_moe falcon flex_olmo flint
    gemma gemma2 gemma3_text gemma3n_text gemma4_text gemma4_unified_text glm glm4 glm4_moe glm4_moe_lite gpt2
    gpt_bigcode gpt_neo gpt_neox gpt_neox_japanese gpt_oss gptj granite granite_swa granitemoe granitemoe_swa
    granitemoeshared helium hunyuan_v1_dense hunyuan_v1_moe hy_v3 hyperclovax internlm3 iquestcoder jais2 jetmoe
    kolibri1 laguna llama longcat_flash mellum mimo_v2_flash minicpm3 minimax_m2 ministral ministral3 mistral
    mixtral nanochat nemotron olmo olmo2 olmo3 olmoe opt persimmon phi phi3 phimoe qwen2 qwen2_moe qwen3
    qwen3_moe seed_oss smollm3 solar_open stablelm starcoder2 vaultgemma youtu
""")
"""Families (`model_type`) whose attention is a softmax over what the mask shows, and whose positions are given."""
KNOWN_LAYERS = frozenset({"full_attention", "sliding_attention", "chunked_attention"})


def why_not_family(config: PretrainedConfig) -> str | None:
    """Why models of this family can't share prefixes: their attention does something else, or nobody has looked."""
    kind = config.model_type
    others = sorted(set(getattr(config, "layer_types", None) or ()) - KNOWN_LAYERS)
    if others:
        return f"{kind} has layers of another kind ({', '.join(others)}) than attention over what a mask shows"
    if "local" in (getattr(config, "attention_layers", None) or ()):
        return f"{kind} has layers that see a window of columns, which in a trie are not positions"
    if getattr(config, "alibi", False):
        return f"{kind} counts columns for its attention (ALiBi), which in a trie are not positions"
    if kind not in KNOWN:
        return (
            f"models of type {kind!r} differ from stock TRL on a trie, or nobody has compared them: it takes softmax "
            "attention that heeds its mask, and rotary or learned positions"
        )
    return None


def check_head(model: PreTrainedModel) -> None:
    """Raise `ValueError` where neither TRL's head nor ours can read the output layer."""
    head = model.get_output_embeddings()
    if head is not None and not hasattr(head, "bias"):
        raise ValueError(
            f"the output layer is wrapped ({type(head).__name__}), and TRL cannot score completions through it: leave "
            "out trainable_token_indices; train_embeddings: answers trains some rows only, or modules_to_save whole "
            "layers"
        )


def why_not_training(trainer: Any) -> str | None:
    """Which option of the trainer speaks against it."""
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        return "sharded parameters (FSDP, DeepSpeed) need the same number of passes in every process"
    if getattr(trainer.args, "cast_lm_head_to_fp32", False):
        return "cast_lm_head_to_fp32"
    return "torch_compile, as every batch has a shape of its own" if trainer.args.torch_compile else None


def why_not_model(model: nn.Module, config: PretrainedConfig) -> str | None:
    """Why a model can't take a tree attention mask exactly; None if nothing speaks against it."""
    reason = why_not_family(config)
    if reason is not None:
        return reason
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
    """Why sequences of up to `longest` tokens can't: longer than some length they are treated in another way."""
    window, switch = _window(config), _switch(config)
    if window is not None and longest > window:
        return f"sequences are longer than the attention window of {window}"
    if switch is not None and longest > switch:
        return f"sequences are longer than {switch}, from where on rotary positions depend on the longest one"
    return None


def limit(config: PretrainedConfig) -> int | None:
    """Tokens that a sequence may have at most, if there is a limit."""
    limits = (_window(config), _switch(config), getattr(config, "max_position_embeddings", None))
    return min((number for number in limits if number), default=None)


def _window(config: PretrainedConfig) -> int | None:
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    return min((window for window in windows if window), default=None)


def _switch(config: PretrainedConfig) -> int | None:
    """Where rotary frequencies begin to depend on what else is in the batch, or was before."""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = {part.get("rope_type") for part in (rope, *rope.values()) if isinstance(part, dict)}
    if not kinds & {"dynamic", "longrope"}:
        return None
    original = rope.get("original_max_position_embeddings") or getattr(
        config, "original_max_position_embeddings", None
    )
    return original or getattr(config, "max_position_embeddings", None)


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
