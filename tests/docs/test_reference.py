"""The script of docs/python.md runs, docs/recipes.md has every key and meaning, the API pages every public name."""

import importlib
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from abstain.evals import load_model, read_card
from abstain.recipes.run.recipe import Recipe, load_recipe, shipped_recipes

from ..conftest import PEOPLE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "make" / "recipe_reference.py"))


def scripts() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.S)


def test_the_script_is_short_and_runs_and_saves_how_the_model_is_asked(
    tmp_path: Path,
    make_tiny_model: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_tiny_model(tmp_path / "tiny")
    rows = [f"Where was {name} born?,Lima" for name in PEOPLE]
    (tmp_path / "questions.csv").write_text("\n".join(["question,answer", *rows]), encoding="utf-8")
    code, saving = scripts()
    assert len([line for line in code.splitlines() if line]) <= 25
    for shown, small in (
        ("HuggingFaceTB/SmolLM2-135M", "tiny"),
        ("=100", '=2, use_cpu=True, bf16=False, report_to="none"'),
    ):
        assert code.count(shown) == 1
        code = code.replace(shown, small)
    found: dict[str, Any] = {}
    exec(compile(code, "docs/python.md", "exec"), found)
    assert found["trainer"].state.global_step == 2
    exec(compile(saving, "docs/python.md", "exec"), found)
    card = read_card(tmp_path / "runs/mine/model")
    assert card and card.targets == [0, 0.5, 0.75, 0.9] and card.answer_format == "plain"
    assert load_model(tmp_path / "runs/mine/model").model.num_parameters() == found["loaded"].model.num_parameters()
    table = capsys.readouterr().out
    assert re.search(r"0\.9 before .*\n\s+after ", table) and "4 questions of qa" in table


# --- docs/recipes.md


def test_the_page_of_keys_is_fresh(made: dict[str, Any]) -> None:
    page = (DOCS / "recipes.md").read_text(encoding="utf-8")
    assert made["with_tables"](page) == page, "make it anew: python docs/make/recipe_reference.py"


def test_every_key_has_a_meaning(made: dict[str, Any]) -> None:
    roots = list(made["ROOTS"].values())
    models = {model for root in roots for _, model in made["_below"](root, "")} | set(roots)
    assert len(models) > 8
    silent = [
        f"{model.__name__}.{name}" for model in models for name, told in made["meanings"](model).items() if not told
    ]
    assert not silent, "write a docstring under the field"


def test_keys_of_shipped_recipes_are_on_the_page() -> None:
    page = (DOCS / "recipes.md").read_text(encoding="utf-8")
    for name in shipped_recipes():
        recipe, _ = load_recipe(name)
        assert all(f"| `{key}` |" in page for key in recipe.model_fields_set)
    assert Recipe.model_fields.keys() <= set(re.findall(r"^\| `(\w+)` \|", page, re.M))


def test_what_a_key_may_hold_in_words(made: dict[str, Any]) -> None:
    from typing import Literal

    class Inner(BaseModel):
        """Inner."""

    class Model(BaseModel):
        count: int | None = Field(None, ge=1)
        """A count, of
        things | others."""
        share: float = Field(0.5, gt=0, lt=1)
        which: Literal["one", "two"] = "one"
        inner: Inner
        several: list[Inner] = Field(default_factory=list)
        names: dict[str, Any] = Field(default_factory=dict)

    words = {name: made["kind"](field) for name, field in Model.model_fields.items()}
    assert words == {
        "count": "whole number, at least 1",
        "share": "number, above 0, below 1",
        "which": "`one`, `two`",
        "inner": "keys below",
        "several": "list of keys below",
        "names": "keys and values",
    }
    table = made["_table"](Model, {Inner: "`a.inner`"})
    assert "| `count` | whole number, at least 1 | `null` | A count, of things \\| others. |" in table
    assert "| `inner` | [keys](#ainner) | *required* |  |" in table


# --- the API reference

PACKAGES = {
    "abstain.rewards": "rewards",
    "abstain.evals": "evals",
    "abstain.trainers": "trainers",
    "abstain.recipes.run": "recipes",
    "abstain.recipes.sweep": "recipes",
}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_on_its_page(package: str) -> None:
    page = (DOCS / "reference" / f"{PACKAGES[package]}.md").read_text(encoding="utf-8")
    shown = set(re.findall(rf"^::: {re.escape(package)}\.(\w+)$", page, re.M)) | set(re.findall(r"`(\w+)`", page))
    assert set(importlib.import_module(package).__all__) <= shown


@pytest.mark.parametrize("page", sorted((DOCS / "reference").glob("*.md")), ids=lambda page: page.stem)
def test_what_a_page_names_is_there_and_told(page: Path) -> None:
    for package, name in re.findall(r"^::: (\S+)\.(\w+)$", page.read_text(encoding="utf-8"), re.M):
        thing = getattr(importlib.import_module(package), name)
        assert thing.__doc__ and thing.__module__.startswith("abstain."), f"{package}.{name}"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_or_a_network(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    here = tmp_path / "clone"  # in which nothing has been built yet
    shutil.copytree(ROOT, here, ignore=shutil.ignore_patterns(".*", "build", "runs", "*.egg-info", "__pycache__"))
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    site = here / "build" / "site"
    page = (site / "reference" / "rewards.html").read_text(encoding="utf-8")
    for part in ("ConfidenceTarget", "Parameters:", "Raises:", "Examples:", 'href="../grading.html"'):
        assert part in page
    for html in site.rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', html.read_text(encoding="utf-8")
        )
        assert not loaded, html
