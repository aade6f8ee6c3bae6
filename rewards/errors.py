"""Help for people who mistyped a name."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The end of an error message: the nearest allowed name, and the whole list.

    Example:
        >>> nearest("macth", ["match", "exact"])
        "Did you mean 'match'? Allowed: exact, match."
        >>> nearest("zzz", ["match", "exact"])
        'Allowed: exact, match.'
    """
    names = sorted(allowed)
    close = get_close_matches(name, names, n=1)
    return (f"Did you mean '{close[0]}'? " if close else "") + f"Allowed: {', '.join(names)}."
