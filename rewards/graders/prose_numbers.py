"""Which number or date of a long answer is the one that was asked for: for the lenient reading of a known question.

As in `prose`, the choice among all candidates does not look at the gold. First go asides (years of birth, lists, parts
of adjectives), then what a person would look at first is kept (ages where an age is asked for, bold, the things that
are counted), the rest is weighed by `alignment`; and nothing is chosen that another candidate is a rival of.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from abstain.rewards.graders.alignment import asked_for, in_bold, is_long, stem, traits, weigh
from abstain.rewards.graders.asked import Counting, counting, with_years
from abstain.rewards.graders.limits import is_denied, is_ruled_out, may_deny
from abstain.rewards.graders.mentions import STOP, TOLD, Same, Stated, all_same, is_dated, noun_behind
from abstain.rewards.graders.tokens import number_text
from abstain.rewards.graders.units import ORDINAL
from abstain.rewards.graders.words import FUNCTION

_OFFERED = re.compile(
    r"\b(?:or(?! so\b)|perhaps|maybe|possibly|alternatively|might be|may be|could be|could have been)\b", re.IGNORECASE
)
_OFFERED_FIRST = re.compile(r"[\s\"'(*_]*(?:or|perhaps|maybe|possibly|alternatively)\b", re.IGNORECASE)
_SAID_ELSE = re.compile(
    r"\b(?:some|others?|other sources?|some sources?|another source|many|most) (?:\w{1,12} )?(?:says?|claims?|gives?"
    r"|lists?|reports?|puts?|plac(?:e|es|ed)|dates?|states?|believe|think|suggests?|argue)\b"
    r"|\b(?:it|this|that|he|she|they|which|the (?:answer|year|date|number|figure)) (?:\w{1,12} )?(?:might|may|could)"
    r" (?:also |well |have |even |possibly ){0,3}(?:be|been)\b"
    r"|\banother (?:possibility|option|candidate|guess|answer)\b|\bdisputed\b",
    re.IGNORECASE,
)
_OR = re.compile(r"[\s*]*(?:,? ?(?:or|and|to|until|through)|[-–&/~,])[\s*]*", re.IGNORECASE)
_THEREFORE = re.compile(
    r"(?:^|[.!?\n]\s{0,3})(?:therefore|thus|hence|so|in conclusion|in summary|answer)\b[,:]?"
    r"|, so (?:s?he|it|they|there) (?:had|has|have|was|were|is|are)\b",
    re.IGNORECASE,
)
_TO = re.compile(
    r",? ?(?:[-–—]|\b(?:un)?til\b|\bto\b|\bthrough\b|\band (?:died|ended)\b) ?(?:on |in |his death on |the )?",
    re.IGNORECASE,
)
_ASKS_END = re.compile(
    r"\b(?:until|stop(?:ped)?|end(?:ed|s)?|last|ceased?|die[ds]?|death|closed?|abolished|retired?|left|leave"
    r"|step(?:ped)? down|finish(?:ed)?|dissolved?|conclude[ds]?|cancel?led|resign(?:ed)?|complete[ds]?)\b",
    re.IGNORECASE,
)
_ASKS_BEGINNING = re.compile(
    r"\b(?:born|birth|begin|began|begun|start(?:ed|s)?|since|found(?:ed)?|open(?:ed)?|join(?:ed)?|launch(?:ed)?|first"
    r"|commence[ds]?|established|elected|appointed|premiere[ds]?|debut(?:ed)?|became|become|took|take)\b",
    re.IGNORECASE,
)
_BORN = re.compile(r"(?<![\w.])(?:born|died|b\.|d\.)(?P<rest>[^.;()\d]{0,40})$", re.IGNORECASE)
_LIFE_YEARS = re.compile(
    r"\([^()\d]{0,30}\d{4} ?(?:-|–|to) ?\d{0,4}\)|\((?:born|b\.|d\.|died)[^()]{1,40}\)", re.IGNORECASE
)
_AGED_NOW = re.compile(
    r"\b(?:aged?(?: of)?|at the age of|turned|when (?:he|she|they|it) (?:was|were|turned)(?: only| just| already)?)"
    r"(?: about| around| only| just)? ?$",
    re.IGNORECASE,
)
_OLD = re.compile(r"(?:[ -]?years?)?[ -](?:old|of age)\b", re.IGNORECASE)
_WHEN_WAS = re.compile(r"\bwhen (?:he|she|they|it) (?:was|were|turned)\b", re.IGNORECASE)

RANKED = re.compile(
    r"\b(?:finish\w*|rank\w*|plac(?:ed|es|ing)|came|com(?:es|ing)|position|place|number|no\.|in|was|overall)"
    r"(?: (?:in|at|to|only|a|the|joint|tied|equal|overall|was|is|of)){0,3} ?$",
    re.IGNORECASE,
)


def _traits(text: str, found: Stated, question: str) -> dict[str, float]:
    """What a number's unit, noun and kind say for it or against it."""
    asked, behind = asked_for(question), words_behind(text, found.end)
    noun = noun_behind(text, found.end)
    unit = found.quantity.unit if found.quantity else None
    is_asked = any(word in asked.stems for word in behind)
    return {
        "its noun is asked": float(is_asked),
        "another noun": float(bool(noun) and not is_asked),
        "ordinal": float(unit is ORDINAL),
        "unit": float(unit is not None and unit is not ORDINAL),
        "whole date": float(bool(found.date) and all(day.day for day in found.date.readings) if found.date else False),
        "another deed": float(_another_deed(text, found, asked.stems)),
    }


