"""A process of the `math` grader: reads {"gold", "stated", "limit"} lines, writes a word for each (see `math_pool`).

Expressions are read by math-verify. Constants are compared by their values with 30 digits, relative to their size, so
that 10^-34 is not 10^-31; expressions in variables by their values at a few points, which is exact enough to tell
different ones apart and costs less than simplifying; equations by the difference of their sides; and what has no
value, a set or a function that is only named, by math-verify itself. The process ends when its input ends, that is
when the one that started it does.
"""

import json
import logging
import re
import signal
import sys
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType
from typing import Any

MEMORY = 2 * 2**30  # bytes; 9**9**9 alone asks for more
DIGITS = 30
EXACT = 1e-12  # relative difference of equal values
ROUNDED = 1.000001e-6  # the same, where one of them is a decimal
_DECIMAL = re.compile(r"\.\d")
_WHOLE = frozenset("jkmn")  # variables that stand for whole numbers
_POINTS = (("1.7320508", "2.2360679", 3), ("0.5772156", "3.1415926", 2), ("2.7182818", "0.3183098", 5))


class _OutOfTime(BaseException):
    """Not an `Exception`: SymPy catches those."""


@lru_cache(maxsize=10_000)
def _parse(text: str) -> Any:
    """The SymPy expression that a text is, or `None`."""
    from math_verify import LatexExtractionConfig, parse

    found = parse(f"${text}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
    return next((_exact(e) for e in found if not isinstance(e, str)), None)


def _exact(expression: Any) -> Any:
    """Decimals as fractions: a difference of two decimals is not rounded away."""
    from sympy import Float, I, Rational  # type: ignore[import-untyped]

    try:
        exact = {f: Rational(str(f)) for f in expression.atoms(Float)}
        unit = {s: I for s in expression.free_symbols if s.name == "i"}  # which math-verify leaves a variable
        return expression.xreplace(exact | unit)
    except (AttributeError, TypeError, ValueError):
        return expression


def _value(expression: Any, point: dict[Any, Any]) -> Any:
    """The number that an expression is at a point, or `None`."""
    number = expression.evalf(DIGITS, subs=point)  # not `subs`: exact powers of fractions are long
    real, imaginary = number.as_real_imag()
    if not (real.is_Float or real.is_Rational) or not (imaginary.is_Float or imaginary.is_Rational):
        return None
    return number if number.is_finite else None


def _near(first: Any, second: Any, tolerance: float) -> bool:
    from sympy import Abs

    size = max(Abs(first), Abs(second))
    return bool(size == 0 or Abs(first - second).evalf(DIGITS) <= tolerance * size)


def _points(*expressions: Any) -> Iterator[tuple[int, dict[Any, Any]]]:
    """Values for all variables of the expressions, positive ones first; one empty point if there are none."""
    from sympy import Rational

    names = sorted(set().union(*(e.free_symbols for e in expressions)), key=str)
    for sign in (1, -1) if names else (1,):
        for near, far, whole in _POINTS if names else _POINTS[:1]:
            yield (
                sign,
                {
                    s: whole + i if str(s) in _WHOLE else sign * (Rational(near) + i * Rational(far))
                    for i, s in enumerate(names)
                },
            )


def same_value(gold: Any, stated: Any, tolerance: float = EXACT) -> bool | None:
    """Whether two expressions have the same values; `None` if they have none."""
    from sympy import Expr

    if not isinstance(gold, Expr) or not isinstance(stated, Expr):
        return None
    gold, stated = gold.doit(), stated.doit()
    if gold.is_Rational and stated.is_Rational and tolerance == EXACT:
        return bool(gold == stated)
    for sign, point in _points(gold, stated):
        values = _value(gold, point), _value(stated, point)
        if None in values:
            if sign > 0:
                return None
            continue  # not defined there
        if sign < 0 and not all(v.is_real for v in values):
            continue  # ln x² is 2 ln x where there is a logarithm
        if not _near(*values, tolerance):
            return False
    return True


def same_relation(gold: Any, stated: Any) -> bool | None:
    """Whether two equations or inequalities say the same: the differences of their sides are a multiple of each other,
    as in 3x + 6 = 0 and x = -2. `None` if that cannot be told."""
    from sympy import Expr
    from sympy.core.relational import Relational  # type: ignore[import-untyped]

    sides = []
    for relation in (gold, stated):
        if not isinstance(relation, Relational) or not all(isinstance(side, Expr) for side in relation.args):
            return None
        turned = relation.reversed if relation.rel_op in ("<", "<=") else relation
        sides.append((turned.rel_op, (turned.lhs - turned.rhs).doit()))
    (sign, wanted), (other, given) = sides
    if sign != other:
        return False
    ratio = None
    for side, point in _points(wanted, given):
        values = _value(wanted, point), _value(given, point)
        if None in values or 0 in values:
            if side > 0:
                return None
            continue
        this = values[0] / values[1]
        if (ratio is not None and not _near(this, ratio, EXACT)) or (
            sign not in ("==", "!=") and not this.is_positive
        ):
            return False
        ratio = this
    return True


def compare(gold: str, stated: str) -> str:
    """ "equal", "different", or "unreadable" if the gold is.

    Example:
        >>> compare("2x+2", "2(x+1)"), compare(r"9 \\cdot 10^{-31}", r"6 \\cdot 10^{-34}"), compare("", "5")
        ('equal', 'different', 'unreadable')
    """
    from math_verify import verify
    from sympy.logic.boolalg import Boolean  # type: ignore[import-untyped]

    wanted = _parse(gold)
    if wanted is None:
        return "unreadable"
    given = _parse(stated) if stated else None
    if given is None or isinstance(wanted, Boolean) != isinstance(given, Boolean):
        return "different"  # math-verify takes "π ∈ 5" for 5
    one_is_decimal = bool(_DECIMAL.search(gold)) != bool(_DECIMAL.search(stated))
    same = same_value(wanted, given, ROUNDED if one_is_decimal else EXACT)
    if same is None:
        same = same_relation(wanted, given)
    if same is None:
        same = verify([wanted], [given], float_rounding=15, numeric_precision=DIGITS, timeout_seconds=None)
    return "equal" if same else "different"


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # not on this system, or already lower
        pass


def _raise(signum: int, frame: FrameType | None) -> None:
    raise _OutOfTime


def _set_alarms(seconds: float) -> None:
    """An exception after so many seconds of CPU time, again and again if one is swallowed; death a little later."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds, 0.1 if seconds else 0.0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 1.5 * seconds)


def _answer(line: str) -> str:
    question = json.loads(line)
    try:
        try:
            _set_alarms(question["limit"])
            return compare(question["gold"], question["stated"])
        finally:
            _set_alarms(0.0)
    except (_OutOfTime, MemoryError):
        return "slow"
    except Exception:  # SymPy raises all kinds on malformed input
        return "failed"


def main() -> None:
    """Says "ready", then answers until its input ends."""
    logging.disable(logging.CRITICAL)
    _limit_memory()
    if hasattr(signal, "SIGPROF"):
        signal.signal(signal.SIGPROF, _raise)
    compare("x+1", "1+x")
    print("ready", flush=True)
    for line in sys.stdin:
        print(_answer(line), flush=True)


if __name__ == "__main__":
    main()
