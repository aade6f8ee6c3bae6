r"""Does a model's probability mean what it says? At one threshold, and where the eye is fooled by a curve.

Kalai et al. 2025, section 3.1: delta = |phat(A) - p(A)| with A the responses above one threshold is the size of the
slope of the pre-training loss, |d/ds L(phat_s)| at s = 1, as all of A is made s times as likely. So a model that
pre-training has nothing left to gain from so simple a change is calibrated there, and delta is small of base models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abstain.evals.metrics.confidence import auroc, expected_calibration_error
from abstain.evals.theory.reduction import PromptMass
from abstain.rewards.prompts import penalty


def threshold_gap(prompts: Sequence[PromptMass], threshold: float) -> float:
    """phat(A) - p(A), with A what has more probability than the threshold; above 0 the model is too sure.

    Args:
        prompts: with their weights.
        threshold: of probability; 1 / min |E_c| in theorem 1.

    Example:
        >>> round(threshold_gap([PromptMass([0.5], [0.3, 0.2, 0, 0])], 0.25), 3)
        -0.2
    """
    model, truth = np.transpose([prompt.above(threshold) for prompt in prompts])
    return float(np.average(model - truth, weights=[prompt.weight for prompt in prompts]))


def boosted_loss(prompts: Sequence[PromptMass], threshold: float, s: float) -> float:
    """L(phat_s) - L(phat) in nats: cross-entropy where all above the threshold is made s times as likely.

        mean over c of ln(s phat(A | c) + 1 - phat(A | c)) - p(A | c) ln s

    Its slope at s = 1 is `threshold_gap`.

    Example:
        >>> prompts, h = [PromptMass([0.5], [0.3, 0.2, 0, 0])], 1e-5
        >>> round((boosted_loss(prompts, 0.25, 1 + h) - boosted_loss(prompts, 0.25, 1 - h)) / (2 * h), 6)
        -0.2
    """
    model, truth = np.transpose([prompt.above(threshold) for prompt in prompts])
    loss = np.log(s * model + 1 - model) - truth * np.log(s)
    return float(np.average(loss, weights=[prompt.weight for prompt in prompts]))


@dataclass(frozen=True)
class Fooled:
    """A model whose reliability curve says one thing and whose behaviour says another.

    Args:
        confidence: probability that it gives its answer.
        correct: of each answer.
        ece: expected calibration error of these.
        auroc: whether its confidence tells right from wrong; `None` where it cannot.
        score: points per question at the target.
        best: points per question of the best policy that knows as much.
    """

    confidence: np.ndarray
    correct: np.ndarray
    ece: float
    auroc: float | None
    score: float
    best: float


def fooling(p: np.ndarray, target: float, seed: int = 0) -> dict[str, Fooled]:
    """Two curves that fool the eye, of models that know the same: the chance p of being right on each question.

    "certain" answers iff p > t, always with the whole of its probability, as RL leaves a model. It looks surer of its
    answers than it is right, so that ECE is large, and no policy scores more. "base rate" answers everything with the
    mean of p for a confidence: ECE is 0, nothing is told apart, and it scores what guessing does.

    Args:
        p: for each question.
        target: t.
        seed: of what is right.

    Raises:
        ValueError: the target is so high, or the p so low, that nothing is answered.

    Example:
        >>> found = fooling(np.linspace(0, 1, 4001), 0.5)
        >>> {name: (one.ece > 0.2, one.score == one.best) for name, one in found.items()}
        {'certain': (True, True), 'base rate': (False, False)}
    """
    p = np.asarray(p, dtype=float)
    right = (np.random.default_rng((seed, 1)).random(p.size) < p).astype(float)
    answered = p > target
    if not answered.any():
        raise ValueError(f"no question has a chance above t = {target:g}: there is no answer to look at")
    worth = np.where(right > 0, 1.0, -penalty(target))
    best = float((worth * answered).mean())
    sure, flat = np.ones(int(answered.sum())), np.full(p.size, right.mean())
    return {
        name: Fooled(q, c, expected_calibration_error(q, c) or 0.0, auroc(q, c), score, best)
        for name, q, c, score in (
            ("certain", sure, right[answered], best),
            ("base rate", flat, right, float(worth.mean())),
        )
    }
