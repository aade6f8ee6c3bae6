"""Families of models are watched as they are: attention like their eager one, a text as it is alone."""

from typing import Any

import numpy as np
import pytest
import torch

from abstain.evals.detectors.attention import NAME, Watch, watched, with_attention
from abstain.evals.detectors.one_pass import ALL, one_pass
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.streaming import stream_scores
from abstain.evals.detectors.watching import EVERY, Watched

from ...trainers.families import FAMILIES, VARIANTS, tiny_model

FUSED = ("llama", "gpt2", "gpt_neox", "qwen2", "qwen3-window", "gemma3_text-window", "mistral-window", "deepseek_v3")
BLOCKS = ("gemma2-window", "gpt_oss-window")  # scores are capped, sinks take a share
WEIGHTS = ("bloom", "gptj", "falcon-alibi", "mpt", "gpt_neo-window")
BLIND = ("mamba", "falcon_mamba")
HYBRID = ("jamba", "qwen3_next")
FAST = (*FUSED, *BLOCKS, *WEIGHTS, *BLIND, *HYBRID)
# A token's states depend on chance among equals (sparse attention), on what follows,
# or on how long other texts before were (dynamic frequencies)
UNLIKE = {"llama-dynamic", "prophetnet", "xlnet", *(name for name in VARIANTS if name.endswith("-sparse"))}
PAIRS = (Pair("abcdefgh", "ijklmno"), Pair("xy", "zabcd"), Pair("qrstuvwx", "y"), Pair("abcdefghzz", "ijklmno"))


class Letters:
    """A token for each letter."""

    chat_template = bos_token_id = None
    eos_token_id, pad_token_id = 1, 0

    def __call__(self, texts: Any, **_: Any) -> dict[str, list[list[int]]]:
        return {"input_ids": [[3 + ord(letter) % 60 for letter in text] for text in texts]}

    def decode(self, ids: Any) -> str:
        return " ".join(map(str, ids))


def longer(ids: int = 25) -> torch.Tensor:
    return torch.randint(3, 60, (2, ids), generator=torch.Generator().manual_seed(5))


def check_family(name: str) -> Watched:
    model = tiny_model(name)
    found = one_pass(model, Letters(), PAIRS, batch_tokens=60)
    for place, pair in enumerate(PAIRS):
        alone = one_pass(model, Letters(), [pair])
        for score in ALL:
            close = {"atol": 1e-4, "rtol": 1e-4, "equal_nan": True, "err_msg": f"{name}: {score}"}
            np.testing.assert_allclose(found.values[score][place], alone.values[score][0], **close)
    seen = Watched(model)
    if seen.sight.attention in ("fused", "blocks"):
        ids, watch, truth = longer(), Watch(previous=EVERY), Watch(previous=EVERY)
        with seen.running():
            seen.read(ids, watch)
            with with_attention(model, "eager"):
                weights = model(input_ids=ids, use_cache=False, output_attentions=True).attentions
        for layer, matrix in zip(seen.sight.attention_layers, (w for w in weights if w is not None), strict=True):
            truth.keep_weights(layer, matrix)
            for given, wanted in zip(watch.layers[layer], truth.layers[layer], strict=True):
                torch.testing.assert_close(given.clamp(min=-20), wanted.clamp(min=-20), atol=1e-3, rtol=1e-3)
    return seen


@pytest.mark.parametrize("name", FAST)
def test_families(name: str) -> None:
    sight = check_family(name).sight
    if name in FUSED or name in HYBRID:
        assert sight.attention == "fused"
    if name in WEIGHTS:
        assert sight.attention == "weights" and any("eager" in note for note in sight.notes)
    if name in BLIND:
        assert sight.attention is None and any("no attention weights" in note for note in sight.notes)
    if name in HYBRID:
        assert sight.attention_layers == (1,)
    assert sight.alone == (name == "falcon-alibi")


@pytest.mark.parametrize("name", ["llama-dynamic", "phi3-longrope"])
def test_texts_whose_positions_depend_on_the_longest_are_read_one_by_one(name: str) -> None:
    found = one_pass(tiny_model(name), Letters(), PAIRS)
    assert found.passes == len(PAIRS) and any("one text in each" in note for note in found.notes)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*FAMILIES, *VARIANTS} - UNLIKE - set(FAST)))
def test_every_family(name: str) -> None:
    check_family(name)


@pytest.mark.parametrize("name", ["llama", "gemma3_text-window", "gpt_oss-window"])
def test_rows_in_blocks_are_those_of_the_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few rows are in a block, and wherever the first of them is."""
    monkeypatch.setattr("abstain.evals.detectors.attention.BLOCK", 200)
    model, ids = tiny_model(name), longer()
    rows: list[Watch] = []
    for fused in (True, False):
        rows.append(Watch(previous=EVERY, first=3, fused=fused))
        with torch.no_grad(), with_attention(model, NAME), watched(rows[-1]):
            model(input_ids=ids, use_cache=False)
    for layer, row in rows[0].layers.items():
        for one, other in zip(row, rows[1].layers[layer], strict=True):
            assert one.shape[-1] == ids.shape[1] - 3
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("convention", ["paper", "official"])
@pytest.mark.parametrize("span", ["response", "whole"])
@pytest.mark.parametrize("name", ["llama", "mistral-window", "gpt_oss", "bloom", "mamba", "qwen3_next"])
def test_streamed_scores_are_those_of_one_pass(name: str, convention: Any, span: Any) -> None:
    """At every token, of the response up to it."""
    model, pair = tiny_model(name), Pair("qrstuvwx", "abcdefgh")
    options = {"convention": convention, "span": span, "window": 2}
    steps = list(stream_scores(model, Letters(), pair.prompt, response=pair.response, **options))
    assert [step.token for step in steps] == Letters()([pair.response])["input_ids"][0]
    for count, step in enumerate(steps, 1):
        found = one_pass(model, Letters(), [Pair(pair.prompt, pair.response[:count])], **options)
        for score in ALL:
            close = {"atol": 1e-3, "rtol": 1e-3, "equal_nan": True, "err_msg": f"{score} at token {count}"}
            np.testing.assert_allclose(step.values[score], found.values[score][0], **close)


def test_a_stream_writes_what_the_model_would() -> None:
    model = tiny_model("llama")
    greedy = list(stream_scores(model, Letters(), "qrst", scores=["msp"], max_new_tokens=6))
    ids = torch.tensor(Letters()(["qrst"])["input_ids"])
    with torch.no_grad():
        for step in greedy:
            logp = model(ids).logits[0, -1].log_softmax(-1)
            assert step.token == int(logp.argmax())
            ids = torch.cat([ids, torch.tensor([[step.token]])], dim=1)
    assert "".join(step.text for step in greedy) == Letters().decode([step.token for step in greedy])
    drawn = [
        [
            s.token
            for s in stream_scores(
                model, Letters(), "qrst", scores=["msp"], temperature=2.0, seed=seed, max_new_tokens=9
            )
        ]
        for seed in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    with pytest.raises(ValueError, match="exceed the model's context"):
        next(stream_scores(model, Letters(), "qrst", max_new_tokens=10**6))
