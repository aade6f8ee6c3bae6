"""From a model and a task, or from labelled responses, to fitted detectors and what they are worth.

The model answers training questions, on which everything is fitted, and held-out ones, on which it is measured: its
best guesses, as at t = 0. Labelled responses of a file are parted by question.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from abstain.evals.detectors.comparison import DetectorComparison, compare_detectors, trained_policy
from abstain.evals.detectors.fitted import PROBABILITY
from abstain.evals.detectors.fitting import Calibration, FittedOn, fit_detectors
from abstain.evals.detectors.keeping import Kept
from abstain.evals.detectors.pair import Pair, errors_of, question_ids
from abstain.evals.detectors.probes import check_verdicts
from abstain.evals.detectors.scoring import CHUNK, Means, Scoring, own_doubt, score_pairs
from abstain.evals.evaluation import draw_in_order, grade_by, read_and_grade
from abstain.evals.metrics.oracle import BaseGuesses, ForcedAnswers, baselines, halves
from abstain.evals.policies.agreement import SAMPLES, TEMPERATURE, as_forced, ask_samples
from abstain.evals.policies.comparison import agreement_policies, sample_verdicts
from abstain.evals.policies.conformal import DELTA
from abstain.evals.policies.rows import Policy
from abstain.evals.progress import followed
from abstain.evals.records import Record
from abstain.evals.sampling import AnySampler, Completion
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.judge.grader import JudgeGrader
from abstain.rewards.prompts import Instruct
from abstain.rewards.verdict import Verdict

TRAIN_LIMIT = 2_000
FIT_SHARE = 0.5


@dataclass(frozen=True)
class Source:
    """Whose responses they are, for the file of detectors.

    Args:
        model, fingerprint: that is judged.
        scorer, scorer_fingerprint: that computes scores, where it is another one.
    """

    model: str
    fingerprint: str
    scorer: str = ""
    scorer_fingerprint: str = ""


@dataclass(frozen=True)
class Options:
    """What is measured, and against what.

    Args:
        targets: confidence targets t in [0, 1).
        limit: held-out questions that are asked, drawn with the seed; all by default.
        train_limit: training questions that detectors are fitted on at most.
        calibration: how a score becomes P(correct).
        agree: draw two samples of each held-out question, for the policy that answers where they agree.
        delta: how often a conformal guarantee may fail.
        seed: of all that is drawn.
        progress: show how far it is, on stderr.
    """

    targets: Sequence[float] = (0.0, 0.5, 0.75, 0.9)
    limit: int | None = None
    train_limit: int | None = TRAIN_LIMIT
    calibration: Calibration = "isotonic"
    agree: bool = True
    delta: float = DELTA
    seed: int = 0
    progress: bool = False


@dataclass(frozen=True)
class Guesses:
    """A model's best guesses, as responses to judge.

    Args:
        questions: which were asked.
        pairs: prompts and responses; an abstention is neither right nor wrong.
        verdicts: on them.
        completions: as they came.
    """

    questions: tuple[Question, ...]
    pairs: tuple[Pair, ...]
    verdicts: tuple[Verdict, ...]
    completions: tuple[Completion, ...]

    @property
    def forced(self) -> ForcedAnswers:
        """With the model's own probability."""
        ids = [question.id for question in self.questions]
        return ForcedAnswers.of(ids, self.verdicts, [one.probability for one in self.completions])

    def pick(self, mask: np.ndarray) -> "Guesses":
        """Some of them."""
        rows = np.flatnonzero(mask)
        parts = (self.questions, self.pairs, self.verdicts, self.completions)
        return Guesses(*(tuple(part[row] for row in rows) for part in parts))  # type: ignore[arg-type]


def best_guesses(
    sampler: AnySampler,
    task: Task,
    questions: Sequence[Question],
    *,
    instruct: Instruct = "target",
    judge: JudgeGrader | None = None,
    kept: Kept | None = None,
    progress: str | None = None,
) -> Guesses:
    """Ask each question as at t = 0, greedily, and grade what is said.

    Args:
        sampler: the model.
        task: how questions are asked and graded.
        questions: of the task.
        instruct: "nothing" leaves the instruction out, and all else tells it to guess.
        judge: grades instead of the task's grader.
        kept: where answers are kept as they come.
        progress: what to say of how far it is.
    """
    kept, said = kept or Kept(), list[Completion]()
    target = None if instruct == "nothing" else 0.0
    prompts = [question.prompt(target, task.template) for question in questions]
    with followed(progress, len(prompts)) as advance:
        for start in range(0, len(prompts), CHUNK):
            part = prompts[start : start + CHUNK]
            said += kept.answers(part, {"room": task.max_new_tokens}, partial(_greedy, sampler, part, task))
            advance(len(part))
    _, verdicts = read_and_grade(task, questions, said, grade_by(task, judge))
    error = {Verdict.CORRECT: False, Verdict.INCORRECT: True}
    pairs = tuple(
        Pair(prompt, one.text, error=error.get(verdict), id=question.id)
        for prompt, one, verdict, question in zip(prompts, said, verdicts, questions, strict=True)
    )
    return Guesses(tuple(questions), pairs, tuple(verdicts), tuple(said))


