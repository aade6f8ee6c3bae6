"""Scores of what a model thinks the next token is: perplexity, entropies, self-certainty, probability of the whole.

Where sources differ, `paper` is LLM-Check's text (Sriramanan et al. 2024) and `official` its released code, whose
entropies are those of the distributions after each token of the response instead of those that it was drawn from.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from abstain.evals.detectors.catalogue import Convention
from abstain.evals.detectors.pair import Pair
from abstain.evals.trie.head import slices, statistics

BLOCK = 64
"""Logits of which only the greatest is looked at first: the greatest k lie in the k blocks with the greatest ones."""
LOGIT_FEATURES = (
    "first_logprob",
    "mean_logprob",
    "min_logprob",
    "sum_logprob",
    "first_entropy",
    "mean_entropy",
    "max_entropy",
    "mean_margin",
    "min_margin",
    "log_length",
)
"""What a probe is given beside hidden states. A margin is the distance of the two greatest log-probabilities."""


class Statistics(NamedTuple):
    """What is kept of next-token distributions p over V tokens, one number for each, in nats.

    Args:
        logprob: ln p(token) of the token that follows.
        entropy: −Σ p ln p over all tokens.
        top_entropy: over the k likeliest; of p itself (paper), or of p normalised over them and divided by k.
        certainty: KL(uniform ‖ p) = −(1/V) Σ ln(V p).
        margin: ln p of the likeliest less that of the next.
    """

    logprob: np.ndarray
    entropy: np.ndarray
    top_entropy: np.ndarray
    certainty: np.ndarray
    margin: np.ndarray

    def at(self, part: slice) -> "Statistics":
        """Those of some tokens."""
        return Statistics(*(values[part] for values in self))


def read_logits(logits: Tensor, tokens: Tensor, top_k: int, convention: Convention) -> Tensor:
    """The statistics of rows of logits, (5, r) in fp32 in the order of `Statistics`.

    Args:
        logits: (r, V) in fp32.
        tokens: (r,) the token that follows each.
        top_k: k, at most V.
        convention: of the entropy over the k likeliest.

    Example:
        Four tokens, all as likely:

        >>> found = read_logits(torch.zeros(1, 4), torch.tensor([2]), 2, "paper")
        >>> [round(value, 4) for value in found[:, 0].tolist()]  # −ln 4, ln 4, ½ ln 4, 0, 0
        [-1.3863, 1.3863, 0.6931, 0.0, 0.0]
        >>> round(read_logits(torch.zeros(1, 4), torch.tensor([2]), 2, "official")[2].item(), 4)  # (ln 2) / 2
        0.3466
    """
    found = logits.new_empty(5, len(logits))
    top_k = min(top_k, logits.shape[1])
    for part in slices(logits):
        rows = logits[part]
        log_z, entropy, _ = statistics(rows)
        top = _greatest(rows, max(2, top_k))
        kept = top[:, :top_k]
        if convention == "paper":
            logp = kept - log_z[:, None]
            of_top = -(logp.exp() * logp).sum(-1)
        else:
            logp = kept.log_softmax(-1)
            of_top = -(logp.exp() * logp).sum(-1) / top_k
        found[0, part] = rows.gather(1, tokens[part, None])[:, 0] - log_z
        found[1, part] = entropy
        found[2, part] = of_top
        found[3, part] = log_z - rows.mean(-1) - math.log(rows.shape[1])
        found[4, part] = top[:, 0] - top[:, 1]
    return found


def _greatest(rows: Tensor, k: int) -> Tensor:
    """The k greatest of each row, the greatest first: within the k blocks of which the greatest is greatest."""
    whole = rows.shape[1] // BLOCK
    if whole <= k:
        return rows.topk(min(k, rows.shape[1]), dim=-1).values
    blocks = rows[:, : whole * BLOCK].view(len(rows), whole, BLOCK)
    best = blocks.amax(-1).topk(k, dim=-1, sorted=False).indices
    inside = blocks.gather(1, best[..., None].expand(-1, -1, BLOCK)).flatten(1)
    return torch.cat([inside, rows[:, whole * BLOCK :]], dim=1).topk(k, dim=-1).values


def perplexity(logprobs: np.ndarray) -> float:
    """exp(−(1/m) Σ ln p): LLM-Check's, in both conventions.

    Example:
        >>> float(round(perplexity(np.log([0.5, 0.125])), 6))
        4.0
    """
    return float(np.exp(-np.mean(logprobs)))


def window_entropy(entropies: np.ndarray, window: int, convention: Convention, vocabulary: int) -> float:
    """The greatest mean entropy of a window of tokens: LLM-Check's.

    `paper`: windows overlap, and fewer tokens than a window has are one window. `official`: they do not overlap, what
    is left at the end is not looked at, and entropies are divided by the number of tokens in the vocabulary.

    Args:
        entropies: (m,) of each next-token distribution, in nats.
        window: w tokens.
        convention: `paper` or `official`.
        vocabulary: V.

    Example:
        >>> entropies = np.array([1.0, 3.0, 5.0, 1.0])
        >>> window_entropy(entropies, 2, "paper", 10), window_entropy(entropies, 2, "official", 10)
        (4.0, 0.3)
        >>> window_entropy(entropies[:1], 2, "paper", 10), window_entropy(entropies[:1], 2, "official", 10)
        (1.0, nan)
    """
    if convention == "paper":
        size = min(window, len(entropies))
        total = np.concatenate([[0.0], np.cumsum(entropies)])
        return float((total[size:] - total[:-size]).max() / size)
    whole = len(entropies) // window
    if not whole:
        return math.nan
    return float(entropies[: whole * window].reshape(whole, window).mean(1).max() / vocabulary)


def sequence_scores(
    before: Statistics, after: Statistics, window: int, convention: Convention, vocabulary: int
) -> dict[str, float]:
    """Every score of a response that its tokens' distributions give.

    Args:
        before: of the distributions that the response's m tokens were drawn from.
        after: of those one token later; looked at by `official` only.
        window: of the window entropy.
        convention: `paper` or `official`.
        vocabulary: V.

    Returns:
        `perplexity`, `window_entropy` and `logit_entropy` (LLM-Check), `msp` (−Σ ln p), and `self_certainty`, negated:
        −(1/m) Σ KL(uniform ‖ p), Kang et al. 2025, arXiv 2502.18581.
    """
    of = before if convention == "paper" else after
    return {
        "perplexity": perplexity(before.logprob),
        "window_entropy": window_entropy(of.entropy, window, convention, vocabulary),
        "logit_entropy": float(of.top_entropy.mean()),
        "msp": float(-before.logprob.sum()),
        "self_certainty": float(-before.certainty.mean()),
    }


def logit_features(of: Statistics) -> np.ndarray:
    """`LOGIT_FEATURES` of a response, (10,)."""
    logprob, entropy, margin = of.logprob, of.entropy, of.margin
    return np.array(
        [
            *(logprob[0], logprob.mean(), logprob.min(), logprob.sum()),
            *(entropy[0], entropy.mean(), entropy.max(), margin.mean(), margin.min(), math.log(len(logprob))),
        ]
    )


def score_logprobs(pairs: Sequence[Pair]) -> dict[str, np.ndarray]:
    """The scores that an API's log-probabilities of a response's tokens allow: `perplexity`, `msp` and `length`.

    Returns:
        (n,) each; NaN for a pair without log-probabilities, `length` 0 for an empty one.

    Raises:
        ValueError: a log-probability is above 0, or no number.

    Example:
        >>> {name: values.round(3).tolist() for name, values in score_logprobs(
        ...     [Pair("Who?", "Bo", logprobs=(-0.5, -1.5)), Pair("Who?", "Al")]).items()}
        {'perplexity': [2.718, nan], 'msp': [2.0, nan], 'length': [2.0, nan]}
    """
    found = {name: np.full(len(pairs), np.nan) for name in ("perplexity", "msp", "length")}
    for place, pair in enumerate(pairs):
        if pair.logprobs is None:
            continue
        values = np.asarray(pair.logprobs, dtype=float)
        if (wrong := values[~(values <= 0)]).size:
            raise ValueError(f"pair {pair.id or place}: {wrong[0]} is no log-probability in nats, which is 0 or less")
        found["length"][place] = len(values)
        if len(values):
            found["perplexity"][place] = perplexity(values)
            found["msp"][place] = -values.sum()
    return found
