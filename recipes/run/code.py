"""The code that a recipe names: which file will run is said before it runs, and a stranger's needs a person's word.

    rl: {rewards: [{name: my_rewards.py:brevity}]}        runs code: /home/ada/my_rewards.py (brevity)

A recipe that names code is a program. One that lies in a run directory, or comes from the hub, may be somebody
else's, and runs no code without `--allow-code`. Reports and tables read recipes as data and import nothing.
"""

import json
import re
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abstain.evals.records import write_text
from abstain.recipes.run.console import say
from abstain.recipes.run.yaml_lines import KeyPath, read_yaml
from abstain.rewards.named import is_named, is_there, located, parted, source_of

if TYPE_CHECKING:
    from abstain.recipes.run.recipe import Origin, Recipe

HUB = "hf:"
"""How the name of a recipe on the hub begins: `hf:ORG/NAME`, or `hf:ORG/NAME@REVISION`."""
RECIPE = "recipe.yaml"
_TASK = ("name", "grader")
_REWARD = (("name",), ("args", "grader"), ("args", "scoring"))
_admitted: set[tuple[Path, str]] = set()  # recipe files, and what was said of each in this process


@dataclass(frozen=True)
class Code:
    """A key of a recipe that names code.

    Args:
        at: the key.
        name: `file.py:Thing` or `package.module:Thing`; or a model, whose repository carries the code.
    """

    at: KeyPath
    name: str

    @property
    def file(self) -> str:
        """What will run."""
        if not is_named(self.name):
            return f"what the repository of {self.name} carries"
        return str(source_of(self.name) or parted(self.name)[0])

    @property
    def thing(self) -> str:
        """What is wanted of it."""
        return parted(self.name)[1] if is_named(self.name) else "trust_remote_code"

    def __str__(self) -> str:
        return f"{self.file} ({self.thing})"


def code_in(data: Mapping[str, Any]) -> list[Code]:
    """Everything in a recipe that names code.

    Args:
        data: as YAML has it, or a recipe's `model_dump()`.

    Example:
        >>> [code.at for code in code_in({"rl": {"rewards": [{"name": "truthrl"}, {"name": "my.py:brevity"}]}})]
        [('rl', 'rewards', 1, 'name')]
    """
    named = [Code(at, value) for at in _places(data) if is_named(value := _value(data, at))]
    model = _value(data, ("model",))
    if isinstance(model, Mapping) and model.get("trust_remote_code") is True:
        named.append(Code(("model", "trust_remote_code"), str(model.get("path"))))
    return named


def _places(data: Mapping[str, Any]) -> Iterator[KeyPath]:
    """Keys that may name code."""
    for task in (("task",), ("eval", "task")):
        yield from ((*task, key) for key in _TASK)
    rewards, remedies = _value(data, ("rl", "rewards")), _value(data, ("rl", "guards", "remedies"))
    for place in range(len(rewards) if isinstance(rewards, list) else 0):
        yield from (("rl", "rewards", place, *keys) for keys in _REWARD)
    for place in range(len(remedies) if isinstance(remedies, list) else 0):
        yield "rl", "guards", "remedies", place, "name"


def _value(data: Any, at: KeyPath) -> Any:
    """What stands under a key, `None` if nothing does."""
    for key in at:
        inside = isinstance(data, Mapping) or (isinstance(data, list) and isinstance(key, int))
        try:
            data = data[key] if inside else None
        except (KeyError, IndexError):
            return None
    return data


def place_code(data: Any, folder: Path, typed: Collection[KeyPath] = ()) -> None:
    """Write the whole path of every file that names code and is there, in place.

    Args:
        data: a recipe as YAML has it.
        folder: where it lies, and where files are looked for first; then where the command was typed.
        typed: keys that the command line set, whose files are looked for the other way round.
    """
    for code in code_in(data) if isinstance(data, Mapping) else []:
        folders = _folders(folder, _is_typed(code.at, typed))
        try:
            name = located(code.name, folders)
        except ValueError:
            continue  # `missing_code` says so, with file and line
        _value(data, code.at[:-1])[code.at[-1]] = name


def missing_code(recipe: "Recipe", origin: "Origin") -> Iterator[tuple[KeyPath, str]]:
    """Files that a recipe names and that are not there."""
    for code in code_in(recipe.model_dump()):
        if is_named(code.name):
            try:
                located(code.name, _folders(origin.file.parent, _is_typed(code.at, origin.overridden)))
            except ValueError as error:
                yield code.at, str(error)


