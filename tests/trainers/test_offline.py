"""The offline route: which completions are preferred and how often, and that DPO and KTO learn from it."""

import copy
import json
import math
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from trl.trainer.utils import add_fused_lm_head

from abstain.evals.models import load_model
from abstain.evals.sampler import Sampler
from abstain.evals.sampling import Completion
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.prompts import IDK, instruction, prompt_text
from abstain.rewards.scoring import confidence_score
from abstain.rewards.verdict import Verdict
from abstain.trainers.offline import (
    _as_trl,
    examples,
    frozen_copy,
    graded,
    run_offline,
    sampled_rows,
    score_completions,
)
from abstain.trainers.preferences import Kind, Label, Pair, Sample, labels, pair_weight, pairs, share_right
from abstain.trainers.sft import run_sft
from abstain.trainers.stages import OfflineStage, SftStage

from ..conftest import CITIES, PEOPLE
from .conftest import QUESTIONS, TASK

RIGHT, WRONG, ABSTAINED, UNGRADED = Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED, Verdict.UNGRADED
WORDS = {RIGHT: "right", WRONG: "wrong", ABSTAINED: "abstained"}
SMALL = {"max_steps": 2, "per_device_train_batch_size": 4, "logging_steps": 1, "save_steps": 1, "learning_rate": 0.01}
TARGETS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9])
COUNTS = st.integers(0, 6)


def sampled(right: int = 0, wrong: int = 0, abstained: int = 0, ungraded: int = 0) -> list[Sample]:
    """So many samples of each verdict; what is wrong differs."""
    alike = [("Lima", RIGHT, right), ("no idea", ABSTAINED, abstained), ("Quito", UNGRADED, ungraded)]
    return [
        *(Sample(text, verdict, count=count) for text, verdict, count in alike if count),
        *(Sample(f"Oslo {i}", WRONG) for i in range(wrong)),
    ]


def verdict_of(text: str) -> Verdict:
    known = {"Lima": RIGHT, "no idea": ABSTAINED, IDK: ABSTAINED, "Quito": UNGRADED}
    return known.get(text, WRONG)


def drawn(make, samples, target, draws=40, seed=0):
    return list(make(samples, target, draws, random.Random(seed)))


# The rule


