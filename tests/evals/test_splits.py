"""Train and held-out questions never share a subject."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abstain.evals.tasks.question import Question
from abstain.evals.tasks.splits import (
    check_overlap,
    drop_overlap,
    normalise,
    repeated,
    sample,
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
