"""`abstain label`: what a model knows of each question, by answers to few-shot prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from abstain.recipes.cli.endpoint import Served, cost_first, fingerprint_of, load, say_usage
from abstain.recipes.cli.options import (
    GRADER,
    OUT,
    RESUME,
    SEED,
    BatchTokens,
    Card,
    Data,
    DType,
    EndpointOptions,
    Model,
    PromptFormat,
    Revision,
    TableFormat,
    Task,
    TaskOptions,
    TrustRemoteCode,
    Url,
    Yes,
    card_of,
    option,
    task_named,
    worded,
)
from abstain.recipes.run.console import say
from abstain.recipes.run.directory import claimed_results

if TYPE_CHECKING:
    from abstain.evals.knowledge.protocol import Protocol
    from abstain.evals.models import LoadedModel
    from abstain.evals.tasks.question import Question
    from abstain.evals.tasks.question import Task as Questions

FOLDER = Path("labels")
"""Where labels are written unless somebody says where: they take too long to be lost."""
PROTOCOL, QUESTIONS = "How it is asked", "Which questions"
PRESET = option("--preset", "NAME", "paper, categories, quick or greedy; see docs/labels.md.", PROTOCOL)
PROMPTS = option("--prompts", "N", "Few-shot prompts of each relation, instead of the preset's.", PROTOCOL, min=1)
SHOTS = option("--shots", "N", "Questions with answers that a prompt shows.", PROTOCOL, min=1)
SAMPLES = option("--samples", "N", "Sampled answers to each prompt; 0 for none.", PROTOCOL, min=0)
GRADED = worded(GRADER, "Compares answers with the gold: exact, or one of `abstain graders`.", PROTOCOL)
SIDE = option("--side", "NAME", "train, held_out or both.", QUESTIONS)
RELATIONS = option("--relations", "LIST", "Only these relations of the task.", QUESTIONS)
LIMIT = option("--limit", "N", "N questions of each side; a larger N adds to a smaller one.", QUESTIONS, min=1)
TO = worded(OUT, "Write labels.jsonl and labels.json there, instead of labels/MODEL-TASK.")


def label(
    model: Model,
    task: Task = None,
    data: Data = None,
    task_option: TaskOptions = None,
    out: Annotated[Path | None, TO] = None,
    resume: Annotated[bool, worded(RESUME, "Go on with what was interrupted, or label more questions.")] = False,
    format: TableFormat = "text",
    preset: Annotated[str, PRESET] = "categories",
    prompts: Annotated[int | None, PROMPTS] = None,
    shots: Annotated[int | None, SHOTS] = None,
    samples: Annotated[int | None, SAMPLES] = None,
    grader: Annotated[str | None, GRADED] = None,
    seed: Annotated[int, worded(SEED, "Draws the prompts, the questions of --limit, and the samples.", PROTOCOL)] = 0,
    side: Annotated[Literal["train", "held_out", "both"], SIDE] = "both",
    relations: Annotated[str | None, RELATIONS] = None,
    limit: Annotated[int | None, LIMIT] = None,
    prompt_format: PromptFormat = "auto",
    card: Card = None,
    batch_tokens: BatchTokens = None,
    dtype: DType = "auto",
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
    url: Url = None,
    endpoint_option: EndpointOptions = None,
    yes: Yes = False,
) -> None:
    """Label each question by how well a model knows its answer.

    A question is HighlyKnown, MaybeKnown, WeaklyKnown or Unknown, by the answers to several few-shot
    prompts of its relation (SliCK, Gekhman et al. 2024). Labels choose training data (`mix:` in a
    recipe), and split tables (`abstain eval --labels DIR`).

    [bold]Examples[/bold]
    \b
      abstain label runs/quickstart-0/model --task geo --limit 200
      abstain label Qwen/Qwen3-0.6B --task popqa --preset paper --side held_out --out labels/qwen
      abstain label my-model --data trivia.csv --preset quick
      abstain label my-model --task geo --limit 1000 --resume
      abstain label openai:qwen3-32b --url http://localhost:8000/v1 --task geo --limit 50
    """
    from abstain.evals.knowledge.protocol import find_protocol

    settings = {"prompts": prompts, "shots": shots, "samples": samples, "grader": grader}
    protocol = find_protocol(preset, **settings)
    name, options = task_named(task, data, task_option)
    from abstain.evals.knowledge.labelling import label_into
    from abstain.evals.knowledge.partial import check_free
    from abstain.evals.tables.labels import render_labels
    from abstain.evals.tasks.catalogue import load_task

    folder = out or FOLDER / f"{_short(model)}-{_short(name)}"
    check_free(folder, resume=resume)
    with claimed_results(folder, ()):
        questions = load_task(name, **options)
        protocol = find_protocol(preset, **settings, max_new_tokens=questions.max_new_tokens)
        chosen = choose(questions, side, relations, limit, seed)
        loaded = load(
            model,
            url,
            endpoint_option,
            batch_tokens=batch_tokens,
            task=name,
            task_options=options,
            dtype=dtype,
            revision=revision,
            trust_remote_code=trust_remote_code,
        )
        trained = None if prompt_format != "auto" else card_of(card, loaded, revision)
        asked_in = trained.prompt_format if trained else prompt_format
        say(f"{len(chosen):,} questions, at most {protocol.most_answers} answers to each ({protocol.preset})")
        asking, render = _asking(loaded, asked_in, protocol, batch_tokens)
        sampler = getattr(asking, "sampler", None)
        labels = label_into(
            folder,
            asking,
            questions,
            chosen,
            protocol,
            fingerprint=fingerprint_of(loaded),
            model=loaded.name,
            render=render,
            resume=resume,
            seed=seed,
            task_options=options,
            progress=questions.name,
            before_asking=cost_first(sampler, protocol.max_new_tokens, yes),
        )
    console = Console()
    typer.echo(render_labels(labels, format, width=console.width, color=console.is_terminal), nl=False)
    if sampler is not None:
        say_usage(sampler)
    say(f"written to {folder}")


def choose(task: "Questions", side: str, relations: str | None, limit: int | None, seed: int) -> "Sequence[Question]":
    """The questions of a task that somebody means.

    Raises:
        ValueError: there are none, or a relation is none of the task's.
    """
    from abstain.evals.knowledge.exemplars import relation_of
    from abstain.evals.tasks.splits import sample
    from abstain.rewards.errors import nearest

    sides = {"train": task.train, "held_out": task.held_out}
    wanted = None if relations is None else [name.strip() for name in relations.split(",")]
    there = sorted({relation_of(question) for questions in sides.values() for question in questions})
    for name in wanted or []:
        if name not in there:
            raise ValueError(f"{task.name} asks no questions of relation {name!r}. {nearest(name, there)}")
    chosen = [
        question
        for which, questions in sides.items()
        if side in (which, "both")
        for question in sample([q for q in questions if wanted is None or relation_of(q) in wanted], limit, seed)
    ]
    if not chosen:
        raise ValueError(
            f"{task.name} has no questions of side {side}: give --side both, or other options of the task"
        )
    return chosen


def _asking(
    loaded: "Served | LoadedModel", prompt_format: Any, protocol: "Protocol", batch_tokens: int | None
) -> tuple[Any, Any]:
    """Who continues prompts, and who writes them."""
    from abstain.evals.knowledge.exemplars import Renderer

    if isinstance(loaded, Served):
        from abstain.evals.knowledge.endpoint import EndpointContinuer

        sampler = loaded.sampler(prompt_format)
        return EndpointContinuer(sampler, protocol.top_k), Renderer(one_turn=sampler.chat)
    from abstain.evals.knowledge.continuations import LocalContinuer

    render = Renderer(loaded.tokenizer, prompt_format)
    return LocalContinuer(loaded.model, loaded.tokenizer, batch_tokens=batch_tokens), render


def _short(name: str) -> str:
    """A model's or task's name as part of a folder's.

    Example:
        >>> _short("Qwen/Qwen3-0.6B"), _short("runs/quickstart-0/model"), _short("openai:gpt-4.1"), _short("a.py:T")
        ('Qwen3-0.6B', 'quickstart-0', 'gpt-4.1', 'T')
    """
    parts = [part for part in name.rpartition(":")[2].split("/") if part not in ("", ".", "..", "model")]
    return parts[-1].removesuffix(".gguf") if parts else "model"
