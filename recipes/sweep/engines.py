"""Where the points of a sweep run: processes on this machine, a Ray cluster, or the agents of a wandb Sweep."""

import contextlib
import os
import socket
import sys
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import redirect_stdout
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any, Literal

from abstain.recipes.run.threads import counted, look, said_by_user
from abstain.recipes.sweep.ablation import Engine
from abstain.recipes.sweep.axes import Axis, Range, read_axes
from abstain.recipes.sweep.config import RayConfig, Sweep, as_override
from abstain.recipes.sweep.job import Job, Outcome, perform
from abstain.recipes.sweep.points import flat

MOST_JOBS = 4
"""Unless --jobs says more: each holds a model in memory."""


def choose_engine(
    sweep: Sweep, name: Literal["local", "ray"], jobs: int | None, points: int
) -> tuple[Engine, int, str]:
    """The engine of that name, the threads of each of its processes, and both in words.

    Args:
        sweep: may say what a job takes.
        name: which.
        jobs: how many at a time; here by default as many as there are GPUs, without one as free cores, up to
            `MOST_JOBS`.
        points: how many there are to run, if it is not a search that decides.
    """
    if name == "ray":
        return RayEngine(sweep.config.ray, jobs), sweep.config.ray.cpus, "a Ray cluster"
    import torch  # takes seconds

    devices = visible(torch.cuda.device_count(), os.environ)
    cores = look()
    jobs = jobs or len(devices) or min(cores.threads, MOST_JOBS)
    jobs = jobs if sweep.config.search else min(jobs, points)
    threads = said_by_user() or max(1, cores.threads // jobs)
    each = f"{counted(threads)} each" + (", on GPUs" if devices else "")
    if cores.threads < cores.allowed:
        each += f" (others are using {cores.allowed - cores.threads} of the {cores.allowed} cores)"
    return LocalEngine(jobs, devices), threads, f"{jobs} {'worker' if jobs == 1 else 'workers'}, {each}"


def visible(count: int, environment: Mapping[str, str]) -> list[str]:
    """The `count` GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them.

    Example:
        >>> visible(2, {}), visible(2, {"CUDA_VISIBLE_DEVICES": "3,5"}), visible(0, {})
        (['0', '1'], ['3', '5'], [])
    """
    named = [name.strip() for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return (named or [str(number) for number in range(count)])[:count]


class LocalEngine:
    """A process of its own for each job, so that none can take the sweep down with it; on one GPU if there are any.

    Args:
        jobs: how many.
        devices: GPUs, which the workers take in turn.
    """

    def __init__(self, jobs: int, devices: list[str]) -> None:
        self.jobs = jobs
        self._pool = ThreadPoolExecutor(jobs)
        self._stop = Event()
        self._futures: dict[Future[Outcome], Job] = {}
        self._devices: SimpleQueue[str] = SimpleQueue()
        for number in range(jobs if devices else 0):
            self._devices.put(devices[number % len(devices)])

    def capacity(self) -> int:
        return self.jobs

    def submit(self, job: Job) -> None:
        self._futures[self._pool.submit(self._perform, job)] = job

    def _perform(self, job: Job) -> Outcome:
        if self._devices.empty():
            return perform(job, stop=self._stop)
        device = self._devices.get()
        try:
            return perform(job, {"CUDA_VISIBLE_DEVICES": device}, self._stop)
        finally:
            self._devices.put(device)

    def finished(self) -> list[tuple[Job, Outcome]]:
        if not self._futures:
            return []
        done, _ = wait(self._futures, timeout=0.25, return_when=FIRST_COMPLETED)
        return [(self._futures.pop(future), future.result()) for future in done]

    def stop(self) -> None:
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)


class RayEngine:
    """Jobs on a Ray cluster, whose machines share a file system and have abstain installed.

    `ray.init` finds the cluster: by `RAY_ADDRESS`, or the one on this machine; with neither it starts one here. When a
    worker or its machine dies, Ray starts the job again, perhaps elsewhere. The lock in the sweep's directory then
    keeps it waiting as long as anything of the first try is still alive, and what that finishes is not run again.

    Args:
        config: what one job takes.
        jobs: submit at most so many at a time; by default twice what the cluster holds, so that one that can grow
            sees the demand.

    Raises:
        ImportError: Ray is not installed.
        ConnectionError: there is no cluster at `RAY_ADDRESS`.
    """

    def __init__(self, config: RayConfig, jobs: int | None = None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody unasked
        try:
            import ray
        except ImportError:
            raise ImportError("--engine ray needs Ray: pip install 'abstain[ray]'") from None
        self._ray: Any = ray
        self._config, self._jobs = config, jobs
        if not self._ray.is_initialized():
            check_cluster(os.environ.get("RAY_ADDRESS", ""))
            try:
                self._ray.init(logging_level="ERROR", log_to_driver=False)
            except ConnectionError as error:  # with RAY_ADDRESS=auto
                raise _no_cluster(os.environ.get("RAY_ADDRESS", ""), str(error).partition(".")[0]) from None
        self._remote = self._ray.remote(_perform_there)
        self._refs: dict[Any, Job] = {}

    def capacity(self) -> int:
        return self._jobs or 2 * max(1, int(self._ray.cluster_resources().get("CPU", 1) // self._config.cpus))

    def submit(self, job: Job) -> None:
        options = {
            "num_cpus": self._config.cpus,
            "num_gpus": self._config.gpus,
            "max_retries": self._config.retries,
            "name": job.name,
        }
        self._refs[self._remote.options(**options).remote(job, str(Path.cwd()))] = job

    def finished(self) -> list[tuple[Job, Outcome]]:
        if not self._refs:
            return []
        done, _ = self._ray.wait(list(self._refs), timeout=0.25)
        return [(self._refs.pop(ref), self._outcome(ref)) for ref in done]

    def _outcome(self, ref: Any) -> Outcome:
        try:
            return self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            return Outcome(f"Ray gave up on it: {str(error).strip().splitlines()[0]}")

    def stop(self) -> None:
        for ref in self._refs:
            self._ray.cancel(ref)
        if self._refs:
            self._ray.wait(list(self._refs), num_returns=len(self._refs), timeout=60)
        self._refs.clear()


def check_cluster(address: str, patience: float = 5.0) -> None:
    """See whether anybody listens there: Ray itself would try for two minutes, and then end this process.

    Args:
        address: as in `RAY_ADDRESS`: `host:port`, `ray://host:port`, or a word that Ray looks up itself.
        patience: seconds.

    Raises:
        ConnectionError: nobody does.

    Example:
        >>> check_cluster("auto"), check_cluster("")
        (None, None)
        >>> check_cluster("127.0.0.1:1")
        Traceback (most recent call last):
        ...
        ConnectionError: no Ray cluster answers at RAY_ADDRESS=127.0.0.1:1 (Connection refused). ...
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), patience).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, getattr(error, "strerror", None) or str(error)) from None


def _no_cluster(address: str, why: str) -> ConnectionError:
    return ConnectionError(
        f"no Ray cluster answers at RAY_ADDRESS={address} ({why}). Start one with `ray start --head`, and join other "
        "machines to it with `ray start --address=HOST:6379`; or `unset RAY_ADDRESS`, to run on this machine alone"
    )


def _perform_there(job: Job, directory: str) -> Outcome:
    """What a Ray worker runs: where the sweep was started, for a recipe's paths are seen from there."""
    with contextlib.chdir(directory):
        return perform(job)


# wandb is no engine of ours: its server hands out the points, and `wandb agent` runs one command line for each.

RUN = 'exec abstain train "$0" "$@" output_dir="{folder}/$WANDB_RUN_ID"'
"""A shell puts in the run's id: wandb itself would put in that of the run before."""


def wandb_config(sweep: Sweep) -> dict[str, Any]:
    """The configuration that `wandb sweep` takes.

    Raises:
        ValueError: something in the sweep file that wandb Sweeps cannot express; with file and line.
    """
    config = sweep.config
    for key, why in {"points": "listed points", "constraints": "constraints between parameters"}.items():
        if getattr(config, key):
            raise ValueError(f"{sweep.at(key)}: wandb Sweeps have no {why}. Run this sweep without --engine wandb")
    axes, ranges = read_axes(sweep)
    varied: list[Axis | Range] = [*axes, *ranges]
    methods = {None: "grid", "tpe": "bayes", "random": "random"}
    search = config.search
    fixed = {"rl.args.report_to": "wandb", "name": config.name} | config.settings
    found: dict[str, Any] = {
        "name": config.name,
        "method": methods[search.sampler if search else None],
        "command": [
            *("sh", "-c", RUN.format(folder=sweep.path), str(sweep.base)),
            *(as_override(key, value) for key, value in fixed.items()),
            "${args_no_hyphens}",
        ],
        "parameters": {axis.name: _parameter(sweep, axis) for axis in varied},
    }
    if search:
        found |= {"metric": {"name": f"results/{search.metric}", "goal": search.direction}, "run_cap": search.trials}
    return found


def _parameter(sweep: Sweep, axis: Axis | Range) -> dict[str, Any]:
    if isinstance(axis, Range):
        return {"min": axis.low, "max": axis.high} | ({"distribution": "log_uniform_values"} if axis.log else {})
    place = sweep.at("axes", axis.name)
    if any(choice.changes.keys() != {axis.name} for choice in axis.choices):
        raise ValueError(
            f"{place}: '{axis.name}' changes several keys at once, which wandb Sweeps cannot. Run this sweep without "
            "--engine wandb"
        )
    values = [choice.changes[axis.name] for choice in axis.choices]
    if None in flat({axis.name: values}).values():
        raise ValueError(f"{place}: wandb writes null as None on the command line, where it would be a text")
    return {"values": values}


def create_sweep(config: dict[str, Any]) -> str:
    """Create the sweep at wandb and return its id, as `wandb agent` takes it.

    Raises:
        ValueError: wandb refuses: no account, no network, no such project.
    """
    import wandb

    project = os.environ.get("WANDB_PROJECT", "abstain")
    try:
        with redirect_stdout(sys.stderr):  # ours is for the configuration
            number = wandb.sweep(config, project=project)
    except (wandb.Error, OSError) as error:
        raise ValueError(f"wandb did not create the sweep: {str(error).rstrip('.')}. Is `wandb login` done?") from None
    return "/".join([*filter(None, [os.environ.get("WANDB_ENTITY")]), project, number])
