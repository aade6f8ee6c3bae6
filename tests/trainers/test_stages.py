"""The two training stages: what they refuse, what they feed TRL, and that both really train."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest
from pydantic import ValidationError

from abstain.evals.models import load_model
from abstain.evals.sampling import Completion
from abstain.evals.tasks.question import Task
from abstain.rewards import ConfidenceTarget, TernaryCredit
from abstain.rewards.graders import GRADERS
from abstain.rewards.parsing.completion import parse
from abstain.rewards.prompts import CONFIDENCE_INSTRUCTION, IDK, instruction
from abstain.rewards.response import AnswerFormat
from abstain.rewards.verdict import Verdict
from abstain.trainers.dataset import draw, rl_dataset
from abstain.trainers.rl import build_rewards, build_rl_config, check_answer_formats, run_rl
from abstain.trainers.sft import LEVELS, Guess, _guesses, examples, run_sft
from abstain.trainers.stages import RlStage, SftStage
from abstain.trainers.trl_args import (
    CHOICES,
    ThresholdDriftError,
    check_threshold_drift,
    check_trl_args,
    config_class,
)

from .conftest import QUESTIONS, TASK

PLAIN = SimpleNamespace(chat_template=None)
TINY_RL = {"max_steps": 2, "num_generations": 2, "per_device_train_batch_size": 4, "logging_steps": 1, "save_steps": 1}


def grpo_config(**fields: object) -> SimpleNamespace:
    return SimpleNamespace(**({"scale_rewards": "none", "multi_objective_aggregation": "sum_then_normalize"} | fields))


# Data


def test_every_question_is_asked_at_every_target() -> None:
    data = rl_dataset(TASK, [0, 0.75], PLAIN)
    assert len(data) == 2 * len(QUESTIONS)
    assert set(data.column_names) == {"prompt", "answers", "target", "question_id", "question"}
    row = data[1]
    assert row["prompt"] == f"{QUESTIONS[0].question}\n{instruction(0.75)}"
    assert (row["answers"], row["target"]) == (["Lima"], 0.75)


def test_an_unstated_target_still_reaches_the_reward() -> None:
    data = rl_dataset(TASK, [0.75], PLAIN, instruct="nothing")
    assert data[0]["prompt"] == QUESTIONS[0].question
    assert data[0]["target"] == 0.75


def test_a_question_that_asks_for_a_confidence_is_asked_once_and_of_no_target() -> None:
    data = rl_dataset(TASK, [0, 0.75], PLAIN, instruct="confidence")
    assert len(data) == len(QUESTIONS) and set(data["target"]) == {None}
    assert data[0]["prompt"] == f"{QUESTIONS[0].question}\n{CONFIDENCE_INSTRUCTION}"


def test_chat_models_get_conversations() -> None:
    data = rl_dataset(TASK, [0.0], SimpleNamespace(chat_template="{{ messages }}"))
    assert data[0]["prompt"][0]["role"] == "user"


def test_no_training_questions() -> None:
    with pytest.raises(ValueError, match="no training questions"):
        rl_dataset(Task("x", (), QUESTIONS), [0.5], PLAIN)


def test_draw_is_seeded() -> None:
    assert draw(QUESTIONS, 3, 1) == draw(QUESTIONS, 3, 1) != draw(QUESTIONS, 3, 2)
    assert draw(QUESTIONS, 100, 0) == list(QUESTIONS)


# Warm-up examples


def taught(stage: SftStage, guess: Guess | None, seed: int = 0) -> list[str]:
    rows = examples(TASK, QUESTIONS * 50, [guess] * 50 * len(QUESTIONS), stage, seed)
    return [row["completion"] for row in rows]


def test_a_random_share_says_idk_but_never_at_zero() -> None:
    guess = Guess("Oslo", 0.4, False)
    rows = list(examples(TASK, QUESTIONS * 50, [guess] * 400, SftStage(idk_share=0.3, targets=[0, 0.5]), 0))
    said = [row["completion"] == IDK for row in rows if row["target"] == 0.5]
    assert not any(row["completion"] == IDK for row in rows if row["target"] == 0)
    assert 0.2 < sum(said) / len(said) < 0.4
    assert {row["completion"] for row in rows} == {IDK, "Oslo"}


def test_unsure_compares_the_probability_with_the_target() -> None:
    stage = SftStage(idk="unsure", targets=[0, 0.5, 0.9])
    rows = list(examples(TASK, QUESTIONS * 50, [Guess("Oslo", 0.7, False)] * 400, stage, 0))
    assert {(row["target"], row["completion"]) for row in rows} == {(0, "Oslo"), (0.5, "Oslo"), (0.9, IDK)}


def test_known_teaches_only_right_guesses_and_gold_asks_no_model() -> None:
    assert taught(SftStage(answers="known", targets=[0]), Guess("Oslo", 0.9, False)) == []
    assert set(taught(SftStage(answers="known", targets=[0]), Guess("Lima", 0.9, True))) == {"Lima"}
    assert set(taught(SftStage(answers="gold", targets=[0]), None)) == {"Lima"}


@pytest.mark.parametrize("answer_format", get_args(AnswerFormat))
def test_the_format_that_is_taught_is_the_format_that_is_read(answer_format: AnswerFormat) -> None:
    """Answers are written in the task's format, which reads them back; "I don't know" needs none."""
    task = replace(TASK, answer_format=answer_format)
    for stage in (SftStage(idk_share=0.5, targets=[0.5]), SftStage(instruct="confidence", idk_share=0.5)):
        rows = list(examples(task, QUESTIONS * 20, [Guess("Oslo", 0.74, False)] * 20 * len(QUESTIONS), stage, 0))
        written = {row["completion"] for row in rows}
        assert IDK in written and len(written) == 2
        said = parse(max(written - {IDK}), answer_format="auto" if answer_format == "harmony" else answer_format)
        assert said.answer == "Oslo" and not said.malformed
        assert said.confidence == (0.75 if stage.instruct == "confidence" else None)
        assert parse(IDK, answer_format=answer_format).abstained


