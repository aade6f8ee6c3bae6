"""What is fitted on other responses than those that are judged, kept as one JSON file.

A score says that one response is riskier than another. Whether more of it means wrong or right, in which layer it
says so best, and how often a response of this score is right depends on the model and its questions. So all of it is
fitted, on responses of known verdict to other questions, and a file that holds it is refused for another model.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, Field, ValidationError, model_validator
from scipy.special import expit

from abstain.evals.detectors.catalogue import DETECTORS
from abstain.evals.detectors.probes import Finite, Network
from abstain.evals.detectors.scored import Scored
from abstain.evals.records import read_json, write_text
from abstain.rewards.errors import nearest

FILE = "detector.json"
LOWEST = 1e-6
"""P(correct) is never 0: at t = 0, where nothing is lost by answering, 0 would not exceed t."""
PROBABILITY = "probability"
"""Not a detector: what `probability alone` goes by, the model's own account of its answer, in [0, 1]."""


class Calibrator(BaseModel, frozen=True, extra="forbid"):
    """From a risk to P(correct): the decreasing steps of isotonic regression, or Platt's sigmoid."""

    kind: Literal["isotonic", "platt"]
    x: list[Finite] = []
    """Isotonic: risks, rising …"""
    y: list[Annotated[float, Field(ge=0, le=1)]] = []
    """… and P(correct) there; between them it is a straight line."""
    slope: Finite = 0.0
    """Platt: P(correct) = σ(slope · risk + intercept)."""
    intercept: Finite = 0.0

    @model_validator(mode="after")
    def _knots(self) -> Self:
        if len(self.x) != len(self.y) or (self.kind == "isotonic" and not self.x):
            raise ValueError(f"{len(self.x)} risks and {len(self.y)} probabilities")
        if any(later < earlier for earlier, later in zip(self.x, self.x[1:], strict=False)):
            raise ValueError("the risks do not rise")
        return self

    def __call__(self, risk: np.ndarray) -> np.ndarray:
        """P(correct), NaN where the risk is.

        Example:
            >>> Calibrator(kind="isotonic", x=[0.0, 1.0], y=[0.9, 0.1])(np.array([0.5, 7.0, np.nan]))
            array([0.5, 0.1, nan])
        """
        if self.kind == "platt":
            return np.clip(expit(self.slope * risk + self.intercept), LOWEST, 1.0)
        return np.where(np.isnan(risk), np.nan, np.interp(np.nan_to_num(risk), self.x, self.y))


class _Fitted(BaseModel, frozen=True, extra="forbid"):
    auroc: float | None
    """On the responses that it was fitted on, cross-fitted where more was fitted than sign and layer."""


class FittedScore(_Fitted, frozen=True):
    """A score with its sign, its layer, and what it means."""

    kind: Literal["score"] = "score"
    sign: Literal[1, -1]
    """-1 where a higher score marks a right response, against what its source says."""
    column: int | None = Field(None, ge=0)
    """Of a layered score, which of its columns."""
    layer: int | None = None
    """And which layer that is."""
    calibrator: Calibrator


class FittedProbe(_Fitted, frozen=True):
    """A network on hidden states and features of the logits."""

    kind: Literal["probe"] = "probe"
    network: Network
    calibrator: Calibrator


class FittedCombination(_Fitted, frozen=True):
    """A network on scores; one that a response lacks counts as the mean."""

    kind: Literal["combination"] = "combination"
    scores: list[str] = Field(min_length=1)
    network: Network
    calibrator: Calibrator


class FittedRetrieval(_Fitted, frozen=True):
    """A standardised score less `weight` times the similarity to the documents."""

    kind: Literal["retrieval"] = "retrieval"
    score: str
    centre: Finite
    spread: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    calibrator: Calibrator


class FittedCascade(_Fitted, frozen=True):
    """One detector where its P(correct) is below `low` or above `high`, and another for the rest."""

    kind: Literal["cascade"] = "cascade"
    first: str
    then: str
    low: Annotated[float, Field(ge=0, le=1)]
    high: Annotated[float, Field(ge=0, le=1)]
    share: Annotated[float, Field(ge=0, le=1)]
    """Of the responses that it was fitted on, how many the second one sees."""


