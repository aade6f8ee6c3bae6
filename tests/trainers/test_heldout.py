"""Held-out questions while training: the numbers of `evaluate`, under keys of their own, and the best model kept."""

import json
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from abstain.evals.evaluation import evaluate
from abstain.evals.metrics.schema import BY_TARGET, OVERALL, names_of_numbers
from abstain.evals.sampler import Sampler
from abstain.evals.tasks.question import Question, Task
from abstain.rewards import ConfidenceTarget
from abstain.rewards.prompts import prompt_text
from abstain.trainers.heldout import (
    CURVES,
    CURVES_BY_TARGET,
    SMALL_IS_BETTER,
    HeldOut,
    HeldOutSet,
    held_out_series,
)
from abstain.trainers.run_trainer import log_series
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from ..conftest import PEOPLE
from .conftest import run_script

QUESTIONS = tuple(Question(name, f"Where was {name} born?", ("Lima", "Oslo", "Rome")) for name in PEOPLE)
TASK = Task("people", QUESTIONS[:4], QUESTIONS[4:], grader="f1", max_new_tokens=3)
ROWS = [
    {"prompt": prompt_text(question.question, target), "answers": list(question.gold), "target": target}
    for question in QUESTIONS[:4]
    for target in (0.0, 0.9)
]
TARGETS = (0.0, 0.9)


@pytest.fixture
def make_trainer(build_trainer):
    def make(cls=TrieGRPOTrainer, **args):
        defaults = {
            "max_completion_length": 3,
            "max_steps": 3,
            "learning_rate": 3e-2,
            "lr_scheduler_type": "constant",
            "save_strategy": "steps",
            "save_steps": 100,
        }
        config = RLOOConfig if cls is RLOOTrainer else GRPOConfig
        return build_trainer(cls, config, ROWS, ConfidenceTarget(grader="f1"), **defaults | args)

    return make


@pytest.fixture
def scripted(monkeypatch):
    """Scores by step, in the place of a model's."""

    def script(scores):
        def evaluate_script(self):
            step = self._trainer.state.global_step
            found = {"heldout/people/score": scores[step]} if scores[step] is not None else {}
            log_series(self._trainer, found)
            return found

        monkeypatch.setattr(HeldOut, "evaluate", evaluate_script)

    return script


def logged(trainer, key):
    return {entry["step"]: entry[key] for entry in trainer.state.log_history if key in entry}


def holds(trainer, folder: Path):
    own = trainer.model.state_dict()
    return all(torch.equal(own[name], value) for name, value in load_file(folder / "model.safetensors").items())


def test_the_numbers_are_those_of_evaluate(make_trainer, tmp_path):
    trainer = make_trainer(max_steps=2)
    held = HeldOut(trainer, {"people": HeldOutSet(TASK)}, every=1, targets=TARGETS)
    start = evaluate(Sampler(trainer.model, trainer.processing_class), TASK, TARGETS)
    trainer.train()
    after = evaluate(Sampler(trainer.model, trainer.processing_class), TASK, TARGETS, start=start.start)
    for step, found in ((0, start), (2, after)):
        expected = held_out_series(found)
        keys = ("score", "mean_regret", "aurc", "score/t=0.9", "regret/t=0", "abstained/t=0.9", "correct/t=0")
        for key in (*keys, *(["reading_gap"] if "reading_gap" in expected else [])):
            assert logged(trainer, f"heldout/people/{key}")[step] == pytest.approx(expected[key])
    assert (expected.get("reading_gap"), after.metrics["reading"]) == (after.metrics["reading_gap"], "lenient")
    rows = {row["target"]: row for row in after.metrics["by_target"]}
    assert expected["score"] == pytest.approx((rows[0.0]["score"] + rows[0.9]["score"]) / 2)
    assert list(logged(trainer, "heldout/people/score")) == [0, 1, 2]
    assert list(logged(trainer, "reward")) == [1, 2] == list(logged(trainer, "entropy"))  # TRL's stay TRL's
    assert (tmp_path / "heldout-people-start.json").exists()
    assert held.metric == "heldout/people/score"


