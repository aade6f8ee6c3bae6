"""The counts of Gekhman et al. (2024), relation by relation, and what is shown, held out and left out."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.tasks.catalogue import load_task
from abstain.evals.tasks.entity_questions import HELD_OUT_ONLY, TRAINED
from abstain.evals.tasks.splits import subject_key

DATA = Path(__file__).parents[3] / "shared" / "data" / "entity_questions"
TRAIN = (7646, 7516, 7890, 7921, 7456, 7324, 6815, 6110, 7674, 6721, 7271, 1356)
TEST = (965, 967, 996, 999, 951, 958, 880, 801, 993, 840, 942, 189)
OUT_OF_DISTRIBUTION = (990, 967, 623, 972, 850, 980, 466)
TEMPLATES = {"P17": "Which country is [X] located in?", "P40": "Who is [X]'s child?", "P36": "Capital of [X]?"}
FACTS = {
    "train": {"P17": {"Ashby": "Utopia", "Tal": "Oz", "bree": "Eriador", "Rye": "Kent"}, "P40": {"Zed": "Kim"}},
    "dev": {"P17": {"Delft": "Utopia", "ASHBY": "Utopia"}, "P40": {"Dora": "Eve"}, "P36": {"Iran": "Tehran"}},
    "test": {"P17": {"Bree": "Eriador"}, "P40": {"Sam": "Elanor", "Rye": "Bob"}, "P36": {"Peru": "Lima"}},
}


def test_all_31_counts_are_those_of_the_paper() -> None:
    if not DATA.exists():
        pytest.skip("needs entity_questions")
    paper: dict[str, Any] = {"relations": TRAINED, "held_out_relations": HELD_OUT_ONLY, "single_answer": True}
    task = load_task("entityquestions", data=DATA, same_subject="as_written", **paper)
    train, held_out = (Counter(q.metadata["relation"] for q in side) for side in (task.train, task.held_out))
    assert train == dict(zip(TRAINED, TRAIN, strict=True))
    assert held_out == dict(zip((*TRAINED, *HELD_OUT_ONLY), (*TEST, *OUT_OF_DISTRIBUTION), strict=True))
    assert (sum(TRAIN), sum(TEST), sum(OUT_OF_DISTRIBUTION)) == (81_700, 10_481, 5_848)
    examples = Counter(q.metadata["relation"] for q in task.examples)
    assert set(examples) == {*TRAINED, *HELD_OUT_ONLY} and min(examples.values()) > 100
    assert not {*map(subject_key, task.examples)} & {*map(subject_key, (*task.train, *task.held_out))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """EntityQuestions' layout with invented facts."""
    (tmp_path / "relation_query_templates.json").write_text(json.dumps(TEMPLATES))
    for split, relations in FACTS.items():
        (tmp_path / split).mkdir()
        for relation in TEMPLATES:
            asked = [
                (TEMPLATES[relation].replace("[X]", x), y) for x, y in relations.get(relation, {"Oz": "Oz"}).items()
            ]
            rows = [{"question": question, "answers": [answer]} for question, answer in asked]
            (tmp_path / split / f"{relation}.{split}.json").write_text(json.dumps(rows))
    return tmp_path


def test_examples_are_the_dev_split_without_what_is_asked(folder: Path) -> None:
    task = load_task("entityquestions", data=folder, relations=["P17"], held_out_relations="P36")
    assert [q.subject for q in task.train] == [
        "Ashby",
        "Tal",
    ]  # Rye is in another relation's test file, bree in this one's
    assert [q.subject for q in task.held_out] == ["Bree", "Peru"]
    assert [q.subject for q in task.examples] == ["Delft", "Iran"]  # not ASHBY, who is trained on
    assert load_task("entityquestions", data=folder, relations=["P17"], test_split="dev").examples == ()


def test_a_relation_without_a_dev_split_has_no_examples(folder: Path) -> None:
    (folder / "dev" / "P36.dev.json").unlink()
    both = load_task("entityquestions", data=folder, relations=["P17", "P36"])
    assert {q.metadata["relation"] for q in both.examples} == {"P17"} and len(both.held_out) > 1
    for file in (folder / "dev").iterdir():
        file.unlink()
    (folder / "dev").rmdir()
    assert load_task("entityquestions", data=folder, relations=["P17"]).examples == ()


def test_a_limit_does_not_change_the_examples(folder: Path) -> None:
    few, all_ = (load_task("entityquestions", data=folder, limit=limit) for limit in (1, None))
    assert few.examples == all_.examples and len(few.train) == 1


def test_relations_that_are_only_held_out(folder: Path) -> None:
    task = load_task("entityquestions", data=folder, held_out_relations=["P17"])
    assert {q.metadata["relation"] for q in task.train} == {"P40", "P36"}  # all the others
    assert {q.metadata["relation"] for q in task.held_out} == {"P17", "P40", "P36"}
    with pytest.raises(ValueError, match="P17 is one of relations and of held_out_relations"):
        load_task("entityquestions", data=folder, relations="P17, P40", held_out_relations="P17")


def test_subjects_as_they_are_written(folder: Path) -> None:
    as_paper = load_task("entityquestions", data=folder, relations="P17", same_subject="as_written")
    assert [q.subject for q in as_paper.train] == ["Ashby", "Tal", "bree"]
    with pytest.raises(ValueError, match=r"unknown same_subject 'exact'\. Allowed: as_written, normalised"):
        load_task("entityquestions", data=folder, same_subject="exact")
