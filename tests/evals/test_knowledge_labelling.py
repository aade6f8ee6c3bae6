"""Labelling with a model that follows a script: what is asked, how often, and what comes of it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from abstain.evals.knowledge import labelling
from abstain.evals.knowledge.exemplars import Renderer
from abstain.evals.knowledge.labelling import cached_labels, label_into, label_questions
from abstain.evals.knowledge.labels import ABOUT, Category, Labels, read_labels
from abstain.evals.knowledge.partial import PARTIAL
from abstain.evals.knowledge.protocol import find_protocol
from abstain.evals.models import load_model
from abstain.evals.tasks.question import Task
from abstain.rewards.grading import UNANSWERABLE

from .knowledge_stub import RIGHT, WRONG, Said, Scripted, ask, facts, toy

WHOSE: dict[str, Any] = {"fingerprint": "abc", "model": "stub"}


def label(says: Said, task: Task | None = None, *, stub: Scripted | None = None, **how: Any) -> Labels:
    task = task or toy()
    protocol = find_protocol(
        **{key: how.pop(key) for key in list(how) if key in ("preset", "samples", "prompts", "shots")}
    )
    return label_questions(stub or Scripted(says), task, (*task.train, *task.held_out), protocol, **(WHOSE | how))


def by_counts(greedy: dict[str, int], sampled: dict[str, int]) -> Said:
    """Right in the first so many prompts; one sample of the first prompt right, or those of so many prompts."""

    def says(name: str, place: int, draw: int) -> str:
        right = place < (greedy if draw < 0 else sampled).get(name, 0)
        return RIGHT if right and (draw < 0 or draw == 3) else WRONG

    return says


TRUTH = (  # right greedy answers of 10, prompts with a right sample
    ("N0", 10, 10, Category.HIGHLY_KNOWN),
    ("N1", 10, 0, Category.HIGHLY_KNOWN),
    ("N2", 3, 0, Category.MAYBE_KNOWN),
    ("N3", 1, 5, Category.MAYBE_KNOWN),
    ("N4", 0, 1, Category.WEAKLY_KNOWN),
    ("N5", 0, 0, Category.UNKNOWN),
)
SAYS = by_counts({name: count for name, count, _, _ in TRUTH}, {name: count for name, _, count, _ in TRUTH})


def test_categories_by_right_greedy_and_sampled_answers() -> None:
    stub = Scripted(SAYS)
    labels = label(SAYS, stub=stub, preset="paper")
    assert {row.id.split("-")[0]: row.category for row in labels.rows} == {name: kind for name, _, _, kind in TRUTH}
    for row, (_, greedy, prompts, _) in zip(labels.rows, TRUTH, strict=True):
        assert (sum(row.greedy), sum(row.sampled), len(row.sampled)) == (greedy, prompts, 10)
        assert (row.p_greedy, row.p_sampled, row.p_correct) == (greedy / 10, prompts / 160, prompts / 160)
        assert row.p_low <= row.p_correct <= row.p_high
    assert labels.about.counts == {
        Category.HIGHLY_KNOWN: 2, Category.MAYBE_KNOWN: 2, Category.WEAKLY_KNOWN: 1, Category.UNKNOWN: 1
    }  # fmt: skip
    assert stub.answers == 6 * 170 and stub.calls == [(60, True, 16)]
    assert (stub.wanted.temperature, stub.wanted.top_k, stub.wanted.stop) == (0.5, 40, "\n")


def test_only_categories_stop_where_they_are_settled() -> None:
    stub = Scripted(SAYS)
    paper, early = label(SAYS, preset="paper"), label(SAYS, stub=stub, preset="categories")
    assert [row.category for row in early.rows] == [row.category for row in paper.rows]
    greedy, *rounds = stub.calls
    assert greedy == (60, True, 0)
    assert rounds == [(2, False, 16), (2, False, 16), (4, False, 16), (3, False, 16)]  # N4 and N5, then N5 alone
    assert stub.answers == 60 + 16 * 11
    weakly, unknown = early.rows[4:]
    assert (weakly.sampled, weakly.p_sampled, weakly.p_correct) == ((1,), None, 0.0)
    assert (unknown.sampled, unknown.p_sampled) == ((0,) * 10, None)


def test_greedy_and_quick() -> None:
    stub = Scripted(SAYS)
    rows = label(SAYS, stub=stub, preset="greedy").rows
    assert stub.answers == 60 and rows[4].category == rows[5].category == Category.UNKNOWN
    assert all(row.p_sampled is None and row.p_correct == row.p_greedy for row in rows)
    stub = Scripted(SAYS)
    label(SAYS, stub=stub, preset="quick")
    assert stub.answers == 6 * 15


def test_prompts_are_four_examples_and_the_question() -> None:
    stub = Scripted(SAYS)
    label(SAYS, toy(train=1), stub=stub, preset="greedy")
    assert len(set(stub.prompts)) == 10
    blocks = stub.prompts[0].split("\n\n")
    assert [block.split(" ")[0] for block in blocks] == ["Q:"] * 5
    assert all(block.endswith("\nA: Lima") and "Where was E" in block for block in blocks[:4])
    assert blocks[4] == "Q: Where was N0 born?\nA:"


def test_any_of_several_golds_is_right_and_the_first_is_shown() -> None:
    many = tuple(replace(one, gold=("Cuzco", "Lima")) for one in facts(30, start="E"))
    task = replace(toy(train=1), train=(ask("N0", gold=("Quito", "Lima", "Rome")),), examples=many)
    stub = Scripted(lambda *_: "lima.")
    (row,) = label(lambda *_: "", task, stub=stub, preset="greedy").rows
    assert row.category == Category.HIGHLY_KNOWN and row.answers[0] == "lima."
    assert "A: Cuzco\n\n" in stub.prompts[0] and "Lima" not in stub.prompts[0]


def test_questions_without_a_right_answer_are_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    train = (ask("N0"), ask("N1", gold=(UNANSWERABLE,)), ask("N2", gold=()))
    labels = label(SAYS, replace(toy(), train=train), preset="greedy")
    assert [row.id for row in labels.rows] == ["N0-born"]
    assert "toy: 2 questions are not labelled: no answer to them is right" in caplog.text


def test_an_endpoint_that_does_not_reply_leaves_a_fact_unlabelled(caplog: pytest.LogCaptureFixture) -> None:
    labels = label(lambda name, place, draw: "FAILED" if name == "N1" and place == 2 else RIGHT, preset="categories")
    assert [row.id.split("-")[0] for row in labels.rows] == ["N0", "N2", "N3", "N4", "N5"]
    assert "stub: 1 question is not labelled, for want of a reply" in caplog.text


def test_a_model_that_says_nothing_is_not_one_that_knows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    label(lambda name, place, draw: "" if place < 6 else WRONG, preset="greedy")
    assert "stub: 36 of 60 greedy answers are empty, which says nothing of what it knows" in caplog.text
    caplog.clear()
    label(lambda name, place, draw: "" if place < 5 else WRONG, preset="greedy")
    assert not caplog.text


# Interrupted and gone on with


def into(
    folder: Path, says: Any, preset: str = "greedy", *, resume: bool = False, task: Task | None = None, **how: Any
):  # type: ignore[no-untyped-def]
    task = task or toy()
    protocol = find_protocol(preset, **{key: how.pop(key) for key in list(how) if key in ("shots", "samples")})
    return label_into(folder, says, task, task.train, protocol, render=Renderer(), resume=resume, **(WHOSE | how))


class Stops(Scripted):
    """Is interrupted at its second call."""

    def __call__(self, *prompts: Any, **how: Any) -> Any:
        if self.calls:
            raise KeyboardInterrupt
        return super().__call__(*prompts, **how)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which 4 of 6 facts are labelled."""
    monkeypatch.setattr(labelling, "CHUNK", 4)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        into(tmp_path / "labels", Stops(SAYS))
    assert "4 labels are kept in" in interrupt.value.__notes__[0] and "--resume" in interrupt.value.__notes__[0]
    return tmp_path / "labels"


