"""What a training run came to, in words, and how sure that is: from what was measured before and after each stage.

Everything is held against intervals: "better" where the whole interval of the paired difference lies above 0, "no
better" where it holds 0 and nothing that would matter, "too few questions" where it holds both. No word of it is said
by a number alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from abstain.evals.metrics.intervals import paired_difference, share_interval
from abstain.evals.metrics.schema import Metrics
from abstain.evals.records import Record
from abstain.evals.tables.formats import prose_decimal, prose_percent

Kind = Literal[
    "better",
    "no better",
    "worse",
    "too few questions",
    "never learned",
    "worse than silence",
    "collapsed",
    "no verdict",
]
BEFORE, FORMAT, SFT = "before", "format", "sft"
Finding = tuple[Kind, str]
"""A verdict, and the sentence that gives the reason."""
FAILED: tuple[Kind, ...] = ("collapsed", "worse than silence", "never learned")
"""What no setting can be the best with."""
MATTERS = 0.02
"""Points per question, averaged over the targets: what a smaller difference is, is of no account."""
NEARLY_ALL = 0.85
"""A share is called nearly all if the lower end of its 95 % interval is at least this."""
_PERCENT = "\u00a0%"
_MANY_UNGRADED = 0.1


@dataclass(frozen=True)
class Measured:
    """What was measured at one point of a run.

    Args:
        stage: the stage after which, or "before".
        metrics: as in `metrics.json`, all of a run with the same oracle.
        records: the answers; without them there is nothing to compare.
    """

    stage: str
    metrics: Metrics
    records: Sequence[Record] = ()


@dataclass(frozen=True)
class Comparison:
    """The last model less an earlier one, on the same questions.

    Args:
        than: the stage of the earlier one.
        n: questions that were graded for both.
        score: points per question, averaged over the targets.
        interval: 95 %.
    """

    than: str
    n: int
    score: float
    interval: tuple[float, float]

    @property
    def found(self) -> Kind:
        """What the interval shows.

        Example:
            >>> [Comparison("sft", 9, 0.01, ends).found for ends in ((0.004, 0.03), (-0.01, 0.015), (-0.2, 0.3))]
            ['better', 'no better', 'too few questions']
        """
        low, high = self.interval
        if low > 0:
            return "better"
        if high < 0:
            return "worse"
        return "no better" if high < MATTERS else "too few questions"


@dataclass(frozen=True)
class Conclusion:
    """The verdict on a run.

    Args:
        kind: in a word or two, for tables.
        words: a sentence.
        further: sentences that go on.
        compared: the last model with each one before it.
    """

    kind: Kind
    words: str
    further: tuple[str, ...] = ()
    compared: tuple[Comparison, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """`conclusion` in `metrics.json`."""
        compared = [
            {"than": one.than, "n": one.n, "score": one.score, "score_ci": list(one.interval)} for one in self.compared
        ]
        return {"kind": self.kind, "words": self.words, "further": list(self.further), "compared": compared}


def conclude(measured: Sequence[Measured]) -> Conclusion:
    """The verdict on a run.

    | verdict | where |
    |---|---|
    | no verdict | nothing could be graded at a target, or there is nothing to compare |
    | collapsed | nearly nothing is answered at any t above 0, or nearly everything at every t, and it costs points |
    | worse than silence | the interval of the score lies below 0 at a t above 0 |
    | never learned | no better than the model that training began with (after `format`, if there is that stage) |
    | worse, no better | than SFT alone; without it than after the stage before the last, if there is one |
    | too few questions | the interval of the difference holds 0, and `MATTERS` too |
    | better | than SFT alone, or if there is none than the start |

    Args:
        measured: the starting model's first, the trained model's last.

    Raises:
        ValueError: nothing was measured.

    Example:
        >>> from abstain.evals.metrics.measuring import measure
        >>> from abstain.rewards.verdict import Verdict
        >>> def at(stage, right):
        ...     verdicts = ["CORRECT"] * right + ["ABSTAINED"] * (90 - right)
        ...     said = [Record(f"{i}", "toy", "", (), 0.5, "", "", "", Verdict(v), 1) for i, v in enumerate(verdicts)]
        ...     return Measured(stage, measure(said, model="m", task="toy"), said)
        >>> conclude([at("before", 20), at("sft", 50), at("rl", 70)]).words.replace("\u00a0", " ")
        'Better than SFT alone by 0.222 points per question (95 % interval 0.132 to 0.316) and than the start by 0.556
        (0.451 to 0.655).'
    """
    if not measured:
        raise ValueError("nothing was measured: there is nothing to conclude from")
    *earlier, last = measured
    compared = tuple(one for other in earlier if (one := _compare(other, last)) is not None)
    found, told = _ungraded(last.metrics) or collapse(last.metrics), tuple[str, ...]()
    silence = () if found and found[0] == "collapsed" else _against_silence(last.metrics)
    further = (*_regrets(measured), *_doubts(last.metrics))
    if found is None:
        found, told = _progress(earlier, compared)
    kind, words = found
    return Conclusion(kind, words, (*silence, *_others(compared, told), *further), compared)


def collapse(metrics: Metrics) -> Finding | None:
    """Whether a model is of no use whatever came before: the verdict and its words, or `None`.

    It needs no other run: silence and the oracle are what it is held against.

    Example:
        >>> row = {"n": 200, "ungraded": 0.0, "correct": 0.05, "incorrect": 0.02, "abstained": 0.93, "score": 0.03,
        ...        "score_ci": [0.0, 0.07], "oracle_score": 0.4, "regret": 0.37}
        >>> found = collapse({"by_target": [{**row, "target": t} for t in (0.5, 0.9)], "mean_regret": 0.37})
        >>> print(found[1].replace("\\u00a0", " "))
        Collapsed: it says “I don't know” to 93.0 % of the questions at every t, and at t = 0.5 scores 0.030 points per
        question (95 % interval 0.000 to 0.070), the oracle 0.400.
    """
    rows = [row for row in metrics["by_target"] if row["score"] is not None]
    if not rows:
        return None
    told = [row for row in rows if row["target"] > 0] or rows
    silent = next((some for some in (rows, told) if all(_nearly_all(row["abstained"], row) for row in some)), [])
    most = max(silent, key=lambda row: (row["oracle_score"] or 0.0) - row["score"], default=None)
    if most and _costs(most):
        shares = _range([row["abstained"] for row in silent])
        where = _at(silent, rows)
        return (
            "collapsed",
            f"Collapsed: it says “I don't know” to {shares} of the questions {where}, and {_lost(most)}.",
        )
    highest = max(told, key=lambda row: row["target"])
    if highest["target"] > 0 and _costs(highest) and all(_nearly_all(_answered(row), row) for row in rows):
        shares = _range([_answered(row) for row in rows])
        where = _at(rows, rows)
        return "collapsed", f"Collapsed: it answers {shares} of the questions {where}, and {_lost(highest)}."
    below = [row for row in rows if row["target"] > 0 and row["score_ci"] and row["score_ci"][1] < 0]
    if below:
        at = _list([f"{_score(row)} at t = {row['target']:g}" for row in below])
        return "worse than silence", f"Worse than silence: {at}, where never answering scores 0."
    return None


def _ungraded(metrics: Metrics) -> Finding | None:
    blind = [f"{row['target']:g}" for row in metrics["by_target"] if row["score"] is None]
    if not metrics["by_target"]:
        return "no verdict", "No verdict: nothing was asked."
    return ("no verdict", f"No verdict: at t = {_list(blind)} no answer could be graded.") if blind else None


def _compare(earlier: Measured, last: Measured) -> Comparison | None:
    found = paired_difference(earlier.records, last.records)
    if found["mean_score"] is None:
        return None
    low, high = found["mean_score_ci"]
    return Comparison(earlier.stage, found["n"], found["mean_score"], (low, high))


def _progress(earlier: Sequence[Measured], compared: Sequence[Comparison]) -> tuple[Finding, tuple[str, ...]]:
    """What was gained, and the stages that the words speak of."""
    by_stage = {one.than: one for one in compared}
    start = next((one.stage for one in earlier if one.stage == FORMAT), BEFORE)
    if start not in by_stage:
        return ("no verdict", "No verdict: there are no answers of the starting model to the same questions."), ()
    begun = by_stage[start]
    if begun.found in ("worse", "no better"):
        how = "worse" if begun.found == "worse" else "no better"
        return ("never learned", f"Never learned: {how} than {_name(start)}; {_differs(begun)}."), (start,)
    if begun.found == "too few questions":
        return (begun.found, _too_few(begun)), (start,)
    rival = _rival(earlier, start)
    against = by_stage.get(rival) if rival else None
    gained = f"Better than {_name(start)} {_by(begun)}."
    if against is None:
        return ("better", gained), (start,)
    if against.found == "too few questions":
        return (against.found, f"{gained} {_too_few(against)}"), (start, against.than)
    if against.found == "better":
        also = f"and than {_name(start)} by {prose_decimal(begun.score)} ({_between(begun.interval)})"
        return ("better", f"Better than {_name(against.than)} {_by(against)} {also}."), (start, against.than)
    how = "Worse" if against.found == "worse" else "No better"
    return (against.found, f"{how} than {_name(against.than)}; {_differs(against)}."), (against.than,)


def _rival(earlier: Sequence[Measured], start: str) -> str | None:
    """What the last stage has to beat: SFT alone, else whatever came before it."""
    stages = [one.stage for one in earlier if one.stage not in (BEFORE, start)]
    return SFT if SFT in stages else stages[-1] if stages else None


def _name(stage: str) -> str:
    names = {BEFORE: "the start", SFT: "SFT alone"}
    return names.get(stage, f"the model after {stage}")


def _by(one: Comparison) -> str:
    """By how much, with its interval."""
    return f"by {prose_decimal(one.score)} points per question ({_interval(one.interval)})"


def _differs(one: Comparison) -> str:
    """The difference, whose sign says which scores more, with its interval."""
    return f"the difference is {_signed(one.score)} points per question ({_interval(one.interval)})"


def _too_few(one: Comparison) -> str:
    low, high = one.interval
    needed = one.n * ((high - low) / 2 / MATTERS) ** 2
    return (
        f"Too few questions to tell it from {_name(one.than)}: on {one.n:,}, {_differs(one)}. "
        f"Some {_rounded(needed):,} would tell a difference of {MATTERS:g}."
    )


def _others(compared: Sequence[Comparison], told: Sequence[str]) -> tuple[str, ...]:
    """The differences that nobody has spoken of yet, in one sentence."""
    left = [
        f"{_name(one.than)} {_signed(one.score)} ({_between(one.interval)})"
        for one in compared
        if one.than not in told
    ]
    return (f"In points per question, against {_list(left)}.",) if left else ()


def _against_silence(metrics: Metrics) -> tuple[str, ...]:
    """Where the score is not above 0 beyond doubt, and what the right answers there pay for."""
    rows = [row for row in metrics["by_target"] if row["target"] > 0 and row["score_ci"] and _answered(row)]
    worse = [_pays(row) for row in rows if row["score_ci"][1] < 0]
    unsure = [
        f"{_pays(row)} (score {prose_decimal(row['score'])}, {_interval(row['score_ci'])})"
        for row in rows
        if row["score_ci"][0] <= 0 <= row["score_ci"][1]
    ]
    told = (("Why", worse), ("Not shown to beat silence", unsure))
    return tuple(f"{begins}: {'; '.join(parts)}." for begins, parts in told if parts)


def _pays(row: Mapping[str, Any]) -> str:
    """A right answer gives 1, a wrong one takes t / (1 - t): c right ones make up for c (1 - t) / t wrong ones."""
    affordable = row["correct"] * (1 - row["target"]) / row["target"]
    return (
        f"at t = {row['target']:g} its {prose_percent(row['correct'], 1)} of right answers pay for "
        f"{prose_percent(affordable, 1)} of wrong ones, and {prose_percent(row['incorrect'], 1)} are wrong"
    )


def _regrets(measured: Sequence[Measured]) -> tuple[str, ...]:
    known = [(one.stage, one.metrics.get("mean_regret")) for one in measured]
    if len(known) < 2 or any(regret is None for _, regret in known):
        return ()
    steps = [f"{prose_decimal(regret)} {label(stage)}" for stage, regret in known]
    return (f"Mean regret, which is what the oracle scores more: {', '.join(steps)}.",)


def _doubts(metrics: Metrics) -> tuple[str, ...]:
    rows = metrics["by_target"]
    found = []
    if rows and all(row["target"] == 0 for row in rows):
        found.append(
            "It was asked at t = 0 only, where guessing costs nothing: this says nothing of when it abstains."
        )
    if (worst := max((row["ungraded"] or 0 for row in rows), default=0)) >= _MANY_UNGRADED:
        found.append(f"Up to {prose_percent(worst)} of its answers to a target could not be graded.")
    return tuple(found)


def label(stage: str) -> str:
    """What a stage's row is called in tables and plots.

    Example:
        >>> label("before"), label("rl")
        ('before', 'after rl')
    """
    return stage if stage == BEFORE else f"after {stage}"


def labels(stages: Sequence[str]) -> list[str]:
    """`label` of each; "before" and "after" if there are no others.

    Example:
        >>> labels(["before", "sft", "rl"]), labels(["before", "rl"])
        (['before', 'after sft', 'after rl'], ['before', 'after'])
    """
    return [BEFORE, "after"] if len(stages) == 2 and stages[0] == BEFORE else [label(stage) for stage in stages]


def stages_json(measured: Sequence[Measured]) -> list[dict[str, Any]]:
    """`stages` in `metrics.json`: what was measured before and after each stage, the last one again among them."""
    return [
        {
            "stage": one.stage,
            "mean_regret": one.metrics.get("mean_regret"),
            "by_target": [dict(row) for row in one.metrics["by_target"]],
        }
        for one in measured
    ]


def _answered(row: Mapping[str, Any]) -> float:
    return float(row["correct"] + row["incorrect"])


def _nearly_all(share: float | None, row: Mapping[str, Any]) -> bool:
    if share is None or not row["n"]:
        return False
    low, _ = share_interval(round(share * row["n"]), row["n"])
    return bool(low >= NEARLY_ALL)


def _costs(row: Mapping[str, Any]) -> bool:
    """Whether the interval of the score shows that it is less than could be had, by as much as matters."""
    if row["oracle_score"] is None and row["target"] == 0:
        return True  # where a guess costs nothing
    best = max(0.0, row["oracle_score"] or 0.0)
    return bool(row["score_ci"]) and row["score_ci"][1] < best and row["score"] < best - MATTERS


def _lost(row: Mapping[str, Any]) -> str:
    oracle = row["oracle_score"]
    best = f"the oracle {prose_decimal(oracle)}" if oracle is not None and oracle > 0 else "silence 0"
    return f"at t = {row['target']:g} scores {_score(row)}, {best}"


def _score(row: Mapping[str, Any]) -> str:
    return f"{prose_decimal(row['score'])} points per question ({_interval(row['score_ci'])})"


def _at(these: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    if len(these) == 1:
        return f"at t = {these[0]['target']:g}"
    return "at every t" if len(these) == len(rows) else "at every t above 0"


def _range(shares: Sequence[float]) -> str:
    low, high = prose_percent(min(shares), 1), prose_percent(max(shares), 1)
    return low if low == high else f"{low.removesuffix(_PERCENT)}–{high}"


def _interval(ends: Sequence[float]) -> str:
    return f"95\u00a0% interval {_between(ends)}"


def _between(ends: Sequence[float]) -> str:
    return " to ".join(map(prose_decimal, ends))


def _signed(value: float) -> str:
    text = prose_decimal(value)
    return text if text.startswith("−") or not float(text) else f"+{text}"


def _rounded(value: float) -> int:
    """To two digits, upwards."""
    size = max(1, 10 ** (len(str(int(value))) - 2))
    return int(-(-value // size) * size)


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
