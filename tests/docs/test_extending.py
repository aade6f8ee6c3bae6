"""docs/extending.md: its files are written as they stand there, and its commands are typed."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
SMALL = [
    "task.n=24",
    "sft.args={use_cpu: true, max_steps: 1, per_device_train_batch_size: 4}",
    "rl.targets=[0, 0.5]",
    "rl.guards.every=1",
    "rl.args={use_cpu: true, max_steps: 2, num_generations: 2, per_device_train_batch_size: 8}",
    "rl.args.max_completion_length=3",
    "eval.targets=[0, 0.5]",
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of the page, in which commands are typed."""
    for code in [*blocks("yaml"), *blocks("python")]:
        name, text = re.match(r"# (\S+)\n(.*)", code, re.S).groups()  # type: ignore[union-attr]
        with (tmp_path / name).open("a", encoding="utf-8") as file:  # the page shows one of them in two parts
            file.write(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ABSTAIN_CACHE", str(tmp_path / "cache"))
    return tmp_path


def typed(*words: str) -> Result:
    from abstain.recipes.cli import app

    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "100"})
    assert result.exit_code == 0, result.output
    return result


def test_every_file_of_the_recipe_is_on_the_page(folder: Path) -> None:
    named = set(re.findall(r"(\w+\.py):", (folder / "own.yaml").read_text()))
    assert {*named, "my_graders.py"} == {path.name for path in folder.glob("*.py")}


def test_the_commands_of_the_page_work(folder: Path, make_tiny_model: Callable[..., Path]) -> None:
    words = ["How", "long", "is", "the", "in", "km?", "Tana", "348", *map(str, range(100, 124))]
    model = make_tiny_model(folder / "tiny", words=words)
    (commands,) = blocks("bash")
    train, rewards, evaluate, ask = (shlex.split(line, comments=True)[1:] for line in commands.splitlines())
    trained = typed(*train, f"model.path={model}", *SMALL)
    assert f"runs code: {folder / 'my_rewards.py'} (brevity, Unhedged)" in trained.stderr
    state = folder / "runs/own-0/rl/trainer_state.json"
    state = state if state.exists() else next((folder / "runs/own-0/rl").glob("checkpoint-*/trainer_state.json"))
    logged = state.read_text()
    for name in ("brevity_most_10", "unhedged_0p2", "confidence_target"):
        assert f"rewards/{name}" in logged
    assert "Characters that are short" in typed(*rewards).stdout
    assert "rivers" in typed(*evaluate, "--targets", "0").stdout
    assert "verdict" in typed(*ask).stdout


def test_the_remedy_of_the_page_lowers_the_rate(folder: Path) -> None:
    from types import SimpleNamespace

    from abstain.trainers.guards.options import OwnRemedy
    from abstain.trainers.guards.remedies import NamedRemedy
    from abstain.trainers.guards.rollouts import Rollouts

    trainer = SimpleNamespace(lr_scheduler=SimpleNamespace(base_lrs=[0.4]))
    options = OwnRemedy(name="my_remedies.py:Slower", args={"factor": 0.25})
    remedy = NamedRemedy(options, trainer, Rollouts())
    assert (remedy.kinds, remedy.title) == (("all_idk", "all_guess"), "my_remedies.py:Slower")
    assert remedy.apply(3, None) == "the learning rate is 0.25 of what it was"  # type: ignore[arg-type]
    assert trainer.lr_scheduler.base_lrs == [0.1]
