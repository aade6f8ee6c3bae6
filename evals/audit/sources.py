"""How sure a model could be of each question: what an audit's decisions are held against.

P(correct) of a question comes from *forced* answers, given where nothing is lost by a mistake (t = 0), and from a
source of confidence in them:

- `known`: the task itself knows it (`metadata["true_p"]`).
- `start`: the best guesses of the model that training began with, and their probability. The one to use after RL,
  which makes every answer look certain.
- `own`: the audited model's best guesses and their probability (or the confidence it states).
- `sampled`: how many of n answers, sampled at temperature 1, agree with the best guess; for long answers, whose
  probability says little.

A share of the n samples that are *right* would not do: it knows the gold answer. A model that is 70 % sure of each
answer, and right about 70 % of them, does all it can, but a question it happens to get wrong would show 0.3 or less.
What the model can know is the confidence q; what it is worth is seen over many questions, P(correct) = P(right | q).
Except for `known`, it is fitted to the guesses themselves (`fit_platt`): overconfidence is no fault here, as long as q
still tells good guesses from bad ones.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.special import expit, logit

from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers, log_odds
from abstain.evals.records import Record
from abstain.evals.tasks.question import Question

Kind = Literal["known", "start", "own", "sampled"]
SOURCES: Mapping[Kind, str] = {
    "known": "the probability of being right that the task itself knows",
    "start": "best guesses of {model}, where training began, and their probability",
    "own": "the model's own best guesses at t = 0 and its probability of them",
    "sampled": "the share of answers sampled at t = 0 that agree with the best guess",
}
"""What a person is told about each kind."""


@dataclass(frozen=True)
class ConfidenceSource:
    """Forced answers, and what they tell about P(correct).

    Args:
        kind: where the confidence comes from.
        model: whose answers these are.
        answers: one per question; not NaN only where a guess was offered and graded.
    """

    kind: Kind
    model: str
    answers: ForcedAnswers

    @property
    def calibrated(self) -> bool:
        """Whether the confidence is P(correct) as it is."""
        return self.kind == "known"

    @cached_property
    def answered(self) -> np.ndarray:
        """Where there is a graded guess and a confidence in it."""
        return self.answers.known

    @cached_property
    def p(self) -> np.ndarray:
        """P(correct) of each question; NaN where there is no guess."""
        return np.where(self.answered, self._probability(), np.nan)

    def _probability(self) -> np.ndarray:
        if self.calibrated or not self.answered.any():
            return self.answers.confidence
        right = self.answers.correct[self.answered]
        offset, slope = fit_platt(log_odds(self.answers.confidence[self.answered]), right, 1 - right)
        return expit(offset + slope * log_odds(self.answers.confidence))

    def pick(self, ids: Sequence[str]) -> "ConfidenceSource":
        """The same for these questions, in this order.

        Raises:
            ValueError: one of them has no forced answer.
        """
        return ConfidenceSource(self.kind, self.model, self.answers.pick(ids))

    def graded(self) -> "ConfidenceSource":
        """Without the questions that have no graded guess."""
        return ConfidenceSource(self.kind, self.model, self.answers.graded())


def own_source(model: str, guesses: Sequence[Record]) -> ConfidenceSource:
    """The audited model's own records at t = 0.

    Example:
        >>> from abstain.rewards.verdict import Verdict
        >>> guess = Record("a", "toy", "Who?", ("Bo",), 0.0, "Who?", "Bo", "Bo", Verdict.CORRECT, 0.8)
        >>> own_source("tiny", [guess]).answers.confidence.tolist()
        [0.8]
    """
    return ConfidenceSource("own", model, _answers(guesses, [record.confidence for record in guesses]))


def sampled_source(model: str, guesses: Sequence[Record], agreement: Sequence[float]) -> ConfidenceSource:
    """The share of sampled answers that agree with each guess; see `abstain.evals.audit.asking.ask_agreement`."""
    return ConfidenceSource("sampled", model, _answers(guesses, agreement))


def known_source(model: str, guesses: Sequence[Record], questions: Sequence[Question]) -> ConfidenceSource | None:
    """The P(correct) that the task knows; `None` unless it knows that of every question."""
    known = {q.id: float(q.metadata["true_p"]) for q in questions if "true_p" in q.metadata}
    if not guesses or any(record.id not in known for record in guesses):
        return None
    return ConfidenceSource("known", model, _answers(guesses, [known[record.id] for record in guesses]))


def start_source(start: BaseGuesses) -> ConfidenceSource:
    """The best guesses of the starting model."""
    return ConfidenceSource("start", start.model, start.held_out)


def _answers(guesses: Sequence[Record], confidence: Sequence[float | None]) -> ForcedAnswers:
    return ForcedAnswers.of([record.id for record in guesses], [record.verdict for record in guesses], confidence)


def read_start(path: str | Path) -> BaseGuesses:
    """The starting model's best guesses from a run: its directory, or the `start.json` in it.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is something else.
    """
    file = Path(path) / "before" / "start.json" if Path(path).is_dir() else Path(path)
    try:
        return BaseGuesses.load(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"no best guesses of a starting model at {file}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{file} is not the start.json of a run: {what}") from None


# From confidence to P(correct): Platt scaling, for one sample or for a thousand resamples at once

_STEPS, _LARGEST_STEP, _ENOUGH = 60, 1.0, 1e-9


def fit_platt(z: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offset a and slope b >= 0 of P(correct) = 1 / (1 + exp(-(a + b z))), by maximum likelihood (Platt 1999).

    Each right answer counts as (n+ + 1) / (n+ + 2) right and each wrong one as 1 / (n- + 2), as Platt does, so that
    answers that z separates have a finite slope. Where the slope would be negative, z says nothing: it is 0 and every
    question has the mean accuracy. (Isotonic regression would assume less, but at a point it converges at the rate
    n^(-1/3) and the bootstrap of it is inconsistent; near 0.9 its 95 % intervals held the truth in 53 to 82 % of
    simulations with 100 to 500 questions, those of this fit in 94 to 98 %.)

    Args:
        z: log-odds of the confidence, one for each group of questions.
        right, wrong: how many answers of each group are right and wrong, (groups,) or (resamples, groups).

    Example:
        >>> z = np.array([-2.0, 0.0, 2.0])
        >>> offset, slope = fit_platt(z, np.array([120.0, 500.0, 880.0]), np.array([880.0, 500.0, 120.0]))
        >>> abs(offset[0].round(2)), slope[0].round(1)
        (np.float64(0.0), np.float64(1.0))
    """
    right, wrong = np.atleast_2d(right), np.atleast_2d(wrong)
    n_right, n_wrong = right.sum(1, keepdims=True), wrong.sum(1, keepdims=True)
    successes = right * (n_right + 1) / (n_right + 2) + wrong / (n_wrong + 2)
    centre, spread = z.mean(), z.std() or 1.0
    x = np.stack([np.ones_like(z), (z - centre) / spread])
    weights = _newton(x, successes, right + wrong)
    flat = weights[:, 1] <= 0
    base = successes.sum(1) / (right + wrong).sum(1)
    slope = np.where(flat, 0.0, weights[:, 1] / spread)
    return np.where(flat, logit(base), weights[:, 0] - slope * centre), slope


def _newton(x: np.ndarray, successes: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Weights (resamples, 2) of logistic regression on features (2, groups); steps are bounded, so that none leaps."""
    weights = np.zeros((len(trials), len(x)))
    outer = (x[:, None] * x[None]).reshape(-1, x.shape[1])
    for _ in range(_STEPS):
        p = expit(weights @ x)
        gradient = (successes - trials * p) @ x.T
        curvature = ((trials * p * (1 - p)) @ outer.T).reshape(-1, len(x), len(x)) + 1e-9 * np.eye(len(x))
        step = np.clip(np.linalg.solve(curvature, gradient[..., None])[..., 0], -_LARGEST_STEP, _LARGEST_STEP)
        weights += step
        if np.abs(step).max(initial=0.0) < _ENOUGH:
            break
    return weights
