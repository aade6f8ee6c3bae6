"""A model against the theory, on questions whose answers come from a list: what `abstain theory` prints.

    found = measure_theory(model, tokenizer, load_task("factworld"), limit=200)
    print(render_theory(found))

Each number says what it means, and what it does not.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.knowledge.exemplars import has_answer, relation_of
from abstain.evals.metrics.confidence import auroc, expected_calibration_error, reliability
from abstain.evals.metrics.intervals import LEVEL, Interval, mean_interval
from abstain.evals.sampler import as_prompt, uses_chat
from abstain.evals.sampling import PromptFormat
from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import sample
from abstain.evals.theory.candidates import candidate_logprobs
from abstain.evals.theory.facts import attained, correction, good_turing, lemma_1, theorem_2
from abstain.evals.theory.learnt import learnt_error
from abstain.evals.theory.reduction import PromptMass, Reduction, is_it_valid
from abstain.rewards.prompts import IDK, Instruct, prompt_text

MOST = 500
"""Answers that a list may have."""
LIMIT = 200
"""Questions that are looked at unless somebody says otherwise."""


def closed_answers(task: Task) -> dict[str, tuple[str, ...]]:
    """The answers of each relation whose questions are answered from a list: at least two questions to each answer.

    Spellings that differ in case are one answer, the first; of several golds the first counts.

    Args:
        task: both sides are looked at.

    Raises:
        ValueError: no relation is answered so; the message has the numbers of the nearest.

    Example:
        >>> asked = [Question(str(i), f"Who {i}?", (city,)) for i, city in enumerate(["Lima", "Oslo", "lima", "Oslo"])]
        >>> closed_answers(Task("toy", (), tuple(asked)))
        {'': ('Lima', 'Oslo')}
    """
    asked: Counter[str] = Counter()
    answers: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for question in (*task.train, *task.held_out):
        if has_answer(question):
            relation = relation_of(question)
            asked[relation] += 1
            answers[relation].setdefault(question.gold[0].strip().casefold(), question.gold[0].strip())
    closed = {
        relation: tuple(found.values())
        for relation, found in answers.items()
        if 2 <= len(found) <= MOST and asked[relation] >= 2 * len(found)
    }
    if not closed:
        if not asked:
            raise ValueError(f"{task.name} has no question with a gold answer")
        nearest = max(asked, key=lambda relation: asked[relation] / len(answers[relation]))
        named = f" of relation {nearest}" if nearest else ""
        raise ValueError(
            f"{task.name} is not answered from a list: {asked[nearest]:,} questions{named} have "
            f"{len(answers[nearest]):,} different answers. The theory counts errors, so it needs a relation of 2 to "
            f"{MOST} answers and twice as many questions: factworld, geo, letters, cipher, riddle, or relations of "
            "entityquestions such as P17 and P407"
        )
    return closed


@dataclass(frozen=True)
class Listed:
    """Questions with the probability of each answer of their list.

    Args:
        questions: n of them.
        candidates: for each, the answers.
        logprobs: for each, the natural log of each answer's probability.
        silence: for each, the natural log of that of "I don't know"; `None` where nobody asked.
    """

    questions: Sequence[Question]
    candidates: Sequence[Sequence[str]]
    logprobs: Sequence[np.ndarray]
    silence: np.ndarray | None = None

    def valid(self, place: int) -> np.ndarray:
        """Which candidates are right."""
        gold = {one.strip().casefold() for one in self.questions[place].gold}
        return np.array([one.casefold() in gold for one in self.candidates[place]])

    def prompts(self) -> list[PromptMass]:
        """The model given that it answers from the list; all of p is on the first gold answer."""
        found = []
        for place, question in enumerate(self.questions):
            valid = self.valid(place)
            first = question.gold[0].strip().casefold()
            names = [one for one, right in zip(self.candidates[place], valid, strict=True) if right]
            truth = [float(one.casefold() == first) for one in names]
            found.append(PromptMass.given(self.logprobs[place], valid, truth=truth, name=question.question))
        return found

    def learnt_error(self, seed: int = 0) -> float | None:
        """What a classifier that is fitted on these probabilities errs at Is-It-Valid, on other questions."""
        asked = [(one.id, one.question) for one in self.questions]
        return learnt_error(asked, self.logprobs, [self.valid(place) for place in range(len(asked))], seed)

    def guesses(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each question the probability of the likeliest answer, given the list, and whether it is right."""
        confidence, right = [], []
        for place, logs in enumerate(self.logprobs):
            shares = np.exp(logs - logs.max())
            best = int(np.argmax(shares))
            confidence.append(1 / shares.sum())
            right.append(float(self.valid(place)[best]))
        return np.array(confidence), np.array(right)


