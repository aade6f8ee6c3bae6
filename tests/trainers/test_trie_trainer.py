"""Training with shared rollouts is training with stock TRL, and falls back to it where it would not be."""

import inspect
import logging

import pytest
import torch
from peft import LoraConfig
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from abstain.trainers.trie import trainer as trie_trainer
from abstain.trainers.trie.trainer import TrieGRPOTrainer, TrieRLOOTrainer

from .conftest import PROMPTS, with_given_completions

TRAINERS = {"grpo": (GRPOTrainer, TrieGRPOTrainer, GRPOConfig), "rloo": (RLOOTrainer, TrieRLOOTrainer, RLOOConfig)}


def length_reward(completions, **kwargs):
    return [float(len(completion) % 4) for completion in completions]


@pytest.fixture
def make_trainer(build_trainer):
    def make(cls, config=GRPOConfig, **options):
        exact = {"scale_rewards": "none"} if config is GRPOConfig else {}
        return build_trainer(cls, config, [{"prompt": prompt} for prompt in PROMPTS], length_reward, **exact | options)

    return make


def steps(trainer):
    trainer.train()
    keys = ("loss", "grad_norm", "entropy", "kl", "clip_ratio/region_mean")
    logs = [[log.get(key, 0.0) for key in keys] for log in trainer.state.log_history if "loss" in log]
    return torch.tensor(logs), {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


OPTIONS = {
    "plain": {},
    "gradient checkpointing": {"gradient_checkpointing": True},
    "several iterations": {"num_iterations": 2},
    "shuffled into several steps": {
        "per_device_train_batch_size": 4,
        "steps_per_generation": 4,
        "gradient_accumulation_steps": 2,
    },
    "reference model": {"beta": 0.1},
    "truncated completions masked": {"mask_truncated_completions": True},
    "LoRA": {"peft_config": LoraConfig(r=4, target_modules=["q_proj", "v_proj"])},
    "LoRA with its reference": {"beta": 0.1, "peft_config": LoraConfig(r=4, target_modules=["q_proj", "v_proj"])},
}


BOTH = ("several iterations", "shuffled into several steps", "LoRA with its reference")


@pytest.mark.parametrize(
    ("method", "options"), [*(("grpo", name) for name in OPTIONS), *(("rloo", name) for name in BOTH)]
)
def test_steps_are_those_of_the_stock_trainer(make_trainer, method, options, caplog):
    stock, trie, config_class = TRAINERS[method]
    logs, weights = steps(make_trainer(with_given_completions(stock), config_class, **OPTIONS[options]))
    with caplog.at_level(logging.WARNING, trie_trainer.__name__):
        trainer = make_trainer(with_given_completions(trie), config_class, **OPTIONS[options])
        our_logs, our_weights = steps(trainer)
    assert trainer._exact and not caplog.records
    assert logs[0, 1] > 0
    compared = slice(2) if options == "shuffled into several steps" else slice(None)  # the rest are means of means
    torch.testing.assert_close(our_logs[:, compared], logs[:, compared], rtol=2e-4, atol=2e-5)
    torch.testing.assert_close(our_weights, weights, rtol=0, atol=2e-3)  # Adam magnifies rounding


def test_its_own_completions_give_the_stock_trainer_the_same_logs(make_trainer):
    """Prompts without advantage keep the log-probabilities and entropies that sampling found."""
    drawn = []

    class Recording(TrieGRPOTrainer):
        def _generate_single_turn(self, *args, **kwargs):
            drawn.append(super()._generate_single_turn(*args, **kwargs))
            return drawn[-1]

        def _score_still(self, *args):
            found.append(self._sampled.look_up(*args) is not None)
            return super()._score_still(*args)

    class Replaying(GRPOTrainer):
        def _generate_single_turn(self, *args, **kwargs):
            return drawn.pop(0)

    found = []
    options = {"temperature": 0.5, "per_device_train_batch_size": 8, "num_generations": 2, "max_steps": 6}
    our_logs, our_weights = steps(make_trainer(Recording, **options))
    assert any(found) and all(found)
    logs, weights = steps(make_trainer(Replaying, **options))
    torch.testing.assert_close(our_logs, logs, rtol=2e-4, atol=2e-5)
    torch.testing.assert_close(our_weights, weights, rtol=0, atol=2e-3)


def test_entropy_bonus_reaches_prompts_without_advantage(make_trainer):
    options = {"entropy_coef": 0.1}
    logs, _ = steps(make_trainer(with_given_completions(GRPOTrainer), **options))
    our_logs, _ = steps(make_trainer(with_given_completions(TrieGRPOTrainer), **options))
    torch.testing.assert_close(our_logs, logs, rtol=2e-4, atol=2e-5)


def test_prompts_without_advantage_get_no_backward_pass(make_trainer):
    trainer = make_trainer(TrieGRPOTrainer)
    prompts = torch.tensor([[2, 3], [4, 5], [2, 3], [6, 7]])
    advantages = torch.tensor([0.5, 0.0, 0.0, 0.0])
    inputs = {"prompt_ids": prompts, "advantages": advantages}
    assert trainer._rows_needing_gradient(inputs).tolist() == [True, False, True, False]
    per_token = {"prompt_ids": prompts, "advantages": advantages[:, None] * torch.tensor([[0.0, 1.0]])}
    assert trainer._rows_needing_gradient(per_token).tolist() == [True, False, True, False]
    nothing = {"prompt_ids": prompts, "advantages": advantages * 0}
    assert trainer._rows_needing_gradient(nothing).tolist() == [True, False, True, False]
    assert trainer._rows_needing_gradient(inputs | {"advantages": advantages + 1}) is None
    trainer.beta = 0.1
    assert trainer._rows_needing_gradient(inputs) is None


def test_it_samples_and_learns(make_trainer, caplog):
    with caplog.at_level(logging.WARNING, trie_trainer.__name__):
        trainer = make_trainer(TrieGRPOTrainer, max_steps=25, num_generations=16, per_device_train_batch_size=64)
        trainer.train()
    assert trainer._exact and not caplog.records
    rewards = [log["reward"] for log in trainer.state.log_history if "reward" in log]
    assert sum(rewards[-3:]) / 3 > sum(rewards[:3]) / 3 + 0.3


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"repetition_penalty": 1.3}, "RepetitionPenaltyLogitsProcessor"),
        ({"generation_kwargs": {"no_repeat_ngram_size": 2}}, "NoRepeatNGramLogitsProcessor"),
        ({"cast_lm_head_to_fp32": True}, "cast_lm_head_to_fp32"),
        ({"cache_implementation": "static"}, "cache_implementation"),
        ({"generation_kwargs": {"do_sample": False}}, "greedy_search"),
        ({"generation_kwargs": {"temperature": 0.5}}, "override the temperature"),
        ({"generation_kwargs": {"max_time": 9.0}}, "max_time"),
        ({"peft_config": LoraConfig(lora_dropout=0.1, target_modules=["q_proj"])}, "dropout"),
    ],
)
def test_it_falls_back_and_says_so_once(make_trainer, options, reason, caplog):
    with caplog.at_level(logging.WARNING, trie_trainer.__name__):
        make_trainer(TrieGRPOTrainer, **options).train()
    said = [record.getMessage() for record in caplog.records if record.name == trie_trainer.__name__]
    assert len(said) == 1 and reason in said[0]


