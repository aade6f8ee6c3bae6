"""Fits detectors on responses of known verdict, and says what they think of these without having seen them.

fit = fit_detectors(train, model="m", fingerprint=fingerprint(model), task="geo")
fit.detectors.p_correct("probe", held_out)      # of other responses
fit.own["probe"]                                # of those it was fitted on, each by a fit without its question
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import numpy as np

from abstain.evals.detectors.catalogue import DETECTORS
from abstain.evals.detectors.fitted import (
    LOWEST,
    PROBABILITY,
    AnyFitted,
    Calibrator,
    Detectors,
    FittedCascade,
    FittedCombination,
    FittedProbe,
    FittedRetrieval,
    FittedScore,
    features_of,
    is_clear,
)
from abstain.evals.detectors.probes import (
    FOLDS,
    Fit,
    can_be_fitted,
    check_verdicts,
    cross_fit,
    fit_linear,
    fit_mlp,
    folds_of,
    rank_of,
)
from abstain.evals.detectors.scored import Scored

Calibration = Literal["isotonic", "platt"]
SIMILARITY = "similarity"
"""Cosine of response and documents: what the retrieval-conditioned score subtracts."""
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
CLEAR = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Below which P(correct) a cascade takes something for wrong, and at 1 less it above which for right."""


@dataclass(frozen=True)
class FittedOn:
    """Detectors, and P(correct) of the responses that they were fitted on.

    Args:
        detectors: to be kept, and used on other responses.
        own: for each, P(correct) of these responses by fits without their question; NaN where that could not be.
        notes: what could not be fitted, and why.
    """

    detectors: Detectors
    own: Mapping[str, np.ndarray]
    notes: tuple[str, ...] = ()


def fit_detectors(
    scored: Scored,
    *,
    model: str,
    fingerprint: str,
    task: str,
    calibration: Calibration = "isotonic",
    labelled: Scored | None = None,
    settings: Mapping[str, Any] | None = None,
    scorer: tuple[str, str] = ("", ""),
    seed: int = 0,
) -> FittedOn:
    """Fit every detector that these responses have scores for.

    Args:
        scored: responses of known verdict, with their scores; with `features` there are probes, too.
        model, fingerprint, task: what is kept of where they are from.
        calibration: how a risk becomes P(correct).
        labelled: valid responses and errors to the same questions, which nobody sampled, for `is_it_valid`.
        settings: how scores were computed, to be kept.
        scorer: name and fingerprint of the model that computed them, where it is another one.
        seed: of the folds.

    Raises:
        ValueError: too few responses of known verdict.

    Example:
        >>> from abstain.evals.detectors.pair import Pair
        >>> pairs = tuple(Pair("Who?", "Bo", error=i % 2 == 0, id=str(i)) for i in range(40))
        >>> risk = np.array([float(i % 2) for i in range(40)])  # higher for what is right
        >>> fit = fit_detectors(Scored(pairs, {"msp": risk}), model="m", fingerprint="", task="toy")
        >>> fit.detectors.detectors["msp"].sign, fit.own["msp"][:2].round(2)
        (-1, array([0., 1.]))
    """
    correct = scored.correct
    check_verdicts("detectors are", correct)
    fitter = _Fitter(scored, correct, calibration, seed)
    for name in scored.values:
        if name in DETECTORS or name == PROBABILITY:
            fitter.score(name)
    if scored.features is not None:
        x = features_of(scored)
        fitter.probe("probe", fit_linear, x)
        fitter.probe("probe_mlp", fit_mlp, x)
        if labelled is not None:
            fitter.probe("is_it_valid", fit_linear, x, labelled)
    fitter.combination()
    fitter.retrieval()
    fitter.cascade()
    found = {name: fitter.found[name] for name in (PROBABILITY, *DETECTORS) if name in fitter.found}
    if not found:
        raise ValueError("no response has a score: there is nothing to fit. " + " ".join(scored.notes))
    best = max(found, key=lambda name: found[name].auroc or 0.0)
    return FittedOn(
        Detectors(
            model=model,
            fingerprint=fingerprint,
            scorer=scorer[0],
            scorer_fingerprint=scorer[1],
            task=task,
            n=int((~np.isnan(correct)).sum()),
            settings=dict(settings or {}),
            best=best,
            detectors=found,
        ),
        {name: fitter.own[name] for name in found},
        tuple(fitter.notes),
    )


