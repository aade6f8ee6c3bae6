"""Presets, the interval for P(correct), fingerprints, and the table."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from abstain.evals.knowledge.fingerprint import fingerprint
from abstain.evals.knowledge.labels import About, Category, Label, Labels, count_categories
from abstain.evals.knowledge.probability import p_interval
from abstain.evals.knowledge.protocol import PRESETS, find_protocol
from abstain.evals.models import load_model
from abstain.evals.tables.labels import label_rows, render_labels, sentence


def test_presets_are_those_of_the_documentation() -> None:
    assert {name: one.most_answers for name, one in PRESETS.items()} == {
        "paper": 170,
        "categories": 170,
        "quick": 15,
        "greedy": 10,
    }
    assert all(name == one.preset for name, one in PRESETS.items())
    paper = PRESETS["paper"]
    assert (paper.prompts, paper.shots, paper.samples, paper.temperature, paper.top_k) == (10, 4, 16, 0.5, 40)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preset": "fast"}, r"unknown preset 'fast'\. Allowed: categories, greedy, paper, quick"),
        ({"promts": 3}, r"a protocol has no 'promts'\. Did you mean 'prompts'"),
        ({"prompts": 0}, "prompts=0 must be a whole number of at least 1"),
        ({"samples": 2.5}, r"samples=2\.5 must be a whole number of at least 0"),
        ({"shots": True}, "shots=True must be a whole number"),
        ({"temperature": 0.0}, r"temperature=0\.0 is not above 0; the greedy answers are asked for besides"),
        ({"grader": "exatc"}, "no grader is called 'exatc'. Did you mean 'exact'"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_protocol(**settings)


@pytest.mark.parametrize("p", [0.05, 0.3, 0.5])
@pytest.mark.parametrize("alike", [0.02, 0.3, 0.7])
def test_the_interval_holds_p_as_often_as_it_should(p: float, alike: float) -> None:
    """Also where answers to one prompt are alike, where 160 independent draws would hold it half as often."""
    rng = np.random.default_rng(0)
    of_prompts = rng.beta(p * (1 - alike) / alike, (1 - p) * (1 - alike) / alike, size=(600, 10))
    right = rng.binomial(16, of_prompts)
    ends = [p_interval(list(row), 16) for row in right]
    assert 0.9 <= np.mean([low <= p <= high for low, high in ends]) <= 1


def test_the_interval_by_hand() -> None:
    """One draw to a prompt: Jeffreys' Beta(3.5, 7.5); its quantiles are those of scipy."""
    assert p_interval([1, 1, 1, 0, 0, 0, 0, 0, 0, 0], 1) == pytest.approx((0.0927, 0.6058), abs=2e-3)
    assert p_interval([0] * 10, 16)[0] == 0 and p_interval([16] * 10, 16)[1] == 1
    mirrored = p_interval([16, 16, 3, 9], 16), p_interval([0, 0, 13, 7], 16)
    assert mirrored[0] == pytest.approx([1 - end for end in mirrored[1][::-1]], abs=1e-6)
    narrow, wide = p_interval([8] * 10, 16), p_interval([16] * 5 + [0] * 5, 16)
    assert wide[0] < narrow[0] < 0.5 < narrow[1] < wide[1]
    for right, draws in (([], 16), ([1], 0), ([17], 16), ([-1], 16)):
        with pytest.raises(ValueError):
            p_interval(right, draws)


def test_a_fingerprint_is_that_of_the_weights_in_any_format(tiny_model_dir: Path) -> None:
    whole, half = (load_model(tiny_model_dir, dtype=dtype).model for dtype in ("float32", "bfloat16"))
    assert fingerprint(whole) == fingerprint(half)
    again = copy.deepcopy(whole)
    again.train()
    assert fingerprint(again) == fingerprint(whole)


def test_a_fingerprint_changes_with_training(tiny_model_dir: Path) -> None:
    import torch

    model = load_model(tiny_model_dir).model
    before = fingerprint(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    model(torch.tensor([[3, 4, 5]]), labels=torch.tensor([[3, 4, 5]])).loss.backward()
    optimizer.step()
    assert fingerprint(model) != before


def row(number: int, category: Category, relation: str = "", p: float = 0.5) -> Label:
    shares: dict[str, Any] = {"p_greedy": p, "p_sampled": None, "p_correct": p, "p_low": 0, "p_high": 1}
    one = {"id": str(number), "task": "t", "relation": relation, "question": "Who?", "gold": ("Poe",)}
    return Label(**one, category=category, **shares, greedy=(1,), sampled=(), answers=("Poe",))


def labels_of(*rows: Label, **protocol: Any) -> Labels:
    counts = count_categories(rows)
    how = find_protocol(**protocol).as_dict()
    whose = {"model": "org/base", "fingerprint": "abc", "task": "geo", "task_options": {"kinds": ["a b"]}}
    return Labels(About(**whose, protocol=how, n=len(rows), counts=counts), rows)


def test_the_table_by_hand() -> None:
    high, maybe, unknown = Category.HIGHLY_KNOWN, Category.MAYBE_KNOWN, Category.UNKNOWN
    rows = (row(1, high, "b", 1), row(2, maybe, "b", 0.5), row(3, unknown, "a", 0), row(4, unknown, "a", 0))
    labels = labels_of(*rows)
    first, _, last = label_rows(labels)
    assert (first["relation"], first["n"], first["share_Unknown"], first["p_correct"]) == ("a", 2, 1.0, 0.0)
    assert (last["relation"], last["n"], last["HighlyKnown"], last["p_correct"]) == ("all", 4, 1, 0.375)
    assert json.loads(render_labels(labels, "json")) == label_rows(labels)
    for format in ("text", "markdown", "latex"):
        text = render_labels(labels, format)  # type: ignore[arg-type]
        assert "50.0%" in text.replace("\\", "") and max(map(len, render_labels(labels).splitlines())) <= 100
    assert "25\u00a0% of the questions rightly whichever" in sentence(labels)


def test_without_samples_nothing_is_called_weakly_known() -> None:
    labels = labels_of(row(1, Category.UNKNOWN), preset="greedy")
    (all_,) = label_rows(labels)
    assert all_["WeaklyKnown"] is None and all_["share_WeaklyKnown"] is None and all_["share_Unknown"] == 1
    assert "WeaklyKnown ones are among them" in render_labels(labels) and "samples" not in sentence(labels)
