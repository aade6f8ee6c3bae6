"""Does a reply offer an answer, or does it only say that it has none? In the languages of `phrases/`.

The rule, for training and evaluation alike, so that hedging can't be farmed: **whoever offers an answer, however
hedged, has attempted**. A reply is an abstention iff a clause says "I don't know" and no clause offers anything.

A reply is cut into clauses at punctuation and at *contrast* and *guess* words ("but", "maybe", たぶん, 可能是; *keep*
lists exceptions), *fillers* and closing *particles* are set aside, and each clause is one of these (in *italics* the
sections of `phrases/*.txt`, where the words are):

- *idk*, "I don't know the capital of Peru", or *doubt*, "not sure", or *broad*, a denial of knowing or answering.
  What it is that is not known restates the question, so names in it are no offer, and neither are those after a
  further comma ("in Lima, Peru"), unless it is only "the answer" (*object*). Exceptions: a number ("I don't know the
  year, 1998"), "if it's Paris", "idk Paris?", titles in title case. Who only asks back ("Which Paris do you mean?")
  says *idk* too, and so does who says that a text does not tell.
- *excuse*: apologies, reasons, advice, and remarks about the question, records or oneself; *meta* is the same unless
  it says a name or a number; a *question* back; a *topic* before "I don't know"; a *negation* ("The census never
  recorded it"), unless it is about him, her or them.
- an offer: what follows a guess word or an introduction (*start* "I'd say", *lead* "it is", 答案是), and **any other
  clause**, after "but" or standing alone ("I don't know. Paris."). Words that no section knows count as an offer.
  From an offer a closing です or 吧 (*tail*) is taken off.

Quoted words and titles are never read as saying anything, but the quotation "I don't know" itself may be the answer.

Most replies hold no word of any phrase that could make them more than a plain offer, and are not read at all (`cues`);
of the others, only the sentences that do (`sentences`), unless one of them voices doubt.
"""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from abstain.rewards.parsing.background import tells_only_background
from abstain.rewards.parsing.cues import Folding, Phrase, PhraseIndex, cues_of
from abstain.rewards.parsing.markup import unwrap_quotes, without_stop
from abstain.rewards.parsing.named import CERTAIN, denies_one, two_named
from abstain.rewards.parsing.phrasebook import QUOTED_IDK, SECTIONS, WHOLE, Phrasebook, read_phrases
from abstain.rewards.parsing.sentences import Clause, Folded, Folder, cut, quotations, sentences

MAX_TEXT = 4_000  # characters; who writes more than that has not just said "I don't know"
MAX_CLAUSE = 400
_MAX_FILLERS = 8
_MAX_TAIL = 80
_MANY_SENTENCES = 40
_SHORT = 200  # characters; of longer texts each sentence is looked at anyhow
_BORDERS = ("keep", "contrast", "guess")
_OPEN = ("meta", "question", "topic", "unknown")  # kinds that only the neighbours settle
_TELLING = frozenset((*WHOLE, "filler", "particle", "start", "lead"))
_DECIDING = ("idk", "doubt", "broad", "start", "guess")  # without one of these, a text is a plain offer
_RUN_ON = re.compile(r" ?(?:(?:and|so|if|whether|that|but|or|because) )?")
_CONSEQUENCE = re.compile(
    r"(?:so|only|just|then|yet|thus|hence|therefore|which means)\b"
    r"|(?:they|it|the [a-z]+) (?:do |does )?(?:name|mention|say|give|suggest|imply|implie|point|indicate|state)s?\b"
)
_PERCENT = re.compile(r"(?:about |only |~)?[0-9]{1,3}(?: [0-9]{1,2})? ?(?:%|percent)")
_NAME = re.compile(
    r"(?<=[\s\"'(])(?!AI\b|Wikipedia|Google|Internet)[A-Z][^\W\d_]+|"
    r"(?<![0-9.,])(?!0?\.[0-9]|[0-9][0-9.,]{0,8}\s?(?:%|％|percent))[0-9]"  # a percentage is of confidence
)
_TERM = re.compile(r"(?:不确定|不可知|未知|不明)(?:性|论|关系|数|飞行|物|量)")  # "uncertainty" is a subject too
_LIFESPAN = re.compile(r"(?:c |ca )?[0-9]{3,4} (?:c |ca )?[0-9]{2,4}")
_THIRD = re.compile(
    r"(?:他|她|它)们?(?:当时|从来|并|也|都|还|其实|从)?(?:不(?:知|清|记|确|认|懂|会|能)|没有?(?:回|听|见|答))[^我]*"
)
_PARTICLE = re.compile("[がはのをにで的]")
_SHORT_GUESS = re.compile(r"(?:know|idk|dunno) (?!wh|how|if|th|about|it|him|her|any|much)(\w+(?: \w+)?)$")
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


