"""The fact world: invented people, one fact each, mentioned k times. A small model knows what it read often.

    Where was Mo Kutika born? Ralvik

A fact read eight times is known, one read once is a guess, one never read is unknown: the arbitrary-facts setting of
Kalai et al. 2025, section 3.3, with P(correct) spread over the whole of [0, 1]. With `conflict=True` mentions of one
person disagree, the gold answer is drawn from the same distribution as the mentions, and the true P(correct) of the
best answer is known (`metadata["true_p"]`): what even a perfect reader cannot know better.

Everything is made here from a seed; the base model is in `abstain.evals.tasks.factworld_model`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from abstain.evals.tasks.question import Question, Task

ONSETS = "bdfghklmnprstvz"
VOWELS = "aeiou"
SYLLABLES = [onset + vowel for onset, vowel in product(ONSETS, VOWELS)]
CITIES = [(syllable + end).capitalize() for end in ("dlin", "ndor", "rmar", "ston", "lvik") for syllable in SYLLABLES]
PLAIN = "Where was {person} born?"

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
CONFLICT_MENTIONS = 10
MOST_PEOPLE = len(SYLLABLES) ** 3


@dataclass(frozen=True)
class WorldOptions:
    """What the world looks like. Two equal option sets give the same world and the same base model."""

    people: int = 24_000
    """All of them, those held out included."""
    held_out: int = 4_000
    """People that training never asks about. The base model has read about them as about everyone."""
    cities: int = 64
    """How many cities they are born in."""
    repeats: tuple[int, ...] = (0, 0, 0, 1, 2, 4, 8, 8)
    """Mentions of a fact; each entry holds for the same number of people."""
    conflict: bool = False
    """Mentions of one person disagree: ten each, the commonest city in 30 % to 100 % of them. Replaces `repeats`."""
    passes: int = 1
    """How often the base model reads everything: once is enough to remember, but not to average what conflicts."""
    confidence_words: bool = False
    """The base model's tokenizer has words for asking for a confidence and stating one (`instruct: confidence`)."""
    seed: int = 0
    """Another seed, another world, and another base model."""

    @property
    def mean_mentions(self) -> float:
        """Of a person, in what the base model reads."""
        return CONFLICT_MENTIONS if self.conflict else sum(self.repeats) / len(self.repeats)

    def __post_init__(self) -> None:
        object.__setattr__(self, "repeats", tuple(self.repeats))
        if not 2 <= self.people <= MOST_PEOPLE:
            raise ValueError(f"people={self.people} is outside 2..{MOST_PEOPLE}")
        if not 0 < self.held_out < self.people:
            raise ValueError(f"held_out={self.held_out} must be between 1 and people - 1 = {self.people - 1}")
        if not 5 <= self.cities <= len(CITIES):
            raise ValueError(f"cities={self.cities} is outside 5..{len(CITIES)}")
        if self.passes < 1:
            raise ValueError(f"passes={self.passes} must be at least 1")
        if not any(self.repeats) or min(self.repeats) < 0:
            raise ValueError(f"repeats={list(self.repeats)} must be counts, at least one of them above 0")


@dataclass(frozen=True)
class Person:
    """One person of the world.

    Args:
        name: first and last name; no two people share a last name.
        mentions: the cities that the corpus gives as the birthplace, one per mention.
        gold: the right answer.
        true_p: true probability that the best answer is right; `None` where only the model's memory limits it.
    """

    name: str
    mentions: tuple[str, ...]
    gold: str
    true_p: float | None = None


def build_world(options: WorldOptions) -> list[Person]:
    """The people, in an order that says nothing about how often they are mentioned.

    Example:
        >>> build_world(WorldOptions(people=4, held_out=1, repeats=(2,)))[0]
        Person(name='Mo Kutika', mentions=('Ralvik', 'Ralvik'), gold='Ralvik', true_p=None)
    """
    rng = random.Random(options.seed)
    cities = rng.sample(CITIES, options.cities)
    people = [
        _conflicting(name, SHARES[i % len(SHARES)], cities, rng)
        if options.conflict
        else _consistent(name, options.repeats[i % len(options.repeats)], cities, rng)
        for i, name in enumerate(_names(options.people, rng))
    ]
    rng.shuffle(people)
    return people


def _names(count: int, rng: random.Random) -> list[str]:
    last = ["".join(parts).capitalize() for parts in islice(product(SYLLABLES, repeat=3), MOST_PEOPLE)]
    return [f"{rng.choice(SYLLABLES).capitalize()} {name}" for name in rng.sample(last, count)]


def _consistent(name: str, mentions: int, cities: Sequence[str], rng: random.Random) -> Person:
    city = rng.choice(cities)
    return Person(name, (city,) * mentions, city)


def _conflicting(name: str, share: float, cities: Sequence[str], rng: random.Random) -> Person:
    """One city has `share` of the mentions, four others the rest; the gold answer is a mention drawn at random."""
    first, *others = rng.sample(cities, 5)
    count = round(share * CONFLICT_MENTIONS)
    mentions = (first,) * count + tuple(others[i % 4] for i in range(CONFLICT_MENTIONS - count))
    return Person(name, mentions, rng.choice(mentions), true_p=share)


def load_factworld(**options: Any) -> Task:
    """The fact world as a task.

    Args:
        options: fields of `WorldOptions`.

    Example:
        >>> task = load_factworld(people=100, held_out=20)
        >>> len(task.train), len(task.held_out), task.held_out[0].question
        (80, 20, 'Where was ...')
    """
    chosen = WorldOptions(**options)
    questions = tuple(map(_question, build_world(chosen)))
    room = 6 if chosen.confidence_words else 4
    return Task("factworld", questions[chosen.held_out :], questions[: chosen.held_out], max_new_tokens=room)


def _question(person: Person) -> Question:
    metadata: dict[str, Any] = {"mentions": len(person.mentions)}
    if person.true_p is not None:
        metadata["true_p"] = person.true_p
    return Question(person.name, PLAIN.format(person=person.name), (person.gold,), person.name, metadata)
