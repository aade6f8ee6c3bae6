"""Calibration, risk and coverage: by hand, by identity, over all orders of ties, and against other libraries.

The others are torchmetrics, torch-uncertainty and relplot.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from abstain.evals.metrics.confidence import (
    augrc,
    aurc,
    brier_parts,
    brier_score,
    equal_mass_calibration_error,
    excess_aurc,
    expected_calibration_error,
    risk_coverage,
    smooth_calibration_error,
    tie,
    tie_probabilities,
)

CASES = json.loads((Path(__file__).parents[1] / "golden" / "metrics_reference.json").read_text())["cases"]
UNTIED = [case for case in CASES if "torch_uncertainty.AURC" in case["values"]]
PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)
TIED = st.lists(st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.booleans()), min_size=1, max_size=40)
FEW = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=6)
MANY = st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), st.booleans()), min_size=1, max_size=60)
ERRORS = (expected_calibration_error, equal_mass_calibration_error, smooth_calibration_error)
Pairs = list[tuple[float, bool]]


def columns(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    confidence, correct = zip(*pairs, strict=True)
    return np.array(confidence), np.array(correct, dtype=float)


def test_calibration_error_by_hand() -> None:
    # 0 and 1/15 fall into the first two bins; 0.99 and 1 share the last one, whose gap is |1 - 0.995|
    q, c = np.array([0.0, 1 / 15, 0.99, 1.0]), np.array([1.0, 0.0, 1.0, 1.0])
    assert expected_calibration_error(q, c) == pytest.approx((1 + 1 / 15 + 0.01) / 4)
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0


def test_certainty_falls_into_no_bin_of_its_own() -> None:
    """torchmetrics (#3510) gives confidence 1 a bin beyond the last: its error here would be (0.04 + 1) / 3."""
    q, c = np.array([0.98, 0.98, 1.0]), np.array([1.0, 1.0, 0.0])
    assert expected_calibration_error(q, c) == pytest.approx((1 - 0.04) / 3)


def test_equal_mass_bins_by_hand() -> None:
    q, c = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 1.0, 1.0, 1.0])
    assert equal_mass_calibration_error(q, c, bins=2) == pytest.approx((abs(1 - 0.3) + abs(2 - 1.7)) / 4)
    assert equal_mass_calibration_error(np.full(30, 0.5), np.array([1.0, 0.0] * 15)) == pytest.approx(0)


def test_the_last_equal_mass_bin_counts() -> None:
    """The code of Humanity's Last Exam leaves out the most confident bin, where the errors are."""
    q, c = np.array([0.1] * 10 + [0.95] * 10), np.array([0.0] * 9 + [1.0] + [0.0] * 10)
    assert equal_mass_calibration_error(q, c, bins=2) == pytest.approx(0.475)


@given(st.lists(st.booleans(), min_size=16, max_size=60))
def test_a_constant_forecast_at_the_base_rate_is_calibrated(correct: list[bool]) -> None:
    c = np.array(correct, dtype=float)
    q = np.full(len(c), c.mean())
    for error in ERRORS:
        assert error(q, c) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_errors_agree_with_other_libraries(case: dict) -> None:
    """relplot searches for its smooth error in steps of 1 / 1024."""
    q, c = np.array(case["confidence"]), np.array(case["correct"], dtype=float)
    values = case["values"]
    assert expected_calibration_error(q, c) == pytest.approx(values["torchmetrics.binary_calibration_error"], abs=1e-6)
    if adaptive := values.get("torch_uncertainty.MulticlassAdaptiveCalibrationError"):
        assert equal_mass_calibration_error(q, c) == pytest.approx(adaptive, abs=1e-6)
    assert smooth_calibration_error(q, c) == pytest.approx(values["relplot.smECE"], abs=1e-3)


def test_the_smooth_error_of_one_forecast_is_its_gap() -> None:
    assert smooth_calibration_error(np.full(50, 0.8), np.ones(50)) == pytest.approx(0.2, abs=1e-3)
    assert smooth_calibration_error(np.zeros(3), np.ones(3)) == pytest.approx(1, abs=1e-3)
    assert smooth_calibration_error(np.ones(3), np.zeros(3)) == pytest.approx(1, abs=1e-3)


