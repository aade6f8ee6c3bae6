"""The graders of short forms, `math`, `choice`, `exact` and `f1`: what cannot be farmed, or stalled."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.rewards.graders import GRADERS, math_pool, mathematics
from abstain.rewards.graders.mathematics import grade_all, grade_math
from abstain.rewards.graders.overlap import normalised, overlap
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "graders"
READINGS: tuple[Reading, ...] = ("strict", "lenient")
QUESTION = "Which city is the capital of Norway?\nA) Bergen\nB) Vitamin A\nC) Oslo\nD) A and C"

WORDS = st.sampled_from(
    [
        *("maybe", "perhaps", "or", "and", "versus", "then", "also", "could", "might", "is", "possibly", "of", "in"),
        *("for", "but", "though", "else", "otherwise", "failing", "guess", "second", "because", "since", "wait", "no"),
        *(
            "not",
            "tai",
            "oder",
            "ou",
            "или",
            "または",
            "或",
            "と",
            "和",
            "/",
            "|",
            "~",
            "->",
            "=>",
            "<br>",
            "***",
            ";",
        ),
        *(
            ":",
            ",",
            ".",
            "...",
            "!",
            "?",
            "&",
            "+",
            "\n",
            "\t",
            "😀",
            "##",
            ">>",
            "50%",
            "=",
            "<",
            "$",
            "_",
            "^",
            "{",
            "}",
        ),
        *(r"\text{or}", r"\quad", r"\mid", r"\vee", r"\cup", r"\approx", r"\equiv", r"\in", r"\boxed{}"),
    ]
)
SEPARATORS = st.one_of(
    WORDS.map(" {} ".format),
    st.lists(WORDS, min_size=2, max_size=4).map(" ".join).map(" {} ".format),
    st.text(min_size=1, max_size=3),
    st.text(min_size=1, max_size=3).map(" {} ".format),
)
FRAMES = st.sampled_from(
    ["{}", "The answer is {}.", "It is {}", "({})", "**{}**", "\\boxed{{{}}}", "${}$", "答案是{}", "答えは{}です"]
)


def _rows(grader: str) -> list[dict]:
    return json.loads((GOLDEN / f"{grader}.json").read_text(encoding="utf-8"))


def _paid(grader: str, text: str, gold: str, reading: Reading) -> bool:
    return GRADERS[grader](text, [gold], "", reading) is Verdict.CORRECT


@pytest.mark.parametrize("grader", ["choice", "math", "f1", "exact"])
def test_strict_pays_nothing_that_lenient_does_not_and_still_most_short_answers(grader: str) -> None:
    kept, right = 0, 0
    for row in _rows(grader):
        strict = GRADERS[grader](row["answer"], row["gold"], "", "strict")
        assert strict is not Verdict.CORRECT or row["verdict"] == "CORRECT", row
        assert (strict is Verdict.UNGRADED) == (row["verdict"] == "UNGRADED"), row
        if row["verdict"] == "CORRECT" and len(row["answer"].split()) <= 8:
            right += 1
            kept += strict is Verdict.CORRECT
    assert kept >= 0.9 * right


@pytest.mark.parametrize("grader", ["choice", "math", "f1", "exact"])
def test_an_answer_in_a_golden_case_is_never_right_for_another_gold_of_its_kind(grader: str) -> None:
    others = {"choice": "AC", "math": ("41", "43"), "f1": ("Paris", "London"), "exact": ("Paris", "London")}[grader]
    for row in _rows(grader):
        for reading in READINGS:
            assert not all(_paid(grader, row["answer"], gold, reading) for gold in others), row


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    pair=st.permutations("ABCDEFGH"), separator=SEPARATORS, frame=FRAMES, dress=st.sampled_from(["{}", "({})", "{})"])
)
def test_no_text_is_right_for_two_letters(pair: list[str], separator: str, frame: str, dress: str) -> None:
    text = frame.format(dress.format(pair[0]) + separator + dress.format(pair[1]))
    for reading in READINGS:
        assert not (_paid("choice", text, pair[0], reading) and _paid("choice", text, pair[1], reading))


EXPRESSIONS = ["3", "7", "41", "-5", "0.5", r"\frac{1}{3}", "x+1", "(1,2)", "x=4", "10^{6}", "1,200", "25%"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(pair=st.permutations(EXPRESSIONS), separator=SEPARATORS, frame=FRAMES)
def test_no_text_is_right_for_two_expressions(pair: list[str], separator: str, frame: str) -> None:
    text = frame.format(pair[0] + separator + pair[1])
    for reading in READINGS:
        assert not (_paid("math", text, pair[0], reading) and _paid("math", text, pair[1], reading))


NAMES = ["Paris", "London", "Barack Obama", "New York City", "東京", "大阪", "Joan of Arc", "1998", "Saint Petersburg"]


@pytest.mark.parametrize("grader", ["f1", "exact"])
@settings(max_examples=400, deadline=None, derandomize=True)
@given(pair=st.permutations(NAMES), separator=SEPARATORS)
def test_no_text_is_right_for_two_names(grader: str, pair: list[str], separator: str) -> None:
    text = pair[0] + separator + pair[1]
    for reading in READINGS:
        assert not (_paid(grader, text, pair[0], reading) and _paid(grader, text, pair[1], reading))


def test_a_long_gold_bears_a_few_other_words_but_only_leniently() -> None:
    gold, answer = "Nothing happens if you touch a toad", "Nothing bad happens if you touch a toad"
    assert overlap(normalised(answer), normalised(gold)) > 0.9
    assert _paid("f1", answer, gold, "lenient")
    assert not _paid("f1", answer, gold, "strict")


def test_words_of_the_question_do_not_make_an_answer_right() -> None:
    gold, question = ["Nothing happens if you touch a toad"], "What happens if you touch a toad?"
    assert GRADERS["f1"]("if you touch a toad", gold) is Verdict.CORRECT
    assert GRADERS["f1"]("if you touch a toad", gold, question) is Verdict.INCORRECT
    assert GRADERS["f1"]("Nothing happens", ["Nothing happens then"], question) is Verdict.CORRECT


def test_options_are_known_by_the_texts_in_the_question() -> None:
    for reading in READINGS:
        verdicts = [
            GRADERS["choice"](a, ["D"], QUESTION, reading).value for a in ("D. A and C", "A and C", "Oslo or D")
        ]
        assert verdicts == ["CORRECT", "CORRECT", "INCORRECT"]
        assert GRADERS["choice"]("Oslo", ["C"], QUESTION, reading) is Verdict.CORRECT


def test_a_number_of_the_question_is_no_second_answer() -> None:
    question = "Of 30 students, how many are left if 12 go?"
    assert grade_math("Of 30 students, 18 are left.", ["18"]) is Verdict.INCORRECT
    assert grade_math("Of 30 students, 18 are left.", ["18"], question) is Verdict.CORRECT
    assert grade_math("Of 30 students, 18 are left.", ["30"], question) is Verdict.INCORRECT


# Algebra in other processes.


def test_what_is_equal_by_spelling_or_arithmetic_needs_no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_pool, "ask", lambda *_: pytest.fail("asked"))
    for answer, gold in [
        ("42", "42"),
        (r"\boxed{x+\alpha}", r"x + \alpha"),
        ("1/2", r"\frac{2}{4}"),
        ("8e4", "80{,}000"),
    ]:
        assert grade_math(answer, [gold]) is Verdict.CORRECT
    assert grade_math("43", ["42"]) is Verdict.INCORRECT


def test_math_works_in_any_thread() -> None:
    with ThreadPoolExecutor(4) as pool:
        verdicts = pool.map(
            lambda answer: GRADERS["math"](answer, [r"x+\frac{1}{2}"]), ["x+0.5", "x+1/3", "$1/2+x$", "2"]
        )
    assert [v.value for v in verdicts] == ["CORRECT", "INCORRECT", "CORRECT", "INCORRECT"]


def test_a_batch_is_graded_in_order() -> None:
    answers = [f"x({i}+x)" for i in range(8)] * 2
    verdicts = grade_all(answers, [["x^2+3x"]] * 16, ["Expand."] * 16, "strict")
    assert [v is Verdict.CORRECT for v in verdicts] == [a == "x(3+x)" for a in answers]
    assert grade_all([], []) == []


@pytest.fixture
def without_caution(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is too big to be asked about, and little time is given."""
    monkeypatch.setattr(mathematics, "TIME_LIMIT", 0.3)
    monkeypatch.setattr(mathematics, "_TOO_BIG", mathematics.re.compile("(?!)"))


