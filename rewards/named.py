"""Things of somebody's own by name: `package.module:Thing`, or `file.py:Thing` with the path to a file.

    rl: {rewards: [{name: my_rewards.py:brevity}]}        my_rewards.py lies beside the recipe, or where the shell is
    rl: {rewards: [{name: trl.rewards:think_format_reward}]}

A name is looked up, never evaluated: what stands before the colon is imported, what stands behind it is an attribute.
Importing runs the file, so whoever passes a name on must trust whom it came from: see `abstain.recipes.run.code`.
"""

import ast
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from inspect import Parameter
from os.path import abspath, expanduser
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from abstain.rewards.errors import nearest

_NAME = re.compile(r"(?P<where>.+\.py|[^\W\d]\w*(?:\.[^\W\d]\w*)*):(?P<thing>[^\W\d]\w*(?:\.[^\W\d]\w*)*)")


def is_named(name: object) -> bool:
    """Whether this text names something of somebody's own.

    Example:
        >>> [is_named(name) for name in ("my_rewards.py:brevity", "my.rewards:brevity", "match", "my_rewards.py", "")]
        [True, True, False, False, False]
    """
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def parted(name: str) -> tuple[str, str]:
    """The file or module that a name leads to, and what is meant in it.

    Example:
        >>> parted("code/my_rewards.py:brevity")
        ('code/my_rewards.py', 'brevity')
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name!r} names nothing: write package.module:Thing, or file.py:Thing")
    return found["where"], found["thing"]


def short(name: str) -> str:
    """The name without the folders of its file.

    Example:
        >>> short("/home/ada/code/my_rewards.py:brevity"), short("match")
        ('my_rewards.py:brevity', 'match')
    """
    return name.replace("\\", "/").rpartition("/")[2] if is_named(name) else name


def whole(name: str) -> str:
    """The same name with the whole path of its file, as seen from the working directory.

    Example:
        >>> whole("/home/ada/../bo/my_rewards.py:brevity"), whole("math:ceil")
        ('/home/bo/my_rewards.py:brevity', 'math:ceil')
    """
    where, thing = parted(name)
    return f"{abspath(expanduser(where))}:{thing}" if where.endswith(".py") else name


def located(name: str, folders: Iterable[Path]) -> str:
    """The same name with the whole path of its file, the first that is there; the name of a module stays as it is.

    Args:
        name: as somebody wrote it.
        folders: where a file is looked for, in this order.

    Raises:
        ValueError: there is no such file, with the nearest.

    Example:
        >>> located("trl.rewards:think_format_reward", [])
        'trl.rewards:think_format_reward'
        >>> located("my_rewards.py:brevity", [Path("/nowhere")])
        Traceback (most recent call last):
        ...
        ValueError: 'my_rewards.py:brevity': there is no file my_rewards.py in /nowhere
    """
    where, thing = parted(name)
    if not where.endswith(".py"):
        return name
    looked = [folder.absolute() for folder in folders]
    for folder in looked:
        path = folder / Path(where).expanduser()
        if path.is_file():
            return f"{path}:{thing}"
    raise ValueError(_no_file(name, Path(where).expanduser(), looked))


def _no_file(name: str, path: Path, folders: Sequence[Path]) -> str:
    places = list(dict.fromkeys((folder / path).parent for folder in folders))
    there = {one.name for place in places if place.is_dir() for one in place.glob("*.py")}
    near = f". {nearest(path.name, there)}" if there else ""
    return f"{name!r}: there is no file {path.name} in {' or '.join(map(str, places))}{near}"


def source_of(name: str) -> Path | None:
    """The file that `find` would run for this name; nothing is run to find out. `None` if there is none.

    Example:
        >>> source_of("abstain.rewards.errors:nearest").name, source_of("no.such:thing")
        ('errors.py', None)
    """
    where, _ = parted(name)
    if where.endswith(".py"):
        path = Path(where).expanduser().absolute()
        return path if path.is_file() else None
    spec = _spec(where)
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


def is_there(name: str) -> bool:
    """Whether there is a file or module to import for this name; nothing is imported.

    Example:
        >>> is_there("math:ceil"), is_there("maths:ceil"), is_there("no_such_file.py:thing")
        (True, False, False)
    """
    where, _ = parted(name)
    return source_of(name) is not None if where.endswith(".py") else _spec(where) is not None


def _spec(module: str) -> ModuleSpec | None:
    """Where a module lies. `importlib.util.find_spec` would import the packages above it."""
    places: Sequence[str] | None = None
    spec = None
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        full = ".".join(parts[:end])
        spec = getattr(sys.modules.get(full), "__spec__", None)
        finders = [] if spec else [finder for finder in sys.meta_path if hasattr(finder, "find_spec")]
        spec = spec or next((one for finder in finders if (one := finder.find_spec(full, places))), None)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
    return spec


def find(name: str) -> Any:
    """The object of this name. Runs its file, once.

    Args:
        name: `package.module:Thing`, or `file.py:Thing`, the path as seen from the working directory.

    Raises:
        ValueError: no such file, module or attribute, with the nearest; or the file raised, with what and where.

    Example:
        >>> find("abstain.rewards.errors:nearest").__name__
        'nearest'
        >>> find("abstain.rewards.errors:neerest")
        Traceback (most recent call last):
        ...
        ValueError: abstain.rewards.errors has no 'neerest'. Did you mean 'nearest'? Allowed: nearest.
        >>> find("json.decodr:JSONDecoder")
        Traceback (most recent call last):
        ...
        ValueError: 'json.decodr:JSONDecoder': there is no module json.decodr. Did you mean 'json.decoder'?
    """
    where, thing = parted(name)
    module = _module(name, where)
    found: Any = module
    for part in thing.split("."):
        if not hasattr(found, part):
            names = getattr(found, "__all__", None) or _own_names(found)
            hint = nearest(part, names) if names else "There is nothing in it."
            raise ValueError(f"{where} has no {part!r}. {hint}")
        found = getattr(found, part)
    return found


def _own_names(place: Any) -> list[str]:
    """What is defined there, and not merely imported."""
    here = getattr(place, "__name__", "")
    return [
        name
        for name, value in vars(place).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and getattr(value, "__module__", here) == here
    ]


def _module(name: str, where: str) -> ModuleType:
    if where.endswith(".py"):
        path = Path(where).expanduser()
        if not path.is_file():
            raise ValueError(_no_file(name, path, [Path.cwd()]))
        return _imported(name, lambda: _run_file(path.absolute()))
    if _spec(where) is None:
        raise ValueError(f"{name!r}: there is no module {where}.{_meant(where, name)}")
    return _imported(name, lambda: importlib.import_module(where))


def _run_file(path: Path) -> ModuleType:
    """The module of a file, under a name of its own; what lies beside it can be imported by it."""
    stem, digest = re.sub(r"\W", "_", path.stem), sha256(str(path).encode()).hexdigest()[:8]
    key = f"abstain_named_{stem}_{digest}"
    if key in sys.modules:
        return sys.modules[key]
    spec = spec_from_file_location(key, path)
    assert spec and spec.loader, "a file that ends in .py"
    module = module_from_spec(spec)
    sys.modules[key] = module  # before it runs: its dataclasses look for it there
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[key]
        raise
    return module


def _imported(name: str, load: Callable[[], ModuleType]) -> ModuleType:
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever somebody's file does, SystemExit included
        raise ValueError(f"{name!r} cannot be imported: {said(error)}{place_of(error)}") from error


def said(error: BaseException) -> str:
    """The last line of a traceback, in one line.

    Example:
        >>> said(KeyError("gold")), said(TimeoutError())
        ("KeyError: 'gold'", 'TimeoutError')
    """
    what = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(what.split())}" if what else type(error).__name__


def place_of(error: BaseException, caller: str = __file__) -> str:
    """Where it was raised, as ` (file:line)`; "" if that is not known, or was where somebody's code was called."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != caller and not frame.filename.startswith("<frozen")]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def _meant(module: str, name: str) -> str:
    """What could have been meant by a module that is not there."""
    file = Path(*module.split(".")).with_suffix(".py")
    if file.is_file():
        return f" There is a file: write {file}:{parted(name)[1]}"
    above, _, last = module.rpartition(".")
    parent = _spec(above) if above else None
    if above and parent is None:
        return _meant(above, name)
    from importlib.metadata import packages_distributions  # reads what is installed

    places = list(parent.submodule_search_locations or ()) if parent else None
    known = [one.name for one in iter_modules(places)] if places else packages_distributions()
    near, _, _ = nearest(last, known).partition("Allowed:")
    found = near.strip().replace("Did you mean '", f"Did you mean '{above}.") if above else near.strip()
    return f" {found}" if found else " Is its package installed here? A file is named with its path, as in code/my.py"


