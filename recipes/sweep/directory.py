"""The directory of a sweep, and what is wrong with a run directory in it.

runs/thresholds/
    sweep.json       name, base, axes, and every point with its settings, status and error
    points/NAME/     a run directory each
    shared/          steps that several points have in common (see `shared.py`)
    logs/NAME.log    all that a point's process printed
    locks/           who is at work on what; a lock goes with the process that holds it
    report.html      all points compared
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from abstain.evals.records import write_text
from abstain.recipes.run.directory import changed_keys, claim, comparable, stored_recipe, strangers, try_lock
from abstain.recipes.run.recipe import AFTER, BEFORE, Recipe, measured_stage
from abstain.recipes.run.task_field import with_whole_paths
from abstain.recipes.sweep.axes import axes_of
from abstain.recipes.sweep.points import Point

Status = Literal["pending", "running", "complete", "failed"]


@dataclass
class PointState:
    """A point, and how far it has come."""

    point: Point
    status: Status = "pending"
    error: str | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Its entry in `sweep.json`."""
        return {
            "name": self.point.name,
            "directory": f"points/{self.point.name}",
            "settings": self.point.shown,
            "seed": self.point.recipe.seed,
            "status": self.status,
            "error": self.error,
            "seconds": round(self.seconds, 1),
        }


class SweepDir:
    """One sweep directory.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    @property
    def base(self) -> Path:
        """The base recipe as it was when the sweep started: the file may be edited while the sweep runs."""
        return self.path / ".base.yaml"

    def point(self, name: str) -> Path:
        """The run directory of a point."""
        return self.path / "points" / name

    def shared(self, name: str) -> Path:
        """The run directory of steps that points share."""
        return self.path / "shared" / name

    def log(self, name: str) -> Path:
        """Where the output of a point's process goes."""
        return self.path / "logs" / f"{name}.log"

    def lock(self, name: str) -> Path:
        """The lock that whoever works on a point holds."""
        return self.path / "locks" / name

    @contextmanager
    def open(self, base: Path, *, resume: bool) -> Iterator[None]:
        """Take the directory: a new one, or with `resume` the one that an earlier sweep left.

        Args:
            base: the base recipe's file, of which a copy is kept while the sweep runs.
            resume: go on with the sweep that is there.

        Raises:
            FileExistsError: there is a sweep and `resume` is false, or something that is no sweep.
            BlockingIOError: another process is at work on it.
            OSError: it cannot be written to.
        """
        claim(self.path)
        self.check(resume=resume)
        for folder in ("points", "logs", "locks"):
            (self.path / folder).mkdir(exist_ok=True)
        with open(self.lock("sweep"), "w", encoding="utf-8") as lock:
            if not try_lock(lock):
                raise BlockingIOError(f"another `abstain ablate` is at work on {self.path}: wait for it, or stop it")
            self._copy_base(base)
            try:
                yield
            finally:
                self.base.unlink(missing_ok=True)

    @property
    def started(self) -> bool:
        """Whether there is something to resume."""
        return (self.path / "sweep.json").exists()

    def check(self, *, resume: bool) -> None:
        """Refuse a directory that may not be taken; see `open`."""
        if self.started and not resume:
            raise FileExistsError(
                f"{self.path} already holds a sweep. Add --resume to continue it: finished points are kept, failed "
                "ones tried again. Or choose another place with --out DIR"
            )
        begun = self.started or not self.path.is_dir()
        if others := [] if begun else strangers(self.path, (".", "sweep.json", "points", "shared", "logs", "locks")):
            raise FileExistsError(
                f"{self.path} exists and is no sweep directory (it holds {', '.join(others[:3])}). Choose another "
                "place with --out DIR"
            )

    def _copy_base(self, base: Path) -> None:
        """For its owner only: a recipe may hold a token."""
        self.base.unlink(missing_ok=True)
        with open(os.open(self.base, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(with_whole_paths(base))

    def save(self, name: str, base: str, states: Iterable[PointState]) -> None:
        """Write `sweep.json`, all or nothing."""
        points = [state.as_json() for state in states]
        content = {
            "name": name,
            "base": base,
            "axes": axes_of(point["settings"] for point in points),
            "points": points,
        }
        write_text(self.path / "sweep.json", json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")

    def stored_points(self) -> list[dict[str, Any]]:
        """The points of an earlier `sweep.json`; none if it cannot be read, for the run directories know better."""
        try:
            return list(json.loads((self.path / "sweep.json").read_text(encoding="utf-8"))["points"])
        except (OSError, ValueError, KeyError, TypeError):
            return []


def complete_steps(path: Path) -> list[str]:
    """The complete steps of a run directory; none if nothing was begun there.

    Raises:
        ValueError: the directory is corrupt; says how.
    """
    if not path.exists():
        return []
    state = path / "state.json"
    if not state.exists():
        if others := strangers(path):
            raise ValueError(f"it has no state.json, but holds {', '.join(others[:3])}")
        return []
    try:
        done = [str(step) for step in json.loads(state.read_text(encoding="utf-8"))["complete"]]
        stored_recipe(path)
        between = [path / stage for step in done if (stage := measured_stage(step))]
        for folder in [path / BEFORE] * (BEFORE in done) + between + [path] * (AFTER in done):
            json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["by_target"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(" ".join(f"{type(error).__name__}: {error}".split())[:300]) from None
    return done


def set_aside(path: Path) -> Path:
    """Rename a directory out of the way, and return its new place."""
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    return path.rename(aside)


def check_same_recipe(path: Path, recipe: Recipe) -> None:
    """Refuse to call a finished run a point of this sweep if it was made with another recipe.

    Raises:
        ValueError: the changed keys.
    """
    changed = changed_keys(comparable(stored_recipe(path)), comparable(recipe))
    if changed:
        what = "; ".join(f"{key} {change}" for key, change in changed.items())
        raise ValueError(
            f"{path} was finished with another recipe ({what}). Undo the change, or choose another place with "
            "--out DIR"
        )
