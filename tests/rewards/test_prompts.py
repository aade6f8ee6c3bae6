"""Prompts, read backwards: what was asked, and which format was asked for; and answers written in a format."""

from typing import get_args

import pytest

from abstain.rewards.parsing.completion import parse
from abstain.rewards.prompts import asked_format, in_format, prompt_text, question_of
from abstain.rewards.response import AnswerFormat

TEMPLATES = [
    "{question}\n{instruction}",
    "Question: {question}\n{instruction}\nAnswer:",
    "{instruction}\n\n{question}",
]
SHOTS = "Question: Capital of Chile?\nAnswer: Santiago\n\nQuestion: Capital of Ecuador?\nAnswer: Quito\n\n"


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("target", [None, 0, 1e-5, 0.05, 1 / 3, 0.5, 0.75, 0.9, 0.999])
def test_the_question_is_what_is_left_of_a_prompt(template: str, target: float | None) -> None:
    for question in ("Capital of Peru?", "Which of {a} and {b}\nis larger?", "秘鲁的首都是哪里？"):
        assert question_of(prompt_text(question, target, template)) == question


def test_the_question_of_prompts_in_other_shapes() -> None:
    assert question_of(prompt_text("Who?", None, instruct="confidence")) == "Who?"
    assert question_of(SHOTS + prompt_text("Capital of Peru?", 0.5, TEMPLATES[1])) == "Capital of Peru?"
    assert question_of("Q: Who?\nA: Bo\nQ: And who else?\nA:") == "And who else?"
    assert question_of("问题：首都是哪里？\n答案：圣地亚哥\n问题：最高的山是哪座？\n答案：") == "最高的山是哪座？"
    assert question_of("質問：首都はどこですか。\n答え：") == "首都はどこですか。"
    assert question_of("") == question_of("Question:") == ""
    options = "Which is it?\nA: Lima\nB: Cusco"
    assert question_of(options) == options


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("{question}\nPut your final answer within \\boxed{{}}.", "boxed"),
        ("Reply with <answer>your answer</answer>. {question}", "tag"),
        ("Think first, then close with </answer >.", "tag"),
        ('Reply in JSON: {"answer": ...}', "json"),
        ("Reply as {'answer': '...'}", "json"),
        ("Give the answer on the last line.", "last_line"),
        ("最後の行に答えだけを書いてください。", "last_line"),
        ("请在最后一行写出答案。", "last_line"),
        ("Use <|channel|>final for it.", "harmony"),
        *((template, None) for template in TEMPLATES),
        ("Who boxed against Ali? Answer:", None),
        ("How many lines has a sonnet?", None),
        ("{question} Answer briefly.", None),
    ],
)
def test_the_format_that_a_prompt_asks_for(prompt: str, wanted: str | None) -> None:
    assert asked_format(prompt) == wanted


@pytest.mark.parametrize("answer", ["Lima", "Santa Cruz de la Sierra", "圣地亚哥", 'the "White City"', "3.5 km"])
@pytest.mark.parametrize("answer_format", [name for name in get_args(AnswerFormat) if name != "harmony"])
def test_what_is_written_in_a_format_is_read_in_it(answer: str, answer_format: AnswerFormat) -> None:
    assert parse(in_format(answer, answer_format), answer_format=answer_format).answer == answer
    stated = parse(in_format(answer, answer_format, 0.85), answer_format=answer_format)
    assert (stated.answer.rstrip("."), stated.confidence) == (answer, 0.85)
    assert in_format(answer, "harmony") == answer  # the chat template writes the channels


def steps(text: str) -> float:
    """Seconds of the fastest of some calls."""
    import timeit

    return min(timeit.repeat(lambda: (question_of(text), asked_format(text)), number=3, repeat=5))


@pytest.mark.parametrize(
    "piece", ["a", " ", "\n", "Question: ", "Answer:", "<answer", "Answer only if you are > ", "\nA: \n"]
)
def test_time_grows_with_the_length_of_a_prompt_and_no_faster(piece: str) -> None:
    text = piece * (10_000 // len(piece))
    assert steps(text * 8) < 30 * steps(text)  # 64 times, if it were quadratic; 8, and the noise of a busy machine
