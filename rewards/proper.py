r"""Proper scores of a stated confidence, all from one algebra.

With q the stated confidence, c = 1 for a correct answer and 0 for a wrong one, and w a density over thresholds t,

    S_w(c, q) = \int_0^q [(1 - t) c - t (1 - c)] w(t) dt

is what the bounded confidence target pays, averaged over t ~ w, to a model that answers every t below its q. A point
mass at t is `ConfidenceTarget(t)`. Any w makes S_w proper: with P(c = 1) = p the integrand's mean is (p - t) w(t), so
stopping at q = p is best, and honesty earns \int_0^p (p - t) w(t) dt >= 0.

S_w(c, 0) = 0 for both c. Plain scores such as 1 - (c - q)^2 lack this: they pay a deliberately wrong answer with
confidence 0 in full, which beats honesty on every question that is not certain (SaySelf and Rewarding Doubt train on
such scores). Here it earns 0, what an abstention earns, and never more than honesty.
"""

from dataclasses import dataclass
from math import isfinite, log, sqrt
from statistics import fmean, pstdev
from typing import Any, Literal, get_args

from abstain.rewards.errors import nearest
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict
from abstain.rewards.verdict_reward import VerdictReward, name_number

Rule = Literal["brier", "log", "spherical", "beta", "rlcr"]
Pair = tuple[float, float]
LOG_EPS = 0.01


def _brier(q: float) -> Pair:
    return q - q * q / 2, -q * q / 2


def _rlcr(q: float) -> Pair:
    return 1 - (1 - q) ** 2, -q * q


def _spherical(q: float) -> Pair:
    norm = sqrt(q * q + (1 - q) ** 2)
    return q / norm / 2, ((1 - q) / norm - 1) / 2


def _log(q: float, eps: float) -> Pair:
    q = min(max(q, eps), 1 - eps)
    mass = 2 * log((1 - eps) / eps)
    return log(q / eps) / mass, log((1 - q) / (1 - eps)) / mass


def _beta(q: float, a: float, b: float) -> Pair:
    from scipy.special import betainc  # slow to import, and only this rule needs it

    mean = a / (a + b)
    return (1 - mean) * float(betainc(a, b + 1, q)), -mean * float(betainc(a + 1, b, q))


def proper_score(
    correct: bool, confidence: float, rule: Rule = "brier", *, a: float = 1, b: float = 1, eps: float = LOG_EPS
) -> float:
    r"""S_w(c, q) for the density w that `rule` names, normalised to mass 1 (2 for rlcr).

    | rule      | w(t)                              | S_w(1, q)           | S_w(0, q)               | range       |
    |-----------|-----------------------------------|---------------------|-------------------------|-------------|
    | brier     | 1                                 | q - q^2/2           | -q^2/2                  | -1/2 .. 1/2 |
    | rlcr      | 2                                 | 1 - (1 - q)^2       | -q^2                    | -1 .. 1     |
    | spherical | n(t)^-3 / 2                       | q/n(q)/2            | ((1 - q)/n(q) - 1)/2    | -1/2 .. 1/2 |
    | log       | 1/(Z t (1 - t)) on [eps, 1 - eps] | ln(q/eps)/Z         | ln((1 - q)/(1 - eps))/Z | -1/2 .. 1/2 |
    | beta      | Beta(a, b)                        | (1 - m) I_q(a, b+1) | -m I_q(a+1, b)          | -m .. 1 - m |

    n(q) = sqrt(q^2 + (1 - q)^2), Z = 2 ln((1 - eps)/eps), m = a/(a + b), I the regularised incomplete beta function.
    rlcr is c - (c - q)^2 (RLCR, Damani et al. 2025, arXiv 2507.16806), twice brier.

    The plain Brier, log and spherical scores differ from their row by a factor and a term in c alone: the best q is
    the same, but here being right pays too. For log, q is clipped to [eps, 1 - eps]: strictly proper inside, and every
    q beyond scores as the nearer end, so that the score stays bounded.

    Args:
        correct: c.
        confidence: q in [0, 1].
        a, b: of the Beta density; a large mean puts the weight on high thresholds. Only "beta" reads them.
        eps: in (0, 0.5); only "log" reads it.

    Raises:
        ValueError: confidence outside [0, 1], unknown rule, a, b or eps outside their range.

    Example:
        >>> round(proper_score(True, 0.8, "rlcr"), 4), round(proper_score(False, 0.8, "rlcr"), 4)
        (0.96, -0.64)
    """
    check_rule(rule, a, b, eps)
    if not 0 <= confidence <= 1:
        raise ValueError(f"confidence {confidence!r} is outside [0, 1]")
    if rule == "beta":
        right, wrong = _beta(confidence, a, b)
    elif rule == "log":
        right, wrong = _log(confidence, eps)
    else:
        right, wrong = {"brier": _brier, "rlcr": _rlcr, "spherical": _spherical}[rule](confidence)
    return right if correct else wrong


