"""The points of a sweep: every combination of its axes that the constraints allow, each a recipe that was checked.

Constraints are conditions between axes, which a point must meet to be run. They are compared, never executed:

    - rl.args.num_generations <= rl.args.per_device_train_batch_size
    - if: rl.algorithm == rloo
      then: rl.args.scale_rewards in [none, batch]
    - not: [seed > 0, family == binary]        # all of them together

A condition is `KEY OPERATOR VALUE`. The value is YAML, or another key.
"""

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from itertools import product
from typing import Any

from abstain.recipes.run.recipe import Recipe, load_recipe
from abstain.recipes.run.yaml_lines import parse_value
from abstain.recipes.sweep.axes import Axis, Choice, Range, read_axes, short_names
from abstain.recipes.sweep.config import Sweep, as_override, relocated
from abstain.rewards.errors import nearest

MOST_LINES = 8
"""Mistakes that are listed at once."""
LONGEST = 150
"""Characters of a point's name, which names a directory."""
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "in": lambda value, several: value in several,
    "not in": lambda value, several: value not in several,
}
_CONDITION = re.compile(r"(\S+)\s+(==|!=|<=|>=|<|>|not in|in)\s+(\S.*)")
_EXAMPLE = "a condition is KEY OPERATOR VALUE, as in seed > 0 or rl.algorithm in [grpo, rloo]"


@dataclass(frozen=True)
class Condition:
    """`key` compared with a value, or with the value of another key."""

    text: str
    key: str
    compare: Callable[[Any, Any], bool]
    value: Any

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of these values.

        Raises:
            ValueError: nothing is known of the key, or the two cannot be compared.
        """
        if self.key not in values:
            hint = nearest(self.key, values).partition("Allowed:")[0].strip()  # without the list of a hundred others
            hint = hint or "Name an axis, or a key of the recipe."
            raise ValueError(f"'{self.text}': nothing sets '{self.key}'. {hint}")
        other = self.value
        if isinstance(other, str) and other in values:
            other = values[other]
        try:
            return self.compare(values[self.key], other)
        except TypeError:
            raise ValueError(f"'{self.text}': {values[self.key]!r} cannot be compared with {other!r}") from None


@dataclass(frozen=True)
class Constraint:
    """If all of `given` hold, all of `then` must; if `then` is None, then never may all of `given` hold."""

    place: str
    given: tuple[Condition, ...]
    then: tuple[Condition, ...] | None

    def allows(self, values: Mapping[str, Any]) -> bool:
        """Whether a point with these values may be run.

        Args:
            values: by dotted key of the recipe or name of an axis.

        Raises:
            ValueError: a condition cannot be decided; with file and line.
        """
        try:
            if not all(condition.holds(values) for condition in self.given):
                return True
            return self.then is not None and all(condition.holds(values) for condition in self.then)
        except ValueError as error:
            raise ValueError(f"{self.place}: {error}") from None


def read_constraint(raw: Any, place: str) -> Constraint:
    """A constraint as the sweep file has it.

    Raises:
        ValueError: it is none; with file and line.

    Example:
        >>> rule = read_constraint({"if": "seed > 0", "then": "rl.limit <= 100"}, "s.yaml:9")
        >>> rule.allows({"seed": 1, "rl.limit": 200}), rule.allows({"seed": 0, "rl.limit": 200})
        (False, True)
        >>> read_constraint("seed >", "s.yaml:9")
        Traceback (most recent call last):
        ...
        ValueError: s.yaml:9: 'seed >': a condition is KEY OPERATOR VALUE, as in seed > 0 or rl.algorithm in [grpo,
        rloo]
    """
    try:
        if isinstance(raw, dict) and raw.keys() == {"if", "then"}:
            return Constraint(place, _conditions(raw["if"]), _conditions(raw["then"]))
        if isinstance(raw, dict) and raw.keys() == {"not"}:
            return Constraint(place, _conditions(raw["not"]), None)
        if isinstance(raw, dict):
            raise ValueError(f"a constraint has the keys if and then, or not; here: {', '.join(map(str, raw))}")
        return Constraint(place, (), _conditions(raw))
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def _conditions(raw: Any) -> tuple[Condition, ...]:
    return tuple(_condition(one) for one in (raw if isinstance(raw, list) else [raw]))


def _condition(text: Any) -> Condition:
    found = _CONDITION.fullmatch(text.strip()) if isinstance(text, str) else None
    if not found:
        raise ValueError(f"{text!r}: {_EXAMPLE}")
    key, name, value = found.groups()
    parsed = parse_value(value)
    if name.endswith("in") and not isinstance(parsed, list):
        raise ValueError(f"'{text}': `{name}` wants a list, as in [0, 1]")
    return Condition(text.strip(), key, OPERATORS[name], parsed)


def flat(value: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings and lists by dotted key, every level included.

    Example:
        >>> flat({"rl": {"targets": [0.5]}})
        {'rl': {'targets': [0.5]}, 'rl.targets': [0.5], 'rl.targets.0': 0.5}
    """
    found: dict[str, Any] = {}
    for key, one in value.items():
        found[f"{above}{key}"] = one
        inside = dict(enumerate(one)) if isinstance(one, list) else one
        if isinstance(inside, dict):
            found |= flat(inside, f"{above}{key}.")
    return found


