"""`abstain ablate`: every point of a sweep, one table."""

import shlex
from typing import Annotated, Literal

import typer
from rich.console import Console

from abstain.recipes.cli.options import OUT, OVERRIDES, RESUME, TableFormat, option, worded
from abstain.recipes.run.console import say
from abstain.recipes.run.yaml_lines import write_yaml
from abstain.recipes.sweep.config import Sweep, load_sweep

SWEEP = typer.Argument(metavar="SWEEP", help="A YAML file, or the name of a shipped sweep.")
JOBS = typer.Option("--jobs", "-j", min=1, help="Points at a time; one per GPU, or per core up to 4.")
ENGINE = option("--engine", "NAME", "local; ray: a Ray cluster; wandb: print it as a wandb Sweep.")
CREATE = option("--create", None, "With --engine wandb: create the sweep there.")


def ablate(
    sweep: Annotated[str, SWEEP],
    overrides: Annotated[list[str] | None, worded(OVERRIDES, "Changes to the base recipe, for all points.")] = None,
    jobs: Annotated[int | None, JOBS] = None,
    resume: Annotated[
        bool, worded(RESUME, "Go on with a sweep: finished points are kept, failed ones tried again.")
    ] = False,
    engine: Annotated[Literal["local", "ray", "wandb"], ENGINE] = "local",
    create: Annotated[bool, CREATE] = False,
    out: Annotated[str | None, worded(OUT, "Where it goes; runs/NAME by default.")] = None,
    format: TableFormat = "text",
) -> None:
    """Train one recipe many times with different settings, and compare.

    Each point of the sweep gets a run directory, and a process of its own. What points share is computed once.

    [bold]Examples[/bold]
    \b
      abstain ablate thresholds
      abstain ablate thresholds rl.args.max_steps=50 --jobs 2
      abstain ablate my-sweep.yaml --resume --format markdown
      abstain ablate my-sweep.yaml --engine ray
    """
    loaded = load_sweep(sweep, overrides or [], out or "")
    if engine == "wandb":
        _wandb(loaded, create)
        return
    if create:
        raise ValueError("--create is for --engine wandb")
    from abstain.recipes.sweep.start import run_sweep
    from abstain.recipes.sweep.table import sweep_table

    again = resume_command(sweep, overrides or [], out, engine)
    ablation = run_sweep(loaded, engine, jobs, resume=resume, to_continue=again)
    console = Console()
    width = console.width if console.is_terminal else 120
    typer.echo(sweep_table(ablation.directory, ablation.states, format, width), nl=False)
    try:
        from abstain.recipes.report.page import write_report

        say(f"Report: {write_report(loaded.path)}", whole=True)
    except Exception as error:  # a sweep is not lost because a picture cannot be drawn
        say(f"no report: {error}. To try again: abstain report {loaded.path}")
    failed = sum(state.status == "failed" for state in ablation.states)
    if failed:
        say(f"{failed} of {len(ablation.states)} points failed; what they said is in {loaded.path}/logs.")
        say(f"To try them again: {again}", whole=True)
        raise typer.Exit(1)


def resume_command(sweep: str, overrides: list[str], out: str | None, engine: str) -> str:
    """The command line that continues this sweep.

    Example:
        >>> resume_command("my sweep.yaml", ["task.people=400"], None, "ray")
        "abstain ablate 'my sweep.yaml' task.people=400 --engine ray --resume"
    """
    where = ["--out", out] if out else []
    how = ["--engine", engine] if engine != "local" else []
    return shlex.join(["abstain", "ablate", sweep, *overrides, *where, *how, "--resume"])


def _wandb(sweep: Sweep, create: bool) -> None:
    from abstain.recipes.sweep.engines import create_sweep, wandb_config

    config = wandb_config(sweep)
    typer.echo(write_yaml(config), nl=False)
    if create:
        say(f"On every machine that shall take part: wandb agent {create_sweep(config)}", whole=True)
