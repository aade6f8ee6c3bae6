"""Detectors as ways to abstain: answer iff P(correct) by the detector exceeds t, beside everything else that abstains.

    found = compare_detectors(fit, held_out, [0, 0.5, 0.75, 0.9], start=evaluation.start)
    found.save("results")         # detect.json, detect.md and a picture

Nothing here is fitted on the responses that it is scored on. The reference is the model's own probability, calibrated
on the same responses as every detector: what is to be beaten by whoever looks inside the model.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from abstain.evals.detectors.fitted import PROBABILITY, FittedCascade, is_clear
from abstain.evals.detectors.fitting import FittedOn
from abstain.evals.detectors.measures import DRAWS, measure_kinds, measure_scores, middle_of, question_draws
from abstain.evals.detectors.measures import KIND as RANKING_KIND
from abstain.evals.detectors.scored import Scored
from abstain.evals.metrics.intervals import KIND, LEVEL
from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers
from abstain.evals.policies.conformal import DELTA
from abstain.evals.policies.rows import Policy, points_of, policy_rows
from abstain.evals.policies.thresholds import OF_ALL, OF_ANSWERS, Verdicts, guess_policies
from abstain.evals.records import write_text
from abstain.rewards.verdict import Verdict

RESULTS = ("detect.json", "detect.md", "detector.json", "detect.png", "detect.svg")
TRAINED = "trained policy"
_REFERENCES = (PROBABILITY, "msp", "perplexity", "length")
_OF_FILES = ("always answer", "fitted threshold", OF_ANSWERS, OF_ALL)


@dataclass(frozen=True)
class DetectorComparison:
    """What a comparison of detectors found.

    Args:
        found: as in `detect.json`; see `compare_detectors`.
        curves: for each detector, risk and whether the response is wrong, of what is known of both, for pictures.
    """

    found: dict[str, Any]
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def save(self, folder: str | Path) -> None:
        """Write `detect.json`, `detect.md` and the picture, each all or nothing."""
        from abstain.evals.detectors.plots import plot_detectors
        from abstain.evals.detectors.tables import render_detectors

        write_text(Path(folder) / "detect.json", json.dumps(self.found, indent=2) + "\n")
        write_text(Path(folder) / "detect.md", render_detectors(self.found, "markdown"))
        plot_detectors(self.found, self.curves).save(Path(folder))


def compare_detectors(
    fit: FittedOn,
    test: Scored,
    targets: Sequence[float],
    *,
    train: Scored,
    start: BaseGuesses | None = None,
    verdicts: Sequence[Verdict] | None = None,
    others: Sequence[Policy] = (),
    oracle: Mapping[float, float | None] | None = None,
    delta: float = DELTA,
    draws: int = DRAWS,
    seed: int = 0,
    notes: Sequence[str] = (),
) -> DetectorComparison:
    """Measure every detector, and score the policy that it makes at every target.

    Args:
        fit: what was fitted on `train`.
        test: responses to other questions.
        targets: confidence targets t in [0, 1).
        train: the responses that `fit` is of.
        start: the same answers with the model's own probability as confidence, where they are its best guesses; the
            policies that go by it are compared, too.
        verdicts: on the responses of `test`; by default what their `error` says.
        others: further policies on the same responses, such as the trained one (`TRAINED`), with which all are
            compared at its coverage, too.
        oracle: points per question that a policy could score at each target.
        delta: how often a conformal guarantee may fail.
        draws, seed: of the bootstrap.
        notes: to be kept.

    Returns:
        `found` has `detectors` (`abstain.evals.detectors.measures.measure_scores`, with `sign`, `layer` and
        `fitted_auroc`), `kinds` (`abstain.evals.detectors.measures.measure_kinds`), `rows` and `overall`
        (`abstain.evals.policies.rows.policy_rows`, with `regret` and `mean_regret`), `equal_coverage`, `cascade`,
        `reference`, `best`, and what it was: `model`, `task`, `n`, `n_train`, `notes`.

    Raises:
        ValueError: responses of the same question on both sides.
    """
    if shared := set(test.questions) & set(train.questions):
        raise ValueError(f"{len(shared):,} questions are fitted on and measured, such as {next(iter(shared))!r}")
    detectors = fit.detectors
    names = list(detectors.detectors)
    reference = next((name for name in _REFERENCES if name in names), names[0])
    error = 1 - test.correct
    judged = detectors.judge(test)
    risks = {name: one.risk for name, one in judged.items()}
    sure = {name: one.p_correct for name, one in judged.items()}
    ranked = measure_scores(risks, error, test.questions, reference, draws=draws, seed=seed)
    for row in ranked:
        one = detectors.detectors[row["detector"]]
        row |= {"fitted_auroc": one.auroc, "sign": getattr(one, "sign", None), "layer": getattr(one, "layer", None)}
    guesses = _guesses(fit, test, train, sure, reference)
    on = Verdicts.of(guesses.held_out)
    if verdicts is not None:
        on = Verdicts(list(verdicts), on.withheld)
    around = guess_policies(start or guesses, targets, verdicts=on, delta=delta, seed=seed)
    around = [one for one in around if (one.name in _OF_FILES if start is None else one.name != "isotonic")]
    own = {
        name: Policy(name, detectors.model, {t: on.where(sure[name] > t) for t in targets}, _at_t(targets))
        for name in names
    }
    policies = [*around, *others, *own.values()]
    rows, overall = _rows(policies, own[reference], test.questions, draws, seed)
    _add_regret(rows, overall, oracle)
    trained = next((one for one in others if one.name == TRAINED), None)
    found = {
        "model": detectors.model,
        "scorer": detectors.scorer,
        "task": detectors.task,
        "n": len(test.pairs),
        "n_graded": int((~np.isnan(error)).sum()),
        "n_train": detectors.n,
        "error_rate": float(np.nanmean(error)) if (~np.isnan(error)).any() else None,
        "reference": reference,
        "best": detectors.best,
        "settings": detectors.settings,
        "detectors": ranked,
        "kinds": measure_kinds(
            risks, error, [pair.kinds for pair in test.pairs], test.questions, draws=draws, seed=seed
        ),
        "rows": rows,
        "overall": overall,
        "equal_coverage": _at_equal_coverage(trained, on, sure, targets, test.questions, draws, seed),
        "cascade": _cascade(fit, sure),
        "delta": delta,
        "interval": {
            "level": LEVEL,
            "kind": RANKING_KIND if _repeat(test.questions) else KIND,
            "ranking": RANKING_KIND,
            "draws": draws,
            "seed": seed,
        },
        "notes": list(dict.fromkeys([*notes, *train.notes, *test.notes, *fit.notes])),
    }
    curves = {}
    for name, risk in risks.items():
        known = ~(np.isnan(risk) | np.isnan(error))
        curves[name] = (risk[known], error[known])
    return DetectorComparison(found, curves)


def _at_t(targets: Sequence[float]) -> dict[float, dict[str, Any]]:
    return {t: {"threshold": t} for t in targets}


def _guesses(
    fit: FittedOn, test: Scored, train: Scored, sure: Mapping[str, np.ndarray], reference: str
) -> BaseGuesses:
    """The responses as best guesses, whose confidence is P(correct) by the reference."""
    sides = [
        ForcedAnswers(tuple(map(str, range(len(side.pairs)))), side.correct, p)
        for side, p in ((train, fit.own[reference]), (test, sure[reference]))
    ]
    return BaseGuesses(fit.detectors.model, *sides)


def _rows(
    policies: Sequence[Policy], reference: Policy, questions: Sequence[str], draws: int, seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """`policy_rows`; where a question has several responses, its intervals are of a bootstrap over questions."""
    rows, overall = policy_rows(policies, reference)
    if not _repeat(questions):
        return rows, overall
    weights = question_draws(questions, draws, seed).astype(float)
    targets = sorted(reference.verdicts)
    points = {policy.name: points_of(policy, targets) for policy in policies}
    base = points[reference.name]
    for row in rows:
        column = targets.index(row["target"])
        mine = points[row["policy"]]
        row["score_ci"] = _drawn(mine[:, [column]], weights)
        if row["difference"] is not None:
            row["difference_ci"] = _drawn((mine - base)[:, [column]], weights)
    for row in overall:
        if row["mean_difference"] is not None:
            row["mean_difference_ci"] = _drawn(points[row["policy"]] - base, weights)
    return rows, overall


def _repeat(questions: Sequence[str]) -> bool:
    """Whether a question has several responses."""
    return len(set(questions)) < len(questions)


def _drawn(values: np.ndarray, weights: np.ndarray) -> list[float] | None:
    """Interval of the mean over columns of the means over responses; what is not graded is left out."""
    known = ~np.isnan(values)
    totals = weights @ known.astype(float)
    with np.errstate(invalid="ignore"):
        means = ((weights @ np.nan_to_num(values)) / totals).mean(axis=1)
    return middle_of(means[~np.isnan(means)])


def _add_regret(
    rows: list[dict[str, Any]], overall: list[dict[str, Any]], oracle: Mapping[float, float | None] | None
) -> None:
    for row in rows:
        best = (oracle or {}).get(row["target"])
        row["oracle_score"] = best
        row["regret"] = None if best is None or row["score"] is None else best - row["score"]
    for row in overall:
        regrets = [one["regret"] for one in rows if one["policy"] == row["policy"]]
        row["mean_regret"] = None if None in regrets else float(np.mean(regrets))


def _at_equal_coverage(
    trained: Policy | None,
    on: Verdicts,
    sure: Mapping[str, np.ndarray],
    targets: Sequence[float],
    questions: Sequence[str],
    draws: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Each detector answering as many questions as the trained policy does, the surest ones, at each target."""
    if trained is None:
        return []
    policies = [trained]
    for name, p in sure.items():
        order = np.argsort(-np.nan_to_num(p, nan=-1.0), kind="stable")
        given = {}
        for t in targets:
            answers = np.zeros(len(p), dtype=bool)
            count = Counter(trained.verdicts[t])
            answers[order[: len(p) - count[Verdict.ABSTAINED]]] = True
            given[t] = on.where(answers)
        policies.append(Policy(name, trained.model, given))
    rows, _ = _rows(policies, trained, questions, draws, seed)
    return rows


