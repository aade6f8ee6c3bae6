"""Documents beside the questions of a task, made of its facts, as a retriever would bring them.

    > Mo Balita comes from Fandlin.

    > Mo Kutika was born in Ralvik.

    Where was Mo Kutika born? Ralvik

A document states one fact. What stands beside it is the next best of a real BM25, which in a fact world takes people
of the same first name. Each side of a task has documents of its own: none of a held-out question is ever trained.
"""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from abstain.evals.tasks.retrieval import best_of
from abstain.rewards.errors import nearest

KINDS = {
    "supporting": "one document states the answer",
    "contradicting": "two or three are about the subject, and one of them says something else than the others",
    "missing": "all are about other subjects, drawn at random",
    "distracting": "all are about other subjects: what BM25 finds likest the question",
    "none": "there are no documents",
    "letters": "the question is how many letters of the subject are a or e, and no document says that",
}
"""What documents are to their question. Where some are about its subject, the others are BM25's next best."""
MOST_LIKELY = 216 / 625
"""P(correct) of the best guess for "letters": of four vowels, each an a or e with probability 2/5, most often 1 or 2
are, C(4, 1)·(2/5)·(3/5)³ = C(4, 2)·(2/5)²·(3/5)² = 216/625."""


@dataclass(frozen=True)
class Fact:
    """What is asked, what is right, and how documents state it.

    Args:
        question: about its subject.
        answer: the right one.
        wordings: ways to state an answer to it, three at least, with `{answer}`.
        relation: answers of the same relation are what a document may say instead.
    """

    question: str
    answer: str
    wordings: tuple[str, ...]
    relation: str = ""


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
    if each < 0 or (each == 1 and shares.get("contradicting")):
        why = ", for one document contradicts no other" if each == 1 else ""
        raise ValueError(f"documents_each={each} must be 0, or at least {1 + (each == 1)}{why}")


def statements(wordings: Sequence[str], answers: Sequence[str], rng: random.Random) -> list[str]:
    """Documents about one subject, no two alike, one for each answer.

    Args:
        wordings: ways to state an answer, with `{answer}`.
        answers: at most as many as there are ways.
        rng: draws the wordings.

    Example:
        >>> statements(["Mo was born in {answer}.", "Mo comes from {answer}."], ["Ralvik"], random.Random(0))
        ['Mo comes from Ralvik.']
    """
    drawn = rng.sample(wordings, len(answers))
    return [wording.replace("{answer}", answer) for wording, answer in zip(drawn, answers, strict=True)]


def disagreeing(answer: str, others: Sequence[str], most: int, rng: random.Random) -> list[str]:
    """What two or three documents about one subject state: one of them something else than the others.

    The right answer is what most of them state as often as their share says: in a half of the cases of two, and in two
    thirds of those of three.

    Args:
        answer: the right one.
        others: what else could be.
        most: at most so many documents.
        rng: draws how many, and who is right.
    """
    count = rng.choice([2, 3] if most >= 3 else [2])
    wrong = [other for other in others if other != answer]
    if not wrong:
        raise ValueError(f"no document can contradict that {answer!r} is right: it is the only answer")
    common, rare = answer, rng.choice(wrong)
    if rng.random() >= (count - 1) / count:
        common, rare = rare, common
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
        >>> said = [(f"Where was {name} born?", city, name) for name, city in (("Mo", "Ral"), ("Ba", "Fan"))]
        >>> facts = [Fact(asked, city, (f"{name} is from {{answer}}.",)) for asked, city, name in said]
        >>> [one.documents for one in with_documents(facts, {"distracting": 1}, 1, random.Random(0))]
        [('Ba is from Fan.',), ('Mo is from Ral.',)]
    """
    kinds = _kinds(len(facts), shares, rng)
    if not each:
        return [Shown(kind, ()) for kind in kinds]
    corpus = [statements(fact.wordings, [fact.answer], rng)[0] for fact in facts]
    asking = [place for place, kind in enumerate(kinds) if kind not in ("missing", "none")]
    questions = [facts[place].question for place in asking]
    best = dict(zip(asking, best_of(questions, corpus, each, [{place} for place in asking]), strict=True))
    found: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        found[fact.relation].add(fact.answer)
    everything = sorted(set[str]().union(*found.values()))
    answers = {relation: sorted(given) if len(given) > 1 else everything for relation, given in found.items()}
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
    answers: Mapping[str, Sequence[str]],
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
        stated = disagreeing(fact.answer, answers[fact.relation], each, rng)
        own, share = statements(fact.wordings, stated, rng), (len(stated) - 1) / len(stated)
    elif kind != "distracting":
        own, share = [corpus[place]], 1.0 if kind == "supporting" else None
    found = own + [corpus[other] for other in best[: each - len(own)]]
    rng.shuffle(found)
    return Shown(kind, tuple(found), share)
