"""A judge for answers that are there already: `abstain rescore LOG --judge`."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from abstain.evals.records import read_records
from abstain.recipes.cli import app

pytest.importorskip("openai")


def grade(request: Any) -> None:
    """Takes the City of Kings for Lima, cannot tell about Cusco, and calls all else wrong."""
    answer = request.prompt.split("<answer ")[1]
    request.chat("GRADE: CORRECT" if "Kings" in answer else "Well ..." if "Cusco" in answer else "GRADE: INCORRECT")


ANSWERS = ("the City of Kings", "Cusco", "I don't know", "Lima")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    rows = [
        {
            "id": f"{model}{n}",
            "model": model,
            "question": f"Capital no. {n} of Peru?",
            "gold": "Lima",
            "response": text,
        }
        for model in ("a", "b")
        for n, text in enumerate(ANSWERS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(log: Path, chat_server: Any, *options: str) -> Result:
    chat_server.script = [grade]
    cache = f"cache={log.parent}/replies.sqlite3"
    judge = ["--judge", "stub", "--judge-url", chat_server.url, "--judge-option", cache]
    return CliRunner().invoke(app, ["rescore", str(log), "--targets", "0.5", *judge, *options])


def test_a_judge_grades_what_has_no_grade(chat_server: Any, log: Path, tmp_path: Path) -> None:
    done = run(log, chat_server, "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    text = " ".join(done.output.split())
    for model in ("a", "b"):
        found = json.loads((tmp_path / "out" / model / "metrics.json").read_text())
        row = found["by_target"][0]
        rates = [row[name] for name in ("correct", "incorrect", "abstained", "ungraded")]
        assert rates == [0.25, 0.25, 0.25, 0.25]
        assert (found["judge"]["model"], found["judge"]["unjudged"]) == ("stub", 1)
        assert found["judge"]["asked"] + found["judge"]["reused"] == 3 and found["judge"]["settled"] == 1
        assert found["judge"]["agreement"]["n"] == 2 and found["judge"]["agreement"]["agreed"] == 0
        verdicts = [
            record.verdict for record in read_records_without_target(tmp_path / "out" / model / "records.jsonl")
        ]
        assert verdicts == ["CORRECT", "UNGRADED", "ABSTAINED", "INCORRECT"]
        assert f"{model}: stub agrees with match on 0.0% of 2 answers" in text
    assert "answers without a grade, graded here by the judge stub: 8" in text
    assert text.count("1 answer could not be judged") == 2 and chat_server.url not in text
    assert (
        "judge stub: 5 replies and 2 from the cache, 2 settled without it, 2 failed" in text
    )  # one to see it is there


def read_records_without_target(path: Path) -> Any:
    """The records, as if they had been asked at t = 0: a log that states no target has null there."""
    rows = [json.loads(line) | {"target": 0.0} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_records(path)


def test_the_runs_of_a_model_are_judged_together(chat_server: Any, log: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) | {"model": "m", "task": f"task {n // 4}"} for n, line in enumerate(log.open())]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run(log, chat_server, "--pool", "--format", "json", "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    judge = json.loads((tmp_path / "out" / "metrics.json").read_text())["judge"]
    assert judge["unjudged"] == judge["agreement"]["left_out"] == 2 and judge["settled"] == 2


def test_grades_that_a_log_has_are_judged_only_if_that_is_asked_for(chat_server: Any, log: Path) -> None:
    log.write_text("".join(json.dumps(json.loads(line) | {"grade": "INCORRECT"}) + "\n" for line in log.open()))
    done = run(log, chat_server)
    assert "the judge stub was not asked" in done.output and "--regrade has it grade all" in " ".join(
        done.output.split()
    )
    assert len(chat_server.requests) == 1  # whether it is there
    again = run(log, chat_server, "--regrade")
    assert "answers graded again by the judge stub: 8" in " ".join(again.output.split())


def test_rows_that_do_not_count_are_not_judged(chat_server: Any, log: Path) -> None:
    log.write_text(log.read_text() + log.read_text().splitlines()[1] + "\n")  # Cusco again
    done = run(log, chat_server)
    text = " ".join(done.output.split())
    assert "the same question" in text and text.count("1 answer could not be judged") == 2


@pytest.mark.parametrize("command", ["rescore", "eval"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--judge", "m", "--judge-url", "http://127.0.0.1:9/v1", "--judge-option", "attempts=1"], "cannot be asked"),
        (["--judge-url", "http://localhost/v1"], "need --judge NAME"),
        (["--judge", "m", "--judge-option", "concurency=3"], "Did you mean 'concurrency'"),
    ],
)
def test_a_judge_that_fails_first_leaves_nothing_behind(
    command: str, options: list[str], message: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    what = [str(log)] if command == "rescore" else ["no/such/model", "--data", str(log)]
    done = CliRunner().invoke(app, [command, *what, "--out", str(tmp_path / "new" / "out"), *options])
    assert done.exit_code == 2 and message in " ".join(done.output.split())
    assert not (tmp_path / "new").exists()


def test_what_was_there_before_stays_when_a_command_fails(log: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    log.write_text("")
    done = CliRunner().invoke(app, ["rescore", str(log), "--out", str(tmp_path / "out" / "deeper")])
    assert done.exit_code == 2 and (tmp_path / "out").exists() and not (tmp_path / "out" / "deeper").exists()
