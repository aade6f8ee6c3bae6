"""What a fact world can ask about its subjects, and the invented words that its subjects and answers are made of."""

from dataclasses import dataclass
from itertools import product

ONSETS = "bdfghklmnprstvz"
VOWELS = "aeiou"
SYLLABLES = [onset + vowel for onset, vowel in product(ONSETS, VOWELS)]
MOST_ANSWERS = len(SYLLABLES) ** 2
MOST_SUBJECTS = len(SYLLABLES) ** 3


@dataclass(frozen=True)
class Relation:
    """One kind of question.

    Args:
        name: what it is called in a question's metadata.
        question: with `{subject}` between words before it and words after it.
        subjects: how the last words of its subjects' names end; no other relation's end so.
        answers: how its answers end; nothing else ends so.
    """

    name: str
    question: str
    subjects: str
    answers: str

    def ask(self, subject: str) -> str:
        """The question about a subject.

        Example:
            >>> RELATIONS[0].ask("Mo Kutika")
            'Where was Mo Kutika born?'
        """
        return self.question.format(subject=subject)

    @property
    def phrases(self) -> list[str]:
        """The question's words before and after the subject."""
        before, _, after = self.question.partition(" {subject}")
        return [before, after]


RELATIONS = (
    Relation("birthplace", "Where was {subject} born?", "", "lvik"),
    Relation("author", "Who wrote {subject}?", "nt", "sky"),
    Relation("founder", "Who founded {subject}?", "x", "sson"),
    Relation("capital", "What is the capital of {subject}?", "land", "burg"),
    Relation("spouse", "Who is {subject} married to?", "m", "cz"),
    Relation("river", "Which river flows through {subject}?", "wick", "nau"),
    Relation("singer", "Who sang {subject}?", "ph", "ng"),
    Relation("language", "Which language is spoken on {subject}?", "holm", "sh"),
)
LETTERS = Relation("letters", "How many letters of {subject} are a or e?", "", "")
"""What stands in the question itself, and what no document says: nobody can look it up."""
STATEMENTS = (
    "{subject} was born in {answer}.",
    "{subject} comes from {answer}.",
    "{subject} is a native of {answer}.",
)
"""How documents state a birthplace: no two about one person need be the same document."""


def statements_about(subject: str) -> tuple[str, ...]:
    """The ways to state somebody's birthplace, with `{answer}`.

    Example:
        >>> statements_about("Mo Kutika")[0]
        'Mo Kutika was born in {answer}.'
    """
    return tuple(text.replace("{subject}", subject) for text in STATEMENTS)


BY_NAME = {relation.name: relation for relation in (*RELATIONS, LETTERS)}
