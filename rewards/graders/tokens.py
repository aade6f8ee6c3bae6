"""A text made ready for numbers and dates: one form for its signs, and its tokens.

`Tokens` cuts a text once, in one pass; readers of quantities and dates look a few tokens ahead and never back, so that
any text takes time in proportion to its length.
"""

import re
import unicodedata

from abstain.rewards.graders.numerals import KANJI, KANJI_AFTER, KANJI_BEFORE
from abstain.rewards.graders.units import SPELLED, Unit

# Kanji and kana that some number, unit or date is written with are tokens of their own, runs of others are one.
_NAMES = "".join(part for names in SPELLED.values() for parts, _ in names for part in parts)
_CALENDAR = (
    "年月日号號世紀纪代の春夏秋冬季天元令和平成昭大正明治慶応西暦历公前後后間间分之第番目半度点點又と负負零下マイナス"
)
_READ = "".join(
    {char for char in _NAMES + _CALENDAR if "\u2e80" <= char <= "\u9fff"} | KANJI | KANJI_BEFORE | KANJI_AFTER
)
_NUMERALS = "".join(KANJI)
_TOKEN = re.compile(
    rf"""(?P<n>\d{{1,3}}(?:\ \d{{3}})+(?![\d])(?:[.,]\d+)?(?![.,]?\d)|\d+(?:[.,'_]\d+)*(?:[eE][-+]?\d{{1,4}}(?!\w))?
        |(?<![\w.])\.\d+)
    |(?P<w>[^\W\d_\u2e80-\u9fff\uf900-\ufaff][^\W_\u2e80-\u9fff\uf900-\ufaff]*(?:'[^\W\d_]+)?)
    |(?P<c>[{_NUMERALS}]{{41,}}|[{_READ}]|(?:(?![{_READ}])[\u2e80-\u9fff\uf900-\ufaff])+)|(?P<s>[^\s_])|(?P<b>\n)""",
    re.VERBOSE,
)
_PADDING = [""] * 12


def lower(text: str) -> str:
    """The text in lower case, no longer and no shorter: "İ" would be two letters.

    Example:
        >>> lower("İzmir")
        'izmir'
    """
    low = text.lower()
    return low if len(low) == len(text) else "".join(char.lower()[:1] for char in text)


class Tokens:
    """The words, numbers, signs and kanji of a text, lower-cased, with where they stand and of what kind they are.

    Example:
        >>> Tokens("It's 5 km").low[:3], Tokens("B2 七").kinds[:2]
        (["it's", '5', 'km'], ['w', 'c'])
    """

    __slots__ = ("ends", "kinds", "low", "starts", "text")

    def __init__(self, text: str, low: str = "", begin: int = 0, end: int | None = None) -> None:
        self.text = text
        low = low or lower(text)
        found = [
            (hit.lastgroup, hit.start(), hit.end(), hit[0])
            for hit in _TOKEN.finditer(low, begin, len(text) if end is None else end)
        ]
        kinds, starts, ends, words = zip(*found, strict=True) if found else ((), (), (), ())
        far = (len(text) + 1,) * len(_PADDING)
        self.kinds: list[str] = [*kinds, *_PADDING]
        self.starts: list[int] = [*starts, *far]
        self.ends: list[int] = [*ends, *far]
        self.low: list[str] = [*words, *_PADDING]

    def __len__(self) -> int:
        return len(self.low) - len(_PADDING)

    def glued(self, i: int) -> bool:
        """Whether nothing stands between token `i` and the one before it."""
        return i > 0 and self.starts[i] == self.ends[i - 1]


def unit_at(t: Tokens, i: int) -> tuple[Unit, int] | None:
    """The unit that starts at a token, and the index behind it.

    Example:
        >>> unit_at(Tokens("km/h"), 0)[0].measures, unit_at(Tokens("people"), 0)
        ('speed', None)
    """
    choices = SPELLED.get(t.low[i])
    if choices is None:
        return None
    low = t.low
    for parts, unit in choices:
        n = len(parts)
        if n > 1 and tuple(low[i : i + n]) != parts:
            continue
        name, following = parts[0], low[i + n]
        if n == 1 and name == "in" and (t.kinds[i + 1] in ("w", "n", "c") or low[i - 1 : i] == ["%"]):
            return None
        if name == "k" and t.text[t.starts[i]] != "K":
            return None
        if name == "second" and n == 1 and low[i - 1 : i] not in (["1"], ["one"], ["-"], ["a"]) and low[i - 2] != "/":
            return None
        if name == "year" and n == 1 and following == "-" and t.glued(i + 1) and t.glued(i + 2):
            return None  # "the 2010 year-end list"
        if n == 1 and len(name) == 1 and name.isalpha() and following in ("'", ".") and t.kinds[i + 2] == "w":
            return None  # "5 m.n"
        if t.kinds[i + n - 1] == "w" and following == "^" and t.kinds[i + n + 1] == "n":
            return None  # a power of a unit that is no unit of the table
        if parts[-1] == "度" and following and following in "目":
            return None
        return unit, i + n
    return None


