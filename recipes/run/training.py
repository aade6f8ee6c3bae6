"""The model that a run starts from, and its training stages, in this process or in one of several."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from abstain.evals.claims.asking import asked_ids
from abstain.evals.knowledge.labels import Labels
from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.models import LoadedModel, end_tokens, load_model
from abstain.evals.prompt_card import PromptCard, as_trained, read_card
from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.fitting import fit_documents
from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import drop_overlap, falls_short
from abstain.recipes.run.checks import asks_confidence, check_words
from abstain.recipes.run.console import quiet_libraries
from abstain.recipes.run.directory import RunDir, made_with, without_secrets, write_directory
from abstain.recipes.run.labelling import labels_of
from abstain.recipes.run.recipe import (
    BEFORE,
    BIOGRAPHIES,
    FORMAT,
    LABELS,
    OWN_MODELS,
    Recipe,
    training_format,
    world_options,
)
from abstain.recipes.run.threads import settle_threads
from abstain.rewards.endpoint.client import PREFIX
from abstain.rewards.prompts import STATES_TARGET
from abstain.trainers.dataset import choose
from abstain.trainers.heldout import HeldOutSet
from abstain.trainers.mix import counted
from abstain.trainers.offline import run_offline
from abstain.trainers.ppo import NAME as VALUE_HEAD
from abstain.trainers.ppo import add_value_head, save_model
from abstain.trainers.rl import run_rl
from abstain.trainers.run_trainer import release
from abstain.trainers.sft import run_sft
from abstain.trainers.stages import OfflineStage, RlStage, SftStage, needs_labels


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
    """`load_model`, which also knows `factworld` and `biographies`: these worlds' own base models, see `own_model`.

    Args:
        name_or_path: as for `load_model`, or the name of a world.
        task, task_options: what will be asked; if it is that world, its options say which model is wanted.
        dtype, revision, trust_remote_code, device: as for `load_model`.

    Raises:
        FileNotFoundError, ValueError: as `load_model`.
    """
    settle_threads()
    quiet_libraries()
    if name_or_path.startswith(PREFIX):
        raise ValueError(
            f"{name_or_path} stands behind an endpoint, so it can be asked but not trained. To ask it: "
            f"abstain eval {name_or_path} --task {task or 'NAME'}"
        )
    how: dict[str, Any] = {"dtype": dtype, "revision": revision, "trust_remote_code": trust_remote_code}
    if name_or_path in OWN_MODELS:
        folder = own_model(name_or_path, task, task_options or {})
        return replace(load_model(folder, device=device, **how), name=name_or_path)
    return load_model(name_or_path, device=device, **how)


def own_model(name: str, task: str, options: Mapping[str, Any]) -> Path:
    """The base model of a made-up world, trained now unless it is cached.

    Args:
        name: `factworld` or `biographies`.
        task, options: what will be asked; if it is that world, its options say which model is wanted.
    """
    told = world_options(task, options) if task == name else {}
    if name == BIOGRAPHIES:
        from abstain.evals.tasks.biographies_model import biography_model

        return biography_model(**told)
    from abstain.evals.tasks.factworld_model import base_model

    return base_model(**told)


@dataclass(frozen=True)
class Tasks:
    """What the format stage teaches, what is left of it for later stages, and what is held out."""

    taught: Task
    rest: Task
    held_out: Task


@dataclass(eq=False)
class Training:
    """What a recipe trains, in which models, and where it leaves them.

    Args:
        recipe: checked.
        directory: opened for this recipe.
    """

    recipe: Recipe
    directory: RunDir
    _labels: Labels | None = field(default=None, init=False, repr=False)

    @property
    def labels(self) -> Labels | None:
        """What the starting model knew of the training questions, once it is there."""
        if self._labels is None and LABELS in self.directory.complete:
            self._labels = labels_of(self.directory.path)
        return self._labels

    def train(self, name: str, loaded: LoadedModel, tasks: Tasks) -> LoadedModel:
        """The model after this stage; a LoRA adapter is merged, so that the next stage starts from a plain model."""
        trainer = self._run_stage(name, loaded, tasks)
        release(trainer.model)
        return self._keep(name, replace(loaded, model=trainer.model), tasks.taught)

    def train_launched(self, name: str) -> None:
        """A stage's training, in each of several processes; the main one leaves the model.

        Args:
            name: the stage; those before it are complete.
        """
        loaded = self.latest_model()
        tasks, _ = self.fitted(self.tasks(), loaded)
        trainer = self._run_stage(name, loaded, tasks)
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            weights = trainer.accelerator.get_state_dict(trainer.model_wrapped)
            if trainer.accelerator.is_main_process:
                whole = self.latest_model(device="cpu")
                model = self._trainable(name, whole.model)
                model.load_state_dict(weights)
                self._keep(name, replace(whole, model=model), tasks.taught)
        elif trainer.accelerator.is_main_process:
            self._keep(name, replace(loaded, model=trainer.model), tasks.taught)
        trainer.accelerator.wait_for_everyone()

    def tasks(self) -> Tasks:
        """Load them; no subject is both trained on and held out."""
        task = load_task(self.recipe.task.name, **self.recipe.task.options)
        other = self.recipe.eval.task
        said = {key: value for key, value in self.recipe.task.options.items() if key in ("answer_format", "template")}
        held_out = load_task(other.name, **(said | other.options)) if other else task
        if other:
            task = replace(task, train=drop_overlap(task.train, held_out.held_out, task.name)[0])
        return Tasks(task, self._not_taught(task), held_out)

    def fitted(self, tasks: Tasks, loaded: LoadedModel) -> tuple[Tasks, list[str]]:
        """The same, with documents that fit into the model's context; and which were cut, in sentences."""
        how = (loaded.tokenizer, loaded.model.config, self.recipe.model.prompt_format)
        taught, said = fit_documents(tasks.taught, *how)
        held_out, more = fit_documents(tasks.held_out, *how) if self.recipe.eval.task else (taught, "")
        return Tasks(taught, self._not_taught(taught), held_out), [text for text in (said, more) if text]

    def told_by_labels(self, tasks: Tasks) -> Tasks:
        """The same, once labels say which questions the format stage teaches.

        Raises:
            ValueError: there are not the questions that a stage's mix wants.
        """
        tasks = replace(tasks, rest=self._not_taught(tasks.taught))
        for name in self.recipe.stages:
            self.mix_in_words(name, tasks)
        return tasks

    def mix_in_words(self, name: str, tasks: Tasks) -> str:
        """What a stage's mix gives, in a line; "" if it has none."""
        stage = self.recipe.stages[name]
        if isinstance(stage, OfflineStage) or stage.mix is None or self.labels is None:
            return ""
        chosen = self._chosen(name, (tasks.taught if name == FORMAT else tasks.rest))
        plural = "" if len(chosen) == 1 else "s"
        return f"{name}: {len(chosen):,} question{plural}: {counted(chosen, self.labels.by_id)}"

    def _chosen(self, name: str, task: Task) -> list[Question]:
        """The questions that a stage trains on."""
        stage = self.recipe.stages[name]
        mix = None if isinstance(stage, OfflineStage) else stage.mix
        known = self.labels.by_id if self.labels else None
        where, labelled_only = f"{name}.mix", needs_labels(stage) is not None
        return choose(task.train, stage.limit, mix, known, self.recipe.seed, where, labelled_only)

    def _not_taught(self, task: Task) -> Task:
        """The task without the questions whose answers the format stage teaches: memory would pass for knowledge."""
        stage = self.recipe.format
        if stage is None or (stage.mix is not None and self.labels is None):  # before they are told apart
            return task
        taught = {question.id for question in self._chosen(FORMAT, task)}
        return replace(task, train=tuple(question for question in task.train if question.id not in taught))

    def latest_model(self, device: str | None = None) -> LoadedModel:
        """The model that the last complete stage left, or the one to start from."""
        done = [name for name in self.recipe.stages if name in self.directory.complete]
        if not done:
            return self.first_model(device)
        quiet_libraries()
        config = self.recipe.model
        return load_model(
            self._model_dir(done[-1]), dtype=config.dtype, trust_remote_code=config.trust_remote_code, device=device
        )

    def first_model(self, device: str | None = None) -> LoadedModel:
        """The model to start from, whatever has been trained since."""
        config, task = self.recipe.model, self.recipe.task
        start = load_start(
            config.path,
            task=task.name,
            task_options=task.options,
            dtype=config.dtype,
            revision=config.revision,
            trust_remote_code=config.trust_remote_code,
            device=device,
        )
        if asks_confidence(self.recipe):
            check_words(start.tokenizer)
        return start

    def prompt_card(self, loaded: LoadedModel, task: Task) -> PromptCard:
        """How the model that this recipe trains is to be asked: as its last stage asks."""
        stages = {name: stage for name, stage in self.recipe.stages.items() if name != FORMAT} or self.recipe.stages
        return PromptCard.of(
            task,
            loaded.tokenizer,
            prompt_format=self.recipe.model.prompt_format,
            instruct=list(stages.values())[-1].instruct,
            targets={t for stage in stages.values() if stage.instruct in STATES_TARGET for t in stage.targets},
            stop=end_tokens(loaded.model, loaded.tokenizer),
        )

    def departures(self, loaded: LoadedModel, task: Task) -> list[str]:
        """Warnings, where the model to start from was trained to be asked otherwise than this recipe asks."""
        before, now = read_card(loaded.source, self.recipe.model.revision), self.prompt_card(loaded, task)
        if before is None:
            return []
        said = ("template", "max_new_tokens", "answer_format")
        how = as_trained(before, task, said, prompt_format=now.prompt_format, instruct=now.instruct)
        return list(how.notes[1:])

    def shortfalls(self, tasks: Tasks) -> Iterator[str]:
        """Where there are fewer questions than a limit of the recipe asks for."""
        taught = len(tasks.taught.train) - len(tasks.rest.train)
        for name, stage in self.recipe.stages.items():
            there = len((tasks.taught if name == FORMAT else tasks.rest).train)
            if stage.limit and stage.limit > there:
                kept = f", for format keeps {taught:,}" if taught and name != FORMAT else ""
                yield falls_short(f"{name}.limit={stage.limit}", there, f"there are no more to train on{kept}")
        there, limit = len(tasks.held_out.held_out), self.recipe.eval.limit
        if limit and limit > there:
            yield falls_short(f"eval.limit={limit}", there, "no more are held out")

    def _model_dir(self, stage: str) -> Path:
        """Where a stage leaves its model: the last one as the run's result, others beside their checkpoints."""
        last = stage == list(self.recipe.stages)[-1]
        return self.directory.path / "model" if last else self.directory.path / stage / "model"

    def sampling(self) -> dict[str, Any]:
        """How questions are asked: arguments of `Sampler`."""
        settings = self.recipe.eval
        return {
            "prompt_format": self.recipe.model.prompt_format,
            "batch_tokens": settings.batch_tokens,
            "autocast": settings.autocast,
        }

    def _about(self) -> dict[str, Any]:
        """What dashboards are told of the run."""
        return {"recipe": without_secrets(self.recipe.model_dump(mode="json")), "made_with": made_with(Path.cwd())}

    def _held_out(self, task: Task, start: BaseGuesses) -> dict[str, Any] | None:
        """Arguments of `HeldOut`, if the recipe wants held-out curves, or TRL to evaluate."""
        settings, rl = self.recipe.eval, self.recipe.rl
        if settings.every is None and (rl is None or rl.args.get("eval_strategy", "no") == "no"):
            return None
        return {
            "sets": {task.name: HeldOutSet(task.with_held_out(asked_ids(start.held_out)), start)},
            "every": settings.every,
            "targets": settings.targets,
            "limit": settings.while_training,
            "seed": self.recipe.seed,
            "keep_best": settings.keep_best,
            "patience": settings.patience,
            "instruct": settings.instruct,
            "sampler_options": self.sampling(),
        }

    def _run_stage(self, name: str, loaded: LoadedModel, tasks: Tasks) -> Any:
        stage = self.recipe.stages[name]
        settings: dict[str, Any] = {
            "output_dir": self.directory.path / name,
            "seed": self.recipe.seed,
            "prompt_format": self.recipe.model.prompt_format,
            "resume": bool(self.directory.checkpoints(name)),
            "about": self._about(),
        }
        task = tasks.taught if name == FORMAT else tasks.rest
        known = self.labels.by_id if self.labels else None
        self.prompt_card(loaded, tasks.taught).save(self.directory.path / name)  # for who asks a checkpoint
        model = self._trainable(name, loaded.model)
        with redirect_stdout(sys.stderr):  # where trainers print their logs; our stdout is for the table
            if isinstance(stage, SftStage):
                settings |= {"known": known, "sampling": self.sampling()}
                return run_sft(model, loaded.tokenizer, task, stage, **settings)
            task = replace(task, answer_format=training_format(self.recipe))
            if isinstance(stage, OfflineStage):
                settings["resume"] = True  # from its samples, too, which are there before the first checkpoint
                return run_offline(model, loaded.tokenizer, task, stage, **settings)
            start = BaseGuesses.load(self.directory.path / BEFORE / "start.json")
            held_out = self._held_out(tasks.held_out, start)
            settings |= {"known": known, "start": start, "held_out": held_out}
            return run_rl(model, loaded.tokenizer, task, stage, **settings)

    def _trainable(self, name: str, model: Any) -> Any:
        stage = self.recipe.stages[name]
        critic = isinstance(stage, RlStage) and stage.algorithm == "ppo"
        return _with_lora(model, self.recipe.model.lora, critic)

    def _keep(self, name: str, trained: LoadedModel, task: Task) -> LoadedModel:
        """Save what a stage has trained, without its adapter, and how to ask it."""
        if self.recipe.model.lora is not None:
            trained = replace(trained, model=trained.model.merge_and_unload())
        card = self.prompt_card(trained, task)
        write_directory(self._model_dir(name), lambda path: _save(trained, card, path))
        return replace(trained, source=str(self._model_dir(name)))


def _with_lora(model: Any, fields: dict[str, Any] | None, critic: bool) -> Any:
    if fields is None:
        return model
    from peft import LoraConfig, get_peft_model

    if critic:  # the base model must have it before PEFT wraps it
        add_value_head(model)
        fields = fields | {"modules_to_save": sorted({*(fields.get("modules_to_save") or []), VALUE_HEAD})}
    return get_peft_model(model, LoraConfig(**({"task_type": "CAUSAL_LM"} | fields)))


def _save(loaded: LoadedModel, card: PromptCard, path: Path) -> None:
    save_model(loaded.model, path)
    loaded.tokenizer.save_pretrained(path)
    card.save(path)
