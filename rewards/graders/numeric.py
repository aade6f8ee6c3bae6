"""The `numeric` grader: the same number, to the last significant digit of the gold.

* Gold "3.5 million" is met by 3,512,000 and not by 3,560,000; gold "29.1" by 29.12; a whole number without a scale
  word is exact. A scaled number has at least two significant digits ("3 million" is 3.0). Windows are half-open, as in
  rounding: no answer meets two neighbouring golds.
* "(acceptable range: anything between X and Y)" in the gold, as in SimpleQA Verified, replaces that rule.
* Units are converted ("5 km" is "5000 m"); between systems 1 % is allowed for rounding ("3.1 miles" is "5 km"). A unit
  that measures something else is wrong; a missing unit is taken to be the gold's.
* "12%" is met by "12" and by "0.12". Currencies are not converted. "4th" meets "fourth" and is no 4.
* Limits ("less than 5", 5以上) state no number, unless the gold is the same limit.
* Which number a reply states is found before the gold is looked at: see `stated`.

How numbers are written is in `quantities`. A gold without exactly one number is UNGRADED.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from abstain.rewards.graders.alignment import is_long
from abstain.rewards.graders.asked import Counting, aim_of
from abstain.rewards.graders.limits import limit_of
from abstain.rewards.graders.mentions import Stated, find_stated, is_dated, noun_behind
from abstain.rewards.graders.prose_numbers import marked_in
from abstain.rewards.graders.quantities import Quantity
from abstain.rewards.graders.stated import Sift, stated, touching
from abstain.rewards.graders.tokens import number_text
from abstain.rewards.graders.units import MONEY, ORDINAL, Unit, common_unit, convert, may_measure
from abstain.rewards.graders.words import FUNCTION
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

_RANGE = re.compile(
    r"acceptable range:? (?:anything )?(?:between |from )?(.{1,40}?) (?:and|to|-) (.{1,40}?)\)", re.IGNORECASE
)
_ABOUT = frozenset(["about", "around", "approximately", "roughly", "circa", "almost", "nearly", "some"])
_BRACKET = re.compile(r"\([^()]{0,200}\)")


@dataclass(frozen=True)
class GoldNumber:
    """A gold quantity, and the range it allows, ends included, if it states one; `bound` for "more than 5", and
    `about` for "about 5"."""

    quantity: Quantity
    low: float | None = None
    high: float | None = None
    bound: str = ""
    about: bool = False


def _one(text: str) -> Stated | None:
    found = [s for s in find_stated(text) if s.quantity and not math.isnan(s.quantity.value)]
    same = found and all(
        s.quantity and found[0].quantity and s.quantity.value == found[0].quantity.value for s in found
    )
    return found[0] if same else None


@lru_cache(maxsize=20_000)
def _gold_number(gold: str) -> GoldNumber | None:
    text = number_text(gold)
    found = _one(_BRACKET.sub(" ", text)) or _one(text)
    if found is None or found.quantity is None:
        return None
    limits = _RANGE.search(text)
    low, high = (_one(limits[1]), _one(limits[2])) if limits else (None, None)
    if not (low and high and low.quantity and high.quantity):
        about = not _ABOUT.isdisjoint(text[: found.start].lower().split()[-1:])
        return GoldNumber(found.quantity, bound=limit_of(text, found), about=about)
    ends = low.quantity.value, high.quantity.value
    return GoldNumber(found.quantity, min(ends), max(ends))


def _is_near(value: float, gold: GoldNumber, slack: float = 0.0) -> bool:
    """Whether a number in the gold's unit is the gold's, `slack` being allowed for conversion."""
    wanted, step = gold.quantity.value, gold.quantity.step
    exact = 1e-9 * abs(wanted)
    if gold.low is not None and gold.high is not None:
        return gold.low - exact - slack <= value <= gold.high + exact + slack
    if slack or step / 2 <= exact:
        return abs(value - wanted) <= max(slack, exact)
    return -step / 2 - exact <= value - wanted < step / 2 - exact


def _is_rounded(said: Quantity, gold: GoldNumber) -> bool:
    """Whether a number is one that is only about so much, with fewer digits: "2.4" for "about 2.45"."""
    wanted = gold.quantity
    if not gold.about or said.unit != wanted.unit or not 0 < wanted.step < said.step:
        return False
    return abs(said.value - wanted.value) <= said.step / 2 * (1 + 1e-9)


def _same(said: Quantity, gold: GoldNumber) -> bool:
    """Whether a stated quantity is the gold one, units considered."""
    unit, wanted = common_unit(said.unit, gold.quantity.unit)
    if unit is None or wanted is None:
        if unit is ORDINAL:
            return False
        if _is_near(said.value, gold):
            return True
        percent = (unit or wanted) if (unit or wanted or ORDINAL).measures == "percent" else None
        if percent is None:
            return False
        worth = percent.factor / 100
        return _is_near(said.value / worth, gold) if wanted else _is_near(said.value * worth, gold)
    if unit.measures != wanted.measures:
        return False
    if unit == wanted:
        return _is_near(said.value, gold)
    decades = math.log10(unit.factor / wanted.factor)
    exact = unit.offset == wanted.offset and abs(decades - round(decades)) < 1e-9
    if unit.measures == "time" and unit.offset == 0:
        exact = max(unit.factor, wanted.factor) < 2_000_000  # months and years are not equally long
    value = convert(said.value, unit, wanted)
    rounding = 0.01 * abs(gold.quantity.value) if not wanted.offset else 0.5
    return _is_near(value, gold, 0.0 if exact else max(rounding, gold.quantity.step / 2))


def same_number(first: Stated, second: Stated) -> bool:
    """Whether two mentions of a reply are one number: rounded, converted, or a share and its percentage.

    Example:
        >>> both = find_stated("324 m (1,063 ft)")
        >>> same_number(*both), same_number(*find_stated("41 or 42"))
        (True, False)
    """
    one, other = first.quantity, second.quantity
    if one is None or other is None:
        return False
    if one.value == other.value and one.unit == other.unit:
        return True
    if math.isnan(one.value) or math.isnan(other.value):
        return False
    if one.unit is not None and other.unit is not None:
        return _same(one, GoldNumber(other)) or _same(other, GoldNumber(one))
    if (one.unit or other.unit) is ORDINAL:
        return False
    return _same(one, GoldNumber(other)) or _same(other, GoldNumber(one))


_OTHER_WORD = re.compile(r"[ -]([^\W\d_]{2,30})")


def _has_word_behind(text: str, found: Stated) -> bool:
    """Whether a number counts something: "one New Zealand concert"."""
    hit = _OTHER_WORD.match(text, found.end)
    return hit is not None and hit[1].lower() not in FUNCTION


_LABELLED = re.compile(r"\bthe $|\b[12]\d{3} ?(?:or|and|to|-|/) ?$", re.IGNORECASE)


def _is_label(text: str, found: Stated) -> bool:
    """Whether a year names something: "the 2004 World Series", "(2012)"."""
    if found.quantity is None or not found.quantity.year:
        return False
    before = text[max(0, found.start - 12) : found.start]
    return bool(_LABELLED.search(before) or re.match(r"[ -][A-Z]", text[found.end : found.end + 2]))


def _sift(measures: frozenset[str], years: bool, *, known: bool = False) -> Sift:
    """Keeps the mentions of a reply that are of the gold's kind, or all numbers if there are none.

    Args:
        measures: what the gold measures; nothing for a bare number.
        years: the gold may be a year.
        known: the question says what is measured, so that a number of anything else is no rival.
    """

    def sift(text: str, found: list[Stated]) -> list[Stated]:
        numbers = [s for s in found if s.quantity is not None]
        if len(numbers) < 2:
            return numbers
        known_ = known and is_long(text)
        units = [s.quantity.unit if s.quantity else None for s in numbers]
        bare = [
            s
            for s, unit in zip(numbers, units, strict=True)
            if unit is None and (years or not (is_dated(text, s) or (known_ and _is_label(text, s))))
        ]
        if measures:
            of_kind = [s for s, unit in zip(numbers, units, strict=True) if unit and measures & may_measure(unit)]
            counts = _has_word_behind if known_ else lambda text, s: bool(noun_behind(text, s.end))
            free = [s for s in bare if not (of_kind and counts(text, s))]
            kind = [*of_kind, *free]
        else:
            kind = bare[:] or [s for s, unit in zip(numbers, units, strict=True) if unit is not ORDINAL]
        if kind and len(kind) < len(numbers):
            pairs = [(a, b) for a, b in pairwise(numbers) if touching(text, a, b) and "(" not in text[a.end : b.start]]
            signs = [s for pair in pairs for s in pair if s.quantity and s.quantity.unit is not ORDINAL]
            starts = {s.start for s in kind}
            kind += {s.start: s for s in signs if s.start not in starts}.values()
        numbers = sorted(kind or numbers, key=lambda s: s.start)
        return numbers if years else [s for s in numbers if not is_dated(text, s)] or numbers

    return sift


@lru_cache(maxsize=20_000)
def _golds(gold: tuple[str, ...], asked: Counting | None = None) -> tuple[tuple[GoldNumber, ...], Sift]:
    golds = tuple(number for text in gold if (number := _gold_number(text)))
    years = any(g.quantity.year for g in golds) and not (asked and not asked.date)
    if asked and asked.unit and asked.unit.measures != "percent":
        golds = tuple(
            g if g.quantity.unit else replace(g, quantity=replace(g.quantity, unit=asked.unit)) for g in golds
        )
    if asked and asked.place is not None:
        golds = tuple(
            replace(g, quantity=replace(g.quantity, unit=None)) if g.quantity.unit is ORDINAL else g for g in golds
        )
    units = [g.quantity.unit for g in golds]
    measures = frozenset(measure for unit in units if unit for measure in may_measure(unit))
    if None in units:
        measures = asked.measures if asked else frozenset()
    measures |= MONEY if measures & MONEY else frozenset()  # all money is of one kind
    return golds, _sift(measures, years, known=asked is not None)


def _in_one_unit(said: list[Stated], wanted: Unit | None) -> list[Stated]:
    """Of mentions that are one quantity in several units ("10 acres (4.0 ha)") those that are to be compared.

    Which they are does not hang on the gold's number, so that no two roundings of it are paid.
    """
    units = [s.quantity.unit for s in said if s.quantity]
    if len(set(units)) < 2:
        return said
    unit = wanted if wanted in units else units[0]
    return [s for s in said if s.quantity and s.quantity.unit == unit]


def grade_numeric(answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
    """Grade a number or a quantity; see the module for what counts as the same.

    Example:
        >>> [grade_numeric(a, ["3.5 million"]).value for a in ("3,500,000", "three million", "3.5 or 4 million")]
        ['CORRECT', 'INCORRECT', 'INCORRECT']
        >>> [grade_numeric(a, ["5 km"]).value for a in ("5000 m", "5 kg")], grade_numeric("5", ["Paris"]).value
        (['CORRECT', 'INCORRECT'], 'UNGRADED')
    """
    golds, sift = _golds(tuple(gold), aim_of(answer, question))
    if not golds:
        return Verdict.UNGRADED
    said = stated(
        number_text(answer),
        question and number_text(question),
        reading == "strict",
        sift,
        same_number,
        marked_in(answer) if question else (),
    )
    right = bool(said) and any(
        all(
            s.quantity and (_same(s.quantity, g) or _is_rounded(s.quantity, g)) and s.bound in ("", g.bound)
            for s in _in_one_unit(said, g.quantity.unit)
        )
        for g in golds
    )
    return Verdict.CORRECT if right else Verdict.INCORRECT
