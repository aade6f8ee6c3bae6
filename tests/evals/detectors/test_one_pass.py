"""Scores of one forward pass: closed forms, batched as alone, one pass for each batch, and what cannot be computed."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from abstain.evals.detectors.attention import ALPHA, rauq, rauq_layers
from abstain.evals.detectors.hidden import HIDDEN_FORMS, log_dets
from abstain.evals.detectors.one_pass import ALL, LAYERED, OF_LOGITS, OnePass, one_pass
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.probabilities import (
    LOGIT_FEATURES,
    Statistics,
    read_logits,
    score_logprobs,
    sequence_scores,
    window_entropy,
)
from abstain.evals.detectors.spans import encode_pairs
from abstain.evals.detectors.watching import Watched
from abstain.evals.models import LoadedModel, load_model

PAIRS = (
    Pair("Where was Ada born?", "Lima Oslo Rome"),
    Pair("Where was Bo born?", "Cairo"),
    Pair("Ada", "Bo Cy Di Ed Flo Gus Hal Lima Oslo"),
    Pair("Where was Gus Hal Flo Ed Di Cy born?", "Rome I don't know Cairo"),
)
CONVENTIONS = ("paper", "official")
SPANS = ("response", "whole")


@pytest.fixture(scope="module")
def tiny(tiny_model_dir: Path) -> LoadedModel:
    return load_model(tiny_model_dir, device="cpu")


def score(model: LoadedModel, *pairs: Pair, **options: Any) -> OnePass:
    return one_pass(model.model, model.tokenizer, pairs, **options)


@contextmanager
def counted(model: Any) -> Iterator[dict[str, int]]:
    """How often the model's body ran, and on how many tokens, padding included."""
    found = {"passes": 0, "tokens": 0}

    def count(_: Any, args: Any, kwargs: Any) -> None:
        found["passes"] += 1
        found["tokens"] += (kwargs["input_ids"] if "input_ids" in kwargs else args[0]).numel()

    hook = model.base_model.register_forward_pre_hook(count, with_kwargs=True)
    yield found
    hook.remove()


# --- closed forms


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_uniform_attention_gives_ln_m_factorial(tiny_model_dir: Path, convention: Any) -> None:
    """Row j of uniform causal attention is 1/j: ln a_jj = −ln j, the entropy ln j."""
    model = load_model(tiny_model_dir, device="cpu")
    for layer in model.model.model.layers:
        torch.nn.init.zeros_(layer.self_attn.q_proj.weight)
    found = score(model, PAIRS[0], span="whole", convention=convention)
    m, heads = 7, 2
    diagonal = -math.lgamma(m + 1) / m
    times = heads if convention == "official" else 1
    assert found.layers["attention"] == ((2,) if convention == "official" else (1, 2))
    assert found.values["attention"][0] == pytest.approx([times * diagonal] * len(found.layers["attention"]), abs=1e-5)
    assert found.values["attention_entropy"][0] == pytest.approx([-diagonal] * 2, abs=1e-5)
    of_response = score(model, PAIRS[0], scores=["attention"])
    assert of_response.values["attention"][0] == pytest.approx([-math.log(5 * 6 * 7) / 3] * 2, abs=1e-5)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_uniform_logits(tiny_model_dir: Path, convention: Any) -> None:
    """PPL = V, entropy ln V, of the k likeliest (k/V) ln V or, normalised, (ln k)/k; KL from uniform 0."""
    model = load_model(tiny_model_dir, device="cpu")
    head = model.model.get_output_embeddings()
    model.model.lm_head = torch.nn.Linear(head.in_features, head.out_features, bias=False)
    torch.nn.init.zeros_(model.model.lm_head.weight)
    size, k = head.out_features, 5
    found = score(model, PAIRS[0], top_k=k, convention=convention).values
    expected = {
        "perplexity": size,
        "window_entropy": math.log(size) / (size if convention == "official" else 1),
        "logit_entropy": math.log(k) / k if convention == "official" else k / size * math.log(size),
        "msp": 3 * math.log(size),
        "self_certainty": 0.0,
    }
    assert {name: found[name][0] for name in OF_LOGITS} == pytest.approx(expected, abs=1e-4)


