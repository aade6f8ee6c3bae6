"""Graders of somebody's own: any function of a stated answer and the gold answers, named as `file.py:Thing`.

    def close(answer, gold):                    # may also take `question` and `reading`
        return any(abs(float(answer) - float(one)) < 1 for one in gold)

It may return a `Verdict` or its name, whether the answer is right, or `None` where it cannot tell. Before it is asked,
abstentions, empty and unreadable replies and questions without gold have their verdict, as with every grader.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from inspect import Parameter
from typing import Any

from abstain.rewards.errors import nearest
from abstain.rewards.named import find, parameters_of, place_of, said, short, takes_any, whole
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

FILLED = ("question", "reading")
"""Parameters of a grader besides the answer and the gold answers."""
_OF_BOOL = {True: Verdict.CORRECT, False: Verdict.INCORRECT, None: Verdict.UNGRADED}


def own_grader(name: str) -> Callable[..., Verdict]:
    """The grader of this name, as a `Grader`.

    Args:
        name: see `abstain.rewards.named.find`.

    Raises:
        ValueError: there is nothing of that name, or nothing that can be asked as a grader; on a call, whatever it
            raises, or returns that is no verdict, with the input.

    Example:
        >>> grader = own_grader("operator:contains")
        >>> grader("Lima, Peru", ["Lima"])
        Traceback (most recent call last):
        ...
        ValueError: grader operator:contains raised TypeError: 'in <string>' requires string as left operand, not list
          answer: 'Lima, Peru'
          gold: ['Lima']
          question: ''
    """
    return _adapted(whole(name))


@cache
def _adapted(name: str) -> Callable[..., Verdict]:
    function = find(name)
    passed = _checked(name, function)

    def grade(answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
        given = {"question": question, "reading": reading}
        asked = f"\n  answer: {_cut(answer)}\n  gold: {_cut(list(gold))}\n  question: {_cut(question)}"
        try:
            value = function(answer, list(gold), **{key: given[key] for key in passed})
        except Exception as error:
            raise ValueError(f"grader {short(name)} raised {said(error)}{place_of(error, __file__)}{asked}") from error
        try:
            return as_verdict(value)
        except ValueError as error:
            raise ValueError(f"grader {short(name)} returned {error}{asked}") from None

    return grade


def as_verdict(value: Any) -> Verdict:
    """What a grader returned, as a verdict.

    Raises:
        ValueError: it is none.

    Example:
        >>> [as_verdict(value).value for value in (True, "ABSTAINED", None)]
        ['CORRECT', 'ABSTAINED', 'UNGRADED']
        >>> as_verdict(1.0)
        Traceback (most recent call last):
        ...
        ValueError: 1.0, which is no verdict: give CORRECT, INCORRECT, ABSTAINED or UNGRADED, or True, False or None
    """
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, bool):
        return _OF_BOOL[value]
    if isinstance(value, str) and value in Verdict.__members__:
        return Verdict(value)
    if isinstance(value, str):
        raise ValueError(f"{_cut(value)}, which is no verdict. {nearest(value.upper(), Verdict.__members__)}")
    wanted = "give CORRECT, INCORRECT, ABSTAINED or UNGRADED, or True, False or None"
    raise ValueError(f"{_cut(value)}, which is no verdict: {wanted}")


def _checked(name: str, function: Any) -> tuple[str, ...]:
    """Which of `FILLED` the function takes.

    Raises:
        ValueError: it cannot be called with an answer and the gold answers.
    """
    takes = "a grader takes (answer, gold), and may take question and reading"
    if isinstance(function, type):
        raise ValueError(f"{short(name)} is a class: {takes}, so name a function, or an instance that can be called")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise ValueError(f"{short(name)} is asynchronous, and graders are not: a judge is asked with --judge")
    parameters = parameters_of(name, function)
    by_place = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    places = [one.name for one in parameters.values() if one.kind in by_place and one.name not in FILLED]
    many = any(one.kind is Parameter.VAR_POSITIONAL for one in parameters.values())
    if len(places) < 2 and not many:
        raise ValueError(f"{short(name)} takes {', '.join(parameters) or 'nothing'}: {takes}")
    passed = tuple(one for one in FILLED if one in parameters or takes_any(parameters))
    for one in parameters.values():
        optional = one.default is not Parameter.empty or one.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        if not optional and one.name not in (*places[:2], *FILLED):
            raise ValueError(f"{short(name)} wants a {one.name!r}, which nothing fills: {takes}")
    return passed


def _cut(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:199]}…"
