"""What stands below a table: what was asked, how it is scored, and what it is compared with."""

from collections.abc import Mapping, Sequence
from typing import Any

Metrics = Mapping[str, Any]
MISSING = "–"
_ORACLES = {
    "post-hoc": "gives {start}'s best guesses, but only those whose probability exceeds a threshold: the one that "
    "scores best on training questions",
    "cross-fitted": "gives {start}'s best guesses, but only those whose probability exceeds a threshold: for each "
    "half of the questions, the one that scores best on the other half",
    "true": "answers exactly the questions whose known probability of being right exceeds t",
}
_CONFIDENCE = {"auroc": "AUROC", "aurc": "AURC", "ece": "ECE", "brier": "Brier"}


def footer(metrics: Sequence[Metrics], labels: Sequence[str]) -> list[tuple[str, str]]:
    """What the numbers mean, as terms and explanations: questions, models, scoring, interval, oracle, and the rest."""
    last = metrics[-1]
    start, kind, interval = last.get("start") or "the model", last["oracle"], last["interval"]
    notes = [("n", f"{last['n']:,} questions of {last['task']}; every rate is a fraction of n")]
    for label, one in zip(labels, metrics, strict=True):
        notes.append(("model" if label == one["model"] else label, one["model"]))
    notes += [
        (
            "score",
            "points per question: 1 if right, −t/(1−t) if wrong, 0 for “I don't know”; never answering scores 0",
        ),
        ("interval", f"{interval['level']:.0%} bootstrap interval of the score, {interval['resamples']:,} resamples"),
    ]
    if kind:
        notes.append(("regret", f"oracle score − score; the {kind} oracle {_ORACLES[kind].format(start=start)}"))
        notes.append(("always answer", f"score of {start}'s best guesses, all of them given"))
    else:
        notes.append(("regret", "not known: there are no best guesses to make an oracle of"))
    for label, one in zip(labels, metrics, strict=True):
        notes.append(("overall", (f"{label}: " if len(metrics) > 1 else "") + _summary(one)))
    if last.get("truncated"):
        notes.append(
            ("cut off", f"{last['truncated']:.1%} of the completions ran out of tokens: raise max_new_tokens")
        )
    return notes


def _summary(one: Metrics) -> str:
    confidence = ", ".join(f"{name} {_number(one[key])}" for key, name in _CONFIDENCE.items())
    return (
        f"mean regret {_number(one['mean_regret'])}; confidence in {one['confidence_n']:,} best guesses: {confidence}"
    )


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:z.3f}"
