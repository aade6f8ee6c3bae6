"""`abstain eval`: what a model does on a whole task, at every confidence target, and whether it follows them."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from abstain.recipes.cli.detect import confider_from
from abstain.recipes.cli.endpoint import cost_first, load, sampler_of, say_usage
from abstain.recipes.cli.options import (
    ANSWER_FORMAT,
    DETECTOR,
    MEASURING,
    OUT,
    SEED,
    STRICTNESS,
    TARGETS,
    Baselines,
    BatchTokens,
    Card,
    Data,
    Delta,
    Draws,
    DType,
    EndpointOptions,
    Instructed,
    Judge,
    JudgeOptions,
    JudgePromptFile,
    JudgeUrl,
    Limit,
    Model,
    PromptFormat,
    Revision,
    TableFormat,
    Task,
    TaskOptions,
    Temperature,
    TrustRemoteCode,
    Url,
    Yes,
    asked_as_trained,
    card_of,
    judge_from,
    option,
    parse_targets,
    task_named,
    worded,
)
from abstain.recipes.run.console import say
from abstain.recipes.run.directory import claimed_results
from abstain.recipes.run.recipe import LABELS as RUN_LABELS
from abstain.recipes.run.recipe import STAGES
from abstain.rewards.response import AnswerFormat, Reading

if TYPE_CHECKING:
    from abstain.evals.knowledge.labels import Labels
    from abstain.evals.metrics.oracle import BaseGuesses
    from abstain.evals.tasks.question import Task as Questions

RESULTS = ("records.jsonl", "metrics.json", "table.md")
AUDIT_RESULTS = ("audit.json", "audit.md", "audit.png", "audit.svg", "reworded.jsonl")
POLICY_RESULTS = ("policies.json", "policies.md")
AUDITING = "The audit"
READ = worded(STRICTNESS, "lenient, or strict as in training: nothing may stand beside an answer.", MEASURING)
FORMAT = worded(ANSWER_FORMAT, "plain, tag, boxed, last_line, json, harmony, auto; else as the task says.", MEASURING)
TRAIN_LIMIT = option("--train-limit", "N", "Fit the oracle on N training questions.", MEASURING, min=1)
LABELS = option("--labels", "DIR", "Apart by what a model knew: what `abstain label --out` wrote.", MEASURING)
DETECT = worded(DETECTOR, "A detector of `abstain detect --out` decides what is answered.", MEASURING)
AUDIT = option("--audit", None, "Does it answer exactly when it is more than t sure?", AUDITING)
START = option("--start", "RUN", "Oracle and audit go by the model that this run began with.", AUDITING)
SAMPLES = option("--samples", "N", "The audit goes by N sampled answers per question.", AUDITING, min=2)


def evaluate(
    model: Model,
    task: Task = None,
    data: Data = None,
    task_option: TaskOptions = None,
    out: Annotated[Path | None, worded(OUT, "Write records, metrics and the table there, and the audit.")] = None,
    format: TableFormat = "text",
    targets: Annotated[str, worded(TARGETS, "Confidence targets in [0, 1).", MEASURING)] = "0,0.5,0.75,0.9",
    limit: Limit = None,
    train_limit: Annotated[int, TRAIN_LIMIT] = 2000,
    labels: Annotated[Path | None, LABELS] = None,
    detector: Annotated[str | None, DETECT] = None,
    batch_tokens: BatchTokens = None,
    seed: Annotated[int, worded(SEED, "Draws the questions, and what an audit resamples.", MEASURING)] = 0,
    audit: Annotated[bool, AUDIT] = False,
    start: Annotated[Path | None, START] = None,
    samples: Annotated[int | None, SAMPLES] = None,
    baselines: Baselines = False,
    draws: Draws = None,
    temperature: Temperature = None,
    delta: Delta = None,
    reading: Annotated[Reading, READ] = "lenient",
    answer_format: Annotated[AnswerFormat | None, FORMAT] = None,
    judge: Judge = None,
    judge_url: JudgeUrl = None,
    judge_prompt: JudgePromptFile = None,
    judge_option: JudgeOptions = None,
    prompt_format: PromptFormat = "auto",
    instruct: Instructed = None,
    card: Card = None,
    dtype: DType = "auto",
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
    url: Url = None,
    endpoint_option: EndpointOptions = None,
    yes: Yes = False,
) -> None:
    """Ask a model every question of a task at every confidence target, and print the table.

    [bold]Examples[/bold]
    \b
      abstain eval runs/quickstart-0/model --task factworld
      abstain eval runs/quickstart-0/model --task factworld --audit --start runs/quickstart-0
      abstain eval runs/quickstart-0/model --task factworld --labels labels/base
      abstain eval Qwen/Qwen3-0.6B --task popqa --limit 500 --out results/qwen
      abstain eval Qwen/Qwen3-0.6B --task popqa --limit 500 --baselines
      abstain eval Qwen/Qwen3-0.6B --task popqa --detector results/detect
      abstain eval my-model --data trivia.csv --option question_column=q
      abstain eval my-model --task popqa --judge qwen3-32b --judge-url http://localhost:8000/v1
      abstain eval openai:qwen3-32b --url http://localhost:8000/v1 --task popqa --limit 500
    """
    chosen = parse_targets(targets)
    check_audit(audit, chosen, start, samples)
    comparing = baseline_options(baselines, draws, temperature, delta)
    if audit and baselines and format not in ("text", "markdown"):
        raise ValueError(f"--format {format} prints one table: give --audit or --baselines, not both")
    if audit and detector:
        raise ValueError("--audit asks whether a model goes by t, which --detector does not tell it: give one of them")
    name, options = task_named(task, data, task_option)
    from abstain.evals.audit.sources import read_start
    from abstain.evals.evaluation import evaluate as measure
    from abstain.evals.tables.table import render
    from abstain.evals.tasks.catalogue import describe, load_task
    from abstain.evals.tasks.splits import falls_short

    with claimed_results(out, RESULTS + (AUDIT_RESULTS if audit else ()) + (POLICY_RESULTS if baselines else ())):
        grader = judge_from(judge, judge_url, judge_prompt, judge_option or [])
        questions, began = load_task(name, **options), read_start(start) if start else None
        if start and began:
            questions = _asked_of_both(start, began, questions)
        typed = [*(["--task", task] if task else []), *(["--data", data] if data else [])]
        typed += [part for one in task_option or [] for part in ("--option", one)]
        known = _known_to(labels, model, start, questions, typed)
        if labels and known and limit and limit < len(questions.held_out):
            say(f"--limit {limit} draws from these")
            questions = questions.with_held_out(known.categories)
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
        say(describe(questions))
        if limit and limit > len(questions.held_out):
            say(falls_short(f"--limit {limit}", len(questions.held_out), "no more are held out"))
        trained = card_of(card, loaded, revision)
        if baselines and trained and began is None and questions.train:
            say("warning: thresholds go by training questions, which this model may have learnt: give --start RUN")
        how = asked_as_trained(
            trained,
            questions,
            {*options, *(["answer_format"] if answer_format else [])},
            name=loaded.name,
            prompt_format=prompt_format,
            instruct=instruct,
            targets=chosen,
        )
        questions = how.task
        sampler = sampler_of(loaded, prompt_format=how.prompt_format, batch_tokens=batch_tokens)
        confide = None
        if detector:
            confide = confider_from(detector, loaded, sampler, questions, how.prompt_format, batch_tokens)
        evaluation = measure(
            sampler,
            questions,
            [*chosen, 0.0] if audit or baselines else chosen,
            start=began,
            limit=limit,
            train_limit=train_limit,
            seed=seed,
            judge=grader,
            instruct=how.instruct,
            reading=reading,
            answer_format=answer_format,
            labels=known,
            confide=confide,
            progress=True,
            before_asking=cost_first(sampler, questions.max_new_tokens, yes, ["--audit"] if audit else []),
        )
        if grader:
            say(f"judge {grader.model}: {grader.usage}")
        if out:
            evaluation.save(out)
        console = Console()
        if not (audit or baselines) or format in ("text", "markdown"):
            typer.echo(render([evaluation.metrics], format, width=console.width, color=console.is_terminal), nl=False)
        if audit:
            from abstain.evals.audit.findings import audit_model
            from abstain.evals.audit.tables import render_audit

            audited = audit_model(
                sampler, questions, evaluation, start=began, samples=samples or 0, seed=seed, progress=True
            )
            if out:
                audited.save(out)
            text = render_audit(audited.found, format, width=console.width, color=console.is_terminal)
            typer.echo(f"\n{text}" if format in ("text", "markdown") else text, nl=False)
        if baselines:
            from abstain.evals.policies.comparison import compare_policies
            from abstain.evals.policies.tables import render_policies

            compared = compare_policies(
                sampler,
                questions,
                evaluation,
                own_start=began is None,
                judge=grader,
                seed=seed,
                progress=True,
                before_asking=cost_first(sampler, questions.max_new_tokens, yes),
                **comparing,
            )
            if out:
                compared.save(out)
            text = render_policies(compared.found, format, width=console.width, color=console.is_terminal)
            typer.echo(f"\n{text}" if format in ("text", "markdown") else text, nl=False)
        say_usage(sampler)


def check_audit(audit: bool, targets: list[float], start: Path | None, samples: int | None) -> None:
    """Refuse options that an audit could not follow, before anything is asked.

    Raises:
        ValueError: in one sentence.
    """
    if samples and not audit:
        raise ValueError("--samples is for --audit, which is not given")
    if samples and start:
        raise ValueError("an audit goes by --samples or by --start, not by both")
    if audit and not any(targets):
        raise ValueError("an audit needs a target above 0, such as --targets 0.5,0.75,0.9")


def baseline_options(
    baselines: bool, draws: int | None, temperature: float | None, delta: float | None
) -> dict[str, Any]:
    """What was said of the baselines, by the names of `abstain.evals.policies.comparison.compare_policies`.

    Raises:
        ValueError: in one sentence, before anything is asked.

    Example:
        >>> baseline_options(True, 4, None, 0.05)
        {'samples': 4, 'delta': 0.05}
    """
    given = {"--draws": draws, "--temperature": temperature, "--delta": delta}
    said = {name: value for name, value in given.items() if value is not None}
    if said and not baselines:
        raise ValueError(f"{next(iter(said))} is for --baselines, which is not given: add --baselines")
    if temperature is not None and not 0 < temperature < float("inf"):
        raise ValueError(f"--temperature {temperature:g} is not above 0: samples would agree. Give --temperature 1")
    if delta is not None and not 0 < delta < 1:
        raise ValueError(f"--delta {delta:g} is outside (0, 1). With --delta 0.1 it holds nine times in ten")
    return {"samples" if name == "--draws" else name.removeprefix("--"): value for name, value in said.items()}


def _asked_of_both(path: Path, start: "BaseGuesses", task: "Questions") -> "Questions":
    """The task with the held-out questions that the starting model was asked, too."""
    both = task.with_held_out(start.held_out.ids)
    if not both.held_out:
        raise ValueError(f"{path}: {start.model} was asked none of these questions. Are task and options the same?")
    if missing := len(task.held_out) - len(both.held_out):
        say(f"{missing:,} held-out questions are left out: {start.model} was not asked them")
    return both


def _known_to(
    given: Path | None, model: str, start: Path | None, task: "Questions", typed: Sequence[str]
) -> "Labels | None":
    """Labels of these questions: those that are named, else those of the run that the model began with, or lies in.

    They may be another model's: what the start of a run knew says most about what the run has made of it.

    Raises:
        FileNotFoundError, ValueError: those that are named cannot be read, or are of no held-out question.
    """
    from abstain.evals.knowledge.labels import read_labels

    for path in [given] if given else _labels_of_run(model, start):
        try:
            labels = read_labels(path)
        except (OSError, ValueError) as error:
            if given:
                raise
            say(f"warning: labels that cannot be read are left aside: {error}")
            continue
        about, found = labels.about, labels.of(task.held_out)
        if found.rows:
            each = ", ".join(f"{count:,} {category}" for category, count in found.about.counts.items())
            of = f"{len(found.rows):,} of {len(task.held_out):,} held-out questions have a label"
            say(f"{of}, by what {about.model} knew: {each}{'' if given else f' ({path})'}")
            return found
        none = f"{path} has labels of {about.task}, and none of these {len(task.held_out):,} held-out questions"
        if given:
            again = shlex.join(["abstain", "label", about.model, *typed, "--side", "held_out", "--out", "NEW"])
            raise ValueError(f"{none}. To label them: {again}")
        say(none)
    return None


def _labels_of_run(model: str, start: Path | None) -> list[Path]:
    """Where the labels of a run lie that is named, or in which the model does: RUN/model, RUN/sft/model …"""
    from abstain.evals.knowledge.labels import ABOUT
    from abstain.recipes.run.labelling import HELD_OUT

    folder = Path(model)
    inside = folder.parent.parent if folder.parent.name in STAGES else folder.parent
    runs = [*([start] if start else []), *([inside] if folder.name == "model" else [])]
    places = [run / RUN_LABELS / part for run in runs for part in (HELD_OUT, "")]
    return list(dict.fromkeys(place for place in places if (place / ABOUT).is_file()))
