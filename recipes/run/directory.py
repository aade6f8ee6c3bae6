"""The directory of one run: what lies in it, which stages are complete, and how a file gets there whole or not at all.

runs/quickstart-0/
    recipe.yaml      the recipe as it was run, with seed, versions and commit
    state.json       {"complete": ["before", "sft", "after-sft"], "seconds": 81.5}
    labels/          labels.jsonl, labels.json: what the starting model knew of each question
    before/          records.jsonl, metrics.json, table.md of the model as it is; start.json, what oracles are made of
    format/ sft/ offline/ rl/ checkpoints of the stages; sft/model is the model between them, and records.jsonl,
                     metrics.json, table.md are what was measured of it
    model/           the trained model and its card
    records.jsonl    one row per (question, target), after training
    metrics.json     the numbers, those of all stages among them, and the verdict
    table.md         the table, a row for each stage and target
    report.html      all of it to look at; its plots also lie in plots/
"""

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from abstain.evals.records import write_text
from abstain.recipes.run.recipe import AFTER, BEFORE, FORMAT, LABELS, STAGES, Recipe
from abstain.recipes.run.threads import threads_in_use
from abstain.recipes.run.yaml_lines import read_yaml, write_yaml
from abstain.trainers.checkpoints import whole_checkpoints

SECRET_KEYS = ("hub_token", "api_key", "password", "secret")
"""A key of a recipe that ends so holds what must not be written down again."""
START = "start.json"
"""The best guesses of the model that training begins with, after `format` if there is that stage."""
PACKAGES = ("abstain", "torch", "transformers", "trl", "peft", "accelerate", "datasets", "vllm")


def write_directory(path: Path, fill: Callable[[Path], object]) -> None:
    """`fill` a directory under another name and rename it: `path` is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    fill(temporary)
    shutil.rmtree(path, ignore_errors=True)
    temporary.rename(path)


def made_with(directory: Path) -> dict[str, str]:
    """Versions of the packages that matter, threads, and the git commit of `directory`, as far as there are any."""
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    if threads := threads_in_use():
        found["threads"] = str(threads)  # sums of several round otherwise than those of one
    commit = _git_commit(directory)
    return found | ({"commit": commit} if commit else {})


def _git_commit(directory: Path) -> str:
    """The commit checked out there, with "-dirty" if files differ from it."""
    command = ["git", "-C", str(directory), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def claim(path: Path) -> None:
    """Create the directory and prove that it can be written to, before any work is done.

    Raises:
        OSError: in one sentence, with the path and what to do.
    """
    probe = path / f".probe.{os.getpid()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.write_text("", encoding="utf-8")
        probe.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"cannot write to {path}: {reason}. Choose a directory that you may write to") from None


@contextmanager
def claimed_results(out: Path | None, names: tuple[str, ...]) -> Iterator[None]:
    """Make sure that results can be written there and that none are there already; what fails leaves nothing empty.

    Args:
        out: the directory; none is claimed if there is none.
        names: what will be written.
    """
    if out is None:
        yield
        return
    new = [path for path in (out, *out.parents) if not path.exists()]
    claim(out)
    there = [name for name in names if (out / name).exists()]
    if there:
        raise FileExistsError(f"{out} already holds {', '.join(there)}. Give --out another directory")
    try:
        yield
    except BaseException:
        for path in new:
            with suppress(OSError):  # which holds something by now
                path.rmdir()
        raise


def measurements(run: Path, stages: Sequence[str]) -> dict[str, Path]:
    """Where the records and numbers lie that were measured before the first and after each stage, in that order.

    Example:
        >>> {stage: str(folder) for stage, folder in measurements(Path("run"), ["sft", "rl"]).items()}
        {'before': 'run/before', 'sft': 'run/sft', 'rl': 'run'}
    """
    *inner, last = stages
    return {BEFORE: run / BEFORE, **{stage: run / stage for stage in inner}, last: run}


def start_file(run: Path) -> Path | None:
    """The `start.json` of a run: beside the first measurement, or for now with the one that it was made by."""
    return next((file for folder in (BEFORE, FORMAT) if (file := run / folder / START).exists()), None)


OURS = (".", "recipe.yaml", "state.json")
"""How the names begin of what a run leaves that was killed while it started."""


def strangers(directory: Path, ours: tuple[str, ...] = OURS) -> list[str]:
    """What lies in a directory whose name begins otherwise."""
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith(ours))


def stored_recipe(directory: Path) -> Recipe:
    """The recipe that a run directory was made with."""
    return Recipe.model_validate(read_yaml(directory / "recipe.yaml")[0])


class RunDir:
    """One run directory.

    Args:
        path: where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.complete: list[str] = []
        self.threads: int | None = None  # of the run that is resumed
        self._spent, self._began = 0.0, time.monotonic()
        self._opened = False

    def open(self, recipe: Recipe, *, resume: bool) -> None:
        """Take the directory for this recipe: a new one, or with `resume` the one an earlier run left.

        Raises:
            FileExistsError: there is a run and `resume` is false, or something that is no run.
            ValueError: the earlier run had another recipe; the changed keys are named.
            OSError: it cannot be written to.
        """
        claim(self.path)
        self._opened = True
        if not self._state.exists():
            if others := strangers(self.path):
                raise FileExistsError(
                    f"{self.path} exists and is no run directory (it holds {', '.join(others[:3])}). "
                    "Choose another place with output_dir=DIR"
                )
            return
        if not resume:
            raise FileExistsError(
                f"{self.path} already holds a run. Add --resume to continue it, or choose another place with "
                "output_dir=DIR (or seed=N)"
            )
        state, stored = json.loads(self._state.read_text(encoding="utf-8")), stored_recipe(self.path)
        self.complete, self._spent = list(state["complete"]), float(state.get("seconds") or 0)
        threads = stored.made_with.get("threads", "")
        self.threads = int(threads) if threads.isdecimal() else None
        changed = changed_keys(comparable(stored), comparable(recipe))
        fixed = [f"{key} {change}" for key, change in changed.items() if not self._may_change(key)]
        if fixed:
            raise ValueError(
                f"cannot resume {self.path}: the recipe has changed since ({'; '.join(fixed)}). "
                "Undo the change, or choose another place with output_dir=DIR"
            )
        if changed:
            self._save_recipe(recipe)

    @contextmanager
    def held(self, patience: float = 2.0) -> Iterator[None]:
        """Keep others out while a process trains here: two would overwrite each other's checkpoints.

        The lock is on the directory itself and goes with the process, however that ends.

        Args:
            patience: seconds to wait for a process that is just being killed.

        Raises:
            BlockingIOError: another process is training here.
        """
        opened = os.open(self.path, os.O_RDONLY)
        try:
            until = time.monotonic() + patience
            while not _lock(opened):
                if time.monotonic() > until:
                    raise BlockingIOError(f"another `abstain train` is at work on {self.path}: wait, or stop it")
                time.sleep(0.1)
            try:
                yield
            finally:
                if self._opened and self.started and AFTER not in self.complete:
                    with suppress(OSError):  # of a full disk the caller knows
                        self._save_state()  # how long it took so far
        finally:
            os.close(opened)

    def start(self, recipe: Recipe) -> None:
        """Write down the recipe and that nothing is complete. From here on, a run can be resumed."""
        self._save_recipe(recipe)
        self._save_state()

    @property
    def started(self) -> bool:
        """Whether there is something to resume."""
        return self._state.exists()

    def remove_if_empty(self) -> None:
        """Take back the directory of a run that failed before it started."""
        with suppress(OSError):
            self.path.rmdir()

    def mark_complete(self, step: str) -> None:
        """Remember that a step need not be run again."""
        self.complete.append(step)
        self._save_state()

    @property
    def _state(self) -> Path:
        return self.path / "state.json"

    @property
    def seconds(self) -> float:
        """How long this run has taken, over all the processes that went on with it."""
        return self._spent + time.monotonic() - self._began

    def _save_state(self) -> None:
        state = {"complete": self.complete, "seconds": round(self.seconds, 1)}
        write_text(self._state, json.dumps(state) + "\n")

    def checkpoints(self, stage: str) -> list[Path]:
        """The checkpoints of a stage that can be resumed from."""
        return whole_checkpoints(self.path / stage)

    def _may_change(self, key: str) -> bool:
        """A mistake in a stage that has not begun can be mended without losing those that are complete.

        So can one in how questions are labelled, before they all are.
        """
        stage, _, inside = key.partition(".")
        may = stage in (LABELS, *STAGES) and stage not in self.complete and not self.checkpoints(stage)
        return bool(inside) and may

    def _save_recipe(self, recipe: Recipe) -> None:
        resolved = recipe.model_copy(update={"output_dir": str(self.path), "made_with": made_with(Path.cwd())})
        data = without_secrets(resolved.model_dump(mode="json"))
        write_text(self.path / "recipe.yaml", write_yaml(data))


