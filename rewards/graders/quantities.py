"""Quantities in free text: "3.5 million", "−1,234", "6.02×10²³", "twenty-one", "5 km", "12%", "350万", "6 ft 2 in".

A text is cut into tokens once; a quantity is read from the token that it starts with, looking a few tokens ahead, so
that any text takes time in proportion to its length.
"""

import re
from dataclasses import dataclass

from abstain.rewards.graders.numerals import (
    FRACTIONS,
    KANJI,
    KANJI_AFTER,
    KANJI_BEFORE,
    KANJI_DIGITS,
    KANJI_SCALES,
    KANJI_TENS,
    ONES,
    ORDINALS,
    SCALES,
    TENS,
    TIMES,
    cardinal,
    plain_digits,
    read_kanji,
    spoken_year,
    word_set,
)
from abstain.rewards.graders.tokens import Tokens, unit_at
from abstain.rewards.graders.units import MONEY, ORDINAL, UNITS, Unit, convert


@dataclass(slots=True)
class Quantity:
    """A number with its unit.

    Args:
        value: the number as stated, scale words multiplied in; `nan` for what is no one number ("2.1.3").
        unit: its unit, or `None`.
        step: the size of its last significant digit; 0 if it is a whole number without a scale word, which is exact.
        start: offset in the text.
        end: offset behind it.
        year: it is written as a year is: four digits, or "nineteen eighty-four".
    """

    value: float
    unit: Unit | None
    step: float
    start: int
    end: int
    year: bool = False


def _sign(t: Tokens, i: int) -> tuple[int, int]:
    """-1 and the index of "-", "minus" or 负 before token `i`, else 1 and `i`."""
    before = t.low[i - 1] if i else ""
    if before == "-" and t.glued(i):
        counted = i > 2 and t.kinds[i - 2] == "c" and t.kinds[i - 3] == "n" and t.glued(i - 2)  # 5人-7人
        other = i > 1 and t.glued(i - 1) and (t.kinds[i - 2] in ("n", "w") or t.low[i - 2] in (")", "%") or counted)
        return (1, i) if other else (-1, i - 1)
    if before == "+" and t.glued(i) and not (i > 1 and t.glued(i - 1)):
        return 1, i - 1
    if before in ("minus", "negative", "负", "負"):
        return -1, i - 1
    if t.low[max(0, i - 2) : i] in (["零", "下"], ["点", "下"]):
        return -1, i - 2
    return (-1, i - 4) if t.low[max(0, i - 4) : i] == ["マ", "イ", "ナ", "ス"] else (1, i)


def _money_before(t: Tokens, i: int) -> tuple[Unit | None, int]:
    """A currency in front of token `i` ("$5", "US$ 5", "USD 5"), and the index that it starts at."""
    if i == 0:
        return None, 0
    low = t.low[i - 1]
    unit = UNITS.get(low) if t.kinds[i - 1] in ("s", "w") else None
    if unit is None or unit.measures not in MONEY or len(low) > 3 or low == "won":  # "won 6 medals"
        return None, i
    return unit, i - 2 if low == "$" and i > 1 and t.low[i - 2] in ("us", "a", "c") and t.glued(i - 1) else i - 1


def _last_digit(plain: str, scale: float) -> float:
    """The size of the last significant digit; at least two digits of a scaled number count ("120k", "3 million")."""
    if "." in plain:
        decimals = len(plain.split(".")[1])
        return scale * 10.0**-decimals if scale == 1 or len(plain.replace(".", "").lstrip("0")) > 1 else scale / 10
    if scale == 1:
        return 0.0
    zeros = len(plain) - len(plain.rstrip("0"))
    return scale * 10.0 ** min(zeros, len(plain) - 2)


def _power_at(t: Tokens, k: int) -> tuple[float, int] | None:
    """10 to a power at a token ("10^23"), or after a sign of multiplication ("× 10^23")."""
    low = t.low
    if low[k] in ("*", "x"):
        k += 1
    elif k and t.kinds[k - 1] == "n":
        return None
    if low[k] != "10" or low[k + 1] != "^":
        return None
    k += 2
    k += low[k] == "("
    sign = -1 if low[k] == "-" else 1
    k += low[k] in ("-", "+")
    if t.kinds[k] != "n" or not low[k].isdigit() or len(low[k]) > 4:
        return None
    power = sign * int(low[k])
    return 10.0 ** max(-300, min(300, power)), k + 1 + (low[k + 1] == ")")


