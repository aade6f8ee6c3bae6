"""Every shipped recipe runs from its first to its last step: two steps a stage, on a tiny model."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from abstain.evals.tasks.evidence import KINDS
from abstain.recipes.cli import app
from abstain.recipes.run.checks import check_recipe
from abstain.recipes.run.recipe import load_recipe, shipped_recipes, shipped_sweeps
from abstain.recipes.sweep.config import load_sweep
from abstain.recipes.sweep.points import Space, load_points
from abstain.trainers.guards.options import GuardOptions

OFFLINE = ["quickstart-dpo", "quickstart-kto"]
NEW_FACTS = ["new-facts", "smollm2-new-facts"]
RUN_HERE = [
    *("quickstart", "quickstart-ppo", "quickstart-conflict", "smollm2-geo", "smollm2-entityquestions"),
    *("documents", "smollm2-documents"),
    *OFFLINE,
    *NEW_FACTS,
]
ENTITIES = {
    "P17": ("Which country is {} located in?", "Peru"),
    "P20": ("Where did {} die?", "Lima"),
    "P36": ("What is the capital of {}?", "Lima"),
    "P106": ("What kind of work does {} do?", "politician"),
    "P407": ("Which language was {} written in?", "English"),
}


def entity_folder(folder: Path) -> Path:
    """A made-up folder in the shape of EntityQuestions."""
    templates = {relation: template.format("[X]") for relation, (template, _) in ENTITIES.items()}
    folder.mkdir()
    (folder / "relation_query_templates.json").write_text(json.dumps(templates))
    for split in ("train", "dev", "test"):
        (folder / split).mkdir()
        for relation, (template, answer) in ENTITIES.items():
            rows = [{"question": template.format(f"Xa{split}{i}"), "answers": [answer]} for i in range(20)]
            (folder / split / f"{relation}.{split}.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For the base models of fact worlds."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def overrides(
    tmp_path: Path, cache: Path, tiny_model_dir: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[str]]:
    monkeypatch.setenv("ABSTAIN_CACHE", str(cache))
    people = ["task.people=200", "task.held_out=40"]
    format = [option.replace("sft", "format") for option in small if option.startswith("sft")]
    tiny = [f"model.path={tiny_model_dir}", *format]
    no_facts_known = ["labels.preset=quick", "sft.mix.unknown=1", "sft.mix.size=40"]
    return {
        "quickstart": [*people, "rl.guards.every=1", "eval.every=1", "eval.while_training=10", "eval.keep_best=true"],
        "quickstart-ppo": [*people, "rl.args.beta=0.01"],
        "quickstart-conflict": [*people, "task.passes=1"],
        **{name: [*people, "offline.limit=60", "offline.args.logging_steps=1"] for name in OFFLINE},
        "new-facts": ["task.people=240", "task.held_out=60", "task.examples=8", "task.answers=20", *no_facts_known],
        "smollm2-new-facts": [tiny[0], f"task.data={entity_folder(tmp_path / 'facts')}", *no_facts_known],
        "smollm2-geo": tiny,
        "smollm2-entityquestions": [*tiny, f"task.data={entity_folder(tmp_path / 'entities')}"],
        "documents": [*people, "task.passages=200", "eval.every=1", "eval.while_training=10"],
        "smollm2-documents": [*tiny, f"task.data={entity_folder(tmp_path / 'stated')}"],
    }


@pytest.mark.parametrize("name", [name for name, path in shipped_recipes().items() if "\nrl:" in path.read_text()])
def test_guards_watch_every_shipped_recipe(name: str) -> None:
    recipe, origin = load_recipe(name)
    check_recipe(recipe, origin)
    assert recipe.rl is not None and recipe.rl.guards == GuardOptions()
    assert all("save_steps" not in stage.args for stage in recipe.stages.values())  # ours is a tenth of a stage


@pytest.mark.parametrize("name", shipped_sweeps())
def test_guards_watch_every_point_of_a_shipped_sweep(name: str) -> None:
    sweep = load_sweep(name)
    points = load_points(sweep, Space(sweep).grid())
    assert all(point.recipe.rl is None or point.recipe.rl.guards is not None for point in points)


@pytest.mark.parametrize("name", RUN_HERE)
def test_recipe_runs(name: str, tmp_path: Path, small: list[str], overrides: dict[str, list[str]]) -> None:
    run, last = tmp_path / "run", list(load_recipe(name)[0].stages)[-1]
    steps = [option.replace("rl.args", f"{last}.args") for option in small if "num_generations" not in option]
    if name in NEW_FACTS:
        steps = [option for option in steps if option != "sft.limit=64"]
    groups = ["rl.args.num_generations=4"] * (last == "rl")
    result = CliRunner().invoke(app, ["train", name, f"output_dir={run}", *steps, *groups, *overrides[name]])
    assert result.exit_code == 0, result.output
    metrics = json.loads((run / "metrics.json").read_text())
    assert [row["target"] for row in metrics["by_target"]] == [0, 0.5, 0.75, 0.9]
    assert {row["n"] for row in metrics["by_target"]} == {20}
    assert len((run / "records.jsonl").read_text().splitlines()) == 80
    assert "</html>" in (run / "report.html").read_text() and list((run / "plots").glob("*.png"))
    assert "model/README.md" in {str(path.relative_to(run)) for path in run.rglob("*.md")}
    stages = load_recipe(name)[0].stages
    states = [json.loads((run / stage / "trainer_state.json").read_text()) for stage in stages]
    assert [state["global_step"] for state in states] == [2] * len(stages) and {"sft", last} <= set(stages)
    if last == "rl":  # whatever the precision of the stages before it
        assert any("rollouts/shared" in log for log in states[-1]["log_history"])
    if name in OFFLINE:
        taught = examples(run / "offline")
        assert {"chosen", "rejected"} <= set(taught[0]) if name == "quickstart-dpo" else "label" in taught[0]
        assert "Preferences among its own samples" in (run / "report.html").read_text()
        assert f"offline ({name[-3:]})" in (run / "model" / "README.md").read_text()
    if name == "quickstart":
        seen = {key for log in states[-1]["log_history"] for key in log}
        assert {"guards/alarms", "heldout/factworld/score/t=0.5", "heldout/factworld/mean_regret"} <= seen
        looks = [log["step"] for log in states[-1]["log_history"] if "heldout/factworld/score" in log]
        assert looks == [0, 1, 2] and states[-1]["best_global_step"] in (1, 2)
        tracked = json.loads((run / "rl" / "trackers.json").read_text())["trackio"]
        assert tracked["project"] == "abstain" and list(Path(os.environ["TRACKIO_DIR"]).glob("abstain*"))
    if name.endswith("documents"):
        kinds = {group["documents"].partition(",")[0] for group in metrics["by_documents"]}
        assert kinds <= set(KINDS) and "supporting" in kinds and 'id="documents"' in (run / "report.html").read_text()
        assert any(row["prompt"].startswith("> ") for row in examples(run / "sft"))
    if name in NEW_FACTS:
        looks = read_lines(run / "sft" / "looks.jsonl")
        assert {row["step"] for row in looks} == {0, 2} and {row["part"] for row in looks} >= {"train", "test"}
        assert {row["category"] for row in looks if row["part"] == "train"} == {"Unknown"}
    if "format" in stages:
        taught, asked = ({row["question_id"] for row in examples(run / stage)} for stage in ("format", "sft"))
        assert len(taught) == 64 and not taught & asked
        assert json.loads((run / "format" / "metrics.json").read_text())["model"].endswith("after format")
        start = json.loads((run / "before" / "start.json").read_text())
        assert not taught & {row["id"] for row in start["train"]}


def examples(folder: Path) -> list[dict[str, str]]:
    return read_lines(folder / "examples.jsonl")


def read_lines(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text().splitlines()]