def test_an_interrupted_labelling_goes_on(begun: Path, tmp_path: Path) -> None:
    assert [path.name for path in begun.iterdir()] == [PARTIAL]
    with pytest.raises(FileExistsError, match="holds labels that are not finished: add --resume"):
        into(begun, Scripted(SAYS))
    stub = Scripted(SAYS)
    labels = into(begun, stub, resume=True)
    assert stub.calls == [(20, True, 0)]
    whole = into(tmp_path / "other", Scripted(SAYS))
    assert labels == whole == read_labels(begun)
    assert sorted(path.name for path in begun.iterdir()) == ["labels.json", "labels.jsonl"]
    with pytest.raises(FileExistsError, match="holds labels: add --resume"):
        into(begun, Scripted(SAYS))


def test_a_label_is_of_the_same_text_and_gold(tmp_path: Path) -> None:
    """Somebody has put a row at the top of a file without ids, and mended a gold: two of six are asked again."""
    task = toy()
    into(tmp_path / "labels", Scripted(SAYS), task=task)
    first, second, *rest = task.train
    changed = (replace(first, question="Where was Zoe born?"), replace(second, gold=("Quito",)), *rest)
    stub = Scripted(SAYS)
    labels = into(tmp_path / "labels", stub, resume=True, task=replace(task, train=changed))
    assert stub.calls == [(20, True, 0)]
    assert {row.id: (row.question, row.gold) for row in labels.rows} == {q.id: (q.question, q.gold) for q in changed}
    assert len(labels.of(task.train).rows) == 4


def test_a_killed_process_leaves_whole_lines(begun: Path) -> None:
    path = begun / PARTIAL
    path.write_bytes(path.read_bytes()[:-20])
    stub = Scripted(SAYS)
    labels = into(begun, stub, resume=True)
    assert len(labels.rows) == 6 and stub.calls == [(10, True, 0), (20, True, 0)]


