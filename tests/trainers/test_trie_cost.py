"""Whole completions are trained on where that is expected to be faster, and it is said which was chosen."""

import pytest
import torch
from trl import GRPOConfig, GRPOTrainer

from abstain.trainers.trie import cost
from abstain.trainers.trie.cost import PRICES, Price, Sizes, Work, gain
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from .conftest import PROMPTS, family_model, with_given_completions

CPU = torch.device("cpu")
SMALL = Sizes(weights=10**7, head=10**7, width=1000)


def reward(completions, **kwargs):
    return [float(len(completion) % 4) for completion in completions]


def test_gain_by_hand(monkeypatch):
    stock, shared = Price(1.0, 0, 1.0, 0, 0), Price(0.5, 0, 2.0, 0, 0)
    monkeypatch.setitem(PRICES, ("cpu", False), (stock, shared))
    few, many = Work.of_rows(1, 50, 10), Work.of_rows(1000, 100, 10)
    assert gain(SMALL, few, few, CPU, False) == pytest.approx((1 + 6e7 * 50 / 1e12) / (0.5 + 2 * 6e7 * 50 / 1e12))
    assert gain(SMALL, many, many, CPU, False) < 1


def test_nothing_is_expected_of_a_device_that_nobody_has_measured():
    assert gain(SMALL, Work(10, 100, 10), Work(10, 100, 10), torch.device("xpu"), True) is None


@pytest.mark.parametrize("half", [False, True])
def test_on_a_cpu_what_shares_much_is_expected_to_be_faster(half):
    stock = Work.of_rows(128, 60, 128 * 59)
    shared = Work.of_rows(8, 80, 400)
    assert gain(Sizes(106_000_000, 28_000_000, 17_000), stock, shared, CPU, half) > 4


@pytest.mark.parametrize("tie", [False, True])
def test_sizes_of_a_model(tie):
    model = family_model("Llama, tied" if tie else "Llama")
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48 + 2 * 32
    assert Sizes.of(model) == Sizes(weights=2 * layer + 32, head=50 * 32, width=64)


@pytest.mark.parametrize("stock_is_faster", [False, True])
def test_training_takes_what_is_expected_to_be_faster(build_trainer, monkeypatch, capsys, stock_is_faster):
    fast, slow = Price(1e-9, 0, 0, 0, 0), Price(1.0, 0, 0, 0, 0)
    prices = (fast, slow) if stock_is_faster else (slow, fast)
    monkeypatch.setitem(cost.PRICES, ("cpu", False), prices)
    rows = [{"prompt": prompt} for prompt in PROMPTS * 4]
    options = {"scale_rewards": "none", "disable_tqdm": False}
    trainer = build_trainer(with_given_completions(TrieGRPOTrainer), GRPOConfig, rows, reward, **options)
    trainer.train()
    assert trainer._exact
    said = capsys.readouterr().err
    assert ("training on whole completions" if stock_is_faster else "training on shared prefixes") in said
    logs = [log for log in trainer.state.log_history if "rollouts/shared" in log]
    assert {log["rollouts/shared"] for log in logs} == {0.0 if stock_is_faster else 1.0}
    stock = build_trainer(with_given_completions(GRPOTrainer), GRPOConfig, rows, reward, scale_rewards="none")
    stock.train()
    same = all(torch.equal(a, b) for a, b in zip(trainer.model.parameters(), stock.model.parameters(), strict=True))
    assert same == stock_is_faster  # bit for bit only where the same was computed
