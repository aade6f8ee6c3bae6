"""Models that say what a script has them say, for the scores that ask one."""

from collections.abc import Callable, Sequence

import numpy as np

from abstain.evals.detectors.semantic_entropy import Case
from abstain.evals.sampling import Completion

Says = Callable[[str, int], str]
"""A prompt and the number of the draw, to a reply."""


class ScriptedSampler:
    """Replies by a script; a prompt of more than `longest` characters does not fit, and "…" has no reply."""

    name = "scripted"

    def __init__(self, says: Says, longest: int = 10_000, logprob: float | None = -1.0) -> None:
        self.says, self.longest, self.logprob = says, longest, logprob
        self.prompts: list[str] = []

    def sample(self, prompts: Sequence[str], *, n: int = 1, **_: object) -> list[list[Completion]]:
        for index, prompt in enumerate(prompts):
            if len(prompt) > self.longest:
                raise ValueError(f"prompt {index} does not fit: {len(prompt)} tokens exceed the model's context")
        self.prompts += prompts
        return [[self._completion(prompt, draw) for draw in range(n)] for prompt in prompts]

    def _completion(self, prompt: str, draw: int) -> Completion:
        text = self.says(prompt, draw)
        return Completion(text, self.logprob, 2, False, failure="server error" if text == "…" else "")


class ScriptedNli:
    """An `Entailment` by a table of (premise, hypothesis) to its three probabilities; neutral where there is none."""

    def __init__(self, table: dict[tuple[str, str], tuple[float, float, float]] | None = None) -> None:
        self.table = table or {}
        self.calls = 0
        self.asked: list[tuple[str, str]] = []

    def __call__(self, texts: Sequence[tuple[str, str]], *, progress: object = None) -> np.ndarray:
        self.calls += len(set(texts))
        self.asked += texts
        return np.array([self.table.get(pair, (0.0, 1.0, 0.0)) for pair in texts]).reshape(-1, 3)


class SameBy:
    """An `Equivalence` by a function of two samples."""

    def __init__(self, same: Callable[[str, str], bool]) -> None:
        self.same, self.calls = same, 0

    def __call__(self, cases: Sequence[Case]) -> list[bool]:
        self.calls += len(cases)
        return [self.same(one, other) for _, one, other in cases]
