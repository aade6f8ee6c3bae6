"""Commands and audits that ask a model behind an endpoint, which a stub stands for."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from abstain.evals.audit.findings import audit_model
from abstain.evals.evaluation import evaluate
from abstain.evals.metrics.schema import read_metrics
from abstain.evals.records import read_records
from abstain.recipes.cli import app
from abstain.recipes.cli.endpoint import cost_first

from .endpoint_stub import NAMES, TASK, fail, knows_some, name_in, picky, sampler, say

pytest.importorskip("openai")

SECRET = "sk-secret-123456"


@pytest.fixture
def stub(chat_server: Any) -> Any:
    chat_server.script = [say("Lima", logprobs=[-0.5, -0.25])]
    return chat_server


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "usual"))


# Commands


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    file = tmp_path / "q.jsonl"
    rows = [{"question": f"Where was {name} born?", "answers": ["Lima"]} for name in NAMES]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_eval(stub: Any, questions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    stub.script = [lambda request: request.chat(f"Lima, says {SECRET}")]
    out = tmp_path / "out"
    command = ("eval", "openai:stub", "--url", stub.url, "--data", questions, "--option", "held_out=0.5")
    paid = ("--endpoint-option", "key_env=MY_KEY", "--endpoint-option", "prices=[1,2]")
    done = run(*command, "--targets", "0,0.75", "--out", out, *paid)
    assert done.exit_code == 0, done.output
    assert all(headers["authorization"] == f"Bearer {SECRET}" for _, headers in stub.requests)
    records = read_records(out / "records.jsonl")
    asked = len(stub.requests)
    assert f"stub: {asked} requests, about " in done.stderr and "at most $0.00" in done.stderr
    assert f"stub: {asked} replies and 0 from the cache" in done.stderr
    assert f"qa: {asked} to do" in done.stderr and f"qa: {asked} in " in done.stderr
    metrics = read_metrics(out / "metrics.json")
    assert (metrics["model"], metrics["endpoint"]["asked"]) == ("stub", asked)
    again = run(*command, "--targets", "0,0.75,0.9", "--out", tmp_path / "more", *paid)
    assert f"({asked} more are in the cache)" in again.stderr
    assert len(stub.requests) == asked + len(records) // 2
    written = [file.read_bytes() for file in [*out.iterdir(), *(tmp_path / "usual" / "abstain").iterdir()]]
    assert len(written) >= 4 and not any(SECRET.encode() in data for data in written)
    assert SECRET not in done.output + again.output


def test_what_an_audit_asks_besides_is_not_in_the_estimate(stub: Any, questions: Path) -> None:
    stub.script = [knows_some]
    command = ("eval", "openai:stub", "--url", stub.url, "--data", questions, "--limit", 2, "--train-limit", 2)
    done = run(*command, "--targets", "0.75", "--audit")
    assert done.exit_code == 0, done.output
    assert "what --audit will ask besides is not counted" in " ".join(done.stderr.split())


def test_eval_where_it_is_not(questions: Path, tmp_path: Path) -> None:
    command = ("eval", "openai:stub", "--url", "http://127.0.0.1:9/v1", "--data", questions, "--out", tmp_path / "out")
    done = run(*command, "--endpoint-option", "attempts=1")
    assert done.exit_code == 2 and "cannot be asked" in done.stderr and "connection" in done.stderr
    assert not (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("some/model", ["--url", "http://localhost/v1"], "write openai:some/model to ask it there"),
        ("some/model", ["--endpoint-option", "cache=false"], "write openai:some/model to ask it there"),
        ("openai:", ["--url", "http://localhost/v1"], "needs the model's name"),
        ("openai:m", ["--dtype", "float32"], "--dtype is for a model that runs here"),
        ("openai:m", ["--batch-tokens", "64"], "--batch-tokens is for a model that runs here"),
        ("openai:m", ["--trust-remote-code"], "--trust-remote-code is for a model that runs here"),
        ("openai:m", ["--url", "localhost:8000"], "did you mean 'http://localhost:8000/v1'"),
        ("openai:m", ["--endpoint-option", "concurency=3"], "Did you mean 'concurrency'"),
        ("openai:m", ["--endpoint-option", "prices=3"], "prices are 3"),
        ("openai:m", [], "export OPENAI_API_KEY=..."),
    ],
)
def test_options_that_make_no_sense(model: str, options: list[str], message: str, questions: Path) -> None:
    done = run("eval", model, "--data", questions, *options)
    assert done.exit_code == 2 and message in " ".join(done.stderr.split()), done.output


def test_a_judge_may_be_called_as_a_model_is(stub: Any, questions: Path, tiny_model_dir: Path, tmp_path: Path) -> None:
    stub.script = [say("GRADE: CORRECT")]
    judge = ("--judge", "openai:stub", "--judge-url", stub.url)
    done = run("eval", tiny_model_dir, "--data", questions, "--targets", "0", "--limit", 2, *judge)
    assert done.exit_code == 0 and "judge stub: " in done.stderr, done.output


def test_ask(stub: Any) -> None:
    done = run("ask", "openai:stub", "Capital of Peru?", "--url", stub.url, "--gold", "Lima")
    assert done.exit_code == 0 and "0.47 by the model's own reckoning" in done.stdout, done.output
    stub.script = [picky]
    done = run("ask", "openai:stub", "Where was Ada born?", "--url", stub.url, "--target", "0.5")
    said = " ".join(done.stdout.split())
    assert "it refuses temperature and logprobs, and was asked without" in said


def test_a_model_behind_an_endpoint_is_not_trained(tmp_path: Path) -> None:
    done = run("train", "quickstart", "model.path=openai:gpt-4.1-mini", f"output_dir={tmp_path}/run")
    assert done.exit_code == 2 and "abstain eval openai:gpt-4.1-mini" in " ".join(done.stderr.split()), done.output


def test_a_person_is_asked_before_it_costs_much(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import abstain.recipes.cli.endpoint as module

    asked: list[str] = []
    monkeypatch.setattr(module.typer, "confirm", lambda text, **_: asked.append(text))
    monkeypatch.setattr(module, "on_terminal", lambda: True)
    monkeypatch.setattr(module.sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    prompts = [f"{number}?" for number in range(10)]

    def announce(yes: bool = False, **options: Any) -> int:
        before = cost_first(sampler(stub, **options), 10, yes)
        assert before is not None
        before(prompts)
        return len(asked)

    assert announce(prices=[0.4, 1.6]) == 0
    assert announce(prices=[1, 20_000]) == 1 and "more than $1.00" in asked[0]
    assert announce(yes=True, prices=[1, 20_000]) == 1
    assert announce() == 1  # no key, no bill
    monkeypatch.setattr(module, "ASK_ABOVE_REQUESTS", 5)
    assert announce() == 1 and announce(key_env="MY_KEY") == 2
    monkeypatch.setattr(module, "on_terminal", lambda: False)
    assert announce(key_env="MY_KEY") == 2


# The audit


@pytest.mark.slow
def test_an_audit_asks_an_endpoint(stub: Any) -> None:
    def answer(request: Any) -> None:
        body = request.server.requests[-1][0]
        if name_in(request) == "Cy" and (body.get("seed", 1) % 2 == 0 or "points for a" in request.prompt):
            fail(400)(request)
        else:
            knows_some(request)

    stub.script = [answer]
    model = sampler(stub)
    found = evaluate(model, TASK, [0, 0.75])
    audited = audit_model(model, TASK, found, samples=6)
    assert audited.found["source"]["kind"] == "sampled"
    verdicts = {record.id: record.verdict.value for record in audited.reworded["points"]}
    assert verdicts["cy"] == "UNGRADED" and verdicts["ada"] != "UNGRADED"
    stub.script = [lambda request: request.chat("Lima" if "best guess" in request.prompt else "I don't know")]
    unsure = evaluate(sampler(stub), TASK, [0, 0.75])
    assert any("--samples 10" in note for note in audit_model(sampler(stub), TASK, unsure).found["notes"])
