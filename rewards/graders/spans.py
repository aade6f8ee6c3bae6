"""Where a gold answer stands in a text as whole words, and as a name of its own.

"Paris" stands in "Paris, France" and in "the city of Paris", but not in "Parisian", "Paris Hilton", "Paris-Dakar",
"South Paris" or "University of Paris". A surname alone stands in a full name ("Messi" in "Lionel Messi"). Scripts
without spaces have no words: a gold may touch particles and suffixes such as 都 or 市 (東京 in 東京都), but no other
characters of its own script (京都 not in 東京都, パリ not in パリス).
"""

import re
from dataclasses import dataclass

from abstain.rewards.graders.aliases import Alias, is_initial
from abstain.rewards.graders.people import MIDDLE, is_middle, middle_names, same_middle
from abstain.rewards.graders.places import kind_of_place
from abstain.rewards.graders.text import Token, fold, is_article
from abstain.rewards.graders.words import (
    ASIDES,
    COMPASS,
    FUNCTION,
    GENERIC_AFTER,
    HEADS,
    HEDGES,
    KIN,
    MAGNITUDES,
    MODIFIERS,
)

_LEFT_CHARS = frozenset("选選做来來自过過是在为為于於叫就即的了称稱名和与與或到从從")
_LEFT_WORDS = frozenset(
    ["首都", "都市", "城市", "答案", "国家", "國家", "地点", "地點", "作者", "省会", "州都", "県庁", "名前"]
)
_RIGHT_CHARS = frozenset(
    "哦呀嘛啦没無无出举舉才比就这這它人的是吧啊呢了也在和与與或不而都市区區縣県省州府道町村郡島岛山川江河湖海駅站城国國氏"
)
_KANA_LEFT = frozenset("はがのをにでともへやからまね")
_KANA_RIGHT = frozenset("はがのをにでともへやかだよねとまじ")
_HANGUL_END = re.compile(
    r"(?<=[가-힣])(?:입니다|이에요|예요|이었습니다|였습니다|이다|은|는|이|가|을|를|에서|에|의|으로|로|와|과|도|라고)$"
)
_LATER = ASIDES | HEDGES | frozenset(["instead", "too", "again", "here", "there", "then", "yesterday", "university"])
_LINKING = frozenset(["de", "du", "des", "della", "di", "da", "do", "dos", "von", "van"])


def _norms(token: Token) -> tuple[str, ...]:
    """The word, and what it is without "'s" or a Korean ending: ways to read a word that may be the last of a name."""
    if token.raw[-2:] == "'s":
        return token.norm, fold(token.raw[:-2])
    if token.raw[-1] >= "\uac00" and token.raw[-1] <= "\ud7a3":
        return token.norm, _HANGUL_END.sub("", token.norm)
    return (token.norm,)


def _end_of(tokens: list[Token], i: int, alias: Alias) -> int:
    """The index behind the alias if it begins at token `i`, else 0. Articles and initials may come between its words,
    and in a person's name those middle names that agree with the gold's."""
    if alias.middle is not None:
        return _end_of_person(tokens, i, alias.words, alias.middle)
    words, k = alias.words, 0
    for j in range(i, min(len(tokens), i + 2 * len(words))):
        last = k == len(words) - 1
        if tokens[j].norm == words[k] or (last and words[k] in _norms(tokens[j])):
            k += 1
            if k == len(words):
                return j + 1
        elif k == 0 or not (is_article(tokens, j) or is_initial(tokens[j])):
            return 0
    return 0


def _end_of_person(tokens: list[Token], i: int, words: tuple[str, ...], middle: tuple[str, ...]) -> int:
    if tokens[i].norm != words[0]:
        return 0
    for j in range(i + 1, min(len(tokens), i + MIDDLE + 2)):
        if words[1] in _norms(tokens[j]):
            return j + 1 if same_middle(middle_names(tokens[i + 1 : j]), middle) else 0
        if not is_middle(tokens[j]):
            return 0
    return 0


