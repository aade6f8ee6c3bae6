"""The verdict of each row of a log: its grade where it has one, our own where it has none.

A grade that says only "not right" cannot tell a wrong answer from "I don't know". The answer can: it is parsed, and
one that offers nothing is ABSTAINED. Where there is no grade but gold, `abstain.rewards.grading` gives one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abstain.evals.logs.batch import Batch, Problems
from abstain.evals.logs.grades import ABSTAINED, INCORRECT, NONE, PARTIAL, UNGRADED, UNREADABLE, VERDICTS, ZERO
from abstain.evals.tasks.columns import answers_of
from abstain.rewards.grading import grade_response
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.parsing.confidence import read_confidence
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict

_CODES = {verdict: code for code, verdict in enumerate(VERDICTS)}


@dataclass(frozen=True)
class Grading:
    """How to grade.

    Args:
        grader: a key of `abstain.rewards.graders.GRADERS`, for answers without a grade.
        regrade: grade every answer that has gold, whatever the log says.
    """

    grader: str = "match"
    regrade: bool = False


@dataclass
class Tally:
    """What became of a file's rows."""

    regraded: int = 0
    abstained: int = 0
    blind: int = 0
    partial: int = 0


def verdicts(batch: Batch, grading: Grading, tally: Tally, problems: Problems) -> np.ndarray:
    """The code of each row's verdict, its place in `VERDICTS`.

    Args:
        batch: rows.
        grading: how to grade those without a grade.
        tally: counts what was done.
        problems: told of what could not be graded.
    """
    codes = np.array(batch.get("grade"), dtype=np.int8)
    texts = batch.get("completion") or [None] * len(batch)
    golds = batch.get("gold") or [None] * len(batch)
    cut = batch.get("truncated") or [False] * len(batch)
    tally.partial += int((codes == PARTIAL).sum())
    if grading.regrade:
        codes[[text is not None and gold is not None for text, gold in zip(texts, golds, strict=True)]] = NONE
    for row in np.flatnonzero(codes > UNGRADED):
        text = texts[row] if isinstance(texts[row], str) else None
        if codes[row] in (ZERO, PARTIAL):
            codes[row] = _not_right(text, bool(cut[row]), tally)
        else:
            codes[row] = _graded(batch, int(row), text, golds[row], bool(cut[row]), grading, tally, problems)
    return codes


def _not_right(text: str | None, truncated: bool, tally: Tally) -> int:
    if text is None:
        tally.blind += 1
        return INCORRECT
    abstained = read_response(text, truncated).abstained
    tally.abstained += abstained
    return ABSTAINED if abstained else INCORRECT


def _graded(
    batch: Batch, row: int, text: str | None, gold: Any, cut: bool, grading: Grading, tally: Tally, problems: Problems
) -> int:
    try:
        answers = answers_of(gold)
    except ValueError:
        answers = ()
    if text is None or not answers:
        lacks = "answer" if text is None else "gold"
        known = batch.columns["grade"][row] == UNREADABLE
        what = "a grade that cannot be read" if known else "no grade"
        problems.add(batch.file, "ungradable", f"{batch.where(row)}: {what}, and no {lacks} to grade by", lost=False)
        return UNGRADED
    tally.regraded += 1
    return _CODES[grade_response(read_response(text, cut), answers, grading.grader)]


def confidences(batch: Batch, grading: Grading) -> tuple[list[Any] | None, list[str]]:
    """The confidence of each row, and where it comes from: the log, repeated answers, or the answer's own words."""
    values, kinds = batch.get("confidence"), batch.get("kind")
    kinds = list(kinds) if kinds else ["log"] * len(batch)
    found = list(values) if values else [None] * len(batch)
    votes, texts = batch.get("votes"), batch.get("completion")
    if not texts:
        return (found, kinds) if values else (None, kinds)
    for row, text in enumerate(texts):
        if found[row] is not None or not isinstance(text, str):
            continue
        if votes and votes[row]:
            found[row], kinds[row] = agreement(votes[row], text, grading.grader), "agreement"
        elif read_confidence(text)[1] is not None:  # quick; but what is said in reasoning does not count
            found[row], kinds[row] = read_response(text).confidence, "stated"
    return found, kinds


def agreement(votes: Sequence[str], chosen: str, grader: str = "match") -> float:
    """Share of several answers that say what the chosen one says: its self-consistency (Wang et al. 2023).

    Two answers say the same if they read the same once parsed, or if the grader takes one for the other's gold.

    Example:
        >>> agreement(["Lima", "It's Lima.", "Quito", "I don't know"], "Lima")
        0.5
    """
    answer = read_response(chosen)
    return sum(_same(read_response(vote), answer, grader) for vote in votes) / len(votes)


def _same(one: Response, other: Response, grader: str) -> bool:
    if one.abstained or other.abstained:
        return one.abstained and other.abstained
    if answer_key(one) == answer_key(other):
        return True
    return bool(other.answer) and grade_response(one, [other.answer], grader) is Verdict.CORRECT


def answer_key(response: Response) -> str:
    """What is the same for answers that differ in case, spaces and full stops only."""
    return "" if response.abstained else " ".join(response.answer.casefold().split()).strip(" .!?\"'")
