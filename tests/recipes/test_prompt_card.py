"""The prompt travels with the model: from a run to its directory, and from there to `ask`, `eval` and the next run."""

import json
import shutil

import pytest

from abstain.evals.prompt_card import FILE, read_card
from abstain.evals.records import read_records

TEMPLATE = "{question} please {instruction} now"
OVERRIDE = f"task.template='{TEMPLATE}'"


@pytest.fixture(scope="module")
def trained(abstain, tmp_path_factory, recipe_text):
    """The directory of a run whose prompts are unlike any other's."""
    place = tmp_path_factory.mktemp("trained")
    (place / "recipe.yaml").write_text(recipe_text)
    abstain("train", place / "recipe.yaml", OVERRIDE, "rl.args.max_steps=4", f"output_dir={place / 'tiny-0'}")
    return place / "tiny-0"


@pytest.fixture
def run(trained, recipe):
    """A copy of it, in the current directory."""
    return shutil.copytree(trained, recipe.parent / "runs" / "tiny-0")


def test_a_run_leaves_its_prompt_with_the_model_and_its_checkpoints(run):
    card = read_card(run / "model")
    assert card.template == TEMPLATE and card.prompt_format == "plain"
    assert (card.targets, card.max_new_tokens, card.stop) == ([0, 0.5, 0.75, 0.9], 3, ["<eos>"])
    assert read_card(run / "rl" / "checkpoint-4") == card
    shown = (run / "model" / "README.md").read_text()
    assert "(your question) please Answer only if" in shown and "` now`" not in shown
    assert FILE in shown and "`<eos>`" in shown and "--target 0.9" in shown
    assert str(run) not in shown


def test_eval_of_the_model_is_what_the_run_measured(abstain, run, question_file, tmp_path):
    moved = shutil.copytree(run / "model", tmp_path / "elsewhere")  # as after an upload and a download
    shutil.rmtree(run / "model")
    out = tmp_path / "again"
    result = abstain("eval", moved, "--data", question_file, "--targets", "0,0.5", "--out", out)
    assert "please" in result.stderr and "warning" not in result.stderr
    measured = {(row.id, row.target): row for row in read_records(run / "records.jsonl")}
    for row in read_records(out / "records.jsonl"):
        before = measured[row.id, row.target]
        assert (row.prompt, row.completion, row.verdict) == (before.prompt, before.completion, before.verdict)


def test_ask_needs_no_options_and_warns_of_those_that_depart(abstain, run):
    plain = abstain("ask", run / "model", "Where was P1 born?")
    assert TEMPLATE in plain.stderr and "warning" not in plain.stderr
    assert "a mistake costs 3" in plain.stdout
    odd = abstain(
        "ask", run / "model", "Where was P1 born?", "--target", "0.3", "--template", "{question} {instruction}"
    )
    assert "t = 0.3 is none of the targets that it was trained on (0, 0.5, 0.75, 0.9)" in " ".join(odd.stderr.split())
    assert "was trained on the template" in odd.stderr
    told = abstain("ask", run / "model", "Where was P1 born?", "--instruct", "nothing")
    assert "instruct: target" in " ".join(told.stderr.split()) and "a mistake costs" not in told.stdout


def test_a_foreign_model_is_warned_of_and_can_be_given_a_card(abstain, run, tiny_model):
    foreign = abstain("ask", tiny_model, "Where was P1 born?")
    assert f"has no {FILE}" in " ".join(foreign.stderr.split())
    given = abstain("ask", tiny_model, "Where was P1 born?", "--card", run / "model")
    assert "please" in given.stderr and "warning" not in given.stderr
    assert f"no {FILE} there" in abstain("ask", tiny_model, "Who?", "--card", tiny_model, code=2).stderr


def test_training_on_from_it_says_where_the_recipe_asks_otherwise(abstain, run, recipe):
    again = ("train", recipe, f"model.path={run / 'model'}", "rl=null", "eval.limit=2")
    said = " ".join(abstain(*again, "output_dir=runs/other").stderr.split())
    assert f"was trained on the template {TEMPLATE!r}" in said
    assert "was trained on the template" not in abstain(*again, OVERRIDE, "output_dir=runs/same").stderr


def test_a_damaged_card_stops_nobody(abstain, run):
    (run / "model" / FILE).write_text(json.dumps({"template": "<script>"}))
    said = " ".join(abstain("ask", run / "model", "Where was P1 born?").stderr.split())
    assert f"has no {FILE}" in said
