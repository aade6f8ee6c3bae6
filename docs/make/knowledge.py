"""The tables of docs/knowledge.md, and its pictures, from the runs that it tells of.

    abstain ablate knowledge
    python docs/make/knowledge.py runs/knowledge
    python docs/make/knowledge.py runs/smollm2-knowledge smollm2

Everything is read from each run's `sft/looks.jsonl`: the early stop is the look after an epoch with the best accuracy
on dev questions, convergence the last look. Numbers are percent, mean ± standard deviation over worlds.
"""

import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from abstain.evals.knowledge.fitting import KNOWN, LinearModel, Look, Part, Point, early_stop, linear_model, looks_of
from abstain.evals.knowledge.labels import Category, count_categories, read_labels
from abstain.evals.plots.style import DPI, color, percent_axis, ramp, styled
from abstain.evals.records import read_rows, write_text
from abstain.recipes.report.source import DONE, read_sweep
from abstain.recipes.sweep.ranking import spread

PAGE = Path(__file__).resolve().parents[1] / "knowledge.md"
IMAGES = PAGE.parent / "images"
SHARES = (0, 25, 50, 75, 100)
STOP, END = "early stop", "convergence"
TIMES = (STOP, END)
UNKNOWN = (Category.UNKNOWN,)
ALL = (None, *((category,) for category in Category))
"""All test questions, and those of each category."""
SINGLE = {
    "highly": "HighlyKnown",
    "maybe": "MaybeKnown",
    "weakly": "WeaklyKnown",
    "unknown-100": "Unknown",
    "natural": "Natural",
}
PAPER_SINGLE = {  # Gekhman et al. 2024, table 3: all test questions and each category, at both times
    "highly": ((40.5, 98.7, 60.1, 9.0, 0.6), (40.0, 98.4, 58.8, 8.5, 0.7)),
    "maybe": ((43.6, 98.4, 69.9, 12.1, 1.0), (43.2, 97.5, 68.2, 12.9, 1.3)),
    "weakly": ((39.2, 95.0, 59.2, 8.6, 0.4), (35.4, 73.5, 55.8, 17.2, 2.2)),
    "unknown-100": ((37.5, 95.6, 52.9, 6.5, 0.6), (25.8, 55.8, 36.6, 12.2, 3.2)),
    "natural": ((43.5, 98.0, 67.6, 14.1, 1.8), (41.8, 95.5, 61.7, 14.8, 2.5)),
}
PAPER_LINEAR = {"test": "36.9 | +7.3 | −8.3 | .86", "other": "36.2 | +3.2 | −3.0 | .95"}
PAPER_IDK = {"unknown-50": ("43.0 / 100", "38.8 / 100"), "idk-50": ("61.8 / 58.7", "61.8 / 55.6")}
PAPER_CATEGORIES = (24, 23, 17, 36)


@dataclass(frozen=True)
class Run:
    """A run of the sweep: what was trained on, in which world, and what was seen."""

    data: str
    world: int
    path: Path

    @cached_property
    def looks(self) -> list[Look]:
        return looks_of(read_rows(self.path / "sft" / "looks.jsonl"))

    def at(self, time: str) -> Look:
        return early_stop(self.looks) if time == STOP else self.looks[-1]


Study = Mapping[str, Sequence[Run]]
"""The runs of each kind of data, one for each world."""


def read(sweep: Path) -> Study:
    """What is finished."""
    found: dict[str, list[Run]] = {}
    for point in read_sweep(sweep).points:
        if point.status == DONE:
            data = str(point.settings["data"])
            found.setdefault(data, []).append(Run(data, point.seed or 0, point.path))
    return found


def percent(values: Iterable[float | None]) -> str:
    """Of shares, one for each world; those that cannot be had are left out."""
    return spread([value for value in values if value is not None], 1, factor=100)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows)])


# Tables


