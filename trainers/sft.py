"""The supervised warm-up: how to answer, and that "I don't know" is something one can say.

What is never sampled is never reinforced: a model that never says "I don't know" gets no gradient towards it. So a
share of the examples at t > 0 says it, and the others repeat what the model itself would have answered. Where
prompts ask for a confidence, it is stated after the answer instead: "Lima. Confidence: 0.8".
"""

import random
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.detectors.pair import Pair
from abstain.evals.knowledge.labels import Label
from abstain.evals.records import read_rows, write_rows
from abstain.evals.sampler import Sampler
from abstain.evals.sampling import PromptFormat
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.grading import grade_response
from abstain.rewards.parsing.completion import parse
from abstain.rewards.prompts import IDK, in_format
from abstain.rewards.verdict import Verdict
from abstain.trainers.claims import claim_examples
from abstain.trainers.dataset import Prompt, as_trl_prompt, choose
from abstain.trainers.doubts import BY_GUESS, p_correct
from abstain.trainers.embedding_rows import instructions, only_rows_of
from abstain.trainers.looks import Looks, questions_to_ask
from abstain.trainers.mix import Known, least_known, says_idk, warn_of_the_rest
from abstain.trainers.run_trainer import inner_model, train
from abstain.trainers.stages import SftStage, needs_labels
from abstain.trainers.tracking.dashboards import add_dashboards, usable_trackers
from abstain.trainers.trl_args import SHARED_DEFAULTS, build_config

IGNORED = -100
"""The label of a position that is not trained."""
DEFAULTS = SHARED_DEFAULTS | {"num_train_epochs": 1, "lr_scheduler_type": "linear", "max_length": None}
"""TRL would cut what is longer than 1,024 tokens at its end, where the answer is."""
LEVELS = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)
"""Confidences that are taught: the middles of the tenths, so that one digit is to be decided on, and that one says on
which side of most targets an answer is. Where 0.9 and 0.95 were taught, RL settled on 0.9: too little lies between."""


@dataclass(frozen=True)
class Guess:
    """What the model answers when told to guess.

    Args:
        answer: "" if it abstains even then, or cannot be read.
        probability: of exactly this completion.
        correct: graded as CORRECT, leniently: it says what the model knows, and pays for nothing.
        text: the completion.
        p_correct: by a probe or a detector, where `idk` goes by one.
    """

    answer: str
    probability: float
    correct: bool
    text: str = ""
    p_correct: float | None = None


def run_sft(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    stage: SftStage,
    *,
    output_dir: Path,
    seed: int,
    prompt_format: PromptFormat = "auto",
    resume: bool = False,
    about: Mapping[str, Any] | None = None,
    known: Known | None = None,
    sampling: Mapping[str, Any] | None = None,
) -> Any:
    """Train `model` in place on examples made from the task's training questions.

    Args:
        model, tokenizer: the model to teach.
        task: its training questions are used.
        stage: what to teach.
        output_dir: for checkpoints, `examples.jsonl` and `trainer_state.json`.
        seed: of the draws and of training.
        prompt_format: see `abstain.evals.sampler.as_prompt`.
        resume: go on from the last checkpoint.
        about: what dashboards are told of the run.
        known: labels of the model that the run started from, for `mix`, `idk: unknown` and `idk: labels`.
        sampling: how looks ask: arguments of `Sampler`.

    Returns:
        TRL's trainer, which knows how the weights are spread over processes.

    Raises:
        ValueError: no training questions, or none of the model's own answers can be used; or as
            `abstain.trainers.dataset.choose`.
    """
    from trl import SFTTrainer  # takes seconds to import

    given = {"output_dir": str(output_dir), "seed": seed}
    if stage.mix is not None and stage.mix.order is not None:
        given["train_sampling_strategy"] = "sequential"
    config = build_config("SFTConfig", stage.args, DEFAULTS | given)
    file, processes = output_dir / "examples.jsonl", PartialState()
    with processes.main_process_first():  # the others read what the first one wrote
        stored = file.exists() and (resume or not processes.is_main_process)
        rows = read_rows(file) if stored else None
        if rows is None:
            labelled_only = needs_labels(stage) is not None
            questions = choose(task.train, stage.limit, stage.mix, known, seed, labelled_only=labelled_only)
            sampler = Sampler(model, tokenizer, prompt_format=prompt_format)
            if stage.instruct == "claims":
                rows = list(claim_examples(sampler, task, questions, stage, seed))
            else:
                guesses = _judged(sampler, task, questions, _guesses(sampler, task, questions, stage), stage, seed)
                rows = list(examples(task, questions, guesses, stage, seed, known))
            if not rows:
                raise ValueError(
                    f"sft: nothing to teach with answers: {stage.answers} on the {len(questions)} training questions "
                    f"of {task.name}. Try another `answers`, or another task"
                )
            write_rows(file, rows)
    dataset = Dataset.from_list([_as_trl(row, tokenizer, prompt_format) for row in rows])
    config.report_to = usable_trackers(config.report_to)
    trainer = SFTTrainer(model=model, args=config, train_dataset=dataset, processing_class=tokenizer)
    warn_of_the_rest(trainer, stage.mix)
    add_dashboards(trainer, about=about or {})
    if stage.looks is not None:
        categories = {question_id: label.category for question_id, label in (known or {}).items()}
        asked = questions_to_ask(task, rows, stage, seed, categories)
        Looks(trainer, task, asked, stage.looks, {"prompt_format": prompt_format} | dict(sampling or {}))
    score_trained_positions(inner_model(trainer.accelerator, trainer.model))
    seen = [*(row["completion"] for row in rows), *instructions(stage.targets, stage.instruct)]
    with only_rows_of(seen, trainer, tokenizer, stage.train_embeddings):
        train(trainer, resume)
    return trainer


