"""Re-scoring a million graded answers, with intervals, each measurement in a process of its own.

`make bench` prints what it took. The goal is 10 s and 2 GiB on two cores; nothing here asserts a time.
"""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]
ROWS = 1_000_000
MEASURE = """
import json, resource, sys, time
start = time.perf_counter()
from abstain.evals.rescore.rescoring import rescore
loaded, cpu = time.perf_counter(), time.process_time()
found = rescore(sys.argv[1:])
text = found.render()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
intervals = sum(row["score_ci"] is not None for one in found.metrics for row in one["by_target"])
print(json.dumps({"seconds": time.perf_counter() - loaded, "cpu": time.process_time() - cpu,
                  "importing": loaded - start, "GiB": peak,
                  "rows": sum(len(run.verdict) for run in found.runs), "intervals": intervals,
                  "level": [run.level for run in found.runs]}))
"""


def _row(rng: random.Random, number: int) -> dict[str, object]:
    p = rng.random()
    verdict = "NOT_ATTEMPTED" if p < 0.2 else "CORRECT" if rng.random() < p else "INCORRECT"
    question = f"Who was the {number}th person to hold the office of mayor in the city of {number % 977}?"
    return {"id": f"q{number}", "question": question, "verdict": verdict, "confidence": round(p, 3)}


def _graded(path: Path, rng: random.Random) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(_row(rng, number)) + "\n" for number in range(ROWS))


def _grades_only(path: Path, rng: random.Random) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(ROWS):
            row = _row(rng, number)
            file.write(json.dumps({key: row[key] for key in ("id", "verdict")}) + "\n")


def _csv(path: Path, rng: random.Random) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write("id,question,verdict,confidence\n")
        file.writelines(",".join(map(str, _row(rng, number).values())) + "\n" for number in range(ROWS))


def _stated(path: Path, rng: random.Random) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(ROWS // 4):
            for t in (0, 0.5, 0.75, 0.9):
                file.write(json.dumps(_row(rng, number) | {"confidence_target": t}) + "\n")


CASES: dict[str, Callable[[Path, random.Random], None]] = {
    "grades.jsonl": _grades_only,
    "graded.jsonl": _graded,
    "graded.csv": _csv,
    "stated.jsonl": _stated,
}


@pytest.mark.parametrize("name", CASES)
def test_a_million_rows(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    CASES[name](path, random.Random(0))
    done = subprocess.run([sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["rows"] == ROWS and found["intervals"] == 4
    print(f"\n{name}, {path.stat().st_size / 1e6:.0f} MB, level {found['level'][0]}: "
          f"{found['seconds']:.1f} s, {found['cpu']:.1f} s of it computing ({found['importing']:.1f} s to load), "
          f"{found['GiB']:.2f} GiB")  # fmt: skip