def seconds_of(path: Path) -> float:
    """How long the run in this directory has taken, over all processes that went on with it; 0 if it has not noted it.

    Example:
        >>> seconds_of(Path("no such run"))
        0.0
    """
    try:
        return float(json.loads((path / "state.json").read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def try_lock(file: IO[Any] | int) -> bool:
    """Take a lock on an open file, which lasts as long as any process has this opening of it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(opened: int) -> bool:
    try:
        return try_lock(opened)
    except OSError:  # a file system without locks: nobody can be kept out
        return True


def comparable(recipe: Recipe) -> dict[str, Any]:
    """The parts of a recipe that must not change between a run and its continuation."""
    return without_secrets(recipe.model_dump(mode="json", exclude={"output_dir", "made_with"}))


def without_secrets(value: Any) -> Any:
    """The same nested data with tokens and passwords struck out.

    Example:
        >>> without_secrets({"args": {"hub_token": "hf_abc", "pad_token": "<pad>"}})
        {'args': {'hub_token': '(not recorded)', 'pad_token': '<pad>'}}
    """
    if isinstance(value, dict):
        return {k: "(not recorded)" if v and k.endswith(SECRET_KEYS) else without_secrets(v) for k, v in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list) else value


def changed_keys(old: Any, new: Any, at: str = "") -> dict[str, str]:
    """Dotted keys whose values differ, and how.

    Example:
        >>> changed_keys({"rl": {"limit": 8, "args": {}}}, {"rl": {"limit": 9, "args": {"beta": 0.1}}})
        {'rl.limit': 'was 8, is 9', 'rl.args.beta': 'was absent, is 0.1'}
    """
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        parts = [changed_keys(old.get(k, "absent"), new.get(k, "absent"), f"{at}.{k}".lstrip(".")) for k in keys]
        return {key: change for part in parts for key, change in part.items()}
    return {} if old == new else {at: f"was {_plain(old)}, is {_plain(new)}"}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
