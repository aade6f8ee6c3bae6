"""`.eval` archives: Zstandard, bombs, damage, and archives that break off."""

import json
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals.logs import archive
from abstain.evals.logs.archive import members, unpack
from abstain.evals.logs.batch import Options, Problems
from abstain.evals.logs.detect import open_log
from abstain.evals.rescore.rescoring import rescore

HEADER = {"status": "success", "eval": {"model": "m", "task": "t"}}


def sample(number: int, value: object = "C") -> str:
    return json.dumps({"id": number, "epoch": 1, "target": "x", "scores": {"match": {"value": value}}})


def write(path: Path, samples: dict[str, str], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("_journal/start.json", json.dumps(HEADER))
        for name, text in samples.items():
            file.writestr(f"samples/{name}.json", text)
        file.writestr("header.json", json.dumps(HEADER))
    return path


def read(path: Path) -> tuple[list[str], Problems]:
    problems = Problems()
    _, rows = open_log(path, Options(), problems)
    return [str(name) for batch in rows for name in batch.id.to_pylist()], problems  # type: ignore[union-attr]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_archive_that_breaks_off_keeps_the_samples_before(tmp_path: Path, compression: int) -> None:
    path = write(tmp_path / "log.eval", {f"{n}": sample(n) for n in range(5)}, compression)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"samples/3.json") + 60])
    ids, problems = read(path)
    assert ids == ["0", "1", "2"]
    assert "breaks off after samples/2.json" in str(next(iter(problems.found.values())))


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    bomb = json.dumps({"id": 1, "text": "0" * (archive.RATIO_FREE + 1_000_000)})
    path = write(tmp_path / "log.eval", {"0": sample(0), "1": bomb, "2": sample(2)})
    assert path.stat().st_size < 40_000
    ids, problems = read(path)
    (problem,) = problems.found.values()
    assert ids == ["0", "2"] and "samples/1.json: unpacks to more than 16 MiB" in str(problem)


def test_what_a_member_says_about_its_size_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "RATIO_FREE", 1000)
    path = write(tmp_path / "log.eval", {"0": sample(0) + " " * 900_000})
    data = path.read_bytes()
    true = len(sample(0)) + 900_000
    path.write_bytes(data.replace(true.to_bytes(4, "little"), (10).to_bytes(4, "little")))
    (member,) = (one for one in members(path)[0] if one.name == "samples/0.json")
    with pytest.raises(ValueError, match="unpacks to more than"):
        unpack(path, member)


def test_damaged_and_unknown_members_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "log.eval", {"0": sample(0), "1": sample(1) * 50, "2": "{", "3": "[1]"})
    data = path.read_bytes()
    at = data.index(b"samples/1.json") + len(b"samples/1.json") + 3
    path.write_bytes(data[:at] + b"\xff" * 6 + data[at + 6 :])
    ids, problems = read(path)
    assert ids == ["0"] and problems.skipped == 3
    assert "samples/1.json: " in problems.found[str(path), "bad member"].first


def test_zstandard(tmp_path: Path) -> None:
    import pyarrow as pa

    text = (sample(7) + " " * 100_000).encode()
    packed = pa.Codec("zstd").compress(text, asbytes=True)
    (tmp_path / "packed").write_bytes(packed)
    member = archive.Member("samples/7.json", 0, len(packed), 93)
    assert unpack(tmp_path / "packed", member) == text
    with pytest.raises(ValueError, match="unpacks to more than 0 MiB"):
        unpack(tmp_path / "packed", member, limit=50_000)
    (tmp_path / "packed").write_bytes(packed[:20] + b"\xff" * 9)
    with pytest.raises(ValueError, match="damaged"):
        unpack(tmp_path / "packed", member)


def test_another_zip_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match="a zip archive, but no Inspect log"):
        open_log(tmp_path / "log.eval", Options(), Problems())


def test_deflate_stops_at_the_limit() -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(b"\0" * 50_000_000) + packed.flush()
    assert len(archive._inflate(data, 1000)) == 1001


