"""Phrase files: how "I don't know" is said, for people who speak a language rather than regular expressions.

    # a comment                      @know = (know|recall|remember)
    [idk]                            names the section that the following lines belong to
    i (really|) don't @know ...      one phrase a line: `(a|b|)` alternatives, `...` any words within the clause,
                                     `$` the end of a clause

Text is compared after `clauses.fold`: case, width, accents, curly apostrophes and punctuation are gone ("No sé." is
"no se"), and Traditional Chinese characters are replaced by the pairs of `[fold]`. Lines before any header belong to
`[idk]`. What the sections mean is said in `abstain.rewards.parsing.abstention`. In `[contrast]`, `(a|b)/c` finds c
only after a or b.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from abstain.rewards.errors import nearest

WHOLE = ("idk", "doubt", "excuse", "broad", "meta", "topic", "question")  # phrases that cover a clause
EDGE = ("filler", "particle", "object", "start", "lead", "tail")  # phrases at an edge of a clause
INSIDE = ("keep", "contrast", "guess", "negation")  # phrases searched for within a sentence
SECTIONS = (*WHOLE, *EDGE, *INSIDE, "fold")
QUOTED_IDK, QUOTED = "\ue000", "\ue001"  # stand for a quoted "I don't know", and for any other quotation or title
MAX_SLOTS = 3
MAX_DEPTH = 20
MAX_LENGTH = 20_000  # of a phrase whose names are filled in: names within names could grow without end

_SLOT = "[^.,:?]*"
_SPACE = r"(?: |(?<!\w)|(?!\w))"  # nothing is enough where no two words would run together (\b knows no vowel signs)
_END = "(?=[.,:?]|$)"
_KANA = 0x60  # from katakana to hiragana
_LETTER = "a-z\u00c0-\u0dff\u10a0-\u177f\u1800-\u1fff\uac00-\ud7af"  # where words are spaced: not Thai, Chinese …
_WORD = f"[{_LETTER}0-9']"
# marks that writers leave out or that have two spellings: Latin accents, Hebrew and Arabic vowels, a dot below (nukta)
_MARKS = dict.fromkeys(
    [*range(0x300, 0x334), *range(0x591, 0x5C8), 0x640, *range(0x64B, 0x660), 0x670, 0x93C, 0x9BC, 0x200C, 0x200D]
)
_APOSTROPHES = set("’‘ʼ`´′")
_INVISIBLE = set("\xad\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069\ufeff")


def fold_char(char: str, pairs: dict[str, str]) -> str:
    """One character without width, case, accents, kana and script variants; may be longer than one, or nothing.

    Example:
        >>> fold_char("Ｋ", {}), fold_char("’", {}), fold_char("無", {"無": "无"}), fold_char("É", {})
        ('k', "'", '无', 'e')
    """
    folded = _plain(char)
    return pairs.get(folded, folded)


@lru_cache(maxsize=100_000)
def _plain(char: str) -> str:
    folded = unicodedata.normalize("NFKC", char).casefold()
    if not folded.isascii():
        if folded in _INVISIBLE:
            return ""
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", folded).translate(_MARKS))
    folded = "".join(chr(ord(c) - _KANA) if "ァ" <= c <= "ヶ" else c for c in folded)
    return "'" if folded in _APOSTROPHES else folded


class Phrasebook:
    """Phrases by section, their names filled in, and the pairs of characters that are read as one.

    Example:
        >>> book = Phrasebook()
        >>> book.add("@us = me|us\\n[idk]\\nsearch @us ..."), book.phrases["idk"]
        (1, ['search (me|us) ...'])
    """

    def __init__(self) -> None:
        self.phrases: dict[str, list[str]] = {name: [] for name in SECTIONS}
        self.pairs: dict[str, str] = {}

    def add(self, text: str, source: str = "<phrases>") -> int:
        """Add the phrases of one file; return how many. Raises `ValueError` naming file:line, adding nothing then."""
        pairs: dict[str, str] = {}
        names: dict[str, str] = {}
        added = []
        for where, section, line in _lines(text, source):
            line = "".join(fold_char(char, {}) for char in line)
            name, defines, body = line.partition("=")
            if section == "fold":
                pairs |= _pairs(line, where)
            elif line.startswith("@") and defines:
                names[name.strip()[1:]] = _fill(body.strip(), names, where)
            else:
                added.append((section, _checked(_fill(line, names, where), section, where)))
        self.pairs |= pairs
        for section, phrase in added:
            self.phrases[section].append(phrase)
        return len(added)


def read_phrases(path: str | Path, book: Phrasebook) -> int:
    """Add a phrase file to `book`; return the number of phrases. Raises `FileNotFoundError`, or `ValueError`."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise FileNotFoundError(f"phrase file {path} does not exist") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: a phrase file is UTF-8 text, but byte {error.start} is not") from None
    return book.add(text, str(path))


