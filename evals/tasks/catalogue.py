"""Every task by name. `load_task("geo", min_population=100_000)` gives the questions, held-out ones apart.

A new task is a function that returns a `Task`, and a line in `TASKS`; one of your own is named by its file or module,
`load_task("my_tasks.py:trivia", n=100)`.
"""

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from inspect import Parameter
from pathlib import Path
from typing import Any

from abstain.evals.tasks.presets import GENERIC, PRESETS
from abstain.evals.tasks.question import Task
from abstain.evals.tasks.splits import check_overlap, repeated
from abstain.rewards.errors import nearest
from abstain.rewards.grading import UNANSWERABLE, find_grader
from abstain.rewards.named import (
    by_name,
    check_options,
    find,
    hint,
    is_named,
    located,
    parameters_of,
    parted,
    place_of,
    said,
    short,
    takes_any,
)

COMMON_OPTIONS: dict[str, Any] = {"answer_format": None, "max_new_tokens": None, "template": None}
"""Options of every task: where the answer stands, room for it, the prompt with `{question}` and `{instruction}`."""


@dataclass(frozen=True)
class TaskSpec:
    """A task's name leads to this: what it is, and where its loader lives. Loaders are imported when first needed.

    Args:
        summary: one line for `abstain tasks`.
        module: module of the loader.
        function: name of the loader in it.
        options_class: dataclass in that module whose fields are the options, where the loader takes keywords as such.
        fixed: options that this task sets itself.
    """

    summary: str
    module: str
    function: str
    options_class: str = ""
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def loader(self) -> Callable[..., Task]:
        """The function that loads the task."""
        return getattr(importlib.import_module(self.module), self.function)

    def load(self, options: Mapping[str, Any]) -> Task:
        """The task with these options.

        Args:
            options: of the task, and of `COMMON_OPTIONS`.

        Raises:
            ValueError, FileNotFoundError: as the loader.
        """
        own = {key: value for key, value in options.items() if key not in COMMON_OPTIONS}
        common = {key: value for key, value in options.items() if key in COMMON_OPTIONS and value is not None}
        return replace(self.loader()(**own, **self.fixed), **common)

    def check(self, name: str, options: Iterable[str]) -> None:
        """Refuse options that the task does not have.

        Raises:
            ValueError: with the nearest.
        """
        allowed = self.options()
        for option in options:
            if option not in allowed:
                raise ValueError(f"task {name!r} has no option {option!r}. {nearest(option, allowed)}")

    def options(self) -> dict[str, Any]:
        """Every option with its default.

        Example:
            >>> sorted(TASKS["geo"].options())
            ['answer_format', 'held_out', 'kinds', 'limit', 'max_new_tokens', 'max_questions', 'min_population',
            'seed', 'template']
        """
        if self.options_class:
            named = fields(getattr(importlib.import_module(self.module), self.options_class))
            all_options = {one.name: None if one.default is MISSING else one.default for one in named}
        else:
            all_options = {name: one.default for name, one in inspect.signature(self.loader()).parameters.items()}
        return {name: default for name, default in (COMMON_OPTIONS | all_options).items() if name not in self.fixed}


@dataclass(frozen=True)
class NamedTask:
    """A task of somebody's own: `file.py:Thing`, a function whose arguments are the options and that returns a `Task`.

    Raises:
        ValueError: nothing has this name, or nothing that can be called.
    """

    name: str

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (inspect.getdoc(self.loader()) or "").partition("\n")[0].rstrip(".")

    def loader(self) -> Callable[..., Task]:
        """The function that loads the task."""
        function = find(self.name)
        parameters_of(self.name, function)
        return function

    @property
    def takes_any(self) -> bool:
        """Whether the function takes options that it does not name."""
        return takes_any(parameters_of(self.name, self.loader()))

    def options(self) -> dict[str, Any]:
        """Every option with its default, `inspect.Parameter.empty` where there is none."""
        own = by_name(parameters_of(self.name, self.loader()))
        return COMMON_OPTIONS | {name: one.default for name, one in own.items()}

    def load(self, options: Mapping[str, Any]) -> Task:
        """The task with these options. A grader that it names by a relative path lies beside its file.

        Raises:
            ValueError: the function raised, or returned no task.
        """
        loader = self.loader()
        takes = by_name(parameters_of(self.name, loader))
        common = {key: options[key] for key in COMMON_OPTIONS if key in options and key not in takes}
        try:
            task = loader(**{key: value for key, value in options.items() if key not in common})
        except (ValueError, OSError):
            raise  # which carry a message for people
        except Exception as error:
            raise ValueError(f"task {short(self.name)} raised {said(error)}{place_of(error, __file__)}") from error
        if not isinstance(task, Task):
            kind = type(task).__name__
            raise ValueError(f"task {short(self.name)} returned a {kind}: it must return an abstain.evals.tasks.Task")
        task = replace(task, **{key: value for key, value in common.items() if value is not None})
        where, _ = parted(self.name)
        if is_named(task.grader) and where.endswith(".py"):
            task = replace(task, grader=located(task.grader, [Path(where).absolute().parent, Path.cwd()]))
        find_grader(task.grader)
        return task

    def check(self, name: str, options: Iterable[str]) -> None:
        """Refuse options that the function lacks, and ask for those that it needs.

        Raises:
            ValueError: with the nearest.
        """
        takes = parameters_of(self.name, self.loader())
        given = [option for option in options if option not in COMMON_OPTIONS or option in takes]
        known = {name: one for name, one in takes.items() if name not in COMMON_OPTIONS or name in given}
        if self.takes_any:
            given = [option for option in given if option in known]
        else:
            known |= {one: Parameter(one, Parameter.KEYWORD_ONLY, default=None) for one in COMMON_OPTIONS}
        check_options(f"task {short(self.name)}", known, given, what="option")


