"""Sums that a reply works out, so that their operands are no answers: "12 × 4 = 48", "48 (12 × 4)", "5 squared"."""

import re
from collections.abc import Sequence

from abstain.rewards.graders.mentions import Stated, gap_between

_OPERATORS = frozenset(["*", "+", "-", "/", "x", "^", "plus", "minus", "times", "divided by", "multiplied by"])
_EQUALS = frozenset(["=", "≈", "==", "equals", "is", "makes", "gives", "= ~"])
_SPELT_OUT = frozenset(
    ["(", "(=", "=", "(i.e.", ", i.e.", ", i.e.,", "i.e.", "(that is", ", that is", ", that is,", "or"]
)
_SQUARED = re.compile(r"[ -](?P<two>squared)\b|[ -](?P<three>cubed)\b", re.IGNORECASE)
_NAMED_SUM = re.compile(r"\b(sum|total|difference|product|quotient|ratio) (?:of|between) $", re.IGNORECASE)
_NAMED = {"sum": "+", "total": "+", "difference": "-", "product": "*", "quotient": "/", "ratio": "/"}
_IN_ROW = frozenset([",", "and", ", and"])


def _value(gaps: list[str], numbers: list[float]) -> float | None:
    """What a sum of numbers comes to, multiplication first."""
    if "^" in gaps:
        at = len(gaps) - 1 - gaps[::-1].index("^")
        base, power = numbers[at : at + 2]
        if not (abs(base) < 1e6 and 0 <= power <= 40):
            return None
        return _value(gaps[:at] + gaps[at + 1 :], [*numbers[:at], base**power, *numbers[at + 2 :]])
    terms, sign = [numbers[0]], 1
    for operator, number in zip(gaps, numbers[1:], strict=True):
        if operator in ("*", "x", "times", "multiplied by"):
            terms[-1] *= number
        elif operator in ("/", "divided by"):
            if not number:
                return None
            terms[-1] /= number
        else:
            sign = -1 if operator in ("-", "minus") else 1
            terms.append(sign * number)
    return sum(terms)


def sums(text: str, found: Sequence[Stated]) -> tuple[set[int], bool]:
    """The operands of sums that have a result ("12 × 4 = 48"), by start, and whether every one comes out right."""
    operands: set[int] = set()
    used: list[tuple[int, float]] = []
    results: list[tuple[int, float]] = []
    right, i = True, 0
    while i < len(found):
        k, gaps = i, []
        named = _NAMED_SUM.search(text, max(0, found[i].start - 24), found[i].start)
        operators = _IN_ROW if named else _OPERATORS
        while (
            k + 1 < len(found)
            and found[k].quantity
            and (gap := gap_between(text, found[k], found[k + 1])) in operators
        ):
            gaps.append(_NAMED[named[1].lower()] if named else gap)
            k += 1
        raised = _SQUARED.match(text, found[i].end) if not gaps else None
        if (gaps or raised) and i and gap_between(text, found[i - 1], found[i]) in _SPELT_OUT:  # "48 (12 × 4)"
            numbers = [s.quantity.value for s in found[i : k + 1] if s.quantity]
            numbers = [numbers[0] ** (2 if raised["two"] else 3)] if raised and abs(numbers[0]) < 1e6 else numbers
            worth, result = _value(gaps, numbers) if len(numbers) == len(gaps) + 1 else None, found[i - 1].quantity
            if worth is not None and result is not None and worth == result.value:
                operands |= {s.start for s in found[i : k + 1]}
                i = k + 1
                continue
        if gaps and k + 1 < len(found) and gap_between(text, found[k], found[k + 1]) in _EQUALS:
            numbers = [s.quantity.value for s in found[i : k + 1] if s.quantity]
            result = found[k + 1].quantity
            worth = _value(gaps, numbers) if len(numbers) == len(gaps) + 1 else None
            right = (
                right and worth is not None and result is not None and abs(worth - result.value) <= 0.01 * abs(worth)
            )
            used += [(s.start, s.quantity.value) for s in found[i : k + 1] if s.quantity]
            results += [(found[k + 1].start, result.value)] if result else []
        i = k + 1
    operands |= {start for start, _ in used}
    values = {value: start for start, value in used}  # "12 × 4 = 48. 48 + 2 = 50": a result may be summed further
    operands |= {start for start, value in results if values.get(value, -1) > start}
    return operands, right
