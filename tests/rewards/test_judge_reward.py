"""`JudgedReward`: another reward's prices for a judge's verdicts, as TRL awaits them."""

import asyncio
import pickle
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from abstain.rewards import ConfidenceTarget, ProperScore, TernaryCredit
from abstain.rewards.catalogue import JudgedReward
from abstain.rewards.endpoint.usage import Reply
from abstain.rewards.graders import GRADERS
from abstain.rewards.judge.grader import JudgeGrader
from abstain.rewards.judge.prompts import JudgePrompt
from abstain.rewards.prompts import prompt_text
from abstain.rewards.verdict import Verdict

SHORT = JudgePrompt("{question}|{gold}|{answer}|CORRECT, INCORRECT or NOT_ATTEMPTED?")


@dataclass
class Scripted:
    """A backend that knows the grade of some answers, and fails on all others."""

    grades: dict[str, str] = field(default_factory=lambda: {"Lima": "CORRECT", "City of Kings": "CORRECT"})
    model: str = "Org/Judge-1.5B"
    asked: list[str] = field(default_factory=list)

    @property
    def identity(self) -> dict[str, Any]:
        return {"model": self.model}

    async def ask(self, prompts: Sequence[str], done: Callable[[int, Reply], None]) -> None:
        for index, prompt in enumerate(prompts):
            self.asked.append(prompt)
            grade = self.grades.get(prompt.split("|")[2])
            done(index, Reply(f"GRADE: {grade}") if grade else Reply(failure="timeout", detail="too slow"))


def judged(scoring: Any = "ConfidenceTarget", grades: dict[str, str] | None = None, **args: Any) -> JudgedReward:
    backend = Scripted() if grades is None else Scripted(grades)
    return JudgedReward(JudgeGrader(backend, SHORT), scoring, **args)


def call(reward: JudgedReward, completions: list[Any], **columns: Any) -> list[float | None]:
    size = len(completions)
    given = {"answers": [["Lima"]] * size, "target": [0.75] * size, "question": ["Capital of Peru?"] * size}
    return asyncio.run(reward(completions=completions, **(given | columns)))


GRADES = {"Lima": "CORRECT", "City of Kings": "CORRECT", "Quito": "INCORRECT", "Ask my sister": "NOT_ATTEMPTED"}
COMPLETIONS = ["Lima", "City of Kings", "Quito", "I don't know", "Ask my sister", "", "Cusco"]


def test_scores_by_hand() -> None:
    scores = call(judged(grades=GRADES), COMPLETIONS)
    assert scores == [0.25, 0.25, -0.75, 0.0, 0.0, -0.75, None]  # the judge fails on Cusco


def test_any_reward_prices_the_verdicts() -> None:
    assert call(judged("truthrl", GRADES), COMPLETIONS) == [1, 1, -1, 0, 0, -1, None]
    fixed = judged("ConfidenceTarget", GRADES, scoring_args={"target": 0.5, "form": "original"})
    assert call(fixed, COMPLETIONS, target=None) == [1, 1, -1, 0, 0, -1, None]
    stated = "<answer>Lima</answer><confidence>0.8</confidence>"
    assert call(judged(ProperScore("rlcr")), [stated]) == [pytest.approx(1 - 0.2**2)]


def test_trl_sees_an_asynchronous_reward() -> None:
    utils = pytest.importorskip("trl.trainer.utils")
    reward = judged()
    assert utils.is_async_callable(reward)
    assert utils.get_callable_name(reward) == reward.__name__


def test_names_are_plain_and_differ_with_the_parameters() -> None:
    local = {"url": "http://localhost/v1", "cache": False}
    rewards = [
        judged(),
        judged("truthrl"),
        JudgedReward({"model": "Org/Judge-1.5B", **local}),
        JudgedReward({"model": "Org/Judge-1.5B", **local, "request": {"seed": 1}}),
        JudgedReward({"model": "Org/Judge-7B", **local}),
        JudgedReward({"model": "Org/Judge-7B", **local}, grader="exact"),
    ]
    names = [reward.__name__ for reward in rewards]
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in names)
    assert len(set(names)) == len(names)
    assert names[2] == "confidence_target_judged_by_org_judge_1_5b"


def test_a_reward_can_be_pickled_and_shown() -> None:
    reward = JudgedReward({"model": "m", "url": "http://localhost/v1", "cache": False}, eos_token_ids=[2])
    copy = pickle.loads(pickle.dumps(reward))
    assert (copy.__name__, copy.eos_token_ids, copy.judge) == (reward.__name__, [2], reward.judge)
    assert repr(reward) == "JudgedReward(ConfidenceTarget(), judge='m')"


def test_the_threshold_guard_looks_at_what_prices() -> None:
    assert judged().threshold_dependent
    assert not judged(ConfidenceTarget(target=0.5)).threshold_dependent
    assert not judged(TernaryCredit.preset("truthrl")).threshold_dependent


def test_what_is_logged() -> None:
    extra: dict[str, list[Any]] = {}
    metrics: dict[str, float] = {}
    reward = judged(grades=GRADES)
    call(reward, COMPLETIONS, log_extra=extra.__setitem__, log_metric=metrics.__setitem__)
    verdicts = ["CORRECT", "CORRECT", "INCORRECT", "ABSTAINED", "ABSTAINED", "INCORRECT", "UNGRADED"]
    assert extra == {f"{reward.__name__}/verdict": verdicts}
    assert metrics["accuracy/t=0.75"] == metrics["abstention/all"] == pytest.approx(2 / 7)
    assert metrics["ungraded/all"] == pytest.approx(1 / 7)
    # of Lima, City of Kings, Quito and the last, match agrees on Lima and Quito
    assert metrics["judge/agreement"] == pytest.approx(1 / 2)