def _qa(summary: str, **fixed: Any) -> TaskSpec:
    return TaskSpec(summary, "abstain.evals.tasks.qa", "load_qa", "QaOptions", fixed)


TASKS: dict[str, TaskSpec] = {
    "factworld": TaskSpec(
        "invented facts, read 0 to 8 times by a small model trained on the spot; relations=4 for several kinds",
        *("abstain.evals.tasks.factworld", "load_factworld", "WorldOptions"),
    ),
    "biographies": TaskSpec(
        "long answers about invented people, six facts each of known probability; a small model trained on the spot",
        *("abstain.evals.tasks.biographies", "load_biographies", "BiographyOptions"),
    ),
    "geo": TaskSpec(
        "30,000 cities, from famous to obscure: which country, which continent, which capital",
        *("abstain.evals.tasks.geo", "load_geo"),
    ),
    "letters": TaskSpec(
        "how often a letter stands in a word, in English, Japanese and Chinese",
        *("abstain.evals.tasks.letters", "load_letters"),
    ),
    "entityquestions": TaskSpec(
        "EntityQuestions: 24 Wikidata relations, 220,000 questions (data=FOLDER)",
        *("abstain.evals.tasks.entity_questions", "load_entity_questions"),
    ),
    "qa": _qa(GENERIC.summary),
    **{name: _qa(preset.summary, preset=name) for name, preset in PRESETS.items()},
}


def find_task(name: str) -> TaskSpec | NamedTask:
    """What leads to the task of that name.

    Raises:
        ValueError: there is none, with the nearest.

    Example:
        >>> find_task("letters").summary
        'how often a letter stands in a word, in English, Japanese and Chinese'
    """
    if name in TASKS:
        return TASKS[name]
    if is_named(name):
        return NamedTask(name)
    raise ValueError(f"unknown task {name!r}.{hint(name) or f' {nearest(name, TASKS)}'}")


def load_task(name: str, **options: Any) -> Task:
    """The task of that name. The same options give the same questions.

    Args:
        name: a key of `TASKS`, or `file.py:Thing` or `package.module:Thing`, a function that returns a `Task`.
        options: `COMMON_OPTIONS` and the task's own; `find_task(name).options()` lists them.

    Raises:
        ValueError: an unknown task or option, or an option's value that makes no sense.
        FileNotFoundError: the task's data is not there.

    Example:
        >>> load_task("letters", n=100, held_out=0.2).name
        'letters'
        >>> load_task("leters")
        Traceback (most recent call last):
        ...
        ValueError: unknown task 'leters'. Did you mean 'letters'? Allowed: biographies, entityquestions, factworld,
        geo, letters, nq_open, popqa, qa, selfaware, simpleqa, simpleqa_verified, triviaqa, truthfulqa.
    """
    spec = find_task(name)
    spec.check(name, options)
    return spec.load(options)


def describe(task: Task) -> str:
    """One paragraph about a task: how many questions, what train and held-out share, the grader, an example.

    Example:
        >>> print(describe(load_task("letters", words=["Anna", "Otto"], held_out=0.5)))
        letters: 1 training and 1 held-out questions; train and held-out questions share no subject and no question
        text; grader numeric. For example: How many times does “a” appear in “Anna”? Answer with a number. -> 2
    """
    sides = (task.train, task.held_out)
    everything = [question for side in sides for question in side]
    parts = [f"{task.name}: {len(task.train):,} training and {len(task.held_out):,} held-out questions"]
    unanswerable = sum(question.gold == (UNANSWERABLE,) for question in everything)
    if unanswerable:
        parts.append(f"{unanswerable:,} of them unanswerable")
    if all(sides):
        only_texts = "" if any(question.subject for question in everything) else " (no subject is known: texts decide)"
        parts.append(f"{check_overlap(*sides)}{only_texts}")
    again = len(repeated(everything))
    if again:
        parts.append(f"{again:,} question{'s are' if again > 1 else ' is'} asked more than once")
    told = "" if task.answer_format == "auto" else f", answers read as {task.answer_format}"
    parts.append(f"grader {short(task.grader)}{told}")
    return "; ".join(parts) + "." + _example(task)


def _example(task: Task) -> str:
    for question in [*task.held_out, *task.train]:
        return f" For example: {question.question} -> {question.gold[0] if question.gold else 'no gold answer'}"
    return ""
