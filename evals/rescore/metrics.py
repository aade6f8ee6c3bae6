"""The numbers of one run, by their names in `metrics.json`; see `abstain.evals.metrics.measuring` for what they mean.

A row for each target. Where a log has grades only, all rows are the same answers under another penalty. Where it has
confidence too, each row also holds `thresholded`: the same answers, given only where the confidence exceeds t.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from abstain.evals.logs.batch import CONFIDENCE
from abstain.evals.logs.grades import CORRECT, INCORRECT, UNGRADED, VERDICTS
from abstain.evals.metrics.confidence import confidence_metrics
from abstain.evals.metrics.intervals import KIND, LEVEL, Interval, mean_interval
from abstain.evals.metrics.measuring import counts_row
from abstain.evals.metrics.readings import GRADED, long_answers, reading_gap
from abstain.evals.rescore.runs import Run
from abstain.rewards.prompts import penalty

LEVELS = {1: "grades", 2: "grades and confidence", 3: "stated targets"}
_PRECISION = 10**9  # a share of a summary without n, as a count
_THRESHOLDED = (
    *("correct", "incorrect", "abstained", "ungraded", "accuracy_attempted", "coverage"),
    *("score", "score_ci", "bounded_score"),
)


def measure_run(run: Run, targets: Sequence[float]) -> dict[str, Any]:
    """All that can be said of a run.

    Args:
        run: its rows.
        targets: confidence targets to score at, of which a run with stated targets has those that it states.

    Raises:
        ValueError: the prompts state none of these targets.
    """
    chosen = [t for t in run.targets if t in targets] if run.level == 3 else sorted(targets)
    if not chosen:
        stated = ", ".join(f"{t:g}" for t in run.targets)
        raise ValueError(f"{run.source}: the prompts state the targets {stated}, none of which is asked for")
    lowest = run.at(chosen[0])
    tried = lowest.verdict <= INCORRECT
    return {
        "model": run.model,
        "task": run.task,
        "label": run.label,
        "n": questions(run),
        "level": run.level,
        "level_name": LEVELS[run.level],
        "source": str(run.source),
        "format": run.format,
        "by_target": [_row(run, t) for t in chosen],
        "mean_regret": None,
        "oracle": None,
        **confidence_metrics(lowest.confidence[tried], 1.0 - lowest.verdict[tried]),
        "confidence_kind": CONFIDENCE[run.kind] if run.confidence_share else None,
        "confidence_share": run.confidence_share,
        "confidence_target": chosen[0] if run.level == 3 else None,
        "interval": {"level": LEVEL, "kind": KIND},
        **_read(run),
        **({"judge": run.judged.report(run.grading.reading)} if run.judged else {}),
    }


def _read(run: Run) -> dict[str, Any]:
    """How answers were read that were graded here, and what these verdicts rest on; none where the log has grades."""
    here = bool((run.doubts & GRADED).any())
    return {
        "reading": run.grading.reading if here else None,
        "answer_format": run.grading.answer_format if here else None,
        "reading_gap": reading_gap(run.doubts, len(run.doubts)),
        "long_answers": long_answers(run.doubts, run.grading.grader_of()),
    }


def questions(run: Run) -> int | None:
    """How many questions were asked; `None` if the log does not say."""
    return run.summary.n if run.summary else run.questions


def _row(run: Run, target: float) -> dict[str, Any]:
    if run.summary:
        return _summary_row(run, target)
    asked = run.at(target)
    row = _measured(asked, target)
    if run.level == 2:
        found = _measured(asked.thresholded(target), target)
        row["thresholded"] = {name: found[name] for name in _THRESHOLDED}
        row["fixed_threshold_score"] = found["score"]
    return row


def _measured(run: Run, target: float) -> dict[str, Any]:
    row = counts_row(dict(zip(VERDICTS, run.counts().tolist(), strict=True)), target)
    if run.repeated and row["score"] is not None:
        row["score_ci"] = list(_repeated_interval(run, target, row["score"]))
    return row


def _repeated_interval(run: Run, target: float, score: float) -> Interval:
    """By question, however often each was asked: those asked more often count for more, as they do in the score."""
    _, times = np.unique(run.question, return_counts=True)
    means = score + times / times.mean() * (mean_points(run, target)[1] - score)
    low, high = mean_interval(means, -penalty(target), 1.0) or (score, score)
    return max(low, -penalty(target)), min(high, 1.0)


def mean_points(run: Run, target: float) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of questions, and the mean points that each one earned over its repeats."""
    worth = np.array([1.0, -penalty(target), 0.0, 0.0])
    asked, place = np.unique(run.question, return_inverse=True)
    return asked, np.bincount(place, worth[run.verdict]) / np.bincount(place)


def _summary_row(run: Run, target: float) -> dict[str, Any]:
    assert run.summary
    whole = run.summary.n or _PRECISION
    counts = {verdict: round(share * whole) for verdict, share in zip(VERDICTS, run.summary.shares, strict=True)}
    row = counts_row(counts, target)
    return row if run.summary.n else row | {"n": None, "score_ci": None}


def scores(run: Run, targets: Sequence[float]) -> np.ndarray | None:
    """S_t of all the run's answers, whatever targets they state; `None` if nothing is graded."""
    counts = np.array(run.summary.shares) if run.summary else run.counts()
    if not counts[:UNGRADED].any():
        return None
    return (counts[CORRECT] - counts[INCORRECT] * _penalties(targets)) / counts.sum()


def heeded_scores(run: Run, targets: Sequence[float]) -> np.ndarray | None:
    """S_t of the run's answers whose confidence exceeds t, or is unknown; see `Run.thresholded`."""
    if not run.counts()[:UNGRADED].any():
        return None
    right, wrong = (_exceeding(run.confidence[run.verdict == code], targets) for code in (CORRECT, INCORRECT))
    return (right - wrong * _penalties(targets)) / len(run.verdict)


def _exceeding(confidence: np.ndarray, targets: Sequence[float]) -> np.ndarray:
    """How many confidences exceed each target; NaN, which sorts last, does."""
    return len(confidence) - np.searchsorted(np.sort(confidence), targets, side="right")


def _penalties(targets: Sequence[float]) -> np.ndarray:
    return np.array([penalty(t) for t in targets])
