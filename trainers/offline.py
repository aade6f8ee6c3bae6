"""The offline route on TRL: sample the model once, grade, compare, and train on the comparisons by DPO or KTO.

No rollouts while it trains, so it runs wherever supervised training does. It is the baseline that RL has to beat. What
is preferred is told in `abstain.trainers.preferences`; the reference of both losses is the model that the stage starts
from, and its samples are kept in `samples.jsonl`, so that a run that is resumed does not sample again.
"""

import copy
import dataclasses
import random
import time
import types
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import is_peft_model
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.records import read_rows, write_rows
from abstain.evals.sampler import Sampler
from abstain.evals.sampling import Completion, PromptFormat
from abstain.evals.tasks.question import Question, Task
from abstain.rewards import ConfidenceTarget
from abstain.rewards.grading import grade_responses
from abstain.rewards.parsing.completion import parse
from abstain.rewards.prompts import asked_format
from abstain.rewards.verdict import Verdict
from abstain.trainers.dataset import as_trl_prompt, draw
from abstain.trainers.embedding_rows import instructions, only_rows_of
from abstain.trainers.preferences import Kind, Label, Pair, Sample, count_verdicts, labels, pairs, share_right
from abstain.trainers.rl import check_answer_formats
from abstain.trainers.run_trainer import inner_model, train
from abstain.trainers.sft import IGNORED, score_trained_positions
from abstain.trainers.stages import OfflineStage
from abstain.trainers.tracking.dashboards import add_dashboards, usable_trackers
from abstain.trainers.trl_args import SHARED_DEFAULTS, build_config

CONFIGS = {"dpo": "DPOConfig", "kto": "KTOConfig"}
# TRL drops prompts that are longer than max_length without a word; these were sampled, so they fit the model
DEFAULTS = SHARED_DEFAULTS | {
    "learning_rate": 1e-6,
    "num_train_epochs": 1,
    "lr_scheduler_type": "linear",
    "max_length": None,
}
SAMPLES = "samples.jsonl"
Rows = list[dict[str, Any]]


