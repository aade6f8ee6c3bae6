"""Which of the things that a long answer names is its answer: for the lenient reading only.

A long answer names people, places and dates beside the one that was asked for. What speaks for each of them is counted
(`traits`: the question's words near it, its sentence, its role, bold, that it is of the sort that was asked for) and
weighed; the weights were fitted to long answers by `docs/make/alignment.py`. The choice does not look at the gold, so
that no text is paid for two of them.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from abstain.rewards.graders.numerals import word_set
from abstain.rewards.graders.places import kind_of_place
from abstain.rewards.graders.text import fold
from abstain.rewards.graders.words import FUNCTION, KIN, ROLES

LONG = 12  # words; a shorter answer is read by its grammar
_WORD = re.compile(r"\ue000|[^\W_]+(?:['’.-][^\W_]+)*")
_BORDER = re.compile(
    r"(?P<stop>(?<![.!?])[.!?]{1,9}[\"')\]*_]{0,5}\s{1,9}(?=[\"'(*_]{0,5}[A-Z\ue000])|\n)|(?P<far>[;:()—]| - )"
    r"|(?P<near>,)"
    r"|\b(?P<turn>and|while|whereas|but|who|which|where|when|whose|after|before|although)\b"
)
_COST = {"stop": 16.0, "far": 5.0, "near": 5.0, "turn": 5.0}
_APART = re.compile(
    r"\b(?:since|before|after|until|till|than|unlike|like|including|following|succeeding|preceding|besides|except|not"
    r"|rather than|instead of|such as|succeeded by|followed by|previously|formerly|later|also)(?: the| an?| in| on"
    r"| by| to| with)* ?$",
    re.IGNORECASE,
)
_ASKING = frozenset(
    ["year", "day", "month", "date", "name", "many", "much", "time", "called", "exact", "full", "first"]
)
_BOLD = re.compile(r"\*\*([^*\n]{1,80})\*\*")
_ITALIC = re.compile(r"(?<!\*)\*([^*\n]{1,80})\*(?!\*)|(?<![\w_])_([^_\n]{1,80})_(?![\w_])")
_CONCLUDES = re.compile(
    r"\W*(?:therefore|thus|hence|so|in short|in summary|the (?:final |correct )?answer)\b", re.IGNORECASE
)
_HEAD = re.compile(
    r"\b(?:which|what|name|give|state|identify|specify|mention|provide)(?:['’]s| (?:is|was|are|were))?(?: the)?"
    r"(?: (?:full |first |last |official |original |real |birth )?(?:names?|title|type|kind|part|one|surname) of)*"
    r"(?: (?:the|an?|this|that|his|her|their))?((?: [\w'’-]{1,30}){1,8})",
    re.IGNORECASE,
)
_CODES = re.compile(r"\b(?:ids?|codes?|designations?|version|patch|identifier|coordinates|serial)\b", re.IGNORECASE)
_PERSON = (
    ROLES - {"capital", "city", "town", "village", "state", "country", "river"}
    | KIN
    | word_set(
        """person man woman individual people winner recipient coach player host guest teacher lawyer judge officer
        member minister student astronaut athlete engineer designer developer politician winners
        recipients character contestant owner producer manager doctor surgeon leader wrestler boxer
        swimmer runner cyclist dancer model discoverer inventor successor predecessor premier partner girl
        boy lady guy surname family sculptor footballer golfer cricketer rapper drummer editor conductor
        creator photographer filmmaker screenwriter choreographer programmer explorer lecturer commander
        fighter skater skier sprinter jumper rider driver racer pitcher bowler batter goalkeeper striker
        midfielder defender referee umpire trainer lyricist songwriter bassist laureate nominee"""
    )
)
_PLACES = word_set(
    """city town village state country county district province region place location municipality continent island
    area suburb neighborhood neighbourhood hometown birthplace street river lake capital department"""
)
_TITLES = word_set(
    """song album single track episode film movie book novel painting newspaper magazine poem play series show game
    story opera musical essay paper article journal ep documentary artwork sculpture piece work title"""
)
_ORGANISATION = word_set(
    """university college school institute institution museum company records press party ministry prize award awards
    festival hospital church association society club league foundation center centre theatre theater hotel
    airport stadium committee council department court bank army navy group corporation inc ltd academy street
    road avenue river lake mountain mount island park cup championship championships olympics games act war
    battle treaty times journal magazine house hall library sciences science division research arts studies
    team gallery medal fellowship union commission agency office order"""
)

WEIGHTS: dict[str, dict[str, float]] = {
    "names": {
        "adjective": -0.9,
        "agent": 1.1,
        "another": 0.5,
        "apart": -0.9,
        "bold": 3.8,
        "brackets": -0.1,
        "capitals": -0.6,
        "clause of its own": -0.3,
        "code": 0.1,
        "code asked": 0.7,
        "comma": -0.7,
        "concludes": 0.8,
        "first sentence": 1.0,
        "hangs": 0.2,
        "hangs, where": -0.1,
        "head beside": 1.1,
        "inside": -0.6,
        "inside, where": 0.7,
        "inside, who": -1.3,
        "larger place": -0.1,
        "late": -0.4,
        "lower": 2.2,
        "lower, article": -0.1,
        "lower, verb": -0.7,
        "near": 1.0,
        "near names": 0.3,
        "one word, who": -1.7,
        "order": -0.3,
        "organisation, where": 0.9,
        "organisation, who": -1.5,
        "other role": -1.3,
        "person, else": 0.1,
        "person, where": -0.4,
        "person, who": 0.3,
        "place, else": -1.0,
        "place, where": -0.1,
        "said": 2.0,
        "says the head": 1.3,
        "says the question": 1.8,
        "sentence": 1.1,
        "subject": -0.3,
        "title, asked": 1.1,
        "title, else": 1.2,
        "title, who": -0.4,
        "verb": -0.2,
        "verb asked": 1.1,
    },
    "counts": {
        "another deed": -0.4,
        "another noun": -0.3,
        "apart": -0.1,
        "brackets": -0.6,
        "clause": 1.3,
        "first": 0.5,
        "first sentence": 1.2,
        "its noun is asked": 0.3,
        "late": -1.1,
        "near": 1.5,
        "near names": 1.2,
        "ordinal": -0.3,
        "sentence": 0.5,
        "unit": 0.5,
        "whole date": -0.1,
    },
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks for.

    Args:
        stems: the stems of its words, and what each says for a thing near it: verbs and nouns more than names.
        head: the stem of the noun that it asks for ("which university"), or "".
        sort: "who", "where", "title" or "".
        code: it asks for an ID, a version or the like.
    """

    stems: Mapping[str, float]
    head: str
    sort: str
    code: bool


