"""The scheduler: what runs when, what a failure leads to, and that nothing is lost or done twice."""

import errno
import json
import os
from pathlib import Path

import pytest

from abstain.recipes.run.directory import RunDir
from abstain.recipes.sweep import progress, start
from abstain.recipes.sweep.ablation import Ablation
from abstain.recipes.sweep.config import load_sweep
from abstain.recipes.sweep.directory import SweepDir, complete_steps
from abstain.recipes.sweep.job import Job, Outcome
from abstain.recipes.sweep.table import sweep_table

BASE = "name: tiny\ntask: {name: letters, n: 30}\nmodel: {path: m}\nsft: {}\nrl: {args: {max_steps: 1}}\n"
GRID = "name: s\nbase: base.yaml\naxes:\n  rl.limit: [4, 5, 6]\n  seed: [0, 1]\n"
SEARCH = """\
name: s
base: base.yaml
axes:
  rl.limit: {low: 2, high: 90}
  rl.targets: [[0], [0, 0.5]]
  seed: [0, 1]
search: {trials: 6}
"""


class FakeEngine:
    """Jobs that are done in the order of their start, one per call; `wrong` makes some of them fail."""

    def __init__(self, jobs: int = 2) -> None:
        self.jobs, self.queue, self.started, self.stopped = jobs, [], [], False
        self.wrong: dict[str, Outcome | BaseException] = {}
        self.most = 0

    def capacity(self) -> int:
        return self.jobs

    def submit(self, job: Job) -> None:
        if job.source:  # what it needs is there
            assert set(job.source_steps) <= set(complete_steps(job.source))
        self.queue.append(job)
        self.started.append(job.name)
        self.most = max(self.most, len(self.queue))

    def finished(self) -> list[tuple[Job, Outcome]]:
        if not self.queue:
            return []
        job = self.queue.pop(0)
        outcome = self.wrong.get(job.name, Outcome(seconds=2.0))
        if isinstance(outcome, BaseException):
            self.queue.insert(0, job)
            raise outcome
        if outcome.error is None:
            finish(job)
        return [(job, outcome)]

    def stop(self) -> None:
        self.stopped = True
        self.queue.clear()


def finish(job: Job, regret: float | None = None) -> None:
    """Leave what a run leaves."""
    from abstain.recipes.run.recipe import load_recipe

    recipe, _ = load_recipe(str(job.base), [*job.overrides, f"output_dir={job.directory}"])
    run = RunDir(job.directory)
    run.open(recipe, resume=True)
    run.start(recipe)
    limit = recipe.rl.limit or 0
    metrics = {"mean_regret": (limit - 50) ** 2 / 1e4, "auroc": None, "by_target": []}
    for target in recipe.eval.targets:
        row = {"target": target, "correct": 0.5, "incorrect": 0.25, "abstained": 0.25, "score": limit / 100}
        metrics["by_target"].append(row)
    for folder in (run.path, run.path / "before", run.path / "sft"):
        folder.mkdir(exist_ok=True)
        (folder / "metrics.json").write_text(json.dumps(metrics))
    for step in job.steps:
        run.mark_complete(step)


class Quiet:
    def __init__(self) -> None:
        self.said: list[str] = []

    def event(self, text: str) -> None:
        self.said.append(text)

    def close(self) -> None:
        pass

    def update(self, ablation: Ablation) -> None:
        stored = json.loads((ablation.directory.path / "sweep.json").read_text())
        assert [one["status"] for one in stored["points"]] == [state.status for state in ablation.states]


@pytest.fixture
def ablate(tmp_path, monkeypatch):
    """Runs the sweep in s.yaml with an engine; gives the ablation, whether it ended well or not."""
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(BASE)

    def _ablate(text: str, engine: FakeEngine, resume: bool = False) -> Ablation:
        Path("s.yaml").write_text(text)
        monkeypatch.setattr(start, "choose_engine", lambda *_: (engine, 1, "nothing"))
        monkeypatch.setattr(progress, "watcher", lambda terminal: Quiet())
        return start.run_sweep(load_sweep("s.yaml"), "local", None, resume=resume, to_continue="")

    return _ablate


