"""Whatever the options, shared rollouts move the weights as stock TRL does.

Plain gradient descent, so that a tiny gradient stays tiny: Adam would blow its rounding up.
"""

from itertools import product

import pytest
import torch
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from abstain.trainers.ppo import PPOConfig, PPOTrainer, TriePPOTrainer
from abstain.trainers.trie.trainer import TrieGRPOTrainer, TrieRLOOTrainer

from .conftest import PROMPTS, with_given_completions

TRAINERS = {
    "grpo": (GRPOTrainer, TrieGRPOTrainer, GRPOConfig),
    "rloo": (RLOOTrainer, TrieRLOOTrainer, RLOOConfig),
    "ppo": (PPOTrainer, TriePPOTrainer, PPOConfig),
}
BATCHES = {
    "one batch": {},
    "accumulated": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4},
    "minibatches": {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "steps_per_generation": 4},
    "several iterations": {"num_iterations": 2},
}
LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "luspo", "sapo", "vespo")
OF_ALGORITHM = {
    "grpo": [{"loss_type": loss, "scale_rewards": scale} for loss in LOSSES for scale in ("none", "group")],
    "rloo": [{"normalize_advantages": normalized} for normalized in (False, True)],
    "ppo": [
        {"loss_type": loss, "gae_lambda": 0.9, "whiten_advantages": whitened, "num_generations": generations}
        for loss in LOSSES
        for whitened, generations in ((False, 1), (True, 4))
    ],
}
EVERYWHERE = [{"beta": beta, "mask_truncated_completions": masked} for beta in (0.0, 0.1) for masked in (False, True)]
CASES = [
    (algorithm, batches, own | shared)
    for algorithm in TRAINERS
    for batches, own, shared in product(BATCHES, OF_ALGORITHM[algorithm], EVERYWHERE)
]
"""544 of them; some that meet every algorithm and way of batching are tried each time."""
FEW = CASES[::134]


def reward(prompts, completions, **kwargs):
    return [len(p) / 20 + float(len(c) % 4) for p, c in zip(prompts, completions, strict=True)]


def weight_change(build_trainer, base, config, **options):
    torch.manual_seed(0)
    rows = [{"prompt": prompt} for prompt in PROMPTS * 8]
    trainer = build_trainer(
        with_given_completions(base), config, rows, reward, optim="sgd", lr_scheduler_type="constant", **options
    )
    if config is PPOConfig:
        torch.manual_seed(1)
        torch.nn.init.normal_(trainer.model.value_head.outer.weight)  # a critic that says something
    before = {name: weight.detach().clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    assert getattr(trainer, "_exact", None) is not None or base in (GRPOTrainer, RLOOTrainer)
    after = dict(trainer.model.named_parameters())
    return torch.cat([(after[name].detach() - old).flatten() for name, old in before.items()]), trainer


@pytest.mark.parametrize(
    ("algorithm", "batches", "options"),
    [
        pytest.param(*case, id=f"{index}", marks=() if case in FEW else pytest.mark.slow)
        for index, case in enumerate(CASES)
    ],
)
def test_weights_move_as_in_stock_trl(build_trainer, algorithm, batches, options):
    stock, trie, config = TRAINERS[algorithm]
    options = {"max_steps": 2, "learning_rate": 0.1, "max_grad_norm": 0.0, **BATCHES[batches], **options}
    expected, _ = weight_change(build_trainer, stock, config, **options)
    found, trainer = weight_change(build_trainer, trie, config, **options)
    assert trainer._exact and expected.norm() > 0
    assert (found - expected).norm() < 1e-4 * expected.norm()
