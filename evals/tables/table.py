"""The table: a row per target, and per model where there are several, so that before stands above after.

Every row carries what keeps it honest: the always-answer score, the regret to the oracle, an interval and the share
that could not be graded. Below stand the numbers that are of no one target: mean regrets, and how good the confidence
is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.metrics.schema import BY_TARGET, OVERALL, Metrics
from abstain.evals.tables.agreement import LEGEND, agreement_blocks
from abstain.evals.tables.attribution import LEGEND as DOCUMENTS_LEGEND
from abstain.evals.tables.attribution import document_blocks, document_entries
from abstain.evals.tables.categories import LEGEND as CATEGORY_LEGEND
from abstain.evals.tables.categories import category_blocks, category_entries
from abstain.evals.tables.document import Block, Format, Notes, render_tables
from abstain.evals.tables.footnotes import footer
from abstain.evals.tables.formats import schema_column
from abstain.evals.tables.grid import MISSING, Column, Grid
from abstain.evals.tables.whole_answers import whole_answer_blocks

Entry = Mapping[str, Any]
"""The numbers of one target and model."""
TARGET = Column(BY_TARGET["target"].label, BY_TARGET["target"].short, lambda row: f"{row['target']:g}")
UNGRADED = schema_column("ungraded")
ANSWERED = tuple(map(schema_column, ("abstained", "correct", "incorrect", "accuracy_attempted", "score", "score_ci")))
_LABEL = Column("model", "model", lambda row: row["label"], is_label=True)
_NUMBERS = (*ANSWERED, schema_column("regret"), schema_column("always_answer_score"), UNGRADED)
_GROUPS = {
    "mean regret to": (
        *("mean_regret", "mean_regret_fixed_threshold"),
        *("mean_regret_isotonic", "mean_regret_temperature"),
    ),
    "confidence": ("auroc", "aurc", "augrc", "ece", "smooth_ece", "brier"),
}
_OVERALL = tuple(schema_column(key, OVERALL, group=group) for group, keys in _GROUPS.items() for key in keys)


def render(
    metrics: Sequence[Metrics],
    format: Format = "text",
    *,
    labels: Sequence[str] | None = None,
    width: int = 100,
    color: bool = False,
) -> str:
    """The table of one model, or of several side by side, ending in a newline.

    Args:
        metrics: contents of `metrics.json` files, the starting model's first.
        format, width, color: as in `abstain.evals.tables.document.render_tables`.
        labels: what to call the models, such as "before" and "after"; their names by default.

    Raises:
        ValueError: an unknown format, nothing to show, or as many labels as there are models.
    """
    names = list(labels or [one["model"] for one in metrics])
    if not metrics or len(names) != len(metrics):
        raise ValueError(f"a table needs one label for each model: {len(metrics)} models, {len(names)} labels")
    entries, by_category = _entries(metrics, names), category_entries(metrics, names)
    by_documents = document_entries(metrics, names)
    if by_category:
        entries = [{**entry, "category": None} for entry in entries] + by_category
    if by_documents:
        entries = [{**entry, "documents": None} for entry in entries] + by_documents
    judged, known = _judged(metrics, names), category_blocks(metrics, names) + document_blocks(metrics, names)
    about = dict.fromkeys(f"{one['n']:,} questions of {one['task']}" for one in metrics)
    notes = [*footer(metrics, names), *(CATEGORY_LEGEND if by_category else []), *(LEGEND if judged else [])]
    notes += DOCUMENTS_LEGEND if by_documents else []
    level = f"{metrics[-1]['interval']['level']:.0%}"
    return render_tables(
        [*_grids(metrics, names), *whole_answer_blocks(metrics, names), *known, *judged, Notes(notes)],
        format,
        rows=[split_interval(entry) for entry in entries],
        data=entries,
        caption=f"Points per question at each confidence target t, with {level} intervals: {', '.join(about)}.",
        width=width,
        color=color,
    )


def _entries(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[dict[str, Any]]:
    """One dict for each target and model, targets first."""
    entries = [
        {"label": label, "model": one["model"], "task": one["task"], **row}
        for label, one in zip(labels, metrics, strict=True)
        for row in one["by_target"]
    ]
    return sorted(entries, key=lambda entry: entry["target"])  # stable: models keep their order


def _grids(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[Grid]:
    """The table by target, and that of what is of no one target unless nothing of it is known."""
    several = len(metrics) > 1
    names = [_LABEL] if several else []
    by_target = _entries(metrics, labels)
    totals = [{**one, "label": label} for label, one in zip(labels, metrics, strict=True)]

    def dim(entries: Sequence[Entry]) -> list[bool]:
        return [several and entry["label"] == labels[0] for entry in entries]

    columns = [TARGET, *names, *_NUMBERS]
    targets = Grid.of(columns, by_target, keys=1 + several, grouped=several, dim=dim(by_target))
    overall = Grid.of([*names, *_OVERALL], totals, keys=int(several), dim=dim(totals))
    return [targets, overall] if any(cell != MISSING for row in overall.cells for cell in row[several:]) else [targets]


def _judged(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[Block]:
    """How far each model's judge and string grader agree, by length and by option."""
    pairs = [(one["judge"], label) for one, label in zip(metrics, labels, strict=True) if one.get("judge")]
    whose = [label if len(metrics) > 1 else "" for _, label in pairs]
    found = [judge.get("agreement") or {} for judge, _ in pairs]
    return [block for one, label in zip(found, whose, strict=True) for block in agreement_blocks(one, label)]


def split_interval(entry: Entry) -> dict[str, Any]:
    """An entry with the ends of its intervals in columns of their own, such as `score_low` and `score_high`, for CSV.

    Example:
        >>> split_interval({"score_ci": [0.4, 0.6], "n": 5, "correct_ci": None})
        {'n': 5, 'score_low': 0.4, 'score_high': 0.6, 'correct_low': None, 'correct_high': None}
    """
    flat = {key: value for key, value in entry.items() if not key.endswith("_ci")}
    for key, ends in entry.items():
        if key.endswith("_ci"):
            name = key.removesuffix("_ci")
            flat[f"{name}_low"], flat[f"{name}_high"] = ends or (None, None)
    return flat
