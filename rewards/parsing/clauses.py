"""A reply folded, so that case, width, accents, quotes and punctuation no longer matter, and its borders are marked.

Every folded character remembers where it came from, so that an offered answer is cut from the original text.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from abstain.rewards.parsing.phrasebook import QUOTED, QUOTED_IDK, Phrasebook, fold_char

_TITLE = r"《[^《》]{0,200}》|〈[^〈〉]{0,200}〉|『[^『』]{0,200}』|«[^«»\n]{0,200}»"
_QUOTE = r"\"[^\"\n]{1,200}\"|[“„][^“”„]{1,200}[”“]|「[^「」]{1,200}」"
_OPAQUE = re.compile(rf"(?P<title>{_TITLE})|(?P<quote>{_QUOTE})|(?P<command>\\[A-Za-z]+)")
_BORDERS = (
    dict.fromkeys(".!;\n。।॥۔؛", ".") | dict.fromkeys(",()[]{}<>=|→⇒—–、،¿¡", ",") | {":": ":", "?": "?", "؟": "?"}
)
_ABBREVIATIONS = {"dr", "mr", "mrs", "ms", "prof", "st", "jr", "sr", "vs", "approx", "mt", "gen", "lt"}
_BREAK = re.compile("[ .,:?]")
_PREDICATE_ENDS = ("ん", "す", "ね", "よ", "ない", "だ")  # a 、 after these ends a Japanese clause, others do not


@dataclass
class Folded:
    """Folded text; `spans[i]` is where its character i stands in the original."""

    text: str = ""
    spans: list[tuple[int, int]] = field(default_factory=list)


def fold(text: str, book: Phrasebook, quoted_idk: Callable[[str], bool]) -> Folded:
    """Fold a text: words of lower-case letters, borders as `.,:?`, quotations and titles as one placeholder each.

    Example:
        >>> fold("Ｉ don’t know — sorry!", Phrasebook(), lambda quote: False).text
        "i don't know , sorry."
        >>> fold("July 4, 1776 at 3:15 (3.5%)", Phrasebook(), lambda quote: False).text
        'july 4 1776 at 3 15 ,3 5%,'
    """
    out: list[str] = []
    spans: list[tuple[int, int]] = []

    def emit(chars: str, start: int, end: int) -> None:
        for char in chars:
            if char == " " and (not out or out[-1] == " "):
                continue
            if _is_cjk(char) and len(out) > 1 and out[-1] == " " and _is_cjk(out[-2]):
                if QUOTED_IDK in (char, out[-2]) or QUOTED in (char, out[-2]):
                    out.pop(), spans.pop()
                else:
                    out[-1] = ","  # where words aren't spaced, a space parts clauses
            out.append(char)
            spans.append((start, end))

    def plain(start: int, end: int) -> None:
        for i in range(start, end):
            if text[i] in "\u3099\u309aﾞﾟ" and out:  # half-width kana carry their voicing mark separately
                mark = "\u3099" if text[i] in "\u3099ﾞ" else "\u309a"
                out[-1] = unicodedata.normalize("NFC", out[-1] + mark)[:1]
            elif "\u1161" <= text[i] <= "\u11c2" and out:  # and so may Korean vowels and finals
                out[-1] = unicodedata.normalize("NFC", out[-1] + text[i])[:1]
            elif chars := fold_char(text[i], book.pairs):
                emit("".join(_letter(c, text, i, out) for c in chars), i, i + 1)
            elif out:  # a mark that is not compared belongs to the letter before
                spans[-1] = (spans[-1][0], i + 1)

    done = 0
    for match in _OPAQUE.finditer(text):
        plain(done, match.start())
        holder = " "
        if match.lastgroup != "command":
            known = match.lastgroup == "quote" and quoted_idk(match[0][1:-1])
            holder = f" {QUOTED_IDK if known else QUOTED} "
        emit(holder, match.start(), match.end())
        done = match.end()
    plain(done, len(text))
    return Folded("".join(out), spans)


def _is_cjk(char: str) -> bool:
    return "\u3040" <= char <= "\u9fff" or char in (QUOTED, QUOTED_IDK)


def _letter(char: str, text: str, i: int, out: list[str]) -> str:
    """What a folded character of the original becomes: itself, a border, or a space."""
    if char in _BORDERS:
        return _border(char, text, i, out)
    if char in "'%" or char.isalnum() or ("\u0900" <= char <= "\u1cff" and unicodedata.category(char)[0] == "M"):
        return char  # vowel signs of Indian scripts are letters of their words
    if char in "・·‧":  # within a foreign name
        return ""
    dash = char == "-" and text[i - 1 : i] in (" ", "") and text[i + 1 : i + 2] == " "
    return "," if dash else " "


def _border(char: str, text: str, i: int, out: list[str]) -> str:
    before = text[i - 1 : i]
    after = text[i + 1 : i + 3]
    if char in ".,:–" and before.isdigit() and after.lstrip()[:1].isdigit() and (char == "," or after[:1].isdigit()):
        return " "
    if char == "、":
        return "," if "".join(out[-2:]).endswith(_PREDICATE_ENDS) else ""
    if char == ":":
        return ":"
    if char == "." and not _ends_sentence(text, i, out):
        return " "
    return _BORDERS[char]


def _ends_sentence(text: str, i: int, out: list[str]) -> bool:
    """Whether the full stop at `i` ends a sentence, rather than an abbreviation or a number."""
    after = text[i + 1 : i + 2]
    if after.isalnum() and not _is_cjk(after):
        return False
    letter = text[i - 1 : i]
    initial = letter.isalpha() and not _is_cjk(letter) and text[max(0, i - 2) : i - 1] in ("", " ", ".")
    return not initial and _BREAK.split("".join(out[-8:]))[-1] not in _ABBREVIATIONS
