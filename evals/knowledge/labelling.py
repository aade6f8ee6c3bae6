"""What a model knows of each question: asked in few-shot prompts, graded, and put into one of four categories.

    labels = label_model(loaded, task, task.train, find_protocol("categories"), folder="labels/my-model")

A fact's prompts are answered greedily, and sampled. Facts are asked in chunks of one relation, so that they share what
its prompts begin with; each chunk is kept as it is done (`abstain.evals.knowledge.partial`).
"""

import fcntl
import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from abstain.evals.knowledge.asking import Asking
from abstain.evals.knowledge.continuations import Continue, LocalContinuer
from abstain.evals.knowledge.exemplars import Exemplars, Renderer, draw_exemplars, has_answer, relation_of
from abstain.evals.knowledge.fingerprint import fingerprint as fingerprint_of
from abstain.evals.knowledge.labels import ABOUT, About, Labels, count_categories, read_labels
from abstain.evals.knowledge.partial import Kept, Settings, finish, going_on
from abstain.evals.knowledge.protocol import Protocol
from abstain.evals.models import takes_bfloat16
from abstain.evals.progress import Advance, followed
from abstain.evals.prompt_card import read_card
from abstain.evals.sampling import PromptFormat
from abstain.evals.tasks.catalogue import COMMON_OPTIONS
from abstain.evals.tasks.factworld_model import cache_dir
from abstain.evals.tasks.question import Question, Task

if TYPE_CHECKING:
    from abstain.evals.models import LoadedModel

CHUNK = 128
"""Facts that are asked together, and on disk together: so many are lost at most where somebody interrupts."""
VERSION = 1
"""Of how questions are asked and graded: labels in the cache that were made otherwise are not taken for these."""
logger = logging.getLogger(__name__)


def label_questions(
    continue_: Continue,
    task: Task,
    questions: Sequence[Question],
    protocol: Protocol,
    *,
    fingerprint: str,
    model: str,
    task_options: Mapping[str, Any] | None = None,
    render: Renderer | None = None,
    exemplars: Exemplars | None = None,
    seed: int = 0,
    progress: str | Advance | None = None,
    store: Kept | None = None,
    before_asking: Callable[[Sequence[str]], object] | None = None,
) -> Labels:
    """Label questions of a task. Those that cannot be are left out, which is logged in a line each.

    Args:
        continue_: the model, see `abstain.evals.knowledge.continuations`.
        task: the whole of it: few-shot prompts are drawn from its `examples`.
        questions: to label, of either side.
        protocol: how they are asked.
        fingerprint, model: whose labels these are.
        task_options: that the task was loaded with, to be written down.
        render: writes prompts; plain text by default.
        exemplars: what prompts show; drawn by default, see `abstain.evals.knowledge.exemplars.draw_exemplars`.
        seed: of the prompts and the samples.
        progress: what to say of how far it is (see `abstain.evals.progress`), or whom to tell how many more are done.
        store: where labels are kept as they are made, and found again.
        before_asking: called with all prompts first, each as often as it will be answered at most.

    Raises:
        ValueError: a relation with too few examples, or a question about the same as one that its prompts show.
    """
    render = render or Renderer()
    asked = [question for question in questions if has_answer(question)]
    if left := len(questions) - len(asked):
        logger.warning("%s: %s not labelled: no answer to them is right", task.name, _are(left))
    if exemplars is None:
        exemplars = draw_for(task, asked, protocol, seed)
    for note in exemplars.notes:
        logger.warning("%s: %s", task.name, note)
    asked = [question for question in asked if question.id not in exemplars.set_apart]
    exemplars.check(asked)
    store = store or Kept()
    rows = {one.id: row for one in asked if (row := store.rows.get(one.id)) is not None and row.is_of(one)}
    asking = Asking(continue_, task, protocol, exemplars, render, seed)
    if before_asking:
        before_asking([prompt for question in asked if question.id not in rows for prompt in asking.prompts(question)])
    with followed(progress, len(asked)) as advance:
        advance(len(rows))
        for chunk in _chunks(asked):
            if missing := [question for question in chunk if question.id not in rows]:
                found = asking(missing)
                store.add(found)
                rows |= {row.id: row for row in found}
                advance(len(missing))
    if silent := len(asked) - len(rows):
        logger.warning("%s: %s not labelled, for want of a reply: label again to ask once more", model, _are(silent))
    answers = [answer for row in rows.values() for answer in row.answers]
    if (empty := answers.count("")) > len(answers) / 2:
        said = "%s: %d of %d greedy answers are empty, which says nothing of what it knows: has it seen such prompts?"
        logger.warning(said, model, empty, len(answers))
    kept = tuple(rows[question.id] for question in asked if question.id in rows)
    settings = settings_of(task, protocol, fingerprint, render, seed, task_options)
    about = About(model=model, n=len(kept), counts=count_categories(kept), **settings)
    return Labels(about, kept)


