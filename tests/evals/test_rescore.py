"""Re-scoring: the paper's example, the three levels, ranks and crossings, and everything that is written."""

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from abstain.evals.logs.batch import Options
from abstain.evals.logs.numbers import as_probabilities, to_numbers
from abstain.evals.rescore.collect import Collector
from abstain.evals.rescore.grading import agreement
from abstain.evals.rescore.metrics import heeded_scores
from abstain.evals.rescore.metrics import scores as line
from abstain.evals.rescore.plot import penalty_plot
from abstain.evals.rescore.ranking import Stretch
from abstain.evals.rescore.rescoring import Rescored, rescore

PAPER = "model,abstained,correct,incorrect\ngpt-5-thinking-mini,52,22,26\no4-mini,1,24,75\n"
LETTER = {"C": "CORRECT", "I": "INCORRECT", "A": "ABSTAINED", "U": "UNGRADED"}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def model(name: str, verdicts: str, **columns: list[Any]) -> list[dict[str, Any]]:
    rows = [{"model": name, "id": n, "verdict": LETTER[letter]} for n, letter in enumerate(verdicts)]
    return [row | {key: values[n] for key, values in columns.items()} for n, row in enumerate(rows)]


def scores(found: Rescored, place: int = 0) -> list[float]:
    return [row["score"] for row in found.metrics[place]["by_target"]]


@pytest.fixture
def paper(tmp_path: Path) -> Rescored:
    path = tmp_path / "simpleqa.csv"
    path.write_text(PAPER)
    return rescore([path])


def test_the_papers_example(paper: Rescored) -> None:
    """22 - 26 t/(1-t) against 24 - 75 t/(1-t): they cross at x = 2/49, t = 2/51; zero at t = 22/48 and 24/99."""
    assert scores(paper) == pytest.approx([0.22, -0.04, -0.56, -2.12])
    assert scores(paper, 1) == pytest.approx([0.24, -0.51, -2.01, -6.51])
    (ranking,) = paper.rankings
    assert [order[0] for order in ranking.orders.values()] == ["o4-mini", *["gpt-5-thinking-mini"] * 3]
    (crossing,) = ranking.crossings
    assert crossing.target == pytest.approx(2 / 51) and crossing.interval is None
    assert (crossing.below, crossing.above) == ("o4-mini", "gpt-5-thinking-mini")
    first, second, third = ranking.stretches
    assert (first.best, second.best, third.best) == ("o4-mini", "gpt-5-thinking-mini", None)
    assert (second.start, second.end) == pytest.approx((2 / 51, 22 / 48))


