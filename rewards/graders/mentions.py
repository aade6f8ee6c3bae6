"""The numbers and dates of a text, in one list, and what stands around each: "1985" may be either."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from abstain.rewards.graders.calendars import CENTURIES, DATE_STARTS, date_at, has_date
from abstain.rewards.graders.days import Mention
from abstain.rewards.graders.quantities import NUMBER_STARTS, Quantity, has_number, quantity_at
from abstain.rewards.graders.tokens import Tokens, lower, number_text
from abstain.rewards.graders.units import SPELLED
from abstain.rewards.graders.words import FUNCTION, HEDGES

MOST = 150  # different numbers after which a reply is a list, and no answer


@dataclass(slots=True)
class Stated:
    """A number or a date of a reply, or what may be either ("1985").

    Args:
        start: offset in the text.
        end: offset behind it.
        quantity: it as a number.
        date: it as a date.
        bound: "<" or ">" for "less than 5" and "after 1985", which state no value; "" else.
    """

    start: int
    end: int
    quantity: Quantity | None = None
    date: Mention | None = None
    bound: str = ""


def find_stated(text: str) -> list[Stated]:
    """The numbers and dates of a text that went through `number_text`, in order.

    Example:
        >>> [(bool(s.quantity), bool(s.date)) for s in find_stated("324 m since 1889, and on 5 May")]
        [(True, False), (True, True), (False, True)]
        >>> [s.quantity.value for s in find_stated("from -1,234 to 3.5 million, or twenty-one; 6.02e23; 1.234,5")]
        [-1234.0, 3500000.0, 21, 6.02e+23, 1234.5]
    """
    if not (has_number(text) or has_date(text)):
        return []
    found: list[Stated] = []
    low, begin = lower(text), 0
    while begin < len(text) and len(found) <= MOST:
        end = _block_end(text, begin)
        _find_in(Tokens(text, low, begin, end), found)
        begin = end
    return found


def _block_end(text: str, begin: int) -> int:
    """Where to stop reading for the moment: behind a sentence, else at a space, so that a long list is soon seen."""
    if len(text) - begin < 3_000:
        return len(text)
    for sign in ("\n", ". ", "。", " "):
        end = text.find(sign, begin + 2_000, begin + 2_600)
        if end > 0:
            return end + 1
    return begin + 2_600


def _find_in(t: Tokens, found: list[Stated]) -> None:
    i = 0
    everything = not CENTURIES.isdisjoint(t.low)
    for at, (kind, low) in enumerate(zip(t.kinds, t.low, strict=True)):
        if at < i or not (kind == "n" or low in _TRIGGERS or (kind == "w" and (everything or low[-1].isdigit()))):
            continue
        if len(found) > MOST:
            break
        i = at
        if kind == "w" and low[-1].isdigit() and low not in SPELLED and _hides(t.text[t.starts[at] : t.ends[at]]):
            hidden = Quantity(float("nan"), None, 0.0, t.starts[at], t.ends[at])
            found.append(Stated(t.starts[at], t.ends[at], hidden))
            continue
        if clock := _clock_end(t, i):
            i = clock
            continue
        dated = date_at(t, i)
        if dated and not dated[0].bare:
            found.append(Stated(dated[0].start, dated[0].end, None, dated[0]))
            i = dated[1]
            continue
        read = quantity_at(t, i)
        if dated:
            quantity = read[0] if read and (read[0].year or read[0].end == dated[0].end) else None
            if quantity is None and read:  # "1985 km"
                found.append(Stated(read[0].start, read[0].end, read[0]))
                i = read[1]
                continue
            found.append(Stated(dated[0].start, dated[0].end, quantity or _as_number(dated[0]), dated[0]))
            i = dated[1]
        elif read:
            found.append(Stated(read[0].start, read[0].end, read[0]))
            i = read[1]
        elif kind == "n" and t.glued(at + 1) and _RUN_ON.fullmatch(t.low[at + 1]):  # "1985orperhaps"
            found.append(Stated(t.starts[at], t.ends[at], Quantity(float("nan"), None, 0.0, t.starts[at], t.ends[at])))


def _clock_end(t: Tokens, i: int) -> int:
    """The index behind a time of the day ("10:30"), which is no number and no date, or 0."""
    low = t.low
    if low[i + 1] != ":" or not (low[i].isdigit() and len(low[i]) < 3 and int(low[i]) < 25 and t.glued(i + 1)):
        return 0
    k = i + 2
    if not (t.glued(k) and len(low[k]) == 2 and low[k].isdigit() and int(low[k]) < 60):
        return 0
    return k + 3 if low[k + 1] == ":" and t.glued(k + 2) and low[k + 2].isdigit() else k + 1


def _hides(word: str) -> bool:
    """Whether a number is hidden in a word: "also41" and "km12", not "B2"."""
    return bool(_HIDDEN.fullmatch(word)) or word.rstrip("0123456789") in SPELLED


_HIDDEN = re.compile(r"(?:[a-z]{3,}|[^\W\d_a-zA-Z]+)\d+")
_RUN_ON = re.compile(r"[a-z]{4,}")
_TRIGGERS = NUMBER_STARTS | DATE_STARTS


def _as_number(date: Mention) -> Quantity | None:
    years = {day.year for day in date.readings}
    year = years.pop() if len(years) == 1 else None
    return Quantity(float(year), None, 0.0, date.start, date.end, True) if year else None


@lru_cache(maxsize=20_000)
def whole_mention(text: str) -> Stated | None:
    """The one number or date that a text is made of, as a gold may be, or `None`; names such as "August" are none.

    Example:
        >>> [bool(whole_mention(gold)) for gold in ("5 May 1985", "$5 million", "twenty-one", "Boeing 747", "August")]
        [True, True, True, False, False]
    """
    plain = number_text(text).strip(" .")
    found = find_stated(plain)
    if len(found) != 1 or (found[0].start, found[0].end) != (0, len(plain)) or (plain.istitle() and plain.isalpha()):
        return None
    return found[0]


def gap_between(text: str, first: Stated, second: Stated) -> str:
    """What stands between two neighbours, in lower case; "…" if it is much."""
    return text[first.end : second.start].strip().lower() if second.start - first.end < 24 else "…"


Same = Callable[[Stated, Stated], bool]  # whether two mentions are one number or date
STOP = re.compile(r"(?<![.!?])[.!?]+[\"')\]*_]*(?=\s)|[。！？\n]")
TOLD = re.compile(
    r"\b(?:\w{2,}ed|born|aged|since|won|built|made|became|began|held|sold|rose|fell|left)\b", re.IGNORECASE
)


def noun_behind(text: str, end: int) -> str:
    """The lower-case word directly behind a number, its plural s removed, or ""."""
    hit = re.match(r"[ -]([a-z]{3,30})\b", text[end : end + 33])
    return hit[1].rstrip("s") if hit and hit[1] not in FUNCTION and hit[1] not in HEDGES else ""


_YEAR_BEFORE = re.compile(
    r"\b(?:in|since|by|as of|of|until|during|year|before|after|from|circa|ca\.?|around|for|between"
    r"|(?:between|from) \d{4} ?(?:and|to|-|until|through))(?: the year| about)? ?$",
    re.IGNORECASE,
)


def is_dated(text: str, found: Stated) -> bool:
    """Whether a mention is a date, or a year in the place of one: "in 1889", 1889年."""
    if found.quantity is None or (found.date is not None and not found.date.bare):
        return found.date is not None
    if not found.quantity.year:
        return False
    before = text[max(0, found.start - 26) : found.start]
    return text[found.end - 1] == "年" or before.rfind("(") > before.rfind(")") or bool(_YEAR_BEFORE.search(before))


def all_same(found: Sequence[Stated], same: Same) -> bool:
    """Whether all of them are one number or date."""
    return all(same(found[0], other) for other in found[1:])