def _another_deed(text: str, found: Stated, stems: Mapping[str, float]) -> bool:
    """Whether the last deed that is told before a number or date is not the one that is asked for."""
    clause = re.split(r"[.;!?\n]", text[max(0, found.start - 90) : found.start])[-1]
    deeds = TOLD.findall(clause)
    return bool(deeds) and stem(deeds[-1]) not in stems


_BEHIND = re.compile(r"[ -]?(?:[^\W\d_]|['’]){2,30}")


def words_behind(text: str, end: int) -> list[str]:
    """The stems of up to four words behind a number, of the phrase that it counts."""
    out: list[str] = []
    while len(out) < 4 and (hit := _BEHIND.match(text, end)):
        word = hit[0].strip(" -'’")
        if word.lower() in FUNCTION and word.lower() != "of":
            break
        out.append(stem(word))
        end = hit.end()
    return out


def marked_in(answer: str) -> list[str]:
    """What an answer sets in bold, as `number_text` writes it.

    Example:
        >>> marked_in("It has **70{,}000** seats")
        ['70,000']
    """
    return [number_text(mark) for mark in in_bold(answer)]


def _bold(text: str, found: Sequence[Stated], marked: Sequence[str]) -> list[bool]:
    """Which of the numbers or dates stand in what a reply sets in bold."""
    parts: list[tuple[int, int]] = []
    for mark in marked[:20]:
        at = text.find(mark)
        while at >= 0 and len(parts) < 60:
            if not (text[at - 1 : at].isalnum() or text[at + len(mark) : at + len(mark) + 1].isalnum()):
                parts.append((at, at + len(mark)))
            at = text.find(mark, at + len(mark))
    return [any(begin < s.end and s.start < end for begin, end in parts) for s in found]


def _best(found: list[Stated], good: Sequence[bool]) -> list[Stated]:
    """Those that are good, or all if none is."""
    return [s for s, is_good in zip(found, good, strict=True) if is_good] or found


def _in_lists(text: str, found: Sequence[Stated]) -> set[int]:
    """Where the items of a list of three or more start ("in 1971, 1978 and 1982"), none of which is the one answer."""
    inside: set[int] = set()
    row = list(found[:1])
    for first, second in [*pairwise(found), (None, None)]:
        gap = text[first.end : second.start].strip().lower() if first and second else ""
        if second is not None and gap in (",", "and", ", and", "&"):
            row.append(second)
            continue
        inside |= {s.start for s in row} if len(row) > 2 else set()
        row = [second] if second is not None else []
    return inside


