"""Documents beside the questions of a fact world, as a retriever would bring them.

    > Mo Balita comes from Fandlin.

    > Mo Kutika was born in Ralvik.

    Where was Mo Kutika born? Ralvik

A document states one person's birthplace. What stands beside it is the next best of a real BM25, which takes people of
the same first name. Each side of a task has documents of its own: no document of a held-out question is ever trained.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from abstain.evals.tasks.factworld_relations import STATEMENTS
from abstain.rewards.errors import nearest

KINDS = {
    "supporting": "one document states the answer",
    "contradicting": "two or three are about the person, and one of them says something else than the others",
    "missing": "all are about other people, drawn at random",
    "distracting": "all are about other people: what BM25 finds likest the question",
    "none": "there are no documents",
    "letters": "the question is how many letters of the name are a or e, and no document says that",
}
"""What documents are to their question. Where some are about the person, the others are BM25's next best."""
MOST_LIKELY = 216 / 625
"""P(correct) of the best guess for "letters": of four vowels, each an a or e with probability 2/5, most often 1 or 2
are, C(4, 1)·(2/5)·(3/5)³ = C(4, 2)·(2/5)²·(3/5)² = 216/625."""


@dataclass(frozen=True)
class Fact:
    """What is asked of somebody, and what is right.

    Args:
        name: of the person.
        question: about them.
        answer: the right one.
    """

    name: str
    question: str
    answer: str


@dataclass(frozen=True)
class Shown:
    """The documents of one question.

    Args:
        kind: a key of `KINDS`.
        documents: in the order of the prompt.
        share: how probable the answer is that most of them state; `None` if none states one.
    """

    kind: str
    documents: tuple[str, ...]
    share: float | None = None


def check_documents(shares: Mapping[str, float], each: int) -> None:
    """Raise `ValueError` unless these are shares of kinds that sum to 1, and each question's documents can be had.

    Example:
        >>> check_documents({"suporting": 1}, 4)
        Traceback (most recent call last):
        ...
        ValueError: unknown kind of documents 'suporting'. Did you mean 'supporting'? Allowed: contradicting,
        distracting, letters, missing, none, supporting.
    """
    for kind, share in shares.items():
        if kind not in KINDS:
            raise ValueError(f"unknown kind of documents {kind!r}. {nearest(kind, KINDS)}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ValueError(f"documents: {kind}: {share!r} is no share between 0 and 1")
    if abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(f"documents: the shares of all kinds sum to {sum(shares.values()):g}, not to 1")
    least = 2 if shares.get("contradicting") else 0
    if each < least or each < 0:
        why = ": documents contradict each other only where there are two" if least else ""
        raise ValueError(f"documents_each={each} must be at least {least}{why}")


def statement(name: str, answer: str, rng: random.Random) -> str:
    """A document about somebody.

    Example:
        >>> statement("Mo Kutika", "Ralvik", random.Random(0))
        'Mo Kutika comes from Ralvik.'
    """
    return rng.choice(STATEMENTS).format(subject=name, answer=answer)


def statements(name: str, answers: Sequence[str], rng: random.Random) -> list[str]:
    """Documents about one person, no two alike, one for each answer.

    Args:
        name: of the person.
        answers: at most as many as there are ways to state one.
        rng: draws the wordings.
    """
    wordings = rng.sample(STATEMENTS, len(answers))
    return [wording.format(subject=name, answer=answer) for wording, answer in zip(wordings, answers, strict=True)]


def disagreeing(answer: str, others: Sequence[str], most: int, rng: random.Random) -> list[str]:
    """What two or three documents about one person state: one of them something else than the others.

    The right answer is what most of them state as often as their share says: in a half of the cases of two, and in two
    thirds of those of three.

    Args:
        answer: the right one.
        others: what else could be.
        most: at most so many documents.
        rng: draws how many, and who is right.
    """
    count = rng.choice([2, 3] if most >= 3 else [2])
    wrong = rng.choice([other for other in others if other != answer])
    common, rare = (answer, wrong) if rng.random() < (count - 1) / count else (wrong, answer)
    return [common] * (count - 1) + [rare]


def a_or_e(name: str) -> int:
    """How many letters of a name are a or e.

    Example:
        >>> a_or_e("Ada Lee")
        4
    """
    return sum(letter in "ae" for letter in name.lower())


def with_documents(facts: Sequence[Fact], shares: Mapping[str, float], each: int, rng: random.Random) -> list[Shown]:
    """Documents for each question, of which as many are of a kind as its share says.

    Args:
        facts: those of one side, whose documents are drawn from each other's.
        shares: of each kind, as `check_documents` wants them.
        each: how many documents a question gets; 0 for none at all.
        rng: draws what is of which kind, and all that is random of it.

    Example:
        >>> facts = [Fact(name, f"Where was {name} born?", city) for name, city in (("Mo", "Ral"), ("Ba", "Fan"))]
        >>> [one.documents for one in with_documents(facts, {"distracting": 1}, 1, random.Random(0))]
        [('Ba was born in Fan.',), ('Mo comes from Ral.',)]
    """
    from abstain.evals.tasks.retrieval import best_of  # not needed where no world has documents

    kinds = _kinds(len(facts), shares, rng)
    if not each:
        return [Shown(kind, ()) for kind in kinds]
    corpus = [statement(fact.name, fact.answer, rng) for fact in facts]
    asking = [place for place, kind in enumerate(kinds) if kind not in ("missing", "none")]
    questions = [facts[place].question for place in asking]
    best = dict(zip(asking, best_of(questions, corpus, each, [{place} for place in asking]), strict=True))
    answers = sorted({fact.answer for fact in facts})
    return [
        _shown(place, kind, facts[place], corpus, best.get(place, []), answers, each, rng)
        for place, kind in enumerate(kinds)
    ]


def _kinds(count: int, shares: Mapping[str, float], rng: random.Random) -> list[str]:
    """So many, in random order."""
    kinds, passed = list[str](), 0.0
    for kind, share in shares.items():
        passed += share
        kinds += [kind] * (round(passed * count) - len(kinds))
    rng.shuffle(kinds)
    return kinds


def _shown(
    place: int,
    kind: str,
    fact: Fact,
    corpus: Sequence[str],
    best: Sequence[int],
    answers: Sequence[str],
    each: int,
    rng: random.Random,
) -> Shown:
    """The documents of one question, in random order."""
    own, share = list[str](), None
    if kind == "none":
        return Shown(kind, ())
    if kind == "missing":
        drawn = rng.sample(range(len(corpus)), min(each + 1, len(corpus)))
        best = [other for other in drawn if other != place]
    elif kind == "contradicting":
        stated = disagreeing(fact.answer, answers, each, rng)
        own, share = statements(fact.name, stated, rng), (len(stated) - 1) / len(stated)
    elif kind != "distracting":
        own, share = [corpus[place]], 1.0 if kind == "supporting" else None
    found = own + [corpus[other] for other in best[: each - len(own)]]
    rng.shuffle(found)
    return Shown(kind, tuple(found), share)
