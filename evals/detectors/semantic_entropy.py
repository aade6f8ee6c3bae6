"""Semantic entropy: how many different things the samples say (Farquhar et al. 2024, Nature; Kuhn et al. 2023).

Samples that mean the same form a cluster; the entropy of the clusters is high where a model says something else each
time. What means the same is for an NLI model to say, as in the papers, or for the task's grader, both ways.

It is a score of the prompt, and so the same for every response to it.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import numpy as np

from abstain.evals.detectors.asked import Asked, notes_of
from abstain.evals.detectors.catalogue import Convention
from abstain.evals.detectors.nli import CONTRADICTION, ENTAILMENT, NEUTRAL, Entailment
from abstain.evals.detectors.pair import Pair
from abstain.evals.evaluation import grade_by
from abstain.evals.policies.agreement import words_of
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.errors import nearest
from abstain.rewards.judge.grader import JudgeGrader
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.prompts import question_of
from abstain.rewards.verdict import Verdict

Form = Literal["discrete", "likelihood", "kuhn"]
Case = tuple[Pair, str, str]
"""A response, and two samples of its prompt."""
FORMS = ("discrete", "likelihood", "kuhn")


class Equivalence(Protocol):
    """Says of pairs of samples whether they mean the same."""

    @property
    def calls(self) -> int:
        """How often a model was asked so far."""

    def __call__(self, cases: Sequence[Case]) -> list[bool]:
        """Whether the two samples of each case mean the same."""


class NliEquivalence:
    """The same if an NLI model says so, asked both ways.

    By default that is: neither way a contradiction, and not both ways neutral. Strictly: both ways an entailment.

    Args:
        nli: see `abstain.evals.detectors.nli.NliModel`.
        strict: want entailment both ways.
        with_question: put the question before each sample, as the papers do for DeBERTa.
    """

    def __init__(self, nli: Entailment, *, strict: bool = False, with_question: bool = True) -> None:
        self.nli = nli
        self.strict = strict
        self.with_question = with_question

    @property
    def calls(self) -> int:
        """Pairs of texts that the NLI model has read."""
        return self.nli.calls

    def __call__(self, cases: Sequence[Case]) -> list[bool]:
        """See `Equivalence`."""
        asked = [(self._text(pair, one), self._text(pair, other)) for pair, one, other in cases]
        labels = self.nli([*asked, *((other, one) for one, other in asked)]).argmax(-1).reshape(2, -1)
        if self.strict:
            return (labels == ENTAILMENT).all(0).tolist()
        return (~(labels == CONTRADICTION).any(0) & ~(labels == NEUTRAL).all(0)).tolist()

    def _text(self, pair: Pair, sample: str) -> str:
        return f"{question_of(pair.prompt)} {sample}" if self.with_question else sample


class GraderEquivalence:
    """The same if the task's grader finds each right with the other as gold, as in `abstain.evals.policies.agreement`.

    Samples whose answers are the same words are not asked about. All samples that give no answer, such as
    "I don't know", mean the same.

    Args:
        task: its grader and answer format.
        judge: asked instead of the task's grader.
    """

    def __init__(self, task: Task, judge: JudgeGrader | None = None) -> None:
        self.task = task
        self.calls = 0
        self._judged = judge is not None
        self._grade = grade_by(task, judge)

    def __call__(self, cases: Sequence[Case]) -> list[bool]:
        """See `Equivalence`."""
        texts = [text for _, one, other in cases for text in (one, other)]
        read = {text: read_response(text, False, self.task.answer_format) for text in texts}
        words = {text: words_of(said) for text, said in read.items()}  # "" where there is no answer
        ways = [(i, *both) for i, (_, one, other) in enumerate(cases) for both in ((one, other), (other, one))]
        asked = [way for way in ways if words[way[1]] and words[way[2]] and words[way[1]] != words[way[2]]]
        questions = [Question("", question_of(cases[place][0].prompt), ()) for place, _, _ in asked]
        golds = [[read[gold].answer] for _, _, gold in asked]
        verdicts = self._grade(questions, golds, [read[said] for _, said, _ in asked])
        self.calls += len(asked) * self._judged
        right = [0] * len(cases)
        for (place, _, _), verdict in zip(asked, verdicts, strict=True):
            right[place] += verdict is Verdict.CORRECT
        return [right[place] == 2 or words[one] == words[other] for place, (_, one, other) in enumerate(cases)]


def cluster_samples(
    pairs: Sequence[Pair], same: Equivalence, *, convention: Convention = "official"
) -> list[np.ndarray]:
    """The cluster of each sample of each pair, numbered from 0 as they begin.

    Greedy: the first sample that is in no cluster begins one, and is compared with those after it; those that mean
    the same are in it. Samples of the same words mean the same. Where "means the same" is transitive, that is all;
    where it is not, the papers' algorithm leaves a sample in the first cluster that takes it, and their code
    (jlko/semantic_uncertainty) in the last, since it compares with all later samples.

    Args:
        pairs: with samples.
        same: what means the same.
        convention: "paper" or "official", as above.

    Example:
        >>> class Letters:
        ...     calls = 0
        ...     def __call__(self, cases):
        ...         return [one[0] == other[0] for _, one, other in cases]
        >>> cluster_samples([Pair("Who?", "Al", samples=("Al", "Bo", "Cy", "Bob"))], Letters())[0].tolist()
        [0, 1, 2, 1]
    """
    if convention not in (allowed := get_args(Convention)):
        raise ValueError(f"unknown convention {convention!r}. {nearest(convention, allowed)}")
    found = [np.full(len(pair.samples), -1) for pair in pairs]
    number = 0
    while True:
        cases, where = [], []
        for row, (pair, ids) in enumerate(zip(pairs, found, strict=True)):
            free = np.flatnonzero(ids < 0)
            if not len(free):
                continue
            leader = int(free[0])
            ids[leader] = number
            for place in range(leader + 1, len(ids)):
                if convention == "official" or ids[place] < 0:
                    if pair.samples[place] == pair.samples[leader]:
                        ids[place] = number
                    else:
                        cases.append((pair, pair.samples[leader], pair.samples[place]))
                        where.append((row, place))
        if not cases and all((ids >= 0).all() for ids in found):
            return found
        for (row, place), equal in zip(where, same(cases) if cases else [], strict=True):
            if equal:
                found[row][place] = number
        number += 1


def entropy_of_clusters(clusters: Sequence[int], log_likelihoods: Sequence[float] | None, form: Form) -> float:
    """The entropy of what samples mean, in nats.

    "discrete": −Σ_c p(c) ln p(c), p(c) the share of the samples in cluster c. "likelihood": the same with
    p(c) = Σ_{s in c} exp(l_s) / Σ_s exp(l_s), l_s the mean log-probability of a token of sample s. "kuhn": what Kuhn
    et al. estimate, −(1/C) Σ_c ln Σ_{s in c} exp(l_s), which is not normalised, and may be negative. (lm-polygraph
    averages that over samples instead of clusters.)

    Args:
        clusters: of each sample.
        log_likelihoods: l_s; not read where the form is "discrete".
        form: which of them.

    Raises:
        ValueError: no samples, no such form, or no likelihoods for one that needs them.

    Example:
        >>> [round(entropy_of_clusters(ids, None, "discrete"), 4) for ids in ([0, 1, 2, 1], [0, 0])]
        [1.0397, 0.0]
        >>> round(entropy_of_clusters([0, 1, 1], np.log([0.2, 0.1, 0.1]), "likelihood"), 4)
        0.6931
    """
    if form not in FORMS:
        raise ValueError(f"unknown form {form!r}. {nearest(form, FORMS)}")
    ids = np.asarray(clusters)
    if not len(ids):
        raise ValueError("no samples, no entropy")
    if form == "discrete":
        weights = np.zeros(len(ids))
    elif log_likelihoods is None or len(log_likelihoods) != len(ids):
        raise ValueError(f"{form!r} needs a log-likelihood of each of {len(ids)} samples; 'discrete' needs none")
    else:
        weights = np.asarray(log_likelihoods, dtype=float)
    masses = np.array([np.logaddexp.reduce(weights[ids == one]) for one in np.unique(ids)])
    if form == "kuhn":
        return float(-masses.mean())
    logs = masses - np.logaddexp.reduce(masses)
    return float(max(0.0, -(np.exp(logs) * logs).sum()))


def semantic_entropies(
    pairs: Sequence[Pair],
    same: Equivalence,
    *,
    form: Form = "discrete",
    log_likelihoods: Sequence[Sequence[float]] | None = None,
    convention: Convention = "official",
) -> Asked:
    """Semantic entropy of each prompt. Costs at most two comparisons of each two samples, once for each prompt.

    Args:
        pairs: with samples, two or more.
        same: what means the same: `NliEquivalence` or `GraderEquivalence`.
        form: see `entropy_of_clusters`.
        log_likelihoods: of each sample of each pair, its mean log-probability of a token, as `draw_samples` gives.
        convention: see `cluster_samples`.

    Raises:
        ValueError: a form that needs likelihoods, without any.
    """
    if form != "discrete" and log_likelihoods is None:
        raise ValueError(f"semantic entropy by {form!r} needs the samples' log-likelihoods; 'discrete' needs none")
    before = same.calls
    distinct = list({(pair.prompt, pair.samples): pair for pair in pairs if len(pair.samples) > 1}.values())
    clusters = cluster_samples(distinct, same, convention=convention)
    by_samples = {(pair.prompt, pair.samples): ids for pair, ids in zip(distinct, clusters, strict=True)}
    values, reasons = np.full(len(pairs), np.nan), []
    for place, pair in enumerate(pairs):
        ids = by_samples.get((pair.prompt, pair.samples))
        logs = None if log_likelihoods is None else log_likelihoods[place]
        if ids is None:
            reasons.append("fewer than 2 samples")
        elif form != "discrete" and (logs is None or not np.isfinite(logs).all()):
            reasons.append("a sample's likelihood is not known")
        else:
            reasons.append("")
            values[place] = entropy_of_clusters(ids.tolist(), logs, form)
    return Asked(values, same.calls - before, notes_of("semantic_entropy", reasons))
