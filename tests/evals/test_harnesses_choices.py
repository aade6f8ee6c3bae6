"""Multiple choice in Inspect: our solver marks what an answer takes, and Inspect's own scorer sees it."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.rescore.rescoring import rescore

pytest.importorskip("inspect_ai")
pytestmark = pytest.mark.filterwarnings("ignore")

GASES = ["argon", "neon", "radon"]


def answered(
    said: str, target: str | list[str], choices: list[str] = GASES, order: list[int] | None = None
) -> dict[str, Any]:
    """What `choice` and `verdict` say of a reply that our solver got, and which choices it marked."""
    from inspect_ai.model import ChatMessageUser, ModelName, ModelOutput
    from inspect_ai.scorer import Target, choice
    from inspect_ai.solver import TaskState

    from abstain.evals.harnesses.inspect_plugin import confidence_target, verdict

    async def generate(state: Any, **_: Any) -> Any:
        state.output = ModelOutput.from_content("mockllm/model", said)
        return state

    async def both() -> dict[str, Any]:
        asked = [ChatMessageUser(content="Which?")]
        state = TaskState(ModelName("mockllm/model"), 1, 1, "Which?", asked, choices=choices)
        if order:
            state.choices.shuffle(SimpleNamespace(shuffle=lambda places: places.sort(key=order.index)))
        state = await confidence_target(0.5)(state, generate)
        marks = [one.value for one in state.choices if one.correct]
        scores = [await scorer(state, Target(target)) for scorer in (choice(), verdict())]
        return {"marked": marks, "choice": scores[0].value, "verdict": scores[1].value, "prompt": asked[0].text}

    return asyncio.run(both())


class TestChoices:
    """Inspect's own `choice` scorer sees the choices that are marked, and nothing else."""

    @pytest.mark.parametrize(
        ("said", "marked", "choice", "verdict"),
        [
            ("B", ["neon"], "C", "C"),
            ("The answer is (b).", ["neon"], "C", "C"),
            ("ANSWER: $B$", ["neon"], "C", "C"),
            ("It must be neon.", ["neon"], "C", "C"),
            ("Answer: (C)", ["radon"], "I", "I"),
            ("A and B", ["argon", "neon"], "I", "I"),
            ("I don't know.", [], "I", "N"),
            ("xenon", [], "I", "I"),
            ("", [], "N", "I"),
        ],
    )
    def test_what_the_answer_takes_is_marked(self, said: str, marked: list[str], choice: str, verdict: str) -> None:
        found = answered(said, "B")
        assert (found["marked"], found["choice"], found["verdict"]) == (marked, choice, verdict)

    @pytest.mark.parametrize(("said", "value"), [("A", "I"), ("C", "C"), ("It must be neon.", "C"), ("B", "I")])
    def test_letters_of_shuffled_choices_are_those_that_were_shown(self, said: str, value: str) -> None:
        found = answered(said, "B", order=[2, 0, 1])  # shown: (A) radon (B) argon (C) neon; the target is the old B
        assert "(A) radon\n(B) argon\n(C) neon" in found["prompt"]
        assert found["choice"] == found["verdict"] == value

    @pytest.mark.parametrize(
        ("said", "value"), [("A and C", "C"), ("Answer: A, C", "C"), ("A", "I"), ("B, C", "I"), ("A, B and C", "I")]
    )
    def test_several_right_choices_are_right_together(self, said: str, value: str) -> None:
        found = answered(said, ["A", "C"])
        assert found["choice"] == found["verdict"] == value

    @pytest.mark.parametrize(("said", "target", "value"), [("Z", "Z", "C"), ("(2)", "2", "C"), ("(2)", "B", "I")])
    def test_beyond_z_choices_are_numbers(self, said: str, target: str, value: str) -> None:
        choices = [f"gas {chr(97 + number // 5)}{chr(97 + number % 5)}" for number in range(30)]
        found = answered(said, target, choices)
        assert (
            found["choice"] == found["verdict"] == value and "\n(Z) gas fa\n(1) gas fb\n(2) gas fc" in found["prompt"]
        )

    @given(
        st.sampled_from(["{}", "Answer: ({})", "{0}, for it is {1}", "Not {2}, but {0}", "{1}", "{0} or {2}", "Hm"])
    )
    def test_both_scorers_agree_on_what_is_right(self, form: str) -> None:
        for place, letter in enumerate("ABC"):
            found = answered(form.format(letter, GASES[place], "ABC"[place - 1]), "B")
            assert (found["choice"] == "C") == (found["verdict"] == "C")

    def test_a_log_without_marks_is_graded_again_and_told_of(self, tmp_path: Path) -> None:
        from inspect_ai import Task
        from inspect_ai import eval as run_eval
        from inspect_ai.dataset import MemoryDataset, Sample
        from inspect_ai.model import ModelOutput, ModelUsage, get_model
        from inspect_ai.scorer import choice
        from inspect_ai.solver import generate

        from abstain.evals.harnesses.inspect_plugin import state_target

        said = {"1": "(B)", "2": "It's radon.", "3": "I don't know"}

        def answer(messages: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
            output = ModelOutput.from_content("mockllm/model", said[messages[-1].text[7]])
            output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)
            return output

        model = get_model("mockllm/model", custom_outputs=answer, memoize=False)
        samples = [Sample(id=k, input=f"Which? {k}", choices=GASES, target="B") for k in said]
        task = Task(MemoryDataset(samples), solver=[state_target(0.75), generate()], scorer=choice())
        (log,) = run_eval(task, model=model, log_dir=str(tmp_path), display="none")
        assert log.results.scores[0].metrics["accuracy"].value == 0
        found = rescore([log.location])
        (row,) = found.metrics[0]["by_target"]
        assert (
            row["target"] == 0.75
            and row["score"] == pytest.approx((1 - 3) / 3)
            and row["abstained"] == pytest.approx(1 / 3)
        )
        (problem,) = found.problems
        assert problem.count == 2 and "`choice` found no answer in the form it looks for" in problem.first
