"""Each stage answers for itself: measured once, held against one oracle, and found again after any interruption."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.metrics.schema import read_metrics
from abstain.evals.records import read_records
from abstain.recipes.run import steps as module
from abstain.recipes.run.directory import RunDir
from abstain.recipes.run.recipe import load_recipe
from abstain.recipes.run.steps import Run
from abstain.recipes.sweep.shared import take_over

FORMAT = "format={answers: gold, limit: 4, args: {use_cpu: true}}"


@pytest.fixture
def measured(monkeypatch, recipe):
    """Runs the recipe up to a step, with stages that train nothing; gives the names of what was measured."""
    from abstain.recipes.run import training

    def stage(model, tokenizer, task, stage, **_):
        return SimpleNamespace(model=model)

    for name in ("run_sft", "run_rl", "run_offline"):
        monkeypatch.setattr(training, name, stage)
    asked: list[str] = []
    evaluate = module.evaluate

    def watched(sampler, *arguments, **options):
        asked.append(sampler.name)
        if sampler.name in stop:
            raise KeyboardInterrupt
        return evaluate(sampler, *arguments, **options)

    monkeypatch.setattr(module, "evaluate", watched)
    stop: set[str] = set()

    def _measured(*overrides: str, until: str = "after", interrupted_at: str = "") -> list[str]:
        asked.clear()
        stop.clear()
        stop.update({interrupted_at} if interrupted_at else set())
        loaded, _ = load_recipe(str(recipe), ["name=run", *overrides])
        directory = RunDir(loaded.run_path)
        directory.open(loaded, resume=True)
        Run(loaded, directory, say=lambda text: None).run(until)
        return [name.removeprefix(Path(loaded.model.path).name).strip() for name in asked]

    return _measured


def stages_of(run: Path) -> list[str]:
    return [one["stage"] for one in read_metrics(run / "metrics.json")["stages"]]


def test_a_row_for_each_stage(measured):
    run = Path("runs/run-0")
    assert measured() == ["", "after sft", "run"]
    found = read_metrics(run / "metrics.json")
    assert stages_of(run) == ["before", "sft", "rl"]
    for one, folder in zip(found["stages"], (run / "before", run / "sft", run), strict=True):
        alone = json.loads((folder / "metrics.json").read_text())
        assert one["mean_regret"] == alone["mean_regret"] and one["by_target"] == alone["by_target"]
        assert len(read_records(folder / "records.jsonl")) == 2 * found["n"] and (folder / "table.md").exists()
    oracles = [[row["oracle_score"] for row in one["by_target"]] for one in found["stages"]]
    assert oracles[0] == oracles[1] == oracles[2] != [None, None]
    assert found["conclusion"]["kind"] and [one["than"] for one in found["conclusion"]["compared"]] == [
        "before",
        "sft",
    ]
    page, card = (run / "table.md").read_text(), (run / "model" / "README.md").read_text()
    assert page.count("| after sft |") == 3 and found["conclusion"]["words"] in page and page.strip() in card
    assert measured() == [], "nothing is left to do"


def test_stages_in_between_may_be_left_out(measured):
    assert measured("eval.stages=false") == ["", "run"]
    assert stages_of(Path("runs/run-0")) == ["before", "rl"] and not Path("runs/run-0/sft/metrics.json").exists()
    assert "| after |" in Path("runs/run-0/table.md").read_text().replace("  ", " ").replace("after  |", "after |")


def test_one_stage_is_measured_once(measured):
    assert measured("rl=null") == ["", "run"]
    assert stages_of(Path("runs/run-0")) == ["before", "sft"]
    assert json.loads(Path("runs/run-0/state.json").read_text())["complete"] == ["before", "sft", "after"]


@pytest.mark.parametrize("stages", ["true", "false"])
def test_the_oracle_is_made_of_what_format_leads_to(measured, stages):
    run, between = Path("runs/run-0"), ["after sft"] * (stages == "true")
    assert measured(FORMAT, f"eval.stages={stages}") == ["after format", "", *between, "run"]
    start = BaseGuesses.load(run / "before" / "start.json")
    assert start.model.endswith("after format")
    assert stages_of(run) == ["before", "format", *["sft"] * len(between), "rl"], "in the order of training"
    for folder in (run / "before", run / "format", run):
        assert read_metrics(folder / "metrics.json")["start"] == start.model
    taught = set(start.train.ids) & {record.id for record in read_records(run / "records.jsonl")}
    assert not taught


@pytest.mark.parametrize(("place", "name"), enumerate(["tiny", "tiny after sft", "run"]))
def test_an_interrupted_measurement_is_made_again_and_no_other(measured, place, name):
    with pytest.raises(KeyboardInterrupt):
        measured(interrupted_at=name)
    assert measured() == ["", "after sft", "run"][place:]
    assert stages_of(Path("runs/run-0")) == ["before", "sft", "rl"]


def test_a_measurement_is_taken_over_with_its_stage(measured, tmp_path):
    """By hard links, so that ten points of a sweep pay for one; and by a point that has the stage alone, too."""
    measured(until="after-sft")
    source = Path("runs/run-0")
    for steps in (["before", "sft", "after-sft"], ["before", "sft"]):
        loaded, _ = load_recipe("recipe.yaml", ["name=run", f"output_dir={tmp_path / str(len(steps))}"])
        directory = RunDir(loaded.run_path)
        directory.open(loaded, resume=False)
        if len(steps) == 2:
            lone = tmp_path / "lone"
            (lone / "sft" / "model").mkdir(parents=True)
            (lone / "before").mkdir()
            take_over(lone, directory, loaded, steps)
        take_over(source, directory, loaded, ["before", "sft", "after-sft"])
        assert directory.complete == ["before", "sft", "after-sft"]
        for name in ("records.jsonl", "metrics.json", "table.md"):
            assert (directory.path / "sft" / name).samefile(source / "sft" / name)
