"""What `metrics.json` holds: one model of its keys, of which tables, reports, sweeps and docs/metrics.md are made.

Rates are fractions of n, points are per question. What cannot be had is `None` (`null` in the file), never 0. Files of
earlier versions load too: a key that they lack is `None`, and one that nobody knows any more is kept.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WrapValidator

from abstain.evals.records import read_json

Metrics = Mapping[str, Any]
"""The contents of a `metrics.json`, by the names of `MetricsFile`."""
Kind = Literal["rate", "share", "points", "probability", "number", "count", "interval", "text", "other"]
UNITS: dict[Kind, str] = {
    "rate": "share of n",
    "share": "share",
    "points": "points per question",
    "probability": "0 to 1",
    "number": "",
    "count": "questions",
    "interval": "points per question",
    "text": "",
    "other": "",
}


class About(NamedTuple):
    """What is known of a key.

    Args:
        label: in tables.
        kind: how it is formatted, and which unit it has.
        means: in words.
        equation: with c, i, a, u for the shares that are correct, incorrect, abstained and ungraded; and its source.
        short: the label where room is short, in at most two lines.
        plain: the label for people who have not read the docs, in reports.
    """

    label: str
    kind: Kind
    means: str
    equation: str = ""
    short: str = ""
    plain: str = ""


def key(
    label: str, kind: Kind, means: str, equation: str = "", short: str = "", *, plain: str = "", default: Any = None
) -> Any:
    """A field of the models below; see `About`."""
    about = About(label, kind, means, equation, short or label, plain or label)
    return Field(default, json_schema_extra={"about": about._asdict()})


def number(value: object) -> float | None:
    """A finite number, or nothing.

    Example:
        >>> number(0.5), number(float("nan")), number("0.5"), number(True)
        (0.5, None, None, None)
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if abs(value) <= 1e300 else None  # NaN is not, nor is what no float can hold


def _or_none(value: object, validate: Callable[[object], Any]) -> Any:
    try:
        return validate(value)
    except ValidationError:
        return None


def _about_intervals(value: object) -> dict[str, Any]:
    given = value if isinstance(value, dict) else {}
    return given | {"seed": given["seed"] if type(given.get("seed")) is int else 0}


_End = Annotated[float, Field(strict=True, ge=-1e300, le=1e300, allow_inf_nan=False)]
Number = Annotated[int | float | None, BeforeValidator(number)]
Text = Annotated[str | None, WrapValidator(_or_none)]
Interval = Annotated[Annotated[list[_End], Field(min_length=2, max_length=2)] | None, WrapValidator(_or_none)]
Object = Annotated[dict[str, Any] | None, WrapValidator(_or_none)]
AboutIntervals = Annotated[dict[str, Any], BeforeValidator(_about_intervals)]


def _target(value: object) -> float:
    target = number(value)
    if target is None or not 0 <= target < 1:
        raise ValueError(f"target {value!r} is not a number in [0, 1)")
    return target


