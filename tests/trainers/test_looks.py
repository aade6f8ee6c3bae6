"""Looks at what a model says while it is taught: rows by part and category, the same weights, the best epoch kept."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from abstain.evals.knowledge.fitting import looks_of
from abstain.evals.knowledge.labels import Category
from abstain.evals.models import load_model
from abstain.evals.records import read_rows
from abstain.evals.sampler import Sampler
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.prompts import prompt_text
from abstain.rewards.verdict import Verdict
from abstain.trainers import sft
from abstain.trainers.looks import Looks, is_dev, questions_to_ask
from abstain.trainers.sft import run_sft
from abstain.trainers.stages import SftStage

from ..conftest import CITIES, PEOPLE


def person(number: int, name: str, relation: str = "birthplace") -> Question:
    return Question(
        f"{relation}-{number}", f"Where was {name} born?", (CITIES[number % 4],), name, {"relation": relation}
    )


TRAIN = tuple(person(i, name) for i, name in enumerate(PEOPLE[:4]))
HELD_OUT = (*(person(i, name) for i, name in enumerate(PEOPLE[4:], 4)), person(0, "Lima", "seat"))
TASK = Task("people", TRAIN, HELD_OUT, max_new_tokens=2)
ARGS = {
    "num_train_epochs": 3,
    "per_device_train_batch_size": 2,
    "learning_rate": 0.03,
    "use_cpu": True,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
}


def stage_of(args: dict | None = None, **looks: object) -> SftStage:
    return SftStage(answers="gold", idk_share=0, instruct="nothing", looks=looks, args=ARGS | (args or {}))


def trained(folder: Path, model_dir: Path, stage: SftStage, *, resume: bool = False, **options: object):
    """A trainer that is done, and the weights that it left."""
    loaded = load_model(str(model_dir), dtype="float32")
    trainer = run_sft(loaded.model, loaded.tokenizer, TASK, stage, output_dir=folder, seed=0, resume=resume, **options)
    return trainer, {name: value.clone() for name, value in loaded.model.state_dict().items()}


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


class Killed(Exception):
    pass


@pytest.fixture
def killed_at(monkeypatch):
    """`killed_at(step)`: from now on training ends there, with everything saved; `killed_at(None)` as it should."""

    def kill(step: int | None) -> None:
        class Killer(TrainerCallback):
            def on_step_begin(self, args, state, control, **kwargs):
                if state.global_step == step:
                    raise Killed

        def build(*args, **kwargs):
            Looks(*args, **kwargs)
            args[0].add_callback(Killer())

        monkeypatch.setattr(sft, "Looks", build)

    return kill


@pytest.fixture
def scripted(monkeypatch):
    """`scripted({step: right})`: how many of the two dev questions are right at each step, whatever the model says."""

    def script(right: dict[int, int]) -> None:
        def count(self):
            found = right[self._trainer.state.global_step]
            verdicts = {Verdict.CORRECT: found, Verdict.INCORRECT: 2 - found}
            return Counter({("dev", "", verdict): n for verdict, n in verdicts.items()})

        monkeypatch.setattr(Looks, "_ask", count)

    return script


# What is asked


def test_a_fifth_of_the_held_out_questions_is_for_the_early_stop() -> None:
    ids = [f"P{number}" for number in range(5000)]
    assert 900 < sum(map(is_dev, ids)) < 1100
    assert [is_dev(one) for one in ids] == [is_dev(one) for one in ids]


def test_questions_are_parted_by_relation_and_id() -> None:
    rows = [{"question_id": q.id, "prompt": q.question} for q in TRAIN]
    asked = questions_to_ask(TASK, [*rows, rows[0]], stage_of(), 0, {TRAIN[0].id: "HighlyKnown"})
    parts = {one.question.id: one.part for one in asked}
    assert len(asked) == len(parts) == 9  # the one that is trained twice is asked once
    assert {parts[q.id] for q in TRAIN} == {"train"} and parts["seat-0"] == "other"
    assert {q.id: parts[q.id] == "dev" for q in HELD_OUT[:4]} == {q.id: is_dev(q.id) for q in HELD_OUT[:4]}
    assert {one.category for one in asked} == {"HighlyKnown", ""}


def test_held_out_questions_are_those_with_a_category_where_there_are_some() -> None:
    rows = [{"question_id": q.id, "prompt": q.question} for q in TRAIN]
    categories = {HELD_OUT[0].id: "Unknown", HELD_OUT[4].id: "MaybeKnown"}
    asked = [one for one in questions_to_ask(TASK, rows, stage_of(), 0, categories) if one.part != "train"]
    assert {one.question.id: one.category for one in asked} == categories


def test_no_more_is_asked_than_said_and_the_same_for_a_seed() -> None:
    rows = [{"question_id": q.id, "prompt": q.question} for q in TRAIN]
    asked = questions_to_ask(TASK, rows, stage_of(train=2, held_out=3), 5)
    assert [one.part == "train" for one in asked] == [True] * 2 + [False] * 3
    assert asked == questions_to_ask(TASK, rows, stage_of(train=2, held_out=3), 5)
    assert asked != questions_to_ask(TASK, rows, stage_of(train=2, held_out=3), 6)


def test_held_out_prompts_say_what_the_stage_says() -> None:
    stage = SftStage(targets=[0.75], looks={})
    rows = [{"question_id": TRAIN[0].id, "prompt": "any"}]
    asked = questions_to_ask(TASK, rows, stage, 0)
    assert [one.prompt for one in asked] == ["any", *(prompt_text(q.question, 0.75) for q in HELD_OUT)]


def test_a_model_that_is_told_nothing_of_relations_has_no_other_part() -> None:
    plain = Task("plain", (Question("a", "A?", ("x",)),), (Question("b", "B?", ("x",)),))
    rows = [{"question_id": "a", "prompt": "A?"}]
    assert {one.part for one in questions_to_ask(plain, rows, stage_of(), 0)} <= {"train", "dev", "test"}


# Rows


def test_rows_count_what_the_model_says(tmp_path, tiny_model_dir) -> None:
    known = {question.id: SimpleNamespace(category=Category.UNKNOWN) for question in TRAIN[:2]}
    stage = stage_of(epochs=[2], args={"num_train_epochs": 2, "learning_rate": 0.05})
    trainer, _ = trained(tmp_path, tiny_model_dir, stage, known=known)
    rows = read_rows(tmp_path / "looks.jsonl")
    assert list(rows[0]) == ["epoch", "step", "part", "category", "n", "correct", "incorrect", "abstained"]
    assert sorted({(row["epoch"], row["step"]) for row in rows}) == [(0, 0), (2, 4)]
    there = [(row["part"], row["category"], row["n"]) for row in rows if row["step"] == 4]
    assert there[:2] == [("train", "", 2), ("train", "Unknown", 2)]
    assert sum(n for part, _, n in there if part in ("dev", "test")) == 4 and there[-1] == ("other", "", 1)
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    loaded.model.load_state_dict(trainer.model.state_dict())
    said = Sampler(loaded.model, loaded.tokenizer).sample([q.question for q in TRAIN], max_new_tokens=2)
    right = sum(row[0].text.strip() == q.gold[0] for row, q in zip(said, TRAIN, strict=True))
    assert sum(row["correct"] for row in rows if row["step"] == 4 and row["part"] == "train") == right
    last = [entry for entry in trainer.state.log_history if "looks/train" in entry][-1]
    assert (last["step"], last["looks/train"]) == (4, right / 4)


def test_facts_that_are_taught_long_enough_are_fitted(tmp_path, tiny_model_dir) -> None:
    trained(
        tmp_path, tiny_model_dir, stage_of(epochs=[1], args={"num_train_epochs": 30, "per_device_train_batch_size": 4})
    )
    start, _, end = looks_of(read_rows(tmp_path / "looks.jsonl"))
    assert (start.epoch, end.epoch) == (0, 30) and start.share("train") < 1 and end.share("train") == 1


def test_idk_is_counted_as_abstained(tmp_path, tiny_model_dir) -> None:
    stage = SftStage(answers="gold", idk_share=0.99, targets=[0.9], looks={}, args=ARGS | {"num_train_epochs": 20})
    task = Task("people", TRAIN, HELD_OUT, max_new_tokens=4)
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    run_sft(loaded.model, loaded.tokenizer, task, stage, output_dir=tmp_path, seed=0)
    last = [row for row in read_rows(tmp_path / "looks.jsonl") if row["epoch"] == 20]
    assert all((row["abstained"], row["correct"], row["incorrect"]) == (row["n"], 0, 0) for row in last)


def test_the_end_is_looked_at_where_no_epoch_is(tmp_path, tiny_model_dir) -> None:
    trained(tmp_path, tiny_model_dir, stage_of(args={"max_steps": 3}))
    assert sorted({row["epoch"] for row in read_rows(tmp_path / "looks.jsonl")}) == [0, 1, 1.5]


def test_looks_change_no_weight(tmp_path, tiny_model_dir) -> None:
    _, with_looks = trained(tmp_path / "a", tiny_model_dir, stage_of(epochs=[1, 2]))
    without = stage_of().model_copy(update={"looks": None})
    _, plain = trained(tmp_path / "b", tiny_model_dir, without)
    assert same(with_looks, plain) and not (tmp_path / "b" / "looks.jsonl").exists()


# Resumed


def test_a_resumed_run_has_the_rows_of_an_unbroken_one(tmp_path, tiny_model_dir, killed_at) -> None:
    stage = stage_of(epochs=[1, 2, 3], args={"save_steps": 3})
    killed_at(None)
    _, expected = trained(tmp_path / "unbroken", tiny_model_dir, stage)
    killed_at(5)
    with pytest.raises(Killed):
        trained(tmp_path / "killed", tiny_model_dir, stage)
    rows = read_rows(tmp_path / "killed" / "looks.jsonl")
    assert {row["step"] for row in rows} == {0, 2, 4}  # and the checkpoint is at step 3
    killed_at(None)
    _, weights = trained(tmp_path / "killed", tiny_model_dir, stage, resume=True)
    found, unbroken = (read_rows(tmp_path / name / "looks.jsonl") for name in ("killed", "unbroken"))
    assert found == unbroken and {row["step"] for row in found} == {0, 2, 4, 6} and same(weights, expected)


def test_a_run_that_begins_anew_has_no_rows_of_before(tmp_path, tiny_model_dir) -> None:
    trained(tmp_path, tiny_model_dir, stage_of(epochs=[1, 2, 3]))
    trained(tmp_path, tiny_model_dir, stage_of(epochs=[1], args={"num_train_epochs": 1}))
    assert {row["step"] for row in read_rows(tmp_path / "looks.jsonl")} == {0, 2}


# The best epoch


def test_the_best_epoch_is_kept_and_not_the_start_nor_the_last(tmp_path, tiny_model_dir, scripted) -> None:
    scripted({0: 2, 2: 0, 4: 1, 6: 1})
    trainer, weights = trained(tmp_path / "best", tiny_model_dir, stage_of(epochs=[1, 2, 3], keep_best=True))
    assert trainer.state.best_global_step == 4 and trainer.state.best_metric == 0.5
    stage = stage_of().model_copy(update={"looks": None, "args": ARGS | {"save_steps": 4, "save_total_limit": 3}})
    trained(tmp_path / "plain", tiny_model_dir, stage)
    expected = load_file(tmp_path / "plain" / "checkpoint-4" / "model.safetensors")
    assert same(expected, weights)


def test_the_best_epoch_is_kept_by_a_resumed_run(tmp_path, tiny_model_dir, scripted, killed_at) -> None:
    scripted({0: 0, 2: 2, 4: 1, 6: 0})
    stage = stage_of(epochs=[1, 2, 3], keep_best=True, args={"save_steps": 5})
    killed_at(None)
    _, expected = trained(tmp_path / "unbroken", tiny_model_dir, stage)
    for step in (3, 5):
        killed_at(step)
        with pytest.raises(Killed):
            trained(tmp_path / "killed", tiny_model_dir, stage, resume=step > 3)
    killed_at(None)
    trainer, weights = trained(tmp_path / "killed", tiny_model_dir, stage, resume=True)
    assert trainer.state.best_global_step == 2 and same(weights, expected)
    assert read_rows(tmp_path / "killed" / "looks.jsonl") == read_rows(tmp_path / "unbroken" / "looks.jsonl")


@pytest.mark.parametrize(
    ("args", "task", "told"),
    [
        ({"save_strategy": "no"}, TASK, "args.save_strategy: steps"),
        ({"metric_for_best_model": "loss"}, TASK, "metric_for_best_model out of args"),
        ({}, Task("people", TRAIN, HELD_OUT[4:]), "held-out questions of trained relations, and none are asked"),
    ],
)
def test_keep_best_says_what_it_needs(tmp_path, tiny_model_dir, args, task, told) -> None:
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    with pytest.raises(ValueError, match=told):
        stage = stage_of(keep_best=True, args=args)
        run_sft(loaded.model, loaded.tokenizer, task, stage, output_dir=tmp_path, seed=0)


@pytest.mark.parametrize("looks", [{"epochs": [0]}, {"epochs": []}, {"epoch": [1]}, {"train": 0}])
def test_bad_options_are_refused(looks) -> None:
    with pytest.raises(ValueError, match="looks"):
        SftStage(looks=looks)
