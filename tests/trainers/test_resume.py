"""A run that is killed and resumed ends as it would have without: same prompts, random state, weights and log."""

import json
import logging
import random
import shutil
import signal
import time
import zlib
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from abstain.evals.models import load_model
from abstain.evals.records import write_text
from abstain.trainers.checkpoints import is_whole, remove_unusable, step_of, whole_checkpoints
from abstain.trainers.ppo import PPOConfig, PPOTrainer, TriePPOTrainer
from abstain.trainers.resuming import Checkpoints, why_it_differs
from abstain.trainers.run_trainer import train
from abstain.trainers.sft import run_sft
from abstain.trainers.stages import SftStage
from abstain.trainers.trie.trainer import TrieGRPOTrainer, TrieRLOOTrainer

from . import killed_run
from .conftest import PROMPTS, TASK, new_trainer, run_script

KINDS = {
    "grpo": (GRPOTrainer, GRPOConfig),
    "grpo, trie": (TrieGRPOTrainer, GRPOConfig),
    "rloo": (RLOOTrainer, RLOOConfig),
    "rloo, trie": (TrieRLOOTrainer, RLOOConfig),
    "ppo": (PPOTrainer, PPOConfig),
    "ppo, trie": (TriePPOTrainer, PPOConfig),
}
TIMES = ("step_time", "train_")


class Killed(Exception):
    pass


class Killer(TrainerCallback):
    """Ends training when a step begins, or after the last one, with everything saved."""

    def __init__(self, step):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise Killed

    def on_train_end(self, *event, **kwargs):
        self.on_step_begin(*event)


def reward(prompts, completions, **kwargs):
    return [zlib.crc32(text.encode()) % 7 / 7 for text in completions]


def lived(make, folder, kills=()):
    """Prompts by step, log, weights and random state of a run that was killed at these steps."""
    asked = {}
    for step in (*kills, None):
        torch.manual_seed(0)  # also of what is random before the trainer is seeded
        trainer = make(folder)
        prepare = trainer._generate_and_score_completions

        def noted(inputs, prepare=prepare, state=trainer):
            asked[state.state.global_step] = [row["prompt"] for row in inputs]
            return prepare(inputs)

        trainer._generate_and_score_completions = noted
        if step is not None:
            trainer.add_callback(Killer(step))
        try:
            train(trainer, resume=True)
        except Killed:
            assert step is not None
    rows = trainer.state.log_history
    log = [{key: value for key, value in row.items() if not key.startswith(TIMES)} for row in rows]
    return asked, log, trainer.model.state_dict(), torch.get_rng_state().tolist()


def assert_same(found, expected):
    assert found[0] == expected[0] and found[1] == expected[1] and found[3] == expected[3]
    assert found[2].keys() == expected[2].keys()
    assert all(torch.equal(found[2][name], weight) for name, weight in expected[2].items())


def build(folder, kind, model_dir, **args):
    cls, config = KINDS[kind]
    options = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1, "per_device_train_batch_size": 8}
    rows = [{"prompt": prompt} for prompt in PROMPTS * 2]
    return new_trainer(cls, config, rows, reward, model_dir, output_dir=str(folder), **options | args)


