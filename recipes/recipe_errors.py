"""What is wrong with a recipe, in words: from pydantic's errors to one line per mistake."""

from collections.abc import Callable, Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from abstain.recipes.yaml_lines import KeyPath
from abstain.rewards.errors import nearest

PHRASES = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text (put it in quotes)",
    "list_type": "must be a list, as in [0, 0.5]",
    "dict_type": "must hold 'key: value' lines",
    "model_type": "must hold 'key: value' lines",
    "too_short": "must not be empty",
    "string_pattern_mismatch": "may hold letters, digits, dots, dashes and underscores only",
}
"""Our words for pydantic's error types; its own message serves for the others."""


def explain(error: ValidationError, root: type[BaseModel], where: Callable[[KeyPath], str]) -> list[str]:
    """One line per mistake: place, key, what is wrong and what is allowed.

    Args:
        error: what pydantic raised for `root`.
        where: gives the place (`file:line`) of a key path.

    Example:
        >>> class Small(BaseModel, extra="forbid"):
        ...     seed: int = 0
        >>> try: Small(seed="x", sed=1)
        ... except ValidationError as e: print("\\n".join(explain(e, Small, lambda path: "r.yaml:1")))
        r.yaml:1: 'seed' must be a whole number, not 'x'
        r.yaml:1: unknown key 'sed'. Did you mean 'seed'? Allowed: seed.
    """
    return [_line(detail, root, where) for detail in error.errors(include_url=False)]


def _line(detail: Any, root: type[BaseModel], where: Callable[[KeyPath], str]) -> str:
    path: KeyPath = detail["loc"]
    name = ".".join(map(str, path))
    if detail["type"] == "extra_forbidden":
        section = _model_at(root, path[:-1])
        return (
            f"{where(path)}: unknown key '{name}'. {nearest(str(path[-1]), section.model_fields if section else ())}"
        )
    if detail["type"] == "missing":
        return f"{where(path[:-1])}: '{name}' is missing"
    if detail["type"] == "value_error":
        return ": ".join([where(path), *([f"'{name}'"] if name else []), str(detail["ctx"]["error"])])
    phrase = PHRASES.get(detail["type"]) or detail["msg"].replace("Input should", "must", 1)
    return f"{where(path)}: '{name}' {phrase}, not {_short(detail['input'])}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _model_at(root: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """The pydantic model that a path of keys leads to."""
    here: type[BaseModel] | None = root
    for key in path:
        if here is None:
            return None
        if isinstance(key, str) and key in here.model_fields:
            here = next(_models_in(here.model_fields[key].annotation), None)
    return here


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
