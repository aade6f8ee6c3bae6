"""Writes the tables of docs/grading.md: how far verdicts agree with people's, what texts of two candidates are paid.

python docs/make/grading_figures.py FILE.jsonl ...

A line of a file holds a completion c, its golds g, what a person said of it, v, and, if there are any, its question q
and its grader. The texts are those of tests/rewards/two_candidates.py.
"""

import importlib.util
import json
import sys
from pathlib import Path
from typing import get_args

from abstain.rewards import grade
from abstain.rewards.response import Reading
from abstain.rewards.verdict import Verdict

ROOT = Path(__file__).resolve().parents[2]
TEXTS = 20_000
SHORT = 12  # words


def agreement(path: Path, reading: Reading) -> str:
    """One row: how often the verdict is the person's, and how often a wrong answer was paid."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    ours = [grade(r["c"], r["g"], r.get("grader", "match"), r.get("q"), reading=reading) for r in rows]
    same = sum(mine == r["v"] for mine, r in zip(ours, rows, strict=True))
    paid = sum(mine is Verdict.CORRECT and r["v"] != "CORRECT" for mine, r in zip(ours, rows, strict=True))
    short = [
        mine is Verdict.CORRECT
        for mine, r in zip(ours, rows, strict=True)
        if r["v"] == "CORRECT" and len(r["c"].split()) <= SHORT
    ]
    share = f"{sum(short) / len(short):.1%}" if short else "–"
    wrong = sum(r["v"] != "CORRECT" for r in rows)
    return (
        f"| {path.stem} | {reading} | {len(rows):,} | {same / len(rows):.1%} "
        f"| {paid} of {wrong:,} ({paid / len(rows):.1%}) | {share} of {len(short):,} |"
    )


def farmed(reading: Reading) -> str:
    """How many texts that name several candidates are paid for two of them, and for one."""
    spec = importlib.util.spec_from_file_location("two_candidates", ROOT / "tests/rewards/two_candidates.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    counts = [0, 0]
    for case in made.texts(11, TEXTS):
        paid = sum(
            grade(case.text, [c], case.grader, case.question, reading=reading) is Verdict.CORRECT
            for c in case.candidates
        )
        counts[0] += paid > 1
        counts[1] += paid == 1
    return f"{reading}: of {TEXTS:,} texts {counts[0]} paid for two candidates, {counts[1] / TEXTS:.1%} for one"


def main(paths: list[str]) -> None:
    print(f"| set | reading | answers | as people | wrongly paid | right ones of ≤ {SHORT} words called right |")
    print("|---|---|--:|--:|--:|--:|")
    for path in map(Path, paths):
        for reading in ("lenient", "strict"):
            print(agreement(path, reading))
    for reading in get_args(Reading):
        print(farmed(reading))


if __name__ == "__main__":
    main(sys.argv[1:])
