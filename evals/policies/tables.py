"""A comparison of policies for people: sentences first, then a row for each target and policy."""

from collections.abc import Mapping
from typing import Any

from abstain.evals.policies.thresholds import OF_ALL, OF_ANSWERS
from abstain.evals.tables.document import Block, Bullets, Format, Heading, Notes, render_tables
from abstain.evals.tables.formats import decimal, schema_column, with_interval
from abstain.evals.tables.grid import MISSING, Column, Grid
from abstain.evals.tables.table import TARGET, UNGRADED, split_interval

POLICIES = {
    "open rubric": "asked at each t, the prompt says so",
    "closed rubric": "asked once, the question alone; the same answer counts at every t",
    "samples agree": "{samples} samples of the question alone at temperature {temperature:g}; answered if they agree",
    "fitted share": "the same, answered if as many agree as score best on training questions",
    "always answer": "{start}'s best guesses, all given",
    "threshold t": "… given where their {confidence} exceeds t",
    "fitted threshold": "… exceeds what scores best on {fitted}: the post-hoc oracle",
    "isotonic": "… exceeds t, after isotonic regression on {fitted}",
    "temperature": "… exceeds t, after temperature scaling on {fitted}",
    OF_ANSWERS: "… exceeds what keeps wrong answers at 1 − t of those given or less, with probability {sure:.4g} over "
    "draws of the calibration questions ({fitted})",
    OF_ALL: "… exceeds what keeps wrong answers at 1 − t of all questions or less, on the mean over calibration draws",
}
"""What each policy does."""
_REFERENCE = "open rubric"
NOT_GUARANTEED = (
    "for questions of another kind than the calibration questions, for some of them only, or for a model that was "
    "trained on them (then give the starting model's guesses: --start RUN). Nor is it the best score"
)


def render_policies(
    found: Mapping[str, Any], format: Format = "text", *, width: int = 100, color: bool = False
) -> str:
    """A comparison in one of the formats of tables, ending in a newline.

    Args:
        found: contents of a `policies.json`.
        format: "text" or "markdown" for all of it; "json" is `found` itself; "csv" has a row per target and policy.
        width, color: as in `abstain.evals.tables.document.render_tables`.

    Raises:
        ValueError: an unknown format.
    """
    rows = [split_interval(row) for row in found["rows"]]
    caption = f"Ways to abstain: {found['model']} on {found['n']:,} questions of {found['task']}."
    return render_tables(_blocks(found), format, rows=rows, data=found, caption=caption, width=width, color=color)


def _blocks(found: Mapping[str, Any]) -> list[Block]:
    rows = found["rows"]
    heading = Heading(
        f"Ways to abstain: {found['model']} on {found['n']:,} questions of {found['task']}",
        f"{found['n_train']:,} training questions to choose and calibrate on" if found["n_train"] else "",
        is_title=True,
    )
    columns = _BY_TARGET if any(row["ungraded"] for row in rows) else _BY_TARGET[:-1]
    grid = Grid.of(columns, rows, keys=2, grouped=True, dim=[row["policy"] == _REFERENCE for row in rows])
    return [heading, Bullets(found["findings"]), grid, *_differences(found), Notes(_legend(found))]


def _differences(found: Mapping[str, Any]) -> list[Block]:
    """How each policy differs from the reference, at each target and over all."""
    by_target = {(row["policy"], row["target"]): row for row in found["rows"]}
    targets = list(dict.fromkeys(row["target"] for row in found["rows"]))
    columns = [_POLICY, *(_difference_at(by_target, t) for t in targets)]
    mean = Column("mean over t", "mean over t", lambda row: _difference(row, "mean_difference"))
    others = [row for row in found["overall"] if row["policy"] != _REFERENCE]
    title = f"Points per question more than the {_REFERENCE}, paired by question"
    return [Heading(title), Grid.of([*columns, mean], others)]


def _difference_at(by_target: Mapping[tuple[str, float], Mapping[str, Any]], target: float) -> Column:
    name = f"t = {target:g}"
    return Column(name, name, lambda row: _difference(by_target[row["policy"], target], "difference"))


def _legend(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    there = {row["policy"] for row in found["overall"]}
    fitted = "training questions" if found["n_train"] else "the other half of the questions"
    told = {**found, "fitted": fitted, "sure": 1 - found["delta"]}
    return [
        *((name, what.format(**told)) for name, what in POLICIES.items() if name in there),
        ("not guaranteed", NOT_GUARANTEED),
        (
            "setting",
            "answers above this confidence, or where so many samples agree; halves: one for each; none: not certified",
        ),
    ]


def _setting(row: Mapping[str, Any]) -> str:
    if row["certified"] is False and not row["coverage"]:
        return "none"
    if row["samples"]:
        k, threshold = row["samples"], row["threshold"]
        least = k if threshold is None else next(m for m in range(1, k + 2) if m / k > threshold)
        return f"{least} of {k}" if least <= k else "none"
    return decimal(row["threshold"]) if row["threshold"] is not None else "halves" if row["note"] else MISSING


def _difference(row: Mapping[str, Any], key: str) -> str:
    return with_interval(row[key], row[f"{key}_ci"])


_POLICY = Column("policy", "policy", lambda row: row["policy"], is_label=True)
_BY_TARGET = (
    TARGET,
    _POLICY,
    Column("setting", "setting", _setting),
    *map(schema_column, ("abstained", "correct", "incorrect", "accuracy_attempted", "score", "score_ci")),
    UNGRADED,
)
