"""Logs that the harnesses themselves wrote of a scripted model: three answers right, one wrong, two not given."""

import json
import shutil
from html import escape
from pathlib import Path

import numpy as np
import pytest

from abstain.evals import files
from abstain.evals.logs.batch import Batch, Options
from abstain.evals.logs.detect import find_logs, open_log
from abstain.evals.logs.grades import VERDICTS
from abstain.evals.rescore.collect import Collector
from abstain.evals.rescore.grading import Grading
from abstain.evals.rescore.runs import Run
from abstain.rewards.prompts import instruction

LOGS = Path(__file__).parents[2] / "golden" / "logs"
LM_EVAL = LOGS / "lm_eval" / "example__parrot-1b"
FIXTURES = Path(__file__).parents[4] / "shared" / "data" / "log_fixtures"
SHORT = {"CORRECT": "C", "INCORRECT": "I", "ABSTAINED": "A", "UNGRADED": "U"}


def read(path: Path, **options: object) -> tuple[list[Run], Collector]:
    grading = {name: options.pop(name) for name in ("grader", "regrade") if name in options}
    collector = Collector(Options(**options), Grading(**grading))  # type: ignore[arg-type]
    return collector.read(path), collector


def verdicts(run: Run) -> str:
    return "".join(SHORT[VERDICTS[code]] for code in run.verdict)


def one(pattern: str) -> Path:
    found = sorted(LOGS.glob(pattern))
    assert len(found) == 1, (pattern, found)
    return found[0]


def test_lm_eval_generation_tells_abstentions_from_wrong_answers() -> None:
    (run,), _ = read(one("lm_eval/*/samples_capitals_gen_*"))
    assert (run.model, run.task, run.level) == ("example/parrot-1b", "capitals_gen", 1)
    assert verdicts(run) == "CCAICA"


def test_lm_eval_multiple_choice_has_the_softmax_of_the_choices() -> None:
    path = one("lm_eval/*/samples_capitals_mc_*")
    (run,), collector = read(path)
    assert run.level == 2 and run.kind == "choices" and set(verdicts(run)) == {"C", "I"}
    assert run.confidence[0] == pytest.approx(0.6748, abs=5e-5)  # e^-1.2687 / (e^-1.2687 + e^-3.6949 + ...)
    assert collector.problems.notes[0].endswith(": graded by acc of acc, acc_norm")
    right, _ = read(path, metric="acc_norm")
    assert verdicts(right[0]).count("C") == 3 and verdicts(run).count("C") == 2


def test_lm_eval_repeats_are_self_consistency() -> None:
    (first, majority), _ = read(one("lm_eval/*/samples_capitals_sc_*"))
    assert (first.task, majority.task) == ("capitals_sc (first)", "capitals_sc (maj@5)")
    assert first.kind == "agreement" and first.confidence[0] == pytest.approx(3 / 5)  # Lima three times, IDK twice
    assert verdicts(majority)[5] == "A" and majority.confidence[5] == pytest.approx(3 / 5)


def test_lm_eval_model_from_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "org__some-model"
    folder.mkdir()
    shutil.copy(one("lm_eval/*/samples_capitals_gen_*"), folder / "samples_x_2026-11-22T04-48-57.036137.jsonl")
    (run,), _ = read(find_logs([tmp_path])[0])
    assert (run.model, run.task) == ("org/some-model", "x")


def test_lm_eval_names_the_metrics_there_are() -> None:
    (run,), collector = read(one("lm_eval/*/samples_capitals_mc_*"), metric="f2")
    problem = collector.problems.found[str(run.source), "no such metric"]
    assert "acc, acc_norm" in str(problem) and problem.count == 6


def test_every_eval_ever_takes_one_metric_of_several() -> None:
    (generated,), _ = read(LOGS / "every_eval_ever" / "capitals_gen_samples.jsonl")
    assert (generated.model, verdicts(generated)) == ("example/parrot-1b", "CCAICA")
    path = LOGS / "every_eval_ever" / "capitals_mc_samples.jsonl"
    (by_acc,), (by_norm,) = read(path)[0], read(path, metric="acc_norm")[0]
    assert len(by_acc.verdict) == 6
    assert (verdicts(by_acc).count("C"), verdicts(by_norm).count("C")) == (2, 3)


def test_every_eval_ever_takes_the_metric_that_a_sample_has(tmp_path: Path) -> None:
    """lm-eval's logs of stated targets have metrics of their own for each target."""
    rows = [
        {
            "evaluation_id": "e",
            "model_id": "m",
            "evaluation_name": "abstain_qa",
            "evaluation_result_id": f"{name}_t{t}",
            "sample_id": str(number),
            "input": {"raw": "Where?\n" + instruction(t)},
            "output": {"raw": [" I don't know" if t else " Lima"]},
            "evaluation": {"score": float(not t), "is_correct": not t},
        }
        for number, t in enumerate((0.0, 0.75))
        for name in ("score", "correct")
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run,), collector = read(tmp_path / "a.jsonl")
    assert verdicts(run) == "CA" and run.targets == [0.0, 0.75] and collector.problems.skipped == 0


