"""Advantages by hand, and what holds for any of them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from abstain.trainers.ppo import advantages_and_returns

REWARD = torch.tensor([1.0])
VALUES = torch.tensor([[0.5, 0.2, 0.4]])


MIDDLE = 0.16 + 0.72 * 0.6  # of gamma .9, lambda .8: errors are .9*.2-.5, .9*.4-.2, 1-.4; gamma*lambda is .72


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"gamma": 0.9, "lam": 0.8}, [-0.32 + 0.72 * MIDDLE, MIDDLE, 0.6]),
        ({"lam": 0.0}, [-0.3, 0.2, 0.6]),  # the one-step error
        ({}, [0.5, 0.8, 0.6]),  # reward minus value
    ],
)
def test_by_hand(options, expected):
    advantages, returns = advantages_and_returns(REWARD, VALUES, torch.ones(1, 3), **options)
    assert advantages[0].tolist() == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(returns, advantages + VALUES)


def test_what_a_tool_said_and_padding_are_no_steps():
    with_gaps = torch.tensor([[0.5, 9.0, 0.2, 0.4, 9.0]])
    mask = torch.tensor([[1, 0, 1, 1, 0]])
    advantages, returns = advantages_and_returns(REWARD, with_gaps, mask, gamma=0.9, lam=0.8)
    plain, plain_returns = advantages_and_returns(REWARD, VALUES, torch.ones(1, 3), gamma=0.9, lam=0.8)
    assert advantages[0, [0, 2, 3]].tolist() == pytest.approx(plain[0].tolist())
    assert returns[0, [0, 2, 3]].tolist() == pytest.approx(plain_returns[0].tolist())
    assert advantages[0, [1, 4]].tolist() == returns[0, [1, 4]].tolist() == [0.0, 0.0]


def test_a_masked_completion_has_no_advantage():
    advantages, returns = advantages_and_returns(REWARD, VALUES, torch.zeros(1, 3))
    assert not advantages.any() and not returns.any()


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6), st.floats(-2, 2), st.floats(0, 1), st.floats(0, 1))
def test_it_is_the_sum_of_the_discounted_errors(values, reward, gamma, lam):
    steps = len(values)
    ahead = [*values[1:], 0.0]
    errors = [gamma * after - now for now, after in zip(values, ahead, strict=True)]
    errors[-1] += reward
    expected = [sum((gamma * lam) ** (j - t) * errors[j] for j in range(t, steps)) for t in range(steps)]
    found, _ = advantages_and_returns(
        torch.tensor([reward], dtype=torch.double),
        torch.tensor([values], dtype=torch.double),
        torch.ones(1, steps),
        gamma=gamma,
        lam=lam,
    )
    assert found[0].tolist() == pytest.approx(expected, abs=1e-9)
