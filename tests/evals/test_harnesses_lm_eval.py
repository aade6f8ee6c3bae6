"""The lm-eval tasks through lm-eval's own command, on a tiny model and on a scripted one, and back to rescore."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.harnesses import open_rubric
from abstain.evals.prompt_card import PromptCard
from abstain.evals.rescore.rescoring import rescore

pytest.importorskip("lm_eval")

TASKS = Path(open_rubric.__file__).parent / "lm_eval"
CAPITALS = {"Peru": "Lima", "France": "Paris", "Japan": "Tokyo", "Norway": "Oslo"}
SCRIPTED = '''
"""lm-eval's own command, with a model that knows Peru, and is wrong about France up to t = 0.5."""
from lm_eval.__main__ import cli_evaluate
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model


@register_model("scripted")
class Scripted(LM):
    def __init__(self, **options):
        super().__init__()

    def generate_until(self, requests, disable_tqdm=False):
        return [self.reply(request.args[0]) for request in requests]

    def reply(self, prompt):
        if "Peru" in prompt:
            return " Lima"
        if "France" in prompt and "> 0.9" not in prompt:
            return " Lyon"
        return " Kyoto" if "best guess" in prompt else " I don't know."

    def loglikelihood(self, requests, disable_tqdm=False):
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


cli_evaluate()
'''


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    rows = [{"problem": f"Capital of {country}?", "answer": city} for country, city in CAPITALS.items()]
    path = tmp_path / "capitals.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def lm_eval(start: list[str], task: str, folder: Path, **metadata: Any) -> tuple[dict[str, Any], Path]:
    """The results of a run, and its samples file."""
    command = [sys.executable, *start, "--include_path", str(TASKS), "--tasks", task, "--log_samples"]
    command += ["--output_path", str(folder / "out"), "--metadata", json.dumps(metadata)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (results,) = (folder / "out").rglob("results_*.json")
    (samples,) = (folder / "out").rglob(f"samples_{task}_*.jsonl")
    return json.loads(results.read_text())["results"][task], samples


@pytest.mark.slow
def test_what_it_prints_is_what_rescore_finds(questions: Path, tmp_path: Path) -> None:
    script = tmp_path / "scripted.py"
    script.write_text(SCRIPTED)
    printed, samples = lm_eval([str(script), "--model", "scripted"], "abstain_simpleqa", tmp_path, data=str(questions))
    (metrics,) = rescore([samples]).metrics
    assert metrics["level"] == 3 and metrics["task"] == "abstain_simpleqa"
    assert printed["verdict,none"] == 1
    rows = {row["target"]: row for row in metrics["by_target"]}
    # t = 0: right, wrong, wrong, wrong; t = 0.5, 0.75: right, wrong, silent, silent; t = 0.9: right, silent, ...
    assert [rows[t]["score"] for t in (0, 0.5, 0.75, 0.9)] == pytest.approx([0.25, 0, -0.5, 0.25])
    for t, row in rows.items():
        assert row["n"] == 4
        for name, key in (("score", "score"), ("correct", "correct"), ("wrong", "incorrect"), ("abstained",) * 2):
            assert printed[f"{name}_t{t:g},none"] == pytest.approx(row[key])


def test_a_model_is_asked_as_its_prompt_card_says(questions: Path, tmp_path: Path) -> None:
    card = PromptCard(
        template="Q: {question}\n{instruction}\nA:", prompt_format="plain", max_new_tokens=8, answer_format="plain"
    )
    card.save(tmp_path)
    given = {"source": {"reader": "qa"}, "data": str(questions), "targets": 0.5}
    carded = open_rubric.load(**given, pretrained=str(tmp_path))["test"][0]
    assert carded["prompt"].startswith("Q: ") and carded["prompt"].endswith("\nA:")
    assert carded["answer_format"] == "plain"
    said = open_rubric.load(
        **given, pretrained=str(tmp_path), template="{question} {instruction}", answer_format="auto"
    )["test"][0]
    assert not said["prompt"].startswith("Q: ") and said["answer_format"] == "auto"


@pytest.mark.slow
def test_a_tiny_model_on_a_reasoning_task(tmp_path: Path, make_tiny_model: Callable[..., Path]) -> None:
    data = tmp_path / "mmlu_pro.jsonl"
    row = {"question": "Capital of Peru?", "options": ["Lima", "Quito"], "answer": "A", "answer_index": 0}
    data.write_text("\n".join([json.dumps(row)] * 2))
    model = make_tiny_model(tmp_path / "tiny", ["Capital", "of", "Peru?", "Lima", "Quito"])
    start = ["-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={model}", "--device", "cpu"]
    start += ["--gen_kwargs", "max_gen_toks=6"]
    printed, samples = lm_eval(start, "abstain_mmlu_pro", tmp_path, data=str(data), targets=[0, 0.8])
    (metrics,) = rescore([samples]).metrics
    assert [row["target"] for row in metrics["by_target"]] == [0, 0.8]
    for row in metrics["by_target"]:
        assert printed[f"score_t{row['target']:g},none"] == pytest.approx(row["score"])


ROWS = json.loads((Path(__file__).parents[1] / "golden" / "benchmark_rows.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("task", sorted(path.stem for path in TASKS.glob("abstain_*.yaml")))
def test_scores_by_hand(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of each benchmark, asked three times at two targets: known, believed, not known."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    name = task.removeprefix("abstain_").replace("math_hard", "math")
    wrong = "Answer: Tacna, or 7"

    class Scripted(LM):
        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            replies = [ROWS[name]["right"]] * 2 + [wrong] * 3 + ["I don't know."]
            return [f" {reply}" for _, reply in zip(requests, replies, strict=True)]

        loglikelihood = loglikelihood_rolling = generate_until

    data = tmp_path / "rows.json"
    data.write_text(json.dumps([ROWS[name]["row"]] * 4))  # of which a limit of 6 takes three at two targets
    manager = TaskManager(
        include_path=str(TASKS), include_defaults=False, metadata={"data": str(data), "targets": [0, 0.75]}
    )
    found = simple_evaluate(model=Scripted(), tasks=[task], task_manager=manager, bootstrap_iters=0, limit=6)
    assert found["n-samples"][task] == {"original": 8, "effective": 6}
    told = found["results"][task]
    # t = 0: right, wrong, wrong, which is 1/3; t = 0.75: right, wrong, silent, which is (1 - 3) / 3
    assert [told[f"score_{t},none"] for t in ("t0", "t0.75")] == pytest.approx([1 / 3, -2 / 3])
    assert [told[f"abstained_{t},none"] for t in ("t0", "t0.75")] == pytest.approx([0, 1 / 3])
    tracker = EvaluationTracker(output_path=str(tmp_path / "out"))
    samples = found.pop("samples")
    tracker.save_results_aggregated(results=found, samples=samples)
    tracker.save_results_samples(task_name=task, samples=samples[task])
    (log,) = (tmp_path / "out").rglob("samples_*.jsonl")
    (metrics,) = rescore([log]).metrics
    assert metrics["n"] == 3 and [row["target"] for row in metrics["by_target"]] == [0, 0.75]
    assert [row["score"] for row in metrics["by_target"]] == pytest.approx([1 / 3, -2 / 3])
    assert [row["abstained"] for row in metrics["by_target"]] == pytest.approx([0, 1 / 3])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"targets": [1.5], "data": "capitals.jsonl"}, "confidence target 1.5 is outside [0, 1); did you mean 0.015?"),
        ({"data": "capitels.jsonl"}, "no file 'capitels.jsonl'. Did you mean 'capitals.jsonl'?"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    metadata: dict[str, Any], message: str, questions: Path, tmp_path: Path
) -> None:
    words = ["--model", "dummy", "--include_path", str(TASKS), "--tasks", "abstain_qa"]
    command = [sys.executable, "-m", "lm_eval", *words, "--metadata", json.dumps(metadata)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1] == message
