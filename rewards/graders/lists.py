"""Answers that are lists: whether two lists hold the same things, in any order, and nothing more.

"Ada Byron and Mary Byron" is met by "Mary and Ada Byron" and by "1. Ada 2. Mary", never by one of the two, nor by "Ada
or Mary". By its form alone "Trinidad and Tobago" is a list too: it is met by itself, and half of it is not.
"""

import re

from abstain.rewards.graders.aliases import place_name, text_tokens
from abstain.rewards.graders.people import is_person, same_person
from abstain.rewards.graders.text import UNSPACED, Token, tidy, without_articles

LONGEST = 600  # characters of a list that is looked at
MOST = 24  # things in one
_MARK = r"(?:[-*•·◦‣]|\(?\d{1,2}[.)]|(?-i:[a-h])[.)])"
_BETWEEN = re.compile(
    rf" ?\n+(?:[ ]?{_MARK}(?= ?[^\W\d]))? ?|(?:[ ,;]|^){_MARK} (?=[^\W\d])"
    r"| ?[;/|、] ?(?:and )?| ?\+ |, ?(?:and|plus|then)? (?!jr\b|sr\b)|,(?=[^\W\d])"
    r"| (?:and|plus|as well as|along with|together with|et|und|y) "
    rf"|(?<=[{UNSPACED}]{{2}})(?:以及|および|及び|[と和与與及跟])(?=[{UNSPACED}]{{2}})"
    r"|(?<=[\u30a0-\u30ff\u4e00-\u9fff])と(?=[\u30a0-\u30ff\u4e00-\u9fff])"
    rf"|(?<=[{UNSPACED}]) (?=[{UNSPACED}])",
    re.IGNORECASE,
)
_JOINT = re.compile(r"[,;/|&、\n]|\b(?:and|und|et)\b|[と和与與及跟]", re.IGNORECASE)
_ENDS = re.compile(r"[.。!！]+$")

Words = tuple[str, ...]


def items(text: str) -> list[str]:
    """The things that a text lists, cut at commas, "and", line ends, bullets, numbers, slashes, 、, と, 和.

    Example:
        >>> items("1. Ada Byron\\n2. Mary Shelley"), items("red, green & blue"), items("東京と大阪")
        (['Ada Byron', 'Mary Shelley'], ['red', 'green', 'blue'], ['東京', '大阪'])
    """
    plain = tidy(text.strip()[:LONGEST]).replace("*", " ").replace("_", " ").replace("`", " ")
    plain = _ENDS.sub("", plain).removeprefix("both ").removeprefix("Both ")
    return [part.strip(" .\"'") for part in _BETWEEN.split(plain) if part.strip(" .\"'")]


def is_list(gold: str) -> bool:
    """Whether a gold answer reads as a list of several things, by its form: it may still be one name.

    Example:
        >>> [is_list(g) for g in ("red, green and blue", "Portland, Oregon", "Bach, Johann", "1,776", "Ada Byron")]
        [True, False, False, False, False]
    """
    if not _JOINT.search(gold) or len(gold) > LONGEST:
        return False
    parts = items(gold)
    if not 2 <= len(parts) <= MOST or any(len(part.split()) > 6 for part in parts):
        return False
    if len(parts) == 2 and "," in gold and not re.search(r"[;/\n]|\b(?:and|und|et)\b|&", gold):
        people = all(" " in part and is_person(_tokens(part)) for part in parts)
        return (people or not parts[0][0].isupper()) and not any(c.isdigit() for c in gold)
    return not place_name(parts[-1]) or all(map(place_name, parts)) or bool(re.search(r"\band\b|&|[\n;]", gold))


def same_list(answer: str, gold: str) -> bool:
    """Whether an answer lists the things of a gold list, all of them, in any order, and nothing else.

    Example:
        >>> gold = "Ada Byron and Mary Byron"
        >>> [same_list(a, gold) for a in ("Mary & Ada Byron", "Ada and Mary", "Ada Byron", "Ada, Mary, Sue")]
        [True, True, False, False]
        >>> same_list("red green blue", "blue, red and green"), same_list("red or green", "red and green")
        (True, False)
    """
    if len(answer) > LONGEST or len(gold) > LONGEST:
        return False
    wanted, stated = items(gold), items(answer)
    if not 2 <= len(wanted) <= MOST or len(stated) > MOST:
        return False
    golds = [_tokens(item) for item in wanted]
    if len(stated) == 1:
        return _side_by_side([t.norm for t in _tokens(answer)], [_norms(g) for g in golds])
    if len(stated) != len(wanted):
        return False
    given = [_tokens(item) for item in stated]
    if not all(given) or not all(golds):
        return False
    return any(_all_met(one, other) for one in _readings(given) for other in _readings(golds, given_names=True))


def _tokens(text: str) -> list[Token]:
    return without_articles(text_tokens(tidy(text)))


def _norms(tokens: list[Token]) -> Words:
    return tuple(t.norm for t in tokens)


def _readings(found: list[list[Token]], given_names: bool = False) -> list[list[list[Token]]]:
    """The list as it is, with a family name for all ("Ada and Mary Byron"), and with none where all have the same."""
    out, last = [found], found[-1]
    if len(last) > 1 and last[0].capital == last[-1].capital and all(len(item) == 1 for item in found[:-1]):
        out.append([*([*item, last[-1]] for item in found[:-1]), last])
    families = {item[-1].norm for item in out[-1] if len(item) > 1}
    if given_names and len(families) == 1 and all(len(item) > 1 for item in out[-1]) and last[-1].capital:
        out.append([item[:1] for item in out[-1]])
    return out


def _all_met(stated: list[list[Token]], wanted: list[list[Token]]) -> bool:
    left = list(wanted)
    for item in stated:
        met = next((i for i, other in enumerate(left) if _same_item(item, other)), None)
        if met is None:
            return False
        del left[met]
    return not left


def _same_item(one: list[Token], other: list[Token]) -> bool:
    return _norms(one) == _norms(other) or same_person(one, other)


def _side_by_side(words: list[str], wanted: list[Words]) -> bool:
    """Whether the words are the wanted things, one after the other in any order, with nothing between."""
    left, at = sorted(wanted, key=len, reverse=True), 0
    while left:
        met = next((item for item in left if item and tuple(words[at : at + len(item)]) == item), None)
        if met is None:
            return False
        left.remove(met)
        at += len(met)
    return at == len(words)
