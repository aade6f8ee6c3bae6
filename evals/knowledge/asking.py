"""Asks a chunk of questions in their few-shot prompts, and turns what is said into labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from abstain.evals.knowledge.continuations import Continue, Wanted
from abstain.evals.knowledge.exemplars import Exemplars, Renderer, relation_of
from abstain.evals.knowledge.labels import Label, categorise
from abstain.evals.knowledge.probability import p_interval
from abstain.evals.knowledge.protocol import Protocol
from abstain.evals.sampling import Completion
from abstain.evals.tasks.few_shot import STOP
from abstain.evals.tasks.question import Question, Task
from abstain.rewards.grading import grade_responses
from abstain.rewards.parsing.completion import read_response
from abstain.rewards.verdict import Verdict


@dataclass
class _Fact:
    """What was found of one question so far."""

    question: Question
    greedy: list[int]
    answers: list[str]
    sampled: list[int]
    failed: bool = False


@dataclass(frozen=True)
class Asking:
    """Asks questions of one relation together, and labels them.

    Args:
        continue_: the model.
        task, protocol, exemplars, render, seed: as of `abstain.evals.knowledge.labelling.label_questions`.
    """

    continue_: Continue
    task: Task
    protocol: Protocol
    exemplars: Exemplars
    render: Renderer
    seed: int

    def __call__(self, questions: Sequence[Question]) -> list[Label]:
        """The labels of questions; those that a model behind an endpoint did not reply to have none.

        All greedy answers come first. Where sampling stops early, only facts without a right greedy answer are
        sampled, one prompt, then two, then four …, until a sample is right: the category does not depend on the rest.
        """
        protocol = self.protocol
        facts = [_Fact(question, [], [], []) for question in questions]
        at_once = 0 if protocol.stop_early else protocol.samples
        self._ask(facts, range(protocol.prompts), greedy=True, samples=at_once)
        if protocol.stop_early and protocol.samples:
            for places in _rounds(protocol.prompts):
                open_ = [fact for fact in facts if not (fact.failed or any(fact.greedy) or any(fact.sampled))]
                if open_:
                    self._ask(open_, places, greedy=False, samples=protocol.samples)
        return [self._label(fact) for fact in facts if not fact.failed]

    def prompts(self, question: Question) -> list[str]:
        """All its prompts, each as often as it is answered at most."""
        written = [self.render(shots, question.question) for shots in self.exemplars.prompts[relation_of(question)]]
        return [one.shared + one.rest for one in written for _ in range(1 + self.protocol.samples)]

    def _ask(self, facts: Sequence[_Fact], places: Sequence[int], *, greedy: bool, samples: int) -> None:
        """Ask each fact in its relation's prompts at these places, and note what is right."""
        protocol = self.protocol
        shown = self.exemplars.prompts
        pairs = [(fact, shown[relation_of(fact.question)][place]) for fact in facts for place in places]
        found = self.continue_(
            [self.render(shots, fact.question.question) for fact, shots in pairs],
            Wanted(
                greedy=greedy,
                samples=samples,
                temperature=protocol.temperature,
                top_k=protocol.top_k,
                max_new_tokens=protocol.max_new_tokens,
                stop=STOP,
                seed=self.seed,
            ),
        )
        said: list[Completion] = []
        about: list[_Fact] = []
        for (fact, _), one in zip(pairs, found, strict=True):
            drawn = [*([one.greedy] if one.greedy else []), *one.samples]
            said += drawn
            about += [fact] * len(drawn)
        right = iter(self._grade(about, said))
        for (fact, _), one in zip(pairs, found, strict=True):
            if one.greedy:
                fact.greedy.append(next(right))
                fact.answers.append(one.greedy.text.strip())
                fact.failed |= bool(one.greedy.failure)
            if one.samples:
                fact.sampled.append(sum(next(right) for _ in one.samples))
                fact.failed |= any(sample.failure for sample in one.samples)

    def _grade(self, facts: Sequence[_Fact], said: Sequence[Completion]) -> list[int]:
        responses = [read_response(one.text, answer_format="plain") for one in said]
        golds, asked = [fact.question.gold for fact in facts], [fact.question.question for fact in facts]
        verdicts = grade_responses(responses, golds, self.protocol.grader, asked)
        return [int(verdict is Verdict.CORRECT) for verdict in verdicts]

    def _label(self, fact: _Fact) -> Label:
        protocol, question = self.protocol, fact.question
        all_drawn = bool(protocol.samples) and not protocol.stop_early
        p_greedy = sum(fact.greedy) / len(fact.greedy)
        p_sampled = sum(fact.sampled) / (len(fact.sampled) * protocol.samples) if all_drawn else None
        low, high = p_interval(*((fact.sampled, protocol.samples) if all_drawn else (fact.greedy, 1)))
        return Label(
            id=question.id,
            task=self.task.name,
            relation=relation_of(question),
            question=question.question,
            gold=question.gold,
            category=categorise(sum(fact.greedy), len(fact.greedy), sum(fact.sampled)),
            p_greedy=p_greedy,
            p_sampled=p_sampled,
            p_correct=p_greedy if p_sampled is None else p_sampled,
            p_low=low,
            p_high=high,
            greedy=tuple(fact.greedy),
            sampled=tuple(fact.sampled),
            answers=tuple(fact.answers),
        )


def _rounds(prompts: int) -> list[range]:
    """The prompts that are sampled together: more each time, for each call takes as many steps as its longest answer.

    Example:
        >>> [list(places) for places in _rounds(10)]
        [[0], [1, 2], [3, 4, 5, 6], [7, 8, 9]]
    """
    starts = [start for power in range(prompts.bit_length()) if (start := 2**power - 1) < prompts]
    return [range(start, min(2 * start + 1, prompts)) for start in starts]
