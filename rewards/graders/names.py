"""Whether a whole answer is the same thing as a gold one, whatever its spelling: the rules of the game, in order.

1. the same words in one spelling: case, accents, articles, number words, Roman numerals, "St.", "colour" (`spelling`);
2. the same letters: "Abid Ali" and "Abidali", "head-up" and "heads up";
3. the same town, with or without the country it lies in, if no two of the places gainsay each other (`places`);
4. the same person, with or without title, middle names and initials, or by the family name alone, where the gold can
   be nothing but a person's name (`people`);
5. the same list, in any order (`lists`);
6. less than the gold says, where a careful reader asks for no more: no preposition, no "about", no last word that the
   question has said ("Which lake ...?", gold "Como lake").

No world knowledge is used but names of countries. What the answer has too much is never overlooked: "Lima bean",
"Paris Hilton", "New York Times" and "University of Minnesota" are other things.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property, lru_cache

from abstain.rewards.graders.aliases import (
    ABOUT,
    Words,
    abbreviates,
    norms,
    other_number,
    place_name,
    shorter,
    text_tokens,
    without_realm,
)
from abstain.rewards.graders.calendars import MONTHS
from abstain.rewards.graders.lists import is_list, items, same_list
from abstain.rewards.graders.numerals import ORDINAL_DIGITS
from abstain.rewards.graders.people import family_names, is_person, same_person, without_title
from abstain.rewards.graders.places import agree, kind_of_place, same_place
from abstain.rewards.graders.spelling import SPECIAL, repaired, spelt_out
from abstain.rewards.graders.text import ARTICLES, Token, is_unspaced, tidy, without_articles
from abstain.rewards.graders.words import COMPASS, FUNCTION, MODIFIERS, PRONOUNS, VERBS

_LONGEST = 400  # characters of an answer that can be a gold and nothing else
PLAIN = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)?(?: [A-Za-z]+(?:'[A-Za-z]+)?){0,9}[.!]?")
_SPACED = re.compile(r" +(?=[,.;:!?](?:\s|$))")
_CUT = re.compile(r" ?[,(|\\/\n] ?| - |(?<=[^\W\d])-(?=[A-Z])| in (?=[A-Z])")
_LEAD = re.compile(
    r"(?:(?:it|they|these|those|the answers?)(?: is| are| was| were|'s|'re)"
    r"|(?:(?:final|correct|right|my|short|full|its|the) )?(?:answers?|name|title|person|winner|author|writer|novelist"
    r"|poet|director|composer|painter|artist|actor|actress|singer|player|scientist|inventor|founder|creator|result"
    r"|solution|prediction|label|value|location|place|city|country|capital|conclusion|guess|spoiler|tl;?dr|easy|simple"
    r"|long story short|in short|antwort|réponse|reponse|respuesta|risposta|resposta|antwoord|svar|ответ|jawaban|cevap"
    r"|odpowiedź|答案|回答|答え|正解) ?[:：]|【(?:答案|回答|答え|正解)】|all in all,|in short,|ok(?:ay)?,) ?(?=\S)",
    re.IGNORECASE,
)
_LOOSE_CUT = re.compile(r"[|\\/]| - |-[A-Z]")
_WITHIN_YEAR = frozenset(["late", "early", "mid"])
_AROUND = frozenset(["county", "province", "municipality", "district", "region", "prefecture", "department"])
_OF_PLACE = _AROUND | frozenset(["city", "town", "village", "island"])
_HERE = "here"  # in a row of places: a place that is no more than the town itself
_STATE_OF = frozenset(["republic", "kingdom", "state", "commonwealth", "federation"])
_TWO_STATES = frozenset(["china", "congo", "korea", "germany", "vietnam", "yemen"])
_NO_HEAD = MODIFIERS | COMPASS | FUNCTION  # "South" is no town of America
_EPITHET = re.compile(
    r"([A-Z][^\n,;:]{1,40}) the (?:Great|Terrible|Conqueror|Navigator|Bald|Bold|Fair|Good|Bad|Wise|Magnificent|Younger"
    r"|Elder|Confessor|Lionheart|Pious|Fat|Short|Tall|Strong|Brave|Baptist|Evangelist|Apostle|Impaler|Unready|Cruel|Catholic)"
)
# An answer with one of these is a sentence, or a choice, and no name; "Will" is one.
_SAYING = (
    (VERBS - frozenset(["will", "can", "am", "id", "ill"]))
    | PRONOUNS
    | frozenset(
        ["or", "but", "nor", "if", "not", "no", "never", "maybe", "perhaps", "probably", "because", "than", "except"]
    )
)
_ALSO_PEOPLE = frozenset(["jordan", "chad", "georgia", "israel", "virginia", "victoria", "washington", "ireland"])
# What may follow someone's name and adds nothing: degrees, orders, "herself", the mark of a footnote.
_BEHIND = re.compile(
    r"(?P<degree>,? (?:Ph\.? ?D|M\.? ?D|[MOCDKG]BE|Esq|Esquire|FRS|[QK]C|DPhil|D\.?Sc|MBA|J\.?D|RN|CPA|MP|DDS"
    r"|[BM]\.?Sc)\.?|(?<=[a-z]{3})(?:[†‡§]+|[1-9]))$|,? (?:himself|herself|itself|themselves)[.!]?$"
    r"|, (?:IIRC|isn't it\?|innit\?)$"
)
_OF_A_THING = re.compile(
    r"\bwhere\b|\b(?:which|what)(?:'s| is| was)? (?:the )?(?:\w+ )?(?:city|town|village|capital|country|state|river"
    r"|mountain|island|film|movie|book|novel|song|album|band|group|team|club|company|play|opera|painting|language"
    r"|element|disease)\b",
    re.IGNORECASE,
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT_NAMES = {name[:3]: (name,) for name in (*_DAYS, *MONTHS) if name not in ("march", "may")} | {
    "tues": ("tuesday",), "thur": ("thursday",), "thurs": ("thursday",), "sept": ("september",)
}  # fmt: skip
_SIGNS = re.compile(r"[<>≤≥±=×^$€£¥₹₩₽°~+#]")


@lru_cache(maxsize=512)
def words(text: str) -> Words:
    """The words of a text in one spelling, without articles.

    Example:
        >>> words("The Twenty-First Colour."), words("St. Louis")
        (('21st', 'color'), ('saint', 'louis'))
    """
    if PLAIN.fullmatch(text):
        tokens = _plain_tokens(text)
        if tokens is not None:
            return tokens
    return norms(_tokens(text))


def _plain_tokens(text: str) -> Words | None:
    """The words of a text in plain letters, the common case, without the cost of tokens; `None` if it has others."""
    found = text.rstrip(".!").lower().replace("'", "").split()
    if len(found) > 1 and found[0] in ARTICLES:
        del found[0]
    if not found or not ARTICLES.isdisjoint(found) or not SPECIAL.isdisjoint(found):
        return None
    return tuple(found)


def _tokens(text: str) -> list[Token]:
    """The words of a name; "Charles the Second" is Charles 2."""
    tokens = without_articles(text_tokens(_SPACED.sub("", tidy(text)) if " " in text else tidy(text)))
    ruler = ORDINAL_DIGITS.fullmatch(tokens[-1].norm) if len(tokens) > 1 else None
    return [*tokens[:-1], replace(tokens[-1], norm=ruler[1])] if ruler else tokens


def _squashed(key: Words) -> str:
    """The letters of a name in a row; two numbers side by side stay two."""
    out = ""
    for word in key:
        out += " " + word if out and out[-1].isdigit() and word[:1].isdigit() else word
    return out


def _singular(key: Words) -> str:
    return _squashed(tuple(word.removesuffix("s") for word in key))


class _Gold:
    """One gold answer, with what is asked of it again and again."""

    def __init__(self, text: str) -> None:
        self.text = repaired(text)
        self.key = words(self.text)

    @cached_property
    def tokens(self) -> list[Token]:
        return _tokens(self.text)

    @cached_property
    def forms(self) -> frozenset[Words]:
        """The names that say no less than the gold."""
        return frozenset(_forms(self.text, self.tokens))

    @cached_property
    def shorter(self) -> frozenset[Words]:
        """What an answer may say that says less."""
        found = {form for form, _ in shorter(self.tokens)} | _names(self.tokens)
        if self.key[0] in _WITHIN_YEAR and self.key[1:] and self.key[1][:1].isdigit():
            found.add(self.key[1:])
        stripped = self.text.rstrip()
        opened = stripped.rfind("(") if stripped.endswith(")") else -1
        if opened > 0:
            name, short = stripped[:opened], stripped[opened + 1 : -1]
            found.update(
                (form for form, _ in shorter(_tokens(name))),
                [words(name)],
                [words(short)] if abbreviates(short, name) else (),
            )
        return frozenset(found)

    @cached_property
    def placed(self) -> tuple[frozenset[Words], tuple[str, ...]]:
        """The names of a town, and where it lies."""
        head, places = _placed(self.text)
        return (frozenset(_forms(head, _tokens(head))) if places else self.forms), places

    @cached_property
    def families(self) -> frozenset[Words]:
        """The family names of the person that it names."""
        return family_names(self.tokens) if "," not in self.text else frozenset()

    @cached_property
    def listed(self) -> bool:
        """Whether it may be a list; "Fiat, Ferrari" may, "Portland, Oregon" may not."""
        return is_list(self.text) or ("," in self.text and not self.placed[1])


class _Golds:
    """All golds of a question."""

    def __init__(self, gold: tuple[str, ...]) -> None:
        self.each = [g for g in map(_Gold, gold) if g.key]
        self.keys = {g.key for g in self.each}
        for g in self.each:
            self.keys.update(tuple(name.split()) for name in same_place(" ".join(g.key)))

    @cached_property
    def squashed(self) -> frozenset[str]:
        return frozenset(map(_squashed, self.keys))

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The words of all golds, and without an ending, so that what shares none of them need not be looked at."""
        return frozenset(stem for key in self.keys for word in key for stem in _stems(word))

    @cached_property
    def singular(self) -> frozenset[str]:
        """The letters of common nouns of several words without a plural s: "headup display"."""
        return frozenset(_singular(g.key) for g in self.each if len(g.key) > 1 and g.text.islower())

    @cached_property
    def signs(self) -> frozenset[str]:
        """The signs beside words that mean something: "<5" is not "5", nor is "5 €" "5 $"."""
        return frozenset(sign for g in self.each for sign in _SIGNS.findall(g.text))

    @cached_property
    def most_words(self) -> int:
        """More words than this are no mere name of a gold, however long a title or a place they add."""
        return 2 * max(len(key) for key in self.keys) + 10

    @cached_property
    def names_only(self) -> bool:
        """Whether no gold is a saying itself."""
        return all(_SAYING.isdisjoint(key) for key in self.keys)

    @cached_property
    def plain(self) -> bool:
        """Whether a name that shares no word with the golds can be none of them."""
        return all(g.text.isascii() and "(" not in g.text for g in self.each)


