"""YAML that knows on which line each value stood, so that an error can say where to look.

    seed: 0                      {"seed": 0, "rl": {"args": {"learning_rate": 5e-06}}}
    rl:                          lines[("seed",)] == 1
      args:                      lines[("rl", "args", "learning_rate")] == 4
        learning_rate: 5e-6

Only plain data is read (`yaml.SafeLoader`). Aliases are refused, because a few lines of them can stand for gigabytes;
so are duplicate keys, of which YAML silently keeps the last. `5e-6` is a number here; YAML 1.1 reads it as a string.
"""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]
MAX_BYTES = 256 * 1024


class _Loader(yaml.SafeLoader):
    """`yaml.SafeLoader` that reads 5e-6 as a number."""


class _Dumper(yaml.SafeDumper):
    """`yaml.SafeDumper` that quotes the text "5e-6", so that `_Loader` reads it back as text."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
    )


def write_yaml(data: dict[str, Any]) -> str:
    """Nested plain data as YAML text that `parse_yaml` reads back.

    Example:
        >>> print(write_yaml({"commit": "12e4", "rate": 5e-6}), end="")
        commit: '12e4'
        rate: 5.0e-06
    """
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=119)


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """The mapping in a YAML file, and the line number (from 1) of every key and list item in it.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError: from opening the file.
        ValueError: with file and line, if it is no YAML mapping or uses what is refused.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES // 1024} KiB: that is no recipe")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, source: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """`read_yaml` on text; `source` names it in errors.

    Example:
        >>> parse_yaml("seed: 0\\nrl: {limit: 5}", "r.yaml")
        ({'seed': 0, 'rl': {'limit': 5}}, {('seed',): 1, ('rl',): 2, ('rl', 'limit'): 2})
        >>> parse_yaml("seed: 0\\nseed: 1", "r.yaml")
        Traceback (most recent call last):
        ...
        ValueError: r.yaml:2: 'seed' is given twice (first on line 1)
    """
    lines: dict[KeyPath, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None or not isinstance(node, yaml.MappingNode):
            raise ValueError(
                f"{source} does not hold 'key: value' lines, which a recipe is made of. `abstain init` writes one"
            )
        _collect_lines(node, (), lines, source, set())
        return _construct(loader, node, source), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ValueError(f"{source}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{source}: not YAML: {error}".replace("\n", " ")) from None
    except RecursionError:
        raise ValueError(f"{source}: nested too deeply for a recipe") from None


def parse_value(text: str) -> Any:
    """One YAML value, as in `key=value` on a command line.

    Example:
        >>> parse_value("5e-6"), parse_value("[0, 0.5]"), parse_value("none"), parse_value("null")
        (5e-06, [0, 0.5], 'none', None)
    """
    return parse_yaml(f"value: {text}", repr(text))[0]["value"]


def _construct(loader: _Loader, node: yaml.Node, source: str) -> dict[str, Any]:
    try:
        return loader.construct_document(node)
    except ValueError as error:  # a date or a number that Python refuses, such as 2024-13-45
        raise ValueError(f"{source}: a value cannot be read: {error}") from None


def _collect_lines(node: yaml.Node, at: KeyPath, lines: dict[KeyPath, int], source: str, seen: set[int]) -> None:
    if id(node) in seen:
        raise ValueError(f"{source}:{lines.get(at, 1)}: YAML aliases (*name) are not allowed in a recipe")
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = (*at, str(key.value))
            line = key.start_mark.line + 1
            if path in lines:
                raise ValueError(f"{source}:{line}: '{key.value}' is given twice (first on line {lines[path]})")
            lines[path] = line
            _collect_lines(value, path, lines, source, seen)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*at, index)] = value.start_mark.line + 1
            _collect_lines(value, (*at, index), lines, source, seen)


def set_value(data: dict[str, Any], keys: KeyPath, value: Any) -> None:
    """Set a nested value in place, making missing mappings on the way; a null section becomes a mapping.

    Raises:
        ValueError: there is a plain value on the way, or no such item of a list.

    Example:
        >>> data = {"rl": None}
        >>> set_value(data, ("rl", "args", "beta"), 0.1)
        >>> data
        {'rl': {'args': {'beta': 0.1}}}
    """
    here: Any = data
    for depth, key in enumerate(keys):
        _check_place(here, keys[: depth + 1], keys[depth + 1 :], value)
        if depth == len(keys) - 1:
            here[key] = value
        else:
            if isinstance(here, dict) and here.get(key) is None:
                if isinstance(keys[depth + 1], int):
                    raise ValueError(_no_list(keys[: depth + 1], keys[depth + 2 :], value))
                here[key] = {}
            here = here[key]


def _no_list(keys: KeyPath, inside: KeyPath, value: Any) -> str:
    """Why an item cannot be set, and what does it."""
    name = ".".join(map(str, keys))
    return f"the recipe has no list at '{name}' in which to set an item: write {_as_list(name, [], inside, value)}"


def _as_list(name: str, items: list[Any], inside: KeyPath, value: Any) -> str:
    """What to type for a list of these items, and after them one that holds the value at a place inside."""
    for key in reversed(inside):
        value = {key: value}
    return shlex.quote(f"{name}={json.dumps([*items, value], ensure_ascii=False, default=str)}")


def _check_place(here: Any, at: KeyPath, inside: KeyPath, value: Any) -> None:
    name, above = ".".join(map(str, at)), ".".join(map(str, at[:-1]))
    if isinstance(here, list):
        key = at[-1]
        if not isinstance(key, int) or key >= len(here):
            last = f"the last one is {above}.{len(here) - 1}" if here else "it is empty"
            longer = _as_list(above, here, inside, value)
            raise ValueError(f"'{name}=…': the list there has no such item, {last}. For one more write {longer}")
    elif not isinstance(here, dict):
        raise ValueError(f"'{name}=…': the recipe has a plain value there, {here!r}")
