"""Which phrases can a text hold at all? Told from its words, so that the others are never tried.

Whatever matches a phrase holds one word of each of some sets: "i (really|) don't (know|recall) ..." holds "know" or
"recall". These sets are derived from the phrase itself. A *cue* is a word, or two, as people space them; or one to
three characters where they don't (Chinese, Japanese, Thai), where words change their ends (Korean), and where `\\w`
knows no vowel signs (Hindi, Bengali). A phrase is a candidate only for a text that has a cue of each of its sets, so
that a text in one language costs next to nothing for phrases of another.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import pairwise, product
from operator import add

from abstain.rewards.parsing.phrasebook import SECTIONS, Phrasebook, fold_char, to_regex

UNSPACED = "\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u9fff\uac00-\ud7af\ue000\ue001"
_LATIN = re.compile("[a-z]+")
_WORD = re.compile(f"(?:(?![{UNSPACED}0-9])[^\\W_])+")
_RUN = re.compile(f"[{UNSPACED}]+")
_TOKEN = re.compile(r"( \.\.\.|\.\.\. |\.\.\.|[()|$ ]|(?:(?! \.\.\.|\.\.\.|[()|$ ]).)+)")
_ANYTHING = "\0"  # stands for what a slot holds
_SLOTS = {" ...": ["", " \0"], "... ": ["", "\0 "], "...": ["\0"]}
_MOST_STRINGS = 300
_MOST_PAIRS = 300
_NOWHERE = dict.fromkeys("・·‧、", "")  # characters that `clauses.fold` may take away, joining what stands around them
_COMMON = (99, 10, 9, 7, 5, 4)  # how common words of one letter, two letters … are; longer ones are rarer
# endings that every other Japanese sentence has
_ENDINGS = {"である", "います", "ていま", "ってい", "れてい", "いまし", "ました", "してい", "されて"}

Needs = tuple[frozenset[str], ...]


@dataclass(frozen=True, eq=False)
class Phrase:
    """One phrase: its patterns, compiled when first tried, and its sets of cues, the rarest first."""

    section: str
    order: int
    source: str
    needs: Needs

    @cached_property
    def full(self) -> re.Pattern[str]:
        return re.compile(to_regex(self.source, self.section))

    @cached_property
    def bare(self) -> re.Pattern[str]:
        """Without what is not known: "I don't know"."""
        return re.compile(to_regex(self.source.removesuffix("...").rstrip(), self.section))

    @cached_property
    def at_end(self) -> re.Pattern[str]:
        return re.compile(f"(?:{to_regex(self.source, self.section)})\\Z")


class PhraseIndex:
    """The phrases of a book by their cues.

    Example:
        >>> book = Phrasebook()
        >>> book.add("[idk]\\n(i|we) don't (know|recall) ...\\n[guess]\\nperhaps\\n")
        2
        >>> index = PhraseIndex(book)
        >>> [[p.section for p in index.candidates(text)] for text in ("we don't know, perhaps", "lima", "don't i")]
        [['idk', 'guess'], [], []]
    """

    def __init__(self, book: Phrasebook, sections: Iterable[str] = SECTIONS) -> None:
        script = str.maketrans(book.pairs)
        self.always: list[Phrase] = []
        self.by_cue: dict[str, list[Phrase]] = {}
        order = 0
        for section in sections:
            if section == "fold":
                continue
            sources = {phrase.rstrip().translate(script) for phrase in book.phrases[section]}
            for source in sorted(sources, key=lambda source: (-len(source), source)):  # the longest first
                order += 1
                self._file(Phrase(section, order, source, needs(source)))

    def _file(self, phrase: Phrase) -> None:
        if not phrase.needs:
            self.always.append(phrase)
        for cue in phrase.needs[0] if phrase.needs else ():
            self.by_cue.setdefault(cue, []).append(phrase)

    def candidates(self, folded: str) -> list[Phrase]:
        """The phrases that a folded text may hold, section by section, the longest first."""
        cues = cues_of(folded)
        return sorted({*self.always, *self.having(cues)}, key=lambda phrase: phrase.order)

    def having(self, cues: set[str]) -> Iterator[Phrase]:
        """The phrases each of whose sets of cues has one of these."""
        for cue in self.by_cue.keys() & cues:
            for phrase in self.by_cue[cue]:
                for need in phrase.needs:
                    if need.isdisjoint(cues):
                        break
                else:
                    yield phrase


def cues_of(folded: str) -> set[str]:
    """The cues of a folded text.

    Example:
        >>> sorted(cues_of("i don't know 5 利马")), cues_of("не знаю") == {"не", "знаю", "не знаю"}
        (['don', 'don t', 'i', 'i don', 'know', 't', 't know', '利', '利马', '马'], True)
    """
    ascii_only = folded.isascii()
    words = (_LATIN if ascii_only else _WORD).findall(folded)
    cues = {*words, *map(_pair, words, words[1:])}
    if not ascii_only:
        for run in _RUN.findall(folded):
            twos = [*map(add, run, run[1:])]
            cues.update(run, twos, map(add, twos, run[2:]))
    return cues


def _pair(word: str, following: str) -> str:
    return f"{word} {following}"


class Folding(dict[int, str]):
    """For `str.translate`: what `clauses.fold` may make of each character, as far as cues are concerned."""

    def __init__(self, pairs: dict[str, str]) -> None:
        self.pairs = pairs

    def __missing__(self, code: int) -> str:
        folded = fold_char(chr(code), self.pairs)
        self[code] = "".join(c if _LETTER.match(c) else _NOWHERE.get(c, " ") for c in folded)
        return self[code]


_LETTER = re.compile(f"[^\\W_]|[{UNSPACED}]")


@cache
def needs(phrase: str) -> Needs:
    """Sets of cues: whatever matches the phrase has one of each. The set that says most comes first.

    Example:
        >>> [sorted(need) for need in needs("(i|we) (really|) (don't|can) (know|recall) ...")][:2]
        [['can know', 'can recall', 'dont know', 'dont recall', 't know', 't recall'], ['know', 'recall']]
        >>> needs("(a|) ..."), [sorted(need) for need in needs("...(分から|知ら)(ない|ず)")][0]
        ((), ['分から', '知らず', '知らな'])
    """
    tree = _parsed(phrase.partition("/")[2] if "/" in phrase else phrase)
    found = _alternatives_need(tree, " ", " ") if len(tree) > 1 else _sequence_needs(tree[0], " ", " ")
    return tuple(sorted(set(found), key=_commonness))


def _commonness(need: frozenset[str]) -> tuple[int, int, list[str]]:
    return max(map(_common, need)), len(need), sorted(need)


@lru_cache(maxsize=100_000)
def _common(cue: str) -> int:
    """How common a cue is, roughly: short words are, and so are kana."""
    if not _RUN.match(cue):
        rarest = max(map(len, cue.split()))
        common = _COMMON[rarest] if rarest < len(_COMMON) else 3
        return max(1, common - 3) if " " in cue else common
    if cue in _ENDINGS:
        return 6
    kana = sum("\u3040" <= char <= "\u30ff" for char in cue)
    return 1 if cue >= "\ue000" else ((6, 9), (2, 5, 8), (1, 2, 3, 4))[len(cue) - 1][kana]


Sequence = list["str | list[Sequence]"]  # words, spaces, slots, and groups of alternatives


def _parsed(phrase: str) -> list[Sequence]:
    """The alternatives of a phrase."""
    stack: list[list[Sequence]] = [[[]]]
    for token in _TOKEN.findall(phrase.replace("<idk>", "\ue000")):
        if token == "(":
            stack.append([[]])
        elif token == ")":
            group = stack.pop()
            stack[-1][-1].append(group)
        elif token == "|":
            stack[-1].append([])
        else:
            stack[-1][-1].append(token)
    return stack[0]


def _strings(item: "str | list[Sequence]") -> list[str] | None:
    """All that one item stands for, or `None` if that is too much."""
    if isinstance(item, str):
        if item in _SLOTS:
            return _SLOTS[item]
        if item == "$":
            return [" "]
        without = re.sub(r"n't\b|\bi'(?=m\b|ve\b)", lambda m: m[0].replace("'", ""), item)
        return [item] if item == without else [item, without]
    found: list[str] = []
    for sequence in item:
        strings = _concatenated(sequence)
        if strings is None:
            return None
        found += strings
    return found if len(found) <= _MOST_STRINGS else None


def _concatenated(items: Sequence) -> list[str] | None:
    parts = []
    size = 1
    for item in items:
        strings = _strings(item)
        size *= len(strings) if strings else _MOST_STRINGS + 1
        if strings is None or size > _MOST_STRINGS:
            return None
        parts.append(strings)
    return ["".join(words) for words in product(*parts)]


def _sequence_needs(sequence: Sequence, left: str, right: str) -> list[frozenset[str]]:
    """The sets of cues of words one after the other; `left` and `right` are what stands around them."""
    found = []
    pieces: list[Sequence] = [[]]
    for item in sequence:  # cut at spaces, where words end
        if item == " ":
            pieces.append([])
        else:
            pieces[-1].append(item)
    spoken = [_concatenated(piece) for piece in pieces]
    edges = [left, *" " * (len(pieces) - 1), right]
    for i, (one, two) in enumerate(pairwise(spoken)):
        if one and two and len(one) * len(two) <= _MOST_PAIRS and all(one) and all(two):
            found += _need([f"{a} {b}" for a in one for b in two], edges[i], edges[i + 2])
    for i, piece in enumerate(pieces):
        before, after = edges[i], edges[i + 1]
        if (strings := spoken[i]) is not None:
            found += _need(strings, before, after)
            continue
        for at, item in enumerate(piece):
            around = before if at == 0 else _ANYTHING, after if at == len(piece) - 1 else _ANYTHING
            if isinstance(item, list):
                found += _alternatives_need(item, *around)
            elif item not in _SLOTS:
                found += _need(_strings(item) or [], *around)
    return found


def _alternatives_need(alternatives: list[Sequence], left: str, right: str) -> list[frozenset[str]]:
    """The one set of cues of alternatives, if each of them has one."""
    union: set[str] = set()
    for sequence in alternatives:
        best = min(_sequence_needs(sequence, left, right), key=_commonness, default=None)
        if best is None:
            return []
        union |= best
    return [frozenset(union)]


def _need(strings: list[str], left: str, right: str) -> list[frozenset[str]]:
    best = set()
    for string in sorted(strings, key=len):  # the shortest first: it may have no cue
        cue = _best_cue(left + string + right)
        if not cue:
            return []
        best.add(cue)
    return [frozenset(best)] if best else []


@lru_cache(maxsize=100_000)
def _best_cue(string: str) -> str:
    """The rarest cue of a string that stays one whatever `_ANYTHING` stands for, or nothing."""
    return min(_whole_cues(string), key=_common, default="")


def _whole_cues(string: str) -> Iterator[str]:
    last = None
    for word in _WORD.finditer(string):
        whole = _ANYTHING not in (string[word.start() - 1], string[word.end()])
        if whole:
            yield word[0]
            if last and string[last.end() : word.start()] == " ":
                yield _pair(last[0], word[0])
        last = word if whole else None
    for run in _RUN.findall(string):
        twos = [*map(add, run, run[1:])]
        yield from [*twos, *map(add, twos, run[2:])] if twos else run