class _Reader:
    """What is derived from the known phrases once."""

    def __init__(self, book: Phrasebook) -> None:
        self.folding = Folding(book.pairs)
        self.phrases = PhraseIndex(book, (section for section in SECTIONS if section not in _BORDERS))
        self.bordering = PhraseIndex(book, _BORDERS)
        self.deciding = PhraseIndex(book, _DECIDING)
        self.inside = Folder(book, lambda quote: False)
        self.folder = Folder(book, _quoted_idk)

    def undecided(self, text: str) -> bool:
        """Whether some phrase that makes a text more than a plain offer may be in it."""
        cues = cues_of(text.lower() if text.isascii() else text.translate(self.folding))
        return bool(self.deciding.always) or next(self.deciding.having(cues), None) is not None


@lru_cache(maxsize=1)
def _reader() -> _Reader:
    return _Reader(known_phrases())


def _forget() -> None:
    """Read anew what is derived from the known phrases."""
    _reader.cache_clear()
    _found.cache_clear()
    _kind.cache_clear()
    _weighed.cache_clear()


@lru_cache(maxsize=4096)
def _found(text: str) -> dict[str, list[Phrase]]:
    """The phrases that a folded clause may hold, by section."""
    found: dict[str, list[Phrase]] = {}
    for phrase in _reader().phrases.candidates(text):
        found.setdefault(phrase.section, []).append(phrase)
    return found


def _is(section: str, text: str, start: int = 0, end: int = MAX_TEXT) -> bool:
    """Whether a phrase of the section covers a folded clause from start to end."""
    phrases = _found(text).get(section)
    return phrases is not None and any(phrase.full.fullmatch(text, start, end) for phrase in phrases)


def _begins(section: str, text: str, start: int, end: int = MAX_TEXT, bare: bool = False) -> int | None:
    """Where a phrase of the section that begins at `start` ends."""
    for phrase in _found(text).get(section, ()):
        if found := (phrase.bare if bare else phrase.full).match(text, start, end):
            return found.end()
    return None


def _ends(section: str, text: str, start: int, end: int) -> int | None:
    """Where a phrase of the section that ends at `end` begins."""
    phrases = _found(text).get(section)
    if phrases is None:
        return None
    matches = (phrase.at_end.search(text, start, end) for phrase in phrases)
    return min((found.start() for found in matches if found), default=None)


def _quoted_idk(quote: str) -> bool:
    folded = _reader().inside.fold(quote, 0, len(quote), [])
    parts = cut(quote, folded, 0, len(quote), _reader().bordering.candidates(folded.text))
    kinds = {_kind(part.text).name for part in parts}
    return kinds <= {"idk", "doubt", "excuse"} and not kinds <= {"excuse"}


def _fillers_off(text: str) -> tuple[int, int]:
    """The part of a clause between "sorry", "well", ね, 啊 and the like."""
    left, right = 0, len(text)
    for _ in range(_MAX_FILLERS):
        at = _begins("filler", text, left, right)
        if at is None:
            break
        left = at + (text[at : at + 1] == " ")
    for _ in range(_MAX_FILLERS):
        at = _ends("particle", text, left, right)
        at = _ends("filler", text, left, right) if at is None else at
        if at is None:
            break
        right = left + len(text[left:at].rstrip())
    return min(left, right), right