# fmt: off
class TargetRow(BaseModel):
    """The numbers of one target."""

    model_config = ConfigDict(extra="allow")

    target: Annotated[float, BeforeValidator(_target)] = key("t", "number", "the target in the prompt", default=...)
    n: Number = key("n", "count", "questions asked at it")
    correct: Number = key("accuracy", "rate", "share of all questions answered right", "c", plain="right")
    incorrect: Number = key("error", "rate", "share of all questions answered wrong", "i", plain="wrong")
    abstained: Number = key("abstained", "rate", "share of questions that get no answer", "a", plain="“I don't know”")
    ungraded: Number = key("ungraded", "rate", "share that nobody could grade", "u; c + i + a + u = 1", "un-\ngraded")
    accuracy_attempted: Number = key("accuracy when attempted", "share", "selective accuracy, 1 − selective risk",
        "c / (c + i)", "accuracy,\nattempted", plain="right, if answered")
    score: Number = key("score", "points", "points per question; never answering scores 0", "S_t = c − i·t/(1−t)")
    score_ci: Interval = key("95% interval", "interval", "of the score, if other questions had been drawn",
        "[score interval](intervals.md), corrected for skewness", "95%\ninterval")
    bounded_score: Number = key("bounded score", "points", "the same optimum on a range of 1",
        "R_t = (1−t)·c − t·i = (1−t)·S_t", "bounded\nscore")
    oracle_score: Number = key("oracle", "points", "score of the oracle")
    oracle_threshold: Number = key("oracle threshold", "probability",
        "above which probability the post-hoc oracle answers; a true or a cross-fitted one has none")
    fixed_threshold_score: Number = key("threshold t", "points",
        "score of the start's guesses whose probability exceeds t itself")
    regret: Number = key("regret", "points", "what the oracle scores more", "`oracle_score` − S_t")
    always_answer_score: Number = key("always answer", "points",
        "score if all best guesses of the starting model are given", short="always\nanswer")
    coverage: Number = key("coverage", "rate", "share attempted", "c + i")
    isotonic_score: Number = key("isotonic", "points", "the same after isotonic regression on training questions",
        "Zadrozny and Elkan 2002")
    temperature_score: Number = key("temperature", "points", "the same after temperature scaling",
        "sigmoid(logit(q)/T), Guo et al. 2017")
    regret_fixed_threshold: Number = key("regret to threshold t", "points", "", "`fixed_threshold_score` − S_t")
    regret_isotonic: Number = key("regret to isotonic", "points", "", "`isotonic_score` − S_t")
    regret_temperature: Number = key("regret to temperature", "points", "", "`temperature_score` − S_t")
    simpleqa_f: Number = key("SimpleQA F", "number",
        "harmonic mean of c/(c+i+a) and c/(c+i), ungraded answers left out",
        "2c / (1 + c + i), [Wei et al. 2024](https://arxiv.org/abs/2411.04368)")
    simpleqa_f_implied_target: Number = key("F's target", "probability",
        "one more answer raises F iff its P(correct) exceeds this", "F/2, ≤ 0.5")
    omniscience_index: Number = key("Omniscience Index", "number", "100 times the score at t = 0.5",
        "100·(c − i), [AA-Omniscience](https://arxiv.org/abs/2511.13029)")
    hallucination_rate_of_attempted: Number = key("wrong of attempted", "share", "wrong, of those attempted",
        "i / (c + i)")
    hallucination_rate_of_not_correct: Number = key("wrong of not right", "share",
        "wrong, of those not right: AA-Omniscience's", "i / (i + a)")
    hallucination_rate_of_all: Number = key("wrong of all", "share", "wrong, of all that are graded: NeMo Gym's",
        "i / (c + i + a)")
    thresholded: Object = key("if q > t", "other",
        "`abstain rescore`, level 2: rates and scores if only confidence above t answers")


class GroupRow(BaseModel):
    """The numbers of one target and category."""

    model_config = ConfigDict(extra="allow")

    target: Annotated[float, BeforeValidator(_target)]
    n: Number = None
    correct: Number = None
    correct_ci: Interval = None
    incorrect: Number = None
    incorrect_ci: Interval = None
    abstained: Number = None
    abstained_ci: Interval = None
    ungraded: Number = None
    coverage: Number = None
    coverage_ci: Interval = None
    accuracy_attempted: Number = None
    accuracy_attempted_ci: Interval = None
    score: Number = None
    score_ci: Interval = None
    bounded_score: Number = None


class Group(BaseModel):
    """Questions of which about the same was known."""

    n: Number = None
    by_target: list[GroupRow]


class CategoryGroup(Group):
    """Those of one category."""

    category: str


class DocumentsRow(GroupRow):
    """Those of one kind of documents."""

    supported: Number = None
    supported_ci: Interval = None
    distorted: Number = None
    distorted_ci: Interval = None
    unsupported: Number = None
    unsupported_ci: Interval = None
    against_memory: Number = None
    against_memory_ci: Interval = None


class DocumentsGroup(BaseModel):
    """Questions with documents of one kind."""

    model_config = ConfigDict(extra="allow")

    documents: str
    n: Number = None
    by_target: list[DocumentsRow]


DocumentsGroups = Annotated[list[DocumentsGroup] | None, WrapValidator(_or_none)]
Groups = Annotated[list[CategoryGroup] | None, WrapValidator(_or_none)]
KnownGroup = Annotated[Group | None, WrapValidator(_or_none)]


