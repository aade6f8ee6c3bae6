"""The format that a recipe's stages teach is the one that training pays for, and no other."""

from pathlib import Path

import pytest

from abstain.recipes.run.checks import check_recipe
from abstain.recipes.run.directory import RunDir
from abstain.recipes.run.recipe import load_recipe, shipped_recipes, taught_format, training_format
from abstain.recipes.run.training import Training

BOXED = "task.template='{question} {instruction} End with \\\\boxed{answer}.'"
TAGGED = "task.template='{question} {instruction} <answer>...</answer>'"


def load(path: Path, *overrides: str, check: bool = True):
    recipe, origin = load_recipe(str(path), overrides)
    if check:
        check_recipe(recipe, origin)
    return recipe


def test_plain_answers_are_taught_and_paid_for(recipe):
    loaded = load(recipe)
    assert "answer_format" not in loaded.task.options
    assert taught_format(loaded) == training_format(loaded) == "plain"


@pytest.mark.parametrize("stated", ["boxed", "tag", "json", "last_line"])
def test_another_format_is_taught_where_the_task_says_so(recipe, stated):
    loaded = load(recipe, f"task.answer_format={stated}")
    assert taught_format(loaded) == training_format(loaded) == stated


def test_nothing_is_taught_without_a_supervised_stage(recipe):
    loaded = load(recipe, "sft=null")
    assert (taught_format(loaded), training_format(loaded)) == (None, "auto")
    load(recipe, "sft=null", "task.answer_format=auto")


@pytest.mark.parametrize(
    ("overrides", "place", "taught"),
    [
        (["task.answer_format=auto"], "task.answer_format", "plain"),
        (["rl.rewards=[{name: truthrl, args: {answer_format: auto}}]"], "rl.rewards", "plain"),
        ([BOXED], "recipe.yaml:2", "boxed"),
        ([BOXED, "sft=null"], "recipe.yaml:2", "boxed"),
        ([TAGGED, "task.answer_format=auto"], "task.answer_format", "tag"),
    ],
)
def test_training_refuses_to_pay_for_any_format_where_one_was_taught(recipe, overrides, place, taught):
    with pytest.raises(ValueError, match=f"in the format {taught!r}.* Set answer_format: {taught}") as refused:
        load(recipe, *overrides)
    assert place in str(refused.value)


def test_who_says_which_format_is_meant_is_believed(recipe):
    assert training_format(load(recipe, BOXED, "task.answer_format=boxed")) == "boxed"
    assert training_format(load(recipe, TAGGED, "task.answer_format=plain")) == "plain"
    load(recipe, "sft=null", "rl.rewards=[{name: truthrl, args: {answer_format: json}}]", BOXED)


def test_a_format_that_does_not_exist_is_told_by_line(recipe):
    with pytest.raises(ValueError, match=r"task.answer_format.*: .*no answer format is called 'box'.*'boxed'"):
        load(recipe, "task.answer_format=box")


def test_another_data_set_is_read_in_the_same_format(recipe, tmp_path, question_file):
    other = f"eval.task={{name: qa, data: {question_file}}}"
    tasks = Training(load(recipe, "task.answer_format=tag", other), RunDir(tmp_path / "run")).tasks()
    assert tasks.rest.answer_format == tasks.held_out.answer_format == "tag"


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_say_what_they_teach(name):
    recipe = load(shipped_recipes()[name])
    assert recipe.task.options.get("answer_format") == taught_format(recipe)


def test_a_limit_that_asks_for_more_than_there_is_is_said(recipe, tmp_path):
    limits = ["format={limit: 4}", "sft.limit=16", "rl.limit=15", "eval.limit=200"]
    training = Training(load(recipe, *limits), RunDir(tmp_path / "run"))
    assert list(training.shortfalls(training.tasks())) == [
        "sft.limit=16 gives 15 questions: there are no more to train on, for format keeps 4",
        "eval.limit=200 gives 5 questions: no more are held out",
    ]
