"""P(correct) from what a model's states know: a linear probe and a small MLP, as plain numbers that JSON can hold.

scikit-learn fits, and what is kept is a standardisation and affine maps with relu between them: nothing that could be
executed. Questions are never parted: all responses to one lie in the same fold.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from abstain.evals.metrics.confidence import auroc, tie

FOLDS = 5
COMPONENTS = 256
"""Principal components of the standardised features that are fitted on."""
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse regularisation C of the linear probe, one of which is chosen by cross-validation."""
HIDDEN, DECAY, EPOCHS = 32, 1.0, 60
FEWEST = 20
"""Responses of known verdict that a fit takes at least, some right and some wrong."""
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Affine(BaseModel, frozen=True, extra="forbid"):
    """x W + b."""

    weights: list[list[Finite]]
    """W, (inputs, outputs)."""
    bias: list[Finite]
    """b, (outputs,)."""


class Network(BaseModel, frozen=True, extra="forbid"):
    """Standardised features through affine maps with relu between them, to the log-odds that a response is right."""

    mean: list[Finite]
    scale: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]]
    maps: list[Affine] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        width = len(self.mean)
        if len(self.scale) != width:
            raise ValueError(f"{width} means and {len(self.scale)} scales")
        for one in self.maps:
            if len(one.weights) != width or {len(row) for row in one.weights} - {len(one.bias)}:
                raise ValueError(f"a map of {len(one.weights)} inputs does not follow on {width} outputs")
            width = len(one.bias)
        if width != 1:
            raise ValueError(f"it ends in {width} numbers, not in one")
        return self

    def log_odds(self, x: np.ndarray) -> np.ndarray:
        """Of features, (n, inputs), the log-odds that each response is right, (n,); NaN where a feature is none.

        Raises:
            ValueError: there are not as many features.

        Example:
            >>> half = Network(mean=[1.0], scale=[2.0], maps=[Affine(weights=[[3.0]], bias=[0.5])])
            >>> half.log_odds(np.array([[1.0], [3.0]]))
            array([0.5, 3.5])
        """
        if x.shape[1] != len(self.mean):
            raise ValueError(f"{x.shape[1]} features, and the probe was fitted on {len(self.mean)}")
        out = (np.asarray(x, dtype=float) - np.array(self.mean)) / np.array(self.scale)
        for place, one in enumerate(self.maps):
            out = np.maximum(out, 0) if place else out
            out = out @ np.array(one.weights) + np.array(one.bias)
        return out[:, 0]


Fit = Callable[[np.ndarray, np.ndarray, Sequence[str]], Network]
"""From features (n, inputs), correct (n,) and questions to a network."""


def folds_of(questions: Sequence[str], folds: int = FOLDS, seed: int = 0) -> np.ndarray:
    """For each response a fold, the same for all responses to a question.

    Example:
        >>> folds = folds_of(["a", "b", "a", "c"], 3)
        >>> bool(folds[0] == folds[2]), sorted(set(folds.tolist()))
        (True, [0, 1, 2])
    """
    names, of = np.unique(np.asarray(questions, dtype=object).astype(str), return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(names)) % folds
    return place[of]


def cross_fit(fit: Fit, x: np.ndarray, correct: np.ndarray, questions: Sequence[str], seed: int = 0) -> np.ndarray:
    """Log-odds of each response by a probe that has not seen its question; NaN where a fold cannot be fitted.

    Args:
        fit: makes a network of the other folds.
        x: (n, inputs).
        correct: 1, 0 or NaN where nobody knows: these are not fitted on, and judged all the same.
        questions: which one each response is to.
        seed: of the folds.
    """
    fold, out = folds_of(questions, seed=seed), np.full(len(x), np.nan)
    for one in range(FOLDS):
        inside, others = fold == one, fold != one
        if inside.any() and can_be_fitted(x[others], correct[others]):
            names = [question for question, other in zip(questions, others, strict=True) if other]
            out[inside] = fit(x[others], correct[others], names).log_odds(x[inside])
    return out


def check_verdicts(what: str, correct: np.ndarray) -> None:
    """Raise `ValueError` unless so many responses of known verdict can be fitted on: 1, 0, or NaN where nobody knows.

    Example:
        >>> check_verdicts("a probe is", np.array([1.0, 0.0, np.nan]))
        Traceback (most recent call last):
        ...
        ValueError: a probe is fitted on 20 responses of known verdict or more, at least two right and two wrong: here
        are 2, 1 of them right
    """
    if not can_be_fitted(np.zeros((len(correct), 1)), correct):
        known = correct[~np.isnan(correct)]
        raise ValueError(
            f"{what} fitted on {FEWEST} responses of known verdict or more, at least two right and two wrong: "
            f"here are {len(known):,}, {int(known.sum()):,} of them right"
        )


