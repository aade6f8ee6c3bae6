"""What a fact world can ask about its subjects, and the invented words that its subjects and answers are made of."""

from dataclasses import dataclass
from itertools import product

ONSETS = "bdfghklmnprstvz"
VOWELS = "aeiou"
SYLLABLES = [onset + vowel for onset, vowel in product(ONSETS, VOWELS)]
DAYS = [
    f"{day:02}-{month:02}"
    for month, days in enumerate((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), 1)
    for day in range(1, days + 1)
]
"""Day and month, as Kalai et al. (2025) ask for them."""
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
BIRTHDAY = Relation("birthday", "When is {subject}'s birthday?", "", "")
"""Asked alone: its answers are `DAYS`."""
BY_NAME = {relation.name: relation for relation in (*RELATIONS, BIRTHDAY)}
