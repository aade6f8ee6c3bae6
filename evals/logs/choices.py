"""Multiple choice as Inspect has it: how choices are labelled, which of them are gold, and which an answer takes.

choices ["Quito", "Lima"], target "B"      the gold is (B) Lima
targets ["A", "C"]                         several that are right together, not one or the other
labels A to Z, then 1, 2, ...              of more than 26 choices
"""

import re
from collections.abc import Sequence
from itertools import combinations
from string import ascii_uppercase

from abstain.evals.tasks.question import choice_label
from abstain.rewards.grading import grade_response
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict

_NAMED = re.compile(r"(?<![A-Za-z])[A-H](?![A-Za-z])")  # as far as the `choice` grader reads several
_LABELS = re.compile(r"[A-Z]|[1-9]\d{0,2}")


def shown_order(prompt: str, choices: Sequence[str]) -> list[int] | None:
    """Which choice stands under each label of a prompt, for samples and their logs keep them as they were at first.

    Args:
        prompt: what was asked.
        choices: of the sample.

    Returns:
        For each label, the place in `choices` of what it stands for; `None` if the prompt does not list them all.

    Example:
        >>> shown_order("Capital of Peru?\\n\\nA) Lima\\nB) Quito", ["Quito", "Lima"])
        [1, 0]
        >>> shown_order("Capital of Peru?", ["Quito", "Lima"])
    """
    text, order = f"\n{prompt}\n", []
    for place in range(len(choices)):
        name = choice_label(place)
        starts = [f"\n({name}) ", *(f"\n{name}{mark} " for mark in ").:")]
        left = (other for other in range(len(choices)) if other not in order)
        found = next((one for one in left if any(f"{start}{choices[one]}\n" in text for start in starts)), None)
        if found is None:
            return None
        order.append(found)
    return order


def gold_of(targets: Sequence[str], choices: Sequence[str], order: Sequence[int]) -> list[str]:
    """The gold answers of a sample: label and text of the right choice, or the labels of several right ones together.

    There are none if the targets name no choice.

    Args:
        targets: of the sample: labels ("B"; "AC" and "A,C" are two), or a choice's own text.
        choices: of the sample.
        order: as `shown_order` finds it; the gold is named as the prompt names it.

    Example:
        >>> gold_of(["B"], ["Quito", "Lima"], [0, 1]), gold_of(["B"], ["Quito", "Lima"], [1, 0])
        (['B', 'Lima'], ['A', 'Lima'])
        >>> gold_of(["A", "C"], ["2", "3", "4"], [0, 1, 2]), gold_of(["Lima"], ["Quito", "Lima"], [0, 1])
        (['A, C'], ['B', 'Lima'])
    """
    places = {place for target in targets for place in _places(target, choices)}
    if not places:
        return []
    names = sorted((choice_label(list(order).index(place)) for place in places), key=lambda name: (len(name), name))
    return [names[0], choices[places.pop()]] if len(names) == 1 else [", ".join(names)]


def _places(target: str, choices: Sequence[str]) -> set[int]:
    """The choices that a target names; none unless all that it says are labels, or the text of one."""
    known = {choice_label(place): place for place in range(len(choices))}
    tokens = re.sub(r"[,\s]+", " ", target.strip()).split()
    names = [name for token in tokens for name in (_LABELS.findall(token) if token.isupper() else [token])]
    if names and "".join(names) == "".join(tokens) and set(names) <= set(known):
        return {known[name] for name in names}
    return {place for place, choice in enumerate(choices) if choice.strip() == target.strip()}


def chosen(response: Response, choices: Sequence[str], question: str) -> list[int]:
    """The places of the choices that an answer takes, as the `choice` grader reads it: none, one, or several together.

    Args:
        response: an answer; one that abstains takes none.
        choices: in the order in which they were shown.
        question: as it was asked, with the choices.

    Example:
        >>> from abstain.evals.tasks.question import with_choices
        >>> from abstain.rewards.parsing.completion import parse
        >>> choices = ["Quito", "Lima", "La Paz"]
        >>> question = with_choices("Capital of Peru?", choices)
        >>> said = ("The answer is (B).", "It's Lima.", "I don't know", "Answer: A, C")
        >>> [chosen(parse(text), choices, question) for text in said]
        [[1], [1], [], [0, 2]]
    """

    def takes(*gold: str) -> bool:
        return grade_response(response, gold, "choice", question) is Verdict.CORRECT

    if response.abstained or not response.answer:
        return []
    letters, numbers = range(len(choices))[:26], range(len(choices))[26:]
    alone = re.fullmatch(r"\W*\d+\W*", response.answer)  # else a number is some letter's text, or stands in it
    for places in (numbers, letters) if alone else (letters, numbers):
        found = [place for place in places if takes(choice_label(place), choices[place])]
        if found:
            return found
    named = sorted({name for name in _NAMED.findall(response.answer) if ascii_uppercase.index(name) < len(choices)})
    sets = (several for size in range(len(named), 1, -1) for several in combinations(named, size))
    several = next((names for names in sets if takes(", ".join(names))), ())
    return [ascii_uppercase.index(name) for name in several]
