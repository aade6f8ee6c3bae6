"""Folding and tokenising, so that "Ｐａｒｉｓ", "paris" and "PARIS" are one word, and "19" is no part of "1998"."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

_MARKS = "".join(chr(c) for c in range(0x300, 0x2000) if unicodedata.category(chr(c)) in ("Mn", "Mc"))
# Scripts that are written without spaces: one token per character. The middle dot of katakana names is left out.
UNSPACED = (
    "\u0e01-\u0e4e\u0e81-\u0edf\u1000-\u109f\u1780-\u17d3\u3005\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
)
_LETTER = rf"(?![{UNSPACED}])[^\W\d_]"
_LETTERS = rf"(?:{_LETTER}|[{_MARKS}])"
_TOKEN = re.compile(
    rf"""(?P<number>(?<![\w)])-?(?:\d+(?:[.,]\d+)*|\.\d+)(?:(?:st|nd|rd|th|'?s)(?!\w))?)
    |(?P<unspaced>[{UNSPACED}])
    |(?P<initials>{_LETTER}(?:\.{_LETTER})+(?!{_LETTERS})\.?)
    |(?P<word>{_LETTER}(?:{_LETTERS}|\d|'(?={_LETTER}))*(?:\+\+|\#(?!\w))?)
    |(?P<digits>\d+(?:[.,]\d+)*)
    |(?P<emoji>[\U0001F1E6-\U0001F1FF]{{2}}|[\u2600-\u27bf\U0001F300-\U0001FAFF])""",
    re.VERBOSE | re.IGNORECASE,
)
_TIDY = str.maketrans(
    dict.fromkeys("‘’ʼʻ´`′", "'")
    | dict.fromkeys("“”„«»‟″『』「」", '"')
    | dict.fromkeys("‐‑‒–−﹣", "-")
    | {"—": " — ", "―": " — ", "&": " and ", "％": "%"}
    | dict.fromkeys(map(chr, [0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xAD, 0xFE0F, 0xE000]))
)
_SPECIAL = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u0652\u0640']")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PERCENT = re.compile(r"(?<=\d) ?%|\bper ?cent\b", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]+")
ARTICLES = frozenset({"a", "an", "the"})


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text.

    Args:
        norm: the folded form that is compared.
        raw: the word as written.
        gap: what stands between the word before and this one (spaces and punctuation).
        start: offset of the first character in the tidied text.
        end: offset behind the last character.
        gold: this token stands for a whole gold answer found in the text.
    """

    norm: str
    raw: str
    gap: str
    start: int
    end: int
    gold: bool = False

    @property
    def capital(self) -> bool:
        return self.raw[:1].isupper()

    @property
    def numeric(self) -> bool:
        return any(c.isdigit() for c in self.raw)

    @property
    def unspaced(self) -> bool:
        return is_unspaced(self.raw[:1])


def is_unspaced(char: str) -> bool:
    """Whether the character belongs to a script without spaces between words."""
    return bool(re.match(f"[{UNSPACED}]", char))


def tidy(text: str) -> str:
    """One form for full-width letters, quotes, dashes, percent signs and invisible characters; case is kept.

    Example:
        >>> tidy("Ｐａｒｉｓ – “12 ％”")
        'Paris - "12 percent"'
    """
    plain = _SPACES.sub(" ", unicodedata.normalize("NFKC", text.translate(_TIDY)))
    return _PERCENT.sub(lambda found: " percent" if "%" in found[0] else "percent", plain)


@lru_cache(maxsize=100_000)
def fold(word: str) -> str:
    """Case, accents and apostrophes removed from one word.

    Accents go from alphabets only: Japanese が is not か.

    Example:
        >>> fold("São"), fold("O'Brien"), fold("STRASSE") == fold("Straße"), fold("が")
        ('sao', 'obrien', True, 'が')
    """
    plain = _ACCENTS.sub("", unicodedata.normalize("NFD", word.casefold()))
    return unicodedata.normalize("NFC", plain).translate(_SPECIAL)


def _number(raw: str) -> str:
    """One spelling for a number: no thousands commas, no trailing zeros after a point, ASCII digits."""
    digits = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in raw).lower().replace("'", "")
    if _THOUSANDS.match(digits):
        digits = digits.replace(",", "")
    return digits.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d*\.\d+", digits) else digits


def _norm(kind: str | None, raw: str) -> str:
    if kind in ("number", "digits"):
        return _number(raw)
    return fold(raw.replace(".", "") if kind == "initials" else raw)


def _join_initials(tokens: Iterable[Token]) -> list[Token]:
    """ "J. K. Rowling" has the words "jk" and "rowling", as "J.K. Rowling" has."""
    joined: list[Token] = []
    for token in tokens:
        last = joined[-1] if joined else None
        letters = last and token.raw.isupper() and len(token.raw) == 1 and last.raw.replace(".", "").isupper()
        if last and letters and token.gap.strip() == "." and len(last.norm) < 4 and not last.unspaced:
            joined[-1] = replace(last, norm=last.norm + token.norm, raw=f"{last.raw}.{token.raw}", end=token.end)
        else:
            joined.append(token)
    return joined


def tokenise(text: str) -> list[Token]:
    """The words of a tidied text, in order. Total, and linear in the length of the text.

    Example:
        >>> [t.norm for t in tokenise(tidy("J. K. Rowling’s U.S. sales: 1,998 in São Paulo (東京)"))]
        ['jk', 'rowlings', 'us', 'sales', '1998', 'in', 'sao', 'paulo', '東', '京']
    """
    tokens, end = [], 0
    for found in _TOKEN.finditer(text):
        raw = found[0]
        tokens.append(Token(_norm(found.lastgroup, raw), raw, text[end : found.start()], found.start(), found.end()))
        end = found.end()
    return _join_initials(tokens)


def is_article(tokens: list[Token], i: int) -> bool:
    """Whether token `i` is an article in front of a word: "the", or an "a" that is not a name ("Vitamin A")."""
    token = tokens[i]
    if token.norm not in ARTICLES or i + 1 == len(tokens) or tokens[i + 1].gap.strip(" \"'*_"):
        return False
    return token.raw != "A" or i == 0 or any(c in tokens[i].gap for c in '.:\n"')


def without_articles(tokens: list[Token]) -> list[Token]:
    """The tokens without articles, unless nothing is left ("The The").

    Example:
        >>> [t.norm for t in without_articles(tokenise("The answer is a vitamin A"))]
        ['answer', 'is', 'vitamin', 'a']
    """
    return [t for i, t in enumerate(tokens) if not is_article(tokens, i)] or tokens
