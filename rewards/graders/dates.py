"""The `date` grader: one day in many spellings.

Every field that the gold states must be stated and equal; the answer may say more. A gold "1972" is met by
"14 December 1972"; a gold "14 December 1972" is not met by "1972", unless a question asks no more than "When ...?" and
the reading is lenient. "02/01/2020" is read both ways, and either reading
counts. "Early 1985" and "about 1985" are 1985; "before 1985" and "1984-1985" are not. A decade or a century is met by
itself and by what lies in it; two-digit years are not read.

How dates are written is in `calendars`, which of a reply's dates it states in `stated`.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from abstain.rewards.graders.alignment import is_long
from abstain.rewards.graders.asked import asks_no_date
from abstain.rewards.graders.days import Day
from abstain.rewards.graders.mentions import Stated, find_stated
from abstain.rewards.graders.numeric import grade_numeric
from abstain.rewards.graders.prose_numbers import marked_in
from abstain.rewards.graders.stated import joined_to_dates, stated
from abstain.rewards.graders.tokens import number_text
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

_WHEN = re.compile(r"\Awhen\b|, when (?:did|was|were|is|does|do)\b|\b(?:what|which) year\b", re.IGNORECASE)
_EXACTLY = re.compile(r"\b(?:days?|dates?|months?|exact(?:ly)?|precise(?:ly)?|birthday)\b", re.IGNORECASE)


@lru_cache(maxsize=20_000)
def _golds(gold: tuple[str, ...]) -> tuple[Day, ...]:
    return tuple(day for text in gold for day in _gold_day(text))


def _gold_day(gold: str) -> frozenset[Day]:
    mentions = [s.date for s in find_stated(number_text(gold)) if s.date]
    return mentions[0].readings if len({m.readings for m in mentions}) == 1 else frozenset()


def same_date(first: Stated, second: Stated) -> bool:
    """Whether one mention says no other day than another does."""
    return second.date is not None and any(_agrees(first, day) for day in second.date.readings)


def _repeats(said: Stated, asked: Stated) -> bool:
    """Whether a date says no more than the question does: "2013" of "in May 2013", and not the other way round."""
    if said.date is None or asked.date is None:
        return False
    return all(any(one.meets(day) for one in asked.date.readings) for day in said.date.readings)


def _days(text: str, found: list[Stated]) -> list[Stated]:
    """Where a day is asked for, the mentions of days, if there are any; a year beside them is of another kind."""
    dated = [s for s in joined_to_dates(text, found) if s.date]
    return [s for s in dated if s.date and all(day.day for day in s.date.readings)] or dated


def grade_date(answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
    """Grade a date. Several dates that are not one are INCORRECT; a gold without one date is UNGRADED.

    Example:
        >>> [grade_date(a, ["2020-01-02"]).value for a in ("on January 2nd, 2020", "2020")]
        ['CORRECT', 'INCORRECT']
    """
    golds = _golds(tuple(gold))
    if not golds:
        return Verdict.UNGRADED
    if all(text.strip(" .").isdigit() for text in gold) and asks_no_date(question):
        return grade_numeric(answer, gold, question, reading)  # "1213" performances
    sift = _days if question and all(g.day for g in golds) and is_long(answer) else joined_to_dates

    strict, bold = reading == "strict", marked_in(answer) if question else []
    said = stated(number_text(answer), number_text(question), strict, sift, same_date, bold, _repeats)
    if not said or any(s.bound or s.date is None for s in said):
        return Verdict.INCORRECT
    for g in golds:
        narrower = [other for other in golds if other != g and other.meets(g)]
        if narrower and not any(_agrees(s, other) for s in said for other in narrower):
            continue  # "16 January 2017" is no "January 2017" where another gold says 12 January 2017
        meeting = [any(day.meets(g) for day in s.date.readings) for s in said if s.date]
        if any(meeting) and all(_agrees(s, g) for s in said):
            return Verdict.CORRECT
    coarse = reading == "lenient" and _asks_only_when(question) and len({g.year for g in golds}) == 1
    whole = all(day.year and not day.part for s in said if s.date for day in s.date.readings)
    right = coarse and whole and all(_agrees(s, g) for s in said for g in golds)
    return Verdict.CORRECT if right else Verdict.INCORRECT


def _agrees(said: Stated, gold: Day) -> bool:
    """Whether a mention says more than the gold, or less, and nothing else."""
    return said.date is not None and any(day.meets(gold) or gold.meets(day) for day in said.date.readings)


def _asks_only_when(question: str) -> bool:
    """Whether a year answers a question, whose gold is a day: "When did it close?", not "On what day ...?"."""
    return bool(_WHEN.search(question)) and not _EXACTLY.search(question)
