"""Fit the weights by which the answer of a long text is chosen (`abstain.rewards.graders.alignment`), and print them.

    python docs/make/alignment.py ANSWERS.jsonl [...]

Each line of a file: `q` the question, `c` a long answer, `span` the words in it that state its answer, right or wrong.
The weights are those of a softmax over the things of the gold's kind that the answer names, fitted by maximum
likelihood with an L2 penalty towards the weights that the module has now, so that new answers refine them; the share
that is chosen rightly is given for five folds, each left out once.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from abstain.rewards import grade
from abstain.rewards.graders import alignment, prose, prose_numbers

Rows = list[Mapping[str, float]]
PENALTY = 1.0


class Choice:
    """Stands in for `weigh`: remembers the traits, and chooses the thing that it is told to."""

    def __init__(self) -> None:
        self.rows: Rows = []
        self.kind, self.chosen = "", 0

    def __call__(self, found: Sequence[Mapping[str, float]], kind: str) -> list[float]:
        self.rows, self.kind = list(found), kind
        return [float(i == self.chosen) for i in range(len(found))]


def examples(paths: Sequence[str]) -> list[tuple[str, Rows, list[bool]]]:
    """The kind, the traits and which of them are right, of every answer whose span is among its candidates."""
    choice, out = Choice(), []
    prose.weigh = prose_numbers.weigh = choice
    for line in (line for path in paths for line in Path(path).read_text().splitlines()):
        record = json.loads(line)
        choice.rows, choice.chosen = [], 0

        def right(record: dict[str, str] = record) -> bool:
            return grade(record["c"], [record["span"]], question=record["q"]).value == "CORRECT"

        labels = [right()]
        for number in range(1, len(choice.rows)):
            choice.chosen = number
            labels.append(right())
        if len(choice.rows) > 1 and any(labels):
            out.append((choice.kind, choice.rows, labels))
    prose.weigh = prose_numbers.weigh = alignment.weigh
    return out


def fit(found: list[tuple[np.ndarray, np.ndarray]], now: np.ndarray) -> np.ndarray:
    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        moved = weights - now
        value, slope = PENALTY * float(moved @ moved), 2 * PENALTY * moved
        for rows, labels in found:
            scores = rows @ weights
            among = np.where(labels, scores, -np.inf)
            value += logsumexp(scores) - logsumexp(among)
            slope = slope + rows.T @ (np.exp(scores - logsumexp(scores)) - np.exp(among - logsumexp(among)))
        return value, slope

    return minimize(loss, now, jac=True, method="L-BFGS-B").x


def main() -> None:
    found = examples(sys.argv[1:])
    for kind in ("names", "counts"):
        mine = [(rows, labels) for kind_, rows, labels in found if kind_ == kind]
        names = sorted({name for rows, _ in mine for row in rows for name in row} | alignment.WEIGHTS[kind].keys())
        now = np.array([alignment.WEIGHTS[kind].get(name, 0.0) for name in names])
        arrays = [
            (np.array([[row.get(name, 0.0) for name in names] for row in rows]), np.array(labels))
            for rows, labels in mine
        ]
        folds = [arrays[k::5] for k in range(5)]
        hits = []
        for k in range(5):
            weights = fit([a for other in range(5) if other != k for a in folds[other]], now)
            hits += [labels[int(np.argmax(rows @ weights))] for rows, labels in folds[k]]
        print(f"# {kind}: {len(mine)} answers, {np.mean(hits):.1%} chosen rightly when left out")
        for name, weight in zip(names, fit(arrays, now), strict=True):
            if abs(weight) >= 0.05:
                print(f'"{name}": {weight:.1f},')


if __name__ == "__main__":
    main()
