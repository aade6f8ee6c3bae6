"""What the directory of a run or of a sweep holds, as far as it can be read: a report says what is not there, too.

Nothing here fails because a run is unfinished or a file is damaged; that is noted in `missing` and `broken`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from abstain.evals.audit.sources import read_start
from abstain.evals.conclusion import labels
from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.metrics.schema import Metrics, number, read_metrics
from abstain.evals.records import Record, read_json, read_records
from abstain.evals.theory.tables import FILE as THEORY
from abstain.evals.theory.tables import read_theory
from abstain.recipes.run.directory import measurements, without_secrets
from abstain.recipes.run.recipe import STAGES
from abstain.recipes.run.yaml_lines import read_yaml
from abstain.recipes.sweep.axes import axes_of, is_seed
from abstain.recipes.sweep.ranking import PointData, Ranking, in_words, ranked
from abstain.rewards.errors import nearest

MARKS = ("state.json", "recipe.yaml", "metrics.json", "records.jsonl")
SWEEP = "sweep.json"
DONE, FAILED = "complete", "failed"
"""Points of a sweep."""
Found = TypeVar("Found")


@dataclass
class RunData:
    """A run, a part of one, or the results of `abstain eval`.

    Args:
        path: the directory.
        recipe: as it was run, without secrets; empty if there is none.
        metrics: by "before", the stages between, and "after", as far as they were measured.
        records: by "before" and "after".
        start: the starting model's best guesses.
        theory: what `abstain theory` measured of the trained model; empty if nobody asked.
        stages: the `trainer_state.json` of each, with the curves of training.
        missing: what an unfinished run has not got to, in sentences.
        broken: files that cannot be read, and why.
    """

    path: Path
    recipe: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Metrics] = field(default_factory=dict)
    records: dict[str, list[Record]] = field(default_factory=dict)
    start: BaseGuesses | None = None
    theory: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    @property
    def names(self) -> dict[str, str]:
        """What each of `metrics` is called."""
        last = next((stage for stage in reversed(STAGES) if self.recipe.get(stage) is not None), "")
        stages = [last if label == "after" and last else label for label in self.metrics]
        return dict(zip(self.metrics, labels(stages), strict=True))

    @property
    def conclusion(self) -> Mapping[str, Any]:
        """The verdict on the run; empty if it has none that can be read."""
        found = self.metrics.get("after", {}).get("conclusion") or {}
        whole = isinstance(found.get("words"), str) and isinstance(found.get("further"), list)
        return found if whole else {}

    def read(self, path: Path, reader: Callable[[Path], Found]) -> Found | None:
        """What the reader makes of a file; `None` if there is none, or if it is damaged, which is then noted."""
        try:
            return reader(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error) or "nested too deep"
            name = str(path.relative_to(self.path))
            self.broken.append(f"{name}: {str(reason).removeprefix(f'{path}: ').replace(str(path), name)}")
        return None


def find_directory(path: Path) -> bool:
    """Whether a directory is a sweep (true) or a run (false).

    Raises:
        FileNotFoundError: no such directory, with the nearest name beside it.
        ValueError: it is neither.
    """
    if not path.is_dir():
        beside = [one.name for one in path.parent.glob("*") if one.is_dir()] if path.parent.is_dir() else []
        hint = f" {nearest(path.name, sorted(beside)[:20])}" if beside else ""
        raise FileNotFoundError(f"no run or sweep directory '{path}'.{hint}")
    if (path / SWEEP).exists():
        return True
    if not any((path / mark).exists() for mark in MARKS):
        inside = sorted({one.parent for mark in (SWEEP, *MARKS[:3]) for one in path.glob(f"*/{mark}")})
        hint = f". Did you mean {' or '.join(map(str, inside[:4]))}?" if inside else ""
        raise ValueError(f"{path} is neither a run nor a sweep: it has none of {', '.join((SWEEP, *MARKS))}{hint}")
    return False


def read_run(path: Path) -> RunData:
    """All that a report shows of a run directory, or of the directory that `abstain eval --out` wrote."""
    run = RunData(path)
    run.recipe = run.read(path / "recipe.yaml", _recipe) or {}
    stages = [stage for stage in STAGES if run.recipe.get(stage) is not None]
    for stage, folder in measurements(path, stages or ["after"]).items():
        label = "after" if folder == path else stage
        if (metrics := run.read(folder / "metrics.json", read_metrics)) is not None:
            run.metrics[label] = metrics
        if label in ("before", "after") and (found := run.read(folder / "records.jsonl", _records)):
            run.records[label] = found
    run.start = run.read(path / "before" / "start.json", read_start)
    run.theory = run.read(path / THEORY, read_theory) or {}
    for stage in STAGES:
        if (state := _latest_state(run, stage)) is not None:
            run.stages[stage] = state
    run.missing = _missing(run)
    return run


def _records(path: Path) -> list[Record]:
    records = read_records(path)
    for place, record in enumerate(records, 1):
        if not isinstance(record.id, str):
            raise ValueError(f"{path}: record {place}: id {str(record.id)[:40]!r} is not text")
    return records


def _recipe(path: Path) -> dict[str, Any]:
    return dict(without_secrets(read_yaml(path)[0]))


def _trainer_state(path: Path) -> dict[str, Any]:
    data = read_json(path)
    if not isinstance(data, dict) or not isinstance(data.get("log_history"), list):
        raise ValueError(f"{path}: not a trainer's state: it lacks the list log_history")
    return data


def _latest_state(run: RunData, stage: str) -> dict[str, Any] | None:
    """The state that a finished stage left, or that of its last checkpoint."""
    folder = run.path / stage
    steps = {int(name): one for one in folder.glob("checkpoint-*") if (name := one.name.split("-")[1]).isdecimal()}
    for place in (folder, *(steps[step] for step in sorted(steps, reverse=True))):
        if (state := run.read(place / "trainer_state.json", _trainer_state)) is not None:
            return state
    return None


def _missing(run: RunData) -> list[str]:
    """What a run that was started has not done yet."""
    state = run.read(run.path / "state.json", read_json)
    if not run.recipe and state is None:
        return []  # results of `abstain eval`
    done = state.get("complete", []) if isinstance(state, dict) else []
    steps = [stage for stage in STAGES if run.recipe.get(stage) is not None]
    found = [] if "before" in done else ["The starting model has not been measured."]
    found += [_progress(run, stage) for stage in steps if stage not in done]
    return found + ([] if "after" in done else ["The trained model has not been measured."])


def _progress(run: RunData, stage: str) -> str:
    state = run.stages.get(stage, {})
    step, last = number(state.get("global_step")), number(state.get("max_steps"))
    if step is None or last is None:
        return f"Training stage {stage} has not got to its first checkpoint."
    return f"Training stage {stage} is not finished: {step:,} of {last:,} steps at the last checkpoint."


# Sweeps: their points, and what those that finished have measured.


@dataclass
class SweepData:
    """A sweep.

    Args:
        path: the directory.
        name, base: of the sweep, and of its recipe.
        axes: what varies apart from seeds, and its values in their order.
        points: all of them.
        broken: files that cannot be read, and why.
    """

    path: Path
    name: str = ""
    base: str = ""
    axes: dict[str, list[Any]] = field(default_factory=dict)
    points: list[PointData] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def ranking(self) -> Ranking:
        """Finished points by their settings, in order."""
        return ranked(self.points)


def read_sweep(path: Path) -> SweepData:
    """All that a report shows of a sweep directory.

    Raises:
        ValueError: `sweep.json` is damaged. Without it there is nothing to show.
    """
    stored = read_json(path / SWEEP)
    points = stored.get("points") if isinstance(stored, dict) else None
    if not isinstance(points, list):
        raise ValueError(f"{path / SWEEP}: not a sweep: it lacks the list points")
    sweep = SweepData(path, name=_text(stored.get("name")), base=_text(stored.get("base")))
    for place, entry in enumerate(points):
        if isinstance(entry, dict) and isinstance(entry.get("settings"), dict):
            sweep.points.append(_point(sweep, entry))
        else:
            sweep.broken.append(f"{SWEEP}: point {place} has no settings")
    sweep.axes = _axes(sweep.points)
    return sweep


def _point(sweep: SweepData, entry: Mapping[str, Any]) -> PointData:
    name = _text(entry.get("name")) or "?"
    path = _directory(sweep.path, _text(entry.get("directory")), name)
    run = RunData(path)
    status = _text(entry.get("status")) or "pending"
    metrics = run.read(path / "metrics.json", read_metrics)
    sweep.broken += [f"{name}/{one}" for one in run.broken]
    settings = {str(key): value for key, value in entry["settings"].items() if not is_seed(str(key))}
    seed = entry.get("seed", entry["settings"].get("seed"))
    return PointData(
        name, path, settings, seed if isinstance(seed, int) else None, status, _text(entry.get("error")), metrics
    )


def _directory(sweep: Path, stored: str, name: str) -> Path:
    """Where a point is: a sweep may have been moved since."""
    candidates = [sweep / stored, Path(stored), sweep / "points" / name] if stored else [sweep / "points" / name]
    return next((path for path in candidates if path.is_dir()), candidates[0])


def _axes(points: Sequence[PointData]) -> dict[str, list[Any]]:
    """The settings that take more than one value; numbers in their order, other values as they come."""
    axes = axes_of(point.settings for point in points)
    return {key: _ordered(values) for key, values in axes.items() if len(values) > 1}


def _ordered(values: list[Any]) -> list[Any]:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return sorted(values) if numbers else values


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else in_words(value)
