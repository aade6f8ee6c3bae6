"""On tiny random models of several families: log-probabilities, entropies and gradients are those of stock TRL."""

import pytest
import torch
import transformers

from abstain.evals.trie import head
from abstain.evals.trie.head import add_trie_head
from abstain.evals.trie.scoring import plan_scoring, score

from .conftest import assert_same_gradients, family_model

TEMPERATURE = 0.7


def tiny_model(family, temperature=TEMPERATURE):
    model = family_model(family, temperature=temperature, outputs=("log_probs", "entropy"))
    add_trie_head(model, temperature)
    return model


def batch():
    """Rows of three prompts of different lengths, shuffled, some completions equal, some sharing a beginning."""
    generator = torch.Generator().manual_seed(1)
    prompts = [torch.randint(2, 50, (length,), generator=generator) for length in (6, 3, 9)]
    completions = [[3, 4, 1], [3, 4, 1], [3, 5, 6, 1], [1], [3, 5, 6, 7], [8, 4, 1]]
    rows = [(prompt, completion) for prompt in prompts for completion in completions]
    ids, mask = torch.zeros(len(rows), 13, dtype=torch.long), torch.zeros(len(rows), 13, dtype=torch.long)
    for index, place in enumerate(torch.randperm(len(rows), generator=generator)):
        prompt, completion = rows[place]
        tokens = torch.cat([prompt, torch.tensor(completion)])
        start = 9 - len(prompt)
        ids[index, start : start + len(tokens)], mask[index, start : start + len(tokens)] = tokens, 1
    return ids, mask, 4


def stock_scores(model, ids, mask, keep):
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :-keep] = -100
    outputs = model(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True)
    return outputs.log_probs[:, -keep:], outputs.entropy[:, -keep:]


def trie_scores(model, ids, mask, keep, max_tokens=None):
    plan = plan_scoring(ids.numpy(), mask.numpy(), keep, model.config.hidden_size)
    return score(model, plan, model.config, keep, max_tokens)[:2]


def gradients(model, logps, entropies, entropy_weight):
    weights = torch.randn(2, *logps.shape, generator=torch.Generator().manual_seed(2))
    loss = (logps * weights[0]).sum() + entropy_weight * (entropies * weights[1]).sum()
    model.zero_grad()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def relative(value, reference):
    return ((value - reference).abs().max() / reference.abs().max()).item()


@pytest.mark.parametrize("family", ["Llama", "Llama, eager", "Gemma2", "Granite", "Cohere"])
def test_scores_and_gradients_are_those_of_stock_trl(family):
    """With a gradient of the entropy too, which no loss has by default. Families are tried by `test_trie_families`."""
    model = tiny_model(family)
    stock, trie = stock_scores(model, *batch()), trie_scores(model, *batch())
    for ours, theirs in zip(trie, stock, strict=True):
        assert relative(ours, theirs) < 1e-5
    expected = gradients(model, *stock_scores(model, *batch()), 0.5)
    found = gradients(model, *trie_scores(model, *batch()), 0.5)
    assert_same_gradients(found, expected)


@pytest.mark.parametrize("max_tokens", [None, 30])
def test_scoring_in_parts_changes_nothing(max_tokens, monkeypatch):
    model = tiny_model("Llama")
    whole = gradients(model, *trie_scores(model, *batch()), 0.5)
    monkeypatch.setattr(head, "CHUNK", 4 * 50)  # four nodes at a time through the vocabulary
    parts = gradients(model, *trie_scores(model, *batch(), max_tokens), 0.5)
    assert_same_gradients(parts, whole)


def test_the_model_forward_is_otherwise_what_it_was():
    model, ids = tiny_model("Llama"), batch()[0]
    expected = transformers.LlamaForCausalLM.forward(model, ids).logits
    torch.testing.assert_close(model(ids).logits, expected)


def test_a_row_of_the_batch_does_not_see_another():
    """Changing one completion changes no other row's scores."""
    model = tiny_model("Llama")
    ids, mask, keep = batch()
    before, _ = trie_scores(model, ids, mask, keep)
    changed = ids.clone()
    changed[5, 9] = 40
    after, _ = trie_scores(model, changed, mask, keep)
    others = [row for row in range(len(ids)) if row != 5]
    torch.testing.assert_close(after[others], before[others], rtol=1e-4, atol=1e-5)
    assert (after[5] - before[5]).abs().max() > 0.01


@pytest.mark.parametrize("how", ["autocast", "weights"])
def test_half_precision_is_no_further_from_the_truth_than_stock(how):
    model = tiny_model("Llama")
    truth = gradients(model, *stock_scores(model, *batch()), 0.5)
    model = model.bfloat16() if how == "weights" else model
    off = {}
    for name, scores in (("stock", stock_scores), ("trie", trie_scores)):
        with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
            found = scores(model, *batch())
        off[name] = sum((g.float() - truth[n]).norm() for n, g in gradients(model, *found, 0.5).items())
    assert off["trie"] < 1.2 * off["stock"]
