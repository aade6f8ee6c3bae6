"""`grade`: what is graded at all, and whether the default grader is fair on real question sets."""

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from abstain.rewards.graders import GRADERS
from abstain.rewards.grading import UNANSWERABLE, gold_answers, grade, grade_response
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the question sets are not here")


@pytest.mark.parametrize(
    ("response", "gold", "verdict"),
    [
        (Response("Paris"), ["Paris"], "CORRECT"),
        (Response("London"), ["Paris"], "INCORRECT"),
        (Response("Paris", hedged=True), ["Paris"], "CORRECT"),
        (Response("", abstained=True), ["Paris"], "ABSTAINED"),
        # an empty or unreadable reply is wrong, and never an abstention
        (Response(""), ["Paris"], "INCORRECT"),
        (Response("  \n"), ["Paris"], "INCORRECT"),
        (Response("", malformed="unclosed <think>"), ["Paris"], "INCORRECT"),
        (Response("Paris", malformed="two answers"), ["Paris"], "INCORRECT"),
        (Response("", abstained=True, malformed="unclosed <answer>"), ["Paris"], "INCORRECT"),
        # a truncated reply has not abstained; what it has stated counts
        (Response("", abstained=True, truncated=True), ["Paris"], "INCORRECT"),
        (Response("Paris", truncated=True), ["Paris"], "CORRECT"),
        # without a gold answer nothing is graded
        (Response("Paris"), [], "UNGRADED"),
        (Response("Paris"), None, "UNGRADED"),
        (Response("Paris"), ["", None], "UNGRADED"),
        (Response("", abstained=True), [], "UNGRADED"),
        (Response("", malformed="empty"), [], "UNGRADED"),
        # no answer is right
        (Response("42"), [UNANSWERABLE], "INCORRECT"),
        (Response(UNANSWERABLE), [UNANSWERABLE], "INCORRECT"),
        (Response("", abstained=True), [UNANSWERABLE], "ABSTAINED"),
        (Response(""), [UNANSWERABLE], "INCORRECT"),
        # one gold without a list around it
        (Response("Paris"), "Paris", "CORRECT"),
        (Response("1975"), [1975], "CORRECT"),
    ],
)
def test_grade_response(response: Response, gold: list[str], verdict: str) -> None:
    assert grade_response(response, gold) == verdict


@pytest.mark.parametrize(
    ("completion", "verdict"),
    [
        ("Paris", "CORRECT"),
        ("<think>London? No.</think><answer>Paris</answer> Confidence: 80%", "CORRECT"),
        (r"Therefore \boxed{\text{Paris}}.", "CORRECT"),
        ([{"role": "user", "content": "London?"}, {"role": "assistant", "content": "Paris."}], "CORRECT"),
        ("I don't know, but perhaps Paris", "CORRECT"),
        ("I don't know, but perhaps London", "INCORRECT"),
        ("I'm not sure whether it's Paris or London.", "INCORRECT"),
        ("I don't know.", "ABSTAINED"),
        ("", "INCORRECT"),
        ("<think>It might be Paris", "INCORRECT"),
    ],
)
def test_grade(completion: str | list[dict], verdict: str) -> None:
    assert grade(completion, ["Paris"]) == verdict


def test_the_grader_is_chosen_by_name() -> None:
    assert grade("5000 m", ["5 km"], "numeric") is Verdict.CORRECT
    assert grade("5000 m", ["5 km"], "exact") is Verdict.INCORRECT
    assert grade("The answer is (B).", ["B"], grader="choice") is Verdict.CORRECT


@pytest.mark.parametrize("gold", [["Paris"], [], None])
def test_an_unknown_grader_is_an_error_even_without_a_gold(gold: list[str] | None) -> None:
    with pytest.raises(ValueError, match=r"'numerical'.*Did you mean 'numeric'.*date"):
        grade("5", gold, "numerical")


@pytest.mark.parametrize("grader", list(GRADERS))
def test_an_unreadable_gold_is_ungraded_or_wrong_but_never_raises(grader: str) -> None:
    assert grade("Paris", ["?!"], grader) in (Verdict.UNGRADED, Verdict.INCORRECT)


def test_gold_answers_of_any_sort() -> None:
    assert gold_answers(("Paris", "Lutetia")) == ["Paris", "Lutetia"]
    assert gold_answers(3.5) == ["3.5"]
    assert gold_answers([" "]) == []


def entity_questions() -> Iterator[tuple[str, list[list[str]]]]:
    for file in sorted((DATA / "entity_questions" / "dev").glob("*.json")):
        yield file.stem, [row["answers"] for row in json.loads(file.read_text(encoding="utf-8"))]


def question_sets() -> Iterator[tuple[str, list[list[str]]]]:
    """(name, the gold answers of each question) of every question set."""
    yield from entity_questions()
    lines = (DATA / "nq_open" / "NQ-open.dev.jsonl").read_text(encoding="utf-8").splitlines()
    yield "nq", [json.loads(line)["answer"] for line in lines]
    popqa = json.loads((DATA / "popqa" / "popqa_bunsenfeng.json").read_text(encoding="utf-8"))
    yield "popqa", [json.loads(row["output"]) for row in popqa["dev"]]
    with open(DATA / "simpleqa" / "simple_qa_test_set.csv", encoding="utf-8") as file:
        yield "simpleqa", [[row["answer"]] for row in csv.DictReader(file)]
    with open(DATA / "truthfulqa" / "TruthfulQA.csv", encoding="utf-8") as file:
        yield "truthfulqa", [row["Correct Answers"].split("; ") for row in csv.DictReader(file)]


@needs_data
@pytest.mark.parametrize("frame", ["{}", "The answer is {}.", "I am not sure, but perhaps {}."])
def test_match_accepts_the_gold_of_real_questions(frame: str) -> None:
    """Bare, every gold is accepted; in a sentence, all but golds such as "---" and "at" (for Austria)."""
    for name, golds in question_sets():
        some = random.Random(0).sample(golds, min(len(golds), 150))
        cases = [(answer, gold) for gold in some for answer in gold]
        missed = [answer for answer, gold in cases if GRADERS["match"](frame.format(answer), gold) != "CORRECT"]
        assert len(missed) <= (0 if frame == "{}" else 0.02 * len(cases)), (name, missed[:5])


@needs_data
def test_match_rejects_the_gold_of_other_questions() -> None:
    """Of 400 answers to other questions of the relation at most 1 % are taken: more special kinds of the gold."""
    for name, golds in entity_questions():
        rng = random.Random(0)
        pairs = [(rng.choice(rng.choice(golds)), rng.choice(golds)) for _ in range(400)]
        other = [(answer, gold) for answer, gold in pairs if answer.casefold() not in {g.casefold() for g in gold}]
        taken = [(answer, gold) for answer, gold in other if GRADERS["match"](answer, gold) == "CORRECT"]
        assert len(taken) <= 0.01 * len(other), (name, taken[:5])
