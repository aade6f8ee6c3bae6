"""Two processes (DDP over gloo) take the steps of stock TRL, though each has prompts of its own without advantage."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer
from abstain.trainers.trie.trainer import TrieGRPOTrainer

model, output, base = sys.argv[1], sys.argv[2], {"stock": GRPOTrainer, "trie": TrieGRPOTrainer}[sys.argv[3]]

class Given(base):
    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        if self.state.global_step == 3:  # the last step goes through sampling too
            return super()._generate_single_turn(prompt_ids, *args, **kwargs)
        generator = torch.Generator().manual_seed(self.state.global_step + 100 * self.accelerator.process_index)
        return torch.randint(3, 6, (len(prompt_ids), 3), generator=generator).tolist(), None

def reward(prompts, completions, **kwargs):
    return [float(len(completion) % 4 == 1) * (prompt != "Bo") for prompt, completion in zip(prompts, completions)]

trainer = Given(
    model=AutoModelForCausalLM.from_pretrained(model),
    reward_funcs=reward,
    args=GRPOConfig(
        output, per_device_train_batch_size=8, num_generations=4, max_completion_length=4, max_steps=4, bf16=False,
        learning_rate=1e-2, report_to="none", logging_steps=1, save_strategy="no", use_cpu=True, disable_tqdm=True,
        scale_rewards="none", gradient_checkpointing=False, loss_type="grpo",
    ),
    train_dataset=Dataset.from_list([{"prompt": p} for p in ["Ada Lima", "Bo", "Cy was born", "Di was born"] * 2]),
    processing_class=AutoTokenizer.from_pretrained(model),
)
trainer.train()
assert trainer.accelerator.num_processes == 2 and getattr(trainer, "_exact", True)
if trainer.accelerator.is_main_process:
    keys = ("loss", "grad_norm", "entropy")
    logs = [[log[key] for key in keys] for log in trainer.state.log_history if "loss" in log]
    print("LOGS", json.dumps(logs[:3]))
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_stock_trl(tiny_model_dir, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    logs = []
    for which in ("stock", "trie"):
        command = [*launch, str(tiny_model_dir), str(tmp_path / "out"), which]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stderr[-3000:]
        line = next(line for line in done.stdout.splitlines() if line.startswith("LOGS"))
        logs.append([value for step in json.loads(line.removeprefix("LOGS")) for value in step])
    assert logs[1] == pytest.approx(logs[0], rel=1e-3, abs=1e-4)
