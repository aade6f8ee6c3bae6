"""The four outcomes of grading a completion. Every score, table and log in abstain is a function of these."""

from enum import StrEnum


class Verdict(StrEnum):
    """What a completion was worth, before any scoring rule is applied.

    `UNGRADED` is not a grade: the judge failed, the gold answer is missing, or the reply could not be read. It becomes
    `None` for TRL, is counted in every table, and is never turned into 0 or into an abstention.

    Example:
        >>> Verdict("CORRECT") is Verdict.CORRECT
        True
        >>> f"{Verdict.ABSTAINED}"
        'ABSTAINED'
    """

    CORRECT = "CORRECT"
    INCORRECT = "INCORRECT"
    ABSTAINED = "ABSTAINED"
    UNGRADED = "UNGRADED"
