"""A sweep's table has every number that its points have measured, and a search may go by any of them."""

import csv
import io
import json
from types import SimpleNamespace

import pytest

from abstain.evals.metrics.schema import BY_TARGET, OVERALL, names_of_numbers, number
from abstain.recipes.sweep.config import load_sweep
from abstain.recipes.sweep.directory import PointState, SweepDir
from abstain.recipes.sweep.search import Search, _check_metric
from abstain.recipes.sweep.table import sweep_table

SWEEP = """\
name: s
base: base.yaml
axes: {rl.limit: {low: 2, high: 9}}
search: {trials: 1, metric: %s, direction: minimize}
"""
SETTINGS = {"rl.targets": [0, 0.5], "reward": "a", "n": True}


@pytest.fixture
def sweep(save_evaluation, tmp_path) -> tuple[SweepDir, list[PointState]]:
    """One point that is measured, and one that failed; a setting is called as a number is."""
    directory = SweepDir(tmp_path)
    names = {"a-rather-long-name-of-a-point_" * 3: "complete", "bad": "failed"}
    recipe = SimpleNamespace(seed=0)
    points = [SimpleNamespace(name=name, shown=SETTINGS, recipe=recipe) for name in names]
    save_evaluation(directory.point(points[0].name))
    return directory, [PointState(*pair) for pair in zip(points, names.values(), strict=True)]


def test_data_have_every_number_in_full(sweep):
    directory, states = sweep
    stored = json.loads((directory.point(states[0].point.name) / "metrics.json").read_text())
    expected = {name: stored.get(name) for name in names_of_numbers(OVERALL) if name not in SETTINGS}
    expected |= {
        f"{name}@{row['target']:g}": row.get(name)
        for row in stored["by_target"]
        for name in names_of_numbers(BY_TARGET)
    }
    good, bad = json.loads(sweep_table(directory, states, "json"))
    assert {name: good[name] for name in expected} == {name: number(value) for name, value in expected.items()}
    assert {"smooth_ece", "augrc", "bounded_score@0.5", "coverage@0"} <= set(good)
    assert good["smooth_ece"] is not None and good["rl.targets"] == [0, 0.5] and good["n"] is True
    assert bad["status"] == "failed" and not set(expected) & set(bad)
    first, second = csv.DictReader(io.StringIO(sweep_table(directory, states, "csv")))
    assert {name: first[name] for name in expected} == {
        name: "" if value is None else str(value) for name, value in expected.items()
    }
    assert first["rl.targets"] == "[0, 0.5]" and first["n"] == "true" and second["smooth_ece"] == ""


def test_long_names_are_folded_and_numbers_stay_whole(sweep):
    lines = sweep_table(*sweep, "text").splitlines()
    assert max(map(len, lines)) <= 100
    lines, said = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert "".join(line.split(" ")[0] for line in lines[3:-1]) == sweep[1][0].point.name
    assert lines[-2].split()[-8:] == ["0.000", "75.0%", "25.0%", "100.0%", "0.500", "0.500", "–", "0.0"]
    assert lines[-1].split()[:2] == ["bad", "failed"]
    assert said == [" One setting, with nothing to compare it with: mean regret 0.000."]


@pytest.mark.parametrize("metric", ["smooth_ece", "bounded_score@0.5", "coverage@0"])
def test_a_search_may_go_by_any_number(sweep, metric, tmp_path):
    directory, (state, failed) = sweep
    (tmp_path / "base.yaml").write_text("name: tiny\ntask: {name: letters, n: 30}\nmodel: {path: m}\nsft: {}\n")
    (tmp_path / "s.yaml").write_text(SWEEP % metric)
    _check_metric(load_sweep(str(tmp_path / "s.yaml")))
    search = SimpleNamespace(directory=directory, config=SimpleNamespace(metric=metric))
    assert isinstance(Search._value(search, state), float) and Search._value(search, failed) is None
