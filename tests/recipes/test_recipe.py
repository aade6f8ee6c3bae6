import pytest

from abstain.recipes.run.checks import check_recipe
from abstain.recipes.run.recipe import load_recipe, shipped_recipes

GOOD = """\
name: tiny
task:
  name: factworld
  people: 100
model:
  path: factworld
rl:
  targets: [0, 0.5]
  args:
    learning_rate: 5e-6
"""


@pytest.fixture
def write(tmp_path):
    def _write(text: str) -> str:
        path = tmp_path / "r.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return _write


def test_defaults_and_task_options(write):
    recipe, _ = load_recipe(write(GOOD))
    assert recipe.seed == 0 and str(recipe.run_path) == "runs/tiny-0" and list(recipe.stages) == ["rl"]
    assert recipe.task.options == {"people": 100}
    assert recipe.rl.args == {"learning_rate": 5e-6}
    assert recipe.eval.targets == [0.0, 0.5, 0.75, 0.9]


def test_overrides_reach_everywhere(write):
    changes = ["sft.limit=8", "task.people=50", "sft.args.bf16=true"]
    recipe, _ = load_recipe(write(GOOD), ["seed=3", "rl.args.learning_rate=1e-4", "rl.targets.1=0.75", *changes])
    assert recipe.seed == 3 and recipe.rl.args["learning_rate"] == 1e-4 and recipe.rl.targets == [0, 0.75]
    assert recipe.sft.limit == 8 and recipe.sft.args == {"bf16": True} and recipe.task.options == {"people": 50}


def test_null_switches_a_stage_off(write):
    recipe, _ = load_recipe(write(GOOD), ["rl=null", "sft.limit=4"])
    assert list(recipe.stages) == ["sft"]


def test_a_recipe_without_stages_is_refused(write):
    with pytest.raises(ValueError, match=r"command line \(rl=…\): there is nothing to train"):
        load_recipe(write(GOOD), ["rl=null"])


MISTAKES = [
    ("name: tiny", "nmae: tiny", "r.yaml:1: unknown key 'nmae'. Did you mean 'name'?", "r.yaml: 'name' is missing"),
    ("  targets", "  taregts", "r.yaml:8: unknown key 'rl.taregts'. Did you mean 'targets'?"),
    ("[0, 0.5]", "[0, 75]", "r.yaml:8: 'rl.targets.1': confidence target 75.0 is outside [0, 1); did you mean 0.75?"),
    ("[0, 0.5]", "0.5", "r.yaml:8: 'rl.targets' must be a list, as in [0, 0.5], not 0.5"),
    ("  targets", "  limit: many\n  targets", "r.yaml:8: 'rl.limit' must be a whole number, not 'many'"),
    ("  path: factworld", "  path: 7", "r.yaml:6: 'model.path' must be text (put it in quotes), not 7"),
    ("  path: f", "  dtype: fp16\n  path: f", "r.yaml:6: 'model.dtype' must be 'auto', 'float32', 'bfloat16' or"),
    ("name: tiny", "name: ../tiny", "r.yaml:1: 'name' may hold letters, digits"),
    ("name: tiny", "name: tiny\nseed: -1", "r.yaml:2: 'seed' must be greater than or equal to 0, not -1"),
    ("model:\n  path: f", "model: f\nx:\n  f", "r.yaml:5: 'model' must hold 'key: value' lines, not 'f'", "'x'"),
    ("  path: factworld", "  lora: null", "r.yaml:5: 'model.path' is missing"),
]


@pytest.mark.parametrize(("old", "new", "messages"), [(old, new, rest) for old, new, *rest in MISTAKES])
def test_a_mistake_is_named_with_its_line(write, old, new, messages):
    with pytest.raises(ValueError) as error:
        load_recipe(write(GOOD.replace(old, new, 1)))
    for message in messages:
        assert message in str(error.value)
    assert len(str(error.value).splitlines()) == len(messages)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sed=1", "command line (sed=…): unknown key 'sed'. Did you mean 'seed'?"),
        ("rl.targets=[2]", "command line (rl.targets=…): 'rl.targets.0': confidence target 2.0"),
        ("seed", "'seed' is no override"),
        ("=3", "'=3' is no override"),
        ("rl..limit=3", "'rl..limit=3' is no override"),
        (
            "rl.targets.7=0.1",
            "'rl.targets.7=…': the list there has no such item, the last one is rl.targets.1. For one more write "
            "'rl.targets=[0, 0.5, 0.1]'",
        ),
        ("name.x=0.1", "'name.x=…': the recipe has a plain value there, 'tiny'"),
        ("rl.targets=[1", "the value of 'rl.targets=[1' is not YAML"),
    ],
)
def test_a_bad_override_is_named(write, override, message):
    with pytest.raises(ValueError) as error:
        load_recipe(write(GOOD), [override])
    assert message in str(error.value)


def test_a_tracker_that_does_not_exist_is_found_before_anything_is_loaded(write):
    recipe, origin = load_recipe(write(GOOD), ["rl.args.report_to=[wandb, trakio]"])
    with pytest.raises(ValueError, match=r"there is no tracker 'trakio'. Did you mean 'trackio'\?"):
        check_recipe(recipe, origin)


def test_unknown_recipe_names_the_nearest(tmp_path):
    with pytest.raises(FileNotFoundError, match="Did you mean 'qwen3-simpleqa'"):
        load_recipe("qwen3-simplqa")


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_are_valid_and_open_with_their_launch_command(name):
    recipe, origin = load_recipe(name)
    assert recipe.name == name
    check_recipe(recipe, origin)
    assert f"abstain train {name}" in origin.file.read_text(encoding="utf-8").splitlines()[0]


OFFLINE = GOOD.replace("rl:", "offline:")


def test_the_offline_stage_stands_between_sft_and_rl(write):
    recipe, origin = load_recipe(write(OFFLINE), ["sft={}", "rl={}", "offline.algorithm=kto"])
    assert list(recipe.stages) == ["sft", "offline", "rl"]
    assert recipe.steps == ["before", "sft", "after-sft", "offline", "after-offline", "rl", "after"]
    check_recipe(recipe, origin)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("offline.algorithm=ipo", "'offline.algorithm' must be 'dpo' or 'kto', not 'ipo'"),
        ("offline.rewards=[]", "unknown key 'offline.rewards'"),
        ("offline.instruct=confidence", "'offline.instruct' must be 'target' or 'nothing'"),
        ("offline.args={num_generations: 8}", "DPOConfig has no field 'num_generations'"),
        ("offline.args={desirable_weight: 1.3}", "DPOConfig has no field 'desirable_weight'"),
        ("offline.args={beta: much}", "beta='much'"),
        ("offline.instruct=nothing", "offline trains with instruct: nothing, and eval measures with target"),
        ("task.template='{question} {instruction} \\boxed{}'", "in the format 'boxed'.* Set answer_format: boxed"),
    ],
)
def test_mistakes_in_the_offline_stage(write, override, message):
    with pytest.raises(ValueError, match=message) as refused:
        check_recipe(*load_recipe(write(OFFLINE), [override]))
    assert "offline" in str(refused.value) or "task" in str(refused.value)


def test_what_kto_has_and_dpo_has_not(write):
    check_recipe(*load_recipe(write(OFFLINE), ["offline.algorithm=kto", "offline.args={desirable_weight: 1.3}"]))
