"""Labels on their way: each is on disk as soon as it is made, so that whoever was interrupted goes on from there.

labels/my-model/
    labels.partial.jsonl    the settings in the first line, then a label a line; gone when all are made
    labels.jsonl, labels.json
"""

import fcntl
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from abstain.evals.knowledge.labels import ABOUT, Label, Labels, read_labels
from abstain.evals.knowledge.protocol import PRESETS, Protocol

PARTIAL = "labels.partial.jsonl"
OPTION = "--option "
TYPED = ("prompts", "shots", "samples", "grader")
"""Settings that the command has an option for."""
_OWN = {field.name for field in fields(Protocol)} - {"max_new_tokens"}  # which is an option of the task
Settings = Mapping[str, Any]
"""`fingerprint`, `task`, `task_options` and `protocol`, as in `About`."""


class Kept:
    """Labels that there are already, by the id of their question, in memory only."""

    def __init__(self) -> None:
        self.rows: dict[str, Label] = {}

    def add(self, rows: Sequence[Label]) -> None:
        """These are made."""
        self.rows |= {row.id: row for row in rows}


class PartialLabels(Kept):
    """Labels in a file that grows by whole lines.

    Args:
        file: opened for appending; the lines that are in it are in `rows`.
        rows: what there is.
    """

    def __init__(self, file: IO[bytes], rows: Mapping[str, Label]) -> None:
        super().__init__()
        self.rows = dict(rows)
        self._file = file

    def add(self, rows: Sequence[Label]) -> None:
        super().add(rows)
        self._file.write("".join(row.model_dump_json() + "\n" for row in rows).encode("utf-8"))
        self._file.flush()


def check_free(folder: Path, *, resume: bool) -> None:
    """Refuse a folder that holds labels, unless they are gone on with.

    Raises:
        FileExistsError: it does.
    """
    partial, done = folder / PARTIAL, (folder / ABOUT).is_file()
    if not resume and (done or (partial.exists() and partial.stat().st_size)):
        what = "labels" if done else "labels that are not finished"
        raise FileExistsError(
            f"{folder} already holds {what}: add --resume to go on with them, or --out DIR for another directory"
        )


@contextmanager
def going_on(folder: Path, settings: Settings, *, resume: bool, model: str = "this model") -> Iterator[PartialLabels]:
    """What an earlier labelling with these settings left in the folder, and a place to add to it.

    Args:
        folder: made if need be.
        settings: what labels depend on.
        resume: whether there may be anything. The labels of a finished labelling are taken up, too.
        model: its name, for messages.

    Raises:
        FileExistsError: there are labels, and `resume` is false.
        BlockingIOError: another process is adding to them.
        ValueError: they were made with other settings; the message says with which, and what to type.
    """
    check_free(folder, resume=resume)
    path, done, new = folder / PARTIAL, (folder / ABOUT).is_file(), not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(f"another process is labelling into {folder}: wait, or stop it") from None
        if done:
            there = read_labels(folder)
            _check(folder, there.about.model_dump(mode="json"), settings, model)
        found = _read(file, path, folder, settings, model)
        store = PartialLabels(file, ({row.id: row for row in there.rows} if done else {}) | found)
        try:
            yield store
        except BaseException as error:
            if store.rows:
                kept = f"{len(store.rows):,} labels are kept in {folder}"
                error.add_note(f"{kept}: the same command with --resume goes on from there")
            else:
                path.unlink()
                if new:
                    folder.rmdir()
            raise


def finish(folder: Path, labels: Labels) -> None:
    """Write the labels to stay, and take away the file that they grew in."""
    labels.save(folder)
    (folder / PARTIAL).unlink(missing_ok=True)


def _read(file: IO[bytes], path: Path, folder: Path, settings: Settings, model: str) -> dict[str, Label]:
    """The labels in a file, whose last line is taken off if it is torn; an empty file gets its first line."""
    file.seek(0)
    data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        file.truncate(len(whole))
    if not whole:
        file.write(json.dumps(dict(settings), ensure_ascii=False).encode("utf-8") + b"\n")
        file.flush()
        return {}
    head, *lines = whole.decode("utf-8", "replace").split("\n")[:-1]  # texts may hold other ends, such as U+2028
    try:
        _check(folder, json.loads(head), settings, model)
        rows = [Label.model_validate_json(line) for line in lines]
    except (json.JSONDecodeError, ValidationError, AttributeError, KeyError):
        raise ValueError(f"{path} cannot be read: remove it, and label again") from None
    return {row.id: row for row in rows}


def _check(folder: Path, was: Settings, settings: Settings, model: str) -> None:
    """Refuse to go on with what was made otherwise."""
    if was.get("fingerprint") != settings["fingerprint"]:
        raise ValueError(
            f"cannot resume {folder}: its labels say what another model knows (fingerprint {was.get('fingerprint')}, "
            f"that of {model} is {settings['fingerprint']}). Choose another directory with --out DIR"
        )
    old, new = _flat(was), _flat(settings)
    if changed := [key for key in {**old, **new} if old.get(key) != new.get(key)]:
        said = "; ".join(f"{key} was {_plain(old.get(key))}, is {_plain(new.get(key))}" for key in changed)
        raise ValueError(
            f"cannot resume {folder}: {said}. To go on as before type {_typed(was, changed)}, or choose another "
            "directory with --out DIR"
        )


def _flat(settings: Settings) -> dict[str, Any]:
    options = {f"{OPTION}{key}": value for key, value in settings.get("task_options", {}).items()}
    return {"task": settings.get("task"), **options, **settings.get("protocol", {})}


def _plain(value: Any) -> str:
    return "absent" if value is None else value if isinstance(value, str) else json.dumps(value)


def _typed(was: Settings, changed: Sequence[str]) -> str:
    """The options that say these settings, as far as they have changed."""
    how, options = dict(was["protocol"]), dict(was["task_options"])
    words = [f"--task {shlex.quote(was['task'])}"] if "task" in changed else []
    for key in changed:
        name = key.removeprefix(OPTION)
        if key.startswith(OPTION):
            said = shlex.quote(f"{name}={_plain(options[name])}") if name in options else ""
            words.append(f"{OPTION}{said}" if said else f"no {key}")
    if any(key in _OWN for key in changed):
        usual = PRESETS.get(how["preset"], Protocol()).as_dict()
        words.append(f"--preset {how['preset']}")
        words += [f"--{key} {how[key]}" for key in TYPED if key in how and how[key] != usual[key]]
    words += [f"--{key.replace('_', '-')} {how[key]}" for key in ("seed", "prompt_format") if key in changed]
    words += [f"--option max_new_tokens={how['max_new_tokens']}"] if "max_new_tokens" in changed else []
    return " ".join(words)
