import json
import os

import pytest
import yaml

from abstain.evals.records import write_text
from abstain.recipes.run.directory import RunDir, made_with, measurements, start_file, write_directory
from abstain.recipes.run.recipe import Recipe


def recipe(**changes) -> Recipe:
    fields = {"name": "r", "task": {"name": "geo", "limit": 9}, "model": {"path": "m"}, "sft": {}}
    return Recipe.model_validate({**fields, "rl": {"args": {"beta": 0.1}}, **changes})


@pytest.fixture
def begun(tmp_path) -> RunDir:
    """A run of that recipe which has completed nothing."""
    run = RunDir(tmp_path / "deep" / "run")
    run.open(recipe(), resume=False)
    assert not run.started
    run.start(recipe())
    return run


def test_a_new_run_writes_down_recipe_versions_and_state(begun):
    stored = yaml.safe_load((begun.path / "recipe.yaml").read_text())
    assert stored["rl"]["args"] == {"beta": 0.1} and stored["seed"] == 0
    assert stored["task"] == {"name": "geo", "limit": 9}
    assert stored["made_with"]["trl"] and stored["output_dir"] == str(begun.path)
    assert Recipe.model_validate(stored).task.options == {"limit": 9}
    assert json.loads((begun.path / "state.json").read_text())["complete"] == []


def test_only_one_process_trains_in_a_directory(tmp_path):
    with RunDir(tmp_path).held():
        with pytest.raises(BlockingIOError, match="another `abstain train` is at work on"), RunDir(tmp_path).held(0):
            pass
        assert not list(tmp_path.iterdir())
    with RunDir(tmp_path).held(0):
        pass


def test_a_run_is_not_overwritten_but_resumed(begun):
    begun.mark_complete("before")
    with pytest.raises(FileExistsError, match=r"already holds a run\. Add --resume to continue it"):
        RunDir(begun.path).open(recipe(), resume=False)
    again = RunDir(begun.path)
    again.open(recipe(), resume=True)
    assert again.complete == ["before"]


def test_resuming_with_another_recipe_names_the_changed_keys(begun):
    with pytest.raises(ValueError) as error:
        RunDir(begun.path).open(recipe(seed=1, task={"name": "geo", "limit": 8}), resume=True)
    assert "(seed was 0, is 1; task.limit was 9, is 8)" in str(error.value)


def test_a_stage_that_has_not_begun_may_be_mended(begun):
    mended = recipe(rl={"args": {"beta": 0.2}})
    RunDir(begun.path).open(mended, resume=True)
    assert yaml.safe_load((begun.path / "recipe.yaml").read_text())["rl"]["args"] == {"beta": 0.2}
    write_text(begun.path / "rl" / "checkpoint-1" / "trainer_state.json", "{}")
    with pytest.raises(ValueError, match=r"rl\.args\.beta was 0\.2, is 0\.1"):
        RunDir(begun.path).open(recipe(), resume=True)
    with pytest.raises(ValueError, match=r"sft was \{.*\}, is null"):
        RunDir(begun.path).open(recipe(sft=None, rl={"args": {"beta": 0.2}}), resume=True)


def test_other_peoples_directories_are_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(FileExistsError, match=r"is no run directory \(it holds thesis\.tex\)"):
        RunDir(tmp_path).open(recipe(), resume=True)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_leftovers_of_a_run_killed_at_its_start_do_not_block_the_next(tmp_path):
    for name in ("recipe.yaml", "state.json.7.partial", ".probe.7"):
        (tmp_path / name).write_text("")
    RunDir(tmp_path).open(recipe(), resume=False)


def test_secrets_are_not_written_down(tmp_path):
    run = RunDir(tmp_path / "run")
    secret = recipe(rl={"args": {"hub_token": "hf_abc"}})
    run.open(secret, resume=False)
    run.start(secret)
    assert "hf_abc" not in (run.path / "recipe.yaml").read_text()
    RunDir(run.path).open(secret, resume=True)


def test_a_directory_is_there_whole_or_not_at_all(tmp_path):
    def fail(path):
        (path / "weights").write_text("half")
        raise RuntimeError("killed")

    write_directory(tmp_path / "model", lambda path: (path / "weights").write_text("whole"))
    with pytest.raises(RuntimeError):
        write_directory(tmp_path / "model", fail)
    assert (tmp_path / "model" / "weights").read_text() == "whole"
    write_directory(tmp_path / "model", lambda path: (path / "weights").write_text("new"))
    assert (tmp_path / "model" / "weights").read_text() == "new"
    assert os.listdir(tmp_path) == ["model"]


def test_no_commit_outside_a_repository(tmp_path):
    assert "commit" not in made_with(tmp_path) and made_with(tmp_path)["abstain"]


def test_a_half_written_checkpoint_is_not_resumed_from(tmp_path):
    whole, empty, torn = (tmp_path / "rl" / f"checkpoint-{step}" for step in (4, 8, 12))
    write_text(whole / "trainer_state.json", "{}")
    write_text(empty / "model.safetensors", "half")
    write_text(torn / "trainer_state.json", '{"global_st')
    assert RunDir(tmp_path).checkpoints("rl") == [whole]
    assert RunDir(tmp_path).checkpoints("sft") == []


def test_what_was_measured_lies_with_its_stage_and_the_last_on_top(tmp_path):
    assert measurements(tmp_path, ["rl"]) == {"before": tmp_path / "before", "rl": tmp_path}
    found = measurements(tmp_path, ["format", "sft", "offline"])
    assert list(found) == ["before", "format", "sft", "offline"]
    assert found["sft"] == tmp_path / "sft" and found["offline"] == tmp_path


def test_best_guesses_are_found_beside_the_first_measurement_or_where_they_were_made(tmp_path):
    assert start_file(tmp_path) is None
    for folder in ("format", "before"):  # as a run writes them
        write_text(tmp_path / folder / "start.json", "{}")
        assert start_file(tmp_path) == tmp_path / folder / "start.json"
