"""lm-evaluation-harness: which choice a metric takes and how sure it is, and documents that stand there twice."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals.logs import lm_eval
from abstain.evals.logs.batch import Entry, Options, Problems
from abstain.evals.logs.detect import open_log
from abstain.evals.logs.grades import CORRECT, INCORRECT, UNGRADED


def sample(choices: list[str], scores: list[float], metric: str = "acc", grade: Any = 1.0, **more: Any) -> dict:
    """A row of a multiple choice, the last choice of which is right."""
    arguments = {f"gen_args_{n}": {"arg_0": "Q", "arg_1": f" {choice}"} for n, choice in enumerate(choices)}
    row = {
        "doc_id": 0,
        "doc": {},
        "target": str(len(choices) - 1),
        "arguments": arguments,
        "resps": [[[str(score), "False"]] for score in scores],
        "filter": "none",
        "metrics": [metric],
        metric: grade,
    }
    return row | more


def entries(
    rows: list[dict], folder: Path, patch: pytest.MonkeyPatch, text: str = "", **options: Any
) -> tuple[list[Entry], Problems]:
    path, problems = folder / "samples_t.jsonl", Problems()
    path.write_text(text or "".join(json.dumps(row) + "\n" for row in rows))
    patch.setattr(lm_eval, "batches", lambda file, unit, found: found)
    return list(open_log(path, Options(**options), problems)[1]), problems  # type: ignore[arg-type]


def test_the_choice_is_that_of_the_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By likelihood "oui", by characters "no", and by bytes "né"; hand-computed softmaxes."""
    choices, scores = ["oui", "née", "no, not at all"], [-1.5, -1.8, -4.2]
    rows = [
        sample(choices, scores, metric, 0.0 if metric == "acc" else 1.0) for metric in ("acc", "acc_norm", "acc_bytes")
    ]
    (by_acc, by_norm, by_bytes), problems = entries(rows, tmp_path, monkeypatch)
    assert (by_acc.completion, by_norm.completion, by_bytes.completion) == ("oui", choices[2], choices[2])
    assert by_acc.confidence == pytest.approx(1 / (1 + math.exp(-0.3) + math.exp(-2.7)))
    assert by_norm.confidence == pytest.approx(1 / (1 + math.exp(-0.5 + 0.3) + math.exp(-0.6 + 0.3)))  # of 3, 3, 14
    assert by_bytes.confidence == pytest.approx(1 / (1 + math.exp(-0.5 + 0.3) + math.exp(-0.45 + 0.3)))  # of 3, 4, 14
    assert [entry.grade for entry in (by_acc, by_norm, by_bytes)] == [INCORRECT, CORRECT, CORRECT]
    assert not problems.found and any("per character, as acc_norm takes" in note for note in problems.notes)


def test_mutual_information_takes_away_the_likelihood_without_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = sample(["a", "b"], [-1.0, -2.0, -0.5, -4.0], "acc_mutual_info")  # -0.5 and +2
    (entry,), problems = entries([row], tmp_path, monkeypatch)
    assert entry.completion == "b" and entry.confidence == pytest.approx(1 / (1 + math.exp(-2.5)))
    (by_acc,), _ = entries([row | {"metrics": ["acc"], "acc": 0.0}], tmp_path, monkeypatch)
    assert by_acc.completion == "a" and by_acc.confidence == pytest.approx(1 / (1 + math.exp(-1)))
    assert not problems.found


def test_exact_match_takes_what_greedy_decoding_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    greedy, none = [[["-2.0", "False"]], [["-0.5", "True"]]], [[["-2.0", "False"]], [["-0.5", "False"]]]
    rows = [
        sample(["a", "b"], [], "exact_match", 1, resps=greedy),
        sample(["a", "b"], [], "exact_match", 0, resps=none),
    ]
    (first, second), problems = entries(rows, tmp_path, monkeypatch)
    assert first.completion == "b" and first.confidence == pytest.approx(math.exp(-0.5))
    assert (second.completion, second.confidence, second.grade) == (None, None, INCORRECT) and not problems.found


