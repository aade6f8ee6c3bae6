"""Does knowing what the model knows help RL? The tables of docs/knowledge.md's last part.

    abstain ablate knowledge-rl
    python docs/make/knowledge_rl.py sweeps/knowledge-rl

An arm is what happens before RL, or which questions RL asks. Every arm is held against the first one: points per
question, paired by question, all worlds together.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from abstain.evals.knowledge.labels import Category, read_labels
from abstain.evals.metrics.intervals import paired_difference, share_interval
from abstain.evals.records import Record, read_json, read_records
from abstain.recipes.report.source import PointData, read_sweep
from abstain.rewards.verdict import Verdict

GOAL = 0.02
KNOWN = (Category.HIGHLY_KNOWN, Category.MAYBE_KNOWN)
Arms = dict[str, list[PointData]]


def arms_of(folder: Path, axis: str) -> Arms:
    """The points that finished, by arm, in the order of the sweep."""
    found: Arms = defaultdict(list)
    for point in read_sweep(folder).points:
        if point.metrics is not None:
            found[str(point.settings[axis])].append(point)
    return found


def records_of(point: PointData) -> list[Record]:
    """Its records, whose questions are this world's own."""
    world = str(point.seed)
    return [replace(one, id=f"{world}/{one.id}") for one in read_records(point.path / "records.jsonl")]


def steps_to(goal: float, point: PointData) -> int | None:
    """The first look at held-out questions whose mean regret is at most the goal."""
    state = read_json(point.path / "rl" / "trainer_state.json")
    looks = ((entry["step"], value) for entry in state["log_history"] for value in regrets(entry))
    return next((step for step, regret in looks if regret <= goal), None)


def regrets(entry: Mapping[str, Any]) -> Iterator[float]:
    return (value for key, value in entry.items() if key.startswith("heldout/") and key.endswith("/mean_regret"))


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Mean ± standard deviation over worlds."""
    both = [fmean(values), *([stdev(values)] if len(values) > 1 else [])]
    return " ± ".join(f"{value:,.{digits}f}" for value in both).replace("-", "−").replace("0.", ".")


def signed(value: float, ends: Sequence[float]) -> str:
    low, high = ends
    return f"{value:+.3f} [{low:.3f}, {high:.3f}]".replace("-", "−").replace("0.", ".")


def row(arm: str, points: Sequence[PointData], reference: Sequence[Record] | None) -> list[str]:
    """Regret, the difference to the reference, and how soon the goal was reached."""
    metrics = [point.metrics for point in points if point.metrics is not None]
    by_target = [[f"{one['regret']:.3f}" for one in each["by_target"]] for each in metrics]
    regret = spread([each["mean_regret"] for each in metrics])
    reached = [step for point in points if (step := steps_to(GOAL, point)) is not None]
    difference = "reference"
    if reference is not None:
        found = paired_difference(reference, [one for point in points for one in records_of(point)])
        difference = signed(found["mean_score"], found["mean_score_ci"])
    at = [spread([float(each[place]) for each in by_target]) for place in range(len(by_target[0]))]
    soon = f"{spread([float(step) for step in reached], 0)} ({len(reached)} of {len(points)})" if reached else "never"
    return [arm, regret, *at, difference, soon]


def category_rows(arm: str, points: Sequence[PointData]) -> Iterator[list[str]]:
    """What is answered and what is refused, at each target above 0: the known, and each category."""
    counts: dict[tuple[float, Category], dict[Verdict, int]] = defaultdict(lambda: defaultdict(int))
    for point in points:
        known = read_labels(point.path / "labels").by_id
        for record in read_records(point.path / "records.jsonl"):
            if record.id in known:
                counts[record.target, known[record.id].category][record.verdict] += 1
    for target in sorted({target for target, _ in counts if target}):
        of = {category: counts[target, category] for category in Category}
        right = sum(of[one][Verdict.CORRECT] for one in KNOWN)
        cells = [share(right, sum(sum(of[one].values()) for one in KNOWN))]
        cells += [share(of[one][Verdict.ABSTAINED], sum(of[one].values())) for one in Category]
        unknown = of[Category.UNKNOWN]
        cells.append(share(unknown[Verdict.INCORRECT], sum(unknown.values())))
        yield [arm, f"{target:g}", *cells]


def share(part: int, whole: int) -> str:
    """A share in percent with its 95 % interval."""
    if not whole:
        return "—"
    low, high = (float(end) for end in share_interval(part, whole))
    return f"{100 * part / whole:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def table(heads: Sequence[str], rows: Iterator[list[str]] | Sequence[list[str]]) -> str:
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *(f"| {' | '.join(r)} |" for r in rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the sweep")
    parser.add_argument("--axis", default="start", help="that names the arms")
    given = parser.parse_args()
    arms = arms_of(given.folder, given.axis)
    first = [one for point in next(iter(arms.values())) for one in records_of(point)]
    metrics = next(iter(arms.values()))[0].metrics
    assert metrics is not None
    targets = [f"t = {one['target']:g}" for one in metrics["by_target"]]
    heads = ["arm", "mean regret", *targets, "points against the first", f"steps to {GOAL:g}"]
    rows = [row(arm, points, None if place == 0 else first) for place, (arm, points) in enumerate(arms.items())]
    print(table(heads, rows))
    heads = ["arm", "t", "known, answered right", *(f"{one} refused" for one in Category), "Unknown, wrong"]
    print("\n" + table(heads, [line for arm, points in arms.items() for line in category_rows(arm, points)]))
    print("\n" + json.dumps({arm: [point.name for point in points] for arm, points in arms.items()}))


if __name__ == "__main__":
    main()
