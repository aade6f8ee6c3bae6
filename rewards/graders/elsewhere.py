"""What is plainly another thing than every gold, seen at once: most wrong answers of a trained policy are such."""

import re
from functools import lru_cache

from abstain.rewards.graders.aliases import Words, initials, text_tokens
from abstain.rewards.graders.names import PLAIN, words
from abstain.rewards.graders.numerals import without_suffix
from abstain.rewards.graders.places import same_place
from abstain.rewards.graders.words import FUNCTION

_WORDS = re.compile(r"[A-Za-z]{2,}(?:[ '-][A-Za-z]+){0,7}")
_BEGINNING = 4  # letters: "enemy" and "enemies" begin alike


def are_elsewhere(answer: str, gold: tuple[str, ...]) -> bool:
    """Whether a sentence in plain words has none of the golds' own, nor one like them: no name is to be found in it.

    Example:
        >>> are_elsewhere("It is Lima.", ("Oslo",)), are_elsewhere("It is Lima.", ("Lima Callao",))
        (True, False)
        >>> are_elsewhere("the Dutch", ("Netherlands",)), are_elsewhere("It is Holland", ("Netherlands",))
        (True, False)
    """
    wanted = _wanted(gold)
    return bool(wanted and PLAIN.fullmatch(answer)) and wanted.isdisjoint(_beginnings(words(answer)))


@lru_cache(maxsize=4096)
def _wanted(gold: tuple[str, ...]) -> frozenset[str]:
    """How the words begin that any form of the golds has; nothing where a gold is more than plain words."""
    found: set[str] = set()
    for text in gold:
        key = words(text)
        if not _WORDS.fullmatch(text) or text.isupper() or FUNCTION.issuperset(key):  # "SNCF", "The Who"
            return frozenset()
        found.update(_beginnings(key))
        for name in same_place(" ".join(key)):
            found.update(_beginnings(tuple(name.split())))
        if len(key) > 2:
            found.add(initials(text_tokens(text))[:_BEGINNING])
    return frozenset(found)


def _beginnings(key: Words) -> list[str]:
    """The first letters of the words of a name, without "of" and the like."""
    bare = [word for word in key if word not in FUNCTION]
    return [without_suffix(word)[:_BEGINNING] for word in bare]
