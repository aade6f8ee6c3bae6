"""What mkdocs is told besides mkdocs.yml: the nav, and pages of the files outside of docs/ that pages link to.

The nav follows the table in docs/README.md, then come the reference, the log, and README, CONTRIBUTING and CHANGELOG.
The reference names things as they are imported; where they are defined is looked up.
"""

import importlib
import posixpath
import re
from pathlib import Path
from typing import Any

from griffe import Extension, Object
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
REFERENCE = ("rewards", "evals", "trainers", "recipes")
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(?=[)#])")
NAMED = re.compile(r"^::: (abstain\.[\w.]+)\.(\w+)$", re.M)


@event_priority(100)  # before mkdocstrings, which drops places that are not there yet
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Set the nav, and let the folders be found as abstain.rewards and so on."""
    links = ROOT / "build" / "typing" / "abstain"
    links.mkdir(parents=True, exist_ok=True)
    for name in REFERENCE:
        if not (links / name).exists():
            (links / name).symlink_to(Path("..", "..", "..", name))
    docs = Path(config.docs_dir)
    index = (docs / "README.md").read_text(encoding="utf-8")
    pages = [link for link in dict.fromkeys(LINK.findall(index)) if re.fullmatch(r"[\w-]+\.md", link)]
    rest = sorted(page.name for page in docs.glob("*.md") if page.name not in (*pages, "README.md", "recipes.md"))
    log = sorted(f"log/{page.name}" for page in (docs / "log").glob("*.md"))
    config.nav = [
        {"What to do": ["README.md", *(page for page in pages if page != "recipes.md"), *rest]},
        {"Reference": ["recipes.md", *(f"reference/{name}.md" for name in REFERENCE)]},
        {"Log": ["log/README.md", *(page for page in log if page != "log/README.md")]},
        {"Project": [f"project/{name}" for name in PROJECT]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the project's own pages, and a page for every file outside of docs/ that a page links to."""
    waiting = {name: f"project/{name}" for name in PROJECT}
    seen: set[str] = set()
    for page in list(files.documentation_pages()):
        waiting |= _outside(f"docs/{page.src_uri}", page.content_string)
    while waiting:
        name, uri = waiting.popitem()
        if name in seen:
            continue
        seen.add(name)
        content = _content(name)
        files.append(File.generated(config, uri, content=content))
        if name in PROJECT:
            waiting |= _outside(name, content)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as they lead on the site."""
    here = page.file.src_uri
    if here.startswith("source/"):
        return markdown
    if here.startswith("reference/"):
        markdown = NAMED.sub(lambda found: f"::: {defined(found[1], found[2])}", markdown)
    origin = here.removeprefix("project/") if here.startswith("project/") else f"docs/{here}"

    def lead(link: re.Match[str]) -> str:
        name = _target(origin, link[1])
        return link[1] if name is None else posixpath.relpath(_uri(name), posixpath.dirname(here))

    return LINK.sub(lead, markdown)


def defined(package: str, name: str) -> str:
    """Where a class or function is defined that a package passes on."""
    thing = getattr(importlib.import_module(package), name)
    return f"{thing.__module__}.{thing.__qualname__}"


class Examples(Extension):
    """Shows "Example:" of our docstrings as what it is; the parser knows "Examples:"."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.M)


def _outside(origin: str, markdown: str) -> dict[str, str]:
    """Files and folders outside of what mkdocs takes from docs/, from their names to where their pages are."""
    names = filter(None, (_target(origin, link) for link in LINK.findall(markdown)))
    return {name: _uri(name) for name in names if _uri(name).startswith(("source/", "project/"))}


def _target(origin: str, link: str) -> str | None:
    """What a link leads to, seen from the root; `None` if nothing is there."""
    name = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
    return name if not name.startswith("..") and (ROOT / name).exists() else None


def _uri(name: str) -> str:
    """Where a file or folder of the project is on the site."""
    if name in PROJECT:
        return f"project/{name}"
    if name.startswith("docs") and not name.startswith("docs/make/"):
        inside = name.removeprefix("docs").removeprefix("/")
        return posixpath.join(inside, "README.md") if (ROOT / name).is_dir() else inside
    return f"source/{name}.md"


def _content(name: str) -> str:
    path = ROOT / name
    if name in PROJECT:
        return path.read_text(encoding="utf-8")
    if path.is_dir():
        listed = "\n".join(f"- `{inside.name}`" for inside in sorted(path.iterdir()) if inside.name[0] not in "._")
        return f"# {name}\n\n{listed}\n"
    language = {".py": "python", ".yaml": "yaml", ".yml": "yaml"}.get(path.suffix, "text")
    return f"# {name}\n\n````{language}\n{path.read_text(encoding='utf-8')}\n````\n"
