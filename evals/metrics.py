"""The numbers in `metrics.json`, from records alone.

`n` counts the questions asked at a target, and every rate is a fraction of it:
correct + incorrect + abstained + ungraded = 1. An ungraded answer is neither correct nor incorrect: it earns and loses
nothing, and its share is shown beside the score. Where nothing at all was graded there is no score. What cannot be had
is `None` (`null` in JSON), never 0.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from abstain.evals.intervals import LEVEL, RESAMPLES, bootstrap_interval
from abstain.evals.oracle import Baseline, ForcedAnswers
from abstain.evals.records import Record
from abstain.rewards.prompts import penalty
from abstain.rewards.verdict import Verdict

BINS = 15
NO_BASELINE = Baseline("", None, None, None, None)


def measure(
    records: Sequence[Record],
    *,
    model: str,
    task: str,
    baselines: Mapping[float, Baseline] | None = None,
    guesses: ForcedAnswers | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """All of `metrics.json`.

    Args:
        records: one per question and target.
        model, task: names, for tables.
        baselines: per target, what to compare with (`abstain.evals.oracle.baseline`).
        guesses: best guesses at t = 0 with the confidence to judge; those attempted at the lowest target by default.
        seed: of the bootstrap.

    Returns:
        `by_target` holds one `target_row` per target, and `mean_regret` is their mean. `aurc`, `auroc`, `ece`,
        `ece_equal_mass` and `brier` judge the confidence in `confidence_n` best guesses, given at `confidence_target`.
    """
    by_target: dict[float, list[Record]] = defaultdict(list)
    for record in records:
        by_target[record.target].append(record)
    baselines = baselines or {}
    rows = [target_row(by_target[t], t, baselines.get(t, NO_BASELINE), seed) for t in sorted(by_target)]
    regrets = [row["regret"] for row in rows]
    lowest = min(by_target, default=None)
    if guesses is None:
        guesses = _attempts(by_target[lowest]) if lowest is not None else ForcedAnswers.of([], [], [])
    else:
        lowest = 0.0
    return {
        "model": model,
        "task": task,
        "n": len({record.id for record in records}),
        "by_target": rows,
        "mean_regret": float(np.mean(regrets)) if regrets and None not in regrets else None,
        "oracle": next((kind for t in sorted(by_target) if (kind := baselines.get(t, NO_BASELINE).kind)), None),
        **confidence_metrics(guesses.confidence, guesses.correct),
        "confidence_target": lowest,
        "interval": {"level": LEVEL, "resamples": RESAMPLES, "seed": seed},
    }


def target_row(
    records: Sequence[Record], target: float, baseline: Baseline = NO_BASELINE, seed: int = 0
) -> dict[str, Any]:
    """The numbers of one target, by their names in `metrics.json`.

    `score` is S_t = correct - incorrect * t / (1 - t) (Kalai et al. 2025, section 4.2), in points per question;
    `bounded_score` is (1 - t) S_t; `regret` is oracle_score - score; `accuracy_attempted` is
    correct / (correct + incorrect).

    Args:
        records: those of this target.
        target: confidence target t in [0, 1).
        baseline: what to compare with.
        seed: of the bootstrap interval `score_ci`, which resamples questions.
    """
    counts = Counter(record.verdict for record in records)
    n, right, wrong = len(records), counts[Verdict.CORRECT], counts[Verdict.INCORRECT]
    graded = n - counts[Verdict.UNGRADED]
    score = (right - wrong * penalty(target)) / n if graded else None
    worth = {Verdict.CORRECT: 1.0, Verdict.INCORRECT: -penalty(target)}
    interval = bootstrap_interval([worth.get(r.verdict, 0.0) for r in records], seed=seed) if graded else None
    oracle = baseline.oracle_score
    return {
        "target": target,
        "n": n,
        **{verdict.lower(): counts[verdict] / n if n else None for verdict in Verdict},
        "accuracy_attempted": right / (right + wrong) if right + wrong else None,
        "score": score,
        "score_ci": list(interval) if interval else None,
        "bounded_score": None if score is None else (1 - target) * score,
        "oracle_score": oracle,
        "oracle_threshold": baseline.oracle_threshold,
        "fixed_threshold_score": baseline.fixed_threshold_score,
        "regret": None if score is None or oracle is None else oracle - score,
        "always_answer_score": baseline.always_answer_score,
    }


def confidence_metrics(confidence: np.ndarray, correct: np.ndarray) -> dict[str, Any]:
    """How well confidence in [0, 1] goes with being right: AURC, AUROC, ECE and Brier score.

    Pairs where either is NaN are left out; `confidence_n` counts the others. AUROC needs a right and a wrong answer.

    Example:
        >>> found = confidence_metrics(np.array([0.9, 0.6, np.nan]), np.array([1, 0, 1]))
        >>> found["confidence_n"], found["auroc"], found["aurc"], round(found["brier"], 3)
        (2, 1.0, 0.25, 0.185)
    """
    known = ~(np.isnan(confidence) | np.isnan(correct))
    q, c = confidence[known], correct[known]
    if not len(q):
        return dict.fromkeys(("aurc", "auroc", "ece", "ece_equal_mass", "brier")) | {"confidence_n": 0}
    return {
        "aurc": aurc(q, c),
        "auroc": float(roc_auc_score(c, q)) if 0 < c.sum() < len(c) else None,
        "ece": expected_calibration_error(q, c),
        "ece_equal_mass": equal_mass_calibration_error(q, c),
        "brier": float(np.mean((q - c) ** 2)),
        "confidence_n": len(q),
    }


def aurc(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Area under the risk-coverage curve: the mean over k of the error rate among the k most confident answers.

    (1 / N) sum_k e_k / k, with e_k the errors among the top k (Geifman et al. 2019). Ties, of which stated confidence
    is full, are averaged over all their orders: exactly so, if each answer counts as the error rate of its tie.

    Example:
        >>> aurc(np.array([0.5, 0.5]), np.array([1, 0]))
        0.5
    """
    order = np.argsort(-confidence, kind="stable")
    errors = 1 - _tie_means(confidence, correct)[order]
    return float(np.mean(np.cumsum(errors) / np.arange(1, len(errors) + 1)))


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> float:
    """ECE = sum_b n_b / N |accuracy_b - confidence_b| over equal-width bins (Guo et al. 2017), 0 and 1 included.

    Example:
        >>> expected_calibration_error(np.array([1.0, 1.0, 0.0]), np.array([1, 1, 1]))
        0.3333333333333333
    """
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(np.abs(np.bincount(bin_of, correct - confidence)).sum() / len(confidence))


def equal_mass_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> float:
    """ECE over bins that hold equally many answers; ties share their accuracy, so that their order does not matter.

    Example:
        >>> equal_mass_calibration_error(np.array([0.5, 0.5]), np.array([1, 0]))
        0.0
    """
    order = np.argsort(confidence, kind="stable")
    gaps = (_tie_means(confidence, correct) - confidence)[order]
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, bins)) / len(gaps))


def _tie_means(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """`correct`, averaged among answers of equal confidence."""
    _, group, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    return (np.bincount(group, correct) / counts)[group]


def _attempts(records: Sequence[Record]) -> ForcedAnswers:
    confidence = [np.nan if record.confidence is None else record.confidence for record in records]
    return ForcedAnswers.of([record.id for record in records], [record.verdict for record in records], confidence)
