"""Whether the one thing that a long answer states is the gold, in more words or fewer, or spelt a little otherwise.

More generous than `names`: it is asked about one thing only, chosen without knowing the gold, so that what it
overlooks cannot be collected by naming many things.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from abstain.rewards.graders.alignment import asked_for, stem
from abstain.rewards.graders.lists import is_list
from abstain.rewards.graders.names import same
from abstain.rewards.graders.names import words as spelt
from abstain.rewards.graders.numerals import word_set
from abstain.rewards.graders.people import is_person
from abstain.rewards.graders.places import kind_of_place
from abstain.rewards.graders.text import tokenise
from abstain.rewards.graders.words import FUNCTION, ROLES, TITLES

_CITED = re.compile(r"\[\d{1,3}\]|[\"“”]")
_NICKNAME = re.compile(r"[\"“(]([A-Z][\w.]*)[\"”)] ?")
_ALSO = re.compile(r",? (?:a\.?k\.?a\.?|also known as|also called|or) |/", re.IGNORECASE)
_GENERIC = word_set(
    """fc afc sc cf club team district city town village county province region state valley island islands river
    lake mount mountain mountains airport street road avenue project plant station award prize medal party
    company museum university college school institute band group family language species genus church
    hospital theatre theater stadium park bridge building dam temple fort palace castle house hall centre
    center department office league cup film movie novel book song album series show episode magazine
    newspaper journal version place position"""
)
_WHOLE = {"bros": "brothers", "univ": "university", "intl": "international", "assn": "association"}
_FIRST_NAME = re.compile(r"\b(?:first|given|forename)s? ?names?\b", re.IGNORECASE)
_LAST_NAME = re.compile(r"\b(?:surname|last name|family name|maiden name)\b", re.IGNORECASE)

_LEFT_OFF = FUNCTION | TITLES | {"jr", "sr"} | (ROLES - {"city", "river", "state", "village", "town", "capital"})

Words = tuple[str, ...]


@lru_cache(maxsize=20_000)
def _content(text: str) -> Words:
    """The folded words of a name, without function words and titles."""
    found = [_WHOLE.get(word, word.removesuffix("'s")) for word in spelt(text)]
    return tuple(word for word in found if word not in _LEFT_OFF) or tuple(found)


@lru_cache(maxsize=20_000)
def _forms(gold: str) -> tuple[str, ...]:
    """A gold, its other names, it with and without a nickname, and its first part before a comma."""
    gold = _CITED.sub("", gold) if "[" in gold else gold
    out = [part for part in _ALSO.split(gold) if part.strip()]
    if nickname := _NICKNAME.search(gold):
        rest = gold[: nickname.start()] + gold[nickname.end() :]
        out += [rest, f"{nickname[1]} {rest.split()[-1]}", nickname[1]] if rest.split() else []
    parts = gold.split(", ")
    if 1 < len(parts) < 4 and parts[0][:1].isupper() and " and " not in gold:
        out.append(parts[0])
    return tuple(dict.fromkeys(out))


def akin(said: str, golds: tuple[str, ...], question: str) -> bool:
    """Whether what is said, one thing, is one of the golds to a reader who knows the question.

    Example:
        >>> asked = "Which hydroelectric project lies on the Suru river?"
        >>> akin("Chutak Hydroelectric Project", ("Chutak Hydroelectric Plant",), asked)
        True
        >>> [akin(said, ("A. W. Skempton",), "Who presided in 1957?") for said in ("Alec Skempton", "Karl Terzaghi")]
        [True, False]
        >>> akin("Umera Ahmed", ("Umera Ahmad",), "Who wrote it?"), akin("1922", ("1923",), "When?")
        (True, False)
    """
    asked, one = asked_for(question), _content(said)
    if not one:
        return False
    known = asked.sort == "who" or said.isupper() or bool(kind_of_place(one[0]))
    named = len(one) > 1 or known  # "Cottage" is no family name of a house
    if named and same(said, golds, question):
        return True
    for gold in golds:
        if is_list(gold) and not set(_content(gold)) <= set(one):
            continue  # half of a list is not like it
        for form in _forms(gold):
            other = _content(form)
            if form.isupper() and len(form) > 2 and form in said.split():
                return True  # "KLM Royal Dutch Airlines"
            if other and (
                _same_words(one, other, asked.stems, said.islower())
                or _same_name(one, other, form, question, asked.sort)
            ):
                return True
    return False


def _same_words(one: Words, other: Words, stems: Mapping[str, float], common: bool) -> bool:
    """Whether two names have the same words, but for those that the question says and those that name the kind."""
    if _alike(one, other):
        return True
    if len(other) == 1 and one[0] == other[0] and kind_of_place(" ".join(one[1:])):
        return True  # "Ford Australia"
    rest, rest_other = (tuple(w for w in words if stem(w) not in stems) for words in (one, other))
    if rest and rest_other and _alike(rest, rest_other):
        return True
    bare, bare_other = (tuple(w for w in words if w not in _GENERIC) for words in (one, other))
    kinds = {w for w in (*one, *other) if w in _GENERIC}
    both = len(bare) < len(one) and len(bare_other) < len(other)
    known = not both or any(stem(kind) in stems for kind in kinds)
    if bare and bare_other and known and _alike(bare, bare_other):
        return True
    if common and one[-len(other) :] == other:
        return True  # "derelict silk factory"
    if len(set(other)) > 2 and set(other) <= set(one):
        return True  # "Royal Academy of Arts Summer Exhibition", all of a gold name and a little more
    return len(other) > 1 and one[: len(other)] == other and not _GENERIC.isdisjoint(other)


def _alike(one: Words, other: Words) -> bool:
    """Whether two rows have the same words in any order, each spelt alike."""
    if "".join(one) == "".join(other):
        return True
    if len(one) == len(other) and all(map(_near, sorted(one), sorted(other))):
        return True
    return _near("".join(one), "".join(other)) and len(one) != len(other)


def _near(one: str, other: str) -> bool:
    """Whether two words are one in two spellings: one letter in five or more, two in nine or more; no digits."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(short) < 5 or any(c.isdigit() for c in one + other) or one[0] != other[0]:
        return False
    if len(one) == len(other) and sorted(one) == sorted(other):
        return sum(a != b for a, b in zip(one, other, strict=True)) == 2  # two letters changed places
    allowed = 2 if len(short) > 8 else 1
    return len(long) - len(short) <= allowed and _distance(short, long, allowed) <= allowed


