"""A run asks first what the starting model knows, and its stages choose their questions by that."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from abstain.evals.evaluation import evaluate
from abstain.evals.knowledge.fingerprint import fingerprint
from abstain.evals.knowledge.labels import read_labels
from abstain.evals.models import load_model
from abstain.evals.records import read_records, read_rows
from abstain.recipes.run import labelling
from abstain.recipes.run.checks import check_recipe
from abstain.recipes.run.directory import RunDir
from abstain.recipes.run.recipe import Recipe, load_recipe
from abstain.recipes.run.steps import Run
from abstain.recipes.run.training import Training
from abstain.recipes.sweep import shared
from abstain.recipes.sweep.shared import count_prefixes, prefixes, shared_overrides, shared_prefixes, take_over
from abstain.trainers.dataset import draw

from ..labelled import labels_by_turns

CATEGORIES = ("HighlyKnown", "MaybeKnown", "Unknown", "Unknown")
RUN = Path("runs/run-0")


@pytest.fixture
def asked(monkeypatch):
    """Labels by turns, for the model at hand; gives the questions of each time that it was asked."""
    found = []

    def ask(loaded, task, questions, protocol, **how):
        found.append([question.id for question in questions])
        if fail := how_to_fail:
            raise fail.pop()
        return labels_by_turns(questions, CATEGORIES, fingerprint(loaded.model))

    how_to_fail: list[BaseException] = []
    monkeypatch.setattr(labelling, "cached_labels", ask)
    return SimpleNamespace(questions=found, fail=how_to_fail)


@pytest.fixture
def run(monkeypatch, recipe):
    """Runs the recipe up to a step, with stages that train nothing; gives what was said, and what they were given."""
    from abstain.recipes.run import training

    given = {}

    def stage(model, tokenizer, task, stage, *, output_dir, known=None, **_):
        given[output_dir.name] = (task, known)
        return SimpleNamespace(model=model)

    for name in ("run_sft", "run_rl", "run_offline"):
        monkeypatch.setattr(training, name, stage)

    def _run(*overrides: str, until: str = "after") -> list[str]:
        loaded, origin = load_recipe(str(recipe), ["name=run", *overrides])
        check_recipe(loaded, origin)
        directory = RunDir(loaded.run_path)
        directory.open(loaded, resume=True)
        said: list[str] = []
        Run(loaded, directory, say=lambda text: said.append(str(text))).run(until)
        return said

    _run.given = given
    return _run


def test_the_step_comes_first_and_stages_are_told(run, asked):
    said = run("labels={}", "sft.mix={categories: [Unknown], size: all}", "rl.mix={weights: {HighlyKnown: 2}}")
    steps = ["labels", "before", "sft", "after-sft", "rl", "after"]
    assert [line[:5] for line in said if line.startswith("[")] == [f"[{n}/6]" for n in range(1, 7)]
    assert json.loads((RUN / "state.json").read_text())["complete"] == steps
    labels = read_labels(RUN / "labels")
    training = {question.id for question in run.given["sft"][0].train}
    held_out = {question.id for question in run.given["sft"][0].held_out}
    assert set(labels.by_id) == training | held_out == set(asked.questions[0]) and len(asked.questions) == 1
    assert {name: set(known) for name, (_, known) in run.given.items()} == {
        "sft": training | held_out,
        "rl": training | held_out,
    }
    unknown = sum(labels.by_id[one].category == "Unknown" for one in training)
    known = len(training) - unknown
    assert f"sft: {unknown} questions: {unknown} Unknown (100 %)" in said
    twice = next(line for line in said if line.startswith("rl: "))
    best = sum(labels.by_id[one].category == "HighlyKnown" for one in training)
    assert twice.startswith(f"rl: {len(training) + best} questions: {2 * best} HighlyKnown")
    told = next(line for line in said if line.startswith("what it knows"))
    assert told.startswith(f"what it knows of {len(training)} training questions: ") and "; of" in told and known
    tables = json.loads((RUN / "metrics.json").read_text())["by_category"]
    assert {row["category"] for row in tables} <= set(CATEGORIES) and sum(row["n"] for row in tables) == len(held_out)


def test_only_what_is_needed_is_labelled(run, asked):
    """As many as stages choose from by labels; held-out questions are those that are asked, or none."""
    run("labels={}", "sft.limit=9", "rl.limit=5", "rl.mix={order: known_first}", "eval.limit=4")
    measured = {record.id for record in read_records(RUN / "records.jsonl")}
    assert len(asked.questions[0]) == 5 + 4 and measured <= set(asked.questions[0]) and len(measured) == 4
    run("labels={held_out: false, limit: 7}", "output_dir=other", until="labels")
    assert len(asked.questions[1]) == 7 and not measured & set(asked.questions[1])
    run("labels={}", "eval.limit=4", "output_dir=tables", until="labels")
    assert len(asked.questions[2]) == 4 and set(asked.questions[2]) == measured


def test_held_out_questions_of_another_task(run, asked):
    said = run("labels={}", "eval.task={name: letters, n: 30}", "eval.limit=3", "sft.mix={order: known_first}")
    assert [len(questions) for questions in asked.questions] == [len(run.given["sft"][1]), 3]
    assert sum(line.startswith("what it knows of") for line in said) == 2
    measured = {record.id for record in read_records(RUN / "records.jsonl")}
    assert set(read_labels(RUN / "labels" / "held_out").by_id) == measured
    assert sum(row["n"] for row in json.loads((RUN / "metrics.json").read_text())["by_category"]) == 3


def test_what_format_teaches_is_left_out_later(run, asked):
    """Of the 6 questions that it draws it teaches the Unknown ones; the others are there for later stages."""
    mix = "format={limit: 6, answers: gold, mix: {categories: [Unknown], size: all}, args: {use_cpu: true}}"
    run("labels={}", mix, "sft.mix={order: known_first}")
    everything, rest = run.given["format"][0], run.given["sft"][0]
    labels = read_labels(RUN / "labels").by_id
    drawn = draw(everything.train, 6, 0)
    taught = {one.id for one in drawn if labels[one.id].category == "Unknown"}
    assert 0 < len(taught) < 6
    assert {one.id for one in everything.train} - {one.id for one in rest.train} == taught


def test_it_goes_on_after_it_was_killed(run, asked):
    asked.fail.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run("labels={preset: quick}", "sft.mix={order: known_first}")
    assert json.loads((RUN / "state.json").read_text())["complete"] == [] and not (RUN / "labels").exists()
    run("labels={preset: greedy}", "sft.mix={order: known_first}")  # not made yet, so it may change
    assert len(asked.questions) == 2
    assert run("labels={preset: greedy}", "sft.mix={order: known_first}") == [], "nothing is left to do"
    with pytest.raises(ValueError, match=r"labels\.preset was greedy, is paper"):
        run("labels={preset: paper}", "sft.mix={order: known_first}")


def test_a_mix_that_cannot_be_had_is_found_before_anything_is_trained_and_can_be_mended(run, asked):
    with pytest.raises(ValueError, match=r"^rl\.mix: size: 999 is more .*: set rl\.mix\.size=\d+$") as error:
        run("labels={}", "rl.mix.size=999")
    assert json.loads((RUN / "state.json").read_text())["complete"] == ["labels"] and not run.given
    with pytest.raises(ValueError, match=r"^rl\.mix: size: 998"):
        run("labels={}", "rl.mix.size=998")
    run("labels={}", str(error.value).partition("set ")[2])
    assert len(asked.questions) == 1


@pytest.mark.parametrize(
    ("overrides", "key"),
    [(["sft.mix={idk: [Unknown]}"], "sft.mix"), (["sft.idk=unknown"], "sft.idk"), (["rl.mix={}"], "rl.mix")],
)
def test_a_mix_without_labels_says_the_line_to_add(run, asked, overrides, key):
    with pytest.raises(ValueError, match=rf"{key}=…\): {key} needs .*add the line `labels: {{}}`.* or labels={{}} to"):
        run(*overrides)
    assert not Path("runs").exists() and not asked.questions
    run(*overrides, "labels={}", until="labels")


@pytest.mark.parametrize("chosen", ["sft.mix={idk: [Unknown]}", "sft.idk=unknown", "rl.mix={unknown: 0.5}"])
def test_what_greedy_answers_cannot_tell_is_refused(run, asked, chosen):
    key = chosen.partition("={")[0].partition("=unknown")[0]
    with pytest.raises(
        ValueError, match=rf"{key}.* needs Unknown questions told from .*: set labels\.preset=categories"
    ):
        run("labels={preset: greedy}", chosen)
    run("labels={preset: greedy}", "sft.mix={idk: [Unknown, WeaklyKnown]}", until="labels")


# Labels that were made before


@pytest.fixture
def given(run, asked, tmp_path):
    """Labels of the recipe's model and questions, in the folder `mine`."""
    run("labels={}", "sft.mix={order: known_first}", "output_dir=made", until="labels")
    asked.questions.clear()
    labels = read_labels("made/labels")
    labels.save("mine")
    return labels


