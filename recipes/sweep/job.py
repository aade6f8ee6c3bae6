"""One piece of a sweep's work: a process that runs a point, or steps that points share. Engines call `perform`.

Whoever works on a run directory holds its lock. The process inherits it, so that the lock lasts exactly as long as the
work: if whatever started the process dies, no other worker begins the same point while the orphan is still at it.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO

from abstain.recipes.run.directory import RunDir, try_lock
from abstain.recipes.run.recipe import load_recipe
from abstain.recipes.sweep.config import as_override
from abstain.recipes.sweep.directory import complete_steps, set_aside
from abstain.recipes.sweep.shared import take_over

PATIENCE = 30.0
"""Seconds between asking a process to stop and killing it."""
FULL = ("No space left on device", "Disk quota exceeded")
AGAIN = ("--resume", "--allow-code")
"""Options of a point's process: whoever began the sweep was told of its code, and let it run."""
REFUSED = 2
"""The exit code of a process that was given bad input; with a word on how to continue it is something else."""
SPARE = 1 << 20
"""Bytes; with less than this free a disk is full, whatever the library that could not write has said."""


@dataclass(frozen=True)
class Job:
    """What to run, and where. Plain data: it may be sent to another machine.

    Args:
        name: of the point, or of the shared steps.
        directory: the run directory.
        base: the base recipe's file.
        overrides: `key=value`, without `output_dir`.
        steps: it is done when these are complete.
        until: run only up to this step; all of them if "".
        source: a run directory from which the first steps are taken, if any.
        source_steps: those steps.
        log, lock: files of this job.
        threads: for the process.
    """

    name: str
    directory: Path
    base: Path
    overrides: tuple[str, ...]
    steps: tuple[str, ...]
    until: str
    source: Path | None
    source_steps: tuple[str, ...]
    log: Path
    lock: Path
    threads: int

    @property
    def command(self) -> list[str]:
        """The process's command line."""
        settings = [*self.overrides, as_override("output_dir", str(self.directory))]
        if self.until:
            return [sys.executable, "-m", "abstain.recipes.sweep.shared", str(self.base), self.until, *settings]
        return [sys.executable, "-m", "abstain.recipes.cli", "train", str(self.base), *settings, *AGAIN]


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Args:
        error: what went wrong; None if it is done.
        notes: what a person should know all the same.
        seconds: of work; 0 if it was done before.
        disk_full: others will fail of the same.
        repeats: to try again as it is would end here again: the recipe was refused.
    """

    error: str | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    disk_full: bool = False
    repeats: bool = False


def perform(job: Job, environment: Mapping[str, str] | None = None, stop: Event | None = None) -> Outcome:
    """Do a job, unless it is done; wait for whoever is at it already. Errors come back, they are not raised.

    Args:
        job: what to do.
        environment: variables for its process, over this process's own.
        stop: set by another thread to have the process interrupted.
    """
    try:
        job.lock.parent.mkdir(parents=True, exist_ok=True)
        with open(job.lock, "w", encoding="utf-8") as lock:
            while not try_lock(lock):
                if stop and stop.wait(0.5):
                    return Outcome("interrupted")
                if not stop:
                    time.sleep(0.5)
            return _perform(job, lock, dict(environment or {}), stop or Event())
    except (OSError, ValueError) as error:
        return _failed(job, str(error))


def _perform(job: Job, lock: IO[str], environment: dict[str, str], stop: Event) -> Outcome:
    notes: tuple[str, ...] = ()
    try:
        done = complete_steps(job.directory)
    except ValueError as error:
        aside = set_aside(job.directory)
        notes, done = (f"{job.directory} was corrupt ({error}): kept as {aside.name}, and run again",), []
    if set(job.steps) <= set(done):
        return Outcome(notes=notes)
    if job.source:
        recipe, _ = load_recipe(str(job.base), [*job.overrides, as_override("output_dir", str(job.directory))])
        directory = RunDir(job.directory)
        directory.open(recipe, resume=True)
        take_over(job.source, directory, recipe, job.source_steps)
    start, said_before = time.monotonic(), job.log.stat().st_size if job.log.exists() else 0
    code = _run(job, lock, environment, stop)
    seconds = time.monotonic() - start
    if code == 0:
        return Outcome(notes=notes, seconds=seconds)
    refused = code == REFUSED and "\nTo continue: " not in tail(job.log, said_before)
    return _failed(job, what_went_wrong(job.log, code, said_before), notes, seconds, refused)


def _failed(job: Job, error: str, notes: tuple[str, ...] = (), seconds: float = 0.0, repeats: bool = False) -> Outcome:
    full = any(words in error for words in FULL)
    with suppress(OSError):
        full = full or shutil.disk_usage(job.log.parent).free < SPARE
    return Outcome(error, notes, seconds, full, repeats and not full)


def _run(job: Job, lock: IO[str], environment: dict[str, str], stop: Event) -> int:
    threads = {name: str(job.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    quiet = {"TQDM_MININTERVAL": "5", "PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with open(job.log, "ab") as log:
        process = subprocess.Popen(
            job.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | threads | quiet | environment,
            pass_fds=[lock.fileno()],
            start_new_session=True,  # Ctrl-C at the terminal reaches the sweep alone, which then stops its workers
        )
    try:
        while process.poll() is None and not stop.wait(0.1):
            pass
    finally:  # also when this thread is itself interrupted
        end(process)
    return process.returncode


def end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a process and all that it started, and kill what does not end within `PATIENCE`."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)


def what_went_wrong(log: Path, code: int, start: int = 0) -> str:
    """The reason why a process failed, as its log has it.

    Args:
        log: its output.
        code: its exit code; negative for a signal.
        start: bytes in the log that earlier processes wrote.
    """
    if code < 0:
        name = signal.Signals(-code).name
        why = "; the system does so when memory runs out" if name == "SIGKILL" else ""
        return f"its process was killed by {name}{why}"
    lines = [line for line in re.split(r"[\r\n]+", tail(log, start)) if line.strip()]
    starts = [index for index, line in enumerate(lines) if line.startswith("error: ")]
    if not starts:
        return lines[-1] if lines else f"its process ended with exit code {code} and said nothing"
    said = [line for line in lines[starts[-1] :] if not _is_advice(line)]
    return "\n".join(said).removeprefix("error: ")


def _is_advice(line: str) -> bool:
    """Whether this line says how to go on with the run, which the sweep does by itself."""
    return line.startswith("To continue: ") or line.endswith("--resume to go on.")


def tail(log: Path, start: int = 0) -> str:
    """The last few kilobytes of a log, none of them from before `start`; "" if there is no log."""
    try:
        with open(log, "rb") as file:
            file.seek(max(start, file.seek(0, os.SEEK_END) - 8192))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
