"""Asks what an audit needs beyond an evaluation: other wordings, no instruction, many answers to one question."""

from collections.abc import Sequence
from dataclasses import replace

from abstain.evals.paraphrases import NO_INSTRUCTION, WORDINGS, reworded_prompt
from abstain.evals.question import Task
from abstain.evals.records import Record
from abstain.evals.responses import read_response
from abstain.evals.sampler import Completion, Sampler
from abstain.rewards.grading import grade_response
from abstain.rewards.verdict import Verdict

UNKNOWN = 0.1
"""Share of unknown tokens up to which a wording can be understood."""


def ask_reworded(
    sampler: Sampler,
    task: Task,
    records: Sequence[Record],
    wordings: Sequence[str] = tuple(WORDINGS),
    *,
    progress: bool = False,
) -> dict[str, list[Record]]:
    """The questions of an evaluation again, greedily: in other words at its targets above 0, and as they stand.

    Args:
        sampler: the model.
        task: where the questions come from.
        records: those of the evaluation.
        wordings: keys of `WORDINGS`.
        progress: show progress bars.

    Returns:
        Records by wording. Under `NO_INSTRUCTION` there is one per question, and its target 0 means nothing.
    """
    lowest = min(record.target for record in records)
    found = {name: [record for record in records if record.target > 0] for name in wordings}
    found[NO_INSTRUCTION] = [replace(record, target=0.0) for record in records if record.target == lowest]
    return {name: _ask(sampler, task, group, name, progress) for name, group in found.items()}


def _ask(sampler: Sampler, task: Task, group: Sequence[Record], wording: str, progress: bool) -> list[Record]:
    targets = [None if wording == NO_INSTRUCTION else record.target for record in group]
    prompts = [
        reworded_prompt(record.question, target, wording, task.template)
        for record, target in zip(group, targets, strict=True)
    ]
    label = f"{task.name}, wording: {wording}" if progress else None
    rows = sampler.sample(prompts, max_new_tokens=task.max_new_tokens, progress=label)
    answered = zip(group, prompts, rows, strict=True)
    return [_graded(record, prompt, row[0], task.grader) for record, prompt, row in answered]


def _graded(record: Record, prompt: str, completion: Completion, grader: str) -> Record:
    response = read_response(completion.text, completion.truncated)
    return replace(
        record,
        prompt=prompt,
        completion=completion.text,
        answer=response.answer,
        verdict=grade_response(response, record.gold, grader),
    )


def ask_agreement(
    sampler: Sampler, task: Task, guesses: Sequence[Record], n: int, *, seed: int = 0, progress: bool = False
) -> list[float]:
    """How many of n answers, sampled at temperature 1 for t = 0, say the same as the best guess.

    Whether two answers say the same is the grader's to decide. The share is (k + 1/2) / (n + 1), never quite 0 or 1,
    because n answers cannot tell 0.999 from 1.

    Args:
        sampler: the model.
        task: where the questions come from.
        guesses: the evaluation's records at t = 0.
        n: answers per question.
        seed: of the samples.
        progress: show a progress bar.
    """
    label = f"{task.name}, {n} samples each" if progress else None
    rows = sampler.sample(
        [guess.prompt for guess in guesses],
        n=n,
        temperature=1.0,
        max_new_tokens=task.max_new_tokens,
        seed=seed,
        progress=label,
    )
    return [
        (sum(_says(completion, guess.answer, task.grader) for completion in row) + 0.5) / (n + 1)
        for guess, row in zip(guesses, rows, strict=True)
    ]


def _says(completion: Completion, answer: str, grader: str) -> bool:
    response = read_response(completion.text, completion.truncated)
    return bool(answer) and grade_response(response, [answer], grader) == Verdict.CORRECT


def unreadable(sampler: Sampler) -> dict[str, float]:
    """Wordings that a model cannot read, and the share of their tokens that its tokenizer does not know.

    A toy model with a vocabulary of its own has no tokens for words it never saw. What it does when asked in them says
    nothing about what it has learnt, so it is not asked.
    """
    unknown = sampler.tokenizer.unk_token_id
    if unknown is None:
        return {}
    ids = {name: sampler.tokenizer(wording.instruction(0.75))["input_ids"] for name, wording in WORDINGS.items()}
    shares = {name: row.count(unknown) / len(row) for name, row in ids.items()}
    return {name: share for name, share in shares.items() if share > UNKNOWN}
