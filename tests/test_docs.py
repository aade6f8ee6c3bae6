"""README, CONTRIBUTING and docs/: commands and code as they stand, tables that are made, names that are there."""

import importlib
import json
import re
import runpy
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from abstain.evals.audit.findings import audit
from abstain.evals.audit.sources import own_source
from abstain.evals.meta_evaluation import read_benchmarks, render_benchmarks
from abstain.evals.metrics.measuring import measure
from abstain.evals.records import Record
from abstain.evals.rescore.rescoring import rescore
from abstain.recipes.cli import app
from abstain.recipes.run.recipe import find_recipe, shipped_recipes
from abstain.rewards.verdict import Verdict

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
EXTRAS = {"inspect_ai", "lm_eval"}  # of plug-ins for other harnesses
each_page = pytest.mark.parametrize("page", PAGES, ids=NAMES)


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def read(name: str) -> str:
    return text_of(ROOT / name)


def code_in(text: str) -> set[str]:
    """What stands between backticks, line breaks not counted."""
    return {
        " ".join(code.split())
        for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.S))
    }


def commands(text: str, program: str) -> list[list[str]]:
    """In blocks, indented lines and between backticks."""
    blocks = "\n".join(re.findall(r"```bash\n(.*?)```", text, re.S)).replace("\\\n", " ").splitlines()
    lines = [*blocks, *re.findall(r"^    (\S.*)", text, re.M), *code_in(text)]
    parts = [part.strip().removeprefix(".venv/bin/") for line in lines for part in line.split(";")]
    return [shlex.split(part, comments=True) for part in parts if part.startswith(f"{program} ")]


def keys_of(value: Any) -> set[str]:
    """Every key in nested objects and lists."""
    if isinstance(value, dict):
        return {str(key) for key in value} | {key for inner in value.values() for key in keys_of(inner)}
    return {key for inner in value for key in keys_of(inner)} if isinstance(value, list) else set()


def records() -> list[Record]:
    def row(id: int, target: float, verdict: Verdict) -> Record:
        text = f"Who? {id} t = {target}"
        return Record(str(id), "toy", "Who?", ("Bo",), target, text, "Bo", "Bo", verdict, (id + 1) / 6)

    verdicts = {0.0: "CORRECT", 0.5: "CORRECT", 0.9: "ABSTAINED"}
    return [row(id, t, Verdict(known if id > 2 else "INCORRECT")) for t, known in verdicts.items() for id in range(5)]


# --- commands and code


@each_page
def test_commands_exist_with_their_options(page: Path) -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    for _, name, *words in commands(text_of(page), "abstain"):
        if name.startswith("-") or "|" in words:
            continue
        options = {option for parameter in known[name].params for option in parameter.opts}
        assert all(word in options for word in words if word.startswith("--")), [name, *words]
        if name in ("train", "ablate") and words and re.fullmatch(r"[a-z][a-z0-9-]+", words[0]):
            assert words[0] in shipped_recipes() or (ROOT / "recipes" / "sweeps" / f"{words[0]}.yaml").exists()
        elif name == "train" and words and words[0].startswith("recipes/"):
            assert find_recipe(words[0]).exists()


@each_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", read("Makefile"), re.M))
    assert {words[1] for words in commands(text_of(page), "make")} <= targets


@each_page
def test_files_and_modules_that_are_named_exist(page: Path) -> None:
    code = code_in(text_of(page)) | {word for words in commands(text_of(page), "python") for word in words}
    for name in code:
        if re.fullmatch(r"(rewards|evals|trainers|recipes|tests|docs)/[\w/.-]*", name) and not re.search(
            r"[A-Z]{4}", name
        ):
            assert (ROOT / name).exists(), name
        elif re.fullmatch(r"abstain(\.\w+)+", name):
            assert thing(name), name