@pytest.mark.parametrize(
    ("kind", "kills", "args"),
    [
        ("grpo", [5], {"max_steps": 7, "logging_steps": 3}),  # four steps are an epoch
        ("grpo, trie", [3], {"max_steps": 6, "steps_per_generation": 2, "num_iterations": 2}),
        pytest.param("rloo", [3], {"max_steps": 5, "num_iterations": 2, "beta": 0.1}, marks=pytest.mark.slow),
        ("ppo, trie", [1, 3], {"max_steps": 4, "num_iterations": 2, "whiten_advantages": True}),
    ],
)
def test_it_ends_as_an_unbroken_run(tmp_path, tiny_model_dir, kind, kills, args):
    make = partial(build, kind=kind, model_dir=tiny_model_dir, **args)
    assert_same(lived(make, tmp_path / "killed", kills), lived(make, tmp_path / "unbroken"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "args",
    [
        {},
        {"logging_steps": 4},
        {"steps_per_generation": 2},
        {"num_iterations": 2},
        {"steps_per_generation": 2, "num_iterations": 2},
        {"gradient_accumulation_steps": 2},
        {"gradient_accumulation_steps": 4, "steps_per_generation": 2},
        {"beta": 0.1},
        {"lr_scheduler_type": "cosine", "warmup_steps": 3},
    ],
)
def test_so_it_does_with_these_options(tmp_path, tiny_model_dir, kind, args):
    make = partial(build, kind=kind, model_dir=tiny_model_dir, **{"max_steps": 10} | args)
    assert_same(lived(make, tmp_path / "killed", [3, 4, 7, 10]), lived(make, tmp_path / "unbroken"))


def test_killed_after_its_last_step_it_takes_no_other(tmp_path, tiny_model_dir):
    make = partial(build, kind="grpo", model_dir=tiny_model_dir, max_steps=2)
    assert_same(lived(make, tmp_path / "killed", [2, 2]), lived(make, tmp_path / "unbroken"))


def test_stopped_early_it_stays_stopped(tmp_path, tiny_model_dir):
    class Stopped(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == 2

    for _ in range(2):
        trainer = build(tmp_path, "grpo", tiny_model_dir, max_steps=4)
        trainer.add_callback(Stopped())
        train(trainer, resume=True)
        assert trainer.state.global_step == 2
    longer = build(tmp_path, "grpo", tiny_model_dir, max_steps=5)
    shutil.rmtree(tmp_path / "checkpoint-2")
    train(longer, resume=True)
    assert longer.state.global_step == 5


def test_a_supervised_stage_goes_on_with_its_order(tmp_path, tiny_model_dir):
    args = {
        "max_steps": 5,
        "per_device_train_batch_size": 4,
        "save_steps": 1,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
    }
    stage = SftStage(answers="gold", args=args | {"learning_rate": 0.01})  # an epoch has two steps

    def taught(folder, resume):
        loaded = load_model(str(tiny_model_dir), dtype="float32")
        return run_sft(loaded.model, loaded.tokenizer, TASK, stage, output_dir=folder, seed=0, resume=resume)

    unbroken = taught(tmp_path / "unbroken", False)
    stage = SftStage(answers="gold", args=stage.args | {"max_steps": 3})
    taught(tmp_path / "killed", False)
    stage = SftStage(answers="gold", args=stage.args | {"max_steps": 5})
    resumed = taught(tmp_path / "killed", True)
    logs = [
        [(row["step"], row.get("loss"), row.get("num_tokens")) for row in one.state.log_history]
        for one in (resumed, unbroken)
    ]
    assert logs[0][:-1] == logs[1][:-1]
    found, expected = resumed.model.state_dict(), unbroken.model.state_dict()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


# What is left of a checkpoint


def checkpoint(folder, step, processes=1):
    path = folder / f"checkpoint-{step}"
    write_text(path / "trainer_state.json", json.dumps({"global_step": step}))
    torch.save({}, path / "optimizer.pt")
    for rank in range(processes):
        torch.save({}, path / f"carried-{rank}.pt")
        torch.save({}, path / (f"rng_state_{rank}.pth" if processes > 1 else "rng_state.pth"))
    save_file({"weight": torch.ones(64)}, path / "model.safetensors")
    return path


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize(
    "break_it",
    [
        lambda path: (path / "trainer_state.json").unlink(),
        lambda path: cut(path / "trainer_state.json"),
        lambda path: cut(path / "model.safetensors"),
        lambda path: (path / "model.safetensors").write_bytes(b""),
        lambda path: cut(path / "optimizer.pt"),
        lambda path: cut(path / "carried-0.pt"),
        lambda path: (path / "rng_state_1.pth").unlink(),
    ],
)
def test_what_is_not_whole_does_not_count(tmp_path, break_it):
    older, newer = (checkpoint(tmp_path, step, processes=2) for step in (9, 10))
    assert whole_checkpoints(tmp_path) == [older, newer]
    break_it(newer)
    assert whole_checkpoints(tmp_path) == [older] and not is_whole(newer)


def test_only_what_is_used_and_older_whole_ones_stay(tmp_path):
    paths = {step: checkpoint(tmp_path, step) for step in (2, 4, 6, 8)}
    cut(paths[2] / "optimizer.pt")
    remove_unusable(tmp_path, paths[6])
    assert whole_checkpoints(tmp_path) == [paths[4], paths[6]] and not paths[2].exists() and not paths[8].exists()
    remove_unusable(tmp_path, None)
    assert not list(tmp_path.iterdir())


def test_a_step_is_read_from_a_name():
    assert step_of(Path("a/checkpoint-12")) == 12
    with pytest.raises(ValueError, match=r"a/model is no checkpoint; its name would be checkpoint-N"):
        step_of(Path("a/model"))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, ""),
        ({"world_size": 2}, "it was made by 1 processes, and now there are 2"),
        ({"use_vllm": True}, "vLLM has a random state of its own"),
        ({"sync_ref_model": True}, "sync_ref_model moves the reference model"),
        ({"ignore_data_skip": True}, "ignore_data_skip begins with the first prompts again"),
    ],
)
def test_what_cannot_be_the_same_is_said(tmp_path, given, told):
    args = SimpleNamespace(**{"world_size": 1, "ignore_data_skip": False, "save_only_model": False} | given)
    found = why_it_differs(SimpleNamespace(args=args), checkpoint(tmp_path, 1))
    assert told in found and bool(told) == bool(found)


