"""The grader of long answers: gold claims, read by rules, and one false claim makes the whole INCORRECT.

Gold answers are claims, all of them true: "Mo Kutika | born in | Ralvik". What this costs beside a count of claims is
shown by `abstain.evals.claims`.
"""

from collections.abc import Sequence

from abstain.rewards.claims.gold import check_answer
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict


def grade_claims(answer: str, gold: Sequence[str], question: str = "", reading: Reading = "lenient") -> Verdict:
    """CORRECT if at least one claim is made, and all are supported (RefChecker's strict aggregation).

    Without a claim it is ABSTAINED, and UNGRADED if it says something that the rules cannot read; read strictly, what
    they cannot read is a false claim. Gold that is no list of claims is UNGRADED.

    Example:
        >>> gold = ["Mo Kutika | born in | Ralvik", "Mo Kutika | works as | Tamist"]
        >>> [grade_claims(text, gold).value for text in ("Born in Ralvik.", "Born in Ralvik. Works as Potter.")]
        ['CORRECT', 'INCORRECT']
        >>> grade_claims("Loves cats.", gold).value, grade_claims("Loves cats.", gold, reading="strict").value
        ('UNGRADED', 'INCORRECT')
    """
    checked = check_answer(answer, gold, reading)
    return Verdict.UNGRADED if checked is None else checked.verdict