def stored() -> dict:
    return json.loads(Path("runs/s/sweep.json").read_text())


def settings() -> list[tuple[str, dict]]:
    return [(point["name"], point["settings"]) for point in stored()["points"]]


@pytest.fixture
def interrupt(ablate):
    """Runs a sweep that ends in Ctrl-C at a point; gives the engine."""

    def _interrupt(text: str, point: str, jobs: int = 2, resume: bool = False) -> FakeEngine:
        engine = FakeEngine(jobs)
        engine.wrong[point] = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            ablate(text, engine, resume)
        return engine

    return _interrupt


def test_shared_steps_run_before_the_points_and_once(ablate):
    engine = FakeEngine()
    ablate(GRID, engine)
    shared = [name for name in engine.started if name.startswith("after-sft-")]
    assert len(shared) == len(set(shared)) == 2  # one for each seed
    assert len(engine.started) == 2 + 6 == len(set(engine.started)) and engine.most == 2
    assert engine.started.index("limit-4_seed-1") > engine.started.index(shared[1])
    assert sorted(os.listdir("runs/s")) == ["locks", "logs", "points", "shared", "sweep.json"]


def test_sweep_json_says_what_the_reader_needs(ablate):
    ablate(GRID, FakeEngine())
    content = stored()
    assert (content["name"], content["base"]) == ("s", "base.yaml")
    assert content["axes"] == {"rl.limit": [4, 5, 6], "seed": [0, 1]}
    assert content["points"][3] == {
        "name": "limit-5_seed-1",
        "directory": "points/limit-5_seed-1",
        "settings": {"rl.limit": 5, "seed": 1},
        "seed": 1,
        "status": "complete",
        "error": None,
        "seconds": 2.0,
    }
    assert Path("runs/s", content["points"][3]["directory"], "metrics.json").exists()


def test_a_failed_point_stops_nobody_and_is_tried_again(ablate):
    engine = FakeEngine()
    engine.wrong["limit-5_seed-0"] = Outcome("out of luck", seconds=3.0)
    ablation = ablate(GRID, engine)
    assert [state.status for state in ablation.states].count("complete") == 5
    assert stored()["points"][2]["error"] == "out of luck"
    assert any(line.endswith("limit-5_seed-0 failed: out of luck") for line in ablation.watcher.said)

    again = FakeEngine()
    ablation = ablate(GRID, again, resume=True)
    assert again.started[-1] == "limit-5_seed-0"
    assert [name for name in again.started if name.startswith("limit")] == ["limit-5_seed-0"]
    assert stored()["points"][2] | {"seconds": 0} == stored()["points"][2] | {"status": "complete", "seconds": 0}
    assert stored()["points"][2]["seconds"] == 5.0 and stored()["points"][0]["seconds"] == 2.0


def test_the_minutes_of_interrupted_processes_count(ablate):
    """A run notes its own time: what a killed sweep did not note is not lost."""

    class Killed(FakeEngine):
        def finished(self):
            ended = super().finished()
            for job, _ in ended:
                state = job.directory / "state.json"
                state.write_text(json.dumps(json.loads(state.read_text()) | {"seconds": 70.0}))
            return ended

    ablate(GRID, Killed())  # each process tells of 2 seconds, its run of 70 over several of them
    assert {point["seconds"] for point in stored()["points"]} == {70.0}
    content = stored()
    content["points"][0]["seconds"] = 0.0  # as it stands where the sweep died first
    Path("runs/s/sweep.json").write_text(json.dumps(content))
    ablate(GRID, FakeEngine(), resume=True)
    assert stored()["points"][0]["seconds"] == 70.0


def test_settings_may_be_called_low_and_high(ablate):
    ablate(GRID.replace("rl.limit: [4, 5, 6]", "size: {low: {rl.limit: 4}, high: {rl.limit: 6}}"), FakeEngine())
    assert stored()["axes"] == {"size": ["low", "high"], "seed": [0, 1]}
    assert stored()["points"][0]["name"] == "size-low_seed-0"