def categories(study: Study) -> str:
    """What there is to train on and to ask: shares of each category, of all that was labelled."""
    runs = {run.world: run for runs in study.values() for run in runs}
    by_world = []
    for run in runs.values():
        counts = count_categories(read_labels(run.path / "labels").rows)
        by_world.append([counts[category] / sum(counts.values()) for category in Category])
    ours = [percent(column) for column in zip(*by_world, strict=True)]
    return table(["", *Category], [["ours", *ours], ["paper", *map(str, PAPER_CATEGORIES)]])


def by_share(study: Study) -> str:
    """Accuracy against the share of Unknown facts, with them and with them taken out."""
    heads = ["Unknown", "stops at epoch", STOP, END, "difference", "without them: stop", "end", "with − without: stop"]
    return table([*heads, "end"], filter(None, (_share_row(study, share) for share in SHARES)))


def _share_row(study: Study, share: int) -> list[str]:
    runs = study.get(f"unknown-{share}", [])
    if not runs:
        return []
    stop, end = ([run.at(time).share("test") for run in runs] for time in TIMES)
    row = [f"{share} %", spread([run.at(STOP).epoch for run in runs], 0), percent(stop), percent(end)]
    row.append(percent(paired(runs, runs, END, STOP)))
    known = study.get(f"known-{100 - share}", [])
    if not known:
        return [*row, "", "", "", ""]
    row += [percent(run.at(time).share("test") for run in known) for time in TIMES]
    return [*row, *(percent(paired(runs, known, time, time)) for time in TIMES)]


def paired(runs: Sequence[Run], others: Sequence[Run], time: str, other: str) -> list[float]:
    """Accuracy of the first at one time less that of the others at another, world by world."""
    by_world = {run.world: run.at(other).share("test") for run in others}
    pairs = ((run.at(time).share("test"), by_world.get(run.world)) for run in runs)
    return [mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None]


def others(study: Study) -> str:
    """The same for relations that are never trained."""
    rows = []
    for share in SHARES:
        if runs := study.get(f"unknown-{share}"):
            rows.append([f"{share} %", *(percent(run.at(time).share("other") for run in runs) for time in TIMES)])
    return table(["Unknown", *TIMES], rows)


def fitted(study: Study) -> str:
    """Which share of the training facts of each category is fitted at the early stop, and at the end."""
    rows = []
    for share in SHARES:
        for time in TIMES:
            looks = [run.at(time) for run in study.get(f"unknown-{share}", [])]
            shares = [percent(look.share("train", categories=one) for look in looks) for one in ALL[1:]]
            rows += [[f"{share} %", time, *shares]] * bool(looks)
    return table(["Unknown", "", *Category], rows)


def regression(study: Study) -> str:
    """The linear model, for relations that are trained and for others."""
    rows = []
    for part, name in (("test", "trained relations"), ("other", "a relation never trained")):
        if points := points_of(study, part):
            rows += [[name, "ours", *_coefficients(linear_model(points))], ["", "paper", *_split(PAPER_LINEAR[part])]]
    return table(["accuracy on", "", "β0", "β_kn", "β_unk", "R²"], rows)


def _split(cells: str) -> list[str]:
    return cells.split(" | ")


def points_of(study: Study, part: Part) -> list[Point]:
    """Every look after the start at every run with a share of Unknown facts, in percent."""
    found = []
    for share in SHARES:
        for run in study.get(f"unknown-{share}", []):
            for look in run.looks[1:]:
                accuracy = look.share(part)
                if accuracy is not None:
                    known, unknown = look.fitted(KNOWN), look.fitted(UNKNOWN)
                    found.append(Point(run.data, run.world, known, unknown, 100 * accuracy))
    return found


def _coefficients(found: LinearModel) -> Iterator[str]:
    yield _with_ends(found.intercept, found.intercept_interval, "")
    yield _with_ends(found.known, found.known_interval)
    yield _with_ends(found.unknown, found.unknown_interval)
    yield f"{found.r_squared:.2f}".removeprefix("0")