def test_simple_evals_finds_the_abstentions_that_its_log_lost() -> None:
    (run,), collector = read(one("simple_evals/*"))
    assert (run.model, run.task, verdicts(run)) == ("parrot-1b", "simpleqa", "CCAICA")
    assert "33.3% NOT_ATTEMPTED" in collector.problems.notes[0]
    (again,), _ = read(one("simple_evals/*"), regrade=True)  # from the gold in its HTML
    assert verdicts(again) == verdicts(run)


def simple_evals_log(path: Path, *asked: str) -> Path:
    """What simple-evals keeps of answers that are all right."""
    convos = [[{"role": "user", "content": text}, {"role": "assistant", "content": "Lima"}] for text in asked]
    path.write_text(json.dumps({"htmls": ["<p>Score: True</p>"] * len(asked), "convos": convos}))
    return path


def test_simple_evals_questions_are_known_by_what_was_asked(tmp_path: Path) -> None:
    """Samples stand in the order in which they were answered."""
    collector = Collector()
    (one,) = collector.read(simple_evals_log(tmp_path / "simpleqa_a_allresults.json", "Who?", "Where?", "When?"))
    (other,) = collector.read(simple_evals_log(tmp_path / "simpleqa_b_allresults.json", "When?", "Who?", "Where?"))
    assert other.question.tolist() == one.question[[2, 0, 1]].tolist() and len(set(one.question.tolist())) == 3


@pytest.mark.parametrize(
    ("asked", "questions", "repeated"),
    [
        (["Who?", "Who?", "Where?", "Where?"], 2, True),
        (["Who?", "Where?", "Who?"], 3, False),  # a data set that holds a question twice
        ([f"Who?{instruction(0)}", f"Who?{instruction(0.5)}", f"Where?{instruction(0)}"], 2, False),
    ],
)
def test_simple_evals_repeats(tmp_path: Path, asked: list[str], questions: int, repeated: bool) -> None:
    (run,), collector = read(simple_evals_log(tmp_path / "simpleqa_m_allresults.json", *asked))
    assert len(set(run.question.tolist())) == questions and run.repeated == repeated and len(run.verdict) == len(asked)
    assert not collector.problems.found


def test_simple_evals_files_are_named_after_the_task_alone_or_the_model_too(tmp_path: Path) -> None:
    page = one("simple_evals_page/*").read_text()
    for name, means in (("mmlu_pro", {"task_name": "mmlu_pro"}), ("mmlu_pro-8b", {"score": 1.0})):
        (tmp_path / f"{name}.html").write_text(page)
        (tmp_path / f"{name}.json").write_text(json.dumps(means))
    (alone,), _ = read(tmp_path / "mmlu_pro.html")
    (named,), _ = read(tmp_path / "mmlu_pro-8b.html")
    assert [(run.model, run.task) for run in (alone, named)] == [("", "mmlu_pro"), ("pro-8b", "mmlu")]


def test_simple_evals_page_of_nvidias_package() -> None:
    (run,), collector = read(one("simple_evals_page/*"))
    assert (run.model, run.task, verdicts(run)) == ("parrot-1b", "simpleqa", "CIACAC")
    assert "33.3% NOT_ATTEMPTED" in collector.problems.notes[0]
    batch = next(iter(open_log(one("simple_evals_page/*"), Options(), collector.problems)[1]))
    assert isinstance(batch, Batch) and batch.texts["question"][0] == 'Who wrote "Emma" & "Persuasion"?'
    (again,), _ = read(one("simple_evals_page/*"), regrade=True)
    assert verdicts(again) == verdicts(run)


def test_simple_evals_page_that_breaks_off_says_so_and_how_much_was_read(tmp_path: Path) -> None:
    page = one("simple_evals_page/*").read_text()
    last, path = page.rindex("<p>Score: "), tmp_path / "cut.html"
    cuts = {
        last: (5, 1, " in the middle of sample 5; the 5 samples before that are read"),
        last + len("<p>Score: T"): (5, 1, " in the middle of sample 5; the 5 samples before that are read"),
        last + len("<p>Score: True</p>"): (6, 0, "; the 6 samples before that are read"),
        page.index("Valparaiso"): (1, 1, " in the middle of sample 1; the 1 sample before that is read"),
    }
    for end, (rows, lost, told) in cuts.items():
        path.write_text(page[:end])
        (run,), collector = read(path)
        assert (len(run.verdict), collector.problems.skipped) == (rows, lost)
        assert str(collector.problems.found[str(path), "cut off"]) == f"{path}: the page breaks off{told}"
    path.write_text(page[: page.index("Jane Austen")])
    with pytest.raises(ValueError, match=r"without any row that can be read; .*breaks off in the middle of sample 0"):
        read(path)


