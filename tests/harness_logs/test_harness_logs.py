"""Logs that each harness makes here of a scripted model, in its present version, are re-scored.

lm-eval and Inspect are in the development environment. The others have environments of their own under
`build/harnesses`, which `make harnesses` makes; without them their tests are skipped.

The model knows three capitals of six, is wrong about one, and says that it does not know the other two. Told a target,
it also leaves out the wrong one where t is .9.
"""

import json
import math
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.logs.batch import Options
from abstain.evals.rescore.collect import Collector
from abstain.evals.rescore.rescoring import Rescored, rescore
from abstain.rewards.prompts import instruction

HERE = Path(__file__).parent
HARNESSES = HERE.parents[1] / "build" / "harnesses"
MOCK = "mockllm/model"
IDK = "I don't know."
CAPITALS = {  # what is right, what the model says, how sure it is, and how likely it finds each choice
    "Peru": ("Lima", "Lima", 0.9, {"Lima": 0.8, "Cusco": 0.1, "Ica": 0.1}),
    "France": ("Paris", "Paris", 0.8, {"Nice": 0.2, "Paris": 0.7, "Lyon": 0.1}),
    "Norway": ("Oslo", "Oslo", 0.7, {"Oslo": 0.6, "Bergen": 0.3, "Voss": 0.1}),
    "Japan": ("Tokyo", "Kyoto", 0.6, {"Kyoto": 0.55, "Tokyo": 0.4, "Nara": 0.05}),
    "Fiji": ("Suva", IDK, 0.3, {"Nadi": 0.4, "Suva": 0.35, "Ba": 0.25}),
    "Samoa": ("Apia", IDK, 0.2, {"Apia": 0.5, "Lufilufi": 0.45, "Vaitele": 0.05}),
}
PLAIN = [
    {
        "id": country,
        "prompt": f"What is the capital of {country}?",
        "answer": answer,
        "reply": reply,
        "sure": sure,
        "choices": list(shares),
        "shares": list(shares.values()),
    }
    for country, (answer, reply, sure, shares) in CAPITALS.items()
]
STATED = [
    row
    | {
        "id": f"{row['id']} at {t}",
        "prompt": f"{row['prompt']}\n{instruction(t)}",
        "reply": IDK if t > row["sure"] else row["reply"],
    }
    for t in (0.5, 0.9)
    for row in PLAIN
]


