"""docs/walkthrough.py, the first file that newcomers read: short, on its own feet, and it does what it promises."""

import ast
import importlib.util
import random
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
import torch

FILE = Path(__file__).parents[2] / "docs" / "walkthrough.py"
SMALL = {"PEOPLE": 4000, "HELD_OUT": 1000, "TARGETS": (0, 0.5, 0.75), "SFT_STEPS": 250, "RL_STEPS": 200}


@pytest.fixture
def walkthrough(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The file as a module, on one thread: two are hardly faster alone, and much slower on a busy machine."""
    spec = importlib.util.spec_from_file_location("walkthrough", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "walkthrough", module)
    spec.loader.exec_module(module)
    threads, state = torch.get_num_threads(), random.getstate()
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        yield module
    torch.set_num_threads(threads)
    random.setstate(state)


def check_table(module: ModuleType, printed: str) -> None:
    """The columns that the docstring shows are those that are printed, and none is wider than its numbers."""
    table = printed[printed.index("   t  ") :].splitlines()
    assert table[0] in module.__doc__
    assert len(table) == 1 + len(module.TARGETS)
    assert {len(line) for line in table} == {len(table[0])}


def check_rows(module: ModuleType, rows: list, gap: float) -> None:
    """What holds at every size: "I don't know" takes the place of wrong answers, the more the higher the target."""
    assert [row.target for row in rows] == list(module.TARGETS)
    for row in rows:
        assert row.abstained + row.right + row.wrong == pytest.approx(1)
        assert row.score == pytest.approx(row.right - row.wrong * row.target / (1 - row.target))
    first, last = rows[0], rows[-1]
    assert first.abstained < 0.05
    assert first.right > first.always_answer - 0.08  # at t = 0 both count right answers: little was forgotten
    for low, high in pairwise(rows):
        assert high.abstained > low.abstained - 0.02
        assert high.score > high.always_answer
    assert last.abstained > first.abstained + 0.2
    unknown, *_, known = last.by_mentions.values()
    assert unknown > known + gap  # it is those whom it never read about


@pytest.mark.slow
def test_abstention_rises_with_the_target(
    walkthrough: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A smaller world, shorter training and fewer targets: some 25 seconds."""
    for name, value in SMALL.items():
        monkeypatch.setattr(walkthrough, name, value)
    rows = walkthrough.main()
    check_rows(walkthrough, rows, gap=0.1)
    check_table(walkthrough, capsys.readouterr().out)
    assert rows[-1].wrong < 0.3 * rows[0].wrong
    assert rows[-1].score > rows[-1].always_answer + 0.3


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_whole_walkthrough(walkthrough: ModuleType, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    rows = walkthrough.main(seed)
    check_rows(walkthrough, rows, gap=0.3)
    check_table(walkthrough, capsys.readouterr().out)
    assert rows[-1].abstained > 0.3
    assert rows[-1].right > 0.25  # it does not just abstain
    assert rows[-1].wrong < 0.1 * rows[0].wrong
    assert rows[-1].score > max(0.15, rows[-1].always_answer + 1.5)


def test_it_fits_on_a_few_pages() -> None:
    assert len(FILE.read_text().splitlines()) <= 300


def test_it_imports_rewards_torch_and_transformers_only() -> None:
    """Of abstain the rewards only, so that nothing of the idea is out of sight."""
    imported = set()
    for node in ast.walk(ast.parse(FILE.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None
            imported.add(node.module)
    ours = {name for name in imported if name.split(".")[0] == "abstain"}
    assert ours == {"abstain.rewards", "abstain.rewards.prompts"}
    others = {name.split(".")[0] for name in imported - ours} - sys.stdlib_module_names
    assert others == {"torch", "transformers"}
