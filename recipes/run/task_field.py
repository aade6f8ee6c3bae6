"""What a recipe may write for a task, and where it looks for the files named there.

    task: my.csv                                  {name: qa, data: my.csv}
    task: {data: my.csv}                          {name: qa, data: my.csv}
    task: letters                                 {name: letters}

A file is looked for beside the recipe, then in the folder the command is typed in; one that the command line names,
the other way round. What is found is written down by its whole path, so that a run's own recipe works from anywhere.
"""

import copy
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from abstain.evals.tasks.catalogue import TASKS
from abstain.evals.tasks.rows import READERS
from abstain.recipes.run.code import place_code
from abstain.recipes.run.yaml_lines import KeyPath, read_yaml, write_yaml
from abstain.rewards.named import is_named

DATA = ("data", "train_data", "test_data")
"""Options of a task that name files."""
_AT: tuple[tuple[str, ...], ...] = (("task",), ("eval", "task"))
_FILES = (*((at, DATA) for at in _AT), (("labels",), ("path",)))
"""Sections, and their options that name files."""


def spelled_out(task: Any) -> Any:
    """A task as a mapping with its name, if it is a text, or names data and no task; else as it is.

    Example:
        >>> spelled_out("my.csv"), spelled_out({"data": "my.csv", "limit": 9}), spelled_out("letters")
        ({'name': 'qa', 'data': 'my.csv'}, {'name': 'qa', 'data': 'my.csv', 'limit': 9}, {'name': 'letters'})
    """
    if isinstance(task, str):
        return {"name": "qa", "data": task} if _is_file(task) else {"name": task}
    if isinstance(task, dict) and "name" not in task and any(key in task for key in DATA):
        return {"name": "qa", **task}
    return task


def _is_file(text: str) -> bool:
    if text in TASKS or is_named(text):
        return False
    path = Path(text).expanduser()
    return path.suffix.lower() in READERS or text.startswith((".", "/", "~")) or _is_there(path)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long for a file
        return False


def spell_out_tasks(data: dict[str, Any]) -> None:
    """`spelled_out`, for the tasks of a recipe, in place."""
    for at in _AT:
        holder: Any = data
        for key in at[:-1]:
            holder = holder.get(key) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and at[-1] in holder:
            holder[at[-1]] = spelled_out(holder[at[-1]])


def place_data(data: dict[str, Any], folder: Path, typed: Collection[KeyPath] = ()) -> None:
    """Write the whole path for every file of a recipe's tasks that is there, and of its labels, in place.

    A name that leads to no file stays as it is: it may be a data set of the hub, and whoever reads it will say.

    Args:
        data: the recipe, its tasks spelled out.
        folder: where the recipe lies.
        typed: keys that the command line set.
    """
    for at, options in _FILES:
        task: Any = data
        for key in at:
            task = task.get(key) if isinstance(task, dict) else None
        if not isinstance(task, dict):
            continue
        for option in options:
            keys: list[KeyPath] = [(*at, option)[:end] for end in range(1, len(at) + 2)]
            folders = [folder, Path()]
            if any(key in typed for key in keys):
                folders.reverse()
            value = task.get(option)
            if isinstance(value, str):
                task[option] = _placed(value, folders)
            elif isinstance(value, list):
                task[option] = [_placed(part, folders) if isinstance(part, str) else part for part in value]


def with_whole_paths(recipe: Path) -> bytes:
    """A recipe's file, for a copy elsewhere: what it names beside itself is written by its whole path."""
    data, _ = read_yaml(recipe)
    spell_out_tasks(data)
    before = copy.deepcopy(data)
    place_data(data, recipe.parent)
    place_code(data, recipe.parent)
    return recipe.read_bytes() if data == before else write_yaml(data).encode()


def _placed(name: str, folders: list[Path]) -> str:
    """Its whole path in the first of the folders that has it."""
    path = Path(name).expanduser()
    found = (folder / path for folder in folders if _is_there(folder / path))
    first = next(found, None)
    return os.path.abspath(first) if first is not None and name else name
