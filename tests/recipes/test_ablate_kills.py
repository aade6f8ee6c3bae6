"""Workers, sweeps and machines are killed midway: nothing is lost, and nothing is run to its end twice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from abstain.recipes.cli.ablate import ablate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

SWEEP = """\
name: s
base: recipe.yaml
settings: {rl.args.max_steps: 40}
axes: {rl.args.learning_rate: [1e-4, 1e-3, 1e-2]}
"""
POINTS = [f"learning_rate-{rate}" for rate in ("0.0001", "0.001", "0.01")]
RUN = Path("runs/s")


@pytest.fixture(autouse=True)
def sweep(tmp_path, recipe):
    """A sweep file; no process that was started there is left behind."""
    Path("s.yaml").write_text(SWEEP)
    yield
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(tmp_path) and process.pid != os.getpid():
                process.kill()


def start(*arguments: str) -> psutil.Popen:
    command = [sys.executable, "-m", "abstain.recipes.cli", "ablate", "s.yaml", "--jobs", "1", *arguments]
    return psutil.Popen(command, stdout=subprocess.PIPE)


def wait_for(condition: Callable[[], object], seconds: float = 1500) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def has_checkpoint(point: str) -> bool:
    return bool(list((RUN / "points" / point / "rl").glob("checkpoint-*/trainer_state.json")))


def worker(point: str) -> psutil.Process:
    """The process that trains this point."""
    for process in psutil.process_iter(["cmdline"]):
        if any(part.endswith(f'points/{point}"') for part in process.info["cmdline"] or ()):
            return process
    raise AssertionError(f"nobody trains {point}")


def statuses() -> list[str]:
    return [point["status"] for point in json.loads((RUN / "sweep.json").read_text())["points"]]


def log(name: str) -> str:
    return (RUN / "logs" / f"{name}.log").read_text()


def check_complete_once() -> None:
    assert statuses() == ["complete"] * 3
    for point in POINTS:
        assert log(point).count("Done in") == 1, log(point)
        assert "training: sft" not in log(point)
        metrics = json.loads((RUN / "points" / point / "metrics.json").read_text())
        assert len(metrics["by_target"]) == 2
    [shared] = (RUN / "shared").iterdir()
    assert log(shared.name).count("training: sft") == 1


def test_workers_and_sweeps_are_killed():
    first, second, third = POINTS
    sweep = start()
    wait_for(lambda: has_checkpoint(first))
    worker(first).send_signal(signal.SIGKILL)
    wait_for(lambda: has_checkpoint(second))
    sweep.send_signal(signal.SIGINT)
    assert sweep.wait(300) == 130
    assert statuses() == ["failed", "pending", "pending"]
    points = json.loads((RUN / "sweep.json").read_text())["points"]
    assert points[0]["error"] == "its process was killed by SIGKILL; the system does so when memory runs out"
    assert "error: interrupted" in log(second) and not (RUN / ".base.yaml").exists()

    sweep = start("--resume")
    wait_for(lambda: has_checkpoint(third))
    orphan = worker(third)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    assert orphan.is_running()
    assert log(first).count("from its last checkpoint") == log(second).count("from its last checkpoint") == 1

    sweep = start("--resume")
    assert sweep.wait(1500) == 0
    wait_for(lambda: not orphan.is_running(), 60)  # it gives up its lock before it is gone
    check_complete_once()


def test_workers_and_machines_of_a_ray_cluster_are_killed(monkeypatch):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    nodes, killed = [cluster.add_node(**node)], []

    def kill() -> None:
        """A Ray worker as soon as its point has a checkpoint, then one of the two machines."""
        wait_for(lambda: any(map(has_checkpoint, POINTS)))
        first = next(filter(has_checkpoint, POINTS))
        worker(first).parent().send_signal(signal.SIGKILL)
        killed.append(first)
        wait_for(lambda: any(has_checkpoint(point) for point in POINTS if point != first))
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        killed.append("machine")

    murderer = threading.Thread(target=kill)
    try:
        ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
        murderer.start()
        ablate("s.yaml", engine="ray")
        murderer.join(600)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert len(killed) == 2 and os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    check_complete_once()
    ablate("s.yaml", resume=True)
    check_complete_once()
