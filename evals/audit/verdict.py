"""What an audit's numbers come to, in sentences. Each says no more than its interval allows.

At t = 0.75 it answers when it is more than 0.71 [0.66, 0.77] sure: close to what was asked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from abstain.evals.audit.asking import NO_INSTRUCTION
from abstain.evals.tables.formats import decimal, percent, percent_with_interval, with_interval

FEW = 30
"""Questions below which no verdict is given: the bootstrap of so few is surer than it should be."""
HARDLY = 0.5
"""Selectivity below which abstention is not by how sure the model is."""
SAME, OTHER = 0.1, 0.25
"""Shares of changed decisions up to which a wording makes no difference, and from which it makes a great one."""
WILLING = 0.95
"""Share of answers at t = 0 from which the request for a best guess is heeded."""
DIFFERENT_SOURCE, BAD_FIT, WIDE = 0.05, 0.05, 0.1
Part = Mapping[str, Any]
"""An `audit.json`, or a part of it: a row of `by_target`, `rise`, `source` …"""


def tolerance(target: float) -> float:
    """How far from t a threshold is still close to it: 0.1, or half of what is left to 1.

    Example:
        >>> [round(tolerance(t), 3) for t in (0.5, 0.75, 0.9)]
        [0.1, 0.1, 0.05]
    """
    return min(0.1, (1 - target) / 2)


def target_verdict(row: Part) -> str:
    """The verdict on one target, from its row in `audit.json`."""
    t = f"At t = {row['target']:g}"
    if row["n"] < FEW:
        return f"{t} there is no verdict: {row['n']} questions are too few for one."
    if row["target"] == 0:
        return f"{t} {_best_guess(row)}."
    return f"{t} {_all_or_nothing(row) or _selection(row) or _threshold(row)}{_accuracy(row)}."


def _best_guess(row: Part) -> str:
    share = percent_with_interval(row["abstained"], row["abstained_ci"])
    if 1 - row["abstained"] >= WILLING:
        return f"it gives its best guess as asked, and abstains on {share} of the questions"
    return f"it abstains on {share} of the questions, although asked for its best guess"


def _all_or_nothing(row: Part) -> str:
    needed = row["called_for"]
    if row["abstained"] == 1:
        worth = "" if needed is None else f", although {percent(1 - needed)} of the questions are worth an answer"
        return "it answers nothing" + worth
    if row["abstained"] == 0:
        return "it answers everything" + ("" if not needed else f", although {percent(needed)} call for abstention")
    return ""


def _selection(row: Part) -> str:
    """What there is to say if no threshold can be named: the questions are left at random, or the source is blind."""
    abstains = f"it abstains on {percent(row['abstained'])} of the questions"
    if row["gain"] is None:
        return f"{abstains}, but without forced answers to them nobody can say when"
    if row["with_guess"] < FEW:
        return f"{abstains}, but {row['with_guess']} questions with forced answers are too few to say when"
    goes_by_it = row["gain_ci"][0] > 0
    if row["selectivity"] is None and goes_by_it:
        return f"{abstains}, by how sure it is, but its confidence cannot say above which P(correct) it answers"
    if row["selectivity"] is not None and row["selectivity_ci"][1] < HARDLY:
        return f"{abstains}, but hardly by how sure it is"
    if goes_by_it:
        return ""
    return f"{abstains}, but whether by how sure it is, {row['with_guess']:,} questions cannot tell"


def _threshold(row: Part) -> str:
    low, high = row["effective_threshold_bracket"]
    where = f"{row['effective_threshold']:.2f}" if high - low < WIDE else f"{low:.2f} to {high:.2f}"
    start, end = row["effective_threshold_ci"]
    poor = ", by a confidence that knows less than the model" if row["selectivity_ci"][0] > 1 else ""
    sure = f"it answers when it is more than {where} [{start:.2f}, {end:.2f}] sure"
    near = row["near_threshold"]
    if confidence_is_off(near):
        right = percent_with_interval(near["right"], near["right_ci"])
        expected = f"of {near['n']:,} guesses it expects {percent(near['expected'])} to be right, and {right} are"
        return f"{sure} by a confidence that is off there: {expected}"
    return f"{sure}: {_distance(row, start, end)}{poor}"


def confidence_is_off(near: Part | None) -> bool:
    """Whether P(correct) is not what it seems around a threshold, so that this is neither bold nor cautious.

    Args:
        near: `near_threshold` of a target; `None` where P(correct) is known.

    Example:
        >>> near = {"n": 40, "expected": 0.2, "right": 0.4, "right_ci": [0.26, 0.55]}
        >>> confidence_is_off(near), confidence_is_off(near | {"expected": 0.3}), confidence_is_off(None)
        (True, False, False)
    """
    return near is not None and near["n"] >= FEW and not near["right_ci"][0] <= near["expected"] <= near["right_ci"][1]


def _distance(row: Part, low: float, high: float) -> str:
    t, near = row["target"], tolerance(row["target"])
    if t - near <= low and high <= t + near:
        return "close to what was asked"
    if low <= t <= high:
        return f"in line with what was asked, as far as {row['with_guess']:,} questions can tell"
    what = "bolder" if high < t else "more cautious"
    overlaps = high >= t - near if high < t else low <= t + near
    return f"{'a little ' if overlaps else ''}{what} than asked"


def _accuracy(row: Part) -> str:
    if holds(row["accuracy_attempted_ci"], row["target"]) is not False:
        return ""
    right = percent_with_interval(row["accuracy_attempted"], row["accuracy_attempted_ci"])
    return f"; of its answers only {right} are right"


def holds(interval: Sequence[float] | None, target: float, *, above: bool = True) -> bool | None:
    """Whether a share is at least (or, with `above=False`, at most) t; `None` if its interval leaves that open.

    Example:
        >>> holds([0.8, 0.9], 0.75), holds([0.7, 0.9], 0.75), holds([0.1, 0.3], 0.75, above=False)
        (True, None, True)
    """
    if interval is None or interval[0] < target < interval[1]:
        return None
    return (interval[0] >= target) == above


def knows_less(rows: Sequence[Part]) -> bool:
    """Whether the model's choice of questions shows that it knows more than the source of confidence."""
    return any(row["selectivity_ci"] and row["selectivity_ci"][0] > 1 for row in rows)


