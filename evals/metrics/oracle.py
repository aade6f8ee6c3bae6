"""What a table is compared with: always answering, a threshold on the model's own probability, and the best there is.

An oracle does not answer better than the model it belongs to, it only knows when to abstain. The *post-hoc* oracle
gives the starting model's best guesses, but only where their probability exceeds a threshold, chosen for each target t
on training questions. The *true* oracle knows the probability p that the best answer is right, and scores
max(0, p - (1 - p) t / (1 - t)) on each question (Kalai et al. 2025, section 4.2). Between the two stands what a few
lines of fitting make of the model's confidence: recalibrated, "answer iff it exceeds t" is one policy for every t. A
trained abstainer should beat it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from abstain.evals.records import write_text
from abstain.rewards.prompts import penalty
from abstain.rewards.verdict import Verdict

Calibrator = Callable[[np.ndarray], np.ndarray]
"""Confidence to recalibrated confidence."""
_EDGE = 1e-6  # 0 and 1 have no finite logit; and at t = 0, where nothing is lost by answering, 0 would not exceed t
_WIDEST = 7.0  # |log T|: answers that are all right, or all wrong, have no best temperature
_OUTCOMES = {Verdict.CORRECT: 1.0, Verdict.INCORRECT: 0.0}


@dataclass(frozen=True)
class ForcedAnswers:
    """A model's best guesses: greedy answers to prompts that state t = 0.

    Args:
        ids: question ids.
        correct: 1, 0, or NaN where no answer was offered or it could not be graded.
        confidence: the model's probability of the answer it gave, in [0, 1]; NaN if unknown, and then no threshold is
            exceeded.
    """

    ids: tuple[str, ...]
    correct: np.ndarray
    confidence: np.ndarray

    @classmethod
    def of(cls, ids: Sequence[str], verdicts: Sequence[Verdict], confidence: Sequence[float | None]) -> Self:
        """From verdicts; confidence that is no probability, such as 1.5 or `None`, is unknown.

        Example:
            >>> answers = ForcedAnswers.of(["a", "b"], [Verdict.CORRECT, Verdict.UNGRADED], [0.9, 1.5])
            >>> answers.correct, answers.confidence
            (array([ 1., nan]), array([0.9, nan]))
        """
        correct = np.array([_OUTCOMES.get(verdict, np.nan) for verdict in verdicts], dtype=float)
        q = np.asarray(confidence, dtype=float)
        return cls(tuple(ids), correct, np.where((q >= 0) & (q <= 1), q, np.nan))

    @property
    def known(self) -> np.ndarray:
        """Where there is a graded answer, and a confidence in it."""
        return ~(np.isnan(self.correct) | np.isnan(self.confidence))

    @property
    def unsure(self) -> bool:
        """Whether there are graded answers and no confidence in any of them: a model that tells no probabilities."""
        return bool((~np.isnan(self.correct)).any()) and not self.known.any()

    def points(self, target: float) -> np.ndarray:
        """Points per question if every answer is given: 1, -t / (1 - t), or 0 where there is no graded answer."""
        return np.nan_to_num(self.correct - (1 - self.correct) * penalty(target))

    def pick(self, ids: Sequence[str]) -> "ForcedAnswers":
        """The answers to these questions, in this order.

        Raises:
            ValueError: one of them was not asked.
        """
        rows = {id: row for row, id in enumerate(self.ids)}
        if unasked := [id for id in ids if id not in rows]:
            example = f"{len(unasked)} questions, such as {unasked[0]!r}"
            raise ValueError(f"no forced answer to {example}: was another task asked, or fewer questions?")
        order = np.array([rows[id] for id in ids], dtype=int)
        return ForcedAnswers(tuple(ids), self.correct[order], self.confidence[order])

    def graded(self) -> "ForcedAnswers":
        """Without those that are not `known`."""
        kept = self.known
        return ForcedAnswers(tuple(compress(self.ids, kept)), self.correct[kept], self.confidence[kept])


@dataclass(frozen=True)
class BaseGuesses:
    """The starting model, whose best guesses the oracle gives or withholds: those to fit on, and those that count."""

    model: str
    train: ForcedAnswers
    held_out: ForcedAnswers

    def save(self, path: str | Path) -> None:
        """Write as JSON, so that a resumed run need not ask again."""
        data = {"model": self.model, "train": _rows(self.train), "held_out": _rows(self.held_out)}
        write_text(path, json.dumps(data))

    @classmethod
    def load(cls, path: str | Path) -> "BaseGuesses":
        """Read what `save` wrote."""
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(data["model"], _from_rows(data["train"]), _from_rows(data["held_out"]))


@dataclass(frozen=True)
class Baseline:
    """Points per question that a policy would score at one target. `None` where it cannot be had.

    Args:
        kind: "post-hoc" (threshold chosen on training questions), "cross-fitted" (there are none: chosen on the other
            half of the held-out ones), "true" (the probability of being right is known), or "" (the model tells no
            probability, so that there is no oracle, and no policy that goes by one).
        oracle_score: of the oracle.
        oracle_threshold: the post-hoc oracle answers where its probability exceeds this.
        fixed_threshold_score: the same answers given where their probability exceeds t itself.
        always_answer_score: all answers given.
        isotonic_score, temperature_score: the answers given whose probability exceeds t after recalibration
            (`isotonic`, `temperature`), fitted on what the post-hoc oracle's threshold is fitted on.
    """

    kind: str
    oracle_score: float | None
    oracle_threshold: float | None
    fixed_threshold_score: float | None
    always_answer_score: float | None
    isotonic_score: float | None = None
    temperature_score: float | None = None


def baseline(start: BaseGuesses, target: float, true_p: Sequence[float] | None = None, seed: int = 0) -> Baseline:
    """`baselines` at one target."""
    return baselines(start, [target], true_p, seed)[target]


def baselines(
    start: BaseGuesses, targets: Sequence[float], true_p: Sequence[float] | None = None, seed: int = 0
) -> dict[float, Baseline]:
    """All that the table compares with, at each target.

    Args:
        start: the starting model's best guesses.
        targets: confidence targets t in [0, 1).
        true_p: per held-out question, the true probability that the best answer is right, if it is known.
        seed: halves the held-out questions where there are no training questions.
    """
    recalibrated = [_recalibrated(start, fit, seed) for fit in (isotonic, temperature)]
    return {t: _baseline(start, t, true_p, seed, recalibrated) for t in targets}


def _baseline(
    start: BaseGuesses, target: float, true_p: Sequence[float] | None, seed: int, recalibrated: Sequence[ForcedAnswers]
) -> Baseline:
    held_out = start.held_out
    threshold: float | None = None
    always = always_answer_score(held_out, target)
    unsure = held_out.unsure or start.train.unsure
    kind, oracle = "", None
    if true_p is not None:
        kind, oracle = "true", true_oracle_score(true_p, target)
    elif unsure:
        pass  # no threshold can be set on what nobody knows
    elif len(start.train.ids):
        threshold = best_threshold(start.train, target)
        kind, oracle = "post-hoc", threshold_score(held_out, threshold, target)
    else:
        kind, oracle = "cross-fitted", _cross_fitted_score(held_out, target, seed)
    if unsure:
        return Baseline(kind, oracle, None, None, always)
    fixed = threshold_score(held_out, target, target)
    fitted = [threshold_score(answers, target, target) for answers in recalibrated]
    return Baseline(kind, oracle, threshold, fixed, always, *fitted)


def _recalibrated(start: BaseGuesses, fit: Callable[[np.ndarray, np.ndarray], Calibrator], seed: int) -> ForcedAnswers:
    """The held-out guesses, recalibrated on training questions, or each half on the other if there are none."""
    held_out, train = start.held_out, start.train
    if len(train.ids):
        return replace(held_out, confidence=fit(train.confidence, train.correct)(held_out.confidence))
    confidence = held_out.confidence.copy()
    for half in halves(len(held_out.ids), seed):
        calibrate = fit(held_out.confidence[~half], held_out.correct[~half])
        confidence[half] = calibrate(held_out.confidence[half])
    return replace(held_out, confidence=confidence)


def best_threshold(answers: ForcedAnswers, target: float) -> float:
    """The threshold q in [0, 1] for which "answer iff the probability exceeds q" scores most on these answers.

    Only 0, 1, t and the midpoints between neighbouring probabilities need trying. Of thresholds that score alike, the
    one nearest to t is taken (and the lower of two as near): with no answers at all that is t. Answers of unknown
    probability are never given.

    Example:
        >>> answers = ForcedAnswers.of("abc", [Verdict.INCORRECT, Verdict.CORRECT, Verdict.CORRECT], [0.2, 0.4, 0.9])
        >>> round(best_threshold(answers, 0.75), 3)  # anything from 0.2 to 0.4 keeps both right answers
        0.3
    """
    known = np.flatnonzero(~np.isnan(answers.confidence))
    order = known[np.argsort(answers.confidence[known], kind="stable")]
    sorted_q = answers.confidence[order]
    middle = (sorted_q[1:] + sorted_q[:-1]) / 2
    middle = np.where(middle < sorted_q[1:], middle, sorted_q[:-1])  # between neighbouring floats there is nothing
    candidates = np.unique(np.concatenate([[0.0, target, 1.0], middle]))
    from_here = np.append(np.cumsum(answers.points(target)[order][::-1])[::-1], 0.0)
    totals = from_here[np.searchsorted(sorted_q, candidates, side="right")]
    best = candidates[np.isclose(totals, totals.max(), rtol=0, atol=1e-9)]
    return float(best[np.argmin(np.abs(best - target))])


def threshold_score(answers: ForcedAnswers, threshold: float, target: float) -> float | None:
    """Points per question of giving those answers whose probability exceeds the threshold.

    Example:
        >>> answers = ForcedAnswers.of("ab", [Verdict.INCORRECT, Verdict.CORRECT], [0.2, 0.9])
        >>> threshold_score(answers, 0.5, target=0.75), always_answer_score(answers, target=0.75)
        (0.5, -1.0)
    """
    return _mean(np.where(answers.confidence > threshold, answers.points(target), 0.0))


def always_answer_score(answers: ForcedAnswers, target: float) -> float | None:
    """Points per question of giving every answer; see `threshold_score`."""
    return _mean(answers.points(target))


def true_oracle_score(true_p: Sequence[float], target: float) -> float | None:
    """Points per question of answering exactly where it pays: mean of max(0, p - (1 - p) t / (1 - t)).

    Example:
        >>> round(true_oracle_score([1.0, 0.9, 0.5], target=0.75), 3)  # the mean of 1, 0.6 and 0
        0.533
    """
    p = np.asarray(true_p, dtype=float)
    return _mean(np.maximum(0.0, p - (1 - p) * penalty(target)))


def _cross_fitted_score(answers: ForcedAnswers, target: float, seed: int) -> float | None:
    """Each half of the questions is scored with the threshold chosen on the other half."""
    points = np.zeros(len(answers.ids))
    for half in halves(len(answers.ids), seed):
        others = ForcedAnswers((), answers.correct[~half], answers.confidence[~half])
        given = half & (answers.confidence > best_threshold(others, target))
        points[given] = answers.points(target)[given]
    return _mean(points)


def halves(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two halves of n questions, as masks: each is scored by what is chosen on the other.

    Example:
        >>> [mask.tolist() for mask in halves(4, seed=0)]
        [[False, True, True, False], [True, False, False, True]]
    """
    first = np.random.default_rng(seed).permutation(n) < n // 2
    return first, ~first


