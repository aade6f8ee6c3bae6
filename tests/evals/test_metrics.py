"""The numbers of metrics.json: by hand, by identity, and against slower ways of computing them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss

from abstain.evals.metrics.confidence import confidence_metrics
from abstain.evals.metrics.measuring import REGRETS, counts_row, measure, target_row
from abstain.evals.metrics.oracle import Baseline, ForcedAnswers
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
@settings(max_examples=30)
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


@given(st.lists(st.sampled_from(Verdict), max_size=40), st.sampled_from([0.0, 0.5, 0.9]))
def test_counts_are_enough(verdicts: list[Verdict], target: float) -> None:
    counts = {verdict: verdicts.count(verdict) for verdict in Verdict}
    assert counts_row(counts, target) == target_row(records(verdicts, target), target)


def test_every_regret_is_to_its_own_baseline() -> None:
    better = Baseline("post-hoc", 0.9, 0.6, 0.8, 0.0, isotonic_score=0.7, temperature_score=0.6)
    row = target_row(records([RIGHT, SILENT]), 0.5, better)
    assert {name: row[name] for name in REGRETS} == pytest.approx(
        {"regret": 0.4, "regret_fixed_threshold": 0.3, "regret_isotonic": 0.2, "regret_temperature": 0.1}
    )
    found = measure(records([RIGHT, SILENT]), model="m", task="toy", baselines={0.5: better})
    assert [found[f"mean_{name}"] for name in REGRETS] == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_coverage_is_what_was_attempted() -> None:
    row = target_row(records([RIGHT, WRONG, WRONG, SILENT]), 0.5)
    assert (row["coverage"], row["accuracy_attempted"]) == (0.75, pytest.approx(1 / 3))
    assert target_row(records([UNGRADED] * 2), 0.5)["coverage"] is None


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_one_class_has_no_ranking_but_has_a_calibration(outcome: float) -> None:
    found = confidence_metrics(np.array([0.2, 0.9, 1.0]), np.full(3, outcome))
    assert (found["auroc"], found["average_precision"]) == (None, None)
    assert (found["aurc"], found["e_aurc"]) == (1 - outcome, 0)
    assert found["ece"] == pytest.approx(abs(outcome - 0.7))
    assert found["brier_uncertainty"] == 0


def test_nothing_to_judge_is_all_null() -> None:
    for q, c in ((np.array([]), np.array([])), (np.array([np.nan, 1.5]), np.array([1.0, 0.0]))):
        found = confidence_metrics(q, c)
        assert (found.pop("confidence_n"), found.pop("confidence_left_out")) == (0, len(q))
        assert set(found.values()) == {None}


def test_confidence_that_is_none_is_left_out_and_counted() -> None:
    q = np.array([0.9, 0.1, np.nan, 1.5, -0.2, np.inf, 1.0])
    found = confidence_metrics(q, np.array([1, 0, 1, 1, 1, 1, np.nan]))
    assert (found["confidence_n"], found["confidence_left_out"]) == (2, 4)  # where nothing was graded, none is missed
    assert found["auroc"] == 1
    rows = [record(0, RIGHT, confidence=float("nan")), record(1, WRONG, confidence=1.5), record(2, RIGHT)]
    found = measure([*rows, record(3, RIGHT, confidence=1.0)], model="m", task="toy")
    assert (found["confidence_n"], found["confidence_left_out"], found["brier"]) == (1, 3, 0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_all_abstained_has_a_score_and_nothing_else() -> None:
    found = measure(records([SILENT] * 4), model="m", task="toy")
    row = found["by_target"][0]
    assert (row["score"], row["coverage"], row["simpleqa_f"]) == (0, 0, 0)
    assert row["score_ci"][0] < 0 < row["score_ci"][1]  # four questions do not show that it never answers
    assert {row["accuracy_attempted"], row["hallucination_rate_of_attempted"], row["regret"], found["ece"]} == {None}
