"""Every score that one forward pass over prompt and response gives, at once.

A batch goes through the model once. While it does, hooks take the determinants of hidden states and our own attention
function takes what is needed of attention; the logits are computed afterwards where they are looked at, some at a
time. So nothing of the size of all layers' states, of attention or of all logits is ever kept.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.detectors.attention import Row, Watch, rauq, rauq_layers
from abstain.evals.detectors.catalogue import Convention
from abstain.evals.detectors.hidden import HIDDEN_FORMS, log_dets
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.probabilities import (
    LOGIT_FEATURES,
    Statistics,
    logit_features,
    read_logits,
    sequence_scores,
)
from abstain.evals.detectors.spans import Span, encode_pairs
from abstain.evals.detectors.watching import Read, Sight, Watched
from abstain.evals.progress import Advance, followed
from abstain.evals.sampler import batches, room_of
from abstain.evals.sampling import PromptFormat
from abstain.rewards.errors import nearest

OF_LOGITS = ("perplexity", "window_entropy", "logit_entropy", "msp", "self_certainty")
LAYERED = ("hidden", "attention", "attention_entropy")
ALL = ("length", *OF_LOGITS, *LAYERED, "rauq")
"""The scores by name; `LAYERED` ones have a value for each layer."""
Part = Literal["response", "whole"]
Place = tuple[int, Literal["prompt", "response"]]
"""A layer, from 1 or from the end as -1, and of which text the last token."""


@dataclass(frozen=True)
class OnePass:
    """Scores of n pairs, NaN where one cannot be computed.

    Args:
        values: (n,) for each score, and (n, layers) for a layered one.
        layers: of a layered score, which layers, counted from 1; empty for a model without attention weights.
        features: (n, places, d) hidden states, if places were asked for.
        logit_features: (n, 10), `abstain.evals.detectors.probabilities.LOGIT_FEATURES`, with them.
        notes: sentences for people: what was cut, what could not be computed and why.
        passes: forward passes, one for each batch.
    """

    values: dict[str, np.ndarray]
    layers: dict[str, tuple[int, ...]]
    features: np.ndarray | None
    logit_features: np.ndarray | None
    notes: tuple[str, ...]
    passes: int


@dataclass(frozen=True)
class Form:
    """How scores are computed; see `one_pass`, whose arguments they are."""

    scores: tuple[str, ...]
    convention: Convention = "paper"
    span: Part = "response"
    window: int = 1
    top_k: int = 50

    @classmethod
    def checked(cls, scores: Collection[str], convention: Convention, span: Part, window: int, top_k: int) -> "Form":
        """Raise `ValueError` for what does not exist or cannot be."""
        if isinstance(scores, str):
            scores = (scores,)
        for name in scores:
            if name not in ALL:
                raise ValueError(f"unknown score {name!r} of one pass. {nearest(name, ALL)}")
        for given, allowed, what in ((convention, HIDDEN_FORMS, "convention"), (span, get_args(Part), "span")):
            if given not in allowed:
                raise ValueError(f"unknown {what} {given!r}. {nearest(given, allowed)}")
        for number, what in ((window, "window"), (top_k, "top_k")):
            if number < 1:
                raise ValueError(f"{what} {number} is less than one token")
        return cls(tuple(name for name in ALL if name in scores), convention, span, window, top_k)

    def wants(self, *names: str) -> bool:
        """Whether any of these is asked for."""
        return any(name in self.scores for name in names)

    def watch(self, sight: Sight, first: int) -> Watch:
        """What is to be seen of attention from the first row that matters."""
        previous = rauq_layers(sight.layers) if self.wants("rauq") else ()
        return Watch(self.wants("attention"), self.wants("attention_entropy"), previous, first)

    def layers(self, sight: Sight) -> dict[str, tuple[int, ...]]:
        """Which layers each layered score has a value for, counted from 1."""
        seen = tuple(layer + 1 for layer in sight.attention_layers)
        found = {
            "hidden": tuple(range(1, sight.layers + 1)),
            "attention": tuple(layer for layer in seen if layer > 1 or self.convention != "official"),
            "attention_entropy": seen,
        }
        return {name: found[name] for name in LAYERED if name in self.scores}


def one_pass(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[Pair],
    *,
    scores: Collection[str] = ALL,
    convention: Convention = "paper",
    span: Part = "response",
    window: int = 1,
    top_k: int = 50,
    places: Sequence[Place] = (),
    batch_tokens: int | None = None,
    prompt_format: PromptFormat = "auto",
    autocast: bool = False,
    progress: str | Advance | None = None,
) -> OnePass:
    """Scores of responses from one forward pass for each batch; by the model that wrote them, or by any other.

    With m tokens y of the response x, and as `paper` (LLM-Check, Sriramanan et al. 2024) or `official` (its released
    code) say; every score is higher where its source holds a response for more likely wrong:

    - `length`: m.
    - `perplexity`: exp(−(1/m) Σ ln p(yᵢ)).
    - `window_entropy`: the greatest mean entropy of `window` tokens. Paper: windows overlap. Official: they do not,
      the entropy is divided by V, and distributions are those one token later.
    - `logit_entropy`: (1/m) Σᵢ Σ −p ln p over the `top_k` likeliest tokens. Official: p is normalised over them, the
      sum divided by k, and distributions are those one token later.
    - `hidden`, of each layer: (1/m) ln det(HHᵀ). Official: (1/m) ln det(HJHᵀ + .001 I), J = I − 11ᵀ/d.
    - `attention`, of each layer: (1/m) Σⱼ ln aⱼⱼ, mean over heads. Official: sum over heads, the first layer left out.
    - `attention_entropy`, of each layer: (1/m) Σⱼ −Σₖ aⱼₖ ln aⱼₖ, mean over heads. Not LLM-Check's.
    - `rauq`: see `abstain.evals.detectors.attention.rauq` (Vazhentsev et al. 2025, arXiv 2505.20045).
    - `msp`: −ln p(y), without an end token.
    - `self_certainty`: −(1/m) Σ KL(uniform ‖ p) (Kang et al. 2025, arXiv 2502.18581, whose sign is the other).

    `hidden` of the last layer is after the final norm, as transformers' `hidden_states` are. Nothing is centred over
    tokens. `attention` and `hidden` have the sign of LLM-Check's equations, whose text and code disagree about what
    it means: fit it.

    Args:
        model: a causal language model; adapters of PEFT stay active.
        tokenizer: its tokenizer.
        pairs: prompts and responses; prompt and response are tokenized apart, and get no end token.
        scores: of `ALL`.
        convention: `paper` or `official`.
        span: which rows `hidden`, `attention` and `attention_entropy` look at: the `response`'s or the `whole` text's.
        window: tokens of the window entropy; LLM-Check's code has 1.
        top_k: likeliest tokens of the logit entropy.
        places: of which layers and tokens to give hidden states.
        batch_tokens: tokens of a batch with padding; by default 4,096 on a CPU and 16,384 elsewhere.
        prompt_format: "auto", "plain" or "chat".
        autocast: compute in bfloat16 whatever the weights are stored in, where the device does at speed; softmax and
            determinants are fp32 anyway.
        progress: what to say of how far it is, or whom to tell.

    Raises:
        ValueError: an unknown score, convention, span, layer or prompt format.
    """
    form = Form.checked(scores, convention, span, window, top_k)
    config = model.config.get_text_config()
    spans, notes = encode_pairs(
        pairs, tokenizer, context=getattr(config, "max_position_embeddings", None), prompt_format=prompt_format
    )
    there = [index for index, one in enumerate(spans) if one.length]
    watched = Watched(model, autocast)
    found = _Found(watched, form, len(pairs), _checked(places, watched.sight.layers))
    found.values["length"][:] = [one.length for one in spans]
    room = 0 if watched.sight.alone else room_of(batch_tokens, watched.model.device)
    nothing = form.scores in ((), ("length",)) and not places
    with watched.running(), followed(progress, len(pairs)) as advance:
        advance(len(pairs) if nothing else len(pairs) - len(there))
        for batch in () if nothing else batches([len(spans[index].ids) for index in there], 1, 0, room):
            _score(watched, form, [spans[there[place]] for place in batch], [there[place] for place in batch], found)
            advance(len(batch))
    if empty := len(pairs) - len(there):
        notes.append(f"{empty:,} of {len(pairs):,} responses have no tokens: no score but their length")
    return found.finish(there, [*watched.sight.notes, *notes])


def _checked(places: Sequence[Place], layers: int) -> list[Place]:
    for layer, text in places:
        if not (1 <= layer <= layers or -layers <= layer <= -1):
            raise ValueError(f"the model has layers 1 to {layers}, and no layer {layer}")
        if text not in ("prompt", "response"):
            raise ValueError(f"unknown place {text!r}. {nearest(text, ('prompt', 'response'))}")
    return [(layer if layer > 0 else layers + 1 + layer, text) for layer, text in places]


class _Found:
    """Arrays that batches fill."""

    def __init__(self, watched: Watched, form: Form, count: int, places: list[Place]) -> None:
        self.watched, self.form, self.places = watched, form, places
        self.layers = form.layers(watched.sight)
        shapes = {name: (count, len(self.layers[name])) if name in LAYERED else (count,) for name in form.scores}
        self.values = {name: np.full(shape, np.nan) for name, shape in ({"length": (count,)} | shapes).items()}
        width = watched.model.config.get_text_config().hidden_size if places else 0
        self.features = np.full((count, len(places), width), np.nan, dtype=np.float32) if places else None
        self.logit_features = np.full((count, len(LOGIT_FEATURES)), np.nan) if places else None

    def finish(self, there: list[int], notes: list[str]) -> OnePass:
        """What is not finite is no score."""
        lost: Counter[str] = Counter()
        for name, values in self.values.items():
            wrong = ~np.isfinite(values)
            lost[name] = int(wrong[there].any(axis=tuple(range(1, wrong.ndim))).sum())
            values[wrong] = np.nan
        for name in (name for name in self.form.scores if lost[name]):
            dtype = str(self.watched.model.dtype).removeprefix("torch.")
            why = f"not a finite number (an overflow of {dtype}, states that depend on each other, or no whole window)"
            notes.append(f"{name}: {lost[name]:,} of {len(there):,} responses have a value that is {why}")
        kept = {name: self.values[name] for name in self.form.scores}
        passes = self.watched.passes
        return OnePass(kept, self.layers, self.features, self.logit_features, tuple(notes), passes)


def _score(watched: Watched, form: Form, spans: Sequence[Span], where: Sequence[int], found: _Found) -> None:
    """One batch, one forward pass."""
    device = watched.model.device
    ids = pad_sequence([torch.tensor(span.ids) for span in spans], batch_first=True).to(device)
    starts = [0 if form.span == "whole" else span.start for span in spans]
    counts = [len(span.ids) - start for span, start in zip(spans, starts, strict=True)]
    rows = _Rows(starts, counts, device)
    watch = form.watch(watched.sight, min(starts))
    last = torch.tensor([[span.start - 1, len(span.ids) - 1] for span in spans], device=device)

    def see(layer: int, states: Tensor) -> None:
        if states.dim() != 3:
            return
        if form.wants("hidden"):
            dets = log_dets(rows.of(states), counts, HIDDEN_FORMS[form.convention])
            found.values["hidden"][where, layer - 1] = dets.cpu().numpy()
        for place, (wanted, text) in enumerate(found.places):
            if wanted == layer and found.features is not None:
                columns = last[:, int(text == "response")]
                picked = states[torch.arange(len(spans), device=device), columns]
                found.features[where, place] = picked.float().cpu().numpy()

    read = watched.read(ids, watch, see if form.wants("hidden") or found.places else None)
    for name, layers in found.layers.items():
        if name != "hidden" and layers:
            found.values[name][where] = _of_attention(name, watch, layers, rows, form)
    if not (form.wants(*OF_LOGITS, "rauq") or found.places):
        return
    tokens = _statistics(read, ids, spans, form)
    for index, span, one in zip(where, spans, tokens, strict=True):
        before, after = one.at(slice(span.length)), one.at(slice(-span.length, None))
        given = sequence_scores(before, after, form.window, form.convention, read.vocabulary)
        for name in form.scores:
            if name in given:
                found.values[name][index] = given[name]
        if found.logit_features is not None:
            found.logit_features[index] = logit_features(before)
    if form.wants("rauq") and watch.layers:
        found.values["rauq"][where] = _rauq(watch, spans, tokens)


class _Rows:
    """The rows that count of each text of a batch, moved to the front."""

    def __init__(self, starts: Sequence[int], counts: Sequence[int], device: torch.device) -> None:
        self.first, self.most = min(starts), max(counts)
        self.alike = len(set(starts)) == 1
        reach = torch.arange(self.most, device=device)
        self.columns = torch.tensor(starts, device=device)[:, None] - self.first + reach
        self.there = reach < torch.tensor(counts, device=device)[:, None]

    def of(self, states: Tensor) -> Tensor:
        """(B, most, d) of (B, T, d)."""
        if self.alike:
            return states[:, self.first : self.first + self.most]
        columns = (self.columns + self.first).clamp(max=states.shape[1] - 1)
        return states[torch.arange(len(columns), device=states.device)[:, None], columns]

    def mean(self, values: Tensor) -> Tensor:
        """(B,) mean over what counts of values (B, T − first)."""
        some = values.gather(1, self.columns.clamp(max=values.shape[1] - 1))
        return some.masked_fill(~self.there, 0.0).sum(1) / self.there.sum(1)


def _of_attention(name: str, watch: Watch, layers: Sequence[int], rows: _Rows, form: Form) -> np.ndarray:
    """(B, layers) of `attention` or `attention_entropy`."""
    means = []
    for layer in layers:
        seen: Row = watch.layers[layer - 1]
        values = seen.diagonal if name == "attention" else seen.entropy
        assert values is not None
        heads = (
            values.double().sum(1) if (name, form.convention) == ("attention", "official") else values.double().mean(1)
        )
        means.append(rows.mean(heads))
    return torch.stack(means, dim=1).cpu().numpy()


def _statistics(read: Read, ids: Tensor, spans: Sequence[Span], form: Form) -> list[Statistics]:
    """For each response the statistics of the m + 1 distributions before, between and after its tokens (official).

    Those after the last token are looked at by the official convention alone; the paper's are m.
    """
    more = int(form.convention == "official")
    sizes = [span.length + more for span in spans]
    rows = torch.cat([torch.full((size,), row) for row, size in enumerate(sizes)]).to(ids.device)
    columns = [torch.arange(span.start - 1, span.start - 1 + size) for span, size in zip(spans, sizes, strict=True)]
    at = torch.cat(columns).to(ids.device)
    following = ids[rows, (at + 1).clamp(max=ids.shape[1] - 1)]
    found = torch.empty(len(Statistics._fields), len(rows), device=ids.device)
    for part, logits in read.logits(rows, at):
        found[:, part] = read_logits(logits, following[part], form.top_k, form.convention)
    pieces = np.split(found.double().cpu().numpy(), np.cumsum(sizes)[:-1], axis=1)
    return [Statistics(*piece) for piece in pieces]


def _rauq(watch: Watch, spans: Sequence[Span], tokens: Sequence[Statistics]) -> np.ndarray:
    counts = np.array([span.length for span in spans])
    probabilities = np.ones((len(spans), counts.max()))
    for row, (one, count) in enumerate(zip(tokens, counts, strict=True)):
        probabilities[row, :count] = np.exp(one.logprob[:count])
    seen = [layer.previous for _, layer in sorted(watch.layers.items()) if layer.previous is not None]
    if not seen:
        return np.full(len(spans), np.nan)
    looks = torch.stack(seen, dim=1)  # (B, layers, heads, rows)
    rows = _Rows([span.start for span in spans], counts.tolist(), looks.device)
    columns = (rows.columns + rows.first - watch.first).clamp(max=looks.shape[-1] - 1)
    aligned = looks.gather(-1, columns[:, None, None].expand(-1, *looks.shape[1:3], -1))
    return rauq(probabilities, aligned.double().cpu().numpy(), counts)
