"""The table says the same in every format, fits a terminal, and shows what is missing as missing."""

import csv
import io
import json

import pytest

from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import Baseline
from abstain.evals.records import Record
from abstain.evals.tables.table import render
from abstain.rewards.verdict import Verdict

TARGETS = (0.0, 0.5, 0.75, 0.9)
FORMATS = ("text", "markdown", "latex", "csv", "json")


def made_up(model: str, right: int, wrong: int, ungraded: int = 0, targets: tuple[float, ...] = TARGETS) -> dict:
    """Metrics of 100 questions at each target."""
    silent = 100 - right - wrong - ungraded
    verdicts = [Verdict.CORRECT] * right + [Verdict.INCORRECT] * wrong
    verdicts += [Verdict.UNGRADED] * ungraded + [Verdict.ABSTAINED] * silent
    rows = [
        Record(str(i), "toy_task", "Where?", ("Lima",), t, "", "", "", verdict, 0.5)
        for t in targets
        for i, verdict in enumerate(verdicts)
    ]
    found = measure(rows, model=model, task="toy_task", baselines=dict.fromkeys(targets, ORACLE))
    return {**found, "start": "base", "truncated": 0.25}


ORACLE = Baseline("post-hoc", 0.5, 0.6, 0.25, -12.345)
BEFORE, AFTER = made_up("base", 40, 60), made_up("runs/tuned_model", 38, 2, ungraded=3)


def test_text_fits_a_terminal_and_shows_every_number() -> None:
    text = render([BEFORE, AFTER], labels=["before", "after"])
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in text
    row = next(line for line in lines if line.split()[:2] == ["0.9", "before"])
    assert row.split()[2:6] == ["0.0%", "40.0%", "60.0%", "40.0%"]
    assert row.split()[6] == "-5.000"
    assert row.split()[-3:] == ["5.500", "-12.345", "0.0%"]
    after = lines[lines.index(row) + 1]
    assert after.split()[:6] == ["after", "57.0%", "38.0%", "2.0%", "95.0%", "0.200"]
    assert after.split()[-1] == "3.0%"


def test_the_footer_says_what_the_numbers_are() -> None:
    text = " ".join(render([BEFORE, AFTER], labels=["before", "after"]).split())
    assert "100 questions of toy_task" in text
    assert "the post-hoc oracle gives base's best guesses" in text
    assert "interval 95%, of the score if other questions had been drawn" in text
    assert "before base" in text and "after runs/tuned_model" in text
    assert "before 25.0%; after 25.0% of the completions ran out of tokens" in text
    assert "confidence in before: 100 best guesses; after: 40 best guesses; AUROC: higher is better" in text
    assert "recalibrated" not in text  # there is no such baseline here


def test_what_is_of_no_one_target_stands_below() -> None:
    lines = render([BEFORE, AFTER], labels=["before", "after"]).splitlines()
    titles = next(i for i, line in enumerate(lines) if "mean regret to" in line)
    heads = "model oracle threshold t isotonic temperature AUROC AURC AUGRC ECE smECE Brier"
    assert " ".join(lines[titles + 1].split()) == heads
    before, after = lines[titles + 3].split(), lines[titles + 4].split()
    assert before[:5] == ["before", "2.050", "1.800", "–", "–"]  # the mean score is -1.55
    assert (after[0], after[5]) == ("after", "0.500")
    assert len(before) == len(after) == 11


def test_recalibrated_baselines_are_explained_where_there_are_any() -> None:
    known = {f"mean_regret_{name}": 0.1 for name in ("fixed_threshold", "isotonic", "temperature")}
    text = " ".join(render([{**AFTER, **known}]).split())
    assert "recalibrated on training questions (isotonic, temperature)" in text
    assert "0.100" in text


