"""`abstain label`: what it writes, prints and refuses."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.knowledge.labels import read_labels
from abstain.evals.knowledge.partial import PARTIAL
from abstain.evals.knowledge.protocol import find_protocol
from abstain.evals.tasks.catalogue import load_task
from abstain.recipes.cli.label import choose

TINY = ("--option", "max_new_tokens=2", "--option", "held_out=0.25", "--preset", "quick")


@pytest.fixture
def capitals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A CSV file of 40 questions, here."""
    monkeypatch.chdir(tmp_path)
    lines = [f"Capital of {name}{n}?,Oslo,{name}{n}" for name in ("Ar", "Be", "Co", "Du") for n in range(10)]
    path = tmp_path / "capitals.csv"
    path.write_text("\n".join(["question,answer,subject", *lines]) + "\n", encoding="utf-8")
    return path


def test_a_file_of_ones_own(
    abstain: Callable, tiny_model: Path, capitals: Path, caplog: pytest.LogCaptureFixture
) -> None:
    done = abstain("label", tiny_model, "--data", capitals, *TINY, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(done.stdout))
    folder = Path("labels") / f"{tiny_model.name}-qa"
    labels = read_labels(folder)
    assert (row["relation"], row["n"]) == ("all", str(labels.about.n)) == ("all", "32")  # 8 of 30 are shown
    assert f"written to {folder}" in done.stderr and "8 are shown in prompts" in caplog.text
    assert labels.about.protocol == find_protocol("quick", max_new_tokens=2).as_dict() | {
        "seed": 0,
        "prompt_format": "plain",
    }
    assert labels.about.task_options == {"data": str(capitals), "held_out": 0.25}
    assert all(len(one.answers) == 3 and len(one.sampled) == 3 for one in labels.rows)
    assert f"{folder} already holds labels" in abstain("label", tiny_model, "--data", capitals, *TINY, code=2).stderr


def test_a_resumed_labelling_with_another_preset(abstain: Callable, tiny_model: Path, capitals: Path) -> None:
    out = ("--data", capitals, *TINY, "--side", "held_out", "--out", "mine")
    abstain("label", tiny_model, *out)
    assert not (Path("mine") / PARTIAL).exists()
    refused = abstain("label", tiny_model, *out, "--preset", "greedy", "--resume", code=2)
    assert "preset was quick, is greedy" in refused.stderr and "type --preset quick" in refused.stderr
    assert "--out DIR" in refused.stderr
    shown = abstain("label", tiny_model, *out, "--preset", "quick", "--resume", "--format", "json")
    assert json.loads(shown.stdout)[-1]["n"] == 10


def test_labels_of_another_model(
    abstain: Callable, tiny_model: Path, capitals: Path, make_tiny_model: Callable, tmp_path: Path
) -> None:
    out = ("--data", capitals, *TINY, "--out", "mine")
    abstain("label", tiny_model, *out, "--limit", 2)
    other = make_tiny_model(tmp_path / "other", words=["Oslo"])
    assert "another model knows" in abstain("label", other, *out, "--limit", 2, "--resume", code=2).stderr


def test_relations_sides_and_limits(tmp_path: Path) -> None:
    task = load_task("geo", min_population=2_000_000, kinds=["country", "continent"])
    one = choose(task, "held_out", "continent", 5, 0)
    assert len(one) == 5 and {question.metadata["kind"] for question in one} == {"continent"}
    more = choose(task, "both", None, 20, 0)
    assert len(more) == 40
    ids = {question.id for question in more}
    assert {question.id for question in choose(task, "both", None, 10, 0)} <= ids
    with pytest.raises(ValueError, match=r"geo asks no questions of relation 'contry'\. Did you mean 'country'"):
        choose(task, "both", "contry", None, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "papr"), "unknown preset 'papr'. Did you mean 'paper'"),
        ((), "nothing to ask: give --task NAME"),
        (("--task", "geo", "--prompt-format", "chat"), "this one has none: use 'plain'"),
        (("--task", "geo", "--grader", "exat"), "no grader is called 'exat'. Did you mean 'exact'"),
        (("--task", "geo", "--url", "http://127.0.0.1:1/v1"), "for a model behind an endpoint"),
    ],
)
def test_what_is_refused(
    abstain: Callable,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("--option", "min_population=5000000") if "--task" in arguments else ()
    assert message in abstain("label", tiny_model, *arguments, *small, code=2).stderr.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_fewer_examples_than_a_prompt_shows(abstain: Callable, tiny_model: Path, capitals: Path) -> None:
    rows = capitals.read_text().splitlines()[:4]
    capitals.write_text("\n".join(rows) + "\n")
    few = ("--data", capitals, "--option", "max_new_tokens=2", "--option", "held_out=0.34", "--preset", "quick")
    refused = abstain("label", tiny_model, *few, code=2).stderr
    assert "there is only 1 question to show in prompts of 4: give --shots 1" in refused.replace("\n", " ")
    assert not Path("labels").exists()
    abstain("label", tiny_model, *few, "--shots", 1)


# A model behind an endpoint


def answer(request: Any) -> None:
    """Knows of Ar0 to Ar9 always, of Be… when it samples; repeats what opens the answer."""
    body = request.server.requests[-1][0]
    asked = request.prompt.rpartition("Q: ")[2]
    right = "Ar" in asked or ("Be" in asked and body["temperature"] > 0)
    request.chat("A: Oslo\n\nQ: And?" if right else "I don't know")


@pytest.fixture
def stub(chat_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    pytest.importorskip("openai")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    chat_server.script = [answer]
    return chat_server


def test_a_model_behind_an_endpoint(abstain: Callable, stub: Any, capitals: Path) -> None:
    asked = ("label", "openai:org/stub", "--url", stub.url, "--data", capitals, "--side", "held_out")
    options = ("--option", "held_out=0.5", "--option", "max_new_tokens=8", "--preset", "categories", "--prompts", 2)
    done = abstain(*asked, *options, "--samples", 3)
    labels = read_labels("labels/stub-qa")
    found = {row.question.split()[-1][:2]: str(row.category) for row in labels.rows}
    assert found == {"Ar": "HighlyKnown", "Be": "WeaklyKnown", "Co": "Unknown", "Du": "Unknown"}
    assert (labels.about.fingerprint, labels.about.model) == ("endpoint:org/stub", "org/stub")
    assert labels.about.protocol["prompt_format"] == "chat"
    bodies = [body for body, _ in stub.requests]
    assert {body["temperature"] for body in bodies} == {0, 0.5}
    assert {body["top_k"] for body in bodies} == {40}
    assert all(body["messages"][0]["content"].count("\nA:") == 5 for body in bodies)
    assert f"org/stub: {20 * 2 * 4} requests, about" in done.stderr  # at most: what is settled is not sampled
    assert len(bodies) < 20 * 2 * 4 and "written to labels/stub-qa" in done.stderr
    before = len(stub.requests)
    abstain(*asked, *options, "--samples", 3, "--out", "again")
    assert len(stub.requests) == before  # every reply was kept
    assert read_labels("again").rows == labels.rows


def test_an_endpoint_that_is_down_leaves_nothing(abstain: Callable, stub: Any, capitals: Path) -> None:
    stub.script = [lambda request: request.send(400, {"error": {"message": "boom"}})]
    asked = ("label", "openai:stub", "--url", stub.url, "--data", capitals, "--option", "held_out=0.5")
    assert "cannot be asked" in abstain(*asked, "--preset", "greedy", "--limit", 2, code=2).stderr
    assert not Path("labels").exists()
