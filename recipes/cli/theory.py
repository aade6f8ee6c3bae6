"""`abstain theory`: what the theory of hallucinations says of a model, measured."""

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from abstain.recipes.cli.endpoint import Served, load
from abstain.recipes.cli.options import (
    MEASURING,
    OUT,
    SEED,
    Card,
    Data,
    DType,
    Instructed,
    PromptFormat,
    Revision,
    TableFormat,
    Task,
    TaskOptions,
    TrustRemoteCode,
    asked_as_trained,
    card_of,
    option,
    parse_target,
    task_named,
    worded,
)
from abstain.recipes.run.console import say
from abstain.recipes.run.directory import claimed_results
from abstain.rewards.endpoint.client import PREFIX
from abstain.rewards.named import is_named

RESULTS = ("theory.json", "theory.md")
MODEL = typer.Argument(
    metavar="MODEL", help="A model, as for `abstain eval`, or the directory of a run: its model on its task."
)
LIMIT = option("--limit", "N", "Look at N of the held-out questions.", MEASURING, min=1)
TARGET = option("--target", "T", "Confidence target that the prompts state; 0 asks for the best guess.", MEASURING)
TO = worded(OUT, "Write theory.json and theory.md there; a run's are written into the run.")


def theory(
    model: Annotated[str, MODEL],
    task: Task = None,
    data: Data = None,
    task_option: TaskOptions = None,
    out: Annotated[Path | None, TO] = None,
    format: TableFormat = "text",
    limit: Annotated[int, LIMIT] = 200,
    target: Annotated[str, TARGET] = "0",
    seed: Annotated[int, worded(SEED, "Draws the questions.", MEASURING)] = 0,
    prompt_format: PromptFormat = "auto",
    instruct: Instructed = None,
    card: Card = None,
    dtype: DType = "auto",
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Measure what *Why Language Models Hallucinate* proves, on a model and questions of listed answers.

    Error rate, errors of Is-It-Valid, miscalibration and the bound between them; in a fact world also
    singleton rate, and missing mass where its mentions are drawn. Every number says what it means and
    what it does not.

    [bold]Examples[/bold]
    \b
      abstain theory runs/quickstart-0
      abstain theory factworld --task factworld --option people=8000 --option held_out=2000
      abstain theory Qwen/Qwen3-0.6B --task geo --limit 100 --format json
      abstain report runs/quickstart-0            # which then has a section of it
    """
    t = parse_target(target)
    if model.startswith(PREFIX):
        raise ValueError("nobody behind an endpoint tells the probability of an answer that it did not give")
    run = _run_of(model)
    where = run if run and out is None and not (task or data) else out
    name, options = _task_of(run, task, data, task_option)
    from abstain.evals.records import write_text
    from abstain.evals.tasks.catalogue import load_task
    from abstain.evals.theory.measuring import closed_answers, measure_theory
    from abstain.evals.theory.tables import render_theory

    with claimed_results(where if where != run else None, RESULTS):
        questions = load_task(name, **options)
        closed_answers(questions)  # what is no list is said before a model is loaded
        loaded = load(
            str(run / "model") if run else model,
            task=name,
            task_options=options,
            dtype=dtype,
            revision=revision,
            trust_remote_code=trust_remote_code,
        )
        assert not isinstance(loaded, Served), "refused above"
        how = asked_as_trained(
            card_of(card, loaded, revision),
            questions,
            {*options},
            name=loaded.name,
            prompt_format=prompt_format,
            instruct=instruct,
            targets=[t],
        )
        found = measure_theory(
            loaded.model,
            loaded.tokenizer,
            how.task,
            name=loaded.name,
            target=t,
            instruct=how.instruct,
            limit=limit,
            prompt_format=how.prompt_format,
            seed=seed,
            progress=True,
        )
        if where:
            write_text(where / RESULTS[0], json.dumps(found, indent=2) + "\n")
            write_text(where / RESULTS[1], render_theory(found, "markdown"))
    console = Console()
    typer.echo(render_theory(found, format, width=console.width, color=console.is_terminal), nl=False)
    if where:
        say(f"written to {where}")


def _run_of(model: str) -> Path | None:
    """The directory of a run that somebody names in place of a model."""
    folder = Path(model)
    is_run = (folder / "recipe.yaml").is_file() and not (folder / "config.json").is_file()
    if is_run and not (folder / "model").is_dir():
        raise FileNotFoundError(
            f"{model} is a run without a model yet: abstain train {shlex.quote(str(folder / 'recipe.yaml'))} --resume"
        )
    return folder if is_run else None


def _task_of(
    run: Path | None, task: str | None, data: str | None, settings: list[str] | None
) -> tuple[str, dict[str, Any]]:
    """The task that the command line names, or that of the run."""
    if run is None or task or data:
        return task_named(task, data, settings)
    from abstain.recipes.run.recipe import load_recipe, parse_overrides

    recipe, _ = load_recipe(str(run / "recipe.yaml"))
    asked = recipe.eval.task or recipe.task
    if is_named(asked.name):  # its code runs only where somebody types its name
        raise ValueError(f"{run} asks a task of somebody's own: give --task {asked.name}")
    return asked.name, {**asked.options, **parse_overrides(settings or [])}
