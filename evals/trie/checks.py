"""Where sharing prefixes would not be exact: families of models, what is set in one, lengths."""

from torch import nn
from transformers import PretrainedConfig

from abstain.rewards.graders.numerals import word_set

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
            f"models of type {kind!r} compute something else on a trie, or nobody has compared them: it takes softmax "
            "attention that heeds its mask, and rotary or learned positions"
        )
    return None


def why_not_model(model: nn.Module, config: PretrainedConfig) -> str | None:
    """Why a model can't take a tree attention mask exactly; None if nothing speaks against it."""
    reason = why_not_family(config)
    if reason is not None:
        return reason
    if config._attn_implementation not in ("sdpa", "eager"):
        return f"attention {config._attn_implementation!r} takes no mask of its own (sdpa and eager do)"
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
