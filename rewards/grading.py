"""The one door from a completion to a verdict. Training, evaluation and re-scoring all go through it."""

import ast
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from numbers import Number

from abstain.rewards.errors import nearest
from abstain.rewards.graders import GRADERS, Grader
from abstain.rewards.graders.mathematics import grade_all
from abstain.rewards.graders.own import own_grader
from abstain.rewards.graders.spelling import repaired
from abstain.rewards.named import hint, is_named
from abstain.rewards.parsing.completion import parse
from abstain.rewards.response import AnswerFormat, Reading, Response, check_reading
from abstain.rewards.verdict import Verdict

LONGEST_QUESTION = 1_000  # characters
UNANSWERABLE = "[unanswerable]"  # as the gold: no answer is right, only abstaining is


def find_grader(name: str) -> Grader:
    """The grader of that name: a key of `GRADERS`, or one of your own as `file.py:Thing` or `package.module:Thing`.

    Never for a name that stands in a log or comes with a model: it would run their code.

    Raises:
        ValueError: no grader has this name, or what has it is no grader.

    Example:
        >>> find_grader("exatc")
        Traceback (most recent call last):
        ...
        ValueError: no grader is called 'exatc'. Did you mean 'exact'? Allowed: choice, claims, ...
    """
    known = GRADERS.get(name)
    if known is not None:
        return known
    if is_named(name):
        return own_grader(name)
    raise ValueError(f"no grader is called {name!r}.{hint(str(name)) or f' {nearest(str(name), GRADERS)}'}")


def gold_answers(gold: object) -> list[str]:
    """The gold answers as a list of non-empty strings; empty where there is no gold, however that is spelt.

    One string is a list of one, unless it is itself a list of strings as JSON or Python write it. Numbers are spelled,
    whole ones without a fraction: a data frame turns 1975 into 1975.0 where another row has none. Arrays, tuples and
    sets are read like lists. `None`, NaN, `pandas.NA`, "nan" and blank text are no gold.

    Raises:
        ValueError: an object, bytes, or whatever else is no answer.

    Example:
        >>> gold_answers("Paris"), gold_answers([1975.0, None, ""]), gold_answers(float("nan"))
        (['Paris'], ['1975'], [])
        >>> gold_answers('["Lima", "City of Kings"]')
        ['Lima', 'City of Kings']
        >>> gold_answers({"text": "Lima"})
        Traceback (most recent call last):
        ...
        ValueError: {'text': 'Lima'} is of type dict, no gold answer; give text, a number or a list as in ['Lima']
    """
    found: list[str] = []
    for item in gold if type(gold) is list or type(gold) is tuple else (gold,):
        if type(item) is str and item[:1].isalnum() and item not in _NO_GOLD:  # nearly all, and quickly
            found.append(item if item.isascii() else repaired(item))
        else:
            found += _spelled(item)
    return found


_NO_GOLD = frozenset({"nan", "NaN", "<NA>", "[nan]"})  # as data frames write what is missing
_LONGEST_LIST = 100_000  # characters


def _spelled(gold: object) -> list[str]:
    """Gold answers of a kind that is not usual."""
    if isinstance(gold, str):
        inside = None if gold == UNANSWERABLE else _listed(gold.strip())
        return ([repaired(str(gold))] if gold.strip() and gold not in _NO_GOLD else []) if inside is None else inside
    if gold is None or type(gold).__name__ in ("NAType", "NaTType"):  # pandas', which need not be installed
        return []
    if hasattr(gold, "tolist"):  # NumPy's and pandas' arrays and scalars
        return gold_answers(gold.tolist())
    if isinstance(gold, Number):
        if gold != gold:  # NaN
            return []
        return [str(int(gold)) if isinstance(gold, float) and gold.is_integer() else str(gold)]
    if isinstance(gold, date):
        return [str(gold).removesuffix(" 00:00:00")]
    if isinstance(gold, Iterable) and not isinstance(gold, Mapping | bytes):
        return gold_answers(list(gold))
    kind = type(gold).__name__
    raise ValueError(f"{gold!r} is of type {kind}, no gold answer; give text, a number or a list as in ['Lima']")


def _listed(text: str) -> list[str] | None:
    """The answers of a list that was written into a text; `None` if it is something else, such as an interval."""
    if not (text.startswith("[") and text.endswith("]")) or len(text) > _LONGEST_LIST:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, list) and all(item is None or isinstance(item, str) for item in found):
            return [item for item in found if item and item.strip() and item not in _NO_GOLD]
    return None


def settle(response: Response, gold: object) -> Verdict | None:
    """The verdict of a response that no grader has to look at, or `None` if one has to.

    Example:
        >>> settle(Response("", abstained=True), ["Lima"]).value, settle(Response("Quito"), ["Lima"])
        ('ABSTAINED', None)
    """
    return _settled(response, gold_answers(gold))


