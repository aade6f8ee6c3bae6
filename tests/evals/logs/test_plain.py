"""Plain files: which column is what, what grades and confidence mean, tables of results."""

import json
from pathlib import Path
from typing import Any

import pytest

from abstain.evals import files
from abstain.evals.logs.batch import Options
from abstain.evals.logs.grades import VERDICTS
from abstain.evals.rescore.collect import Collector
from abstain.evals.rescore.grading import Grading
from abstain.evals.rescore.runs import Run

SHORT = {"CORRECT": "C", "INCORRECT": "I", "ABSTAINED": "A", "UNGRADED": "U"}


def read(
    tmp_path: Path, rows: list[Any] | str, name: str = "log.jsonl", **options: Any
) -> tuple[list[Run], Collector]:
    path = tmp_path / name
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    grading = Grading(**{key: options.pop(key) for key in ("grader", "regrade") if key in options})
    collector = Collector(Options(**options), grading)
    return collector.read(path), collector


def verdicts(run: Run) -> str:
    return "".join(SHORT[VERDICTS[code]] for code in run.verdict)


GRADES = {
    "words": (["CORRECT", "incorrect", "NOT_ATTEMPTED", "not attempted", "error"], "CIAAU"),
    "SimpleQA's letters": (["A", "B", "C"], "CIA"),
    "Inspect's letters": (["C", "I", "P", "N"], "CIIA"),
    "numbers": ([1, 0, 0.5, 1.0, float("nan")], "CIICU"),
    "right, abstained, wrong": ([1, 0, -1], "CAI"),
    "truth values": ([True, False, None], "CIU"),
    "negations": (["correct", "not correct"], "CI"),
    "unknown": (["correct", "perhaps", ["correct"], {}], "CUUU"),
    "letters of both kinds": (["A", "N", "CORRECT"], "UUC"),
}


@pytest.mark.parametrize("kind", GRADES)
def test_grades(tmp_path: Path, kind: str) -> None:
    grades, expected = GRADES[kind]
    (run,), _ = read(tmp_path, [{"id": n, "grade": grade} for n, grade in enumerate(grades)])
    assert verdicts(run) == expected


def test_only_c_is_nobodys_guess(tmp_path: Path) -> None:
    (run,), collector = read(tmp_path, [{"id": 1, "grade": "C"}])
    assert verdicts(run) == "U" and "NOT_ATTEMPTED, or Inspect's CORRECT" in str(
        next(iter(collector.problems.found.values()))
    )
    (run,), _ = read(tmp_path, [{"id": 1, "grade_letter": "C"}])
    assert verdicts(run) == "A"


def test_two_grades_only_are_split_by_the_answers(tmp_path: Path) -> None:
    rows = [
        {"id": n, "is_correct": n == 0, "response": text} for n, text in enumerate(("Lima", "Quito", "I don't know"))
    ]
    (run,), collector = read(tmp_path, rows)
    assert verdicts(run) == "CIA" and collector.problems.notes[-1].endswith("so abstained: 1")
    (blind,), collector = read(tmp_path, [{"id": row["id"], "is_correct": row["is_correct"]} for row in rows])
    assert verdicts(blind) == "CII" and "no text that would tell" in collector.problems.notes[-1]


def test_three_grades_are_believed(tmp_path: Path) -> None:
    rows = [{"id": 1, "grade": "INCORRECT", "response": "I don't know"}, {"id": 2, "grade": "NOT_ATTEMPTED"}]
    (run,), _ = read(tmp_path, rows)
    assert verdicts(run) == "IA"


def test_answers_without_grades_are_graded_where_gold_is_there(tmp_path: Path) -> None:
    rows = [
        {"id": 1, "gold_answer": "Lima", "llm_answer": "It is Lima."},
        {"id": 2, "gold_answer": ["Lima"], "llm_answer": "Quito"},
        {"id": 3, "gold_answer": "['Lima', 'Ciudad de los Reyes']", "llm_answer": "I don't know"},
        {"id": 4, "gold_answer": None, "llm_answer": "Lima"},
        {"id": 5, "gold_answer": "Lima"},
    ]
    (run,), collector = read(tmp_path, rows)
    assert verdicts(run) == "CIAUU"
    problem = collector.problems.found[str(run.source), "ungradable"]
    assert problem.count == 2 and str(problem).startswith(f"{run.source}:4: no grade, and no gold")


def test_regrade_replaces_the_logs_grades(tmp_path: Path) -> None:
    rows = [{"id": 1, "gold": "4", "answer": "4.0", "is_correct": False}, {"id": 2, "answer": "x", "is_correct": True}]
    (run,), _ = read(tmp_path, rows, regrade=True, grader="numeric")
    assert verdicts(run) == "CC"


def test_one_column_for_each_outcome(tmp_path: Path) -> None:
    text = "id,correct,incorrect,not_attempted\na,1,0,0\nb,0,1,0\nc,0,0,1\nd,0,0,0\n"
    (run,), collector = read(tmp_path, text, "log.csv")
    assert verdicts(run) == "CIAU"
    (problem,) = collector.problems.found.values()
    assert str(problem).startswith(f"{run.source}:5: none of correct, incorrect, not_attempted is 1; counted as ung")


