"""Somebody's file becomes a task, or an error that says where it is wrong."""

import csv
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.tasks.columns import answers_of, parse_literal
from abstain.evals.tasks.presets import PRESETS
from abstain.evals.tasks.qa import load_qa
from abstain.evals.tasks.splits import check_overlap
from abstain.rewards.grading import UNANSWERABLE

ROWS = [{"question": f"What is the capital of C{i}?", "answers": [f"T{i}", f"Town {i}"]} for i in range(10)]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


WRITERS: dict[str, Callable[[Path], Any]] = {
    ".jsonl": lambda path: write_jsonl(path, ROWS),
    ".ndjson": lambda path: write_jsonl(path, ROWS),
    ".json": lambda path: path.write_text(json.dumps(ROWS)),
    ".csv": lambda path: write_csv(path, ROWS),
    ".tsv": lambda path: write_csv(path, ROWS, "\t"),
    ".parquet": lambda path: pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_every_format_gives_the_same_questions(tmp_path: Path, ending: str) -> None:
    WRITERS[ending](path := tmp_path / f"towns{ending}")
    task = load_qa(data=path, held_out=0.5)
    assert len(task.train) == len(task.held_out) == 5
    together = {question.id: question for question in task.train + task.held_out}
    assert together["towns-3"].question == "What is the capital of C2?"
    assert together["towns-3"].gold == ("T2", "Town 2")
    assert task.name == "qa" and task.grader == "match"


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (json.dumps({"name": "SelfAware", "keywords": ["x"], "example": ROWS}), "towns-1"),
        (json.dumps({"dev": ROWS}), "towns-dev-1"),
        ("\n".join(map(json.dumps, ROWS)), "towns-1"),
        ("\ufeff" + json.dumps(ROWS), "towns-1"),
    ],
)
def test_json_with_the_rows_inside(tmp_path: Path, text: str, inside: str) -> None:
    path = tmp_path / "towns.json"
    path.write_text(text, encoding="utf-8")
    assert load_qa(data=path, held_out=1.0).held_out[0].id == inside


@pytest.mark.parametrize(
    "columns", ["problem/answer", "Query/Golden Answers", "prompt/gold", "input/output", "Question/best-answer"]
)
def test_columns_are_guessed(tmp_path: Path, columns: str) -> None:
    question, answers = columns.split("/")
    path = write_csv(tmp_path / "x.csv", [{"n": "1", question: "Who?", answers: "Poe"}])
    (found,) = load_qa(data=path, held_out=1.0).held_out
    assert (found.question, found.gold) == ("Who?", ("Poe",))


