"""What the policy writes while it trains, counted per prompt as the rewards grade it.

`GuardedReward` fills a `Rollouts`, `Guards` empties it every few steps.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import groupby, pairwise
from typing import Any

from abstain.rewards.verdict import Verdict
from abstain.rewards.verdict_reward import are_apart, read_questions

SAMPLES = 32
"""Completions of the last batch that are kept for a table."""
WRITTEN = 4096
"""Completions that are kept as tokens."""
_ANSWER = 80  # characters by which two answers are told apart
_MOST_ANSWERS = 50


@dataclass(frozen=True, slots=True)
class Group:
    """One prompt's completions in one batch (the part that one process had).

    Args:
        question: its id, or the prompt where there is none.
        target: the confidence target that the prompt states; `None` if there is none.
        correct, incorrect, abstained, ungraded: completions by verdict.
        distinct: different completions.
    """

    question: str
    target: float | None
    correct: int
    incorrect: int
    abstained: int
    ungraded: int
    distinct: int

    @property
    def n(self) -> int:
        return self.graded + self.ungraded

    @property
    def graded(self) -> int:
        return self.attempted + self.abstained

    @property
    def attempted(self) -> int:
        return self.correct + self.incorrect


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion, for a table."""

    step: int
    question: str
    target: float | None
    completion: str
    verdict: str
    reward: float | None


@dataclass(frozen=True, slots=True)
class Written:
    """One completion as it was sampled.

    Args:
        prompt: text or conversation.
        completion_ids: tokens, the end token included.
        target: the confidence target that the prompt states.
    """

    prompt: Any
    completion_ids: Sequence[int]
    target: float | None


@dataclass
class Window:
    """Some steps' worth of completions.

    Args:
        groups: one per prompt and batch.
        answers: how often each attempted answer was given.
        golds: how often each first gold answer was asked for, to tell a collapse from a set whose answers are alike.
        apart: what was written, and how often, where the two readings disagree on its being right.
        compared: completions that were read both ways.
    """

    groups: list[Group] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    golds: Counter[str] = field(default_factory=Counter)
    apart: Counter[str] = field(default_factory=Counter)
    compared: int = 0

    @classmethod
    def joined(cls, windows: Iterable["Window"]) -> "Window":
        """Those of all processes as one."""
        whole = cls()
        for window in windows:
            whole.groups += window.groups
            whole.answers += window.answers
            whole.golds += window.golds
            whole.apart += window.apart
            whole.compared += window.compared
        return whole


