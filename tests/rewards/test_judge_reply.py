"""A judge's reply is a grade, or it is not: every parser that was found to guess is a case here."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.rewards.judge.prompts import GRADES, read_grade
from abstain.rewards.verdict import Verdict

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "judge_replies.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))
LETTERS = dict(zip("ABC", GRADES.values(), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case["reply"][:30]))
def test_golden_replies(case: dict[str, Any]) -> None:
    assert read_grade(case["reply"], LETTERS if case.get("letters") else None) == case["verdict"]


@given(st.text(max_size=200), st.sampled_from(sorted(GRADES)))
def test_whatever_comes_before_the_last_line_the_last_line_counts(before: str, grade: str) -> None:
    if before.lstrip().startswith(("{", "```")) or "<" in before:
        return
    assert read_grade(f"{before}\nGRADE: {grade}") is GRADES[grade]


PIECES = st.sampled_from([*"ABCabc \n.:{}[]\"'`<>/_-", "CORRECT", "NOT", "IN", "grade", "<think>", "```"])


@given(st.lists(PIECES))
def test_any_text_is_read(pieces: list[str]) -> None:
    assert read_grade("".join(pieces), LETTERS) in Verdict


@given(st.text(min_size=41).filter(lambda text: text.strip() and not text.lstrip().startswith(("{", "```"))))
def test_a_sentence_is_never_a_grade(text: str) -> None:
    line = " ".join(text.split()).ljust(41, "x")
    assert read_grade(line) is Verdict.UNGRADED


@pytest.mark.parametrize("piece", ["<think>", "```json\n", "{", "[", "*", "GRADE: ", "\n", "a ", "：", "_"])
def test_a_huge_reply_takes_linear_time(piece: str) -> None:
    reply = piece * (1_000_000 // len(piece))
    start = time.process_time()
    assert read_grade(reply) is Verdict.UNGRADED
    assert read_grade("{" + reply) is Verdict.UNGRADED
    assert time.process_time() - start < 5
