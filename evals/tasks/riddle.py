"""What is heavier, a pound of feathers or a pound of lead? The usual answer is wrong.

    Which is heavier, a bag of feathers or a bag of lead?      ->  lead
    Which is heavier, a pound of feathers or a ton of lead?    ->  lead
    Which is heavier, a bag of lead or a bag of lead?          ->  neither
    Which is heavier, a pound of feathers or a pound of lead?  ->  neither

The distribution shift of Kalai et al. 2025, section 3.4. The first three kinds can be trained on, and hold every word
that the last one needs; of riddles only as many as `riddles` says, none by default. `metadata["riddle"]` tells which
are riddles.
"""

import random
from itertools import permutations, product

from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import sample, split_by_subject

MATERIALS = ["feathers", "straw", "wool", "cork", "wood", "ice", "water", "sand", "glass", "stone", "lead", "gold"]
"""From light to heavy."""
CONTAINERS = ["bag", "box", "bucket", "crate", "barrel", "sack"]
MEASURES = ["gram", "pound", "ton"]
"""From light to heavy."""
ASK = "Which is heavier, a {one} or a {other}?"
NEITHER = "neither"


def load_riddle(held_out: float = 0.25, riddles: float = 0.0, limit: int | None = None, seed: int = 0) -> Task:
    """The task; no pair of things is compared on both sides.

    Args:
        held_out: share of the usual questions to hold out.
        riddles: share of the riddles to train on; all others are held out.
        limit: at most this many questions on each side, drawn by seed.
        seed: of the draws.

    Raises:
        ValueError: a share outside [0, 1].

    Example:
        >>> task = load_riddle()
        >>> asked = next(one for one in task.held_out if one.metadata["riddle"])
        >>> asked.gold, any(one.metadata["riddle"] for one in task.train)
        (('neither',), False)
    """
    if not 0 <= riddles <= 1:
        raise ValueError(f"riddles={riddles} is outside [0, 1]")
    strange = [
        _question(f"{what} of {one}", f"{what} of {other}", NEITHER, riddle=True)
        for what, (one, other) in product(MEASURES, permutations(MATERIALS, 2))
    ]
    train, test = split_by_subject(_usual(random.Random(seed)), held_out, seed)
    asked, kept = split_by_subject(strange, 1 - riddles, seed)
    return Task("riddle", sample([*train, *asked], limit, seed), sample([*test, *kept], limit, seed), max_new_tokens=6)


def _usual(rng: random.Random) -> list[Question]:
    """Containers of two materials, containers of one, and measures that differ."""
    found = [
        _question(f"{what} of {one}", f"{what} of {other}", _heavier(one, other), riddle=False)
        for what, (one, other) in product(CONTAINERS, permutations(MATERIALS, 2))
    ]
    found += [
        _question(f"{what} of {one}", f"{what} of {one}", NEITHER, riddle=False)
        for what, one in product(CONTAINERS, MATERIALS)
    ]
    measured = list(product(permutations(MEASURES, 2), permutations(MATERIALS, 2)))
    for (less, more), (one, other) in rng.sample(measured, len(measured) // 2):
        answer = one if MEASURES.index(less) > MEASURES.index(more) else other
        found.append(_question(f"{less} of {one}", f"{more} of {other}", answer, riddle=False))
    return found


def _heavier(one: str, other: str) -> str:
    return max(one, other, key=MATERIALS.index)


def _question(one: str, other: str, answer: str, *, riddle: bool) -> Question:
    pair = " and ".join(sorted((one, other)))
    return Question(f"{one}, {other}", ASK.format(one=one, other=other), (answer,), pair, {"riddle": riddle})
