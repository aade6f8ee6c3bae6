"""A sweep file as a wandb Sweep: its server hands out the points, `wandb agent` runs them, one command line each."""

import os
import sys
from contextlib import redirect_stdout
from typing import Any

from abstain.recipes.sweep import Sweep, as_override
from abstain.recipes.sweep_axes import Axis, Range, read_axes
from abstain.recipes.sweep_conditions import flat

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
        raise ValueError(f"wandb did not create the sweep: {error}. Is `wandb login` done?") from None
    return "/".join([*filter(None, [os.environ.get("WANDB_ENTITY")]), project, number])
