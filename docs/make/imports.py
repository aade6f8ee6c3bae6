"""Draws docs/images/imports.png, which package imports which: python docs/make/imports.py

Floors stand in the order of FLOORS in tests/test_import_law.py, the first at the bottom. Whatever imports something of
the floor below begins a floor of its own, so an arrow can only point down. One that follows from others is left out.
"""

import importlib.util
from itertools import pairwise
from pathlib import Path as File

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle
from matplotlib.path import Path
from scipy.optimize import isotonic_regression

ROOT = File(__file__).resolve().parents[2]
COLORS = {"rewards": "#2f6f9f", "evals": "#3b8a5a", "trainers": "#b8792a", "recipes": "#9a4a6b"}
Arrow = tuple[str, str]


def read_imports() -> dict[str, set[str]]:
    """What each line of FLOORS imports, itself left out; in the order of FLOORS."""
    spec = importlib.util.spec_from_file_location("law", ROOT / "tests" / "test_import_law.py")
    assert spec and spec.loader
    law = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(law)
    imports: dict[str, set[str]] = {name: set() for name in law.FLOORS}
    for path in law.MODULES:
        here = law.FLOORS[law.floor(law.dotted(path))]
        names = {name.removeprefix("abstain.") for name in law.imported_modules(path) if name.startswith("abstain.")}
        imports[here] |= {law.FLOORS[law.floor(name)] for name in names} - {here}
    used = set().union(*imports.values())
    return {name: above for name, above in imports.items() if "." in name or name in used}  # a folder's own `__init__`


def reachable(name: str, imports: dict[str, set[str]]) -> set[str]:
    return imports[name].union(*(reachable(above, imports) for above in imports[name]))


def stacked(imports: dict[str, set[str]]) -> list[list[str]]:
    """The floors, from the bottom."""
    floors: list[list[str]] = [[]]
    for name, above in imports.items():
        if above & set(floors[-1]) or (floors[-1] and floors[-1][0].split(".")[0] != name.split(".")[0]):
            floors.append([])
        floors[-1].append(name)
    return floors


def threaded(floors: list[list[str]], arrows: list[Arrow]) -> tuple[list[list[str]], dict[Arrow, list[str]]]:
    """The floors with a gap on each that an arrow crosses, and each arrow's way through these, from above."""
    rows, at = [list(row) for row in floors], {name: i for i, row in enumerate(floors) for name in row}
    ways = {}
    for user, used in arrows:
        assert at[user] > at[used], f"{user} imports {used}, which stands above it"
        gaps = {i: f"{used}|{i}" for i in range(at[user] - 1, at[used], -1)}  # arrows to one package share their way
        for i, gap in gaps.items():
            if gap not in rows[i]:
                rows[i].append(gap)
        ways[user, used] = [user, *gaps.values(), used]
    return rows, ways


def placed(rows: list[list[str]], ways: list[list[str]]) -> dict[str, float]:
    """Where everything stands on its floor: near what it is joined to, and beside the rest."""
    near: dict[str, dict[str, float]] = {name: {} for row in rows for name in row}
    for way in ways:
        for low, high in pairwise(way):
            near[low][high] = near[high][low] = 8.0 if "|" in low and "|" in high else 1.0  # long ways are straight
    x = {name: 2.0 * (i - len(row) / 2) for row in rows for i, name in enumerate(row)}
    for sweep in range(200):
        for row in rows if sweep % 2 else rows[::-1]:
            wanted = {
                name: np.average([x[other] for other in near[name]], weights=[*near[name].values()])
                if near[name] else x[name] for name in row
            }  # fmt: skip
            row.sort(key=wanted.__getitem__)
            widths = [0.35 if "|" in name else 0.75 + 0.085 * len(name.split(".")[-1]) for name in row]
            offsets = np.cumsum([0.0, *((a + b) / 2 for a, b in pairwise(widths))])
            free = isotonic_regression([wanted[name] for name in row] - offsets).x + offsets
            x |= dict(zip(row, free.tolist(), strict=True))
    return x


def draw(floors: list[list[str]], x: dict[str, float], ways: list[list[str]], file: File) -> None:
    y = {name: float(i) for i, row in enumerate(floors) for name in row}
    left, right = min(x.values()) - 1.6, max(x.values()) + 0.9
    figure, axes = plt.subplots(figsize=(11, 0.62 * len(floors)))
    for folder, color in COLORS.items():
        heights = [y[name] for name in y if name.split(".")[0] == folder]
        low, high = min(heights) - 0.5, max(heights) + 0.5
        axes.add_patch(Rectangle((left, low), right - left, high - low, color=color, alpha=0.1, lw=0))
        axes.text(left + 0.15, high - 0.2, folder, color=color, fontsize=13, weight="bold", va="top")
    for way in ways:
        color = COLORS[way[0].split(".")[0]]
        points = [(x[name], y[name] if name in y else float(name.split("|")[1])) for name in way]
        points = [(points[0][0], points[0][1] - 0.22), *points[1:-1], (points[-1][0], points[-1][1] + 0.22)]
        curve, codes = [points[0]], [Path.MOVETO]
        for (x0, y0), (x1, y1) in pairwise(points):
            curve += [(x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2), (x1, y1)]
            codes += [Path.CURVE4] * 3
        style = {"arrowstyle": "-|>", "mutation_scale": 9, "color": color, "lw": 0.9, "alpha": 0.7}
        axes.add_patch(FancyArrowPatch(path=Path(curve, codes), shrinkA=0, shrinkB=0, **style))
    for name in y:
        folder, _, rest = name.partition(".")
        full = rest and (ROOT / name.replace(".", "/")).is_dir()
        color, ink = COLORS[folder], "white" if full else COLORS[folder]
        box = {"boxstyle": "round,pad=0.35", "fc": color if full else "white", "ec": color}
        label = rest or f"abstain.{name}"
        axes.text(x[name], y[name], label, color=ink, bbox=box, ha="center", va="center", fontsize=10 if full else 8.5)
    axes.set(xlim=(left, right), ylim=(-0.5, len(floors) - 0.5))
    axes.axis("off")
    figure.savefig(file, dpi=110, bbox_inches="tight")


def main() -> None:
    imports = read_imports()
    arrows = [
        (name, other)
        for name, above in imports.items()
        for other in sorted(above - set().union(*(reachable(a, imports) for a in above)))
    ]
    floors = stacked(imports)
    rows, ways = threaded(floors, arrows)
    draw(floors, placed(rows, list(ways.values())), list(ways.values()), ROOT / "docs" / "images" / "imports.png")


if __name__ == "__main__":
    main()
