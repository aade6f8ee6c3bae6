"""Ways to share a prompt, beside each other: forward and backward of one batch, the same head on all of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask
from transformers import DynamicCache, LlamaForCausalLM

from abstain.evals.trie.forest import tree_mask
from abstain.evals.trie.head import LogitTransform, NodeLogProbs, Scored
from abstain.evals.trie.scoring import plan_scoring

from .cells import Cell
from .measure import Gradients, distance, draw, free, peak_mb, reset_peak, timed
from .models import build_model, prompts_of, scale_logits

Way = Callable[[], Tensor]
REPEATS = 3
"""The first warms up, and compiles."""


def compare_ways(cell: Cell, device: str) -> dict[str, Any]:
    """Seconds, peak memory and distance of the gradient from that of whole rows, for each way that runs here.

    Args:
        cell: sizes.
        device: "cuda" or "cpu".
    """
    ids = prompts_of(cell)
    given = draw(cell, ids, device)
    batch = Batch(cell, ids, [answer for prompt in ids for answer in given.answers[tuple(prompt)]], device)
    model = build_model(cell.shape, device)
    scale_logits(model, given.sharpness)
    ways: dict[str, Way] = {
        "whole rows": lambda: batch.whole(model),
        "prompt once, distinct rows behind it": lambda: batch.prompt_once(model),
        "trie, dense mask": lambda: batch.trie(model, flex=False),
        "trie, FlexAttention": lambda: batch.trie(model, flex=True),
    }
    found: dict[str, Any] = {}
    expected: Gradients = {}
    for name, way in ways.items():
        flexible = name.endswith("FlexAttention")
        model.set_attn_implementation("flex_attention" if flexible else "sdpa")
        if flexible and device == "cpu":
            found[name] = {"failed": "FlexAttention has no backward pass on a CPU"}
            continue
        try:
            found[name], gradients = _run(way, model, batch)
        except Exception as error:  # of one way, which the others do not share
            found[name] = {"failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        else:
            expected = expected or gradients
            found[name]["off"] = distance(gradients, expected)
        free(device)
    return {"cell": cell.as_dict(), "distinct": given.distinct, "ways": found}


def _run(way: Way, model: LlamaForCausalLM, batch: "Batch") -> tuple[dict[str, Any], Gradients]:
    times: list[float] = []
    for _ in range(REPEATS):
        model.zero_grad()
        reset_peak(batch.device)
        with timed(batch.device, times.append):
            with torch.autocast(batch.device, torch.bfloat16, enabled=batch.cell.precision == "bf16"):
                logps = way()
            (logps * batch.advantages).sum().backward()
        peak = peak_mb(batch.device)
    gradients = {name: p.grad.float().cpu() for name, p in model.named_parameters() if p.grad is not None}
    return {"seconds": min(times[1:]), "peak_mb": peak}, gradients


class Batch:
    """Prompts and completions, as rows padded on the left.

    Args:
        cell, device: as measured.
        ids: the prompts.
        answers: G of each prompt.
    """

    def __init__(self, cell: Cell, ids: list[list[int]], answers: list[list[int]], device: str) -> None:
        self.cell, self.device = cell, device
        longest = max(map(len, ids))
        self.prompts = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in ids], device=device)
        held = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in ids]
        self.held = torch.tensor(held, device=device)
        self.answers = torch.tensor(answers, device=device)
        self.owner = torch.arange(len(ids), device=device).repeat_interleave(cell.generations)
        self.advantages = torch.randn(self.answers.shape, generator=torch.Generator().manual_seed(0)).to(device)

    def whole(self, model: LlamaForCausalLM) -> Tensor:
        """(B, C) log-probabilities, every row computed whole, as stock does."""
        rows = torch.cat([self.prompts[self.owner], self.answers], dim=1)
        mask = torch.cat([self.held[self.owner], torch.ones_like(self.answers)], dim=1)
        states = model.model(input_ids=rows, attention_mask=mask, position_ids=_positions(mask), use_cache=False)
        before = states.last_hidden_state[:, self.prompts.shape[1] - 1 : -1]
        return self._scored(model, before.flatten(0, 1), self.answers.flatten()).view_as(self.answers)

    def prompt_once(self, model: LlamaForCausalLM) -> Tensor:
        """(B, C) log-probabilities: each prompt once, then each distinct completion on a copy of its cache."""
        distinct, which = torch.unique(
            torch.cat([self.owner[:, None], self.answers], dim=1), dim=0, return_inverse=True
        )
        owner, answers = distinct[:, 0], distinct[:, 1:]
        cache = DynamicCache()
        first = model.model(
            input_ids=self.prompts,
            attention_mask=self.held,
            position_ids=_positions(self.held),
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        for layer in cache.layers:
            layer.keys, layer.values = layer.keys[owner], layer.values[owner]
        mask = torch.cat([self.held[owner], torch.ones_like(answers[:, 1:])], dim=1)
        after = model.model(
            input_ids=answers[:, :-1],
            attention_mask=mask,
            position_ids=_positions(mask)[:, self.prompts.shape[1] :],
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        before = torch.cat([first[owner, -1:], after], dim=1)
        return self._scored(model, before.flatten(0, 1), answers.flatten()).view_as(answers)[which]

    def trie(self, model: LlamaForCausalLM, *, flex: bool) -> Tensor:
        """(B, C) log-probabilities: each distinct prefix once, in rows with a mask of ancestors."""
        rows = torch.cat([self.prompts[self.owner], self.answers], dim=1).cpu().numpy()
        mask = torch.cat([self.held[self.owner], torch.ones_like(self.answers)], dim=1).cpu().numpy()
        plan = plan_scoring(rows, mask, self.cell.answer, self.cell.shape.hidden)
        assert plan is not None
        forest = plan.forest
        tokens, positions, last = (
            torch.from_numpy(array).to(self.device) for array in (forest.tokens, forest.positions, forest.last)
        )
        if flex:
            count, length = tokens.shape
            mask = create_block_mask(
                lambda row, _, query, key: (key <= query) & (query <= last[row, key]),
                count,
                None,
                length,
                length,
                device=self.device,
            )
        else:
            mask = tree_mask(last)
        states = model.model(input_ids=tokens, position_ids=positions, attention_mask=mask, use_cache=False)
        states = states.last_hidden_state.flatten(0, 1)[torch.from_numpy(plan.parent).to(self.device)]
        edges = self._scored(model, states, plan.edge_token, plan.edge_node)
        return edges[torch.from_numpy(plan.edge_of).to(self.device)].view_as(self.answers)

    def _scored(self, model: LlamaForCausalLM, states: Tensor, tokens: Any, nodes: Any = None) -> Tensor:
        head = model.get_output_embeddings()
        every = np.arange(len(states))
        told = tokens.cpu().numpy() if isinstance(tokens, Tensor) else tokens
        scored = Scored.on(states.device, every, every if nodes is None else nodes, told, self.cell.shape.vocabulary)
        return NodeLogProbs.apply(states, head.weight, head.bias, scored, LogitTransform())[0]


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(dim=1) - 1).clamp(min=0)
