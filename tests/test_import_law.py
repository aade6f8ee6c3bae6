"""The house's floors: whatever stands in the list below imports only itself and what stands before it.

The top-level folders come in the order rewards, evals, trainers, recipes; within each, packages and single modules do.
"""

import ast
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = [
    "rewards.errors",
    "rewards.named",
    "rewards.response",
    "rewards.verdict",
    "rewards.prompts",
    "rewards.parsing",
    "rewards.claims",
    "rewards.graders",
    "rewards.grading",
    "rewards.endpoint",
    "rewards.judge",
    "rewards.verdict_reward",
    "rewards.function_reward",
    "rewards.scoring",
    "rewards.claim_reward",
    "rewards.proper",
    "rewards.catalogue",
    "rewards",
    "evals.records",
    "evals.files",
    "evals.progress",
    "evals.sampling",
    "evals.models",
    "evals.sampler",
    "evals.endpoint",
    "evals.local_judge",
    "evals.tasks",
    "evals.prompt_card",
    "evals.metrics",
    "evals.trie",
    "evals.knowledge",
    "evals.tables",
    "evals.conclusion",
    "evals.plots",
    "evals.evaluation",
    "evals.claims",
    "evals.policies",
    "evals.detectors",
    "evals.audit",
    "evals.logs",
    "evals.rescore",
    "evals.harnesses",
    "evals.meta_evaluation",
    "evals",
    "trainers.checkpoints",
    "trainers.not_finite",
    "trainers.resuming",
    "trainers.run_trainer",
    "trainers.dynamic_sampling",
    "trainers.evaluation_metrics",
    "trainers.guards",
    "trainers.tracking",
    "trainers.trie",
    "trainers.ppo",
    "trainers.trl_args",
    "trainers.mix",
    "trainers.stages",
    "trainers.preferences",
    "trainers.embedding_rows",
    "trainers.dataset",
    "trainers.heldout",
    "trainers.looks",
    "trainers.verdict_metrics",
    "trainers.doubts",
    "trainers.claims",
    "trainers.sft",
    "trainers.rl",
    "trainers.offline",
    "trainers.public",
    "trainers",
    "recipes.run",
    "recipes.init",
    "recipes.sweep",
    "recipes.report",
    "recipes.cli",
    "recipes",
]
FOLDERS = ["rewards", "evals", "trainers", "recipes"]
HEAVY = {"torch", "transformers", "trl", "datasets", "peft", "accelerate"}
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PACKAGES = sorted(path.parent for path in MODULES if path.name == "__init__.py")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def floor(module: str) -> int:
    """Where a module stands: the line that is its name, or that of the package nearest to it."""
    parts = module.split(".")
    return next(FLOORS.index(name) for end in range(len(parts), 0, -1) if (name := ".".join(parts[:end])) in FLOORS)


def imported_modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute here"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_point_down(path: Path) -> None:
    here = dotted(path)
    for module in imported_modules(path):
        top, _, name = module.partition(".")
        if top == "abstain":
            assert floor(name) <= floor(here), f"{here} must not import {module}: see FLOORS in {Path(__file__).name}"
        assert top not in FOLDERS, f"{path}: import abstain.{module}, not {module}"
        assert not here.startswith("rewards") or top not in HEAVY, f"rewards/ must stay light: {module}"


def test_every_floor_is_there_and_every_package_has_one() -> None:
    assert len(FLOORS) == len(set(FLOORS)) and set(FLOORS) <= {dotted(path) for path in MODULES}
    assert all(name in FLOORS for name in map(dotted, MODULES) if name.count(".") == 1)


@pytest.mark.parametrize("package", PACKAGES, ids=dotted)
def test_a_package_says_what_it_is_and_what_it_offers(package: Path) -> None:
    module = importlib.import_module(f"abstain.{dotted(package)}")
    assert module.__doc__ and module.__doc__.strip()
    modules = {path.stem for path in package.glob("*.py")} | {path.name for path in package.iterdir() if path.is_dir()}
    for name in module.__all__:
        assert name not in modules, f"{dotted(package)}.{name} is both a module and a public name"
        assert hasattr(module, name)


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=dotted)
def test_only_packages_pass_names_on(path: Path) -> None:
    """No `__all__`, and no `import x as x`, outside of an `__init__`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert "__all__" not in {name.id for name in ast.walk(tree) if isinstance(name, ast.Name)}
    assert not [
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
        if alias.asname == alias.name
    ]  # fmt: skip


def test_the_wheel_holds_every_package_and_every_file() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert sorted(config["packages"]) == [f"abstain.{dotted(package)}" for package in PACKAGES]
    shipped = {
        path
        for package, patterns in config["package-data"].items()
        for pattern in patterns
        for path in ROOT.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    present = {
        path for folder in FOLDERS for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }  # fmt: skip
    assert shipped == present


def test_rewards_load_without_torch() -> None:
    heavy = "{'torch', 'transformers', 'trl', 'datasets', 'math_verify', 'sympy', 'numpy', 'scipy', 'pandas'}"
    code = f"import sys, abstain.rewards; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_file_holds_one_idea_whole() -> None:
    long = {dotted(path): count for path in MODULES if (count := len(path.read_text().splitlines())) > 500}
    assert not long
