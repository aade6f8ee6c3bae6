"""The numbers of metrics.json: by hand, by identity, and against slower ways of computing them."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from abstain.evals.intervals import bootstrap_interval
from abstain.evals.metrics import (
    aurc,
    confidence_metrics,
    equal_mass_calibration_error,
    expected_calibration_error,
    measure,
    target_row,
)
from abstain.evals.oracle import Baseline, ForcedAnswers
from abstain.evals.records import Record
from abstain.rewards.verdict import Verdict

RIGHT, WRONG, SILENT, UNGRADED = Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED, Verdict.UNGRADED
PROMISED_ROW = (
    "target n correct incorrect abstained ungraded accuracy_attempted score score_ci bounded_score oracle_score "
    "regret always_answer_score"
)
PROMISED = "model task n by_target mean_regret aurc auroc ece brier"
GUESSES = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=6)


def record(i: int, verdict: Verdict, target: float = 0.5, confidence: float | None = None) -> Record:
    return Record(str(i), "toy", "Where?", ("Lima",), target, "", "", "", verdict, confidence)


def records(verdicts: list[Verdict], target: float = 0.5) -> list[Record]:
    return [record(i, verdict, target) for i, verdict in enumerate(verdicts)]


def columns(pairs: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    confidence, correct = zip(*pairs, strict=True)
    return np.array(confidence), np.array(correct, dtype=float)


def test_a_row_by_hand() -> None:
    verdicts = [RIGHT] * 5 + [WRONG] * 2 + [SILENT] * 2 + [UNGRADED]
    row = target_row(records(verdicts, 0.75), 0.75, Baseline("post-hoc", 0.2, 0.6, 0.1, -0.4))
    assert row["n"] == 10
    assert [row[key] for key in ("correct", "incorrect", "abstained", "ungraded")] == [0.5, 0.2, 0.2, 0.1]
    assert row["accuracy_attempted"] == pytest.approx(5 / 7)
    assert row["score"] == pytest.approx((5 - 2 * 3) / 10)
    assert row["bounded_score"] == pytest.approx((0.25 * 5 - 0.75 * 2) / 10)
    assert row["regret"] == pytest.approx(0.2 + 0.1)
    assert (row["oracle_score"], row["always_answer_score"]) == (0.2, -0.4)
    low, high = row["score_ci"]
    assert low < row["score"] < high


def test_the_names_are_the_promised_ones() -> None:
    found = measure(records([RIGHT]), model="m", task="toy")
    assert set(PROMISED.split()) <= set(found)
    assert set(PROMISED_ROW.split()) <= set(found["by_target"][0])
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@given(st.lists(st.sampled_from(Verdict), min_size=1), st.floats(0, 0.99))
def test_rates_add_up_and_make_the_score(verdicts: list[Verdict], target: float) -> None:
    row = target_row(records(verdicts, target), target)
    assert sum(row[verdict.lower()] for verdict in Verdict) == pytest.approx(1)
    if set(verdicts) == {UNGRADED}:
        assert (row["score"], row["score_ci"], row["bounded_score"], row["regret"]) == (None, None, None, None)
    else:
        assert row["score"] == pytest.approx(row["correct"] - row["incorrect"] * target / (1 - target))
        assert row["bounded_score"] == pytest.approx((1 - target) * row["correct"] - target * row["incorrect"])


def test_what_cannot_be_had_is_none() -> None:
    empty = measure([], model="m", task="toy")
    assert (empty["n"], empty["by_target"], empty["mean_regret"], empty["aurc"]) == (0, [], None, None)
    row = target_row([], 0.5)
    assert row["n"] == 0
    assert {key for key, value in row.items() if value is not None} == {"target", "n"}
    silent = target_row(records([SILENT] * 3), 0.5)
    assert (silent["accuracy_attempted"], silent["score"], silent["regret"]) == (None, 0, None)


def test_one_missing_regret_leaves_no_mean() -> None:
    both = records([RIGHT], 0.0) + records([RIGHT], 0.5)
    known = {0.0: Baseline("true", 1.0, None, 1.0, 1.0), 0.5: Baseline("true", 0.5, None, 1.0, 1.0)}
    assert measure(both, model="m", task="toy", baselines=known)["mean_regret"] == pytest.approx(-0.25)
    del known[0.5]
    assert measure(both, model="m", task="toy", baselines=known)["mean_regret"] is None


def test_targets_are_sorted_and_questions_counted_once() -> None:
    found = measure(records([RIGHT, WRONG], 0.9) + records([RIGHT, WRONG], 0.0), model="m", task="toy")
    assert [row["target"] for row in found["by_target"]] == [0.0, 0.9]
    assert found["n"] == 2


def test_confidence_is_judged_on_the_lowest_target() -> None:
    rows = [
        record(0, RIGHT, 0.0, 0.8),
        record(1, WRONG, 0.0, 0.3),
        record(2, SILENT, 0.0, 0.9),
        record(3, UNGRADED, 0.0, 0.9),
        record(4, RIGHT, 0.0, None),
        record(0, WRONG, 0.9, 0.8),
    ]
    found = measure(rows, model="m", task="toy")
    assert (found["confidence_n"], found["confidence_target"]) == (2, 0.0)
    assert (found["auroc"], found["aurc"]) == (1.0, 0.25)
    assert found["brier"] == pytest.approx((0.2**2 + 0.3**2) / 2)
    assert found["ece"] == pytest.approx((0.2 + 0.3) / 2)
    guesses = ForcedAnswers.of("ab", [RIGHT, WRONG], [0.3, 0.8])
    assert measure(rows, model="m", task="toy", guesses=guesses)["auroc"] == 0.0


@given(st.lists(st.tuples(st.sampled_from([0.05, 0.2, 0.5, 0.65, 1.0]), st.booleans()), min_size=1, max_size=20))
def test_bounded_scores_of_a_threshold_policy_integrate_to_half_of_accuracy_less_brier(
    pairs: list[tuple[float, bool]],
) -> None:
    """For a forecaster that answers iff q > t: the integral of R_t over t is (forced accuracy - Brier score) / 2."""
    steps = 20  # every q above is a multiple of 1/20, and R_t is linear between them: midpoints are exact
    total = 0.0
    for k in range(steps):
        t = (k + 0.5) / steps
        verdicts = [(RIGHT if correct else WRONG) if q > t else SILENT for q, correct in pairs]
        total += target_row(records(verdicts, t), t)["bounded_score"] / steps
    found = confidence_metrics(*columns(pairs))
    accuracy = sum(correct for _, correct in pairs) / len(pairs)
    assert total == pytest.approx((accuracy - found["brier"]) / 2, abs=1e-9)


@given(GUESSES)
def test_aurc_averages_over_the_orders_of_ties(pairs: list[tuple[float, bool]]) -> None:
    areas = []
    for order in itertools.permutations(pairs):
        if [q for q, _ in order] == sorted((q for q, _ in order), reverse=True):
            errors = np.cumsum([not correct for _, correct in order])
            areas.append(np.mean(errors / np.arange(1, len(order) + 1)))
    assert aurc(*columns(pairs)) == pytest.approx(np.mean(areas))


@given(GUESSES)
def test_the_order_of_answers_does_not_matter(pairs: list[tuple[float, bool]]) -> None:
    forward, backward = confidence_metrics(*columns(pairs)), confidence_metrics(*columns(pairs[::-1]))
    assert forward == {key: pytest.approx(value) for key, value in backward.items()}


@given(GUESSES)
def test_brier_and_auroc_agree_with_their_definitions(pairs: list[tuple[float, bool]]) -> None:
    q, c = columns(pairs)
    found = confidence_metrics(q, c)
    assert found["brier"] == pytest.approx(brier_score_loss(c, q, labels=[0, 1], pos_label=1))
    wins = [float(a > b) + 0.5 * (a == b) for a in q[c == 1] for b in q[c == 0]]
    assert found["auroc"] == (pytest.approx(np.mean(wins)) if wins else None)


def test_calibration_error_by_hand() -> None:
    # 0 and 1/15 fall into the first two bins; 0.99 and 1 share the last one, whose gap is |1 - 0.995|
    q, c = np.array([0.0, 1 / 15, 0.99, 1.0]), np.array([1.0, 0.0, 1.0, 1.0])
    assert expected_calibration_error(q, c) == pytest.approx((1 + 1 / 15 + 0.01) / 4)
    assert expected_calibration_error(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0


def test_equal_mass_bins_by_hand() -> None:
    q, c = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 1.0, 1.0, 1.0])
    assert equal_mass_calibration_error(q, c, bins=2) == pytest.approx((abs(1 - 0.3) + abs(2 - 1.7)) / 4)
    assert equal_mass_calibration_error(np.full(30, 0.5), np.array([1.0, 0.0] * 15)) == pytest.approx(0)


@given(st.lists(st.booleans(), min_size=16, max_size=60))
def test_a_constant_forecast_at_the_base_rate_is_calibrated(correct: list[bool]) -> None:
    c = np.array(correct, dtype=float)
    q = np.full(len(c), c.mean())
    assert expected_calibration_error(q, c) == pytest.approx(0, abs=1e-9)
    assert equal_mass_calibration_error(q, c) == pytest.approx(0, abs=1e-9)


def test_intervals_are_those_of_resampling_questions() -> None:
    values = [1.0] * 30 + [-3.0] * 20 + [0.0] * 50
    low, high = bootstrap_interval(values)
    rng = np.random.default_rng(5)
    slow = [rng.choice(values, size=100).mean() for _ in range(4_000)]
    assert (low, high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.05)
    half = 1.96 * np.std(values) / math.sqrt(100)
    assert (high - low) / 2 == pytest.approx(half, rel=0.1)


def test_intervals_are_seeded_and_narrow_with_confidence() -> None:
    values = list(np.random.default_rng(0).normal(size=300))
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)
    wide, narrow = bootstrap_interval(values), bootstrap_interval(values, level=0.5)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert bootstrap_interval([]) is None


def test_intervals_of_many_distinct_values_come_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abstain.evals.intervals._CHUNK", 3_000)
    values = np.random.default_rng(0).normal(size=1_000)
    low, high = bootstrap_interval(values, resamples=500)  # in chunks of three resamples
    assert (high - low) / 2 == pytest.approx(1.96 / math.sqrt(1_000), rel=0.15)
