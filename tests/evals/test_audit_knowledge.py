"""What an audit says of what was known: by hand, and no more than its intervals allow."""

import json
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.audit.findings import Audit, audit, read_audit
from abstain.evals.audit.knowledge import by_knowledge, knowledge_verdict
from abstain.evals.audit.sources import own_source
from abstain.evals.audit.tables import render_audit
from abstain.evals.metrics.by_category import split_by_category
from abstain.evals.metrics.intervals import share_interval
from abstain.evals.metrics.measuring import measure
from abstain.evals.records import Record
from abstain.rewards.verdict import Verdict

N = 40
SAID = {"HighlyKnown": (36, 0, 4), "Unknown": (2, 6, 32)}  # right, wrong and abstained at t = 0.5
CATEGORIES = {f"{name}-{place}": name for name in SAID for place in range(N)}


def records(said: dict[str, tuple[int, int, int]] = SAID) -> list[Record]:
    def row(id: str, verdict: Verdict, target: float) -> Record:
        return Record(id, "toy", "Where?", ("Lima",), target, f"t = {target}", "Lima", "Lima", verdict, 0.5)

    kinds = (Verdict.CORRECT, Verdict.INCORRECT, Verdict.ABSTAINED)
    verdicts = {name: [kind for kind, n in zip(kinds, said[name], strict=True) for _ in range(n)] for name in said}
    half = [row(f"{name}-{i}", verdicts[name][i], 0.5) for name in said for i in range(len(verdicts[name]))]
    return [row(one.id, Verdict.CORRECT, 0.0) for one in half] + half


def found(labels: dict[str, str] | None = CATEGORIES, **options: Any) -> dict[str, Any]:
    said = records(**options)
    metrics = measure(said, model="m", task="toy") | split_by_category(said, labels) | {"labels_of": "base"}
    return audit(metrics, said, own_source("m", [one for one in said if one.target == 0]), resamples=10)


def test_shares_by_hand() -> None:
    known = found()["knowledge"]
    assert (known["labels_of"], known["highly_known"], known["unknown"]) == ("base", N, N)
    (row,) = [row for row in known["by_target"] if row["target"] == 0.5]
    names = ("known_refused", "unknown_refused", "unknown_answered", "unknown_wrong")
    assert [row[name] for name in names] == pytest.approx([0.1, 0.8, 0.2, 0.75])
    for name, part, whole in zip(names, (4, 32, 8, 6), (N, N, N, 8), strict=True):
        assert row[f"{name}_ci"] == pytest.approx([float(end) for end in share_interval(part, whole)])


def test_the_verdict_and_the_table() -> None:
    whole = found()
    low, high = (100 * float(end) for end in share_interval(4, N))
    verdict = whole["knowledge"]["verdict"]
    assert verdict.startswith(
        f"Of what base knew well it refuses 10.0% [{low:.1f}, {high:.1f}] at t = 0.5, and of what"
    )
    assert "it answers 20.0% [" in verdict and "measurably" not in verdict
    text = render_audit(whole)
    assert "Of what base knew well it refuses" in text and "knew well, did not know," in " ".join(text.split())
    assert "known_refused_ci_low" in render_audit(whole, "csv").splitlines()[0]
    assert json.loads(render_audit(whole, "json"))["knowledge"] == whole["knowledge"]


def test_what_is_refused_alike_is_said_to_be() -> None:
    alike = found(said={"HighlyKnown": (20, 0, 20), "Unknown": (0, 18, 22)})["knowledge"]["verdict"]
    assert alike.endswith("At t = 0.5 it does not refuse the second measurably more often than the first.")


def test_few_questions_are_no_verdict() -> None:
    few = {"HighlyKnown": (5, 0, 0), "Unknown": (0, 18, 22)}
    assert found(said=few)["knowledge"]["verdict"] == (
        "There is no verdict by what base knew: 5 questions that base knew well are too few for one."
    )
    missing = found(said={"MaybeKnown": (9, 0, 0), "Unknown": (0, 1, 1)}, labels={"Unknown-0": "Unknown"})
    assert "0 questions that base knew well and 1 question that" in missing["knowledge"]["verdict"]
    row = missing["knowledge"]["by_target"][0]
    assert row["known_refused"] is None and "–" in render_audit(missing)


def test_a_target_above_zero_is_needed() -> None:
    only = {"labels_of": None, "highly_known": N, "unknown": N, "by_target": [{"target": 0.0}]}
    assert knowledge_verdict(only) == "What it does with what the labelled model knew takes a target above 0 to say."


@pytest.mark.parametrize("labels", [None, {}, {"HighlyKnown-0": "MaybeKnown"}])
def test_without_labels_there_is_no_word_of_it(labels: Any, tmp_path: Path) -> None:
    plain = found(labels=labels)
    assert "knowledge" not in plain and "knew" not in render_audit(plain)
    assert by_knowledge({"by_category": None}) is None


def test_a_saved_audit_has_it(tmp_path: Path) -> None:
    Audit(found(), {}).save(tmp_path)
    assert read_audit(tmp_path)["knowledge"] == found()["knowledge"]
    assert "Of what base knew well" in (tmp_path / "audit.md").read_text()