def run(name: str, words: Sequence[str], folder: Path, rows: Sequence[dict[str, Any]] = (), **variables: str) -> None:
    """Run a command of a harness in a folder with `questions.json`, offline."""
    folder.mkdir(exist_ok=True)
    if not (HARNESSES / name / ".installed").is_file():
        pytest.skip(f"{name} has no environment of its own: run `make harnesses`")
    (folder / "questions.json").write_text(json.dumps(rows))
    homes = {"HOME": str(folder), "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(HERE)}
    environment = os.environ | homes | variables
    command = [str(HARNESSES / name / "bin" / words[0]), *words[1:]]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def counts(found: Rescored, target: float = 0.5, key: str = "") -> dict[str, tuple[int, ...]]:
    """How many answers are right, wrong, abstained and ungraded in each task; nothing may have gone wrong."""
    assert found.problems == []
    names = ("correct", "incorrect", "abstained", "ungraded")
    told = {}
    for metrics in found.metrics:
        row = next(row for row in metrics["by_target"] if row["target"] == target)
        shares = row[key] if key else row
        told[metrics["task"]] = tuple(round(shares[name] * row["n"]) for name in names)
    return told


def levels(found: Rescored) -> dict[str, tuple[int, int, str]]:
    """n, level and model of each task."""
    return {metrics["task"]: (metrics["n"], metrics["level"], metrics["model"]) for metrics in found.metrics}


def lm_eval_logs(folder: Path) -> dict[str, Path]:
    """The samples files of lm-eval's own evaluation, by task."""
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    rows = {row["prompt"]: row for row in (*PLAIN, *STATED)}

    class Parrot(LM):
        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            return [rows[request.args[0]]["reply"] for request in requests]

        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            asked = [(rows[prompt], choice.strip()) for prompt, choice in (request.args for request in requests)]
            return [(math.log(row["shares"][row["choices"].index(choice)]), False) for row, choice in asked]

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
            raise NotImplementedError

    def task(name: str, rows: list[dict[str, Any]], **options: Any) -> dict[str, Any]:
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        files = {"data_files": {"test": str(folder / f"{name}.jsonl")}, "cache_dir": str(folder / "cache")}
        source = {"task": name, "dataset_path": "json", "dataset_kwargs": files, "test_split": "test"}
        return source | {"doc_to_text": "{{prompt}}", "metadata": {"version": 1}} | options

    says = {"output_type": "generate_until", "doc_to_target": "{{answer}}", "metric_list": [{"metric": "exact_match"}]}
    picks = {
        "output_type": "multiple_choice",
        "doc_to_choice": "choices",
        "doc_to_target": "{{choices.index(answer)}}",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    tasks = [
        task("capitals_open", PLAIN, **says),
        task("capitals_stated", STATED, **says),
        task("capitals_choice", PLAIN, **picks),
    ]
    tracker = EvaluationTracker(output_path=str(folder / "out"))
    manager = TaskManager(include_defaults=False)
    found = simple_evaluate(
        Parrot(),
        model_args={"pretrained": "example/parrot"},
        tasks=tasks,
        task_manager=manager,
        bootstrap_iters=0,
        evaluation_tracker=tracker,
        log_samples=True,
    )
    samples = found.pop("samples")
    tracker.save_results_aggregated(found, samples)
    for name in samples:
        tracker.save_results_samples(name, samples[name])
    return {name: next((folder / "out").rglob(f"samples_{name}_*.jsonl")) for name in samples}


def test_lm_eval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    logs = lm_eval_logs(tmp_path)
    open_ended = rescore([logs["capitals_open"]], [0.5])
    assert levels(open_ended) == {"capitals_open": (6, 1, "example/parrot")}
    assert counts(open_ended) == {"capitals_open": (3, 1, 2, 0)}
    choice = rescore([logs["capitals_choice"]], [0.52])
    assert levels(choice) == {"capitals_choice": (6, 2, "example/parrot")}
    assert counts(choice, 0.52) == {"capitals_choice": (4, 2, 0, 0)}
    assert counts(choice, 0.52, "thresholded") == {"capitals_choice": (3, 1, 2, 0)}  # .8, .7, .6 right; .55 wrong
    norm = rescore([logs["capitals_choice"]], [0.4], collector=Collector(Options(metric="acc_norm")))
    assert counts(norm, 0.4) == {"capitals_choice": (3, 3, 0, 0)}  # Lufilufi for Apia: log .45 / 8 > log .5 / 4
    assert counts(norm, 0.4, "thresholded") == {"capitals_choice": (2, 1, 3, 0)}  # .46, .43 right; .405 wrong
    stated = rescore([logs["capitals_stated"]])
    assert levels(stated) == {"capitals_stated": (12, 3, "example/parrot")}
    assert counts(stated, 0.5) == {"capitals_stated": (3, 1, 2, 0)}
    assert counts(stated, 0.9) == {"capitals_stated": (1, 0, 5, 0)}


def inspect_log(folder: Path, name: str, rows: Sequence[dict[str, Any]], **options: Any) -> Path:
    """The log of Inspect's own evaluation."""
    from inspect_ai import Task
    from inspect_ai import eval as run_eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ModelOutput, ModelUsage, get_model
    from inspect_ai.scorer import includes

    said = {row["prompt"]: spoken(row) for row in rows}

    def answer(messages: Any, tools: Any, choice: Any, config: Any) -> ModelOutput:
        output = ModelOutput.from_content(MOCK, said[messages[-1].text])
        output.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else a tokenizer is fetched
        return output

    samples = [Sample(id=row["id"], input=row["prompt"], target=row["answer"]) for row in rows]
    task = Task(MemoryDataset(samples), name=name, scorer=includes())
    model = get_model(MOCK, custom_outputs=answer, memoize=False)
    (log,) = run_eval(task, model=model, log_dir=str(folder), display="none", **options)
    assert log.status == "success", log.error
    return Path(log.location)


def spoken(row: dict[str, Any]) -> str:
    """The reply with its confidence."""
    return IDK if row["reply"] == IDK else f"It is {row['reply']}. Confidence: {row['sure']:.0%}"


@pytest.mark.parametrize("form", ["eval", "json"])
def test_inspect(form: str, tmp_path: Path) -> None:
    plain = rescore([inspect_log(tmp_path, "capitals", PLAIN, log_format=form)], [0.5, 0.65])
    assert levels(plain) == {"capitals": (6, 2, MOCK)}
    assert counts(plain) == {"capitals": (3, 1, 2, 0)}
    assert counts(plain, 0.65, "thresholded") == {"capitals": (3, 0, 3, 0)}
    stated = rescore([inspect_log(tmp_path, "stated", STATED, log_format=form)])
    assert levels(stated) == {"stated": (12, 3, MOCK)}
    assert counts(stated, 0.5) == {"stated": (3, 1, 2, 0)}
    assert counts(stated, 0.9) == {"stated": (1, 0, 5, 0)}


@pytest.mark.slow
def test_lighteval(tmp_path: Path) -> None:
    for site in (HARNESSES / "lighteval").glob("lib/*/site-packages/lighteval/tasks/tasks"):
        (site / "tinyBenchmarks.pkl").touch()  # else it is fetched whenever the list of tasks is made
    for name, rows in {"plain_rows": PLAIN, "stated_rows": STATED}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    model = str(HERE / "lighteval_parrot.py")
    tasks = "capitals_open|0,capitals_choice|0,capitals_norm|0,capitals_stated|0,capitals_sampled|0"
    words = ["lighteval", "custom", "example/parrot", model, tasks, "--custom-tasks", model]
    run("lighteval", [*words, "--output-dir", "out", "--save-details"], tmp_path, [*PLAIN, *STATED])

    logs = {path.name.split("|")[0][8:]: path for path in tmp_path.rglob("details_*.parquet")}
    open_ended = rescore([logs["capitals_open"]], [0.5])
    assert levels(open_ended) == {"capitals_open": (6, 1, "example/parrot")}
    assert counts(open_ended) == {"capitals_open": (3, 1, 2, 0)}
    sampled = rescore([logs["capitals_sampled"]], [0.5])  # two of three answers agree
    assert levels(sampled) == {"capitals_sampled": (6, 2, "example/parrot")}
    assert counts(sampled) == {"capitals_sampled": (3, 1, 2, 0)}
    choice = rescore([logs["capitals_choice"]], [0.52])
    assert levels(choice) == {"capitals_choice": (6, 2, "example/parrot")}
    assert counts(choice, 0.52) == {"capitals_choice": (4, 2, 0, 0)}
    assert counts(choice, 0.52, "thresholded") == {"capitals_choice": (3, 1, 2, 0)}  # .8, .7, .6 right; .55 wrong
    norm = rescore([logs["capitals_norm"]], [0.4])  # Lufilufi instead of Apia: log .45 / 8 > log .5 / 4
    assert counts(norm, 0.4) == {"capitals_norm": (3, 3, 0, 0)}
    assert counts(norm, 0.4, "thresholded") == {"capitals_norm": (2, 1, 3, 0)}  # .46, .43 right; .405 wrong
    stated = rescore([logs["capitals_stated"]])
    assert levels(stated) == {"capitals_stated": (12, 3, "example/parrot")}
    assert counts(stated, 0.5) == {"capitals_stated": (3, 1, 2, 0)}
    assert counts(stated, 0.9) == {"capitals_stated": (1, 0, 5, 0)}


def convert(name: str, harness: str, log: Path, folder: Path) -> list[Path]:
    """The instance-level files that Every Eval Ever makes of a log."""
    words = ["every_eval_ever", "convert", harness, "--log_path", str(log), "--output_dir", str(folder / "eee")]
    words += ["--source_organization_name", "example", "--evaluator_relationship", "third_party"]
    run(name, [*words, *(["--include_samples"] if harness == "lm_eval" else [])], folder)
    return sorted((folder / "eee").rglob("*.jsonl"))


@pytest.mark.slow
def test_every_eval_ever_from_lm_eval(tmp_path: Path) -> None:
    (folder,) = {path.parent for path in lm_eval_logs(tmp_path).values()}
    found = rescore(convert("every_eval_ever", "lm_eval", folder, tmp_path), [0.5, 0.9])
    assert set(levels(found).values()) == {(6, 1, "example/parrot"), (12, 3, "example/parrot")}
    assert counts(found) == {
        "capitals_open": (3, 1, 2, 0),
        "capitals_choice": (4, 2, 0, 0),
        "capitals_stated": (3, 1, 2, 0),
    }


@pytest.mark.slow
def test_every_eval_ever_from_inspect(tmp_path: Path) -> None:
    from inspect_ai.log import read_eval_log, write_eval_log

    path = inspect_log(tmp_path, "capitals", PLAIN, log_format="eval")
    log = read_eval_log(str(path))
    log.eval.model = "hf/example/parrot"  # it knows real providers only
    for sample in log.samples:
        sample.output.model = "example/parrot"
    write_eval_log(log, str(path))
    found = rescore(convert("every_eval_ever", "inspect", path, tmp_path), [0.5, 0.65])
    assert levels(found) == {"capitals": (6, 2, "example/parrot")}
    assert counts(found) == {"capitals": (3, 1, 2, 0)}
    assert counts(found, 0.65, "thresholded") == {"capitals": (3, 0, 3, 0)}


def answer_and_judge(request: Any) -> None:
    """The model's answer with its confidence; and as a judge, the letter of a grade."""
    judged = re.findall(r"\nGold target: (.*)\nPredicted answer: (.*)\n", request.prompt)
    if judged:
        gold, predicted = judged[-1]
        request.chat("A" if gold in predicted else "C" if IDK in predicted else "B")
    else:
        request.chat(next(spoken(row) for row in (*STATED, *PLAIN) if row["prompt"] == request.prompt))


@pytest.mark.slow
def test_simple_evals(tmp_path: Path, chat_server: Any) -> None:
    chat_server.script = [answer_and_judge]
    words = ["simple_evals", "--eval_name", "simpleqa", "--model", "parrot", "--out_dir", ".", "--num_threads", "2"]
    words += ["--url", f"{chat_server.url}/chat/completions"]
    words += ["--judge_url", chat_server.url, "--judge_model_id", "judge", "--judge_api_key_name", "KEY"]
    found = {}
    for name, rows in {"plain": PLAIN, "stated": STATED}.items():
        data = tmp_path / name / "basicv8vc" / "SimpleQA"  # `datasets` takes a folder of that name before the hub's
        data.mkdir(parents=True)
        lines = [json.dumps({"problem": row["prompt"], "answer": row["answer"]}) for row in rows]
        (data / "test.jsonl").write_text("\n".join(lines))
        run("simple_evals", words, tmp_path / name, KEY="none")
        found[name] = rescore([tmp_path / name / "simpleqa.html"], [0.5, 0.65] if name == "plain" else None)
    assert levels(found["plain"])["simpleqa"][:2] == (6, 2)
    assert counts(found["plain"]) == {"simpleqa": (3, 1, 2, 0)}
    assert counts(found["plain"], 0.65, "thresholded") == {"simpleqa": (3, 0, 3, 0)}
    assert "its judge called 33.3% NOT_ATTEMPTED" in " ".join(found["plain"].remarks)
    assert counts(found["stated"], 0.5) == {"simpleqa": (3, 1, 2, 0)}
    assert counts(found["stated"], 0.9) == {"simpleqa": (1, 0, 5, 0)}


@pytest.mark.slow
def test_helm_and_every_eval_ever_from_helm(tmp_path: Path) -> None:
    names = ("open", "sampled", "joint", "separate")
    runs = [f"capitals_{name}:model=example/parrot" for name in names]
    words = ["helm-run", "--plugins", "helm_parrot", "--suite", "s", "--max-eval-instances", "99", "--exit-on-error"]
    words += ["--disable-cache", "--local-path", "local", "--output-path", "out", "--run-entries", *runs]
    run("helm", words, tmp_path, PLAIN)
    found = rescore([tmp_path / "out" / "runs"], [0.52, 0.65])
    assert set(levels(found).values()) == {(6, 2, "example/parrot")}
    said = (3, 1, 2, 0)
    assert counts(found, 0.52) == {
        "capitals_joint": said,
        "capitals_open": said,
        "capitals_sampled": said,
        "capitals_separate": (4, 2, 0, 0),
    }
    assert counts(found, 0.52, "thresholded")["capitals_separate"] == (3, 1, 2, 0)
    assert counts(found, 0.65, "thresholded")["capitals_open"] == (3, 0, 3, 0)
    for name in ("open", "joint"):
        (log,) = (tmp_path / "out" / "runs" / "s").glob(f"capitals_{name}:*")
        converted = rescore(convert("helm", "helm", log, tmp_path / name), [0.5])
        assert levels(converted) == {"capitals": (6, 1, "example/parrot")}
        assert counts(converted) == {"capitals": said}
