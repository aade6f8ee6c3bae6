"""`abstain detect` and `detectors`, and what `--detector` makes of a file of detectors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abstain.evals.detectors.fitted import FILE, PROBABILITY, read_detectors
from abstain.evals.records import Record, read_records, write_records
from abstain.rewards.verdict import Verdict

NAMES = [f"P{i}" for i in range(96)]
TASK = ("--option", "held_out=0.25", "--option", "max_new_tokens=2", "--option", "grader=exact")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, make_tiny_model: Callable[..., Path]) -> Path:
    """A model that knows the words of `people`."""
    import torch

    torch.set_num_threads(1)
    return make_tiny_model(tmp_path_factory.mktemp("models") / "sure", words=[*NAMES, "Oslo", "Lima", "Rome"])


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """Questions of which the model's best guess to every other one is right."""
    from abstain.evals.models import load_model
    from abstain.evals.sampler import Sampler
    from abstain.rewards.prompts import prompt_text

    loaded = load_model(model)
    asked = [f"Where was {name} born?" for name in NAMES]
    said = Sampler(loaded.model, loaded.tokenizer).sample([prompt_text(one, 0) for one in asked], max_new_tokens=2)
    golds = [row[0].text.strip() if i % 2 else "nowhere at all" for i, row in enumerate(said)]
    rows = [
        {"id": n, "question": q, "answers": [g or "none"], "subject": n}
        for n, q, g in zip(NAMES, asked, golds, strict=True)
    ]
    path = tmp_path_factory.mktemp("data") / "people.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def found(abstain: Callable, model: Path, people: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """What `abstain detect` wrote, and printed."""
    out = tmp_path_factory.mktemp("results") / "detect"
    done = abstain("detect", model, "--data", people, *TASK, "--out", out, "--targets", "0,0.5", columns=200)
    return out, done.stdout


def test_detectors_of_a_model(found: tuple[Path, str]) -> None:
    out, shown = found
    assert {path.name for path in out.iterdir()} == {"detect.json", "detect.md", "detect.png", "detect.svg", FILE}
    stored = json.loads((out / "detect.json").read_text())
    names = {row["detector"] for row in stored["detectors"]}
    assert {
        PROBABILITY,
        "length",
        "attention",
        "hidden",
        "rauq",
        "probe",
        "is_it_valid",
        "combined",
        "cascade",
    } <= names
    policies = {row["policy"] for row in stored["overall"]}
    assert {"always answer", "threshold t", "conformal, answers", "samples agree"} <= policies
    assert all(row["regret"] is not None for row in stored["rows"]) and stored["n"] == 24
    assert "samples agree" in shown and "probe" in shown
    detectors = read_detectors(out)
    assert detectors.n == 72 and detectors.settings["convention"] == "paper"


def test_ask_and_eval_go_by_it(
    abstain: Callable, model: Path, people: Path, found: tuple[Path, str], tmp_path: Path
) -> None:
    out, _ = found
    done = abstain("ask", model, "Where was P1 born?", "--detector", out, "--target", "0.5")
    assert "sure that the best guess is right" in done.stdout and "detector:" in done.stderr
    name = f"{out / FILE}:msp"
    abstain("eval", model, "--data", people, *TASK, "--detector", name, "--targets", "0,0.5", "--out", tmp_path / "e")
    records = read_records(tmp_path / "e" / "records.jsonl")
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert metrics["instruct"] == "detector"
    for record in records:
        assert record.confidence is not None
        given = record.target == 0 or record.confidence > 0.5
        assert (record.verdict != "ABSTAINED") == given, record
    both = {(record.id, record.target): record.completion for record in records}
    assert all(both[id, 0.0] == both[id, 0.5] for id, _ in both)  # asked once


def test_another_model_is_refused(abstain: Callable, tiny_model: Path, people: Path, found: tuple[Path, str]) -> None:
    out, _ = found
    said = abstain("ask", tiny_model, "Where was P1 born?", "--detector", out, code=2).stderr
    assert "is another model" in said and "abstain detect" in said
    said = abstain("eval", tiny_model, "--data", people, *TASK, "--detector", out, "--audit", code=2).stderr
    assert "--audit asks whether a model goes by t" in said
    assert "not found" in abstain("ask", tiny_model, "Who?", "--detector", "nowhere", code=2).stderr


def test_whoever_is_asked_claim_by_claim_goes_by_no_detector(
    abstain: Callable, model: Path, people: Path, found: tuple[Path, str]
) -> None:
    out, _ = found
    whole = "--detector is about whole answers"
    claims = ("--detector", out, "--instruct", "claims")
    assert whole in abstain("ask", model, "Who is P1?", *claims, code=2).stderr
    assert whole in abstain("eval", model, "--data", people, *TASK, *claims, code=2).stderr
    said = abstain("eval", model, "--claims", people, "--detector", out, code=2).stderr
    assert "leave out --detector" in said


def test_records_of_claims_are_no_responses(abstain: Callable, tmp_path: Path) -> None:
    claims = [
        Record(
            f"mo#{i}", "people", "Who is Mo?", (gold,), 0, "Who is Mo?", "Born in Oslo.", "Oslo", Verdict.CORRECT, 0.5
        )
        for i, gold in enumerate(("Mo | born in | Oslo", "Mo | works as | Potter"))
    ]
    write_records(tmp_path / "records.jsonl", claims)
    assert "records of claims, several to a response" in abstain("detect", tmp_path, code=2).stderr


def test_a_detector_judges_answers_from_documents(
    abstain: Callable, model: Path, people: Path, found: tuple[Path, str], tmp_path: Path
) -> None:
    out, _ = found
    done = abstain("ask", model, "Where was P1 born?", "--document", "P1 was born in Oslo.", "--detector", out)
    assert "sure that the best guess is right" in done.stdout
    rows = [json.loads(line) for line in people.read_text().splitlines()]
    asked = tmp_path / "asked.jsonl"
    asked.write_text("".join(json.dumps(row | {"context": f"{row['id']} was born in Oslo."}) + "\n" for row in rows))
    given = ("--data", asked, *TASK, "--option", "documents_column=context", "--targets", "0,0.5")
    abstain("eval", model, *given, "--detector", f"{out / FILE}:msp", "--out", tmp_path / "e")
    assert all(one.prompt.startswith("> ") for one in read_records(tmp_path / "e" / "records.jsonl"))
    metrics = json.loads((tmp_path / "e" / "metrics.json").read_text())
    assert metrics["instruct"] == "detector" and metrics["by_documents"][0]["documents"] == "given"


def test_records_and_a_trained_policy(
    abstain: Callable, model: Path, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Path("run")
    abstain("eval", model, "--data", people, "--option", "held_out=0.9", *TASK[2:], "--targets", "0,0.5", "--out", run)
    said = abstain("detect", run / "records.jsonl", "--scorer", model, "--format", "json", "--targets", "0.5").stdout
    stored = json.loads(said)
    assert stored["scorer"] and {PROBABILITY, "attention"} <= {row["detector"] for row in stored["detectors"]}
    texts = json.loads(abstain("detect", run, "--format", "json").stdout)  # without a model: what text and records say
    assert {row["detector"] for row in texts["detectors"]} >= {PROBABILITY, "length"}
    assert any("give --scorer MODEL" in note for note in texts["notes"])
    few = ("--option", "held_out=0.25", *TASK[2:], "--policy", run, "--targets", "0,0.5")
    asked = abstain("detect", model, "--data", people, *few, "--format", "json", "--scores", "msp", "--limit", "20")
    found = json.loads(asked.stdout)
    assert "trained policy" in {row["policy"] for row in found["overall"]} and found["equal_coverage"]


def test_labelled_responses_of_a_file(abstain: Callable, model: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"prompt": f"Where was {name} born?", "response": city, "error": bool(wrong), "documents": [doc], "id": name}
        for name in NAMES[:40]
        for city, wrong, doc in (("Oslo", 1, "Lima is big"), (str(rng.choice(["Lima", "Rome"])), 0, "Lima and Rome"))
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    stored = json.loads(abstain("detect", file, "--scorer", model, "--format", "json").stdout)
    assert stored["n"] == 40 and stored["reference"] == "msp"
    assert "retrieval" in {row["detector"] for row in stored["detectors"]}
    assert "Leave it out" in abstain("detect", file, "--task", "geo", code=2).stderr
    assert "no such file" in abstain("detect", tmp_path / "no.jsonl", code=2).stderr


def test_what_is_wrong_with_the_input_is_said_before_a_model_is_loaded(
    abstain: Callable, people: Path, tmp_path: Path
) -> None:
    """There is no such model, which nobody gets to hear."""
    few = tmp_path / "few.jsonl"
    few.write_text(json.dumps({"prompt": "Who?", "response": "Bo", "error": True}) + "\n")
    said = abstain("detect", few, "--scorer", tmp_path / "no-model", code=2).stderr
    assert "here are 1, 0 of them right" in said and "no-model" not in said
    few.write_text(json.dumps({"prompt": "Who?", "response": "Bo", "error": "maybe"}) + "\n")
    said = abstain("detect", few, "--scorer", tmp_path / "no-model", "--nli", "no-nli", code=2).stderr
    assert "error is 'maybe'" in said and "no-model" not in said
    said = abstain("detect", tmp_path / "no-model", "--data", tmp_path / "no-data.jsonl", code=2).stderr
    assert "no-data.jsonl" in said and "no-model" not in said
    options = ("--data", people, *TASK)
    said = abstain("detect", tmp_path / "no-model", *options, "--policy", tmp_path / "no-run", code=2).stderr
    assert "no-run" in said and "no-model" not in said
    assert "no-model" in abstain("detect", tmp_path / "no-model", *options, code=2).stderr


def test_wrong_names(abstain: Callable, tiny_model: Path, people: Path) -> None:
    said = abstain("detect", tiny_model, "--data", people, "--scores", "perplexiti", code=2).stderr
    assert "unknown detector 'perplexiti'. Did you mean 'perplexity'" in said
    said = abstain("detectors", "attn", code=2).stderr
    assert "unknown detector 'attn'" in said


def test_the_list(abstain: Callable) -> None:
    rows = json.loads(abstain("detectors", "--format", "json").stdout)
    by_name: dict[str, Any] = {row["detector"]: row for row in rows}
    assert by_name["attention"]["must see"] == "attention" and by_name["perplexity"]["must see"] == "logprobs"
    assert by_name["selfcheck_nli"]["another model"] == "an NLI model" and by_name["probe"]["learned"] == "yes"
    shown = abstain("detectors", "hidden").stdout
    assert "LLM-Check" in shown and "equation" in shown


def test_a_recipe_whose_detector_is_not_there(abstain: Callable, recipe: Path) -> None:
    said = abstain("train", recipe, "sft.idk=detector", "sft.detector=nowhere", code=2).stderr
    assert "nowhere" in said and "not found" in said
    assert "go together" in abstain("train", recipe, "sft.idk=detector", code=2).stderr
