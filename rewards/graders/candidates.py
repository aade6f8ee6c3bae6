"""What a sentence may answer with, and how each thing stands in it: found without knowing the gold.

Everything of the gold's kind that a sentence names is a candidate: every name (or number, or common noun) but the
question's own. Its place in the sentence gives its role: what is said to be so ("the capital is X", "X is the
capital", "X"), what a preposition hangs on ("born in X"), or another role altogether ("than X", "near X", "who knew
X", "(X)").
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

from abstain.rewards.graders.alignment import stem
from abstain.rewards.graders.frame import Kind
from abstain.rewards.graders.numerals import word_set
from abstain.rewards.graders.pieces import Piece, asked_words
from abstain.rewards.graders.statement import denied, words
from abstain.rewards.graders.text import fold
from abstain.rewards.graders.vocabulary import (
    ANSWER,
    ASIDE,
    ASKED,
    BE,
    CLOSE,
    COMMA,
    DETERMINER,
    GENERIC,
    HEDGE,
    MONTHS,
    MORE,
    NAME,
    NOT,
    NUMBER,
    OPEN,
    OR,
    PLACE,
    PREPOSITION,
    PRONOUN,
    SAID,
    TITLE,
    VERB,
    WHO,
    WORD,
)
from abstain.rewards.graders.words import FUNCTION, HEADS, KIN, PARTICLES, ROLES, TITLES

OTHER, HANGING, SAID_SO = 0, 1, 2  # roles, weakest first
_JOINS = PARTICLES - {"y", "e", "o", "el"} | {"the", "for", "in"}
_TWO_JOINS = (
    ["van", "der"],
    ["van", "den"],
    ["van", "de"],
    ["von", "der"],
    ["de", "la"],
    ["de", "los"],
    ["of", "the"],
)
_HEADS = HEADS - {
    "capital",
    "district",
    "county",
    "department",
    "region",
    "north",
    "south",
    "east",
    "west",
    "people",
    "peoples",
}
_ADJECTIVE = ("al", "ic", "an", "ive", "ous", "ary", "ful", "ish", "ese", "ed")
_GOVERNED = (BE, SAID, VERB, PREPOSITION, MORE, WHO, COMMA, "", ":", "(", "-", "n", ".", PRONOUN)
_PHRASE = PREPOSITION + DETERMINER + HEDGE + NUMBER + PLACE
_OWNED = WORD + ASKED + GENERIC + TITLE + NUMBER + NAME + PLACE + HEDGE + ANSWER
_DEMONYM = ("an", "ese", "ish", "ch", "ic")


_WHERE = re.compile(
    r"\b(?:where|(?:in |what |which )+(?:\w+ )?(?:city|town|village|country|state|county|place|location|continent"
    r"|region|district|province|island|area|venue|stadium|museum|hospital|university|college|school))\b",
    re.IGNORECASE,
)
_WHO = re.compile(
    r"\bwho(?:m|se)?\b|\bwhich (?:\w+ )?(?:person|scientist|actor|actress|author|artist|player|president|singer"
    r"|mathematician|politician|director|king|queen|woman|man|character)\b",
    re.IGNORECASE,
)
NOUNS = word_set(
    """being building ceiling concerning drawing during earring evening fling king meaning morning
    painting ring shilling sibling spring starling sterling string swing thing anything everything nothing
    something wedding wing family fly jelly belly bully lily"""
)  # which end like deeds and adverbs
_ADVERBS = frozenset(["inside", "outside", "soon", "ago", "away", "together", "further", "even", "only", "well"])
_PARTS: dict[Kind, str] = {"name": NAME + PLACE + ANSWER, "common": WORD + NAME + ANSWER, "number": NUMBER + ANSWER}


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that a sentence may answer with.

    Args:
        first: its first piece.
        last: its last piece.
        words: its folded words.
        role: how it stands in the sentence.
        joint: the part of the piece that governs it, "" at the beginning.
        right: it is the gold.
        by: it is the agent of a passive ("written by X"), which a sentence is there to name.
        place: it is a country or a state.
        asked: the verb that it follows is the question's.
    """

    first: int
    last: int
    words: tuple[str, ...]
    role: int
    joint: str
    right: bool
    by: bool = False
    place: bool = False
    asked: bool = False


