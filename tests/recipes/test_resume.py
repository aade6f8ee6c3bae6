"""An interrupted run loses nothing: `--resume` skips what is complete and goes on from the last checkpoint."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from abstain.evals.records import write_text
from abstain.recipes.run.directory import RunDir

STEPS = 12


@pytest.fixture
def run(abstain):
    return partial(abstain, "train")


def kill_at_first_checkpoint(recipe: Path) -> None:
    """Start the run in a process of its own, and kill it as soon as RL has a checkpoint."""
    command = [sys.executable, "-m", "abstain.recipes.cli", "train", str(recipe)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if list(Path("runs/tiny-0/rl").glob("checkpoint-*/trainer_state.json")):
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    errors = process.communicate()[1].decode()
    assert process.returncode == -signal.SIGKILL, errors


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_checkpoint(run, recipe):
    kill_at_first_checkpoint(recipe)
    directory = Path("runs/tiny-0")
    before = (directory / "before" / "records.jsonl").stat().st_mtime_ns
    assert json.loads((directory / "state.json").read_text())["complete"][:2] == ["before", "sft"]

    assert "already holds a run. Add --resume" in run(recipe, code=2).stderr
    result = run(recipe, "--resume")
    assert (
        re.search(rf"training: rl, going on at step \d+ of {STEPS}\n", result.stderr)
        and "training: sft" not in result.stderr
    )
    assert (directory / "before" / "records.jsonl").stat().st_mtime_ns == before
    state = json.loads((directory / "rl" / f"checkpoint-{STEPS}" / "trainer_state.json").read_text())
    assert state["global_step"] == STEPS
    check_complete(directory, result.stdout)

    again = run(recipe, "--resume")
    assert again.stdout == result.stdout and "training" not in again.stderr


def test_a_run_that_is_being_trained_is_not_resumed_by_another(run, recipe, fake_stages):
    run(recipe)
    state = Path("runs/tiny-0/state.json").read_bytes()
    with RunDir(Path("runs/tiny-0")).held():
        result = run(recipe, "--resume", code=2)
    assert "another `abstain train` is at work on runs/tiny-0: wait" in result.stderr
    assert "To continue" not in result.stderr and Path("runs/tiny-0/state.json").read_bytes() == state


def check_complete(directory: Path, stdout: str) -> None:
    """All that DESIGN.md promises is there and says the same."""
    metrics = json.loads((directory / "metrics.json").read_text())
    records = [json.loads(line) for line in (directory / "records.jsonl").read_text().splitlines()]
    assert [row["target"] for row in metrics["by_target"]] == [0.0, 0.5] and len(records) == 2 * metrics["n"]
    table = (directory / "table.md").read_text()
    card = (directory / "model" / "README.md").read_text()
    assert "before" in table and "after" in table and table.splitlines()[0] in card
    assert str(directory) not in card and "before" in stdout and "after" in stdout
    assert {"config.json", "tokenizer.json", "README.md"} <= set(os.listdir(directory / "model"))


@pytest.fixture
def fake_stages(monkeypatch):
    """Stages that train nothing; a stage in `failing` raises what it maps to. Gives the calls that were made."""
    from abstain.recipes.run import training as module

    calls, failing = [], {}

    def stage(name):
        def _run(model, tokenizer, task, stage, *, output_dir, resume, **settings):
            calls.append((name, resume))
            if name in failing:
                write_text(output_dir / "checkpoint-4" / "trainer_state.json", "{}")
                raise failing[name]
            return SimpleNamespace(model=model)

        return _run

    monkeypatch.setattr(module, "run_sft", stage("sft"))
    monkeypatch.setattr(module, "run_rl", stage("rl"))
    return calls, failing


def test_ctrl_c_says_how_to_continue(run, recipe, fake_stages):
    calls, failing = fake_stages
    failing["rl"] = KeyboardInterrupt()
    result = run(recipe, "seed=3", code=130)
    assert result.stderr.endswith(f"error: interrupted\nTo continue: abstain train {recipe} seed=3 --resume\n")
    failing.clear()
    run(recipe, "seed=3", "--resume")
    assert calls == [("sft", False), ("rl", False), ("rl", True)]


def test_lora_is_merged_after_each_stage(run, recipe, fake_stages):
    run(recipe, "model.lora={r: 2}")
    assert not list(Path("runs").rglob("adapter_config.json"))
    assert Path("runs/tiny-0/sft/model/config.json").exists() and Path("runs/tiny-0/model/config.json").exists()


def test_evaluation_on_another_task(run, recipe, fake_stages, question_file):
    run(recipe, "eval.task={name: letters, n: 30}", "eval.limit=3")
    assert json.loads(Path("runs/tiny-0/metrics.json").read_text())["task"] == "letters"


def test_one_process_only(run, recipe, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "starts its processes itself" in run(recipe, code=2).stderr
