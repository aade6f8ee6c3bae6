"""Measures of scores against scikit-learn and values worked out by hand; intervals that are paired and clustered."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from abstain.evals.detectors.measures import (
    error_precision,
    measure_kinds,
    measure_scores,
    prr,
    question_draws,
    riskiest_first,
    tpr_at_fpr,
)
from abstain.evals.metrics.confidence import auroc

SCORES = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40)


def _both(rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    risk, error = np.array(rows, dtype=float).T
    return risk, error


@given(SCORES)
def test_as_scikit_learn_has_them(rows: list[tuple[int, bool]]) -> None:
    risk, error = _both(rows)
    ties = riskiest_first(risk, error)
    if len(set(error)) == 1:
        assert auroc(ties) is error_precision(ties) is tpr_at_fpr(ties) is prr(ties) is None
        return
    assert auroc(ties) == pytest.approx(roc_auc_score(error, risk))
    assert error_precision(ties) == pytest.approx(average_precision_score(error, risk))
    false, true, _ = roc_curve(error, risk, drop_intermediate=False)
    assert tpr_at_fpr(ties) == pytest.approx(true[false <= 0.05].max())


@given(SCORES)
def test_rejection_ratio_is_one_for_the_best_order_and_zero_for_none(rows: list[tuple[int, bool]]) -> None:
    _, error = _both(rows)
    if len(set(error)) == 1:
        return
    assert prr(riskiest_first(error, error)) == pytest.approx(1)
    assert prr(riskiest_first(np.zeros(len(error)), error)) == pytest.approx(0, abs=1e-9)


def test_rejection_ratio_by_hand() -> None:
    # surest first: right, wrong, right, wrong. AURC (0 + 1/2 + 1/3 + 1/2) / 4; best (0 + 0 + 1/3 + 1/2) / 4
    found = prr(riskiest_first(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0, 1, 0, 1])))
    assert found == pytest.approx((1 / 2 - (4 / 3) / 4) / (1 / 2 - (5 / 6) / 4))


def test_what_is_known_of_both_is_compared() -> None:
    risks = {"a": np.array([3.0, 2, 1, 0, np.nan]), "b": np.array([0.0, 1, np.nan, 3, 2])}
    error = np.array([1.0, 1, 0, 0, np.nan])
    one, other = measure_scores(risks, error, list("abcde"), "a", draws=50)
    assert (one["n"], one["missing"], one["auroc"], one["difference"]) == (4, 0, 1.0, None)
    assert (other["n"], other["missing"], other["auroc"]) == (3, 1, 0.0)
    assert other["difference"] == -1.0
    with pytest.raises(ValueError, match="no score is called 'c'; there are: a, b"):
        measure_scores(risks, error, list("abcde"), "c")


def test_differences_are_those_of_each_draw() -> None:
    """The reference is drawn once for all scores of the same responses, and the same draws are paired with each."""
    rng = np.random.default_rng(1)
    error = (np.arange(30) % 2).astype(float)
    names = [str(i // 3) for i in range(30)]
    risks = {"a": error + rng.normal(size=30), "b": error + rng.normal(size=30), "c": rng.normal(size=30)}
    risks["c"][::4] = np.nan
    rows = {row["detector"]: row for row in measure_scores(risks, error, names, "a", draws=100, seed=2)}
    drawn = question_draws(names, 100, 2)
    for name in ("b", "c"):
        there = ~np.isnan(risks[name])
        apart = []
        for weight in drawn[:, there]:
            wrong = np.repeat(error[there], weight)
            if 0 < wrong.sum() < len(wrong):
                one, other = (roc_auc_score(wrong, np.repeat(risks[key][there], weight)) for key in (name, "a"))
                apart.append(one - other)
        assert rows[name]["difference_ci"] == pytest.approx(np.percentile(apart, [2.5, 97.5]).tolist())


def test_a_question_with_many_responses_counts_once_in_an_interval() -> None:
    rng = np.random.default_rng(0)
    error = (np.arange(40) % 2).astype(float)
    risk = error + rng.normal(size=40)
    once = measure_scores({"a": risk}, error, [str(i) for i in range(40)], "a", draws=200)[0]["auroc_ci"]
    often = [np.repeat(values, 25) for values in (risk, error)]
    names = [str(i) for i in range(40) for _ in range(25)]
    clustered = measure_scores({"a": often[0]}, often[1], names, "a", draws=200)[0]["auroc_ci"]
    alone = measure_scores({"a": often[0]}, often[1], [str(i) for i in range(1000)], "a", draws=200)[0]["auroc_ci"]
    width = [high - low for low, high in (once, clustered, alone)]
    assert width[1] == pytest.approx(width[0]) and width[2] < width[0] / 3


def test_each_kind_of_error_is_held_against_what_is_right() -> None:
    risk = np.array([4.0, 1.5, 2.5, np.nan, 3.0, 2.0, 1.0, 9.0])
    error = np.array([1.0, 1, 1, 1, 0, 0, 0, np.nan])
    kinds = [("a",), ("b",), ("a", "b"), ("b",), (), (), (), ("b",)]
    rows = measure_kinds({"s": risk, "none": np.full(8, np.nan)}, error, kinds, list("abcdefgh"), draws=200)
    found = {(row["detector"], row["kind"]): row for row in rows}
    # right: 3, 2, 1. a: 4 and 2.5 are riskier than 3 + 2 of them; b: 1.5 and 2.5, than 1 + 2; 9 is not graded
    assert found["s", "a"]["auroc"] == pytest.approx(5 / 6) and found["s", "a"]["n"] == 2
    assert found["s", "b"]["auroc"] == pytest.approx(3 / 6) and found["s", "b"]["n"] == 3
    low, high = found["s", "a"]["auroc_ci"]
    assert low < 5 / 6 <= high
    assert found["none", "a"]["auroc"] is found["none", "a"]["auroc_ci"] is None
    whole = measure_scores({"s": risk}, error, list("abcdefgh"), "s", draws=200)[0]
    same = measure_kinds(
        {"s": risk}, error, [("x",) if one == 1 else () for one in error], list("abcdefgh"), draws=200
    )
    assert (same[0]["auroc"], same[0]["auroc_ci"]) == (whole["auroc"], whole["auroc_ci"])
    assert measure_kinds({"s": risk}, error, [()] * 8, list("abcdefgh")) == []


def test_nothing_to_measure() -> None:
    assert measure_kinds({"a": np.full(3, np.nan)}, np.full(3, np.nan), [("x",)] * 3, list("abc")) == []
    (row,) = measure_scores({"a": np.full(3, np.nan)}, np.full(3, np.nan), list("abc"), "a")
    assert row["auroc"] is row["auroc_ci"] is row["aurc"] is None and row["n"] == 0
