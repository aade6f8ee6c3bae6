"""`abstain init`: from a file of questions and a model to a recipe that runs."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from abstain.recipes.cli.options import TaskOptions, option
from abstain.recipes.run.console import on_terminal, say
from abstain.recipes.run.recipe import parse_overrides

DATA = option("--data", "FILE", "Your questions with their answers: CSV, TSV, JSONL, JSON or Parquet.")
MODEL = option("--model", "MODEL", "Hub id, directory, GGUF file, or python:PACKAGE holding one.")
OUT = option("--out", "RECIPE.yaml", "The recipe to write; by default the data's name, in this folder.")
WIDTH = 100
NONE = "-"


def init(
    data: Annotated[str, DATA],
    model: Annotated[str, MODEL],
    out: Annotated[Path | None, OUT] = None,
    task_option: TaskOptions = None,
) -> None:
    """Look at your questions and a model, and write a recipe for both.

    Every value in it has a comment that says why. It runs as it stands, and is there to be changed.

    [bold]Examples[/bold]
    \b
      abstain init --data my.csv --model HuggingFaceTB/SmolLM2-135M-Instruct
      abstain init --data my.csv --model runs/first-0/model --out second.yaml
      abstain init --data my.csv --model my-model --option question_column=Frage
    """
    from abstain.evals.records import write_text
    from abstain.recipes.init.data import Typed
    from abstain.recipes.init.writing import name_for

    options = task_option or []
    typed = Typed(data, model, str(out or ""), tuple(options))
    written = out or Path(f"{name_for(Path(data))}.yaml")
    _refuse_place(written, typed.again(out=str(_free(written))))
    given = parse_overrides(options)
    from abstain.recipes.init.draft import make_draft  # imports torch
    from abstain.recipes.run.threads import settle_threads

    settle_threads()
    draft = make_draft(typed, written, given, ask=_ask if sys.stdin.isatty() and on_terminal() else None, say=say)
    write_text(written, draft.text)
    table = Table(
        title="What was found",
        title_justify="left",
        title_style="bold",
        show_header=False,
        box=None,
        padding=(0, 2, 0, 0),
    )
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for term, meaning in draft.findings():
        table.add_row(term, Text(_on_one_line(meaning)))
    console = Console(highlight=False)
    console.print(table, width=min(WIDTH, console.width))
    say(f"Written to {written}. Its comments say why; change what you like.")
    say(f"Next: {draft.command}", whole=True)


def _refuse_place(out: Path, instead: str) -> None:
    if out.exists():
        raise FileExistsError(f"{out} is there already, and is not overwritten. Type: {instead}")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {out.parent} to write {out.name} to. Type: mkdir -p {shlex.quote(str(out.parent))}"
        )


def _free(path: Path) -> Path:
    """The first of name-2.yaml, name-3.yaml ... that is not there."""
    number = 2
    while (found := path.with_name(f"{path.stem}-{number}{path.suffix}")).exists():
        number += 1
    return found


def _ask(what: str, columns: Sequence[str], default: str) -> str:
    """Ask at the terminal which column is meant."""
    none = f", or {NONE} for none" if what == "subject" else ""
    said = typer.prompt(
        f"Which column holds the {what}{none}? ({', '.join(columns)})", default=default or NONE, err=True
    )
    return "" if said == NONE and what == "subject" else said


def _on_one_line(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown if len(shown) <= 300 else f"{shown[:297]}..."
