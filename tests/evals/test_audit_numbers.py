"""The mathematics of the audit: hand-computed values, brute force, and properties."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from abstain.evals.audit.asking import NO_INSTRUCTION, WORDINGS, reworded_prompt
from abstain.evals.audit.sources import ConfidenceSource, fit_platt
from abstain.evals.audit.threshold import effective_thresholds, resampled_counts, selections
from abstain.evals.audit.verdict import holds, target_verdict
from abstain.evals.metrics.oracle import ForcedAnswers, log_odds
from abstain.evals.rescore.ranking import PenaltyCurve, crossing, penalty_curve
from abstain.rewards.prompts import penalty
from abstain.rewards.verdict import Verdict

SHARES = st.floats(0.01, 0.99)


def own(right: np.ndarray, confidence: np.ndarray) -> ConfidenceSource:
    return ConfidenceSource("own", "toy", ForcedAnswers(tuple(map(str, range(len(right)))), right, confidence))


def known(p: list[float]) -> ConfidenceSource:
    return replace(own(np.ones(len(p)), np.array(p)), kind="known")


def loss(p: np.ndarray, attempted: np.ndarray, u: float) -> float:
    return float(np.abs(p - u)[attempted != (p > u)].sum())


@given(st.lists(st.tuples(SHARES, st.booleans()), min_size=1, max_size=12))
def test_the_effective_threshold_is_the_target_that_the_decisions_suit_best(pairs: list[tuple[float, bool]]) -> None:
    p, attempted = np.array([q for q, _ in pairs]), np.array([given for _, given in pairs])
    (found,) = effective_thresholds(known(p.tolist()), attempted[:, None], resamples=1)
    least = min(loss(p, attempted, u) for u in np.linspace(0, 1, 501))
    for u in (found.low, found.high, found.value):
        assert loss(p, attempted, u) <= least + 1e-9
    below, above = found.low - 0.02, found.high + 0.02
    assert below < 0 or loss(p, attempted, below) > least - 1e-9
    assert above > 1 or loss(p, attempted, above) > least - 1e-9
    assert (p > found.high).sum() <= attempted.sum() <= (p >= found.low).sum()


def test_where_no_question_lies_the_threshold_is_a_bracket() -> None:
    p = [0.1] * 50 + [0.9] * 50
    (found,) = effective_thresholds(known(p), np.array(p)[:, None] > 0.5, resamples=200)
    assert (found.low, found.high) == (0.1, 0.9) == found.interval


def test_the_interval_of_a_threshold_holds_it_about_as_often_as_it_says() -> None:
    """40 worlds, a threshold at .75: some 38 of the intervals should hold it."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(40):
        p = rng.random(300)
        right = (rng.random(300) < p).astype(float)
        source = own(right, p**2)  # timid, but in order
        (found,) = effective_thresholds(source, (p > 0.75)[:, None], resamples=100)
        held += found.interval[0] <= 0.75 <= found.interval[1]
    assert held >= 34


@pytest.mark.parametrize("size", [30, 300])
def test_platt_scaling_maximises_the_likelihood(size: int) -> None:
    rng = np.random.default_rng(size)
    z = rng.normal(0, 3, size)
    right = (rng.random(size) < expit(0.7 * z - 1)).astype(float)
    n = right.sum()
    soft = right * (n + 1) / (n + 2) + (1 - right) / (size - n + 2)

    def cost(weights: np.ndarray) -> float:
        u = weights[0] + weights[1] * z
        return float(np.sum(np.logaddexp(0, u) - soft * u))

    best = minimize(cost, [0.0, 0.0], tol=1e-10).x
    offset, slope = fit_platt(z, right, 1 - right)
    assert (offset[0], slope[0]) == pytest.approx(tuple(best), abs=1e-4)


