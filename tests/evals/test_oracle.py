"""What tables compare with: thresholds fitted on one set of questions and applied to another."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.metrics.oracle import (
    BaseGuesses,
    ForcedAnswers,
    always_answer_score,
    baseline,
    best_threshold,
    threshold_score,
    true_oracle_score,
)
from abstain.rewards.prompts import penalty
from abstain.rewards.verdict import Verdict

TARGETS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9])
PAIRS = st.lists(st.tuples(st.sampled_from(Verdict), st.floats(0, 1)), min_size=1, max_size=30)
TIED_PAIRS = st.lists(st.tuples(st.sampled_from(Verdict), st.sampled_from([0, 0.2, 0.5, 1])), min_size=1, max_size=30)


def forced(pairs: list[tuple[Verdict, float]], prefix: str = "q") -> ForcedAnswers:
    return ForcedAnswers.of([f"{prefix}{i}" for i in range(len(pairs))], *zip(*pairs, strict=True))


RIGHT, WRONG, SILENT, UNGRADED = Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED, Verdict.UNGRADED
EXAMPLE = forced([(WRONG, 0.1), (RIGHT, 0.3), (WRONG, 0.6), (RIGHT, 0.8), (SILENT, 0.9), (UNGRADED, 0.95)])


def test_scores_by_hand() -> None:
    # t = 0.5: 1 for right, -1 for wrong, nothing for a silent or ungraded one; six questions
    assert always_answer_score(EXAMPLE, 0.5) == 0
    assert threshold_score(EXAMPLE, 0.5, 0.5) == 0  # one wrong, one right
    assert threshold_score(EXAMPLE, 0.7, 0.5) == pytest.approx(1 / 6)
    assert threshold_score(EXAMPLE, 0.8, 0.5) == 0  # "exceeds" is strict
    assert threshold_score(EXAMPLE, 0.2, 0.75) == pytest.approx((1 - 3 + 1) / 6)


@pytest.mark.parametrize(("target", "threshold"), [(0.0, 0.0), (0.5, 0.7), (0.75, 0.75), (0.9, 0.7)])
def test_best_thresholds_by_hand(target: float, threshold: float) -> None:
    # t = 0.75 itself keeps the answer at 0.8 that is worth giving; t = 0.9 would lose it, so a midpoint is taken
    assert best_threshold(EXAMPLE, target) == pytest.approx(threshold)


@given(PAIRS | TIED_PAIRS, TARGETS, st.floats(0, 1))
def test_no_fixed_threshold_beats_the_oracle_where_it_was_fitted(
    pairs: list[tuple[Verdict, float]], target: float, other: float
) -> None:
    answers = forced(pairs)
    oracle = threshold_score(answers, best_threshold(answers, target), target)
    assert oracle >= threshold_score(answers, other, target) - 1e-9
    assert oracle >= threshold_score(answers, target, target) - 1e-9
    assert oracle >= 0


@given(TIED_PAIRS, TARGETS)
def test_of_equally_good_thresholds_the_one_nearest_to_the_target_is_taken(
    pairs: list[tuple[Verdict, float]], target: float
) -> None:
    answers = forced(pairs)
    best = threshold_score(answers, best_threshold(answers, target), target)
    if threshold_score(answers, target, target) == pytest.approx(best, abs=1e-12):
        assert best_threshold(answers, target) == target


def test_neighbouring_floats_can_be_told_apart() -> None:
    low = 0.3
    answers = forced([(WRONG, low), (RIGHT, float(np.nextafter(low, 1)))])
    assert threshold_score(answers, best_threshold(answers, 0.9), 0.9) == 0.5


def test_the_post_hoc_oracle_is_fitted_on_training_questions_only() -> None:
    train = forced([(RIGHT, 0.4), (WRONG, 0.2)], "train")
    found = baseline(BaseGuesses("base", train, EXAMPLE), 0.75)
    assert found.kind == "post-hoc"
    assert found.oracle_threshold == pytest.approx(0.3)
    assert found.oracle_score == threshold_score(EXAMPLE, 0.3, 0.75)  # worse than silence: it is not fitted to these
    assert found.oracle_score < 0
    assert found.fixed_threshold_score == pytest.approx(1 / 6)
    assert found.always_answer_score == pytest.approx((2 - 2 * 3) / 6)


def test_without_training_questions_it_is_cross_fitted() -> None:
    nothing = ForcedAnswers.of([], [], [])
    rng = np.random.default_rng(0)
    p = rng.random(4_000)
    verdicts = [RIGHT if hit else WRONG for hit in rng.random(4_000) < p]
    answers = forced(list(zip(verdicts, p / 2, strict=True)))  # underconfident: half of what it should be
    found = baseline(BaseGuesses("base", nothing, answers), 0.5)
    assert (found.kind, found.oracle_threshold) == ("cross-fitted", None)
    assert found.fixed_threshold_score == 0  # no probability exceeds one half
    assert found.oracle_score == pytest.approx(0.25, abs=0.03)  # the integral of 2p - 1 from 1/2 to 1
    assert baseline(BaseGuesses("base", nothing, forced([(RIGHT, 0.9)])), 0.5).oracle_score == 1
    assert baseline(BaseGuesses("base", nothing, nothing), 0.5).oracle_score is None


@given(st.lists(st.floats(0, 1), min_size=1), TARGETS)
def test_the_true_oracle_is_the_best_of_answering_and_not(p: list[float], target: float) -> None:
    best = sum(max(0.0, q - (1 - q) * penalty(target)) for q in p) / len(p)
    assert true_oracle_score(p, target) == pytest.approx(best)


def test_the_true_oracle_replaces_the_other() -> None:
    found = baseline(BaseGuesses("base", EXAMPLE, EXAMPLE), 0.5, true_p=[0.75, 0.25, 0.5, 1, 0, 0])
    assert (found.kind, found.oracle_score, found.oracle_threshold) == ("true", pytest.approx(1.5 / 6), None)


def test_answers_are_picked_by_question() -> None:
    picked = EXAMPLE.pick(["q3", "q0"])
    assert picked.correct.tolist() == [1, 0]
    assert picked.confidence.tolist() == [0.8, 0.1]
    with pytest.raises(ValueError, match="no forced answer to 1 questions, such as 'q99'"):
        EXAMPLE.pick(["q0", "q99"])


def test_a_start_survives_the_disk(tmp_path: Path) -> None:
    start = BaseGuesses("base", EXAMPLE, EXAMPLE.pick(["q4", "q1"]))
    start.save(tmp_path / "start.json")
    again = BaseGuesses.load(tmp_path / "start.json")
    assert again.model == "base"
    for before, after in ((start.train, again.train), (start.held_out, again.held_out)):
        assert after.ids == before.ids
        np.testing.assert_array_equal(after.correct, before.correct)
        np.testing.assert_array_equal(after.confidence, before.confidence)
