"""`abstain rescore` and `abstain eval --claims` on files of labelled claims."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., object]


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    rows = [
        {"topic": "Ada", "output": "…", "annotations": [{"human-atomic-facts": [
            {"text": "Ada lived in Lima.", "label": "S"}, {"text": "Ada was born in Rome.", "label": "NS"}]}]},
        {"topic": "Bo", "output": "", "annotations": None},
    ]  # fmt: skip
    path = tmp_path / "ChatGPT.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_rescore_tells_claims_from_their_content(abstain: Run, labelled: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = abstain("rescore", labelled, "--out", out, "--targets", "0.5").output
    assert "Long answers, claim by claim" in text and "ChatGPT" in text
    found = json.loads((out / "claims.json").read_text())
    assert (found["claims"], found["supported"], found["silent"]) == (2, 1, 1)
    assert found["by_target"][0]["points_per_answer"] == 0
    rows = [json.loads(line) for line in (out / "claims.jsonl").read_text().splitlines()]
    assert [row["label"] for row in rows] == ["Entailment", "Neutral", "silent"]
    assert (out / "plots" / "claims-by-length.png").exists() and "strict" in (out / "claims.md").read_text()
    again = abstain("rescore", labelled, "--out", out, code=2).output
    assert "already holds" in again


def test_rescore_of_several_files_and_formats(abstain: Run, labelled: Path, tmp_path: Path) -> None:
    other = labelled.with_name("Other.jsonl")
    other.write_bytes(labelled.read_bytes())
    found = json.loads(abstain("rescore", labelled, other, "--name", "a", "--name", "b", "--format", "json").output)
    assert [one["model"] for one in found] == ["a", "b"]
    abstain("rescore", labelled, other, "--out", tmp_path / "out")
    assert (tmp_path / "out" / "1" / "claims.json").exists() and (tmp_path / "out" / "claims.md").exists()
    log = tmp_path / "log.csv"
    log.write_text("id,grade\na,1\n")
    assert "score them apart" in abstain("rescore", labelled, log, code=2).output
    assert "2 names for 1" in abstain("rescore", labelled, "--name", "a", "--name", "b", code=2).output
    assert "--nli checks claims" in abstain("rescore", log, "--nli", "m", code=2).output
    assert "no long answers" in abstain("rescore", log.rename(tmp_path / "log.jsonl"), "--claims", code=2).output


def test_a_model_says_how_sure_it_is_of_claims(abstain: Run, labelled: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = abstain("eval", tiny_model, "--claims", labelled, "--out", out).output
    assert "confidence > t" in text and "Confidence in claims" in text
    rows = [json.loads(line) for line in (out / "claims.jsonl").read_text().splitlines()]
    assert all(0 < row["confidence"] < 1 for row in rows if row["claim"])
    assert (out / "plots" / "risk-coverage.png").exists()
    refused = abstain("eval", tiny_model, "--claims", labelled, "--task", "geo", code=2).output
    assert "leave out --task" in refused
