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
from abstain.evals.metrics.readings import doubts
from abstain.evals.tasks.columns import answers_of
from abstain.rewards.grading import gold_answers, grade_response
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.parsing.confidence import read_confidence
from abstain.rewards.prompts import question_of
from abstain.rewards.response import AnswerFormat, Reading, Response
from abstain.rewards.verdict import Verdict

_CODES = {verdict: code for code, verdict in enumerate(VERDICTS)}


@dataclass(frozen=True)
class Grading:
    """How to grade.

    Args:
        grader: a key of `abstain.rewards.graders.GRADERS`, for answers without a grade.
        regrade: grade every answer that has gold, whatever the log says.
        reading: how the grader reads: "lenient", where sentences may say more than the answer, or "strict".
        answer_format: where the answer stands, one of `abstain.rewards.response.AnswerFormat`.
    """

    grader: str = "match"
    regrade: bool = False
    reading: Reading = "lenient"
    answer_format: AnswerFormat = "auto"

    def read(self, text: str, truncated: bool = False) -> Response:
        """What a completion says."""
        return read_response(text, truncated, self.answer_format)


@dataclass
class Tally:
    """What became of a file's rows."""

    regraded: int = 0
    abstained: int = 0
    blind: int = 0
    partial: int = 0


def verdicts(batch: Batch, grading: Grading, tally: Tally, problems: Problems) -> tuple[np.ndarray, np.ndarray]:
    """The code of each row's verdict, its place in `VERDICTS`, and what is to be said against those given here.

    Args:
        batch: rows.
        grading: how to grade those without a grade.
        tally: counts what was done.
        problems: told of what could not be graded.

    Returns:
        Codes, and flags of `abstain.evals.metrics.readings.doubts`, 0 where the log has the grade.
    """
    codes = np.array(batch.get("grade"), dtype=np.int8)
    texts = batch.get("completion") or [None] * len(batch)
    golds = batch.get("gold") or [None] * len(batch)
    cut = batch.get("truncated") or [False] * len(batch)
    asked = batch.get("question") or [None] * len(batch)
    flags = np.zeros(len(batch), dtype=np.int8)
    tally.partial += int((codes == PARTIAL).sum())
    if grading.regrade:
        codes[[text is not None and gold is not None for text, gold in zip(texts, golds, strict=True)]] = NONE
    for row in np.flatnonzero(codes > UNGRADED):
        text = texts[row] if isinstance(texts[row], str) else None
        if codes[row] in (ZERO, PARTIAL):
            codes[row] = _not_right(text, bool(cut[row]), grading, tally)
            continue
        gold = _gold(batch, int(row), text, golds[row], problems)
        if text is None or not gold:
            codes[row] = UNGRADED
            continue
        tally.regraded += 1
        response, question = grading.read(text, bool(cut[row])), asked_alone(asked[row])
        given = grade_response(response, gold, grading.grader, question, grading.reading)
        codes[row] = _CODES[given]
        flags[row] = doubts(response, gold, given, grading.grader, question, grading.reading)
    return codes, flags


def _not_right(text: str | None, truncated: bool, grading: Grading, tally: Tally) -> int:
    if text is None:
        tally.blind += 1
        return INCORRECT
    abstained = grading.read(text, truncated).abstained
    tally.abstained += abstained
    return ABSTAINED if abstained else INCORRECT


def _gold(batch: Batch, row: int, text: str | None, gold: Any, problems: Problems) -> tuple[str, ...]:
    """The gold answers to grade a row by; without any, or without a text to grade, the problem is told."""
    try:
        answers = tuple(gold_answers(answers_of(gold)))
    except ValueError:
        answers = ()
    if text is None or not answers:
        lacks = "answer" if text is None else "gold"
        known = batch.columns["grade"][row] == UNREADABLE
        what = "a grade that cannot be read" if known else "no grade"
        problems.add(batch.file, "ungradable", f"{batch.where(row)}: {what}, and no {lacks} to grade by", lost=False)
    return answers


def confidences(batch: Batch, grading: Grading) -> tuple[list[Any] | None, list[str]]:
    """The confidence of each row, and where it comes from: the log, repeated answers, or the answer's own words."""
    values, kinds = batch.get("confidence"), batch.get("kind")
    kinds = list(kinds) if kinds else ["log"] * len(batch)
    found = list(values) if values else [None] * len(batch)
    votes, texts = batch.get("votes"), batch.get("completion")
    asked = batch.get("question") or [None] * len(batch)
    if not texts:
        return (found, kinds) if values else (None, kinds)
    for row, text in enumerate(texts):
        if not _is_blank(found[row]) or not isinstance(text, str):
            continue
        if votes and votes[row]:
            found[row], kinds[row] = agreement(votes[row], text, grading, asked_alone(asked[row])), "agreement"
        elif read_confidence(text)[1] is not None:  # quick; but what is said in reasoning does not count
            found[row], kinds[row] = grading.read(text).confidence, "stated"
    return found, kinds


def asked_alone(text: Any) -> str | None:
    """The question in what a log has for one, without instructions and the examples before it.

    Example:
        >>> asked_alone("Question: Capital of Chile?\\nAnswer: Santiago\\n\\nQuestion: Capital of Peru?\\nAnswer:")
        'Capital of Peru?'
    """
    return (question_of(text) or None) if isinstance(text, str) else None


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def agreement(votes: Sequence[str], chosen: str, grading: Grading = Grading(), question: str | None = None) -> float:
    """Share of several answers that say what the chosen one says: its self-consistency (Wang et al. 2023).

    Two answers say the same if they read the same once parsed, or if the grader takes one for the other's gold.

    Example:
        >>> agreement(["Lima", "It's Lima.", "Quito", "I don't know"], "Lima")
        0.5
    """
    answer = grading.read(chosen)
    return sum(_same(grading.read(vote), answer, grading.grader, question) for vote in votes) / len(votes)


def _same(one: Response, other: Response, grader: str, question: str | None) -> bool:
    if one.abstained or other.abstained:
        return one.abstained and other.abstained
    if answer_key(one) == answer_key(other):
        return True
    return bool(other.answer) and grade_response(one, [other.answer], grader, question) is Verdict.CORRECT


def answer_key(response: Response) -> str:
    """What is the same for answers that differ in case, spaces and full stops only."""
    return "" if response.abstained else " ".join(response.answer.casefold().split()).strip(" .!?\"'")
