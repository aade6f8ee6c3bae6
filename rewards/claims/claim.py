"""A claim, whether it is supported, and who finds the one and the other.

"Born in Ralvik. Works as Tamist."    an answer, of which an `Extractor` makes
Claim("Mo Kutika", "born in", "Ralvik"), Claim("Mo Kutika", "works as", "Tamist")
Support.ENTAILMENT, Support.CONTRADICTION    what a `Checker` says of each

Triplets and labels are those of RefChecker (Hu et al. 2024, arXiv 2405.14486). Rules for answers whose relations are
known are in `sentences` and `gold`; models stand behind the same two protocols (`abstain.rewards.judge.claims`,
`abstain.evals.claims.nli`).
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

BAR = " | "
_EDGES = " \t\r\n.,;:!?\"'`*_“”‘’«»。、"
_ARTICLES = ("the ", "a ", "an ")


class Support(StrEnum):
    """What a reference says of a claim. `UNCHECKED` is no label: the checker failed, and nobody knows.

    Example:
        >>> Support("Neutral") is Support.NEUTRAL
        True
    """

    ENTAILMENT = "Entailment"
    NEUTRAL = "Neutral"
    CONTRADICTION = "Contradiction"
    UNCHECKED = "Unchecked"


@dataclass(frozen=True)
class Claim:
    """One statement. Where it is a sentence and not a triplet, as in FActScore, only `object` is filled.

    Args:
        subject: whom or what it is about; "" if that goes without saying.
        relation: what is said of it.
        object: the rest.

    Example:
        >>> claim = Claim("Mo Kutika", "born in", "Ralvik")
        >>> str(claim), claim.sentence
        ('Mo Kutika | born in | Ralvik', 'Mo Kutika born in Ralvik')
    """

    subject: str
    relation: str
    object: str

    def __str__(self) -> str:
        return BAR.join((self.subject, self.relation, self.object))

    @property
    def sentence(self) -> str:
        """Its parts in a row."""
        return " ".join(part for part in (self.subject, self.relation, self.object) if part)

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is compared by: who says the same twice has made one claim."""
        return plain(self.subject), plain(self.relation), plain(self.object)

    @classmethod
    def read(cls, text: str) -> "Claim":
        """The claim in a text with two bars.

        Raises:
            ValueError: not three parts, or the relation or the object is empty.

        Example:
            >>> Claim.read("Mo Kutika | born in | Ralvik").object
            'Ralvik'
            >>> Claim.read("Ralvik")
            Traceback (most recent call last):
            ...
            ValueError: 'Ralvik' is no claim; write SUBJECT | RELATION | OBJECT, as in 'Ada | born in | London'
        """
        parts = [part.strip() for part in text.split("|")]
        if len(parts) != 3 or not (parts[1] and parts[2]):
            raise ValueError(
                f"{text[:80]!r} is no claim; write SUBJECT | RELATION | OBJECT, as in 'Ada | born in | London'"
            )
        return cls(*parts)


def plain(text: str) -> str:
    """A text as compared: NFKC, lower case, single spaces, no article before it and no punctuation at its ends.

    Example:
        >>> plain(" The  *Ralvik*."), plain("1912.")
        ('ralvik', '1912')
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split()).strip(_EDGES)
    return next((folded[len(one) :].lstrip(_EDGES) for one in _ARTICLES if folded.startswith(one)), folded)


@dataclass(frozen=True)
class Said:
    """A claim, and where in the answer it is made.

    Args:
        claim: what is said.
        sentence: the words that say it.
        start, end: where its object stands in the answer, in characters.
    """

    claim: Claim
    sentence: str
    start: int
    end: int


@dataclass(frozen=True)
class Extraction:
    """What was found in an answer.

    Args:
        said: claims in the order of the text; the same claim may stand there twice.
        unread: stretches that say something of which no claim could be made.
    """

    said: tuple[Said, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Each claim once."""
        return tuple({said.claim.key: said.claim for said in reversed(self.said)}.values())[::-1]


class Extractor(Protocol):
    """From answers to what they claim."""

    def extract(self, questions: Sequence[str], answers: Sequence[str]) -> list[Extraction | None]:
        """One extraction per answer, `None` where the extractor failed: such an answer is UNGRADED."""


class Checker(Protocol):
    """From claims to whether they are supported."""

    def check(self, claims: Sequence[Claim], references: Sequence[Sequence[str]]) -> list[Support]:
        """One label per claim.

        Args:
            claims: of any answers.
            references: for each claim the texts that it is held against.
        """
