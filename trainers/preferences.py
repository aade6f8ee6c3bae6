r"""What a model is to prefer, from the verdicts on its own samples: pairs for DPO, single labels for KTO.

Of a question, p is the share of right answers among the attempts that the model made at the start. At a target t

| | DPO prefers | KTO calls desirable | and undesirable |
|---|---|---|---|
| p > t | right over abstained over wrong | right | wrong, abstained |
| p <= t | abstained over wrong | right, abstained | wrong |

and below the target no pair prefers an answer, not even a right one: the best policy abstains there.

How often each is taught decides which target is learned. A policy knows a question, not how its next answer will be
graded, and cannot tell some questions apart. To those it gives one margin m between answering and abstaining (beta
times the log-ratio to the start). If a share W+ of their pairs prefers answering and W- abstaining, DPO's loss
-W+ log s(m) - W- log s(-m), with the logistic function s, is least at m = log(W+ / W-): it comes to answer where
W+ > W-. With every pair counted once that is p > 1/2, whatever t is, as when GRPO divides by a group's standard
deviation. So an attempt that is drawn becomes a pair only with a probability, its weight:

| | right | wrong | W+ - W- of the question |
|---|---|---|---|
| p > t | 1 - t | t | p (1 - t) - (1 - p) t = p - t |
| p <= t | 0 | (t - p) / (1 - p) | -(1 - p) (t - p) / (1 - p) = p - t |

A wrong attempt above the target that does not become one, as all of them at t = 0, is compared with a right one
instead: that moves no margin between answering and abstaining, and keeps the loss from pushing wrong answers away in
favour of whatever was never sampled.

The difference is p - t on both sides, a straight line. So questions that look alike are answered iff the mean of their
p exceeds t, however few samples each p was counted from: its noise averages out, and needs no smoothing.

KTO sees single completions. A right one is kept with probability 1 - t, a wrong one with t, and "I don't know" with
|p - t|, undesirable above the target and desirable below it. At the start, where its loss has the same slope
everywhere, that again pulls by p - t at answering, and by the opposite at abstaining. There are as many desirable ones
as undesirable ones, p (1 - t) + max(t - p, 0) = (1 - p) t + max(p - t, 0), so KTO's two weights stay 1; weights from
unequal counts would move the target.

Two limits. All this is about the margin that is learned: the start's own preference is still there, and outweighs a
margin that is small for a large beta. And past the start KTO's slopes differ, so its threshold is exact only there.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from abstain.rewards.prompts import IDK
from abstain.rewards.verdict import Verdict


@dataclass(frozen=True)
class Sample:
    """A completion that the model wrote, and how often.

    Args:
        text: as it was written.
        verdict: as rewards grade it, strictly.
        cut_off: the model did not end it. It counts as an attempt, and is never a member of a pair: the end that
            training would add to it was never written.
        count: how many samples are alike.
    """

    text: str
    verdict: Verdict
    cut_off: bool = False
    count: int = 1


class Kind(StrEnum):
    """What a pair prefers to what, in words; or what a label says."""

    ANSWER = "right over abstained"
    ABSTAIN = "abstained over wrong"
    CORRECT = "right over wrong"
    DESIRABLE = "desirable"
    UNDESIRABLE = "undesirable"


@dataclass(frozen=True)
class Pair:
    """Two completions of one prompt, for DPO."""

    chosen: str
    rejected: str
    kind: Kind


@dataclass(frozen=True)
class Label:
    """One completion of a prompt, for KTO."""

    completion: str
    desirable: bool

    @property
    def kind(self) -> Kind:
        return Kind.DESIRABLE if self.desirable else Kind.UNDESIRABLE


def count_verdicts(samples: Iterable[Sample]) -> Counter[Verdict]:
    """How many samples were right, wrong, abstained and ungraded.

    Example:
        >>> count_verdicts([Sample("Lima", Verdict.CORRECT, count=3)])[Verdict.CORRECT]
        3
    """
    found: Counter[Verdict] = Counter()
    for sample in samples:
        found[sample.verdict] += sample.count
    return found


def share_right(samples: Iterable[Sample]) -> float | None:
    """p = right / (right + wrong), `None` where nothing was attempted. Ungraded samples are not counted.

    Example:
        >>> share_right([Sample("Lima", Verdict.CORRECT, count=3), Sample("Oslo", Verdict.INCORRECT)])
        0.75
    """
    found = count_verdicts(samples)
    attempts = found[Verdict.CORRECT] + found[Verdict.INCORRECT]
    return found[Verdict.CORRECT] / attempts if attempts else None


def pair_weight(verdict: Verdict, share: float, target: float) -> float:
    """With which probability an attempt becomes a pair; see this module's first table of weights.

    Args:
        verdict: of the attempt, CORRECT or INCORRECT.
        share: of right attempts at this question.
        target: confidence target in [0, 1).

    Example:
        >>> pair_weight(Verdict.CORRECT, 0.8, 0.75), pair_weight(Verdict.CORRECT, 0.7, 0.75)
        (0.25, 0.0)
        >>> pair_weight(Verdict.INCORRECT, 0.8, 0.75), pair_weight(Verdict.INCORRECT, 0.5, 0.75)
        (0.75, 0.5)
    """
    if share > target:
        return 1 - target if verdict is Verdict.CORRECT else target
    return 0.0 if verdict is Verdict.CORRECT else (target - share) / (1 - share)


def pairs(samples: Sequence[Sample], target: float, draws: int, rng: random.Random) -> Iterator[Pair]:
    """What is to be preferred at one target, at most `draws` pairs.

    Args:
        samples: of one question, whatever targets they were drawn at: what is known does not depend on the target.
        target: confidence target in [0, 1).
        draws: attempts to draw, with replacement. A pair that comes twice is twice as heavy, so none is dropped.
        rng: decides which, and which attempts become pairs.

    Example:
        >>> known = [Sample("Lima", Verdict.CORRECT, count=8)]
        >>> list(pairs(known, 0, 1, random.Random(0)))
        [Pair(chosen='Lima', rejected="I don't know", kind=<Kind.ANSWER: 'right over abstained'>)]
    """
    share = share_right(samples)
    if share is None:
        return
    abstentions = _of(samples, Verdict.ABSTAINED) or [Sample(IDK, Verdict.ABSTAINED)]
    better = [sample for sample in _of(samples, Verdict.CORRECT) if share > target and not sample.cut_off]
    for attempt in _drawn(_of(samples, Verdict.CORRECT, Verdict.INCORRECT), draws, rng):
        kept, right = rng.random() < pair_weight(attempt.verdict, share, target), attempt.verdict is Verdict.CORRECT
        if attempt.cut_off:
            continue
        if kept:
            idk = _drawn(abstentions, 1, rng)[0].text
            yield Pair(attempt.text, idk, Kind.ANSWER) if right else Pair(idk, attempt.text, Kind.ABSTAIN)
        elif better and not right:
            yield Pair(_drawn(better, 1, rng)[0].text, attempt.text, Kind.CORRECT)


def labels(samples: Sequence[Sample], target: float, draws: int, rng: random.Random) -> Iterator[Label]:
    """What is desirable at one target and what is not, at most two completions for each draw.

    Args:
        samples, target, draws, rng: as for `pairs`.

    Example:
        >>> unknown = [Sample("Oslo", Verdict.INCORRECT, count=8)]
        >>> list(labels(unknown, 0.99, 1, random.Random(0)))
        [Label(completion='Oslo', desirable=False), Label(completion="I don't know", desirable=True)]
    """
    share = share_right(samples)
    if share is None:
        return
    abstentions = _of(samples, Verdict.ABSTAINED) or [Sample(IDK, Verdict.ABSTAINED)]
    for attempt in _drawn(_of(samples, Verdict.CORRECT, Verdict.INCORRECT), draws, rng):
        right = attempt.verdict is Verdict.CORRECT
        kept = rng.random() < (1 - target if right else target)
        if kept and not attempt.cut_off:
            yield Label(attempt.text, right)
        if rng.random() < abs(share - target):
            yield Label(_drawn(abstentions, 1, rng)[0].text, share < target)


def _of(samples: Iterable[Sample], *verdicts: Verdict) -> list[Sample]:
    """In an order of their own, so that the one they were sampled in decides nothing."""
    found = [sample for sample in samples if sample.verdict in verdicts]
    return sorted(found, key=lambda sample: (sample.text, sample.cut_off, sample.count))


def _drawn(samples: Sequence[Sample], draws: int, rng: random.Random) -> list[Sample]:
    return rng.choices(samples, [sample.count for sample in samples], k=draws)
