"""Where a sweep's points come from: the whole grid at once, or Optuna, which learns from those that are complete.

A search is resumed by asking again for all trials that `sweep.json` knows, in their order. Their run directories say
which are complete, so that Optuna hears of those at once, and the others go on.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from abstain.evals.metrics.schema import BY_TARGET, OVERALL, names_of_numbers, numbers, read_metrics
from abstain.recipes.sweep.axes import Axis, Choice, Range, canonical
from abstain.recipes.sweep.config import Sweep
from abstain.recipes.sweep.directory import PointState, SweepDir
from abstain.recipes.sweep.points import Draft, Point, Space, load_points
from abstain.rewards.errors import nearest

ATTEMPTS = 200
"""Suggestions in a row that the constraints refuse, or that were tried before: then the search is over."""


class FullGrid:
    """All points at once."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = list(points)

    def more(self, room: int) -> list[Point]:
        points, self._points = self._points, []
        return points

    def told(self, state: PointState) -> None:
        """A grid learns nothing."""


class Search:
    """Optuna's trials. One trial is a point, or with an axis of seeds a point for each, of which the mean counts.

    Args:
        sweep, space: what may be tried.
        directory: of the sweep; trials of an earlier start are taken up again.
        say: takes a line for the person at the terminal.

    Raises:
        ImportError: Optuna is not installed.
        ValueError: `metrics.json` will not have the metric.
    """

    def __init__(self, sweep: Sweep, space: Space, directory: SweepDir, say: Callable[[str], object]) -> None:
        assert sweep.config.search
        self.sweep, self.space, self.directory, self.say = sweep, space, directory, say
        self.config = sweep.config.search
        self._seeds = next((axis for axis in space.axes if axis.only_seeds), None)
        self._axes: dict[str, Axis | Range] = {one.name: one for one in space.ranges}
        self._axes |= {axis.name: axis for axis in space.axes if axis is not self._seeds}
        _check_metric(sweep)
        earlier = _trials(directory.stored_points())
        try:
            import optuna
        except ImportError:
            raise ImportError("a search needs Optuna: pip install 'abstain[optuna]'") from None
        self._optuna: Any = optuna
        self._study = self._new_study(len(earlier))
        self._earlier = len(earlier)
        for settings in earlier:
            self._study.enqueue_trial(self._as_params(settings))
        self._asked = 0
        self._open: dict[str, tuple[Any, str]] = {}
        self._values: dict[str, list[float | None]] = {}

    def _new_study(self, earlier: int) -> Any:
        optuna = self._optuna
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        seed = self.config.seed + earlier  # else a resumed search would begin with the suggestions it has had
        samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
        return optuna.create_study(direction=self.config.direction, sampler=samplers[self.config.sampler](seed=seed))

    def more(self, room: int) -> list[Point]:
        """The next trial. Those of an earlier start come at once, so that `sweep.json` never loses one."""
        if self._asked >= self.config.trials or (room <= 0 and self._asked >= self._earlier):
            return []
        for _ in range(ATTEMPTS):
            trial = self._study.ask({name: self._distribution(axis) for name, axis in self._axes.items()})
            picks = [(name, self._choice(axis, trial.params[name])) for name, axis in self._axes.items()]
            if drafts := self._drafts(picks):
                key = canonical(trial.params)
                if key in self._values:
                    self._tell(trial, self._values[key])
                    continue
                self._asked += 1
                self._values[key] = []
                self._open |= {draft.name: (trial, key) for draft in drafts}
                return load_points(self.sweep, drafts)
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        self.say(f"The search ends after {self._asked} trials: Optuna suggests nothing that is new and allowed.")
        self._asked = self.config.trials
        return []

    def _drafts(self, picks: list[tuple[str, Choice]]) -> list[Draft]:
        """The trial's points, or none if the constraints forbid one of them."""
        name = f"trial-{self._asked:03d}"
        if not self._seeds:
            drafts = [self.space.draft(picks, name)]
        else:
            axis = self._seeds
            drafts = [self.space.draft([*picks, (axis.name, one)], f"{name}_seed-{one.slug}") for one in axis.choices]
        return drafts if all(map(self.space.allows, drafts)) else []

    def told(self, state: PointState) -> None:
        """Let Optuna learn from a trial once all its points have ended."""
        trial, key = self._open.pop(state.point.name)
        self._values[key].append(self._value(state))
        if not any(other is trial for other, _ in self._open.values()):
            self._tell(trial, self._values[key])

    def _tell(self, trial: Any, values: Sequence[float | None]) -> None:
        known = [value for value in values if value is not None]
        if values and len(known) == len(values):
            self._study.tell(trial, fmean(known))
        else:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)

    def _value(self, state: PointState) -> float | None:
        if state.status != "complete":
            return None
        value = numbers(read_metrics(self.directory.point(state.point.name) / "metrics.json")).get(self.config.metric)
        return value if value is not None and math.isfinite(value) else None

    def _distribution(self, axis: Axis | Range) -> Any:
        of = self._optuna.distributions
        if isinstance(axis, Axis):
            return of.CategoricalDistribution([choice.slug for choice in axis.choices])
        whole = isinstance(axis.low, int) and isinstance(axis.high, int)
        return (of.IntDistribution if whole else of.FloatDistribution)(axis.low, axis.high, log=axis.log)

    def _choice(self, axis: Axis | Range, value: Any) -> Choice:
        if isinstance(axis, Range):
            return axis.choice(value)
        return next(choice for choice in axis.choices if choice.slug == value)

    def _as_params(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings in `sweep.json` as Optuna's parameters; those that the axes no longer have are left to Optuna."""
        params: dict[str, Any] = {}
        for name, axis in self._axes.items():
            if isinstance(axis, Range):
                params |= {name: settings[name]} if name in settings else {}
            else:
                same = [one.slug for one in axis.choices if one.shown.items() <= settings.items()]
                params |= {name: same[0]} if same else {}
        return params


def _check_metric(sweep: Sweep) -> None:
    assert sweep.config.search
    metric = sweep.config.search.metric
    overall, by_target = names_of_numbers(OVERALL), names_of_numbers(BY_TARGET)
    known = [*overall, *(f"{name}@{target:g}" for target in sweep.recipe.eval.targets for name in by_target)]
    if metric not in known:
        hint = nearest(metric, known).partition("Allowed:")[0]
        raise ValueError(
            f"{sweep.at('search', 'metric')}: there is no metric '{metric}'. {hint}There are {', '.join(overall)}; "
            f"and for each target, as in score@{sweep.recipe.eval.targets[-1]:g}, {', '.join(by_target)}"
        )


def _trials(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The settings of each trial, in order."""
    found: dict[str, Mapping[str, Any]] = {}
    for point in points:
        found.setdefault(point["name"].partition("_seed-")[0], point["settings"])
    return list(found.values())
