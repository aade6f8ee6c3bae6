"""The tables of docs/intervals.md: how often intervals hold the truth, and how wide they are.

    python docs/make/interval_coverage.py              # all of them, twelve minutes on one core
    python docs/make/interval_coverage.py shares pairs

Data sets are drawn from known shares of outcomes. The percentile bootstrap, which version 0.1 had, is made of the
first of them only, since it takes so much longer.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.special import gammaln, ndtri, xlogy
from scipy.stats import binom

from abstain.evals.audit.sources import ConfidenceSource
from abstain.evals.audit.threshold import effective_thresholds, selections
from abstain.evals.metrics.intervals import LEVEL, interval_ends, share_interval
from abstain.evals.metrics.oracle import ForcedAnswers
from abstain.evals.rescore.ranking import rank
from abstain.evals.rescore.runs import Run

SIZES = (50, 100, 200, 500, 1_000, 5_000)
TARGETS = (0.0, 0.5, 0.75, 0.9, 0.95)
DATA_SETS, BOOTSTRAPPED, RESAMPLES = 2_000, 500, 1_000
HOLDS, ALWAYS = 0.935, 0.975
SHARES = (  # right, wrong
    (0, 0), (0, 0.01), (0, 0.5), (0, 1), (0.005, 0.005), (0.02, 0), (0.02, 0.2), (0.02, 0.98), (0.1, 0), (0.1, 0.01),
    (0.2, 0.05), (0.2, 0.75), (0.3, 0.3), (0.5, 0), (0.5, 0.005), (0.5, 0.02), (0.5, 0.1), (0.5, 0.3), (0.5, 0.5),
    (0.7, 0.05), (0.8, 0.01), (0.9, 0), (0.9, 0.03), (0.9, 0.1), (0.97, 0.01), (0.97, 0.03), (0.98, 0), (0.98, 0.02),
    (0.99, 0.005), (0.99, 0.01), (0.995, 0.001), (0.998, 0.002), (1, 0),
)  # fmt: skip
RIVALS = (
    ((0.5, 0.3), (0.5, 0.3)), ((0.5, 0.3), (0.6, 0.2)), ((0.5, 0.5), (0.5, 0.1)), ((0.22, 0.26), (0.24, 0.75)),
    ((0.97, 0.01), (0.97, 0.01)), ((0.97, 0.01), (0.98, 0.005)), ((0.99, 0.005), (0.9, 0)), ((0.2, 0.75), (0.2, 0.05)),
    ((0.5, 0), (0.6, 0)), ((1, 0), (0.97, 0.01)), ((0.02, 0.02), (0.05, 0.01)),
)  # fmt: skip
ALIKE = (0, 0.5, 0.9)
"""How much of two policies is the same: 0 independent, 1 as alike as their shares permit."""
Point = tuple[float, float, float, float]
"""Coverage and mean width of the bootstrap's intervals, then of the project's."""


def worth(target: float) -> np.ndarray:
    """Of a right, a wrong and no answer."""
    return np.array([1.0, -target / (1 - target), 0.0])


def joint(one: tuple[float, float], other: tuple[float, float], alike: float) -> np.ndarray:
    """Shares of the nine pairs of outcomes."""
    p, q = (np.array([*shares, max(0.0, 1 - sum(shares))]) for shares in (one, other))
    same, apart = np.minimum(p, q), np.outer(p - np.minimum(p, q), q - np.minimum(p, q))
    closest = np.diag(same) + (apart / (1 - same.sum()) if apart.any() else 0)
    return (1 - alike) * np.outer(p, q) + alike * closest


def bootstrap(counts: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Percentile intervals of data sets at all targets; (data sets, targets, 2)."""
    found = np.empty((len(counts), points.shape[1], 2))
    for row, tally in enumerate(counts):
        here = tally > 0
        drawn = rng.multinomial(tally.sum(), tally[here] / tally.sum(), size=RESAMPLES) @ points[here] / tally.sum()
        found[row] = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T
    return found


