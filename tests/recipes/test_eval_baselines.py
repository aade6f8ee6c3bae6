"""`abstain eval --baselines` for real, on a tiny random model."""

import csv
import io
import json
import shutil

import pytest

from abstain.recipes.cli.eval import AUDIT_RESULTS, POLICY_RESULTS, RESULTS

QUICK = ("--targets", "0.5,0.9", "--option", "max_new_tokens=3", "--option", "held_out=0.5", "--limit", "6")


def test_everything_is_written_and_printed(abstain, tmp_path, tiny_model, question_file):
    out = tmp_path / "results"
    asked = ("eval", tiny_model, "--data", question_file, *QUICK, "--baselines", "--out", out)
    printed = abstain(*asked, "--draws", 3, "--temperature", 0.7, "--delta", 0.2).stdout
    assert sorted(path.name for path in out.iterdir()) == sorted(RESULTS + POLICY_RESULTS)
    found = json.loads((out / "policies.json").read_text())
    assert (found["samples"], found["temperature"], found["delta"]) == (3, 0.7, 0.2)
    assert {row["target"] for row in found["rows"]} == {0.0, 0.5, 0.9}  # 0 is always asked
    assert printed.index("mean regret") < printed.index("Ways to abstain") < printed.index("closed rubric")
    assert max(map(len, printed.splitlines())) <= 100
    again = abstain(*asked, code=2)
    assert "policies.json" in again.stderr.replace("\n", "") or "metrics.json" in again.stderr.replace("\n", "")


def test_a_trained_model_may_have_learnt_what_thresholds_go_by(abstain, tmp_path, tiny_model, question_file):
    from abstain.evals.prompt_card import PromptCard

    model = shutil.copytree(tiny_model, tmp_path / "model")
    PromptCard(template="{question} {instruction}", prompt_format="plain", max_new_tokens=3).save(model)
    asked = ("eval", model, "--data", question_file, *QUICK)
    assert "which this model may have learnt: give --start RUN" in abstain(*asked, "--baselines").stderr
    assert "may have learnt" not in abstain(*asked).stderr


def test_csv_is_one_table_and_the_audit_another(abstain, tmp_path, tiny_model, question_file):
    asked = ("eval", tiny_model, "--data", question_file, *QUICK, "--baselines")
    rows = list(csv.DictReader(io.StringIO(abstain(*asked, "--format", "csv").stdout)))
    assert {row["policy"] for row in rows} >= {"open rubric", "samples agree", "conformal, answers"}
    out = tmp_path / "both"
    printed = abstain(*asked, "--audit", "--out", out).stdout
    assert printed.index("Behavioral-calibration audit of") < printed.index("Ways to abstain")
    assert sorted(path.name for path in out.iterdir()) == sorted(RESULTS + AUDIT_RESULTS + POLICY_RESULTS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--draws", "3"], "--draws is for --baselines, which is not given"),
        (["--delta", "0.1"], "--delta is for --baselines, which is not given"),
        (["--baselines", "--draws", "1"], "must be at least 2"),
        (["--baselines", "--temperature", "0"], "--temperature 0 is not above 0"),
        (["--baselines", "--delta", "90"], "--delta 90 is outside (0, 1)"),
        (["--baselines", "--audit", "--format", "json"], "give --audit or --baselines, not both"),
    ],
)
def test_refusals_come_before_anything_is_asked(abstain, options, message, question_file):
    result = abstain("eval", "./no-such-model", "--data", question_file, *options, code=2)
    said = " ".join(result.stderr.replace("│", " ").split())
    assert message in said
    assert "no model at" not in said
