"""Long answers to a known question, for the lenient reading: which of the names in them is the answer, and is it gold?

Every name of the text but the question's own is a candidate; `alignment` weighs what speaks for each. The best one is
the answer, unless another stands beside it as its equal. So one thing is chosen, and that is compared with the gold.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from abstain.rewards.graders.alignment import Asked, asked_for, said_again, sort_of, stem, traits, weigh
from abstain.rewards.graders.candidates import OTHER, Candidate, Finder
from abstain.rewards.graders.frame import Kind
from abstain.rewards.graders.likeness import akin
from abstain.rewards.graders.pieces import GOLD, Piece, pieces
from abstain.rewards.graders.places import kind_of_place
from abstain.rewards.graders.statement import ALTERNATIVE, SECOND_OPINION, joined, words
from abstain.rewards.graders.text import fold
from abstain.rewards.graders.vocabulary import (
    AND,
    ANSWER,
    ASKED,
    BE,
    COMMA,
    DETERMINER,
    GENERIC,
    HEDGE,
    LINE,
    MORE,
    NAME,
    NUMBER,
    OR,
    PREPOSITION,
    PRONOUN,
    SAID,
    STOP,
    TITLE,
    VERB,
    WHO,
    WORD,
)

_OFFERING = r"(?:or|and/or|perhaps|maybe|possibly|alternatively)"
_LONGEST_MARK = 6  # words in bold that are an answer
_FEW_MARKS = 2  # in bold; more are headings
_OFFERED = re.compile(
    rf"\A\W*(?:\w+ )?{_OFFERING}\b|\b{_OFFERING}(?: \w+){{0,3}}\W*\Z|\A ?[/|?]|[/|] ?\Z", re.IGNORECASE
)
_STOP = re.compile(r"[.!?][\"')\]*]{0,3}\s+(?=[A-Z])|\n")
_CODE = re.compile(r"\d[-.]?[A-Za-z]|[A-Za-z]-?\d|\d[-.]\d")
_COMMAS = ([COMMA], [COMMA, DETERMINER])
_INSIDE = frozenset(["in", "at", "near", "from"])


def answers_at_length(
    masked: str,
    kind: Kind,
    question: str,
    golds: tuple[str, ...],
    *,
    placed: bool,
    single: bool,
    marked: Sequence[str],
    leaning: Sequence[str],
    found: Sequence[str],
) -> bool:
    """Whether the answer of a long text is the gold, all mentions of which are replaced by `GOLD`.

    Args:
        masked: the text, tidied.
        kind: what the gold is; candidates are of its kind.
        question: the question, whose own names are no candidates.
        golds: the gold answers, with which what was chosen is compared if it is no `GOLD`.
        placed: a country or state is no candidate beside it ("Bergen, Norway").
        single: the gold is one word, so that names before it may be given names ("Messi", "Lionel Messi").
        marked: what the text sets in bold.
        leaning: what it sets in italics.
        found: what stood where there is `GOLD` now, in order.

    Example:
        >>> def states(text):
        ...     asked = "Who wrote the novel Emma, published in 1815?"
        ...     return answers_at_length(text, "name", asked, ("Jane Austen",), placed=True, single=False, marked=(),
        ...                              leaning=(), found=())
        >>> states("Emma, published by John Murray in London in December 1815, was written by Miss Jane Austen.")
        True
        >>> states("Emma, unlike those by Jane Austen, was written in London by the young Fanny Burney in 1815.")
        False
    """
    masked = joined(masked)
    finder = Finder.of(kind, question, placed, single)
    row = _with_heads(pieces(masked, finder.asked), finder)
    named = finder.find(row, masked)
    if not named:
        return False
    asked = asked_for(question)
    spans = [(row[c.first].start, row[c.last].end) for c in named]
    said = [_unmasked(masked, _with_title(row, c), end, found) for c, (_, end) in zip(named, spans, strict=True)]
    marks = [_mask(mark, found) for mark in marked]
    rows = traits(masked, spans, question, marks, [_mask(mark, found) for mark in leaning])
    for mine, candidate, text in zip(rows, named, said, strict=True):
        mine.update(_traits(finder, candidate, row, asked, text))
    if _bold_is_another(finder, marked, marks, golds, question):
        return False
    near = weigh(rows, "names")
    if len(set(marked)) <= _FEW_MARKS and any(
        row_["bold"] for row_ in rows
    ):  # what alone is set in bold is the answer
        near = [score if row_["bold"] else -math.inf for score, row_ in zip(near, rows, strict=True)]
    i = near.index(max(near))
    if _has_rival(finder, masked, row, named, spans, i, question):
        return False
    if named[i].right:
        return True
    start, end = spans[i]
    around = zip(marked, marks, strict=True)
    whole = [mark for mark, hidden in around if masked[start:end] in hidden or hidden in masked[start:end]]
    return any(akin(text, golds, question) for text in (said[i], *whole, *_other_name(masked, end, found)))


def _bold_is_another(
    finder: Finder, marked: Sequence[str], marks: Sequence[str], golds: tuple[str, ...], question: str
) -> bool:
    """Whether all that is set in bold is one numbered thing, neither of the question nor the gold: "**Season 3**"."""
    numbered = len(set(marked)) == 1 and all(any(map(str.isdigit, text)) for text in (marked[0], *golds))
    if not numbered or GOLD in marks[0] or len(words(marked[0])) > _LONGEST_MARK:
        return False
    said = [fold(word) for word in words(marked[0])]
    return not finder.asked.issuperset(said) and not akin(marked[0], golds, question)


def _with_heads(row: list[Piece], finder: Finder) -> list[Piece]:
    """The pieces; a common noun of the question is part of a name beside it: "Drake University", asked for one."""
    for k, piece in enumerate(row):
        if piece.part == ASKED and piece.raw[0].isupper() and piece.norm not in finder.names:
            before, behind = row[k - 1] if k else None, row[k + 1 : k + 3]
            of = len(behind) == 2 and behind[0].norm == "of" and behind[1].part == NAME
            if of or any(p and p.part == NAME for p in (before, *behind[:1])):
                row[k] = replace(piece, part=NAME)
        elif (
            piece.part == VERB
            and piece.raw[0].isupper()
            and piece.norm not in finder.asked
            and k
            and row[k - 1].part not in STOP + LINE
        ):
            row[k] = replace(piece, part=NAME)  # "at Rose Cottage"
        elif piece.part == NAME and finder.kind == "number" and any(char.isdigit() for char in piece.raw):
            row[k] = replace(piece, part=NUMBER)  # "SH-207"
    return row


def _with_title(row: Sequence[Piece], named: Candidate) -> int:
    """Where a name begins with its title, as a gold may: "Count Lambert"."""
    first = named.first
    while first and row[first - 1].part == TITLE and row[first - 1].raw[0].isupper() and row[first].part != GENERIC:
        first -= 1
    return row[first].start


def _unmasked(masked: str, start: int, end: int, found: Sequence[str]) -> str:
    """A part of the text, with what stood where there is `GOLD`."""
    part, k = masked[start:end], masked.count(GOLD, 0, start)
    for text in found[k : k + part.count(GOLD)]:
        part = part.replace(GOLD, text, 1)
    return part


def _mask(mark: str, found: Sequence[str]) -> str:
    for text in found:
        mark = mark.replace(text, GOLD)
    return mark


def _other_name(masked: str, end: int, found: Sequence[str]) -> list[str]:
    """What stands in brackets directly behind a name: its other form."""
    hit = re.match(r"[\"'”*]{0,3} ?\(([^()]{2,60})\)", masked[end : end + 70])
    return [_unmasked(masked, end + hit.start(1), end + hit.end(1), found)] if hit else []


def _has_rival(
    finder: Finder,
    masked: str,
    row: Sequence[Piece],
    named: Sequence[Candidate],
    spans: Sequence[tuple[int, int]],
    i: int,
    question: str,
) -> bool:
    """Whether another name is offered beside the chosen one: behind the same words, joined to it, or in its list."""
    if said_again(masked, *spans[i], question):
        return True
    for k in (i - 1, i + 1):
        if not 0 <= k < len(named):
            continue
        one, other = sorted((i, k))
        if named[k].words != named[i].words:
            gap = masked[spans[one][1] : spans[other][0]]
            if _is_offered(gap):
                return True
        if named[one].right != named[other].right and _is_joint(row[named[one].last + 1 : named[other].first]):
            return True
    return any(c.right != named[i].right for c in _listed(finder, row, named, i))


def _is_offered(gap: str) -> bool:
    """Whether what stands between two names makes the second another offer; a new sentence must say so itself."""
    gap = re.sub(r"\([^()]{0,200}\)|\brunner-up\b", " ", gap)
    parts = _STOP.split(gap)
    if len(parts) > 1:
        return bool(ALTERNATIVE.match(parts[-1]) or SECOND_OPINION.search(parts[-1]))
    return bool(_OFFERED.search(gap) or SECOND_OPINION.search(gap))


def _is_joint(between: Sequence[Piece]) -> bool:
    """Whether nothing, or no more than "and" or "or", stands between two names."""
    joint = not between or any(p.part in OR + AND for p in between)
    return joint and all(p.part in OR + AND + COMMA + HEDGE + DETERMINER for p in between)


def _listed(finder: Finder, row: Sequence[Piece], named: Sequence[Candidate], i: int) -> list[Candidate]:
    """The names of a list of three or more ("A, B and C") that the chosen name stands in."""
    if finder.where:
        return []
    first, last, ends = i, i, False
    while first and [p.part for p in row[named[first - 1].last + 1 : named[first].first]] in _COMMAS:
        first -= 1
    while last + 1 < len(named):
        between = "".join(p.part for p in row[named[last].last + 1 : named[last + 1].first])
        if between.rstrip(DETERMINER) not in (COMMA, COMMA + AND, COMMA + OR, AND, OR):
            break
        ends = ends or AND in between or OR in between
        last += 1
    listed = [c for c in named[first : last + 1] if not c.place]
    return listed if ends and len(listed) > 2 else []


def _traits(finder: Finder, named: Candidate, row: Sequence[Piece], asked: Asked, text: str) -> dict[str, float]:
    """What the role of a name says for it or against it, and whether it looks like what is asked for."""
    said = words(text)
    looks = sort_of(text)
    hangs = named.joint == PREPOSITION
    inside = hangs and row[finder.governor(row, named.first)].norm in _INSIDE
    behind = row[named.last + 1 : named.last + 3]
    adjective = len(said) == 1 and len(behind) == 2 and behind[0].part == WORD and behind[0].raw.islower()
    adjective = adjective or (
        len(behind) == 2 and behind[0].part in TITLE + ASKED + WORD + GENERIC and behind[1].part in NAME + ANSWER
    )
    article = named.first > 0 and row[named.first - 1].part == DETERMINER
    place = kind_of_place(" ".join(fold(word) for word in said)) if looks == "where" else ""
    return {
        "said": float(named.joint in (BE, SAID) and named.role > OTHER),
        "agent": float(named.by),
        "subject": float(named.role > OTHER and finder.is_subject(row, named)),
        "another": float(named.joint == MORE),
        "other role": float(named.role == OTHER),
        "says the head": float(bool(asked.head) and any(stem(word) == asked.head for word in said)),
        "says the question": float(any(stem(word) in finder.content for word in said)),
        "capitals": float(all(word.isupper() and len(word) > 1 for word in said)),
        "adjective": float(adjective),
        "code": float(any(char.isdigit() for char in text) and finder.kind != "number"),
        "lower": float(text.islower()),
        "lower, verb": float(
            text.islower() and bool(behind) and behind[0].part in DETERMINER + PRONOUN and not article
        ),
        "lower, article": float(text.islower() and article),
        "hangs": float(hangs and not inside),
        "inside": float(inside),
        "inside, who": float(inside and asked.sort == "who"),
        "inside, where": float(inside and asked.sort == "where"),
        "hangs, where": float(hangs and not inside and asked.sort == "where"),
        "comma": float(named.joint == COMMA),
        "verb": float(named.joint == VERB),
        "verb asked": float(named.asked),
        "clause of its own": float(named.joint == WHO),
        "larger place": float(bool(place) and asked.sort == "where" and stem(place) != asked.head),
        "person, where": float(looks == "who" and asked.sort == "where"),
        "code asked": float(finder.kind == "number" and asked.code and bool(_CODE.search(text))),
        "place, where": float(looks == "where" and asked.sort == "where"),
        "place, else": float(looks == "where" and asked.sort != "where"),
        "person, who": float(looks == "who" and asked.sort == "who"),
        "person, else": float(looks == "who" and asked.sort != "who"),
        "organisation, who": float(looks == "organisation" and asked.sort == "who"),
        "organisation, where": float(looks == "organisation" and asked.sort == "where"),
        "one word, who": float(len(said) == 1 and asked.sort == "who"),
    }
