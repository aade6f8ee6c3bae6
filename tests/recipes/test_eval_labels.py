"""`abstain eval --labels` for real, on a tiny random model: whose they are, of how many questions, where they lie."""

import csv
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from abstain.evals.knowledge.labels import About, Label, Labels
from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers
from abstain.rewards.verdict import Verdict

from .conftest import PEOPLE

QUICK = ("--targets", "0.5", "--option", "max_new_tokens=3", "--option", "held_out=0.9", "--train-limit", "1")
CATEGORIES = ("HighlyKnown", "MaybeKnown", "Unknown", "Unknown")


def save_labels(folder: Path, names: list[str] = PEOPLE, model: str = "SmolLM2-135M", task: str = "qa") -> Path:
    """Labels of these people, each fourth of a category."""
    chances = dict.fromkeys(("p_greedy", "p_sampled", "p_correct", "p_low", "p_high"), 0.5)
    said = {"greedy": (1, 0), "sampled": (1, 0), "answers": ("Lima", "Rome"), "gold": ("Lima",), "relation": ""}
    rows = tuple(
        Label(
            id=name, task=task, question=f"Where was {name} born?", category=CATEGORIES[place % 4], **chances, **said
        )
        for place, name in enumerate(names)
    )
    Labels(About(model=model, fingerprint="f", task=task, protocol={}, n=len(rows), counts={}), rows).save(folder)
    return folder


@pytest.fixture
def asked(abstain: Callable, tiny_model: Path, question_file: Path) -> Callable:
    """`asked(*options)`: the tiny model on the question file."""

    def _ask(*options: object, model: Path = tiny_model, code: int = 0):
        return abstain("eval", model, "--data", question_file, *QUICK, *options, code=code)

    return _ask


def flat(text: str) -> str:
    return " ".join(text.split())


def test_labels_of_another_model_split_table_and_metrics(asked: Callable, tmp_path: Path) -> None:
    labels = save_labels(tmp_path / "labels", PEOPLE[:16])
    result = asked("--labels", labels, "--out", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    names = [group["category"] for group in found["by_category"]]
    counts = [group["n"] for group in found["by_category"]]
    assert names == ["HighlyKnown", "MaybeKnown", "Unknown"] and found["labels_of"] == "SmolLM2-135M"
    assert found["unlabelled"] == found["n"] - sum(counts) > 0
    each = f"{counts[0]} HighlyKnown, {counts[1]} MaybeKnown, 0 WeaklyKnown, {counts[2]} Unknown"
    said = f"{sum(counts)} of {found['n']} held-out questions have a label, by what SmolLM2-135M knew: {each}"
    assert said in flat(result.stderr)
    assert "By what SmolLM2-135M knew" in result.stdout
    assert "of what SmolLM2-135M did not know (Unknown)" in flat(result.stdout)
    assert "By what SmolLM2-135M knew" in (tmp_path / "out" / "table.md").read_text()
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_a_limit_draws_from_those_that_are_named(asked: Callable, tmp_path: Path) -> None:
    labels = save_labels(tmp_path / "labels", PEOPLE[:16])
    result = asked("--labels", labels, "--limit", 3, "--format", "json")
    found = json.loads(result.stdout)
    assert [row["n"] for row in found if row["category"] is None] == [3]
    assert sum(row["n"] for row in found if row["category"]) == 3 and "--limit 3 draws from these" in result.stderr


def test_formats_and_the_audit(asked: Callable, tmp_path: Path) -> None:
    labels = save_labels(tmp_path / "labels")
    rows = list(csv.DictReader(io.StringIO(asked("--labels", labels, "--format", "csv").stdout)))
    assert [row["category"] for row in rows] == ["", "HighlyKnown", "MaybeKnown", "Unknown"]
    found = json.loads(asked("--labels", labels, "--format", "json", "--audit").stdout)
    assert found["knowledge"]["labels_of"] == "SmolLM2-135M" and found["knowledge"]["unknown"] > 0
    assert "are too few for one" in found["knowledge"]["verdict"]


def test_a_run_has_its_labels_found(asked: Callable, tmp_path: Path, tiny_model: Path) -> None:
    run = tmp_path / "run"
    save_labels(run / "labels", ["x"], task="other")
    (run / "rl").mkdir()
    for place in (run / "model", run / "rl" / "model"):
        place.symlink_to(tiny_model)
        result = asked(model=place)
        assert f"{run / 'labels'} has labels of other, and none of these" in result.stderr.replace("\n", "")
        assert "By what" not in result.stdout
    save_labels(run / "labels" / "held_out")
    result = asked(model=run / "model")
    assert "by what SmolLM2-135M knew" in flat(result.stderr) and "By what SmolLM2-135M knew" in result.stdout
    assert str(run / "labels" / "held_out") in result.stderr.replace("\n", "")
    guesses = ForcedAnswers.of(PEOPLE, [Verdict.CORRECT] * len(PEOPLE), [0.5] * len(PEOPLE))
    BaseGuesses("before", ForcedAnswers.of([], [], []), guesses).save(run / "before" / "start.json")
    assert "By what SmolLM2-135M knew" in asked("--start", run).stdout
    other = save_labels(tmp_path / "other", model="other")
    assert "By what other knew" in asked("--start", run, "--labels", other).stdout, "those that are named come first"


def test_labels_that_were_found_and_are_damaged_stop_nothing(
    asked: Callable, tmp_path: Path, tiny_model: Path
) -> None:
    save_labels(tmp_path / "labels")
    (tmp_path / "labels" / "labels.jsonl").write_text("{}\n")
    (tmp_path / "model").symlink_to(tiny_model)
    result = asked(model=tmp_path / "model")
    assert "labels that cannot be read are left aside" in flat(result.stderr) and "By what" not in result.stdout


def test_labels_of_none_of_the_questions_say_what_to_type(
    asked: Callable, abstain: Callable, tmp_path: Path, tiny_model: Path, question_file: Path, monkeypatch
) -> None:
    labels = save_labels(tmp_path / "labels", ["x", "y"], model=str(tiny_model), task="geo")
    result = asked("--labels", labels, code=2)
    said = result.stderr.replace("\n", "")
    assert f"{labels} has labels of geo, and none of these" in said
    typed = shlex.split(said[said.index("abstain label") :])
    assert typed[:3] == ["abstain", "label", str(tiny_model)] and typed[-2:] == ["--out", "NEW"]
    assert typed[typed.index("--data") + 1] == str(question_file) and "held_out=0.9" in typed
    assert "not found; `abstain label MODEL --out" in flat(asked("--labels", tmp_path / "none", code=2).stderr)
