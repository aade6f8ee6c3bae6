"""docs/make/theory_runs.py in miniature, and docs/make/theory.py on rows that are made up."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.records import read_rows, write_rows

ROOT = Path(__file__).resolve().parents[2]
MAKE = ROOT / "docs" / "make"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return runpy.run_path(str(MAKE / "theory.py"))


@pytest.fixture(scope="module")
def runs() -> dict[str, Any]:
    return runpy.run_path(str(MAKE / "theory_runs.py"))


REDUCED = {"err": 0.5, "err_iiv": 0.3, "learnt": 0.2, "delta": 0.01, "bound": 0.1, "accuracy": 0.6, "answers": 64}
REDUCED |= {"err_ci": [0.4, 0.6], "err_iiv_ci": [0.2, 0.4], "delta_ci": None}
BINS = {"reliability": [[0.2, 0.3, 0.2, 0.4], [0.8, 0.7, 0.6, 0.8]]}


def rows() -> dict[str, list[dict[str, Any]]]:
    counted = {"lemma_1": 0.1, "theorem_2": -0.4, "correction": 0.9, "memoriser": 0.3, "attained": 0.7, "delta": 0.0}
    facts = [
        {"birthdays": days, "rare": rare, "seed": seed, "n": n, "singleton_rate": rare / 2,
         "missing_mass": rare / 2 + 0.05, "err": 0.4 + seed / 10,
         "err_unread": 0.98, "err_once": None, "err_more": 0.1, **counted}
        for days in (False, True) for rare, n in ((0.2, 8000), (0.6, 8000), (0.6, 1000)) for seed in (0, 2)
    ]  # fmt: skip
    causes = [{"cause": "cipher", "kind": "secret", "seed": 0, **REDUCED}]
    causes += [{"cause": "riddle", "kind": "no riddle read", "seed": 0, **REDUCED, "riddle_err": 1.0}]
    causes += [
        {"cause": "garbage", "kind": kind, "seed": 0, **REDUCED, "err": err}
        for kind, err in (("0.4", 0.5), ("0", 0.1))
    ]
    poor = [
        {
            "model": "world",
            "order": 3,
            "seed": 0,
            "err": 0.98,
            "least": 0.97,
            "opt": 0.49,
            "bound": 0.96,
            "answers": 64,
        }
    ]
    bounds = [{"model": "fact world", "birthdays": True, "seed": 0, **REDUCED, "sampled": {"err": [0.51, None]}}]
    bounds += [
        {"model": "SmolLM2", "kind": "country", "seed": 0, **REDUCED, "bound": -0.1, "sampled": {"err": [0.5, None]}}
    ]
    stages = [
        {"reward": "stated", "scaling": scaling, "stage": stage, "seed": 0, "silence": 0.0, **REDUCED, **BINS}
        for scaling in ("none", "group") for stage in ("base", "sft", "rl")
    ]  # fmt: skip
    sizes = [
        {"size": size, "stage": stage, "seed": 0, **REDUCED} for size in ("small", "large") for stage in ("base", "rl")
    ]
    return {"facts": facts, "causes": causes, "poor": poor, "bounds": bounds, "calibration": stages, "sizes": sizes}


def test_the_tables_say_what_was_measured(made: dict[str, Any]) -> None:
    found = rows()
    assert "| cities | 0.300 ± 0.000 | 0.350 ± 0.000 | 0.500 ± 0.141 | 0.300 ± 0.000 |" in made["facts"](
        found["facts"]
    )
    assert "In 12 of 12 worlds |MM − sr| is within lemma 1; at most it is 0.050, and 50 %" in made["lemma"](
        found["facts"]
    )
    assert "than the upper bound in 12." in made["lemma"](found["facts"])
    high = [row | {"memoriser": 0.8} for row in found["facts"]]
    assert "than the upper bound in 0." in made["lemma"](high)
    assert "| birthdays | 1,000 |" in made["growth"](found["facts"])
    garbage = made["garbage"](found["causes"]).splitlines()
    assert garbage[2].startswith("| 0 % | 0.100 | 0.000 |") and garbage[3].startswith("| 40 % | 0.500 | 0.400 |")
    assert "| riddle | no riddle read | 0.500 | 0.300 | 0.200 | 0.010 | 0.100 | 1.000 |" in made["causes"](
        found["causes"]
    )
    bounds = made["bounds"](found["bounds"])
    assert "| nothing | 0.500 |" in bounds and "| 0.500 [0.40, 0.60] | 0.300 [0.20, 0.40] | 0.200 | 0.010 |" in bounds
    several = [row | {"seed": seed} for row in found["bounds"] for seed in (0, 1)]
    assert "| 0.500 ± 0.000 | 0.300 ± 0.000 | 0.200 ± 0.000 |" in made["bounds"](several)
    arms = made["calibration"](found["calibration"]).splitlines()[2:]
    assert [line.split(" | ")[:3] for line in arms] == [
        ["| base", "", ""], ["| sft", "", ""], ["| rl", "stated", "no"], ["| rl", "stated", "yes"]
    ]  # fmt: skip
    assert made["sizes"](found["sizes"]).count("\n") == 3
    assert "| world | 3 | 64 | 0.980 |" in made["poor"](found["poor"])


def test_the_page_has_a_place_for_everything(made: dict[str, Any]) -> None:
    page = (MAKE.parent / "theory.md").read_text(encoding="utf-8")
    filled = made["with_tables"](page, rows())
    for name in (*made["TABLES"], *made["DRAWN"]):
        (place,) = [part.partition("<!-- end -->")[0] for part in filled.split(f"<!-- theory: {name} -->\n")[1:]]
        assert place.strip(), name
    assert made["with_tables"](filled, rows()) == filled
    assert made["with_tables"](page, {}) == page


def test_pictures_are_drawn(made: dict[str, Any], tmp_path: Path) -> None:
    for name, draw in made["PICTURES"].items():
        draw(tmp_path / f"{name}.png")
    for name, (part, _, draw) in made["DRAWN"].items():
        draw(rows()[part], tmp_path / f"{name}.png")
    files = list(tmp_path.glob("*.png"))
    assert len(files) == len(made["PICTURES"]) + len(made["DRAWN"])
    assert all(file.stat().st_size > 10_000 for file in files)


def test_n_gram_models_are_measured_once(runs: dict[str, Any], tmp_path: Path) -> None:
    scale = runs["Scale"](True)
    path = runs["measure_part"]("poor", tmp_path, scale, 0)
    found = read_rows(path)
    assert path.name == "poor-0.jsonl"
    assert all(row["err"] >= row["bound"] - 1e-9 and row["least"] >= row["bound"] - 1e-9 for row in found)
    (pair,) = [row for row in found if row["model"] == "her and his"]
    assert (pair["err"], pair["opt"], pair["bound"]) == (0.5, 0.5, 0.5)
    path.write_text("".join(json.dumps(row) + "\n" for row in found[:2]))  # interrupted after two
    runs["measure_part"]("poor", tmp_path, scale, 0)
    assert [row["key"] for row in read_rows(path)] == [row["key"] for row in found]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["facts", "causes", "bounds"])
def test_the_other_parts_run_in_miniature(
    runs: dict[str, Any], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ABSTAIN_CACHE", str(tmp_path / "cache"))
    found = read_rows(runs["measure_part"](part, tmp_path, runs["Scale"](True), 0))
    assert found and all(0 <= row["err"] <= 1 for row in found)
    assert all(row["err"] >= row["bound"] - 1e-9 for row in found if "bound" in row)


def test_the_rows_of_all_seeds_are_read(made: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (2, 0):
        write_rows(tmp_path / "runs" / "theory" / f"poor-{seed}.jsonl", [{"seed": seed}, {"seed": seed}])
    assert [row["seed"] for row in made["rows_of"]("poor")] == [0, 0, 2, 2]
    assert made["rows_of"]("facts") == []


def test_a_sweep_that_is_not_there(runs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="first `abstain ablate sizes`"):
        runs["measure_part"]("sizes", tmp_path, runs["Scale"](True), 0)