def test_the_papers_example_as_people_see_it(paper: Rescored) -> None:
    text = paper.render()
    assert "t < 0.039: o4-mini" in text and "0.039 < t < 0.458: gpt-5-thinking-mini" in text
    assert "level 1 of 3" in text and "penalty curve" in text and "behavioral calibration" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_counts_give_intervals_of_the_crossing(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("model,abstained,correct,incorrect,n\nmini,52,22,26,4326\no4,1,24,75,4326\n")
    found = rescore([path])
    low, high = found.rankings[0].crossings[0].interval or (0, 0)
    assert 0 <= low < 2 / 51 < high < 0.2
    assert found.metrics[0]["by_target"][0]["score_ci"] == pytest.approx([0.208, 0.232], abs=0.004)


def test_grades_only_is_a_first_level_log(tmp_path: Path) -> None:
    found = rescore([write(tmp_path / "a.jsonl", model("m", "CCIAAU"))], [0.5])
    (metrics,) = found.metrics
    assert metrics["level"] == 1 and metrics["n"] == 6 and metrics["confidence_kind"] is None
    row = metrics["by_target"][0]
    assert [6 * row[key] for key in ("correct", "incorrect", "abstained", "ungraded")] == pytest.approx([2, 1, 2, 1])
    assert row["score"] == pytest.approx(1 / 6) and "thresholded" not in row and metrics["auroc"] is None


def test_confidence_makes_a_second_level_log(tmp_path: Path) -> None:
    rows = model("m", "CICA", confidence=[0.9, 0.6, 0.5, None])
    found = rescore([write(tmp_path / "a.jsonl", rows)], [0, 0.5, 0.75])
    metrics = found.metrics[0]
    assert metrics["level"] == 2
    assert scores(found) == pytest.approx([0.5, 0.25, -0.25])
    heeded = [row["thresholded"] for row in metrics["by_target"]]
    assert [one["score"] for one in heeded] == pytest.approx([0.5, 0.0, 0.25])  # C I A A at .5, C A A A at .75
    assert heeded[1]["coverage"] == 0.5 and heeded[2]["abstained"] == 0.75
    assert metrics["auroc"] == 0.5 and metrics["confidence_n"] == 3
    assert "if q > t" in found.render() and "no audit of behavioral calibration" in " ".join(found.render().split())


def test_confidence_in_few_answers_is_not_enough(tmp_path: Path) -> None:
    found = rescore([write(tmp_path / "a.jsonl", model("m", "CIC", confidence=[0.9, None, None]))])
    assert found.metrics[0]["level"] == 1 and "too few to use" in " ".join(found.render().split())


def test_stated_targets_make_a_third_level_log(tmp_path: Path) -> None:
    rows = [row | {"confidence_target": t} for t, told in ((0, "CI"), (0.75, "CA")) for row in model("m", told)]
    path = write(tmp_path / "a.jsonl", rows)
    found = rescore([path])
    assert found.metrics[0]["level"] == 3 and [row["target"] for row in found.metrics[0]["by_target"]] == [0, 0.75]
    assert scores(found) == [0.5, 0.5] and found.metrics[0]["n"] == 2
    assert rescore([path], [0.5, 0.75]).metrics[0]["by_target"][0]["target"] == 0.75
    with pytest.raises(ValueError, match=r"state the targets 0, 0.75, none of which"):
        rescore([path], [0.9])


def test_epochs_that_state_one_target_each_are_no_repeats(tmp_path: Path) -> None:
    told = (({"confidence_target": 0, "epoch": 1}, "CI"), ({"confidence_target": 0.75, "epoch": 2}, "CA"))
    rows = [row | asked for asked, letters in told for row in model("m", letters)]
    found = rescore([write(tmp_path / "a.jsonl", rows)], collector=Collector(keep_texts=True))
    found.save(tmp_path / "out")
    ids = [json.loads(line)["id"] for line in (tmp_path / "out" / "records.jsonl").read_text().splitlines()]
    assert not found.runs[0].repeated and ids == ["0", "1", "0", "1"] and found.metrics[0]["n"] == 2


def test_rows_without_a_target_are_left_out_of_a_third_level_log(tmp_path: Path) -> None:
    rows = [row | {"confidence_target": t} for row, t in zip(model("m", "CIC"), (0.5, 0.5, None), strict=True)]
    found = rescore([write(tmp_path / "a.jsonl", rows)])
    assert found.metrics[0]["by_target"][0]["n"] == 2
    assert found.problems[0].first.endswith("a.jsonl:3: states no target, unlike other rows; left out")


def test_third_level_models_flip_between_targets_not_at_one(tmp_path: Path) -> None:
    told = {("bold", 0.0): "CCI", ("bold", 0.75): "CCI", ("shy", 0.0): "CAA", ("shy", 0.75): "CAA"}
    rows = [row | {"confidence_target": t} for (name, t), letters in told.items() for row in model(name, letters)]
    found = rescore([write(tmp_path / "a.jsonl", rows)])
    (ranking,) = found.rankings
    assert ranking.orders == {0.0: ["bold", "shy"], 0.75: ["shy", "bold"]}
    assert not ranking.crossings and not ranking.stretches
    assert "between t = 0 and 0.75: bold > shy becomes shy > bold" in " ".join(found.render().split())


def test_models_that_score_alike_share_their_rank(tmp_path: Path) -> None:
    found = rescore([write(tmp_path / "a.jsonl", model("a", "CI") + model("b", "IC") + model("c", "II"))], [0.0])
    assert [row["rank"] for row in json.loads(found.render("json"))["rows"]] == [1, 1, 3]
    assert "t = 0: a and b score alike [-0.935, 0.935]" in found.render()


def test_one_stated_target_is_no_audit(tmp_path: Path) -> None:
    rows = [row | {"confidence_target": 0.5} for row in model("m", "CIA")]
    text = " ".join(rescore([write(tmp_path / "a.jsonl", rows)]).render().split())
    assert "stated targets, but one only" in text and "the log of a behavioral-calibration audit" not in text


def test_intervals_of_a_lead_are_paired(tmp_path: Path) -> None:
    """Where one model is right whenever the other is, the difference of 1/4 is all that varies."""
    rows = model("a", "CCCI" * 100) + model("b", "CCII" * 100)
    (lead,) = rescore([write(tmp_path / "a.jsonl", rows)], [0]).rankings[0].leads
    low, high = lead.interval or (0, 0)
    assert lead.paired and lead.difference == 0.25 and 0.2 < low < 0.25 < high < 0.3


def test_models_asked_other_questions_are_not_paired(tmp_path: Path) -> None:
    rows = model("a", "CCCAI" * 40) + [row | {"id": f"x{row['id']}"} for row in model("b", "CCCCIII" * 40)]
    ranking = rescore([write(tmp_path / "a.jsonl", rows)], [0, 0.9]).rankings[0]
    assert not ranking.leads[0].paired and ranking.leads[0].interval is None
    assert ranking.crossings == [] or not ranking.crossings[0].paired


def test_the_same_model_in_two_logs_is_told_apart(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.jsonl", model("m", "CI")) for name in ("before", "after")]
    assert [run.label for run in rescore(paths).runs] == ["m, before", "m, after"]
    assert [run.label for run in rescore(paths, name_by="file").runs] == ["before", "after"]
    assert [run.label for run in rescore(paths, names=["x", "y"]).runs] == ["x", "y"]
    assert [run.label for run in rescore(paths, names=["x", "x"]).runs] == ["x", "x #2"]
    with pytest.raises(ValueError, match="1 names for 2 logs"):
        rescore(paths, names=["x"])


def test_pooling_keeps_questions_of_different_tasks_apart(tmp_path: Path) -> None:
    rows = [row | {"task": task} for task in ("t1", "t2") for name in "ab" for row in model(name, "CIA")]
    path = write(tmp_path / "a.jsonl", rows)
    apart = [("a", "t1", 3), ("b", "t1", 3), ("a", "t2", 3), ("b", "t2", 3)]
    assert [(run.label, run.task, len(run.verdict)) for run in rescore([path]).runs] == apart
    found = rescore([path], [0.0], pool=True, collector=Collector(keep_texts=True))
    assert [(run.label, run.task) for run in found.runs] == [("a", "2 tasks"), ("b", "2 tasks")]
    assert [metrics["n"] for metrics in found.metrics] == [6, 6]
    found.save(tmp_path / "out")
    assert len((tmp_path / "out" / "a--2-tasks" / "records.jsonl").read_text().splitlines()) == 6


def test_repeats_are_clusters(tmp_path: Path) -> None:
    """Four repeats that all agree tell no more than one: the interval is that of 50 questions."""
    verdicts = "CI" * 25
    once = rescore([write(tmp_path / "once.jsonl", model("m", verdicts))], [0])
    rows = [row | {"epoch": epoch} for epoch in range(1, 5) for row in model("m", verdicts)]
    four = rescore([write(tmp_path / "four.jsonl", rows)], [0])
    assert len(four.runs[0].verdict) == 200 and four.metrics[0]["n"] == 50
    assert four.metrics[0]["by_target"][0]["score_ci"] == once.metrics[0]["by_target"][0]["score_ci"]


def test_repeats_agree_with_each_other(tmp_path: Path) -> None:
    answers = ["Lima", "lima.", "Quito", "I don't know"]
    rows = [{"id": 1, "epoch": n, "response": text, "gold": "Lima"} for n, text in enumerate(answers)]
    (run,) = rescore([write(tmp_path / "a.jsonl", rows)]).runs
    assert run.confidence.tolist() == [0.5, 0.5, 0.25, 0.25] and run.kind == "agreement"


def test_repeats_without_numbers_are_recognised_and_stray_duplicates_are_not(tmp_path: Path) -> None:
    thrice = rescore([write(tmp_path / "a.jsonl", model("m", "CI") * 3)])
    assert len(thrice.runs[0].verdict) == 6 and not thrice.problems
    stray = rescore([write(tmp_path / "b.jsonl", [*model("m", "CIC"), model("m", "I")[0]])], [0])
    assert stray.runs[0].verdict.tolist() == [0, 1, 0] and stray.problems[0].count == 1
    assert "b.jsonl:4: the same question" in stray.problems[0].first


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "csv", "json"])
def test_every_format_has_every_row(tmp_path: Path, format: Any) -> None:
    rows = model("a_b", "CICA", confidence=[0.9, 0.6, 0.5, 0.1]) + model("50% <b>", "CCIA", confidence=[1, 1, 0, 0])
    text = rescore([write(tmp_path / "a.jsonl", rows)], [0, 0.5]).render(format)
    if format == "csv":
        found = list(csv.DictReader(io.StringIO(text)))
        assert len(found) == 8 and {row["policy"] for row in found} == {"as answered", "confidence > t"}
    elif format == "json":
        found = json.loads(text)
        assert len(found["rows"]) == 8 and found["rankings"][0]["orders"][0]["target"] == 0
    elif format == "latex":
        assert r"a\_b" in text and r"50\% $<$b$>$" in text and text.count(r" \\") >= 8
    else:
        assert text.count("if q > t") >= 4 and ("<b>" in text) == (format == "text")


