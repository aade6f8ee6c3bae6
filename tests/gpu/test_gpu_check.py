"""The GPU check's own parts, and all of it in miniature."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from . import fit, models
from .cells import CELLS, SMALL, TINY, Cell, cpu_grid
from .check import Budget, Part, check, main
from .measure import SHARED, STOCK, measure
from .report import show
from .ways import compare_ways

ROOT = Path(__file__).parents[2]


class Clock:
    """Seconds that pass when a part says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def part(self, name, expected, taken, result=None):
        def run():
            self.now += taken
            if isinstance(result, Exception):
                raise result
            return dict(result or {})

        return Part(name, "cell", expected, run)


def test_parts_run_while_the_budget_lasts(tmp_path):
    clock = Clock()
    parts = [
        clock.part("first", 20, 40),  # twice what was expected, so all others count twice
        clock.part("long", 40, 80),
        clock.part("short", 10, 20),
        clock.part("late", 30, 60),
    ]
    found = check(parts, Budget(110, clock), tmp_path / "found.json", {})
    assert [part["name"] for part in found["parts"]] == ["first", "short"]
    assert found["skipped"] == {
        "long": "about 80 s expected, 70 s left",
        "late": "about 60 s expected, 50 s left",
    }


def test_a_part_that_fails_is_told_of_and_the_others_run(tmp_path):
    clock, file, seen = Clock(), tmp_path / "found.json", []
    last = Part("last", "cell", 1, lambda: seen.append(json.loads(file.read_text())) or {})
    check([clock.part("broken", 1, 1, ValueError("no such kernel")), last], Budget(10, clock), file, {"small": True})
    written = seen[0]["parts"][0]  # the file was whole before the next part began
    assert written["failed"] == "ValueError: no such kernel" and written["where"]
    assert [part["name"] for part in json.loads(file.read_text())["parts"]] == ["broken", "last"]


def test_without_a_gpu_only_the_small_form_runs(capsys):
    with pytest.raises(SystemExit):
        main(["--device", "cpu"])
    assert "--small tries the check on a CPU" in capsys.readouterr().err


