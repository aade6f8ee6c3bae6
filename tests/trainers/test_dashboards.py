"""Dashboards: readable groups, no holes, nothing twice, tables, results; and no failure of theirs stops a run."""

import json
import logging
import os
import sys
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from transformers.integrations import integration_utils
from trl import GRPOConfig

from abstain.rewards import ConfidenceTarget
from abstain.trainers.guards.callback import Guards
from abstain.trainers.guards.options import GuardOptions
from abstain.trainers.guards.rollouts import Sample
from abstain.trainers.tracking import dashboards, sinks
from abstain.trainers.tracking.dashboards import (
    Dashboard,
    add_dashboards,
    dashboard_key,
    numbers,
    publish_results,
    read_trackers,
    usable_trackers,
)
from abstain.trainers.tracking.sinks import TensorBoardSink, markdown_table
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from .conftest import ROWS, run_script

ABOUT = {"recipe": {"name": "toy", "seed": 0}, "made_with": {"commit": "0123abc-dirty"}}


@pytest.fixture
def make_trainer(build_trainer, tmp_path):
    def make(report_to, **args):
        guards = Guards(GuardOptions(every=1))
        rewards = guards.wrap([ConfidenceTarget(grader="f1")])
        args = {"output_dir": str(tmp_path / "toy" / "rl"), "project": "abstain-tests"} | args
        trainer = build_trainer(TrieGRPOTrainer, GRPOConfig, ROWS[:4], rewards, report_to=report_to, **args)
        found = add_dashboards(trainer, about=ABOUT, samples=lambda: guards.samples, samples_every=2)
        guards.attach(trainer)
        return trainer, found

    return make


class FakeWandb:
    """Enough of wandb for transformers and for us; keeps what it is given."""

    __spec__ = object()  # of a module that can be imported

    def Settings(self, **chosen):
        return chosen

    def __init__(self, fail=""):
        self.run, self.logged, self.opened, self.files, self.config = None, [], [], [], FakeConfig()
        self.places, self.offline = [], False
        self.finished, self.fail = 0, fail

    def init(self, project, name, id=None, resume=None, dir=None, settings=None):
        self.places.append(dir)
        if "init" in self.fail:
            raise ConnectionError("api_key not configured (no-tty)")
        self.opened.append((project, name, id))
        about = {"project": project, "name": name, "id": id or "id-1", "offline": self.offline}
        self.run = SimpleNamespace(**about, summary={}, _label=lambda code: None)
        return self.run

    def log(self, values):
        if "log" in self.fail:
            raise OSError("disk full")
        self.logged.append(values)

    def finish(self):
        self.finished += 1
        self.run = None

    def define_metric(self, *args, **kwargs):
        pass

    def Table(self, columns, data):
        return ("table", columns, data)

    def Image(self, path):
        return ("image", path)

    def Artifact(self, name, type):
        paths = []
        return SimpleNamespace(name=name, paths=paths, add_file=paths.append)

    def log_artifact(self, artifact):
        self.files.append((artifact.name, artifact.paths))

    def series(self, key):
        return [values[key] for values in self.logged if key in values]


class FakeConfig(dict):
    def update(self, values, allow_val_change=False):
        super().update(values)


@pytest.fixture
def wandb(monkeypatch):
    def install(fail=""):
        fake = FakeWandb(fail)
        monkeypatch.setitem(sys.modules, "wandb", fake)
        monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "1")  # else a sink sets it
        monkeypatch.delenv("WANDB_PROJECT", raising=False)
        return fake

    return install


def test_keys_are_grouped():
    keys = {
        "abstention/t=0.5": "behaviour/abstention/t=0.5",
        "ungraded/all": "behaviour/ungraded/all",
        "implied_target/truthrl": "behaviour/implied_target/truthrl",
        "heldout/people/score": "heldout/people/score",
        "guards/alarms": "guards/alarms",
        "reward": "train/reward",
        "rewards/a/mean": "train/rewards/a/mean",
        "eval_reward": "eval/reward",
        "accuracy": "train/accuracy",
    }
    assert {key: dashboard_key(key) for key in keys} == keys


