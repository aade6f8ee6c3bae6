"""`abstain ablate`: every point of a sweep, one table."""

import shlex
from typing import Annotated, Literal

import typer
from rich.console import Console

from abstain.recipes.cli.options import OUT, OVERRIDES, RESUME, AllowCode, TableFormat, option, worded
from abstain.recipes.run.code import admit
from abstain.recipes.run.console import say
from abstain.recipes.run.recipe import Origin, parse_override
from abstain.recipes.run.yaml_lines import write_yaml
from abstain.recipes.sweep.config import Sweep, as_override, load_sweep

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
    allow_code: AllowCode = False,
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
    again = [*_command(sweep, overrides or [], out, engine), *(["--resume"] if resume else [])]
    settings = [parse_override(as_override(key, value))[0] for key, value in loaded.config.settings.items()]
    base = Origin(loaded.base, {}, frozenset(settings))
    admit(loaded.recipe, base, allow=allow_code, command=[*again, "--allow-code"])
    if engine == "wandb":
        _wandb(loaded, create, allow_code)
        return
    if create:
        raise ValueError("--create is for --engine wandb")
    from abstain.recipes.sweep.start import run_sweep
    from abstain.recipes.sweep.table import sweep_table

    to_continue = resume_command(sweep, overrides or [], out, engine, allow_code)
    ablation = run_sweep(loaded, engine, jobs, resume=resume, to_continue=to_continue)
    console = Console()
    width = console.width if console.is_terminal else 120
    typer.echo(sweep_table(ablation.directory, ablation.states, format, width), nl=False)
    try:
        from abstain.recipes.report.page import write_report

        say(f"Report: {write_report(loaded.path)}", whole=True)
    except Exception as error:  # a sweep is not lost because a picture cannot be drawn
        say(f"no report: {error}. To try again: abstain report {loaded.path}")
    failed = [state.point.name for state in ablation.states if state.status == "failed"]
    if failed:
        say(f"{len(failed)} of {len(ablation.states)} points failed; what they said is in {loaded.path}/logs.")
        mend = "" if set(failed) - ablation.repeats else "mend what they said, then: "
        say(f"To try them again: {mend}{to_continue}", whole=True)
        raise typer.Exit(1)


def resume_command(sweep: str, overrides: list[str], out: str | None, engine: str, allow_code: bool = False) -> str:
    """The command line that continues this sweep.

    Example:
        >>> resume_command("my sweep.yaml", ["task.people=400"], None, "ray")
        "abstain ablate 'my sweep.yaml' task.people=400 --engine ray --resume"
    """
    allowed = ["--allow-code"] if allow_code else []
    return shlex.join([*_command(sweep, overrides, out, engine), "--resume", *allowed])


def _command(sweep: str, overrides: list[str], out: str | None, engine: str) -> list[str]:
    where = ["--out", out] if out else []
    how = ["--engine", engine] if engine != "local" else []
    return ["abstain", "ablate", sweep, *overrides, *where, *how]


def _wandb(sweep: Sweep, create: bool, allow_code: bool) -> None:
    from abstain.recipes.sweep.engines import create_sweep, wandb_config

    config = wandb_config(sweep)
    if allow_code:
        config["command"].insert(-1, "--allow-code")
    typer.echo(write_yaml(config), nl=False)
    if create:
        say(f"On every machine that shall take part: wandb agent {create_sweep(config)}", whole=True)
