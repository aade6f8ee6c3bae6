"""Two steps of GRPO whose completions vLLM samples: `python THIS_FILE OPTIONS`, with the Python of `build/vllm`.

OPTIONS is JSON: `model` (a folder), `trainer` ("stock" or "trie"), `args` for TRL's `GRPOConfig`, and `weights`, how
vLLM gets new weights: "trl", as TRL does it; "fixed", not at all; "reloaded", through vLLM's own `reload_weights`, and
in float32, which vLLM makes bfloat16 of where TRL starts it.
A line that begins with {"logs" says what the trainer logged and how far the weights went.
"""

import json
import sys
from functools import partial

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer
from trl.generation import vllm_generation
from trl.generation.vllm_client import VLLMClient

from abstain.trainers.trie.trainer import TrieGRPOTrainer

TRAINERS = {"stock": GRPOTrainer, "trie": TrieGRPOTrainer}
PROMPTS = ["Where was Ada born?", "Where was Bo born?", "Cy Lima", "Di"]


def variety(completion_ids, **kwargs):
    return [len(set(ids)) / 4 for ids in completion_ids]


def keep_weights_of_server():
    """The stub: TRL's client joins no group, which it does on CUDA devices only, and sends nothing."""
    VLLMClient.init_communicator = lambda self, device=0: None
    VLLMClient.update_named_params = lambda self, metadata, named_params: None


def reload_weights(self):
    """For TRL's `sync_weights`, which loads into layers whose weights vLLM has packed for a CPU and taken away."""
    runner = self.llm.llm_engine.model_executor.driver_worker.model_runner
    runner.reload_weights(weights_iterator=self._iter_named_params())
    head = runner.get_model().lm_head  # tied to the embeddings, and packed again by nobody
    head.quant_method.process_weights_after_loading(head)
    self.llm.reset_prefix_cache()


def main(model, trainer, args, weights="trl"):
    if weights == "fixed":
        keep_weights_of_server()
    elif weights == "reloaded":
        vllm_generation.VLLMGeneration.sync_weights = reload_weights
        vllm_generation.LLM = partial(vllm_generation.LLM, dtype="float32")
    torch.manual_seed(0)
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    before = {name: weight.detach().clone() for name, weight in policy.named_parameters()}
    fixed = {
        "per_device_train_batch_size": 16,
        "num_generations": 4,
        "max_completion_length": 6,
        "max_steps": 2,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "shuffle_dataset": False,
        "report_to": "none",
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "scale_rewards": "none",
        "use_vllm": True,
    }
    learner = TRAINERS[trainer](
        model=policy,
        reward_funcs=variety,
        args=GRPOConfig(**fixed | args),
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in PROMPTS]),
        processing_class=AutoTokenizer.from_pretrained(model),
    )
    learner.train()
    moved = max(float((weight - before[name]).abs().max()) for name, weight in policy.named_parameters())
    logs = [log for log in learner.state.log_history if "loss" in log]
    print(json.dumps({"logs": logs, "moved": moved, "shared": getattr(learner, "_exact", None)}))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