CONTRACT = {
    "_prepare_inputs": ["self", "generation_batch"],
    "_tokenize_prompts": ["self", "prompts"],
    "_compute_loss": ["self", "model", "inputs"],
    "_get_per_token_logps_and_entropies": [
        "self",
        "model",
        "input_ids",
        "attention_mask",
        "logits_to_keep",
        "batch_size",
        "compute_entropy",
        "compute_aux_loss",
        "pixel_values",
        "image_grid_thw",
        "num_images",
        "pixel_attention_mask",
        "spatial_shapes",
        "num_tiles",
        "image_sizes",
        "token_type_ids",
        "mm_token_type_ids",
        "image_position_ids",
    ],
}
TURN = ["self", "prompt_ids", "images", "multimodal_fields"]


@pytest.mark.parametrize("cls", [GRPOTrainer, RLOOTrainer])
def test_contract_with_the_private_methods_of_trl(cls, make_trainer, tiny_model_dir):
    """If this fails, TRL has changed under us: read what the methods now do before changing the lists."""
    turn = [*TURN, "num_generations", "has_tool_images"] if cls is GRPOTrainer else TURN
    for name, parameters in (CONTRACT | {"_generate_single_turn": turn}).items():
        assert list(inspect.signature(getattr(cls, name)).parameters) == parameters
    trainer = make_trainer(cls, GRPOConfig if cls is GRPOTrainer else RLOOConfig)
    ids, images, fields = trainer._tokenize_prompts(["Ada Lima", "Bo"])
    assert [len(row) for row in ids] == [2, 1] and images is None and fields == {}
    turned = trainer._generate_single_turn(ids, images, fields, *([2] if cls is GRPOTrainer else []))
    completions = turned[0] if cls is GRPOTrainer else turned
    assert all(isinstance(token, int) for row in completions for token in row)
    batch = torch.tensor([[0, 5, 6], [4, 5, 6]]), torch.tensor([[0, 1, 1], [1, 1, 1]]), 1
    logps, entropies, aux = trainer._get_per_token_logps_and_entropies(trainer.model, *batch, compute_entropy=True)
    assert logps.shape == entropies.shape == (2, 1) and aux is None


def test_a_wrapped_output_layer_is_refused_before_training(make_trainer):
    """TRL reads `lm_head.bias`, which PEFT's wrapper has not."""
    with pytest.raises(ValueError, match=r"leave out trainable_token_indices"):
        make_trainer(TrieGRPOTrainer, peft_config=LoraConfig(target_modules=["q_proj"], trainable_token_indices=[3]))