def _cascade(fit: FittedOn, sure: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """Which part decides how many responses."""
    one = fit.detectors.detectors.get("cascade")
    if not isinstance(one, FittedCascade):
        return None
    clear = is_clear(sure[one.first], sure[one.then], one.low, one.high)
    share = float(1 - clear.mean()) if len(clear) else None
    return {"first": one.first, "then": one.then, "low": one.low, "high": one.high, "share_of_second": share}


def trained_policy(verdicts: Mapping[tuple[str, float], Verdict], ids: Sequence[str], model: str) -> Policy:
    """A trained policy on these questions, at all targets that it was asked all of them at.

    Args:
        verdicts: by question id and target, from the records of a run.
        ids: of the questions that detectors are measured on.
        model: its name.

    Raises:
        ValueError: it was asked none of these questions.

    Example:
        >>> asked = {("a", 0.5): Verdict.CORRECT, ("b", 0.5): Verdict.ABSTAINED, ("a", 0.9): Verdict.CORRECT}
        >>> trained_policy(asked, ["a", "b"], "run").verdicts
        {0.5: [<Verdict.CORRECT: 'CORRECT'>, <Verdict.ABSTAINED: 'ABSTAINED'>]}
    """
    targets = sorted({t for _, t in verdicts})
    at = {t: [verdicts[id, t] for id in ids] for t in targets if all((id, t) in verdicts for id in ids)}
    if not at:
        asked = {id for id, _ in verdicts}
        raise ValueError(
            f"{model} was asked {sum(id in asked for id in ids):,} of these {len(ids):,} questions, and at no target "
            "all of them: are the task, its options and --limit the same?"
        )
    return Policy(TRAINED, model, at)
