"""Graders: functions of (stated answer, gold answers) to CORRECT, INCORRECT or UNGRADED.

They are pure, accept any text, and take time in proportion to its length. A gold answer that a grader cannot read
makes the question UNGRADED; it never makes the answer wrong.
"""

from collections.abc import Sequence
from typing import Protocol

from abstain.rewards.graders.choice import grade_choice
from abstain.rewards.graders.dates import grade_date
from abstain.rewards.graders.match import grade_match
from abstain.rewards.graders.mathematics import grade_math
from abstain.rewards.graders.numeric import grade_numeric
from abstain.rewards.graders.overlap import grade_exact, grade_f1
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

__all__ = [
    "GRADERS",
    "Grader",
    "grade_choice",
    "grade_date",
    "grade_exact",
    "grade_f1",
    "grade_match",
    "grade_math",
    "grade_numeric",
]


class Grader(Protocol):
    """A stated answer, the gold answers, the question if it is known, and how strictly the answer is read."""

    def __call__(
        self, answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient"
    ) -> Verdict: ...


GRADERS: dict[str, Grader] = {
    "match": grade_match,
    "exact": grade_exact,
    "f1": grade_f1,
    "numeric": grade_numeric,
    "date": grade_date,
    "choice": grade_choice,
    "math": grade_math,
}
