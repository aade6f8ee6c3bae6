"""The ready-made rewards under TRL's own command line, which knows nothing of abstain."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")


def save_questions(folder: Path) -> None:
    rows = [{"prompt": "capital of Peru", "answers": ["Lima"], "target": t} for t in (0.0, 0.5, 0.75, 0.9)]
    folder.mkdir()
    for split, repeats in (("train", 4), ("test", 1)):
        lines = [json.dumps(row) for row in rows * repeats]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def trl_grpo(folder: Path, *reward_funcs: str) -> list[dict[str, Any]]:
    """Two steps and two evaluations of `trl grpo`; the log history that it leaves."""
    command = f"""grpo --model_name_or_path {folder}/model --dataset_name {folder}/data --output_dir {folder}/out
        --max_steps 2 --save_steps 2 --logging_steps 1 --log_completions true
        --eval_strategy steps --eval_steps 2 --eval_on_start true --per_device_eval_batch_size 2
        --per_device_train_batch_size 16 --num_generations 4 --num_generations_eval 1 --max_completion_length 4
        --scale_rewards none --use_cpu true --bf16 false --num_processes 1 --report_to none""".split()
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HF_HOME": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "trl.cli.main", *command, "--reward_funcs", *reward_funcs],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    state = (folder / "out" / "checkpoint-2" / "trainer_state.json").read_text(encoding="utf-8")
    return json.loads(state)["log_history"]


@pytest.mark.slow
def test_trl_grpo_runs_and_logs_ready_made_rewards(tmp_path: Path, make_tiny_model: Callable[..., Path]) -> None:
    """Two rewards and a small evaluation first: the case in which columns of the same name crash TRL."""
    import pandas

    make_tiny_model(tmp_path / "model", words=["capital", "of", "Peru", "Lima", "Quito"])
    save_questions(tmp_path / "data")
    history = trl_grpo(tmp_path, "abstain.rewards.confidence_target", "abstain.rewards.truthrl")

    for name in ("confidence_target", "ternary_credit_truthrl"):
        for prefix in ("", "eval_"):
            means = [log[key] for log in history if (key := f"{prefix}rewards/{name}/mean") in log]
            assert len(means) == 2
            assert all(isinstance(mean, float) and -1 <= mean <= 1 for mean in means)
    train = [log for log in history if "reward" in log]
    for log in train:
        assert log["accuracy/all"] + log["error/all"] + log["abstention/all"] + log["ungraded/all"] == pytest.approx(1)
    split = {key for log in history for key in log if key.startswith("eval_abstention/")}
    assert split == {f"eval_abstention/{group}" for group in ("all", "t=0", "t=0.5", "t=0.75", "t=0.9")}

    gaps = [log[key] for log in history for key in ("reading/gap", "eval_reading/gap") if key in log]
    assert len(gaps) == 4 and all(0 <= gap <= 1 for gap in gaps)

    table = pandas.read_parquet(tmp_path / "out" / "completions" / "completions_00001.parquet")
    for column in ("confidence_target/verdict", "confidence_target/lenient", "ternary_credit_truthrl/lenient"):
        assert set(table[column]) <= {"CORRECT", "INCORRECT", "ABSTAINED"}
