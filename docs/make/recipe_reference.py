"""Writes the tables of docs/recipes.md anew, from the classes that check recipes: python docs/make/recipe_reference.py

A key's meaning is the docstring under its field.
"""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from abstain.recipes.run.recipe import Recipe
from abstain.recipes.sweep.config import SweepConfig
from abstain.rewards.prompts import check_target
from abstain.trainers import offline, rl, sft

PAGE = Path(__file__).resolve().parents[1] / "recipes.md"
ROOTS: dict[str, type[BaseModel]] = {"recipe": Recipe, "sweep": SweepConfig}
NAMES = {int: "whole number", float: "number", bool: "true or false", str: "text", dict: "keys and values", Any: "any"}
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def with_tables(page: str) -> str:
    """The page with fresh tables between its markers."""
    made = {name: sections(root) for name, root in ROOTS.items()} | {"args": trl_defaults()}
    return re.sub(
        r"(<!-- keys: (\w+) -->\n).*?(?=<!-- end -->)", lambda mark: f"{mark[1]}\n{made[mark[2]]}\n", page, flags=re.S
    )


def sections(root: type[BaseModel]) -> str:
    """A table of the root's keys, then a section for every model below it."""
    paths: dict[type[BaseModel], list[str]] = {}
    for path, model in _below(root, ""):
        paths.setdefault(model, []).append(path)
    headings = {model: " and ".join(f"`{name}`" for name in names) for model, names in paths.items()}
    parts = [_table(root, headings)]
    for model, heading in headings.items():
        parts.append(f"### {heading}\n\n{inspect.getdoc(model)}\n\n{_table(model, headings)}")
    return "\n".join(parts)


def trl_defaults() -> str:
    """What a stage sets of TRL's configuration where `args` does not."""
    ours = {"`sft`, `format`": sft.DEFAULTS, "`offline`": offline.DEFAULTS}
    ours |= {f"`rl`, {name}": defaults for name, defaults in rl.DEFAULTS.items()}
    rows = [
        f"| {stage} | {', '.join(f'`{name}: {json.dumps(value)}`' for name, value in defaults.items())} |"
        for stage, defaults in ours.items()
    ]
    return "\n".join(["| stage | defaults |", "|---|---|", *rows, ""])


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """What each field means, by the docstring under it, its own or an inherited one; "" where there is none."""
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__):
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body  # type: ignore[attr-defined]
            for field, after in zip(body, [*body[1:], None], strict=True):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                    found[field.target.id] = inspect.cleandoc(after.value.value) if told else ""
    return {name: found[name] for name in model.model_fields}


def _below(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every model among the values, and the key that leads to it."""
    for name, field in model.model_fields.items():
        here = f"{path}.{name}".lstrip(".")
        for kind in _models(field.annotation):
            yield here, kind
            yield from _below(kind, here)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _table(model: type[BaseModel], headings: dict[type[BaseModel], str]) -> str:
    means = meanings(model)
    rows = [
        " | ".join(["", f"`{name}`", _value(field, headings), default(field), _in_cell(means[name]), ""]).strip()
        for name, field in model.model_fields.items()
    ]
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows, ""])


def _value(field: FieldInfo, headings: dict[type[BaseModel], str]) -> str:
    for model in _models(field.annotation):
        anchor = re.sub(r"[^\w\- ]", "", headings[model].lower()).replace(" ", "-")
        return kind(field).replace("keys below", f"[keys](#{anchor})")
    return kind(field)


def kind(field: FieldInfo) -> str:
    """What may stand there, in words.

    >>> kind(Recipe.model_fields["seed"]), kind(Recipe.model_fields["rl"])
    ('whole number, at least 0, below 4294967296', 'keys below')
    """
    limits = [f"{words} {value}" for name, words in LIMITS.items() for value in _limit(field.metadata, name)]
    return ", ".join([_words(field.annotation, field.metadata), *limits])


def _limit(metadata: list[Any], name: str) -> list[Any]:
    return [value for one in metadata if (value := getattr(one, name, None)) is not None]


def _words(annotation: Any, metadata: list[Any]) -> str:
    if any(getattr(one, "func", None) is check_target for one in metadata):
        return "number in [0, 1)"
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(inside[0], list(inside[1:]))
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inside)
    if origin in (Union, UnionType):
        return " or ".join(_words(one, []) for one in inside if one is not NoneType)
    if origin is list:
        return "list of " + _words(inside[0], []).replace("number", "numbers") if inside[0] is not Any else "list"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys below"
    return NAMES.get(origin or annotation, str(annotation))


def default(field: FieldInfo) -> str:
    """The default as YAML takes it."""
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel):
        return "`{}`"
    if isinstance(value, list):
        value = [one.model_dump(exclude_unset=True) if isinstance(one, BaseModel) else one for one in value]
    return f"`{json.dumps(value)}`" if value != "" else ""


def _in_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