@given(
    st.lists(st.tuples(st.text("abé", min_size=1, max_size=9), st.floats(-50, -0.01)), min_size=2, max_size=6),
    st.sampled_from(["acc", "acc_norm", "acc_bytes"]),
)
def test_the_choice_is_the_one_that_lm_eval_computes(
    tmp_path_factory: pytest.TempPathFactory, choices: list[tuple[str, float]], metric: str
) -> None:
    """As in `process_results`; and its confidence is never less than that of a blind guess."""
    texts, scores = [text for text, _ in choices], np.array([score for _, score in choices])
    sizes = {"acc": 1.0, "acc_norm": [len(t) for t in texts], "acc_bytes": [len(t.encode()) for t in texts]}
    best = int(np.argmax(scores / np.array(sizes[metric])))
    row = sample(texts, scores.tolist(), metric, target=str(best))
    with pytest.MonkeyPatch.context() as patch:
        (entry,), problems = entries([row], tmp_path_factory.mktemp("p"), patch)
    assert entry.completion == texts[best] and not problems.found
    assert 1 / len(texts) - 1e-9 <= entry.confidence <= 1


def test_the_length_is_that_of_the_choice_without_what_stands_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = sample([" a", "bb"], [-1.0, -0.9], "acc_norm", 1.0, doc={"choices": {"text": [" a", "bb"]}})
    listed["arguments"] = [["Q", " a"], ["Q", "bb"]]  # no delimiter: the first choice begins with a space itself
    (entry,), problems = entries([listed], tmp_path, monkeypatch)
    assert entry.completion == "bb" and entry.confidence == pytest.approx(1 / (1 + math.exp(-0.5 + 0.45)))
    (entry,), _ = entries([sample(["a", "bb"], [-0.5, -0.9], "acc_norm")], tmp_path, monkeypatch)
    assert entry.confidence == pytest.approx(1 / (1 + math.exp(-0.5 + 0.45)))
    (entry,), _ = entries([sample(["", "bb"], [-0.5, -0.9], "acc_norm")], tmp_path, monkeypatch)
    assert (entry.confidence, entry.completion, entry.grade) == (None, None, CORRECT) and not problems.found


def test_grades_that_are_not_of_the_choice_taken_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [sample(["a", "b"], [-2.0, -1.0], "acc", grade) for grade in (1.0, 0.0, 0.0, 0.7)]
    found, problems = entries(rows, tmp_path, monkeypatch)
    (problem,) = problems.found.values()
    assert (problem.kind, problem.count, problem.lost) == ("another choice", 2, False)
    assert "samples_t.jsonl:2: acc is 0.0, but not for the choice" in problem.first
    assert [(one.grade == CORRECT, one.completion) for one in found] == [
        *((True, "b"), (False, None), (False, None), (False, "b"))  # .7 is a share, and no verdict on one choice
    ]


