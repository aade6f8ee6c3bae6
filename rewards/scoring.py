"""The two rewards on verdicts alone: a confidence target, and a ternary credit that implies one."""

from dataclasses import dataclass
from math import isclose, isfinite
from typing import Any, ClassVar, Literal, Self, get_args

from abstain.rewards.errors import nearest
from abstain.rewards.prompts import check_target, penalty
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict
from abstain.rewards.verdict_reward import VerdictReward, missing_column, name_number, read_targets

Form = Literal["bounded", "original"]


def check_form(form: str) -> None:
    """Raise `ValueError` unless `form` is one of `Form`."""
    if form not in get_args(Form):
        raise ValueError(f"unknown form {form!r}. {nearest(str(form), get_args(Form))}")


def confidence_score(verdict: Verdict, target: float, form: Form = "bounded") -> float | None:
    r"""Score of one verdict at confidence target t.

    | form     | CORRECT | ABSTAINED | INCORRECT   |
    |----------|---------|-----------|-------------|
    | original | 1       | 0         | -t/(1 - t)  |  Kalai et al. 2025 (arXiv 2509.04664), section 4.2
    | bounded  | 1 - t   | 0         | -t          |  the same times 1 - t

    In both, answering with probability p of being right beats abstaining iff p > t. UNGRADED has no score: `None`.

    Example:
        >>> confidence_score(Verdict.INCORRECT, 0.75), confidence_score(Verdict.INCORRECT, 0.75, "original")
        (-0.75, -3.0)
    """
    t = check_target(target)
    check_form(form)
    if verdict is Verdict.UNGRADED:
        return None
    if verdict is Verdict.ABSTAINED:
        return 0.0
    if form == "bounded":
        return 1 - t if verdict is Verdict.CORRECT else -t
    return 1.0 if verdict is Verdict.CORRECT else -penalty(t)


@dataclass(eq=False, repr=False)
class ConfidenceTarget(VerdictReward):
    """Pays for answering exactly when P(correct) > t: correct 1-t, "I don't know" 0, wrong -t (or +1, 0, -t/(1-t)).

    With mixed targets the bounded form also weighs each prompt's gradient by 1 - t, which keeps t = 0.9 from drowning
    the others. See `confidence_score` for the equation.

    Args:
        target: the same t for every prompt, in [0, 1); by default each prompt's own, from the column `target`.
            A fixed t wins over the column, which then only splits the logged rates.
        form: "bounded" (range 1) or "original" (Kalai et al. 2025; unbounded as t nears 1).

    Raises:
        ValueError: target outside [0, 1), unknown form; on a call without `target`, no such column or `None` in it.

    Example:
        >>> reward = ConfidenceTarget()
        >>> reward(completions=["Lima", "Quito", "I don't know"], answers=[["Lima"]] * 3, target=[0.75, 0.75, 0.75])
        [0.25, -0.75, 0.0]
    """

    target: float | None = None
    form: Form = "bounded"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_form(self.form)
        if self.target is not None:
            self.target = check_target(self.target)

    @property
    def threshold_dependent(self) -> bool:
        """True unless t is fixed at 0 or 0.5: std normalisation pulls every threshold towards 0.5 except these two.

        At 0.5 right and wrong are mirror images; at 0 answering never loses to abstaining, whatever the scale.
        """
        return self.target is None or normalisation_moves(self.target)

    def _name_parts(self) -> list[str]:
        fixed = [] if self.target is None else [f"t{name_number(self.target)}"]
        return ["confidence_target", *([] if self.form == "bounded" else [self.form]), *fixed]

    def _targets(self, column: Any, size: int, columns: dict[str, Any]) -> list[float | None]:
        if self.target is not None:
            return read_targets(column, size) if column is not None else [self.target] * size
        if column is None:
            raise missing_column("target", columns)
        targets = read_targets(column, size)
        if None in targets:
            raise ValueError(
                f"column 'target', row {targets.index(None)}: None, but this reward takes each prompt's target "
                "from it; fill it in, or fix one with ConfidenceTarget(target=...)"
            )
        return targets

    def _score(self, verdict: Verdict, response: Response, target: float | None) -> float | None:
        t = target if self.target is None else self.target
        assert t is not None, "_targets refuses a row without a target"
        return confidence_score(verdict, t, self.form)


