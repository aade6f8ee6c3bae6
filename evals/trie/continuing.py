"""Greedy and sampled continuations of many prompts in one trie, with the model's own log-probabilities.

Where training draws from `abstain.evals.trie.sampling`, whose samples are reported at the temperature they are drawn
at, these are reported as an evaluation does, and depend on nothing but their prompt and their numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PretrainedConfig

from abstain.evals.trie.cache import Prefix, new_cache, prefix_of
from abstain.evals.trie.forest import Ints
from abstain.evals.trie.head import Read, slices
from abstain.evals.trie.sampling import distinct
from abstain.evals.trie.scoring import trie_inputs
from abstain.evals.trie.walk import Walk, pack_prompts

Path = tuple[int, ...]


@dataclass(frozen=True)
class Continuing:
    """How prompts are continued.

    Args:
        greedy: the first continuation of each prompt takes the likeliest token, always.
        temperature: that logits are divided by, for the others.
        top_k: they choose among so many tokens; 0 for all.
        max_new_tokens: length at which a continuation is cut.
        ended: for each of some continuations, whether it ends there.
    """

    greedy: bool
    temperature: float
    top_k: int
    max_new_tokens: int
    ended: Callable[[Sequence[Path]], Sequence[bool]]


@dataclass(frozen=True)
class Continuations:
    """What came of some prompts.

    Args:
        tokens: of each continuation, those of one prompt after each other.
        logprobs: natural log of the probability of its tokens, at temperature 1 and among all tokens.
        ended: whether it ended; else it was cut.
        computed: tokens that the model computed, padding included.
    """

    tokens: list[Path]
    logprobs: list[float]
    ended: list[bool]
    computed: int


@torch.no_grad()
def complete(
    model: nn.Module,
    config: PretrainedConfig,
    prompts: Sequence[Sequence[int]],
    points: NDArray[np.float64],
    rule: Continuing,
    prefixes: Sequence[Prefix] = (),
    prefix: Ints | None = None,
) -> Continuations:
    """Continues prompts, each distinct prefix computed once.

    A sample's next token is the one at which the tokens' probabilities, added up, pass the sample's number in [0, 1)
    for this step: who has the same numbers draws the same, whatever else is in the batch.

    Args:
        model: its forward takes `trie` (see `abstain.evals.trie.head.add_trie_head`).
        config: its text configuration.
        prompts, prefixes, prefix: see `abstain.evals.trie.walk.Walk`; the prompts are all different.
        points: (B, n, max_new_tokens) those numbers, for n continuations of each prompt. A greedy one has them too,
            and does not look at them.
        rule: how they are continued.

    Raises:
        FloatingPointError: the probabilities are not finite.
    """
    count = points.shape[1]
    points = points.reshape(-1, points.shape[2])
    likeliest = np.arange(len(points)) % count == 0 if rule.greedy else np.zeros(len(points), dtype=bool)
    walk = Walk(model, config, prompts, prefixes, prefix)
    node = np.repeat(np.arange(len(prompts)), count)
    drawn, logprobs = np.full(points.shape, -1), np.zeros(len(points))
    going, ended = np.arange(len(points)), np.zeros(len(points), dtype=bool)
    for step in range(rule.max_new_tokens):
        choose = Choose(node, np.where(likeliest[going], np.nan, points[going, step]), rule)
        walk.read(choose)
        token, logprob = choose.chosen()
        drawn[going, step] = token
        logprobs[going] += logprob
        parent, token, node = distinct(node, token)
        one_of = going[np.unique(node, return_index=True)[1]]
        over = np.array(rule.ended([tuple(row) for row in drawn[one_of, : step + 1].tolist()]))
        ended[going[over[node]]] = True
        goes_on = ~over
        going, node = going[goes_on[node]], (np.cumsum(goes_on) - 1)[node[goes_on[node]]]
        if not len(going) or step + 1 == rule.max_new_tokens:
            break
        walk.grow(parent[goes_on], token[goes_on])
    lengths = (drawn >= 0).sum(axis=1).tolist()
    tokens = [tuple(row[:length]) for row, length in zip(drawn.tolist(), lengths, strict=True)]
    return Continuations(tokens, logprobs.tolist(), ended.tolist(), walk.tokens)


@torch.no_grad()
def compute_prefixes(model: nn.Module, config: PretrainedConfig, prefixes: Sequence[Path]) -> list[Prefix]:
    """The keys and values of prefixes, to be had once for all prompts that begin with them.

    Args:
        model: its forward takes `trie`.
        config: its text configuration.
        prefixes: tokens of each, at least one.
    """
    device = next(model.parameters()).device
    forest, _ = pack_prompts(prefixes, config, np.arange(len(prefixes)))
    cache, nothing = new_cache(), Read(torch.empty(0, dtype=torch.long, device=device), lambda logits, first: None)
    model(**trie_inputs(forest, slice(None), config, device), past_key_values=cache, use_cache=True, trie=nothing)
    rows = forest.row[forest.sequence].tolist()
    return [prefix_of(cache, row, tokens) for row, tokens in zip(rows, prefixes, strict=True)]


class Choose:
    """Chooses the next token of each continuation from the distribution of the prefix that it has reached.

    Args:
        node: (S,) the prefix of each continuation.
        point: (S,) where in the distribution its token is, in [0, 1); NaN for the likeliest.
        rule: temperature and top-k.
    """

    def __init__(self, node: Ints, point: NDArray[np.float64], rule: Continuing) -> None:
        order = np.argsort(node, kind="stable")
        ordered = node[order]
        begins = np.searchsorted(ordered, np.arange(ordered[-1] + 1))
        self._slot = np.empty_like(order)
        self._slot[order] = np.arange(len(node)) - begins[ordered]
        self._node = node
        self._points = np.full((int(ordered[-1]) + 1, int(self._slot.max()) + 1), np.nan)
        self._points[node, self._slot] = point
        self._rule = rule
        self._parts: list[Tensor] = []

    def __call__(self, logits: Tensor, first: int) -> None:
        """Takes the logits (m, V) of the prefixes `first`, `first + 1`, ..."""
        for part in slices(logits):
            self._parts.append(self._choose(logits[part], self._points[first + part.start : first + part.stop]))

    def _choose(self, logits: Tensor, points: NDArray[np.float64]) -> Tensor:
        """(m, slots, 2) tokens and their log-probabilities."""
        exact = torch.float32 if logits.device.type == "mps" else torch.float64  # which Apple's GPUs lack
        log_z = logits.logsumexp(-1, keepdim=True)
        token = logits.argmax(-1, keepdim=True).expand(-1, points.shape[1])
        if not np.isnan(points).all():
            given = torch.from_numpy(points).to(logits.device, exact)
            values, columns = (
                logits.topk(self._rule.top_k) if 0 < self._rule.top_k < logits.shape[1] else (logits, None)
            )
            below = torch.softmax(values.to(exact) / self._rule.temperature, -1).cumsum(-1)
            place = torch.searchsorted(below, given.nan_to_num(0.0) * below[:, -1:], right=True)
            place = place.clamp(max=below.shape[1] - 1)
            sampled = place if columns is None else columns.gather(1, place)
            token = torch.where(given.isnan(), token, sampled)
        return torch.stack([token.to(exact), (logits.gather(1, token) - log_z).to(exact)], -1)

    def chosen(self) -> tuple[Ints, NDArray[np.float64]]:
        """(S,) tokens and their log-probabilities.

        Raises:
            FloatingPointError: a log-probability is not finite.
        """
        found = torch.cat(self._parts).cpu().numpy()[self._node, self._slot]
        if not np.isfinite(found).all():
            raise FloatingPointError("the model's probabilities are not finite, so no token can be chosen")
        return found[:, 0].astype(np.int64), found[:, 1].astype(np.float64)
