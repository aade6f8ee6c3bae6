"""Marks that make another thing of the same words: "A+" and "A-", "O(n)" and "O(1)", "Mars (god)" and "Mars (planet)".

Words are compared without signs and brackets, which a gold has for its readers' sake, mostly. An answer may leave them
off; one that has others means something else.
"""

import re
from functools import lru_cache

from abstain.rewards.graders.aliases import abbreviates
from abstain.rewards.graders.text import fold

_SIGNED = re.compile(r"(?P<base>[^\W_]{1,4})(?P<sign>[-+−#]{1,2})")
_SHORT = re.compile(r"[A-Z][A-Za-z]?")
_BRACKET = re.compile(r"(?P<base>[^()]*[^\s()])(?P<gap>\s*)\((?P<inside>[^()]{1,40})\)")
_WORDS = 3  # of a bracket that tells two things of one name apart


@lru_cache(maxsize=20_000)
def _shape(gold: str) -> tuple[str, re.Pattern[str], str, str] | None:
    """What a gold's mark is, where others would stand in an answer, the mark, and the words that it is of."""
    if signed := _SIGNED.fullmatch(gold):
        base = signed["base"]
        return "sign", re.compile(rf"(?<![\w+-]){re.escape(base)}([-+−#]*)(?!\w)"), signed["sign"], base
    if _SHORT.fullmatch(gold):
        return "sign", re.compile(rf"(?<![\w+-]){re.escape(gold)}([-+#]*)(?!\w)"), "", gold
    if bracket := _BRACKET.fullmatch(gold):
        base = bracket["base"]
        found = re.compile(rf"(?<!\w){re.escape(base)}{bracket['gap'] and ' ?'}\(([^()]{{1,40}})\)", re.IGNORECASE)
        return "bracket" if bracket["gap"] else "argument", found, bracket["inside"], base
    return None


def marked_otherwise(answer: str, gold: str) -> bool:
    """Whether an answer has the gold's words with another mark, which is another thing.

    Example:
        >>> [marked_otherwise("It is A-.", gold) for gold in ("A-", "A+", "A")]
        [False, True, True]
        >>> [marked_otherwise("Mercury (planet)", f"Mercury ({what})") for what in ("the planet", "element")]
        [False, True]
        >>> marked_otherwise("O(n)", "O(log n)"), marked_otherwise("adenosine (ADP)", "adenosine (nucleoside)")
        (True, True)
    """
    shape = _shape(gold.strip(" ."))
    if shape is None:
        return False
    what, pattern, mark, base = shape
    return any(_differs(what, said, mark, base) for said in pattern.findall(answer))


def _differs(what: str, said: str, mark: str, base: str) -> bool:
    if what == "sign":
        return said.replace("−", "-") != mark.replace("−", "-")
    if what == "argument":
        return fold(said).replace(" ", "") != fold(mark).replace(" ", "")
    one, other = (fold(text).split() for text in (said, mark))
    if max(len(one), len(other)) > _WORDS or any(char.isdigit() for char in said):
        return False  # "(born in 1930)" and whole descriptions say no such thing
    return set(one).isdisjoint(other) and not abbreviates(said, base)
