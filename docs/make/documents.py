"""The tables of docs/documents.md: what documents change, with a target in the prompt and without.

    abstain ablate documents
    python docs/make/documents.py runs/documents
    python docs/make/documents.py runs/smollm2-documents-0 smollm2

The first takes a sweep, whose arms are rows; the second a run, before and after training. Rates are of the questions
of all worlds together, with 95 % intervals; means over worlds have their standard deviation beside them.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from abstain.evals.metrics.intervals import share_interval
from abstain.evals.metrics.schema import Metrics, read_metrics
from abstain.evals.records import write_text
from abstain.evals.tables.attribution import SOURCES
from abstain.recipes.report.source import DONE, read_sweep
from abstain.recipes.sweep.ranking import spread

PAGE = Path(__file__).resolve().parents[1] / "documents.md"
END = "<!-- end -->"
BEFORE = "before training"
TARGETS = (0.0, 0.75)
"""At which kinds of documents are told apart: a guess, and an answer that has to be three times as likely as not."""
Arms = Mapping[str, Sequence[Metrics]]


def read(folder: Path) -> Arms:
    """What was measured, by arm: of a sweep its arms and what they began with, of a run before and after it."""
    if not (folder / "sweep.yaml").exists():
        return {BEFORE: [read_metrics(folder / "before" / "metrics.json")], "trained": [_read(folder)]}
    arms: dict[str, list[Metrics]] = {}
    for point in read_sweep(folder).points:
        if point.status == DONE and point.metrics is not None:
            arms.setdefault(str(point.settings["arm"]), []).append(point.metrics)
            if point.settings["arm"] == "target":
                arms.setdefault(BEFORE, []).append(read_metrics(point.path / "before" / "metrics.json"))
    return arms


def _read(run: Path) -> Metrics:
    return read_metrics(run / "metrics.json")


def arms(found: Arms) -> str:
    """Right, wrong and silent at each target, over all questions, and the score."""
    rows = []
    for arm, metrics in found.items():
        for place, target in enumerate(row["target"] for row in metrics[0]["by_target"]):
            at = [one["by_target"][place] for one in metrics]
            names = ("correct", "incorrect", "abstained")
            rates = [spread([row[name] for row in at], 1, factor=100) for name in names]
            rows.append([arm, f"{target:g}", *rates, spread([row["score"] for row in at])])
    return table(["", "t", "right", "wrong", "“I don't know”", "score"], rows)


def kinds(found: Arms) -> str:
    """The same for each kind of documents, and where the answers come from."""
    rows = []
    for kind in dict.fromkeys(group["documents"] for metrics in found.values() for group in _groups(metrics)):
        for arm, metrics in found.items():
            groups = [group for group in _groups(metrics) if group["documents"] == kind]
            for target in TARGETS:
                at = [row for group in groups for row in group["by_target"] if row["target"] == target]
                names = ("correct", "incorrect", "abstained", *SOURCES)
                rows.append([kind, arm, f"{target:g}", *(share(at, name) for name in names)])
    heads = ["documents", "", "t", "right", "wrong", "“I don't know”", *(name.replace("_", " ") for name in SOURCES)]
    return table(heads, rows)


def _groups(metrics: Iterable[Metrics]) -> list[Mapping[str, Any]]:
    return [group for one in metrics for group in one["by_documents"] or ()]


def share(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    """A rate over several worlds, in percent, with its 95 % interval."""
    whole = sum(row["n"] for row in rows)
    if not whole or any(row[name] is None for row in rows):
        return "–"
    there = sum(round(row["n"] * row[name]) for row in rows)
    low, high = (100 * float(end) for end in share_interval(there, whole))
    return f"{100 * there / whole:.1f} [{low:.1f}, {high:.1f}]"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows)])


def main(folder: Path, prefix: str = "") -> None:
    found = read(folder)
    if not found:
        raise SystemExit(f"{folder}: no run of it is finished")
    page = PAGE.read_text(encoding="utf-8")
    for name, of in (("arms", arms), ("kinds", kinds)):
        mark = f"<!-- documents: {f'{prefix} {name}'.strip()} -->\n"
        if mark not in page:
            raise SystemExit(f"{PAGE}: lacks {mark.strip()}")
        before, _, after = page.partition(mark)
        page = f"{before}{mark}{of(found)}\n{after[after.index(END) :]}"
    write_text(PAGE, page)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
