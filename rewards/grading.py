"""The one door from a completion to a verdict. Training, evaluation and re-scoring all go through it."""

from collections.abc import Sequence

from abstain.rewards.errors import nearest
from abstain.rewards.graders import GRADERS, Grader
from abstain.rewards.parsing.completion import parse
from abstain.rewards.response import AnswerFormat, Reading, Response, check_reading
from abstain.rewards.verdict import Verdict

UNANSWERABLE = "[unanswerable]"  # as the gold: no answer is right, only abstaining is


def find_grader(name: str) -> Grader:
    """The grader of that name.

    Raises:
        ValueError: no grader has this name.

    Example:
        >>> find_grader("exatc")
        Traceback (most recent call last):
        ...
        ValueError: no grader is called 'exatc'. Did you mean 'exact'? Allowed: choice, date, ...
    """
    if name not in GRADERS:
        raise ValueError(f"no grader is called {name!r}. {nearest(str(name), GRADERS)}")
    return GRADERS[name]


def gold_answers(gold: object) -> list[str]:
    """The gold answers as a list of non-empty strings: one string is a list of one, numbers are spelled, `None` is
    nothing.

    Example:
        >>> gold_answers("Paris"), gold_answers([1975, None, ""]), gold_answers(None)
        (['Paris'], ['1975'], [])
    """
    items = [gold] if isinstance(gold, str | int | float) or gold is None else list(gold)  # type: ignore[call-overload]
    return [str(item) for item in items if item is not None and str(item).strip()]


def settle(response: Response, gold: Sequence[str] | str | None) -> Verdict | None:
    """The verdict of a response that no grader has to look at, or `None` if one has to.

    Example:
        >>> settle(Response("", abstained=True), ["Lima"]).value, settle(Response("Quito"), ["Lima"])
        ('ABSTAINED', None)
    """
    answers = gold_answers(gold)
    if not answers:
        return Verdict.UNGRADED
    if response.abstained and not response.truncated and not response.malformed:
        return Verdict.ABSTAINED
    if response.malformed or not response.answer.strip() or UNANSWERABLE in answers:
        return Verdict.INCORRECT
    return None


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
        gold: the right answers, or `[UNANSWERABLE]`.
        grader: a key of `GRADERS`.
        question: what was asked, if it is known: what it names itself is no rival answer, and no answer.
        reading: "strict", where nothing but an answer's own frame may surround it, or "lenient".

    Raises:
        ValueError: no grader, or no reading, has this name.

    Example:
        >>> grade_response(Response("Paris", hedged=True), ["Paris"]).value
        'CORRECT'
        >>> [grade_response(r, [UNANSWERABLE]).value for r in (Response("42"), Response("", abstained=True))]
        ['INCORRECT', 'ABSTAINED']
    """
    judge = find_grader(grader)
    check_reading(reading)
    return settle(response, gold) or judge(response.answer, gold_answers(gold), question or "", reading)


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
        grader: a key of `GRADERS`, such as match, exact, numeric, date, choice or math.
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
