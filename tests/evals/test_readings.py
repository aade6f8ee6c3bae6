"""What a string grader's verdicts rest on: counted without a judge, printed under the table, kept in metrics.json."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.audit.asking import ask_agreement
from abstain.evals.audit.findings import audit_model
from abstain.evals.evaluation import Evaluation, evaluate
from abstain.evals.metrics.readings import (
    GRADED,
    IS_LONG,
    ONE_READING,
    UNPAID_GOLD,
    describe_long_answers,
    doubts,
    long_answers,
    reading_gap,
)
from abstain.evals.metrics.schema import read_metrics
from abstain.evals.rescore.collect import Collector
from abstain.evals.rescore.grading import Grading, asked_alone
from abstain.evals.rescore.rescoring import Rescored, rescore
from abstain.evals.sampling import Completion
from abstain.evals.tables.table import render
from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.graders import GRADERS
from abstain.rewards.prompts import prompt_text
from abstain.rewards.response import Reading, Response
from abstain.rewards.verdict import Verdict

C, I = Verdict.CORRECT, Verdict.INCORRECT  # noqa: E741
SAYS_MORE = "Well, as far as I can tell from what I have read, the city that you mean is Oslo, in the north."
HOLDS_IT = "Some would say that it is Oslo, but I have always been quite certain that it must be Bergen instead."


class Spy:
    """A grader that pays an answer which is the gold, and leniently also one that holds it unless it says "but"."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Reading]] = []

    def __call__(self, answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
        self.asked.append((answer, question, reading))
        held = any(text in answer for text in gold) and "but" not in answer
        return C if answer in gold or (held and reading == "lenient") else I

    @property
    def questions(self) -> set[str]:
        return {question for _, question, _ in self.asked}


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    found = Spy()
    monkeypatch.setitem(GRADERS, "spy", found)
    return found


class Scripted:
    """Says what is written for the question's first word."""

    name = "scripted"
    tokenizer: Any = type("Tokenizer", (), {"unk_token_id": None})

    def __init__(self, says: dict[str, str]) -> None:
        self.says = says

    def sample(self, prompts: Sequence[str], *, n: int = 1, **_: Any) -> list[list[Completion]]:
        return [[Completion(self.says[prompt.split()[0]], math.log(0.6), 5, False)] * n for prompt in prompts]


SAYS = {"Ada's": "Oslo", "Bo's": SAYS_MORE, "Cy's": HOLDS_IT, "Di's": "Bergen", "Ed's": "I don't know"}
QUESTIONS = tuple(Question(name, f"{name} birthplace?", ("Oslo",)) for name in SAYS)
TASK = Task("toy", (), QUESTIONS, grader="spy")


def test_doubts_by_hand(spy: Spy) -> None:
    def of(text: str, verdict: Verdict, reading: Reading = "lenient") -> int:
        return doubts(Response(text), ["Oslo"], verdict, "spy", "Where?", reading)

    assert of("Oslo", C) == of("Bergen", I) == GRADED
    assert of("in Oslo", C) == GRADED + ONE_READING
    assert of(SAYS_MORE, C) == GRADED + IS_LONG + ONE_READING
    assert of(HOLDS_IT, I) == GRADED + IS_LONG + UNPAID_GOLD
    assert of("Oslo, but Bergen", I) == GRADED  # too short to be asked about
    assert of("in Oslo", I, "strict") == GRADED + ONE_READING
    assert of(SAYS_MORE, I, "strict") == GRADED + IS_LONG + ONE_READING + UNPAID_GOLD
    assert of("Oslo", C, "strict") == of("Bergen", I, "strict") == GRADED


def test_the_other_reading_is_only_asked_where_it_can_differ(spy: Spy) -> None:
    for text, verdict in (("Oslo", C), ("Bergen", I)):
        doubts(Response(text), ["Oslo"], verdict, "spy", "Where?")
    assert spy.asked == [("Oslo", "Where?", "strict")]


@pytest.mark.parametrize(
    "response", [Response("", abstained=True), Response(""), Response("x", malformed="unclosed <think>")]
)
def test_what_the_parser_settles_is_in_no_doubt(response: Response) -> None:
    assert doubts(response, ["Oslo"], I) == GRADED
    assert doubts(Response("Oslo"), [], Verdict.UNGRADED) == 0


def test_the_letter_of_an_option_is_no_gold_that_stands_there() -> None:
    long = Response("There is a good reason to think of the first one, and yet it has to be the third: Hamar.")
    assert not doubts(long, ["A", "Oslo"], I, "choice") & UNPAID_GOLD
    assert doubts(long, ["C", "Hamar"], I, "choice") & UNPAID_GOLD


def test_counts_and_their_sentence() -> None:
    flags = [GRADED, 0, *[GRADED + IS_LONG] * 2, GRADED + IS_LONG + UNPAID_GOLD, GRADED + IS_LONG + ONE_READING]
    flags.append(GRADED + IS_LONG + ONE_READING + UNPAID_GOLD)  # read strictly: it was not paid, which is what counts
    assert reading_gap(flags, len(flags)) == pytest.approx(2 / 7)
    found = long_answers(flags, "match")
    assert found == {"grader": "match", "n": 5, "gold_unpaid": 2, "paid_leniently": 1, "in_doubt": 0.6}
    said = describe_long_answers(found, "ask one")
    assert "5 answers of more than 12 words; 60.0%" in said and "2 hold the gold but were not paid" in said
    assert "1 was paid in sentences that say more. A judge would settle them (ask one)" in said
    sure = long_answers([GRADED + IS_LONG], "match")
    assert sure and "1 answer of more than 12 words, none of them by a rule" in describe_long_answers(sure, "")
    assert long_answers([GRADED, 0], "match") is None and long_answers([], "match") is None
    assert reading_gap([], 0) is None and reading_gap([0, 0], 2) is None


def test_evaluation_feeds_the_question_and_counts_both_readings(spy: Spy, tmp_path: Path) -> None:
    found = evaluate(Scripted(SAYS), TASK, [0])  # type: ignore[arg-type]
    assert spy.questions == {question.question for question in QUESTIONS if question.id != "Ed's"}
    assert [record.verdict for record in found.records] == [C, C, I, I, Verdict.ABSTAINED]
    about = found.metrics
    assert (about["reading"], about["answer_format"], about["reading_gap"]) == ("lenient", "auto", 0.2)
    assert about["long_answers"] == {"grader": "spy", "n": 2, "gold_unpaid": 1, "paid_leniently": 1, "in_doubt": 1.0}
    found.save(tmp_path)
    assert read_metrics(tmp_path / "metrics.json")["long_answers"] == about["long_answers"]
    table = (tmp_path / "table.md").read_text()
    assert "lenient, answer format auto; 20.0% of the answers are right when read leniently but not strictly" in table
    assert "1 holds the gold but was not paid, 1 was paid in sentences that say more" in table


def test_evaluation_reads_strictly_where_it_is_told_to(spy: Spy) -> None:
    found = evaluate(Scripted(SAYS), TASK, [0], reading="strict")  # type: ignore[arg-type]
    assert [record.verdict.value for record in found.records][:2] == ["CORRECT", "INCORRECT"]
    assert (found.metrics["reading"], found.metrics["reading_gap"]) == ("strict", 0.2)
    with pytest.raises(ValueError, match="Did you mean 'strict'"):
        evaluate(Scripted(SAYS), TASK, [0], reading="strickt")  # type: ignore[arg-type]


def test_without_long_answers_nothing_is_said_of_them(spy: Spy) -> None:
    found = evaluate(Scripted(SAYS), Task("toy", (), (QUESTIONS[0], QUESTIONS[3]), "spy"), [0]).metrics  # type: ignore[arg-type]
    assert found["long_answers"] is None and found["reading_gap"] == 0
    assert "string grader" not in render([found])


def test_a_note_for_each_model_where_they_differ(spy: Spy) -> None:
    first = evaluate(Scripted(SAYS), TASK, [0]).metrics  # type: ignore[arg-type]
    other = evaluate(Scripted(SAYS | {"Bo's": "Oslo"}), TASK, [0]).metrics  # type: ignore[arg-type]
    notes = render([first, other], "markdown", labels=["before", "after"])
    assert "**reading**: before: lenient" in notes and "20.0%" in notes and "; after: lenient" in notes
    assert "before: `spy` read 2 answers" in notes and "after: `spy` read 1 answer of" in notes
    assert render([first, first], "markdown", labels=["before", "after"]).count("`spy` read 2 answers") == 1


@pytest.fixture
def formats(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The answer formats that completions were read by."""
    seen: list[str] = []

    def read(text: str, truncated: bool = False, answer_format: str = "auto") -> Response:
        seen.append(answer_format)
        return Response(text.strip(), truncated=truncated)

    for module in ("evaluation", "audit.asking", "rescore.grading"):
        monkeypatch.setattr(f"abstain.evals.{module}.read_response", read)
    return seen


def test_a_task_states_its_answer_format_and_evaluate_may_say_otherwise(spy: Spy, formats: list[str]) -> None:
    boxed = Task("toy", (), QUESTIONS, "spy", answer_format="boxed")
    found = evaluate(Scripted(SAYS), boxed, [0, 0.5])  # type: ignore[arg-type]
    assert set(formats) == {"boxed"} and found.metrics["answer_format"] == "boxed"
    formats.clear()
    found = evaluate(Scripted(SAYS), boxed, [0], answer_format="json")  # type: ignore[arg-type]
    assert set(formats) == {"json"} and found.metrics["answer_format"] == "json"
    with pytest.raises(ValueError, match="Did you mean 'boxed'"):
        Task("toy", (), (), answer_format="boxt")  # type: ignore[arg-type]
    assert load_task("letters", n=20, answer_format="last_line").answer_format == "last_line"


def test_an_audit_reads_and_grades_as_its_evaluation_did(spy: Spy, formats: list[str]) -> None:
    model, words = Scripted(SAYS), {"Oslo", "Bergen"}
    found: Evaluation = evaluate(model, TASK, [0, 0.5], reading="strict", answer_format="tag")  # type: ignore[arg-type]
    spy.asked.clear()
    formats.clear()
    audit_model(model, TASK, found)  # type: ignore[arg-type]
    assert set(formats) == {"tag"} and spy.questions == {question.question for question in QUESTIONS}
    assert {reading for answer, _, reading in spy.asked if answer in words} == {"strict"}


def test_samples_that_say_the_same_words_agree_whatever_the_grader_thinks_of_them(spy: Spy) -> None:
    (*_, guess, _) = evaluate(Scripted(SAYS), TASK, [0]).records  # type: ignore[arg-type]
    spy.asked.clear()
    assert guess.answer == "Bergen"
    assert ask_agreement(Scripted(SAYS), TASK, [guess], 4) == [4.5 / 5]  # type: ignore[arg-type]
    assert not spy.asked
    ask_agreement(Scripted(SAYS | {"Di's": "in Bergen"}), TASK, [guess], 4)  # type: ignore[arg-type]
    assert spy.questions == {"Di's birthplace?"}


# Logs, each of which has the question in another place.


def lm_eval_row(doc: dict[str, Any], prompt: str) -> dict[str, Any]:
    arguments = {"gen_args_0": {"arg_0": prompt}}
    about = {"doc_id": 0, "doc": doc, "target": "Oslo", "arguments": arguments, "filter": "none", "metrics": []}
    return about | {"resps": [[SAYS_MORE]], "filtered_resps": [SAYS_MORE]}


def simple_evals(asked: str, **more: str) -> dict[str, Any]:
    convo = [{"role": "user", "content": asked}, {"role": "assistant", "content": SAYS_MORE}]
    return {
        "score": 0.0,
        "metrics": {},
        "htmls": ["<p>Correct Answer: Oslo</p>"],
        "convos": [convo],
        "metadata": {"example_level_metadata": [more]} if more else {},
    }


def inspect_log(asked: Any, **more: Any) -> dict[str, Any]:
    said = {"message": {"role": "assistant", "content": SAYS_MORE}, "stop_reason": "stop"}
    sample = {"id": 1, "epoch": 1, "input": asked, "target": "Oslo", "output": {"choices": [said]}, "scores": {}}
    return {"version": 2, "status": "success", "eval": {"task": "t", "model": "m"}, "samples": [sample | more]}


ASKED = "Where was Bo born?"
EXAMPLES = f"Question: Where was Ada born?\nAnswer: Oslo\n\nQuestion: {ASKED}\nAnswer:"
STATED = prompt_text(ASKED, 0.75)
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}]
LOGS = {
    "samples_t_2026-01-01T00-00-00.jsonl": [
        (lm_eval_row({"question": ASKED}, EXAMPLES), ASKED),
        (lm_eval_row({"input": ASKED}, "?"), ASKED),
        (lm_eval_row({"id": 3}, EXAMPLES), ASKED),
        (lm_eval_row({"question": STATED}, STATED), ASKED),
        (lm_eval_row({"question": "So it goes. " * 100 + ASKED}, "?"), ""),
    ],
    "simpleqa_m_allresults.json": [
        (simple_evals(ASKED), ASKED),
        (simple_evals(STATED), ASKED),
        (simple_evals(EXAMPLES, problem=ASKED), ASKED),
    ],
    "inspect.json": [
        (inspect_log(ASKED), ASKED),
        (inspect_log(CHAT), ASKED),
        (inspect_log(ASKED, choices=["Oslo", "Rome"]), f"{ASKED}\n(A) Oslo\n(B) Rome"),
    ],
    "plain.jsonl": [
        ({"question": ASKED, "gold": ["Oslo"], "response": SAYS_MORE}, ASKED),
        ({"problem": ASKED, "gold": "Oslo", "response": SAYS_MORE}, ASKED),
        ({"gold": "Oslo", "response": SAYS_MORE}, ""),
    ],
}


@pytest.mark.parametrize(
    ("name", "content", "asked"), [(name, *case) for name, cases in LOGS.items() for case in cases]
)
def test_the_question_of_a_log_reaches_the_grader(
    name: str, content: dict[str, Any], asked: str, spy: Spy, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(json.dumps(content) + "\n")
    collector = Collector(grading=Grading("spy"))
    (metrics,) = rescore([tmp_path / name], collector=collector).metrics
    assert spy.questions == {asked} and metrics["by_target"][0]["correct"] == 1
    assert (metrics["reading"], metrics["reading_gap"]) == ("lenient", 1)
    assert metrics["long_answers"]["paid_leniently"] == 1


def test_a_question_is_no_passage_and_no_number() -> None:
    assert asked_alone(STATED) == ASKED and asked_alone(EXAMPLES) == ASKED
    assert asked_alone(5) is None and asked_alone("") is None


@pytest.fixture
def rescored(spy: Spy, tmp_path: Path) -> Callable[..., Rescored]:
    """Two models' answers without grades, and one that the log has graded."""
    rows = [
        {"model": model, "id": n, "question": f"{name} birthplace?", "gold": ["Oslo"], "response": text}
        for model in ("a", "b")
        for n, (name, text) in enumerate(SAYS.items())
    ]
    rows[5]["response"] = HOLDS_IT
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "graded.csv").write_text("model,id,grade,response\nc,1,CORRECT,Oslo\nc,2,INCORRECT,Bergen\n")

    def score(**options: Any) -> Rescored:
        return rescore([tmp_path / "log.jsonl", tmp_path / "graded.csv"], **options)

    return score


def test_rescoring_says_of_each_model_what_its_verdicts_rest_on(
    rescored: Callable[..., Rescored], tmp_path: Path
) -> None:
    found = rescored(collector=Collector(grading=Grading("spy"), keep_texts=True))
    a, b, c = found.metrics
    assert (a["reading_gap"], b["reading_gap"], c["reading_gap"]) == (0.2, 0.2, None)
    assert (b["long_answers"]["n"], b["long_answers"]["gold_unpaid"], a["long_answers"]["n"]) == (3, 2, 2)
    assert c["long_answers"] is None and c["reading"] is c["answer_format"] is None
    table = found.render("markdown")
    assert "b: `spy` read 3 answers of more than 12 words; 100.0%" in table and "see docs/judge.md" in table
    assert "a: lenient, answer format auto; 20.0% of the answers" in table and "c: `spy`" not in table
    found.save(tmp_path / "out")
    again = read_metrics(tmp_path / "out" / "a" / "metrics.json")
    assert again["long_answers"] == a["long_answers"] and again["reading"] == "lenient"


def test_rescoring_may_read_strictly_and_pools_what_it_counts(rescored: Callable[..., Rescored]) -> None:
    found = rescored(collector=Collector(grading=Grading("spy", reading="strict", answer_format="auto")))
    assert [one["by_target"][0]["correct"] for one in found.metrics] == [0.2, 0, 0.5]
    assert [one["reading"] for one in found.metrics] == ["strict", "strict", None]
    pooled = rescored(collector=Collector(grading=Grading("spy")), pool=True)
    assert [one["reading_gap"] for one in pooled.metrics] == [0.2, 0.2, None]


def test_a_blank_confidence_does_not_hide_the_one_that_is_stated(tmp_path: Path) -> None:
    said = {"is_correct": True, "response": "Oslo. Confidence: 70%"}
    rows = [{"id": n, "confidence": blank, **said} for n, blank in enumerate(("", "  ", None))]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run,) = rescore([tmp_path / "log.jsonl"]).runs
    assert run.confidence.tolist() == [0.7] * 3 and run.kind == "stated"
