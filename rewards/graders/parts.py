"""Where a gold of several parts stands in a text: the things of a list side by side, in any order; or, in a long
answer, all the words of a gold such as "Season 3, Episode 15: The Well" or "Leeds 3 - 1 York" close together.
"""

import re
from collections import Counter
from collections.abc import Set
from itertools import islice, pairwise, product

from abstain.rewards.graders.aliases import Alias, aliases, initials, text_tokens
from abstain.rewards.graders.lists import is_list, items
from abstain.rewards.graders.names import words as spelt
from abstain.rewards.graders.numerals import without_suffix
from abstain.rewards.graders.people import family_names, without_title
from abstain.rewards.graders.pieces import pieces
from abstain.rewards.graders.spans import Found, find
from abstain.rewards.graders.text import Token
from abstain.rewards.graders.vocabulary import NAME, NOT, NUMBER, OR, PLACE
from abstain.rewards.graders.words import FUNCTION, PARTICLES

_EITHER = re.compile("か|或|または|もしくは|또는")
_NAMES = frozenset(NAME + PLACE + NUMBER + OR + NOT)
_NUMBERS = re.compile(r"(?<![\d.])\d{1,3}(?![\d.])")
_STRUCTURE = re.compile(r"[,:;/\"“(–]| - |\band\b|\d")
_CITED = re.compile(r"\[\d{1,3}\]")
_MANY = 4  # places of one thing of a list, of which the nearest to the others is taken
_SCORE = re.compile(r"(?<![\d.,:/–-])(\d{1,3}) ?(?:[-–:]|to) ?(\d{1,3})(?![\d.,]\d|[:/–-])")
_ASKS_SCORE = re.compile(r"\b(?:score|result|vote)s?\b", re.IGNORECASE)
_ACRONYM = re.compile(r"[A-Z]{3,6}")
_BESIDE = frozenset(["former", "current", "then"])
_OTHER = frozenset(["or", "not", "nor", "versus", "than", "maybe", "perhaps", "possibly"])


def find_lists(text: str, tokens: list[Token], golds: tuple[str, ...], apart: bool) -> list[Found]:
    """Where the things of a gold list stand side by side, in any order; `apart`, other names may stand between.

    Example:
        >>> text = "It was made by the writer Ada Byron and the artist Mary Lamb."
        >>> [text[f.start : f.end] for f in find_lists(text, text_tokens(text), ("Mary Lamb and Ada Byron",), False)]
        ['Ada Byron and the artist Mary Lamb']
    """
    for gold in filter(is_list, golds):
        hits = [find(tokens, aliases((item,))) for item in items(gold)]
        if not all(hits):
            continue
        rows = islice(product(*(found[:_MANY] for found in hits)), _MANY**3)
        row = min((sorted(found, key=lambda hit: hit.start) for found in rows), key=lambda r: r[-1].end - r[0].start)
        gaps = [text[one.end : other.start] for one, other in pairwise(row)]
        close = all(len(gap) < 60 and not _NAMES.intersection(p.part for p in pieces(gap)) for gap in gaps)
        if (apart or close) and not any(map(_EITHER.search, gaps)):
            return [Found(row[0].start, row[-1].end, row[0].alias)]
    return []


def acronyms(golds: tuple[str, ...]) -> list[str]:
    """The golds that are made of first letters, it seems, folded.

    Example:
        >>> acronyms(("DMV", "the DMV", "Dmv"))
        ['dmv']
    """
    return [bare.lower() for gold in golds if _ACRONYM.fullmatch(bare := gold.strip(" ."))]


def find_spelt_out(tokens: list[Token], short: list[str], asked: Set[str]) -> list[Found]:
    """Where the words stand whose first letters an acronym is made of, but for what the question says itself.

    Example:
        >>> text = "You get it at your local Department of Motor Vehicles."
        >>> [text[f.start : f.end] for f in find_spelt_out(text_tokens(text), ["dmv"], frozenset())]
        ['Department of Motor Vehicles']
    """
    named = [t.capital and len(t.raw) > 1 for t in tokens]
    for i, token in enumerate(tokens):
        if named[i] and not (i and named[i - 1] and tokens[i].gap == " "):
            j = i + 1
            while j < len(tokens) and (named[j] or tokens[j].norm in FUNCTION) and not tokens[j].gap.strip():
                j += 1
            while not named[j - 1]:
                j -= 1
            run = tokens[i:j]
            letters = initials(run)
            if letters in short and not all(t.norm in asked for t in run if t.norm not in FUNCTION):
                return [Found(token.start, run[-1].end, Alias((letters,), "all"))]
    return []


