"""Rules that read claims where the relations are known: a sentence each, lines of "relation: object", or with bars.

    Mo Kutika was born in Ralvik. He works as Tamist, and is married to Lokacz.
    - **Born in:** Ralvik
    - Works as: unknown
    Mo Kutika | speaks | Dulash

The grammar is positive: a sentence is a lead (the subject's name or a pronoun), an auxiliary, a relation and an
object. Whatever else stands there is unread, and so is whatever is added to an object as part of it: "Ralvik or Lima"
is one object, and no gold one. Relations that are said not to be known are left out.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from abstain.rewards.claims.claim import Claim, Extraction, Said, plain
from abstain.rewards.parsing.completion import parse

_ABBREVIATED = r"(?<!\bSt)(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bMt)(?<!\b[A-Z])"
_STOP = re.compile(rf"\n|;(?=\s|\Z)|[!?](?=\s|\Z)|{_ABBREVIATED}\.(?=\s|\Z)|。")
_NAMED = "\ue000"  # stands for the letters of the subject's name, so that one pattern does for all subjects
_LEAD = rf"(?:(?:and|but)\s)?(?:(?:{_NAMED}{{1,200}}|he|she|they|it)\s)?(?:\|\s)?"
_AUXILIARY = r"(?:(?:also|is|was|are|were|has|had|have|been)\s){0,3}"
_MARKUP = re.compile(r"^[ \t]{0,8}(?:[-•–]|\d{1,2}[.)])[ \t]|[*`#>]", re.MULTILINE)
_UNKNOWN = frozenset({"", "unknown", "not known", "none", "n/a", "na", "unclear", "unsure", "not sure", "–", "-"})
_MARKS = ' \t\r\n*_`:,"“”'
_LONGEST_OBJECT = 300  # characters; more is no object


class SentenceExtractor:
    """An `Extractor` by rules.

    Args:
        relations: what can be said, in the words that say it.
        subject: whom the answers are about. Sentences about others are unread.

    Raises:
        ValueError: no relations.

    Example:
        >>> rules = SentenceExtractor(["born in", "works as"], "Mo Kutika")
        >>> text = "Mo Kutika was born in Ralvik and works as Tamist. Loves cats."
        >>> found = rules.extract([""], [text])[0]
        >>> [claim.object for claim in found.claims], found.unread
        (['Ralvik', 'Tamist'], ('Loves cats',))
        >>> text[found.said[0].start : found.said[0].end]
        'Ralvik'
    """

    def __init__(self, relations: Collection[str], subject: str = "") -> None:
        spelled = sorted(
            {" ".join(relation.split()) for relation in relations} - {""}, key=lambda one: (-len(one), one)
        )
        if not spelled:
            raise ValueError("an extractor of sentences needs relations, such as 'born in'")
        self.subject = subject
        self._subject = re.compile(rf"(?<!\w){re.escape(subject)}(?!\w)") if subject else None  # Bo is not in Born
        self._names = {plain(relation): relation for relation in spelled}
        self._sentence, self._joint = _patterns(tuple(spelled))

    def extract(self, questions: Sequence[str], answers: Sequence[str]) -> list[Extraction | None]:
        """One extraction per answer; rules never fail."""
        return [self.read(answer) for answer in answers]

    def read(self, answer: str) -> Extraction:
        """What one answer claims."""
        said, unread, bare = [], [], self._bare(answer)
        for start, end in self._pieces(answer):
            sentence = answer[start:end].strip(_MARKS)
            found = self._sentence.match(bare, end - len(bare[start:end].lstrip()), end)
            if found is None:
                unread += [] if _says_nothing(bare[start:end].strip()) else [sentence]
                continue
            first, last = _trimmed(answer, found.end(), end)
            told = answer[first:last]
            if len(told) > _LONGEST_OBJECT:
                unread.append(sentence)
            elif not _is_unknown(told):
                said.append(Said(Claim(self.subject, self._names[plain(found[1])], told), sentence, first, last))
        return Extraction(tuple(said), tuple(unread))

    def _pieces(self, answer: str) -> Iterator[tuple[int, int]]:
        """Where sentences, and what is joined within them, begin and end."""
        text, start = self._bare(answer), 0
        for stop in [*_STOP.finditer(text), None]:
            end = stop.start() if stop else len(text)
            for joint in [*self._joint.finditer(text, start, end), None]:
                until = joint.start() if joint else end
                yield start, until
                start = joint.end() if joint else until
            start = stop.end() if stop else end

    def _bare(self, answer: str) -> str:
        """The answer with blanks for its markup, and the subject's name as one word; every place stays."""
        text = _MARKUP.sub(lambda mark: " " * len(mark[0]), answer)
        return self._subject.sub(_NAMED * len(self.subject), text) if self._subject else text


@lru_cache(maxsize=256)
def _patterns(relations: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What a sentence begins with, and where one is joined to the next; the longest relation that fits counts."""
    said = "|".join(re.escape(relation).replace(r"\ ", r"\s") for relation in relations)
    begins = rf"{_LEAD}{_AUXILIARY}({said})(?!\w)(?:\s{{0,3}}[:：|]|\s|\Z)"
    joined = rf"(?:,\s|,?\sand\s)(?={_LEAD}{_AUXILIARY}(?:{said})(?!\w))"
    return re.compile(begins, re.IGNORECASE), re.compile(joined, re.IGNORECASE)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Where the object stands, without the marks around it."""
    told = text[start:end]
    first = start + len(told) - len(told.lstrip(_MARKS))
    return first, max(first, end - len(told) + len(told.rstrip(_MARKS + ".")))


@lru_cache(maxsize=65_536)
def _is_unknown(told: str) -> bool:
    return plain(told) in _UNKNOWN or parse(told, answer_format="plain").abstained


@lru_cache(maxsize=65_536)
def _says_nothing(text: str) -> bool:
    """Punctuation, or that something is not known."""
    return not any(char.isalnum() for char in text) or parse(text, answer_format="plain").abstained