@given(st.integers(1, 6), st.floats(0.1, 30), st.integers(2, 9))
def test_identical_states(m: int, length: float, size: int) -> None:
    """[ln(m c + α) + (m − 1) ln α] / m, c the squared length of a state about its mean."""
    state = torch.zeros(size)
    state[0] = length
    c = length**2 * (1 - 1 / size)
    alpha = HIDDEN_FORMS["official"].regulariser
    (found,) = log_dets(state.expand(1, m, size), [m], HIDDEN_FORMS["official"]).tolist()
    assert found == pytest.approx((math.log(m * c + alpha) + (m - 1) * math.log(alpha)) / m, abs=1e-4)


@given(st.integers(1, 9), st.integers(2, 6), st.integers(0, 99))
def test_determinants_are_those_of_numpy(m: int, size: int, seed: int) -> None:
    """Also of more tokens than features, where the paper's equation is about the singular values that there are."""
    states = torch.randn(1, m + 2, size, generator=torch.Generator().manual_seed(seed))
    rows = states[0, :m].double().numpy()
    values = np.linalg.svd(rows, compute_uv=False)
    (found,) = log_dets(states, [m], HIDDEN_FORMS["paper"]).tolist()
    assert found == pytest.approx(2 * np.log(values).sum() / m, abs=1e-4)
    centred = rows - rows.mean(1, keepdims=True)
    expected = np.linalg.slogdet(centred @ centred.T + 1e-3 * np.eye(m))[1] / m
    (found,) = log_dets(states, [m], HIDDEN_FORMS["official"]).tolist()
    assert found == pytest.approx(expected, abs=1e-4)


def test_a_regulariser_that_fp32_would_lose() -> None:
    """Two equal states of length 1e4: 2e8 + .001 is 2e8 in fp32, and the determinant would be 0 or worse."""
    states = torch.full((1, 2, 4), 1.0) * torch.tensor([1e4, 0, 0, 0])
    (found,) = log_dets(states, [2], HIDDEN_FORMS["official"]).tolist()
    assert found == pytest.approx((math.log(2 * 0.75e8) + math.log(1e-3)) / 2, abs=1e-4)


def test_states_that_overflow_have_no_determinant() -> None:
    states = torch.ones(2, 2, 3).cumsum(1)
    states[0, 0, 0] = torch.inf
    states[1, 0, 0] = 7
    found = log_dets(states.half(), [2, 2], HIDDEN_FORMS["paper"])
    assert found[0].isnan() and found[1].isfinite()


def test_half_precision_states_do_not_overflow() -> None:
    """Squares of 300 exceed what fp16 can hold."""
    states = 300 * torch.eye(4, dtype=torch.float16)[None]
    assert log_dets(states, [4], HIDDEN_FORMS["paper"]).item() == pytest.approx(2 * math.log(300), rel=1e-4)


@given(st.integers(2, 300), st.integers(1, 60), st.integers(0, 99))
def test_entropy_of_the_likeliest(size: int, k: int, seed: int) -> None:
    logits = torch.randn(2, size, generator=torch.Generator().manual_seed(seed)) * 3
    tokens = torch.tensor([0, size - 1])
    p = logits.double().softmax(-1).numpy()
    top = -np.sort(-p, axis=1)[:, :k]
    paper, official = (Statistics(*read_logits(logits, tokens, k, name).numpy()) for name in CONVENTIONS)
    assert paper.logprob == pytest.approx(np.log(p[[0, 1], tokens]), abs=1e-4)
    assert paper.entropy == pytest.approx(-(p * np.log(p)).sum(1), abs=1e-4)
    assert paper.certainty == pytest.approx(-np.log(size * p).mean(1), abs=1e-4)
    assert paper.top_entropy == pytest.approx(-(top * np.log(top)).sum(1), abs=1e-4)
    q = top / top.sum(1, keepdims=True)
    assert official.top_entropy == pytest.approx(-(q * np.log(q)).sum(1) / min(k, size), abs=1e-4)
    if size > 1:
        assert paper.margin == pytest.approx(-np.diff(np.log(-np.sort(-p, axis=1)[:, :2]), axis=1)[:, 0], abs=1e-4)


def test_windows() -> None:
    entropies = np.array([0.0, 4.0, 2.0, 3.0, 0.0])
    assert window_entropy(entropies, 2, "paper", 10) == 3.0
    assert window_entropy(entropies, 2, "official", 10) == 0.25  # (0, 4) and (2, 3); the last one is left out
    assert window_entropy(entropies, 3, "paper", 10) == 3.0
    assert window_entropy(entropies, 9, "paper", 10) == pytest.approx(1.8)


