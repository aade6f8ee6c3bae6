"""Intervals of shares, scores and paired differences: their equation, their bounds, and how often they hold."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, xlogy
from scipy.stats import binom

from abstain.evals.metrics.intervals import (
    differences,
    interval_ends,
    mean_interval,
    paired_difference,
    points_interval,
    share_interval,
)
from abstain.evals.records import Record
from abstain.rewards.verdict import Verdict

RIGHT, WRONG, SILENT, UNGRADED = Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED, Verdict.UNGRADED
Z = 1.959963984540054
COUNTS = st.lists(st.integers(0, 400), min_size=3, max_size=3).filter(any)
TARGETS = st.sampled_from([0.0, 0.5, 0.75, 0.9, 0.95])


def records(verdicts: list[Verdict], target: float = 0.5, task: str = "toy") -> list[Record]:
    return [
        Record(str(i), task, "Where?", ("Lima",), target, "", "", "", verdict, None)
        for i, verdict in enumerate(verdicts)
    ]


def worth(target: float) -> list[float]:
    """Of a right, a wrong and no answer."""
    return [1.0, -target / (1 - target), 0.0]


def distance(points: list[float], counts: list[int], s: float) -> float:
    """How far the mean lies above s, in what chance explains: -1 or 1 at the ends of the interval.

    Shares of three outcomes that have the mean s leave one free, that of the second; the likeliest is looked for.
    """
    n, (a, b, c) = sum(counts), points

    def shares(second: float) -> np.ndarray:
        first = (s - c - second * (b - c)) / (a - c)
        return np.array([first, second, 1 - first - second])

    def unlikely(second: float) -> float:
        p = shares(second)
        return -float(np.sum(xlogy(counts, p))) if p.min() > 0 else math.inf

    edges = [(s - c) / (b - c), (a - s) / (a - b)]  # where the first, and the third, is 0
    low, high = max(0.0, min(edges)), max(edges)
    found = minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    p, away = shares(found.x), np.array(points) - s
    variance, third = p @ away**2, p @ away**3
    shift = (Z**2 - 1) / 6 * third / variance / n
    return float((np.dot(points, counts) / n - s - shift) / (Z * math.sqrt(variance / n)))


@pytest.mark.parametrize("target", [0.5, 0.75, 0.95])
@pytest.mark.parametrize(
    "counts", [[97, 1, 2], [50, 0, 50], [10, 0, 0], [0, 0, 40], [3, 30, 7], [0, 12, 0], [5, 5, 0]]
)
def test_at_both_ends_chance_just_explains_the_mean(target: float, counts: list[int]) -> None:
    points = worth(target)
    low, high = points_interval(points, counts) or (0, 0)
    assert low == points[1] or distance(points, counts, low) == pytest.approx(1, abs=1e-4)
    assert high == 1 or distance(points, counts, high) == pytest.approx(-1, abs=1e-4)


def test_ten_of_ten_by_hand() -> None:
    """1 - p = z sqrt(p (1 - p) / 10) + (z^2 - 1) (1 - 2 p) / 60 has the root .75985."""
    low, high = share_interval(10, 10)
    p = float(low)
    assert p == pytest.approx(0.75985, abs=1e-5) and high == 1
    assert 1 - p == pytest.approx(Z * math.sqrt(p * (1 - p) / 10) + (Z**2 - 1) * (1 - 2 * p) / 60)


def test_shares_of_many_questions_have_wilsons_interval() -> None:
    """The correction shrinks as 1 / n, and there is none at one half, where nothing is skewed."""
    low, high = share_interval([500_000, 300_000], 1_000_000)
    for share, ends in zip((0.5, 0.3), zip(low, high, strict=True), strict=True):
        half = Z * math.sqrt(share * (1 - share) / 1e6)
        assert ends == pytest.approx((share - half, share + half), abs=1e-6)


@given(COUNTS, TARGETS)
def test_an_interval_holds_the_mean_has_a_width_and_stays_possible(counts: list[int], target: float) -> None:
    points = worth(target)
    low, high = points_interval(points, counts) or (0, 0)
    mean = np.dot(points, counts) / sum(counts)
    assert min(points) <= low <= mean + 1e-9 and mean - 1e-9 <= high <= 1 and high - low > 1e-4


@given(COUNTS, TARGETS)
def test_more_questions_and_less_certainty_make_it_narrower(counts: list[int], target: float) -> None:
    points = worth(target)
    widths = [float(np.diff(points_interval(points, np.array(counts) * times))[0]) for times in (1, 4, 400)]
    assert all(more > fewer for more, fewer in pairwise(widths))
    assert float(np.diff(points_interval(points, counts, level=0.5))[0]) < widths[0]


@given(COUNTS, TARGETS)
def test_names_order_and_sign_of_outcomes_do_not_matter(counts: list[int], target: float) -> None:
    points = worth(target)
    low, high = points_interval(points, counts) or (0, 0)
    assert points_interval(points[::-1], counts[::-1]) == pytest.approx((low, high), abs=1e-9)
    assert points_interval([-x for x in points], counts) == pytest.approx((-high, -low), abs=1e-9)
    assert points_interval([2 * x + 3 for x in points], counts) == pytest.approx((2 * low + 3, 2 * high + 3), abs=1e-8)


@given(COUNTS, TARGETS)
def test_values_tell_what_counts_do(counts: list[int], target: float) -> None:
    points = worth(target)
    from_values = mean_interval(np.repeat(points, counts), points[1], points[0])
    assert from_values == pytest.approx(points_interval(points, counts), abs=1e-9)


def test_nothing_has_no_interval_and_what_cannot_vary_no_width() -> None:
    assert points_interval([1.0, 0.0], [0, 0]) is None and mean_interval([], 0, 1) is None
    assert points_interval([1.0], [3]) == (1, 1)


def test_a_value_that_nobody_foresaw_was_possible() -> None:
    low, high = mean_interval([0.0] * 9 + [2.0], 0, 1) or (0, 0)
    assert low < 0.2 < high and high > 0.5


def test_many_distinct_values_are_taken_together() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    low, high = mean_interval(values, -9, 9) or (0, 0)
    half = Z * values.std() / math.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=half / 50)


def test_samples_at_once_are_those_one_by_one() -> None:
    counts = np.random.default_rng(0).integers(0, 50, (20, 3)) + np.eye(20, 3, dtype=int)
    low, high = interval_ends(worth(0.75), counts)
    for row, *ends in zip(counts, low, high, strict=True):
        assert points_interval(worth(0.75), row) == pytest.approx(tuple(ends))


def coverage(shares: list[float], n: int, target: float) -> float:
    """The exact probability that the interval of n questions holds the true score."""
    wrong, right = np.mgrid[: n + 1, : n + 1]
    counts = np.stack([right, wrong, n - right - wrong], axis=-1)[right + wrong <= n]
    chance = np.exp(gammaln(n + 1) - gammaln(counts + 1).sum(1) + xlogy(counts, shares).sum(1))
    low, high = interval_ends(worth(target), counts)
    truth = np.dot(worth(target), shares)
    return float(chance[(low <= truth + 1e-9) & (truth - 1e-9 <= high)].sum())


@pytest.mark.parametrize("target", [0.0, 0.75, 0.95])
@pytest.mark.parametrize(
    "shares", [[0.97, 0.01, 0.02], [0.998, 0.002, 0], [0.5, 0.01, 0.49], [0, 0.01, 0.99], [0.2, 0.75, 0.05]]
)
def test_intervals_hold_in_the_corners(shares: list[float], target: float) -> None:
    """Those of the percentile bootstrap hold in 9.5 to 95 % of samples there."""
    assert coverage(shares, 50, target) >= 0.91


@pytest.mark.parametrize("n", [1, 2, 5, 12, 30])
def test_shares_of_few_hold_on_average_and_nearly_everywhere(n: int) -> None:
    p, k = np.linspace(0.001, 0.999, 999), np.arange(n + 1)[:, None]
    low, high = share_interval(k, n)
    held = (binom.pmf(k, n, p) * ((low <= p) & (p <= high))).sum(axis=0)
    assert held.mean() >= 0.95 and held.min() >= 0.9


def test_a_difference_by_hand() -> None:
    before = records([WRONG, WRONG, RIGHT, SILENT], 0.75)
    after = records([SILENT, RIGHT, RIGHT, WRONG], 0.75)
    found = paired_difference(before, after)
    row = found["by_target"][0]
    assert (found["n"], found["unpaired"], row["n"]) == (4, 0, 4)
    assert row["score"] == pytest.approx((3 + 4 + 0 - 3) / 4)
    assert row["bounded_score"] == pytest.approx(row["score"] / 4)
    assert found["mean_score"] == row["score"] and found["mean_score_ci"] == row["score_ci"]
    assert row["score_ci"][0] < row["score"] < row["score_ci"][1]
    back = paired_difference(after, before)["by_target"][0]
    assert back["score"] == -row["score"]


def test_pairing_sees_what_two_intervals_hide() -> None:
    """Half of the questions are hopeless for both runs; one question in ten is put right, none is put wrong."""
    rng = np.random.default_rng(0)
    easy = rng.random(400) < 0.5
    before = [RIGHT if ok else WRONG for ok in easy]
    after = [SILENT if not ok and rng.random() < 0.1 else verdict for ok, verdict in zip(easy, before, strict=True)]
    found = paired_difference(records(before), records(after))
    assert found["mean_score_ci"][0] > 0
    intervals = [
        mean_interval([{RIGHT: 1.0, WRONG: -1.0}.get(v, 0.0) for v in run], -1, 1) or (0, 0) for run in (before, after)
    ]
    assert intervals[0][1] > intervals[1][0]  # side by side, they overlap


def test_targets_of_a_question_stay_together() -> None:
    """The same differences at every target are no more evidence than at one."""
    rng = np.random.default_rng(0)
    gain = rng.choice([1.0, 0.0, -1.0], size=(300, 1))
    once, four = differences(gain, [0.0]), differences(np.repeat(gain, 4, axis=1), [0.0] * 4)
    assert four["mean_score_ci"] == pytest.approx(once["mean_score_ci"])
    free = differences(rng.choice([1.0, 0.0, -1.0], size=(300, 4)), [0.0] * 4)
    assert np.diff(free["mean_score_ci"])[0] == pytest.approx(np.diff(once["mean_score_ci"])[0] / 2, rel=0.15)


def test_only_what_both_were_asked_and_graded_on_is_compared() -> None:
    before = records([RIGHT, WRONG, UNGRADED, RIGHT]) + records([RIGHT], 0.9)
    after = records([RIGHT, SILENT, RIGHT]) + records([UNGRADED], 0.75) + records([RIGHT], task="other")
    found = paired_difference(before, after)
    assert [(row["target"], row["n"], row["score"]) for row in found["by_target"]] == [(0.5, 2, 0.5)]
    assert (found["n"], found["unpaired"]) == (2, 3)


def test_a_target_without_a_pair_has_no_difference_and_leaves_no_mean() -> None:
    before = records([RIGHT], 0.5) + records([UNGRADED], 0.9)
    found = paired_difference(before, records([WRONG], 0.5) + records([RIGHT], 0.9))
    assert [row["score"] for row in found["by_target"]] == [-2, None]
    assert found["by_target"][1] == {
        "target": 0.9, "n": 0, "score": None, "score_ci": None, "bounded_score": None, "bounded_score_ci": None
    }  # fmt: skip
    assert (found["mean_score"], found["mean_score_ci"]) == (None, None)
    nothing = paired_difference([], [])
    assert (nothing["n"], nothing["by_target"], nothing["mean_score"], nothing["mean_score_ci"]) == (0, [], None, None)


def test_repeats_of_a_question_count_as_their_mean() -> None:
    repeated = records([RIGHT]) + records([WRONG]) + records([RIGHT])
    found = paired_difference(records([SILENT]), repeated)
    assert (found["n"], found["mean_score"]) == (1, pytest.approx(1 / 3))


def test_a_question_that_is_missing_at_a_target_says_nothing_there() -> None:
    """Half of the questions were asked at the first target only: the mean over targets leans on the others."""
    gain = np.random.default_rng(0).choice([1.0, 0.0], size=200)
    values = np.stack([gain, np.where(np.arange(200) < 100, 0.0, np.nan)], axis=1)
    found = differences(values, [0.0, 0.0])
    assert found["mean_score"] == pytest.approx(gain.mean() / 2)
    low, high = found["mean_score_ci"]
    assert (high - low) / 2 == pytest.approx(Z * gain.std() / math.sqrt(200) / 2, rel=0.05)


def test_a_million_differences_at_four_targets() -> None:
    verdicts = np.random.default_rng(0).choice(3, size=1_000_000, p=[0.4, 0.3, 0.3])
    points = np.stack([np.array(worth(t))[verdicts] for t in (0, 0.5, 0.75, 0.9)], axis=1)
    found = differences(points - points[:, :1], [0, 0.5, 0.75, 0.9])
    assert found["by_target"][1]["score"] == pytest.approx(-0.3, abs=0.01)
    low, high = found["by_target"][1]["score_ci"]
    assert (high - low) / 2 == pytest.approx(Z * math.sqrt(0.3 * 0.7 / 1e6), rel=0.01)