@lru_cache(maxsize=4096)
def content(question: str) -> tuple[frozenset[str], str, bool, bool, frozenset[str], bool]:
    """The stems of a question's content words that are no names, the noun that "how many" counts, whether it asks for
    an object or a circumstance ("where did X die") and not for a subject, whether it asks for an end, its words with a
    capital, and whether it asks for what is not so."""
    found = {stem(w) for w in words(question) if w[0].islower() and len(w) > 2 and fold(w) not in FUNCTION}
    counted = re.search(r"\bhow many (?:[a-z]+ly )?([a-z]+)", question, re.IGNORECASE)
    adjunct = re.search(r"\b(?:did|does|do|was|were|is|are|has|have|had|will)\b", question) is not None
    adjunct = adjunct and not re.match(r"\W*who (?:is|are|was|were) the\b", question, re.IGNORECASE)
    ends = re.search(r"\b(?:end|ended|until|stop|stopped)\b", question) is not None
    typed = question.islower()  # without capitals any word may be of a name
    names = frozenset(fold(w) for w in words(question) if w[0].isupper() or typed) - (FUNCTION if typed else set())
    negated = re.search(r"\bnot\b|n['’]t\b", question) is not None
    return frozenset(found), stem(counted[1]) if counted else "", adjunct, ends, names, negated