def test_official_entropies_are_one_token_later() -> None:
    rows = Statistics(*np.arange(20.0).reshape(5, 4))
    before, after = rows.at(slice(3)), rows.at(slice(1, 4))
    paper = sequence_scores(before, after, 1, "paper", 10)
    official = sequence_scores(before, after, 1, "official", 10)
    assert (
        paper["logit_entropy"] == before.top_entropy.mean() and official["logit_entropy"] == after.top_entropy.mean()
    )
    assert paper["window_entropy"] == before.entropy.max() and official["window_entropy"] == after.entropy.max() / 10
    assert paper["msp"] == official["msp"] == -before.logprob.sum()


def test_rauq_by_hand() -> None:
    p = np.array([[0.5, 0.4, 0.3], [0.2, 1.0, 1.0]])
    looks = np.zeros((2, 2, 2, 3))  # two layers of two heads
    looks[0, 0] = [[0, 0.1, 0.2], [0, 0.3, 0.3]]  # the second head looks more
    looks[0, 1] = [[0, 0.9, 0.0], [0, 0.1, 0.1]]  # the first
    c2, c3 = 0.08 + 0.8 * 0.3 * 0.5, None
    c3 = 0.06 + 0.8 * 0.3 * c2
    d2 = 0.08 + 0.8 * 0.9 * 0.5
    layers = [-(math.log(0.5) + math.log(c2) + math.log(c3)) / 3, -(math.log(0.5) + math.log(d2) + math.log(0.06)) / 3]
    assert ALPHA == 0.2
    assert rauq(p, looks, np.array([3, 1])) == pytest.approx([max(layers), -math.log(0.2)])
    assert [*rauq_layers(32)] == [*range(10, 23)]


# --- the model


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_scores_are_those_of_the_models_own_outputs(tiny: LoadedModel, convention: Any) -> None:
    """Against eager attention, hidden states and logits of each pair alone, by the definitions."""
    own = AutoModelForCausalLM.from_pretrained(tiny.source, attn_implementation="eager")
    spans, _ = encode_pairs(PAIRS, tiny.tokenizer)
    found = score(tiny, *PAIRS, convention=convention, span="response", top_k=7)
    for place, (ids, start) in enumerate(spans):
        with torch.no_grad():
            given = own(torch.tensor([ids]), output_attentions=True, output_hidden_states=True)
        later = convention == "official"
        logp = given.logits[0].double().log_softmax(-1)
        nll = -logp[range(start - 1, len(ids) - 1), ids[start:]]
        assert found.values["perplexity"][place] == pytest.approx(nll.mean().exp().item(), rel=1e-4)
        assert found.values["msp"][place] == pytest.approx(nll.sum().item(), rel=1e-4)
        shown = logp[start - 1 + later : len(ids) - 1 + later]
        entropy = -(shown.exp() * shown).sum(-1)
        expected = entropy.max() / (logp.shape[1] if later else 1)
        assert found.values["window_entropy"][place] == pytest.approx(expected.item(), rel=1e-4)
        top = shown.topk(7).values
        top = top.log_softmax(-1) if later else top
        expected = -(top.exp() * top).sum(-1).mean() / (7 if later else 1)
        assert found.values["logit_entropy"][place] == pytest.approx(expected.item(), rel=1e-4)
        for layer in (1, 2):
            states = given.hidden_states[layer][0, start:].double()
            if later:
                states = states - states.mean(-1, keepdim=True)
            gram = states @ states.T + (1e-3 if later else 0.0) * torch.eye(len(states))
            expected = torch.linalg.slogdet(gram)[1].item() / len(states)
            assert found.values["hidden"][place, layer - 1] == pytest.approx(expected, abs=1e-4)
        weights = torch.stack(given.attentions)[:, 0, :, start:].double()
        diagonal = weights[..., start:].diagonal(dim1=-2, dim2=-1).log().mean(-1)
        kept = diagonal.sum(-1)[1:] if later else diagonal.mean(-1)
        assert found.values["attention"][place] == pytest.approx(kept.numpy(), abs=1e-4)
        expected = torch.special.entr(weights).sum(-1).mean((1, 2)).numpy()
        assert found.values["attention_entropy"][place] == pytest.approx(expected, abs=1e-4)
        looks = weights[..., start - 1 : -1].diagonal(dim1=-2, dim2=-1)[None].numpy()
        expected = rauq(np.exp(-nll.numpy())[None], looks, np.array([len(nll)]))
        assert found.values["rauq"][place] == pytest.approx(expected[0], abs=1e-4)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("span", SPANS)
