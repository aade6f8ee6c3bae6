"""Train and held-out questions never share a subject."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals.tasks.question import Question
from abstain.evals.tasks.splits import (
    check_overlap,
    drop_overlap,
    normalise,
    repeated,
    sample,
    sample_or_say,
    side_keys,
    similar_questions,
    split_by_subject,
    subject_key,
)


def questions(subjects: list[str]) -> list[Question]:
    return [Question(f"id{i}", f"What about {s}, part {i}?", ("x",), s) for i, s in enumerate(subjects)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Who wrote Emma?", "who  wrote emma"),
        ("Ｐａｒｉｓ", "paris"),
        ("cafe\u0301", "CAFÉ"),
        ("東京はどこ？", "東京はどこ"),
        ("“Hamlet”", "Hamlet."),
    ],
)
def test_normalise_sees_through_case_width_spaces_and_edges(left: str, right: str) -> None:
    assert normalise(left) == normalise(right)


@pytest.mark.parametrize(("left", "right"), [("C++", "C#"), ("1.5", "15"), ("!!!", "???"), ("José", "Jose")])
def test_normalise_keeps_what_differs(left: str, right: str) -> None:
    assert normalise(left) != normalise(right)


@given(st.text(max_size=40))
def test_normalise_twice_is_normalise_once(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=60), st.floats(0, 1), st.integers(0, 5))
def test_split_is_a_partition_without_shared_subjects(subjects: list[str], held_out: float, seed: int) -> None:
    whole = questions(subjects)
    train, test = split_by_subject(whole, held_out, seed)
    assert sorted(q.id for q in [*train, *test]) == sorted(q.id for q in whole)
    assert {q.subject for q in train}.isdisjoint(q.subject for q in test)
    assert not check_overlap(train, test)
    assert len(test) >= held_out * len(whole) - 1e-9 or len({q.subject for q in train}) == 1
    assert train or held_out == 1 or len(set(subjects)) == 1


def test_split_shares_and_seeds() -> None:
    whole = questions([f"s{i}" for i in range(1000)])
    first, again, other = (split_by_subject(whole, 0.2, seed)[1] for seed in (0, 0, 1))
    assert len(first) == len(other) == 200
    assert first == again
    assert 20 < len({q.id for q in first} & {q.id for q in other}) < 60  # 40 expected: 0.2 * 200
    assert [q.id for q in first] == sorted((q.id for q in first), key=lambda i: int(i[2:]))


def test_split_does_not_depend_on_order() -> None:
    whole = questions([f"s{i}" for i in range(100)])
    forward, backward = split_by_subject(whole, 0.3)[1], split_by_subject(whole[::-1], 0.3)[1]
    assert {q.id for q in forward} == {q.id for q in backward}


def test_split_by_text_where_no_subject_is_given() -> None:
    same = [Question("1", "Who?", ("a",)), Question("2", "who", ("b",)), Question("3", "Why?", ("c",))]
    assert subject_key(same[0]) == subject_key(same[1])
    train, test = split_by_subject(same, 0.5)
    assert {q.id for q in train} in ({"1", "2"}, {"3"}) and len(train) + len(test) == 3


ABOUT = [
    *("Peru", "Norway", "Bolivia", "Iceland", "Kenya", "Vietnam", "Portugal", "Jamaica", "Estonia", "Zambia", "Nepal"),
    *("Uruguay", "Belgium", "Haiti", "Cuba", "Gabon", "Malta", "Oman", "Fiji", "Tuvalu", "Samoa", "Ghana", "Yemen"),
    "Qatar",
]
FORMS = ("What is the capital of {}?", "What's the capital of {}?")


def texts_only(texts: list[str]) -> list[Question]:
    return [Question(f"id{i}", text, ("x",)) for i, text in enumerate(texts)]


def test_the_same_question_in_other_words_is_one_group_and_another_name_is_not() -> None:
    whole = texts_only([form.format(name) for name in ABOUT for form in FORMS])
    keys = side_keys(whole)
    assert len(set(keys)) == len(ABOUT) and keys[::2] == keys[1::2]
    assert [len(group) for group in similar_questions(whole)] == [2] * len(ABOUT)
    assert similar_questions(texts_only([FORMS[0].format(name) for name in ABOUT])) == []


@pytest.mark.parametrize(
    "pair",
    [
        ("「坊っちゃん」という小説を書いた人は誰ですか", "「坊っちゃん」という小説を書いた作家は誰ですか"),
        ("Wie heißt die Hauptstadt von Burkina Faso?", "Wie lautet die Hauptstadt von Burkina Faso?"),
        (
            "who was the german leader who signed the treaty of versailles",
            "who in germany signed the treaty of versailles",
        ),
    ],
)
def test_near_duplicates_are_found_in_other_languages(pair: tuple[str, str]) -> None:
    others = [f"Which river flows through {name}?" for name in ABOUT] + [
        "ペルーの首都はどこですか",
        "Wer schrieb Faust?",
    ]
    whole = texts_only([*others, *pair])
    assert [[q.question for q in group] for group in similar_questions(whole)] == [list(pair)]


@settings(max_examples=20)
@given(st.integers(0, 9), st.floats(0.05, 0.9), st.lists(st.sampled_from(ABOUT), min_size=3, max_size=24, unique=True))
def test_near_duplicates_never_straddle(seed: int, share: float, names: list[str]) -> None:
    whole = texts_only([form.format(name) for name in names for form in FORMS])
    for train, test in (split_by_subject(whole, share, seed), split_by_subject(whole[::-1], share, seed)):
        sides = [{key for q, key in zip(whole, side_keys(whole), strict=True) if q in side} for side in (train, test)]
        assert not sides[0] & sides[1] and len(train) + len(test) == len(whole)


def test_30_000_questions_without_subject_are_divided_with_their_near_duplicates() -> None:
    cities = [f"{ABOUT[i % 24]} {i:05}" for i in range(15_000)]
    whole = texts_only([form.format(city) for city in cities for form in FORMS[:2]])
    train, test = split_by_subject(whole, 0.2)
    assert len(train) + len(test) == 30_000 and 6_000 <= len(test) <= 6_002
    numbers = [{q.question[-6:] for q in side} for side in (train, test)]
    assert not numbers[0] & numbers[1]


def test_training_rows_that_nearly_are_held_out_ones_are_dropped(caplog: pytest.LogCaptureFixture) -> None:
    train, test = (
        texts_only([FORMS[0].format(name) for name in ABOUT]),
        [Question("t", FORMS[1].format("Peru"), ("x",))],
    )
    with caplog.at_level(logging.WARNING):
        kept, overlap = drop_overlap(train, test)
    assert len(kept) == 23 and overlap.similar == ("what is the capital of peru",) and overlap.rows == 1
    assert "a subject (0), their text (0) or nearly their text (1)" in caplog.text


def test_subjects_decide_where_there_are_any() -> None:
    """Near-duplicates with a subject each stay apart: somebody has said that they are about different things."""
    whole = [
        Question(str(i), f"Where is the town of New York number {i % 2}?", ("x",), f"town {i}") for i in range(40)
    ]
    assert len(set(side_keys(whole))) == 40


@pytest.mark.parametrize("text", ["", " ", "?", "a" * 1_000_000, "<script>alert(1)</script>", "\x00\ud800"])
def test_any_text_can_be_compared(text: str) -> None:
    whole = texts_only([text, f"{text}!", "Who?", "Why?"])
    assert len(side_keys(whole)) == 4


def test_a_limit_that_shrinks_is_told(caplog: pytest.LogCaptureFixture) -> None:
    whole = questions([f"s{i}" for i in range(40)])
    with caplog.at_level(logging.WARNING):
        assert len(sample_or_say(whole, 40, 0, "sft: limit", "why")) == 40 and not caplog.records
        assert len(sample_or_say(whole, 200, 0, "sft: limit", "the task has no more")) == 40
    assert caplog.messages == ["sft: limit=200 gives 40 questions: the task has no more"]


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), "0.2", True, None])
def test_a_share_must_be_one(share: float) -> None:
    with pytest.raises(ValueError, match="held_out"):
        split_by_subject(questions(["a"]), share)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 3))
def test_smaller_samples_are_nested_and_keep_order(small: int, more: int, seed: int) -> None:
    whole = questions([f"s{i}" for i in range(40)])
    few, many = sample(whole, small, seed), sample(whole, small + more, seed)
    assert len(few) == small and {q.id for q in few} <= {q.id for q in many}
    assert list(few) == [q for q in whole if q in few]


@pytest.mark.parametrize("limit", [0, -1, 2.5, True, "10"])
def test_a_limit_must_be_a_whole_number(limit: int) -> None:
    with pytest.raises(ValueError, match=r"limit=.* must be a whole number"):
        sample(questions(["a"]), limit)


def test_overlap_counts_subjects_texts_and_rows(caplog: pytest.LogCaptureFixture) -> None:
    train = [
        Question("1", "Where is Oslo?", ("Norway",), "Oslo"),
        Question("2", "How cold is Oslo?", ("-3",), "OSLO "),
        Question("3", "Who wrote it?", ("Poe",), "Raven"),
        Question("4", "Where is Rome?", ("Italy",), "Rome"),
    ]
    test = [
        Question("5", "How big is it?", ("1",), "oslo"),
        Question("6", "who wrote it", ("Eco",), "Name of the Rose"),
    ]
    overlap = check_overlap(train, test)
    assert (overlap.rows, overlap.subjects, overlap.questions) == (3, ("oslo",), ("who wrote it",))
    with caplog.at_level(logging.WARNING):
        kept, reported = drop_overlap(train, test, "books")
    assert [q.id for q in kept] == ["4"] and reported == overlap
    assert "books: 3 training questions share a subject (1) or their text (1)" in caplog.text
    assert not check_overlap(kept, test)


def test_no_overlap_says_so_and_keeps_everything(caplog: pytest.LogCaptureFixture) -> None:
    train, test = questions(["a", "b"]), [Question("9", "Else?", ("x",), "c")]
    kept, overlap = drop_overlap(train, test)
    assert kept == tuple(train) and not overlap and not caplog.records
    assert str(overlap) == "train and held-out questions share no subject and no question text"


def test_nothing_left_to_train_on_is_an_error_that_names_the_cure() -> None:
    train, test = questions(["algebra", "algebra"]), [Question("9", "Else?", ("x",), "Algebra")]
    with pytest.raises(ValueError, match=r"every training question overlaps.*'algebra'.*subject_column=''"):
        drop_overlap(train, test)
    assert drop_overlap([], test)[0] == ()


def test_repeated_questions_are_grouped_by_text() -> None:
    same = [Question("1", "Who?", ("a",)), Question("2", "who", ("b",)), Question("3", "Why?", ("c",))]
    assert {text: [q.id for q in group] for text, group in repeated(same).items()} == {"who": ["1", "2"]}
