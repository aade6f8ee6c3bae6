"""From the labels of an answer's claims to one for the whole, in RefChecker's three ways.

| claims                      | strict        | major         | soft: shares of E, N, C |
|-----------------------------|---------------|---------------|-------------------------|
| E E E                       | Entailment    | Entailment    | 1, 0, 0                 |
| E E N                       | Neutral       | Entailment    | ⅔, ⅓, 0                 |
| E N C                       | Contradiction | Contradiction | ⅓, ⅓, ⅓                 |
| E N N                       | Neutral       | Neutral       | ⅓, ⅔, 0                 |
| none                        | none          | none          | none                    |

No claim is an abstention, never a perfect score. RefChecker breaks ties of the majority by which label comes first;
here the worse one wins, so that the order of sentences changes nothing.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, get_args

from abstain.rewards.claims.claim import Support
from abstain.rewards.errors import nearest
from abstain.rewards.verdict import Verdict

Aggregation = Literal["strict", "major"]
AGGREGATIONS: tuple[str, ...] = get_args(Aggregation)
WORST_FIRST = (Support.CONTRADICTION, Support.NEUTRAL, Support.UNCHECKED, Support.ENTAILMENT)


def aggregate(labels: Sequence[Support], how: Aggregation = "strict") -> Support | None:
    """One label for an answer, `None` if it claims nothing.

    strict: the worst label that any claim has, so that one false claim among ten makes the whole false. A claim that
    nobody could check hides behind a false one, and not behind true ones.

    Args:
        labels: of its claims.
        how: "strict" or "major", the label that most of the checked claims have.

    Raises:
        ValueError: no aggregation is called so.

    Example:
        >>> e, n, c = Support.ENTAILMENT, Support.NEUTRAL, Support.CONTRADICTION
        >>> [aggregate(labels).value for labels in ([e, e], [e, n], [e, n, c])], aggregate([])
        (['Entailment', 'Neutral', 'Contradiction'], None)
        >>> aggregate([e, e, c], "major").value, aggregate([e, c], "major").value
        ('Entailment', 'Contradiction')
        >>> aggregate([e], "softly")
        Traceback (most recent call last):
        ...
        ValueError: no aggregation is called 'softly'. Allowed: major, strict.
    """
    if how not in AGGREGATIONS:
        raise ValueError(f"no aggregation is called {how!r}. {nearest(str(how), AGGREGATIONS)}")
    if not labels:
        return None
    if how == "strict":
        return next(label for label in WORST_FIRST if label in labels)
    counts: Counter[Support] = Counter(label for label in labels if label is not Support.UNCHECKED)
    if not counts:
        return Support.UNCHECKED
    most = max(counts.values())
    return next(label for label in WORST_FIRST if counts[label] == most)


def soft(labels: Sequence[Support]) -> dict[Support, float] | None:
    """The share of the checked claims that has each label, `None` if there are none.

    Example:
        >>> shares = soft([Support.ENTAILMENT, Support.ENTAILMENT, Support.NEUTRAL, Support.UNCHECKED])
        >>> {label.value: round(share, 2) for label, share in shares.items()}
        {'Entailment': 0.67, 'Neutral': 0.33, 'Contradiction': 0.0}
    """
    checked = [label for label in labels if label is not Support.UNCHECKED]
    if not checked:
        return None
    return {label: checked.count(label) / len(checked) for label in Support if label is not Support.UNCHECKED}


VERDICTS: dict[Support | None, Verdict] = {
    Support.ENTAILMENT: Verdict.CORRECT,
    Support.NEUTRAL: Verdict.INCORRECT,
    Support.CONTRADICTION: Verdict.INCORRECT,
    Support.UNCHECKED: Verdict.UNGRADED,
    None: Verdict.ABSTAINED,
}
"""What a label is worth, of a claim or of a whole answer: what nothing supports is a mistake, contradicted or not."""


def strict_verdict(labels: Sequence[Support]) -> Verdict:
    """The verdict on a long answer: CORRECT if it claims something and all of that is supported.

    Example:
        >>> strict_verdict([Support.ENTAILMENT] * 9 + [Support.CONTRADICTION]).value, strict_verdict([]).value
        ('INCORRECT', 'ABSTAINED')
    """
    return VERDICTS[aggregate(labels)]
