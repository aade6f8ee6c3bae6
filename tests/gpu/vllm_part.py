"""Sampling by vLLM in the trainer's own process (TRL's "colocate"), where vLLM is installed."""

import gc
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from abstain.trainers.rl import DEFAULTS
from abstain.trainers.trie.trainer import TrieGRPOTrainer

from . import measure
from .cells import Cell
from .models import END, build_model, build_tokenizer, prompts_of


def measure_vllm(cell: Cell, device: str, folder: Path) -> dict[str, Any]:
    """Seconds of sampling a batch by vLLM, and of sampling it as a trie, from the same random model.

    Args:
        cell: sizes; its logits are left as they are, so answers differ.
        device: vLLM is used on a GPU only.
        folder: vLLM loads the model from a folder.
    """
    if device != "cuda" or find_spec("vllm") is None:
        return {"not here": "vLLM is not installed" if device == "cuda" else "no GPU"}
    place = folder / "vllm-model"
    build_model(cell.shape, device).save_pretrained(place)
    build_tokenizer(cell.shape.vocabulary).save_pretrained(place)
    found = {}
    for name, trainer_class in (("vllm", GRPOTrainer), ("shared", TrieGRPOTrainer)):
        found[name] = _sampling_seconds(trainer_class, cell, device, place, by_vllm=name == "vllm")
        gc.collect()
        torch.cuda.empty_cache()
    return {"sampling_seconds": found}


def _sampling_seconds(trainer_class: Any, cell: Cell, device: str, place: Path, *, by_vllm: bool) -> float:
    ids = prompts_of(cell)
    vllm = {"use_vllm": True, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.2} if by_vllm else {}
    args = {
        "output_dir": str(place / "trainer"),
        "per_device_train_batch_size": cell.rows,
        "num_generations": cell.generations,
        "max_completion_length": cell.answer,
        "generation_kwargs": {"ignore_eos": True} if by_vllm else {"suppress_tokens": [END]},
        "max_steps": 1,
        "bf16": True,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "save_strategy": "no",
    }
    trainer = trainer_class(
        model=str(place),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=GRPOConfig(**DEFAULTS["grpo"] | args | vllm),
        train_dataset=Dataset.from_list([{"prompt": " ".join(f"w{token}" for token in prompt)} for prompt in ids]),
        processing_class=build_tokenizer(cell.shape.vocabulary),
    )
    asked = [prompt for prompt in ids for _ in range(cell.generations)]
    times: list[float] = []
    for _ in range(3):
        with measure.timed(device, times.append):
            trainer._generate_single_turn(asked, None, {}, cell.generations)
    return min(times[1:])
