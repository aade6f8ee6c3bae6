"""Every family of models is trained as stock TRL trains it: on the trie where that is exact, else without it.

Each test trains a tiny random model for two steps in both ways, the stock trainer on the completions of the other, and
compares how far each weight has moved. SGD moves it by its gradient, so that what is wrong shows in proportion.
"""

import logging
import re
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer

from abstain.evals.trie.checks import KNOWN
from abstain.trainers.trie import trainer as trie_trainer
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from .conftest import assert_same_gradients, new_trainer
from .families import FAMILIES, SHIFTED, UNTRAINABLE, VARIANTS, tiny_model

FAST = ("llama", "gpt2", "gemma3_text-window", "gpt_neo-window", "mpt", "bamba")
SHARED = KNOWN - SHIFTED | {"falcon-new", "llama-tied", "opt-projected"}
LEFT_ALONE = {*FAST, *UNTRAINABLE}
TOLERANCE = 1e-3  # of how far a weight moves

PROMPTS = ("Ada Bo Cy Di Ed Flo Gus Hal Lima", "Ada Bo Cy Di Oslo", "Rome Hal Gus", "Where was Cy born?")
BRANCHING = ([3, 4, 5, 1], [3, 4, 6, 7], [3, 5, 5, 5], [8, 1])
SAME = ([3, 4, 5, 6],) * 4
RAW = re.compile(
    r"Error|out of range|has no attribute|unexpected keyword|must match|size of tensor|to unpack|NoneType"
)


class Training(NamedTuple):
    """What came of two steps.

    Args:
        moved: how far each weight has moved.
        drawn: completions of each step.
        exact: whether the trie was found to be exact.
        on_trie: share of each step's batches that were scored on it.
        said: warnings of why not.
    """

    moved: dict[str, Tensor]
    drawn: list[list[list[int]]]
    exact: bool
    on_trie: list[float]
    said: list[str]


def row_reward(completions: list[str], **_: Any) -> list[float]:
    """By place: each prompt has completions with and without an advantage, whatever they are."""
    return [float(index % 3 == 0) for index in range(len(completions))]


def taught(cls, steps, replayed):
    """A trainer whose completions are replayed, or else at each of its steps given, or drawn where `None` is given."""

    class Taught(cls):
        def __init__(self, *args, **kwargs):
            self.drawn = []
            super().__init__(*args, **kwargs)

        def _generate_single_turn(self, prompt_ids, *args, **kwargs):
            step = len(self.drawn)
            given = steps[step] if replayed is None else replayed[step]
            if given is None:
                tokens = super()._generate_single_turn(prompt_ids, *args, **kwargs)[0]
            else:
                tokens = [given[row % len(given)] for row in range(len(prompt_ids))]
            self.drawn.append([list(row) for row in tokens])
            return [list(row) for row in tokens], None

    return Taught


@pytest.fixture
def train(tiny_model_dir, tmp_path, caplog, monkeypatch):
    """`train(cls, model, steps=(None, BRANCHING))`: a `Training`; `args` go to the trainer."""

    monkeypatch.setattr(trie_trainer, "gain", lambda *_: None)  # share whatever it costs

    def run(cls, model, *, steps=(None, BRANCHING), replayed=None, prompts=PROMPTS, **args):
        caplog.clear()
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        options = {"optim": "sgd", "learning_rate": 0.1, "scale_rewards": "none", "shuffle_dataset": False}
        rows = [{"prompt": prompt} for prompt in prompts]
        size = 4 * min(len(rows), 4)
        options |= {"per_device_train_batch_size": size, "output_dir": str(tmp_path), "model": model}
        with caplog.at_level(logging.WARNING, trie_trainer.__name__):
            trainer = new_trainer(
                taught(cls, steps, replayed), GRPOConfig, rows, row_reward, tiny_model_dir, **options | args
            )
            trainer.train()
        moved = {name: value.detach().float() - before[name].float() for name, value in model.named_parameters()}
        said = [record.getMessage() for record in caplog.records if record.name == trie_trainer.__name__]
        on_trie = [log.get("rollouts/shared", 0.0) for log in trainer.state.log_history if "loss" in log]
        return Training(moved, trainer.drawn, bool(getattr(trainer, "_exact", False)), on_trie, said)

    return run


