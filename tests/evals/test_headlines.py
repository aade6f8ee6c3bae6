"""Headline numbers of well-known benchmarks: by hand, and what they reward."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.metrics.measuring import counts_row, headlines
from abstain.rewards.verdict import Verdict

COUNTS = st.integers(0, 1_000)


def test_the_papers_own_example() -> None:
    """gpt-5-thinking-mini abstains on 52 %, o4-mini on 1 %: accuracy and F put the guesser ahead or level."""
    careful, guesser = headlines(22, 26, 52), headlines(24, 75, 1)
    assert (careful["omniscience_index"], guesser["omniscience_index"]) == (-4, -51)
    assert careful["simpleqa_f"] == pytest.approx(2 / (1 / 0.22 + 0.48 / 0.22))  # harmonic mean of .22 and .22 / .48
    assert guesser["simpleqa_f"] == pytest.approx(2 * 0.24 / 1.99)
    assert careful["hallucination_rate_of_attempted"] == pytest.approx(26 / 48)
    assert careful["hallucination_rate_of_not_correct"] == pytest.approx(26 / 78)
    assert careful["hallucination_rate_of_all"] == 0.26


@given(COUNTS, COUNTS, st.integers(1, 1_000), st.floats(0, 1))
def test_one_more_answer_raises_f_if_and_only_if_it_beats_the_implied_target(
    correct: int, incorrect: int, abstained: int, p: float
) -> None:
    before = headlines(correct, incorrect, abstained)["simpleqa_f"]
    after = headlines(correct + p, incorrect + 1 - p, abstained - 1)["simpleqa_f"]
    implied = headlines(correct, incorrect, abstained)["simpleqa_f_implied_target"]
    assert implied <= 0.5
    if abs(p - implied) > 1e-6:
        assert (after > before) == (p > implied)


@given(COUNTS, COUNTS, COUNTS)
def test_the_omniscience_index_is_the_score_at_one_half(correct: int, incorrect: int, abstained: int) -> None:
    counts = {Verdict.CORRECT: correct, Verdict.INCORRECT: incorrect, Verdict.ABSTAINED: abstained}
    score = counts_row(counts, 0.5)["score"]
    index = headlines(correct, incorrect, abstained)["omniscience_index"]
    assert index == (None if score is None else pytest.approx(100 * score))


def test_what_cannot_be_had_is_none() -> None:
    assert set(headlines(0, 0, 0).values()) == {None}
    silent = headlines(0, 0, 5)
    assert silent["hallucination_rate_of_attempted"] is None
    assert (silent["hallucination_rate_of_not_correct"], silent["simpleqa_f"]) == (0, 0)
    assert headlines(5, 0, 0)["hallucination_rate_of_not_correct"] is None


def test_ungraded_answers_have_no_place_in_them() -> None:
    counts = {Verdict.CORRECT: 3, Verdict.INCORRECT: 1, Verdict.UNGRADED: 6}
    assert counts_row(counts, 0.5)["simpleqa_f"] == headlines(3, 1, 0)["simpleqa_f"]