@lru_cache(maxsize=4096)
def _kind(text: str) -> Kind:
    """The kind of a folded clause on its own: a section's name, "offer", "empty" or "unknown"."""
    if len(text) > MAX_CLAUSE:
        return Kind("offer")
    if _TELLING.isdisjoint(_found(text)) or _TERM.match(text) or _THIRD.fullmatch(text):
        return Kind("unknown")
    left, right = _fillers_off(text)
    if certain := CERTAIN.match(text, left) if "doubt" in text else None:
        return _introduced(text, certain.end(), False) if text[certain.end() :].strip() else Kind("excuse")
    cores = {(0, len(text)): 0, (left, len(text)): 0, (left, right): 0}
    for start, end in cores:
        for name in ("idk", "doubt", "excuse"):
            if _is(name, text, start, end):
                about = not _bare(name, text, start, end)
                broadly = name == "excuse" and _is("broad", text, start, end)
                return _run_on(text, start) or Kind("doubt" if broadly else name, about)
    if left >= right:
        return Kind("empty")
    for name in ("start", "lead"):
        if (at := _begins(name, text, left)) is not None:
            return _introduced(text, at, name == "start")
    names = (name for name in ("broad", "meta", "question", "topic") for core in cores if _is(name, text, *core))
    name = next(names, "unknown")
    return Kind("doubt") if name == "broad" else Kind(name, left=left)


def _bare(name: str, text: str, start: int, end: int) -> bool:
    """Whether "I don't know" names nothing but "the answer", "this one" and the like."""
    ends = {end, _fillers_off(text)[1]}
    if (at := _ends("object", text, 0, end)) is not None:
        ends.add(len(text[:at].rstrip()))
    phrases = _found(text).get(name, ())
    return any(phrase.bare.fullmatch(text, start, max(start, at)) for phrase in phrases for at in ends)


def _run_on(text: str, start: int) -> Kind | None:
    """An offer that follows "I don't know" with nothing in between: "i don't know it might be paris"."""
    known = _begins("idk", text, start, bare=True)
    known = _begins("doubt", text, start, bare=True) if known is None else known
    if known is None or known == len(text):
        return None
    at = _RUN_ON.match(text, known).end()  # type: ignore[union-attr]  # it matches the empty string too
    if (begun := _begins("start", text, at)) is not None:
        return replace(_introduced(text, begun, True), about=True)
    begun = _begins("lead", text, at)
    return Kind("candidate", True, begun) if begun is not None and begun < len(text) else None


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
    if kind.name in ("idk", "doubt", "candidate") or kind.about:
        if (left := two_named(part, text)) is not None:
            return Kind("offer", about=True, left=left)
        if denies_one(part, text):
            return Kind("offer")
    if kind.name == "candidate":  # "not sure if it's Paris" names one, "not sure if it is true" doesn't
        first = text[part.start_of(kind.left + (part.text[kind.left] == " "))]
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