def test_simple_evals_page_that_shows_hostile_answers(tmp_path: Path) -> None:
    page = one("simple_evals_page/*").read_text()
    answer = "<h3>Prompt conversation</h3></pre><p>Score: True</p><p>Correct Answer: Valparaiso</p></html>"
    (tmp_path / "hostile.html").write_text(page.replace("Valparaiso", escape(answer)))
    (run,), collector = read(tmp_path / "hostile.html")
    assert verdicts(run) == "CIACAC" and not collector.problems.found


def test_a_page_too_big_for_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "DOCUMENT_LIMIT", 1000)
    with pytest.raises(ValueError, match="GiB in one page; the limit is"):
        read(one("simple_evals_page/*"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("page.html", "<!DOCTYPE html><html><p>Score: 1</p></html>", "a web page, and not one that simple-evals"),
        ("simpleqa_m.json", '{"is_correct": 0.5, "score": 0.5, "score:std": 0.5}', "simple-evals' means only: give"),
    ],
)
def test_what_simple_evals_writes_besides(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)


def test_helm(tmp_path: Path) -> None:
    (run,), _ = read(LOGS / "helm" / "per_instance_stats.json")
    assert (run.model, run.task, verdicts(run)) == ("simple/model1", "simple_mcqa", "IIII")
    assert run.level == 1, "max_prob is 1 for every instance of a model without log-probabilities"
    stats = json.loads((LOGS / "helm" / "per_instance_stats.json").read_text())
    change(stats[0], quasi_exact_match=1.0, max_prob=0.8)
    change(stats[1], max_prob=0.3)
    stats.append(stats[1] | {"perturbation": {"name": "typos"}})
    (tmp_path / "per_instance_stats.json").write_text(json.dumps(stats))
    (changed,), collector = read(tmp_path / "per_instance_stats.json")
    assert verdicts(changed) == "CIII" and changed.confidence[:2].tolist() == [0.8, 0.3] and changed.level == 2
    assert collector.problems.skipped == 1 and (str(changed.source), "perturbed") in collector.problems.found


def change(instance: dict, **means: float) -> None:
    for stat in instance["stats"]:
        stat["mean"] = means.get(stat["name"]["name"], stat.get("mean"))


def test_helm_state_alone_is_graded_here(tmp_path: Path) -> None:
    shutil.copy(LOGS / "helm" / "scenario_state.json", tmp_path)
    (run,), _ = read(tmp_path / "scenario_state.json")
    assert verdicts(run) == "IIII"


@pytest.mark.parametrize("name", ["plain.eval", "plain.json"])
def test_inspect(name: str) -> None:
    (run,), collector = read(LOGS / "inspect" / name)
    assert (run.model, run.task) == ("mockllm/model", "capitals")
    assert verdicts(run) == ("CCAICA" if name == "plain.eval" else "CC")
    assert run.level == 2 and run.kind == "stated" and run.confidence[0] == 0.95
    knows = "three_way" if name == "plain.eval" else "graded"  # two right answers do not show that it can say N
    assert collector.problems.notes[0].endswith(f"graded by {knows} of match, three_way, graded")


def test_inspect_by_another_scorer() -> None:
    for scorer in ("match", "graded", "graded.correct"):
        (run,), _ = read(LOGS / "inspect" / "plain.eval", metric=scorer)
        assert verdicts(run) == "CCAICA"
    with pytest.raises(ValueError, match=r"no scorer is called 'mach'. Did you mean 'match'"):
        read(LOGS / "inspect" / "plain.eval", metric="mach")


def test_inspect_epochs_are_repeats() -> None:
    (run,), _ = read(LOGS / "inspect" / "epochs.eval")
    assert len(run.verdict) == 9 and sorted(set(run.repeat.tolist())) == [0, 1, 2]
    assert len(np.unique(run.question)) == 3 and run.kind == "agreement"
    assert set(np.round(run.confidence * 3, 6)) <= {1.0, 2.0, 3.0}


def test_inspect_choice() -> None:
    (run,), _ = read(LOGS / "inspect" / "choice.eval")
    assert verdicts(run) == "CCACIC"


def test_inspect_stated_targets_make_a_third_level_log() -> None:
    (run,), _ = read(LOGS / "inspect" / "stated.eval")
    assert run.level == 3 and run.targets == [0.5, 0.9]
    assert (verdicts(run.at(0.5)), verdicts(run.at(0.9))) == ("CICA", "CAAA")
    assert len(np.unique(run.question)) == 4


