"""A detector around a model: it is asked once, and the detector says at which targets its answer counts."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from abstain.evals.evaluation import evaluate
from abstain.evals.sampling import Completion
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.verdict import Verdict

QUESTIONS = tuple(Question(str(i), f"Where was N{i} born?", ("Lima",)) for i in range(3))
TASK = Task("toy", (), QUESTIONS)


class Lima:
    """Says Lima to everything, and notes what it was asked."""

    name = "lima"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def sample(self, prompts: Sequence[str], **_: object) -> list[list[Completion]]:
        self.asked += prompts
        return [[Completion("Lima", math.log(0.3), 2, truncated=False)] for _ in prompts]


def confide(prompts: Sequence[str], completions: Sequence[Completion]) -> np.ndarray:
    """Sure of the first question, half sure of the second, and silent about the third."""
    assert all(one.text == "Lima" for one in completions) and len(prompts) == len(completions)
    return np.array([0.9, 0.5, np.nan])


def test_answers_count_where_the_detector_is_sure() -> None:
    sampler = Lima()
    found = evaluate(sampler, TASK, [0, 0.5, 0.75], confide=confide)
    assert len(sampler.asked) == 3  # as at t = 0, and never again
    said = {(record.id, record.target): record.verdict for record in found.records}
    given = {key for key, verdict in said.items() if verdict is Verdict.CORRECT}
    assert given == {("0", 0.0), ("1", 0.0), ("2", 0.0), ("0", 0.5), ("0", 0.75)}
    assert {verdict for key, verdict in said.items() if key not in given} == {Verdict.ABSTAINED}
    assert [record.confidence for record in found.records[:3]] == [0.9, 0.5, None]
    assert found.metrics["instruct"] == "detector" and found.metrics["confidence_n"] == 2
    assert found.start.held_out.confidence.tolist() == pytest.approx([0.3] * 3)  # the oracle's is the model's own


def test_who_says_how_sure_to_be() -> None:
    with pytest.raises(ValueError, match="prompts that ask for a confidence do: leave out one of them"):
        evaluate(Lima(), TASK, [0.5], instruct="confidence", confide=confide)