def _guesses(sampler: Sampler, task: Task, questions: Sequence[Question], stage: SftStage) -> list[Guess | None]:
    if stage.answers == "gold" and stage.idk not in ("unsure", *BY_GUESS):  # nor is a confidence of its own taught
        return [None] * len(questions)  # nothing to ask the model
    prompts = _guess_prompts(task, questions, stage)
    completions = sampler.sample(prompts, max_new_tokens=task.max_new_tokens, progress="best guesses")
    guesses: list[Guess | None] = []
    for question, (completion,) in zip(questions, completions, strict=True):
        response = parse(completion.text, truncated=completion.truncated, answer_format=task.answer_format)
        usable = "" if response.truncated or response.abstained else response.answer
        correct = grade_response(response, question.gold, task.grader, question.question) is Verdict.CORRECT
        assert completion.probability is not None, "a model that runs here tells it"
        guesses.append(Guess(usable, completion.probability, correct, completion.text))
    return guesses


def _guess_prompts(task: Task, questions: Sequence[Question], stage: SftStage) -> list[str]:
    guessing = None if stage.instruct == "nothing" else 0.0
    return [question.prompt(guessing, task.template) for question in questions]


def _judged(
    sampler: Sampler,
    task: Task,
    questions: Sequence[Question],
    guesses: Sequence[Guess | None],
    stage: SftStage,
    seed: int,
) -> list[Guess | None]:
    """The guesses with P(correct) by a probe or a detector, where `idk` goes by one."""
    asked = [(place, guess) for place, guess in enumerate(guesses) if guess is not None and guess.answer]
    if stage.idk not in BY_GUESS or not asked:
        return list(guesses)
    prompts = _guess_prompts(task, questions, stage)
    pairs = [
        Pair(prompts[place], guess.text, error=not guess.correct, id=questions[place].id) for place, guess in asked
    ]
    sure = p_correct(sampler, task, pairs, [guess.probability for _, guess in asked], stage.detector, seed)
    found = list(guesses)
    for (place, guess), p in zip(asked, sure, strict=True):
        found[place] = replace(guess, p_correct=p)
    return found


def examples(
    task: Task,
    questions: Sequence[Question],
    guesses: Sequence[Guess | None],
    stage: SftStage,
    seed: int,
    known: Known | None = None,
) -> Iterator[dict[str, Any]]:
    """One example per question, at a target drawn for it, or with a confidence.

    Args:
        task: gives the template, and the format that answers are written in.
        questions: what is asked.
        guesses: the model's best guess for each; `None` where the stage needs none.
        stage: which answer is taught, and when "I don't know" is.
        seed: of the draws.
        known: labels of the starting model, for `mix.idk`, `idk: unknown` and `idk: labels`.

    Yields:
        Rows with `question_id`, `target` (`None` where a confidence is asked for), `prompt` and `completion`; with
        `category`, where there is a label; and with `p_correct`, where a probe or a detector decides.

    Raises:
        ValueError: `idk: unknown` or `idk: labels` and no labels.

    Example:
        >>> task = Task("t", (Question("1", "Who?", ("Bo",)),), ())
        >>> row = next(examples(task, task.train, [None], SftStage(answers="gold", targets=[0]), seed=0))
        >>> row["completion"], row["prompt"][:5]
        ('Bo', 'Who?\\n')
    """
    if stage.idk in ("unknown", "labels") and known is None:
        raise ValueError(f"idk: {stage.idk} needs to know what is known: give labels, or set idk: random")
    rng, labels = random.Random(seed), known or {}
    seeded = _seeded(questions, stage, seed, labels) if stage.idk == "unknown" else ()
    for place, (question, guess) in enumerate(zip(questions, guesses, strict=True)):
        target = None if stage.instruct == "confidence" else rng.choice(stage.targets)
        states_zero = stage.instruct == "target" and target == 0
        idk = says_idk(question, states_zero, stage.mix, known) or place in seeded
        label = labels.get(question.id)
        if stage.idk == "labels" and label is None:
            continue  # nobody knows what to teach
        answer = IDK if idk or _is_unsure(guess, label, target, stage, rng) else _taught(question, guess, stage)
        if answer and answer != IDK:  # which needs no format
            stated = _level(guess, stage, rng) if stage.instruct == "confidence" else None
            answer = in_format(answer, task.answer_format, stated)
        if answer:
            prompt = question.prompt(target, task.template, stage.instruct)
            row = {"question_id": question.id, "target": target, "prompt": prompt, "completion": answer}
            row |= {"p_correct": guess.p_correct} if guess and stage.idk in BY_GUESS else {}
            yield row | ({"category": str(label.category)} if label else {})


