"""Runs a recipe: measure the model as it is, train it stage by stage and measure what each has led to, write its card.

before -> sft -> after-sft -> rl -> after                            a step that is complete is skipped
format -> after-format -> before -> sft -> after-sft -> rl -> after  the oracle is made of what `format` leads to
labels -> …                                                          first of all, what the starting model knows
"""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

from rich.text import Text

from abstain.evals.claims.asking import evaluate_claims
from abstain.evals.conclusion import Measured, conclude, labels, stages_json
from abstain.evals.evaluation import Evaluation, evaluate
from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.metrics.schema import Metrics, numbers, read_metrics
from abstain.evals.models import LoadedModel
from abstain.evals.prompt_card import read_card
from abstain.evals.records import read_json, read_records, write_text
from abstain.evals.sampler import Sampler
from abstain.evals.tables.document import Format
from abstain.evals.tables.table import render
from abstain.evals.tasks.catalogue import describe
from abstain.evals.tasks.question import Task
from abstain.recipes.run.directory import START, RunDir, made_with, measurements, start_file
from abstain.recipes.run.labelling import in_words, label, labels_of, parts_to_label, save_labels
from abstain.recipes.run.model_card import base_name, model_card
from abstain.recipes.run.recipe import AFTER, BEFORE, FORMAT, LABELS, Recipe, measured_stage
from abstain.recipes.run.training import Tasks, Training
from abstain.trainers.checkpoints import step_of, steps_planned
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
        tasks, cut = self.training.fitted(tasks, loaded)
        for sentence in cut:
            self.say(sentence)
        if not self.directory.started:
            for warning in (*self.training.departures(loaded, tasks.taught), *self.training.shortfalls(tasks)):
                self.say(warning)
            self.directory.start(self.recipe)
        if self._is_complete(LABELS):
            tasks = self.training.told_by_labels(tasks)
        steps = self.recipe.steps
        for step in steps[: steps.index(until) + 1]:
            if self._is_complete(step):
                continue
            if step == LABELS:
                self._label(loaded, tasks)
                tasks = self.training.told_by_labels(tasks)
            elif step == BEFORE and FORMAT in self.directory.complete:
                del loaded  # there may be room for one model only
                self._measure_between(step, self.training.first_model(), tasks)
                loaded = self.training.latest_model()
            elif step == AFTER:
                self._measure_result(loaded, tasks.held_out)
            elif step == BEFORE or measured_stage(step):
                self._measure_between(step, loaded, tasks)
            else:
                loaded = self._train(step, loaded, tasks)

    def table(self, format: Format = "text", **options: Any) -> str:
        """The results of a complete run, a row for each stage and target."""
        measured = self._measured()
        return render(list(measured.values()), format, labels=labels(list(measured)), **options)

    def _measured(self) -> dict[str, Metrics]:
        """What was measured before and after each stage, as far as it was."""
        folders = measurements(self.directory.path, list(self.recipe.stages))
        files = {stage: folder / "metrics.json" for stage, folder in folders.items()}
        return {stage: read_metrics(file) for stage, file in files.items() if file.exists()}

    @property
    def conclusion(self) -> list[str]:
        """What a complete run came to, in sentences; none if it was measured by an earlier version."""
        found = read_metrics(self.directory.path / "metrics.json").get("conclusion") or {}
        return [found["words"], *found["further"]] if found else []

    def _is_complete(self, step: str) -> bool:
        return step in self.directory.complete

    def _announce(self, step: str, what: str) -> None:
        self.say(Text(f"[{self.recipe.steps.index(step) + 1}/{len(self.recipe.steps)}] {what}", "bold"))

    def _label(self, loaded: LoadedModel, tasks: Tasks) -> None:
        """Find what the model knows, by asking it or by what `labels.path` says; and where mixes cannot be had."""
        assert self.recipe.labels is not None
        name, path = base_name(self.recipe.model), self.recipe.labels.path
        how = f"taking labels from {path}" if path else f"asking {name} what it knows ({self.recipe.labels.preset})"
        self._announce(LABELS, how)
        found = {}
        for part in parts_to_label(self.recipe, tasks.taught, tasks.held_out):
            found[part.folder] = label(self.recipe, part, replace(loaded, name=name), self.progress)
            self.say(in_words(part, found[part.folder].by_id))
        save_labels(self.directory.path / LABELS, found)
        self.directory.mark_complete(LABELS)

    def _measure_between(self, step: str, loaded: LoadedModel, tasks: Tasks) -> None:
        """What stages lead to before the last has its say; the first measurement gives the oracle to all others."""
        stage = measured_stage(step)
        name = base_name(self.recipe.model) + (f" after {stage}" if stage else "")
        task = tasks.held_out if self.recipe.eval.task else tasks.rest
        self._announce(step, f"measuring {name} on {task.name}")
        started = start_file(self.directory.path)
        start = BaseGuesses.load(started) if started else None
        evaluation = self._evaluate(replace(loaded, name=name), task, start)
        folder = self.directory.path / (stage or BEFORE)
        evaluation.save(folder)
        if start is None or step == BEFORE:  # where readers look, whichever model it is made of
            evaluation.start.save(folder / START)
        self.directory.mark_complete(step)

    def _measure_result(self, loaded: LoadedModel, task: Task) -> None:
        self._announce(AFTER, "measuring the trained model")
        path = self.directory.path
        evaluation = self._evaluate(
            replace(loaded, name=self.recipe.name), task, BaseGuesses.load(path / BEFORE / START)
        )
        *earlier, (last, _) = measurements(path, list(self.recipe.stages)).items()
        measured = [
            Measured(stage, read_json(folder / "metrics.json"), read_records(folder / "records.jsonl"))
            for stage, folder in earlier
            if (folder / "metrics.json").exists()
        ]
        measured.append(Measured(last, evaluation.metrics, evaluation.records))
        told = {"stages": stages_json(measured), "conclusion": conclude(measured).as_json()}
        evaluation = replace(evaluation, metrics=evaluation.metrics | told)
        evaluation.save(path)
        page = f"{self.table('markdown')}\n**{self.conclusion[0]}** {' '.join(self.conclusion[1:])}\n"
        write_text(path / "table.md", page)
        asked = read_card(path / "model") or self.training.prompt_card(loaded, task)
        write_text(
            path / "model" / "README.md",
            model_card(self.recipe, asked, page, made_with(Path.cwd())),
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
        if settings.instruct == "claims":
            return evaluate_claims(
                sampler,
                task,
                settings.targets,
                start=start,
                limit=settings.limit,
                train_limit=settings.train_limit,
                seed=self.recipe.seed,
                progress=self.progress,
            )
        return evaluate(
            sampler,
            task,
            settings.targets,
            start=start,
            limit=settings.limit,
            train_limit=settings.train_limit,
            seed=self.recipe.seed,
            instruct=settings.instruct,
            labels=labels_of(self.directory.path, held_out=True),
            progress=self.progress,
        )

    def _goes_on(self, stage: str) -> str:
        """Where a stage goes on that was interrupted, in words."""
        checkpoints = self.directory.checkpoints(stage)
        if not checkpoints:
            return ""
        planned = steps_planned(checkpoints[-1])
        return f", going on at step {step_of(checkpoints[-1])}" + (f" of {planned}" if planned else "")

    def _train(self, name: str, loaded: LoadedModel, tasks: Tasks) -> LoadedModel:
        """The model after this stage; a LoRA adapter is merged, so that the next stage starts from a plain model."""
        self._announce(name, f"training: {name}{self._goes_on(name)}")
        if told := self.training.mix_in_words(name, tasks):
            self.say(told)
        if self.launch is None:
            loaded = self.training.train(name, loaded, tasks)
            self.directory.mark_complete(name)
            return loaded
        loaded.model.to("cpu")  # the processes need the GPU
        self.launch(name)
        self.directory.mark_complete(name)
        return self.training.latest_model()