def test_named_columns_ids_subjects_and_popularity(tmp_path: Path) -> None:
    row = {"key": 7, "ask": "Who?", "say": "A|B", "answer": "C", "about": {"who": "Poe"}, "popularity": 12}
    path = write_jsonl(tmp_path / "x.jsonl", [row])
    named = {"question_column": "ask", "answers_column": "say", "id_column": "key", "subject_column": "about.who"}
    (found,) = load_qa(data=path, held_out=1.0, separator="|", **named).held_out
    assert (found.id, found.question, found.gold, found.subject) == ("7", "Who?", ("A", "B"), "Poe")
    assert found.metadata == {"popularity": 12}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"question_column": "questoin"}, r"no column 'questoin' \(question_column\). Did you mean 'question'\?"),
        ({"answers_column": "gold"}, r"no column 'gold' .*Allowed: answers, question"),
        ({"subject_column": "x"}, r"towns.jsonl:1: no column 'x' \(subject_column\)"),
        ({"grader": "exakt"}, r"no grader is called 'exakt'. Did you mean 'exact'"),
        ({"preset": "popq"}, r"unknown preset 'popq'. Did you mean 'popqa'"),
        ({"held_out": 20}, r"held_out=20 must be a share"),
        ({"limit": 0}, r"limit=0 must be a whole number"),
        ({"split": "test"}, r"no split 'test'. It has no splits"),
        ({"test_data": "other.jsonl"}, r"but not both"),
    ],
)
def test_wrong_options_say_what_is_right(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = write_jsonl(tmp_path / "towns.jsonl", ROWS)
    with pytest.raises(ValueError, match=message):
        load_qa(data=path, **options)


def test_a_semicolon_file_of_odd_headers_is_read_and_what_was_guessed_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "fragen.csv"
    lines = [
        '1;Wer schrieb "Emma", 1815?;"Austen; Jane Austen"',
        "2;Wo liegt Rom?;Italien",
        '3;Was ist Al?;"Alu; Aluminium"',
    ]
    path.write_text("\n".join(["\ufeffNr;Frage;Antworten", *lines]), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        task = load_qa(data=path, held_out=1.0)
    assert [question.gold for question in task.held_out] == [
        ("Austen", "Jane Austen"),
        ("Italien",),
        ("Alu", "Aluminium"),
    ]
    assert "fragen: question_column='Frage', answers_column='Antworten', by what stands there" in caplog.text
    assert "2 cells hold several answers, separated by '; '" in caplog.text
    caplog.clear()
    said = {"question_column": "Frage", "answers_column": "Antworten", "separator": ""}
    task = load_qa(data=path, held_out=1.0, **said)
    assert task.held_out[0].gold == ("Austen; Jane Austen",) and not caplog.records


def test_a_limit_that_cannot_be_met_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", ROWS)
    with caplog.at_level(logging.WARNING):
        assert len(load_qa(data=path, held_out=0.2, limit=8).held_out) == 2
    assert caplog.messages == [
        "qa: limit=8 gives 2 questions: there are no more held out (of 10 questions, 2 are held out)"
    ]
    caplog.clear()
    load_qa(data=path, held_out=0.2, train_limit=20)
    (message,) = caplog.messages
    assert (
        message
        == "qa: train_limit=20 gives 8 questions: there are no more to train on (of 10 questions, 2 are held out)"
    )


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("question,answer,answer\nWho?,a,b\n")
    with pytest.raises(ValueError, match=r"x.csv:1: two columns are called 'answer'; rename one of them"):
        load_qa(data=path)


def test_no_guess_fits(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", [{"left": "Who", "right": "Poe"}])
    with pytest.raises(ValueError, match=r"x.jsonl:1: no question column.*question_column=.*Allowed: left, right"):
        load_qa(data=path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.jsonl", '{"question": "Who?", "answer": "a"}\n\n{"question": ', r"x.jsonl:3: not JSON"),
        ("x.jsonl", '["Who?", "a"]', r"x.jsonl:1: a row must be a JSON object"),
        ("x.jsonl", '{"question": "Who?", "answer": ' + "[" * 100_000 + "}", r"x.jsonl:1: not JSON"),
        ("x.json", '[{"question": "Who?",\n "answer" "a"}]', r"x.json:2: not JSON"),
        ("x.json", '{"a": [1, 2]}', r"holds no list of objects"),
        ("x.csv", "question,answer\nWho?,a\nWhat?,b,c\n", r"x.csv:3: more fields"),
        ("x.csv", 'question,answer\nWho?,"a\nWhat?,b\n', r"x.csv:2: unexpected end of .*row that begins here"),
        ("x.csv", "question,answer\n", r"holds no rows"),
        ("x.txt", "Who? a", r"unknown ending '.txt'. Allowed: .csv"),
        ("x.parquet", "PAR1 no", r"x.parquet: not a Parquet file"),
    ],
)
def test_unreadable_files_name_the_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_qa(data=path)


def test_lines_and_numbers_are_exact(tmp_path: Path) -> None:
    """A row is named by the line it ends in, and no digit of a long number is lost."""
    path = tmp_path / "x.csv"
    path.write_text('question,answer\n"Who\nwas it?",a\n\n"What\nis\nit?",\n')
    with pytest.raises(ValueError, match=r"1 bad rows: .*x.csv:7: .* no gold answer"):
        load_qa(data=path)
    path = write_jsonl(tmp_path / "x.jsonl", [{"question": "How many?", "answers": 123456789012345678901}, *ROWS])
    assert ("123456789012345678901",) in [q.gold for q in load_qa(data=path, held_out=1.0).held_out]


def test_latin_1_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes("question,answer\nWho?,José\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"x.csv: not UTF-8"):
        load_qa(data=path)


def test_bad_rows_are_counted_named_and_skipped_on_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = [{"question": "Who?", "answers": []}, {"question": " ", "answers": ["a"]}, {"question": 3, "answers": ["a"]}]
    path = write_jsonl(tmp_path / "x.jsonl", [*ROWS, *bad])
    with pytest.raises(ValueError, match=r"3 bad rows: .*x.jsonl:11: column 'answers': no gold answer; .*x.jsonl:12"):
        load_qa(data=path)
    with caplog.at_level(logging.WARNING):
        assert len(load_qa(data=path, held_out=1.0, skip_bad_rows=True).held_out) == 10
    assert "3 bad rows left out" in caplog.text
    with pytest.raises(ValueError, match="every row is bad"):
        load_qa(data=write_jsonl(tmp_path / "y.jsonl", bad), skip_bad_rows=True)


def test_one_id_for_two_questions_names_both_lines(tmp_path: Path) -> None:
    rows = [{"id": 5, "question": "Who?", "answer": "a"}, {"id": 6, "question": "Why?", "answer": "b"}]
    path = write_jsonl(tmp_path / "x.jsonl", [*rows, {"id": 5, "question": "When?", "answer": "c"}])
    with pytest.raises(ValueError, match=r"two questions have the id '5': .*x.jsonl:1 and .*x.jsonl:3"):
        load_qa(data=path)
    path = write_jsonl(tmp_path / "y.jsonl", [*rows, rows[0]])
    assert [question.id for question in load_qa(data=path, held_out=1.0).held_out] == ["5", "6"]


def test_a_question_asked_twice_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"question": "Who?", "answer": "a"}, {"question": "who", "answer": "b"}]
    with caplog.at_level(logging.WARNING):
        task = load_qa(data=write_jsonl(tmp_path / "x.jsonl", rows), held_out=1.0)
    assert len(task.held_out) == 2
    assert "qa: 1 questions are asked more than once (1 of them with other answers), such as 'Who?'" in caplog.text


def test_overlapping_files_lose_training_rows_and_say_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = write_jsonl(tmp_path / "a" / "data.jsonl", ROWS)
    test = write_jsonl(tmp_path / "b" / "data.jsonl", [ROWS[3], {"question": "New?", "answers": ["x"]}])
    with caplog.at_level(logging.WARNING):
        task = load_qa(train_data=train, test_data=test)
    assert (len(task.train), len(task.held_out)) == (9, 2) and not check_overlap(task.train, task.held_out)
    assert "1 training questions share a subject (0) or their text (1)" in caplog.text
    ids = [question.id for question in task.train + task.held_out]
    assert len(set(ids)) == 11 and ids[0] == "train-data-1"


def test_test_data_alone_and_train_data_alone(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", ROWS)
    assert load_qa(test_data=path).train == ()
    with pytest.raises(ValueError, match="train_data needs test_data"):
        load_qa(train_data=path)
    with pytest.raises(ValueError, match="no data: give data="):
        load_qa()


def test_rows_about_one_subject_stay_together(tmp_path: Path) -> None:
    rows = [{"question": f"Q{i}?", "answer": "a", "subject": f"s{i // 4}"} for i in range(40)]
    task = load_qa(data=write_jsonl(tmp_path / "x.jsonl", rows), held_out=0.25)
    assert (len(task.train), len(task.held_out)) == (28, 12)
    assert {q.subject for q in task.train}.isdisjoint(q.subject for q in task.held_out)
    task = load_qa(data=tmp_path / "x.jsonl", held_out=0.25, subject_column="")
    assert len(task.held_out) == 10 and {q.subject for q in task.held_out} == {""}


def test_a_folder_with_splits_and_one_without(tmp_path: Path) -> None:
    for i, name in enumerate(["train.jsonl", "dev.jsonl", "test.jsonl"]):
        write_jsonl(tmp_path / "splits" / name, ROWS[3 * i : 3 * i + 3])
    task = load_qa(data=tmp_path / "splits")
    assert [q.id for q in task.train] == ["train-1", "train-2", "train-3"]
    assert [q.id for q in task.held_out] == ["test-1", "test-2", "test-3"]
    assert len(load_qa(data=tmp_path / "splits", test_split="dev").held_out) == 3
    pooled = load_qa(data=tmp_path / "splits", held_out=0.5)
    assert len(pooled.train) + len(pooled.held_out) == 9
    one = load_qa(data=tmp_path / "splits", split="validation", held_out=1.0)
    assert [q.id for q in one.held_out] == ["dev-1", "dev-2", "dev-3"]
    with pytest.raises(ValueError, match=r"no split 'tests'. Did you mean 'test'"):
        load_qa(data=tmp_path / "splits", test_split="tests")
    write_jsonl(tmp_path / "splits" / "more.jsonl", ROWS[9:])
    assert len(load_qa(data=tmp_path / "splits", held_out=1.0).held_out) == 10
    with pytest.raises(ValueError, match="no file in this folder ends in"):
        (tmp_path / "empty").mkdir()
        load_qa(data=tmp_path / "empty")


def test_several_files_may_name_their_columns_differently(tmp_path: Path) -> None:
    first = write_jsonl(tmp_path / "x.jsonl", [{"question": "Who?", "answer": "a"}])
    second = write_csv(tmp_path / "y.csv", [{"problem": "Why?", "gold": "b"}])
    task = load_qa(data=[first, str(second)], held_out=1.0)
    assert [(q.id, q.gold) for q in task.held_out] == [("x-1", ("a",)), ("y-1", ("b",))]


def test_limits_are_nested_and_repeatable(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "x.jsonl", ROWS)
    few, more = (load_qa(data=path, held_out=0.5, limit=n) for n in (2, 4))
    assert len(few.train) == len(few.held_out) == 2 and len(more.held_out) == 4
    assert {q.id for q in few.held_out} < {q.id for q in more.held_out}
    assert load_qa(data=path, held_out=0.5, limit=2) == few
    assert len(load_qa(data=path, held_out=0.5, limit=2, train_limit=3).train) == 3


def test_columns_that_trl_uses_for_itself_do_no_harm(tmp_path: Path) -> None:
    taken = ["prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric", "environments"]
    row = {"question": "Who?", "answers": ["Poe"]} | {name: {"step": 1} for name in taken}
    (found,) = load_qa(data=write_jsonl(tmp_path / "x.jsonl", [row]), held_out=1.0).held_out
    assert vars(found) == {"id": "x-1", "question": "Who?", "gold": ("Poe",), "subject": "", "metadata": {}}


@pytest.mark.parametrize(
    ("cell", "gold"),
    [
        (["Rome", " Roma ", "Rome", ""], ("Rome", "Roma")),
        ('["Rome", "Roma"]', ("Rome", "Roma")),
        ("['Rome', \"Roma's\"]", ("Rome", "Roma's")),
        ("('Rome', None)", ("Rome",)),
        ("Rome; Roma", ("Rome; Roma",)),
        ("[sic]", ("[sic]",)),
        ("[__import__('os').getcwd()]", ("[__import__('os').getcwd()]",)),
        ({"value": "Rome", "aliases": ["Roma"], "normalized_aliases": ["rome"]}, ("Rome", "Roma")),
        ({"text": ["Rome", "Roma"], "answer_start": [3, 9]}, ("Rome", "Roma")),
        ([["Rome"], ["Roma"]], ("Rome", "Roma")),
        (1972, ("1972",)),
        (1972.0, ("1972",)),
        (0.5, ("0.5",)),
        (float("nan"), ()),
        (None, ()),
        ([], ()),
    ],
)
def test_answer_cells(cell: Any, gold: tuple[str, ...]) -> None:
    assert answers_of(cell) == gold


def test_answer_cells_that_are_refused() -> None:
    for cell in ([b"x"], [[[[[["deep"]]]]]]):
        with pytest.raises(ValueError):
            answers_of(cell)


@given(st.text(max_size=200))
def test_no_text_can_hurt_the_literal_reader(text: str) -> None:
    for wrapped in (text, f"[{text}]", f"{{{text}}}", "[" * 300 + text):
        assert isinstance(parse_literal(wrapped), str | list | dict)


@pytest.mark.parametrize("text", ["[" * 50_000 + "]" * 50_000, "[" + "-" * 90_000 + "1]", "[" + "1+" * 40_000 + "1]"])
def test_hostile_literals_stay_text(text: str) -> None:
    assert parse_literal(text) == text


class FakeHub:
    """Stands in for `datasets.load_dataset` and remembers what it was asked."""

    def __init__(self, splits: dict[str, list[dict[str, Any]]]) -> None:
        self.splits = splits
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> datasets.DatasetDict:
        self.calls.append((args, kwargs))
        return datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name, rows in self.splits.items()})