@pytest.fixture
def check(train):
    """`check(make)`: a model of `make()` is trained as stock does it; returns the `Training`."""

    def run(make, tolerance=TOLERANCE, **args):
        ours = train(TrieGRPOTrainer, make(), **args)
        # Who is refused draws what the stock trainer draws; else it is told
        stock = train(GRPOTrainer, make(), replayed=ours.drawn if ours.exact else None, **args)
        assert ours.drawn == stock.drawn
        assert all(move.isfinite().all() for move in stock.moved.values())
        assert max(move.abs().max() for move in stock.moved.values()) > 1e-4
        if ours.exact:
            assert_same_gradients(ours.moved, stock.moved, tolerance)
        else:
            torch.testing.assert_close(ours.moved, stock.moved, rtol=0, atol=0)
        if ours.on_trie != [1.0, 1.0]:
            assert_a_person_understands(ours.said)
        return ours

    return run


def assert_a_person_understands(said):
    """Warnings whose reasons are sentences and not the text of an exception, and none again with other numbers."""
    reasons = [message.partition("the stock path runs instead: ")[2] for message in said]
    assert reasons and len({re.sub(r"\d+", "", reason) for reason in reasons}) == len(reasons), reasons
    for reason in reasons:
        assert len(reason.split()) >= 4 and not RAW.search(reason), reason


def slow(*names):
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize(
    "family", [*FAST, *slow(*(name for name in (*FAMILIES, *VARIANTS) if name not in LEFT_ALONE))]
)
def test_two_steps_are_those_of_stock_trl(check, family):
    done = check(lambda: tiny_model(family))
    assert (done.on_trie == [1.0, 1.0]) == (family in SHARED), done.said


NASTY = {
    "one prompt in the batch": {"prompts": PROMPTS[:1]},
    "short prompts first": {"prompts": ("Ada", "Bo Cy", "Di", "Ed Flo", *PROMPTS)},
    "longer prompts later": {"prompts": (*PROMPTS[2:], "Ada Bo Cy", "Di Ed Flo Gus", *PROMPTS)},
    "no siblings in the first batch": {"steps": (SAME, BRANCHING)},
}


@pytest.mark.parametrize("family", ["gemma3_text-window", *slow("llama", "gpt2", "gpt_neo-window", "mpt", "bamba")])
@pytest.mark.parametrize("case", NASTY)
def test_the_first_batch_need_not_show_what_later_ones_do(check, family, case):
    check(lambda: tiny_model(family), **NASTY[case])


def peaked(family):
    """A model that is sure of each next token, so that completions of a prompt are mostly the same."""
    model = tiny_model(family)
    model.get_output_embeddings().weight.data *= 100
    return model


@pytest.mark.parametrize("family", ["mpt", *slow("llama", "gpt2", "gemma3_text-window", "gpt_neo-window", "bamba")])
def test_a_peaked_policy_is_trained_as_stock_trains_it(check, family):
    done = check(lambda: peaked(family))
    by_prompt = [done.drawn[0][start : start + 4] for start in range(0, 16, 4)]
    assert sum(rows == rows[:1] * 4 for rows in by_prompt) >= 2


HALF = {"weights": torch.bfloat16, "autocast": torch.float32}
LOOK_ELSEWHERE = ("mpt", "gpt_neo-window", "recurrent_gemma", "recurrent_gemma-window")


@pytest.mark.parametrize("how", HALF)
@pytest.mark.parametrize("family", ["mpt", "llama", *slow("qwen3", *LOOK_ELSEWHERE[1:])])
def test_bfloat16_is_no_reason_to_share_or_not(check, train, family, how):
    """Rounding moves weights as far as a small mistake does: what looks elsewhere has to take the steps of stock."""
    options = {"bf16": how == "autocast"}
    if family in LOOK_ELSEWHERE:
        assert not check(lambda: tiny_model(family, HALF[how]), **options).exact
    else:
        done = train(TrieGRPOTrainer, tiny_model(family, HALF[how]), **options)
        assert done.on_trie == [1.0, 1.0], done.said
