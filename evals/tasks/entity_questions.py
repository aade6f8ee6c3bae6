"""EntityQuestions (Sciavolino et al. 2021): one template per Wikidata relation, well known and obscure subjects.

    train/P17.train.json: [{"question": "Which country is Painblanc located in?", "answers": ["France"]}, ...]
    relation_query_templates.json: {"P17": "Which country is [X] located in?", ...}

The subject stands where the template has "[X]". Training rows whose subject is one of *any* relation's test file are
left out, as Gekhman et al. (2024) do. Their data, 81,700 questions to train on, 10,481 held out of the same relations,
and 5,848 of others:

    load_task("entityquestions", data=FOLDER, relations=TRAINED, held_out_relations=HELD_OUT_ONLY, single_answer=True,
              same_subject="as_written")

The folder is `dataset/` of github.com/princeton-nlp/EntityQuestions at commit 096c261f; it is not on the hub.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from abstain.evals.tasks.evidence import Fact, a_or_e, check_documents, with_documents
from abstain.evals.tasks.factworld_relations import LETTERS
from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.rows import read_file
from abstain.evals.tasks.splits import drop_overlap, sample_or_say, subject_key
from abstain.rewards.errors import nearest

SPLITS = ("train", "dev", "test")
TRAINED = ("P131", "P136", "P17", "P19", "P26", "P264", "P36", "P40", "P495", "P69", "P740", "P800")
"""The relations that Gekhman et al. train on, and hold questions out of."""
HELD_OUT_ONLY = ("P127", "P50", "P407", "P176", "P170", "P175", "P112")
"""Those that they only hold out."""
STATEMENTS = {
    "P17": "[X] is located in {answer}.",
    "P19": "[X] was born in {answer}.",
    "P20": "[X] died in {answer}.",
    "P26": "[X] is married to {answer}.",
    "P36": "The capital of [X] is {answer}.",
    "P40": "{answer} is a child of [X].",
    "P50": "[X] was written by {answer}.",
    "P69": "[X] was educated at {answer}.",
    "P106": "The occupation of [X] is {answer}.",
    "P112": "[X] was founded by {answer}.",
    "P127": "[X] is owned by {answer}.",
    "P131": "[X] is located in {answer}.",
    "P136": "The genre of [X] is {answer}.",
    "P159": "The headquarters of [X] are in {answer}.",
    "P170": "[X] was created by {answer}.",
    "P175": "[X] was performed by {answer}.",
    "P176": "[X] is produced by {answer}.",
    "P264": "[X] is represented by the music label {answer}.",
    "P276": "[X] is located in {answer}.",
    "P407": "[X] was written in {answer}.",
    "P413": "[X] plays in the position of {answer}.",
    "P495": "[X] was created in {answer}.",
    "P740": "[X] was founded in {answer}.",
    "P800": "[X] is famous for {answer}.",
}
"""How a document states a fact of each relation, with the subject where "[X]" is."""
SOURCES = ("{statement}", "One source says: {statement}", "Another source says: {statement}")
SAME = ("normalised", "as_written")
WHERE = "github.com/princeton-nlp/EntityQuestions at commit 096c261f, folder dataset/"


def load_entity_questions(
    data: str | Path | None = None,
    relations: Sequence[str] | str = (),
    held_out_relations: Sequence[str] | str = (),
    single_answer: bool = False,
    test_split: str = "test",
    same_subject: str = "normalised",
    documents: Mapping[str, float] | None = None,
    documents_each: int = 4,
    limit: int | None = None,
    train_limit: int | None = None,
    seed: int = 0,
) -> Task:
    """The task in a local copy of EntityQuestions.

    Its `examples`, which few-shot prompts show, are the dev split of the same relations, without what is about the
    same as a question of the task; there are none where the dev split is held out.

    Args:
        data: the folder that holds train/, dev/, test/ and relation_query_templates.json.
        relations: Wikidata relations, such as ["P17", "P36"] or "P17,P36"; all by default.
        held_out_relations: further relations, of which questions are only held out.
        single_answer: only rows with exactly one gold answer.
        test_split: "test", or "dev" while trying things out.
        same_subject: which subjects are the same: "normalised" ones, where case and punctuation at the ends do not
            count, or "as_written", as in the paper, which trains on 17 questions more.
        documents: questions come with documents that are made of the facts of their side: the share of each kind in
            `abstain.evals.tasks.evidence.KINDS`.
        documents_each: how many each question has; 0 asks the same questions without.
        limit: at most this many questions on each side, drawn by seed.
        train_limit: at most this many questions to train on, instead of `limit`.
        seed: for the draws.

    Raises:
        FileNotFoundError: the folder or one of its files is missing.
        ValueError: an unknown relation or split, a relation on both sides and held out only, nothing left to train
            on, or a question that does not fit its template.
    """
    if data is None:
        raise FileNotFoundError(f"entityquestions: give data=FOLDER; it can be had from {WHERE}")
    for option, value, allowed in (("test_split", test_split, ("dev", "test")), ("same_subject", same_subject, SAME)):
        if value not in allowed:
            raise ValueError(f"unknown {option} {value!r}. {nearest(value, allowed)}")
    trained, only = _names(relations), _names(held_out_relations)
    if only and not trained:
        trained = [name for name in _files(Path(data).expanduser(), "train") if name not in only]
    if both := [name for name in only if name in trained]:
        raise ValueError(
            f"{both[0]} is one of relations and of held_out_relations: the latter are those that are only held out"
        )
    held_out = read_split(data, test_split, [*trained, *only], single_answer)
    tested = held_out if test_split == "test" and not (trained or single_answer) else read_split(data, "test")
    train = read_split(data, "train", trained, single_answer)
    if same_subject == "as_written":
        barred = {question.subject for question in (*held_out, *tested)}
        train = tuple(question for question in train if question.subject not in barred)
    else:
        train, _ = drop_overlap(train, held_out + tested, "entityquestions")
    shown: tuple[Question, ...] = ()
    if test_split != "dev":
        asked = {subject_key(question) for question in (*train, *held_out)}
        there = _files(Path(data).expanduser(), "dev")
        wanted = [name for name in [*trained, *only] or there if name in there]
        examples = read_split(data, "dev", wanted, single_answer) if wanted else ()
        shown = tuple(question for question in examples if subject_key(question) not in asked)
    option, most = ("limit", limit) if train_limit is None else ("train_limit", train_limit)
    kept = sample_or_say(train, most, seed, f"entityquestions: {option}", "these relations have no more to train on")
    asked_of = sample_or_say(held_out, limit, seed, "entityquestions: limit", "these relations have no more held out")
    if documents:
        check_documents(documents, documents_each)
        kept = _with_documents(kept, documents, documents_each, random.Random(f"{seed} documents train"))
        asked_of = _with_documents(asked_of, documents, documents_each, random.Random(f"{seed} documents held_out"))
    return Task("entityquestions", kept, asked_of, examples=shown)


def _with_documents(
    questions: Sequence[Question], shares: Mapping[str, float], each: int, rng: random.Random
) -> tuple[Question, ...]:
    """The questions of one side with documents made of their own facts."""
    facts = [_fact(question) for question in questions]
    found = []
    for question, shown in zip(questions, with_documents(facts, shares, each, rng), strict=True):
        if shown.kind == "letters":
            asked, gold = LETTERS.ask(question.subject), (str(a_or_e(question.subject)),)
            question = replace(question, question=asked, gold=gold)
        metadata = {**question.metadata, "documents": shown.kind}
        found.append(replace(question, metadata=metadata, documents=shown.documents))
    return tuple(found)


def _fact(question: Question) -> Fact:
    """The fact that a question asks for, as documents state it."""
    relation = str(question.metadata["relation"])
    known = STATEMENTS.get(relation, f"{question.question} {{answer}}.")
    said = known.replace("[X]", question.subject)
    wordings = tuple(source.replace("{statement}", said) for source in SOURCES)
    return Fact(question.question, question.gold[0], wordings, relation)


def read_split(
    data: str | Path, split: str, relations: Sequence[str] | str = (), single_answer: bool = False
) -> tuple[Question, ...]:
    """The questions of one split, in the files' order, nothing left out for overlap; `metadata["relation"]` is set.

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
    templates, files = _templates(folder), _files(folder, split)
    wanted = _names(relations)
    for name in wanted or files:
        if name not in files or name not in templates:
            missing = "no relation" if name not in files else "no template with [X] for relation"
            raise ValueError(f"{missing} {name!r} in {folder / split}. {nearest(name, files)}")
    questions = [q for name in wanted or files for q in _relation(files[name], name, split, templates[name])]
    return tuple(q for q in questions if len(q.gold) == 1 or not single_answer)


def _names(relations: Sequence[str] | str) -> list[str]:
    """Relations as a list, however they were given."""
    if isinstance(relations, str):
        return [name.strip() for name in relations.split(",") if name.strip()]
    return list(relations)


def _files(folder: Path, split: str) -> dict[str, Path]:
    """The file of each relation, in the order of their numbers."""
    there = sorted((folder / split).glob(f"P*.{split}.json"), key=lambda file: int(file.name.split(".")[0][1:]))
    return {file.name.split(".")[0]: file for file in there}


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
