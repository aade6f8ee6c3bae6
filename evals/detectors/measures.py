"""How well scores tell wrong responses from right ones, with intervals that are paired and clustered by question.

Only the order of a score counts here. What is to be found is a wrong response: it is the positive class. Where there
is not one of each there is nothing to tell: `None`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from abstain.evals.metrics.confidence import Ties, aurc, auroc, average_precision, tie
from abstain.evals.metrics.intervals import LEVEL

FALSE_POSITIVES = 0.05
DRAWS = 1_000
KIND = "percentiles of a bootstrap over questions, paired"


def riskiest_first(risk: np.ndarray, error: np.ndarray) -> Ties:
    """Responses put together by their score, the riskiest first: what every measure takes.

    Args:
        risk: higher for what is more likely wrong.
        error: 1 if the response is wrong, 0 if it is right.

    Raises:
        ValueError: a NaN.
    """
    return tie(-np.asarray(risk, dtype=float), 1 - np.asarray(error, dtype=float))


def error_precision(ties: Ties) -> float | None:
    """Average precision of finding the wrong responses, as `sklearn.metrics.average_precision_score` has it.

    Example:
        >>> error_precision(riskiest_first(np.array([0.9, 0.5, 0.1]), np.array([1, 0, 1])))
        0.8333333333333333
    """
    return average_precision(Ties(-ties.confidence[::-1], ties.n[::-1], (ties.n - ties.right)[::-1]))


def tpr_at_fpr(ties: Ties, most: float = FALSE_POSITIVES) -> float | None:
    """Share of the wrong responses that are found where at most a share `most` of the right ones is taken for wrong.

    The highest true positive rate of the ROC curve's points up to there: nothing is interpolated.

    Example:
        >>> ties = riskiest_first(np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0]))
        >>> tpr_at_fpr(ties), tpr_at_fpr(ties, 0.5)
        (0.5, 1.0)
    """
    wrong, right = np.cumsum(ties.n - ties.right), np.cumsum(ties.right)
    if not len(wrong) or not wrong[-1] or not right[-1]:
        return None
    allowed = right <= most * right[-1] + 1e-9
    return float(wrong[allowed].max(initial=0) / wrong[-1])


def prr(ties: Ties) -> float | None:
    """Prediction rejection ratio: (r - AURC) / (r - least AURC), with r the share of wrong responses.

    How much of what can be won by withholding the riskiest responses first is won: 1 for the best order, 0 for any
    order by chance, below 0 for one that is worse (Malinin and Gales 2021, arXiv 2002.07650, for quality 1 and 0).

    Example:
        >>> prr(riskiest_first(np.array([0.9, 0.1]), np.array([1, 0])))
        1.0
        >>> prr(riskiest_first(np.array([0.5, 0.5]), np.array([1, 0])))
        0.0
    """
    area, n = aurc(ties), int(ties.n.sum())
    right = float(ties.right.sum())
    if area is None or not 0 < right < n:
        return None
    k, error = np.arange(1, n + 1), 1 - right / n
    least = float(np.mean(np.maximum(0.0, k - right) / k))
    return (error - area) / (error - least)


MEASURES: dict[str, Callable[[Ties], float | None]] = {
    "auroc": auroc,
    "average_precision": error_precision,
    "tpr_at_5_fpr": tpr_at_fpr,
    "prr": prr,
    "aurc": aurc,
}
"""By their names in `detect.json`: how often a wrong response is riskier than a right one, and so on."""
_RANK = {"auroc": auroc}


def measure_scores(
    risks: Mapping[str, np.ndarray],
    error: np.ndarray,
    questions: Sequence[str],
    reference: str,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """A row for each score: every measure, with an interval; and how its AUROC differs from that of the reference.

    Whole questions are drawn again, with all their responses, and the same ones for every score. A score is measured
    on the responses that have it, and compared on those where the reference is known, too.

    Args:
        risks: by name, one for each response, higher for what is more likely wrong; NaN where there is none.
        error: 1 if the response is wrong, 0 if it is right, NaN if nobody knows: those are left out.
        questions: which question each response is to.
        reference: a name in `risks`.
        draws: of the bootstrap.
        seed: of the draws.

    Returns:
        Rows with `detector`, `n`, `missing` (graded responses without this score), each name of `MEASURES` and its
        `…_ci`; `difference` and `difference_ci`, of AUROC, are `None` for the reference itself.

    Raises:
        ValueError: no score is called like the reference.

    Example:
        >>> risks = {"good": np.array([3.0, 2.0, 1.0, 0.0]), "bad": np.array([0.0, 1.0, 2.0, np.nan])}
        >>> rows = measure_scores(risks, np.array([1, 1, 0, 0]), list("abcd"), "good", draws=20)
        >>> [(row["detector"], row["auroc"], row["missing"], row["difference"]) for row in rows]
        [('good', 1.0, 0, None), ('bad', 0.0, 1, -1.0)]
    """
    if reference not in risks:
        raise ValueError(f"no score is called {reference!r}; there are: {', '.join(risks)}")
    graded = ~np.isnan(error)
    kept = {name: risk[graded] for name, risk in risks.items()}
    wrong = error[graded]
    weights = question_draws([one for one, known in zip(questions, graded, strict=True) if known], draws, seed)
    of_base: dict[bytes, _Drawn] = {}  # by the responses that are compared, mostly the same ones for all scores
    rows = []
    for name, risk in kept.items():
        there = ~np.isnan(risk)
        drawn = _Drawn.of(risk, wrong, weights, there, MEASURES)
        row: dict[str, Any] = {"detector": name, "n": int(there.sum()), "missing": int((~there).sum())}
        for key in MEASURES:
            row[key], row[f"{key}_ci"] = drawn.value[key], _interval(drawn.draws[key], drawn.value[key])
        row |= {"difference": None, "difference_ci": None}
        both = there & ~np.isnan(kept[reference])
        if name != reference and both.any():
            ours = drawn if (both == there).all() else _Drawn.of(risk, wrong, weights, both, _RANK)
            if (key := both.tobytes()) not in of_base:
                of_base[key] = _Drawn.of(kept[reference], wrong, weights, both, _RANK)
            base = of_base[key]
            row["difference"] = _less(ours.value["auroc"], base.value["auroc"])
            apart = map(_less, ours.draws["auroc"], base.draws["auroc"])
            row["difference_ci"] = _interval(list(apart), row["difference"])
        rows.append(row)
    return rows


def measure_kinds(
    risks: Mapping[str, np.ndarray],
    error: np.ndarray,
    kinds: Sequence[Collection[str]],
    questions: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """A row for each score and kind of error: its AUROC of finding the responses of that kind among the right ones.

    Wrong responses without that kind are left out, and one with errors of several kinds counts for each of them.

    Args:
        risks, error, questions, draws, seed: as for `measure_scores`, whose draws are the same.
        kinds: of the errors of each response.

    Returns:
        Rows with `detector`, `kind`, `n` (graded responses of that kind), `auroc` and `auroc_ci`; none where no graded
        response has a kind.

    Example:
        >>> risks = {"score": np.array([3.0, 0.0, 2.0, 1.0])}
        >>> kinds = [("unsupported",), ("distorted",), (), ()]
        >>> rows = measure_kinds(risks, np.array([1, 1, 0, 0]), kinds, list("abcd"), draws=20)
        >>> [(row["kind"], row["n"], row["auroc"]) for row in rows]
        [('distorted', 1, 0.0), ('unsupported', 1, 1.0)]
    """
    graded = ~np.isnan(error)
    told = [one for one, known in zip(kinds, graded, strict=True) if known]
    if not (names := sorted({kind for one in told for kind in one})):
        return []
    weights = question_draws([one for one, known in zip(questions, graded, strict=True) if known], draws, seed)
    wrong, rows = error[graded] == 1, []
    masks = {kind: wrong & np.array([kind in one for one in told]) for kind in names}
    for name, risk in risks.items():
        for kind, mask in masks.items():
            there = ~np.isnan(risk[graded]) & (mask | ~wrong)
            one = _Drawn.of(risk[graded], wrong.astype(float), weights, there, _RANK)
            found, ends = one.value["auroc"], _interval(one.draws["auroc"], one.value["auroc"])
            rows.append({"detector": name, "kind": kind, "n": int(mask.sum()), "auroc": found, "auroc_ci": ends})
    return rows


def question_draws(questions: Sequence[str], draws: int, seed: int) -> np.ndarray:
    """How often each response is drawn, (draws, n), where whole questions are drawn again with all their responses.

    Example:
        >>> question_draws(["a", "b", "a"], 2, seed=0)
        array([[0, 2, 0],
               [1, 1, 1]])
    """
    names, of = np.unique(np.asarray(questions, dtype=object).astype(str), return_inverse=True)
    rng, count = np.random.default_rng(seed), len(names)
    drawn = [np.bincount(rng.integers(0, count, count), minlength=count)[of] for _ in range(draws if count else 0)]
    return np.stack(drawn) if drawn else np.zeros((0, count), dtype=int)


@dataclass(frozen=True)
class _Drawn:
    """Measures of a score by name: of some responses, and of each draw of them."""

    value: Mapping[str, float | None]
    draws: Mapping[str, Sequence[float | None]]

    @classmethod
    def of(
        cls,
        risk: np.ndarray,
        wrong: np.ndarray,
        weights: np.ndarray,
        rows: np.ndarray,
        measures: Mapping[str, Callable[[Ties], float | None]],
    ) -> "_Drawn":
        grouped = _Grouped(risk[rows], wrong[rows])
        whole, *drawn = [
            {key: measure(ties) if ties.n.size else None for key, measure in measures.items()}
            for ties in (grouped.ties, *map(grouped.drawn, weights[:, rows]))
        ]
        return cls(whole, {key: [one[key] for one in drawn] for key in measures})


def middle_of(values: Sequence[float] | np.ndarray) -> list[float] | None:
    """Between which percentiles the middle `LEVEL` of some draws lies; `None` if there are none.

    Example:
        >>> [round(end, 6) for end in middle_of(np.arange(41))], middle_of([])
        ([1.0, 39.0], None)
    """
    if not len(values):
        return None
    return [float(end) for end in np.percentile(values, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])]


class _Grouped:
    """Responses put together once, and counted again for each draw."""

    def __init__(self, risk: np.ndarray, wrong: np.ndarray) -> None:
        self.ties = riskiest_first(risk, wrong)
        self._group = np.searchsorted(self.ties.confidence, -risk)
        self._right = 1 - wrong

    def drawn(self, weight: np.ndarray) -> Ties:
        size = len(self.ties.n)
        n = np.bincount(self._group, weight, minlength=size).astype(int)
        right = np.bincount(self._group, weight * self._right, minlength=size)
        there = n > 0
        return Ties(self.ties.confidence[there], n[there], right[there])


def _interval(values: Sequence[float | None], value: float | None) -> list[float] | None:
    return None if value is None else middle_of([one for one in values if one is not None])


def _less(more: float | None, less: float | None) -> float | None:
    return None if more is None or less is None else more - less
