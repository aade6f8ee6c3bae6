"""Threads are chosen by cores that are free, never against the user, and recorded; the machine is a made-up one."""

import json
import sys
from pathlib import Path

import pytest

from abstain.recipes.run import threads
from abstain.recipes.run.directory import RunDir, made_with
from abstain.recipes.run.recipe import Recipe
from abstain.recipes.run.threads import Cores, decide, look, said_by_user, settle_threads, threads_in_use
from abstain.recipes.sweep import engines
from abstain.recipes.sweep.config import RayConfig, SweepConfig


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """`machine(busy, files, cores)` looks at a machine whose cores others use for so much of the time."""

    def _look(busy: list[float], files: dict[str, str] | None = None, cores: list[int] | None = None) -> Cores:
        monkeypatch.setattr(threads, "_affinity", lambda: cores or list(range(len(busy))))
        for name, text in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        stat(0)

        def stat_after(_: float) -> None:
            stat(100, busy)

        return look(tmp_path, stat_after)

    def stat(ticks: int, busy: list[float] = [0.0] * 8) -> None:
        lines = ["cpu  1 2 3 4 5 6 7 8 0 0"]
        for core, share in enumerate(busy):
            mine = int(ticks * share)
            lines.append(f"cpu{core} {1000 + mine} 0 50 {9000 + ticks - mine - ticks // 10} {ticks // 10} 0 0 0 77 0")
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / "proc" / "stat").write_text("\n".join([*lines, "intr 1 2", "btime 3"]) + "\n")

    return _look


def test_cores_that_nobody_uses_are_free(machine):
    assert machine([0, 0, 0, 0]) == Cores(4, 4.0)  # waiting for a disk is no work
    assert machine([1, 0.9, 0, 0.1]) == Cores(4, pytest.approx(2.0, abs=0.2))
    assert machine([1, 1]).threads == 1  # never none


def test_only_the_cores_that_the_process_may_use_count(machine):
    assert machine([1, 1, 0, 0], cores=[2, 3]).threads == 2
    assert machine([0, 0, 1, 1], cores=[2, 3]).threads == 1


@pytest.mark.parametrize(
    ("files", "allowed"),
    [
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 4),
        ({"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "100000 100000\n"}, 1),  # of a group above
        ({"proc/self/cgroup": "0::/docker/7\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),  # as seen inside
        (
            {
                "proc/self/cgroup": "5:cpu,cpuacct:/\n0::/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": "5:cpu:/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
        ({}, 4),
    ],
)
def test_the_share_of_a_container_is_kept(machine, files, allowed):
    assert machine([0, 0, 0, 0], files).threads == allowed


def test_what_cannot_be_seen_counts_as_free(tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "_affinity", lambda: [0, 1, 2])
    assert look(tmp_path, lambda _: None) == Cores(3, 3.0)


def test_this_machine_can_be_looked_at():
    assert 1 <= look(wait=lambda _: None).threads <= look(wait=lambda _: None).allowed


def test_nothing_is_said_of_a_machine_without_other_work():
    assert decide(Cores(8, 7.7), 8) == (8, "")
    assert decide(Cores(8, 7.2), 4) == (4, "")  # torch takes one for each core, which may have two threads
    assert decide(Cores(8, 7.7), 8, recorded=8) == (8, "")
    assert decide(Cores(2, 2.0), 2, recorded=4)[0] == 2  # on another machine


@pytest.fixture
def torch_threads(monkeypatch):
    """The number that torch is told, on a machine with four cores of which one is free."""
    import torch

    told: list[int] = []
    monkeypatch.setattr(threads, "_settled", False)
    monkeypatch.setattr(threads, "look", lambda: Cores(4, 1.2))
    monkeypatch.setattr(torch, "get_num_threads", lambda: told[-1] if told else 4)
    monkeypatch.setattr(torch, "set_num_threads", told.append)
    for name in threads.SAYING:
        monkeypatch.delenv(name, raising=False)
    return told


def test_torch_is_told_once_and_the_user_too(torch_threads):
    said: list[str] = []
    settle_threads(tell=said.append)
    settle_threads(tell=said.append)
    assert torch_threads == [1]
    assert said == ["1 thread: others are using 3 of the 4 cores. OMP_NUM_THREADS=4 takes all the same."]
    assert threads_in_use() == 1 and made_with(Path.cwd())["threads"] == "1"


@pytest.mark.parametrize("name", threads.SAYING)
def test_what_the_user_has_set_is_left_alone(torch_threads, monkeypatch, name):
    monkeypatch.setenv(name, "3")
    settle_threads(tell=pytest.fail)
    assert torch_threads == [] and said_by_user() == 3


def test_a_number_is_known_before_torch_is_loaded(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert threads_in_use() == 7


def test_a_resumed_run_keeps_its_number(tmp_path, torch_threads, monkeypatch):
    recipe = Recipe(name="r", task={"name": "geo"}, model={"path": "m"}, rl={}, output_dir=str(tmp_path / "run"))
    begun = RunDir(recipe.run_path)
    begun.open(recipe, resume=False)
    begun.start(recipe.model_copy())
    again = RunDir(recipe.run_path)
    again.open(recipe, resume=True)
    assert again.threads == 4
    monkeypatch.setattr(threads, "look", lambda: Cores(8, 8.0))
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    said: list[str] = []
    settle_threads(again.threads, said.append)
    assert torch_threads == [4] and said[0].startswith("4 threads, as before: ")
    old = json.loads((recipe.run_path / "state.json").read_text())
    assert old["complete"] == [] and old["seconds"] >= 0


@pytest.mark.parametrize(
    ("jobs", "user", "expected"),
    [
        (None, None, (3, 1, "3 workers, 1 thread each (others are using 5 of the 8 cores)")),
        (2, None, (2, 1, "2 workers, 1 thread each (others are using 5 of the 8 cores)")),
        (1, None, (1, 3, "1 worker, 3 threads each (others are using 5 of the 8 cores)")),
        (2, "4", (2, 4, "2 workers, 4 threads each (others are using 5 of the 8 cores)")),
    ],
)
def test_a_sweep_divides_the_free_cores(monkeypatch, jobs, user, expected):
    for name in threads.SAYING:
        monkeypatch.delenv(name, raising=False)
    if user:
        monkeypatch.setenv("OMP_NUM_THREADS", user)
    monkeypatch.setattr(engines, "look", lambda: Cores(8, 3.1))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    sweep = type("Sweep", (), {"config": SweepConfig(name="s", base="quickstart", ray=RayConfig())})
    engine, number, said = engines.choose_engine(sweep, "local", jobs, 12)
    engine.stop()
    assert (engine.capacity(), number, said) == expected