def normalisation_moves(target: float) -> bool:
    """Whether dividing a group's advantages by their standard deviation moves the threshold away from `target`."""
    return not (target == 0 or isclose(target, 0.5))


@dataclass(eq=False, repr=False)
class TernaryCredit(VerdictReward):
    """Pays fixed credits for correct, "I don't know" and wrong, which imply one confidence target for all prompts.

        t = (r_abstain - r_wrong) / (r_correct - r_wrong)

    since p r_correct + (1 - p) r_wrong > r_abstain iff p > t. The implied target is in the repr and logged at every
    step as `implied_target/<name>`.

    Args:
        correct: credit for a correct answer.
        abstain: credit for offering none; wrong <= abstain < correct.
        wrong: credit for a wrong answer.

    Raises:
        ValueError: credits that are not finite, or that make no threshold in [0, 1).

    Example:
        >>> TernaryCredit.preset("knowrl")
        TernaryCredit(correct=2, abstain=1, wrong=-1, implied_target=0.667)
        >>> TernaryCredit()(completions=["Lima", "Quito", "I don't know"], answers=[["Lima"]] * 3)
        [1.0, -1.0, 0.0]
    """

    correct: float = 1.0
    abstain: float = 0.0
    wrong: float = -1.0

    PRESETS: ClassVar[dict[str, tuple[float, float, float]]] = {
        "truthrl": (1, 0, -1),  # arXiv 2509.25760
        "knowrl": (2, 1, -1),  # arXiv 2506.19807
        "nemo": (1, 0.5, 0),  # NeMo Gym's `abstention` environment
    }

    @classmethod
    def preset(cls, name: str, **options: Any) -> Self:
        """Credits as published: "truthrl", "knowrl" or "nemo"; `options` are those of `VerdictReward`."""
        if name not in cls.PRESETS:
            raise ValueError(f"unknown preset {name!r}. {nearest(str(name), cls.PRESETS)}")
        return cls(*cls.PRESETS[name], **options)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("correct", "abstain", "wrong"):
            setattr(self, name, _finite(name, getattr(self, name)))
        if self.wrong >= self.correct:
            raise ValueError(
                f"a wrong answer ({self.wrong:g}) must earn less than a correct one ({self.correct:g}), "
                "or being right is not worth anything"
            )
        if not self.wrong <= self.abstain < self.correct:
            never = "nobody would ever answer" if self.abstain >= self.correct else "nobody would ever abstain"
            raise ValueError(
                f"abstaining earns {self.abstain:g}, outside [wrong, correct) = [{self.wrong:g}, {self.correct:g}): "
                f"then {never}, at whatever confidence"
            )

    def __repr__(self) -> str:
        extra = "".join(f", {name}={value!r}" for name, value in self._chosen().items())
        return (
            f"TernaryCredit(correct={self.correct:g}, abstain={self.abstain:g}, wrong={self.wrong:g}{extra}, "
            f"implied_target={self.implied_target:.3g})"
        )

    @property
    def implied_target(self) -> float:
        """The confidence above which answering pays."""
        return (self.abstain - self.wrong) / (self.correct - self.wrong)

    @property
    def threshold_dependent(self) -> bool:
        """True unless the implied target is 0 or 0.5 (see `ConfidenceTarget.threshold_dependent`)."""
        return normalisation_moves(self.implied_target)

    def _name_parts(self) -> list[str]:
        credits = (self.correct, self.abstain, self.wrong)
        known = [name for name, preset in self.PRESETS.items() if preset == credits]
        return ["ternary_credit", *(known or [name_number(credit) for credit in credits])]

    def _score(self, verdict: Verdict, response: Response, target: float | None) -> float:
        return {Verdict.CORRECT: self.correct, Verdict.ABSTAINED: self.abstain, Verdict.INCORRECT: self.wrong}[verdict]

    def _metrics(
        self, verdicts: list[Verdict], responses: list[Response], targets: list[float | None]
    ) -> dict[str, float]:
        rates = super()._metrics(verdicts, responses, targets)
        return rates | {f"implied_target/{self.__name__}": self.implied_target}


def _finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not isfinite(number):
        raise ValueError(f"credit '{name}' is {value!r}; it must be a finite number")
    return number
