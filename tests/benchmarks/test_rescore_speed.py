"""Re-scoring a million graded answers, with intervals, beside pandas' own reading and counting of the same file.

`make bench` prints both. The goal is at most 3 times pandas' time for CSV and Parquet, 1.5 times for JSON lines, and
512 MiB; nothing here asserts a time. Each file has a process of its own, in which both are timed by turns, and another
one for the memory.
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
TIMED = """
import json, sys, time
from statistics import median
import pandas as pd
from abstain.evals.rescore.rescoring import rescore

path, rounds = sys.argv[1], int(sys.argv[2])
readers = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": lambda path: pd.read_json(path, lines=True)}
read = readers[path.rpartition(".")[2]]


def stock():
    return read(path).groupby(["verdict"]).size().to_dict()


def ours():
    return rescore([path])


counts, found = stock(), ours()
rows = sum(counts.values())
if found.runs[0].level < 3:
    for verdict, name in (("CORRECT", "correct"), ("INCORRECT", "incorrect"), ("NOT_ATTEMPTED", "abstained")):
        assert round(found.metrics[0]["by_target"][0][name] * rows) == counts[verdict], verdict
seconds = {stock: [], ours: []}
for _ in range(rounds):
    for work in (stock, ours):
        start = time.perf_counter()
        work()
        seconds[work].append(time.perf_counter() - start)
intervals = sum(row["score_ci"] is not None for one in found.metrics for row in one["by_target"])
print(json.dumps({"pandas": median(seconds[stock]), "ours": median(seconds[ours]), "level": found.runs[0].level,
                  "ratio": median(b / a for a, b in zip(seconds[stock], seconds[ours])),
                  "rows": sum(len(run.verdict) for run in found.runs), "intervals": intervals}))
"""
MEMORY = """
import json, re, sys, time
from pathlib import Path
start = time.perf_counter()
from abstain.evals.rescore.rescoring import rescore
loaded = time.perf_counter() - start
text = rescore(sys.argv[1:]).render()
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())  # getrusage counts the parent's, too
print(json.dumps({"MiB": int(peak[1]) / 1024, "importing": loaded}))
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


def _parquet(path: Path, rng: random.Random) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([_row(rng, number) for number in range(ROWS)]), path)


def _stated(path: Path, rng: random.Random) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(ROWS // 4):
            for t in (0, 0.5, 0.75, 0.9):
                file.write(json.dumps(_row(rng, number) | {"confidence_target": t}) + "\n")


CASES: dict[str, tuple[Callable[[Path, random.Random], None], int]] = {
    "grades.jsonl": (_grades_only, 2),
    "graded.jsonl": (_graded, 2),
    "graded.csv": (_csv, 7),
    "graded.parquet": (_parquet, 7),
    "stated.jsonl": (_stated, 2),
}


def _measured(code: str, *arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_million_rows(name: str, tmp_path: Path) -> None:
    write, rounds = CASES[name]
    path = tmp_path / name
    write(path, random.Random(0))
    found = _measured(TIMED, str(path), str(rounds))
    assert found["rows"] == ROWS and found["intervals"] == 4
    memory = _measured(MEMORY, str(path))
    print(f"\n{name}, {path.stat().st_size / 1e6:.0f} MB, level {found['level']}: {found['ratio']:.1f} times pandas "
          f"({found['ours']:.2f} s, {found['pandas']:.2f} s), {memory['MiB']:.0f} MiB, "
          f"{memory['importing']:.1f} s to load")  # fmt: skip
