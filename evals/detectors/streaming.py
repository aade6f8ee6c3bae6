"""The scores of a response while it is written, token by token.

Every token goes through the model once, as it does for writing; its scores are those that `one_pass` would give the
response up to it. Determinants grow by one row of their Cholesky factors at a time.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from abstain.evals.detectors.attention import Watch, rauq
from abstain.evals.detectors.catalogue import Convention
from abstain.evals.detectors.hidden import HIDDEN_FORMS, HiddenForm
from abstain.evals.detectors.one_pass import ALL, Form, Part
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.probabilities import Statistics, read_logits, sequence_scores
from abstain.evals.detectors.spans import encode_pairs
from abstain.evals.detectors.watching import Read, Watched
from abstain.evals.models import end_tokens
from abstain.evals.sampling import PromptFormat


@dataclass(frozen=True)
class Scored:
    """A token, and the scores of the response up to and with it.

    Args:
        token: its id.
        text: what it adds to the response; "" while a character is not whole.
        values: a number for each score, (layers,) for a layered one; NaN where it cannot be computed yet.
    """

    token: int
    text: str
    values: dict[str, float | np.ndarray]


def stream_scores(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: str,
    *,
    response: str | None = None,
    scores: Collection[str] = ALL,
    convention: Convention = "paper",
    span: Part = "response",
    window: int = 1,
    top_k: int = 50,
    max_new_tokens: int = 128,
    temperature: float = 0.0,
    seed: int = 0,
    prompt_format: PromptFormat = "auto",
) -> Iterator[Scored]:
    """Writes a response and scores what there is of it after each token.

    Args:
        model, tokenizer: a causal language model and its tokenizer.
        prompt: the prompt, without the chat template.
        response: read this one instead of writing one.
        scores, convention, span, window, top_k: of `abstain.evals.detectors.one_pass.one_pass`.
        max_new_tokens: room; the end token, at which it stops, is not scored.
        temperature: 0 is greedy.
        seed: of what is drawn.
        prompt_format: "auto", "plain" or "chat".

    Raises:
        ValueError: as `one_pass`; or the prompt has no tokens, it and the room do not fit the model's context, or the
            model keeps no cache.
    """
    form = Form.checked(scores, convention, span, window, top_k)
    watched = Watched(model)
    (encoded,), _ = encode_pairs([Pair(prompt, response or "")], tokenizer, prompt_format=prompt_format)
    forced = encoded.ids[encoded.start :] if response is not None else None
    room = max_new_tokens if forced is None else len(forced)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or math.inf
    if not encoded.ids:
        raise ValueError(f"prompt {prompt!r} has no tokens")
    if encoded.start + room > context:
        size = f"{encoded.start} tokens and {room} new ones"
        raise ValueError(f"the prompt does not fit: {size} exceed the model's context of {context}")
    writer = _Writer(tokenizer, forced, temperature, seed, [] if forced is not None else end_tokens(model, tokenizer))
    state = _State(watched, form)
    with watched.running():
        read = state.read(encoded.ids[: encoded.start], prompt=True)
    for _ in range(room):
        logits = next(read.logits(torch.tensor([0]), torch.tensor([-1])))[1]
        token = writer.choose(logits[0])
        if token is None:
            return
        with watched.running():
            state.note(logits, token)
            read = state.read([token])
            if form.convention == "official":
                state.note(next(read.logits(torch.tensor([0]), torch.tensor([-1])))[1], token)
        yield Scored(token, writer.text(token), state.values(read.vocabulary))
        if form.convention == "official":
            state.statistics.pop()


class _Writer:
    """Chooses tokens, or takes given ones, and decodes them."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        forced: Sequence[int] | None,
        temperature: float,
        seed: int,
        ends: Collection[int],
    ) -> None:
        self.tokenizer, self.forced, self.temperature, self.ends = tokenizer, forced, temperature, ends
        self.generator = torch.Generator().manual_seed(seed)
        self.tokens: list[int] = []
        self.written = ""

    def choose(self, logits: Tensor) -> int | None:
        """The next token, `None` at the end."""
        if self.forced is not None:
            return self.forced[len(self.tokens)]
        if self.temperature > 0:
            chances = (logits.cpu() / self.temperature).softmax(-1)
            token = int(chances.multinomial(1, generator=self.generator))
        else:
            token = int(logits.argmax())
        return None if token in self.ends else token

    def text(self, token: int) -> str:
        """What this token adds."""
        self.tokens.append(token)
        whole = self.tokenizer.decode(self.tokens)
        if whole.endswith("�"):
            return ""
        new, self.written = whole[len(self.written) :], whole
        return new