_SAME = """die died death | bear born birth | win won winner | write wrote written writer | lead led leader
    | build built builder | become became | begin began begun beginning | sell sold sale | hold held | make made
    | take took taken | give gave given | marry married marriage wed | found founder foundation | sing sang sung singer
    | choose chose chosen choice | grow grew grown | fly flew flown flight | know knew known | speak spoke spoken
    | teach taught teacher | fight fought fighter | break broke broken | bury buried burial | see saw seen | wear wore
    | draw drew drawn | strike struck | shoot shot | steal stole stolen | lose lost loss | elect election | compose
    composer | discover discovery discoverer | invent invention inventor | produce producer | direct director
    | design designer | establish establishment | succeed successor | graduate graduation | resign resignation
    | move moved | appoint appointment | nominate nomination | retire retirement | arrive arrival | weigh weight"""
_FORMS = {form: forms.split()[0] for forms in _SAME.split("|") for form in forms.split()}  # of one word


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """The beginning of a word, without the endings of its forms.

    Example:
        >>> stem("takes"), stem("taking"), stem("Take")
        ('tak', 'tak', 'tak')
    """
    whole = fold(word)
    whole = _FORMS.get(whole, whole)
    for ending in ("ing", "ed", "es", "s", "d", "e"):
        if whole.endswith(ending) and len(whole) > len(ending) + 1:
            return whole.removesuffix(ending)[:6]
    return whole[:6]


@lru_cache(maxsize=4096)
def asked_for(question: str) -> Asked:
    """What a question asks for.

    Example:
        >>> [asked_for(q).sort for q in ("Who won?", "In which city was he born?", "What is the name of the song?")]
        ['who', 'where', 'title']
        >>> asked_for("Which law school did she attend?").head
        'school'
    """
    stems: dict[str, float] = {}
    for hit in _WORD.finditer(question):
        word = hit[0]
        if fold(word) not in FUNCTION and fold(word) not in _ASKING and len(word) > 1:
            stems[stem(word)] = 2.0 if word[0].islower() else 0.5
    head = ""
    if said := _HEAD.search(question):
        for word in said[1].split():
            if word[0].isupper() or fold(word) in FUNCTION:
                break
            head = fold(word)
    singular = head.removesuffix("s")
    if re.search(r"\bwho(?:m|se)?\b", question, re.IGNORECASE) or singular in _PERSON or head.endswith(("ist", "ian")):
        sort = "who"
    elif re.search(r"\bwhere\b", question, re.IGNORECASE) or singular in _PLACES:
        sort = "where"
    else:
        sort = "title" if singular in _TITLES or head in _TITLES else ""
    return Asked(stems, stem(head) if head else "", sort, bool(_CODES.search(question)))


