"""Runs a sweep: starts what is ready, takes note of what has finished, and leaves everything resumable.

Which process runs where is the engine's business; what is complete, the run directories know. `sweep.json` follows.
"""

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from typing import Protocol

from abstain.recipes.run.directory import seconds_of
from abstain.recipes.run.recipe import AFTER
from abstain.recipes.sweep.config import Sweep
from abstain.recipes.sweep.directory import PointState, SweepDir, check_same_recipe, complete_steps
from abstain.recipes.sweep.job import Job, Outcome
from abstain.recipes.sweep.points import Point
from abstain.recipes.sweep.shared import shared_overrides, shared_prefixes


@dataclass(frozen=True)
class Task:
    """A job in its place.

    Args:
        job: what to run.
        needs: the name of the job that must be done before, if any.
        state: of the point; None for steps that points share.
    """

    job: Job
    needs: str | None
    state: PointState | None


def tasks_of(state: PointState, directory: SweepDir, count: Mapping[str, int], threads: int) -> list[Task]:
    """The jobs that lead to a point, those it shares with others first.

    Args:
        state: the point.
        directory: of the sweep.
        count: how many points have each prefix in common.
        threads: for each process.
    """
    point, found = state.point, list[Task]()
    for prefix in (*shared_prefixes(point.recipe, count), None):  # None: the point itself
        previous = found[-1].job if found else None
        name = prefix.name if prefix else point.name
        job = Job(
            name=name,
            directory=directory.shared(name) if prefix else directory.point(name),
            base=directory.base,
            overrides=(*point.overrides, *(shared_overrides(point.recipe, prefix) if prefix else ())),
            steps=prefix.steps if prefix else tuple(point.recipe.steps),
            until=prefix.steps[-1] if prefix else "",
            source=previous.directory if previous else None,
            source_steps=previous.steps if previous else (),
            log=directory.log(name),
            lock=directory.lock(name),
            threads=threads,
        )
        found.append(Task(job, previous.name if previous else None, None if prefix else state))
    return found


class Engine(Protocol):
    """Where jobs run."""

    def capacity(self) -> int:
        """How many jobs may be submitted at a time."""

    def submit(self, job: Job) -> None:
        """Start a job, or queue it."""

    def finished(self) -> list[tuple[Job, Outcome]]:
        """Jobs that have ended since the last call. Waits a moment for one."""

    def stop(self) -> None:
        """Interrupt all jobs, and wait until they have ended."""


class Source(Protocol):
    """Where points come from."""

    def more(self, room: int) -> list[Point]:
        """The next points, if there are more and room for more jobs. Called until it has none."""

    def told(self, state: PointState) -> None:
        """A point is complete, or has failed."""


class Watcher(Protocol):
    """Who tells the person at the terminal."""

    def event(self, text: str) -> None:
        """Something happened that must not scroll away."""

    def update(self, ablation: "Ablation") -> None:
        """Called several times a second."""


class DiskFull(OSError):
    """No point can be run any more."""

    repeats = False
    """Not with more room."""


