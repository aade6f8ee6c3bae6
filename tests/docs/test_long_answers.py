"""docs/make/long_answers.py on a sweep that is made up: both tables, and the page with them."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import Baseline
from abstain.evals.records import Record
from abstain.rewards.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "make" / "long_answers.py"))


def metrics(right: int) -> dict[str, Any]:
    """Of ten claims so many are stated, all of them true; the oracle scores .9, a threshold .8 and .85."""
    records = []
    for target in (0.0, 0.75):
        for place in range(10):
            verdict = Verdict.CORRECT if place < right else Verdict.ABSTAINED
            records.append(Record(f"mo#{place}", "biographies", "Who?", ("a",), target, "", "", "", verdict, 0.5))
    policies = {t: Baseline("true", 0.9, None, 0.8, 0.7, 0.85) for t in (0.0, 0.75)}
    found = measure(records, model="m", task="biographies", baselines=policies)
    whole = {"n": 2, "correct": 0.5, "incorrect": 0.25, "abstained": 0.25, "ungraded": 0, "claims": 3.0}
    found["whole_answers"] = [{"target": t, **whole} for t in (0.0, 0.75)]
    return found


def sweep(folder: Path, paid: dict[str, int]) -> Path:
    points = []
    for kind, right in paid.items():
        for world in range(2):
            name = f"paid-{kind}_world-{world}"
            for place, count in ((folder / "points" / name, right), (folder / "points" / name / "sft", right - 2)):
                place.mkdir(parents=True)
                (place / "metrics.json").write_text(json.dumps(metrics(count)))
            entry = {"name": name, "directory": f"points/{name}", "status": "complete", "seed": world}
            points.append(entry | {"settings": {"paid": kind, "world": str(world)}})
    (folder / "sweep.json").write_text(json.dumps({"name": "biographies", "points": points}))
    return folder


def test_the_tables_say_what_the_runs_do(made: dict[str, Any], tmp_path: Path) -> None:
    found = made["read"](sweep(tmp_path, {"claims": 8, "whole": 4}))
    cells = ["0.75", "0.100", "0.300", "0.100", "0.050", "0.800", "1.000"]
    assert (
        made["by_claim"](found).splitlines()[3] == f"| {cells[0]} | {' | '.join(f'{c} ± 0.000' for c in cells[1:])} |"
    )
    rows = made["strict"](found).splitlines()
    assert rows[5].startswith("| whole | 0.75 | 0.500 ± 0.000 | 0.250 ± 0.000 |") and rows[5].endswith(
        "0.500 ± 0.000 |"
    )
    page = (ROOT / "docs" / "long-answers.md").read_text(encoding="utf-8")
    assert all(page.count(f"<!-- long-answers: {name} -->\n") == 1 for name in made["PARTS"])


def test_a_sweep_without_the_usual_arm_is_refused(made: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="pays for claims is finished"):
        made["main"](sweep(tmp_path, {"whole": 4}))
