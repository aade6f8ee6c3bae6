"""`abstain ablate` from end to end, with real training of a tiny model. Its processes are calls, to save time."""

import json
import os
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import typer
from rich.console import Console

from abstain.recipes.cli.ablate import ablate
from abstain.recipes.cli.train import train
from abstain.recipes.report import page
from abstain.recipes.run.console import complain
from abstain.recipes.run.directory import RunDir
from abstain.recipes.run.recipe import load_recipe
from abstain.recipes.run.yaml_lines import parse_yaml
from abstain.recipes.sweep import job as sweep_job
from abstain.recipes.sweep import progress
from abstain.recipes.sweep.ablation import Ablation
from abstain.recipes.sweep.config import load_sweep, shipped_sweeps
from abstain.recipes.sweep.engines import create_sweep, wandb_config
from abstain.recipes.sweep.job import Job
from abstain.recipes.sweep.shared import run_shared

SWEEP = """\
name: lr
base: recipe.yaml
axes:
  rl.args.learning_rate: [1e-4, 1e-3]
  rl.targets: [[0], [0, 0.5]]
constraints:
  - not: [rl.args.learning_rate == 1e-3, "rl.targets == [0]"]
settings: {rl.args.max_steps: 2}
"""


@pytest.fixture
def sweep(monkeypatch, recipe) -> str:
    """A sweep file; what would be processes are calls."""
    monkeypatch.setattr(sweep_job, "_run", _in_this_process)
    monkeypatch.setattr(page, "write_report", lambda path: path / "report.html")  # which takes as long as the rest
    Path("s.yaml").write_text(SWEEP)
    return "s.yaml"


def _in_this_process(job: Job, *_: object) -> int:
    job.log.parent.mkdir(exist_ok=True)
    with job.log.open("a") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            if job.until:
                run_shared(job.command[3], job.command[4], job.command[5:])
            else:
                train(job.command[4], job.command[5:-2], job.command[-2] == "--resume")
        except (ValueError, OSError) as error:
            complain(error)
            return 2
    return 0


def _pretend(job: Job, *_: object) -> int:
    """A job that leaves the files of a run; at a learning rate of 1e-3 it fails."""
    job.log.parent.mkdir(exist_ok=True)
    if "rl.args.learning_rate=0.001" in job.overrides and not job.until:
        job.log.write_text("training: rl\n 50%|##   | 1/2 [00:01<00:01]\nerror: out of luck\nTo continue: try again\n")
        return 2
    run = RunDir(job.directory)
    recipe, _ = load_recipe(str(job.base), [*job.overrides, f"output_dir={job.directory}"])
    run.open(recipe, resume=True)
    run.start(recipe)
    for folder in (run.path / "before", run.path / "sft", run.path):
        folder.mkdir(exist_ok=True)
        (folder / "metrics.json").write_text(json.dumps({"mean_regret": 0.125, "by_target": []}))
    for step in set(job.steps) - set(run.complete):
        run.mark_complete(step)
    return 0


@pytest.fixture
def pretend(sweep, monkeypatch) -> str:
    """The same, and the calls train nothing."""
    monkeypatch.setattr(sweep_job, "_run", _pretend)
    return sweep


def test_a_sweep_from_its_file_to_its_table(sweep, capsys):
    Path("s.yaml").write_text(SWEEP.replace("1e-4, 1e-3", "1e-4"))
    ablate(sweep, jobs=1)
    out, err = capsys.readouterr()
    assert out.splitlines()[1].split()[:3] == ["point", "regret", "t=0"]
    names = [f"learning_rate-0.0001_targets-{targets}" for targets in ("0", "0-0.5")]
    assert [line.split()[0] for line in out.splitlines()[3:5]] == names
    assert out.splitlines()[6].startswith(" No best setting: ")
    assert "Report: runs/lr/report.html" in err
    assert "lr: 2 points on 1 worker" in err and "[2/2] learning_rate-0.0001_targets-0-0.5 done in" in err
    folder = Path("runs/lr")
    [shared] = (folder / "shared").iterdir()
    assert json.loads((shared / "state.json").read_text())["complete"] == ["before", "sft", "after-sft"]
    assert not (shared / "model").exists() and not (shared / "metrics.json").exists()
    for point in json.loads((folder / "sweep.json").read_text())["points"]:
        run = folder / point["directory"]
        assert point["status"] == "complete" and (run / "table.md").exists()
        assert (run / "sft/model/config.json").samefile(shared / "sft/model/config.json")
        assert (run / "before/start.json").samefile(shared / "before/start.json")
        assert (run / "sft/metrics.json").samefile(shared / "sft/metrics.json")
        log = (folder / "logs" / f"{point['name']}.log").read_text()
        assert "training: sft" not in log and "after sft" not in log.partition("measuring the trained")[0]
    assert "training: sft" in (folder / "logs" / f"{shared.name}.log").read_text()


