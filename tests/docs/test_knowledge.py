"""docs/make/knowledge.py on a sweep that is made up: every table and picture, whatever of it is finished."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.knowledge.labels import About, Category, Label, Labels
from abstain.evals.records import write_rows

ROOT = Path(__file__).resolve().parents[2]
SHARES = dict(zip(Category, (0.9, 0.6, 0.1, 0.0), strict=True))
"""Test questions of each category that are right at the early stop."""


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "make" / "knowledge.py"))


def looks(unknown: float, idk: bool) -> list[dict[str, Any]]:
    """Epoch 2 is the best; half of Unknown facts, when they are fitted, cost a tenth of what was right."""
    rows = []
    for epoch, fitted, kept in ((0, 0.0, 0.8), (1, 0.1, 0.9), (2, 0.2, 1.0), (9, 1.0, 1.0 - 0.2 * unknown)):
        at = {"epoch": epoch, "step": epoch}
        for category, share in ((Category.MAYBE_KNOWN, 1 - unknown), (Category.UNKNOWN, unknown)):
            n, right = round(100 * share), fitted if category == Category.UNKNOWN else min(1.0, 5 * fitted)
            rows += [row(at, "train", category, n, round(right * n))] * bool(n)
        for part in ("dev", "test", "other"):
            for category, share in SHARES.items():
                idks = 50 if idk and category == Category.UNKNOWN else 0
                rows.append(row(at, part, category, 100, round(100 * share * kept), idks))
    return rows


def row(at: dict, part: str, category: str, n: int, correct: int, abstained: int = 0) -> dict[str, Any]:
    counts = {"n": n, "correct": correct, "incorrect": n - correct - abstained, "abstained": abstained}
    return {**at, "part": part, "category": str(category), **counts}


def sweep(folder: Path, kinds: dict[str, float], worlds: int) -> Path:
    points = []
    for data, unknown in kinds.items():
        for world in range(worlds):
            name = f"data-{data}_world-{world}"
            write_rows(folder / "points" / name / "sft" / "looks.jsonl", looks(unknown, data.startswith("idk")))
            labels = [label(place, category) for place, category in enumerate(Category)]
            about = About(model="m", fingerprint="f", task="t", protocol={}, n=4, counts=dict.fromkeys(Category, 1))
            Labels(about, tuple(labels)).save(folder / "points" / name / "labels")
            entry = {"name": name, "directory": f"points/{name}", "status": "complete", "seed": world}
            points.append(entry | {"settings": {"data": data, "world": str(world)}})
    points.append({"name": "later", "directory": "points/later", "status": "pending", "settings": {"data": "maybe"}})
    (folder / "sweep.json").write_text(json.dumps({"name": "knowledge", "points": points}))
    return folder


def label(place: int, category: Category) -> Label:
    shares = {"p_greedy": 0, "p_sampled": None, "p_correct": 0, "p_low": 0, "p_high": 1}
    lists = {"gold": ("a",), "greedy": (), "sampled": (), "answers": ()}
    return Label(id=str(place), task="t", relation="", question="q", category=category, **shares, **lists)


KINDS = {"unknown-0": 0.0, "unknown-50": 0.5, "unknown-100": 1.0, "known-50": 0.0, "idk-50": 0.5, "highly": 0.0}


def test_the_tables_say_what_the_looks_do(made: dict[str, Any], tmp_path: Path) -> None:
    study = made["read"](sweep(tmp_path, KINDS, worlds=2))
    by_share = made["by_share"](study).splitlines()
    # right at best: (.9 + .6 + .1) / 4 = 40 %; half Unknown and all fitted: a tenth less
    assert by_share[3].startswith("| 50 % | 2 ± 0 | 40.0 ± 0.0 | 36.0 ± 0.0 | −4.0 ± 0.0 | 40.0 ± 0.0 | 40.0 ± 0.0 |")
    assert "| HighlyKnown, early stop | ours | 40.0 ± 0.0 | 90.0 ± 0.0 | 60.0 ± 0.0 |" in made["single"](study)
    assert "| 50 % | early stop | – | 100.0 ± 0.0 | – | 20.0 ± 0.0 |" in made["fitted"](study)
    # 400 questions of which 50 are "I don't know": 160 of 350 are right
    assert "| half Unknown, “I don't know” | ours | 45.7 ± 0.0 / 87.5 ± 0.0 |" in made["idk"](study)
    refused = "| early stop | 12.5 ± 0.0 | 0.0 ± 0.0 | 0.0 ± 0.0 | 0.0 ± 0.0 | 50.0 ± 0.0 |"
    assert refused in made["idk_by_category"](study)
    assert "| trained relations | ours |" in made["regression"](study) and "+7.3" in made["regression"](study)
    assert "25.0 ± 0.0" in made["categories"](study)


@pytest.mark.parametrize(("kinds", "worlds"), [(KINDS, 2), ({"unknown-0": 0.0, "unknown-50": 0.5}, 1)])
def test_the_page_is_filled_and_pictures_are_drawn(
    made: dict[str, Any], tmp_path: Path, kinds: dict[str, float], worlds: int
) -> None:
    study = made["read"](sweep(tmp_path, kinds, worlds))
    page = (ROOT / "docs" / "knowledge.md").read_text(encoding="utf-8")
    filled = made["with_tables"](page, study, "")
    assert filled.count("<!-- knowledge: ") == page.count("<!-- knowledge: ")
    assert made["by_share"](study) in filled
    own, real = (text.partition("## A real model") for text in (filled, made["with_tables"](page, study, "smollm2")))
    here, _, there = page.partition("## A real model")
    assert own[2] == there and real[0] == here and own[0] != here
    for name, draw in made["PICTURES"].items():
        draw(study, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 10_000


def test_a_sweep_of_which_nothing_is_finished_is_refused(made: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no run of it is finished"):
        made["main"](sweep(tmp_path, {}, worlds=0))