def test_points_of_shared_steps_that_failed_have_failed(ablate):
    first = FakeEngine()
    ablate(GRID, first)
    broken = next(name for name in first.started if name.startswith("after-sft-"))
    engine = FakeEngine()
    engine.wrong[broken] = Outcome("no memory")
    ablation = ablate(GRID.replace("name: s", "name: s\noutput_dir: other"), engine)
    status = {state.point.name: state.status for state in ablation.states}
    assert [name for name, how in status.items() if how == "failed"] == [f"limit-{n}_seed-0" for n in (4, 5, 6)]
    assert ablation.states[0].error == "the steps that it shares with others failed: no memory"


def test_a_full_disk_stops_new_points_and_is_named(ablate):
    engine = FakeEngine()
    engine.wrong["limit-4_seed-1"] = Outcome("No space left on device", disk_full=True)
    full = r"the disk of runs/s is full \(No space left on device\)\. Nothing that was fin"
    with pytest.raises(OSError, match=full):
        ablate(GRID, engine)
    statuses = [point["status"] for point in stored()["points"]]
    assert "pending" in statuses and statuses.count("failed") == 1 and "running" not in statuses
    again = FakeEngine()
    ablate(GRID, again, resume=True)
    assert all(point["status"] == "complete" for point in stored()["points"])
    done = {name for name in engine.started if name.startswith("limit")} - {"limit-4_seed-1"}
    assert not done & set(again.started)


def test_a_disk_that_is_too_full_for_sweep_json(ablate, monkeypatch):
    engine, real = FakeEngine(), SweepDir.save
    left = [4]

    def save(self, *args):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, *args)

    monkeypatch.setattr(SweepDir, "save", save)
    with pytest.raises(OSError, match="the disk of runs/s is full"):
        ablate(GRID, engine)
    assert engine.stopped and stored()["points"]


def test_an_interrupted_sweep_goes_on(ablate, interrupt):
    assert interrupt(GRID, "limit-5_seed-0").stopped
    assert {point["status"] for point in stored()["points"]} == {"complete", "pending"}
    done = {point["name"] for point in stored()["points"] if point["status"] == "complete"}
    again = FakeEngine()
    ablate(GRID, again, resume=True)
    assert not done & set(again.started)
    assert {point["status"] for point in stored()["points"]} == {"complete"}


def test_a_sweep_may_grow(ablate):
    ablate(GRID, FakeEngine())
    engine = FakeEngine()
    ablate(GRID.replace("6]", "6, 7]"), engine, resume=True)
    assert [name for name in engine.started if name.startswith("limit")] == ["limit-7_seed-0", "limit-7_seed-1"]
    assert stored()["axes"]["rl.limit"] == [4, 5, 6, 7]


def test_finished_points_of_another_recipe_are_refused(ablate):
    ablate(GRID, FakeEngine())
    Path("base.yaml").write_text(BASE.replace("n: 30", "n: 31"))
    with pytest.raises(ValueError, match=r"limit-4_seed-0 was finished with another recipe \(task\.n was 30, is 31\)"):
        ablate(GRID, FakeEngine(), resume=True)


def test_the_directory_is_not_taken_by_accident(ablate, tmp_path):
    ablate(GRID, FakeEngine())
    with pytest.raises(FileExistsError, match=r"runs/s already holds a sweep\. Add --resume to continue it"):
        ablate(GRID, FakeEngine())
    with (
        SweepDir(Path("runs/s")).open(Path("base.yaml"), resume=True),
        pytest.raises(BlockingIOError, match="another `abstain ablate` is at work on runs/s"),
    ):
        ablate(GRID, FakeEngine(), resume=True)
    Path("runs/s/sweep.json").unlink()
    Path("runs/s/thesis.tex").write_text("precious")
    with pytest.raises(FileExistsError, match=r"is no sweep directory \(it holds thesis\.tex\)"):
        ablate(GRID, FakeEngine())


def test_the_copy_of_the_base_is_private_and_taken_away(tmp_path):
    (tmp_path / "base.yaml").write_text("name: secret")
    directory = SweepDir(tmp_path / "s")
    with directory.open(tmp_path / "base.yaml", resume=False):
        assert directory.base.read_text() == "name: secret" and directory.base.stat().st_mode & 0o777 == 0o600
    assert not directory.base.exists()


