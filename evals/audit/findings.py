"""The behavioral-calibration audit: does a model answer exactly when it is more than t sure, at every t it is told?

Kalai et al. 2025 call a model behaviorally calibrated whose one behaviour is optimal for every stated target. Here the
same questions are asked at each target, and held against what the model knows (`abstain.evals.audit.sources`):

- does abstention rise with t, and by as much as P(correct) calls for?
- is what it answers right at least as often as t?
- would what it left unanswered have been right less often than t?
- above which confidence does it answer (`abstain.evals.audit.threshold`)?
- does it decide the same in other words, and what does it do with none (`abstain.evals.audit.asking`)?

    evaluation = evaluate(sampler, task, [0, 0.5, 0.9])
    audit_model(sampler, task, evaluation).save("runs/first")    # audit.json, audit.md, audit.png, audit.svg

Intervals are those of `abstain.evals.metrics.intervals`, differences paired by question, so that a question stays
itself at every target; those of thresholds are bootstrapped by question.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from abstain.evals.audit.asking import NO_INSTRUCTION, WORDINGS, ask_agreement, ask_reworded, unreadable
from abstain.evals.audit.knowledge import by_knowledge
from abstain.evals.audit.plots import audit_plot
from abstain.evals.audit.rows import (
    STATED,
    Decisions,
    decisions,
    proportion,
    rise,
    source_fields,
    target_rows,
    wordings,
)
from abstain.evals.audit.sources import (
    SOURCES,
    ConfidenceSource,
    known_source,
    own_source,
    sampled_source,
    start_source,
)
from abstain.evals.audit.tables import render_audit
from abstain.evals.audit.threshold import RESAMPLES
from abstain.evals.audit.verdict import notes, rise_verdict, target_verdict, wording_verdict
from abstain.evals.evaluation import Evaluation
from abstain.evals.metrics.intervals import KIND, LEVEL
from abstain.evals.metrics.oracle import BaseGuesses
from abstain.evals.records import Record, write_rows, write_text
from abstain.evals.sampling import AnySampler
from abstain.evals.tasks.question import Task

OLD_KEYS = {
    "probe": "source",
    "probed": "with_guess",
    "silent_would_be_right": "abstained_would_be_right",
    "silent_would_be_right_ci": "abstained_would_be_right_ci",
    "fell_silent": "newly_abstained",
    "spoke_up": "newly_answered",
}
"""Keys of `audit.json` in earlier versions, and what they are called now."""


@dataclass(frozen=True)
class Audit:
    """What an audit found.

    Args:
        found: as in `audit.json`; see `audit`.
        reworded: the records of the other wordings.
    """

    found: dict[str, Any]
    reworded: Mapping[str, Sequence[Record]]

    def save(self, folder: str | Path) -> None:
        """Write `audit.json`, `audit.md`, the plot, and what was said to other wordings (`reworded.jsonl`)."""
        folder = Path(folder)
        write_text(folder / "audit.json", json.dumps(self.found, indent=2) + "\n")
        write_text(folder / "audit.md", render_audit(self.found, "markdown"))
        rows = (_row(name, record) for name, group in self.reworded.items() for record in group)
        write_rows(folder / "reworded.jsonl", rows)
        audit_plot(self.found).save(folder)


def _row(wording: str, record: Record) -> dict[str, Any]:
    return {"wording": wording, **asdict(record), "target": None if wording == NO_INSTRUCTION else record.target}


def read_audit(path: str | Path) -> dict[str, Any]:
    """The contents of an `audit.json`; one of an earlier version comes with the keys of today.

    Args:
        path: of the file, or of the directory that holds it.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is something else.
    """
    file = Path(path) / "audit.json" if Path(path).is_dir() else Path(path)
    try:
        found = json.loads(
            file.read_text(encoding="utf-8"),
            object_hook=lambda part: {OLD_KEYS.get(key, key): value for key, value in part.items()},
        )
    except ValueError as error:  # no JSON, or no UTF-8
        raise ValueError(f"{file} is no audit.json: {error}") from None
    if not isinstance(found, dict) or not {"source", "by_target", "rise", "wordings"} <= found.keys():
        raise ValueError(f"{file} is not the audit.json of an audit")
    return found


def audit_model(
    sampler: AnySampler,
    task: Task,
    evaluation: Evaluation,
    *,
    start: BaseGuesses | None = None,
    samples: int = 0,
    seed: int = 0,
    progress: bool = False,
) -> Audit:
    """Audit a model whose evaluation is at hand, asking it the rest.

    Args:
        sampler: the model.
        task: whose questions were asked.
        evaluation: of this model, t = 0 among its targets. What else is asked is read and graded as it was there.
        start: best guesses of the starting model, to go by.
        samples: go by so many sampled answers per question instead.
        seed: of samples and bootstrap.
        progress: show progress bars.

    Raises:
        ValueError: t = 0 was not among the targets, or both `start` and `samples` are given.
    """
    if start is not None and samples:
        raise ValueError("an audit goes by the starting model's guesses or by samples, not by both")
    guesses = [record for record in evaluation.records if record.target == 0]
    if not guesses:
        raise ValueError("an audit needs best guesses: ask at t = 0 too")
    task = replace(task, answer_format=evaluation.metrics["answer_format"])
    source = _source(sampler, task, guesses, start, samples, seed, progress)
    foreign = unreadable(sampler)
    readable = [name for name in WORDINGS if name not in foreign]
    reading = evaluation.metrics["reading"]
    reworded = ask_reworded(sampler, task, evaluation.records, readable, reading=reading, progress=progress)
    found = audit(evaluation.metrics, evaluation.records, source, reworded, seed=seed)
    not_asked = [
        f"It was not asked in wording {name!r}: its tokenizer has no tokens for {share:.0%} of it."
        for name, share in foreign.items()
    ]
    if source.kind == "own" and source.answers.unsure:
        not_asked.append("Nobody tells how probable its best guesses are. Go by samples instead: --samples 10.")
    return Audit(found | {"notes": found["notes"] + not_asked}, reworded)


def _source(
    sampler: AnySampler,
    task: Task,
    guesses: Sequence[Record],
    start: BaseGuesses | None,
    samples: int,
    seed: int,
    progress: bool,
) -> ConfidenceSource:
    if start is not None:
        return start_source(start)
    if samples:
        agreement = ask_agreement(sampler, task, guesses, samples, seed=seed, progress=progress)
        return sampled_source(sampler.name, guesses, agreement)
    return known_source(sampler.name, guesses, task.held_out) or own_source(sampler.name, guesses)


def audit(
    metrics: Mapping[str, Any],
    records: Sequence[Record],
    source: ConfidenceSource,
    reworded: Mapping[str, Sequence[Record]] | None = None,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """All of `audit.json`, from records alone.

    Args:
        metrics: of these records (`abstain.evals.metrics.measuring.measure`), for scores and baselines.
        records: answers at two stated targets or more, t = 0 among them.
        source: forced answers to the same questions.
        reworded: answers to other wordings of the same targets.
        seed: of the bootstrap, which the intervals of thresholds come from.
        resamples: bootstrap samples.

    Returns:
        `by_target` holds one row per stated target, with its `verdict` in a sentence; `rise` the differences between
        targets; `wordings` the same questions in other words; `knowledge` what is refused of what was known, and
        answered of what was not, if the metrics have categories; `source` where P(correct) comes from; `notes` what to
        bear in mind. What cannot be had is `None`.

    Raises:
        ValueError: the log shows no stated targets, nothing in it is graded, or a question has no forced answer.
    """
    table = decisions(records, reworded)
    source = source.pick(table.ids)
    rows = target_rows(table, source, metrics, seed, resamples)
    steps = rise(table, source)
    words = wordings(table, source, seed, resamples)
    found: dict[str, Any] = {
        "model": metrics["model"],
        "task": metrics["task"],
        "n": len(table.ids),
        "left_out": table.left_out,
        "source": {**source_fields(source), "what": SOURCES[source.kind].format(model=source.model)},
        "by_target": [{**row, "verdict": target_verdict(row)} for row in rows],
        "rise": {**steps, "verdict": rise_verdict(steps, rows)},
        "wordings": {**words, "verdict": wording_verdict(words, rows)},
        "guess_accuracy": _guess_accuracy(table),
        "interval": {"level": LEVEL, "kind": KIND, "resamples": resamples, "seed": seed},
    }
    known = by_knowledge(metrics)
    return found | ({"knowledge": known} if known else {}) | {"notes": notes(found)}


def _guess_accuracy(table: Decisions) -> float | None:
    """Share of the audited model's own answers at t = 0 that are right."""
    if (STATED, 0.0) not in table.conditions:
        return None
    column = table.column((STATED, 0.0))
    return proportion(table.right[:, column], np.ones(len(table.ids), dtype=bool))[0]
