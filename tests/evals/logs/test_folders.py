"""Folders of logs: what is read, what only lies beside a log, and what cannot be read."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.logs.archive import members, unpack
from abstain.evals.logs.batch import Problems
from abstain.evals.logs.detect import find_logs
from abstain.evals.rescore.rescoring import rescore

LOGS = Path(__file__).parents[2] / "golden" / "logs"
ROW = '{"id": 1, "verdict": "CORRECT"}\n'
MEANS = {"results": {"t": {"acc,none": 0.5}}, "configs": {}}


def fill(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def found(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the logs, and what is said of the folder."""
    problems = Problems()
    logs = find_logs([folder], problems)
    return [str(path.relative_to(folder)) for path in logs], problems.notes + list(map(str, problems.found.values()))


def test_logs_of_all_kinds_are_read_and_named(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {"b/rows.jsonl": ROW, "rows.csv": "id,verdict\n1,CORRECT\n", "notes.txt": "x", "setup.json": {"a": 1}},
    )
    shutil.copy(LOGS / "inspect" / "choice.eval", tmp_path)
    names, said = found(tmp_path)
    assert names == ["b/rows.jsonl", "choice.eval", "rows.csv"]
    assert said == [
        f"{tmp_path.name}: read b/rows.jsonl, choice.eval, rows.csv; "
        "not read: setup.json (JSON, but no list of objects in it)"
    ]
    assert len(rescore([tmp_path]).runs) == 3


def test_our_own_records_are_named_after_their_folders(tmp_path: Path) -> None:
    rescored = rescore(
        [fill(tmp_path / "mine", {"records.jsonl": ROW, "before/records.jsonl": ROW, "other.jsonl": ROW})]
    )
    assert [run.label for run in rescored.runs] == ["before", "other", "mine"]


COMPANIONS: dict[str, tuple[dict[str, Any], list[str], int]] = {
    "lm-eval": ({"samples_t.jsonl": ROW, "results_2026.json": MEANS}, ["samples_t.jsonl"], 1),
    "lighteval": (
        {"details/details_t.parquet": "", "results/results_t.json": {"config_general": {}, "results": {}}},
        ["details/details_t.parquet"],
        1,
    ),
    "simple-evals": (
        {
            "q_m_allresults.json": {"htmls": [], "convos": []},
            "q_m.html": "<h3>Prompt conversation</h3>",
            "q_m.json": {},
        },
        ["q_m_allresults.json"],
        2,
    ),
    "simple-evals, page only": (
        {"q_m.html": "<html><h3>Prompt conversation</h3>", "q_m.json": {"is_correct": 0.5, "is_incorrect": 0.5}},
        ["q_m.html"],
        1,
    ),
    "HELM": (
        {
            "r/per_instance_stats.json": [{"instance_id": 1, "stats": []}],
            **{f"r/{name}.json": [{"request_states": []}] for name in ("scenario_state", "run_spec", "stats")},
        },
        ["r/per_instance_stats.json"],
        3,
    ),
    "HELM, state only": (
        {"scenario_state.json": {"request_states": []}, "run_spec.json": {"adapter_spec": {}}},
        ["scenario_state.json"],
        1,
    ),
    "abstain eval": (
        {
            **{"records.jsonl": ROW, "reworded.jsonl": ROW, "audit.json": {"rows": [{"verdict": "CORRECT"}]}},
            **{"metrics.json": {"by_target": [{"correct": 1, "incorrect": 0}], "mean_regret": 0}, "table.md": "|"},
        },
        ["records.jsonl"],
        3,
    ),
    "abstain train": (
        {
            **{
                "recipe.yaml": "a",
                "records.jsonl": ROW,
                "before/records.jsonl": ROW,
                "before/start.json": {"a": [{}]},
                "labels/labels.jsonl": ROW,
            },
            **{"rl/guards.jsonl": ROW, "sft/examples.jsonl": ROW, "model/config.json": {"a": [{"id": 1}]}},
            "model/tokenizer.json": {"added_tokens": [{"id": 0, "content": "a"}]},
            "rl/trainer_state.json": {"log_history": [{"loss": 1}]},
            "rl/checkpoint-4/guards.json": {"a": 1},
        },
        ["before/records.jsonl", "records.jsonl"],
        8,
    ),
    "abstain rescore": (
        {
            **{"m/records.jsonl": ROW, "m/metrics.json": {"by_target": [{"a": 1}]}, "rankings.json": [{"task": "t"}]},
            "table.md": "|",
        },
        ["m/records.jsonl"],
        2,
    ),
    "hidden": (
        {"a.jsonl": ROW, ".ipynb_checkpoints/a-checkpoint.jsonl": ROW, ".b.jsonl": ROW, "__pycache__/c.jsonl": ROW},
        ["a.jsonl"],
        0,
    ),
    "a report": ({"a.jsonl": ROW, "report.html": "<html><p>Score: 1"}, ["a.jsonl"], 0),
}


@pytest.mark.parametrize("kind", COMPANIONS)
def test_what_lies_beside_a_log_is_no_log_and_only_counted(kind: str, tmp_path: Path) -> None:
    files, logs, beside = COMPANIONS[kind]
    names, said = found(fill(tmp_path, files))
    assert names == logs
    if beside:
        assert len(said) == 1 and f"; {beside} more go with {'them' if len(logs) > 1 else 'it'}" in said[0]
        assert "not read" not in said[0]
    else:
        assert not said


