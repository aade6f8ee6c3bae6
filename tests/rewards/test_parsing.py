"""Completions of every shape, read into a Response."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.rewards.parsing.completion import parse
from abstain.rewards.parsing.confidence import read_confidence
from abstain.rewards.response import Response

CASES = json.loads((Path(__file__).resolve().parents[1] / "golden" / "parsing.json").read_text("utf-8"))
TAGS = ["<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "{", "}", "<confidence>"]
WORDS = ["I don't know", ", but perhaps ", "Confidence: 85%", "80% sure", "わかりません", "不知道", " ", "**", "Oslo"]


@pytest.mark.parametrize("case", CASES, ids=[str(case["completion"])[:60] for case in CASES])
def test_golden(case: dict[str, Any]) -> None:
    expected = {key: value for key, value in case.items() if key not in ("completion", "scale")}
    assert parse(case["completion"], confidence_scale=case.get("scale")) == Response(**expected)


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