_golds = lru_cache(maxsize=4096)(_Golds)


def _stems(word: str) -> tuple[str, ...]:
    match = ORDINAL_DIGITS.fullmatch(word)
    return (word, match[1]) if match else (word, word.rstrip("s")[:6])


def same(answer: str, gold: tuple[str, ...], question: str = "") -> bool:
    """Whether the whole answer is one of the golds, all of a gold list, or several of the golds and nothing else.

    Args:
        answer: what was answered, without a sentence around it.
        gold: the right answers.
        question: what was asked, if it is known: a gold need not be given with the question's own last words.

    Example:
        >>> same("Ada King Lovelace", ("Ada Lovelace",)), same("Ada Lovelace Road", ("Ada Lovelace",))
        (True, False)
        >>> same("Springfield, USA", ("Springfield, Illinois",)), same("Springfield, Ohio", ("Springfield, Illinois",))
        (True, False)
        >>> same("second world war", ("World War II",)), same("green and red", ("red, green",))
        (True, True)
    """
    golds = _golds(gold)
    if len(answer) > _LONGEST or not golds.keys:
        return False
    key = words(answer)
    if _SIGNS.search(answer) and any(map(str.isdigit, answer)) and not golds.signs >= set(_SIGNS.findall(answer)):
        return False
    if key in golds.keys or (len(key) == 1 and _SHORT_NAMES.get(key[0]) in golds.keys):
        return True
    if not key or _squashed(key) in golds.squashed:
        return bool(key)
    if len(key) > 1 and golds.singular and _singular(key) in golds.singular:
        return True
    if golds.plain and answer.isascii() and golds.vocabulary.isdisjoint(stem for w in key for stem in _stems(w)):
        return False
    lead = _LEAD.match(answer)
    if lead:
        return same(answer[lead.end() :], gold, question)
    behind = _BEHIND.search(answer)
    if (
        behind
        and behind.start()
        and (not behind["degree"] or any(is_person(g.tokens) or g.families for g in golds.each))
    ):
        return same(answer[: behind.start()], gold, question)
    if len(key) > golds.most_words or (not _SAYING.isdisjoint(key) and golds.names_only):
        return False
    return (
        _is_any(answer, golds, question)
        or any(g.listed and same_list(answer, g.text) for g in golds.each)
        or _bracketed(answer, golds, question)
        or _several(answer, golds, question)
        or _is_family_name(answer, golds, question)
    )


