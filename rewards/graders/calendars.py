"""Dates in free text, in English, Japanese, Chinese, French, German and Spanish: days, months, years, centuries.

Our own reader: `dateparser` takes 0.8 ms a date and 37 ms to find one in a sentence, makes up the day that is missing
in "May 1985", and knows no two readings of "02/01/2020", no era and no century.
"""

import re
from collections.abc import Iterable

from abstain.rewards.graders.days import Day, Mention
from abstain.rewards.graders.numerals import KANJI, ORDINALS, TENS, cardinal, read_kanji, spoken_year, word_set
from abstain.rewards.graders.tokens import Tokens

MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
# French, Spanish, Portuguese, Italian, German, Dutch, Swedish, Russian, and what is short for them.
_OTHER_MONTHS = (
    "janvier januar januari enero janeiro gennaio января jan",
    "février fevrier februar februari febrero fevereiro febbraio февраля feb febr févr",
    "mars märz maerz maart marzo março marco марта mar",
    "avril abril aprile апреля apr avr",
    "mai mayo maio maggio mei maj мая",
    "juin juni junio junho giugno июня jun",
    "juillet juli julio julho luglio июля jul juil",
    "août aout agosto augustus augusti августа aug",
    "septembre septiembre setembro settembre сентября sep sept",
    "octobre oktober octubre outubro ottobre октября oct okt",
    "novembre noviembre ноября nov",
    "décembre decembre dezember diciembre dezembro dicembre декабря dec dez déc",
)
MONTH_NUMBERS = {name: i for i, name in enumerate(MONTHS, 1)} | {
    name: i for i, names in enumerate(_OTHER_MONTHS, 1) for name in names.split()
}
# Months only beside a number, "May" and "March" with a capital too.
_ALSO_WORDS = frozenset(["may", "march", "mar", "mars", "mai", "mei", "marco", "dec", "jan"])
_WEEKDAYS = word_set(
    """monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thurs fri sat sun lundi mardi
    mercredi jeudi vendredi samedi dimanche montag dienstag mittwoch donnerstag freitag samstag sonntag lunes
    martes miércoles miercoles jueves viernes sábado sabado domingo"""
)
_SEASONS = {
    "spring": "spring", "summer": "summer", "autumn": "autumn", "fall": "autumn", "winter": "winter", "q1": "q1",
    "q2": "q2", "q3": "q3", "q4": "q4", "printemps": "spring", "été": "summer", "automne": "autumn", "hiver": "winter",
    "primavera": "spring", "verano": "summer", "otoño": "autumn", "invierno": "winter", "frühling": "spring",
    "sommer": "summer", "herbst": "autumn",
}  # fmt: skip
_QUARTERS = {"first": "q1", "second": "q2", "third": "q3", "fourth": "q4", "1st": "q1", "2nd": "q2", "3rd": "q3",
             "4th": "q4"}  # fmt: skip
_KANJI_SEASONS = {"春": "spring", "夏": "summer", "秋": "autumn", "冬": "winter"}
_ERAS = {"令和": 2018, "平成": 1988, "昭和": 1925, "大正": 1911, "明治": 1867, "慶応": 1864}
_BEFORE_CHRIST = ("紀元前", "纪元前", "公元前", "西元前", "前")
_OF = frozenset(["of", "de", "del", "des", "du", "d'", "in"])
_ERA_WORDS = {"bc": -1, "bce": -1, "ad": 1, "ce": 1}
_DECADES = {word[:-1] + "ies": value for word, value in TENS.items() if value >= 20}
_NOT_YEARS = word_set(
    """million billion thousand hundred percent years people men women votes dollars euros pounds yen km m kg miles
    meters metres feet ft k bn seats points copies inhabitants residents employees students hours minutes days"""
)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
CENTURIES = frozenset(["century", "centuries", "siècle", "siecle", "siglo", "jahrhundert", "jh"])


def _year(text: str) -> int | None:
    return int(text) if text.isdigit() and len(text) == 4 and 1000 <= int(text) <= 2999 else None


