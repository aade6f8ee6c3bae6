"""Recalibration fitted on some answers and scored on others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from abstain.evals.metrics.oracle import (
    BaseGuesses,
    ForcedAnswers,
    _halves,
    baseline,
    baselines,
    isotonic,
    temperature,
    threshold_score,
)
from abstain.rewards.verdict import Verdict

RIGHT, WRONG, SILENT = Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED
FITS = (isotonic, temperature)
OUTCOMES = st.sampled_from([0.0, 1.0, np.nan])
PAIRS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.8, 1.0, np.nan]), OUTCOMES), max_size=20)


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


@given(PAIRS, PAIRS)
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
    lucky, _ = _halves(40, seed=0)
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