def _is_any(answer: str, golds: _Golds, question: str) -> bool:
    """Whether the answer is one of the golds, lists aside."""
    tokens = _tokens(answer)
    if not tokens:
        return False
    forms = set(_forms(answer, tokens))
    if any(not forms.isdisjoint(g.forms) or not forms.isdisjoint(g.shorter) for g in golds.each):
        return True
    longer = set(_longer(answer, tokens))
    if any(not longer.isdisjoint(g.forms) for g in golds.each):
        return True
    if any(
        same_person(turned, g_turned)
        for g in golds.each
        for turned in _turned(answer, tokens)
        for g_turned in _turned(g.text, g.tokens)
    ):
        return True
    if any(_same_town(answer, tokens, g) for g in golds.each):
        return True
    return bool(question) and _asked(tokens, golds, set(words(question)))


def _is_family_name(answer: str, golds: _Golds, question: str) -> bool:
    """Whether the answer is no more than the family name of someone whom a gold names in full: "Beethoven"."""
    if len(answer) > 60 or "," in answer or (question and _OF_A_THING.search(question)):
        return False
    name = without_title(_tokens(answer))
    if not any(t.capital for t in name) or not name[-1].capital:
        return False
    return any(norms(name) in g.families for g in golds.each)


def _forms(text: str, tokens: list[Token]) -> Iterator[Words]:
    """The words of a name in the ways that say no less; a word that is only said again is one."""
    key = norms(tokens)
    yield key
    yield from (tuple(name.split()) for name in same_place(" ".join(key)))
    spelt = spelt_out(text)
    if spelt:
        yield norms(_tokens(spelt))
    if len(key) < 2:
        return
    if len(key) > 2 and key[1] == "of":
        rest = " ".join(key[2:])
        if key[0] in _OF_PLACE or (key[0] in _STATE_OF and kind_of_place(rest) and rest not in _TWO_STATES):
            yield key[2:]
        elif tokens[0].raw.islower():  # "speed of a vehicle"
            yield (*key[2:], key[0])
    ordinal = ORDINAL_DIGITS.fullmatch(key[0]) if len(key) < 5 else None
    if ordinal:  # "second world war", "fourth season"
        yield (*key[1:], ordinal[1])
    if key[0] in ABOUT:
        yield ("about", *key[1:])
    if key == key[:1] * len(key):
        yield key[:1]
    ranged = tuple(word for i, word in enumerate(key) if not _joins_numbers(key, i))
    if len(ranged) < len(key):
        yield ranged


