"""`abstain rescore` as people type it."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

LOGS = Path(__file__).parents[1] / "golden" / "logs"
PAPER = "model,abstained,correct,incorrect\ngpt-5-thinking-mini,52,22,26\no4-mini,1,24,75\n"


@pytest.fixture
def run(abstain: Any) -> Any:
    return partial(abstain, "rescore")


def test_the_papers_example(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "simpleqa.csv"
    path.write_text(PAPER)
    result = run(path, "--targets", "0,0.5,0.9")
    assert "t < 0.039: o4-mini" in result.stdout and result.stderr == ""
    found = json.loads(run(path, "--format", "json").stdout)
    assert [one["target"] for one in found["rankings"][0]["crossings"]] == [pytest.approx(2 / 51)]


def test_several_harnesses_at_once_with_names(run: Any, tmp_path: Path) -> None:
    logs = [LOGS / "inspect" / "plain.eval", next((LOGS / "simple_evals").iterdir())]
    result = run(*logs, "--name", "one", "--name", "two", "--format", "csv", "--pool", "--out", tmp_path / "out")
    assert "one" in result.stdout and "two" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"table.md", "rankings.json", "plots"}
    assert "already holds" in run(*logs, "--out", tmp_path / "out", code=2).stderr


def test_problems_go_to_stderr_with_a_count(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"id": 1, "verdict": "CORRECT"}\n{"id": 2, "verd\n{"id": 3, "verdict": "INCORRECT"}\n{\n')
    result = run(path, "--targets", "0")
    assert f"{path}:2: not JSON" in result.stderr.replace("\n", "") and "(and 1 more like it)" in result.stderr
    assert "2 rows were skipped in all" in result.stderr and "50.0%" in result.stdout


def test_reading_and_format_reach_the_grader(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"id": 1, "gold": "Nairobi", "completion": "<answer>Nairobi</answer>"}\n')
    for chosen, right in (("tag", 1), ("boxed", 0)):
        options = ("--targets", "0", "--answer-format", chosen, "--reading", "strict", "--out", tmp_path / chosen)
        run(path, *options)
        metrics = json.loads((tmp_path / chosen / "metrics.json").read_text())
        assert metrics["by_target"][0]["correct"] == right
        assert not right or (metrics["reading"], metrics["answer_format"]) == ("strict", chosen)


WRONG = {
    "an unknown reading": (["LOG", "--reading", "strickt"], "no 'strickt'. Did you mean 'strict'"),
    "an unknown format": (["LOG", "--answer-format", "box"], "no 'box'. Did you mean 'boxed'"),
    "no such file": (["nothing.jsonl"], "no file"),
    "a target of 75": (["LOG", "--targets", "75"], "did you mean 0.75"),
    "an unknown grader": (["LOG", "--grader", "matchh"], "Did you mean 'match'"),
    "an unknown column": (["LOG", "--column", "grade=verdct"], "Did you mean 'verdict'"),
    "a column without a role": (["LOG", "--column", "verdict"], "ROLE=NAME"),
    "an unknown way to name": (["LOG", "--name-by", "fil"], "no 'fil'. Did you mean 'file'"),
    "too few names": (["LOG", "LOG", "--name", "x"], "1 names for 2 logs"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_mistakes_are_explained(run: Any, tmp_path: Path, mistake: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"id": 1, "verdict": "CORRECT"}\n')
    arguments, message = WRONG[mistake]
    result = run(*[str(path) if one == "LOG" else one for one in arguments], code=2)
    assert message in " ".join(result.stderr.split()) and "Traceback" not in result.stderr
