"""How plots look: colours by what they stand for, one font, few lines; as PNG, as SVG, and as SVG for a page.

Hues are told apart by people who see no red or no green (after Okabe and Ito 2008; the ramp of targets also rises in
lightness), and no plot says anything by colour alone. Each colour is one *role*, with a value on a light and on a dark
background. In a page, `inline_svg` turns each into a CSS variable, so that a plot follows the reader's theme.
"""

import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter

from abstain.evals.records import write_text

ROLES: dict[str, tuple[str, str]] = {
    "ink": ("#23272b", "#e4e2dd"),
    "muted": ("#63686d", "#a09f9a"),
    "rule": ("#e2dfd8", "#383b3f"),
    "after": ("#00666e", "#4fc4c4"),
    "before": ("#8b8780", "#8d9299"),
    "between-0": ("#9a7d33", "#c9b06a"),
    "between-1": ("#728a3a", "#a9c06f"),
    "between-2": ("#3f8d66", "#6fc69c"),
    "oracle": ("#24282c", "#e5e3de"),
    "right": ("#2a6fae", "#66abe6"),
    "on-right": ("#ffffff", "#0c1d2b"),
    "wrong": ("#c14a12", "#f08a4f"),
    "on-wrong": ("#fffffe", "#2b1206"),
    "abstained": ("#d2cfc7", "#4b4f54"),
    "on-abstained": ("#23272c", "#e4e2de"),
    "ungraded": ("#8a5ba3", "#c3a0d6"),
    "on-ungraded": ("#fefefe", "#22112b"),
    "ramp-0": ("#c98119", "#f5bd6b"),
    "ramp-1": ("#bf6434", "#ec9a76"),
    "ramp-2": ("#a44c5c", "#d988a4"),
    "ramp-3": ("#7b4080", "#bd8fd8"),
    "ramp-4": ("#4a3a88", "#9d9df0"),
    "ramp-5": ("#1b3263", "#8ec6f8"),
}
MARKERS = "os^DvP"
DPI = 200
LEGEND_ROW = 11
"""Height of a row of a small panel's legend, in points."""
_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "text.parse_math": False,  # a name may hold dollar signs
    "text.color": ROLES["ink"][0],
    "axes.labelcolor": ROLES["muted"][0],
    "axes.edgecolor": ROLES["muted"][0],
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": ROLES["rule"][0],
    "grid.linewidth": 0.6,
    "xtick.color": ROLES["muted"][0],
    "ytick.color": ROLES["muted"][0],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.4,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Plot:
    """A picture, and what it says to those who do not see it.

    Args:
        name: what its files are called.
        title: what it shows.
        caption: how to read it.
        alt: its numbers in words.
        figure: drawn within `styled()`.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure

    @cached_property
    def svg(self) -> str:
        """The same for the same numbers: no date, and no random names."""
        with styled():
            matplotlib.rcParams["svg.hashsalt"] = self.name
            stream = io.StringIO()
            self.figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Title": self.title})
        return stream.getvalue()

    def save(self, folder: Path) -> list[Path]:
        """Write NAME.svg and NAME.png, both for a light background, and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        vector, pixels = folder / f"{self.name}.svg", folder / f"{self.name}.png"
        write_text(vector, self.svg)
        with styled():
            self.figure.savefig(pixels, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
        return [vector, pixels]


@contextmanager
def styled() -> Iterator[None]:
    """Within it, figures are drawn and saved in our style, whatever the user's matplotlib settings are."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script that our font lacks: only the PNG
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def new_axes(width: float = 4.6, height: float = 3.1) -> tuple[Figure, Any]:
    """A figure of this size in inches with one pair of axes. Call it within `styled()`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def color(role: str) -> str:
    """A role's colour on white."""
    return ROLES[role][0]


def ramp(count: int) -> list[str]:
    """So many roles for things that have an order, such as targets, from light to dark.

    Example:
        >>> ramp(1), ramp(4), ramp(8)[-2:]
        (['ramp-3'], ['ramp-0', 'ramp-2', 'ramp-3', 'ramp-5'], ['ramp-4', 'ramp-5'])
    """
    last = sum(role.startswith("ramp-") for role in ROLES) - 1
    return [f"ramp-{int(last * place / max(1, count - 1) + 0.5) if count > 1 else 3}" for place in range(count)]


def target_styles(targets: Iterable[float]) -> dict[float, tuple[str, str]]:
    """A role and a marker for each confidence target, the same in all pictures that are drawn of the same targets.

    As long as no two of them are nearest to the same of `_ANCHORS`, they are the same in all pictures there are.

    Example:
        >>> target_styles([0, 0.5, 0.9])
        {0: ('ramp-0', 'o'), 0.5: ('ramp-2', '^'), 0.9: ('ramp-4', 'v')}
        >>> target_styles([0.5, 0.55])
        {0.5: ('ramp-0', 'o'), 0.55: ('ramp-5', 's')}
    """
    known = sorted(set(targets))
    places = [min(range(len(_ANCHORS)), key=lambda at: abs(_ANCHORS[at] - t)) for t in known]
    if len(set(places)) == len(known):
        return {t: (f"ramp-{at}", MARKERS[at]) for t, at in zip(known, places, strict=True)}
    return {
        t: (role, MARKERS[at % len(MARKERS)]) for at, (t, role) in enumerate(zip(known, ramp(len(known)), strict=True))
    }


_ANCHORS = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99)  # one for each colour of the ramp


