"""What a retriever brings: the documents that are likest a question by BM25, the best first.

    best_of(["Mo Kutika was born in Ralvik."], ["Mo Balita was born in Fandlin."], 1)

`bm25s` counts and ranks (Lù 2024, arXiv 2407.03618): words in lower case, no stemming, k1 = 1.5, b = .75.
"""

from collections.abc import Collection, Sequence

import bm25s


def best_of(
    questions: Sequence[str],
    documents: Sequence[str],
    count: int,
    without: Sequence[Collection[int]] = (),
) -> list[list[int]]:
    """The places of the documents that are likest each question, the best first.

    Args:
        questions: texts.
        documents: texts.
        count: how many of them each question gets, fewer if there are not so many.
        without: places that a question must not get, for each question; none by default.

    Example:
        >>> documents = ["Mo Kutika comes from Ralvik.", "Mo Balita comes from Fandlin.", "Fu Dasago likes tea."]
        >>> best_of(["Where was Mo Kutika born?"], documents, 2), best_of(["Mo Kutika?"], documents, 1, [{0}])
        ([[0, 1]], [[1]])
    """
    barred = without or [()] * len(questions)
    most = min(len(documents), count + max(map(len, barred), default=0))
    if not questions or most < 1:
        return [[] for _ in questions]
    retriever = bm25s.BM25()
    retriever.index(_words(documents), show_progress=False)
    found, _ = retriever.retrieve(_words(questions), k=most, show_progress=False)
    kept = ([int(place) for place in row if int(place) not in out] for row, out in zip(found, barred, strict=True))
    return [row[:count] for row in kept]


def _words(texts: Sequence[str]) -> bm25s.tokenization.Tokenized:
    return bm25s.tokenize(list(texts), stopwords=None, show_progress=False)
