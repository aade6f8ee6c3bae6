"""The report of a sweep: who is best, by how much, and what did not work."""

import json
import re
from pathlib import Path

import pytest
from typer import Exit

from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import Baseline
from abstain.evals.records import Record, write_records, write_text
from abstain.recipes.cli.report import report
from abstain.recipes.report.page import write_report
from abstain.recipes.report.source import read_sweep
from abstain.recipes.report.sweep import group_rows, responses, sweep_content
from abstain.recipes.sweep.ranking import differences_from
from abstain.rewards.verdict import Verdict

TARGETS = (0.0, 0.5)
N = 20
ORACLE = Baseline("post-hoc", 0.9, 0.5, 0.8, 0.5)


def answers(right: int) -> list[Record]:
    """The first questions are right; the others wrong at t = 0, silent at t = 0.5."""
    return [
        Record(f"q{i}", "toy", "?", (), t, "", "", "", Verdict.CORRECT if i < right else other, 0.5)
        for t, other in zip(TARGETS, (Verdict.INCORRECT, Verdict.ABSTAINED), strict=True)
        for i in range(N)
    ]


def make_sweep(path: Path, right: dict[tuple[float, str, int], int], **changes: object) -> Path:
    """A point for each (rate, form, seed), with that many right answers."""
    points = []
    for (rate, form, seed), number in right.items():
        name = f"{rate:g}-{form}-{seed}"
        settings = {"rl.args.learning_rate": rate, "reward": form, "seed": seed, "task.seed": seed}
        found = answers(number)
        metrics = measure(found, model=name, task="toy", baselines=dict.fromkeys(TARGETS, ORACLE))
        write_text(path / "points" / name / "metrics.json", json.dumps(metrics))
        write_records(path / "points" / name / "records.jsonl", found)
        about = {"name": name, "directory": f"points/{name}", "settings": settings, "seed": seed}
        points.append({**about, "status": "complete", "error": None})
    write_text(path / "sweep.json", json.dumps({"name": "toy", "base": "quickstart", "points": points, **changes}))
    return path


GRID = {(rate, form, seed): 10 + 4 * (rate == 1e-3) + 2 * (form == "a") + (seed == 2)
        for rate in (1e-5, 1e-3) for form in ("a", "b") for seed in (0, 1, 2)}  # fmt: skip


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    return make_sweep(tmp_path_factory.mktemp("sweeps") / "toy", GRID)


def test_the_best_come_first_with_mean_and_spread_over_seeds(sweep):
    groups = read_sweep(sweep).ranking().groups
    assert [(group.settings["rl.args.learning_rate"], group.settings["reward"]) for group in groups] == [
        (1e-3, "a"), (1e-3, "b"), (1e-5, "a"), (1e-5, "b")
    ]  # fmt: skip
    row = group_rows(groups, [], ["rl.args.learning_rate", "reward"], 0.5)[0]
    assert row["settings"] == ["0.001", "a"] and row["cells"][0] == "3"
    # 16, 16 and 17 right of 20: mean regret .9 - (16.33 / 20) and sd .577 / 20; at t = .5 nothing is wrong
    assert row["cells"][1:] == ["0.083 ± 0.029", "0.0 ± 0.0\u00a0%", "81.7 ± 2.9\u00a0%"]


def test_every_column_has_a_heading(sweep):
    content, _ = sweep_content(read_sweep(sweep), sweep)
    widths = {1 + len(read_sweep(sweep).axes) + len(row["cells"]) + 2 for row in content["rows"]}
    assert len(content["heads"]) in widths and len(widths) == 1
    assert len(set(content["heads"])) == len(content["heads"])


def test_differences_are_paired_by_seed_and_question(sweep):
    best, second, *_ = read_sweep(sweep).ranking().groups
    (found,) = differences_from(best, [second])
    # two right answers fewer of 20, in every seed: at t = 0 they are wrong, which costs nothing, at t = .5 silent
    assert found.mean == pytest.approx(-0.1) and found.interval == pytest.approx((-0.1, -0.1))
    assert (found.seeds, found.over) == (3, "seeds")


def test_one_seed_has_an_interval_over_questions(tmp_path):
    path = make_sweep(tmp_path, {(1e-3, "a", 0): 16, (1e-3, "b", 0): 12, (1e-3, "c", 1): 9})
    best, second, third = read_sweep(path).ranking().groups
    paired, unpaired = differences_from(best, [second, third])
    assert paired.mean == pytest.approx(-0.2) and paired.over == "questions"
    low, high = paired.interval
    assert -0.55 < low < -0.2 < 0 < high < 0.1  # four of twenty, all for the worse: a coin does that in one of eight
    assert unpaired is None, "another seed, other questions"


def test_points_without_answers_are_in_the_table_but_not_compared(tmp_path):
    path = make_sweep(tmp_path, {(1e-3, "a", 0): 16, (1e-3, "b", 0): 12})
    write_text(path / "points" / "0.001-b-0" / "records.jsonl", "oops")
    groups = read_sweep(path).ranking().groups
    assert len(groups) == 2 and differences_from(groups[0], groups[1:]) == [None]


