"""The axes of a sweep: the values that each may take, and how a value is written in a point's name."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from abstain.recipes.sweep.config import Sweep
from abstain.rewards.errors import nearest

LONGEST = 32
"""Characters of a value in a point's name."""


@dataclass(frozen=True)
class Choice:
    """One value of an axis.

    Args:
        shown: what tables and plots call it: the axis and its value.
        changes: dotted keys of the recipe, and what they become.
        places: `file:line` of each change.
        slug: the value in a point's name.
    """

    shown: dict[str, Any]
    changes: dict[str, Any]
    places: dict[str, str]
    slug: str


@dataclass(frozen=True)
class Axis:
    """What varies, and between which values."""

    name: str
    choices: tuple[Choice, ...]

    @property
    def only_seeds(self) -> bool:
        """Whether it repeats the same settings with other chances."""
        keys = [key for choice in self.choices for key in choice.changes]
        return bool(keys) and all(map(is_seed, keys))


@dataclass(frozen=True)
class Range:
    """An axis whose values Optuna chooses between two numbers; whole ones if both are."""

    name: str
    low: float
    high: float
    log: bool
    place: str

    def choice(self, value: float) -> Choice:
        """The axis at this value."""
        return Choice({self.name: value}, {self.name: value}, {self.name: self.place}, slug(value))


def read_axes(sweep: Sweep) -> tuple[list[Axis], list[Range]]:
    """The axes of a sweep file, the listed points (if any) as the first of them.

    Raises:
        ValueError: an axis without values, or the same value, point name or key twice; with file and line.
    """
    axes, ranges = [], []
    if sweep.config.points:
        axes.append(Axis("", _distinct(list(_listed(sweep)), "point")))
    for name, values in sweep.config.axes.items():
        place = sweep.at("axes", name)
        if isinstance(values, dict) and _is_range(values):
            ranges.append(_range(name, values, place))
        else:
            choices = list(_variants(sweep, name, values) if isinstance(values, dict) else _plain(name, values, place))
            if not choices:
                raise ValueError(f"{place}: axis '{name}' has no values: a sweep over it has no points")
            axis = Axis(name, _distinct(choices, f"axis '{name}'"))
            if axis.only_seeds:  # shown by the seeds that it sets, so that tables and plots know them for seeds
                axis = replace(axis, choices=tuple(replace(choice, shown=choice.changes) for choice in axis.choices))
            axes.append(axis)
    if not axes and not ranges:
        raise ValueError(f"{sweep.origin.file}: nothing varies: give axes or points")
    _check_keys_differ(axes, ranges)
    return axes, ranges


def _is_range(values: Mapping[str, Any]) -> bool:
    """Whether these are the ends of a range: settings may be called `low` and `high`, but ends are no mappings.

    Example:
        >>> _is_range({"low": 1e-5, "high": 1e-3}), _is_range({"low": {"rl.limit": 8}, "high": {"rl.limit": 80}})
        (True, False)
    """
    ends = [values[key] for key in ("low", "high") if key in values]
    return len(ends) == 2 and not all(isinstance(end, dict) for end in ends)


def _plain(name: str, values: Any, place: str) -> Iterator[Choice]:
    if not isinstance(values, list):
        raise ValueError(f"{place}: axis '{name}' must be a list of values, as in [0, 0.5], not {values!r}")
    for value in values:
        yield Choice({name: value}, {name: value}, {name: place}, slug(value))


def _variants(sweep: Sweep, name: str, values: Mapping[str, Any]) -> Iterator[Choice]:
    for label, changes in values.items():
        if not isinstance(changes, dict):
            raise ValueError(
                f"{sweep.at('axes', name, label)}: '{name}' is neither a list of values nor a mapping of names to "
                "settings. Keys of a recipe are written with dots, as in rl.args.learning_rate: [1e-5, 1e-4]"
            )
        places = {key: sweep.at("axes", name, label, key) for key in changes}
        yield Choice({name: str(label)}, changes, places, slug(str(label)))


def _listed(sweep: Sweep) -> Iterator[Choice]:
    names: dict[str, str] = {}
    for index, point in enumerate(sweep.config.points):
        place = sweep.at("points", index)
        changes = {key: value for key, value in point.items() if key != "name"}
        name = str(point.get("name", _joined(changes)))
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise ValueError(f"{place}: a point's name may hold letters, digits, dots, dashes and _, not {name!r}")
        if name in names:
            raise ValueError(f"{place}: two points are named '{name}' (the first at {names[name]})")
        names[name] = place
        yield Choice(changes, changes, {key: sweep.at("points", index, key) for key in changes}, name)