def test_batched_as_alone(tiny: LoadedModel, convention: Any, span: Any) -> None:
    options = {"convention": convention, "span": span, "window": 2, "places": [(1, "prompt"), (-1, "response")]}
    together = score(tiny, *PAIRS, **options)
    assert together.passes == 1
    for place, pair in enumerate(PAIRS):
        alone = score(tiny, pair, **options)
        for name in ALL:
            near = pytest.approx(alone.values[name][0], abs=1e-4, rel=1e-5, nan_ok=True)
            assert together.values[name][place] == near, name
        np.testing.assert_allclose(together.features[place], alone.features[0], atol=1e-4)
        np.testing.assert_allclose(together.logit_features[place], alone.logit_features[0], atol=1e-4)


def test_one_forward_pass_for_each_batch(tiny: LoadedModel) -> None:
    Watched(tiny.model)  # finds out once how to look
    spans, _ = encode_pairs(PAIRS, tiny.tokenizer)
    with counted(tiny.model) as done:
        found = score(tiny, *PAIRS, places=[(2, "response")])
    longest = max(len(span.ids) for span in spans)
    assert done == {"passes": 1, "tokens": len(PAIRS) * longest} and found.passes == 1
    with counted(tiny.model) as done:
        assert score(tiny, *PAIRS, batch_tokens=1).passes == done["passes"] == len(PAIRS)


def test_the_model_is_left_as_it_was(tiny: LoadedModel) -> None:
    def state() -> tuple[Any, ...]:
        hooks = sum(len(module._forward_hooks) for module in tiny.model.modules())
        return hooks, tiny.model.config._attn_implementation, tiny.model.training

    score(tiny, PAIRS[0])  # transformers leaves hooks of its own when it is first asked for hidden states
    tiny.model.train()
    before = state()
    score(tiny, PAIRS[0], places=[(1, "prompt")])
    assert state() == before
    tiny.model.eval()


def test_hidden_states_for_probes(tiny: LoadedModel) -> None:
    found = score(tiny, *PAIRS, places=[(1, "prompt"), (2, "response"), (-1, "response")], scores=["length"])
    spans, _ = encode_pairs(PAIRS, tiny.tokenizer)
    assert found.features is not None and found.features.shape == (4, 3, 32)
    for place, (ids, start) in enumerate(spans):
        with torch.no_grad():
            states = tiny.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        expected = torch.stack([states[1][0, start - 1], states[2][0, -1], states[2][0, -1]]).numpy()
        np.testing.assert_allclose(found.features[place], expected, atol=1e-4)
    assert found.logit_features is not None and found.logit_features.shape == (4, len(LOGIT_FEATURES))
    assert found.logit_features[:, LOGIT_FEATURES.index("log_length")] == pytest.approx(np.log([3, 1, 9, 5]))