def test_pass_mark_and_metric(tmp_path: Path) -> None:
    rows = [{"id": n, "f1": score, "em": 0} for n, score in enumerate((0.2, 0.8, 7))]
    assert verdicts(read(tmp_path, rows, metric="f1", pass_mark=0.5)[0][0]) == "ICC"
    assert verdicts(read(tmp_path, rows, columns={"grade": "f1"})[0][0]) == "IIU"


def test_columns_are_named_by_the_user_or_refused(tmp_path: Path) -> None:
    rows = [{"nr": 5, "ok": "yes", "p": "85%"}]
    (run,), _ = read(tmp_path, rows, columns={"grade": "ok", "confidence": "p", "id": "nr"})
    assert verdicts(run) == "C" and run.confidence.tolist() == [0.85] and run.level == 2
    with pytest.raises(ValueError, match=r"no column 'okk' for the grade. Did you mean 'ok'"):
        read(tmp_path, rows, columns={"grade": "okk"})
    with pytest.raises(ValueError, match=r"no column has the role 'grades'. Did you mean 'grade'"):
        read(tmp_path, rows, columns={"grades": "ok"})
    with pytest.raises(ValueError, match=r"no column with grades.*--column grade=NAME"):
        read(tmp_path, rows)


def test_target_is_a_target_or_gold(tmp_path: Path) -> None:
    stated = [{"id": 1, "target": t, "verdict": "CORRECT", "gold": ["x"]} for t in (0.0, 0.5)]
    assert read(tmp_path, stated)[0][0].level == 3
    gold = [{"id": 1, "target": "0.5", "verdict": "CORRECT"}, {"id": 2, "target": "Lima", "verdict": "CORRECT"}]
    assert read(tmp_path, gold)[0][0].level == 1
    number = [{"id": 1, "target": 0, "prediction": 0, "is_correct": True}]
    assert read(tmp_path, number)[0][0].level == 1


def test_targets_are_read_from_prompts(tmp_path: Path) -> None:
    from abstain.rewards.prompts import prompt_text

    rows = [{"id": "q", "prompt": prompt_text("Who?", t), "verdict": "CORRECT"} for t in (0.0, 0.5, 0.75)]
    (run,), _ = read(tmp_path, rows)
    assert run.level == 3 and run.targets == [0.0, 0.5, 0.75]


@pytest.mark.parametrize("name", ["log.json", "log.csv", "log.tsv", "log.parquet", "wrapped.json"])
def test_every_plain_format(tmp_path: Path, name: str) -> None:
    rows = [{"id": "a", "grade": "A", "confidence": 0.9}, {"id": "b", "grade": "C", "confidence": 0.2}]
    if name.endswith("parquet"):
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
        (run,) = Collector().read(tmp_path / name)
    else:
        gap = "\t" if name.endswith("tsv") else ","
        table = "\n".join([gap.join(rows[0]), *(gap.join(map(str, row.values())) for row in rows)])
        document = json.dumps({"summary": {"n": 2}, "results": rows} if name == "wrapped.json" else rows, indent=1)
        (run,), _ = read(tmp_path, document if name.endswith("json") else table, name)
    assert verdicts(run) == "CA" and run.confidence.tolist() == [0.9, 0.2]


def test_bad_csv_rows_are_named(tmp_path: Path) -> None:
    text = 'id,grade\na,1\nb,1,9\n"c\nd",0\ne\n'
    (run,), collector = read(tmp_path, text, "log.csv")
    assert verdicts(run) == "CI"
    problem = collector.problems.found[str(run.source), "cells"]
    assert problem.count == 2 and str(problem).startswith(f"{run.source}:3: 3 cells where the header has 2")


def test_a_cell_beyond_the_limit_is_named_and_the_rest_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FIELD_LIMIT", 100)
    monkeypatch.setattr(files, "BLOCK", 64)  # longer cells are not for the fast reader
    text = "id,grade\na,1\n" + "x" * 500 + ",1\nb,0\n"
    (run,), collector = read(tmp_path, text, "log.csv")
    assert verdicts(run) == "CI" and f"{run.source}:3: field larger" in str(
        collector.problems.found[str(run.source), "not CSV"]
    )


def test_tables_of_results(tmp_path: Path) -> None:
    text = "Model,Not attempted,Correct,Incorrect\nm1,52 %,22 %,26 %\nm2,1,24,75\nm3,,x,\n"
    (m1, m2), collector = read(tmp_path, text, "table.csv")
    assert m1.summary and m1.summary.n is None and m1.summary.shares == pytest.approx((0.22, 0.26, 0.52, 0))
    assert m2.summary and m2.summary.shares == pytest.approx((0.24, 0.75, 0.01, 0)) and m2.label == ""
    assert collector.problems.skipped == 1
    counts = json.dumps([{"model": "m", "correct": 30, "wrong": 50, "abstained": 320}])
    assert read(tmp_path, counts, "t.json")[0][0].summary.n == 400  # type: ignore[union-attr]
    shares = "model,accuracy,error,n\nm,0.5,0.2,200\n"
    summary = read(tmp_path, shares, "t.csv")[0][0].summary
    assert summary and summary.n == 200 and summary.shares == pytest.approx((0.5, 0.2, 0.3, 0))