def _greedy(sampler: AnySampler, prompts: Sequence[str], task: Task) -> list[Completion]:
    return [row[0] for row in sampler.sample(prompts, max_new_tokens=task.max_new_tokens)]


def labelled_responses(guesses: Guesses, seed: int = 0) -> list[Pair]:
    """To each question the gold answer, valid, and the gold answer to another one of its relation, an error.

    What an Is-It-Valid classifier learns from (Kalai et al. 2025, section 3): half of it valid, half uniform errors.
    Answers begin with a space where most of the model's do.

    Args:
        guesses: the model's, to training questions: whose prompts, and whose questions.
        seed: of the draws.

    Example:
        >>> asked = (Question("1", "Capital of Peru?", ("Lima",)), Question("2", "Capital of Cuba?", ("Havana",)))
        >>> said = tuple(Pair(one.question, "Rome", id=one.id) for one in asked)
        >>> [(pair.response, pair.error) for pair in labelled_responses(Guesses(asked, said, (), ()))]
        [('Lima', False), ('Havana', True), ('Havana', False), ('Lima', True)]
    """
    rng = np.random.default_rng(seed)
    spaced = sum(pair.response.startswith(" ") for pair in guesses.pairs) > len(guesses.pairs) / 2
    golds: dict[str, list[str]] = defaultdict(list)
    for question in guesses.questions:
        if question.gold:
            golds[str(question.metadata.get("relation", ""))].append(question.gold[0])
    found = []
    for question, pair in zip(guesses.questions, guesses.pairs, strict=True):
        others = golds[str(question.metadata.get("relation", ""))]
        wrong = [one for one in others if one not in question.gold] if len(others) <= CHUNK else []
        for _ in range(20 if len(others) > CHUNK else 0):  # a list of all of them for each would take too long
            if (drawn := others[rng.integers(len(others))]) not in question.gold:
                wrong = [drawn]
                break
        if not question.gold or not wrong:
            continue
        for text, error in ((question.gold[0], False), (wrong[rng.integers(len(wrong))], True)):
            found.append(replace(pair, response=f" {text}" if spaced else text, error=error))
    return found


def detect_on_task(
    sampler: AnySampler,
    task: Task,
    means: Means,
    source: Source,
    how: Scoring | None = None,
    options: Options | None = None,
    *,
    instruct: Instruct = "target",
    judge: JudgeGrader | None = None,
    trained: tuple[str, Sequence[Record]] | None = None,
    kept: Kept | None = None,
) -> tuple[FittedOn, DetectorComparison]:
    """Fit detectors on a model's answers to training questions, and measure them on held-out ones.

    Where a task has no training questions, half of the held-out ones take their place.

    Args:
        sampler: the model that is judged.
        task: questions, and how answers are graded.
        means: whom scores are asked of.
        source: whose answers they are.
        how: which scores.
        options: how much of it, and beside what.
        instruct: what prompts say.
        judge: grades instead of the task's grader.
        trained: name and records of a run, whose policy is compared, too.
        kept: where answers and scores are kept as they are made.

    Raises:
        ValueError: too few questions, or answers that are all right or all wrong; a run that was asked others.
    """
    how, options, kept = how or Scoring(), options or Options(), kept or Kept()
    held_out = draw_in_order(task.held_out, options.limit, options.seed)
    train = draw_in_order(task.train, options.train_limit, options.seed)
    asking: dict[str, Any] = {"instruct": instruct, "judge": judge, "kept": kept}
    bar = {name: f"{task.name}: {name}" if options.progress else None for name in ("answers", "scores")}
    asked = best_guesses(sampler, task, [*train, *held_out], progress=bar["answers"], **asking)
    is_train = np.arange(len(asked.pairs)) < len(train)
    notes = []
    if not train:
        is_train = halves(len(held_out), options.seed)[0]
        notes.append("there are no training questions: detectors are fitted on half of the held-out ones")
    ours, theirs = asked.pick(is_train), asked.pick(~is_train)
    check_verdicts("detectors are", 1 - errors_of(ours.pairs))  # before scores, which take long
    scored = score_pairs(asked.pairs, means, how, kept=kept, progress=bar["scores"])
    scored = scored.with_values(**{PROBABILITY: own_doubt(asked.completions)})
    fitted_on, measured = scored.pick(is_train), scored.pick(~is_train)
    labelled = None
    if how.probes and means.loaded is not None and (pairs := labelled_responses(ours, options.seed)):
        only = replace(how, scores=())
        labelled = score_pairs(pairs, means, only, kept=kept, progress=bar["scores"] and f"{task.name}: valid or not")
    fit = fit_detectors(
        fitted_on,
        model=source.model,
        fingerprint=source.fingerprint,
        scorer=(source.scorer, source.scorer_fingerprint),
        task=task.name,
        calibration=options.calibration,
        labelled=labelled,
        settings={**how.as_dict(), "prompt_format": means.prompt_format},
        seed=options.seed,
    )
    known = all("true_p" in question.metadata for question in theirs.questions)
    start = BaseGuesses(sampler.name, ours.forced, theirs.forced)
    true_p = [question.metadata["true_p"] for question in theirs.questions] if known else None
    oracle = baselines(start, options.targets, true_p, options.seed)
    others = _others(sampler, task, theirs, options, judge)
    if trained is not None:
        name, records = trained
        verdicts = {(record.id, record.target): record.verdict for record in records}
        others.append(trained_policy(verdicts, [question.id for question in theirs.questions], name))
    compared = compare_detectors(
        fit,
        measured,
        _shared(options.targets, others),
        train=fitted_on,
        start=None if start.held_out.unsure else start,
        verdicts=theirs.verdicts,
        others=others,
        oracle={t: one.oracle_score for t, one in oracle.items()},
        delta=options.delta,
        seed=options.seed,
        notes=notes,
    )
    return fit, compared