def _folders(recipe: Path, typed: bool) -> list[Path]:
    folders = [recipe.absolute(), Path.cwd()]
    return folders[::-1] if typed else folders


def _is_typed(at: KeyPath, typed: Collection[KeyPath]) -> bool:
    return any(at[:end] in typed for end in range(1, len(at) + 1))


def admit(recipe: "Recipe", origin: "Origin", *, allow: bool = False, command: Sequence[str] = ()) -> None:
    """Say which code a recipe is going to run, once; nothing of it is imported here.

    Args:
        recipe: what will run.
        origin: where it was read, and which keys somebody typed: those are his own word.
        allow: whether a person has allowed the code of this recipe.
        command: what to type to allow it.

    Raises:
        ValueError: the recipe is from elsewhere, and nobody has allowed its code.
    """
    there = [code for code in code_in(recipe.model_dump()) if not is_named(code.name) or is_there(code.name)]
    file = origin.file.absolute()
    new = [code for code in there if (file, str(code)) not in _admitted]
    foreign = from_elsewhere(recipe, origin.file) if new else ""
    asked = [code for code in new if foreign and not allow and not _is_typed(code.at, origin.overridden)]
    asked = [code for code in asked if not _note(origin.file.parent, code).exists()]
    if asked:
        listed = "".join(f"\n  {origin.of(code.at)}: {code}" for code in asked)
        how = f"type: {shlex.join(command)}" if command else "add --allow-code"
        raise ValueError(
            f"{origin.file} {foreign}, and names code that would run on this machine:{listed}\n"
            f"Read it. If you trust it, {how}"
        )
    files: dict[str, list[str]] = {}
    for code in new:
        _admitted.add((file, str(code)))
        files.setdefault(code.file, []).append(code.thing)
    for path, things in files.items():
        say(f"runs code: {path} ({', '.join(dict.fromkeys(things))})", whole=True)


def from_elsewhere(recipe: "Recipe", file: Path) -> str:
    """Why a recipe may be somebody else's; "" if nothing says so."""
    if recipe.made_with or (file.parent / "state.json").exists():
        return "lies in a run directory"
    from huggingface_hub import constants  # takes a moment

    return "comes from the hub" if file.absolute().is_relative_to(Path(constants.HF_HUB_CACHE).absolute()) else ""


def remember(recipe: "Recipe") -> None:
    """Note that this user lets this code run in this run directory: it needs no further word there."""
    for code in code_in(recipe.model_dump()):
        write_text(_note(recipe.run_path, code), "")


def is_own(recipe: "Recipe") -> bool:
    """Whether this user began the run that a recipe continues, with the same code."""
    begun = (recipe.run_path / "state.json").exists()
    return begun and all(_note(recipe.run_path, code).exists() for code in code_in(recipe.model_dump()))


def _note(run: Path, code: Code) -> Path:
    """An empty file among the user's own, which no run directory can bring along."""
    from abstain.evals.tasks.factworld_model import cache_dir  # imports torch

    key = json.dumps([str(run.resolve()), code.name])
    return cache_dir() / "allowed-code" / sha256(key.encode()).hexdigest()[:32]


def hub_recipe(name: str) -> Path:
    """The `recipe.yaml` of a repository on the hub, with the files beside it that it names code in. Nothing is run.

    Args:
        name: `hf:ORG/NAME`, or `hf:ORG/NAME@REVISION`.

    Raises:
        ValueError: it is written otherwise.
        FileNotFoundError: there is no such recipe, or the hub cannot be reached.
    """
    repository, _, revision = name.removeprefix(HUB).partition("@")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"'{name}' is no recipe of the hub: write hf:ORG/NAME, or hf:ORG/NAME@REVISION")
    try:
        path = _download(repository, RECIPE, revision)
    except (OSError, ValueError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise FileNotFoundError(f"{name}: there is no {RECIPE} to be had: {reason}") from None
    for code in code_in(read_yaml(path)[0]):
        where = Path(parted(code.name)[0]) if is_named(code.name) else Path()
        if where.suffix == ".py" and not where.is_absolute() and ".." not in where.parts:
            try:
                _download(repository, where.as_posix(), revision)
            except (OSError, ValueError):
                continue  # it is looked for here, and missed with file and line
    return path


def _download(repository: str, file: str, revision: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repository, file, revision=revision or None))
