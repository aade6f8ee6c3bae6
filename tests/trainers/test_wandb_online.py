"""wandb online, as it is installed, with a server on 127.0.0.1: what arrives there, and what one that fails costs."""

import base64
import json
import math
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from .wandb_stub import SUMMARY, StoredRun, WandbStub

pytestmark = pytest.mark.slow
KEY = "c0ffee" * 6 + "c0de"
PEOPLE = [f"P{i}" for i in range(160)]
CITIES = ["Oslo", "Lima", "Rome"]
TARGETS = ("t=0", "t=0.5")
RECIPE = """\
name: tiny
task: {name: qa, data: people.jsonl, max_new_tokens: 5, held_out: 0.25}
model: {path: model}
sft:  # long enough that some answers are "I don't know": else there is no effective threshold
  answers: gold
  idk_share: 0.4
  args: {use_cpu: true, max_steps: 30, per_device_train_batch_size: 16, learning_rate: 1e-2, logging_steps: 10}
rl:
  targets: [0, 0.5]
  guards: {every: 1}
  args: {use_cpu: true, max_steps: 4, per_device_train_batch_size: 64, num_generations: 2, logging_steps: 1}
eval: {targets: [0, 0.5], every: 2}
"""
BOTH = ('sft.args.report_to="wandb"', 'rl.args.report_to="wandb"')
SWEEP = "name: lr\nbase: tiny.yaml\naxes: {rl.args.learning_rate: [1e-4, 1e-3], seed: [3, 4]}\n"
SEARCH = SWEEP.replace("[1e-4, 1e-3]", "{low: 1e-4, high: 1e-3}")
SEARCH += "search: {trials: 2, metric: score@0.5, direction: maximize}\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory, make_tiny_model) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "model", words=[*PEOPLE, *CITIES])


@pytest.fixture
def folder(tmp_path, model) -> Path:
    return prepare(tmp_path, model)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, model) -> SimpleNamespace:
    """A run whose two stages report to wandb: the server afterwards, its run of each stage, the folder."""
    folder = prepare(tmp_path_factory.mktemp("online"), model)
    with WandbStub() as server:
        done = run(server, folder, "abstain", "train", "tiny.yaml", *BOTH)
    assert done.returncode == 0
    stages = {stored.fields["displayName"].rsplit("-", 2)[0]: stored for stored in server.runs.values()}
    assert set(stages) == {"tiny-0-sft", "tiny-0-rl"}
    return SimpleNamespace(server=server, done=done, folder=folder, sft=stages["tiny-0-sft"], rl=stages["tiny-0-rl"])


