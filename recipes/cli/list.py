"""`abstain tasks`, `rewards`, `graders` and `detectors`: what there is, and what each of them takes."""

import inspect
from collections.abc import Mapping, Sequence
from inspect import Parameter
from operator import itemgetter
from typing import Annotated, Any

import typer

from abstain.evals.tables.document import Block, Format, Heading, render_tables
from abstain.evals.tables.grid import Column, Grid
from abstain.recipes.cli.documented import (
    Documented,
    default_words,
    options_of,
    section,
    summary_of,
    yaml_value,
)
from abstain.recipes.cli.options import TableFormat
from abstain.rewards.errors import nearest
from abstain.rewards.named import find, hint, is_named, parameters_of, short

TASK = typer.Argument(metavar="TASK", help="Show this one: its options, and an example. Or file.py:NAME.")
REWARD = typer.Argument(metavar="REWARD", help="Show this one: its arguments, and an example. Or file.py:NAME.")
GRADER = typer.Argument(metavar="GRADER", help="Show this one. Or file.py:NAME, one of your own.")
DETECTOR = typer.Argument(metavar="DETECTOR", help="Show this one.")
WIDTH = 100


def tasks(
    task: Annotated[str | None, TASK] = None,
    format: TableFormat = "text",
) -> None:
    """List the tasks, or show one with its options.

    [bold]Examples[/bold]
    \b
      abstain tasks
      abstain tasks qa
      abstain tasks my_tasks.py:trivia
      abstain tasks --format markdown
    """
    from abstain.evals.tasks.catalogue import TASKS

    if task is None:
        _print([{"task": name, "what it asks": spec.summary} for name, spec in TASKS.items()], format)
    else:
        _show(documented_task(task), format)


def rewards(
    reward: Annotated[str | None, REWARD] = None,
    format: TableFormat = "text",
) -> None:
    """List the rewards that a recipe can train with, or show one with its arguments.

    [bold]Examples[/bold]
    \b
      abstain rewards
      abstain rewards ConfidenceTarget
      abstain rewards my_rewards.py:brevity
      abstain rewards --format json
    """
    from abstain.rewards import READY_MADE, REWARDS

    if reward is not None:
        _show(documented_reward(reward), format)
        return
    rows = [
        {"reward": name, "what it pays": summary_of(kind), "arguments": arguments(kind)}
        for name, kind in REWARDS.items()
    ]
    rows += [{"reward": name, "what it pays": repr(one), "arguments": ""} for name, one in READY_MADE.items()]
    _print(rows, format)


def graders(
    grader: Annotated[str | None, GRADER] = None,
    format: TableFormat = "text",
) -> None:
    """List the graders, which compare an answer with the gold answers, or show one.

    [bold]Examples[/bold]
    \b
      abstain graders
      abstain graders numeric
      abstain graders my_graders.py:close
    """
    from abstain.rewards.graders import GRADERS

    if grader is None:
        _print([{"grader": name, "when it is right": summary_of(one)} for name, one in GRADERS.items()], format)
    else:
        _show(documented_grader(grader), format)


def detectors(
    detector: Annotated[str | None, DETECTOR] = None,
    format: TableFormat = "text",
) -> None:
    """List the hallucination detectors, with what each must see and costs, or show one.

    [bold]Examples[/bold]
    \b
      abstain detectors
      abstain detectors attention
      abstain detectors --format markdown
    """
    from abstain.evals.detectors.catalogue import DETECTORS, check_names

    if detector is None:
        _print([detector_row(one) for one in DETECTORS.values()], format)
        return
    (name,) = check_names([detector])
    shown = {key.replace("_", " "): str(value) for key, value in vars(DETECTORS[name]).items() if value != ""}
    told = {"True": "yes", "False": "no"}
    _print([{"": key, "what": told.get(value, value)} for key, value in shown.items()], format)


def detector_row(one: Any) -> dict[str, str]:
    """What a detector needs and costs, by the headings of the table.

    Example:
        >>> from abstain.evals.detectors.catalogue import DETECTORS
        >>> detector_row(DETECTORS["selfcheck_nli"])["another model"]
        'an NLI model'
    """
    return {
        "detector": one.name,
        "what it is": one.title,
        "must see": one.access,
        "passes": one.passes,
        "another model": one.extra,
        "learned": "yes" if one.fitted else "",
    }


def documented_reward(name: str) -> Documented:
    """What a reward is.

    Args:
        name: of `REWARDS` or `READY_MADE`, or `file.py:Thing`.

    Raises:
        ValueError: there is none of that name, with the nearest; or nothing that could be a reward.

    Example:
        >>> shown = documented_reward("knowrl")
        >>> shown.recipe
        'rl: {rewards: [{name: knowrl, args: {correct: 2}}]}'
        >>> [option.default for option in shown.options][:3]
        ['2', '1', '-1']
    """
    from abstain.rewards import READY_MADE, REWARDS, VerdictReward
    from abstain.rewards.function_reward import COLUMNS, PROVIDED, SOLUTION, makes_reward

    known: dict[str, Any] = {**REWARDS, **READY_MADE}
    thing = known[name] if name in known else _found("reward", name, known)
    if isinstance(thing, VerdictReward):
        kind: Any = type(thing)
        fixed = {key: one.replace(default=getattr(thing, key)) for key, one in parameters_of(name, kind).items()}
    else:
        kind, fixed = thing, parameters_of(name, thing)
        if not makes_reward(name, thing):
            fixed = {key: one for key, one in fixed.items() if key not in (*PROVIDED, *COLUMNS, SOLUTION)}
    fixed = _by_name(fixed)
    options = _chosen(fixed)
    recipe = "rl: {rewards: [" + yaml_value({"name": name} | ({"args": options} if options else {})) + "]}"
    summary = summary_of(kind) if thing is kind else repr(thing)
    return Documented(name, summary, options_of(fixed, kind), recipe, section(kind, "Example"))


