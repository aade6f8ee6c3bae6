"""Guards in TRL's trainers: they listen, warn, act at the right moment, and go on after an interruption."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, TrainerControl
from trl import GRPOConfig, GRPOTrainer

from abstain.evals.metrics.oracle import ForcedAnswers
from abstain.rewards import ConfidenceTarget, TernaryCredit
from abstain.rewards.prompts import IDK
from abstain.trainers.guards import alarms, callback
from abstain.trainers.guards.callback import Guards
from abstain.trainers.guards.options import GuardOptions
from abstain.trainers.guards.remedies import completion_logprobs, start_as_reference
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from ..conftest import PEOPLE
from .conftest import ROWS

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


def test_log_probabilities_of_a_completion_do_not_depend_on_padding(make_trainer):
    trainer, _ = make_trainer({})
    pairs = [([3, 4, 5], [4, 1]), ([6, 7, 8, 9, 10], [11, 12, 1]), ([6], [1])]
    together = completion_logprobs(trainer.model, pairs, 0)
    for (prompt, completion), found in zip(pairs, together, strict=True):
        logprobs = trainer.model(torch.tensor([[*prompt, *completion]])).logits.log_softmax(-1)[0]
        expected = sum(logprobs[len(prompt) - 1 + i, token] for i, token in enumerate(completion))
        torch.testing.assert_close(found, expected)


def test_the_credit_for_abstaining_fades_once_there_is_an_alarm(make_trainer, alarmed):
    alarmed("all_idk")
    trainer, _ = make_trainer(
        {"every": 1, "anneal_abstention": {"steps": 2}}, reward=TernaryCredit(abstain=0.5, grader="f1"), max_steps=4
    )
    trainer.train()
    assert logged(trainer, "guards/abstention_credit") == [0.5, 0.25, 0.0, 0.0]


def test_kl_is_raised_up_to_its_limit(make_trainer, alarmed):
    alarmed("one_answer")
    trainer, _ = make_trainer({"every": 1, "raise_kl": {"factor": 10, "most": 0.5}}, beta=0.01)
    trainer.train()
    assert logged(trainer, "guards/beta") == [pytest.approx(0.1), 0.5, 0.5, 0.5]
    assert len(logged(trainer, "kl")) == 2


def test_kl_falls_back_once_the_alarm_is_over(make_trainer):
    _, guards = make_trainer({"every": 1, "raise_kl": {"factor": 10, "most": 0.5}}, beta=0.01)
    (remedy,) = guards.remedies
    assert remedy.relax(1) is None
    done = [remedy.apply(2, TrainerControl()), remedy.apply(3, TrainerControl()), *map(remedy.relax, range(4, 7))]
    assert done == ["beta is now 0.1", "beta is now 0.5", "beta is now 0.05", "beta is now 0.01", None]


def test_the_reference_is_the_model_that_rl_starts_from(make_trainer, tiny_model_dir):
    """Contract with TRL: it loads the reference from the folder, whatever has been done to the model since."""
    warmed = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    torch.nn.init.normal_(warmed.model.norm.weight)
    trainer, _ = make_trainer({}, beta=0.01, model=warmed)
    policy, reference = trainer.model.model.norm.weight, trainer.ref_model.model.norm.weight
    assert not torch.equal(policy, reference)
    start_as_reference(trainer)
    assert torch.equal(policy, reference) and policy is not reference


def test_known_questions_replace_others_in_whole_groups_and_go_again(make_trainer):
    trainer, guards = make_trainer({"every": 1, "replay_known": {"share": 0.5}}, max_steps=2)
    (remedy,) = guards.remedies
    questions = [row["question_id"] for row in ROWS]
    assert trainer.train_dataset["question_id"][:] == questions
    remedy.apply(1, TrainerControl())
    replayed = trainer.train_dataset[:]
    assert replayed["target"] == [row["target"] for row in ROWS]  # another question at the same target
    swapped = [new for new, old in zip(replayed["question_id"], questions, strict=True) if new != old]
    assert 3 <= len(swapped) <= 13 and set(swapped) <= set(PEOPLE[:4])
    for row in (0, 5, 11):  # the same whenever and however it is fetched
        fetched = trainer.train_dataset[[row] * 4]
        assert set(fetched["question_id"]) == {replayed["question_id"][row]}
        assert set(fetched["prompt"]) == {replayed["prompt"][row]}
    remedy.relax(2)
    assert trainer.train_dataset[:]["question_id"] == questions
    remedy.apply(3, TrainerControl())
    trainer.train()
    known = [group.question in PEOPLE[:4] for group in guards._recent[-1]]
    assert sum(known) > len(known) / 2


def test_training_stops_when_an_alarm_lasts(make_trainer, alarmed):
    alarmed("ungraded")
    trainer, guards = make_trainer({"every": 1, "stop": {"patience": 2}}, max_steps=50)
    trainer.train()
    assert trainer.state.global_step == 2
    assert guards.events[-1] == {"step": 2, "remedy": "Stop", "done": "training stops"}


@pytest.mark.parametrize(
    ("options", "args", "message"),
    [
        ({"raise_kl": {}}, {}, "rl.args.beta is 0, and then TRL keeps no reference"),
        ({"anneal_abstention": {}}, {}, "pays 0 for abstaining, so there is nothing to anneal"),
        ({"replay_known": {}}, {"start": None}, "none of the 0 known questions is in the training set"),
        ({"replay_known": {}}, {"dataloader_num_workers": 1}, "dataloader_num_workers: 0"),
        ({"seed_idk": {}}, {"rows": [row for row in ROWS if row["target"] == 0]}, "no prompt .* target above 0"),
    ],
)
def test_a_remedy_that_cannot_work_is_refused(make_trainer, options, args, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(options, **args)


def test_rewards_that_do_not_grade_are_refused():
    with pytest.raises(ValueError, match="use a reward of abstain"):
        Guards(GuardOptions()).wrap([lambda **kwargs: []])


def test_without_a_start_the_threshold_comes_from_the_completions(make_trainer):
    trainer, guards = make_trainer({"every": 1}, start=None)
    trainer.train()
    assert guards._evidence.probabilities()
    assert not logged(trainer, "guards/over_refusal/all")


def test_a_resumed_run_goes_on_with_its_alarms_and_remedies(make_trainer, alarmed, tmp_path):
    alarmed("all_idk")
    options = {"every": 1, "anneal_abstention": {"steps": 8}, "raise_kl": {"factor": 2}, "stop": {"patience": 99}}
    given = {"reward": TernaryCredit(abstain=0.5, grader="f1"), "beta": 0.01, "save_strategy": "steps"}
    whole, _ = make_trainer(options, **given, max_steps=4, save_steps=2)
    whole.train()
    again, guards = make_trainer(options, **given, max_steps=4, save_steps=2)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    for key in ("guards/abstention_credit", "guards/beta", "guards/alarms"):
        assert logged(again, key) == logged(whole, key)
    assert guards.watch.active == {"all_idk": 1} and guards.remedies[-1].lasted == 4
    assert [event["step"] for event in guards.events if event.get("remedy") == "AnnealAbstention"] == [1]
