"""The graders `exact` and `f1`: normalised equality, and overlap of words.

Normalisation follows SQuAD (Rajpurkar et al. 2016), lower case, no punctuation, no articles, and goes on where it
stops: full-width letters, accents, curly quotes, "1,998" and "1998". Scripts without spaces are compared by character.

`f1` pays for overlap only where no second candidate can hide in what is left over: two answers glued together share
two thirds of their words with each of them. A denial or an "or" that the gold lacks is another answer; a short gold, a
name, bears nothing beside it that could be a name too; a sentence bears a few other words, when read leniently.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from abstain.rewards.graders.text import ARTICLES, tidy, tokenise, without_articles
from abstain.rewards.graders.words import ASIDES, FUNCTION, GENERIC_AFTER, HEDGES, NEGATIONS, NUMBER_WORDS, ROLES
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

F1_THRESHOLD = 0.6  # above it, at least half of a name's words are right and little else is said
SHORT = 3  # words of a gold that is a name rather than a sentence
LOOSE = 0.2  # share of an answer's words that the gold of a sentence need not have, in the lenient reading
_TITLES = (
    ROLES
    | GENERIC_AFTER
    | frozenset(["mr", "mrs", "ms", "dr", "prof", "st"])
    | frozenset("都道府県市区町村州省国县縣")
)
_PASSED_OVER = (FUNCTION | ASIDES | HEDGES | frozenset(["answer", "final", "correct"])) - frozenset(NUMBER_WORDS)
_UNSPACED_FRAME = frozenset("のはがをにでとですますだる是的在了为為和与及有之")
_EITHER = frozenset(["or", "nor", "either", "versus", "vs", "oder", "ou"])
_DENIALS = (NEGATIONS | frozenset(["no", "false", "wrong", "incorrect", "anything", "except", "but"])) - _EITHER

_PLAIN = re.compile(r"[A-Za-z]{2,}(?: (?:[A-Za-z]{2,}|a))*[.!]?")


def normalised(text: str) -> list[str]:
    """The words that are compared; a text without words ("*") is compared as it is.

    Example:
        >>> normalised("The  Ｃａｆé, 東京!")
        ['cafe', '東', '京']
    """
    if _PLAIN.fullmatch(text):  # most answers; the same as below, at a tenth of the cost
        words = text.rstrip(".!").lower().split(" ")
        return [w for w in words[:-1] if w not in ARTICLES] + words[-1:]
    tokens = tokenise(tidy(text))
    return [t.norm for t in without_articles(tokens)] if tokens else text.split()


@lru_cache(maxsize=50_000)
def _readable(gold: tuple[str, ...]) -> tuple[list[str], ...]:
    return tuple(words for words in map(normalised, gold) if words)


def grade_exact(answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
    """Grade by equality after normalisation with the gold or any alias. Both readings are the same.

    Example:
        >>> [grade_exact(a, ["Eiffel tower"]).value for a in ("the Eiffel Tower.", "It is the Eiffel Tower")]
        ['CORRECT', 'INCORRECT']
    """
    golds = _readable(tuple(gold))
    if not golds:
        return Verdict.UNGRADED
    return Verdict.CORRECT if answer in gold or normalised(answer) in golds else Verdict.INCORRECT


def overlap(answer: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of two bags of words: 2·shared / (words of the answer + words of the gold).

    Example:
        >>> round(overlap("barack obama".split(), "obama".split()), 3)
        0.667
    """
    shared = sum((Counter(answer) & Counter(gold)).values())
    return 2 * shared / (len(answer) + len(gold)) if shared else 0.0


def _sides(words: Sequence[str]) -> tuple[int, bool]:
    """How often a text denies, and whether it offers a choice."""
    return sum(word in _DENIALS for word in words), any(word in _EITHER for word in words)


def _meets(given: list[str], gold: list[str], asked: frozenset[str], reading: Reading) -> bool:
    """Whether the answer is this gold in other words, with nothing left over that could be another answer."""
    if given == gold:
        return True
    if overlap(given, gold) < F1_THRESHOLD or _sides(given) != _sides(gold):
        return False
    said, wanted = Counter(given), Counter(gold)
    if all(word in _PASSED_OVER for word in gold):
        return False  # "It" and "Her" are titles too
    own = [word for word in gold if word not in asked and word not in FUNCTION]
    if own and asked and 2 * sum(word in said for word in own) < len(own):
        return False  # what it shares with the gold is the question
    unspaced = not gold[0].isascii()
    spare = _PASSED_OVER | asked | (_UNSPACED_FRAME if unspaced else frozenset())
    left = [word for word in (said - wanted).elements() if word not in spare]
    if len(gold) <= SHORT or unspaced:
        return all(word in _TITLES for word in left)
    numbers = any(word in NUMBER_WORDS or any(c.isdigit() for c in word) for word in left)
    return not left or (reading == "lenient" and not numbers and len(left) <= LOOSE * len(given))


def grade_f1(answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
    """Grade by the best word overlap with any gold: CORRECT from F1 = 0.6, if nothing else is offered beside it.

    For long free-text golds; use `match` for names.

    Args:
        question: its words are no second answer, and do not make an answer right by themselves.
        reading: a sentence may have a few words that the gold lacks when read leniently, and none when read strictly.

    Example:
        >>> gold = ["The seeds pass through your digestive system"]
        >>> [grade_f1(a, gold).value for a in ("They pass through the digestive system", "They grow inside you")]
        ['CORRECT', 'INCORRECT']
        >>> [grade_f1(a, ["Paris"]).value for a in ("It's Paris", "Paris London", "not Paris")]
        ['CORRECT', 'INCORRECT', 'INCORRECT']
    """
    golds = _readable(tuple(gold))
    if not golds:
        return Verdict.UNGRADED
    if answer in gold:
        return Verdict.CORRECT
    given = normalised(answer)
    asked = frozenset(normalised(question)) if question else frozenset()
    right = any(_meets(given, wanted, asked, reading) for wanted in golds)
    return Verdict.CORRECT if right else Verdict.INCORRECT