def documented_task(name: str) -> Documented:
    """What a task is.

    Args:
        name: of `TASKS`, or `file.py:Thing`.

    Raises:
        ValueError: there is none of that name, with the nearest.

    Example:
        >>> shown = documented_task("letters")
        >>> shown.recipe
        'task: {name: letters, n: 4000}'
        >>> shown.options[0].meaning
        'How many words to make up or choose'
    """
    from abstain.evals.tasks.catalogue import COMMON_OPTIONS, NamedTask, find_task
    from abstain.evals.tasks.question import Task

    spec = find_task(name)
    loader = spec.loader()
    if isinstance(spec, NamedTask) or not spec.options_class:
        documented: list[Any] = [loader]
    else:
        documented = [inspect.getmodule(loader).__dict__[spec.options_class], loader]
    annotated = {key: one for thing in reversed(documented) for key, one in parameters_of(name, thing).items()}
    task = parameters_of("Task", Task)
    defaults = spec.options()
    own = {key: value for key, value in defaults.items() if key not in COMMON_OPTIONS}
    parameters = {
        key: Parameter(
            key,
            Parameter.KEYWORD_ONLY,
            default=value,
            annotation=(annotated.get(key) or task.get(key) or _NOTHING).annotation,
        )
        for key, value in {**own, **{key: defaults[key] for key in COMMON_OPTIONS if key in defaults}}.items()
    }
    chosen = {"data": "my.csv"} if name == "qa" else _chosen(parameters)
    recipe = f"task: {yaml_value({'name': name} | chosen)}"
    return Documented(
        name, spec.summary, options_of(parameters, *documented, Task), recipe, section(loader, "Example")
    )


def documented_grader(name: str) -> Documented:
    """What a grader is; its options are what it compares.

    Args:
        name: of `GRADERS`, or `file.py:Thing`.

    Raises:
        ValueError: there is none of that name, with the nearest; or what has it is no grader.

    Example:
        >>> documented_grader("exact").recipe
        'task: {name: qa, data: my.csv, grader: exact}'
    """
    from abstain.rewards.graders import GRADERS, Grader
    from abstain.rewards.grading import find_grader

    find_grader(name)
    thing: Any = GRADERS[name] if name in GRADERS else find(name)
    recipe = f"task: {yaml_value({'name': 'qa', 'data': 'my.csv', 'grader': name})}"
    taken = options_of(parameters_of(name, thing), thing, Grader)
    return Documented(name, summary_of(thing), taken, recipe, section(thing, "Example"))


_NOTHING = Parameter("nothing", Parameter.KEYWORD_ONLY)
_PLACEHOLDERS: dict[Any, Any] = {int: 100, float: 0.5, bool: True}  # in examples, for what has no default


def _found(what: str, name: str, known: Mapping[str, Any]) -> Any:
    if is_named(name):
        return find(name)
    raise ValueError(f"unknown {what} '{name}'.{hint(name) or f' {nearest(name, known)}'}")


def _by_name(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    kinds = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return {key: one for key, one in parameters.items() if one.kind in kinds}


def _chosen(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Options for an example: those that are required, else the first that has a plain default."""
    needed = {
        key: _PLACEHOLDERS.get(one.annotation, "…")
        for key, one in parameters.items()
        if one.default is Parameter.empty
    }
    plain = {key: one.default for key, one in parameters.items() if type(one.default) in (int, float, str, bool)}
    first = next(((key, value) for key, value in plain.items() if value != ""), None)
    return needed or (dict([first]) if first else {})


def _show(thing: Documented, format: Format) -> None:
    rows = [vars(option) for option in thing.options]
    told = f"{thing.summary[:1].upper()}{thing.summary[1:]}." if thing.summary else ""
    blocks: list[Block] = [Heading(short(thing.name), told, is_title=True)]
    blocks += [_grid(rows)] if rows else []
    code = [(title, text) for title, text in (("In a recipe", thing.recipe), ("In Python", thing.example)) if text]
    if format in ("text", "markdown"):
        typer.echo(render_tables(blocks, format, rows=rows, width=WIDTH), nl=False)
        for title, text in code:
            typer.echo(_listing(title, text, format), nl=False)
    else:
        typer.echo(render_tables(blocks, format, rows=rows, data=thing.as_json()), nl=False)


def _listing(title: str, code: str, format: Format) -> str:
    if format == "markdown":
        language = "yaml" if title == "In a recipe" else "pycon"
        return f"\n{title}:\n\n```{language}\n{code}\n```\n"
    return f"\n {title}:\n\n" + "".join(f"   {line}".rstrip() + "\n" for line in code.splitlines())


def _print(rows: Sequence[dict[str, str]], format: Format) -> None:
    typer.echo(render_tables([_grid(rows)], format, rows=rows), nl=False)


def _grid(rows: Sequence[Mapping[str, str]]) -> Grid:
    """Rows of texts with the same keys, which are the headings."""
    return Grid.of([Column(key, key, itemgetter(key), is_label=True, folds=True) for key in rows[0]], rows)


def arguments(constructor: type) -> str:
    """The arguments of a constructor with their defaults, as a recipe has them.

    Example:
        >>> arguments(type("Reward", (), {"__init__": lambda self, target=None, *, form="bounded": None}))
        'target: none, form: bounded'
    """
    named = inspect.signature(constructor).parameters.values()
    return ", ".join(f"{one.name}: {default_words(one.default)}" for one in named)
