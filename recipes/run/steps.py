"""Runs a recipe: measure the starting model, train it stage by stage, measure it again, write its model card.

format -> before -> sft -> offline -> rl -> after      a step that the run directory calls complete is skipped
"""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from rich.text import Text

from abstain.evals.evaluation import Evaluation, evaluate
from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.metrics.schema import numbers, read_metrics
from abstain.evals.models import LoadedModel
from abstain.evals.records import write_text
from abstain.evals.sampler import Sampler
from abstain.evals.tables.document import Format
from abstain.evals.tables.table import render
from abstain.evals.tasks.catalogue import describe
from abstain.evals.tasks.question import Task
from abstain.recipes.run.directory import RunDir, made_with
from abstain.recipes.run.recipe import AFTER, BEFORE, FORMAT, ModelConfig, Recipe
from abstain.recipes.run.training import Tasks, Training
from abstain.rewards.prompts import prompt_text
from abstain.trainers.tracking.dashboards import publish_results

Say = Callable[[str | Text], None]


@dataclass(eq=False)
class Run:
    """A recipe on its way through a run directory.

    Args:
        recipe: checked by `load_recipe` and `check_recipe`.
        directory: opened for this recipe.
        say: takes a line that tells the user what is going on.
        progress: show progress bars.
        launch: trains the stage of this name in processes of its own, by `Training.train_launched`; here by default.
        report: writes `report.html` and `plots/` of a run directory whose results are complete.
    """

    recipe: Recipe
    directory: RunDir
    _: KW_ONLY
    say: Say
    progress: bool = False
    launch: Callable[[str], None] | None = None
    report: Callable[[Path], object] | None = None

    def __post_init__(self) -> None:
        self.training = Training(self.recipe, self.directory)

    def run(self, until: str = AFTER) -> None:
        """Do what is not done yet.

        Args:
            until: the last step to do.

        Raises:
            ValueError, OSError: the task or the model cannot be loaded, or a stage refuses its arguments.
        """
        if self._is_complete(until):
            return
        tasks = self.training.tasks()
        for one in [tasks.taught, tasks.held_out] if self.recipe.eval.task else [tasks.taught]:
            self.say(describe(one))
        loaded = self.training.latest_model()
        if not self.directory.started:
            self.directory.start(self.recipe)
        steps = self.recipe.steps
        for step in steps[: steps.index(until) + 1]:
            if step == BEFORE:
                self._measure_start(loaded, tasks.held_out if self.recipe.eval.task else tasks.rest)
            elif step == AFTER:
                self._measure_result(loaded, tasks.held_out)
            else:
                loaded = self._train(step, loaded, tasks)

    def table(self, format: Format = "text", **options: Any) -> str:
        """The results of a complete run, before and after."""
        path = self.directory.path
        metrics = [read_metrics(folder / "metrics.json") for folder in (path / BEFORE, path)]
        return render(metrics, format, labels=[BEFORE, AFTER], **options)

    def _is_complete(self, step: str) -> bool:
        return step in self.directory.complete

    def _announce(self, step: str, what: str) -> None:
        self.say(Text(f"[{self.recipe.steps.index(step) + 1}/{len(self.recipe.steps)}] {what}", "bold"))

    def _measure_start(self, loaded: LoadedModel, task: Task) -> None:
        if self._is_complete(BEFORE):
            return
        name = base_name(self.recipe.model) + (f" after {FORMAT}" if self.recipe.format else "")
        self._announce(BEFORE, f"measuring {name} on {task.name}")
        evaluation = self._evaluate(replace(loaded, name=name), task, None)
        folder = self.directory.path / BEFORE
        evaluation.save(folder)
        evaluation.start.save(folder / "start.json")
        self.directory.mark_complete(BEFORE)

    def _measure_result(self, loaded: LoadedModel, task: Task) -> None:
        self._announce(AFTER, "measuring the trained model")
        path = self.directory.path
        evaluation = self._evaluate(
            replace(loaded, name=self.recipe.name), task, BaseGuesses.load(path / BEFORE / "start.json")
        )
        evaluation.save(path, before=read_metrics(path / BEFORE / "metrics.json"))
        write_text(
            path / "model" / "README.md", model_card(self.recipe, self.table("markdown"), made_with(Path.cwd()))
        )
        self.directory.mark_complete(AFTER)
        self._report()
        files = [path / "table.md", path / "metrics.json", *sorted((path / "plots").glob("*"))]
        with redirect_stdout(sys.stderr):  # trackers print, too
            publish_results(
                path / list(self.recipe.stages)[-1],
                files,
                evaluation.metrics["by_target"],
                overall=numbers(evaluation.metrics),
            )

    def _report(self) -> None:
        """`report.html` and `plots/`; a run is not lost because a picture cannot be drawn."""
        if self.report is None:
            return
        try:
            self.report(self.directory.path)
        except Exception as error:
            self.say(f"no report: {error}. To try again: abstain report {self.directory.path}")

    def _evaluate(self, loaded: LoadedModel, task: Task, start: BaseGuesses | None) -> Evaluation:
        settings = self.recipe.eval
        sampler = Sampler(loaded.model, loaded.tokenizer, name=loaded.name, **self.training.sampling())
        return evaluate(
            sampler,
            task,
            settings.targets,
            start=start,
            limit=settings.limit,
            train_limit=settings.train_limit,
            seed=self.recipe.seed,
            instruct=settings.instruct,
            progress=self.progress,
        )

    def _train(self, name: str, loaded: LoadedModel, tasks: Tasks) -> LoadedModel:
        """The model after this stage; a LoRA adapter is merged, so that the next stage starts from a plain model."""
        if self._is_complete(name):
            return loaded
        resume = bool(self.directory.checkpoints(name))
        self._announce(name, f"training: {name}" + (", from its last checkpoint" if resume else ""))
        if self.launch is None:
            loaded = self.training.train(name, loaded, tasks)
            self.directory.mark_complete(name)
            return loaded
        loaded.model.to("cpu")  # the processes need the GPU
        self.launch(name)
        self.directory.mark_complete(name)
        return self.training.latest_model()


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
    """The README.md of a trained model: what it is, how to ask it, and the table it was measured with.

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
