"""From a file and a model to a recipe that runs, and refusals whose last words, typed, work."""

import csv
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import abstain.recipes.cli.init as command
from abstain.recipes.cli import app
from abstain.recipes.init.choices import RATES, Choice, plan_memory
from abstain.recipes.init.data import Typed, look_at_data
from abstain.recipes.init.model import Machine, Model
from abstain.recipes.init.writing import plain, recipe_text
from abstain.recipes.run.checks import check_recipe
from abstain.recipes.run.recipe import Recipe, load_recipe
from abstain.recipes.run.yaml_lines import parse_yaml

DOCS = Path(__file__).resolve().parents[2] / "docs" / "your-own-data.md"
SHORT = [
    *("format.args.max_steps=1", "sft.args.max_steps=1", "rl.args.max_steps=1", "eval.stages=false"),
    *("rl.args.per_device_train_batch_size=16", "eval.limit=8", "eval.train_limit=8"),
]
"""What makes a recipe of the tiny model end in seconds."""


def write(path: Path, rows: list[list[object]], delimiter: str = ";") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def people(count: int = 80) -> list[list[object]]:
    golds = ["Oslo; Christiania", "Lima", "Rome; Roma", "Lima"]
    return [["Nr", "Frage", "Antworten"], *([i, f"Where was P{i} born?", golds[i % 4]] for i in range(count))]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> Path:
    """A folder with `my.csv` and `my-model`, which is typed in."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "my.csv", people())
    (tmp_path / "my-model").symlink_to(tiny_model)
    return tmp_path


def test_the_commands_of_the_page_run(place: Path, abstain: Callable) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    assert [words[1] for words in lines] == ["init", "train", "ask", "report", "eval", "init"]
    said = [abstain(*words[1:], *(SHORT if words[1] == "train" else [])) for words in lines]
    assert "Next: abstain train my.yaml" in said[0].stderr
    assert {"records.jsonl", "metrics.json", "table.md", "model"} <= {
        path.name for path in (place / "runs/my-0").iterdir()
    }
    card = (place / "runs" / "my-0" / "model" / "README.md").read_text(encoding="utf-8")
    assert str(place) not in card
    tasks = re.findall(r"```yaml\n(task: .*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    for number, task in enumerate(tasks):
        (place / f"t{number}.yaml").write_text(f"name: t\n{task}model: {{path: my-model}}\nrl: {{}}\n")
        recipe, origin = load_recipe(f"t{number}.yaml")
        check_recipe(recipe, origin)
        assert recipe.task.name == "qa" and recipe.task.options["data"] == str(place / "my.csv")


def test_what_was_found_is_printed_and_written(place: Path, abstain: Callable) -> None:
    said = abstain("init", "--data", "my.csv", "--model", "my-model")
    shown = said.stdout
    assert max(map(len, shown.splitlines())) <= 100
    for words in (
        "cells separated by semicolons",
        "'Frage', by what",
        "separated by '; '",
        "0 % short",
        "format, sft, rl",
    ):
        assert words in shown
    text = (place / "my.yaml").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 119
    recipe, origin = load_recipe("my.yaml")
    check_recipe(recipe, origin)
    assert recipe.task.options["separator"] == "; " and recipe.rl is not None and recipe.rl.guards is not None
    assert recipe.format is not None and recipe.format.limit == 13  # a third of 40
    assert recipe.rl.args["max_steps"] == 27  # two passes over 27 questions at four targets, eight a step
    chosen = [line for line in text.splitlines() if re.match(r"\s+(- )?\w+: [^{]", line)]
    above = [before for before, line in zip(text.splitlines(), text.splitlines()[1:], strict=False) if line in chosen]
    bare = [
        one
        for one, before in zip(chosen, above, strict=True)
        if " # " not in one and not before.strip().startswith("#")
    ]
    assert not bare


def test_a_recipe_elsewhere_finds_file_and_model(
    place: Path, abstain: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "data").mkdir()
    (place / "there").mkdir()
    (place / "my.csv").rename(place / "data" / "my.csv")
    said = abstain("init", "--data", "data/my.csv", "--model", "my-model", "--out", "there/r.yaml")
    assert "Next: abstain train there/r.yaml" in said.stderr
    monkeypatch.chdir(place / "there")
    recipe, _ = load_recipe("r.yaml")
    assert Path(recipe.task.options["data"]).samefile(place / "data" / "my.csv")
    assert Path(recipe.model.path).is_dir() and recipe.name == "r"


# --- refusals, and what they say to type


def answers(rows: list[list[object]], place: int = 2) -> list[list[object]]:
    return [
        rows[0],
        *([*row[:place], "", *row[place + 1 :]] if i % 20 == 3 else row for i, row in enumerate(rows[1:])),
    ]


NAMELESS = [["left", "right"], *([f"P{i} lives", "in Oslo"] for i in range(80))]
TWO = [["Frage", "links", "rechts"], *([f"Where was P{i} born?", "Oslo", "Lima"] for i in range(80))]


@pytest.mark.parametrize(
    ("name", "rows", "typed", "says"),
    [
        ("mine.csv", None, ["--data", "mne.csv"], "no file 'mne.csv'"),
        ("mine.csv", TWO, ["--data", "mine.csv"], "which column holds the answers, 'links' or 'rechts'?"),
        ("mine.csv", NAMELESS, ["--data", "mine.csv"], "no question column, neither by name"),
        ("mine.csv", answers(people()), ["--data", "mine.csv"], "4 bad rows"),
        ("mine.csv", people(24), ["--data", "mine.csv"], "holds 24 usable questions"),
        ("mine.csv", people(), ["--data", "."], ". is a folder"),
        ("mine.csv", people(), ["--data", "mine.csv", "--out", "there.yaml"], "there.yaml is there already"),
        ("mine.csv", people(), ["--data", "mine.csv", "--out", "no/r.yaml"], "there is no folder no"),
        ("simpleqa.csv", people(), ["--data", "simpleqa.csv"], "SimpleQA is for evaluation only"),
    ],
)
def test_what_a_refusal_says_to_type_works(
    name: str, rows: list | None, typed: list[str], says: str, place: Path, abstain: Callable
) -> None:
    (place / "my.csv").unlink()
    (place / "there.yaml").write_text("mine")
    write(place / name, rows or people())
    refused = abstain("init", *typed, "--model", "my-model", code=2).stderr
    message = " ".join(refused.split())
    assert says in message and message.count("error:") == 1
    *_, suggestion = re.finditer(r"(?:abstain (?:init|eval)|mkdir) .*", message)
    words = shlex.split(suggestion[0])
    if words[0] == "mkdir":
        assert words == ["mkdir", "-p", "no"]
        return
    result = CliRunner().invoke(app, words[1:])
    if result.exit_code:  # then the answers are not sure, either, and what it says next leads on
        assert "no question" in says
        words = shlex.split(re.findall(r"abstain init .*", " ".join(result.stderr.split()))[-1])
        result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, result.output
    assert (place / "there.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.xlsx", b"PK\x03\x04", "Excel file, not text: save its sheet as CSV"),
        ("x.csv", b"a\x00\x01b", "binary, not text"),
        (
            "x.csv",
            "question;answer\nWer?;José\n".encode("latin-1"),
            "iconv -f WINDOWS-1252 -t UTF-8 x.csv > x-utf8.csv",
        ),
        ("x.csv", b"", "holds no rows"),
        ("x.csv", b"question,answer\n", "holds no rows"),
        ("x.csv", b"question,answer,answer\nWho?,a,b\n", "two columns are called 'answer'"),
        ("x.csv", b"Where?,Rome\nWho?,Poe\n", "begins with a question"),
        ("x.csv", b"question\nWho?\nWhere?\n", "no answers column"),
        ("x.csv", b"question,answer\n" + b"Who was it?,a\n" * 80, "only 0 of 80 questions are left to train on"),
    ],
)
def test_other_files_are_refused_in_a_sentence(
    name: str, data: bytes, says: str, place: Path, abstain: Callable
) -> None:
    (place / name).write_bytes(data)
    message = " ".join(abstain("init", "--data", name, "--model", "my-model", code=2).stderr.split())
    assert says in message and not list(place.glob("*.yaml"))


def test_a_model_that_cannot_be_loaded(place: Path, abstain: Callable) -> None:
    message = abstain("init", "--data", "my.csv", "--model", "./none", code=2).stderr
    assert "no model at ./none" in message and not list(place.glob("*.yaml"))


# --- asking


def test_only_a_terminal_is_asked(place: Path, abstain: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.typer, "prompt", None)  # which would fail
    abstain("init", "--data", "my.csv", "--model", "my-model")


def test_a_person_is_asked_what_is_not_sure(place: Path) -> None:
    asked = []

    def ask(what: str, columns: list[str], default: str) -> str:
        asked.append((what, list(columns), default))
        return {"question": "Frage", "answers": "Antworten", "subject": "Nr"}[what]

    data = look_at_data(Typed("my.csv", "m"), {}, ask)
    columns = ["Nr", "Frage", "Antworten"]
    assert asked == [("question", columns, "Frage"), ("answers", columns, "Antworten"), ("subject", columns, "")]
    assert data.options["subject_column"] == "Nr"
    with pytest.raises(ValueError, match=r"no column 'x'. Allowed: Antworten, Frage, Nr"):
        look_at_data(Typed("my.csv", "m"), {}, lambda *_: "x")


def test_a_field_of_study_is_no_subject(tmp_path: Path) -> None:
    rows = [["question", "answer", "subject"], *([f"Where is P{i}?", "Oslo", f"field {i % 5}"] for i in range(80))]
    data = look_at_data(Typed(str(write(tmp_path / "x.csv", rows)), "m"), {})
    assert data.options["subject_column"] == "" and "has 5 values, a field" in data.subject
    assert len(data.task.held_out) == 40


# --- the rules


def test_memory_by_hand() -> None:
    """100 M parameters take 1.6 GB; a token (34 * 10 * 100 + 6 * 1000) = 40,000 bytes; a prompt of 20 and 8 * 10 new
    tokens 4 MB."""
    model = Model("m", 100_000_000, 10, 100, 1_000, True, None)
    plan = plan_memory(model, Machine("cpu", 3_000_000_000, True), prompt=20, room=10, wished=256)
    assert (plan.lora, plan.whole, plan.completions, plan.fits) == (False, 1.6e9, 256, True)
    assert plan.needed == 1.6e9 + 32 * 4e6
    tight = plan_memory(model, Machine("cpu", 2_300_000_000, True), prompt=20, room=10, wished=256)  # 1.61 GB usable
    assert (tight.lora, tight.completions) == (False, 16)
    adapters = plan_memory(model, Machine("cpu", 1_000_000_000, True), prompt=20, room=10, wished=256)
    assert adapters.lora and adapters.needed == 250e6 + 32 * 4e6
    assert not plan_memory(model, Machine("cpu", 100_000_000, True), prompt=20, room=10, wished=256).fits


def test_rates_are_those_of_the_shipped_recipes() -> None:
    for rates, name in zip(RATES, ("quickstart", "smollm2-geo", "qwen3-simpleqa"), strict=True):
        recipe, _ = load_recipe(name)
        assert recipe.rl is not None and name in rates.recipe
        assert recipe.rl.args["learning_rate"] == (rates.lora_rl if recipe.model.lora else rates.rl)
        if recipe.sft:
            assert recipe.sft.args["learning_rate"] == rates.sft
        if recipe.format:
            assert recipe.format.args["learning_rate"] == rates.taught


@given(st.text(max_size=40), st.text(max_size=200))
def test_any_name_and_comment_is_read_back(name: str, why: str) -> None:
    task = {"name": Choice("qa"), "data": Choice(name, why), "question_column": Choice(name)}
    whole = {"name": Choice("r"), "task": task, "model": {"path": Choice("m")}, "rl": {}}
    try:
        name.encode()
        why.encode()
    except UnicodeEncodeError:
        return
    assert parse_yaml(recipe_text(whole, [why]), "r")[0] == plain(whole)


# --- a file as a task, in any recipe


def recipe_in(folder: Path, task: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "r.yaml"
    path.write_text(f"name: r\ntask: {task}\nmodel: {{path: m}}\nrl: {{}}\n")
    return path


@pytest.mark.parametrize("task", ["q.csv", "{data: q.csv}", "{name: qa, data: q.csv}"])
def test_data_is_looked_for_beside_the_recipe_then_here(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = recipe_in(tmp_path / "a", task)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def data(*overrides: str) -> object:
        return load_recipe(str(path), overrides)[0].task.options["data"]

    assert data() == "q.csv"  # nowhere yet: whoever reads it says so
    (tmp_path / "here" / "q.csv").touch()
    assert data() == str(tmp_path / "here" / "q.csv")
    (tmp_path / "a" / "q.csv").touch()
    assert data() == str(tmp_path / "a" / "q.csv")
    assert data("task.data=q.csv") == str(tmp_path / "here" / "q.csv")  # typed here
    assert data("task.limit=3") == str(tmp_path / "a" / "q.csv")
    assert load_recipe(str(path), ["task=letters"])[0].task.name == "letters"
    other = load_recipe(str(path), ["eval.task=q.csv"])[0].eval.task
    assert other is not None and other.options["data"] == str(tmp_path / "here" / "q.csv")


def test_a_name_is_no_file_and_a_file_needs_no_name() -> None:
    def named(task: object) -> str:
        return Recipe.model_validate({"name": "r", "task": task, "model": {"path": "m"}, "rl": {}}).task.name

    assert [named(task) for task in ("letters", "leters", "q.csv", "./q", {"train_data": "a", "test_data": "b"})] == [
        *("letters", "leters", "qa", "qa", "qa")
    ]
    with pytest.raises(ValueError, match="name"):
        named({"people": 100})


def test_a_run_of_a_file_is_resumed_from_another_folder(
    place: Path, abstain: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "r.yaml").write_text(
        f"name: r\ntask: my.csv\nmodel: {{path: {place / 'my-model'}}}\n"
        "sft: {answers: gold, args: {use_cpu: true, max_steps: 1, per_device_train_batch_size: 4}}\n"
    )
    run = place / "runs" / "r"
    abstain("train", "r.yaml", f"output_dir={run}", "eval.limit=4", "eval.train_limit=4", "task.max_new_tokens=3")
    (place / "sub").mkdir()
    monkeypatch.chdir(place / "sub")
    options = ["eval.limit=4", "eval.train_limit=4", "task.max_new_tokens=3"]
    abstain("train", "../r.yaml", f"output_dir={run}", *options, "--resume")
    stored = (run / "recipe.yaml").read_text(encoding="utf-8")
    assert str(place / "my.csv") in stored
    again, _ = load_recipe(str(run / "recipe.yaml"))
    assert again.task.options["data"] == str(place / "my.csv")
    assert json.loads((run / "metrics.json").read_text(encoding="utf-8"))["task"] == "qa"
