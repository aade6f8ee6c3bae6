"""What attention is needed for scores, without the whole of it: its diagonal, the token before, its entropy.

transformers lets every model's attention be computed by a function of ours (`AttentionInterface`). On a CPU it calls
the very kernel that PyTorch would, which also returns ln Σ exp of each row of scores s = q·k/√d. With that number

    ln a_jj = s_jj − lse_j
    a_{j,j−1} = exp(s_{j,j−1} − lse_j)
    −Σ_k a_jk ln a_jk = lse_j − q_j·(Σ_k a_jk k_k)/√d

need no matrix of m × m. Elsewhere, and where scores are capped or sinks take a share, rows are looked at in blocks.
"""

import sys
from collections.abc import Container, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "abstain_watched"
BLOCK = 2**22
"""Attention weights looked at at a time, where no kernel tells ln Σ exp."""
ALPHA = 0.2
"""RAUQ's weight of a token's own probability: Vazhentsev et al. 2025, section 5.1, for base models."""


class Row(NamedTuple):
    """What is kept of one layer's attention, (B, heads, rows) each; `None` what was not asked for."""

    diagonal: Tensor | None
    """ln a_jj"""
    previous: Tensor | None
    """a_{j,j−1}"""
    entropy: Tensor | None
    """−Σ_k a_jk ln a_jk"""


@dataclass
class Watch:
    """What is asked of attention while a model runs, and what was seen.

    Args:
        diagonal, entropy: asked of every layer.
        previous: of which layers.
        first: the first row that matters.
        fused: use the kernel that tells ln Σ exp where it can be used.
    """

    diagonal: bool = True
    entropy: bool = True
    previous: Container[int] = ()
    first: int = 0
    fused: bool = True
    layers: dict[int, Row] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.diagonal or self.entropy or self.previous != ()

    def keep(self, layer: int, diagonal: Tensor, previous: Tensor, entropy: Tensor | None) -> None:
        """Notes what one layer showed."""
        self.layers[layer] = Row(
            diagonal if self.diagonal else None,
            previous.exp() if layer in self.previous else None,
            entropy,
        )

    def keep_weights(self, layer: int, weights: Tensor) -> None:
        """Notes what is asked of a matrix of attention weights, (B, heads, rows, columns)."""
        weights = weights[:, :, self.first :].float()
        at = _columns(weights.shape[-2], weights.shape[-1], weights.device)
        self.keep(
            layer,
            weights.gather(-1, at.expand(*weights.shape[:3], 1))[..., 0].log(),
            _previous(weights.gather(-1, (at - 1).clamp(min=0).expand(*weights.shape[:3], 1))[..., 0].log(), at),
            torch.special.entr(weights).sum(-1) if self.entropy else None,
        )


_active: ContextVar[Watch | None] = ContextVar("abstain_watched_attention", default=None)


def _columns(rows: int, columns: int, device: torch.device) -> Tensor:
    """(rows, 1) the column of each row's own token; the last row's is the last."""
    return torch.arange(columns - rows, columns, device=device)[:, None]


def _previous(scores: Tensor, at: Tensor) -> Tensor:
    """A first token has none before it."""
    return scores.masked_fill(at[:, 0] == 0, -torch.inf)


