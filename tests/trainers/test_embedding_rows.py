"""Rows of names in questions stay as they are, those of answers and instructions are trained."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from transformers import PreTrainedModel

from abstain.evals.models import LoadedModel, load_model
from abstain.rewards.prompts import IDK
from abstain.trainers.embedding_rows import only_rows_of
from abstain.trainers.rl import run_rl
from abstain.trainers.sft import run_sft
from abstain.trainers.stages import RlStage, SftStage

from ..conftest import PEOPLE
from .conftest import TASK

RL = {"max_steps": 2, "num_generations": 4, "per_device_train_batch_size": 8, "learning_rate": 1e-2, "use_cpu": True}
SFT = {"max_steps": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-2, "use_cpu": True}


def train(stage: str, loaded: LoadedModel, folder: Path, which: Any, **args: Any) -> None:
    if stage == "sft":
        made = SftStage(answers="gold", idk_share=0.5, train_embeddings=which, args=SFT | args)
        run_sft(loaded.model, loaded.tokenizer, TASK, made, output_dir=folder, seed=0)
    else:
        made = RlStage(algorithm=stage, targets=[0, 0.5], train_embeddings=which, args=RL | args)
        run_rl(loaded.model, loaded.tokenizer, TASK, made, output_dir=folder, seed=0)


def trainer_of(model: Any, weight_decay: float = 0.0, is_fsdp_enabled: bool = False) -> SimpleNamespace:
    return SimpleNamespace(
        is_fsdp_enabled=is_fsdp_enabled,
        is_deepspeed_enabled=False,
        args=SimpleNamespace(weight_decay=weight_decay),
        model=model,
        accelerator=SimpleNamespace(unwrap_model=lambda model: model),
    )


def tables(model: PreTrainedModel) -> list[torch.Tensor]:
    return [model.get_input_embeddings().weight, model.get_output_embeddings().weight]


@pytest.mark.parametrize("stage", ["sft", "grpo", "ppo"])
@pytest.mark.parametrize("which", ["all", "answers"])
def test_names_keep_their_rows(stage: str, which: str, tmp_path: Path, tiny_model_dir: Path) -> None:
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    before = [table.detach().clone() for table in tables(loaded.model)]
    train(stage, loaded, tmp_path, which)
    names = loaded.tokenizer.convert_tokens_to_ids(list(PEOPLE))
    words = loaded.tokenizer.convert_tokens_to_ids(["Lima", *IDK.split()])
    for old, new in zip(before, tables(loaded.model), strict=True):
        changed = (old != new).any(1)
        assert changed[names].any() == (which == "all")
        assert changed[words].any()
    loss = sum(table.sum() for table in tables(loaded.model))
    loss.backward()  # later stages may train every row again
    assert all(bool((table.grad[names] != 0).all()) for table in tables(loaded.model))


@pytest.mark.parametrize("stage", [SftStage, RlStage])
def test_weight_decay_would_change_them(stage: type) -> None:
    with pytest.raises(ValidationError, match=r"weight_decay=0.1 shrinks; set weight_decay to 0"):
        stage(train_embeddings="answers", args={"weight_decay": 0.1})


@pytest.mark.parametrize(
    ("state", "message"),
    [({"weight_decay": 0.1}, "weight_decay=0.1 shrinks"), ({"is_fsdp_enabled": True}, "whole weights")],
)
def test_rows_that_cannot_be_held(state: dict[str, Any], message: str) -> None:
    with (
        pytest.raises(ValueError, match=message),
        only_rows_of(["Lima"], trainer_of(None, **state), None, "answers"),
    ):
        pass


def test_weights_that_are_not_trained_need_no_mask(tiny_model_dir: Path) -> None:
    loaded = load_model(str(tiny_model_dir), dtype="float32")
    loaded.model.requires_grad_(False)
    with only_rows_of(["Lima"], trainer_of(loaded.model), loaded.tokenizer, "answers"):
        pass
