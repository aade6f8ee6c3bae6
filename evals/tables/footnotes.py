"""What stands below a table: what was asked, how it is scored, and what it is compared with.

The oracles are explained here, for tables and reports alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.metrics.intervals import LEVEL
from abstain.evals.metrics.readings import describe_long_answers
from abstain.evals.metrics.schema import Metrics
from abstain.rewards.judge.grader import describe_agreement

Notes = list[tuple[str, str]]
ORACLES = {
    "post-hoc": "gives {start}'s best guesses, but only those whose probability exceeds a threshold: the one that "
    "scores best on training questions",
    "cross-fitted": "gives {start}'s best guesses, but only those whose probability exceeds a threshold: for each "
    "half of the questions, the one that scores best on the other half",
    "true": "answers exactly the questions whose known probability of being right exceeds t",
}
"""What each oracle does with the best guesses of `start`."""
ECE_GROWS = (
    "ECE has grown: a model that was trained to abstain says what it knows by whether it answers, and is nearly "
    "certain of every guess it is made to give. That error is of its probabilities, not of its silence, which regret "
    "judges."
)
"""Why the calibration error of best guesses may get worse while abstention gets better."""
_GROWN = 0.01


def ece_grew(errors: Sequence[float | None]) -> bool:
    """Whether the last of several calibration errors is greater than the first by what is worth a sentence.

    Example:
        >>> ece_grew([0.05, 0.2]), ece_grew([0.2, 0.05]), ece_grew([None, 0.2]), ece_grew([0.2])
        (True, False, False, False)
    """
    first, last = errors[0], errors[-1]
    return first is not None and last is not None and last > first + _GROWN


def footer(metrics: Sequence[Metrics], labels: Sequence[str]) -> Notes:
    """What the numbers mean, as terms and explanations: questions, models, scoring, interval, oracle, and the rest."""
    return [
        *_asked(metrics, labels),
        (
            "score",
            "points per question: 1 if right, −t/(1−t) if wrong, 0 for “I don't know”; never answering scores 0",
        ),
        ("interval", describe_interval(metrics[-1])),
        *_compared(metrics[-1]),
        *_judged(metrics, labels),
        *_endpoint(metrics, labels),
        *_cut_off(metrics, labels),
        *_graded_by(metrics, labels),
        *_read(metrics, labels),
        *_in_doubt(metrics, labels),
    ]


def describe_interval(one: Metrics) -> str:
    """What the intervals of a `metrics.json` are; in files of earlier versions they are bootstrap intervals.

    Example:
        >>> describe_interval({"interval": {"level": 0.95, "resamples": 2000, "seed": 0}})
        '95% bootstrap interval of the score, 2,000 resamples'
    """
    about = one["interval"]
    level = f"{about.get('level', LEVEL):.0%}"
    if "resamples" in about:
        return f"{level} bootstrap interval of the score, {about['resamples']:,} resamples"
    return f"{level}, of the score if other questions had been drawn (docs/intervals.md)"


def _asked(metrics: Sequence[Metrics], labels: Sequence[str]) -> Notes:
    pairs = [(label, one["model"]) for label, one in zip(labels, metrics, strict=True)]
    models = [("model" if label == model else label, model) for label, model in pairs]
    asked = [f"{one['n']:,} {_counted(one)} of {one['task']}" for one in metrics]
    if len(set(asked)) == 1:
        return [("n", f"{asked[0]}; every rate is a fraction of n"), *models]
    each = "; ".join(f"{label}: {what}" for label, what in zip(labels, asked, strict=True))
    return [("n", f"{each}. Every rate is a fraction of n"), *models]


def _compared(last: Metrics) -> Notes:
    start, kind = last.get("start") or "the model", last["oracle"]
    always = ("always answer", f"score of {start}'s best guesses, all of them given")
    if not kind and any(row.get("always_answer_score") is not None for row in last["by_target"]):
        return [("regret", f"not known: nobody says how probable {start}'s best guesses are"), always]
    if not kind:
        return [("regret", "not known: there are no best guesses to make an oracle of")]
    oracle = f"oracle score − score; the {kind} oracle {ORACLES[kind].format(start=start)}"
    notes = [("regret", oracle), always]
    if last.get("mean_regret_isotonic") is None:
        return notes
    fitted = "the other half of the questions" if kind == "cross-fitted" else "training questions"
    given = f"over all t, to the oracle, and to {start}'s best guesses given where their probability exceeds t"
    return [
        *notes,
        ("mean regret", f"{given}: as it is (threshold t), or recalibrated on {fitted} (isotonic, temperature)"),
    ]


def _judged(metrics: Sequence[Metrics], labels: Sequence[str]) -> Notes:
    judged = [_guesses(one) for one in metrics]
    if not any(one["confidence_n"] for one in metrics):
        return []
    if len(set(judged)) > 1:
        judged = [f"{label}: {what}" for label, what in zip(labels, judged, strict=True)]
    what = "; ".join(dict.fromkeys(judged))
    grew = f". {ECE_GROWS}" if ece_grew([one.get("ece") for one in metrics]) else ""
    return [("confidence", f"in {what}; AUROC: higher is better; all others: lower is better{grew}")]


def _endpoint(metrics: Sequence[Metrics], labels: Sequence[str]) -> Notes:
    """Of models behind an endpoint: what they do not tell, and what they did not reply to."""
    lines = [
        (label, said)
        for label, one in zip(labels, metrics, strict=True)
        if one.get("endpoint") and (said := describe_endpoint(one))
    ]
    return _each("endpoint", lines, len(metrics))


def describe_endpoint(one: Metrics) -> str:
    """What is to be known of a table that a model behind an endpoint was asked for; "" if nothing is.

    Example:
        >>> about = {"left_out": ["temperature"], "unanswered": {"timeout": 2, "content filter": 1}}
        >>> describe_endpoint({"endpoint": about, "confidence_n": 4, "confidence_left_out": 0})
        '3 prompts of the table brought no reply (2 timeout, 1 content filter) and are ungraded; it refuses
        temperature, and was asked without: its answers are drawn, not greedy'
    """
    about = one["endpoint"]
    said = []
    if lost := about.get("unanswered"):
        count = sum(lost.values())
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in lost.items())
        said.append(
            f"{count:,} prompt{'s' * (count > 1)} of the table brought no reply ({kinds}) and "
            f"{'are' if count > 1 else 'is'} ungraded"
        )
    if refused := about.get("left_out"):
        drawn = ": its answers are drawn, not greedy" if "temperature" in refused else ""
        said.append(f"it refuses {' and '.join(refused)}, and was asked without{drawn}")
    if not one["confidence_n"] and one.get("confidence_left_out"):
        said.append("it tells no log-probabilities, so nothing is known that needs a confidence")
    return "; ".join(said)


def _guesses(one: Metrics) -> str:
    left_out = one.get("confidence_left_out")
    return f"{one['confidence_n'] or 0:,} best guesses" + (f" ({left_out:,} more had none to use)" if left_out else "")


def _cut_off(metrics: Sequence[Metrics], labels: Sequence[str]) -> Notes:
    shares = [(label, one["truncated"]) for label, one in zip(labels, metrics, strict=True) if one.get("truncated")]
    if not shares:
        return []
    where = "; ".join(f"{label} {share:.1%}" for label, share in shares) if len(metrics) > 1 else f"{shares[0][1]:.1%}"
    return [("cut off", f"{where} of the completions ran out of tokens: raise max_new_tokens")]


def _graded_by(metrics: Sequence[Metrics], labels: Sequence[str]) -> Notes:
    """Which model graded, and how far the string grader agrees."""
    notes = []
    for label, one in zip(labels, metrics, strict=True):
        if judge := one.get("judge"):
            note = describe_judge(judge)
            notes.append(("judge", f"{label}: {note}" if len(metrics) > 1 else note))
    return notes


def describe_judge(judge: Mapping[str, Any]) -> str:
    """How far the string grader agrees with a judge, and how many answers of the table have no verdict.

    Args:
        judge: as in `metrics.json`; earlier versions counted only what failed, training guesses included.
    """
    agreed = describe_agreement(judge["agreement"], judge["model"], judge["grader"])
    unjudged = judge["unjudged"] if "unjudged" in judge else sum(judge["failures"].values())
    return agreed + (f"; {unjudged:,} answer{'s' * (unjudged > 1)} could not be judged" if unjudged else "")


def _read(metrics: Sequence[Metrics], labels: Sequence[str]) -> Notes:
    """In which reading the string grader graded, and how much it matters."""
    lines = [
        (label, f"{one['reading']}, answer format {one['answer_format']}; {one['reading_gap']:.1%} of the answers are "
         "right when read leniently but not strictly")
        for label, one in zip(labels, metrics, strict=True)
        if one.get("reading_gap") is not None
    ]  # fmt: skip
    return _each("reading", lines, len(metrics))


def _in_doubt(metrics: Sequence[Metrics], labels: Sequence[str]) -> Notes:
    lines = [
        (label, describe_long_answers(one["long_answers"], "abstain eval … --judge NAME"))
        for label, one in zip(labels, metrics, strict=True)
        if one.get("long_answers")
    ]
    return _each("string grader", lines, len(metrics))


def _each(term: str, lines: Sequence[tuple[str, str]], models: int) -> Notes:
    """One note for what all models share; else a line for each."""
    if not lines:
        return []
    alike = len(lines) == models and len({line for _, line in lines}) == 1
    return [(term, lines[0][1] if alike else "\n".join(f"{label}: {line}" for label, line in lines))]


def _counted(one: Metrics) -> str:
    """What its rows count."""
    return "claims" if one.get("instruct") == "claims" else "questions"
