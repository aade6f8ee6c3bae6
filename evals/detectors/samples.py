"""Samples for the scores that need them, drawn once for each prompt; and how well they agree."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from abstain.evals.detectors.asked import Asked, ask_all, notes_of
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.semantic_entropy import Equivalence
from abstain.evals.evaluation import grade_by
from abstain.evals.policies.agreement import check_samples, settle_samples
from abstain.evals.progress import Advance
from abstain.evals.sampling import AnySampler
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.judge.grader import JudgeGrader
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.prompts import question_of


@dataclass(frozen=True)
class Drawn:
    """Responses with samples of their prompts.

    Args:
        pairs: with `samples`, those that were there before replaced.
        log_likelihoods: of each sample of each pair, its mean log-probability of a token, the end token included; NaN
            where nobody says.
        calls: distinct prompts.
        notes: how many have no samples, and why.
    """

    pairs: list[Pair]
    log_likelihoods: list[tuple[float, ...]]
    calls: int
    notes: tuple[str, ...]


def draw_samples(
    sampler: AnySampler,
    pairs: Sequence[Pair],
    *,
    samples: int = 10,
    temperature: float = 1.0,
    max_new_tokens: int | None = None,
    seed: int = 0,
    progress: str | Advance | None = None,
) -> Drawn:
    """Sample each distinct prompt, so that the right and the wrong answer to a question have the same samples.

    Args:
        sampler: the model that is judged.
        pairs: what is judged; only the prompts are read.
        samples: N, 2 or more.
        temperature: above 0.
        max_new_tokens: room for an answer.
        seed: of the samples.
        progress: what to say of how far it is, or whom to tell.

    Raises:
        ValueError: fewer than 2 samples, or no temperature.
    """
    check_samples(samples, temperature)
    prompts = [pair.prompt for pair in pairs]
    replies = ask_all(
        sampler,
        prompts,
        n=samples,
        temperature=temperature,
        max_new_tokens=max_new_tokens,
        seed=seed,
        progress=progress,
    )
    known = [
        tuple(np.nan if one.logprob is None else one.logprob / max(1, one.token_count) for one in row)
        for row in replies.rows
    ]
    drawn = [
        replace(pair, samples=tuple(one.text for one in row)) for pair, row in zip(pairs, replies.rows, strict=True)
    ]
    return Drawn(drawn, known, replies.calls, notes_of("samples", replies.reasons))


def agreements(pairs: Sequence[Pair], task: Task, *, judge: JudgeGrader | None = None) -> Asked:
    """Self-consistency, negated: 1 − the largest share of the samples that say the same.

    What the policy "samples agree" goes by (`abstain.evals.policies.agreement`): the grader says what agrees, both
    ways, and "I don't know" agrees with nothing. A score of the prompt, whatever the response says. (After Wang et al.
    2022, arXiv 2203.11171, who take the largest group's answer.)

    Args:
        pairs: with samples, two or more.
        task: its grader and answer format.
        judge: asked instead of the grader.

    Example:
        >>> pair = Pair("Where was Ada born?", "Lima", samples=("Lima", "Oslo", "lima", "I don't know"))
        >>> agreements([pair], Task("toy", (), ())).values
        array([0.5])
    """
    kept = [place for place, pair in enumerate(pairs) if len(pair.samples) > 1]
    questions = [Question("", question_of(pairs[place].prompt), ()) for place in kept]
    read = [[read_response(text, False, task.answer_format) for text in pairs[place].samples] for place in kept]
    values = np.full(len(pairs), np.nan)
    for place, one in zip(kept, settle_samples(questions, read, grade_by(task, judge)), strict=True):
        values[place] = 1 - (one.count or 0) / len(pairs[place].samples)
    return Asked(values, 0, notes_of("agreement", np.where(np.isnan(values), "fewer than 2 samples", "").tolist()))


def dissents(pairs: Sequence[Pair], same: Equivalence) -> Asked:
    """1 − the share of the samples that mean the same as the response itself.

    Args:
        pairs: with samples.
        same: what means the same; see `abstain.evals.detectors.semantic_entropy`.
    """
    before = same.calls
    cases = [(pair, pair.response, sample) for pair in pairs for sample in pair.samples]
    equal = iter(same(cases))
    shares = [np.mean([next(equal) for _ in pair.samples]) if pair.samples else np.nan for pair in pairs]
    reasons = ["" if pair.samples else "no samples" for pair in pairs]
    return Asked(1 - np.array(shares), same.calls - before, notes_of("dissent", reasons))
