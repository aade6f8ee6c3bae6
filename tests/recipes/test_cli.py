"""What the commands print, in every format, and that help is quick and complete."""

import csv
import io
import json
import subprocess
import sys

import pytest

from abstain.evals.detectors.catalogue import DETECTORS
from abstain.evals.records import read_records
from abstain.evals.tasks.catalogue import TASKS
from abstain.rewards import READY_MADE, REWARDS
from abstain.rewards.graders import GRADERS

COMMANDS = (
    *("train", "ablate", "report", "eval", "label", "detect", "theory", "rescore", "ask"),
    *("tasks", "rewards", "graders", "detectors"),
)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_an_example_and_fits_100_columns(abstain, command):
    text = abstain(*command.split(), "--help").stdout
    assert f"abstain {command or 'train'}" in text.partition("Examples")[2].partition("╭")[0]
    assert max(map(len, text.splitlines())) <= 100
    assert all(name in text for name in COMMANDS) or command


def test_help_loads_nothing_heavy():
    heavy = {"torch", "transformers", "trl", "datasets", "sklearn", "pyarrow", "matplotlib"}
    code = f"import sys; from abstain.recipes.cli import app\nfor name in {COMMANDS}:\n"
    code += f"    app([name, '--help'], standalone_mode=False)\nprint({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.endswith("set()\n")


def test_version(abstain):
    assert abstain("--version").stdout.startswith("abstain ")


def test_lists_name_everything_there_is(abstain):
    lists = {"task": TASKS, "reward": [*REWARDS, *READY_MADE], "grader": GRADERS, "detector": DETECTORS}
    for kind, names in lists.items():
        assert [row[kind] for row in json.loads(abstain(f"{kind}s", "--format", "json").stdout)] == list(names)
    options = csv.DictReader(io.StringIO(abstain("tasks", "letters", "--format", "csv").stdout))
    assert {row["option"]: row["default"] for row in options}["seed"] == "0"
    assert all(name in abstain("tasks").stdout for name in TASKS)
    assert abstain("tasks", "--format", "markdown").stdout.startswith("| task | what it asks |\n|---|---|\n")
    assert r"nq\_open" in abstain("tasks", "--format", "latex").stdout


def test_eval_writes_and_prints_the_same_numbers(abstain, tmp_path, tiny_model, question_file):
    out = tmp_path / "results"
    arguments = ("eval", tiny_model, "--data", question_file, "--targets", "0,0.9", "--option", "max_new_tokens=3")
    printed = json.loads(abstain(*arguments, "--limit", 4, "--out", out, "--format", "json").stdout)
    metrics = json.loads((out / "metrics.json").read_text())
    assert [row["target"] for row in metrics["by_target"]] == [0.0, 0.9] == [row["target"] for row in printed]
    assert [row["score"] for row in metrics["by_target"]] == [row["score"] for row in printed]
    assert metrics["n"] == 4 and len(read_records(out / "records.jsonl")) == 8
    assert (out / "table.md").read_text().startswith("|")
    assert (metrics["reading"], metrics["answer_format"]) == ("lenient", "auto")


def test_eval_says_how_it_read(abstain, tmp_path, tiny_model, question_file):
    out = tmp_path / "results"
    chosen = ("--reading", "strict", "--answer-format", "tag")
    options = ("--option", "max_new_tokens=3", "--limit", 2, "--out", out)
    abstain("eval", tiny_model, "--data", question_file, "--targets", "0", *options, *chosen)
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["reading"], metrics["answer_format"]) == ("strict", "tag")
    assert metrics["by_target"][0]["incorrect"] == 1  # so small a model writes no tags


def test_ask_grades_when_gold_is_given(abstain, tiny_model):
    asked = ("ask", tiny_model, "Where was P1 born?", "--max-new-tokens", 3)
    alone, graded = abstain(*asked), abstain(*asked, "--gold", "Oslo", "--gold", "Christiania", "--target", "0.9")
    assert "verdict" not in alone.stdout and "a mistake costs 3" in alone.stdout
    assert "INCORRECT" in graded.stdout and "a mistake costs 9" in graded.stdout and "probability" in graded.stdout
