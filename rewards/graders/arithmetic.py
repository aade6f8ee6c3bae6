"""Arithmetic on whole numbers, decimals and fractions, as LaTeX or plain text writes it; exact, and never long."""

import re
from fractions import Fraction
from functools import lru_cache

_DEEPEST = 12  # brackets in brackets
_BIGGEST = 4_000  # bits of a number that is computed here
_PLAIN = re.compile(r"[\s$]*(-?\d{1,18}(?:\.\d{1,18})?)[\s$.]*")
_ATOM = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3}(?![\d.]))?)|(?P<frac>\\frac)|"
    r"(?P<times>\\times|\\cdot|\*|[xX](?= ?10\^))"
    r"|(?P<over>/|\\div|:)|(?P<sign>[+-])|(?P<power>\^)|(?P<open>[({\[])|(?P<close>[)}\]])|(?P<fact>!)|(?P<pct>%))"
)


class _NoNumber(Exception):
    """The text is no arithmetic, or too big."""


class _Arithmetic:
    """A descent over tokens: sum of products of powers."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            hit = _ATOM.match(text, at)
            if not hit or len(self.tokens) > 200:
                raise _NoNumber
            self.tokens.append((hit.lastgroup or "", hit[0].strip()))
            at = hit.end()
        self.at = 0
        self.depth = 0

    def peek(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def take(self, kind: str) -> str:
        if self.peek() != kind:
            raise _NoNumber
        self.at += 1
        return self.tokens[self.at - 1][1]

    def total(self) -> Fraction:
        value = self.product()
        while self.peek() == "sign":
            value = self.checked(value + self.product() if self.take("sign") == "+" else value - self.product())
        return value

    def product(self) -> Fraction:
        value = self.signed()
        while self.peek() in ("times", "over", "open", "frac"):
            kind = self.peek()
            if kind in ("times", "over"):
                self.at += 1
                factor = self.signed()
                if kind == "over" and not factor:
                    raise _NoNumber
                value = value / factor if kind == "over" else value * factor
            elif kind == "frac" and self.tokens[self.at - 1][0] == "number":  # a mixed number
                fraction = self.power()
                value += fraction if value >= 0 else -fraction
            elif kind == "open" and self.tokens[self.at][1] == "(":
                value *= self.power()
            else:
                raise _NoNumber
            value = self.checked(value)
        return value

    def signed(self) -> Fraction:
        if self.peek() == "sign":
            return -self.signed() if self.take("sign") == "-" else self.signed()
        return self.power()

    def power(self) -> Fraction:
        value = self.unit()
        while self.peek() == "fact":
            self.at += 1
            if value.denominator != 1 or not 0 <= value <= 200:
                raise _NoNumber
            product = 1
            for factor in range(2, int(value) + 1):
                product *= factor
            value = Fraction(product)
        if self.peek() == "power":
            self.at += 1
            exponent = self.signed()
            bits = max(value.numerator.bit_length(), value.denominator.bit_length())
            if exponent.denominator != 1 or abs(exponent) * bits > _BIGGEST or (not value and exponent <= 0):
                raise _NoNumber
            value = value ** int(exponent)
        return value

    def unit(self) -> Fraction:
        kind = self.peek()
        if kind == "number":
            text = self.take("number")
            if len(text) > 400:
                raise _NoNumber
            value = Fraction(text)
            following = [kind for kind, _ in self.tokens[self.at : self.at + 3]]
            if following == ["number", "over", "number"] and value.denominator == 1 and text.isdigit():  # 3 1/2
                top, bottom = (Fraction(self.tokens[self.at + i][1]) for i in (0, 2))
                if not 0 < top < bottom:
                    raise _NoNumber
                self.at += 3
                value += top / bottom
            return value
        if kind == "frac":
            self.at += 1
            top, bottom = self.bracket("{"), self.bracket("{")
            if not bottom:
                raise _NoNumber
            return self.checked(top / bottom)
        return self.bracket("([{")

    def bracket(self, kinds: str) -> Fraction:
        self.depth += 1
        if self.take("open") not in kinds or self.depth > _DEEPEST:
            raise _NoNumber
        value = self.total()
        self.take("close")
        self.depth -= 1
        return value

    def checked(self, value: Fraction) -> Fraction:
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > _BIGGEST:
            raise _NoNumber
        return value


@lru_cache(maxsize=50_000)
def number(text: str) -> Fraction | None:
    """The value of arithmetic in a cleaned text, or `None`.

    Example:
        >>> [str(number(t)) for t in (r"3\\frac{1}{2}", "3 1/2", r"7 \\times 10^{4}", ".5", "2^{3^{2}}", "2x", "1/0")]
        ['7/2', '7/2', '70000', '1/2', '512', 'None', 'None']
    """
    quick = _PLAIN.fullmatch(text)
    if quick:
        return Fraction(quick[1])
    if not any(c.isdigit() for c in text) or len(text) > 600:
        return None
    try:
        reader = _Arithmetic(text)
        value = reader.total()
        return value if reader.at == len(reader.tokens) else None
    except (_NoNumber, RecursionError, ValueError, OverflowError):
        return None


def _terminates(value: Fraction) -> bool:
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    return rest == 1


def same_number(first: Fraction, second: Fraction) -> bool:
    """Equality, or a decimal of six places for a fraction that has no end: 0.333333 is 1/3, 0.3333 is not.

    Example:
        >>> same_number(Fraction("0.333333"), Fraction(1, 3)), same_number(Fraction("1e-8"), Fraction("2e-8"))
        (True, False)
    """
    if first == second:
        return True
    if _terminates(first) == _terminates(second):
        return False
    return abs(first - second) <= Fraction(1_000_001, 10**12) * max(abs(first), abs(second))