class MetricsFile(BaseModel):
    """A whole `metrics.json`."""

    model_config = ConfigDict(extra="allow")

    model: Text = key("model", "text", "whose answers")
    task: Text = key("task", "text", "what was asked")
    n: Number = key("n", "count", "distinct questions")
    by_target: list[TargetRow] = key("", "other", "a row for each target, with the keys above", default=...)
    mean_regret: Number = key("mean regret to oracle", "points", "mean of `regret` over the targets", short="oracle")
    mean_regret_fixed_threshold: Number = key("to threshold t", "points", "mean of `regret_fixed_threshold`",
        short="threshold t")
    mean_regret_isotonic: Number = key("to isotonic", "points", "mean of `regret_isotonic`", short="isotonic")
    mean_regret_temperature: Number = key("to temperature", "points", "mean of `regret_temperature`",
        short="temperature")
    oracle: Text = key("oracle", "text", '"post-hoc", "cross-fitted" or "true"')
    aurc: Number = key("AURC", "number", "mean error rate among the k most confident, over k",
        "(1/N)·Σ e_k/k, e_k errors among the k, Geifman et al. 2019")
    auroc: Number = key("AUROC", "number", "P(a right answer has more confidence than a wrong one), ties half")
    ece: Number = key("ECE", "number", "confidence against accuracy in 15 bins of equal width",
        "Σ (n_b/N)·|acc_b − conf_b|, Guo et al. 2017")
    ece_equal_mass: Number = key("ECE, equal mass", "number", "in 15 bins of equally many answers",
        "Nguyen and O'Connor 2015")
    brier: Number = key("Brier", "number", "mean squared gap between confidence and outcome, 1 or 0",
        "mean (q − y)², Brier 1950", plain="Brier score")
    confidence_n: Number = key("confidences", "count", "best guesses whose confidence is judged")
    confidence_left_out: Number = key("left out", "count", "graded best guesses without a confidence that can be used")
    e_aurc: Number = key("E-AURC", "number", "`aurc` less that of a perfect order of the same answers")
    augrc: Number = key("AUGRC", "number", "mean share of wrong answers that are given",
        "(1−AUROC)·acc·r + r²/2, r = 1 − acc, Traub et al. 2024")
    average_precision: Number = key("average precision", "number", "of finding the right answers")
    smooth_ece: Number = key("smooth ECE", "number", "no bins, but a kernel as wide as the error it finds",
        "Błasiok and Nakkiran 2024", "smECE")
    brier_miscalibration: Number = key("Brier: miscalibration", "number",
        "what recalibration would save; `brier` = this − discrimination + uncertainty",
        "CORP, Dimitriadis et al. 2021")
    brier_discrimination: Number = key("Brier: discrimination", "number", "what the confidence knows")
    brier_uncertainty: Number = key("Brier: uncertainty", "number", "", "acc·(1−acc)")
    confidence_target: Number = key("confidence at", "number",
        "the target of the best guesses whose confidence is judged")
    interval: AboutIntervals = key("interval", "other",
        "`level` and `kind` of the intervals, and the `seed` that baselines were split with",
        default={"seed": 0})
    start: Text = key("start", "text", "whose best guesses oracle and baselines are made of")
    instruct: Text = key("instruct", "text",
        "what prompts state: the `target`, `nothing`, that a `confidence` q is asked for, which answers t if q > t, "
        "or the target for each statement (`claims`): then rows and records are of claims, and `n` counts gold ones; "
        "`detector`: asked once, answered if a detector's P(correct) > t")
    truncated: Number = key("cut off", "share", "share of completions that ran out of tokens")
    reading: Text = key("reading", "text",
        "how the string grader read: `lenient`, where sentences may say more, or `strict`, as in training")
    answer_format: Text = key("answer format", "text",
        "where the answer was looked for: `auto`, `plain`, `tag`, `boxed`, `last_line`, `json` or `harmony`")
    reading_gap: Number = key("reading gap", "share",
        "share of all answers that are CORRECT leniently, but not strictly; none where a judge graded")
    long_answers: Object = key("long answers", "other",
        "`n` answers of more than 12 words that the string `grader` read; `gold_unpaid` hold the gold and were not "
        "paid, `paid_leniently` were paid in sentences that say more, `in_doubt` is the share of both")
    whole_answers: Any = key("whole answers", "other",
        "with `instruct: claims`: for each target, shares of long answers by strict verdict, where one false claim "
        "makes an answer `incorrect`; `claims` per answer, the share of claims that is true (`soft`), of facts that "
        "are told (`covered`), and stretches per answer that no claim could be made of (`unread`)")
    confidence_missing: Number = key("confidence missing", "share",
        "with `instruct: confidence`: share of answers that state none, and count at every t")
    judge: Object = key("judge", "other",
        "of a judge: replies, tokens, `failures`, `cost`, `unjudged` answers of the table, and `agreement` (Cohen's "
        "`kappa`) with the string `grader`, also `by_length` of the answers and `by_letter` of the gold")
    by_category: Groups = key("by category", "other",
        "with labels (`abstain label`): for each category with questions, best first, `category`, `n` and `by_target` "
        "with rates, `coverage`, `accuracy_attempted` and `score` as above, each with its interval `…_ci`")
    known: KnownGroup = key("known", "other",
        "the same of HighlyKnown and MaybeKnown together: `correct` is the coverage of known facts, `abstained` "
        "over-refusal")
    by_documents: DocumentsGroups = key("by documents", "other",
        "where questions have documents: for each kind, `documents`, `n` and `by_target` with rates as above and the "
        "shares of n answered from each source: `supported` by the documents, `distorted` (they state a right answer, "
        "and it is another), `unsupported`; and `against_memory`, another than what it is sure of without documents")
    documents_cut: Number = key("documents cut", "count", "whose documents did not all fit into the model's context")
    unlabelled: Number = key("unlabelled", "count", "without a label, and in no category")
    labels_of: Text = key("labels of", "text", "whose labels: the model that knew")
    endpoint: Object = key("endpoint", "other",
        "of a model behind an endpoint: replies `asked` for and `reused`, retries, tokens, `failures`, `cost`, fields "
        "of a request that it refuses (`left_out`), and prompts of the table that brought no reply (`unanswered`)")
    stages: Any = key("stages", "other",
        "of a run: what was measured `before` and after each of its stages, a list of `stage`, `mean_regret` and "
        "`by_target`; the last of them is what stands above")
    conclusion: Object = key("conclusion", "other",
        "of a run: the verdict, `kind`, in `words` and `further` sentences, and what it rests on: `compared` says how "
        "many points per question, over all targets, the last model scores more `than` each one before it (`score`, "
        "`score_ci`, on `n` questions)")
    label: Text = key("label", "text", "`abstain rescore`: what the run is called in tables")
    source: Text = key("source", "text", "`abstain rescore`: its file")
    format: Text = key("format", "text", "`abstain rescore`: what kind of log that is")
    level: Number = key("level", "number", "`abstain rescore`: 1 grades, 2 grades and confidence, 3 stated targets")
    level_name: Text = key("level", "text", "`abstain rescore`: the level in words")
    confidence_kind: Text = key("confidence from", "text", "`abstain rescore`: where confidence comes from")
    confidence_share: Number = key("confidence known", "share",
        "`abstain rescore`: for which share of the answers it is known")
    remarks: Any = key("notes", "other", "`abstain rescore`: what was done to the logs")
    skipped: Any = key("left out of the log", "other", "`abstain rescore`: rows that could not be read, and why")
