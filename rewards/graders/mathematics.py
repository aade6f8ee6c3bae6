"""The `math` grader: the same expression, by value, and as math-verify reads LaTeX.

First the one expression that a reply states is found, without a look at the gold, so that no reply is right for two
golds: what is in the box, or the whole reply if it is nothing but mathematics, or else what its concluding sentence
says. Two expressions without a choice are a list, and right only if the gold is one ("x = 2 or x = -2", in any order).
Then it is compared: by spelling, by exact arithmetic, and last by algebra in other processes (`math_pool`), where
running out of time or memory is a wrong answer, unless the gold itself cannot be read.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from abstain.rewards.graders import math_pool
from abstain.rewards.graders.arithmetic import number, same_number
from abstain.rewards.graders.expressions import (
    DEEPEST,
    clean,
    depth,
    form,
    is_name,
    key,
    measured,
    same_form,
    scale,
    split,
)
from abstain.rewards.graders.match import grade_match
from abstain.rewards.graders.math_statement import (
    DELIMITERS,
    LONGEST,
    PROSE,
    TEXT_WORD,
    boxes_of,
    is_framed,
    statement,
)
from abstain.rewards.graders.numeric import grade_numeric
from abstain.rewards.graders.overlap import normalised
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

_LONGEST_ASKED = 500  # characters of an expression
TIME_LIMIT = 2.0  # seconds of CPU time for one comparison

_TOO_BIG = re.compile(
    r"\d{400}|(?:[({\[]\s?){12}|(?:\^|\*\*)\s*[({]*\s*-?\d{5}|(?:\^|\*\*)[\s({]*-?\w{1,20}[\s)}]*(?:\^|\*\*)"
    r"|\d{5}[\s)}]*!|!\s*[)}]*\s*!"
)
_UNDONE = re.compile(r"\\(?:sum|int|iint|oint|prod|lim|bigcup|bigcap)(?![A-Za-z])")
_READABLE = re.compile(r"[A-Za-z0-9\\{}()\[\]+\-*/^_=<>!|'., :]+")
_SUBSCRIPTED = re.compile(r"\d ?_")
_COMMAND = re.compile(r"\\[A-Za-z]+")


class _Unreadable(Exception):
    """The gold is no mathematics."""


# Comparing.


def _has_letters(text: str) -> bool:
    return any(c.isalpha() for c in _COMMAND.sub("", text))


@lru_cache(maxsize=50_000)
def _readable(gold: str) -> bool:
    return math_pool.ask(gold, "", TIME_LIMIT) == "different"


_slow: dict[str, None] = {}  # answers that took too long once; they are not tried again with another gold
_SLOW_KEPT = 10_000


def _algebra(gold: str, stated: str) -> bool:
    """Whether two expressions are the same to SymPy. Raises `_Unreadable` if the gold is none."""
    reply = _asked(gold, stated)
    if reply == "unreadable":
        raise _Unreadable
    return reply == "equal"


def _beyond(text: str) -> bool:
    """Whether an expression is nothing that SymPy should be asked about."""
    odd = not _READABLE.fullmatch(text) or text.count("|") % 2 or _SUBSCRIPTED.search(text) or PROSE.search(text)
    return bool(odd or len(text) > _LONGEST_ASKED or _TOO_BIG.search(text))


@lru_cache(maxsize=100_000)
def _asked(gold: str, stated: str) -> str:
    if _beyond(gold):
        return "unreadable"
    if _beyond(stated):
        return "different"
    if stated in _slow or (_UNDONE.search(stated) and not _UNDONE.search(gold)):
        reply = "slow"  # a sum that is not worked out is no answer
    else:
        reply = math_pool.ask(gold, stated, TIME_LIMIT)
        if reply in ("slow", ""):
            if len(_slow) >= _SLOW_KEPT:
                _slow.pop(next(iter(_slow)), None)
            _slow[stated] = None
    if reply in ("slow", "failed", "") and number(gold) is None and not _readable(gold):
        return "unreadable"
    return reply


_RELATED = re.compile(r"[<>]|\\(?:le|ge|ne|in|subset|to|mid|parallel|perp|cong)(?![A-Za-z])")
_CLOCK = re.compile(r"\d:\d\d(?!\d)")
_BASE = re.compile(r"(?<=\d) ?_ ?\{?(\d{1,3})\}?$")


def _same_atom(gold: str, stated: str) -> bool:
    """Whether two expressions without a relation or a list in them are the same, units considered."""
    if key(gold) == key(stated):
        return True
    (wanted, unit), (given, own) = measured(gold), measured(stated)
    factor = scale(own, unit)
    if factor is None or not given:
        return False
    bases = [_BASE.search(text) for text in (wanted, given)]
    if bases[0] or bases[1]:
        if bases[0] and bases[1] and bases[0][1] != bases[1][1]:
            return False
        if bases[1] and not bases[0] and not 2 <= int(bases[1][1]) <= 16:
            return False
        wanted, given = _BASE.sub("", wanted), _BASE.sub("", given)
    if factor == 1 and key(wanted) == key(given):
        return True
    values = number(wanted), number(given)
    if values[0] is not None and values[1] is not None:
        if _CLOCK.search(wanted) or _CLOCK.search(given):
            return False
        allowed = {factor}
        if {unit, own} in ({"%", ""}, {"%", "?"}):
            allowed.add(Fraction(100) if unit == "%" else Fraction(1, 100))
        return any(same_number(values[0], values[1] * by) for by in allowed)
    if _CLOCK.search(given) or factor != 1 or bool(_RELATED.search(wanted)) != bool(_RELATED.search(given)):
        return False
    if unit == "%" or own == "%":
        wanted, given = (f"({v})/100" if u == "%" else v for v, u in ((wanted, unit), (given, own)))
    return _algebra(wanted, given)


_EQUALS = re.compile(r"=|\\equiv(?![A-Za-z])")
_INDEX = re.compile(r"[_^]\s?(?:\{[^{}]*\}|\w)|(?<=[A-Za-z])\([^()]*\)|[A-Za-z]\d")
_ABOUT = re.compile(r"\\approx(?![A-Za-z])")


def _sides(text: str) -> list[str]:
    """What stands between equals signs. "x = √2 ≈ 1.41" says √2, and "x ≈ 1.41" says 1.41."""
    parts = [part for part in split(text, _ABOUT) if part.strip()]
    first = [side.strip() for side in split(parts[0], _EQUALS)] if parts else [""]
    if len(parts) == 1:
        return first
    about = parts[1].strip()
    if len(first) == 1 and is_name(first[0]):
        return [first[0], about]
    values = number(first[-1]), number(about)
    if len(parts) > 2 or (None not in values and not _is_about(*values)):
        return [*first, about]
    return first


def _is_about(value: Fraction | None, other: Fraction | None) -> bool:
    return value is not None and other is not None and abs(value - other) <= abs(value) / 20


def _equal(gold: str, stated: str) -> bool:
    """Whether two items are the same: lists within lists, equations, and chains of equal sides."""
    if key(gold) == key(stated):
        return True
    wanted, given = form(gold), form(stated)
    if wanted.items != (gold,) or given.items != (stated,):
        atomic = len(wanted.items) == len(given.items) == 1 and wanted.brackets == given.brackets == ""
        if atomic and (wanted.items, given.items) == ((gold,), (stated,)):
            return False
        return same_form(wanted, given, _equal)
    sides, said = _sides(gold), _sides(stated)
    if len(said) == 2 and is_name(said[1]) and not is_name(said[0]):
        said = said[::-1]
    target = sides[-1]
    if len(sides) > 1 and not (len(sides) == 2 and is_name(sides[0])):
        return len(said) == len(sides) and _algebra(gold, stated)
    if len(sides) == 2 and len(said) > 1 and is_name(said[0]) and key(said[0]) != key(sides[0]):
        return False
    if len(said) == 2 and len(sides) == 1 and _has_letters(target) and not is_name(said[0]):
        return False  # an equation for an expression
    if len(said) > 1 and _has_letters(said[0]) and not is_name(said[0]):
        solved = said[-1] == "0" and any(sign in said[0] for sign in "+-^")
        if solved or r"\pi" in said[0] or any(c.isdigit() or c in "<>?:%" for c in _INDEX.sub("", said[0])):
            return False  # an equation to be solved, not a value: m + n = 17 is one, 2x + y = 5 is not
    chain = said[1:] if len(said) > 1 and (_has_letters(said[0]) or not said[0]) else said
    known = _has_letters(target)
    chain = [s for i, s in enumerate(chain) if i == len(chain) - 1 or known or not _has_letters(s)]
    return all(_same_atom(target, side) for side in chain)


# Golds.

# The commonest answers, read without more ado: a number or a fraction, alone or after "The answer is".
_QUICK = re.compile(
    r"\s*(?:(?:(?:[Tt]he |[Mm]y )?(?:final |correct )?[Aa]nswer(?: is:?|:)|[Ii]t is|[Ii]t's|[a-z] ?=) ?)?"
    r"(?:\*\*|\$|\\\(|\\boxed\{)?\s?(-?\d{1,15}(?:\.\d{1,12})?|-?\d{1,3}(?:,\d{3}){1,4})(?:/([1-9]\d{0,12}))?\s?(?:\*\*|\$|\\\)|\})?\.?\s*"
)


class _Gold(NamedTuple):
    """A gold answer: mathematics, or words where `words` is not empty, `marked` if they stand in \\text{}; and its
    value if it is a number without a unit."""

    text: str
    words: str
    marked: bool
    value: Fraction | None = None


@lru_cache(maxsize=20_000)
def _read_gold(gold: str) -> _Gold:
    boxes, _ = boxes_of(gold)
    text = DELIMITERS.sub(" ", TEXT_WORD.sub(r" \1 ", boxes[-1] if boxes else gold))
    cleaned = clean(text)
    if any(c.isdigit() for c in cleaned) or not PROSE.search(cleaned) or "=" in cleaned:
        if PROSE.search(measured(cleaned)[0]) and len(PROSE.findall(cleaned)) > 1 and not boxes:
            stated, _ = statement(gold, "")
            cleaned = clean(stated) or cleaned
        plain = not _CLOCK.search(cleaned) and not _BASE.search(cleaned)
        return _Gold(cleaned, "", False, number(cleaned) if plain and "%" not in cleaned else None)
    return _Gold(cleaned, cleaned, "\\" in gold or cleaned.lower() in _KNOWN_WORDS)


_KNOWN_WORDS = frozenset(
    ["yes", "no", "true", "false", "even", "odd", "undefined", "none", "impossible", "never", "always", "prime"]
)


def _words_verdict(answer: str, gold: _Gold, question: str, reading: Reading) -> Verdict:
    """The verdict where the gold is a word ("\\text{east}"). A bare name is no gold for a number."""
    boxes, _ = boxes_of(answer[-LONGEST:])
    text = clean(DELIMITERS.sub(" ", boxes[-1] if boxes else answer[-LONGEST:]))
    if normalised(text) == normalised(gold.words) or (len(set(boxes)) < 2 and key(text) == key(gold.words)):
        return Verdict.CORRECT if len({key(clean(b)) for b in boxes}) < 2 else Verdict.INCORRECT
    if not gold.marked and any(c.isdigit() for c in text):
        return Verdict.UNGRADED
    return grade_match(text, [gold.words], question, reading)


def grade_math(answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
    """Grade a mathematical expression in LaTeX or plain text. A gold that cannot be read as mathematics is UNGRADED.

    Args:
        question: a number that it names is passed over where a sentence names another.
        reading: strictly, nothing but one expression and its frame ("The answer is …") may be said.

    Example:
        >>> [grade_math(a, [r"\\\\frac{1}{2}"]).value for a in ("0.5", "The answer is $1/2$", "1/3", "9**9**9**9")]
        ['CORRECT', 'CORRECT', 'INCORRECT', 'INCORRECT']
        >>> [grade_math(a, ["42"]).value for a in ("41 = 42", "6 * 7 = 42", "x = 41 and x = 42")]
        ['INCORRECT', 'CORRECT', 'INCORRECT']
    """
    golds = [_read_gold(g) for g in gold if g.strip()]
    if not golds:
        return Verdict.UNGRADED
    quick = _QUICK.fullmatch(answer) if len(answer) < 80 else None
    if quick and all(wanted.value is not None for wanted in golds):
        said = Fraction(quick[1].replace(",", "")) / (int(quick[2]) if quick[2] else 1)
        right = any(same_number(wanted.value, said) for wanted in golds if wanted.value is not None)
        return Verdict.CORRECT if right else Verdict.INCORRECT
    stated: str | None = None
    outside = ""
    verdicts = set()
    for wanted in golds:
        if wanted.words:
            verdicts.add(_words_verdict(answer, wanted, question, reading))
            continue
        if stated is None:
            stated, outside = statement(answer, question)
            stated = "" if len(stated) > LONGEST else clean(stated)
            if stated and reading == "strict" and outside and not is_framed(outside, stated, question):
                stated = ""
        verdicts.add(_verdict(wanted.text, stated, answer, question, reading))
    for verdict in (Verdict.CORRECT, Verdict.INCORRECT):
        if verdict in verdicts:
            return verdict
    return Verdict.UNGRADED


def _verdict(gold: str, stated: str, answer: str, question: str, reading: Reading) -> Verdict:
    try:
        if stated and (key(gold) == key(stated) or (depth(stated) <= DEEPEST and _equal(gold, stated))):
            return Verdict.CORRECT
        value = number(measured(gold)[0])
        if value is None and not stated and len(form(gold).items) == 1:
            return Verdict.INCORRECT if not _TOO_BIG.search(gold) and _readable(gold) else Verdict.UNGRADED
        if value is not None and not stated and len(answer) < LONGEST and not any(c.isdigit() for c in answer):
            return grade_numeric(answer, [gold], question, reading)
    except _Unreadable:
        return Verdict.UNGRADED
    return Verdict.INCORRECT


def grade_all(
    answers: Sequence[str],
    golds: Sequence[Sequence[str]],
    questions: Sequence[str] | None = None,
    reading: Reading = "lenient",
) -> list[Verdict]:
    """Grade a batch, in as many processes as there are CPUs.

    Args:
        answers: stated answers.
        golds: the gold answers of each.
        questions: the question of each, if they are known.

    Example:
        >>> [v.value for v in grade_all(["2(x+1)", "x+1"], [["2x+2"], ["2x+2"]])]
        ['CORRECT', 'INCORRECT']
    """
    asked = questions if questions is not None else [""] * len(answers)
    rows = list(zip(answers, map(tuple, golds), asked, strict=True))
    distinct = list(dict.fromkeys(rows))
    with ThreadPoolExecutor(math_pool.cpus()) as threads:
        given = threads.map(lambda row: grade_math(row[0], row[1], row[2], reading), distinct)
        verdicts = dict(zip(distinct, given, strict=True))
    return [verdicts[row] for row in rows]