Picked = tuple[str, Choice]
"""The name of an axis, and the choice on it."""


@dataclass(frozen=True)
class Draft:
    """A point before its recipe is loaded.

    Args:
        name: of the point, and of its directory.
        shown: axes and their values, for tables and plots.
        changes: dotted keys of the base recipe, and what they become.
        places: `file:line` of each change.
    """

    name: str
    shown: dict[str, Any]
    changes: dict[str, Any]
    places: dict[str, str]


@dataclass(frozen=True)
class Point:
    """One run of a sweep.

    Args:
        name: of the point, and of its directory.
        shown: axes and their values, for tables and plots.
        overrides: the base recipe becomes this point's by them.
        recipe: what is run.
    """

    name: str
    shown: dict[str, Any]
    overrides: tuple[str, ...]
    recipe: Recipe


class Space:
    """Everything that a sweep file allows.

    Raises:
        ValueError: an axis or a constraint makes no sense; with file and line.
    """

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.axes, self.ranges = read_axes(sweep)
        self.constraints: list[Constraint] = [
            read_constraint(raw, sweep.at("constraints", index)) for index, raw in enumerate(sweep.config.constraints)
        ]
        for one in self.ranges if not sweep.config.search else ():
            raise ValueError(f"{one.place}: axis '{one.name}' is a range: list values, or add search: {{trials: 20}}")
        _check_not_set(sweep, self.axes, self.ranges)
        self._base = flat(sweep.recipe.model_dump(mode="json"))
        self._short = short_names([*(axis.name for axis in self.axes), *(one.name for one in self.ranges)])

    def draft(self, chosen: Sequence[Picked], name: str = "") -> Draft:
        """The point with these choices.

        Args:
            chosen: names of axes, and the choice on each.
            name: of the point; made of the choices by default.
        """
        name = name or "_".join(f"{self._short[axis]}-{one.slug}".lstrip("-") for axis, one in chosen)
        changes = [item for _, one in chosen for item in one.changes.items()]
        return Draft(
            name=name if len(name) <= LONGEST else f"{name[: LONGEST - 9]}-{sha256(name.encode()).hexdigest()[:8]}",
            shown={key: value for _, one in chosen for key, value in one.shown.items()},
            changes=_outer_first(dict(changes)),
            places={key: place for _, one in chosen for key, place in one.places.items()},
        )

    def allows(self, draft: Draft) -> bool:
        """Whether the constraints let this point be run.

        Raises:
            ValueError: a constraint cannot be decided; with file and line.
        """
        values = self._base | flat(draft.changes) | draft.shown
        return all(constraint.allows(values) for constraint in self.constraints)

    def grid(self) -> list[Draft]:
        """Every combination that the constraints allow.

        Raises:
            ValueError: there is none.
        """
        every = [self.draft(row) for row in product(*(_picks(axis) for axis in self.axes))]
        drafts = [draft for draft in every if self.allows(draft)]
        if not drafts:
            raise ValueError(f"{self.sweep.at('constraints')}: the constraints leave none of the {len(every)} points")
        return drafts

    def cover(self) -> list[Draft]:
        """Points that between them take every listed value, and both ends of every range, at least once."""
        ends = [Axis(one.name, (one.choice(one.low), one.choice(one.high))) for one in self.ranges]
        picks = [_picks(axis) for axis in (*self.axes, *ends)]
        first = [some[0] for some in picks]
        others = [[*first[:at], pick, *first[at + 1 :]] for at, some in enumerate(picks) for pick in some[1:]]
        return [self.draft(row) for row in (first, *others)]


