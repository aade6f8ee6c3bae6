"""Whether a long reply that says what it doesn't know tells nothing but what surrounds it, so that it abstains.

"I couldn't find who designed the poster. The fair has had a contest every year since 1977, and keeps an archive." A
short reply is never read so: whoever offers something after "I don't know" has attempted. A long one is, if all of
this holds: it begins with not knowing something that it names, or refuses expressly ("I'd rather not guess"); it
nowhere guesses; and what else it tells are whole sentences that don't come back to what isn't known. English only.
"""

import re
from collections.abc import Collection, Sequence
from itertools import accumulate, groupby

from abstain.rewards.parsing.sentences import Clause

_LONG = 16  # words; a shorter reply has no room for background
_WHOLE = 6  # words; a shorter sentence is an answer
_BARE = 9  # words of "It was written by Ann Lee in the spring", which follows "I don't know who wrote it"
_LOWER = re.compile(r"(?<![^\s\"'(*_-])[a-z]{4,}")
_NAMES = re.compile(r"(?<=[^.!?\s] )[\"'(*_]{0,3}[A-Z0-9]")
_REFUSES = re.compile(
    r"\b(?:(?:would|'d) rather not|(?:do not|don't|wouldn't|would not|won't) want to (?:guess|speculate|make)"
    r"|without (?:guessing|speculating))\b"
    r"|^(?:unfortunately|i'm afraid|i am afraid|i'm sorry|i am sorry|sorry|regrettably)\b"
)
_OTHER_DOUBT = re.compile(  # these don't say that the thing asked for isn't known
    r"\b(?:why|whether|if|much|a lot|everything|enough|what you|which .{1,40} you|you mean|your question)\b"
)
_INEXACT = re.compile(r"\b(?:exact|exactly|precise|precisely|specific|entirely|completely|fully|for sure)\b")
_COUNTS = re.compile(
    r"\b(?:dates?|(?:which|what|exact) days?|months?|years?|number|figure|count|amount|total|time|when|population|age"
    r"|percentage|share|size|length|height|distance|price|score|how (?:many|much|long|old|tall|far))\b"
)
_POINTS = re.compile(
    r"\b(?:check\w*|consult\w*|refer\w*|recommend\w*|suggest\w*|look\w* (?:it |that |them )?up|websites?|databases?"
    r"|archives?|wikis?|pages?|manual|publish\w*|records?|sources?|search\w*|would be (?:the|a) (?:best|good)"
    r"|(?:should|may|might|could|would|will|can) (?:be able to )?(?:list|tell|have|state|give|help|provide|confirm))\b"
)
_IT_IS = re.compile(
    r"(?:it|he|she|they|that|this|there|the answer) (?:is|was|are|were|has|had|began|took)\b|(?:in|on) \d"
)
_DIGIT = re.compile(r"\d")
_TURNS = re.compile(r"\b(?:but|though|although|yet|still|nevertheless|that said)\b")
_CARRYING = """about above according after also although among answer because been before being between certain could
    detail details does exact exactly find found from have having however information into itself know known more most
    name named names number only other over part particular precise question reliable same should since some specific
    such sure than that their them then there these they this those through under until unable very well were what when
    where which while whom whose will with without would year your"""
_COMMON = frozenset(_CARRYING.split())  # words that say nothing of what isn't known


def _stems(text: str) -> set[str]:
    """The beginnings of the lower-case words of a text that say something; names are no matter of it."""
    return {word[:4] for word in _LOWER.findall(text) if word not in _COMMON}


def tells_only_background(text: str, parts: Sequence[Clause], doubts: Collection[int], offers: Sequence[int]) -> bool:
    """Whether all that a reply offers surrounds what it says it doesn't know; for replies that guess nowhere.

    Args:
        text: the reply.
        parts: its clauses.
        doubts: which of them say that something, which they name, isn't known.
        offers: which of them may offer something.
    """
    if not doubts or not offers or len(text.split()) < _LONG:
        return False
    sentence_of = [*accumulate(int(i > 0 and part.before in ("stop", "asked")) for i, part in enumerate(parts))]
    clauses = zip(sentence_of, parts, strict=True)
    sentences = [" ".join(part.text for _, part in row) for _, row in groupby(clauses, key=lambda pair: pair[0])]
    doubted = {sentence_of[i] for i in doubts}
    unknown = " ".join(parts[i].text for i in doubts)
    if _OTHER_DOUBT.search(unknown) or not (0 in doubted or any(map(_REFUSES.search, sentences))):
        return False
    asked = _stems(" ".join(text[parts[i].start : parts[i].end] for i in doubts))
    counted = _COUNTS.search(unknown) is not None
    inexact = counted and _INEXACT.search(unknown) is not None
    for i in offers:
        part, sentence, later = parts[i], sentences[sentence_of[i]], i > min(doubts)
        own = text[part.start : part.end]
        partly = inexact and _DIGIT.search(own)
        if _POINTS.search(sentence) and not partly:
            continue
        turns = sentence_of[i] in doubted and (part.before == "contrast" or _TURNS.match(part.text))
        if partly or len(sentence.split()) < _WHOLE or (later and turns):
            return False
        fresh = (_DIGIT if counted else _NAMES).search(own)
        if later and fresh and not asked.isdisjoint(_stems(own)):
            return False
        if later and not counted and len(sentence.split()) < _BARE and _IT_IS.match(sentence):
            return False
    return True
