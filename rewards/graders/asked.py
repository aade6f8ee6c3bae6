"""What a question asks for, where its answer is a number or a date: a unit, things that are counted, a place in a row.

Read from the question alone, so that it is the same whatever the gold is.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from abstain.rewards.graders.alignment import stem
from abstain.rewards.graders.numerals import word_set
from abstain.rewards.graders.tokens import Tokens, number_text, unit_at
from abstain.rewards.graders.units import MONEY, UNITS, Unit
from abstain.rewards.graders.words import FUNCTION

_MEASURES = {
    re.compile(
        r"\bhow (?:tall|high|deep|wide|far|thick|broad)\b"
        r"|\b(?:length|height|width|depth|distance|altitude|elevation|diameter|wingspan|thickness)\b",
        re.IGNORECASE,
    ): frozenset(["length"]),
    re.compile(r"\bhow long\b|\bduration\b|\brunning time\b|\bruntime\b", re.IGNORECASE): frozenset(
        ["length", "time"]
    ),
    re.compile(r"\bhow heavy\b|\bweigh(?:s|t|ed)?\b|\bmass\b", re.IGNORECASE): frozenset(["mass", "mass or money"]),
    re.compile(r"\bhow (?:large|big)\b|\barea\b", re.IGNORECASE): frozenset(["area"]),
    re.compile(r"\bhow fast\b|\bspeed\b|\bvelocity\b|\brate of climb\b", re.IGNORECASE): frozenset(["speed"]),
    re.compile(r"\btemperature\b", re.IGNORECASE): frozenset(["temperature", "angle"]),
    re.compile(r"\bfrequency\b", re.IGNORECASE): frozenset(["frequency"]),
    re.compile(r"\bpercent(?:age)?\b|\bproportion\b", re.IGNORECASE): frozenset(["percent"]),
    re.compile(
        r"\bhow much\b|\b(?:price|cost|revenue|salary|budget|worth|prize money|fine|sum|grossed|amount of money)\b",
        re.IGNORECASE,
    ): MONEY | {"mass or money"},
}
_DATE = re.compile(
    r"\b(?:when|years?(?!-)|dates?|days?|months?|decades?|century|time|period|season|born|birth\w*|how long)\b"
    r"|年|月|日|いつ",
    re.IGNORECASE,
)
_COUNT = re.compile(
    r"\bhow (?:many|much|tall|high|deep|wide|far|thick|long|heavy|large|big|fast|old)\b|\bnumber of\b"
    r"|\b(?:what|which) (?:is|was|were|are|did|does)? ?(?:the )?(?:[\w'’-]{1,30} ){0,4}(?:population|capacity"
    r"|attendance|total|amount|score|length|height|width|depth|distance|altitude|elevation|weight|mass|area|number|price|cost)\b",
    re.IGNORECASE,
)
_COUNTED = re.compile(
    r"\b(?:how many|number of|percentage of)((?: (?:[^\W\d_]|[-'’]){1,30}){1,7})",
    re.IGNORECASE,
)
_POPULATION = re.compile(r"\b([A-Z][a-z]{2,20}|female|male|urban|rural) (?:population|residents|inhabitants)\b")
_PLACE = re.compile(
    r"\b(?:what|which)(?: [\w'’-]{1,20}){0,2} (?P<noun>(?<!take )(?<!takes )(?<!took )place|position|rank"
    r"|ranking|level|minute|season|episode|number(?! of)"
    r"|grade|round|edition|chapter|track|week|lap|inning|floor"
    r"|volume|issue|stage|spot|generation|draft|pick|attempt)\b"
    r"|\bwhere (?:did|does|do|was|were)\b.{1,200}\b(?P<verb>finish|rank|place|come|ranked|placed)\b"
    r"|\bminutes?, when\b",
    re.IGNORECASE,
)
_AGE = re.compile(r"\b(?:how old|(?:what|which) age|age of|(?:his|her|their) age)\b", re.IGNORECASE)
_LIMIT = re.compile(
    r"\b(?:up to|at least|at most|maximum|minimum|max|min|highest|lowest|limit|largest|smallest|longest"
    r"|as (?:many|much) as|can (?:\w+ ){0,5}(?:carry|hold|seat|accommodate)|capacity)\b",
    re.IGNORECASE,
)
_LIFE = re.compile(r"\b(?:born|birth\w*|die[sd]?|death|age[sd]?|old|liv(?:e|ed|es|ing)|life\w*)\b", re.IGNORECASE)
_PEOPLE = word_set(
    """people persons person individuals inhabitants residents victims passengers men women children lives deaths dead
    casualties souls soldiers workers citizens fatalities"""
)
_PEOPLE_STEMS = frozenset(map(stem, _PEOPLE))
_NO_NOUN = FUNCTION | word_set("total different individual overall more other exact times years days official")


@dataclass(frozen=True, slots=True)
class Counting:
    """What a question asks for, where it asks for a number.

    Args:
        unit: the unit that it wants ("how many acres", "in metres"), or `None`.
        measures: what the number may measure ("how tall"), the unit's measure among it.
        nouns: the stems of the things that are counted, people by any of their names.
        place: it asks for a place in a row, so that "ninth" is 9; with the stem of the noun, or "".
        age: it asks for an age.
        limit: it asks for a limit itself.
        date: it may ask for a year or a day.
        count: it asks for a count or a measure.
        life: it asks about somebody's birth, life or death.
    """

    unit: Unit | None
    measures: frozenset[str]
    nouns: frozenset[str]
    place: str | None
    age: bool
    limit: bool
    date: bool
    count: bool
    life: bool


def _unit(question: str) -> Unit | None:
    """The unit that a question wants its answer in."""
    t = Tokens(number_text(question))
    for i in range(1, len(t)):
        found = unit_at(t, i)
        if found is None or t.low[i] in ("in", "t", "an", "as"):
            continue
        before = t.low[i - 1]
        if before == "many" or before in ("(", "nearest"):
            return found[0]
        if before in ("in", "of") and (t.low[i - 2] in ("(", "number", "amount") or before == "in"):
            return found[0]
        if ["how", "many"] in (t.low[max(0, i - 3) : i - 1], t.low[max(0, i - 4) : i - 2]) and len(t.low[i]) > 2:
            return found[0] if t.kinds[i - 1] == "w" and before not in FUNCTION else None
        if t.low[i] in ("cc", "rpm", "mph", "hp") and before in ("engine", "the", "many", "what"):
            return found[0]
        if before == "one" and t.low[max(0, i - 4) : i - 1] == ["plus", "or", "minus"]:
            return found[0]
    return None


def _nouns(question: str) -> frozenset[str]:
    hit = _COUNTED.search(question)
    if not hit:
        part = _POPULATION.search(question)  # "the Asian population"
        return frozenset([stem(part[1])]) if part else frozenset()
    out = []
    for word in hit[1].replace("-", " ").split():
        low = word.lower()
        if low in FUNCTION:
            break
        if low not in _NO_NOUN:
            out.append(stem(low.strip("'’")))
    if not _PEOPLE_STEMS.isdisjoint(out):
        return frozenset(out) | _PEOPLE_STEMS
    return frozenset(out)


@lru_cache(maxsize=4096)
def counting(question: str) -> Counting:
    """What a question asks for, where it asks for a number.

    Example:
        >>> counting("How many acres does the park cover?").unit.measures
        'area'
        >>> sorted(counting("How many silver medals did Norway win?").nouns), counting("Where did she finish?").place
        (['medal', 'silver'], '')
    """
    unit, place = _unit(question), _PLACE.search(question)
    if unit is None and place and place["noun"] == "minute":
        unit = UNITS["min"]
    measures = frozenset([unit.measures]) if unit else frozenset()
    if not unit:
        for pattern, kinds in _MEASURES.items():
            if pattern.search(question):
                measures |= kinds
    count = bool(_COUNT.search(question))
    date = bool(_DATE.search(question)) and not count and not unit
    return Counting(
        unit,
        measures,
        _nouns(question),
        stem(place["noun"] or "") if place else None,
        bool(_AGE.search(question)),
        bool(_LIMIT.search(question)),
        date,
        count or unit is not None,
        bool(_LIFE.search(question)),
    )


_ORDINAL = re.compile(r"\d(?:st|nd|rd|th)\b|\b(?:first|second|third|[a-z]{3,12}th)\b", re.IGNORECASE)
_DATED = re.compile(r"\b(?:when|years?|dates?)\b", re.IGNORECASE)


def aim_of(answer: str, question: str) -> Counting | None:
    """What the question asks for, or `None` for a short answer that can be read without it."""
    if not question or (len(answer) < 40 and not _ORDINAL.search(answer)):
        return None
    return counting(question)


def asks_no_date(question: str) -> bool:
    """Whether a gold "1213" is a count, by its question.

    Example:
        >>> asks_no_date("How many performances were given in 1850?"), asks_no_date("When was it built?")
        (True, False)
    """
    if not question or ("ow m" not in question and _DATED.search(question)):
        return False
    return not counting(question).date


_SHORT_YEAR = re.compile(r"(?<!\w)'(\d\d)(?= [^\W\d_])")


def with_years(question: str) -> str:
    """A question with its short years written out.

    Example:
        >>> with_years("Who won the '04 Series?")
        'Who won the 2004 Series?'
    """
    return _SHORT_YEAR.sub(lambda hit: f"{'20' if hit[1] < '40' else '19'}{hit[1]}", question)
