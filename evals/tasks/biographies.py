"""Biographies of invented people: six facts each, every fact with a frequency of its own, and so a known probability.

    Who is Mo Kutika?
    Born in Ralvik. Works as Kotamist. Plays the Mivox. Married to Lomecz. Speaks Dulash. Died in 1931.

Ten texts are told about each person, and they disagree: the commonest object of a fact stands in 30 % to 100 % of
them. The gold object is drawn from the same distribution, so the true probability that the best claim is true is that
share (`metadata["claim_p"]`, one for each gold claim), whatever the other facts are: what even a perfect reader cannot
know better. To leave out a sentence is to abstain on that fact.

Everything is made here from a seed; the base model is in `abstain.evals.tasks.biographies_model`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from abstain.evals.tasks.factworld_relations import MOST_SUBJECTS, SYLLABLES
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.claims.claim import Claim

MENTIONS = 10
SHARES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
OTHERS = 4
"""How many other objects share the rest of a fact's mentions."""
ASK = "Who is {name}?"
RELATIONS = {
    "born in": "lvik",
    "works as": "mist",
    "plays the": "vox",
    "married to": "cz",
    "speaks": "lash",
    "died in": "",
}
"""What is told of a person, in this order, and how its objects end; the last is a year."""
FIRST_YEAR = 1900


@dataclass(frozen=True)
class BiographyOptions:
    """What the world looks like. Two equal option sets give the same world and the same base model."""

    people: int = 4_000
    """All of them, those held out included."""
    held_out: int = 1_000
    """People that training never asks about. The base model has read about them as about everyone."""
    facts: int = 6
    """How many facts each has."""
    objects: int = 48
    """How many towns, professions, years … there are."""
    passes: int = 6
    """How often the base model reads everything: one pass averages badly what disagrees."""
    seed: int = 0
    """Another seed, another world, and another base model."""

    def __post_init__(self) -> None:
        if not 2 <= self.people <= MOST_SUBJECTS:
            raise ValueError(f"people={self.people} is outside 2..{MOST_SUBJECTS}")
        if not 0 < self.held_out < self.people:
            raise ValueError(f"held_out={self.held_out} must be between 1 and people - 1 = {self.people - 1}")
        if not 1 <= self.facts <= len(RELATIONS):
            raise ValueError(f"facts={self.facts} is outside 1..{len(RELATIONS)}")
        if not OTHERS < self.objects <= len(SYLLABLES):
            raise ValueError(f"objects={self.objects} is outside {OTHERS + 1}..{len(SYLLABLES)}")
        if self.passes < 1:
            raise ValueError(f"passes={self.passes} must be at least 1")


@dataclass(frozen=True)
class Fact:
    """One fact about a person.

    Args:
        relation: what is told, in words.
        told: what the ten texts say, in their order.
        gold: the right object.
        true_p: probability that the commonest of `told` is right.
    """

    relation: str
    told: tuple[str, ...]
    gold: str
    true_p: float


@dataclass(frozen=True)
class Life:
    """A person, and all that is told of them."""

    name: str
    facts: tuple[Fact, ...]

    @property
    def texts(self) -> list[str]:
        """The ten biographies."""
        return [
            " ".join(sentence(fact.relation, fact.told[place]) for fact in self.facts) for place in range(MENTIONS)
        ]


def sentence(relation: str, told: str) -> str:
    """One statement of a biography.

    Example:
        >>> sentence("born in", "Ralvik")
        'Born in Ralvik.'
    """
    return f"{relation.capitalize()} {told}."


def build_lives(options: BiographyOptions) -> list[Life]:
    """The people, in random order.

    Example:
        >>> life = build_lives(BiographyOptions(people=4, held_out=1, facts=2))[0]
        >>> len(life.texts), life.facts[1].relation, life.facts[1].gold in life.facts[1].told
        (10, 'works as', True)
    """
    rng = random.Random(options.seed)
    last = ["".join(parts).capitalize() for parts in product(SYLLABLES, repeat=3)]
    names = [f"{rng.choice(SYLLABLES).capitalize()} {name}" for name in rng.sample(last, options.people)]
    objects = {
        relation: _objects(end, options.objects, rng) for relation, end in list(RELATIONS.items())[: options.facts]
    }
    return [Life(name, tuple(_fact(relation, known, rng) for relation, known in objects.items())) for name in names]


def _objects(end: str, count: int, rng: random.Random) -> list[str]:
    if not end:
        return [str(FIRST_YEAR + place) for place in range(count)]
    return [f"{syllable}{end}".capitalize() for syllable in rng.sample(SYLLABLES, count)]


def _fact(relation: str, objects: Sequence[str], rng: random.Random) -> Fact:
    """Shares are drawn anew for each fact: how well one is known says nothing of another."""
    share = rng.choice(SHARES)
    first, *others = rng.sample(objects, 1 + OTHERS)
    often = round(share * MENTIONS)
    told = [first] * often + [others[place % OTHERS] for place in range(MENTIONS - often)]
    rng.shuffle(told)
    return Fact(relation, tuple(told), rng.choice(told), share)


def load_biographies(**options: int) -> Task:
    """The biographies as a task.

    Args:
        options: fields of `BiographyOptions`.

    Example:
        >>> task = load_biographies(people=100, held_out=20)
        >>> len(task.train), len(task.held_out), len(task.held_out[0].gold), task.grader
        (80, 20, 6, 'claims')
        >>> task.held_out[0].gold[0].split(" | ")[1], len(task.held_out[0].metadata["claim_p"])
        ('born in', 6)
    """
    chosen = BiographyOptions(**options)
    questions = [_question(life) for life in build_lives(chosen)]
    train, held_out = questions[: -chosen.held_out], questions[-chosen.held_out :]
    return Task("biographies", tuple(train), tuple(held_out), "claims", max_new_tokens=3 * chosen.facts + 2)


def _question(life: Life) -> Question:
    gold = tuple(str(Claim(life.name, fact.relation, fact.gold)) for fact in life.facts)
    metadata = {"claim_p": [fact.true_p for fact in life.facts]}
    return Question(life.name, ASK.format(name=life.name), gold, life.name, metadata)