def _joins_numbers(key: Words, i: int) -> bool:
    """Whether a word makes a range of two numbers: "10 to 12", "between 10 and 12"."""
    if key[i] in ("to", "and", "through"):
        return 0 < i < len(key) - 1 and key[i - 1][:1].isdigit() and key[i + 1][:1].isdigit()
    return key[i] in ("between", "from") and i + 3 < len(key) and _joins_numbers(key, i + 2)


def _longer(text: str, tokens: list[Token]) -> Iterator[Words]:
    """The words of an answer without what only describes it: "Java island", "King Otto I of Greece"."""
    key = norms(tokens)
    if len(key) > 1 and key[0] == "greater" and tokens[1].capital:
        yield key[1:]
    if len(key) > 1 and key[-1] in _OF_PLACE and not kind_of_place(" ".join(key[:-1])):
        yield key[:-1]
    yield from _names(tokens)
    named = _EPITHET.fullmatch(text.strip(" .\n"))
    if named:
        yield words(named[1])


def _names(tokens: list[Token]) -> set[Words]:
    """A name without title, and without the realm of a ruler."""
    name = without_title(tokens)
    return {norms(name), *without_realm(name)}


def _turned(text: str, tokens: list[Token]) -> Iterator[list[Token]]:
    """A name as it is, and "Byron, Ada" turned round."""
    yield tokens
    family, comma, given = text.partition(",")
    if comma and given.strip() and "," not in given and not place_name(given):
        yield _tokens(f"{given.strip()} {family.strip()}")


