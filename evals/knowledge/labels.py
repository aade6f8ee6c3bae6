"""What a model knows of each question: a category and P(correct), kept as JSON lines beside how they were found.

{"id": "P36-train-17", "task": "entityquestions", "relation": "P36", "question": "What is the capital of Peru?",
 "gold": ["Lima"], "category": "MaybeKnown", "p_greedy": 0.7, "p_sampled": 0.6, "p_correct": 0.6, ...}
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from abstain.evals.records import read_json, write_rows, write_text
from abstain.evals.tasks.question import Question

ROWS, ABOUT = "labels.jsonl", "labels.json"
Share = Annotated[float, Field(ge=0, le=1)]


class Category(StrEnum):
    """How well a model knows a fact, best first (Gekhman et al. 2024, table 1).

    With P(T=0) the share of few-shot prompts whose greedy answer is right, and P(T>0) that of all sampled answers:
    HighlyKnown if P(T=0) = 1, MaybeKnown if 0 < P(T=0) < 1, WeaklyKnown if P(T=0) = 0 < P(T>0), else Unknown.
    """

    HIGHLY_KNOWN = "HighlyKnown"
    MAYBE_KNOWN = "MaybeKnown"
    WEAKLY_KNOWN = "WeaklyKnown"
    UNKNOWN = "Unknown"


def categorise(greedy_right: int, greedy: int, sampled_right: int) -> Category:
    """The category of a fact.

    Args:
        greedy_right: greedy answers that are right.
        greedy: greedy answers, one for each few-shot prompt.
        sampled_right: sampled answers that are right.

    Example:
        >>> [str(categorise(*counts)) for counts in ((10, 10, 160), (3, 10, 0), (0, 10, 1), (0, 10, 0))]
        ['HighlyKnown', 'MaybeKnown', 'WeaklyKnown', 'Unknown']
    """
    if greedy_right:
        return Category.HIGHLY_KNOWN if greedy_right == greedy else Category.MAYBE_KNOWN
    return Category.WEAKLY_KNOWN if sampled_right else Category.UNKNOWN


class Label(BaseModel, frozen=True, extra="forbid"):
    """What a model knows of one question."""

    id: str
    task: str
    relation: str
    """"" where the task has none."""
    question: str
    gold: tuple[str, ...]
    category: Category
    p_greedy: Share
    """P(T=0): share of the few-shot prompts whose greedy answer is right."""
    p_sampled: Share | None
    """P(T>0): share of the sampled answers that are right; `None` if none were drawn, or not all of them."""
    p_correct: Share
    """The better estimate of the two: `p_sampled`, or else `p_greedy`."""
    p_low: Share
    """Lower end of a 95 % interval for it."""
    p_high: Share
    greedy: tuple[int, ...]
    """For each few-shot prompt, 1 if its greedy answer is right."""
    sampled: tuple[int, ...]
    """For each few-shot prompt, how many of its samples are right; shorter where sampling stopped early."""
    answers: tuple[str, ...]
    """For each few-shot prompt, the greedy answer."""

    def is_of(self, question: Question) -> bool:
        """Whether it is of this question: of its id, its text and its gold. Other files have such ids, too."""
        return (self.id, self.question, self.gold) == (question.id, question.question, tuple(question.gold))


class About(BaseModel, frozen=True, extra="forbid"):
    """Whose labels they are, and how they were found."""

    version: Literal[1] = 1
    model: str
    fingerprint: str
    """Of the weights, see `abstain.evals.knowledge.fingerprint`; labels are refused for another model."""
    task: str
    task_options: dict[str, Any] = {}
    protocol: dict[str, Any]
    """The preset and all its settings."""
    n: int
    counts: dict[Category, int]


@dataclass(frozen=True)
class Labels:
    """The labels of one model.

    Args:
        about: whose they are.
        rows: one for each question.
    """

    about: About
    rows: tuple[Label, ...]

    @cached_property
    def by_id(self) -> Mapping[str, Label]:
        """The label of each question that has one."""
        return {row.id: row for row in self.rows}

    @property
    def categories(self) -> dict[str, str]:
        """The category of each question that has a label, by id."""
        return {row.id: str(row.category) for row in self.rows}

    def of(self, questions: Iterable[Question]) -> "Labels":
        """The labels of these questions: see `Label.is_of`.

        Example:
            >>> about = About(model="m", fingerprint="", task="toy", protocol={}, n=1, counts={})
            >>> how = dict(p_greedy=0, p_sampled=0, p_correct=0, p_low=0, p_high=1, greedy=(0,), sampled=(0,))
            >>> what = dict(task="toy", relation="", gold=("Lima",), category="Unknown", answers=("Rome",))
            >>> labels = Labels(about, (Label(id="1", question="Where was Bo born?", **what, **how),))
            >>> ask = [Question("1", text, ("Lima",)) for text in ("Where was Bo born?", "Where was Cy born?")]
            >>> [labels.of([question]).categories for question in ask]
            [{'1': 'Unknown'}, {}]
        """
        rows = tuple(row for one in questions if (row := self.by_id.get(one.id)) is not None and row.is_of(one))
        counted = {"n": len(rows), "counts": count_categories(rows)}
        return Labels(self.about.model_copy(update=counted), rows)

    def save(self, folder: str | Path) -> None:
        """Write `labels.jsonl` and `labels.json`, each all or nothing."""
        write_rows(Path(folder) / ROWS, (row.model_dump(mode="json") for row in self.rows))
        write_text(Path(folder) / ABOUT, self.about.model_dump_json(indent=2) + "\n")


def count_categories(rows: Iterable[Label]) -> dict[Category, int]:
    """How many there are of each category, best first, none left out.

    Example:
        >>> count_categories([])[Category.UNKNOWN]
        0
    """
    found = Counter(row.category for row in rows)
    return {category: found[category] for category in Category}


def read_labels(path: str | Path) -> Labels:
    """What `Labels.save` wrote.

    Args:
        path: the folder, or one of its two files.

    Raises:
        FileNotFoundError: there is no such folder, or one of the files is not in it.
        ValueError: a line is no label; the message says which, and what is wrong with it.
    """
    folder = Path(path).expanduser()
    folder = folder if folder.is_dir() or not folder.suffix else folder.parent
    for name in (ABOUT, ROWS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder / name}: not found; `abstain label MODEL --out {folder}` writes it")
    try:
        about = About.model_validate(read_json(folder / ABOUT))
    except ValidationError as error:
        raise ValueError(f"{folder / ABOUT}: {_first(error)}") from None
    rows = []
    with open(folder / ROWS, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                rows.append(Label.model_validate_json(line))
            except ValidationError as error:
                raise ValueError(f"{folder / ROWS}:{number}: {_first(error)}") from None
    return Labels(about, tuple(rows))


def _first(error: ValidationError) -> str:
    one = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, one['loc'])) or 'the line'}: {one['msg']}"