def _ordinal_suffix(t: Tokens, k: int) -> int:
    """The index behind "st", "nd", "er", "." of a day."""
    if t.kinds[k] == "w" and t.glued(k) and t.low[k] in ("st", "nd", "rd", "th", "er", "ème", "º"):
        return k + 1
    return k


def _day_number(t: Tokens, i: int) -> tuple[int, int] | None:
    """A day of the month at a token ("5", "5th", "fifth", "twenty-first"), and the index behind it."""
    low = t.low[i]
    if t.kinds[i] == "n":
        if not low.isdigit() or len(low) > 2 or not 0 < int(low) < 32:
            return None
        return int(low), _ordinal_suffix(t, i + 1)
    if low in TENS:
        k = i + 1 + (t.low[i + 1] == "-")
        ones = ORDINALS.get(t.low[k], 0)
        return (TENS[low] + ones, k + 1) if 0 < ones < 10 and TENS[low] + ones < 32 else None
    return (ORDINALS[low], i + 1) if 0 < ORDINALS.get(low, 0) < 32 else None


def _month_at(t: Tokens, i: int) -> tuple[int, int] | None:
    """A month's name at a token, and the index behind it and its full stop."""
    low = t.low[i]
    month = MONTH_NUMBERS.get(low)
    if month is None:
        return None
    return month, i + 1 + (t.low[i + 1] == "." and len(low) < 6 and t.glued(i + 1))


def _era_at(t: Tokens, k: int) -> tuple[int, int] | None:
    """-1 for BC and 1 for AD at a token, in any spelling, and the index behind it."""
    low = t.low
    if low[k] in _ERA_WORDS:
        return _ERA_WORDS[low[k]], k + 1
    letters, j, dotted = "", k, None
    while len(low[j]) == 1 and low[j] in "abcde" and len(letters) < 3:
        letters, j = letters + low[j], j + 1
        j += low[j] == "."
        dotted = (_ERA_WORDS[letters], j) if letters in _ERA_WORDS else dotted  # "B.C. E" is BC
    if dotted:
        return dotted
    if low[k] in ("before", "after") and low[k + 1] == "christ":
        return (-1 if low[k] == "before" else 1), k + 2
    if low[k] == "before" and low[k + 1 : k + 4] == ["the", "common", "era"]:
        return -1, k + 4
    if low[k] == "v" and low[k + 1 : k + 4] == [".", "chr", "."]:
        return -1, k + 4
    if low[k : k + 2] == ["av", "."] or low[k : k + 3] == ["a", ".", "c"]:
        return -1, k + 4
    return None


def _year_at(t: Tokens, i: int, near: bool = True) -> tuple[int, int] | None:
    """A year at a token, its era with it, and the index behind it; `near` a month, three digits do."""
    if t.kinds[i] == "w":
        found = spoken_year(t.low, i)
        if found and 1000 <= found[0] <= 2999:
            return found
        era = _ERA_WORDS.get(t.low[i])
        if era and t.kinds[i + 1] == "n" and t.low[i + 1].isdigit() and len(t.low[i + 1]) < 5:
            return era * int(t.low[i + 1]), i + 2
        return None
    if t.kinds[i] != "n" or not t.low[i].isdigit() or len(t.low[i]) > 4:
        return None
    if t.glued(i + 1) and t.kinds[i + 1] == "w" and _era_at(t, i + 1) is None:
        return None
    era_found = _era_at(t, i + 1)
    if era_found:
        return era_found[0] * int(t.low[i]), era_found[1]
    year = _year(t.low[i])
    if year is None and near and len(t.low[i]) == 3:
        year = int(t.low[i])
    return (year, i + 1) if year else None


def _mention(t: Tokens, i: int, k: int, days: Iterable[Day], bare: bool = False) -> tuple[Mention, int]:
    readings = frozenset(day for day in days if day.exists)
    return Mention(t.starts[i], t.ends[k - 1], readings, bare), k


