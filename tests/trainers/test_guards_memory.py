"""Want of memory is told by what would have helped; other errors stay what they are."""

from types import SimpleNamespace

import pytest
import torch

from abstain.trainers.run_trainer import OutOfMemory, explain_memory

ARGS = SimpleNamespace(per_device_train_batch_size=64, gradient_accumulation_steps=1, max_completion_length=32)


def refuse():
    torch.empty(2**60)  # more than any machine has


def _generate_single_turn():
    refuse()


def _compute_loss():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")


def _ask():
    raise MemoryError


def step():
    refuse()


@pytest.mark.parametrize(
    ("work", "where", "knob"),
    [
        (_generate_single_turn, "completions were sampled", "rl.args.max_completion_length: less than 32"),
        (_compute_loss, "the model was trained", "rl.args.gradient_checkpointing: true"),
        (_ask, "held-out questions were asked", "eval.batch_tokens: half"),
        (step, "the optimizer made its state", "rl.args.optim: adafactor"),
        (refuse, "the model was trained", "rl.args.per_device_train_batch_size: 32 (now 64)"),
    ],
)
def test_the_knob_depends_on_what_was_going_on(work, where, knob):
    with pytest.raises(OutOfMemory) as caught, explain_memory(ARGS):
        work()
    message = str(caught.value)
    assert f"memory ran out while {where}" in message and f"\n  {knob}" in message
    assert caught.value.__cause__ is not None


def test_the_knobs_are_those_of_the_section():
    knob = r"\n  sft\.args\.per_device_train_batch_size: 32 \(now 64\)"
    with pytest.raises(OutOfMemory, match=knob), explain_memory(ARGS, "sft"):
        refuse()


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("x"), KeyboardInterrupt()])
def test_other_errors_stay(error):
    with pytest.raises(type(error)), explain_memory(ARGS):
        raise error