CAPITAL = {"prop": "capital", "possible_answers": '["a", "b"]'}
HUB_ROWS: dict[str, dict[str, list[dict[str, Any]]]] = {
    "simpleqa": {
        "test": [{"metadata": "{'topic': 'Art', 'answer_type': 'Date'}", "problem": "When?", "answer": "1900"}]
    },
    "simpleqa_verified": {"eval": [{"original_index": 5, "problem": "When?", "answer": "1900", "topic": "Art"}]},
    "triviaqa": {
        split: [{"question_id": f"tc_{i}", "question": f"Q{split}{i}?", "answer": {"value": gold, "aliases": ["A"]}}]
        for i, (split, gold) in enumerate([("train", "a"), ("validation", "b"), ("test", "<unk>")])
    },
    "nq_open": {split: [{"question": f"{split}?", "answer": ["a", "b"]}] for split in ("train", "validation")},
    "popqa": {"test": [{"id": i, "subj": f"S{i}", "s_pop": i, "question": f"Q{i}", **CAPITAL} for i in range(4)]},
    "truthfulqa": {
        "validation": [
            {"question": "Why?", "category": "Law", "correct_answers": ["I have no comment", "Because"]},
            {"question": "Who?", "category": "Law", "correct_answers": ["I have no comment"]},
        ]
    },
    "selfaware": {
        "train": [
            {"question_id": 1, "question": "Who?", "answer": ["Poe"], "answerable": True, "source": "x"},
            {"question_id": 2, "question": "Why us?", "answer": None, "answerable": False, "source": "y"},
        ]
    },
}
EXPECTED = {  # training questions, held-out questions, gold of the last held-out one
    "simpleqa": (0, 1, ("1900",)),
    "simpleqa_verified": (0, 1, ("1900",)),
    "triviaqa": (1, 1, ("b", "A")),
    "nq_open": (1, 1, ("a", "b")),
    "popqa": (2, 2, ("a", "b")),
    "truthfulqa": (1, 1, None),
    "selfaware": (1, 1, None),
}


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_read_the_hub(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub(HUB_ROWS[preset])
    monkeypatch.setattr(datasets, "load_dataset", hub)
    task = load_qa(preset=preset, revision="abc123")
    train, held_out, gold = EXPECTED[preset]
    assert (task.name, len(task.train), len(task.held_out)) == (preset, train, held_out)
    assert gold is None or task.held_out[-1].gold == gold
    assert hub.calls == [((PRESETS[preset].hub, PRESETS[preset].config), {"revision": "abc123"})]


def test_presets_take_metadata_and_what_cannot_be_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for preset in ("simpleqa", "popqa", "truthfulqa", "selfaware"):
        monkeypatch.setattr(datasets, "load_dataset", FakeHub(HUB_ROWS[preset]))
        task = load_qa(preset=preset)
        found[preset] = {question.id: question for question in task.train + task.held_out}
    assert found["simpleqa"]["SimpleQA-test-1"].metadata == {"topic": "Art", "answer_type": "Date"}
    assert found["popqa"]["3"].metadata == {"popularity": 3, "relation": "capital"}
    assert found["popqa"]["3"].subject == "S3"
    assert found["truthfulqa"]["truthful_qa-validation-1"].gold == ("Because",)
    assert found["truthfulqa"]["truthful_qa-validation-2"].gold == (UNANSWERABLE,)
    assert found["selfaware"]["2"].gold == (UNANSWERABLE,) and found["selfaware"]["1"].gold == ("Poe",)


def test_a_share_leaves_out_the_secret_answers_of_triviaqa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", FakeHub(HUB_ROWS["triviaqa"]))
    task = load_qa(preset="triviaqa", held_out=0.5)
    assert sorted(q.gold[0] for q in task.train + task.held_out) == ["a", "b"]


def test_an_unreachable_hub_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(FileNotFoundError, match=r"'someone/thing'.*ConnectionError: no network.*data=FILE"):
        load_qa(data="someone/thing")


def test_a_mistyped_file_is_not_looked_for_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "load_dataset", None)
    path = write_jsonl(tmp_path / "towns.jsonl", ROWS)
    with pytest.raises(FileNotFoundError, match=r"no file .*town.jsonl'. Did you mean .*towns.jsonl'\?"):
        load_qa(data=path.with_name("town.jsonl"))


@pytest.mark.parametrize("preset", ["simpleqa", "simpleqa_verified", ""])
def test_simpleqa_is_never_trained_on(tmp_path: Path, preset: str) -> None:
    rows = [{"problem": f"Q{i}?", "answer": "a"} for i in range(4)]
    path = write_csv(tmp_path / "simple_qa_test_set.csv", rows)
    task = load_qa(data=path, preset=preset)
    assert (len(task.train), len(task.held_out)) == (0, 4)
    for options in ({"data": path, "held_out": 0.5}, {"train_data": path, "test_data": path}):
        with pytest.raises(ValueError, match="SimpleQA is for evaluation only"):
            load_qa(preset=preset, **options)