def _seeded(questions: Sequence[Question], stage: SftStage, seed: int, known: Known) -> Collection[int]:
    """Where `idk: unknown` has "I don't know" said: a share of the places at t > 0, of what is least known."""
    rng = random.Random(seed)  # targets are drawn with it again
    asked_at = [None if stage.instruct == "confidence" else rng.choice(stage.targets) for _ in questions]
    places = [place for place, target in enumerate(asked_at) if target != 0]
    return least_known(questions, places, known, round(stage.idk_share * len(places)), seed)


def _level(guess: Guess | None, stage: SftStage, rng: random.Random) -> float:
    """The confidence to state: the middle of the tenth that the model's own falls into, or of any."""
    if stage.confidence == "random" or guess is None:
        return rng.choice(LEVELS)
    return LEVELS[min(int(10 * guess.probability), 9)]


def _is_unsure(
    guess: Guess | None, label: Label | None, target: float | None, stage: SftStage, rng: random.Random
) -> bool:
    if target == 0 or stage.idk == "unknown":
        return False
    if stage.idk == "labels":
        return label is not None and target is not None and label.p_correct <= target
    if stage.idk in BY_GUESS and target is not None:
        return guess is None or guess.p_correct is None or guess.p_correct <= target
    if stage.idk == "random" or target is None:
        return rng.random() < stage.idk_share
    return guess is None or not guess.answer or guess.probability < target


def _taught(question: Question, guess: Guess | None, stage: SftStage) -> str:
    if stage.answers == "gold":
        return question.gold[0] if question.gold else ""
    if guess is None or (stage.answers == "known" and not guess.correct):
        return ""
    return guess.answer


def _as_trl(row: dict[str, Any], tokenizer: PreTrainedTokenizerBase, prompt_format: PromptFormat) -> dict[str, Any]:
    prompt: Prompt = as_trl_prompt(row["prompt"], tokenizer, prompt_format)
    if isinstance(prompt, str):
        return {"prompt": prompt, "completion": " " + row["completion"]}
    return {"prompt": prompt, "completion": [{"role": "assistant", "content": row["completion"]}]}


def score_trained_positions(model: PreTrainedModel) -> None:
    """Let `model(..., fused_lm_head=True)` score only the positions that have a label.

    With Triton TRL does this itself; elsewhere it scores every position and drops those without a label afterwards: of
    a prompt of 60 tokens and an answer of 4 that is sixteen times the work, in the largest matrix product of a small
    model. The sums over the output's fields, which are all that `SFTTrainer` reads, stay the same; the fields have the
    shape (1, number of labels) instead of (B, T - 1).

    Call it after TRL has added that keyword.
    """
    scoring = model.forward

    def forward(
        self: PreTrainedModel, *args: Any, fused_lm_head: bool = False, labels: Any = None, **kwargs: Any
    ) -> Any:
        if labels is not None:
            kwargs["labels"] = labels
        trained = labels[:, 1:] != IGNORED if fused_lm_head and labels is not None else None
        if trained is None or labels.device.type != "cpu" or not trained.any():
            return scoring(*args, **{"fused_lm_head": True} if fused_lm_head else {}, **kwargs)

        def keep_trained(_: Any, __: Any, output: Any) -> Any:
            output.last_hidden_state = output.last_hidden_state[:, -labels.shape[1] : -1][trained][None]
            return output

        kwargs |= {"labels": None, "shift_labels": labels[:, 1:][trained][None]}
        hook = self.base_model.register_forward_hook(keep_trained)
        try:
            return scoring(*args, fused_lm_head=True, **kwargs)
        finally:
            hook.remove()

    model.forward = types.MethodType(forward, model)
