"""Golds that are numbers, dates, stretches of time or durations: which of them a gold is, and the grader of each.

What `match` hands on: a number or a date ("5 km", "May 1985"), a number of things ("827 seats"), from one day to
another ("1995-1997", "27 and 28 November 1994"), and a time on a stop-watch ("53:44"). A text that states none of the
gold's kind is UNGRADED here.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from abstain.rewards.graders.alignment import is_long
from abstain.rewards.graders.dates import grade_date
from abstain.rewards.graders.days import Day, Mention
from abstain.rewards.graders.mentions import MOST, Stated, find_stated, whole_mention
from abstain.rewards.graders.number_frame import is_framed
from abstain.rewards.graders.numeric import grade_numeric
from abstain.rewards.graders.prose_numbers import choose, is_rival, marked_in
from abstain.rewards.graders.quantities import Quantity
from abstain.rewards.graders.statement import denied
from abstain.rewards.graders.text import both_ends
from abstain.rewards.graders.tokens import number_text
from abstain.rewards.graders.units import UNITS
from abstain.rewards.graders.words import FUNCTION
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

_SPELLED = re.compile(
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty)\b", re.IGNORECASE
)
_NUMBERED = re.compile(
    r"\d|[〇零一二三四五六七八九十百千万億亿]|\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
    r"|\w+teen|\w+ty|hundred|thousand|million|billion|dozen|once|twice|first|second|third|\w+th)\b",
    re.IGNORECASE,
)
_NOUN = re.compile(r"(?: [a-z]{3,20}){1,3}")
_TO = re.compile(r"\s*(?:-|~|/|\bto\b|\b(?:un)?til\b|\bthr(?:ough|u)\b|\bup to\b)\s*(?:the )?\s*", re.IGNORECASE)
_AND = re.compile(r"\s*(?:and|&)\s*(?:the )?", re.IGNORECASE)
_AROUND = re.compile(
    r"\A(?:at |in )?(?:about|around|approximately|approx\.?|roughly|circa|c\.|ca\.?) |(?<=years) ago\Z", re.IGNORECASE
)
_BEGAN = re.compile(r"\b(?:start(?:s|ed)?|beg[iau]ns?|opened|founded|formed)\b[\w ]{0,12}$", re.IGNORECASE)
_ENDED = re.compile(
    r",? and (?:it )?(?:was |were )?(?:finished|completed|ended|ends|concluded|closed|stopped|disbanded|dissolved)"
    r"(?: in| on| by)? (?:the )?",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\bbetween (?:the )?$", re.IGNORECASE)
_CLOCK = re.compile(r"(?<![\d:.,])(\d{1,3}):([0-5]\d)(?::([0-5]\d))?(\.\d{1,3})?(?![\d:])")
_TIMED = re.compile(
    r"\b(?:seconds?|minutes?|long|length|duration|run(?:ning)? ?time|runtime|song|track|race|record)\b", re.IGNORECASE
)
_SPANNED = re.compile(r"\s{0,9}(?:\b(?:from|between|in)\b)?\s{0,9}", re.IGNORECASE)


@dataclass(slots=True)
class Stretch(Stated):
    """From one day to another, as a text states it; each end with the days that it may mean."""

    first: frozenset[Day] = frozenset()
    last: frozenset[Day] = frozenset()


def _is_day(s: Stated) -> bool:
    """Whether a number may be a day of the month."""
    return s.date is None and s.quantity is not None and s.quantity.unit is None and s.quantity.value in range(1, 32)


def _two_digits(text: str, s: Stated) -> bool:
    return s.date is None and text[s.start : s.end].isdigit() and s.end - s.start == 2


def _filled(first: Mention, last: Mention) -> tuple[frozenset[Day], frozenset[Day]]:
    """Both ends, the first with the year of the last where it states none ("5 May to 8 June 1994")."""
    years = {day.year for day in last.readings}
    year = years.pop() if len(years) == 1 else None
    return frozenset(day if day.year else replace(day, year=year) for day in first.readings), last.readings


def _ends(
    text: str, first: Stated, second: Stated, third: Stated | None
) -> tuple[frozenset[Day], frozenset[Day], int] | None:
    """The two ends that two neighbours are of, and where they end."""
    if first.date and second.date:
        return *_filled(first.date, second.date), second.end
    if first.date and first.date.bare and _two_digits(text, second):  # 1903-04
        year = next(iter(first.date.readings)).year or 0
        other = year // 100 * 100 + int(text[second.start : second.end])
        return (first.date.readings, frozenset([Day(other)]), second.end) if other > year else None
    if second.date and _is_day(first) and first.quantity:  # 27-28 November 1994
        days = {replace(day, day=int(first.quantity.value)) for day in second.date.readings if day.day and day.month}
        return (frozenset(days), second.date.readings, second.end) if days else None
    if first.date and _is_day(second) and second.quantity:  # November 27-28, 1994
        days = {day for day in first.date.readings if day.day and day.month}
        after: int | None = None
        end = second.end
        if third and third.date and third.date.bare and text[second.end : third.start].strip() in ("", ","):
            after, end = next(iter(third.date.readings)).year, third.end
        days = {day if day.year else replace(day, year=after) for day in days}
        last = frozenset(replace(day, day=int(second.quantity.value)) for day in days)
        return (frozenset(days), last, end) if days else None
    return None


def _follows(first: frozenset[Day], last: frozenset[Day]) -> bool:
    """Whether one is the day or year after another, so that "1994 and 1995" are 1994-1995."""
    one, other = next(iter(first), Day()), next(iter(last), Day())
    if one.day and other.day:
        return (one.year, one.month, one.day + 1) == (other.year, other.month, other.day)
    return not one.month and not other.month and (one.year or 0) + 1 == other.year


def find_stretches(text: str, stated: Sequence[Stated] | None = None) -> list[Stretch]:
    """The stretches of time that a text states, which went through `number_text`.

    Example:
        >>> [text[s.start : s.end] for text in ("from 1995 to 1997", "1903-04, or May 5-8, 1910") for s in
        ...  find_stretches(text)]
        ['1995 to 1997', '1903-04', 'May 5-8, 1910']
    """
    found = find_stated(text) if stated is None else list(stated)
    out: list[Stretch] = []
    for i, (first, second) in enumerate(pairwise(found)):
        if second.start - first.end > 40 or (out and first.start < out[-1].end):
            continue
        gap = text[first.end : second.start]
        joined, both = bool(_TO.fullmatch(gap)), bool(_AND.fullmatch(gap))
        joined = joined or bool(_ENDED.fullmatch(gap) and _BEGAN.search(text[max(0, first.start - 30) : first.start]))
        if not (joined or both):
            continue
        ends = _ends(text, first, second, found[i + 2] if i + 2 < len(found) else None)
        if ends is None or not (ends[0] and ends[1]):
            continue
        if both and not (_BETWEEN.search(text[max(0, first.start - 12) : first.start]) or _follows(ends[0], ends[1])):
            continue
        out.append(Stretch(first.start, ends[2], None, None, "", ends[0], ends[1]))
    return out


def _meets(said: Stretch, gold: Stretch) -> bool:
    return any(day.meets(other) for day in said.first for other in gold.first) and any(
        day.meets(other) for day in said.last for other in gold.last
    )


def _same_stretch(first: Stated, second: Stated) -> bool:
    return (
        isinstance(first, Stretch) and isinstance(second, Stretch) and (_meets(first, second) or _meets(second, first))
    )


def _gold_stretch(gold: str) -> Stretch | None:
    text = number_text(gold).strip(" .")
    found = find_stretches(text)
    if len(found) != 1 or found[0].end != len(text) or not _SPANNED.fullmatch(text[: found[0].start]):
        return None
    return found[0]


def _seconds(hit: re.Match[str]) -> float:
    big, middle, small, part = hit.groups()
    whole = int(big) * 60 + int(middle) if small is None else int(big) * 3600 + int(middle) * 60 + int(small)
    return whole + float(part or 0)


def _gold_clock(gold: str) -> float | None:
    hit = _CLOCK.fullmatch(gold.strip(" ."))
    return _seconds(hit) if hit else None


def find_durations(text: str) -> list[Stated]:
    """The durations of a text, in seconds: as on a stop-watch, or in two units at least if any are.

    Example:
        >>> [s.quantity.value for s in find_durations("a 90-minute film; 2 minutes and 28 seconds (2:28)")]
        [148.0, 148.0]
    """
    clocks = [
        Stated(hit.start(), hit.end(), Quantity(_seconds(hit), UNITS["s"], 0.0, hit.start(), hit.end()))
        for hit in _CLOCK.finditer(text)
    ]
    spelled = []
    for s in find_stated(text):
        unit = s.quantity.unit if s.quantity else None
        if s.quantity and unit and unit.measures == "time":
            seconds = round(s.quantity.value * unit.factor, 3)
            spelled.append(Stated(s.start, s.end, Quantity(seconds, UNITS["s"], 0.0, s.start, s.end)))
    compound = [s for s in spelled if len(re.findall(r"\d+|and", text[s.start : s.end])) > 1]
    return sorted(clocks + (compound if clocks or compound else spelled), key=lambda s: s.start)


def _same_duration(first: Stated, second: Stated) -> bool:
    return bool(first.quantity and second.quantity and abs(first.quantity.value - second.quantity.value) < 1e-6)


def _is_number_of(gold: str) -> bool:
    """Whether a gold is a number of things: "827 seats"."""
    text = number_text(gold.lower() if _SPELLED.match(gold) else gold).strip(" .")
    found = find_stated(text)
    if len(found) != 1 or found[0].start or found[0].quantity is None or found[0].quantity.unit:
        return False
    noun = _NOUN.fullmatch(text, found[0].end)
    return bool(noun) and FUNCTION.isdisjoint(text[found[0].end :].split())


@lru_cache(maxsize=20_000)
def kind_of_gold(golds: tuple[str, ...]) -> str:
    """What every gold is: "date", "number", "number of" things, "stretch", "clock", or "".

    Example:
        >>> [kind_of_gold((gold,)) for gold in ("May 1985", "5 km", "827 seats", "1995-1997", "53:44", "Boeing 747")]
        ['date', 'number', 'number of', 'stretch', 'clock', '']
    """
    if not all(map(_NUMBERED.search, golds)):
        return ""
    bare = [_AROUND.sub("", gold) for gold in golds]
    mentions = [whole_mention(gold.lower() if _SPELLED.match(gold) else gold) for gold in bare]
    if all(mentions):
        return "date" if any(mention.date for mention in mentions if mention) else "number"
    if all(map(_gold_stretch, golds)):
        return "stretch"
    if all(_gold_clock(gold) is not None for gold in golds):
        return "clock"
    return "number of" if all(map(_is_number_of, golds)) else ""


def grade_counted(answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
    """Grade a number, a date, a stretch of time or a duration; UNGRADED where the gold is none, or the text has none.

    Example:
        >>> [grade_counted(a, ["1995-1997"]).value for a in ("from 1995 to 1997", "from 1995 to 1998")]
        ['CORRECT', 'INCORRECT']
    """
    golds = tuple(gold)
    kind = kind_of_gold(golds)
    if kind == "date":
        verdict = grade_date(answer, golds, question, reading)
        within = reading == "lenient" and verdict is Verdict.INCORRECT and _is_within(answer, golds)
        return Verdict.CORRECT if within else verdict
    if kind == "number":
        if reading == "lenient" and question and _CLOCK.search(answer) and (timed := _gold_durations(golds)):
            return _grade_duration(answer, timed, question)
        return grade_numeric(answer, golds, question, reading)
    if kind == "number of":
        if not question or not is_long(answer):
            return Verdict.UNGRADED
        verdict = grade_numeric(answer, golds, question)
        return Verdict.UNGRADED if reading == "strict" and verdict is Verdict.CORRECT else verdict  # a frame as well
    if kind == "stretch":
        return _grade_stretch(answer, golds, question, reading)
    if reading == "lenient" and question and not kind and (ranges := list(filter(None, map(_as_range, golds)))):
        right = grade_numeric(answer, ranges, question) is Verdict.CORRECT
        return Verdict.CORRECT if right else Verdict.UNGRADED
    if kind == "clock" and reading == "lenient" and _TIMED.search(question):
        return _grade_duration(answer, [second for g in golds if (second := _gold_clock(g)) is not None], question)
    return Verdict.UNGRADED


def _is_within(answer: str, golds: Sequence[str]) -> bool:
    """Whether all that a text says is a stretch of time within the gold: "18-20 January 1788" for 1788."""
    text = number_text(both_ends(answer))
    stated = find_stated(text)
    found = find_stretches(text, stated)
    if (
        len(found) != 1
        or denied(text, found[0].start, found[0].end)
        or not all(found[0].start <= s.start < found[0].end for s in stated)
    ):
        return False
    days = [s.date.readings for g in golds if (s := whole_mention(g)) and s.date]
    ends = (found[0].first, found[0].last)
    return any(all(any(day.meets(g) for day in end) for end in ends) for gold in days for g in gold)


def _as_range(gold: str) -> str:
    """A gold such as "10 to 12 years", which any number of years in between meets, as `numeric` reads it, or ""."""
    if not _NUMBERED.search(gold):
        return ""
    text = number_text(gold)
    found = find_stated(text)
    if len(found) != 2 or not _TO.fullmatch(text[found[0].end : found[1].start]):
        return ""
    low, high = (s.quantity for s in found)
    if not (low and high and high.unit) or low.unit not in (None, high.unit) or low.value >= high.value or low.year:
        return ""
    first, last = (text[s.start : s.end] for s in found)
    return f"{last} (acceptable range: {first} to {last})"


def _gold_durations(golds: Sequence[str]) -> list[float]:
    """The seconds of golds that are times of two units: "4 minutes and 6 seconds"."""
    found = [find_durations(number_text(gold)) for gold in golds]
    if not all(len(row) == 1 and len(re.findall(r"\d+", gold)) > 1 for row, gold in zip(found, golds, strict=True)):
        return []
    return [row[0].quantity.value for row in found if row[0].quantity]


def _grade_duration(answer: str, golds: Sequence[float], question: str) -> Verdict:
    text = number_text(both_ends(answer))
    found = find_durations(text)
    if not found or len(found) > MOST:
        return Verdict.UNGRADED
    said = choose(text, found, number_text(question), _same_duration, marked_in(answer))
    right = bool(said) and any(abs(s.quantity.value - g) < 1e-6 for s in said[:1] if s.quantity for g in golds)
    return Verdict.CORRECT if right else Verdict.INCORRECT


def _grade_stretch(answer: str, golds: Sequence[str], question: str, reading: Reading) -> Verdict:
    text = number_text(both_ends(answer))
    everything = find_stated(text)
    found = find_stretches(text, everything)
    if not found or len(everything) > MOST:
        return Verdict.UNGRADED
    question = number_text(question)
    if reading == "strict":
        if len(found) > 1:
            return Verdict.INCORRECT
        said: list[Stated] = list(found) if is_framed(text, found, question) else []
        if not said:
            return Verdict.UNGRADED
    else:
        said = choose(text, list(found), question, _same_stretch, marked_in(answer))
        others = [s for s in everything if s.date and not any(f.start <= s.start < f.end for f in found)]
        for s in said:
            before = [o for o in others if o.end <= s.start][-1:]
            after = [o for o in others if o.start >= s.end][:1]
            if any(is_rival(text, o, s) for o in before) or any(is_rival(text, s, o) for o in after):
                return Verdict.INCORRECT
    wanted = [stretch for g in golds if (stretch := _gold_stretch(g))]
    right = bool(said) and any(all(isinstance(s, Stretch) and _meets(s, g) for s in said) for g in wanted)
    return Verdict.CORRECT if right else Verdict.INCORRECT
