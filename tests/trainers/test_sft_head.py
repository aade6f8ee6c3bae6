"""SFT's head at the trained positions only: loss, gradients and what is logged are those of stock TRL."""

import pytest
import torch

from abstain.trainers.sft import score_trained_positions

from .conftest import assert_same_gradients, family_model

OUTPUTS = ("log_probs", "entropy", "is_top1")


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
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return torch.stack([part.detach().float() for part in parts]), grads, out.log_probs.shape


@pytest.mark.parametrize("family", ["Llama", "Llama, tied", "Qwen3", "Gemma2", "Granite"])
def test_sums_and_gradients_are_stock(family):
    model, inputs = family_model(family, outputs=OUTPUTS), batch((2, 1, 3, 0))
    stock, stock_grads, shape = sums(model, inputs)
    score_trained_positions(model)
    ours, grads, compact = sums(model, inputs)
    assert (shape, compact) == ((4, 11), (1, 6))  # the point of it: 6 positions scored instead of 44
    torch.testing.assert_close(ours, stock, rtol=1e-5, atol=1e-5)
    assert_same_gradients(grads, stock_grads)


def test_a_batch_without_trained_tokens_and_the_usual_forward_are_left_alone():
    model, inputs = family_model("Llama", outputs=OUTPUTS), batch((0, 0, 0, 0))
    logits = model(input_ids=inputs["input_ids"]).logits
    score_trained_positions(model)
    assert sums(model, inputs)[0][0] == 0
    torch.testing.assert_close(model(input_ids=inputs["input_ids"]).logits, logits)
    loss = model(**batch((2, 1, 3, 0))).loss
    assert loss.isfinite() and loss > 0