def _scale_at(t: Tokens, k: int, money: bool) -> tuple[float, int]:
    """The scale words behind a number ("million", "k", 万), multiplied, and the index behind them."""
    scale = 1.0
    for _ in range(3):
        low = t.low[k]
        at = k + 1 if low == "-" and t.glued(k) and t.low[k + 1] in SCALES else k
        low = t.low[at]
        if low == "k" and not t.glued(at) and not money and t.text[t.starts[at]] == "K":
            break  # 373 K
        if t.kinds[at] == "w" and low in SCALES:
            scale, k = scale * SCALES[low], at + 1
        elif low in ("m", "b") and (money or t.text[t.starts[at] : t.ends[at]].isupper()) and scale == 1:
            scale, k = scale * (1e6 if low == "m" else 1e9), at + 1
        elif low in KANJI_SCALES or low in KANJI_TENS:
            scale, k = scale * (KANJI_SCALES.get(low) or KANJI_TENS[low]), at + 1
        else:
            break
    return scale, k


def _tail(t: Tokens, k: int, unit: Unit | None) -> tuple[Unit | None, int]:
    """The unit behind a number that ends at index `k`, and the index behind it."""
    if t.low[k] == "-" and t.kinds[k + 1] == "w" and t.glued(k) and t.glued(k + 1):
        found = unit_at(t, k + 1)
    else:
        found = unit_at(t, k)
    if found is None or (unit is not None and found[0].measures not in MONEY):
        return unit, k
    return found


def _feet(t: Tokens, i: int) -> tuple[Quantity, int] | None:
    """Reads 5'11" and 6' 2"."""
    digits = t.low[i]
    if "'" in digits:
        feet, _, inches = digits.partition("'")
        if not (feet.isdigit() and inches.isdigit() and len(inches) < 3 and int(inches) < 12 and len(feet) < 4):
            return None
        k = i + 1
    elif (
        digits.isdigit()
        and t.low[i + 1] == "'"
        and t.glued(i + 1)
        and t.kinds[i + 2] == "n"
        and t.low[i + 3] in ('"', "'")
    ):
        feet, inches, k = digits, t.low[i + 2], i + 3
        if not inches.isdigit() or len(inches) > 2 or len(feet) > 4:
            return None
    else:
        return None
    while t.low[k] in ('"', "'") and t.glued(k):
        k += 1
    return Quantity(int(feet) + int(inches) / 12, UNITS["ft"], 1 / 12, t.starts[i], t.ends[k - 1]), k


def _below(t: Tokens, k: int, above: str) -> float:
    """What stands below the fraction bar at token `k`, or 0; "1984/1985" is no fraction."""
    below = t.low[k + 1]
    below = below.replace(",", "") if _THOUSANDS.fullmatch(below) else below  # 1/4,000
    if t.low[k] != "/" or not below.isdigit() or len(below) > 15 or t.low[k + 2] == "/":
        return 0.0
    return 0.0 if len(above) == len(below) == 4 else float(below)


_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3}){1,4}")