@given(PAIRS)
def test_the_smooth_error_is_small_where_the_binned_one_is(pairs: Pairs) -> None:
    """Smoothing cancels but adds nothing: it is no more than the error of any bins, and at least the overall gap."""
    q, c = columns(pairs)
    found = smooth_calibration_error(q, c)
    assert abs(np.mean(q - c)) - 1e-6 <= found <= expected_calibration_error(q, c, bins=4096) + 1e-5


def test_moving_a_forecast_a_little_moves_the_smooth_error_a_little() -> None:
    """The binned error jumps: 0.5 +- 0.001 are calibrated together and useless apart."""
    c = np.array([0.0, 1.0] * 50)
    apart = 0.5 + np.where(c == 1, -0.001, 0.001)
    together = smooth_calibration_error(np.full(100, 0.5), c)
    assert smooth_calibration_error(apart, c) == pytest.approx(together, abs=0.03)
    assert expected_calibration_error(apart, c, bins=2) == pytest.approx(0.501)


@given(PAIRS | TIED)
@example([(0.0, False), (1.0, False), (0.9999999999999999, False)])
def test_the_parts_of_the_brier_score_add_up(pairs: Pairs) -> None:
    q, c = columns(pairs)
    miscalibration, discrimination, uncertainty = brier_parts(q, c)
    assert miscalibration - discrimination + uncertainty == pytest.approx(brier_score(q, c), abs=1e-12)
    assert min(miscalibration, discrimination) >= 0
    assert discrimination <= uncertainty + 1e-12


def test_the_parts_are_murphys_where_more_confidence_is_more_often_right() -> None:
    q = np.array([0.2] * 10 + [0.6] * 10)
    c = np.array([1.0] * 3 + [0.0] * 7 + [1.0] * 9 + [0.0])
    reliability = (0.1**2 + 0.3**2) / 2
    resolution = ((0.3 - 0.6) ** 2 + (0.9 - 0.6) ** 2) / 2
    assert brier_parts(q, c) == pytest.approx((reliability, resolution, 0.6 * 0.4))


def test_confidence_the_wrong_way_round_discriminates_nothing() -> None:
    q, c = np.array([0.9, 0.9, 0.1, 0.1]), np.array([0.0, 0.0, 1.0, 1.0])
    assert brier_parts(q, c) == pytest.approx((0.81 - 0.25, 0, 0.25))


def test_no_answers_have_no_error_and_no_area() -> None:
    nothing = np.array([])
    measures = (*ERRORS, brier_score, brier_parts, aurc, excess_aurc, augrc)
    assert {measure(nothing, nothing) for measure in measures} == {None}
    assert risk_coverage(nothing, nothing).coverage.size == 0


@pytest.mark.parametrize("error", [*ERRORS, brier_parts])
def test_what_is_no_probability_is_refused(error) -> None:
    with pytest.raises(ValueError, match=r"confidence 150 is outside \[0, 1\]; is it in percent\?"):
        error(np.array([0.5, 150]), np.array([1, 1]))
    with pytest.raises(ValueError, match="answer 0 has confidence nan"):
        error(np.array([np.nan]), np.array([1]))


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


def test_what_has_no_rank_is_refused() -> None:
    with pytest.raises(ValueError, match=r"answer 1 has confidence nan and outcome 1\.0: leave it out"):
        aurc(np.array([0.5, np.nan]), np.array([1, 1]))
    with pytest.raises(ValueError, match="each answer has one confidence: 2 answers, 1 confidences"):
        tie(np.array([0.5]), np.array([1, 0]))
    assert aurc(np.array([-3.2, 17.0]), np.array([0, 1])) == 0.25  # any score will do for an order
    with pytest.raises(ValueError, match=r"confidence -3.2 is outside \[0, 1\]$"):
        tie_probabilities(np.array([-3.2, 0.5]), np.array([0, 1]))