def calibrate(risk: np.ndarray, correct: np.ndarray, how: Calibration) -> Calibrator:
    """P(correct) as a function of a risk (Zadrozny and Elkan 2002; Platt 1999), of what is known of both.

    Example:
        >>> found = calibrate(np.array([0.0, 0.0, 1.0, 1.0]), np.array([1, 1, 1, 0]), "isotonic")
        >>> found(np.array([0.0, 0.5, 1.0]))
        array([1.  , 0.75, 0.5 ])
    """
    known = ~(np.isnan(risk) | np.isnan(correct))
    r, c = risk[known], correct[known]
    if how == "platt" and 0 < c.sum() < len(c) and r.std() > 0:
        from sklearn.linear_model import LogisticRegression

        one = LogisticRegression(C=1e3).fit(((r - r.mean()) / r.std())[:, None], c)
        slope = float(one.coef_[0, 0]) / float(r.std())
        return Calibrator(kind="platt", slope=slope, intercept=float(one.intercept_[0]) - slope * float(r.mean()))
    from sklearn.isotonic import IsotonicRegression  # takes seconds to import

    steps = IsotonicRegression(y_min=LOWEST, y_max=1.0, increasing=False, out_of_bounds="clip").fit(r, c)
    return Calibrator(kind="isotonic", x=steps.X_thresholds_.tolist(), y=steps.y_thresholds_.tolist())


def cross_fitted_p(
    x: np.ndarray, correct: np.ndarray, questions: Sequence[str], *, how: Calibration = "isotonic", seed: int = 0
) -> np.ndarray:
    """P(correct) of each response by a linear probe and a calibration that have not seen its question.

    Args:
        x: features (n, d).
        correct: 1, 0, or NaN.
        questions: which one each response is to.
        how: as in `calibrate`.
        seed: of the folds.

    Raises:
        ValueError: too few responses of known verdict.
    """
    check_verdicts("a probe is", np.where(np.isnan(x).any(axis=1), np.nan, correct))
    logits = cross_fit(fit_linear, x, correct, questions, seed)
    fold, out = folds_of(questions, seed=seed), np.full(len(x), np.nan)
    for one in range(FOLDS):
        others = (fold != one) & ~(np.isnan(logits) | np.isnan(correct))
        if others.any():
            out[fold == one] = calibrate(-logits[others], correct[others], how)(-logits[fold == one])
    return out


def fit_score(
    values: np.ndarray, correct: np.ndarray, how: Calibration, layers: Sequence[int] = ()
) -> FittedScore | None:
    """The sign, the layer and the meaning of a score; `None` where it tells nothing, as no response has it.

    Args:
        values: (n,), or (n, L) of which the column with the AUROC furthest from one half is taken.
        correct: 1, 0, or NaN.
        how: as in `calibrate`.
        layers: what the columns are called.
    """
    if (found := _sign_and_column(values, correct)) is None:
        return None
    sign, place, rank = found
    layered = values.ndim == 2
    return FittedScore(
        sign=sign,
        column=place if layered else None,
        layer=int(layers[place]) if layered and place < len(layers) else None,
        calibrator=calibrate(sign * (values[:, place] if layered else values), correct, how),
        auroc=max(rank, 1 - rank),
    )


def _sign_and_column(values: np.ndarray, correct: np.ndarray) -> tuple[Literal[1, -1], int, float] | None:
    """Of the column with the AUROC furthest from one half: its sign, its place, and that AUROC, as it is."""
    columns = values[:, None] if values.ndim == 1 else values
    ranks = [rank_of(-column, correct) for column in columns.T]  # a high score ought to be wrong
    known = [(place, rank) for place, rank in enumerate(ranks) if rank is not None]
    if not known:
        return None
    place, rank = max(known, key=lambda one: abs(one[1] - 0.5))
    return 1 if rank >= 0.5 else -1, place, rank