def can_be_fitted(x: np.ndarray, correct: np.ndarray) -> bool:
    """Whether there are enough responses of known verdict with all features, right ones and wrong ones."""
    known = correct[~(np.isnan(correct) | np.isnan(x).any(axis=1))]
    return len(known) >= FEWEST and 2 <= known.sum() <= len(known) - 2


def fit_linear(x: np.ndarray, correct: np.ndarray, questions: Sequence[str]) -> Network:
    """Logistic regression on standardised features; its regularisation is the one of least log loss by questions.

    Args:
        x: features (n, inputs); rows with a NaN are left out.
        correct: 1, 0, or NaN: left out.
        questions: which question each row is to.

    Raises:
        ValueError: too few responses of known verdict.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 3))
        >>> probe = fit_linear(x, (x[:, 0] > 0).astype(float), [str(i) for i in range(200)])
        >>> bool((probe.log_odds(np.eye(3)[:1] * 2) > 1)[0])
        True
    """
    z, c, names, mean, scale, basis = _prepared(x, correct, questions)
    fold = folds_of(names)
    losses = []
    for strength in STRENGTHS:
        logits = np.zeros(len(c))
        for one in np.unique(fold):
            seen = fold != one
            if 0 < c[seen].sum() < seen.sum():
                logits[~seen] = _logistic(strength, z[seen], c[seen]).decision_function(z[~seen])
        losses.append(float(np.logaddexp(0, np.where(c == 1, -logits, logits)).mean()))
    best = _logistic(STRENGTHS[int(np.argmin(losses))], z, c)
    return _network(mean, scale, [(basis @ best.coef_.T, best.intercept_)])


def _logistic(strength: float, z: np.ndarray, c: np.ndarray) -> Any:
    """Where 500 steps are too few, the weakest regularisation fits noise, and loses to a stronger one anyway."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression  # takes seconds to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=strength, max_iter=500).fit(z, c)


def fit_mlp(x: np.ndarray, correct: np.ndarray, questions: Sequence[str]) -> Network:
    """One hidden layer of 32 units on the same features, with weight decay; the seed of its start is fixed.

    Args:
        x, correct, questions: as for `fit_linear`.

    Raises:
        ValueError: as `fit_linear`.
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    z, c, _, mean, scale, basis = _prepared(x, correct, questions)
    spread = np.where((spread := z.std(axis=0)) > 1e-9, spread, 1.0)
    network = MLPClassifier((HIDDEN,), alpha=DECAY, max_iter=EPOCHS, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped early on purpose
        network.fit(z / spread, c)
    first, second = network.coefs_
    bias, last = network.intercepts_
    return _network(mean, scale, [(basis @ (first / spread[:, None]), bias), (second, last)])


def _prepared(
    x: np.ndarray, correct: np.ndarray, questions: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Rows to fit on, standardised and turned into principal components, and how."""
    from sklearn.decomposition import PCA

    kept = ~(np.isnan(correct) | np.isnan(x).any(axis=1))
    check_verdicts("a probe is", correct[kept])
    x, c = np.asarray(x[kept], dtype=float), correct[kept]
    names = [question for question, one in zip(questions, kept, strict=True) if one]
    mean, spread = x.mean(axis=0), x.std(axis=0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    z = (x - mean) / scale
    if x.shape[1] <= COMPONENTS:
        return z, c, names, mean, scale, np.eye(x.shape[1])
    parts = PCA(min(COMPONENTS, len(z) - 1), svd_solver="randomized", random_state=0).fit(z)  # z has no mean left
    basis = parts.components_.T
    return z @ basis, c, names, mean, scale, basis


def _network(mean: np.ndarray, scale: np.ndarray, maps: Sequence[tuple[np.ndarray, np.ndarray]]) -> Network:
    affine = [Affine(weights=[_short(row) for row in weights], bias=_short(bias)) for weights, bias in maps]
    return Network(mean=_short(mean), scale=_short(scale), maps=affine)


def _short(numbers: np.ndarray) -> list[float]:
    """To seven digits: what float32 has."""
    return [float(f"{number:.7g}") for number in np.asarray(numbers, dtype=float).ravel()]


def rank_of(log_odds: np.ndarray, correct: np.ndarray) -> float | None:
    """AUROC of telling right from wrong, of what is known; `None` without one of each."""
    known = ~(np.isnan(log_odds) | np.isnan(correct))
    return auroc(tie(log_odds[known], correct[known]))
