"""A task of invented facts, and a model that says what a script has it say."""

from collections.abc import Callable, Sequence
from typing import Any

from abstain.evals.knowledge.continuations import Continued, FewShot, Wanted
from abstain.evals.sampling import Completion
from abstain.evals.tasks.question import Question, Task

RIGHT, WRONG = "Lima", "Oslo"
Said = Callable[[str, int, int], str]
"""The subject, the number of the prompt, and that of the sample (-1 for the greedy answer), to an answer."""


def ask(name: str, relation: str = "born", gold: tuple[str, ...] = (RIGHT,), **more: Any) -> Question:
    metadata = {"relation": relation, **more}
    return Question(f"{name}-{relation}", f"Where was {name} {relation}?", gold, name, metadata)


def facts(count: int, relation: str = "born", start: str = "N") -> tuple[Question, ...]:
    return tuple(ask(f"{start}{number}", relation) for number in range(count))


EXAMPLES = facts(30, start="E")


def toy(train: int = 6, held_out: int = 0, examples: tuple[Question, ...] = EXAMPLES) -> Task:
    return Task("toy", facts(train), facts(held_out, start="H"), max_new_tokens=8, examples=examples)


class Scripted:
    """Answers by a script, and counts."""

    def __init__(self, says: Said) -> None:
        self.says = says
        self.calls: list[tuple[int, bool, int]] = []
        self.prompts: list[str] = []
        self.answers = 0
        self._places: dict[str, list[str]] = {}

    def __call__(self, prompts: Sequence[FewShot], wanted: Wanted) -> list[Continued]:
        self.calls.append((len(prompts), wanted.greedy, wanted.samples))
        self.wanted = wanted
        return [self._continued(prompt, wanted.greedy, wanted.samples) for prompt in prompts]

    def _continued(self, prompt: FewShot, greedy: bool, samples: int) -> Continued:
        name = prompt.rest.split()[3]
        place = self._place(name, prompt.shared)
        self.prompts.append(prompt.shared + prompt.rest)
        self.answers += greedy + samples
        best = self._said(name, place, -1) if greedy else None
        return Continued(best, tuple(self._said(name, place, draw) for draw in range(samples)))

    def _place(self, name: str, shared: str) -> int:
        """The number of the prompt, in the order in which they first came."""
        seen = self._places.setdefault(name, [])
        if shared not in seen:
            seen.append(shared)
        return seen.index(shared)

    def _said(self, name: str, place: int, draw: int) -> Completion:
        text = self.says(name, place, draw)
        return Completion(
            f" {text}" if text != "FAILED" else "", None, 1, False, "" if text != "FAILED" else "timeout"
        )
