"""What a completion says, read once. Grading, scoring, training and evaluation only look at these fields."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Response:
    """A parsed completion.

    Args:
        answer: the stated answer, without reasoning, tags and stated confidence; "" if none is offered.
        abstained: no answer is offered and not knowing is said. Never true for an empty or a truncated completion.
        confidence: stated confidence in [0, 1], or `None` if none is stated or it cannot be read.
        truncated: cut off before its end.
        hedged: an answer is offered together with doubt ("I don't know, but perhaps Paris").
        malformed: why no answer could be read ("empty", "unclosed <think>", ...), else "".
    """

    answer: str
    abstained: bool = False
    confidence: float | None = None
    truncated: bool = False
    hedged: bool = False
    malformed: str = ""
