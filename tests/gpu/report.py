"""What was found, as tables of at most 100 columns."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from .fit import TERMS
from .measure import EXACT, FLASH, SHARED, STOCK

WIDTH = 100


def show(found: dict[str, Any]) -> None:
    """Prints everything.

    Args:
        found: as in gpu-check.json.
    """
    console = Console(width=WIDTH, highlight=False)
    about = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items() if number)
    console.print(f"\n{about['device']}, {about['threads']} threads, Python {about['python']}, {versions}")
    cells = [part for part in found["parts"] if "runs" in part]
    if cells:
        console.print(_speed(cells), _means(), _kernels(cells))
    for part in found["parts"]:
        if "ways" in part:
            console.print(_ways(part))
        if part["kind"] == "fact world" and "seconds_a_step" in part:
            console.print(_fact_world(part))
        if "sampling_seconds" in part:
            both = ", ".join(f"{name} {seconds:.3g} s" for name, seconds in part["sampling_seconds"].items())
            console.print(f"Sampling a batch: {both}")
    if found["fit"]:
        console.print(_constants(found["fit"]))
    for half, chosen in found["choices"].items():
        console.print(
            f"{half}: the constants choose the faster path in {chosen['right']} of {chosen['cells']} cells (stock is "
            f"faster in {chosen['stock faster']}); {chosen['seconds over best'] - 1:.1%} more seconds than the best"
        )
    for part in found["parts"]:
        for name in ("failed", "not here"):
            if name in part:
                console.print(f"{part['name']}: {name}: {part[name]}", markup=False)
        for path, run in part.get("runs", {}).items():
            if run.get("passed_trial") is False:
                console.print(
                    f"{part['name']}: the trial refuses the trie, which was measured all the same", markup=False
                )
            if path == SHARED and "passes" in run and not run["passes"].get(SHARED):
                console.print(f"{part['name']}: shared trained by the stock path, not on a trie", markup=False)
            if "failed" in run:
                console.print(f"{part['name']}, {path}: {run['failed']}", markup=False)
    for name, reason in found["skipped"].items():
        console.print(f"{name}: not begun, {reason}", markup=False)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(columns[0], overflow="fold")
    for name in columns[1:]:
        table.add_column(name, justify="right")
    return table


def _speed(cells: Sequence[dict[str, Any]]) -> Table:
    table = _table(
        "Seconds: a step, and how many times as fast as stock its halves are",
        ["cell (prompt + answer, G)", "distinct", "nodes", "stock", "shared", "× step", "× sampling", "× training"],
    )
    for part in cells:
        stock, shared = (part["runs"].get(name, {}).get("seconds", {}) for name in (STOCK, SHARED))
        table.add_row(
            part["name"],
            f"{part['distinct']:.0%}",
            str(part["nodes"]),
            _seconds(stock.get("step")),
            _seconds(shared.get("step")),
            _ratio(stock, shared, "step"),
            f"{_ratio(stock, shared, 'sampling')} of {part['bound']['sampling']:.1f}",
            f"{_ratio(stock, shared, 'training')} of {part['bound']['training']:.1f}",
        )
        if FLASH in part["runs"]:
            flash = part["runs"][FLASH].get("seconds", {})
            row = ["  stock with FlashAttention", "", "", _seconds(flash.get("step")), ""]
            table.add_row(*row, *(_ratio(flash, shared, half) for half in ("step", "sampling", "training")))
    return table


def _means() -> str:
    return "× of: what token counts allow, tokens that stock computes over the nodes of the trie\n"


def _kernels(cells: Sequence[dict[str, Any]]) -> Table:
    table = _table(
        "Peak memory, training's share of the matmul peak, distances of gradients ‖a − b‖ / ‖b‖",
        ["cell", "MB stock", "shared", "of peak", "shared", "reordered", "shared", "stock : fp32", "shared : fp32"],
    )
    for part in cells:
        stock, shared = (part["runs"].get(name, {}) for name in (STOCK, SHARED))
        off = part["gradients"]
        table.add_row(
            part["name"],
            *(f"{run['peak_mb']:,.0f}" if "peak_mb" in run else "" for run in (stock, shared)),
            *(_share(part, path) for path in (STOCK, SHARED)),
            *(
                f"{off[name]:.1e}" if name in off else ""
                for name in (
                    "stock in another order",
                    "shared against stock",
                    f"{STOCK} against {EXACT}",
                    f"{SHARED} against {EXACT}",
                )
            ),
        )
    return table


def _share(part: dict[str, Any], path: str) -> str:
    """Operations of the training half, padding and masked pairs included, over what a matmul would do in its time."""
    seconds = part["runs"].get(path, {}).get("seconds", {}).get("training")
    if seconds is None:
        return ""
    shape, work = part["cell"]["shape"], part["work"][path]
    operations = 6 * (
        part["cell"]["linear_weights"] * work["slots"]
        + 2 * shape["layers"] * shape["hidden"] * work["pairs"]
        + shape["vocabulary"] * shape["hidden"] * work["scored"]
    )
    return f"{operations / seconds / part['matmul_tflops'] / 1e12:.1%}"


def _ways(part: dict[str, Any]) -> Table:
    table = _table(
        f"{part['cell']['name']}: ways to share, forward and backward, one head",
        ["", "seconds", "× whole rows", "peak MB", "gradient off"],
    )
    whole = part["ways"]["whole rows"]
    for name, run in part["ways"].items():
        if "failed" in run:
            table.add_row(f"{name}: {run['failed']}", "", "", "", "")
        else:
            ratio = _ratio(whole, run, "seconds")
            table.add_row(name, _seconds(run["seconds"]), ratio, f"{run['peak_mb']:,.0f}", f"{run['off']:.1e}")
    return table


def _fact_world(part: dict[str, Any]) -> Table:
    title = f"Fact world, {part['people']} people: {part['rl_steps']} steps of RL, {part['seconds_a_step']:.3g} s each"
    table = _table(title, ["", *part["seconds"]])
    table.add_row("seconds", *(f"{seconds:.1f}" for seconds in part["seconds"].values()))
    regret = part["mean_regret"]
    shown = (f"{regret[name]:.3f}" if regret.get(name) is not None else "" for name in part["seconds"])
    table.add_row("mean regret", *shown)
    return table


def _constants(fitted: Sequence[dict[str, Any]]) -> Table:
    columns = ["device, path, half", "cells", "fixed", "per 1e9 w", *TERMS[2:], "error", "left out"]
    table = _table("Cost model: seconds, and seconds for 1e12 operations; median relative errors", columns)
    for row in fitted:
        table.add_row(
            f"{row['device']} {row['precision']} {row['path']} {row['half']}",
            str(row["cells"]),
            *(f"{row['constants'][term]:.3g}" for term in TERMS),
            f"{row['error']:.0%}",
            f"{row['error_left_out']:.0%}",
        )
    return table


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _ratio(slow: dict[str, float], fast: dict[str, float], half: str) -> str:
    return f"{slow[half] / fast[half]:.1f}" if half in slow and half in fast else "–"