@pytest.mark.parametrize(
    ("share", "target", "right", "wrong"),
    [
        (1.0, 0.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (0.75, 0.5, 0.5, 0.5),
        (0.5, 0.5, 0.0, 0.0),
        (0.25, 0.5, 0.0, 1 / 3),  # (.5 - .25) / .75
        (0.0, 0.75, 0.0, 0.75),
        (1.0, 0.9, 0.1, 0.9),
        (0.8, 0.9, 0.0, 0.5),  # (.9 - .8) / .2
    ],
)
def test_weights_by_hand(share: float, target: float, right: float, wrong: float) -> None:
    assert pair_weight(RIGHT, share, target) == pytest.approx(right)
    assert pair_weight(WRONG, share, target) == pytest.approx(wrong)


@given(right=COUNTS, wrong=COUNTS, target=TARGETS)
def test_what_is_preferred_is_a_straight_line_in_the_share_of_right_answers(right, wrong, target) -> None:
    share = share_right(sampled(right, wrong))
    if share is None:
        return
    weights = pair_weight(RIGHT, share, target), pair_weight(WRONG, share, target)
    assert all(0 <= weight <= 1 for weight in weights)
    assert share * weights[0] - (1 - share) * weights[1] == pytest.approx(share - target, abs=1e-12)


def test_questions_that_look_alike_are_answered_by_their_mean_share() -> None:
    """Half known, half unknown: the margin that DPO's loss asks for changes its sign at t = .5; at a tenth, at .1."""
    for known, target, answered in [(0.5, 0.4, True), (0.5, 0.6, False), (0.1, 0.05, True), (0.1, 0.2, False)]:
        prefers_answer = known * pair_weight(RIGHT, 1.0, target)
        prefers_idk = (1 - known) * pair_weight(WRONG, 0.0, target)
        assert (math.log(prefers_answer / prefers_idk) > 0) is answered


@given(right=COUNTS, wrong=COUNTS, abstained=COUNTS, ungraded=COUNTS, target=TARGETS, seed=st.integers(0, 99))
def test_a_pair_prefers_what_scores_more_and_no_answer_below_the_target(
    right, wrong, abstained, ungraded, target, seed
) -> None:
    samples = sampled(right, wrong, abstained, ungraded)
    share = share_right(samples)
    found = drawn(pairs, samples, target, seed=seed)
    if share is None:
        assert not found
        return
    for pair in found:
        better, worse = verdict_of(pair.chosen), verdict_of(pair.rejected)
        assert pair.kind == f"{WORDS[better]} over {WORDS[worse]}"
        assert confidence_score(better, target, "original") > confidence_score(worse, target, "original")
        assert share > target or better is ABSTAINED
    for label in drawn(labels, samples, target, seed=seed):
        verdict = verdict_of(label.completion)
        assert verdict is not UNGRADED
        assert label.desirable is (verdict is RIGHT or (verdict is ABSTAINED and share < target))


@given(right=COUNTS, wrong=COUNTS, abstained=COUNTS, target=TARGETS, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_the_samples_decides_nothing(right, wrong, abstained, target, shuffle) -> None:
    samples = sampled(right, wrong, abstained)
    other = list(samples)
    shuffle.shuffle(other)
    for make in (pairs, labels):
        assert drawn(make, samples, target) == drawn(make, other, target)


@pytest.mark.parametrize(("right", "wrong", "target"), [(6, 2, 0.5), (2, 6, 0.5), (8, 0, 0.9), (5, 3, 0.9), (1, 7, 0)])
def test_how_often_each_is_drawn(right: int, wrong: int, target: float) -> None:
    """20,000 draws: shares within .015, four standard deviations."""
    samples, draws, share = sampled(right, wrong, 3), 20_000, right / (right + wrong)
    above = share > target
    found = Counter(pair.kind for pair in drawn(pairs, samples, target, draws))
    assert found[Kind.ANSWER] / draws == pytest.approx(share * (1 - target) if above else 0, abs=0.015)
    assert found[Kind.ABSTAIN] / draws == pytest.approx((1 - share) * target if above else target - share, abs=0.015)
    assert found[Kind.CORRECT] / draws == pytest.approx((1 - share) * (1 - target) if above else 0, abs=0.015)
    said = Counter((verdict_of(one.completion), one.desirable) for one in drawn(labels, samples, target, draws))
    assert said[RIGHT, True] / draws == pytest.approx(share * (1 - target), abs=0.015)
    assert said[WRONG, False] / draws == pytest.approx((1 - share) * target, abs=0.015)
    assert said[ABSTAINED, not above] / draws == pytest.approx(abs(share - target), abs=0.015)
    desirable = sum(count for (_, good), count in said.items() if good)
    assert desirable / draws == pytest.approx((said.total() - desirable) / draws, abs=0.03)  # so both weights are 1


def test_at_zero_a_wrong_answer_is_only_compared_with_a_right_one() -> None:
    found = Counter((pair.chosen, pair.rejected) for pair in drawn(pairs, sampled(4, 4, 4), 0))
    assert {chosen for chosen, _ in found} == {"Lima"}
    assert {rejected for _, rejected in found} == {"no idea", "Oslo 0", "Oslo 1", "Oslo 2", "Oslo 3"}
    assert drawn(pairs, sampled(0, 8, 4), 0) == drawn(pairs, sampled(0, 0, 8), 0.5) == []


def test_the_models_own_abstention_is_used_and_the_usual_one_where_it_never_abstained() -> None:
    assert {pair.rejected for pair in drawn(pairs, sampled(8, 0, 2), 0.5)} == {"no idea"}
    assert {pair.rejected for pair in drawn(pairs, sampled(8, 0), 0.5)} == {IDK}
    assert Label(IDK, True) in drawn(labels, sampled(0, 8), 0.5)


def test_what_was_cut_off_counts_as_an_attempt_and_is_in_no_pair() -> None:
    samples = [Sample("Lima", RIGHT, count=3), Sample("Oslo and", WRONG, cut_off=True, count=3)]
    assert share_right(samples) == 0.5
    assert set(drawn(pairs, samples, 0.25)) == {Pair("Lima", IDK, Kind.ANSWER)}
    assert {label.completion for label in drawn(labels, samples, 0.25)} == {"Lima", IDK}
    assert drawn(pairs, samples, 0.75) == []


# Samples and examples


def completion(text: str, truncated: bool = False) -> Completion:
    return Completion(text, -1.0, 2, truncated)


def test_samples_are_graded_strictly_in_the_format_of_the_task() -> None:
    task, question = replace(TASK, answer_format="plain"), QUESTIONS[0]
    written = [completion("Lima"), completion("Lima"), completion("Oslo", True), completion(IDK), completion("")]
    found = {(one.text, one.cut_off): (one.verdict, one.count) for one in graded(written, question, task)}
    assert found == {
        ("Lima", False): (RIGHT, 2),
        ("Oslo", True): (WRONG, 1),
        (IDK, False): (ABSTAINED, 1),
        ("", False): (WRONG, 1),
    }
    boxed = graded([completion("\\boxed{Lima}"), completion("Lima")], question, replace(TASK, answer_format="boxed"))
    assert [one.verdict for one in boxed] == [RIGHT, WRONG]
    assert graded([completion("Lima")], replace(question, gold=()), task)[0].verdict is UNGRADED


def row(question: Question, *samples: Sample, target: float = 0.0) -> dict:
    said = [[one.text, one.verdict.value, one.cut_off, one.count] for one in samples]
    return {"question_id": question.id, "target": target, "prompt": "", "samples": said}


def many(size: int) -> Task:
    return Task("many", tuple(Question(f"P{i}", f"Where was P{i} born?", ("Lima",)) for i in range(size)), ())


def test_a_question_is_judged_by_its_samples_at_all_targets() -> None:
    """At .9 it only ever abstained, and is known all the same. A question that was not sampled is not taught."""
    ada = QUESTIONS[0]
    rows = [row(ada, Sample("Lima", RIGHT, count=8)), row(ada, Sample(IDK, ABSTAINED, count=8), target=0.9)]
    found, told = examples(TASK, rows, OfflineStage(targets=[0, 0.9], pairs_per_prompt=100), 0)
    assert {(one["prompt"], one["chosen"], one["rejected"]) for one in found} == {
        (prompt_text(ada.question, 0), "Lima", IDK),
        (prompt_text(ada.question, 0.9), "Lima", IDK),
    }
    assert told.startswith("dpo: 16 samples, 8 right, 0 wrong, 8 abstained, 0 ungraded, 0 cut off; ")
    assert re.search(r"; (\d+) examples \(\1 right over abstained\); nothing to teach in 0 of 2 prompts$", told)


def test_examples_are_drawn_and_shuffled_by_the_seed() -> None:
    task = many(60)
    rows = [row(one, Sample("Lima", RIGHT), Sample("Oslo", WRONG, count=2)) for one in task.train]
    stage = OfflineStage(algorithm="kto", targets=[0.5])
    found = [examples(task, rows, stage, seed)[0] for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    order = [int(one["question_id"][1:]) for one in found[0]]
    assert order != sorted(order)
    assert {(one["completion"], one["label"]) for one in found[0]} == {("Lima", True), ("Oslo", False), (IDK, True)}
    longer = stage.model_copy(update={"pairs_per_prompt": 10})
    assert len(examples(task, rows, longer, 0)[0]) > 5 * len(found[0])


def test_a_target_that_stands_twice_is_taught_twice() -> None:
    task = many(400)
    rows = [row(one, Sample("Oslo", WRONG)) for one in task.train]
    once, twice = (len(examples(task, rows, OfflineStage(targets=[0.5] * n), 0)[0]) for n in (1, 2))
    assert once == pytest.approx(200, abs=40) and twice == pytest.approx(400, abs=60)


def test_samples_may_be_drawn_at_fewer_targets_than_are_taught(tmp_path: Path) -> None:
    asked: list[str] = []

    def sample(prompts: list[str], n: int, **_: object) -> list[list[Completion]]:
        asked.extend(prompts)
        return [[completion("Lima")] * n for _ in prompts]

    stage = OfflineStage(targets=[0, 0.5, 0.5], sample_at=[0], pairs_per_prompt=9)
    rows = sampled_rows(SimpleNamespace(sample=sample), TASK, stage, tmp_path, 0, False)
    assert asked == [prompt_text(one.question, 0) for one in QUESTIONS]
    assert {one["target"] for one in examples(TASK, rows, stage, 0)[0]} == {0, 0.5}


def test_plain_completions_begin_with_a_space_and_conversations_with_a_turn() -> None:
    pair = {"prompt": "Who?", "chosen": IDK, "rejected": "\nBo"}
    assert _as_trl(pair, SimpleNamespace(chat_template=None), "auto") == {
        "prompt": "Who?",
        "chosen": f" {IDK}",
        "rejected": "\nBo",
    }
    chat = _as_trl({"prompt": "Who?", "completion": "Bo", "label": True}, SimpleNamespace(chat_template="x"), "auto")
    assert chat["prompt"] == [{"role": "user", "content": "Who?"}]
    assert chat["completion"] == [{"role": "assistant", "content": "Bo"}] and chat["label"] is True


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"instruct": "confidence"}, "'target' or 'nothing'"),
        ({"temperature": 0}, "greater than 0"),
        ({"algorithm": "kto", "args": {"per_device_train_batch_size": 1}}, "to 2 or more"),
        ({"algorithm": "kto", "args": {"train_sampling_strategy": "random"}}, "at sequential"),
        ({"train_embeddings": "answers", "args": {"weight_decay": 0.1}}, "set weight_decay to 0"),
    ],
)
def test_fields_that_are_refused(fields: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OfflineStage(**fields)


# Training


@pytest.fixture(scope="module")
def taught_dir(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, taught that each of its people was born in Lima or Oslo, and to say "I don't know" at times."""
    folder = tmp_path_factory.mktemp("taught")
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    people = [replace(one, gold=(city_of(i),)) for i, one in enumerate(QUESTIONS)]
    args = {
        "max_steps": 100,
        "per_device_train_batch_size": 32,
        "learning_rate": 0.01,
        "gradient_checkpointing": False,
    }
    stage = SftStage(answers="gold", idk_share=0.2, args=args | {"save_strategy": "no"})
    task = Task("people", tuple(people * 40), ())
    run_sft(loaded.model, loaded.tokenizer, task, stage, output_dir=folder / "sft", seed=0)
    loaded.model.save_pretrained(folder / "model")
    loaded.tokenizer.save_pretrained(folder / "model")
    return folder / "model"


def city_of(place: int) -> str:
    return CITIES[place % 2]


WORLD = Task(
    "half known",
    tuple(
        replace(one, gold=(city_of(i),) if i < len(QUESTIONS) // 2 else ("Cairo",)) for i, one in enumerate(QUESTIONS)
    ),
    (),
    max_new_tokens=4,
    answer_format="plain",
)
"""Of the first half of the people the taught model knows where they were born; of the others it is sure, and wrong."""


def chance_of_abstaining(model, tokenizer, question: Question, target: float) -> float:
    prompt = prompt_text(question.question, target)
    ids = torch.tensor([tokenizer(prompt)["input_ids"] + tokenizer(f" {IDK}")["input_ids"]])
    size = len(tokenizer(f" {IDK}")["input_ids"])
    with torch.no_grad():
        logs = torch.log_softmax(model.eval()(ids).logits[0, -size - 1 : -1], dim=-1)
    return logs.gather(1, ids[0, -size:, None]).sum().exp().item()


@pytest.mark.parametrize("algorithm", ["dpo", pytest.param("kto", marks=pytest.mark.slow)])
def test_abstention_is_learned_where_it_pays_and_nowhere_else(
    algorithm: str, taught_dir: Path, tmp_path: Path
) -> None:
    loaded = load_model(str(taught_dir), dtype="float32")

    def chance(half: slice, target: float) -> float:
        return fmean(chance_of_abstaining(loaded.model, loaded.tokenizer, one, target) for one in WORLD.train[half])

    known, unknown = slice(0, 4), slice(4, 8)
    before = {target: chance(known, target) for target in (0, 0.5)}
    assert chance(unknown, 0.5) < 0.3
    args = {
        "gradient_checkpointing": False,
        "max_steps": 60,
        "per_device_train_batch_size": 16,
        "learning_rate": 5e-3,
        "save_strategy": "no",
    }
    stage = OfflineStage(algorithm=algorithm, targets=[0, 0.5], pairs_per_prompt=40, args=args)
    run_offline(loaded.model, loaded.tokenizer, WORLD, stage, output_dir=tmp_path, seed=0)
    assert chance(unknown, 0.5) > 0.5
    assert all(chance(known, target) < before[target] + 0.05 for target in (0, 0.5))


@pytest.mark.parametrize("algorithm", ["dpo", "kto"])
def test_a_stage_that_is_resumed_does_not_sample_again(
    algorithm: str, taught_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = OfflineStage(algorithm=algorithm, targets=[0, 0.5], pairs_per_prompt=4, args=SMALL)
    loaded = load_model(str(taught_dir), dtype="float32")
    before = {name: value.clone() for name, value in loaded.model.named_parameters()}
    run_offline(loaded.model, loaded.tokenizer, WORLD, stage, output_dir=tmp_path, seed=0)
    assert any(not value.equal(before[name]) for name, value in loaded.model.named_parameters())
    log = json.loads((tmp_path / "trainer_state.json").read_text())["log_history"]
    first = log[0]["loss"]
    assert first == pytest.approx(math.log(2) if algorithm == "dpo" else 0.5, abs=1e-3)  # model and reference are one
    kept = {name: (tmp_path / name).read_text() for name in ("samples.jsonl", "examples.jsonl")}

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("sampled again")

    with monkeypatch.context() as patch:
        patch.setattr(Sampler, "sample", refuse)
        longer = stage.model_copy(update={"args": SMALL | {"max_steps": 3}})
        again = load_model(str(taught_dir), dtype="float32")
        run_offline(again.model, again.tokenizer, WORLD, longer, output_dir=tmp_path, seed=0, resume=True)
        assert '"global_step": 3' in (tmp_path / "trainer_state.json").read_text()
        assert kept == {name: (tmp_path / name).read_text() for name in kept}
        with pytest.raises(AssertionError, match="sampled again"):  # a mended stage has other samples
            other = stage.model_copy(update={"samples": 4})
            run_offline(again.model, again.tokenizer, WORLD, other, output_dir=tmp_path, seed=0, resume=True)


def test_nothing_to_compare_is_said_with_the_verdicts(taught_dir: Path, tiny_model_dir: Path, tmp_path: Path) -> None:
    loaded = load_model(str(taught_dir), dtype="float32")

    def refused(task: Task, model_dir: Path = taught_dir, **fields: object) -> str:
        loaded = load_model(str(model_dir), dtype="float32")
        stage = OfflineStage(**({"targets": [0.0], "args": SMALL} | fields))
        with pytest.raises(ValueError, match="offline: nothing to compare on 8 prompts") as error:
            run_offline(loaded.model, loaded.tokenizer, task, stage, output_dir=tmp_path, seed=0)
        return str(error.value)

    no_gold = replace(WORLD, train=tuple(replace(one, gold=()) for one in WORLD.train))
    assert "64 samples, 0 right, 0 wrong, 0 abstained, 64 ungraded" in refused(no_gold)
    assert "check the gold answers" in refused(no_gold)
    wrong = replace(WORLD, train=tuple(replace(one, gold=("Cairo",)) for one in WORLD.train))
    assert "take more questions (limit)" in refused(wrong)  # at t = 0 a wrong answer is as good as none
    assert "raise task.max_new_tokens" in refused(replace(WORLD, max_new_tokens=1))
    with pytest.raises(ValueError, match="no training questions"):
        run_offline(
            loaded.model, loaded.tokenizer, replace(WORLD, train=()), OfflineStage(), output_dir=tmp_path, seed=0
        )


def test_a_format_that_prompts_ask_for_has_to_be_named(taught_dir: Path, tmp_path: Path) -> None:
    loaded = load_model(str(taught_dir), dtype="float32")
    boxed = replace(WORLD, template="{question}\n{instruction}\nPut it in \\boxed{}.", answer_format="auto")
    with pytest.raises(ValueError, match="Set answer_format: boxed"):
        run_offline(loaded.model, loaded.tokenizer, boxed, OfflineStage(), output_dir=tmp_path, seed=0)


def test_the_reference_is_the_start_whatever_trained_before(taught_dir: Path, tmp_path: Path) -> None:
    """The supervised stage leaves its own `forward` on the model, which runs the policy even in a copy."""
    loaded = load_model(str(taught_dir), dtype="float32")
    args = {"max_steps": 1, "per_device_train_batch_size": 4, "save_strategy": "no"}
    run_sft(loaded.model, loaded.tokenizer, WORLD, SftStage(answers="gold", args=args), output_dir=tmp_path, seed=0)
    ids = torch.tensor([loaded.tokenizer(f"Where was Ada born?\n{instruction(0.5)}")["input_ids"]])
    start, frozen = loaded.model(ids).logits.detach(), frozen_copy(loaded.model)
    assert "forward" in vars(loaded.model)
    with torch.no_grad():
        for weight in loaded.model.parameters():
            weight.add_(0.1)
    assert torch.equal(frozen(ids).logits, start) and not torch.equal(loaded.model(ids).logits, start)
    assert not any(weight.requires_grad for weight in frozen.parameters())


def test_only_labelled_positions_are_scored_and_all_fields_are_trls(taught_dir: Path) -> None:
    stock = load_model(str(taught_dir), dtype="float32").model
    ours = copy.deepcopy(stock)
    outputs = ("log_probs", "entropy", "mean_logits", "is_top1", "log_sum_sq_probs")
    for model in (stock, ours):
        add_fused_lm_head(model, outputs=outputs)
    score_completions(ours)
    ids = torch.randint(3, 20, (3, 9), generator=torch.Generator().manual_seed(0))
    labels_of = ids.masked_fill(torch.arange(9) < torch.tensor([[5], [7], [2]]), -100)
    gradients = []
    for model in (stock, ours):
        found = model(ids, labels=labels_of, fused_lm_head=True)
        (found.log_probs.sum(1) * torch.tensor([1.0, -2.0, 0.5])).sum().backward()
        gradients.append((found, {name: weight.grad for name, weight in model.named_parameters()}))
    for name in (*outputs, "label_mask", "loss"):
        expected, got = (getattr(found, name) for found, _ in gradients)
        assert got.shape == expected.shape and torch.allclose(got.float(), expected.float(), atol=1e-5), name
    for name, expected in gradients[0][1].items():
        assert torch.allclose(gradients[1][1][name], expected, atol=1e-5), name


def test_a_name_keeps_its_row_where_only_answers_are_trained(taught_dir: Path, tmp_path: Path) -> None:
    loaded = load_model(str(taught_dir), dtype="float32")
    rows = loaded.model.get_input_embeddings().weight
    before = rows.detach().clone()
    stage = OfflineStage(targets=[0, 0.5], pairs_per_prompt=4, train_embeddings="answers", args=SMALL)
    run_offline(loaded.model, loaded.tokenizer, WORLD, stage, output_dir=tmp_path, seed=0)
    name, answer = (loaded.tokenizer(word)["input_ids"][0] for word in (PEOPLE[0], "Lima"))
    assert torch.equal(rows[name], before[name]) and not torch.equal(rows[answer], before[answer])