def _check_not_set(sweep: Sweep, axes: Sequence[Axis], ranges: Sequence[Range]) -> None:
    """A setting that an axis sets again would be without effect."""
    places = {one.name: one.place for one in ranges} | {
        key: place for axis in axes for choice in axis.choices for key, place in choice.places.items()
    }
    for key in sweep.config.settings:
        if key in places:
            raise ValueError(f"{places[key]}: '{key}' is set for all points ({sweep.places.get(key, 'command line')})")


def _picks(axis: Axis) -> list[Picked]:
    return [(axis.name, choice) for choice in axis.choices]


def _outer_first(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`rl.rewards` is set before `rl.rewards.0.args.target`, whatever the order in the file."""
    return dict(sorted(settings.items(), key=lambda item: item[0].count(".")))


def load_points(sweep: Sweep, drafts: Iterable[Draft]) -> list[Point]:
    """Points with their recipes, all of them checked before any is run.

    Raises:
        ValueError: a mistake a line, each with the file and line of the sweep that it comes from.
    """
    drafts = list(drafts)
    points: list[Point] = []
    mistakes: dict[str, list[str]] = {}
    checked: set[str] = set()
    for draft in drafts:
        try:
            points.append(_load(sweep, draft, checked))
        except ValueError as error:
            for line in str(error).splitlines():
                mistakes.setdefault(_explained(sweep, draft, line), []).append(draft.name)
    if mistakes:
        raise ValueError("\n".join(_listed(mistakes, len(drafts))))
    return points


def _load(sweep: Sweep, draft: Draft, checked: set[str]) -> Point:
    from abstain.recipes.run.checks import check_recipe  # takes seconds to import

    settings = _outer_first(sweep.config.settings | draft.changes | {"name": draft.name})
    overrides = tuple(as_override(key, value) for key, value in settings.items())
    recipe, origin = load_recipe(str(sweep.base), overrides)
    fingerprint = recipe.model_dump_json(exclude={"name", "seed", "output_dir"})
    if fingerprint not in checked:
        check_recipe(recipe, origin)
        checked.add(fingerprint)
    return Point(draft.name, draft.shown, overrides, recipe)


def _explained(sweep: Sweep, draft: Draft, line: str) -> str:
    places = sweep.places | draft.places
    line = relocated(line, places)
    unknown = next((key for key in places if f"unknown key '{key}'" in line), None)
    return line + (_elsewhere(unknown, flat(sweep.recipe.model_dump(mode="json"))) if unknown else "")


def _elsewhere(key: str, known: Mapping[str, Any]) -> str:
    """Where the recipe has a key of nearly that name: `learning_rate` is at rl.args.learning_rate."""
    last = key.rpartition(".")[2]
    ends: dict[str, list[str]] = {}
    for one in known:
        ends.setdefault(one.rpartition(".")[2], []).append(one)
    found = [one for end in get_close_matches(last, ends, n=2, cutoff=0.8) for one in ends[end] if one != key]
    return f" The recipe has {' and '.join(found[:3])}." if found else ""


def _listed(mistakes: Mapping[str, Sequence[str]], total: int) -> Iterator[str]:
    for line, names in list(mistakes.items())[:MOST_LINES]:
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield line if len(names) == total else f"{line} (point {names[0]}{more})"
    if len(mistakes) > MOST_LINES:
        yield f"… and {len(mistakes) - MOST_LINES} more mistakes"
