"""Bad rewards are told so that they can be mended; a guarded reward is otherwise the reward."""

import asyncio
import functools
import logging
import pickle

import pytest
import torch

from abstain.rewards import ConfidenceTarget
from abstain.rewards.graders import GRADERS
from abstain.rewards.verdict import Verdict
from abstain.trainers.guards.rewards import GuardedAsyncReward, RewardError, checked_scores, guard_reward
from abstain.trainers.guards.rollouts import Rollouts


class State:
    def __init__(self, step):
        self.global_step = step


BATCH = {
    "prompts": ["Who?", "Where?", "When?"],
    "completions": ["Lima", "I don't know", "Quito"],
    "completion_ids": [[1], [2], [3]],
    "answers": [["Lima"]] * 3,
    "target": [0.75] * 3,
    "trainer_state": State(3),
    "log_extra": lambda column, values: None,
    "log_metric": lambda name, value: None,
}


def broken(completions, answers, **kwargs):
    return [1 / len(completion.replace("Quito", "")) for completion in completions]


async def broken_async(completions, **kwargs):
    raise TimeoutError("the judge did not answer")


class GroupOnly:
    """Fails on any batch, but not on one row."""

    def __call__(self, completions, **kwargs):
        if len(completions) > 1:
            raise ValueError("rows differ")
        return [0.0]


def test_it_is_the_reward_otherwise():
    reward = ConfidenceTarget(grader="exact")
    guarded = guard_reward(reward)
    assert guarded.__name__ == reward.__name__
    assert guarded(**BATCH) == reward(**BATCH)
    again = pickle.loads(pickle.dumps(guarded))
    assert again.__name__ == reward.__name__ and again(**BATCH) == reward(**BATCH)


def test_names_are_those_that_trl_gives():
    from trl.trainer.utils import get_callable_name, is_async_callable

    for reward in (broken, functools.partial(broken, answers=[]), GroupOnly(), ConfidenceTarget(), broken_async):
        guarded = guard_reward(reward)
        assert get_callable_name(guarded) == get_callable_name(reward)
        assert is_async_callable(guarded) == is_async_callable(reward)


def test_both_readings_are_overheard(monkeypatch):
    def grade_toy(answer, gold, question="", reading="lenient"):
        return Verdict.CORRECT if answer in gold or reading == "lenient" else Verdict.INCORRECT

    monkeypatch.setitem(GRADERS, "match", grade_toy)
    for reading in ("strict", "lenient"):
        rollouts = Rollouts()
        rollouts.open = True
        guard_reward(ConfidenceTarget(reading=reading), rollouts)(**BATCH)
        window = rollouts.take()
        assert window.compared == 3 and +window.apart == {"Quito": 1}


def test_hooks_still_get_what_the_reward_logs():
    extra, metrics = {}, {}
    batch = BATCH | {"log_extra": extra.__setitem__, "log_metric": metrics.__setitem__}
    guard_reward(ConfidenceTarget(), Rollouts())(**batch)
    assert extra["confidence_target/verdict"] == ["CORRECT", "ABSTAINED", "INCORRECT"]
    assert extra["confidence_target/lenient"] == ["CORRECT", "ABSTAINED", "INCORRECT"]
    assert metrics["abstention/all"] == pytest.approx(1 / 3)
    without = {name: value for name, value in BATCH.items() if not name.startswith("log_")}
    assert guard_reward(ConfidenceTarget())(**without) == [0.25, 0.0, -0.75]


def test_a_reward_that_raises_is_named_and_its_row_shown():
    with pytest.raises(RewardError) as caught:
        guard_reward(broken)(**BATCH)
    message = str(caught.value)
    assert message.startswith("reward 'broken' raised ZeroDivisionError: division by zero at ")
    assert "row 2 of 3:" in message and "prompt: 'When?'" in message and "completion: 'Quito'" in message
    assert "answers: ['Lima']" in message and "completion_ids" not in message
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_reward_that_fails_on_the_batch_alone():
    with pytest.raises(RewardError, match="no single row fails by itself; the first of 3"):
        guard_reward(GroupOnly())(**BATCH)


def test_an_asynchronous_reward_that_raises():
    guarded = guard_reward(broken_async)
    assert isinstance(guarded, GuardedAsyncReward)
    with pytest.raises(RewardError, match="reward 'broken_async' raised TimeoutError: the judge did not answer"):
        asyncio.run(guarded(**BATCH))


def test_nan_counts_as_ungraded_and_is_reported_once(caplog):
    guarded = guard_reward(lambda completions, **kwargs: [1.0, float("nan"), None])
    with caplog.at_level(logging.WARNING):
        assert [guarded(**BATCH) for _ in range(3)] == [[1.0, None, None]] * 3
    (record,) = caplog.records
    assert "returned NaN for 1 of 3 completions" in record.getMessage()
    assert "prompt: 'Where?'" in record.getMessage()


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([1.0, 2.0], "2 entries for 3 completions"),
        (None, "is a NoneType; it must be a list"),
        (1.0, "is a float; it must be a list"),
        ([0.0, float("-inf"), 0.0], r"returned -inf; it must be a finite number[^\n]*\n  row 1"),
        ([0.0, "good", 0.0], "returned 'good'"),
    ],
)
def test_what_is_no_list_of_scores_is_refused(scores, message):
    with pytest.raises(RewardError, match=message):
        guard_reward(lambda **kwargs: scores)(**BATCH)


def test_tensors_and_arrays_are_lists_of_scores():
    assert checked_scores("r", torch.tensor([1.0, float("nan"), 2.0]), BATCH) == ([1.0, None, 2.0], 1)
    assert guard_reward(lambda **kwargs: torch.tensor([1.0, 0.0, 2.0]))(**BATCH) == [1.0, 0.0, 2.0]


def test_a_long_value_is_cut_and_a_secret_hook_is_not_shown():
    with pytest.raises(RewardError) as caught:
        guard_reward(broken)(**BATCH | {"completions": ["Quito", "x" * 5000, "y"], "environments": ["token"] * 3})
    assert len(str(caught.value)) < 1200 and "environments" not in str(caught.value)
