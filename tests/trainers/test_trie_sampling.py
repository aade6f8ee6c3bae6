"""Completions drawn on a trie have the distribution of independent samples."""

from collections import Counter
from itertools import product

import pytest
import torch
from scipy.stats import chisquare
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from abstain.evals.trie import walk
from abstain.evals.trie.head import add_trie_head
from abstain.evals.trie.sampling import SamplingRule, sample
from abstain.trainers.trie.sampled import SampledScores

END, VOCAB = 1, 6
RULES = {
    "plain": (1.0, []),
    "temperature": (0.6, []),
    "top-k": (1.0, [TopKLogitsWarper(3)]),
    "top-p": (1.3, [TopPLogitsWarper(0.8)]),
    "min-p": (0.8, [MinPLogitsWarper(0.05)]),
}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        initializer_range=0.5,
        pad_token_id=0,
        eos_token_id=END,
    )
    model = LlamaForCausalLM(config).eval()
    add_trie_head(model, 1.0)
    return model


def make_rule(name, length, end=(END,)):
    temperature, warpers = RULES[name]
    warp = (lambda logits: LogitsProcessorList(warpers)(None, logits)) if warpers else None
    return SamplingRule(end, length, temperature, warp)


@torch.no_grad()
def exact_distribution(model, prompt, name, length):
    """Probability of every completion of at most `length` tokens, from the plain forward pass."""
    temperature, warpers = RULES[name]
    stock = LogitsProcessorList([TemperatureLogitsWarper(temperature), *warpers])
    chances = {}
    for tokens in product(range(VOCAB), repeat=length):
        completion = tokens[: tokens.index(END) + 1] if END in tokens else tokens
        if completion in chances:
            continue
        logits = model(torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
        steps = torch.softmax(stock(None, logits), dim=-1).double()
        chances[completion] = steps[range(len(completion)), completion].prod().item()
    return chances


def p_value(counts, expected):
    """Of the chi-square test, what is rare taken together."""
    frequent = {key: number for key, number in expected.items() if number >= 5}
    observed, total = [counts[key] for key in frequent], counts.total()
    rare = total - sum(frequent.values()) + 1e-9
    return chisquare([*observed, total - sum(observed)], [*frequent.values(), rare]).pvalue


@pytest.mark.parametrize("name", RULES)
def test_completions_have_the_distribution_of_independent_samples(model, name):
    prompts = [[2, 3, 4], [5, 2]]
    draws = 4000
    torch.manual_seed(0)
    repeated = [prompts[i % 2] for i in range(2 * draws)]
    completions = sample(model, repeated, make_rule(name, 3), model.config).tokens
    for which, prompt in enumerate(prompts):
        counts = Counter(map(tuple, completions[which::2]))
        chances = exact_distribution(model, prompt, name, 3)
        assert sum(chances.values()) == pytest.approx(1, abs=1e-5)
        assert set(counts) <= {completion for completion, chance in chances.items() if chance > 0}
        assert sum(chance * draws >= 5 for chance in chances.values()) > 3
        assert p_value(counts, {completion: chance * draws for completion, chance in chances.items()}) > 1e-3


def test_order_within_a_group_is_random(model):
    """Two samples of one prompt are independent of each other, wherever they stand in the group."""
    torch.manual_seed(0)
    rule = make_rule("plain", 1)
    pairs = Counter()
    firsts, seconds = Counter(), Counter()
    for _ in range(600):
        (a,), (b,) = sample(model, [[2, 3]] * 2, rule, model.config).tokens
        pairs[a, b] += 1
        firsts[a] += 1
        seconds[b] += 1
    assert p_value(pairs, {(a, b): firsts[a] * seconds[b] / 600 for a in firsts for b in seconds}) > 1e-3


def test_a_completion_ends_with_its_end_token_or_at_the_limit(model):
    torch.manual_seed(0)
    completions = sample(model, [[2, 3]] * 200, make_rule("plain", 5, {END, 4}), model.config).tokens
    for completion in completions:
        assert not {END, 4} & set(completion[:-1])
        assert len(completion) == 5 or completion[-1] in {END, 4}
    assert {len(completion) for completion in completions} == {1, 2, 3, 4, 5}


def test_the_seed_decides(model):
    def draw(seed):
        torch.manual_seed(seed)
        return sample(model, [[2, 3], [3], [2, 3]] * 5, make_rule("plain", 6), model.config).tokens

    assert draw(1) == draw(1) != draw(2)


def test_scores_are_found_again_by_row(model):
    """Shuffled and padded as TRL does it; they are those of the plain forward pass at the temperature."""
    torch.manual_seed(0)
    prompts = [[2, 3, 4], [5, 2]] * 8
    samples = sample(model, prompts, make_rule("min-p", 4), model.config)
    order = torch.randperm(16).tolist()
    rows = [(prompts[i], samples.tokens[i]) for i in order]
    ids = torch.tensor([[9] * (3 - len(p)) + p + t + [9] * (6 - len(t)) for p, t in rows])
    mask = torch.tensor([[0] * (3 - len(p)) + [1] * len(p + t) + [0] * (6 - len(t)) for p, t in rows])
    logps, entropies, _ = SampledScores(prompts, samples, step=0).look_up(ids, mask, 6)
    for row, (prompt, completion) in enumerate(rows):
        logits = model(torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
        expected = torch.distributions.Categorical(logits=logits / 0.8)
        held = len(completion)
        torch.testing.assert_close(
            logps[row, :held], expected.log_prob(torch.tensor(completion)), rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(entropies[row, :held], expected.entropy(), rtol=1e-4, atol=1e-5)
        assert not logps[row, held:].any() and not entropies[row, held:].any()
    ids[3, 1] = 7
    assert SampledScores(prompts, samples, step=0).look_up(ids, mask, 6) is None


def gemma3_with_window_layers():
    config = Gemma3TextConfig(
        vocab_size=VOCAB,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        layer_types=["sliding_attention", "full_attention"],
        sliding_window=40,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.5,
    )
    model = Gemma3ForCausalLM(config).eval()
    add_trie_head(model, 1.0)
    return model


@pytest.mark.parametrize("make", [None, gemma3_with_window_layers])
def test_each_step_sees_the_logits_of_the_plain_forward_pass(model, make, monkeypatch):
    """Through many steps, in which prefixes diverge, end, and get rows of their own."""
    torch.manual_seed(0)
    model = make() if make else model
    regrouped = []
    move = walk._Layout.move
    monkeypatch.setattr(walk._Layout, "move", lambda *a: regrouped.append(1) or move(*a))
    seen = []
    rule = SamplingRule({END}, 25, 1.0, lambda logits: seen.append(logits) or logits)
    prompts = [[2, 3, 4, 2, 5], [5, 2], [2, 3, 3]]
    completions = sample(model, prompts * 6, rule, model.config).tokens
    assert regrouped
    for prompt, completion in zip(prompts * 6, completions, strict=True):
        logits = model(torch.tensor([[*prompt, *completion]])).logits[0, len(prompt) - 1 : -1]
        for expected, at_step in zip(logits, seen, strict=False):
            assert (at_step - expected).abs().amax(dim=1).min() < 1e-4


def test_prompts_are_computed_once(model):
    widths = []

    class Counting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, input_ids, **kwargs):
            widths.append(input_ids.numel())
            return model(input_ids, **kwargs)

    torch.manual_seed(0)
    sample(Counting(), [[2, 3, 4]] * 50 + [[2, 3, 5]] * 50, make_rule("plain", 2), model.config)
    assert widths[0] == 4  # 2, 3 and then 4 or 5
    assert widths[1] <= 2 * (VOCAB - 1)  # at most one child per token that does not end


def test_scores_of_a_last_turn_are_not_those_of_the_whole_completion(model):
    """After a tool has answered, TRL samples on from prompt, first turn and answer: the row is the same, the prompt
    is not."""
    torch.manual_seed(0)
    turn = [[2, 3, 4, 5]]  # the prompt 2, 3, then what was written and answered
    samples = sample(model, turn, make_rule("plain", 3, end=()), model.config)
    row = torch.tensor([turn[0] + samples.tokens[0]])
    known = SampledScores(turn, samples, step=0)
    assert known.look_up(row, torch.ones_like(row), 5) is None
    assert known.look_up(row, torch.ones_like(row), 3) is not None


def test_logits_that_are_not_finite_are_told_of(model):
    broken = LlamaForCausalLM(model.config).eval()
    add_trie_head(broken, 1.0)
    torch.nn.init.constant_(broken.lm_head.weight, float("nan"))
    with pytest.raises(FloatingPointError, match="not finite"):
        sample(broken, [[2, 3]] * 4, make_rule("plain", 3), model.config)
