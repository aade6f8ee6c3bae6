"""The strict reading: a positive grammar of what may surround one answer.

A verdict that a policy is trained on fails the safe way: what this grammar does not know is no frame, so that two
candidates are not paid, whatever stands between them. A frame is a lead-in ("The capital of Peru is", 答えは), the
answer, and a tail that describes it (", Peru", "is the capital", "(founded in 1535)"). A name that no list knows and
the question does not hold stands in a frame only where it can't be the answer: after a preposition in a description.
"""

import re
from typing import Literal

from abstain.rewards.graders.pieces import GOLD, asked_words, pieces
from abstain.rewards.graders.statement import ONLY, SECOND_OPINION, after_turn, joined, last_choice, offers
from abstain.rewards.graders.unspaced import is_scripted, script_answers
from abstain.rewards.graders.vocabulary import NAME, PLACE

Kind = Literal["name", "common", "number"]

_OF = r"(?:p[dhgt]*[wqgNP9t]+(?:e[NP]+)?)"  # a preposition and what hangs on it: a name can't be the answer there
_SAID = rf"(?:[dwqhvgikacPt9]|{_OF}|m[dhp]*[NPwq9]+(?:e[NP]+)?|e(?=[dwhqvpc]))*+"  # a description
_FILL = r"(?:[hav!]*[ha][,.:n-]?|![,.:n-])*+"
_DENIED = r"(?:[ikcdwqpPNh]*!p?d?[NPw9g]+(?:[,.n]|o|(?=[b!])))*+b?"  # "not Oslo, not Rome, but"
_NP = r"(?:d[wqhvgP9t]*|q[wqhN]*+)"
_BEFORE = r"p?(?:d?h*gp)?d?[ht]*"
_LEAD = (
    rf"(?:{_FILL}|{_DENIED})(?:"
    r"[ikcha]*+"  # I think it is
    rf"|{_NP}{_OF}*[ha]*+c+[ha]*+"  # the capital of Peru is
    rf"|(?:{_NP}|[wg]{{1,2}}|P+|[NP]+(?=p)){_OF}*[:-]n?"  # Capital of Peru:
    # he was born (in), it lies (in)
    rf"|(?:i[ha]*+[vwq]{{1,2}}|(?:[ik]|{_NP}{_OF}*|q[qwN]*+)[ha]*+(?:c[ha]*+v?|v{{1,2}}))[ha]*+"
    r"|[dt]*N{1,4}(?:,d[NPwqhtg]+,)?h?c?v+"  # Middlemarch was written (by)
    r"|d?N{1,4}c(?=p)"  # the palace is (in)
    r"|p[dh]*[PqN]+,"  # in Peru,
    rf"|d[wqhgt]+{_OF}+,"  # the capital of Peru,
    r"|d[NP]?[wt]{1,2}(?=G)"  # the American author
    rf"){_BEFORE}(?<!,p)"
)
_BRACKET = rf"\((?:[vdph9][^()Gobe]*|{_SAID}|!d?[NPw9]+|P+|G)\)"
_PLACE = r"(?:[,x:-]?p?d?P+|\(P+\))"
_CLAUSE = r",?[be](?=[^GobNx]*[cvki])[^GobNx]*+"  # ", but I am not sure"
_TAIL = (
    r"(?:"
    rf"{_PLACE}"
    rf"|[hav]*c[ha]*(?:v?[dq]{_SAID}|v?p[dh]*[wqgP9]+{_SAID}|w?(?=m){_SAID}|[ha]*)"
    rf"|h*v(?:[idq]{_SAID}|p[dh]*[wqgP9]+{_SAID})"
    rf"|[,:n-]?d[wqhgPt]+{_SAID}"
    rf"|[,:-]h*v{_SAID}"
    rf"|,?[rp]?m[dhp]*[NP]+(?:e[NP]+)?"
    rf"|{_BRACKET}"
    r"|[,-]?p?d?9+"
    r"|,?!d?[NP]+"
    r"|,?[hiakc]+"
    r"|,?r(?=[^Gob.n]*[cvki])[^Gobx.n]*+"
    rf"|{_CLAUSE}"
    rf"|[,:-][wg]{{1,2}}{_OF}+"
    r"|[,.:n(-]*G\)?"
    r"|g"
    r")*+"
)
_LATER = r"(?:[dwqhvgikcaPt9]|p[dhgt]*[wqgP9t]+|e(?=[dwhqvpc]))*+"  # in a later sentence no name may stand
_AFTER = rf"(?:[.n]+(?:[ikdp]{_LATER}|G(?=[cvhn.]|$){_SAID}|[ha]+(?:[.n]|$)))*+"
_AFTER_COMMON = r"(?:[.n]+[ha]+(?=[.n]|$)|[.n]+i[ha]*+c?v[dwhvp9]*+)*+"
_END = r"[.nx,)]*+"
_NAMED = re.compile(rf"[x.:n(-]?{_LEAD}\(?G\)?{_TAIL}{_AFTER}{_END}")
_COMMON_TAIL = (
    rf"(?:[hav]*c[ha]*(?:v?[dpqP]{_SAID}|[ha]*)|,?[hiakc]+|,?p?d?9+|,?p[dh]*[qP]+|,?r[ikhc]*[cvh]{_SAID}"
    r"|[,.:n(-]*G\)?)*+"
)
_COMMON_LEAD = (
    rf"{_FILL}(?:[ikcha]*+|{_NP}{_OF}*[ha]*+c+[ha]*+|(?:d[wqhg]+|q[wqh]*+|g){_OF}*:n?"
    rf"|(?:i[ha]*+[vwq]{{1,2}}|(?:[ik]|{_NP}{_OF}*|q[qwN]*+)[ha]*+(?:c[ha]*+v?|v{{1,2}}))[ha]*+"
    rf"|d?N{{1,4}}h?c?v*)p?d?h*"
)
_COMMON = re.compile(rf"[x.:n(-]?{_COMMON_LEAD}\(?G\)?{_COMMON_TAIL}{_AFTER_COMMON}{_END}")
_COUNTED = re.compile(r"[^9U!obmxG]*+G(?:[^9U!obmx(]|\([^()!ob]*\)|,?!9+)*+")
_PHRASES = re.compile(
    r"\b(?:according to [\w .]{1,30}?,|in conclusion|to the best of my knowledge"
    r"|as (?:we|you|i) (?:all |may |probably )?"
    r"(?:know|recall)|if i (?:remember|recall) (?:correctly|right|well)?|as far as i (?:know|can tell|remember)"
    r"|it'?s no secret|no (?:problem|wonder|doubt)|i(?:'m| am) not (?:\w+ly )?(?:sure|certain|positive)|sounds like"
    r"|which i(?:'m| am) not sure about|i(?:'m| am) (?:no|not an?) expert|contrary to [\w ]{1,30}?,"
    r"|without (?:a )?doubt|unless i(?:'m| am) (?:very much )?mistaken"
    r"|everybody knows|everyone knows|there is no doubt|final answer|as (?:so )?many (?:people )?(?:believe|think"
    r"|say|assume))[,:]?(?: but| that)?",
    re.IGNORECASE,
)
_ECHO = re.compile(
    r"\A(?:q(?:uestion)?: ?)?(?:(?:in|at|on|by|for|to|of) )?(?:who|what|where|when|which|whose|whom|how"
    r"|why)\b[^?\n]{3,200}\?\s+"
    r"(?:a(?:nswer)?: ?)?(?=\S)",
    re.IGNORECASE,
)
_HINT = re.compile(
    r"sounds|i'm|i am|accord|conclu|best of|as (?:we|you|i|far)|if i|secret|no |none|nobody|nothing|not |contrary"
    r"|doubt|every|final|to ",
    re.I,
)


