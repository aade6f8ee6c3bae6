"""The report of a run: whole, unfinished, damaged or hostile, it says what there is and harms nobody."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers, baseline
from abstain.evals.records import Record, write_records, write_text
from abstain.recipes.report.examples import LONGEST, as_json, examples, shown
from abstain.recipes.report.page import render_page, write_report
from abstain.recipes.report.run import TEMPLATE, run_content
from abstain.recipes.report.source import read_run
from abstain.recipes.report.words import further, headline, readings
from abstain.rewards.verdict import Verdict

TARGETS = (0.0, 0.5, 0.9)
N = 20
HOSTILE = [
    "</script><script>alert(1)</script>",
    "\u202eesrever",
    "\x00\x1b[31m",
    "x" * 1_000_000,
    "\ud800",
    "<!--<script>",
]
RECIPE = """name: toy
seed: 3
task: {name: qa, data: q.jsonl}
model: {path: base}
sft: {}
rl: {algorithm: grpo, args: {hub_token: hf_secret}}
made_with: {abstain: 0.1.0, torch: 2.13.0}
"""
MARK = "</script><script>"


def records(answered: float, said: str = "Lima") -> list[Record]:
    """Above t = 0 only the first questions are answered; every other answer is right."""
    found = []
    for t in TARGETS:
        for i in range(N):
            silent = t > 0 and i >= answered * N
            verdict = Verdict.ABSTAINED if silent else [Verdict.CORRECT, Verdict.INCORRECT][i % 2]
            text = HOSTILE[i % len(HOSTILE)] if said == "hostile" else said
            completion = "I don't know" if silent else text
            question, answer = f"Where is {text[:50]} {i}?", "" if silent else text
            found.append(Record(f"q{i}", "toy", question, ("Lima",), t, "", completion, answer, verdict, 1 - i / N))
    return found


def make_run(path: Path, complete=("before", "sft", "rl", "after"), said: str = "Lima") -> Path:
    """A run directory as `abstain train` leaves it, as far as it got."""
    write_text(path / "recipe.yaml", RECIPE)
    write_text(path / "state.json", json.dumps({"complete": list(complete)}))
    before, after = records(1.0, said), records(0.3, said)
    right = [float(i % 2 == 0) for i in range(N)]
    ids = [f"q{i}" for i in range(N)]
    verdicts = [Verdict.CORRECT if one else Verdict.INCORRECT for one in right]
    guesses = ForcedAnswers.of(ids, verdicts, [1 - i / N for i in range(N)])
    start = BaseGuesses("base", guesses, guesses)
    for name, found, folder in (("before", before, path / "before"), ("after", after, path)):
        if name in complete:
            metrics = measure(found, model=name, task="toy", baselines={t: baseline(start, t) for t in TARGETS})
            write_text(folder / "metrics.json", json.dumps({**metrics, "start": "base"}))
            write_records(folder / "records.jsonl", found) if said != "hostile" else write_hostile(folder, found)
    if "before" in complete:
        start.save(path / "before" / "start.json")
    if "sft" in complete:
        history = [{"step": step, "reward": step, "abstention/t=0.5": 0.1} for step in (10, 20)]
        state = {"log_history": history, "global_step": 20, "max_steps": 30}
        place = path / "rl" if "rl" in complete else path / "rl" / "checkpoint-20"
        write_text(place / "trainer_state.json", json.dumps(state))
    return path


def write_hostile(folder: Path, found: list[Record]) -> None:
    """JSON may hold half a character, which UTF-8 may not."""
    rows = [{**vars(record), "gold": list(record.gold)} for record in found]
    write_text(folder / "records.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def page_of(path: Path) -> str:
    """The HTML alone, without the files of the pictures."""
    return render_page(TEMPLATE, run_content(read_run(path))[0])


def embedded(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="examples-data">(.*?)</script>', page, re.S)[1])


@pytest.fixture
def no_drawing(monkeypatch):
    """Pictures take most of the time."""
    monkeypatch.setattr("abstain.recipes.report.run.behaviour", lambda run: [])


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return write_report(make_run(tmp_path_factory.mktemp("runs") / "toy-3"))


def test_one_file_says_it_all(whole):
    page = whole.read_text(encoding="utf-8")
    assert whole.name == "report.html" and len(page.encode()) < 1_000_000
    sentence = (
        "Told to answer only if more than 0.5 sure, it is now wrong on 15.0 % of the questions instead of 50.0 %"
    )
    assert sentence in page.replace("\u00a0", " ") and "keeps 30\u00a0% of its right answers." in page
    assert re.findall(r'<section id="(\w+)"', page) == ["results", "plots", "training", "examples", "recipe"]
    assert "seed 3" in page and "2.13.0" in page and "hf_secret" not in page
    assert page.count("<svg class=") == page.count('role="img"') == 7
    data = embedded(page)
    assert len(data["rows"]["question"]) == 3 * N and data["sides"] == ["before", "after"] and data["asked"] == 0
    assert data["targets"][data["start"]] == 0.5


def test_the_two_readings_are_compared_in_a_curve_and_in_sentences(tmp_path, no_drawing):
    run = make_run(tmp_path / "gap")
    for folder, gap in ((run / "before", 0.004), (run, 0.021)):
        metrics = json.loads((folder / "metrics.json").read_text())
        write_text(folder / "metrics.json", json.dumps(metrics | {"reading_gap": gap}))
    state = json.loads((run / "rl" / "trainer_state.json").read_text())
    for entry, gap in zip(state["log_history"], (0.0, 0.3), strict=True):
        entry["reading/gap"] = gap
    write_text(run / "rl" / "trainer_state.json", json.dumps(state))
    page = page_of(run).replace("\u00a0", " ")
    assert "2.1 % of all answers are right leniently and not strictly (before: 0.4 %)." in page
    assert "went from 0.0 % to 30.0 %: the reward is being farmed, or the strict grammar is too narrow" in page
    assert "Right leniently, not strictly while training: from 0 to 0.3." in page


def test_a_gap_that_stays_small_is_no_warning():
    history = [{"step": 1, "reading/gap": 0.02}, {"step": 2}, {"step": 3, "reading/gap": 0.01}, {"reading/gap": "x"}]
    (said,) = readings({"after": {"reading_gap": None}}, history)
    assert said.replace("\u00a0", " ").endswith("not strictly went from 2.0 % to 1.0 %.")
    assert readings({}, []) == readings({"after": {}}, history[:1]) == []


def test_it_needs_nothing_else(whole):
    page = whole.read_text(encoding="utf-8")
    assert not re.findall(r"<(?:link|img|iframe|object|embed|base)\b", page)
    assert not re.findall(r"(?:src|@import|url\()\s*=?\s*[\"']?(?:https?:)?//", page)
    assert "default-src 'none'" in page.replace("&#39;", "'")


def test_pictures_lie_beside_it(whole):
    names = {path.name for path in (whole.parent / "plots").iterdir()}
    stems = ("score", "outcomes", "risk-coverage", "reliability", "threshold", "training-rl-01-reward")
    assert {f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")} <= names


def test_the_table_has_every_number(whole):
    page = whole.read_text(encoding="utf-8")
    rows = re.findall(r'<tr class="([\w ]*)"><th scope="row">([\d.]*)</th>(.*?)</tr>', page)
    assert [(classes.split()[0], target) for classes, target, _ in rows] == [
        ("before", "0"), ("after", ""), ("before", "0.5"), ("after", ""), ("before", "0.9"), ("after", "")
    ]  # fmt: skip
    cells = re.findall(r"<td[^>]*>(.*?)</td>", rows[3][2].replace("\u00a0", " "))
    assert cells[:5] == ["after", "70.0 %", "15.0 %", "15.0 %", "50.0 %"] and cells[5].startswith("0.000 <small>")


def judged(run: Path, kind: str = "no better", words: str = "No better than SFT alone; ±0.") -> None:
    """What a run of the present version leaves besides: what was measured after SFT, and a verdict."""
    for name in ("metrics.json", "records.jsonl"):
        write_text(run / "sft" / name, (run / name).read_text())
    metrics = json.loads((run / "metrics.json").read_text())
    verdict = {"kind": kind, "words": words, "further": ["Mean regret: 0.4 before, 0.1 after sft, 0.1 after rl."]}
    write_text(run / "metrics.json", json.dumps(metrics | {"conclusion": verdict}))


def test_each_stage_has_its_rows_bars_and_line(tmp_path):
    run = make_run(tmp_path / "run")
    judged(run)
    page = page_of(run).replace("\u00a0", " ")
    labels = re.findall(r'<td class="name">([\w ]+)</td>', page)
    assert labels == ["before", "after sft", "after rl"] * 3
    bars = re.search(r'aria-label="(Shares of the questions[^"]*)"', page)[1]
    assert bars.count("after sft: ") == bars.count("after rl: ") == bars.count("before: ") == 3
    assert "after sft: 0.00 at" not in page and "after sft: " in re.search(r'aria-label="(Score ag[^"]*)"', page)[1]
    assert embedded(page)["sides"] == ["before", "after"], "answers side by side are those of the two ends"


@pytest.mark.usefixtures("no_drawing")
def test_what_went_wrong_is_the_headline_and_what_went_well_stands_below_it(tmp_path):
    run = make_run(tmp_path / "run")
    judged(run, words="No better than <b>SFT</b> alone.")
    page = page_of(run)
    assert "<h1>No better than &lt;b&gt;SFT&lt;/b&gt; alone.</h1>" in page and 'verdict-line"' not in page
    assert page.index("Told to answer only if more than 0.5 sure") < page.index("Mean regret: 0.4 before")
    judged(run, "better", "Better than SFT alone.")
    page = page_of(run)
    assert re.search(r"<h1>Told to answer .*</h1>\n<p class=\"verdict-line\">Better than SFT alone.</p>", page)
    assert "than the oracle, which" not in page, "regret is told once"


@pytest.mark.usefixtures("no_drawing")
@pytest.mark.parametrize("conclusion", [3, {"words": 3}, {"words": "x"}, {"words": "x", "further": {}}, []])
def test_a_damaged_verdict_is_none(tmp_path, conclusion):
    run = make_run(tmp_path / "run")
    metrics = json.loads((run / "metrics.json").read_text())
    write_text(run / "metrics.json", json.dumps(metrics | {"conclusion": conclusion}))
    assert "<h1>Told to answer only if more than 0.5 sure" in page_of(run)


@pytest.mark.usefixtures("no_drawing")
def test_calibration_that_gets_worse_is_explained(tmp_path):
    run = make_run(tmp_path / "run")
    assert "ECE has grown" not in page_of(run)
    metrics = json.loads((run / "metrics.json").read_text())
    write_text(run / "metrics.json", json.dumps(metrics | {"ece": 0.9}))
    assert "ECE has grown: a model that was trained to abstain says what it knows by whether" in page_of(run)


@pytest.mark.usefixtures("no_drawing")
def test_the_line_that_repeats_a_run_is_typed_where_the_report_was_made(tmp_path, monkeypatch):
    run = make_run(tmp_path / "runs" / "my run")
    monkeypatch.chdir(tmp_path)
    assert "abstain train &#39;runs/my run/recipe.yaml&#39; output_dir=NEW" in page_of(run)
    assert "abstain train &#39;runs/my run/recipe.yaml&#39; output_dir=NEW" in page_of(Path("runs/my run"))
    monkeypatch.chdir(run)
    assert "abstain train recipe.yaml output_dir=NEW" in page_of(Path())
    monkeypatch.chdir("/")
    monkeypatch.chdir(tmp_path / "runs" / "my run" / "rl")
    assert "abstain train &#39;my run/recipe.yaml&#39; output_dir=NEW" in page_of(run), "no path of this machine"
    assert str(tmp_path) not in page_of(run)


def test_a_report_is_written_elsewhere_if_wanted(tmp_path):
    run = make_run(tmp_path / "run", complete=["before"])
    assert write_report(run, tmp_path / "out") == tmp_path / "out" / "report.html"
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("complete", "says"),
    [
        (
            [],
            ["Nothing has been measured yet", "starting model has not been", "rl has not got to its first checkpoint"],
        ),
        (["before"], ["Not trained yet", "stage sft has not", "trained model has not been measured"]),
        (["before", "sft"], ["Not trained yet", "rl is not finished: 20 of 30 steps", "Reinforcement learning"]),
    ],
)
@pytest.mark.usefixtures("no_drawing")
def test_an_unfinished_run_shows_what_is_there(tmp_path, complete, says):
    page = page_of(make_run(tmp_path / "run", complete=complete))
    assert all(one in page for one in says) and "Not finished" in page
    assert ('id="examples-data"' in page) == ("before" in complete)


@pytest.mark.usefixtures("no_drawing")
def test_results_of_eval_are_no_unfinished_run(tmp_path):
    run = make_run(tmp_path / "run")
    for name in ("recipe.yaml", "state.json", "before/metrics.json", "before/records.jsonl", "before/start.json"):
        (run / name).unlink()
    page = page_of(run)
    assert "Not finished" not in page and "is right on 15.0" in page and embedded(page)["sides"] == ["after"]


CORRUPT = {
    "metrics.json": ["{", "[]", '{"by_target": [3]}', '{"by_target": [{"target": "x"}]}', "\x00"],
    "records.jsonl": ['{"id": 1}', "{" * 100_000, "not json"],
    "recipe.yaml": ["a: [", "&a [*a]"],
    "state.json": ["{"],
    "before/start.json": ["[]", '{"model": 1}'],
    "rl/trainer_state.json": ["{}", "oops"],
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in CORRUPT.items() for text in texts])
def test_a_corrupt_file_is_named_and_the_rest_is_shown(tmp_path, name, text):
    run = make_run(tmp_path / "run")
    write_text(run / name, text)
    found = read_run(run)
    assert len(found.broken) == 1 and found.broken[0].startswith(f"{name}:"), found.broken
    assert str(tmp_path) not in found.broken[0]
    assert ("before" in found.metrics) and ("before" in found.records), "what is whole is read"


def test_a_page_of_damaged_files_is_still_a_page(tmp_path):
    run = make_run(tmp_path / "run")
    for name in ("metrics.json", "recipe.yaml", "before/start.json", "rl/trainer_state.json"):
        (run / name).write_bytes(b"\xff\xfe{")
    page = page_of(run)
    assert page.count("<li>") >= 4 and "Could not be read" in page and 'id="examples-data"' in page


@pytest.mark.usefixtures("no_drawing")
def test_hostile_answers_are_text(tmp_path):
    run = make_run(tmp_path / "run", said="hostile")
    write_text(run / "recipe.yaml", RECIPE.replace("torch: 2", f'"{MARK}": 2').replace("name: toy", f'name: "{MARK}"'))
    page = page_of(run)
    assert len(page.encode("utf-8")) < 1_000_000
    assert len(re.findall("<script", page)) == 2 and page.count("</script>") == 2, "the data and our own script"
    assert "\u202e" not in page and "\x00" not in page and "\x1b" not in page
    assert "‹U+202E›esrever" in page and "(1,000,000 characters)" in page
    said = {embedded(page)["strings"][place] for place in embedded(page)["rows"]["before"]["said"]}
    assert HOSTILE[0] in said, "as it was written"


def test_more_answers_than_fit_are_left_out_evenly():
    rows = [Record(f"q{i}", "toy", f"{i} {'w' * 300}", ("g",), t, "", "a", "a", Verdict.CORRECT, None)
            for i in range(300) for t in TARGETS]  # fmt: skip
    found = examples({"after": rows}, budget=60_000)
    assert len(as_json(found).encode()) <= 60_000
    kept = [int(found["strings"][question].split()[0]) for question, _ in found["questions"]]
    assert found["asked"] == 300 and 80 < len(kept) < 200
    assert kept == sorted(kept) and max(b - a for a, b in pairwise(kept)) <= 5
    assert len(found["rows"]["question"]) == len(kept) * len(TARGETS)


def test_a_side_that_was_not_asked_is_shown_as_such():
    before = [Record("q", "toy", "Q?", (), 0.5, "", "a", "a", Verdict.CORRECT, 0.4)]
    after = [*before, Record("r", "toy", "R?", (), 0.9, "", " b ", "", Verdict.UNGRADED, None)]
    rows = examples({"before": before, "after": after})["rows"]
    assert rows["before"]["verdict"] == [0, -1] and rows["after"]["verdict"] == [0, 3]
    assert rows["after"]["confidence"] == [40, -1] and rows["after"]["completion"] == [-1, -1]


def test_long_texts_are_cut_before_anything_else():
    assert len(shown("\x00" * 5_000_000)) < LONGEST["completion"] + 40


BEFORE = {"target": 0.5, "correct": 0.5, "incorrect": 0.5, "abstained": 0.0, "ungraded": 0.0}


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ({"correct": 0.4, "incorrect": 0.1, "abstained": 0.5}, "keeps 80 % of its right answers."),
        ({"correct": 0.6, "incorrect": 0.1, "abstained": 0.3}, "right on 60.0 % instead of 50.0 %."),
        ({"correct": 0.4, "incorrect": 0.6, "abstained": 0.0}, "is no less often wrong: on 60.0 % of the questions"),
        ({"correct": 0.0, "incorrect": 0.0, "abstained": 1.0}, "says “I don't know” to nearly everything"),
    ],
)
def test_the_headline_is_honest(after, says):
    metrics = {"before": {"by_target": [BEFORE]}, "after": {"by_target": [{**BEFORE, **after}]}}
    assert says in headline(metrics).replace("\u00a0", " ")


@pytest.mark.usefixtures("no_drawing")
@pytest.mark.parametrize(
    ("instruct", "says"),
    [
        ("target", "Told to answer only if more than 0.5 sure, it"),
        ("nothing", "Told nothing, and scored at t = 0.5, it"),
        ("confidence", "Where only answers count that it says it is more than 0.5 sure of, it"),
    ],
)
def test_the_headline_says_what_the_prompt_said(save_evaluation, tmp_path, instruct, says):
    """From the files that an evaluation leaves."""
    save_evaluation(tmp_path / "before", instruct=instruct)
    run = read_run(save_evaluation(tmp_path, instruct=instruct))
    assert run.metrics.keys() == {"before", "after"} and headline(run.metrics).startswith(says)
    assert f"<h1>{says}" in page_of(tmp_path)


def test_doubts_are_told():
    row = {**BEFORE, "target": 0.5, "ungraded": 0.25}
    metrics = {"after": {"by_target": [row, BEFORE], "mean_regret": None, "oracle": None, "truncated": 0.1}}
    text = " ".join(further(metrics)).replace("\u00a0", " ")
    assert "25.0 % of its answers to a target could not be graded" in text and "10.0 % of the completions" in text


def test_what_is_no_run_is_refused(tmp_path):
    make_run(tmp_path / "runs" / "toy-3", complete=[])
    with pytest.raises(FileNotFoundError, match=r"toy-4'. Did you mean 'toy-3'\?"):
        write_report(tmp_path / "runs" / "toy-4")
    with pytest.raises(ValueError, match=r"neither a run nor a sweep.*Did you mean .*toy-3\?"):
        write_report(tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"it has none of sweep\.json, state\.json"):
        write_report(tmp_path / "empty")
