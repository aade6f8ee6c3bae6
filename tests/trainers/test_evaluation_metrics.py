"""`compute_metrics` in TRL's evaluations: called once with everything, and decided by; and the one that grades."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from datasets import Dataset
from transformers import EarlyStoppingCallback
from trl import GRPOConfig, GRPOTrainer, RLOOConfig

from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers
from abstain.evals.models import load_model
from abstain.evals.tasks.question import Question
from abstain.rewards import ConfidenceTarget
from abstain.rewards.verdict import Verdict
from abstain.trainers.evaluation_metrics import EvaluationMetrics
from abstain.trainers.heldout import HeldOutSet
from abstain.trainers.ppo import PPOConfig, TriePPOTrainer
from abstain.trainers.rl import run_rl
from abstain.trainers.stages import RlStage
from abstain.trainers.trie.trainer import StockGRPOTrainer, StockRLOOTrainer, TrieGRPOTrainer, TrieRLOOTrainer
from abstain.trainers.verdict_metrics import VerdictMetrics

from .conftest import ROWS, TASK, run_script

KINDS = {
    "grpo": (StockGRPOTrainer, GRPOConfig),
    "grpo, trie": (TrieGRPOTrainer, GRPOConfig),
    "rloo": (StockRLOOTrainer, RLOOConfig),
    "rloo, trie": (TrieRLOOTrainer, RLOOConfig),
    "ppo, trie": (TriePPOTrainer, PPOConfig),
}
EVALUATED = {"eval_strategy": "steps", "eval_steps": 1, "per_device_eval_batch_size": 4, "num_generations_eval": 2}


def build(build_trainer, kind, compute_metrics, eval_dataset=None, **args):
    cls, config = KINDS[kind]
    eval_dataset = Dataset.from_list(ROWS[:5]) if eval_dataset is None else eval_dataset
    made = partial(cls, compute_metrics=compute_metrics)
    return build_trainer(made, config, ROWS, ConfidenceTarget(), eval_dataset=eval_dataset, **EVALUATED | args)


def logged(trainer, key):
    return {entry["step"]: entry[key] for entry in trainer.state.log_history if key in entry}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_called_once_with_all_completions_and_columns(build_trainer, kind):
    calls = []

    def compute_metrics(completions, **columns):
        calls.append({"completions": completions, **columns})
        return {"rows": len(completions), "nothing": None, "hole": float("nan"), "exact": np.float32(0.5)}

    trainer = build(build_trainer, kind, compute_metrics)
    trainer.train()
    assert len(calls) == 2  # for each of two steps, though each evaluation had three batches
    for call in calls:
        assert call.keys() == {"prompts", "completions", "completion_ids", "answers", "target", "question_id"}
        rows = zip(call["prompts"], call["target"], call["answers"], call["question_id"], strict=True)
        found = [{"prompt": p, "answers": a, "target": t, "question_id": q} for p, t, a, q in rows]
        assert sorted(map(str, found)) == sorted(map(str, [row for row in ROWS[:5] for _ in range(2)]))
        texts = trainer.processing_class.batch_decode(call["completion_ids"], skip_special_tokens=True)
        assert call["completions"] == texts
    assert logged(trainer, "eval_rows") == {1: 10, 2: 10} and logged(trainer, "eval_exact") == {1: 0.5, 2: 0.5}
    assert list(logged(trainer, "eval_reward")) == [1, 2] and not logged(trainer, "eval_nothing")
    assert "eval_hole" not in trainer.evaluate() and trainer.evaluate(metric_key_prefix="test")["test_rows"] == 10


def test_the_best_checkpoint_and_an_early_stop_go_by_it(build_trainer, tmp_path):
    scores = iter([0.1, 0.9, 0.5, 0.4, 1.0])
    saving = {"save_strategy": "steps", "save_steps": 1, "load_best_model_at_end": True, "max_steps": 5}
    trainer = build(
        build_trainer,
        "grpo, trie",
        lambda completions, **_: {"exact": next(scores)},
        metric_for_best_model="exact",
        **saving,
    )
    trainer.add_callback(EarlyStoppingCallback(early_stopping_patience=2))
    trainer.train()
    assert (trainer.state.global_step, trainer.state.best_global_step, trainer.state.best_metric) == (4, 2, 0.9)


def test_each_set_has_keys_of_its_own(build_trainer):
    sets = {"few": Dataset.from_list(ROWS[:2]), "more": Dataset.from_list(ROWS[2:5])}
    trainer = build(build_trainer, "grpo", lambda completions, **_: {"rows": len(completions)}, sets, max_steps=1)
    trainer.train()
    assert logged(trainer, "eval_few_rows") == {1: 4} and logged(trainer, "eval_more_rows") == {1: 6}


def test_it_changes_nothing_about_training(build_trainer):
    trainers = [build(build_trainer, "grpo", measure) for measure in (None, lambda completions, **_: {"one": 1})]
    for trainer in trainers:
        trainer.train()
    weights = [trainer.model.state_dict() for trainer in trainers]
    assert all((weights[0][name] == weight).all() for name, weight in weights[1].items())


@pytest.mark.parametrize("wrong", [0.5, {"exact": "0.5"}, None, {"exact": [1]}])
def test_what_is_no_dictionary_of_numbers_is_refused(build_trainer, wrong):
    trainer = build(build_trainer, "grpo", lambda completions, **_: wrong)
    with pytest.raises(ValueError, match="must return a dictionary of numbers by name"):
        trainer.evaluate()


def test_one_that_takes_predictions_is_told_what_to_take():
    for wrong in (lambda eval_pred: {}, lambda predictions, labels: {}, lambda completions: {}):
        with pytest.raises(ValueError, match=r"write it as: def compute_metrics\(completions, answers, \*\*columns\)"):
            EvaluationMetrics(compute_metrics=wrong)


def test_contract_trl_has_none_of_its_own():
    """Once it has, this mixin can go, and its users keep their argument if TRL's is called alike."""
    import inspect

    assert "compute_metrics" not in inspect.signature(GRPOTrainer.__init__).parameters