class _Fitter:
    """What has been fitted so far, and each fit's opinion of the others' questions."""

    def __init__(self, scored: Scored, correct: np.ndarray, how: Calibration, seed: int) -> None:
        self.scored, self.correct, self.how, self.seed = scored, correct, how, seed
        self.questions = scored.questions
        self.fold = folds_of(self.questions, seed=seed)
        self.found: dict[str, AnyFitted] = {}
        self.own: dict[str, np.ndarray] = {}
        self.risks: dict[str, np.ndarray] = {}  # of each score, with its sign and layer
        self.notes: list[str] = []

    def _crossed(self, opinion: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """What a fit on the other folds says, for each fold; `opinion` of a mask judges all responses."""
        out = np.full(len(self.correct), np.nan)
        for one in range(FOLDS):
            others = self.fold != one
            if (~others).any() and can_be_fitted(np.zeros((int(others.sum()), 1)), self.correct[others]):
                out[~others] = opinion(others)[~others]
        return out

    def score(self, name: str) -> None:
        values, layers = self.scored.values[name], self.scored.layers.get(name, ())
        fitted = fit_score(values, self.correct, self.how, layers)
        if fitted is None:
            self.notes.append(f"{name}: no response of known verdict has this score")
            return
        whole: FittedScore = fitted

        def risk(one: FittedScore) -> np.ndarray:
            return one.sign * (values if one.column is None else values[:, one.column])

        def opinion(others: np.ndarray) -> np.ndarray:
            part = fit_score(values[others], self.correct[others], self.how, layers) or whole
            return part.calibrator(risk(part))

        self.own[name] = self._crossed(opinion)
        if whole.column is not None:  # one of many: the best of them looks better than it is
            whole = whole.model_copy(update={"auroc": rank_of(self.own[name], self.correct)})
        self.found[name] = whole
        self.risks[name] = risk(whole)

    def probe(self, name: str, fit: Fit, x: np.ndarray, labelled: Scored | None = None) -> None:
        if labelled is None:
            logits, on, known = cross_fit(fit, x, self.correct, self.questions, self.seed), x, self.correct
            asked: Sequence[str] = self.questions
        else:
            on, known, asked = features_of(labelled), labelled.correct, labelled.questions
            logits = self._judged_by_labelled(fit, x, on, known, asked)
        if not can_be_fitted(on, known) or not self._is_known(logits).any():
            self.notes.append(f"{name}: too few responses of known verdict with hidden states")
            return
        network = fit(on, known, asked)
        self.found[name] = FittedProbe(
            network=network,
            calibrator=calibrate(-logits, self.correct, self.how),
            auroc=rank_of(logits, self.correct),
        )
        self.own[name] = self._crossed(lambda others: self._meaning(-logits, others))

    def _judged_by_labelled(
        self, fit: Fit, x: np.ndarray, on: np.ndarray, known: np.ndarray, asked: Sequence[str]
    ) -> np.ndarray:
        """Log-odds of the sampled responses, each by a fit on labelled ones to other questions."""
        of = dict(zip(self.questions, self.fold, strict=True))
        fold, out = np.array([of.get(question, -1) for question in asked]), np.full(len(x), np.nan)
        for one in range(FOLDS):
            inside, others = self.fold == one, fold != one
            if inside.any() and can_be_fitted(on[others], known[others]):
                names = [question for question, other in zip(asked, others, strict=True) if other]
                out[inside] = fit(on[others], known[others], names).log_odds(x[inside])
        return out

    def _meaning(self, risk: np.ndarray, others: np.ndarray) -> np.ndarray:
        """P(correct) by what these rows say of a risk; NaN where none of them has it and a verdict."""
        if not self._is_known(risk, others).any():
            return np.full(len(risk), np.nan)
        return calibrate(risk[others], self.correct[others], self.how)(risk)

    def _is_known(self, risk: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Of which of these rows a risk and the verdict are known."""
        return ~(np.isnan(risk[rows]) | np.isnan(self.correct[rows]))

    def combination(self) -> None:
        names = [name for name in self.found if name in DETECTORS and isinstance(self.found[name], FittedScore)]
        if len(names) < 2:
            return
        x = np.stack([self.risks[name] for name in names], axis=1)
        x = np.where(np.isnan(x), np.nanmean(x, axis=0), x)
        logits = self._crossed(lambda others: self._combined(names, others))
        if not self._is_known(logits).any():
            self.notes.append("combined: too few responses of known verdict")
            return
        self.found["combined"] = FittedCombination(
            scores=names,
            network=fit_linear(x, self.correct, self.questions),
            calibrator=calibrate(-logits, self.correct, self.how),
            auroc=rank_of(logits, self.correct),
        )
        self.own["combined"] = self._crossed(lambda others: self._meaning(-logits, others))

    def _risk_by(self, name: str, rows: np.ndarray) -> np.ndarray:
        """A score of all responses, with the sign and the layer that these rows give it."""
        values = self.scored.values[name]
        sign, place, _ = _sign_and_column(values[rows], self.correct[rows]) or (1, 0, 0.5)
        return sign * (values if values.ndim == 1 else values[:, place])

    def _combined(self, names: Sequence[str], others: np.ndarray) -> np.ndarray:
        """Log-odds by a combination whose signs and layers, too, were fitted on the other folds."""
        x = np.stack([self._risk_by(name, others) for name in names], axis=1)
        x = np.where(np.isnan(x), np.nan_to_num(np.nanmean(x[others], axis=0)), x)
        asked = [question for question, other in zip(self.questions, others, strict=True) if other]
        return fit_linear(x[others], self.correct[others], asked).log_odds(x)

    def retrieval(self) -> None:
        """s - λ · similarity, with the score and the λ that rank best."""
        near = self.scored.values.get(SIMILARITY)
        scores = [name for name, one in self.found.items() if isinstance(one, FittedScore) and name in DETECTORS]
        if near is None or np.isnan(near).all() or not scores:
            return

        def choose(rows: np.ndarray) -> tuple[str, float, float, float, np.ndarray]:
            """Name, centre, spread, λ, and the risk of all responses."""
            best: tuple[float, float] = (-1.0, 0.0)
            chosen: tuple[str, float, float, float, np.ndarray] | None = None
            for name in scores:
                risk = self._risk_by(name, rows)
                centre, spread = float(np.nanmean(risk[rows])), float(np.nanstd(risk[rows])) or 1.0
                for weight in WEIGHTS:
                    mixed = (risk - centre) / spread - weight * near
                    rank = rank_of(-mixed[rows], self.correct[rows]) or 0.0
                    if (rank, -weight) > best:
                        best, chosen = (rank, -weight), (name, centre, spread, weight, mixed)
            assert chosen is not None, "there are scores, and no rank is below 0"
            return chosen

        name, centre, spread, weight, mixed = choose(np.ones(len(near), dtype=bool))
        if not self._is_known(mixed).any():
            self.notes.append("retrieval: no response of known verdict has documents and a score")
            return
        self.own["retrieval"] = self._crossed(lambda others: self._meaning(choose(others)[-1], others))
        self.found["retrieval"] = FittedRetrieval(
            score=name,
            centre=centre,
            spread=spread,
            weight=weight,
            calibrator=calibrate(mixed, self.correct, self.how),
            auroc=rank_of(self.own["retrieval"], self.correct),
        )

    def cascade(self) -> None:
        """The probability decides what is clear, and internal states the rest: where is it clear?

        Of all bounds on a grid the ones of least log loss are taken, and of equally good ones those that leave least
        to the second.
        """
        first = next((name for name in (PROBABILITY, "msp", "perplexity") if name in self.found), None)
        then = next((name for name in ("probe", "combined", "hidden", "attention") if name in self.found), None)
        if first is None or then is None:
            return
        p, q = self.own[first], self.own[then]
        known = ~(np.isnan(p) | np.isnan(q) | np.isnan(self.correct))
        if not known.any():
            return
        p, q, c = p[known], q[known], self.correct[known]
        tried = []
        for low, above in product(CLEAR, CLEAR):
            clear = is_clear(p, q, low, 1 - above)
            belief = np.clip(np.where(clear, p, q), 1e-3, 1 - 1e-3)  # one certain mistake must not decide
            loss = float(-np.mean(c * np.log(belief) + (1 - c) * np.log(1 - belief)))
            tried.append((loss, float(1 - clear.mean()), low, 1 - above))
        _, share, low, high = min(tried)
        p, q = self.own[first], self.own[then]
        own = np.where(is_clear(p, q, low, high), p, q)
        rank = rank_of(own, self.correct)
        self.found["cascade"] = FittedCascade(first=first, then=then, low=low, high=high, share=share, auroc=rank)
        self.own["cascade"] = own
