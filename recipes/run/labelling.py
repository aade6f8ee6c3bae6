"""What the starting model knows of the questions that a run trains on, and of those that it is measured by.

runs/quickstart-0/labels/
    labels.jsonl, labels.json    of the training questions, and of the held-out ones where they are of the same task
    held_out/                    of those of `eval.task`
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abstain.evals.evaluation import draw_in_order
from abstain.evals.knowledge.fingerprint import fingerprint
from abstain.evals.knowledge.labelling import cached_labels
from abstain.evals.knowledge.labels import ABOUT, Labels, read_labels
from abstain.evals.knowledge.protocol import find_protocol
from abstain.evals.models import LoadedModel
from abstain.evals.tasks.question import Question, Task
from abstain.recipes.run.directory import write_directory
from abstain.recipes.run.recipe import LABELS, Recipe
from abstain.trainers.dataset import draw
from abstain.trainers.mix import Known, counted

HELD_OUT = "held_out"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Part:
    """Questions of one task.

    Args:
        folder: under that of the labels.
        task: that they are of.
        options: that it was loaded with.
        train, held_out: which of its questions are labelled.
    """

    folder: str
    task: Task
    options: dict[str, Any]
    train: Sequence[Question] = ()
    held_out: Sequence[Question] = ()

    @property
    def questions(self) -> list[Question]:
        return [*self.train, *self.held_out]


def parts_to_label(recipe: Recipe, trained: Task, held_out: Task) -> list[Part]:
    """What a recipe has labelled.

    Args:
        recipe: has a section `labels`.
        trained: the task that is trained on.
        held_out: the task whose held-out questions are asked, the same or that of `eval.task`.
    """
    assert recipe.labels is not None
    options = recipe.task.options
    train = draw(trained.train, recipe.to_label, recipe.seed)
    asked = draw_in_order(held_out.held_out, recipe.eval.limit, recipe.seed) if recipe.labels.held_out else []
    if recipe.eval.task is None:
        return [Part("", trained, options, train, asked)]
    other = Part(HELD_OUT, held_out, recipe.eval.task.options, held_out=asked)
    return [Part("", trained, options, train), *[other] * bool(asked)]


def label(recipe: Recipe, part: Part, loaded: LoadedModel, progress: bool) -> Labels:
    """Labels of these questions, made now, or taken from where `labels.path` says.

    Raises:
        ValueError: `labels.path` has those of another model, or of none of these questions.
    """
    config = recipe.labels
    assert config is not None
    if config.path is None:
        return cached_labels(
            loaded,
            part.task,
            part.questions,
            find_protocol(config.preset, max_new_tokens=part.task.max_new_tokens),
            task_options=part.options,
            prompt_format=recipe.model.prompt_format,
            batch_tokens=recipe.eval.batch_tokens,
            autocast=recipe.eval.autocast,
            seed=recipe.seed,
            progress="questions labelled" if progress else None,
        )
    given = read_labels(config.path)
    if (own := fingerprint(loaded.model)) != given.about.fingerprint:
        raise ValueError(
            f"labels.path: {config.path} says what {given.about.model} knows (fingerprint {given.about.fingerprint}), "
            f"and this run starts from another model, {recipe.model.path} ({own}): set labels.path=null, and its own "
            "labels are made"
        )
    found = given.of(part.questions)
    if not found.rows and not part.train:
        logger.warning(
            f"labels.path: {config.path} has no labels of {part.task.name}'s held-out questions: tables are not split "
            "by category"
        )
    elif not found.rows:
        raise ValueError(
            f"labels.path: {config.path} has labels of {given.about.task}, and none of the {len(part.questions):,} "
            f"questions of {part.task.name} that this run needs: set labels.path=null, and they are made"
        )
    return found


def save_labels(folder: Path, parts: dict[str, Labels]) -> None:
    """Write the labels of a run, all or nothing."""

    def fill(path: Path) -> None:
        for name, labels in parts.items():
            (path / name).mkdir(exist_ok=True)
            labels.save(path / name)

    write_directory(folder, fill)


def labels_of(run: Path, held_out: bool = False) -> Labels | None:
    """What was labelled in a run directory: training questions, or the held-out ones; `None` if nothing was."""
    folder = run / LABELS
    if held_out and (folder / HELD_OUT / ABOUT).exists():
        folder = folder / HELD_OUT
    return read_labels(folder) if (folder / ABOUT).exists() else None


def in_words(part: Part, known: Known) -> str:
    """What was found, and how many questions have no label.

    Example:
        >>> task = Task("geo", (Question("1", "Where?", ("Lima",)),), ())
        >>> in_words(Part("", task, {}, train=task.train), {})
        'what it knows of 1 training question: none with a label; 1 has no label'
        >>> in_words(Part("", task, {}), {})
        'nothing is labelled: no stage chooses by labels'
    """
    told = []
    for kind, questions in (("training", part.train), ("held-out", part.held_out)):
        if not questions:
            continue
        left = sum(question.id not in known for question in questions)
        without = f"; {left:,} ha{'s' if left == 1 else 've'} no label" if left else ""
        count = f"{len(questions):,} {kind} question{'' if len(questions) == 1 else 's'}"
        told.append(f"{count}: {counted(questions, known)}{without}")
    return "what it knows of " + "; of ".join(told) if told else "nothing is labelled: no stage chooses by labels"
