"""The clauses of a long text, sentence by sentence: as `clauses.fold` and `clauses.clauses` read them, but fast.

Words are folded at once and not letter by letter, and a sentence is cut only at phrases of which it has a cue.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from abstain.rewards.parsing import clauses as slow
from abstain.rewards.parsing.cues import Phrase
from abstain.rewards.parsing.phrasebook import QUOTED, QUOTED_IDK, Phrasebook, fold_char

_LEAST = 200  # characters: shorter texts are one sentence
_SHORTEST = 60  # shorter sentences go with the next one
_STOP = re.compile(r"[.!?。\n]")
_OPENING = re.compile(r"[\"“„«「《〈『\\]")
_PIECE = re.compile(r"(?P<word>[A-Za-z0-9]+(?: [A-Za-z0-9]+)*)|(?P<letters>[^\W_]+)|.", re.DOTALL)
_JOINS = re.compile("[\u3099\u309aﾞﾟ\u1161-\u11c2]")  # a character that changes the one before it
_BORDER = re.compile(r"(?P<stop>\.)|(?P<asked>\?)|(?P<comma>,)|(?P<colon>:)")
_UNLIKE = "\ue00f"  # stands for a letter that is folded to several characters, to none, or to no letter


@dataclass
class Folded:
    """Folded text; its character i stands at starts[i]:ends[i] in the original."""

    text: str = ""
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


@dataclass
class Clause:
    """A stretch of folded text between two borders, and where it stands in the original.

    Args:
        text: folded, stripped.
        folded, at: the sentence that it is of, and where in it `text` begins.
        before, after: the kinds of the borders: stop, asked, comma, colon, contrast, guess, or "" at an end.
        start, end: offsets in the original text, from border to border.
    """

    text: str
    folded: Folded
    at: int
    before: str
    after: str
    start: int
    end: int

    def start_of(self, i: int) -> int:
        """Where the clause's character i begins in the original."""
        return self.folded.starts[self.at + i]

    def end_of(self, i: int) -> int:
        return self.folded.ends[self.at + i]


class Border(NamedTuple):
    """A border of clauses in a folded text; `kind` is a section, or stop, asked, comma, colon."""

    kind: str
    start: int
    end: int


class _Letters(dict[int, str]):
    """For `str.translate`: letters that are folded to one letter."""

    def __init__(self, pairs: dict[str, str]) -> None:
        self.pairs = pairs

    def __missing__(self, code: int) -> str:
        folded = fold_char(chr(code), self.pairs)
        self[code] = folded if len(folded) == 1 and folded.isalnum() else _UNLIKE
        return self[code]


def quotations(text: str) -> list[re.Match[str]]:
    """Titles, quotations and commands, which are never read as saying anything."""
    return list(slow._OPAQUE.finditer(text)) if _OPENING.search(text) else []


def sentences(text: str, opaque: list[re.Match[str]]) -> list[tuple[int, int]]:
    """Where the sentences of a text begin and end; several may be in one, but never one in several.

    Example:
        >>> text = "It lies in the wooded hills, approx. 5 km from the old town. It was founded by farmers. " * 3
        >>> [text[start:end][:8] for start, end in sentences(text, [])][:3]
        ['It lies ', ' It was ', ' It was ']
    """
    if len(text) < _LEAST:
        return [(0, len(text))]
    inside = iter([*((match.start(), match.end()) for match in opaque), (len(text), len(text))])
    begin, end = next(inside)
    found, start = [], 0
    for stop in _STOP.finditer(text):
        while end <= stop.start() and begin < len(text):
            begin, end = next(inside)
        if stop.end() - start >= _SHORTEST and begin > stop.start() and _surely_ends(text, stop.start()):
            found.append((start, stop.end()))
            start = stop.end()
    return [*found, (start, len(text))]


def _surely_ends(text: str, at: int) -> bool:
    """Whether the mark at `at` ends a sentence, beyond doubt."""
    if text[at] in "!。\n":
        return True
    word = text[max(0, at - 12) : at].rpartition(" ")[2]
    return (
        len(word) > 2
        and word.isalnum()
        and text[at + 1 : at + 2].isspace()
        and word.lower() not in slow._ABBREVIATIONS
    )


