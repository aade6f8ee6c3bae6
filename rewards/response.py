"""What a completion says, read once. Grading, scoring, training and evaluation only look at these fields."""

from dataclasses import dataclass
from typing import Literal, get_args

from abstain.rewards.errors import nearest

Reading = Literal["strict", "lenient"]
AnswerFormat = Literal["auto", "plain", "tag", "boxed", "last_line", "json", "harmony"]
_READINGS, _FORMATS = get_args(Reading), get_args(AnswerFormat)  # `get_args` takes as long as reading a short answer


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


def check_reading(reading: str) -> None:
    """Raise `ValueError` unless `reading` is one of `Reading`.

    Example:
        >>> check_reading("strickt")
        Traceback (most recent call last):
        ...
        ValueError: no reading is called 'strickt'. Did you mean 'strict'? Allowed: lenient, strict.
    """
    if reading not in _READINGS:
        raise ValueError(f"no reading is called {reading!r}. {nearest(str(reading), _READINGS)}")


def check_answer_format(answer_format: str) -> None:
    """Raise `ValueError` unless `answer_format` is one of `AnswerFormat`."""
    if answer_format not in _FORMATS:
        raise ValueError(f"no answer format is called {answer_format!r}. {nearest(str(answer_format), _FORMATS)}")
