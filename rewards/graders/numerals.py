"""What written numbers are worth: digits with separators, English number words of any size, kanji.

A comma before exactly three digits separates thousands; any other comma is a decimal comma ("3,5" = 3.5, "1.234,5" =
1234.5). A point is a decimal point ("1.234" is a little more than one) unless there are several ("1.234.567").
Our own reader: `text2num` is as fast, but leaves "half a million", "nineteen eighty-four" and kanji as they are.
"""

import re
from collections.abc import Sequence


def word_set(words: str) -> frozenset[str]:
    """The words of a text, as a set.

    Example:
        >>> sorted(word_set("one two"))
        ['one', 'two']
    """
    return frozenset(words.split())


_ONES = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen
"""
ONES = {word: value for value, word in enumerate(_ONES.split())}
_TENS = """
    twenty thirty forty fifty sixty seventy eighty ninety
"""
TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), 2)} | {"fourty": 40}
_ORDINALS = """
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth
"""
ORDINALS = {word: value for value, word in enumerate(_ORDINALS.split(), 1)} | {
    word[:-1] + "ieth": value for word, value in TENS.items()
}
ORDINAL_DIGITS = re.compile(r"(\d+)(?:st|nd|rd|th)")


def without_suffix(word: str) -> str:
    """The digits of an ordinal in digits; any other word as it is.

    Example:
        >>> without_suffix("21st"), without_suffix("first")
        ('21', 'first')
    """
    hit = ORDINAL_DIGITS.fullmatch(word)
    return hit[1] if hit else word


LARGE = {
    "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "quadrillion": 10**15,
    "quintillion": 10**18, "lakh": 10**5, "crore": 10**7, "millions": 10**6, "billions": 10**9, "thousands": 10**3,
    "trillions": 10**12, "lakhs": 10**5, "crores": 10**7,
}  # fmt: skip
SCALES = LARGE | {
    "hundred": 100, "k": 10**3, "mn": 10**6, "mio": 10**6, "mil": 10**3, "bn": 10**9, "tn": 10**12, "dozen": 12,
    "dozens": 12, "millionen": 10**6, "milliarden": 10**9, "milliards": 10**9, "millones": 10**6, "mille": 10**3,
}  # fmt: skip
FRACTIONS = {"half": 2, "third": 3, "quarter": 4, "halves": 2} | {
    word: value for word, value in ORDINALS.items() if 2 < value < 20 and word != "third"
}  # fmt: skip
FRACTIONS |= {word + "s": value for word, value in FRACTIONS.items() if word not in ("half", "halves")}
FRACTIONS |= {"hundredth": 100, "hundredths": 100, "thousandth": 1000, "thousandths": 1000}
TIMES = {"once": 1, "twice": 2, "thrice": 3}
NUMBER_WORDS = frozenset(
    [*ONES, *TENS, *ORDINALS, *LARGE, *FRACTIONS, *TIMES, "hundred", "hundredth", "thousandth", "millionth", "dozen",
     "none", "pair", "couple"]
)  # fmt: skip

KANJI_DIGITS = {char: value for value, char in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2, "兩": 2}
KANJI_TENS = {"十": 10, "百": 100, "千": 1000}
KANJI_SCALES = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "兆": 10**12}
KANJI = frozenset([*KANJI_DIGITS, *KANJI_TENS, *KANJI_SCALES])
# What may stand before and behind a short run of numerals that is a number, and no part of a word (千葉, 一番).
KANJI_BEFORE = frozenset(
    "はがをにでもへとか有是为為共约約第年月日时時分秒和与或从從到至在近达達负負剩出计計为又"
    "、。，：；（）「」のるたく各数總总零之"
)
KANJI_AFTER = frozenset(
    "年月日号號人個个個つ回次歳岁円元点点枚本文字度分秒时時小公千米克斤倍位名匹頭头台冊册部集章級级種种件所届代"
    "世は、。，：；）」が？で或か和と至到从か～トメキセグドユポパミル割成英平立海光毫厘歐欧港日美加以之多余左前后後"
    "周週星期間天か国州省県市階层層番者校社艘座张張条條颗顆只隻辆輛家户戶棟栋口句首段行页頁杯瓶箱双雙对對の"
)

_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d+)?")
_POINTS = re.compile(r"\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|\d{1,3}(?:\.\d{3})+,\d+")
_GROUPS = re.compile(r"\d{1,3}(?:([ '_])\d{3})(?:\1\d{3})*(?:[.,]\d+)?")
_DECIMAL = re.compile(r"\d+[.,]\d+|\.\d+")


def plain_digits(digits: str) -> str | None:
    """Digits with a decimal point and nothing else, by the rules of the module; `None` if it is no one number.

    Example:
        >>> [plain_digits(d) for d in ("1,234.5", "1.234,5", "3,5", "70_000", "12,34,567", "2.1.3", "5,6,7")]
        ['1234.5', '1234.5', '3.5', '70000', '1234567', None, None]
    """
    if digits.isdigit():
        return digits if len(digits) < 300 else None
    if len(digits) > 300:
        return None
    if _THOUSANDS.fullmatch(digits):
        return digits.replace(",", "")
    if _POINTS.fullmatch(digits):
        return digits.replace(".", "").replace(",", ".")
    if _GROUPS.fullmatch(digits):
        return digits.replace(" ", "").replace("'", "").replace("_", "").replace(",", ".")
    return digits.replace(",", ".") if _DECIMAL.fullmatch(digits) else None


def read_kanji(text: str) -> float | None:
    """Reads 三百五十 as 350, 二〇二〇 as 2020 and 七万 as 70,000.

    Example:
        >>> [read_kanji(text) for text in ("三百五十", "二〇二〇", "一億二千万", "十")]
        [350, 2020, 120000000, 10]
    """
    if len(text) > 40 or not set(text) <= KANJI:
        return None
    if not any(char in KANJI_TENS or char in KANJI_SCALES for char in text):
        return int("".join(str(KANJI_DIGITS[char]) for char in text))
    total, part, digit = 0, 0, None
    for char in text:
        if char in KANJI_DIGITS:
            digit = (digit or 0) * 10 + KANJI_DIGITS[char]
        elif char in KANJI_TENS:
            part, digit = part + (1 if digit is None else digit) * KANJI_TENS[char], None
        else:
            total, part, digit = total + (part + (digit or 0) or 1) * KANJI_SCALES[char], 0, None
    return total + part + (digit or 0)


def _below_hundred(words: Sequence[str], i: int) -> tuple[int, int] | None:
    if words[i] in TENS:
        value, k = TENS[words[i]], i + 1
        dash = k + 1 if words[k] == "-" else k
        if 0 < ONES.get(words[dash], 0) < 10:
            return value + ONES[words[dash]], dash + 1
        return value, k
    return (ONES[words[i]], i + 1) if words[i] in ONES else None


def _below_thousand(words: Sequence[str], i: int) -> tuple[int, int] | None:
    low = _below_hundred(words, i)
    if low is None:
        return None
    value, k = low
    if words[k] != "hundred" and not (words[k] == "-" and words[k + 1] == "hundred"):
        return low
    value, k = value * 100, k + (1 if words[k] == "hundred" else 2)
    rest = _below_hundred(words, k + (words[k] == "and"))
    return (value + rest[0], rest[1]) if rest and rest[0] else (value, k)


def cardinal(words: Sequence[str], i: int) -> tuple[float, int] | None:
    """The number that starts at a word, and the index behind it; one number only ("five six" is five).

    The list must end with two empty strings.

    Example:
        >>> def read(text): return cardinal([*text.split(), "", ""], 0)
        >>> read("one hundred and twenty three thousand four hundred and five"), read("five six"), read("one and two")
        ((123405, 10), (5, 1), (1, 1))
        >>> read("half a million"), read("a dozen eggs")
        ((500000.0, 3), (12.0, 2))
    """
    first, part = words[i], 1.0
    if first == "half" and words[i + 1] in ("a", "an"):
        part, i, first = 0.5, i + 1, words[i + 1]
    if first in ("a", "an"):
        if words[i + 1] not in LARGE and words[i + 1] not in ("hundred", "dozen"):
            return None
        start: tuple[int, int] | None = (1, i + 1)
    else:
        start = _below_thousand(words, i)
    if start is None:
        if (first not in LARGE and first not in ("hundred", "dozen")) or first.endswith("s"):
            return None
        start = (1, i)
    value, k = start
    if words[k] == "hundred":  # "a hundred and five"
        rest = _below_hundred(words, k + 1 + (words[k + 1] == "and"))
        value, k = (100 + rest[0], rest[1]) if rest else (100, k + 1)
    if words[k] == "dozen":
        return value * 12 * part, k + 1
    total, last = 0, 10**30
    while True:
        scale = 1
        while scale < 10**30 and words[k + (words[k] == "-")] in LARGE:
            k += words[k] == "-"
            scale, k = scale * LARGE[words[k]], k + 1
        total, last = total + value * scale, scale
        comma = words[k] == ","  # "two thousand, four hundred"; "two thousand, four" are two
        at = k + comma
        following = _below_thousand(words, at + (words[at] == "and")) if scale > 1 else None
        if following is None:
            break
        after = words[following[1]]
        if comma and following[0] < 100 and after not in LARGE:
            break
        if LARGE.get(after, 1) >= last:
            break
        value, k = following
    return (total if part == 1 else total * part), k


def spoken_year(words: Sequence[str], i: int) -> tuple[int, int] | None:
    """ "nineteen eighty-four", "twenty ten" and "nineteen oh five" as years, with the index behind them.

    Example:
        >>> spoken_year(["nineteen", "eighty", "-", "four", "", ""], 0), spoken_year(["twenty", "one", "", ""], 0)
        ((1984, 4), None)
    """
    first = ONES.get(words[i]) or TENS.get(words[i]) or 0
    if not 10 <= first <= 20:
        return None
    k = i + 1 + (words[i + 1] == "-")
    if words[k] in ("oh", "o") and 0 < ONES.get(words[k + 1], 0) < 10:
        return first * 100 + ONES[words[k + 1]], k + 2
    low = _below_hundred(words, k)
    return (first * 100 + low[0], low[1]) if low and low[0] >= 10 else None