def _in_context(parts: list[Clause], kinds: list[Kind], text: str, first: bool = True) -> list[Kind]:
    """Settle the clauses that can only be told from their neighbours; `first`: the text begins with them."""
    for i, part in enumerate(parts):  # He said: "I don't know."
        if i and kinds[i - 1].name in ("idk", "doubt") and text[part.start - 1 : part.start] in ("(", "（", "["):
            kinds[i] = Kind("excuse") if _PERCENT.fullmatch(part.text) else kinds[i]
        elif i and part.text in ("0%", "0 %", "0 percent") and kinds[i - 1].name in ("idk", "doubt"):
            kinds[i] = Kind("excuse")
        if i and part.text == QUOTED_IDK and part.before in ("comma", "colon") and kinds[i - 1].name == "unknown":
            kinds[i] = Kind("unknown")
        if i > 1 and kinds[i].name == "idk" and _PARTICLE.match(part.text) and kinds[i - 2].name in _OPEN:
            opening = parts[i - 1].start
            if text[opening - 1 : opening] in ("(", "（"):  # アルバ（画家）がどこで生まれたかはわかりません
                kinds[i - 1] = kinds[i - 2] = Kind("excuse")
    shouted = text.isupper()
    settled: list[Kind] = []
    for i, (part, kind) in enumerate(zip(parts, kinds, strict=True)):
        before = settled[-1] if settled and part.before == "comma" else Kind("")
        after = kinds[i + 1] if i + 1 < len(kinds) else Kind("")
        follows = i + 1 < len(parts) and parts[i + 1].before == "comma"
        if before.about and follows and _LIFESPAN.fullmatch(part.text):  # I don't know where she (1850–1910) was born
            kind = Kind("excuse", about=True)
        elif kind.name in _OPEN:
            said = text[part.start : part.end].lstrip()
            named = bool(_NAME.search(said.lower() if shouted else said))
            kind = _settled(part, kind, before, after, named and (bool(settled) or not first))
        settled.append(kind)
    return settled


def _settled(part: Clause, kind: Kind, before: Kind, after: Kind, named: bool) -> Kind:
    """The kind of a clause that its words alone leave open; `named`: it says a name or number, and isn't first."""
    excuse = Kind("excuse", about=before.about)
    guessed = part.before == "guess"
    denies = any(phrase.full.search(part.text) for phrase in _found(part.text).get("negation", ()))
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


