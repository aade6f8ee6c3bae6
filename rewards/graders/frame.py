"""The strict reading: a positive grammar of what may surround one answer.

A verdict that a policy is trained on fails the safe way: what this grammar does not know is no frame, so that two
candidates are not paid, whatever stands between them. A frame is a lead-in ("The capital of Peru is", 答えは), the
answer, and a tail that describes it (", Peru", "is the capital", "(founded in 1535)"). A name that no list knows and
the question does not hold stands in a frame only where it can't be the answer: after a preposition in a description.
"""

import re
from typing import Literal

from abstain.rewards.graders.pieces import GOLD, NAME, PLACE, asked_words, pieces
from abstain.rewards.graders.unspaced import is_scripted, script_answers

Kind = Literal["name", "common", "number"]

_FILL = r"(?:[hav]*[ha][,.:n-]?)*+"
_NP = r"(?:d[wqhvgP9]*|q[wqhN]*+)"
_PP = r"(?:p[dh]*[wqNP9]+)*"
_LEAD = (
    rf"{_FILL}(?:"
    r"[ikcha]*+"  # I think it is
    rf"|{_NP}{_PP}[ha]*+c+[ha]*+"  # the capital of Peru is
    rf"|(?:{_NP}|[wg]{{1,2}}|P|N(?=p)){_PP}[:-]n?"  # Capital of Peru:
    rf"|(?:[ik]|{_NP}{_PP}|q[qwN]*+)[ha]*+(?:c[ha]*+v?|[vwq]{{1,2}})[ha]*+"  # he was born (in), it lies (in)
    r"|N{1,4}h?c?v+"  # Middlemarch was written (by)
    r"|p[dh]*[PqN]+,"  # in Peru,
    r")p?(?:d?h*gp)?d?h*(?<!,p)"
)
_DESCRIPTION = r"(?:[dwqhvgikacP]|p[dh]*[wNPq9]+)*+"
_BRACKET = r"\((?:[dwqhvgpiacP9,.:-]|(?<=p)N+|(?<=pd)N+|G)*+\)"
_PLACE = r"(?:[,-]?p?d?P+|\(P+\))"
_TAIL = (
    r"(?:"
    rf"{_PLACE}"
    rf"|[hav]*c[ha]*(?:v?[dpqP]{_DESCRIPTION}|[ha]*)"
    rf"|[,:n-]?d[wqhP]+{_DESCRIPTION}"
    rf"|[,:-][hv]+p{_DESCRIPTION}"
    rf"|{_BRACKET}"
    r"|[,-]?p?d?9+"
    r"|,?[hiakc]+"
    rf"|,?o[ikhc]*[cvh]{_DESCRIPTION}"
    r"|[,.:n(-]*G\)?"
    r"|g"
    r")*+"
)
_AFTER = rf"(?:[.n]+(?:[ikdp]|G(?=[cvhn.]|$)){_DESCRIPTION})*+"
_NAMED = re.compile(rf"[x.:n(-]?{_LEAD}\(?G\)?{_TAIL}{_AFTER}[.nx)]*+")
_COMMON_TAIL = (
    rf"(?:[hav]*c[ha]*(?:v?[dpqP]{_DESCRIPTION}|[ha]*)|,?[hiakc]+|,?p?d?9+|,?p[dh]*[qP]+|,?o[ikhc]*[cvh]{_DESCRIPTION}"
    r"|[,.:n(-]*G\)?)*+"
)
_COMMON = re.compile(rf"[x.:n(-]?{_LEAD}\(?G\)?{_COMMON_TAIL}{_AFTER}[.nx)]*+")
_COUNTED = re.compile(r"[^9Ue!rmx]*G[^9Ue!rmx]*(?:G[^9Ue!rmx]*)*")


def is_frame(masked: str, question: str = "", kind: Kind = "name", placed: bool = True) -> bool:
    """Whether a reply, its answer masked by `GOLD`, is that one answer in a frame and nothing else.

    Args:
        masked: the stated answer, tidied, each mention of the one answer replaced by `GOLD`.
        question: the question, whose words a frame may repeat.
        kind: what the answer is: beside a number other numbers are candidates, beside a common noun all nouns.
        placed: a country or state behind the answer says where it lies; beside another of its kind it does not.

    Example:
        >>> [is_frame(text.format(GOLD)) for text in ("The capital of Peru is {}.", "{} maybe Rome", "{}, the capital")]
        [True, False, True]
    """
    if len(masked) > 400:
        return False
    if is_scripted(masked, kind):
        return script_answers(masked, strict=True)
    parts = "".join(piece.part for piece in pieces(masked, asked_words(question)))
    parts = parts if placed else parts.replace(PLACE, NAME)
    pattern = {"name": _NAMED, "common": _COMMON, "number": _COUNTED}[kind]
    return bool(pattern.fullmatch(parts))