def _touches(tokens: list[Token], left: int) -> bool:
    """Whether tokens `left` and `left + 1` are characters of one unspaced script, written together."""
    if not 0 <= left < len(tokens) - 1 or tokens[left + 1].gap:
        return False
    return tokens[left].unspaced and tokens[left + 1].unspaced and _script(tokens[left]) == _script(tokens[left + 1])


def _script(token: Token) -> str:
    """The script of a character, "" for those that say nothing about where a word ends (Thai, Khmer)."""
    starts = {"han": "\u3105", "katakana": "\u30a0", "hiragana": "\u3041", "han marks": "\u3005"}
    return next((script.split()[0] for script, first in starts.items() if token.raw[0] >= first), "")


def _unspaced_ends(tokens: list[Token], i: int, j: int) -> bool:
    """Whether characters i to j stand for themselves: see the module's text for the rule."""
    left, right = "".join(t.raw for t in tokens[max(0, i - 2) : i]), tokens[j].raw if j < len(tokens) else ""
    glued = _touches(tokens, i - 1) and _script(tokens[i])
    if glued and left[-1] not in _LEFT_CHARS | _KANA_LEFT and left not in _LEFT_WORDS:
        return False
    return not (_touches(tokens, j - 1) and _script(tokens[j - 1])) or right in _RIGHT_CHARS | _KANA_RIGHT


def _free_left(tokens: list[Token], i: int, lower: bool) -> bool:
    """Whether what stands before token `i` leaves the name its meaning."""
    prev = i - 1
    while prev >= 0 and is_article(tokens, prev):
        prev -= 1
    if prev < 0 or tokens[i].gap.strip(" \"'*_") not in ("", "-"):
        return True
    before, first = tokens[prev], tokens[i]
    if tokens[i].gap == "-" and not first.numeric:
        return False
    if before.norm in MODIFIERS and prev == i - 1 and (before.capital or not first.capital):
        return False
    if before.norm in COMPASS and prev == i - 1 and ((before.capital and first.capital) or lower):
        return False
    head = tokens[prev - 1] if prev and not tokens[prev].gap.strip() else None
    if head and before.norm == "of":
        return head.norm not in KIN and not (head.capital and first.capital and head.norm not in HEADS | FUNCTION)
    return not (head and before.norm in _LINKING and head.capital and first.capital and prev == i - 1)


def _is_compound(tokens: list[Token], j: int, lower: bool) -> bool:
    """Whether the lower-case word `j` makes another thing of the word before it ("football player", "punk rock").

    Without capitals to go by, a row of words up to the end ("paris london rome") is no sentence about the first.
    """
    word = tokens[j].norm
    if (word.endswith(("ly", "ing", "ed")) and len(word) > 4) or word in ("born", "known"):
        return False
    end = j + 1
    while end < len(tokens) and not tokens[end].gap.strip() and tokens[end].norm not in FUNCTION:
        end += 1
    return end - j < 3 or (lower and end == len(tokens))


def _free_right(tokens: list[Token], i: int, j: int, alias: Alias, lower: bool) -> bool:
    """Whether what stands behind token `j - 1` leaves the name, or the number, its meaning."""
    last, after = tokens[j - 1], tokens[j]
    name = " ".join(alias.words)
    while after.start != last.start:  # as it is for "September 2005" in "5 September 2005"
        if after.gap == "-" or (after.gap == "" and last.numeric and after.capital):
            return False
        if after.raw == "The" and not after.gap.strip() and j + 1 < len(tokens) and tokens[j + 1].capital:
            return False
        if after.gap.strip(" '") or after.norm in FUNCTION or after.unspaced:
            return True
        if last.norm != alias.words[-1] and last.raw.endswith("'s"):
            return False
        if last.numeric or last.norm.isdigit():
            return after.norm not in MAGNITUDES and not after.numeric
        if after.norm not in GENERIC_AFTER:
            return _free_before(tokens, i, j, lower) or (not kind_of_place(name) and _is_place(tokens, j))
        if after.norm == "city" and kind_of_place(name):
            return False
        j += 1
        if j == len(tokens):
            return True
        last, after = tokens[j - 1], tokens[j]
    return True


