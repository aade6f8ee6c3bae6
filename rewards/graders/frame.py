"""What may surround an answer: the positive grammar of the strict reading.

A verdict that a policy is trained on fails the safe way: what this grammar does not know is no frame, so that two
candidates with anything at all between them are never paid, whatever stands there.
"""

from abstain.rewards.graders.statement import GOLD, words
from abstain.rewards.graders.text import fold
from abstain.rewards.graders.words import ASIDES, FUNCTION, HEDGES, NEGATIONS

_KNOWN = (FUNCTION | ASIDES | HEDGES) - NEGATIONS - frozenset(["or", "nor", "and"])


def is_frame(masked: str, question: str = "") -> bool:
    """Whether a reply, its answer masked by `GOLD`, is that one answer in a frame and nothing else.

    Args:
        masked: the stated answer, each mention of the one answer replaced by `GOLD`.
        question: the question, whose words a frame may repeat.

    Example:
        >>> is_frame(f"It is {GOLD}."), is_frame(f"{GOLD} maybe Rome")
        (True, False)
    """
    asked = {fold(word) for word in words(question)}
    return all(word == GOLD or fold(word) in _KNOWN or fold(word) in asked for word in words(masked))