def _no_asides(text: str, found: list[Stated], question: str, asked: Counting) -> list[Stated]:
    """The candidates without years of birth, lists, parts of adjectives ("four-stroke"), and other years' numbers."""
    if not asked.life:
        lives = [hit.span() for hit in _LIFE_YEARS.finditer(text)] if "(" in text else []

        def is_life(s: Stated) -> bool:
            if s.date is None and not is_dated(text, s):
                return False
            if any(begin < s.start < end for begin, end in lives):
                return True
            hit = _BORN.search(text[max(0, s.start - 60) : s.start])
            return hit is not None and not TOLD.search(hit["rest"])

        found = _best(found, [not is_life(s) for s in found])
    glued = [text[s.end : s.end + 1] == "-" and text[s.end + 1 : s.end + 2].isalpha() for s in found]
    counts = [not asked.nouns.isdisjoint(words_behind(text, s.end)) for s in found]
    found = _best(found, [counted or not part for part, counted in zip(glued, counts, strict=True)])
    inside = _in_lists(text, found) if len(found) > 2 else set()
    found = _best(found, [s.start not in inside for s in found])
    if not all(s.date for s in found) and (years := set(_ANY_YEAR.findall(with_years(question)))):
        told = [set(_ANY_YEAR.findall(_sentence(text, s))) for s in found]
        if any(years & of for of in told):
            found = _best(found, [not of or bool(years & of) for of in told])
    return found


_ANY_YEAR = re.compile(r"\b[12]\d{3}\b")


def _sentence(text: str, found: Stated) -> str:
    """The sentence that a number stands in."""
    begin = 0
    for stop in STOP.finditer(text, max(0, found.start - 400), found.start):
        begin = stop.end() if "..." not in stop[0] else begin
    end = STOP.search(text, found.end)
    return text[max(begin, found.start - 400) : end.start() if end else len(text)]


def _end_asked(text: str, found: list[Stated], question: str) -> list[Stated]:
    """The candidates without the other end of a stretch of which one end is asked for: "from 1883 until 1885"."""
    end, beginning = _ASKS_END.search(question), _ASKS_BEGINNING.search(question)
    if bool(end) == bool(beginning):
        return found
    no = set()
    for one, other in pairwise(found):
        dated = (one.date or is_dated(text, one)) and (other.date or is_dated(text, other))
        if dated and _TO.fullmatch(text[one.end : other.start]):
            no.add(one.start if end else other.start)
    return [s for s in found if s.start not in no]


def _preferred(text: str, found: list[Stated], asked: Counting, bold: set[int]) -> list[Stated]:
    """The candidates that a person would look at first: of the age, of the place, in bold, of the things counted."""
    if asked.age:
        found = _best(
            found,
            [
                bool(_AGED_NOW.search(text[max(0, s.start - 40) : s.start]))
                or bool(_OLD.match(text, s.end) or _OLD.search(text[s.start : s.end]))
                for s in found
            ],
        )
    if asked.place:
        beside = [
            [*map(stem, text[max(0, s.start - 30) : s.start].split()[-2:]), *words_behind(text, s.end)[:1]]
            for s in found
        ]
        found = _best(found, [asked.place in stems for stems in beside])
    if asked.place is not None:
        found = _best(found, [bool(RANKED.search(text[max(0, s.start - 40) : s.start])) for s in found])
    if "percent" in asked.measures:
        units = [s.quantity.unit if s.quantity else None for s in found]
        found = _best(found, [unit is not None and unit.measures == "percent" for unit in units])
    if bold:
        found = _best(found, [s.start in bold for s in found])
    if asked.nouns:
        hits = [len(asked.nouns.intersection(words_behind(text, s.end))) for s in found]
        found = _best(found, [n > 0 and n == max(hits) for n in hits])
    return found