def test_sets_do_not_share_keys_and_a_draw_is_the_same_every_time(make_trainer):
    trainer = make_trainer(max_steps=1)
    other = Task("others", (), QUESTIONS[:4], grader="f1", max_new_tokens=3)
    sets = {"people": HeldOutSet(TASK), "others": HeldOutSet(other)}
    held = HeldOut(trainer, sets, every=1, targets=TARGETS, limit=2)
    trainer.train()
    keys = {key for entry in trainer.state.log_history for key in entry if key.startswith("heldout/")}
    assert {key.split("/")[1] for key in keys} == {"people", "others", "seconds"}
    first, second = (held._ask("people", TASK) for _ in range(2))
    assert [r.id for r in first.records] == [r.id for r in second.records]
    assert len({r.id for r in first.records}) == 2


def test_it_changes_nothing_about_training(make_trainer):
    alone = make_trainer()
    alone.train()
    watched = make_trainer()  # which seeds
    HeldOut(watched, {"people": HeldOutSet(TASK)}, every=1, targets=TARGETS)
    watched.train()
    states = (dict(trainer.model.state_dict()) for trainer in (watched, alone))
    torch.testing.assert_close(*states, rtol=0, atol=0)


def test_the_best_checkpoint_is_the_result(make_trainer, scripted, tmp_path):
    scripted({0: 0.95, 1: 0.1, 2: 0.9, 3: 0.2, 4: 0.3})
    trainer = make_trainer(max_steps=4, save_total_limit=1, save_steps=3)
    HeldOut(trainer, {"people": HeldOutSet(TASK)}, every=1, keep_best=True)
    trainer.train()
    assert (trainer.state.best_metric, trainer.state.best_global_step) == (0.9, 2)
    assert holds(trainer, tmp_path / "checkpoint-2")
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]


def test_a_small_metric_can_be_the_best(make_trainer):
    trainer = make_trainer()
    held = HeldOut(trainer, {"people": HeldOutSet(TASK)}, every=1, keep_best=True)
    assert held._is_better(0.5, 0.4) and not held._is_better(0.3, 0.4)
    held.metric = "heldout/people/regret/t=0.9"
    assert held._is_better(0.3, 0.4) and not held._is_better(0.5, 0.4)


def test_what_is_logged_are_numbers_that_the_schema_knows():
    assert set(CURVES) <= set(names_of_numbers(OVERALL)) and set(CURVES_BY_TARGET) <= set(names_of_numbers(BY_TARGET))
    assert {*CURVES, *CURVES_BY_TARGET} >= SMALL_IS_BETTER


def test_the_best_survives_an_interruption(make_trainer, scripted, tmp_path):
    scores = {0: 0.0, 1: 0.9, 2: 0.5, 3: 0.2}
    scripted(scores)
    first = make_trainer(max_steps=2, save_steps=2)
    HeldOut(first, {"people": HeldOutSet(TASK)}, every=1, keep_best=True)
    first.train()
    again = make_trainer(max_steps=3, save_steps=2)
    HeldOut(again, {"people": HeldOutSet(TASK)}, every=1, keep_best=True)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert again.state.best_global_step == 1 and holds(again, tmp_path / "checkpoint-1")


def test_training_stops_when_nothing_gets_better(make_trainer, scripted):
    scripted({0: 1.0, 1: 0.1, 2: 0.3, 3: 0.2, 4: 0.1, 5: 0.9})
    trainer = make_trainer(max_steps=5)
    HeldOut(trainer, {"people": HeldOutSet(TASK)}, every=1, patience=2)
    trainer.train()
    assert trainer.state.global_step == 4


def test_what_was_not_graded_is_not_the_best(make_trainer, scripted):
    scripted({0: None, 1: None, 2: 0.1, 3: None})
    trainer = make_trainer()
    HeldOut(trainer, {"people": HeldOutSet(TASK)}, every=1, keep_best=True)
    trainer.train()
    assert trainer.state.best_global_step == 2


@pytest.mark.parametrize("cls", [GRPOTrainer, RLOOTrainer])
def test_contract_metric_for_best_model_of_stock_trainers(make_trainer, cls, tmp_path):
    """transformers hands the metrics that it decides by to `on_evaluate`, and looks at them afterwards."""
    trainer = make_trainer(
        cls,
        eval_dataset={"one": Dataset.from_list(ROWS[:4]), "two": Dataset.from_list(ROWS[4:])},
        eval_strategy="steps",
        eval_steps=1,
        save_steps=1,
        per_device_eval_batch_size=4,
        load_best_model_at_end=True,
        metric_for_best_model="heldout/people/score/t=0.9",
        greater_is_better=True,
    )
    HeldOut(trainer, {"people": HeldOutSet(TASK)}, targets=TARGETS)
    trainer.train()
    scores = logged(trainer, "heldout/people/score/t=0.9")
    assert list(scores) == [0, 1, 2, 3]  # once a step, though TRL evaluated two sets at each
    del scores[0]
    assert trainer.state.best_metric == max(scores.values())
    assert trainer.state.best_global_step == max(scores, key=scores.get)
    assert holds(trainer, tmp_path / f"checkpoint-{trainer.state.best_global_step}")