def measured(ends: np.ndarray, truth: float, times: np.ndarray) -> tuple[float, float]:
    """Coverage and mean width, of intervals that came up so many times."""
    held = (ends[:, 0] <= truth + 1e-9) & (truth - 1e-9 <= ends[:, 1])
    return float(held @ times / times.sum()), float((ends[:, 1] - ends[:, 0]) @ times / times.sum())


def points_of(shares: np.ndarray, points: np.ndarray, n: int, rng: np.random.Generator) -> Iterator[Point]:
    """What is found at each target, (outcomes, targets) being what outcomes are worth."""
    drawn = rng.multinomial(n, shares / shares.sum(), size=DATA_SETS)
    few, times_few = np.unique(drawn[:BOOTSTRAPPED], axis=0, return_counts=True)
    counts, times = np.unique(drawn, axis=0, return_counts=True)
    old = bootstrap(few, points, rng)
    for column, values in enumerate(points.T):
        truth = float(values @ shares / shares.sum())
        distinct, place = np.unique(values, return_inverse=True)
        merged = counts @ np.eye(len(distinct), dtype=int)[place]
        new = np.stack(interval_ends(distinct, merged), axis=1)
        yield *measured(old[:, column], truth, times_few), *measured(new, truth, times)


def table(rows: list[tuple[str, np.ndarray]], found: np.ndarray) -> None:
    """Coverage old and new of the points that each row names, and where the old ones hold how much wider the new are.

    That is the ratio of their mean widths over these points, and the mean, median and greatest of the points' ratios.
    """
    print("| points | bootstrap: mean | worst | < 93 % | now: mean | worst | < 93 % | width | mean, median, most |")
    print("|---|---|---|---|---|---|---|---|---|")
    for label, named in rows:
        old, old_width, new, new_width = found[named].T
        holds = (old >= HOLDS) & (old_width > 0)
        ratio = new_width[holds] / old_width[holds]
        wider = " | "
        if len(ratio):
            wider = f"{new_width[holds].sum() / old_width[holds].sum():.2f} | "
            wider += f"{ratio.mean():.2f}, {np.median(ratio):.2f}, {ratio.max():.1f} at {len(ratio)}"
        print(f"| {label} ({len(old)}) | {covered(old)} | {covered(new)} | {wider} |")


def covered(coverages: np.ndarray) -> str:
    """Cells of a row."""
    cells = f"{coverages.mean():.1%} | {coverages.min():.1%} | {(coverages < 0.93).mean():.0%}"
    return cells.replace("%", " %")


def scores(rng: np.random.Generator) -> None:
    """Intervals of S_t."""
    points = np.stack([worth(t) for t in TARGETS], axis=1)
    settings, found = [], []
    for right, wrong in SHARES:
        for n in SIZES:
            settings += [(right, wrong, n, t) for t in TARGETS]
            found += [*points_of(np.array([right, wrong, max(0.0, 1 - right - wrong)]), points, n, rng)]
    at, every = np.array(settings), np.array(found)
    right, wrong, n, t = at.T
    known = [
        (f"c = {c:g}, i = {i:g}, t ≥ .75, n = {size}", (right == c) & (wrong == i) & (n == size) & (t >= 0.75))
        for c, i, size in ((0.97, 0.01, 200), (0.99, 0.005, 100), (0.5, 0.02, 50))
    ]
    rows = [("all", n > 0), ("where some are wrong", wrong > 0), ("where none is wrong", wrong == 0)]
    table([*rows, *by_size_and_target(n, t), *known], every)
    least = every[:, 2].argsort()[:5]
    print("\nleast covered now, c, i, n, t:", *(f"{at[row].tolist()} {every[row, 2]:.1%}" for row in least), sep="\n")


