"""Claims held against gold ones, where these are all there is to say: invented people, or a file of known facts.

gold = ("Mo Kutika | born in | Ralvik", "Mo Kutika | works as | Tamist")
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from abstain.rewards.claims.aggregation import strict_verdict
from abstain.rewards.claims.claim import Claim, Extraction, Support, plain
from abstain.rewards.claims.sentences import SentenceExtractor
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict


def claims_of(gold: Sequence[str]) -> tuple[Claim, ...]:
    """Gold answers as claims, each once; nothing if one of them is none: then nobody can say what is false.

    Example:
        >>> [claim.object for claim in claims_of(["Mo | born in | Ralvik", "Mo | works as | Tamist"])]
        ['Ralvik', 'Tamist']
        >>> claims_of(["Mo | born in | Ralvik", "Lima"])
        ()
    """
    try:
        found = [Claim.read(one) for one in gold]
    except ValueError:
        return ()
    return tuple({claim.key: claim for claim in found}.values())


class GoldChecker:
    """A `Checker` for a closed world: what the references do not hold is false.

    Of one relation no more objects may be named than it has: who lists every town has named none, at t = 0 too, where
    a false claim costs nothing. A relation that the references do not speak of is `NEUTRAL`.

    Example:
        >>> gold = ["Mo | born in | Ralvik", "Mo | works as | Tamist"]
        >>> said = [Claim("Mo", "born in", town) for town in ("Ralvik", "Lima")] + [Claim("Mo", "works as", "Tamist")]
        >>> [label.value for label in GoldChecker().check(said, [gold] * 3)]
        ['Contradiction', 'Contradiction', 'Entailment']
    """

    def check(self, claims: Sequence[Claim], references: Sequence[Sequence[str]]) -> list[Support]:
        """One label per claim; claims with the same references are one answer's."""
        together: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, reference in enumerate(references):
            together[tuple(reference)].append(place)
        found = [Support.UNCHECKED] * len(claims)
        for reference, places in together.items():
            labels = _against(tuple(claims[place] for place in places), claims_of(reference))
            for place, label in zip(places, labels, strict=True):
                found[place] = label
        return found


def _against(claims: Sequence[Claim], gold: Sequence[Claim]) -> list[Support]:
    if not gold:
        return [Support.UNCHECKED] * len(claims)
    true: dict[tuple[str, str], set[str]] = defaultdict(set)
    named: dict[tuple[str, str], set[str]] = defaultdict(set)
    for claim in gold:
        true[claim.key[:2]].add(claim.key[2])
    for claim in claims:
        named[claim.key[:2]].add(claim.key[2])
    labels = []
    for claim in claims:
        about, told = claim.key[:2], claim.key[2]
        if about not in true:
            labels.append(Support.NEUTRAL)
        elif told in true[about] and len(named[about]) <= len(true[about]):
            labels.append(Support.ENTAILMENT)
        else:
            labels.append(Support.CONTRADICTION)
    return labels


@dataclass(frozen=True)
class CheckedAnswer:
    """A long answer, read and checked.

    Args:
        gold: the gold claims.
        extraction: what was found in it.
        claims, labels: each distinct claim, and whether it is supported.
        unread: stretches that no claim could be made of. Read strictly they are unsupported claims, and stand among
            `claims` too.
    """

    gold: tuple[Claim, ...]
    extraction: Extraction
    claims: tuple[Claim, ...]
    labels: tuple[Support, ...]
    unread: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """The strict one. Nothing claimed is ABSTAINED; UNGRADED if something is said that nobody could read."""
        if not self.claims and self.unread:
            return Verdict.UNGRADED
        return strict_verdict(self.labels)

    @property
    def covered(self) -> int:
        """How many of the gold claims are made."""
        return self.labels.count(Support.ENTAILMENT)


def check_answer(answer: str, gold: Sequence[str], reading: Reading = "lenient") -> CheckedAnswer | None:
    """Read an answer by rules and hold it against gold claims; `None` if the gold is no list of claims.

    Only the relations and the subject of the gold are looked at before the answer is read.

    Args:
        answer: what a completion states, without reasoning and tags.
        gold: claims as text, see `Claim.read`.
        reading: "strict", where whatever is no claim counts as an unsupported one, so that nothing pays for length;
            "lenient" counts it apart.

    Example:
        >>> gold = ["Mo Kutika | born in | Ralvik", "Mo Kutika | works as | Tamist"]
        >>> checked = check_answer("Born in Ralvik. Born in Ralvik. Works as Potter.", gold)
        >>> [label.value for label in checked.labels], checked.verdict.value, checked.covered
        (['Entailment', 'Contradiction'], 'INCORRECT', 1)
        >>> check_answer("", gold).verdict.value, check_answer("Lima", ["Lima"])
        ('ABSTAINED', None)
    """
    known = claims_of(gold)
    if not known:
        return None
    rules = _rules(tuple(dict.fromkeys(claim.relation for claim in known)), known[0].subject)
    extraction = rules.read(answer)
    claims = extraction.claims
    labels = GoldChecker().check(claims, [gold] * len(claims))
    unread = tuple(dict.fromkeys(map(plain, extraction.unread)))
    if reading == "strict":
        claims += tuple(Claim("", "", text) for text in unread)
        labels += [Support.NEUTRAL] * len(unread)
    return CheckedAnswer(known, extraction, claims, tuple(labels), unread)


@lru_cache(maxsize=4_096)
def _rules(relations: tuple[str, ...], subject: str) -> SentenceExtractor:
    """Rules are compiled once for each subject, of which a batch has many answers."""
    return SentenceExtractor(relations, subject)
