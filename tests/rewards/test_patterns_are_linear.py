"""No pattern that reads a stranger's text may take more than linear time: each is fed with texts of growing length."""

import importlib
import json
import pkgutil
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import abstain.rewards

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
UNITS = [*json.loads((GOLDEN / "hostile.json").read_text(encoding="utf-8"))["units"]]
UNITS += ["a", "A ", "1", "1,", "1 ", "( ", "[", "{", "<", "\\", "\n", " ", "。", "、", "あ", "の", "と", "one ", "not ", "is ", "i am "]
UNITS += ["dwpN", "G,", "ha", "hv", "!N", "q", "N", "c", "9", "(v", "p", "wg"]  # the parts that a grammar is written in


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every compiled pattern of a module of `abstain.rewards`, by its name."""
    for module in pkgutil.walk_packages(abstain.rewards.__path__, "abstain.rewards."):
        for name, value in vars(importlib.import_module(module.name)).items():
            rows = value if isinstance(value, list | tuple) else value.values() if isinstance(value, dict) else [value]
            for i, row in enumerate(rows):
                if isinstance(row, re.Pattern) and isinstance(row.pattern, str):
                    yield f"{module.name.removeprefix('abstain.rewards.')}.{name}[{i}]", row


FOUND = dict(patterns())


def seconds(pattern: re.Pattern[str], text: str) -> float:
    """The least of two tries: what else runs on the machine only ever adds."""
    tries = []
    for _ in range(2):
        start = time.process_time()
        pattern.fullmatch(text)
        for _ in pattern.finditer(text):
            pass
        tries.append(time.process_time() - start)
    return min(tries)


@pytest.mark.parametrize("name", FOUND)
def test_a_pattern_takes_linear_time(name: str) -> None:
    """Eight times the text may take eight times as long, with room for noise; a quadratic pattern takes 64 times."""
    for unit in UNITS:
        short, long = ((unit * (n // len(unit) + 1))[:n] + "!" for n in (1_000, 8_000))
        limit = 24 * seconds(FOUND[name], short) + 0.05
        assert seconds(FOUND[name], long) < limit or seconds(FOUND[name], long) < limit, unit


def test_there_are_patterns_to_test() -> None:
    assert len(FOUND) > 50
