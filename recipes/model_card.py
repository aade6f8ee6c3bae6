"""The README.md of a trained model: what it is, how to ask it, and the table it was measured with."""

from pathlib import Path

import yaml

from abstain.recipes.recipe import ModelConfig, Recipe
from abstain.rewards.prompts import prompt_text

CARD = """---
{front}---

# {name}

Trained with abstain from `{base}` to answer when it is likely enough to be right and to say "I don't know" when it is
not ("behavioral calibration", [arXiv 2509.04664](https://arxiv.org/abs/2509.04664)). The prompt states how likely is
likely enough:

```text
{prompt}
```

Evaluated on held-out questions of the task `{task}`, before and after training; the recipe, the answers and the
numbers lie beside this directory as `recipe.yaml`, `records.jsonl` and `metrics.json`.

{table}

Stages: {stages}. Seed {seed}. Made with {versions}.
"""


def model_card(recipe: Recipe, table: str, versions: dict[str, str]) -> str:
    """The card's text.

    Args:
        recipe: what was run.
        table: the results as a Markdown table.
        versions: package versions, and the commit if there was one.
    """
    evaluated = recipe.eval.task or recipe.task
    stages = [f"{name} ({getattr(stage, 'algorithm', 'supervised')})" for name, stage in recipe.stages.items()]
    return CARD.format(
        front=yaml.safe_dump(_front_matter(recipe), sort_keys=False),
        name=recipe.name,
        base=base_name(recipe.model),
        prompt=prompt_text("(your question)", recipe.eval.targets[-1], instruct=recipe.eval.instruct),
        task=evaluated.name,
        table=table.strip(),
        stages=", then ".join(stages) or "none",
        seed=recipe.seed,
        versions=", ".join(f"{package} {number}" for package, number in versions.items()),
    )


def _front_matter(recipe: Recipe) -> dict[str, object]:
    front: dict[str, object] = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["abstain", "trl"],
    }
    if not Path(recipe.model.path).exists() and "/" in recipe.model.path:
        front["base_model"] = recipe.model.path
    return front


def base_name(model: ModelConfig) -> str:
    """What to call the starting model: a hub id as it is, of a local path only the last part.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp(), "my-model")
        >>> folder.mkdir()
        >>> base_name(ModelConfig(path=str(folder))), base_name(ModelConfig(path="Qwen/Qwen3-4B"))
        ('my-model', 'Qwen/Qwen3-4B')
    """
    path = Path(model.path)
    return path.name if path.exists() else model.path
