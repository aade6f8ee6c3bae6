"""Completions of every shape, read into a Response."""

import json
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.rewards.parsing import completion, formats
from abstain.rewards.parsing.abstention import Offer
from abstain.rewards.parsing.completion import parse
from abstain.rewards.parsing.confidence import read_confidence
from abstain.rewards.response import AnswerFormat, Response

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
CASES = json.loads((GOLDEN / "parsing.json").read_text("utf-8"))
FORMS = json.loads((GOLDEN / "parsing_forms.json").read_text("utf-8"))  # by kind: control tokens, remarks, formats …
TAGS = ["<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "{", "}", "<confidence>"]
WORDS = ["I don't know", ", but perhaps ", "Confidence: 85%", "80% sure", "わかりません", "不知道", " ", "**", "Oslo"]


@pytest.mark.parametrize("case", CASES, ids=[str(case["completion"])[:60] for case in CASES])
def test_golden(case: dict[str, Any]) -> None:
    expected = {key: value for key, value in case.items() if key not in ("completion", "scale")}
    assert parse(case["completion"], confidence_scale=case.get("scale")) == Response(**expected)


@pytest.mark.parametrize(("kind", "case"), [(kind, case) for kind, cases in FORMS.items() for case in cases])
def test_golden_forms(kind: str, case: dict[str, Any]) -> None:
    expected = {key: value for key, value in case.items() if key not in ("completion", "answer_format")}
    assert parse(case["completion"], answer_format=case.get("answer_format", "auto")) == Response(**expected), kind


def well_formed(response: Response) -> None:
    assert response.confidence is None or 0 <= response.confidence <= 1
    assert not (
        response.abstained and (response.answer or response.truncated or response.malformed or response.hedged)
    )
    assert bool(response.answer) or response.abstained or response.malformed


@given(st.text(max_size=400), st.booleans())
def test_any_text_is_read(text: str, truncated: bool) -> None:
    response = parse(text, truncated=truncated)
    well_formed(response)
    assert response.truncated or not truncated


@given(st.lists(st.sampled_from([*TAGS, *WORDS, "\\text{IDK}", "Answer: ", "\n"]), max_size=12).map("".join))
def test_any_markup_is_read(text: str) -> None:
    response = parse(text)
    well_formed(response)
    assert parse(f"\n {text} \t") == response
    assert parse([{"role": "user", "content": "?"}, {"role": "assistant", "content": text}]) == response


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "text", "type"]), inner | st.just("assistant"), max_size=3
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4))
def test_any_messages_are_read(messages: list[Any]) -> None:
    well_formed(parse(messages))


@given(
    st.floats(0, 1), st.sampled_from(["Paris. Confidence: {}", "<answer>Paris</answer><confidence>{}</confidence>"])
)
def test_stated_fractions_come_back(confidence: float, form: str) -> None:
    stated = f"{confidence:.4f}"
    assert parse(form.format(stated)) == Response("Paris", confidence=float(stated))


@given(st.integers(0, 100))
def test_stated_percentages_come_back(percent: int) -> None:
    for form in ("Paris. Confidence: {}%", "I'm {}% sure it's Paris", "Paris（確信度：{}％）", "Paris，置信度：{}%"):
        assert parse(form.format(percent)) == Response("Paris", confidence=percent / 100)


@pytest.mark.parametrize("text", ["I don't know", "わかりません。", "<answer>IDK</answer>", "\\boxed{\\text{IDK}}"])
def test_a_truncated_reply_is_no_abstention(text: str) -> None:
    assert parse(text).abstained
    cut = parse(text, truncated=True)
    assert cut.truncated and not cut.abstained and cut.answer


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_is_a_positive_number(scale: float) -> None:
    with pytest.raises(ValueError, match="confidence_scale"):
        parse("Paris", confidence_scale=scale)


