"""The graders `exact` and `f1`: normalised equality, and overlap of words.

Normalisation follows SQuAD (Rajpurkar et al. 2016), lower case, no punctuation, no articles, and goes on where it
stops: full-width letters, accents, curly quotes, "1,998" and "1998". Scripts without spaces are compared by character.
"""

from collections import Counter
from collections.abc import Sequence

from abstain.rewards.graders.text import tidy, tokenise, without_articles
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

F1_THRESHOLD = 0.6  # above it, at least half of a name's words are right and little else is said


def normalised(text: str) -> list[str]:
    """The words that are compared; a text without words ("*") is compared as it is.

    Example:
        >>> normalised("The  Ｃａｆé, 東京!")
        ['cafe', '東', '京']
    """
    tokens = tokenise(tidy(text))
    return [t.norm for t in without_articles(tokens)] if tokens else text.split()


def _readable(gold: Sequence[str]) -> list[list[str]]:
    return [words for words in map(normalised, gold) if words]


def grade_exact(
    answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient"
) -> Verdict:
    """Grade by equality after normalisation with the gold or any alias.

    Example:
        >>> [grade_exact(a, ["Eiffel tower"]).value for a in ("the Eiffel Tower.", "It is the Eiffel Tower")]
        ['CORRECT', 'INCORRECT']
    """
    golds = _readable(gold)
    if not golds:
        return Verdict.UNGRADED
    return Verdict.CORRECT if normalised(answer) in golds else Verdict.INCORRECT


def overlap(answer: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of two bags of words: 2·shared / (words of the answer + words of the gold).

    Example:
        >>> round(overlap("barack obama".split(), "obama".split()), 3)
        0.667
    """
    shared = sum((Counter(answer) & Counter(gold)).values())
    return 2 * shared / (len(answer) + len(gold)) if shared else 0.0


def grade_f1(
    answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient"
) -> Verdict:
    """Grade by the best word overlap with any gold: CORRECT from F1 = 0.6.

    For long free-text golds. It sees neither denial nor rivals ("not Paris" overlaps with "Paris"): use `match` for
    names.

    Example:
        >>> grade_f1("They pass through the digestive system", ["The seeds pass through your digestive system"]).value
        'CORRECT'
    """
    golds = _readable(gold)
    if not golds:
        return Verdict.UNGRADED
    given = normalised(answer)
    return Verdict.CORRECT if max(overlap(given, g) for g in golds) >= F1_THRESHOLD else Verdict.INCORRECT
