"""SFT's head at the trained positions only: loss, gradients and what is logged are those of stock TRL."""

import pytest
import torch
import transformers
from trl.trainer.utils import add_fused_lm_head

from abstain.trainers.sft import score_trained_positions

FAMILIES = {
    "Llama": {},
    "Qwen3": {"tie_word_embeddings": True},
    "Gemma2": {"tie_word_embeddings": True, "attn_implementation": "eager", "final_logit_softcapping": 3.0},
    "Granite": {"logits_scaling": 4.0},
}


def tiny_model(family):
    torch.manual_seed(0)
    options = dict(FAMILIES[family])
    attention = options.pop("attn_implementation", "sdpa")
    sizes = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 8}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2, "pad_token_id": 0}
    config = getattr(transformers, f"{family}Config")(**sizes, **heads, **options, attn_implementation=attention)
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))
    return model


def batch(answers):
    """Four right-padded rows with `answers[i]` trained tokens at the end of row i."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(2, 50, (4, 12), generator=generator)
    mask, labels = torch.ones_like(ids), torch.full_like(ids, -100)
    for row, (length, trained) in enumerate(zip((12, 9, 7, 10), answers, strict=True)):
        ids[row, length:], mask[row, length:] = 0, 0
        labels[row, length - trained : length] = ids[row, length - trained : length]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def sums(model, inputs):
    model.zero_grad()
    out = model(**inputs, fused_lm_head=True, num_items_in_batch=7)
    out.loss.backward()
    parts = [out.loss, out.log_probs.sum(), out.entropy.sum(), out.is_top1.sum(), out.label_mask.sum()]
    grads = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.stack([part.detach().float() for part in parts]), torch.cat(grads), out.log_probs.shape


@pytest.mark.parametrize("family", FAMILIES)
def test_sums_and_gradients_are_stock(family):
    model, inputs = tiny_model(family), batch((2, 1, 3, 0))
    stock, stock_grads, shape = sums(model, inputs)
    score_trained_positions(model)
    ours, grads, compact = sums(model, inputs)
    assert (shape, compact) == ((4, 11), (1, 6))  # the point of it: 6 positions scored instead of 44
    torch.testing.assert_close(ours, stock, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(grads, stock_grads, rtol=1e-4, atol=1e-6)


def test_a_batch_without_trained_tokens_and_the_usual_forward_are_left_alone():
    model, inputs = tiny_model("Llama"), batch((0, 0, 0, 0))
    logits = model(input_ids=inputs["input_ids"]).logits
    score_trained_positions(model)
    assert sums(model, inputs)[0][0] == 0
    torch.testing.assert_close(model(input_ids=inputs["input_ids"]).logits, logits)
    loss = model(**batch((2, 1, 3, 0))).loss
    assert loss.isfinite() and loss > 0
