"""The model to start from, by any name that a recipe or a command line may give it."""

from collections.abc import Mapping
from typing import Any

from transformers.utils.logging import disable_progress_bar

from abstain.evals.models import LoadedModel, load_model
from abstain.recipes.recipe import FACTWORLD


def load_start(
    name_or_path: str,
    *,
    task: str = "",
    task_options: Mapping[str, Any] | None = None,
    dtype: str = "auto",
    revision: str | None = None,
    trust_remote_code: bool = False,
    device: str | None = None,
) -> LoadedModel:
    """`load_model`, which also knows `factworld`: the fact world's own base model, trained now unless it is cached.

    Args:
        name_or_path: as for `load_model`, or `factworld`.
        task, task_options: what will be asked; if it is a fact world, its options say which model is wanted.
        dtype, revision, trust_remote_code, device: as for `load_model`.

    Raises:
        FileNotFoundError, ValueError: as `load_model`.
    """
    disable_progress_bar()  # "Loading weights" and "Writing model shards" say nothing that a person needs
    if name_or_path == FACTWORLD:
        from abstain.evals.factworld_model import base_model

        name_or_path = str(base_model(**(task_options or {} if task == FACTWORLD else {})))
    return load_model(name_or_path, dtype=dtype, revision=revision, trust_remote_code=trust_remote_code, device=device)
