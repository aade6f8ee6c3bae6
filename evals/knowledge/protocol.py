"""How a model is asked what it knows: few-shot prompts, a greedy answer to each, and samples.

| preset     | prompts | shots | samples a prompt | answers a fact | tells                                     |
|------------|---------|-------|------------------|----------------|-------------------------------------------|
| paper      | 10      | 4     | 16               | 170            | all four categories, P(correct) closely   |
| categories | 10      | 4     | 16, as needed    | 10 to 170      | all four categories, P(correct) roughly   |
| quick      | 3       | 4     | 4                | 15             | all four, more often wrongly              |
| greedy     | 10      | 4     | 0                | 10             | WeaklyKnown is not parted from Unknown    |
"""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from abstain.rewards.errors import nearest
from abstain.rewards.grading import find_grader


@dataclass(frozen=True)
class Protocol:
    """The settings of Gekhman et al. (2024), sections 2 and 3, each of which can be another.

    Args:
        preset: the key of `PRESETS` that it began with.
        prompts: random few-shot prompts of each relation.
        shots: questions with their answers in each of them.
        samples: sampled answers to each prompt, besides the greedy one; 0 for none.
        temperature: that they are sampled at.
        top_k: tokens that they are sampled from at each step; 0 for all.
        stop_early: sample only where no greedy answer is right, and stop when a sample is. With the same seed the
            categories are the same, since nothing that is left out decides one.
        max_new_tokens: room for an answer, which also ends with its line.
        grader: compares an answer with the gold, see `abstain.rewards.grading.find_grader`.

    Raises:
        ValueError: a setting that makes no sense.
    """

    preset: str = "paper"
    prompts: int = 10
    shots: int = 4
    samples: int = 16
    temperature: float = 0.5
    top_k: int = 40
    stop_early: bool = False
    max_new_tokens: int = 32
    grader: str = "exact"

    def __post_init__(self) -> None:
        for name, least in (("prompts", 1), ("shots", 1), ("samples", 0), ("top_k", 0), ("max_new_tokens", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")
        if not isinstance(self.temperature, int | float) or not 0 < self.temperature < float("inf"):
            raise ValueError(
                f"temperature={self.temperature!r} is not above 0; the greedy answers are asked for besides"
            )
        find_grader(self.grader)

    @property
    def most_answers(self) -> int:
        """Answers to a question at most.

        Example:
            >>> PRESETS["paper"].most_answers, PRESETS["greedy"].most_answers
            (170, 10)
        """
        return self.prompts * (1 + self.samples)

    def as_dict(self) -> dict[str, Any]:
        """All settings, for `About.protocol`."""
        return asdict(self)


PRESETS: dict[str, Protocol] = {
    "paper": Protocol(),
    "categories": Protocol("categories", stop_early=True),
    "quick": Protocol("quick", prompts=3, samples=4),
    "greedy": Protocol("greedy", samples=0),
}
"""The paper's protocol, and cheaper ones; how far they agree with it is measured in docs/labels.md."""


def find_protocol(preset: str = "paper", **settings: Any) -> Protocol:
    """A preset with some of its settings replaced.

    Args:
        preset: a key of `PRESETS`.
        settings: fields of `Protocol`; `None` leaves one as it is.

    Raises:
        ValueError: an unknown preset or setting, or a value that makes no sense.

    Example:
        >>> find_protocol("categories", shots=2, samples=None).shots
        2
        >>> find_protocol("papper")
        Traceback (most recent call last):
        ...
        ValueError: unknown preset 'papper'. Did you mean 'paper'? Allowed: categories, greedy, paper, quick.
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown preset {preset!r}. {nearest(preset, PRESETS)}")
    allowed = [field.name for field in fields(Protocol) if field.name != "preset"]
    if unknown := [name for name in settings if name not in allowed]:
        raise ValueError(f"a protocol has no {unknown[0]!r}. {nearest(unknown[0], allowed)}")
    return replace(PRESETS[preset], **{name: value for name, value in settings.items() if value is not None})
