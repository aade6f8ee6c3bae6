"""Proper scores: properness, the integral they all are, and that no deliberate mistake pays."""

from collections.abc import Callable
from math import comb, log, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta as beta_density

from abstain.rewards import ProperScore, Verdict
from abstain.rewards.scoring import confidence_score

RULES = [
    ProperScore("brier"),
    ProperScore("rlcr"),
    ProperScore("spherical"),
    ProperScore("log"),
    ProperScore("log", eps=0.2),
    ProperScore("beta", a=1, b=1),
    ProperScore("beta", a=5, b=2),
    ProperScore("beta", a=0.5, b=0.5),
    ProperScore("beta", a=40, b=10),
]
ANY_RULE = pytest.mark.parametrize("reward", RULES, ids=lambda reward: reward.__name__)
GRID = [i / 100 for i in range(101)]
CHANCES = st.floats(0, 1)


def expected(score: Callable[[bool, float], float], p: float, q: float) -> float:
    return p * score(True, q) + (1 - p) * score(False, q)


def sayself(correct: bool, q: float) -> float:
    """SaySelf's reward (tianyang-x/SaySelf): the plain Brier score, which the properties below must reject."""
    return 1 - 2 * (correct - q) ** 2


@ANY_RULE
@pytest.mark.parametrize("p", [0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1])
def test_proper(reward: ProperScore, p: float) -> None:
    best = max(expected(reward.score, p, q) for q in GRID)
    assert expected(reward.score, p, p) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("rule", ["brier", "rlcr", "spherical", "log"])
@pytest.mark.parametrize("p", [0.05, 0.3, 0.5, 0.7, 0.95])
def test_strictly_proper(rule: Any, p: float) -> None:
    others = [expected(ProperScore(rule).score, p, q) for q in GRID if abs(q - p) > 0.005]
    assert expected(ProperScore(rule).score, p, p) > max(others) + 1e-6


def test_log_rule_is_flat_only_beyond_its_clipping() -> None:
    reward = ProperScore("log", eps=0.1)
    assert reward.score(True, 0) == reward.score(True, 0.1) == 0
    assert reward.score(False, 0.9) == reward.score(False, 1)
    assert expected(reward.score, 0.1, 0.1) > expected(reward.score, 0.1, 0.12)


@ANY_RULE
@given(p=CHANCES, q=CHANCES)
def test_a_deliberate_mistake_never_beats_honesty(reward: ProperScore, p: float, q: float) -> None:
    honest = expected(reward.score, p, p)
    assert honest >= reward.score(False, 0) - 1e-12
    assert honest >= reward.score(False, q) - 1e-12
    if p >= 0.3:
        assert honest > reward.score(False, 0)


def test_the_plain_brier_score_fails_that_test() -> None:
    assert expected(sayself, 0.7, 0.7) < sayself(False, 0)


@ANY_RULE
@given(q=CHANCES)
def test_bounded_with_zero_at_zero(reward: ProperScore, q: float) -> None:
    assert reward.score(True, 0) == reward.score(False, 0) == 0
    assert -1 <= reward.score(False, 1) <= reward.score(False, q) <= 0 <= reward.score(True, q) <= 1
    assert reward.score(True, 1) - reward.score(False, 1) == pytest.approx(2 if reward.rule == "rlcr" else 1)


DENSITIES = [
    (ProperScore("brier"), lambda t: 1),
    (ProperScore("rlcr"), lambda t: 2),
    (ProperScore("spherical"), lambda t: sqrt(t * t + (1 - t) ** 2) ** -3 / 2),
    (ProperScore("log"), lambda t: 1 / (2 * log(99) * t * (1 - t)) if 0.01 <= t <= 0.99 else 0),
    (ProperScore("beta", a=5, b=2), beta_density(5, 2).pdf),
    (ProperScore("beta", a=2, b=30), beta_density(2, 30).pdf),
]


@pytest.mark.parametrize(("reward", "density"), DENSITIES, ids=lambda value: getattr(value, "__name__", "w"))
@pytest.mark.parametrize("verdict", [Verdict.CORRECT, Verdict.INCORRECT])
@pytest.mark.parametrize("q", [0.005, 0.2, 0.5, 0.83, 1])
def test_score_is_the_confidence_target_averaged_over_thresholds(
    reward: ProperScore, density: Callable[[float], float], verdict: Verdict, q: float
) -> None:
    """Whoever is q confident answers at every t < q and abstains (0) at the others."""
    average, _ = quad(lambda t: (confidence_score(verdict, t) or 0) * density(t), 0, q, points=[0.01, 0.5, 0.99])
    assert reward.score(verdict is Verdict.CORRECT, q) == pytest.approx(average, abs=1e-6)


