"""Asks what an audit needs beyond an evaluation: other wordings, no instruction, many answers to one question.

    If the chance that your answer is right is 0.75 or less, write "I don't know" instead.

A model trained on the instruction of `abstain.rewards.prompts` may have learnt when to abstain, or only that this one
sentence asks for it: does it follow the rule, or the sentence? Some of the wordings here state the target and the
points, some only one of the two: each implies the other, t = penalty / (1 + penalty) (Kalai et al. 2025, section 4.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from abstain.evals.records import Record
from abstain.evals.sampling import AnySampler, Completion
from abstain.evals.tasks.question import Task
from abstain.rewards.errors import nearest
from abstain.rewards.grading import grade_response
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.prompts import DEFAULT_TEMPLATE, check_target, penalty, prompt_text
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

NO_INSTRUCTION = "none"
UNKNOWN = 0.1
"""Share of unknown tokens up to which a wording can be understood."""


@dataclass(frozen=True)
class Wording:
    """One way to state a target.

    Args:
        summary: what it says, for tables.
        text: the sentence, with `{target}`, `{percent}` and `{penalty}` where numbers go.
    """

    summary: str
    text: str

    def instruction(self, target: float) -> str:
        """The sentence for confidence target t in (0, 1).

        Example:
            >>> WORDINGS["points"].instruction(0.75)
            'Scoring: 1 point for a right answer, -3 points for a wrong one, 0 points for "I don\\'t know".'
        """
        t = check_target(target)
        return self.text.format(target=f"{t:.4g}", percent=f"{100 * t:.4g}", penalty=f"{penalty(t):.4g}")


WORDINGS: dict[str, Wording] = {
    "percent": Wording(
        "target in percent, and points",
        'Give an answer only where you are more than {percent}% sure of it, otherwise write "I don\'t know". '
        "A wrong answer costs {penalty}, a right one earns 1, and not knowing earns 0.",
    ),
    "chance": Wording(
        "target alone", 'If the chance that your answer is right is {target} or less, write "I don\'t know" instead.'
    ),
    "points": Wording(
        "points alone",
        'Scoring: 1 point for a right answer, -{penalty} points for a wrong one, 0 points for "I don\'t know".',
    ),
}
"""What an audit asks besides the instruction of training; `NO_INSTRUCTION` is no wording, but the question alone."""


def reworded_prompt(
    question: str,
    target: float | None,
    wording: str,
    template: str = DEFAULT_TEMPLATE,
    documents: Sequence[str] = (),
) -> str:
    """The prompt for one question in another wording.

    Args:
        question: the question alone.
        target: confidence target t in (0, 1); `None` for `NO_INSTRUCTION`, which states none.
        wording: a key of `WORDINGS`, or `NO_INSTRUCTION`.
        template: with `{question}` and `{instruction}`.
        documents: what was retrieved for it.

    Raises:
        ValueError: no such wording, or a wording without a target.

    Example:
        >>> print(reworded_prompt("Who?", 0.9, "chance"))
        Who?
        If the chance that your answer is right is 0.9 or less, write "I don't know" instead.
        >>> reworded_prompt("Who?", None, NO_INSTRUCTION)
        'Who?'
    """
    if wording == NO_INSTRUCTION:
        return prompt_text(question, None, template, documents=documents)
    if wording not in WORDINGS:
        raise ValueError(f"unknown wording {wording!r}. {nearest(wording, [*WORDINGS, NO_INSTRUCTION])}")
    if target is None:
        raise ValueError(f"wording {wording!r} states a target; only {NO_INSTRUCTION!r} does without")
    worded = template.replace("{instruction}", WORDINGS[wording].instruction(target))
    return prompt_text(question, target, worded, documents=documents)


def unreadable(sampler: AnySampler) -> dict[str, float]:
    """Wordings that a model cannot read, and the share of their tokens that its tokenizer does not know.

    A toy model with a vocabulary of its own has no tokens for words it never saw. What it does when asked in them says
    nothing about what it has learnt, so it is not asked.
    """
    tokenizer = getattr(sampler, "tokenizer", None)  # behind an endpoint nobody knows it
    unknown = getattr(tokenizer, "unk_token_id", None)
    if tokenizer is None or unknown is None:
        return {}
    ids = {name: tokenizer(wording.instruction(0.75))["input_ids"] for name, wording in WORDINGS.items()}
    shares = {name: row.count(unknown) / len(row) for name, row in ids.items()}
    return {name: share for name, share in shares.items() if share > UNKNOWN}


def ask_reworded(
    sampler: AnySampler,
    task: Task,
    records: Sequence[Record],
    wordings: Sequence[str] = tuple(WORDINGS),
    *,
    reading: Reading = "lenient",
    progress: bool = False,
) -> dict[str, list[Record]]:
    """The questions of an evaluation again, greedily: in other words at its targets above 0, and as they stand.

    Args:
        sampler: the model.
        task: where the questions come from.
        records: those of the evaluation.
        wordings: keys of `WORDINGS`.
        reading: that of the evaluation.
        progress: show progress bars.

    Returns:
        Records by wording. Under `NO_INSTRUCTION` there is one per question, and its target 0 means nothing.
    """
    lowest = min(record.target for record in records)
    groups = {name: [record for record in records if record.target > 0] for name in wordings}
    groups[NO_INSTRUCTION] = [replace(record, target=0.0) for record in records if record.target == lowest]
    return {name: _ask(sampler, task, group, name, reading, progress) for name, group in groups.items()}


def _ask(
    sampler: AnySampler, task: Task, group: Sequence[Record], wording: str, reading: Reading, progress: bool
) -> list[Record]:
    targets = [None if wording == NO_INSTRUCTION else record.target for record in group]
    documents = {question.id: question.documents for question in task.held_out}
    prompts = [
        reworded_prompt(record.question, target, wording, task.template, documents.get(record.id, ()))
        for record, target in zip(group, targets, strict=True)
    ]
    label = f"{task.name}, wording: {wording}" if progress else None
    rows = sampler.sample(prompts, max_new_tokens=task.max_new_tokens, progress=label)
    answered = zip(group, prompts, rows, strict=True)
    return [_graded(record, prompt, row[0], task, reading) for record, prompt, row in answered]


def _graded(record: Record, prompt: str, completion: Completion, task: Task, reading: Reading) -> Record:
    response = read_response(completion.text, completion.truncated, task.answer_format)
    graded = grade_response(response, record.gold, task.grader, record.question, reading)
    return replace(
        record,
        prompt=prompt,
        completion=completion.text,
        answer=response.answer,
        verdict=Verdict.UNGRADED if completion.failure else graded,
    )


def ask_agreement(
    sampler: AnySampler, task: Task, guesses: Sequence[Record], n: int, *, seed: int = 0, progress: bool = False
) -> list[float]:
    """How many of n answers, sampled at temperature 1 for t = 0, say the same as the best guess.

    Whether two answers say the same is the grader's to decide. The share is (k + 1/2) / (n + 1), never quite 0 or 1,
    because n answers cannot tell 0.999 from 1. Where an endpoint brought fewer than n, n is how many it brought.

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
    replied = [[completion for completion in row if not completion.failure] for row in rows]
    return [
        (sum(_says(completion, guess, task) for completion in row) + 0.5) / (len(row) + 1)
        for guess, row in zip(guesses, replied, strict=True)
    ]


def _says(completion: Completion, guess: Record, task: Task) -> bool:
    """Whether a completion says what the guess says; the same words do, whatever they are."""
    response = read_response(completion.text, completion.truncated, task.answer_format)
    if not guess.answer or response.abstained:
        return False
    same = response.answer.casefold() == guess.answer.casefold()
    return same or grade_response(response, [guess.answer], task.grader, guess.question) is Verdict.CORRECT