def _digits_at(t: Tokens, i: int) -> tuple[Quantity, int] | None:
    """The quantity of a token of digits, or `None` for what is a part of a word ("B2", "42abc")."""
    if i and t.glued(i) and t.kinds[i - 1] == "w" and t.low[i - 1] not in ("us", "usd", "eur", "gbp", "rs"):
        return None
    feet = _feet(t, i)
    if feet:
        return feet
    low = t.low
    digits, start, k = low[i], i, i + 1
    unit, begin = _money_before(t, i)
    sign, begin = _sign(t, begin if unit else i)
    if unit is None and begin < i:
        unit, begin = _money_before(t, begin)
    if (i and low[i - 1] == "第" and t.glued(i)) or low[i + 1 : i + 3] == ["番", "目"]:
        value = float(digits) if digits.isdigit() else float("nan")
        return Quantity(value, ORDINAL, 0.0, t.starts[i], t.ends[i]), i + 1
    mantissa, _, exponent = digits.partition("e")
    plain = None if begin and low[begin - 1] == "√" else plain_digits(mantissa)
    if plain is None:
        return Quantity(float("nan"), unit, 0.0, t.starts[start], t.ends[i]), k
    scale = 10.0 ** max(-300, min(300, int(exponent))) if exponent else 1.0
    value, over = float(plain), 1.0
    power = _power_at(t, i) or _power_at(t, k)
    if power:
        value = 1.0 if power[1] > k and low[i] == "10" and low[k] == "^" else value
        plain = "1" if value == 1.0 and low[i] == "10" and low[k] == "^" else plain
        scale, k = scale * power[0], power[1]
    elif below := _below(t, k, plain):
        over, k = below, k + 2
        k += 2 if low[k : k + 2] == ["of", "a"] and unit_at(t, k + 2) else 0  # "1/500 of a second"
    elif (
        t.kinds[k] == "n"
        and plain.isdigit()
        and low[k].isdigit()
        and 0 < int(low[k][:9]) < (below := _below(t, k + 1, low[k]))
    ):  # 3 1/2
        value, k = value + int(low[k]) / below, k + 3
        plain = f"{value:.6f}"
    if t.kinds[k] == "w" and t.glued(k):
        suffix = low[k]
        if suffix in ("st", "nd", "rd", "th") and plain.isdigit():
            minute = k + 1 + (low[k + 1] == "-")
            if low[minute] == "minute":  # "in the 77th minute" is after 77 minutes
                return Quantity(value, UNITS["min"], 0.0, t.starts[i], t.ends[minute]), minute + 1
            return Quantity(value, ORDINAL, 0.0, t.starts[i], t.ends[k]), k + 1
        if suffix in ("s", "'s") and len(plain) == 4 and plain.isdigit():
            return None  # a decade
        hour = re.fullmatch(r"(h|hr|hrs|ft)(\d{1,2})(m|min|mins|in)?", suffix)
        if hour and plain.isdigit():
            big, small = (UNITS["h"], UNITS["min"]) if suffix[0] == "h" else (UNITS["ft"], UNITS["in"])
            whole = value + convert(int(hour[2]), small, big)
            return Quantity(sign * whole, big, small.factor / big.factor, t.starts[begin], t.ends[k]), k + 1
    if low[k] == "分" and low[k + 1] in ("の", "之") and t.kinds[k + 2] == "n" and low[k + 2].isdigit() and value:
        return Quantity(sign * float(low[k + 2][:15]) / value, None, 0.0, t.starts[begin], t.ends[k + 2]), k + 3
    if low[k] in ("个", "個") and low[k + 1] == "半":
        value, k, plain = value + 0.5, k + 2, f"{plain}.5"
    times, k = _scale_at(t, k, unit is not None)
    scale *= times
    if times >= 1e4 and t.kinds[k] == "n" and t.glued(k) and low[k - 1] in KANJI_SCALES:  # 1億2000万
        rest = plain_digits(low[k])
        more, after = _scale_at(t, k + 1, False)
        if rest and more < times:
            value, k = value + float(rest) * more / scale, after
    behind, k_unit = _tail(t, k, unit)
    if k_unit == k and t.kinds[k] == "w" and t.glued(k) and low[k] not in ("x",):
        return None  # "42abc"
    if behind is not None and behind is unit and t.kinds[k] == "w" and low[k] in ("dollars", "euros", "pounds"):
        k_unit = k + 1
    unit, k = behind, k_unit
    if low[k : k + 2] == ["below", "zero"]:
        sign, k = -1, k + 2
    step = 0.0 if over != 1 else _last_digit(plain, scale)
    year = len(digits) == 4 and digits.isdigit() and scale == 1 and unit is None and 1000 <= value <= 2100
    return Quantity(sign * value / over * scale, unit, step, t.starts[begin], t.ends[k - 1], year), k