def test_platt_scaling_of_groups_and_resamples() -> None:
    z, right, wrong = np.array([-1.0, 0.0, 1.0]), np.array([1.0, 5.0, 9.0]), np.array([9.0, 5.0, 1.0])
    both = fit_platt(z, np.stack([right, wrong]), np.stack([wrong, right]))
    assert both[1][0] > 0.5 and both[1][1] == 0  # confidence that ranks backwards says nothing
    assert expit(both[0][1]) == pytest.approx(0.5)
    spread = fit_platt(np.repeat(z, 10), np.tile([1.0, 0.0], 15), np.tile([0.0, 1.0], 15))
    assert spread[1][0] == pytest.approx(0, abs=0.1)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=20))
def test_platt_scaling_is_finite_and_never_falls(pairs: list[tuple[float, bool]]) -> None:
    z, right = log_odds(np.array([q for q, _ in pairs])), np.array([float(c) for _, c in pairs])
    offset, slope = fit_platt(z, right, 1 - right)
    assert np.isfinite([offset, slope]).all() and slope[0] >= 0


def test_all_right_and_separated_answers_have_finite_fits() -> None:
    z = np.linspace(-13, 13, 50)
    for right in (np.ones(50), np.zeros(50), (z > 0).astype(float)):
        offset, slope = fit_platt(z, right, 1 - right)
        p = expit(offset + slope * z)
        assert np.isfinite(p).all() and abs(p.mean() - right.mean()) < 0.05


def test_resamples_are_of_whole_questions() -> None:
    pieces = np.concatenate(list(resampled_counts(7, seed=1, resamples=50)))
    assert pieces.shape == (50, 7) and (pieces.sum(1) == 7).all()
    assert (pieces == np.concatenate(list(resampled_counts(7, seed=1, resamples=50)))).all()
    assert pieces.mean() == 1


def test_selection_by_hand() -> None:
    q = np.tile([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], 25)
    right = np.tile([1.0, 1, 1, 0, 1, 0, 0, 0], 25)
    source = own(right, q)
    half = np.tile([True, True, False, False, False, False, True, True], 25)
    found = selections(source, np.stack([q > 0.55, q < 0.55, half, right == 1], axis=1))
    # all: 4/8 right; the four surest: 3/4, a gain of 1/4
    assert [one and (one.gain, one.selectivity) for one in found] == [(0.25, 1), (-0.25, -1), (0, 0), (0.5, 2)]
    (unsure,) = selections(own(right[:8], q[:8]), (q[:8] > 0.55)[:, None])
    assert unsure is not None and unsure.gain == 0.25 and unsure.selectivity is None  # eight cannot be sure of it


def test_a_tie_is_shared() -> None:
    right = np.array([1.0, 0.0, 0.0, 0.0])
    source = own(right, np.array([0.8, 0.8, 0.1, 0.1]))
    (found,) = selections(source, np.array([[True], [False], [False], [False]]))
    assert found is not None and found.gain == 0.75


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.66, 0.77), "close to what was asked"),
        ((0.52, 0.60), "bolder than asked"),
        ((0.52, 0.70), "a little bolder than asked"),
        ((0.80, 0.90), "a little more cautious than asked"),
        ((0.90, 0.95), "more cautious than asked"),
        ((0.40, 0.95), "in line with what was asked, as far as 100 questions can tell"),
    ],
)
def test_verdicts_follow_the_interval(interval: tuple[float, float], verdict: str) -> None:
    row = {
        "target": 0.75,
        "n": 100,
        "with_guess": 100,
        "abstained": 0.4,
        "abstained_ci": [0.3, 0.5],
        "called_for": 0.4,
        "accuracy_attempted": 0.9,
        "accuracy_attempted_ci": [0.8, 0.95],
        "gain": 0.2,
        "gain_ci": [0.1, 0.3],
        "selectivity": 0.9,
        "selectivity_ci": [0.8, 1.0],
        "effective_threshold": 0.71,
        "effective_threshold_bracket": [0.7, 0.72],
        "effective_threshold_ci": list(interval),
        "near_threshold": {"n": 40, "expected": 0.7, "right": 0.8, "right_ci": [0.65, 0.9]},
    }
    assert target_verdict(row).endswith(f"[{interval[0]:.2f}, {interval[1]:.2f}] sure: {verdict}.")
    wide = {**row, "effective_threshold_bracket": [0.4, 0.8]}
    assert "more than 0.40 to 0.80" in target_verdict(wide)
    off = {**row, "near_threshold": {"n": 40, "expected": 0.6, "right": 0.8, "right_ci": [0.65, 0.9]}}
    assert "off there: of 40 guesses it expects 60.0% to be right, and 80.0% [65.0, 90.0] are." in target_verdict(off)
    few = {**row, "near_threshold": {"n": 29, "expected": 0.6, "right": 0.8, "right_ci": [0.65, 0.9]}}
    assert verdict in target_verdict(few)
    wrong = {**row, "accuracy_attempted": 0.6, "accuracy_attempted_ci": [0.5, 0.7]}
    assert target_verdict(wrong).endswith("; of its answers only 60.0% [50.0, 70.0] are right.")


