"""What looks at a model in training come to: where to stop, what has been fitted, and what it cost.

The rows are those of `looks.jsonl`, see `abstain.trainers.looks`. The linear model is that of Gekhman et al. (2024),
section 4.4: over the looks at runs of one size |D| with different shares of Unknown facts,

    accuracy = β0 + β_kn N_kn / |D| + β_unk N_unk / |D|

with N_kn and N_unk the Known and Unknown training facts that are fitted by then, and the accuracy on held-out ones.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from abstain.evals.knowledge.labels import Category

KNOWN = (Category.HIGHLY_KNOWN, Category.MAYBE_KNOWN, Category.WEAKLY_KNOWN)
Part = Literal["train", "dev", "test", "other"]
Verdict = Literal["correct", "incorrect", "abstained"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """What a model said at one time.

    Args:
        epoch: passes over the training questions that were done.
        rows: one for each part and category: `part`, `category`, `n`, `correct`, `incorrect`, `abstained`.
    """

    epoch: float
    rows: tuple[Mapping[str, Any], ...]

    def count(self, part: Part, what: Verdict | Literal["n"], categories: Collection[str] | None = None) -> int:
        """How many questions of a part, of these categories only if some are given, had this verdict; `n`: in all."""
        there = (row for row in self.rows if row["part"] == part)
        return sum(row[what] for row in there if categories is None or row["category"] in categories)

    def share(self, part: Part, what: Verdict = "correct", categories: Collection[str] | None = None) -> float | None:
        """Their share; `None` where there is no such question.

        Example:
            >>> look = Look(1, ({"part": "test", "category": "Unknown", "n": 4, "correct": 1},))
            >>> look.share("test"), look.share("test", categories=["Unknown"]), look.share("dev")
            (0.25, 0.25, None)
        """
        asked = self.count(part, "n", categories)
        return self.count(part, what, categories) / asked if asked else None

    def answered(self, part: Part) -> tuple[float | None, float]:
        """Accuracy on the questions that are answered, `None` if none are, and the share that is.

        Example:
            >>> Look(1, ({"part": "test", "category": "", "n": 4, "correct": 1, "abstained": 2},)).answered("test")
            (0.5, 0.5)
        """
        asked = self.count(part, "n")
        answered = asked - self.count(part, "abstained")
        right = self.count(part, "correct") / answered if answered else None
        return right, answered / asked if asked else 0.0

    def fitted(self, categories: Collection[str]) -> float:
        """N/|D|: training questions of these categories that are answered right, as a share of all that are trained.

        Example:
            >>> names = ("MaybeKnown", "Unknown")
            >>> rows = [{"part": "train", "category": name, "n": 5, "correct": 4} for name in names]
            >>> Look(1, tuple(rows)).fitted(KNOWN)
            0.4
        """
        return self.count("train", "correct", categories) / max(1, self.count("train", "n"))


def looks_of(rows: Iterable[Mapping[str, Any]]) -> list[Look]:
    """The looks of a run, by time.

    Args:
        rows: of its `looks.jsonl`.
    """
    by_step: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_step[row["step"]].append(row)
    return [Look(found[0]["epoch"], tuple(found)) for _, found in sorted(by_step.items())]


def early_stop(looks: Sequence[Look]) -> Look:
    """The look after some training with the best accuracy on `dev` questions, the first of equals.

    Raises:
        ValueError: no look after the start has `dev` questions.

    Example:
        >>> rows = [(0, 9), (1, 3), (2, 5), (3, 5)]
        >>> looks = [Look(epoch, ({"part": "dev", "category": "", "n": 9, "correct": n},)) for epoch, n in rows]
        >>> early_stop(looks).epoch
        2
    """
    trained = [look for look in looks if look.epoch > 0 and look.share("dev") is not None]
    if not trained:
        raise ValueError("none of the looks after the start has questions of the part dev, which say where to stop")
    return max(trained, key=lambda look: look.share("dev") or 0.0)


@dataclass(frozen=True)
class Point:
    """A look, as the linear model sees it.

    Args:
        run: which run it was; looks at one run are not independent.
        world: which starting model and facts it had; each has an accuracy of its own to begin with.
        known, unknown: N_kn/|D| and N_unk/|D|.
        accuracy: on held-out questions, in the unit that coefficients are wanted in.
    """

    run: str
    world: int | str
    known: float
    unknown: float
    accuracy: float


@dataclass(frozen=True)
class LinearModel:
    """Fitted coefficients, with 95 % intervals over runs.

    Args:
        intercept: β0, the mean over worlds.
        known, unknown: β_kn and β_unk.
        r_squared: share of the variance within worlds that is explained.
        points, runs: how many looks it is fitted to, of how many runs.
        intercept_interval, known_interval, unknown_interval: percentiles of a bootstrap over the runs of each world.
    """

    intercept: float
    known: float
    unknown: float
    r_squared: float
    points: int
    runs: int
    intercept_interval: Interval
    known_interval: Interval
    unknown_interval: Interval


def linear_model(points: Sequence[Point], *, resamples: int = 2000, seed: int = 0) -> LinearModel:
    """Least squares with an intercept for each world, and a bootstrap that draws whole runs within each world.

    Args:
        points: looks at several runs.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: the looks do not tell Known and Unknown facts apart, or there are none.

    Example:
        >>> mixes = [(0.9, 0.0), (0.5, 0.1), (0.5, 0.5), (0.2, 0.7)]
        >>> points = [Point(f"run {i}", 0, kn, unk, 36.9 + 7.3 * kn - 8.3 * unk) for i, (kn, unk) in enumerate(mixes)]
        >>> found = linear_model(points)
        >>> [round(number, 6) for number in (found.intercept, found.known, found.unknown, found.r_squared)]
        [36.9, 7.3, -8.3, 1.0]
    """
    worlds = sorted({point.world for point in points}, key=str)
    runs = sorted({(str(point.world), point.run) for point in points})
    x = np.array([[p.known, p.unknown, *(p.world == world for world in worlds)] for p in points], dtype=float)
    y = np.array([point.accuracy for point in points])
    if not len(points) or np.linalg.matrix_rank(x) < x.shape[1]:
        raise ValueError(
            f"{len(points)} looks at {len(runs)} runs do not tell what Known facts do from what Unknown ones do: give "
            "runs with different shares of Unknown facts, and several looks at each"
        )
    place = np.array([runs.index((str(point.world), point.run)) for point in points])
    squares = np.array([x[place == run].T @ x[place == run] for run in range(len(runs))])
    products = np.array([x[place == run].T @ y[place == run] for run in range(len(runs))])
    drawn = _drawn_runs([world for world, _ in runs], resamples, np.random.default_rng(seed))
    sums, right = np.einsum("sr,rij->sij", drawn, squares), drawn @ products
    whole = np.linalg.matrix_rank(sums) == x.shape[1]  # the others drew runs of one kind only
    found = np.linalg.solve(sums[whole], right[whole][:, :, None])[:, :, 0] if whole.any() else np.empty((0, 3))
    fitted = np.linalg.lstsq(x, y, rcond=None)[0]
    means = {world: y[[point.world == world for point in points]].mean() for world in worlds}
    spread = ((y - [means[point.world] for point in points]) ** 2).sum()
    return LinearModel(
        intercept=float(fitted[2:].mean()),
        known=float(fitted[0]),
        unknown=float(fitted[1]),
        r_squared=float(1 - ((y - x @ fitted) ** 2).sum() / spread) if spread else 1.0,
        points=len(points),
        runs=len(runs),
        intercept_interval=_interval(found[:, 2:].mean(axis=1)),
        known_interval=_interval(found[:, 0]),
        unknown_interval=_interval(found[:, 1]),
    )


def _drawn_runs(worlds: Sequence[str], resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each run is drawn, (resamples, runs): as many of each world as it has."""
    times = np.zeros((resamples, len(worlds)))
    for world in dict.fromkeys(worlds):
        there = [run for run, of in enumerate(worlds) if of == world]
        times[:, there] = rng.multinomial(len(there), [1 / len(there)] * len(there), size=resamples)
    return times


def _interval(values: np.ndarray) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return float(low), float(high)