def hint(name: str) -> str:
    """What to write instead of the name of a file alone; "" if it is no such name.

    Example:
        >>> hint("match"), hint("missing.py")
        ('', ' Say which thing in the file is meant, as in missing.py:Thing.')
    """
    if not name.endswith(".py"):
        return ""
    try:
        tree = ast.parse(Path(name).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        tree = ast.Module([], [])
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    there = [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    return f" Say which thing in the file is meant, as in {name}:{there[0] if there else 'Thing'}."


def parameters_of(name: str, thing: Any) -> dict[str, Parameter]:
    """What can be passed to a thing, by name; without `self`.

    Raises:
        ValueError: it cannot be called, or does not say how.
    """
    if not callable(thing):
        kind = type(thing).__name__
        raise ValueError(f"{short(name)} is a {kind}, and cannot be called: name a function, a class or an instance")
    try:
        return dict(inspect.signature(thing).parameters)
    except (ValueError, TypeError):
        raise ValueError(f"{short(name)} does not say which arguments it takes: wrap it in a function") from None


def takes_any(parameters: Mapping[str, Parameter]) -> bool:
    """Whether there is a `**rest`."""
    return any(one.kind is Parameter.VAR_KEYWORD for one in parameters.values())


def by_name(parameters: Mapping[str, Parameter], filled: Collection[str] = ()) -> dict[str, Parameter]:
    """Those that can be passed by name, but for those that something else fills."""
    kinds = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return {name: one for name, one in parameters.items() if one.kind in kinds and name not in filled}


def check_options(
    name: str,
    parameters: Mapping[str, Parameter],
    options: Iterable[str],
    filled: Collection[str] = (),
    what: str = "argument",
) -> None:
    """Refuse options that a signature lacks, and a signature that wants more.

    Args:
        name: whose signature.
        parameters: from `parameters_of`.
        options: that are given.
        filled: parameters that something else fills.
        what: such an option is called.

    Raises:
        ValueError: an unknown option, with the nearest; a missing one.

    Example:
        >>> def brevity(completions, most=20, **columns): ...
        >>> check_options("brevity", parameters_of("", brevity), ["mots"], filled=["completions"])
        Traceback (most recent call last):
        ...
        ValueError: brevity has no argument 'mots'. Did you mean 'most'? Allowed: most.
    """
    known, given = by_name(parameters, filled), list(options)
    for option in given:
        if option not in known:
            allowed = nearest(str(option), known) if known else "It takes none."
            raise ValueError(f"{short(name)} has no {what} {option!r}. {allowed}")
    missing = [one for one, at in known.items() if at.default is Parameter.empty and one not in given]
    if missing:
        also = f"; what is filled in is {', '.join(filled)}" if filled else ""
        raise ValueError(
            f"{short(name)} lacks the {what} {' and '.join(map(repr, missing))}, which has no default{also}"
        )
