"""A judge in the place of the string grader, all through an evaluation and its command."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from abstain.evals.records import read_records
from abstain.recipes.cli import app

pytest.importorskip("openai")


def grade(request: Any) -> None:
    """Fails on Oslo, and grades all other cities CORRECT, whatever the gold."""
    request.chat("Well ..." if "Oslo" in request.prompt.split("<answer ")[1] else "GRADE: CORRECT")


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "q.jsonl"
    rows = [{"question": f"Where was {name} born?", "answers": ["Lima"]} for name in ("Ada", "Bo", "Cy", "Di", "Ed")]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_eval_with_a_judge(chat_server: Any, questions: Path, tiny_model_dir: Path, tmp_path: Path) -> None:
    chat_server.script = [grade]
    out = tmp_path / "out"
    command = ["eval", str(tiny_model_dir), "--data", str(questions), "--targets", "0,0.5", "--out", str(out)]
    judge = ["--judge", "stub", "--judge-url", chat_server.url, "--judge-option", f"cache={tmp_path}/c.sqlite3"]
    done = CliRunner().invoke(app, [*command, *judge])
    assert done.exit_code == 0, done.output
    records = read_records(out / "records.jsonl")
    for record in records:
        assert record.verdict == ("UNGRADED" if "Oslo" in record.answer else "CORRECT") or not record.answer
    found = json.loads((out / "metrics.json").read_text())["judge"]
    assert found["model"] == "stub"
    assert found["asked"] + found["reused"] > 0
    assert found["agreement"]["n"] + found["agreement"]["left_out"] == sum(bool(r.answer.strip()) for r in records)
    assert "stub agrees with match" in done.output
    assert chat_server.url not in (out / "metrics.json").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--judge", "m", "--judge-url", "http://127.0.0.1:9/v1", "--judge-option", "attempts=1"], "cannot be asked"),
        (["--judge-url", "http://localhost/v1"], "need --judge NAME"),
        (["--judge", "m", "--judge-option", "concurency=3"], "Did you mean 'concurrency'"),
        (["--judge", "m", "--judge-prompt", "nothing.txt"], "nothing.txt"),
    ],
)
def test_a_judge_that_is_not_there_is_noticed_first(
    options: list[str], message: str, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["eval", "no/such/model", "--data", str(questions), *options])
    assert done.exit_code == 2
    assert message in done.output