def _joined(changes: Mapping[str, Any]) -> str:
    keys = short_names(list(changes))
    return "_".join(f"{keys[key]}-{slug(value)}" for key, value in changes.items()) or "base"


def _range(name: str, values: Mapping[str, Any], place: str) -> Range:
    for key in values:
        if key not in ("low", "high", "log"):
            raise ValueError(f"{place}: unknown key '{key}' of a range. {nearest(str(key), ['low', 'high', 'log'])}")
    low, high, log = values["low"], values["high"], values.get("log", False)
    numbers = all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in (low, high))
    if not numbers or not low < high or (log and low <= 0):
        raise ValueError(f"{place}: a range is {{low: 1e-5, high: 1e-3, log: true}}, low < high, and > 0 for log")
    return Range(name, low, high, bool(log), place)


def _distinct(choices: list[Choice], what: str) -> tuple[Choice, ...]:
    """Refuse a value that is given twice; two whose slugs are the same get a hash each."""
    seen: dict[str, Choice] = {}
    for choice in choices:
        if (text := canonical(choice.changes)) in seen and choice.slug == seen[text].slug:
            place = next(iter(choice.places.values()), "")
            raise ValueError(f"{place}: {what} has the same value twice: {canonical(choice.shown)}".lstrip(": "))
        seen[text] = choice
    count = Counter(choice.slug for choice in choices)
    return tuple(
        replace(choice, slug=f"{choice.slug}-{_hash(choice.changes)}") if count[choice.slug] > 1 else choice
        for choice in choices
    )


def _check_keys_differ(axes: Sequence[Axis], ranges: Sequence[Range]) -> None:
    owner: dict[str, str] = {one.name: one.name for one in ranges}
    for axis in axes:
        for key, place in {key: place for one in axis.choices for key, place in one.places.items()}.items():
            if key in owner:
                raise ValueError(f"{place}: '{key}' is set by two axes: '{owner[key]}' and '{axis.name or 'points'}'")
        owner |= {key: axis.name or "points" for one in axis.choices for key in one.changes}


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """The shortest end of each dotted key that no other key has.

    Example:
        >>> short_names(["rl.args.learning_rate", "sft.args.learning_rate", "rl.targets"])
        {'rl.args.learning_rate': 'rl.args.learning_rate', 'sft.args.learning_rate': 'sft.args.learning_rate',
         'rl.targets': 'targets'}
    """
    ends = {key: [".".join(key.split(".")[-n:]) for n in range(1, key.count(".") + 2)] for key in keys}
    count = Counter(end for found in ends.values() for end in found)
    return {key: next((end for end in found if count[end] == 1), key) for key, found in ends.items()}


def slug(value: Any) -> str:
    """A value in letters that a directory's name may hold.

    Example:
        >>> slug([0, 0.5]), slug(1e-05), slug(-1), slug(None), slug([{"name": "ConfidenceTarget"}]), slug("a b/c")
        ('0-0.5', '1e-05', '-1', 'null', 'ConfidenceTarget', 'a-b-c')
    """
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", _words(value)).rstrip("-.") or _hash(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 7]}-{_hash(value)}"


def _words(value: Any) -> str:
    if isinstance(value, list):
        return "-".join(map(_words, value))
    if isinstance(value, dict):
        return _words(value["name"]) if "name" in value else "-".join(f"{k}-{_words(v)}" for k, v in value.items())
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def canonical(value: Any) -> str:
    """The same text for the same value."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def axes_of(settings: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The values that each setting takes, in their order.

    Example:
        >>> axes_of([{"seed": 1, "rl.targets": [0]}, {"seed": 0, "rl.targets": [0]}])
        {'seed': [1, 0], 'rl.targets': [[0]]}
    """
    found: dict[str, dict[str, Any]] = {}
    for point in settings:
        for key, value in point.items():
            found.setdefault(key, {}).setdefault(canonical(value), value)
    return {key: list(values.values()) for key, values in found.items()}


def is_seed(key: str) -> bool:
    """Whether a setting is a seed: of the run, or of its task."""
    return key == "seed" or key.endswith(".seed")


def _hash(value: Any) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:6]