def test_a_second_model_reads_the_text(tiny: LoadedModel) -> None:
    """Any model with any tokenizer: here one of another width and depth."""
    config = LlamaConfig(
        vocab_size=len(tiny.tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=3,
        num_attention_heads=1,
    )
    found = one_pass(LlamaForCausalLM(config), tiny.tokenizer, PAIRS)
    assert found.values["hidden"].shape == (4, 3) and np.isfinite(found.values["rauq"]).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(tiny: LoadedModel, tiny_model_dir: Path, dtype: torch.dtype) -> None:
    full = score(tiny, *PAIRS)
    half = one_pass(load_model(tiny_model_dir, device="cpu").model.to(dtype), tiny.tokenizer, PAIRS)
    for name in ALL:
        np.testing.assert_allclose(half.values[name], full.values[name], rtol=0.1, atol=0.1, err_msg=name)


def test_autocast_computes_in_bfloat16(tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abstain.evals.models.fast_bfloat16", lambda device: True)
    full, half = score(tiny, *PAIRS), score(tiny, *PAIRS, autocast=True)
    assert half.values["msp"] == pytest.approx(full.values["msp"], rel=0.05)
    assert not np.array_equal(half.values["msp"], full.values["msp"])


# --- bad input


def test_empty_and_short_responses(tiny: LoadedModel) -> None:
    pairs = [Pair("Where was Ada born?", ""), Pair("Where was Ada born?", "Lima"), Pair("", "Lima Oslo")]
    found = score(tiny, *pairs)
    assert found.values["length"].tolist() == [0, 1, 2]
    for name in set(ALL) - {"length"}:
        assert np.isnan(found.values[name][0]).all() and np.isfinite(found.values[name][1:]).all(), name
    assert found.notes == (
        "1 of 3 prompts are empty: their responses follow the token 1",
        "1 of 3 responses have no tokens: no score but their length",
    )
    official = score(tiny, pairs[1], convention="official", window=2)
    assert np.isnan(official.values["window_entropy"]).all()
    assert official.notes[-1].startswith("window_entropy: 1 of 1 responses have a value that is not a finite number")


def test_nothing_to_score(tiny: LoadedModel) -> None:
    found = score(tiny)
    assert found.passes == 0 and found.values["hidden"].shape == (0, 2) and found.notes == ()


def test_longer_than_the_context(tiny_model_dir: Path) -> None:
    """What is left of a prompt is its end, and of a response its beginning."""
    model = load_model(tiny_model_dir, device="cpu")
    model.model.config.max_position_embeddings = 5
    long = Pair("Where was Ada born?", "Lima Oslo Rome")
    found = score(model, long, Pair("born?", "Lima Oslo Rome Cairo Ada Bo"), long)
    assert found.notes == (
        "3 of 3 prompts and responses exceed the model's context of 5 tokens: "
        "prompts lose their first tokens, at most 2",
        "1 responses exceed it alone, and lose their last tokens, at most 2",
    )
    assert found.values["length"].tolist() == [3, 4, 3]
    model.model.config.max_position_embeddings = 512
    cut = score(model, Pair("Ada born?", "Lima Oslo Rome"), Pair("born?", "Lima Oslo Rome Cairo"))
    for name in ALL:
        np.testing.assert_allclose(found.values[name][:2], cut.values[name], atol=1e-4, rtol=1e-4)


def test_chat_templates(tiny: LoadedModel) -> None:
    chat = AutoTokenizer.from_pretrained(tiny.source)
    chat.chat_template = "{% for turn in messages %}Where {{ turn['content'] }} born? {% endfor %}"
    (span,), _ = encode_pairs([Pair("Ada", "Lima")], chat)
    assert chat.decode(span.ids[: span.start]) == "Where Ada born?" and span.length == 1
    (plain,), _ = encode_pairs([Pair("Ada", "Lima")], chat, prompt_format="plain")
    assert plain.start == 1
    with pytest.raises(ValueError, match="needs a tokenizer with a chat template"):
        score(tiny, Pair("Ada", "Lima"), prompt_format="chat")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scores": ["hiden"]}, "unknown score 'hiden' of one pass. Did you mean 'hidden'?"),
        ({"convention": "oficial"}, "unknown convention 'oficial'. Did you mean 'official'?"),
        ({"span": "answer"}, "unknown span 'answer'. Allowed: response, whole."),
        ({"places": [(3, "prompt")]}, "the model has layers 1 to 2, and no layer 3"),
        ({"places": [(0, "prompt")]}, "no layer 0"),
        ({"places": [(1, "answer")]}, "unknown place 'answer'"),
        ({"window": 0}, "window 0 is less than one token"),
    ],
)
def test_errors(tiny: LoadedModel, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.").replace("?", r"\?")):
        score(tiny, PAIRS[0], **options)


def test_log_probabilities_of_an_api() -> None:
    found = score_logprobs([Pair("a", "b", logprobs=(math.log(0.5), math.log(0.125))), Pair("a", "", logprobs=())])
    assert found["perplexity"][0] == pytest.approx(4) and found["msp"][0] == pytest.approx(math.log(16))
    assert found["length"].tolist() == [2, 0] and np.isnan(found["msp"][1])
    with pytest.raises(ValueError, match=r"pair 7: 0\.5 is no log-probability in nats"):
        score_logprobs([Pair("a", "b", logprobs=(0.5,), id="7")])


def test_scores_on_their_own_are_the_same(tiny: LoadedModel, make_tiny_model: Callable[..., Path]) -> None:
    """What is not asked for changes nothing of the rest."""
    everything = score(tiny, *PAIRS)
    for name in ALL:
        alone = score(tiny, *PAIRS, scores=[name])
        assert list(alone.values) == [name] and list(alone.layers) == ([name] if name in LAYERED else [])
        np.testing.assert_allclose(alone.values[name], everything.values[name], atol=1e-5, rtol=1e-5)
