r"""What a grader pays for: whether saying "I don't know" can ever be the best response.

Kalai et al. 2025, section 4. A binary grader pays 1 or 0, and 0 for abstentions. Whatever one believes of which
binary grader it will be, no abstention is an optimal response (observation 1). Under a penalty t/(1-t) for mistakes,
answering with probability p of being right is worth p - (1-p) t/(1-t): more than the 0 of an abstention iff p > t.

Every reward of `abstain.rewards` is asked itself what it pays, by texts: what holds here holds in training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abstain.rewards.prompts import IDK, in_format, penalty
from abstain.rewards.response import AnswerFormat
from abstain.rewards.verdict_reward import VerdictReward

RIGHT, WRONG = "Lima", "Quito"


@dataclass(frozen=True)
class Payoff:
    """What a reward pays for a right answer, a wrong one and none.

    Args:
        correct, wrong, abstain: in points.

    Example:
        >>> Payoff(1, -3, 0).threshold, Payoff(1, 0, 0).threshold, Payoff(1, -3, 0).answering(0.8)
        (0.75, 0.0, 0.2)
    """

    correct: float
    wrong: float
    abstain: float

    def answering(self, p: float) -> float:
        """Points in the mean for an answer that is right with probability p."""
        return round(p * self.correct + (1 - p) * self.wrong, 12)

    def gain(self, p: float) -> float:
        """Points in the mean that answering earns more than abstaining."""
        return self.answering(p) - self.abstain

    @property
    def threshold(self) -> float | None:
        """The p above which answering pays; `None` where being right earns nothing more."""
        worth = self.correct - self.wrong
        return (self.abstain - self.wrong) / worth if worth > 0 else None

    @property
    def is_binary(self) -> bool:
        """Whether it pays 1 for right and nothing for anything else, as most benchmarks do."""
        return (self.correct, self.wrong, self.abstain) == (1, 0, 0)


def payoff_of(reward: VerdictReward, target: float | None = None, confidence: float | None = None) -> Payoff:
    """What a reward of ours pays, asked by texts as in training.

    Args:
        reward: any; one that asks a judge cannot be asked so.
        target: that the prompt states, for rewards that read it.
        confidence: that the answer states, for rewards that pay for it.

    Raises:
        ValueError: the reward needs a target or a judge.

    Example:
        >>> from abstain.rewards import confidence_target, knowrl
        >>> payoff_of(confidence_target, target=0.75), payoff_of(knowrl).threshold
        (Payoff(correct=0.25, wrong=-0.75, abstain=0.0), 0.6666666666666666)
    """
    form: AnswerFormat = "plain" if confidence is None else "tag"
    said = [in_format(text, form, confidence) for text in (RIGHT, WRONG)]
    paid: Any = reward(
        completions=[*said, IDK], answers=[[RIGHT]] * 3, target=None if target is None else [target] * 3
    )
    if not isinstance(paid, list) or None in paid:
        if not isinstance(paid, list):
            paid.close()  # a judge's coroutine, which nobody will await
        raise ValueError(f"{reward!r} does not say what it pays without asking somebody")
    return Payoff(*map(float, paid))


def best_under_graders(graders: np.ndarray, belief: np.ndarray) -> tuple[float, float]:
    """Observation 1: the mean points of the best response, and those of abstaining, which are 0 and always less.

    Args:
        graders: (K, responses) of 0 and 1; each pays for one response at least. None pays for abstentions.
        belief: (K,) probability of each grader.

    Raises:
        ValueError: a grader that pays for nothing, or pays otherwise; a belief that is no distribution.

    Example:
        >>> best_under_graders(np.array([[1, 0, 0], [0, 1, 1]]), np.array([0.4, 0.6]))
        (0.6, 0.0)
    """
    graders, belief = np.asarray(graders, dtype=float), np.asarray(belief, dtype=float)
    if not np.isin(graders, (0, 1)).all() or not graders.any(axis=1).all():
        raise ValueError("a binary grader pays 0 or 1, and 1 for something")
    if belief.shape != graders.shape[:1] or (belief < 0).any() or abs(belief.sum() - 1) > 1e-9:
        raise ValueError("a belief is a probability for each grader")
    return float((belief @ graders).max()), 0.0


def optimal_answers(p: np.ndarray, targets: Sequence[float]) -> np.ndarray:
    """Which questions the best policy answers when told each target: p > t, (targets, questions).

    Args:
        p: for each question, the probability of being right.
        targets: that prompts state, each in [0, 1).

    Example:
        >>> optimal_answers(np.array([0.2, 0.6, 0.95]), [0, 0.5, 0.9]).astype(int).tolist()
        [[1, 1, 1], [0, 1, 1], [0, 0, 1]]
    """
    return np.asarray(p)[None, :] > np.asarray(targets, dtype=float)[:, None]


def mixture_value(p: np.ndarray, targets: Sequence[float], answered: np.ndarray) -> float:
    """Points per question of a policy where prompts state these targets equally often.

    Args:
        p: for each question, the probability of being right.
        targets: that prompts state.
        answered: which questions are answered at each, (targets, questions).

    Example:
        >>> p, targets = np.array([0.2, 0.6, 0.95]), [0.5, 0.9]
        >>> mixed = mixture_value(p, targets, optimal_answers(p, targets))
        >>> deaf = mixture_value(p, targets, np.array([[0, 1, 1]] * 2))  # answers alike whatever it is told
        >>> round(mixed, 3), round(deaf, 3)
        (0.267, -0.233)
    """
    worth = [np.asarray(p) - (1 - np.asarray(p)) * penalty(target) for target in targets]
    return float(np.mean(np.stack(worth) * answered))


@dataclass(frozen=True)
class Breadth:
    """Consistency against breadth: what a model that may err so often can say.

    Args:
        allowed: share of all questions that may be answered wrongly.
        right: share of all questions answered right by the best policy.
        answered: share that it answers at all.
    """

    allowed: float
    right: float
    answered: float


def breadth(p: np.ndarray, allowed: Sequence[float]) -> list[Breadth]:
    """How much the best policy says that errs on no more than a given share of the questions.

    The surest answers are given first, the last of them to a part of the time, so that the limit is met exactly. A
    generator that never errs gives only what is certain: it covers less, the less is certain.

    Args:
        p: for each question, the probability that its best answer is right.
        allowed: shares of wrong answers among all questions.

    Example:
        >>> [(one.allowed, one.right, one.answered) for one in breadth(np.array([1.0, 0.5]), [0, 0.125, 0.5])]
        [(0, 0.5, 0.5), (0.125, 0.625, 0.75), (0.5, 0.75, 1.0)]
    """
    best = np.sort(np.asarray(p, dtype=float))[::-1]
    share = np.arange(len(best) + 1) / len(best)
    wrong = np.append(0.0, np.cumsum(1 - best)) / len(best)
    right = np.append(0.0, np.cumsum(best)) / len(best)
    said, answered = (np.interp(allowed, wrong, values) for values in (right, share))
    return [Breadth(*one) for one in zip(allowed, said.tolist(), answered.tolist(), strict=True)]