class Folder:
    """Folds parts of texts, for the phrases of one book.

    Example:
        >>> folder = Folder(Phrasebook(), lambda quote: False)
        >>> folder.fold("Ｉ don’t know — sorry!", 0, 21, []).text
        "i don't know , sorry."
    """

    def __init__(self, book: Phrasebook, quoted_idk: Callable[[str], bool]) -> None:
        self.book = book
        self.quoted_idk = quoted_idk
        self._letters = _Letters(book.pairs)

    def fold(self, text: str, start: int, end: int, opaque: Iterable[re.Match[str]]) -> Folded:
        """`clauses.fold` of text[start:end]; `opaque` are the quotations in there."""
        if _JOINS.search(text, start, end):
            joined = slow.fold(text[start:end], self.book, self.quoted_idk)
            return Folded(joined.text, [a + start for a, _ in joined.spans], [b + start for _, b in joined.spans])
        out: list[str] = []
        folded = Folded()
        done = start
        for match in opaque:
            self._plain(text, done, match.start(), out, folded)
            holder = " "
            if match.lastgroup != "command":
                known = match.lastgroup == "quote" and self.quoted_idk(match[0][1:-1])
                holder = f" {QUOTED_IDK if known else QUOTED} "
            _emit(holder, match.start(), match.end(), out, folded)
            done = match.end()
        self._plain(text, done, end, out, folded)
        folded.text = "".join(out)
        return folded

    def _plain(self, text: str, start: int, end: int, out: list[str], folded: Folded) -> None:
        """Fold a part without quotations."""
        for piece in _PIECE.finditer(text, start, end):
            at, to = piece.span()
            if piece.lastgroup == "word":
                out.extend(piece[0].lower())
                folded.starts.extend(range(at, to))
                folded.ends.extend(range(at + 1, to + 1))
            elif piece.lastgroup == "letters" and _UNLIKE not in (same := piece[0].translate(self._letters)):
                _emit(same[0], at, at + 1, out, folded)
                out.extend(same[1:])
                folded.starts.extend(range(at + 1, to))
                folded.ends.extend(range(at + 2, to + 1))
            elif piece[0] == " ":
                if out and out[-1] != " ":
                    _emit(" ", at, to, out, folded)
            else:
                for i in range(at, to):
                    if chars := fold_char(text[i], self.book.pairs):
                        _emit("".join(slow._letter(c, text, i, out) for c in chars), i, i + 1, out, folded)
                    elif out:  # a mark that is not compared belongs to the letter before
                        folded.ends[-1] = i + 1


def _emit(chars: str, start: int, end: int, out: list[str], folded: Folded) -> None:
    for char in chars:
        if char == " " and (not out or out[-1] == " "):
            continue
        if len(out) > 1 and out[-1] == " " and slow._is_cjk(char) and slow._is_cjk(out[-2]):
            if QUOTED_IDK in (char, out[-2]) or QUOTED in (char, out[-2]):
                out.pop(), folded.starts.pop(), folded.ends.pop()
            else:
                out[-1] = ","  # where words aren't spaced, a space parts clauses
        out.append(char)
        folded.starts.append(start)
        folded.ends.append(end)


def cut(text: str, folded: Folded, start: int, end: int, phrases: list[Phrase]) -> list[Clause]:
    """`clauses.clauses` of text[start:end], which is `folded`, at those of these phrases that border clauses."""
    found = []
    begin, before, after_border = 0, "stop" if start else "", start
    for border in [*_borders(text, folded, phrases), None]:
        at = border.start if border else len(folded.text)
        edge = folded.starts[at] if border else end
        after = border.kind if border else ""
        words = folded.text[begin:at]
        stripped = words.strip()
        if stripped:
            left = begin + len(words) - len(words.lstrip())
            found.append(Clause(stripped, folded, left, before, after, after_border, edge))
        if border:
            # "but," and ", but" border the next clause as "but" does
            weak = not stripped and before in ("contrast", "guess") and after in ("comma", "colon")
            before = before if weak else after
            begin, after_border = border.end, folded.ends[border.end - 1]
    return found


def _borders(text: str, folded: Folded, phrases: list[Phrase]) -> Iterator[Border]:
    """Wherever one of the phrases, or else a mark, is found; of those that begin together the first phrase's."""
    patterns = [(phrase.section, phrase.full) for phrase in phrases]
    ahead = [pattern.search(folded.text) for _, pattern in patterns]
    marks = _BORDER.finditer(folded.text)
    mark = next(marks, None)
    end = len(folded.text)
    while mark or any(ahead):
        first, place = -1, mark.start() if mark else end
        for i, match in enumerate(ahead):
            if match and (match.start() < place or (match.start() == place and first < 0)):
                first, place = i, match.start()
        if first < 0 or not (match := ahead[first]):
            if mark:
                yield Border(str(mark.lastgroup), mark.start(), mark.end())
                mark = next(marks, None)
            continue
        kind, done = patterns[first][0], match.end()
        if kind != "keep" and not _named(text, folded.starts[match.start()]):
            yield Border(kind, match.start(), done)
        for i, other in enumerate(ahead):
            if other and other.start() < done:
                ahead[i] = patterns[i][1].search(folded.text, done)
        while mark and mark.start() < done:
            mark = next(marks, None)


def _named(text: str, at: int) -> bool:
    """Whether a word that could be a border is part of a name: the Maybe in "Call Me Maybe"."""
    words = text[max(0, at - 40) : at].split()
    named = bool(words) and text[at].isupper() and words[-1][0].isupper() and words[-1][-1].isalnum()
    return named and not text.isupper()