def test_metrics_of_an_older_version_can_be_shown() -> None:
    """A resumed run shows a starting model that was measured before these numbers were."""
    promised = "target n correct incorrect abstained ungraded accuracy_attempted score score_ci bounded_score "
    promised += "oracle_score regret always_answer_score"
    overall = "model task n mean_regret aurc auroc ece brier confidence_n oracle interval"
    old = {key: BEFORE[key] for key in overall.split()}
    old["by_target"] = [{key: row[key] for key in promised.split()} for row in BEFORE["by_target"]]
    for format in FORMATS:
        text = render([old, AFTER], format, labels=["before", "after"])
        assert text.endswith("\n") and not text.endswith("\n\n")
    assert len(list(csv.DictReader(io.StringIO(render([old, AFTER], "csv"))))) == 8


def test_numbers_that_nobody_knows_take_no_room() -> None:
    rows = [Record("1", "toy", "Where?", (), 0.5, "", "", "", Verdict.CORRECT, None)]
    bare = measure(rows, model="m", task="toy")
    for format in ("text", "markdown", "latex"):
        assert "AUROC" not in render([bare], format)


def test_models_asked_different_questions_say_so() -> None:
    text = " ".join(render([BEFORE, {**AFTER, "n": 90}], labels=["before", "after"]).split())
    assert "n before: 100 questions of toy_task; after: 90 questions of toy_task" in text


def test_calibration_that_gets_worse_is_explained_where_it_is_shown() -> None:
    def text(before: float | None, after: float | None) -> str:
        return " ".join(render([{**BEFORE, "ece": before}, {**AFTER, "ece": after}]).split())

    assert "lower is better. ECE has grown: a model that was trained to abstain says what it knows by" in text(
        0.1, 0.3
    )
    for unknown_or_better in ((0.3, 0.1), (0.1, 0.105), (None, 0.3), (0.3, None)):
        assert "ECE has grown" not in text(*unknown_or_better)


def test_confidence_left_out_is_told() -> None:
    text = " ".join(render([{**AFTER, "confidence_left_out": 7}]).split())
    assert "in 40 best guesses (7 more had none to use)" in text


@pytest.mark.parametrize("width", [60, 80, 100, 140])
def test_narrow_terminals_get_blocks_of_columns(width: int) -> None:
    text = render([BEFORE, AFTER], labels=["before", "after"], width=width)
    assert max(map(len, text.splitlines())) <= width
    for heading in ("abstained", "interval", "regret", "graded", "isotonic", "Brier"):
        assert heading in text
    assert text.count("-12.345") == 8
    assert "mean regret to" in text and "confidence" in text


def test_colour_is_only_decoration() -> None:
    from rich.text import Text

    coloured = render([BEFORE, AFTER], color=True)
    assert "\x1b[" in coloured
    plain = [line.rstrip() for line in Text.from_ansi(coloured).plain.splitlines()]
    assert "\n".join(plain) + "\n" == render([BEFORE, AFTER])


def test_one_model_needs_no_model_column() -> None:
    lines = render([AFTER]).splitlines()
    assert lines[3].split()[:2] == ["0", "57.0%"]
    assert " model          runs/tuned_model" in lines


def test_long_names_give_way_and_are_spelled_out_below() -> None:
    name = "organisation/a-model-with-a-very-long-name-indeed"
    text = render([BEFORE, {**AFTER, "model": name}])
    assert max(map(len, text.splitlines())) <= 100
    assert name in " ".join(text.split())
    assert "…" in text.split("\n\n n ")[0]


def test_labels_are_not_read_as_markup() -> None:
    assert "[bold]" in render([BEFORE, AFTER], labels=["[bold]", "[/]"])


def test_missing_values_are_dashes_in_words_and_empty_in_data() -> None:
    rows = [Record("1", "toy", "Where?", (), 0.5, "", "", "", Verdict.UNGRADED, None)]
    bare = measure(rows, model="m", task="toy")
    text = render([bare])
    assert text.splitlines()[3].split() == ["0.5", "0.0%", "0.0%", "0.0%", "–", "–", "–", "–", "–", "100.0%"]
    assert "there are no best guesses to make an oracle of" in text
    assert next(csv.DictReader(io.StringIO(render([bare], "csv"))))["score"] == ""
    assert json.loads(render([bare], "json"))[0]["score"] is None
    assert "& -- &" in render([bare], "latex")