def test_a_checkpoint_of_an_older_version_is_used_with_a_warning(tmp_path, tiny_model_dir, caplog):
    train(build(tmp_path, "grpo", tiny_model_dir, max_steps=2, save_steps=1), resume=False)
    for file in tmp_path.glob("checkpoint-*/carried-*.pt"):
        file.unlink()
    longer = build(tmp_path, "grpo", tiny_model_dir, max_steps=3)
    with caplog.at_level(logging.WARNING, "abstain"):
        train(longer, resume=True)
    assert longer.state.global_step == 3
    assert "checkpoint-2, and may differ from an unbroken one: it was made by an older version" in caplog.text


def test_an_older_checkpoint_goes_when_the_new_one_is_whole(tmp_path, tiny_model_dir, monkeypatch):
    there = []
    rotate = Checkpoints.on_save

    def noting(self, args, state, control, **kwargs):
        there.append([path.name for path in whole_checkpoints(tmp_path)])
        rotate(self, args, state, control, **kwargs)

    monkeypatch.setattr(Checkpoints, "on_save", noting)
    trainer = build(tmp_path, "grpo", tiny_model_dir, max_steps=3)
    train(trainer, resume=False)
    assert there == [["checkpoint-1"], ["checkpoint-1", "checkpoint-2"], ["checkpoint-2", "checkpoint-3"]]
    assert [path.name for path in whole_checkpoints(tmp_path)] == ["checkpoint-3"]
    assert trainer.args.save_total_limit == 1


