"""`abstain eval --audit` for real, on a tiny random model."""

import csv
import io
import json

import pytest

from abstain.evals.audit.asking import WORDINGS
from abstain.recipes.cli.eval import AUDIT_RESULTS, RESULTS

QUICK = ("--targets", "0.5,0.9", "--option", "max_new_tokens=3", "--option", "held_out=0.9", "--audit")


@pytest.fixture(scope="module")
def audited(abstain, tmp_path_factory, tiny_model, question_file):
    """A directory with the results of an audit, and what was printed."""
    out = tmp_path_factory.mktemp("audit") / "results"
    return out, abstain("eval", tiny_model, "--data", question_file, *QUICK, "--limit", 6, "--out", out).stdout


def test_everything_is_written_and_printed(audited):
    out, printed = audited
    assert sorted(path.name for path in out.iterdir()) == sorted(RESULTS + AUDIT_RESULTS)
    found = json.loads((out / "audit.json").read_text())
    assert [row["target"] for row in found["by_target"]] == [0.0, 0.5, 0.9]  # 0 is always asked
    assert found["n"] == 6 and found["source"]["kind"] == "own"
    assert "Behavioral-calibration audit of" in printed and "6 questions are too few for one" in printed
    assert max(map(len, printed.splitlines())) <= 100
    assert [row["wording"] for row in found["wordings"]["rows"]] == ["none"]  # it has no tokens for the others
    assert sum("tokenizer has no tokens" in note for note in found["notes"]) == len(WORDINGS)


def test_samples_and_csv(abstain, tiny_model, question_file):
    asked = ("eval", tiny_model, "--data", question_file, *QUICK)
    result = abstain(*asked, "--limit", 4, "--samples", 2, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["target"] for row in rows] == ["0.0", "0.5", "0.9"] and "effective_threshold" in rows[0]


def test_the_starting_model_of_a_run(abstain, tmp_path, tiny_model, question_file):
    from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers
    from abstain.rewards.verdict import Verdict

    names = tuple(f"P{i}" for i in range(24))
    start = BaseGuesses(
        "before", ForcedAnswers.of([], [], []), ForcedAnswers.of(names[:5], [Verdict.CORRECT] * 5, [0.5] * 5)
    )
    start.save(tmp_path / "before" / "start.json")
    asked = ("eval", tiny_model, "--data", question_file, *QUICK, "--format", "json")
    result = abstain(*asked, "--start", tmp_path)
    found = json.loads(result.stdout)
    assert found["source"]["kind"] == "start" and found["source"]["model"] == "before" and 0 < found["n"] <= 5
    assert "held-out questions are left out: before was not asked them" in result.stderr.replace("\n", " ")
    other = BaseGuesses("before", start.train, ForcedAnswers.of(["x"], [Verdict.CORRECT], [0.5]))
    other.save(tmp_path / "other.json")
    refused = abstain(*asked, "--start", tmp_path / "other.json", code=2)
    assert "was asked none of these questions" in refused.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--audit", "--targets", "0"], "an audit needs a target above 0"),
        (["--samples", "4"], "--samples is for --audit"),
        (["--audit", "--samples", "4", "--start", "run"], "not by both"),
        (["--audit", "--start", "nowhere"], "no best guesses of a starting model at nowhere"),
    ],
)
def test_refusals_come_before_anything_is_asked(abstain, options, message, question_file):
    result = abstain("eval", "./no-such-model", "--data", question_file, *options, code=2)
    assert message in result.stderr.replace("\n", " ")
    assert "no model at" not in result.stderr