# fmt: on


def _abouts(model: type[BaseModel]) -> dict[str, About]:
    return {
        name: About(**field.json_schema_extra["about"])  # type: ignore[index, arg-type]
        for name, field in model.model_fields.items()
    }


BY_TARGET = _abouts(TargetRow)
"""What is known of each key of a target's row."""
OVERALL = _abouts(MetricsFile)
"""What is known of each key of a whole run."""
_NO_NUMBERS = ("text", "other", "interval")


def read_metrics(path: str | Path) -> Metrics:
    """A `metrics.json` in which every key is there, `None` where the file has nothing that could be meant.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is something else.
    """
    data = read_json(path)
    rows = data.get("by_target") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{path}: not the metrics of an evaluation: it lacks the list by_target")
    try:
        return MetricsFile.model_validate(data).model_dump()
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"{path}: {said}") from None


def numbers(metrics: Metrics) -> dict[str, float | None]:
    """Every number of a `metrics.json` by name; those of a target by name@target.

    Example:
        >>> found = numbers({"mean_regret": 0.1, "by_target": [{"target": 0.5, "score": 0.4, "incorrect": 0.2}]})
        >>> found["mean_regret"], found["score@0.5"], found["aurc"]
        (0.1, 0.4, None)
    """
    by_target = {
        f"{name}@{row['target']:g}": number(row[name])
        for row in metrics["by_target"]
        for name in names_of_numbers(BY_TARGET)
        if name in row
    }
    return {name: number(metrics.get(name)) for name in names_of_numbers(OVERALL)} | by_target


def names_of_numbers(known: Mapping[str, About]) -> list[str]:
    """The keys of `BY_TARGET` or `OVERALL` that are numbers, the target itself left out."""
    return [name for name, about in known.items() if about.kind not in _NO_NUMBERS and name != "target"]


def key_tables() -> Iterator[str]:
    """The tables of docs/metrics.md in Markdown: the keys of a target's row, and those of a whole run."""
    for known in (BY_TARGET, OVERALL):
        lines = ["| key | in tables | means | equation, source | unit |", "|---|---|---|---|---|"]
        for name, about in known.items():
            cells = (f"`{name}`", about.label, about.means, about.equation, UNITS[about.kind])
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        yield "\n".join(lines)
