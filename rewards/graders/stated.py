"""Which number or date a reply states: found without looking at the gold, so that no text is paid for two of them.

Only the gold's kind is known here (its unit's measure, or that it is a date). Every number and date of the reply is a
candidate until it is seen to be something else: denied, a part of the question, of another kind, a conversion, the
operand of a sum, or told of in a later sentence of its own. Candidates that are left must be one and the same thing,
whatever stands between them. In order: denials, the question, kinds, sums, the last choice, sentences, nouns.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from abstain.rewards.graders.alignment import is_long
from abstain.rewards.graders.asked import Counting, aim_of, with_years
from abstain.rewards.graders.limits import is_denied, is_least, is_ruled_out, limit_of, may_deny
from abstain.rewards.graders.mentions import (
    MOST,
    STOP,
    TOLD,
    Same,
    Stated,
    all_same,
    find_stated,
    gap_between,
    is_dated,
    noun_behind,
)
from abstain.rewards.graders.number_frame import KANJI_WORD, LONGEST, RIVAL_KANJI, RIVAL_WORDS, WORD, is_framed
from abstain.rewards.graders.numerals import word_set
from abstain.rewards.graders.prose_numbers import RANKED, nearest, words_behind
from abstain.rewards.graders.statement import last_choice
from abstain.rewards.graders.sums import sums
from abstain.rewards.graders.text import both_ends
from abstain.rewards.graders.units import ORDINAL, UNITS
from abstain.rewards.graders.words import FUNCTION, HEDGES

YEAR = UNITS["years"]
_JOINTS = word_set(
    "- / ~ to and or & , 与 和 或 か から 至 到 till until through oder ou o y und et bis a à 、 ・ + -'"
    " /' and/or as thru e 年から 年~ 年- 年か 年或 年和 年至 年到 年、 日か 日或 月或 月か"
) | {"to the", "or the", "and the", ", or", "or maybe", ", and"}


def _share_units(text: str, found: Sequence[Stated]) -> None:
    """The first number of "5 or 7 km" is of km too."""
    for first, second in pairwise(found):
        one, other = first.quantity, second.quantity
        if (
            one
            and other
            and one.unit is None
            and other.unit not in (None, ORDINAL)
            and gap_between(text, first, second) in _JOINTS
        ):
            first.quantity = replace(one, unit=other.unit)


_SO = re.compile(
    r"\b(?:so|therefore|thus|hence)\b[^.\n]{0,60}(?:=|\b(?:is|was|are|were|has|have|had|gives|makes|equals)\b)"
    r"|\b(?:so|therefore|thus|hence),? (?=\d|$)|, (?:leaving|giving|making|totall?ing|for a total of"
    r"|which (?:leaves|gives|makes|comes to)) |所以|因此|よって|したがって",
    re.IGNORECASE,
)
_FACTS = word_set("was were is are has had have did became")


def _elaborates(before: str, after: str) -> bool:
    """Whether a later sentence tells of something else, between these words, and offers no other answer."""
    rest = f"{before} {after}"
    if RIVAL_KANJI.search(rest):
        return False
    if len(KANJI_WORD.findall(rest)) >= 5:
        return True
    words = [word.lower() for word in WORD.findall(rest)]
    if not RIVAL_WORDS.isdisjoint(words):
        return False
    if len(words) > 3 and TOLD.search(rest):
        return True
    return len(words) > 2 and bool(noun_behind(after, 0)) and not _FACTS.isdisjoint(words)


def _in_brackets(text: str, found: Stated) -> bool:
    """Whether "(released 1986)" tells of something else in brackets."""
    opened = text.rfind("(", max(0, found.start - 60), found.start)
    if opened < 0 or ")" in text[opened : found.start]:
        return False
    inside = text[opened : found.start].lower()
    return bool(TOLD.search(inside)) and RIVAL_WORDS.isdisjoint(WORD.findall(inside))


Sift = Callable[[str, list[Stated]], list[Stated]]


_JOINING = word_set(
    """or and to maybe perhaps possibly probably likely the through until also even then either but on in also o ou
    oder y"""
)


def _joins(gap: str) -> bool:
    return gap in _JOINTS or (any(char.isalpha() for char in gap) and _JOINING.issuperset(WORD.findall(gap)))


def joined_to_dates(text: str, found: list[Stated]) -> list[Stated]:
    """The dates of a reply, and the numbers that are joined to one ("1985-86", "12 or 13 May"), which are rivals.

    Example:
        >>> text = "between 10 and 14 May 1985, for 3 days"
        >>> [text[s.start : s.end] for s in joined_to_dates(text, find_stated(text))]
        ['10', '14 May 1985']
    """
    if len(found) == 1:
        return found if found[0].date else []
    kept: list[Stated] = []
    for i, s in enumerate(found):
        if s.date is None:
            if s.quantity is None:
                continue
            sides = [(found[i - 1], s)] if i else []
            sides += [(s, found[i + 1])] if i + 1 < len(found) else []
            sides = [(a, b) for a, b in sides if a.date or b.date]
            counted = s.quantity.unit not in (None, ORDINAL) and text[s.end - 1] not in "日月号號年"
            hidden = s.quantity.value != s.quantity.value
            if not hidden and not any(
                touching(text, a, b) or (not counted and _joins(gap_between(text, a, b))) for a, b in sides
            ):
                continue
        kept.append(s)
    return kept


def touching(text: str, first: Stated, second: Stated) -> bool:
    """Whether only signs stand between two mentions, so that a sign may be no unit: "17 € 18".

    Example:
        >>> text = "17 €18, for 5 km"
        >>> touching(text, *find_stated(text)[:2]), touching(text, *find_stated(text)[1:])
        (True, False)
    """
    gap = text[first.end : second.start]
    return len(gap) < 8 and not any(char.isalnum() for char in gap)


def _lenient(text: str, found: list[Stated], question: str, same: Same) -> list[Stated]:
    """The candidates that are left when those of later sentences, brackets and other nouns are passed over."""
    marks = [hit.end() for hit in _SO.finditer(text[: found[-1].start])]
    if marks:
        last = [s for s in found if s.start >= marks[-1]]
        if last and all_same(last, same):
            return last
    cuts = [0, *(hit.end() for hit in STOP.finditer(text)), len(text)]
    spans: list[tuple[int, int, list[Stated]]] = []
    position = 0
    for begin, end in pairwise(cuts):
        inside = []
        while position < len(found) and found[position].start < end:
            inside.append(found[position])
            position += 1
        if inside:
            spans.append((begin, end, inside))
    first, *later = spans
    kept = first[2] + [
        s
        for begin, end, inside in later
        for s in inside
        if not _elaborates(text[max(begin, s.start - 200) : s.start], text[s.end : min(end, s.end + 200)])
    ]
    outside = [s for s in kept if not _in_brackets(text, s)]
    kept = outside or kept
    return _asked_for(text, kept, question) if question else kept


def _asked_for(text: str, found: list[Stated], question: str) -> list[Stated]:
    """The candidates that count what the question counts, or of which its verb is told ("born in 1879, died in 1955").

    Without such a verb those of which another verb is told are passed over.
    """
    asked = {word.lower().rstrip("s") for word in WORD.findall(question)}
    nouns = {s.start: noun_behind(text, s.end) for s in found}
    if any(noun in asked for noun in nouns.values() if noun):
        found = [s for s in found if not nouns[s.start] or nouns[s.start] in asked]
    stems = {word[:3] for word in asked - FUNCTION if len(word) > 2}
    wanted, silent, last = [], [], 0
    for s in found:
        clause = re.split(r"[.;!?\n]", text[max(last, s.start - 120) : s.start])[-1].lower()
        verbs = TOLD.findall(clause)
        last = s.end
        if last and not RIVAL_WORDS.isdisjoint(WORD.findall(clause)):
            return found
        if any(verb[:3] in stems for verb in verbs):
            wanted.append(s)
        elif not verbs:
            silent.append(s)
    return wanted or silent or found


@lru_cache(maxsize=4096)
def _asked(question: str) -> tuple[Stated, ...]:
    """The numbers and dates that a question says itself."""
    return tuple(find_stated(with_years(question)))


def _is_said(text: str) -> bool:
    """Whether a reply has words enough to be the question said again; a bare answer is none."""
    return len(WORD.findall(text)) > 2


def _echoes(text: str, found: Stated, question: str) -> bool:
    """Whether a number stands beside the same word as in the question: the question said again."""
    if not _is_said(text):
        return False
    asked = question.lower()
    before = text[max(0, found.start - 40) : found.start].lower().split()[-1:]
    after = text[found.end : found.end + 40].lower().split()[:1]
    number = text[found.start : found.end].strip().lower()
    left = f"{before[0]} {number}" if before else ""
    right = f"{number} {after[0].strip('?.,!')}" if after else ""
    return bool(left and left in asked) or bool(right and right.strip() != number and right in asked)


_CITED = re.compile(r"\[\d{1,3}\]|\(?https?://\S{1,500}")


def stated(
    text: str,
    question: str,
    strict: bool,
    sift: Sift,
    same: Same,
    marked: Sequence[str] = (),
    repeats: Same | None = None,
) -> list[Stated]:
    """What a reply states, as one or more mentions of the same number or date; none if it states no one thing.

    Args:
        text: the reply, through `number_text`.
        question: the question, likewise, or "".
        strict: whether nothing but a frame may surround it.
        sift: keeps the mentions that are of the gold's kind, or all if there are none of it.
        same: whether two mentions are one number or date.
        marked: what the reply sets in bold.
        repeats: whether a mention says no more than one of the question does; `same` if left out.
    """
    if strict and len(text) > LONGEST:
        return []
    text = both_ends(text)
    if "[" in text or "://" in text:
        text = _CITED.sub("", text)
    everything = find_stated(text)
    if not everything:
        return []
    aim = aim_of(text, question)
    if len(everything) > 1:
        _share_units(text, everything)
    if len(everything) > MOST:
        return [] if strict else _chosen(text, question, sift, same)
    doubted = may_deny(text)
    kept = [s for s in everything if not is_ruled_out(text, s)] if doubted else everything
    asked = _asked(question) if question and (len(kept) > 1 or _is_said(text)) else ()
    again = repeats or same
    fresh = [s for s in kept if not any(again(s, q) for q in asked)] if asked else kept
    if aim and (aim.age or aim.place is not None):
        _read_as_asked(text, everything, aim)
    found = sift(text, fresh) if fresh else []
    echoed = not found
    found = found or sift(text, kept)
    if not found:
        return []
    if echoed and not strict and is_long(text):
        found = [s for s in found if not _echoes(text, s, question)]
        if not found:
            return []
    operands: set[int] = set()
    if len(found) > 1 and not all_same(found, same):
        operands, right = sums(text, found)
        if strict and not right:
            return []
        found = [s for s in found if s.start not in operands] or found
    if not all_same(found, same):
        if strict:
            return []
        if chosen := _chosen(text, question, sift, same):
            return chosen
        if question and is_long(text):
            found = nearest(text, found, question, same, marked)
        else:
            found = _lenient(text, found, question, same)
        if not found or not all_same(found, same):
            return []
    if doubted and any(is_denied(text, s) for s in found):
        return []
    if echoed and any(_echoes(text, s, question) for s in found):
        return []
    for s in found:
        s.bound = limit_of(text, s)
        if s.bound and aim and not strict and is_long(text) and (aim.limit or (aim.count and is_least(text, s))):
            s.bound = ""
    if strict:
        no = frozenset(s.start for s in everything if s not in kept)
        known = {s.start for s in everything if same(s, found[0]) or any(same(s, q) for q in asked)} | operands | no
        if any(s.start not in known and not _beside(text, s, found[0]) for s in everything):
            return []
        if not is_framed(text, everything, question, no):
            return []
    return found


def _read_as_asked(text: str, found: Sequence[Stated], asked: Counting) -> None:
    """Where an age is asked for, years old are bare numbers; where a place, "ninth" and "9th place" are 9."""
    for s in found:
        if s.quantity is None:
            continue
        is_age = asked.age and s.quantity.unit == YEAR
        is_place = s.quantity.unit is ORDINAL and (
            len(found) == 1
            or asked.place in words_behind(text, s.end)[:1]
            or RANKED.search(text[max(0, s.start - 40) : s.start])
        )
        if is_age or is_place:
            s.quantity = replace(s.quantity, unit=None)


_AGED = re.compile(r"\b(?:aged?|at) $", re.IGNORECASE)


def _beside(text: str, other: Stated, answer: Stated) -> bool:
    """Whether a strict frame may hold another number: the date of a quantity, the age at a date."""
    if answer.date is None:
        return is_dated(text, other)
    return other.date is None and bool(_AGED.search(text[max(0, other.start - 6) : other.start]))


_CHOOSING = word_set(
    """wait hold scratch strike correction mean meant thought thoughts make mistake rather let sorry actually no
    answer go going choose pick settle bet guess say choice ll"""
)
_CHOOSING_KANJI = re.compile("いや|では?なく|訂正|更正|不对|不對|答|正解")


def _chosen(text: str, question: str, sift: Sift, same: Same) -> list[Stated]:
    """What is stated behind the last choice ("No wait, 5", "the answer is 5"), if there is one."""
    text = text.strip()
    low = text.lower()
    if _CHOOSING.isdisjoint(WORD.findall(low)) and (low.isascii() or not _CHOOSING_KANJI.search(low)):
        return []
    rest = last_choice(text, lambda chosen: bool(find_stated(chosen[:200])))
    before = text[: -len(rest)]
    if not before or not (_CORRECTS.search(before[-40:]) or _reasons(before)):
        return []
    return stated(rest, question, False, sift, same)


_CORRECTS = re.compile(
    r"\b(?:wait|hold on|scratch that|strike that|correction|i mean(?:t)?|thoughts?|make that|mistake|rather|myself"
    r"|sorry|no|actually)\b[^\n]{0,30}$|(?:いや|ではなくて?|訂正|更正|不对|不對)[、，,：:]?\s*$",
    re.IGNORECASE,
)


def _reasons(before: str) -> bool:
    """Whether an answer that comes last follows from what is said before: more than a number and a frame."""
    words = {word.lower() for word in WORD.findall(before)} - FUNCTION - HEDGES - RIVAL_WORDS
    return len([word for word in words if len(word) > 2]) > 2 or len(KANJI_WORD.findall(before)) > 12