@pytest.mark.parametrize(
    ("target", "gold", "right"),
    [("[0, 1]", ["a", "b"], True), ("b", ["b"], True), ("a", ["a"], False), (1, ["b"], True), ("7", ["7"], None)],
)
def test_targets_are_numbers_or_texts_of_one_choice_or_several(
    target: Any, gold: list[str], right: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = sample(["a", "b"], [-2.0, -1.0], target=target)
    (entry,), problems = entries([row], tmp_path, monkeypatch)
    assert entry.gold == gold and bool(problems.found) == (right is False)


def test_pairs_of_the_right_and_the_taken_choice_are_grades(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = ([1, 1], [0, 1], [[0, 1], 1], "?")
    rows = [sample(["a", "b"], [-2.0, -1.0], "mcc", pair, target="[0, 1]" if pair == "?" else "1") for pair in pairs]
    rows[1]["target"] = "0"
    found, problems = entries(rows, tmp_path, monkeypatch)
    assert [entry.grade for entry in found] == [CORRECT, INCORRECT, CORRECT, UNGRADED]
    assert [problem.kind for problem in problems.found.values()] == ["unreadable grade"]


def test_choices_that_stand_in_the_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [
        ["The cup would not fit since the cup", " was big"],
        ["The cup would not fit since the box", " was big"],
    ]
    row = sample(["", ""], [-2.0, -1.0], arguments=arguments, target="was big")
    (entry,), _ = entries([row], tmp_path, monkeypatch)
    assert (entry.completion, entry.gold) == ("box", None) and entry.confidence == pytest.approx(0.7311, abs=5e-5)


def generated(doc_id: Any, said: str, read: str, grade: float, **more: Any) -> dict:
    row = {"doc_id": doc_id, "doc": {"question": f"Q{doc_id}"}, "target": "7", "arguments": [[f"Q{doc_id}", {}]]}
    return row | {"resps": [[said]], "filtered_resps": [read], "metrics": ["em"], "em": grade} | more


def test_filters_without_names_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second document reads the same by both filters, and still is no repeat."""
    rows = [
        *(generated(0, "so 7", "[invalid]", 0.0), generated(1, "#### 7", "7", 1.0)),
        *(generated(0, "so 7", "7", 1.0), generated(1, "#### 7", "7", 1.0)),
    ]
    found, problems = entries(rows, tmp_path, monkeypatch)
    assert [(entry.id, entry.task) for entry in found] == [
        *(("0", "t (filter 1)"), ("1", "t (filter 1)"), ("0", "t (filter 2)"), ("1", "t (filter 2)"))
    ]
    (problem,) = problems.found.values()
    assert (problem.kind, problem.count, problem.lost) == ("no filter", 4, False)


def test_other_answers_or_copies_are_no_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again = [generated(0, "7", "7", 1.0), generated(0, "8", "8", 0.0)]
    copies = [generated(0, "7", "7", 1.0), generated(0, "7", "7", 1.0)]
    for rows in (again, copies):
        found, problems = entries(rows, tmp_path, monkeypatch)
        assert [entry.task for entry in found] == ["t", "t"] and not problems.found


def test_documents_without_a_number_are_not_one_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        *(generated(None, "7", "7", 1.0, filter="none"), generated([], "8", "8", 0.0, filter="none")),
        generated(None, "7", "7", 1.0, filter="none", doc_hash="ab12"),
        *(generated(number, "7", "7", 1.0, filter="none") for number in (2, 0)),
    ]
    found, problems = entries(rows, tmp_path, monkeypatch)
    assert [entry.id for entry in found] == [None, None, "ab12", "2", "0"]
    assert [(one.kind, one.count, one.lost) for one in problems.found.values()] == [("no doc_id", 3, False)]


def test_a_list_of_samples_as_earlier_versions_wrote_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps([generated(0, "7", "7", 1.0), 5, generated(1, "8", "8", 0.0)], indent=2)
    found, problems = entries([], tmp_path, monkeypatch, text)
    assert [(entry.id, entry.completion, entry.grade == CORRECT) for entry in found] == [
        ("0", "7", True),
        ("1", "8", False),
    ]
    assert "samples_t.jsonl: sample 2: not an lm-eval sample" in next(iter(problems.found.values())).first


_VALUES = st.recursive(
    st.sampled_from([None, True, 0, 1.5, "", "[0, 1]", "True", "-2.0", "nan", "9" * 5000, "\udc80"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["gen_args_0", "arg_1", "text"]), inner)
    ),
    max_leaves=6,
)
_CHOICES = st.lists(
    st.lists(st.lists(_VALUES, min_size=2, max_size=2), min_size=1, max_size=1), min_size=2, max_size=4
)
_ROWS = st.fixed_dictionaries(
    {"doc_id": _VALUES, "doc": _VALUES, "resps": _VALUES | _CHOICES},
    optional=dict.fromkeys(
        ("target", "arguments", "filtered_resps", "filter", "metrics", *lm_eval._RULES, "acc", "mcc"), _VALUES
    ),
)


@settings(max_examples=60)
@given(st.lists(_ROWS, min_size=1, max_size=4))
def test_no_row_is_lost_whatever_is_in_it(tmp_path_factory: pytest.TempPathFactory, rows: list[dict]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found, problems = entries(rows, tmp_path_factory.mktemp("p"), patch)
    assert len(found) == len(rows) and not problems.skipped
    assert all(entry.confidence is None or not entry.confidence > 1 for entry in found)
