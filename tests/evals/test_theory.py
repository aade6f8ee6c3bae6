"""Why models hallucinate: every bound on thousands of random instances, values worked out by hand, and bad input."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals.metrics.confidence import auroc, reliability
from abstain.evals.theory.calibration import boosted_loss, fooling, threshold_gap
from abstain.evals.theory.facts import (
    ArbitraryFacts,
    attained,
    correction,
    good_turing,
    lemma_1,
    singleton_rate,
    theorem_2,
)
from abstain.evals.theory.poor import NGram, least_error, optimal_error, theorem_3
from abstain.evals.theory.reduction import PromptMass, is_it_valid, sampled

ROUNDING = 1e-9


def some(rng: np.random.Generator, size: int) -> np.ndarray:
    """A distribution: spread, nearly all on one, or with zeros, as chance has it."""
    kind = rng.integers(4)
    if kind == 0:
        shares = rng.random(size)
    elif kind == 1:
        shares = rng.random(size) ** 12 + 1e-12
    elif kind == 2:
        shares = (rng.random(size) < 0.5) * rng.random(size)
    else:
        shares = np.ones(size)  # everything exactly at a threshold
    return shares / shares.sum() if shares.sum() > 0 else np.full(size, 1 / size)


def an_instance(rng: np.random.Generator, prompts: int) -> list[PromptMass]:
    found = []
    for _ in range(prompts):
        valid, errors = int(rng.integers(1, 4)), int(rng.integers(1, 12))
        both = some(rng, valid + errors)
        found.append(PromptMass(both[:valid], both[valid:], some(rng, valid), float(rng.random() + 0.01)))
    return found


def by_definition(prompts: list[PromptMass]) -> tuple[float, float, float]:
    """err, err_iiv and delta, response by response, as the paper writes them."""
    total = sum(prompt.weight for prompt in prompts)
    threshold = 1 / min(len(prompt.errors) for prompt in prompts)
    err = iiv = model = truth = 0.0
    for prompt in prompts:
        mu = prompt.weight / total
        for said, p in zip(prompt.valid, prompt.p, strict=True):
            iiv += mu * p / 2 * (not said > threshold)
            model += mu * said * (said > threshold)
            truth += mu * p * (said > threshold)
        for said in prompt.errors:
            err += mu * said
            iiv += mu / len(prompt.errors) / 2 * (said > threshold)
            model += mu * said * (said > threshold)
    return err, iiv, abs(model - truth)


# --- theorem 1


def test_theorem_1_is_never_violated() -> None:
    rng, tight = np.random.default_rng(0), 0
    for number in range(6000):
        prompts = an_instance(rng, 1 + number % 4)  # with one prompt it is corollary 1
        found = is_it_valid(prompts)
        assert found.err >= found.bound - ROUNDING, prompts
        if not number % 10:
            assert (found.err, found.err_iiv, found.delta) == pytest.approx(by_definition(prompts), abs=1e-12)
        tight += found.bound > 0
    assert tight > 300  # it says something often enough to have been tried


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_theorem_1_for_any_seed(seed: int, prompts: int) -> None:
    found = is_it_valid(an_instance(np.random.default_rng(seed), prompts))
    assert found.err >= found.bound - ROUNDING


def test_the_bound_by_hand() -> None:
    # 1/|E| = 1/4: valid are .4 (right, so that p's .5 is called wrong) and the error .3
    found = is_it_valid([PromptMass([0.4, 0.2], [0.3, 0.1, 0, 0], [0.5, 0.5])])
    assert found.threshold == 0.25 and found.ratio == 0.5
    assert found.err == pytest.approx(0.4)
    assert found.err_iiv == pytest.approx((0.5 + 0.25) / 2)
    assert found.delta == pytest.approx(0.7 - 0.5)
    assert found.bound == pytest.approx(0.75 - 0.5 - 0.2)


def test_a_single_error_makes_the_bound_empty_and_true() -> None:
    for wrong in (0.0, 0.3, 1.0):
        found = is_it_valid([PromptMass([1 - wrong], [wrong])])
        # nothing is more likely than 1/|E| = 1: all is called an error, and half of it is none
        assert (found.threshold, found.err_iiv, found.delta, found.bound) == (1.0, 0.5, 0.0, 0.0)
        assert found.err == pytest.approx(wrong)


def test_prompts_of_no_use() -> None:
    for values, message in (
        (([], [1.0]), "no valid response"),
        (([1.0], []), "no error"),
        (([0.5], [0.4]), "sum to 0.9, not 1; PromptMass"),
        (([1.2], [-0.2]), "at least 0"),
        (([math.nan], [1.0]), "at least 0"),
        (([0.5], [0.5], [0.5, 0.5]), "2 true probabilities for 1 valid"),
        (([0.5], [0.5], [0.7]), "true probabilities of V sum to 0.7, not 1"),
        (([0.5], [0.5], None, -1.0), "weight"),
    ):
        with pytest.raises(ValueError, match=message):
            PromptMass(*values)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"Who\?: the model gives every candidate probability 0"):
        PromptMass.given([-math.inf] * 3, [True, False, False], name="Who?")
    with pytest.raises(ValueError, match="not a number"):
        PromptMass.given([math.nan, 0.0], [True, False])
    with pytest.raises(ValueError, match="a prompt at least"):
        is_it_valid([])
    with pytest.raises(ValueError, match="no prompt has any weight"):
        is_it_valid([PromptMass([1.0], [0.0], weight=0.0)])


def test_probabilities_too_small_for_a_float_are_conditioned_on() -> None:
    found = PromptMass.given([-2000.0, -2000.0 - math.log(3)], [True, False])
    assert found.valid[0] == pytest.approx(0.75) and found.err == pytest.approx(0.25)


def test_samples_agree_with_the_enumeration() -> None:
    rng = np.random.default_rng(3)
    prompts = an_instance(rng, 5)
    found, exact = sampled(prompts, 40_000, seed=1), is_it_valid(prompts)
    for name in ("err", "err_iiv", "delta"):
        value, ends = found[name]
        assert value == pytest.approx(getattr(exact, name), abs=0.02)
        assert ends is not None and ends[0] <= value <= ends[1]


def test_intervals_are_of_prompts_drawn_alike() -> None:
    prompts = [PromptMass([1 - wrong], [wrong, 0, 0]) for wrong in (0.0, 0.5, 1.0) * 20]
    found = is_it_valid(prompts)
    ends = found.intervals()
    for name in ("err", "err_iiv", "delta"):
        low, high = ends[name] or (1.0, 0.0)
        assert low <= getattr(found, name) <= high
    assert is_it_valid([*prompts, PromptMass([1.0], [0.0], weight=9.0)]).intervals()["err"] is None


# --- calibration


def test_delta_is_the_slope_of_the_loss() -> None:
    rng, h = np.random.default_rng(5), 1e-5
    for _ in range(200):
        prompts, threshold = an_instance(rng, 3), float(rng.random())
        slope = (boosted_loss(prompts, threshold, 1 + h) - boosted_loss(prompts, threshold, 1 - h)) / (2 * h)
        assert slope == pytest.approx(threshold_gap(prompts, threshold), abs=1e-6)
        found = is_it_valid(prompts)
        assert abs(threshold_gap(prompts, found.threshold)) == pytest.approx(found.delta, abs=1e-12)


def test_reliability_keeps_ties_together_and_counts_everything() -> None:
    rng = np.random.default_rng(0)
    q = np.round(rng.random(500), 1)
    c = (rng.random(500) < q).astype(float)
    found = reliability(q, c)
    assert sum(one.n for one in found) == 500 and len(found) <= 10
    assert all(one.low <= one.right <= one.high for one in found)
    assert [one.confidence for one in found] == sorted(one.confidence for one in found)
    for value in np.unique(q):  # no value on both sides of an edge
        edges = np.cumsum([one.n for one in found])[:-1]
        at = np.flatnonzero(np.sort(q) == value)
        assert not any(at[0] < edge <= at[-1] for edge in edges)
    assert reliability(np.array([]), np.array([])) == []
    with pytest.raises(ValueError, match="2 confidences for 1 outcomes"):
        reliability(np.array([0.1, 0.2]), np.array([1.0]))


def test_two_curves_that_fool_the_eye() -> None:
    p = np.random.default_rng(1).beta(1, 1, 20_000)
    found = fooling(p, 0.5)
    # answers given when p > .5 are right in three of four: as sure as can be, and ECE a quarter
    assert found["certain"].ece == pytest.approx(0.25, abs=0.02)
    assert found["certain"].score == found["certain"].best > 0.2
    assert found["base rate"].ece < 1e-9 and found["base rate"].auroc == 0.5
    assert found["base rate"].score < 0.02
    assert (auroc(p, found["base rate"].correct) or 0) > 0.8  # what the same model knows all the while
    with pytest.raises(ValueError, match=r"no question has a chance above t = 0\.9"):
        fooling(np.array([0.1]), 0.9)


# --- facts


def test_singletons_are_prompts_and_not_documents() -> None:
    read = [("Ada", "1"), ("Ada", "1"), ("Bo", "2"), ("Cy", None), ("Di", "3"), ("Di", None)]
    # Bo and Di are answered once; Ada's fact twice, though it is the same one
    assert singleton_rate(read) == pytest.approx(2 / 6)
    assert singleton_rate([("Ada", None)]) == 0
    assert good_turing(Counter("abbc").values()) == 0.5
    told_twice = [("Bo", "2"), ("Bo", "2"), ("Cy", "3")]  # a fact that stands twice is no singleton
    assert singleton_rate(told_twice) == good_turing([2, 1]) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="no documents"):
        singleton_rate([])
    for counts in ([], [0], [2, -1]):
        with pytest.raises(ValueError, match="are no sample"):
            good_turing(counts)


def test_the_numbers_of_theorem_2() -> None:
    assert [round(correction(10**k), 3) for k in (4, 6, 8)] == [0.903, 0.118, 0.015]
    assert correction(10_000, 0.01) == pytest.approx(correction(10_000), abs=0.01)  # 6 ln 300 is 34.2
    assert theorem_2(0.2, 10**8, 364, delta=0.01) == pytest.approx(0.2 - 2 / 364 - 0.01 - correction(10**8))
    assert attained(0.2, 10**8, 364) == pytest.approx(0.2 * (1 - 1 / 365) + 0.0013)
    assert lemma_1(10_000) == pytest.approx(4.42 * math.sqrt(math.log(500) / 10_000))
    for wrong in (lambda: correction(0), lambda: lemma_1(10, 0), lambda: theorem_2(0.1, 10, 0)):
        with pytest.raises(ValueError):
            wrong()


def a_world(rng: np.random.Generator, size: int) -> ArbitraryFacts:
    mu = rng.random(size) ** int(rng.integers(1, 6))
    return ArbitraryFacts(mu / mu.sum(), rng.integers(2, 40, size), rng.random(size) if rng.random() < 0.5 else None)


def test_lemma_1_and_the_upper_bound_hold_in_worlds_that_are_read() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        world, n = a_world(rng, int(rng.integers(2, 3000))), int(rng.integers(1, 3000))
        counts = world.read(n, rng)
        singles = float((counts == 1).sum()) / n
        assert abs(world.missing_mass(counts) - singles) <= lemma_1(n)
        assert world.memoriser_err(counts) <= attained(singles, n, int(world.answers.max()) - 1)


def test_the_memoriser_is_calibrated_and_errs_as_it_is_said_to() -> None:
    rng = np.random.default_rng(1)
    for _ in range(40):
        world = a_world(rng, 60)
        counts = world.read(80, rng)
        found = is_it_valid(world.memoriser(counts))
        assert found.delta < 1e-12
        assert found.err == pytest.approx(world.memoriser_err(counts))
        assert found.err >= found.bound - ROUNDING


def test_a_million_documents_make_missing_mass_and_singletons_the_same() -> None:
    world = ArbitraryFacts(np.full(400_000, 1 / 400_000), np.full(400_000, 365))
    counts = world.read(1_000_000, np.random.default_rng(0))
    singles = (counts == 1).sum() / 1_000_000
    assert abs(world.missing_mass(counts) - singles) < lemma_1(1_000_000) < 0.0111
    assert world.memoriser_err(counts) == pytest.approx(world.missing_mass(counts) * 364 / 365)


@pytest.mark.parametrize(("n", "least"), [(100_000, 0.37), (1_000_000, 0.58)])
def test_theorem_2_says_something_of_large_corpora(n: int, least: float) -> None:
    size = 4 * n
    world = ArbitraryFacts(np.full(size, 1 / size), np.full(size, 365), np.full(size, 0.9))
    counts = world.read(n, np.random.default_rng(0))
    singles = float((counts == 1).sum()) / n  # N counts "I don't know", too
    bound = theorem_2(singles, n, 364)
    assert least < bound <= world.memoriser_err(counts) <= attained(singles, n, 364)
    # whoever always abstains never errs, and pays in delta: it abstains on all, p on a tenth
    silent = is_it_valid([PromptMass([0.0, 1.0], np.zeros(364), [0.9, 0.1])])
    assert silent.err == 0 < bound and silent.delta == pytest.approx(0.9)
    assert silent.err >= theorem_2(singles, n, 364, silent.delta)


def test_worlds_that_are_none() -> None:
    for mu, answers, message in (
        ([0.5, 0.4], [2, 2], "mu sums to 0.9"),
        ([0.5, 0.5], [2, 1], "fewer than 2 answers"),
        ([1.0], [2, 2], "prompts"),
    ):
        with pytest.raises(ValueError, match=message):
            ArbitraryFacts(np.array(mu), np.array(answers))


# --- poor models


def test_theorem_3_for_any_model_that_sees_too_little() -> None:
    rng, positive = np.random.default_rng(0), 0
    for _ in range(3000):
        size, looks, choices = int(rng.integers(1, 9)), int(rng.integers(1, 4)), int(rng.integers(2, 7))
        seen, right = rng.integers(looks, size=size).tolist(), rng.integers(choices, size=size).tolist()
        opt = optimal_error(seen, right, choices)
        model = [some(rng, choices) for _ in range(looks)]
        err = sum(1 - model[look][answer] for look, answer in zip(seen, right, strict=True)) / size
        assert err >= theorem_3(opt, choices) - ROUNDING
        assert least_error(seen, right) >= theorem_3(opt, choices) - ROUNDING
        positive += opt > 0
    assert positive > 1000


def test_opt_is_the_best_of_all_classifiers() -> None:
    rng = np.random.default_rng(2)
    for _ in range(60):
        size, choices = int(rng.integers(1, 6)), int(rng.integers(2, 4))
        seen, right = rng.integers(2, size=size).tolist(), rng.integers(choices, size=size).tolist()
        best = 1.0
        for code in range(2 ** (2 * choices)):  # every function of what is seen and the response
            calls = [[code >> (look * choices + r) & 1 for r in range(choices)] for look in range(2)]
            wrong = 0.0
            for look, answer in zip(seen, right, strict=True):
                wrong += (1 - calls[look][answer]) / 2 / size
                wrong += sum(calls[look][r] for r in range(choices) if r != answer) / (choices - 1) / 2 / size
            best = min(best, wrong)
        assert optimal_error(seen, right, choices) == pytest.approx(best)


def test_a_trigram_model_errs_on_half_of_her_and_his() -> None:
    lines = ["She lost it and was completely out of her mind.", "He lost it and was completely out of his mind."]
    prompts = [line.partition(" of ")[0] + " of" for line in lines]
    trigram, whole = NGram(3).read(lines), NGram(9).read(lines)
    candidates = ["her mind.", "his mind."]
    for model, err in ((trigram, 0.5), (whole, 0.0)):
        errs = [1 - model.answers(prompt, candidates)[place] for place, prompt in enumerate(prompts)]
        assert sum(errs) / 2 == pytest.approx(err)
    assert theorem_3(optimal_error([trigram.sees(one) for one in prompts], [0, 1], 2), 2) == 0.5
    assert optimal_error([whole.sees(one) for one in prompts], [0, 1], 2) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.lists(st.text("ab c", min_size=1, max_size=12), min_size=1, max_size=6))
def test_an_n_gram_model_is_a_distribution(order: int, texts: list[str]) -> None:
    model = NGram(order).read(texts)
    words = {word for counter in model.counts.values() for word in counter}
    for context in list(model.counts)[:20]:
        assert sum(model.next_word(context, word) for word in words) == pytest.approx(1)


def test_models_of_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        NGram(0)
    with pytest.raises(ValueError, match="no text"):
        NGram(2).read([])
    model = NGram(2).read(["a b"])
    with pytest.raises(ValueError, match="has no words"):
        model.log_probability("a", " ")
    with pytest.raises(ValueError, match="says none of 1 candidates"):
        model.answers("a", ["c"])
    with pytest.raises(ValueError, match="two choices"):
        optimal_error(["x"], [0], 1)
    for opt, choices in ((0.6, 2), (0.1, 1)):
        with pytest.raises(ValueError):
            theorem_3(opt, choices)
