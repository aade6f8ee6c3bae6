"""What trainers are tested with: people, a trainer of the tiny model that takes a second, models of many families."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import transformers
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from abstain.evals.tasks.question import Question, Task
from abstain.rewards.prompts import prompt_text

from ..conftest import PEOPLE

QUESTIONS = tuple(Question(name, f"Where was {name} born?", ("Lima",), name) for name in PEOPLE)
TASK = Task("people", QUESTIONS, QUESTIONS[:2], max_new_tokens=3)
PROMPTS = ["Ada Lima", "Bo", "Where was Cy born?", "Where was Di born?"]
ROWS = [
    {"prompt": prompt_text(q.question, target), "answers": list(q.gold), "target": target, "question_id": q.id}
    for q in QUESTIONS
    for target in (0.0, 0.9)
]
SIZES = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "tie_word_embeddings": False,
}
FAMILIES = {
    "Llama": {},
    "Llama, tied": {"tie_word_embeddings": True},
    "Llama, eager": {"attn_implementation": "eager"},
    "Qwen2": {},
    "Qwen3": {},
    "Gemma2": {"tie_word_embeddings": True, "attn_implementation": "eager", "final_logit_softcapping": 3.0},
    "Cohere": {"logit_scale": 0.25},
    "Granite": {"logits_scaling": 4.0},
}


def new_trainer(cls, config, rows, reward, model_dir, *, model=None, peft_config=None, eval_dataset=None, **args):
    """A trainer of the model in a folder, that logs each step."""
    defaults = {
        "per_device_train_batch_size": 16,
        "num_generations": 4,
        "max_completion_length": 4,
        "max_steps": 2,
        "learning_rate": 1e-2,
        "report_to": "none",
        "logging_steps": 1,
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "beta": 0.0,
    }
    return cls(
        model=model or AutoModelForCausalLM.from_pretrained(model_dir),
        reward_funcs=reward,
        args=config(**defaults | args),
        train_dataset=Dataset.from_list(list(rows)),
        eval_dataset=eval_dataset,
        processing_class=AutoTokenizer.from_pretrained(model_dir),
        peft_config=peft_config,
    )


@pytest.fixture
def build_trainer(tiny_model_dir, tmp_path):
    """`build_trainer(cls, config, rows, reward, **args)`: `new_trainer` of the tiny model."""
    return partial(new_trainer, model_dir=tiny_model_dir, output_dir=str(tmp_path))


def run_script(text, folder, *arguments, processes=1, **environment):
    """What the processes of a Python script print behind "FOUND", as JSON, and what is said on stderr.

    The script sees this repository's root, and so `tests.trainers`.
    """
    (folder / "script.py").write_text(text)
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [sys.executable, *several * (processes > 1), str(folder / "script.py"), *map(str, arguments)]
    places = {"PYTHONPATH": str(Path(__file__).parents[2]), "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    environment = os.environ | places | environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return [
        json.loads(line.partition("FOUND")[2]) for line in done.stdout.splitlines() if "FOUND" in line
    ], done.stderr


def with_given_completions(cls):
    """The trainer, its completions replaced by ones that depend on nothing but the step."""

    class Given(cls):
        def _generate_single_turn(self, prompt_ids, *args, **kwargs):
            generator = torch.Generator().manual_seed(self.state.global_step)
            tokens = torch.randint(3, 6, (len(prompt_ids), 4), generator=generator).tolist()
            lengths = torch.randint(0, 5, (len(prompt_ids),), generator=generator).tolist()
            given = [[*row[:length], 1][:4] for row, length in zip(tokens, lengths, strict=True)]
            return (given, None) if issubclass(cls, GRPOTrainer) else given

    return Given


def family_model(family, **options):
    """A random model of one of `FAMILIES`, with the head that TRL gives it; `options` as of `add_fused_lm_head`."""
    name = family.split(",")[0]
    sizes = SIZES | {"attn_implementation": "sdpa"} | FAMILIES[family]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**sizes)
    model = getattr(transformers, f"{name}ForCausalLM")(config)
    add_fused_lm_head(model, **options)
    return model


def assert_same_gradients(found, expected, tolerance=1e-5):
    """Equal but for rounding, by parameter's name.

    A key bias, and anything else softmax cannot see, has gradient 0 but for rounding: measured against the largest.
    """
    assert found.keys() == expected.keys()
    largest = max(gradient.abs().max() for gradient in expected.values())
    for name, gradient in expected.items():
        assert (found[name] - gradient).abs().max() < tolerance * max(gradient.abs().max(), 0.1 * largest), name