@dataclass(eq=False)
class Ablation:
    """A sweep on its way.

    Args:
        sweep: what to run.
        directory: opened for it.
        engine: where the jobs run.
        source: of the points.
        watcher: is told what happens.
        count: how many points have each prefix in common (`abstain.recipes.sweep.shared.count_prefixes`).
        threads: for each process.
    """

    sweep: Sweep
    directory: SweepDir
    engine: Engine
    source: Source
    watcher: Watcher
    _: KW_ONLY
    count: Mapping[str, int]
    threads: int

    def __post_init__(self) -> None:
        self.states: list[PointState] = []
        self.running: dict[str, Task] = {}
        self.disk_full = False
        self._waiting: dict[str, Task] = {}
        self._done: set[str] = set()
        self._errors: dict[str, str] = {}
        self._seconds = {point["name"]: float(point.get("seconds") or 0) for point in self.directory.stored_points()}
        self.repeats: set[str] = set()  # jobs that would fail again as they are

    def run(self) -> None:
        """Run all points that are not complete.

        Raises:
            OSError: the disk is full; what is complete is kept.
            ValueError: a complete point was run with another recipe.
            KeyboardInterrupt: after every worker has ended.
        """
        try:
            while self._advance():
                self.watcher.update(self)
        except BaseException as error:
            if self.running:
                self.watcher.event(f"Stopping {len(self.running)} workers; what they have done is kept.")
            self.engine.stop()
            self._give_back()
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._full() from None
            raise
        if self.disk_full:
            raise self._full()

    def _advance(self) -> bool:
        """One round; False when there is nothing left to wait for."""
        for job, outcome in self.engine.finished():
            self._end(self.running.pop(job.name), outcome)
            self._save()
        if not self.disk_full:
            self._ask()
            self._start()
        return bool(self.running)

    def _ask(self) -> None:
        known = len(self.states)
        while points := self.source.more(self.engine.capacity() - len(self.running) - len(self._waiting)):
            for point in points:
                self._add(PointState(point, seconds=self._seconds.get(point.name, 0.0)))
        if len(self.states) > known:
            self._save()

    def _add(self, state: PointState) -> None:
        self.states.append(state)
        if self._is_complete(state):
            state.status = "complete"
            state.seconds = max(state.seconds, self._recorded(state))  # of a sweep that was killed before it noted it
            self.source.told(state)
            return
        for task in tasks_of(state, self.directory, self.count, self.threads):
            if task.job.name not in self._done | self.running.keys() | self._errors.keys():
                self._waiting.setdefault(task.job.name, task)

    def _is_complete(self, state: PointState) -> bool:
        path = self.directory.point(state.point.name)
        try:
            complete = AFTER in complete_steps(path)
        except ValueError:  # corrupt: whoever runs it will say so, and set it aside
            return False
        if complete:
            check_same_recipe(path, state.point.recipe)
        return complete

    def _start(self) -> None:
        for name, task in list(self._waiting.items()):
            if task.needs in self._errors:
                del self._waiting[name]
                said = f"the steps that it shares with others failed: {self._errors[task.needs]}"
                self._end(task, Outcome(said, repeats=task.needs in self.repeats))
                self._save()
            elif (task.needs is None or task.needs in self._done) and len(self.running) < self.engine.capacity():
                self.running[name] = self._waiting.pop(name)
                if task.state:
                    task.state.status = "running"
                    self._save()
                self.engine.submit(task.job)

    def _end(self, task: Task, outcome: Outcome) -> None:
        for note in outcome.notes:
            self.watcher.event(note)
        if outcome.error is None:
            self._done.add(task.job.name)
        else:
            self._errors[task.job.name] = outcome.error
            self.disk_full |= outcome.disk_full
            if outcome.repeats:
                self.repeats.add(task.job.name)
        if task.state:
            task.state.status = "failed" if outcome.error else "complete"
            task.state.error = outcome.error
            task.state.seconds = max(task.state.seconds + outcome.seconds, self._recorded(task.state))
            self.source.told(task.state)
            self.watcher.event(self._summary(task.state))

    def _recorded(self, state: PointState) -> float:
        """The seconds that a run has noted itself, those of interrupted processes among them."""
        return seconds_of(self.directory.point(state.point.name))

    def _summary(self, state: PointState) -> str:
        ended = sum(one.status in ("complete", "failed") for one in self.states)
        how = f"failed: {state.error}" if state.error else f"done in {state.seconds:.0f} s"
        return f"[{ended}/{len(self.states)}] {state.point.name} {how}"

    def _give_back(self) -> None:
        """Whatever was running can be resumed."""
        for state in self.states:
            if state.status == "running":
                state.status = "pending"
        with suppress(OSError):  # a full disk, of which the caller knows; the run directories are what counts
            self._save()

    def _save(self) -> None:
        self.directory.save(self.sweep.config.name, self.sweep.config.base, self.states)

    def _full(self) -> "DiskFull":
        return DiskFull(
            f"the disk of {self.directory.path} is full ({os.strerror(errno.ENOSPC)}). Nothing that was finished is "
            "lost: free some space and continue"
        )