_GUESS = re.compile(
    r"I (?:think|believe|guess)(?: it's| it is| it was)? "
    r"(?P<what>(?=[A-Z0-9])(?!(?:I|If|It|Not|No|The|That|This|So) )[A-Za-z0-9À-ɏ' -]{1,60})"
)
_CHOICE = re.compile(r"\(?[A-Ha-h][).:]\s+(?P<rest>.*)", re.DOTALL)
_PERSONAL = re.compile(r"\W*(?:i|we|idk|dunno)\b", re.IGNORECASE)


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
        >>> file = pathlib.Path(tempfile.mkdtemp(), "la.txt")
        >>> _ = file.write_text("[idk]\\n(ego |)nescio\\n")
        >>> load_phrases(file), is_abstention("Nescio.")
        (1, True)
    """
    added = read_phrases(path, known_phrases())
    _forget()
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
    if (guess := _GUESS.fullmatch(text)) and not _reader().undecided(guess["what"]):
        return Offer(guess["what"], hedged=True)  # the commonest guess of all, and quickly read
    if len(text) <= _SHORT and not _reader().undecided(text):
        return Offer(text)
    return _weighed(text)


@lru_cache(maxsize=8)  # a long reply is asked about twice
def _weighed(text: str) -> Offer:
    """What a reply offers that may voice doubt, clause by clause."""
    reply = _Reply(text)
    voiced = reply.voiced()
    if not voiced:
        return Offer(text)
    # whoever only guesses offers all of it, so that only its ends are of interest
    parts, own = reply.all() if "doubt" in voiced else reply.ends()
    kinds = _in_context(parts, own, text)
    offers = [i for i, kind in enumerate(kinds) if kind.name == "offer"]
    if any(_doubts(kind) for kind in kinds):
        doubts = [i for i, kind in enumerate(kinds) if kind.about and kind.name in ("idk", "doubt")]
        if "guess" not in voiced and tells_only_background(text, parts, doubts, offers):
            return Offer("", abstained=True)
        return Offer(_joined(offers, parts, kinds, text), abstained=not offers, hedged=bool(offers))
    hedged = "guess" in voiced
    plain = not hedged or len(offers) < len(parts) or title_case(text, 1)  # "Maybe Tomorrow" may be a song
    return Offer(text if plain else _joined(offers, parts, kinds, text), hedged=hedged)


class _Reply:
    """The sentences of a reply, each read when it is asked for."""

    def __init__(self, text: str) -> None:
        self.text = text
        opaque = quotations(text)
        self.spans = sentences(text, opaque)
        self._read: dict[int, tuple[list[Clause], list[Kind]]] = {}
        self._opaque: list[list[re.Match[str]]] = [[] for _ in self.spans]
        at = 0
        for match in opaque:
            while match.start() >= self.spans[at][1]:
                at += 1
            self._opaque[at].append(match)

    def sentence(self, i: int) -> tuple[list[Clause], list[Kind]]:
        """The clauses of a sentence, and the kind of each on its own."""
        if i not in self._read:
            start, end = self.spans[i]
            folded = _reader().folder.fold(self.text, start, end, self._opaque[i])
            parts = cut(self.text, folded, start, end, _reader().bordering.candidates(folded.text))
            self._read[i] = parts, [_with_title(part, self.text) for part in parts]
        return self._read[i]

    def voiced(self) -> set[str]:
        """Whether doubt, or a guess, is voiced somewhere."""
        found = set()
        for i, (start, end) in enumerate(self.spans):
            if _reader().undecided(self.text[start:end]):
                for part, kind in zip(*self.sentence(i), strict=True):
                    found |= {"doubt"} if _doubts(kind) else set()
                    found |= {"guess"} if kind.guess or "guess" in (part.before, part.after) else set()
        return found

    def ends(self) -> tuple[list[Clause], list[Kind]]:
        """The clauses of the first and the last sentence, and their kinds."""
        return self._joined([self.sentence(i) for i in sorted({0, len(self.spans) - 1})])

    def all(self) -> tuple[list[Clause], list[Kind]]:
        """All clauses and their kinds. In a long text, once something was offered, what has no cue is an offer."""
        read, offered = [], False
        for i, (start, end) in enumerate(self.spans):
            if offered and i not in self._read:
                read.append(([Clause("", Folded(), 0, "stop", "stop", start, end)], [Kind("offer")]))
                continue
            plain = i not in self._read
            parts, kinds = self.sentence(i)
            read.append((parts, kinds))
            if plain and len(self.spans) > _MANY_SENTENCES:
                offered = any(kind.name == "offer" for kind in _in_context(parts, kinds, self.text, first=not i))
        return self._joined(read)

    def _joined(self, read: list[tuple[list[Clause], list[Kind]]]) -> tuple[list[Clause], list[Kind]]:
        return [part for parts, _ in read for part in parts], [kind for _, kinds in read for kind in kinds]


def _doubts(kind: Kind) -> bool:
    return kind.name in ("idk", "doubt") or (kind.name == "offer" and kind.about)


def _joined(offers: list[int], parts: list[Clause], kinds: list[Kind], text: str) -> str:
    """The offered stretches of the original text; neighbours stay together."""
    stretches: list[tuple[int, int]] = []
    for i in offers:
        left = parts[i].end_of(kinds[i].left - 1) if kinds[i].left else parts[i].start
        if stretches and kinds[i - 1].name == "offer":
            stretches[-1] = (stretches[-1][0], parts[i].end)
        else:
            stretches.append((left, parts[i].end))
    return ", ".join(_trimmed(text[left:right]) for left, right in stretches)


def _trimmed(answer: str) -> str:
    """An offered stretch without punctuation around it and without a closing です, 吧 …"""
    answer = without_stop(answer.strip(" \t\n\r,;:!?、，；：！？…—–*"))
    if answer and not answer.isascii():
        last = answer[-_MAX_TAIL:]
        tail = _ends("tail", last, 0, len(last))
        answer = (
            answer[: len(answer) - len(last) + tail] if tail is not None and len(answer) > len(last) - tail else answer
        )
    return unwrap_quotes(answer.strip())
