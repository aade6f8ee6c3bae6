"""The README.md of a trained model: what it is, how to ask it, and the table it was measured with."""

from pathlib import Path

import yaml

from abstain.evals.prompt_card import FILE, PromptCard
from abstain.recipes.run.recipe import ModelConfig, Recipe
from abstain.rewards.named import short
from abstain.rewards.prompts import STATES_TARGET

CARD = """---
{front}---

# {name}

Trained with abstain from `{base}` to answer when it is likely enough to be right and to say "I don't know" when it is
not ("behavioral calibration", [arXiv 2509.04664](https://arxiv.org/abs/2509.04664)). {told}:

```text
{prompt}
```

{turn} An answer has room for {room} tokens{stop}. `{file}` beside the weights says the same to programs: `abstain ask`
and `abstain eval` read it, and warn where a model is asked otherwise.

```bash
abstain ask MODEL "your question"{target}
```

Evaluated on held-out questions of the task `{task}`; the recipe, the answers and the numbers were written beside this
directory as `recipe.yaml`, `records.jsonl` and `metrics.json`.

{table}

Stages: {stages}. Seed {seed}. Made with {versions}.
"""
TOLD = {
    "target": "The prompt states how likely is likely enough",
    "nothing": "The prompt is the question, and nothing else",
    "confidence": "The prompt asks for a confidence",
    "claims": "The prompt states how likely a statement has to be",
}


def model_card(recipe: Recipe, asked: PromptCard, table: str, versions: dict[str, str]) -> str:
    """The card as Markdown.

    Args:
        recipe: what was run.
        asked: how the model was trained to be asked.
        table: the results as a Markdown table.
        versions: package versions, and the commit if there was one.
    """
    evaluated = recipe.eval.task or recipe.task
    stages = [f"{name} ({getattr(stage, 'algorithm', 'supervised')})" for name, stage in recipe.stages.items()]
    target = asked.targets[-1] if asked.targets else recipe.eval.targets[-1]
    chat = "It is a user's turn in the model's chat template." if asked.prompt_format == "chat" else ""
    return CARD.format(
        front=yaml.safe_dump(_front_matter(recipe), sort_keys=False),
        name=recipe.name,
        base=base_name(recipe.model),
        told=TOLD[asked.instruct],
        prompt=asked.prompt("(your question)", target),
        turn=chat or "It stands alone, without a chat template.",
        room=asked.max_new_tokens,
        stop=f" and ends at {' or '.join(f'`{token}`' for token in asked.stop)}" if asked.stop else "",
        file=FILE,
        target=f" --target {target:g}" if asked.instruct in STATES_TARGET else "",
        task=short(evaluated.name),
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
