"""The verdict of each row of a log: its grade where it has one, our own where it has none.

A grade that says only "not right" cannot tell a wrong answer from "I don't know". The answer can: it is parsed, and
one that offers nothing is ABSTAINED. Where there is no grade but gold, `abstain.rewards.grading` gives one.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from abstain.evals.logs.batch import KINDS, Batch, Problems
from abstain.evals.logs.grades import ABSTAINED, INCORRECT, NONE, PARTIAL, UNGRADED, UNREADABLE, VERDICTS, ZERO
from abstain.evals.logs.numbers import Numbers
from abstain.evals.metrics.readings import doubts
from abstain.evals.tasks.columns import answers_of
from abstain.rewards.grading import gold_answers, grade_response
from abstain.rewards.judge.grader import Case
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.parsing.confidence import read_confidence
from abstain.rewards.prompts import question_of
from abstain.rewards.response import AnswerFormat, Reading, Response
from abstain.rewards.verdict import Verdict

CODES = {verdict: code for code, verdict in enumerate(VERDICTS)}


@dataclass(frozen=True)
class Grading:
    """How to grade.

    Args:
        grader: a key of `abstain.rewards.graders.GRADERS`, for answers without a grade; by default the one that the
            log calls for (`choice` where there are choices), or `match`.
        regrade: grade every answer that has gold, whatever the log says.
        reading: how the grader reads: "lenient", where sentences may say more than the answer, or "strict".
        answer_format: where the answer stands, one of `abstain.rewards.response.AnswerFormat`.
    """

    grader: str | None = None
    regrade: bool = False
    reading: Reading = "lenient"
    answer_format: AnswerFormat = "auto"

    def grader_of(self, log: str | None = None) -> str:
        """The grader of an answer for which the log calls for this one."""
        return self.grader or log or "match"

    def read(self, text: str, truncated: bool = False) -> Response:
        """What a completion says."""
        return read_response(text, truncated, self.answer_format)


@dataclass
class Tally:
    """What became of a file's rows; `regraded` by grader."""

    regraded: Counter[str] = field(default_factory=Counter)
    abstained: int = 0
    blind: int = 0
    partial: int = 0


def verdicts(
    batch: Batch, grading: Grading, tally: Tally, problems: Problems, cases: dict[int, tuple[Case, str]] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The code of each row's verdict, its place in `VERDICTS`, and what is to be said against those given here.

    Args:
        batch: rows.
        grading: how to grade those without a grade.
        tally: counts what was done.
        problems: told of what could not be graded.
        cases: takes each answer that is to be graded here, and the grader for it, by the number of its row, for a
            judge; it is UNGRADED yet.

    Returns:
        Codes, and flags of `abstain.evals.metrics.readings.doubts`, 0 where the log has the grade.
    """
    codes, flags = batch.grade.copy(), np.zeros(len(batch), dtype=np.int8)
    codes[codes == UNREADABLE] = UNGRADED  # which the reader has told
    tally.partial += int((codes == PARTIAL).sum())
    if grading.regrade:
        rows = np.arange(len(batch))
        pairs = zip(batch.at("completion", rows), batch.at("gold", rows), strict=True)
        codes[[text is not None and gold is not None for text, gold in pairs]] = NONE
    rows = np.flatnonzero(codes > UNGRADED)
    columns = (batch.at(name, rows) for name in ("completion", "gold", "question", "truncated", "grader"))
    for row, completion, gold, asked, cut, own in zip(rows.tolist(), *columns, strict=True):
        text = completion if isinstance(completion, str) else None
        if codes[row] in (ZERO, PARTIAL):
            codes[row] = _not_right(text, bool(cut), grading, tally)
            continue
        answers = _gold(batch, row, text, gold, problems)
        if text is None or not answers:
            codes[row] = UNGRADED
            continue
        grader = grading.grader_of(own)
        tally.regraded[grader] += 1
        response, question = grading.read(text, bool(cut)), asked_alone(asked)
        if cases is not None:
            cases[row], codes[row] = (Case(question or "", answers, response), grader), UNGRADED
            continue
        given = grade_response(response, answers, grader, question, grading.reading)
        codes[row] = CODES[given]
        flags[row] = doubts(response, answers, given, grader, question, grading.reading)
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
        problems.add(batch.file, "ungradable", f"{batch.where(row)}: no grade, and no {lacks} to grade by", lost=False)
    return answers


def confidences(batch: Batch, grading: Grading) -> tuple[Numbers, np.ndarray]:
    """The confidence of each row, and where it comes from: the log, repeated answers, or the answer's own words."""
    blank = np.flatnonzero(np.isnan(batch.confidence.values))
    if "completion" not in batch.texts or not len(blank):
        return batch.confidence, batch.kind
    values, sure, kinds = batch.confidence.values.copy(), batch.confidence.sure.copy(), batch.kind.copy()
    columns = (batch.at(name, blank) for name in ("completion", "votes", "question"))
    for row, text, votes, asked in zip(blank.tolist(), *columns, strict=True):
        if not isinstance(text, str):
            continue
        if votes:
            values[row], kind = agreement(votes, text, grading, asked_alone(asked)), "agreement"
        elif read_confidence(text)[1] is not None:  # quick; but what is said in reasoning does not count
            said, kind = grading.read(text).confidence, "stated"
            values[row] = np.nan if said is None else said
        else:
            continue
        sure[row], kinds[row] = True, KINDS.index(kind)
    return Numbers(values, sure), kinds


def asked_alone(text: Any) -> str | None:
    """The question in what a log has for one, without instructions and the examples before it.

    Example:
        >>> asked_alone("Question: Capital of Chile?\\nAnswer: Santiago\\n\\nQuestion: Capital of Peru?\\nAnswer:")
        'Capital of Peru?'
    """
    return (question_of(text) or None) if isinstance(text, str) else None


def agreement(votes: Sequence[str], chosen: str, grading: Grading = Grading(), question: str | None = None) -> float:
    """Share of several answers that say what the chosen one says: its self-consistency (Wang et al. 2023).

    Two answers say the same if they read the same once parsed, or if the grader takes one for the other's gold.

    Example:
        >>> agreement(["Lima", "It's Lima.", "Quito", "I don't know"], "Lima")
        0.5
    """
    answer = grading.read(chosen)
    return sum(_same(grading.read(vote), answer, grading.grader_of(), question) for vote in votes) / len(votes)


def _same(one: Response, other: Response, grader: str, question: str | None) -> bool:
    if one.abstained or other.abstained:
        return one.abstained and other.abstained
    if answer_key(one) == answer_key(other):
        return True
    return bool(other.answer) and grade_response(one, [other.answer], grader, question) is Verdict.CORRECT


def answer_key(response: Response) -> str:
    """What is the same for answers that differ in case, spaces and full stops only."""
    return "" if response.abstained else " ".join(response.answer.casefold().split()).strip(" .!?\"'")
