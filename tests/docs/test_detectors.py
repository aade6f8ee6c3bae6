"""docs/detectors.md says of each detector what the catalogue says, and its comparisons are made from results."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abstain.evals.detectors.catalogue import DETECTORS, OF_SAMPLES, ONE_PASS
from abstain.evals.detectors.comparison import compare_detectors
from abstain.evals.detectors.fitting import fit_detectors
from abstain.evals.detectors.pair import UNSUPPORTED, Pair
from abstain.evals.detectors.scored import Scored

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "detectors.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "make" / "detectors.py"))


def test_the_tables_are_fresh(made: dict[str, Any]) -> None:
    fresh = made["with_tables"](PAGE, {"scores": made["scores"](), "access": made["access"]()})
    assert fresh == PAGE, "make it anew: python docs/make/detectors.py"


def test_every_detector_says_whose_it_is_and_what_it_costs() -> None:
    for one in DETECTORS.values():
        assert one.equation and one.source and one.passes and one.title, one.name
    assert {"attention", "hidden", "rauq"} <= set(ONE_PASS) and "eigenscore" in OF_SAMPLES


def test_a_comparison_takes_its_place(made: dict[str, Any], tmp_path: Path) -> None:
    def side(name: str) -> Scored:
        kinds = [(UNSUPPORTED,) if i % 2 == 0 else () for i in range(40)]
        pairs = tuple(Pair("Who?", "Bo", error=bool(one), id=f"{name}{i}", kinds=one) for i, one in enumerate(kinds))
        noise = np.random.default_rng(0).normal(size=40)
        return Scored(pairs, {"msp": (np.arange(40) % 2 == 0) + noise, "length": noise})

    train, test = side("a"), side("b")
    fit = fit_detectors(train, model="m", fingerprint="", task="toy")
    found = compare_detectors(fit, test, [0, 0.5], train=train, draws=20).found
    (tmp_path / "detect.json").write_text(json.dumps(found))
    text = made["comparison"](json.loads((tmp_path / "detect.json").read_text()))
    assert "unsupported (20)" in text.split("each kind of error")[1]
    del found["kinds"]  # as results of before
    assert "each kind of error" not in made["comparison"](found)
    page = made["with_tables"](PAGE, {"factworld": text})
    assert "| msp" in page and "ranks best here" in page and page.count("<!-- end -->") == PAGE.count("<!-- end -->")
    with pytest.raises(SystemExit, match="no place for 'nowhere'"):
        made["with_tables"](PAGE, {"nowhere": ""})
