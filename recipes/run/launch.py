"""Stages in several processes: each is handed to accelerate's launcher, with any configuration of accelerate.

Measuring and writing stay in the process that `abstain train` is; what it starts for a stage is
`python -m abstain.recipes.run.launch STAGE RECIPE [KEY=VALUE ...]`.
"""

import importlib.util
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from abstain.recipes.run.recipe import find_file, load_recipe


def shipped_configs() -> dict[str, Path]:
    """Configurations of accelerate by name: TRL's (multi_gpu, zero2, zero3, fsdp2, …), and `cpu`."""
    trl = importlib.util.find_spec("trl")
    folders = [Path(place) / "accelerate_configs" for place in (trl and trl.submodule_search_locations) or ()]
    folders.append(Path(__file__).parents[1] / "accelerate")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def launcher(name_or_path: str, processes: int | None, recipe: str, overrides: Sequence[str]) -> Callable[[str], None]:
    """What trains a stage of this name in several processes, for `abstain.recipes.run.steps.Run`.

    Args:
        name_or_path: a configuration file of accelerate, or the name of a shipped one.
        processes: how many, in all; as the configuration says by default.
        recipe, overrides: as given to `abstain train`.

    Raises:
        FileNotFoundError: no such configuration, with the nearest.
        ValueError: accelerate does not take it.
        LaunchFailed: on a call: the training failed.
    """
    config = find_file("accelerate configuration", name_or_path, shipped_configs())
    _check(config)
    count = [] if processes is None else ["--num_processes", str(processes)]
    start = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config), *count]

    def launch(stage: str) -> None:
        command = [*start, "--module", "abstain.recipes.run.launch", stage, recipe, *overrides]
        child = subprocess.Popen(command, stdout=2)  # stderr: our stdout is for the table
        try:
            code = child.wait()
        except KeyboardInterrupt:
            child.wait()  # Ctrl-C went to it, too
            raise
        if code:
            raise LaunchFailed(
                f"training {stage} in several processes failed (exit code {code}); what it said is above. The command "
                f"was: {shlex.join(command)}"
            )

    return launch


class LaunchFailed(ValueError):
    """The processes of a stage have failed; what they said is on stderr.

    Attributes:
        repeats: accelerate does not tell a refusal from a crash.
    """

    repeats = False


def _check(config: Path) -> None:
    """Let accelerate read it, before anything is loaded."""
    from accelerate.commands.config.config_args import load_config_from_file  # takes a second to import

    try:
        load_config_from_file(str(config))
    except Exception as error:  # of many kinds, from YAML's to TypeError
        raise ValueError(f"{config} is no configuration of accelerate: {error}") from None


def main(stage: str, name: str, *overrides: str) -> int:
    """One process of a stage: train; 0 if it went well.

    On further machines, start it by hand with `accelerate launch --machine_rank N`, on a shared run directory.
    """
    from abstain.recipes.run.console import complain
    from abstain.recipes.run.directory import RunDir
    from abstain.recipes.run.training import Training  # imports torch

    first = int(os.environ.get("RANK", "0")) == 0
    try:
        recipe, _ = load_recipe(name, overrides)
        directory = RunDir(recipe.run_path)
        directory.open(recipe, resume=True)
        Training(recipe, directory).train_launched(stage)
    except (ValueError, OSError, ImportError) as error:  # what carries a message for people
        if first:
            complain(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