_SLASHED = re.compile(r"\b(\d{1,2})[/-]([A-Z][a-z]{2,8})[/-](\d{4})\b")  # 20/May/1956
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_RAISED = re.compile(r"(?<=[\d)A-Za-zµ])[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
_VULGAR = re.compile(r"(\d{0,15}) ?([¼½¾⅐-⅞])")
_TIDY = str.maketrans(
    dict.fromkeys("‘’ʼ´`′＇", "'")
    | dict.fromkeys("“”„«»‟″『』「」", '"')
    | dict.fromkeys("‐‑‒–−﹣", "-")
    | dict.fromkeys("—―", " — ")
    | dict.fromkeys("～〜", "~")
    | dict.fromkeys(map(chr, [*range(9), *range(11, 32), *range(127, 160)]), " ")
    | dict.fromkeys(map(chr, [0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, 0xAD, 0xFE0F]))
    | {
        "×": "*",
        "·": "*",
        "⋅": "*",
        "∙": "*",
        "\xa0": " ",
        "\u202f": " ",
        "\u2009": " ",
        "÷": "/",
        "№": "# ",
        "™": " ",
        "®": " ",
        "©": " ",
        "∕": "/",
        "⁄": "/",
    }
)
_TAG = re.compile(r"</?[A-Za-z][^<>\n]{0,60}>")
_LATEX = (
    (re.compile(r"(?<=\d)(?=\\[dt]?frac)"), " "),
    (re.compile(r"\\[dt]?frac\{(-?\d{1,15})\}\{(\d{1,15})\}"), r"\1/\2"),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|operatorname|boxed|fbox)\b"), " "),
    (re.compile(r"\\sqrt(?![a-z])"), "√"),
    (re.compile(r"\\pi(?![a-z])"), "π"),
    (re.compile(r"\\(?:times|cdot)(?![a-z])"), "*"),
    (re.compile(r"(?<=\d)(?:\\[,;:! ]|\{,\})(?=\d{3}(?!\d))"), ","),
    (re.compile(r"\\(?:circ|degree)(?![a-z])"), "°"),
    (re.compile(r"\\(?:approx|sim)(?![a-z])"), "~"),
    (re.compile(r"\\[,;:! ()\[\]]|\\(?:left|right|quad|qquad)(?![a-z])"), " "),
    (re.compile(r"\\(?=[$%&#_{}])"), ""),
)  # fmt: skip
_KOREAN = re.compile(r"(?<=\d) ?([년월일])")
_TIE = re.compile(r"(?<=\d)~(?=[A-Za-z°])")
_POWER = re.compile(r"\*\*(?=-?\d)")
_DOLLARS = re.compile(r"(?<![A-Z])\$(?=[^$\n]{1,200}\$(?!\d))([^$\n]{1,200})\$")


def number_text(text: str) -> str:
    """One form for digits, dashes, quotes, LaTeX and mark-up, superscripts spelled as powers.

    Example:
        >>> number_text("6×10⁵ m²"), number_text("3½"), number_text(r"$70{,}000$")
        ('6*10^5 m^2', '3.5', '70,000')
    """
    if not text.isascii():
        text = _RAISED.sub(lambda m: "^" + m[0].translate(_SUPERSCRIPTS), text)
        text = _VULGAR.sub(lambda m: f"{int(m[1] or 0) + unicodedata.numeric(m[2]):.12g}", text)
        text = unicodedata.normalize("NFKC", text.translate(_TIDY))
        text = text.translate(_TIDY)
        if "년" in text or "월" in text:
            text = _KOREAN.sub(lambda m: {"년": "年", "월": "月", "일": "日"}[m[1]], text)
    elif "\t" in text or "\r" in text or "`" in text:
        text = text.translate(_TIDY)
    if "/" in text:
        text = _SLASHED.sub(r"\1 \2 \3", text)
    if "~" in text:
        text = _TIE.sub(" ", text)
    if "\\" in text or "{" in text:
        for pattern, plain in _LATEX:
            text = pattern.sub(plain, text)
        text = (
            text.replace("{", " ").replace("}", " ") if "^{" not in text else text.replace("{", "").replace("}", " ")
        )
    if "$" in text and text.count("$") > 1:
        text = _DOLLARS.sub(r"\1", text)
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "**" in text:
        text = _POWER.sub("^", text) if re.search(r"\d\*\*-?\d", text) else text.replace("**", "")
    return text