def _numeric_date(t: Tokens, i: int) -> tuple[Mention, int] | None:
    """2020-01-02, 2/1/2020, 02.01.2020, with an ISO time behind it."""
    low = t.low
    parts = low[i].split(".")
    k = i + 1
    apart = len(parts) == 1 and low[k] in ("-", "/", ".") and low[k + 2] == low[k]
    if apart and all(t.glued(j) for j in range(k, k + 4)) and t.kinds[k + 1] == t.kinds[k + 3] == "n":
        parts, k = [low[i], low[k + 1], low[k + 3]], k + 4
    if len(parts) != 3 or not all(part.isdigit() and len(part) < 5 for part in parts):
        return None
    first, second, third = map(int, parts)
    lengths = [len(part) for part in parts]
    if lengths[0] == 4 and lengths[1] < 3 and lengths[2] < 3:
        days = [Day(first, second, third)]
    elif lengths[2] == 4 and lengths[0] < 3 and lengths[1] < 3:
        days = [Day(third, second, first), Day(third, first, second)]
    else:
        return None
    if t.glued(k) and t.kinds[k] == "w":
        if not re.fullmatch(r"t\d{1,2}", low[k]):
            return None
        k += 1
        while t.glued(k) and (t.kinds[k] == "n" or low[k] in (":", "+", "-", "z")):
            k += 1
    return _mention(t, i, k, days)


def _kanji_number(t: Tokens, i: int) -> tuple[int, int] | None:
    """A whole number of digits or kanji numerals at a token."""
    if t.kinds[i] == "n":
        return (int(t.low[i]), i + 1) if t.low[i].isdigit() and len(t.low[i]) < 5 else None
    k = i
    while t.low[k] in KANJI and (k == i or t.glued(k)) and k < i + 8:
        k += 1
    value = read_kanji("".join(t.low[i:k])) if k > i else None
    return (int(value), k) if value is not None else None


def _kanji_date(t: Tokens, i: int) -> tuple[Mention, int] | None:
    """2020年1月2日, 一九八五年, 令和2年, 紀元前44年, 5月12日, 19世紀, 1980年代."""
    low, k, shift, sign = t.low, i, 0, 1
    if t.kinds[i] == "c":
        two, three = "".join(low[i : i + 2]), "".join(low[i : i + 3])
        if two in _ERAS:
            shift, k = _ERAS[two], i + 2
        elif three in _BEFORE_CHRIST:
            sign, k = -1, i + 3
        elif two in ("西暦", "西历", "公元", "西元"):
            k = i + 2
        elif low[i] == "前" and t.kinds[i + 1] in "nc" and (i == 0 or t.kinds[i - 1] != "c" or not t.glued(i)):
            sign, k = -1, i + 1
        elif low[i] not in KANJI:
            return None
    number = (1, k + 1) if shift and low[k] == "元" else _kanji_number(t, k)
    if number is None:
        return None
    value, after = number
    if low[after] == "年" and low[after + 1] == "代" and k == i and value >= 100:
        return _mention(t, i, after + 2, [Day(value, part="decade")])
    if low[after] in ("世",) and low[after + 1] in ("紀", "纪"):
        decade = _kanji_number(t, after + 2) if t.glued(after + 2) else None
        if decade and low[decade[1] : decade[1] + 2] == ["年", "代"]:  # 20世纪90年代
            return _mention(t, i, decade[1] + 2, [Day((value - 1) * 100 + decade[0] % 100, part="decade")])
        return _mention(t, i, after + 2, [_century(value, sign)])
    if low[after] == "年" and (k > i or value >= 100 or low[after + 1] in KANJI or t.kinds[after + 1] == "n"):
        if value < 100 and k == i:
            return None
        year, k = sign * (value + shift), after + 1
        at = k + (low[k] == "の")
        if low[at] in _KANJI_SEASONS and t.glued(at):
            return _mention(t, i, at + 1 + (low[at + 1] in ("季", "天")), [Day(year, part=_KANJI_SEASONS[low[at]])])
        month = _kanji_number(t, at)
        if month is None or low[month[1]] != "月":
            after_year = t.low[k] if t.glued(k) else ""
            bare = value >= 1000 and not shift and sign > 0 and after_year not in ("間", "间")
            if after_year in ("間", "间"):
                return None
            return _mention(t, i, k, [Day(year)], bare)
        k = month[1] + 1
        day = _kanji_number(t, k)
        if day is None or low[day[1]] not in ("日", "号", "號"):
            return _mention(t, i, k, [Day(year, month[0])])
        return _mention(t, i, day[1] + 1, [Day(year, month[0], day[0])])
    if low[after] == "月" and k == i and value < 13:
        day = _kanji_number(t, after + 1)
        if day and low[day[1]] in ("日", "号", "號"):
            return _mention(t, i, day[1] + 1, [Day(None, value, day[0])])
        return _mention(t, i, after + 1, [Day(None, value)]) if low[after + 1] not in ("間", "间") else None
    if k > i and sign == 1 and 0 < value < 3000 and (shift == 0):
        return _mention(t, i, after, [Day(value)])
    return None


