"""docs/walkthrough.py stays short, uses the rewards only, and ends with abstention rising with t on new questions."""

import ast
import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

FILE = Path(__file__).resolve().parents[2] / "docs" / "walkthrough.py"


@pytest.fixture
def walkthrough() -> ModuleType:
    spec = importlib.util.spec_from_file_location("walkthrough", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def test_it_can_be_read_in_one_go() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    modules = {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name.startswith("abstain")} == {"abstain.rewards", "abstain.rewards.prompts"}


def check(rows: list, *, error: float) -> None:
    abstained = [row.abstained for row in rows]
    assert abstained[0] < 0.1 and abstained[-1] > abstained[0] + 0.25
    assert all(high > low - 0.03 for low, high in pairwise(abstained))
    assert rows[-1].wrong < error * rows[0].wrong
    assert all(row.score > row.always_answer + 0.05 for row in rows[2:])
    assert all(row.score > -0.1 for row in rows)
    seldom, often = rows[2].by_mentions[0], rows[2].by_mentions[8]
    assert seldom > often + 0.4  # not at random: whom it knows, it answers about


def test_every_part_runs(walkthrough: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few steps teach nothing yet: all answer at first, then all abstain, and only then do targets part."""
    for name, value in {"PEOPLE": 400, "HELD_OUT": 80, "SFT_STEPS": 4, "RL_STEPS": 2}.items():
        monkeypatch.setattr(walkthrough, name, value)
    rows = walkthrough.main()
    assert [row.target for row in rows] == list(walkthrough.TARGETS)
    assert all(row.abstained + row.right + row.wrong == pytest.approx(1) for row in rows)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_abstention_rises_with_the_target(walkthrough: ModuleType, seed: int) -> None:
    check(walkthrough.main(seed), error=0.15)