def test_a_cut_off_completion_is_known_by_its_last_token() -> None:
    reward = judged(grades={"I am unable": "NOT_ATTEMPTED"}, eos_token_ids=[2])
    assert call(reward, ["I am unable"] * 2, completion_ids=[[5, 2], [5, 5]]) == [0.0, -0.75]


def test_the_judge_sees_the_question_without_the_instruction() -> None:
    reward = judged()
    prompts = [prompt_text("Capital of Peru?", t) for t in (0.0, 0.75)]
    chat = [[{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompts[1]}]]
    call(reward, ["Lima"] * 3, question=None, prompts=[*prompts, *chat], target=[0, 0.75, 0.75])
    assert reward.judge.backend.asked == [SHORT.render("Capital of Peru?", ["Lima"], "Lima")]  # type: ignore


def test_a_judge_needs_the_question() -> None:
    with pytest.raises(ValueError, match="neither a column 'question' nor prompts"):
        call(judged(), ["Lima"], question=None)


def test_the_format_that_was_taught_is_the_scorings() -> None:
    reward = judged(scoring="ConfidenceTarget", scoring_args={"answer_format": "boxed"})
    assert reward.answer_format == "boxed" and judged().answer_format == "auto"


def test_agreement_is_that_of_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def grade_toy(answer: str, gold: Sequence[str], question: str = "", reading: str = "lenient") -> Verdict:
        assert question == "Capital of Peru?"
        return Verdict.CORRECT if reading == "lenient" else Verdict.INCORRECT

    monkeypatch.setitem(GRADERS, "exact", grade_toy)
    for options, agrees in (({}, 1.0), ({"reading": "strict"}, 0.0)):
        logged: dict[str, float] = {}
        call(judged(grader="exact", **options), ["Lima"], log_metric=logged.__setitem__)
        assert logged["judge/agreement"] == agrees
        assert "reading/gap" not in logged


LOCAL = {"model": "m", "url": "http://localhost/v1", "cache": False}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"judge": None}, "judge is None; it must name a model"),
        ({"judge": {"url": "http://localhost/v1"}}, "must name a model"),
        ({"judge": {"model": "m", "cache": False, "ur": "x"}}, "no option 'ur'. Did you mean 'url'"),
        ({"scoring": "ConfidenceTargt"}, "Did you mean 'ConfidenceTarget'"),
        ({"scoring_args": {"targt": 1}}, "Did you mean 'target'"),
        ({"scoring": ConfidenceTarget(), "scoring_args": {"target": 0.5}}, "given by name"),
        ({"grader": "exatc"}, "Did you mean 'exact'"),
    ],
)
def test_bad_arguments(args: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JudgedReward(**({"judge": LOCAL} | args))


def test_a_judge_cannot_price() -> None:
    with pytest.raises(ValueError, match="not ask a judge itself"):
        judged(judged())


def grade_lima(request: Any) -> None:
    """Grades CORRECT whatever holds Lima; every other request is refused first, with 429."""
    grade = "CORRECT" if "Lima" in request.prompt.split("<answer ")[1] else "INCORRECT"
    request.chat(f"GRADE: {grade}", status=429 if len(request.server.requests) % 2 else 200)


@pytest.mark.slow
def test_grpo_trains_on_a_judge_behind_a_server(chat_server: Any, tmp_path: Any, tiny_model_dir: Any) -> None:
    """Stock TRL, two steps: the judge is awaited on TRL's own event loop, and its verdicts are the rewards."""
    pytest.importorskip("openai")
    trl = pytest.importorskip("trl")
    from datasets import Dataset

    row = {"prompt": prompt_text("Where was Ada born?", 0.5), "answers": ["Lima"], "target": 0.5}
    chat_server.script = [grade_lima]
    judge = {"model": "stub", "url": chat_server.url, "cache": str(tmp_path / "judge.sqlite3"), "first_pause": 0.01}
    reward = JudgedReward(judge)
    config = trl.GRPOConfig(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=4,
        num_generations=4,
        max_completion_length=3,
        scale_rewards="none",
        logging_steps=1,
        report_to="none",
        use_cpu=True,
        bf16=False,
        remove_unused_columns=False,
        save_strategy="no",
        disable_tqdm=True,
    )
    trainer = trl.GRPOTrainer(
        str(tiny_model_dir), reward_funcs=reward, args=config, train_dataset=Dataset.from_list([row] * 8)
    )
    trainer.train()
    logged = [log for log in trainer.state.log_history if "reward" in log]
    assert len(logged) == 2
    for log in logged:
        assert log["accuracy/all"] + log["error/all"] + log["abstention/all"] == pytest.approx(1)
        assert log["rewards/confidence_target_judged_by_stub/mean"] == pytest.approx(
            0.5 * (log["accuracy/all"] - log["error/all"])
        )
    assert isinstance(reward.judge, JudgeGrader)
    assert reward.judge.usage.asked >= 1
    assert reward.judge.usage.retries >= 1
    assert not reward.judge.usage.failures
