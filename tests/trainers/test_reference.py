"""What a KL term pulls to."""

import torch
from transformers import AutoModelForCausalLM
from trl import GRPOConfig, GRPOTrainer

from abstain.rewards import ConfidenceTarget
from abstain.trainers.run_trainer import start_as_reference

from .conftest import ROWS


def test_the_reference_is_the_model_that_rl_starts_from(build_trainer, tiny_model_dir):
    """Contract with TRL: it loads the reference from the folder, whatever has been done to the model since."""
    warmed = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    torch.nn.init.normal_(warmed.model.norm.weight)
    trainer = build_trainer(
        GRPOTrainer, GRPOConfig, ROWS, ConfidenceTarget(), beta=0.01, scale_rewards="none", model=warmed
    )
    policy, reference = trainer.model.model.norm.weight, trainer.ref_model.model.norm.weight
    assert not torch.equal(policy, reference)
    start_as_reference(trainer)
    assert torch.equal(policy, reference) and policy is not reference