@pytest.mark.parametrize(
    ("options", "args", "message"),
    [
        ({"every": 1, "keep_best": True}, {"save_strategy": "no"}, "save_strategy='no'"),
        ({"keep_best": True}, {}, "a schedule of its own"),
    ],
)
def test_what_cannot_work_is_refused(make_trainer, options, args, message):
    with pytest.raises(ValueError, match=message):
        HeldOut(make_trainer(**args), {"people": HeldOutSet(TASK)}, **options)


def test_an_unknown_metric_is_named(make_trainer):
    trainer = make_trainer(max_steps=1)
    HeldOut(trainer, {"people": HeldOutSet(TASK)}, every=1, targets=TARGETS, metric="heldout/people/scor")
    with pytest.raises(ValueError, match=r"no 'heldout/people/scor'; there are: .*heldout/people/score"):
        trainer.train()


def test_effective_threshold_of_a_policy_that_keeps_to_the_true_probability():
    from abstain.evals.evaluation import Evaluation
    from abstain.evals.metrics.measuring import measure
    from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers
    from abstain.evals.records import Record
    from abstain.rewards.verdict import Verdict

    questions = [Question(str(i), "?", ("a",), metadata={"true_p": i / 100}) for i in range(100)]
    records = [
        Record(q.id, "t", "?", ("a",), t, "", "", "", verdict, None)
        for t in (0.5, 0.75)
        for q in questions
        for verdict in [Verdict.CORRECT if q.metadata["true_p"] > t else Verdict.ABSTAINED]
    ]
    nothing = ForcedAnswers.of([], [], [])
    evaluation = Evaluation(records, measure(records, model="m", task="t"), BaseGuesses("m", nothing, nothing))
    found = held_out_series(evaluation, questions)
    assert found["effective_threshold/t=0.5"] == pytest.approx(0.505)
    assert found["effective_threshold/t=0.75"] == pytest.approx(0.755)
    assert "regret/t=0.5" not in found  # there is no oracle, and no hole
    json.dumps(found, allow_nan=False)


SCRIPT = """
import json, sys
from trl import GRPOConfig
from abstain.rewards import ConfidenceTarget
from abstain.trainers.guards.options import GuardOptions
from abstain.trainers.guards.callback import Guards
from abstain.trainers.heldout import HeldOut, HeldOutSet
from abstain.trainers.trie.trainer import TrieGRPOTrainer
from tests.trainers.conftest import new_trainer
from tests.trainers.test_heldout import ROWS, TARGETS, TASK

guards = Guards(GuardOptions(every=1))
rewards = guards.wrap([ConfidenceTarget(grader="f1")])
options = {"per_device_train_batch_size": 8, "max_completion_length": 3, "gradient_checkpointing": True}
options |= {"output_dir": sys.argv[2], "save_strategy": "steps", "save_steps": 1}
trainer = new_trainer(TrieGRPOTrainer, GRPOConfig, ROWS, rewards, sys.argv[1], **options)
guards.attach(trainer)
HeldOut(trainer, {"people": HeldOutSet(TASK)}, every=1, targets=TARGETS, keep_best=True)
trainer.train()
groups = sum(group.n for group in guards._recent[-1])
print("FOUND", json.dumps([trainer.accelerator.process_index, groups, trainer.state.best_global_step, [
    entry for entry in trainer.state.log_history if "heldout/people/score" in entry]]))
"""


@pytest.mark.slow
def test_two_processes_find_the_same_and_count_all_completions(tiny_model_dir, tmp_path):
    found, _ = run_script(SCRIPT, tmp_path, tiny_model_dir, tmp_path / "out", processes=2)
    (_, first_groups, first_best, first), (_, second_groups, second_best, second) = sorted(found)
    assert first_groups == second_groups == 16 and first_best == second_best
    for entry in (*first, *second):
        del entry["heldout/seconds"]
    assert first == second
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    alone = held_out_series(evaluate(Sampler(model, tokenizer), TASK, TARGETS))
    assert first[0]["heldout/people/score"] == pytest.approx(alone["score"])
    assert first[0]["heldout/people/aurc"] == pytest.approx(alone["aurc"])
