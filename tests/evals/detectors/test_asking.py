"""What asking a model brings: samples for each prompt, p(True), stated confidence; and what failing costs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from abstain.evals.detectors.asked import Asked, ask_all
from abstain.evals.detectors.p_true import p_false, p_true_prompt
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.samples import draw_samples
from abstain.evals.detectors.verbalised import ask_confidence, stated_doubts
from abstain.evals.models import LoadedModel, load_model
from abstain.evals.sampler import Sampler

from .asked_stub import ScriptedSampler

WORDS = (
    "(A)",
    "(B)",
    "True",
    "False",
    "Question:",
    "Proposed",
    "Answer:",
    "Is",
    "the",
    "proposed",
    "answer:",
    "answer",
    "is:",
)
PAIRS = [Pair("Where was Ada born?", "Lima"), Pair("Where was Bo born?", "Oslo Rome"), Pair("Where?", "Lima")]


@pytest.fixture(scope="module")
def tiny(make_tiny_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    names = ("Ada", "Bo", "Lima", "Oslo", "Rome")
    return load_model(make_tiny_model(tmp_path_factory.mktemp("asked") / "model", (*names, *WORDS)))


# --- asking


def test_each_distinct_prompt_is_asked_once() -> None:
    sampler = ScriptedSampler(lambda prompt, draw: f"{prompt}{draw}")
    told: list[int] = []
    found = ask_all(sampler, ["b", "a", "b"], n=2, temperature=1.0, progress=told.append)
    assert sampler.prompts == ["b", "a"] and found.calls == 2
    assert [[one.text for one in row] for row in found.rows] == [["b0", "b1"], ["a0", "a1"], ["b0", "b1"]]
    assert ask_all(sampler, []).rows == []


@pytest.mark.parametrize("count", [1, 2, 7, 16])
def test_a_prompt_that_does_not_fit_fails_alone(count: int) -> None:
    sampler = ScriptedSampler(lambda prompt, _: prompt.upper(), longest=3)
    prompts = [f"{i}" if i % 3 else f"{i} is far too long" for i in range(count)]
    found = ask_all(sampler, prompts)
    assert [bool(row) for row in found.rows] == [i % 3 > 0 for i in range(count)]
    assert [row[0].text for row in found.rows if row] == [f"{i}" for i in range(count) if i % 3]
    assert {reason for reason in found.reasons if reason} == {"the prompt does not fit the model's context"}
    assert len(sampler.prompts) == len(set(sampler.prompts))


# --- samples


def test_responses_to_one_prompt_have_the_same_samples() -> None:
    sampler = ScriptedSampler(lambda prompt, draw: f"{prompt[:2]}{draw}", logprob=-3.0)
    pairs = [Pair("Who?", "Bo", error=False), Pair("Where?", "Lima"), Pair("Who?", "Al", error=True)]
    found = draw_samples(sampler, pairs, samples=3)
    assert [pair.samples for pair in found.pairs] == [("Wh0", "Wh1", "Wh2")] * 3
    assert [pair.error for pair in found.pairs] == [False, None, True]
    assert found.log_likelihoods == [(-1.5, -1.5, -1.5)] * 3  # two tokens each
    assert found.calls == 2 and found.notes == ()


def test_samples_that_are_not_to_be_had() -> None:
    pairs = [Pair("Who?", "Bo"), Pair("Where?" * 9, "Lima"), Pair("When?", "Now", samples=("old",))]
    silent = ScriptedSampler(lambda prompt, draw: "…" if prompt == "When?" or draw else "Al", 20, None)
    found = draw_samples(silent, pairs, samples=2)
    assert [pair.samples for pair in found.pairs] == [("Al",), (), ()]
    assert np.isnan(found.log_likelihoods[0]).all()
    assert [note.rpartition(": ")[2] for note in found.notes] == [
        "the prompt does not fit the model's context",
        "server error",
    ]
    with pytest.raises(ValueError, match="take 2 or more"):
        draw_samples(silent, pairs, samples=1)
    with pytest.raises(ValueError, match="cannot differ"):
        draw_samples(silent, pairs, temperature=0)


def test_a_models_own_likelihood(tiny: LoadedModel) -> None:
    """The mean log-probability of a token, of what `Sampler` sums."""
    sampler = Sampler(tiny.model, tiny.tokenizer, max_new_tokens=4)
    found = draw_samples(sampler, PAIRS[:1], samples=3, seed=1)
    [row] = sampler.sample([PAIRS[0].prompt], n=3, temperature=1.0, seed=1)
    assert found.pairs[0].samples == tuple(one.text for one in row)
    assert found.log_likelihoods[0] == pytest.approx([one.logprob / one.token_count for one in row])  # type: ignore[operator]


# --- p(True)


def test_p_true_is_a_choice_of_two(tiny: LoadedModel) -> None:
    """Softmax over the two tokens where (A) and (B) part, at the end of the prompt."""
    found = p_false(tiny.model, tiny.tokenizer, PAIRS)
    a, b = tiny.tokenizer(["(A)", "(B)"])["input_ids"]
    for pair, value in zip(PAIRS, found.values, strict=True):
        ids = tiny.tokenizer(p_true_prompt(pair), return_tensors="pt")["input_ids"]
        with torch.no_grad():
            both = tiny.model(ids).logits[0, -1, [*a, *b]]
        assert value == pytest.approx(torch.softmax(both, -1)[1].item(), abs=1e-5)
    assert found.calls == 3 and found.notes == () and np.ptp(found.values) > 1e-3


def test_p_true_in_batches_and_one_pass(tiny: LoadedModel) -> None:
    passes: list[int] = []
    hook = tiny.model.register_forward_hook(lambda *_: passes.append(1))
    together = p_false(tiny.model, tiny.tokenizer, PAIRS).values
    hook.remove()
    assert len(passes) == 1
    assert p_false(tiny.model, tiny.tokenizer, PAIRS, batch_tokens=1).values == pytest.approx(together, abs=1e-5)


def test_p_true_with_samples_shows_them(tiny: LoadedModel) -> None:
    pair = Pair("Question: Where {0}?\nAnswer:", "{1} Lima", samples=("Oslo", "Rome"))
    prompt = p_true_prompt(pair, with_samples=True)
    assert prompt.startswith(
        "Question: Where {0}?\nHere are some brainstormed ideas: Oslo\nRome\nProposed Answer: {1} Lima\n"
    )
    assert p_true_prompt(pair).startswith("Question: Where {0}?\nProposed Answer: {1} Lima\n")
    without, shown = (
        p_false(tiny.model, tiny.tokenizer, [pair], with_samples=shows).values for shows in (False, True)
    )
    assert without != shown


def test_p_true_of_what_cannot_be_asked(tiny: LoadedModel, tiny_model_dir: Path) -> None:
    pairs = [*PAIRS[:1], Pair("Where?", " "), Pair("Where was Ada born?", "Lima " * 600)]
    found = p_false(tiny.model, tiny.tokenizer, pairs)
    assert np.isnan(found.values).tolist() == [False, True, True]
    assert [note.rpartition(": ")[2] for note in found.notes] == [
        "an empty response",
        "it does not fit the model's context",
    ]
    assert p_false(tiny.model, tiny.tokenizer, []).values.shape == (0,)
    other = load_model(tiny_model_dir)  # to which both are <unk>
    with pytest.raises(ValueError, match="cannot tell"):
        p_false(other.model, other.tokenizer, PAIRS)


def test_p_true_in_a_chat_template(tiny: LoadedModel) -> None:
    """The assistant's turn begins with the choice."""
    kept = tiny.tokenizer.chat_template
    turns = "{% for m in messages %}{{ m.role }} : {{ m.content }} {% endfor %}"
    tiny.tokenizer.chat_template = turns + "{% if add_generation_prompt %}Ada {% endif %}"
    try:
        found = p_false(tiny.model, tiny.tokenizer, PAIRS[:1])
        ids = tiny.tokenizer(f"user : {p_true_prompt(PAIRS[0])} Ada", return_tensors="pt")["input_ids"]
        plain = p_false(tiny.model, tiny.tokenizer, PAIRS[:1], prompt_format="plain")
    finally:
        tiny.tokenizer.chat_template = kept
    a, b = tiny.tokenizer(["(A)", "(B)"])["input_ids"]
    with torch.no_grad():
        both = tiny.model(ids).logits[0, -1, [*a, *b]]
    assert found.values[0] == pytest.approx(torch.softmax(both, -1)[1].item(), abs=1e-5)
    assert plain.values[0] == pytest.approx(p_false(tiny.model, tiny.tokenizer, PAIRS[:1]).values[0])


