"""Risk and coverage: by hand, over all orders of ties, and against torch-uncertainty."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from abstain.evals.metrics.confidence import augrc, aurc, excess_aurc, risk_coverage, tie, tie_probabilities

CASES = json.loads((Path(__file__).parents[1] / "golden" / "metrics_reference.json").read_text())["cases"]
UNTIED = [case for case in CASES if "torch_uncertainty.AURC" in case["values"]]
FEW = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=6)
MANY = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), st.booleans()), min_size=1, max_size=60)
Pairs = list[tuple[float, bool]]


def columns(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    confidence, correct = zip(*pairs, strict=True)
    return np.array(confidence), np.array(correct, dtype=float)


def orders(pairs: Pairs) -> list[np.ndarray]:
    """Errors among the k most confident answers, for every order that the confidences allow."""
    falling = sorted((q for q, _ in pairs), reverse=True)
    allowed = [order for order in itertools.permutations(pairs) if [q for q, _ in order] == falling]
    return [np.cumsum([not correct for _, correct in order]) for order in allowed]


@given(FEW)
def test_aurc_averages_over_the_orders_of_ties(pairs: Pairs) -> None:
    areas = [np.mean(errors / np.arange(1, len(errors) + 1)) for errors in orders(pairs)]
    assert aurc(*columns(pairs)) == pytest.approx(np.mean(areas))


@given(FEW)
def test_augrc_averages_over_the_orders_of_ties(pairs: Pairs) -> None:
    n = len(pairs)
    areas = [np.trapezoid(np.append(0, errors) / n, dx=1 / n) for errors in orders(pairs)]
    assert augrc(*columns(pairs)) == pytest.approx(np.mean(areas))


@given(MANY)
def test_augrc_is_the_auroc_and_the_error_rate(pairs: Pairs) -> None:
    """(1 - AUROC) a r + r^2 / 2 (Traub et al. 2024, equation 5)."""
    q, c = columns(pairs)
    r = 1 - c.mean()
    worse = 1 - roc_auc_score(c, q) if 0 < r < 1 else 0.0
    assert augrc(q, c) == pytest.approx(worse * (1 - r) * r + r**2 / 2)
    assert 0 <= augrc(q, c) <= 0.5


def test_areas_by_hand() -> None:
    q, c = np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 0, 1, 0])
    assert aurc(q, c) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert excess_aurc(q, c) == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4 - (0 + 0 + 1 / 3 + 2 / 4) / 4)
    assert augrc(q, c) == pytest.approx((0 + 0.5 + 1 + 1.5) / 16)  # trapezoids between 0, 0, 1, 1, 2 errors


@given(MANY)
def test_the_excess_is_that_over_the_best_ranking(pairs: Pairs) -> None:
    q, c = columns(pairs)
    assert excess_aurc(q, c) >= -1e-12
    assert excess_aurc(c, c) == pytest.approx(0)


def test_the_best_area_approaches_the_closed_form() -> None:
    c = np.arange(20_000) < 14_000
    r = 0.3
    assert aurc(c.astype(float), c) == pytest.approx(r + (1 - r) * np.log(1 - r), abs=1e-4)


@given(MANY)
def test_the_curve_is_what_each_threshold_gives(pairs: Pairs) -> None:
    q, c = columns(pairs)
    curve = risk_coverage(q, c)
    assert list(curve.threshold) == sorted(set(q), reverse=True)
    for threshold, coverage, risk in zip(curve.threshold, curve.coverage, curve.risk, strict=True):
        assert coverage == pytest.approx(np.mean(q >= threshold))
        assert risk == pytest.approx(1 - c[q >= threshold].mean())


@pytest.mark.parametrize("case", UNTIED, ids=lambda case: case["name"])
def test_areas_agree_with_torch_uncertainty(case: dict) -> None:
    """Theirs are trapezoids from coverage 1 / N on, divided by 1 - 1 / N; ours start at 0, AURC as a sum."""
    q, c = np.array(case["confidence"]), np.array(case["correct"])
    n, first, all_errors = len(q), 1 - c[q.argmax()], np.mean(1 - c)
    theirs = case["values"]["torch_uncertainty.AURC"] * (1 - 1 / n)
    assert aurc(q, c) == pytest.approx(theirs + (first + all_errors) / (2 * n), abs=1e-6)
    theirs = case["values"]["torch_uncertainty.AUGRC"] * (1 - 1 / n)
    assert augrc(q, c) == pytest.approx(theirs + first / (2 * n * n), abs=1e-6)


def test_no_answers_have_no_area() -> None:
    nothing = np.array([])
    assert (aurc(nothing, nothing), excess_aurc(nothing, nothing), augrc(nothing, nothing)) == (None, None, None)
    assert risk_coverage(nothing, nothing).coverage.size == 0


def test_what_has_no_rank_is_refused() -> None:
    with pytest.raises(ValueError, match=r"answer 1 has confidence nan and outcome 1\.0: leave it out"):
        aurc(np.array([0.5, np.nan]), np.array([1, 1]))
    with pytest.raises(ValueError, match="each answer has one confidence: 2 answers, 1 confidences"):
        tie(np.array([0.5]), np.array([1, 0]))
    assert aurc(np.array([-3.2, 17.0]), np.array([0, 1])) == 0.25  # any score will do for an order
    with pytest.raises(ValueError, match=r"confidence -3.2 is outside \[0, 1\]$"):
        tie_probabilities(np.array([-3.2, 0.5]), np.array([0, 1]))
