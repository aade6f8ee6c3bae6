"""A sweep: a base recipe and what to vary in it, in one YAML file.

    name: thresholds
    base: quickstart                      # a shipped recipe, or a YAML file (seen from this file)
    settings: {rl.args.max_steps: 300}    # changes that all points share
    axes:                                 # every combination is a point
      rl.args.scale_rewards: [none, group]
      reward:                             # a made-up axis: each value changes several keys at once
        bounded: {rl.rewards: [{name: ConfidenceTarget}]}
        binary: {rl.rewards: [{name: TernaryCredit, args: {abstain: 0, wrong: 0}}], rl.targets: [0]}
      seed: [0, 1, 2]
    constraints:
      - if: reward == binary
        then: rl.args.scale_rewards == none

`points:` lists points one by one, `{name: a, rl.limit: 100}`; with axes beside them, each is crossed with the axes.
`search:` has Optuna choose the values, and an axis may then be a range: `{low: 1e-5, high: 1e-3, log: true}`.
"""

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from abstain.recipes.run.recipe import (
    Origin,
    Recipe,
    explain,
    find_file,
    find_recipe,
    load_recipe,
    parse_overrides,
    shipped_recipes,
    shipped_sweeps,
)
from abstain.recipes.run.yaml_lines import KeyPath, read_yaml


class SearchConfig(BaseModel, extra="forbid"):
    """Optuna instead of the whole grid. A `seed` axis is not searched: each trial is the mean over its seeds."""

    trials: int = Field(ge=1)
    """How many points Optuna chooses."""
    metric: str = "mean_regret"
    """A number in `metrics.json`, or one of a target's: `score@0.5`."""
    direction: Literal["minimize", "maximize"] = "minimize"
    """To be said wherever a metric is named: a score is not to be made small."""
    sampler: Literal["tpe", "random"] = "tpe"
    """`tpe` learns from the trials before, `random` does not."""
    seed: int = Field(default=0, ge=0)
    """Of the sampler."""

    @model_validator(mode="after")
    def _says_which_way(self) -> Self:
        if "metric" in self.model_fields_set and "direction" not in self.model_fields_set:
            raise ValueError(f"metric {self.metric} needs a direction: minimize or maximize")
        return self


class RayConfig(BaseModel, extra="forbid"):
    """What one point takes on a Ray cluster."""

    cpus: int = Field(default=1, ge=1)
    """Cores."""
    gpus: float = Field(default=0, ge=0)
    """GPUs; a fraction shares one."""
    retries: int = Field(default=3, ge=0)
    """How often a point is started again when its machine or worker dies."""


class SweepConfig(BaseModel, extra="forbid"):
    """The sweep file as it is written."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Letters, digits, dots, dashes: it becomes a directory's name."""
    base: str
    """The recipe that points are made of: a shipped one by name, or a YAML file, seen from this file."""
    output_dir: str = ""
    """The sweep's directory; `runs/NAME` by default."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Changes to the recipe that all points share, by dotted key."""
    axes: dict[str, Any] = Field(default_factory=dict)
    """Dotted keys with the values to try, `seed: [0, 1, 2]`, or a name with several keys for each of its values. Every
    combination is a point."""
    points: list[dict[str, Any]] = Field(default_factory=list)
    """Points one by one, `{name: a, rl.limit: 100}`; with axes beside them, each is crossed with the axes."""
    constraints: list[Any] = Field(default_factory=list)
    """Combinations to leave out, `{if: reward == binary, then: rl.args.scale_rewards == none}`."""
    search: SearchConfig | None = None
    """Let Optuna choose the values; an axis may then be a range, `{low: 1e-5, high: 1e-3, log: true}`."""
    ray: RayConfig = Field(default_factory=RayConfig)
    """What a point takes with `--engine ray`."""


@dataclass(frozen=True)
class Sweep:
    """A sweep file that was read, and its base recipe.

    Args:
        config: what the file says.
        base: the base recipe's file.
        recipe: the base recipe with `settings` applied.
        origin: where each value of the sweep file stands.
        places: `file:line` of each setting that the file makes; the others come from the command line.
    """

    config: SweepConfig
    base: Path
    recipe: Recipe
    origin: Origin
    places: dict[str, str]

    @property
    def path(self) -> Path:
        """The sweep's directory."""
        return Path(self.config.output_dir or f"runs/{self.config.name}")

    def at(self, *keys: str | int) -> str:
        """`file:line` of a value of the sweep file."""
        return self.origin.of(keys)


def load_sweep(name_or_path: str, overrides: Sequence[str] = (), output_dir: str = "") -> Sweep:
    """The sweep in a file, or the shipped one of that name.

    Args:
        name_or_path: a YAML file, or a key of `shipped_sweeps`.
        overrides: `key.sub=value`, for the base recipe.
        output_dir: instead of the one in the file.

    Raises:
        FileNotFoundError: no such sweep, or no such base recipe.
        ValueError: one line per mistake, each with file and line.
    """
    if name_or_path in shipped_recipes().keys() - shipped_sweeps().keys() and not Path(name_or_path).exists():
        raise ValueError(f"'{name_or_path}' is a recipe, not a sweep: abstain train {name_or_path}")
    path = find_file("sweep", name_or_path, shipped_sweeps())
    data, lines = read_yaml(path)
    if "base" not in data and "model" in data:
        raise ValueError(f"{path} is a recipe, not a sweep: abstain train {shlex.quote(str(path))}")
    origin = Origin(path, lines, frozenset())
    config = _validated(data, origin.of)
    given = parse_overrides(overrides)
    places = {key: origin.of(("settings", key)) for key in config.settings if key not in given}
    config = config.model_copy(
        update={"settings": config.settings | given, "output_dir": output_dir or config.output_dir}
    )
    base = _base(config.base, path)
    try:
        recipe, _ = load_recipe(str(base), [as_override(key, value) for key, value in config.settings.items()])
    except ValueError as error:
        raise ValueError(relocated(str(error), places)) from None
    return Sweep(config, base, recipe, origin, places)


def as_override(key: str, value: Any) -> str:
    """A setting as `abstain train` takes it.

    Example:
        >>> as_override("rl.targets", [0, 0.5])
        'rl.targets=[0, 0.5]'
    """
    return f"{key}={json.dumps(value, ensure_ascii=False, default=str)}"


def relocated(message: str, places: dict[str, str]) -> str:
    """A recipe's error message that says where in the sweep file a value stood, not that an override set it.

    Example:
        >>> relocated("command line (seed=…): 'seed' must be a whole number, not 'x'", {"seed": "s.yaml:4"})
        "s.yaml:4: 'seed' must be a whole number, not 'x'"
    """
    for key, place in places.items():
        message = message.replace(f"command line ({key}=…)", place)
    return message


def _base(name: str, sweep: Path) -> Path:
    beside = sweep.parent / name
    return beside if beside.is_file() else find_recipe(name)


def _validated(data: dict[str, Any], where: Callable[[KeyPath], str]) -> SweepConfig:
    try:
        return SweepConfig.model_validate(data)
    except ValidationError as error:
        raise ValueError("\n".join(explain(error, SweepConfig, where))) from None
