"""Looks at what a model says while a supervised stage trains: which facts it has fitted by then, and what it forgot.

Before training, after some epochs and at the end, a fixed draw of questions is asked greedily, as the stage asks them.
`looks.jsonl` in the stage's folder gets a row for each part and category:

    {"epoch": 5, "step": 160, "part": "train", "category": "Unknown", "n": 500, "correct": 41, "incorrect": 459,
     "abstained": 0}

| part | questions |
|---|---|
| train | those that are being trained |
| dev | a fifth of the held-out ones, by a hash of their ids: they say where to stop early |
| test | the other held-out ones |
| other | held-out ones of relations that are never trained |
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from abstain.evals.evaluation import grade_by
from abstain.evals.knowledge.exemplars import relation_of
from abstain.evals.knowledge.fitting import Look, Part
from abstain.evals.records import read_rows, write_rows
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.verdict import Verdict
from abstain.trainers.dataset import draw
from abstain.trainers.heldout import SharedSampler
from abstain.trainers.run_trainer import log_series
from abstain.trainers.stages import LookOptions, SftStage

LOOKS = "looks.jsonl"
PARTS: tuple[Part, ...] = ("train", "dev", "test", "other")
KEPT = (Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED)
"""Verdicts that a row counts; those of `n` that are missing from their sum have no gold."""
FOLDS = 5
"""One of so many held-out questions is for `dev`."""


@dataclass(frozen=True)
class Asked:
    """A question of a look.

    Args:
        question: with its gold answers.
        prompt: as the stage asks it.
        part: one of `PARTS`.
        category: what the starting model knew of it; "" if nobody says.
    """

    question: Question
    prompt: str
    part: Part
    category: str


def is_dev(question_id: str) -> bool:
    """Whether a held-out question is one of the fifth that says where to stop; the same in every run.

    Example:
        >>> [is_dev(f"P36-test-{number}") for number in range(5)]
        [False, False, True, False, False]
    """
    return int(sha256(question_id.encode()).hexdigest(), 16) % FOLDS == 0


def questions_to_ask(
    task: Task,
    rows: Sequence[Mapping[str, Any]],
    stage: SftStage,
    seed: int,
    categories: Mapping[str, str] | None = None,
) -> list[Asked]:
    """The draw that all looks of a stage ask.

    A question that is trained several times with one prompt is asked once. Where only some of the held-out questions
    have a category, only those are asked.

    Args:
        task: its training and its held-out questions.
        rows: what is trained, as `abstain.trainers.sft.examples` gives it.
        stage: with `looks`, and what held-out prompts say: each gets one of its targets, as training questions do.
        seed: of the draws.
        categories: by question id.

    Example:
        >>> people = [Question(name, f"Where was {name} born?", ("Lima",)) for name in ("Ada", "Bo", "Cy")]
        >>> task, stage = Task("t", tuple(people[:1]), tuple(people[1:])), SftStage(instruct="nothing", looks={})
        >>> rows = [{"question_id": "Ada", "prompt": "Where was Ada born?"}]
        >>> [(one.part, one.prompt) for one in questions_to_ask(task, rows, stage, 0, {"Bo": "Unknown"})]
        [('train', 'Where was Ada born?'), ('test', 'Where was Bo born?')]
    """
    options, known = stage.looks or LookOptions(), categories or {}
    by_id = {question.id: question for question in task.train}
    taught = {row["prompt"]: by_id[row["question_id"]] for row in rows if row["question_id"] in by_id}
    relations = {relation_of(question) for question in taught.values()}
    trained = [(taught[prompt], prompt) for prompt in _drawn(list(taught), options.train, seed)]
    labelled = [question for question in task.held_out if question.id in known]
    held_out = draw(labelled or task.held_out, options.held_out, seed)
    asked = [Asked(question, prompt, "train", str(known.get(question.id, ""))) for question, prompt in trained]
    for question, prompt in zip(held_out, _prompts(held_out, task, stage, seed), strict=True):
        part: Part = "other" if relation_of(question) not in relations else "dev" if is_dev(question.id) else "test"
        asked.append(Asked(question, prompt, part, str(known.get(question.id, ""))))
    return asked


def _drawn(prompts: list[str], limit: int, seed: int) -> list[str]:
    return prompts if limit >= len(prompts) else random.Random(seed).sample(prompts, limit)


def _prompts(questions: Iterable[Question], task: Task, stage: SftStage, seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    for question in questions:
        target = None if stage.instruct == "confidence" else rng.choice(stage.targets)
        yield question.prompt(target, task.template, stage.instruct)


class Looks(TrainerCallback):
    """Asks the same questions after some epochs, and keeps what came out in `looks.jsonl`.

    It leaves training as it is: the same weights come out with it and without. A run that is resumed keeps the rows up
    to its checkpoint. With `keep_best` training ends with the weights of the look whose `dev` questions were answered
    right most often, the first of equals; the model before training is no candidate.

    Args:
        trainer: TRL's; the callback adds itself.
        task: how answers are read and graded.
        asked: see `questions_to_ask`.
        options: when, and what is kept.
        sampler_options: of `abstain.evals.sampler.Sampler`: prompt_format, batch_tokens, autocast.

    Raises:
        ValueError: weights sharded by FSDP; `keep_best` without `dev` questions, where no checkpoints are saved, or
            where the trainer is to choose the best by something else.
    """

    def __init__(
        self,
        trainer: Any,
        task: Task,
        asked: Sequence[Asked],
        options: LookOptions,
        sampler_options: Mapping[str, Any] | None = None,
    ) -> None:
        if trainer.is_fsdp_enabled:
            raise ValueError("looks cannot ask a model whose weights FSDP has sharded; use DDP or ZeRO")
        self._trainer, self._task, self._asked, self._options = trainer, task, list(asked), options
        self._sampler_options = dict(sampler_options or {})
        self._file = Path(trainer.args.output_dir) / LOOKS
        self._rows: list[dict[str, Any]] = []
        if options.keep_best:
            self._keep_best()
        trainer.add_callback(self)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any) -> None:
        """What the model says before, or what a resumed run has seen already."""
        if not state.global_step:
            self._rows = []
            self._look(state)
        elif self._file.exists():
            self._rows = [row for row in read_rows(self._file) if row["step"] <= state.global_step]

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """At the last step of an epoch, so that its checkpoint knows of it; and at the last of all."""
        if state.global_step < state.max_steps and state.epoch not in self._options.epochs:
            return
        share = self._look(state)
        if self._options.keep_best and (state.best_metric is None or share > state.best_metric):
            state.best_metric, state.best_global_step = share, state.global_step
            control.should_save = True

    def _look(self, state: TrainerState) -> float:
        """Ask, keep the rows, and return the share of `dev` questions that are answered right."""
        epoch, counts = round(state.epoch or 0.0, 4), self._ask()
        found = []
        for part, category in sorted({key[:2] for key in counts}, key=lambda key: (PARTS.index(key[0]), key[1])):
            by_verdict = {verdict: counts[part, category, verdict] for verdict in Verdict}
            row = {"epoch": int(epoch) if epoch == int(epoch) else epoch, "step": state.global_step, "part": part}
            row |= {"category": category, "n": sum(by_verdict.values())}
            found.append(row | {verdict.lower(): by_verdict[verdict] for verdict in KEPT})
        self._rows += found
        if self._trainer.accelerator.is_main_process:
            write_rows(self._file, self._rows)
        look = Look(epoch, tuple(found))
        shares = {part: look.share(part) for part in PARTS}
        log_series(self._trainer, {f"looks/{part}": share for part, share in shares.items() if share is not None})
        return shares["dev"] or 0.0

    def _ask(self) -> Counter[tuple[str, str, Verdict]]:
        """How often each verdict was given, by part and category."""
        prompts = list(dict.fromkeys(one.prompt for one in self._asked))
        sampler = SharedSampler(self._trainer, **self._sampler_options)
        completions = sampler.sample(prompts, max_new_tokens=self._task.max_new_tokens)
        said = {
            prompt: read_response(completion.text, completion.truncated, self._task.answer_format)
            for prompt, (completion,) in zip(prompts, completions, strict=True)
        }
        questions = [one.question for one in self._asked]
        responses = [said[one.prompt] for one in self._asked]
        verdicts = grade_by(self._task)(questions, [question.gold for question in questions], responses)
        pairs = zip(self._asked, verdicts, strict=True)
        return Counter((one.part, one.category, verdict) for one, verdict in pairs)

    def _keep_best(self) -> None:
        args = self._trainer.args
        if not any(one.part == "dev" for one in self._asked):
            raise ValueError(
                "looks.keep_best goes by held-out questions of trained relations, and none are asked: leave it out, "
                "hold more questions out, or raise looks.held_out"
            )
        if args.save_strategy == "no":
            raise ValueError("the best epoch cannot be kept with save_strategy: no; set args.save_strategy: steps")
        if args.metric_for_best_model:
            raise ValueError(
                "looks.keep_best chooses by its own questions: leave load_best_model_at_end and metric_for_best_model "
                "out of args"
            )
        args.load_best_model_at_end = True  # which transformers refuses to take before, without evaluations of its own