def _others(
    sampler: AnySampler, task: Task, asked: Guesses, options: Options, judge: JudgeGrader | None
) -> list[Policy]:
    """The policy of two samples that agree."""
    if not options.agree:
        return []
    how: dict[str, Any] = {"judge": judge, "seed": options.seed, "progress": options.progress}
    agreed = ask_samples(sampler, task, asked.questions, samples=SAMPLES, temperature=TEMPERATURE, **how)
    shares = BaseGuesses(sampler.name, as_forced((), (), SAMPLES), as_forced(asked.questions, agreed, SAMPLES))
    verdicts = sample_verdicts(agreed, [Verdict.ABSTAINED] * len(agreed))
    return agreement_policies(shares, options.targets, verdicts, {"samples": SAMPLES, "temperature": TEMPERATURE})


def _shared(targets: Sequence[float], others: Sequence[Policy]) -> list[float]:
    """The targets that all policies are known at.

    Raises:
        ValueError: there are none.
    """
    shared = [t for t in targets if all(t in policy.verdicts for policy in others)]
    if not shared:
        raise ValueError(
            f"the run was asked at none of the targets {', '.join(f'{t:g}' for t in targets)}: give --targets"
        )
    return shared


def detect_in_pairs(
    pairs: Sequence[Pair],
    means: Means,
    source: Source,
    how: Scoring | None = None,
    options: Options | None = None,
    *,
    name: str = "pairs",
    confidence: Mapping[int, float] | None = None,
    kept: Kept | None = None,
) -> tuple[FittedOn, DetectorComparison]:
    """Fit detectors on the responses to half of the questions of a file, and measure them on those to the others.

    Args:
        pairs: labelled responses; those to a question stay together.
        means: whom scores are asked of.
        source: who wrote them, and who judges.
        how, options, kept: as for `detect_on_task`; `agree` means nothing here.
        name: of the file.
        confidence: by place, the probability that the responses came with.

    Raises:
        ValueError: too few labelled responses.
    """
    how, options, kept = how or Scoring(), options or Options(), kept or Kept()
    names = list(dict.fromkeys(question_ids(pairs)))
    limit = options.limit
    if limit is not None and options.train_limit is not None and len(names) > limit + options.train_limit:
        names = [names[place] for place in sorted(_drawn(len(names), limit + options.train_limit, options.seed))]
    train_count = round(FIT_SHARE * len(names)) if limit is None else len(names) - min(limit, len(names))
    order = [names[place] for place in _drawn(len(names), len(names), options.seed)]
    sides = {one: place < train_count for place, one in enumerate(order)}
    places = [place for place, one in enumerate(question_ids(pairs)) if one in sides]
    chosen = [pairs[place] for place in places]
    is_train = np.array([sides[one] for one in question_ids(chosen)], dtype=bool)
    check_verdicts("detectors are", 1 - errors_of(chosen)[is_train])  # before scores, which take long
    scored = score_pairs(chosen, means, how, kept=kept, progress=f"{name}: scores" if options.progress else None)
    if confidence:
        scored = scored.with_values(**{PROBABILITY: np.array([1 - confidence.get(at, np.nan) for at in places])})
    train, test = scored.pick(is_train), scored.pick(~is_train)
    fit = fit_detectors(
        train,
        model=source.model,
        fingerprint=source.fingerprint,
        scorer=(source.scorer, source.scorer_fingerprint),
        task=name,
        calibration=options.calibration,
        settings={**how.as_dict(), "prompt_format": means.prompt_format},
        seed=options.seed,
    )
    return fit, compare_detectors(
        fit, test, list(options.targets), train=train, delta=options.delta, seed=options.seed
    )


def _drawn(count: int, size: int, seed: int) -> list[int]:
    return [int(place) for place in np.random.default_rng(seed).permutation(count)[:size]]
