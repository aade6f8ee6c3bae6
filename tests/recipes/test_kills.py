"""A run that is killed twenty times at random moments ends where an undisturbed one does."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = 20
STEPS = 1000
LONGER = ["name=killed", f"rl.args.max_steps={STEPS}", "sft.args.max_steps=40"]
LONGER += ["rl.args.save_steps=10", "sft.args.save_steps=10"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_kills(recipe):
    from transformers import AutoModelForCausalLM

    draws = random.Random(0)
    seen = [kill_after_start(recipe, draws.uniform(0, 4)) for _ in range(KILLS)]
    finished = start(recipe)
    assert finished.wait(timeout=300) == 0, finished.stderr.read().decode()
    directory = Path("runs/killed-0")
    state = json.loads((directory / "rl" / "trainer_state.json").read_text())
    assert state["global_step"] == STEPS
    complete = json.loads((directory / "state.json").read_text())["complete"]
    assert complete == ["before", "sft", "after-sft", "rl", "after"]
    assert json.loads((directory / "metrics.json").read_text())["n"] > 0
    AutoModelForCausalLM.from_pretrained(directory / "model")
    assert not [path for path in directory.rglob("*") if path.name.endswith((".tmp", ".partial"))]
    print("killed with these steps complete, and this last checkpoint:", seen)
    assert len({str(moment) for moment in seen}) > 3  # at moments that differ


def start(recipe: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "abstain.recipes.cli", "train", str(recipe), *LONGER, "--resume"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"})


def kill_after_start(recipe: Path, seconds: float) -> tuple[list[str], int]:
    """Kill that long after it announces a step; what was complete then, and the steps of the last checkpoint."""
    process = start(recipe)
    while (line := process.stderr.readline()) and not line.startswith(b"["):
        pass
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    directory = Path("runs/killed-0")
    state = directory / "state.json"
    complete = json.loads(state.read_text())["complete"] if state.exists() else []
    checkpoints = [int(path.name.split("-")[1]) for path in directory.glob("*/checkpoint-*")]
    return complete, max(checkpoints, default=0)
