"""`abstain detect`: which responses are wrong, by hallucination detectors, and what each scores as a policy."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from abstain.recipes.cli.endpoint import Served, cost_first, fingerprint_of, load, sampler_of, say_usage
from abstain.recipes.cli.options import (
    MEASURING,
    OUT,
    SEED,
    TARGETS,
    BatchTokens,
    Card,
    Data,
    DType,
    EndpointOptions,
    Limit,
    PromptFormat,
    Revision,
    TableFormat,
    Task,
    TaskOptions,
    TrustRemoteCode,
    Url,
    Yes,
    asked_as_trained,
    card_of,
    option,
    parse_targets,
    task_named,
    worded,
)
from abstain.recipes.run.console import say
from abstain.recipes.run.directory import claimed_results
from abstain.recipes.run.recipe import STAGES

if TYPE_CHECKING:
    from abstain.evals.detectors.comparison import DetectorComparison
    from abstain.evals.detectors.detecting import Options, Source
    from abstain.evals.detectors.fitting import FittedOn
    from abstain.evals.detectors.keeping import Kept
    from abstain.evals.detectors.pair import Pair
    from abstain.evals.detectors.scoring import Confider, Scoring
    from abstain.evals.models import LoadedModel
    from abstain.evals.records import Record
    from abstain.evals.sampling import AnySampler
    from abstain.evals.tasks.question import Task as Questions

RECORDS = "records.jsonl"
FEWEST = 200
"""Training questions that are not given up."""
SCORING = "The scores"
WHAT = typer.Argument(
    metavar="MODEL|RECORDS|FILE", help="A model to ask, the records of an evaluation, or labelled responses."
)
TO = worded(OUT, "Write detect.json, detect.md, a picture and detector.json there.")
SCORES = option("--scores", "LIST", "Of `abstain detectors`; or one-pass (as usual), samples, all.", SCORING)
CONVENTION = option("--convention", "NAME", "paper, or official: as LLM-Check's code computes.", SCORING)
SPAN = option("--span", "NAME", "response, or whole: rows of the prompt count, too.", SCORING)
SAMPLES = option("--samples", "N", "Samples of each prompt, for scores that need them.", SCORING, min=2)
SCORER = option("--scorer", "MODEL", "Another model reads the text, and gives the scores.", SCORING)
NLI = option("--nli", "MODEL", "A model of textual entailment, for scores that need one.", SCORING)
CALIBRATION = option("--calibration", "NAME", "isotonic or platt: how scores become P(correct).", SCORING)
POLICY = option("--policy", "RUN", "Beside them: what this run's trained model did.", MEASURING)
TRAIN_LIMIT = option("--train-limit", "N", "Fit on N training questions.", MEASURING, min=20)
UNIT = option("--unit", "NAME", "response, or claim: what of a file is judged.", MEASURING)


def detect(
    what: Annotated[str, WHAT],
    task: Task = None,
    data: Data = None,
    task_option: TaskOptions = None,
    out: Annotated[Path | None, TO] = None,
    format: TableFormat = "text",
    targets: Annotated[str, worded(TARGETS, "Confidence targets in [0, 1).", MEASURING)] = "0,0.5,0.75,0.9",
    limit: Limit = None,
    train_limit: Annotated[int, TRAIN_LIMIT] = 2000,
    policy: Annotated[Path | None, POLICY] = None,
    unit: Annotated[Literal["response", "claim"], UNIT] = "response",
    seed: Annotated[int, worded(SEED, "Draws the questions, the samples and the folds.", MEASURING)] = 0,
    batch_tokens: BatchTokens = None,
    scores: Annotated[str | None, SCORES] = None,
    convention: Annotated[Literal["paper", "official"], CONVENTION] = "paper",
    span: Annotated[Literal["response", "whole"], SPAN] = "response",
    samples: Annotated[int, SAMPLES] = 10,
    scorer: Annotated[str | None, SCORER] = None,
    nli: Annotated[str | None, NLI] = None,
    calibration: Annotated[Literal["isotonic", "platt"], CALIBRATION] = "isotonic",
    prompt_format: PromptFormat = "auto",
    card: Card = None,
    dtype: DType = "auto",
    revision: Revision = None,
    trust_remote_code: TrustRemoteCode = False,
    url: Url = None,
    endpoint_option: EndpointOptions = None,
    yes: Yes = False,
) -> None:
    """Score responses by hallucination detectors, and see how well each would abstain.

    A model answers training questions, on which signs, layers, thresholds and probes are fitted,
    and held-out ones, on which all of it is measured. Records and files are parted by question. With
    --out an interrupted command goes on where it was, and `abstain ask --detector DIR` goes by what
    was fitted.

    [bold]Examples[/bold]
    \b
      abstain detect Qwen/Qwen3-0.6B --task popqa --limit 500 --out results/detect
      abstain detect runs/quickstart-0/sft/model --task factworld --policy runs/quickstart-0
      abstain detect my-model --task popqa --scores all --samples 10 --nli my-nli-model
      abstain detect runs/quickstart-0/records.jsonl --scorer runs/quickstart-0/sft/model
      abstain detect TruthfulQA.csv --scorer Qwen/Qwen3-0.6B
      abstain detect openai:gpt-4.1-mini --task popqa --limit 200 --scores samples
    """
    chosen = parse_targets(targets)
    from abstain.evals.detectors.comparison import RESULTS
    from abstain.evals.detectors.detecting import Options
    from abstain.evals.detectors.scoring import Scoring, wanted_scores
    from abstain.evals.detectors.tables import render_detectors

    names, probes = wanted_scores(scores)
    how = Scoring(names, probes, convention, span, samples=samples, seed=seed)
    options = Options(chosen, limit, train_limit, calibration, seed=seed, progress=True)
    given: dict[str, Any] = {"dtype": dtype, "revision": revision, "trust_remote_code": trust_remote_code}
    file = responses_in(what)
    if file is not None and (lost := task or data or policy):
        raise ValueError(f"{what} holds responses already: {lost} is for a model that is asked. Leave it out")
    name, settings = task_named(task, data, task_option) if file is None else ("", {})
    with claimed_results(out, RESULTS):
        passing = {"prompt_format": prompt_format, "batch_tokens": batch_tokens}
        # what may be wrong with questions and responses is said before any model is loaded
        if file is not None:
            responses = _responses(file, unit)
        else:
            questions, trained = _questions(what, name, settings, policy)
        reading = _scorer(scorer, given if file is not None else given | {"revision": None})
        entailing = _nli(nli)
        if file is not None:
            fit, found, kept = _of_file(file, *responses, how, options, reading, entailing, passing, out)
        else:
            loaded = load(
                what, url, endpoint_option, batch_tokens=batch_tokens, task=name, task_options=settings, **given
            )
            asked: dict[str, Any] = {"questions": questions, "trained": trained, "given": set(settings), "yes": yes}
            asked |= {"card": card, "revision": revision, "prompt_format": prompt_format, "batch_tokens": batch_tokens}
            fit, found, kept = _of_model(loaded, how, options, reading, entailing, out, **asked)
        if out:
            found.save(out)
            fit.detectors.save(out / "detector.json")
            kept.forget()
        console = Console()
        text = render_detectors(found.found, format, width=console.width, color=console.is_terminal)
        typer.echo(text, nl=False)
        if out:
            use = "" if file else f"; to use it: abstain ask {what} QUESTION --detector {out}"
            say(f"written to {out}{use}")


def responses_in(what: str) -> Path | None:
    """The file or folder of responses that somebody means, or `None` if it is a model.

    Example:
        >>> responses_in("Qwen/Qwen3-0.6B") is None, responses_in("openai:gpt-4.1") is None
        (True, True)
    """
    path = Path(what).expanduser()
    if path.is_file():
        return None if path.suffix == ".gguf" else path
    if path.is_dir():
        is_model = any((path / one).is_file() for one in ("config.json", "adapter_config.json"))
        if is_model or any(path.glob("*.gguf")):
            return None
        return path / RECORDS if (path / RECORDS).is_file() else path
    if path.suffix in (".jsonl", ".json", ".csv", ".tsv", ".parquet"):
        raise FileNotFoundError(f"{what}: no such file")
    return None


def _scorer(name: str | None, given: dict[str, Any]) -> "LoadedModel | None":
    if name is None:
        return None
    found = load(name, **given)
    if isinstance(found, Served):
        raise ValueError(
            f"--scorer {name}: a score needs states or log-probabilities of a text, so it has to run here"
        )
    return found


def _nli(name: str | None) -> Any:
    if name is None:
        return None
    from abstain.evals.detectors.nli import NliModel

    return NliModel.load(name)


def _source(name: str, whose: str, reading: "LoadedModel | None") -> "Source":
    from abstain.evals.detectors.detecting import Source
    from abstain.evals.knowledge.fingerprint import fingerprint

    if reading is None:
        return Source(name, whose)
    return Source(name, whose, reading.name, fingerprint(reading.model))


def _kept(out: Path | None, source: "Source", passes: "LoadedModel | None", entailing: Any, **asked: Any) -> "Kept":
    """Where scores are kept, by all that they depend on; not by the size of batches, which a resumed run may halve."""
    from abstain.evals.detectors.keeping import Kept
    from abstain.evals.knowledge.fingerprint import fingerprint

    nli = "" if entailing is None else fingerprint(entailing.model)
    dtype = "" if passes is None else str(passes.model.dtype)
    return Kept(out, {"source": vars(source), "nli": nli, "dtype": dtype, **asked})


def _responses(file: Path, unit: Literal["response", "claim"]) -> "tuple[list[Pair], dict[int, float]]":
    """The responses of a file, of which so many are labelled that there is something to fit on, and their confidence.

    Raises:
        ValueError: the file is something else, or too few of them are labelled.
    """
    from abstain.evals.detectors.loaders import load_pairs
    from abstain.evals.detectors.pair import errors_of
    from abstain.evals.detectors.probes import check_verdicts

    pairs, confidence = pairs_of_records(file) if file.name == RECORDS else (load_pairs(file, unit=unit), {})
    labelled = sum(pair.error is not None for pair in pairs)
    wrong = sum(bool(pair.error) for pair in pairs)
    say(f"{file}: {len(pairs):,} responses, {labelled:,} of them labelled, {wrong:,} wrong")
    check_verdicts("detectors are", 1 - errors_of(pairs))
    return pairs, confidence


def _questions(
    what: str, name: str, settings: dict[str, Any], policy: Path | None
) -> "tuple[Questions, tuple[str, list[Record]] | None]":
    """What a model is asked, and what a trained policy did with it: its name and its records.

    Raises:
        FileNotFoundError, ValueError: no such task, data or run, or the run was asked none of these questions.
    """
    from abstain.evals.records import read_records
    from abstain.evals.tasks.catalogue import describe, load_task

    questions = load_task(name, **settings)
    say(describe(questions))
    questions = _not_taught(questions, what)
    if policy is None:
        return questions, None
    trained = (policy.name or "run", read_records(policy / RECORDS if policy.is_dir() else policy))
    questions = questions.with_held_out({record.id for record in trained[1]})
    if not questions.held_out:
        raise ValueError(f"--policy {policy}: it was asked none of these questions. Are task and options the same?")
    return questions, trained


def _of_file(
    file: Path,
    pairs: "list[Pair]",
    confidence: dict[int, float],
    how: "Scoring",
    options: "Options",
    reading: "LoadedModel | None",
    entailing: Any,
    passing: dict[str, Any],
    out: Path | None,
) -> "tuple[FittedOn, DetectorComparison, Kept]":
    """Detectors of responses that are there already."""
    from abstain.evals.detectors.detecting import detect_in_pairs
    from abstain.evals.detectors.scoring import Means

    source = _source(file.stem if file.name != RECORDS else file.parent.name, "", reading)
    kept = _kept(out, source, reading, entailing, prompt_format=passing["prompt_format"])
    sampler = sampler_of(reading, passing["prompt_format"], passing["batch_tokens"]) if reading else None
    means = Means(reading, sampler, nli=entailing, **passing)
    name = file.name
    fit, found = detect_in_pairs(pairs, means, source, how, options, name=name, confidence=confidence, kept=kept)
    return fit, found, kept


def pairs_of_records(file: Path) -> "tuple[list[Pair], dict[int, float]]":
    """The best guesses of an evaluation, those at its lowest target, and the confidence that is known, by place.

    Raises:
        ValueError: a line is no record, or there are none.
    """
    from abstain.evals.detectors.pair import Pair
    from abstain.evals.records import read_records
    from abstain.rewards.verdict import Verdict

    records = read_records(file)
    if not records:
        raise ValueError(f"{file}: no records in it")
    lowest = min(record.target for record in records)
    error = {Verdict.CORRECT: False, Verdict.INCORRECT: True}
    asked = [record for record in records if record.target == lowest]
    pairs = [Pair(one.prompt, one.completion, error=error.get(one.verdict), id=one.id) for one in asked]
    return pairs, {place: one.confidence for place, one in enumerate(asked) if one.confidence is not None}


def _of_model(
    loaded: "Served | LoadedModel",
    how: "Scoring",
    options: "Options",
    reading: "LoadedModel | None",
    entailing: Any,
    out: Path | None,
    *,
    questions: "Questions",
    trained: "tuple[str, list[Record]] | None",
    given: set[str],
    card: Path | None,
    yes: bool,
    revision: str | None,
    prompt_format: Any,
    batch_tokens: int | None,
) -> "tuple[FittedOn, DetectorComparison, Kept]":
    """Detectors of a model that is asked now."""
    from abstain.evals.detectors.detecting import detect_on_task
    from abstain.evals.detectors.scoring import Means
    from abstain.evals.evaluation import draw_in_order
    from abstain.rewards.prompts import prompt_text

    known = asked_as_trained(
        card_of(card, loaded, revision), questions, given, name=loaded.name, prompt_format=prompt_format
    )
    questions = known.task
    sampler = sampler_of(loaded, known.prompt_format, None if isinstance(loaded, Served) else batch_tokens)
    passes = reading if reading is not None else None if isinstance(loaded, Served) else loaded
    source = _source(loaded.name, fingerprint_of(loaded), reading)
    if announce := cost_first(sampler, questions.max_new_tokens, yes, ["--scores"] if how.scores else []):
        sides = [(questions.train, options.train_limit), (questions.held_out, options.limit)]
        drawn = [one for side, most in sides for one in draw_in_order(side, most, options.seed)]
        announce([prompt_text(one.question, 0, questions.template) for one in drawn])
    compared = {"grader": questions.grader, "format": questions.answer_format, "room": questions.max_new_tokens}
    asked = {"prompt_format": known.prompt_format, "template": questions.template, **compared}
    kept = _kept(out, source, passes, entailing, **asked)
    means = Means(passes, sampler, questions, entailing, known.prompt_format, batch_tokens)
    instruct = known.instruct
    fit, found = detect_on_task(
        sampler, questions, means, source, how, options, instruct=instruct, trained=trained, kept=kept
    )
    say_usage(sampler)
    return fit, found, kept


def _not_taught(task: "Questions", model: str) -> "Questions":
    """The task without the training questions that the stages of a run taught this model: memory looks like knowledge.

    Where too few would be left, they stay, and a warning says so.
    """
    from abstain.evals.records import read_rows

    folder = Path(model)
    if folder.name != "model":
        return task
    run, last = (folder.parent.parent, folder.parent.name) if folder.parent.name in STAGES else (folder.parent, "rl")
    stages = STAGES[: STAGES.index(last) + 1]
    files = [file for stage in stages if (file := run / stage / "examples.jsonl").is_file()]
    taught = {str(row.get("question_id")) for file in files for row in read_rows(file)}
    rest = tuple(question for question in task.train if question.id not in taught)
    left = len(task.train) - len(rest)
    if not left:
        return task
    if len(rest) < FEWEST:
        say(
            f"warning: {left:,} of {len(task.train):,} training questions were taught to this model, and are fitted on"
        )
        return task
    say(f"{left:,} training questions are left out, which were taught to this model: memory would pass for knowledge")
    return replace(task, train=rest)


def confider_from(
    text: str,
    loaded: "Served | LoadedModel",
    sampler: "AnySampler",
    task: "Questions",
    prompt_format: Any,
    batch_tokens: int | None = None,
) -> "Confider":
    """The detector that `--detector FILE` or `FILE:NAME` means, to judge what a model says.

    Args:
        text: as somebody typed it; the file, or the folder that it lies in, and perhaps which of its detectors.
        loaded, sampler: the model.
        task: how answers are compared.
        prompt_format, batch_tokens: how the model is asked.

    Raises:
        FileNotFoundError, ValueError: there is no such file or detector, or it was fitted on another model.
    """
    from abstain.evals.detectors.fitted import named_detector, read_detectors
    from abstain.evals.detectors.scoring import Confider, Means
    from abstain.evals.knowledge.fingerprint import fingerprint

    path, name = named_detector(text)
    detectors = read_detectors(path)
    chosen = detectors.one(name)
    detectors.check_model(fingerprint_of(loaded), loaded.name, path)
    reading = None if isinstance(loaded, Served) else loaded
    if detectors.scorer:
        reading = _scorer(detectors.scorer, {})
        if reading is not None and (found := fingerprint(reading.model)) != detectors.scorer_fingerprint:
            raise ValueError(
                f"{path}: scores are by {detectors.scorer} with fingerprint {detectors.scorer_fingerprint}, and the "
                f"model of that name is another one now ({found}). Fit detectors again: abstain detect"
            )
    say(f"detector: {chosen}, fitted on {detectors.n:,} answers of {detectors.model} to {detectors.task}")
    return Confider(detectors, chosen, Means(reading, sampler, task, None, prompt_format, batch_tokens))