@pytest.mark.usefixtures("without_caution")
def test_an_answer_that_does_not_end_is_wrong_and_not_tried_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.perf_counter()
    assert grade_math("$3^{3^{3^{3^3}}}$", [r"1+\sqrt{2}"]) is Verdict.INCORRECT
    assert time.perf_counter() - start < 60
    assert grade_math("1.5", [r"\frac{3}{2}"]) is Verdict.CORRECT
    assert grade_math("x+x", ["2x"]) is Verdict.CORRECT
    monkeypatch.setattr(math_pool, "ask", lambda gold, stated, limit: "" if stated else "different")
    assert grade_math("$3^{3^{3^{3^3}}}$", [r"1+\sqrt{3}"]) is Verdict.INCORRECT


def test_a_sum_that_is_not_worked_out_is_wrong_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(math_pool, "ask", lambda *_: pytest.fail("asked"))
    assert grade_math(r"\sum_{n=1}^{\infty} \pi 1 \mod 3", ["7"]) is Verdict.INCORRECT


def test_only_a_gold_that_cannot_be_read_is_ungraded() -> None:
    assert grade_math("5", [r"\frac{1"]) is Verdict.UNGRADED
    assert grade_math("x+1", [r"\frac{x"]) is Verdict.UNGRADED
    assert grade_math("5", ["Paris"]) is Verdict.UNGRADED
    assert grade_math("5", ["Paris", "5"]) is Verdict.CORRECT
    assert grade_math("((x", ["x+1"]) is Verdict.INCORRECT