def test_one_run_of_inspect_in_two_forms_is_read_once(tmp_path: Path) -> None:
    shutil.copy(LOGS / "inspect" / "plain.eval", tmp_path)
    inside = {one.name: one for one in members(tmp_path / "plain.eval")[0]}
    header, sample = (
        json.loads(unpack(tmp_path / "plain.eval", inside[name]))
        for name in ("header.json", "samples/q0_epoch_1.json")
    )
    same = header | {"samples": [sample]}
    other = same | {"eval": same["eval"] | {"eval_id": "another"}}
    names, said = found(fill(tmp_path, {"json/plain.json": same, "other/plain.json": other, "plain.jsonl": ROW}))
    assert names == ["other/plain.json", "plain.eval", "plain.jsonl"] and "; 1 more go with them" in said[0]


def test_one_object_is_a_log_only_where_there_is_no_other(tmp_path: Path) -> None:
    fill(tmp_path, {"a.json": {"model": "a", "correct": 5, "incorrect": 3}, "b.json": {"seed": 1}})
    names, said = found(tmp_path)
    assert names == ["a.json"] and "b.json (JSON, but no list" in said[0]
    names, said = found(fill(tmp_path, {"rows.jsonl": ROW}))
    assert names == ["rows.jsonl"] and "a.json (one object, as means are; to read it" in said[0]


def test_a_folder_of_means_says_what_to_give_instead(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"no log in this folder: results_x.json \(lm-eval's means only: give the sam"
    ):
        find_logs([fill(tmp_path, {"results_x.json": MEANS})])


def test_names_are_few_and_the_rest_is_a_count(tmp_path: Path) -> None:
    fill(tmp_path, {f"{n:02}.json": {"n": n} for n in range(9)} | {f"{n:02}.jsonl": ROW for n in range(10)})
    (said,) = found(tmp_path)[1]
    assert "read 00.jsonl, 01.jsonl, 02.jsonl and 7 more; not read: 00.json (" in said and said.endswith("and 6 more")
    assert len(said) < 400


def test_links_that_lead_nowhere_and_pipes_do_not_end_a_folder(tmp_path: Path) -> None:
    fill(tmp_path, {"a.jsonl": ROW, "z.jsonl": ROW, "more.jsonl.gz": "x"})
    (tmp_path / "lost.jsonl").symlink_to("nowhere.jsonl")
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    (tmp_path / "latest").symlink_to("gone")
    os.mkfifo(tmp_path / "pipe.jsonl")
    names, said = found(tmp_path)
    assert names == ["a.jsonl", "z.jsonl"]
    assert "more.jsonl.gz (packed; unpack it first), pipe.jsonl (a pipe or a device)" in said[0]
    assert "latest: a link to gone, which cannot be read: No such file" in said[1] and "(and 2 more" in said[1]
    assert len(rescore([tmp_path]).runs) == 2


def test_a_folder_with_nothing_but_a_broken_link_names_it(tmp_path: Path) -> None:
    (tmp_path / "lost.jsonl").symlink_to("nowhere.jsonl")
    with pytest.raises(ValueError, match=r"no log in this folder.*lost.jsonl: a link to nowhere.jsonl"):
        find_logs([tmp_path])
    with pytest.raises(FileNotFoundError, match=r"no file .*lost.jsonl', a link to nowhere.jsonl"):
        find_logs([tmp_path / "lost.jsonl"])


def test_links_to_folders_are_not_followed_and_those_that_lead_out_are_named(tmp_path: Path) -> None:
    fill(tmp_path, {"logs/run/a.jsonl": ROW, "elsewhere/b.jsonl": ROW})
    (tmp_path / "logs" / "latest").symlink_to("run")
    (tmp_path / "logs" / "round").symlink_to(".")
    assert found(tmp_path / "logs") == (["run/a.jsonl"], [])
    (tmp_path / "logs" / "other").symlink_to(tmp_path / "elsewhere")
    names, said = found(tmp_path / "logs")
    assert names == ["run/a.jsonl"] and "other (a link to a folder; give that by itself)" in said[0]


def test_a_file_that_is_given_twice_is_read_once(tmp_path: Path) -> None:
    fill(tmp_path, {"a.jsonl": ROW, "b.jsonl": ROW})
    (tmp_path / "c.jsonl").symlink_to("a.jsonl")
    problems, known = Problems(), set[Path]()
    assert find_logs([tmp_path, tmp_path / "a.jsonl"], problems, known) == [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    assert find_logs([tmp_path / "." / "b.jsonl"], problems, known) == []
    assert problems.notes == [f"{name}.jsonl: given twice, read once" for name in "cab"]


@given(st.lists(st.text("abAB-_1", min_size=1, max_size=4), min_size=1, max_size=30, unique=True), st.randoms())
def test_the_order_is_that_of_the_names(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], random: Any
) -> None:
    folder = tmp_path_factory.mktemp("f")
    inside = [f"{name}/{name}.jsonl" if len(name) % 2 else f"{name}.csv" for name in names]
    random.shuffle(inside)
    logs = find_logs([fill(folder, dict.fromkeys(inside, ROW))])
    assert logs == sorted(folder / name for name in inside)
