"""A model watched from inside while it reads: hidden states, attention and next-token distributions of one pass.

How a model lets itself be watched is found out once, on a few tokens: everything is compared with what the model
itself returns when it is asked for its attention (eager), its hidden states and its logits. What differs is had from
the model's own outputs from then on, which is slower and takes more memory, and a note says so.
"""

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from abstain.evals.detectors.asked import reading_only
from abstain.evals.detectors.attention import NAME, Watch, watched, with_attention
from abstain.evals.trie.head import CHUNK, LogitTransform

TOKENS = 17  # of the two rows on which it is found out
EVERY = range(2**20)  # layers
Hidden = Callable[[int, Tensor], None]
"""Called with a layer, from 1, and its states (B, T, d), as soon as they are there."""
logger = logging.getLogger(__name__)
_SIGHTS: WeakKeyDictionary[nn.Module, Any] = WeakKeyDictionary()


@dataclass(frozen=True)
class Sight:
    """How a model lets itself be watched.

    Args:
        attention: by our own function with the kernel's ln Σ exp ("fused") or in blocks of rows ("blocks"), from the
            matrices that the model returns ("weights"), or not at all (`None`).
        attention_layers: which layers have attention, from 0.
        layers: how many layers there are.
        stack: the name of the list of layers to hook, `None` to ask for `output_hidden_states`.
        alone: whether what a row gives depends on the rest of its batch, or on what follows.
        own_head: whether logits are the output embeddings' of the last hidden state.
        vocabulary: how many logits there are.
        notes: what is not had in the quick way, for people.
    """

    attention: Literal["fused", "blocks", "weights"] | None
    attention_layers: tuple[int, ...]
    layers: int
    stack: str | None
    alone: bool
    own_head: bool
    vocabulary: int
    notes: tuple[str, ...]