def thing(name: str) -> Any:
    """A module, or something in one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name in EXTRAS:
            return True
        module, _, attribute = name.rpartition(".")
        return getattr(importlib.import_module(module), attribute, None)


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)]+)\)", text_of(page)):
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def headings(page: Path) -> set[str]:
    lines = [line.lower() for line in re.findall(r"^#+ (.*)", text_of(page), re.M)]
    return {re.sub(r"[^\w\- ]", "", line).replace(" ", "-") for line in lines}


def test_python_in_the_readme_runs() -> None:
    for code in re.findall(r"```python\n(.*?)```", read("README.md"), re.S):
        exec(compile(code, "README.md", "exec"), {})


# --- nothing is left out


def test_the_readme_has_every_command_and_recipe() -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    assert {f"abstain {name}" for name in known} <= set(re.findall(r"abstain \w+", read("README.md")))
    assert all(name in read("README.md") for name in shipped_recipes())


def test_every_page_is_in_an_index() -> None:
    for folder in (DOCS, DOCS / "log"):
        linked = set(re.findall(r"\]\(([\w-]+\.\w+)\)", text_of(folder / "README.md")))
        assert linked >= {page.name for page in folder.glob("*.md") if page.name != "README.md"}


def test_the_map_has_every_floor_in_its_order() -> None:
    floors = re.findall(r'^    "(\w+\.\w+)",$', read("tests/test_import_law.py"), re.M)
    assert re.findall(r"^\| `(\w+\.\w+)` \|", read("CONTRIBUTING.md"), re.M) == floors


def test_every_key_of_metrics_is_explained() -> None:
    page = read("docs/metrics.md")
    assert runpy.run_path(str(DOCS / "make" / "metrics_keys.py"))["with_keys"](page) == page, "make it anew"
    assert not keys_of(measure(records(), model="m", task="t")) - code_in(page) - {"level", "seed"}


def test_every_key_of_a_re_scored_log_is_explained(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("id,grade,confidence\na,1,0.9\nb,0,0.2\nc,1,0.7\n")
    rescored = rescore([log])
    rescored.save(tmp_path / "out")
    saved = json.loads((tmp_path / "out" / "metrics.json").read_text())
    known = code_in(read("docs/rescoring.md")) | code_in(read("docs/metrics.md")) | {"level", "seed"}
    assert not keys_of(saved) - known and saved["level"] == 2


def test_every_key_of_an_audit_is_explained() -> None:
    rows = records()
    guesses = [row for row in rows if row.target == 0]
    found = audit(measure(rows, model="m", task="t"), rows, own_source("m", guesses), resamples=20)
    known = code_in(read("docs/audit.md")) | {"level", "resamples", "seed", "p", "attempted"}
    ends = ("_ci", "_bracket")
    missing = {key for key in keys_of(found) - known if not (key.endswith(ends) and key.rsplit("_", 1)[0] in known)}
    assert not missing - {"steps", "overall"}


# --- what is made


def test_the_example_of_the_paper_is_what_comes_out(tmp_path: Path) -> None:
    page = read("docs/rescoring.md")
    table = re.search(r"<<'END'\n(.*?)END", page, re.S)
    shown = re.search(r"```text\n(.*?)\n```", page, re.S)
    assert table and shown
    log = tmp_path / "simpleqa.csv"
    log.write_text(table[1])
    assert shown[1] in rescore([log], [0, 0.5, 0.75]).render("text", width=100)


def test_the_table_of_benchmarks_is_what_comes_out() -> None:
    assert render_benchmarks(read_benchmarks(), "markdown") in read("docs/implied-targets.md")


def test_the_plug_ins_tasks_are_there() -> None:
    tasks = {path.stem for path in (ROOT / "evals" / "harnesses" / "lm_eval").glob("abstain_*.yaml")}
    assert tasks == {name for name in code_in(read("docs/plugins.md")) if re.fullmatch(r"abstain_\w+", name)}


def test_no_arrow_of_the_picture_points_down() -> None:
    drawing = runpy.run_path(str(DOCS / "make" / "imports.py"))
    imports = drawing["read_imports"]()
    floors = drawing["stacked"](imports)
    drawing["threaded"](floors, [(name, other) for name, above in imports.items() for other in above])
