"""Prompts, read backwards: what was asked, and which format was asked for; answers in one; data sets at targets."""

from typing import Any, get_args

import pytest

from abstain.rewards.parsing.completion import parse
from abstain.rewards.prompts import (
    TARGETS,
    asked_format,
    in_format,
    instruction,
    prompt_text,
    question_of,
    stated_instruction,
    with_targets,
)
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
        prompt = prompt_text(question, target, template)
        assert question_of(prompt) == question
        assert stated_instruction(prompt) == ("" if target is None else instruction(target))


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


# --- targets put into a data set

ROWS = [{"question": "Capital of Peru?", "answers": ["Lima"], "id": 7}, {"question": "Who?", "answers": "Bo", "id": 8}]


def test_every_question_at_every_target() -> None:
    rows = with_targets(ROWS, [0, 0.75])
    assert [(row["question"], row["target"], row["id"]) for row in rows] == [
        ("Capital of Peru?", 0, 7),
        ("Capital of Peru?", 0.75, 7),
        ("Who?", 0, 8),
        ("Who?", 0.75, 8),
    ]
    assert [row["prompt"] for row in rows] == [prompt_text(row["question"], row["target"]) for row in rows]
    assert rows[3]["answers"] == ["Bo"]
    assert [row["target"] for row in with_targets(ROWS)] == [*TARGETS, *TARGETS]
    assert ROWS[1] == {"question": "Who?", "answers": "Bo", "id": 8}  # as it was


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_prompt_of_a_template_is_the_recipe_s(template: str) -> None:
    (row,) = with_targets([ROWS[0]], [0.9], template=template)
    assert row["prompt"] == prompt_text("Capital of Peru?", 0.9, template)


def test_the_instruction_comes_before_what_asks_for_the_answer() -> None:
    (row,) = with_targets([{"prompt": SHOTS + "Question: Capital of Peru?\nAnswer:", "answers": ["Lima"]}], [0.5])
    assert row["prompt"] == f"{SHOTS}Question: Capital of Peru?\n{instruction(0.5)}\nAnswer:"
    assert row["question"] == "Capital of Peru?"


def test_a_row_keeps_its_own_target() -> None:
    rows = [
        {"prompt": "Who?", "answers": ["Bo"], "target": 0.25},
        {"prompt": "Who?", "answers": ["Bo"], "target": None},
    ]
    assert [row["target"] for row in with_targets(rows)] == [0.25, *TARGETS]
    assert [row["target"] for row in with_targets(rows, [0.5])] == [0.5, 0.5]


def test_of_a_conversation_the_last_question_gets_the_instruction() -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Capital of Chile?"},
        {"role": "assistant", "content": "Santiago"},
        {"role": "user", "content": "Capital of Peru?"},
    ]
    (row,) = with_targets([{"prompt": turns, "answers": ["Lima"]}], [0.75])
    assert row["prompt"][:3] == turns[:3]
    assert row["prompt"][3] == {"role": "user", "content": prompt_text("Capital of Peru?", 0.75)}
    assert row["question"] == "Capital of Peru?" and turns[3]["content"] == "Capital of Peru?"


def test_of_a_turn_in_parts_the_last_text() -> None:
    parts = [{"type": "text", "text": "Look:"}, {"type": "text", "text": "Who?"}, {"type": "image", "text": None}]
    (row,) = with_targets([{"prompt": [{"role": "user", "content": parts}], "answers": ["Bo"]}], [0])
    assert [part["text"] for part in row["prompt"][0]["content"]] == ["Look:", prompt_text("Who?", 0), None]


def test_what_else_a_prompt_may_say() -> None:
    (asked,) = with_targets([ROWS[0]], [0, 0.5], instruct="confidence")
    assert asked["target"] is None and asked["prompt"] == prompt_text("Capital of Peru?", None, instruct="confidence")
    silent = with_targets([ROWS[0]], [0, 0.5], instruct="nothing")
    assert [(row["prompt"], row["target"]) for row in silent] == [("Capital of Peru?", 0), ("Capital of Peru?", 0.5)]
    (chat,) = with_targets([ROWS[0]], [0.5], chat=True)
    assert chat["prompt"] == [{"role": "user", "content": prompt_text("Capital of Peru?", 0.5)}]


def test_data_sets_of_every_kind() -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{**row, "answers": list(row["answers"]) if row["id"] == 7 else ["Bo"]} for row in ROWS]
    expected = with_targets(rows, [0, 0.9])
    dataset = datasets.Dataset.from_list(rows)
    assert with_targets(dataset, [0, 0.9]).to_list() == expected
    assert list(with_targets(dataset.to_iterable_dataset(), [0, 0.9])) == expected
    assert list(with_targets(datasets.IterableDataset.from_generator(lambda: iter(rows)), [0, 0.9])) == expected
    both = with_targets(datasets.DatasetDict(train=dataset, test=dataset), [0, 0.9])
    assert isinstance(both, datasets.DatasetDict) and both["test"].to_list() == expected
    assert with_targets({"train": rows}, [0, 0.9]) == {"train": expected}


@pytest.mark.parametrize(
    ("dataset", "options", "said"),
    [
        (
            with_targets(ROWS, [0.5]),
            {},
            "row 0: the prompt says 'Answer only if you are > 0.5 c'… already; with_targets\\(dataset.remove_columns",
        ),
        (
            [
                {
                    "prompt": [{"role": "system", "content": instruction(0)}, {"role": "user", "content": "Who?"}],
                    "answers": [],
                }
            ],
            {},
            "row 0: the prompt says 'Make your best guess",
        ),
        ([{"prompt": "Who?", "answer": ["Bo"]}], {}, r"row 0 has no 'answers', only prompt, answer; dataset.rename"),
        (
            [ROWS[0], {"query": "Who?", "answers": []}],
            {},
            "row 1 has no 'prompt' and no 'question', only query, answers",
        ),
        (
            [{"prompt": [{"role": "assistant", "content": "Bo"}], "answers": []}],
            {},
            "neither a text nor a conversation",
        ),
        (ROWS, {"targets": [75]}, "target 75 is outside .* did you mean 0.75"),
        (ROWS, {"targets": []}, "targets is empty"),
        (ROWS, {"template": "{question}"}, "lacks {instruction}"),
        ([{**ROWS[0], "target": 2}], {}, "target 2 is outside"),
        (3, {}, "a int is no data set of the library datasets"),
        (["Who?"], {}, "a list is no data set"),
    ],
)
def test_data_that_cannot_be_given_targets(dataset: object, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        with_targets(dataset, **options)