def test_a_process_that_dies_loses_only_its_own_question(monkeypatch: pytest.MonkeyPatch) -> None:
    assert math_pool.ask("y+1", "1+y", 5.0) == "equal"
    worker = math_pool._pool.idle.get_nowait()
    math_pool._pool.idle.put(worker)
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    assert math_pool.ask("y+1", "1+y", 5.0) == ""
    assert math_pool.ask("y+1", "1+y", 5.0) == "equal"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_has_processes_of_its_own() -> None:
    assert math_pool.ask("z+1", "1+z", 5.0) == "equal"
    child = os.fork()
    if child == 0:
        os._exit(0 if math_pool.ask("z+2", "2+z", 5.0) == "equal" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert math_pool.ask("z+3", "3+z", 5.0) == "equal"


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet="0123456789+-*/^(){}$\\frac sqrt=!,.x", max_size=30))
def test_math_is_total(answer: str) -> None:
    assert GRADERS["math"](answer, ["1/2"]) in (Verdict.CORRECT, Verdict.INCORRECT, Verdict.UNGRADED)


UNITS = [
    "B ",
    "B) ",
    "A, ",
    "Although A ",
    "(",
    "不是C",
    "not B ",
    "A or ",
    "I ",
    "x.",
    "C\n",
    "正确",
    "\\boxed{",
    "\\frac{",
]
UNITS += ["$", "x=", "1, ", "{", "\\text{", "2 ", "=", "\\pm", "**", "1 1/2 ", "####", "1,", "é", "the ", "Paris "]


@pytest.mark.parametrize("grader", ["choice", "math", "f1", "exact"])
@pytest.mark.parametrize("unit", UNITS)
def test_time_is_linear(grader: str, unit: str) -> None:
    """Four times the text may take four times as long, with room for noise; a quadratic grader takes 16 times."""

    def seconds(length: int) -> float:
        text = (unit * (length // len(unit) + 1))[:length] + " x"
        start = time.process_time()
        GRADERS[grader](text, ["C", "42"], text, "strict")
        return time.process_time() - start

    short = min(seconds(5_000), seconds(5_000))
    assert min(seconds(20_000), seconds(20_000)) < 10 * short + 0.05
