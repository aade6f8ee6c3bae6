"""The fact world: invented people, one fact each, mentioned k times. A small model knows what it read often.

    Where was Mo Kutika born? Ralvik

With `birthdays` it is "When is Mo Kutika's birthday? 03-07": one of 365 answers, so that a guess is worth less. With
`relations` above 1 there are books, companies, countries and more besides the people, each with one fact.

A fact read eight times is known, one read once is a guess, one never read is unknown: the arbitrary-facts setting of
Kalai et al. 2025, section 3.3, with P(correct) spread over the whole of [0, 1]. With `conflict=True` mentions of one
person disagree, the gold answer is drawn from the same distribution as the mentions, and the true P(correct) of the
best answer is known (`metadata["true_p"]`): what even a perfect reader cannot know better. With `drawn`, mentions are
drawn at random, as the theorems of that paper have it, and `metadata["weight"]` is how likely each question is.

Everything is made here from a seed; the base model is in `abstain.evals.tasks.factworld_model`.
"""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from abstain.evals.tasks.factworld_relations import (
    BIRTHDAY,
    BY_NAME,
    DAYS,
    MOST_ANSWERS,
    MOST_SUBJECTS,
    RELATIONS,
    SYLLABLES,
    Relation,
)
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.errors import nearest

CITIES = [(syllable + end).capitalize() for end in ("dlin", "ndor", "rmar", "ston", "lvik") for syllable in SYLLABLES]

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
CONFLICT_MENTIONS = 10
EXAMPLES = 50
FAMOUS = 40
"""One person in so many is famous where mentions are drawn."""
SIZES = ("small", "medium", "large")


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
    relations: int = 1
    """How many kinds of facts there are. With several, `people` is the number of all subjects, whatever they are, and
    `answers` holds instead of `cities`."""
    held_out_relations: int = 0
    """How many of the relations training never asks about: the last of them."""
    answers: int = 400
    """How many answers each of several relations has: so many that one of 160 guesses is seldom right by luck."""
    examples: int | None = None
    """Subjects of each relation on neither side, to be shown in few-shot prompts. The base model has read about them
    as about everyone. By default none with one relation, and 50 with several."""
    few_shot: float = 0.0
    """Share of the mentions that the base model reads in documents of several questions of one relation."""
    birthdays: bool = False
    """People are asked for their birthday, one of 365, instead of the city that they were born in."""
    drawn: int = 0
    """So many mentions are drawn at random instead of `repeats`: of one person in forty, who are famous, or of all
    others alike. 0: none are."""
    rare: float = 0.5
    """Share of the drawn mentions that is not of the famous. The more of them, the more facts are read just once."""
    false_share: float = 0.0
    """Share of the people of whom all that is read is wrong. The gold answer is the right one all the same."""
    size: str = "medium"
    """Of the base model: small, medium or large."""

    @property
    def mean_mentions(self) -> float:
        """Of a person, in what the base model reads."""
        if self.drawn:
            return self.drawn / self.people
        return CONFLICT_MENTIONS if self.conflict else sum(self.repeats) / len(self.repeats)

    def __post_init__(self) -> None:
        object.__setattr__(self, "repeats", tuple(self.repeats))
        if self.examples is None:
            object.__setattr__(self, "examples", EXAMPLES if self.relations > 1 else 0)
        if not 2 <= self.people <= MOST_SUBJECTS:
            raise ValueError(f"people={self.people} is outside 2..{MOST_SUBJECTS}")
        if not 0 < self.held_out < self.people:
            raise ValueError(f"held_out={self.held_out} must be between 1 and people - 1 = {self.people - 1}")
        if not 5 <= self.cities <= len(CITIES):
            raise ValueError(f"cities={self.cities} is outside 5..{len(CITIES)}")
        if self.passes < 1:
            raise ValueError(f"passes={self.passes} must be at least 1")
        if not any(self.repeats) or min(self.repeats) < 0:
            raise ValueError(f"repeats={list(self.repeats)} must be counts, at least one of them above 0")
        self._check_relations()
        self._check_kinds()

    def _check_kinds(self) -> None:
        if self.drawn < 0:
            raise ValueError(f"drawn={self.drawn} mentions: give 0 for none, or more")
        for name in ("rare", "false_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} is outside [0, 1]")
        if self.size not in SIZES:
            raise ValueError(f"unknown size {self.size!r}. {nearest(str(self.size), SIZES)}")
        for name in ("drawn", "birthdays"):
            if getattr(self, name) and (self.relations > 1 or self.conflict):
                other = "conflict" if self.conflict else f"relations={self.relations}"
                raise ValueError(f"{name} is of one kind of facts that nobody disputes; leave out {other}")
        if self.conflict and self.false_share:
            raise ValueError("with conflict mentions are wrong already; leave out false_share")

    def _check_relations(self) -> None:
        if not 1 <= self.relations <= len(RELATIONS):
            raise ValueError(f"relations={self.relations} is outside 1..{len(RELATIONS)}")
        if not 0 <= self.held_out_relations < self.relations:
            raise ValueError(f"held_out_relations={self.held_out_relations} is outside 0..{self.relations - 1}")
        if not 5 <= self.answers <= MOST_ANSWERS:
            raise ValueError(f"answers={self.answers} is outside 5..{MOST_ANSWERS}")
        examples = self.examples or 0
        if examples < 0 or self.held_out + self.relations * examples >= self.people:
            raise ValueError(
                f"examples={examples} of {self.relations} relations and held_out={self.held_out} leave nobody of "
                f"people={self.people} to train on"
            )
        if not 0 <= self.few_shot <= 1:
            raise ValueError(f"few_shot={self.few_shot} is outside [0, 1]")


