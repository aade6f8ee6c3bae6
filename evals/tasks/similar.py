"""Which texts say nearly the same, so that both stand on one side where no subject keeps them together.

    who wrote Emma                      "Emma" is rare, and shared: one group
    who wrote the novel Emma
    who wrote Persuasion                only "who wrote" is shared, which many questions say: another group

Texts are compared by their words and by their shingles of four characters, each weighted by how rare it is, so that a
template that a thousand questions share counts for nothing and the name in it for all.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

SHINGLE = 4
"""Characters. A word of an inflected language still shares most of its shingles with its other forms."""
RARE = 20
"""Only texts that share a piece that at most so many texts have are compared, so that time grows as their number
does."""
ALIKE = 0.6
"""Weighted Jaccard index from which on two texts are about the same. On Natural Questions, pairs above it ask for the
same thing in other words, and no group is larger than 5 of 3,610 questions."""
WITHIN, WORDED = 0.9, 0.7
"""Or: one says nearly all that the other says, by weight, and most pieces are the same: "What's" for "What is"."""
LONGEST = 4_000
"""Characters of a text that are compared."""
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]+")
"""Japanese, Chinese and Thai, which have no spaces between words: taken by two characters each."""
_CHUNK = 50_000


def groups_of_similar(texts: Sequence[str]) -> list[int]:
    """The group of each text: texts that are nearly the same have the same number, and so have their neighbours.

    Of n texts, a piece (a word or a shingle) that d of them have weighs w = log(n / d). Two texts with pieces A and B
    that share one with d ≤ `RARE` are nearly the same if Σ_{A∩B} w / Σ_{A∪B} w ≥ `ALIKE` (the resemblance of Broder
    1997, weighted and exact), or if Σ_{A∩B} w / min(Σ_A w, Σ_B w) ≥ `WITHIN` (his containment) and |A∩B| / |A∪B| ≥
    `WORDED`.

    Args:
        texts: distinct, as compared (see `abstain.evals.tasks.splits.normalise`). Memory and time are linear in their
            characters.

    Example:
        >>> texts = [f"who wrote the book {name}" for name in ("emma", "dune", "ulysses", "kim", "it", "walden")]
        >>> groups_of_similar([*texts, "who wrote emma", "where is oslo"])
        [0, 1, 2, 3, 4, 5, 0, 6]
    """
    if len(texts) < 3:  # nothing can be told rare
        return list(range(len(texts)))
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    first, second = _alike(_pieces(texts))
    links = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(texts), len(texts)))
    _, labels = connected_components(links, directed=False)
    return labels.tolist()


def _pieces(texts: Sequence[str]) -> Any:
    """Which text has which word and which shingle, (texts, pieces), sparse, 1 or 0."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import HashingVectorizer

    cut = [_UNSPACED.sub(_by_two, text[:LONGEST].encode("utf-8", "replace").decode()) for text in texts]
    how = {"binary": True, "norm": None, "alternate_sign": False, "n_features": 2**21}
    words = HashingVectorizer(token_pattern=r"\w+", **how)
    shingles = HashingVectorizer(analyzer="char_wb", ngram_range=(SHINGLE, SHINGLE), **how)
    both = hstack([words.transform(cut), shingles.transform(cut)]).tocsr()
    used, columns = np.unique(both.indices, return_inverse=True)
    return csr_matrix((both.data, columns, both.indptr), shape=(len(texts), len(used)))


def _by_two(run: re.Match[str]) -> str:
    text = run[0]
    return f" {' '.join(text[i : i + 2] for i in range(max(1, len(text) - 1)))} "


def _alike(pieces: Any) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of rows that are alike."""
    from scipy.sparse import diags, triu

    count = np.asarray(pieces.sum(axis=0)).ravel()
    weights = np.log(pieces.shape[0] / count)
    rare = pieces[:, np.flatnonzero((count > 1) & (count <= RARE))]
    pairs = triu(rare @ rare.T, k=1).tocoo()
    weighted = (pieces @ diags(weights)).tocsr()
    total = np.asarray(weighted.sum(axis=1)).ravel()
    shared, common = np.zeros(len(pairs.row)), np.zeros(len(pairs.row))
    for start in range(0, len(shared), _CHUNK):
        part = slice(start, start + _CHUNK)
        both = weighted[pairs.row[part]].multiply(pieces[pairs.col[part]])
        shared[part] = np.asarray(both.sum(axis=1)).ravel()
        common[part] = np.asarray(pieces[pairs.row[part]].multiply(pieces[pairs.col[part]]).sum(axis=1)).ravel()
    size = np.asarray(pieces.sum(axis=1)).ravel()
    all_pieces = size[pairs.row] + size[pairs.col] - common
    fewer = np.minimum(total[pairs.row], total[pairs.col])
    either = total[pairs.row] + total[pairs.col] - shared
    alike = (shared > 0) & ((shared >= ALIKE * either) | (shared >= WITHIN * fewer) & (common >= WORDED * all_pieces))
    return pairs.row[alike], pairs.col[alike]
