"""Samples that agree, or else silence.

Kalai et al. 2026 (Nature, doi 10.1038/s41586-026-10549-w; openai/hallucinations-paper-experiments) ask a model twice,
and answer "I don't know" where the two answers are not consistent. Which answers agree is for the grader to say here,
and both ways: each has to be right if the other were the gold. "I don't know" agrees with nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from abstain.evals.evaluation import Grade, grade_by
from abstain.evals.metrics.oracle import ForcedAnswers
from abstain.evals.sampling import AnySampler
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.judge.grader import JudgeGrader
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.response import Reading, Response
from abstain.rewards.verdict import Verdict

SAMPLES, TEMPERATURE = 2, 1.0


@dataclass(frozen=True)
class Agreed:
    """What most of the samples of a question say.

    Args:
        verdict: on the answer that most of them give; where none gives one, on the first sample.
        count: how many of them give it; 0 if none gives an answer, `None` if one of them is missing.
    """

    verdict: Verdict
    count: int | None


def ask_samples(
    sampler: AnySampler,
    task: Task,
    questions: Sequence[Question],
    *,
    samples: int = SAMPLES,
    temperature: float = TEMPERATURE,
    judge: JudgeGrader | None = None,
    reading: Reading = "lenient",
    seed: int = 0,
    progress: bool = False,
) -> list[Agreed]:
    """Ask each question without any instruction, `samples` times, and see what most of the answers are.

    Of groups as large as each other the one that was begun first counts.

    Args:
        sampler: the model.
        task: how questions are asked and graded.
        questions: of the task.
        samples: k, 2 or more.
        temperature: that they are sampled at, above 0: greedy samples all agree.
        judge: grades, and says what agrees, instead of the task's grader.
        reading: how the string grader reads.
        seed: of the samples.
        progress: show a progress bar.

    Raises:
        ValueError: fewer than 2 samples, or no temperature.
    """
    check_samples(samples, temperature)
    if not questions:
        return []
    rows = sampler.sample(
        [question.prompt(None, task.template) for question in questions],
        n=samples,
        temperature=temperature,
        max_new_tokens=task.max_new_tokens,
        seed=seed,
        progress=f"{task.name}, {samples} samples each" if progress else None,
    )
    there = [place for place, row in enumerate(rows) if not any(one.failure for one in row)]
    read = [[read_response(one.text, one.truncated, task.answer_format) for one in rows[place]] for place in there]
    settled = settle_samples([questions[place] for place in there], read, grade_by(task, judge, reading))
    found = [Agreed(Verdict.UNGRADED, None)] * len(rows)
    for place, one in zip(there, settled, strict=True):
        found[place] = one
    return found


def check_samples(samples: int, temperature: float) -> None:
    """Raise `ValueError` unless so many samples at this temperature can agree, and need not."""
    if samples < 2:
        raise ValueError(f"{samples} samples cannot agree; take 2 or more")
    if not 0 < temperature < float("inf"):
        raise ValueError(f"samples at temperature {temperature:g} cannot differ as the model's answers do; take 1")


def settle_samples(
    questions: Sequence[Question], responses: Sequence[Sequence[Response]], grade: Grade
) -> list[Agreed]:
    """What most of the responses to each question say, and whether it is right.

    Example:
        >>> from abstain.rewards.response import Response
        >>> who = [Question("a", "Where was Ada born?", ("Lima",)), Question("b", "Where was Bo born?", ("Lima",))]
        >>> said = [[Response("Lima"), Response("lima")], [Response("Oslo"), Response("", abstained=True)]]
        >>> found = settle_samples(who, said, grade_by(Task("toy", (), tuple(who))))
        >>> [(one.verdict.value, one.count) for one in found]
        [('CORRECT', 2), ('INCORRECT', 1)]
    """
    groups = [largest_group(agree) for agree in _agreement(questions, responses, grade)]
    said = [row[group[0] if group else 0] for row, group in zip(responses, groups, strict=True)]
    verdicts = grade(questions, [question.gold for question in questions], said)
    return [Agreed(verdict, len(group)) for verdict, group in zip(verdicts, groups, strict=True)]


def largest_group(agree: np.ndarray) -> list[int]:
    """Places of the largest group, where each joins the first group whose first member it agrees with.

    Args:
        agree: (k, k); what does not agree with itself says nothing, and is in no group.

    Example:
        >>> largest_group(np.array([[1, 0, 0], [0, 1, 1], [0, 1, 1]])), largest_group(np.zeros((2, 2)))
        ([1, 2], [])
    """
    groups: list[list[int]] = []
    for place in range(len(agree)):
        if agree[place, place]:
            home = next((group for group in groups if agree[group[0], place]), None)
            if home is None:
                groups.append(home := [])
            home.append(place)
    return max(groups, key=len, default=[])


def _agreement(
    questions: Sequence[Question], responses: Sequence[Sequence[Response]], grade: Grade
) -> list[np.ndarray]:
    """For each question, which of its responses say the same, (k, k); the same words do, whatever they are."""
    found, pairs = [], []
    for row, said in enumerate(responses):
        words = [words_of(response) for response in said]
        found.append(np.array([[bool(one) and one == other for other in words] for one in words]))
        apart = np.argwhere(~found[-1])
        pairs += [(row, int(i), int(j)) for i, j in apart if i != j and words[i] and words[j]]
    verdicts = grade(
        [questions[row] for row, _, _ in pairs],
        [[responses[row][j].answer] for row, _, j in pairs],
        [responses[row][i] for row, i, _ in pairs],
    )
    same = {pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict is Verdict.CORRECT}
    for row, i, j in same:
        found[row][i, j] = (row, j, i) in same
    return found


def words_of(response: Response) -> str:
    """What an answer says, for comparing; nothing if there is none."""
    return "" if response.abstained or response.malformed else response.answer.strip().casefold()


def as_forced(questions: Sequence[Question], agreed: Sequence[Agreed], samples: int) -> ForcedAnswers:
    """What most samples say as a guess, whose confidence is the share of the samples that say it."""
    verdicts = [one.verdict if one.count else Verdict.ABSTAINED for one in agreed]
    share = [None if one.count is None else one.count / samples for one in agreed]
    return ForcedAnswers.of([question.id for question in questions], verdicts, share)
