"""A recipe with a comment beside every value that was chosen, as text that `load_recipe` reads."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from abstain.recipes.init.choices import Choice
from abstain.recipes.run.recipe import Recipe
from abstain.recipes.run.yaml_lines import parse_yaml, write_yaml

WIDTH = 119
_PLAIN = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_./ -]*[A-Za-z0-9_./])?")


def recipe_text(recipe: Mapping[str, Any], about: list[str]) -> str:
    """The YAML of nested mappings of `Choice`s.

    Args:
        recipe: as `choose` makes it.
        about: lines for the top of the file.

    Raises:
        ValueError: what was written would not be read back as it was meant.

    Example:
        >>> task = {"data": Choice("my.csv", "CSV"), "separator": Choice("; ")}
        >>> whole = {"name": Choice("mine"), "task": task, "model": {"path": Choice("m")}, "rl": {"args": {}}}
        >>> print(recipe_text(whole, ["abstain train mine.yaml"]), end="")
        # abstain train mine.yaml
        name: mine
        <BLANKLINE>
        task:
          data: my.csv # CSV
          separator: "; "
        <BLANKLINE>
        model:
          path: m
        <BLANKLINE>
        rl:
          args: {}
    """
    lines = [f"# {_printable(line)}".rstrip() for line in about]
    for key, value in recipe.items():
        lines += [""] * (not isinstance(value, Choice)) + list(_lines(key, value, 0))
    text = "\n".join(lines) + "\n"
    read, _ = parse_yaml(text, "the new recipe")
    if read != plain(recipe):
        raise ValueError("the recipe could not be written so that it is read back the same; please report this")
    Recipe.model_validate(read)
    return text


def plain(recipe: Any) -> Any:
    """The values alone.

    Example:
        >>> plain({"seed": Choice(0, "why"), "rl": {"rewards": [{"name": Choice("R")}]}})
        {'seed': 0, 'rl': {'rewards': [{'name': 'R'}]}}
    """
    if isinstance(recipe, Choice):
        return recipe.value
    if isinstance(recipe, Mapping):
        return {key: plain(value) for key, value in recipe.items()}
    return [plain(item) for item in recipe] if isinstance(recipe, list) else recipe


def _lines(key: str, value: Any, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if isinstance(value, Choice):
        line = f"{indent}{key}: {_scalar(value.value)}"
        why = _printable(value.why)
        if why and len(line) + len(why) + 3 > WIDTH:
            yield f"{indent}# {why}"
            yield line
        else:
            yield f"{line} # {why}" if why else line
    elif isinstance(value, list):
        yield f"{indent}{key}:"
        for item in value:
            first, *others = [line for name, inner in item.items() for line in _lines(name, inner, depth + 2)]
            yield f"{indent}  - {first.strip()}"
            yield from others
    elif not value:
        yield f"{indent}{key}: {{}}"
    else:
        yield f"{indent}{key}:"
        for name, inner in value.items():
            yield from _lines(name, inner, depth + 1)


def _scalar(value: Any) -> str:
    """A value on one line. Texts are quoted as in JSON, which is YAML, unless they are plain words."""
    if isinstance(value, str):
        read_back = parse_yaml(f"value: {value}", "")[0]["value"] if _PLAIN.fullmatch(value) else None
        return value if read_back == value else _quoted(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    return write_yaml({"value": value}).strip().removeprefix("value: ")


def _quoted(text: str) -> str:
    """A text in double quotes, as YAML reads it; what cannot be seen is written by its number."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:1000]


def name_for(path: Path) -> str:
    """A recipe's name, from the name of its file of questions.

    Example:
        >>> name_for(Path("data/Meine Fragen (2).csv")), name_for(Path("問題.csv"))
        ('Meine-Fragen-2', 'mine')
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", path.stem).strip("-._")[:60] or "mine"


def place_beside(path: Path, recipe: Path) -> str:
    """How a recipe names a file: from its own folder if both lie below the one that is typed in, else in full.

    Example:
        >>> place_beside(Path("data/q.csv"), Path("recipes/q.yaml")), place_beside(Path("q.csv"), Path("q.yaml"))
        ('../data/q.csv', 'q.csv')
    """
    here, whole, folder = Path.cwd(), path.absolute(), recipe.absolute().parent
    if whole.is_relative_to(folder):
        return str(whole.relative_to(folder))
    if whole.is_relative_to(here) and folder.is_relative_to(here):
        return os.path.relpath(whole, folder)
    return str(whole)


def place_of_model(name: str, recipe: Path) -> str:
    """How a recipe names a model: as it was typed, but a path in full where the recipe lies in another folder."""
    path = Path(name).expanduser()
    if not path.exists() or recipe.absolute().parent == Path.cwd():
        return name
    return str(path.absolute())