def run_offline(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    stage: OfflineStage,
    *,
    output_dir: Path,
    seed: int,
    prompt_format: PromptFormat = "auto",
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Any:
    """Train `model` in place on comparisons of its own samples.

    Args:
        model, tokenizer: the policy to start from, and to sample.
        task: its training questions are asked, each at every target of the stage, and graded in its `answer_format`.
        stage: algorithm, targets, samples and TRL's fields.
        output_dir: for checkpoints, `samples.jsonl`, `examples.jsonl` and `trainer_state.json`.
        seed, prompt_format, about: as for `abstain.trainers.sft.run_sft`.
        resume: go on from the samples and the last checkpoint in `output_dir`, as far as they are there.

    Returns:
        TRL's trainer, which knows how the weights are spread over processes.

    Raises:
        ValueError: any format is read where prompts ask for one; no training questions; nothing to compare, with the
            verdicts that there were.
    """
    import trl  # takes seconds

    check_answer_formats([ConfidenceTarget(answer_format=task.answer_format)], asked_format(task.template))
    config = build_config(
        CONFIGS[stage.algorithm], stage.args, DEFAULTS | {"output_dir": str(output_dir), "seed": seed}
    )
    sampled = sampled_rows(
        Sampler(model, tokenizer, prompt_format=prompt_format), task, stage, output_dir, seed, resume
    )
    rows, told = examples(task, sampled, stage, seed)
    if PartialState().is_main_process:
        write_rows(output_dir / "examples.jsonl", rows)
        print(told)
    if not rows:
        raise ValueError(_nothing(sampled, stage, task))
    config.report_to = usable_trackers(config.report_to)
    keeps_reference = not is_peft_model(model) and not config.precompute_ref_log_probs
    trainer = {"dpo": trl.DPOTrainer, "kto": trl.KTOTrainer}[stage.algorithm](
        model=model,
        ref_model=frozen_copy(model) if keeps_reference else None,  # without its adapter, a model is its reference
        args=config,
        train_dataset=Dataset.from_list([_as_trl(row, tokenizer, prompt_format) for row in rows]),
        processing_class=tokenizer,
    )
    add_dashboards(trainer, about=about or {})
    for scored in filter(None, (trainer.model, trainer.ref_model)):
        score_completions(inner_model(trainer.accelerator, scored))
    written = {row[key] for row in rows for key in ("chosen", "rejected", "completion") if key in row}
    with only_rows_of(
        [*sorted(written), *instructions(stage.targets, stage.instruct)], trainer, tokenizer, stage.train_embeddings
    ):
        train(trainer, resume)
    return trainer


def sampled_rows(sampler: Sampler, task: Task, stage: OfflineStage, output_dir: Path, seed: int, resume: bool) -> Rows:
    """What the model answers at the start: one row for each question and target that is sampled.

    Args:
        sampler: with the model and how it is asked.
        task, stage, seed: which questions, at which targets, how often.
        output_dir: the rows are kept there, and read from there on the other processes, or where they were drawn with
            the same settings and `resume` is set.

    Returns:
        Rows with `question_id`, `target`, `prompt`, and `samples`: `[text, verdict, cut off, count]` of each.

    Raises:
        ValueError: no training questions.
    """
    how: dict[str, Any] = {"seed": seed} | stage.model_dump(include={"limit", "instruct", "samples", "temperature"})
    how["sample_at"] = list(dict.fromkeys(stage.sample_at or stage.targets))
    file, processes = output_dir / SAMPLES, PartialState()
    with processes.main_process_first():  # the others read what the first one wrote
        rows = _stored(file, how) if resume or not processes.is_main_process else None
        if rows is None:
            began = time.monotonic()
            rows = _sample(sampler, task, stage, how["sample_at"], seed)
            about = {"sampled_with": how, "seconds": round(time.monotonic() - began, 1)}
            write_rows(file, [about, *rows])
    return rows


def _stored(file: Path, how: dict[str, Any]) -> Rows | None:
    """The rows in a file; `None` without one, or where they were drawn otherwise: a stage may be mended."""
    if not file.exists():
        return None
    first, *rows = read_rows(file)
    return rows if first["sampled_with"] == how else None


def _sample(sampler: Sampler, task: Task, stage: OfflineStage, targets: Sequence[float], seed: int) -> Rows:
    questions = draw(task.train, stage.limit, seed)
    if not questions:
        raise ValueError(f"task {task.name} has no training questions, only held-out ones")
    asked = [(question, target) for question in questions for target in targets]
    prompts = [_prompt(question, target, task, stage) for question, target in asked]
    found = sampler.sample(
        prompts,
        n=stage.samples,
        temperature=stage.temperature,
        max_new_tokens=task.max_new_tokens,
        seed=seed,
        progress="samples",
    )
    return [
        {
            "question_id": question.id,
            "target": target,
            "prompt": prompt,
            "samples": [[s.text, s.verdict.value, s.cut_off, s.count] for s in graded(completions, question, task)],
        }
        for (question, target), prompt, completions in zip(asked, prompts, found, strict=True)
    ]


def _prompt(question: Question, target: float, task: Task, stage: OfflineStage) -> str:
    return question.prompt(target, task.template, stage.instruct)


def graded(completions: Sequence[Completion], question: Question, task: Task) -> list[Sample]:
    """Completions of one prompt, read and graded as rewards do it, those that are alike once."""
    counts = Counter((completion.text, completion.truncated) for completion in completions)
    responses = [parse(text, truncated=cut, answer_format=task.answer_format) for text, cut in counts]
    golds, asked = [question.gold] * len(counts), [question.question] * len(counts)
    verdicts = grade_responses(responses, golds, task.grader, asked, reading="strict")
    return [
        Sample(text, verdict, cut, count)
        for ((text, cut), count), verdict in zip(counts.items(), verdicts, strict=True)
    ]


def examples(task: Task, sampled: Rows, stage: OfflineStage, seed: int) -> tuple[Rows, str]:
    """What is trained on, in random order, and a sentence about it.

    Args:
        task: whose training questions were sampled.
        sampled: from `sampled_rows`.
        stage: algorithm, targets, and how many draws.
        seed: of the draws and of the order.

    Returns:
        Rows with `question_id`, `target`, `prompt`, and either `chosen` and `rejected`, or `completion` and `label`.
    """
    pools: dict[str, list[Sample]] = defaultdict(list)
    for row in sampled:
        pools[row["question_id"]] += _samples(row)
    asked = [question for question in task.train if question.id in pools]
    rng = random.Random(seed)
    rows: Rows = []
    taught: Counter[Kind] = Counter()
    make = pairs if stage.algorithm == "dpo" else labels
    for question in asked:
        for target in stage.targets:
            prompt = _prompt(question, target, task, stage)
            for one in make(pools[question.id], target, stage.pairs_per_prompt, rng):
                rows.append({"question_id": question.id, "target": target, "prompt": prompt} | _columns(one))
                taught[one.kind] += 1
    rng.shuffle(rows)  # KTO takes them as they come, and compares neighbours
    prompts = len(asked) * len(set(stage.targets))
    used = len({(row["question_id"], row["target"]) for row in rows})
    kinds = ", ".join(f"{taught[kind]:,} {kind}" for kind in Kind if kind in taught)
    return rows, (
        f"{stage.algorithm}: {_verdicts(sampled)}; {len(rows):,} examples ({kinds or 'none'}); nothing to teach in "
        f"{prompts - used:,} of {prompts:,} prompts"
    )


def _columns(one: Pair | Label) -> dict[str, Any]:
    if isinstance(one, Pair):
        return {"chosen": one.chosen, "rejected": one.rejected}
    return {"completion": one.completion, "label": one.desirable}


def _samples(row: dict[str, Any]) -> list[Sample]:
    return [Sample(text, Verdict(name), *rest) for text, name, *rest in row["samples"]]


def _all(sampled: Rows) -> list[Sample]:
    return [sample for row in sampled for sample in _samples(row)]


def _verdicts(sampled: Rows) -> str:
    """How the samples were graded, in words."""
    samples = _all(sampled)
    found = count_verdicts(samples)
    words = {"right": Verdict.CORRECT, "wrong": Verdict.INCORRECT, "abstained": Verdict.ABSTAINED}
    said = [f"{found[verdict]:,} {word}" for word, verdict in words.items()]
    cut = sum(sample.count for sample in samples if sample.cut_off)
    return f"{found.total():,} samples, {', '.join(said)}, {found[Verdict.UNGRADED]:,} ungraded, {cut:,} cut off"


def _nothing(sampled: Rows, stage: OfflineStage, task: Task) -> str:
    """Why there is nothing to compare, and what to change."""
    samples = _all(sampled)
    cut_off = sum(sample.count for sample in samples if sample.cut_off)
    if not any(sample.verdict is not Verdict.UNGRADED for sample in samples):
        remedy = "no sample could be graded: check the gold answers and the grader of the task"
    elif share_right(samples) is None:
        remedy = "the model never answers: warm it up with sft.answers: own, or ask at targets: [0] too"
    elif 2 * cut_off > count_verdicts(samples).total():
        remedy = (
            f"most were cut off after {task.max_new_tokens} tokens, and cannot be compared: raise "
            "task.max_new_tokens, or teach the model to end its answers (sft, or format)"
        )
    else:
        remedy = (
            f"at the targets {list(stage.targets)} nothing is to be preferred, or none was drawn: take more questions "
            "(limit), more draws (pairs_per_prompt), or other targets"
        )
    return f"offline: nothing to compare on {len(sampled):,} prompts ({_verdicts(sampled)}): {remedy}"


def _as_trl(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, prompt_format: PromptFormat) -> dict[str, Any]:
    prompt = as_trl_prompt(row["prompt"], tokenizer, prompt_format)

    def written(text: str) -> Any:
        if isinstance(prompt, str):
            return text if text[:1].isspace() else " " + text  # decoding takes the space off with some tokenizers
        return [{"role": "assistant", "content": text}]

    completions = {key: written(row[key]) for key in ("chosen", "rejected", "completion") if key in row}
    return {"prompt": prompt} | completions | {key: row[key] for key in ("label",) if key in row}


def frozen_copy(model: PreTrainedModel) -> PreTrainedModel:
    """The model as it is now, to compare with.

    TRL would load the reference from wherever the policy was loaded from: that is the model before its warm-up. And
    what an earlier trainer has put around `forward` runs the policy, also from within a copy, so it is left out.
    """
    wrapped = {name: vars(model).pop(name) for name in ("forward", "_original_forward") if name in vars(model)}
    try:
        return copy.deepcopy(model).eval().requires_grad_(False)
    finally:
        vars(model).update(wrapped)


def score_completions(model: PreTrainedModel) -> None:
    """Let `model(..., labels=..., fused_lm_head=True)` run its head on the labelled positions only, on a CPU too.

    As `abstain.trainers.sft.score_trained_positions`, with fields of the usual shape (B, T - 1), 0 where there is no
    label: what TRL itself gives. Call it after TRL has added that keyword.
    """
    score_trained_positions(model)
    compact = model.forward

    def forward(self: PreTrainedModel, *args: Any, labels: Any = None, **kwargs: Any) -> Any:
        output = compact(*args, labels=labels, **kwargs)
        if not kwargs.get("fused_lm_head") or labels is None:
            return output
        mask = labels[:, 1:] != IGNORED
        if output.log_probs.shape == mask.shape:
            return output
        spread = {
            field.name: torch.zeros_like(mask, dtype=value.dtype).masked_scatter(mask, value)
            for field in dataclasses.fields(output)
            if isinstance(value := getattr(output, field.name), torch.Tensor) and value.dim() == 2
        }
        return dataclasses.replace(output, **spread)

    model.forward = types.MethodType(forward, model)