def test_what_is_saved(tmp_path: Path) -> None:
    rows = model("m", "CIA", confidence=[0.9, 0.6, 0.5], completion=["Lima", "Quito", "IDK"], gold=["Lima"] * 3)
    found = rescore([write(tmp_path / "a.jsonl", rows)], collector=Collector(keep_texts=True))
    found.save(tmp_path / "out")
    records = [json.loads(line) for line in (tmp_path / "out" / "records.jsonl").read_text().splitlines()]
    assert [record["verdict"] for record in records] == ["CORRECT", "INCORRECT", "ABSTAINED"]
    assert records[0]["answer"] == "Lima" and records[0]["gold"] == ["Lima"] and records[0]["target"] is None
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [row["score"] for row in metrics["by_target"]] == scores(found) and metrics["level"] == 2
    assert (tmp_path / "out" / "table.md").read_text() == found.render("markdown")
    assert {path.name for path in (tmp_path / "out" / "plots").iterdir()} == {"score.png", "score.svg"}
    again = rescore([tmp_path / "out" / "records.jsonl"])
    assert scores(again) == scores(found) and again.metrics[0]["level"] == 2


def test_saved_records_of_a_third_level_run_are_one_again(tmp_path: Path) -> None:
    rows = [row | {"confidence_target": t} for t in (0.5, 0.9) for row in model("m", "CIA")]
    found = rescore([write(tmp_path / "a.jsonl", rows)], collector=Collector(keep_texts=True))
    found.save(tmp_path / "out")
    from abstain.evals.records import read_records

    assert [record.target for record in read_records(tmp_path / "out" / "records.jsonl")] == [0.5] * 3 + [0.9] * 3
    assert scores(rescore([tmp_path / "out" / "records.jsonl"])) == scores(found)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=4))
