"""How a model was trained to be asked: the file that says it, and what people are told."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from abstain.evals.prompt_card import FILE, PromptCard, as_trained, read_card
from abstain.evals.tasks.question import Task

TEMPLATE = "Question: {question}\n{instruction}\nAnswer:"
CARD = PromptCard(
    template=TEMPLATE,
    prompt_format="plain",
    answer_format="plain",
    max_new_tokens=10,
    targets=[0.5, 0, 0.9],
    task="qa",
)
TASK = Task("other", (), (), max_new_tokens=32)


def test_what_is_saved_is_read_and_plain_json(tmp_path: Path) -> None:
    CARD.save(tmp_path)
    assert read_card(tmp_path) == CARD
    assert json.loads((tmp_path / FILE).read_text())["targets"] == [0.0, 0.5, 0.9]
    assert read_card(tmp_path / "checkpoint-4") is None  # there is no such folder
    (tmp_path / "checkpoint-4").mkdir()
    assert read_card(tmp_path / "checkpoint-4") == CARD
    (tmp_path / "other").mkdir()
    assert read_card(tmp_path / "other") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "JSON"),
        ("[]", "the file"),
        ('{"template": "{question}", "prompt_format": "plain", "max_new_tokens": 3}', "lacks {instruction}"),
        ('{"template": "{question}{instruction}", "prompt_format": "html", "max_new_tokens": 3}', "prompt_format"),
        ('{"template": "{question}{instruction}", "prompt_format": "chat", "max_new_tokens": 0}', "max_new_tokens"),
        (
            '{"template": "{question}{instruction}", "prompt_format": "chat", "max_new_tokens": 3, "targets": [1]}',
            "0, 1",
        ),
        ('{"version": 2, "template": "{question}{instruction}"}', "version"),
        (" " * 70_000, "larger than 64 KiB"),
    ],
)
def test_a_damaged_card_is_none_and_is_said(tmp_path: Path, caplog, text: str, reason: str) -> None:
    (tmp_path / FILE).write_text(text)
    with caplog.at_level(logging.WARNING):
        assert read_card(tmp_path) is None
    assert reason in caplog.text and FILE in caplog.text


def test_keys_of_later_versions_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps(CARD.model_dump() | {"colour": "red"}))
    assert read_card(tmp_path) == CARD


def test_the_card_decides_what_nobody_says() -> None:
    how = as_trained(CARD, TASK, targets=[0, 0.9])
    assert (how.task.template, how.task.max_new_tokens, how.task.answer_format) == (TEMPLATE, 10, "plain")
    assert (how.prompt_format, how.instruct, len(how.notes)) == ("plain", "target", 1)
    assert "t = 0, 0.5, 0.9" in how.notes[0] and "10 tokens" in how.notes[0]


def test_what_somebody_says_wins_and_is_warned_of() -> None:
    said = Task("other", (), (), template="{question} {instruction}", max_new_tokens=4)
    how = as_trained(
        CARD, said, {"template", "max_new_tokens"}, prompt_format="chat", instruct="nothing", targets=[0.3]
    )
    assert (how.task.template, how.task.max_new_tokens) == ("{question} {instruction}", 4)
    assert (how.prompt_format, how.instruct) == ("chat", "nothing")
    warnings = how.notes[1:]
    assert len(warnings) == 4 and all(note.startswith("warning: ") for note in warnings)
    for part in (repr(TEMPLATE), "plain prompts", "instruct: target", "10 tokens"):
        assert any(part in note for note in warnings)


@pytest.mark.parametrize(
    ("targets", "said"),
    [([0, 0.5], None), ([0.3], "t = 0.3 is none"), ([0, 0.3, 0.95], "t = 0.3, 0.95 are none")],
)
def test_targets_that_were_not_trained_are_warned_of(targets: list[float], said: str | None) -> None:
    notes = as_trained(CARD, TASK, targets=targets).notes[1:]
    assert [said in note for note in notes] == ([True] if said else [])


def test_a_model_without_a_card_is_asked_as_the_task_says_and_warned_of() -> None:
    how = as_trained(None, TASK, name="org/model", targets=[0.3])
    assert (how.task, how.prompt_format, how.instruct) == (TASK, "auto", "target")
    assert len(how.notes) == 1 and "warning: org/model has no abstain.json" in how.notes[0]


def test_other_words_than_todays_are_warned_of() -> None:
    old = CARD.model_copy(update={"wordings": {**CARD.wordings, "target": "Only if sure by {target}."}})
    assert "in other words" in as_trained(old, TASK, targets=[0]).notes[1]


def test_a_card_says_what_auto_meant_and_where_answers_end() -> None:
    tokens = SimpleNamespace(chat_template="{{ messages }}", convert_ids_to_tokens=lambda token: f"<{token}>")
    card = PromptCard.of(Task("t", (), ()), tokens, targets={0.5, 0}, stop=[2, 1])  # type: ignore[arg-type]
    assert (card.prompt_format, card.stop, card.targets) == ("chat", ["<1>", "<2>"], [0, 0.5])
    assert PromptCard.of(Task("t", (), ()), tokens, instruct="nothing", targets=[0.5]).targets == []  # type: ignore[arg-type]


def test_it_comes_back_from_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's cache as its client leaves it, read without a connection."""
    from huggingface_hub import constants
    from transformers.utils import hub

    revision = "a" * 40
    stored = tmp_path / "models--org--abstainer"
    CARD.save(stored / "snapshots" / revision)
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text(revision)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert read_card("org/abstainer") == CARD
    assert read_card("org/abstainer", revision=revision) == CARD
    assert read_card("org/another") is None
