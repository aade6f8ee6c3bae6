"""Weights that become NaN end training in a sentence, and never in a checkpoint."""

import pytest
import torch
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from abstain.trainers.checkpoints import whole_checkpoints
from abstain.trainers.not_finite import FiniteWeights, NotFinite, not_finite
from abstain.trainers.ppo import PPOConfig, TriePPOTrainer
from abstain.trainers.run_trainer import train
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from .conftest import PROMPTS


class Spoil(TrainerCallback):
    """Makes weights NaN as an optimizer would, after some step's gradients."""

    def __init__(self, after, *names):
        self.after, self.names = after, names

    def on_optimizer_step(self, args, state, control, model=None, **kwargs):
        if state.global_step == self.after - 1:
            for name, weight in model.named_parameters():
                if any(part in name for part in self.names):
                    weight.data.view(-1)[-1] = torch.nan


def reward(prompts, completions, **kwargs):
    return [float(len(text) % 3) for text in completions]


@pytest.fixture
def make_trainer(build_trainer):
    def make(cls=GRPOTrainer, config=GRPOConfig, **args):
        options = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 1, "max_steps": 6}
        rows = [{"prompt": prompt} for prompt in PROMPTS * 2]
        return build_trainer(cls, config, rows, reward, **options | {"per_device_train_batch_size": 8} | args)

    return make


@pytest.mark.parametrize(
    ("cls", "config"), [(GRPOTrainer, GRPOConfig), (TrieGRPOTrainer, GRPOConfig), (TriePPOTrainer, PPOConfig)]
)
def test_a_step_too_large(make_trainer, tmp_path, cls, config):
    """The gradients of its log-probabilities are NaN, and so is every weight after the next step."""
    trainer = make_trainer(cls, config, learning_rate=1e30, max_grad_norm=0.0, save_steps=100, optim="sgd")
    with pytest.raises(NotFinite, match="There is no checkpoint from before") as caught:
        train(trainer, resume=False)
    assert "since step " in str(caught.value) and "learning_rate (now 1e+30)" in str(caught.value)
    assert f"{tmp_path.name}.args.max_grad_norm: 1.0 (now 0)" in str(caught.value)


def test_the_last_good_checkpoint_is_named_and_stays(make_trainer, tmp_path):
    trainer = make_trainer(TrieGRPOTrainer)
    trainer.add_callback(Spoil(3, "norm.weight"))
    with pytest.raises(NotFinite) as caught:
        train(trainer, resume=False)
    message = str(caught.value)
    assert message.startswith(
        "the model's weights are not finite since step 3 (model.layers.0.input_layernorm.weight and 4 more). "
        f"The last good checkpoint is {tmp_path / 'checkpoint-2'}. "
    )
    assert f"{tmp_path.name}.args.learning_rate (now 0.01)" in message and "max_grad_norm" not in message
    assert list(tmp_path.glob("checkpoint-*")) == whole_checkpoints(tmp_path) == [tmp_path / "checkpoint-2"]


def test_an_error_that_comes_of_it_is_its_cause(make_trainer):
    trainer = make_trainer(TrieGRPOTrainer, save_strategy="no", logging_steps=100)
    trainer.add_callback(Spoil(2, "layers.1.mlp"))
    told = r"since step 2 at the latest; at step 0 they were \(model\.layers\.1\.mlp"
    with pytest.raises(NotFinite, match=told) as caught:
        train(trainer, resume=False)
    assert caught.value.__cause__ is not None


def test_weights_that_have_grown_until_logits_overflow(make_trainer):
    """They are numbers, and what is computed of them is none: sampling says so."""
    weights = FiniteWeights(make_trainer())
    told = "weights have grown until its logits are not finite, at step 0. There is no checkpoint from before"
    with pytest.raises(NotFinite, match=told), weights.explain():
        raise FloatingPointError("the policy's probabilities are not finite")


def test_training_does_not_end_well_with_them(make_trainer):
    trainer = make_trainer(max_steps=2, save_strategy="no", logging_steps=100)
    trainer.add_callback(Spoil(2, "lm_head", "embed_tokens"))
    with pytest.raises(NotFinite, match="since step 2 at the latest"):
        train(trainer, resume=False)


def test_a_model_that_is_loaded_like_that(make_trainer):
    trainer = make_trainer()
    torch.nn.init.constant_(trainer.model.model.norm.weight, float("inf"))
    with pytest.raises(NotFinite, match=r"as training begins \(model\.norm\.weight\): choose another model"):
        train(trainer, resume=False)


def test_gradients_that_are_skipped_are_none_of_its_business(make_trainer, caplog):
    """A loss scale that was too large gives NaN, and no step."""
    trainer = make_trainer()
    looked = []
    weights = FiniteWeights(trainer)
    weights.check = lambda: looked.append(True)
    for logs in ({"loss": 1.0, "grad_norm": 2.0}, {"reward": float("nan")}, {"loss": None}):
        weights.on_log(trainer.args, trainer.state, trainer.control, logs=logs)
    assert not looked
    weights.on_log(trainer.args, trainer.state, trainer.control, logs={"grad_norm": float("nan")})
    weights.on_log(trainer.args, trainer.state, trainer.control, logs={"loss": float("inf")})
    assert len(looked) == 2
    FiniteWeights(trainer).on_log(trainer.args, trainer.state, trainer.control, logs={"grad_norm": float("nan")})


def test_other_errors_stay(make_trainer):
    weights = FiniteWeights(make_trainer())
    with pytest.raises(KeyError, match="mine"), weights.explain():
        raise KeyError("mine")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_largest_numbers_are_finite(dtype):
    layer = torch.nn.Linear(3, 3).to(dtype)
    layer.weight.data.fill_(torch.finfo(dtype).max)
    assert not_finite(layer) == []
    layer.weight.data[1, 1] = -torch.inf
    assert not_finite(layer) == ["weight"]
    assert not_finite(torch.nn.Linear(0, 2)) == []
