"""A judge that runs here: replies of a tiny model are read like any other's."""

import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.local_judge import LocalModel, load_judge
from abstain.evals.sampler import Sampler
from abstain.evals.sampling import Completion
from abstain.rewards.endpoint.client import Endpoint
from abstain.rewards.judge.grader import UNREADABLE, Case, JudgeGrader
from abstain.rewards.judge.prompts import JudgePrompt, read_grade
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict

SHORT = JudgePrompt("{question} {gold} {answer} CORRECT, INCORRECT or NOT_ATTEMPTED?")
WORDS = ("CORRECT", "INCORRECT", "NOT_ATTEMPTED", "Lima", "Quito")


@pytest.fixture(scope="module")
def folder(make_tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("judge") / "model", words=WORDS)


def case(answer: str) -> Case:
    return Case("Capital of Peru?", ("Lima",), Response(answer))


def test_verdicts_are_what_the_model_writes(folder: Path) -> None:
    """The tiny model speaks at random: each verdict must be what its own greedy text reads as, never a guess."""
    judge = JudgeGrader(LocalModel(str(folder), max_new_tokens=1), SHORT)
    answers = [f"{a} {b}" for a in WORDS for b in WORDS]
    verdicts = judge.grade([case(answer) for answer in answers])
    sampler = judge.backend._load()  # type: ignore[attr-defined]
    prompts = [SHORT.render("Capital of Peru?", ["Lima"], answer) for answer in answers]
    texts = [row[0] for row in sampler.sample(prompts, max_new_tokens=1)]
    assert verdicts == [Verdict.UNGRADED if text.truncated else read_grade(text.text) for text in texts]
    assert judge.usage.asked == 25
    assert judge.usage.failures.total() == verdicts.count(Verdict.UNGRADED)


def test_grades_failures_and_tokens(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the sampler returns, by hand: a grade, a grade cut off, and no grade."""

    def sample(self: Sampler, prompts: list[str], **options: Any) -> list[list[Completion]]:
        assert options == {"max_new_tokens": 5}
        made = {
            "Lima": Completion("GRADE: CORRECT", -1.0, 3, False),
            "Quito": Completion("GRADE: IN", -1.0, 5, True),
            "Cusco": Completion("Cusco is lovely", -1.0, 4, False),
        }
        return [[made[prompt.split()[4]]] for prompt in prompts]

    monkeypatch.setattr(Sampler, "sample", sample)
    judge = JudgeGrader(LocalModel(str(folder), max_new_tokens=5), SHORT)
    assert judge.grade([case("Quito"), case("Lima"), case("Cusco")]) == ["UNGRADED", "CORRECT", "UNGRADED"]
    assert judge.usage.failures == {"cut off": 1, UNREADABLE: 1}
    assert judge.usage.completion_tokens == 12


def test_a_prompt_that_does_not_fit_fails_alone(folder: Path) -> None:
    judge = JudgeGrader(LocalModel(str(folder), max_new_tokens=1), SHORT)
    judge.grade([case("Lima"), case("word " * 600)])
    assert judge.usage.failures["bad request"] == 1
    assert "does not fit" in judge.usage.example or judge.usage.failures.total() > 1
    assert judge.usage.asked == 2


def test_a_local_judge_is_pickled_without_its_weights(folder: Path) -> None:
    backend = LocalModel(str(folder), max_new_tokens=2)
    JudgeGrader(backend, SHORT).grade([case("Lima")])
    data = pickle.dumps(JudgeGrader(backend, SHORT))
    assert len(data) < 3_000
    assert pickle.loads(data).backend == backend


def test_the_cache_notices_new_weights(folder: Path) -> None:
    backend = LocalModel(str(folder))
    before = backend.identity
    assert before == LocalModel(str(folder)).identity
    os.utime(folder / "config.json", ns=(1, 1))
    assert backend.identity != before


def test_judges_by_name(tmp_path: Path) -> None:
    assert isinstance(load_judge("gpt", "http://localhost/v1", cache=False, concurrency=2).backend, Endpoint)
    assert load_judge("local:some/model", cache=tmp_path / "c", max_new_tokens=9).backend == LocalModel(
        "some/model", 9
    )
    with pytest.raises(ValueError, match="has no url; leave out local: to ask http://localhost/v1"):
        load_judge("local:m", "http://localhost/v1")
    with pytest.raises(ValueError, match="no option 'max_tokens'"):
        load_judge("local:m", cache=False, max_tokens=9)
    with pytest.raises(ValueError, match="max_new_tokens is 0"):
        load_judge("local:m", cache=False, max_new_tokens=0)


def test_a_model_that_is_not_there_is_an_error_not_a_failure(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model at"):
        load_judge(f"local:{tmp_path}/nothing", cache=False).check()