def _fraction_at(t: Tokens, i: int, joined: bool = False) -> tuple[float, int] | None:
    """ "a third", "three quarters", "two-thirds", "half": the value, and the index behind it; `joined` to a number."""
    low = t.low
    if low[i] == "half" and low[i + 1] not in ("a", "an"):
        return 0.5, i + 1
    count = 1 if low[i] in ("a", "an", "one") else ONES.get(low[i], 0)
    k = i + 1 + (low[i + 1] == "-")
    if not count or low[k] not in FRACTIONS or (low[k] == "second"):
        return None
    party = low[i] in ("a", "an") and t.kinds[k + 1] == "w" and low[k + 1] not in _AFTER
    if (count == 1) == low[k].endswith("s") or (party and not joined):
        return None  # "a third party", "one thirds"
    return count / FRACTIONS[low[k]], k + 1


_AFTER = word_set("of or and is was are were in as to from")
_ANAPHORIC = word_set("the these those both its his her their all")
_PRONOUN = word_set("no any the this that which every each another other some")
_ALONE = frozenset(["only", "just", "exactly", "appears", "appear", "occurs", "occur", "single"])


def _words_at(t: Tokens, i: int) -> tuple[Quantity, int] | None:
    """The quantity that number words spell from a token on."""
    low, kinds = t.low, t.kinds
    word = low[i]
    before = low[i - 1] if i else ""
    if word in TIMES or word == "none":
        if word in ("twice", "thrice") or not before or before in _ALONE or kinds[i - 1] != "w":
            if word in ("once", "none") and kinds[i + 1] == "w" and i + 1 < len(t) and low[i + 1] not in _AFTER:
                return None
            return Quantity(TIMES.get(word, 0), None, 0.0, t.starts[i], t.ends[i]), i + 1
        return None
    if word in ("a", "an", "pair", "couple") and low[i + 1] in ("pair", "couple") and word != low[i + 1]:
        return Quantity(2, None, 0.0, t.starts[i], t.ends[i + 1]), i + 2
    if word == "zero" and before in ("below", "above"):
        return None  # "8 below zero"
    if word == "one" and (before in _PRONOUN or (low[i + 1] == "of" and low[i + 2] in ("the", "them", "its", "his"))):
        return None
    if word in ("a", "an", "half") and (found := _hour_at(t, i)):
        return found
    if before in _ANAPHORIC and ONES.get(word, 99) < 11 and t.kinds[i + 1] == "w" and low[i + 1] not in _AFTER:
        return None  # "the two numbers"
    if word == "a" and low[i + 1] == "single":
        return Quantity(1, None, 0.0, t.starts[i], t.ends[i + 1]), i + 2 + (low[i + 2] == "one")
    sign, begin = _sign(t, i)
    fraction = _fraction_at(t, i)
    step, year = 0.0, False
    if fraction:
        value, k = fraction
    elif (spoken := spoken_year(low, i)) is not None:
        value, k, year = float(spoken[0]), spoken[1], True
    elif (read := cardinal(low, i)) is not None:
        value, k = read
        ordinal = ORDINALS.get(low[k + (low[k] == "-")]) if low[k - 1] in TENS else None
        if ordinal and ordinal < 10 and (low[k] == "-" or (value % 10 == 0 and value % 100 >= 20)):
            k += 1 + (low[k] == "-")
            return Quantity(value + ordinal, ORDINAL, 0.0, t.starts[i], t.ends[k - 1]), k
        if low[k] in ("hundredth", "thousandth", "millionth"):
            size = {"h": 100, "t": 1000, "m": 10**6}[low[k][0]]
            return Quantity(value * size, ORDINAL, 0.0, t.starts[i], t.ends[k]), k + 1
        if low[k] == "point" and low[k + 1] in ONES:
            decimals = ""
            k += 1
            while low[k] in ONES and ONES[low[k]] < 10 and len(decimals) < 15:
                decimals, k = decimals + str(ONES[low[k]]), k + 1
            if decimals:
                value, step = value + float("." + decimals), 10.0 ** -len(decimals)
            more, k = _scale_at(t, k, False)
            value, step = value * more, step * more
        elif low[k] == "and" and (more_half := _fraction_at(t, k + 1, joined=True)):
            value, k = value + more_half[0], more_half[1]
            more, k = _scale_at(t, k, False)
            value *= more
    elif word in ORDINALS and not (word == "second" and (low[i - 1] in _A_SECOND or t.kinds[i - 1] == "n")):
        return Quantity(ORDINALS[word], ORDINAL, 0.0, t.starts[i], t.ends[i]), i + 1
    else:
        return None
    unit, k = _tail(t, k, None)
    return Quantity(sign * value, unit, step, t.starts[begin], t.ends[k - 1], year and unit is None), k


