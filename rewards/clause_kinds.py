"""What each clause of a reply does: says "I don't know", excuses itself, offers an answer. The kinds and the rule are
described in `abstain.rewards.abstention`.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from abstain.rewards.clauses import Clause, clauses
from abstain.rewards.phrasebook import QUOTED_IDK, Phrasebook, read_phrases

MAX_CLAUSE = 400
_MAX_FILLERS = 8
_RUN_ON = re.compile(r" ?(?:(?:and|so|if|whether|that|but|or|because) )?")
_CONSEQUENCE = re.compile(r"(?:so|only|just|then|yet|thus|hence|therefore|which means)\b")
_NAME = re.compile(r"(?<=[\s\"'(])(?!AI\b|Wikipedia|Google|Internet)[A-Z][^\W\d_]+|[0-9]")
_SHORT_GUESS = re.compile(
    r"(?:know|idk|dunno) (?!wh|how|if|the|that|this|about|it|him|her|them|any|much)(\w+(?: \w+)?)$"
)
_YOU = re.compile(r"\b(?:you|your|me|i)\b")
_PRONOUN = re.compile(r"(?:he|she|they|his|her|their)\b|[他她]|彼")


@dataclass(frozen=True)
class Kind:
    """Kind of a clause.

    Args:
        about: it says "I don't know" of something that it names; of an offer, that it says "I don't know" too.
        left: where its offer begins.
        guess: it says that it guesses.
    """

    name: str
    about: bool = False
    left: int = 0
    guess: bool = False


@lru_cache(maxsize=1)
def known_phrases() -> Phrasebook:
    book = Phrasebook()
    for path in sorted((Path(__file__).parent / "phrases").glob("*.txt")):
        read_phrases(path, book)
    return book


def kinds_of(text: str) -> tuple[list[Clause], list[Kind]]:
    """The clauses of a text and the kind of each."""
    parts = clauses(text, known_phrases(), _quoted_idk)
    return parts, _in_context(parts, [_with_title(part, text) for part in parts], text)


def extend(path: str | Path) -> int:
    """Add a file's phrases to those known in this process; return how many."""
    added = read_phrases(path, known_phrases())
    _kind.cache_clear()
    return added


def _quoted_idk(quote: str) -> bool:
    parts = clauses(quote, known_phrases(), lambda inner: False)
    return bool(parts) and all(_kind(part.text).name in ("idk", "doubt", "excuse") for part in parts)


def _fillers_off(text: str) -> tuple[int, int]:
    """The part of a clause between "sorry", "well", ね, 啊 and the like."""
    book, left, right = known_phrases(), 0, len(text)
    for _ in range(_MAX_FILLERS):
        found = book.full["filler"].match(text, left, right)
        if not found:
            break
        left = found.end() + (text[found.end() : found.end() + 1] == " ")
    for _ in range(_MAX_FILLERS):
        rest = text[left:right]
        found = book.at_end["particle"].search(rest) or book.at_end["filler"].search(rest)
        if not found:
            break
        right = left + len(rest[: found.start()].rstrip())
    return min(left, right), right


@lru_cache(maxsize=4096)
def _kind(text: str) -> Kind:
    """The kind of a folded clause on its own: a section's name, "offer", "empty" or "unknown"."""
    if len(text) > MAX_CLAUSE:
        return Kind("offer")
    book = known_phrases()
    left, right = _fillers_off(text)
    for start, end in {(0, len(text)): 0, (left, len(text)): 0, (left, right): 0}:
        for name in ("idk", "doubt", "excuse"):
            if book.full[name].fullmatch(text, start, end):
                about = not _bare(name, text, start, end)
                broadly = name == "excuse" and book.full["broad"].fullmatch(text, start, end)
                return _run_on(text, start) or Kind("doubt" if broadly else name, about)
    if left >= right:
        return Kind("empty")
    for name in ("start", "lead"):
        if found := book.full[name].match(text, left):
            return _introduced(text, found.end(), name == "start")
    cores = {text: 0, text[left:]: 0, text[left:right]: 0}
    names = (
        name for name in ("broad", "meta", "question", "topic") for core in cores if book.full[name].fullmatch(core)
    )
    name = next(names, "unknown")
    return Kind("doubt") if name == "broad" else Kind(name, left=left)


