"""What goes wrong in logs of lighteval, HELM and Every Eval Ever: each fault is told with a count, or read rightly."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals.logs.batch import Options
from abstain.evals.rescore.collect import Collector
from abstain.evals.rescore.grading import Grading
from abstain.evals.rescore.rescoring import Rescored, rescore

IDK = "I don't know."
LIMA = "What is the capital of Peru?"


def read(path: Path, *, regrade: bool = False, **options: Any) -> Rescored:
    return rescore([path], [0.5, 0.75], collector=Collector(Options(**options), Grading(regrade=regrade)))


def verdicts(found: Rescored, target: float = 0.5, key: str = "") -> tuple[int, ...]:
    """How many rows are right, wrong, abstained and ungraded."""
    (metrics,) = found.metrics
    row = next(row for row in metrics["by_target"] if row["target"] == target)
    shares = row[key] if key else row
    return tuple(round(shares[name] * row["n"]) for name in ("correct", "incorrect", "abstained", "ungraded"))


def problems(found: Rescored) -> dict[str, int]:
    return {problem.kind: problem.count for problem in found.problems}


# Every Eval Ever


def instance(sample: str | None = "q1", metric: str | None = "exact_match", score: Any = 1.0, **more: Any) -> dict:
    row = {
        "evaluation_id": "e",
        "model_id": "m",
        "evaluation_name": "capitals",
        "evaluation_result_id": metric,
        "sample_id": sample,
        "input": {"raw": LIMA, "reference": ["Lima"], "choices": None},
        "output": {"raw": ["Quito"]},
        "evaluation": {"score": score, "is_correct": score == 1},
        "metadata": {},
    }
    return row | more


def instances(folder: Path, *rows: dict) -> Path:
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "log.jsonl"


class TestEveryEvalEver:
    def test_a_metric_that_says_right_or_wrong_goes_before_one_that_measures(self, tmp_path: Path) -> None:
        overlap = {"score": 0.5, "is_correct": False}
        rows = [
            instance(q, name, **more)
            for q in "ab"
            for name, more in (("f1:test", {"evaluation": overlap}), ("em", {}))
        ]
        found = read(instances(tmp_path, *rows))
        assert verdicts(found) == (2, 0, 0, 0) and found.remarks == ["graded by em, not by f1:test"]

    def test_null_ids_are_questions_of_their_own(self, tmp_path: Path) -> None:
        found = read(instances(tmp_path, instance(None), instance(None, score=0.0), instance("None"), instance("2")))
        assert found.metrics[0]["n"] == 4 and verdicts(found) == (3, 1, 0, 0) and problems(found)["no id"] == 2

    def test_a_null_id_with_a_hash_is_known_by_it(self, tmp_path: Path) -> None:
        rows = [instance(None, metric, sample_hash=f"h{n}") for n in range(2) for metric in ("exact_match", "f1")]
        found = read(instances(tmp_path, *rows))
        assert found.metrics[0]["n"] == 2 and problems(found) == {}

    def test_answers_that_lm_eval_gave_no_number_are_not_wrong_answers(self, tmp_path: Path) -> None:
        listed = {"raw": LIMA, "reference": ["['Lima', 'City of Kings']"], "choices": None}
        rows = [
            instance("a", None, 0.0, metadata={"lm_eval_metrics": '{"verdict": "ABSTAINED"}'}),
            instance("b", None, 0.0, metadata={"lm_eval_metrics": '{"words": [3]}'}, input=listed)
            | {"output": {"raw": ["City of Kings"]}},
        ]
        found = read(instances(tmp_path, *rows))
        assert verdicts(found) == (1, 0, 1, 0)
        assert "answers without a grade, graded here by `match`: 1" in found.remarks

    def test_scores_that_contradict_is_correct_are_told_of(self, tmp_path: Path) -> None:
        pairs = ((1.0, False), (0.4, True), (0.3, True), (0.5, False))
        rows = [
            instance(f"q{n}", evaluation={"score": score, "is_correct": right})
            for n, (score, right) in enumerate(pairs)
        ]
        found = read(instances(tmp_path, *rows))
        assert verdicts(found) == (2, 2, 0, 0) and problems(found) == {"score 1": 1, "partly right": 2}
        assert "answers graded with partial credit, so not right: 1" in found.remarks
        by_score = read(instances(tmp_path, *rows), pass_mark=0.5)
        assert verdicts(by_score) == (2, 2, 0, 0) and problems(by_score) == {}

    def test_epochs_are_repeats(self, tmp_path: Path) -> None:
        rows = [instance(q, score=float(e != "2"), metadata={"epoch": e}) for q in "ab" for e in ("1", "2", "3")]
        found = read(instances(tmp_path, *rows))
        assert found.metrics[0]["n"] == 2 and verdicts(found) == (4, 2, 0, 0) and problems(found) == {}

    def test_a_mean_of_epochs_is_no_grade_of_each(self, tmp_path: Path) -> None:
        mean = {"score": 1 / 3, "is_correct": True}
        rows = [
            instance(q, evaluation=mean, metadata={"epoch": str(n)}, output={"raw": [said]})
            for q in "ab"
            for n, said in enumerate(("Quito", "Lima", IDK), 1)
        ]
        found = read(instances(tmp_path, *rows))
        assert found.metrics[0]["n"] == 2 and verdicts(found) == (2, 2, 2, 0)
        assert problems(found) == {"mean of epochs": 6}

    def test_a_metric_that_is_not_there(self, tmp_path: Path) -> None:
        path = instances(tmp_path, instance("a", "em"), instance("b", "f1"))
        with pytest.raises(ValueError, match=r"no metric 'emm'\. Did you mean 'em'"):
            read(path, metric="emm")
        found = read(path, metric="em")
        assert verdicts(found) == (1, 1, 0, 0) and problems(found) == {"no such metric": 1}

    def test_rows_without_any_grade(self, tmp_path: Path) -> None:
        rows = [instance("a", evaluation={}), instance("b", evaluation={"score": None, "is_correct": None})]
        found = read(instances(tmp_path, *rows, instance("c")))
        assert verdicts(found) == (1, 2, 0, 0) and problems(found)["no grade"] == 2


# HELM


def measured(name: str | None = "id0", **means: float | None) -> dict:
    stats = [{"name": {"name": metric, "split": "test"}, "mean": mean} for metric, mean in means.items()]
    return {"instance_id": name, "train_trial_index": 0, "stats": stats}


def request(name: str | None = "id0", *said: tuple[str, float], **more: Any) -> dict:
    references = [{"output": {"text": text}, "tags": tags} for text, tags in (("Lima", ["correct"]), ("Quito", []))]
    completions = [{"text": text, "logprob": logprob, "tokens": []} for text, logprob in said]
    asked = {"input": {"text": LIMA}, "references": references, "id": name, "split": "test"}
    return {"instance": asked, "request": {"prompt": LIMA}, "result": {"completions": completions}} | more


def helm_run(folder: Path, stats: Any, states: Any = None) -> Path:
    (folder / "per_instance_stats.json").write_text(json.dumps(stats))
    if states is not None:
        (folder / "scenario_state.json").write_text(json.dumps({"request_states": states}))
    return folder / "per_instance_stats.json"


class TestHelm:
    def test_null_ids_are_questions_of_their_own(self, tmp_path: Path) -> None:
        stats = [measured(None, exact_match=1.0), measured(None, exact_match=0.0), measured("None", exact_match=1.0)]
        found = read(helm_run(tmp_path, stats, [request(None, (IDK, 0.0))]))
        assert found.metrics[0]["n"] == 3 and verdicts(found) == (2, 1, 0, 0)
        assert problems(found) == {"no id": 2, "no id in state": 1}

    def test_null_ids_of_answers_alone(self, tmp_path: Path) -> None:
        helm_run(tmp_path, [], [request(None, ("Lima", 0.0)), request(None, ("Quito", 0.0))])
        (tmp_path / "per_instance_stats.json").unlink()
        found = read(tmp_path / "scenario_state.json")
        assert verdicts(found) == (1, 1, 0, 0) and problems(found) == {"no id in state": 2}

    def test_an_instance_without_the_metric_of_the_others(self, tmp_path: Path) -> None:
        stats = [measured("id0", exact_match=1.0), measured("id1", words=3.0), measured("id2", exact_match=math.nan)]
        states = [request(f"id{n}", ("Lima", 0.0)) for n in range(2)]
        found = read(helm_run(tmp_path, stats, states))
        assert verdicts(found) == (2, 0, 0, 1) and problems(found) == {"no metric": 2, "ungradable": 1}

    def test_an_instance_that_stands_there_twice(self, tmp_path: Path) -> None:
        found = read(helm_run(tmp_path, [measured(exact_match=1.0), measured(exact_match=0.0)]))
        assert verdicts(found) == (1, 0, 0, 0) and problems(found) == {"duplicate": 1}

    def test_the_likeliest_of_several_completions_is_the_answer(self, tmp_path: Path) -> None:
        states = [request("id0", ("Quito", -2.0), (IDK, -0.1)), request("id1", (IDK, -2.0), ("Quito", -0.1))]
        found = read(helm_run(tmp_path, [measured(f"id{n}", exact_match=0.0) for n in range(2)], states))
        assert verdicts(found) == (0, 1, 1, 0)

    def test_of_choices_asked_one_by_one_the_predicted_one_is_the_answer(self, tmp_path: Path) -> None:
        states = [request("id0", (text, -1.0), reference_index=n) for n, text in enumerate(("Lima", "Quito"))]
        path = helm_run(tmp_path, [measured(exact_match=1.0, max_prob=0.7, predicted_index=0.0)], states)
        assert verdicts(read(path, regrade=True)) == (1, 0, 0, 0)
        assert verdicts(read(path), 0.75, "thresholded") == (0, 0, 1, 0)

    def test_which_metric_was_chosen_is_noted(self, tmp_path: Path) -> None:
        path = helm_run(tmp_path, [measured(exact_match=0.0, quasi_exact_match=1.0, words=3.0)])
        found = read(path)
        assert verdicts(found) == (1, 0, 0, 0)
        assert found.remarks == ["graded by quasi_exact_match of quasi_exact_match, exact_match"]


# lighteval


def details(folder: Path, *rows: tuple[dict, dict, dict]) -> Path:
    documents = [
        {"doc": {"query": LIMA, "gold_index": 1} | doc, "metric": metric, "model_response": said}
        for doc, metric, said in rows
    ]
    pq.write_table(pa.Table.from_pylist(documents), folder / "details.parquet")
    return folder / "details.parquet"


def chosen(metric: str, **said: Any) -> tuple[dict, dict, dict]:
    return {"id": "0", "choices": [" a", " bbb"]}, {metric: 1}, said


class TestLighteval:
    def test_null_ids_and_one_id_of_two_questions(self, tmp_path: Path) -> None:
        ids = ((None, LIMA), (None, LIMA), ("2", LIMA), ("2", "What is the capital of Chile?"), ("2", LIMA))
        rows = [
            ({"id": one, "query": query, "choices": ["Lima"]}, {"em": 1}, {"text": ["Lima"]}) for one, query in ids
        ]
        found = read(details(tmp_path, *rows))
        assert found.metrics[0]["n"] == 4 and problems(found) == {"no id": 2, "one id": 1, "duplicate": 1}

    @pytest.mark.parametrize(
        ("metric", "said", "confidence"),
        [
            ("acc", {"logprobs": [-3.0, -2.0]}, 0.7311),  # softmax(-3, -2)
            ("acc_norm_token", {"logprobs": [-2.0, -3.0], "output_tokens": [[1], [1, 2, 3]]}, 0.7311),  # (-2, -1)
            ("acc_norm", {"logprobs": [-2.0, -2.0]}, 0.6225),  # (-2/2, -2/4)
            (
                "acc:logprob_normalization=LogProbCharNorm(name='norm', ignore_first_space=True)",
                None,
                0.7311,
            ),  # (-2, -1)
            ("acc_norm_pmi", {"logprobs": [-2.0, -3.0, -1.0, -3.0]}, 0.7311),  # (-1, 0)
            ("acc_norm_pmi", {"logprobs": [-2.0, -3.0], "unconditioned_logprobs": [-1.0, -3.0]}, 0.7311),
        ],
    )
    def test_the_choice_is_the_one_that_the_metric_takes(
        self, metric: str, said: dict | None, confidence: float, tmp_path: Path
    ) -> None:
        path = details(tmp_path, chosen(metric, **(said or {"logprobs": [-2.0, -3.0]})))
        assert problems(read(path)) == {}
        for shift, answered in ((-0.001, (1, 0, 0, 0)), (0.001, (0, 0, 1, 0))):
            target = confidence + shift
            assert verdicts(rescore([path], [target]), target, "thresholded") == answered

    def test_a_grade_of_another_choice_than_the_likeliest_stands_without_confidence(self, tmp_path: Path) -> None:
        found = read(details(tmp_path, chosen("acc", logprobs=[-2.0, -3.0])))
        assert verdicts(found) == (1, 0, 0, 0) and found.metrics[0]["level"] == 1
        assert problems(found) == {"another choice": 1}

    @pytest.mark.parametrize("logged", [None, [-1.0], [-1.0, None], [-1.0, -2.0, -3.0]])
    def test_log_likelihoods_that_are_not_those_of_the_choices(self, logged: list | None, tmp_path: Path) -> None:
        found = read(details(tmp_path, chosen("acc", logprobs=logged)))
        assert verdicts(found) == (1, 0, 0, 0) and problems(found) == {"no likelihoods": 1}

    def test_where_only_some_of_several_answers_are_right_the_first_is_graded_here(self, tmp_path: Path) -> None:
        doc = {"choices": ["Quito", "Lima"]}
        shares = ((0.5, ["Lima", "Quito"]), (0.5, ["Quito", "Lima"]), (1.0, ["Lima", "Lima"]), (0.0, [IDK, "Quito"]))
        rows = [(doc | {"id": str(n)}, {"avg@n:n=2": s}, {"text": said}) for n, (s, said) in enumerate(shares)]
        found = read(details(tmp_path, *rows))
        assert verdicts(found) == (2, 1, 1, 0)
        assert "answers without a grade, graded here by `match`: 2" in found.remarks
        most = read(details(tmp_path, (doc | {"id": "0"}, {"maj@n:n=3": 0}, {"text": ["Quito", IDK, IDK]})))
        assert verdicts(most) == (0, 0, 1, 0)

    def test_a_metric_with_settings_in_its_name_and_rows_without_a_value(self, tmp_path: Path) -> None:
        doc, name = {"choices": ["Quito", "Lima"]}, "em:strip_strings=True"
        rows = [(doc | {"id": str(n)}, {"bleu": 0.1, name: em}, {"text": ["Quito"]}) for n, em in enumerate((1, None))]
        found = read(details(tmp_path, *rows))
        assert verdicts(found) == (1, 1, 0, 0) and problems(found) == {"no metric": 1}
        assert f"graded by {name} of bleu, {name}" in found.remarks
        with pytest.raises(ValueError, match=r"no metric 'blue'\. Did you mean 'bleu'"):
            read(tmp_path / "details.parquet", metric="blue")


# Anything at all in the places that a reader looks at


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just(10**400)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
)


@st.composite
def mangled(draw: st.DrawFn, value: Any) -> Any:
    """A document in which some parts are something else."""
    if draw(st.integers(0, 9)) == 0:
        return draw(VALUES)
    if isinstance(value, dict):
        return {key: draw(mangled(one)) for key, one in value.items()}
    return [draw(mangled(one)) for one in value] if isinstance(value, list) else value


def read_or_refuse(path: Path) -> None:
    try:
        rows = read(path).metrics
    except ValueError as error:
        assert str(error)
    else:
        assert all(0 <= row["by_target"][0]["ungraded"] <= 1 for row in rows)


@settings(max_examples=40)
@given(rows=st.lists(mangled(instance()), min_size=1, max_size=3))
def test_no_instance_of_every_eval_ever_is_too_odd(rows: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    read_or_refuse(instances(tmp_path_factory.mktemp("odd"), instance("first"), *rows))


@settings(max_examples=40)
@given(stats=mangled([measured(exact_match=1.0)]), states=mangled([request("id0", ("Lima", -0.1), reference_index=0)]))
def test_no_helm_run_is_too_odd(stats: Any, states: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    first = measured("first", exact_match=1.0, predicted_index=0.0)
    read_or_refuse(
        helm_run(tmp_path_factory.mktemp("odd"), [first, *(stats if isinstance(stats, list) else [])], states)
    )