def stage_styles(count: int) -> list[tuple[str, str]]:
    """Roles and markers of what was measured at so many points of a run: alone, or from where it began to its end.

    Example:
        >>> stage_styles(1), stage_styles(3)
        ([('after', 'o')], [('before', 's'), ('between-1', '^'), ('after', 'o')])
    """
    between = {1: [1], 2: [0, 2]}.get(count - 2, [0, 1, 2])
    inner = [(f"between-{at}", "^vD"[place % 3]) for place, at in enumerate(between)][: max(0, count - 2)]
    return [("before", "s"), *inner, ("after", "o")][-count:]


class Distinct(Formatter):
    """Tick labels with as many digits as tell the ticks apart, and no more.

    Args:
        scale: what values are multiplied by, such as 100 for percent.
        unit: what follows each number.

    Example:
        >>> Distinct().format_ticks([0.98765, 0.98766]), Distinct(100, " %").format_ticks([0, 0.025, 0.05])
        (['0.98765', '0.98766'], ['0 %', '2.5 %', '5 %'])
    """

    def __init__(self, scale: float = 1.0, unit: str = "") -> None:
        self.scale, self.unit = scale, unit

    def __call__(self, value: float, pos: int | None = None) -> str:
        """The label of one tick."""
        return self._label(value, 4)

    def format_ticks(self, values: Iterable[float]) -> list[str]:
        """The labels of all ticks of an axis."""
        ticks = [float(value) for value in values]
        apart = min((b - a for a, b in pairwise(sorted(set(ticks)))), default=0.0) * self.scale
        labels: list[str] = []
        for digits in range(4, 12):
            labels = [self._label(value, digits) for value in ticks]
            shown = [float(self._number(value, digits)) for value in ticks]
            if all(abs(one - self.scale * value) <= apart / 50 for one, value in zip(shown, ticks, strict=True)):
                break
        return labels

    def _label(self, value: float, digits: int) -> str:
        return f"{self._number(value, digits)}{self.unit}".replace("-", "−")

    def _number(self, value: float, digits: int) -> str:
        return f"{0.0 if abs(value) < 1e-12 else self.scale * value:.{digits}g}"


def legend_above(axes: Any, columns: int = 4, **options: Any) -> None:
    """A legend above the axes, if there is anything to tell apart."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, borderaxespad=0.3, **options)


def title_above(axes: Any, title: str, *, rows: int, columns: int) -> None:
    """A small panel's title, above a legend of so many rows and columns."""
    axes.set_title(title, loc="left", fontsize=8.5, fontweight="bold", pad=5 + LEGEND_ROW * rows)
    legend_above(axes, columns=columns, fontsize=6.8, handlelength=1.2, columnspacing=0.8, handletextpad=0.4)


def percent_axis(axis: Any) -> None:
    """Rates in percent."""
    axis.set_major_formatter(Distinct(100, " %"))


def css_variables(scheme: int) -> str:
    """CSS declarations of the roles' colours, for the light (0) or the dark (1) theme.

    Example:
        >>> css_variables(0)[:38]
        '--plot-ink:#23272b;--plot-muted:#63686'
    """
    return "".join(f"--plot-{role}:{values[scheme]};" for role, values in ROLES.items())


def inline_svg(plot: Plot) -> str:
    """The plot as an element of an HTML page: themed by CSS, scalable, with ids all its own and its words for readers.

    `plot.alt` is escaped; everything else was written by matplotlib.
    """
    svg = plot.svg[plot.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{plot.name}-", svg)
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--plot-font)", svg)
    svg = re.sub("#[0-9a-f]{6}", lambda found: _VARIABLES.get(found[0], found[0]), svg)
    view_box = re.search(r'viewBox="[^"]*"', svg)
    assert view_box, "matplotlib writes a viewBox"
    label = escape(plot.alt, {'"': "&quot;"})
    opening = f'<svg class="plot" role="img" aria-label="{label}" {view_box[0]} xmlns:xlink="{_XLINK}">'
    return opening + svg[svg.index(">") + 1 :].strip()


_XLINK = "http://www.w3.org/1999/xlink"
_VARIABLES = {light: f"var(--plot-{role})" for role, (light, _) in ROLES.items()}


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`.

    Example:
        >>> listed(["a"]), listed(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
