"""Writes the table of docs/judge.md: how far `match` agrees with people, by the answer's length.

python docs/make/agreement_with_people.py ../shared/cases/graded_nq301.jsonl

A line of the file holds a question q, its golds g, a completion c and what people said of it, v. Prints also how many
of the long answers in dispute were in doubt before anybody judged (`abstain.evals.metrics.readings`).
"""

import json
import sys
from pathlib import Path

from abstain.evals.meta_evaluation import render_judged
from abstain.evals.metrics.readings import IS_LONG, ONE_READING, UNPAID_GOLD, doubts
from abstain.rewards.grading import grade_response
from abstain.rewards.judge.grader import Case, agreement_with
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.verdict import Verdict

GRADER = "match"


def main(path: str) -> None:
    """Print both."""
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    cases = [Case(row["q"], row["g"], read_response(row["c"])) for row in rows]
    people = [Verdict(row["v"]) for row in rows]
    found = {"judge": "people", "grader": GRADER, **agreement_with(GRADER, cases, people)}
    print(render_judged(found, "markdown"))
    ours = [grade_response(case.response, case.gold, GRADER, case.question) for case in cases]
    flags = [doubts(c.response, c.gold, verdict, GRADER, c.question) for c, verdict in zip(cases, ours, strict=True)]
    long = [
        (mine is theirs, bool(flag & (ONE_READING | UNPAID_GOLD)))
        for mine, theirs, flag in zip(ours, people, flags, strict=True)
        if flag & IS_LONG
    ]
    doubted = [agree for agree, doubt in long if doubt]
    wrong = [doubt for agree, doubt in long if not agree]
    print(f"{len(long)} long answers: {len(doubted)} in doubt, of which people disagree with {doubted.count(False)};")
    print(f"of the {len(wrong)} that people disagree with, {wrong.count(True)} were in doubt")


if __name__ == "__main__":
    main(sys.argv[1])
