"""Where a string grader may err: what is right in one reading only, and long answers that hold the gold unpaid.

A string grader reads strictly (nothing but an answer's own frame may surround it) or leniently (sentences may say
more). Where the two part, or where a gold answer stands in a long answer that was not paid, the verdict rests on a
rule, and rules err. How often that is the case can be counted without a judge; who is right in each case cannot.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from abstain.rewards.graders.match import gold_stands
from abstain.rewards.grading import gold_answers, grade_response, settle
from abstain.rewards.judge.grader import count_words
from abstain.rewards.response import Reading, Response
from abstain.rewards.verdict import Verdict

LONG = 12
"""Words; an answer of more is a sentence or several."""
GRADED, IS_LONG, ONE_READING, UNPAID_GOLD = 1, 2, 4, 8
"""Flags of one graded answer; their sum is what `doubts` returns."""


def doubts(
    response: Response,
    gold: Sequence[str],
    verdict: Verdict,
    grader: str = "match",
    question: str | None = None,
    reading: Reading = "lenient",
) -> int:
    """What a string grader's verdict on one answer rests on, as a sum of flags.

    Strict is only ever stricter, so the other reading is asked only where it can differ.

    Args:
        response: the parsed completion.
        gold: the right answers.
        verdict: what the grader said in this reading.
        grader: which one.
        question: what was asked, if it is known.
        reading: in which the verdict was given.

    Returns:
        0 for what is UNGRADED, else `GRADED`; where the parser has not settled it, added to that: `IS_LONG`;
        `ONE_READING` if it is right leniently but not strictly; `UNPAID_GOLD` if it is long, INCORRECT, and a gold
        answer stands in it.

    Example:
        >>> doubts(Response("Lima"), ["Lima"], Verdict.CORRECT), doubts(Response(""), ["Lima"], Verdict.INCORRECT)
        (1, 1)
        >>> long = Response("Many think of Lima, since it is the largest city by far, but I would say it is Cusco.")
        >>> doubts(long, ["Lima"], Verdict.INCORRECT) == GRADED + IS_LONG + UNPAID_GOLD
        True
    """
    if verdict is Verdict.UNGRADED:
        return 0
    if settle(response, gold) is not None:
        return GRADED
    flags = GRADED + IS_LONG * (count_words(response.answer) > LONG)
    other: Reading = "strict" if reading == "lenient" else "lenient"
    if verdict is (Verdict.CORRECT if reading == "lenient" else Verdict.INCORRECT):
        again = grade_response(response, gold, grader, question, other)
        flags += ONE_READING * ((again is Verdict.CORRECT) != (verdict is Verdict.CORRECT))
    if verdict is Verdict.INCORRECT and flags & IS_LONG and gold_stands(response.answer, _told(gold, grader)):
        flags += UNPAID_GOLD
    return flags


def _told(gold: Sequence[str], grader: str) -> list[str]:
    """The golds that mean something where they stand; the letter of an option is a word like others."""
    golds = gold_answers(gold)
    return [text for text in golds if len(text) > 1] if grader == "choice" else golds


def reading_gap(flags: Sequence[int] | np.ndarray, n: int) -> float | None:
    """Share of n answers that are CORRECT leniently but not strictly; `None` if none of them was graded.

    Example:
        >>> reading_gap([1, 5, 0, 1], 4), reading_gap([0, 0], 2)
        (0.25, None)
    """
    found = np.asarray(flags, dtype=np.int64)
    return float(np.count_nonzero(found & ONE_READING)) / n if (found & GRADED).any() else None


def long_answers(flags: Sequence[int] | np.ndarray, grader: str) -> dict[str, Any] | None:
    """How many long answers a string grader graded, and how many of these verdicts rest on a rule that can err.

    Returns:
        `n` long answers; `gold_unpaid`, those that hold a gold answer and were not paid; `paid_leniently`, those paid
        in sentences that say more; `in_doubt`, the share of both; `grader`. `None` if no answer is long.

    Example:
        >>> long_answers([GRADED + IS_LONG, GRADED + IS_LONG + UNPAID_GOLD, GRADED], "match")
        {'grader': 'match', 'n': 2, 'gold_unpaid': 1, 'paid_leniently': 0, 'in_doubt': 0.5}
    """
    found = np.asarray(flags, dtype=np.int64)
    of_long = found[(found & IS_LONG) > 0]
    if not len(of_long):
        return None
    unpaid = (of_long & UNPAID_GOLD) > 0
    leniently = ((of_long & ONE_READING) > 0) & ~unpaid
    counts = {"n": len(of_long), "gold_unpaid": int(unpaid.sum()), "paid_leniently": int(leniently.sum())}
    return {"grader": grader, **counts, "in_doubt": (counts["gold_unpaid"] + counts["paid_leniently"]) / counts["n"]}


def describe_long_answers(found: Mapping[str, Any], judged_by: str) -> str:
    """One line for people, to stand below a table.

    Args:
        found: from `long_answers`.
        judged_by: the command that would ask a judge.

    Example:
        >>> found = {"grader": "match", "n": 40, "gold_unpaid": 3, "paid_leniently": 5, "in_doubt": 0.2}
        >>> describe_long_answers(found, "abstain eval … --judge NAME")
        '`match` read 40 answers of more than 12 words; 20.0% of these verdicts rest on a rule that can err: 3 hold the
        gold but were not paid, 5 were paid in sentences that say more. A judge would settle them
        (abstain eval … --judge NAME)'
    """
    unpaid, leniently = found["gold_unpaid"], found["paid_leniently"]
    n = f"{found['n']:,} {'answer' if found['n'] == 1 else 'answers'} of more than {LONG} words"
    if not unpaid + leniently:
        return f"`{found['grader']}` read {n}, none of them by a rule that can err"
    return (
        f"`{found['grader']}` read {n}; {found['in_doubt']:.1%} of these verdicts rest on a rule that can err: "
        f"{unpaid:,} {'holds' if unpaid == 1 else 'hold'} the gold but {'was' if unpaid == 1 else 'were'} not paid, "
        f"{leniently:,} {'was' if leniently == 1 else 'were'} paid in sentences that say more. "
        f"A judge would settle them ({judged_by})"
    )