def _settled(response: Response, golds: list[str]) -> Verdict | None:
    if not golds:
        return Verdict.UNGRADED
    if response.abstained and not response.truncated and not response.malformed:
        return Verdict.ABSTAINED
    if response.malformed or not response.answer.strip() or UNANSWERABLE in golds:
        return Verdict.INCORRECT
    return None


def _asked(question: str | None) -> str:
    """The question as graders take it. A text that long holds a passage, and in it the answer: no echo to refuse."""
    return question if question and len(question) <= LONGEST_QUESTION else ""


def grade_response(
    response: Response,
    gold: Sequence[str] | str | None,
    grader: str = "match",
    question: str | None = None,
    reading: Reading = "lenient",
) -> Verdict:
    """Grade a parsed completion.

    Without a gold answer it is UNGRADED, whatever it says. Else an abstention is ABSTAINED, an empty, malformed or
    unreadable reply is INCORRECT, and so is any answer to an unanswerable question; all other answers, hedged or cut
    off, go to the grader.

    Args:
        response: what `parse` made of the completion.
        gold: the right answers, or `[UNANSWERABLE]`; see `gold_answers`.
        grader: a key of `GRADERS`, or `file.py:Thing`.
        question: what was asked, if it is known: what it names itself is no rival answer, and no answer.
        reading: "strict", where nothing but an answer's own frame may surround it, or "lenient".

    Raises:
        ValueError: no grader, or no reading, has this name; a gold that is no answer.

    Example:
        >>> grade_response(Response("Paris", hedged=True), ["Paris"]).value
        'CORRECT'
        >>> [grade_response(r, [UNANSWERABLE]).value for r in (Response("42"), Response("", abstained=True))]
        ['INCORRECT', 'ABSTAINED']
    """
    judge = find_grader(grader)
    check_reading(reading)
    golds = gold_answers(gold)
    return _settled(response, golds) or judge(response.answer, golds, _asked(question), reading)


def grade_responses(
    responses: Sequence[Response],
    golds: Sequence[Sequence[str]],
    grader: str = "match",
    questions: Sequence[str | None] | None = None,
    reading: Reading = "lenient",
) -> list[Verdict]:
    """`grade_response` of each, where the same answer to the same question is graded once.

    Args:
        responses, golds: as many of one as of the other.
        grader, reading: as for `grade_response`.
        questions: one per response, or `None` if they are not known.

    Raises:
        ValueError: as `grade_response`.

    Example:
        >>> [v.value for v in grade_responses([Response("Lima"), Response("Quito")], [["Lima"]] * 2)]
        ['CORRECT', 'INCORRECT']
    """
    judge = find_grader(grader)
    check_reading(reading)
    asked = [None] * len(responses) if questions is None else questions
    read = [gold_answers(gold) for gold in golds]
    settled = [_settled(response, gold) for response, gold in zip(responses, read, strict=True)]
    rows = [
        None if verdict else (response.answer, tuple(gold), _asked(question))
        for verdict, response, gold, question in zip(settled, responses, read, asked, strict=True)
    ]
    distinct = list(dict.fromkeys(row for row in rows if row))
    if grader == "math" and len(distinct) > 1:  # algebra takes long enough for processes to pay
        answers, readable, about = zip(*distinct, strict=True)
        given = grade_all(answers, readable, about, reading)
    else:
        given = [judge(*row, reading) for row in distinct]
    found = dict(zip(distinct, given, strict=True))
    return [verdict or found[row] for verdict, row in zip(settled, rows, strict=True)]  # type: ignore[index]


def grade(
    completion: str | list[dict],
    gold: Sequence[str] | str | None,
    grader: str = "match",
    question: str | None = None,
    answer_format: AnswerFormat = "auto",
    reading: Reading = "lenient",
) -> Verdict:
    """Parse and grade a completion.

    Args:
        completion: the text a model wrote, or the messages of a chat.
        gold: the right answer and its aliases, or `[UNANSWERABLE]`.
        grader: match, exact, numeric, date, choice, math, or one of your own: see `find_grader`.
        question: what was asked, if it is known.
        answer_format: where the answer stands: see `abstain.rewards.parsing.parse`.
        reading: "lenient", as evaluation reads, or "strict", as training does.

    Raises:
        ValueError: no grader, answer format or reading has this name.

    Example:
        >>> [grade(text, ["Paris"]).value for text in ("It's Paris.", "I don't know.", "London", "")]
        ['CORRECT', 'ABSTAINED', 'INCORRECT', 'INCORRECT']
        >>> grade("Perhaps Paris, perhaps London", ["Paris"]).value, grade("Paris", []).value
        ('INCORRECT', 'UNGRADED')
    """
    return grade_response(parse(completion, answer_format=answer_format), gold, grader, question, reading)
