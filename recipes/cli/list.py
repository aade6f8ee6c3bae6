"""`abstain tasks` and `abstain rewards`: what there is."""

import inspect
from collections.abc import Sequence
from operator import itemgetter
from typing import Annotated

import typer

from abstain.evals.tables.document import Format, render_tables
from abstain.evals.tables.grid import Column, Grid
from abstain.recipes.cli.options import TableFormat
from abstain.rewards.errors import nearest

TASK = typer.Argument(metavar="TASK", help="List the options of this task instead.")


def tasks(
    task: Annotated[str | None, TASK] = None,
    format: TableFormat = "text",
) -> None:
    """List the tasks, or the options of one.

    [bold]Examples[/bold]
    \b
      abstain tasks
      abstain tasks qa
      abstain tasks --format markdown
    """
    from abstain.evals.tasks.catalogue import TASKS

    if task is None:
        rows = [{"task": name, "what it asks": spec.summary} for name, spec in TASKS.items()]
    elif task in TASKS:
        rows = [{"option": name, "default": repr(value)} for name, value in TASKS[task].options().items()]
    else:
        raise ValueError(f"unknown task '{task}'. {nearest(task, TASKS)}")
    typer.echo(_listing(rows, format), nl=False)


def rewards(format: TableFormat = "text") -> None:
    """List the rewards that a recipe can train with, and their arguments.

    [bold]Examples[/bold]
    \b
      abstain rewards
      abstain rewards --format json
    """
    from abstain.rewards import REWARDS

    rows = [
        {"reward": name, "what it pays": first_line(reward), "arguments": arguments(reward)}
        for name, reward in REWARDS.items()
    ]
    typer.echo(_listing(rows, format), nl=False)


def _listing(rows: Sequence[dict[str, str]], format: Format) -> str:
    """Rows of texts with the same keys, which are the headings."""
    columns = [Column(key, key, itemgetter(key), is_label=True, folds=True) for key in rows[0]]
    return render_tables([Grid.of(columns, rows)], format, rows=rows)


def first_line(documented: object) -> str:
    """The summary line of a docstring, without its full stop."""
    return (inspect.getdoc(documented) or "").split("\n", 1)[0].rstrip(".")


def arguments(constructor: type) -> str:
    """The arguments of a constructor with their defaults, as one would write them.

    Example:
        >>> arguments(type("Reward", (), {"__init__": lambda self, target=None, *, form="bounded": None}))
        "target=None, form='bounded'"
    """
    named = inspect.signature(constructor).parameters.values()
    return ", ".join(p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in named)
