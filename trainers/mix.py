"""Training questions chosen by what the starting model knows of them.

    mix: {categories: [HighlyKnown, MaybeKnown]}    only these
    mix: {weights: {MaybeKnown: 2, Unknown: 0.5}}   these twice, every second one of those
    mix: {unknown: 0.5}                             half of them Unknown, and as many in all as with any other share
    mix: {size: 2000}                               so many, in their natural proportions
    mix: {idk: [Unknown]}                           these are answered "I don't know"
    mix: {order: known_first}                       a curriculum
    mix: {near_targets: 0.2}                        RL asks at t mostly what is known with a P(correct) near t

Categories and P(correct) are those of Gekhman et al. (2024), arXiv 2405.05904; the share at a fixed size is theirs,
and "I don't know" for what is not known is R-Tuning's (Zhang et al. 2023, arXiv 2311.09677). All draws depend on the
seed alone, and a larger share holds whatever a smaller one does.
"""

import logging
import math
import random
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from abstain.evals.knowledge.labels import Category, Label, count_categories
from abstain.evals.tasks.question import Question

logger = logging.getLogger(__name__)
CategoryName = Literal["HighlyKnown", "MaybeKnown", "WeaklyKnown", "Unknown"]
UNKNOWN = Category.UNKNOWN
Known = Mapping[str, Label]
"""What a model knows of each question, by id."""
Order = Literal["known_first", "unknown_first"]
Row = tuple[Question, float | None]
"""A question and the target that it is asked at, if prompts state one."""
Asked = TypeVar("Asked", Question, Row)
Key = TypeVar("Key", bound=Hashable)
Groups = Mapping[str, Mapping[Category, list[Question]]]
"""Questions by relation and category; every relation has every category."""


def _size(value: Any) -> Any:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value is None or whole or value in ("smallest", "all"):
        return value
    raise ValueError(f"must be a whole number of at least 1, `smallest` or `all`, not {value!r}")


