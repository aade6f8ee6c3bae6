"""`abstain train`: all the stages of a recipe, then the evaluation."""

import os
import shlex
import time
from typing import Annotated

import typer
from rich.console import Console

from abstain.recipes.console import on_terminal, say
from abstain.recipes.recipe import load_recipe
from abstain.recipes.rundir import RunDir

RECIPE = typer.Argument(metavar="RECIPE", help="A YAML file, or the name of a shipped recipe.")
OVERRIDES = typer.Argument(metavar="KEY=VALUE", help="Changes to the recipe, as in seed=1.")
RESUME = typer.Option("--resume", help="Continue an interrupted run from its last checkpoint.")


def train(
    recipe: Annotated[str, RECIPE],
    overrides: Annotated[list[str] | None, OVERRIDES] = None,
    resume: Annotated[bool, RESUME] = False,
) -> None:
    """Train a model by a recipe, and measure it before and after.

    The model, the answers and the table go to runs/NAME-SEED, or where output_dir says.

    [bold]Examples[/bold]
    \b
      abstain train quickstart
      abstain train quickstart seed=1 rl.args.learning_rate=1e-5
      abstain train my.yaml --resume
    """
    changes = overrides or []
    loaded, origin = load_recipe(recipe, changes)
    _refuse_many_processes()
    directory = RunDir(loaded.run_path)
    directory.open(loaded, resume=resume)
    start = time.monotonic()
    try:
        from abstain.recipes.recipe_checks import check_recipe
        from abstain.recipes.run import Run

        check_recipe(loaded, origin)
        say(f"{loaded.name}, seed {loaded.seed}: {directory.path}")
        run = Run(loaded, directory, say=say, progress=on_terminal())
        run.run()
    except BaseException as error:
        if directory.started:
            error.add_note(f"To continue: {resume_command(recipe, changes)}")
        else:
            directory.remove_if_empty()
        raise
    say(f"Done in {round(time.monotonic() - start)} s: {directory.path}")
    out = Console()
    typer.echo(run.table(width=out.width, color=out.is_terminal), nl=False)
    say(f"Try it: abstain ask {shlex.quote(str(directory.path / 'model'))} 'a question'", whole=True)


def resume_command(recipe: str, overrides: list[str]) -> str:
    """The command line that continues this run.

    Example:
        >>> resume_command("my.yaml", ["eval.targets=[0, 0.9]"])
        "abstain train my.yaml 'eval.targets=[0, 0.9]' --resume"
    """
    return shlex.join(["abstain", "train", recipe, *overrides, "--resume"])


def _refuse_many_processes() -> None:
    """Several processes would evaluate, and write to the run directory, all at once."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError("a recipe runs in one process; start it without a launcher, or with --num_processes 1")