@given(st.booleans(), CHANCES)
def test_identities(correct: bool, q: float) -> None:
    rlcr = correct - (correct - q) ** 2
    assert ProperScore("rlcr").score(correct, q) == pytest.approx(rlcr, abs=1e-12)
    assert ProperScore("brier").score(correct, q) == pytest.approx(rlcr / 2, abs=1e-12)
    assert ProperScore("beta", a=1, b=1).score(correct, q) == pytest.approx(rlcr / 2, abs=1e-12)


@pytest.mark.parametrize(("q", "answered"), [(0.6, False), (0.9, True)])
def test_a_narrow_beta_is_the_confidence_target(q: float, answered: bool) -> None:
    narrow = ProperScore("beta", a=75_000, b=25_000)
    for correct, verdict in ((True, Verdict.CORRECT), (False, Verdict.INCORRECT)):
        assert narrow.score(correct, q) == pytest.approx(confidence_score(verdict, 0.75) if answered else 0, abs=1e-6)


def test_std_normalisation_makes_it_improper() -> None:
    """A group of 8 that all say p = 0.7: the best reply once advantages are divided by the group's std is more."""

    def advantage(q: float, p: float = 0.7, size: int = 8) -> float:
        score, total = ProperScore("rlcr").score, 0.0
        for right in range(size):
            chance = comb(size - 1, right) * p**right * (1 - p) ** (size - 1 - right)
            for correct in (True, False):
                group = [score(True, p)] * right + [score(False, p)] * (size - 1 - right) + [score(correct, q)]
                mean = sum(group) / size
                std = sqrt(sum((r - mean) ** 2 for r in group) / (size - 1))
                total += chance * (p if correct else 1 - p) * (group[-1] - mean) / (std + 1e-4)
        return total

    assert max(GRID, key=advantage) == pytest.approx(0.785, abs=0.01)
    assert ProperScore("rlcr").threshold_dependent


# --- the callable


def said(answer: str, confidence: str | None) -> str:
    return f"<answer>{answer}</answer>" + ("" if confidence is None else f"<confidence>{confidence}</confidence>")


def test_by_hand() -> None:
    texts = [said("Lima", "0.8"), said("Quito", "0.8"), said("Quito", "0"), "I don't know"]
    scores = ProperScore("rlcr")(completions=texts, answers=[["Lima"]] * 4)
    assert scores == pytest.approx([0.96, -0.64, 0, 0])


@ANY_RULE
def test_no_readable_confidence_earns_the_minimum(reward: ProperScore) -> None:
    texts = [said("Lima", None), said("Lima", "quite sure"), said("Quito", None), ""]
    assert reward(completions=texts, answers=[["Lima"]] * 4) == [reward.score(False, 1)] * 4


def test_confidence_scale() -> None:
    row: dict[str, Any] = {"completions": [said("Lima", "8")], "answers": [["Lima"]]}
    assert ProperScore("rlcr", confidence_scale=10)(**row) == pytest.approx([0.96])


def test_stated_confidences_are_logged() -> None:
    logged: dict[str, float] = {}
    texts = [said("Lima", "0.8"), said("Quito", "0.4"), said("Lima", None), "I don't know"]
    ProperScore()(completions=texts, answers=[["Lima"]] * 4, log_metric=logged.__setitem__)
    assert logged["confidence/mean"] == pytest.approx(0.6)
    assert logged["confidence/std"] == pytest.approx(0.2)
    assert logged["confidence/missing"] == pytest.approx(1 / 3)
    assert logged["abstention/all"] == 0.25


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"rule": "beta", "a": 0}, "no density"),
        ({"rule": "beta", "a": float("nan")}, "no density"),
        ({"rule": "brier", "a": 2}, "shape rule 'beta' only"),
        ({"rule": "log", "eps": 0.5}, r"eps 0.5 is outside \(0, 0.5\)"),
        ({"rule": "brier", "eps": 0.05}, "clips rule 'log' only"),
        ({"confidence_scale": 0}, "must be a number above 0"),
        ({"confidence_scale": "percent"}, "must be a number above 0"),
    ],
)
def test_wrong_parameters_are_refused(args: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ProperScore(**args)


@pytest.mark.parametrize("q", [-0.1, 1.1, float("nan")])
def test_confidence_outside_the_unit_interval(q: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        ProperScore().score(True, q)
