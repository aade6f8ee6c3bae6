"""What tables compare with: thresholds and recalibration, fitted on some questions and applied to others."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from abstain.evals.metrics.oracle import (
    BaseGuesses,
    ForcedAnswers,
    always_answer_score,
    baseline,
    baselines,
    best_threshold,
    halves,
    isotonic,
    temperature,
    threshold_score,
    true_oracle_score,
)
from abstain.rewards.prompts import penalty
from abstain.rewards.verdict import Verdict

TARGETS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 0.9])
PAIRS = st.lists(st.tuples(st.sampled_from(Verdict), st.floats(0, 1)), min_size=1, max_size=30)
FITS = (isotonic, temperature)
OUTCOMES = st.sampled_from([0.0, 1.0, np.nan])
CONFIDENT = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.8, 1.0, np.nan]), OUTCOMES), max_size=20)
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


def overconfident(n: int, seed: int, prefix: str) -> ForcedAnswers:
    """Right with probability p, and confident as if every logit were three times as large."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.05, 0.95, n)
    verdicts = [RIGHT if hit else WRONG for hit in rng.random(n) < p]
    return ForcedAnswers.of([f"{prefix}{i}" for i in range(n)], verdicts, expit(3 * logit(p)))


def test_temperature_finds_what_made_it_overconfident() -> None:
    answers = overconfident(20_000, 0, "q")
    cooled = temperature(answers.confidence, answers.correct)(expit(3 * logit(np.array([0.2, 0.5, 0.7]))))
    assert cooled == pytest.approx([0.2, 0.5, 0.7], abs=0.02)


def test_isotonic_pools_what_is_out_of_order() -> None:
    calibrate = isotonic(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 1.0]))
    assert calibrate(np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx([0, 0.5, 0.5, 1], abs=1e-5)
    assert calibrate(np.array([0.0, 1.0])) == pytest.approx([0, 1], abs=1e-5)  # beyond what was seen: the nearest


@given(CONFIDENT, CONFIDENT)
def test_the_order_stays_and_nothing_is_lost(fitted: list[tuple[float, float]], held_out: list) -> None:
    fit_on = np.array(fitted, dtype=float).reshape(-1, 2).T
    q = np.sort(np.array([q for q, _ in held_out], dtype=float))
    for fit in FITS:
        found = fit(*fit_on)(q)
        known = found[~np.isnan(q)]
        assert np.isnan(found[np.isnan(q)]).all()
        assert (np.diff(known) >= 0).all()
        assert ((known >= 0) & (known <= 1)).all()


@pytest.mark.parametrize("outcome", [0.0, 1.0])
@pytest.mark.parametrize("fit", FITS)
def test_one_class_is_no_obstacle(fit, outcome: float) -> None:
    found = fit(np.array([0.3, 0.4, 1.0, 0.0]), np.full(4, outcome))(np.array([0.2, 0.35, 1.0]))
    assert ((found >= 0) & (found <= 1)).all()


def test_baselines_are_fitted_on_training_questions_and_scored_on_the_others() -> None:
    start = BaseGuesses("base", overconfident(8_000, 1, "train"), overconfident(8_000, 2, "held out"))
    p = np.linspace(0.05, 0.95, 1_001)
    for t, found in baselines(start, [0.0, 0.5, 0.75, 0.9]).items():
        best = np.maximum(0, p - (1 - p) * t / (1 - t)).mean()
        assert found.isotonic_score == pytest.approx(best, abs=0.03)
        assert found.temperature_score == pytest.approx(best, abs=0.03)
        assert found == baseline(start, t)
    assert found.temperature_score > found.fixed_threshold_score + 0.1  # believing itself costs it points at t = 0.9


def test_held_out_answers_never_teach() -> None:
    train = ForcedAnswers.of("abcd", [RIGHT, RIGHT, WRONG, WRONG], [0.9, 0.8, 0.2, 0.1])
    for verdict in (RIGHT, WRONG):
        held_out = ForcedAnswers.of("ef", [verdict, verdict], [0.85, 0.15])
        found = baseline(BaseGuesses("base", train, held_out), 0.5)
        assert found.isotonic_score == (0.5 if verdict is RIGHT else -0.5)  # the first is given, the second is not


def test_without_training_questions_each_half_teaches_the_other() -> None:
    nothing = ForcedAnswers.of([], [], [])
    found = baseline(BaseGuesses("base", nothing, overconfident(8_000, 3, "q")), 0.75)
    assert found.kind == "cross-fitted"
    assert found.isotonic_score == pytest.approx(found.oracle_score, abs=0.02)
    alone = baseline(BaseGuesses("base", nothing, ForcedAnswers.of("a", [RIGHT], [0.9])), 0.5)
    assert (alone.isotonic_score, alone.temperature_score) == (1, 1)  # nothing to fit on: confidence as it is
    empty = baseline(BaseGuesses("base", nothing, nothing), 0.5)
    assert (empty.isotonic_score, empty.temperature_score) == (None, None)


def test_no_half_teaches_itself() -> None:
    """One half is all right, the other all wrong: each learns from the other to do the opposite of what pays."""
    lucky, _ = halves(40, seed=0)
    answers = ForcedAnswers.of([str(i) for i in range(40)], [RIGHT if hit else WRONG for hit in lucky], [0.7] * 40)
    found = baseline(BaseGuesses("base", ForcedAnswers.of([], [], []), answers), 0.5, seed=0)
    assert found.isotonic_score == found.oracle_score == -0.5


def test_at_target_zero_everything_is_given() -> None:
    train = ForcedAnswers.of("abc", [WRONG, WRONG, RIGHT], [0.0, 0.1, 0.9])
    held_out = ForcedAnswers.of("de", [RIGHT, RIGHT], [0.05, 0.0])
    found = baseline(BaseGuesses("base", train, held_out), 0.0)
    assert (found.isotonic_score, found.temperature_score) == (1, 1)


def test_answers_of_unknown_confidence_are_withheld_and_do_not_disturb() -> None:
    known = ForcedAnswers.of("abc", [WRONG, RIGHT, RIGHT], [0.2, 0.4, 0.9])
    mixed = ForcedAnswers.of("abcde", [WRONG, RIGHT, RIGHT, RIGHT, WRONG], [0.2, 0.4, 0.9, None, 1.5])
    found, plain = baseline(BaseGuesses("base", mixed, mixed), 0.75), baseline(BaseGuesses("base", known, known), 0.75)
    assert found.oracle_threshold == plain.oracle_threshold
    for name in ("oracle_score", "isotonic_score", "temperature_score"):
        assert getattr(found, name) * 5 == pytest.approx(getattr(plain, name) * 3)
    assert found.always_answer_score == pytest.approx((3 - 2 * 3) / 5)
    silent = ForcedAnswers.of("ab", [SILENT, SILENT], [None, None])
    assert threshold_score(silent, 0.0, 0.5) == baseline(BaseGuesses("base", silent, silent), 0.5).isotonic_score == 0