def nearest(text: str, found: list[Stated], question: str, same: Same, marked: Sequence[str]) -> list[Stated]:
    """The candidate of a long answer that stands nearest to the question's words; none if another is joined to it."""
    asked = counting(question)
    ends = list(_THEREFORE.finditer(text))
    if ends and ends[-1].start() > 0:
        last = [s for s in found if s.start > ends[-1].start()]
        if last and all_same(last, same):
            return last
    found = _end_asked(text, found, question)
    among = _no_asides(text, found, question, asked)
    bold = {s.start for s, is_bold in zip(found, _bold(text, found, marked), strict=True) if is_bold}
    wanted = _preferred(text, among, asked, bold)
    near = [0.0]
    if len(wanted) > 1:
        plain = _WHEN_WAS.sub(lambda hit: "aged".ljust(len(hit[0])), text) if asked.age else text
        rows = traits(plain, [(s.start, s.end) for s in wanted], question, counts=True)
        for row, s in zip(rows, wanted, strict=True):
            row.update(_traits(text, s, question))
        near = weigh(rows, "counts")
    i = found.index(wanted[near.index(max(near))])
    before = _words_before(text, found[i])
    bare = found[i].start not in bold
    if bare and len(before) == 3 and any(not same(s, found[i]) and _words_before(text, s) == before for s in found):
        return []
    beside = [(found[i - 1], found[i])] if i else []
    beside += [(found[i], found[i + 1])] if i + 1 < len(found) else []
    commas = [text[a.end : b.start].strip(" *") == "," and (a.start in bold) != (b.start in bold) for a, b in beside]
    beside = [pair for pair, comma in zip(beside, commas, strict=True) if not comma]  # "In **May 2017**, 175 crews"
    if any(not same(a, b) and is_rival(text, a, b) for a, b in beside):
        return []
    later = [(a, b) for a, b in pairwise(found[i + 1 :]) if not same(b, found[i])]
    if any(_is_offered_later(text, a, b) for a, b in later):
        return []
    return [found[i]]


def _words_before(text: str, found: Stated) -> list[str]:
    """The three words before a number: "it was made in 1990. It was made in 1991" says two things at once."""
    return re.findall(r"\w+", text[max(0, found.start - 60) : found.start].lower())[-3:]


def choose(text: str, found: list[Stated], question: str, same: Same, marked: Sequence[str] = ()) -> list[Stated]:
    """Which of the candidates a text states, if they are one or it is long enough to be read by its question.

    Example:
        >>> from abstain.rewards.graders.mentions import find_stated
        >>> text = "It ran to 1990 (not the bridge, which ran to 1995)"
        >>> [text[s.start : s.end] for s in choose(text, find_stated(text), "", lambda one, other: False)]
        ['1990']
    """
    doubted = may_deny(text)
    kept = [s for s in found if not is_ruled_out(text, s)] if doubted else found
    if kept and not all_same(kept, same):
        kept = nearest(text, kept, question, same, marked) if question and is_long(text) else []
    return [] if doubted and any(is_denied(text, s) for s in kept) else kept


def is_rival(text: str, first: Stated, second: Stated) -> bool:
    """Whether two neighbours are offered as one answer or the other, or are the two ends of something.

    Example:
        >>> from abstain.rewards.graders.mentions import find_stated
        >>> [is_rival(t, *find_stated(t)) for t in ("in 1990 or 1991", "from 1990. The mayor came in 1995")]
        [True, False]
    """
    gap = text[first.end : second.start]
    if _OR.fullmatch(gap):
        return not _differ(first, second)
    if begin := _last_stop(gap):  # a later sentence offers something only from its beginning
        return _is_offered(gap, begin)
    if _is_offered(gap, 0):
        return True
    offered = [hit.end() for hit in _OFFERED.finditer(gap)]
    # "7,804 residents, or about 7% of the 111,772": it is the share that is offered
    return bool(offered) and not any(char.isdigit() for char in gap[offered[-1] :]) and not _differ(first, second)


def _last_stop(gap: str) -> int:
    """Where the last sentence of a text begins, or 0 if there is but one."""
    return max((stop.end() for stop in STOP.finditer(gap)), default=0)


def _is_offered(gap: str, begin: int) -> bool:
    """Whether the words before a number or date offer it as another answer: "Or ", "Some sources say "."""
    if len(gap) - begin > 90:
        return False
    if _OFFERED_FIRST.match(gap, begin):
        return True
    return any(len(gap) - hit.end() < 30 for hit in _SAID_ELSE.finditer(gap, begin))


def _is_offered_later(text: str, before: Stated, found: Stated) -> bool:
    """Whether a later sentence offers something else, whatever was told in between."""
    gap = text[before.end : found.start]
    begin = _last_stop(gap)
    return begin > 0 and _is_offered(gap, begin)


def _differ(first: Stated, second: Stated) -> bool:
    """Whether two numbers measure different things: "7,804 residents, or about 7%"."""
    units = [s.quantity.unit if s.quantity else None for s in (first, second)]
    if (first.date is None) != (second.date is None) and any(unit not in (None, ORDINAL) for unit in units):
        return True  # "in 2006, four years before"
    kinds = {unit.measures if unit else "" for unit in units}
    return len(kinds) == 2 and "percent" in kinds
