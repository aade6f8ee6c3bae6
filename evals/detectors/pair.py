"""A response to judge, and what is known of it.

{"prompt": "What is the capital of Peru?", "response": "Lima", "error": false, "id": "P36-17"}
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNSUPPORTED, DISTORTED = "unsupported", "distorted"
"""What goes wrong with retrieved documents: the response says what is in none of them, or they say something else."""


@dataclass(frozen=True)
class Pair:
    """A response to judge.

    Args:
        prompt: the text that the model was given, rendered by the task's template; the chat template is applied later.
        response: what it wrote.
        documents: that were retrieved, or that the response is a summary of.
        samples: other responses of the same model to the same prompt.
        logprobs: of the response's tokens, in nats, as an API returned them.
        error: whether the response is wrong, hallucinated; `None` if nobody knows.
        id: of the question. Pairs of one question share it, and are never parted when something is fitted.
        split: a file's own type of task, category or split, such as "QA/train" in RAGTruth.
        kinds: of error that it has, where people told them apart: `UNSUPPORTED`, `DISTORTED`, or both.
    """

    prompt: str
    response: str
    documents: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    logprobs: tuple[float, ...] | None = None
    error: bool | None = None
    id: str = ""
    split: str = ""
    kinds: tuple[str, ...] = ()


def errors_of(pairs: Sequence[Pair]) -> np.ndarray:
    """Whether each response is wrong: 1, 0, or NaN where nobody knows.

    Example:
        >>> errors_of([Pair("Who?", "Bo", error=True), Pair("Who?", "Al", error=False), Pair("Who?", "Cy")])
        array([ 1.,  0., nan])
    """
    return np.array([np.nan if pair.error is None else float(pair.error) for pair in pairs])


def question_ids(pairs: Sequence[Pair]) -> list[str]:
    """What tells questions apart: the id, or the prompt of a pair that has none.

    Example:
        >>> question_ids([Pair("Who?", "Bo", id="7"), Pair("Where?", "Lima")])
        ['7', 'Where?']
    """
    return [pair.id or pair.prompt for pair in pairs]