def test_holes_are_left_out():
    logs = {"a": 1.5, "b": None, "c": float("inf"), "d": float("nan"), "e": "x", "f": 0, "g": [1]}
    assert numbers(logs) == {"a": 1.5, "f": 0}


def test_wandb_gets_each_number_once_in_its_group_and_tables(make_trainer, wandb, tmp_path):
    fake = wandb()
    trainer, _ = make_trainer(["wandb"])
    trainer.train()
    assert len(fake.series("train/reward")) == len(fake.series("behaviour/abstention/t=0.9")) == 2
    assert len(fake.series("guards/alarms")) == 2 and fake.series("train/guards/alarms") == []
    seen = [(values["train/global_step"], key) for values in fake.logged for key in values if "step" not in key]
    steps = [pair for pair in seen if "runtime" not in pair[1] and "per_second" not in pair[1]]
    twice = {pair for pair in steps if steps.count(pair) > 1} - {(2, "train/epoch"), (1, "train/epoch")}
    assert not twice
    assert all(isinstance(v, int | float) for values in fake.logged for k, v in values.items() if "samples" not in k)
    (_, columns, data), *_ = fake.series("behaviour/samples")
    assert columns == ["step", "question", "target", "completion", "verdict", "reward"]
    assert data[0][1] in {"Where was Ada born?", "Where was Bo born?"}
    assert fake.config["abstain"] == ABOUT
    assert fake.finished == 1  # the next stage gets a run of its own
    project, name, id = fake.opened[0]
    assert project == "abstain-tests" and name.startswith("toy-rl-") and id is None
    assert read_trackers(tmp_path / "toy" / "rl" / "trackers.json") == {
        "wandb": {"project": project, "name": name, "id": "id-1", "folder": str(tmp_path / "toy" / "rl")}
    }
    assert fake.places == [str(tmp_path / "toy" / "rl")]


def test_offline_results_go_into_the_folder_of_training(make_trainer, wandb, tmp_path):
    """A second folder of the same run would overwrite the first as it is uploaded."""
    fake = wandb()
    fake.offline = True
    for _ in range(2):
        trainer, _ = make_trainer(["wandb"])
        trainer.train()
    assert len(fake.opened) == 2 and fake.finished == 1  # the next stage has a run of its own
    publish_results(tmp_path / "toy" / "rl", [], overall={"mean_regret": 0.1})
    assert len(fake.opened) == 2 and fake.finished == 2
    assert fake.series("results/mean_regret") == [0.1]


def test_wandb_writes_where_the_user_says(make_trainer, wandb, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "mine"))
    fake = wandb()
    make_trainer(["wandb"])[0].train()
    assert fake.places == [None]


def test_a_resumed_run_goes_on_in_the_same_place_and_a_fresh_one_does_not(make_trainer, wandb, tmp_path):
    fake = wandb()
    trainer, _ = make_trainer(["wandb"], save_strategy="steps", save_steps=1)
    trainer.train()
    again, _ = make_trainer(["wandb"], save_strategy="steps", save_steps=1)
    again.train(resume_from_checkpoint=str(tmp_path / "toy" / "rl" / "checkpoint-1"))
    first, second = fake.opened
    assert second == (first[0], first[1], "id-1")
    fresh, _ = make_trainer(["wandb"])
    fresh.train()
    assert fake.opened[-1][2] is None


@pytest.mark.parametrize("fail", ["init", "log"])
def test_a_failing_tracker_is_left_out_and_training_goes_on(make_trainer, wandb, fail, caplog):
    wandb(fail)
    trainer, (dashboard,) = make_trainer(["wandb"], log_completions=True)
    with caplog.at_level(logging.WARNING):
        trainer.train()
    assert trainer.state.global_step == 2 and not dashboard.alive
    said = [r.getMessage() for r in caplog.records if "left out" in r.getMessage()]
    assert len(said) == 1 and said[0].startswith("wandb failed and is left out from here on: ")
    assert ("WANDB_MODE=offline" in said[0]) == (fail == "init")
    assert trainer.args.report_to == []


