"""What a policy does with every question at every target, and the rows that tables are made of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from abstain.evals.metrics.intervals import differences
from abstain.evals.metrics.measuring import counts_row
from abstain.rewards.prompts import penalty
from abstain.rewards.verdict import Verdict

NUMBERS = (
    *("n", "correct", "incorrect", "abstained", "ungraded"),
    *("coverage", "accuracy_attempted", "score", "score_ci"),
)
"""Keys of a row that mean what they mean in `metrics.json`."""
SETTINGS = ("threshold", "samples", "temperature", "risk", "level", "delta", "certified", "note")
"""Keys of a row that say what was chosen; `None` where a policy has no such thing."""


@dataclass(frozen=True)
class Policy:
    """A way to abstain, and what comes of it.

    Args:
        name: of the policy, as in `abstain.evals.policies.tables.POLICIES`.
        model: who answers.
        verdicts: for each target, the verdict on each question, in the same order for all policies.
        settings: for each target, what was chosen, by the names of `SETTINGS`.
    """

    name: str
    model: str
    verdicts: Mapping[float, Sequence[Verdict]]
    settings: Mapping[float, Mapping[str, Any]] = field(default_factory=dict)


def policy_rows(policies: Sequence[Policy], reference: Policy) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A row for each target and policy, and one for each policy over all targets.

    Args:
        policies: with verdicts on the same questions at the same targets.
        reference: the policy that all are compared with, question by question.

    Returns:
        Rows with `policy`, `model`, `target`, the keys of `NUMBERS` and `SETTINGS`, and `difference` with
        `difference_ci`: points per question more than the reference, of questions that are graded in both. Those over
        all targets have `mean_score`, `mean_difference` and `mean_difference_ci`. The reference differs from itself by
        `None`.

    Example:
        >>> stated = Policy("open rubric", "toy", {0.5: [Verdict.CORRECT, Verdict.ABSTAINED]})
        >>> plain = Policy("closed rubric", "toy", {0.5: [Verdict.CORRECT, Verdict.INCORRECT]})
        >>> rows, overall = policy_rows([stated, plain], stated)
        >>> [(row["policy"], row["score"], row["difference"]) for row in rows]
        [('open rubric', 0.5, None), ('closed rubric', 0.0, -0.5)]
        >>> overall[1]["mean_difference"]
        -0.5
    """
    targets = sorted(reference.verdicts)
    base = points_of(reference, targets)
    rows, overall = [], []
    for policy in policies:
        same = policy is reference
        found = differences(points_of(policy, targets) - base, targets)
        gaps = dict(zip(targets, found["by_target"], strict=True))
        ours = [_row(policy, t, None if same else gaps[t]) for t in targets]
        scores = [row["score"] for row in ours]
        overall.append(
            {
                "policy": policy.name,
                "model": policy.model,
                "mean_score": float(np.mean(scores)) if None not in scores else None,
                "mean_difference": None if same else found["mean_score"],
                "mean_difference_ci": None if same else found["mean_score_ci"],
            }
        )
        rows += ours
    return sorted(rows, key=lambda row: row["target"]), overall  # stable: policies keep their order


def _row(policy: Policy, target: float, gap: Mapping[str, Any] | None) -> dict[str, Any]:
    numbers = counts_row(Counter(policy.verdicts[target]), target)
    chosen = policy.settings.get(target, {})
    return {
        "policy": policy.name,
        "model": policy.model,
        "target": target,
        **{name: numbers[name] for name in NUMBERS},
        "difference": gap and gap["score"],
        "difference_ci": gap and gap["score_ci"],
        **{name: chosen.get(name) for name in SETTINGS},
    }


def points_of(policy: Policy, targets: Sequence[float]) -> np.ndarray:
    """Points of each question at each target; NaN where the answer is not graded."""
    columns = []
    for t in targets:
        worth = {Verdict.CORRECT: 1.0, Verdict.INCORRECT: -penalty(t), Verdict.ABSTAINED: 0.0}
        columns.append([worth.get(verdict, np.nan) for verdict in policy.verdicts[t]])
    return np.array(columns, dtype=float).T
