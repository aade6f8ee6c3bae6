"""Responses held against the documents that they should rest on: similarity, and what is unsupported or distorted.

Two things go wrong with retrieved documents. What a response says is in none of them (unsupported; "baseless info" in
RAGTruth), or they say something else (distorted; its "conflict"). `split_by_documents` tells the two apart, and
`Pair.kinds` holds what people said.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from abstain.evals.detectors.asked import Asked, notes_of
from abstain.evals.detectors.nli import CONTRADICTION, ENTAILMENT, NEUTRAL, Entailment
from abstain.evals.detectors.pair import Pair
from abstain.evals.progress import Advance
from abstain.rewards.graders.statement import sentences

Embed = Callable[[Sequence[str]], np.ndarray]
"""Texts to vectors, (n, d)."""
_NEAREST = 3


def tfidf(texts: Sequence[str]) -> np.ndarray:
    """TF-IDF vectors of some texts, of unit length, weighted by how many of these texts have a word (scikit-learn).

    A text without words is the zero vector.

    Example:
        >>> one, other, third = tfidf(["Lima is in Peru", "in Peru is Lima", "a cat"])
        >>> round(float(one @ other), 6), float(one @ third)
        (1.0, 0.0)
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(any(letter.isalnum() for letter in text) for text in texts):
        return np.zeros((len(texts), 1))
    found: np.ndarray = TfidfVectorizer(token_pattern=r"\w+").fit_transform(texts).toarray()
    return found


def document_similarity(pairs: Sequence[Pair], *, embed: Embed | None = None) -> Asked:
    """cos(e(response), e(documents)), the documents of a response in one text; NaN where there are none.

    Each response is looked at alone, so that its similarity does not depend on what else is scored: with TF-IDF the
    weights are those of its own sentences and documents. High means that the response keeps to its documents, which is
    the opposite of all other scores here.

    Args:
        pairs: with documents.
        embed: any embedder of texts, such as `SentenceTransformer("…").encode`, asked once for all; TF-IDF by default.

    Example:
        >>> pairs = [Pair("Where?", text, ("Lima is in Peru",)) for text in ("Lima is in Peru", "Oslo", " ")]
        >>> document_similarity([*pairs, Pair("Where?", "Oslo")]).values.round(6)
        array([ 1.,  0., nan, nan])
    """
    reasons = [_why_not(pair) for pair in pairs]
    there = [place for place, reason in enumerate(reasons) if not reason]
    texts = [(pairs[place].response, "\n".join(pairs[place].documents)) for place in there]
    distinct = list(dict.fromkeys(text for both in texts for text in both)) if embed else []
    vectors = dict(zip(distinct, np.asarray(embed(distinct), dtype=float), strict=True)) if embed and distinct else {}
    values = np.full(len(pairs), np.nan)
    for place, both in zip(there, texts, strict=True):
        one, other = (vectors[text] for text in both) if embed else tfidf(both)
        size = np.linalg.norm(one) * np.linalg.norm(other)
        values[place] = one @ other / size if size > 0 else 0.0
    return Asked(values, len(distinct), notes_of("similarity", reasons))


def _why_not(pair: Pair) -> str:
    if not any(text.strip() for text in pair.documents):
        return "no documents"
    return "" if pair.response.strip() else "an empty response"


def retrieval_conditioned(score: np.ndarray, similarity: np.ndarray, weight: float) -> np.ndarray:
    """s − λ·sim: a hallucination score, less what the response shares with its documents.

    The formula that is told of LLM-Check, s + λ·sim, is that of a confidence: there similarity adds. LLM-Check's paper
    has neither; it puts the documents in the prompt.

    Args:
        score: s, (n,), higher is more likely hallucinated.
        similarity: as `document_similarity` gives it; NaN stays NaN.
        weight: λ, 0 or more.

    Raises:
        ValueError: λ below 0, which would reward what is in no document.

    Example:
        >>> retrieval_conditioned(np.array([2.0, 2.0]), np.array([1.0, 0.0]), weight=0.5)
        array([1.5, 2. ])
    """
    if not weight >= 0:
        raise ValueError(
            f"the weight of similarity is {weight}; it must be 0 or more, as similarity speaks against error"
        )
    return np.asarray(score - weight * similarity)


@dataclass(frozen=True)
class Split:
    """What is wrong with responses, by an NLI model; the three are shares that add up to 1.

    Args:
        unsupported: that the documents do not say, (n,).
        distorted: that the documents contradict, (n,).
        supported: the rest, (n,).
        calls: how often the NLI model was asked.
        notes: how many have no shares, and why.
    """

    unsupported: np.ndarray
    distorted: np.ndarray
    supported: np.ndarray
    calls: int
    notes: tuple[str, ...]


def split_by_documents(pairs: Sequence[Pair], nli: Entailment, *, progress: str | Advance | None = None) -> Split:
    """How much of a response its documents do not say, and how much they contradict: means over its sentences.

    Of the documents' sentences and of each two that follow each other, the three that are nearest to a sentence of the
    response (TF-IDF) are its premises. The one that decides most counts: that with the lowest P(neutral). Its
    P(neutral) is what is unsupported, P(contradiction) what is distorted. Three passes of the NLI model a sentence.

    Args:
        pairs: with documents.
        nli: see `abstain.evals.detectors.nli.NliModel`.
        progress: what to say of how far it is, or whom to tell.
    """
    before = nli.calls
    cases = [(place, *case) for place, pair in enumerate(pairs) if not _why_not(pair) for case in _premises(pair)]
    texts = [(premise, sentence) for _, sentence, premises in cases for premise in premises]
    chances = nli(texts, progress=progress)
    shares: list[list[np.ndarray]] = [[] for _ in pairs]
    start = 0
    for place, _, premises in cases:
        rows = chances[start : start + len(premises)]
        start += len(premises)
        shares[place].append(rows[rows[:, NEUTRAL].argmin()])
    reasons = [_why_not(pair) or ("" if rows else "no words") for pair, rows in zip(pairs, shares, strict=True)]
    means = np.array([np.mean(rows, axis=0) if rows else [np.nan] * 3 for rows in shares]).reshape(-1, 3)
    return Split(
        means[:, NEUTRAL],
        means[:, CONTRADICTION],
        means[:, ENTAILMENT],
        nli.calls - before,
        notes_of("split_by_documents", reasons),
    )


def _premises(pair: Pair) -> list[tuple[str, list[str]]]:
    """Each sentence of the response with the passages that are nearest to it, the nearest first."""
    passages: list[str] = []
    for document in pair.documents:
        single = sentences(document)
        passages += [*single, *(f"{one} {other}" for one, other in pairwise(single))]
    passages = list(dict.fromkeys(passages))
    judged = sentences(pair.response)
    if not passages or not judged:
        return []
    vectors = tfidf([*passages, *judged])
    near = vectors[len(passages) :] @ vectors[: len(passages)].T
    order = np.argsort(-near, axis=1, kind="stable")[:, :_NEAREST]
    return [(sentence, [passages[i] for i in row]) for sentence, row in zip(judged, order, strict=True)]
