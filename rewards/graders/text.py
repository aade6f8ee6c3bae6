"""Folding and tokenising, so that "Ｐａｒｉｓ", "paris" and "PARIS" are one word, and "19" is no part of "1998"."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

# Marks that belong to the letter before them: accents, vowel signs of Hebrew, Arabic and Indic scripts.
_MARKS = (
    "\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0711-\u074a\u07a6-\u07b0"
    "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a03\u0a3c-\u0a51\u0a81-\u0a83"
    "\u0abc-\u0acd\u0b01-\u0b03\u0b3c-\u0b57\u0b82\u0bbe-\u0bcd\u0c00-\u0c04\u0c3e-\u0c56\u0c81-\u0c83\u0cbc-\u0cd6"
    "\u0d00-\u0d03\u0d3b-\u0d57\u0dca-\u0ddf\u0f18-\u0f3f\u0f71-\u0f84\u135d-\u135f\u1ab0-\u1aff\u1dc0-\u1dff"
)
# Scripts that are written without spaces: one token per character. The middle dot of katakana names is left out.
UNSPACED = (
    "\u0e01-\u0e4e\u0e81-\u0edf\u1000-\u109f\u1780-\u17d3\u3005\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
)
_LETTER = rf"[^\W\d_{UNSPACED}]"
_TOKEN = re.compile(
    rf"""(?P<number>(?<![\w)])-?(?:\d+(?:[.,]\d+)*|\.\d+)(?:(?:st|ST|nd|ND|rd|RD|th|TH|'?s)(?!\w))?)
    |(?P<initials>{_LETTER}(?:\.{_LETTER}(?![\w{_MARKS}]))+\.?)
    |(?P<word>{_LETTER}(?:[^\W_{UNSPACED}]|[{_MARKS}]|'(?={_LETTER}))*(?:\+\+|\#(?!\w))?)
    |(?P<unspaced>[{UNSPACED}])
    |(?P<digits>\d+(?:[.,]\d+)*)
    |(?P<emoji>[\U0001F1E6-\U0001F1FF]{{2}}|[\u2600-\u27bf\U0001F300-\U0001FAFF])""",
    re.VERBOSE,
)
_TIDY = str.maketrans(
    dict.fromkeys("‘’ʼʻ´`′", "'")
    | dict.fromkeys("“”„«»‟″『』「」", '"')
    | dict.fromkeys("‐‑‒–−﹣", "-")
    | {"—": " — ", "―": " — ", "&": " and ", "％": "%"}
    | dict.fromkeys(map(chr, [*range(9), *range(14, 32), *range(127, 160)]), " ")
    | dict.fromkeys(map(chr, [0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xAD, 0xFE0F, 0xE000]))
)
_SPECIAL = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i"})
_ACCENTS = re.compile("[\u0300-\u036f\u0591-\u05c7\u064b-\u0652\u0640']")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PERCENT = re.compile(r"(?<=\d) ?%|\bper ?cent\b", re.IGNORECASE)
_SPACES = re.compile(r"[^\S\n]+")
_UNTIDY = re.compile(r"[^\n !-$'-_a-~]|  |[Cc][Ee][Nn][Tt]\b")
_SHORT = 400  # characters
ARTICLES = frozenset({"a", "an", "the"})


@dataclass(slots=True)  # not frozen: that costs a microsecond each
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


_UNSPACED = re.compile(f"[{UNSPACED}]")


def is_unspaced(char: str) -> bool:
    """Whether the character belongs to a script without spaces between words."""
    return bool(_UNSPACED.match(char))


def tidy(text: str) -> str:
    """One form for full-width letters, quotes, dashes, percent signs and invisible characters; case is kept.

    Example:
        >>> tidy("Ｐａｒｉｓ – “12 ％”")
        'Paris - "12 percent"'
    """
    if len(text) < _SHORT and not _UNTIDY.search(text):
        return text
    plain = _SPACES.sub(" ", unicodedata.normalize("NFKC", text.translate(_TIDY)))
    return _PERCENT.sub(lambda found: " percent" if "%" in found[0] else "percent", plain)


# A longer text is no answer to a strict reader; a lenient one looks where answers stand, at its beginning and end.
_HEAD, _TAIL = 1_200, 400
LONGEST = _HEAD + _TAIL


def both_ends(text: str) -> str:
    """The beginning and the end of a long text, on lines of their own.

    Example:
        >>> len(both_ends("a" * 9_000)), both_ends("Paris")
        (1601, 'Paris')
    """
    return f"{text[:_HEAD]}\n{text[-_TAIL:]}" if len(text) > LONGEST else text


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
    tokens, end, single = [], 0, False
    for found in _TOKEN.finditer(text):
        raw, kind = found[0], found.lastgroup
        begin, last = found.span()
        norm = fold(raw) if kind == "word" else _norm(kind, raw)
        tokens.append(Token(norm, raw, text[end:begin], begin, last))
        single = single or last - begin == 1
        end = last
    return _join_initials(tokens) if single else tokens


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
