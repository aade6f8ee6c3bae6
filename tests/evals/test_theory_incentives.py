"""Observation 1 and the optimal answer, for every reward that there is."""

from itertools import pairwise, product
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from abstain.evals.theory.incentives import (
    Payoff,
    best_under_graders,
    breadth,
    mixture_value,
    optimal_answers,
    payoff_of,
)
from abstain.rewards import READY_MADE, ConfidenceTarget, JudgedReward, ProperScore, TernaryCredit, confidence_target
from abstain.rewards.prompts import penalty
from abstain.rewards.proper import Rule
from abstain.rewards.scoring import Form

chance = st.floats(0, 1, allow_nan=False)
target = st.floats(0, 0.99)
NEAR = 1e-6
"""Points closer than this are not told apart: rounding decides."""


# --- binary graders


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 8))
def test_observation_1_abstaining_is_never_optimal(seed: int, graders: int, responses: int) -> None:
    rng = np.random.default_rng(seed)
    pays = rng.integers(2, size=(graders, responses))
    pays[np.arange(graders), rng.integers(responses, size=graders)] = 1
    belief = rng.random(graders) + 1e-3
    best, silent = best_under_graders(pays, belief / belief.sum())
    assert best > silent == 0


def test_graders_that_are_not_binary() -> None:
    for graders, belief in (([[0, 0]], [1.0]), ([[0.5, 1]], [1.0]), ([[1, 0]], [0.5]), ([[1, 0]], [0.5, 0.5])):
        with pytest.raises(ValueError):
            best_under_graders(np.array(graders), np.array(belief))


def test_the_binary_reward_of_ours_never_pays_for_silence() -> None:
    paid = payoff_of(TernaryCredit(correct=1, abstain=0, wrong=0))
    assert paid.is_binary and paid.threshold == 0 and paid.gain(0) == 0
    assert all(paid.gain(p) > 0 for p in np.linspace(1e-6, 1, 1000))


def test_no_other_ready_made_reward_is_binary() -> None:
    for name, reward in READY_MADE.items():
        stated = {"confidence": 0.8} if isinstance(reward, ProperScore) else {}
        assert not payoff_of(reward, 0.5, **stated).is_binary, name


# --- a stated target, and credits that imply one


@settings(deadline=None)
@given(chance, target, st.sampled_from(get_args(Form)))
def test_a_confidence_target_is_answered_exactly_above_it(p: float, t: float, form: Form) -> None:
    assume(abs(p - t) > NEAR)
    for reward, stated in ((ConfidenceTarget(form=form), t), (ConfidenceTarget(target=t, form=form), None)):
        assert (payoff_of(reward, stated).gain(p) > 0) == (p > t)


@settings(deadline=None)
@given(chance, st.floats(-5, 5), st.floats(0, 1), st.floats(0.01, 5))
def test_a_ternary_credit_is_answered_exactly_above_what_it_implies(
    p: float, wrong: float, share: float, worth: float
) -> None:
    abstain = wrong + share * worth
    assume(wrong <= abstain < wrong + worth - 1e-3)
    reward = TernaryCredit(correct=wrong + worth, abstain=abstain, wrong=wrong)
    paid = payoff_of(reward)
    assert paid.threshold == pytest.approx(reward.implied_target, abs=1e-9)
    assume(abs(p - reward.implied_target) > NEAR)
    assert (paid.gain(p) > 0) == (p > reward.implied_target)


@pytest.mark.parametrize("name", [name for name, one in READY_MADE.items() if isinstance(one, TernaryCredit)])
@given(p=chance)
def test_every_published_credit(name: str, p: float) -> None:
    reward = READY_MADE[name]
    assert isinstance(reward, TernaryCredit)
    assume(abs(p - reward.implied_target) > NEAR)
    assert (payoff_of(reward).gain(p) > 0) == (p > reward.implied_target)


# --- proper scores


@st.composite
def proper_scores(draw: st.DrawFn) -> ProperScore:
    rule = draw(st.sampled_from(get_args(Rule)))
    if rule == "beta":
        return ProperScore(rule, a=draw(st.floats(0.3, 6)), b=draw(st.floats(0.3, 6)))
    return ProperScore(rule, eps=draw(st.floats(0.001, 0.2))) if rule == "log" else ProperScore(rule)