@dataclass(frozen=True)
class Person:
    """One person of the world, or whatever else its facts are about.

    Args:
        name: first and last name; no two people share both.
        mentions: the answers that the corpus gives, such as the birthplace, one per mention.
        gold: the right answer.
        true_p: true probability that the best answer is right; `None` where only the model's memory limits it.
        relation: what is told of them.
        weight: how often they are asked about, beside a person of weight 1, where mentions are drawn.
    """

    name: str
    mentions: tuple[str, ...]
    gold: str
    true_p: float | None = None
    relation: str = RELATIONS[0].name
    weight: float | None = field(default=None, repr=False)

    @property
    def question(self) -> str:
        """What is asked about them."""
        return BY_NAME[self.relation].ask(self.name)


def build_world(options: WorldOptions) -> list[Person]:
    """The people, in an order that says nothing about how often they are mentioned.

    Example:
        >>> build_world(WorldOptions(people=4, held_out=1, repeats=(2,)))[0]
        Person(name='Mo Kutika', mentions=('Ralvik', 'Ralvik'), gold='Ralvik', true_p=None, relation='birthplace')
    """
    rng = random.Random(options.seed)
    if options.relations > 1:
        people = list(_of_relations(options, rng))
    else:
        cities = DAYS if options.birthdays else rng.sample(CITIES, options.cities)
        people = [_person(name, i, cities, options, rng) for i, name in enumerate(_names(options.people, rng))]
        if options.birthdays:
            people = [replace(person, relation=BIRTHDAY.name) for person in people]
        if options.drawn:
            people = list(_drawn(people, options, rng))
    rng.shuffle(people)
    return people


def _of_relations(options: WorldOptions, rng: random.Random) -> Iterator[Person]:
    first = _words(2, "")
    rng.shuffle(first)
    for place, relation in enumerate(RELATIONS[: options.relations]):
        count = _share(options.people, place, options.relations)
        answers = rng.sample(_words(2, relation.answers), options.answers)
        for i, name in enumerate(_invented(relation, count, first, rng)):
            yield replace(_person(name, i, answers, options, rng), relation=relation.name)


