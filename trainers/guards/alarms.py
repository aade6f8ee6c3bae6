"""When a policy begins to collapse: what it looks like, what it means, and what helps.

Each check takes the signals of the last steps and returns what it saw, or `None`. Shares are of graded completions.
The thresholds were set on fact-world runs that did and did not collapse; a healthy run may dip for some steps while it
learns, so an alarm is raised only where a check finds the same several times in a row.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt

from abstain.trainers.guards.signals import Behaviour, Signals

FEWEST = 64
"""Completions below which a share says nothing."""


@dataclass(frozen=True)
class Kind:
    """A way to collapse.

    Args:
        check: what it looks like, given the signals and what was seen before.
        meaning: what has happened.
        advice: what to try; a remedy that a recipe can switch on is named by its key.
        patience: checks in a row that have to find it.
    """

    check: Callable[[Signals, "Watch"], str | None]
    meaning: str
    advice: str
    patience: int = 2


@dataclass(frozen=True)
class Alarm:
    """A collapse that has begun, or (`ended`) is over."""

    kind: str
    step: int
    seen: str
    ended: bool = False

    @property
    def message(self) -> str:
        """For people.

        Example:
            >>> print(Alarm("all_guess", 40, "it abstains on 0.0 %").message)
            Step 40: all_guess: it abstains on 0.0 %. "I don't know" is hardly ever sampled, so it cannot be learned.
            Try guards.seed_idk, or a larger sft.idk_share.
        """
        if self.ended:
            return f"Step {self.step}: {self.kind} is over."
        kind = KINDS[self.kind]
        return f"Step {self.step}: {self.kind}: {self.seen}. {kind.meaning}.\nTry {kind.advice}."


@dataclass
class Watch:
    """Looks for collapses, check after check; `Watch(**asdict(watch))` goes on from where it is.

    Args:
        best_correct: largest share of right answers so far.
        least_gap: smallest gap between the two readings so far.
        seen: checks in a row that found each kind.
        active: kinds whose alarm was raised and is not over, with the step.
    """

    best_correct: float = 0.0
    least_gap: float = 1.0
    seen: dict[str, int] = field(default_factory=dict)
    active: dict[str, int] = field(default_factory=dict)

    def update(self, signals: Signals, step: int) -> list[Alarm]:
        """Alarms that begin or end with these signals."""
        if signals.all.n < FEWEST:
            return []
        if signals.all.graded >= FEWEST:
            self.best_correct = max(self.best_correct, signals.all.correct)
        if signals.reading_gap is not None and signals.compared >= FEWEST:
            self.least_gap = min(self.least_gap, signals.reading_gap)
        return [alarm for name in KINDS if (alarm := self._look(name, signals, step))]

    def _look(self, name: str, signals: Signals, step: int) -> Alarm | None:
        kind = KINDS[name]
        found = kind.check(signals, self)
        self.seen[name] = self.seen.get(name, 0) + 1 if found else 0
        if not found:
            return Alarm(name, step, "", ended=True) if self.active.pop(name, None) is not None else None
        if name in self.active or self.seen[name] < kind.patience:
            return None
        self.active[name] = step
        return Alarm(name, step, found)


def _all_idk(signals: Signals, before: Watch) -> str | None:
    """Abstains nearly always, or mostly with half of the right answers gone; and it knew what it keeps to itself."""
    now = signals.all
    best_correct = before.best_correct
    gone = now.abstention >= 0.5 and now.correct <= best_correct / 2
    if now.graded < FEWEST or not (now.abstention >= 0.95 or gone):
        return None
    refused = signals.over_refusal.get("all") if signals.known_asked >= FEWEST else None
    if refused is not None and refused < 0.3:
        return None
    known = "" if refused is None else f", on {refused:.0%} of what the starting model guessed right"
    return f"it abstains on {now.abstention:.1%}{known}; {now.correct:.1%} are right, {best_correct:.1%} once were"


def _all_guess(signals: Signals, before: Watch) -> str | None:
    """Hardly ever abstains, though its answers are not sure enough for what the prompts demand."""
    asked = [one for one in signals.by_target.values() if one.target and one.graded >= FEWEST]
    graded = sum(one.graded for one in asked)
    if not graded:
        return None
    abstention = sum(one.abstention * one.graded for one in asked) / graded
    reckless = [one for one in asked if _below(one, margin=0.05)]
    if abstention > 0.02 or not reckless:
        return None
    worst = max(reckless, key=lambda one: one.target or 0.0)
    right = f"only {worst.accuracy_attempted:.0%} of its answers are right"
    return f"at t > 0 it abstains on {abstention:.1%}, at t = {worst.target:g} {right}"


def _one_answer(signals: Signals, before: Watch) -> str | None:
    """One answer to everything, far more often than the commonest gold answer is asked for."""
    share = signals.top_answer_share
    if share is None or signals.answers < FEWEST or share < signals.top_gold_share + 0.35:
        return None
    return (
        f"{share:.0%} of its answers are {signals.top_answer!r}; the commonest right one should be "
        f"{signals.top_gold_share:.0%}"
    )


def _targets_ignored(signals: Signals, before: Watch) -> str | None:
    """Abstains as often at the lowest target as at the highest, which is wrong at one end or at both."""
    ends = [one for one in signals.by_target.values() if one.target is not None and one.graded >= FEWEST]
    if len(ends) < 2:
        return None
    low, high = ends[0], ends[-1]
    apart = (high.target or 0.0) - (low.target or 0.0)
    spread = max(one.abstention for one in ends) - min(one.abstention for one in ends)
    partly = 0.05 < signals.all.abstention < 0.95
    wrong = (low.target == 0 and low.abstention > 0.1) or _below(high, margin=0.1)
    if apart < 0.25 or spread >= 0.05 or not partly or not wrong:
        return None
    said = " and on ".join(f"{one.abstention:.0%} at t = {one.target:g}" for one in (low, high))
    return f"it abstains on {said}"


def _ungraded(signals: Signals, before: Watch) -> str | None:
    """Most completions get no grade, and so no reward."""
    return f"{signals.ungraded:.0%} of the completions are ungraded" if signals.ungraded > 0.5 else None


def _reading_gap(signals: Signals, before: Watch) -> str | None:
    """Ever more completions are right leniently and not strictly, by more than chance has it."""
    gap, least = signals.reading_gap, before.least_gap
    if gap is None or signals.compared < FEWEST:
        return None
    chance = 3 * sqrt(gap * (1 - gap) / signals.compared)
    if gap - least <= max(0.05, chance):
        return None
    return (
        f"{gap:.1%} of the completions are right leniently and not strictly, {least:.1%} once were: {signals.apart!r}"
    )


def _below(one: Behaviour, margin: float) -> bool:
    return one.accuracy_attempted is not None and one.accuracy_attempted < (one.target or 0.0) - margin


KINDS = {
    "all_idk": Kind(
        _all_idk,
        "It gives away what it knows",
        "the bounded form of the reward, nothing paid for abstaining, a smaller sft.idk_share, guards.stop",
        patience=3,  # a healthy run may abstain much for some steps, before it tells the targets apart
    ),
    "all_guess": Kind(
        _all_guess,
        '"I don\'t know" is hardly ever sampled, so it cannot be learned',
        "guards.seed_idk, or a larger sft.idk_share",
    ),
    "one_answer": Kind(
        _one_answer,
        "Its answers no longer depend on the question",
        "a lower learning rate, guards.stop",
    ),
    "targets_ignored": Kind(
        _targets_ignored,
        "The target in the prompt makes no difference",
        "the bounded form of the reward, targets further apart, nothing paid for abstaining",
        patience=5,
    ),
    "ungraded": Kind(
        _ungraded,
        "Nothing is learned from what has no grade",
        "to look at the judge (is it up?) and at the gold answers (are there any?)",
    ),
    "reading_gap": Kind(
        _reading_gap,
        "The reward is being farmed by what stands beside an answer, or the strict grammar is too narrow for how it "
        "has learned to answer",
        "to read what it writes (TRL's table of completions has a column for each reading); where nothing else may be "
        "paid, the reading strict and the answer_format that was taught, else guards.stop",
    ),
}
"""All that is looked for, by name."""
