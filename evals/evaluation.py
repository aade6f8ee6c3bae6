"""Asks a model every held-out question at every target, grades what it says, and measures it.

evaluation = evaluate(Sampler(model, tokenizer), load_task("factworld"), targets=[0, 0.5, 0.75, 0.9])
evaluation.save("runs/first")       # records.jsonl, metrics.json, table.md
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from abstain.evals.knowledge.labels import Labels
from abstain.evals.metrics.attribution import SURE, split_by_documents
from abstain.evals.metrics.by_category import split_by_category
from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers, baselines
from abstain.evals.metrics.readings import doubts, long_answers, reading_gap
from abstain.evals.progress import Advance, followed
from abstain.evals.records import Record, write_records, write_text
from abstain.evals.sampling import AnySampler, Completion
from abstain.evals.tables.table import render
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.grading import grade_responses, settle
from abstain.rewards.judge.grader import Case, JudgeGrader, judge_report
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.prompts import TARGETS, Instruct, check_target
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

    def save(self, folder: str | Path) -> None:
        """Write `records.jsonl`, `metrics.json` and `table.md`, each all or nothing.

        Args:
            folder: made if need be.
        """
        folder = Path(folder)
        write_records(folder / "records.jsonl", self.records)
        write_text(folder / "metrics.json", json.dumps(self.metrics, indent=2) + "\n")
        write_text(folder / "table.md", render([self.metrics], "markdown"))


@dataclass(frozen=True)
class _Answer:
    """One greedy completion, read and graded."""

    prompt: str
    completion: Completion
    response: Response
    verdict: Verdict
    by_detector: bool = False
    judged: float | None = None
    """P(correct) by a detector, where there is one; `None` where it says nothing."""

    @property
    def probability(self) -> float | None:
        return self.completion.probability

    @property
    def confidence(self) -> float | None:
        stated = self.sure
        return self.probability if stated is None and not self.by_detector else stated

    @property
    def sure(self) -> float | None:
        """What a detector says, where there is one, or else the response itself."""
        return self.judged if self.by_detector else self.response.confidence

    def at(self, target: float, question: Question) -> "_Answer":
        """This answer, kept back where its stated confidence, or a detector's, does not exceed the target."""
        unsure = self.by_detector if self.sure is None else self.sure <= target
        if not unsure or not target or not self.response.answer:
            return self
        verdict = settle(ABSTENTION, question.gold) or Verdict.ABSTAINED
        return replace(self, response=replace(self.response, answer="", abstained=True), verdict=verdict)


@dataclass(frozen=True)
class _Round:
    """Questions that are asked together, and what they state."""

    questions: Sequence[Question]
    target: float | None
    instruct: Instruct = "target"

    def prompts(self, template: str) -> list[str]:
        return [one.prompt(self.target, template, self.instruct) for one in self.questions]


Grade = Callable[[Sequence[Question], Sequence[Sequence[str]], Sequence[Response]], list[Verdict]]
"""Questions, what is right, and what was said, to verdicts."""


Confide = Callable[[Sequence[str], Sequence[Completion]], np.ndarray]
"""Prompts and what was said to them, to P(correct) by a detector; NaN where it says nothing."""


def grade_by(task: Task, judge: JudgeGrader | None = None, reading: Reading = "lenient") -> Grade:
    """The judge, or the string grader of the task."""

    def grade(
        questions: Sequence[Question], golds: Sequence[Sequence[str]], responses: Sequence[Response]
    ) -> list[Verdict]:
        asked = [question.question for question in questions]
        if judge is not None:
            return judge.grade([Case(*case) for case in zip(asked, golds, responses, strict=True)])
        return grade_responses(responses, golds, task.grader, asked, reading)

    return grade


@dataclass(frozen=True)
class _Asking:
    """How questions are asked and graded."""

    sampler: AnySampler
    task: Task
    grade: Grade
    advance: Advance

    def __call__(self, one: _Round) -> list[_Answer]:
        prompts = one.prompts(self.task.template)
        sampled = self.sampler.sample(prompts, max_new_tokens=self.task.max_new_tokens, progress=self.advance)
        completions = [row[0] for row in sampled]
        read, graded = read_and_grade(self.task, one.questions, completions, self.grade)
        return [_Answer(*row) for row in zip(prompts, completions, read, graded, strict=True)]