def test_csv_and_json_hold_every_number_in_full() -> None:
    from_json = json.loads(render([BEFORE, AFTER], "json", labels=["before", "after"]))
    assert [(row["target"], row["label"]) for row in from_json[:3]] == [(0, "before"), (0, "after"), (0.5, "before")]
    assert {key: from_json[3][key] for key in AFTER["by_target"][1]} == AFTER["by_target"][1]
    from_csv = list(csv.DictReader(io.StringIO(render([BEFORE, AFTER], "csv", labels=["before", "after"]))))
    assert len(from_csv) == len(from_json) == 8
    for flat, row in zip(from_csv, from_json, strict=True):
        assert [float(flat["score_low"]), float(flat["score_high"])] == row["score_ci"]
        assert float(flat["regret"]) == row["regret"]
        assert flat["model"] == row["model"]


def test_markdown_is_a_table() -> None:
    lines = render([{**BEFORE, "model": "a|b"}, AFTER], "markdown").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == (2 + 8) + (2 + 2)
    for part in (table[:10], table[10:]):
        assert len({line.replace("\\|", "").count("|") for line in part}) == 1
    assert "a\\|b" in table[2]
    assert table[1].replace("|", "").strip("-:") == ""


def test_latex_escapes_names_and_sets_minus_signs() -> None:
    latex = render([{**BEFORE, "model": "a_b&c"}, AFTER], "latex")
    assert r"a\_b\&c" in latex
    assert "$-5.000$" in latex and "$-12.345$" in latex
    assert latex.count("\\addlinespace") == 3
    for part, rows in zip(latex.split("\n\n"), (8, 2), strict=True):
        lines = part.splitlines()
        body = lines[lines.index("\\midrule") + 1 : lines.index("\\bottomrule")]
        told = [line for line in body if line != "\\addlinespace"]
        cells = [line.removesuffix(r" \\").replace(r"\&", "").split(" & ") for line in told]
        assert [len(row) for row in cells] == [11] * rows
        assert "%" not in "".join(body).replace(r"\%", "")
    assert [row[0] for row in cells] == ["a\\_bc", "runs/tuned\\_model"]


def test_latex_takes_any_name() -> None:
    """After a row's end, LaTeX would read a name in brackets as a length."""
    latex = render([{**BEFORE, "model": "[x]"}, {**AFTER, "model": "50% <a|b> ~{c}^$#\\"}], "latex")
    assert "\n{[}x] & " in latex
    assert r"50\% $<$a$|$b$>$ \textasciitilde{}\{c\}\textasciicircum{}\$\#\textbackslash{}" in latex
    assert latex.count("\\begin{") == latex.count("\\end{") == 3
    lines = [line for line in latex.splitlines() if not line.startswith("%")]
    balance = "\n".join(lines).replace(r"\{", "").replace(r"\}", "")
    assert balance.count("{") == balance.count("}")


def test_models_asked_different_targets_share_a_table() -> None:
    text = render([BEFORE, made_up("other", 50, 0, targets=(0.25, 0.5))], "json", labels=["a", "b"])
    found = [(row["target"], row["label"]) for row in json.loads(text)]
    assert found == [(0, "a"), (0.25, "b"), (0.5, "a"), (0.5, "b"), (0.75, "a"), (0.9, "a")]


def test_mistakes_are_explained() -> None:
    with pytest.raises(ValueError, match=r"unknown table format 'md'. .*Allowed: csv, json, latex, markdown, text"):
        render([AFTER], "md")
    with pytest.raises(ValueError, match="one label for each model: 2 models, 1 labels"):
        render([BEFORE, AFTER], labels=["before"])
    with pytest.raises(ValueError, match="0 models"):
        render([])
