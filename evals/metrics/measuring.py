"""The numbers in `metrics.json`, from records, or from counts of verdicts where there are a million of them.

`n` counts the questions asked at a target, and every rate is a fraction of it:
correct + incorrect + abstained + ungraded = 1. An ungraded answer is neither correct nor incorrect: it earns and loses
nothing, and its share is shown beside the score. Where nothing at all was graded there is no score. What cannot be had
is `None` (`null` in JSON), never 0.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from abstain.evals.metrics.confidence import confidence_metrics
from abstain.evals.metrics.intervals import KIND, LEVEL, points_interval
from abstain.evals.metrics.oracle import Baseline, ForcedAnswers
from abstain.evals.records import Record
from abstain.rewards.prompts import penalty
from abstain.rewards.verdict import Verdict

NO_BASELINE = Baseline("", None, None, None, None)
REGRETS = {  # what was missed, by what it is compared with
    "regret": "oracle_score",
    "regret_fixed_threshold": "fixed_threshold_score",
    "regret_isotonic": "isotonic_score",
    "regret_temperature": "temperature_score",
}


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
        baselines: per target, what to compare with (`abstain.evals.metrics.oracle.baselines`).
        guesses: best guesses at t = 0 with the confidence to judge; those attempted at the lowest target by default.
        seed: kept in `interval`, for whoever draws the curve of a baseline that a seed split in halves.

    Returns:
        `by_target` holds one `target_row` per target, and `mean_regret` and its like are means over these. What
        `confidence_metrics` finds is about the `confidence_n` best guesses given at `confidence_target`.
    """
    by_target: dict[float, list[Record]] = defaultdict(list)
    for record in records:
        by_target[record.target].append(record)
    baselines = baselines or {}
    rows = [target_row(by_target[t], t, baselines.get(t, NO_BASELINE)) for t in sorted(by_target)]
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
        **{f"mean_{name}": _mean([row[name] for row in rows]) for name in REGRETS},
        "oracle": next((kind for t in sorted(by_target) if (kind := baselines.get(t, NO_BASELINE).kind)), None),
        **confidence_metrics(guesses.confidence, guesses.correct),
        "confidence_target": lowest,
        "interval": {"level": LEVEL, "kind": KIND, "seed": seed},
    }


def target_row(records: Sequence[Record], target: float, baseline: Baseline = NO_BASELINE) -> dict[str, Any]:
    """The numbers of one target, by their names in `metrics.json`.

    Args:
        records: those of this target.
        target: confidence target t in [0, 1).
        baseline: what to compare with.
    """
    return counts_row(Counter(record.verdict for record in records), target, baseline)


def counts_row(counts: Mapping[Verdict, int], target: float, baseline: Baseline = NO_BASELINE) -> dict[str, Any]:
    """`target_row`, from how many questions got which verdict.

    | name                       | value                                                                   |
    |----------------------------|-------------------------------------------------------------------------|
    | `score`                    | S_t = correct - incorrect t / (1 - t) (Kalai et al. 2025, section 4.2)  |
    | `bounded_score`            | R_t = (1 - t) S_t = (1 - t) correct - t incorrect                       |
    | `coverage`                 | correct + incorrect, the share of n that was attempted                  |
    | `accuracy_attempted`       | correct / (correct + incorrect): selective accuracy, 1 - selective risk |
    | `regret`, `regret_...`     | score of the oracle, or of another baseline, less `score`               |
    | `simpleqa_f` and after     | see `headlines`                                                         |

    Example:
        >>> row = counts_row({Verdict.CORRECT: 5, Verdict.INCORRECT: 1, Verdict.ABSTAINED: 4}, 0.75)
        >>> [round(row[name], 3) for name in ("score", "bounded_score", "coverage", "accuracy_attempted")]
        [0.2, 0.05, 0.6, 0.833]
    """
    right, wrong, abstained, ungraded = (counts.get(verdict, 0) for verdict in Verdict)
    n, graded = right + wrong + abstained + ungraded, right + wrong + abstained
    score = (right - wrong * penalty(target)) / n if graded else None
    points = [1.0, -penalty(target), 0.0, 0.0]
    interval = points_interval(points, [right, wrong, abstained, ungraded]) if graded else None
    regrets = {name: _less(getattr(baseline, scored), score) for name, scored in REGRETS.items()}
    return {
        "target": target,
        "n": n,
        **{verdict.lower(): counts.get(verdict, 0) / n if n else None for verdict in Verdict},
        "accuracy_attempted": _ratio(right, right + wrong),
        "score": score,
        "score_ci": list(interval) if interval else None,
        "bounded_score": None if score is None else (1 - target) * score,
        "oracle_score": baseline.oracle_score,
        "oracle_threshold": baseline.oracle_threshold,
        "fixed_threshold_score": baseline.fixed_threshold_score,
        "regret": regrets.pop("regret"),
        "always_answer_score": baseline.always_answer_score,
        "coverage": (right + wrong) / n if graded else None,
        "isotonic_score": baseline.isotonic_score,
        "temperature_score": baseline.temperature_score,
        **regrets,
        **headlines(right, wrong, abstained),
    }


def _attempts(records: Sequence[Record]) -> ForcedAnswers:
    verdicts = [record.verdict for record in records]
    return ForcedAnswers.of([record.id for record in records], verdicts, [record.confidence for record in records])


def _less(more: float | None, less: float | None) -> float | None:
    return None if more is None or less is None else more - less


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def headlines(correct: float, incorrect: float, abstained: float) -> dict[str, float | None]:
    """The numbers in the headlines of well-known benchmarks, by their names in `metrics.json`.

    All are made of three counts, or of rates: correct c, incorrect i and abstained ("not attempted") a, never of
    ungraded answers. Each stands for a confidence target:

    | number            | of the graded answers | answering pays iff p exceeds |
    |-------------------|-----------------------|------------------------------|
    | accuracy          | c                     | 0                            |
    | SimpleQA F        | 2c / (1 + c + i)      | F / 2, hence never over 1/2  |
    | Omniscience Index | 100 (c - i)           | 1/2                          |
    | score S_t         | c - i t / (1 - t)     | t                            |

    F is the harmonic mean of correct / all and correct / attempted (Wei et al. 2024, arXiv 2411.04368): the target it
    implies moves with the score. The index is AA-Omniscience's (arXiv 2511.13029). Published hallucination rates are
    shares of different wholes, and seldom say so: of those attempted, of those not correct (AA-Omniscience: how often
    it errs where it should have said nothing), or of all (NeMo Gym).

    Example:
        >>> found = headlines(correct=22, incorrect=26, abstained=52)
        >>> {name: round(value, 3) for name, value in found.items()}
        {'simpleqa_f': 0.297, 'simpleqa_f_implied_target': 0.149, 'omniscience_index': -4.0,
         'hallucination_rate_of_attempted': 0.542, 'hallucination_rate_of_not_correct': 0.333,
         'hallucination_rate_of_all': 0.26}
    """
    attempted, not_correct, everything = correct + incorrect, incorrect + abstained, correct + incorrect + abstained
    f = _ratio(2 * correct, everything + attempted)
    return {
        "simpleqa_f": f,
        "simpleqa_f_implied_target": None if f is None else f / 2,
        "omniscience_index": _ratio(100 * (correct - incorrect), everything),
        "hallucination_rate_of_attempted": _ratio(incorrect, attempted),
        "hallucination_rate_of_not_correct": _ratio(incorrect, not_correct),
        "hallucination_rate_of_all": _ratio(incorrect, everything),
    }


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
