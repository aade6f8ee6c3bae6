"""The forward pass over packed tries: log-probabilities only where a node has scored children.

`add_trie_head` teaches a causal language model a further keyword, `trie=...`, next to the `fused_lm_head=True` that
TRL adds in the same way; without it the forward is what it was. Going through the model's own `forward` keeps what
wraps it (DDP, PEFT, autocast) at work.
"""

import functools
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from abstain.evals.trie.forest import Ints

CHUNK = 2**25  # logits held at a time: 128 MB in fp32
CACHED = 2**18  # logits worked on at a time on a CPU, which is several times faster within its cache


@dataclass(frozen=True)
class LogitTransform:
    """What stands between the projection on the vocabulary and the logits: scale, soft cap and temperature."""

    scale: float = 1.0
    softcap: float | None = None
    temperature: float = 1.0

    @classmethod
    def of(cls, model: PreTrainedModel, temperature: float) -> "LogitTransform":
        config = model.config.get_text_config()
        named = (getattr(config, name, None) for name in ("logit_scale", "output_multiplier", "lm_head_multiplier"))
        scale = next((value for value in named if value is not None), None)
        if scale is None:
            divisor = getattr(config, "logits_scaling", None) or 1.0
            scale = divisor if config.model_type == "hyperclovax" else 1 / divisor  # whose name for it misleads
        return cls(scale, getattr(config, "final_logit_softcapping", None), temperature)

    def __call__(self, projected: Tensor) -> Tensor:
        logits = projected.float()
        if self.scale != 1.0:
            logits = logits * self.scale
        if self.softcap is not None:
            logits = self.softcap * torch.tanh(logits / self.softcap)
        return logits if self.temperature == 1.0 else logits / self.temperature

    def grad(self, grad: Tensor, logits: Tensor) -> Tensor:
        """Gradient for the projection, from that for `logits`; works in place."""
        if self.softcap is not None:
            grad.mul_(1 - (logits * (self.temperature / self.softcap)) ** 2)
        factor = self.scale / self.temperature
        return grad if factor == 1.0 else grad.mul_(factor)


