"""`abstain train`: all the stages of a recipe, then the evaluation."""

import os
import shlex
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from abstain.recipes.cli.options import OVERRIDES, RESUME, AllowCode, worded
from abstain.recipes.run.code import admit, is_own, remember
from abstain.recipes.run.console import going_on_helps, say
from abstain.recipes.run.directory import RunDir
from abstain.recipes.run.launch import launcher
from abstain.recipes.run.recipe import load_recipe
from abstain.recipes.run.threads import settle_threads

RECIPE = typer.Argument(metavar="RECIPE", help="A YAML file, a shipped recipe by name, or hf:ORG/NAME from the hub.")
LAUNCH = typer.Option(
    metavar="CONFIG",
    help="Train in several processes: a configuration file of accelerate, or cpu, multi_gpu, zero2, zero3, fsdp2.",
)
PROCESSES = typer.Option(metavar="N", min=1, help="How many, with --launch; as CONFIG says by default.")


def train(
    recipe: Annotated[str, RECIPE],
    overrides: Annotated[list[str] | None, worded(OVERRIDES, "Changes to the recipe, as in seed=1.")] = None,
    resume: Annotated[bool, worded(RESUME, "Continue an interrupted run from its last checkpoint.")] = False,
    launch: Annotated[str | None, LAUNCH] = None,
    processes: Annotated[int | None, PROCESSES] = None,
    allow_code: AllowCode = False,
) -> None:
    """Train a model by a recipe, and measure it before and after each stage.

    The model, the answers and the table go to runs/NAME-SEED, or where output_dir says.

    [bold]Examples[/bold]
    \b
      abstain train quickstart
      abstain train quickstart seed=1 rl.args.learning_rate=1e-5
      abstain train my.yaml --resume
      abstain train my.yaml --launch multi_gpu --processes 4
      abstain train hf:ORG/NAME --allow-code
    """
    changes = overrides or []
    loaded, origin = load_recipe(recipe, changes)
    again = ["abstain", "train", recipe, *changes, *(["--resume"] if resume else []), *_launching(launch, processes)]
    allowed = allow_code or (resume and is_own(loaded))
    admit(loaded, origin, allow=allowed, command=[*again, "--allow-code"])
    _refuse_many_processes()
    if processes and not launch:
        raise ValueError("--processes goes with --launch CONFIG, which says how to start them")
    launched = launcher(launch, processes, recipe, changes) if launch else None
    directory = RunDir(loaded.run_path)
    directory.open(loaded, resume=resume)
    start = time.monotonic()
    with directory.held():
        try:
            from abstain.recipes.report.page import write_report
            from abstain.recipes.run.checks import check_recipe
            from abstain.recipes.run.steps import Run

            check_recipe(loaded, origin)
            remember(loaded)
            settle_threads(directory.threads)
            say(f"{loaded.name}, seed {loaded.seed}: {directory.path}")
            run = Run(loaded, directory, say=say, progress=True, launch=launched, report=write_report)
            run.run()
        except BaseException as error:
            if directory.started and going_on_helps(error):
                error.add_note(f"To continue: {resume_command(recipe, changes, launch, processes)}")
            elif directory.complete and not getattr(error, "repeats", False):
                error.add_note(f"{', '.join(directory.complete)} are kept: mend this, and add --resume to go on.")
            else:
                directory.remove_if_empty()
            raise
    say(f"Done in {round(time.monotonic() - start)} s: {directory.path}")
    out = Console(highlight=False)
    typer.echo(run.table(width=out.width, color=out.is_terminal), nl=False)
    if sentences := run.conclusion:
        verdict = Text.assemble("\n", (sentences[0], "bold"), *(f" {one}" for one in sentences[1:]))
        out.print(verdict, soft_wrap=not out.is_terminal)
    if (page := directory.path / "report.html").exists():
        say(f"Report: {page}", whole=True)
    say(f"Try it: abstain ask {shlex.quote(str(directory.path / 'model'))} 'a question'", whole=True)


def resume_command(recipe: str, overrides: list[str], launch: str | None = None, processes: int | None = None) -> str:
    """The command line that continues this run.

    Example:
        >>> resume_command("my.yaml", ["eval.targets=[0, 0.9]"])
        "abstain train my.yaml 'eval.targets=[0, 0.9]' --resume"
    """
    return shlex.join(["abstain", "train", recipe, *overrides, "--resume", *_launching(launch, processes)])


def _launching(launch: str | None, processes: int | None) -> list[str]:
    options = ["--launch", launch] if launch else []
    return options + (["--processes", str(processes)] if processes else [])


def _refuse_many_processes() -> None:
    """Several processes would evaluate, and write to the run directory, all at once."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            "abstain starts its processes itself: abstain train RECIPE --launch CONFIG, without a launcher around it"
        )