class Mix(BaseModel, extra="forbid"):
    """Training questions chosen by what the starting model knows of them."""

    categories: list[CategoryName] | None = Field(None, min_length=1)
    """Only questions of these categories (all by default)."""
    weights: dict[CategoryName, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    """How often a question of a category is there, as in `{MaybeKnown: 2, Unknown: 0.5}`: 2 is twice, 0.5 is every
    second one, drawn with the seed (1 by default)."""
    unknown: float | None = Field(None, ge=0, le=1)
    """Share of Unknown among them, in every relation. The others keep their natural proportions, and there are equally
    many questions whatever the share is."""
    size: Annotated[int | Literal["smallest", "all"], BeforeValidator(_size)] | None = None
    """Questions in all, divided over relations in proportion; `smallest`: of each relation as many as its smallest
    category has; `all` of them. With `unknown`, or a single one of `categories`, it is `smallest` by default, so that
    shares and categories can be compared, and else `all`."""
    order: Order | None = None
    """Train in the order of P(correct), in every epoch (in random order by default)."""

    @property
    def fixed_size(self) -> int | Literal["smallest"] | None:
        """`size` with its default; `None` for all."""
        if self.size is None:
            return "smallest" if self.unknown is not None or len(self.categories or ()) == 1 else None
        return None if self.size == "all" else self.size

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        said = self.categories
        if self.unknown and said is not None and UNKNOWN not in said:
            raise ValueError(
                f"unknown: {self.unknown:g} wants Unknown questions, and categories has none: add Unknown"
            )
        if self.unknown is not None and self.unknown < 1 and said == [UNKNOWN]:
            raise ValueError(f"unknown: {self.unknown:g} wants others too, and categories has Unknown only: add some")
        if self.unknown is not None and self.size == "all":
            raise ValueError("unknown is a share at a fixed size: set size to a number, or leave it out")
        if self.weights and (self.unknown is not None or isinstance(self.fixed_size, int | str)):
            raise ValueError(
                "weights say how often a question is there, and a fixed size how many there are: leave weights out, "
                "or set size: all"
            )
        return self


class SupervisedMix(Mix):
    """Training questions chosen by what the starting model knows of them, for which a section `labels` is needed.

    `limit` comes first: the mix chooses among the questions that it leaves. Those without a label are not used."""

    idk: list[CategoryName] = Field(default_factory=list)
    """Questions of these categories are answered "I don't know", but for prompts that state t = 0. No random share of
    the others is, unless `idk_share` is set."""


class RlMix(Mix):
    """Questions to ask chosen by what the starting model knows of them, for which a section `labels` is needed.

    `limit` comes first: the mix chooses among the questions that it leaves. Those without a label are not used."""

    near_targets: float | None = Field(None, gt=0)
    """Ask at a target t mostly questions whose P(correct) is near it: the weight of a question is
    exp(-(P(correct) - t)² / 2w²), w being this number. As many prompts of each target as there are questions."""


# Which questions


def mixed(questions: Sequence[Question], known: Known, mix: Mix, seed: int, where: str = "mix") -> list[Question]:
    """The questions that a mix gives, repeated where it says so.

    They are in their own order, or in that of P(correct), ties in random order, where the mix has one.

    Args:
        questions: of a task, after any `limit`.
        known: the labels of the starting model; questions without one are left out.
        mix: what to take.
        seed: of the draws.
        where: its key in the recipe, for messages.

    Raises:
        ValueError: nothing is left, or too few are there of a category; with the numbers, and what to set instead.

    Example:
        >>> from types import SimpleNamespace as Found
        >>> questions = [Question(name, f"Who is {name}?", ("Bo",)) for name in "abcdef"]
        >>> known = {name: Found(category=Category.UNKNOWN, relation="") for name in "abcd"}
        >>> known |= {name: Found(category=Category.HIGHLY_KNOWN, relation="") for name in "ef"}
        >>> "".join(q.id for q in mixed(questions, known, Mix(weights={"HighlyKnown": 2, "Unknown": 0}), seed=0))
        'eeff'
        >>> len(mixed(questions, known, Mix(unknown=0.5), seed=0))  # 2 are HighlyKnown: the smallest category
        2
    """
    there = [question for question in questions if question.id in known]
    wanted = set(mix.categories or Category)
    kept = [question for question in there if known[question.id].category in wanted]
    if not kept:
        no_such = f"no question is {' or '.join(mix.categories or ())}"
        raise ValueError(f"{where}: {no_such}, there are {counted(there, known)}: set another {where}.categories")
    if (size := mix.fixed_size) is None:
        chosen = _repeated(kept, known, mix.weights, seed)
    else:
        chosen = _sized(there, kept, known, size, mix.unknown, seed, where)
    if not chosen:
        raise ValueError(f"{where}: nothing is left of {counted(there, known)}")
    return chosen if mix.order is None else by_knowledge(chosen, known, mix.order, seed)


def _repeated(
    questions: Sequence[Question], known: Known, weights: Mapping[CategoryName, float], seed: int
) -> list[Question]:
    """Each as often as the weight of its category says."""
    times = Counter[str]()
    for category in Category:
        group = [question for question in questions if known[question.id].category == category]
        weight = weights.get(category.value, 1.0)
        whole = int(weight)
        times.update({question.id: whole for question in group})
        more = math.floor((weight - whole) * len(group) + 0.5)
        times.update(question.id for question in _shuffled(group, seed, category)[:more])
    return [question for question in questions for _ in range(times[question.id])]


def _sized(
    there: Sequence[Question],
    kept: Sequence[Question],
    known: Known,
    size: int | Literal["smallest"],
    unknown: float | None,
    seed: int,
    where: str,
) -> list[Question]:
    """So many, of each relation its part; and of each part a share that is Unknown.

    Gekhman et al.: |D| = Σ over relations of the number of questions in the smallest category of that relation, of
    which X % are Unknown in each relation, and the rest Known.
    """
    groups = _by_relation(kept, known)
    if size == "smallest":
        parts = _smallest(_by_relation(there, known), groups, where)
    elif size > len(kept):
        less = f"set {where}.size={len(kept)}"
        raise ValueError(f"{where}: size: {size:,} is more than the {len(kept):,} questions there are: {less}")
    else:
        parts = _parts(groups, size)
    if unknown is not None and (missing := _too_few(groups, parts, unknown)):
        fits = _largest(groups, size, unknown) if isinstance(size, int) else 0
        less = f"{where}.size={fits}, or " if fits else ""
        raise ValueError(f"{where}: {missing}: set {less}another {where}.unknown than {unknown:g}")
    chosen: set[str] = set()
    share = {} if unknown is None else _unknown(parts, unknown)
    for relation, part in parts.items():
        group = groups[relation]
        wanted = {UNKNOWN: share[relation]} if relation in share else {}
        others = {category: len(group[category]) for category in Category if category not in wanted}
        wanted |= apportion(part - sum(wanted.values()), others)
        for category, count in wanted.items():
            drawn = _shuffled(group[category], seed, f"{relation} {category}")[:count]
            chosen |= {question.id for question in drawn}
    return [question for question in kept if question.id in chosen]


def _by_relation(questions: Iterable[Question], known: Known) -> Groups:
    groups: dict[str, dict[Category, list[Question]]] = defaultdict(lambda: {category: [] for category in Category})
    for question in questions:
        label = known[question.id]
        groups[label.relation][label.category].append(question)
    return groups


def _parts(groups: Groups, size: int) -> dict[str, int]:
    """How many questions of each relation, in proportion to those that there are."""
    return apportion(size, {relation: sum(map(len, group.values())) for relation, group in groups.items()})


def _unknown(parts: Mapping[str, int], share: float) -> dict[str, int]:
    """How many of each relation's part are Unknown."""
    return apportion(math.floor(share * sum(parts.values()) + 0.5), parts)


def _smallest(there: Groups, kept: Groups, where: str) -> dict[str, int]:
    """Of each relation the size of its smallest category, of those that there are anywhere."""
    used = [category for category in Category if any(group[category] for group in there.values())]
    parts = {relation: min(len(there[relation][category]) for category in used) for relation in kept}
    if not any(parts.values()):
        relation = next(iter(parts))
        lacking = next(category for category in used if not there[relation][category])
        of = f" of {relation}" if relation else ""
        raise ValueError(
            f"{where}: of every relation the smallest category is empty (there is no {lacking} question{of}): set a "
            f"number, as in {where}.size=500"
        )
    return parts


def _too_few(groups: Groups, parts: Mapping[str, int], unknown: float) -> str:
    """Where there are fewer than wanted, in words; "" if nowhere."""
    for relation, count in _unknown(parts, unknown).items():
        there = len(groups[relation][UNKNOWN])
        known = sum(map(len, groups[relation].values())) - there
        for wanted, have, what in ((count, there, "Unknown"), (parts[relation] - count, known, "Known")):
            if wanted > have:
                of = f" of {relation}" if relation else ""
                return f"{wanted:,} {what} questions{of} are wanted, and {have:,} are there"
    return ""


def _largest(groups: Groups, size: int, unknown: float) -> int:
    """A size that can be had, the largest but for rounding."""
    low, high = 0, size
    while high - low > 1:
        middle = (low + high) // 2
        fits = not _too_few(groups, _parts(groups, middle), unknown)
        low, high = (middle, high) if fits else (low, middle)
    return low


def apportion(total: int, sizes: Mapping[Key, int]) -> dict[Key, int]:
    """Whole numbers that sum to `total`, in proportion to `sizes` and none above its own; ties by their order.

    Those of Sainte-Laguë: the k-th of a group of n, counted from 0, is the (k + 1/2) / n of it, and the first `total`
    of all are taken. So no number falls where the total rises, as with the largest remainders it may.

    Args:
        total: at most the sum of `sizes`.
        sizes: whole numbers.

    Example:
        >>> apportion(10, {"a": 50, "b": 30, "c": 5})
        {'a': 6, 'b': 3, 'c': 1}
    """
    ranks = [((2 * k + 1) / (2 * n), place) for place, n in enumerate(sizes.values()) for k in range(n)]
    taken = Counter(place for _, place in sorted(ranks)[:total])
    return {key: taken[place] for place, key in enumerate(sizes)}


def _shuffled(questions: Sequence[Question], seed: int, what: str) -> list[Question]:
    """In an order of their own, so that fewer are always among more."""
    found = list(questions)
    random.Random(f"{seed} {what}").shuffle(found)
    return found


# In which order, at which targets, and with which answer


def by_knowledge(asked: Sequence[Asked], known: Known, order: Order, seed: int) -> list[Asked]:
    """Questions, or rows of a question and a target, by P(correct), then by category; ties in random order.

    Example:
        >>> from types import SimpleNamespace as Found
        >>> questions = [Question(name, f"Who is {name}?", ("Bo",)) for name in "abc"]
        >>> found = {"a": (0, "Unknown"), "b": (0.9, "MaybeKnown"), "c": (0, "WeaklyKnown")}
        >>> known = {name: Found(p_correct=p, category=category) for name, (p, category) in found.items()}
        >>> "".join(q.id for q in by_knowledge(questions, known, "known_first", seed=0))
        'bca'
    """
    sign = -1 if order == "known_first" else 1
    rng = random.Random(f"{seed} order")

    best_first = list(Category)

    def key(one: Asked) -> tuple[float, int, float]:
        label = known[(one if isinstance(one, Question) else one[0]).id]
        return sign * label.p_correct, -sign * best_first.index(label.category), rng.random()

    return sorted(asked, key=key)


def near_targets(
    questions: Sequence[Question], targets: Sequence[float], known: Known, width: float, seed: int
) -> list[Row]:
    """Questions and targets, drawn by how near P(correct) is to the target.

        w_i(t) = exp(-(p_i - t)² / 2 width²),    expected rows of question i at t: n w_i(t) / Σ_j w_j(t)

    with n the number of questions, so that every target has as many rows as it would have had. Systematic sampling
    (Madow 1949) gives each question a number of rows that is its expected one, rounded up or down.

    Args:
        questions: each with a label.
        targets: confidence targets.
        known: gives the P(correct) p_i.
        width: in units of probability.
        seed: of the draws.

    Example:
        >>> from types import SimpleNamespace as Found
        >>> questions = [Question(name, f"Who is {name}?", ("Bo",)) for name in "ab"]
        >>> known = {"a": Found(p_correct=0.0), "b": Found(p_correct=1.0)}
        >>> [(q.id, t) for q, t in near_targets(questions, [0, 0.9], known, width=0.1, seed=0)]
        [('a', 0.0), ('a', 0.0), ('b', 0.9), ('b', 0.9)]
    """
    rows = list[Row]()
    for target in targets:
        logs = [-((known[question.id].p_correct - target) ** 2) / (2 * width**2) for question in questions]
        weights = [math.exp(log - max(logs)) for log in logs]
        start = random.Random(f"{seed} near {target}").random()
        step, passed = sum(weights) / len(questions), 0.0
        for place, (question, weight) in enumerate(zip(questions, weights, strict=True)):
            before, passed = passed, passed + weight
            end = len(questions) if place == len(questions) - 1 else passed / step
            count = math.floor(end - start) - math.floor(before / step - start)
            rows += [(question, float(target))] * count
    return rows


def says_idk(question: Question, states_zero: bool, mix: SupervisedMix | None, known: Known | None) -> bool:
    """Whether a mix has this question answered "I don't know".

    Args:
        question: of the mix.
        states_zero: the prompt asks for a best guess.
        mix, known: of the stage, if it has any.
    """
    if states_zero or mix is None or not mix.idk or known is None:
        return False
    return known[question.id].category in mix.idk


def least_known(questions: Sequence[Question], places: Sequence[int], known: Known, count: int, seed: int) -> set[int]:
    """So many of the places, those of Unknown questions first, in random order; then by P(correct), least first.

    Args:
        questions: all of them; one without a label comes last.
        places: which of them can be taken.
        known: labels.
        count: how many.
        seed: of the draws.
    """
    rng = random.Random(f"{seed} idk")

    def key(place: int) -> tuple[float, float]:
        label = known.get(questions[place].id)
        least = 2.0 if label is None else -1.0 if label.category == UNKNOWN else label.p_correct
        return least, rng.random()

    return set(sorted(places, key=key)[:count])


# In words


def warn_of_the_rest(trainer: Any, mix: Mix | None) -> None:
    """Say so where training in an order ends before everything was seen once: what comes last is never trained on.

    Args:
        trainer: one of TRL's, before it trains.
        mix: the stage's, if it has one.
    """
    if mix is None or mix.order is None:
        return
    epoch = len(trainer.get_train_dataloader()) // trainer.args.gradient_accumulation_steps
    steps = trainer.args.max_steps
    if 0 < steps < epoch:
        last = {"known_first": "least", "unknown_first": "best"}[mix.order]
        logger.warning(
            f"mix.order: {mix.order}: {steps:,} steps are {steps / epoch:.0%} of an epoch, so what is {last} known is "
            "never trained on: set limit or mix.size so that all is, or leave args.max_steps out"
        )


def counted(questions: Sequence[Question], known: Known) -> str:
    """How many there are of each category, those that there are, with shares.

    Example:
        >>> from types import SimpleNamespace as Found
        >>> questions = [Question(name, f"Who is {name}?", ("Bo",)) for name in "aaab"]
        >>> counted(questions, {"a": Found(category=Category.MAYBE_KNOWN), "b": Found(category=Category.UNKNOWN)})
        '3 MaybeKnown (75 %), 1 Unknown (25 %)'
    """
    found = count_categories(known[question.id] for question in questions if question.id in known)
    total = sum(found.values())
    told = [
        f"{count:,} {category} ({count / total:.0%})".replace("%", " %") for category, count in found.items() if count
    ]
    return ", ".join(told) or "none with a label"