def _mean(points: np.ndarray) -> float | None:
    return float(points.mean()) if len(points) else None


def _rows(answers: ForcedAnswers) -> list[dict[str, Any]]:
    columns = zip(answers.ids, _null(answers.correct.tolist()), _null(answers.confidence.tolist()), strict=True)
    return [{"id": id, "correct": right, "confidence": confidence} for id, right, confidence in columns]


def _null(values: list[float]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values]


def _from_rows(rows: list[dict[str, Any]]) -> ForcedAnswers:
    correct = np.array([row["correct"] for row in rows], dtype=float)  # null becomes NaN
    confidence = np.array([row["confidence"] for row in rows], dtype=float)
    return ForcedAnswers(tuple(row["id"] for row in rows), correct, confidence)


# Recalibration, fitted on some answers and applied to others; the model stays as it is.


def isotonic(confidence: np.ndarray, correct: np.ndarray) -> Calibrator:
    """The non-decreasing function of confidence that fits the outcomes best (Zadrozny and Elkan 2002).

    Args:
        confidence: in [0, 1]; NaN where there is none.
        correct: 1, 0, or NaN where there is no graded answer; pairs with a NaN are left out.

    Returns:
        Maps confidence to the probability of being right, NaN to NaN; leaves it as it is if there is nothing to fit.

    Example:
        >>> isotonic(np.array([0.9, 0.9, 0.2, 0.1]), np.array([1, 0, 0, 1]))(np.array([0.95, 0.9, 0.15, np.nan]))
        array([0.5, 0.5, 0.5, nan])
    """
    from sklearn.isotonic import IsotonicRegression  # takes seconds to import

    q, c = _known(confidence, correct)
    if not len(q):
        return np.array
    fitted = IsotonicRegression(y_min=_EDGE, y_max=1.0, out_of_bounds="clip").fit(q, c)

    def calibrate(confidence: np.ndarray) -> np.ndarray:
        clear = np.nan_to_num(confidence)
        return np.where(np.isnan(confidence), np.nan, fitted.predict(clear) if len(clear) else clear)

    return calibrate


