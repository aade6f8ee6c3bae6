"""The `date` grader: one day in many spellings.

Every field that the gold states must be stated and equal; the answer may say more. A gold "1972" is met by
"14 December 1972"; a gold "14 December 1972" is not met by "1972". "02/01/2020" is read both ways, and either reading
counts. English month names, ISO, slashes, 2020年1月2日 and Japanese eras are read; decades, centuries and two-digit
years are not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date as calendar_date

from abstain.rewards.graders.statement import denied, settle
from abstain.rewards.graders.text import tidy
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925, "大正": 1911, "明治": 1867}
_MONTH = (
    r"(?P<month>"
    + "|".join(rf"{m[:3]}(?:{m[3:]})?" if m != "september" else "sept?(?:ember)?" for m in MONTHS)
    + r")\b\.?"
)
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\b"
_YEAR = (
    r"(?P<year>\d{1,4}(?= ?(?:b\.?c|a\.?d|c\.?e)\b)|\d{3,4}\b)"
    r"(?! ?(?:million|billion|thousand|percent|years|people)\b)"
    r"(?P<era> ?(?:b\.?c\.?e?|a\.?d|c\.?e)\b)?"
)
_OLD = r"(?P<year>\d{1,4}) ?(?P<era>b\.?c\.?e?|a\.?d|c\.?e)\b"
_PATTERN_TEXTS = (
    r"(?P<year>\d{4})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})\b",
    r"(?P<day>\d{1,2})(?P<sep>[-/.])(?P<month>\d{1,2})(?P=sep)(?P<year>\d{4})\b(?P<ambiguous>)",
    rf"{_DAY} ?-?(?:of )?{_MONTH}(?: of)?[, -]{{0,2}}(?:{_YEAR})",
    rf"{_DAY} ?-?(?:of )?{_MONTH}",
    rf"{_MONTH} ?(?:the )?{_DAY}(?:,? (?:of )?(?:{_YEAR}))",
    rf"{_MONTH} ?(?:the )?{_DAY}(?![.,:]?\d)",
    rf"{_MONTH}(?: of)?,? (?:{_YEAR})",
    r"(?P<era_name>令和|平成|昭和|大正|明治) ?(?P<year>\d{1,2}|元) ?年"
    r"(?: ?(?P<month>\d{1,2}) ?月(?: ?(?P<day>\d{1,2}) ?日)?)?",
    r"(?P<year>\d{1,4}) ?年(?: ?(?P<month>\d{1,2}) ?月(?: ?(?P<day>\d{1,2}) ?[日号號])?)?",
    r"(?P<month>\d{1,2}) ?月 ?(?P<day>\d{1,2}) ?[日号號]",
    _OLD,
    r"(?P<year>[12]\d{3})(?![\d.,-]?\d|s\b|'s\b| ?(?:million|billion|thousand|percent)\b)(?!\w)",
)
_PATTERNS = [
    re.compile(rf"(?<![\w.,])(?:{text})" if i != 7 else text, re.IGNORECASE) for i, text in enumerate(_PATTERN_TEXTS)
]
_ANY = re.compile(r"\d|元")


@dataclass(frozen=True)
class Day:
    """A day, a month, a year, or a day without a year: what is not stated is `None`. Years BC are negative."""

    year: int | None = None
    month: int | None = None
    day: int | None = None

    @property
    def exists(self) -> bool:
        """Whether the calendar has it; a day without a year may be 29 February."""
        try:
            calendar_date(self.year if self.year and self.year > 0 else 2000, self.month or 1, self.day or 1)
        except ValueError:
            return False
        return True

    def meets(self, gold: "Day") -> bool:
        """Whether every field of `gold` is stated here, and equal."""
        fields = ((self.year, gold.year), (self.month, gold.month), (self.day, gold.day))
        return all(wanted is None or wanted == stated for stated, wanted in fields)


@dataclass(frozen=True)
class Mention:
    """A date in a text: where it stands, and the days it may mean (two for "02/01/2020")."""

    start: int
    end: int
    readings: frozenset[Day]


def _month(text: str | None) -> int | None:
    if text is None or text.isdigit():
        return int(text) if text else None
    return next(i for i, name in enumerate(MONTHS, 1) if name.startswith(text.lower()[:3]))


def _readings(groups: dict[str, str | None]) -> frozenset[Day]:
    stated, era = groups.get("year") or "", (groups.get("era") or "").strip().lower()
    year = (1 if stated == "元" else int(stated)) + _ERAS.get(groups.get("era_name") or "", 0) if stated else None
    year = -year if year and era.startswith("b") else year
    month, day = _month(groups.get("month")), int(groups.get("day") or 0) or None
    readings = {Day(year, month, day)}
    if groups.get("ambiguous") is not None:
        readings.add(Day(year, day, month))
    return frozenset(d for d in readings if d.exists)


def find_dates(text: str) -> list[Mention]:
    """The dates in a tidied text, in order; the longest reading of each.

    Example:
        >>> [max(m.readings, key=str) for m in find_dates("from Jan. 2nd, 2020 until 1972")]
        [Day(year=2020, month=1, day=2), Day(year=1972, month=None, day=None)]
    """
    if not _ANY.search(text):
        return []
    found: list[Mention] = []
    taken = bytearray(len(text) + 1)
    for pattern in _PATTERNS:
        for hit in pattern.finditer(text):
            readings = _readings(hit.groupdict())
            if readings and not any(taken[hit.start() : hit.end()]):
                taken[hit.start() : hit.end()] = b"\1" * (hit.end() - hit.start())
                found.append(Mention(hit.start(), hit.end(), readings))
    return sorted(found, key=lambda m: m.start)


def _gold_day(gold: str) -> frozenset[Day]:
    mentions = find_dates(tidy(gold))
    return mentions[0].readings if len({m.readings for m in mentions}) == 1 else frozenset()


def grade_date(
    answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient"
) -> Verdict:
    """Grade a date. Several dates that do not all agree with the gold are INCORRECT; a gold without one date is
    UNGRADED.

    Example:
        >>> [grade_date(a, ["2020-01-02"]).value for a in ("on January 2nd, 2020", "2020")]
        ['CORRECT', 'INCORRECT']
    """
    golds = [day for text in gold for day in _gold_day(text)]
    if not golds:
        return Verdict.UNGRADED
    statement = settle(tidy(answer), find_dates)
    stated = [m for m in find_dates(statement) if not denied(statement, m.start, m.end)]
    agree = all(any(day.meets(g) for day in m.readings for g in golds) for m in stated)
    return Verdict.CORRECT if stated and agree else Verdict.INCORRECT