def corners(_: np.random.Generator) -> None:
    """The exact coverage of intervals of S_t, over all that n questions can come to, at many shares near the edges."""
    low, high = np.linspace(0, 0.12, 61), np.linspace(0.15, 0.95, 9)
    rare = np.concatenate([low, high])
    shares = np.array([(c, i) for c in np.concatenate([rare, 1 - low]) for i in rare if c + i <= 1])
    shares = np.concatenate([shares, np.stack([1 - rare, rare], axis=1)])
    shares = np.column_stack([shares, np.maximum(0, 1 - shares.sum(axis=1))])
    print("| n |", " | ".join(f"t = {t:g}: mean | worst" for t in TARGETS), "|\n|" + "---|" * (1 + 2 * len(TARGETS)))
    for n in (50, 100):
        right, wrong = np.mgrid[: n + 1, : n + 1]
        counts = np.stack([right, wrong, n - right - wrong], axis=-1)[right + wrong <= n]
        ways = gammaln(n + 1) - gammaln(counts + 1).sum(axis=1)
        cells = []
        for t in TARGETS:
            ends = np.stack(interval_ends(worth(t), counts), axis=1)
            held = [
                measured(ends, float(worth(t) @ p), np.exp(ways + xlogy(counts, p).sum(axis=1)))[0] for p in shares
            ]
            cells.append(f"{np.mean(held):.1%} | {np.min(held):.1%}".replace("%", " %"))
        print(f"| {n} | {' | '.join(cells)} |")
    print(f"\n{len(shares):,} shares")


