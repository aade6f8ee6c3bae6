"""What every sampler does, whether the model runs here (`abstain.evals.sampler`) or behind an endpoint."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from abstain.evals.progress import Advance

PromptFormat = Literal["auto", "plain", "chat"]
"""What a model reads: the prompt as it is, or as a user's turn in the model's chat template."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model wrote.

    Args:
        text: decoded, without special tokens.
        logprob: natural log of the probability of exactly these tokens, the end token included, under the model itself
            (temperature 1, no top-k or top-p), whatever they were sampled with. `None` where nobody says.
        token_count: generated tokens, the end token included.
        truncated: `max_new_tokens` ran out before the model ended its answer.
        failure: why there is no reply, where a model behind an endpoint gave none; "" if there is one.
    """

    text: str
    logprob: float | None
    token_count: int
    truncated: bool
    failure: str = ""

    @property
    def probability(self) -> float | None:
        """Of the completion, in [0, 1]; `None` where nobody says.

        Example:
            >>> Completion("Lima", -0.5, 2, False).probability, Completion("Lima", None, 2, False).probability
            (0.6065306597126334, None)
        """
        return None if self.logprob is None else min(1.0, math.exp(self.logprob))


class AnySampler(Protocol):
    """Prompts in, completions out: `abstain.evals.sampler.Sampler` or `abstain.evals.endpoint.EndpointSampler`."""

    name: str
    """For records and tables."""

    def sample(
        self,
        prompts: Sequence[str],
        *,
        n: int = 1,
        temperature: float = 0.0,
        max_new_tokens: int | None = None,
        seed: int = 0,
        progress: str | Advance | None = None,
    ) -> list[list[Completion]]:
        """`n` completions for each prompt, in the order of `prompts`.

        Args:
            prompts: prompt texts, before any chat template.
            n: completions per prompt.
            temperature: 0 is greedy.
            max_new_tokens: room for an answer.
            seed: of what is drawn.
            progress: what to say of how far it is, or whom to tell how many more prompts are done.
        """