PROCESSES = """
import json, sys
from functools import partial
from datasets import Dataset
from trl import GRPOConfig
from abstain.rewards import ConfidenceTarget
from abstain.trainers.trie.trainer import TrieGRPOTrainer
from tests.trainers.conftest import ROWS, new_trainer

model, output = sys.argv[1:]

def compute_metrics(completions, question_id, target, **columns):
    asked = sorted(f"{question} {t}" for question, t in zip(question_id, target))
    return {"rows": len(completions), "distinct": len(set(asked)), "rank": trainer.accelerator.process_index}

def fails(completions, **columns):
    raise KeyError("no such thing")

args = {"per_device_eval_batch_size": 2, "num_generations_eval": 1, "per_device_train_batch_size": 8}
made = partial(TrieGRPOTrainer, compute_metrics=compute_metrics)
held = Dataset.from_list(ROWS[:7])
trainer = new_trainer(made, GRPOConfig, ROWS, ConfidenceTarget(), model, eval_dataset=held, output_dir=output, **args)
found = trainer.evaluate()
trainer._measure = fails
try:
    trainer.evaluate()
except (KeyError, ValueError) as error:
    said = f"{type(error).__name__}: {error}"
rank = trainer.accelerator.process_index
for turn in range(2):
    trainer.accelerator.wait_for_everyone()
    if turn == rank:
        print("FOUND", json.dumps([rank, *(found[f"eval_{name}"] for name in ("rows", "distinct", "rank")), said]))
"""


@pytest.mark.slow
def test_two_processes_find_the_same_of_every_row_once(tiny_model_dir, tmp_path):
    """Seven rows in batches of two by two processes: the last ones are filled up, and that must not count."""
    found, _ = run_script(PROCESSES, tmp_path, tiny_model_dir, tmp_path / "out", processes=2)
    assert sorted(found) == [
        [0, 7, 7, 0, "KeyError: 'no such thing'"],
        [1, 7, 7, 0, "ValueError: compute_metrics failed in the main process: 'no such thing'"],
    ]


# The one that grades


ASKED = {
    "completions": ["Lima", "Oslo", "I don't know", "Lima"],
    "answers": [["Lima"]] * 4,
    "question_id": ["a", "b", "a", "b"],
    "target": [0.0, 0.0, 0.75, 0.75],
}