def read_and_grade(
    task: Task, questions: Sequence[Question], completions: Sequence[Completion], grade: Grade
) -> tuple[list[Response], list[Verdict]]:
    """What completions say, and the verdicts on them; UNGRADED where there was no reply.

    Args:
        task: says how answers are read.
        questions: one for each completion.
        completions: greedy ones, say.
        grade: see `grade_by`.
    """
    read = [read_response(said.text, said.truncated, task.answer_format) for said in completions]
    rows = zip(questions, read, completions, strict=True)
    replied = [(question, response) for question, response, said in rows if not said.failure]
    asked, given = [question for question, _ in replied], [response for _, response in replied]
    verdicts = iter(grade(asked, [question.gold for question in asked], given))
    return read, [Verdict.UNGRADED if said.failure else next(verdicts) for said in completions]


def evaluate(
    sampler: AnySampler,
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
    labels: Labels | None = None,
    confide: Confide | None = None,
    progress: bool = False,
    before_asking: Callable[[Sequence[str]], object] | None = None,
) -> Evaluation:
    """Ask every held-out question at every target, greedily, with the target stated in the prompt.

    Questions with documents are asked once more, without them, to know what goes against the model's memory.

    A record's confidence is what the response states, else the model's probability of its best guess at t = 0, or
    `None` where nobody knows it. What depends on a confidence is then `None` too, the oracle's scores included. A
    question that a model behind an endpoint did not reply to is UNGRADED; `endpoint` in the metrics counts them.

    With `instruct="confidence"` each question is asked once, and its answer counts at t where the confidence q that it
    states exceeds t (at t = 0 always); elsewhere it is ABSTAINED. An answer without a readable confidence counts at
    every t, as if it were certain: nothing says when to keep it back. `confidence_missing` in the metrics is their
    share of the answers.

    With `confide` each question is asked once, too, and its best guess counts at t where a detector's P(correct)
    exceeds t; that is the records' confidence.

    Args:
        sampler: the model, here or behind an endpoint.
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
        labels: what a model knows of the questions, this one or the one that training started from. `by_category` in
            the metrics then tells apart what is made of each category.
        confide: a detector, such as `abstain.evals.detectors.scoring.Confider`, that decides instead of the model.
        progress: show how far it is, on stderr: all rounds as one.
        before_asking: called with all prompts that differ before the first is asked, to say what it will cost.

    Raises:
        ValueError: a target outside [0, 1), no targets, no held-out questions, a `start` that was not asked them, an
            unknown reading or answer format, or a detector where prompts ask for a confidence.
    """
    check_reading(reading)
    if confide is not None and instruct == "confidence":
        raise ValueError(
            "a detector says how sure to be, and prompts that ask for a confidence do: leave out one of them"
        )
    task = task if answer_format is None else replace(task, answer_format=answer_format)
    targets = sorted({check_target(target) for target in targets})
    held_out = draw_in_order(task.held_out, limit, seed)
    if not targets or not held_out:
        raise ValueError(f"nothing to evaluate: {len(targets)} targets, {len(held_out)} held-out questions")
    train = draw_in_order(task.train, train_limit, seed) if start is None else []
    guessing = None if instruct == "nothing" else 0.0
    first = _Round(held_out, None, instruct) if instruct == "confidence" else _Round(held_out, guessing)
    stating = {t: _Round(held_out, t) for t in targets if t and instruct == "target" and not confide}
    forcing = [_Round(held_out, guessing)] if start is None and instruct == "confidence" else []
    training = [_Round(train, guessing)] if start is None else []
    shown = [replace(question, documents=()) for question in held_out if question.documents]
    remembering = [_Round(shown, guessing)] if shown else []
    rounds = [first, *stating.values(), *forcing, *training, *remembering]
    prompts = [prompt for one in rounds for prompt in one.prompts(task.template)]
    if before_asking:
        before_asking(list(dict.fromkeys(prompts)))
    with followed(task.name if progress else None, len(prompts)) as advance:
        ask = _Asking(sampler, task, grade_by(task, judge, reading), advance)
        guesses = ask(first)
        if confide is not None:
            guesses = _judged(guesses, confide)
        asked = {t: ask(one) for t, one in stating.items()}
        forced = ask(forcing[0]) if forcing else guesses
        trained = ask(training[0]) if training else []
        remembered = ask(remembering[0]) if remembering else []
    withheld = instruct == "confidence" or confide is not None
    answers = {t: asked.get(t) or _answers_at(t, held_out, guesses, withheld) for t in targets}
    if start is None:
        start = BaseGuesses(sampler.name, _forced(train, trained), _forced(held_out, forced))
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
        guesses=_forced(held_out, guesses, [guess.confidence for guess in guesses]),
        seed=seed,
    )
    metrics |= split_by_category(records, None if labels is None else labels.of(held_out).categories)
    metrics["labels_of"] = labels.about.model if labels else None
    metrics |= split_by_documents(records, held_out, _memory(shown, remembered), task.grader)
    seen = [pair for t in targets for pair in zip(held_out, answers[t], strict=True)]
    cut_off = [answer.completion.truncated for _, answer in seen]
    metrics |= {
        "start": start.model,
        "instruct": "detector" if confide else instruct,
        "truncated": sum(cut_off) / len(cut_off),
    }
    metrics |= {"reading": reading, "answer_format": task.answer_format, **_in_doubt(task, seen, judge, reading)}
    if instruct == "confidence":
        metrics["confidence_missing"] = _unstated(guesses)
    if report := getattr(sampler, "report", None):
        unanswered = Counter(answer.completion.failure for _, answer in seen if answer.completion.failure)
        metrics["endpoint"] = report() | {"unanswered": dict(sorted(unanswered.items()))}
    if judge is not None:
        there = [pair for pair in seen if not pair[1].completion.failure]
        cases = [Case(question.question, question.gold, answer.response) for question, answer in there]
        verdicts = [answer.verdict for _, answer in there]
        metrics["judge"] = judge_report(judge, task.grader, cases, verdicts, reading)
    return Evaluation(records, metrics, start)