@settings(max_examples=10)
def test_stretches_are_the_upper_envelope(tmp_path_factory: Any, counts: list[tuple[int, int, int]]) -> None:
    rows = [f"m{n},{c},{i},{a + 101}" for n, (c, i, a) in enumerate(counts)]
    paths = [tmp_path_factory.mktemp("t") / "t.csv" for _ in range(2)]  # so that there is always something to rank
    for path in paths:
        path.write_text("\n".join(["model,correct,incorrect,abstained", *rows]))
    found = rescore(paths, [0.5])
    shares = {run.label: run.summary.shares for run in found.runs if run.summary}
    stretches = found.rankings[0].stretches
    assert stretches[0].start == 0 and stretches[-1].end == 1
    for one in stretches:
        for t in np.linspace(one.start, min(one.end, 0.999), 5)[1:-1]:
            best = max([0.0, *(c - i * t / (1 - t) for c, i, _, _ in shares.values())])
            mine = 0.0 if one.best is None else shares[one.best][0] - shares[one.best][1] * t / (1 - t)
            assert mine == pytest.approx(best, abs=1e-9)


def test_nobody_is_best_where_nobody_is_right(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", model("a", "IIA") + model("b", "IAA"))
    assert rescore([path]).rankings[0].stretches == [Stretch(0.0, 1.0, None)]


@given(st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True) | st.text(max_size=4), max_size=20))
def test_whatever_stands_for_confidence_a_probability_or_nothing_comes_out(values: list) -> None:
    q, bad, _ = as_probabilities(to_numbers(values))
    known = ~np.isnan(q)
    assert ((q[known] >= 0) & (q[known] <= 1)).all() and not (bad & known).any()
    assert np.isnan(q[[value is None for value in values]]).all() if values else True


