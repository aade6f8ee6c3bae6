"""`abstain ablate`: every point of a sweep, one table."""

import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from abstain.recipes.cli.options import TableFormat
from abstain.recipes.run.console import on_terminal, say
from abstain.recipes.run.yaml_lines import write_yaml
from abstain.recipes.sweep.config import Sweep, load_sweep

if TYPE_CHECKING:
    from abstain.recipes.sweep.ablation import Ablation, Engine, Source, Watcher
    from abstain.recipes.sweep.directory import SweepDir


EngineName = Literal["local", "ray", "wandb"]


def ablate(
    sweep: Annotated[str, typer.Argument(metavar="SWEEP", help="A YAML file, or the name of a shipped sweep.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes to the base recipe, for all points.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", min=1, help="Points at a time; one per GPU, or per core up to 4.", show_default=False
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a sweep: finished points are kept, failed ones tried again.")
    ] = False,
    engine: Annotated[
        EngineName,
        typer.Option("--engine", metavar="NAME", help="local; ray: a Ray cluster; wandb: print it as a wandb Sweep."),
    ] = "local",
    create: Annotated[bool, typer.Option("--create", help="With --engine wandb: create the sweep there.")] = False,
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Where it goes; runs/NAME by default.", show_default=False)
    ] = "",
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
    loaded = load_sweep(sweep, overrides or [], out)
    if create and engine != "wandb":
        raise ValueError("--create is for --engine wandb")
    if engine == "wandb":
        _wandb(loaded, create)
        return
    from abstain.recipes.sweep.directory import SweepDir
    from abstain.recipes.sweep.progress import watcher

    again = resume_command(sweep, overrides or [], out, engine)
    directory = SweepDir(loaded.path)
    directory.check(resume=resume)
    watch = watcher(on_terminal())
    try:
        with _terminated_as_interrupted():
            ablation = _prepare(loaded, directory, engine, jobs, watch)
            with directory.open(loaded.base, resume=resume):
                try:
                    ablation.run()
                finally:
                    watch.close()
    except (KeyboardInterrupt, OSError) as error:
        if directory.started and not isinstance(error, FileExistsError | BlockingIOError):
            error.add_note(f"To continue: {again}")
        raise
    _finish(ablation, format, again)


def resume_command(sweep: str, overrides: list[str], out: str, engine: str) -> str:
    """The command line that continues this sweep.

    Example:
        >>> resume_command("my sweep.yaml", ["task.people=400"], "", "ray")
        "abstain ablate 'my sweep.yaml' task.people=400 --engine ray --resume"
    """
    where = ["--out", out] if out else []
    how = ["--engine", engine] if engine != "local" else []
    return shlex.join(["abstain", "ablate", sweep, *overrides, *where, *how, "--resume"])


def _prepare(loaded: Sweep, directory: "SweepDir", engine: str, jobs: int | None, watch: "Watcher") -> "Ablation":
    """Check every point, and find out what they share; train a base model if need be."""
    from abstain.recipes.sweep.ablation import Ablation
    from abstain.recipes.sweep.points import Space, load_points
    from abstain.recipes.sweep.search import Grid, Search
    from abstain.recipes.sweep.shared import constant_prefixes, count_prefixes, prepare_bases

    space = Space(loaded)
    if loaded.config.search:
        points = load_points(loaded, filter(space.allows, space.probes()))
        count = constant_prefixes([point.recipe for point in points])
        source: Source = Search(loaded, space, directory, watch.event)
        number = f"{loaded.config.search.trials} trials"
    else:
        points = load_points(loaded, space.grid())
        count, source = count_prefixes([point.recipe for point in points]), Grid(points)
        number = f"{len(points)} points"
    workers, threads, where = _engine(loaded, engine, jobs, len(points))
    say(f"{loaded.config.name}: {number} on {where}: {directory.path}")
    prepare_bases([point.recipe for point in points])
    return Ablation(loaded, directory, workers, source, watch, count=count, threads=threads)


def _engine(loaded: Sweep, engine: str, jobs: int | None, points: int) -> tuple["Engine", int, str]:
    """The engine, the threads of each process, and both in words."""
    if engine == "ray":
        from abstain.recipes.sweep.engines import RayEngine

        return RayEngine(loaded.config.ray, jobs), loaded.config.ray.cpus, "a Ray cluster"
    from abstain.recipes.sweep.engines import LocalEngine, cores, default_jobs, gpus

    devices = gpus()
    jobs = jobs or default_jobs(devices)
    jobs = jobs if loaded.config.search else min(jobs, points)
    threads = max(1, cores() // jobs)
    each = f"{threads} {'thread' if threads == 1 else 'threads'} each" + (", on GPUs" if devices else "")
    return LocalEngine(jobs, devices), threads, f"{jobs} {'worker' if jobs == 1 else 'workers'}, {each}"


def _finish(ablation: "Ablation", format: Any, again: str) -> None:
    from abstain.recipes.sweep.table import sweep_table

    out = Console()
    width = out.width if out.is_terminal else 120
    typer.echo(sweep_table(ablation.directory, ablation.states, format, width), nl=False)
    _report(ablation.directory.path)
    failed = sum(state.status == "failed" for state in ablation.states)
    if failed:
        say(f"{failed} of {len(ablation.states)} points failed; what they said is in {ablation.directory.path}/logs.")
        say(f"To try them again: {again}", whole=True)
        raise typer.Exit(1)


def _report(directory: Path) -> None:
    """A sweep is not lost because a picture cannot be drawn."""
    from abstain.recipes.report.page import write_report

    try:
        say(f"Report: {write_report(directory)}", whole=True)
    except Exception as error:
        say(f"no report: {error}. To try again: abstain report {directory}")


def _wandb(loaded: Sweep, create: bool) -> None:
    from abstain.recipes.sweep.engines import create_sweep, wandb_config

    config = wandb_config(loaded)
    typer.echo(write_yaml(config), nl=False)
    if create:
        say(f"On every machine that shall take part: wandb agent {create_sweep(config)}", whole=True)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """A scheduler's SIGTERM is like Ctrl-C: workers end in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def _interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
