"""One job: what is done is not done again, nobody works on a directory twice at once, and failures have a reason."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from abstain.recipes.run.directory import RunDir, try_lock
from abstain.recipes.run.recipe import load_recipe
from abstain.recipes.sweep import job as sweep_job
from abstain.recipes.sweep.directory import complete_steps
from abstain.recipes.sweep.job import Job, Outcome, perform

FINISH = """
import json, os, pathlib, sys
run = pathlib.Path({path!r})
run.mkdir(parents=True, exist_ok=True)
(run / "metrics.json").write_text(json.dumps({{"by_target": []}}))
(run / "before").mkdir(exist_ok=True)
(run / "before" / "metrics.json").write_text(json.dumps({{"by_target": []}}))
(run / "recipe.yaml").write_text("name: r\\ntask: {{name: geo}}\\nmodel: {{path: m}}\\nrl: {{}}\\n")
(run / "state.json").write_text(json.dumps({{"complete": ["before", "rl", "after"]}}))
print("ran", os.environ["OMP_NUM_THREADS"], os.environ.get("EXTRA"))
"""


KILLED = "its process was killed by SIGKILL; the system does so when memory runs out"


@dataclass(frozen=True)
class Scripted(Job):
    """A job whose process is a few lines of Python."""

    script: str = ""

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-c", self.script.format(path=str(self.directory))]


@pytest.fixture
def job(tmp_path):
    """Makes a job with a script."""
    (tmp_path / "base.yaml").write_text("name: r\ntask: {name: geo}\nmodel: {path: m}\nsft: {}\nrl: {}\n")

    def _job(script: str = FINISH, **changes) -> Scripted:
        fields = {
            "name": "a",
            "directory": tmp_path / "points" / "a",
            "base": tmp_path / "base.yaml",
            "overrides": (),
            "steps": ("before", "rl", "after"),
            "until": "",
            "source": None,
            "source_steps": (),
            "log": tmp_path / "logs" / "a.log",
            "lock": tmp_path / "locks" / "a",
            "threads": 3,
        }
        return Scripted(**(fields | changes), script=script)

    return _job


def test_a_job_runs_once(job):
    outcome = perform(job(), {"EXTRA": "x"})
    assert outcome.error is None and outcome.seconds > 0
    assert job().log.read_text() == "ran 3 x\n"
    again = perform(job())
    assert (again.error, again.seconds) == (None, 0) and job().log.read_text() == "ran 3 x\n"


@pytest.mark.parametrize(
    ("script", "repeats"),
    [
        ("print('error: no such task'); exit(2)", True),
        ("print('error: a\\nbefore are kept: mend this, and add --resume to go on.'); exit(2)", True),
        ("print('error: memory ran out\\nTo continue: abstain train x'); exit(2)", False),
        ("print('error: [Errno 28] No space left on device'); exit(2)", False),
        ("raise RuntimeError('broken')", False),
        ("import os; os.kill(os.getpid(), 9)", False),
    ],
)
def test_only_what_was_refused_would_end_here_again(job, script, repeats):
    outcome = perform(job(script))
    assert outcome.repeats is repeats and outcome.error and "--resume" not in outcome.error


@pytest.mark.parametrize(
    ("script", "reason", "full"),
    [
        ("print('error: no such', 'task', flush=True); exit(2)", "no such task", False),
        ("print('error: a\\nb\\nTo continue: abstain train x'); exit(2)", "a\nb", False),
        ("raise RuntimeError('broken')", "RuntimeError: broken", False),
        ("raise OSError(28, 'No space left on device')", "OSError: [Errno 28] No space left on device", True),
        ("exit(3)", "its process ended with exit code 3 and said nothing", False),
        ("import os; os.kill(os.getpid(), 9)", KILLED, False),
    ],
)
def test_a_failure_has_a_reason(job, script, reason, full):
    job().log.parent.mkdir()
    job().log.write_text("error: of an earlier try\n")
    outcome = perform(job(script))
    assert (outcome.error, outcome.disk_full) == (reason, full)


def test_a_disk_with_nothing_free_is_full_whatever_a_library_says(job, monkeypatch):
    monkeypatch.setattr(sweep_job.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    outcome = perform(job("raise RuntimeError('PytorchStreamWriter failed writing file')"))
    assert outcome.disk_full and "PytorchStreamWriter" in outcome.error


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("state.json", "{", "JSONDecodeError"),
        ("state.json", "[]", "TypeError"),
        ("recipe.yaml", "name: r\n", "ValidationError"),
        ("metrics.json", '{"n": 1}', "KeyError: 'by_target'"),
        ("metrics.json", None, "FileNotFoundError"),
        ("state.json", None, "it has no state.json, but holds before, metrics.json"),
    ],
)
def test_a_corrupt_run_directory_is_kept_aside_and_run_again(job, name, content, reason):
    perform(job())
    broken = job().directory / name
    broken.write_text(content) if content else broken.unlink()
    outcome = perform(job())
    assert outcome.error is None and outcome.seconds > 0
    assert len(outcome.notes) == 1 and reason in outcome.notes[0] and "kept as a.corrupt-1" in outcome.notes[0]
    aside = job().directory.with_name("a.corrupt-1")
    assert (aside / "before" / "metrics.json").exists()
    assert complete_steps(job().directory) == ["before", "rl", "after"]


def test_what_a_killed_start_leaves_is_not_corrupt(job):
    job().directory.mkdir(parents=True)
    (job().directory / "recipe.yaml").write_text("name: r\n")
    assert perform(job()).notes == ()


def test_whoever_comes_second_waits_and_then_finds_it_done(job):
    slow = job("import time; time.sleep(0.5)" + FINISH)
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(perform, [slow] * 3))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert sorted(outcome.seconds > 0 for outcome in outcomes) == [False, False, True]
    assert job().log.read_text() == "ran 3 None\n"


def test_the_lock_of_a_killed_worker_lasts_as_long_as_its_orphan(job):
    """As when a Ray worker is killed: the process that it started goes on, and must not get company."""
    slow = job("import time; print('orphan', flush=True); time.sleep(1)" + FINISH)
    program = (
        f"import pickle, sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_sweep_job as here\n"
        f"here.perform(here.Scripted(**pickle.loads({pickle.dumps(vars(slow))!r})))"
    )
    worker = subprocess.Popen([sys.executable, "-c", program])
    wait_for(lambda: "orphan" in (slow.log.read_text() if slow.log.exists() else ""))
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    with open(slow.lock) as lock:
        assert not try_lock(lock)
    outcome = perform(slow)
    assert outcome.error is None and outcome.seconds == 0
    assert slow.log.read_text() == "orphan\nran 3 None\n"


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stop_when_on(job: Job, workers: int) -> list[Outcome]:
    """What becomes of a job that several workers perform, and are stopped at as soon as it says that it is on."""
    stop = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        performed = [pool.submit(perform, job, stop=stop) for _ in range(workers)]
        wait_for(lambda: job.log.exists() and "on" in job.log.read_text())
        stop.set()
        return [one.result(60) for one in performed]


def test_stopping_interrupts_the_process_and_whoever_waits(job):
    patient = job(
        "import signal, time\nsignal.signal(2, signal.default_int_handler)  # a shell's background job ignores it\n"
        "try:\n    print('on', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n"
        "    print('error: interrupted', flush=True); exit(130)"
    )
    assert [outcome.error for outcome in stop_when_on(patient, 2)] == ["interrupted"] * 2


def test_a_process_that_will_not_stop_is_killed(job, monkeypatch):
    monkeypatch.setattr(sweep_job, "PATIENCE", 0.1)
    deaf = job("import signal, time; signal.signal(2, signal.SIG_IGN); print('on', flush=True); time.sleep(60)")
    assert "SIGKILL" in stop_when_on(deaf, 1)[0].error


def test_a_point_takes_over_shared_steps_whole(job, tmp_path):
    source = tmp_path / "shared" / "sft-1"
    for name in ("before/metrics.json", "sft/model/weights", "sft/checkpoint-9/weights", "sft/examples.jsonl"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(json.dumps({"by_target": []}))
    steps = ("before", "sft", "rl", "after")
    one = job("exit(2)", steps=steps, source=source, source_steps=("before", "sft"))
    assert perform(one).error
    run = RunDir(one.directory)
    recipe, _ = load_recipe(str(one.base), [f"output_dir={one.directory}"])
    run.open(recipe, resume=True)
    assert run.complete == ["before", "sft"] == complete_steps(one.directory)
    assert (one.directory / "sft/model/weights").samefile(source / "sft/model/weights")
    assert not (one.directory / "sft/checkpoint-9").exists()
    # a kill while the second step was linked: it is linked again, and the first is left alone
    (one.directory / "state.json").write_text('{"complete": ["before"]}')
    (one.directory / "sft/model/weights").unlink()
    before = (one.directory / "before").stat().st_mtime_ns
    perform(one)
    assert (one.directory / "sft/model/weights").exists() and complete_steps(one.directory) == ["before", "sft"]
    assert (one.directory / "before").stat().st_mtime_ns == before


def test_another_file_system_gets_copies(job, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(18, "Invalid cross-device link")))
    source = tmp_path / "shared" / "before-1"
    (source / "before").mkdir(parents=True)
    (source / "before" / "metrics.json").write_text('{"by_target": []}')
    one = job("exit(2)", source=source, source_steps=("before",))
    perform(one)
    assert (one.directory / "before/metrics.json").read_text() == '{"by_target": []}'


def test_a_directory_of_another_recipe_is_refused(job):
    run = RunDir(job().directory)
    recipe, _ = load_recipe(str(job().base), ["seed=5"])
    run.open(recipe, resume=False)
    run.start(recipe)
    one = job(source=Path("nowhere"), source_steps=("before",))
    assert "seed was 5, is 0" in perform(one).error