def _century(number: int, sign: int = 1) -> Day:
    return Day((number - 1) * 100 + 1 if sign > 0 else -number * 100, part="century")


def _roman(text: str) -> int:
    """The value of a Roman number up to 40, or 0."""
    if not text or len(text) > 6 or not set(text) <= _ROMAN.keys():
        return 0
    worth = [_ROMAN[c] for c in text]
    value = sum(-v if v < max(worth[j + 1 :], default=0) else v for j, v in enumerate(worth))
    return value if value < 40 else 0


def _century_at(t: Tokens, i: int) -> tuple[Mention, int] | None:
    """ "19th century", "nineteenth century", "XIXe siècle", "siglo XX", "20. Jahrhundert"."""
    low = t.low
    number, k = 0, i
    if low[i] in CENTURIES:
        number, k = _roman(low[i + 1]), i + 2
        if number:
            return _mention(t, i, k, [_century(number)])
        return None
    if t.kinds[i] == "n" or low[i] in TENS or low[i] in ORDINALS:
        day = _day_number(t, i)
        if day is None:
            return None
        number, k = day
        if low[k] == "e" and t.glued(k):
            k += 1
    else:
        roman = low[i]
        for suffix in ("ème", "eme", "e", "th", "st", "nd", "rd"):
            roman = roman.removesuffix(suffix)
        number, k = _roman(roman), i + 1
    k += low[k] in ("-", ".")
    if not number or low[k] not in CENTURIES:
        return None
    era = _era_at(t, k + 1)
    return _mention(t, i, era[1] if era else k + 1, [_century(number, era[0] if era else 1)])


def _spelled_date(t: Tokens, i: int) -> tuple[Mention, int] | None:
    """ "12 May 1985", "May 12, 1985", "the fifth of September", "12. Mai 1985", "12 de mayo de 1985", "May 1985"."""
    low = t.low
    month = _month_at(t, i)
    if month:
        number, k = month
        day_at = k + (low[k] == "the") + (low[k] == "," and t.kinds[k + 1] == "n" and len(low[k + 1]) < 3)
        day = _day_number(t, day_at)
        if day and not (
            day[1] == day_at + 1
            and t.kinds[day_at] == "n"
            and low[day_at + 1] in (":", ".")
            and t.kinds[day_at + 2] == "n"
            and t.glued(day_at + 2)
        ):
            at = day[1] + (low[day[1]] == ",")
            at += (low[at] in _OF and low[at] != "in") or low[at] == ","
            year = _year_at(t, at)
            if year:
                return _mention(t, i, year[1], [Day(year[0], number, day[0])])
            return _mention(t, i, day[1], [Day(None, number, day[0])])
        at = k + (low[k] in _OF) + (low[k] == ",")
        year = _year_at(t, at)
        if year is None and low[at] == "'" and t.kinds[at + 1] == "n":
            return None
        if year:
            return _mention(t, i, year[1], [Day(year[0], number)])
        capital = t.text[t.starts[i] : t.starts[i] + 1].isupper()
        if (low[i] in _ALSO_WORDS and not (capital and low[i] in ("may", "march"))) or len(low[i]) < 3:
            return None
        if (
            low[i] in ("may", "march")
            and (i == 0 or low[i - 1] in (".", "?", "!"))
            and t.kinds[k] == "w"
            and not _month_at(t, k + 1)
        ):
            return None
        return _mention(t, i, k, [Day(None, number)])
    day = _day_number(t, i)
    if day is None:
        return None
    number, k = day
    k += low[k] in (".", "-") and (low[k] == "-" or t.glued(k))
    k += low[k] in _OF and low[k] != "in"
    month = _month_at(t, k)
    if month is None:
        return None
    k = month[1]
    at = k + (low[k] in (",", "-", "/"))
    at += low[at] in _OF and low[at] != "in"
    year = _year_at(t, at)
    if year:
        return _mention(t, i, year[1], [Day(year[0], month[0], number)])
    return _mention(t, i, k, [Day(None, month[0], number)])


