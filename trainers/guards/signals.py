"""What the last steps' completions say about the health of a policy: numbers to log, and to watch for collapses."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

import numpy as np
from scipy.special import expit

from abstain.evals.audit.sources import fit_platt
from abstain.evals.metrics.oracle import ForcedAnswers, log_odds
from abstain.evals.tasks.question import Question
from abstain.rewards.verdict_reward import target_label
from abstain.trainers.guards.rollouts import Group, Window

ALL = "all"
"""The label of all targets together."""
FEWEST_GROUPS = 30
SMALLEST_SHARE = 0.02
"""Of completions that attempt, and of those that abstain."""
FEWEST_ATTEMPTS = 4


@dataclass(frozen=True)
class Behaviour:
    """What was done at one target, or at all of them.

    Args:
        target: mean of the targets that share a label; `None` where prompts state none.
        n: completions.
        graded: those of them that were.
        abstention, correct: shares of the graded ones; 0 if there are none.
        accuracy_attempted: right answers among those offered, `None` if none was.
    """

    target: float | None
    n: int
    graded: int
    abstention: float
    correct: float
    accuracy_attempted: float | None

    @classmethod
    def of(cls, groups: Sequence[Group]) -> "Behaviour":
        """Pooled over these groups."""
        graded, attempted = sum(g.graded for g in groups), sum(g.attempted for g in groups)
        right = sum(g.correct for g in groups)
        targets = [g.target for g in groups if g.target is not None]
        return cls(
            target=sum(targets) / len(targets) if targets else None,
            n=sum(g.n for g in groups),
            graded=graded,
            abstention=1 - attempted / graded if graded else 0.0,
            correct=right / graded if graded else 0.0,
            accuracy_attempted=right / attempted if attempted else None,
        )


@dataclass(frozen=True)
class Signals:
    """Everything that `Guards` looks at.

    Args:
        all: behaviour over all targets.
        by_target: behaviour by label, such as `t=0.5`; empty where prompts state no target.
        unique_completions: different completions of a prompt over its completions, mean over prompts; `None` with one
            completion per prompt.
        top_answer: the answer given most often.
        top_answer_share: its share of the answers given.
        top_gold_share: the share of the commonest gold answer, to compare with.
        over_refusal: share of "I don't know" to questions that the starting model guessed right, by label and `all`.
        known_asked: completions that were asked what it guessed right.
        effective_threshold: by label; see `abstain.trainers.guards.signals`.
        answers: how many answers were given.
        compared: completions that were read strictly and leniently.
        reading_gap: their share that is CORRECT leniently only, `None` without any.
        apart: the commonest of them.
    """

    all: Behaviour
    by_target: dict[str, Behaviour] = field(default_factory=dict)
    unique_completions: float | None = None
    top_answer: str = ""
    top_answer_share: float | None = None
    top_gold_share: float = 0.0
    over_refusal: dict[str, float] = field(default_factory=dict)
    known_asked: int = 0
    effective_threshold: dict[str, float] = field(default_factory=dict)
    answers: int = 0
    compared: int = 0
    reading_gap: float | None = None
    apart: str = ""

    @property
    def ungraded(self) -> float:
        """Share of all completions that got no grade."""
        return 1 - self.all.graded / self.all.n if self.all.n else 0.0

    def logs(self) -> dict[str, float]:
        """What the rewards do not log already, without holes: a number that cannot be had has no key.

        Example:
            >>> Signals(Behaviour.of([]), unique_completions=0.5, over_refusal={"t=0.9": 0.1, "all": 0.1}).logs()
            {'guards/unique_completions': 0.5, 'guards/over_refusal/t=0.9': 0.1, 'guards/over_refusal/all': 0.1}
        """
        found: dict[str, float | None] = {
            "unique_completions": self.unique_completions,
            "top_answer_share": self.top_answer_share,
        }
        found |= {f"over_refusal/{label}": value for label, value in self.over_refusal.items()}
        found |= {f"effective_threshold/{label}": value for label, value in self.effective_threshold.items()}
        return {f"guards/{name}": value for name, value in found.items() if value is not None}


def measure_window(
    window: Window,
    known: Collection[str] = frozenset(),
    p_correct: Mapping[str, float] | None = None,
    recent: Iterable[Group] | None = None,
) -> Signals:
    """The signals of some steps' completions.

    Args:
        window: the completions.
        known: ids of questions that the starting model guessed right.
        p_correct: by question id, for the effective thresholds.
        recent: groups of more steps than the window has, for the effective thresholds, which need many.
    """
    by_target = _by_label(window.groups)
    refusals = {label: _refusal(groups, known) for label, groups in {**by_target, ALL: window.groups}.items()}
    longer = _by_label(window.groups if recent is None else recent)
    thresholds = {label: group_threshold(groups, p_correct or {}) for label, groups in longer.items()}
    answer, share = _top(window.answers)
    return Signals(
        all=Behaviour.of(window.groups),
        by_target={label: Behaviour.of(groups) for label, groups in by_target.items()},
        unique_completions=_unique(window.groups),
        top_answer=answer,
        top_answer_share=share,
        top_gold_share=_top(window.golds)[1] or 0.0,
        over_refusal={label: value for label, value in refusals.items() if value is not None},
        known_asked=sum(group.graded for group in window.groups if group.question in known),
        effective_threshold={label: value for label, value in thresholds.items() if value is not None},
        answers=window.answers.total(),
        compared=window.compared,
        reading_gap=window.apart.total() / window.compared if window.compared else None,
        apart=_top(window.apart)[0],
    )


def _by_label(groups: Iterable[Group]) -> dict[str, list[Group]]:
    found = defaultdict(list)
    for group in groups:
        if group.target is not None:
            found[target_label(group.target)].append(group)
    return dict(sorted(found.items(), key=lambda item: item[1][0].target or 0.0))


def _refusal(groups: Iterable[Group], known: Collection[str]) -> float | None:
    asked = [group for group in groups if group.question in known]
    graded = sum(group.graded for group in asked)
    return sum(group.abstained for group in asked) / graded if graded else None


def _unique(groups: Iterable[Group]) -> float | None:
    shares = [group.distinct / group.n for group in groups if group.n > 1]
    return sum(shares) / len(shares) if shares else None


def _top(counts: Counter[str]) -> tuple[str, float | None]:
    """The commonest text and its share; "" stands for all the rare ones together."""
    total = counts.total()
    named = [(count, text) for text, count in counts.items() if text]
    if not named:
        return "", None
    count, text = max(named)
    return text, count / total


# The confidence above which a policy answers, from what it is sampled to do: its effective threshold.
#
# Of n groups with P(correct) x_1 >= x_2 >= ... and shares a_i of completions that attempt an answer, m = sum_i a_i are
# attempted. The target whose best policy attempts as many is
#
#     tau = (x_ceil(m) + x_floor(m)+1) / 2
#
# as defined, and defended against fitting a curve, in `abstain.evals.audit.threshold`; there with an interval, here
# quickly, every few steps. Where the policy does as it is told, tau is t. Where nearly all or nearly no completions
# attempt an answer, tau is anything beyond all x_i, and there is no number.
#
# P(correct) is the true one where the world has one, else that of the starting model's best guess, whose probability
# is fitted to its being right (`fit_platt`). Without a starting model, `Evidence` collects it from the completions.


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


def group_threshold(groups: Iterable[Group], p_correct: Mapping[str, float]) -> float | None:
    """`effective_threshold` of the groups whose question's P(correct) is known."""
    pairs = [(p_correct[g.question], g.attempted / g.graded) for g in groups if g.graded and g.question in p_correct]
    if not pairs:
        return None
    x, shares = np.array(pairs).T
    return effective_threshold(x, shares)


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
    return expit(offset[0] + slope[0] * log_odds(answers.confidence))


class Evidence:
    """P(correct) by question id from the completions themselves: (c + 1/2) / (n + 1) of n attempts, c of them right.

    Example:
        >>> evidence = Evidence()
        >>> evidence.add([Group("a", 0.0, correct=3, incorrect=1, abstained=0, ungraded=0, distinct=2)])
        >>> evidence.probabilities()
        {'a': 0.7}
    """

    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = {}

    def add(self, groups: Iterable[Group]) -> None:
        """Remember the attempts of these groups, whatever their target."""
        for group in groups:
            if group.attempted:
                counts = self.counts.setdefault(group.question, [0, 0])
                counts[0] += group.correct
                counts[1] += group.attempted

    def probabilities(self) -> dict[str, float]:
        """Of the questions that were attempted often enough."""
        return {q: (c + 0.5) / (n + 1) for q, (c, n) in self.counts.items() if n >= FEWEST_ATTEMPTS}
