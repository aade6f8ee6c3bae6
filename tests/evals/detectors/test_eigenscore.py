"""EigenScore: closed forms in both conventions, and the same states as the model's own forward pass gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from abstain.evals.detectors.eigenscore import eigenscores, log_determinant
from abstain.evals.detectors.pair import Pair
from abstain.evals.models import LoadedModel, load_model

ALPHA = 1e-3
PROMPT = "Where was Ada born?"


@pytest.fixture(scope="module")
def tiny(tiny_model_dir: Path) -> LoadedModel:
    return load_model(tiny_model_dir)


def test_samples_that_are_alike_give_ln_alpha_but_for_one() -> None:
    """K rows z: Z J Zᵀ has the one eigenvalue K·‖z − mean‖², here 4·(1 + 1) = 8, and zeros."""
    alike = np.tile([1.0, -1.0, 0.0], (4, 1))
    expected = (np.log(8 + ALPHA) + 3 * np.log(ALPHA)) / 4
    assert log_determinant(alike) == pytest.approx(expected)
    official = (np.log10(8 / 2 + ALPHA) + 3 * np.log10(ALPHA)) / 4
    assert log_determinant(alike, "official") == pytest.approx(official)


def test_orthogonal_states() -> None:
    """Three centred rows, orthogonal, of squared length 2, 6 and 20."""
    states = np.array([[1.0, -1, 0, 0], [1, 1, -2, 0], [1, 1, 1, -3]])
    states[2] *= np.sqrt(20 / 12)
    expected = np.mean(np.log(np.array([2, 6, 20]) + ALPHA))
    assert log_determinant(states) == pytest.approx(expected)
    assert log_determinant(states, "official") == pytest.approx(np.mean(np.log10(np.array([2, 6, 20]) / 3 + ALPHA)))


def test_official_is_the_code_of_its_authors() -> None:
    """mean(log10(svd(cov + α I))), of the covariance of samples over features."""
    states = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
    covariance = torch.cov(torch.tensor(states)).numpy().astype(float)
    values = np.linalg.svd(covariance + ALPHA * np.eye(5))[1]
    assert log_determinant(states, "official") == pytest.approx(np.mean(np.log10(values)), rel=1e-5)


@settings(max_examples=30)
@given(st.permutations(range(5)), st.floats(-3, 3))
def test_order_and_a_shift_of_all_features_change_nothing(order: list[int], shift: float) -> None:
    states = np.random.default_rng(1).normal(size=(5, 7))
    for convention in ("paper", "official"):
        moved = log_determinant(states[order] + shift, convention)  # type: ignore[arg-type]
        assert moved == pytest.approx(log_determinant(states, convention))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(1, 8), (4, 1), (8,)])
def test_what_has_no_covariance_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="two samples and two features"):
        log_determinant(np.ones(shape))


def test_an_unknown_convention_is_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'official'"):
        log_determinant(np.ones((3, 3)), "offical")  # type: ignore[arg-type]


def own_state(tiny: LoadedModel, sample: str, back: int) -> np.ndarray:
    """Of the middle of the layers 0 to 2, by a pass over one text alone."""
    ids = tiny.tokenizer(f"{PROMPT} {sample}", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states: np.ndarray = tiny.model(ids, output_hidden_states=True).hidden_states[1][0, -back].numpy()
    return states


def test_states_are_those_of_the_middle_layer(tiny: LoadedModel) -> None:
    samples = ("Lima Oslo", "Rome Cairo Lima", "Oslo Oslo", "Lima Oslo")
    for convention, back in (("paper", 1), ("official", 2)):
        found = eigenscores(tiny.model, tiny.tokenizer, [Pair(PROMPT, "Lima", samples=samples)], convention=convention)  # type: ignore[arg-type]
        states = np.stack([own_state(tiny, sample, back) for sample in samples])
        assert found.values[0] == pytest.approx(log_determinant(states, convention), abs=1e-4)  # type: ignore[arg-type]
        assert found.calls == 3 and found.notes == ()  # one of them is there twice


def test_batches_are_as_single_pairs_and_one_pass_reads_all(tiny: LoadedModel) -> None:
    pairs = [
        Pair(PROMPT, "Lima", samples=("Lima", "Oslo Rome", "Cairo")),
        Pair("Where was Bo born?", "Lima", samples=("Rome Rome Rome Rome", "Oslo")),
        Pair(PROMPT, "Oslo", samples=("Lima", "Oslo Rome", "Cairo")),
    ]
    passes: list[int] = []
    hook = tiny.model.model.register_forward_hook(lambda *_: passes.append(1))
    together = eigenscores(tiny.model, tiny.tokenizer, pairs)
    hook.remove()
    assert len(passes) == 1 and together.calls == 5
    alone = [eigenscores(tiny.model, tiny.tokenizer, [pair]).values[0] for pair in pairs]
    small = eigenscores(tiny.model, tiny.tokenizer, pairs, batch_tokens=8).values
    assert together.values == pytest.approx(np.array(alone), abs=1e-4)
    assert small == pytest.approx(together.values, abs=1e-4)
    assert together.values[0] == together.values[2]  # the response itself is not looked at


def test_what_cannot_be_computed_is_nan_and_said(tiny: LoadedModel) -> None:
    pairs = [
        Pair(PROMPT, "Lima"),
        Pair(PROMPT, "Lima", samples=("Lima",)),
        Pair(PROMPT, "Lima", samples=("Lima", "")),
        Pair(PROMPT, "Lima", samples=("Lima", "Oslo")),
        Pair(PROMPT, "Lima", samples=("Lima", "Oslo " * 600)),
    ]
    found = eigenscores(tiny.model, tiny.tokenizer, pairs)
    assert np.isnan(found.values).tolist() == [True, True, True, False, False]
    assert any("exceed the model's context of 512" in note for note in found.notes)
    assert found.notes[-2:] == (
        "eigenscore: 2 of 5 responses have no score: fewer than 2 samples",
        "eigenscore: 1 of 5 responses has no score: a sample is empty, or its state is no number",
    )
    assert eigenscores(tiny.model, tiny.tokenizer, []).values.shape == (0,)
    tiny.model.train()
    eigenscores(tiny.model, tiny.tokenizer, pairs[3:4])
    assert tiny.model.training and tiny.model.model.layers[0].training
    tiny.model.eval()


def test_samples_that_differ_more_score_higher(tiny: LoadedModel) -> None:
    same, apart = (
        Pair(PROMPT, "Lima", samples=samples) for samples in (("Lima",) * 4, ("Lima", "Oslo", "Rome", "Cairo"))
    )
    low, high = eigenscores(tiny.model, tiny.tokenizer, [same, apart]).values
    assert high > low + 1
