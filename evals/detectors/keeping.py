"""Answers and scores on their way, on disk as soon as they are made: who was interrupted goes on from there.

results/partial/
    answers-1c9b….json    what a model said to some prompts
    scores-77d0….npz      the scores of some responses; plain arrays, and texts as JSON

A file's name is a hash of all that it depends on. So nothing is taken up that was made otherwise, and nobody has to
say that there is something to take up.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.scored import Scored
from abstain.evals.records import read_json, whole_file, write_text
from abstain.evals.sampling import Completion

FOLDER = "partial"
VERSION = 1


class Kept:
    """What is done already; in memory only, so nothing is, without a folder.

    Args:
        folder: of the results; what is kept lies in `partial` in it.
        settings: what everything depends on: models, and how they are asked.
    """

    def __init__(self, folder: Path | None = None, settings: Any = None) -> None:
        self._folder = None if folder is None else folder / FOLDER
        self._settings = settings

    def answers(self, prompts: Sequence[str], how: Any, make: Callable[[], list[Completion]]) -> list[Completion]:
        """What a model said to these prompts, asked now or before."""
        if self._folder is None:
            return make()
        file = self._folder / f"answers-{self._key(list(prompts), how)}.json"
        if file.is_file():
            return [Completion(**row) for row in read_json(file)]
        said = make()
        write_text(file, json.dumps([asdict(one) for one in said]))
        return said

    def scores(self, pairs: Sequence[Pair], how: Any, make: Callable[[], Scored]) -> Scored:
        """The scores of these responses, computed now or before."""
        if self._folder is None:
            return make()
        file = self._folder / f"scores-{self._key([asdict(pair) for pair in pairs], how)}.npz"
        if file.is_file():
            return _read(file, pairs)
        scored = make()
        about = {"layers": {name: list(layers) for name, layers in scored.layers.items()}, "notes": scored.notes}
        arrays: dict[str, Any] = {f"score:{name}": column for name, column in scored.values.items()}
        if scored.features is not None:
            arrays["features"] = scored.features
        with whole_file(file) as out:
            np.savez(out, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), **arrays)
        return scored

    def forget(self) -> None:
        """Take away what was kept: the results are there."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _key(self, what: Any, how: Any) -> str:
        text = json.dumps([VERSION, self._settings, how, what], sort_keys=True, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _read(file: Path, pairs: Sequence[Pair]) -> Scored:
    with np.load(file, allow_pickle=False) as stored:
        about = json.loads(stored["about"].tobytes())
        values = {name.removeprefix("score:"): stored[name] for name in stored.files if name.startswith("score:")}
        features = stored["features"] if "features" in stored.files else None
    layers = {name: tuple(found) for name, found in about["layers"].items()}
    return Scored(tuple(pairs), values, layers, features, tuple(about["notes"]))
