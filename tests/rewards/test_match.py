"""Hedging must not pay: the laws of the `match` grader that keep it from being farmed in training."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.rewards.graders.match import grade_match
from abstain.rewards.graders.places import COUNTRIES, STATES
from abstain.rewards.verdict import Verdict

HEDGING = json.loads((Path(__file__).resolve().parents[1] / "golden" / "hedging.json").read_text(encoding="utf-8"))
SIGNS = ' !"#$%()*+,-./:;<=>?@[\\]^_`{|}~\n\t'
CITIES = ["London", "Rome", "Berlin", "Madrid", "Paris", "Vienna", "Prague", "Athens", "Dublin", "Oslo"]


def paid(text: str, golds: list[str]) -> list[str]:
    """The golds for which a text is CORRECT."""
    return [gold for gold in golds if grade_match(text, [gold]) is Verdict.CORRECT]


@pytest.mark.parametrize("pair", HEDGING["pairs"], ids=str)
def test_no_arrangement_of_two_answers_pays_for_both(pair: list[str]) -> None:
    for joint, (before, after) in itertools.product(HEDGING["joints"], HEDGING["frames"]):
        for first, second in (pair, pair[::-1]):
            text = f"{before}{first}{joint}{second}{after}"
            assert len(paid(text, pair)) < 2, text


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sampled_from(HEDGING["pairs"][:9]), st.text(st.sampled_from(SIGNS), max_size=4), st.sampled_from(["", ".", "?"])
)
def test_no_signs_between_two_answers_pay_for_both(pair: list[str], joint: str, after: str) -> None:
    assert len(paid(f"{pair[0]}{joint}{pair[1]}{after}", pair)) < 2


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(CITIES), min_size=3, max_size=6, unique=True), st.sampled_from(HEDGING["joints"]))
def test_a_list_pays_for_one_at_most(cities: list[str], joint: str) -> None:
    assert len(paid(joint.join(cities), cities)) < 2


def test_an_essay_that_names_everything_does_not_win_by_coverage() -> None:
    essay = " ".join(f"{city} is an old city, and many call it a capital of culture." for city in CITIES)
    assert paid(essay, CITIES) == ["London"]
    assert len(paid("Europe has many of them, such as " + " and ".join(CITIES) + ".", CITIES)) < 2
    assert paid("It " + "could perhaps be a place like that " * 12 + "Paris", CITIES) == []


def test_order_and_repetition_of_golds_change_nothing() -> None:
    golds = ["Paris", "City of Light", "Lutetia"]
    for answer in ("It is the City of Light.", "Paris, Lutetia", "London", "Paris or London"):
        verdicts = {grade_match(answer, list(order) * 2) for order in itertools.permutations(golds)}
        assert len(verdicts) == 1


def test_place_names_are_folded() -> None:
    assert all(name == " ".join(name.casefold().split()) for name in COUNTRIES | STATES)
    assert {"france", "united states of america", "日本"} <= COUNTRIES
