"""What points have in common, and that it is computed once."""

from pathlib import Path

import pytest

from abstain.recipes.run.recipe import Recipe
from abstain.recipes.sweep import shared
from abstain.recipes.sweep.shared import (
    constant_prefixes,
    count_prefixes,
    prefixes,
    prepare_bases,
    shared_overrides,
    shared_prefixes,
)


def recipe(**changes) -> Recipe:
    fields = {"name": "r", "task": {"name": "geo"}, "model": {"path": "m"}, "sft": {}, "rl": {"limit": 4}}
    return Recipe.model_validate(fields | changes)


def keys(one: Recipe) -> list[str]:
    return [prefix.key for prefix in prefixes(one)]


def test_what_comes_later_does_not_matter():
    other = recipe(name="other", output_dir="there", rl={"limit": 5}, made_with={"torch": "1"})
    assert keys(other) == keys(recipe())
    assert keys(recipe(sft={"limit": 5}))[0] == keys(recipe())[0] == keys(recipe(sft=None))[0]
    assert keys(recipe(sft={"limit": 5}))[1] != keys(recipe())[1]


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"task": {"name": "geo", "limit": 9}}, {"model": {"path": "n"}}, {"eval": {"limit": 9}}]
)
def test_what_came_before_does(change):
    assert not set(keys(recipe(**change))) & set(keys(recipe()))


def test_a_format_stage_comes_first_and_knows_nothing_of_the_evaluation():
    one, other = recipe(format={}), recipe(format={}, eval={"limit": 9})
    steps = ("format", "after-format", "before", "sft", "after-sft")
    assert [prefix.steps for prefix in prefixes(one)] == [steps[:end] for end in range(1, 6)]
    assert [a == b for a, b in zip(keys(one), keys(other), strict=True)] == [True] + 4 * [False]


def test_a_format_stage_never_sees_what_another_point_is_measured_on():
    """A run leaves out of its training questions those that `eval.task` holds out, the format stage's too."""
    one, other = recipe(format={}), recipe(format={}, eval={"task": {"name": "letters"}})
    assert keys(one)[0] != keys(other)[0]
    first = prefixes(one)[0]
    assert shared_overrides(recipe(format={}, eval={"limit": 9}), first) == shared_overrides(one, first)


def test_the_last_stage_is_never_shared():
    assert [prefix.steps for prefix in prefixes(recipe(format={}, sft=None, rl=None))] == [("before",)]
    assert [prefix.steps for prefix in prefixes(recipe(rl=None))] == [("before",)]


def test_only_what_several_points_share_is_computed_apart():
    points = [recipe(rl={"limit": n}) for n in (1, 2, 3)] + [recipe(sft={"limit": n}) for n in (7, 8)]
    count = count_prefixes([*points, recipe(seed=5)])
    assert sorted(count.values()) == [1, 1, 1, 1, 1, 1, 1, 3, 3, 5]
    shared = [[prefix.steps for prefix in shared_prefixes(point, count)] for point in points]
    assert shared == [[("before",), ("before", "sft", "after-sft")]] * 3 + [[("before",)]] * 2
    assert shared_prefixes(recipe(seed=5), count) == []
    assert not constant_prefixes([])


def test_a_prefix_that_only_a_longer_one_needs_is_a_part_of_that():
    points = [recipe(rl={"limit": n}) for n in (1, 2)]
    assert [prefix.steps for prefix in shared_prefixes(points[0], count_prefixes(points))] == [
        ("before", "sft", "after-sft")
    ]
    points = [recipe(rl={"limit": n}, eval={"stages": False}) for n in (1, 2)]
    assert [prefix.steps for prefix in shared_prefixes(points[0], count_prefixes(points))] == [("before", "sft")]


@pytest.mark.parametrize(
    ("change", "shared"),
    [
        ({"rl": {"limit": 9}}, [("before", "sft", "after-sft")]),
        ({"sft": {"limit": 9}}, [("before",)]),
        ({"model": {"path": "n"}}, []),
    ],
)
def test_a_search_shares_what_no_searched_value_changes(change, shared):
    count = constant_prefixes([recipe(), recipe(**change), recipe(seed=7)])
    for seed in (0, 7):
        point = recipe(seed=seed, rl={"limit": 123})
        assert [prefix.steps for prefix in shared_prefixes(point, count)] == shared
    assert shared_prefixes(recipe(seed=8), count) == []


def test_the_recipe_of_shared_steps_is_the_same_for_every_point(tmp_path):
    (tmp_path / "r.yaml").write_text("name: r\ntask: {name: geo}\nmodel: {path: m}\nsft: {}\nrl: {limit: 4}\n")
    base = str(tmp_path / "r.yaml")
    for index, fixed in ((0, None), (2, {"limit": 3})):
        made = []
        for override in ("rl.limit=5", "rl.args.beta=0.1"):
            point, _ = shared.load_recipe(base, ["sft.limit=3", override])
            prefix = prefixes(point)[index]
            made.append(shared.load_recipe(base, ["sft.limit=3", override, *shared_overrides(point, prefix)])[0])
        assert made[0] == made[1] and made[0].name == "shared" and made[0].rl.limit is None
        assert (made[0].sft is None) == (fixed is None)
        assert prefixes(made[0])[-1].key == prefix.key


def test_a_base_model_is_made_once_for_each_world(monkeypatch):
    made = []
    monkeypatch.setattr(
        "abstain.evals.tasks.factworld_model.base_model", lambda **options: made.append(options) or Path()
    )
    world = {"name": "factworld", "people": 400}
    prepare_bases(
        [
            *(recipe(task=world, model={"path": "factworld"}, seed=seed) for seed in range(3)),
            recipe(task={"name": "factworld"}, model={"path": "factworld"}),
            recipe(model={"path": "factworld"}),
            recipe(task=world),
        ]
    )
    assert made == [{"people": 400}, {}]
