"""A tiny model, a question file and a recipe for both: enough to run every command for real within seconds."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

PEOPLE = [f"P{i}" for i in range(24)]
CITIES = ["Oslo", "Lima", "Rome"]
RECIPE = """\
name: tiny
task: {{name: qa, data: {data}, max_new_tokens: 3}}
model: {{path: {model}}}
sft:
  answers: gold
  args: {{use_cpu: true, max_steps: 1, per_device_train_batch_size: 4}}
rl:
  targets: [0, 0.5]
  args:
    use_cpu: true
    num_generations: 2
    per_device_train_batch_size: 8
    max_steps: 12
    save_steps: 4
    max_completion_length: 3
eval:
  targets: [0, 0.5]
"""


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory, make_tiny_model: Callable[..., Path]) -> Path:
    """A directory with a model that knows the words of `question_file` and of the instructions."""
    import torch

    torch.set_num_threads(1)  # threads cost more than they bring to a model of this size
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny", words=[*PEOPLE, *CITIES])


@pytest.fixture(scope="session")
def question_file(tmp_path_factory) -> Path:
    """24 questions with gold answers, as JSONL."""
    path = tmp_path_factory.mktemp("data") / "people.jsonl"
    rows = [
        {"id": name, "question": f"Where was {name} born?", "answers": [CITIES[i % 3]], "subject": name}
        for i, name in enumerate(PEOPLE)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def recipe_text(tiny_model, question_file) -> str:
    """A recipe of two short stages."""
    return RECIPE.format(data=question_file, model=tiny_model)


@pytest.fixture
def recipe(tmp_path, monkeypatch, recipe_text) -> Path:
    """It, alone in the current directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "recipe.yaml"
    path.write_text(recipe_text, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def abstain() -> Callable[..., Result]:
    """`abstain("eval", ..., code=2)` runs a command line in this process, which must end with that exit code."""
    from abstain.recipes.cli import app

    def _run(*arguments: object, code: int = 0, columns: int = 100) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": str(columns)})
        assert result.exit_code == code, result.output
        return result

    return _run


@pytest.fixture(scope="session")
def small() -> list[str]:
    """What makes two short steps of each stage of a shipped recipe."""
    return [
        "sft.limit=64",
        "sft.args.max_steps=2",
        "sft.args.per_device_train_batch_size=8",
        "rl.args.max_steps=2",
        "rl.args.num_generations=4",
        "rl.args.per_device_train_batch_size=32",
        "eval.limit=20",
        "eval.train_limit=20",
    ]
