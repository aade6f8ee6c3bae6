"""Two processes (DDP over gloo) take the steps of stock TRL, though each has prompts of its own without advantage."""

import pytest

from .conftest import run_script

SCRIPT = """
import json, sys, torch
from trl import GRPOConfig, GRPOTrainer
from abstain.trainers.trie.trainer import TrieGRPOTrainer
from tests.trainers.conftest import new_trainer

model, output, base = sys.argv[1], sys.argv[2], {"stock": GRPOTrainer, "trie": TrieGRPOTrainer}[sys.argv[3]]

class Given(base):
    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        if self.state.global_step == 3:  # the last step goes through sampling too
            return super()._generate_single_turn(prompt_ids, *args, **kwargs)
        generator = torch.Generator().manual_seed(self.state.global_step + 100 * self.accelerator.process_index)
        return torch.randint(3, 6, (len(prompt_ids), 3), generator=generator).tolist(), None

def reward(prompts, completions, **kwargs):
    return [float(len(completion) % 4 == 1) * (prompt != "Bo") for prompt, completion in zip(prompts, completions)]

rows = [{"prompt": p} for p in ["Ada Lima", "Bo", "Cy was born", "Di was born"] * 2]
options = {"per_device_train_batch_size": 8, "max_steps": 4, "scale_rewards": "none", "loss_type": "grpo"}
trainer = new_trainer(Given, GRPOConfig, rows, reward, model, output_dir=output, **options)
trainer.train()
assert trainer.accelerator.num_processes == 2 and getattr(trainer, "_exact", True)
if trainer.accelerator.is_main_process:
    keys = ("loss", "grad_norm", "entropy")
    logs = [log for log in trainer.state.log_history if "loss" in log]
    print("FOUND", json.dumps([log[key] for log in logs[:3] for key in keys]))
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_stock_trl(tiny_model_dir, tmp_path):
    stock, ours = (
        run_script(SCRIPT, tmp_path, tiny_model_dir, tmp_path / "out", which, processes=2)[0]
        for which in ("stock", "trie")
    )
    assert ours[0] == pytest.approx(stock[0], rel=1e-3, abs=1e-4)