def test_holds_is_open_where_the_interval_is() -> None:
    assert [holds(ci, 0.5) for ci in ([0.5, 0.6], [0.4, 0.5], [0.4, 0.6], None)] == [True, False, None, None]
    assert holds([0.6, 0.7], 0.5, above=False) is False


def test_every_wording_states_its_target_in_full() -> None:
    for name, wording in WORDINGS.items():
        for t in (0.5, 0.75, 0.9, 0.95):
            prompt = reworded_prompt("Who is {x}?", t, name)
            assert prompt.startswith("Who is {x}?\n") and "{" not in prompt.splitlines()[1]
            numbers = (f"{t:g}", f"{100 * t:g}%", f"-{penalty(t):.4g} points")
            assert any(number in prompt for number in numbers), wording
            assert "I don't know" in prompt
    with pytest.raises(ValueError, match=r"unknown wording 'pecent'\. Did you mean 'percent'\?"):
        reworded_prompt("Who?", 0.5, "pecent")
    with pytest.raises(ValueError, match="only 'none' does without"):
        reworded_prompt("Who?", None, "chance")
    assert reworded_prompt("Who?", None, NO_INSTRUCTION, "{instruction}\nQ: {question}") == "Q: Who?"


@given(*[st.integers(0, 50)] * 6)
def test_curves_cross_where_the_crossing_says(a: int, b: int, c: int, d: int, e: int, f: int) -> None:
    one = penalty_curve({"CORRECT": a, "INCORRECT": b, "ABSTAINED": c + 1})
    other = penalty_curve({"CORRECT": d, "INCORRECT": e, "ABSTAINED": f + 1})
    t = crossing(one, other)
    if t is not None:
        assert 0 < t < 1 and one.score(t) == pytest.approx(other.score(t), abs=1e-6)
    else:
        signs = {np.sign(round(one.score(u) - other.score(u), 9)) for u in (1e-6, 0.3, 0.6, 0.9, 0.999)} - {0}
        assert len(signs) <= 1


def test_penalty_curve_counts_what_is_ungraded() -> None:
    mini = penalty_curve({"ABSTAINED": 52, "CORRECT": 22, "INCORRECT": 26})
    assert mini.scores([0, 0.5]) == [{"target": 0, "score": 0.22}, {"target": 0.5, "score": pytest.approx(-0.04)}]
    curve = penalty_curve({Verdict.CORRECT: 1, "UNGRADED": 3})
    assert curve == PenaltyCurve(4, 0.25, 0, 0, 0.75) and curve.worth_asking_below == 1
    assert penalty_curve({"ABSTAINED": 2}).worth_asking_below is None
    for counts in ({"UNGRADED": 3}, {}):
        with pytest.raises(ValueError, match="no penalty curve: none of"):
            penalty_curve(counts)
    with pytest.raises(ValueError, match="'WRONG': 3 is no count of a verdict"):
        penalty_curve({"WRONG": 3})
    with pytest.raises(ValueError, match="no count"):
        penalty_curve({"CORRECT": -1})