def check_rule(rule: str, a: float, b: float, eps: float) -> None:
    """Raise `ValueError` unless `proper_score` takes these parameters, each only with the rule that reads it."""
    if rule not in get_args(Rule):
        raise ValueError(f"unknown rule {rule!r}. {nearest(str(rule), get_args(Rule))}")
    if not (_is_number(a) and _is_number(b) and a > 0 and b > 0):
        raise ValueError(f"Beta({a!r}, {b!r}) is no density; a and b must be finite and above 0")
    if rule != "beta" and (a, b) != (1, 1):
        raise ValueError(f"a={a:g}, b={b:g} shape rule 'beta' only; rule {rule!r} does not read them")
    if not (_is_number(eps) and 0 < eps < 0.5):
        raise ValueError(f"eps {eps!r} is outside (0, 0.5)")
    if rule != "log" and eps != LOG_EPS:
        raise ValueError(f"eps={eps:g} clips rule 'log' only; rule {rule!r} does not read it")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


@dataclass(eq=False, repr=False)
class ProperScore(VerdictReward):
    """Pays for being right and for stating how sure one is: a proper score of the confidence in the completion.

    The score is `proper_score` (equation and table there). By case, the same for every rule:

    - an answer with a readable confidence q: S_w(1, q) if correct, S_w(0, q) if not;
    - an abstention: 0, which is S_w(c, 0), whether or not it states a confidence;
    - an answer without readable confidence, or no readable answer: the rule's minimum S_w(0, 1), so that dropping the
      format never pays (counting it as q = 0.5 could be farmed).

    Args:
        rule: "brier", "log", "spherical", "beta" or "rlcr".
        a, b: shape of the Beta density, with rule "beta".
        eps: clipping of q, with rule "log".
        confidence_scale: what the prompt calls full confidence (1, 10 or 100), where the number does not tell: 0.8, 80
            and 80% are understood as they are, 8 only with a scale of 10.

    Raises:
        ValueError: unknown rule, a parameter outside its range or that the rule does not read.

    Example:
        >>> reward = ProperScore("rlcr")
        >>> [round(score, 2) for score in reward(
        ...     completions=["<answer>Lima</answer><confidence>0.8</confidence>", "I don't know", "Lima"],
        ...     answers=[["Lima"]] * 3,
        ... )]
        [0.96, 0.0, -1.0]
    """

    rule: Rule = "brier"
    a: float = 1.0
    b: float = 1.0
    eps: float = LOG_EPS
    confidence_scale: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rule(self.rule, self.a, self.b, self.eps)
        if self.confidence_scale is not None and not (_is_number(self.confidence_scale) and self.confidence_scale > 0):
            raise ValueError(f"confidence_scale {self.confidence_scale!r} must be a number above 0, such as 1 or 100")

    @property
    def threshold_dependent(self) -> bool:
        """Always true: std normalisation makes a proper score improper.

        Exact enumeration, G = 8, a question with p = 0.7 whose whole group says 0.7: the best reply is 0.785, and best
        replies to best replies end at 1 (p = 0.3: at 0.05).
        """
        return True

    def score(self, correct: bool, confidence: float) -> float:
        """S_w(c, q) with this reward's parameters."""
        return proper_score(correct, confidence, self.rule, a=self.a, b=self.b, eps=self.eps)

    def _name_parts(self) -> list[str]:
        beta = [name_number(self.a), name_number(self.b)] if self.rule == "beta" else []
        eps = [] if self.eps == LOG_EPS else [f"eps{name_number(self.eps)}"]
        scale = [] if self.confidence_scale is None else [f"scale{name_number(self.confidence_scale)}"]
        return ["proper_score", self.rule, *beta, *eps, *scale]

    def _confidence_scale(self) -> float | None:
        return self.confidence_scale

    def _score(self, verdict: Verdict, response: Response, target: float | None) -> float:
        if verdict is Verdict.ABSTAINED:
            return 0.0
        if response.confidence is None or response.malformed:
            return self.score(False, 1.0)
        return self.score(verdict is Verdict.CORRECT, response.confidence)

    def _metrics(
        self, verdicts: list[Verdict], responses: list[Response], targets: list[float | None]
    ) -> dict[str, float]:
        """Rates, and the stated confidences: a standard deviation near 0 is the usual collapse."""
        rates = super()._metrics(verdicts, responses, targets)
        attempts = [r for v, r in zip(verdicts, responses, strict=True) if v is not Verdict.ABSTAINED]
        stated = [r.confidence for r in attempts if r.confidence is not None]
        if attempts:
            rates["confidence/missing"] = 1 - len(stated) / len(attempts)
        if stated:
            rates |= {"confidence/mean": fmean(stated), "confidence/std": pstdev(stated)}
        return rates
