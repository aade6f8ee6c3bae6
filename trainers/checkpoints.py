"""Which checkpoints of a trainer a run can go on from: a killed process may leave one half-written, or half-removed.

Reads a few bytes of each file, and imports nothing that takes long.
"""

import json
import re
import shutil
import zipfile
from pathlib import Path

CARRIED = "carried-{rank}.pt"
"""What `abstain.trainers.resuming` adds to a checkpoint, for each process."""
_NAME = re.compile(r"checkpoint-(\d+)")


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint was made at.

    Example:
        >>> step_of(Path("runs/quickstart-0/rl/checkpoint-40"))
        40
    """
    found = _NAME.fullmatch(checkpoint.name)
    if found is None:
        raise ValueError(f"{checkpoint} is no checkpoint; its name would be checkpoint-N")
    return int(found[1])


def steps_planned(checkpoint: Path) -> int | None:
    """The steps that the training of a whole checkpoint was to have in all, if it says so."""
    return json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8")).get("max_steps")


def whole_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in this folder that are whole, by step."""
    return [path for path in _checkpoints(folder) if is_whole(path)]


def is_whole(checkpoint: Path) -> bool:
    """Whether all of it has been written.

    The trainer writes `trainer_state.json` last, but for what other processes write. Weights and states also tell
    themselves whether their end is missing, as after a power cut.
    """
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        files = [path for path in checkpoint.rglob("*") if path.is_file()]
        processes = len(list(checkpoint.glob(CARRIED.format(rank="*"))))
        randomness = [path for path in files if path.name.startswith("rng_state")]
        some_lack_theirs = 0 < len(randomness) < processes
        return not some_lack_theirs and all(map(_has_its_end, files))
    except (OSError, ValueError):
        return False


def remove_unusable(folder: Path, used: Path | None) -> None:
    """Remove what is not whole, and what is later than the checkpoint that is used: it will be written anew.

    Args:
        folder: with checkpoints.
        used: the one to go on from; `None` to begin anew.
    """
    begin = 0 if used is None else step_of(used)
    for path in _checkpoints(folder):
        if path != used and (step_of(path) >= begin or not is_whole(path)):
            shutil.rmtree(path, ignore_errors=True)


def _checkpoints(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("checkpoint-*") if _NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=step_of)


def _has_its_end(file: Path) -> bool:
    if file.suffix == ".safetensors":
        with file.open("rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            return file.stat().st_size == opened.tell() + max(ends, default=0)
    return file.suffix not in (".pt", ".pth") or zipfile.is_zipfile(file)  # the directory of a zip is its end
