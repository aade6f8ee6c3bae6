"""Prompts that ask for a confidence: through the stages of a recipe, and what is refused."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from abstain.recipes.cli import app
from abstain.recipes.run.checks import check_recipe, check_words
from abstain.recipes.run.recipe import load_recipe
from abstain.rewards.prompts import CONFIDENCE_INSTRUCTION

RECIPE = """\
name: stated
task: {name: factworld, people: 200, held_out: 40, cities: 5, confidence_words: true}
model: {path: factworld}
sft:
  instruct: confidence
  answers: gold # so small a model has no answers of its own
  confidence: random
  args: {use_cpu: true, max_steps: 2, per_device_train_batch_size: 8}
rl:
  instruct: confidence
  rewards: [{name: ProperScore, args: {rule: rlcr}}]
  guards: {every: 1}
  args:
    use_cpu: true
    num_generations: 4
    per_device_train_batch_size: 64
    max_steps: 2
    logging_steps: 1
eval:
  instruct: confidence
  limit: 10
  train_limit: 10
  every: 1
  while_training: 5
"""
BETA = "rl.rewards=[{name: ProperScore, args: {rule: beta, a: 4, b: 2}}]"


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize(
    ("algorithm", "more"),
    [
        ("grpo", []),
        pytest.param("ppo", [BETA], marks=pytest.mark.slow),
        pytest.param("rloo", [BETA, "rl.share_prefixes=false"], marks=pytest.mark.slow),
    ],
)
def test_a_stated_confidence_goes_through_every_stage(
    algorithm: str, more: list[str], recipe: str, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABSTAIN_CACHE", str(cache))
    run = tmp_path / "run"
    result = CliRunner().invoke(app, ["train", recipe, f"output_dir={run}", f"rl.algorithm={algorithm}", *more])
    assert result.exit_code == 0, result.output
    metrics = json.loads((run / "metrics.json").read_text())
    assert [row["n"] for row in metrics["by_target"]] == [10] * 4 and 0 <= metrics["confidence_missing"] <= 1
    assert all(row["oracle_score"] is not None for row in metrics["by_target"])
    records = [json.loads(line) for line in (run / "records.jsonl").read_text().splitlines()]
    assert all(record["prompt"].endswith(CONFIDENCE_INSTRUCTION) for record in records)
    taught = [json.loads(line)["completion"] for line in (run / "sft" / "examples.jsonl").read_text().splitlines()]
    assert len(taught) == 160 and all(". Confidence: 0." in text for text in taught)
    log = json.loads((run / "rl" / "trainer_state.json").read_text())["log_history"]
    seen = {key for entry in log for key in entry}
    assert {"confidence/missing", "guards/unique_completions", "heldout/factworld/score/t=0.9"} <= seen
    assert not [key for key in seen if key.startswith(("abstention/t=", "guards/effective_threshold"))]
    assert CONFIDENCE_INSTRUCTION in (run / "model" / "README.md").read_text()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["eval.instruct=target"], "eval measures with target: prompts that were never trained on"),
        (
            ["sft.instruct=nothing", "sft.confidence=own"],
            "sft trains with instruct: nothing, rl with confidence. Set sft.instruct: confidence",
        ),
        (["rl.rewards=[{name: ConfidenceTarget}]"], "with instruct: confidence there is none; use ProperScore"),
        (
            ["rl.rewards=[{name: JudgedReward, args: {scoring: ConfidenceTarget, judge: {model: m}}}]"],
            "ConfidenceTarget reads a target",
        ),
        (["sft=null", "rl.instruct=target", "eval.instruct=target"], "every answer would earn the minimum"),
        (["task.confidence_words=false"], "set task.confidence_words: true"),
        (["rl.guards.seed_idk={}"], "it seeds where a target is above 0"),
        (["rl.args.scale_rewards=group"], "allow_threshold_drift"),
        (["sft.idk=unsure"], "set idk: random"),
        (["rl.instruct=target_confidence"], "'rl.instruct' must be 'target', 'nothing', 'confidence' or 'claims'"),
        (["rl.state_target=false"], "unknown key 'rl.state_target'. Did you mean 'targets'?"),
    ],
)
def test_what_does_not_go_together_is_refused(recipe: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ValueError) as error:
        check_recipe(*load_recipe(recipe, overrides))
    assert message in str(error.value)


@pytest.mark.parametrize("overrides", [[], [BETA], ["model.path=other", "task.confidence_words=false"]])
def test_what_does_go_together(recipe: str, overrides: list[str]) -> None:
    check_recipe(*load_recipe(recipe, overrides))


def test_a_template_of_ones_own_may_ask_for_a_confidence(recipe: str) -> None:
    overrides = [*(f"{section}.instruct=target" for section in ("sft", "rl", "eval")), "sft.confidence=own"]
    check_recipe(*load_recipe(recipe, [*overrides, 'task.template="{question} {instruction} How confident are you?"']))


def test_a_tokenizer_without_the_words_is_refused(tiny_model: Path, cache: Path) -> None:
    from transformers import AutoTokenizer

    with pytest.raises(ValueError, match="the tokenizer has no words for 'Answer, and state"):
        check_words(AutoTokenizer.from_pretrained(tiny_model))