def test_values_of_inspect_scores(tmp_path: Path) -> None:
    values = [*"CIPN", 1.0, 0.0, 0.5, float("nan"), True, {"correct": 0, "incorrect": 0, "not_attempted": 1}]
    path = write(tmp_path / "log.eval", {f"{n}": sample(n, value) for n, value in enumerate(values)})
    from abstain.evals.rescore.collect import Collector

    collector = Collector()
    (run,) = collector.read(path)
    assert run.verdict.tolist() == [0, 1, 1, 2, 0, 1, 1, 3, 0, 2]
    assert any("partial credit" in note and note.endswith(": 2") for note in collector.problems.notes)


def test_a_wrong_checksum_is_damage_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "log.eval", {f"{n}": sample(n) for n in range(4)}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    at = data.index(b'"value": "C"', data.index(b"samples/2.json")) + len(b'"value": "')
    path.write_bytes(data[:at] + b"I" + data[at + 1 :])  # still JSON, and says something else
    ids, problems = read(path)
    (problem,) = problems.found.values()
    assert ids == ["0", "1", "3"] and problem.lost and "samples/2.json: damaged: its contents" in str(problem)
    path.write_bytes(path.read_bytes()[: data.index(b"header.json", data.index(b"samples/3.json"))])
    assert read(path)[0] == ["0", "1", "3"]  # with no directory the checksum before each member counts


def test_nothing_but_damage_is_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "log.eval", {"0": sample(0)}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b'"value": "C"', b'"value": "I"'))
    with pytest.raises(ValueError, match=r"without any row that can be read; .*samples/0\.json: damaged"):
        rescore([path])


def test_a_damaged_header_loses_no_sample_and_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "log.eval", {"0": sample(0)}, zipfile.ZIP_STORED)
    data = path.read_bytes()
    at = data.rindex(b'"model": "m"', 0, data.index(b"PK\x01\x02"))
    path.write_bytes(data[:at] + b'"model": "M"' + data[at + 12 :])
    (run,) = (found := rescore([path])).runs
    assert run.model == "m" and [problem.lost for problem in found.problems] == [False]  # as the journal has it
    assert "header.json: damaged" in str(found.problems[0])


def test_of_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    path = write(tmp_path / "log.eval", {"0": sample(0), "1": sample(1)})
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as file:
        file.writestr("samples/1.json", sample(7))
    ids, problems = read(path)
    assert ids == ["0", "7"] and "stands there twice" in str(next(iter(problems.found.values())))


def test_an_evaluation_that_still_runs_has_its_journal_only(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as file:
        file.writestr("_journal/start.json", json.dumps({"eval": HEADER["eval"]}))
        for number, answer in enumerate(("Lima", "")):
            summary = {"scores": {"pattern": {"value": "I", "answer": answer}}}
            file.writestr(f"_journal/summaries/{number}.json", json.dumps([summary]))
            score = {"value": "I", "answer": answer, "reason": "invalid_response_format"}
            said = {"completion": "Surely Lima"}
            row = {"id": number, "epoch": 1, "target": "Lima", "output": said, "scores": {"pattern": score}}
            file.writestr(f"samples/{number}.json", json.dumps(row))
    found = rescore([tmp_path / "log.eval"], [0.0])
    assert found.metrics[0]["by_target"][0]["incorrect"] == 1  # the journal tells that the scorer sees answers
    assert "had not ended; 2 samples are here" in str(found.problems[0])


def test_a_member_that_is_not_where_the_archive_says(tmp_path: Path) -> None:
    path = write(tmp_path / "log.eval", {"0": sample(0), "1": sample(1)})
    data = path.read_bytes()
    at = data.index(b"samples/1.json") - 30
    path.write_bytes(data[:at] + b"XX" + data[at + 2 :])
    ids, problems = read(path)
    assert ids == ["0"] and "not where the archive says" in str(next(iter(problems.found.values())))


@settings(max_examples=60)
@given(st.binary(min_size=1, max_size=8), st.floats(0, 1))
def test_any_damage_ends_in_rows_problems_or_one_line(junk: bytes, where: float) -> None:
    with TemporaryDirectory() as folder:
        path = write(Path(folder, "log.eval"), {f"{n}": sample(n) for n in range(3)})
        data = path.read_bytes()
        at = int(where * len(data))
        path.write_bytes(data[:at] + junk + data[at + len(junk) :])
        try:
            ids, problems = read(path)
        except ValueError as error:
            assert str(path) in str(error) or "log" in str(error)
            return
    assert len(ids) == 3 or problems.found