def _placed(text: str) -> tuple[str, tuple[str, ...]]:
    """A town and the places it is said to lie in; no places where it is not said, or gainsaid.

    Example:
        >>> _placed("Springfield (Illinois, USA)"), _placed("Paris, London")
        (('Springfield', ('illinois', 'usa', 'here')), ('Paris, London', ()))
    """
    head, *rest = _CUT.split(tidy(text).strip(" .\n"))
    rest = [part.strip(" ).") for part in rest if part.strip(" ).")]
    if not rest or len(rest) > 3:
        return text, ()
    places = [place for part in rest if (place := place_name(part) or _around(part, head)) != _HERE]
    own = place_name(head)
    chain = [own, *places] if own else places
    if _LOOSE_CUT.search(text) and any(kind_of_place(place) == "state" for place in places):
        return text, ()  # "Vienna | New York" are two
    if not all(places) or any(not agree([one], [other]) for i, one in enumerate(chain) for other in chain[i + 1 :]):
        return text, ()
    return head, (*places, _HERE)


def _around(part: str, head: str) -> str:
    """`_HERE` for a part that says the town again, or names a county or the like, about which nothing is known."""
    key = words(part)
    return _HERE if len(key) < 4 and (key == words(head) or (key[-1:] and key[-1] in _AROUND)) else ""


def _same_town(answer: str, tokens: list[Token], gold: _Gold) -> bool:
    head, places = _placed(answer)
    wanted, there = gold.placed
    if not places:
        return _beside_place(answer, tokens, wanted, (*there, place_name(gold.text)))
    return agree(places, there) and not wanted.isdisjoint(
        [*_forms(head, _tokens(head)), *_longer(head, _tokens(head))]
    )


def _beside_place(answer: str, tokens: list[Token], wanted: frozenset[Words], there: tuple[str, ...]) -> bool:
    """Whether the answer is a town, or a town and, without comma, the place it lies in: "lyon france", "法国里昂"."""
    key = norms(tokens)
    if key in wanted:
        return True
    if tokens[0].unspaced:
        country = next((name for name in (answer[:size] for size in (2, 3, 4, 6)) if place_name(name)), "")
        town = answer[len(country) :].lstrip("的の") if country else ""
        return is_unspaced(town[:1]) and not place_name(town) and words(town) in wanted
    for size in range(1, min(4, len(key))):
        head, rest = key[:-size], tokens[-size:]
        if head in wanted and head[0] not in _NO_HEAD and head[-1] not in _NO_HEAD and all(t.gap == " " for t in rest):
            place = place_name(" ".join(t.raw for t in rest))
            return bool(place) and place not in _ALSO_PEOPLE and agree([place], [name for name in there if name])
    return False


def _asked(tokens: list[Token], golds: _Golds, asked: set[str]) -> bool:
    """Whether answer and gold are the same but for a last common noun that the question has said."""

    def bare(found: list[Token]) -> Words:
        size = len(found)
        while (
            size > 1
            and found[size - 1].raw.islower()
            and not asked.isdisjoint([found[size - 1].norm, *other_number(found[size - 1].norm)])
        ):
            size -= 1
        return norms(found[:size])

    own = bare(tokens)
    return not asked.issuperset(own) and any(own == bare(g.tokens) for g in golds.each)


def _bracketed(answer: str, golds: _Golds, question: str) -> bool:
    """Whether the answer is a gold and, in brackets, its other name: a second gold, its initials, a pen name."""
    text = answer.strip(" .\n")
    opened = text.rfind("(")
    if opened <= 0 or not text.endswith(")"):
        return False
    outer, inner = text[:opened].strip(), text[opened + 1 : -1].strip()
    if not outer or not inner:
        return False
    named = _is_any(outer, golds, question) or _singular(words(outer)) in golds.singular
    alias = _is_any(inner, golds, question)
    if named:
        return alias or abbreviates(inner, outer) or abbreviates(outer, inner)
    one, other = _tokens(outer), _tokens(inner)
    return alias and (abbreviates(inner, outer) or abbreviates(outer, inner) or _same_family(one, other))


def _same_family(one: list[Token], other: list[Token]) -> bool:
    """Whether two names end alike: "Robert Edward Turner III (Ted Turner)"."""
    names = [t.norm for t in one if not t.norm.isdigit() and t.norm != "junior"]
    return len(names) > 1 and len(other) > 1 and names[-1] == other[-1].norm and all(t.capital for t in other)


def _several(answer: str, golds: _Golds, question: str) -> bool:
    """Whether the answer lists several of the golds, and nothing that is none."""
    if not 1 < len(golds.each) <= 8:
        return False
    found = items(answer)
    if 1 < len(found) <= 8 and all(words(item) in golds.keys or _is_any(item, golds, question) for item in found):
        return True
    return len(found) > 1 and same_list(answer, "\n".join(g.text for g in golds.each))