@dataclass
class Read:
    """What a pass left.

    Args:
        last: the last hidden states (B, T, d), or the logits (B, T, V) of a model whose head is not known.
        project: from the former to the latter.
        vocabulary: V.
        cache: of the tokens so far.
    """

    last: Tensor
    project: Callable[[Tensor], Tensor] | None
    vocabulary: int
    cache: Any

    def logits(self, rows: Tensor, columns: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Logits in fp32 after the tokens at these places, (r, V), some at a time and where they stand among all."""
        step = max(1, CHUNK // self.vocabulary)
        for start in range(0, len(rows), step):
            part = slice(start, min(start + step, len(rows)))
            some = self.last[rows[part], columns[part]]
            yield part, some.float() if self.project is None else self.project(some)


class Watched:
    """Runs a causal language model and lets one look.

    Args:
        model: a causal language model; adapters of PEFT stay active.
        autocast: compute in bfloat16 whatever the weights are stored in, where the device does at speed.
    """

    def __init__(self, model: PreTrainedModel, autocast: bool = False) -> None:
        while hasattr(model, "get_base_model"):
            model = model.get_base_model()
        self.model = model
        self.autocast = autocast
        with self.running():
            if model not in _SIGHTS:
                _SIGHTS[model] = _look(model)
        self.sight: Sight = _SIGHTS[model]
        self.passes = 0

    def running(self) -> AbstractContextManager[None]:
        """Evaluation mode and no gradients; then the mode that it was in."""
        return reading_only(self.model, self.autocast)

    def read(self, ids: Tensor, watch: Watch | None = None, hidden: Hidden | None = None, cache: Any = None) -> Read:
        """One forward pass over (B, T) tokens, padded on the right, where no causal model looks back from.

        Args:
            ids: the tokens; with a cache those that come next.
            watch: what is wanted of attention; it holds what was seen.
            hidden: is called for each layer.
            cache: of earlier tokens; `True` to begin one.
        """
        self.passes += 1
        return _read(self.model, self.sight, ids, watch, hidden, cache)


def _read(
    model: PreTrainedModel, sight: Sight, ids: Tensor, watch: Watch | None, hidden: Hidden | None, cache: Any = None
) -> Read:
    options: dict[str, Any] = {"use_cache": cache is not None}
    if cache is not None and cache is not True:
        options[_cache_name(model)] = cache
    matrices = bool(watch) and sight.attention == "weights"
    states = hidden is not None and (sight.stack is None or not sight.own_head)
    options |= {"output_attentions": True} if matrices else {}
    options |= {"output_hidden_states": True} if states else {}
    with ExitStack() as stack:
        if matrices:
            stack.enter_context(with_attention(model, "eager"))
        elif watch and sight.attention:
            watch.fused = sight.attention == "fused"
            stack.enter_context(with_attention(model, NAME))
            stack.enter_context(watched(watch))
        if hidden is not None and not states and sight.stack:
            stack.enter_context(_hooked(model.get_submodule(sight.stack), hidden, sight.layers - 1))
        output = (model.base_model if sight.own_head else model)(input_ids=ids, **options)
    if states and hidden is not None:
        for layer, shown in enumerate(output.hidden_states[1:], 1):
            hidden(layer, shown)
    elif hidden is not None:
        hidden(sight.layers, output.last_hidden_state)
    if matrices and watch:
        given = [weights for weights in output.attentions if weights is not None]
        for layer, weights in zip(sight.attention_layers, given, strict=True):
            watch.keep_weights(layer, weights)
    kept = getattr(output, _cache_name(model), None)
    if not sight.own_head:
        return Read(output.logits, None, sight.vocabulary, kept)
    return Read(output.last_hidden_state, _head(model), sight.vocabulary, kept)


def _cache_name(model: PreTrainedModel) -> str:
    """Models without attention have another name for it."""
    names = inspect.signature(model.forward).parameters
    return "past_key_values" if "past_key_values" in names else "cache_params"


def _head(model: PreTrainedModel) -> Callable[[Tensor], Tensor]:
    head, transform = model.get_output_embeddings(), LogitTransform.of(model, 1.0)
    return lambda states: transform(head(states))


@contextmanager
def _hooked(layers: nn.Module, hidden: Hidden, count: int) -> Iterator[None]:
    """Tells `hidden` what the first `count` layers give; the last one's states are normalised before they count."""

    def hook(layer: int) -> Callable[..., None]:
        return lambda module, args, output: hidden(layer, output[0] if isinstance(output, tuple) else output)

    children = list(layers.children())[:count]
    handles = [child.register_forward_hook(hook(layer)) for layer, child in enumerate(children, 1)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _look(model: PreTrainedModel) -> Sight:
    """Finds out how the model lets itself be watched."""
    vocabulary = model.get_input_embeddings().weight.shape[0]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocabulary, (2, TOKENS), generator=generator).to(model.device)
    name = type(model).__name__
    truth, weights = _truth(model, ids)
    count = len(truth.hidden_states) - 1
    exact = truth.logits.dtype == torch.float32
    near = _Near(1e-3 if exact else 0.05)
    stack = _stack(model, ids, truth.hidden_states, near)
    blind = Sight(None, (), count, stack, False, True, truth.logits.shape[-1], ())
    own_head = _has_own_head(model, blind, ids, truth.logits, near)
    alone = _is_alone(model, ids, truth.logits, near)
    notes = [] if stack and own_head else [f"{name}: hidden states and logits are the model's own outputs, all kept"]
    if alone:
        notes.append(f"{name}: what a text gives depends on the length of its batch, so there is one text in each")
    if any(states.dim() != 3 for states in truth.hidden_states):
        notes.append(f"{name} has several hidden states for each token: hidden scores of the last layer only")
    attention: Literal["fused", "blocks", "weights"] | None = None
    layers: tuple[int, ...] = ()
    if not weights:
        notes.append(f"{name} gives no attention weights: it has no scores of attention")
    else:
        attention, layers = "weights", tuple(range(len(weights)))
        seen = Watch(previous=EVERY, entropy=True)
        for order, matrix in enumerate(weights):
            seen.keep_weights(order, matrix)
        for reading in ("fused", "blocks"):
            tried = Watch(previous=EVERY, entropy=True, fused=reading == "fused")
            if _try(model, ids, tried) and _same(tried, seen, near):
                attention, layers = reading, tuple(sorted(tried.layers))
                break
        else:
            notes.append(f"{name}: attention is the model's own eager one, whose matrices are all kept")
    return Sight(attention, layers, count, stack, alone, own_head, truth.logits.shape[-1], tuple(notes))


@dataclass(frozen=True)
class _Near:
    """Whether tensors agree but for rounding."""

    tolerance: float

    def __call__(self, one: Tensor | None, other: Tensor | None) -> bool:
        if one is None or other is None or one.shape != other.shape:
            return False
        one, other = one.double(), other.double()
        same = (one == other) | (one.isneginf() & other.isneginf())
        far = torch.where(same, 0.0, one - other)
        size = torch.where(torch.isfinite(other), other, 0.0).abs().mean().clamp(min=1.0)
        return bool(far.abs().mean() <= self.tolerance * size)


def _truth(model: PreTrainedModel, ids: Tensor) -> tuple[Any, list[Tensor]]:
    """What the model returns itself, and its matrices of attention, if it has any."""
    size = ids.shape[1]
    try:
        with with_attention(model, "eager"):
            output = model(input_ids=ids, use_cache=False, output_hidden_states=True, output_attentions=True)
        given = [weights for weights in getattr(output, "attentions", None) or () if weights is not None]
    except (AttributeError, NotImplementedError, TypeError, ValueError) as error:
        logger.debug("no eager attention: %s", error)
        output, given = model(input_ids=ids, use_cache=False, output_hidden_states=True), []
    upper = torch.ones(size, size, dtype=torch.bool, device=ids.device).triu(1)
    right = [
        weights.dim() == 4
        and weights.shape[-2:] == (size, size)
        and not weights.float().masked_select(upper).any()
        and bool((weights.float().sum(-1) <= 1.02).all())
        for weights in given
    ]
    return output, given if all(right) else []


def _stack(model: PreTrainedModel, ids: Tensor, truth: tuple[Tensor, ...], near: _Near) -> str | None:
    """The list of layers whose outputs are the hidden states."""
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == len(truth) - 1:
            found: dict[int, Tensor] = {}
            with _hooked(module, found.__setitem__, len(truth) - 2):
                model(input_ids=ids, use_cache=False)
            there = [found.get(layer) for layer in range(1, len(truth) - 1)]
            if all(isinstance(shown, Tensor) and near(shown, truth[i]) for i, shown in enumerate(there, 1)):
                return name
    return None


def _is_alone(model: PreTrainedModel, ids: Tensor, logits: Tensor, near: _Near) -> bool:
    """Whether the first tokens have other logits where others follow, or will have from some length on."""
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    kinds = {part.get("rope_type") for part in (rope, *rope.values()) if isinstance(part, dict)}
    size = ids.shape[1] // 2
    return bool(kinds & {"dynamic", "longrope"}) or not near(
        model(input_ids=ids[:, :size], use_cache=False).logits, logits[:, :size]
    )


def _has_own_head(model: PreTrainedModel, sight: Sight, ids: Tensor, logits: Tensor, near: _Near) -> bool:
    try:
        read = _read(model, sight, ids, None, None)
        return near(_head(model)(read.last), logits.float())
    except (AttributeError, RuntimeError, TypeError):
        return False


def _try(model: PreTrainedModel, ids: Tensor, watch: Watch) -> bool:
    """Whether our own function computes the model's attention at all."""
    try:
        with with_attention(model, NAME), watched(watch):
            model(input_ids=ids, use_cache=False)
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        logger.debug("attention cannot be watched: %s", error)
        return False
    return bool(watch.layers)


def _same(tried: Watch, seen: Watch, near: _Near) -> bool:
    if len(tried.layers) != len(seen.layers):
        return False
    pairs = zip((tried.layers[layer] for layer in sorted(tried.layers)), seen.layers.values(), strict=True)
    return all(near(given, truth) for one, other in pairs for given, truth in zip(one, other, strict=True))