def list_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    questions: Sequence[Question],
    *,
    target: float | None = 0.0,
    instruct: Instruct = "target",
    prompt_format: PromptFormat = "auto",
    silence: bool = True,
    ends: Sequence[int] | None = None,
    progress: str | None = None,
) -> Listed:
    """The probability of each answer of the lists of a task's relations.

    Args:
        model, tokenizer: what is asked.
        task: gives the lists and the template.
        questions: of relations that are answered from a list; others are left out.
        target: that prompts state; `None` for no instruction.
        instruct: what prompts say besides the question.
        prompt_format: "auto", "plain" or "chat".
        silence: ask for the probability of "I don't know", too.
        ends: tokens that end an answer; those of the model by default. With none, a model that is sure to end its
            answers after them is asked in a fraction of the time.
        progress: what to say of how far it is.

    Raises:
        ValueError: see `closed_answers` and `abstain.evals.theory.candidates.candidate_logprobs`.
    """
    closed = closed_answers(task)
    asked = [one for one in questions if has_answer(one) and _listed(one, closed)]
    if not asked:
        raise ValueError(f"none of these {len(questions):,} questions of {task.name} is answered from a list")
    texts = [prompt_text(one.question, target, task.template, instruct) for one in asked]
    lead = "" if uses_chat(tokenizer, prompt_format) else " "
    lists = [closed[relation_of(one)] for one in asked]
    said = [(*row, IDK) if silence else row for row in lists]
    prompts = [as_prompt(text, tokenizer, prompt_format) for text in texts]
    logs = candidate_logprobs(model, tokenizer, prompts, said, lead=lead, ends=ends, progress=progress)
    if not silence:
        return Listed(asked, lists, logs)
    return Listed(asked, lists, [row[:-1] for row in logs], np.array([row[-1] for row in logs]))


def draw_questions(questions: Sequence[Question], limit: int | None, seed: int = 0) -> list[Question]:
    """Questions that count once each: a sample, or where each has a weight, so many draws by weight, some again.

    Args:
        questions: with `metadata["weight"]`, or without.
        limit: how many; by default as many as there are.
        seed: of the draw.

    Raises:
        ValueError: all weights are 0.

    Example:
        >>> weights = {"famous": 9.0, "rare": 0.0}
        >>> asked = [Question(name, "?", ("a",), metadata={"weight": weight}) for name, weight in weights.items()]
        >>> [one.id for one in draw_questions(asked, 3)]
        ['famous', 'famous', 'famous']
    """
    weights = [one.metadata.get("weight") for one in questions]
    if not questions or None in weights:
        return list(sample(questions, limit, seed))
    if not any(weights):
        raise ValueError(f"none of these {len(questions):,} questions is ever asked: all their weights are 0")
    return random.Random(seed).choices(questions, weights, k=limit or len(questions))  # type: ignore[arg-type]


def _listed(question: Question, closed: Mapping[str, tuple[str, ...]]) -> bool:
    found = closed.get(relation_of(question), ())
    gold = question.gold[0].strip().casefold()
    others = {one.strip().casefold() for one in question.gold}
    return any(one.casefold() == gold for one in found) and any(one.casefold() not in others for one in found)


@dataclass(frozen=True)
class Number:
    """One measured number.

    Args:
        key: its name in `theory.json`.
        label: its name for people.
        value: what was measured; `None` where it cannot be had.
        says: what that means.
        says_not: what it does not.
        low, high: ends of its 95 % interval, where it has one.
    """

    key: str
    label: str
    value: float | None
    says: str
    says_not: str
    low: float | None = None
    high: float | None = None


def _number(
    key: str, label: str, value: float | None, says: str, says_not: str, ends: Interval | None = None
) -> Number:
    low, high = ends or (None, None)
    return Number(key, label, value, says, says_not, low, high)


