"""Responses and their documents: similarity by hand, the sign of the mixed score, and two ways to be wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.retrieval import (
    document_similarity,
    retrieval_conditioned,
    split_by_documents,
    tfidf,
)

from .asked_stub import ScriptedNli

DOCUMENTS = ("Lima is the capital of Peru. It has ten million people.", "Oslo lies in Norway.")
texts = st.text("ab c.", max_size=12)


def test_similarity_by_hand() -> None:
    """Shared words have idf 1, the others ln(3/2) + 1: cos = 2 / (√(2 + w²) √(2 + w²))."""
    pair = Pair("?", "lima is big", ("lima is small",))
    w = np.log(3 / 2) + 1
    assert document_similarity([pair]).values[0] == pytest.approx(2 / (2 + w * w))


@settings(max_examples=30)
@given(texts, st.lists(texts, min_size=1, max_size=3))
def test_similarity_is_of_this_pair_alone_and_between_0_and_1(response: str, documents: list[str]) -> None:
    pair = Pair("?", response, tuple(documents))
    [alone] = document_similarity([pair]).values
    among = document_similarity([Pair("?", "b", ("b",)), pair, Pair("?", "c c", ("a b c",))]).values[1]
    assert alone == pytest.approx(among, nan_ok=True)
    nothing = not response.strip() or not any(document.strip() for document in documents)
    assert np.isnan(alone) if nothing else -1e-9 <= alone <= 1 + 1e-9
    if not nothing and response in documents and len(documents) == 1 and any(c.isalnum() for c in response):
        assert alone == pytest.approx(1)


def test_any_embedder_may_say_what_is_similar() -> None:
    asked: list[list[str]] = []

    def embed(some: list[str]) -> np.ndarray:
        asked.append(list(some))
        return np.array([[len(text), 1.0] for text in some])

    pairs = [Pair("?", "abc", ("abc",)), Pair("?", "abc", ("a", "b")), Pair("?", "x")]
    found = document_similarity(pairs, embed=embed)  # type: ignore[arg-type]
    assert asked == [["abc", "a\nb"]] and found.calls == 2
    assert found.values[:2] == pytest.approx([1, 1]) and np.isnan(found.values[2])
    assert found.notes == ("similarity: 1 of 3 responses has no score: no documents",)
    zeros = document_similarity([Pair("?", "abc", ("d",))], embed=lambda some: np.zeros((len(some), 2)))
    assert zeros.values.tolist() == [0]


def test_texts_without_words_have_no_similarity() -> None:
    assert tfidf(["?!", "..."]).shape[0] == 2
    assert document_similarity([Pair("?", "?!", ("...",))]).values.tolist() == [0]


@settings(max_examples=30)
@given(st.floats(0, 5), st.floats(0, 1), st.floats(0, 1))
def test_what_is_closer_to_its_documents_is_less_likely_hallucinated(weight: float, one: float, other: float) -> None:
    scores = retrieval_conditioned(np.array([1.0, 1.0, 1.0]), np.array([one, other, np.nan]), weight)
    assert (scores[0] <= scores[1]) or one < other
    assert scores[0] == pytest.approx(1 - weight * one) and np.isnan(scores[2])


@pytest.mark.parametrize("weight", [-0.1, float("nan")])
def test_a_negative_weight_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        retrieval_conditioned(np.ones(1), np.ones(1), weight)


# --- unsupported, or distorted


def test_the_two_are_told_apart() -> None:
    """One sentence that a passage entails, one that one contradicts, and one of which none says anything."""
    response = "Lima is the capital. It has two people. The mayor is tall."
    nli = ScriptedNli(
        {
            ("Lima is the capital of Peru.", "Lima is the capital."): (0.9, 0.1, 0.0),
            ("It has ten million people.", "It has two people."): (0.0, 0.2, 0.8),
            ("Lima is the capital of Peru. It has ten million people.", "It has two people."): (0.1, 0.5, 0.4),
        }
    )
    found = split_by_documents([Pair("?", response, DOCUMENTS)], nli)
    assert found.supported[0] == pytest.approx(0.9 / 3)
    assert found.distorted[0] == pytest.approx(0.8 / 3)
    assert found.unsupported[0] == pytest.approx((0.1 + 0.2 + 1) / 3)
    assert found.calls == len(nli.asked) == 9  # three passages for each of three sentences
    assert all(hypothesis in response for _, hypothesis in nli.asked)


def test_what_cannot_be_split_is_nan_and_said() -> None:
    pairs = [
        Pair("?", "Lima.", DOCUMENTS),
        Pair("?", "Lima."),
        Pair("?", " ", DOCUMENTS),
        Pair("?", "?!", DOCUMENTS),
        Pair("?", "Lima.", ("...",)),
    ]
    found = split_by_documents(pairs, ScriptedNli())
    shares = np.array([found.unsupported, found.distorted, found.supported])
    assert shares[:, 0].tolist() == [1, 0, 0] and np.isnan(shares[:, 1:]).all()
    assert [note.rpartition(": ")[2] for note in found.notes] == ["no documents", "an empty response", "no words"]
    assert split_by_documents([], ScriptedNli()).unsupported.shape == (0,)
