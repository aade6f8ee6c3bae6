"""Rows of well-known benchmarks as questions to be asked: text, choices, gold answers, and who grades.

    {"question": "Which ...?", "options": ["Lima", "Quito"], "answer": "B", ...}      a row of MMLU-Pro
    Asked("Which ...?\\n(A) Lima\\n(B) Quito", ("B", "Quito"), "choice", reasons=True)

The columns are those of the data sets on the hub; a local file has to have the same ones.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from string import ascii_uppercase
from typing import Any

from abstain.evals.tasks.columns import Columns, answers_of, find_columns, parse_literal, to_question
from abstain.evals.tasks.presets import GENERIC, PRESETS
from abstain.evals.tasks.question import with_choices
from abstain.evals.tasks.rows import Table
from abstain.rewards.parsing.completion import parse

_NUMBER = re.compile(r"-?\d[\d,.]{0,20}")
_OPTION = re.compile(r"\([A-Z]\)")
_BRACKETS = re.compile(r"[\[\](){}<> ]+")


@dataclass(frozen=True)
class Asked:
    """One question as it is asked.

    Args:
        question: with its choices, without any instruction.
        gold: accepted answers; of a multiple choice the letter and its text.
        grader: a key of `abstain.rewards.graders.GRADERS`.
        reasons: the model may think aloud before it answers.
    """

    question: str
    gold: tuple[str, ...]
    grader: str = "match"
    reasons: bool = False


Reader = Callable[[Table], Iterator[Asked]]


def _short(columns: Columns, table: Table) -> Iterator[Asked]:
    found = find_columns(table, columns)
    for number, row in enumerate(table.rows, 1):
        question = to_question(row, found, number, table, columns.separator)
        yield Asked(question.question, question.gold)


def _each(read: Callable[[Mapping[str, Any]], Asked | None], table: Table) -> Iterator[Asked]:
    for row in table.rows:
        try:
            asked = read(row.fields)
        except KeyError as error:
            raise ValueError(f"{row.where}: no column {error}; it has {', '.join(map(str, row.fields))}") from None
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(f"{row.where}: {error}") from None
        if asked is not None:
            yield asked


def _choice(question: str, choices: Sequence[str], right: int) -> Asked:
    letter, text = ascii_uppercase[right], str(choices[right]).strip()
    shown = with_choices(question.strip(), [str(choice).strip() for choice in choices])
    return Asked(shown, (letter, text), "choice", reasons=True)


def mmlu_pro(row: Mapping[str, Any]) -> Asked:
    """A row of TIGER-Lab/MMLU-Pro.

    Example:
        >>> mmlu_pro({"question": "1 + 1?", "options": ["1", "2"], "answer_index": 1}).gold
        ('B', '2')
    """
    return _choice(row["question"], _list(row["options"]), int(row["answer_index"]))


def gpqa(row: Mapping[str, Any]) -> Asked:
    """A row of Idavidrein/gpqa. Its choices are shuffled, always in the same way for the same question.

    Example:
        >>> wrong = {f"Incorrect Answer {i}": f"wrong {i}" for i in (1, 2, 3)}
        >>> asked = gpqa({"Question": "Why?", "Correct Answer": "right", **wrong})
        >>> asked.gold[1], len(asked.question.splitlines())
        ('right', 5)
    """
    names = ("Correct Answer", *(f"Incorrect Answer {number}" for number in (1, 2, 3)))
    order = list(range(4))
    random.Random(row["Question"]).shuffle(order)
    return _choice(row["Question"], [row[names[place]] for place in order], order.index(0))


def musr(row: Mapping[str, Any]) -> Asked:
    """A row of TAUR-Lab/MuSR.

    Example:
        >>> asked = musr({"narrative": "A story.", "question": "Who?", "choices": "['Ann', 'Bo']", "answer_index": 0})
        >>> asked.question.splitlines()[-2:], asked.gold
        (['(A) Ann', '(B) Bo'], ('A', 'Ann'))
    """
    question = f"{str(row['narrative']).strip()}\n\n{row['question']}"
    return _choice(question, _list(row["choices"]), int(row["answer_index"]))


def math_level_5(row: Mapping[str, Any]) -> Asked | None:
    """A row of MATH (Hendrycks et al. 2021), `None` if it is not of level 5; the gold is what the solution boxes.

    Example:
        >>> math_level_5({"problem": "1/2 + 1/2?", "solution": r"It is $\\\\boxed{1}$.", "level": "Level 5"}).gold
        ('1',)
    """
    if row["level"] != "Level 5":
        return None
    return Asked(row["problem"], (parse(row["solution"]).answer,), "math", reasons=True)


def bbh(row: Mapping[str, Any]) -> Asked:
    """A row of BIG-Bench Hard, SaylorTwift/bbh: the target is the letter of an option, a number, brackets, or words.

    Example:
        >>> bbh({"input": "Which?\\nOptions:\\n(A) red\\n(B) blue", "target": "(B)"}).gold
        ('(B) blue',)
        >>> [bbh({"input": "?", "target": target}).grader for target in ("False", "-12", "] >", "valid")]
        ['match', 'numeric', 'exact', 'match']
    """
    question, target = row["input"], str(row["target"]).strip()
    if _OPTION.fullmatch(target):
        lines = [line.strip() for line in question.splitlines() if line.strip().startswith(target)]
        return Asked(question, (lines[-1] if lines else target,), "choice", reasons=True)
    kinds = ((_NUMBER, "numeric"), (_BRACKETS, "exact"))
    grader = next((grader for kind, grader in kinds if kind.fullmatch(target)), "match")
    return Asked(question, answers_of(target), grader, reasons=True)


def _list(value: Any) -> Sequence[str]:
    """A list, or the text of one."""
    found = parse_literal(value) if isinstance(value, str) else value
    if not isinstance(found, list | tuple):
        raise ValueError(f"{str(value)[:60]!r} is no list of choices")
    return found


READERS: dict[str, Reader] = {
    "qa": partial(_short, GENERIC.columns),
    **{name: partial(_short, PRESETS[name].columns) for name in ("simpleqa", "triviaqa", "nq_open")},
    "mmlu_pro": partial(_each, mmlu_pro),
    "gpqa": partial(_each, gpqa),
    "musr": partial(_each, musr),
    "math": partial(_each, math_level_5),
    "bbh": partial(_each, bbh),
}
