"""Does a reply offer an answer, or does it only say that it has none? In English, Japanese and Chinese.

The rule, for training and evaluation alike, so that hedging can't be farmed: **whoever offers an answer, however
hedged, has attempted**. A reply is an abstention iff a clause says "I don't know" and no clause offers anything.

A reply is cut into clauses at punctuation and at *contrast* and *guess* words ("but", "maybe", たぶん, 可能是; *keep*
lists exceptions), *fillers* and closing *particles* are set aside, and each clause is one of these (in *italics* the
sections of `phrases/*.txt`, where the words are):

- *idk*, "I don't know the capital of Peru", or *doubt*, "not sure", or *broad*, a denial of knowing or answering.
  What it is that is not known restates the question, so names in it are no offer, and neither are those after a
  further comma ("in Lima, Peru"), unless it is only "the answer" (*object*). Exceptions: a number ("I don't know the
  year, 1998"), "if it's Paris", "idk Paris?", titles in title case.
- *excuse*: apologies, reasons, advice, and remarks about the question, records or oneself; *meta* is the same unless
  it says a name or a number; a *question* back; a *topic* before "I don't know"; a *negation* ("The census never
  recorded it"), unless it is about him, her or them.
- an offer: what follows a guess word or an introduction (*start* "I'd say", *lead* "it is", 答案是), and **any other
  clause**, after "but" or standing alone ("I don't know. Paris."). Words that no section knows count as an offer.
  From an offer a closing です or 吧 (*tail*) is taken off.

Quoted words and titles are never read as saying anything, but the quotation "I don't know" itself may be the answer.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from abstain.rewards.parsing.clauses import Clause, clauses
from abstain.rewards.parsing.phrasebook import QUOTED_IDK, Phrasebook, read_phrases

MAX_TEXT = 10_000  # characters; who writes more than that has not just said "I don't know"
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


_CHOICE = re.compile(r"\(?[A-Ha-h][).:]\s+(?P<rest>.*)", re.DOTALL)
_PERSONAL = re.compile(r"\W*(?:i|we|idk|dunno)\b", re.IGNORECASE)
_NO_ABBREVIATION = re.compile(r"(?:[A-Za-z]{3}|[0-9)\]%\"]|[^\x00-\x7f])\Z")
_WRAPS = {'"': '"', "“": "”", "「": "」", "'": "'", "‘": "’"}


@dataclass(frozen=True)
class Offer:
    """What a reply offers: the offered text ("" if none), whether it abstains, and whether it voices doubt."""

    answer: str
    abstained: bool = False
    hedged: bool = False


def is_abstention(text: str) -> bool:
    """Whether a reply offers no answer and says so.

    Example:
        >>> [is_abstention(t) for t in ("I don’t know who won in 1998.", "わかりません。", "無法確定", "[IDK]")]
        [True, True, True, True]
        >>> [is_abstention(t) for t in ("I don't know, but perhaps Paris", "Unknown Pleasures", "《不知道》", "")]
        [False, False, False, False]
    """
    return read(text).abstained


def load_phrases(path: str | Path) -> int:
    """Add the phrases of a file to those known in this process; return how many. The syntax: `phrasebook`.

    Raises `FileNotFoundError`, or `ValueError` naming file:line.

    Example:
        >>> import tempfile, pathlib
        >>> file = pathlib.Path(tempfile.mkdtemp(), "de.txt")
        >>> _ = file.write_text("[idk]\\n(ich |)(weiß|weiss) (es|das) (leider |)nicht\\n")
        >>> load_phrases(file), is_abstention("Ich weiß es leider nicht.")
        (1, True)
    """
    added = read_phrases(path, known_phrases())
    _kind.cache_clear()
    return added


def read(text: str) -> Offer:
    """What a reply offers, by the rule above. Pure and total: any string will do.

    Example:
        >>> read("I'm not sure, maybe Paris?")
        Offer(answer='Paris', abstained=False, hedged=True)
        >>> read("わかりませんが、たぶんパリです")
        Offer(answer='パリ', abstained=False, hedged=True)
        >>> read("Paris")
        Offer(answer='Paris', abstained=False, hedged=False)
    """
    text = unwrap_quotes(text.strip())
    if len(text) > MAX_TEXT:
        return Offer(text)
    if choice := _CHOICE.fullmatch(text):  # "C. Cannot be determined" is an answer, "E. I don't know" isn't
        return read(choice["rest"]) if _PERSONAL.match(choice["rest"]) else Offer(text)
    parts = clauses(text, known_phrases(), _quoted_idk)
    kinds = _in_context(parts, [_with_title(part, text) for part in parts], text)
    offers = [i for i, kind in enumerate(kinds) if kind.name == "offer"]
    doubted = any(kind.name in ("idk", "doubt") or (kind.name == "offer" and kind.about) for kind in kinds)
    if doubted:
        return Offer(_joined(offers, parts, kinds, text), abstained=not offers, hedged=bool(offers))
    hedged = any(kind.guess or "guess" in (part.before, part.after) for part, kind in zip(parts, kinds, strict=True))
    plain = not hedged or len(offers) < len(parts) or title_case(text, 1)  # "Maybe Tomorrow" may be a song
    return Offer(text if plain else _joined(offers, parts, kinds, text), hedged=hedged)


def unwrap_quotes(text: str) -> str:
    """The text without quotation marks around all of it; titles keep theirs.

    Example:
        >>> unwrap_quotes('"Paris"'), unwrap_quotes("「パリ」"), unwrap_quotes('"A" and "B"')
        ('Paris', 'パリ', '"A" and "B"')
    """
    body = text.rstrip(".。")
    close = _WRAPS.get(body[:1])
    inner = body[1:-1]
    wrapped = len(body) > 2 and body[-1] == close and close not in inner and body[0] not in inner
    return inner.strip() if wrapped else text


def _joined(offers: list[int], parts: list[Clause], kinds: list[Kind], text: str) -> str:
    """The offered stretches of the original text; neighbours stay together."""
    stretches: list[tuple[int, int]] = []
    for i in offers:
        left = parts[i].spans[kinds[i].left - 1][1] if kinds[i].left else parts[i].start
        if stretches and kinds[i - 1].name == "offer":
            stretches[-1] = (stretches[-1][0], parts[i].end)
        else:
            stretches.append((left, parts[i].end))
    return ", ".join(_trimmed(text[left:right]) for left, right in stretches)


def _trimmed(answer: str) -> str:
    """An offered stretch without punctuation around it and without a closing です, 吧 …"""
    answer = without_stop(answer.strip(" \t\n\r,;:!?、，；：！？…—–*"))
    if answer and not answer.isascii():
        tail = known_phrases().at_end["tail"].search(answer)
        answer = answer[: tail.start()] if tail and tail.start() > 0 else answer
    return unwrap_quotes(answer.strip())


def without_stop(text: str) -> str:
    """The text without its closing full stop, which an abbreviation keeps.

    Example:
        >>> [without_stop(t) for t in ("Paris.", "パリ。", "Washington, D.C.", "42.")]
        ['Paris', 'パリ', 'Washington, D.C.', '42']
    """
    body = text.rstrip(".。")
    return body if _NO_ABBREVIATION.search(body[-3:]) else text
