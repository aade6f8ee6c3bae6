"""A language model as the grader of a log's answers, in the place of a string grader."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from abstain.rewards.endpoint.usage import Usage
from abstain.rewards.judge.grader import Case, JudgeGrader, judge_report
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

_AT_ONCE = 512  # answers between two signs of life


@dataclass(frozen=True)
class Judged:
    """What a judge made of a run's answers.

    Args:
        judge: who judged; its `usage` is what that took.
        cases, verdicts: the answers, and its verdict on each.
        grader: the string grader for most of them, to compare with.
    """

    judge: JudgeGrader
    cases: list[Case]
    verdicts: list[Verdict]
    grader: str

    @classmethod
    def joined(cls, parts: Sequence["Judged"]) -> "Judged":
        """Several runs' as one."""
        usage = Usage(prices=parts[0].judge.usage.prices)
        for part in parts:
            usage.include(part.judge.usage)
        cases = [case for part in parts for case in part.cases]
        verdicts = [verdict for part in parts for verdict in part.verdicts]
        grader = Counter(part.grader for part in parts for _ in part.cases).most_common(1)[0][0]
        return cls(replace(parts[0].judge, usage=usage), cases, verdicts, grader)

    def report(self, reading: Reading) -> dict[str, Any]:
        """For `metrics.json`, as `abstain eval` has it: who judged, what it took, how far the string grader agrees."""
        return judge_report(self.judge, self.grader, self.cases, self.verdicts, reading)


@dataclass
class Judging:
    """Asks the judge.

    Args:
        judge: the language model; its `usage` counts what all runs took.
        progress: called with the number of a run's answers that are judged, and of all that are to be.
    """

    judge: JudgeGrader
    progress: Callable[[int, int], None] | None = None
    asked: int = field(default=0, init=False)

    def __call__(self, graded_by: Sequence[tuple[Case, str]]) -> Judged:
        """A verdict for each answer of a run, given with the string grader that it would have had."""
        cases, graders = [case for case, _ in graded_by], Counter(grader for _, grader in graded_by)
        own = replace(self.judge, usage=Usage(prices=self.judge.usage.prices))
        verdicts: list[Verdict] = []
        for start in range(0, len(cases), _AT_ONCE):
            verdicts += own.grade(cases[start : start + _AT_ONCE])
            if self.progress:
                self.progress(len(verdicts), len(cases))
        self.judge.usage.include(own.usage)
        self.asked += len(cases)
        return Judged(own, cases, verdicts, graders.most_common(1)[0][0])
