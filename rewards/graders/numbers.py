"""Quantities in free text: "3.5 million", "−1,234", "6.02×10²³", "twenty-one", "5 km", "12%", "350万".

A comma before exactly three digits separates thousands; any other comma is a decimal comma ("3,5" = 3.5, "1.234,5" =
1234.5). A point is a decimal point ("1.234" is a little more than one) unless there are several ("1.234.567").
Spaces between groups of three digits separate thousands.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from abstain.rewards.graders.text import is_unspaced
from abstain.rewards.graders.words import NUMBER_WORDS


class Unit(NamedTuple):
    """What a unit measures, and its size in base units: value in base = value * factor + offset."""

    measures: str
    factor: float
    offset: float = 0.0


# Gallons and tons of 2,000 lb are left out: a "ton" is the metric one. A word that is no unit here ("people",
# "guineas") is not a unit at all, and is passed over.
_TABLE: dict[str, tuple[tuple[float, str], ...]] = {
    "length": (
        (1e-9, "nm nanometer nanometers nanometre nanometres"),
        (1e-3, "mm millimeter millimeters millimetre millimetres"),
        (1e-2, "cm centimeter centimeters centimetre centimetres"),
        (1, "m meter meters metre metres"),
        (1e3, "km kms kilometer kilometers kilometre kilometres"),
        (0.0254, "in inch inches"),
        (0.3048, "ft foot feet"),
        (0.9144, "yd yard yards"),
        (1609.344, "mi mile miles"),
        (1852, "nmi nautical_mile nautical_miles"),
        (1.495978707e11, "au astronomical_unit astronomical_units"),
        (9.4607304725808e15, "ly light_year light_years light-year light-years"),
        (3.0856775814913673e16, "pc parsec parsecs"),
    ),
    "mass": (
        (1e-6, "mg milligram milligrams"),
        (1e-3, "g gram grams gramme grammes"),
        (1, "kg kgs kilo kilos kilogram kilograms kilogramme kilogrammes"),
        (1e3, "t tonne tonnes ton tons metric_ton metric_tons"),
        (0.45359237, "lb lbs"),
        (0.028349523125, "oz ounce ounces"),
    ),
    "time": (
        (1e-3, "ms millisecond milliseconds"),
        (1, "s sec secs second seconds"),
        (60, "min mins minute minutes"),
        (3600, "h hr hrs hour hours"),
        (86400, "day days"),
        (604800, "week weeks"),
        (31557600 / 12, "month months"),
        (31557600, "yr yrs year years"),
        (315576000, "decade decades"),
        (3155760000, "century centuries"),
    ),
    "area": (
        (1e-4, "cm2 cm^2 sq_cm"),
        (1, "m2 m^2 sqm sq_m square_meter square_meters square_metre square_metres"),
        (1e4, "ha hectare hectares"),
        (4046.8564224, "acre acres"),
        (1e6, "km2 km^2 sq_km square_kilometer square_kilometers square_kilometre square_kilometres"),
        (0.09290304, "ft2 ft^2 sq_ft square_foot square_feet"),
        (2589988.110336, "mi2 mi^2 sq_mi square_mile square_miles"),
    ),
    "volume": (
        (1e-6, "ml cc cm3 cm^3 milliliter milliliters millilitre millilitres cubic_centimeters cubic_centimetres"),
        (1e-3, "l liter liters litre litres"),
        (1, "m3 m^3 cubic_meter cubic_meters cubic_metre cubic_metres"),
        (1e9, "km3 km^3 cubic_kilometers cubic_kilometres"),
    ),
    "speed": (
        (1, "m/s mps meters_per_second metres_per_second"),
        (1 / 3.6, "km/h kph kmh kilometers_per_hour kilometres_per_hour"),
        (0.44704, "mph miles_per_hour"),
        (1852 / 3600, "kt knot knots"),
    ),
    "data": (
        (1, "byte bytes"),
        (1e3, "kb kilobyte kilobytes"),
        (1e6, "mb megabyte megabytes"),
        (1e9, "gb gigabyte gigabytes"),
        (1e12, "tb terabyte terabytes"),
    ),
    "power": (
        (1, "w watt watts"),
        (1e3, "kw kilowatt kilowatts"),
        (1e6, "mw megawatt megawatts"),
        (1e9, "gw gigawatts"),
    ),
    "energy": ((1, "j joule joules"), (1e3, "kj kilojoule kilojoules"), (3.6e6, "kwh"), (4184, "kcal kilocalories")),
    "frequency": ((1, "hz hertz"), (1e3, "khz kilohertz"), (1e6, "mhz megahertz"), (1e9, "ghz gigahertz")),
    "angle": ((1, "° degree degrees"),),
    "percent": ((1, "percent percentage_point percentage_points pct"),),
    "US dollars": ((1, "$ us$ usd dollar dollars us_dollars"), (0.01, "cent cents")),
    "euros": ((1, "€ eur euro euros"),),
    "pounds sterling": ((1, "£ gbp pounds_sterling"),),
    "yen": ((1, "¥ jpy yen 円"),),
    "rupees": ((1, "₹ inr rupee rupees rs"),),
}
UNITS: dict[str, Unit] = {
    name.replace("_", " "): Unit(measures, factor)
    for measures, rows in _TABLE.items()
    for factor, names in rows
    for name in names.split()
} | {
    "°c": Unit("temperature", 1.0, 273.15),
    "celsius": Unit("temperature", 1.0, 273.15),
    "degrees celsius": Unit("temperature", 1.0, 273.15),
    "°f": Unit("temperature", 5 / 9, 459.67 * 5 / 9),
    "fahrenheit": Unit("temperature", 5 / 9, 459.67 * 5 / 9),
    "degrees fahrenheit": Unit("temperature", 5 / 9, 459.67 * 5 / 9),
    "kelvin": Unit("temperature", 1.0),
    "kelvins": Unit("temperature", 1.0),
    "pound": Unit("mass or money", 1.0),
    "pounds": Unit("mass or money", 1.0),
}
POUND = (UNITS["lb"], UNITS["£"])  # "pounds" weighs or pays, as the other side does


def common_unit(first: Unit | None, second: Unit | None) -> tuple[Unit | None, Unit | None]:
    """The two units with an ambiguous "pounds" read as the other one asks.

    Example:
        >>> [u.measures for u in common_unit(UNITS["pounds"], UNITS["kg"])]
        ['mass', 'mass']
    """
    if first == second:
        return first, second
    for pound in POUND:
        if first == UNITS["pound"] and second is not None and second.measures == pound.measures:
            first = pound
        if second == UNITS["pound"] and first is not None and first.measures == pound.measures:
            second = pound
    return first, second


_SCALES = {
    "hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "millions": 1e6, "mn": 1e6, "mio": 1e6, "billion": 1e9,
    "billions": 1e9, "bn": 1e9, "trillion": 1e12, "tn": 1e12, "dozen": 12.0, "lakh": 1e5, "crore": 1e7,
    "百": 1e2, "千": 1e3, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8, "兆": 1e12,
}  # fmt: skip
_TENS = {
    w: v
    for v, w in zip(
        range(30, 100, 10), ["thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], strict=True
    )
}
_WORD_VALUES = {word: int(digits) for word, digits in NUMBER_WORDS.items()} | _TENS | {"twice": 2, "thrice": 3}
_WORD = "|".join(
    sorted([*_WORD_VALUES, "hundred", "thousand", "million", "billion", "trillion", "dozen"], key=len, reverse=True)
)
_WORDS = re.compile(
    rf"\b(?:(?:an?|half an?) (?=(?:{_WORD})\b))?(?:{_WORD})(?:(?:[ -]| and )(?:{_WORD})\b){{0,20}}\b"
    r"(?! of (?:the|them|its|his|her|my))",
    re.IGNORECASE,
)
_DIGITS = (
    r"\d{1,3}(?:,\d{2,3}){0,8},\d{3}(?:\.\d+)?|\d{1,3}(?:\.\d{3}){1,8}(?:,\d+|\.\d{3})"
    r"|\d{1,3}(?:\ \d{3}){1,8}(?!\d)(?:[.,]\d+)?"
    r"|\d{1,3}(?:'\d{3}){1,8}(?:\.\d+)?|\d+(?:[.,]\d+)?|\.\d+"
)
_SCALE = "|".join(sorted(_SCALES, key=len, reverse=True))
_UNIT = "|".join(re.escape(u) for u in sorted(UNITS, key=len, reverse=True))
_NUMBER = re.compile(
    rf"""(?:(?P<money>US\$|[$€£¥₹])\ ?)?(?P<sign>(?<![\w)])-|\bminus\ |\bnegative\ )?(?P<before>[$€£¥₹])?
    (?:10(?:\^|\*\*)(?P<ten>-?\d{{1,4}})
    |(?P<base>{_DIGITS})(?:\ ?(?:x|×|\*|·)\ ?10\ ?(?:\^|\*\*)\
    ?[({{]?(?P<power>-?\d{{1,4}})[)}}]?|e(?P<e>[-+]?\d{{1,4}})\b)?
    (?:/(?P<over>\d{{1,15}})(?![/\d]))?)
    (?:[ -]?(?P<scale>(?:{_SCALE})(?![a-z])(?:\ (?:thousand|million|billion|trillion))?)|(?P<M>[MB])\b)?
    (?:[ -]?(?P<unit>{_UNIT})(?![\w^]))?""",
    re.VERBOSE | re.IGNORECASE,
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
_MIXED = re.compile(r"\b(\d{1,4}) (\d{1,3})/(\d{1,3})(?![\d/])")
_TIMES = re.compile(r"(^\W{0,9}|\b(?:appears?|occurs?|only|just|exactly) )(once|none)\b", re.IGNORECASE)
_KANJI = {c: i for i, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2, "兩": 2}
_KANJI_NUMBER = re.compile(
    r"(?:(?<![〇-鿿])|(?<=[有是为為共现現了约約])(?!(?<=是)一[个個]))[〇零一二三四五六七八九两兩十百千]+"
    r"(?=[万萬億亿兆]?(?:[年人個个つ回次歳岁月日円元点枚本文字]|[^〇-鿿]|$))"
)


@dataclass(frozen=True)
class Quantity:
    """A number with its unit.

    Args:
        value: the number as stated, scale words multiplied in.
        unit: its unit, or `None`.
        step: the size of its last significant digit; 0 if it is a whole number without a scale word, which is exact.
        start: offset in the text.
        end: offset behind it.
    """

    value: float
    unit: Unit | None
    step: float
    start: int
    end: int


def number_text(text: str) -> str:
    """Spells superscripts as powers, before NFKC turns 10⁵ into 105; mixed fractions, "once" and kanji as digits.

    Example:
        >>> number_text("6×10⁵ m²"), number_text("3½")
        ('6×10^5 m2', '3.5')
    """
    text = re.sub(r"(?<=[A-Za-z])[²³]", lambda m: m[0].translate(_SUPERSCRIPTS), text)
    text = _RAISED.sub(lambda m: "^" + m[0].translate(_SUPERSCRIPTS), text)
    text = re.sub(r"(\d{0,15})([¼½¾⅓⅔⅛])", lambda m: f"{int(m[1] or 0) + unicodedata.numeric(m[2]):g}", text)
    text = _MIXED.sub(lambda m: f"{int(m[1]) + int(m[2]) / int(m[3]):.12g}" if int(m[3]) else m[0], text)
    text = _TIMES.sub(lambda m: m[1] + ("zero" if m[2].lower() == "none" else "one"), text)
    return _KANJI_NUMBER.sub(lambda m: str(_kanji_value(m[0])), text)


def _kanji_value(text: str) -> int:
    """Reads 三百五十 as 350 and 二〇二〇 as 2020."""
    if not set(text) & set("十百千"):
        return int("".join(str(_KANJI[c]) for c in text[:15]))
    total, digit = 0, 0
    for char in text[:15]:
        if char in _KANJI:
            digit = _KANJI[char]
        else:
            total, digit = total + (digit or 1) * {"十": 10, "百": 100, "千": 1000}[char], 0
    return total + digit


def _plain(digits: str) -> str:
    """Digits with a decimal point and nothing else, by the rules of the module."""
    digits = digits.replace(" ", "").replace("'", "").replace("’", "")
    if digits.count(".") > 1 or (digits.count(".") == 1 and "," in digits and digits.index(".") < digits.index(",")):
        return digits.replace(".", "").replace(",", ".")
    if re.fullmatch(r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?", digits):
        return digits.replace(",", "")
    return digits.replace(",", ".")


def _last_digit(plain: str, scale: float) -> float:
    """The size of the last significant digit; at least two digits of a scaled number count ("120k", "3 million")."""
    if "." in plain:
        decimals = len(plain.split(".")[1])
        return scale * 10.0**-decimals if scale == 1 or len(plain.replace(".", "").lstrip("0")) > 1 else scale / 10
    if scale == 1:
        return 0.0
    zeros = len(plain) - len(plain.rstrip("0"))
    return scale * 10.0 ** min(zeros, len(plain) - 2)


def _scale(found: re.Match[str]) -> float:
    scale = 1.0
    for word in (found["scale"] or "").lower().split():
        scale *= _SCALES[word]
    if found["M"] and found["M"].isupper():
        scale *= {"M": 1e6, "B": 1e9}[found["M"]]
    power = found["power"] or found["e"] or found["ten"]
    return scale * 10.0 ** max(-300, min(300, int(power))) if power else scale


def _unit(found: re.Match[str]) -> Unit | None:
    """The unit of a number; "in" before a word is no inch, and the s of "1990s" no second."""
    name = (found["unit"] or found["money"] or found["before"] or "").lower()
    if name == "in" and re.match(r" \w", found.string[found.end() : found.end() + 2]):
        return None
    return UNITS.get(name)


def _quantity(found: re.Match[str]) -> Quantity | None:
    plain = _plain(found["base"] or "1")
    over = int(found["over"] or 1)
    decade = found["unit"] == "s" and re.fullmatch(r"\d{4}s", found[0])
    if len(plain) > 300 or not over or decade:
        return None
    scale = _scale(found)
    value = float(plain) / over * scale
    step = abs(value) * 1e-9 if found["over"] else _last_digit(plain, scale)
    return Quantity(-value if found["sign"] else value, _unit(found), step, found.start(), found.end())


def _word_value(text: str) -> float:
    """Reads "two hundred and fifty thousand" as 250,000.

    Example:
        >>> _word_value("two hundred and fifty thousand"), _word_value("half a million")
        (250000.0, 500000.0)
    """
    total = current = 0.0
    for word in re.findall(r"[a-z]+", text.lower()):
        if word in _WORD_VALUES:
            current += _WORD_VALUES[word]
        elif word in ("hundred", "dozen"):
            current = (current or 1) * _SCALES[word]
        elif word in _SCALES:
            total, current = total + (current or 1) * _SCALES[word], 0.0
    return (total + current) * (0.5 if text.lower().startswith("half") else 1)


def _word_quantities(text: str) -> list[Quantity]:
    found = []
    for hit in _WORDS.finditer(text):
        if hit[0].lower() == "one" and re.search(
            r"\b(?:no|any|the|this|that|which|every) $", text[max(0, hit.start() - 7) : hit.start()]
        ):
            continue
        unit = re.match(rf"[ -]({_UNIT})(?!\w)", text[hit.end() : hit.end() + 30], re.IGNORECASE)
        known = UNITS[unit[1].lower()] if unit else None
        sign = -1 if text[max(0, hit.start() - 9) : hit.start()].lower().endswith(("minus ", "negative ")) else 1
        end = hit.end() + (len(unit[0]) if unit else 0)
        found.append(Quantity(sign * _word_value(hit[0]), known, 0.0, hit.start(), end))
    return found


def find_numbers(text: str) -> list[Quantity]:
    """The quantities in a text that went through `number_text` and `tidy`, in order.

    Example:
        >>> [q.value for q in find_numbers("from -1,234 to 3.5 million, or twenty-one; 6.02e23 too; 1.234,5")]
        [-1234.0, 3500000.0, 21.0, 6.02e+23, 1234.5]
    """
    digits = [q for hit in _NUMBER.finditer(text) if _is_apart(text, hit) and (q := _quantity(hit))]
    taken = {p for q in digits for p in (q.start, q.end - 1)}
    spelled = [q for q in _word_quantities(text) if not taken.intersection(range(q.start, q.end))]
    return sorted(digits + spelled, key=lambda q: q.start)


def _is_apart(text: str, hit: re.Match[str]) -> bool:
    """Whether a number is no part of a word: "B2" and "7th" hold none, "第2章" does."""
    around = (text[hit.start() - 1 : hit.start()], text[hit.end() : hit.end() + 1])
    return not any(c.isalpha() and not is_unspaced(c) for c in around)
