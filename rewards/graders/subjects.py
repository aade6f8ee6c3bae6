"""Whether a gold answer stands only in the question said again: "The capital of Maseru District is Roma" is no Maseru.

The question is not at hand, so the form decides: a name that hangs on "of" or the like in the subject of "is" is not
what the sentence answers. "The city of Paris is the capital" and "Paris is the capital" do answer.
"""

import re

from abstain.rewards.graders.segments import segments
from abstain.rewards.graders.statement import GOLD
from abstain.rewards.graders.text import UNSPACED, fold
from abstain.rewards.graders.words import HEADS, JOINERS, PREPOSITIONS, PRONOUNS, VERBS

_BE = frozenset({"is", "was", "are", "were", "becomes", "became", "remains", "lies"})
_WHEREVER = frozenset({"of", "for"})  # other prepositions only restate when "is" follows at once
_HEADS = HEADS - {"capital"}
_UNSPACED_TOPIC = re.compile(
    rf"{GOLD}[都道府県市区町村省国州郡]?(?:の[{UNSPACED}]{{1,20}}(?:は|が)|的[{UNSPACED}]{{1,12}}是)(?=.)"
)


def _hangs(before: list[str], after: list[str]) -> bool:
    """Whether a gold between these words hangs on another noun that is then said to be something."""
    places = [i for i, w in enumerate(before) if w in PREPOSITIONS and i]
    verb = next((i for i, w in enumerate(after) if w in _BE), None)
    if not places or verb is None or any(w in VERBS for w in before):
        return False
    if any(w in PRONOUNS | JOINERS for w in after[:verb]) or verb + 1 == len(after):
        return False
    last = places[-1]
    if before[last] == "of" and before[last - 1] in _HEADS and last - 1 <= 1:
        return False
    return any(before[i] in _WHEREVER for i in places) or verb <= 1


def restated(sentence: str) -> int:
    """How many of the golds in a masked sentence stand in the question said again.

    Example:
        >>> restated(f"The capital of {GOLD} District is Roma"), restated(f"The city of {GOLD} is the capital")
        (1, 0)
    """
    count = len(_UNSPACED_TOPIC.findall(sentence))
    for part in segments(sentence):
        folded = [w if w == GOLD else fold(w) for w in part.words]
        if GOLD in folded:
            i = folded.index(GOLD)
            count += _hangs(folded[:i], folded[i + 1 :])
    return count
