"""Numbers apart by what a model knew of each question: does it keep what was known, and leave what was not?

A category is what `abstain label` finds of a question, mostly of the model that training starts from: HighlyKnown,
MaybeKnown, WeaklyKnown or Unknown (Gekhman et al. 2024). To abstain on what was known is over-refusal, and to answer
what was not is where a model makes things up.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from abstain.evals.metrics.intervals import share_interval
from abstain.evals.metrics.measuring import counts_row
from abstain.evals.records import Record
from abstain.rewards.errors import nearest
from abstain.rewards.verdict import Verdict

CATEGORIES = ("HighlyKnown", "MaybeKnown", "WeaklyKnown", "Unknown")
"""Best first, as `abstain.evals.knowledge.labels.Category`, which stands above this."""
KNOWN = CATEGORIES[:2]
"""What a model knew: some greedy answer to it is right."""
REFERENCE = 0.5
"""The target that sentences speak of; the nearest above 0 if it was not measured."""
_KEPT = (
    *("target", "n", "correct", "incorrect", "abstained", "ungraded", "coverage", "accuracy_attempted"),
    *("score", "score_ci", "bounded_score"),
)


def split_by_category(records: Sequence[Record], categories: Mapping[str, str] | None) -> dict[str, Any]:
    """What `metrics.json` holds of categories.

    Args:
        records: one per question and target.
        categories: by question id; `None` if nobody knows any.

    Returns:
        `by_category`, a `category`, `n` questions and `by_target` for each category that there is, best first, each
        row with a 95 % interval of every rate; `known`, the same of HighlyKnown and MaybeKnown together, so that its
        `correct` is the coverage of known facts and its `abstained` over-refusal; and how many questions are
        `unlabelled`. All are `None` without categories, and `known` if nothing was.

    Raises:
        ValueError: an unknown category.

    Example:
        >>> ask = lambda id, verdict: Record(id, "toy", "Where?", (), 0.5, "", "", "", verdict, None)
        >>> records = [ask("a", Verdict.CORRECT), ask("b", Verdict.ABSTAINED), ask("c", Verdict.INCORRECT)]
        >>> found = split_by_category(records, {"a": "HighlyKnown", "b": "MaybeKnown"})
        >>> [(one["category"], one["n"], one["by_target"][0]["abstained"]) for one in found["by_category"]]
        [('HighlyKnown', 1, 0.0), ('MaybeKnown', 1, 1.0)]
        >>> found["known"]["n"], found["known"]["by_target"][0]["correct"], found["unlabelled"]
        (2, 0.5, 1)
    """
    if categories is None:
        return {"by_category": None, "known": None, "unlabelled": None}
    if unknown := sorted(set(categories.values()) - set(CATEGORIES)):
        raise ValueError(f"unknown category {unknown[0]!r}. {nearest(unknown[0], CATEGORIES)}")
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[categories.get(record.id, "")].append(record)
    known = [record for name in KNOWN for record in groups[name]]
    return {
        "by_category": [{"category": name, **_group(groups[name])} for name in CATEGORIES if groups[name]],
        "known": _group(known) if known else None,
        "unlabelled": _questions(groups[""]),
    }


def reference_target(targets: Iterable[float]) -> float | None:
    """The target nearest to `REFERENCE`, above 0 if there is one; `None` of none.

    Example:
        >>> reference_target([0, 0.75, 0.9]), reference_target([0]), reference_target([])
        (0.75, 0, None)
    """
    return min(targets, key=lambda t: (t == 0, abs(t - REFERENCE)), default=None)


def labelled_model(metrics: Mapping[str, Any]) -> str:
    """What to call the model whose labels these are: of a path from the root its last part.

    Args:
        metrics: contents of a `metrics.json`, or anything else with `labels_of`.

    Example:
        >>> [labelled_model({"labels_of": name}) for name in ("/tmp/models/tiny", "Qwen/Qwen3-0.6B", None)]
        ['tiny', 'Qwen/Qwen3-0.6B', 'the labelled model']
    """
    name = metrics.get("labels_of") or "the labelled model"
    return name.rstrip("/").rpartition("/")[2] or name if name.startswith("/") else name


def _group(records: Sequence[Record]) -> dict[str, Any]:
    targets = sorted({record.target for record in records})
    verdicts = {t: Counter(record.verdict for record in records if record.target == t) for t in targets}
    return {"n": _questions(records), "by_target": [rates_row(verdicts[t], t) for t in targets]}


def _questions(records: Sequence[Record]) -> int:
    return len({record.id for record in records})


def rates_row(verdicts: Mapping[Verdict, int], target: float) -> dict[str, Any]:
    """`counts_row` without what is compared with baselines, and with an interval of each rate.

    Args:
        verdicts: how many questions got which.
        target: confidence target t in [0, 1).

    Example:
        >>> row = rates_row({Verdict.CORRECT: 3, Verdict.ABSTAINED: 1}, 0.5)
        >>> row["correct"], [round(end, 2) for end in row["correct_ci"]]
        (0.75, [0.26, 0.98])
    """
    row, n = counts_row(verdicts, target), sum(verdicts.values())
    right, wrong = verdicts.get(Verdict.CORRECT, 0), verdicts.get(Verdict.INCORRECT, 0)
    parts = {
        "correct": (right, n),
        "incorrect": (wrong, n),
        "abstained": (verdicts.get(Verdict.ABSTAINED, 0), n),
        "coverage": (right + wrong, n),
        "accuracy_attempted": (right, right + wrong),
    }
    ends = {f"{name}_ci": None if row[name] is None else _ends(*part) for name, part in parts.items()}
    return {key: row[key] for key in _KEPT} | ends


def _ends(part: int, whole: int) -> list[float]:
    return [float(end) for end in share_interval(part, whole)]
