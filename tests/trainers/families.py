"""Tiny random models of the causal language models that transformers knows, each with every kind of layer it may have.

A family is a `model_type`, or a `model_type-variant` where one configuration does not show all that it can do, such as
`gpt_neo-window`: a window that sequences of the tests exceed.
"""

import dataclasses
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from abstain.rewards.graders.numerals import word_set

VOCABULARY, WINDOW = 64, 6

# What configurations call their sizes; each takes those that it knows
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "unpadded_vocab_size": VOCABULARY,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
    "tie_word_embeddings": False,
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "embedding_size", "embedding_dim"), 32),
    **dict.fromkeys(("word_embed_proj_dim", "backbone_hidden_size", "router_hidden_size", "emb_dim", "lru_width"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "decoder_ffn_dim", "encoder_ffn_dim", "ffn_hidden_size"), 48),
    **dict.fromkeys(("intermediate_size_mlp", "dense_intermediate_size", "dff", "dim_ff", "d_inner", "n_inner"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 16),
    **dict.fromkeys(("shared_intermediate_size", "shared_experts_intermediate_size"), 16),
    "moe_shared_expert_intermediate_size": 16,
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_decoder_layers", "num_encoder_layers", "num_blocks"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "encoder_attention_heads", "swa_num_attention_heads"), 4),
    **dict.fromkeys(("num_decoder_attention_heads", "num_encoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "swa_num_key_value_heads"), 2),
    **dict.fromkeys(("head_dim", "swa_head_dim", "kv_channels", "dim_head", "d_head"), 8),
    **dict.fromkeys(("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "index_head_dim", "d_rel"), 8),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "o_lora_rank", "gated_norm_rank"), 16),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k"), 2),
    **dict.fromkeys(("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "n_group", "topk_group"), 1),
    **dict.fromkeys(("num_mtp_layers", "num_nextn_predict_layers"), 0),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "model_max_length"), 128),
    **dict.fromkeys(("max_target_positions", "context_length"), 128),
    "mlp_layer_types": ["dense", "sparse"],
    "rotary_dim": 4,
    "index_n_heads": 2,
    "initializer_range": 0.2,
    "init_std": 0.2,
    **dict.fromkeys(("dropout", "attention_dropout", "activation_dropout", "hidden_dropout", "residual_dropout"), 0.0),
    **dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"), 0.0),
    **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop", "emb_pdrop", "embedding_dropout", "layerdrop"), 0.0),
    **dict.fromkeys(("resid_dropout", "embed_dropout", "decoder_layerdrop", "dropout_p"), 0.0),
    **dict.fromkeys(("router_jitter_noise", "input_jitter_noise"), 0.0),
    "use_mamba_kernels": False,
    "router_aux_loss_coef": 0.0,
}

ALTERNATING = {"layer_types": ["sliding_attention", "full_attention"]}
LINEAR = {"layer_types": ["linear_attention", "full_attention"]}
MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8}
DELTA_NET = {
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    **LINEAR,
}
LATENT = {"num_key_value_heads": 4}
DECODER = {"is_decoder": True}


def _names(kind: type[PretrainedConfig]) -> set[str]:
    return {field.name for field in dataclasses.fields(kind)} | set(kind.attribute_map)


# Not among the families, and why
LEFT_OUT = {
    **dict.fromkeys(
        ("dots3_note", "emu3", "fuyu", "gemma3", "gemma3n", "gemma4", "gemma4_unified", "git", "got_ocr2", "llama4"),
        "a text model with other models around it",
    ),
    **dict.fromkeys(
        ("mllama", "moshi", "moss_transcribe_diarize", "musicgen", "musicgen_melody", "phi4_multimodal"),
        "a text model with other models around it",
    ),
    **dict.fromkeys(("qwen3_5", "qwen3_5_moe", "qwen4_exp"), "a text model with other models around it"),
    **dict.fromkeys(("gemma4_assistant", "gemma4_unified_assistant"), "drafts for another model"),
    "blt": "bytes in patches, which a model of its own finds",
    "cohere_compass_text": "its rotary positions are divided for images",
    "hrm_text": "its layers run several times over, each time with a cache of its own",
    "reformer": "trains on whole chunks only",
    "rwkv": "has no backward pass without its CUDA kernel",
    "xlstm": "trains on whole chunks only",
}

# What differs from SIZES, and from the defaults of transformers
FAMILIES: dict[str, dict[str, Any]] = {name: {} for name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if name not in LEFT_OUT}
FAMILIES |= {
    "afmoe": ALTERNATING,
    "axk1": LATENT,
    "axk2": LATENT,
    "bailing_hybrid": LATENT | LINEAR | {"first_k_dense_replace": 1},
    "bamba": MAMBA2 | {"attn_layer_indices": [1]},
    "bert": DECODER,
    "bert-generation": DECODER,
    "big_bird": DECODER | {"attention_type": "original_full"},
    "bigbird_pegasus": {"attention_type": "original_full"},
    "camembert": DECODER,
    "cohere": {"logit_scale": 0.8},
    "cohere2": ALTERNATING | {"logit_scale": 0.8},
    "cohere2_moe": ALTERNATING | {"logit_scale": 0.8},
    "ctrl": {"attn_pdrop": 0.0},
    "data2vec-text": DECODER,
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8},
        "ffn_config": {"ffn_hidden_size": 16, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 32},
    },
    "deepseek_v2": LATENT | {"first_k_dense_replace": 1},
    "deepseek_v3": LATENT | {"first_k_dense_replace": 1},
    "deepseek_v32": LATENT,
    "deepseek_v4": {
        "num_hidden_layers": 3,
        "layer_types": ["heavily_compressed_attention", "compressed_sparse_attention", "sliding_attention"],
        "mlp_layer_types": ["hash_moe", "moe", "moe"],
    },
    "dots1": ALTERNATING | {"first_k_dense_replace": 1},
    "dots3_note_text": LATENT,
    "electra": DECODER,
    "ernie": DECODER,
    "exaone4": ALTERNATING,
    "exaone_moe": ALTERNATING,
    "falcon_h1": MAMBA2 | {"mamba_d_ssm": 64, "mlp_multipliers": [1.2, 0.8], "lm_head_multiplier": 0.8},
    "falcon_mamba": {"state_size": 8, "time_step_rank": 4},
    "flint": ALTERNATING | {"mlp_only_layers": [0]},
    "gemma3_text": ALTERNATING,
    "gemma3n_text": {
        "num_hidden_layers": 4,
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size_per_layer_input": 8,
        "laurel_rank": 8,
        "altup_num_inputs": 2,
        "activation_sparsity_pattern": [0.5, 0.0, 0.0, 0.0],
    },
    "gemma4_text": {
        "num_hidden_layers": 4,
        "num_kv_shared_layers": 2,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size_per_layer_input": 8,
    },
    "gemma4_unified_text": ALTERNATING,
    "glm4_moe": {"first_k_dense_replace": 1},
    "glm4_moe_lite": LATENT,
    "glm_moe_dsa": LATENT,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granite": {"logits_scaling": 2.0, "embedding_multiplier": 1.5, "residual_multiplier": 0.8},
    "granitemoe": {"logits_scaling": 2.0},
    "granitemoehybrid": MAMBA2 | LINEAR,
    "hy_v4": LATENT,
    "hyperclovax": {"logits_scaling": 0.5},
    "inkling_text": {"layer_types": ["hybrid_sliding", "hybrid"], "logits_mup_width_multiplier": 1.5},
    "inkling2_text": {"layer_types": ["hybrid_sliding", "hybrid"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "mamba_d_state": 8, "mamba_dt_rank": 4},
    "kimi_linear": LATENT | LINEAR | {"linear_head_dim": 8, "linear_num_heads": 4},
    "kolibri1": ALTERNATING,
    "laguna": ALTERNATING | {"num_attention_heads_per_layer": [4, 4]},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "lfm3": {"layer_types": ["conv", "sliding_attention", "full_attention"], "num_hidden_layers": 3},
    "llama4_text": {"layer_types": ["chunked_attention", "full_attention"], "no_rope_layers": [1, 0]},
    "longcat_flash": LATENT | {"num_layers": 1, "zero_expert_num": 2, "qk_head_dim": 16},
    "mamba": {"state_size": 8, "time_step_rank": 4},
    "mamba2": {"num_heads": 8, "state_size": 8, "n_groups": 1, "chunk_size": 8},
    "megatron-bert": DECODER,
    "mellum": ALTERNATING,
    "minicpm3": LATENT | {"dim_model_base": 16},
    "minimax_m3_vl_text": {"layer_types": ["full_attention", "minimax_m3_sparse"]},
    "ministral": ALTERNATING,
    "nemotron_h": {
        "num_hidden_layers": 4,
        "mamba_num_heads": 8,
        "mamba_head_dim": 8,
        "ssm_state_size": 8,
        "n_groups": 1,
        "chunk_size": 8,
    },
    "olmo3": ALTERNATING,
    "olmo_hybrid": DELTA_NET | {"linear_num_key_heads": 4},
    "phi3": {"original_max_position_embeddings": 128},
    "qwen3_5_moe_text": DELTA_NET,
    "qwen3_5_text": DELTA_NET,
    "qwen3_next": DELTA_NET,
    "qwen4_exp_text": DELTA_NET
    | {
        "layer_types": ["linear_attention", "indexed_attention"],
        "hc_lowrank": 8,
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": 8,
        "indexer_compress_ratio": 2,
    },
    "recurrent_gemma": {"num_hidden_layers": 3},
    "rembert": DECODER | {"input_embedding_size": 32, "output_embedding_size": 32},
    "roberta": DECODER,
    "roberta-prelayernorm": DECODER,
    "roc_bert": DECODER
    | {
        "pronunciation_vocab_size": 8,
        "shape_vocab_size": 8,
        "pronunciation_embed_dim": 8,
        "shape_embed_dim": 8,
    },
    "roformer": DECODER,
    "smollm3": {"no_rope_layers": [1, 0]},
    "xlm": {"causal": True},
    "xlm-roberta": DECODER,
    "xlm-roberta-xl": DECODER,
    "xmod": DECODER | {"languages": ("en",), "default_language": "en"},
    "zamba": {
        "num_hidden_layers": 3,
        "layers_block_type": ["linear_attention", "linear_attention", "hybrid"],
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
        "mamba_d_state": 8,
        "mamba_dt_rank": 4,
    },
    "zamba2": {
        "layers_block_type": ["linear_attention", "hybrid"],
        "mamba_d_state": 8,
        "n_mamba_heads": 8,
        "chunk_size": 8,
        "adapter_rank": 8,
    },
    "youtu": LATENT,
    "zaya": {"num_experts_per_tok": 1},
}