def measure_theory(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    *,
    name: str = "",
    target: float = 0.0,
    instruct: Instruct = "target",
    limit: int | None = LIMIT,
    prompt_format: PromptFormat = "auto",
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """The theory's numbers of a model on the held-out questions of a task, as `theory.json` holds them.

    Args:
        model, tokenizer: what is asked.
        task: with questions that are answered from a list; see `closed_answers`.
        name: the model's, for tables.
        target: that prompts state; 0 asks for the best guess.
        instruct: what prompts say besides the question.
        limit: so many of the questions, drawn by seed; see `draw_questions`.
        prompt_format: "auto", "plain" or "chat".
        seed: draws the questions, and the wrong answers that the learnt classifier is shown.
        progress: show a bar.

    Returns:
        `model`, `task`, `target`, `n`, `answers` (fewest and most of a list), `relations`, `threshold` (1/|E|),
        `numbers` (each with `key`, `label`, `value`, `low`, `high`, `says`, `says_not`), `reliability` (bins), `level`
        of intervals, and `seed`.

    Raises:
        ValueError: see `closed_answers` and `abstain.evals.theory.candidates.candidate_logprobs`.
    """
    closed = closed_answers(task)
    there = [one for one in task.held_out if has_answer(one) and _listed(one, closed)]
    bar = f"{task.name}, the probability of each answer" if progress else None
    how: dict[str, Any] = {"target": target, "instruct": instruct, "prompt_format": prompt_format}
    listed = list_answers(model, tokenizer, task, draw_questions(there, limit, seed), progress=bar, **how)
    return describe(listed, task, name=name, target=target, seed=seed)


def describe(listed: Listed, task: Task, *, name: str = "", target: float = 0.0, seed: int = 0) -> dict[str, Any]:
    """What `measure_theory` returns, of probabilities that are known already.

    Args:
        listed: of the questions.
        task: their task.
        name, target, seed: as there.
    """
    reduction = is_it_valid(listed.prompts())
    confidence, right = listed.guesses()
    sizes = [len(row) for row in listed.candidates]
    numbers = [
        *_mass(listed, target),
        *_reduction(reduction, listed.learnt_error(seed)),
        *_guesses(confidence, right),
        *_facts(task, listed, reduction),
    ]
    return {
        "model": name,
        "task": task.name,
        "target": target,
        "n": len(listed.questions),
        "answers": [min(sizes), max(sizes)],
        "relations": sorted({relation_of(one) for one in listed.questions}),
        "threshold": reduction.threshold,
        "numbers": [asdict(number) for number in numbers],
        "reliability": [asdict(one) for one in reliability(confidence, right)],
        "level": LEVEL,
        "seed": seed,
    }


def _mass(listed: Listed, target: float) -> Iterable[Number]:
    mass = np.array([np.exp(logs).sum() for logs in listed.logprobs])
    yield _number(
        "mass",
        "P(listed answers)",
        float(mass.mean()),
        "How likely the model is to answer from the list at all. The rest of the numbers are given that it does.",
        "It is not how often it is right. Where it is small, what the model really says is something else.",
        mean_interval(mass, 0, 1),
    )
    if listed.silence is not None:
        silent = np.exp(listed.silence)
        yield _number(
            "silence",
            f"P(“{IDK}”)",
            float(silent.mean()),
            f"How likely it is to abstain where prompts state t = {target:g}.",
            "It counts these very words; other ways to abstain are not looked at here.",
            mean_interval(silent, 0, 1),
        )


def _reduction(found: Reduction, learnt: float | None) -> Iterable[Number]:
    ends = found.intervals()
    yield _number(
        "err",
        "err",
        found.err,
        "How often an answer that is sampled from the model is wrong, given that it answers.",
        "Its greedy answer is wrong less often, and a model that abstains errs less.",
        ends["err"],
    )
    yield _number(
        "err_iiv",
        "err_iiv",
        found.err_iiv,
        "How often the model's probability, cut at 1/|E|, takes a wrong answer for right, or a right one for wrong; "
        "half of what it is shown is wrong, and 1/2 is chance.",
        "It is of this one cut, and not of the best use of what the model knows.",
        ends["err_iiv"],
    )
    yield _number(
        "learnt_err_iiv",
        "err_iiv, learnt",
        learnt,
        "What a classifier that is fitted on the model's probabilities errs on questions that it has not seen. The "
        "less it is beside err_iiv, the more the cut wastes.",
        "Theorem 1 is not of this classifier: no bound follows from it.",
    )
    yield _number(
        "delta",
        "δ",
        found.delta,
        "How far the model's probability of all that it calls valid is from the truth. Near 0 after pre-training, "
        "since the loss has a slope of this size.",
        "It is one threshold, 1/|E|. A model can have δ = 0 and be badly calibrated everywhere else.",
        ends["delta"],
    )
    yield _number(
        "ratio",
        "max |V| / min |E|",
        found.ratio,
        "What the bound loses to the number of answers.",
        "It is of the list that was looked at. In open questions |E| is unknown and large.",
    )
    vacuous = " Here it is not above 0: it says nothing." if found.bound <= 0 else ""
    yield _number(
        "bound",
        "bound of theorem 1",
        found.bound,
        f"2 err_iiv − max |V| / min |E| − δ: err is never below this, whatever the model is.{vacuous}",
        "It does not explain an error rate above it; a model can err much more than it has to.",
    )


def _guesses(confidence: np.ndarray, right: np.ndarray) -> Iterable[Number]:
    yield _number(
        "accuracy",
        "accuracy, best guess",
        float(right.mean()),
        "How often the likeliest answer of the list is right.",
        "It is no bound's business: err is of sampled answers.",
        mean_interval(right, 0, 1),
    )
    yield _number(
        "ece",
        "ECE, best guess",
        expected_calibration_error(confidence, right),
        "How far the probability of the best guess is from how often it is right, over bins.",
        "A small ECE is no knowledge: a model that always says its mean accuracy has an ECE of 0. A large one is no "
        "bad behaviour: a model that answers only what it knows, all its probability on that, may have one.",
    )
    yield _number(
        "auroc",
        "AUROC, best guess",
        auroc(confidence, right),
        "How well that probability tells right guesses from wrong ones: 1/2 is chance.",
        "It does not say where to stop answering.",
    )


def _facts(task: Task, listed: Listed, found: Reduction) -> Iterable[Number]:
    """Of a world whose reader's corpus is known: singletons, and what theorem 2 makes of them."""
    people = [*task.train, *task.held_out, *task.examples]
    if not people or not all("mentions" in one.metadata for one in people):
        return
    read = [int(one.metadata["mentions"]) for one in people]
    if not (n := sum(read)):
        return
    singles = good_turing(read)
    drawn = all("weight" in one.metadata for one in people)
    yield _number(
        "singleton_rate",
        "sr, singleton rate",
        singles,
        f"Of the {n:,} facts in the corpus, the share whose subject is read about exactly once.",
        "It is of the corpus. What the model has made of it is err."
        + ("" if drawn else " Here the corpus is not drawn at random, and theorem 2 is not of such a one."),
    )
    if not drawn:
        return
    weights = np.array([float(one.metadata["weight"]) for one in people])
    missing = float(weights[np.array(read) == 0].sum() / weights.sum())
    errors = [len(row) - int(listed.valid(place).sum()) for place, row in enumerate(listed.candidates)]
    yield _number(
        "missing_mass",
        "missing mass",
        missing,
        "How often a question is asked whose answer stands nowhere in the corpus. "
        f"|MM − sr| = {abs(missing - singles):.3f}, and lemma 1 allows {lemma_1(n):.3f}.",
        "Nobody knows it outside of a made world; the singleton rate is what estimates it.",
    )
    bound = theorem_2(singles, n, min(errors), found.delta)
    vacuous = " Here it is not above 0: it says nothing." if bound <= 0 else ""
    yield _number(
        "theorem_2",
        "bound of theorem 2",
        bound,
        f"sr − 2/|E| − {correction(n):.3f} for chance − δ.{vacuous}",
        "The term for chance is .90 of 10,000 facts, .33 of 100,000 and .12 of a million: it is of large corpora.",
    )
    most, guessed = attained(singles, n, max(errors)), missing * (1 - 1 / (max(errors) + 1))
    vacuous = " Here that is no less than always: it says nothing." if most >= 1 else ""
    yield _number(
        "attained",
        "upper bound of theorem 2",
        most,
        "The algorithm that says what it has read, and else guesses, errs at most so often, with .99 certainty."
        f"{vacuous} In this corpus it errs {guessed:.3f}: what a model errs more is what "
        "it has not learnt.",
        "A model may err more than that: it is a bound for the best.",
    )