def prepare(folder: Path, model: Path) -> Path:
    """A git repository with a recipe, a sweep, a model and its questions."""
    (folder / "model").symlink_to(model)
    rows = [
        {"id": name, "question": f"Where was {name} born?", "answers": [CITIES[i % 3]], "subject": name}
        for i, name in enumerate(PEOPLE)
    ]
    (folder / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "grid.yaml").write_text(SWEEP)
    (folder / "search.yaml").write_text(SEARCH)
    git(folder, "init", "-q")
    git(folder, "add", "tiny.yaml")
    git(folder, "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "commit", "-q", "-m", "a recipe")
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def run(server: WandbStub, folder: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command that knows this server, and no way to others: it is the proxy, too, and takes note."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), server.url)
    direct = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    places = {f"WANDB_{name}_DIR": str(folder / name.lower()) for name in ("CACHE", "DATA", "CONFIG")}
    account = {"WANDB_MODE": "online", "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "HOME": str(folder)}
    path = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    others = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    environment = others | proxies | direct | places | account | path | more
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    print(done.stderr[-5000:])
    return done


def steps(stored: StoredRun, key: str) -> list[int]:
    return [row["train/global_step"] for row in stored.rows() if key in row]


def table(stored: StoredRun, name: str) -> list[dict[str, object]]:
    """The only table of this name."""
    (data,) = [data for path, data in stored.files.items() if path.startswith(f"media/table/{name}_")]
    content = json.loads(data)
    return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


def test_every_curve_arrives_once(trained):
    assert "left out" not in trained.done.stderr and "did not take" not in trained.done.stderr
    assert trained.server.problems == []  # rows that came twice, other hosts
    assert (trained.sft.exits, trained.rl.exits) == ([0], [0, 0])  # and opened again for the results
    assert trained.rl.fields["project"] == "abstain"

    assert steps(trained.sft, "train/loss") == [10, 20, 30]
    for key in ("train/reward", "train/loss", "guards/alarms", "guards/unique_completions"):
        assert steps(trained.rl, key) == [1, 2, 3, 4], key
    for rate in ("abstention", "accuracy", "error", "ungraded"):
        for label in (*TARGETS, "all"):
            assert steps(trained.rl, f"behaviour/{rate}/{label}") == [1, 2, 3, 4]
    for key in ("mean_regret", "aurc", *(f"{one}/{label}" for one in ("score", "regret") for label in TARGETS)):
        assert steps(trained.rl, f"heldout/qa/{key}") == [0, 2, 4]
    assert steps(trained.rl, "heldout/qa/effective_threshold/t=0.5")
    assert steps(trained.rl, "guards/effective_threshold/t=0.5")

    for stored in (trained.sft, trained.rl):
        rows = stored.rows()
        assert [row["_step"] for row in rows] == list(range(len(rows)))
        values = [value for row in rows for value in row.values()]
        assert all("_type" in value if isinstance(value, dict) else math.isfinite(value) for value in values)
        ours = [(row.get("train/global_step"), key) for row in rows for key in row if key[0] != "_"]
        seen = Counter(pair for pair in ours if not pair[1].startswith("profiling/"))  # TRL's stop watch, by call
        assert {key for (_, key), times in seen.items() if times > 1} <= {"train/global_step", "train/epoch"}


def test_tables_and_results_arrive(trained):
    metrics = json.loads((trained.folder / "runs" / "tiny-0" / "metrics.json").read_text())
    columns = {"step", "question", "target", "completion", "verdict", "reward"}
    samples = table(trained.rl, "behaviour/samples")
    assert samples and all(row.keys() == columns for row in samples)
    scores = [row["score"] for row in metrics["by_target"]]
    assert [row["score"] for row in table(trained.rl, "results/by_target")] == pytest.approx(scores)
    summary = trained.rl.rows(SUMMARY)[-1]
    assert summary["results/mean_regret"] == pytest.approx(metrics["mean_regret"])
    assert summary["results/score@0.5"] == pytest.approx(scores[1])
    assert summary["train/loss"] is not None and summary["results/score"]["_type"] == "image-file"
    pictures = [data for path, data in trained.rl.files.items() if path.startswith("media/images/results/")]
    assert len(pictures) >= 5 and all(data.startswith(b"\x89PNG") for data in pictures)

    artifacts = trained.server.artifacts
    assert all(one.committed and one.files.keys() == one.manifest["contents"].keys() for one in artifacts)
    (results,) = [one for one in artifacts if one.given["artifactTypeName"] == "results"]
    assert json.loads(results.files["metrics.json"]) == metrics
    assert results.files["table.md"] == (trained.folder / "runs" / "tiny-0" / "table.md").read_bytes()
    assert {"score.png", "score.svg"} <= results.files.keys()


def test_what_it_was_made_with_arrives_and_no_key(trained):
    commit = git(trained.folder, "rev-parse", "HEAD")
    for stored in (trained.sft, trained.rl):
        assert stored.fields["commit"] == commit == json.loads(stored.files["wandb-metadata.json"])["git"]["commit"]
        assert stored.config["abstain"]["made_with"]["commit"] == commit
        assert stored.config["abstain"]["recipe"]["rl"]["targets"] == [0, 0.5]
    assert (trained.rl.config["num_generations"], trained.rl.config["model_type"]) == (2, "llama")

    secrets = [KEY.encode(), base64.b64encode(f"api:{KEY}".encode())]
    written = [path.read_bytes() for path in trained.folder.rglob("*") if path.is_file()]
    assert any(b"P1" in data for data in trained.server.sent) and any(b"wandb-core" in data for data in written)
    assert not [data[:99] for data in [*trained.server.sent, *written] if any(secret in data for secret in secrets)]


FAILURES = [{"status": 401}, {"status": 500}, {"dies_at": "file_stream"}, {"dies_at": "CreateArtifactFiles"}]


@pytest.mark.parametrize("fails", FAILURES, ids=lambda fails: str(*fails.values()))
def test_a_server_that_fails_costs_no_run(folder, fails):
    patience = {"WANDB_INIT_TIMEOUT": "5", "WANDB_FINISH_TIMEOUT": "5"}
    with WandbStub(**fails) as server:
        done = run(server, folder, "abstain", "train", "tiny.yaml", *BOTH, **patience)
    assert done.returncode == 0
    assert json.loads((folder / "runs" / "tiny-0" / "state.json").read_text())["complete"][-1] == "after"
    said = [line for line in done.stderr.splitlines() if "left out" in line or "did not take" in line]
    # refused at both stages; gone during the first; gone during the second, whose run the results would have joined
    assert len(said) == (2 if "status" in fails else 1)
    assert all("CommError" in line and "WANDB_MODE=offline" in line for line in said)
    assert ("Timed out finishing run" in done.stderr) == ("dies_at" in fails)
    kept = [path.stat().st_size for path in folder.glob("runs/tiny-0/*/wandb/run-*/*.wandb")]
    assert bool(kept and max(kept) > 1000) or "status" in fails  # for `wandb sync`


def test_a_sweep_is_created_and_an_agent_runs_a_point(folder):
    with WandbStub() as server:
        created = run(server, folder, "abstain", "ablate", "grid.yaml", "--engine", "wandb", "--create")
        assert created.returncode == 0
        (sweep,) = server.sweeps
        assert sweep.pop("project") == "abstain"
        assert sweep == yaml.safe_load(created.stdout)  # nothing else is printed there
        *_, command = next(line for line in created.stderr.splitlines() if "wandb agent" in line).partition("wandb ")
        assert command == "agent us/abstain/sweep1" or command == "agent abstain/sweep1"
        done = run(server, folder, "wandb", *command.split(), "--count", "1")
    assert server.problems == [] and done.returncode == 0 and "did not take" not in done.stderr
    assert list(server.runs) == ["swept"]  # the results, too, join the agent's run
    point = server.runs["swept"]
    metrics = json.loads((folder / "runs" / "lr" / "swept" / "metrics.json").read_text())
    assert (point.config["rl.args.learning_rate"], point.config["seed"], point.exits) == (1e-4, 3, [0, 0])
    assert point.config["learning_rate"] == 1e-4 and point.config["abstain"]["recipe"]["seed"] == 3
    assert point.rows(SUMMARY)[-1]["results/mean_regret"] == pytest.approx(metrics["mean_regret"])


def test_a_search_looks_at_a_number_that_runs_report(folder, trained):
    with WandbStub() as server:
        assert run(server, folder, "abstain", "ablate", "search.yaml", "--engine", "wandb", "--create").returncode == 0
    (sweep,) = server.sweeps
    assert sweep["method"] == "bayes" and sweep["metric"]["goal"] == "maximize"
    assert sweep["metric"]["name"] in trained.rl.rows(SUMMARY)[-1]


def test_a_sweep_that_is_refused(folder):
    with WandbStub(status=401) as server:
        done = run(server, folder, "abstain", "ablate", "grid.yaml", "--engine", "wandb", "--create")
    assert done.returncode == 2 and "wandb did not create the sweep" in done.stderr
    assert KEY not in done.stdout + done.stderr and "Traceback" not in done.stderr
