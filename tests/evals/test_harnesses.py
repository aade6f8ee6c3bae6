"""What the plug-ins share, the rows of benchmarks, and the lm-eval tasks as far as they need no harness."""

import importlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.harnesses import open_rubric
from abstain.evals.harnesses.benchmarks import READERS, Asked, bbh, gpqa
from abstain.evals.harnesses.stated_targets import (
    TARGETS,
    points,
    rates,
    read_targets,
    read_value,
    scores_by_target,
)
from abstain.evals.logs.batch import stated_target
from abstain.evals.metrics.measuring import counts_row
from abstain.evals.rescore.rescoring import rescore
from abstain.evals.tasks.columns import answers_of
from abstain.evals.tasks.question import with_choices
from abstain.rewards.graders import GRADERS
from abstain.rewards.grading import grade
from abstain.rewards.verdict import Verdict

TASKS = Path(open_rubric.__file__).parent / "lm_eval"
C, W, A, U = Verdict


class TestNumbers:
    @given(st.lists(st.sampled_from([C, W, A]), min_size=1), st.sampled_from(TARGETS))
    def test_they_are_those_of_the_table(self, verdicts: list[Verdict], target: float) -> None:
        row = counts_row({one: verdicts.count(one) for one in Verdict}, target)
        assert scores_by_target([(one, target) for one in verdicts])[f"score_t{target:g}"] == pytest.approx(
            row["score"]
        )
        found = rates(verdicts)
        for name in ("correct", "incorrect", "abstained"):
            assert found[name] == pytest.approx(row[name])
        attempted = math.nan if row["accuracy_attempted"] is None else row["accuracy_attempted"]
        assert found["accuracy_attempted"] == pytest.approx(attempted, nan_ok=True)

    def test_without_stated_targets_it_is_a_penalty_curve_and_says_so(self) -> None:
        found = scores_by_target([(C, None), (W, None), (A, None), (U, None)], [0, 0.5, 0.9])
        assert found == pytest.approx({"penalty_t0": 1 / 3, "penalty_t0.5": 0.0, "penalty_t0.9": (1 - 9) / 3})

    def test_each_score_takes_the_answers_given_under_its_target(self) -> None:
        graded = [(W, 0.0), (C, 0.0), (W, 0.75), (A, 0.75), (C, None)]
        assert scores_by_target(graded) == {"score_t0": 0.5, "score_t0.75": -1.5}

    def test_nothing_graded_is_no_number(self) -> None:
        assert all(math.isnan(value) for value in (rates([U]) | scores_by_target([(U, 0.5)], [0.5])).values())

    @pytest.mark.parametrize("bad", ["", "0.5,1", [], "high", None, "50"])
    def test_bad_targets_are_refused(self, bad: Any) -> None:
        with pytest.raises(ValueError, match="target"):
            read_targets(bad)

    def test_values_of_other_scorers(self) -> None:
        values = ["C", "I", "P", "N", True, 0.5, 0, "?", {"correct": 1}, {"correct": 0, "incorrect": 1}, None]
        assert [read_value(value) for value in values] == [C, W, W, A, C, W, W, U, C, W, U]

    def test_a_question_without_choices_is_left_alone(self) -> None:
        assert with_choices("Who?\n", []) == "Who?\n"


BENCHMARKS = json.loads((Path(__file__).parents[1] / "golden" / "benchmark_rows.json").read_text(encoding="utf-8"))
ROWS: dict[str, dict[str, Any]] = {name: one["row"] for name, one in BENCHMARKS.items()}


