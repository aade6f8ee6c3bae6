"""What the plug-ins share: targets from a command line, and numbers for each stated target."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from abstain.rewards.prompts import TARGETS, check_target, penalty
from abstain.rewards.verdict import Verdict

Graded = tuple[Verdict, float | None]
"""A verdict, and the target that the prompt stated, if it stated one."""


def read_targets(given: Any) -> tuple[float, ...]:
    """Confidence targets as a harness hands them over: a number, a list, or a text with commas.

    Raises:
        ValueError: none at all, or one outside [0, 1).

    Example:
        >>> read_targets("0.5,0.9"), read_targets(["0", 0.5]), read_targets(0.75)
        ((0.5, 0.9), (0.0, 0.5), (0.75,))
    """
    parts = given.split(",") if isinstance(given, str) else given if isinstance(given, list | tuple) else [given]
    stripped: list[Any] = [part.strip() if isinstance(part, str) else part for part in parts]
    if all(part is None or part == "" for part in stripped):
        raise ValueError("no confidence target: give one or several in [0, 1), such as 0,0.5,0.75,0.9")
    return tuple(map(check_target, stripped))


def rates(verdicts: Iterable[Verdict]) -> dict[str, float]:
    """Shares of the graded answers, and accuracy among those that were attempted; NaN where nothing is to be shared.

    Example:
        >>> rates([Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED, Verdict.ABSTAINED])
        {'correct': 0.25, 'incorrect': 0.25, 'abstained': 0.5, 'accuracy_attempted': 0.5}
    """
    graded = [one for one in verdicts if one is not Verdict.UNGRADED]
    right, wrong, abstained = (graded.count(one) for one in (Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED))
    shares = {"correct": right, "incorrect": wrong, "abstained": abstained}
    return {
        **{name: _share(count, len(graded)) for name, count in shares.items()},
        "accuracy_attempted": _share(right, right + wrong),
    }


def scores_by_target(graded: Iterable[Graded], targets: Sequence[float] = TARGETS) -> dict[str, float]:
    """S_t = correct - incorrect t / (1 - t) (Kalai et al. 2025, section 4.2), of the graded answers.

    Where prompts stated targets there is one score for each, of the answers given under it: `score_t0.75`. Where none
    did, the same answers are scored at each of `targets`: `penalty_t0.75`, a penalty curve and no more.

    Example:
        >>> scores_by_target([(Verdict.CORRECT, 0.5), (Verdict.INCORRECT, 0.5), (Verdict.ABSTAINED, 0.75)])
        {'score_t0.5': 0.0, 'score_t0.75': 0.0}
        >>> scores_by_target([(Verdict.CORRECT, None), (Verdict.INCORRECT, None)], [0.0, 0.75])
        {'penalty_t0': 0.5, 'penalty_t0.75': -1.0}
    """
    rows = [(verdict, target) for verdict, target in graded if verdict is not Verdict.UNGRADED]
    stated = sorted({target for _, target in rows if target is not None})
    if not stated:
        return {f"penalty_t{t:g}": _score([verdict for verdict, _ in rows], t) for t in targets}
    return {f"score_t{t:g}": _score([verdict for verdict, target in rows if target == t], t) for t in stated}


def points(verdict: Verdict, target: float) -> float:
    """What one answer earns: 1, -t / (1 - t), and 0 for abstaining and for what could not be graded.

    Example:
        >>> [points(verdict, 0.75) for verdict in Verdict]
        [1.0, -3.0, 0.0, 0.0]
    """
    return {Verdict.CORRECT: 1.0, Verdict.INCORRECT: -penalty(target)}.get(verdict, 0.0)


def read_value(value: Any) -> Verdict:
    """The verdict in a score's value as Inspect's scorers write it: C, I, P, N, a number, or an object of outcomes.

    Partial credit is not right, and neither is a number below 1. A number cannot say "abstained".

    Example:
        >>> [read_value(value).value for value in ("C", "P", "N", 1, {"correct": 0, "not_attempted": 1}, float("nan"))]
        ['CORRECT', 'INCORRECT', 'ABSTAINED', 'CORRECT', 'ABSTAINED', 'UNGRADED']
    """
    if isinstance(value, Mapping):
        outcomes = [verdict for name, verdict in _OUTCOMES.items() if value.get(name) in (1, 1.0, True)]
        return outcomes[0] if outcomes else Verdict.INCORRECT
    if isinstance(value, str):
        return _LETTERS.get(value, Verdict.UNGRADED)
    if isinstance(value, int | float) and value == value:
        return Verdict.CORRECT if value >= 1 else Verdict.INCORRECT
    return Verdict.UNGRADED


_LETTERS = {"C": Verdict.CORRECT, "I": Verdict.INCORRECT, "P": Verdict.INCORRECT, "N": Verdict.ABSTAINED}
_OUTCOMES = {
    **dict.fromkeys(("correct", "is_correct"), Verdict.CORRECT),
    **dict.fromkeys(("not_attempted", "abstained"), Verdict.ABSTAINED),
    **dict.fromkeys(("incorrect", "is_incorrect"), Verdict.INCORRECT),
}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _score(verdicts: Sequence[Verdict], target: float) -> float:
    return sum(points(one, target) for one in verdicts) / len(verdicts) if verdicts else float("nan")
