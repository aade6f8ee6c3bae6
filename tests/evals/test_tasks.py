"""Every task loads, is told apart by name, and has a grader that accepts its own gold answers."""

import json
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.tasks.catalogue import TASKS, describe, load_task
from abstain.evals.tasks.entity_questions import read_split, subject_in
from abstain.evals.tasks.question import Question, Task
from abstain.evals.tasks.splits import check_overlap, sample
from abstain.rewards.graders import GRADERS
from abstain.rewards.grading import UNANSWERABLE, grade
from abstain.rewards.prompts import IDK
from abstain.rewards.verdict import Verdict

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TEMPLATES = {"P17": "Which country is [X] located in?", "P40": "Who is [X]'s child?"}


def test_every_task_has_a_summary_a_loader_and_options() -> None:
    for name, spec in TASKS.items():
        assert spec.summary and "\n" not in spec.summary and len(spec.summary) < 120, name
        assert callable(spec.loader()) and spec.options(), name
    assert {"factworld", "geo", "letters", "qa", "simpleqa", "popqa", "entityquestions"} <= set(TASKS)
    assert "preset" in TASKS["qa"].options() and "preset" not in TASKS["popqa"].options()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("simple_qa", {}, r"unknown task 'simple_qa'. Did you mean 'simpleqa'\? Allowed: .*factworld"),
        ("geo", {"min_populaton": 5}, r"task 'geo' has no option 'min_populaton'. Did you mean 'min_population'\?"),
        ("popqa", {"preset": "nq_open"}, r"task 'popqa' has no option 'preset'"),
        ("factworld", {"peoples": 5}, r"task 'factworld' has no option 'peoples'. Did you mean 'people'\?"),
        ("qa", {"dat": "x"}, r"task 'qa' has no option 'dat'. Did you mean 'data'\?"),
    ],
)
def test_mistyped_names_and_options(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_task(name, **options)


OFFLINE: dict[str, dict[str, Any]] = {
    "biographies": {"people": 300, "held_out": 60},
    "factworld": {"people": 400, "held_out": 100},
    "geo": {"kinds": "country,capital,continent", "min_population": 300_000},
    "letters": {"n": 300, "languages": "en,ja,zh"},
}
REAL: dict[str, tuple[str, str, dict[str, Any]]] = {
    "simpleqa": ("simpleqa", "simpleqa/simple_qa_test_set.csv", {}),
    "popqa json": ("popqa", "popqa/popqa_bunsenfeng.json", {}),
    "popqa jsonl": ("popqa", "popqa/popqa_subsample_gaurisankarj.jsonl", {}),
    "nq_open": ("nq_open", "nq_open/NQ-open.dev.jsonl", {}),
    "efficientqa": ("nq_open", "nq_open/NQ-open.efficientqa.test.1.1.jsonl", {}),
    "truthfulqa": ("truthfulqa", "truthfulqa/TruthfulQA.csv", {}),
    "selfaware": ("selfaware", "selfaware/SelfAware.json", {}),
    "entityquestions": ("entityquestions", "entity_questions", {"relations": "P17,P20,P36,P407"}),
}
REAL_SIZES = {
    "simpleqa": (0, 4326),
    "popqa json": (941, 1000),
    "popqa jsonl": (500, 500),
    "nq_open": (2888, 722),
    "efficientqa": (1415, 354),
    "truthfulqa": (408, 409),
    "selfaware": (1684, 1685),
}


def real_task(key: str) -> Task:
    name, path, options = REAL[key]
    if not (DATA / path).exists():
        pytest.skip(f"needs {path}")
    return load_task(name, data=DATA / path, **options)


def wrong(question: Question, grader: str) -> list[str]:
    """Gold answers that the task's own grader does not accept."""
    gold = list(question.gold)
    if question.gold == (UNANSWERABLE,):
        right = grade(IDK, gold, grader) == Verdict.ABSTAINED and grade("Paris", gold, grader) == Verdict.INCORRECT
        return [] if right else gold
    return [answer for answer in gold if grade(answer, gold, grader) != Verdict.CORRECT]


def check_task(task: Task, tolerated: float = 0) -> None:
    everything = [*task.train, *task.held_out]
    assert task.grader in GRADERS and task.held_out
    assert len({question.id for question in everything}) == len(everything)
    assert not check_overlap(task.train, task.held_out)
    asked = sample(everything, 300)
    refused = {question.id: answers for question in asked if (answers := wrong(question, task.grader))}
    assert len(refused) <= tolerated * len(asked), refused


@pytest.mark.parametrize("name", sorted(OFFLINE))
def test_offline_tasks_are_sound_and_repeatable(name: str) -> None:
    task = load_task(name, **OFFLINE[name])
    check_task(task)
    assert task.name == name and task.train
    assert load_task(name, **OFFLINE[name]) == task
    assert load_task(name, **OFFLINE[name], seed=1) != task


@pytest.mark.parametrize("key", sorted(REAL))
def test_real_question_sets_are_sound(key: str) -> None:
    task = real_task(key)
    check_task(task, tolerated=0.02)  # golds such as "unclear" and "some people think that ..."
    assert REAL_SIZES.get(key) in (None, (len(task.train), len(task.held_out)))


def test_real_metadata() -> None:
    popular = real_task("popqa jsonl").held_out[0]
    assert (popular.subject, popular.metadata) == ("Easy Living", {"popularity": 1381, "relation": "composer"})
    topics = {question.metadata["topic"] for question in real_task("simpleqa").held_out}
    assert "Science and technology" in topics and len(topics) == 10
    unsure = real_task("selfaware")
    assert sum(q.gold == (UNANSWERABLE,) for q in unsure.train + unsure.held_out) == 1032


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    """EntityQuestions' layout with invented facts."""

    def write(split: str, relation: str, facts: dict[str, list[str]]) -> None:
        (tmp_path / split).mkdir(exist_ok=True)
        before, after = TEMPLATES[relation].split("[X]")
        rows = [{"question": before + subject + after, "answers": answers} for subject, answers in facts.items()]
        (tmp_path / split / f"{relation}.{split}.json").write_text(json.dumps(rows))

    (tmp_path / "relation_query_templates.json").write_text(json.dumps(TEMPLATES))
    write("train", "P17", {"Ashby": ["Utopia"], "Bree": ["Eriador"], "Ann Lee": ["Nowhere"]})
    write("train", "P40", {"Bree's": ["Tom"], "Zed": ["Kim", "Lee"]})
    write("dev", "P17", {"Delft": ["Utopia"]})
    write("dev", "P40", {"Dora": ["Eve"]})
    write("test", "P17", {"Bree": ["Eriador", "Arnor"]})
    write("test", "P40", {"ann lee": ["Sue"]})
    return tmp_path


def test_entity_questions_subjects_relations_and_overlap(small_folder: Path) -> None:
    task = load_task("entityquestions", data=small_folder)
    ids = {"P17-train-1": "Ashby", "P40-train-1": "Bree's", "P40-train-2": "Zed"}
    assert {q.id: q.subject for q in task.train} == ids
    assert [(q.subject, q.metadata["relation"]) for q in task.held_out] == [("Bree", "P17"), ("ann lee", "P40")]
    only = load_task("entityquestions", data=small_folder, relations=["P17"], single_answer=True)
    assert [q.subject for q in only.train] == ["Ashby"]  # Ann Lee is barred by P40's test file, which is not asked for
    assert only.held_out == ()
    dev = load_task("entityquestions", data=small_folder, test_split="dev")
    assert [q.subject for q in dev.held_out] == ["Delft", "Dora"]


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (None, {"relations": "P18"}, r"no relation 'P18' in .*test. Did you mean 'P17'"),
        (None, {"test_split": "train"}, r"unknown test_split 'train'. Allowed: dev, test"),
        (
            [{"question": "Where is it?", "answers": ["x"]}],
            {},
            r"P17.train.json: row 1: question 'Where is it\?' does not fit the template",
        ),
        (
            [{"question": "Where?", "answers": []}],
            {},
            r"P17.train.json: row 1: needs a text 'question' and a list of texts 'answers'",
        ),
    ],
)
def test_entity_questions_errors(
    small_folder: Path, rows: list[dict] | None, options: dict[str, Any], message: str
) -> None:
    if rows:
        (small_folder / "train" / "P17.train.json").write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=message):
        load_task("entityquestions", data=small_folder, **options)