def write_rows(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", READERS)
class TestBenchmarks:
    def test_a_row_is_asked_answered_and_graded(self, name: str, tmp_path: Path) -> None:
        data = write_rows(tmp_path / "rows.jsonl", ROWS[name])
        rows = list(open_rubric.load({"reader": name}, data=str(data), targets=[0.0, 0.9])["test"])
        assert [row["target"] for row in rows] == [0.0, 0.9]
        assert [stated_target(row["prompt"]) for row in rows] == [0.0, 0.9]
        for said, verdict in ((BENCHMARKS[name]["right"], C), ("Answer: I don't know", A), ("Answer: Tacna, or 7", W)):
            assert open_rubric.process_results(rows[1], [said])["verdict"] == verdict

    def test_a_missing_column_is_named_with_its_line(self, name: str, tmp_path: Path) -> None:
        data = write_rows(tmp_path / "rows.jsonl", {"title": "no question"})
        with pytest.raises(ValueError, match=r"rows\.jsonl:1: no .*column.*(title|Allowed)"):
            open_rubric.load({"reader": name}, data=str(data))


class TestRows:
    @pytest.mark.parametrize("bad", [{"answer_index": 7}, {"options": "Lima"}, {"answer_index": None}])
    def test_choices_that_cannot_be_are_named_with_their_line(self, bad: dict[str, Any], tmp_path: Path) -> None:
        data = write_rows(tmp_path / "rows.jsonl", ROWS["mmlu_pro"], ROWS["mmlu_pro"] | bad)
        with pytest.raises(ValueError, match=r"rows\.jsonl:2: "):
            open_rubric.load({"reader": "mmlu_pro"}, data=str(data))

    def test_the_order_of_gpqa_is_always_the_same_and_not_always_one(self) -> None:
        rows = [ROWS["gpqa"] | {"Question": f"Question {number}?"} for number in range(40)]
        letters = [gpqa(row).gold[0] for row in rows]
        assert letters == [gpqa(row).gold[0] for row in rows] and set(letters) == set("ABCD")

    def test_easy_mathematics_is_left_out(self, tmp_path: Path) -> None:
        data = write_rows(tmp_path / "rows.jsonl", ROWS["math"] | {"level": "Level 1"}, ROWS["math"])
        assert len(open_rubric.load({"reader": "math"}, data=str(data))["test"]) == len(TARGETS)

    @pytest.mark.parametrize(
        ("target", "right", "wrong"),
        [
            ("] >", "] >", "> ]"),
            ("-12", "Answer: -12", "Answer: 12"),
            ("valid", "The argument is valid.", "invalid"),
            ("apple bear", "apple bear", "bear apple"),
            ("No", "Answer: No", "Answer: Yes"),
        ],
    )
    def test_what_big_bench_asks_for(self, target: str, right: str, wrong: str) -> None:
        asked = bbh({"input": "?", "target": target})
        assert [grade(said, asked.gold, asked.grader) for said in (right, wrong)] == [C, W]


class TestLoading:
    def test_questions_stay_together_so_that_a_limit_cuts_between_them(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # nobody is asked for a card of "tiny"
        data = write_rows(tmp_path / "rows.jsonl", ROWS["qa"], ROWS["qa"] | {"question": "Capital of Chile?"})
        rows = open_rubric.load({"reader": "qa"}, data=str(data), targets="0.5,0.9", pretrained="tiny", version=1.0)
        assert [(row["question_id"], row["target"]) for row in rows["test"]] == [
            *(("0", 0.5), ("0", 0.9)),
            *(("1", 0.5), ("1", 0.9)),
        ]

    def test_a_model_can_be_asked_in_the_prompt_it_was_trained_on(self, tmp_path: Path) -> None:
        data = str(write_rows(tmp_path / "rows.jsonl", ROWS["qa"]))
        rows = open_rubric.load({"reader": "qa"}, data, [0.5], template="Q: {question}\n{instruction}\nA:")["test"]
        assert rows[0]["prompt"].startswith(f"Q: {ROWS['qa']['question']}\nAnswer only if you are > 0.5 confident")
        assert rows[0]["prompt"].endswith("0 points.\nA:")
        with pytest.raises(ValueError, match=r"'\{question\}' lacks \{instruction\}"):
            open_rubric.load({"reader": "qa"}, data, template="{question}")

    def test_the_question_and_how_to_read_reach_the_grader(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str, str]] = []

        def grade_it(answer: str, gold: list[str], question: str = "", reading: str = "lenient") -> Verdict:
            asked.append((question, reading))
            return C

        monkeypatch.setitem(GRADERS, "match", grade_it)
        data = str(write_rows(tmp_path / "rows.jsonl", ROWS["qa"]))
        for read in ({}, {"reading": "strict", "answer_format": "last_line"}):
            (row,) = open_rubric.load({"reader": "qa"}, data, [0.5], **read)["test"]  # type: ignore[arg-type]
            assert open_rubric.process_results(row, ["Cusco"])["verdict"] == "CORRECT"
        assert row["answer_format"] == "last_line"
        open_rubric.process_results({"gold": ["Lima"], "grader": "match", "target": 0.5}, ["Lima"])  # an older log's
        assert asked == [(ROWS["qa"]["question"], "lenient"), (ROWS["qa"]["question"], "strict"), ("", "lenient")]
        with pytest.raises(ValueError, match="Did you mean 'strict'"):
            open_rubric.load({"reader": "qa"}, data, reading="strickt")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="Did you mean 'boxed'"):
            open_rubric.load({"reader": "qa"}, data, answer_format="box")  # type: ignore[arg-type]

    def test_a_wrong_reader_is_answered_with_the_nearest(self) -> None:
        with pytest.raises(ValueError, match="Did you mean 'simpleqa'"):
            open_rubric.load({"reader": "simpelqa", "hub": "x", "splits": ["test"]})

    def test_questions_of_ones_own_need_a_file(self) -> None:
        with pytest.raises(ValueError, match="--metadata"):
            open_rubric.load({"reader": "qa"})

    def test_the_hub_is_asked_for_the_wanted_parts_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def load_dataset(hub: str, config: str | None, split: str) -> list[dict[str, Any]]:
            asked.append((hub, config, split))
            return [ROWS["bbh"]]

        monkeypatch.setattr("datasets.load_dataset", load_dataset)
        source = {"reader": "bbh", "hub": "SaylorTwift/bbh", "configs": ["navigate", "snarks"], "splits": ["test"]}
        rows = open_rubric.load(source, targets=[0.5])["test"]
        assert asked == [("SaylorTwift/bbh", config, "test") for config in ("navigate", "snarks")]
        assert [row["question_id"] for row in rows] == ["0", "1"]

    @given(st.sampled_from(list(Verdict)), st.sampled_from(TARGETS))
    def test_an_answer_has_one_outcome_and_its_points(self, verdict: Verdict, target: float) -> None:
        said = {C: "Lima", W: "Quito", A: "I don't know", U: "Lima"}[verdict]
        doc = {"gold": [] if verdict is U else ["Lima"], "grader": "match", "target": target}
        found = open_rubric.process_results(doc, [said])
        t = f"t{target:g}"
        assert found.pop("verdict") == verdict and found.pop(f"score_{t}") == points(verdict, target)
        assert sum(found.values()) == (verdict is not U)


