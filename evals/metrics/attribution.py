"""Where answers come from if questions have documents: from these, or from somewhere else.

An answer that is given to a question with documents is of one of three sources, by what stands in them:

| source      | means                                                                                     |
|-------------|-------------------------------------------------------------------------------------------|
| supported   | a document about the subject states it, whether it is right or not                        |
| distorted   | the documents about the subject state a right answer, and it is another one               |
| unsupported | they state no right answer, and not this one either: nothing that was retrieved bears it   |

and besides, of any source, it may go *against memory*: without documents the same model is more than half sure of
another answer. A document is about the subject if it names it; all are, where nobody knows what the subject is. What a
text states is compared word by word, as graders fold words, so another wording than the document's is unsupported.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from abstain.evals.metrics.by_category import rates_row
from abstain.evals.metrics.intervals import share_interval
from abstain.evals.records import Record
from abstain.evals.tasks.evidence import KINDS
from abstain.evals.tasks.question import Question
from abstain.rewards.graders.text import tidy, tokenise
from abstain.rewards.grading import grade_responses
from abstain.rewards.response import Response
from abstain.rewards.verdict import Verdict

SURE = 0.5
"""A model remembers an answer if it gives it, without documents, with more than this probability."""
Words = tuple[str, ...]


class Source(StrEnum):
    """Where an answer comes from."""

    SUPPORTED = "supported"
    DISTORTED = "distorted"
    UNSUPPORTED = "unsupported"


def source_of(answer: str, question: Question) -> Source:
    """What the documents of a question have to do with an answer to it.

    Args:
        answer: what was answered, without anything around it.
        question: with its documents, gold answers, and subject, if that is known.

    Example:
        >>> documents = ("Emma was written by Jane Austen.", "Dune was written by Frank Herbert.")
        >>> asked = Question("1", "Who wrote Emma?", ("Jane Austen",), "Emma", documents=documents)
        >>> [source_of(answer, asked).value for answer in ("Jane Austen", "Frank Herbert")]
        ['supported', 'distorted']
        >>> asked = Question("2", "Who wrote Kim?", ("Rudyard Kipling",), "Kim", documents=documents)
        >>> [source_of(answer, asked).value for answer in ("Frank Herbert", "Rudyard Kipling")]
        ['unsupported', 'unsupported']
    """
    about, said = [_words(text) for text in question.documents], _words(answer)
    if subject := _words(question.subject):
        about = [text for text in about if _stand(subject, text)]
    if any(_stand(said, text) for text in about):
        return Source.SUPPORTED
    right = [_words(gold) for gold in question.gold]
    stated = any(_stand(gold, text) for gold in right for text in about)
    return Source.DISTORTED if stated else Source.UNSUPPORTED


def _words(text: str) -> Words:
    return tuple(token.norm for token in tokenise(tidy(text)))


def _stand(few: Words, many: Words) -> bool:
    """Whether words stand in a text, side by side."""
    return bool(few) and any(many[i : i + len(few)] == few for i in range(len(many) - len(few) + 1))


def split_by_documents(
    records: Sequence[Record],
    questions: Iterable[Question],
    memory: Mapping[str, str] | None = None,
    grader: str = "match",
) -> dict[str, Any]:
    """What `metrics.json` holds of documents.

    Args:
        records: one per question and target.
        questions: those that were asked, with their documents.
        memory: by question id, what the model is more than half sure of without documents; `None` if nobody knows.
        grader: says whether an answer agrees with it.

    Returns:
        `by_documents`, for each kind of documents `documents`, `n` questions, and `by_target` with rates, intervals,
        score, and the shares of n that are answered from each source, and against memory; and `documents_cut`, of how
        many questions a part of the documents did not fit into the model's context. Both are `None` if no question has
        documents. The kind is what the question's metadata say, else "given" or "none".

    Example:
        >>> ask = lambda id, said, verdict: Record(id, "toy", "Who?", ("Bo",), 0.5, "", said, said, verdict, None)
        >>> asked = [Question("1", "Who?", ("Bo",), documents=("It is Bo.",)), Question("2", "Who?", ("Bo",))]
        >>> found = split_by_documents([ask("1", "Bo", Verdict.CORRECT), ask("2", "", Verdict.ABSTAINED)], asked)
        >>> [(one["documents"], one["by_target"][0]["supported"]) for one in found["by_documents"]]
        [('none', 0.0), ('given', 1.0)]
    """
    by_id = {question.id: question for question in questions}
    if not any(map(_has_documents, by_id.values())):
        return {"by_documents": None, "documents_cut": None}
    kinds = {id: kind_of(question) for id, question in by_id.items()}
    groups = {kind: [record for record in records if kinds[record.id] == kind] for kind in sorted(set(kinds.values()))}
    order = sorted(groups, key=_place)
    return {
        "by_documents": [{"documents": kind, **_group(groups[kind], by_id, memory, grader)} for kind in order],
        "documents_cut": sum("documents_cut" in question.metadata for question in by_id.values()),
    }


def _has_documents(question: Question) -> bool:
    """Whether a question has documents, or is one of a task where others have."""
    return bool(question.documents or question.metadata.get("documents"))


def kind_of(question: Question) -> str:
    """What kind of documents a question has.

    Example:
        >>> kind_of(Question("1", "Who?", ("Bo",))), kind_of(Question("1", "Who?", ("Bo",), documents=("Bo is.",)))
        ('none', 'given')
    """
    return str(question.metadata.get("documents") or ("given" if question.documents else "none"))


def _place(kind: str) -> tuple[int, str]:
    known = list(KINDS)
    first = kind.partition(",")[0]
    return (known.index(first) if first in known else len(known)), kind


def _group(
    records: Sequence[Record], questions: Mapping[str, Question], memory: Mapping[str, str] | None, grader: str
) -> dict[str, Any]:
    targets = sorted({record.target for record in records})
    rows = []
    for target in targets:
        here = [record for record in records if record.target == target]
        given = [one for one in here if one.verdict in (Verdict.CORRECT, Verdict.INCORRECT)]
        shown = [one for one in given if questions[one.id].documents]
        sources = Counter(source_of(one.answer, questions[one.id]) for one in shown)
        counts: dict[str, int | None] = {source.value: sources[source] for source in Source}
        counts["against_memory"] = None if memory is None else _against(shown, memory, grader)
        rates = {name: None if count is None else count / len(here) for name, count in counts.items()}
        ends = {
            f"{name}_ci": None if count is None else [float(end) for end in share_interval(count, len(here))]
            for name, count in counts.items()
        }
        rows.append(rates_row(Counter(one.verdict for one in here), target) | rates | ends)
    return {"n": len({record.id for record in records}), "by_target": rows}


def _against(records: Sequence[Record], memory: Mapping[str, str], grader: str) -> int:
    """How many of these answers are another one than what the model remembers."""
    held = [record for record in records if memory.get(record.id)]
    said = [Response(record.answer) for record in held]
    golds = [[memory[record.id]] for record in held]
    verdicts = grade_responses(said, golds, grader, [record.question for record in held])
    return sum(verdict is Verdict.INCORRECT for verdict in verdicts)