class _State:
    """All that is kept of the tokens so far."""

    def __init__(self, watched: Watched, form: Form) -> None:
        self.watched, self.form = watched, form
        self.layers = {name: layers for name, layers in form.layers(watched.sight).items() if name != "hidden"}
        self.cache: object = True
        self.statistics: list[np.ndarray] = []
        self.sums = {name: np.zeros(len(self.layers[name])) for name in self.layers}
        self.rows = 0
        self.looks: list[np.ndarray] = []
        self.growing = _Growing(watched.sight.layers, HIDDEN_FORMS[form.convention])

    def read(self, tokens: Sequence[int], prompt: bool = False) -> Read:
        """The next tokens go through the model."""
        ids = torch.tensor([list(tokens)], device=self.watched.model.device)
        watch = self.form.watch(self.watched.sight, 0)
        states: dict[int, Tensor] = {}
        read = self.watched.read(ids, watch, states.__setitem__ if self.form.wants("hidden") else None, self.cache)
        if read.cache is None:
            raise ValueError(f"{type(self.watched.model).__name__} keeps no cache: its responses cannot be streamed")
        self.cache = read.cache
        if prompt and self.form.span == "response":
            return read
        if self.form.wants("hidden"):
            self.growing.add(torch.stack([states[layer][0] for layer in sorted(states)]))
        self._attend(watch, len(tokens), prompt)
        return read

    def _attend(self, watch: Watch, count: int, prompt: bool) -> None:
        self.rows += count
        for name, layers in self.layers.items():
            official = (name, self.form.convention) == ("attention", "official")
            means = []
            for layer in layers:
                seen = watch.layers[layer - 1]
                shown = seen.diagonal if name == "attention" else seen.entropy
                assert shown is not None
                values = shown.double().sum(-1)[0]
                means.append(values.sum() if official else values.mean())
            if means:
                self.sums[name] += torch.stack(means).cpu().numpy()  # a device is waited for once, not in each layer
        if not prompt:
            looks = [row.previous[0, :, -1] for _, row in sorted(watch.layers.items()) if row.previous is not None]
            if looks:
                self.looks.append(torch.stack(looks).double().cpu().numpy())

    def note(self, logits: Tensor, token: int) -> None:
        """The distribution that a token was drawn from."""
        following = torch.tensor([token], device=logits.device)
        found = read_logits(logits, following, self.form.top_k, self.form.convention)
        self.statistics.append(found[:, 0].double().cpu().numpy())

    def values(self, vocabulary: int) -> dict[str, float | np.ndarray]:
        """The scores of all tokens so far."""
        of = Statistics(*np.stack(self.statistics, axis=1))
        count = len(self.statistics) - (self.form.convention == "official")
        before, after = of.at(slice(count)), of.at(slice(-count, None))
        found: dict[str, float | np.ndarray] = {"length": float(count)}
        found |= sequence_scores(before, after, self.form.window, self.form.convention, vocabulary)
        found |= {name: total / self.rows for name, total in self.sums.items()}
        if self.form.wants("hidden"):
            found["hidden"] = self.growing.total.numpy() / self.rows
        if self.form.wants("rauq"):
            found["rauq"] = math.nan
            if self.looks:
                looks = np.stack(self.looks, axis=-1)[None]
                found["rauq"] = float(rauq(np.exp(before.logprob)[None], looks, np.array([count]))[0])
        return {name: found[name] for name in self.form.scores}


class _Growing:
    """ln det(H J Hᵀ + α I) of each layer, of ever more rows of H; in fp64.

    With the factor L of the rows so far and b their products with a new row h, L l = b, and the new pivot is
    h·h + α − l·l. Past d rows a determinant without α is 0, and stays NaN.
    """

    def __init__(self, layers: int, form: HiddenForm) -> None:
        self.form = form
        self.states = torch.zeros(layers, 0, 0, dtype=torch.float64)
        self.factor = torch.zeros(layers, 0, 0, dtype=torch.float64)
        self.total = torch.zeros(layers, dtype=torch.float64)

    def add(self, states: Tensor) -> None:
        """(layers, rows, d) more states."""
        states = states.double().cpu()
        if self.form.centred:
            states = states - states.mean(-1, keepdim=True)
        for row in states.unbind(1):
            self._add(row)

    def _add(self, row: Tensor) -> None:
        if not self.states.numel():
            self.states = row.new_zeros(len(row), 0, row.shape[-1])
        size = self.states.shape[1]
        solved = row.new_zeros(len(row), size)
        if size:
            products = self.states @ row[..., None]
            solved = torch.linalg.solve_triangular(self.factor, products, upper=False)[..., 0]
        pivot = row.square().sum(-1) + self.form.regulariser - solved.square().sum(-1)
        if size >= row.shape[-1] and not self.form.regulariser:
            pivot = torch.full_like(pivot, torch.nan)
        self.total = self.total + pivot.log()
        bottom = torch.cat([solved, pivot.sqrt()[:, None]], dim=1)[:, None]
        self.factor = torch.cat([torch.nn.functional.pad(self.factor, (0, 1)), bottom], dim=1)
        self.states = torch.cat([self.states, row[:, None]], dim=1)
