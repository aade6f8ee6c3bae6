"""How fast `grade` is, cold, against the stock string comparison: lm-evaluation-harness's `exact_match`.

Stock lower-cases, takes punctuation away and compares with one gold, a vector at once; `grade` reads sentences, hedges
and aliases, so that it can only be slower. On bare names both give the same verdicts, which is checked first. Every
text, gold and question is new, so that nothing is remembered. `make bench` prints the table; nothing here asserts a
time.
"""

import random
import time
from collections.abc import Callable

import pytest

from abstain.rewards import grade
from abstain.rewards.verdict import Verdict

pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]
TEXTS, LONG, LENGTH = 4_000, 200, 9_000
SYLLABLES = ("ba", "ko", "ri", "ta", "mel", "dor", "sen", "vik", "lan", "hu", "por", "zet", "gri", "nal", "fo", "mur")
FRAMES = ("{}", "It is {}.", "{}.", "The answer is {}.", "I think it's {}")
FILLER = "It was founded in 1890 by two brothers who had lived near the river, and has grown since. "
Case = tuple[str, str, str]


def _name(rng: random.Random) -> str:
    return " ".join("".join(rng.choices(SYLLABLES, k=3)).title() for _ in range(rng.randint(1, 2)))


def _cases(seed: int, count: int, frames: tuple[str, ...]) -> list[Case]:
    """Texts, golds and questions, of which every other text names the gold."""
    rng = random.Random(seed)
    cases = []
    for number in range(count):
        gold = _name(rng)
        said = gold if number % 2 else _name(rng)
        cases.append((frames[number % len(frames)].format(said), gold, f"Which town does {_name(rng)} come from?"))
    return cases


def _longer(cases: list[Case]) -> list[Case]:
    return [(f"{text} {FILLER * (LENGTH // len(FILLER) + 1)}"[:LENGTH], gold, asked) for text, gold, asked in cases]


def _milliseconds(grader: Callable[[Case], object], cases: list[Case]) -> list[float]:
    """For each text, in processor time and in order of size, after fifty that warm up."""
    taken = []
    for i, case in enumerate(cases):
        start = time.process_time()
        grader(case)
        if i >= 50:
            taken.append(1000 * (time.process_time() - start))
    return sorted(taken)


def _stock(case: Case) -> bool:
    from lm_eval.api.metrics import exact_match_hf_evaluate

    text, gold, _ = case
    return bool(exact_match_hf_evaluate([text], [gold], ignore_case=True, ignore_punctuation=True)["exact_match"])


def _row(name: str, taken: list[float]) -> str:
    mean = sum(taken) / len(taken)
    return f"| {name} | {1000 / mean:,.0f} | {mean:.3f} | {taken[int(0.99 * len(taken))]:.3f} |"


def test_grading_speed() -> None:
    bare = _cases(0, 500, ("{}", "{}."))
    given = [grade(text, gold, question=asked) is Verdict.CORRECT for text, gold, asked in bare]
    assert given == [_stock(case) for case in bare] and 0 < sum(given) < len(given)
    short, long = _cases(1, TEXTS, FRAMES), _cases(2, LONG, FRAMES)
    rows = [_row("stock `exact_match`, short", _milliseconds(_stock, short))]
    for seed, reading in enumerate(("strict", "lenient")):
        fresh = _cases(10 + seed, TEXTS, FRAMES)
        taken = _milliseconds(lambda c, r=reading: grade(c[0], c[1], question=c[2], reading=r), fresh)
        rows.append(_row(f"`grade`, {reading}, short", taken))
    for grader in ("match", "numeric", "date", "choice"):
        gold = {"match": "", "numeric": "1890", "date": "1890", "choice": "B"}[grader]
        taken = _milliseconds(lambda c, g=grader, a=gold: grade(c[0], a or c[1], g, c[2]), _longer(long))
        rows.append(_row(f"`grade`, {grader}, {LENGTH:,} characters", taken))
    print("\n\n| | texts/s | mean ms | ms at p99 |\n|---|---:|---:|---:|", *rows, sep="\n")
