"""The theory on models that run: candidates' probabilities, a task's numbers, a small reader."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from abstain.evals.models import LoadedModel, load_model
from abstain.evals.tasks.question import Question, Task
from abstain.evals.theory.candidates import candidate_logprobs
from abstain.evals.theory.learnt import learnt_error
from abstain.evals.theory.measuring import closed_answers, draw_questions, list_answers, measure_theory
from abstain.evals.theory.reader import train_reader
from abstain.evals.theory.reduction import PromptMass, is_it_valid
from abstain.evals.theory.tables import read_theory, render_theory

CITIES = ("Lima", "Oslo", "Rome", "Cairo")
PEOPLE = ("Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, make_tiny_model: Callable[..., Path]) -> LoadedModel:
    path = make_tiny_model(tmp_path_factory.mktemp("theory") / "tiny", words=[*PEOPLE, *CITIES, "born?"])
    return load_model(path, device="cpu")


def toy(questions: int = 24, **metadata: Any) -> Task:
    rows = tuple(
        Question(str(i), f"Where was {PEOPLE[i % 8]} born?", (CITIES[i % 4],), metadata=metadata)
        for i in range(questions)
    )
    return Task("toy", rows[: questions // 2], rows[questions // 2 :])


def by_full_forward(loaded: LoadedModel, prompt: str, answer: str) -> float:
    """The same, without a cache: every token of prompt, answer and end in one pass."""
    ids = loaded.tokenizer(prompt)["input_ids"]
    said = [*loaded.tokenizer(answer, add_special_tokens=False)["input_ids"], loaded.tokenizer.eos_token_id]
    with torch.no_grad():
        logs = torch.log_softmax(loaded.model(torch.tensor([[*ids, *said]])).logits[0].double(), dim=-1)
    return float(sum(logs[len(ids) - 1 + place, token] for place, token in enumerate(said)))


def test_candidates_are_whole_answers(tiny: LoadedModel) -> None:
    prompt, some = "Where was Ada born?", ["Lima", "Lima Oslo", "Rome", "Oslo Rome Cairo"]
    (found,) = candidate_logprobs(tiny.model, tiny.tokenizer, [prompt], [some])
    assert found == pytest.approx([by_full_forward(tiny, prompt, one) for one in some], abs=1e-4)
    # "Lima" begins "Lima Oslo", and is another answer
    (whole,) = candidate_logprobs(tiny.model, tiny.tokenizer, [prompt], [[*CITIES, "Lima Oslo", "Lima Rome"]])
    assert np.exp(whole).sum() < 1
    (begun,) = candidate_logprobs(tiny.model, tiny.tokenizer, [prompt], [CITIES], ends=[])
    assert (begun > whole[:4]).all()


def test_the_model_is_left_as_it_was(tiny: LoadedModel) -> None:
    tiny.model.train()
    candidate_logprobs(tiny.model, tiny.tokenizer, ["Where was Ada born?"], [CITIES])
    assert tiny.model.training
    tiny.model.eval()


def test_candidates_that_are_none(tiny: LoadedModel) -> None:
    ask = "Where was Ada born?"
    for prompt, some, ends, message in (
        (ask, ["Lima", " "], None, "the candidate ' ' has no tokens"),
        (ask, ["Lima", "Lima"], None, "'Lima' and 'Lima' are the same tokens"),
        (ask, ["Lima", "Lima Oslo"], [], "'Lima' begins 'Lima Oslo', and no token ends an answer"),
        (ask, [], None, "no candidates"),
        ("", ["Lima"], None, "has no tokens"),
        ("Ada " * 600, ["Lima"], None, "more than the model's 512"),
    ):
        with pytest.raises(ValueError, match=message):
            candidate_logprobs(tiny.model, tiny.tokenizer, [prompt], [some], ends=ends)


def test_the_lists_of_a_task() -> None:
    assert closed_answers(toy()) == {"": ("Lima", "Oslo", "Rome", "Cairo")}
    rows = tuple(Question(str(i), f"Who is {i}?", (f"N{i}",)) for i in range(9))
    with pytest.raises(ValueError, match="open is not answered from a list: 9 questions have 9 different answers"):
        closed_answers(Task("open", (), rows))
    with pytest.raises(ValueError, match="no question with a gold answer"):
        closed_answers(Task("none", (), (Question("1", "Why?", ()),)))


def test_the_numbers_of_a_model(tiny: LoadedModel, tmp_path: Path) -> None:
    task = toy()
    found = measure_theory(tiny.model, tiny.tokenizer, task, name="tiny")
    numbers = {one["key"]: one for one in found["numbers"]}
    listed = list_answers(tiny.model, tiny.tokenizer, task, task.held_out)
    exact = is_it_valid(listed.prompts())
    assert numbers["err"]["value"] == pytest.approx(exact.err) and numbers["bound"]["value"] <= exact.err
    assert found["n"] == 12 and found["answers"] == [4, 4]
    mass = np.mean([np.exp(logs).sum() for logs in listed.logprobs])
    assert numbers["mass"]["value"] == pytest.approx(mass)
    for one in numbers.values():
        assert one["says"].strip() and one["says_not"].strip()
        if one["low"] is not None:
            assert one["low"] <= one["value"] <= one["high"]
    (tmp_path / "theory.json").write_text(json.dumps(found))
    assert read_theory(tmp_path / "theory.json")["numbers"] == found["numbers"]
    for format in ("text", "markdown", "latex", "csv", "json"):
        assert "err_iiv" in render_theory(found, format).replace("\\", "")  # type: ignore[arg-type]
    (tmp_path / "theory.json").write_text('{"numbers": 3}')
    with pytest.raises(ValueError, match=r"is not the theory\.json of `abstain theory`"):
        read_theory(tmp_path / "theory.json")


def test_a_world_of_drawn_mentions_has_theorem_2(tiny: LoadedModel) -> None:
    rows = [Question(str(i), f"Where was {PEOPLE[i % 8]} born?", (CITIES[i % 4],)) for i in range(16)]
    told = [{"mentions": count, "weight": 1.0} for count in (0, 1, 2, 1) * 4]
    people = tuple(Question(q.id, q.question, q.gold, metadata=m) for q, m in zip(rows, told, strict=True))
    found = measure_theory(tiny.model, tiny.tokenizer, Task("world", people[:8], people[8:]))
    values = {one["key"]: one["value"] for one in found["numbers"]}
    assert values["singleton_rate"] == 0.5 and values["missing_mass"] == 0.25  # 8 of 16 mentions; 4 of 16 people
    assert values["theorem_2"] < 0
    fixed = measure_theory(tiny.model, tiny.tokenizer, toy(mentions=1))
    assert {one["key"] for one in fixed["numbers"]} & {"theorem_2", "singleton_rate"} == {"singleton_rate"}


def test_a_learnt_classifier_uses_what_the_cut_wastes() -> None:
    rng = np.random.default_rng(0)
    logs, valid = [], []
    for _ in range(60):  # right answers always have the second place: no cut finds them
        shares = np.array([0.6, 0.25, 0.1, 0.05])
        order = rng.permutation(4)
        logs.append(np.log(shares[order]))
        valid.append(order == 1)
    cut = is_it_valid([PromptMass.given(row, right) for row, right in zip(logs, valid, strict=True)])
    assert cut.err_iiv == pytest.approx(2 / 3)  # it misses every right one, and takes one wrong one of three
    assert (learnt_error(range(60), logs, valid) or 1) < 0.2
    assert learnt_error(range(5), logs[:5], valid[:5]) is None
    assert learnt_error([place % 9 for place in range(60)], logs, valid) is None  # nine, some asked again


def test_a_reader_learns_what_it_reads() -> None:
    pairs = [(f"Who is number {n}?", name) for n, name in enumerate(("Ada", "Bo", "Cy", "Di"))]
    model, tokenizer = train_reader(pairs, passes=120, batch=4, vocabulary=280, seed=0)
    names = [name for _, name in pairs]
    found = candidate_logprobs(model, tokenizer, [question for question, _ in pairs], [names] * 4)
    assert [int(row.argmax()) for row in found] == [0, 1, 2, 3]
    assert all(math.exp(row.max()) > 0.8 for row in found)
    with pytest.raises(ValueError, match="nothing to read"):
        train_reader([])


def test_questions_that_nobody_asks() -> None:
    never = [Question(str(i), "?", ("a",), metadata={"weight": 0.0}) for i in range(3)]
    with pytest.raises(ValueError, match="none of these 3 questions is ever asked"):
        draw_questions(never, 2)
    assert len(draw_questions(toy().held_out, 5)) == 5