_A_SECOND = frozenset(
    ["a", "an", "per", "each", "every", "one", "/", "-", "this", "any", "of"]
)  # a unit of time behind these


def _hour_at(t: Tokens, i: int) -> tuple[Quantity, int] | None:
    """ "half an hour", "an hour and a half", "an hour and 30 minutes"."""
    low, half = t.low, t.low[i] == "half"
    at = i + 1 + half
    unit = unit_at(t, at) if low[at - 1] in ("a", "an") else None
    if unit is None:
        return None
    value, k = 0.5 if half else 1.0, unit[1]
    if not half and low[k : k + 3] == ["and", "a", "half"]:
        value, k = 1.5, k + 3
    elif not half and not (low[k] == "and" and (t.kinds[k + 1] == "n" or low[k + 1] in STARTERS)):
        return None
    return Quantity(value, unit[0], 0.0, t.starts[i], t.ends[k - 1]), k


def _kanji_at(t: Tokens, i: int) -> tuple[Quantity, int] | None:
    """The quantity of a run of kanji numerals, unless it is a part of a word (千葉, 一番)."""
    low, k = t.low, i
    while low[k] in KANJI and (k == i or t.glued(k)):
        k += 1
    before = low[i - 1] if i and t.glued(i) and t.kinds[i - 1] == "c" else ""
    after = low[k] if t.glued(k) and t.kinds[k] == "c" else ""
    run = "".join(low[i:k])
    if run[0] in KANJI_SCALES or (before and before not in KANJI_BEFORE and len(run) < 3):
        return None
    if run == "百" and low[k : k + 2] == ["分", "之"]:
        inner = k + 2
        found = _digits_at(t, inner) if t.kinds[inner] == "n" else _kanji_at(t, inner)
        if found is None:
            return None
        part = found[0]
        return Quantity(part.value, UNITS["percent"], part.step, t.starts[i], part.end), found[1]
    if run == "一" and after == "半":
        return Quantity(0.5, None, 0.0, t.starts[i], t.ends[k]), k + 1
    if after and after not in KANJI_AFTER and len(run) < 3:
        return None
    if run == "一" and (
        (after and after in "番般部種种方度位家国首行双") or (after in ("个", "個") and before in ("は", "是", "の"))
    ):
        return None  # 一番, 是一个城市
    value = read_kanji(run)
    if value is None:
        return Quantity(float("nan"), None, 0.0, t.starts[i], t.ends[k - 1]), k
    if low[k] == "分" and low[k + 1] in ("之", "の") and low[k + 2] in KANJI_DIGITS and value:  # 三分之一
        return Quantity(KANJI_DIGITS[low[k + 2]] / value, None, 0.0, t.starts[i], t.ends[k + 2]), k + 3
    step = 0.0
    if low[k] == "点" or low[k] == "點":
        decimals = k + 1
        while low[decimals] in KANJI_DIGITS and decimals - k < 15:
            decimals += 1
        if decimals > k + 1:
            value += float("." + "".join(str(KANJI_DIGITS[c]) for c in low[k + 1 : decimals]))
            step, k = 10.0 ** -(decimals - k - 1), decimals
    if before == "第" or (after == "番" and low[k + 1] == "目"):
        return Quantity(value, ORDINAL, step, t.starts[i] - (before == "第"), t.ends[k - 1]), k
    sign, begin = _sign(t, i)
    if run[-1] in KANJI_SCALES:
        step = float(KANJI_SCALES[run[-1]]) / 10
    counted = k + (t.low[k] in ("个", "個"))  # 两个半小时
    if t.low[counted] == "半" and (unit_at(t, counted + 1) is None or counted > k):
        value, k = value + 0.5, counted + 1
    unit, k = _tail(t, k, None)
    return Quantity(
        sign * value,
        unit,
        step,
        t.starts[begin],
        t.ends[k - 1],
        len(run) == 4 and 1000 <= value <= 2100 and unit is None,
    ), k


