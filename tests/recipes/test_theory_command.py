"""`abstain theory`: what it prints, writes and refuses, and the section of a report."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from abstain.evals.records import write_text
from abstain.recipes.report.page import render_page
from abstain.recipes.report.run import TEMPLATE, run_content
from abstain.recipes.report.source import read_run

from .test_report import make_run


def test_a_model_and_a_file(abstain, tmp_path, tiny_model, question_file):
    out = tmp_path / "here"
    arguments = ("theory", tiny_model, "--data", question_file, "--limit", 4)
    found = json.loads(abstain(*arguments, "--out", out, "--format", "json").stdout)
    assert found == json.loads((out / "theory.json").read_text()) and found["n"] == 4
    assert (out / "theory.md").read_text().startswith("# The theory, measured")
    rows = list(csv.DictReader(io.StringIO(abstain(*arguments, "--format", "csv").stdout)))
    assert [row["key"] for row in rows] == [one["key"] for one in found["numbers"]]
    values = {row["key"]: row["value"] for row in rows}
    assert float(values["err"]) >= float(values["bound"])
    text = abstain(*arguments).stdout
    assert "bound of theorem 1" in text and "Not: " in text and max(map(len, text.splitlines())) <= 100
    assert "already holds theory.json" in abstain(*arguments, "--out", out, code=2).stderr


def test_a_run_by_its_directory(abstain, tmp_path, tiny_model, recipe_text):
    run = tmp_path / "run"
    shutil.copytree(tiny_model, run / "model")
    (run / "recipe.yaml").write_text(recipe_text)
    for _ in range(2):  # again replaces what was measured before
        assert f"written to {run}" in abstain("theory", run, "--limit", 4).stderr
    assert json.loads((run / "theory.json").read_text())["task"] == "qa"
    shutil.rmtree(run / "model")
    assert "is a run without a model yet" in abstain("theory", run, code=2).stderr
    (run / "model").mkdir()
    (run / "recipe.yaml").write_text(recipe_text.replace("name: qa", "name: mine.py:task"))
    assert "give --task" in abstain("theory", run, code=2).stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("openai:gpt", "--url", "http://localhost:1/v1"), "No such option"),
        (("openai:gpt",), "nobody behind an endpoint tells the probability"),
        (("MODEL", "--target", "1.5"), "outside [0, 1)"),
        (("MODEL", "--limit", "0"), "Invalid value for '--limit'"),
    ],
)
def test_what_cannot_be(abstain, tiny_model, question_file, arguments, message):
    model, *more = (tiny_model if one == "MODEL" else one for one in arguments)
    assert message in abstain("theory", model, "--data", question_file, *more, code=2).output.replace("\n", " ")


def test_open_questions_are_refused_before_a_model_is_loaded(abstain, tmp_path):
    path = tmp_path / "open.csv"
    path.write_text("question,answer\n" + "".join(f"Who is {i}?,Name{i}\n" for i in range(40)))
    refused = " ".join(abstain("theory", "no/such/model", "--data", path, code=2).stderr.split())
    assert "is not answered from a list: 40 questions have 40 different answers" in refused


THEORY = {
    "model": "m",
    "task": "<u>toy</u>",
    "target": 0,
    "n": 40,
    "answers": [4, 4],
    "numbers": [
        {
            "key": "err",
            "label": "err",
            "value": 0.25,
            "low": 0.1,
            "high": 0.4,
            "says": "How often <i>",
            "says_not": "No",
        }
    ],
}


def test_the_section_of_a_report(tmp_path, monkeypatch):
    monkeypatch.setattr("abstain.recipes.report.run.behaviour", lambda run: [])
    run = make_run(tmp_path / "run")
    assert 'id="theory"' not in render_page(TEMPLATE, run_content(read_run(run))[0])
    write_text(run / "theory.json", json.dumps(THEORY))
    page = render_page(TEMPLATE, run_content(read_run(run))[0])
    assert '<section id="theory">' in page and '<a href="#theory">Why it errs</a>' in page
    assert "0.250 <small>0.10 to 0.40</small>" in page
    assert "<u>toy</u>" not in page and "&lt;u&gt;toy" in page and "How often <i>" not in page


@pytest.mark.parametrize("text", ["{", "[]", '{"numbers": []}', json.dumps(THEORY | {"answers": [4]})])
def test_a_damaged_file_costs_nothing_but_its_section(tmp_path, text):
    run = make_run(tmp_path / "run")
    write_text(Path(run) / "theory.json", text)
    read = read_run(run)
    assert read.theory == {} and any("theory.json" in one for one in read.broken)
