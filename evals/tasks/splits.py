"""Dividing questions into training and held-out ones that share no subject, and checking that they do not.

Reinforcement learning memorises the subjects it trains on, so a number measured on them says nothing about knowing
what one knows. Two questions are about the same thing if their subjects are the same after `normalise`, or, where no
subject is given, if their texts are or nearly are (`abstain.evals.tasks.similar`); both then stand on the same side.
"""

import hashlib
import logging
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from abstain.evals.tasks.question import Question
from abstain.evals.tasks.similar import groups_of_similar

logger = logging.getLogger(__name__)
_EDGES = " \t?.!,;:'\"“”‘’。、？！，；：「」『』"


def normalise(text: str) -> str:
    """The text as compared: NFKC, lower case, single spaces, no quotes or punctuation at its ends.

    Example:
        >>> normalise(" Who  wrote “Emma”? "), normalise("?!")
        ('who wrote “emma', '?!')
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded.strip(_EDGES) or folded


def subject_key(question: Question) -> str:
    """What a question is about, as compared: its subject, or its text where it has none.

    Example:
        >>> subject_key(Question("1", "Where is Oslo?", ("Norway",), subject="Oslo"))
        'oslo'
        >>> subject_key(Question("1", "Where is Oslo?", ("Norway",)))
        'where is oslo'
    """
    return normalise(question.subject) or normalise(question.question)


def side_keys(questions: Sequence[Question]) -> list[str]:
    """What decides the side each question stands on: its `subject_key`, or where it has no subject the first in the
    alphabet of the texts that are nearly the same.

    Example:
        >>> texts = [f"Who wrote the book {name}?" for name in ("Emma", "Dune", "Ulysses", "Kim", "It", "Walden")]
        >>> questions = [Question(text, text, ("?",)) for text in [*texts, "Who wrote Emma?", "Where is Oslo?"]]
        >>> side_keys(questions)[0], side_keys(questions)[-2:]
        ('who wrote emma', ['who wrote emma', 'where is oslo'])
    """
    texts = sorted({subject_key(question) for question in questions if not normalise(question.subject)})
    first: dict[int, str] = {}
    shared = {text: first.setdefault(group, text) for text, group in zip(texts, groups_of_similar(texts), strict=True)}
    keys = [(subject_key(question), bool(normalise(question.subject))) for question in questions]
    return [key if has_subject else shared[key] for key, has_subject in keys]


def similar_questions(questions: Sequence[Question]) -> list[list[Question]]:
    """Questions without a subject whose texts differ, but are nearly the same: a list for each group.

    Example:
        >>> texts = [f"Who wrote the book {name}?" for name in ("Emma", "Dune", "Ulysses", "Kim", "It", "Walden")]
        >>> found = similar_questions([Question(text, text, ("?",)) for text in [*texts, "Who wrote Emma?"]])
        >>> [[question.id for question in group] for group in found]
        [['Who wrote the book Emma?', 'Who wrote Emma?']]
    """
    groups: dict[str, dict[str, Question]] = defaultdict(dict)
    for question, key in zip(questions, side_keys(questions), strict=True):
        if not normalise(question.subject):
            groups[key].setdefault(normalise(question.question), question)
    return [list(texts.values()) for texts in groups.values() if len(texts) > 1]


def rank(text: str, seed: int) -> str:
    """A position in a fixed random order. It depends on the text and the seed only, not on what else there is."""
    return hashlib.blake2b(f"{seed}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def split_by_subject(
    questions: Sequence[Question], held_out: float, seed: int = 0
) -> tuple[tuple[Question, ...], tuple[Question, ...]]:
    """Divide questions into (train, held-out), all about one subject on one side, each side in its old order.

    Near-duplicates of questions without a subject stand on one side too; see `side_keys`.

    Args:
        questions: what to divide.
        held_out: share of the questions to hold out, in [0, 1]. Met from above, since a subject is never divided, but
            below 1 one subject is always left to train on if there are two.
        seed: another seed, another division. Rows added later move few old ones.

    Raises:
        ValueError: `held_out` is outside [0, 1].

    Example:
        >>> two_each = [Question(f"{i}", f"q{i}", ("a",), subject=f"s{i // 2}") for i in range(20)]
        >>> train, test = split_by_subject(two_each, 0.3)
        >>> len(train), len(test), {q.subject for q in train} & {q.subject for q in test}
        (14, 6, set())
    """
    check_share(held_out)
    keys = side_keys(questions)
    sizes = Counter(keys)
    order = sorted(sizes, key=lambda key: (rank(key, seed), key))
    wanted, taken, test = held_out * len(questions), 0, set()
    for key in order[:-1] if held_out < 1 and len(order) > 1 else order:
        if taken >= wanted:
            break
        test.add(key)
        taken += sizes[key]
    sides: dict[bool, list[Question]] = {True: [], False: []}
    for question, key in zip(questions, keys, strict=True):
        sides[key in test].append(question)
    return tuple(sides[False]), tuple(sides[True])


def check_share(held_out: float) -> float:
    """`held_out` if it is a share, else `ValueError`."""
    if isinstance(held_out, bool) or not isinstance(held_out, int | float) or not 0 <= held_out <= 1:
        raise ValueError(f"held_out={held_out!r} must be a share between 0 and 1, such as 0.2")
    return float(held_out)


def sample(questions: Sequence[Question], limit: int | None, seed: int = 0) -> tuple[Question, ...]:
    """At most `limit` questions, drawn by seed and kept in order. A smaller limit gives a subset of a larger one.

    Raises:
        ValueError: `limit` is not a whole number of at least 1.

    Example:
        >>> many = [Question(f"{i}", f"q{i}", ("a",)) for i in range(100)]
        >>> len(sample(many, 10)), all(q in sample(many, 20) for q in sample(many, 10)), len(sample(many, None))
        (10, True, 100)
    """
    if limit is None:
        return tuple(questions)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise ValueError(f"limit={limit!r} must be a whole number of at least 1; leave it out to take every question")
    order = sorted(range(len(questions)), key=lambda i: (rank(questions[i].id, seed), i))
    return tuple(questions[i] for i in sorted(order[:limit]))


def sample_or_say(
    questions: Sequence[Question], limit: int | None, seed: int, option: str, why: str
) -> tuple[Question, ...]:
    """`sample`, which says in one line that there are fewer questions than were asked for.

    Args:
        questions, limit, seed: as for `sample`.
        option: what asked for them, such as "qa: limit".
        why: why there are no more.
    """
    drawn = sample(questions, limit, seed)
    if limit is not None and 0 < len(questions) < limit:
        logger.warning("%s", falls_short(f"{option}={limit}", len(drawn), why))
    return drawn


def falls_short(asked: str, there: int, why: str) -> str:
    """What to say where somebody asks for more questions than there are.

    Example:
        >>> falls_short("--limit 2000", 1200, "no more are held out")
        '--limit 2000 gives 1,200 questions: no more are held out'
    """
    return f"{asked} gives {there:,} question{'s' * (there != 1)}: {why}"


@dataclass(frozen=True)
class Overlap:
    """What train and held-out questions share, after `normalise`.

    Args:
        rows: how many training questions are concerned.
        subjects: shared subjects.
        questions: shared question texts.
        similar: texts of training questions that are nearly those of held-out ones, where that was looked for.
    """

    rows: int
    subjects: tuple[str, ...]
    questions: tuple[str, ...]
    similar: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.rows > 0

    def __str__(self) -> str:
        if not self:
            return "train and held-out questions share no subject and no question text"
        examples = ", ".join(repr(text) for text in (self.subjects or self.questions or self.similar)[:3])
        shared = [f"a subject ({len(self.subjects)})", f"their text ({len(self.questions)})"]
        shared += [f"nearly their text ({len(self.similar)})"] if self.similar else []
        what = f"{', '.join(shared[:-1])} or {shared[-1]}"
        return f"{self.rows} training questions share {what} with held-out ones, such as {examples}"


def check_overlap(train: Iterable[Question], held_out: Iterable[Question]) -> Overlap:
    """What the two sides share: subjects, and question texts.

    Example:
        >>> a = Question("1", "Where is Oslo?", ("Norway",), subject="Oslo")
        >>> b = Question("2", "How big is OSLO?", ("480 km²",), subject="OSLO")
        >>> print(check_overlap([a], [b]))
        1 training questions share a subject (1) or their text (0) with held-out ones, such as 'oslo'
    """
    return _divide(train, held_out)[1]


def drop_overlap(
    train: Iterable[Question], held_out: Iterable[Question], name: str = "data"
) -> tuple[tuple[Question, ...], Overlap]:
    """The training questions that share nothing with held-out ones, and a report, which is also logged as one line.

    Those without a subject must not nearly have the text of a held-out one without a subject either.

    Raises:
        ValueError: nothing is left to train on.

    Example:
        >>> q = [Question(f"{i}", f"Where is {x}?", ("?",), subject=x) for i, x in enumerate(["Oslo", "Lima", "Rome"])]
        >>> kept, overlap = drop_overlap(q[:2], q[1:])
        >>> [question.subject for question in kept], overlap.rows
        (['Oslo'], 1)
    """
    kept, overlap = _divide(train, held_out, similar=True)
    if overlap and not kept:
        raise ValueError(
            f"{name}: every training question overlaps: {overlap}. If the subject column holds a field of study, not "
            "what a question is about, name another or give subject_column='' to compare texts only."
        )
    if overlap:
        logger.warning("%s: %s; dropped from training, %d left", name, overlap, len(kept))
    return kept, overlap


def _divide(
    train: Iterable[Question], held_out: Iterable[Question], similar: bool = False
) -> tuple[tuple[Question, ...], Overlap]:
    """Training questions without the shared ones, and what is shared."""
    train, held_out = list(train), list(held_out)
    keys = {subject_key(question) for question in held_out}
    texts = {normalise(question.question) for question in held_out}
    groups = side_keys([*train, *held_out]) if similar else []
    barred = {key for key, question in zip(groups[len(train) :], held_out, strict=similar) if not question.subject}
    kept, subjects, questions, nearly, rows = [], set(), set(), set(), 0
    for place, question in enumerate(train):
        key, text = subject_key(question), normalise(question.question)
        close = similar and not question.subject and groups[place] in barred
        if key not in keys and text not in texts and not close:
            kept.append(question)
            continue
        rows += 1
        if question.subject and key in keys:
            subjects.add(key)
        if text in texts:
            questions.add(text)
        elif close:
            nearly.add(text)
    return tuple(kept), Overlap(rows, *(tuple(sorted(found)) for found in (subjects, questions, nearly)))


def repeated(questions: Iterable[Question]) -> dict[str, list[Question]]:
    """Questions that are asked more than once, by normalised text.

    Example:
        >>> [*repeated([Question("1", "Who?", ("A",)), Question("2", "who", ("B",)), Question("3", "Why?", ("C",))])]
        ['who']
    """
    by_text: dict[str, list[Question]] = defaultdict(list)
    for question in questions:
        by_text[normalise(question.question)].append(question)
    return {text: same for text, same in by_text.items() if len(same) > 1}
