"""What a reward, a grader or a task is, from its signature and its docstrings: options, what they mean, an example.

Descriptions stand in `Args:` of a docstring, of a class or of one that it inherits from, or below a field.
"""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from inspect import Parameter
from itertools import pairwise
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_ENTRY = re.compile(r"(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: \([^)]*\))?: *(?P<text>.*)")
_SECTION = re.compile(r"[A-Z]\w+:")
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", NoneType: "none"}


@dataclass(frozen=True)
class Option:
    """One option: what it is called, its type in words, its default as YAML has it, and what it means."""

    option: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Documented:
    """A thing with options.

    Args:
        name: as a recipe has it.
        summary: the first sentence of its docstring.
        options: with what they mean.
        recipe: lines of a recipe that use it.
        example: its docstring's.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    recipe: str
    example: str

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {**asdict(self), "options": [asdict(option) for option in self.options]}


def options_of(parameters: Mapping[str, Parameter], *documented: Any) -> tuple[Option, ...]:
    """Options with types, defaults and meanings.

    Args:
        parameters: from a signature.
        documented: functions and classes whose docstrings say what options mean; the first that does counts.

    Example:
        >>> def brevity(completions, most: int = 20):
        ...     '''Pays for short completions.
        ...
        ...     Args:
        ...         most: characters that are paid.
        ...     '''
        >>> options_of({"most": inspect.signature(brevity).parameters["most"]}, brevity)
        (Option(option='most', type='whole number', default='20', meaning='Characters that are paid'),)
    """
    meanings: dict[str, str] = {}
    for thing in documented:
        for name, meaning in meanings_of(thing).items():
            if not meanings.get(name):
                meanings[name] = meaning
    return tuple(
        Option(name, type_words(one.annotation, one.default), default_words(one.default), meanings.get(name, ""))
        for name, one in parameters.items()
    )


@cache
def meanings_of(thing: Any) -> dict[str, str]:
    """What the docstrings of a function, or of a class and those that it inherits from, say of each name."""
    found: dict[str, str] = {}
    for one in inspect.getmro(thing)[:-1] if isinstance(thing, type) else (thing,):
        said = _fields(one) if isinstance(one, type) and is_dataclass(one) else {}
        written = _arguments(inspect.getdoc(one) if one.__doc__ else None)
        for name, text in {**said, **{key: text for key, text in written.items() if text}}.items():
            if not found.get(name) or found[name].startswith("see `"):
                found[name] = text
    return {name: _plain(text) for name, text in found.items()}


def section(thing: Any, title: str) -> str:
    """A section of a docstring, such as `Example`; "" if it has none.

    Example:
        >>> section(options_of, "Args").splitlines()[0]
        'parameters: from a signature.'
    """
    lines = (inspect.getdoc(thing) or "").splitlines() if getattr(thing, "__doc__", None) else []
    if f"{title}:" not in lines:
        return ""
    start = lines.index(f"{title}:") + 1
    end = next((i for i, line in enumerate(lines[start:], start) if line and not line.startswith(" ")), len(lines))
    return textwrap.dedent("\n".join(lines[start:end])).strip("\n")


def summary_of(thing: Any) -> str:
    """The first line of a docstring, without its full stop; "" if there is none."""
    return (inspect.getdoc(thing) or "").split("\n", 1)[0].rstrip(".") if getattr(thing, "__doc__", None) else ""


def _arguments(docstring: str | None) -> dict[str, str]:
    """The `Args:` of a docstring."""
    lines, found, names = (docstring or "").splitlines(), dict[str, str](), list[str]()
    start = lines.index("Args:") + 1 if "Args:" in lines else len(lines)
    for line in lines[start:]:
        if line and not line.startswith(" "):
            break
        entry = _ENTRY.fullmatch(line.strip()) if line.startswith("    ") and line[4:5].strip() else None
        if entry:
            names = [name.lstrip("*") for name in entry["names"].split(", ")]
        for name in names:
            found[name] = f"{found.get(name, '')} {entry['text'] if entry else line.strip()}".strip()
    return found


def _fields(kind: type) -> dict[str, str]:
    """What stands below the fields of a dataclass."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return {}
    assert isinstance(tree.body[0], ast.ClassDef), "the source of a class"
    body, found = tree.body[0].body, {}
    for field, below in pairwise(body):
        text = getattr(getattr(below, "value", None), "value", None) if isinstance(below, ast.Expr) else None
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, str):
            found[field.target.id] = " ".join(text.split())
    return found


def _plain(text: str) -> str:
    """With a capital, and without the full stop of a single sentence."""
    text = text[:1].upper() + text[1:]
    return text if ". " in text else text.rstrip(".")


def type_words(annotation: Any, default: Any = Parameter.empty) -> str:
    """A type in words; where there is none, that of the default.

    Example:
        >>> type_words(float | None), type_words(Literal["bounded", "original"]), type_words(list[int])
        ('number or none', 'bounded or original', 'list of whole numbers')
        >>> type_words(Parameter.empty, 20)
        'whole number'
    """
    if annotation is Parameter.empty:
        return "" if default is Parameter.empty or default is None else type_words(type(default))
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(map(default_words, inside))
    if origin in (Union, UnionType):
        parts = dict.fromkeys(map(type_words, inside))
        return " or ".join([*(part for part in parts if part != "none"), *(part for part in parts if part == "none")])
    if isinstance(origin, type):
        kind = (
            "mapping" if issubclass(origin, Mapping) else "list" if issubclass(origin, Iterable) else origin.__name__
        )
        return f"{kind} of {_several(type_words(inside[0]))}" if kind == "list" and inside else kind
    if isinstance(annotation, str):
        return annotation
    names = {"list": "list", "tuple": "list", "dict": "mapping", "Path": "path", "Any": "anything"}
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name)


def _several(words: str) -> str:
    return " or ".join(f"{word}s" if word in ("text", "number", "whole number", "path") else word
                       for word in words.split(" or "))  # fmt: skip


def default_words(value: Any) -> str:
    """A default as YAML has it.

    Example:
        >>> [default_words(value) for value in (None, True, "bounded", "", (0, 0.5), Parameter.empty)]
        ['none', 'true', 'bounded', '""', '[0, 0.5]', 'required']
    """
    if value is Parameter.empty:
        return "required"
    if value is None:
        return "none"
    if repr(value) == "<factory>":  # of a dataclass: a list or a mapping with nothing in it
        return "empty"
    if isinstance(value, str) and value:
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)


def yaml_value(value: Any) -> str:
    """A value in one line of YAML.

    Example:
        >>> yaml_value({"name": "letters", "n": 100})
        '{name: letters, n: 100}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {yaml_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, str) and re.fullmatch(r"[\w./~][\w./:~ -]*", value) and ": " not in value:
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str)