def find_full_names(tokens: list[Token], golds: tuple[str, ...]) -> list[Found]:
    """Where someone stands whose given or family name, and no more, a gold is.

    Example:
        >>> text = "It was written by Ludwig van Beethoven."
        >>> [text[f.start : f.end] for f in find_full_names(text_tokens(text), ("Beethoven",))]
        ['Ludwig van Beethoven']
    """
    short = {spelt(gold) for gold in golds}
    found, i = [], 0
    while i < len(tokens):
        j = i + 1
        while tokens[i].capital and j < len(tokens) and tokens[j].gap in (" ", ". "):
            if not (tokens[j].capital or tokens[j].norm in PARTICLES):
                break
            j += 1
        run = without_title(tokens[i:j])
        if families := family_names(run):
            known = sorted(short & (families | {(run[0].norm,)}), key=lambda name: (len(name), name))
            found += [Found(run[0].start, run[-1].end, Alias(name)) for name in known[:1]]
        i = j
    return found


def find_parts(text: str, tokens: list[Token], golds: tuple[str, ...], asked: Set[str]) -> list[Found]:
    """Where all the words of a gold stand close together, in any order, but for those that the question says.

    Words that carry any sentence may stand between, and others too where the gold has parts of its own.

    Example:
        >>> text = "The final was won by Leeds 3, York 1, in the rain."
        >>> [text[f.start : f.end] for f in find_parts(text, text_tokens(text), ("Leeds 3 - 1 York",), frozenset())]
        ['Leeds 3, York 1']
        >>> text = "She was the Chief Justice of the High Court of Delhi."
        >>> bool(find_parts(text, text_tokens(text), ("Chief Justice Delhi High Court",), frozenset()))
        True
    """
    for gold in golds:
        words = [w for t in text_tokens(_CITED.sub("", gold)) if (w := _bare(t)) not in _BESIDE]
        wanted = [w for w in words if w not in FUNCTION and w not in asked]
        if len(wanted) < 2 or not any(w.isalpha() for w in wanted):
            wanted = [w for w in words if w not in FUNCTION]
        if not any(w.isalpha() for w in wanted) or len(wanted) < 2:
            continue  # numbers, whose order says something
        if len(wanted) < 3 and len(wanted) == len(words):
            continue  # a plain name, which stands as it is or does not
        spread = len(wanted) + 8 if _STRUCTURE.search(gold) else 0
        if window := _window(tokens, wanted, spread):
            first, last = window
            if not any(t.norm in _OTHER and t.norm not in words for t in tokens[first:last]):
                return [Found(tokens[first].start, tokens[last - 1].end, Alias(tuple(wanted)))]
    return []


def same_score(text: str, golds: tuple[str, ...], question: str) -> bool:
    """Whether a text states one score, the gold's, for a question that asks for one and names who played.

    Example:
        >>> asked = "What was the final score between Leeds and York?"
        >>> text = "Leeds defeated York in the final at Wembley by 3–1, its third title."
        >>> [same_score(text, (gold,), asked) for gold in ("Leeds 3 - 1 York", "Leeds 2 - 1 York")]
        [True, False]
    """
    if not _ASKS_SCORE.search(question):
        return False
    said = set(_SCORE.findall(text))
    return len(said) == 1 and any(tuple(_NUMBERS.findall(gold)) in said for gold in golds)


def _bare(token: Token) -> str:
    return without_suffix(token.norm)


def _window(tokens: list[Token], wanted: list[str], spread: int) -> tuple[int, int] | None:
    """The first of the shortest runs of tokens that hold all the words, with at most `spread` others in between."""
    need, missing = Counter(wanted), len(wanted)
    if not 0 < missing <= len(tokens):
        return None
    best: tuple[int, int] | None = None
    first = 0
    for last, token in enumerate(tokens):
        word = _bare(token)
        missing -= need[word] > 0
        need[word] -= 1
        while not missing:
            if best is None or last + 1 - first < best[1] - best[0]:
                best = first, last + 1
            left = _bare(tokens[first])
            need[left] += 1
            missing += need[left] > 0
            first += 1
    if best is None:
        return None
    others = [t for t in tokens[best[0] : best[1]] if t.norm not in FUNCTION]
    return best if len(others) - len(wanted) <= spread else None
