"""What the rewards share: TRL's columns in, one verdict per completion, one score (or `None`) out.

A dataset row: {"prompt": "Capital of Peru?\\nAnswer only if ...", "answers": ["Lima"], "target": 0.75}
"""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from difflib import get_close_matches
from typing import Any

from abstain.rewards.grading import find_grader, gold_answers, grade_responses
from abstain.rewards.named import is_named, short
from abstain.rewards.parsing.completion import parse, turn_text
from abstain.rewards.prompts import check_target, question_of
from abstain.rewards.response import AnswerFormat, Reading, Response, check_answer_format, check_reading
from abstain.rewards.verdict import Verdict

RATES = {
    "accuracy": Verdict.CORRECT,
    "error": Verdict.INCORRECT,
    "abstention": Verdict.ABSTAINED,
    "ungraded": Verdict.UNGRADED,
}
GAP = "reading/gap"
"""Logged: the share of completions that are CORRECT leniently, and not strictly."""


@dataclass(eq=False, repr=False)
class VerdictReward(ABC):
    """A reward that grades each completion and turns the verdict into a score.

    TRL calls it keyword-only with the dataset's columns. An ungraded completion gets `None`, which TRL leaves out of
    the group. The question, which the grader compares with, is the column `question` if the data set has one, else the
    prompt without the instruction that states its target.

    `log_extra` gets the verdicts (column `<name>/verdict`, and beside a strict one `<name>/lenient`), `log_metric` the
    rates of `verdict_rates` and `reading/gap`: the share of completions that are CORRECT leniently and not strictly.
    Where it grows, the reward is being farmed, or the strict grammar is too narrow for how the policy writes.

    Args:
        grader: of `abstain graders`, or one of your own, as in `my_graders.py:close`.
        reading: "strict" by default, since training may pay for nothing but one answer in its own frame; or "lenient",
            as evaluation reads. What is CORRECT strictly is CORRECT leniently too.
        answer_format: where the answer stands, see `abstain.rewards.parsing.completion.parse`. Name the format that
            the policy was taught, and nothing else is paid; "auto" finds it.
        eos_token_ids: ids that end a finished completion (TRL cuts padding off, so pass EOS and pad). A completion
            whose last id is another one was cut off and is graded as truncated. `None`: cannot tell, nothing is.

    Raises:
        ValueError: unknown grader; on a call, a missing, malformed or wrongly long column.
    """

    _: KW_ONLY
    grader: str = "match"
    reading: Reading = "strict"
    answer_format: AnswerFormat = "auto"
    eos_token_ids: Collection[int] | None = None

    def __post_init__(self) -> None:
        find_grader(self.grader)
        check_reading(self.reading)
        check_answer_format(self.answer_format)
        if isinstance(self.eos_token_ids, int | str):
            raise ValueError(f"eos_token_ids is {self.eos_token_ids!r}; it must be a collection of ids such as [2]")

    @property
    def __name__(self) -> str:
        """A plain identifier that differs whenever the parameters do; TRL logs `rewards/<name>/mean`."""
        return "_".join([*self._name_parts(), *map(_plain, self._chosen().values())])

    def __repr__(self) -> str:
        given = [(field.name, getattr(self, field.name), field.default) for field in fields(self)]
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v, default in given if v != default)})"

    def _chosen(self) -> dict[str, str]:
        """How completions are graded, as far as that was chosen."""
        chosen = {name: getattr(self, name) for name in ("grader", "reading", "answer_format")}
        return {name: value for name, value in chosen.items() if value != self.__dataclass_fields__[name].default}

    @property
    @abstractmethod
    def threshold_dependent(self) -> bool:
        """Whether dividing advantages by their standard deviation moves the point where answering pays."""

    @abstractmethod
    def _name_parts(self) -> list[str]: ...

    @abstractmethod
    def _score(self, verdict: Verdict, response: Response, target: float | None) -> float | None: ...

    def _targets(self, column: Any, size: int, columns: dict[str, Any]) -> list[float | None]:
        return read_targets(column, size)

    def _confidence_scale(self) -> float | None:
        return None

    def _metrics(
        self, verdicts: list[Verdict], responses: list[Response], targets: list[float | None]
    ) -> dict[str, float]:
        return verdict_rates(verdicts, targets)

    def __call__(
        self,
        *,
        completions: Sequence[Any],
        answers: Any = None,
        target: Any = None,
        prompts: Sequence[Any] | None = None,
        question: Any = None,
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One score per completion, `None` where there is no grade.

        Args:
            completions: texts, or conversations whose last assistant message is read.
            answers: per completion, the list of gold answers and aliases. Without any, however that is spelt (see
                `abstain.rewards.grading.gold_answers`), it is UNGRADED.
            target: per completion, the confidence target in [0, 1) that its prompt states.
            prompts: what was asked, texts or conversations; read where there is no `question`.
            question: per completion, the question alone.
            completion_ids: per completion, its token ids; needed to notice truncation.
            log_extra, log_metric: TRL's hooks.
            columns: TRL's other columns, ignored.
        """
        size = len(completions)
        golds = read_answers(answers, size, columns)
        targets = self._targets(target, size, columns)
        responses = self._read(completions, self._truncated(completion_ids, size))
        questions = read_questions(question, prompts, size)
        verdicts = grade_responses(responses, golds, self.grader, questions, self.reading)
        if log_extra is not None or log_metric is not None:
            others = self._read_otherwise(verdicts, responses, golds, questions)
            self._log_both(verdicts, others, log_extra, log_metric)
        return self._pay(verdicts, responses, targets, log_extra, log_metric)

    @property
    def other_reading(self) -> Reading:
        """The one that is only logged."""
        return "lenient" if self.reading == "strict" else "strict"

    def _read_otherwise(
        self,
        verdicts: Sequence[Verdict],
        responses: Sequence[Response],
        golds: Sequence[Sequence[str]],
        questions: Sequence[str] | None,
    ) -> list[Verdict]:
        """The verdicts of the other reading. Only where the two can differ is graded again."""
        unsettled = Verdict.INCORRECT if self.reading == "strict" else Verdict.CORRECT
        rows = [row for row, verdict in enumerate(verdicts) if verdict is unsettled]
        again = grade_responses(
            [responses[row] for row in rows],
            [golds[row] for row in rows],
            self.grader,
            None if questions is None else [questions[row] for row in rows],
            self.other_reading,
        )
        others = list(verdicts)
        for row, verdict in zip(rows, again, strict=True):
            others[row] = verdict
        return others

    def _log_both(
        self,
        verdicts: Sequence[Verdict],
        others: Sequence[Verdict],
        log_extra: Callable[[str, list[Any]], None] | None,
        log_metric: Callable[[str, float], None] | None,
    ) -> None:
        if log_extra is not None:
            log_extra(f"{self.__name__}/{self.other_reading}", [verdict.value for verdict in others])
        if log_metric is not None and verdicts:
            log_metric(GAP, sum(map(are_apart, verdicts, others)) / len(verdicts))

    def _pay(
        self,
        verdicts: list[Verdict],
        responses: list[Response],
        targets: list[float | None],
        log_extra: Callable[[str, list[Any]], None] | None,
        log_metric: Callable[[str, float], None] | None,
    ) -> list[float | None]:
        """Log the verdicts, and price them."""
        if log_extra is not None:
            log_extra(f"{self.__name__}/verdict", [verdict.value for verdict in verdicts])
        if log_metric is not None:
            for name, value in self._metrics(verdicts, responses, targets).items():
                log_metric(name, value)
        rows = zip(verdicts, responses, targets, strict=True)
        return [None if v is Verdict.UNGRADED else self._score(v, r, t) for v, r, t in rows]

    def _read(self, completions: Sequence[Any], truncated: Sequence[bool]) -> list[Response]:
        """One response per completion. The same text is parsed once: completions of a group are mostly alike."""
        rows = list(zip((turn_text(one, "assistant") for one in completions), truncated, strict=True))
        scale, form = self._confidence_scale(), self.answer_format
        parsed = {
            row: parse(row[0], truncated=row[1], confidence_scale=scale, answer_format=form)
            for row in dict.fromkeys(rows)
        }
        return [parsed[row] for row in rows]

    def _truncated(self, ids: Sequence[Sequence[int]] | None, size: int) -> list[bool]:
        if ids is None or not self.eos_token_ids:
            return [False] * size
        check_length("completion_ids", ids, size)
        return [len(row) > 0 and row[-1] not in self.eos_token_ids for row in ids]


def are_apart(one: str, other: str) -> bool:
    """Whether the two readings of a completion disagree on its being right.

    Example:
        >>> are_apart(Verdict.INCORRECT, Verdict.CORRECT), are_apart(Verdict.ABSTAINED, Verdict.ABSTAINED)
        (True, False)
    """
    return (one == Verdict.CORRECT) != (other == Verdict.CORRECT)


def check_length(name: str, column: Any, size: int) -> None:
    """Raise `ValueError` unless `column` holds one entry per completion."""
    if isinstance(column, str) or not isinstance(column, Sequence):
        raise ValueError(f"column '{name}' is a {type(column).__name__}; it must be a list, one entry per completion")
    if len(column) != size:
        raise ValueError(f"column '{name}' has {len(column)} entries for {size} completions")


def missing_column(name: str, columns: Collection[str]) -> ValueError:
    """The error for a column that TRL did not pass on, with what to do about it.

    Example:
        >>> print(missing_column("answers", ["prompts", "answer"]))
        no column 'answers' in the data set (columns passed on: answer); dataset.rename_column('answer', 'answers') and
        keep remove_unused_columns=False, or TRL drops it
    """
    found = sorted(set(columns) - {"prompts", "trainer_state", "environments"})
    close = get_close_matches(name, found, n=1)
    fix = f"dataset.rename_column('{close[0]}', '{name}')" if close else f"add '{name}'"
    passed = f" (columns passed on: {', '.join(found) or 'none'})"
    return ValueError(
        f"no column '{name}' in the data set{passed}; {fix} and keep remove_unused_columns=False, or TRL drops it"
    )


def read_answers(column: Any, size: int, columns: Collection[str]) -> list[list[str]]:
    """The `answers` column, one list of gold answers per completion; an empty one where there is none.

    Example:
        >>> read_answers([["Lima"], None, float("nan"), '["Lima", "City of Kings"]'], 4, [])
        [['Lima'], [], [], ['Lima', 'City of Kings']]
        >>> read_answers(["Lima"], 1, [])
        Traceback (most recent call last):
        ...
        ValueError: column 'answers', row 0: 'Lima' is a str; it must be a list of gold answers such as ['Lima']
        >>> read_answers([[{"text": "Lima"}]], 1, [])
        Traceback (most recent call last):
        ...
        ValueError: column 'answers', row 0: {'text': 'Lima'} is of type dict, no gold answer; give text, a number or a
        list as in ['Lima']
    """
    if column is None:
        raise missing_column("answers", columns)
    check_length("answers", column, size)
    return [_row_answers(row, gold) for row, gold in enumerate(column)]


def _row_answers(row: int, gold: Any) -> list[str]:
    try:
        found = gold_answers(gold)
    except ValueError as error:
        raise ValueError(f"column 'answers', row {row}: {error}") from None
    if isinstance(gold, str | int | float) and found == [str(gold)]:
        raise ValueError(
            f"column 'answers', row {row}: {gold!r} is a {type(gold).__name__}; "
            f"it must be a list of gold answers such as [{gold!r}]"
        )
    return found


def read_questions(column: Any, prompts: Any, size: int) -> list[str] | None:
    """What was asked, one question per completion; `None` if neither is there.

    Args:
        column: the column `question`, or `None`.
        prompts: texts or conversations, of which the user's last turn counts; read where there is no such column, or
            nothing in it, without the instruction that states the target (`abstain.rewards.prompts.question_of`).
        size: number of completions.

    Raises:
        ValueError: not one per completion.

    Example:
        >>> from abstain.rewards.prompts import prompt_text
        >>> read_questions(None, [prompt_text("Who?", 0.75), "Who else?"], 2)
        ['Who?', 'Who else?']
    """
    for name, given in (("question", column), ("prompts", prompts)):
        if given is not None:
            check_length(name, given, size)
    known = [None] * size if column is None else [_text(question) for question in column]
    if prompts is None:
        return None if column is None else [question or "" for question in known]
    texts = ["" if question else _text(prompt) for question, prompt in zip(known, prompts, strict=True)]
    prompted = {text: question_of(text) for text in dict.fromkeys(texts) if text}  # alike within a group
    return [question or prompted.get(text, "") for question, text in zip(known, texts, strict=True)]


def _text(turns: Any) -> str:
    return turn_text(turns, "user")


def read_targets(column: Any, size: int) -> list[float | None]:
    """The `target` column, checked; no column at all, and `None` in a row, mean that the prompt states no target.

    Example:
        >>> read_targets([0.75, None], 2)
        [0.75, None]
        >>> read_targets([0.5, 1.5], 2)
        Traceback (most recent call last):
        ...
        ValueError: column 'target', row 1: confidence target 1.5 is outside [0, 1); did you mean 0.015?
    """
    if column is None:
        return [None] * size
    check_length("target", column, size)
    return [None if t is None else _row_target(row, t) for row, t in enumerate(column)]


def _row_target(row: int, target: Any) -> float:
    try:
        return check_target(target)
    except ValueError as error:
        raise ValueError(f"column 'target', row {row}: {error}") from None


def verdict_rates(verdicts: Sequence[Verdict], targets: Sequence[float | None]) -> dict[str, float]:
    """Shares of a batch, all together and per target: accuracy, error, abstention, ungraded; each sums to 1.

    Example:
        >>> rates = verdict_rates([Verdict.CORRECT, Verdict.ABSTAINED, Verdict.ABSTAINED], [0.5, 0.5, 0.9])
        >>> rates["accuracy/t=0.5"], rates["abstention/t=0.5"], rates["abstention/t=0.9"]
        (0.5, 0.5, 1.0)
    """
    groups: dict[str, list[Verdict]] = {"all": list(verdicts)}
    for verdict, target in zip(verdicts, targets, strict=True):
        if target is not None:
            groups.setdefault(target_label(target), []).append(verdict)
    return {
        f"{name}/{g}": rows.count(v) / len(rows) for g, rows in groups.items() if rows for name, v in RATES.items()
    }


def target_label(target: float) -> str:
    """`t=0.75`; a target with more than two decimals is put in its tenth, so that drawn targets give few curves.

    Example:
        >>> target_label(0.75), target_label(0.3141)
        ('t=0.75', 't=0.3-0.4')
    """
    if round(target, 2) == target:
        return f"t={target:g}"
    tenth = math.floor(target * 10)
    return f"t={tenth / 10:g}-{(tenth + 1) / 10:g}"


def _plain(name: str) -> str:
    """A name inside a name: my_graders.py:close -> my_graders_close."""
    return re.sub(r"\W+", "_", short(name).replace(".py:", "_")) if is_named(name) else name


def name_number(value: float) -> str:
    """A number inside a name: 0.75 -> 0p75, -1.0 -> m1, 1e-05 -> 1em05."""
    return repr(float(value)).removesuffix(".0").replace("-", "m").replace(".", "p").replace("+", "")
