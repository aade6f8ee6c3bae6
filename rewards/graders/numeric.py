"""The `numeric` grader: the same number, to the last significant digit of the gold.

* Gold "3.5 million" is met by 3,512,000 and not by 3,560,000; gold "29.1" by 29.12; a whole number without a scale
word is
  exact. A scaled number has at least two significant digits ("3 million" is 3.0). Windows are half-open, as in
  rounding: no answer meets two neighbouring golds.
* "(acceptable range: anything between X and Y)" in the gold, as in SimpleQA Verified, replaces that rule.
* Units are converted ("5 km" is "5000 m"); between systems 1 % is allowed for rounding ("3.1 miles" is "5 km"). A unit
that
  measures something else is wrong; a missing unit is taken to be the gold's.
* "12%" is met by "12" and by "0.12". Currencies are not converted.
* Several different numbers without a choice are wrong; numbers of another kind than the gold ("in 1889 it was 324 m
tall")
  are passed over.

How numbers are written is in `numbers`. A gold without exactly one number is UNGRADED.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from abstain.rewards.graders.numbers import Quantity, Unit, common_unit, find_numbers, number_text
from abstain.rewards.graders.statement import denied, settle
from abstain.rewards.graders.text import tidy
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

_RANGE = re.compile(
    r"acceptable range:? (?:anything )?(?:between |from )?(.{1,40}?) (?:and|to|-) (.{1,40}?)\)", re.IGNORECASE
)
_YEAR_BEFORE = re.compile(r"\b(?:in|since|by|as of|until|during|year|before|after|from|circa) $", re.IGNORECASE)
_BRACKET = re.compile(r"\([^()]*\)")


@dataclass(frozen=True)
class GoldNumber:
    """A gold quantity, and the range it allows, ends included, if it states one."""

    quantity: Quantity
    low: float | None = None
    high: float | None = None


def _one(text: str) -> Quantity | None:
    found = find_numbers(text)
    return found[0] if found and all(q.value == found[0].value for q in found) else None


@lru_cache(maxsize=20_000)
def _gold_number(gold: str) -> GoldNumber | None:
    text = tidy(number_text(gold))
    stated = _one(_BRACKET.sub(" ", text)) or _one(text)
    limits = _RANGE.search(text)
    low, high = (_one(limits[1]), _one(limits[2])) if limits else (None, None)
    if stated is None or not (low and high):
        return GoldNumber(stated) if stated else None
    return GoldNumber(stated, min(low.value, high.value), max(low.value, high.value))


def _is_near(stated: float, gold: GoldNumber, slack: float = 0.0) -> bool:
    """Whether a number in the gold's unit is the gold's, `slack` being allowed for conversion."""
    value, step = gold.quantity.value, gold.quantity.step
    exact = 1e-9 * abs(value)
    if gold.low is not None and gold.high is not None:
        return gold.low - exact - slack <= stated <= gold.high + exact + slack
    if slack or not step:
        return abs(stated - value) <= max(slack, exact)
    return -step / 2 - exact <= stated - value < step / 2 - exact


def _convert(value: float, unit: Unit, to: Unit) -> float:
    return (value * unit.factor + unit.offset - to.offset) / to.factor


def _same(stated: Quantity, gold: GoldNumber) -> bool:
    """Whether a stated quantity is the gold one, units considered."""
    unit, wanted = common_unit(stated.unit, gold.quantity.unit)
    measures = {u.measures for u in (unit, wanted) if u}
    if unit is None or wanted is None:
        as_fraction = stated.value * 100 if wanted else stated.value / 100
        return _is_near(stated.value, gold) or (measures == {"percent"} and _is_near(as_fraction, gold))
    if len(measures) > 1:
        return False
    converted = _convert(stated.value, unit, wanted)
    decades = math.log10(unit.factor / wanted.factor)
    exact = unit.offset == wanted.offset and abs(decades - round(decades)) < 1e-9
    slack = (
        0.0 if exact else max(0.01 * abs(gold.quantity.value) if not wanted.offset else 0.5, gold.quantity.step / 2)
    )
    return _is_near(converted, gold, slack)


def _relevant(statement: str, found: list[Quantity], golds: Sequence[GoldNumber]) -> list[Quantity]:
    """The numbers that could be the answer: of the gold's kind if there are any, and no bare year beside others."""
    units = {g.quantity.unit.measures if g.quantity.unit else None for g in golds}
    for kind in ([q for q in found if q.unit and q.unit.measures in units], [q for q in found if q.unit is None]):
        if kind and (units != {None} or kind[0].unit is None):
            found = kind
            break
    others = [
        q
        for q in found
        if not (1000 <= q.value <= 2100 and _YEAR_BEFORE.search(statement[max(0, q.start - 8) : q.start]))
    ]
    return others or found


def grade_numeric(
    answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient"
) -> Verdict:
    """Grade a number or a quantity; see the module for what counts as the same.

    Example:
        >>> [grade_numeric(a, ["3.5 million"]).value for a in ("3,500,000", "three million", "3.5 or 4 million")]
        ['CORRECT', 'INCORRECT', 'INCORRECT']
        >>> [grade_numeric(a, ["5 km"]).value for a in ("5000 m", "5 kg")], grade_numeric("5", ["Paris"]).value
        (['CORRECT', 'INCORRECT'], 'UNGRADED')
    """
    golds = [number for text in gold if (number := _gold_number(text))]
    if not golds:
        return Verdict.UNGRADED
    statement = settle(tidy(number_text(answer)), find_numbers)
    result = re.split(r"[=≈]", statement)[-1]
    statement = result if find_numbers(result) else statement
    found = [q for q in find_numbers(statement) if not denied(statement, q.start, q.end)]
    stated = _relevant(statement, found, golds)
    right = bool(stated) and all(any(_same(q, g) for g in golds) for q in stated)
    return Verdict.CORRECT if right else Verdict.INCORRECT