def _single_at(t: Tokens, i: int) -> tuple[Quantity, int] | None:
    kind = t.kinds[i]
    if kind == "n":
        return _digits_at(t, i)
    if kind == "w":
        return _words_at(t, i) if t.low[i] in STARTERS else None
    return _kanji_at(t, i) if kind == "c" and t.low[i] in KANJI else None


STARTERS = frozenset([*ONES, *TENS, *ORDINALS, *TIMES, "a", "an", "half", "none", "hundred", "thousand", "million",
                      "billion", "trillion", "dozen", "lakh", "crore", "pair", "couple"])  # fmt: skip


def quantity_at(t: Tokens, i: int) -> tuple[Quantity, int] | None:
    """The quantity that starts at a token, and the index behind it; "1 hour 30 minutes" is one.

    Example:
        >>> quantity_at(Tokens("6 ft 2 in"), 0)[1], quantity_at(Tokens("B2"), 0)
        (4, None)
    """
    found = _single_at(t, i)
    if found and t.low[found[1] - 1] == "割":
        return _tenths(t, *found)
    if found is None or found[0].unit is None or found[0].unit.measures not in ("length", "mass", "time", "angle"):
        return found
    whole, k = found
    last = whole.unit
    if t.low[k] == "半" and t.kinds[i] in ("n", "c") and whole.value == int(whole.value):  # 一時間半, 2年半
        return Quantity(whole.value + 0.5, whole.unit, 0.0, whole.start, t.ends[k]), k + 1
    for _ in range(3):
        at = k + (t.low[k] in (",", "and", "又", "と"))
        if t.low[k : k + 3] == ["and", "a", "half"] and whole.unit:
            return Quantity(whole.value + 0.5, whole.unit, 0.0, whole.start, t.ends[k + 2]), k + 3
        more = _single_at(t, at) if t.kinds[at] in ("n", "w", "c") and t.low[at] != "a" else None
        if more is None or last is None or whole.unit is None:
            break
        part, after = more
        unit = part.unit
        if unit is None and last.factor == 3600 and t.glued(at) and part.value < 60 and part.value == int(part.value):
            unit = UNITS["min"]  # 1h30
        if (
            unit is None
            or unit.measures != last.measures
            or unit.factor >= last.factor
            or not 0 <= part.value * unit.factor < last.factor * 0.99999
            or (
                whole.unit.measures == "length"
                and unit.factor != 0.0254
                and unit.offset == 0
                and last.factor == 0.3048
            )
        ):
            break
        step = max(part.step, 0.0) * unit.factor / whole.unit.factor
        sum_ = whole.value + convert(part.value, unit, whole.unit)
        whole = Quantity(sum_, whole.unit, step or unit.factor / whole.unit.factor * 1e-6, whole.start, part.end)
        last, k = unit, after
    return whole, k


def _tenths(t: Tokens, whole: Quantity, k: int) -> tuple[Quantity, int]:
    """3割5分2厘, of which only the first has a unit of its own everywhere."""
    for name, size in (("分", 0.1), ("厘", 0.01)):
        digit = KANJI_DIGITS.get(t.low[k], int(t.low[k]) if t.low[k] in "123456789" and t.low[k] else None)
        if digit is None or t.low[k + 1] != name or not t.glued(k):
            break
        whole = Quantity(whole.value + digit * size, whole.unit, size, whole.start, t.ends[k + 1])
        k += 2
    return whole, k


def has_number(text: str) -> bool:
    """Whether any digit, number word or numeral stands in a text: a cheap scan before the tokens are made.

    Example:
        >>> has_number("It is big."), has_number("It has twenty-one."), has_number("有三个")
        (False, True, True)
    """
    if _DIGIT.search(text):
        return True
    return not _SPELLED.isdisjoint(_LETTERS.findall(text.lower()))


_DIGIT = re.compile(rf"[\d{''.join(KANJI)}¼½¾⅐-⅞①-⑳]")
_LETTERS = re.compile(r"[a-z]+")
NUMBER_STARTS = STARTERS | KANJI
_SPELLED = STARTERS - {"a", "an"} | set(FRACTIONS) | {"single"}
