"""Runs a recipe: measure the starting model, train it stage by stage, measure it again.

format -> before -> sft -> rl -> after      a step that the run directory calls complete is skipped
"""

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.text import Text

from abstain.evals.evaluate import Evaluation, evaluate
from abstain.evals.models import LoadedModel, load_model
from abstain.evals.oracle import Start
from abstain.evals.question import Task
from abstain.evals.records import write_text
from abstain.evals.sampler import Sampler
from abstain.evals.splits import drop_overlap
from abstain.evals.table import Format, render
from abstain.evals.tasks import describe, load_task
from abstain.recipes.model_card import base_name, model_card
from abstain.recipes.recipe import AFTER, BEFORE, FORMAT, Recipe
from abstain.recipes.rundir import RunDir, made_with, without_secrets, write_directory
from abstain.recipes.starting_model import load_start
from abstain.trainers.dashboards import publish_results
from abstain.trainers.dataset import draw
from abstain.trainers.heldout import HeldOutSet
from abstain.trainers.rl import run_rl
from abstain.trainers.sft import run_sft
from abstain.trainers.stages import RlStage, SftStage
from abstain.trainers.value_head import NAME as VALUE_HEAD
from abstain.trainers.value_head import add_value_head, save_model

Say = Callable[[str | Text], None]