def test_a_corrupt_point_is_run_again(pretend, monkeypatch, capsys):
    with pytest.raises(typer.Exit):
        ablate(pretend, jobs=1)
    capsys.readouterr()
    with pytest.raises(FileExistsError, match="already holds a sweep"):
        ablate(pretend)
    Path("runs/lr/points/learning_rate-0.0001_targets-0/metrics.json").write_text("{")
    with pytest.raises(typer.Exit):
        ablate(pretend, jobs=1, resume=True, format="json")
    out, err = capsys.readouterr()
    assert "learning_rate-0.0001_targets-0 was corrupt" in err and err.count("done in") == 1
    assert [row["status"] for row in json.loads(out)] == ["complete", "complete", "failed"]
    assert Path("runs/lr/points/learning_rate-0.0001_targets-0.corrupt-1/before").is_dir()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", shipped_sweeps())
def test_shipped_sweeps_run(name, sweep, small, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ABSTAIN_CACHE", str(tmp_path / "cache"))
    ablate(name, ["task.people=400", "task.held_out=40", *small], jobs=1, format="json")
    rows = json.loads(capsys.readouterr().out)
    assert {row["status"] for row in rows} == {"complete"}
    worlds = {"stated": 3, "study": 3, "calibration": 3, "sizes": 9}.get(name, 1)
    assert len(list((tmp_path / "cache").glob("factworld-*"))) == worlds  # and as many base models


def test_a_failed_point_is_named_with_how_to_try_it_again(pretend, capsys):
    with pytest.raises(typer.Exit) as ended:
        ablate(pretend, ["rl.limit=9"], jobs=1, out="elsewhere")
    out, err = capsys.readouterr()
    assert ended.value.exit_code == 1
    assert "[3/3] learning_rate-0.001_targets-0-0.5 failed: out of luck\n" in err
    assert "1 of 3 points failed; what they said is in elsewhere/logs." in err
    assert "To try them again: abstain ablate s.yaml rl.limit=9 --out elsewhere --resume" in err
    assert out.splitlines()[5].split()[:2] == ["learning_rate-0.001_targets-0-0.5", "failed"]


def test_a_report_that_cannot_be_written_costs_nothing(sweep, monkeypatch, capsys):
    def fail(path: Path) -> Path:
        raise RuntimeError("no fonts")

    monkeypatch.setattr(page, "write_report", fail)
    monkeypatch.setattr(sweep_job, "_run", lambda job, *_: 3)
    with pytest.raises(typer.Exit):
        ablate(sweep, jobs=1)
    assert "no report: no fonts. To try again: abstain report runs/lr" in capsys.readouterr().err


def test_ctrl_c_says_how_to_continue(sweep, monkeypatch):
    monkeypatch.setattr(Ablation, "_start", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt) as error:
        ablate(sweep)
    assert error.value.__notes__ == ["To continue: abstain ablate s.yaml --resume"]


def test_a_mistake_leaves_nothing_behind(sweep):
    with pytest.raises(ValueError, match=r"unknown key 'rl\.limt'"):
        ablate(sweep, ["rl.limt=1"])
    with pytest.raises(ValueError, match="--create is for --engine wandb"):
        ablate(sweep, create=True)
    assert sorted(os.listdir()) == ["recipe.yaml", "s.yaml"]


def test_the_live_table(pretend, monkeypatch):
    drawn = []

    class Recorded(progress.LiveTable):
        def update(self, ablation: Ablation) -> None:
            self._drawn = 0
            super().update(ablation)
            paper = Console(width=100)
            with paper.capture() as captured:
                paper.print(self.render(ablation))
            drawn.append(captured.get())

    monkeypatch.setattr(progress, "watcher", lambda terminal: Recorded(Console(force_terminal=True, width=100)))
    with pytest.raises(typer.Exit):
        ablate(pretend, jobs=1)
    assert "(shared) after-sft-" in drawn[0] and "0 of 3 complete, 1 running, 3 to go" in drawn[0]
    last = [line.split() for line in drawn[-1].splitlines()]
    assert last[1] == ["learning_rate-0.0001_targets-0", "complete", "0.125"]
    assert last[3][:2] == ["learning_rate-0.001_targets-0-0.5", "running"]


def test_what_a_running_job_is_doing(tmp_path):
    job = Job(
        **{"name": "a", "directory": tmp_path / "a", "base": tmp_path, "overrides": (), "until": "", "source": None},
        **{"source_steps": (), "lock": tmp_path / "lock", "threads": 1, "log": tmp_path / "log"},
        steps=("before", "sft", "rl", "after"),
    )
    assert progress.doing(job) == "before"
    job.directory.mkdir()
    (job.directory / "recipe.yaml").write_text("name: r\ntask: {name: geo}\nmodel: {path: m}\nrl: {}\n")
    (job.directory / "before").mkdir()
    (job.directory / "before" / "metrics.json").write_text('{"by_target": []}')
    (job.directory / "state.json").write_text('{"complete": ["before", "sft"]}')
    job.log.write_text("training: sft\r 1/1 [00:01\n[3/4] training: rl\n")
    assert progress.doing(job) == "rl"
    with job.log.open("a") as log:
        log.write(" 10%|#    | 4/40 [00:01<00:09]\r 12%|#    | 5/40 [00:01<00:09]")
    assert progress.doing(job) == "rl 5/40"
    (job.directory / "state.json").write_text("{")
    assert progress.doing(job) == ""


def test_wandb_gets_a_command_line_that_train_takes(sweep, capsys):
    Path("s.yaml").write_text(SWEEP.partition("constraints")[0])
    ablate(sweep, engine="wandb")
    config, _ = parse_yaml(capsys.readouterr().out, "out")
    assert config["method"] == "grid"
    assert config["parameters"] == {
        "rl.args.learning_rate": {"values": [1e-4, 1e-3]},
        "rl.targets": {"values": [[0], [0, 0.5]]},
    }
    shell, c, line, base, *settings, macro = config["command"]
    assert (shell, c, base, macro) == ("sh", "-c", "recipe.yaml", "${args_no_hyphens}")
    assert line == 'exec abstain train "$0" "$@" output_dir="runs/lr/$WANDB_RUN_ID"'
    assert settings == ['rl.args.report_to="wandb"', 'name="lr"']
    assert not Path("runs").exists()


@pytest.mark.slow
def test_what_a_wandb_agent_starts(sweep, tmp_path):
    """The command line as the agent fills it in, with a stand-in for abstain that shows its arguments."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    axes = "{rl.targets: [[0, 0.5]], task.name: [qa], seed: [3]}"
    Path("s.yaml").write_text(f"name: s\nbase: recipe.yaml\naxes: {axes}\n")
    config = wandb_config(load_sweep(sweep))
    chosen = {key: {"value": parameter["values"][0]} for key, parameter in config["parameters"].items()}
    filled = create_sweep_command_args({"args": chosen})["args_no_hyphens"]
    parts = create_sweep_command(list(config["command"]))
    command = [part for one in parts for part in (filled if one == "${args_no_hyphens}" else [one])]
    stand_in = tmp_path / "abstain"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "WANDB_RUN_ID": "run9"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert shown[:2] == ["train", "recipe.yaml"]
    recipe, _ = load_recipe(shown[1], shown[2:])
    assert (recipe.rl.targets, recipe.seed, recipe.output_dir) == ([0, 0.5], 3, "runs/s/run9")
    assert recipe.rl.args["report_to"] == "wandb"


def test_wandb_is_not_given_what_it_cannot_express(sweep):
    with pytest.raises(ValueError, match=r"s\.yaml:6: wandb Sweeps have no constraints"):
        wandb_config(load_sweep(sweep))
    head = "name: s\nbase: recipe.yaml\n"
    for lines, said in [
        ("points: [{seed: 1}]\n", r"s\.yaml:3: wandb Sweeps have no listed points"),
        ("axes: {a: {x: {seed: 1}, y: {}}}\n", r"s\.yaml:3: 'a' changes several keys at once"),
        ("axes: {rl.limit: [4, null]}\n", r"s\.yaml:3: wandb writes null as None"),
    ]:
        Path("s.yaml").write_text(head + lines)
        with pytest.raises(ValueError, match=said):
            wandb_config(load_sweep(sweep))


def test_a_search_becomes_wandbs_own(sweep):
    search = "axes: {rl.args.learning_rate: {low: 1e-5, high: 1e-3, log: true}}\n"
    search += "search: {trials: 9, metric: aurc, direction: minimize}\n"
    Path("s.yaml").write_text("name: s\nbase: recipe.yaml\n" + search)
    config = wandb_config(load_sweep(sweep))
    assert (config["method"], config["run_cap"]) == ("bayes", 9)
    assert config["metric"] == {"name": "results/aurc", "goal": "minimize"}
    drawn = {"min": 1e-5, "max": 1e-3, "distribution": "log_uniform_values"}
    assert config["parameters"]["rl.args.learning_rate"] == drawn


def test_wandb_without_an_account(monkeypatch):
    import wandb

    def refuse(config, project):
        assert project == "mine"
        raise wandb.errors.AuthenticationError("API key must be 40 characters long")

    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.setattr(wandb, "sweep", refuse)
    with pytest.raises(ValueError, match=r"wandb did not create the sweep: API key .*Is `wandb login` done\?"):
        create_sweep({})
    monkeypatch.setattr(wandb, "sweep", lambda config, project: "abc123")
    monkeypatch.setenv("WANDB_ENTITY", "us")
    assert create_sweep({}) == "us/mine/abc123"
