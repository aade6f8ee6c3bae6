"""The few-shot prompts that a relation's questions are asked in: which questions are shown, and how it is written.

    Q: What is the capital of Peru?             user: What is the capital of Peru?
    A: Lima                                     assistant: Lima
                                                user: What is the capital of Kenya?
    Q: What is the capital of Kenya?
    A:

On the left for a model without a chat template, on the right for one that has one. Which questions are shown depends
on the relation and the seed only, so each prompt begins like those of all other questions of the relation.
"""

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from abstain.evals.knowledge.continuations import FewShot
from abstain.evals.sampler import render_turns, uses_chat
from abstain.evals.sampling import PromptFormat
from abstain.evals.tasks.few_shot import ASK, SHOT
from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import rank, subject_key
from abstain.rewards.grading import UNANSWERABLE

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRIES = 8
"""Draws of a prompt, to find one that is not there yet."""
SHARE_TO_SHOW = 5
"""Where a relation has no examples, one in so many of its own questions may be shown, and no more than are needed."""


def relation_of(question: Question) -> str:
    """The relation that a question asks for: metadata "relation", else "kind", else "".

    Example:
        >>> relation_of(Question("1", "Where is Oslo?", ("Norway",), metadata={"kind": "country"}))
        'country'
    """
    return str(question.metadata.get("relation") or question.metadata.get("kind") or "")


def has_answer(question: Question) -> bool:
    """Whether some answer to it is right, and known.

    Example:
        >>> has_answer(Question("1", "Why?", (UNANSWERABLE,))), has_answer(Question("2", "Why?", ()))
        (False, False)
    """
    return bool(question.gold) and UNANSWERABLE not in question.gold


@dataclass(frozen=True)
class Exemplars:
    """What few-shot prompts show.

    Args:
        prompts: for each relation its prompts, each of so many questions with a gold, the first of which is shown.
        set_apart: ids of questions of the task that are shown, or that are about the same subject as one that is
            shown: they are not labelled.
        notes: sentences for people.
    """

    prompts: Mapping[str, tuple[tuple[Question, ...], ...]]
    set_apart: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    def check(self, questions: Iterable[Question]) -> None:
        """Refuse to ask about what is shown: the answer could be copied.

        Raises:
            ValueError: a question has no prompts for its relation, or shares its subject with one that is shown.

        Example:
            >>> shown = Question("1", "Where is Oslo?", ("Norway",), subject="Oslo")
            >>> Exemplars({"": ((shown,),)}).check([Question("2", "How big is Oslo?", ("480 km²",), subject="OSLO")])
            Traceback (most recent call last):
            ...
            ValueError: 'How big is Oslo?' (2) is about the same as 'Where is Oslo?' (1), which prompts show with its
            answer: leave one of them out
        """
        shown = {subject_key(one): one for prompts in self.prompts.values() for prompt in prompts for one in prompt}
        for question in questions:
            if relation_of(question) not in self.prompts:
                raise ValueError(f"no few-shot prompts for the relation {relation_of(question)!r} of {question.id}")
            if same := shown.get(subject_key(question)):
                raise ValueError(
                    f"{question.question!r} ({question.id}) is about the same as {same.question!r} ({same.id}), which "
                    "prompts show with its answer: leave one of them out"
                )


def draw_exemplars(task: Task, relations: Iterable[str], *, prompts: int, shots: int, seed: int = 0) -> Exemplars:
    """Random few-shot prompts for each relation, from the task's `examples` of that relation.

    A relation without examples has some of its own questions shown, of training if it has any there, which are then
    not labelled. Never shown is a question whose subject is that of one that may be labelled.

    Args:
        task: whose examples are drawn from. Not only the questions that are going to be labelled count, but all of it,
            so that the same prompts are drawn whichever are.
        relations: to draw for; each is drawn by itself.
        prompts: how many.
        shots: questions in each.
        seed: of the draw.

    Raises:
        ValueError: a relation has fewer questions to show than a prompt shows.

    Example:
        >>> capital = {"relation": "capital"}
        >>> shown = tuple(Question(x, f"Capital of {x}?", (y,), x, capital) for x, y in [("Peru", "Lima"), ("Iran",
        ...     "Tehran"), ("Cuba", "Havana")])
        >>> drawn = draw_exemplars(Task("t", (), (), examples=shown), ["capital"], prompts=2, shots=2)
        >>> [[question.id for question in prompt] for prompt in drawn.prompts["capital"]]
        [['Cuba', 'Iran'], ['Cuba', 'Peru']]
    """
    asked = {subject_key(question) for question in (*task.train, *task.held_out)}
    examples = _by_relation(task.examples)
    sides = {"training": _by_relation(task.train), "held-out": _by_relation(task.held_out)}

    def pool_of(relation: str) -> tuple[list[Question], str]:
        """What may be shown, and the side of the task that it is set apart from, if any."""
        if relation in examples:
            return [one for one in examples[relation] if subject_key(one) not in asked], ""
        kind = next((kind for kind, side in sides.items() if relation in side), "training")
        return _some(sides[kind].get(relation, []), relation, prompts * shots, shots, seed), kind

    pools = {relation: pool_of(relation) for relation in relations}
    fewest = min(pools, key=lambda relation: len(pools[relation][0]), default=None)
    if fewest is not None and (count := len(pools[fewest][0])) < shots:
        others = sorted({*examples, *sides["training"], *sides["held-out"]} - {""})
        raise ValueError(_too_few(fewest, count, shots, [one for one in others if len(pool_of(one)[0]) >= shots]))
    own: dict[str, list[str]] = defaultdict(list)
    for relation, (pool, kind) in pools.items():
        if kind:
            own[kind].append(f"{len(pool):,}" + (f" of {relation}" if relation else ""))
    apart = {subject_key(one) for pool, kind in pools.values() if kind for one in pool}
    ids = frozenset(one.id for one in (*task.train, *task.held_out) if subject_key(one) in apart)
    notes = tuple(
        f"there are no examples besides the questions: of the {kind} ones, {_listed(counts)} are shown in prompts, "
        "and not labelled"
        for kind, counts in own.items()
    )
    drawn = {relation: _prompts(pool, relation, prompts, shots, seed) for relation, (pool, _) in pools.items()}
    return Exemplars(drawn, ids, notes)


