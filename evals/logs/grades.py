"""What a log calls a grade, and what it means here.

Most logs know right and not right only: 0 is a wrong answer or "I don't know", and only the answer itself can tell
which (`ZERO`). Others use letters, and C is CORRECT in Inspect but NOT_ATTEMPTED in SimpleQA, so letters have codes of
their own, whose meaning each reader decides.
"""

import math
import re
from typing import Any

import numpy as np

from abstain.rewards.verdict import Verdict

VERDICTS = tuple(Verdict)
CORRECT, INCORRECT, ABSTAINED, UNGRADED = range(4)
NONE, ZERO, PARTIAL, UNREADABLE, MINUS = range(4, 9)
LETTERS = {letter: code for code, letter in enumerate("ABCIPN", 9)}
FULL_MARK = 1.0
_WORDS = {
    **dict.fromkeys(("correct", "right", "true", "yes", "pass", "passed", "a: correct"), CORRECT),
    **dict.fromkeys(("incorrect", "wrong", "b: incorrect"), INCORRECT),
    **dict.fromkeys(("false", "no", "fail", "failed", "not correct", "not right"), ZERO),
    **dict.fromkeys(
        ("abstained", "abstain", "abstention", "not attempted", "unattempted", "idk", "refused", "refusal"), ABSTAINED
    ),
    **dict.fromkeys(("c: not attempted", "no answer", "noanswer", "unsure", "i don't know"), ABSTAINED),
    **dict.fromkeys(("ungraded", "unscored", "error", "judge error", "parse error"), UNGRADED),
    **dict.fromkeys(("partial", "partially correct", "partially right"), PARTIAL),
    **dict.fromkeys(("", "none", "null", "nan", "n/a", "na"), NONE),
}


def read_grade(value: Any, pass_mark: float | None = None) -> int:
    """The code of one grade.

    Args:
        value: what the log has: a word, a letter, a number, a truth value, nothing.
        pass_mark: a number as high as this is right; by default 1, and then a number above 1 cannot be read, since its
            scale is not known.

    Example:
        >>> [read_grade(v) for v in ("CORRECT", "not_attempted", True, 1.0)] == [CORRECT, ABSTAINED, CORRECT, CORRECT]
        True
        >>> [read_grade(v) for v in (0, 0.5, 7, "no idea", None)] == [ZERO, PARTIAL, UNREADABLE, UNREADABLE, NONE]
        True
        >>> read_grade(7, pass_mark=6) == CORRECT, read_grade("not correct") == ZERO
        (True, True)
    """
    if isinstance(value, bool) or value is None:
        return NONE if value is None else CORRECT if value else ZERO
    if isinstance(value, str):
        return _read_word(value, pass_mark)
    if isinstance(value, int | float | np.integer | np.floating):
        try:
            return _read_number(float(value), pass_mark)
        except OverflowError:  # a whole number of more than 308 digits
            return UNREADABLE
    return UNREADABLE


def _read_word(value: str, pass_mark: float | None) -> int:
    if len(value) > 40:
        return UNREADABLE
    word = re.sub(r"[\s_-]+", " ", value.strip(" \t\r\n.\"'*()[]")).casefold()
    if word in _WORDS:
        return _WORDS[word]
    if word.upper() in LETTERS:
        return LETTERS[word.upper()]
    try:
        return _read_number(float(value), pass_mark)
    except ValueError:
        return UNREADABLE


def _read_number(value: float, pass_mark: float | None) -> int:
    if not math.isfinite(value):
        return UNGRADED  # Inspect's mark of an answer that could not be scored
    if value >= (FULL_MARK if pass_mark is None else pass_mark):
        return UNREADABLE if pass_mark is None and value > FULL_MARK else CORRECT
    if value == 0:
        return ZERO
    return MINUS if value == -1 else PARTIAL if value > 0 else UNREADABLE