def _is_place(tokens: list[Token], j: int) -> bool:
    return any(kind_of_place(" ".join(t.norm for t in tokens[j:end])) for end in (j + 1, j + 2))


def _free_before(tokens: list[Token], i: int, j: int, lower: bool) -> bool:
    """Whether the word `j`, no function word, leaves the name before it its meaning: "Java coffee" is no Java."""
    if lower or not tokens[i].capital:
        return not _is_compound(tokens, j, lower)
    if tokens[j].capital or tokens[j].numeric:
        return False
    alone = all(is_article(tokens, k) for k in range(i)) if i < 3 else False
    return not (alone and j + 1 == len(tokens) and tokens[j].norm not in _LATER and _is_compound(tokens, j, True))


def _stands(tokens: list[Token], i: int, j: int, alias: Alias, lower: bool, asked: frozenset[str]) -> bool:
    """Whether tokens i to j are the alias as whole words, and not part of another name."""
    if alias.capitals == "all" and len(tokens) > 1 and not tokens[i].raw.replace(".", "").isupper():
        return False
    begins = i == 0 or any(c in ".!?\n" for c in tokens[i].gap)
    if alias.capitals == "first" and len(tokens) > 1 and (begins or not tokens[i].capital):
        return False
    if alias.bare and i and tokens[i].gap == " " and tokens[i - 1].norm not in FUNCTION:
        return False
    if not _unspaced_ends(tokens, i, j):
        return False
    if not _free_left(tokens, i, lower):
        return False
    said = j < len(tokens) and tokens[j].norm in asked and tokens[j].gap == " "
    return said or j == len(tokens) or _free_right(tokens, i, j, alias, lower)


@dataclass(frozen=True, slots=True)
class Found:
    """A gold answer in a text, by its offsets."""

    start: int
    end: int
    alias: Alias


def _places(tokens: list[Token], wanted: tuple[Alias, ...]) -> dict[str, list[int]]:
    """Where the first words of the aliases stand."""
    firsts = {alias.words[0] for alias in wanted}
    places: dict[str, list[int]] = {}
    for i, token in enumerate(tokens):
        if token.norm in firsts:
            places.setdefault(token.norm, []).append(i)
        elif token.raw[-1] == "s" or token.raw[-1] >= "\uac00":
            for norm in _norms(token)[1:]:
                if norm in firsts:
                    places.setdefault(norm, []).append(i)
    return places


def may_stand(tokens: list[Token], wanted: tuple[Alias, ...]) -> bool:
    """Whether any of the aliases begins somewhere: without it, nothing is found."""
    return bool(_places(tokens, wanted))


def find(tokens: list[Token], wanted: tuple[Alias, ...], asked: frozenset[str] = frozenset()) -> list[Found]:
    """Where any of the aliases stands, in order and without overlap, longer aliases first.

    Args:
        tokens: the words of the text.
        wanted: the spellings to look for.
        asked: words that may follow a name without making another of it: "Garfield High School", where the question
            asks for a high school.

    Example:
        >>> from abstain.rewards.graders.aliases import aliases, text_tokens
        >>> text = "Paris Hilton left Paris for South Paris"
        >>> [text[f.start : f.end + 4] for f in find(text_tokens(text), aliases(("Paris",)))]
        ['Paris for']
    """
    places = _places(tokens, wanted)
    if not places:
        return []
    lower = not any(t.capital for t in tokens)
    taken, found = bytearray(len(tokens)), []
    for alias in wanted:
        for i in places.get(alias.words[0], ()):
            j = 0 if taken[i] else _end_of(tokens, i, alias)
            if j and not any(taken[i:j]) and _stands(tokens, i, j, alias, lower, asked):
                taken[i:j] = b"\1" * (j - i)
                found.append(Found(tokens[i].start, tokens[j - 1].end, alias))
    return sorted(found, key=lambda f: f.start)