def test_responses_keep_the_other_settings_apart(sweep):
    found = read_sweep(sweep)
    assert found.axes == {"rl.args.learning_rate": [1e-5, 1e-3], "reward": ["a", "b"]}, "seeds are no axis"
    lines = responses(found.ranking().groups, "rl.args.learning_rate", found.axes, "correct", 0.5, {})
    assert [line.label for line in lines] == ["reward=a", "reward=b"], "a value alone says nothing"
    assert [list(seeds) for seeds in lines[0].measured] == [[0.6, 0.6, 0.65], [0.8, 0.8, 0.85]]


def test_too_many_lines_become_one_mean(tmp_path):
    path = make_sweep(tmp_path, {(rate, f"form{i}", 0): 10 + i for rate in (1e-5, 1e-3) for i in range(7)})
    found = read_sweep(path)
    (line,) = responses(found.ranking().groups, "rl.args.learning_rate", found.axes, "correct", 0.5, {})
    assert line.label == "" and [len(numbers) for numbers in line.measured] == [7, 7]


def test_the_page_says_who_is_best_and_what_failed(tmp_path):
    path = make_sweep(tmp_path / "toy", {key: value for key, value in GRID.items() if key[1] == "a"})
    stored = json.loads((path / "sweep.json").read_text())
    stored["points"][0] |= {"status": "failed", "error": "<script>alert(1)</script> out of memory"}
    stored["points"][1] |= {"status": "pending"}
    stored["points"] += ["nonsense", {"name": "new", "settings": {"reward": [{"name": "</script>"}]}, "seed": 0}]
    write_text(path / "sweep.json", json.dumps(stored))
    write_text(path / "points" / "0.001-a-0" / "metrics.json", "{")
    write_text(path / "points" / "0.001-a-1" / "report.html", "")
    page = write_report(path).read_text()
    headline = re.search("<h1>(.*?)</h1>", page)[1]
    assert headline.startswith("Of 2 settings, the best is learning_rate=0.001: the mean regret is 0.075")
    assert "2 points not finished: 1e-05-a-1, new." in page and "1 point failed: 1e-05-a-0." in page
    assert "0.001-a-0/metrics.json: not JSON" in page and "point 6 has no settings" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; out of memory" in page and "<script" not in page
    assert 'href="./points/0.001-a-1/report.html"' in page
    names = {one.name for one in (path / "plots").iterdir()}
    assert {"axis-1-mean-regret.png", "axis-1-incorrect.svg", "best-score.png"} <= names


def test_ties_and_collapses_are_named(tmp_path):
    """One answer of twenty more is no victory, and silence none either."""
    path = make_sweep(tmp_path, {(1e-3, "a", 0): 17, (1e-3, "b", 0): 16, (1e-3, "c", 0): 15})
    place = path / "points" / "0.001-c-0" / "metrics.json"
    words = {"kind": "collapsed", "words": "Collapsed: <it>.", "further": []}
    write_text(place, json.dumps(json.loads(place.read_text()) | {"conclusion": words}))
    content, plots = sweep_content(read_sweep(path), tmp_path)
    assert content["headline"] == "No best setting: 2 of 3 cannot be told apart."
    assert content["further"][0] == "They are reward=a: mean regret 0.050; reward=b: mean regret 0.100."
    assert [row["verdict"] for row in content["rows"]] == ["no verdict", "no verdict", "collapsed"]
    assert [point["words"] for point in content["points"]] == ["", "", "Collapsed: <it>."]
    best = next(plot for plot in plots if plot.name == "best-score")
    legend = [text.get_text() for text in best.figure.axes[0].get_legend().get_texts()]
    assert legend == ["1: reward=a", "2: reward=b", "3: reward=c"]


def test_a_sweep_of_nothing_yet(tmp_path):
    path = make_sweep(tmp_path, {})
    content, plots = sweep_content(read_sweep(path), tmp_path)
    assert content["headline"] == "No point of this sweep has finished yet." and plots == []


@pytest.mark.parametrize("text", ["{", "[]", '{"points": 3}', "\x00"])
def test_a_corrupt_sweep_is_refused(tmp_path, text):
    write_text(tmp_path / "sweep.json", text)
    with pytest.raises(ValueError, match=r"sweep\.json: not (JSON|a sweep)"):
        write_report(tmp_path)


def test_a_moved_sweep_is_still_found(sweep, tmp_path):
    moved = tmp_path / "moved"
    sweep_json = json.loads((sweep / "sweep.json").read_text())
    for point in sweep_json["points"]:
        point["directory"] = f"/gone/points/{point['name']}"
    write_text(moved / "sweep.json", json.dumps(sweep_json))
    (moved / "points").symlink_to(sweep / "points")
    assert len(read_sweep(moved).ranking().groups) == 4


def test_the_command_goes_on_after_a_bad_directory(tmp_path, capsys):
    good = make_sweep(tmp_path / "good", {})
    with pytest.raises(Exit) as ended:
        report([tmp_path / "none", good])
    assert ended.value.exit_code == 2
    printed = capsys.readouterr()
    assert printed.out.strip() == str(good / "report.html") and "no run or sweep directory" in printed.err
    with pytest.raises(ValueError, match="--out takes one report, not 2"):
        report([good, good], tmp_path / "out")
    with pytest.raises(FileNotFoundError):
        report([tmp_path / "none"])
