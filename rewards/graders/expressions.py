"""Mathematical expressions as text: one spelling, the value of arithmetic, and the parts of lists and intervals.

Everything here is cheap and needs no algebra system; what it cannot decide is asked of SymPy (`math_pool`).
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

DEEPEST = 12  # brackets in brackets
MANY = 40  # items of a list

_SIGNS = str.maketrans(
    {"−": "-", "–": "-", "‐": "-", "‑": "-", "＋": "+", "＝": "=", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ",
     "∙": r"\cdot ", "÷": "/", "⁄": "/", "π": r"\pi ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ",
     "≠": r"\ne ", "∈": r"\in ", "∪": r"\cup ", "∩": r"\cap ", "±": r"\pm ", "≈": r"\approx ", "√": r"\sqrt",
     "∅": r"\emptyset ", "％": "%", "，": ",", "、": ",", "；": ";", "：": ":", "（": "(", "）": ")", "｛": "{",
     "｝": "}", "θ": r"\theta ",
     "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}",
     "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}"}
    | {chr(0xFF10 + i): str(i) for i in range(10)}
)  # fmt: skip
_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SUPERS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_LAYOUT = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|limits|mathstrut|quad|qquad|hspace\{[^{}]*\})(?![A-Za-z])"
    r"|(?<!\\)(?:\\[!;:> ]|~)"
)
_SYNONYMS = (
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\(?:leq|leqslant)(?![A-Za-z])"), r"\\le"),
    (re.compile(r"\\(?:geq|geqslant)(?![A-Za-z])"), r"\\ge"),
    (re.compile(r"\\(?:neq)(?![A-Za-z])|\\not\s?=|!="), r"\\ne "),
    (re.compile(r"\\(?:lbrace|\{)"), r"\\{"),
    (re.compile(r"\\(?:rbrace|\})"), r"\\}"),
    (re.compile(r"\\(?:land|wedge)(?![A-Za-z])"), r" and "),
    (re.compile(r"\\(?:lor|vee)(?![A-Za-z])"), r" or "),
    (re.compile(r"\\(?:simeq|sim|thickapprox)(?![A-Za-z])"), r"\\approx"),
    (re.compile(r"\^\s?\\(?:circ|degree)(?![A-Za-z])|\^\s?\{\s?\\(?:circ|degree)\s?\}|\\degree(?![A-Za-z])"), "°"),
    (re.compile(r"\\frac\s?(\d)\s?(\d)(?!\d)"), r"\\frac{\1}{\2}"),
    (re.compile(r"\\frac\s?(\d)\s?\{"), r"\\frac{\1}{"),
    (re.compile(r"\\sqrt\s?(\d+|[a-z](?![A-Za-z]))"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![A-Za-z\\])sqrt\s?\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![A-Za-z\\])sqrt\s?(\d+)"), r"\\sqrt{\1}"),
    (re.compile(r"\\[%$]"), lambda m: m[0][1]),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\^\s?\(([^()]*)\)"), r"^{\1}"),
    (re.compile(r"\^\s?(-?\d+)(?![\d.])"), r"^{\1}"),
    (re.compile(r"(?<=\d)(?:\\,|\{,\})(?=\d{3}(?!\d))"), ""),
    (re.compile(r"\\,"), " "),
    (re.compile(r"<="), r"\\le "),
    (re.compile(r">="), r"\\ge "),
    (
        re.compile(r"(?<![A-Za-z\\])(pi|infty|infinity|inf)(?![A-Za-z])"),
        lambda m: "\\pi" if m[1] == "pi" else "\\infty",
    ),
)
_WRAPPERS = re.compile(
    r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|mbox|hbox|operatorname)\s?\{([^{}]*)\}"
)
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])|(?<![\d.,])\d{1,3}(?: \d{3})+(?! ?\d)")
_SIMPLE = re.compile(r"[\d\s.,=+/()%A-Za-hj-oq-rt-z-]*")  # no "sqrt", "pi" or "inf" in it
_APART = re.compile(r"(?<=\d) +(?=\d)(?!\d+ ?/ ?\d)")  # two numbers, not one
_DOLLAR = re.compile(r"(?<!\\)\$")
_SPACES = re.compile(r"\s+")


@lru_cache(maxsize=20_000)
def clean(text: str) -> str:
    """One spelling of an expression in LaTeX, Unicode or plain text.

    Example:
        >>> print(clean(r"$\\dfrac12 \\times 70{,}000\\,$"), clean("√2 ≤ x²"), clean("1,234.5"), sep="; ")
        \\frac{1}{2} \\times 70000; \\sqrt{2} \\le x^{2}; 1234.5
    """
    text = _DOLLAR.sub(" ", text).strip()
    if not text.isascii():
        text = _SUPERS.sub(lambda m: "^{" + m[0].translate(_SUPER) + "}", text).translate(_SIGNS)
    if "\\" in text or "~" in text:
        text = _LAYOUT.sub(" ", text)
    latex = "\\" in text
    if latex or not _SIMPLE.fullmatch(text):
        for pattern, spelling in _SYNONYMS:
            text = pattern.sub(spelling, text)
    for _ in range(4 if latex else 0):
        unwrapped = _WRAPPERS.sub(r" \1 ", text)
        if unwrapped == text:
            break
        text = unwrapped
    text = _GROUPED.sub(lambda m: m[0].replace(",", "").replace(" ", ""), text)
    text = _SPACES.sub(" ", _APART.sub(", ", text)).strip().rstrip(".,;:。 ").strip()
    for _ in range(DEEPEST):
        if text[:1] != "{" or closing(text, 0) != len(text) - 1:
            break
        text = text[1:-1].strip()
    return text


_BRACKETS = re.compile(r"\\[{}]|\\[A-Za-z]+|[()\[\]{}]")
_OPENING = {"(", "[", "{", r"\{"}
_CLOSING = {")", "]", "}", r"\}"}


def key(text: str) -> str:
    """What two spellings of a cleaned expression share.

    Example:
        >>> key("2 x") == key("2x")
        True
    """
    return text.replace(" ", "").replace(r"\cdot", r"\times").casefold()


def closing(text: str, at: int) -> int:
    """The offset of the bracket that closes the one at `at`, or -1. A bracket may close another kind: "[1, 2)".

    Example:
        >>> closing("[1, (2)) + 3", 0)
        7
    """
    depth = 0
    for hit in _BRACKETS.finditer(text, at):
        if len(hit[0]) > 2 or (len(hit[0]) == 2 and hit[0][1] not in "{}"):
            continue
        depth += 1 if hit[0] in _OPENING else -1
        if depth == 0:
            return hit.end() - 1
    return -1


def depth(text: str) -> int:
    """How many brackets stand in one another.

    Example:
        >>> depth("((1), 2)"), depth("1")
        (2, 0)
    """
    now = most = 0
    for hit in _BRACKETS.finditer(text):
        if hit[0] in _OPENING:
            now += 1
            most = max(most, now)
        elif hit[0] in _CLOSING:
            now = max(0, now - 1)
    return most


def split(text: str, separator: re.Pattern[str]) -> list[str]:
    """The parts of a text at a separator that stands in no bracket.

    Example:
        >>> split("(1, 2), 3", re.compile(","))
        ['(1, 2)', ' 3']
    """
    if not separator.search(text):
        return [text]
    parts, start, depth = [], 0, 0
    marks = sorted(
        [(m.start(), m) for m in _BRACKETS.finditer(text)] + [(m.start(), m) for m in separator.finditer(text)],
        key=lambda p: p[0],
    )
    for _, mark in marks:
        if mark.re is separator:
            if depth == 0 and mark.start() >= start:
                parts.append(text[start : mark.start()])
                start = mark.end()
        elif mark[0] in _OPENING:
            depth += 1
        elif len(mark[0]) == 1 or mark[0] == r"\}":
            depth = max(0, depth - 1)
    return [*parts, text[start:]]


# Units behind a number.

_UNITS = {
    "length": "mm=.001 cm=.01 m=1 km=1000 millimeter=.001 centimeter=.01 meter=1 kilometer=1000 inch=.0254 in=.0254"
    " ft=.3048 foot=.3048 feet=.3048 yd=.9144 yard=.9144 mi=1609.344 mile=1609.344",
    "mass": "mg=.001 g=1 kg=1000 gram=1 kilogram=1000 lb=453.59237 pound=453.59237 oz=28.349523125 ounce=28.349523125",
    "time": "s=1 sec=1 second=1 min=60 minute=60 h=3600 hr=3600 hour=3600 day=86400 week=604800",
    "area": "cm^{2}=.0001 m^{2}=1 km^{2}=1000000",
    "volume": "ml=.001 l=1 liter=1 cm^{3}=.001 m^{3}=1000",
    "dollars": "$=1 dollar=1 usd=1 cent=.01",
    "euros": "€=1 euro=1 eur=1",
    "pounds": "£=1 gbp=1",
    "yen": "¥=1 円=1 yen=1 jpy=1",
    "yuan": "元=1 yuan=1 rmb=1 cny=1",
    "angle": "°=1 degree=1 deg=1",
    "percent": "%=1 percent=1 pct=1",
}  # fmt: skip
_UNIT = {
    name: (kind, Fraction(size))
    for kind, row in _UNITS.items()
    for name, size in (entry.split("=") for entry in row.replace("^{2}=", "²=").replace("^{3}=", "³=").split())
}
_MEASURED = re.compile(
    r"(?P<value>.*[\d)}])\s?(?P<unit>(?:(?<= )[A-Za-z]+|[A-Za-z]{2,}|[%°元円个個人])"
    r"(?:(?: |/)?[A-Za-z%°]{2,}|/[a-z])*(?:\s?\^\{[23]\})?)"
)
_MONEY = re.compile(r"(-?)\s?([$€£¥])\s?(.*)")
_FUNCTIONS = re.compile(r"(?:a?(?:sin|cos|tan|sec|csc|cot)h?|log|ln|exp|sqrt|mod|min|max|or|and)\b")


def known_unit(name: str) -> str:
    """The name of a unit in this module's table, or "".

    Example:
        >>> known_unit("Meters"), known_unit("apples")
        ('meter', '')
    """
    name = (
        name.strip()
        .lower()
        .replace("^{2}", "²")
        .replace("^{3}", "³")
        .replace("metre", "meter")
        .replace("litre", "liter")
    )
    name = re.sub(r"^(?:square|sq) ?(.*?)s?$", lambda m: {"meter": "m²", "cm": "cm²", "m": "m²"}.get(m[1], m[0]), name)
    for spelling in (name, name.removesuffix("s"), name.removesuffix("es")):
        if spelling in _UNIT:
            return spelling
    return ""


def measured(text: str) -> tuple[str, str]:
    """An expression without its unit, and the unit, "" if there is none and "?" if it is a word of its own.

    Example:
        >>> measured("5 cm"), measured("12%"), measured("$3.50"), measured("70000x"), measured("30 students")
        (('5', 'cm'), ('12', '%'), ('3.50', '$'), ('70000x', ''), ('30', '?'))
    """
    money = _MONEY.fullmatch(text)
    if money:
        return money[1] + money[3], money[2]
    found = _MEASURED.fullmatch(text) if not text[-1:].isdigit() else None
    if not found or _FUNCTIONS.match(found["unit"]) or "\\" in found["unit"]:
        return text, ""
    unit = known_unit(found["unit"])
    if not unit and len(found["unit"]) == 1 and found["unit"].isascii():
        return text, ""
    return found["value"].strip(), unit or "?"


def scale(unit: str, wanted: str) -> Fraction | None:
    """By what a number in one unit is multiplied to be one in the other; `None` if they measure different things.

    Example:
        >>> str(scale("m", "cm")), scale("kg", "cm"), str(scale("", "cm"))
        ('100', None, '1')
    """
    if unit in ("", "?") or wanted in ("", "?") or unit == wanted:
        return Fraction(1)
    (kind, size), (other, step) = _UNIT[unit], _UNIT[wanted]
    return size / step if kind == other else None


# Lists, sets, intervals, matrices.


class Form(NamedTuple):
    """An answer's parts.

    Args:
        brackets: "" for a plain list, "{}" for a set, "(]" and the like for tuples and intervals, or "matrix 2".
        items: the expressions in it, one if it is no list.
    """

    brackets: str
    items: tuple[str, ...]


_NAME = re.compile(
    r"\s*(?:\\?[A-Za-z]+|[A-Za-z](?:_\{?\w{1,9}\}?)?(?:\([A-Za-z]\))?'{0,2}|\([A-Za-z](?:,\s?[A-Za-z]){1,3}\)|\\(?:angle|overline|triangle)\s?\{?\s?[A-Z]{1,4}\s?\}?)\s*"
)
_LIST_SIGN = re.compile(r",|;|\bor\b|\band\b|\\cup(?![A-Za-z])|または|或者|或|と|和", re.IGNORECASE)
_RELATION = re.compile(r"\\(?:le|ge)(?![A-Za-z])|[<>]")
_IN = re.compile(r"\\in(?![A-Za-z])")
_MATRIX = re.compile(r"\\begin\s?\{([pbBvV]?matrix|array)\}(?:\{[clr|]*\})?(.*)\\end\s?\{\1\}", re.DOTALL)
_PLUS_MINUS = re.compile(r"\\pm(?![A-Za-z])")


def is_name(text: str) -> bool:
    """Whether a text is a variable or function as it stands left of an equals sign.

    Example:
        >>> is_name("x_1"), is_name("f(x)"), is_name("2x")
        (True, True, False)
    """
    return bool(_NAME.fullmatch(text)) and text.strip() not in (r"\pi", r"\infty", "e", "i")


def _interval(text: str) -> Form | None:
    """The interval that a simple inequality in one variable says: x < 3, 3 > x, 0 < x ≤ 1."""
    sides = split(text, _RELATION)
    if len(sides) not in (2, 3) or "=" in text:
        return None
    signs = [m[0] for m in _RELATION.finditer(text)]
    up = [sign in ("<", r"\le") for sign in signs]
    closed = [sign in (r"\le", r"\ge") for sign in signs]
    if len(sides) == 3:
        if not is_name(sides[1]) or up[0] != up[1]:
            return None
        ends, shut = (sides[0], sides[2]), closed
        if not up[0]:
            ends, shut = (ends[1], ends[0]), closed[::-1]
        return Form("([)]"[shut[0]] + "([)]"[2 + shut[1]], (ends[0].strip(), ends[1].strip()))
    if is_name(sides[1]) and not is_name(sides[0]):
        sides, up = sides[::-1], [not up[0]]
    if not is_name(sides[0]):
        return None
    bound, edge = sides[1].strip(), closed[0]
    return Form("(" + ")]"[edge], (r"-\infty", bound)) if up[0] else Form("(["[edge] + ")", (bound, r"\infty"))


@lru_cache(maxsize=20_000)
def form(text: str) -> Form:
    """The parts of a cleaned expression.

    Example:
        >>> form("x = 1, 2"), form("0 < x \\\\le 1"), form("(1, 2)").brackets, form("\\\\{1\\\\}").brackets
        (Form(brackets='', items=('x = 1', '2')), Form(brackets='(]', items=('0', '1')), '()', '{}')
    """
    text = text.strip()
    belongs = split(text, _IN)
    if len(belongs) == 2 and is_name(belongs[0]):
        text = belongs[1].strip()
    sides = split(text, re.compile("="))
    if len(sides) == 2 and is_name(sides[0]) and sides[1].strip()[:1] in ("(", "[", "\\", "{"):
        inner = form(sides[1].strip())
        if inner.brackets:
            return inner
    matrix = _MATRIX.fullmatch(text)
    if matrix:
        rows = [row.split("&") for row in re.split(r"\\\\", matrix[2].strip()) if row.strip()]
        wide = len(rows[0]) if rows else 0
        kind = "|" if matrix[1][0] in "vV" else "matrix"
        return Form(f"{kind} {wide}", tuple(cell.strip() for row in rows for cell in row))
    parts = [part.strip() for part in split(text, _LIST_SIGN)]
    parts = [part for part in parts if part][: MANY + 1]
    if len(parts) > 1:
        return Form("", tuple(parts))
    text = parts[0] if parts else ""
    opens = text[:2] if text[:2] == r"\{" else text[:1]
    if opens and opens in _OPENING and closing(text, 0) == len(text) - 1:
        inside = text[len(opens) : -1].removesuffix("\\")
        items = tuple(part.strip() for part in split(inside, re.compile("[,;]")))
        if opens in (r"\{", "{"):
            return Form("{}", tuple(item for item in items if item))
        if len(items) > 1:
            return Form(text[0] + text[-1], items)
    if len(_PLUS_MINUS.findall(text)) == 1:
        return Form("", tuple(_PLUS_MINUS.sub(sign, text).strip().lstrip("+").strip() for sign in ("+", "-")))
    return _interval(text) or Form("", (text,))


def same_form(gold: Form, stated: Form, equal: Callable[[str, str], bool]) -> bool:
    """Whether two answers have the same parts; the order of a list or set does not matter, that of a tuple does.

    Example:
        >>> same_form(form("1, 2"), form("2 or 1"), str.__eq__), same_form(form("(1,2)"), form("(2,1)"), str.__eq__)
        (True, False)
    """
    if len(gold.items) != len(stated.items) or len(gold.items) > MANY:
        return False
    plain = ("", "{}")
    if gold.brackets in plain and stated.brackets in plain:
        left = list(stated.items)
        for wanted in gold.items:
            match = next((item for item in left if equal(wanted, item)), None)
            if match is None:
                return False
            left.remove(match)
        return True
    if gold.brackets != stated.brackets and not {gold.brackets, stated.brackets} <= {"", "()"}:
        return False
    return all(equal(*pair) for pair in zip(gold.items, stated.items, strict=True))