def test_missing_and_unknown_trackers(monkeypatch, caplog):
    monkeypatch.setattr(dashboards, "get_available_reporting_integrations", lambda: ["trackio"])
    with caplog.at_level(logging.WARNING):
        assert usable_trackers(["wandb", "trackio"]) == ["trackio"]
    assert "wandb is not installed (pip install wandb)" in caplog.text
    assert usable_trackers("all") == ["trackio"]
    assert usable_trackers([]) == usable_trackers("none") == []
    with pytest.raises(ValueError, match=r"there is no tracker 'tensorbord'\. Did you mean 'tensorboard'"):
        usable_trackers(["tensorbord"])


def test_results_go_into_the_run_that_training_left(wandb, tmp_path, caplog):
    fake = wandb()
    (tmp_path / "trackers.json").write_text(json.dumps({"wandb": {"project": "p", "name": "n", "id": "7"}}))
    table, plot = tmp_path / "table.md", tmp_path / "score.png"
    table.write_text("| t |")
    plot.write_bytes(b"png")
    rows, overall = [{"target": 0.5, "score": None}], {"mean_regret": 0.1, "auroc": None}
    publish_results(tmp_path, [table, plot, tmp_path / "missing.png"], rows, overall=overall)
    assert fake.opened == [("p", "n", "7")] and fake.finished == 1
    assert fake.files == [("results-7", [str(table), str(plot)])]
    assert fake.series("results/score") == [("image", str(plot))]
    assert fake.series("results/mean_regret") == [0.1] and not fake.series("results/auroc")
    assert fake.series("results/by_target") == [("table", ["target", "score"], [[0.5, ""]])]
    wandb("init")
    publish_results(tmp_path, [table])
    assert "wandb did not take the results: ConnectionError" in caplog.text


def test_wandb_does_not_wait_for_ever_for_a_server_that_is_gone(monkeypatch):
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "7")
    monkeypatch.setenv("WANDB_LOG_MODEL", "end")
    sinks.WandbSink()
    assert os.environ.pop("WANDB_FINISH_TIMEOUT") == "7"
    sinks.WandbSink()
    assert "WANDB_FINISH_TIMEOUT" not in os.environ  # uploading a model may take longer
    monkeypatch.delenv("WANDB_LOG_MODEL")
    sinks.WandbSink()
    assert float(os.environ["WANDB_FINISH_TIMEOUT"]) == sinks.FINISH_SECONDS
    import wandb

    assert "finish_timeout" in wandb.Settings.model_fields  # else the variable means nothing


def test_corrupt_or_missing_notes_about_trackers_are_no_problem(tmp_path):
    place = tmp_path / "trackers.json"
    assert read_trackers(place) == {}
    for text in ("{", "[]", '{"unknown": {}}'):
        place.write_text(text)
        assert read_trackers(place) == {}
    publish_results(tmp_path, [])


def test_a_tracker_that_we_do_not_know_gets_numbers_only_and_may_fail(tmp_path, caplog):
    other = Mock()
    other.on_train_end.side_effect = RuntimeError("gone")
    args = GRPOConfig(str(tmp_path), report_to="none", use_cpu=True, bf16=False)
    dashboard = Dashboard("mlflow", other, about={})
    state = SimpleNamespace(global_step=1, is_world_process_zero=True)
    dashboard.on_log(args, state, None, logs={"reward": 0.5, "kl": None})
    assert [call.kwargs["logs"] for call in other.on_log.call_args_list] == [{"reward": 0.5}]
    with caplog.at_level(logging.WARNING):
        dashboard.on_train_end(args, state, None)
    assert not dashboard.alive and "mlflow failed" in caplog.text