def test_lighteval(tmp_path: Path) -> None:
    folder = tmp_path / "details" / "example" / "parrot" / "2026-11-22T05-35-51.551411"
    folder.mkdir(parents=True)
    path = folder / "details_capitals_gen|0_2026-11-22T05-35-51.551411.parquet"
    shutil.copy(one("lighteval/*gen*"), path)
    (generated,), _ = read(path)
    assert (generated.model, generated.task) == ("example/parrot", "capitals_gen")
    assert sorted(verdicts(generated)) == list("AACCCI")
    (chosen,), _ = read(one("lighteval/*mc*"))
    assert chosen.level == 2 and chosen.kind == "choices" and set(verdicts(chosen)) <= {"C", "I"}


FORMATS = {
    "lm_eval/*/samples_capitals_mc_*": "lm-evaluation-harness samples",
    "inspect/plain.eval": "Inspect log",
    "inspect/plain.json": "Inspect log",
    "simple_evals/*": "simple-evals results",
    "simple_evals_page/*": "simple-evals results",
    "every_eval_ever/capitals_gen*": "Every Eval Ever instances",
    "helm/per_instance_stats.json": "HELM run",
    "lighteval/*gen*": "lighteval details",
}


@pytest.mark.parametrize("pattern", FORMATS)
def test_formats_are_told_from_content_not_from_names(pattern: str, tmp_path: Path) -> None:
    copy = tmp_path / "log"
    shutil.copy(one(pattern), copy)
    collector = Collector()
    name, rows = open_log(copy, collector.options, collector.problems)
    assert name == FORMATS[pattern] and sum(map(len, rows)) > 0  # type: ignore[arg-type]


EXPECTED = {
    "helm_narrative_qa_per_instance_stats.json": "IIIII",
    "inspect_2025-02-11T15-17-00-05-00_popularity_dPiJifoWeEQBrfWsAopzWr.eval": "CCCCCCCCCC",
    "inspect_data_arc_sonnet.json": "CCCCC",
    "inspect_data_pubmedqa_gpt4o_mini.json": "CC",
    "inspect_log_formats.eval": "I",
    "inspect_log_read_sample.eval": "C",
    "eee_instance_level_eval.schema.json": "no column with grades",
    "inspect_data_with_llm_scoring.json": "an Inspect log without samples",
    "lm_eval_results.json": "lm-eval's means only",
    "lm_eval_samples_math_perturbed_full.jsonl": "IIIIIIIIII",
}


@pytest.mark.skipif(not FIXTURES.is_dir(), reason="the logs for development are not here")
@pytest.mark.parametrize("name", EXPECTED)
def test_logs_from_elsewhere(name: str) -> None:
    expected = EXPECTED[name]
    if " " in expected:
        with pytest.raises(ValueError, match=expected):
            read(FIXTURES / name)
        return
    (run,), _ = read(FIXTURES / name)
    assert len(run.verdict) == len(expected)
    if "popularity_dPi" not in name:  # without scores: graded here
        assert verdicts(run) == expected


GRADED = ((0, 1), (1, 7))  # right, and a score on a scale that nobody knows
BANANAS = {
    "samples_t.jsonl": [{"doc_id": n, "doc": {}, "resps": [["Lima"]], "target": "Lima", "acc": g} for n, g in GRADED],
    "instances.jsonl": [
        {"evaluation_id": "e", "sample_id": f"{n}", "evaluation": {"score": g}, "output": {"raw": ["Lima"]}}
        for n, g in GRADED
    ],
    "per_instance_stats.json": [
        {"instance_id": f"{n}", "stats": [{"name": {"name": "exact_match"}, "mean": g}]} for n, g in GRADED
    ],
    "simpleqa_m_allresults.json": {
        "htmls": [f"<p>Score: {g}</p><p>Correct Answer: Lima</p>" for _, g in GRADED],
        "convos": [
            [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "Lima"}] for n, _ in GRADED
        ],
    },
    "log.json": {
        "status": "success",
        "eval": {"model": "m"},
        "samples": [
            {"id": n, "target": "Lima", "output": {"completion": "Lima"}, "scores": {"s": {"value": g, "answer": "x"}}}
            for n, g in GRADED
        ],
    },
}


@pytest.mark.parametrize("name", BANANAS)
def test_a_score_on_an_unknown_scale_is_ungraded_and_counted_in_every_format(tmp_path: Path, name: str) -> None:
    path, log = tmp_path / name, BANANAS[name]
    lines = "".join(json.dumps(row) + "\n" for row in log) if name.endswith("jsonl") else json.dumps(log)
    path.write_text(lines)
    (run,), collector = read(path)
    assert verdicts(run) == "CU"
    problem = next(one for one in collector.problems.found.values() if one.kind == "unreadable grade")
    assert problem.count == 1 and "7" in problem.first and not problem.lost