def temperature(confidence: np.ndarray, correct: np.ndarray) -> Calibrator:
    """sigmoid(logit(q) / T) with the T > 0 of highest likelihood (Guo et al. 2017, for two outcomes).

    It can make confidence bolder or more timid, but not move what is at one half.

    Args:
        confidence, correct: as in `isotonic`.

    Example:
        >>> calibrate = temperature(np.array([0.9] * 4 + [0.1] * 4), np.array([1, 1, 1, 0, 0, 0, 0, 1]))
        >>> calibrate(np.array([0.9, 0.5, 0.1])).round(3)
        array([0.75, 0.5 , 0.25])
    """
    q, c = _known(confidence, correct)
    if not len(q):
        return np.array
    z, group = np.unique(log_odds(q), return_inverse=True)
    right, wrong = np.bincount(group, c), np.bincount(group, 1 - c)

    def loss(log_t: float) -> float:
        scaled = z / np.exp(log_t)
        return float(right @ np.logaddexp(0, -scaled) + wrong @ np.logaddexp(0, scaled))

    t = np.exp(minimize_scalar(loss, bounds=(-_WIDEST, _WIDEST), method="bounded").x)
    return lambda confidence: np.clip(expit(log_odds(confidence) / t), _EDGE, 1.0)


def _known(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = ~(np.isnan(confidence) | np.isnan(correct))
    return confidence[known], correct[known]


def log_odds(confidence: np.ndarray) -> np.ndarray:
    """ln(q / (1 - q)) of confidence in [0, 1], which a model's sequence probability is usually linear in.

    Confidence is kept 1e-6 from 0 and 1, where it would be infinite.

    Example:
        >>> log_odds(np.array([0.5, 1.0])).round(1).tolist()
        [0.0, 13.8]
    """
    return logit(np.clip(confidence, _EDGE, 1 - _EDGE))