def draw_in_order(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """At most `limit` questions, in their order: the first ones of a file are often all of a kind."""
    if limit is None or limit >= len(questions):
        return list(questions)
    return [questions[place] for place in sorted(random.Random(seed).sample(range(len(questions)), limit))]


def _judged(answers: Sequence[_Answer], confide: Confide) -> list[_Answer]:
    """The answers with what a detector says of them."""
    sure = confide([answer.prompt for answer in answers], [answer.completion for answer in answers]).tolist()
    known = [None if np.isnan(p) else p for p in sure]
    return [replace(one, by_detector=True, judged=p) for one, p in zip(answers, known, strict=True)]


def _answers_at(target: float, questions: Sequence[Question], guesses: list[_Answer], withheld: bool) -> list[_Answer]:
    """What the best guesses are worth at a target that nobody stated to the model."""
    if withheld:
        return [answer.at(target, question) for question, answer in zip(questions, guesses, strict=True)]
    return guesses


def _memory(questions: Sequence[Question], answers: Sequence[_Answer]) -> dict[str, str] | None:
    """By id, what the model is sure of without documents; `None` where nobody knows how sure it is."""
    if any(answer.probability is None for answer in answers):
        return None
    pairs = zip(questions, answers, strict=True)
    return {one.id: answer.response.answer for one, answer in pairs if (answer.probability or 0) > SURE}


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
    there = [pair for pair in seen if not pair[1].completion.failure]
    flags = [doubts(one.response, q.gold, one.verdict, task.grader, q.question, reading) for q, one in there]
    return {"reading_gap": reading_gap(flags, len(flags)), "long_answers": long_answers(flags, task.grader)}


def _forced(
    questions: Sequence[Question], answers: Sequence[_Answer], confidence: Sequence[float | None] | None = None
) -> ForcedAnswers:
    verdicts = [answer.verdict for answer in answers]
    q = [answer.probability for answer in answers] if confidence is None else confidence
    return ForcedAnswers.of([question.id for question in questions], verdicts, q)


def _record(task: Task, question: Question, target: float, answer: _Answer, guess: _Answer) -> Record:
    stated = answer.sure
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
        confidence=guess.probability if stated is None and not guess.by_detector else stated,
    )