class Loader(yaml.SafeLoader):
    """Reads `!function x.y` as the text `x.y`."""


Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


def read_task(path: Path) -> dict[str, Any]:
    task = yaml.load(path.read_text(encoding="utf-8"), Loader)  # a SafeLoader
    return (read_task(path.parent / task.pop("include")) if "include" in task else {}) | task


class TestTasks:
    NAMES = sorted(path.stem for path in TASKS.glob("abstain_*.yaml"))

    def test_table_2_is_covered_as_far_as_answers_are_short(self) -> None:
        wanted = ["bbh", "gpqa", "math_hard", "mmlu_pro", "musr", "nq_open", "qa", "simpleqa", "triviaqa"]
        assert [f"abstain_{name}" for name in wanted] == self.NAMES

    @pytest.mark.parametrize("name", NAMES)
    def test_a_task_says_where_its_questions_are_and_what_is_measured(self, name: str) -> None:
        task = read_task(TASKS / f"{name}.yaml")
        source = task["dataset_kwargs"]["source"]
        assert task["task"] == name and source["reader"] in READERS
        assert name == "abstain_qa" or ("/" in source["hub"] and source["splits"])
        assert set(source) <= {"reader", "hub", "configs", "splits"}
        measured = [metric["metric"] for metric in task["metric_list"]]
        doc = {"gold": ["x"], "grader": "match"}
        keys = [key for t in TARGETS for key in open_rubric.process_results(doc | {"target": t}, ["x"])]
        assert measured == list(dict.fromkeys(keys))

    @pytest.mark.parametrize("name", NAMES)
    def test_the_functions_it_names_are_there(self, name: str) -> None:
        task = read_task(TASKS / f"{name}.yaml")
        named = [task["custom_dataset"], task["process_results"], task["metric_list"][0]["aggregation"]]
        for module, _, function in (text.rpartition(".") for text in named):
            assert callable(getattr(importlib.import_module(module), function))


def test_every_grader_that_is_asked_for_is_there() -> None:
    asked = [one for name, row in ROWS.items() for one in READERS[name](_table(row))]
    assert {one.grader for one in asked} <= set(GRADERS)
    assert all(isinstance(one, Asked) and answers_of(list(one.gold)) for one in asked)


def _table(row: dict[str, Any]) -> Any:
    from abstain.evals.tasks.rows import SourceRow, Table

    return Table("rows", "", (SourceRow("rows:1", row),))


class TestLogs:
    """Logs that both harnesses wrote here with these plug-ins (the targets 0.5 and 0.75 of lm-eval's are left out)."""

    @pytest.mark.parametrize("log", sorted((Path(__file__).parents[1] / "golden" / "harnesses").iterdir()))
    def test_they_are_read_as_answers_to_stated_targets(self, log: Path) -> None:
        (metrics,) = rescore([log]).metrics
        assert metrics["level"] == 3
        rows = {row["target"]: row for row in metrics["by_target"]}
        assert [(rows[t]["n"], rows[t]["score"], rows[t]["abstained"]) for t in (0.0, 0.9)] == [
            *((4, 0.25, 0.0), (4, 0.25, 0.75)),
        ]