class Rollouts:
    """Counts what rewards grade, while it is open: TRL asks the same rewards about its evaluations.

    Attributes:
        open: whether what is graded belongs to training.
        samples: some completions of the last batch.
        written: two completions of each of the last prompts, as tokens.
    """

    def __init__(self) -> None:
        self.open = False
        self.written: deque[Written] = deque(maxlen=WRITTEN)
        self.samples: list[Sample] = []
        self._window = Window()

    def add(
        self,
        columns: Mapping[str, Any],
        verdicts: Sequence[str],
        scores: Sequence[float | None],
        others: Sequence[str] = (),
    ) -> None:
        """Count a batch.

        Args:
            columns: what the reward was called with.
            verdicts, scores: one per completion.
            others: the verdicts of the other reading, where there is one.
        """
        if not self.open or not verdicts:
            return
        texts = [_text(completion) for completion in columns["completions"]]
        targets = columns.get("target") or [None] * len(texts)
        questions = columns.get("question_id") or [_text(prompt) for prompt in columns["prompts"]]
        keys = list(zip(questions, targets, strict=True))
        starts = [0]
        for _, rows in groupby(keys):
            starts.append(starts[-1] + len(list(rows)))
        for start, end in pairwise(starts):
            self._window.groups.append(_group(*keys[start], verdicts[start:end], texts[start:end]))
        self._count_answers(columns, verdicts, texts)
        if others:
            self._window.compared += len(others)
            both = zip(texts, verdicts, others, strict=True)
            self._window.apart.update(text[:_ANSWER].strip() for text, one, other in both if are_apart(one, other))
        self.samples = _samples(columns, starts[:-1], verdicts, texts, scores)
        for row in {place for start, end in pairwise(starts) for place in (start, end - 1)}:
            if columns.get("completion_ids"):
                self.written.append(Written(columns["prompts"][row], columns["completion_ids"][row], targets[row]))

    def take(self) -> Window:
        """What was counted since the last time."""
        taken, self._window = self._window, Window()
        for counts in (taken.answers, taken.golds, taken.apart):
            _pool_rare(counts)
        return taken

    def carried(self) -> dict[str, Any]:
        """All of it, as plain lists."""
        window = self._window
        return {
            "groups": [astuple(group) for group in window.groups],
            "counts": [dict(counter) for counter in (window.answers, window.golds, window.apart)],
            "compared": window.compared,
            "written": [[row.prompt, list(row.completion_ids), row.target] for row in self.written],
            "samples": [astuple(sample) for sample in self.samples],
        }

    def carry_on(self, found: dict[str, Any]) -> None:
        """Go on from what was carried."""
        counters: list[Counter[str]] = [Counter(counts) for counts in found["counts"]]
        answers, golds, apart = counters
        self._window = Window([Group(*row) for row in found["groups"]], answers, golds, apart, found["compared"])
        self.written.extend(Written(*row) for row in found["written"])
        self.samples = [Sample(*row) for row in found["samples"]]

    def _count_answers(self, columns: Mapping[str, Any], verdicts: Sequence[str], texts: Sequence[str]) -> None:
        tried = (Verdict.CORRECT, Verdict.INCORRECT)
        attempts = (text for text, verdict in zip(texts, verdicts, strict=True) if verdict in tried)
        self._window.answers.update(text[:_ANSWER].strip() or "(nothing)" for text in attempts)
        golds = columns.get("answers") or []
        self._window.golds.update(gold[0][:_ANSWER] for gold in golds if gold)


def _group(question: str, target: float | None, verdicts: Sequence[str], texts: Sequence[str]) -> Group:
    counts = Counter(verdicts)
    return Group(
        question,
        target,
        correct=counts[Verdict.CORRECT],
        incorrect=counts[Verdict.INCORRECT],
        abstained=counts[Verdict.ABSTAINED],
        ungraded=counts[Verdict.UNGRADED],
        distinct=len(set(texts)),
    )


def _samples(
    columns: Mapping[str, Any], starts: list[int], verdicts: Sequence[str], texts: Sequence[str], scores: Sequence[Any]
) -> list[Sample]:
    """The first completion of some prompts, spread over the batch."""
    rows = starts[:: max(1, len(starts) // SAMPLES)][:SAMPLES]
    step = getattr(columns.get("trainer_state"), "global_step", 0)
    targets = [columns["target"][row] if columns.get("target") else None for row in rows]
    if columns.get("question"):
        questions = [columns["question"][row] for row in rows]
    else:
        questions = read_questions(None, [columns["prompts"][row] for row in rows], len(rows)) or []
    return [
        Sample(step, question, target, texts[row], str(verdicts[row]), scores[row])
        for row, question, target in zip(rows, questions, targets, strict=True)
    ]


def _text(turns: Any) -> str:
    """A text, or what the last message of a conversation says."""
    if isinstance(turns, str):
        return turns
    content = turns[-1].get("content") if turns and isinstance(turns[-1], Mapping) else None
    return content if isinstance(content, str) else repr(content)


def _pool_rare(counts: Counter[str]) -> None:
    """Count all but the commonest together under "": long texts mostly differ, and need not be sent around."""
    for text, count in counts.most_common()[_MOST_ANSWERS:]:
        del counts[text]
        counts[""] += count