def _no_noun(word: str) -> bool:
    return (word.endswith(("ing", "ly")) and word not in NOUNS) or word in FUNCTION or word in _ADVERBS


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds the candidates of one kind.

    Args:
        kind: name, common noun or number.
        asked: the question's words.
        placed: a country or state beside the answer says where it lies.
        where: the question asks for a place.
        who: the question asks for a person.
        known: the question is known.
        single: the gold is one word, so that names before it may be given names.
        content: stems of the question's content words that are no names.
        counted: the noun that "how many" counts.
        adjunct: the question asks for an object or a circumstance, not for a subject.
        ends: it asks for an end.
        names: the question's words with a capital, folded.
        negated: it asks for what is not so.
    """

    kind: Kind
    asked: frozenset[str]
    placed: bool
    where: bool
    who: bool
    known: bool
    single: bool
    content: frozenset[str]
    counted: str
    adjunct: bool
    ends: bool
    names: frozenset[str]
    negated: bool

    @classmethod
    def of(cls, kind: Kind, question: str, placed: bool, single: bool) -> Self:
        """The finder for a question, "" if it is not known."""
        where, who = bool(_WHERE.search(question)), bool(_WHO.search(question))
        return cls(kind, asked_words(question), placed, where, who, bool(question), single, *content(question))

    def find(self, found: Sequence[Piece], sentence: str) -> list[Candidate]:
        """The candidates of a sentence that it does not deny, in order."""
        parts = _PARTS[self.kind]
        out: list[Candidate] = []
        i, depth, doubtful, under = 0, 0, False, 0
        verbs = [k for k, p in enumerate(found) if p.part in BE + SAID + VERB]
        closes = [k for k, p in enumerate(found) if p.part == CLOSE]
        while i < len(found):
            part = found[i].part
            if part == OPEN and closes and closes[-1] > i:
                depth += 1
                doubtful = i + 1 < len(found) and found[i + 1].part in HEDGE + OR + NOT
                doubtful = doubtful or (
                    self.kind != "name" and found[i + 1].part in parts and found[i + 2].part == CLOSE
                )
            elif part == CLOSE:
                depth = max(0, depth - 1)
            elif part == WHO and i and verbs and verbs[-1] > i:
                under = 1
            elif part in WORD + VERB + ASKED and self._participle(found, i):
                under = 3
            elif part == COMMA and under == 3:
                under = 0
            elif part in BE + SAID + VERB and under in (1, 2):
                under = 0 if under == 2 else under + 1
            elif part in OR + ".n":
                under = 0
            if part not in parts:
                i += 1
                continue
            last = self._end(found, i)
            inside = (depth > 0 and not doubtful) or under > 0
            made = self._made(found, i, last, inside)
            if made and out and made.role and not any(out[-1].last < k < i for k in verbs):
                listed = made.joint == COMMA and out[-1].last >= i - 3
                if listed or made.joint not in _GOVERNED:
                    made = replace(made, role=out[-1].role)
            if made and (self.negated or not denied(sentence, found[i].start, found[last].end)):
                out.append(made)
            i = last + 1
        return out

    @staticmethod
    def _participle(found: Sequence[Piece], i: int) -> bool:
        """Whether a clause without a subject begins: ", won by X,", ", following X"."""
        if i and found[i - 1].part != COMMA:
            return False
        if found[i].norm.endswith("ing"):  # "Beijing was" is none
            return i + 1 < len(found) and found[i + 1].part not in BE + SAID
        return bool(i) and found[i].part == VERB and found[i + 1 : i + 2] != [] and found[i + 1].part == PREPOSITION

    def _end(self, found: Sequence[Piece], i: int) -> int:
        """The last piece of the run of candidate pieces that begins at `i`."""
        parts, last = _PARTS[self.kind], i
        while last + 1 < len(found):
            here, there = found[last], found[last + 1]
            named = self.kind == "name" and here.part == NAME
            joined = last + 2 < len(found) and there.norm in _JOINS and found[last + 2].part == NAME
            if named and not joined and [p.norm for p in found[last + 1 : last + 3]] in _TWO_JOINS:
                last += 2  # "Willem van der Meer"
                continue
            if joined and there.norm == "of" and self.who and last > i:
                break  # "Ann K. Lodge of Cornell University"
            if there.part == here.part == ANSWER or (PLACE in (here.part, there.part) and here.part != there.part):
                break
            if there.part in parts:
                last += 1
            elif named and joined and there.norm not in ("in", "for"):
                last += 2
            elif self.kind == "number" and there.part in HEDGE + NAME and last + 2 < len(found):
                if found[last + 2].part != NUMBER or there.norm not in MONTHS:
                    break
                last += 2
            else:
                break
        return last

    def _made(self, found: Sequence[Piece], i: int, last: int, inside: bool) -> Candidate | None:
        run = found[i : last + 1]
        right = run[-1].part == ANSWER and (self.kind == "common" or self._extends(run[:-1], self.single))
        after = found[last + 1] if last + 1 < len(found) else None
        place = all(p.part == PLACE for p in run)
        if self.kind == "name" and not right and run[-1].raw.endswith("'s") and after and after.part in _OWNED:
            return None  # "Japan's largest operator"
        if self.kind == "name" and not right:
            before = found[i - 1].part if i else ""
            named = any(p.part in NAME + ANSWER + PLACE for p in found[last + 2 : last + 4])
            if after and after.part in WORD + ASKED and len(run) == 1 and not after.norm.endswith("ly"):
                describes = after.norm in ROLES | KIN or (
                    before == DETERMINER and not named and not run[-1].raw.isupper()
                )
                demonym = run[-1].norm.endswith(_DEMONYM) and len(run[-1].norm) > 4  # "Pan troglodytes" is a name
                if (describes or demonym) and (before or named):
                    return None  # "Dutch director": an adjective
            around = (*found[max(0, i - 1) : i], *found[last + 1 : last + 2])
            if len(run) == 1 and any(p.part == ASKED and p.raw[0].isupper() and p.norm in self.names for p in around):
                return None  # a name of the question's, with another word of it
            if i > 1 and found[i - 1].norm == "the" and found[i - 2].part in NAME + ANSWER:
                return None  # "Alfred the Great"
            if len(run) == 1 and run[0].norm in HEADS and after and after.norm == "of":
                return None  # "the South of X"
            begins = i == 0 and after and after.part in DETERMINER + PREPOSITION + PRONOUN + WORD + ASKED + COMMA
            if begins and len(run) == 1 and run[0].norm.endswith(("ing", "ly")):
                return None  # the first word of a sentence has a capital anyway
        if self.kind == "common" and not right and len(run) == 1 and _no_noun(run[0].norm):
            return None
        if self.kind == "number" and not right and self.counted and self._of_another(found, last):
            return None  # "7 seasons and 163 episodes", where episodes were asked for
        if self.kind == "common" and right and len(run) > 1 and not self._qualified(found, i, run):
            right = False
        if self.kind == "common" and not right and after and after.part in "N9G":
            return None  # "the author X"
        governor = self.governor(found, i)
        joint = found[governor].part if governor >= 0 else ""
        role, by = SAID_SO, False
        if inside or joint == MORE:
            role = OTHER
        elif joint == PREPOSITION:
            by = found[governor].norm in ("by", "von", "par") and self._passive(found[:governor])
            role = SAID_SO if by else self._hanging(found, governor)
        words = tuple("" if p.part == ANSWER else p.norm for p in run)
        asked = self.adjunct and role > OTHER and self._asked(found, i)
        return Candidate(i, last, words, role, joint, right, by, place, asked)

    @staticmethod
    def _qualified(found: Sequence[Piece], i: int, run: Sequence[Piece]) -> bool:
        """Whether what stands before a noun qualifies it: "an old actor", "American politician", "musical genre"."""
        if i and found[i - 1].part == DETERMINER:
            return len(run) < 5
        return len(run) < 4 and all(p.part == ANSWER or p.norm.endswith(_ADJECTIVE) for p in run)

    @staticmethod
    def _passive(before: Sequence[Piece]) -> bool:
        """Whether "was written" stands there, and not ", written"."""
        verb = next((k for k in range(len(before) - 1, -1, -1) if before[k].part == VERB), 0)
        k = verb - 1
        while k >= 0 and before[k].part in HEDGE + VERB:
            k -= 1
        return k >= 0 and before[k].part in BE + SAID

    @staticmethod
    def _extends(before: Sequence[Piece], single: bool) -> bool:
        """Whether the names before a gold are its given names or titles: "Lionel Messi", "President X"."""
        if all(p.norm in ROLES | TITLES or p.part == ANSWER for p in before):
            return True
        return (
            single
            and len(before) < 4
            and all(p.raw[0].isupper() and (len(p.raw) < 3 or not p.raw.isupper() or "." in p.raw) for p in before)
        )

    def _of_another(self, found: Sequence[Piece], last: int) -> bool:
        """Whether a number counts something else than was asked for, and the asked thing is counted as well."""
        after = [p for p in found[last + 1 : last + 4] if p.part in WORD + ASKED]
        if not after or any(stem(p.norm) == self.counted for p in after):
            return False
        return any(stem(p.norm) == self.counted for p in found if p.part in WORD + ASKED)

    def _asked(self, found: Sequence[Piece], i: int) -> bool:
        """Whether the nearest verb on the left is the question's: "died in X", where it asks where someone died."""
        if self.ends and any(p.norm in ("until", "till", "to") for p in found[max(0, i - 2) : i]):
            return True
        for k in range(i - 1, max(-1, i - 8), -1):
            part = found[k].part
            if part in NAME + NUMBER + ANSWER and k < i - 1 and found[k + 1].part not in PREPOSITION:
                return False
            if part in VERB + ASKED + WORD and found[k].raw[0].islower() and stem(found[k].norm) in self.content:
                return True
            if part in COMMA + VERB + "eo":
                return False
        return False

    def governor(self, found: Sequence[Piece], i: int) -> int:
        """The piece that a candidate at `i` hangs on: what stands before its article and adjectives; -1 for none."""
        j = i - 1
        while (
            j >= 0
            and found[j].part in DETERMINER + ASIDE + HEDGE + TITLE
            and not (found[j].part == HEDGE and j and found[j - 1].part in NAME + ANSWER + PLACE + NUMBER)
        ):
            j -= 1
        k = j
        while k >= 0 and j - k < 3 and found[k].part in WORD + ASKED and self.kind != "common":
            k -= 1
        if k != j and k >= 0 and found[k].part in DETERMINER + PREPOSITION + BE + SAID:
            while k >= 0 and found[k].part in DETERMINER + HEDGE:
                k -= 1
            return k
        return j

    @staticmethod
    def is_subject(found: Sequence[Piece], named: Candidate) -> bool:
        """Whether a candidate is the subject of a verb ("X was born in"), and not of a bare "X is the capital"."""
        at = named.last + 1
        if [p.part for p in found[at : at + 1]] == ["."]:  # "Hey, Jeannie! was created"
            at += 1
        if at < len(found) and found[at].part == COMMA:  # "X, the actress, was born"
            at = next((k + 1 for k in range(at + 1, len(found)) if found[k].part == COMMA), at)
        while at < len(found) and found[at].part == HEDGE:
            at += 1
        if at < len(found) and found[at].part == VERB:
            return True
        if at < len(found) and found[at].part == BE:
            at += 1
            while at < len(found) and found[at].part == HEDGE:
                at += 1
            return at < len(found) and found[at].part in VERB + PREPOSITION
        return False

    def describes_subject(self, found: Sequence[Piece], named: Candidate) -> bool:
        """Whether a name describes the subject of a verb: "The X prize for best newcomer went to"."""
        at = head = named.last + 1
        if self.kind != "name" or not named.first or found[named.first - 1].part not in DETERMINER + NUMBER:
            return False
        while at < len(found) and (found[at].part in WORD + ASKED or (at > head and found[at].part in _PHRASE)):
            at += 1
        verb = [p for p in found[at : at + 4] if p.part != HEDGE][:2]
        given = [p.norm for p in verb[1:]] == ["given"] and verb[0].part == BE  # elsewhere "given" is no verb
        return at > head and (given or self.is_subject(found, replace(named, last=at - 1)))

    @staticmethod
    def _hanging(found: Sequence[Piece], governor: int) -> int:
        """The role of what hangs on a preposition: none in "a suburb of X", some in "the city of X", "born in X"."""
        before = found[governor - 1] if governor else None
        of = found[governor].norm in ("of", "from", "to")
        if before and before.part == NAME and before.norm in ("north", "south", "east", "west"):
            return HANGING  # "the South of X"
        if before and before.part == MORE:
            return OTHER  # "next to X"
        if of and before and before.part in WORD + ASKED + NAME + TITLE + GENERIC and before.norm not in _HEADS:
            verb = any(p.part in BE + SAID + VERB for p in found[:governor])
            if before.norm in KIN or not verb:
                return OTHER
        return HANGING
