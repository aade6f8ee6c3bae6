"""Asks a model every held-out question at every target, grades what it says, and measures it.

evaluation = evaluate(Sampler(model, tokenizer), load_task("factworld"), targets=[0, 0.5, 0.75, 0.9])
evaluation.save("runs/first")       # records.jsonl, metrics.json, table.md
"""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers, baselines
from abstain.evals.metrics.readings import doubts, long_answers, reading_gap
from abstain.evals.metrics.schema import Metrics
from abstain.evals.records import Record, write_records, write_text
from abstain.evals.sampler import Completion, Sampler
from abstain.evals.tables.table import render
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.grading import grade_responses, settle
from abstain.rewards.judge.grader import Case, JudgeGrader, judge_report
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.prompts import TARGETS, Instruct, check_target, prompt_text
from abstain.rewards.response import AnswerFormat, Reading, Response, check_reading
from abstain.rewards.verdict import Verdict

TRAIN_LIMIT = 2_000
ABSTENTION = Response("", abstained=True)


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Args:
        records: one per question and target.
        metrics: as in `metrics.json`; see `abstain.evals.metrics.measuring.measure`.
        start: the best guesses that the oracle was made of. Hand the first evaluation's to those that follow.
    """

    records: list[Record]
    metrics: dict[str, Any]
    start: BaseGuesses

    def save(self, folder: str | Path, *, before: Metrics | None = None) -> None:
        """Write `records.jsonl`, `metrics.json` and `table.md`, each all or nothing.

        Args:
            folder: made if need be.
            before: the starting model's metrics, for a table that shows both.
        """
        folder = Path(folder)
        write_records(folder / "records.jsonl", self.records)
        write_text(folder / "metrics.json", json.dumps(self.metrics, indent=2) + "\n")
        both = [before, self.metrics] if before else [self.metrics]
        write_text(folder / "table.md", render(both, "markdown", labels=["before", "after"] if before else None))


@dataclass(frozen=True)
class _Answer:
    """One greedy completion, read and graded."""

    prompt: str
    completion: Completion
    response: Response
    verdict: Verdict

    @property
    def probability(self) -> float:
        return min(1.0, math.exp(self.completion.logprob))

    @property
    def confidence(self) -> float:
        stated = self.response.confidence
        return self.probability if stated is None else stated

    def at(self, target: float, question: Question) -> "_Answer":
        """This answer, kept back where its stated confidence does not exceed the target."""
        stated = self.response.confidence
        if stated is None or stated > target or not target or not self.response.answer:
            return self
        verdict = settle(ABSTENTION, question.gold) or Verdict.ABSTAINED
        return replace(self, response=replace(self.response, answer="", abstained=True), verdict=verdict)


@dataclass(frozen=True)
class _Asking:
    """How questions are asked and graded."""

    sampler: Sampler
    task: Task
    judge: JudgeGrader | None
    reading: Reading
    progress: bool

    def __call__(
        self, questions: Sequence[Question], target: float | None, instruct: Instruct = "target"
    ) -> list[_Answer]:
        prompts = [prompt_text(question.question, target, self.task.template, instruct) for question in questions]
        stated = "confidence" if instruct == "confidence" else "no target" if target is None else f"t = {target:g}"
        label = f"{self.task.name}, {stated}" if self.progress else None
        sampled = self.sampler.sample(prompts, max_new_tokens=self.task.max_new_tokens, progress=label)
        completions = [row[0] for row in sampled]
        read = [read_response(one.text, one.truncated, self.task.answer_format) for one in completions]
        return [_Answer(*row) for row in zip(prompts, completions, read, self.grade(questions, read), strict=True)]

    def grade(self, questions: Sequence[Question], responses: Sequence[Response]) -> list[Verdict]:
        """A verdict for each response: the judge's, or the string grader's."""
        if self.judge is not None:
            pairs = zip(questions, responses, strict=True)
            return self.judge.grade([Case(question.question, question.gold, response) for question, response in pairs])
        golds, asked = [question.gold for question in questions], [question.question for question in questions]
        return grade_responses(responses, golds, self.task.grader, asked, self.reading)


def evaluate(
    sampler: Sampler,
    task: Task,
    targets: Sequence[float] = TARGETS,
    *,
    start: BaseGuesses | None = None,
    limit: int | None = None,
    train_limit: int | None = TRAIN_LIMIT,
    seed: int = 0,
    judge: JudgeGrader | None = None,
    instruct: Instruct = "target",
    reading: Reading = "lenient",
    answer_format: AnswerFormat | None = None,
    progress: bool = False,
) -> Evaluation:
    """Ask every held-out question at every target, greedily, with the target stated in the prompt.

    A record's confidence is what the response states, else the model's probability of its best guess at t = 0.

    With `instruct="confidence"` each question is asked once, and its answer counts at t where the confidence q that it
    states exceeds t (at t = 0 always); elsewhere it is ABSTAINED. An answer without a readable confidence counts at
    every t, as if it were certain: nothing says when to keep it back. `confidence_missing` in the metrics is their
    share of the answers.

    Args:
        sampler: the model.
        task: questions; numbers are measured on `held_out`, `train` only chooses the oracle's thresholds.
        targets: confidence targets in [0, 1).
        start: best guesses of the starting model, for the oracle and the always-answer score. Its own by default.
        limit: ask this many held-out questions, drawn with `seed`.
        train_limit: ask this many training questions at most, drawn with `seed`. Not asked at all if `start` is given.
        seed: of the draws, and of the halves that a cross-fitted oracle goes by.
        judge: grades instead of the task's grader; `judge` in the metrics says how far the two agree.
        instruct: what prompts say: the target; "nothing", where each question is asked once, without instruction, and
            its answer is scored at every target; or that a "confidence" is to be stated.
        reading: how the string grader reads: "lenient", where sentences may say more, or "strict", as in training.
            `reading_gap` in the metrics is the share that is right leniently only.
        answer_format: where the answer stands; as the task says by default.
        progress: show progress bars on the terminal.

    Raises:
        ValueError: a target outside [0, 1), no targets, no held-out questions, a `start` that was not asked them, or
            an unknown reading or answer format.
    """
    check_reading(reading)
    task = task if answer_format is None else replace(task, answer_format=answer_format)
    targets = sorted({check_target(target) for target in targets})
    held_out = _draw(task.held_out, limit, seed)
    if not targets or not held_out:
        raise ValueError(f"nothing to evaluate: {len(targets)} targets, {len(held_out)} held-out questions")
    ask = _Asking(sampler, task, judge, reading, progress)
    guessing = None if instruct == "nothing" else 0.0
    guesses = ask(held_out, None, instruct) if instruct == "confidence" else ask(held_out, guessing)
    answers = {t: _answers_at(t, held_out, guesses, ask, instruct) for t in targets}
    if start is None:
        train = _draw(task.train, train_limit, seed)
        forced = ask(held_out, guessing) if instruct == "confidence" else guesses
        start = BaseGuesses(sampler.name, _forced(train, ask(train, guessing)), _forced(held_out, forced))
    else:
        start = BaseGuesses(start.model, start.train, start.held_out.pick([question.id for question in held_out]))
    records = [
        _record(task, question, t, answer, guess)
        for t in targets
        for question, answer, guess in zip(held_out, answers[t], guesses, strict=True)
    ]
    known = all("true_p" in question.metadata for question in held_out)
    true_p = [question.metadata["true_p"] for question in held_out] if known else None
    metrics = measure(
        records,
        model=sampler.name,
        task=task.name,
        baselines=baselines(start, targets, true_p, seed),
        guesses=replace(_forced(held_out, guesses), confidence=np.array([guess.confidence for guess in guesses])),
        seed=seed,
    )
    seen = [pair for t in targets for pair in zip(held_out, answers[t], strict=True)]
    cut_off = [answer.completion.truncated for _, answer in seen]
    metrics |= {"start": start.model, "instruct": instruct, "truncated": sum(cut_off) / len(cut_off)}
    metrics |= {"reading": reading, "answer_format": task.answer_format, **_in_doubt(task, seen, judge, reading)}
    if instruct == "confidence":
        metrics["confidence_missing"] = _unstated(guesses)
    if judge is not None:
        cases = [Case(question.question, question.gold, answer.response) for question, answer in seen]
        verdicts = [answer.verdict for _, answer in seen]
        metrics["judge"] = judge_report(judge, task.grader, cases, verdicts, reading)
    return Evaluation(records, metrics, start)


def _draw(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """At most `limit` questions, in their order: the first ones of a file are often all of a kind."""
    if limit is None or limit >= len(questions):
        return list(questions)
    return [questions[place] for place in sorted(random.Random(seed).sample(range(len(questions)), limit))]


def _answers_at(
    target: float, questions: Sequence[Question], guesses: list[_Answer], ask: _Asking, instruct: Instruct
) -> list[_Answer]:
    if instruct == "confidence":
        return [answer.at(target, question) for question, answer in zip(questions, guesses, strict=True)]
    return ask(questions, target) if instruct == "target" and target else guesses


def _unstated(answers: Sequence[_Answer]) -> float | None:
    """Share of the answers that state no readable confidence."""
    stated = [answer.response.confidence for answer in answers if not answer.response.abstained]
    return stated.count(None) / len(stated) if stated else None


def _in_doubt(
    task: Task, seen: Sequence[tuple[Question, _Answer]], judge: JudgeGrader | None, reading: Reading
) -> dict[str, Any]:
    """What the string grader's verdicts rest on; nothing of it is known where a judge graded."""
    if judge is not None:
        return {"reading_gap": None, "long_answers": None}
    flags = [doubts(one.response, q.gold, one.verdict, task.grader, q.question, reading) for q, one in seen]
    return {"reading_gap": reading_gap(flags, len(flags)), "long_answers": long_answers(flags, task.grader)}


def _forced(questions: Sequence[Question], answers: Sequence[_Answer]) -> ForcedAnswers:
    verdicts = [answer.verdict for answer in answers]
    return ForcedAnswers.of([q.id for q in questions], verdicts, [answer.probability for answer in answers])


def _record(task: Task, question: Question, target: float, answer: _Answer, guess: _Answer) -> Record:
    stated = answer.response.confidence
    return Record(
        id=question.id,
        task=task.name,
        question=question.question,
        gold=question.gold,
        target=target,
        prompt=answer.prompt,
        completion=answer.completion.text,
        answer=answer.response.answer,
        verdict=answer.verdict,
        confidence=guess.probability if stated is None else stated,
    )