def _distance(one: str, other: str, most: int) -> int:
    """How many letters must be changed, put in or left out to make one word of another; more than `most` is enough."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, row[0] = row[0], i
        for k, against in enumerate(other, 1):
            last, row[k] = row[k], min(row[k] + 1, row[k - 1] + 1, last + (letter != against))
        if min(row) > most:
            return most + 1
    return row[-1]


def _same_name(one: Words, other: Words, form: str, question: str, sort: str) -> bool:
    """Whether the words of two names of a person agree: one holds the other, or initials stand for given names."""
    if _FIRST_NAME.search(question):
        return one[0] == other[0] and 1 in (len(one), len(other))
    if _LAST_NAME.search(question):
        return other[-1] in one if len(other) == 1 else one == other[-1:]
    if sort != "who" and (len(one) == 1 or not is_person(tokenise(form))):
        return False
    short, long = sorted((one, other), key=len)
    if len(short) == 1:
        return short[0] == long[-1] or (short is other and short[0] == long[0])
    if set(short) <= set(long) and short[0] in long[:-1]:
        return True
    if len(one) == len(other) > 2 and one[1:] == other[1:] and _initial(one[0], other[0]):
        return True  # "E. Bright Wilson"
    return _near(one[-1], other[-1]) and _initial(one[0], other[0])


def _initial(one: str, other: str) -> bool:
    """Whether one given name is initials, the first of which is the other's: "aw" and "alec"."""
    short, long = sorted((one, other), key=len)
    return len(short) < 3 and short[0] == long[0]
