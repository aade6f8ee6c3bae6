"""A sweep from its file to its last point: all points are checked, what they share is found out, then they run."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from abstain.recipes.run.console import going_on_helps, on_terminal, say
from abstain.recipes.sweep import progress
from abstain.recipes.sweep.ablation import Ablation, Source, Watcher
from abstain.recipes.sweep.config import Sweep
from abstain.recipes.sweep.directory import SweepDir
from abstain.recipes.sweep.engines import choose_engine
from abstain.recipes.sweep.points import Space, load_points
from abstain.recipes.sweep.search import FullGrid, Search
from abstain.recipes.sweep.shared import constant_prefixes, count_prefixes, prepare_bases


def run_sweep(
    sweep: Sweep, engine: Literal["local", "ray"], jobs: int | None, *, resume: bool, to_continue: str
) -> Ablation:
    """Run every point that is not complete.

    Args:
        sweep: what to run.
        engine: where.
        jobs: how many points at a time, by default as many as suit the engine.
        resume: go on with the sweep that is there.
        to_continue: the command line that does so, for whoever interrupts it.

    Raises:
        ValueError, OSError: points that make no sense, or a directory that may not be taken; nothing was begun.
    """
    directory = SweepDir(sweep.path)
    directory.check(resume=resume)
    watch = progress.watcher(on_terminal())
    try:
        with _terminated_as_interrupted():
            ablation = _prepare(sweep, directory, engine, jobs, watch)
            with directory.open(sweep.base, resume=resume):
                try:
                    ablation.run()
                finally:
                    watch.close()
    except (KeyboardInterrupt, OSError) as error:
        if directory.started and going_on_helps(error):
            error.add_note(f"To continue: {to_continue}")
        raise
    return ablation


def _prepare(
    sweep: Sweep, directory: SweepDir, engine: Literal["local", "ray"], jobs: int | None, watch: Watcher
) -> Ablation:
    """Check every point, and find out what they share; train a base model if need be."""
    space = Space(sweep)
    if sweep.config.search:
        points = load_points(sweep, filter(space.allows, space.cover()))
        count = constant_prefixes([point.recipe for point in points])
        source: Source = Search(sweep, space, directory, watch.event)
        number = f"{sweep.config.search.trials} trials"
    else:
        points = load_points(sweep, space.grid())
        count, source = count_prefixes([point.recipe for point in points]), FullGrid(points)
        number = f"{len(points)} points"
    workers, threads, where = choose_engine(sweep, engine, jobs, len(points))
    say(f"{sweep.config.name}: {number} on {where}: {directory.path}")
    prepare_bases([point.recipe for point in points])
    return Ablation(sweep, directory, workers, source, watch, count=count, threads=threads)


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