@given(st.lists(st.sampled_from(["Lima", "Quito", "I don't know", ""]), min_size=1, max_size=8))
def test_agreement_is_a_share_and_counts_oneself(votes: list[str]) -> None:
    shares = {vote: agreement(votes, vote) for vote in votes}
    assert all(shares[vote] >= votes.count(vote) / len(votes) > 0 for vote in votes) and max(shares.values()) <= 1


def test_scores_agree_with_the_metrics_of_records(tmp_path: Path) -> None:
    from abstain.evals.metrics.measuring import measure
    from abstain.evals.records import read_records

    rng = random.Random(0)
    rows = [
        {"id": str(n), "task": "t", "question": "?", "gold": ["x"], "target": t, "prompt": "", "completion": "",
         "answer": "", "verdict": LETTER[rng.choice("CIAU")], "confidence": rng.random()}
        for n in range(60) for t in (0.0, 0.75)
    ]  # fmt: skip
    path = write(tmp_path / "records.jsonl", rows)
    mine, theirs = rescore([path]).metrics[0], measure(read_records(path), model="m", task="t")
    for key in ("score", "score_ci", "bounded_score", "coverage", "abstained", "ungraded", "accuracy_attempted"):
        assert [row[key] for row in mine["by_target"]] == [row[key] for row in theirs["by_target"]]
    for key in ("aurc", "auroc", "ece", "brier"):
        assert mine[key] == pytest.approx(theirs[key])


def test_options_reach_the_readers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"id": 1, "f1": 0.6}])
    assert scores(rescore([path], [0], collector=Collector(Options(metric="f1", pass_mark=0.5)))) == [1.0]


def test_each_run_keeps_its_own_texts(tmp_path: Path) -> None:
    """Rows of three models in turn; the texts differ in length."""
    rows = [
        {"model": f"m{n % 3}", "id": n // 3, "verdict": "CORRECT", "completion": f"m{n % 3} says " + "ü" * n}
        for n in range(30)
    ]
    rescore([write(tmp_path / "a.jsonl", rows)], collector=Collector(keep_texts=True)).save(tmp_path / "out")
    for name in ("m0", "m1", "m2"):
        saved = [json.loads(text) for text in (tmp_path / "out" / name / "records.jsonl").open(encoding="utf-8")]
        assert [row["completion"] for row in saved] == [row["completion"] for row in rows if row["model"] == name]


@given(
    st.lists(st.tuples(st.sampled_from("CIAU"), st.none() | st.sampled_from([0.0, 0.5, 0.9, 1.0])), min_size=2),
    st.sampled_from([0.0, 0.5, 0.75, 0.9]),
)
@settings(max_examples=30)
def test_lines_of_the_plot_are_the_numbers_of_the_table(
    tmp_path_factory: Any, answers: list[tuple[str, float | None]], t: float
) -> None:
    letters, q = zip(*answers, strict=True)
    assume(set(letters) != {"U"})
    path = write(tmp_path_factory.mktemp("t") / "a.jsonl", model("m", "".join(letters), confidence=list(q)))
    found = rescore([path], [t])
    (run,), (row,) = found.runs, found.metrics[0]["by_target"]
    assert line(run, [t]) == pytest.approx([row["score"]])
    if run.level == 2:
        assert heeded_scores(run, [t]) == pytest.approx([row["thresholded"]["score"]])


def test_a_run_without_a_grade_has_no_line(tmp_path: Path) -> None:
    runs = Collector().read(write(tmp_path / "a.jsonl", model("a", "UU") + model("b", "CI")))
    for run in runs:
        run.label = run.model
    plot = penalty_plot("score", runs, None)
    assert [text.get_text() for text in plot.figure.axes[0].get_legend().get_texts()] == ["b"]
    assert line(runs[0], [0.5]) is None and heeded_scores(runs[0], [0.5]) is None
    assert "a: nothing graded" in plot.alt and "b: 0.500 at t = 0" in plot.alt