@dataclass(frozen=True)
class Scored:
    """The nodes to project on the vocabulary, and the edges (node, next token) whose log-probability is wanted.

    Args:
        nodes: (M,) indices into the flattened nodes.
        edge_node: (E,) index into `nodes`, ascending.
        edge_token: (E,) the next token.
        cuts: edges before each chunk of nodes; kept on the host, to cut without waiting for the device.
    """

    nodes: Tensor
    edge_node: Tensor
    edge_token: Tensor
    chunk: int
    cuts: list[int]

    @classmethod
    def on(cls, device: torch.device, nodes: Ints, edge_node: Ints, edge_token: Ints, vocab: int) -> "Scored":
        chunk = max(1, CHUNK // vocab)
        cuts = np.searchsorted(edge_node, np.arange(0, len(nodes) + chunk, chunk)).tolist()
        on_device = [torch.from_numpy(array).to(device) for array in (nodes, edge_node, edge_token)]
        return cls(on_device[0], on_device[1], on_device[2], chunk, cuts)

    def chunks(self) -> list[tuple[slice, slice]]:
        starts = range(0, len(self.nodes), self.chunk)
        return [
            (slice(start, start + self.chunk), slice(first, end))
            for start, first, end in zip(starts, self.cuts[:-1], self.cuts[1:], strict=False)
        ]


@dataclass(frozen=True)
class Read:
    """The nodes whose logits are wanted, and who takes them: `use(logits, first)`, some nodes at a time.

    Args:
        nodes: (M,) indices into the flattened nodes.
        use: gets logits (m, V) of the nodes `first`, `first + 1`, ... at temperature 1.
    """

    nodes: Tensor
    use: Callable[[Tensor, int], None]


def slices(logits: Tensor) -> Iterator[slice]:
    """Cuts rows of logits (m, V) into pieces that suit the device."""
    rows, vocab = logits.shape
    step = max(1, CACHED // vocab) if logits.device.type == "cpu" else max(1, rows)
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def statistics(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """log Σ exp(logits), the entropy of the distribution in nats, and exp(logits - max), for rows of logits."""
    top = logits.amax(-1)
    weights = (logits - top[:, None]).exp_()
    total = weights.sum(-1)
    log_z = top + total.log()
    mean = (weights * logits).sum(-1) / total
    return log_z, log_z - mean, weights


class NodeLogProbs(torch.autograd.Function):
    """Log-probabilities of edges and entropies of nodes, from the nodes' hidden states, a chunk of logits at a time.

    d log p(token) / d logit_j = 1[j = token] - p_j;  d H / d logit_j = -p_j (log p_j + H).
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, scored: Scored, transform: LogitTransform
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        kind = hidden.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        edges = hidden.new_empty(len(scored.edge_node), dtype=torch.float32)
        log_z, entropy = hidden.new_empty(2, len(scored.nodes), dtype=torch.float32)
        typed = weight.to(dtype)
        projected = None
        for at, edge in scored.chunks():
            projected = F.linear(hidden[at].to(dtype), typed, None if bias is None else bias.to(dtype))
            for part in slices(projected):
                log_z[at][part], entropy[at][part], _ = statistics(transform(projected[part]))
            node = scored.edge_node[edge]
            edges[edge] = transform(projected[node - at.start, scored.edge_token[edge]]) - log_z[node]
        kept = projected if len(scored.chunks()) == 1 else None  # saves computing it again
        ctx.save_for_backward(hidden, weight, bias, log_z, entropy, kept)
        ctx.scored, ctx.transform, ctx.dtype = scored, transform, dtype
        return edges, entropy

    @staticmethod
    def backward(ctx: Any, grad_edges: Tensor | None, grad_entropy: Tensor | None) -> tuple[Any, ...]:
        hidden, weight, bias, log_z, entropy, kept = ctx.saved_tensors
        scored: Scored = ctx.scored
        typed, typed_bias = weight.to(ctx.dtype), None if bias is None else bias.to(ctx.dtype)
        upon_edges = log_z.new_zeros(len(scored.edge_node)) if grad_edges is None else grad_edges
        upon_node = torch.zeros_like(log_z).index_add_(0, scored.edge_node, upon_edges)
        grad_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        grad_weight = grad_bias = None
        for at, edge in scored.chunks():
            local = hidden[at].to(ctx.dtype)
            projected = F.linear(local, typed, typed_bias) if kept is None else kept
            known = _Known(log_z, entropy, upon_node, grad_entropy).at(at)
            grad = _grad_projected(projected, known, ctx.transform)
            node, token = scored.edge_node[edge] - at.start, scored.edge_token[edge]
            chosen = projected[node, token][:, None]
            # Written over, not added: where p is close to 1, adding in half precision would leave only rounding
            extra = ctx.transform.grad(upon_edges[edge, None].clone(), ctx.transform(chosen))
            grad[node, token] = (_grad_unchosen(chosen, known.at(node), ctx.transform) + extra)[:, 0].to(ctx.dtype)
            if grad_hidden is not None:
                grad_hidden[at] = (grad @ typed).to(hidden.dtype)
            if ctx.needs_input_grad[1]:
                grad_weight = _added(grad_weight, (grad.t() @ local).to(weight.dtype))
            if ctx.needs_input_grad[2]:
                grad_bias = _added(grad_bias, grad.sum(0).to(bias.dtype))
        return grad_hidden, grad_weight, grad_bias, None, None


class _Known(NamedTuple):
    """What the backward pass knows of each row of logits."""

    log_z: Tensor
    entropy: Tensor
    upon_edges: Tensor
    """Sum of the gradients upon the row's edges."""
    upon_entropy: Tensor | None

    def at(self, rows: slice | Tensor) -> "_Known":
        upon_entropy = None if self.upon_entropy is None else self.upon_entropy[rows]
        return _Known(self.log_z[rows], self.entropy[rows], self.upon_edges[rows], upon_entropy)


def _grad_projected(projected: Tensor, known: _Known, transform: LogitTransform) -> Tensor:
    grad = torch.empty_like(projected)
    for part in slices(projected):
        grad[part] = _grad_unchosen(projected[part], known.at(part), transform)
    return grad


def _grad_unchosen(projected: Tensor, known: _Known, transform: LogitTransform) -> Tensor:
    """What a token gets that no edge of its node leads to: -p (Σ g_edge + g_H (log p + H)), through the transform."""
    logits = transform(projected)
    log_p = logits - known.log_z[:, None]
    if known.upon_entropy is None:
        return transform.grad(log_p.exp_().mul_(-known.upon_edges[:, None]), logits)
    chance = log_p.exp()
    upon_log_p = log_p.add_(known.entropy[:, None]).mul_(known.upon_entropy[:, None])
    return transform.grad(upon_log_p.add_(known.upon_edges[:, None]).mul_(chance).neg_(), logits)


def _added(total: Tensor | None, part: Tensor) -> Tensor:
    return part if total is None else total.add_(part)


def add_trie_head(model: PreTrainedModel, temperature: float) -> None:
    """Lets `model(..., trie=scored)` return (edge log-probabilities, node entropies) at `temperature`.

    A model with a `value_head` returns the values of the scored nodes too. With `trie=read` the logits of the nodes to
    read go to `read.use`, and nothing is returned.
    """
    stock_forward = model.forward
    transform, plain = LogitTransform.of(model, temperature), LogitTransform.of(model, 1.0)

    @functools.wraps(type(model).forward)
    def forward(self: PreTrainedModel, *args: Any, trie: Scored | Read | None = None, **kwargs: Any) -> Any:
        if trie is None:
            return stock_forward(*args, **kwargs)
        kwargs.pop("labels", None)
        hidden = self.base_model(*args, **kwargs).last_hidden_state.flatten(0, 1)
        head = self.get_output_embeddings()
        if isinstance(trie, Read):
            for start in range(0, len(trie.nodes), max(1, CHUNK // head.weight.shape[0])):
                nodes = trie.nodes[start : start + max(1, CHUNK // head.weight.shape[0])]
                trie.use(plain(head(hidden[nodes])), start)
            return None
        states = hidden[trie.nodes]
        scores = NodeLogProbs.apply(states, head.weight, head.bias, trie, transform)
        return (*scores, self.value_head(states)) if hasattr(self, "value_head") else scores

    model.forward = types.MethodType(forward, model)


@contextmanager
def trie_head(model: PreTrainedModel, temperature: float = 1.0) -> Iterator[None]:
    """Within it, the model has what `add_trie_head` gives; then its forward is the one that it was."""
    own = vars(model).get("forward")
    add_trie_head(model, temperature)
    try:
        yield
    finally:
        if own is None:
            del model.forward
        else:
            model.forward = own