def in_bold(answer: str) -> list[str]:
    """What an answer sets in bold.

    Example:
        >>> in_bold("It was founded in **1620**.")
        ['1620']
    """
    return _BOLD.findall(answer) if "**" in answer else []


def in_italics(answer: str) -> list[str]:
    """What an answer sets in italics.

    Example:
        >>> in_italics("**Her** novel *Emma* and _Persuasion_")
        ['Emma', 'Persuasion']
    """
    return [one or other for one, other in _ITALIC.findall(answer)] if "*" in answer or "_" in answer else []


def said_again(text: str, start: int, end: int, question: str) -> bool:
    """Whether what stands around a thing is said again around another: "it was A. It was B." says two things at once.

    Example:
        >>> text = "Emma was written by Austen maybe Emma was written by Burney, born in Lynn"
        >>> said_again(text, 20, 26, ""), said_again("It was made by Austen, so by Austen.", 15, 21, "")
        (True, False)
    """
    words = [(hit.start(), hit.end(), hit[0].lower()) for hit in _WORD.finditer(text)]
    row = [word for _, _, word in words]
    first = next((k for k, (_, stop, _) in enumerate(words) if stop > start), len(words))
    last = next((k for k, (begin, _, _) in enumerate(words) if begin >= end), len(words))
    said, before, after = row[first:last], row[max(0, first - 3) : first], row[last : last + 2]
    stems = asked_for(question).stems
    for k in range(len(row)):
        again = len(before) == 3 and row[k : k + 3] == before and k + 3 not in (first, len(row))
        if again and row[k + 3 : k + 3 + len(said)] != said and k + 3 < len(row):
            return True
        again = len(after) == 2 and k not in (0, last) and row[k : k + 2] == after
        if again and any(stem(w) in stems for w in after) and row[k - len(said) : k] != said:
            return True
        begin = k + len(before)
        again = bool(before) and begin != first and row[k:begin] == before and len(after) == 2
        if again and any(row[j : j + 2] == after and row[begin:j] != said for j in range(begin + 1, begin + 5)):
            return True
    return False


def is_long(text: str) -> bool:
    return len(_WORD.findall(text[:400])) > LONG


@lru_cache(maxsize=20_000)
def sort_of(name: str) -> str:
    """What a name looks like: "who", "where", "organisation" or "".

    Example:
        >>> [sort_of(name) for name in ("Ada M. Byron", "Norway", "University of Oslo", "Emma")]
        ['who', 'where', 'organisation', '']
    """
    parts = [part.removesuffix("'s") for part in _WORD.findall(name)]
    if any(fold(part) in _ORGANISATION for part in parts):
        return "organisation"
    if kind_of_place(" ".join(map(fold, parts))):
        return "where"
    capitals = [part for part in parts if part[0].isupper()]
    return "who" if 1 < len(capitals) < 5 and len(parts) - len(capitals) < 2 and name.upper() != name else ""