def label_into(
    folder: Path,
    continue_: Continue,
    task: Task,
    questions: Sequence[Question],
    protocol: Protocol,
    *,
    fingerprint: str,
    model: str,
    render: Renderer,
    seed: int = 0,
    task_options: Mapping[str, Any] | None = None,
    resume: bool = False,
    **how: Any,
) -> Labels:
    """`label_questions`, kept in a folder chunk by chunk, and saved there when all is done.

    Labels of other questions that are in the folder stay there, and come back, too.

    Args:
        folder: made if need be.
        continue_, task, questions, protocol, fingerprint, model, render, seed, task_options: of `label_questions`.
        resume: go on with what an interrupted labelling left there.
        how: the other arguments of `label_questions`.

    Raises:
        FileExistsError, BlockingIOError, ValueError: as `abstain.evals.knowledge.partial.going_on` and
            `label_questions`.
    """
    settings = settings_of(task, protocol, fingerprint, render, seed, task_options)
    with going_on(folder, settings, resume=resume, model=model) as store:
        labels = label_questions(
            continue_,
            task,
            questions,
            protocol,
            render=render,
            seed=seed,
            task_options=task_options,
            store=store,
            fingerprint=fingerprint,
            model=model,
            **how,
        )
        if others := [row for row in store.rows.values() if row.id not in labels.by_id]:
            rows = (*labels.rows, *others)
            counted = {"n": len(rows), "counts": count_categories(rows)}
            labels = Labels(labels.about.model_copy(update=counted), rows)
        finish(folder, labels)
    return labels


def draw_for(task: Task, questions: Sequence[Question], protocol: Protocol, seed: int) -> Exemplars:
    """What the prompts of these questions show."""
    relations = sorted({relation_of(question) for question in questions})
    return draw_exemplars(task, relations, prompts=protocol.prompts, shots=protocol.shots, seed=seed)


def settings_of(
    task: Task,
    protocol: Protocol,
    fingerprint: str,
    render: Renderer,
    seed: int,
    task_options: Mapping[str, Any] | None = None,
) -> Settings:
    """What labels depend on: they are taken up again with the same only. How the task itself asks is no part of it."""
    how = protocol.as_dict() | {"seed": seed, "prompt_format": render.prompt_format}
    own = {key: value for key, value in (task_options or {}).items() if key not in COMMON_OPTIONS}
    options = json.loads(json.dumps(own, default=str))
    return {"fingerprint": fingerprint, "task": task.name, "task_options": options, "protocol": how}


def _are(count: int) -> str:
    return f"{count:,} question{'s are' if count > 1 else ' is'}"


def _chunks(questions: Sequence[Question]) -> Iterator[list[Question]]:
    by_relation: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_relation[relation_of(question)].append(question)
    for same in by_relation.values():
        yield from (same[start : start + CHUNK] for start in range(0, len(same), CHUNK))


