"""Two processes (DDP over gloo) take the steps of one with the same batch, and those of stock TRL, by one verdict."""

import pytest
import torch
from trl import GRPOConfig

from abstain.trainers.ppo import PPOConfig, TriePPOTrainer
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from .conftest import new_trainer, run_script

ROWS = [{"prompt": p} for p in ["Ada Lima", "Bo", "Cy was born", "Di was born"] * 2]
OPTIONS = {"max_steps": 3, "scale_rewards": "none", "loss_type": "grpo", "num_generations": 4, "seed": 1}
KINDS = {"grpo": (TrieGRPOTrainer, GRPOConfig), "ppo": (TriePPOTrainer, PPOConfig)}


def length_reward(prompts, completions, **kwargs):
    return [len(text.split()) % 4 / 3 for text in completions]


def steps_of(kind, model_dir, output, rows_each):
    """The trainer after its steps, and what each logged; completions depend on the step, the prompt and its group."""
    cls, config = KINDS[kind]

    class Given(cls):
        def _generate_single_turn(self, prompt_ids, *args, **kwargs):
            def tokens(ids, place):
                draws = torch.Generator().manual_seed(1000 * self.state.global_step + 10 * sum(ids) + place)
                length = int(torch.randint(1, 4, (1,), generator=draws))
                return [*torch.randint(3, 6, (length,), generator=draws).tolist(), 1][:3]

            return [tokens(ids, place % 4) for place, ids in enumerate(prompt_ids)], None

    torch.manual_seed(0)  # of the value head
    args = OPTIONS | {"per_device_train_batch_size": rows_each, "output_dir": str(output)}
    trainer = new_trainer(Given, config, ROWS, length_reward, model_dir, **args)
    trainer.train()
    logged = [log for log in trainer.state.log_history if "grad_norm" in log]
    return trainer, [[log["reward"], log["grad_norm"], log["entropy"]] for log in logged]


PROCESSES = """
import json, sys
from accelerate.utils import gather_object
from tests.trainers.conftest import new_trainer
from tests.trainers.test_trie_processes import KINDS, OPTIONS, ROWS, length_reward, steps_of

model, output = sys.argv[1:]
for kind in KINDS:
    trainer, logged = steps_of(kind, model, output, rows_each=8)
    assert trainer.accelerator.num_processes == 2 and trainer._exact
    if trainer.accelerator.is_main_process:
        weights = {name: weight.tolist() for name, weight in trainer.model.state_dict().items()}
        print("FOUND", json.dumps([kind, logged, weights]))

cls, config = KINDS["grpo"]

class RefusedByOne(cls):
    def _try(self, *args):
        found = super()._try(*args)
        return "this process does not like it" if self.accelerator.process_index == 1 else found

trainer = new_trainer(RefusedByOne, config, ROWS, length_reward, model, output_dir=output, **OPTIONS)
trainer.train()
assert trainer._exact is False, trainer.accelerator.process_index
steps = gather_object([trainer.state.global_step])
if trainer.accelerator.is_main_process:  # lines of two would be mixed up
    print("FOUND", json.dumps(steps))
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_and_the_same_path(tiny_model_dir, tmp_path):
    found, said = run_script(PROCESSES, tmp_path, tiny_model_dir, tmp_path / "out", processes=2)
    assert found.pop() == [3, 3]
    assert said.count("the stock path runs instead: this process does not like it") == 1
    several = {kind: (logged, weights) for kind, logged, weights in found}
    assert several.keys() == KINDS.keys()
    for kind, (logged, weights) in several.items():
        trainer, expected = steps_of(kind, tiny_model_dir, tmp_path / kind, rows_each=16)
        assert logged == [pytest.approx(step, rel=1e-4, abs=1e-5) for step in expected]
        for name, weight in trainer.model.state_dict().items():
            assert torch.allclose(torch.tensor(weights[name]), weight, rtol=1e-3, atol=1e-5), (kind, name)


STOCK = """
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
        run_script(STOCK, tmp_path, tiny_model_dir, tmp_path / "out", which, processes=2)[0]
        for which in ("stock", "trie")
    )
    assert ours[0] == pytest.approx(stock[0], rel=1e-3, abs=1e-4)
