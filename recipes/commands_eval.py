"""`abstain eval`: what a model does on a whole task, at every confidence target."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

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
TASK = typer.Option("--task", help="What to ask; `abstain tasks` lists what there is.", show_default="qa with --data")
DATA = typer.Option("--data", help="File, folder or hub data set that the questions come from.")
OPTION = typer.Option("--option", metavar="KEY=VALUE", help="An option of the task. May be given again.")
TARGETS = typer.Option("--targets", help="Confidence targets, each in [[0, 1).")
LIMIT = typer.Option("--limit", min=1, help="Ask this many held-out questions.", show_default="all")
TRAIN_LIMIT = typer.Option("--train-limit", min=1, help="Fit the oracle's thresholds on this many training questions.")
OUT = typer.Option("--out", help="Write records.jsonl, metrics.json and table.md to this directory.")
BATCH_TOKENS = typer.Option("--batch-tokens", min=1, help="Tokens in one batch; halve it if memory runs out.")
SEED = typer.Option("--seed", min=0, help="Of the draw of questions and of the bootstrap.")


def evaluate(
    model: Model,
    task: Annotated[str | None, TASK] = None,
    data: Annotated[str | None, DATA] = None,
    option: Annotated[list[str] | None, OPTION] = None,
    targets: Annotated[str, TARGETS] = "0,0.5,0.75,0.9",
    limit: Annotated[int | None, LIMIT] = None,
    train_limit: Annotated[int, TRAIN_LIMIT] = 2000,
    out: Annotated[Path | None, OUT] = None,
    format: TableFormat = "text",
    prompt_format: PromptFormat = "auto",
    dtype: DType = "auto",
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
    batch_tokens: Annotated[int | None, BATCH_TOKENS] = None,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Ask a model every question of a task at every confidence target, and print the table.

    [bold]Examples[/bold]
    \b
      abstain eval runs/quickstart-0/model --task factworld
      abstain eval Qwen/Qwen3-0.6B --task popqa --limit 500 --out results/qwen
      abstain eval my-model --data trivia.csv --option question_column=q --format markdown
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
    from abstain.evals.tasks import load_task
    from abstain.recipes.starting_model import load_start

    questions = load_task(name, **options)
    loaded = load_start(model, options, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code)
    console, errors = Console(), Console(stderr=True)
    sampler = Sampler(
        loaded.model, loaded.tokenizer, name=loaded.name, prompt_format=prompt_format, batch_tokens=batch_tokens
    )
    found = measure(
        sampler, questions, chosen, limit=limit, train_limit=train_limit, seed=seed, progress=errors.is_terminal
    )
    if out:
        found.save(out)
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
