"""Files of labelled claims: FActScore's, RefChecker's, plain ones, and what is wrong with them."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from abstain.evals.claims.files import Labelled, LabelledAnswer, LabelledClaim, looks_labelled, read_labelled
from abstain.evals.claims.labelled import checked_by, measure_labelled, with_confidence_of
from abstain.evals.claims.nli import NliChecker
from abstain.evals.claims.plot import length_plot
from abstain.evals.claims.tables import render_labelled
from abstain.rewards.claims.claim import Claim, Extraction, Said, Support

E, N, C, U = Support.ENTAILMENT, Support.NEUTRAL, Support.CONTRADICTION, Support.UNCHECKED


def fact(text: str, label: str) -> dict[str, str]:
    return {"text": text, "label": label}


FACTSCORE = [
    {
        "input": "Question: Tell me a bio of Ada.",
        "output": "Ada is a poet. She lives in Lima.",
        "topic": "Ada",
        "annotations": [
            {"text": "Ada is a poet.", "is-relevant": True, "human-atomic-facts": [fact("Ada is a poet.", "S")]},
            {"text": "She lives in Lima.", "human-atomic-facts": [fact("Ada lives in Lima.", "NS")]},
            {"text": "Hello!", "is-relevant": False, "human-atomic-facts": None},
        ],
    },
    {"output": "Bo writes.", "topic": "Bo", "annotations": [{"human-atomic-facts": [fact("x", "IR")]}]},
    {"output": "", "topic": "Cy", "annotations": None},
    {"output": "Di was born in Rome.", "topic": "Di", "annotations": None},
]
REFCHECKER = [
    {
        "id": "1",
        "response": "Silk and wool are made of proteins.",
        "claude2_response_kg": [
            {"triplet": ["silk", "made of", "proteins"], "human_label": "Entailment"},
            {"triplet": ["wool", "made of", "proteins"], "human_label": "Neutral"},
            {"triplet": ["Wool", "made of", "proteins"], "human_label": "Contradiction"},
        ],
    },
    {"id": "2", "response": "I cannot say.", "claude2_response_kg": []},
]


def lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_factscore(tmp_path: Path) -> None:
    path = lines(tmp_path / "ChatGPT.jsonl", FACTSCORE)
    found = read_labelled(path)
    assert looks_labelled(path) and found.name == "ChatGPT" and found.irrelevant == 1 and not found.problems
    assert [None if one.claims is None else [c.support for c in one.claims] for one in found.answers] == [
        [E, N],
        [],
        [],
        None,
    ]
    numbers = measure_labelled(found, [0.5])
    assert (numbers["n"], numbers["silent"], numbers["ungraded"], numbers["claims"]) == (4, 2, 1, 2)
    assert numbers["strict"] == pytest.approx(
        {"Entailment": 0, "Neutral": 1 / 3, "Contradiction": 0, "Unchecked": 0, "Abstain": 2 / 3}
    )
    assert numbers["soft"] == pytest.approx(
        {"Entailment": 1 / 6, "Neutral": 1 / 6, "Contradiction": 0, "Abstain": 2 / 3}
    )
    (row,) = numbers["by_target"]
    assert row["score"] == 0 and row["points_per_answer"] == 0 and row["correct"] == 0.5


def test_factscore_predictions(tmp_path: Path) -> None:
    row = {"topic": "Ada", "output": "…", "facts": ["a", "b"], "ChatGPT_Labels": None, "LLAMA+NP_Labels": ["S", "NS"]}
    path = lines(tmp_path / "p.jsonl", [row])
    assert looks_labelled(path)
    assert [claim.support for claim in read_labelled(path).answers[0].claims] == [E, N]


def test_refchecker(tmp_path: Path) -> None:
    path = tmp_path / "nq.json"
    path.write_text(json.dumps(REFCHECKER, indent=4), encoding="utf-8")
    found = read_labelled(path, "claude")
    assert looks_labelled(path) and found.repeated == 1
    silk, wool = found.answers[0].claims
    assert silk.claim == Claim("silk", "made of", "proteins") and silk.support is E
    assert wool.support is C, "of two labels of a claim the worse one stays"
    assert found.answers[1].claims == () and measure_labelled(found)["silent"] == 1


def test_plain_rows_with_confidence(tmp_path: Path) -> None:
    claims = [
        {"claim": "a", "label": "supported", "confidence": 0.9},
        {"claim": "b", "label": True, "confidence": 0.8},
        {"claim": "c", "label": "Refuted", "confidence": 0.3},
        {"triplet": ["x", "y", "z"], "label": 0, "p": 2},
    ]
    path = lines(tmp_path / "m.jsonl", [{"id": 7, "question": "Who?", "response": "…", "claims": claims}])
    found = read_labelled(path)
    assert [claim.support for claim in found.answers[0].claims] == [E, E, C, C]
    assert found.problems == {"confidence outside [0, 1]": 1}
    numbers = measure_labelled(found, [0, 0.5])
    rows = {(row["target"], row["policy"]): row["points_per_answer"] for row in numbers["by_target"]}
    assert rows == {
        (0, "all claims"): 2,
        (0, "confidence > t"): 2,
        (0.5, "all claims"): 0,
        (0.5, "confidence > t"): 2,
    }
    assert numbers["confidence_n"] == 3 and numbers["auroc"] == 1.0 and numbers["aurc"] == pytest.approx(1 / 9)


def test_bad_rows_cost_nothing_but_themselves(tmp_path: Path) -> None:
    rows = [
        FACTSCORE[0],
        "{broken",
        "[1, 2]",
        {"nothing": 1},
        {"claims": [{"claim": "x", "label": "perhaps"}, {"claim": "  "}, 5, None]},
        {"claims": "none", "response": "I don't know."},
        {"id": "long", "response": "Ada was born in Rome."},
    ]
    found = read_labelled(lines(tmp_path / "bad.jsonl", rows))
    assert len(found.answers) == 4
    assert found.problems["not JSON"] == 2 and found.problems["row without claims or an answer"] == 1
    assert found.problems["unknown label 'perhaps'"] == 1 and found.problems["claim without words"] == 3
    assert found.answers[1].claims[0].support is U and found.answers[2].claims == ()
    assert found.answers[3].claims is None and measure_labelled(found)["ungraded"] == 1


def test_files_that_hold_no_claims(tmp_path: Path) -> None:
    other = lines(tmp_path / "log.jsonl", [{"id": 1, "grade": 1}])
    assert not looks_labelled(other) and not looks_labelled(tmp_path / "none.jsonl")
    assert not looks_labelled(lines(tmp_path / "a.csv", ["claims"]))
    with pytest.raises(ValueError, match="row without claims or an answer"):
        read_labelled(other)
    with pytest.raises(FileNotFoundError, match="no such file of labelled claims"):
        read_labelled(tmp_path / "none.jsonl")


def made(*labels: Support, confidence: Sequence[float | None] | None = None) -> LabelledAnswer:
    sure = confidence or [None] * len(labels)
    claims = tuple(
        LabelledClaim(Claim("", "", f"c{place}"), label, q)
        for place, (label, q) in enumerate(zip(labels, sure, strict=True))
    )
    return LabelledAnswer("a", "", "…", claims)


def test_one_false_claim_costs_a_long_answer_all() -> None:
    ten = Labelled("m", [made(*[E] * 9, C), made(E), made()])
    found = measure_labelled(ten, [0.5, 0.9])
    assert found["strict"]["Entailment"] == pytest.approx(1 / 3) and found["soft"]["Entailment"] == pytest.approx(
        1.9 / 3
    )
    half, nine = found["by_target"]
    assert half["points_per_answer"] == pytest.approx((10 - 1) / 3)
    assert nine["points_per_answer"] == pytest.approx((10 - 9) / 3)
    assert [(row["claims"], row["strict"], row["soft"]) for row in found["by_length"]] == [
        ("1", 1.0, 1.0),
        ("9–16", 0.0, 0.9),
    ]
    with pytest.raises(ValueError, match="outside"):
        measure_labelled(ten, [75])


def test_nothing_to_count_is_no_zero() -> None:
    found = measure_labelled(Labelled("m", [LabelledAnswer("a", "", "text", None)]), [0.5])
    assert found["strict"]["Entailment"] is None and found["soft"]["Entailment"] is None
    assert found["by_target"][0]["score"] is None and found["by_target"][0]["points_per_answer"] is None
    assert found["by_length"] == [] and length_plot([found]) is None
    assert "–" in render_labelled([found])


@pytest.mark.parametrize("format", ["text", "markdown", "latex", "csv", "json"])
def test_tables(format: str) -> None:
    found = measure_labelled(Labelled("m", [made(E, C, confidence=[0.9, 0.2])]), [0.5])
    text = render_labelled([found, found], format)  # type: ignore[arg-type]
    assert "confidence > t" in text or format == "latex"
    if format == "json":
        assert json.loads(text)[0]["supported"] == 1


def test_the_picture_says_its_numbers(tmp_path: Path) -> None:
    found = measure_labelled(Labelled("m", [made(E, E), made(E, C), made(E)]), [0.5])
    plot = length_plot([found])
    assert plot is not None and "m: 100% of answers with 1 and 50% of answers with 2" in plot.alt
    assert {path.suffix for path in plot.save(tmp_path)} == {".svg", ".png"}


def test_somebody_else_is_asked_how_sure_it_is() -> None:
    labelled = Labelled("m", [made(E, C), made(), LabelledAnswer("b", "", "…", None)])
    told = with_confidence_of(labelled, [[0.9, 0.1]])
    assert [claim.confidence for claim in told.answers[0].claims or ()] == [0.9, 0.1]
    assert told.answers[2].claims is None


class Rules:
    """An extractor that fails on some answers, and a checker that goes by words."""

    def extract(self, questions: Sequence[str], answers: Sequence[str]) -> list[Extraction | None]:
        return [
            None if "?" in answer else Extraction(tuple(Said(Claim("", "", one), one, 0, 0) for one in answer.split()))
            for answer in answers
        ]

    def check(self, claims: Sequence[Claim], references: Sequence[Sequence[str]]) -> list[Support]:
        return [E if claim.object in texts[0] else C for claim, texts in zip(claims, references, strict=True)]


def test_claims_without_labels_are_checked_and_answers_taken_apart() -> None:
    labelled = Labelled(
        "m",
        [
            LabelledAnswer("a", "", "lima rome", None, ("lima",)),
            LabelledAnswer("b", "", "what?", None, ("lima",)),
            LabelledAnswer("c", "", "…", (LabelledClaim(Claim("", "", "oslo"), U),), ()),
            LabelledAnswer("d", "", "…", (LabelledClaim(Claim("", "", "rome"), N),), ("rome",)),
        ],
    )
    done = checked_by(labelled, Rules(), Rules())
    assert [None if one.claims is None else [c.support for c in one.claims] for one in done.answers] == [
        [E, C],
        None,
        [U],
        [N],
    ]
    assert measure_labelled(done)["ungraded"] == 1 and measure_labelled(done)["unchecked"] == 1


class Inference:
    """As a sequence classifier of transformers, which looks for words."""

    config = SimpleNamespace(id2label={0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"})
    device = "cpu"

    def __call__(self, pairs: list[tuple[str, str]]) -> SimpleNamespace:
        rows = [[0, 0, 1] if c in r else [1, 0, 0] if "not" in r else [0, 1, 0] for r, c in pairs]
        return SimpleNamespace(logits=torch.tensor(rows, dtype=torch.float))


class Pairs(dict):
    def to(self, device: str) -> "Pairs":
        return self


def pair(references: list[str], claims: list[str], **_: Any) -> Pairs:
    return Pairs(pairs=list(zip(references, claims, strict=True)))


def test_a_model_of_inference_is_a_checker() -> None:
    checker = NliChecker(Inference(), pair, batch=2)
    claims = [Claim("", "", text) for text in ("Ada sings", "Ada sings", "Ada sings", "Ada sings", "Ada sings")]
    references = [["Ada sings."], ["Ada does not."], ["Bo."], ["Bo.", "Ada sings."], []]
    assert checker.check(claims, references) == [E, C, N, E, U]
    other = Inference()
    other.config = SimpleNamespace(id2label={0: "positive", 1: "negative"})
    with pytest.raises(ValueError, match="no model of inference"):
        NliChecker(other, pair)


@pytest.mark.skipif("REFCHECKER" not in os.environ, reason="$REFCHECKER does not name benchmark/human_annotations_v1")
def test_the_totals_of_refchecker() -> None:
    files = sorted(Path(os.environ["REFCHECKER"]).rglob("*_answers.json"))
    raw = [claim for file in files for row in json.loads(file.read_text()) for claim in row["claude2_response_kg"]]
    labels = Counter(claim["human_label"] for claim in raw)
    assert (len(raw), labels["Entailment"], labels["Neutral"], labels["Contradiction"]) == (10_733, 7_176, 2_622, 935)
    read = [read_labelled(file) for file in files]
    assert sum(len(one.answers) for one in read) == 2_100
    assert sum(one.repeated + sum(len(answer.claims or ()) for answer in one.answers) for one in read) == 10_733
