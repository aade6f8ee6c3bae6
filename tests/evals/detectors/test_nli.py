"""A sequence classifier as a judge of entailment: its labels, its batches, what does not fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from abstain.evals.detectors.nli import LABELS, NliModel, label_columns
from abstain.evals.detectors.pair import Pair
from abstain.evals.detectors.selfcheck import selfcheck_nli

Save = Callable[[dict[int, str]], Path]
TEXTS = [("Bo was it.", "Al was it."), ("Lima is in Peru.", "Lima"), ("Bo", "Bo was not it ."), ("Al", "Al")]
THREE = {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}


def test_the_configuration_says_which_class_is_which(save_tiny_nli: Save) -> None:
    """The same weights with the classes named otherwise."""
    one = NliModel.load(str(save_tiny_nli(THREE)))(TEXTS)
    other = NliModel.load(str(save_tiny_nli({0: "entail", 1: "neutral", 2: "contradict"})))(TEXTS)
    assert one.shape == (4, 3) and one.sum(1) == pytest.approx(np.ones(4))
    assert one[:, [2, 1, 0]] == pytest.approx(other)
    assert np.ptp(one, axis=0).min() > 1e-4  # it tells texts apart, so that the next lines mean something


def test_batches_are_as_single_texts(save_tiny_nli: Save) -> None:
    nli = NliModel.load(str(save_tiny_nli(THREE)), batch_tokens=20)
    told: list[int] = []
    together = nli([*TEXTS, TEXTS[0]], progress=told.append)
    assert nli.calls == sum(told) == 4  # the same texts are read once
    alone = np.concatenate([nli([pair]) for pair in TEXTS])
    assert together == pytest.approx(np.concatenate([alone, alone[:1]]), abs=1e-6)
    assert nli([]).shape == (0, 3)


def test_it_agrees_with_the_model_itself(save_tiny_nli: Save) -> None:
    nli = NliModel.load(str(save_tiny_nli(THREE)))
    encoded = nli.tokenizer(*TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        chances = torch.softmax(nli.model.eval()(**encoded).logits[0].double(), -1).numpy()
    assert nli(TEXTS[:1])[0] == pytest.approx(chances[[2, 1, 0]], abs=1e-6)
    nli.model.train()
    nli(TEXTS)
    assert nli.model.training


def test_two_classes_have_no_neutral_one(save_tiny_nli: Save) -> None:
    """As the model of SelfCheckGPT, whose score they give without more ado."""
    nli = NliModel.load(str(save_tiny_nli({0: "entailment", 1: "contradiction"})))
    chances = nli(TEXTS)
    assert chances[:, LABELS.index("neutral")].tolist() == [0] * 4 and chances.sum(1) == pytest.approx(np.ones(4))
    found = selfcheck_nli([Pair("Who?", "Bo was it.", samples=("Al was it.",))], nli)
    assert found.values[0] == pytest.approx(chances[0, LABELS.index("contradiction")])


def test_long_texts_are_cut_to_the_context(save_tiny_nli: Save) -> None:
    nli = NliModel.load(str(save_tiny_nli(THREE)))
    long = nli([("Bo " * 200, "Al"), ("Bo " * 28, "Al")])
    assert np.isfinite(long).all() and long[0] == pytest.approx(long[1], abs=1e-6)


def test_labels_that_say_nothing_are_refused(save_tiny_nli: Save) -> None:
    folder = str(save_tiny_nli({0: "LABEL_0", 1: "LABEL_1"}))
    with pytest.raises(ValueError, match=r"'LABEL_0' .* Allowed: contradiction, entailment, neutral\. Say which"):
        NliModel.load(folder)
    assert NliModel.load(folder, labels={0: "entailment", 1: "contradiction"})(TEXTS).shape == (4, 3)
    for labels in ({0: "entailment", 1: "not_entailment"}, {0: "entailment"}, {0: "entail", 1: "entailment"}):
        with pytest.raises(ValueError, match="NLI model"):
            label_columns(labels)