def test_what_is_saved_as_a_step_ends_is_not_written_over_as_the_epoch_does(tmp_path, tiny_model_dir):
    saved = []

    class Often(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_save = True

        def on_save(self, args, state, control, **kwargs):
            saved.append(state.global_step)

    trainer = build(tmp_path, "grpo", tiny_model_dir, max_steps=4, save_strategy="epoch")  # an epoch
    trainer.add_callback(Often())
    train(trainer, resume=False)
    assert saved == [1, 2, 3, 4]


# Processes that are killed


def finish(model, output, args):
    process = killed_run.start(model, output, args)
    process.join()
    assert process.exitcode == 0
    return killed_run.what_it_left(output)


def assert_left_the_same(found, expected):
    for name, value in expected.items():
        assert found[name] == value, name


def kill_while_writing(model, folder, args, deaths):
    """Every one of these deaths after one more whole checkpoint; then the run goes on to its end."""
    reached = 0
    for death in deaths:
        process = killed_run.start(model, folder, args, death)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        before, reached = reached, killed_run.last_step(folder)
        assert reached > before, death
    return finish(model, folder, args)


@pytest.mark.slow
def test_killed_while_it_saves(tmp_path, tiny_model_dir):
    args, deaths = {"max_steps": 5}, [("weights", True), ("trainer state", False)]
    found = kill_while_writing(tiny_model_dir, tmp_path / "killed", args, deaths)
    expected = finish(tiny_model_dir, tmp_path / "unbroken", args)
    assert_left_the_same(found, expected)
    assert len({str(asked) for asked in expected["prompts"].values()}) > 1 and expected["log"]


@pytest.mark.slow
def test_killed_at_any_moment_of_a_save(tmp_path, tiny_model_dir):
    args = {"max_steps": 20}
    deaths = [(writer, torn) for writer in killed_run.WRITERS for torn in (False, True)]
    found = kill_while_writing(tiny_model_dir, tmp_path / "killed", args, deaths)
    assert_left_the_same(found, finish(tiny_model_dir, tmp_path / "unbroken", args))


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_killed_a_hundred_times(tmp_path, tiny_model_dir):
    """At random moments: while it loads, samples, learns, asks held-out questions, saves."""
    args, folder, draws = {"max_steps": 240}, tmp_path / "killed", random.Random(0)
    unbroken, loading, a_step = timed(tiny_model_dir, tmp_path / "unbroken", args)
    reached = 0
    for kill in range(100):
        process = killed_run.start(tiny_model_dir, folder, args)
        began = time.monotonic()
        if kill % 2:  # while it works; three steps at most, and one else, so that 100 kills end before the run does
            wait_while(process, lambda: killed_run.last_step(folder) == reached)  # noqa: B023
            until, most = time.monotonic() + draws.uniform(0, 2) * a_step, 3
        else:
            until, most = began + draws.uniform(0, 1) * loading, 1
        wait_while(process, lambda: time.monotonic() < until and killed_run.last_step(folder) < reached + most)  # noqa: B023
        assert process.is_alive(), "it came to its end too soon"
        process.kill()
        process.join()
        now = killed_run.last_step(folder)
        print(f"kill {kill + 1} after {time.monotonic() - began:.1f} s: step {reached} -> {now}")
        assert now >= reached
        reached = now
    assert reached > 50
    assert_left_the_same(finish(tiny_model_dir, folder, args), unbroken)


def wait_while(process, holds):
    while process.is_alive() and holds():
        time.sleep(0.02)


def timed(model, folder, args):
    """What an unbroken run left; seconds until its first checkpoint, and of each further step."""
    began = time.monotonic()
    process = killed_run.start(model, folder, args)
    wait_while(process, lambda: not killed_run.last_step(folder))
    loading = time.monotonic() - began
    process.join()
    assert process.exitcode == 0
    return killed_run.what_it_left(folder), loading, (time.monotonic() - began - loading) / (args["max_steps"] - 1)


TWO_PROCESSES = """
import sys
from functools import partial
from pathlib import Path
from accelerate import PartialState
from tests.trainers.test_resume import assert_same, build, lived

model, folder = sys.argv[1], Path(sys.argv[2])
for kind, args in {
    "grpo, trie": {"steps_per_generation": 2, "logging_steps": 2},
    "ppo, trie": {"num_iterations": 2, "whiten_advantages": True},
}.items():
    make = partial(build, kind=kind, model_dir=model, max_steps=7, **args)
    assert_same(lived(make, folder / kind / "killed", [3, 5]), lived(make, folder / kind / "unbroken"))
    if PartialState().is_main_process:  # lines of two would be mixed up
        print("FOUND", "true")
"""


@pytest.mark.slow
def test_two_processes_go_on_as_well(tmp_path, tiny_model_dir):
    found, _ = run_script(TWO_PROCESSES, tmp_path, tiny_model_dir, tmp_path, processes=2)
    assert found == [True] * 2
