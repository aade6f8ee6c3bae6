"""Prompts continued one by one, for models that cannot share prefixes."""

from collections.abc import Sequence

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.knowledge.answers import Answers
from abstain.evals.knowledge.continuations import Continued, Wanted
from abstain.evals.sampler import Sampler
from abstain.evals.sampling import Completion


class StoppingSampler(Sampler):
    """A sampler whose answers end at a text, too.

    Args:
        model, tokenizer, batch_tokens, autocast: as of `Sampler`. Prompts are rendered already.
        answers: where they end.
        stop: the text, "" for none.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        answers: Answers,
        stop: str,
        *,
        batch_tokens: int | None = None,
        autocast: bool = False,
    ) -> None:
        super().__init__(model, tokenizer, prompt_format="plain", batch_tokens=batch_tokens, autocast=autocast)
        self._answers = answers
        self._stop = stop

    def continued(self, prompts: Sequence[str], wanted: Wanted) -> list[Continued]:
        """The greedy answer to each prompt, and samples."""
        room = wanted.max_new_tokens
        best: list[Completion | None] = [None] * len(prompts)
        drawn: list[list[Completion]] = [[] for _ in prompts]
        if wanted.greedy:
            best = [one for (one,) in self.sample(prompts, max_new_tokens=room)]
        if wanted.samples:
            drawn = self.sample(
                prompts,
                n=wanted.samples,
                temperature=wanted.temperature,
                top_k=wanted.top_k,
                max_new_tokens=room,
                seed=wanted.seed,
            )
        return [Continued(one, tuple(several)) for one, several in zip(best, drawn, strict=True)]

    def _settings(self, temperature: float, top_k: int, top_p: float, room: int) -> GenerationConfig:
        settings = super()._settings(temperature, top_k, top_p, room)
        settings.stop_strings = [self._stop] if self._stop else None
        return settings

    def _completions(self, tokens: torch.Tensor, logprobs: torch.Tensor, ends: list[int] | None) -> list[Completion]:
        found = []
        for row, scores in zip(tokens.tolist(), logprobs.tolist(), strict=True):
            length, ended = self._answers.cut(tuple(row))
            text = self._answers.text(tuple(row[:length]))
            found.append(Completion(text, sum(scores[:length]), length, not ended))
        return found
