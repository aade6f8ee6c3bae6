"""Lines and documents of strangers: cut off, not JSON, huge, hostile."""

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals import files
from abstain.evals.files import close_document, find_delimiter, json_lines, parse_json, read_document, text_encoding
from abstain.evals.logs.batch import Problems, printable

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


def lines_of(path: Path, block: int = 1 << 20) -> tuple[list[int], list[dict], Problems]:
    problems = Problems()
    parts = list(json_lines(path, problems.add, block))
    return [n for numbers, _ in parts for n in numbers], [row for _, rows in parts for row in rows], problems


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 20])
def test_bad_lines_are_named_and_the_rest_is_kept(tmp_path: Path, block: int) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n\nnot json\n{"a": NaN}\r\n[1]\n{"a": "\xff"}\n{"a": 2}\n{"a": 3, "b')
    numbers, rows, problems = lines_of(path, block)
    assert numbers == [1, 4, 7] and [row["a"] for row in (rows[0], rows[2])] == [1, 2] and rows[1]["a"] != rows[1]["a"]
    (problem,) = problems.found.values()
    assert problem.count == problems.skipped == 4 and problem.first.startswith(f"{path}:3: not JSON")


def test_lines_that_make_sense_together_only(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}, {"a": 2}\n{"a": [1\n2]}\n{"a": 3}\n')
    numbers, rows, problems = lines_of(path)
    assert (numbers, rows) == ([4], [{"a": 3}]) and problems.skipped == 3


def test_a_line_too_long_is_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LINE_LIMIT", 1000)
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n{"a": "' + "x" * 5000 + '"}\n{"a": 2}\n{"a": "' + "x" * 5000)
    numbers, rows, problems = lines_of(path, block=100)
    assert numbers == [1, 3] and rows == [{"a": 1}, {"a": 2}]
    assert str(next(iter(problems.found.values()))).startswith(f"{path}:2: a line of more than")


@pytest.mark.parametrize("data", [b'{"a":' * 100_000, b"[" * 100_000, b"1" * 10_000, b'"\\ud800', b"\x00"])
def test_hostile_json_raises_nothing(data: bytes) -> None:
    assert parse_json(data)[1].startswith("not JSON") or parse_json(data)[0] is not None


@given(json_values)
def test_parse_json_reads_what_python_writes(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == (value, "")


@given(st.lists(json_values, min_size=1, max_size=5), st.data())
def test_a_document_cut_anywhere_keeps_its_whole_items(items: list, data: st.DataObject) -> None:
    text = json.dumps({"model": "[{", "samples": items}).encode()
    start = text.index(b'"samples": [') + len(b'"samples": [')
    closed, kept = close_document(text[: data.draw(st.integers(start, len(text) - 2))])
    assert kept
    found = json.loads(closed)
    assert found["model"] == "[{" and found["samples"] == items[: len(found["samples"])]
    assert json.loads(close_document(text[:-1])[0])["samples"] == items


def test_a_document_that_breaks_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text('{"samples": [\n{"id": 1},\n{"id": 2},\n{"id": "x')
    problems = Problems()
    assert read_document(path, problems.add) == {"samples": [{"id": 1}, {"id": 2}]}
    assert f"{path}:3: the file breaks off" in str(next(iter(problems.found.values())))
    path.write_text('{"model": "x')
    with pytest.raises(ValueError, match=r"log\.json: not JSON"):
        read_document(path, problems.add)


def test_closing_is_linear_in_escaped_quotes() -> None:
    assert close_document(b'[1, "' + b'\\"' * 500_000) == (b"[1]", 2)


def test_a_document_too_big_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "DOCUMENT_LIMIT", 10)
    path = tmp_path / "log.json"
    path.write_text("[" + "1," * 10 + "1]")
    with pytest.raises(ValueError, match="JSON lines"):
        read_document(path, Problems().add)


@given(st.text(max_size=300))
def test_printable_has_nothing_that_moves_a_cursor(text: str) -> None:
    shown = printable(text, 40)
    assert len(shown) <= 40 and shown.isprintable()


def test_printable_takes_out_direction_marks_and_escapes() -> None:
    assert printable("a\u202eb\u2066c\x1b[2Jd\ne\u200f") == "abc[2Jd e"


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("q;a\nWho, where, when?;Poe\nWhy, then?;So\n", ";"),
        ("q,a\n1;2;3;4,b\n5;6;7;8,c\n", ","),
        ("Frage, kurz;Antwort\nWer?;Poe\nWo, wann?;Rom\n", ";"),
        ("q|a|b\nWho?|Poe|x\n", "|"),
        ("q\ta\nWho; why, when?\tPoe\n", "\t"),
        ('"q;1";"a, b"\n"Who; when";"x, y"\n', ";"),
        ('q;a\n"Who\nwas, it?";Poe\n', ";"),
        ("question\nWho?\nWhy?\n", ","),
        ("", ","),
    ],
)
def test_the_delimiter_is_what_divides_the_rows_evenly(text: str, delimiter: str) -> None:
    assert find_delimiter(text) == delimiter


@given(st.text(max_size=200), st.sampled_from(",;\t|"))
def test_no_text_can_hurt_the_search_for_a_delimiter(text: str, usual: str) -> None:
    assert find_delimiter(text, usual) in set(",;\t|")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_what_they_are(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text("Frage;Antwort\nWer?;José\n", encoding=encoding)
    assert path.read_text(encoding=text_encoding(path)) == "Frage;Antwort\nWer?;José\n"


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("x.xlsx", b"PK\x03\x04", "is an Excel file, not text: save its sheet as CSV"),
        ("x.csv", b"PK\x03\x04...", "is a spreadsheet or an archive"),
        ("x.csv", b"\xd0\xcf\x11\xe0...", "is a spreadsheet or an archive"),
        ("x.csv", b"a\x00b", "is binary, not text"),
        ("x.csv", b"\xff\xfea", "not UTF-8 text"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=says):
        text_encoding(tmp_path / name)


def test_the_command_that_mends_an_encoding_works(tmp_path: Path) -> None:
    path = tmp_path / "my file.csv"
    path.write_bytes("question,answer\nWho?,José\n".encode("latin-1"))
    with pytest.raises(ValueError, match="by Excel: ") as refused:
        text_encoding(path)
    subprocess.run(str(refused.value).split("by Excel: ")[1], shell=True, check=True)
    assert (tmp_path / "my file-utf8.csv").read_text(encoding="utf-8").endswith("José\n")
