"""A question with its gold answers, and a task: two sets of questions that share no subject.

A row of a question file, and what it becomes::

    {"id": "P36-17", "question": "What is the capital of Peru?", "answers": ["Lima"]}
    Question(id="P36-17", question="What is the capital of Peru?", gold=("Lima",), subject="Peru", metadata={})
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import ascii_uppercase
from typing import Any

from abstain.rewards.prompts import DEFAULT_TEMPLATE, Instruct, check_template, prompt_text
from abstain.rewards.response import AnswerFormat, check_answer_format


@dataclass(frozen=True)
class Question:
    """One question.

    Args:
        id: unique within the task.
        question: the text shown to the model, without any instruction.
        gold: accepted answers and aliases; `(UNANSWERABLE,)` if no answer is right; empty if there is no gold.
        subject: what the question is about. Train and held-out questions never share one.
        metadata: anything else: `popularity`, `relation`, `true_p` (true probability that the best answer is right),
            `documents` (what kind they are).
        documents: what was retrieved for it, best first, to stand before it in the prompt. Graders never see them.
    """

    id: str
    question: str
    gold: tuple[str, ...]
    subject: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    documents: tuple[str, ...] = ()

    def prompt(self, target: float | None, template: str = DEFAULT_TEMPLATE, instruct: Instruct = "target") -> str:
        """The prompt at one target, as `abstain.rewards.prompts.prompt_text` writes it.

        Example:
            >>> Question("1", "Who wrote Emma?", ("Austen",), documents=("Emma is by Austen.",)).prompt(None)
            '> Emma is by Austen.\\n\\nWho wrote Emma?'
        """
        return prompt_text(self.question, target, template, instruct, self.documents)


@dataclass(frozen=True)
class Task:
    """Questions to train on, questions held out, and how answers are asked for and graded.

    Args:
        name: key in `abstain.evals.tasks.catalogue.TASKS`.
        train: questions for SFT, RL and for fitting the oracle's thresholds. May be empty.
        held_out: questions that every reported number is measured on.
        grader: key in `abstain.rewards.graders.GRADERS`.
        template: prompt text with `{question}` and `{instruction}`; the question comes first, so that all targets
            of one question share a prefix. Its documents, if it has any, stand before it, where `{documents}` is or at
            the beginning.
        max_new_tokens: room for an answer.
        answer_format: where the answer stands in a completion, one of `abstain.rewards.response.AnswerFormat`. "auto"
            finds it; a model that was taught a format is graded on that and nothing else.
        examples: questions of neither side, to be shown with their answers in few-shot prompts.

    Raises:
        ValueError: as `abstain.rewards.prompts.check_template`, or no answer format is called so.
    """

    name: str
    train: tuple[Question, ...]
    held_out: tuple[Question, ...]
    grader: str = "match"
    template: str = DEFAULT_TEMPLATE
    max_new_tokens: int = 32
    answer_format: AnswerFormat = "auto"
    examples: tuple[Question, ...] = ()

    def __post_init__(self) -> None:
        check_answer_format(self.answer_format)
        check_template(self.template)

    def with_held_out(self, ids: Collection[str]) -> "Task":
        """The same, with these of its held-out questions only."""
        wanted = set(ids)
        return replace(self, held_out=tuple(question for question in self.held_out if question.id in wanted))


def choice_label(place: int) -> str:
    """What the choice at a place is called: A to Z, then 1, 2, ..., as in Inspect.

    Example:
        >>> [choice_label(place) for place in (0, 25, 26, 27)]
        ['A', 'Z', '1', '2']
    """
    return ascii_uppercase[place] if place < len(ascii_uppercase) else str(place - len(ascii_uppercase) + 1)


def with_choices(question: str, choices: Sequence[str]) -> str:
    """A question and its choices, a line each; the question alone if there are none.

    Example:
        >>> print(with_choices("Capital of Peru?", ["Lima", "Quito"]))
        Capital of Peru?
        (A) Lima
        (B) Quito
    """
    return "\n".join([question, *(f"({choice_label(place)}) {choice}" for place, choice in enumerate(choices))])
