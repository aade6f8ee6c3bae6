"""Guards in TRL's trainers: they listen, warn, act at the right moment, and go on after an interruption."""

import json
import logging
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.utils._python_dispatch import TorchDispatchMode
from trl import GRPOConfig, GRPOTrainer

from abstain.evals.metrics.oracle import ForcedAnswers
from abstain.rewards import ConfidenceTarget
from abstain.rewards.prompts import IDK
from abstain.trainers.guards import alarms, callback
from abstain.trainers.guards.callback import Guards, check_guards
from abstain.trainers.guards.options import GuardOptions
from abstain.trainers.guards.remedies import completion_logprobs
from abstain.trainers.run_trainer import train
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from ..conftest import PEOPLE
from .conftest import ROWS, SIZES, assert_same_gradients, family_model

KNOWN = ForcedAnswers(PEOPLE, np.array([1.0] * 4 + [0.0] * 4), np.full(8, 0.5))


@pytest.fixture
def make_trainer(build_trainer):
    def make(options, cls=TrieGRPOTrainer, reward=None, start=KNOWN, rows=ROWS, **args):
        guards = Guards(GuardOptions(**options), start=start)
        rewards = guards.wrap([reward or ConfidenceTarget(grader="f1")])
        defaults = {"per_device_train_batch_size": 32, "max_steps": 4, "logging_steps": 2, "scale_rewards": "none"}
        trainer = build_trainer(cls, GRPOConfig, rows, rewards, **defaults | args)
        guards.attach(trainer)
        return trainer, guards

    return make


def logged(trainer, key):
    return [entry[key] for entry in trainer.state.log_history if key in entry]


@pytest.fixture
def alarmed(monkeypatch):
    """Every check finds this kind of collapse, and no other."""

    def alarm(kind):
        found = {
            name: replace(one, check=lambda *_, seen=name == kind: "so it is" if seen else None, patience=1)
            for name, one in alarms.KINDS.items()
        }
        monkeypatch.setattr(alarms, "KINDS", found)
        monkeypatch.setattr(alarms, "FEWEST", 1)

    return alarm


@pytest.mark.parametrize("cls", [GRPOTrainer, TrieGRPOTrainer])
def test_signals_are_logged_beside_what_trl_logs(make_trainer, cls):
    trainer, _ = make_trainer({"every": 2}, cls)
    trainer.train()
    unique = logged(trainer, "guards/unique_completions")
    assert len(unique) == 2 and all(0 < share <= 1 for share in unique)
    assert len(logged(trainer, "guards/over_refusal/all")) == 2
    assert logged(trainer, "guards/alarms") == [0.0, 0.0]
    rewards = [entry for entry in trainer.state.log_history if "reward" in entry]
    assert len(rewards) == 2 and all("entropy" in entry and "loss" in entry for entry in rewards)  # none taken away
    ours = [entry for entry in trainer.state.log_history if "guards/alarms" in entry]
    assert all("reward" not in entry for entry in ours)
    assert "NaN" not in json.dumps(trainer.state.log_history)


def test_an_evaluation_is_not_mistaken_for_training(make_trainer):
    trainer, guards = make_trainer({"every": 100})
    trainer.train()
    before = len(guards.rollouts._window.groups)
    trainer.evaluate(Dataset.from_list(ROWS))
    assert len(guards.rollouts._window.groups) == before > 0


def test_a_collapse_is_told_once_with_what_to_do(make_trainer, caplog, tmp_path):
    """A tiny model that knows nothing is never right, and hardly ever says that it does not know."""
    with caplog.at_level(logging.WARNING, callback.__name__):
        trainer, guards = make_trainer(
            {"every": 1}, reward=ConfidenceTarget(), per_device_train_batch_size=128, num_generations=8
        )
        trainer.train()
    assert "all_guess" in guards.watch.active
    (said,) = [record.getMessage() for record in caplog.records if "all_guess" in record.getMessage()]
    assert said.startswith("Step 2: all_guess: at t > 0 it abstains on 0.0%") and "guards.seed_idk" in said
    events = [json.loads(line) for line in (tmp_path / "guards.jsonl").read_text().splitlines()]
    assert {k: events[0][k] for k in ("step", "alarm", "over")} == {"step": 2, "alarm": "all_guess", "over": False}
    assert logged(trainer, "guards/alarms")[-1] >= 1


# Remedies


def idk_probability(trainer):
    tokenizer = trainer.processing_class
    idk = [*tokenizer(f" {IDK}")["input_ids"], tokenizer.eos_token_id]
    pairs = [(tokenizer(row["prompt"])["input_ids"], idk) for row in ROWS if row["target"]]
    with torch.no_grad():
        return float(completion_logprobs(trainer.model, pairs, 0).exp().mean())


def test_seeding_makes_idk_probable_enough_and_no_more(make_trainer, alarmed):
    alarmed("all_guess")
    options = {"share": 0.3, "batch": 32, "steps": 150, "learning_rate": 2e-2}
    trainer, guards = make_trainer({"every": 1, "seed_idk": options}, max_steps=1, learning_rate=1e-9)
    before = idk_probability(trainer)
    trainer.train()
    assert before < 0.01 and 0.1 < idk_probability(trainer) < 0.4
    assert any('supervised steps: P("I don\'t know") is' in event.get("done", "") for event in guards.events)
    assert trainer.optimizer.param_groups[0]["lr"] <= 1e-9  # what the trainer's own optimizer holds is its own


