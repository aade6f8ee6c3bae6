"""The recipes of docs/mixes.md load, are checked, and choose what the page says."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from abstain.evals.knowledge.fingerprint import fingerprint
from abstain.evals.tasks.question import Question
from abstain.recipes.run import labelling
from abstain.recipes.run.checks import check_recipe
from abstain.recipes.run.directory import RunDir
from abstain.recipes.run.recipe import load_recipe
from abstain.recipes.run.steps import Run
from abstain.trainers.mix import Mix, mixed

from ..conftest import PEOPLE, save_tiny_model
from ..labelled import label_of, labels_by_turns

PAGE = (Path(__file__).parents[2] / "docs" / "mixes.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.S)
CATEGORIES = ("HighlyKnown", "MaybeKnown", "WeaklyKnown", "Unknown", "Unknown")
TOLD = [
    ["sft: 8 questions: 4 HighlyKnown (50 %), 4 MaybeKnown (50 %)"],
    ["sft: 20 questions: 4 HighlyKnown (20 %), 8 MaybeKnown (40 %), 4 WeaklyKnown (20 %), 4 Unknown (20 %)"],
    [""],
    ["", ""],
    ["", "rl: 20 questions: 4 HighlyKnown (20 %), 4 MaybeKnown (20 %), 4 WeaklyKnown (20 %), 8 Unknown (40 %)"],
    ["sft: 4 questions: 1 HighlyKnown (25 %), 1 MaybeKnown (25 %), 2 Unknown (50 %)"],
]
"""What each gives of twenty questions, 4 of each category and 8 Unknown."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path) -> Callable[[str], str]:
    """A block as a whole recipe, of twenty training questions."""
    monkeypatch.chdir(tmp_path)
    for side, first, last in (("train", 0, 20), ("test", 20, 24)):
        names = [f"{PEOPLE[i % len(PEOPLE)]} {i}" for i in range(first, last)]
        rows = ["question,answer", *(f"Where was {name} born?,Lima" for name in names)]
        (tmp_path / f"{side}.csv").write_text("\n".join(rows), encoding="utf-8")

    def _recipe(block: str) -> str:
        task = "{name: qa, train_data: train.csv, test_data: test.csv, max_new_tokens: 3}"
        text = f"name: mine\ntask: {task}\nmodel: {{path: {model}}}\n{block}"
        (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
        return str(tmp_path / "mine.yaml")

    return _recipe


def test_there_are_six() -> None:
    assert len(BLOCKS) == len(TOLD) == 6


@pytest.mark.parametrize(("block", "told"), zip(BLOCKS, TOLD, strict=True))
def test_a_recipe_gives_what_it_says(
    block: str, told: list[str], recipe: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        labelling,
        "cached_labels",
        lambda loaded, task, asked, *_, **__: labels_by_turns(asked, CATEGORIES, fingerprint(loaded.model)),
    )
    loaded, origin = load_recipe(recipe(block))
    check_recipe(loaded, origin)
    directory = RunDir(loaded.run_path)
    directory.open(loaded, resume=False)
    run = Run(loaded, directory, say=lambda text: None)
    run.run("labels")
    tasks = run.training.tasks()
    assert len(tasks.taught.train) == 20
    assert [run.training.mix_in_words(name, tasks) for name in loaded.stages] == told


def test_the_mistake_on_the_page() -> None:
    """Of ten relations of 100 Unknown questions and 100 others, 2,000 questions cannot be to 90 % Unknown."""
    relations = ["P36", *(f"P{number}" for number in range(9))]
    questions = [
        Question(f"{relation} {i}", "Who?", ("Bo",), metadata={"relation": relation})
        for relation in relations
        for i in range(200)
    ]
    known = {
        question.id: label_of(question, ("Unknown", "HighlyKnown")[place % 2])
        for place, question in enumerate(questions)
    }
    with pytest.raises(ValueError, match=r"^sft.mix: 180 Unknown") as error:
        mixed(questions, known, Mix(unknown=0.9, size=2000), 0, "sft.mix")
    assert f"error: {error.value}\n" in PAGE


def test_the_weights_on_the_page() -> None:
    weights = [math.exp(-((p - 0.9) ** 2) / (2 * 0.2**2)) for p in (1, 0.5, 0)]
    assert [f"{weight:.{digits}f}"[1:] for weight, digits in zip(weights, (2, 2, 5), strict=True)] == [
        ".88",
        ".14",
        ".00004",
    ]
    assert all(f"{weight}" in PAGE for weight in (".88", ".14", ".00004"))
