"""Thresholds with a guarantee: by hand, and by many draws from worlds whose risks are known."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from abstain.evals.metrics.oracle import ForcedAnswers
from abstain.evals.policies.conformal import certify_answered, control_all


def answers(correct: Sequence[float], confidence: Sequence[float]) -> ForcedAnswers:
    ids = tuple(map(str, range(len(correct))))
    return ForcedAnswers(ids, np.asarray(correct, dtype=float), np.asarray(confidence, dtype=float))


def test_a_certificate_by_hand() -> None:
    # level 1/4 and δ = .1 take 9 answers, all right: (3/4)^9 = .075. Here there are 9 answers in all, so one test
    q = np.linspace(0.9, 0.1, 9)
    found = certify_answered(answers([1] * 9, q), 0.25)
    assert (found.threshold, found.answered, found.wrong, found.n, found.needed) == (0.0, 9, 0, 9, 9)
    assert certify_answered(answers([1] * 8 + [0], q), 0.25).threshold is None
    few = certify_answered(answers([1] * 8, q[:8]), 0.25)
    assert few.threshold is None and (few.n, few.answered, few.needed) == (8, 0, 9)


def test_several_thresholds_share_delta() -> None:
    # 40 answers, the surest 30 right, level 1/4. From 16 to 40 in steps of some 15% there are 8 numbers of answers:
    # 16, 18, 21, 24, 27, 31, 35, 40. Each may fail with .1 / 8, which is why the first of them is 16
    assert 0.75**16 <= 0.1 / 8 < 0.75**15
    found = certify_answered(answers([1] * 30 + [0] * 10, np.linspace(1, 0.025, 40)), 0.25)
    assert (found.answered, found.wrong, found.needed) == (31, 1, 16)
    assert found.threshold == pytest.approx(0.225)
    assert binom.cdf(1, 31, 0.25) < 0.1 / 8 < binom.cdf(5, 35, 0.25) < 0.1  # alone, 35 would have passed


def test_where_mistakes_cost_nothing_everything_is_answered() -> None:
    for find in (certify_answered, control_all):
        found = find(answers([0] * 5, [0.1] * 5), 1.0)
        assert found.threshold == 0.0 and (found.answered, found.wrong) == (5, 5)


def test_risk_control_by_hand() -> None:
    # 9 questions, level .2: (wrong + 1) / 10 <= .2 allows one wrong answer
    found = control_all(answers([1, 1, 0, 1, 0, 1, 1, 1, 1], np.linspace(0.9, 0.1, 9)), 0.2)
    assert found.threshold == pytest.approx(0.5) and (found.answered, found.wrong) == (4, 1)
    none = control_all(answers([1] * 3, [0.9, 0.8, 0.7]), 0.2)
    assert none.threshold is None and none.needed == 4  # (0 + 1) / (4 + 1) is the first that does not exceed .2
    assert control_all(answers([1] * 4, [0.9, 0.8, 0.7, 0.6]), 0.2).threshold == 0.0


def test_ties_are_answered_together_or_not_at_all() -> None:
    tied = answers([1] * 30 + [0] * 10, [0.8] * 40)
    assert certify_answered(tied, 0.1).threshold is None and control_all(tied, 0.1).answered == 0
    assert certify_answered(answers([1] * 40, [0.8] * 40), 0.1).answered == 40


def test_what_is_not_graded_or_of_unknown_confidence_is_left_out() -> None:
    nan = float("nan")
    some = answers([1] * 30 + [nan] * 5 + [0] * 5, [0.9] * 35 + [nan] * 5)
    assert certify_answered(some, 0.1).n == 30
    assert control_all(some, 0.1).n == 35  # those of unknown confidence count: they are never answered


@pytest.mark.parametrize("level", [0, -0.1, 1.5])
def test_levels_that_are_no_shares(level: float) -> None:
    with pytest.raises(ValueError, match="is no share of wrong answers"):
        certify_answered(answers([1], [0.5]), level)
    with pytest.raises(ValueError, match="is no share of wrong answers"):
        control_all(answers([1], [0.5]), level)


def test_a_delta_that_is_no_probability() -> None:
    with pytest.raises(ValueError, match=r"delta 1 is outside \(0, 1\)"):
        certify_answered(answers([1], [0.5]), 0.1, delta=1)


@given(
    st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 0.2, 0.5, 0.9, 1])), max_size=60),
    st.sampled_from([0.1, 0.25, 0.5, 1]),
)
def test_thresholds_say_what_they_rest_on(pairs: list[tuple[int, float]], level: float) -> None:
    some = answers([right for right, _ in pairs], [q for _, q in pairs])
    for find in (certify_answered, control_all):
        found = find(some, level)
        above = some.confidence > (2 if found.threshold is None else found.threshold)
        assert (found.answered, found.wrong) == (above.sum(), (1 - some.correct[above]).sum())
        assert found.n == len(pairs)


# A confidence takes one of K values with the same probability, and an answer of the j-th is wrong with probability
# e_j: so the true risks of any threshold are means. Monte-Carlo margins leave a test one chance in a million to fail.
K = np.arange(1, 401) / 400
WORLDS = {
    "at the level": lambda level: np.full(400, min(1, level + 1e-9)),  # whatever is certified is wrong
    "overconfident": lambda level: np.where(K > 0.9, 0.6, np.where(K > 0.5, 0.02, 0.7)),  # risk falls, then rises
    "calibrated": lambda level: 1 - K,
    "tied": lambda level: 1 - np.ceil(K * 5) / 5,
}
DRAWS = 1_000


def draws(world: str, level: float, n: int) -> tuple[np.ndarray, np.ndarray, list[ForcedAnswers]]:
    """Confidence and error of each of the K kinds of answers, and calibration sets of n."""
    confidence = np.ceil(K * 5) / 5 if world == "tied" else K
    error = WORLDS[world](level)
    rng = np.random.default_rng(0)
    kinds = rng.integers(len(K), size=(DRAWS, n))
    correct = rng.random((DRAWS, n)) >= error[kinds]
    rows = zip(correct.astype(float), confidence[kinds], strict=True)
    return confidence, error, [ForcedAnswers((), right, sure) for right, sure in rows]


@pytest.mark.parametrize("level", [0.1, 0.5])
@pytest.mark.parametrize("n", [23, 150])
@pytest.mark.parametrize("world", WORLDS)
def test_certificates_fail_no_more_often_than_they_may(world: str, n: int, level: float) -> None:
    confidence, error, sets = draws(world, level, n)
    found = [certify_answered(some, level, delta=0.1).threshold for some in sets]
    failed = [t is not None and error[confidence > t].mean() > level for t in found]
    assert sum(failed) <= binom.ppf(1 - 1e-6, DRAWS, 0.1)


def test_the_draws_can_tell_a_guarantee_from_a_threshold_that_only_looks_good() -> None:
    confidence, error, sets = draws("calibrated", 0.1, 150)
    failed = 0
    for some in sets:
        order = np.argsort(-some.confidence)
        risk = np.cumsum(1 - some.correct[order]) / np.arange(1, 151)
        threshold = some.confidence[order[np.flatnonzero(risk <= 0.1)[-1]]] if (risk <= 0.1).any() else 1.0
        failed += error[confidence >= threshold].mean() > 0.1
    assert failed > 2 * binom.ppf(1 - 1e-6, DRAWS, 0.1)


@pytest.mark.parametrize("level", [0.1, 0.5])
@pytest.mark.parametrize("n", [23, 150])
@pytest.mark.parametrize("world", WORLDS)
def test_risk_control_keeps_wrong_answers_at_the_level_on_the_mean(world: str, n: int, level: float) -> None:
    confidence, error, sets = draws(world, level, n)
    found = [control_all(some, level).threshold for some in sets]
    risks = np.array([0.0 if t is None else (error * (confidence > t)).mean() for t in found])
    margin = 5 * risks.std() / math.sqrt(DRAWS)
    assert risks.mean() <= level + margin
    if world == "overconfident" and error.mean() > level:  # no ties, and enough to be wrong about
        assert risks.mean() >= level - 2 / (n + 1) - margin
