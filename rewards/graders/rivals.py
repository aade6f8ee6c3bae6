"""Whether a sentence offers another answer beside the gold one: "Paris or London", "Paris, London, Rome".

No world knowledge is used but a list of countries and states, so the rule is structural: *the first answer is the
answer*. What follows it after a comma may describe it ("Paris, France", "Paris, the capital", "Paris (1889)") unless
it is a bare name; whoever names something else first, or joins it with "or", "and", "/", or a new line, has not chosen
the gold one. No arrangement of two answers of one kind may pay for both.
"""

from dataclasses import dataclass

from abstain.rewards.graders.aliases import place_name
from abstain.rewards.graders.places import PLACE_WORDS, kind_of_place
from abstain.rewards.graders.segments import Kind, Segment, after_link, names_answer, segments, stripped
from abstain.rewards.graders.statement import GOLD, words
from abstain.rewards.graders.text import fold, is_unspaced
from abstain.rewards.graders.words import (
    CONNECTIVES,
    DETERMINERS,
    FUNCTION,
    HEDGES,
    LINKS,
    PARTICLES,
    PREPOSITIONS,
    ROLES,
)

_SIDE_BY_SIDE = frozenset({"comma", "dash", "close", "slash", "stop"})


@dataclass(frozen=True)
class Gold:
    """The gold answer as it stands in the reply.

    Args:
        kind: a name, a common noun or a number; rivals are of the same kind.
        name: its folded words.
        place: the place left off it ("oregon" of "Portland, Oregon"), else "".
        raw: as written.
    """

    kind: Kind
    name: str
    place: str = ""
    raw: str = ""


def _places_it(segment: Segment, gold: Gold) -> bool:
    """Whether a segment after the gold says where it lies: "Paris, France" does, "France, Germany" does not."""
    place = place_name(segment.text)
    if place:
        kind = kind_of_place(place)
        wrong = gold.place and place != gold.place and kind_of_place(gold.place) == kind
        return not wrong and (kind_of_place(gold.name) != kind or gold.name == place)
    return bool(segment.words) and fold(segment.words[-1]) in PLACE_WORDS


def _leads_to_place(part: Segment, following: Segment | None) -> bool:
    """Whether a segment stands between a town and its country: "Paris, Île-de-France, France"."""
    return (
        part.joint == "comma"
        and following is not None
        and following.joint == "comma"
        and bool(place_name(following.text))
    )


def _names_rival(part: Segment, gold: Gold) -> bool:
    """Whether a segment behind the gold names another answer."""
    core = stripped(part.words, HEDGES | CONNECTIVES)
    if part.joint == "stop":  # a sentence of its own that says no more than "Or London", "Could be London"
        return names_answer(stripped(after_link(part.words), FUNCTION), "or", gold.kind)
    hedged = len(core) < len(part.words)
    return names_answer(core, "or" if part.joint == "slash" and hedged else part.joint, gold.kind)


def _rival_right(parts: list[Segment], i: int, gold: Gold) -> bool:
    """Whether another answer is joined on behind the gold in segment `i`."""
    tail = parts[i].words[len(parts[i].words) - parts[i].words[::-1].index(GOLD) :]
    if len(tail) > 2 or any(fold(w) in FUNCTION - HEDGES for w in tail):
        return False
    bracket = parts[i].joint == "open"
    for part, following in zip(parts[i + 1 :], [*parts[i + 2 :], None], strict=False):
        bracket = (bracket or part.joint == "open") and part.joint != "close"
        if not part.words or GOLD in part.words or part.joint == "aka":
            continue
        if bracket and not (part.joint == "or" or fold(part.words[0]) in HEDGES | CONNECTIVES):
            continue
        if (part.joint in _SIDE_BY_SIDE and _places_it(part, gold)) or _leads_to_place(part, following):
            continue
        if _names_rival(part, gold) or (part.joint == "comma" and gold.place and place_name(part.text)):
            return True
        if part.is_clause or part.joint == "colon":
            return False
    return False


def _abbreviates(first: list[str], second: list[str]) -> bool:
    """Whether one of the two is the initials of the other: "NASA (National Aeronautics and Space Administration)"."""
    short, long = sorted((first, second), key=len)
    initials = "".join(w[0] for w in long if w[0].isupper() or w[0].isdigit())
    return len(short) == 1 and len(initials) > 1 and short[0].replace(".", "") == initials


def _rival_left(parts: list[Segment], i: int, gold: Gold) -> bool:
    """Whether another answer is named before the gold in segment `i`."""
    joint = parts[i].joint
    head = after_link(parts[i].words[: parts[i].words.index(GOLD)])
    loose = stripped(head, DETERMINERS | PREPOSITIONS if joint in ("or", "and", "slash", "aka") else DETERMINERS)
    if any(not w[0].isupper() and not is_unspaced(w[0]) for w in loose) or joint in ("", "colon"):
        return False
    before = [p for p in parts[:i] if p.words]
    if not before or GOLD in before[-1].words or before[-1].denies:
        return False
    core = stripped(after_link(before[-1].words), DETERMINERS)
    if joint in ("comma", "close") and kind_of_place(gold.name):
        same = kind_of_place(fold(" ".join(core))) == kind_of_place(gold.name)
        return same and names_answer(core, joint, gold.kind)
    if joint == "open" and _abbreviates(core, words(gold.raw)):
        return False
    return names_answer(core, "and" if joint == "or" and gold.kind == "name" else joint, gold.kind)


def _claimed_before(parts: list[Segment], i: int, gold: Gold) -> bool:
    """Whether the sentence has already answered: "It was Tolkien, a friend of GOLD", "It is Tolkien who knew GOLD"."""
    if gold.kind != "name" or kind_of_place(gold.name):
        return False
    own = parts[i].words[: parts[i].words.index(GOLD)]
    core = after_link(own)
    named = len(core) < len(own) and core and core[0][0].isupper() and fold(core[0]) not in FUNCTION | ROLES
    if named and any(not w[0].isupper() and fold(w) not in PARTICLES for w in core):
        return True
    claims = [p for p in parts[:i] if LINKS & {fold(w) for w in p.words} and not p.denies]
    cores = [after_link(p.words) for p in claims]
    return any(names_answer(core, "comma", "name") and not place_name(" ".join(core)) for core in cores)


def has_rival(sentence: str, gold: Gold) -> bool:
    """Whether a sentence, its gold answers masked by `GOLD`, offers another answer beside them.

    Example:
        >>> paris = Gold("name", "paris")
        >>> [has_rival(s.replace("Paris", GOLD), paris) for s in ("Paris, France", "Paris or London", "London, Paris")]
        [False, True, True]
    """
    parts = segments(sentence)
    there = [i for i, part in enumerate(parts) if GOLD in part.words]
    there = [i for i in there if parts[i].joint != "open"] or there  # "ABC News (US) comes from the US"
    return any(
        _rival_right(parts, i, gold) or _rival_left(parts, i, gold) or _claimed_before(parts, i, gold) for i in there
    )