def test_numbers_by_hand():
    found = VerdictMetrics()(**ASKED)
    assert found == {
        "score": 0.5,
        **{"score/t=0": 0.5, "correct/t=0": 0.5, "incorrect/t=0": 0.5, "abstained/t=0": 0.0},
        **{"score/t=0.75": 0.5, "correct/t=0.75": 0.5, "incorrect/t=0.75": 0.0, "abstained/t=0.75": 0.5},
        **{"accuracy_attempted/t=0": 0.5, "accuracy_attempted/t=0.75": 1.0},
    }


def test_regret_is_to_what_the_start_could_have_scored():
    """It was right on b alone, and surer of it. So its oracle scores 1/2 at 0.75, as the completions do."""
    verdicts = [Verdict.INCORRECT, Verdict.CORRECT]
    guesses = ForcedAnswers.of(["a", "b", "c"], [*verdicts, Verdict.CORRECT], [0.2, 0.9, 0.9])
    start = BaseGuesses("m", ForcedAnswers.of(["x", "y"], verdicts, [0.3, 0.8]), guesses)
    found = VerdictMetrics(start=start)(**ASKED)
    assert (found["regret/t=0"], found["regret/t=0.75"], found["mean_regret"]) == (0.0, 0.0, 0.0)
    silent = ASKED | {"completions": ["I don't know"] * 4}
    assert VerdictMetrics(start=start)(**silent)["regret/t=0.75"] == 0.5
    with pytest.raises(ValueError, match="no forced answer to 1 questions, such as 'z'"):
        VerdictMetrics(start=start)(**ASKED | {"question_id": ["a", "z", "a", "b"]})


def test_cut_off_and_other_readings_count_as_in_rewards():
    rambling = ASKED | {"completions": ["It is Lima, I think. Or Oslo."] * 4}
    assert VerdictMetrics(reading="strict")(**rambling)["correct/t=0"] == 0
    ids = [[5, 2], [5, 2], [5, 6], [5, 2]]  # the third one was cut off: it says nothing
    found = VerdictMetrics(eos_token_ids=[2])(**ASKED, completion_ids=ids)
    assert found["abstained/t=0.75"] == 0


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="no column 'target' in the data set"):
        VerdictMetrics()(completions=["Lima"], answers=[["Lima"]])


def stage(**more):
    args = {"max_steps": 2, "num_generations": 4, "per_device_train_batch_size": 16, "logging_steps": 1}
    args |= {"use_cpu": True, "bf16": False, "disable_tqdm": True, "gradient_checkpointing": False}
    return RlStage(args=args | {"eval_strategy": "steps", "eval_steps": 1} | more)


def test_a_recipe_has_its_held_out_questions_evaluated(tmp_path, tiny_model_dir):
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    held = (Question("k", "Where was Ed born?", ("Lima",)), Question("l", "Where was Flo born?", ("Rome",)))
    ids, verdicts = ["k", "l"], [Verdict.CORRECT, Verdict.INCORRECT]
    start = BaseGuesses("m", ForcedAnswers.of([], [], []), ForcedAnswers.of(ids, verdicts, [0.9, 0.1]))
    task = replace(TASK, held_out=held)
    held_out = {"sets": {"people": HeldOutSet(task, start)}, "targets": [0.0, 0.5], "every": None}
    saving = {
        "save_strategy": "steps",
        "save_steps": 1,
        "load_best_model_at_end": True,
        "metric_for_best_model": "score",
    }
    trainer = run_rl(
        loaded.model, loaded.tokenizer, task, stage(**saving), output_dir=tmp_path, seed=0, held_out=held_out
    )
    assert len(trainer.eval_dataset) == 4 and set(trainer.eval_dataset["question_id"]) == {"k", "l"}
    history = json.loads((tmp_path / "trainer_state.json").read_text())["log_history"]
    scores = {entry["step"]: entry["eval_score"] for entry in history if "eval_score" in entry}
    assert list(scores) == [1, 2] and trainer.state.best_metric == max(scores.values())
    assert not any("heldout/people/score" in entry for entry in history)
    assert [entry for entry in history if "eval_mean_regret" in entry and "eval_abstained/t=0.5" in entry]


def test_without_held_out_questions_it_is_told(tmp_path, tiny_model_dir):
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    with pytest.raises(ValueError, match="eval_strategy needs one set of held-out questions"):
        run_rl(loaded.model, loaded.tokenizer, TASK, stage(), output_dir=tmp_path, seed=0)
