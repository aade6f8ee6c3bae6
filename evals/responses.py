"""Completions read once: models say the same short things again and again, and a Response cannot change."""

from functools import lru_cache

from abstain.rewards.parsing import parse
from abstain.rewards.response import Response

_SHORT = 2_000  # characters; longer ones are seldom the same, and would fill the memory


def read_response(text: str, truncated: bool = False) -> Response:
    """`abstain.rewards.parsing.parse`, which remembers short texts.

    Example:
        >>> read_response("Lima.") is read_response("Lima."), read_response("I don't know").abstained
        (True, True)
    """
    return _remembered(text, truncated) if len(text) <= _SHORT else parse(text, truncated=truncated)


@lru_cache(maxsize=100_000)
def _remembered(text: str, truncated: bool) -> Response:
    return parse(text, truncated=truncated)
