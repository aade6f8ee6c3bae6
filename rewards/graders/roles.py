"""The lenient reading: which of the things that a reply names is its answer. Decided without knowing the gold.

Everything of the gold's kind that a sentence names is a candidate: every name (or number, or common noun) but the
question's own. Its place in the sentence gives its role: what is said to be so ("the capital is X", "X is the
capital", "X"), what a preposition hangs on ("born in X"), or another role altogether ("than X", "near X", "who knew
X", "(X)"). The strongest role wins, and the first of equals; but two equals side by side, with nothing between them
that gives the second a role of its own, are two answers, and neither is paid. Since the choice is the same whatever
the gold is, no text is paid for two of them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from abstain.rewards.graders.alignment import MARGIN, is_long, nearness, stem
from abstain.rewards.graders.frame import Kind
from abstain.rewards.graders.pieces import (
    AND,
    ANSWER,
    ASIDE,
    ASKED,
    BE,
    CLOSE,
    COMMA,
    DASH,
    DETERMINER,
    HEDGE,
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
    Piece,
    asked_words,
    pieces,
)
from abstain.rewards.graders.statement import (
    ALTERNATIVE,
    ONLY,
    after_turn,
    denied,
    is_bare,
    is_preamble,
    sentences,
    words,
)
from abstain.rewards.graders.text import fold
from abstain.rewards.graders.unspaced import is_scripted, script_answers
from abstain.rewards.graders.words import FUNCTION, HEADS, KIN, PARTICLES, ROLES, TITLES

LONGEST = 80  # pieces of a sentence that still answers; a longer one is an essay
OTHER, HANGING, SAID_SO = 0, 1, 2  # roles, weakest first
_JOINS = PARTICLES - {"y", "e", "o", "el"} | {"the", "for", "in"}
_PARTS: dict[Kind, str] = {"name": NAME + PLACE + ANSWER, "common": WORD + NAME + ANSWER, "number": NUMBER + ANSWER}
_HEADS = HEADS - {"capital"}
_SECOND_OPINION = re.compile(
    r"\b(?:some (?:sources?|people|say)|others? (?:say|sources?|think|give)|second guess|another (?:possibility|option"
    r"|candidate|guess|answer)|(?:is|are|being|be) (?:also |equally |another |a |an )?(?:possib|plausib|conceivab"
    r"|candidate|option)|possible too|(?:could|might|may) also be|second choice|some give)",
    re.IGNORECASE,
)
_LESS_LIKELY = re.compile(r"[,;]? (?:but|though|although)(?: it)? (?:possibly|maybe|perhaps|could|might|may)\b", re.I)
_LIKELY = re.compile(r"\b(?:(?:most |more )?(?:likely|probably)|i (?:think|believe))\b", re.I)
_CLAUSES = re.compile(r",? (?:and|while|whereas) (?=[A-Z\ue000]|(?:the|its|his|her|he|she|it|they|in) )|; ")
_LEANT = re.compile(
    r"[,;—-] ?(?:but )?(?:most |more |very )?(?:likely|probably|i think|i believe|i guess|i'd say)(?: it is)? (?=\S)",
    re.I,
)
_SHARE = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d+)?) ?(?:percent|%)")
_WHERE = re.compile(
    r"\b(?:where|(?:in |what |which )+(?:\w+ )?(?:city|town|village|country|state|county|place|location|continent|region"
    r"|district|province|island|area|venue|stadium|museum|hospital|university|college|school))\b",
    re.IGNORECASE,
)
_ADJECTIVE = ("al", "ic", "an", "ive", "ous", "ary", "ful", "ish", "ese", "ed")
_PLACING = frozenset(["in", "at", "of", "from", "by", "for"])
_GOVERNED = (BE, SAID, VERB, PREPOSITION, MORE, WHO, COMMA, "", ":", "(", "-", "n", ".", PRONOUN)
_WHO = re.compile(
    r"\bwho(?:m|se)?\b|\bwhich (?:\w+ )?(?:person|scientist|actor|actress|author|artist|player|president|singer|mathematician"
    r"|politician|director|king|queen|woman|man|character)\b",
    re.IGNORECASE,
)
_DEMONYM = ("an", "ese", "ish", "ch", "ic")


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


def answers(
    masked: str,
    kind: Kind,
    question: str = "",
    placed: bool = True,
    single: bool = True,
    marked: Sequence[str] = (),
    gold: str = "",
) -> bool:
    """Whether the answer of a reply is the gold, all mentions of which are replaced by `GOLD`.

    Args:
        masked: the reply, tidied.
        kind: what the gold is; candidates are of its kind.
        question: the question, whose own names are no candidates.
        placed: a country or state is no candidate beside it ("Bergen, Norway").
        single: the gold is one word, so that names before it may be given names ("Messi", "Lionel Messi").
        marked: what the reply sets in bold, masked as well.
        gold: the gold as it stands in the reply.

    Example:
        >>> [answers(text.format(GOLD), "name") for text in ("{} was built near Turku", "Turku, near {}", "{} x Turku")]
        [True, False, False]
    """
    if is_scripted(masked, kind):
        return script_answers(masked)
    reader = _Reader(
        kind,
        asked_words(question),
        placed,
        bool(_WHERE.search(question)),
        bool(_WHO.search(question)),
        bool(question),
        single,
        *content(question),
    )
    if question and is_long(masked):
        return reader.aligned(masked, question, marked, gold)
    concluded = reader.last_line(masked)
    if concluded is not None:
        return concluded
    said = [ONLY.sub("", s) for s in sentences(masked)]
    said = said[reader.answering(said) :] if question and len(said) > 1 else said
    for i, sentence in enumerate(said):
        following = said[i + 1 :]
        if i + 1 < len(said) and sentence.endswith(("?", "？")) and reader.differ(sentence, following[0]):
            return False
        if is_preamble(sentence) or (sentence.endswith(("?", "？")) and following and not _affirmed(following[0])):
            if following and _denies(following[0]):
                said[i + 1] = "so"
            continue
        verdict = reader.verdict(sentence, following)
        if verdict is not None:
            return verdict
    return False


@lru_cache(maxsize=4096)
def content(question: str) -> tuple[frozenset[str], str, bool, bool]:
    """The stems of a question's content words that are no names, the noun that "how many" counts, whether it asks for
    an object or a circumstance ("where did X die") and not for a subject, and whether it asks for an end."""
    found = {stem(w) for w in words(question) if w[0].islower() and len(w) > 2 and fold(w) not in FUNCTION}
    counted = re.search(r"\bhow many (?:[a-z]+ly )?([a-z]+)", question, re.IGNORECASE)
    adjunct = re.search(r"\b(?:did|does|do|was|were|is|are|has|have|had|will)\b", question) is not None
    ends = re.search(r"\b(?:end|ended|until|stop|stopped)\b", question) is not None
    return frozenset(found), stem(counted[1]) if counted else "", adjunct, ends


def _affirmed(sentence: str) -> bool:
    return bool(re.match(r"\W*(?:yes|yeah|yep|はい|是)\b", sentence, re.IGNORECASE))


def _denies(sentence: str) -> bool:
    return bool(re.match(r"\W*(?:no|nope|not)\W*$", sentence, re.IGNORECASE))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads sentences for candidates of one kind."""

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

    def cover(self, sentence: str) -> int:
        """How many of the question's content words a sentence says again."""
        return len({stem(w) for w in words(sentence) if w[0].islower()} & self.content)

    def answering(self, said: Sequence[str]) -> int:
        """Which of the sentences answers: the first, or a later one that alone takes up what was asked."""
        named = [
            i
            for i, s in enumerate(said)
            if any(c.role for c in self._candidates(pieces(s, self.asked), s)) and not s.endswith(("?", "？"))
        ]
        if len(named) < 2 or not self.content or self.cover(said[named[0]]) or len(words(said[named[0]])) < 7:
            return 0
        best = max(named[1:5], key=lambda i: (self.cover(said[i]), -i))
        return best if self.cover(said[best]) else 0

    def aligned(self, masked: str, question: str, marked: Sequence[str], gold: str) -> bool:
        """Whether the name that stands nearest to the question's words, in a long answer, is the gold."""
        found = pieces(masked, self.asked)
        named = self._candidates(found, masked)
        if not named:
            return False
        spans = [(found[c.first].start, found[c.last].end) for c in named]
        near = nearness(masked, spans, question, marked, bonus=[self._bonus(c, found, gold) for c in named])
        best = max(near)
        right = [k for k, c in enumerate(named) if c.right and near[k] >= best - MARGIN]
        i = right[0] if right else near.index(best)
        beside = [named[i - 1], named[i]] if i else []
        pairs = [(beside[0], beside[1])] if beside else []
        pairs += [(named[i], named[i + 1])] if i + 1 < len(named) else []
        for one, other in pairs:
            between = found[one.last + 1 : other.first]
            joined = any(p.part in OR + AND for p in between) or not between
            if (
                joined
                and all(p.part in OR + AND + COMMA + HEDGE + DETERMINER for p in between)
                and one.right != other.right
            ):
                return False
        return named[i].right

    def _bonus(self, named: Candidate, found: Sequence[Piece], gold: str) -> float:
        """What the role of a name says for it: that it is what is said to be so, or an agent; against it: another."""
        bonus = 1.2 if named.by or (named.joint in (BE, SAID) and named.role) else 0.0
        bonus -= 1.0 if named.joint == MORE else 0.2 if named.role == OTHER else 0.0
        run = found[named.first : named.last + 1]
        said = words(gold) if named.right else [p.raw for p in run]
        bonus += 0.5 if any(stem(word) in self.content for word in said) else 0.0
        bonus -= 0.7 if all(p.raw.isupper() and len(p.raw) > 1 for p in run) else 0.0
        if named.joint == PREPOSITION:
            governor = found[self._governor(found, named.first)].norm
            inside = governor in ("in", "at", "near", "from")
            bonus += (0.8 if inside else -0.5) if self.where else (-1.0 if self.who and inside else 0.0)
        return bonus

    def last_line(self, masked: str) -> bool | None:
        """What a bare last line says, where nothing above it has answered."""
        lines = [line for line in masked.splitlines() if line.strip()]
        if len(lines) < 2:
            return None
        last = self._bare(lines[-1])
        if last is None:
            return None
        above = [s for line in lines[:-1] for s in sentences(line)]
        for sentence in above:
            for other in self._candidates(pieces(sentence, self.asked), sentence):
                stated = other.joint in (BE, SAID) or (self._bare(sentence) is not None)
                if stated and other.role and not other.right and other.words != last.words:
                    return None
        return last.right

    def differ(self, sentence: str, following: str) -> bool:
        """Whether both are bare candidates, and not the same: "Oslo? Riga."."""
        one, two = self._bare(sentence), self._bare(following)
        return one is not None and two is not None and one.words != two.words

    def _bare(self, line: str) -> Candidate | None:
        """The one candidate that is all there is of a line."""
        found = pieces(line, self.asked)
        named = self._candidates(found, line)
        if len(named) != 1:
            return None
        rest = found[: named[0].first] + found[named[0].last + 1 :]
        return named[0] if all(p.part in DETERMINER + HEDGE + ".,:" for p in rest) else None

    def verdict(self, sentence: str, following: Sequence[str]) -> bool | None:
        """Whether the sentence's answer is the gold; `None` if it names no answer."""
        turned = after_turn(sentence)
        if turned != sentence and (after := self.verdict(turned, following)) is not None:
            return after
        if (doubt := _LESS_LIKELY.search(sentence)) and _LIKELY.search(sentence[: doubt.start()]):
            sentence = sentence[: doubt.start()]
        shares = [(float(m[1]), m.start()) for m in _SHARE.finditer(sentence)] if self.kind != "number" else []
        if len(shares) > 1:
            most = max(shares)
            if sum(share == most[0] for share, _ in shares) > 1:
                return False
            ends = [at for _, at in shares if at > most[1]]
            sentence = sentence[most[1] : min(ends, default=len(sentence))]
        sentence = self._clause(sentence)
        found = pieces(sentence, self.asked)
        named = [c for c in self._candidates(found, sentence) if c.role > OTHER] if len(found) < LONGEST else []
        if not named:
            return None
        winner = self._winner(found, named)
        if not self.placed and not winner.right and not winner.place:  # "Bergen, Norway", of Norway
            behind = [c for c in named if c.right and c.joint in (COMMA, "") and c.first - winner.last < 3]
            winner = behind[0] if behind else winner
        rivals = [c for c in named if c is not winner and self._rivals(c, winner, found, named)]
        distinct = {c.words for c in named if not c.right} | {("",) for c in named if c.right}
        if rivals and (leant := _LEANT.search(sentence)):
            return bool(self.verdict(sentence[leant.end() :], following))
        if rivals or (len(distinct) > 1 and _SECOND_OPINION.search(sentence)):
            return False
        return winner.right and not self._contradicted(winner, following)

    def _clause(self, sentence: str) -> str:
        """The clause that takes up the question, where one of several with candidates does so more than the others."""
        if not self.content or len(sentence) < 60:
            return sentence
        parts = [part for part in _CLAUSES.split(sentence) if part]
        named = [p for p in parts if any(c.role for c in self._candidates(pieces(p, self.asked), p))]
        if len(named) < 2:
            return sentence
        covers = [self.cover(part) for part in named]
        best = max(covers)
        return named[covers.index(best)] if covers.count(best) == 1 and best > covers[0] else sentence

    def _candidates(self, found: Sequence[Piece], sentence: str) -> list[Candidate]:
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
            if made and not denied(sentence, found[i].start, found[last].end):
                out.append(made)
            i = last + 1
        return out

    @staticmethod
    def _participle(found: Sequence[Piece], i: int) -> bool:
        """Whether a clause without a subject begins: ", won by X,", ", following X"."""
        if i and found[i - 1].part != COMMA:
            return False
        if found[i].norm.endswith("ing"):
            return True
        return bool(i) and found[i].part == VERB and found[i + 1 : i + 2] != [] and found[i + 1].part == PREPOSITION

    def _end(self, found: Sequence[Piece], i: int) -> int:
        """The last piece of the run of candidate pieces that begins at `i`."""
        parts, last = _PARTS[self.kind], i
        while last + 1 < len(found):
            here, there = found[last], found[last + 1]
            named = self.kind == "name" and here.part == NAME
            joined = last + 2 < len(found) and there.norm in _JOINS and found[last + 2].part == NAME
            if there.part == here.part == ANSWER or (PLACE in (here.part, there.part) and here.part != there.part):
                break
            if there.part in parts:
                last += 1
            elif named and joined and there.norm not in ("in", "for"):
                last += 2
            elif self.kind == "number" and there.part in HEDGE + NAME and last + 2 < len(found):
                if found[last + 2].part != NUMBER or there.norm not in _MONTHS:
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
        if self.kind == "name" and not right and run[-1].raw.endswith("'s"):
            return None  # "Japan's largest operator"
        if self.kind == "name" and not right:
            before = found[i - 1].part if i else ""
            noun = after and after.part in WORD + ASKED and len(run) == 1 and not after.norm.endswith("ly")
            named = last + 2 < len(found) and found[last + 2].part in NAME + ANSWER + PLACE
            if noun and (run[-1].norm.endswith(_DEMONYM) if named or before != DETERMINER else True) and before:
                return None  # "Dutch director": an adjective
            around = (*found[max(0, i - 1) : i], *found[last + 1 : last + 2])
            if any(p.part == ASKED and p.raw[0].isupper() for p in around):
                return None  # a name of the question's, with another word of it
            if i > 1 and found[i - 1].norm == "the" and found[i - 2].part in NAME + ANSWER:
                return None  # "Alfred the Great"
            if len(run) == 1 and run[0].norm in _HEADS and after and after.norm == "of":
                return None  # "the South of X"
            if i == 0 and len(run) == 1 and run[0].norm.endswith(("ing", "ly")):
                return None  # the first word of a sentence has a capital anyway
        if self.kind == "common" and not right and len(run) == 1 and run[0].norm.endswith(("ing", "ly")):
            return None
        if self.kind == "number" and not right and self.counted and self._of_another(found, last):
            return None  # "7 seasons and 163 episodes", where episodes were asked for
        if self.kind == "common" and right and len(run) > 1 and not self._qualified(found, i, run):
            right = False
        if self.kind == "common" and not right and after and after.part in "N9G":
            return None  # "the author X"
        governor = self._governor(found, i)
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
            and all(p.raw[0].isupper() and (len(p.raw) < 3 or not p.raw.isupper()) for p in before)
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

    def _governor(self, found: Sequence[Piece], i: int) -> int:
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
    def _hanging(found: Sequence[Piece], governor: int) -> int:
        """The role of what hangs on a preposition: none in "a suburb of X", some in "the city of X", "born in X"."""
        before = found[governor - 1] if governor else None
        of = found[governor].norm in ("of", "from")
        if of and before and before.part in WORD + ASKED + NAME and before.norm not in _HEADS:
            verb = any(p.part in BE + SAID + VERB for p in found[:governor])
            if before.norm in KIN or not verb:
                return OTHER
        return HANGING

    def _winner(self, found: Sequence[Piece], named: Sequence[Candidate]) -> Candidate:
        strong = [c for c in named if c.role == SAID_SO]
        asked = [c for c in named if c.asked]
        if asked:
            return asked[0]
        if not strong:
            return named[0]
        agents = [c for c in strong if c.by]
        if agents:
            return agents[0]
        first = strong[0]
        if not self._is_subject(found, first):
            said = [c for c in strong if c.joint in (BE, SAID)]
            return said[0] if said and first.joint == PREPOSITION else first
        rest = [c for c in named if c.first > first.last]
        objects = [c for c in rest if c.joint == VERB]
        if self.known and not self.where:
            return first
        pronoun = any(p.part == PRONOUN for p in found[first.last + 1 : rest[0].first]) if rest else True
        if objects and not self.known:
            return objects[0]
        hanging = [c for c in rest if c.joint == PREPOSITION and not (c.place and first.right)]
        return hanging[0] if hanging and not pronoun else first

    @staticmethod
    def _is_subject(found: Sequence[Piece], named: Candidate) -> bool:
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

    def _rivals(self, other: Candidate, winner: Candidate, found: Sequence[Piece], named: Sequence[Candidate]) -> bool:
        """Whether another candidate of the sentence stands beside the winner without a role of its own."""
        if winner.asked and not other.asked:
            return other.joint in OR and abs(other.first - winner.last) < 4
        if other.joint == COMMA and winner.role == HANGING and not other.place:
            beside = [c for c in named if c.last < other.first]
            alone = not any(c.joint in AND + OR + COMMA and c.first > other.last for c in named)
            if (beside and beside[-1] is not winner) or (self.known and alone):
                return False  # "in Pinelands, Cape Town"
        if other.role < winner.role or (other.right and winner.right) or other.by:
            return False
        if other.joint in (AND, OR):
            return True
        if other.joint == PREPOSITION and other.first > winner.first and not self._placed_by(other, winner, found):
            return True
        if other.joint in (PREPOSITION, VERB) or (other.first < winner.first and self._is_subject(found, other)):
            return False
        if not self.placed and winner.right and other.last < winner.first and not other.place:
            return other.last + 3 <= winner.first
        leads = found[other.last + 1 : other.last + 3]
        if other.joint == COMMA and [p.part for p in leads] == [COMMA, PLACE] and self.placed:
            return False  # "Paris, Île-de-France, France"
        if other.place and self.placed and (other.first > winner.first or other.joint == PREPOSITION):
            return not (other.joint in (COMMA, DASH, OPEN, "") or other.joint in "GNx.:")
        if set(other.words) <= set(winner.words) or set(winner.words) <= set(other.words) - {""}:
            return False
        if self.kind == "common" and other.first > winner.last:
            return other.joint not in (WHO, PRONOUN, BE, SAID)
        if other.joint == COMMA and winner.first < other.first and found[other.last + 1 : other.last + 2]:
            after = found[other.last + 1]
            return after.part not in WORD + ASKED
        return True

    def _placed_by(self, other: Candidate, winner: Candidate, found: Sequence[Piece]) -> bool:
        """Whether a preposition gives what follows an answer a role of its own; without a verb only some do."""
        if any(p.part == VERB or (p.part == BE and k > winner.last) for k, p in enumerate(found)):
            return True
        between = found[winner.last + 1 : other.first]
        named = {p.norm for p in between if p.part == PREPOSITION}
        return named <= _PLACING and all(p.part in COMMA + PREPOSITION + DETERMINER for p in between)

    def _contradicted(self, winner: Candidate, following: Sequence[str]) -> bool:
        """Whether the sentences behind an answer offer another one: "Or Rome.", bare "Rome.", "It is Rome."."""
        beside = True
        for sentence in following[:6]:
            found = pieces(sentence, self.asked)
            named = [c for c in self._candidates(found, sentence) if c.role == SAID_SO and not c.right]
            named = [c for c in named if not (c.place and self.placed)]
            offered = beside and (is_bare(sentence) or ALTERNATIVE.match(sentence))
            beside = beside and bool(is_bare(sentence) or ALTERNATIVE.match(sentence))
            said = [
                c
                for c in named
                if (c.joint == SAID or (c.joint == BE and found and found[0].part == PRONOUN and c.first < 6))
                and found[c.first - 1].part in BE + SAID + HEDGE
            ]
            if named and (offered or said or _SECOND_OPINION.search(sentence)):
                return True
        return False


_MONTHS = frozenset(
    [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
    ]
)