def label_model(
    loaded: "LoadedModel",
    task: Task,
    questions: Sequence[Question],
    protocol: Protocol,
    *,
    folder: str | Path,
    resume: bool = False,
    seed: int = 0,
    task_options: Mapping[str, Any] | None = None,
    prompt_format: PromptFormat = "auto",
    batch_tokens: int | None = None,
    autocast: bool = False,
    progress: str | Advance | None = None,
) -> Labels:
    """Label questions with a model that runs here, into a folder.

    Args:
        loaded: the model.
        task, questions, protocol, seed, task_options, progress: as for `label_questions`.
        folder, resume: as for `label_into`.
        prompt_format: "auto" leaves it to the model's prompt card (`abstain.json`), and else to its tokenizer.
        batch_tokens, autocast: as of `abstain.evals.sampler.Sampler`.

    Raises:
        FileExistsError, BlockingIOError, ValueError: as `label_into`.
    """
    return label_into(
        Path(folder),
        LocalContinuer(loaded.model, loaded.tokenizer, batch_tokens=batch_tokens, autocast=autocast),
        task,
        questions,
        protocol,
        fingerprint=fingerprint_of(loaded.model),
        model=loaded.name,
        render=renderer_of(loaded, prompt_format),
        resume=resume,
        seed=seed,
        task_options=task_options,
        progress=progress,
    )


def cached_labels(
    loaded: "LoadedModel",
    task: Task,
    questions: Sequence[Question],
    protocol: Protocol,
    *,
    seed: int = 0,
    task_options: Mapping[str, Any] | None = None,
    prompt_format: PromptFormat = "auto",
    batch_tokens: int | None = None,
    autocast: bool = False,
    progress: str | Advance | None = None,
) -> Labels:
    """`label_model`, once for all who want the same: labels lie in the cache by a hash of all that they depend on.

    That is the model's weights and how it is asked, the questions, what prompts show, the protocol and the seed. Of
    several processes that want them at once, one labels and the others wait. An interrupted labelling goes on.

    Args:
        loaded, task, questions, protocol, seed, task_options, prompt_format, batch_tokens, autocast, progress: as for
            `label_model`.

    Raises:
        ValueError: as `label_questions`.
    """
    render, print_ = renderer_of(loaded, prompt_format), fingerprint_of(loaded.model)
    settings = settings_of(task, protocol, print_, render, seed, task_options)
    asked = [question for question in questions if has_answer(question)]
    shown = draw_for(task, asked, protocol, seed)
    template = loaded.tokenizer.chat_template if render.prompt_format == "chat" else None
    texts = {relation: [[_said(one) for one in prompt] for prompt in two] for relation, two in shown.prompts.items()}
    computed_in = "autocast" if takes_bfloat16(loaded.model.device.type, autocast) else str(loaded.model.dtype)
    parts = [VERSION, settings, [_said(one) for one in asked], texts, template, computed_in]
    key = json.dumps(parts, sort_keys=True, default=str)
    folder = cache_dir() / f"labels-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    if not (folder / ABOUT).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f".{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / ABOUT).is_file():
                label_model(
                    *(loaded, task, asked, protocol),
                    folder=folder,
                    resume=True,
                    seed=seed,
                    task_options=task_options,
                    prompt_format=prompt_format,
                    batch_tokens=batch_tokens,
                    autocast=autocast,
                    progress=progress,
                )
    return read_labels(folder)


def _said(question: Question) -> list[Any]:
    return [question.id, question.question, list(question.gold), relation_of(question), question.subject]


def renderer_of(loaded: "LoadedModel", prompt_format: PromptFormat = "auto") -> Renderer:
    """Writes prompts for a model: as somebody says, or as it was trained to be asked, or as its tokenizer has it."""
    card = read_card(loaded.source) if prompt_format == "auto" and loaded.source else None
    return Renderer(loaded.tokenizer, card.prompt_format if card else prompt_format)
