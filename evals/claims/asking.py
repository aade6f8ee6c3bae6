"""Asks a model for long answers at every target, and measures them claim by claim.

A record stands for one gold claim at one target: made and true is CORRECT, another object in its place is INCORRECT,
left out is ABSTAINED. So all that is known of short answers holds of claims: score, regret to an oracle, coverage,
selective risk, and the baseline that keeps a claim where the model's own probability of it exceeds t.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from abstain.evals.claims.own import OwnClaim, claims_in
from abstain.evals.evaluation import TRAIN_LIMIT, Evaluation, draw_in_order
from abstain.evals.metrics.by_category import split_by_category
from abstain.evals.metrics.intervals import share_interval
from abstain.evals.metrics.measuring import measure
from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers, baselines
from abstain.evals.progress import followed
from abstain.evals.records import Record
from abstain.evals.sampling import AnySampler, Completion
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.claims.claim import Claim, Support
from abstain.rewards.claims.gold import CheckedAnswer, check_answer
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.prompts import TARGETS, check_target
from abstain.rewards.response import AnswerFormat, Reading, Response, check_reading
from abstain.rewards.verdict import Verdict

MARK = "#"
"""Between the id of a question and the number of its claim, in the id of a record."""


@dataclass(frozen=True)
class _Long:
    """One long answer."""

    question: Question
    prompt: str
    completion: Completion
    response: Response
    checked: CheckedAnswer | None

    @property
    def verdict(self) -> Verdict:
        """On the whole, strictly aggregated."""
        if self.checked is None or self.completion.failure:
            return Verdict.UNGRADED
        return Verdict.ABSTAINED if self.response.abstained else self.checked.verdict

    def verdicts(self) -> list[Verdict]:
        """One for each gold claim."""
        if self.checked is None or self.completion.failure:
            return [Verdict.UNGRADED] * len(self.question.gold)
        said = Counter(claim.key[:2] for claim in self.checked.claims)
        true = {
            c.key for c, s in zip(self.checked.claims, self.checked.labels, strict=True) if s is Support.ENTAILMENT
        }
        false = said - Counter(key[:2] for key in true)
        found = [Verdict.CORRECT if claim.key in true else Verdict.ABSTAINED for claim in self.checked.gold]
        for place, claim in enumerate(self.checked.gold):  # a false claim stands in the place of one that is missing
            if found[place] is Verdict.ABSTAINED and false[claim.key[:2]]:
                found[place] = Verdict.INCORRECT
                false[claim.key[:2]] -= 1
        return found


def evaluate_claims(
    sampler: AnySampler,
    task: Task,
    targets: Sequence[float] = TARGETS,
    *,
    start: BaseGuesses | None = None,
    limit: int | None = None,
    train_limit: int | None = TRAIN_LIMIT,
    seed: int = 0,
    reading: Reading = "lenient",
    answer_format: AnswerFormat | None = None,
    progress: bool = False,
    before_asking: Callable[[Sequence[str]], object] | None = None,
) -> Evaluation:
    """Ask for every held-out biography at every target, greedily, with the target stated for each statement.

    Args:
        sampler: the model, here or behind an endpoint, which tells no probability of a claim.
        task: questions whose gold answers are claims.
        targets, limit, train_limit, seed, reading, answer_format, progress, before_asking: as for
            `abstain.evals.evaluation.evaluate`, in questions, not in claims.
        start: best guesses of the starting model, claim by claim: of an earlier evaluation of these questions.

    Returns:
        Records, metrics and guesses of claims. `n` counts gold claims; a record's id is that of its question, `#`, and
        the claim's number. `whole_answers` in the metrics has the strict and the soft table of whole answers.

    Raises:
        ValueError: no targets, no questions, gold that is no list of claims, or as `evaluate`.
    """
    check_reading(reading)
    task = task if answer_format is None else replace(task, answer_format=answer_format)
    targets = sorted({check_target(target) for target in targets})
    held_out = draw_in_order(task.held_out, limit, seed)
    if not targets or not held_out:
        raise ValueError(f"nothing to evaluate: {len(targets)} targets, {len(held_out)} held-out questions")
    train = draw_in_order(task.train, train_limit, seed) if start is None else []
    check_claims([*held_out, *train])
    rounds = [(held_out, 0.0), *((held_out, t) for t in targets if t), *([(train, 0.0)] if train else [])]
    prompts = [[q.prompt(t, task.template, "claims") for q in asked] for asked, t in rounds]
    if before_asking:
        before_asking(list(dict.fromkeys(chain(*prompts))))
    with followed(task.name if progress else None, sum(map(len, prompts))) as advance:
        sampled = [sampler.sample(texts, max_new_tokens=task.max_new_tokens, progress=advance) for texts in prompts]
    read = [
        [
            _read(task, question, prompt, row[0], reading)
            for question, prompt, row in zip(asked, texts, rows, strict=True)
        ]
        for (asked, _), texts, rows in zip(rounds, prompts, sampled, strict=True)
    ]
    guesses = _guesses(sampler, read[0])
    answers = dict(zip([0.0, *(t for t in targets if t)], read, strict=False))
    if start is None:
        trained = _guesses(sampler, read[-1]) if train else ForcedAnswers.of([], [], [])
        start = BaseGuesses(sampler.name, trained, guesses)
    else:
        start = BaseGuesses(start.model, start.train, start.held_out.pick(guesses.ids))
    confidence = dict(zip(guesses.ids, guesses.confidence.tolist(), strict=True))
    records = [record for t in targets for one in answers[t] for record in _records(task, one, t, confidence)]
    known = all("claim_p" in question.metadata for question in held_out)
    true_p = [p for question in held_out for p in question.metadata["claim_p"]] if known else None
    metrics = measure(
        records,
        model=sampler.name,
        task=task.name,
        baselines=baselines(start, targets, true_p, seed),
        guesses=guesses,
        seed=seed,
    )
    seen = [one for t in targets for one in answers[t]]
    metrics |= split_by_category(records, None) | {"labels_of": None, "start": start.model, "instruct": "claims"}
    metrics |= {"truncated": sum(one.completion.truncated for one in seen) / len(seen), "reading": reading}
    metrics |= {"answer_format": task.answer_format, "reading_gap": None, "long_answers": None}
    metrics["whole_answers"] = [whole_row(answers[t], t) for t in targets]
    if report := getattr(sampler, "report", None):
        failures = Counter(one.completion.failure for one in seen if one.completion.failure)
        metrics["endpoint"] = report() | {"unanswered": dict(sorted(failures.items()))}
    return Evaluation(records, metrics, start)


def check_claims(questions: Sequence[Question]) -> None:
    """Raise `ValueError` where a question's gold answers are no claims.

    Example:
        >>> check_claims([Question("1", "Capital of Peru?", ("Lima",))])
        Traceback (most recent call last):
        ...
        ValueError: question 1: 'Lima' is no claim; write SUBJECT | RELATION | OBJECT, as in 'Ada | born in | London'
    """
    for question in questions:
        if not question.gold:
            raise ValueError(f"question {question.id}: no gold claims, so nothing says which statements are true")
        for one in question.gold:
            try:
                Claim.read(one)
            except ValueError as error:
                raise ValueError(f"question {question.id}: {error}") from None


def asked_ids(guesses: ForcedAnswers) -> set[str]:
    """The ids of the questions that guesses are about, whole answers or claims.

    Example:
        >>> sorted(asked_ids(ForcedAnswers.of(["Mo Kutika#0", "Mo Kutika#1"], [Verdict.CORRECT] * 2, [0.5, 0.5])))
        ['Mo Kutika', 'Mo Kutika#0', 'Mo Kutika#1']
    """
    return {*guesses.ids, *(one.rpartition(MARK)[0] or one for one in guesses.ids)}


def _read(task: Task, question: Question, prompt: str, completion: Completion, reading: Reading) -> _Long:
    response = read_response(completion.text, completion.truncated, task.answer_format)
    checked = check_answer(response.answer, question.gold, reading)
    return _Long(question, prompt, completion, response, checked)


def _claim_ids(question: Question) -> list[str]:
    return [f"{question.id}{MARK}{place}" for place in range(len(question.gold))]


def _guesses(sampler: AnySampler, answers: Sequence[_Long]) -> ForcedAnswers:
    """All gold claims: whether the model states each rightly when it states everything, and how sure it is of it."""
    own = claims_in(
        sampler,
        [one.prompt for one in answers],
        [one.completion.text for one in answers],
        [one.response.answer for one in answers],
        [
            None if one.checked is None else replace(one.checked, claims=_made(one), labels=_labels(one))
            for one in answers
        ],
    )
    ids = [name for one in answers for name in _claim_ids(one.question)]
    verdicts = [verdict for one in answers for verdict in one.verdicts()]
    sure = [p for one, row in zip(answers, own, strict=True) for p in _sure(one, row)]
    return ForcedAnswers.of(ids, verdicts, sure)


def _made(one: _Long) -> tuple[Claim, ...]:
    assert one.checked is not None
    return one.checked.extraction.claims


def _labels(one: _Long) -> tuple[Support, ...]:
    assert one.checked is not None
    return one.checked.labels[: len(_made(one))]


def _sure(one: _Long, own: Sequence[OwnClaim]) -> list[float | None]:
    """The probability of what is said in the place of each gold claim: of itself if it is made, else of its rival."""
    if one.checked is None:
        return [None] * len(one.question.gold)
    by_key = {made.claim.key: made.probability for made in own}
    rivals: dict[tuple[str, str], list[float | None]] = defaultdict(list)
    gold = {claim.key for claim in one.checked.gold}
    for key, probability in by_key.items():
        if key not in gold:
            rivals[key[:2]].append(probability)
    found = []
    for claim in one.checked.gold:
        others = rivals[claim.key[:2]]
        found.append(by_key[claim.key] if claim.key in by_key else others.pop(0) if others else None)
    return found


def _records(task: Task, one: _Long, target: float, confidence: dict[str, float]) -> list[Record]:
    made = {claim.key[:2]: claim.object for claim in (one.checked.claims if one.checked else ())}
    gold = [Claim.read(text) for text in one.question.gold]
    return [
        Record(
            id=name,
            task=task.name,
            question=one.question.question,
            gold=(text,),
            target=target,
            prompt=one.prompt,
            completion=one.completion.text,
            answer=made.get(claim.key[:2], "") if verdict in (Verdict.CORRECT, Verdict.INCORRECT) else "",
            verdict=verdict,
            confidence=None if (q := confidence[name]) != q else q,
        )
        for name, text, claim, verdict in zip(
            _claim_ids(one.question), one.question.gold, gold, one.verdicts(), strict=True
        )
    ]


def whole_row(answers: Sequence[_Long], target: float) -> dict[str, Any]:
    """Whole answers at one target: strictly, one false claim makes an answer INCORRECT; softly, claims are counted.

    Args:
        answers: all of this target.
        target: confidence target t.

    Returns:
        `n` answers and shares of them by strict verdict, `correct_ci`; `claims` per answer, `soft` the share of claims
        that is true, `covered` the share of gold claims made, `unread` stretches per answer that no claim was made of.
    """
    counts = Counter(one.verdict for one in answers)
    read = [one.checked for one in answers if one.checked is not None]
    said, true = sum(len(one.labels) for one in read), sum(one.covered for one in read)
    gold = sum(len(one.gold) for one in read)
    n = len(answers)
    low, high = (float(end) for end in share_interval(counts[Verdict.CORRECT], n))
    return {
        "target": target,
        "n": n,
        **{verdict.lower(): counts[verdict] / n for verdict in Verdict},
        "correct_ci": [low, high],
        "claims": said / len(read) if read else None,
        "soft": true / said if said else None,
        "covered": true / gold if gold else None,
        "unread": sum(len(one.unread) for one in read) / len(read) if read else None,
    }
