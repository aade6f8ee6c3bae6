"""The README's commands and code, as they stand."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from abstain.recipes.run.recipe import find_recipe, shipped_recipes

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def commands() -> list[list[str]]:
    lines = "\n".join(blocks("bash")).splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_python_runs() -> None:
    for code in blocks("python"):
        exec(compile(code, "README.md", "exec"), {})


@pytest.mark.parametrize("words", [words for words in commands() if words[0] == "make"], ids=" ".join)
def test_make_targets_exist(words: list[str]) -> None:
    assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("words", [w for w in commands() if w[0].endswith("abstain")], ids=" ".join)
def test_abstain_commands_exist_with_their_options(words: list[str]) -> None:
    _, command, *arguments = words
    shown = subprocess.run(
        [sys.executable, "-m", "abstain.recipes.cli", command, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert all(word in shown for word in arguments if word.startswith("--"))
    if command == "train":
        assert find_recipe(arguments[0]).exists()


def test_every_linked_file_exists() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", README)
    assert links and all((ROOT / link).exists() for link in links)


def test_the_table_of_commands_is_complete() -> None:
    from typer.main import get_command

    from abstain.recipes.cli import app

    assert {f"abstain {name}" for name in get_command(app).commands} <= set(re.findall(r"abstain \w+", README))


def test_every_shipped_recipe_is_mentioned() -> None:
    assert all(name in README for name in shipped_recipes())
