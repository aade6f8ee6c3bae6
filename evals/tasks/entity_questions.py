"""EntityQuestions (Sciavolino et al. 2021): one template per Wikidata relation, well known and obscure subjects.

    train/P17.train.json: [{"question": "Which country is Painblanc located in?", "answers": ["France"]}, ...]
    relation_query_templates.json: {"P17": "Which country is [X] located in?", ...}

The subject stands where the template has "[X]". Training rows whose subject is one of *any* relation's test file are
left out, as Gekhman et al. 2024 do. The folder is `dataset/` of github.com/princeton-nlp/EntityQuestions at commit
096c261f; it is not on the hub.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.rows import read_file
from abstain.evals.tasks.splits import drop_overlap, sample_or_say
from abstain.rewards.errors import nearest

SPLITS = ("train", "dev", "test")
WHERE = "github.com/princeton-nlp/EntityQuestions at commit 096c261f, folder dataset/"


def load_entity_questions(
    data: str | Path | None = None,
    relations: Sequence[str] | str = (),
    single_answer: bool = False,
    test_split: str = "test",
    limit: int | None = None,
    train_limit: int | None = None,
    seed: int = 0,
) -> Task:
    """The task in a local copy of EntityQuestions.

    Args:
        data: the folder that holds train/, dev/, test/ and relation_query_templates.json.
        relations: Wikidata relations, such as ["P17", "P36"] or "P17,P36"; all by default.
        single_answer: only rows with exactly one gold answer.
        test_split: "test", or "dev" while trying things out.
        limit: at most this many questions on each side, drawn by seed.
        train_limit: at most this many questions to train on, instead of `limit`.
        seed: for the draw.

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
        ValueError: an unknown relation or split, or a question that does not fit its template.
    """
    if data is None:
        raise FileNotFoundError(f"entityquestions: give data=FOLDER; it can be had from {WHERE}")
    if test_split not in ("dev", "test"):
        raise ValueError(f"unknown test_split {test_split!r}. {nearest(test_split, ['dev', 'test'])}")
    held_out = read_split(data, test_split, relations, single_answer)
    barred = held_out + read_split(data, "test")
    train, _ = drop_overlap(read_split(data, "train", relations, single_answer), barred, "entityquestions")
    option, most = ("limit", limit) if train_limit is None else ("train_limit", train_limit)
    kept = sample_or_say(train, most, seed, f"entityquestions: {option}", "these relations have no more to train on")
    asked = sample_or_say(held_out, limit, seed, "entityquestions: limit", "these relations have no more held out")
    return Task("entityquestions", kept, asked)


def read_split(
    data: str | Path, split: str, relations: Sequence[str] | str = (), single_answer: bool = False
) -> tuple[Question, ...]:
    """The questions of one split, in the files' order, nothing left out for overlap; `metadata["relation"]` is set.

    The dev split of the same relation is where SliCK's few-shot examples come from.

    Args:
        data, relations, single_answer: as for `load_entity_questions`.
        split: "train", "dev" or "test".

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
        ValueError: an unknown relation or split, or a question that does not fit its template.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}. {nearest(split, SPLITS)}")
    folder = Path(data).expanduser()
    templates = _templates(folder)
    there = sorted((folder / split).glob(f"P*.{split}.json"), key=lambda file: int(file.name.split(".")[0][1:]))
    files = {file.name.split(".")[0]: file for file in there}
    wanted = [name.strip() for name in relations.split(",")] if isinstance(relations, str) and relations else relations
    for name in wanted or files:
        if name not in files or name not in templates:
            missing = "no relation" if name not in files else "no template with [X] for relation"
            raise ValueError(f"{missing} {name!r} in {folder / split}. {nearest(name, files)}")
    questions = [q for name in wanted or files for q in _relation(files[name], name, split, templates[name])]
    return tuple(q for q in questions if len(q.gold) == 1 or not single_answer)


def _templates(folder: Path) -> dict[str, str]:
    path = folder / "relation_query_templates.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: not found, so {folder} is no EntityQuestions folder; it can be had from {WHERE}"
        )
    templates = json.loads(path.read_text(encoding="utf-8"))
    return {name: template for name, template in templates.items() if template.count("[X]") == 1}


def _relation(path: Path, relation: str, split: str, template: str) -> list[Question]:
    (table,) = read_file(path)
    questions = []
    for number, row in enumerate(table.rows, 1):
        text, answers = row.fields.get("question"), row.fields.get("answers", [])
        if not isinstance(text, str) or not _are_texts(answers):
            raise ValueError(f"{row.where}: needs a text 'question' and a list of texts 'answers'")
        subject = subject_in(text, template)
        if not subject:
            raise ValueError(f"{row.where}: question {text!r} does not fit the template {template!r}")
        question = Question(f"{relation}-{split}-{number}", text, tuple(answers), subject)
        questions.append(replace(question, metadata={"relation": relation}))
    return questions


def _are_texts(answers: object) -> bool:
    return isinstance(answers, list) and bool(answers) and all(isinstance(a, str) and a.strip() for a in answers)


def subject_in(question: str, template: str) -> str:
    """The text that stands where the template has "[X]"; "" if the question does not fit.

    Example:
        >>> subject_in("Who is Ann Lee's child?", "Who is [X]'s child?"), subject_in("Why?", "Who is [X]'s child?")
        ('Ann Lee', '')
    """
    before, _, after = template.partition("[X]")
    fits = question.startswith(before) and question.endswith(after) and len(question) > len(before) + len(after)
    return question[len(before) : len(question) - len(after)] if fits else ""
