"""The schema of `metrics.json`: what is written is known, what is known is explained, and any file is read."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.schema import (
    BY_TARGET,
    OVERALL,
    UNITS,
    key_tables,
    names_of_numbers,
    numbers,
    read_metrics,
)
from abstain.evals.records import Record
from abstain.evals.rescore.rescoring import rescore
from abstain.evals.tables.table import render
from abstain.rewards.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
RECORDS = [Record("1", "toy", "Where?", ("Lima",), 0.5, "", "Lima", "Lima", Verdict.CORRECT, 0.9)]
RESCORED = {"label", "source", "format", "level", "level_name", "confidence_kind", "confidence_share"}
RESCORED |= {"remarks", "skipped"}
READ = {"reading", "answer_format", "reading_gap", "long_answers"}
EVALUATED = {"start", "instruct", "truncated", "by_category", "known", "unlabelled", "labels_of"} | READ


def stored(folder: Path) -> dict[str, Any]:
    """The metrics on disk, as the file has them."""
    return json.loads((folder / "metrics.json").read_text())


def row_keys(metrics: dict[str, Any]) -> set[str]:
    return {key for row in metrics["by_target"] for key in row}


def test_every_key_that_is_measured_is_known_and_the_other_way_round() -> None:
    found = measure(RECORDS, model="m", task="toy")
    extras = {"judge", "endpoint", "confidence_missing", "whole_answers", "stages", "conclusion"}
    extras |= {"by_documents", "documents_cut"} | EVALUATED | RESCORED
    assert set(found) | extras == set(OVERALL) and not set(found) & extras
    assert row_keys(found) | {"thresholded"} == set(BY_TARGET)


@pytest.mark.parametrize("instruct", ["target", "nothing", "confidence"])
def test_every_key_that_an_evaluation_writes_is_known(
    save_evaluation: Callable[..., Path], tmp_path: Path, instruct: str
) -> None:
    judge = SimpleNamespace(
        model="j",
        grade=lambda cases: [Verdict.CORRECT for _ in cases],
        report=lambda: {"model": "j", "failures": {}},
    )
    found = stored(save_evaluation(tmp_path, instruct=instruct, judge=judge))
    assert set(found) <= set(OVERALL) and row_keys(found) <= set(BY_TARGET)
    missing = {"confidence_missing"} if instruct == "confidence" else set()
    assert {*EVALUATED, "judge", *missing} <= set(found)
    assert read_metrics(tmp_path / "metrics.json")["judge"]["model"] == "j"


def test_every_key_of_a_re_scored_log_is_known(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("id,grade,confidence\na,1,0.9\nb,0,0.2\nc,1,0.7\n")
    rescore([log]).save(tmp_path / "out")
    found = stored(tmp_path / "out")
    assert set(found) <= set(OVERALL) and row_keys(found) <= set(BY_TARGET)
    assert set(found) >= RESCORED | READ and "thresholded" in row_keys(found) and found["level"] == 2


def test_what_is_written_comes_back_as_it_was(save_evaluation: Callable[..., Path], tmp_path: Path) -> None:
    written, read = stored(save_evaluation(tmp_path)), read_metrics(tmp_path / "metrics.json")
    assert {key: read[key] for key in written if key != "by_target"} == {
        key: value for key, value in written.items() if key != "by_target"
    }
    for before, after in zip(written["by_target"], read["by_target"], strict=True):
        assert {key: after[key] for key in before} == before


def test_numbers_are_every_number(save_evaluation: Callable[..., Path], tmp_path: Path) -> None:
    metrics = stored(save_evaluation(tmp_path))
    plain = {key for key, value in metrics.items() if isinstance(value, int | float)}
    assert plain and plain <= set(numbers(metrics))
    for row in metrics["by_target"]:
        for key, value in row.items():
            if isinstance(value, int | float) and key != "target":
                assert numbers(metrics)[f"{key}@{row['target']:g}"] == value
    read = numbers(read_metrics(tmp_path / "metrics.json"))
    overall, by_target = names_of_numbers(OVERALL), names_of_numbers(BY_TARGET)
    assert list(read) == [*overall, *(f"{key}@{t}" for t in (0, 0.5) for key in by_target)]
    assert {"smooth_ece", "augrc", "coverage@0.5", "bounded_score@0.5", "mean_regret_isotonic"} <= set(read)


def write(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_files_of_other_versions_load(tmp_path: Path) -> None:
    old = {"model": "m", "task": "toy", "n": 3, "by_target": [{"target": 0.5, "score": 0.25}], "of_tomorrow": [1]}
    found = read_metrics(write(tmp_path / "metrics.json", old))
    assert set(OVERALL) <= set(found) and set(BY_TARGET) <= set(found["by_target"][0])
    assert found["by_target"][0]["score"] == 0.25 and found["by_target"][0]["coverage"] is None
    assert found["of_tomorrow"] == [1] and found["mean_regret"] is None and found["interval"]["seed"] == 0
    new = measure(RECORDS, model="m", task="toy")
    assert " 0.250 " in render([found, new], labels=["before", "after"])


def test_what_is_no_number_is_none(tmp_path: Path) -> None:
    row = {"target": 0.5, "n": "many", "score": math.nan, "score_ci": [0, "x"], "regret": math.inf, "correct": True}
    data = {"model": 3, "by_target": [row], "ece": "low", "judge": [], "interval": 7, "aurc": 10**400}
    found = read_metrics(write(tmp_path / "metrics.json", data))
    (read,) = found["by_target"]
    assert [read[key] for key in row if key != "target"] == [None] * 5
    assert [found[key] for key in ("model", "ece", "judge", "aurc")] == [None] * 4
    assert found["interval"] == {"seed": 0}
    assert all(value is None for key, value in numbers(found).items())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ([], "lacks the list by_target"),
        ({"by_target": {}}, "lacks the list by_target"),
        ({"by_target": [3]}, "lacks the list by_target"),
        ({"by_target": [{"target": "x"}]}, "target 'x' is not a number in"),
        ({"by_target": [{"target": 1}]}, "target 1 is not a number in"),
        ({"by_target": [{}]}, "Field required"),
    ],
)
def test_what_is_something_else_is_refused(tmp_path: Path, data: Any, why: str) -> None:
    with pytest.raises(ValueError, match=r"metrics\.json: ") as error:
        read_metrics(write(tmp_path / "metrics.json", data))
    assert why in str(error.value)


def test_every_key_has_a_label_a_unit_and_a_page() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    by_target, overall = key_tables()
    assert by_target in page and overall in page
    for known in (BY_TARGET, OVERALL):
        for key, about in known.items():
            assert about.kind in UNITS and (about.means or about.equation), key
            assert about.short.count("\n") <= 1 and "\n" not in about.label + about.plain