def test_labels_by_path(run, asked, given):
    said = run("labels.path=mine", "sft.mix={order: known_first}")
    assert not asked.questions and read_labels(RUN / "labels").by_id == given.by_id
    assert f"taking labels from {Path('mine').absolute()}" in said[1]


def test_labels_by_path_of_the_training_task_only(run, asked, given, caplog):
    run("labels.path=mine", "eval.task={name: letters, n: 30}", "eval.limit=3", "sft.mix={order: known_first}")
    assert "mine has no labels of letters's held-out questions: tables are not split by category" in caplog.text
    assert not json.loads((RUN / "metrics.json").read_text())["by_category"]


def test_labels_by_path_stand_beside_the_recipe(run, given, recipe, monkeypatch, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    recipe.write_text(recipe.read_text() + "labels: {path: mine}\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert load_recipe(str(recipe))[0].labels.path == str(tmp_path / "mine")


def test_questions_without_a_label_are_left_out_and_said(run, asked, given):
    few = type(given)(given.about, given.rows[:5])
    few.save("mine")
    said = run("labels.path=mine", "sft.mix={order: known_first}", until="labels")
    left = len(given.rows) - 5
    told = next(line for line in said if line.startswith("what it knows"))
    training = int(told.split()[4])
    assert f"; {training - 5} have no label; of {left - training + 5} held-out" in told
    assert len(read_labels(RUN / "labels").rows) == 5


def test_labels_of_other_questions_are_refused(run, given):
    """The same ids, and other texts."""
    rows = tuple(row.model_copy(update={"question": "Who?"}) for row in given.rows)
    type(given)(given.about, rows).save("mine")
    with pytest.raises(ValueError, match=r"none of the .* questions of qa that this run needs: set labels\.path=null"):
        run("labels.path=mine", "sft.mix={order: known_first}")
    run("labels.path=null", "labels.held_out=false", "sft.mix={order: known_first}", until="labels")


def test_labels_of_another_model_are_refused_with_whose_they_are(run, asked, given):
    other = given.about.model_copy(update={"fingerprint": "0123", "model": "Qwen3-0.6B"})
    type(given)(other, given.rows).save("mine")
    with pytest.raises(ValueError, match=r"says what Qwen3-0.6B knows \(fingerprint 0123\), and this run starts from"):
        run("labels.path=mine", "sft.mix={order: known_first}")
    run("labels.path=null", "labels.limit=3", "sft.mix={order: known_first}", until="labels")
    assert len(asked.questions) == 1


def test_a_path_that_leads_nowhere_is_found_before_anything_is_loaded(run, asked):
    with pytest.raises(ValueError, match=r"labels\.path=…\): nowhere is not there; labels\.path=null has"):
        run("labels.path=nowhere")
    assert not Path("runs").exists()


def test_processes_read_labels_from_disk(run, asked, given):
    run("labels.path=mine", "sft.mix={size: 4}", until="labels")
    recipe, _ = load_recipe("recipe.yaml", ["name=run", "labels.path=mine", "sft.mix={size: 4}"])
    directory = RunDir(recipe.run_path)
    directory.open(recipe, resume=True)
    training = Training(recipe, directory)
    assert training.labels is not None and training.labels.by_id == given.by_id
    assert training.mix_in_words("sft", training.tasks()).startswith("sft: 4 questions: ")


# Sweeps


def of_sweep(**changes) -> Recipe:
    fields = {"name": "r", "task": {"name": "geo"}, "model": {"path": "m"}, "labels": {}}
    return Recipe.model_validate(fields | {"sft": {"limit": 9, "mix": {}}, "rl": {"limit": 4}} | changes)


def first_key(recipe: Recipe) -> str:
    assert prefixes(recipe)[0].steps == ("labels",)
    return prefixes(recipe)[0].key


@pytest.mark.parametrize(
    "change",
    [
        {"sft": {"limit": 9, "mix": {"unknown": 0.5}}},
        {"sft": {"limit": 9, "idk": "unknown"}, "rl": {"limit": 9, "mix": {"near_targets": 0.2}}},
        {"rl": {"limit": 3}, "name": "other", "output_dir": "there"},
        {"eval": {"targets": [0], "stages": False}},
        {"labels": {"limit": 9}},
    ],
)
def test_points_that_label_the_same_share_it(change):
    assert first_key(of_sweep(**change)) == first_key(of_sweep())


@pytest.mark.parametrize(
    "change",
    [
        *({"seed": 1}, {"model": {"path": "n"}}, {"task": {"name": "letters"}}, {"labels": {"preset": "paper"}}),
        *({"sft": {"limit": 10, "mix": {}}}, {"eval": {"limit": 5}}, {"eval": {"task": {"name": "letters"}}}),
        *({"sft": {"limit": 9}}, {"eval": {"autocast": True}}),
        *({"labels": {"path": "mine"}}, {"labels": {"held_out": False}}),
    ],
)
def test_points_that_label_something_else_do_not(change):
    assert first_key(of_sweep(**change)) != first_key(of_sweep())


def test_a_sweep_over_mixes_labels_once():
    points = [of_sweep(sft={"limit": 9, "mix": {"unknown": share}}) for share in (0, 0.5)]
    count = count_prefixes(points)
    assert [one.steps for one in shared_prefixes(points[0], count)] == [("labels", "before")]
    points[1] = of_sweep(sft=points[1].sft, eval={"targets": [0.5]})
    assert [one.steps for one in shared_prefixes(points[0], count_prefixes(points))] == [("labels",)]


def test_the_recipe_of_shared_labels_labels_what_its_points_need(recipe, asked, run):
    """It has no stages of theirs, and yet as many questions; a point takes the labels over."""
    overrides = ["labels={}", "sft.limit=3", "rl.limit=5", "eval.limit=4", "sft.mix={order: known_first}"]
    point, _ = load_recipe(str(recipe), overrides)
    first = prefixes(point)[0]
    both = [*overrides, *shared_overrides(point, first), "output_dir=shared"]
    made, _ = load_recipe(str(recipe), both)
    assert prefixes(made)[0].key == first.key and made.sft is None and made.to_label == point.to_label == 3
    shared.run_shared(str(recipe), "labels", both)
    assert len(asked.questions[0]) == 3 + 4
    directory = RunDir(Path("runs/run-0"))
    point, _ = load_recipe(str(recipe), ["name=run", *overrides])
    directory.open(point, resume=False)
    take_over(Path("shared"), directory, point, ["labels"])
    run(*overrides)
    assert len(asked.questions) == 1 and (RUN / "labels" / "labels.jsonl").samefile("shared/labels/labels.jsonl")


# All of it


def test_the_whole_of_it_on_a_tiny_model(recipe, tmp_path, monkeypatch, tiny_model):
    """The model really is asked, and two short stages are trained on what it knows."""
    monkeypatch.setenv("ABSTAIN_CACHE", str(tmp_path / "cache"))
    overrides = ["name=run", "labels={preset: quick}", "sft.mix={idk: [Unknown]}", "sft.targets=[0.5]"]
    loaded, origin = load_recipe(str(recipe), [*overrides, "rl.mix={near_targets: 0.3}", "rl.args.max_steps=1"])
    check_recipe(loaded, origin)
    directory = RunDir(loaded.run_path)
    directory.open(loaded, resume=False)
    Run(loaded, directory, say=lambda text: None).run()
    labels = read_labels(RUN / "labels")
    assert labels.about.fingerprint == fingerprint(load_model(str(tiny_model)).model)
    assert labels.about.protocol["preset"] == "quick" and all(len(row.greedy) == 3 for row in labels.rows)
    rows = read_rows(RUN / "sft" / "examples.jsonl")
    assert rows and all(row["category"] == labels.by_id[row["question_id"]].category for row in rows)
    assert all(row["completion"] == "I don't know" for row in rows if row["category"] == "Unknown")
    found = json.loads((RUN / "metrics.json").read_text())
    assert sum(row["n"] for row in found["by_category"]) + found["unlabelled"] == found["n"]


def test_held_out_questions_are_drawn_as_they_are_asked(monkeypatch, question_file):
    """The draw of `evaluate` and that of labels are one."""
    from abstain.evals.sampling import Completion
    from abstain.evals.tasks.catalogue import load_task

    class Mute:
        name = "mute"

        def sample(self, prompts, **_):
            return [[Completion("I don't know", 0.0, 1, truncated=False)] for _ in prompts]

    task = load_task("qa", data=str(question_file))
    for seed in range(5):
        records = evaluate(Mute(), task, [0.5], limit=3, seed=seed).records
        assert {record.id for record in records} == {question.id for question in draw(task.held_out, 3, seed)}
