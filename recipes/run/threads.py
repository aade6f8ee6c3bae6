"""How many threads to compute with: as many as there are cores that nobody else is using.

A thread too many makes all others wait for it: on a machine with other work, a step of RL took twenty seconds with one
thread for each core, and 1.3 with one thread. Sums of several threads round otherwise than those of one, so the number
is recorded with a run (`made_with` in its `recipe.yaml`), and a resumed run keeps it where the cores are free.

| what limits | where it stands |
|---|---|
| the cores that this process may use | its affinity (`taskset`, a scheduler) |
| the share of them that its container gets | `cpu.max` of its control group, or `cpu.cfs_quota_us` in version 1 |
| what others are doing | `/proc/stat`, looked at twice |

Whoever has said how many, by `OMP_NUM_THREADS` or `MKL_NUM_THREADS`, is obeyed.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abstain.recipes.run.console import say

SAYING = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What a user sets; torch reads both."""
WINDOW = 0.3
"""Seconds between two looks at what the cores are doing."""
_GROUP = Path("sys/fs/cgroup")


@dataclass(frozen=True)
class Cores:
    """What a machine has to offer.

    Args:
        allowed: cores that this process may use, a container's share counted in; at least 1.
        free: how many of them, on average, others left alone during a look at them.
    """

    allowed: int
    free: float

    @property
    def threads(self) -> int:
        """The free cores, rounded: at least 1, at most all.

        Example:
            >>> Cores(allowed=4, free=2.6).threads, Cores(allowed=2, free=0.1).threads
            (3, 1)
        """
        return max(1, min(self.allowed, int(self.free + 0.5)))


def look(root: Path = Path("/"), wait: Callable[[float], object] = time.sleep) -> Cores:
    """Look at the cores for `WINDOW` seconds; what cannot be seen counts as free.

    Args:
        root: where `proc` and `sys` are.
        wait: passes the time between the two looks.
    """
    mine = _affinity()
    quota = _quota(root)
    allowed = len(mine) if quota is None else max(1, min(len(mine), int(quota + 0.5)))
    before = _times(root)
    wait(WINDOW)
    after = _times(root)
    idle = sum(_idle_share(before.get(core), after.get(core)) for core in mine)
    return Cores(allowed, min(idle, len(mine) if quota is None else quota))


def _affinity() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))  # macOS, Windows


def _quota(root: Path) -> float | None:
    """The smallest share of cores that this process's control group, or one above it, may use."""
    found = []
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        version_2 = not controllers
        if not version_2 and "cpu" not in controllers.split(","):
            continue
        top = root / _GROUP if version_2 else root / _GROUP / "cpu"
        here = top / path.lstrip("/")
        for folder in [here, *here.parents]:  # inside a container the path may be the host's, and the top its own
            if folder.is_relative_to(top):
                found += _version_2(folder) if version_2 else _version_1(folder)
    return min(found, default=None)


def _version_2(folder: Path) -> list[float]:
    """`cpu.max` holds "max 100000" or "150000 100000": microseconds in each period of so many."""
    for line in _lines(folder / "cpu.max"):
        share, period = line.split()
        return [] if share == "max" else [int(share) / int(period)]
    return []


def _version_1(folder: Path) -> list[float]:
    share, period = (next(iter(_lines(folder / f"cpu.cfs_{name}_us")), "") for name in ("quota", "period"))
    return [int(share) / int(period)] if share and period and int(share) > 0 else []


def _times(root: Path) -> dict[int, tuple[int, int]]:
    """Of each core: ticks in which it had nothing to do, and all ticks."""
    found = {}
    for line in _lines(root / "proc/stat"):
        name, *numbers = line.split()
        if name.startswith("cpu") and name[3:].isdigit():
            ticks = [int(number) for number in numbers[:8]]  # what guests take is counted in user's already
            found[int(name[3:])] = (sum(ticks[3:5]), sum(ticks))
    return found


def _idle_share(before: tuple[int, int] | None, after: tuple[int, int] | None) -> float:
    if before is None or after is None or after[1] <= before[1]:
        return 1.0
    return min(1.0, max(0.0, (after[0] - before[0]) / (after[1] - before[1])))


def _lines(path: Path) -> list[str]:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding="ascii").splitlines()
    return []


def said_by_user(environment: Mapping[str, str] = os.environ) -> int | None:
    """The number of threads that the user has set; `None` if none.

    Example:
        >>> said_by_user({"OMP_NUM_THREADS": "4"}), said_by_user({"MKL_NUM_THREADS": "2"}), said_by_user({})
        (4, 2, None)
    """
    for name in SAYING:
        first = environment.get(name, "").split(",")[0].strip()  # "4,2" is of nested loops
        if first.isdecimal() and int(first) > 0:
            return int(first)
    return None


_settled = False


def settle_threads(recorded: int | None = None, tell: Callable[[str], object] = say) -> None:
    """Choose for this process, once: before it loads a model. Says so if fewer threads than cores are left.

    Args:
        recorded: how many the run had that is resumed.
        tell: takes the line.
    """
    global _settled
    if _settled:
        return
    _settled = True
    if said_by_user() is not None:
        return
    import torch

    usual = torch.get_num_threads()
    cores = look()
    threads, why = decide(cores, usual, recorded)
    if why:
        tell(why)
    if threads != usual:
        torch.set_num_threads(threads)


def decide(cores: Cores, usual: int, recorded: int | None = None) -> tuple[int, str]:
    """How many threads, and what to say of it.

    Args:
        cores: as they are now.
        usual: as many as torch would take.
        recorded: as many as the run had before.

    Example:
        >>> decide(Cores(allowed=4, free=3.8), usual=4)
        (4, '')
        >>> decide(Cores(allowed=4, free=1.2), usual=4)
        (1, '1 thread: others are using 3 of the 4 cores. OMP_NUM_THREADS=4 takes all the same.')
        >>> decide(Cores(allowed=2, free=2.0), usual=64)
        (2, '2 threads: 2 of the 64 cores are allotted to this container.')
        >>> decide(Cores(allowed=4, free=3.8), usual=4, recorded=1)
        (1, '1 thread, as before: other numbers round otherwise. OMP_NUM_THREADS=4 takes more.')
    """
    threads = min(usual, cores.threads)
    if recorded is not None and recorded != threads:
        if recorded < threads:
            return recorded, (
                f"{counted(recorded)}, as before: other numbers round otherwise. OMP_NUM_THREADS={threads} takes more."
            )
        return threads, (
            f"{counted(threads)}, not {recorded} as before, since others are using the cores: sums round otherwise. "
            f"OMP_NUM_THREADS={recorded} takes as many as before."
        )
    if threads == usual:
        return threads, ""
    if threads == cores.allowed:
        return threads, f"{counted(threads)}: {cores.allowed} of the {usual} cores are allotted to this container."
    busy = cores.allowed - cores.threads
    return threads, (
        f"{counted(threads)}: others are using {busy} of the {cores.allowed} cores. OMP_NUM_THREADS={usual} takes all "
        "the same."
    )


def counted(threads: int) -> str:
    """Example:
    >>> counted(1), counted(2)
    ('1 thread', '2 threads')
    """
    return f"{threads} {'thread' if threads == 1 else 'threads'}"


def threads_in_use() -> int | None:
    """How many threads this process computes with; `None` before torch is loaded, if nobody has said."""
    torch: Any = sys.modules.get("torch")
    return torch.get_num_threads() if torch is not None else said_by_user()