_PART_OF = re.compile(
    rf"\b(?:river|county|district|region|department|lake|sea|mountains?|province|borough) of (?:the )?{GOLD}",
    re.IGNORECASE,
)
_COUNTER = re.compile(rf"{GOLD} ?[つ個个人年月日本枚回歳岁点円元名只台位座家]+(?:です|くらい|左右)?")


def is_frame(masked: str, question: str = "", kind: Kind = "name", placed: bool = True) -> bool:
    """Whether a reply, its answer masked by `GOLD`, is that one answer in a frame and nothing else.

    Args:
        masked: the stated answer, tidied, each mention of the one answer replaced by `GOLD`.
        question: the question, whose words a frame may repeat.
        kind: what the answer is: beside a number other numbers are candidates, beside a common noun all nouns.
        placed: a country or state behind the answer says where it lies; beside another of its kind it does not.

    Example:
        >>> [is_frame(text.format(GOLD)) for text in ("The capital is {}.", "{} maybe Rome", "{}, the capital")]
        [True, False, True]
    """
    if len(masked) > 400:
        return False
    if len(masked) > 12:
        masked = _ECHO.sub("", after_turn(last_choice(masked, offers)))
    if _HINT.search(masked):
        masked = _PHRASES.sub(" so ", ONLY.sub("", masked.replace("answer to be", "answer is")))
    if kind == "number":
        masked = _COUNTER.sub(GOLD, masked)
    masked = joined(masked)
    if SECOND_OPINION.search(masked) or _PART_OF.search(masked):
        return False
    if is_scripted(masked, kind):
        return script_answers(masked, strict=True)
    parts = "".join(piece.part for piece in pieces(masked, asked_words(question)))
    parts = parts if placed else parts.replace(PLACE, NAME)
    pattern = {"name": _NAMED, "common": _COMMON, "number": _COUNTED}[kind]
    return bool(pattern.fullmatch(parts))
