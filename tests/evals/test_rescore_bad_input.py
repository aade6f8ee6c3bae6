"""Logs as they should not be: empty, one-sided, mixed, enormous, and written by somebody who means harm."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.rescore.collect import Collector
from abstain.evals.rescore.rescoring import rescore


def write(path: Path, rows: list[Any]) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def rows(*verdicts: str, **columns: list[Any]) -> list[dict[str, Any]]:
    plain = [{"id": n, "verdict": verdict} for n, verdict in enumerate(verdicts)]
    return [row | {key: values[n] for key, values in columns.items()} for n, row in enumerate(plain)]


BAD_FILES = {
    "empty": (b"", "empty"),
    "blank": (b" \n\n", "empty"),
    "no JSON": (b"{hello", "not JSON"),
    "a number": (b"[1, 2]", "no list of objects"),
    "binary": (b"\x00\x01\x02\x03", "not UTF-8 text"),
    "UTF-16": ("id,grade\n1,1".encode("utf-16"), "not UTF-8 text"),
    "gzip": (b"\x1f\x8b\x08\x00rest", "unpack it first"),
    "Parquet, damaged": (b"PAR1 and no more", "damaged Parquet"),
    "zip, damaged": (b"PK\x03\x04 and no more", "no Inspect log"),
    "header only": (b"id,grade\n", "without any row"),
    "no whole row": (b"id,grade\n1,2,3\n", "without any row that can be read; .*3 cells where the header has 2"),
    "only bad lines": (b'{"a": 1\n{"b": \n', "not JSON"),
    "lm-eval's means": (b'{"results": {}, "configs": {}}', "samples_"),
    "Inspect without samples": (b'{"status": "success", "eval": {"model": "m"}}', "without samples"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_no_log_says_what_it_is_instead(tmp_path: Path, kind: str) -> None:
    data, message = BAD_FILES[kind]
    path = tmp_path / "log"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        rescore([path])
    assert str(path) in str(caught.value)


def test_a_bad_log_among_good_ones_is_told_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_bytes(b"\x00")
    good = write(tmp_path / "good.jsonl", rows("CORRECT"))
    found = rescore([tmp_path / "bad.jsonl", good])
    assert len(found.runs) == 1 and "bad.jsonl: not UTF-8" in found.problems[0].first


def test_no_such_file_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file"):
        rescore([tmp_path / "nothing.jsonl"])
    with pytest.raises(ValueError, match="no log in this folder"):
        rescore([tmp_path])


@pytest.mark.parametrize("verdict", ["CORRECT", "INCORRECT", "ABSTAINED"])
def test_one_class_only(tmp_path: Path, verdict: str) -> None:
    found = rescore([write(tmp_path / "a.jsonl", rows(verdict, verdict, confidence=[0.5, 1.0]))])
    metrics = found.metrics[0]
    assert metrics["auroc"] is None and found.render() and json.loads(found.render("json"))
    expected = {"CORRECT": 1.0, "INCORRECT": -1.0, "ABSTAINED": 0.0}[verdict]
    assert metrics["by_target"][1]["score"] == expected
    found.save(tmp_path / "out")


def test_confidence_that_is_none(tmp_path: Path) -> None:
    """NaN, 150 %, words and negative numbers are unknown; the answers count."""
    bad = [float("nan"), "150%", "high", -0.1, 0.9, 0.8, None, 0.7]
    found = rescore([write(tmp_path / "a.jsonl", rows(*["CORRECT"] * 8, confidence=bad))])
    assert found.metrics[0]["confidence_n"] == 3 and found.metrics[0]["n"] == 8
    problem = next(one for one in found.problems if one.kind == "confidence")
    assert problem.count == 4 and not problem.lost and "a.jsonl:1: confidence is not a probability" in problem.first


def test_percentages_are_recognised_by_their_column(tmp_path: Path) -> None:
    found = rescore([write(tmp_path / "a.jsonl", rows(*["CORRECT"] * 4, confidence=[5, 100, 1, 150]))])
    assert found.runs[0].confidence.tolist()[:3] == [0.05, 1.0, 0.01]
    assert "confidence is read as percentages" in found.remarks and found.problems[0].count == 1


def test_a_million_characters(tmp_path: Path) -> None:
    texts = ["x" * 1_000_000, "I don't know. " * 70_000]
    path = write(tmp_path / "a.jsonl", [{"id": n, "gold": "Lima", "response": text} for n, text in enumerate(texts)])
    start = time.process_time()
    (run,) = rescore([path]).runs
    assert len(run.verdict) == 2 and time.process_time() - start < 60


def test_names_that_would_command_the_terminal(tmp_path: Path) -> None:
    name = "\u202egnp.exe\x1b[2J\x1b]0;owned\x07\nmodel\u200b" + "x" * 300
    named = {"model": name, "task": "t\x00\r"}
    path = write(tmp_path / "a.jsonl", [row | named for row in rows("CORRECT", "INCORRECT")])
    found = rescore([path, path])
    text = found.render()
    assert all(character.isprintable() or character == "\n" for character in text)
    assert max(map(len, text.splitlines())) <= 100
    found.save(tmp_path / "out")
    assert all(path.resolve().is_relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*"))


def test_names_cannot_leave_the_output_folder(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl", [{**rows("CORRECT")[0], "model": name} for name in ("../../evil", "/etc", "..")]
    )
    rescore([path], collector=Collector(keep_texts=True)).save(tmp_path / "out")
    assert {one.name for one in tmp_path.iterdir()} == {"a.jsonl", "out"}


def test_mixed_rows(tmp_path: Path) -> None:
    sample = {"doc_id": 0, "doc": {}, "resps": [["x"]], "target": "x", "metrics": ["em"], "em": 1, "filter": "none"}
    other = {**sample, "doc_id": 1, "em": 0}
    path = write(tmp_path / "a.jsonl", [sample, {"id": 3, "verdict": "CORRECT"}, "{", "[]", other])
    found = rescore([path], [0])
    assert found.runs[0].verdict.tolist() == [0, 1]
    assert {(one.kind, one.count) for one in found.problems} == {("not JSON", 2), ("not a sample", 1)}


NO_NUMBERS = [[["nan", "x"]], [["inf", "y"]]]
HOSTILE_SAMPLES = [
    {"doc_id": [], "doc": None, "resps": {}, "metrics": "em"},
    {"doc_id": 1, "doc": {}, "resps": [[["a", "b"]], [["c"]]], "metrics": [None, {}], "target": None},
    {
        "doc_id": 2,
        "doc": {},
        "resps": [[["nan", "x"]], [["inf", ""]]],
        "acc": "high",
        "metrics": ["acc"],
        "arguments": 7,
    },
    {"doc_id": 3, "doc": {"question": 5}, "resps": [], "filtered_resps": {}, "filter": {"a": 1}, "target": {"x": [1]}},
    {"doc_id": 4, "doc": {}, "resps": [[1, 2, None]], "acc": [1], "metrics": ["acc"], "arguments": [["p"]]},
]


def test_hostile_lm_eval_rows_raise_nothing(tmp_path: Path) -> None:
    runs = Collector().read(write(tmp_path / "a.jsonl", HOSTILE_SAMPLES))
    assert sum(len(run.verdict) for run in runs) >= 1


SAMPLES = [None, 1, {"id": {}}, {"id": 1, "scores": []}, {"id": 2, "scores": {"a": 1}}]
TURNS = [None, [], [{}], *([{"role": "assistant", "content": text}] for text in ([{"type": "text"}], "x"))]
HOSTILE_DOCUMENTS: list[Any] = [
    {"status": 1, "eval": {"model": [], "task": {}}, "samples": SAMPLES},
    {"htmls": {}, "convos": TURNS},
    [{"instance_id": None, "stats": [{}, None]}, 5, {"instance_id": "a", "stats": [{"name": "x", "mean": "y"}]}],
    {"request_states": [None, {"instance": {"id": "a", "references": [None]}, "result": []}]},
    {"rows": [{"id": {"a": 1}, "grade": {}, "confidence": [1], "model": ["m"]}]},
]


@pytest.mark.parametrize("place", range(len(HOSTILE_DOCUMENTS)))
def test_hostile_documents_raise_nothing_but_messages(tmp_path: Path, place: int) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(HOSTILE_DOCUMENTS[place]))
    collector = Collector(keep_texts=True)
    try:
        found = rescore([path], collector=collector)
    except ValueError as error:
        assert "nothing to score" in str(error) and collector.problems.found
    else:
        found.save(tmp_path / "out")
        assert found.render()


def test_a_target_that_is_none_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", rows(*["CORRECT"] * 4, confidence_target=[0.5, 0.5, 0.5, 1.0]))
    found = rescore([path])
    assert found.metrics[0]["level"] == 3 and len(found.runs[0].verdict) == 3
    assert {one.kind for one in found.problems} == {"target", "no target"}


@pytest.mark.parametrize("target", [1.0, -0.1, 75])
def test_targets_outside_the_interval(tmp_path: Path, target: float) -> None:
    with pytest.raises(ValueError, match=r"outside \[0, 1\)"):
        rescore([write(tmp_path / "a.jsonl", rows("CORRECT"))], [target])
