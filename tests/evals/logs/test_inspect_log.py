"""Inspect's logs: what N means, scorers that saw no answer, ids, epochs, and evaluations that ended early."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.logs.choices import chosen, gold_of, shown_order
from abstain.evals.rescore.rescoring import Rescored, rescore
from abstain.evals.tasks.question import choice_label, with_choices
from abstain.rewards.parsing.completion import parse

CHOICES = ["Quito", "Lima", "La Paz"]
LISTED = "Capital of Peru?\n\nA) Quito\nB) Lima\nC) La Paz"


def sample(said: str | None, number: Any = 0, **more: Any) -> dict[str, Any]:
    scorer = more.pop("scorer", "match")
    score = {name: more.pop(name) for name in ("value", "answer", "reason", "explanation", "about") if name in more}
    if "about" in score:
        score["metadata"] = score.pop("about")
    output = {} if said is None else {"output": {"choices": [{"message": {"role": "assistant", "content": said}}]}}
    asked = more.pop("asked", f"Capital of country {number}?")
    return {
        "id": number,
        "epoch": 1,
        "input": asked,
        "target": "Lima",
        "messages": [{"role": "user", "content": asked}],
        "scores": {scorer: score} if score else {},
    } | output | more  # fmt: skip


def choice(said: str, number: int, target: str = "B", **more: Any) -> dict[str, Any]:
    about = {"scorer": "choice", "asked": LISTED, "choices": CHOICES, "value": "I", "answer": ""}
    return sample(said, number, target=target, **(about | more))


def rescored(path: Path, *samples: Any, **header: Any) -> Rescored:
    about = {"status": "success", "eval": {"model": "m", "task": "t"}} | header
    path.write_text(json.dumps(about | {"samples": samples}), encoding="utf-8")
    return rescore([path], [0.0])


def shares(found: Rescored) -> tuple[float, float, float, float]:
    """Right, wrong, abstained and ungraded."""
    (row,) = found.metrics[0]["by_target"]
    return row["correct"], row["incorrect"], row["abstained"], row["ungraded"]


def told(found: Rescored) -> str:
    return "\n".join([*map(str, found.problems), *found.remarks])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.json"


class TestNoAnswer:
    """N: `inspect_ai.scorer.NOANSWER`, "no answer or refusal to answer"."""

    @pytest.mark.parametrize(
        "known",
        [
            {"scorer": "verdict", "about": {"confidence_target": 0.5}},
            {"scorer": "schema_tool_graded_scorer"},
            {"scorer": "simpleqa_scorer"},
            {"scorer": "model_graded_qa"},
            {"scorer": "mine", "about": {"grading": []}},
            {"scorer": "mine", "answer": "The records vary."},
            {"scorer": "precision_choice", "answer": "D"},
            {"scorer": "mine", "reason": "refusal"},
        ],
    )
    def test_a_judges_n_is_an_abstention_whatever_is_said(self, log: Path, known: dict[str, Any]) -> None:
        found = rescored(log, sample("The records vary.", value="N", **known))
        assert shares(found) == (0, 0, 1, 0) and not found.problems

    @pytest.mark.parametrize(
        "unknown",
        [{"scorer": "regex"}, {"scorer": "choice", "reason": "no_response"}, {"scorer": "regex", "answer": " "}],
    )
    def test_where_nothing_was_found_the_reply_decides(self, log: Path, unknown: dict[str, Any]) -> None:
        said = ("It is Lima.", "It is Quito.", "I don't know.", "")
        found = rescored(log, *(sample(text, number, value="N", **unknown) for number, text in enumerate(said)))
        assert shares(found) == (1 / 4, 2 / 4, 1 / 4, 0)
        assert f"`{unknown['scorer']}` says N" in told(found) and "(and 2 more like it)" in told(found)

    def test_without_gold_an_answer_is_ungraded_and_an_abstention_is_one(self, log: Path) -> None:
        said = ("It is Lima.", "I don't know.")
        bare = [sample(text, n, scorer="regex", value="N", target=None) for n, text in enumerate(said)]
        found = rescored(log, *bare, sample("It is Lima.", 2, scorer="regex", value="C", answer="Lima"))
        assert shares(found) == (1 / 3, 0, 1 / 3, 1 / 3)
        assert "there is no gold to grade by" in told(found)

    def test_without_a_text_it_is_taken_for_one_and_counted(self, log: Path) -> None:
        found = rescored(log, *(sample(None, n, scorer="regex", value="N") for n in range(3)))
        assert shares(found) == (0, 0, 1, 0)
        assert "`regex` calls N, so abstained: 3" in told(found)

    def test_a_scorer_that_only_found_nothing_is_not_preferred_to_a_judge(self, log: Path) -> None:
        scores = {
            "match": {"value": "I", "answer": ""},
            "choice": {"value": "N", "answer": "", "reason": "no_response"},
        }
        assert "graded by match of match, choice" in told(rescored(log, sample("", scores=scores)))
        judged = {"choice": {"value": "I", "answer": "A"}, "model_graded_qa": {"value": "N", "answer": "Hm"}}
        assert "graded by model_graded_qa of choice" in told(rescored(log, sample("Hm", scores=judged)))


class TestUnseen:
    """Scorers that look for what nobody marked or asked for."""

    def test_choices_that_no_solver_marked_are_graded_here(self, log: Path) -> None:
        said = ("B", "The answer is (A).", "It's Lima.", "I don't know")
        found = rescored(log, *(choice(text, number) for number, text in enumerate(said)))
        assert shares(found) == (2 / 4, 1 / 4, 1 / 4, 0)
        (problem,) = found.problems
        assert problem.count == 3 and not problem.lost and "`choice` found no answer" in problem.first
        assert "answers without a grade, graded here by `choice`: 3" in told(found)

    def test_one_that_saw_an_answer_is_left_as_it_says_and_told_of(self, log: Path) -> None:
        found = rescored(
            log, choice("ANSWER: B", 0, value="C", answer="B"), choice("Surely Lima", 1), choice("IDK", 2)
        )
        assert shares(found) == (1 / 3, 1 / 3, 1 / 3, 0)
        assert not found.problems and "left wrong as it says (grading again would read them): 1" in told(found)

    def test_the_form_is_not_missed_where_our_solver_asked(self, log: Path) -> None:
        plan = {"steps": [{"solver": "abstain/confidence_target", "params": {"targets": 0.5}}]}
        found = rescored(log, choice("ANSWER: B", 0, value="C", answer="B"), choice("Surely Lima", 1), plan=plan)
        assert shares(found) == (1, 0, 0, 0) and "which the prompt did not ask for" in told(found)

    @pytest.mark.parametrize(
        "unseen",
        [{"reason": "invalid_response_format"}, {"explanation": "Scoring pattern not matched in output: Lima"}],
    )
    def test_a_pattern_that_never_matched(self, log: Path, unseen: dict[str, str]) -> None:
        said = ("Lima", "Quito", "I don't know")
        found = rescored(log, *(sample(text, n, scorer="pattern", value="I", **unseen) for n, text in enumerate(said)))
        assert shares(found) == (1 / 3, 1 / 3, 1 / 3, 0)
        assert "`pattern` found no answer in the form it looks for" in told(found)

    def test_a_target_that_is_none_of_the_choices_is_matched(self, log: Path) -> None:
        found = rescored(log, choice("It's Sucre.", 0, target="Sucre"), choice("(B) Lima", 1, target="Sucre"))
        assert shares(found) == (1 / 2, 1 / 2, 0, 0) and "graded here by `match`: 2" in told(found)

    def test_a_scorer_that_names_no_answers_and_calls_all_wrong_may_be_right(self, log: Path) -> None:
        found = rescored(log, *(sample("Lima", n, scorer="unit_tests", value="I") for n in range(2)))
        assert shares(found) == (0, 1, 0, 0) and not found.problems

    def test_letters_are_those_that_the_prompt_showed(self, log: Path) -> None:
        shuffled = "Capital of Peru?\n(A) Lima\n(B) La Paz\n(C) Quito\nMake your best guess."
        found = rescored(log, choice("A", 0, asked=shuffled), choice("B", 1, asked=shuffled), choice("B", 2))
        assert shares(found) == (2 / 3, 1 / 3, 0, 0)

    def test_several_right_ones_are_right_together_only(self, log: Path) -> None:
        said = ("A and C", "A", "C", "A, B and C")
        found = rescored(log, *(choice(text, n, target=["A", "C"]) for n, text in enumerate(said)))  # type: ignore[arg-type]
        assert shares(found) == (1 / 4, 3 / 4, 0, 0)


class TestSamples:
    def test_a_null_id_beside_a_number_is_another_question(self, log: Path) -> None:
        rows = [sample("x", number, value="C", answer="x") for number in (None, 2, "", 3)]
        del rows[0]["id"]
        found = rescored(log, *rows, sample("x", "None", value="I", answer="x"))
        assert found.metrics[0]["n"] == 5 and shares(found)[0] == 4 / 5
        (problem,) = found.problems
        assert problem.count == 2 and "no id; told from others by its input" in problem.first

    def test_epochs_of_a_question_without_an_id_are_one_question(self, log: Path) -> None:
        rows = [sample("x", None, epoch=epoch, value="C", answer="x") for epoch in (1, 2, "3", 4.0)]
        config = {"model": "m", "task": "t", "config": {"epochs": 4}}
        found = rescored(log, *rows, sample("x", 1, value="I", answer="x"), eval=config)
        assert found.metrics[0]["n"] == 2 and shares(found)[0] == pytest.approx(4 / 5)

    def test_what_is_no_epoch_is_told(self, log: Path) -> None:
        rows = [sample("x", number, epoch=epoch, value="C") for number, epoch in enumerate((0, -1, "two", True, None))]
        assert "(and 3 more like it)" in told(rescored(log, *rows)) and "0' is no epoch" in told(rescored(log, *rows))

    def test_what_is_no_sample_is_counted(self, log: Path) -> None:
        found = rescored(log, sample("Lima", value="C"), None, 7, {"epoch": 1})
        assert found.metrics[0]["n"] == 1 and sum(problem.count for problem in found.problems if problem.lost) == 3

    def test_objects_of_unknown_keys_ask_which_of_them_is_meant(self, log: Path) -> None:
        rows = [sample("x", n, scorer="f", value={"exact": 1, "close": 0}) for n in range(2)]
        found = rescored(log, *rows, sample("x", 2, scorer="f", value={"correct": 1}))
        assert shares(found)[3] == 2 / 3 and "choose one, as in --metric f.exact" in told(found)

    def test_invalidated_samples_are_told(self, log: Path) -> None:
        found = rescored(log, sample("x", value="C", invalidation={"reason": "leaked"}), invalidated=True)
        assert "was invalidated in Inspect; it is counted here" in told(found)


class TestEnd:
    @pytest.mark.parametrize(
        ("header", "message"),
        [
            (
                {"status": "error", "error": {"message": "no quota"}},
                "ended in an error (no quota); 2 of 6 samples are",
            ),
            ({"status": "cancelled"}, "was cancelled; 2 of 6 samples are here"),
            ({"status": "started"}, "had not ended; 2 of 6 samples are here"),
        ],
    )
    def test_an_evaluation_that_did_not_end_well_says_how_much_is_there(
        self, log: Path, header: dict[str, Any], message: str
    ) -> None:
        about = {"model": "m", "task": "t", "config": {"epochs": 2}, "dataset": {"sample_ids": [1, 2, 3]}}
        rows = [sample("x", number, value="C", answer="x") for number in range(2)]
        found = rescored(log, *rows, eval=about, **header)
        assert message in told(found) and found.metrics[0]["n"] == 2
        log.write_text(json.dumps({"status": "success", "eval": {}} | header))
        with pytest.raises(ValueError, match=message.partition(";")[0].replace("(", r"\(").replace(")", r"\)")):
            rescore([log])

    @pytest.mark.parametrize("targets", ["0, 0.5,0.75", [0.0, 0.5, 0.75]])
    def test_targets_for_which_there_were_no_epochs_are_named(self, log: Path, targets: Any) -> None:
        plan = {"steps": [{"solver": "abstain/confidence_target", "params": {"targets": targets}}]}
        about = {"model": "m", "task": "t", "config": {"epochs": 2}}
        found = rescored(log, sample("x", value="C", answer="x"), plan=plan, eval=about)
        assert "2 of them never stated 0.75" in told(found)
        about["config"] = {"epochs": 3}  # type: ignore[assignment]
        assert not rescored(log, sample("x", value="C", answer="x"), plan=plan, eval=about).problems


class TestChoices:
    @given(st.integers(2, 40), st.data())
    def test_an_answer_takes_the_choice_it_names_by_label_or_text(self, count: int, data: st.DataObject) -> None:
        choices = [f"city of {chr(97 + n % 26) * (2 + n // 26)}" for n in range(count)]
        place = data.draw(st.integers(0, count - 1))
        question = with_choices("Which?", choices)
        for said in (f"Answer: ({choice_label(place)})", choices[place], f"({choice_label(place)}) {choices[place]}"):
            assert chosen(parse(said), choices, question) == [place], said
        assert chosen(parse("I don't know"), choices, question) == []

    @given(st.permutations(range(4)))
    def test_the_order_of_a_prompt_is_found_and_the_gold_renamed(self, order: list[int]) -> None:
        choices = ["1", "10", "1 0", "x\ny"]
        prompt = with_choices("Which?", [choices[place] for place in order])
        assert shown_order(prompt, choices) == order
        for place in range(4):
            shown = choice_label(order.index(place))
            assert gold_of([choice_label(place)], choices, order) == [shown, choices[place]]

    @pytest.mark.parametrize("prompt", ["", "A) 1", "A) 1\nB) 12"])
    def test_a_prompt_that_does_not_list_them_all_has_no_order(self, prompt: str) -> None:
        assert shown_order(prompt, ["1", "2"]) is None

    @pytest.mark.parametrize(
        ("target", "gold"),
        [
            (["B"], ["B", "3"]),
            (["AC"], ["A, C"]),
            (["A, C"], ["A, C"]),
            (["C", "A"], ["A, C"]),
            (["B", "3"], ["B", "3"]),
            (["3"], ["B", "3"]),
            (["E"], []),
            (["five"], []),
            ([], []),
        ],
    )
    def test_targets_name_labels_or_texts(self, target: list[str], gold: list[str]) -> None:
        assert gold_of(target, ["2", "3", "4", "5"], range(4)) == gold