def test_the_table_has_a_row_for_each_point(ablate):
    engine = FakeEngine()
    engine.wrong["limit-5_seed-0"] = Outcome("out of luck")
    ablation = ablate(GRID, engine)
    text = sweep_table(ablation.directory, ablation.states, "markdown").splitlines()
    assert text[0] == (
        "| point | mean regret | accuracy, t=0 | error, t=0.5 | coverage, t=0.5 | score, t=0.5 | AUROC | verdict "
        "| minutes |"
    )
    assert text[2].startswith("| limit-4_seed-0 | 0.212 | 50.0% | 25.0% | 75.0% | 0.040 |")
    assert text[4] == "| limit-5_seed-0 | failed | – | – | – | – | – | – | 0.0 |"
    rows = json.loads(sweep_table(ablation.directory, ablation.states, "json"))
    assert rows[0]["rl.limit"] == 4 and rows[0]["score@0.75"] == 0.04 and rows[0]["aurc"] is None
    assert rows[2]["error"] == "out of luck" and "mean_regret" not in rows[2]
    table = sweep_table(ablation.directory, ablation.states, "csv").splitlines()
    assert table[0].startswith("point,rl.limit,seed,directory,status,error,seconds,verdict,n,mean") and len(table) == 7


def test_a_search_averages_over_seeds_and_learns(ablate):
    pytest.importorskip("optuna")
    engine = FakeEngine(jobs=1)
    ablate(SEARCH, engine)
    names = [point["name"] for point in stored()["points"]]
    assert names[:2] == ["trial-000_seed-0", "trial-000_seed-1"] and len(names) == 12
    assert len([name for name in engine.started if not name.startswith("trial")]) == 2  # before and SFT, per seed
    limits = [point["settings"]["rl.limit"] for point in stored()["points"]]
    assert limits[::2] == limits[1::2] and all(isinstance(limit, int) and 2 <= limit <= 90 for limit in limits)


def test_a_search_goes_on_where_it_was_stopped(ablate, interrupt):
    pytest.importorskip("optuna")
    interrupt(SEARCH, "trial-003_seed-1", jobs=1)
    before = settings()
    again = FakeEngine(jobs=1)
    ablation = ablate(SEARCH, again, resume=True)
    after = settings()
    assert after[: len(before)] == before and len(after) == 12
    assert next(name for name in again.started if name.startswith("trial")) == "trial-003_seed-1"
    assert len([trial for trial in ablation.source._study.trials if trial.state.name == "COMPLETE"]) >= 6


def test_a_resumed_search_keeps_all_its_trials_in_sweep_json_from_the_start(interrupt):
    pytest.importorskip("optuna")
    interrupt(SEARCH, "trial-000_seed-0", jobs=6)
    before = settings()
    assert len(before) > 2
    interrupt(SEARCH, "trial-000_seed-0", jobs=1, resume=True)
    assert settings()[: len(before)] == before


def test_a_search_never_runs_the_same_settings_twice(ablate):
    pytest.importorskip("optuna")
    engine = FakeEngine(jobs=2)
    text = GRID.replace("  seed: [0, 1]\n", "constraints: [rl.limit != 6]\nsearch: {trials: 9}\n")
    ablation = ablate(text, engine)
    assert sorted(point["settings"]["rl.limit"] for point in stored()["points"]) == [4, 5]
    assert "The search ends after 2 trials: Optuna suggests nothing that is new and allowed." in ablation.watcher.said


def test_a_search_names_a_metric_that_is_not_there(ablate):
    pytest.importorskip("optuna")
    with pytest.raises(ValueError, match=r"s\.yaml:7: there is no metric 'scor@0\.5'\. Did you mean 'score@0\.5'\?"):
        ablate(SEARCH.replace("trials: 6", "trials: 6, metric: scor@0.5, direction: maximize"), FakeEngine())


def test_a_search_by_another_metric_says_which_way(ablate):
    with pytest.raises(ValueError, match=r"s\.yaml:7: .*metric score@0\.5 needs a direction: minimize or maximize"):
        ablate(SEARCH.replace("trials: 6", "trials: 6, metric: score@0.5"), FakeEngine())
