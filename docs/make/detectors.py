"""The tables of docs/detectors.md: what there is, from the catalogue, and what was measured, from results.

python docs/make/detectors.py                                  # the two tables of what there is
python docs/make/detectors.py factworld runs/detect-factworld  # a comparison, from its detect.json
"""

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from abstain.evals.detectors.catalogue import DETECTORS
from abstain.evals.detectors.tables import equal_grid, kinds_grid, policy_grid, ranking_grid, sentences
from abstain.evals.records import read_json, write_text
from abstain.evals.tables.grid import Grid, markdown_lines

PAGE = Path(__file__).resolve().parents[1] / "detectors.md"


def scores() -> str:
    """Every detector: equation, source and convention."""
    rows = [
        f"| `{one.name}` | {one.title} | {_cell(one.equation)} | {_cell(one.source)} | {_cell(one.convention)} |"
        for one in DETECTORS.values()
    ]
    return "\n".join(["| name | what it is | score | source | convention |", "|---|---|---|---|---|", *rows])


def access() -> str:
    """What every detector has to see, and what it costs."""
    rows = [
        f"| `{one.name}` | {one.access} | {one.passes} | {one.extra} | {'yes' if one.fitted else ''} |"
        for one in DETECTORS.values()
    ]
    return "\n".join(
        ["| name | must see | passes a response | another model | learned |", "|---|---|---|---|---|", *rows]
    )


def comparison(found: Mapping[str, Any]) -> str:
    """What a `detect.json` says: sentences, how well each ranks, what each scores."""
    told = f"{found['model']}, {found['n_graded']:,} graded responses, fitted on {found['n_train']:,} others."
    parts = [" ".join([told, *sentences(found)]), _table(ranking_grid(found))]
    if found.get("kinds"):  # results of before had none
        parts += ["AUROC of finding each kind of error among right responses:", _table(kinds_grid(found))]
    parts.append(_table(policy_grid(found)))
    if found["equal_coverage"]:
        parts += ["Points more than the trained policy, with as many answers:", _table(equal_grid(found))]
    return "\n\n".join(parts)


def with_tables(page: str, made: Mapping[str, str]) -> str:
    """The page with these texts between its markers."""
    for name, text in made.items():
        mark = f"<!-- detectors: {name} -->\n"
        if mark not in page:
            raise SystemExit(f"{PAGE.name} has no place for {name!r}; there are: {', '.join(places(page))}")
        start, end = page.index(mark) + len(mark), page.index("<!-- end -->", page.index(mark))
        page = f"{page[:start]}{text}\n{page[end:]}"
    return page


def places(page: str) -> Iterable[str]:
    """The places of a page that are filled."""
    return re.findall(r"<!-- detectors: ([\w ]+) -->", page)


def _table(grid: Grid) -> str:
    return "\n".join(markdown_lines(grid))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(*arguments: str) -> None:
    made = {"scores": scores(), "access": access()}
    if arguments:
        name, path = arguments
        folder = Path(path)
        made[name] = comparison(read_json(folder / "detect.json" if folder.is_dir() else folder))
    write_text(PAGE, with_tables(PAGE.read_text(encoding="utf-8"), made))


if __name__ == "__main__":
    main(*sys.argv[1:])
