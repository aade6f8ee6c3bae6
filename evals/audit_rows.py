"""The numbers of `audit.json`: per target, between targets, per wording, and of the probe."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np

from abstain.evals.audit_decisions import STATED, Condition, Decisions, proportion
from abstain.evals.audit_probe import Probe
from abstain.evals.audit_threshold import Choice, Threshold, choices, effective_thresholds
from abstain.evals.calibration import BINS, equal_mass_calibration_error
from abstain.evals.intervals import bootstrap_interval

Row = dict[str, Any]
BANDS = 10
NEAR = 0.1
"""Questions whose P(correct) is no further from a threshold tell whether P(correct) is what it seems there."""
_SCORES = ("score", "score_ci", "always_answer_score", "oracle_score")


def target_rows(table: Decisions, probe: Probe, metrics: Mapping[str, Any], seed: int, resamples: int) -> list[Row]:
    """One row per stated target. Rates are fractions of `n`, and what follows a probe of `probed`, its questions."""
    targets = table.targets()
    conditions: list[Condition] = [(STATED, t) for t in targets]
    thresholds = _thresholds(table, probe, conditions, seed, resamples)
    chosen = _choices(table, probe, conditions, seed, resamples)
    scores = {row["target"]: row for row in metrics["by_target"]}
    rows = []
    for t, threshold, choice in zip(targets, thresholds, chosen, strict=True):
        column = table.column((STATED, t))
        attempted, right = table.attempted[:, column], table.right[:, column]
        score = {name: scores.get(t, {}).get(name) for name in _SCORES}
        rows.append(
            {
                "target": t,
                "n": len(table.ids),
                "probed": int(probe.answered.sum()),
                **_share("abstained", ~attempted, np.ones_like(attempted)),
                **_share("accuracy_attempted", right, attempted),
                **_held_against(probe, attempted, t),
                **_threshold_fields(threshold),
                "near_threshold": _near(probe, threshold),
                **_choice_fields(choice),
                **score,
                "never_answer_score": 0.0,
                "bands": _bands(probe, attempted),
            }
        )
    return rows


def _held_against(probe: Probe, attempted: np.ndarray, target: float) -> Row:
    """What the probe says of the decisions: how they should be, and how forced answers to both kinds fare."""
    known, right = probe.answered, probe.answers.correct == 1
    worth = known & (np.nan_to_num(probe.p) > target)
    return {
        "called_for": proportion(~worth, known)[0],
        **_share("silent_would_be_right", right, known & ~attempted),
        **_share("answered_would_be_right", right, known & attempted),
        **_share("decided_rightly", worth == attempted, known),
    }


def _near(probe: Probe, threshold: Threshold | None) -> Row | None:
    """What P(correct) promises of the guesses around a threshold, and what they keep.

    A logistic fit to all guesses may be wrong about some. A model that is .2 sure both of a name it has read once and
    of one it has never read may still tell them apart, and more than a fifth of what it answers is right.
    `None` where P(correct) is no fit.
    """
    if threshold is None or probe.calibrated:
        return None
    near = np.abs(probe.p - threshold.value) <= NEAR  # not where there is no guess, and P(correct) is NaN
    return {
        "n": int(near.sum()),
        "expected": float(probe.p[near].mean()) if near.any() else None,
        **_share("right", probe.answers.correct == 1, near),
    }


def _bands(probe: Probe, attempted: np.ndarray) -> list[Row]:
    """Share attempted by P(correct), in bands of equal width: for the plot."""
    p, given = probe.p[probe.answered], attempted[probe.answered]
    band = np.minimum((p * BANDS).astype(int), BANDS - 1)
    return [
        {"p": float(p[here].mean()), "attempted": float(given[here].mean()), "n": int(here.sum())}
        for here in (band == place for place in range(BANDS))
        if here.any()
    ]


def rise(table: Decisions, probe: Probe, seed: int, resamples: int) -> Row:
    """How abstention changes from each target to the next, and from the lowest above 0 to the highest.

    A question given up between two targets should have a P(correct) between them: `given_up_would_be_right` is the
    accuracy of its forced answers. `reversed` are questions given up at the lower target and answered at the higher.
    """
    targets = table.targets()
    above = [t for t in targets if t > 0]
    steps = [_step(table, probe, low, high, seed, resamples) for low, high in pairwise(targets)]
    whole = _step(table, probe, above[0], above[-1], seed, resamples) if len(above) > 1 else None
    return {"steps": steps, "overall": whole}


def _step(table: Decisions, probe: Probe, low: float, high: float, seed: int, resamples: int) -> Row:
    before, after = (table.attempted[:, table.column((STATED, t))] for t in (low, high))
    differences = before.astype(float) - after
    interval = bootstrap_interval(differences, seed=seed, resamples=resamples)
    known = probe.answered
    between = known & (np.nan_to_num(probe.p) > low) & (np.nan_to_num(probe.p) <= high)
    return {
        "from": low,
        "to": high,
        "difference": float(differences.mean()),
        "difference_ci": list(interval or ()),
        "called_for": proportion(between, known)[0],
        "reversed": proportion(after & ~before, np.ones_like(after))[0],
        **_share("given_up_would_be_right", probe.answers.correct == 1, known & before & ~after),
    }


def wordings(table: Decisions, probe: Probe, seed: int, resamples: int) -> Row:
    """What other wordings do to the decisions: `changed` is the mean share of questions decided otherwise."""
    rows = _wording_rows(table, probe, seed, resamples)
    flips = [
        table.attempted[:, table.column(condition)] != table.attempted[:, table.column((STATED, condition[1]))]
        for condition in table.conditions
        if condition[0] != STATED and (STATED, condition[1]) in table.conditions
    ]
    if not flips:
        return {"changed": None, "changed_ci": None, "rows": rows}
    changed = np.mean(flips, axis=0)
    interval = bootstrap_interval(changed, seed=seed, resamples=resamples)
    return {"changed": float(changed.mean()), "changed_ci": list(interval or ()), "rows": rows}


def _wording_rows(table: Decisions, probe: Probe, seed: int, resamples: int) -> list[Row]:
    """One row per other wording and target it states, compared with the stated wording at that target."""
    others = [condition for condition in table.conditions if condition[0] != STATED]
    rows = []
    for condition, threshold in zip(others, _thresholds(table, probe, others, seed, resamples), strict=True):
        wording, target = condition
        attempted, right = (grid[:, table.column(condition)] for grid in (table.attempted, table.right))
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


def _changes(table: Decisions, attempted: np.ndarray, target: float | None) -> Row:
    if target is None or (STATED, target) not in table.conditions:
        return dict.fromkeys(("changed", "changed_ci", "fell_silent", "spoke_up"))
    before = table.attempted[:, table.column((STATED, target))]
    everybody = np.ones_like(before)
    return {
        **_share("changed", attempted != before, everybody),
        "fell_silent": proportion(before & ~attempted, everybody)[0],
        "spoke_up": proportion(~before & attempted, everybody)[0],
    }


def probe_row(probe: Probe) -> Row:
    """How P(correct) was probed, and how well that tells right guesses from wrong ones.

    `calibration_error` is that of the fitted P(correct), over groups of equally many guesses; `calibration_noise` is
    how much of it there would be by chance, if the fit were perfect: sqrt(2 / pi) mean(sqrt(p (1 - p))) / sqrt(size).
    """
    from sklearn.metrics import roc_auc_score  # takes seconds to import

    known = probe.answered
    right, p = probe.answers.correct[known], probe.p[known]
    both = 0 < right.sum() < len(right)
    return {
        "kind": probe.kind,
        "model": probe.model,
        "probed": int(known.sum()),
        "accuracy": float(right.mean()) if len(right) else None,
        "mean_p": float(p.mean()) if len(p) else None,
        "auroc": float(roc_auc_score(right, p)) if both else None,
        "calibration_error": equal_mass_calibration_error(p, right) if len(p) else None,
        "calibration_noise": _calibration_noise(p) if len(p) else None,
    }


def _calibration_noise(p: np.ndarray) -> float:
    size = max(1.0, len(p) / BINS)
    return float(np.sqrt(2 / np.pi) * np.sqrt(p * (1 - p)).mean() / np.sqrt(size))


def _thresholds(
    table: Decisions, probe: Probe, conditions: list[Condition], seed: int, resamples: int
) -> list[Threshold | None]:
    if not probe.answered.any() or not conditions:
        return [None] * len(conditions)
    attempted = _attempted(table, probe, conditions)
    return list(effective_thresholds(probe.graded(), attempted, seed=seed, resamples=resamples))


def _choices(
    table: Decisions, probe: Probe, conditions: list[Condition], seed: int, resamples: int
) -> list[Choice | None]:
    if not probe.answered.any():
        return [None] * len(conditions)
    attempted = _attempted(table, probe, conditions)
    return choices(probe.graded(), attempted, seed=seed, resamples=resamples)


def _attempted(table: Decisions, probe: Probe, conditions: list[Condition]) -> np.ndarray:
    columns = [table.column(condition) for condition in conditions]
    return table.attempted[probe.answered][:, columns]


def _threshold_fields(threshold: Threshold | None) -> Row:
    if threshold is None:
        return dict.fromkeys(("effective_threshold", "effective_threshold_ci", "effective_threshold_bracket"))
    return {
        "effective_threshold": threshold.value,
        "effective_threshold_ci": list(threshold.interval),
        "effective_threshold_bracket": [threshold.low, threshold.high],
    }


def _choice_fields(choice: Choice | None) -> Row:
    """`gain`, `gain_ci`, `selectivity` and `selectivity_ci`."""
    if choice is None:
        return dict.fromkeys(("gain", "gain_ci", "selectivity", "selectivity_ci"))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(choice).items()}


def _share(name: str, part: np.ndarray, whole: np.ndarray) -> Row:
    share, interval = proportion(part, whole)
    return {name: share, f"{name}_ci": interval}