def _bare(name: str, text: str, start: int, end: int) -> bool:
    """Whether "I don't know" names nothing but "the answer", "this one" and the like."""
    book = known_phrases()
    ends = {end, _fillers_off(text)[1]}
    if found := book.at_end["object"].search(text[:end]):
        ends.add(len(text[: found.start()].rstrip()))
    return any(book.bare[name].fullmatch(text, start, max(start, at)) for at in ends)


def _run_on(text: str, start: int) -> Kind | None:
    """An offer that follows "I don't know" with nothing in between: "i don't know it might be paris"."""
    book = known_phrases()
    known = book.bare["idk"].match(text, start) or book.bare["doubt"].match(text, start)
    if not known or known.end() == len(text):
        return None
    at = _RUN_ON.match(text, known.end()).end()  # type: ignore[union-attr]  # it matches the empty string too
    if found := book.full["start"].match(text, at):
        return replace(_introduced(text, found.end(), True), about=True)
    found = book.full["lead"].match(text, at)
    return Kind("candidate", True, found.end()) if found and found.end() < len(text) else None


def _introduced(text: str, at: int, guess: bool) -> Kind:
    """The kind of a clause whose introduction ("I'd say") ends at `at`."""
    rest = text[at:].strip()
    inner = _kind(rest) if rest else Kind("empty")
    if inner.name in ("idk", "doubt", "excuse", "empty"):
        return inner
    return Kind("offer", left=text.index(rest, at) + inner.left, guess=guess)


def _with_title(part: Clause, text: str) -> Kind:
    """The kind of a clause, where the original's capitals and digits may tell a name from a statement."""
    kind = _kind(part.text)
    if kind.name == "candidate":  # "not sure if it's Paris" names one, "not sure if it is true" doesn't
        first = text[part.spans[kind.left + (part.text[kind.left] == " ")][0]]
        return replace(kind, name="offer" if first.isupper() or first.isdigit() else "idk")
    if kind.name == "idk" and part.after == "asked" and (guess := _SHORT_GUESS.search(part.text)):
        return Kind("offer", about=True, left=guess.start(1))
    if (kind.name == "doubt" or kind.about) and title_case(text[part.start : part.end]):
        return Kind("unknown")
    return kind


def title_case(text: str, least: int = 2) -> bool:
    """I Don't Know How She Does It."""
    long = [word for word in re.findall(r"[A-Za-z'’]+", text) if len(word) > 3]
    return len(long) >= least and all(word[0].isupper() for word in long) and not text.isupper()


def _in_context(parts: list[Clause], kinds: list[Kind], text: str) -> list[Kind]:
    """Settle the clauses that can only be told from their neighbours."""
    for i, part in enumerate(parts):  # He said: "I don't know."
        if i and part.text == QUOTED_IDK and part.before in ("comma", "colon") and kinds[i - 1].name == "unknown":
            kinds[i] = Kind("unknown")
    settled: list[Kind] = []
    for i, (part, kind) in enumerate(zip(parts, kinds, strict=True)):
        before = settled[-1] if settled and part.before == "comma" else Kind("")
        after = kinds[i + 1] if i + 1 < len(kinds) else Kind("")
        if kind.name in ("meta", "question", "topic", "unknown"):
            named = bool(_NAME.search(text[part.start : part.end].lstrip()))
            kind = _settled(part, kind, before, after, named and bool(settled))
        settled.append(kind)
    return settled


def _settled(part: Clause, kind: Kind, before: Kind, after: Kind, named: bool) -> Kind:
    """The kind of a clause that its words alone leave open; `named`: it says a name or number, and isn't first."""
    excuse = Kind("excuse", about=before.about)
    guessed = part.before == "guess"
    denies = bool(known_phrases().full["negation"].search(part.text))
    if kind.name == "meta" and not guessed and (denies or not named):
        return excuse
    if kind.name == "question" and part.after == "asked" and (not named or _YOU.search(part.text)):
        return excuse
    if after.name == "idk" and (part.after == "colon" or (kind.name == "topic" and part.after == "comma")):
        return excuse
    asks = part.after == "asked" and part.text.count(" ") < 3
    restates = before.about and part.text.isascii() and not part.text[0].isdigit()
    if restates and not asks and not guessed and not _CONSEQUENCE.match(part.text):
        return excuse
    wordy = part.text.count(" ") > 1 or (not part.text.isascii() and len(part.text) > 4)
    if wordy and denies and not guessed and not _PRONOUN.match(part.text):
        return excuse
    return Kind("offer", left=kind.left)