def _with_ends(value: float, ends: tuple[float, float], sign: str = "+") -> str:
    return f"{value:{sign}.1f} [{ends[0]:{sign}.1f}, {ends[1]:{sign}.1f}]".replace("-", "−")


def single(study: Study) -> str:
    """Training on one category, by the category of the test questions."""
    rows = []
    for time_place, time in enumerate(TIMES):
        for data, name in SINGLE.items():
            if looks := [run.at(time) for run in study.get(data, [])]:
                ours = [percent(look.share("test", categories=one) for look in looks) for one in ALL]
                paper = [f"{number:.1f}" for number in PAPER_SINGLE[data][time_place]]
                rows += [[f"{name}, {time}", "ours", *ours], ["", "paper", *paper]]
    return table(["trained on", "", "all", *Category], rows)


def idk(study: Study) -> str:
    """Unknown facts answered "I don't know" instead: accuracy on what is answered, and how much is."""
    rows = []
    for data, name in (("unknown-50", "half Unknown, answers"), ("idk-50", "half Unknown, “I don't know”")):
        if runs := study.get(data):
            pairs = [[run.at(time).answered("test") for run in runs] for time in TIMES]
            ours = [f"{percent(p for p, _ in both)} / {percent(share for _, share in both)}" for both in pairs]
            overall = [percent(run.at(time).share("test") for run in runs) for time in TIMES]
            rows += [[name, "ours", *ours, *overall], ["", "paper", *PAPER_IDK[data], "", ""]]
    times = [f"{time}: {what}" for what in ("right of the answered / answered", "right of all") for time in TIMES]
    return table(["", "", *times], rows)


def idk_by_category(study: Study) -> str:
    """Who is refused: the share of the test questions of each category that "I don't know" answers."""
    rows = []
    for time in TIMES:
        if looks := [run.at(time) for run in study.get("idk-50", [])]:
            rows.append([time, *(percent(look.share("test", "abstained", one) for look in looks) for one in ALL)])
    return table(["refused at", "all", *Category], rows)


TABLES: dict[str, Callable[[Study], str]] = {
    "categories": categories,
    "by share": by_share,
    "others": others,
    "fitted": fitted,
    "linear model": regression,
    "single": single,
    "idk": idk,
    "idk by category": idk_by_category,
}


def with_tables(page: str, study: Study, prefix: str) -> str:
    """The page with fresh tables between those of its markers that have this prefix and a table of ours."""

    def fill(mark: re.Match[str]) -> str:
        name = mark[2].removeprefix(prefix).strip()
        ours = mark[2].startswith(prefix) if prefix else mark[2] in TABLES
        return f"{mark[1]}{TABLES[name](study)}\n" if ours and name in TABLES else mark[0]

    return re.sub(r"(<!-- knowledge: (.*?) -->\n).*?(?=<!-- end -->)", fill, page, flags=re.S)


# Pictures


def accuracy_picture(study: Study, file: Path) -> None:
    """Accuracy against the share of Unknown facts, with and without them; and on relations that are never trained."""
    with styled():
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for time, role, marker in ((STOP, "after", "o"), (END, "wrong", "s")):
            _against_share(left, study, "unknown-{share}", "test", time, color(role), marker, "-", time)
            name = f"{time}, Unknown taken out"
            _against_share(left, study, "known-{rest}", "test", time, color(role), marker, ":", name)
            _against_share(right, study, "unknown-{share}", "other", time, color(role), marker, "-", "")
        _share_axis(left, "right, of trained relations (test)")
        _share_axis(right, "right, of a relation never trained")
        figure.legend(loc="outside upper left", ncols=4, fontsize=7.5)
        figure.savefig(file, dpi=DPI, facecolor="white")