# Attend to the few tokens that an indexer finds
INDEXED = ("axk2", "deepseek_v32", "dots3_note_text", "glm_moe_dsa", "hy_v4")
# Have layers that see a window, but for which they are what the trie can share
SLIDING = word_set("""
    afmoe beam cohere2 cohere2_moe cwm dots1 exaone4 exaone_moe flint gemma2 gemma3_text gemma3n_text gemma4_text
    gemma4_unified_text gpt_oss granite_swa granitemoe_swa kolibri1 laguna mellum mimo_v2_flash ministral ministral3
    mistral mixtral olmo3 phi3 phimoe recurrent_gemma starcoder2 vaultgemma
""")
WINDOWED = {"sliding_window": WINDOW}
QWEN_WINDOWED = {"use_sliding_window": True, "max_window_layers": 1, **WINDOWED}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"{name}-window": (name, WINDOWED) for name in sorted(SLIDING)},
    **{f"{name}-window": (name, QWEN_WINDOWED) for name in ("qwen2", "qwen2_moe", "qwen3", "qwen3_moe")},
    **{f"{name}-sparse": (name, {"index_topk": 3}) for name in INDEXED},
    "doge-window": ("doge", {"keep_window_size": WINDOW}),
    "falcon-alibi": ("falcon", {"alibi": True, "parallel_attn": False, "multi_query": False, "num_kv_heads": 4}),
    "falcon-new": ("falcon", {"new_decoder_architecture": True}),
    "gpt2-upcast": ("gpt2", {"reorder_and_upcast_attn": True, "scale_attn_by_inverse_layer_idx": True}),
    "gpt_neo-window": ("gpt_neo", {"window_size": WINDOW}),
    "llama-dynamic": (
        "llama",
        {"max_position_embeddings": 8, "rope_parameters": {"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4}},
    ),
    "llama-tied": ("llama", {"tie_word_embeddings": True}),
    "modernbert-decoder-window": ("modernbert-decoder", {"local_attention": 2 * WINDOW}),
    "opt-projected": ("opt", {"word_embed_proj_dim": 16}),
    "phi3-longrope": (
        "phi3",
        {
            "original_max_position_embeddings": 10,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 1e4,
                "short_factor": [1.0] * 4,
                "long_factor": [4.0] * 4,
            },
        },
    ),
    "qwen3_moe-balanced": ("qwen3_moe", {"router_aux_loss_coef": 0.01}),
    "smollm3-window": ("smollm3", {"use_sliding_window": True, **WINDOWED}),
}