def _season_at(t: Tokens, i: int) -> tuple[Mention, int] | None:
    """ "summer of 1985", "Q3 2019", "third quarter of 2019", "winter 1939-40"."""
    low = t.low
    if low[i] in _SEASONS:
        part, k = _SEASONS[low[i]], i + 1
    elif low[i] in _QUARTERS and low[i + 1] == "quarter":
        part, k = _QUARTERS[low[i]], i + 2
    elif low[i] in "1234" and low[i] and low[i + 1] in ("st", "nd", "rd", "th") and low[i + 2] == "quarter":
        part, k = f"q{low[i]}", i + 3
    else:
        return None
    k += low[k] in _OF or low[k] == ","
    year = _year_at(t, k, near=False)
    if year is None:
        return None
    other = i > 1 and low[i - 1] in ("or", "and", "/", "-", "to") and low[i - 2] in _SEASONS  # "spring or summer 1985"
    return _mention(t, i, year[1], [] if other else [Day(year[0], part=part)])


def date_at(t: Tokens, i: int) -> tuple[Mention, int] | None:
    """The date that starts at a token, and the index behind it.

    Example:
        >>> found = date_at(Tokens("12 May 1985"), 0)
        >>> list(found[0].readings), found[1]
        ([Day(year=1985, month=5, day=12, part='')], 3)
    """
    kind, low = t.kinds[i], t.low[i]
    if kind == "w":
        if low in _WEEKDAYS:
            return None
        return (
            _worded_at(t, i)
            if low in WORDS or (low == "a" and t.low[i + 1] == ".") or (low[0] in "xvi" and low[-1] in "xvieèhtd")
            else None
        )
    if kind == "c":
        return _kanji_date(t, i) if low in _KANJI_STARTS else None
    if kind == "s" and low == "'" and t.kinds[i + 1] == "n":
        return None
    if kind != "n" or (t.glued(i) and i and (t.kinds[i - 1] == "w" and t.low[i - 1] not in ("t",))):
        return None
    after = t.low[i + 1]
    if after in _DATE_AFTER_DIGITS:
        found = _kanji_date(t, i)
        if found:
            return found
    if "." in low or after in ("-", "/"):
        found = _numeric_date(t, i)
        if found:
            return found
    if len(low) < 3 and low.isdigit():
        found = _spelled_date(t, i) or (_season_at(t, i) if low in "1234" else None) or _century_at(t, i)
        if found:
            return found
        era = _year_at(t, i, near=False)
        return _mention(t, i, era[1], [Day(era[0])]) if era else None
    if not low.isdigit() or len(low) > 4:
        return None
    if t.glued(i + 1) and after in ("s", "'s") and low[-1] == "0" and len(low) == 4:
        century = [_century(int(low) // 100 + 1)] if low.endswith("00") else []
        return _mention(t, i, i + 2, [Day(int(low), part="decade"), *century])
    year = _year_at(t, i, near=False)
    if year is None:
        return None
    k = year[1]
    month = _month_at(t, k + (t.low[k] == ",")) if k == i + 1 else None
    if month and t.text[t.starts[k] : t.starts[k] + 1].isupper() and t.low[k] != ",":  # 1985 May 12
        day = _day_number(t, month[1])
        return _mention(t, i, day[1] if day else month[1], [Day(year[0], month[0], day[0] if day else None)])
    season = _SEASONS.get(t.low[k + (t.low[k] == ",")])
    if season and season[0] == "q":
        return _mention(t, i, k + 1 + (t.low[k] == ","), [Day(year[0], part=season)])
    if k == i + 1 and (
        t.low[k] in _NOT_YEARS
        or t.low[k] in ("%", "°", "$", "€", "£")
        or (t.kinds[k] == "c" and t.glued(k) and t.low[k] in "人円元個个回次米万億")
    ):
        return None
    before = t.low[i - 1] if i and t.glued(i) else ""
    if before in ("$", "€", "£", "¥") or (before == "*" and i > 1 and t.kinds[i - 2] == "n" and t.glued(i - 1)):
        return None
    return _mention(t, i, k, [Day(year[0])], k == i + 1)


def _counted_year(t: Tokens, i: int) -> tuple[int, int] | None:
    """ "two thousand and five" and "nineteen hundred" as years, with the index behind them."""
    if t.low[i + 1] not in ("hundred", "thousand"):
        return None
    read = cardinal(t.low, i)
    return (int(read[0]), read[1]) if read and 1000 <= read[0] <= 2100 and read[0] % 1 == 0 else None


def _worded_at(t: Tokens, i: int) -> tuple[Mention, int] | None:
    low = t.low[i]
    if low in MONTH_NUMBERS:
        return _spelled_date(t, i)
    if low in _ERA_WORDS:  # AD 1985
        year = _year_at(t, i)
        return _mention(t, i, year[1], [Day(year[0])]) if year else None
    if low == "a" and (era := _era_at(t, i)):  # A.D. 79
        k = era[1]
        digits = t.low[k] if t.kinds[k] == "n" and t.low[k].isdigit() and len(t.low[k]) < 5 else ""
        return _mention(t, i, k + 1, [Day(int(digits))]) if digits else None
    if low in _DECADES and i and t.low[i - 1] in ("nineteen", "eighteen", "seventeen"):
        return None
    spoken = spoken_year(t.low, i) or _counted_year(t, i) if low in _SPOKEN else None
    if spoken and 1000 <= spoken[0] <= 2999:
        return _mention(t, i, spoken[1], [Day(spoken[0])], True)
    decade = i + 1 + (t.low[i + 1] == "-")
    if low in _SPOKEN and t.low[decade] in _DECADES:
        first = {"sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20}.get(low)
        return (
            _mention(t, i, decade + 1, [Day(first * 100 + _DECADES[t.low[decade]], part="decade")]) if first else None
        )
    return _season_at(t, i) or _spelled_date(t, i) or _century_at(t, i)


_SPOKEN = word_set("two ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty")
WORDS = frozenset([*MONTH_NUMBERS, *_ERA_WORDS, *_SEASONS, *_QUARTERS, *ORDINALS, *TENS, *CENTURIES, *_SPOKEN])
_KANJI_STARTS = KANJI | set("令平昭大明慶紀纪公西前")
DATE_STARTS = WORDS | _KANJI_STARTS
_DATE_AFTER_DIGITS = frozenset("年月世")
_TRIGGER = re.compile(rf"[\d{''.join(KANJI)}元]")
_LETTERS = re.compile(r"[^\W\d_]+")
_SURE = WORDS - {"second", "may", "march", "mar", "ad", "mars", "fall", "jan", "dec"}


def has_date(text: str) -> bool:
    """Whether a date may stand in a text: a cheap scan before the tokens are made."""
    if _TRIGGER.search(text):
        return True
    found = set(_LETTERS.findall(text.lower()))
    return not _SURE.isdisjoint(found) or "May" in text or "March" in text or "MAY" in text


def find_dates(text: str) -> list[Mention]:
    """The dates in a text, in order; a month alone ("August") is none, being a name too often.

    Example:
        >>> [max(m.readings, key=str) for m in find_dates("from Jan. 2nd, 2020 until 1972")]
        [Day(year=2020, month=1, day=2, part=''), Day(year=1972, month=None, day=None, part='')]
    """
    if not has_date(text):
        return []
    t, i, found = Tokens(text), 0, []
    while i < len(t):
        read = date_at(t, i)
        if read and any(day.year or day.day for day in read[0].readings):
            found.append(read[0])
        i = read[1] if read else i + 1
    return found