class Run:
    """A recipe on its way through a run directory.

    Args:
        recipe: checked by `load_recipe` and `check_recipe`.
        directory: opened for this recipe.
        say: takes a line that tells the user what is going on.
        progress: show progress bars.
        launch: trains the stage of this name in processes of its own, by `train_launched`; here by default.
    """

    def __init__(
        self,
        recipe: Recipe,
        directory: RunDir,
        *,
        say: Say,
        progress: bool = False,
        launch: Callable[[str], None] | None = None,
    ) -> None:
        self.recipe = recipe
        self.directory = directory
        self.say = say
        self.progress = progress
        self.launch = launch

    def run(self, until: str = AFTER) -> None:
        """Do what is not done yet.

        Args:
            until: the last step to do.

        Raises:
            ValueError, OSError: the task or the model cannot be loaded, or a stage refuses its arguments.
        """
        if self._is_complete(until):
            return
        tasks = self._tasks()
        for one in [tasks.taught, tasks.held_out] if self.recipe.eval.task else [tasks.taught]:
            self.say(describe(one))
        loaded = self._latest_model()
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

    def train_launched(self, name: str) -> None:
        """A stage's training, in each of several processes; the main one leaves the model.

        Args:
            name: the stage; those before it are complete.
        """
        loaded = self._latest_model()
        trainer = self._run_stage(name, loaded, self._tasks())
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
            if trainer.accelerator.is_main_process:
                whole = self._latest_model(device="cpu")
                model = self._trainable(name, whole.model)
                model.load_state_dict(weights)
                self._keep(name, replace(whole, model=model))
        elif trainer.accelerator.is_main_process:
            self._keep(name, replace(loaded, model=trainer.model))
        trainer.accelerator.wait_for_everyone()

    def _tasks(self) -> "_Tasks":
        task = load_task(self.recipe.task.name, **self.recipe.task.options)
        other = self.recipe.eval.task
        held_out = load_task(other.name, **other.options) if other else task
        if other:
            task = replace(task, train=drop_overlap(task.train, held_out.held_out, task.name)[0])
        return _Tasks(task, self._not_taught(task), held_out)

    def _not_taught(self, task: Task) -> Task:
        """The task without the questions whose answers the format stage teaches: memory would pass for knowledge."""
        if self.recipe.format is None:
            return task
        taught = {question.id for question in draw(task.train, self.recipe.format.limit, self.recipe.seed)}
        return replace(task, train=tuple(question for question in task.train if question.id not in taught))

    def table(self, format: Format = "text", **options: Any) -> str:
        """The results of a complete run, before and after."""
        folders = [self.directory.path / BEFORE, self.directory.path]
        metrics = [json.loads((folder / "metrics.json").read_text(encoding="utf-8")) for folder in folders]
        return render(metrics, format, labels=[BEFORE, AFTER], **options)

    def _is_complete(self, step: str) -> bool:
        return step in self.directory.complete

    def _announce(self, step: str, what: str) -> None:
        self.say(Text(f"[{self.recipe.steps.index(step) + 1}/{len(self.recipe.steps)}] {what}", "bold"))

    def _latest_model(self, device: str | None = None) -> LoadedModel:
        """The model that the last complete stage left, or the one to start from."""
        config = self.recipe.model
        done = [name for name in self.recipe.stages if self._is_complete(name)]
        if done:
            return load_model(
                self._model_dir(done[-1]),
                dtype=config.dtype,
                trust_remote_code=config.trust_remote_code,
                device=device,
            )
        return load_start(
            config.path,
            task=self.recipe.task.name,
            task_options=self.recipe.task.options,
            dtype=config.dtype,
            revision=config.revision,
            trust_remote_code=config.trust_remote_code,
            device=device,
        )

    def _model_dir(self, stage: str) -> Path:
        """Where a stage leaves its model: the last one as the run's result, others beside their checkpoints."""
        last = stage == list(self.recipe.stages)[-1]
        return self.directory.path / "model" if last else self.directory.path / stage / "model"

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
            replace(loaded, name=self.recipe.name), task, Start.load(path / BEFORE / "start.json")
        )
        evaluation.save(path, before=json.loads((path / BEFORE / "metrics.json").read_text(encoding="utf-8")))
        write_text(
            path / "model" / "README.md", model_card(self.recipe, self.table("markdown"), made_with(Path.cwd()))
        )
        self.directory.mark_complete(AFTER)
        self._report()
        if self.recipe.rl is not None:
            files = [path / "table.md", path / "metrics.json", *sorted((path / "plots").glob("*"))]
            with redirect_stdout(sys.stderr):  # trackers print, too
                publish_results(path / "rl", files, evaluation.metrics["by_target"])

    def _report(self) -> None:
        """`report.html` and `plots/`; a run is not lost because a picture cannot be drawn."""
        from abstain.recipes.report import write_report

        try:
            write_report(self.directory.path)
        except Exception as error:
            self.say(f"no report: {error}. To try again: abstain report {self.directory.path}")

    def _sampling(self) -> dict[str, Any]:
        settings = self.recipe.eval
        return {
            "prompt_format": self.recipe.model.prompt_format,
            "batch_tokens": settings.batch_tokens,
            "autocast": settings.autocast,
        }

    def _evaluate(self, loaded: LoadedModel, task: Task, start: Start | None) -> Evaluation:
        settings = self.recipe.eval
        sampler = Sampler(
            loaded.model,
            loaded.tokenizer,
            name=loaded.name,
            **self._sampling(),
        )
        return evaluate(
            sampler,
            task,
            settings.targets,
            start=start,
            limit=settings.limit,
            train_limit=settings.train_limit,
            seed=self.recipe.seed,
            state_target=settings.state_target,
            progress=self.progress,
        )

    def _about(self) -> dict[str, Any]:
        """What dashboards are told of the run."""
        return {"recipe": without_secrets(self.recipe.model_dump(mode="json")), "made_with": made_with(Path.cwd())}

    def _held_out(self, task: Task, start: Start) -> dict[str, Any] | None:
        """Arguments of `HeldOut`, if the recipe wants held-out curves."""
        settings = self.recipe.eval
        if settings.every is None:
            return None
        asked = set(start.held_out.ids)
        known = replace(task, held_out=tuple(question for question in task.held_out if question.id in asked))
        return {
            "sets": {task.name: HeldOutSet(known, start)},
            "every": settings.every,
            "targets": settings.targets,
            "limit": settings.while_training,
            "seed": self.recipe.seed,
            "keep_best": settings.keep_best,
            "patience": settings.patience,
            "state_target": settings.state_target,
            "sampler_options": self._sampling(),
        }

    def _train(self, name: str, loaded: LoadedModel, tasks: "_Tasks") -> LoadedModel:
        """The model after this stage; a LoRA adapter is merged, so that the next stage starts from a plain model."""
        if self._is_complete(name):
            return loaded
        resume = bool(self.directory.checkpoints(name))
        self._announce(name, f"training: {name}" + (", from its last checkpoint" if resume else ""))
        if self.launch is None:
            trainer = self._run_stage(name, loaded, tasks)
            loaded = self._keep(name, replace(loaded, model=trainer.model))
            self.directory.mark_complete(name)
            return loaded
        loaded.model.to("cpu")  # the processes need the GPU
        self.launch(name)
        self.directory.mark_complete(name)
        return self._latest_model()

    def _run_stage(self, name: str, loaded: LoadedModel, tasks: "_Tasks") -> Any:
        stage = self.recipe.stages[name]
        settings: dict[str, Any] = {
            "output_dir": self.directory.path / name,
            "seed": self.recipe.seed,
            "prompt_format": self.recipe.model.prompt_format,
            "resume": bool(self.directory.checkpoints(name)),
            "about": self._about(),
        }
        task = tasks.taught if name == FORMAT else tasks.rest
        model = self._trainable(name, loaded.model)
        with redirect_stdout(sys.stderr):  # where trainers print their logs; our stdout is for the table
            if isinstance(stage, SftStage):
                return run_sft(model, loaded.tokenizer, task, stage, **settings)
            start = Start.load(self.directory.path / BEFORE / "start.json")
            held_out = self._held_out(tasks.held_out, start)
            return run_rl(model, loaded.tokenizer, task, stage, start=start, held_out=held_out, **settings)

    def _trainable(self, name: str, model: Any) -> Any:
        stage = self.recipe.stages[name]
        critic = isinstance(stage, RlStage) and stage.algorithm == "ppo"
        return _with_lora(model, self.recipe.model.lora, critic)

    def _keep(self, name: str, trained: LoadedModel) -> LoadedModel:
        """Save what a stage has trained, without its adapter."""
        if self.recipe.model.lora is not None:
            trained = replace(trained, model=trained.model.merge_and_unload())
        write_directory(self._model_dir(name), lambda path: _save(trained, path))
        return trained


@dataclass(frozen=True)
class _Tasks:
    """What the format stage teaches, what is left of it for later stages, and what is held out."""

    taught: Task
    rest: Task
    held_out: Task


def _with_lora(model: Any, fields: dict[str, Any] | None, critic: bool) -> Any:
    if fields is None:
        return model
    from peft import LoraConfig, get_peft_model

    if critic:  # the base model must have it before PEFT wraps it
        add_value_head(model)
        fields = fields | {"modules_to_save": sorted({*(fields.get("modules_to_save") or []), VALUE_HEAD})}
    return get_peft_model(model, LoraConfig(**({"task_type": "CAUSAL_LM"} | fields)))


def _save(loaded: LoadedModel, path: Path) -> None:
    save_model(loaded.model, path)
    loaded.tokenizer.save_pretrained(path)
