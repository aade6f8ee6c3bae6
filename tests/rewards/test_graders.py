"""Graders: golden cases, and laws that hold for any text."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.rewards.graders import GRADERS
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "graders"
HOSTILE = json.loads((GOLDEN.parent / "hostile.json").read_text(encoding="utf-8"))
CASES = [
    pytest.param(file.stem.split("_")[0], row, id=f"{file.stem}-{row['gold']}-{row['answer'][:40]!r}")
    for file in sorted(GOLDEN.glob("*.json"))
    for row in json.loads(file.read_text(encoding="utf-8"))
]
READINGS: tuple[Reading, Reading] = ("lenient", "strict")
TEXT_GRADERS = sorted(set(GRADERS) - {"math", "claims"})
"""math asks another process, so it is tried on fewer texts; the golds of claims are of another kind: test_claims.py"""
CITIES = ["Paris", "São Paulo", "東京"]
GOLDS = {
    "match": [*CITIES, "Barack Obama", "パリ", "1998", "5 September 2005", "AC/DC", "St. Louis", "파리"],
    "exact": [*CITIES, "The Beatles", "1,998"],
    "f1": ["Nothing happens if you touch a toad", "Barack Obama", "東京都庁"],
    "numeric": ["12", "3.5 million", "5 km", "12%", "−5", "1,234.5", "twenty-one", "€9.88", "6.02×10²³"],
    "date": ["2020-01-02", "January 2020", "1972", "5 Sept. 2005", "2020年1月2日", "44 BC"],
    "choice": ["A", "B", "I", "C) Paris", "(D)"],
}
OTHER = {"numeric": "77777", "date": "11 November 1811", "choice": "Z"}


@pytest.mark.parametrize(("grader", "row"), CASES)
def test_golden_case(grader: str, row: dict) -> None:
    verdict = GRADERS[grader](row["answer"], row["gold"], row.get("question", ""), row.get("reading", "lenient"))
    assert verdict == row["verdict"], row["why"]


@pytest.mark.parametrize(("grader", "row"), [case for case in CASES if case.values[0] != "math"])
def test_the_strict_reading_is_only_ever_stricter(grader: str, row: dict) -> None:
    lenient, strict = (GRADERS[grader](row["answer"], row["gold"], row.get("question", ""), r) for r in READINGS)
    unread = grader == "claims" and (lenient, strict) == (Verdict.UNGRADED, Verdict.INCORRECT)
    assert unread or strict == lenient or (lenient, strict) == (Verdict.CORRECT, Verdict.INCORRECT)


@pytest.mark.parametrize(("grader", "least"), [("match", 40), *((name, 20) for name in GRADERS if name != "match")])
def test_there_are_golden_cases_of_every_verdict(grader: str, least: int) -> None:
    rows = [case.values[1] for case in CASES if case.values[0] == grader]
    assert len(rows) >= least
    assert {row["verdict"] for row in rows} == {"CORRECT", "INCORRECT", "UNGRADED"}


@pytest.mark.parametrize(("grader", "gold"), [(g, gold) for g, golds in GOLDS.items() for gold in golds])
@given(dress=st.sampled_from(["{}", " {} ", "\n{}\n", "{}.", '"{}"', "**{}**", "{}!", " {}  .", "“{}”"]))
def test_a_grader_accepts_its_gold_in_any_dress(grader: str, gold: str, dress: str) -> None:
    assert GRADERS[grader](dress.format(gold), [gold]) is Verdict.CORRECT


@pytest.mark.parametrize(("grader", "gold"), [(g, gold) for g, golds in GOLDS.items() for gold in golds])
def test_a_grader_rejects_another_answer(grader: str, gold: str) -> None:
    assert GRADERS[grader](OTHER.get(grader, "Ulan Bator"), [gold]) is Verdict.INCORRECT


@pytest.mark.parametrize("grader", TEXT_GRADERS)
@settings(max_examples=150, deadline=None)
@given(answer=st.text(max_size=200), gold=st.lists(st.text(max_size=60), max_size=4))
def test_graders_are_total(grader: str, answer: str, gold: list[str]) -> None:
    assert GRADERS[grader](answer, gold) in (Verdict.CORRECT, Verdict.INCORRECT, Verdict.UNGRADED)


PHRASES = st.lists(st.sampled_from(HOSTILE["words"]), max_size=14).map(" ".join)


@pytest.mark.parametrize("grader", TEXT_GRADERS)
@settings(max_examples=200, deadline=None)
@given(answer=PHRASES)
def test_graders_are_total_on_what_looks_like_an_answer(grader: str, answer: str) -> None:
    golds = ["Paris", "東京", "5 km", "2020", "B"]
    assert GRADERS[grader](answer, golds) in (Verdict.CORRECT, Verdict.INCORRECT)


@pytest.mark.parametrize("grader", TEXT_GRADERS)
@settings(max_examples=60, deadline=None)
@given(answer=PHRASES, space=st.text(alphabet=" \n\t", max_size=3))
def test_surrounding_space_changes_nothing(grader: str, answer: str, space: str) -> None:
    golds = ["Paris", "東京", "5 km", "2020", "B"]
    assert GRADERS[grader](space + answer + space, golds) is GRADERS[grader](answer, golds)


@pytest.mark.parametrize("grader", list(GRADERS))
@pytest.mark.parametrize("gold", [[], [""], ["  ", "\n"]])
def test_no_gold_is_ungraded(grader: str, gold: Sequence[str]) -> None:
    assert GRADERS[grader]("Paris", gold) is Verdict.UNGRADED


@pytest.mark.parametrize("grader", TEXT_GRADERS)
@pytest.mark.parametrize("unit", HOSTILE["units"])
def test_time_is_linear(grader: str, unit: str) -> None:
    """Eight times the text may take eight times as long, with room for noise; a quadratic grader takes 64 times."""

    def seconds(length: int) -> float:
        text = (unit * (length // len(unit) + 1))[:length] + " x"
        start = time.process_time()
        GRADERS[grader](text, ["Paris", "5 km", "2020", "B"])
        return time.process_time() - start

    short = seconds(500)
    assert seconds(4_000) < 24 * short + 0.05 or seconds(4_000) < 24 * short + 0.05
