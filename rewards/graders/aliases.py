"""The spellings of a gold answer that are looked for, and the words of a text in the same spelling."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from abstain.rewards.graders.calendars import MONTHS, find_dates
from abstain.rewards.graders.people import is_person, middle_names, without_title
from abstain.rewards.graders.places import STATE_CODES, country_of_code, kind_of_place, same_place
from abstain.rewards.graders.spelling import repaired, respell, spelt_out
from abstain.rewards.graders.text import Token, tidy, tokenise, without_articles
from abstain.rewards.graders.words import FUNCTION, GENERIC_END

Words = tuple[str, ...]
_AMBIGUOUS_ACRONYMS = FUNCTION | {"us"}
_CODE = re.compile(r"([a-z]{1,5})(\d{1,6})")  # "SH155", also written SH-155


@dataclass(frozen=True, slots=True)
class Alias:
    """One spelling of a gold answer, ready to be looked for.

    Args:
        words: its folded words, without articles.
        capitals: which capitals alone make a name of this short or common word: "all" ("US", "WHO", "in" for India),
            "first" ("The Who"), or "".
        place: the place that was left off ("oregon" of "Portland, Oregon"), else "".
        bare: a general last word was left off ("rock" of "rock music"), so that "folk rock" must not do.
        initials: it is made of the first letters of the gold's words, which a question may hold already.
        middle: `None` where no middle names may come in between; else those that were left off, with which others must
            agree.
    """

    words: tuple[str, ...]
    capitals: Literal["", "first", "all"] = ""
    place: str = ""
    bare: bool = False
    initials: bool = False
    middle: tuple[str, ...] | None = None


_LEADS = frozenset(["in", "on", "at", "to", "from", "by", "of", "for", "with", "during", "through", "into"])
ABOUT = frozenset(
    ["about", "around", "approximately", "approx", "roughly", "circa", "ca", "typically", "usually", "generally"]
)
_AFTER_NAME = GENERIC_END | frozenset(
    ["project", "movement", "program", "club", "series", "franchise", "brand", "website", "newspaper", "magazine"]
)
_LINKS = frozenset(["of", "the", "and", "for", "in", "on", "de", "du", "des", "la"])  # "NASA", "FIFA"
_ARTICLE = re.compile(r"\A(?:an?|the) ")
_DIGIT = re.compile(r"\d|元")
_MONTH_LIKE = re.compile(r"\d ?[-/.年月] ?\d|年|月|" + "|".join(rf"\b{name[:3]}" for name in MONTHS), re.IGNORECASE)


def text_tokens(text: str) -> list[Token]:
    """The tokens of a tidied text, dates spelled year, month, day, so that "5 Sept. 2005" contains "September 2005".

    Example:
        >>> [t.norm for t in text_tokens("on 5 Sept. 2005")], [t.norm for t in text_tokens("September 2005")]
        (['on', '2005', 'september', 'day 5'], ['2005', 'september'])
    """
    tokens = respell(tokenise(text))
    if not (_DIGIT.search(text) and _MONTH_LIKE.search(text)):
        return tokens
    dates = [m for m in find_dates(text) if len(m.readings) == 1 and next(iter(m.readings)).month]
    out, i = [], 0
    for mention in dates:
        while i < len(tokens) and tokens[i].start < mention.start:
            out.append(tokens[i])
            i += 1
        first = i
        while i < len(tokens) and tokens[i].start < mention.end:
            i += 1
        day = next(iter(mention.readings))
        parts = [str(day.year or ""), MONTHS[(day.month or 1) - 1], f"day {day.day}" if day.day else ""]
        for k, norm in enumerate(p for p in parts if p):
            gap = tokens[first].gap if k == 0 else " "
            raw = text[mention.start : mention.end]
            out.append(Token(norm, raw, gap, mention.start, mention.end))
    return out + tokens[i:]


def _spellings(gold: str) -> Iterator[tuple[str, str]]:
    """(spelling, place left off) of a gold: as it is, without a trailing bracket, "Booker, Devin" turned round."""
    yield gold, ""
    stripped = gold.rstrip()
    opened = stripped.rfind("(") if stripped.endswith(")") else -1
    bare = stripped[:opened].rstrip() if opened > 0 else gold
    if bare is not gold:
        yield bare, ""
        short = stripped[opened + 1 : -1]
        if abbreviates(short, bare):
            yield short, ""
    if "," in bare and not any(c.isdigit() for c in bare):
        first, *rest = [part.strip() for part in bare.split(",")]
        places = [place_name(part) for part in rest]
        if first and all(places) and len(places) < 4:
            yield first, places[0]
            if len(places) > 1:
                yield f"{first} {rest[-1]}", places[0]
        elif first and len(rest) == 1 and rest[0]:
            yield f"{rest[0]} {first}", ""
    spelt = spelt_out(gold)
    if spelt:
        yield spelt, ""


def abbreviates(short: str, long: str) -> bool:
    """Whether a word is made of the first letters of others.

    Example:
        >>> abbreviates("ADP", "adenosine diphosphate"), abbreviates("WHO", "World Health Organization")
        (True, True)
        >>> abbreviates("UK", "United Nations")
        False
    """
    if not 2 <= len(short) <= 6 or not short.isalpha() or not sum(c.isupper() for c in short) > 1:
        return False
    letters, rest = short.casefold(), _ARTICLE.sub("", long.casefold())
    initials = "".join(word[0] for word in re.findall(r"[^\W_]+", rest))
    if letters == initials or letters == "".join(w[0] for w in re.findall(r"\b[A-Z]", long)).casefold():
        return True
    place = 0
    for letter in letters:  # "adenosine diphosphate": in order, the first letter first
        place = rest.find(letter, place) + 1
        if not place:
            return False
    return rest[0] == letters[0] and len(initials) > 1 and initials[-1] in letters


def place_name(text: str) -> str:
    """The folded name of a known country or state, "VA" being one, else "".

    Example:
        >>> place_name("VA"), place_name("the U.S."), place_name("Rome")
        ('virginia', 'us', '')
    """
    name = " ".join(t.norm for t in without_articles(tokenise(tidy(text))))
    if len(name) == 2 and text.strip(" .").isupper():
        name = STATE_CODES.get(name) or ("" if kind_of_place(name) else country_of_code(name.upper())) or name
    name = name.replace(" ", "") if name and ord(name[0]) > 0x3000 else name
    return name if kind_of_place(name) else ""


@lru_cache(maxsize=20_000)
def aliases(gold: tuple[str, ...]) -> tuple[Alias, ...]:
    """The spellings to look for, longest first, of all gold answers that have a word in them.

    Example:
        >>> [" ".join(a.words) for a in aliases(("Portland, Oregon", "the rock music"))]
        ['portland oregon', 'rock music', 'portland', 'rock']
        >>> [" ".join(a.words) for a in aliases(("President John F. Kennedy",))]
        ['president john f kennedy', 'john f kennedy', 'john kennedy', 'jf kennedy']
    """
    found: dict[tuple[str, ...], Alias] = {}
    for text in gold:
        for spelling, place in _spellings(tidy(repaired(text))):
            tokens = without_articles(text_tokens(spelling))
            if tokens and all(t.norm for t in tokens):  # no letters are left of a lone tatweel
                for alias in _forms(tokens, place):
                    found.setdefault(alias.words, alias)
    return tuple(sorted(found.values(), key=lambda a: -len(a.words)))


def _forms(tokens: list[Token], place: str) -> Iterator[Alias]:
    """A spelling, and what is left of it without its title, middle names or a general last word."""
    words = tuple([t.norm for t in tokens])
    if len(words) == 1:
        if code := _CODE.fullmatch(words[0]):
            yield Alias((code[1], code[2]), "", place)
        yield Alias(words, "all" if words == ("us",) else _capitals(tokens[0]), place)
        yield from _elsewhere(words[0], place)
        return
    name = without_title(tokens)
    person = is_person(name)
    yield Alias(words, "", place, middle=() if person and len(words) == 2 == len(name) else None)
    yield from _elsewhere(" ".join(words), place)
    if len(name) < len(words):
        yield Alias(words[-len(name) :], "", place, middle=() if person and len(name) == 2 else None)
    if len(name) > 2 and person:
        given = middle_names(name[:-1])
        yield Alias((name[0].norm, words[-1]), "", place, middle=given[len(middle_names(name[:1])) :])
        yield Alias(("".join(part[:1] for part in given), words[-1]), "", place)
        if all(len(part) > 1 for part in given):  # "Maryann Lee"
            yield Alias(("".join(given), words[-1]), "", place)
    elif len(name) > 2:
        yield Alias((name[0].norm, *(t.norm for t in name[1:-1] if not is_initial(t)), words[-1]), "", place)
    if tokens[0].raw.islower() or tokens[-1].raw.islower() or words[-1] in GENERIC_END:
        for form, bare in shorter(tokens):
            yield Alias(form, bare=bare)
    if letters := initials(tokens):
        yield Alias((letters,), "all", initials=True)


def norms(tokens: Sequence[Token]) -> Words:
    return tuple([t.norm for t in tokens])


def shorter(tokens: list[Token]) -> Iterator[tuple[Words, bool]]:
    """What an answer may leave off of a gold, and whether that was its general last word: "in", "about", "project", a
    plural, the place where it is.

    Example:
        >>> [" ".join(words) for words, _ in shorter(tokenise("in the Apollo project"))]
        ['apollo project', 'apollo']
    """
    rest = tokens
    while len(rest) > 1 and len(tokens) - len(rest) < 3 and _is_lead(rest):
        rest = without_articles(rest[1:])
        yield norms(rest), False
    if not rest:
        return
    key, last = norms(rest), rest[-1]
    if len(key) > 1 and last.norm in _AFTER_NAME and not kind_of_place(" ".join(key[:-1])):
        yield key[:-1], True
    elif last.raw.islower() and last.norm.isalpha() and last.norm.isascii() and len(last.norm) > 3:
        yield from (((*key[:-1], other), False) for other in other_number(last.norm))
    there = key.index("in") if "in" in key[1:-1] else 0
    if there and all(t.capital for t in (rest[0], rest[there - 1], *rest[there + 1 :])):  # "Kew Gardens in London"
        yield key[:there], False


def initials(tokens: Sequence[Token]) -> str:
    """The first letters of three to six words in capitals, "of" and the like left out; "" for any other name.

    Example:
        >>> [initials(tokenise(name)) for name in ("Department of Motor Vehicles", "Motor Vehicles", "rock and roll")]
        ['dmv', '', '']
    """
    if len(tokens) < 3 or any(t.gap.strip() for t in tokens[1:]):
        return ""
    named = [t for t in tokens if t.norm not in _LINKS]
    plain = all(t.capital and t.norm.isalpha() and t.norm.isascii() and len(t.raw) > 1 for t in named)
    return "".join(t.norm[0] for t in named) if plain and 3 <= len(named) <= 6 else ""


def _is_lead(tokens: list[Token]) -> bool:
    first = tokens[0]
    if first.norm in ABOUT:
        return True
    return first.norm in _LEADS and first.raw.islower()


def other_number(noun: str) -> Iterator[str]:
    """The plural of a singular, or the other way round.

    Example:
        >>> [list(other_number(noun)) for noun in ("rocks", "enemy", "box", "glass", "atlas")]
        [['rock'], ['enemies'], ['boxes'], ['glasses'], ['atla', 'atlases']]
    """
    if noun.endswith("ies"):
        yield noun[:-3] + "y"
    elif noun.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        yield from (noun[:-2], noun[:-1])
    elif noun.endswith("s") and not noun.endswith(("ss", "us", "is")):
        yield noun[:-1]
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        yield noun[:-1] + "ies"
    elif noun.endswith(("x", "z", "ch", "sh", "ss", "as", "us")):
        yield noun + "es"
    elif not noun.endswith("s"):
        yield noun + "s"
        if noun.endswith("o"):
            yield noun + "es"


def without_realm(name: list[Token]) -> Iterator[Words]:
    """A ruler's name without the country: "Otto I of Greece"."""
    key = norms(name)
    realm = key.index("of") if "of" in key[1:] else 0
    if realm and key[realm - 1].isdigit() and kind_of_place(" ".join(key[realm + 1 :])):
        yield key[:realm]


def _elsewhere(name: str, place: str) -> Iterator[Alias]:
    """The other names of a country or city."""
    for other in same_place(name) - {name}:
        yield Alias(tuple(other.split()), "all" if other == "us" else "", place)


def _capitals(token: Token) -> Literal["", "first", "all"]:
    one_case = token.raw.islower() or token.raw.isupper()
    code = len(token.norm) <= 2 and token.norm.isascii() and token.norm.isalpha() and one_case
    if token.norm in _AMBIGUOUS_ACRONYMS and not one_case:
        return "first"
    return "all" if code or token.norm in _AMBIGUOUS_ACRONYMS else ""


def is_initial(token: Token) -> bool:
    return len(token.raw) == 1 and token.raw.isupper() and not token.unspaced
