"""Training in several processes: what accelerate is handed, and that a run looks the same afterwards."""

import json
from pathlib import Path

import numpy as np
import pytest

from abstain.evals.records import read_records
from abstain.recipes.run import launch
from abstain.recipes.run.console import going_on_helps

PEOPLE = ["task.people=8000", "task.held_out=500", "sft.limit=3000", "eval.train_limit=500", "rl.args.report_to=none"]


def test_every_configuration_is_one_for_accelerate():
    found = launch.shipped_configs()
    assert {"cpu", "multi_gpu", "zero2", "zero3", "fsdp2"} <= set(found)
    for path in found.values():
        launch._check(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--launch", "zero4"], "no accelerate configuration 'zero4'"),
        (["--processes", "2"], "--processes goes with --launch"),
        (["--launch", "mine.yaml"], "is no configuration of accelerate"),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(abstain, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("num_processes: 2\nnonsense: 1\n")
    result = abstain("train", "quickstart", "output_dir=run", *arguments, code=2)
    assert message in result.stderr and not Path("run").exists()


def test_the_command_and_its_failure(monkeypatch):
    seen = []

    class Child:
        def __init__(self, command, **_):
            seen.append(command)

        def wait(self):
            return 3

    monkeypatch.setattr(launch.subprocess, "Popen", Child)
    start = launch.launcher("cpu", 2, "mine.yaml", ["seed=1"])
    with pytest.raises(ValueError, match=r"training rl in several processes failed \(exit code 3\)") as failed:
        start("rl")
    assert going_on_helps(failed.value)
    assert seen[0][-5:] == ["--module", "abstain.recipes.run.launch", "rl", "mine.yaml", "seed=1"]
    assert seen[0][seen[0].index("--num_processes") + 1] == "2"


def curve(run: Path) -> np.ndarray:
    history = json.loads((run / "rl" / "trainer_state.json").read_text())["log_history"]
    return np.array([entry["reward"] for entry in history if "reward" in entry])


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("algorithm", ["grpo", "ppo"])
def test_two_processes_learn_like_one(abstain, algorithm, tmp_path, monkeypatch):
    monkeypatch.setenv("ABSTAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = [*PEOPLE, f"rl.algorithm={algorithm}", "rl.args.max_steps=60", "rl.args.warmup_steps=5"]
    settings += ["rl.args.logging_steps=5", "eval.every=30", "eval.while_training=100"]
    runs = {}
    for processes, batch in ((1, 512), (2, 256)):
        run = tmp_path / f"run{processes}"
        many = ["--launch", "cpu", "--processes", "2"] if processes == 2 else []
        sizes = [f"rl.args.per_device_train_batch_size={batch}", "sft.args.per_device_train_batch_size=32"]
        abstain("train", "quickstart", f"output_dir={run}", *settings, *sizes, *many)
        runs[processes] = run
    one, two = curve(runs[1]), curve(runs[2])
    assert len(one) == len(two) == 12
    assert abs(one[-4:].mean() - two[-4:].mean()) < 0.08 and two[-4:].mean() > two[:2].mean()
    for run in runs.values():
        assert len(read_records(run / "records.jsonl")) == 4 * 500
        state = json.loads((run / "rl" / "trainer_state.json").read_text())
        assert state["global_step"] == 60
        assert sum("heldout/factworld/score" in entry for entry in state["log_history"]) == 3
    names = [{path.name for path in run.iterdir()} for run in runs.values()]
    assert names[0] == names[1]
