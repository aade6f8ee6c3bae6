"""Bootstrap intervals: those of resampling questions one by one, at a cost that does not grow with their number."""

import math
import time

import numpy as np
import pytest
from scipy.stats import binomtest

from abstain.evals.metrics.intervals import (
    bootstrap_interval,
    differences,
    paired_difference,
    points_interval,
    quantile_interval,
    resampled_means,
    statistic_interval,
    wilson_interval,
)
from abstain.evals.records import Record
from abstain.rewards.verdict import Verdict

RIGHT, WRONG, SILENT, UNGRADED = Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED, Verdict.UNGRADED


def records(verdicts: list[Verdict], target: float = 0.5, task: str = "toy") -> list[Record]:
    return [
        Record(str(i), task, "Where?", ("Lima",), target, "", "", "", verdict, None)
        for i, verdict in enumerate(verdicts)
    ]


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
    monkeypatch.setattr("abstain.evals.metrics.intervals._CHUNK", 3_000)
    values = np.random.default_rng(0).normal(size=1_000)
    low, high = bootstrap_interval(values, resamples=500)  # in chunks of three resamples
    assert (high - low) / 2 == pytest.approx(1.96 / math.sqrt(1_000), rel=0.15)


def test_counts_give_the_draws_of_the_questions_they_count() -> None:
    for points, counts in (([1.0, -9.0, 0.0, 0.0], [7, 3, 5, 2]), ([1.0, -0.0, 0.0], [4, 0, 6])):
        questions = np.repeat(points, counts)
        assert points_interval(points, counts, seed=4) == bootstrap_interval(list(questions), seed=4)
    assert points_interval([1.0, 0.0], [0, 0]) is None


def test_a_ratio_is_resampled_with_its_denominator() -> None:
    found = statistic_interval(lambda count: count[0] / (count[0] + count[1]), [60, 20, 120])
    half = 1.96 * math.sqrt(0.75 * 0.25 / 80)
    assert found == pytest.approx((0.75 - half, 0.75 + half), abs=0.01)
    nothing = statistic_interval(lambda count: count[0] / (count[0] + count[1]), [0, 0, 5])
    assert nothing is None
    assert statistic_interval(lambda count: count[0], [0, 0]) is None
    rarely = statistic_interval(lambda count: count[0] / (count[0] + count[1]), [1, 0, 99])  # NaN in a third of them
    assert rarely == (1, 1)


def test_wilsons_interval_is_scipys() -> None:
    cases = [(k, n) for n in (1, 2, 7, 50, 1234) for k in sorted({0, 1, n // 3, n - 1, n})]
    low, high = wilson_interval(*zip(*cases, strict=True))
    for (k, n), *ends in zip(cases, low, high, strict=True):
        assert ends == pytest.approx(list(binomtest(k, n).proportion_ci(method="wilson")), abs=1e-15)
    assert wilson_interval(8, 10, level=0.5)[0] == pytest.approx(
        binomtest(8, 10).proportion_ci(confidence_level=0.5, method="wilson").low
    )


def test_columns_of_a_question_are_resampled_together() -> None:
    rng = np.random.default_rng(0)
    first = rng.choice([1.0, 0.0], size=200)
    samples = resampled_means(np.stack([first, -first, rng.choice([1.0, 0.0], size=200)], axis=1))
    assert samples[:, 0] == pytest.approx(-samples[:, 1])
    assert abs(np.corrcoef(samples[:, 0], samples[:, 2])[0, 1]) < 0.2
    assert samples[:, 0].std() == pytest.approx(first.std() / math.sqrt(200), rel=0.1)


def test_missing_values_are_not_zeros() -> None:
    values = np.array([[1.0, np.nan], [1.0, 2.0], [1.0, np.nan]])
    samples = resampled_means(values)
    assert set(samples[:, 0]) == {1.0}
    assert set(samples[~np.isnan(samples[:, 1]), 1]) == {2.0}
    assert resampled_means(np.empty((0, 2))).shape == (0, 2)
    assert quantile_interval(np.full(3, np.nan)) is None


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
    intervals = [bootstrap_interval([{RIGHT: 1.0, WRONG: -1.0}.get(v, 0.0) for v in run]) for run in (before, after)]
    assert intervals[0][1] > intervals[1][0]  # side by side, they overlap


def test_targets_of_a_question_stay_together() -> None:
    """The same differences at every target are no more evidence than at one."""
    rng = np.random.default_rng(0)
    gain = rng.choice([1.0, 0.0, -1.0], size=(300, 1))
    once, four = differences(gain, [0.0]), differences(np.repeat(gain, 4, axis=1), [0.0] * 4)
    assert four["mean_score_ci"] == pytest.approx(once["mean_score_ci"], abs=0.01)
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


def test_a_million_questions_take_a_moment() -> None:
    rng = np.random.default_rng(0)
    verdicts = rng.choice(3, size=1_000_000, p=[0.4, 0.3, 0.3])
    points = np.stack([np.array([1.0, -t / (1 - t), 0.0])[verdicts] for t in (0, 0.5, 0.75, 0.9)], axis=1)
    started = time.process_time()
    counts = np.bincount(verdicts)
    for t in (0, 0.5, 0.75, 0.9):
        assert points_interval([1, -t / (1 - t), 0], counts) is not None
    assert time.process_time() - started < 0.5
    found = differences(points - points[:, :1], [0, 0.5, 0.75, 0.9])
    assert found["by_target"][1]["score"] == pytest.approx(-0.3, abs=0.01)
    assert time.process_time() - started < 5
