"""Best guesses, given or withheld: always, above a fixed or a fitted threshold, above one with a guarantee.

The same guesses as the oracles of `abstain.evals.metrics.oracle` go by, with what becomes of each question. Whatever
is chosen is chosen on training questions; where there are none, for each half of the held-out ones on the other half.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers, best_threshold, halves, isotonic, temperature
from abstain.evals.policies.conformal import DELTA, Certificate, certify_answered, control_all
from abstain.evals.policies.rows import Policy
from abstain.rewards.verdict import Verdict

OF_ANSWERS, OF_ALL = "conformal, answers", "conformal, all"
_GRADED = {1.0: Verdict.CORRECT, 0.0: Verdict.INCORRECT}
Choose = Callable[[ForcedAnswers, float], tuple[float | None, dict[str, Any]]]
"""From answers to choose on and a target: the threshold, `None` to answer nothing, and what else there is to say."""


@dataclass(frozen=True)
class Verdicts:
    """What becomes of each held-out question: the verdict on its best guess, and the one if that is withheld."""

    given: Sequence[Verdict]
    withheld: Sequence[Verdict]

    @classmethod
    def of(cls, answers: ForcedAnswers) -> "Verdicts":
        """Of answers alone: without a grade they are UNGRADED if they are given, and ABSTAINED if they are not."""
        given = [_GRADED.get(correct, Verdict.UNGRADED) for correct in answers.correct.tolist()]
        return cls(given, [Verdict.ABSTAINED] * len(given))

    def where(self, answered: Iterable[bool]) -> list[Verdict]:
        """The verdicts if these questions are answered, and the others are not."""
        rows = zip(self.given, self.withheld, answered, strict=True)
        return [given if answer else withheld for given, withheld, answer in rows]


def guess_policies(
    start: BaseGuesses,
    targets: Sequence[float],
    *,
    verdicts: Verdicts | None = None,
    delta: float = DELTA,
    seed: int = 0,
) -> list[Policy]:
    """Every policy that only gives or withholds best guesses.

    Args:
        start: guesses, with any confidence in [0, 1]. Those of unknown confidence are given by "always answer" alone.
        targets: confidence targets t in [0, 1).
        verdicts: on the held-out guesses; by default `Verdicts.of` them.
        delta: how often the guarantee for the share of wrong answers may fail.
        seed: halves the held-out questions where there are no training questions.

    Example:
        >>> grades = [Verdict.CORRECT] * 60 + [Verdict.INCORRECT] * 40
        >>> ids, sure = [str(i) for i in range(100)], np.linspace(1, 0.01, 100)
        >>> start = BaseGuesses("toy", ForcedAnswers.of(ids, grades, sure), ForcedAnswers.of(ids, grades, sure))
        >>> policies = guess_policies(start, [0.9])
        >>> found = {policy.name: policy.settings.get(0.9, {}).get("threshold") for policy in policies}
        >>> round(found["fitted threshold"], 3), found["threshold t"], round(found["conformal, answers"], 2)
        (0.405, 0.9, 0.46)
    """
    on = verdicts or Verdicts.of(start.held_out)
    always = Policy("always answer", start.model, dict.fromkeys(targets, on.given))

    def policy(name: str, choose: Choose, fit: Callable[..., Any] | None = None) -> Policy:
        found = {t: _applied(start, t, choose, fit, seed) for t in targets}
        given = {t: on.where(answered) for t, (answered, _) in found.items()}
        return Policy(name, start.model, given, {t: settings for t, (_, settings) in found.items()})

    return [
        always,
        policy("threshold t", lambda _, t: (t, {})),
        policy("fitted threshold", lambda answers, t: (best_threshold(answers, t), {})),
        policy("isotonic", lambda _, t: (t, {}), isotonic),
        policy("temperature", lambda _, t: (t, {}), temperature),
        policy(
            OF_ANSWERS, lambda answers, t: _certified(certify_answered(answers, _level(t), delta), "answers", delta)
        ),
        policy(OF_ALL, lambda answers, t: _certified(control_all(answers, _level(t)), "all", None)),
    ]


def _applied(
    start: BaseGuesses, target: float, choose: Choose, fit: Callable[..., Any] | None, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Which held-out questions are answered, and the settings, joined where each half has its own."""
    answered = np.zeros(len(start.held_out.ids), dtype=bool)
    chosen = []
    for answers, rows in _splits(start, seed):
        threshold, settings = choose(answers, target)
        confidence = start.held_out.confidence[rows]
        if fit is not None:
            confidence = fit(answers.confidence, answers.correct)(confidence)
        if threshold is not None:
            answered[rows] = confidence > threshold
        chosen.append({"threshold": threshold, **settings})
    return answered, _joined(chosen)


def _splits(start: BaseGuesses, seed: int) -> list[tuple[ForcedAnswers, np.ndarray]]:
    """Answers to choose on, and the held-out questions that the choice is for."""
    n = len(start.held_out.ids)
    if len(start.train.ids):
        return [(start.train, np.ones(n, dtype=bool))]
    held_out = start.held_out
    return [(ForcedAnswers((), held_out.correct[~half], held_out.confidence[~half]), half) for half in halves(n, seed)]


def _joined(chosen: Sequence[dict[str, Any]]) -> dict[str, Any]:
    if len(chosen) == 1:
        return dict(chosen[0])
    both = {key: values[0] if len(set(values)) == 1 else None for key, values in _columns(chosen).items()}
    notes = [note for settings in chosen if (note := settings.get("note"))]
    if notes:
        both["note"] = "; ".join(f"{place} half: {note}" for place, note in zip(("one", "other"), notes, strict=True))
    elif both["threshold"] is None:
        both["note"] = " and ".join(f"{settings['threshold']:.3f}" for settings in chosen) + ", for a half each"
    if "certified" in both:
        both["certified"] = all(settings["certified"] for settings in chosen)
    return both


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    return {key: [row[key] for row in rows] for key in rows[0]}


def _level(target: float) -> float:
    """1 - t, without the dust of 1 - 0.9."""
    return round(1 - target, 12)


def _certified(found: Certificate, risk: str, delta: float | None) -> tuple[float | None, dict[str, Any]]:
    settings = {"risk": f"wrong among {risk}", "level": found.level, "delta": delta, "certified": True}
    if found.level == 1:
        return found.threshold, {**settings, "note": "wrong answers cost nothing: there is nothing to certify"}
    if found.threshold is not None:
        seen = f"of {found.n:,} calibration questions it answers {found.answered:,}, {found.wrong:,} of them wrong"
        return found.threshold, {**settings, "note": seen}
    needs = f"{found.needed:,} right and none wrong" if found.needed > found.n else "fewer wrong among the surest"
    note = f"nothing can be certified on {found.n:,} calibration questions: it takes {needs}"
    return None, {**settings, "certified": False, "note": note}