def _watched_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attention as `sdpa` computes it; the active watch sees the rows."""
    watch = _active.get()
    if watch is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
    groups = query.shape[1] // key.shape[1]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    layer = int(getattr(module, "layer_idx", len(watch.layers)))
    special = {name: options[name] for name in ("softcap", "s_aux", "position_bias") if options.get(name) is not None}
    square = query.shape[2] == key.shape[2] > 1
    alike = query.shape[-1] == value.shape[-1] and query.device.type == "cpu" and not options.get("dropout")
    causal = options.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    if watch.fused and alike and not special and square and (attention_mask is not None or causal):
        key, value = repeat_kv(key, groups), repeat_kv(value, groups)
        return _fused(watch, layer, query, key, value, attention_mask, scale), None
    with torch.autocast(query.device.type, enabled=False):
        _blocks(watch, layer, query, repeat_kv(key, groups), attention_mask, scale, causal, special)
    if special:
        eager = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
        if eager is None:
            raise NotImplementedError(f"{type(module).__name__} has {', '.join(special)}, and no eager attention")
        if attention_mask is None:
            attention_mask = _additive(_causal_mask(query.shape[2], key.shape[2], query.device), query.dtype)
        elif attention_mask.dtype == torch.bool:
            attention_mask = _additive(attention_mask, query.dtype)
        return eager(module, query, key, value, attention_mask, scaling=scaling, **options)[0], None
    return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)


def _additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)


def _causal_mask(rows: int, columns: int, device: torch.device) -> Tensor:
    return (torch.arange(columns, device=device) <= _columns(rows, columns, device))[None, None]


def _fused(
    watch: Watch, layer: int, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    kind = query.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else query.dtype
    query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    if mask is not None:
        mask = _additive(mask, dtype) if mask.dtype == torch.bool else mask.to(dtype)
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    output, lse = kernel(query, key, value, 0.0, mask is None, attn_mask=mask, scale=scale)
    first = watch.first
    rows, lse = query[:, :, first:].float(), lse[:, :, first:]
    at = _columns(rows.shape[2], key.shape[2], key.device)
    diagonal = (rows * key[:, :, first:]).sum(-1) * scale - lse
    previous = lse
    if layer in watch.previous:
        before = key[:, :, max(0, first - 1) : -1]
        if first == 0:
            before = nn.functional.pad(before, (0, 0, 1, 0))
        previous = (rows * before).sum(-1) * scale - lse
        if mask is not None:
            columns = (at - 1).clamp(min=0).expand(*mask.shape[:2], -1, 1)
            previous = previous + mask[:, :, first:].gather(-1, columns)[..., 0]
        previous = _previous(previous, at)
    entropy = None
    if watch.entropy:
        whole, keys = query.float(), key.float()
        looks = kernel(
            whole, keys, keys, 0.0, mask is None, attn_mask=None if mask is None else mask.float(), scale=scale
        )
        entropy = lse - (rows * looks[0][:, :, first:]).sum(-1) * scale
    watch.keep(layer, diagonal, previous, entropy)
    return output.transpose(1, 2).contiguous()


def _blocks(
    watch: Watch,
    layer: int,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    scale: float,
    causal: bool,
    special: dict[str, Any],
) -> None:
    """Rows of attention weights, some at a time, in fp32."""
    batch, heads, rows, _ = query.shape
    step = max(1, BLOCK // (batch * heads * key.shape[2]))
    keys = key.float().mT
    found: list[tuple[Tensor, ...]] = []
    offset = key.shape[2] - rows
    for start in range(watch.first, rows, step):
        part = slice(start, min(start + step, rows))
        scores = query[:, :, part].float() @ keys * scale
        if (cap := special.get("softcap")) is not None:
            scores = cap * torch.tanh(scores / cap)
        if (bias := special.get("position_bias")) is not None:
            scores = scores + bias[:, :, part, : scores.shape[-1]]
        at = torch.arange(part.start, part.stop, device=key.device)[:, None] + offset
        if mask is None:
            if causal:
                scores = scores.masked_fill(torch.arange(scores.shape[-1], device=key.device) > at, -torch.inf)
        elif mask.dtype == torch.bool:
            scores = scores.masked_fill(~mask[:, :, part, : scores.shape[-1]], -torch.inf)
        else:
            scores = scores + mask[:, :, part, : scores.shape[-1]]
        lse = scores.logsumexp(-1)
        if (sinks := special.get("s_aux")) is not None:
            lse = torch.logaddexp(lse, sinks.float().reshape(1, -1, 1))
        diagonal, before = (
            scores.gather(-1, columns.expand(*scores.shape[:3], 1))[..., 0] - lse
            for columns in (at, (at - 1).clamp(min=0))
        )
        entropy = torch.special.entr((scores - lse[..., None]).exp()).sum(-1) if watch.entropy else lse
        found.append((diagonal, _previous(before, at), entropy))
    diagonal, before, entropy = (torch.cat(parts, dim=-1) for parts in zip(*found, strict=True))
    watch.keep(layer, diagonal, before, entropy if watch.entropy else None)


AttentionInterface.register(NAME, _watched_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Attention of models in `with_attention(model, NAME)` is shown to `watch`."""
    token = _active.set(watch)
    try:
        yield
    finally:
        _active.reset(token)


@contextmanager
def with_attention(model: PreTrainedModel, implementation: str) -> Iterator[None]:
    """Within it, the model computes attention so; then as it did."""
    configs = {id(part.config): part.config for part in model.modules() if isinstance(part, PreTrainedModel)}
    kept = [(config, config._attn_implementation) for config in configs.values()]
    for config, _ in kept:
        config._attn_implementation = implementation
    try:
        yield
    finally:
        for config, before in kept:
            config._attn_implementation = before


def rauq_layers(layers: int) -> range:
    """Which of L layers RAUQ looks at, from 0: from the first third to the second, 10 to 22 of 32.

    Example:
        >>> rauq_layers(32), rauq_layers(2)
        (range(10, 23), range(0, 2))
    """
    return range(layers // 3, min(layers, -(-2 * layers // 3) + 1))


def rauq(probabilities: np.ndarray, previous: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """RAUQ: how unsure, with attention carrying doubt from token to token (Vazhentsev et al. 2025, arXiv 2505.20045).

    In each layer the head that looks most at the token before, on the mean over tokens 2 … m, gives a_i, and

        c_1 = p_1,   c_i = α p_i + (1 − α) a_i c_{i−1},   u = max over layers of −(1/m) Σ ln c_i

    with α = .2 and the layers of `rauq_layers`; eq. 1 to 4. One token has u = −ln p_1.

    Args:
        probabilities: (B, M) p_i of the responses' tokens.
        previous: (B, layers, heads, M) attention of token i to token i − 1.
        counts: (B,) m of each, at least 1.

    Example:
        >>> p, a = np.array([[0.5, 0.5]]), np.array([[[[0.0, 0.1], [0.0, 0.25]]]])
        >>> c2 = 0.2 * 0.5 + 0.8 * 0.25 * 0.5  # the second head looks more
        >>> bool(np.isclose(rauq(p, a, np.array([2])), -(np.log(0.5) + np.log(c2)) / 2))
        True
    """
    there = np.arange(probabilities.shape[1]) < counts[:, None]
    later = there[:, None, None, 1:]
    looks = np.where(later, previous[..., 1:], 0.0).sum(-1)
    head = looks.argmax(-1)
    chosen = np.take_along_axis(previous, head[..., None, None], axis=2)[:, :, 0]
    confidence = np.repeat(probabilities[:, :1], chosen.shape[1], axis=1)
    total = np.log(confidence)
    for token in range(1, probabilities.shape[1]):
        own, carried = ALPHA * probabilities[:, token, None], (1 - ALPHA) * chosen[:, :, token] * confidence
        confidence = np.where(there[:, token, None], own + carried, confidence)
        total += np.where(there[:, token, None], np.log(confidence), 0.0)
    return (-total / counts[:, None]).max(1)
