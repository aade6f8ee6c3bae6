"""The rows of a run as `records.jsonl`, written as they come: there may be more of them than memory holds.

A row is one of `abstain.evals.records`, but its target is null where the prompt stated none.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from abstain.evals.logs.grades import VERDICTS
from abstain.evals.rescore_runs import Run
from abstain.evals.responses import read_response


def write_run(path: Path, run: Run) -> None:
    """Write a run's rows, all or nothing; a pooled run's are those of its parts.

    Raises:
        ValueError: the texts were not kept.
    """
    with _partial(path) as file:
        for part in run.parts or [run]:
            for record in records(part):
                file.write(orjson.dumps(record, default=str) + b"\n")


def records(run: Run) -> Iterator[dict[str, Any]]:
    """A run's rows, with the fields of `abstain.evals.records.Record`; a repeated answer has its number in its id."""
    if run.spool is None:
        raise ValueError(f"{run.source}: its texts were not kept")
    columns = zip(run.verdict.tolist(), run.confidence.tolist(), run.target.tolist(), run.repeat.tolist(), strict=True)
    for line, (verdict, confidence, target, repeat) in zip(run.spool.read(run.rows), columns, strict=True):
        row = orjson.loads(line)
        completion = row["completion"] if isinstance(row["completion"], str) else ""
        yield {
            "id": f"{row['id']}#{repeat + 1}" if repeat else row["id"],
            "task": run.task,
            "question": row["question"] or "",
            "gold": _listed(row["gold"]),
            "target": _known(target),
            "prompt": row["prompt"] or "",
            "completion": completion,
            "answer": read_response(completion).answer if completion else "",
            "verdict": VERDICTS[verdict],
            "confidence": _known(confidence),
        }


def _listed(gold: Any) -> list[str]:
    return [str(one) for one in (gold if isinstance(gold, list) else [gold]) if one is not None]


def _known(number: float) -> float | None:
    return None if number != number else number


@contextmanager
def _partial(path: Path) -> Iterator[Any]:
    """A file that appears under its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