def test_the_last_statement_of_confidence_counts() -> None:
    assert read_confidence("Confidence: 40%. Paris. Confidence: 60%") == ("Paris.", 0.6)
    assert read_confidence("no number here") == ("no number here", None)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "repeated", ["<think>", "<answer>", "\\boxed{", "Answer:\n", "Confidence: 85%", "9", "not 80% sure ", "。"]
)
def test_a_megabyte_is_read_in_time(repeated: str) -> None:
    well_formed(parse(repeated * (1_000_000 // len(repeated)) + "Paris"))


# What may stand around a reply and is no part of it, whatever the reply is.
REPLIES = {
    "Oslo": Response("Oslo"),
    "Answer: Trent": Response("Trent"),
    "42": Response("42"),
    "-0.5": Response("-0.5"),
    "June 1907": Response("June 1907"),
    "オスロです。": Response("オスロ"),
    "奥斯陆": Response("奥斯陆"),
    "<answer>Oslo</answer>": Response("Oslo"),
    "So it is $\\boxed{42}$.": Response("42"),
    "<think>Is it Bergen?</think>Oslo": Response("Oslo"),
    "### Answer\nOslo": Response("Oslo"),
    "I don't know.": Response("", abstained=True),
    "わかりません。": Response("", abstained=True),
    "我不知道": Response("", abstained=True),
}
NAMES = [
    "eot_id",
    "im_end",
    "endoftext",
    "end",
    "return",
    "END_OF_TURN_TOKEN",
    "end_of_text",
    "pad",
    "eom_id",
    "call_it",
]
ENDS = [
    "</s>",
    "<eos>",
    "<pad>",
    "<end_of_turn>",
    "[EOS]",
    "<｜end▁of▁sentence｜>",
    "[|endofturn|]",
    "<turn|>",
    "[/INST]",
]
TOKENS = [*(f"<|{name}|>" for name in NAMES), *ENDS]
CONFIDENCES = {
    **{"Confidence: 70%": 0.7, "Confidence: ~70%": 0.7, "Confidence: [0.7]": 0.7, "**Confidence:** 0.7": 0.7},
    **{
        "Certainty: seventy percent": 0.7,
        "Probability: 70%": 0.7,
        "Confidence: 7/10": 0.7,
        "### Confidence\n70%": 0.7,
    },
    **{"確信度：7割": 0.7, "自信: ７０％": 0.7, "置信度：70%": 0.7, "把握：七成": 0.7},
    **{"<confidence>0.7</confidence>": 0.7, "Confidence:": None, "Confidence: Bergen": None, "信心：很高": None},
}
LABELS = ["Reason", "Source", "**Note:**", "Evidence", "P.S.", "TL;DR", "出典", "補足", "理由", "备注", "来源", "解释"]
QUESTIONS = ["Question", "Q", "Problem 2", "Human", "User", "質問", "問題", "问题", "用户"]
TURNS = [
    "<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n{}",
    "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n{}",
    "<end_of_turn>\n<start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n{}",
    "</s><s>[INST] {} [/INST] {}</s>",
    "<|end|><|user|>{}<|end|><|assistant|>{}",
]
THOUGHTS = ["<think>{}</think>", "<seed:think>{}</seed:think>", "[THINK]{}[/THINK]", "◁think▷{}◁/think▷"]
replies = st.sampled_from(sorted(REPLIES))


@given(replies, st.lists(st.sampled_from(TOKENS), min_size=1, max_size=4), st.sampled_from(["", "\n", " "]))
def test_a_control_token_never_changes_what_is_said(reply: str, tokens: list[str], space: str) -> None:
    assert parse(reply + space + "".join(tokens)) == REPLIES[reply]
    if "think" not in reply:
        assert parse("<|im_start|>assistant\n" + reply + tokens[0]) == REPLIES[reply]


@given(replies, st.from_regex(r"<EXTRA[A-Z]{1,9}[0-9]{0,3}>", fullmatch=True))
def test_a_tokenizers_own_tokens_are_told(reply: str, token: str) -> None:
    assert parse(reply + token + token, control_tokens=[token]) == REPLIES[reply]


@given(replies, st.sampled_from(sorted(CONFIDENCES)), st.sampled_from(["\n", "\n\n"]))
def test_a_stated_confidence_is_neither_lost_nor_part_of_the_answer(reply: str, line: str, space: str) -> None:
    assert parse(reply + space + line) == replace(REPLIES[reply], confidence=CONFIDENCES[line])


@given(replies, st.sampled_from(LABELS), st.sampled_from(["Bergen was earlier", "地図", "see [1]", "没有"]))
def test_a_remark_is_no_part_of_the_answer(reply: str, label: str, remark: str) -> None:
    colon = "" if ":" in label else ": "
    assert parse(f"{reply}\n{label}{colon}{remark}") == REPLIES[reply]


@given(replies, st.sampled_from(QUESTIONS), st.sampled_from(["Nairobi", "<answer>Nairobi</answer>", "\\boxed{7}"]))
def test_the_first_answer_counts_where_the_model_asks_on(reply: str, question: str, other: str) -> None:
    assert parse(f"{reply}\n\n{question}: And Kenya?\nAnswer: {other}\nConfidence: 20%") == REPLIES[reply]


@given(replies, st.sampled_from(TURNS), st.sampled_from(["Nairobi", "I don't know.", "<answer>Nairobi</answer>"]))
def test_another_turn_is_no_part_of_the_reply(reply: str, turn: str, other: str) -> None:
    assert parse(reply + turn.format("And Kenya?", other)) == REPLIES[reply]


@given(
    replies, st.sampled_from(THOUGHTS), st.sampled_from(["Bergen!", "I don't know.", "Answer: Bergen", "多分ベルゲン"])
)
def test_a_thought_is_no_part_of_the_reply(reply: str, thought: str, inner: str) -> None:
    assert parse(thought.format(inner) + reply) == REPLIES[reply]
    assert parse(thought.partition("{}")[0] + inner).malformed == "unclosed <think>"


NAMED = ["Oslo", "Bergen", "41", "42", "オスロ", "奥斯陆", "I don't know"]
SHAPES = ["<answer>{}</answer>", "\\boxed{{{}}}", '{{"answer": "{}"}}']


@given(
    st.lists(st.sampled_from(NAMED), min_size=2, max_size=2, unique=True),
    st.permutations(SHAPES),
    st.text(" \n.", max_size=3),
)
def test_two_formats_that_disagree_are_malformed(answers: list[str], shapes: list[str], between: str) -> None:
    text = between.join(shape.format(answer) for shape, answer in zip(shapes, answers, strict=False))
    assert parse(text).malformed.startswith("two answers: ")
    same = between.join(shape.format(answers[0]) for shape in shapes[:2])
    assert parse(same) == parse(answers[0])


WHERE = {
    "tag": "<answer>{}</answer>",
    "boxed": "\\boxed{{{}}}",
    "json": '{{"answer": "{}"}}',
    "harmony": "<|channel|>final<|message|>{}",
}


@pytest.mark.parametrize("taught", WHERE)
@pytest.mark.parametrize("used", [*WHERE, "plain"])
def test_a_taught_format_is_read_as_that_and_nothing_else(taught: AnswerFormat, used: str) -> None:
    response = parse(WHERE.get(used, "{}").format("Oslo"), answer_format=taught)
    if taught == used:
        assert response == Response("Oslo")
    else:
        assert not response.answer and response.malformed.startswith("no ")
    assert parse("I don't know.", answer_format=taught) == Response("", abstained=True)


def test_an_answer_format_has_a_name() -> None:
    with pytest.raises(ValueError, match="no answer format is called 'box'"):
        parse("Oslo", answer_format="box")  # type: ignore[arg-type]


HOSTILE = [
    *(
        "<think>",
        "<answer>",
        "<|",
        "<|a|>",
        "<|channel|>final<|message|>",
        "<confidence>9",
        "<im_",
        "◁think▷",
        "[THINK]",
    ),
    *("\\boxed{", "\\text{", '{"answer": ', '{"', "'", "```a\n", "~~a", "**a", "#### a\n", "> ", "\n*", "\n- "),
    *(
        "\nQuestion:",
        "a\nQ: ",
        "\nNote:",
        ". Note",
        "Abc: d\n",
        ". I hope this helps",
        "\nuser\n",
        "Answer:\n",
        "答案：\n",
    ),
    *(
        "Confidence: 85%",
        "confidence is ",
        "90% sure ",
        "把握",
        "九成",
        "my my ",
        "twenty-",
        "zero point one ",
        "9,",
        "Ġ",
        "▁",
    ),
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_reading_takes_time_in_proportion_to_the_text(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule for "I don't know", which has its own test."""
    for module in (completion, formats):
        monkeypatch.setattr(module, "read", Offer)

    def seconds(size: int) -> float:
        text = (unit * size)[:size] + "x"
        taken = []
        for _ in range(3):
            begin = process_time()
            parse(text)
            taken.append(process_time() - begin)
        return min(taken)

    assert seconds(40_000) < 3.5 * seconds(20_000) + 0.005
