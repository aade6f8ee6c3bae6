"""The report's part about what the starting model knew: there with labels, not there without, and never in the way."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.metrics.by_category import split_by_category
from abstain.evals.records import read_records, write_text
from abstain.recipes.report.page import render_page, write_report
from abstain.recipes.report.run import TEMPLATE, run_content
from abstain.recipes.report.source import read_run
from abstain.recipes.report.words import knowing

from .test_report import N, make_run

CATEGORIES = {f"q{i}": ("HighlyKnown", "MaybeKnown", "Unknown")[i * 3 // N] for i in range(N - 2)}


def labelled(run: Path, categories: dict[str, str] = CATEGORIES, parts: tuple[str, ...] = ("before", "")) -> Path:
    """The run as it is if its questions have labels; it answers only the first six, of the best known category."""
    for part in parts:
        split = split_by_category(read_records(run / part / "records.jsonl"), categories)
        add(run / part, **split, labels_of="SmolLM2")
    return run


def add(folder: Path, **keys: Any) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    write_text(folder / "metrics.json", json.dumps(metrics | keys))


@pytest.fixture
def page_of(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The HTML alone, with no pictures but the one that this is about."""
    monkeypatch.setattr("abstain.recipes.report.run.behaviour", lambda run: [])
    return lambda run: (
        render_page(TEMPLATE, run_content(read_run(run))[0]).replace("\u00a0", " ").replace("&#39;", "'")
    )


def section(page: str) -> str:
    return re.search(r'<section id="knowledge">.*?</section>', page, re.S)[0]


def test_a_run_with_labels_has_sentence_picture_and_table(tmp_path, page_of):
    page = page_of(labelled(make_run(tmp_path / "run")))
    assert re.findall(r'<section id="(\w+)"', page)[:2] == ["results", "knowledge"]
    assert '<li><a href="#knowledge">What it knew</a></li>' in page
    part = section(page)
    assert "Told to answer only if more than 0.5 sure, it says “I don't know” to 14 % of what SmolLM2 always" in part
    assert "knew, and to 100 % of what it did not know.</p>" in part
    assert "always knew (HighlyKnown, n = 7), before: 57 % right and 43 % wrong." in part
    assert "did not know (Unknown, n = 4), after: 100 % “I don't know”." in part
    assert "Of WeaklyKnown there are no questions." in part and "2 questions have no label" in part
    rows = re.findall(r'<th scope="row">([\d.]+)</th>(.*?)</tr>', part)
    assert [t for t, _ in rows] == ["0", "0.5", "0.9"]
    cells = re.findall(r"<td>(.*?)</td>", rows[1][1])
    assert [cell.split(" <")[0] for cell in cells] == ["14.3 %", "21.4 %", "0.0 %", "–"]
    assert re.search(r"<small>\d+ to \d+</small>", cells[0])


def test_its_picture_is_saved_beside_the_others(tmp_path, page_of):
    run = labelled(make_run(tmp_path / "run"))
    write_report(run)
    assert {"knowledge.svg", "knowledge.png"} <= {path.name for path in (run / "plots").iterdir()}


def test_a_run_without_labels_has_no_such_section(tmp_path, page_of):
    page = page_of(make_run(tmp_path / "run"))
    assert 'id="knowledge"' not in page and "What it knew" not in page


def test_one_measurement_alone(tmp_path, page_of):
    part = section(page_of(labelled(make_run(tmp_path / "run", complete=("before",)), parts=("before",))))
    assert "always knew (HighlyKnown, n = 7), the model:" in part and "Shares, with 95 % intervals" in part
    half = labelled(make_run(tmp_path / "half"), parts=("",))
    assert "HighlyKnown, n = 7), the model:" in section(page_of(half)), "before was measured by an earlier version"


def test_one_category_alone(tmp_path, page_of):
    run = labelled(make_run(tmp_path / "run"), dict.fromkeys(CATEGORIES, "Unknown"))
    part = section(page_of(run))
    assert "Of HighlyKnown, MaybeKnown and WeaklyKnown there are no questions." in part
    assert "“I don't know” to 67 % of what SmolLM2 did not know." in part and "<td>–</td>" in part
    maybe = labelled(make_run(tmp_path / "maybe"), dict.fromkeys(CATEGORIES, "MaybeKnown"))
    assert '<p class="lead">' not in section(page_of(maybe)) and "n = 18" in section(page_of(maybe))


@pytest.mark.parametrize(
    "bad",
    [
        {"by_category": [{"category": "<script>alert(1)</script>", "n": 3, "by_target": [{"target": 0.5}]}]},
        {"by_category": [{"category": "Unknown", "n": "many", "by_target": [{"target": 0.5, "abstained": "x"}]}]},
        {"by_category": [{"category": "Unknown", "by_target": []}], "known": 3},
        {"labels_of": "<script>alert(1)</script>"},
        {"labels_of": ["x"], "unlabelled": "none", "known": {"by_target": [{"target": 7}]}},
    ],
)
def test_files_of_others_harm_nobody(tmp_path, page_of, bad):
    run = labelled(make_run(tmp_path / "run"))
    for folder in (run, run / "before"):
        add(folder, **bad)
    page = page_of(run)
    assert "<script>alert" not in page and 'id="results"' in page


def test_no_sentence_without_categories():
    assert knowing({"by_category": None}) == knowing({"by_category": []}) == knowing({}) == ""
