"""Which files of a folder are logs, and which format a log has: told from what is in it, never from its name alone."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Any

from abstain.evals.files import LINE_LIMIT, parse_json, read_document
from abstain.evals.logs import every_eval_ever, helm, inspect_log, lighteval, lm_eval, plain, simple_evals
from abstain.evals.logs.archive import members, unpack
from abstain.evals.logs.batch import Batch, Options, Problems, printable
from abstain.evals.logs.summaries import Summary, is_summary

Rows = Iterator[Batch | Summary]
LineReader = Callable[[Path, Options, Problems], Iterable[Batch | Summary]]
_HEAD = 1 << 16
RECORDS = "records.jsonl"
_LOOK = 50
_LINES: list[tuple[str, Callable[[Any], bool], LineReader]] = [
    (lm_eval.NAME, lm_eval.is_row, lm_eval.read),
    (every_eval_ever.NAME, every_eval_ever.is_row, every_eval_ever.read),
    (plain.NAME, lambda row: isinstance(row, dict), plain.read_jsonl),
]
_DOCUMENTS = (inspect_log, simple_evals, helm)
_WRONG_FILES = (
    ({"results", "configs"}, "lm-eval's means only: give the samples_*.jsonl beside it (run with --log_samples)"),
    ({"config_general", "results"}, "lighteval's means only: give details/*.parquet (run with --save-details)"),
    ({"evaluation_results"}, "Every Eval Ever's means only: give the instance-level .jsonl"),
    ({"score", "score:std"}, "simple-evals' means only: give *_allresults.json, or the .html beside it"),
    ({"adapter_spec", "scenario_spec"}, f"a HELM run's settings: give {helm.STATS} beside it"),
    ({"by_target", "mean_regret"}, f"abstain's own numbers: give the {RECORDS} beside it"),
)
_SUFFIXES = (".eval", ".jsonl", ".csv", ".tsv", ".parquet", ".json", ".html")
_PACKED = re.compile(r".*\.(?:eval|jsonl|csv|tsv|parquet|json|html)\.(?:gz|zst|bz2|xz|zip)", re.IGNORECASE)
_OURS = {
    *("metrics.json", "rankings.json", "audit.json", "reworded.jsonl", "state.json", "start.json", "sweep.json"),
    *("trackers.json", "guards.json", "guards.jsonl", "examples.jsonl", "samples.jsonl"),
    *("labels.json", "labels.jsonl", "labels.partial.jsonl", "looks.jsonl"),
}
_OF_MODELS = {
    *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "vocab.json", "adapter_config.json", "preprocessor_config.json"),
    "model.safetensors.index.json",
}
_OUR_MARKS = (RECORDS, "table.md", "recipe.yaml", "sweep.json")
_RUN = re.compile(rb'"(eval_id|run_id|task_id)"\s*:\s*"([^"]{1,200})"')
_SMALL = 8 << 20  # a JSON document is looked at before it is read
_NAMED = 3


def find_logs(
    paths: Iterable[str | Path], problems: Problems | None = None, known: set[Path] | None = None
) -> list[Path]:
    """The files to read: those named, and in a folder all that may be logs, in the order of their paths.

    Files that go with a log are left out: the same run in another form (simple-evals' page beside its
    `_allresults.json`, Inspect's `.json` beside its `.eval`), means, settings and models. So are files without rows of
    any kind. Links to folders are not followed, and hidden files are not looked at.

    Args:
        paths: files and folders.
        problems: told which files of a folder are read and which are not, and of those that cannot be opened.
        known: files that were found before, resolved, which are left out; those found now are added.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: a folder without logs.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     for name in ("b.csv", "a.jsonl", "config.json", "notes.txt"):
        ...         _ = Path(folder, name).write_text('{"seed": 1}')
        ...     [path.name for path in find_logs([folder])]
        ['a.jsonl', 'b.csv']
    """
    problems = Problems() if problems is None else problems
    known = set() if known is None else known
    found: list[Path] = []
    for given in map(Path, paths):
        path = given.expanduser()
        if path.is_dir():
            inside = _Folder(path, problems).logs()
        elif path.exists():
            inside = [path]
        else:
            link = f", a link to {path.readlink()}" if path.is_symlink() else ""
            raise FileNotFoundError(f"no file {str(path)!r}{link}")
        for log in inside:
            if (real := log.resolve()) in known:
                problems.note(log, "given twice, read once")
            else:
                known.add(real)
                found.append(log)
    return found


class _Folder:
    """The files of a folder that are read, and why the others are not."""

    def __init__(self, path: Path, problems: Problems) -> None:
        self.path = path
        self.problems = problems
        self.beside: list[Path] = []
        self.means: dict[Path, str] = {}
        self.objects: list[Path] = []
        self.not_logs: dict[Path, str] = {}
        self.unreadable: list[str] = []

    def logs(self) -> list[Path]:
        """All that may be logs.

        Raises:
            ValueError: there are none.
        """
        found = [path for path in self._files() if self._may_be_log(path)]
        archives = {path.stem: path for path in found if path.suffix.lower() == ".eval"}
        logs = [path for path in found if not _is_same_run(path, archives.get(path.stem, path))] or self.objects
        self.beside += [path for path in found if path not in set(logs)]
        if not logs:
            self.not_logs |= self.means
            why = self._reasons() or f"none of {', '.join(f'*{suffix}' for suffix in _SUFFIXES)}"
            raise ValueError("; ".join([f"{self.path}: no log in this folder: {why}", *self.unreadable[:_NAMED]]))
        self.beside += self.means
        if logs is not self.objects:
            self.not_logs |= dict.fromkeys(self.objects, "one object, as means are; to read it, give it by itself")
        if self.beside or self.not_logs or len({path.suffix for path in logs}) > 1:
            told = [f"read {_several([self._name(path) for path in logs])}"]
            if self.beside:
                told.append(f"{len(self.beside):,} more go with {'it' if len(logs) == 1 else 'them'}")
            if self.not_logs:
                told.append(f"not read: {self._reasons()}")
            self.problems.note(self.path, "; ".join(told))
        return logs

    def _name(self, path: Path) -> str:
        return printable(str(path.relative_to(self.path)), 60)

    def _reasons(self) -> str:
        return _several([f"{self._name(path)} ({printable(why, 100)})" for path, why in self.not_logs.items()])

    def _files(self) -> list[Path]:
        """The files inside that can be opened and whose names are those of logs, in order."""
        files: list[Path] = []
        for folder, inner, names in os.walk(self.path, onerror=self._unreadable):
            for name in inner:
                link = Path(folder, name)
                if link.is_symlink() and not link.resolve().is_relative_to(self.path.resolve()):
                    self.not_logs[link] = "a link to a folder; give that by itself"
            inner[:] = [name for name in inner if not name.startswith(".") and name != "__pycache__"]
            files += [Path(folder, name) for name in names if not name.startswith(".")]
        good = []
        for path in sorted(files):
            if _PACKED.fullmatch(path.name):
                self.not_logs[path] = "packed; unpack it first"
            elif path.suffix.lower() in _SUFFIXES or path.is_symlink():
                try:
                    if not S_ISREG(path.stat().st_mode):
                        self.not_logs[path] = "a pipe or a device"  # to open it might take for ever
                    elif path.suffix.lower() in _SUFFIXES:
                        path.open("rb").close()
                        good.append(path)
                except OSError as error:
                    self._unreadable(error)
        return good

    def _unreadable(self, error: OSError) -> None:
        path = Path(os.fsdecode(error.filename))
        what = f"a link to {path.readlink()}, which cannot be read" if path.is_symlink() else "cannot be read"
        self.unreadable.append(f"{path}: {what}: {error.strerror}")
        self.problems.add(self.path, "unreadable", f"{self.unreadable[-1]}; left out", lost=False)

    def _may_be_log(self, path: Path) -> bool:
        if _goes_with_another(path):
            self.beside.append(path)
            return False
        suffix = path.suffix.lower()
        if suffix == ".html":
            return _is_page(path)
        if suffix != ".json" or path.stat().st_size > _SMALL:
            return True
        value, why = parse_json(path.read_bytes())
        if why or any(one.is_document(value) for one in _DOCUMENTS):
            return True  # if it was cut off, who reads it will say so
        if not isinstance(value, dict):
            return True
        means = next((what for keys, what in _WRONG_FILES if keys <= set(value)), "")
        if means:
            self.means[path] = means
        elif not _lists_of_rows(value):
            if is_summary({key: [one] for key, one in value.items()}):
                self.objects.append(path)
            else:
                self.not_logs[path] = "JSON, but no list of objects in it"
        return not means and bool(_lists_of_rows(value))


def _goes_with_another(path: Path) -> bool:
    """Whether a file lies beside a log that it is a part of, or the same run in another form."""
    name, folder = path.name, path.parent
    above = (folder, *folder.parents[:2])  # guards.json lies in rl/checkpoint-400/
    if name in _OURS and any((place / mark).is_file() for place in above for mark in _OUR_MARKS):
        return True
    if name == "trainer_state.json" or (name in _OF_MODELS and (folder / "config.json").is_file()):
        return True
    if path.suffix in (".json", ".html") and not name.endswith("_allresults.json"):
        if path.with_name(f"{path.stem}_allresults.json").is_file():
            return True
        page = path.with_suffix(".html")
        if page != path and page.is_file() and _is_page(page):
            return True
    main = next((one for one in (helm.STATS, helm.STATE) if (folder / one).is_file()), name)
    return path.suffix == ".json" and name != main


def _is_page(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return simple_evals.is_page(file.read(_HEAD))
    return False


def _is_same_run(path: Path, archive: Path) -> bool:
    """Whether an Inspect log is the same run as another one."""
    return path.suffix.lower() == ".json" and path != archive and _run_names(path) == _run_names(archive) != {}


def _run_names(path: Path) -> dict[bytes, bytes]:
    """The names that Inspect gave to a run; none if they cannot be read."""
    with suppress(ValueError, OSError):
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if head.startswith(b"PK\x03\x04"):
            found = {member.name: member for member in members(path)[0]}
            start = found.get("header.json") or found.get("_journal/start.json")
            head = unpack(path, start)[:_HEAD] if start else b""
        return dict(reversed(_RUN.findall(head)))  # the first of each name
    return {}


def _several(names: list[str]) -> str:
    """Some names, and how many there are."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def open_log(path: Path, options: Options, problems: Problems) -> tuple[str, Rows]:
    """The name of a log's format, and its rows.

    Raises:
        ValueError: not a log that can be read; the message says what it is instead, and what to give.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    if not head.strip():
        raise ValueError(f"{path}: empty")
    if head.startswith(b"PK\x03\x04"):
        return inspect_log.NAME, inspect_log.read_archive(path, options, problems)
    if head.startswith(b"PAR1"):
        return _parquet(path, options, problems)
    if head.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ")):
        raise ValueError(f"{path}: packed; unpack it first")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in head:
        raise ValueError(f"{path}: not UTF-8 text, nor any binary log that is known")
    return _text(path, head.removeprefix(b"\xef\xbb\xbf").lstrip(), options, problems)


def _parquet(path: Path, options: Options, problems: Problems) -> tuple[str, Rows]:
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        columns = set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: damaged Parquet: {str(error)[:100]}") from None
    if columns >= lighteval.COLUMNS:
        return lighteval.NAME, lighteval.read(path, options, problems)
    return plain.NAME, plain.read_parquet(path, options, problems)


def _text(path: Path, head: bytes, options: Options, problems: Problems) -> tuple[str, Rows]:
    if head.startswith(b"{"):
        row, alone = _first_row(path, head)
        if row is not None and not _fills_a_file(row, alone):
            name, read = next((name, read) for name, is_row, read in _LINES if is_row(row))
            return name, iter(read(path, options, problems))
    if head[:1] in (b"{", b"["):
        return _document(path, read_document(path, problems.add), options, problems)
    if head.startswith(b"<"):
        if not simple_evals.is_page(head):
            raise ValueError(f"{path}: a web page, and not one that simple-evals writes")
        return simple_evals.NAME, simple_evals.read_page(path, options, problems)
    return plain.NAME, plain.read_csv(path, options, problems)


def _first_row(path: Path, head: bytes) -> tuple[dict[str, Any] | None, bool]:
    """The first line that is an object by itself, if any, and whether there is no other line."""
    lines = head.split(b"\n")
    if len(lines) == 1:  # a line longer than the head, or the only one
        with path.open("rb") as file:
            lines = [file.readline(LINE_LIMIT), file.readline(_HEAD)]
    values = (parse_json(line)[0] for line in lines[:_LOOK])
    row = next((value for value in values if isinstance(value, dict)), None)
    return row, not any(line.strip() for line in lines[1:])


def _fills_a_file(value: dict[str, Any], alone: bool) -> bool:
    """Whether an object is a whole log, in one line, rather than a row."""
    if any(one.is_document(value) for one in _DOCUMENTS):
        return True
    if not alone or any(is_row(value) for _, is_row, _ in _LINES[:-1]):
        return False
    return any(keys <= set(value) for keys, _ in _WRONG_FILES) or bool(_lists_of_rows(value))


def _lists_of_rows(value: dict[str, Any]) -> dict[str, list[Any]]:
    """The lists of objects in an object, chat messages excepted."""
    lists = {key: rows for key, rows in value.items() if isinstance(rows, list) and any(map(_is_object, rows))}
    return {key: rows for key, rows in lists.items() if not any(_is_object(row) and "role" in row for row in rows)}


def _document(path: Path, value: Any, options: Options, problems: Problems) -> tuple[str, Rows]:
    for one in _DOCUMENTS:
        if one.is_document(value):
            return one.NAME, one.read(path, value, options, problems)
    if lm_eval.is_document(value):
        return lm_eval.NAME, lm_eval.read_list(path, value, options, problems)
    if isinstance(value, dict):
        for keys, what in _WRONG_FILES:
            if keys <= set(value):
                raise ValueError(f"{path}: {what}")
        lists = _lists_of_rows(value)
        value = max(lists.values(), key=len) if lists else [value]
    if not value or not any(map(_is_object, value)):
        raise ValueError(f"{path}: JSON, but no list of objects in it")
    return plain.NAME, plain.read_list(path, value, options, problems)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