def test_entity_questions_says_where_the_data_can_be_had(tmp_path: Path) -> None:
    for options in ({}, {"data": tmp_path}):
        with pytest.raises(FileNotFoundError, match="princeton-nlp/EntityQuestions"):
            load_task("entityquestions", **options)
    with pytest.raises(ValueError, match=r"unknown split 'tset'. Did you mean 'test'"):
        read_split(tmp_path, "tset")


@pytest.mark.parametrize(
    ("question", "template", "subject"),
    [
        ("Where was Ann Lee born?", "Where was [X] born?", "Ann Lee"),
        ("Who owns a [X]?", "Who owns [X]?", "a [X]"),
        ("Who owns ?", "Who owns [X]?", ""),
        ("Who sold it?", "Who owns [X]?", ""),
    ],
)
def test_subject_in(question: str, template: str, subject: str) -> None:
    assert subject_in(question, template) == subject


def test_describe_says_what_there_is() -> None:
    asked = (Question("1", "Why?", (UNANSWERABLE,)), Question("2", "Who?", ("Poe",)), Question("3", "who", ("Eco",)))
    text = describe(Task("mine", asked[:1], asked[1:], "exact"))
    assert text == (
        "mine: 1 training and 2 held-out questions; 1 of them unanswerable; train and held-out questions share no "
        "subject and no question text (no subject is known: texts decide); 1 question is asked more than once; "
        "grader exact. For example: Who? -> Poe"
    )
    shared = describe(Task("mine", asked[1:2], asked[2:]))
    assert "1 training questions share a subject (0) or their text (1)" in shared
    assert describe(Task("mine", (), ())) == "mine: 0 training and 0 held-out questions; grader match."
    assert describe(Task("mine", (), (), answer_format="tag")).endswith("; grader match, answers read as tag.")


def test_every_task_takes_a_template_and_room_for_an_answer() -> None:
    words, template = ["Anna", "Otto"], "{question} {instruction} A:"
    task = load_task("letters", words=words, held_out=0.5, template=template, max_new_tokens=3)
    assert (task.template, task.max_new_tokens) == (template, 3)
    with pytest.raises(ValueError, match=r"lacks \{instruction\}"):
        load_task("letters", words=words, held_out=0.5, template="{question}")
