"""`abstain eval`: what a model does on a whole task, at every confidence target."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from abstain.recipes.console import on_terminal, say
from abstain.recipes.options import (
    DType,
    Model,
    PromptFormat,
    Revision,
    TableFormat,
    TrustRemoteCode,
    parse_target,
)
from abstain.recipes.recipe import parse_override
from abstain.recipes.rundir import claim

RESULTS = ("records.jsonl", "metrics.json", "table.md")
PANEL = "The measurement"
TASK = typer.Option("--task", metavar="NAME", help="What to ask, as listed by `abstain tasks`.", show_default=False)
DATA = typer.Option("--data", metavar="FILE", help="Where the questions are: file, folder or hub data set.")
OPTION = typer.Option("--option", metavar="KEY=VALUE", help="An option of the task. May be given again.")
OUT = typer.Option("--out", metavar="DIR", help="Write records.jsonl, metrics.json and table.md there.")
TARGETS = typer.Option("--targets", metavar="LIST", help="Confidence targets in [0, 1).", rich_help_panel=PANEL)
LIMIT = typer.Option("--limit", metavar="N", min=1, help="Ask N of the held-out questions.", rich_help_panel=PANEL)
TRAIN_LIMIT = typer.Option(
    "--train-limit", metavar="N", min=1, help="Fit the oracle on N training questions.", rich_help_panel=PANEL
)
SEED = typer.Option(
    "--seed", metavar="N", min=0, help="Draws the questions, and the bootstrap.", rich_help_panel=PANEL
)
BATCH_TOKENS = typer.Option(
    "--batch-tokens", metavar="N", min=1, help="Batch size; halve it when memory runs out.", rich_help_panel=PANEL
)


def evaluate(
    model: Model,
    task: Annotated[str | None, TASK] = None,
    data: Annotated[str | None, DATA] = None,
    option: Annotated[list[str] | None, OPTION] = None,
    out: Annotated[Path | None, OUT] = None,
    format: TableFormat = "text",
    targets: Annotated[str, TARGETS] = "0,0.5,0.75,0.9",
    limit: Annotated[int | None, LIMIT] = None,
    train_limit: Annotated[int, TRAIN_LIMIT] = 2000,
    batch_tokens: Annotated[int | None, BATCH_TOKENS] = None,
    seed: Annotated[int, SEED] = 0,
    prompt_format: PromptFormat = "auto",
    dtype: DType = "auto",
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Ask a model every question of a task at every confidence target, and print the table.

    [bold]Examples[/bold]
    \b
      abstain eval runs/quickstart-0/model --task factworld
      abstain eval Qwen/Qwen3-0.6B --task popqa --limit 500 --out results/qwen
      abstain eval my-model --data trivia.csv --option question_column=q
    """
    chosen = [parse_target(part) for part in targets.split(",")]
    options = task_options(option or [], data)
    name = task or ("qa" if data else "")
    if not name:
        raise ValueError("nothing to ask: give --task NAME (`abstain tasks` lists them) or --data FILE")
    if out:
        claim_results(out)
    from abstain.evals.evaluate import evaluate as measure
    from abstain.evals.sampler import Sampler
    from abstain.evals.table import render
    from abstain.evals.tasks import describe, load_task
    from abstain.recipes.starting_model import load_start

    questions = load_task(name, **options)
    loaded = load_start(
        model, task=name, task_options=options, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code
    )
    say(describe(questions))
    sampler = Sampler(
        loaded.model, loaded.tokenizer, name=loaded.name, prompt_format=prompt_format, batch_tokens=batch_tokens
    )
    found = measure(
        sampler, questions, chosen, limit=limit, train_limit=train_limit, seed=seed, progress=on_terminal()
    )
    if out:
        found.save(out)
    console = Console()
    text = render([found.metrics], format, width=console.width, color=console.is_terminal)
    typer.echo(text, nl=False)


def task_options(settings: list[str], data: str | None) -> dict[str, Any]:
    """The task's options from `--option key=value` and `--data`.

    Example:
        >>> task_options(["held_out=0.5"], "q.csv")
        {'held_out': 0.5, 'data': 'q.csv'}
    """
    options = {".".join(map(str, keys)): value for keys, value in map(parse_override, settings)}
    return options | ({"data": data} if data is not None else {})


def claim_results(out: Path) -> None:
    """Make sure that results can be written there and that none are there already."""
    claim(out)
    there = [name for name in RESULTS if (out / name).exists()]
    if there:
        raise FileExistsError(f"{out} already holds {', '.join(there)}. Give --out another directory")
