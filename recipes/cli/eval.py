"""`abstain eval`: what a model does on a whole task, at every confidence target, and whether it follows them."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from abstain.recipes.cli.options import (
    JUDGE,
    JUDGE_OPTION,
    JUDGE_PROMPT,
    JUDGE_URL,
    DType,
    Model,
    PromptFormat,
    Revision,
    TableFormat,
    TrustRemoteCode,
    judge_from,
    parse_targets,
)
from abstain.recipes.run.console import on_terminal, say
from abstain.recipes.run.directory import claim_results
from abstain.recipes.run.recipe import parse_overrides

if TYPE_CHECKING:
    from abstain.evals.metrics.oracle import BaseGuesses
    from abstain.evals.tasks.question import Task


RESULTS = ("records.jsonl", "metrics.json", "table.md")
AUDIT_RESULTS = ("audit.json", "audit.md", "audit.png", "audit.svg", "reworded.jsonl")
PANEL = "The measurement"
AUDIT_PANEL = "The audit"
TASK = typer.Option("--task", metavar="NAME", help="What to ask, as listed by `abstain tasks`.", show_default=False)
DATA = typer.Option("--data", metavar="FILE", help="Where the questions are: file, folder or hub data set.")
OPTION = typer.Option("--option", metavar="KEY=VALUE", help="An option of the task. May be given again.")
OUT = typer.Option("--out", metavar="DIR", help="Write records, metrics and the table there, and the audit.")
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
AUDIT = typer.Option(
    "--audit", help="Does it answer exactly when it is more than t sure?", rich_help_panel=AUDIT_PANEL
)
START = typer.Option(
    "--start",
    metavar="RUN",
    help="Oracle and audit go by the model that this run began with.",
    rich_help_panel=AUDIT_PANEL,
    show_default=False,
)
SAMPLES = typer.Option(
    "--samples",
    metavar="N",
    min=2,
    help="The audit goes by N sampled answers per question.",
    rich_help_panel=AUDIT_PANEL,
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
    audit: Annotated[bool, AUDIT] = False,
    start: Annotated[Path | None, START] = None,
    samples: Annotated[int | None, SAMPLES] = None,
    judge: Annotated[str | None, JUDGE] = None,
    judge_url: Annotated[str | None, JUDGE_URL] = None,
    judge_prompt: Annotated[Path | None, JUDGE_PROMPT] = None,
    judge_option: Annotated[list[str] | None, JUDGE_OPTION] = None,
    prompt_format: PromptFormat = "auto",
    dtype: DType = "auto",
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Ask a model every question of a task at every confidence target, and print the table.

    [bold]Examples[/bold]
    \b
      abstain eval runs/quickstart-0/model --task factworld
      abstain eval runs/quickstart-0/model --task factworld --audit --start runs/quickstart-0
      abstain eval Qwen/Qwen3-0.6B --task popqa --limit 500 --out results/qwen
      abstain eval my-model --data trivia.csv --option question_column=q
      abstain eval my-model --task popqa --judge qwen3-32b --judge-url http://localhost:8000/v1
    """
    chosen = parse_targets(targets)
    check_audit(audit, chosen, start, samples)
    options = task_options(option or [], data)
    name = task or ("qa" if data else "")
    if not name:
        raise ValueError("nothing to ask: give --task NAME (`abstain tasks` lists them) or --data FILE")
    if out:
        claim_results(out, RESULTS + (AUDIT_RESULTS if audit else ()))
    from abstain.evals.evaluation import evaluate as measure
    from abstain.evals.sampler import Sampler
    from abstain.evals.tables.table import render
    from abstain.evals.tasks.catalogue import describe, load_task
    from abstain.recipes.run.training import load_start

    grader = judge_from(judge, judge_url, judge_prompt, judge_option or [])
    questions, began = load_task(name, **options), None
    if start:
        questions, began = begun_with(start, questions)
    loaded = load_start(
        model, task=name, task_options=options, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code
    )
    say(describe(questions))
    sampler = Sampler(
        loaded.model, loaded.tokenizer, name=loaded.name, prompt_format=prompt_format, batch_tokens=batch_tokens
    )
    found = measure(
        sampler,
        questions,
        [*chosen, 0.0] if audit else chosen,
        start=began,
        limit=limit,
        train_limit=train_limit,
        seed=seed,
        judge=grader,
        progress=on_terminal(),
    )
    if grader:
        say(f"judge {grader.model}: {grader.usage}")
    if out:
        found.save(out)
    console = Console()
    if not audit or format in ("text", "markdown"):
        typer.echo(render([found.metrics], format, width=console.width, color=console.is_terminal), nl=False)
    if audit:
        from abstain.evals.audit.findings import audit_model
        from abstain.evals.audit.tables import render_audit

        audited = audit_model(
            sampler, questions, found, start=began, samples=samples or 0, seed=seed, progress=on_terminal()
        )
        if out:
            audited.save(out)
        text = render_audit(audited.found, format, width=console.width, color=console.is_terminal)
        typer.echo(f"\n{text}" if format in ("text", "markdown") else text, nl=False)


def check_audit(audit: bool, targets: list[float], start: Path | None, samples: int | None) -> None:
    """Refuse options that an audit could not follow, before anything is asked.

    Raises:
        ValueError: in one sentence.
    """
    if samples and not audit:
        raise ValueError("--samples is for --audit, which is not given")
    if samples and start:
        raise ValueError("an audit goes by --samples or by --start, not by both")
    if audit and not any(targets):
        raise ValueError("an audit needs a target above 0, such as --targets 0.5,0.75,0.9")


def begun_with(path: Path, task: "Task") -> "tuple[Task, BaseGuesses]":
    """The questions that a run's starting model was asked too, and its best guesses.

    Raises:
        ValueError: it was asked none of them, or the file there is something else.
        FileNotFoundError: there are no best guesses.
    """
    from abstain.evals.audit.sources import read_start

    start = read_start(path)
    asked = set(start.held_out.ids)
    common = tuple(question for question in task.held_out if question.id in asked)
    if not common:
        raise ValueError(f"{path}: {start.model} was asked none of these questions. Are task and options the same?")
    if missing := len(task.held_out) - len(common):
        say(f"{missing:,} held-out questions are left out: {start.model} was not asked them")
    return replace(task, held_out=common), start


def task_options(settings: list[str], data: str | None) -> dict[str, Any]:
    """The task's options from `--option key=value` and `--data`.

    Example:
        >>> task_options(["held_out=0.5"], "q.csv")
        {'held_out': 0.5, 'data': 'q.csv'}
    """
    return parse_overrides(settings) | ({"data": data} if data is not None else {})
