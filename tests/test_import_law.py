"""rewards <- evals <- trainers <- recipes: a folder imports only itself and what stands to its left."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = ["rewards", "evals", "trainers", "recipes"]
HEAVY = {"torch", "transformers", "trl", "datasets", "peft", "accelerate"}
MODULES = sorted(path for folder in ORDER for path in (ROOT / folder).rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_left(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    allowed = ORDER[: ORDER.index(folder) + 1]
    for module in imported_modules(path):
        if module.split(".")[0] == "abstain":
            assert module.split(".")[1] in allowed, f"{folder}/ must not import {module}"
        assert module.split(".")[0] not in ORDER, f"{path}: import abstain.{module}, not {module}"
        assert folder != "rewards" or module.split(".")[0] not in HEAVY, f"rewards/ must stay light: {module}"


def test_rewards_load_without_torch() -> None:
    heavy = "{'torch', 'transformers', 'trl', 'datasets', 'math_verify', 'sympy', 'scipy', 'pandas'}"
    code = f"import sys, abstain.rewards; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_stay_small() -> None:
    long = {
        str(path.relative_to(ROOT)): count for path in MODULES if (count := len(path.read_text().splitlines())) > 300
    }
    assert not long
