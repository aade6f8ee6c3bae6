"""What benchmarks pay for "I don't know"."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.meta_evaluation import Benchmark, main, read_benchmarks, render_benchmarks
from abstain.rewards.scoring import TernaryCredit

GROUPS = read_benchmarks()
TABLE_2 = next(iter(GROUPS.values()))


def test_table_2_of_the_paper() -> None:
    assert len(TABLE_2) == 10
    assert {one.name for one in TABLE_2 if not one.binary} == {"WildBench"}
    assert {one.name for one in TABLE_2 if one.idk_credit != "none"} == {"WildBench"}
    assert all(one.target == 0 for one in TABLE_2 if one.binary)
    assert next(one for one in TABLE_2 if one.name == "WildBench").target == pytest.approx(-4 / 9)


def test_implied_targets_by_hand() -> None:
    found = {one.name: one.target for group in GROUPS.values() for one in group}
    assert found["AA-Omniscience"] == 0.5 and found["NeMo Gym abstention"] == 0.5
    assert found["SAT until 2016"] == found["JEE Main"] == pytest.approx(0.2)
    assert found["AMC 10 and 12"] == 0.25 and found["SimpleQA (F)"] is None


credit = st.floats(-10, 10)


@given(st.tuples(credit, credit, credit).map(sorted))
def test_it_is_the_target_of_the_same_credits_in_training(credits: list[float]) -> None:
    wrong, idk, right = credits
    if right - idk < 1e-3:
        return
    implied = TernaryCredit(correct=right, abstain=idk, wrong=wrong).implied_target
    assert Benchmark("x", "y", False, "partial", (right, idk, wrong)).target == pytest.approx(implied)


def test_every_format_shows_every_benchmark() -> None:
    names = [one.name for group in GROUPS.values() for one in group]
    for format in ("text", "markdown", "latex", "csv", "json"):
        text = render_benchmarks(GROUPS, format)
        assert text.endswith("\n") and all(name in text for name in names)
    assert max(map(len, render_benchmarks(GROUPS, "text", width=100).splitlines())) <= 100
    rows = json.loads(render_benchmarks(GROUPS, "json"))
    flat = list(csv.DictReader(io.StringIO(render_benchmarks(GROUPS, "csv"))))
    assert [row["name"] for row in rows] == [row["name"] for row in flat] == names
    assert rows[0]["target"] == 0 and flat[4]["idk"] == "3.5"


GOOD = "{name: Quiz, scoring: points, binary: false, idk_credit: partial, credits: [2, 1, 0]}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "expected headings"),
        ("Mine: []", "expected headings"),
        ("Mine: [1]", "'1' is no benchmark"),
        ("Mine: [", "not YAML"),
        (f"Mine: [{GOOD.replace('binary', 'binry')}]", "Quiz: unknown field 'binry'. Did you mean 'binary'"),
        (f"Mine: [{GOOD.replace('false', 'perhaps')}]", "must be true or false"),
        (f"Mine: [{GOOD.replace(', idk_credit: partial', '')}]", "lacks idk_credit"),
        (f"Mine: [{GOOD.replace(', credits: [2, 1, 0]', '')}]", "credits"),
        (f"Mine: [{GOOD.replace('[2, 1, 0]', '[1, 2, 0]')}]", "must earn more"),
        (f"Mine: [{GOOD.replace('[2, 1, 0]', '[2, 1]')}]", "three numbers"),
        (f"Mine: [{GOOD.replace('[2, 1, 0]', '[.inf, 1, 0]')}]", "must earn more"),
        (f"Mine: [{GOOD.replace('partial', 'none')}]", "idk_credit is none"),
    ],
)
def test_bad_files_are_explained(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"mine\.yaml") as error:
        read_benchmarks(path)
    assert why in str(error.value)


def test_a_file_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"Mine:\n  - {GOOD}\n")
    main([str(path), "--format", "markdown"])
    assert "| Quiz      | points  |     no |    partial |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(tmp_path / "none.yaml")])
    assert "none.yaml" in capsys.readouterr().err
