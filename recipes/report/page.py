"""Writes the report of a run or of a sweep: `report.html`, and the pictures in `plots/`.

The page is one file with all that it needs inside: style, script, pictures, data. Everything from a run is escaped.

The page forbids itself every request and every script but its own (a content security policy with the script's hash),
so that even a mistake in the escaping would run nothing.
"""

import base64
import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from abstain.evals.plots.style import css_variables, inline_svg
from abstain.evals.records import write_text
from abstain.recipes.report import run, sweep
from abstain.recipes.report.source import find_directory, read_run, read_sweep
from abstain.recipes.run.directory import claim

FILE, PLOTS = "report.html", "plots"
TEMPLATES = Path(__file__).with_name("templates")
SHELL: dict[str, Any] = {
    "verdict": "",
    "facts": [],
    "further": [],
    "missing": [],
    "broken": [],
    "recipe": "",
    "recipe_title": "Recipe",
    "repeat": "",
    "versions": {},
}
"""What every page has room for, and most leave empty."""


def render_page(template: str, content: Mapping[str, Any]) -> str:
    """The page's HTML.

    Args:
        template: its name, as in `run.html.jinja`.
        content: what the template names; `SHELL` fills what is missing.
    """
    script = (TEMPLATES / "script.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template(template).render(
        SHELL
        | dict(content)
        | {
            "style": Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),  # ours
            "script": Markup(script),
            "policy": policy(script),
            "light": Markup(css_variables(0)),
            "dark": Markup(css_variables(1)),
            "svg": lambda plot: Markup(inline_svg(plot)),  # matplotlib escapes what it is given
            "version": version("abstain"),
        }
    )
    return html.encode("utf-8", "replace").decode()  # half a character, as JSON may hold, is in no file


def policy(script: str) -> str:
    """A content security policy: nothing is fetched, and no script runs but this one.

    Example:
        >>> policy("")
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline';
        script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = f"script-src 'sha256-{digest}'"
    return f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'; {own}"


def write_report(directory: Path, out: Path | None = None) -> Path:
    """Report on a run directory, the results of `abstain eval --out`, or a sweep directory; finished or not.

    Args:
        directory: which.
        out: where `report.html` and `plots/` go; into the directory itself by default.

    Returns:
        The path of the HTML file.

    Raises:
        FileNotFoundError: no such directory.
        ValueError: it is neither a run nor a sweep.
        OSError: the report cannot be written.
    """
    is_sweep = find_directory(directory)
    out = directory if out is None else out
    claim(out)
    if is_sweep:
        template, (content, plots) = sweep.TEMPLATE, sweep.sweep_content(read_sweep(directory), out)
    else:
        template, (content, plots) = run.TEMPLATE, run.run_content(read_run(directory))
    for plot in plots:
        plot.save(out / PLOTS)
    write_text(out / FILE, render_page(template, content))
    return out / FILE