def test_cells_are_those_that_were_asked_for():
    sizes = {(cell.prompt, cell.answer, cell.generations, cell.distinct) for cell in CELLS}
    assert [sorted(set(values)) for values in zip(*sizes, strict=True)] == [
        [50, 500],
        [10, 64, 256],
        [8, 16, 64],
        [0.1, 0.3, 1.0],
    ]
    assert {cell.shape.vocabulary for cell in CELLS} == {49_152, 151_936}
    weights = sorted(
        {(cell.shape.linear_weights + cell.shape.hidden * cell.shape.vocabulary) // 10**6 for cell in CELLS}
    )
    assert weights == [134, 493]
    assert len({cell.name for cell in CELLS}) == len(CELLS)


def test_work_by_hand():
    """Two rows of 3 + 2 tokens in two prompts, layers of 2 · 8 · 8 + 2 · 4 · 8 + 3 · 8 · 10 weights."""
    shape = models.Shape(hidden=8, layers=2, heads=4, key_value_heads=2, intermediate=10, vocabulary=100)
    assert shape.linear_weights == 2 * (128 + 64 + 240)
    row = {
        "cell": Cell("", shape, 3, 2, 2, 1.0, prompts=1).as_dict(),
        "work": {STOCK: {"slots": 10, "pairs": 50, "scored": 4, "rows": 2}},
    }
    training = [1, (864 + 800) / 1e9, 6 * 864 * 10 / 1e12, 3 * 4 * 2 * 8 * 50 / 1e12, 6 * 800 * 4 / 1e12]
    assert fit.features(row, STOCK, "training") == pytest.approx(training)
    sampling = [2, 2 * (864 + 800) / 1e9, 2 * 864 * 10 / 1e12, 4 * 2 * 8 * 25 / 1e12, 2 * 800 * 4 / 1e12]
    assert fit.features(row, STOCK, "sampling") == pytest.approx(sampling)


def test_constants_that_made_the_seconds_are_found_again():
    rng = np.random.default_rng(0)
    constants = dict(zip(fit.TERMS, (0.01, 0.3, 2.0, 7.0, 0.0), strict=True))
    found = rng.uniform(0.1, 1, size=(12, 5)) * [1, 1, 1e-2, 1e-5, 1e-2]
    fitted = fit.fit([(row.tolist(), fit.predict(constants, row)) for row in found])
    assert fitted == pytest.approx(constants, rel=1e-6, abs=1e-9)
    slow = fit.fit([(row.tolist(), fit.predict(constants, row)) for row in found], peak=0.25)
    assert slow["linear"] == 4.0 and slow["attention"] >= 4.0 and slow["head"] == 4.0


def test_choices_count_what_a_wrong_one_costs():
    def row(stock, shared):
        seconds = {STOCK: {"training": stock}, SHARED: {"training": shared}}
        work = {"slots": 10, "pairs": 100, "scored": 5, "rows": 2}
        return {
            "device": "cpu",
            "cell": Cell("", TINY, 3, 2, 2, 1.0).as_dict(),
            "work": {STOCK: work, SHARED: work},
            "runs": {name: {"seconds": taken} for name, taken in seconds.items()},
        }

    constants = {STOCK: 2.0, SHARED: 1.0}  # so that shared is chosen always
    fitted = [
        {"device": "cpu", "precision": "bf16", "path": path, "half": "training"}
        | {"constants": dict.fromkeys(fit.TERMS, 0.0) | {"fixed": fixed}}
        for path, fixed in constants.items()
    ]
    found = fit.choices([row(3.0, 1.0), row(1.0, 2.0)], fitted)
    assert found == {"training": {"cells": 2, "stock faster": 1, "right": 1, "seconds over best": 1.5}}


def test_distinct_answers_by_how_peaked_the_logits_are():
    peaked, flat = np.array([[0.0, -99.0]]), np.zeros((1, 64))
    assert models.expected_distinct(peaked, 10, 8) == 0.125
    assert models.expected_distinct(flat, 10, 8) > 0.99
    coin = models.expected_distinct(np.zeros((1, 2)), 1, 2, groups=4000)  # two of two, or one of two
    assert coin == pytest.approx(0.75, abs=0.02)


def test_prompts_are_padded_unless_they_are_even():
    cell = replace(SMALL[0], prompt=50, prompts=8)
    lengths = list(map(len, models.prompts_of(cell)))
    assert max(lengths) == 50 and min(lengths) == 46
    assert set(map(len, models.prompts_of(replace(cell, even=True)))) == {50}


def test_a_cell(tmp_path):
    """Stock and shared train on the same completions, each by its own path, with the same gradients."""
    shape = replace(TINY, hidden=32, vocabulary=128, intermediate=64)
    cell = Cell("tiny", shape, 8, 4, 4, 0.5, prompts=2, precision="fp32")
    row = json.loads(json.dumps(measure(cell, "cpu", tmp_path)))
    assert row["gradients"]["shared against stock"] < 1e-3
    assert row["gradients"]["stock in another order"] < 1e-5
    assert 0.25 <= row["distinct"] <= 1
    assert row["work"][STOCK] == {"slots": 96, "pairs": 1152, "scored": 88, "rows": 8}
    assert row["bound"]["training"] == 96 / row["nodes"] and row["nodes"] <= row["work"][SHARED]["slots"]
    assert row["runs"][SHARED]["passes"] == {SHARED: 1} and row["runs"][STOCK]["passes"] == {STOCK: 1}
    for run in row["runs"].values():
        assert set(run["seconds"]) == {"sampling", "training", "other", "step"} and run["peak_mb"] > 0
    shown = {"machine": {"device": "a CPU", "threads": 1, "python": "3", "versions": {}}, "skipped": {"late": "why"}}
    fitted = fit.fit_all([row, row])
    part = {"name": "tiny", "kind": "cell", "seconds": 1.0} | row
    show(shown | {"parts": [part], "fit": fitted, "choices": fit.choices([row], fitted)})


@pytest.mark.slow
def test_answers_that_are_all_one_have_gradients_to_compare(tmp_path):
    cell = Cell("one", replace(TINY, hidden=32, vocabulary=128, intermediate=64), 8, 4, 4, 0.25, prompts=2)
    row = measure(cell, "cpu", tmp_path)
    assert row["distinct"] == 0.25 and row["gradients"]["stock against fp32"] < 0.1
    assert row["gradients"]["shared against fp32"] < 0.1


@pytest.mark.slow
def test_all_ways_to_share_give_one_gradient():
    shape = replace(TINY, hidden=32, vocabulary=128, intermediate=64)
    found = compare_ways(Cell("tiny", shape, 8, 4, 4, 0.5, prompts=2, precision="fp32"), "cpu")["ways"]
    failed = {name for name, run in found.items() if "failed" in run}
    assert failed == {"trie, FlexAttention"} and len(found) == 4
    assert all(run["off"] < 1e-3 and run["seconds"] > 0 for name, run in found.items() if name not in failed)


def test_the_grid_has_sizes_that_differ():
    grid = cpu_grid("bf16")
    assert {cell.precision for cell in grid} == {"bf16"}
    assert len({cell.name for cell in grid}) == len(grid) and len({cell.shape for cell in grid}) == 3


@pytest.mark.slow
def test_the_whole_check_in_miniature(tmp_path):
    command = ["bash", "tests/gpu/run.sh", "--small", "--device", "cpu", "--budget", "1000"]
    environment = os.environ | {"OUT": str(tmp_path), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads((tmp_path / "gpu-check.json").read_text())
    assert [part["name"] for part in found["parts"]] == [
        *(cell.name for cell in SMALL[:3]),
        "fact world",
        SMALL[3].name,
        f"ways, {SMALL[1].name}",
        f"ways, {SMALL[0].name}",
        "vLLM",
    ]
    assert all(part["runs"][SHARED]["passes"] == {SHARED: 1} for part in found["parts"] if "runs" in part)
    assert found["parts"][3]["mean_regret"]["after"] is not None
