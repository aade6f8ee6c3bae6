"""No pattern that reads a stranger's text may take more than linear time: each is fed with texts of growing length."""

import importlib
import json
import pkgutil
import re
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import abstain.rewards

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
PACKAGE = Path(abstain.rewards.__file__).parent
UNITS = [*json.loads((GOLDEN / "hostile.json").read_text(encoding="utf-8"))["units"]]
UNITS += [
    "a",
    "A ",
    "1",
    "1,",
    "1 ",
    "( ",
    "[",
    "{",
    "<",
    "\\",
    "\n",
    " ",
    "。",
    "、",
    "あ",
    "の",
    "と",
    "one ",
    "not ",
    "is ",
    "i am ",
]
UNITS += [
    "dwpN",
    "G,",
    "ha",
    "hv",
    "!N",
    "q",
    "N",
    "c",
    "9",
    "(v",
    "p",
    "wg",
]  # the parts that a grammar is written in
UNITS = [*dict.fromkeys(UNITS)]
ANCHORED = frozenset({"match", "fullmatch"})
SOURCES = {
    ".".join(path.relative_to(PACKAGE).parts): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")
}


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every compiled pattern of a module of `abstain.rewards`, by its name."""
    for module in pkgutil.walk_packages(abstain.rewards.__path__, "abstain.rewards."):
        for name, value in vars(importlib.import_module(module.name)).items():
            rows = value if isinstance(value, list | tuple) else value.values() if isinstance(value, dict) else [value]
            for i, row in enumerate(rows):
                if isinstance(row, re.Pattern) and isinstance(row.pattern, str):
                    yield f"{module.name.removeprefix('abstain.rewards.')}.{name}[{i}]", row


FOUND = dict(patterns())


@cache
def uses(name: str) -> frozenset[str]:
    """How a pattern is tried: at one place of a text ("match", "fullmatch"), or everywhere in it."""
    module, _, bare = name.partition("[")[0].rpartition(".")
    if module == "graders.frame" and bare in ("_NAMED", "_COMMON", "_COUNTED"):
        return ANCHORED  # one of the three, by the kind of the answer
    sources = [SOURCES[f"{module}.py"]] if bare.startswith("_") and f"{module}.py" in SOURCES else SOURCES.values()
    found = {use for text in sources for use in re.findall(rf"\b{bare}\b(?:\[[^\]]*\])?\.(\w+)", text)}
    return frozenset(found) if found else frozenset({"finditer"})


def seconds(name: str, text: str) -> float:
    """The least of two tries: what else runs on the machine only ever adds."""
    pattern, tries = FOUND[name], []
    for _ in range(2):
        start = time.process_time()
        for use in ANCHORED & uses(name):
            getattr(pattern, use)(text)
        for _ in pattern.finditer(text) if uses(name) - ANCHORED else ():
            pass
        tries.append(time.process_time() - start)
    return min(tries)


def is_linear(name: str, unit: str, short: int, long: int, noise: float) -> bool:
    """Whether the longer text takes about as much longer as it is longer; a quadratic pattern takes the square."""
    texts = [(unit * (n // len(unit) + 1))[:n] + "!" for n in (short, long)]
    limit = 3 * (long / short) * seconds(name, texts[0]) + noise
    return any(seconds(name, texts[1]) < limit for _ in range(3))


@pytest.mark.parametrize("name", FOUND)
def test_a_pattern_takes_linear_time(name: str) -> None:
    for unit in UNITS:
        assert is_linear(name, unit, 100, 800, 0.004), unit


@pytest.mark.slow
@pytest.mark.parametrize("name", FOUND)
def test_a_pattern_takes_linear_time_for_long_texts(name: str) -> None:
    for unit in UNITS:
        assert is_linear(name, unit, 2_000, 16_000, 0.02), unit


def test_there_are_patterns_to_test() -> None:
    assert len(FOUND) > 50
    assert uses("graders.prose_numbers._OR[0]") == {"fullmatch"}
    assert uses("parsing.confidence._HINT[0]") == {"search"}