def _lines(text: str, source: str) -> Iterator[tuple[str, str, str]]:
    """(file:line, section, line) for each line that says something."""
    section = "idk"
    for number, raw in enumerate(text.splitlines(), 1):
        line = " ".join(raw.split())
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            if section not in SECTIONS:
                raise ValueError(f"{source}:{number}: no section [{section}]. {nearest(section, SECTIONS)}")
        elif line and not line.startswith("#"):
            yield f"{source}:{number}", section, line


def _pairs(line: str, where: str) -> dict[str, str]:
    """Pairs of characters: "無无 確确" reads 無 as 无."""
    for pair in line.split():
        if len(pair) != 2:
            raise ValueError(f"{where}: [fold] takes pairs of two characters, not {pair!r}")
    return {pair[0]: pair[1] for pair in line.split()}


def _fill(line: str, names: dict[str, str], where: str) -> str:
    """The line with its @names filled in."""

    def body(match: re.Match[str]) -> str:
        if match[1] not in names:
            raise ValueError(f"{where}: @{match[1]} is not defined above this line. {nearest(match[1], names)}")
        return f"({names[match[1]]})"

    filled = re.sub(r"@([a-z_]+)", body, line)
    if len(filled) > MAX_LENGTH:
        raise ValueError(f"{where}: longer than {MAX_LENGTH} characters once its names are filled in")
    return filled


def to_regex(phrase: str, section: str) -> str:
    """The regular expression of a phrase whose names are filled in.

    Example:
        >>> to_regex("(clue|idea) ...", "idk")
        '(?:clue|idea)(?: [^.,:?]*)?'
    """
    before = ""
    if section == "contrast" and "/" in phrase:
        before, _, phrase = phrase.partition("/")
        before = _only_after(before, section)
    parts = re.split(r"( \.\.\.|\.\.\. |\.\.\.|[()| $])", phrase.replace("<idk>", QUOTED_IDK))
    pattern = "".join(_token(part) for part in parts)
    if section not in WHOLE:  # words end where letters do; Chinese and Japanese do not mark it
        spaced = re.search(f"[{_LETTER}]", phrase)
        pattern = f"(?:{pattern})(?!{_WORD})" if spaced else f"(?:{pattern})"
        attached = before or re.search("[\uac00-\ud7af]", phrase)  # Korean endings
        pattern = f"(?<!{_WORD}){pattern}" if spaced and not attached else before + pattern
    return pattern


def _checked(phrase: str, section: str, where: str) -> str:
    depth = 0
    for char in phrase:
        depth += (char == "(") - (char == ")")
        if not 0 <= depth <= MAX_DEPTH:
            break
    if depth:
        problem = f"more than {MAX_DEPTH} nested" if depth > MAX_DEPTH else "unbalanced"
        raise ValueError(f"{where}: {problem} parentheses in {phrase[:200]!r}")
    if phrase.count("...") > MAX_SLOTS:
        raise ValueError(f"{where}: at most {MAX_SLOTS} slots '...' in a phrase, not {phrase.count('...')}")
    if section == "contrast" and "/" in phrase:
        _only_after(phrase.partition("/")[0], where)
    if _may_be_empty(phrase):
        raise ValueError(f"{where}: {phrase!r} would match anything")
    return phrase


def _may_be_empty(phrase: str) -> bool:
    """Whether a phrase can do without a word."""
    while "(" in phrase:
        phrase = re.sub(r"\(([^()]*)\)", lambda group: "" if _may_be_empty(group[1]) else "x", phrase)
    return any(not re.search(r"\w|<idk>", alternative) for alternative in phrase.split("|"))


def _token(part: str) -> str:
    """One token. A slot next to a space takes the space with it."""
    if part in ("(", ")", "|", " ", "$", ""):
        return {"(": "(?:", " ": _SPACE, "$": _END}.get(part, part)
    if part.strip() == "...":
        return {" ...": f"(?: {_SLOT})?", "... ": f"(?:{_SLOT} )?"}.get(part, f"(?!的){_SLOT}")
    # dont, im and ive are no other words, but ill, id and its are
    return re.sub(r"n't\b|\bi'(?=m\b|ve\b)", lambda m: m[0].replace("'", "'?"), re.escape(part))


def _only_after(before: str, where: str) -> str:
    words = before.strip("()").split("|")
    if any(set(word) & set("()./") for word in words):
        raise ValueError(f"{where}: before '/' stands a list of words (a|b|c), not {before!r}")
    return "(?:" + "|".join(f"(?<={re.escape(word)})" for word in words) + ")"
