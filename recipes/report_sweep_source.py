"""What a sweep directory holds, as far as it can be read: its points, and what those that finished have measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from abstain.evals.footnotes import Metrics
from abstain.recipes.report_source import SWEEP, RunData, read_json, read_metrics
from abstain.recipes.report_words import in_words
from abstain.recipes.sweep_axes import axes_of, canonical, is_seed

DONE, FAILED = "complete", "failed"


@dataclass(frozen=True)
class PointData:
    """One run of a sweep.

    Args:
        name: of the point.
        path: its run directory.
        settings: what was varied, seeds left out.
        seed: of the run.
        status, error: how it went.
        metrics: of the trained model; `None` if there are none.
    """

    name: str
    path: Path
    settings: Mapping[str, Any]
    seed: int | None
    status: str
    error: str
    metrics: Metrics | None


@dataclass(frozen=True)
class Group:
    """The same settings under several seeds.

    Args:
        settings: what they share.
        points: finished ones, one per seed.
    """

    settings: Mapping[str, Any]
    points: Sequence[PointData]

    def measured(self, name: str, target: float | None = None) -> list[float]:
        """A number of each seed that has it, of the whole or of one target."""
        rows = [_row(point.metrics or {}, target) for point in self.points]
        return [row[name] for row in rows if row.get(name) is not None]


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

    def groups(self) -> list[Group]:
        """Finished points by their settings, the smallest mean regret first, and those without one last."""
        found: dict[str, list[PointData]] = {}
        for point in self.points:
            if point.metrics is not None:
                found.setdefault(canonical(point.settings), []).append(point)
        return sorted((Group(points[0].settings, points) for points in found.values()), key=_badness)


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


def spread(values: Sequence[float], digits: int = 3, factor: float = 1.0) -> str:
    """Mean ± standard deviation over seeds; of one seed only its number.

    Example:
        >>> spread([0.03, 0.05]), spread([0.5], 1, factor=100), spread([])
        ('0.040 ± 0.014', '50.0', '–')
    """
    scaled = [factor * value for value in values]
    if not scaled:
        return "–"
    mean = f"{fmean(scaled):z.{digits}f}".replace("-", "−")
    return mean if len(scaled) < 2 else f"{mean} ± {stdev(scaled):.{digits}f}"


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


def _row(metrics: Metrics, target: float | None) -> Mapping[str, Any]:
    if target is None:
        return metrics
    return next((row for row in metrics.get("by_target", []) if row["target"] == target), {})


def _badness(group: Group) -> tuple[bool, float]:
    regrets = group.measured("mean_regret")
    return not regrets, fmean(regrets) if regrets else 0.0


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else in_words(value)