# Stock TRL gives them other positions where it pads on the left; Hunyuan normalises what rotary positions have turned
SHIFTED = word_set("biogpt ctrl gpt2 gpt_bigcode gpt_neo hunyuan_v1_dense hunyuan_v1_moe")
# Stock TRL cannot train them, so there is nothing to be equal to
UNTRAINABLE = {
    "inkling_text": "its configuration has no tie_word_embeddings",
    "inkling2_text": "its configuration has no tie_word_embeddings",
    "llama4_text": "its base_model gives logits",
}


def tiny_config(family: str) -> PretrainedConfig:
    """The configuration of a family, every kind of layer in 2 to 4 of them."""
    model_type, options = VARIANTS.get(family, (family, {}))
    kind = CONFIG_MAPPING[model_type]
    return kind(**_known(kind) | FAMILIES[model_type] | options)


def tiny_model(family: str, dtype: torch.dtype = torch.float32, attention: str | None = None) -> PreTrainedModel:
    """A random model of a family, without dropout, in evaluation mode. Its logits are spread and no weight is zero."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(tiny_config(family), attn_implementation=attention)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model.to(dtype).eval()


def _known(kind: type[PretrainedConfig]) -> dict[str, Any]:
    return {name: value for name, value in SIZES.items() if name in _names(kind)}
