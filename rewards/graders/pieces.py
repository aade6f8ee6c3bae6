"""A reply as pieces, each with the part that it can play: the alphabet of the two readings (`frame`, `roles`).

Every word that no list knows is a candidate, so that a reading errs towards seeing two answers rather than one.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from abstain.rewards.graders.places import STATE_CODES, kind_of_place
from abstain.rewards.graders.text import UNSPACED, fold
from abstain.rewards.graders.vocabulary import (
    AND,
    ANSWER,
    ASKED,
    CLOSE,
    COLON,
    COMMA,
    DASH,
    GENERIC,
    HEDGE,
    KNOWN,
    LINE,
    MONTHS,
    NAME,
    NUMBER,
    NUMBERS,
    OPEN,
    OR,
    PLACE,
    PREPOSITION,
    PRONOUN,
    SAID,
    SCRIPT,
    SIGN,
    STOP,
    TITLE,
    VERB,
    WORD,
)

GOLD = "\ue000"  # stands where a gold answer was found

_CURRENCY = frozenset("$€£¥₹%")


_COUNTED = re.compile(r"\d[\d.,:/-]*(?:st|nd|rd|th|s|am|pm|a\.m|p\.m|[kcm]?m|k?g|mi|ft|in|k|bn|mn|h|min|mph)")
_COMPOUND = re.compile("[^-]{2,}-[a-z]{4,}|[A-Z]-[a-z]{3,}")  # "Prize-winning", "U-boat"
_THAI_FRAME = re.compile("คือ|เป็น|ว่า|ใน|ที่|ของ|อยู่|ชื่อ|คำตอบ|ครับ|ค่ะ|นะ|จะ|ไม่|ฉัน|ผม|คิด")
_TOPIC = re.compile("^[가-힣]+(?:은|는|이|가|의|에서|에)$")
_NATIONS = frozenset(["american", "british", "english", "french", "german", "italian", "spanish"])
_CONTRACTED = frozenset(
    ["its", "thats", "hes", "shes", "theyre", "heres", "theres", "whats"]
)  # with an apostrophe: it is, that is

_PIECE = re.compile(
    rf"(?P<gold>{GOLD}+)"
    r"|(?P<initial>(?:[A-Z]\.\s?)+(?=[A-Z\ue000]))"
    r"|(?P<title>(?:No|Nr|Vol|Op)\.(?=\s?\d))"
    rf"|(?P<number>[-+]?\.?\d[\d.,:/]*(?<![.,:/])(?:st|nd|rd|th|s|'s)?(?!\w|-[A-Z]))"
    rf"|(?P<word>[^\W_{UNSPACED}](?:[^\W_{UNSPACED}{GOLD}]|[-'/.&](?=[^\W_{UNSPACED}{GOLD}]))*)"
    rf"|(?P<script>[{UNSPACED}]+)"
    r"|(?P<line>[^\S\n]{0,9}\n\s{0,40})|(?P<quote>[\"'*_`#]+)|(?P<comma>[,;，；、])|(?P<stop>\.{2,}|…|[.!?。！？]+)|(?P<colon>[:：=])"
    r"|(?P<open>[(\[])|(?P<close>[)\]])|(?P<dash>-+>?|—)|(?P<sign>\S)"
)
_SIGNS = {"comma": COMMA, "stop": STOP, "colon": COLON, "open": OPEN, "close": CLOSE, "dash": DASH, "line": LINE,
          "sign": SIGN}  # fmt: skip


@dataclass(slots=True)  # not frozen: that costs a microsecond each
class Piece:
    """A word, number, sign or found answer.

    Args:
        part: what it can be, one of the letters above.
        raw: as written.
        norm: folded.
        start: its offset.
        end: the offset behind it.
    """

    part: str
    raw: str
    norm: str
    start: int
    end: int


def is_code(word: str) -> bool:
    """Whether a word of letters and digits is a name ("NL-05", "v1.2", "mp3"), and no number ("5km", "2nd").

    Example:
        >>> [is_code(word) for word in ("NL-05", "v1.2", "3M", "5km", "2nd", "1985", "Oslo")]
        [True, True, True, False, False, False, False]
    """
    return word.lower() != word.upper() and any(map(str.isdigit, word)) and not _COUNTED.fullmatch(word)


def pieces(masked: str, asked: frozenset[str] = frozenset()) -> list[Piece]:
    """The pieces of a reply in which `GOLD` stands for each found answer; `asked` are the question's folded words.

    Example:
        >>> "".join(p.part for p in pieces(f"The capital of Peru is {GOLD}, I think."))
        'dwpPcG,ih.'
    """
    found = []
    for hit in _PIECE.finditer(masked):
        group, raw = str(hit.lastgroup), hit[0]
        if group == "word":
            norm = fold(raw)
            part = _part(raw, norm, asked)
        elif group == "quote":
            continue
        else:
            norm = raw
            part = (HEDGE if raw in _CURRENCY else _SIGNS.get(group)) or {
                "gold": ANSWER,
                "initial": NAME,
                "title": NAME,
                "number": ASKED if raw in asked else NUMBER,
            }.get(group, SCRIPT)
            if part == SCRIPT and raw[0] < "\u2000" and not _THAI_FRAME.search(raw):
                part = NAME  # Thai, Lao, Khmer, Burmese
        found.append(Piece(part, raw, norm, hit.start(), hit.end()))
    return _with_places(found)


def _with_places(found: list[Piece]) -> list[Piece]:
    """The same pieces, names of countries and states marked as such ("New Zealand"), and "May" beside a number."""
    i = 0
    while i < len(found):
        if found[i].norm in ("may", "march") and any(
            p.part == NUMBER for p in (*found[max(0, i - 1) : i], *found[i + 1 : i + 2])
        ):
            found[i] = replace(found[i], part=NUMBER)
        if found[i].norm in ("am", "pm") and i and found[i - 1].part == NUMBER:
            found[i] = replace(found[i], part=NUMBER)
        if found[i].norm in _NATIONS and found[i].part == TITLE and found[i].raw[0].isupper():
            described = i + 1 < len(found) and found[i + 1].part in NAME + TITLE + WORD + ASKED + ANSWER + GENERIC
            found[i] = found[i] if described else replace(found[i], part=NAME)  # no "French general", but "French"
        code = (
            STATE_CODES.get(found[i].norm)
            if found[i].raw.isupper() and i and found[i - 1].part in COMMA + OPEN
            else ""
        )
        if code and found[i].part in NAME + OR + PREPOSITION + PRONOUN:
            found[i] = replace(found[i], part=PLACE, norm=code)
        if found[i].part == GENERIC and found[i].raw[0].isupper() and i and found[i - 1].part == NAME:
            found[i] = replace(found[i], part=NAME)  # "Cape Town"
        if found[i].part == NAME:
            for size in (3, 2, 1):
                if kind_of_place(" ".join(p.norm.replace(".", "") for p in found[i : i + size])):
                    found[i : i + size] = [replace(p, part=PLACE) for p in found[i : i + size]]
                    i += size - 1
                    break
        i += 1
    return found


def _part(raw: str, norm: str, asked: frozenset[str]) -> str:
    known = KNOWN.get(norm)
    if norm in _CONTRACTED and "'" in raw:
        return SAID
    if known and not (raw.isupper() and len(norm) < 3 and (len(raw) > 1 or known == AND)):
        return known
    if len(norm) > 4 and norm.endswith("ed") and raw.islower():
        return VERB
    if norm in asked or (norm[-1] == "s" and norm[:-1] in asked and "'" in raw):
        return ASKED
    if _TOPIC.search(raw):
        return SAID
    if norm in NUMBERS or (norm in MONTHS and raw[0].isupper()):
        return NUMBER
    if any(char.isdigit() for char in raw):
        return NAME if is_code(raw) else NUMBER
    if raw[0].isupper() and _COMPOUND.fullmatch(raw):
        return WORD  # "Prize-winning"
    if (
        raw[0].isupper()
        or any(char.isupper() for char in raw)
        or (not raw.isascii() and raw[0].lower() == raw[0].upper())
    ):
        return NAME
    return WORD


@lru_cache(maxsize=4096)
def asked_words(question: str) -> frozenset[str]:
    """The folded words and numbers of a question.

    Example:
        >>> sorted(asked_words("Who was born in Ulm in 1879?"))
        ['1879', 'born', 'in', 'ulm', 'was', 'who']
    """
    found = [p for p in pieces(question) if p.raw[0].isalnum()]
    owners = [fold(p.raw[:-2]) for p in found if p.raw[-2:] in ("'s", "’s")]
    return frozenset([*(p.norm for p in found), *owners])