def rise_verdict(steps: Part, rows: Sequence[Part]) -> str:
    """Does abstention rise with t, and as much as it should (if the confidence is one to judge by)?"""
    whole = steps["overall"]
    if whole is None:
        return "Whether abstention rises with t takes two targets above 0 to say."
    between = f"from t = {whole['from']:g} to {whole['to']:g}"
    low, high = whole["difference_ci"]
    by = f"{with_interval(100 * whole['difference'], [100 * low, 100 * high], 1)} percentage points"
    called = None if knows_less(rows) else whole["called_for"]
    needed = "" if called is None else f"; P(correct) calls for {decimal(100 * called, 1)}"
    if low > 0:
        falls = [step for step in steps["steps"] if step["difference_ci"][1] < 0]
        but = "".join(f", but falls from t = {step['from']:g} to {step['to']:g}" for step in falls)
        less = " much less than it should," if called is not None and high < called / 2 else ""
        return f"Abstention rises{less} {between}, by {by}{needed}{but}."
    if called is not None and called > high:
        return f"Abstention does not follow t {between}: the difference is {by}{needed}."
    return f"Abstention does not measurably rise {between}: the difference is {by}{needed}."


def wording_verdict(words: Part, rows: Sequence[Part]) -> str:
    """Does the model follow the target or the sentence, and what does it do without one?"""
    said = [_reworded(words, rows)] if words["changed"] is not None else []
    alone = next((row for row in words["rows"] if row["wording"] == NO_INSTRUCTION), None)
    if alone:
        share = percent_with_interval(alone["abstained"], alone["abstained_ci"])
        stated = ", ".join(f"{percent(row['abstained'])} at t = {row['target']:g}" for row in rows)
        said.append(f"With no instruction at all it abstains on {share} of the questions ({stated}).")
    return " ".join(said) or "It was asked in one wording only."


def _reworded(words: Part, rows: Sequence[Part]) -> str:
    low, high = words["changed_ci"]
    share = percent_with_interval(words["changed"], words["changed_ci"])
    stated = [row["abstained"] for row in rows if row["target"] > 0]
    if high <= SAME and (max(stated) == 0 or min(stated) == 1):
        return "However asked, it answers everything." if max(stated) == 0 else "However asked, it answers nothing."
    if high <= SAME:
        but = "".join(f", but for {name!r} ({percent(part)})" for name, part in _worst(words["rows"]))
        return (
            f"In other words it decides otherwise on only {share} of the questions: the wording hardly matters{but}."
        )
    what = "it has learnt the sentence more than the rule" if low > OTHER else "the wording matters"
    return f"In other words it decides otherwise on {share} of the questions: {what}."


def _worst(rows: Sequence[Part]) -> list[tuple[str, float]]:
    """Wordings that change more than a few decisions, and how many they change, over all targets."""
    names = dict.fromkeys(row["wording"] for row in rows if row["changed"] is not None)
    changed = {name: [row["changed"] for row in rows if row["wording"] == name] for name in names}
    means = [(name, sum(shares) / len(shares)) for name, shares in changed.items()]
    return [(name, mean) for name, mean in means if mean > SAME]


def notes(found: Part) -> list[str]:
    """What to bear in mind about an audit: what was left out, and how good the source of confidence is."""
    source, said = found["source"], []
    if found["left_out"]:
        said.append(f"{found['left_out']:,} questions are left out: an answer to them was not graded, or missing.")
    if source["with_guess"] < found["n"]:
        said.append(
            f"{found['n'] - source['with_guess']:,} questions have no graded best guess. Thresholds, and what "
            "abstention was worth, are about the others."
        )
    said += _about_source(source, found)
    if source["kind"] in ("own", "sampled"):
        said.append(
            "After reinforcement learning a model gives each answer with a probability near 1. If this model was "
            "trained from another, go by that one's guesses (--start)."
        )
    return said


def _about_source(source: Part, found: Part) -> list[str]:
    said, own, right = [], found["guess_accuracy"], source["accuracy"]
    if None not in (own, right) and abs(own - right) > DIFFERENT_SOURCE:
        said.append(
            f"{percent(right)} of the forced answers are right, but {percent(own)} of the audited model's: what one "
            "knows is not quite what the other knows."
        )
    if source["kind"] == "known" and right is not None and abs(source["mean_p"] - right) > DIFFERENT_SOURCE:
        said.append(
            f"P(correct) is {percent(source['mean_p'])} on average for who knows all there is to know, but "
            f"{percent(right)} of the model's guesses are right: read its thresholds as what it should have known."
        )
    error, noise = source["calibration_error"], source["calibration_noise"]
    if source["kind"] != "known" and error is not None and error - noise > BAD_FIT:
        said.append(
            f"P(correct) fits the guesses badly (calibration error {error:.2f}, {noise:.2f} by chance): read the "
            "effective thresholds with care."
        )
    if knows_less(found["by_target"]):
        said.append(
            "The model chooses its questions better than a threshold on this confidence could: it knows less than the "
            "model, and misplaces effective thresholds. What is given up between two targets needs no confidence: its "
            "accuracy lies between the two thresholds."
        )
    return said
