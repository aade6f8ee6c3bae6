"""What the rewards share: TRL's columns in, one verdict per completion, one score (or `None`) out.

A dataset row: {"prompt": "Capital of Peru?\\nAnswer only if ...", "answers": ["Lima"], "target": 0.75}
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from difflib import get_close_matches
from typing import Any

from abstain.rewards.grading import find_grader, grade_response
from abstain.rewards.parsing.completion import parse
from abstain.rewards.prompts import check_target
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict

RATES = {
    "accuracy": Verdict.CORRECT,
    "error": Verdict.INCORRECT,
    "abstention": Verdict.ABSTAINED,
    "ungraded": Verdict.UNGRADED,
}


@dataclass(eq=False, repr=False)
class VerdictReward(ABC):
    """A reward that grades each completion and turns the verdict into a score.

    TRL calls it keyword-only with the dataset's columns. An ungraded completion gets `None`, which TRL leaves out of
    the group. `log_extra` gets the verdicts (column `<name>/verdict`), `log_metric` the rates of `verdict_rates`.

    Args:
        grader: key in `abstain.rewards.graders.GRADERS`.
        eos_token_ids: ids that end a finished completion (TRL cuts padding off, so pass EOS and pad). A completion
            whose last id is another one was cut off and is graded as truncated. `None`: cannot tell, nothing is.

    Raises:
        ValueError: unknown grader; on a call, a missing, malformed or wrongly long column.
    """

    _: KW_ONLY
    grader: str = "match"
    eos_token_ids: Collection[int] | None = None

    def __post_init__(self) -> None:
        find_grader(self.grader)
        if isinstance(self.eos_token_ids, int | str):
            raise ValueError(f"eos_token_ids is {self.eos_token_ids!r}; it must be a collection of ids such as [2]")

    @property
    def __name__(self) -> str:
        """A plain identifier that differs whenever the parameters do; TRL logs `rewards/<name>/mean`."""
        return "_".join([*self._name_parts(), *([self.grader] if self.grader != "match" else [])])

    def __repr__(self) -> str:
        given = [(field.name, getattr(self, field.name), field.default) for field in fields(self)]
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v, default in given if v != default)})"

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

    def _parse(self, completion: Any, truncated: bool) -> Response:
        return parse(completion, truncated=truncated)

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
        completion_ids: Sequence[Sequence[int]] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """One score per completion, `None` where there is no grade.

        Args:
            completions: texts, or conversations whose last assistant message is read.
            answers: per completion, the list of gold answers and aliases; an empty list is UNGRADED.
            target: per completion, the confidence target in [0, 1) that its prompt states.
            completion_ids: per completion, its token ids; needed to notice truncation.
            log_extra, log_metric: TRL's hooks.
            columns: TRL's other columns, ignored.
        """
        size = len(completions)
        golds = read_answers(answers, size, columns)
        targets = self._targets(target, size, columns)
        responses = self._read(completions, self._truncated(completion_ids, size))
        verdicts = [grade_response(r, gold, self.grader) for r, gold in zip(responses, golds, strict=True)]
        return self._pay(verdicts, responses, targets, log_extra, log_metric)

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
        keys = [(repr(completion), cut) for completion, cut in zip(completions, truncated, strict=True)]
        distinct = dict(zip(keys, completions, strict=True))
        parsed = {key: self._parse(completion, key[1]) for key, completion in distinct.items()}
        return [parsed[key] for key in keys]

    def _truncated(self, ids: Sequence[Sequence[int]] | None, size: int) -> list[bool]:
        if ids is None or not self.eos_token_ids:
            return [False] * size
        check_length("completion_ids", ids, size)
        return [len(row) > 0 and row[-1] not in self.eos_token_ids for row in ids]


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


def read_answers(column: Any, size: int, columns: Collection[str]) -> list[Sequence[str]]:
    """The `answers` column, one list of gold answers per completion; `None` in a row counts as no gold.

    Example:
        >>> read_answers([["Lima"], None], 2, [])
        [['Lima'], []]
        >>> read_answers(["Lima"], 1, [])
        Traceback (most recent call last):
        ...
        ValueError: column 'answers', row 0: 'Lima' is a str; it must be a list of gold answers such as ['Lima']
    """
    if column is None:
        raise missing_column("answers", columns)
    check_length("answers", column, size)
    for row, gold in enumerate(column):
        if gold is not None and (isinstance(gold, str) or not isinstance(gold, Sequence)):
            raise ValueError(
                f"column 'answers', row {row}: {gold!r} is a {type(gold).__name__}; "
                f"it must be a list of gold answers such as [{gold!r}]"
            )
    return [[] if gold is None else gold for gold in column]


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


def name_number(value: float) -> str:
    """A number inside a name: 0.75 -> 0p75, -1.0 -> m1, 1e-05 -> 1em05."""
    return repr(float(value)).removesuffix(".0").replace("-", "m").replace(".", "p").replace("+", "")