def test_guesses_are_read_leniently_and_with_their_question(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def grade_toy(answer: str, gold: list[str], question: str = "", reading: str = "lenient") -> Verdict:
        asked.append((question, reading))
        return Verdict.CORRECT

    monkeypatch.setitem(GRADERS, TASK.grader, grade_toy)
    sampler = SimpleNamespace(
        sample=lambda prompts, **_: [[Completion("Oslo", 0.0, 1, truncated=False)] for _ in prompts]
    )
    found = _guesses(sampler, TASK, QUESTIONS, SftStage())  # type: ignore[arg-type]
    assert all(guess and guess.correct for guess in found)
    assert asked == [(question.question, "lenient") for question in QUESTIONS]


# Rewards and formats


def test_rewards_read_the_tasks_format_strictly_unless_they_say_otherwise() -> None:
    own = {"name": "truthrl", "args": {"reading": "lenient", "answer_format": "json", "grader": "exact"}}
    stage = RlStage(rewards=[{"name": "ConfidenceTarget"}, own])
    first, second = build_rewards(stage, "f1", "plain")
    assert (first.grader, first.reading, first.answer_format) == ("f1", "strict", "plain")
    assert (second.grader, second.reading, second.answer_format) == ("exact", "lenient", "json")


def test_rl_refuses_to_pay_for_any_format_where_prompts_ask_for_one(tmp_path: Path) -> None:
    task = replace(TASK, template="{question}\n{instruction}\nPut the answer in \\\\boxed{}.")
    tokenizer = SimpleNamespace(chat_template=None, eos_token_id=1, pad_token_id=0)
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=1))
    stage = RlStage(args=TINY_RL | {"use_cpu": True})
    with pytest.raises(ValueError, match=r"taught to answer in the format 'boxed'.* Set answer_format: boxed"):
        run_rl(model, tokenizer, task, stage, output_dir=tmp_path, seed=0)  # type: ignore[arg-type]
    check_answer_formats(build_rewards(stage, answer_format="boxed"), "boxed")
    check_answer_formats(build_rewards(stage, answer_format="plain"), "boxed")  # whoever says so means it
    check_answer_formats(build_rewards(stage), None)


