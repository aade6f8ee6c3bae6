"""Records survive the disk, an interrupted write harms nothing, and a bad line is named."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.records import FIELDS, Record, read_records, read_rows, write_records, write_rows
from abstain.rewards.verdict import Verdict

RECORD = Record("a", "toy", "Where?", ("Lima", "Limá"), 0.5, "Where? …", "Lima\u2028\n", "Lima", Verdict.CORRECT, 0.25)

records = st.builds(
    Record,
    id=st.text(),
    task=st.text(),
    question=st.text(),
    gold=st.lists(st.text()).map(tuple),
    target=st.floats(0, 1, exclude_max=True),
    prompt=st.text(),
    completion=st.text(),
    answer=st.text(),
    verdict=st.sampled_from(Verdict),
    confidence=st.none() | st.floats(0, 1),
)


def test_the_fields_are_the_promised_ones() -> None:
    promised = "id, task, question, gold, target, prompt, completion, answer, verdict, confidence"
    assert promised.split(", ") == list(FIELDS)


@given(st.lists(records))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[Record]) -> None:
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    write_records(path, rows)
    assert read_records(path) == rows


def test_rows_hold_texts_with_line_ends_of_their_own(tmp_path: Path) -> None:
    """Models write such characters, and JSON leaves them as they are: they end no row."""
    rows = [{"text": f"before{end}after", "count": 2} for end in "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"]
    write_rows(tmp_path / "rows.jsonl", rows)
    assert read_rows(tmp_path / "rows.jsonl") == rows


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "records.jsonl"
    write_records(path, [RECORD])

    def interrupted():
        yield RECORD
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(path, interrupted())
    assert read_records(path) == [RECORD]
    assert [file.name for file in path.parent.iterdir()] == ["records.jsonl"]


def test_a_failed_replacement_leaves_no_partial_file(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").mkdir()
    with pytest.raises(OSError, match=r"records\.jsonl"):
        write_records(tmp_path / "records.jsonl", [RECORD])
    assert [file.name for file in tmp_path.iterdir()] == ["records.jsonl"]


def changed(**changes: object) -> str:
    write = {field: getattr(RECORD, field) for field in FIELDS} | changes
    return json.dumps({key: value for key, value in write.items() if value != "drop"})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": ', "not JSON"),
        ("[1]", "a record is a JSON object, not list"),
        (changed(verdict="drop"), r"lacks \['verdict'\], has unknown nothing"),
        (changed(verdit="CORRECT"), r"lacks nothing, has unknown \['verdit'\]"),
        (changed(verdict="WRONG"), "unknown verdict 'WRONG'; allowed: CORRECT, INCORRECT, ABSTAINED, UNGRADED"),
        (changed(gold="Lima"), "gold is a list of answers, not 'Lima'"),
        (changed(target=1), r"target 1 is not a number in \[0, 1\)"),
        (changed(target=None), r"target is null, since its prompt states none; `abstain rescore` scores"),
        (changed(confidence=50), "confidence 50 is neither null nor a number"),
        (changed(confidence=True), "confidence True is neither null nor a number"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(f"{changed()}\n\n{line}\n")
    with pytest.raises(ValueError, match=rf"records\.jsonl:3: .*{message}"):
        read_records(path)


def test_half_a_character_is_a_question_mark(tmp_path: Path) -> None:
    """Python's JSON writes one as an escape, which UTF-8 cannot hold."""
    path = tmp_path / "records.jsonl"
    write_records(path, [RECORD])
    path.write_text(path.read_text().replace(json.dumps(RECORD.completion, ensure_ascii=False), '"a\\ud800"'))
    assert read_records(path)[0].completion == "a?"