def by_size_and_target(n: np.ndarray, t: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Rows of a table."""
    return [
        *((f"n = {size:,}", n == size) for size in SIZES),
        *((f"t = {target:g}", t == target) for target in TARGETS),
    ]


def pairs(rng: np.random.Generator) -> None:
    """Intervals of differences of S_t between two policies, asked the same questions."""
    single = np.stack([worth(t) for t in TARGETS], axis=1)
    points = (single[None, :, :] - single[:, None, :]).reshape(9, len(TARGETS))
    settings, found = [], []
    for number, (one, other) in enumerate(RIVALS):
        for alike in ALIKE:
            for n in SIZES:
                settings += [(number, one[1] + other[1], alike, n, t) for t in TARGETS]
                found += [*points_of(joint(one, other, alike).ravel(), points, n, rng)]
    at, every = np.array(settings), np.array(found)
    _, wrong, likeness, n, t = at.T
    misses = every[:, 0] <= ALWAYS
    rows = [
        ("all", n > 0),
        ("where the bootstrap misses 2.5 % or more", misses),
        ("of these, where some are wrong", misses & (wrong > 0)),
        *((f"alike {alike:g}", likeness == alike) for alike in ALIKE),
    ]
    table([*rows, *by_size_and_target(n, t)], every)
    least = every[:, 2].argsort()[:5]
    print("\nleast covered now, rivals, wrong, alike, n, t:")
    print(*(f"{at[row].tolist()} {every[row, 2]:.1%}" for row in least), sep="\n")


def shares(_: np.random.Generator) -> None:
    """Intervals of a share: Wilson's, and his corrected for skewness; exact, over 4,000 shares."""
    p, z = np.linspace(0.0005, 0.9995, 4_000), ndtri((1 + LEVEL) / 2)
    print("| n | Wilson: mean | worst | width | now: mean | worst | width |")
    print("|---|---|---|---|---|---|---|")
    for n in (1, 2, 5, 10, 30, 100, 1_000):
        k = np.arange(n + 1)
        chance = binom.pmf(k[:, None], n, p)
        middle, half = (k + z**2 / 2) / (n + z**2), z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
        cells = []
        for low, high in ((middle - half, middle + half), share_interval(k, n)):
            held = (chance * ((low[:, None] <= p + 1e-12) & (p - 1e-12 <= high[:, None]))).sum(axis=0)
            cells += [
                f"{held.mean():.1%} | {held.min():.1%} | {((high - low) @ chance).mean():.3f}".replace("%", " %")
            ]
        print(f"| {n:,} | {cells[0]} | {cells[1]} |")


def crossings(rng: np.random.Generator) -> None:
    """The target where two models change places, of those data sets that have one."""
    cases = {0.5: ((0.5, 0.3), (0.3, 0.1)), 0.75: ((0.5, 0.1), (0.44, 0.08)), 0.9: ((0.97, 0.03), (0.79, 0.01))}
    print("| n | questions |", " | ".join(f"at t = {t:g}" for t in cases), "|\n|---|---|---|---|---|")
    for n in (100, 500):
        for first in (0, n):
            cells = []
            for truth, (one, other) in cases.items():
                chances = joint(one, other, 0.5).ravel()
                drawn = rng.choice(9, p=chances, size=(BOOTSTRAPPED, 2, n))
                rivals = (
                    (answers("one", row[0] // 3), answers("other", row[min(first, 1)] % 3, first)) for row in drawn
                )
                found = [place for pair in rivals for place in rank("", pair, [{"by_target": []}] * 2).crossings]
                held = sum(place.interval[0] <= truth <= place.interval[1] for place in found if place.interval)
                cells.append(f"{held / len(found):.1%} of {len(found)}".replace("%", " %"))
            print(f"| {n} | {'others' if first else 'the same'} | {' | '.join(cells)} |")


def answers(label: str, verdict: np.ndarray, first: int = 0) -> Run:
    """A run of answers to the questions from `first` on."""
    unknown, numbers = np.full(len(verdict), np.nan), np.arange(len(verdict))
    columns = (verdict.astype(np.int8), unknown, unknown, numbers + first, 0 * numbers, numbers, 0 * numbers)
    return Run(label, "", Path(label), "", *columns, label=label)


def choices(rng: np.random.Generator) -> None:
    """What an audit says of whom a policy answers: gain, selectivity, and the threshold, which is a bootstrap."""
    print("| answers where P(correct) > | n | gain | selectivity | threshold |")
    print("|---|---|---|---|---|")
    for threshold in (0.2, 0.5, 0.75, 0.9):
        source, attempted = world(500_000, threshold, rng)
        whole = selections(source, attempted)[0]
        assert whole and whole.selectivity
        for n in (50, 100, 300):
            held, seen = np.zeros(3), np.zeros(3)
            for index in range(BOOTSTRAPPED):
                source, attempted = world(n, threshold, rng)
                found = selections(source, attempted)[0]
                if found:
                    held[0] += found.gain_ci[0] <= whole.gain <= found.gain_ci[1]
                    seen[0] += 1
                if found and found.selectivity_ci:
                    held[1] += found.selectivity_ci[0] <= whole.selectivity <= found.selectivity_ci[1]
                    seen[1] += 1
                if index < 200:
                    exact = attempted_above(source, threshold)
                    low, high = effective_thresholds(source, exact, resamples=200)[0].interval
                    held[2] += low <= threshold <= high
                    seen[2] += 1
            cells = [f"{part / of:.1%} of {of:.0f}".replace("%", " %") for part, of in zip(held, seen, strict=True)]
            print(f"| {threshold:g} | {n} | {' | '.join(cells)} |")


def world(n: int, threshold: float, rng: np.random.Generator) -> tuple[ConfidenceSource, np.ndarray]:
    """Questions, how sure a model is of them, and a policy that goes by that, but not quite."""
    p = rng.random(n)
    guesses = ForcedAnswers(tuple(map(str, range(n))), (rng.random(n) < p).astype(float), p)
    return ConfidenceSource("own", "toy", guesses), (p + rng.normal(0, 0.1, n) > threshold)[:, None]


def attempted_above(source: ConfidenceSource, threshold: float) -> np.ndarray:
    """What a policy answers that goes by P(correct)."""
    return (source.answers.confidence > threshold)[:, None]


PARTS = {part.__name__: part for part in (scores, corners, pairs, shares, crossings, choices)}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        started = time.perf_counter()
        print(f"\n{name}\n")
        PARTS[name](np.random.default_rng(0))
        print(f"\n{time.perf_counter() - started:.0f} s")