@pytest.mark.parametrize(
    ("probability", "stated"),
    [(0.0, "0.05"), (0.24, "0.25"), (0.5, "0.55"), (0.51, "0.55"), (0.89, "0.85"), (0.91, "0.95"), (1.0, "0.95")],
)
def test_the_models_own_confidence_is_stated_after_its_answer(probability: float, stated: str) -> None:
    stage = SftStage(instruct="confidence")
    rows = list(examples(TASK, QUESTIONS, [Guess("Oslo", probability, False)] * 8, stage, 0))
    assert {row["completion"] for row in rows} == {f"Oslo. Confidence: {stated}"} and len(rows) == 8
    assert {row["target"] for row in rows} == {None}
    assert all(row["prompt"].endswith(CONFIDENCE_INSTRUCTION) for row in rows)
    response = parse(rows[0]["completion"])
    assert (response.answer, response.confidence) == ("Oslo", float(stated))


def test_random_confidence_goes_with_any_answer_and_idk_with_none() -> None:
    stage = SftStage(instruct="confidence", confidence="random", answers="gold", idk_share=0.25)
    said = Counter(taught(stage, None))
    assert 60 < said.pop(IDK) < 140
    assert set(said) == {f"Lima. Confidence: {level:g}" for level in LEVELS}
    assert min(said.values()) > 5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"instruct": "confidence", "idk": "unsure"}, "set idk: random"),
        ({"instruct": "confidence", "answers": "gold"}, "the model's own guess"),
        ({"confidence": "random"}, "set instruct: confidence"),
    ],
)
def test_fields_that_go_against_the_instruction(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SftStage(**fields)


# What is refused


@pytest.mark.parametrize(
    ("algorithm", "config", "remedy"),
    [
        ("grpo", grpo_config(scale_rewards="group"), "scale_rewards: none"),
        ("grpo", grpo_config(scale_rewards="batch"), "scale_rewards: none"),
        ("grpo", grpo_config(scale_rewards=True), "scale_rewards: none"),
        ("grpo", grpo_config(multi_objective_aggregation="normalize_then_sum"), "sum_then_normalize"),
        ("rloo", SimpleNamespace(normalize_advantages=True), "normalize_advantages: false"),
    ],
)
def test_scaling_that_moves_a_threshold_is_refused(algorithm: str, config: SimpleNamespace, remedy: str) -> None:
    with pytest.raises(ThresholdDriftError, match=remedy):
        check_threshold_drift([ConfidenceTarget()], algorithm, config)


def test_scaling_without_a_threshold_is_allowed() -> None:
    check_threshold_drift([ConfidenceTarget()], "grpo", grpo_config())
    check_threshold_drift([ConfidenceTarget()], "grpo", grpo_config(scale_rewards=False))
    check_threshold_drift([TernaryCredit.preset("truthrl")], "grpo", grpo_config(scale_rewards="group"))


def test_the_default_stage_does_not_drift(tmp_path: Path) -> None:
    for algorithm in ("grpo", "rloo"):
        config = build_rl_config(TASK, RlStage(algorithm=algorithm), tmp_path, 0)
        check_threshold_drift([ConfidenceTarget()], algorithm, config)


def test_a_seed_for_each_completion_is_refused(tmp_path: Path) -> None:
    """vLLM in the same process gets a request for each completion, all with that seed."""
    args = {"use_vllm": True, "vllm_mode": "colocate", "generation_kwargs": {"seed": 3}}
    with pytest.raises(ValueError, match="seed=3 would draw every completion of a group alike"):
        build_rl_config(TASK, RlStage(args=args), tmp_path, 0)
    build_rl_config(TASK, RlStage(args=args | {"vllm_mode": "server"}), tmp_path, 0)


def test_a_recipe_that_drifts_is_refused_unless_it_insists(tmp_path: Path, tiny_model_dir: Path) -> None:
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    stage = RlStage(args=TINY_RL | {"scale_rewards": "group", "max_steps": 1})
    with pytest.raises(ThresholdDriftError):
        run_rl(loaded.model, loaded.tokenizer, TASK, stage, output_dir=tmp_path, seed=0)
    insists = stage.model_copy(update={"allow_threshold_drift": True})
    run_rl(loaded.model, loaded.tokenizer, TASK, insists, output_dir=tmp_path, seed=0)


def test_fewer_prompts_than_a_batch(tmp_path: Path, tiny_model_dir: Path) -> None:
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    stage = RlStage(limit=2, targets=[0.5], args=TINY_RL | {"per_device_train_batch_size": 64})
    with pytest.raises(ValueError, match=r"2 training prompts .* fewer than the 32 of one batch"):
        run_rl(loaded.model, loaded.tokenizer, TASK, stage, output_dir=tmp_path, seed=0)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"learning_rat": 1}, "no field 'learning_rat'. Did you mean 'learning_rate'"),
        ({"learning_rate": "fast"}, "learning_rate='fast': .*number"),
        ({"loss_typ": "dapo"}, "Did you mean 'loss_type'"),
        ({"scale_rewards": "grup"}, "must be true, false, 'group', 'batch' or 'none'"),
        ({"output_dir": "x"}, "set output_dir at the top"),
        ({"remove_unused_columns": True}, "always kept"),
    ],
)
def test_trl_fields_are_checked(args: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_trl_args("GRPOConfig", args)


def test_trl_still_has_the_fields_whose_choices_are_ours() -> None:
    """TRL does not check these itself; if it renames one, our check has to follow."""
    assert set(CHOICES) <= set(vars(config_class("GRPOConfig")("x", use_cpu=True, bf16=False)))


# Both train


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
@pytest.mark.parametrize("share_prefixes", [True, False])
def test_rl_changes_the_model(tmp_path: Path, tiny_model_dir: Path, algorithm: str, share_prefixes: bool) -> None:
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    before = {name: value.clone() for name, value in loaded.model.named_parameters()}
    stage = RlStage(algorithm=algorithm, share_prefixes=share_prefixes, args=TINY_RL | {"learning_rate": 0.1})
    stage.rewards[0].args = {"grader": "f1"}  # random words are never right, but a reward that differs is needed
    run_rl(loaded.model, loaded.tokenizer, TASK, stage, output_dir=tmp_path, seed=0)
    moved = {name for name, value in loaded.model.named_parameters() if not value.equal(before[name])}
    log = (tmp_path / "trainer_state.json").read_text()
    assert '"global_step": 2' in log
    assert "abstention/t=0.5" in log or "abstention/t=0.75" in log or "abstention/t=0.9" in log
    alike = [entry["frac_reward_zero_std"] for entry in json.loads(log)["log_history"] if "reward" in entry]
    assert len(alike) == 2 and bool(moved) == (min(alike) < 1)
    assert log.count('"reading/gap": ') == 2


def test_sft_teaches_and_resumes_on_the_same_examples(tmp_path: Path, tiny_model_dir: Path) -> None:
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    args = {"max_steps": 2, "per_device_train_batch_size": 4, "save_steps": 1, "learning_rate": 0.01}
    stage = SftStage(answers="gold", args=args)
    run_sft(loaded.model, loaded.tokenizer, TASK, stage, output_dir=tmp_path, seed=0)
    rows = (tmp_path / "examples.jsonl").read_text()
    assert '"completion": "Lima"' in rows
    again = load_model(str(tiny_model_dir), dtype="float32")
    longer = stage.model_copy(update={"args": args | {"max_steps": 3}})
    run_sft(again.model, again.tokenizer, TASK, longer, output_dir=tmp_path, seed=0, resume=True)
    assert (tmp_path / "examples.jsonl").read_text() == rows
    assert '"global_step": 3' in (tmp_path / "trainer_state.json").read_text()