def naive(model, prompt, completion):
    """log P(completion | prompt) as it is written down: softmax over the whole vocabulary, summed over tokens."""
    logprobs = model(torch.tensor([[*prompt, *completion]])).logits.float().log_softmax(-1)[0]
    return sum(logprobs[len(prompt) - 1 + i, token] for i, token in enumerate(completion))


@pytest.mark.parametrize("family", ["Llama, tied", "Gemma2", "Qwen2"])
def test_log_probabilities_of_a_completion_are_those_of_the_formula(family, monkeypatch):
    """Whatever the padding and however many tiles the vocabulary takes (one holds 32,768 words); gradients too."""
    monkeypatch.setitem(SIZES, "vocab_size", 33_000)
    model = family_model(family)
    pairs = [([3, 4, 5], [4, 1]), ([6, 7, 8, 9, 10], [11, 32_900, 1]), ([6], [1])]
    expected = torch.stack([naive(model, *pair) for pair in pairs])
    of_formula = torch.autograd.grad(expected.mean(), list(model.parameters()))
    found = completion_logprobs(model, pairs, 0)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    gradients = torch.autograd.grad(found.mean(), list(model.parameters()))
    names = [name for name, _ in model.named_parameters()]
    assert_same_gradients(*(dict(zip(names, all_of, strict=True)) for all_of in (gradients, of_formula)))


class Largest(TorchDispatchMode):
    """How many bytes the largest tensor had that an operation made, weights and their gradients apart."""

    def __init__(self, rows):
        super().__init__()
        self.rows, self.bytes = rows, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **kwargs or {})
        for one in made if isinstance(made, tuple | list) else [made]:
            if isinstance(one, torch.Tensor) and one.shape[:1] != (self.rows,):
                self.bytes = max(self.bytes, one.numel() * one.element_size())
        return made


def test_a_batch_for_seeding_needs_no_more_memory_than_a_tile_of_logits(monkeypatch):
    """64 completions at a vocabulary of 152,000, forward and backward: each of its answers is three tokens long."""
    vocabulary = 152_000
    monkeypatch.setitem(SIZES, "vocab_size", vocabulary)
    model = family_model("Llama, tied")
    pairs = [([3], [4, 5, 1])] * 64
    with Largest(vocabulary) as largest:
        (-completion_logprobs(model, pairs, 0).mean()).backward()
    whole = 64 * (3 + 1) * vocabulary * 4
    assert 64 * 32_768 * 4 < largest.bytes <= 64 * (1 + 3) * 32_768 * 4 < whole / 4


def test_training_stops_when_an_alarm_lasts(make_trainer, alarmed):
    alarmed("ungraded")
    trainer, guards = make_trainer({"every": 1, "stop": {"patience": 2}}, max_steps=50)
    trainer.train()
    assert trainer.state.global_step == 2
    assert guards.events[-1] == {"step": 2, "remedy": "Stop", "done": "training stops"}


def test_an_alarm_that_is_over_is_counted_anew(make_trainer, alarmed, monkeypatch):
    alarmed("ungraded")
    seen = iter(["so it is", "so it is", None, "so it is"])
    monkeypatch.setitem(alarms.KINDS, "ungraded", replace(alarms.KINDS["ungraded"], check=lambda *_: next(seen)))
    trainer, guards = make_trainer({"every": 1, "stop": {"patience": 3}}, max_steps=4)
    trainer.train()
    assert trainer.state.global_step == 4 and guards.remedies[0].lasted == 1


def test_seeding_that_cannot_work_is_refused(make_trainer):
    with pytest.raises(ValueError, match=r"no prompt .* target above 0"):
        make_trainer({"seed_idk": {}}, rows=[row for row in ROWS if row["target"] == 0])
    sharded = SimpleNamespace(fsdp=None, deepspeed="zero3.json")
    with pytest.raises(ValueError, match="cannot train weights that FSDP or DeepSpeed have sharded"):
        check_guards(GuardOptions(seed_idk={}), sharded)
    check_guards(GuardOptions(), sharded)


def test_rewards_that_do_not_grade_are_refused():
    with pytest.raises(ValueError, match=r"none of these rewards grades: write guards\.wrap"):
        Guards(GuardOptions()).wrap([lambda **kwargs: []])


def test_without_a_start_the_threshold_comes_from_the_completions(make_trainer):
    trainer, guards = make_trainer({"every": 1}, start=None)
    trainer.train()
    assert guards._evidence.probabilities()
    assert not logged(trainer, "guards/over_refusal/all")


def test_a_resumed_run_goes_on_with_its_alarms_and_remedies(make_trainer, alarmed, tmp_path):
    alarmed("all_idk")
    options, given = {"every": 1, "stop": {"patience": 99}}, {"save_strategy": "steps", "save_steps": 2}
    whole, _ = make_trainer(options, **given)
    train(whole, False)
    shutil.rmtree(tmp_path / "checkpoint-4")
    again, guards = make_trainer(options, **given)
    train(again, True)
    assert logged(again, "guards/alarms") == logged(whole, "guards/alarms")
    assert guards.watch.active == {"all_idk": 1} and guards.remedies[-1].lasted == 4
    assert [event["step"] for event in guards.events] == [1]
