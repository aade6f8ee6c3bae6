"""What to type instead: the ends of the messages that typer gives about a command line."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any

import typer
from pydantic import BaseModel

from abstain.recipes.run.recipe import STAGES, EvalConfig, ModelConfig, Recipe, TaskConfig, find_recipe
from abstain.recipes.run.yaml_lines import read_yaml
from abstain.recipes.sweep.config import load_sweep
from abstain.rewards.errors import nearest
from abstain.trainers.stages import OfflineStage, RlStage, SftStage

TAKE_SETTINGS = ("train", "ablate")
"""The commands whose settings are written key=value."""
SHORT = {"model": "model.path", "task": "task.name", "data": "task.data", "out": "output_dir", "lr": "learning_rate"}
"""What other commands and tools call a key of a recipe."""
SECTIONS: dict[str, type[BaseModel]] = {
    "rl": RlStage,
    "offline": OfflineStage,
    "sft": SftStage,
    "format": SftStage,
    "eval": EvalConfig,
    "model": ModelConfig,
    "task": TaskConfig,
}
_NOT_ONE_OF = re.compile(r"'(?P<wrong>.*)' is not one of (?P<allowed>'.*')\.", re.DOTALL)
_KINDS = {"integer": "a whole number", "number": "a number"}
_NOT_OF_KIND = re.compile(r"Input should be a valid (integer|number)\b.*", re.DOTALL)
_BOUND = re.compile(r"Input should be (greater|less) than or equal to (.*)")


def mended(error: Any, typed: Sequence[str]) -> None:
    """Put what to type instead into an error of typer's.

    Args:
        error: a kind of `UsageError`.
        typed: the words after `abstain`.
    """
    kind = type(error).__name__
    if kind == "NoSuchOption":
        error.message += _instead_of(error, typed)
        error.possibilities = None
    elif kind == "MissingParameter":
        example = example_of(error.ctx.command.help or "")
        error.message = f"For example: {example}" if example else error.message
    elif isinstance(error, typer.BadParameter):
        error.message = with_nearest(error.message)


def with_nearest(message: str) -> str:
    """What is wrong with an option's value, with the nearest that is allowed, which typer doesn't look for.

    Example:
        >>> with_nearest("Value error, 'strct' is not one of 'strict', 'lenient'.")
        "there is no 'strct'. Did you mean 'strict'? Allowed: lenient, strict."
        >>> with_nearest("Input should be a valid integer, unable to parse string as an integer")
        'it must be a whole number.'
        >>> with_nearest("Input should be greater than or equal to 1")
        'it must be at least 1.'
    """
    message = message.removeprefix("Value error, ")  # pydantic's, which typer leaves there
    if kind := _NOT_OF_KIND.fullmatch(message):
        return f"it must be {_KINDS[kind[1]]}."
    if bound := _BOUND.fullmatch(message):
        return f"it must be at {'least' if bound[1] == 'greater' else 'most'} {bound[2]}."
    choice = _NOT_ONE_OF.fullmatch(message)
    if choice is None:
        return message
    allowed = re.findall(r"'([^']*)'", choice["allowed"])
    return f"there is no {choice['wrong']!r}. {nearest(choice['wrong'], allowed)}"


def example_of(help: str) -> str:
    """The first example in the text of a command.

    Example:
        >>> example_of("Ask.\\n\\n[bold]Examples[/bold]\\n\\b\\n  abstain ask m 'Who?'\\n  abstain ask n 'Why?'")
        "abstain ask m 'Who?'"
    """
    return next((line.strip() for line in help.splitlines() if line.strip().startswith("abstain ")), "")


def _instead_of(error: Any, typed: Sequence[str]) -> str:
    command, *rest = [word for word in typed if word != "--debug"] or [""]
    if command in TAKE_SETTINGS and (settings := as_settings(error.option_name, rest, _settings_of(command, rest))):
        others = f" (or {', '.join(settings[1:])})" if settings[1:] else ""
        return f". It is a setting of the recipe: write {settings[0]}{others}"
    options = {name for one in error.ctx.command.params for name in one.opts if name.startswith("--")}
    close, _, _ = nearest(error.option_name, options | {"--help"}).partition(" Allowed:")  # there are up to twenty
    return f". {close}" if close.startswith("Did") else f". `abstain {command} --help` lists what there is"


def as_settings(option: str, words: Sequence[str], settings: Mapping[str, Any]) -> list[str]:
    """An option that is none as `key=value`, for each key that may be meant.

    Args:
        option: as it was typed, such as `--seed`.
        words: of the command line, for its value.
        settings: of the recipe, by dotted key.

    Example:
        >>> as_settings("--seed", ["my.yaml", "--seed", "1"], {})
        ['seed=1']
        >>> as_settings("--targets", ["my.yaml", "--targets=0,0.9"], {"rl.targets": [0, 0.5]})
        ["'rl.targets=[0,0.9]'"]
    """
    name = option.lstrip("-").replace("-", "_")
    name = SHORT.get(name, name)
    value = next(_values(option, words), "")
    return [_setting(key, value, settings.get(key)) for key in _keys(name, settings)] if value else []


def _values(option: str, words: Sequence[str]) -> Iterator[str]:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == option:
            yield following
        elif word.startswith(f"{option}="):
            yield word.partition("=")[2]


def _setting(key: str, value: str, now: Any) -> str:
    text = f"[{value}]" if isinstance(now, list) and not value.startswith("[") else value
    return shlex.quote(f"{key}={text}")


def _keys(name: str, settings: Mapping[str, Any]) -> list[str]:
    """Keys of a recipe that end so: at its top, then in its sections, those that it sets before those that it may set,
    the last stage first."""
    if "." in name or (name in Recipe.model_fields and name not in SECTIONS):
        return [name]
    present = [one for one in SECTIONS if one == "eval" or any(key.startswith(f"{one}.") for key in settings)]
    for end in (f".args.{name}", f".{name}"):
        if found := [f"{one}{end}" for one in present if f"{one}{end}" in settings]:
            return found
    if found := [f"{one}.{name}" for one in present if name in SECTIONS[one].model_fields]:
        return found
    trains = [one for one in present if one in STAGES]
    return [f"{one}.args.{name}" for one in trains[:1] if _is_trls(one, name, settings)]


def _is_trls(stage: str, name: str, settings: Mapping[str, Any]) -> bool:
    from abstain.trainers.offline import CONFIGS as OFFLINE  # these take seconds, of somebody who waits for no model
    from abstain.trainers.rl import CONFIGS
    from abstain.trainers.trl_args import OWN, config_class

    algorithm = str(settings.get(f"{stage}.algorithm", ""))
    config = (CONFIGS | OFFLINE).get(algorithm, "GRPOConfig" if stage == "rl" else "SFTConfig")
    return name in {field.name for field in fields(config_class(config))} and name not in OWN


def _settings_of(command: str, words: Sequence[str]) -> dict[str, Any]:
    """The settings of the recipe that the words name, or of the base recipe of their sweep, by dotted key."""
    for word in words:
        with suppress(ValueError, OSError):
            if command == "ablate":
                return dict(_flat(load_sweep(word).recipe.model_dump(exclude_unset=True)))
            return dict(_flat(read_yaml(find_recipe(word))[0]))
    return {}


def _flat(data: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
