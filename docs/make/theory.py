"""The tables of docs/theory.md, and its pictures.

    python docs/make/theory.py             # from runs/theory and runs/sizes, as far as they are there
    python docs/make/theory.py pictures    # only what is drawn from equations: nothing has to be run for it

Numbers are means ± standard deviations over seeds, or of one seed with their 95 % interval over questions.
`docs/make/theory_runs.py` measures them.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from abstain.evals.metrics.confidence import reliability
from abstain.evals.metrics.intervals import Interval
from abstain.evals.plots.style import DPI, color, percent_axis, ramp, styled
from abstain.evals.records import read_rows, write_text
from abstain.evals.tables.formats import interval
from abstain.evals.theory.calibration import fooling
from abstain.evals.theory.incentives import breadth, payoff_of
from abstain.recipes.report.source import DONE, read_sweep
from abstain.recipes.sweep.ranking import PointData, spread
from abstain.rewards import TernaryCredit, confidence_target

PAGE = Path(__file__).resolve().parents[1] / "theory.md"
IMAGES = PAGE.parent / "images"
RUNS = Path("runs")
Row = Mapping[str, Any]
Rows = Sequence[Row]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In Markdown."""
    return "\n".join(["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows)])


def over_seeds(rows: Rows, key: str, digits: int = 3) -> str:
    """Mean ± standard deviation of what is known."""
    return spread([row[key] for row in rows if row.get(key) is not None], digits)


def with_ends(values: Sequence[tuple[float, Interval | None]]) -> str:
    """The same of numbers with their intervals, which stand there if there is one seed only."""
    found = spread([value for value, _ in values])
    return f"{found} {interval(ends, 2)}" if len(values) == 1 and (ends := values[0][1]) else found


def groups(rows: Rows, *keys: str) -> list[tuple[tuple[Any, ...], list[Row]]]:
    """Rows that are alike but for the seed, in the order they were measured in."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(key) for key in keys), []).append(row)
    return list(found.items())


# Tables


def facts(rows: Rows) -> str:
    """Worlds by how much is read once, at the end of pre-training."""
    most = max(row["n"] for row in rows)
    heads = [
        "asked for",
        "sr",
        "missing mass",
        "model errs",
        "calibrated algorithm",
        "δ",
        "theorem 2",
        "its chance term",
    ]
    cells = [
        [_kind(birthdays), *_each(some, "singleton_rate", "missing_mass", "err", "memoriser", "delta", "theorem_2"),
         over_seeds(some, "correction", 2)]
        for (birthdays, _), some in sorted(groups([row for row in rows if row["n"] == most], "birthdays", "rare"))
    ]  # fmt: skip
    return table(heads, cells)


def growth(rows: Rows) -> str:
    """The same world as more and more of it is read."""
    some = [row for row in rows if row["rare"] == 0.6]
    heads = [
        "asked for",
        "facts read",
        "sr",
        "missing mass",
        "model errs",
        "of facts never read",
        "read once",
        "more often",
    ]
    cells = [
        [_kind(birthdays), f"{n:,}", *_each(found, "singleton_rate", "missing_mass", "err"),
         *_each(found, "err_unread", "err_once", "err_more")]
        for (birthdays, n), found in sorted(groups(some, "birthdays", "n"))
    ]  # fmt: skip
    return table(heads, cells)


def lemma(rows: Rows) -> str:
    """How far missing mass and singleton rate are apart, beside what lemma 1 allows."""
    apart = [abs(row["missing_mass"] - row["singleton_rate"]) for row in rows]
    allowed = [row["lemma_1"] for row in rows]
    within = sum(one <= other for one, other in zip(apart, allowed, strict=True))
    share = max(one / other for one, other in zip(apart, allowed, strict=True))
    attained = sum(row["memoriser"] <= row["attained"] for row in rows)
    return (
        f"In {within} of {len(rows)} worlds |MM − sr| is within lemma 1; at most it is {max(apart):.3f}, and "
        f"{100 * share:.0f} % of what the lemma allows. The algorithm errs no more than the upper bound in {attained}."
    )


def causes(rows: Rows) -> str:
    """Other causes, a row for each kind of text."""
    shown = [row for row in rows if row["cause"] != "garbage"]
    heads = ["cause", "", "errs", "err_iiv", "learnt", "δ", "bound", "riddles: errs"]
    cells = [
        [cause, kind, *_each(some, "err", "err_iiv", "learnt", "delta", "bound", "riddle_err")]
        for (cause, kind), some in groups(shown, "cause", "kind")
    ]
    return table(heads, cells)


def garbage(rows: Rows) -> str:
    """False facts in, errors out."""
    heads = ["facts that are false", "errs", "of these, because of the text", "err_iiv", "δ"]
    some = sorted(groups([row for row in rows if row["cause"] == "garbage"], "kind"), key=lambda one: float(one[0][0]))
    clean = {row["seed"]: row["err"] for row in (some[0][1] if some else [])}
    cells = []
    for (kind,), found in some:
        more = [row["err"] - clean[row["seed"]] for row in found if row["seed"] in clean]
        cells.append(
            [f"{100 * float(kind):.0f} %", over_seeds(found, "err"), spread(more), *_each(found, "err_iiv", "delta")]
        )
    return table(heads, cells)


def poor(rows: Rows) -> str:
    """n-gram models beside theorem 3."""
    heads = ["text", "n", "choices", "fitted model errs", "the best of its kind", "opt(G)", "theorem 3: at least"]
    cells = []
    for (model, order, choices), some in groups(rows, "model", "order", "choices"):
        size = str(choices or some[0]["answers"])
        cells.append([model, str(order or 3), size, *_each(some, "err", "least", "opt", "bound")])
    return table(heads, cells)


def bounds(rows: Rows) -> str:
    """Both sides of theorem 1 on models, listed; and what sampling makes of err."""
    heads = ["model", "answers", "P(list)", "errs", "err_iiv", "learnt", "δ", "bound", "says", "err of 20,000 samples"]
    cells = []
    for (model, birthdays, kind), some in groups(rows, "model", "birthdays", "kind"):
        name = f"{model}, {kind}" if kind else f"{model}, {_kind(birthdays)}"
        says = "nothing" if fmean(row["bound"] for row in some) <= 0 else "something"
        err, err_iiv, delta = (
            with_ends([(row[key], row[f"{key}_ci"]) for row in some]) for key in ("err", "err_iiv", "delta")
        )
        mass, learnt, bound = _each(some, "mass", "learnt", "bound")
        drawn = with_ends([row["sampled"]["err"] for row in some])
        cells.append([name, str(some[0]["answers"]), mass, err, err_iiv, learnt, delta, bound, says, drawn])
    return table(heads, cells)


def calibration(rows: Rows) -> str:
    """δ before and after SFT, and after RL by reward and normalisation."""
    heads = ["", "reward", "normalised", "δ", "err", "accuracy of the best guess", "P(“I don't know”) at t = 0"]
    cells = []
    for stage in ("base", "sft", "rl"):
        keys = ("reward", "scaling") if stage == "rl" else ()
        for key, some in groups([row for row in rows if row["stage"] == stage], *keys):
            reward, scaling = key or ("", "")
            named = {"group": "yes", "none": "no"}.get(str(scaling), str(scaling))
            cells.append([stage, str(reward), named, *_each(some, "delta", "err", "accuracy", "silence")])
    return table(heads, cells)


def sizes(rows: Rows, points: Sequence[PointData] = ()) -> str:
    """Base models of three sizes, and what training makes of them."""
    heads = ["size", "base: errs", "accuracy", "δ", "trained: δ", "right at t = 0", "mean regret"]
    cells = []
    for size in ("small", "medium", "large"):
        base, after = ([row for row in rows if (row["size"], row["stage"]) == (size, one)] for one in ("base", "rl"))
        metrics = [one.metrics for one in points if one.settings.get("size") == size and one.metrics]
        guesses = [one["by_target"][0]["correct"] for one in metrics]
        regret = [one["mean_regret"] for one in metrics if one["mean_regret"] is not None]
        if base:
            numbers = [*_each(base, "err", "accuracy", "delta"), over_seeds(after, "delta")]
            cells.append([size, *numbers, spread(guesses), spread(regret)])
    return table(heads, cells)


def _kind(birthdays: bool | None) -> str:
    return "birthdays" if birthdays else "cities"


def _each(rows: Rows, *keys: str) -> list[str]:
    return [over_seeds(rows, key) for key in keys]


TABLES: dict[str, tuple[str, Callable[[Rows], str]]] = {
    "facts": ("facts", facts),
    "growth": ("facts", growth),
    "lemma": ("facts", lemma),
    "causes": ("causes", causes),
    "garbage": ("causes", garbage),
    "poor": ("poor", poor),
    "bounds": ("bounds", bounds),
    "calibration": ("calibration", calibration),
    "sizes": ("sizes", sizes),
}
"""Name of a place on the page, the part that it is of, and what makes it."""


def with_tables(page: str, parts: Mapping[str, Rows], points: Sequence[PointData] = ()) -> str:
    """The page with fresh tables, and links to pictures, wherever there are rows for them."""

    def fill(mark: re.Match[str]) -> str:
        name = mark[2]
        if name in TABLES and parts.get(TABLES[name][0]):
            part, make = TABLES[name]
            text = sizes(parts[part], points) if name == "sizes" else make(parts[part])
        elif name in DRAWN and parts.get(DRAWN[name][0]):
            text = f"![{DRAWN[name][1]}](images/theory-{name.partition(' ')[0]}.png)"
        else:
            return mark[0]
        return f"{mark[1]}{text}\n"

    return re.sub(r"(<!-- theory: (.*?) -->\n).*?(?=<!-- end -->)", fill, page, flags=re.S)


# Pictures of what was measured


def facts_picture(rows: Rows, file: Path) -> None:
    """Err against the singleton rate: every world a point, and where the two are the same."""
    with styled():
        figure = Figure(figsize=(7.2, 3.3), layout="constrained")
        for axes, birthdays in zip(figure.subplots(1, 2, sharey=True), (False, True), strict=True):
            some = [row for row in rows if row["birthdays"] == birthdays]
            axes.plot([0, 1], [0, 1], color=color("oracle"), linewidth=0.8, linestyle=(0, (5, 2)), label="err = sr")
            marks = (("err", "wrong", "o", "the model"), ("memoriser", "right", "s", "the calibrated algorithm"))
            for key, role, marker, label in marks:
                xs, ys = [row["singleton_rate"] for row in some], [row[key] for row in some]
                axes.scatter(xs, ys, s=18, marker=marker, color=color(role), alpha=0.8, label=label)
            axes.set(xlabel=f"singleton rate, {_kind(birthdays)}", xlim=(-0.02, 0.82), ylim=(-0.02, 1.02))
            percent_axis(axes.xaxis)
        figure.axes[0].set_ylabel("sampled answers that are wrong")
        percent_axis(figure.axes[0].yaxis)
        figure.axes[1].legend(fontsize=7, loc="lower right")
        figure.savefig(file, dpi=DPI, facecolor="white")


def calibration_picture(rows: Rows, file: Path) -> None:
    """Reliability of the base model, after SFT, and after RL with each reward; the first seed."""
    seed = min(row["seed"] for row in rows)
    first = [row for row in rows if row["seed"] == seed]
    panels = {"base": "base", "sft": "after SFT"}
    shown = [(panels[stage], found) for stage in panels for found in [_first(first, stage=stage)] if found]
    arms = groups([row for row in first if row["stage"] == "rl"], "reward", "scaling")
    shown += [(f"RL, {reward}, {'normalised' if scaling == 'group' else 'not normalised'}", some[0])
              for (reward, scaling), some in arms]  # fmt: skip
    with styled():
        figure = Figure(figsize=(7.2, 2.5 * -(-len(shown) // 3)), layout="constrained")
        axes = np.atleast_1d(figure.subplots(-(-len(shown) // 3), 3, sharex=True, sharey=True)).ravel()
        for place, (name, row) in enumerate(shown):
            _reliability(axes[place], row["reliability"], f"{name}: δ = {row['delta']:.3f}")
        axes[0].set_xticks([0, 0.5, 1])
        for left in axes[len(shown) :]:
            left.set_axis_off()
        figure.supxlabel("probability of the best guess", fontsize=8)
        figure.supylabel("share that is right", fontsize=8)
        figure.savefig(file, dpi=DPI, facecolor="white")


def _first(rows: Rows, **wanted: Any) -> Row | None:
    return next((row for row in rows if all(row.get(key) == value for key, value in wanted.items())), None)


def _reliability(axes: Any, bins: Iterable[Sequence[float]], title: str) -> None:
    axes.plot([0, 1], [0, 1], color=color("oracle"), linewidth=0.8, linestyle=(0, (5, 2)))
    said, right, low, high = zip(*bins, strict=True)
    axes.vlines(said, low, high, color=color("after"), linewidth=0.9, alpha=0.7)
    axes.plot(said, right, marker="o", color=color("after"))
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    axes.set_title(title, fontsize=7.5, loc="left")


# Pictures of equations


def incentives_picture(file: Path) -> None:
    """What answering earns more than abstaining, as our rewards pay it: for a talk."""
    p = np.linspace(0, 1, 101)
    with styled():
        figure = Figure(figsize=(5.2, 3.1), layout="constrained")
        axes = figure.subplots()
        binary = payoff_of(TernaryCredit(correct=1, abstain=0, wrong=0))
        axes.plot(p, [binary.gain(one) for one in p], color=color("before"), linestyle="--", label="right or not")
        for target, role in zip((0.5, 0.75, 0.9), ramp(3), strict=True):
            paid = payoff_of(confidence_target, target)
            axes.plot(p, [paid.gain(one) for one in p], color=color(role), label=f"t = {target:g}")
            axes.plot([target], [0], marker="o", color=color(role))
        axes.axhline(0, color=color("ink"), linewidth=0.8)
        axes.annotate("“I don't know”", (0.02, 0.0), xytext=(0, -11), textcoords="offset points", fontsize=7.5)
        axes.set(xlabel="probability of being right", ylabel="answering earns")
        percent_axis(axes.xaxis)
        axes.legend(fontsize=7.5, loc="upper left")
        figure.savefig(file, dpi=DPI, facecolor="white")


def breadth_picture(file: Path) -> None:
    """Consistency against breadth, where as much is known and the rest is known worse and worse."""
    allowed = np.linspace(0, 0.5, 101)
    rng = np.random.default_rng(0)
    with styled():
        figure = Figure(figsize=(5.2, 3.1), layout="constrained")
        axes = figure.subplots()
        for (certain, shape), role in zip(((0.6, 2.0), (0.3, 1.0), (0.1, 0.5)), ramp(3), strict=True):
            size = 4_000
            sure = np.ones(round(certain * size))
            p = np.concatenate([sure, rng.beta(shape, 2, size - len(sure))])
            curve = breadth(p, allowed.tolist())
            label = f"{certain:.0%} certain".replace("%", " %")
            axes.plot([one.allowed for one in curve], [one.right for one in curve], color=color(role), label=label)
        axes.set(
            xlabel="wrong answers allowed, of all questions", ylabel="right answers, of all questions", ylim=(0, 1)
        )
        percent_axis(axes.xaxis)
        percent_axis(axes.yaxis)
        axes.legend(fontsize=7.5, loc="lower right")
        figure.savefig(file, dpi=DPI, facecolor="white")


def fooled_picture(file: Path) -> None:
    """Two reliability curves that fool the eye."""
    p = np.random.default_rng(0).random(4_000)
    found = fooling(p, 0.5)
    titles = {"certain": "answers only above t = .5", "base rate": "always as sure as it is right"}
    with styled():
        figure = Figure(figsize=(7.2, 3.1), layout="constrained")
        for axes, (name, one) in zip(figure.subplots(1, 2, sharey=True), found.items(), strict=True):
            bins = [(b.confidence, b.right, b.low, b.high) for b in reliability(one.confidence, one.correct)]
            numbers = f"ECE {one.ece:.2f}, score {one.score:z.2f}, best possible {one.best:.2f}".replace("-", "−")
            _reliability(axes, bins, f"{titles[name]}\n{numbers}")
            axes.set_xlabel("confidence")
        figure.axes[0].set_ylabel("share that is right")
        figure.savefig(file, dpi=DPI, facecolor="white")


DRAWN: dict[str, tuple[str, str, Callable[[Rows, Path], None]]] = {
    "facts picture": ("facts", "Errors against the singleton rate, cities and birthdays", facts_picture),
    "calibration picture": ("calibration", "Reliability before and after SFT and RL", calibration_picture),
}
"""Places of pictures on the page: the part that each is of, what it shows, and what draws it."""
PICTURES = {"incentives": incentives_picture, "breadth": breadth_picture, "fooled": fooled_picture}


def rows_of(part: str) -> list[dict[str, Any]]:
    """All that was measured of a part, seed after seed."""
    return [row for file in sorted((RUNS / "theory").glob(f"{part}-*.jsonl")) for row in read_rows(file)]


def main(only: str = "") -> None:
    """The command lines above."""
    for name, draw in PICTURES.items():
        draw(IMAGES / f"theory-{name}.png")
    if only == "pictures":
        return
    parts = {part: rows for part in {part for part, _ in TABLES.values()} if (rows := rows_of(part))}
    if not parts:
        raise SystemExit("runs/theory holds nothing: docs/make/theory_runs.py measures it")
    swept = RUNS / "sizes" / "sweep.json"
    points = [one for one in read_sweep(swept.parent).points if one.status == DONE] if swept.is_file() else []
    for name, (part, _, draw_rows) in DRAWN.items():
        if part in parts:
            draw_rows(parts[part], IMAGES / f"theory-{name.partition(' ')[0]}.png")
    write_text(PAGE, with_tables(PAGE.read_text(encoding="utf-8"), parts, points))


if __name__ == "__main__":
    main(*sys.argv[1:2])
