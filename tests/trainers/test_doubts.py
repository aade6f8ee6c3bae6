"""P(correct) of a model's own guesses by a cross-fitted probe or a fitted detector, and what SFT teaches by it."""

from pathlib import Path

import numpy as np
import pytest

from abstain.evals.detectors.fitting import fit_detectors
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.scoring import Means, Scoring, score_pairs
from abstain.evals.knowledge.fingerprint import fingerprint
from abstain.evals.models import LoadedModel, load_model
from abstain.evals.sampler import Sampler
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.prompts import IDK, prompt_text
from abstain.trainers.doubts import p_correct
from abstain.trainers.sft import Guess, _judged, examples
from abstain.trainers.stages import SftStage

QUESTIONS = tuple(Question(str(i), f"Where was N{i} born?", ("Lima",)) for i in range(60))
TASK = Task("toy", QUESTIONS, ())
TEXTS = [("Lima", "Oslo Rome")[i % 2] for i in range(60)]  # what is right is what is said: plain to see


@pytest.fixture(scope="module")
def loaded(tiny_model_dir: Path) -> LoadedModel:
    return load_model(tiny_model_dir)


@pytest.fixture(scope="module")
def sampler(loaded: LoadedModel) -> Sampler:
    return Sampler(loaded.model, loaded.tokenizer, name="tiny")


HALF = [0.5] * 60


def guesses() -> list[Pair]:
    asked = [prompt_text(question.question, 0, TASK.template) for question in QUESTIONS]
    rows = zip(QUESTIONS, asked, TEXTS, strict=True)
    return [Pair(prompt, text, error=text != "Lima", id=question.id) for question, prompt, text in rows]


def test_a_probe_that_has_not_seen_the_question(sampler: Sampler) -> None:
    p = p_correct(sampler, TASK, guesses(), HALF, None, seed=0)
    assert all(one is not None and (one > 0.5) == (text == "Lima") for one, text in zip(p, TEXTS, strict=True))


def test_a_detector_of_a_file(loaded: LoadedModel, sampler: Sampler, tmp_path: Path) -> None:
    scored = score_pairs(guesses(), Means(loaded, sampler, TASK), Scoring(("length", "msp")))
    about = {"model": "tiny", "fingerprint": fingerprint(loaded.model), "task": "toy"}
    fit = fit_detectors(scored, settings=Scoring(("length", "msp")).as_dict(), **about).detectors
    fit.save(tmp_path / "detector.json")
    found = p_correct(sampler, TASK, guesses(), HALF, f"{tmp_path / 'detector.json'}:length", seed=0)
    np.testing.assert_allclose(np.array(found, dtype=float), fit.p_correct("length", scored))
    other = fit.model_copy(update={"fingerprint": "other"})
    other.save(tmp_path / "detector.json")
    with pytest.raises(ValueError, match="was fitted on responses of tiny"):
        p_correct(sampler, TASK, guesses(), HALF, str(tmp_path), seed=0)
    fit.model_copy(update={"scorer": "big"}).save(tmp_path / "detector.json")
    with pytest.raises(ValueError, match="its scores are by big, which read what tiny said"):
        p_correct(sampler, TASK, guesses(), HALF, str(tmp_path), seed=0)


def test_too_few_guesses_for_a_probe(sampler: Sampler) -> None:
    with pytest.raises(ValueError, match="20 responses of known verdict or more"):
        p_correct(sampler, TASK, guesses()[:10], HALF[:10], None, seed=0)


def test_guesses_without_an_answer_are_not_judged(sampler: Sampler) -> None:
    said = [Guess(text if i else "", 0.5, text == "Lima", text) for i, text in enumerate(TEXTS)]
    found = _judged(sampler, TASK, QUESTIONS, said, SftStage(idk="probe"), 0)
    assert found[0] == said[0] and all(one is not None and one.p_correct is not None for one in found[1:])
    assert _judged(sampler, TASK, QUESTIONS, said, SftStage(), 0) == said


def test_what_is_taught() -> None:
    said = [Guess("Lima", 0.9, True, "Lima", p) for p in (0.4, 0.5, 0.6, None)]
    stage = SftStage(idk="probe", targets=[0.5])
    rows = list(examples(TASK, QUESTIONS[:4], said, stage, seed=0))
    assert [row["completion"] for row in rows] == [IDK, IDK, "Lima", IDK]
    assert [row["p_correct"] for row in rows] == [0.4, 0.5, 0.6, None]
    guessing = examples(TASK, QUESTIONS[:4], said, stage.model_copy(update={"targets": [0]}), seed=0)
    assert all(row["completion"] == "Lima" for row in guessing)


def test_what_a_recipe_may_say() -> None:
    with pytest.raises(ValueError, match="go together"):
        SftStage(idk="detector")
    with pytest.raises(ValueError, match="go together"):
        SftStage(idk="probe", detector="results")
    with pytest.raises(ValueError, match="idk: probe compares with a target"):
        SftStage(idk="probe", instruct="confidence")
