"""What a model knows, as a table: a row for each relation, and for all."""

from collections.abc import Sequence
from typing import Any

from abstain.evals.knowledge.labels import Category, Label, Labels, count_categories
from abstain.evals.tables.document import Block, Format, Heading, Notes, render_tables
from abstain.evals.tables.formats import decimal, percent, prose_percent
from abstain.evals.tables.grid import Column, Grid

ALL = "all"
MEANINGS = {
    Category.HIGHLY_KNOWN: "every greedy answer is right, whichever examples the prompt shows",
    Category.MAYBE_KNOWN: "some greedy answers are right",
    Category.WEAKLY_KNOWN: "no greedy answer is right, but some sampled one",
    Category.UNKNOWN: "no answer is right",
}
"""What each category says of a question."""
NO_SAMPLES = "no greedy answer is right; WeaklyKnown ones are among them, since none were sampled"
WEAKLY, UNKNOWN = Category.WEAKLY_KNOWN, Category.UNKNOWN


def label_rows(labels: Labels) -> list[dict[str, Any]]:
    """A row for each relation, in alphabetical order, and one for all: n, counts, shares, and the mean P(correct).

    Without samples nobody knows what is WeaklyKnown: that count and share are `None`.
    """
    by_relation: dict[str, list[Label]] = {}
    for row in labels.rows:
        by_relation.setdefault(row.relation, []).append(row)
    named = sorted(by_relation.items()) if len(by_relation) > 1 or "" not in by_relation else []
    return [_row(name, rows, labels) for name, rows in [*named, (ALL, labels.rows)]]


def _row(name: str, rows: Sequence[Label], labels: Labels) -> dict[str, Any]:
    n, counts = len(rows), count_categories(rows)
    known = {category: count for category, count in counts.items() if category != WEAKLY or _sampled(labels)}
    shares = {f"share_{category}": known[category] / n if n and category in known else None for category in Category}
    mean = sum(row.p_correct for row in rows) / n if n else None
    return {"relation": name, "n": n, **{str(c): known.get(c) for c in Category}, **shares, "p_correct": mean}


def _sampled(labels: Labels) -> bool:
    return labels.about.protocol.get("samples") != 0


def render_labels(labels: Labels, format: Format = "text", *, width: int = 100, color: bool = False) -> str:
    """The table in one of the formats of tables, with what it comes to in a sentence above it.

    Args:
        labels: of one model.
        format, width, color: as in `abstain.evals.tables.document.render_tables`.

    Raises:
        ValueError: an unknown format.
    """
    rows = label_rows(labels)
    about = labels.about
    asked = about.protocol
    title = Heading(
        f"What {about.model} knows of {about.n:,} questions of {about.task}",
        f"{asked.get('preset')}: {asked.get('prompts')} prompts of {asked.get('shots')} examples, "
        f"a greedy answer and {_samples(asked)} to each",
        is_title=True,
    )
    blocks: list[Block] = [title, sentence(labels), Grid.of(_columns(), rows), Notes(_legend(labels))]
    caption = f"What {about.model} knows of {about.n:,} questions of {about.task}."
    return render_tables(blocks, format, rows=rows, caption=caption, width=width, color=color)


def _samples(asked: dict[str, Any]) -> str:
    if not asked.get("samples"):
        return "no samples"
    few = "up to " if asked.get("stop_early") else ""
    return f"{few}{asked['samples']} samples at T = {asked.get('temperature'):g}"


def sentence(labels: Labels) -> str:
    """What labels come to.

    Example:
        >>> from abstain.evals.knowledge.labels import About
        >>> about = About(model="m", fingerprint="f", task="t", protocol={}, n=0, counts={})
        >>> sentence(Labels(about, ()))
        'No question was labelled.'
    """
    if not labels.rows:
        return "No question was labelled."
    n, counts = len(labels.rows), count_categories(labels.rows)
    share = {category: prose_percent(count / n) for category, count in counts.items()}
    weakly = f", {share[WEAKLY]} only in some samples" if _sampled(labels) else ""
    return (
        f"It answers {share[Category.HIGHLY_KNOWN]} of the questions rightly whichever examples the prompt shows, "
        f"{share[Category.MAYBE_KNOWN]} with some of them{weakly}, and {share[UNKNOWN]} never."
    )


def _columns() -> list[Column]:
    relation = Column("relation", "relation", lambda row: row["relation"] or "(none)", is_label=True)
    count = Column("n", "n", lambda row: f"{row['n']:,}")
    shares = [_share(category) for category in Category]
    mean = Column("mean P(correct)", "mean\nP(correct)", lambda row: decimal(row["p_correct"]))
    return [relation, count, *shares, mean]


def _share(category: Category) -> Column:
    return Column(category, category.replace("Known", "\nKnown"), lambda row: percent(row[f"share_{category}"]))


def _legend(labels: Labels) -> list[tuple[str, str]]:
    meanings = {str(category): text for category, text in MEANINGS.items()}
    if not _sampled(labels):
        meanings = {name: text for name, text in meanings.items() if name != WEAKLY} | {str(UNKNOWN): NO_SAMPLES}
    partly = labels.about.protocol.get("stop_early") or not _sampled(labels)
    drawn = "greedy answers, or of its samples where all were drawn," if partly else "sampled answers"
    return [*meanings.items(), ("P(correct)", f"share of a question's {drawn} that are right")]