@settings(max_examples=150, deadline=None)
@given(proper_scores(), chance, chance)
def test_a_proper_score_pays_most_for_what_is_believed(reward: ProperScore, p: float, q: float) -> None:
    p, q = round(p, 3), round(q, 3)  # what a completion states
    honest, other = payoff_of(reward, confidence=p), payoff_of(reward, confidence=q)
    assert honest.answering(p) >= other.answering(p) - NEAR
    # honesty is never worse than silence, nor than a wrong answer that states no confidence
    assert honest.gain(p) >= -NEAR
    assert payoff_of(reward, confidence=0.0).answering(0.0) <= NEAR


@pytest.mark.parametrize("name", [name for name, one in READY_MADE.items() if isinstance(one, ProperScore)])
def test_every_ready_made_proper_score_on_a_grid(name: str) -> None:
    grid = np.linspace(0, 1, 21).round(2)
    paid = {q: payoff_of(READY_MADE[name], confidence=float(q)) for q in grid}
    for p in grid:
        best = max(grid, key=lambda q: (round(paid[q].answering(float(p)), 9), -abs(q - p)))
        assert best == p


# --- one prompt distribution of several targets


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(target, min_size=1, max_size=4))
def test_a_mixture_of_targets_keeps_the_optimum_of_each(seed: int, targets: list[float]) -> None:
    rng = np.random.default_rng(seed)
    p = rng.random(6)
    best = mixture_value(p, targets, optimal_answers(p, targets))
    alone = [mixture_value(p, [t], optimal_answers(p, [t])) for t in targets]
    assert best == pytest.approx(np.mean(alone))
    for _ in range(5):
        other = rng.integers(2, size=(len(targets), p.size))
        assert mixture_value(p, targets, other) <= best + ROUNDING * max(map(penalty, targets))


ROUNDING = 1e-12


def test_whoever_does_not_hear_the_target_loses_at_one_of_them() -> None:
    p, targets = np.array([0.3, 0.6, 0.95]), [0.0, 0.5, 0.9]
    heard = mixture_value(p, targets, optimal_answers(p, targets))
    deaf = [
        mixture_value(p, targets, np.array([answered] * len(targets))) for answered in product((0, 1), repeat=p.size)
    ]
    assert max(deaf) < heard


def test_the_rewards_of_ours_pay_for_the_mixture_as_one_batch_has_it() -> None:
    targets = [0.0, 0.5, 0.75, 0.9]
    for p in np.linspace(0.05, 0.95, 10):
        gains = [payoff_of(confidence_target, t).gain(float(p)) for t in targets]
        expected = [p > t for t in targets]
        assert [gain > 0 for gain, t in zip(gains, targets, strict=True) if abs(p - t) > NEAR] == [
            e for e, t in zip(expected, targets, strict=True) if abs(p - t) > NEAR
        ]


# --- consistency against breadth


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_whoever_errs_less_says_less(seed: int, size: int) -> None:
    p = np.random.default_rng(seed).random(size)
    p[: size // 3] = 1.0
    allowed = np.linspace(0, 1, 15).tolist()
    curve = breadth(p, allowed)
    assert curve[0].answered == pytest.approx((size // 3) / size)  # only what is certain
    assert curve[-1].answered == pytest.approx(1) and curve[-1].right == pytest.approx(p.mean())
    for less, more in pairwise(curve):
        assert more.answered >= less.answered - 1e-12 and more.right >= less.right - 1e-12
    for one in curve:
        assert one.answered - one.right <= one.allowed + 1e-9


# --- asking a reward


def test_what_cannot_be_asked() -> None:
    judge = JudgedReward(judge={"model": "qwen3", "url": "http://localhost:1/v1", "cache": False})
    for reward, message in ((judge, "without asking somebody"), (confidence_target, "no column 'target'")):
        with pytest.raises(ValueError, match=message):
            payoff_of(reward)
    assert Payoff(0, 0, 0).threshold is None