def _by_relation(questions: Iterable[Question]) -> dict[str, list[Question]]:
    found: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        if has_answer(question):
            found[relation_of(question)].append(question)
    return dict(found)


def _order(question: Question, about: str, seed: int) -> tuple[str, str]:
    """A question's place in a random order, which other questions do not move."""
    return rank(f"{about}\0{question.id}", seed), question.id


def _some(questions: Sequence[Question], relation: str, wanted: int, shots: int, seed: int) -> list[Question]:
    """Questions of a relation that are shown instead of labelled, no two about the same."""
    most = min(wanted, max(2 * shots, len(questions) // SHARE_TO_SHOW))
    order = sorted(questions, key=lambda one: _order(one, relation, seed))
    return list({subject_key(one): one for one in reversed(order)}.values())[::-1][:most]


def _prompts(
    pool: Sequence[Question], relation: str, count: int, shots: int, seed: int
) -> tuple[tuple[Question, ...], ...]:
    """So many prompts, no two the same unless others are hard to find."""
    found: list[tuple[Question, ...]] = []
    for place in range(count):
        for again in range(TRIES):
            about = f"{relation}\0{place}" + f"\0{again}" * bool(again)
            prompt = tuple(sorted(pool, key=lambda one: _order(one, about, seed))[:shots])
            if prompt not in found:
                break
        found.append(prompt)
    return tuple(found)


def _too_few(relation: str, count: int, shots: int, others: Sequence[str]) -> str:
    has = f"relation {relation!r} has" if relation else "there are" if count > 1 else "there is"
    many = "no question" if not count else f"only {count} question{'s' * (count > 1)}"
    ways = [f"give --shots {count}"] if count else []
    if relation and others:
        ways.append(f"leave that relation out with --relations {shlex.quote(','.join(others))}")
    return f"{has} {many} to show in prompts of {shots}: {', or '.join(ways or ['give a task with more questions'])}"


def _listed(counts: Sequence[str]) -> str:
    return counts[0] if len(counts) == 1 else f"{', '.join(counts[:-1])} and {counts[-1]}"


class Renderer:
    """Writes few-shot prompts for a model.

    Args:
        tokenizer: the model's; `None` where it is behind an endpoint, and prompts are plain text.
        prompt_format: "plain", "chat" (the tokenizer's template), or "auto": chat if there is one.
        one_turn: the text is a user's turn behind an endpoint, which counts as "chat".

    Raises:
        ValueError: "chat", and there is no template.

    Example:
        >>> prompt = Renderer()([Question("1", "Capital of Peru?", ("Lima",))], "Capital of Cuba?")
        >>> prompt.shared, prompt.rest
        ('Q: Capital of Peru?\\nA: Lima\\n\\n', 'Q: Capital of Cuba?\\nA:')
    """

    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerBase | None" = None,
        prompt_format: PromptFormat = "auto",
        one_turn: bool = False,
    ) -> None:
        self.one_turn = one_turn
        self.tokenizer = tokenizer if tokenizer is not None and uses_chat(tokenizer, prompt_format) else None
        self._shared: dict[tuple[str, ...], str] = {}

    @property
    def prompt_format(self) -> str:
        """What it comes to: "plain" or "chat"."""
        return "chat" if self.one_turn or self.tokenizer is not None else "plain"

    def __call__(self, shots: Sequence[Question], question: str) -> FewShot:
        """The prompt in which these are shown and this is asked."""
        if self.tokenizer is None:
            shown = [SHOT.format(question=one.question, answer=shown_answer(one)) for one in shots]
            return FewShot("".join(shown), ASK.format(question=question))
        key = tuple(one.id for one in shots)
        if key not in self._shared:  # which a template may make shorter: it may write at the top what is asked
            pairs = zip(*(self._chat(shots, probe) for probe in ("A?", "b!")), strict=False)
            self._shared[key] = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        whole, shared = self._chat(shots, question), self._shared[key]
        return FewShot(shared, whole[len(shared) :]) if whole.startswith(shared) else FewShot("", whole)

    def _chat(self, shots: Sequence[Question], question: str) -> str:
        assert self.tokenizer is not None
        shown = [(("user", one.question), ("assistant", shown_answer(one))) for one in shots]
        turns = [*(turn for pair in shown for turn in pair), ("user", question)]
        # What it knows, not what it can work out; most templates ignore it
        return render_turns(self.tokenizer, turns, enable_thinking=False)


def shown_answer(question: Question) -> str:
    """The answer that a prompt shows: the first gold, in one line.

    Example:
        >>> shown_answer(Question("1", "Where?", ("Lima,\\n Peru", "Peru")))
        'Lima, Peru'
    """
    return " ".join(question.gold[0].split())
