"""The tables of docs/long-answers.md: claims kept and left out, beside a threshold on each claim's own probability.

    abstain ablate biographies
    python docs/make/long_answers.py runs/biographies

Numbers are means over worlds with their standard deviation. A row of the first table is a target; thresholds are on
the claims of the model before it was taught.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from abstain.evals.metrics.schema import Metrics, read_metrics
from abstain.evals.records import write_text
from abstain.recipes.report.source import DONE, PointData, read_sweep
from abstain.recipes.sweep.ranking import spread

PAGE = Path(__file__).resolve().parents[1] / "long-answers.md"
END = "<!-- end -->"
USUAL = "claims"


def read(sweep: Path) -> dict[str, list[PointData]]:
    """The points that are finished, by what is paid."""
    found: dict[str, list[PointData]] = {}
    for point in read_sweep(sweep).points:
        if point.status == DONE:
            found.setdefault(str(point.settings["paid"]), []).append(point)
    return found


def metrics_of(points: Sequence[PointData]) -> list[Metrics]:
    return [point.metrics for point in points if point.metrics is not None]


def row_at(metrics: Metrics, place: int) -> dict[str, Any]:
    return dict(metrics["by_target"][place])


def by_claim(found: dict[str, list[PointData]]) -> str:
    """At each target: regret to the true oracle, and what is kept, beside thresholds on the first model's claims."""
    paid = metrics_of(found[USUAL])
    warm = [read_metrics(point.path / "sft" / "metrics.json") for point in found[USUAL]]
    rows = []
    for place, target in enumerate(row["target"] for row in paid[0]["by_target"]):
        cells = [[row_at(one, place) for one in of] for of in (paid, warm)]
        told = [spread([row["regret"] for row in of]) for of in cells]
        baselines = ("fixed_threshold_score", "isotonic_score")
        told += [spread([row["oracle_score"] - row[key] for row in cells[0]]) for key in baselines]
        told += [spread([row[key] for row in cells[0]]) for key in ("coverage", "accuracy_attempted")]
        rows.append([f"{target:g}", *told])
    heads = ["t", "regret, after RL", "after SFT", "threshold t", "the same, recalibrated", "stated", "of these true"]
    return table(heads, rows)


def strict(found: dict[str, list[PointData]]) -> str:
    """What whole answers are worth, by what was paid for."""
    rows = []
    for paid, points in found.items():
        metrics = metrics_of(points)
        for place, target in enumerate(row["target"] for row in metrics[0]["whole_answers"]):
            of = [one["whole_answers"][place] for one in metrics]
            regret = spread([row_at(one, place)["regret"] for one in metrics])
            cells = [spread([row[key] for row in of]) for key in ("correct", "incorrect", "abstained", "claims")]
            rows.append([paid, f"{target:g}", *cells, regret])
    heads = ["paid for", "t", "all true", "with a mistake", "silent", "claims per answer", "regret per claim"]
    return table(heads, rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows)])


PARTS: dict[str, Callable[[dict[str, list[PointData]]], str]] = {"by claim": by_claim, "whole answers": strict}


def main(sweep: Path) -> None:
    found = read(sweep)
    if USUAL not in found:
        raise SystemExit(f"{sweep}: no run of it that pays for {USUAL} is finished")
    page = PAGE.read_text(encoding="utf-8")
    for name, of in PARTS.items():
        mark = f"<!-- long-answers: {name} -->\n"
        if mark not in page:
            raise SystemExit(f"{PAGE}: lacks {mark.strip()}")
        before, _, after = page.partition(mark)
        page = f"{before}{mark}{of(found)}\n{after[after.index(END) :]}"
    write_text(PAGE, page)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
