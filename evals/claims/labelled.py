"""Numbers of long answers whose claims are labelled: claim by claim, strictly, and by how sure somebody was.

An answer of ten claims with one false one is wrong as a whole, and nine tenths right claim by claim. Under a
confidence target t the ten claims earn 9 − t/(1 − t); leaving the false one out would have cost nothing.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from abstain.evals.claims.files import Labelled, LabelledAnswer, LabelledClaim
from abstain.evals.metrics.confidence import confidence_metrics
from abstain.evals.metrics.intervals import share_interval
from abstain.evals.metrics.measuring import counts_row
from abstain.evals.metrics.oracle import ForcedAnswers
from abstain.evals.records import write_rows, write_text
from abstain.rewards.claims.aggregation import VERDICTS, aggregate, soft
from abstain.rewards.claims.claim import Checker, Extractor, Support
from abstain.rewards.prompts import TARGETS, check_target, penalty
from abstain.rewards.verdict import Verdict

LENGTHS = ((1, "1"), (2, "2"), (4, "3–4"), (8, "5–8"), (16, "9–16"), (10**9, "> 16"))
"""The most claims of an answer in each group of `by_length`, and what the group is called."""


@dataclass(frozen=True)
class MeasuredClaims:
    """What was found in a file.

    Args:
        labelled: the answers.
        found: the numbers, see `measure_labelled`.
    """

    labelled: Labelled
    found: dict[str, Any]

    @property
    def guesses(self) -> ForcedAnswers:
        """Checked claims with a confidence, for the curve of risk and coverage."""
        return guesses_of(self.labelled.answers)

    def save(self, folder: str | Path, table: str) -> None:
        """Write `claims.jsonl`, `claims.json` and `claims.md`, each all or nothing.

        Args:
            folder: made if need be.
            table: in Markdown.
        """
        write_rows(Path(folder) / "claims.jsonl", (row for one in self.labelled.answers for row in _rows(one)))
        write_text(Path(folder) / "claims.json", json.dumps(self.found, indent=2, ensure_ascii=False) + "\n")
        write_text(Path(folder) / "claims.md", table)


def measure_labelled(labelled: Labelled, targets: Sequence[float] = TARGETS) -> dict[str, Any]:
    """All numbers of a file.

    Args:
        labelled: answers with labelled claims.
        targets: confidence targets in [0, 1).

    Returns:
        `model`; `n` answers, of which `silent` claim nothing and `ungraded` could not be taken apart; `claims`, with
        `supported`, `neutral`, `contradicted` and `unchecked`, and left out of these `repeated` and `irrelevant`
        ones; `strict`, `major` and `soft`: shares of the answers by label (of those that claim something checked, and
        `Abstain` for silence, in RefChecker's words); `by_target` with a row for each t and policy: "all claims", and
        "confidence > t" where claims have one; `by_length`: answers by how many claims they make; `aurc`, `auroc` and
        the like of the claims that have a confidence; and `problems`.

    Raises:
        ValueError: a target outside [0, 1), or none.

    Example:
        >>> from abstain.rewards.claims.claim import Claim
        >>> made = [LabelledClaim(Claim("", "", text), label) for text, label in
        ...         [("a", Support.ENTAILMENT), ("b", Support.ENTAILMENT), ("c", Support.CONTRADICTION)]]
        >>> answers = [LabelledAnswer("1", "", "a. b. c.", tuple(made)), LabelledAnswer("2", "", "", ())]
        >>> found = measure_labelled(Labelled("m", answers), [0.5])
        >>> found["strict"]["Contradiction"], round(found["by_target"][0]["score"], 3), found["silent"]
        (0.5, 0.333, 1)
        >>> found["by_target"][0]["points_per_answer"]
        0.5
    """
    chosen = sorted({check_target(target) for target in targets})
    if not chosen:
        raise ValueError("nothing to measure at: give a target, such as 0.75")
    answers = labelled.answers
    read = [one for one in answers if one.claims is not None]
    claims = [claim for one in read for claim in one.claims or ()]
    labels = Counter(claim.support for claim in claims)
    guesses = guesses_of(answers)
    policies = [("all claims", claims_given(read, None))]
    rows = []
    for target in chosen:
        if guesses.ids:
            policies = [policies[0], ("confidence > t", claims_given(read, target))]
        rows += [_target_row(name, given, target, len(read)) for name, given in policies]
    return {
        "model": labelled.name,
        "n": len(answers),
        "silent": sum(one.claims == () for one in read),
        "ungraded": len(answers) - len(read),
        "claims": len(claims),
        "supported": labels[Support.ENTAILMENT],
        "neutral": labels[Support.NEUTRAL],
        "contradicted": labels[Support.CONTRADICTION],
        "unchecked": labels[Support.UNCHECKED],
        "repeated": labelled.repeated,
        "irrelevant": labelled.irrelevant,
        "strict": _shares([aggregate(_labels(one)) for one in read]),
        "major": _shares([aggregate(_labels(one), "major") for one in read]),
        "soft": _soft(read),
        "by_target": rows,
        "by_length": _by_length(read),
        **confidence_metrics(guesses.confidence, guesses.correct),
        "problems": dict(labelled.problems.most_common()),
    }


def claims_given(answers: Sequence[LabelledAnswer], target: float | None) -> Counter[Verdict]:
    """The verdicts of all claims; with a target those that are not surer than it are ABSTAINED.

    Example:
        >>> from abstain.rewards.claims.claim import Claim
        >>> unsure = LabelledClaim(Claim("", "", "a"), Support.CONTRADICTION, 0.4)
        >>> answers = [LabelledAnswer("1", "", "a", (unsure,))]
        >>> [dict(claims_given(answers, target)) for target in (None, 0.75)]
        [{<Verdict.INCORRECT: 'INCORRECT'>: 1}, {<Verdict.ABSTAINED: 'ABSTAINED'>: 1}]
    """
    return Counter(
        VERDICTS[claim.support]
        if target is None or target == 0 or (claim.confidence is not None and claim.confidence > target)
        else Verdict.ABSTAINED
        for one in answers
        for claim in one.claims or ()
    )


def guesses_of(answers: Sequence[LabelledAnswer]) -> ForcedAnswers:
    """The checked claims with a confidence."""
    rows = [
        (f"{one.id}#{place}", VERDICTS[claim.support], claim.confidence)
        for one in answers
        for place, claim in enumerate(one.claims or ())
        if claim.confidence is not None and claim.support is not Support.UNCHECKED
    ]
    return ForcedAnswers.of(*([row[column] for row in rows] for column in range(3)))  # type: ignore[arg-type]


def with_confidence_of(labelled: Labelled, told: Sequence[Sequence[float | None]]) -> Labelled:
    """The same answers, with somebody's confidence in each claim.

    Args:
        told: for each answer with claims, in order, one number per claim.
    """
    rows = iter(told)
    return _changed(
        labelled,
        lambda claim, q: replace(claim, confidence=q),
        [next(rows) if one.claims else () for one in labelled.answers],
    )


def checked_by(labelled: Labelled, checker: Checker, extractor: Extractor | None = None) -> Labelled:
    """The same answers; claims without a label are checked, and answers that nobody took apart are taken apart.

    Args:
        labelled: some of whose answers have references.
        checker: labels claims that are UNCHECKED.
        extractor: finds claims where there are none; without it such answers stay UNGRADED.
    """
    answers = list(labelled.answers)
    whole = [place for place, one in enumerate(answers) if one.claims is None]
    if extractor and whole:
        found = extractor.extract(
            [answers[place].question for place in whole], [answers[place].answer for place in whole]
        )
        for place, extraction in zip(whole, found, strict=True):
            if extraction is not None:
                claims = tuple(LabelledClaim(claim, Support.UNCHECKED) for claim in extraction.claims)
                answers[place] = replace(answers[place], claims=claims)
    open_ones = [
        (claim, one.references)
        for one in answers
        for claim in one.claims or ()
        if claim.support is Support.UNCHECKED and one.references
    ]
    labels = iter(checker.check([claim.claim for claim, _ in open_ones], [texts for _, texts in open_ones]))

    def label(one: LabelledAnswer, claim: LabelledClaim) -> LabelledClaim:
        unknown = claim.support is Support.UNCHECKED and one.references
        return replace(claim, support=next(labels)) if unknown else claim

    done = [
        one if one.claims is None else replace(one, claims=tuple(label(one, claim) for claim in one.claims))
        for one in answers
    ]
    return replace(labelled, answers=done)


def _changed(
    labelled: Labelled, change: Callable[[LabelledClaim, Any], LabelledClaim], told: Sequence[Sequence[Any]]
) -> Labelled:
    answers = [
        replace(one, claims=tuple(change(claim, value) for claim, value in zip(one.claims, row, strict=True)))
        if one.claims
        else one
        for one, row in zip(labelled.answers, told, strict=True)
    ]
    return replace(labelled, answers=answers)


def _labels(one: LabelledAnswer) -> list[Support]:
    return [claim.support for claim in one.claims or ()]


def _shares(labels: Sequence[Support | None]) -> dict[str, float | None]:
    """Of the answers that were taken apart; silence is Abstain."""
    counts = Counter("Abstain" if label is None else label.value for label in labels)
    names = [*(label.value for label in Support), "Abstain"]
    return {name: counts[name] / len(labels) if labels else None for name in names}


def _soft(read: Sequence[LabelledAnswer]) -> dict[str, float | None]:
    """The mean over answers of the share of their checked claims that has each label; silence is Abstain, in full."""
    shares = [soft(_labels(one)) if one.claims else None for one in read]
    counted = [share for share, one in zip(shares, read, strict=True) if share is not None or not one.claims]
    if not counted:
        return dict.fromkeys([*(label.value for label in _CHECKED), "Abstain"])
    found: dict[str, float | None] = {
        label.value: float(np.mean([share[label] if share else 0.0 for share in counted])) for label in _CHECKED
    }
    return found | {"Abstain": sum(share is None for share in counted) / len(counted)}


_CHECKED = (Support.ENTAILMENT, Support.NEUTRAL, Support.CONTRADICTION)


def _target_row(policy: str, counts: Counter[Verdict], target: float, answers: int) -> dict[str, Any]:
    """The row of claims at one target, and the points that the claims of an answer earn together."""
    points = counts[Verdict.CORRECT] - counts[Verdict.INCORRECT] * penalty(target)
    row = counts_row(counts, target)
    kept = ("n", *(verdict.lower() for verdict in Verdict), "coverage", "accuracy_attempted", "score", "score_ci")
    return (
        {"target": target, "policy": policy}
        | {key: row[key] for key in kept}
        | {"points_per_answer": points / answers if answers else None}
    )


def _by_length(read: Sequence[LabelledAnswer]) -> list[dict[str, Any]]:
    """Answers with as many claims: how many are strictly right, and how many of their claims are."""
    rows = []
    for least, (most, name) in zip((0, *(end for end, _ in LENGTHS)), LENGTHS, strict=False):
        group = [_labels(one) for one in read if least < len(one.claims or ()) <= most]
        graded = [labels for labels in group if aggregate(labels) is not Support.UNCHECKED]
        if not graded:
            continue
        right = sum(aggregate(labels) is Support.ENTAILMENT for labels in graded)
        said = [label for labels in graded for label in labels if label is not Support.UNCHECKED]
        low, high = (float(end) for end in share_interval(right, len(graded)))
        row = {"claims": name, "n": len(graded), "strict": right / len(graded), "strict_ci": [low, high]}
        rows.append(row | {"soft": said.count(Support.ENTAILMENT) / len(said)})
    return rows


def _rows(one: LabelledAnswer) -> list[dict[str, Any]]:
    about = {"id": one.id, "question": one.question}
    if not one.claims:
        nothing = "silent" if one.claims == () else "ungraded"
        return [about | {"claim": None, "label": nothing, "confidence": None}]
    return [
        about
        | {"claim": str(claim.claim) if claim.claim.relation else claim.claim.object}
        | {"label": claim.support.value, "confidence": claim.confidence}
        for claim in one.claims
    ]
