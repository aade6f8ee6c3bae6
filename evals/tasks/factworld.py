"""The fact world: invented people, one fact each, mentioned k times. A small model knows what it read often.

    Where was Mo Kutika born? Ralvik

With `relations` above 1 there are books, companies, countries and more besides the people, each with one fact.

A fact read eight times is known, one read once is a guess, one never read is unknown: the arbitrary-facts setting of
Kalai et al. 2025, section 3.3, with P(correct) spread over the whole of [0, 1]. With `conflict=True` mentions of one
person disagree, the gold answer is drawn from the same distribution as the mentions, and the true P(correct) of the
best answer is known (`metadata["true_p"]`): what even a perfect reader cannot know better.

Everything is made here from a seed; the base model is in `abstain.evals.tasks.factworld_model`.
"""

import random
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from abstain.evals.tasks.evidence import (
    MOST_LIKELY,
    Fact,
    Shown,
    a_or_e,
    check_documents,
    with_documents,
)
from abstain.evals.tasks.factworld_relations import (
    BY_NAME,
    LETTERS,
    MOST_ANSWERS,
    MOST_SUBJECTS,
    RELATIONS,
    SYLLABLES,
    Relation,
    statements_about,
)
from abstain.evals.tasks.question import Question, Task

CITIES = [(syllable + end).capitalize() for end in ("dlin", "ndor", "rmar", "ston", "lvik") for syllable in SYLLABLES]

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
CONFLICT_MENTIONS = 10
OTHERS = 6_000
"""At most so many people are what passages are about."""
EXAMPLES = 50


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
    documents: Mapping[str, float] | None = None
    """Questions come with documents: the share of each kind in `abstain.evals.tasks.evidence.KINDS`."""
    documents_each: int = 4
    """How many each question has; 0 asks the same questions without."""
    passages: int = 0
    """Passages of documents, a question and its answer that the base model reads, about people whom nobody asks about
    later: what it has to learn from to find an answer in documents."""

    @property
    def mean_mentions(self) -> float:
        """Of a person, in what the base model reads."""
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
        if self.passages < 0:
            raise ValueError(f"passages={self.passages} must be at least 0")
        if (self.documents or self.passages) and (self.relations > 1 or self.conflict):
            raise ValueError("documents and passages are about birthplaces: leave out relations and conflict")
        if self.documents:
            check_documents(self.documents, self.documents_each)


@dataclass(frozen=True)
class Person:
    """One person of the world, or whatever else its facts are about.

    Args:
        name: first and last name; no two people share both.
        mentions: the answers that the corpus gives, such as the birthplace, one per mention.
        gold: the right answer.
        true_p: true probability that the best answer is right; `None` where only the model's memory limits it.
        relation: what is told of them.
    """

    name: str
    mentions: tuple[str, ...]
    gold: str
    true_p: float | None = None
    relation: str = RELATIONS[0].name

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
        cities = rng.sample(CITIES, options.cities)
        people = [_person(name, i, cities, options, rng) for i, name in enumerate(_names(options.people, rng))]
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


def _names(count: int, rng: random.Random, taken: Container[str] = ()) -> list[str]:
    last = [name for name in _words(3, "") if name not in taken]
    return [f"{rng.choice(SYLLABLES).capitalize()} {name}" for name in rng.sample(last, count)]


def build_others(world: Sequence[Person], options: WorldOptions) -> list[Person]:
    """The people that passages are about, of whom one in eight is mentioned as often as anybody; of `world` is none.

    Example:
        >>> options = WorldOptions(people=4, held_out=1, repeats=(2,), passages=5)
        >>> [len(person.mentions) for person in build_others(build_world(options), options)]
        [2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]
    """
    rng = random.Random(f"{options.seed} others")
    cities = sorted({person.gold for person in world})
    names = _names(min(OTHERS, 4 * options.passages), rng, {person.name.split()[-1] for person in world})
    found = [(name, rng.choice(cities), max(options.repeats) * (place % 8 == 0)) for place, name in enumerate(names)]
    return [Person(name, (city,) * mentions, city) for name, city, mentions in found]


def _invented(relation: Relation, count: int, first: Sequence[str], rng: random.Random) -> list[str]:
    """Names of which no two end alike."""
    last = rng.sample(_words(3, relation.subjects), count)
    some = min(count, len(first))
    start = rng.randrange(some)
    return [f"{first[(start + i) % some]} {name}" for i, name in enumerate(last)]


def _person(name: str, i: int, answers: Sequence[str], options: WorldOptions, rng: random.Random) -> Person:
    if options.conflict:
        return _conflicting(name, SHARES[i % len(SHARES)], answers, rng)
    mentions = options.repeats[i % len(options.repeats)]
    answer = rng.choice(answers)
    return Person(name, (answer,) * mentions, answer)


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
    sides: dict[str, list[Person]] = {"train": [], "held_out": [], "examples": []}
    trained = {relation.name for relation in RELATIONS[: chosen.relations - chosen.held_out_relations]}
    held_out = {RELATIONS[i].name: _share(chosen.held_out, i, chosen.relations) for i in range(chosen.relations)}
    seen: Counter[str] = Counter()
    for person in build_world(chosen):
        place = seen[person.relation] - held_out[person.relation]
        side = "held_out" if place < 0 else "examples" if place < (chosen.examples or 0) else "train"
        seen[person.relation] += 1
        if side != "train" or person.relation in trained:
            sides[side].append(person)
    room = 6 if chosen.confidence_words else 4
    train, asked = (tuple(_questions(sides[side], side, chosen)) for side in ("train", "held_out"))
    shown = tuple(map(_question, sides["examples"]))
    return Task("factworld", train, asked, max_new_tokens=room, examples=shown)


def _question(person: Person) -> Question:
    metadata: dict[str, Any] = {"mentions": len(person.mentions), "relation": person.relation}
    if person.true_p is not None:
        metadata["true_p"] = person.true_p
    return Question(person.name, person.question, (person.gold,), person.name, metadata)


def _questions(people: Sequence[Person], side: str, options: WorldOptions) -> Iterator[Question]:
    """What is asked of one side, with the documents of that side where the world has any."""
    if not options.documents:
        yield from map(_question, people)
        return
    facts = [Fact(person.question, person.gold, statements_about(person.name)) for person in people]
    rng = random.Random(f"{options.seed} documents {side}")
    for person, shown in zip(
        people, with_documents(facts, options.documents, options.documents_each, rng), strict=True
    ):
        if shown.kind == "letters":
            person = replace(person, relation=LETTERS.name, gold=str(a_or_e(person.name)), mentions=())
        yield _shown(person, shown, options)


def _shown(person: Person, shown: Shown, options: WorldOptions) -> Question:
    """The true P(correct) is known of whoever is not remembered: what documents say is all that can be known."""
    question = _question(person)
    guessed = MOST_LIKELY if shown.kind == "letters" else 1 / options.cities
    true_p = {} if person.mentions else {"true_p": guessed if shown.share is None else shown.share}
    kind = f"{shown.kind}, remembered" if person.mentions else shown.kind
    return replace(question, metadata={**question.metadata, **true_p, "documents": kind}, documents=shown.documents)
