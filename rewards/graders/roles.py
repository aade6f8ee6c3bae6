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

from abstain.rewards.graders.alignment import stem
from abstain.rewards.graders.candidates import HANGING, OTHER, SAID_SO, Candidate, Finder
from abstain.rewards.graders.frame import Kind
from abstain.rewards.graders.pieces import Piece, pieces
from abstain.rewards.graders.statement import (
    ALTERNATIVE,
    ONLY,
    SECOND_OPINION,
    after_turn,
    is_bare,
    is_preamble,
    joined,
    sentences,
    words,
)
from abstain.rewards.graders.unspaced import is_scripted, script_answers
from abstain.rewards.graders.vocabulary import (
    AND,
    ASKED,
    BE,
    COMMA,
    DASH,
    DETERMINER,
    HEDGE,
    OPEN,
    OR,
    PLACE,
    PREPOSITION,
    PRONOUN,
    SAID,
    VERB,
    WHO,
    WORD,
)

LONGEST = 80  # pieces of a sentence that still answers; a longer one is an essay
_LESS_LIKELY = re.compile(r"[,;]? (?:but|though|although)(?: it)? (?:possibly|maybe|perhaps|could|might|may)\b", re.I)
_LIKELY = re.compile(r"\b(?:(?:most |more )?(?:likely|probably)|i (?:think|believe))\b", re.I)
_CLAUSES = re.compile(r",? (?:and|while|whereas) (?=[A-Z\ue000]|(?:the|its|his|her|he|she|it|they|in) )|; ")
_LEANT = re.compile(
    r"[,;—-] ?(?:but )?(?:most |more |very )?(?:likely|probably|i think|i believe|i guess|i'd say)(?: it is)? (?=\S)",
    re.I,
)
_SHARE = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d+)?) ?(?:percent|%)")
_GIVEN = frozenset(["went", "goes", "gone", "given", "awarded", "presented"])
_PLACING = frozenset(["in", "at", "of", "from", "by", "for"])


def answers(
    masked: str,
    kind: Kind,
    question: str = "",
    placed: bool = True,
    single: bool = True,
) -> bool:
    """Whether the answer of a reply is the gold, all mentions of which are replaced by `GOLD`.

    Args:
        masked: the reply, tidied.
        kind: what the gold is; candidates are of its kind.
        question: the question, whose own names are no candidates.
        placed: a country or state is no candidate beside it ("Bergen, Norway").
        single: the gold is one word, so that names before it may be given names ("Messi", "Lionel Messi").

    Example:
        >>> from abstain.rewards.graders.pieces import GOLD
        >>> texts = ("{} was built near Turku", "Turku, near {}", "{} x Turku")
        >>> [answers(text.format(GOLD), "name") for text in texts]
        [True, False, False]
    """
    if is_scripted(masked, kind):
        return script_answers(masked)
    masked = joined(masked)
    reader = _Reader.of(kind, question, placed, single)
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


def _affirmed(sentence: str) -> bool:
    return bool(re.match(r"\W*(?:yes|yeah|yep|はい|是)\b", sentence, re.IGNORECASE))


def _denies(sentence: str) -> bool:
    return bool(re.match(r"\W*(?:no|nope|not)\W*$", sentence, re.IGNORECASE))


