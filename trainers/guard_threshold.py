"""The confidence above which a policy answers, from what it is sampled to do: its effective threshold.

Of n groups with P(correct) x_1 >= x_2 >= ... and shares a_i of completions that attempt an answer, m = sum_i a_i are
attempted. The target whose best policy attempts as many is

    tau = (x_ceil(m) + x_floor(m)+1) / 2

as defined, and defended against fitting a curve, in `abstain.evals.audit_threshold`; there with an interval, here
quickly, every few steps. Where the policy does as it is told, tau is t. Where nearly all or nearly no completions
attempt an answer, tau is anything beyond all x_i, and there is no number.

P(correct) is the true one where the world has one, else that of the starting model's best guess, whose probability is
fitted to its being right (`fit_platt`). Without a starting model, `Evidence` collects it from the completions.
"""

from collections.abc import Iterable, Mapping
from math import ceil, floor

import numpy as np

from abstain.evals.audit_calibration import fit_platt, log_odds, probability
from abstain.evals.oracle import ForcedAnswers
from abstain.evals.question import Question
from abstain.trainers.guard_rollouts import Group

FEWEST_GROUPS = 30
SMALLEST_SHARE = 0.02
"""Of completions that attempt, and of those that abstain."""
FEWEST_ATTEMPTS = 4


def effective_threshold(p_correct: np.ndarray, attempted: np.ndarray) -> float | None:
    """The P(correct) above which as many questions lie as the policy attempts; `None` where it cannot be told.

    Args:
        p_correct: per group, the probability that its answer is right; groups with NaN are left out.
        attempted: per group, the share of completions that offer an answer.

    Example:
        >>> p = np.linspace(0, 1, 101)
        >>> round(effective_threshold(p, (p > 0.75).astype(float)), 3)
        0.755
        >>> effective_threshold(p, np.ones(101)) is None
        True
    """
    known = ~np.isnan(p_correct)
    x, shares = np.sort(p_correct[known])[::-1], attempted[known]
    if len(x) < FEWEST_GROUPS or not SMALLEST_SHARE < shares.mean() < 1 - SMALLEST_SHARE:
        return None
    m = shares.sum()
    return float((x[ceil(m) - 1] + x[min(floor(m), len(x) - 1)]) / 2)


def start_probabilities(answers: ForcedAnswers, questions: Iterable[Question] = ()) -> dict[str, float]:
    """P(correct) by question id: the true one, else that of the starting model's best guess after Platt scaling.

    Args:
        answers: best guesses of the starting model, graded.
        questions: whose `metadata["true_p"]` is used where there is one.

    Example:
        >>> guesses = ForcedAnswers(("a", "b"), np.array([1.0, 0.0]), np.array([0.9, 0.2]))
        >>> question = Question("a", "Who?", ("Bo",), metadata={"true_p": 0.4})
        >>> start_probabilities(guesses, [question])["a"]
        0.4
    """
    fitted = fitted_probabilities(answers, answers)
    true = {question.id: question.metadata["true_p"] for question in questions if "true_p" in question.metadata}
    return dict(zip(answers.ids, fitted.tolist(), strict=True)) | true if len(fitted) else true


def fitted_probabilities(fit_on: ForcedAnswers, answers: ForcedAnswers) -> np.ndarray:
    """P(correct) of answers, by Platt scaling fitted on others of the same model; empty if none of those is graded."""
    graded = fit_on.known
    if not graded.any():
        return np.empty(0)
    right = fit_on.correct[graded]
    offset, slope = fit_platt(log_odds(fit_on.confidence[graded]), right, 1 - right)
    return probability(offset[0] + slope[0] * log_odds(answers.confidence))


class Evidence:
    """P(correct) by question id from the completions themselves: (c + 1/2) / (n + 1) of n attempts, c of them right.

    Example:
        >>> evidence = Evidence()
        >>> evidence.add([Group("a", 0.0, correct=3, incorrect=1, abstained=0, ungraded=0, distinct=2)])
        >>> evidence.probabilities()
        {'a': 0.7}
    """

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def add(self, groups: Iterable[Group]) -> None:
        """Remember the attempts of these groups, whatever their target."""
        for group in groups:
            if group.attempted:
                counts = self._counts.setdefault(group.question, [0, 0])
                counts[0] += group.correct
                counts[1] += group.attempted

    def probabilities(self) -> dict[str, float]:
        """Of the questions that were attempted often enough."""
        return {q: (c + 0.5) / (n + 1) for q, (c, n) in self._counts.items() if n >= FEWEST_ATTEMPTS}


def group_threshold(groups: Iterable[Group], p_correct: Mapping[str, float]) -> float | None:
    """`effective_threshold` of the groups whose question's P(correct) is known."""
    pairs = [(p_correct[g.question], g.attempted / g.graded) for g in groups if g.graded and g.question in p_correct]
    if not pairs:
        return None
    x, shares = np.array(pairs).T
    return effective_threshold(x, shares)