def traits(
    text: str,
    spans: Sequence[tuple[int, int]],
    question: str,
    marked: Sequence[str] = (),
    leaning: Sequence[str] = (),
    *,
    counts: bool = False,
) -> list[dict[str, float]]:
    """What speaks for or against each of the spans being what the question asks for.

    Args:
        text: the answer.
        spans: (start, end) of the things in it, in order.
        question: the question.
        marked: what the answer sets in bold.
        leaning: what it sets in italics.
        counts: the things are numbers or dates: a verb is told of what follows, a noun counted by what precedes it.

    Example:
        >>> text = "Oliver Heaviside, born in 1850, published his second paper in 1873, two years before 1875."
        >>> asked = "What year did Heaviside publish his second paper?"
        >>> near = [t["near"] for t in traits(text, [(26, 30), (63, 67), (85, 89)], asked)]
        >>> near.index(max(near))
        1
    """
    asked = asked_for(question)
    words = [(hit.start(), hit.end(), stem(hit[0])) for hit in _WORD.finditer(text)]
    borders = [(hit.start(), str(hit.lastgroup)) for hit in _BORDER.finditer(text)]
    stops = [at for at, sort in borders if sort == "stop"]
    cuts = [at for at, sort in borders if sort != "near"]
    begins = [0, *stops]
    height, heights, k = 0.0, [], 0
    for start, _, _ in words:
        while k < len(borders) and borders[k][0] <= start:
            height += _COST[borders[k][1]]
            k += 1
        heights.append(height)
    ends = [end for _, end, _ in words]
    own = {i for a, b in spans for i in range(bisect_right(ends, a), bisect_left(ends, b) + 1)}
    places = [(i, stem_) for i, (_, _, stem_) in enumerate(words) if stem_ in asked.stems and i not in own]
    lower = [text[start].islower() for start, _, _ in words]
    by_sentence = _covers(words, stops, asked)
    by_clause = _covers(words, cuts, asked)
    most, most_of_clauses = max(by_sentence.values(), default=0.0), max(by_clause.values(), default=0.0)
    out = []
    for k, (start, end) in enumerate(spans):
        first = min(bisect_right(ends, start), len(words) - 1)
        last = min(bisect_left(ends, end), len(words) - 1)
        best: dict[str, float] = {}
        for i, stem_ in places:
            at = first if i < first else last
            distance = abs(at - i) + abs(heights[at] - heights[i])
            if counts and i > last and lower[i]:
                distance += 5 if i > last + 2 or heights[i] > heights[last] else -1
            best[stem_] = max(best.get(stem_, 0.0), asked.stems[stem_] / (1 + max(distance, 0) / 3))
        sentence, clause = bisect_right(stops, start), bisect_right(cuts, start)
        before = text[max(0, start - 40) : start]
        quoted = before[-1:] in ('"', "“", "'", "‘", "«")
        title = quoted or any(_stands(text[start:end], mark) for mark in leaning)
        around = words[max(0, first - 2) : first] + words[last + 1 : last + 3]
        out.append(
            {
                "near": sum(value for stem_, value in best.items() if asked.stems[stem_] > 1),
                "near names": sum(value for stem_, value in best.items() if asked.stems[stem_] < 1),
                "first": float(k == 0),
                "order": min(k, 6) / 6,
                "first sentence": float(sentence == 0),
                "late": float(sentence > 1),
                "sentence": by_sentence.get(sentence, 0.0) / most if most else 0.0,
                "clause": by_clause.get(clause, 0.0) / most_of_clauses if most_of_clauses else 0.0,
                "bold": float(any(_stands(text[start:end], mark) for mark in marked)),
                "brackets": float(before.rfind("(") > before.rfind(")")),
                "apart": float(bool(_APART.search(before))),
                "title, asked": float(title and asked.sort == "title"),
                "title, who": float(title and asked.sort == "who"),
                "title, else": float(title and asked.sort not in ("title", "who")),
                "concludes": float(bool(_CONCLUDES.match(text, begins[sentence], begins[sentence] + 60))),
                "head beside": float(bool(asked.head) and any(word[2] == asked.head for word in around)),
            }
        )
    return out


def _covers(words: Sequence[tuple[int, int, str]], cuts: Sequence[int], asked: Asked) -> dict[int, float]:
    """How much of the question each part of a text says, by the number of the part."""
    said: dict[int, set[str]] = {}
    for start, _, stem_ in words:
        if stem_ in asked.stems:
            said.setdefault(bisect_right(cuts, start), set()).add(stem_)
    return {part: sum(asked.stems[s] for s in stems) for part, stems in said.items()}


def _stands(part: str, mark: str) -> bool:
    """Whether a thing stands in what is in bold as a whole word."""
    at = mark.find(part)
    if at < 0:
        return False
    return not mark[at - 1 : at].isalnum() and not mark[at + len(part) : at + len(part) + 1].isalnum()


def weigh(found: Sequence[Mapping[str, float]], kind: str) -> list[float]:
    """The weighted sum of each thing's traits.

    Example:
        >>> one, other = weigh([{"bold": 1.0}, {"brackets": 1.0}], "names")
        >>> one > other
        True
    """
    weights = WEIGHTS[kind]
    return [sum(weights.get(name, 0.0) * value for name, value in row.items()) for row in found]