def _share(total: int, place: int, parts: int) -> int:
    """A total spread over parts as evenly as can be: how much the part at a place has."""
    return total // parts + (place < total % parts)


def _words(syllables: int, end: str) -> list[str]:
    return ["".join([*parts, end]).capitalize() for parts in product(SYLLABLES, repeat=syllables)]


def _names(count: int, rng: random.Random) -> list[str]:
    last = _words(3, "")
    return [f"{rng.choice(SYLLABLES).capitalize()} {name}" for name in rng.sample(last, count)]


def _invented(relation: Relation, count: int, first: Sequence[str], rng: random.Random) -> list[str]:
    """Names of which no two end alike."""
    last = rng.sample(_words(3, relation.subjects), count)
    some = min(count, len(first))
    start = rng.randrange(some)
    return [f"{first[(start + i) % some]} {name}" for i, name in enumerate(last)]


def _person(name: str, i: int, answers: Sequence[str], options: WorldOptions, rng: random.Random) -> Person:
    if options.conflict:
        return _conflicting(name, SHARES[i % len(SHARES)], answers, rng)
    mentions = 1 if options.drawn else options.repeats[i % len(options.repeats)]
    answer = told = rng.choice(answers)
    if options.false_share and rng.random() < options.false_share:
        told = rng.choice([other for other in answers if other != answer])
    return Person(name, (told,) * mentions, answer)


def _drawn(people: Sequence[Person], options: WorldOptions, rng: random.Random) -> Iterator[Person]:
    """The same people, mentioned as often as they are drawn."""
    famous = max(1, len(people) // FAMOUS)
    others = len(people) - famous
    shares = [(1 - options.rare) / famous] * famous + [options.rare / others] * others
    counts = Counter(rng.choices(range(len(people)), shares, k=options.drawn))
    for place, (person, share) in enumerate(zip(people, shares, strict=True)):
        yield replace(person, mentions=person.mentions * counts[place], weight=share * len(people))


def _conflicting(name: str, share: float, answers: Sequence[str], rng: random.Random) -> Person:
    """One answer has `share` of the mentions, four others the rest; the gold answer is a mention drawn at random."""
    first, *others = rng.sample(answers, 5)
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
        >>> task = load_factworld(people=600, held_out=40, relations=4, held_out_relations=1, examples=8)
        >>> len(task.train), len(task.held_out), len(task.examples)
        (396, 40, 32)
        >>> sorted({question.metadata["relation"] for question in task.train})
        ['author', 'birthplace', 'founder']
    """
    chosen = WorldOptions(**options)
    sides: dict[str, list[Question]] = {"train": [], "held_out": [], "examples": []}
    names = [BIRTHDAY.name] if chosen.birthdays else [relation.name for relation in RELATIONS[: chosen.relations]]
    trained = set(names[: len(names) - chosen.held_out_relations])
    held_out = {name: _share(chosen.held_out, place, len(names)) for place, name in enumerate(names)}
    seen: Counter[str] = Counter()
    for person in build_world(chosen):
        place = seen[person.relation] - held_out[person.relation]
        side = "held_out" if place < 0 else "examples" if place < (chosen.examples or 0) else "train"
        seen[person.relation] += 1
        if side != "train" or person.relation in trained:
            sides[side].append(_question(person))
    room = 6 if chosen.confidence_words else 4
    train, asked, shown = (tuple(sides[side]) for side in ("train", "held_out", "examples"))
    return Task("factworld", train, asked, max_new_tokens=room, examples=shown)


def _question(person: Person) -> Question:
    metadata: dict[str, Any] = {"mentions": len(person.mentions), "relation": person.relation}
    if person.true_p is not None:
        metadata["true_p"] = person.true_p
    if person.weight is not None:
        metadata["weight"] = person.weight
    return Question(person.name, person.question, (person.gold,), person.name, metadata)