def test_more_questions_are_added_to_finished_labels(begun: Path) -> None:
    into(begun, Scripted(SAYS), resume=True)
    stub = Scripted(SAYS)
    labels = into(begun, stub, resume=True, task=toy(train=8))
    assert len(labels.rows) == labels.about.n == 8 and stub.calls == [(20, True, 0)]
    fewer = into(begun, Scripted(SAYS), resume=True, task=toy(train=2))
    assert len(fewer.rows) == fewer.about.n == sum(fewer.about.counts.values()) == 8  # none is thrown away


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"preset": "quick"}, r"preset was greedy, is quick; prompts was 10, is 3; .*type --preset greedy, or"),
        ({"shots": 2}, r"shots was 4, is 2\. To go on as before type --preset greedy, or choose another"),
        ({"seed": 3}, r"seed was 0, is 3\. To go on as before type --seed 0, or"),
        ({"fingerprint": "def"}, r"another model knows \(fingerprint abc, that of stub is def\)"),
        ({"task": replace(toy(), name="other")}, r"task was toy, is other\. .*type --task toy, or"),
        ({"task_options": {"limit": 3}}, r"--option limit was absent, is 3\. .*type no --option limit, or"),
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_labels_made_otherwise_are_not_gone_on_with(
    begun: Path, change: dict[str, Any], message: str, finished: bool
) -> None:
    if finished:
        into(begun, Scripted(SAYS), resume=True)
    before = {path.name: path.read_bytes() for path in begun.iterdir()}
    with pytest.raises(ValueError, match=message):
        into(begun, Scripted(SAYS), resume=True, **change)
    assert {name: (begun / name).read_bytes() for name in before} == before


def test_what_was_typed_besides_the_preset_is_said(tmp_path: Path) -> None:
    into(tmp_path, Scripted(SAYS), "paper", shots=2, seed=5, task_options={"data": "my file.csv"})
    with pytest.raises(ValueError, match=r"--option 'data=my file\.csv' --preset paper --shots 2 --seed 5, or"):
        into(tmp_path, Scripted(SAYS), "greedy", resume=True)


def test_two_processes_do_not_write_to_one_folder(tmp_path: Path) -> None:
    class Nosy(Scripted):
        def __call__(self, *prompts: Any, **how: Any) -> Any:
            with pytest.raises(BlockingIOError, match="another process is labelling into"):
                into(tmp_path, Scripted(SAYS), resume=True)
            return super().__call__(*prompts, **how)

    assert len(into(tmp_path, Nosy(SAYS)).rows) == 6


def test_what_fails_before_a_label_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only 2 questions to show in prompts of 4: give --shots 2"):
        into(tmp_path / "new", Scripted(SAYS), task=toy(examples=facts(2, start="E")))
    assert not (tmp_path / "new").exists()


# A model that runs here


def test_labels_of_a_model_are_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model_dir: Path
) -> None:
    monkeypatch.setenv("ABSTAIN_CACHE", str(tmp_path))
    monkeypatch.setattr("abstain.evals.models.fast_bfloat16", lambda device: True)
    loaded, task = load_model(tiny_model_dir), toy(train=3)
    first = cached_labels(loaded, task, task.train, find_protocol("quick", max_new_tokens=2))
    (folder,) = tmp_path.glob("labels-*")
    assert (folder / ABOUT).is_file() and first.about.protocol["prompt_format"] == "plain"
    monkeypatch.setattr(labelling, "label_model", None)  # who asks again is not answered by a model
    assert cached_labels(loaded, task, task.train, find_protocol("quick", max_new_tokens=2)) == first
    for other in (
        {"seed": 1},
        {"autocast": True},
        {"questions": task.train[:2]},
        {"protocol": find_protocol("greedy")},
        {"task": replace(task, examples=task.examples[:9])},
    ):
        how: dict[str, Any] = {
            "task": task,
            "questions": task.train,
            "protocol": find_protocol("quick", max_new_tokens=2),
        }
        with pytest.raises(TypeError):
            cached_labels(loaded, **(how | other))


def test_options_are_written_down_as_json(tmp_path: Path) -> None:
    into(tmp_path, Scripted(SAYS), task_options={"data": Path("x.csv"), "kinds": ("a", "b")})
    assert json.loads((tmp_path / ABOUT).read_text())["task_options"] == {"data": "x.csv", "kinds": ["a", "b"]}
    assert (
        len(into(tmp_path, Scripted(SAYS), resume=True, task_options={"data": "x.csv", "kinds": ["a", "b"]}).rows) == 6
    )


def test_questions_that_are_shown_are_not_labelled(caplog: pytest.LogCaptureFixture) -> None:
    task = toy(train=50, examples=())
    stub = Scripted(lambda *_: RIGHT)
    labels = label(SAYS, task, stub=stub, preset="greedy")
    shown = {name for prompt in stub.prompts for block in prompt.split("\n\n")[:-1] for name in [block.split()[3]]}
    assert len(labels.rows) == 40 and len(shown) == 10
    assert not shown & {row.id.split("-")[0] for row in labels.rows}
    assert "of the training ones, 10 of born are shown in prompts, and not labelled" in caplog.text
