"""An audit's records as decisions, one per question, target and wording, and the numbers of `audit.json` from them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from abstain.evals.audit.asking import NO_INSTRUCTION
from abstain.evals.audit.sources import ConfidenceSource
from abstain.evals.audit.threshold import Selection, Threshold, effective_thresholds, selections
from abstain.evals.metrics.confidence import BINS, equal_mass_calibration_error
from abstain.evals.metrics.intervals import mean_interval, share_interval
from abstain.evals.records import Record
from abstain.rewards.verdict import Verdict

Fields = dict[str, Any]
"""A part of `audit.json`."""
Condition = tuple[str, float | None]
"""Wording, and the target it states: `("stated", 0.75)`, `("none", None)`."""
STATED = "stated"
"""The wording of `abstain.rewards.prompts.instruction`."""
BANDS = 10
NEAR = 0.1
"""Questions whose P(correct) is no further from a threshold tell whether P(correct) is what it seems there."""
_SCORES = ("score", "score_ci", "always_answer_score", "oracle_score")


@dataclass(frozen=True)
class Decisions:
    """Questions that were graded under every condition, and what became of each.

    Args:
        ids: question ids.
        conditions: the columns.
        right, attempted: (questions, conditions), whether an answer was right, and whether one was offered.
        left_out: questions with an ungraded answer, or not asked everywhere.
    """

    ids: tuple[str, ...]
    conditions: tuple[Condition, ...]
    right: np.ndarray
    attempted: np.ndarray
    left_out: int

    def column(self, condition: Condition) -> int:
        """Where a condition stands."""
        return self.conditions.index(condition)

    def targets(self) -> list[float]:
        """The targets stated in the wording of training, in order."""
        return sorted(t for name, t in self.conditions if name == STATED and t is not None)


def decisions(records: Sequence[Record], reworded: Mapping[str, Sequence[Record]] | None = None) -> Decisions:
    """Line up the records of an evaluation, and of other wordings.

    Raises:
        ValueError: no question has a graded answer everywhere, or the target was not stated
            (`require_stated_targets`).

    Example:
        >>> row = {"task": "toy", "question": "Who?", "gold": ("Bo",), "completion": "Bo", "answer": "Bo"}
        >>> verdicts = {0.0: Verdict.INCORRECT, 0.5: Verdict.ABSTAINED}
        >>> asked = [Record("a", target=t, prompt=f"Who? t={t}", verdict=v, confidence=0.8, **row)
        ...          for t, v in verdicts.items()]
        >>> table = decisions(asked)
        >>> table.conditions, table.attempted.tolist()
        ((('stated', 0.0), ('stated', 0.5)), [[True, False]])
    """
    require_stated_targets(records)
    by_condition: dict[Condition, list[Record]] = {}
    for name, group in {STATED: records, **(reworded or {})}.items():
        for record in group:
            by_condition.setdefault((name, None if name == NO_INSTRUCTION else record.target), []).append(record)
    verdicts = {condition: _verdicts(group) for condition, group in by_condition.items()}
    everybody = list(dict.fromkeys(key for column in verdicts.values() for key in column))
    none = Verdict.UNGRADED
    graded = [key for key in everybody if all(column.get(key, none) != none for column in verdicts.values())]
    if not graded:
        raise ValueError(f"nothing to audit: none of {len(everybody)} questions has a graded answer at every target")
    given = np.array([[column[key] for column in verdicts.values()] for key in graded], dtype=object)
    return Decisions(
        ids=tuple(id for id, _ in graded),
        conditions=tuple(verdicts),
        right=given == Verdict.CORRECT,
        attempted=given != Verdict.ABSTAINED,
        left_out=len(everybody) - len(graded),
    )


def require_stated_targets(records: Iterable[Record]) -> None:
    """Refuse records of prompts that did not say which target they would be scored at.

    A model that was never told t cannot follow it: re-scoring such a log at several t is a penalty curve
    (`abstain.evals.rescore.ranking`), and calling it an audit of behavioral calibration would be wrong.

    Raises:
        ValueError: the same prompt stands for several targets, or there is but one target.
    """
    stated: dict[str, float] = {}
    for record in records:
        other = stated.setdefault(record.prompt, record.target)
        if other != record.target:
            raise ValueError(
                f"not an audit: question {record.id!r} was asked by the same prompt for t = {other:g} and "
                f"t = {record.target:g}, so no target was stated. What such a log shows is a penalty curve"
            )
    if len(set(stated.values())) < 2:
        raise ValueError("not an audit: it takes answers at two stated targets or more, t = 0 among them")


def _verdicts(records: Sequence[Record]) -> dict[tuple[str, int], Verdict]:
    """By id, and by how often it has come before: a file may ask one thing twice."""
    seen: Counter[str] = Counter()
    found = {}
    for record in records:
        found[record.id, seen[record.id]] = record.verdict
        seen[record.id] += 1
    return found


def target_rows(
    table: Decisions, source: ConfidenceSource, metrics: Mapping[str, Any], seed: int, resamples: int
) -> list[Fields]:
    """One row per stated target. Rates are fractions of `n`; those of what guesses are worth, of `with_guess`."""
    targets = table.targets()
    conditions: list[Condition] = [(STATED, t) for t in targets]
    thresholds = _thresholds(table, source, conditions, seed, resamples)
    chosen = _selections(table, source, conditions)
    scores = {row["target"]: row for row in metrics["by_target"]}
    rows = []
    for t, threshold, selection in zip(targets, thresholds, chosen, strict=True):
        column = table.column((STATED, t))
        attempted, right = table.attempted[:, column], table.right[:, column]
        score = {name: scores.get(t, {}).get(name) for name in _SCORES}
        rows.append(
            {
                "target": t,
                "n": len(table.ids),
                "with_guess": int(source.answered.sum()),
                **_share("abstained", ~attempted, np.ones_like(attempted)),
                **_share("accuracy_attempted", right, attempted),
                **_held_against(source, attempted, t),
                **_threshold_fields(threshold),
                "near_threshold": _near(source, threshold),
                **_selection_fields(selection),
                **score,
                "never_answer_score": 0.0,
                "bands": _bands(source, attempted),
            }
        )
    return rows


def _held_against(source: ConfidenceSource, attempted: np.ndarray, target: float) -> Fields:
    """What the source says of the decisions: how they should be, and how forced answers to both kinds fare."""
    known, right = source.answered, source.answers.correct == 1
    worth = known & (np.nan_to_num(source.p) > target)
    return {
        "called_for": proportion(~worth, known)[0],
        **_share("abstained_would_be_right", right, known & ~attempted),
        **_share("answered_would_be_right", right, known & attempted),
        **_share("decided_rightly", worth == attempted, known),
    }


def _near(source: ConfidenceSource, threshold: Threshold | None) -> Fields | None:
    """What P(correct) promises of the guesses around a threshold, and what they keep.

    A logistic fit to all guesses may be wrong about some. A model that is .2 sure both of a name it has read once and
    of one it has never read may still tell them apart, and more than a fifth of what it answers is right.
    `None` where P(correct) is no fit.
    """
    if threshold is None or source.calibrated:
        return None
    near = np.abs(source.p - threshold.value) <= NEAR  # not where there is no guess, and P(correct) is NaN
    return {
        "n": int(near.sum()),
        "expected": float(source.p[near].mean()) if near.any() else None,
        **_share("right", source.answers.correct == 1, near),
    }


def _bands(source: ConfidenceSource, attempted: np.ndarray) -> list[Fields]:
    """Share attempted by P(correct), in bands of equal width: for the plot."""
    p, given = source.p[source.answered], attempted[source.answered]
    band = np.minimum((p * BANDS).astype(int), BANDS - 1)
    return [
        {"p": float(p[here].mean()), "attempted": float(given[here].mean()), "n": int(here.sum())}
        for here in (band == index for index in range(BANDS))
        if here.any()
    ]


def rise(table: Decisions, source: ConfidenceSource) -> Fields:
    """How abstention changes from each target to the next, and from the lowest above 0 to the highest.

    A question given up between two targets should have a P(correct) between them: `given_up_would_be_right` is the
    accuracy of its forced answers. `reversed` are questions given up at the lower target and answered at the higher.
    """
    targets = table.targets()
    above = [t for t in targets if t > 0]
    steps = [_step(table, source, low, high) for low, high in pairwise(targets)]
    whole = _step(table, source, above[0], above[-1]) if len(above) > 1 else None
    return {"steps": steps, "overall": whole}


def _step(table: Decisions, source: ConfidenceSource, low: float, high: float) -> Fields:
    before, after = (table.attempted[:, table.column((STATED, t))] for t in (low, high))
    differences = before.astype(float) - after
    interval = mean_interval(differences, -1, 1)
    known = source.answered
    between = known & (np.nan_to_num(source.p) > low) & (np.nan_to_num(source.p) <= high)
    return {
        "from": low,
        "to": high,
        "difference": float(differences.mean()),
        "difference_ci": list(interval or ()),
        "called_for": proportion(between, known)[0],
        "reversed": proportion(after & ~before, np.ones_like(after))[0],
        **_share("given_up_would_be_right", source.answers.correct == 1, known & before & ~after),
    }


def wordings(table: Decisions, source: ConfidenceSource, seed: int, resamples: int) -> Fields:
    """What other wordings do to the decisions: `changed` is the mean share of questions decided otherwise."""
    rows = _wording_rows(table, source, seed, resamples)
    flips = [
        table.attempted[:, table.column(condition)] != table.attempted[:, table.column((STATED, condition[1]))]
        for condition in table.conditions
        if condition[0] != STATED and (STATED, condition[1]) in table.conditions
    ]
    if not flips:
        return {"changed": None, "changed_ci": None, "rows": rows}
    changed = np.mean(flips, axis=0)
    interval = mean_interval(changed, 0, 1)
    return {"changed": float(changed.mean()), "changed_ci": list(interval or ()), "rows": rows}


def _wording_rows(table: Decisions, source: ConfidenceSource, seed: int, resamples: int) -> list[Fields]:
    """One row per other wording and target it states, compared with the stated wording at that target."""
    others = [condition for condition in table.conditions if condition[0] != STATED]
    rows = []
    thresholds = _thresholds(table, source, others, seed, resamples)
    for condition, threshold in zip(others, thresholds, strict=True):
        wording, target = condition
        attempted, right = (answers[:, table.column(condition)] for answers in (table.attempted, table.right))
        rows.append(
            {
                "wording": wording,
                "target": target,
                **_share("abstained", ~attempted, np.ones_like(attempted)),
                **_share("accuracy_attempted", right, attempted),
                **_threshold_fields(threshold),
                **_changes(table, attempted, target),
            }
        )
    return rows


def _changes(table: Decisions, attempted: np.ndarray, target: float | None) -> Fields:
    if target is None or (STATED, target) not in table.conditions:
        return dict.fromkeys(("changed", "changed_ci", "newly_abstained", "newly_answered"))
    before = table.attempted[:, table.column((STATED, target))]
    everybody = np.ones_like(before)
    return {
        **_share("changed", attempted != before, everybody),
        "newly_abstained": proportion(before & ~attempted, everybody)[0],
        "newly_answered": proportion(~before & attempted, everybody)[0],
    }


def source_fields(source: ConfidenceSource) -> Fields:
    """Where P(correct) comes from, and how well that tells right guesses from wrong ones.

    `calibration_error` is that of the fitted P(correct), over groups of equally many guesses; `calibration_noise` is
    how much of it there would be by chance, if the fit were perfect: sqrt(2 / pi) mean(sqrt(p (1 - p))) / sqrt(size).
    """
    from sklearn.metrics import roc_auc_score  # takes seconds to import

    known = source.answered
    right, p = source.answers.correct[known], source.p[known]
    both = 0 < right.sum() < len(right)
    spread, size = np.sqrt(p * (1 - p)), max(1.0, len(p) / BINS)
    return {
        "kind": source.kind,
        "model": source.model,
        "with_guess": int(known.sum()),
        "accuracy": float(right.mean()) if len(right) else None,
        "mean_p": float(p.mean()) if len(p) else None,
        "auroc": float(roc_auc_score(right, p)) if both else None,
        "calibration_error": equal_mass_calibration_error(p, right) if len(p) else None,
        "calibration_noise": float(np.sqrt(2 / np.pi) * spread.mean() / np.sqrt(size)) if len(p) else None,
    }


def _thresholds(
    table: Decisions, source: ConfidenceSource, conditions: list[Condition], seed: int, resamples: int
) -> Sequence[Threshold | None]:
    """The effective threshold under each condition; `None` each if no question has a graded guess."""
    attempted = _attempted(table, source, conditions)
    if not attempted.size:
        return [None] * len(conditions)
    return effective_thresholds(source.graded(), attempted, seed=seed, resamples=resamples)


def _selections(table: Decisions, source: ConfidenceSource, conditions: list[Condition]) -> Sequence[Selection | None]:
    attempted = _attempted(table, source, conditions)
    return selections(source.graded(), attempted) if attempted.size else [None] * len(conditions)


def _attempted(table: Decisions, source: ConfidenceSource, conditions: list[Condition]) -> np.ndarray:
    """Whether each question with a graded guess was attempted under each condition."""
    return table.attempted[source.answered][:, [table.column(condition) for condition in conditions]]


def _threshold_fields(threshold: Threshold | None) -> Fields:
    if threshold is None:
        return dict.fromkeys(("effective_threshold", "effective_threshold_ci", "effective_threshold_bracket"))
    return {
        "effective_threshold": threshold.value,
        "effective_threshold_ci": list(threshold.interval),
        "effective_threshold_bracket": [threshold.low, threshold.high],
    }


def _selection_fields(selection: Selection | None) -> Fields:
    """`gain`, `gain_ci`, `selectivity` and `selectivity_ci`."""
    if selection is None:
        return dict.fromkeys(("gain", "gain_ci", "selectivity", "selectivity_ci"))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(selection).items()}


def _share(name: str, part: np.ndarray, whole: np.ndarray) -> Fields:
    share, interval = proportion(part, whole)
    return {name: share, f"{name}_ci": interval}


def proportion(part: np.ndarray, whole: np.ndarray) -> tuple[float | None, list[float] | None]:
    """A share of questions with its interval; `None` of no questions.

    Example:
        >>> share, interval = proportion(np.array([True, True, False]), np.array([True, True, False]))
        >>> share, [round(end, 2) for end in interval]
        (1.0, [0.27, 1.0])
        >>> proportion(np.array([True]), np.array([False]))
        (None, None)
    """
    k, n = int((part & whole).sum()), int(whole.sum())
    return (k / n, [float(end) for end in share_interval(k, n)]) if n else (None, None)