AnyFitted = Annotated[
    FittedScore | FittedProbe | FittedCombination | FittedRetrieval | FittedCascade, Field(discriminator="kind")
]


class Opinion(NamedTuple):
    """What a detector says of n responses.

    Args:
        risk: how likely each is wrong, in the detector's own unit, (n,); NaN where unknown.
        p_correct: the same as a probability.
    """

    risk: np.ndarray
    p_correct: np.ndarray


class Detectors(BaseModel, frozen=True, extra="forbid"):
    """Everything that was fitted on the responses of one model: the contents of `detector.json`."""

    version: Literal[1] = 1
    model: str
    """Whose responses they are."""
    fingerprint: str
    """Of its weights; `abstain.evals.knowledge.fingerprint`."""
    scorer: str = ""
    """The model whose passes give the scores, where that is another one."""
    scorer_fingerprint: str = ""
    task: str
    n: int
    """Responses of known verdict that it was fitted on."""
    settings: dict[str, Any] = {}
    """How scores are computed: convention, span, samples, temperature."""
    best: str
    """The one that ranks best by `auroc`, which commands use unless another is named."""
    detectors: dict[str, AnyFitted] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> Self:
        for name, one in self.detectors.items():
            if name not in DETECTORS and name != PROBABILITY:
                raise ValueError(f"unknown detector {name!r}. {nearest(name, DETECTORS)}")
            if isinstance(one, FittedCascade):
                for part in (one.first, one.then):
                    if part not in self.detectors or isinstance(self.detectors[part], FittedCascade):
                        raise ValueError(f"{name} goes by {part!r}, which is not there")
            needed = [one.score] if isinstance(one, FittedRetrieval) else getattr(one, "scores", [])
            for part in needed:
                if not isinstance(self.detectors.get(part), FittedScore):
                    raise ValueError(f"{name} goes by the score {part!r}, which is not there")
        if self.best not in self.detectors:
            raise ValueError(f"best is {self.best!r}, which is not there")
        return self

    def one(self, name: str | None = None) -> str:
        """The name of a detector that is here: the best one by default.

        Raises:
            ValueError: there is none of that name.
        """
        if name is not None and name not in self.detectors:
            raise ValueError(f"no detector {name!r} was fitted. {nearest(name, self.detectors)}")
        return name or self.best

    def needs(self, name: str) -> tuple[tuple[str, ...], bool]:
        """The scores that a detector is made of, and whether it sees hidden states.

        Example:
            >>> even = Calibrator(kind="platt")
            >>> found = Detectors(model="m", fingerprint="", task="t", n=9, best="msp", detectors={
            ...     "msp": FittedScore(sign=1, calibrator=even, auroc=0.7)})
            >>> found.needs("msp")
            (('msp',), False)
        """
        match self.detectors[name]:
            case FittedProbe():
                return (), True
            case FittedCombination(scores=scores):
                return tuple(scores), False
            case FittedRetrieval(score=score):
                return (score,), False
            case FittedCascade(first=first, then=then):
                (one, sees), (other, sees_too) = self.needs(first), self.needs(then)
                return tuple(dict.fromkeys([*one, *other])), sees or sees_too
            case _:
                return (name,), False

    def risk(self, name: str, scored: Scored) -> np.ndarray:
        """How likely each response is wrong by a detector, in its own unit: higher is riskier, NaN where unknown.

        Raises:
            ValueError: a score that it needs is not there.
        """
        return self._judge(name, scored, {}).risk

    def p_correct(self, name: str, scored: Scored) -> np.ndarray:
        """P(correct) of each response by a detector; NaN where it says nothing.

        Raises:
            ValueError: as `risk`.
        """
        return self._judge(name, scored, {}).p_correct

    def judge(self, scored: Scored) -> dict[str, "Opinion"]:
        """What every detector says of each response; none is asked twice, whoever else goes by it.

        Raises:
            ValueError: as `risk`.
        """
        found: dict[str, Opinion] = {}
        return {name: self._judge(name, scored, found) for name in self.detectors}

    def _judge(self, name: str, scored: Scored, found: "dict[str, Opinion]") -> "Opinion":
        """What a detector says; `found` is what was asked already, and is added to."""
        if name in found:
            return found[name]
        match one := self.detectors[name]:
            case FittedCascade():
                first, then = (self._judge(part, scored, found).p_correct for part in (one.first, one.then))
                p = np.where(is_clear(first, then, one.low, one.high), first, then)
                found[name] = Opinion(1 - p, p)
                return found[name]
            case FittedScore():
                risk = one.sign * column_of(scored, name, one.column)
            case FittedProbe():
                risk = -one.network.log_odds(features_of(scored))
            case FittedCombination():
                columns = np.stack([self._judge(part, scored, found).risk for part in one.scores], axis=1)
                risk = -one.network.log_odds(np.where(np.isnan(columns), np.array(one.network.mean), columns))
            case FittedRetrieval():
                standard = (self._judge(one.score, scored, found).risk - one.centre) / one.spread
                risk = standard - one.weight * column_of(scored, "similarity", None)
        found[name] = Opinion(risk, one.calibrator(risk))
        return found[name]

    def check_model(self, fingerprint: str, name: str, file: str | Path = FILE) -> None:
        """Refuse it for another model than the one whose responses it was fitted on.

        Raises:
            ValueError: it is another one.
        """
        if fingerprint != self.fingerprint:
            raise ValueError(
                f"{file} was fitted on responses of {self.model} (fingerprint {self.fingerprint}), and {name} is "
                f"another model ({fingerprint}): what a score means differs from model to model. Fit one: "
                f"abstain detect {name} --task NAME --out DIR"
            )

    def check_own_scores(self, file: str | Path = FILE) -> None:
        """Refuse it where scores are to be the judged model's own.

        Raises:
            ValueError: they were another model's.
        """
        if self.scorer:
            raise ValueError(
                f"{file}: its scores are by {self.scorer}, which read what {self.model} said; training has only the "
                "model itself. Fit detectors without --scorer"
            )

    def save(self, path: str | Path) -> None:
        """Write it, all or nothing."""
        write_text(path, self.model_dump_json() + "\n")