# --- stated confidence


@pytest.mark.parametrize(
    ("reply", "doubt"),
    [("Confidence: 0.8", 0.2), ("80%", 0.2), (" 0.75\nQuestion: x", 0.25), ("I'm 90% sure", 0.1), ("Sure!", None)],
)
def test_what_the_model_says_when_asked(reply: str, doubt: float | None) -> None:
    sampler = ScriptedSampler(lambda *_: reply)
    found = ask_confidence(sampler, [Pair("Question: Who is {response}?\nAnswer:", "{question} Bo")])
    assert found.values[0] == pytest.approx(np.nan if doubt is None else doubt, nan_ok=True)
    assert found.notes == (
        () if doubt is not None else ("verbalised: 1 of 1 responses has no score: no confidence in the reply",)
    )
    assert sampler.prompts[0].startswith(
        "Question: Who is {response}?\nProposed answer: {question} Bo\nState how confident"
    )


def test_who_says_nothing_is_not_asked_about() -> None:
    sampler = ScriptedSampler(lambda prompt, _: "…" if "Al" in prompt else "Confidence: 0.5")
    found = ask_confidence(sampler, [Pair("Who?", ""), Pair("Who?", "Al"), Pair("Who?", "Bo"), Pair("Who?", "Bo")])
    assert found.values.tolist() == pytest.approx([np.nan, np.nan, 0.5, 0.5], nan_ok=True) and found.calls == 2
    assert [note.rpartition("score: ")[2] for note in found.notes] == ["an empty response", "no reply: server error"]
    assert isinstance(ask_confidence(sampler, []), Asked)


def test_what_responses_say_themselves() -> None:
    found = stated_doubts([Pair("Who?", '{"answer": "Bo", "confidence": 0.9}'), Pair("Who?", "Bo, I think.")])
    assert found.values.tolist() == pytest.approx([0.1, np.nan], nan_ok=True) and found.calls == 0
