"""The tables of docs/knowledge.md about RL: does it help to know what the model knows?

    abstain ablate knowledge-rl
    python docs/make/knowledge_rl.py runs/knowledge-rl
    python docs/make/knowledge_rl.py runs/smollm2-knowledge-rl smollm2

An arm is what happens before RL, or which questions RL asks. Each is held against `doubts`, which needs no labels:
points per question, paired by question, over all targets; of each world, and of all with an interval for other
questions. Rates are of all worlds' questions together.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from abstain.evals.knowledge.labels import Category
from abstain.evals.metrics.intervals import paired_difference, share_interval
from abstain.evals.metrics.schema import Metrics
from abstain.evals.records import Record, read_json, read_records, write_text
from abstain.recipes.report.source import DONE, PointData, read_sweep
from abstain.recipes.sweep.ranking import spread

PAGE = Path(__file__).resolve().parents[1] / "knowledge.md"
END = "<!-- end -->"
GOAL = 0.02
USUAL = "doubts"
Arms = Mapping[str, Sequence[PointData]]


def read(sweep: Path) -> Arms:
    """The points that are finished, by arm, in the order of the sweep."""
    found: dict[str, list[PointData]] = {}
    for point in read_sweep(sweep).points:
        if point.status == DONE:
            found.setdefault(str(point.settings["start"]), []).append(point)
    return found


def metrics_of(points: Sequence[PointData]) -> list[Metrics]:
    return [point.metrics for point in points if point.metrics is not None]


def records_of(points: Sequence[PointData]) -> list[Record]:
    """Their records; each world has questions of its own."""
    return [replace(one, id=f"{point.seed}/{one.id}") for point in points for one in _read(point.path)]


@cache
def _read(run: Path) -> list[Record]:
    """An arm is compared world by world and as a whole, and one of them with all others: each is read once."""
    return read_records(run / "records.jsonl")


def steps_to(goal: float, point: PointData) -> int | None:
    """The first look at held-out questions with a mean regret of at most the goal."""
    history = read_json(point.path / "rl" / "trainer_state.json")["log_history"]
    looks = ((entry["step"], value) for entry in history for value in regrets(entry))
    return next((step for step, regret in looks if regret <= goal), None)


def regrets(entry: Mapping[str, Any]) -> Iterator[float]:
    return (value for key, value in entry.items() if key.startswith("heldout/") and key.endswith("/mean_regret"))


def arms(found: Arms) -> str:
    """Regret in all and at each target, the difference to doing without labels, and how soon the goal was reached.

    Where arms start from different models, scores stand for regrets, each of which is to its own start.
    """
    of = "regret" if len({one["start"] for points in found.values() for one in metrics_of(points)}) == 1 else "score"
    usual = USUAL if USUAL in found else next(iter(found))
    timed = of == "regret"
    targets = [row["target"] for row in metrics_of(found[usual])[0]["by_target"]]
    rows = []
    for arm, points in found.items():
        metrics = metrics_of(points)
        by_run = [[row[of] for row in one["by_target"]] for one in metrics]
        found_of = [spread([fmean(row) for row in by_run]), *map(spread, zip(*by_run, strict=True))]
        differences = ["–", "–"] if arm == usual else points_more(found[usual], points)
        rows.append([arm, *found_of, *differences, *([reached_by(points)] if timed else [])])
    more = [f"points more than {usual}", "in each world", *([f"steps to {GOAL:g}"] if timed else [])]
    return table(["", f"mean {of}", *(f"t = {t:g}" for t in targets), *more], rows)


def reached_by(points: Sequence[PointData]) -> str:
    """How soon the goal was reached, and by how many."""
    reached = [step for point in points if (step := steps_to(GOAL, point)) is not None]
    return f"{spread(reached, 0)} ({len(reached)} of {len(points)})" if reached else "never"


def points_more(usual: Sequence[PointData], points: Sequence[PointData]) -> list[str]:
    """Of the questions of all worlds that both have, and of each world."""
    both = [(one, other) for one in usual for other in points if one.seed == other.seed]
    if not both:
        return ["–", "–"]
    of_all = paired_difference(*(records_of([pair[side] for pair in both]) for side in (0, 1)))
    (low, high), more = of_all["mean_score_ci"], of_all["mean_score"]
    worlds = (paired_difference(records_of([one]), records_of([other]))["mean_score"] for one, other in both)
    found = [f"{more:+.3f} [{low:+.3f}, {high:+.3f}]", ", ".join(f"{one:+.3f}" for one in worlds)]
    return [text.replace("-", "−") for text in found]


def by_category(found: Arms) -> str:
    """At each target above 0: known facts answered right, each category refused, Unknown answered wrong."""
    rows = []
    for arm, points in found.items():
        metrics = metrics_of(points)
        for place, target in enumerate(row["target"] for row in metrics[0]["by_target"]):
            if not target:
                continue
            cells = [share([one["known"] for one in metrics], place, "correct")]
            for category in Category:
                cells.append(share(parts(metrics, category), place, "abstained"))
            cells.append(share(parts(metrics, Category.UNKNOWN), place, "incorrect"))
            rows.append([arm, f"{target:g}", *cells])
    heads = ["", "t", "known, answered right", *(f"{one} refused" for one in Category), "Unknown, answered wrong"]
    return table(heads, rows)


def parts(metrics: Iterable[Metrics], category: Category) -> list[Mapping[str, Any]]:
    return [part for one in metrics for part in one["by_category"] if part["category"] == category]


def share(parts: Sequence[Mapping[str, Any]], place: int, rate: str) -> str:
    """A rate over several parts, in percent, with its 95 % interval."""
    whole = sum(part["n"] for part in parts)
    if not whole:
        return "–"
    there = sum(round(part["n"] * part["by_target"][place][rate]) for part in parts)
    low, high = (100 * float(end) for end in share_interval(there, whole))
    return f"{100 * there / whole:.1f} [{low:.1f}, {high:.1f}]"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows)])


def main(sweep: Path, prefix: str = "") -> None:
    found = read(sweep)
    if not found:
        raise SystemExit(f"{sweep}: no run of it is finished")
    page = PAGE.read_text(encoding="utf-8")
    for name, of in (("arms", arms), ("by category", by_category)):
        mark = f"<!-- knowledge-rl: {f'{prefix} {name}'.strip()} -->\n"
        if mark not in page:
            raise SystemExit(f"{PAGE}: lacks {mark.strip()}")
        before, _, after = page.partition(mark)
        page = f"{before}{mark}{of(found)}\n{after[after.index(END) :]}"
    write_text(PAGE, page)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