def test_tensorboard_gets_scalars_and_tables_as_text(tmp_path):
    writer = Mock(log_dir="events")
    sink = TensorBoardSink(SimpleNamespace(tb_writer=writer))
    sink.log({"guards/alarms": 1.0}, 5)
    sink.table("behaviour/samples", [{"completion": "<b>|\nx", "target": 0.5}], 5)
    sink.describe(ABOUT)
    writer.add_scalar.assert_called_once_with("guards/alarms", 1.0, 5)
    (_, table, step), (_, about) = (call.args for call in writer.add_text.call_args_list)
    assert table.splitlines()[-1] == "| <b>\\| x | 0.5 |" and step == 5
    assert "0123abc-dirty" in about
    assert sink.run(None) == {"folder": "events"}


def test_a_table_of_samples_clips_long_texts(wandb, tmp_path):
    fake = wandb()
    long = Sample(1, "Who?", 0.5, "x" * 10_000, "CORRECT", 0.5)
    args = GRPOConfig(str(tmp_path), report_to="none", use_cpu=True, bf16=False)
    inner = integration_utils.WandbCallback()
    dashboard = Dashboard("wandb", inner, about={}, samples=lambda: [long])
    state = SimpleNamespace(global_step=1, is_world_process_zero=True, trial_name=None, is_hyper_param_search=False)
    dashboard.on_log(args, state, None, logs={"reward": 0.5}, model=None)
    ((_, _, data),) = fake.series("behaviour/samples")
    assert len(data[0][3]) < 600
    assert markdown_table([{"a": 1}]).count("\n") == 2


SCRIPT = """
import json, sys
from pathlib import Path
from trl import GRPOConfig
from abstain.rewards import ConfidenceTarget
from abstain.trainers.tracking.dashboards import read_trackers
from abstain.trainers.tracking.dashboards import add_dashboards, publish_results, usable_trackers
from abstain.trainers.guards.options import GuardOptions
from abstain.trainers.guards.callback import Guards
from abstain.trainers.trie.trainer import TrieGRPOTrainer
from tests.trainers.conftest import ROWS, new_trainer

folder = Path(sys.argv[2])
guards = Guards(GuardOptions(every=1))
rewards = guards.wrap([ConfidenceTarget(grader="f1")])
options = {"output_dir": str(folder / "toy" / "rl"), "report_to": usable_trackers(["wandb", "trackio"])}
options |= {"project": "tests", "max_completion_length": 3}
trainer = new_trainer(TrieGRPOTrainer, GRPOConfig, ROWS[:4], rewards, sys.argv[1], **options)
found = add_dashboards(trainer, about={"made_with": {"commit": "0123"}}, samples=lambda: guards.samples)
guards.attach(trainer)
trainer.train()
(folder / "table.md").write_text("| t |")
publish_results(folder / "toy" / "rl", [folder / "table.md"], [{"target": 0.5, "score": 0.1}])

import trackio
from trackio.sqlite_storage import SQLiteStorage
name = read_trackers(folder / "toy" / "rl" / "trackers.json")["trackio"]["name"]
(run,) = trackio.Api().runs("tests")
assert run.name == name and run.config["abstain"] == {"made_with": {"commit": "0123"}}, run.config
logs = SQLiteStorage.get_logs("tests", name)
print("FOUND", json.dumps([[one.alive for one in found], sorted({key for entry in logs for key in entry})]))
"""


@pytest.mark.slow
def test_the_real_trackers_offline(tiny_model_dir, tmp_path):
    """wandb and Trackio as they are installed: the run, its table and its results are there afterwards."""
    places = {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "TRACKIO_DIR": str(tmp_path / "trackio")}
    ((alive, metrics),), said = run_script(SCRIPT, tmp_path, tiny_model_dir, tmp_path, **places)
    assert "did not take" not in said and "left out" not in said and "already one" not in said
    assert alive == [True, True]
    assert {"behaviour/abstention/t=0.9", "behaviour/samples", "guards/alarms", "train/reward"} <= set(metrics)
    assert any(path.suffix == ".wandb" for path in (tmp_path / "wandb").rglob("*"))
