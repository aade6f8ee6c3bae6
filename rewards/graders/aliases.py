"""The spellings of a gold answer that are looked for, and the words of a text in the same spelling."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from abstain.rewards.graders.dates import MONTHS, find_dates
from abstain.rewards.graders.places import STATE_CODES, kind_of_place, same_place
from abstain.rewards.graders.text import Token, tidy, tokenise, without_articles
from abstain.rewards.graders.words import ABBREVIATIONS, FUNCTION, GENERIC_END, NUMBER_WORDS, ORDINAL_WORDS

_AMBIGUOUS_ACRONYMS = FUNCTION | {"us"}


@dataclass(frozen=True)
class Alias:
    """One spelling of a gold answer, ready to be looked for.

    Args:
        words: its folded words, without articles.
        capitals: which capitals alone make a name of this short or common word: "all" ("US", "WHO", "in" for India),
            "first" ("The Who"), or "".
        place: the place that was left off ("oregon" of "Portland, Oregon"), else "".
        bare: a general last word was left off ("rock" of "rock music"), so that "folk rock" must not do.
    """

    words: tuple[str, ...]
    capitals: Literal["", "first", "all"] = ""
    place: str = ""
    bare: bool = False


def _rename(tokens: list[Token]) -> Iterator[Token]:
    """Number words become digits and "St." becomes "Saint"; "one of them" is no number."""
    for i, token in enumerate(tokens):
        following = tokens[i + 1].norm if i + 1 < len(tokens) else ""
        before = tokens[i - 1].norm if i else ""
        pronoun = token.norm == "one" and (following == "of" or before in ("no", "the", "any"))
        if token.norm in NUMBER_WORDS and not pronoun:
            yield replace(token, norm=NUMBER_WORDS[token.norm])
        else:
            yield replace(token, norm=ORDINAL_WORDS.get(token.norm) or ABBREVIATIONS.get(token.norm, token.norm))


def text_tokens(text: str) -> list[Token]:
    """The tokens of a tidied text, dates spelled year, month, day, so that "5 Sept. 2005" contains "September 2005".

    Example:
        >>> [t.norm for t in text_tokens("on 5 Sept. 2005")], [t.norm for t in text_tokens("September 2005")]
        (['on', '2005', 'september', 'day 5'], ['2005', 'september'])
    """
    tokens = list(_rename(tokenise(text)))
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
    bare = re.sub(r"\s*\([^()]*\)\s*$", "", gold)
    yield bare, ""
    parts = [p.strip() for p in bare.split(",")]
    if len(parts) == 2 and all(parts) and not any(c.isdigit() for c in bare):
        place = place_name(parts[1])
        yield (parts[0], place) if place else (f"{parts[1]} {parts[0]}", "")


def place_name(text: str) -> str:
    """The folded name of a known country or state, "VA" being one, else "".

    Example:
        >>> place_name("VA"), place_name("the U.S."), place_name("Rome")
        ('virginia', 'us', '')
    """
    name = " ".join(t.norm for t in without_articles(tokenise(tidy(text))))
    name = STATE_CODES.get(name, name) if text.strip(" .").isupper() else name
    name = name.replace(" ", "") if name and ord(name[0]) > 0x3000 else name
    return name if kind_of_place(name) else ""


@lru_cache(maxsize=20_000)
def aliases(gold: tuple[str, ...]) -> tuple[Alias, ...]:
    """The spellings to look for, longest first, of all gold answers that have a word in them.

    Example:
        >>> [" ".join(a.words) for a in aliases(("Portland, Oregon", "the rock music"))]
        ['portland oregon', 'rock music', 'portland', 'rock']
    """
    found: dict[tuple[str, ...], Alias] = {}
    for spelling, place in (pair for text in gold for pair in _spellings(tidy(text))):
        tokens = without_articles(text_tokens(spelling))
        forms = [tuple(t.norm for t in tokens)]
        name = " ".join(forms[0])
        forms += [tuple(other.split()) for other in sorted(same_place(name))]
        shorter = forms[0][:-1] if tokens and tokens[-1].norm in GENERIC_END else ()
        if len(tokens) > 2:
            forms.append((forms[0][0], *(t.norm for t in tokens[1:-1] if not is_initial(t)), forms[0][-1]))
        capitals = _capitals(tokens[0]) if len(tokens) == 1 else ""
        for form in filter(None, forms):
            found.setdefault(form, Alias(form, "all" if form == ("us",) else capitals, place))
        if shorter and not kind_of_place(" ".join(shorter)):
            found.setdefault(shorter, Alias(shorter, bare=True))
    return tuple(sorted(found.values(), key=lambda a: -len(a.words)))


def _capitals(token: Token) -> Literal["", "first", "all"]:
    one_case = token.raw.islower() or token.raw.isupper()
    code = len(token.norm) <= 2 and token.norm.isascii() and token.norm.isalpha() and one_case
    if token.norm in _AMBIGUOUS_ACRONYMS and not one_case:
        return "first"
    return "all" if code or token.norm in _AMBIGUOUS_ACRONYMS else ""


def is_initial(token: Token) -> bool:
    return len(token.raw) == 1 and token.raw.isupper() and not token.unspaced
