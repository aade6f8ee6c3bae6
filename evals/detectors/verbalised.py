"""Stated confidence, negated: what a response says of itself, or what the model says when it is asked about it."""

from collections.abc import Sequence

import numpy as np

from abstain.evals.detectors.asked import Asked, ask_all, notes_of
from abstain.evals.detectors.pair import Pair
from abstain.evals.progress import Advance
from abstain.evals.sampling import AnySampler
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.parsing.confidence import number_stated, read_confidence
from abstain.rewards.prompts import question_of
from abstain.rewards.response import AnswerFormat

_ROOM = 16
ASKED = (
    "Question: {question}\nProposed answer: {response}\n"
    'State how confident you are that the proposed answer is right, from 0 to 1, as in "Confidence: 0.8".'
)


def stated_doubts(pairs: Sequence[Pair], *, answer_format: AnswerFormat = "auto") -> Asked:
    """1 − q, where q is the confidence that a response itself states. Costs nothing.

    Args:
        pairs: responses to prompts that ask for a confidence (`abstain.rewards.prompts.CONFIDENCE_INSTRUCTION`).
        answer_format: as of the task.

    Example:
        >>> stated_doubts([Pair("Who?", "Bo. Confidence: 0.75"), Pair("Who?", "Bo.")]).values
        array([0.25,  nan])
    """
    read = [read_response(pair.response, False, answer_format).confidence for pair in pairs]
    return _doubts(read, ["" if q is not None else "no confidence is stated" for q in read], 0)


def ask_confidence(sampler: AnySampler, pairs: Sequence[Pair], *, progress: str | Advance | None = None) -> Asked:
    """1 − q, where q is what the model says when it is shown its response and asked how sure it is.

    One short greedy answer for each response, in a turn of its own (Tian et al. 2023, arXiv 2305.14975, two stages).
    "Confidence: 0.8", "80%" and "0.8" are read; what is read of a confidence anywhere else is, too.

    Args:
        sampler: the model, here or behind an endpoint.
        pairs: responses.
        progress: what to say of how far it is, or whom to tell.
    """
    there = [place for place, pair in enumerate(pairs) if pair.response.strip()]
    replies = ask_all(sampler, [_prompt(pairs[place]) for place in there], max_new_tokens=_ROOM, progress=progress)
    read: list[float | None] = [None] * len(pairs)
    reasons = ["an empty response"] * len(pairs)
    for place, row, reason in zip(there, replies.rows, replies.reasons, strict=True):
        read[place] = _confidence(row[0].text) if row else None
        reasons[place] = reason or ("" if read[place] is not None else "no confidence in the reply")
    return _doubts(read, reasons, replies.calls)


def _prompt(pair: Pair) -> str:
    return ASKED.format(question=question_of(pair.prompt), response=pair.response.strip())


def _confidence(reply: str) -> float | None:
    """What a reply states, labelled or as a number alone on the first line that has anything."""
    stated = read_confidence(reply)[1]
    return number_stated(reply.strip().partition("\n")[0]) if stated is None else stated


def _doubts(read: Sequence[float | None], reasons: Sequence[str], calls: int) -> Asked:
    values = np.array([np.nan if q is None else 1 - q for q in read], dtype=float)
    return Asked(values, calls, notes_of("verbalised", reasons))
