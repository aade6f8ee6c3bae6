"""Plain logs are understood from all of their rows: no order, no block and no neighbour changes what a row means."""

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals import files
from abstain.evals.files import csv_line
from abstain.evals.logs import plain
from abstain.evals.logs.batch import Options, Problems
from abstain.evals.logs.grades import VERDICTS
from abstain.evals.logs.numbers import as_probabilities, id_texts, to_numbers
from abstain.evals.rescore.collect import Collector, Questions
from abstain.evals.rescore.grading import Grading
from abstain.evals.rescore.rescoring import rescore
from abstain.evals.rescore.runs import Run

SHORT = {"CORRECT": "C", "INCORRECT": "I", "ABSTAINED": "A", "UNGRADED": "U"}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows in the format that the file's name asks for."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".csv":
        text = io.StringIO()
        table = csv.DictWriter(text, names, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
        path.write_text(text.getvalue())
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def read(path: Path, **options: Any) -> tuple[list[Run], Collector]:
    grading = Grading(regrade=options.pop("regrade", False))
    collector = Collector(Options(**options), grading)
    return collector.read(path), collector


def verdicts(run: Run) -> str:
    return "".join(SHORT[VERDICTS[code]] for code in run.verdict)


def told(collector: Collector) -> str:
    return "\n".join([*map(str, collector.problems.found.values()), *collector.problems.notes])


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some rows at a time only, so that files of some dozen rows have many blocks."""
    monkeypatch.setattr(files, "BLOCK", 256)
    monkeypatch.setattr(files, "ROWS", 4)
    monkeypatch.setattr(files.parquet_blocks, "__defaults__", (None, 4))
    monkeypatch.setattr(files.json_lines, "__defaults__", (256,))


GRADES = {
    "words": ["CORRECT"] * 12 + ["INCORRECT"] * 12 + ["NOT_ATTEMPTED"],
    "words without abstentions": ["correct"] * 12 + ["incorrect"] * 12,
    "1, 0, -1": [1] * 12 + [0] * 12 + [-1],
    "SimpleQA's letters": ["A"] * 12 + ["C"] * 12 + ["B"],
    "Inspect's letters": ["C"] * 12 + ["I"] * 12 + ["N"],
}
RIGHT = {
    "words": {"C": 12, "I": 12, "A": 1},
    "words without abstentions": {"C": 12, "I": 6, "A": 6},
    "1, 0, -1": {"C": 12, "A": 12, "I": 1},
    "SimpleQA's letters": {"C": 12, "A": 12, "I": 1},
    "Inspect's letters": {"C": 12, "I": 6, "A": 7},
}


@pytest.mark.parametrize("name", ["log.jsonl", "log.csv", "log.parquet"])
@pytest.mark.parametrize("kind", GRADES)
def test_grades_mean_the_same_in_every_order(tmp_path: Path, small_blocks: None, kind: str, name: str) -> None:
    rows = [
        {"id": n, "grade": grade, "response": "I don't know" if n % 2 else "Quito"}
        for n, grade in enumerate(GRADES[kind])
    ]
    for seed in range(4):
        random.Random(seed).shuffle(rows)
        (run,), _ = read(write(tmp_path / name, rows if seed else sorted(rows, key=lambda row: row["id"])))
        found = verdicts(run)
        assert {letter: found.count(letter) for letter in set(found)} == RIGHT[kind]


@settings(max_examples=30, deadline=None)
@given(st.permutations([*range(14)]), st.sampled_from(["log.jsonl", "log.csv"]))
def test_no_order_of_rows_changes_a_number(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], name: str
) -> None:
    grades = ["CORRECT"] * 6 + ["incorrect", "no", "", "UNGRADED", "N", "I", "C", "partial"]
    rows = [
        {"id": n, "grade": grade, "confidence": ["0.5", "85", "100%", ""][n % 4]} for n, grade in enumerate(grades)
    ]
    folder = tmp_path_factory.mktemp("order")
    (first,), _ = read(write(folder / name, rows))
    (again,), _ = read(write(folder / name, [rows[n] for n in order]))
    assert [verdicts(first)[n] for n in order] == list(verdicts(again))
    assert np.array_equal(first.confidence[order], again.confidence, equal_nan=True)


def test_a_column_that_comes_late_is_a_column(tmp_path: Path, small_blocks: None) -> None:
    rows = [{"id": n, "is_correct": True} for n in range(40)]
    rows += [{"id": n, "is_correct": True, "confidence": 0.75, "model": "late"} for n in range(40, 50)]
    (first, late), _ = read(write(tmp_path / "log.jsonl", rows))
    assert np.isnan(first.confidence).all() and (late.confidence == 0.75).all() and len(late.verdict) == 10


SCALES = {
    "one in per cent says so": (["100%", 85, 90], [1, 0.85, 0.9]),
    "a probability and per cent": (["85%", 0.4, 1], [0.85, 0.4, 1]),
    "none is whole": ([85.5, 0.5, 100], [0.855, 0.5, 1]),
    "words": (["high", 85, None], [None, 0.85, None]),
    "not in per cent": ([1, 0, 1], [1, 0, 1]),
}


@pytest.mark.parametrize("name", ["log.jsonl", "log.csv"])
@pytest.mark.parametrize("kind", SCALES)
def test_the_scale_of_confidence(tmp_path: Path, kind: str, name: str) -> None:
    given_as, expected = SCALES[kind]
    rows = [{"id": n, "is_correct": True, "confidence": value} for n, value in enumerate(given_as)]
    (run,), _ = read(write(tmp_path / name, rows))
    assert [None if np.isnan(q) else round(q, 6) for q in run.confidence] == expected


def test_each_model_has_its_own_scale(tmp_path: Path) -> None:
    rows = [{"id": n, "model": "fine", "is_correct": True, "confidence": q} for n, q in enumerate((1, 0, 1))]
    rows += [{"id": n, "model": "coarse", "is_correct": True, "confidence": q} for n, q in enumerate((90, 1, 95))]
    (fine, coarse), collector = read(write(tmp_path / "log.jsonl", rows))
    assert fine.confidence.tolist() == [1, 0, 1] and coarse.confidence.tolist() == [0.9, 0.01, 0.95]
    assert "confidence of coarse is read as percentages" in told(collector)


def test_what_an_answer_states_is_no_part_of_the_columns_scale(tmp_path: Path) -> None:
    rows = [
        {"id": 0, "is_correct": True, "confidence": 85, "response": "Lima"},
        {"id": 1, "is_correct": True, "confidence": None, "response": "Lima. Confidence: 100%"},
        {"id": 2, "is_correct": True, "confidence": "", "response": "Lima. Confidence: 70%"},
    ]
    (run,), _ = read(write(tmp_path / "log.jsonl", rows))
    assert run.confidence == pytest.approx([0.85, 1, 0.7])


@given(st.lists(st.none() | st.floats() | st.integers(-(2**70), 2**70) | st.booleans() | st.text(max_size=5)))
def test_numbers_are_the_same_one_by_one(values: list[Any]) -> None:
    together, apart = to_numbers(values), [to_numbers([value]) for value in values]
    assert np.array_equal(together.values, np.array([one.values[0] for one in apart]), equal_nan=True)
    assert together.sure.tolist() == [one.sure[0] for one in apart]
    q, bad, _ = as_probabilities(together)
    assert ((q >= 0) & (q <= 1) | np.isnan(q)).all() and np.isnan(q[bad]).all()
    assert [value is None for value in id_texts(values).to_pylist()] == [value is None for value in values]


TARGETS: dict[str, tuple[list[dict[str, Any]], int]] = {
    "golds are numbers, and so are the answers": (
        [{"problem": f"P of {n}?", "target": n / 60, "predicted_answer": n / 60, "grade": "A"} for n in range(1, 31)],
        1,
    ),
    "targets, beside a gold": (
        [{"id": n, "target": 0.5, "gold": "x", "prediction": 0.5, "correct": 1} for n in range(3)],
        3,
    ),
    "targets, since the answers are words": ([{"id": 1, "target": 0.5, "response": "Lima", "grade": "A"}], 3),
    "targets, since there are few": ([{"id": n, "target": n % 4 / 4, "grade": "A"} for n in range(40)], 3),
    "golds of a log without answers": ([{"id": n, "target": n / 99, "grade": "A"} for n in range(99)], 1),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_a_column_of_numbers_called_target(tmp_path: Path, kind: str) -> None:
    rows, level = TARGETS[kind]
    (run,), collector = read(write(tmp_path / "log.csv", rows))
    assert run.level == level
    if "answers" in kind and level == 1 and "without" not in kind:
        assert "column 'target' is read as gold answers, not as targets" in told(collector)
        (stated,), _ = read(tmp_path / "log.csv", columns={"target": "target"})
        assert stated.level == 3


@pytest.mark.parametrize("missing", [None, ""])
def test_rows_without_an_id_are_questions_of_their_own(tmp_path: Path, missing: Any) -> None:
    rows = [{"id": id, "is_correct": n == 0} for n, id in enumerate((2, missing, 3, missing))]
    (run,), collector = read(write(tmp_path / "log.jsonl", rows))
    assert verdicts(run) == "CIII" and len(set(run.question.tolist())) == 4
    assert "rows without an id, each taken for a question of its own: 2" in told(collector)


def test_ids_are_the_same_in_all_files_and_none_is_shared_by_chance(tmp_path: Path) -> None:
    collector = Collector()
    rows = [{"id": id, "is_correct": True} for id in (7, "x", None)]
    (one,) = collector.read(write(tmp_path / "a.jsonl", rows))
    (other,) = collector.read(write(tmp_path / "b.jsonl", [{"id": "new", "is_correct": True}, *rows[::-1]]))
    assert other.question.tolist()[2:] == one.question.tolist()[1::-1]
    assert not set(one.question.tolist()) & set(other.question.tolist()[:2])


def test_our_own_records_of_repeated_answers_are_repeats_again(tmp_path: Path) -> None:
    asked = [{"id": n, "epoch": epoch, "is_correct": (n + epoch) % 3 > 0} for n in range(10) for epoch in range(4)]
    first = rescore([write(tmp_path / "log.jsonl", asked)], [0.5], collector=Collector(keep_texts=True))
    first.save(tmp_path / "out")
    again = rescore([tmp_path / "out" / "records.jsonl"], [0.5])
    assert first.metrics[0]["n"] == again.metrics[0]["n"] == 10
    assert again.metrics[0]["by_target"][0]["score_ci"] == first.metrics[0]["by_target"][0]["score_ci"]


def test_an_id_that_only_looks_numbered_stays_as_it_is(tmp_path: Path) -> None:
    record = {"task": "t", "question": "?", "gold": ["x"], "target": 0, "prompt": "", "completion": "x", "answer": "x"}
    rows = [record | {"id": id, "verdict": "CORRECT", "confidence": None} for id in ("C#2", "F", "F#2", "G#02")]
    (run,), _ = read(write(tmp_path / "records.jsonl", rows))
    assert len(set(run.question.tolist())) == 3 and run.repeat.tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("aliases", [["Ciudad de los Reyes"], '["Ciudad de los Reyes"]'])
def test_a_column_of_aliases_is_gold_too(tmp_path: Path, aliases: Any) -> None:
    rows = [
        {"id": 0, "gold": "Lima", "aliases": aliases, "response": "Ciudad de los Reyes"},
        {"id": 1, "gold": "Lima", "aliases": None, "response": "Ciudad de los Reyes"},
    ]
    (run,), collector = read(write(tmp_path / "log.jsonl", rows))
    assert verdicts(run) == "CI" and "answers without a grade" in told(collector)


def test_a_grade_that_cannot_be_read_is_ungraded_and_counted(tmp_path: Path) -> None:
    rows = [
        {"id": n, "grade": grade, "gold": "Lima", "response": "Lima"}
        for n, grade in enumerate(("CORRECT", "banana", "banana", 7, "incorrect"))
    ]
    path = write(tmp_path / "log.jsonl", rows)
    (run,), collector = read(path)
    assert verdicts(run) == "CUUUI" and "graded here" not in told(collector)
    problem = collector.problems.found[str(path), "unreadable grade"]
    assert problem.count == 3 and str(problem).startswith(f"{path}:2: 'banana' is no grade; counted as ungraded")
    (regraded,), _ = read(path, regrade=True)
    assert verdicts(regraded) == "CCCCC"


def test_nothing_graded_is_a_sentence_and_no_table(tmp_path: Path) -> None:
    rows = [{"id": n, "model": "m", "grade": "UNGRADED"} for n in range(3)]
    path = write(tmp_path / "log.jsonl", rows)
    with pytest.raises(
        ValueError, match=r"not one of the 3 answers of m is graded: there is nothing to score.*--judge"
    ):
        rescore([path])
    path = write(path, [*rows, {"id": 0, "model": "other", "grade": "CORRECT"}])
    found = rescore([path])
    assert [one["model"] for one in found.metrics] == ["other"] and "3 answers of m" in str(found.problems[0])


# CSV: the fast reader and the careful one.


CELLS = st.text(st.sampled_from("ab1,;\"\n\r 'é"), max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CELLS, st.sampled_from(["1", "0", ""]), CELLS), min_size=1, max_size=8))
def test_the_fast_reader_reads_what_the_careful_one_does(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "log.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "grade", "response"), *rows])
    blocks = [
        [(places.tolist(), {name: plain._listed(values) for name, values in columns.items()})]
        for read in (plain._plain_csv, plain._csv)
        for places, columns in read(path, lambda name: True, Problems().add)
        if len(places)
    ]
    assert len(blocks) == 2
    (fast,), (careful,) = blocks
    assert fast[1] == careful[1]
    assert [csv_line(path, row) for row in fast[0]] == careful[0]


@pytest.mark.parametrize(
    "text",
    [
        "id,grade\na,1\nb,1,9\nc,0\n",  # a cell too many
        "id,grade,grade\na,1,1\nc,0,0\n",  # a name twice
        'id,grade\na,1\n"c,0\n',  # a quote that is never closed
        "id,,grade\na,,1\nc,,0\n",  # a column without a name
    ],
)
def test_what_the_fast_reader_cannot_read_the_careful_one_does(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises((ValueError, pa.ArrowException)):
        list(plain._plain_csv(path, lambda name: True, Problems().add))
    (run,), _ = read(path)
    assert verdicts(run)[0] == "C" and len(run.verdict) <= 3


@pytest.mark.parametrize("before", [0, 2_000])  # in the head of the file, and behind all that is looked at first
@pytest.mark.parametrize("column", ["note", "question"])
def test_bytes_that_are_no_text_do_not_end_a_csv_file(tmp_path: Path, column: str, before: int) -> None:
    path = tmp_path / "log.csv"
    rows = b"".join(b"q%d,?,Lima,Lima\n" % n for n in range(before))
    path.write_bytes(f"id,{column},gold,response\n".encode() + rows + b"a,caf\xe9,Lima,Lima\nb,x,Lima,Quito\n")
    (run,), _ = read(path)
    assert verdicts(run) == "C" * before + "CI"


@pytest.mark.parametrize("text", ["é" * 200, "x" * 127 + "é", "x" * 128 + "é" + "x" * 300])
def test_letters_over_the_edge_of_a_block_are_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(files, "BLOCK", 128 * 8)
    path = tmp_path / "log.csv"
    path.write_text(text)
    files._check_text(path)
    path.write_bytes(text.encode()[:-1] if text.endswith("é") else text.encode() + b"\xc3")
    with pytest.raises(UnicodeDecodeError):
        files._check_text(path)


def test_a_file_that_grows_while_it_is_read_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "log.jsonl", [{"id": n, "is_correct": False, "response": "x"} for n in range(3)])
    plan = plain._plan

    def grow(*args: Any) -> Any:
        with path.open("a") as file:
            file.write('{"id": 9, "is_correct": true, "response": "x"}\n')
        return plan(*args)

    monkeypatch.setattr(plain, "_plan", grow)
    with pytest.raises(ValueError, match="changed while it was read"):
        Collector().read(path)


def test_one_hot_rows_of_a_model_are_answers_and_no_table(tmp_path: Path) -> None:
    rows = [{"model": "m", "correct": n % 2, "incorrect": 1 - n % 2} for n in range(6)]
    (run,), _ = read(write(tmp_path / "log.csv", rows))
    assert run.summary is None and verdicts(run) == "ICICIC"


@pytest.mark.parametrize("name", ["log.jsonl", "log.csv"])
def test_of_several_columns_for_a_role_the_first_that_holds_anything_counts(tmp_path: Path, name: str) -> None:
    empty = {"grade": None, "confidence": None, "id": None, "response": None}
    rows = [empty | {"score": 1, "p_true": 0.5, "question_id": f"q{n}", "output": "Lima"} for n in range(3)]
    (run,), collector = read(write(tmp_path / name, rows))
    assert verdicts(run) == "CCC" and run.confidence.tolist() == [0.5] * 3 and len(set(run.question.tolist())) == 3
    assert "read as grade = score, confidence = p_true, completion = output, id = question_id" in told(collector)


@given(st.lists(st.none() | st.text(max_size=20), min_size=1), st.integers(0, 3))
def test_ids_have_the_same_number_if_and_only_if_they_are_the_same(ids: list[str | None], start: int) -> None:
    texts = [text.encode("utf-8", "backslashreplace").decode() if text else text for text in ids]
    array = pa.array(["", None, "x" * 9, *texts], pa.string())[start:]
    numbers = dict(zip(array.to_pylist(), Questions().number(array).tolist(), strict=True))
    named = {text: number for text, number in numbers.items() if text}
    assert len(set(named.values())) == len(named) and all(number > 0 for number in named.values())
    assert (Questions().number(array[::-1].take(pa.array([0]))) == numbers[array[-1].as_py()]).all() or not array[
        -1
    ].as_py()
    assert all(number < 0 for text, number in numbers.items() if not text)


@pytest.mark.parametrize("long", [lambda n: f"{n:040d}", lambda n: f"{n}" * 9, lambda n: "é" * (n % 300) + f"{n:09d}"])
def test_long_ids_that_are_alike_are_told_apart(long: Any) -> None:
    ids = [long(n) for n in range(20_000)]
    assert len(set(Questions().number(pa.array(ids)).tolist())) == len(set(ids)) == 20_000


NAMES = ("id", "grade", "verdict", "confidence", "target", "response", "gold", "aliases", "model", "epoch", "correct")
ODD = st.sampled_from(
    [
        None,
        True,
        10**400,
        -1,
        0.5,
        float("nan"),
        "",
        "NaN",
        "100%",
        "\0",
        "banana",
        "C",
        [1, [2]],
        {"a": {}},
        2**63,
        "CORRECT",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), ODD), min_size=1, max_size=8), st.booleans())
def test_no_row_is_too_odd(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], keep_texts: bool
) -> None:
    """All rows but those that are counted, or one sentence."""
    path = write(tmp_path_factory.mktemp("odd") / "log.jsonl", rows)
    collector = Collector(keep_texts=keep_texts)
    try:
        runs = collector.read(path)
        assert rescore([path]).render()
    except ValueError:
        return
    read_rows = sum(len(run.verdict) for run in runs)
    assert any(run.summary for run in runs) or read_rows + collector.problems.skipped == len(rows)


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", [{"id": f"q{n}", "is_correct": n % 2} for n in range(200)])
    data = bytearray(path.read_bytes())
    data[20:60] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"log.parquet: not a Parquet file that can be read"):
        read(path)
