"""Graders: functions of a stated answer, the gold answers, the question and a reading, to a `Verdict`.

They accept any text, and take time in proportion to its length. A gold answer that a grader cannot read makes the
question UNGRADED; it never makes the answer wrong.

Who speaks in `match`, in this order; the first that is sure decides:

1. the gold itself, letter for letter;
2. `counts`: where every gold is a number, a date, a stretch of time or a duration, `numeric` or `date` (`mentions`
   finds what is said, `stated` chooses, `sums`, `limits`, `asked` help; `prose_numbers` chooses in long answers);
3. `names`: the whole answer is the gold in another spelling (`spelling`, `people`, `places`, `lists`);
4. yes and no;
5. `marks`: a gold whose words stand there with another sign or bracket ("A-", "O(1)") is another thing;
6. `elsewhere`: plain words, none of which begins as one of a gold does, are INCORRECT at once;
   `spans`: where a gold stands in the answer as a name of its own, `parts` where it is of several, is spelt out, or is
   a part of someone's full name; nowhere: INCORRECT, but for 9;
7. `frame`, the strict reading: the gold, masked, in a positive grammar of what may surround one answer;
8. the lenient reading: `roles` chooses the sentence's answer among its `candidates` without looking at the gold,
   `unspaced` does so for Chinese and Japanese;
9. long answers to a known question, leniently: `prose` chooses one thing among all that are named (weighed by
   `alignment`, never by the gold), and `likeness` compares that one generously.

`pieces` and `vocabulary` are the alphabet of 7 to 9. `choice` and `math` find the one stated letter (or expression)
first, and compare then. So no text is paid for two golds, whatever stands between them. `claims` reads long answers,
whose golds are all true together. `own` asks a function of somebody's own.
"""

from collections.abc import Sequence
from typing import Protocol

from abstain.rewards.graders.choice import grade_choice
from abstain.rewards.graders.claims import grade_claims
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
    "grade_claims",
    "grade_date",
    "grade_exact",
    "grade_f1",
    "grade_match",
    "grade_math",
    "grade_numeric",
]


class Grader(Protocol):
    """A stated answer, the gold answers, the question if it is known, and how strictly the answer is read.

    Args:
        answer: what the completion states, without reasoning, tags and confidence.
        gold: right answers, of which one is enough.
        question: what was asked, "" if that is not known.
        reading: strict, where nothing but one answer in its own frame may stand there, or lenient.
    """

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
    "claims": grade_claims,
}
