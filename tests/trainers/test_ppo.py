"""PPO: the critic learns, the policy follows, nothing moves a threshold, and all of it survives a checkpoint."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM
from trl import GRPOTrainer

from abstain.trainers.ppo import (
    FILE,
    AdvantageScale,
    PPOConfig,
    PPOTrainer,
    TriePPOTrainer,
    ValueHead,
    add_value_head,
    save_model,
)

from .conftest import PROMPTS, with_given_completions

TARGETS = ["q_proj", "v_proj"]


def reward(prompts, completions, **kwargs):
    """Depends on the prompt, which a critic can learn, and on the completion."""
    return [len(p) / 20 + float(len(c) % 2) for p, c in zip(prompts, completions, strict=True)]


@pytest.fixture
def make_trainer(build_trainer, tmp_path):
    def make(cls=TriePPOTrainer, reward_funcs=reward, **options):
        torch.manual_seed(0)  # of the value head
        defaults = {
            "output_dir": str(tmp_path / "out"),
            "per_device_train_batch_size": 8,
            "num_generations": 1,
            "value_learning_rate": 1e-2,
            "loss_type": "dr_grpo",
        }
        rows = [{"prompt": prompt} for prompt in PROMPTS * 16]
        return build_trainer(cls, PPOConfig, rows, reward_funcs, **defaults | options)

    return make


def steps(trainer):
    torch.manual_seed(0)
    for parameter in trainer.model.value_head.outer.parameters():
        torch.nn.init.normal_(parameter)  # a critic that says something
    trainer.train()
    keys = ("loss", "value/loss", "value/mean", "value/clip_ratio")
    logs = [[log[key] for key in keys] for log in trainer.state.log_history if "loss" in log]
    return torch.tensor(logs), {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


ACCUMULATED = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4, "max_steps": 3}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_iterations": 2, "value_clip": 0.01},
        ACCUMULATED | {"mask_truncated_completions": True, "loss_type": "dapo", "whiten_advantages": True},
    ],
)
def test_shared_rollouts_take_the_steps_of_the_plain_trainer(make_trainer, options):
    logs, weights = steps(make_trainer(with_given_completions(PPOTrainer), **options))
    trainer = make_trainer(with_given_completions(TriePPOTrainer), **options)
    our_logs, our_weights = steps(trainer)
    assert trainer._exact
    assert logs[0, 1] > 0
    torch.testing.assert_close(our_logs, logs, rtol=2e-3, atol=2e-4)
    torch.testing.assert_close(our_weights, weights, rtol=0, atol=4e-3)  # Adam magnifies rounding


def test_policy_and_critic_learn_from_one_completion_per_prompt(make_trainer):
    trainer = make_trainer(max_steps=60, per_device_train_batch_size=32)
    assert trainer.num_generations == 1
    trainer.train()
    logs = [log for log in trainer.state.log_history if "reward" in log]
    first, last = logs[:5], logs[-5:]
    assert sum(log["reward"] for log in last) > sum(log["reward"] for log in first) + 5 * 0.25
    assert sum(log["value/loss"] for log in last) < 0.5 * sum(log["value/loss"] for log in first)
    assert sum(log["value/explained_variance"] for log in last) / 5 > 0.3


def test_advantages_are_reward_minus_value(make_trainer):
    trainer = make_trainer(with_given_completions(TriePPOTrainer), num_iterations=2)
    torch.nn.init.constant_(trainer.model.value_head.outer.bias, 0.25)
    batch = trainer._generate_and_score_completions([{"prompt": prompt} for prompt in PROMPTS * 2])
    mask = batch["completion_mask"].bool()
    expected = (batch["rewards"][:, None] - 0.25).expand_as(mask)
    torch.testing.assert_close(batch["advantages"][mask], expected[mask])
    torch.testing.assert_close(batch["returns"][mask], batch["rewards"][:, None].expand_as(mask)[mask])
    assert not batch["advantages"][~mask].any()


def test_an_ungraded_completion_teaches_nothing(make_trainer):
    def ungraded(completions, **kwargs):
        return [None] * len(completions)

    trainer = make_trainer(reward_funcs=ungraded)
    before = {name: value.clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    torch.testing.assert_close(dict(trainer.model.named_parameters()), before)


def test_a_checkpoint_and_a_saved_model_hold_the_critic(make_trainer, tmp_path):
    trainer = make_trainer(save_strategy="steps", save_steps=2, max_steps=2)
    trainer.train()
    trained = {name: value.clone() for name, value in trainer.model.value_head.state_dict().items()}
    assert trained["outer.weight"].any()

    resumed = make_trainer(max_steps=2)
    resumed.train(resume_from_checkpoint=True)
    torch.testing.assert_close(dict(resumed.model.value_head.state_dict()), trained)

    save_model(trainer.model, tmp_path / "model")
    assert (tmp_path / "model" / FILE).exists()
    plain, info = AutoModelForCausalLM.from_pretrained(tmp_path / "model", output_loading_info=True)
    assert not info["unexpected_keys"] and not info["missing_keys"]
    add_value_head(plain)
    torch.testing.assert_close(dict(plain.value_head.state_dict()), trained)


def test_lora_trains_and_saves_the_critic_in_full(make_trainer, tmp_path):
    config = LoraConfig(r=4, target_modules=TARGETS, task_type="CAUSAL_LM")
    trainer = make_trainer(peft_config=config, save_strategy="steps", save_steps=2)
    trainer.train()
    assert trainer.model.base_model.model.value_head.outer.weight.any()
    saved = {n: v.clone() for n, v in trainer.model.named_parameters() if "value_head.modules_to_save" in n}
    resumed = make_trainer(peft_config=LoraConfig(r=4, target_modules=TARGETS, task_type="CAUSAL_LM"))
    resumed.train(resume_from_checkpoint=True)
    after = dict(resumed.model.named_parameters())
    torch.testing.assert_close({name: after[name] for name in saved}, saved)
    assert saved
    merged = trainer.model.merge_and_unload()
    save_model(merged, tmp_path / "merged")
    assert (tmp_path / "merged" / FILE).exists()


def test_a_peft_model_without_a_trained_critic_is_refused(make_trainer, tiny_model_dir):
    from peft import get_peft_model

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model_dir), LoraConfig(target_modules=TARGETS))
    with pytest.raises(ValueError, match=r"no value head that is trained.*modules_to_save"):
        make_trainer(model=model)


def test_the_value_head_has_its_own_learning_rate(make_trainer):
    trainer = make_trainer(learning_rate=1e-5, value_learning_rate=3e-3)
    groups = trainer.create_optimizer().param_groups
    head = {id(parameter) for parameter in trainer.model.value_head.parameters()}
    for group in groups:
        ours = {id(parameter) in head for parameter in group["params"]}
        assert ours <= {group["lr"] == 3e-3}


@pytest.mark.parametrize("name", ["gamma", "gae_lambda"])
def test_discounts_outside_0_and_1_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=rf"{name} is 1.5; it must be in \[0, 1\]"):
        PPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, **{name: 1.5})


@pytest.mark.parametrize("size", [1, 7])
def test_odd_batches_of_single_completions(make_trainer, size):
    trainer = make_trainer(per_device_train_batch_size=size)
    assert trainer.args.num_generations == 1 and trainer.args.generation_batch_size == size
    trainer.train()
    assert trainer.state.global_step == 2


def test_a_group_that_does_not_divide_the_batch_is_told_of_in_the_users_numbers(tmp_path):
    with pytest.raises(ValueError, match=r"generation_batch_size \(4\) must be divisible by num_generations \(3\)"):
        PPOConfig(str(tmp_path), use_cpu=True, bf16=False, per_device_train_batch_size=4, num_generations=3)


LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "luspo", "sapo", "vespo")


@pytest.mark.parametrize("loss_type", LOSSES)
def test_both_losses_are_in_one_unit(make_trainer, loss_type):
    """What TRL makes of a loss x of each token, given as advantages -x at ratio 1, the value loss makes of it too."""
    trainer = make_trainer(
        with_given_completions(PPOTrainer),
        loss_type=loss_type,
        gradient_accumulation_steps=2,
        steps_per_generation=4,
        mask_truncated_completions=True,
    )
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 2
    batch = trainer._generate_and_score_completions([{"prompt": prompt} for prompt in PROMPTS * 8])
    x = torch.randn(batch["completion_mask"].shape, generator=torch.Generator().manual_seed(1))
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    logps = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, x.shape[1])[0].detach()
    given = batch | {"old_per_token_logps": logps, "advantages": -x, "returns": x}
    if loss_type in ("cispo", "vespo"):  # -x · log p, where the others have -x · ratio
        given["advantages"], trainer.epsilon_high = -x / logps.where(logps != 0, 1), 1.0
    if loss_type == "vespo":  # and a factor for each completion: 1 with these
        trainer.args.vespo_k_pos = trainer.args.vespo_k_neg = 0.0
        trainer.args.vespo_lambda_pos = trainer.args.vespo_lambda_neg = 0.0
    if loss_type == "sapo":  # sigmoid(0) · 4 / temperature
        trainer.args.sapo_temperature_pos = trainer.args.sapo_temperature_neg = 2.0
    with torch.no_grad():
        theirs = super(PPOTrainer, trainer)._compute_loss(trainer.model, given)
        ours = trainer._as_policy_loss(x, batch["completion_mask"], batch)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-4, abs=1e-7)


def test_the_balance_of_value_and_policy_does_not_depend_on_the_length_limit(make_trainer):
    """Gradients of a value loss and of a policy loss on the same completions of at most 4 tokens."""
    balance = []
    for limit in (4, 16, 64, 512):
        trainer = make_trainer(with_given_completions(PPOTrainer), max_completion_length=limit)
        trainer.model.train()
        trainer.current_gradient_accumulation_steps = 1
        batch = trainer._generate_and_score_completions([{"prompt": prompt} for prompt in PROMPTS * 2])
        norms = []
        for coefficient, part in ((0.0, trainer.model), (1.0, trainer.model.value_head)):
            trainer.args.value_coefficient = coefficient
            trainer.model.zero_grad()
            trainer._compute_loss(trainer.model, dict(batch)).backward()
            norms.append(torch.cat([p.grad.flatten() for p in part.parameters() if p.grad is not None]).norm())
        balance.append((norms[1] / norms[0]).item())
    assert balance[0] > 0
    np.testing.assert_allclose(balance, balance[0], rtol=1e-3)


def test_a_critic_in_half_precision_says_what_it_says_in_full():
    torch.manual_seed(0)
    head = ValueHead(8)
    torch.nn.init.normal_(head.outer.weight)
    states = torch.randn(3, 8).bfloat16()
    expected = head(states)
    half = head.bfloat16()(states)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, expected, rtol=0.03, atol=0.03)


def gate_gradient(scale, p, t, rounds=4000, batch=8, seed=0):
    """Mean gradient towards answering, of a policy that answers half of the time and is right with probability p.

    The bounded reward (1 - t, 0, -t) makes it p - t times a positive number, if advantages are exact.
    """
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for _ in range(rounds):
        answers = (torch.rand(batch, generator=generator) < 0.5).float()
        right = (torch.rand(batch, generator=generator) < p).float()
        rewards = answers * (right * (1 - t) - (1 - right) * t)
        total += (scale(rewards[:, None], torch.ones(batch, 1))[:, 0] * (answers - 0.5)).mean().item()
    return total / rounds


def whitening():
    """PPO's own scaling, outside a trainer, each batch a generation."""
    scale, alone = AdvantageScale(), SimpleNamespace(reduce=lambda tensor, reduction: tensor)

    def scaled(advantages, mask):
        scale.next_generation(alone)
        return scale(advantages, mask)

    return scaled


