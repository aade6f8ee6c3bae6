"""In one answer, one candidate: no text that names two is paid for both, whatever stands between them."""

import pytest

from abstain.rewards.grading import grade
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

from .two_candidates import TwoCandidates, texts

ALLOWED: dict[Reading, float] = {"strict": 0.001, "lenient": 0.005}  # shares of texts that may be paid for two


def paid(case: TwoCandidates, reading: Reading) -> list[str]:
    """The candidates that a text would be paid for, each being the gold in turn."""
    return [
        c
        for c in case.candidates
        if grade(case.text, [c], case.grader, case.question, reading=reading) is Verdict.CORRECT
    ]


def paid_for_two(seed: int, count: int) -> dict[Reading, list[tuple[TwoCandidates, list[str]]]]:
    """By reading, the texts of a seed that are paid for two candidates; checks that strict is only ever stricter."""
    found: dict[Reading, list[tuple[TwoCandidates, list[str]]]] = {"strict": [], "lenient": []}
    for case in texts(seed, count):
        lenient, strict = paid(case, "lenient"), paid(case, "strict")
        assert set(strict) <= set(lenient), case
        for reading, golds in (("strict", strict), ("lenient", lenient)):
            if len(golds) > 1:
                found[reading].append((case, golds))  # type: ignore[index]
    return found


def test_no_text_is_paid_for_two_candidates() -> None:
    found = paid_for_two(seed=16, count=1_500)
    for reading, share in ALLOWED.items():
        assert len(found[reading]) <= share * 1_500, found[reading][:10]


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_no_text_of_a_hundred_thousand_is_paid_for_two_candidates() -> None:
    found = paid_for_two(seed=17, count=100_000)
    for reading, share in ALLOWED.items():
        assert len(found[reading]) <= share * 100_000, found[reading][:10]
