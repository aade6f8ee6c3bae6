"""Counting letters in words of any script."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.tasks.letters import ASK, COMMON, count, letters_of, load_letters


@pytest.mark.parametrize(
    ("letter", "word", "times"),
    [
        ("D", "DEEPSEEK", 1),
        ("e", "DEEPSEEK", 4),
        ("r", "strawberry", 3),
        ("z", "strawberry", 0),
        ("é", "e\u0301te\u0301", 2),
        ("e", "été", 0),
        ("ß", "Straße", 1),
        ("s", "Straße", 1),
        ("は", "はははは", 4),
        ("が", "か\u3099か", 1),
        ("人", "人人为我", 2),
        ("한", "한국한", 2),
        ("नि", "निनन", 1),
        ("क्ष", "क्षक", 1),
        ("👍🏽", "👍🏽👍", 1),
        ("🇵🇪", "🇵🇪🇳🇴", 1),
    ],
)
def test_count(letter: str, word: str, times: int) -> None:
    assert count(letter, word) == times


@pytest.mark.parametrize("letter", ["", "ab", "🇵🇪🇳🇴"])
def test_a_letter_is_one_letter(letter: str) -> None:
    with pytest.raises(ValueError, match="is not one letter"):
        count(letter, "word")


@given(st.text(max_size=30))
def test_letters_put_together_are_the_word(word: str) -> None:
    letters = letters_of(word)
    assert "".join(letters) == unicodedata.normalize("NFC", word)
    distinct = {letter.casefold(): letter for letter in letters}.values()
    assert sum(count(letter, word) for letter in distinct) == len(letters)


@given(st.text(alphabet="abcXYZ", max_size=30), st.sampled_from("abcxyz"))
def test_ascii_agrees_with_python(word: str, letter: str) -> None:
    assert count(letter, word) == word.lower().count(letter)


def test_the_task_counts_right_in_every_language() -> None:
    task = load_letters(n=300, languages="en,ja,zh", min_length=4, max_length=9)
    assert (len(task.train), len(task.held_out), task.grader) == (225, 75, "numeric")
    for question in task.train + task.held_out:
        ask = ASK[question.metadata["language"]]
        shown = [ask.format(letter=letter, word=question.subject) for letter in letters_of(question.subject)]
        gold = int(question.gold[0])
        assert (question.question in shown) == (gold > 0) and gold == question.metadata["count"]
        assert 4 <= question.metadata["length"] == len(question.subject) <= 9
    assert {q.metadata["language"] for q in task.train} == {"en", "ja", "zh"}
    assert any(question.gold == ("0",) for question in task.train)
    assert {q.subject for q in task.train}.isdisjoint(q.subject for q in task.held_out)


def test_common_words_are_among_the_english_ones() -> None:
    words = {question.subject for question in load_letters(n=400).train}
    assert 10 < len(words & set(COMMON.split())) < 100


def test_own_words_in_any_script() -> None:
    task = load_letters(words=["Ωμέγα", "e\u0301te\u0301", "été", " "], languages=["en", "zh"], held_out=1.0)
    assert [question.id for question in task.held_out] == ["en-Ωμέγα", "zh-Ωμέγα", "en-été", "zh-été"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ["jp"]}, r"unknown language 'jp'. .*Allowed: en, ja, zh"),
        ({"languages": []}, r"need n >= 1"),
        ({"min_length": 1}, r"2 <= min"),
        ({"min_length": 9, "max_length": 5}, r"min <= max"),
        ({"n": 0}, r"n >= 1"),
        ({"words": [" "]}, r"words holds no word"),
        ({"n": 10_000, "min_length": 2, "max_length": 2}, r"n=10000: only \d+ words of 2 to 2 letters"),
    ],
)
def test_options_that_make_no_sense(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_letters(**options)
