"""Looks read again: where to stop, what is fitted, and the linear model of what fitting costs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.knowledge.fitting import KNOWN, Look, Point, early_stop, linear_model, looks_of


def row(part: str, category: str, n: int, correct: int, abstained: int = 0, **at: float) -> dict:
    counts = {"n": n, "correct": correct, "incorrect": n - correct - abstained, "abstained": abstained}
    return {"epoch": 1, "step": 4, **at, "part": part, "category": category, **counts}


LOOK = Look(
    1,
    (
        row("train", "HighlyKnown", 40, 40),
        row("train", "MaybeKnown", 10, 5),
        row("train", "Unknown", 50, 20),
        row("test", "HighlyKnown", 60, 45, 5),
        row("test", "Unknown", 40, 0, 20),
    ),
)


def test_shares_are_of_the_questions_of_a_part() -> None:
    assert LOOK.share("test") == 0.45 and LOOK.share("test", categories=["HighlyKnown"]) == 0.75
    assert LOOK.share("train", categories=KNOWN) == 0.9 and LOOK.share("test", "abstained") == 0.25
    assert LOOK.share("other") is None and LOOK.share("test", categories=["MaybeKnown"]) is None


def test_what_is_fitted_is_a_share_of_all_that_is_trained() -> None:
    assert LOOK.fitted(KNOWN) == 0.45 and LOOK.fitted(["Unknown"]) == 0.2


def test_accuracy_on_what_is_answered() -> None:
    assert LOOK.answered("test") == (45 / 75, 0.75)
    assert Look(1, (row("test", "", 4, 0, 4),)).answered("test") == (None, 0.0)


def test_looks_come_by_time_whatever_the_order_of_the_rows() -> None:
    rows = [row("dev", "", 5, n, epoch=n, step=10 * n) for n in (3, 0, 1)]
    looks = looks_of([*rows, row("test", "", 7, 2, epoch=1, step=10)])
    assert [look.epoch for look in looks] == [0, 1, 3] and len(looks[1].rows) == 2


def test_the_start_is_no_early_stop_and_of_equals_the_first_is() -> None:
    looks = [Look(epoch, (row("dev", "", 10, right),)) for epoch, right in ((0, 9), (1, 5), (2, 7), (5, 7), (50, 6))]
    assert early_stop(looks).epoch == 2
    with pytest.raises(ValueError, match="none of the looks after the start"):
        early_stop([looks[0], Look(1, (row("test", "", 10, 5),))])


# The linear model


def planted(b0: float, known: float, unknown: float, *, worlds: int = 1, noise: float = 0.0) -> list[Point]:
    """Runs with five shares of Unknown facts, which fit Known ones first, and Unknown ones later."""
    rng, points = np.random.default_rng(0), []
    for world in range(worlds):
        for share in (0, 0.25, 0.5, 0.75, 1):
            for epoch in range(1, 16):
                kn, unk = (1 - share) * min(1, epoch / 5), share * (epoch / 15) ** 2
                accuracy = b0 + 5 * world + known * kn + unknown * unk + noise * rng.normal()
                points.append(Point(f"unknown-{share}", world, kn, unk, accuracy))
    return points


def test_the_papers_coefficients_are_recovered() -> None:
    found = linear_model(planted(36.9, 7.3, -8.3))
    assert (found.intercept, found.known, found.unknown) == pytest.approx((36.9, 7.3, -8.3))
    assert found.r_squared == pytest.approx(1) and (found.points, found.runs) == (75, 5)
    assert found.unknown_interval == pytest.approx((-8.3, -8.3))


def test_worlds_begin_at_different_accuracies() -> None:
    found = linear_model(planted(30, 7.3, -8.3, worlds=3))
    assert (found.intercept, found.known, found.unknown) == pytest.approx((35, 7.3, -8.3))
    assert found.r_squared == pytest.approx(1) and found.runs == 15


def test_noise_widens_the_intervals_and_they_hold_what_was_planted() -> None:
    points = planted(36.9, 7.3, -8.3, worlds=3, noise=1.0)
    found = linear_model(points)
    ends = (found.intercept_interval, found.known_interval, found.unknown_interval)
    for (low, high), true in zip(ends, (41.9, 7.3, -8.3), strict=True):
        assert low < true < high and high - low < 3
    assert 0.8 < found.r_squared < 0.99
    assert found == linear_model(points) and found != linear_model(points, seed=1)


def test_runs_are_drawn_whole() -> None:
    """Ten times the looks at the same runs tell no more than one."""
    points = planted(36.9, 7.3, -8.3, worlds=3, noise=1.0)
    once, often = linear_model(points), linear_model(points * 10)
    assert often.unknown == pytest.approx(once.unknown)
    assert often.unknown_interval == pytest.approx(once.unknown_interval)


@pytest.mark.parametrize("points", [[], planted(1, 2, 3)[:15]])
def test_looks_that_cannot_tell_are_refused(points: list[Point]) -> None:
    with pytest.raises(ValueError, match="different shares of Unknown facts"):
        linear_model(points)


coefficients = st.floats(-50, 50)


@given(coefficients, coefficients, coefficients)
def test_whatever_is_planted_is_recovered(b0: float, known: float, unknown: float) -> None:
    found = linear_model(planted(b0, known, unknown, worlds=2), resamples=5)
    assert (found.intercept, found.known, found.unknown) == pytest.approx((b0 + 2.5, known, unknown), abs=1e-6)