def read_detectors(path: str | Path) -> Detectors:
    """What `Detectors.save` wrote.

    Args:
        path: the file, or the folder of an `abstain detect --out`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is something else; the message says where, and what is wrong.
    """
    file = Path(path).expanduser()
    file = file / FILE if file.is_dir() else file
    if not file.is_file():
        raise FileNotFoundError(f"{file}: not found; `abstain detect MODEL --task NAME --out DIR` writes a {FILE}")
    try:
        return Detectors.model_validate(read_json(file))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{file} is no {FILE}: {where + ': ' if where else ''}{first['msg']}") from None


def named_detector(text: str) -> tuple[Path, str | None]:
    """The file and the name of `FILE` or `FILE:NAME`.

    Example:
        >>> named_detector("results/detector.json:msp"), named_detector("results")
        ((PosixPath('results/detector.json'), 'msp'), (PosixPath('results'), None))
    """
    path, _, name = text.rpartition(":")
    if path and not Path(text).exists() and "/" not in name:
        return Path(path), name
    return Path(text), None


def column_of(scored: Scored, name: str, column: int | None) -> np.ndarray:
    """A score of each response, (n,).

    Raises:
        ValueError: it was not computed, or not in this layer.
    """
    if name not in scored.values:
        raise ValueError(f"the score {name!r} is needed and was not computed; there are: {', '.join(scored.values)}")
    values = scored.values[name]
    if column is None:
        return values
    if values.ndim != 2 or column >= values.shape[1]:
        raise ValueError(f"the score {name!r} has no column {column}: it is of another model's layers")
    return values[:, column]


def features_of(scored: Scored) -> np.ndarray:
    """What probes see, (n, d).

    Raises:
        ValueError: nobody asked for it.
    """
    if scored.features is None:
        raise ValueError("a probe needs hidden states, which were not kept: ask for them with the scores")
    return scored.features


def is_clear(p: np.ndarray, then: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where the first detector of a cascade decides alone, by its P(correct), or since the second says nothing.

    Example:
        >>> is_clear(np.array([0.05, 0.5, 0.95, 0.5]), np.array([0.1, 0.1, 0.1, np.nan]), 0.1, 0.9)
        array([ True, False,  True,  True])
    """
    return (p < low) | (p > high) | np.isnan(then)
