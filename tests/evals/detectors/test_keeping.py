"""Answers and scores that an interrupted command finds again, and those that it must not take for its own."""

from pathlib import Path

import numpy as np
import pytest

from abstain.evals.detectors.detecting import best_guesses, labelled_responses
from abstain.evals.detectors.keeping import FOLDER, Kept
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.scored import Scored
from abstain.evals.detectors.scoring import CHUNK, Means, Scoring, score_pairs, wanted_scores
from abstain.evals.sampling import Completion
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.verdict import Verdict

from .asked_stub import ScriptedSampler


class Scripted:
    """Says where everybody was born; `False` once it is told to fail."""

    name = "scripted"

    def __init__(self, most: int = 10**9) -> None:
        self.asked, self.most = 0, most

    def sample(self, prompts: list[str], **_: object) -> list[list[Completion]]:
        self.asked += len(prompts)
        if self.asked > self.most:
            raise KeyboardInterrupt
        return [[Completion("Lima", -0.5, 2, False)] for _ in prompts]


QUESTIONS = tuple(Question(str(i), f"Where was N{i} born?", ("Lima" if i % 2 else "Oslo",)) for i in range(2 * CHUNK))
TASK = Task("toy", (), QUESTIONS)


def test_who_was_interrupted_goes_on(tmp_path: Path) -> None:
    first = Scripted(most=CHUNK)
    with pytest.raises(KeyboardInterrupt):
        best_guesses(first, TASK, QUESTIONS, kept=Kept(tmp_path, "m"))
    again = Scripted()
    guesses = best_guesses(again, TASK, QUESTIONS, kept=Kept(tmp_path, "m"))
    assert again.asked == CHUNK and len(guesses.pairs) == 2 * CHUNK
    assert [pair.error for pair in guesses.pairs[:2]] == [True, False] and guesses.verdicts[1] is Verdict.CORRECT
    other = Scripted()
    best_guesses(other, TASK, QUESTIONS, kept=Kept(tmp_path, "another model"))
    assert other.asked == 2 * CHUNK
    Kept(tmp_path).forget()
    assert not (tmp_path / FOLDER).exists()


def test_scores_come_back_as_they_were(tmp_path: Path) -> None:
    pairs, kept = [Pair("Who?", "Bo"), Pair("Who?", "")], Kept(tmp_path, "m")
    values = {"hidden": np.array([[1.0, np.nan], [2.0, 3.0]]), "length": np.array([1.0, 0.0])}
    made = Scored(tuple(pairs), values, {"hidden": (1, 2)}, np.ones((2, 3), dtype=np.float32), ("1 of 2 is empty",))
    kept.scores(pairs, "how", lambda: made)
    again = kept.scores(pairs, "how", lambda: pytest.fail("it is there"))
    assert again.layers == made.layers and again.notes == made.notes and again.pairs == made.pairs
    for name in values:
        np.testing.assert_array_equal(again.values[name], values[name])
    assert again.features is not None and again.features.dtype == np.float32
    with pytest.raises(RuntimeError):
        kept.scores(pairs, "otherwise", _fails)


def _fails() -> Scored:
    raise RuntimeError


def test_without_a_model_there_is_what_texts_say() -> None:
    pairs = [Pair("Who?", "Bo and Al", logprobs=(-1.0, -2.0)), Pair("Who?", "Bo", samples=("Bo", "Al"))]
    found = score_pairs(pairs, Means(), Scoring(wanted_scores("one-pass,samples")[0]))
    np.testing.assert_allclose(found.values["msp"], [3, np.nan])
    np.testing.assert_allclose(found.values["length"], [2, 1])
    told = " ".join(found.notes)
    assert "attention" in told and "give --scorer MODEL" in told and "a model to draw them from" in told
    alike = score_pairs(pairs[1:], Means(), Scoring(("agreement", "dissent", "semantic_entropy", "selfcheck_ngram")))
    np.testing.assert_allclose(alike.values["agreement"], [0.5])
    np.testing.assert_allclose(alike.values["dissent"], [0.5])
    np.testing.assert_allclose(alike.values["semantic_entropy"], [np.log(2)])


def test_what_is_fitted_is_not_computed() -> None:
    with pytest.raises(ValueError, match="probe is fitted, not computed"):
        Scoring(("probe",))
    assert wanted_scores("cascade") == (("length", "msp"), True)
    assert "perplexity" in wanted_scores("combined")[0]


def test_valid_and_wrong_answers_of_one_relation() -> None:
    asked = [
        Question(str(i), "Who?", (gold,), metadata={"relation": relation})
        for i, (gold, relation) in enumerate(
            [("Lima", "city"), ("Oslo", "city"), ("red", "colour"), ("blue", "colour")]
        )
    ]
    guesses = best_guesses(Scripted(), TASK, asked)
    found = labelled_responses(guesses)
    assert [pair.response for pair in found] == ["Lima", "Oslo", "Oslo", "Lima", "red", "blue", "blue", "red"]
    assert [pair.error for pair in found] == [False, True] * 4


def test_documents_stand_before_the_question() -> None:
    asked = [Question("1", "Who wrote Emma?", ("Austen",), documents=("Emma is by Austen.",))]
    assert best_guesses(Scripted(), TASK, asked).pairs[0].prompt == asked[0].prompt(0.0, TASK.template)
    assert best_guesses(Scripted(), TASK, asked).pairs[0].prompt.startswith("> Emma is by Austen.")


def test_only_who_has_no_samples_is_asked_for_some() -> None:
    sampler = ScriptedSampler(lambda prompt, draw: "Bo")
    pairs = [Pair("Who?", "Bo", samples=("Al", "Cy")), Pair("Where?", "Bo"), Pair("When?", "Bo", samples=("Bo", "Bo"))]
    found = score_pairs(pairs, Means(sampler=sampler), Scoring(("agreement", "dissent"), probes=False, samples=2))
    assert set(sampler.prompts) == {"Where?"}
    assert found.values["dissent"].tolist() == [1, 0, 0]