def _share_axis(axes: Any, measured: str) -> None:
    axes.set_xticks(SHARES, [f"{share} %" for share in SHARES])
    axes.set_xlabel("Unknown among the training facts")
    axes.set_ylabel(measured)
    percent_axis(axes.yaxis)


def _against_share(
    axes: Any, study: Study, data: str, part: Part, time: str, shade: str, marker: str, line: str, label: str
) -> None:
    points = {}
    for share in SHARES:
        runs = study.get(data.format(share=share, rest=100 - share), [])
        if values := [value for run in runs if (value := run.at(time).share(part)) is not None]:
            points[share] = values
    for share, values in points.items():
        axes.vlines(share, min(values), max(values), color=shade, linewidth=0.8, alpha=0.5)
    if points:
        axes.plot([*points], [*map(fmean, points.values())], line, color=shade, marker=marker, label=label)


def fitting_picture(study: Study, file: Path) -> None:
    """Known facts are fitted before Unknown ones: half of each, by epochs; and what is fitted at the early stop."""
    with styled():
        figure = Figure(figsize=(7.2, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        runs = study.get("unknown-50", [])
        curves: list[tuple[str, str, Part, Collection[str] | None]] = [
            ("Known, fitted", "right", "train", KNOWN),
            ("Unknown, fitted", "wrong", "train", UNKNOWN),
            ("dev questions right", "ink", "dev", None),
        ]
        for name, role, part, which in curves:
            left.plot(*_curve(runs, part, which), color=color(role), marker=".", label=name)
        for run in runs:
            left.axvline(run.at(STOP).epoch, color=color("muted"), linewidth=0.8, linestyle=":")
        left.set_xscale("function", functions=(_root, np.square))  # there is most to see at first
        last = max((look.epoch for run in runs for look in run.looks), default=1)
        left.set_xticks([epoch for epoch in (0, 1, 2, 5, 10, 20, 30, 50) if epoch <= last])
        left.set_xlabel("epochs, half of the facts Unknown (dotted: early stops)")
        percent_axis(left.yaxis)
        left.legend(fontsize=7)
        for role, category, marker in zip(ramp(len(Category)), Category, "os^D", strict=True):
            by_share = {}
            for share in SHARES:
                looks = [run.at(STOP) for run in study.get(f"unknown-{share}", [])]
                values = [value for look in looks if (value := look.share("train", categories=[category])) is not None]
                if values:
                    by_share[share] = fmean(values)
            right.plot([*by_share], [*by_share.values()], color=color(role), marker=marker, label=category)
        _share_axis(right, "fitted at the early stop")
        right.legend(fontsize=7, loc="center right", bbox_to_anchor=(1, 0.42))
        for axes in (left, right):
            axes.set_ylim(-0.03, 1.03)
        figure.savefig(file, dpi=DPI, facecolor="white")


def _root(values: Any) -> Any:
    return np.sqrt(np.maximum(values, 0))


def _curve(runs: Sequence[Run], part: Part, which: Collection[str] | None) -> tuple[list[float], list[float]]:
    """Means over worlds at the epochs that all of them have."""
    by_epoch: dict[float, list[float]] = {}
    for run in runs:
        for look in run.looks:
            value = look.share(part, categories=which)
            if value is not None:
                by_epoch.setdefault(look.epoch, []).append(value)
    there = {epoch: values for epoch, values in sorted(by_epoch.items()) if len(values) == len(runs)}
    return list(there), [fmean(values) for values in there.values()]


PICTURES = {"accuracy": accuracy_picture, "fitting": fitting_picture}


def main(sweep: Path, prefix: str = "") -> None:
    study = read(sweep)
    if not study:
        raise SystemExit(f"{sweep}: no run of it is finished")
    write_text(PAGE, with_tables(PAGE.read_text(encoding="utf-8"), study, prefix))
    if not prefix:  # two runs make no picture
        for name, draw in PICTURES.items():
            draw(study, IMAGES / f"knowledge-{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
