"""Stock TRL and shared prefixes on the hardware at hand, within a budget of time: `make gpu-check`.

    bash tests/gpu/run.sh --budget 360      # what a GPU is for
    bash tests/gpu/run.sh --small           # all of it in miniature, on a CPU
    bash tests/gpu/run.sh --grid bf16       # the cells that a CPU's cost model is fitted to

Writes gpu-check.json after every part, and prints tables. Needs no hub: models have random weights.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch

from abstain.evals.records import write_text

from . import measure as measuring
from .cells import CELLS, SMALL, cpu_grid
from .fact_world import run_fact_world
from .fit import choices, fit_all
from .report import show
from .vllm_part import measure_vllm
from .ways import compare_ways

PACKAGES = ("torch", "transformers", "trl", "accelerate", "flash-attn", "vllm")


@dataclass(frozen=True)
class Part:
    """One thing to do.

    Args:
        name: in the file and in tables.
        kind: "cell", "ways", "fact world" or "vllm".
        seconds: expected.
        run: does it, and says what was found.
    """

    name: str
    kind: str
    seconds: float
    run: Callable[[], dict[str, Any]]


@dataclass
class Budget:
    """Seconds for all parts, and how much slower than expected they turn out to be.

    Args:
        total: seconds.
        clock: seconds since the start of the budget.
    """

    total: float
    clock: Callable[[], float]
    expected: float = field(default=0.0, init=False)
    taken: float = field(default=0.0, init=False)

    def lacks(self, part: Part) -> str | None:
        """Why a part is not begun; None if it fits.

        >>> Budget(100, lambda: 90).lacks(Part("long", "cell", 20, dict))
        'about 20 s expected, 10 s left'
        """
        expects, left = part.seconds * self.slowness, self.total - self.clock()
        return f"about {expects:.0f} s expected, {max(left, 0):.0f} s left" if expects > left else None

    @property
    def slowness(self) -> float:
        """Seconds taken for each one expected, so far."""
        return self.taken / self.expected if self.expected else 1.0

    def spend(self, part: Part, seconds: float) -> None:
        """Learn from a part that is done."""
        self.expected += part.seconds
        self.taken += seconds


def check(parts: Sequence[Part], budget: Budget, file: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Does the parts in order, as far as the budget allows. Those that do not fit are named, and smaller ones tried.

    Args:
        parts: the most telling first.
        budget: of all of them.
        file: written after every part.
        about: what the file begins with.
    """
    found: dict[str, Any] = about | {"budget_s": budget.total, "parts": [], "skipped": {}}
    for part in parts:
        if reason := budget.lacks(part):
            found["skipped"][part.name] = reason
        else:
            start = budget.clock()
            try:
                result = part.run()
            except Exception as error:  # the other parts have minutes that will not come again
                result = {
                    "failed": f"{type(error).__name__}: {error}",
                    "where": traceback.format_exc().splitlines()[-8:],
                }
            seconds = budget.clock() - start
            if "not here" not in result:
                budget.spend(part, seconds)
            found["parts"].append({"name": part.name, "kind": part.kind, "seconds": seconds} | result)
        cells = [row for row in found["parts"] if row["kind"] == "cell" and "runs" in row]
        found["fit"] = fit_all(cells)
        found["choices"] = choices(cells, found["fit"])
        write_text(file, json.dumps(found, indent=1) + "\n")
    return found


def machine(device: str) -> dict[str, Any]:
    """What the numbers were measured on."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return {
        "device": torch.cuda.get_device_name() if device == "cuda" else _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def plan(device: str, folder: Path, *, small: bool, grid: str | None) -> list[Part]:
    """What to do, the most telling first."""
    flash = device == "cuda" and find_spec("flash_attn") is not None
    cells = cpu_grid(grid) if grid else SMALL if small else CELLS
    parts = [
        Part(
            cell.name,
            "cell",
            cell.seconds,
            partial(measuring.measure, cell, device, folder, flash=flash, exact=grid is None),
        )
        for cell in cells
    ]
    if grid:
        return parts
    world = partial(run_fact_world, device, folder / "factworld", small=small)
    parts.insert(3, Part("fact world", "fact world", 25 if small else 90, world))
    for place, cell in ((5, cells[1]), (7, cells[0])):
        seconds = cell.seconds if small else 40
        parts.insert(place, Part(f"ways, {cell.name}", "ways", seconds, partial(compare_ways, cell, device)))
    parts.append(Part("vLLM", "vllm", 60, partial(measure_vllm, cells[0], device, folder)))
    return parts


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gpu_check.check", description=__doc__)
    parser.add_argument("--small", action="store_true", help="tiny sizes, for a CPU")
    parser.add_argument("--grid", choices=("fp32", "bf16"), help="measure a CPU's grid of sizes instead")
    parser.add_argument("--budget", type=float, default=360, help="seconds after which nothing is begun")
    parser.add_argument("--began", type=float, default=None, help="when the budget began, in seconds since 1970")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("build/gpu"), help="folder for gpu-check.json")
    parser.add_argument("--cpu-time", action="store_true", help="count work, not waiting: a CPU that others use too")
    asked = parser.parse_args(argv)
    if asked.device == "cpu" and not (asked.small or asked.grid):
        parser.error("there is no GPU; --small tries the check on a CPU, --grid measures a CPU")
    if asked.cpu_time:
        measuring.clock = time.process_time
    began = time.time() if asked.began is None else asked.began
    folder = Path(mkdtemp(prefix="gpu-check-"))
    try:
        found = check(
            plan(asked.device, folder, small=asked.small, grid=asked.grid),
            Budget(asked.budget, lambda: time.time() - began),
            asked.out / "gpu-check.json",
            {"machine": machine(asked.device), "small": asked.small, "cpu_time": asked.cpu_time},
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    show(found)
    runs = [run for part in found["parts"] for run in (part, *part.get("runs", {}).values())]
    return int(any("failed" in run for run in runs))


if __name__ == "__main__":
    sys.exit(main())
