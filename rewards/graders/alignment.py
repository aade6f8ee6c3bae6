"""Which of several things in a long answer stands nearest to what the question asks: for the lenient reading only.

A long answer names people, places and dates beside the one that was asked for. The question's own words show where it
answers: each of them counts for a thing by its nearness, in words, commas, brackets and full stops between. The choice
does not look at the gold, so that no text is paid for two of them.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache

from abstain.rewards.graders.text import fold
from abstain.rewards.graders.words import FUNCTION

LONG = 12  # words; a shorter answer is read by its grammar
_WORD = re.compile(r"\ue000|[^\W_]+(?:['’.-][^\W_]+)*")
_BORDER = re.compile(
    r"(?P<stop>(?<![.!?])[.!?]{1,9}[\"')\]*_]{0,5}\s{1,9}(?=[\"'(*_]{0,5}[A-Z\ue000])|\n)|(?P<far>[;:()—]| - )"
    r"|(?P<near>,)"
    r"|\b(?P<turn>and|while|whereas|but|who|which|where|when|whose|after|before|although)\b"
)
_COST = {"stop": 16.0, "far": 5.0, "near": 5.0, "turn": 5.0}
_APART = re.compile(
    r"\b(?:since|before|after|until|till|than|unlike|like|including|following|succeeding|preceding|besides|except|not"
    r"|rather than|instead of|such as|succeeded by|followed by|previously|formerly|later|also)(?: the| an?| in| on"
    r"| by| to| with)* ?$",
    re.IGNORECASE,
)
_ASKING = frozenset(
    ["year", "day", "month", "date", "name", "many", "much", "time", "called", "exact", "full", "first"]
)


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The beginning of a word, without the endings of its forms.

    Example:
        >>> stem("takes"), stem("taking"), stem("Take")
        ('tak', 'tak', 'tak')
    """
    whole = fold(word)
    for ending in ("ing", "ed", "es", "s", "d", "e"):
        if whole.endswith(ending) and len(whole) > len(ending) + 1:
            return whole.removesuffix(ending)[:6]
    return whole[:6]


@lru_cache(maxsize=4096)
def asked_stems(question: str) -> dict[str, float]:
    """The stems of a question's words and their weights: verbs and nouns say more than names."""
    found: dict[str, float] = {}
    for hit in _WORD.finditer(question):
        word = hit[0]
        if fold(word) not in FUNCTION and fold(word) not in _ASKING and len(word) > 1:
            found[stem(word)] = 2.0 if word[0].islower() else 0.5
    return found


_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")


def in_bold(answer: str) -> list[str]:
    """What an answer sets in bold.

    Example:
        >>> in_bold("It was founded in **1620**.")
        ['1620']
    """
    return _BOLD.findall(answer) if "**" in answer else []


def said_again(text: str, spans: Sequence[tuple[int, int]], i: int) -> list[int]:
    """The other spans that stand behind the same words as span `i`: "it was A. It was B." says two things at once.

    Example:
        >>> text = "Emma was written by Austen maybe Emma was written by Burney, born in Lynn"
        >>> said_again(text, [(20, 26), (53, 59), (69, 73)], 0)
        [1]
    """

    def left(start: int) -> list[str]:
        return _WORD.findall(text[max(0, start - 60) : start].lower())[-3:]

    wanted = left(spans[i][0])
    if len(wanted) < 3:
        return []
    return [k for k, (start, _) in enumerate(spans) if k != i and left(start) == wanted]


def is_long(text: str) -> bool:
    return len(_WORD.findall(text[:400])) > LONG


def nearness(
    text: str,
    spans: Sequence[tuple[int, int]],
    question: str,
    marked: Sequence[str] = (),
    *,
    counts: bool = False,
    bonus: Sequence[float] = (),
) -> list[float]:
    """How near each span stands to the question\'s words, weighed.

    Args:
        text: the answer.
        spans: (start, end) of the things in it, in order.
        question: the question.
        marked: what the answer sets in bold, which is often what it answers.
        bonus: what else speaks for each of them, in the weight of a neighbouring word.
        counts: the things are numbers or dates: a verb is told of what follows, a noun counted by what precedes it.

    Example:
        >>> text = "Oliver Heaviside, born in 1850, published his second paper in 1873, two years before 1875."
        >>> near = nearness(text, [(26, 30), (63, 67), (85, 89)], "What year did Heaviside publish his second paper?")
        >>> near.index(max(near))
        1
    """
    asked = asked_stems(question)
    words = [(hit.start(), hit.end(), stem(hit[0])) for hit in _WORD.finditer(text)]
    borders = [(hit.start(), _COST[str(hit.lastgroup)]) for hit in _BORDER.finditer(text)]
    height, heights, k = 0.0, [], 0
    for start, _, _ in words:
        while k < len(borders) and borders[k][0] <= start:
            height += borders[k][1]
            k += 1
        heights.append(height)
    ends = [end for _, end, _ in words]
    places = [(i, stem_) for i, (_, _, stem_) in enumerate(words) if stem_ in asked]
    lower = [text[start].islower() for start, _, _ in words]
    scores = []
    for k, (start, end) in enumerate(spans):
        first = min(bisect_right(ends, start), len(words) - 1)
        last = min(bisect_left(ends, end), len(words) - 1)
        best: dict[str, float] = {}
        for i, stem_ in places:
            if first <= i <= last:
                continue
            at = first if i < first else last
            distance = abs(at - i) + abs(heights[at] - heights[i])
            if counts and i > last and lower[i]:
                distance += 5 if i > last + 2 or heights[i] > heights[last] else -1
            best[stem_] = max(best.get(stem_, 0.0), asked[stem_] / (1 + max(distance, 0) / 3))
        score = sum(best.values())
        before = text[max(0, start - 40) : start]
        if before.rfind("(") > before.rfind(")"):
            score -= 0.6
        if _APART.search(before):
            score -= 0.8
        if any(text[start:end] in mark for mark in marked):
            score += 3.0
        scores.append(score + (bonus[k] if bonus else 0.0))
    return scores
