"""The trial before a trie is used: nothing passes it by luck, and what is right is not refused."""

import logging
import types

import pytest
import torch
from transformers import AutoModelForCausalLM
from trl import GRPOConfig

from abstain.trainers.trie import trainer as trie_trainer
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from .conftest import with_given_completions
from .families import tiny_model


def reward(completions, **kwargs):
    return [float(len(completion) % 4) for completion in completions]


@pytest.fixture
def verdict(build_trainer, caplog):
    """`verdict(model, prompts, **options)`: whether the trie is used, and what is said of it."""

    def _verdict(model, prompts=("Ada Lima",), base=TrieGRPOTrainer, **options):
        rows = [{"prompt": prompt} for prompt in prompts] * 4
        options = {"per_device_train_batch_size": 4, "max_steps": 1, "learning_rate": 0.0} | options
        trainer = build_trainer(base, GRPOConfig, rows, reward, model=model, scale_rewards="none", **options)
        with caplog.at_level(logging.WARNING, trie_trainer.__name__):
            trainer.train()
        return trainer._exact, [r.getMessage() for r in caplog.records if r.name == trie_trainer.__name__]

    return _verdict


def blind(model):
    """Of a tree the model sees every token before it in its row, as a family does that makes a mask of its own."""
    layers = model.model
    seeing = layers.forward

    def forward(self, *args, attention_mask=None, position_ids=None, **kwargs):
        if attention_mask is None or attention_mask.ndim == 2:
            kwargs |= {"attention_mask": attention_mask, "position_ids": position_ids}
        return seeing(*args, **kwargs)

    layers.forward = types.MethodType(forward, layers)
    return model


def peaked(model):
    """Whatever is sampled, all completions are alike."""
    model.lm_head.weight.data.mul_(40)
    return model


@pytest.mark.parametrize(
    ("dtype", "sharpen", "base"),
    [
        (torch.float32, True, TrieGRPOTrainer),
        (torch.bfloat16, False, TrieGRPOTrainer),
        (torch.bfloat16, True, with_given_completions(TrieGRPOTrainer)),
    ],
)
def test_a_model_that_ignores_the_mask_is_found_out(verdict, tiny_model_dir, dtype, sharpen, base):
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=dtype)
    used, said = verdict(blind(peaked(model) if sharpen else model), base=base)
    assert not used
    assert len(said) == 1 and "on trial prompts its log-probabilities are" in said[0]


@pytest.mark.parametrize(
    ("family", "how"), [("llama", "bf16 weights"), ("gemma2", "bf16 weights"), ("gemma3_text", "autocast")]
)
def test_a_model_that_heeds_it_is_not_refused(verdict, family, how):
    model = tiny_model(family, torch.bfloat16 if how == "bf16 weights" else torch.float32)
    used, said = verdict(model, bf16=how == "autocast")
    assert used, said


def test_sharp_logits_that_round_badly_are_not_refused_under_autocast(verdict):
    """Weights are in full precision, so the trial can be."""
    model = tiny_model("llama")
    model.lm_head.weight.data.mul_(30)
    used, said = verdict(model, bf16=True)
    assert used, said


@pytest.mark.parametrize("first", [True, False])
def test_the_precision_of_an_earlier_trainer_is_not_that_of_the_next(verdict, first):
    """accelerate would leave the model as the first has prepared it: in its autocast, or in none."""
    model = tiny_model("llama")
    verdict(model, bf16=first)
    seen = set()
    handle = model.lm_head.register_forward_hook(lambda _, inputs, logits: seen.add(logits.dtype))
    verdict(model, base=type("NotShared", (TrieGRPOTrainer,), {"share_prefixes": False}), bf16=not first)
    assert seen == {torch.float32 if first else torch.bfloat16}
    handle.remove()
    used, said = verdict(model, bf16=not first)
    assert used and not said


def test_a_model_that_looks_at_nothing_cannot_be_tried(verdict, tiny_model_dir):
    """All its numbers are right whatever the mask, until it has learned to look."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    torch.nn.init.zeros_(model.lm_head.weight)
    used, said = verdict(model)
    assert not used and "cannot tell whether it looks where it should" in said[0]


def test_the_trial_leaves_randomness_alone(build_trainer):
    rows = [{"prompt": "Ada Lima"}] * 4
    trainer = build_trainer(TrieGRPOTrainer, GRPOConfig, rows, reward, scale_rewards="none")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert trainer._is_exact(lambda: [3, 4], 8)
    torch.testing.assert_close(torch.rand(3), expected)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mpt", "models of type 'mpt' compute something else on a trie, or nobody has compared them"),
        ("falcon-alibi", "falcon counts columns"),
        ("gpt_neo-window", "gpt_neo has layers that see a window of columns"),
        ("bamba", "bamba has layers of another kind (linear_attention)"),
        ("gemma3_text-window", "longer than the attention window of 6"),
        ("gpt2", "stock TRL that is"),
    ],
)
def test_families_that_would_train_wrongly_are_refused_by_name(verdict, name, reason):
    _, said = verdict(tiny_model(name), max_completion_length=8)
    assert len(said) == 1 and reason in said[0]