class _Reader(Finder):
    """Chooses among the candidates of sentences."""

    def cover(self, sentence: str) -> int:
        """How many of the question's content words a sentence says again."""
        return len({stem(w) for w in words(sentence) if w[0].islower()} & self.content)

    def answering(self, said: Sequence[str]) -> int:
        """Which of the sentences answers: the first, or a later one that alone takes up what was asked."""
        named = [
            i
            for i, s in enumerate(said)
            if any(c.role for c in self.find(pieces(s, self.asked), s)) and not s.endswith(("?", "？"))
        ]
        if len(named) < 2 or not self.content or self.cover(said[named[0]]) or len(words(said[named[0]])) < 7:
            return 0
        best = max(named[1:5], key=lambda i: (self.cover(said[i]), -i))
        return best if self.cover(said[best]) else 0

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
            for other in self.find(pieces(sentence, self.asked), sentence):
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
        named = self.find(found, line)
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
        everything = self.find(found, sentence) if len(found) < LONGEST else []
        named = [c for c in everything if c.role > OTHER]
        if not named:
            return None
        winner = self._winner(found, named)
        if not self.placed and not winner.right and not winner.place:  # "Bergen, Norway", of Norway
            behind = [c for c in named if c.right and c.joint in (COMMA, "") and c.first - winner.last < 3]
            winner = behind[0] if behind else winner
        rivals = [c for c in named if c is not winner and self._rivals(c, winner, found, named)]
        distinct = {c.words for c in everything if not c.right} | {("",) for c in everything if c.right}
        if rivals and (leant := _LEANT.search(sentence)):
            return bool(self.verdict(sentence[leant.end() :], following))
        if rivals or (len(distinct) > 1 and SECOND_OPINION.search(sentence)):
            return False
        return winner.right and not self._contradicted(winner, following)

    def _clause(self, sentence: str) -> str:
        """The clause that takes up the question, where one of several with candidates does so more than the others."""
        if not self.content or len(sentence) < 60:
            return sentence
        parts = [part for part in _CLAUSES.split(sentence) if part]
        named = [p for p in parts if any(c.role for c in self.find(pieces(p, self.asked), p))]
        if len(named) < 2:
            return sentence
        covers = [self.cover(part) for part in named]
        best = max(covers)
        return named[covers.index(best)] if covers.count(best) == 1 and best > covers[0] else sentence

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
        described = self.describes_subject(found, first)
        if not (described or self.is_subject(found, first)):
            said = [c for c in strong if c.joint in (BE, SAID)]
            return said[0] if said and first.joint == PREPOSITION else first
        rest = [c for c in named if c.first > first.last]
        objects = [c for c in rest if c.joint == VERB]
        if described and self.who and (given := [c for c in rest if self._is_recipient(found, c)]):
            return given[0]
        if self.known and not self.where:
            return first
        pronoun = any(p.part == PRONOUN for p in found[first.last + 1 : rest[0].first]) if rest else True
        if objects and not self.known:
            return objects[0]
        hanging = [c for c in rest if c.joint == PREPOSITION and not (c.place and first.right)]
        return hanging[0] if hanging and not pronoun else first

    def _is_recipient(self, found: Sequence[Piece], named: Candidate) -> bool:
        """Whether something "went to" or "was awarded to" a candidate."""
        governor = self.governor(found, named.first)
        return governor > 0 and found[governor].norm == "to" and found[governor - 1].norm in _GIVEN

    def _rivals(self, other: Candidate, winner: Candidate, found: Sequence[Piece], named: Sequence[Candidate]) -> bool:
        """Whether another candidate of the sentence stands beside the winner without a role of its own."""
        if other.right and winner.right:
            return False
        if winner.asked and not other.asked:
            return other.joint in OR and abs(other.first - winner.last) < 4
        if other.joint == COMMA and winner.role == HANGING and not other.place:
            beside = [c for c in named if c.last < other.first]
            alone = not any(c.joint in AND + OR + COMMA and c.first > other.last for c in named)
            if (beside and beside[-1] is not winner) or (self.known and alone):
                return False  # "in Pinelands, Cape Town"
        if other.role < winner.role or other.by:
            return False
        if other.joint in (AND, OR):
            return True
        if other.joint == PREPOSITION and other.first > winner.first and not self._placed_by(other, winner, found):
            return True
        if other.joint in (PREPOSITION, VERB):
            return False
        if other.first < winner.first and (self.is_subject(found, other) or self.describes_subject(found, other)):
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
        after = found[other.last + 1 : other.last + 2]
        if self.kind == "name" and other.joint == COMMA and winner.first < other.first and after:
            return after[0].part not in WORD + ASKED
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
            named = [c for c in self.find(found, sentence) if c.role == SAID_SO and not c.right]
            named = [c for c in named if not (c.place and self.placed)]
            offered = beside and (is_bare(sentence) or ALTERNATIVE.match(sentence))
            beside = beside and bool(is_bare(sentence) or ALTERNATIVE.match(sentence))
            said = [
                c
                for c in named
                if (c.joint == SAID or (c.joint == BE and found and found[0].part == PRONOUN and c.first < 6))
                and found[c.first - 1].part in BE + SAID + HEDGE
            ]
            if named and (offered or said or SECOND_OPINION.search(sentence)):
                return True
        return False