def own_deviation(advantages, mask):
    return (advantages - advantages.mean()) / (advantages.std() + 1e-4)


@pytest.mark.parametrize("t", [0.75, pytest.param(0.9, marks=pytest.mark.slow)])
def test_whitening_moves_no_threshold(t):
    """At p = t the gradient is 0 within the noise, and .04 on either side it has the right sign. The batch's own
    standard deviation, which whitening by the book would divide by, pays for answering well below the target."""
    assert abs(gate_gradient(whitening(), t, t, rounds=20_000)) < 0.25 * gate_gradient(
        whitening(), t + 0.04, t, rounds=20_000
    )
    assert gate_gradient(whitening(), t - 0.04, t, rounds=20_000) < 0
    assert gate_gradient(own_deviation, t, t) > 0.02


def test_contract_with_the_private_methods_of_trl(make_trainer):
    """If this fails, TRL has changed under us: read what the methods now do before changing this test."""
    for name, parameters in {
        "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
        "_generate_and_score_completions": ["self", "inputs"],
        "_compute_loss": ["self", "model", "inputs"],
    }.items():
        assert list(inspect.signature(getattr(GRPOTrainer, name)).parameters) == parameters
    loss = inspect.getsource(GRPOTrainer._compute_loss)
    assert loss.index("self._get_per_token_logps_and_entropies(") < loss.index('advantages = inputs["advantages"]')
    assert "if advantages.dim() == 1" in loss
    made = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert made.index("old_per_token_logps, _, _ = self._get_per") < made.index(
        "ref_per_token_logps, _, _ = self._get"
    )
    assert "math.isnan(v)" in inspect.getsource(GRPOTrainer.log)  # which leaves a NaN of ours out
